// SPDX-License-Identifier: Apache-2.0
/*
 * What is appended can be taken apart again: every id and every text of rights is closed by a TAB
 * and holds none. To Cyrus an entry without its last TAB grants nothing, so it is refused here.
 */
#include "format/cyrus/acl.h"

#include <errno.h>

#define ENTRIES_MAX 4096 /* so that comparing each with each stays cheap */

/* Rights as a set of bytes: their order, and a letter said twice, mean nothing. */
struct rights {
	uint64_t bits[4];
};

static bool text_is_clean(struct span s)
{
	for (uint64_t i = 0; i < s.len; i++)
		if (s.data[i] == '\t' || s.data[i] == '\n' || s.data[i] == '\0')
			return false;
	return true;
}

static struct span span_from(struct span s, uint64_t off)
{
	return span_of(s.len ? s.data + off : NULL, s.len - off);
}

/* Takes the bytes up to the next TAB, and the TAB, off the front of `s`. */
static bool text_next(struct span *s, struct span *ret_text)
{
	uint64_t len = span_find(*s, '\t');

	if (len == s->len)
		return false;
	*ret_text = span_of(s->data, len);
	*s = span_from(*s, len + 1);
	return true;
}

/* The next entry of a common form; false at its end, and where it is none. */
static bool entry_next(struct span *acl, struct span *ret_id, struct span *ret_rights)
{
	return text_next(acl, ret_id) && text_next(acl, ret_rights);
}

/* 0, DLIST_END, or -EBADMSG. */
static int pair_next(struct dlist_cursor *inside, struct span *ret_id,
		     struct dlist_value *ret_rights)
{
	int r = dlist_next_pair(inside, ret_id, ret_rights);

	if (r)
		return r;
	/* A backslash hides no byte from this check: it stands before it. */
	if (ret_id->len == 0 || !text_is_clean(*ret_id) || ret_rights->kind != DLIST_ATOM ||
	    !text_is_clean(ret_rights->text))
		return -EBADMSG;
	return 0;
}

int acl_add_dlist(struct buf *b, struct dlist_value value)
{
	struct dlist_cursor inside = dlist_enter(value);
	struct dlist_value rights;
	struct span id;
	unsigned nr = 0;
	int r;

	if (value.kind == DLIST_NIL)
		return 0;
	if (value.kind != DLIST_KVLIST)
		return -EBADMSG;
	while ((r = pair_next(&inside, &id, &rights)) == 0)
		if (++nr > ENTRIES_MAX)
			return -EBADMSG;
	if (r != DLIST_END)
		return r;
	/* It was read to its end once, so that nothing is appended of what is refused. */
	inside = dlist_enter(value);
	while (pair_next(&inside, &id, &rights) == 0) {
		buf_add_span(b, id);
		buf_add_char(b, '\t');
		dlist_add_text(b, rights);
		buf_add_char(b, '\t');
	}
	return buf_error(b);
}

int acl_add_text(struct buf *b, struct span text)
{
	struct span rest = text, id, rights;
	unsigned nr = 0;

	while (rest.len) {
		if (!entry_next(&rest, &id, &rights) || id.len == 0 || ++nr > ENTRIES_MAX ||
		    !text_is_clean(id) || !text_is_clean(rights))
			return -EBADMSG;
	}
	buf_add_span(b, text);
	return buf_error(b);
}

/* Everything that `acl` gives to `id`. One that it does not name has no rights. */
static struct rights rights_of(struct span acl, struct span id)
{
	struct rights sum = { { 0 } };
	struct span other, letters;

	while (entry_next(&acl, &other, &letters)) {
		if (!span_equals(other, id))
			continue;
		for (uint64_t i = 0; i < letters.len; i++)
			sum.bits[letters.data[i] / 64] |= UINT64_C(1) << letters.data[i] % 64;
	}
	return sum;
}

/* Has each id of `a` the same rights in `b`? */
static bool acl_agrees(struct span a, struct span b)
{
	struct span rest = a, id, letters;

	for (unsigned nr = 0; entry_next(&rest, &id, &letters); nr++) {
		struct rights in_a = rights_of(a, id), in_b = rights_of(b, id);
		if (nr == ENTRIES_MAX || memcmp(&in_a, &in_b, sizeof(in_a)) != 0)
			return false;
	}
	return rest.len == 0; /* what is no entry equals nothing but itself */
}

bool acl_equals(struct span a, struct span b)
{
	return span_equals(a, b) || (acl_agrees(a, b) && acl_agrees(b, a));
}

// SPDX-License-Identifier: Apache-2.0
/*
 * One pass over the text, no tree and no recursion: a list is measured by counting brackets, and
 * its inside is only looked at when the caller enters it. Whatever comes out lies inside the span
 * that went in. A failure leaves the cursor where it was.
 */
#include "format/cyrus/dlist.h"

#include <errno.h>
#include <string.h>

#define DLIST_DEPTH_MAX 32	       /* brackets open at once */
#define DLIST_TEXT_MAX UINT64_C(65536) /* bytes of one atom, quoted string or literal */

/* Cyrus takes any white space between values, though it writes single spaces only. */
static bool byte_is_space(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* 0x1F belongs to atoms, because it separates the parts of a mailbox name; 0x1D does not. */
static bool byte_is_atom(uint8_t c)
{
	return c >= 0x1f && c < 0x7f && !strchr(" {()\"%*\\", c);
}

static struct span span_from(struct span s, uint64_t off)
{
	return off < s.len ? span_of(s.data + off, s.len - off) : SPAN_NULL;
}

/* The bare word NIL is told from the text "NIL" by the quotes alone, as in IMAP. */
static int atom_parse(struct span s, struct dlist_value *ret_value, uint64_t *ret_len)
{
	uint64_t len = 0;

	while (len < s.len && byte_is_atom(s.data[len]))
		len++;
	if (len == 0 || len > DLIST_TEXT_MAX)
		return -EBADMSG;
	struct span text = span_of(s.data, len);
	enum dlist_kind kind = span_equals_str(text, "NIL") ? DLIST_NIL : DLIST_ATOM;
	*ret_value = (struct dlist_value){ .kind = kind, .text = text };
	*ret_len = len;
	return 0;
}

/* Text in double quotes. Measured in one go; backslashes stay in until dlist_add_text. */
static int quoted_parse(struct span s, struct dlist_value *ret_value, uint64_t *ret_len)
{
	bool escaped = false;

	for (uint64_t i = 1; i < s.len && i <= DLIST_TEXT_MAX + 1; i++) {
		if (s.data[i] == '"') {
			struct span text = span_of(s.data + 1, i - 1);
			*ret_value = (struct dlist_value){ DLIST_ATOM, text, escaped };
			*ret_len = i + 1;
			return 0;
		}
		if (s.data[i] == '\\') {
			escaped = true;
			i++;
		}
		/* Such bytes are written as a literal; here they are a sign of damage. */
		if (i >= s.len || s.data[i] == '\0' || s.data[i] == '\r' || s.data[i] == '\n')
			return -EBADMSG;
	}
	return -EBADMSG;
}

/* {N} or {N+}, CR LF, then N bytes of any kind. */
static int literal_parse(struct span s, struct dlist_value *ret_value, uint64_t *ret_len)
{
	uint64_t close = span_find(s, '}');
	uint64_t len;
	struct span digits, newline, text;

	if (close == s.len)
		return -EBADMSG;
	uint64_t end = s.data[close - 1] == '+' ? close - 1 : close;
	if (span_sub(s, 1, end - 1, &digits) || span_parse_u64(digits, DLIST_TEXT_MAX, &len))
		return -EBADMSG;
	if (span_sub(s, close + 1, 2, &newline) || !span_equals_str(newline, "\r\n"))
		return -EBADMSG;
	if (span_sub(s, close + 3, len, &text))
		return -EBADMSG;
	*ret_value = (struct dlist_value){ .kind = DLIST_ATOM, .text = text };
	*ret_len = close + 3 + len;
	return 0;
}

/* One value without brackets at the front of `s`, which is not empty. */
static int text_parse(struct span s, struct dlist_value *ret_value, uint64_t *ret_len)
{
	if (s.data[0] == '"')
		return quoted_parse(s, ret_value, ret_len);
	if (s.data[0] == '{')
		return literal_parse(s, ret_value, ret_len);
	return atom_parse(s, ret_value, ret_len);
}

/* Bytes of the bracket that opens at the front of `s`; 0 when none does. */
static uint64_t bracket_len(struct span s)
{
	if (span_starts_with(s, "("))
		return 1;
	return span_starts_with(s, "%(") ? 2 : 0;
}

/*
 * Measures the list whose opening bracket stands before `s`: *ret_len bytes, its closing bracket
 * included. Brackets inside quoted strings and literals do not count, so every token is parsed.
 */
static int list_measure(struct span s, uint64_t *ret_len)
{
	unsigned depth = 1;
	bool apart = true; /* a value may begin here */

	for (uint64_t off = 0; off < s.len;) {
		struct span rest = span_from(s, off);
		struct dlist_value ignored;
		uint64_t len = bracket_len(rest);

		if (byte_is_space(rest.data[0])) {
			apart = true;
			off++;
		} else if (rest.data[0] == ')') {
			apart = false;
			off++;
			if (--depth == 0) {
				*ret_len = off;
				return 0;
			}
		} else if (!apart) {
			return -EBADMSG;
		} else if (len) {
			if (++depth > DLIST_DEPTH_MAX)
				return -EBADMSG;
			off += len;
		} else {
			int r = text_parse(rest, &ignored, &len);
			if (r)
				return r;
			apart = false;
			off += len;
		}
	}
	return -EBADMSG;
}

int dlist_next(struct dlist_cursor *cursor, struct dlist_value *ret_value)
{
	struct span s = cursor->rest;
	struct dlist_value value;
	uint64_t len, open;
	int r;

	while (s.len && byte_is_space(s.data[0]))
		s = span_from(s, 1);
	if (s.len == 0) {
		cursor->rest = s;
		return DLIST_END;
	}
	open = bracket_len(s);
	if (open) {
		r = list_measure(span_from(s, open), &len);
		if (r)
			return r;
		value = (struct dlist_value){
			.kind = open == 1 ? DLIST_LIST : DLIST_KVLIST,
			.text = span_of(s.data + open, len - 1),
		};
		len += open;
	} else {
		r = text_parse(s, &value, &len);
		if (r)
			return r;
	}
	/* `a(b)` is two values to Cyrus, but nothing writes that: take it for damage. */
	s = span_from(s, len);
	if (s.len && !byte_is_space(s.data[0]))
		return -EBADMSG;
	cursor->rest = s;
	*ret_value = value;
	return 0;
}

int dlist_next_pair(struct dlist_cursor *cursor, struct span *ret_key,
		    struct dlist_value *ret_value)
{
	struct dlist_cursor at = *cursor; /* so that a lone key does not move the caller's */
	struct dlist_value key, value;
	int r = dlist_next(&at, &key);

	if (r)
		return r;
	/* A key is handed out as written, so one with backslashes could not be told from another. */
	if ((key.kind != DLIST_ATOM && key.kind != DLIST_NIL) || key.escaped)
		return -EBADMSG;
	r = dlist_next(&at, &value);
	if (r)
		return r == DLIST_END ? -EBADMSG : r;
	*cursor = at;
	*ret_key = key.text;
	*ret_value = value;
	return 0;
}

void dlist_add_text(struct buf *b, struct dlist_value value)
{
	if (value.kind != DLIST_ATOM)
		return;
	if (!value.escaped) {
		buf_add_span(b, value.text);
		return;
	}
	for (uint64_t i = 0; i < value.text.len; i++) {
		if (value.text.data[i] == '\\' && i + 1 < value.text.len)
			i++;
		buf_add_char(b, (char)value.text.data[i]);
	}
}

// SPDX-License-Identifier: Apache-2.0
/*
 * Internal names of mailboxes: whose they are, and whether they were deleted.
 */
#include <string.h>

#include "format/cyrus/mboxlist.h"

#define STAMP_LEN 8 /* hex digits: the time of a deletion, as a mailbox name ends in it */

/* Takes `prefix` and the separator behind it off the front of `s`, where they stand. */
static bool name_strip_prefix(struct span *s, const char *prefix)
{
	uint64_t len = strlen(prefix);

	if (len == 0 || !span_starts_with(*s, prefix) || s->len <= len || s->data[len] != '.')
		return false;
	*s = span_of(s->data + len + 1, s->len - len - 1);
	return true;
}

/* Splits `domain!rest`; an empty domain when there is none. */
static struct span name_split_domain(struct span *name)
{
	uint64_t len = span_find(*name, '!');
	struct span domain = SPAN_NULL;

	if (len < name->len) {
		domain = span_of(name->data, len);
		*name = span_of(name->data + len + 1, name->len - len - 1);
	}
	return domain;
}

/* Takes the stamp of its deletion off the end of a deleted name, where it has one. */
static void name_strip_stamp(struct span *s)
{
	if (s->len <= STAMP_LEN || s->data[s->len - STAMP_LEN - 1] != '.')
		return;
	for (uint64_t i = s->len - STAMP_LEN; i < s->len; i++)
		if (s->data[i] == '\0' || !strchr("0123456789ABCDEF", s->data[i]))
			return;
	s->len -= STAMP_LEN + 1;
}

/*
 * Cyrus takes the last part of a deleted name for the stamp whatever it looks like. Here it must
 * look like one, so that a name given without it (`DELETED.user.joe`) still finds its owner.
 */
bool mailbox_name_add_user(struct buf *b, struct span name, const char *deleted_prefix)
{
	struct span domain = name_split_domain(&name);

	if (deleted_prefix && name_strip_prefix(&name, deleted_prefix))
		name_strip_stamp(&name);
	if (!name_strip_prefix(&name, "user"))
		return false;
	uint64_t len = span_find(name, '.');
	if (len == 0)
		return false;
	for (uint64_t i = 0; i < len; i++)
		buf_add_char(b, name.data[i] == '^' ? '.' : (char)name.data[i]);
	if (domain.len) {
		buf_add_char(b, '@');
		buf_add_span(b, domain);
	}
	return true;
}

bool mailbox_name_is_deleted(struct span name, const char *deleted_prefix)
{
	(void)name_split_domain(&name);
	return deleted_prefix && name_strip_prefix(&name, deleted_prefix);
}

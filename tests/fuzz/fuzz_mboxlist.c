// SPDX-License-Identifier: Apache-2.0
/*
 * Fuzzes records of mailboxes.db: a key up to the first LF, then a value. What is accepted can be
 * used as promised, keys of the one form are never taken for the other, and an entry that was
 * misused before parses a good record all the same.
 */
#include <errno.h>
#include <stdlib.h>

#include "format/cyrus/acl.h"
#include "format/cyrus/mboxlist.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok)
{
	if (!ok)
		abort();
}

static bool has_byte(const struct buf *b, uint8_t byte)
{
	return span_find(buf_span(b), byte) < b->len;
}

static void check_entry(const struct mailbox_entry *entry)
{
	struct buf acl = BUF_NULL;

	require(entry->name.len > 0);
	require(!has_byte(&entry->name, '\0') && !has_byte(&entry->name, '/'));
	require(!has_byte(&entry->unique_id, '\0') && !has_byte(&entry->partition, '\0'));
	require(!mailbox_entry_is_live(entry) || entry->partition.len > 0);
	require(entry->form == MBOXLIST_BY_ID || entry->legacy_dirs);
	require(entry->form != MBOXLIST_TEXT || entry->uidvalidity == 0);
	require(acl_add_text(&acl, buf_span(&entry->acl)) == 0);
	require(acl_equals(buf_span(&acl), buf_span(&entry->acl)));
	buf_fini(&acl);
}

/* The name is the key: the whole of it, or in lists of 3.6 what follows its first letter. */
static void check_name(const struct mailbox_entry *entry, struct span key)
{
	if (entry->form == MBOXLIST_BY_ID)
		require(key.data[0] == 'N' && entry->name.len == key.len - 1);
	else
		require(span_equals(buf_span(&entry->name), key));
}

/* An `I` record holds a mailbox for the one function and none for the other. */
static void check_id(struct span key, struct span value, int as_mailbox)
{
	struct mailbox_entry entry = MAILBOX_ENTRY_NULL;
	int r = mboxlist_parse_id(key, value, &entry);

	require(r == 0 || r == MBOXLIST_OTHER || r == -EBADMSG);
	if (r == 0) {
		require(as_mailbox == MBOXLIST_OTHER && key.data[0] == 'I');
		require(entry.form == MBOXLIST_BY_ID);
		require(entry.unique_id.len == key.len - 1);
		check_entry(&entry);
	}
	if (as_mailbox == 0)
		require(r == MBOXLIST_OTHER);
	mailbox_entry_fini(&entry);
}

/* The user of a name is part of it, or nothing was appended. */
static void check_names(struct span name)
{
	struct buf b = BUF_NULL;

	buf_add_char(&b, '<');
	bool found = mailbox_name_add_user(&b, name, "DELETED");
	require(b.len >= 1 && (found ? b.len > 1 && b.len <= name.len : b.len == 1));
	if (mailbox_name_is_deleted(name, "DELETED"))
		require(name.len >= strlen("DELETED.") && !mailbox_name_is_deleted(name, "GONE"));
	buf_clear(&b);
	mboxlist_add_internal_name(&b, name);
	require(b.len == name.len);
	buf_fini(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span all = span_of(data, size), key, value = SPAN_NULL;
	struct mailbox_entry entry = MAILBOX_ENTRY_NULL;
	uint64_t len = span_find(all, '\n');

	key = span_of(data, len);
	if (len < size)
		value = span_of(data + len + 1, size - len - 1);
	int r = mboxlist_parse(key, value, &entry);
	require(r == 0 || r == MBOXLIST_OTHER || r == -EBADMSG);
	check_id(key, value, r);
	if (r == 0) {
		check_entry(&entry);
		check_name(&entry, key);
		check_names(buf_span(&entry.name));
	}
	check_names(key);

	r = mboxlist_parse(span_of_str("Nx"), span_of_str("%(T e I abc P p V 7)"), &entry);
	require(r == 0 && mailbox_entry_is_live(&entry) && !entry.legacy_dirs && !entry.moving);
	require(entry.uidvalidity == 7 && entry.acl.len == 0);
	require(strcmp(buf_str(&entry.unique_id), "abc") == 0);
	mailbox_entry_fini(&entry);
	return 0;
}

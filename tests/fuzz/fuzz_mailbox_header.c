// SPDX-License-Identifier: Apache-2.0
/*
 * Fuzzes cyrus.header: whole files, and the same bytes behind the magic. Names of flags lie in
 * their buffer one behind the other, the rights are in the common form, and what was read of a
 * text says all of it: written down again it reads the same.
 */
#include <errno.h>
#include <stdlib.h>

#include "format/cyrus/acl.h"
#include "format/cyrus/mailbox_header.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char magic[MAILBOX_HEADER_MAGIC_LEN + 1] =
	"\xa1\x02\x8b\x0d"
	"Cyrus mailbox header\n"
	"\"The best thing about this system was that it had lots of goals.\"\n"
	"\t--Jim Morris on Andrew\n";

static void require(bool ok)
{
	if (!ok)
		abort();
}

static void check_text(const struct buf *b, bool is_given)
{
	require(strlen(buf_str(b)) == b->len);
	require(is_given == (b->len > 0));
}

static void check_flags(const struct mailbox_header *header)
{
	uint32_t off = 0;

	require(header->nr_flags <= MAILBOX_HEADER_FLAGS);
	for (unsigned i = 0; i < header->nr_flags; i++) {
		const char *name = mailbox_header_flag(header, i);
		require(header->flag_off[i] == off);
		require(!strpbrk(name, " \t\r\n"));
		off += (uint32_t)strlen(name) + 1;
	}
	require(off == header->flags.len);
	require(mailbox_header_flag(header, header->nr_flags)[0] == '\0');
}

/* The text that a header would be in the older dialect, whichever it came from. */
static void header_write(struct buf *b, const struct mailbox_header *header)
{
	buf_clear(b);
	buf_add_str(b, magic);
	buf_add_span(b, buf_span(&header->quota_root));
	if (header->has_unique_id)
		buf_addf(b, "\t%s", buf_str(&header->unique_id));
	buf_add_char(b, '\n');
	for (unsigned i = 0; i < header->nr_flags; i++)
		buf_addf(b, "%s ", mailbox_header_flag(header, i));
	buf_addf(b, "\n%s\n", buf_str(&header->acl));
}

static void check_again(const struct mailbox_header *header)
{
	struct mailbox_header again = MAILBOX_HEADER_NULL;
	struct buf text = BUF_NULL;

	header_write(&text, header);
	if (text.len <= MAILBOX_HEADER_LEN_MAX) {
		require(mailbox_header_parse(buf_span(&text), &again) == 0);
		require(span_equals(buf_span(&again.quota_root), buf_span(&header->quota_root)));
		require(span_equals(buf_span(&again.unique_id), buf_span(&header->unique_id)));
		require(span_equals(buf_span(&again.flags), buf_span(&header->flags)));
		require(span_equals(buf_span(&again.acl), buf_span(&header->acl)));
		require(again.nr_flags == header->nr_flags);
	}
	buf_fini(&text);
	mailbox_header_fini(&again);
}

static void check(struct span bytes, struct mailbox_header *header)
{
	struct buf acl = BUF_NULL;
	int r = mailbox_header_parse(bytes, header);

	require(r == 0 || r == -EBADMSG);
	if (r)
		return;
	require(bytes.len > MAILBOX_HEADER_MAGIC_LEN && bytes.data[bytes.len - 1] == '\n');
	require(header->is_dlist == (bytes.data[MAILBOX_HEADER_MAGIC_LEN] == '%'));
	check_text(&header->unique_id, header->has_unique_id);
	check_text(&header->quota_root, header->has_quota_root);
	check_text(&header->name, header->name.len > 0);
	check_text(&header->type, header->type.len > 0);
	require(header->is_dlist || (header->name.len == 0 && header->type.len == 0));
	check_flags(header);
	require(acl_add_text(&acl, buf_span(&header->acl)) == 0);
	buf_fini(&acl);
	/* Only text has no way to say what separates its fields. */
	if (!header->is_dlist)
		check_again(header);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct mailbox_header header = MAILBOX_HEADER_NULL;
	struct buf file = BUF_NULL;

	check(span_of(data, size), &header);
	buf_add_str(&file, magic);
	buf_add(&file, data, size);
	check(buf_span(&file), &header);
	buf_fini(&file);
	mailbox_header_fini(&header);
	return 0;
}

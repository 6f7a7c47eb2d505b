// SPDX-License-Identifier: Apache-2.0
/*
 * The file is replaced as a whole whenever something in it changes, so its last byte is the LF
 * that its writer ended it with: a file that ends before or behind that was not written so.
 *
 * Cyrus itself reads more than this takes (what follows the last LF, more flags than there are
 * bits), but nothing writes that.
 */
#include "format/cyrus/mailbox_header.h"

#include <errno.h>

#include "format/cyrus/acl.h"
#include "format/cyrus/dlist.h"

static const char MAGIC[MAILBOX_HEADER_MAGIC_LEN + 1] =
	"\xa1\x02\x8b\x0d"
	"Cyrus mailbox header\n"
	"\"The best thing about this system was that it had lots of goals.\"\n"
	"\t--Jim Morris on Andrew\n";

void mailbox_header_fini(struct mailbox_header *header)
{
	buf_fini(&header->name);
	buf_fini(&header->unique_id);
	buf_fini(&header->quota_root);
	buf_fini(&header->type);
	buf_fini(&header->acl);
	buf_fini(&header->flags);
	*header = MAILBOX_HEADER_NULL;
}

/* Forgets the content and keeps the memory of the buffers. */
static void header_clear(struct mailbox_header *header)
{
	header->is_dlist = header->has_unique_id = header->has_quota_root = false;
	header->nr_flags = 0;
	buf_clear(&header->name);
	buf_clear(&header->unique_id);
	buf_clear(&header->quota_root);
	buf_clear(&header->type);
	buf_clear(&header->acl);
	buf_clear(&header->flags);
}

static int header_error(const struct mailbox_header *header)
{
	const struct buf *bufs[] = { &header->name, &header->unique_id, &header->quota_root,
				     &header->type, &header->acl,	&header->flags };

	for (size_t i = 0; i < array_size(bufs); i++)
		if (buf_error(bufs[i]))
			return -ENOMEM;
	return 0;
}

static struct span span_from(struct span s, uint64_t off)
{
	return off < s.len ? span_of(s.data + off, s.len - off) : SPAN_NULL;
}

/* Adds the next slot; an empty name is one that is not used. */
static int flag_add(struct mailbox_header *header, struct span name)
{
	if (header->nr_flags == MAILBOX_HEADER_FLAGS)
		return -EBADMSG;
	/* A flag is an atom of IMAP. What separates flags here must not be in one either. */
	for (uint64_t i = 0; i < name.len; i++)
		if (name.data[i] <= ' ' || name.data[i] == 0x7f)
			return -EBADMSG;
	header->flag_off[header->nr_flags++] = (uint32_t)header->flags.len;
	buf_add_span(&header->flags, name);
	buf_add_char(&header->flags, '\0');
	return 0;
}

/* Takes what stands before the next `end`, and that, off the front of `s`. */
static bool text_next(struct span *s, uint8_t end, struct span *ret_text)
{
	uint64_t len = span_find(*s, end);

	if (len == s->len)
		return false;
	*ret_text = span_of(s->data, len);
	*s = span_from(*s, len + 1);
	return true;
}

/*
 * `quota root TAB unique id`. Files of the oldest releases end behind the root; for a while a
 * third field stood there, which Cyrus passes over since.
 */
static int text_parse_roots(struct mailbox_header *header, struct span line)
{
	struct span quota_root = line, unique_id;
	struct span rest = line;

	if (text_next(&rest, '\t', &quota_root)) {
		unique_id = span_of(rest.data, span_find(rest, '\t'));
		if (unique_id.len == 0)
			return -EBADMSG;
		header->has_unique_id = true;
		buf_add_span(&header->unique_id, unique_id);
	}
	header->has_quota_root = quota_root.len > 0;
	buf_add_span(&header->quota_root, quota_root);
	return 0;
}

/* Names, a space behind each; behind the last it may lack. */
static int text_parse_flags(struct mailbox_header *header, struct span line)
{
	struct span name;
	int r = 0;

	while (r == 0 && text_next(&line, ' ', &name))
		r = flag_add(header, name);
	if (r == 0 && line.len)
		r = flag_add(header, line);
	return r;
}

static int text_parse(struct mailbox_header *header, struct span text)
{
	struct span roots, flags, acl;
	int r;

	if (span_find(text, '\0') < text.len)
		return -EBADMSG;
	if (!text_next(&text, '\n', &roots) || !text_next(&text, '\n', &flags) ||
	    !text_next(&text, '\n', &acl) || text.len)
		return -EBADMSG;
	r = text_parse_roots(header, roots);
	if (r == 0)
		r = text_parse_flags(header, flags);
	if (r == 0)
		r = acl_add_text(&header->acl, acl);
	return r;
}

/* Copies an atom; NIL is as if it were not there. *ret_has says whether it is. */
static int dlist_parse_text(struct dlist_value value, struct buf *b, bool *ret_has)
{
	if (value.kind == DLIST_NIL)
		return 0;
	if (value.kind != DLIST_ATOM)
		return -EBADMSG;
	dlist_add_text(b, value);
	*ret_has = b->len > 0;
	/* All of them are C strings to Cyrus. */
	return memchr(buf_str(b), '\0', b->len) ? -EBADMSG : 0;
}

/* Slots in the order of their bits. */
static int dlist_parse_flags(struct mailbox_header *header, struct dlist_value list)
{
	struct dlist_cursor inside = dlist_enter(list);
	struct dlist_value value;
	struct buf name cleanup(buf_fini) = BUF_NULL;
	int r;

	if (list.kind == DLIST_NIL)
		return 0;
	if (list.kind != DLIST_LIST)
		return -EBADMSG;
	while ((r = dlist_next(&inside, &value)) == 0) {
		if (value.kind != DLIST_ATOM && value.kind != DLIST_NIL)
			return -EBADMSG;
		buf_clear(&name);
		dlist_add_text(&name, value);
		r = buf_error(&name);
		if (r == 0)
			r = flag_add(header, buf_span(&name));
		if (r)
			return r;
	}
	return r == DLIST_END ? 0 : r;
}

static int dlist_parse_field(struct mailbox_header *header, uint8_t key, struct dlist_value value)
{
	bool ignored;

	switch (key) {
	case 'T':
		return dlist_parse_text(value, &header->type, &ignored);
	case 'N':
		return dlist_parse_text(value, &header->name, &ignored);
	case 'I':
		return dlist_parse_text(value, &header->unique_id, &header->has_unique_id);
	case 'Q':
		return dlist_parse_text(value, &header->quota_root, &header->has_quota_root);
	case 'A':
		return acl_add_dlist(&header->acl, value);
	default:
		return dlist_parse_flags(header, value);
	}
}

/* One key-value list and its LF. Each field is read once: two would leave the choice to chance. */
static int dlist_parse(struct mailbox_header *header, struct span text)
{
	static const char known[] = "TNIQAU";
	struct dlist_cursor cursor = { text };
	struct dlist_value list, field;
	unsigned seen = 0;
	struct span key;
	int r = dlist_next(&cursor, &list);

	header->is_dlist = true;
	if (r)
		return r == DLIST_END ? -EBADMSG : r;
	if (list.kind != DLIST_KVLIST || !span_equals_str(cursor.rest, "\n"))
		return -EBADMSG;
	struct dlist_cursor inside = dlist_enter(list);
	while ((r = dlist_next_pair(&inside, &key, &field)) == 0) {
		const char *at = key.len == 1 && key.data[0] ? strchr(known, key.data[0]) : NULL;
		if (!at)
			continue;
		unsigned bit = 1u << (at - known);
		if (seen & bit)
			return -EBADMSG;
		seen |= bit;
		r = dlist_parse_field(header, key.data[0], field);
		if (r)
			return r;
	}
	return r == DLIST_END ? 0 : r;
}

int mailbox_header_parse(struct span bytes, struct mailbox_header *header)
{
	struct span magic, rest;
	int r;

	header_clear(header);
	if (bytes.len > MAILBOX_HEADER_LEN_MAX ||
	    span_sub(bytes, 0, MAILBOX_HEADER_MAGIC_LEN, &magic) ||
	    memcmp(magic.data, MAGIC, MAILBOX_HEADER_MAGIC_LEN) != 0)
		return -EBADMSG;
	rest = span_from(bytes, MAILBOX_HEADER_MAGIC_LEN);
	if (rest.len && rest.data[0] == '%')
		r = dlist_parse(header, rest);
	else
		r = text_parse(header, rest);
	return r ? r : header_error(header);
}

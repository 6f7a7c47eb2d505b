// SPDX-License-Identifier: Apache-2.0
/*
 * Records are words of 4 bytes: type, lengths, key and value padded to words, pointers up to a
 * word of ones. Lengths are bounded before anybody allocates room for them.
 */
#include "format/cyrus/skiplist_record.h"

#include <errno.h>

#define READ_TRIES 3
#define POINTERS_END UINT32_MAX
#define KEY_MAX 65536u
#define VALUE_MAX 16777216u

static uint64_t padded(uint64_t len)
{
	return (len + 3) & ~UINT64_C(3);
}

/*
 * Appends the bytes at [off, off + len) to `b`, from `bytes`, which begin at `base`, where they
 * hold them all. -ERANGE: beyond `end`.
 */
static int add_bytes(struct skiplist *db, struct buf *b, struct span bytes, uint64_t base,
		     uint64_t off, uint64_t len, uint64_t end)
{
	struct span part;

	if (off > end || len > end - off)
		return -ERANGE;
	if (span_sub(bytes, off - base, len, &part) == 0) {
		buf_add_span(b, part);
		return buf_error(b);
	}
	int r = buf_reserve(b, len);
	if (r)
		return r;
	r = source_read_exact(db->src, off, b->data + b->len, len);
	if (r)
		return r;
	b->len += len;
	b->data[b->len] = '\0';
	return 0;
}

/* The pointers at `off`, of which there are as many as come before the word of ones. */
static int pointers_read(struct skiplist *db, struct skiplist_head *head, struct span bytes,
			 uint64_t off, uint64_t end)
{
	uint8_t words[4 * (SKIPLIST_LEVEL_MAX + 1)];
	uint64_t len = min_of(end - off, UINT64_C(4) * (db->header.max_level + 1));
	struct span all;
	uint32_t word;

	if (span_sub(bytes, off - head->off, len, &all)) {
		int r = source_read_exact(db->src, off, words, len);
		if (r)
			return r;
		all = span_of(words, len);
	}
	for (head->level = 0; head->level <= db->header.max_level; head->level++) {
		if (span_be32(all, UINT64_C(4) * head->level, &word))
			return -ERANGE;
		if (word == POINTERS_END)
			return head->level ? 0 : -EBADMSG;
		if (head->level < db->header.max_level)
			head->next[head->level] = word;
	}
	return -EBADMSG;
}

static int pair_read(struct skiplist *db, struct skiplist_head *head, struct buf *record,
		     struct span bytes, uint64_t end)
{
	uint64_t at = head->off + 8;
	uint32_t key_len, value_len;

	if (span_be32(bytes, 4, &key_len))
		return -ERANGE;
	if (key_len > KEY_MAX)
		return -EBADMSG;
	head->key_len = key_len;
	buf_clear(record);
	int r = add_bytes(db, record, bytes, head->off, at, padded(key_len) + 4, end);
	if (r)
		return r;
	if (span_be32(buf_span(record), padded(key_len), &value_len) || value_len > VALUE_MAX)
		return -EBADMSG;
	head->value_len = value_len;
	at += padded(key_len) + 4;
	r = add_bytes(db, record, bytes, head->off, at, padded(value_len), end);
	if (r)
		return r;
	at += padded(value_len);
	r = pointers_read(db, head, bytes, at, end);
	if (r)
		return r;
	head->len = at + UINT64_C(4) * (head->level + 1) - head->off;
	bool is_dummy = head->type == SKIPLIST_DUMMY;
	if (is_dummy != (head->off == SKIPLIST_HEADER_LEN) || is_dummy != (key_len == 0) ||
	    (is_dummy && (value_len || head->level != db->header.max_level)))
		return -EBADMSG;
	return 0;
}

static int record_read_once(struct skiplist *db, uint64_t off, uint64_t end, unsigned which)
{
	struct skiplist_head *head = &db->heads[which];
	struct span bytes;

	*head = (struct skiplist_head){ .off = off };
	if (off >= end)
		return -ERANGE;
	int r = lookahead_get(&db->ahead, db->src, off,
			      min_of(end - off, (uint64_t)LOOKAHEAD_READ_MAX), end, &bytes);
	if (r)
		return r;
	if (span_be32(bytes, 0, &head->type))
		return -ERANGE;
	switch (head->type) {
	case SKIPLIST_COMMIT:
		head->len = 4;
		return 0;
	case SKIPLIST_DELETE:
		head->len = 8;
		return span_be32(bytes, 4, &head->target);
	case SKIPLIST_INORDER:
	case SKIPLIST_ADD:
	case SKIPLIST_DUMMY:
		return pair_read(db, head, &db->records[which], bytes, end);
	default:
		return -EBADMSG;
	}
}

int skiplist_read_record(struct skiplist *db, uint64_t off, uint64_t end, unsigned which)
{
	int r = -EBADMSG;

	for (int i = 0; i < READ_TRIES; i++) {
		r = record_read_once(db, off, end, which);
		if (r == -ENODATA)
			r = -EBADMSG;
		if (r != -EBADMSG && r != -ERANGE)
			return r;
		lookahead_forget(&db->ahead);
	}
	return r;
}

struct span skiplist_value(const struct skiplist *db, unsigned which)
{
	const struct skiplist_head *head = &db->heads[which];

	return span_of(db->records[which].data + padded(head->key_len) + 4, head->value_len);
}

bool skiplist_padding_is_zero(const struct skiplist *db, unsigned which)
{
	const struct skiplist_head *head = &db->heads[which];
	const char *data = db->records[which].data;
	uint64_t value_at = padded(head->key_len) + 4;

	for (uint64_t i = head->key_len; i < padded(head->key_len); i++) {
		if (data[i])
			return false;
	}
	for (uint64_t i = value_at + head->value_len; i < value_at + padded(head->value_len); i++) {
		if (data[i])
			return false;
	}
	return true;
}

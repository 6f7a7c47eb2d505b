// SPDX-License-Identifier: Apache-2.0
/*
 * Head and tail of a record may come from two reads: tails never change, so they need not be of one
 * moment. A record that looks wrong in the window is read once more by itself, so that what is
 * believed to be wrong was read just now.
 */
#include "format/cyrus/twoskip_record.h"

#include <errno.h>

#include "base/clock.h"
#include "digest/digest.h"

#define BLANK " BLANK\x07\xa0"
#define BLANK_LEN 8 /* bytes */
#define HEAD_MIN 24 /* bytes: a prefix, one pointer and two CRCs */
#define KEY_MAX UINT64_C(65536)
#define VALUE_MAX UINT64_C(16777216)

#define LONG_KEY 0xffffu /* in place of a length: the true one follows in 8 bytes */
#define LONG_VALUE 0xffffffffu

#define CHUNK_LEN LOOKAHEAD_READ_MAX /* bytes: any head fits, and mostly the whole record */
#define READ_TRIES 3

/* The lengths of key and value. *at is where the pointers begin. */
static int lengths_parse(struct span bytes, struct twoskip_head *head, uint64_t *at)
{
	uint32_t value_len;

	if (span_be32(bytes, 4, &value_len))
		return -EBADMSG;
	head->key_len = (uint64_t)bytes.data[2] << 8 | bytes.data[3];
	head->value_len = value_len;
	*at = 8;
	if (head->key_len == LONG_KEY) {
		if (span_be64(bytes, *at, &head->key_len))
			return -EBADMSG;
		*at += 8;
	}
	if (head->value_len == LONG_VALUE) {
		if (span_be64(bytes, *at, &head->value_len))
			return -EBADMSG;
		*at += 8;
	}
	return 0;
}

/*
 * Parses a record head at `off` from the bytes that stand there. Key and value are bounded here,
 * before anybody allocates room for them.
 */
static int head_parse(struct span bytes, uint64_t off, uint64_t end, struct twoskip_head *head)
{
	uint64_t at;
	uint32_t crc;

	if (bytes.len < HEAD_MIN)
		return -EBADMSG;
	head->type = bytes.data[0];
	head->level = bytes.data[1];
	if (head->level > TWOSKIP_LEVEL_MAX || lengths_parse(bytes, head, &at))
		return -EBADMSG;
	head->next[1] = 0;
	for (unsigned i = 0; i <= head->level; i++, at += 8) {
		if (span_be64(bytes, at, &head->next[i]))
			return -EBADMSG;
	}
	if (span_be32(bytes, at, &crc) || span_be32(bytes, at + 4, &head->tail_crc) ||
	    crc != crc32_of(span_of(bytes.data, at)))
		return -EBADMSG;
	at += 8;
	if (head->key_len > KEY_MAX || head->value_len > VALUE_MAX)
		return -EBADMSG;
	head->tail_len = (head->key_len + head->value_len + 7) & ~UINT64_C(7);
	if (at + head->tail_len > end - off)
		return -EBADMSG;
	head->len = at;
	return 0;
}

/* Which types carry what. */
static bool head_is_plausible(const struct twoskip_head *head)
{
	bool empty = head->key_len == 0 && head->value_len == 0;

	switch (head->type) {
	case TWOSKIP_DUMMY:
		return head->level == TWOSKIP_LEVEL_MAX && empty;
	case TWOSKIP_PAIR:
		return head->level > 0 && head->key_len > 0;
	case TWOSKIP_DELETE:
	case TWOSKIP_COMMIT:
		return head->level == 0 && empty;
	default:
		return false;
	}
}

/* The tail of `head` at `off`: what `bytes`, which begin there, do not hold is read. */
static int tail_read(struct twoskip *db, uint64_t off, const struct twoskip_head *head,
		     struct span bytes)
{
	uint64_t have = min_of(bytes.len, head->tail_len);

	buf_clear(&db->record);
	int r = buf_reserve(&db->record, head->tail_len);
	if (r)
		return r;
	buf_add(&db->record, bytes.data, have);
	if (have < head->tail_len) {
		r = source_read_exact(db->src, off + have, db->record.data + have,
				      head->tail_len - have);
		if (r)
			return r;
		db->record.len = head->tail_len;
		db->record.data[head->tail_len] = '\0';
	}
	return crc32_of(buf_span(&db->record)) == head->tail_crc ? 0 : -EBADMSG;
}

static int record_read_once(struct twoskip *db, uint64_t off, struct twoskip_head *ret_head)
{
	uint64_t end = db->header.current_size;
	struct span bytes;

	ret_head->len = 0;
	if (off < TWOSKIP_DUMMY_OFF || off % 8 || off >= end)
		return -EBADMSG;
	int r = lookahead_get(&db->ahead, db->src, off, min_of(end - off, (uint64_t)CHUNK_LEN), end,
			      &bytes);
	if (r)
		return r;
	if (bytes.len >= BLANK_LEN && memcmp(bytes.data, BLANK, BLANK_LEN) == 0) {
		*ret_head = (struct twoskip_head){ .type = TWOSKIP_BLANK, .len = BLANK_LEN };
		return 0;
	}
	r = head_parse(bytes, off, end, ret_head);
	if (r)
		return r;
	if (!head_is_plausible(ret_head) ||
	    (ret_head->type == TWOSKIP_DUMMY) != (off == TWOSKIP_DUMMY_OFF))
		return -EBADMSG;
	return tail_read(db, off + ret_head->len, ret_head,
			 span_of(bytes.data + ret_head->len, bytes.len - ret_head->len));
}

int twoskip_read_record(struct twoskip *db, uint64_t off, struct twoskip_head *ret_head)
{
	for (int i = 0; i < READ_TRIES; i++) {
		/* A writer that was interrupted halfway through a head needs a moment. */
		if (i == READ_TRIES - 1 && db->header.dirty)
			clock_sleep_ns(NS_PER_MS);
		int r = record_read_once(db, off, ret_head);
		if (r != -EBADMSG && r != -ENODATA)
			return r;
		lookahead_forget(&db->ahead);
	}
	return -EBADMSG;
}

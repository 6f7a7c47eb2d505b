// SPDX-License-Identifier: Apache-2.0
/*
 * The walk sees the database as it was when twoskip_begin read the header: `current_size` of that
 * moment is the end of the world. Every record keeps two pointers to its successor, of which
 * writers replace the older, so the larger one below that end is the successor as of then. When
 * two later transactions have replaced both, there is none, and the walk must begin again.
 *
 * Whatever looks wrong is therefore judged by one question: is the header still the one the walk
 * began with? If it is, the file is damaged; if not, it moved under the reader, and that says
 * nothing about it. The walk ends for certain: keys ascend strictly and each record takes bytes
 * of its own.
 */
#include "format/cyrus/twoskip.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "digest/digest.h"
#include "format/cyrus/twoskip_record.h"

#define TWOSKIP_VERSION 1
#define TWOSKIP_DIRTY 1u

#define RECORD_MIN 40 /* bytes of a key/value record: two pointers, and a key padded to 8 */

#define READ_TRIES 3

static const char twoskip_magic[20] = "\xa1\x02\x8b\x0d"
				      "twoskip file";

/* The files that other engines of Cyrus keep, by how they begin. */
static bool magic_is_foreign(struct span bytes)
{
	return span_starts_with(bytes, "\xa1\x02\x8b\x0dskiplist file") ||
	       span_starts_with(bytes, "\xa1\x02\x8b\x0dtwomfile") ||
	       span_starts_with(bytes, "SQLite format 3");
}

/* The CRC that the header would carry if its version word said `version`. */
static uint32_t header_crc_as(struct span bytes, uint8_t version)
{
	uint8_t copy[TWOSKIP_HEADER_LEN];

	memcpy(copy, bytes.data, sizeof(copy));
	memset(copy + 20, 0, 3);
	copy[23] = version;
	return crc32_of(span_of(copy, 60));
}

int twoskip_parse_header(struct span bytes, struct twoskip_header *ret_header)
{
	struct twoskip_header header;
	uint32_t version, flags, crc;

	*ret_header = (struct twoskip_header){ 0 };
	if (magic_is_foreign(bytes))
		return -EPROTONOSUPPORT;
	if (bytes.len < TWOSKIP_HEADER_LEN ||
	    memcmp(bytes.data, twoskip_magic, sizeof(twoskip_magic)) != 0)
		return -EBADMSG;
	if (span_be32(bytes, 20, &version) || span_be64(bytes, 24, &header.generation) ||
	    span_be64(bytes, 32, &header.nr_records) || span_be64(bytes, 40, &header.repack_size) ||
	    span_be64(bytes, 48, &header.current_size) || span_be32(bytes, 56, &flags) ||
	    span_be32(bytes, 60, &crc))
		return -EBADMSG;
	header.dirty = flags & TWOSKIP_DIRTY;
	/*
	 * A damaged version word is told from a new version: with the known one the CRC is right.
	 */
	if (version != TWOSKIP_VERSION)
		return crc == header_crc_as(bytes, TWOSKIP_VERSION) ? -EBADMSG : -EPROTONOSUPPORT;
	if (crc != crc32_of(span_of(bytes.data, 60)))
		return -EBADMSG;
	if (header.current_size < TWOSKIP_DATA_OFF || header.current_size > INT64_MAX ||
	    header.current_size % 8 || header.repack_size < TWOSKIP_DATA_OFF ||
	    header.repack_size > header.current_size)
		return -EBADMSG;
	*ret_header = header;
	return 0;
}

/* The header as it is now. A torn read is tried again, the last time after a pause. */
int twoskip_read_header(struct source *src, struct twoskip_header *ret_header)
{
	uint8_t bytes[TWOSKIP_HEADER_LEN];
	int r = -EBADMSG;

	for (int i = 0; i < READ_TRIES && r == -EBADMSG; i++) {
		if (i == READ_TRIES - 1)
			clock_sleep_ns(NS_PER_MS);
		r = source_read_exact(src, 0, bytes, sizeof(bytes));
		if (r == 0)
			r = twoskip_parse_header(span_of(bytes, sizeof(bytes)), ret_header);
	}
	return r == -ENODATA ? -EBADMSG : r;
}

/* Any transaction, begun, committed or undone since, shows in one of these. */
bool twoskip_header_equals(const struct twoskip_header *a, const struct twoskip_header *b)
{
	return a->generation == b->generation && a->nr_records == b->nr_records &&
	       a->repack_size == b->repack_size && a->current_size == b->current_size &&
	       a->dirty == b->dirty;
}

/* What something wrong in the file means: see the top of this file. Never 0. */
int twoskip_judge(struct twoskip *db)
{
	struct twoskip_header now;
	int r = twoskip_read_header(db->src, &now);

	/* It was a twoskip when the walk began, so it was replaced. The next begin says by what. */
	if (r == -EPROTONOSUPPORT)
		return -EAGAIN;
	if (r)
		return r;
	return twoskip_header_equals(&now, &db->header) ? -EBADMSG : -EAGAIN;
}

/* Reads a record, and judges what cannot be read. */
static int record_read(struct twoskip *db, uint64_t off, struct twoskip_head *ret_head)
{
	int r = twoskip_read_record(db, off, ret_head);

	return r == -EBADMSG ? twoskip_judge(db) : r;
}

/* The offset of the record behind `head`, 0 at the end of the list. */
static int record_find_next(struct twoskip *db, const struct twoskip_head *head, uint64_t *ret_off)
{
	uint64_t end = db->header.current_size;
	uint64_t a = head->next[0], b = head->next[1];

	/* 0 is below every end: a pointer that was never set, or the end of the list. */
	if (a >= end && b >= end)
		return twoskip_judge(db);
	*ret_off = a >= end ? b : b >= end ? a : max_of(a, b);
	return 0;
}

int twoskip_begin(struct twoskip *db, struct source *src)
{
	struct twoskip_head dummy;
	uint64_t size;

	db->src = src;
	db->next = 0;
	db->nr_walked = 0;
	buf_clear(&db->last);
	buf_clear(&db->record);
	lookahead_forget(&db->ahead);
	db->ahead.last = 0;
	int r = twoskip_read_header(src, &db->header);
	if (r)
		return r;
	r = source_size(src, &size);
	if (r)
		return r;
	if (size < db->header.current_size)
		return twoskip_judge(db);
	r = record_read(db, TWOSKIP_DUMMY_OFF, &dummy);
	if (r)
		return r;
	return record_find_next(db, &dummy, &db->next);
}

/* Reads the record that the walk stands before. 0, TWOSKIP_END when a DELETE was the last. */
static int walk_read(struct twoskip *db, struct twoskip_head *ret_head, uint64_t *ret_off)
{
	*ret_off = db->next;
	int r = record_read(db, *ret_off, ret_head);

	if (r || ret_head->type == TWOSKIP_PAIR)
		return r;
	/* A DELETE points at the live record behind the deleted one, never at a second DELETE. */
	if (ret_head->type != TWOSKIP_DELETE)
		return twoskip_judge(db);
	if (ret_head->next[0] == 0)
		return TWOSKIP_END;
	*ret_off = ret_head->next[0];
	r = record_read(db, *ret_off, ret_head);
	if (r)
		return r;
	return ret_head->type == TWOSKIP_PAIR ? 0 : twoskip_judge(db);
}

/* Behind the last record: the count must be right, unless a transaction may be changing it. */
static int walk_end(struct twoskip *db)
{
	db->next = 0;
	if (!db->header.dirty && db->nr_walked != db->header.nr_records)
		return twoskip_judge(db);
	return TWOSKIP_END;
}

int twoskip_next_head(struct twoskip *db, struct twoskip_head *ret_head, uint64_t *ret_off)
{
	uint64_t next = 0;

	if (db->next == 0)
		return walk_end(db);
	int r = walk_read(db, ret_head, ret_off);
	if (r == TWOSKIP_END)
		return walk_end(db);
	if (r)
		return r;

	struct span key = span_of(db->record.data, ret_head->key_len);
	if (db->nr_walked > 0 && db_order_compare(db->order, buf_span(&db->last), key) >= 0)
		return twoskip_judge(db);
	/* More records than fit: cannot happen on a file that keeps still. */
	if (db->nr_walked >= (db->header.current_size - TWOSKIP_DATA_OFF) / RECORD_MIN)
		return twoskip_judge(db);
	r = record_find_next(db, ret_head, &next);
	if (r)
		return r;
	buf_clear(&db->last);
	buf_add_span(&db->last, key);
	r = buf_error(&db->last);
	if (r)
		return r;
	db->next = next;
	db->nr_walked++;
	return 0;
}

int twoskip_next(struct twoskip *db, struct span *ret_key, struct span *ret_value)
{
	struct twoskip_head head;
	uint64_t off;
	int r = twoskip_next_head(db, &head, &off);

	if (r)
		return r;
	*ret_key = span_of(db->record.data, head.key_len);
	*ret_value = span_of(db->record.data + head.key_len, head.value_len);
	return 0;
}

void twoskip_fini(struct twoskip *db)
{
	buf_fini(&db->last);
	buf_fini(&db->record);
	lookahead_fini(&db->ahead);
	*db = TWOSKIP_NULL;
}

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

#define TWOSKIP_VERSION 1
#define TWOSKIP_DIRTY 1u

#define DUMMY_OFF 64  /* bytes; the record that all pointers start from */
#define DATA_OFF 336  /* bytes; behind the dummy and its 32 pointers */
#define LEVEL_MAX 31  /* of the dummy, and of any record */
#define HEAD_MIN 24   /* bytes: a prefix, one pointer and two CRCs */
#define RECORD_MIN 40 /* bytes of a key/value record: two pointers, and a key padded to 8 */
#define KEY_MAX UINT64_C(65536)
#define VALUE_MAX UINT64_C(16777216)

#define LONG_KEY 0xffffu /* in place of a length: the true one follows in 8 bytes */
#define LONG_VALUE 0xffffffffu

#define CHUNK_LEN 512 /* bytes read at once: any head, and mostly the whole record */
#define READ_TRIES 3

enum record_type {
	RECORD_DUMMY = '=',
	RECORD_PAIR = '+',
	RECORD_DELETE = '-',
};

struct record_head {
	uint8_t type;
	uint8_t level;
	uint64_t key_len;
	uint64_t value_len;
	uint64_t len;	   /* bytes of the head, with its CRCs */
	uint64_t tail_len; /* bytes of key, value and padding */
	uint64_t next[2];  /* the candidates for the successor; a DELETE has only the first */
	uint32_t tail_crc;
};

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
	/* A damaged version word is told from a new version: with the known one the CRC is right. */
	if (version != TWOSKIP_VERSION)
		return crc == header_crc_as(bytes, TWOSKIP_VERSION) ? -EBADMSG : -EPROTONOSUPPORT;
	if (crc != crc32_of(span_of(bytes.data, 60)))
		return -EBADMSG;
	if (header.current_size < DATA_OFF || header.current_size > INT64_MAX ||
	    header.current_size % 8 || header.repack_size < DATA_OFF ||
	    header.repack_size > header.current_size)
		return -EBADMSG;
	*ret_header = header;
	return 0;
}

/*
 * Parses a record head at `off` from the bytes that stand there. Key and value are bounded here,
 * before anybody allocates room for them.
 */
static int head_parse(struct span bytes, uint64_t off, uint64_t end, struct record_head *ret_head)
{
	struct record_head head = { 0 };
	uint64_t at = 8;
	uint32_t value_len, crc;

	if (bytes.len < HEAD_MIN || span_be32(bytes, 4, &value_len))
		return -EBADMSG;
	head.type = bytes.data[0];
	head.level = bytes.data[1];
	head.key_len = (uint64_t)bytes.data[2] << 8 | bytes.data[3];
	head.value_len = value_len;
	if (head.level > LEVEL_MAX)
		return -EBADMSG;
	if (head.key_len == LONG_KEY) {
		if (span_be64(bytes, at, &head.key_len))
			return -EBADMSG;
		at += 8;
	}
	if (head.value_len == LONG_VALUE) {
		if (span_be64(bytes, at, &head.value_len))
			return -EBADMSG;
		at += 8;
	}
	if (span_be64(bytes, at, &head.next[0]) ||
	    (head.level > 0 && span_be64(bytes, at + 8, &head.next[1])))
		return -EBADMSG;
	at += UINT64_C(8) * (head.level + 1u);
	if (span_be32(bytes, at, &crc) || span_be32(bytes, at + 4, &head.tail_crc) ||
	    crc != crc32_of(span_of(bytes.data, at)))
		return -EBADMSG;
	head.len = at + 8;
	if (head.key_len > KEY_MAX || head.value_len > VALUE_MAX)
		return -EBADMSG;
	head.tail_len = (head.key_len + head.value_len + 7) & ~UINT64_C(7);
	if (head.len + head.tail_len > end - off)
		return -EBADMSG;
	*ret_head = head;
	return 0;
}

/* Which types carry what. A COMMIT is never pointed at, so it is none of these. */
static bool head_is_plausible(const struct record_head *head)
{
	bool empty = head->key_len == 0 && head->value_len == 0;

	switch (head->type) {
	case RECORD_DUMMY:
		return head->level == LEVEL_MAX && empty;
	case RECORD_PAIR:
		return head->level > 0 && head->key_len > 0;
	case RECORD_DELETE:
		return head->level == 0 && empty;
	default:
		return false;
	}
}

/*
 * One try to read the record at `off`; its key and value go to db->record. The first read takes a
 * chunk that holds any head and mostly the whole record. Head and tail may come from two reads:
 * tails never change, so they need not be of one moment.
 */
static int record_read_once(struct twoskip *db, uint64_t off, struct record_head *ret_head)
{
	uint8_t chunk[CHUNK_LEN];
	uint64_t end = db->header.current_size;
	struct record_head head;

	if (off < DUMMY_OFF || off % 8 || off >= end)
		return -EBADMSG;
	uint64_t have = min_of(end - off, (uint64_t)CHUNK_LEN);
	int r = source_read_exact(db->src, off, chunk, have);
	if (r)
		return r;
	r = head_parse(span_of(chunk, have), off, end, &head);
	if (r)
		return r;
	if (!head_is_plausible(&head) || (head.type == RECORD_DUMMY) != (off == DUMMY_OFF))
		return -EBADMSG;
	buf_clear(&db->record);
	r = buf_reserve(&db->record, head.tail_len);
	if (r)
		return r;
	have = min_of(have - head.len, head.tail_len);
	buf_add(&db->record, chunk + head.len, have);
	if (have < head.tail_len) {
		r = source_read_exact(db->src, off + head.len + have, db->record.data + have,
				      head.tail_len - have);
		if (r)
			return r;
		db->record.len = head.tail_len;
		db->record.data[head.tail_len] = '\0';
	}
	if (crc32_of(buf_span(&db->record)) != head.tail_crc)
		return -EBADMSG;
	*ret_head = head;
	return 0;
}

/* The header as it is now. A torn read is tried again, the last time after a pause. */
static int header_read(struct source *src, struct twoskip_header *ret_header)
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
static bool header_equals(const struct twoskip_header *a, const struct twoskip_header *b)
{
	return a->generation == b->generation && a->nr_records == b->nr_records &&
	       a->repack_size == b->repack_size && a->current_size == b->current_size &&
	       a->dirty == b->dirty;
}

/* What something wrong in the file means: see the top of this file. Never 0. */
static int db_judge(struct twoskip *db)
{
	struct twoskip_header now;
	int r = header_read(db->src, &now);

	/* It was a twoskip when the walk began, so it was replaced. The next begin says by what. */
	if (r == -EPROTONOSUPPORT)
		return -EAGAIN;
	if (r)
		return r;
	return header_equals(&now, &db->header) ? -EBADMSG : -EAGAIN;
}

/* Reads a record, and judges what cannot be read. */
static int record_read(struct twoskip *db, uint64_t off, struct record_head *ret_head)
{
	for (int i = 0; i < READ_TRIES; i++) {
		/* A writer that was interrupted halfway through a head needs a moment. */
		if (i == READ_TRIES - 1 && db->header.dirty)
			clock_sleep_ns(NS_PER_MS);
		int r = record_read_once(db, off, ret_head);
		if (r != -EBADMSG && r != -ENODATA)
			return r;
	}
	return db_judge(db);
}

/* The offset of the record behind `head`, 0 at the end of the list. */
static int record_find_next(struct twoskip *db, const struct record_head *head, uint64_t *ret_off)
{
	uint64_t end = db->header.current_size;
	uint64_t a = head->next[0], b = head->next[1];

	/* 0 is below every end: a pointer that was never set, or the end of the list. */
	if (a >= end && b >= end)
		return db_judge(db);
	*ret_off = a >= end ? b : b >= end ? a : max_of(a, b);
	return 0;
}

int twoskip_begin(struct twoskip *db, struct source *src)
{
	struct record_head dummy;
	uint64_t size;

	db->src = src;
	db->next = 0;
	db->nr_walked = 0;
	buf_clear(&db->last);
	buf_clear(&db->record);
	int r = header_read(src, &db->header);
	if (r)
		return r;
	r = source_size(src, &size);
	if (r)
		return r;
	if (size < db->header.current_size)
		return db_judge(db);
	r = record_read(db, DUMMY_OFF, &dummy);
	if (r)
		return r;
	return record_find_next(db, &dummy, &db->next);
}

/* Reads the record that the walk stands before. 0, TWOSKIP_END when a DELETE was the last. */
static int walk_read(struct twoskip *db, struct record_head *ret_head)
{
	int r = record_read(db, db->next, ret_head);

	if (r || ret_head->type == RECORD_PAIR)
		return r;
	/* A DELETE points at the live record behind the deleted one, never at a second DELETE. */
	if (ret_head->type != RECORD_DELETE)
		return db_judge(db);
	if (ret_head->next[0] == 0)
		return TWOSKIP_END;
	r = record_read(db, ret_head->next[0], ret_head);
	if (r)
		return r;
	return ret_head->type == RECORD_PAIR ? 0 : db_judge(db);
}

/* Behind the last record: the count must be right, unless a transaction may be changing it. */
static int walk_end(struct twoskip *db)
{
	db->next = 0;
	if (!db->header.dirty && db->nr_walked != db->header.nr_records)
		return db_judge(db);
	return TWOSKIP_END;
}

int twoskip_next(struct twoskip *db, struct span *ret_key, struct span *ret_value)
{
	struct record_head head;
	uint64_t next = 0;

	if (db->next == 0)
		return walk_end(db);
	int r = walk_read(db, &head);
	if (r == TWOSKIP_END)
		return walk_end(db);
	if (r)
		return r;

	struct span key = span_of(db->record.data, head.key_len);
	if (db->nr_walked > 0 && span_compare(buf_span(&db->last), key) >= 0)
		return db_judge(db);
	/* More records than fit: cannot happen on a file that keeps still. */
	if (db->nr_walked >= (db->header.current_size - DATA_OFF) / RECORD_MIN)
		return db_judge(db);
	r = record_find_next(db, &head, &next);
	if (r)
		return r;
	buf_clear(&db->last);
	buf_add_span(&db->last, key);
	r = buf_error(&db->last);
	if (r)
		return r;
	db->next = next;
	db->nr_walked++;
	*ret_key = key;
	*ret_value = span_of(db->record.data + head.key_len, head.value_len);
	return 0;
}

void twoskip_fini(struct twoskip *db)
{
	buf_fini(&db->last);
	buf_fini(&db->record);
	*db = TWOSKIP_NULL;
}

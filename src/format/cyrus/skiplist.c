// SPDX-License-Identifier: Apache-2.0
/*
 * A file is a header, a dummy, records in order, and from log_start on a log:
 *
 *	[header][dummy][INORDER]...[INORDER] | [ADD]$ [DELETE][ADD]$ [ADD...
 *	               `------ merged with the sorted, live ADDs -----'  `-- not closed: not there
 *
 * Whatever looks wrong is judged by one question: are header and size still those that the walk
 * began with? Every transaction makes the file longer, and every rewrite is another file.
 */
#include "format/cyrus/skiplist_record.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>

#include "base/clock.h"

#define READ_TRIES 3
#define COMMIT_WORD 255

struct skiplist_added {
	uint32_t off;
	uint32_t key_len;
	uint64_t key_at; /* in db->keys */
};

/* ---- the header ----------------------------------------------------------------------------- */

int skiplist_parse_header(struct span bytes, struct skiplist_header *ret_header)
{
	struct skiplist_header header;
	struct span magic;

	*ret_header = (struct skiplist_header){ 0 };
	if (span_starts_with(bytes, "\xa1\x02\x8b\x0dtwoskip file") ||
	    span_starts_with(bytes, "\xa1\x02\x8b\x0dtwomfile") ||
	    span_starts_with(bytes, "SQLite format 3"))
		return -EPROTONOSUPPORT;
	if (bytes.len < SKIPLIST_HEADER_LEN || span_sub(bytes, 0, 20, &magic) ||
	    !span_equals(magic, span_of("\xa1\x02\x8b\x0dskiplist file\0\0\0", 20)))
		return -EBADMSG;
	if (span_be32(bytes, 20, &header.version) || span_be32(bytes, 24, &header.minor) ||
	    span_be32(bytes, 28, &header.max_level) || span_be32(bytes, 32, &header.level) ||
	    span_be32(bytes, 36, &header.nr_records) || span_be32(bytes, 40, &header.log_start) ||
	    span_be32(bytes, 44, &header.last_recovery))
		return -EBADMSG;
	if (header.version != 1 || header.minor < 1 || header.minor > 2 || header.max_level < 1 ||
	    header.max_level > SKIPLIST_LEVEL_MAX || header.level > header.max_level ||
	    header.log_start < skiplist_data_off(&header) || header.log_start % 4)
		return -EBADMSG;
	*ret_header = header;
	return 0;
}

static int header_read(struct source *src, struct skiplist_header *ret_header)
{
	uint8_t bytes[SKIPLIST_HEADER_LEN];
	int r = -EBADMSG;

	for (int i = 0; i < READ_TRIES && r == -EBADMSG; i++) {
		if (i == READ_TRIES - 1)
			clock_sleep_ns(NS_PER_MS);
		r = source_read_exact(src, 0, bytes, sizeof(bytes));
		if (r == 0)
			r = skiplist_parse_header(span_of(bytes, sizeof(bytes)), ret_header);
	}
	return r == -ENODATA ? -EBADMSG : r;
}

/* Cyrus cuts a file that it has replaced down to nothing, so size comes first. */
int skiplist_judge(struct skiplist *db)
{
	struct skiplist_header now;
	uint64_t size;
	int r = source_size(db->src, &size);

	if (r)
		return r;
	if (size != db->size)
		return -EAGAIN;
	r = header_read(db->src, &now);
	if (r)
		return r == -EPROTONOSUPPORT ? -EAGAIN : r;
	return memcmp(&now, &db->header, sizeof(now)) == 0 ? -EBADMSG : -EAGAIN;
}

/* ---- the log -------------------------------------------------------------------------------- */

static struct skiplist_added *added_of(const struct skiplist *db)
{
	return (struct skiplist_added *)db->added.data;
}

static uint32_t *deleted_of(const struct skiplist *db)
{
	return (uint32_t *)db->deleted.data;
}

static uint64_t nr_added(const struct skiplist *db)
{
	return db->added.len / sizeof(struct skiplist_added);
}

static uint64_t nr_deleted(const struct skiplist *db)
{
	return db->deleted.len / sizeof(uint32_t);
}

/* Takes a record of the log in. -EBADMSG for one that does not belong there. */
static int log_take(struct skiplist *db, const struct skiplist_head *head)
{
	if (head->type == SKIPLIST_ADD) {
		struct skiplist_added added = { (uint32_t)head->off, (uint32_t)head->key_len,
						db->keys.len };
		if (nr_added(db) >= SKIPLIST_LOG_MAX ||
		    db->keys.len + head->key_len > SKIPLIST_KEYS_MAX)
			return -E2BIG;
		buf_add(&db->keys, db->records[1].data, head->key_len);
		buf_add(&db->added, &added, sizeof(added));
		return buf_error(&db->keys) || buf_error(&db->added) ? -ENOMEM : 0;
	}
	if (head->type != SKIPLIST_DELETE || head->target < skiplist_data_off(&db->header) ||
	    head->target >= head->off || head->target % 4)
		return -EBADMSG;
	if (nr_deleted(db) >= SKIPLIST_LOG_MAX)
		return -E2BIG;
	buf_add(&db->deleted, &head->target, sizeof(head->target));
	return buf_error(&db->deleted);
}

/* True when nothing but zeros stands from `off` to the end of the file. */
static int rest_is_zero(struct skiplist *db, uint64_t off, bool *ret_zero)
{
	uint8_t bytes[4096];

	*ret_zero = true;
	while (*ret_zero && off < db->size) {
		uint64_t n = min_of(db->size - off, (uint64_t)sizeof(bytes));
		int r = source_read_exact(db->src, off, bytes, n);
		if (r)
			return r == -ENODATA ? -EBADMSG : r;
		for (uint64_t i = 0; i < n; i++)
			*ret_zero = *ret_zero && bytes[i] == 0;
		off += n;
	}
	return 0;
}

/*
 * What cannot be read behind the last COMMIT: 0 when a crash may have left it: a record that the
 * end of the file cuts off, or room that was never written. A file that ends in a COMMIT was left
 * by none.
 */
static int log_judge_tail(struct skiplist *db, uint64_t off, bool is_cut)
{
	uint8_t word[4];
	uint32_t last = 0;
	bool is_zero;
	int r = source_read_exact(db->src, db->size - sizeof(word), word, sizeof(word));

	if (r == 0 && span_be32(span_of(word, sizeof(word)), 0, &last))
		r = -EBADMSG;
	if (r)
		return r == -ENODATA ? -EBADMSG : r;
	if (last == COMMIT_WORD && db->size % 4 == 0)
		return -EBADMSG;
	if (is_cut)
		return 0;
	r = rest_is_zero(db, off, &is_zero);
	if (r)
		return r;
	return is_zero ? 0 : -EBADMSG;
}

/* Reads the log and keeps what the last COMMIT closed. */
static int log_read(struct skiplist *db)
{
	uint64_t added = 0, deleted = 0;
	int r = 0;

	db->end = db->header.log_start;
	for (uint64_t off = db->end; r == 0 && off < db->size; off += db->heads[1].len) {
		db->off = off;
		r = skiplist_read_record(db, off, db->size, 1);
		if (r == -EBADMSG || r == -ERANGE) {
			r = log_judge_tail(db, off, r == -ERANGE);
			break;
		}
		if (r == 0 && db->heads[1].type == SKIPLIST_COMMIT) {
			added = db->added.len;
			deleted = db->deleted.len;
			db->end = off + db->heads[1].len;
		} else if (r == 0) {
			r = log_take(db, &db->heads[1]);
		}
	}
	db->added.len = added;
	db->deleted.len = deleted;
	return r;
}

static int compare_offs(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static int compare_keys(struct skiplist *db, struct span a, struct span b)
{
	return db_order_compare(db->order == DB_ORDER_BYTES ? DB_ORDER_CHARS : db->order, a, b);
}

static struct span key_of(const struct skiplist *db, const struct skiplist_added *added)
{
	return span_of(db->keys.data + added->key_at, added->key_len);
}

static int compare_added(const void *a, const void *b, void *ctx)
{
	return compare_keys(ctx, key_of(ctx, a), key_of(ctx, b));
}

/* Strikes from the additions what was deleted later, and from the deletions those that did it. */
static int log_settle(struct skiplist *db)
{
	struct skiplist_added *added = added_of(db);
	uint32_t *deleted = deleted_of(db);
	uint64_t nr = nr_deleted(db), kept = 0, d = 0;

	if (nr)
		qsort(deleted, nr, sizeof(*deleted), compare_offs);
	for (uint64_t i = 1; i < nr; i++) {
		db->off = deleted[i];
		if (deleted[i] == deleted[i - 1])
			return -EBADMSG;
	}
	while (d < nr && deleted[d] < db->header.log_start)
		d++;
	db->deleted.len = d * sizeof(*deleted);
	for (uint64_t i = 0; i < nr_added(db); i++) {
		if (d < nr && deleted[d] == added[i].off)
			d++;
		else
			added[kept++] = added[i];
	}
	db->off = d < nr ? deleted[d] : 0;
	if (d < nr)
		return -EBADMSG; /* it deletes what is no record */
	db->added.len = kept * sizeof(*added);
	if (kept)
		qsort_r(added, kept, sizeof(*added), compare_added, db);
	return 0;
}

/* ---- the walk ------------------------------------------------------------------------------- */

static void walk_reset(struct skiplist *db, struct source *src)
{
	db->src = src;
	db->off = db->next = db->end = 0;
	db->nr_walked = db->next_added = db->next_deleted = 0;
	for (int i = 0; i < 2; i++) {
		db->heads[i] = (struct skiplist_head){ 0 };
		buf_clear(&db->records[i]);
	}
	buf_clear(&db->added);
	buf_clear(&db->keys);
	buf_clear(&db->deleted);
	buf_clear(&db->last);
	lookahead_forget(&db->ahead);
	db->ahead.last = 0;
}

int skiplist_begin(struct skiplist *db, struct source *src)
{
	walk_reset(db, src);
	int r = source_size(src, &db->size);
	if (r)
		return r;
	if (db->size == 0)
		return -EAGAIN;
	r = header_read(src, &db->header);
	if (r == -EBADMSG && source_size(src, &db->size) == 0 && db->size == 0)
		return -EAGAIN;
	if (r)
		return r;
	if (db->size < db->header.log_start || db->size > UINT32_MAX) {
		db->off = db->size;
		return skiplist_judge(db);
	}
	r = log_read(db);
	if (r == 0)
		r = log_settle(db);
	db->heads[1].off = 0; /* none is at hand yet */
	db->next = skiplist_data_off(&db->header);
	return r == -EBADMSG ? skiplist_judge(db) : r;
}

/* Makes sure that the next live record of those in order is at hand, if there is one. */
static int walk_load_inorder(struct skiplist *db)
{
	struct skiplist_head *head = &db->heads[0];

	while (head->off == 0 && db->next < db->header.log_start) {
		bool more = db->next_deleted < nr_deleted(db);
		uint64_t deleted = more ? deleted_of(db)[db->next_deleted] : UINT64_MAX;

		db->off = db->next;
		int r = skiplist_read_record(db, db->off, db->header.log_start, 0);
		if (r == 0 && (head->type != SKIPLIST_INORDER || deleted < db->off))
			r = -EBADMSG;
		if (r) {
			head->off = 0;
			return r == -ERANGE ? -EBADMSG : r;
		}
		db->next = db->off + head->len;
		if (deleted == db->off) {
			db->next_deleted++;
			head->off = 0;
		}
	}
	if (head->off == 0 && db->next_deleted < nr_deleted(db))
		return -EBADMSG; /* it deletes what is no record */
	return 0;
}

static int walk_load_added(struct skiplist *db)
{
	if (db->heads[1].off || db->next_added >= nr_added(db))
		return 0;
	db->off = added_of(db)[db->next_added].off;
	int r = skiplist_read_record(db, db->off, db->end, 1);
	if (r) {
		db->heads[1].off = 0;
		return r == -ERANGE ? -EBADMSG : r;
	}
	db->next_added++;
	return 0;
}

struct span skiplist_key(const struct skiplist *db, unsigned which)
{
	return span_of(db->records[which].data, db->heads[which].key_len);
}

/* Which of the records at hand comes first. 2: there is none. */
static int walk_choose(struct skiplist *db, unsigned *ret_which)
{
	int r = walk_load_inorder(db);

	if (r == 0)
		r = walk_load_added(db);
	if (r)
		return r;
	if (!db->heads[0].off || !db->heads[1].off) {
		*ret_which = db->heads[0].off ? 0 : db->heads[1].off ? 1 : 2;
		return 0;
	}
	*ret_which = compare_keys(db, skiplist_key(db, 0), skiplist_key(db, 1)) > 0;
	return 0;
}

int skiplist_next_head(struct skiplist *db, unsigned *ret_which)
{
	int r = walk_choose(db, ret_which);

	if (r)
		return r == -EBADMSG ? skiplist_judge(db) : r;
	if (*ret_which == 2)
		return SKIPLIST_END;

	struct span key = skiplist_key(db, *ret_which);
	db->off = db->heads[*ret_which].off;
	if (db->nr_walked > 0 && compare_keys(db, buf_span(&db->last), key) >= 0)
		return skiplist_judge(db);
	buf_clear(&db->last);
	buf_add_span(&db->last, key);
	r = buf_error(&db->last);
	if (r)
		return r;
	db->nr_walked++;
	return 0;
}

int skiplist_next(struct skiplist *db, struct span *ret_key, struct span *ret_value)
{
	unsigned which;
	int r = skiplist_next_head(db, &which);

	if (r)
		return r;
	*ret_key = skiplist_key(db, which);
	*ret_value = skiplist_value(db, which);
	db->heads[which].off = 0; /* handed out */
	return 0;
}

void skiplist_fini(struct skiplist *db)
{
	for (int i = 0; i < 2; i++)
		buf_fini(&db->records[i]);
	buf_fini(&db->added);
	buf_fini(&db->keys);
	buf_fini(&db->deleted);
	buf_fini(&db->last);
	lookahead_fini(&db->ahead);
	*db = SKIPLIST_NULL;
}

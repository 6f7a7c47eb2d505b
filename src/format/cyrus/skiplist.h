/* SPDX-License-Identifier: Apache-2.0 */
/*
 * skiplist, the database engine of Cyrus up to 2.4, still met for mailbox lists and conversations.
 * It holds no checksum: what can be judged is structure: types, bounds, order of keys, agreement of
 * the lists with the log. Source: real files of 3.6.1, and lib/cyrusdb_skiplist.c.
 *
 * Forward pointers are rewritten in place without a journal, so under a writer and after a crash
 * only the log is to be trusted. The walk therefore follows no pointer: up to log_start all is in
 * order, and what was added and deleted behind it, up to the last COMMIT, is merged in. Keys and
 * values never change in place, so it sees the database as it was when it began, without a lock.
 *
 * Nothing is mapped. A reader holds a window of 64 KiB, two records, and the keys of the log. One
 * reader belongs to one thread.
 */
#ifndef FORMAT_CYRUS_SKIPLIST_H
#define FORMAT_CYRUS_SKIPLIST_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "base/span.h"
#include "format/cyrus/db_order.h"
#include "format/cyrus/lookahead.h"
#include "io/source.h"

#define SKIPLIST_HEADER_LEN 48 /* bytes */
#define SKIPLIST_LEVEL_MAX 20
#define SKIPLIST_LOG_MAX 4194304    /* additions, and deletions, in the log */
#define SKIPLIST_KEYS_MAX 134217728 /* bytes of keys in it */

struct skiplist_header {
	uint32_t version, minor;
	uint32_t max_level, level;
	uint32_t nr_records;	/* "listsize": as of the last rewrite; not to be trusted */
	uint32_t log_start;	/* bytes: before it, all is in order */
	uint32_t last_recovery; /* seconds since the epoch */
};

/*
 * -EBADMSG: magic, version (1.1 and 1.2 are all there ever were), levels or log_start are wrong, or
 * there are fewer than SKIPLIST_HEADER_LEN bytes. -EPROTONOSUPPORT: the magic of another engine. A
 * failure leaves *ret_header zeroed.
 */
int skiplist_parse_header(struct span bytes, struct skiplist_header *ret_header) must_check;

struct skiplist_head {
	uint64_t off;
	uint32_t type;
	uint32_t level; /* how many pointers there are */
	uint64_t key_len;
	uint64_t value_len;
	uint64_t len;	 /* bytes of the record */
	uint32_t target; /* what a DELETE deletes */
	uint32_t next[SKIPLIST_LEVEL_MAX];
};

struct skiplist {
	struct source *src;  /* borrowed */
	enum db_order order; /* the caller's to set before skiplist_begin, which keeps it; BYTES
				stands for CHARS, for so Cyrus compares in this engine */
	struct skiplist_header header;
	uint64_t size; /* bytes, when the walk began */
	uint64_t end;  /* bytes: behind the last COMMIT; less than size while one is missing */
	uint64_t off;  /* of what is looked at, and of what is wrong after -EBADMSG */
	uint64_t next; /* offset of the next record of those in order */
	uint64_t nr_walked;
	struct buf added;   /* struct skiplist_added of the log, sorted by key, owned */
	struct buf keys;    /* of these, owned */
	struct buf deleted; /* offsets, sorted, owned */
	uint64_t next_added, next_deleted;
	struct skiplist_head heads[2]; /* the records at hand: in order, added; off 0: none */
	struct buf records[2];	       /* their keys and values, owned */
	struct buf last;	       /* the key handed out last, owned */
	struct lookahead ahead;
};

#define SKIPLIST_NULL ((struct skiplist){ 0 })

/*
 * Results, and who owns what, as twoskip_begin, twoskip_next and twoskip_fini. The log is read by
 * skiplist_begin; -E2BIG: it is longer than SKIPLIST_LOG_MAX or SKIPLIST_KEYS_MAX. A last
 * transaction that was not closed, or that a crash cut off or left as zeros, does not count.
 * -EAGAIN also for an empty file: Cyrus empties one that it has just replaced.
 */
enum { SKIPLIST_END = 1 };
int skiplist_begin(struct skiplist *db, struct source *src) must_check;
int skiplist_next(struct skiplist *db, struct span *ret_key, struct span *ret_value) must_check;
void skiplist_fini(struct skiplist *db);

/*
 * The whole file: every record, also dead ones, must be one, each deletion must delete what was
 * there, and, unless a last transaction was not closed, the list of each level must lead to the
 * live records of that level in their order. Results as twoskip_check, and -E2BIG.
 *
 * Pointers have no journal, and Cyrus mends those of a crash record by record under a header that
 * says nothing of it. A pointer must therefore stay wrong for most of a second to be -EBADMSG; one
 * that a crash of the host left behind is, until Cyrus has recovered the file.
 */
int skiplist_check(struct source *src, enum db_order order, uint64_t *ret_off) must_check;

#endif

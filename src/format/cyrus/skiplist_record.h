/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the walk and the check of skiplist share: records as they stand in the file. Not for others.
 */
#ifndef FORMAT_CYRUS_SKIPLIST_RECORD_H
#define FORMAT_CYRUS_SKIPLIST_RECORD_H

#include "format/cyrus/skiplist.h"

enum skiplist_type {
	SKIPLIST_INORDER = 1,
	SKIPLIST_ADD = 2,
	SKIPLIST_DELETE = 4,
	SKIPLIST_COMMIT = 255,
	SKIPLIST_DUMMY = 257,
};

/* Where the records begin: behind the dummy, which has all levels. */
static inline uint64_t skiplist_data_off(const struct skiplist_header *header)
{
	return SKIPLIST_HEADER_LEN + 16 + UINT64_C(4) * header->max_level;
}

/*
 * Reads the record at `off`, which must lie before `end`: its head to db->heads[which], its key and
 * value to db->records[which]. What looks wrong is read again. -EBADMSG: it is none; -ERANGE: it
 * would reach beyond `end`; or the errno of a read.
 */
int skiplist_read_record(struct skiplist *db, uint64_t off, uint64_t end,
			 unsigned which) must_check;

/* Key and value of the record at hand. */
struct span skiplist_key(const struct skiplist *db, unsigned which);
struct span skiplist_value(const struct skiplist *db, unsigned which);
bool skiplist_padding_is_zero(const struct skiplist *db, unsigned which);

/* What something wrong in the file means: -EBADMSG, -EAGAIN or the errno of a read. */
int skiplist_judge(struct skiplist *db) must_check;

/*
 * As skiplist_next, but the record stays at hand: the caller sets db->heads[*ret_which].off to 0
 * when it is done with it.
 */
int skiplist_next_head(struct skiplist *db, unsigned *ret_which) must_check;

/* As skiplist_check, but what looks wrong is not checked again, and nothing is waited for. */
int skiplist_check_once(struct source *src, enum db_order order, uint64_t *ret_off) must_check;

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A database of Cyrus, whatever engine wrote it: told by its first bytes, walked in the order of
 * its keys, checked as a whole. Lock-free; see the engines for how.
 */
#ifndef FORMAT_CYRUS_DB_H
#define FORMAT_CYRUS_DB_H

#include <stdint.h>

#include "base/compiler.h"
#include "base/span.h"
#include "format/cyrus/db_order.h"
#include "format/cyrus/flat.h"
#include "format/cyrus/skiplist.h"
#include "format/cyrus/twoskip.h"
#include "io/source.h"

enum db_engine {
	DB_TWOSKIP,
	DB_SKIPLIST,
	DB_FLAT,
	DB_TWOM,   /* recognised, not read */
	DB_SQLITE, /* recognised, not read */
	DB_UNKNOWN,
	DB_ENGINE_COUNT_,
};

const char *db_engine_name(enum db_engine engine); /* "twoskip"... */

/*
 * By the first 20 bytes, or fewer at the end of a short file; an empty file is DB_FLAT, though it
 * may be a skiplist that Cyrus has just replaced: who knows its name opens it anew before believing
 * that it is empty. A few bits that are wrong in a magic do not hide it: the engine then finds the
 * damage.
 */
enum db_engine db_engine_of(struct span bytes);

struct db {
	enum db_engine engine;
	enum db_order order; /* the caller's to set before db_begin, which keeps it */
	struct twoskip twoskip;
	struct skiplist skiplist;
	struct flat flat;
};

#define DB_NULL ((struct db){ .engine = DB_UNKNOWN })

/*
 * As twoskip_begin, twoskip_next, twoskip_fini. -EPROTONOSUPPORT: an engine that is recognised and
 * not read, or none at all; db->engine says which.
 */
enum { DB_END = 1 };
int db_begin(struct db *db, struct source *src) must_check;
int db_next(struct db *db, struct span *ret_key, struct span *ret_value) must_check;
void db_fini(struct db *db);

/*
 * Checks everything in the file, also what a walk does not come by: see twoskip_check,
 * skiplist_check and flat_check. 0; -EAGAIN: the file changed under the check; -EBADMSG with
 * *ret_off, the offset in bytes of what is wrong; -EPROTONOSUPPORT; or the errno of a read.
 */
int db_check(struct source *src, enum db_order order, uint64_t *ret_off) must_check;

#endif

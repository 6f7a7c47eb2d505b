// SPDX-License-Identifier: Apache-2.0
/*
 * Which engine, and on to it.
 */
#include "format/cyrus/db.h"

#include <errno.h>

#define MAGIC_LEN 20	 /* bytes, of the longest */
#define MAGIC_BITS_MAX 8 /* that may be wrong in one */

struct magic {
	enum db_engine engine;
	uint8_t len;
	const char *bytes;
};

static const struct magic magics[] = {
	{ DB_TWOSKIP, 20, "\xa1\x02\x8b\x0dtwoskip file\0\0\0\0" },
	{ DB_SKIPLIST, 20, "\xa1\x02\x8b\x0dskiplist file\0\0\0" },
	{ DB_TWOM, 16, "\xa1\x02\x8b\x0dtwomfile\0\0\0\0" },
	{ DB_SQLITE, 16, "SQLite format 3\0" },
};

const char *db_engine_name(enum db_engine engine)
{
	static const char *const names[DB_ENGINE_COUNT_] = {
		[DB_TWOSKIP] = "twoskip", [DB_SKIPLIST] = "skiplist", [DB_FLAT] = "flat",
		[DB_TWOM] = "twom",	  [DB_SQLITE] = "sqlite",     [DB_UNKNOWN] = "unknown",
	};

	return names[engine < DB_ENGINE_COUNT_ ? engine : DB_UNKNOWN];
}

static unsigned count_wrong_bits(struct span bytes, const struct magic *magic)
{
	unsigned nr = 0;

	for (uint64_t i = 0; i < magic->len; i++)
		nr += (unsigned)__builtin_popcount(bytes.data[i] ^ (uint8_t)magic->bytes[i]);
	return nr;
}

/* Text up to the first lines: no byte is there that flat escapes, or that no key begins with. */
static bool bytes_are_flat(struct span bytes)
{
	uint64_t len = min_of(bytes.len, (uint64_t)MAGIC_LEN);

	for (uint64_t i = 0; i < len; i++) {
		if (bytes.data[i] == '\0' || bytes.data[i] == '\r')
			return false;
	}
	return len == 0 || (bytes.data[0] != '\t' && bytes.data[0] != '\n');
}

enum db_engine db_engine_of(struct span bytes)
{
	for (size_t i = 0; i < array_size(magics); i++) {
		if (bytes.len >= magics[i].len &&
		    count_wrong_bits(bytes, &magics[i]) <= MAGIC_BITS_MAX)
			return magics[i].engine;
		/* What is left of one that was cut off. */
		if (bytes.len >= 4 && bytes.len < magics[i].len &&
		    memcmp(bytes.data, magics[i].bytes, bytes.len) == 0)
			return magics[i].engine;
	}
	return bytes_are_flat(bytes) ? DB_FLAT : DB_UNKNOWN;
}

static int read_engine(struct source *src, enum db_engine *ret_engine)
{
	uint8_t bytes[MAGIC_LEN];
	uint64_t n;
	int r = source_read(src, 0, bytes, sizeof(bytes), &n);

	*ret_engine = r ? DB_UNKNOWN : db_engine_of(span_of(bytes, n));
	return r;
}

int db_begin(struct db *db, struct source *src)
{
	int r = read_engine(src, &db->engine);

	if (r)
		return r;
	switch (db->engine) {
	case DB_TWOSKIP:
		db->twoskip.order = db->order;
		return twoskip_begin(&db->twoskip, src);
	case DB_SKIPLIST:
		db->skiplist.order = db->order;
		return skiplist_begin(&db->skiplist, src);
	case DB_FLAT:
		return flat_begin(&db->flat, src);
	default:
		return -EPROTONOSUPPORT;
	}
}

int db_next(struct db *db, struct span *ret_key, struct span *ret_value)
{
	switch (db->engine) {
	case DB_TWOSKIP:
		return twoskip_next(&db->twoskip, ret_key, ret_value);
	case DB_SKIPLIST:
		return skiplist_next(&db->skiplist, ret_key, ret_value);
	case DB_FLAT:
		return flat_next(&db->flat, ret_key, ret_value);
	default:
		return -EPROTONOSUPPORT;
	}
}

void db_fini(struct db *db)
{
	twoskip_fini(&db->twoskip);
	skiplist_fini(&db->skiplist);
	flat_fini(&db->flat);
	*db = DB_NULL;
}

int db_check(struct source *src, enum db_order order, uint64_t *ret_off)
{
	enum db_engine engine;
	int r = read_engine(src, &engine);

	*ret_off = 0;
	if (r)
		return r;
	switch (engine) {
	case DB_TWOSKIP:
		return twoskip_check(src, order, ret_off);
	case DB_SKIPLIST:
		return skiplist_check(src, order, ret_off);
	case DB_FLAT:
		return flat_check(src, ret_off);
	default:
		return -EPROTONOSUPPORT;
	}
}

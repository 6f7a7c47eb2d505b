// SPDX-License-Identifier: Apache-2.0
/*
 * Fuzzes db: whatever the bytes are, an engine is told, a walk ends, and the check agrees with it.
 * One reader is used for one file after the other.
 */
#include <errno.h>
#include <stdlib.h>

#include "format/cyrus/db.h"
#include "format/cyrus/skiplist_record.h"
#include "format/cyrus/twoskip_record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok)
{
	if (!ok)
		abort();
}

/* Without the waiting for writers, of whom there are none. */
static int check(struct source *src, enum db_engine engine, enum db_order order)
{
	uint64_t off;

	switch (engine) {
	case DB_TWOSKIP:
		return twoskip_check_once(src, order, &off);
	case DB_SKIPLIST:
		return skiplist_check_once(src, order, &off);
	default:
		return db_check(src, order, &off);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct db db; /* DB_UNKNOWN matters to nobody before db_begin */
	struct source src;
	struct span key, value;
	uint64_t count = 0;

	db.order = size % 2 ? DB_ORDER_BYTES : DB_ORDER_MAILBOX;
	source_init_memory(&src, span_of(data, size));
	int r = db_begin(&db, &src);
	require(db.engine < DB_ENGINE_COUNT_);
	require(db.engine == db_engine_of(span_of(data, size)));
	require(strcmp(db_engine_name(db.engine), "unknown") != 0 || db.engine == DB_UNKNOWN);
	while (r == 0) {
		r = db_next(&db, &key, &value);
		require(r || (key.len > 0 && ++count <= size / 3));
	}
	require(r == DB_END || r == -EBADMSG || r == -EPROTONOSUPPORT);
	int checked = check(&src, db.engine, db.order);
	require(checked != 0 || r == DB_END);
	require((checked == -EPROTONOSUPPORT) == (r == -EPROTONOSUPPORT));
	return 0;
}

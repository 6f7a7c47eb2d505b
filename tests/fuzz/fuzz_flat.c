// SPDX-License-Identifier: Apache-2.0
/*
 * Fuzzes flat: a walk ends, hands out lines that ascend as they stand, and what it hands out,
 * escaped again, is the text it came from; the check says the same as the walk.
 */
#include <errno.h>
#include <stdlib.h>

#include "format/cyrus/db_order.h"
#include "format/cyrus/flat.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok)
{
	if (!ok)
		abort();
}

static void add_escaped(struct buf *b, struct span s)
{
	for (uint64_t i = 0; i < s.len; i++) {
		uint8_t byte = s.data[i];
		bool special = byte == '\0' || byte == '\t' || byte == '\n' || byte == '\r' ||
			       byte == 0xff;
		if (special)
			buf_add_char(b, (char)0xff);
		buf_add_char(b, (char)(special ? byte | 0x80 : byte));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct flat db = FLAT_NULL;
	struct buf again = BUF_NULL;
	struct span key, value;
	struct source src;
	uint64_t off;

	source_init_memory(&src, span_of(data, size));
	int r = flat_begin(&db, &src);
	while (r == 0) {
		r = flat_next(&db, &key, &value);
		if (r)
			break;
		require(key.len > 0);
		add_escaped(&again, key);
		buf_add_char(&again, '\t');
		add_escaped(&again, value);
		buf_add_char(&again, '\n');
		require(db.next == again.len && again.len <= size);
	}
	require(r == FLAT_END || r == -EBADMSG);
	require(again.len == 0 || memcmp(again.data, data, again.len) == 0);
	require(r != FLAT_END || again.len == size);
	require(flat_check(&src, &off) == (r == FLAT_END ? 0 : r) && off == again.len);
	buf_fini(&again);
	flat_fini(&db);
	return 0;
}

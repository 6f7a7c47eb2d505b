// SPDX-License-Identifier: Apache-2.0
/*
 * Fuzzes skiplist: a whole file, read as it is and once more behind a header and a dummy that are
 * right. A walk of bytes that keep still ends, hands out ascending keys from inside the file, and
 * never asks to begin again; what the check calls whole can be walked to its end.
 */
#include <errno.h>
#include <stdlib.h>

#include "format/cyrus/skiplist_record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok)
{
	if (!ok)
		abort();
}

static int walk(const uint8_t *data, size_t size, enum db_order order)
{
	struct skiplist db = SKIPLIST_NULL;
	struct buf last = BUF_NULL;
	struct source src;
	struct span key, value;
	uint64_t count = 0;

	source_init_memory(&src, span_of(data, size));
	db.order = order;
	int r = skiplist_begin(&db, &src);
	while (r == 0) {
		r = skiplist_next(&db, &key, &value);
		if (r)
			break;
		require(++count <= size / 24);
		require(key.len > 0 && key.len <= 64 * 1024 && key.len + value.len < size);
		require(count == 1 ||
			db_order_compare(order ? order : DB_ORDER_CHARS, buf_span(&last), key) < 0);
		buf_clear(&last);
		buf_add_span(&last, key);
	}
	require(r == SKIPLIST_END || r == -EBADMSG || r == -EPROTONOSUPPORT ||
		(r == -EAGAIN && size == 0));
	require(r != SKIPLIST_END || (db.end <= size && count == db.nr_walked));
	buf_fini(&last);
	skiplist_fini(&db);
	return r;
}

static void walk_and_check(const uint8_t *data, size_t size)
{
	struct source src;
	uint64_t off = 0;

	for (enum db_order order = DB_ORDER_BYTES; order <= DB_ORDER_MAILBOX; order++) {
		int walked = walk(data, size, order);
		source_init_memory(&src, span_of(data, size));
		int r = skiplist_check_once(&src, order, &off);
		require(off <= size || r != -EBADMSG);
		require(r == 0 || r == -EBADMSG || r == -EPROTONOSUPPORT ||
			(r == -EAGAIN && size == 0));
		require(r != 0 || walked == SKIPLIST_END);
		require(walked != -EBADMSG || r == -EBADMSG);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char head[] = "\xa1\x02\x8b\x0dskiplist file\0\0\0\0\0\0\1\0\0\0\2\0\0\0\x14";
	static const char dummy[] = "\0\0\1\1\0\0\0\0\0\0\0";
	struct skiplist_header header;

	int r = skiplist_parse_header(span_of(data, size), &header);
	require(r == 0 || r == -EBADMSG || r == -EPROTONOSUPPORT);
	if (r == 0)
		walk_and_check(data, size);
	if (size < 144)
		return 0;
	uint8_t *copy = malloc(size);
	require(copy != NULL);
	memcpy(copy, data, size);
	memcpy(copy, head, 32);
	memset(copy + 32, 0, 3);
	copy[35] %= 21;
	size_t log_start = 144 + ((size_t)data[42] << 8 | data[43]) % (size - 143) / 4 * 4;
	memset(copy + 40, 0, 2);
	copy[42] = (uint8_t)(log_start >> 8);
	copy[43] = (uint8_t)log_start;
	memcpy(copy + 48, dummy, 12);
	memset(copy + 140, 0xff, 4);
	walk_and_check(copy, size);
	free(copy);
	return 0;
}

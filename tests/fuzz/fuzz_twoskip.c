// SPDX-License-Identifier: Apache-2.0
/*
 * Fuzzes twoskip: a whole file, read as it is, and once more after every CRC that can be placed was
 * made right, so that lengths and pointers get past it. A walk of bytes that keep still ends, hands
 * out ascending keys from inside the file, and never asks to begin again. What the check calls
 * whole can be walked to its end, and only a dirty file is ever left unjudged.
 */
#include <errno.h>
#include <stdlib.h>

#include "digest/digest.h"
#include "format/cyrus/twoskip_record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok)
{
	if (!ok)
		abort();
}

static void put_word(uint8_t *p, uint32_t word)
{
	for (int i = 3; i >= 0; i--, word >>= 8)
		p[i] = (uint8_t)word;
}

static int walk(const uint8_t *data, size_t size, bool *ret_dirty)
{
	struct twoskip db = TWOSKIP_NULL;
	struct buf last = BUF_NULL;
	struct source src;
	struct span key, value;
	uint64_t count = 0;

	source_init_memory(&src, span_of(data, size));
	int r = twoskip_begin(&db, &src);
	while (r == 0) {
		r = twoskip_next(&db, &key, &value);
		if (r)
			break;
		require(++count <= size / 40);
		require(key.len > 0 && key.len <= 64 * 1024 && key.len + value.len < size);
		require(count == 1 || span_compare(buf_span(&last), key) < 0);
		buf_clear(&last);
		buf_add_span(&last, key);
	}
	require(r == TWOSKIP_END || r == -EBADMSG || r == -EPROTONOSUPPORT);
	if (r == TWOSKIP_END)
		require(db.header.dirty || count == db.header.nr_records);
	*ret_dirty = db.header.dirty;
	buf_fini(&last);
	twoskip_fini(&db);
	return r;
}

static void walk_and_check(const uint8_t *data, size_t size)
{
	struct source src;
	uint64_t off = 0;
	bool dirty;

	int walked = walk(data, size, &dirty);
	source_init_memory(&src, span_of(data, size));
	int r = twoskip_check_once(&src, DB_ORDER_BYTES, &off);
	require(off <= size);
	require(r == 0 || r == -EBADMSG || r == -EPROTONOSUPPORT || (r == -EAGAIN && dirty));
	require(r != 0 || walked == TWOSKIP_END);
	require(walked != -EBADMSG || r == -EBADMSG || r == -EAGAIN);
}

/* Makes the CRCs of the record at `off` right. Its length, or 8 where there is no room for one. */
static size_t fix_record(uint8_t *bytes, size_t size, size_t off)
{
	uint8_t *p = bytes + off;
	size_t left = size - off;
	size_t tail = 8 + 8 * (p[1] + 1u) + 8;
	size_t len = ((size_t)(p[2] << 8 | p[3]) + (size_t)(p[6] << 8 | p[7]) + 7) & ~(size_t)7;

	if (memcmp(p, " BLANK", 6) == 0 || p[1] > 31 || tail > left)
		return 8;
	if (len <= left - tail)
		put_word(p + tail - 4, crc32_of(span_of(p + tail, len)));
	put_word(p + tail - 8, crc32_of(span_of(p, tail - 8)));
	return len <= left - tail ? tail + len : tail;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char magic[24] = "\xa1\x02\x8b\x0dtwoskip file\0\0\0\0\0\0\0\1";
	struct twoskip_header header;

	int r = twoskip_parse_header(span_of(data, size), &header);
	require(r == 0 || r == -EBADMSG || r == -EPROTONOSUPPORT);
	if (r == 0)
		walk_and_check(data, size);
	if (size < 336)
		return 0;

	uint8_t *copy = malloc(size);
	require(copy != NULL);
	memcpy(copy, data, size);
	memcpy(copy, magic, sizeof(magic));
	put_word(copy + 60, crc32_of(span_of(copy, 60)));
	for (size_t off = 64; off + 24 <= size;)
		off += fix_record(copy, size, off);
	walk_and_check(copy, size);
	free(copy);
	return 0;
}

// SPDX-License-Identifier: Apache-2.0
/*
 * Fuzzes cyrus.cache: records one behind the other, as far as they go. Items lie in order inside
 * the record, the record inside the bytes; one that is cut asks for more than there is, and given
 * that, gets on.
 */
#include <errno.h>
#include <stdlib.h>

#include "format/cyrus/cache.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok)
{
	if (!ok)
		abort();
}

static void check_record(struct span bytes, const struct cache_record *record)
{
	const uint8_t *at = bytes.data;

	for (unsigned i = 0; i < CACHE_ITEMS; i++) {
		const struct span *item = &record->items[i];
		uint32_t len;
		require(span_be32(bytes, (uint64_t)(at - bytes.data), &len) == 0);
		require(item->len == len && item->data == at + 4);
		at += 4 + (item->len + 3) / 4 * 4;
	}
	require((uint64_t)(at - bytes.data) == record->len && record->len <= bytes.len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span rest = span_of(data, size);
	struct cache_record record, again;
	uint32_t generation;
	int r = cache_parse_generation(rest, &generation);

	require(r == (size < 4 ? -ERANGE : 0));
	if (r == 0)
		rest = span_of(data + CACHE_FIRST_OFF, size - CACHE_FIRST_OFF);
	while ((r = cache_parse_record(rest, &record)) == 0) {
		require(record.len >= 40 && record.len <= CACHE_RECORD_MAX);
		check_record(rest, &record);
		/* It needs all of its bytes, and none behind. */
		require(cache_parse_record(span_of(rest.data, record.len), &again) == 0);
		require(cache_parse_record(span_of(rest.data, record.len - 1), &again) == -ERANGE);
		require(again.len >= record.len - 40 && again.len <= record.len);
		rest = span_of(rest.data + record.len, rest.len - record.len);
	}
	require(r == -ERANGE || r == -EBADMSG);
	if (r == -ERANGE)
		require(record.len > rest.len && record.len <= CACHE_RECORD_MAX);
	return 0;
}

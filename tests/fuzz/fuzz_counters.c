// SPDX-License-Identifier: Apache-2.0
/*
 * Fuzzes counters: as they are, and once more after the CRC was made right, so that lengths and
 * versions get past it. Any change of a file that was taken is refused.
 */
#include <errno.h>
#include <stdlib.h>

#include "digest/digest.h"
#include "format/cyrus/counters.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok)
{
	if (!ok)
		abort();
}

static int check(struct span bytes)
{
	struct counters counters;
	int r = counters_parse(bytes, &counters);

	require(r == 0 || r == -EBADMSG || r == -EPROTONOSUPPORT);
	if (r == 0)
		require(counters.version <= 9 && bytes.len >= 48 && bytes.len <= 296);
	if (r == -EPROTONOSUPPORT)
		require(counters.version > 9 && bytes.len <= COUNTERS_LEN_MAX);
	if (r == 0) {
		uint32_t crc;
		require(span_be32(bytes, bytes.len - 4, &crc) == 0);
		require(crc == crc32_of(span_of(bytes.data, bytes.len - 4)));
	}
	return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	(void)check(span_of(data, size));
	if (size < 4)
		return 0;

	uint8_t *copy = malloc(size);
	require(copy != NULL);
	memcpy(copy, data, size);
	uint32_t crc = crc32_of(span_of(copy, size - 4));
	for (size_t i = 0; i < 4; i++)
		copy[size - 1 - i] = (uint8_t)(crc >> 8 * i);
	int r = check(span_of(copy, size));
	copy[size / 2] ^= 1;
	if (r != -EBADMSG)
		require(check(span_of(copy, size)) == -EBADMSG);
	free(copy);
	return 0;
}

// SPDX-License-Identifier: Apache-2.0
/*
 * CRC-32: the published vectors, and bit by bit at every length and place, up to the last byte
 * that may be touched.
 */
#include "suites.h"

#include <CUnit/CUnit.h>
#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#include "digest/digest.h"

#define POLYNOMIAL 0xedb88320u

static uint32_t crc_bit_by_bit(const uint8_t *bytes, size_t len)
{
	uint32_t crc = ~UINT32_C(0);

	for (size_t i = 0; i < len; i++) {
		crc ^= bytes[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? POLYNOMIAL : 0);
	}
	return ~crc;
}

static void fill(uint8_t *bytes, size_t len)
{
	uint32_t random = 7;

	for (size_t i = 0; i < len; i++) {
		random = random * 1103515245 + 12345;
		bytes[i] = (uint8_t)(random >> 16);
	}
}

static void computes_the_crc_that_cyrus_stores(void)
{
	static const struct {
		const char *bytes;
		uint32_t crc;
	} vectors[] = {
		{ "", 0 },
		{ "a", 0xe8b7be43 },
		{ "123456789", 0xcbf43926 },
		{ "The quick brown fox jumps over the lazy dog", 0x414fa339 },
	};

	for (size_t i = 0; i < array_size(vectors); i++)
		CU_ASSERT_EQUAL(crc32_of(span_of_str(vectors[i].bytes)), vectors[i].crc);
	CU_ASSERT_EQUAL(crc32_of(SPAN_NULL), 0);
	CU_ASSERT_EQUAL(crc32_of(span_of("\0\0\0\0", 4)), 0x2144df1c);
}

static void agrees_bit_by_bit_at_every_length_and_place(void)
{
	static uint8_t bytes[1200];
	unsigned wrong = 0;

	fill(bytes, sizeof(bytes));
	for (size_t len = 0; len <= 1100; len++)
		for (size_t off = 0; off < 64; off += len < 300 ? 1 : 13)
			wrong += crc32_of(span_of(bytes + off, len)) !=
				 crc_bit_by_bit(bytes + off, len);
	CU_ASSERT_EQUAL(wrong, 0);
}

/* Between two pages that nobody may read. */
static void touches_no_byte_outside(void)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	uint8_t *map = mmap(NULL, 3 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	unsigned wrong = 0;

	CU_ASSERT_PTR_NOT_EQUAL_FATAL(map, MAP_FAILED);
	uint8_t *bytes = map + page;
	CU_ASSERT_EQUAL_FATAL(mprotect(bytes, page, PROT_READ | PROT_WRITE), 0);
	fill(bytes, page);
	for (size_t len = 0; len <= 600; len++) {
		const uint8_t *last = bytes + page - len;
		wrong += crc32_of(span_of(bytes, len)) != crc_bit_by_bit(bytes, len);
		wrong += crc32_of(span_of(last, len)) != crc_bit_by_bit(last, len);
	}
	CU_ASSERT_EQUAL(wrong, 0);
	CU_ASSERT_EQUAL(munmap(map, 3 * page), 0);
}

static void *compute(void *ctx)
{
	unsigned *wrong = ctx;

	for (int i = 0; i < 10000; i++)
		*wrong += crc32_of(span_of_str("123456789")) != 0xcbf43926;
	return NULL;
}

static void computes_in_several_threads(void)
{
	unsigned wrong[4] = { 0 };
	pthread_t threads[4];

	for (size_t i = 0; i < array_size(threads); i++)
		CU_ASSERT_EQUAL_FATAL(pthread_create(&threads[i], NULL, compute, &wrong[i]), 0);
	for (size_t i = 0; i < array_size(threads); i++) {
		CU_ASSERT_EQUAL(pthread_join(threads[i], NULL), 0);
		CU_ASSERT_EQUAL(wrong[i], 0);
	}
}

static void goes_on_with_a_crc(void)
{
	CU_ASSERT_EQUAL(crc32_with(crc32_of(span_of_str("1234")), span_of_str("56789")), 0xcbf43926);
	CU_ASSERT_EQUAL(crc32_with(0xcbf43926, SPAN_NULL), 0xcbf43926);
	CU_ASSERT_EQUAL(crc32_with(0, span_of_str("123456789")), 0xcbf43926);
}

static const struct test_case cases[] = {
	CASE(goes_on_with_a_crc),
	CASE(computes_the_crc_that_cyrus_stores),
	CASE(agrees_bit_by_bit_at_every_length_and_place),
	CASE(touches_no_byte_outside),
	CASE(computes_in_several_threads),
};

const struct test_suite suite_digest_crc32 = { "digest/crc32", cases, array_size(cases) };

// SPDX-License-Identifier: Apache-2.0
/*
 * counters: each version by its length, a CRC that covers every byte, and what a later version
 * leaves to be said.
 */
#include "suites.h"

#include <CUnit/CUnit.h>
#include <errno.h>
#include <stdlib.h>

#include "digest/digest.h"
#include "format/cyrus/counters.h"

/* As 3.6.1 wrote it for a user with conversations: version 9. */
static const uint8_t real_counters[296] = {
	0x00, 0x00, 0x00, 0x22, 0x00, 0x00, 0x00, 0x09, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x17, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x16, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x16, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x17, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x6b, 0x05, 0xa2, 0xdc, 0x85, 0x67, 0x86, 0xca,
};
static void put_word(uint8_t *at, uint32_t word)
{
	for (int i = 3; i >= 0; i--, word >>= 8)
		at[i] = (uint8_t)word;
}

/* A file of `len` bytes: generation 3, modseq 2^32 + 5, uidvalidity 77, and a CRC that is right. */
static struct span file_make(uint8_t *bytes, uint64_t len, uint32_t version)
{
	memset(bytes, 0xa5, len);
	put_word(bytes, 3);
	put_word(bytes + 4, version);
	put_word(bytes + 8, 1);
	put_word(bytes + 12, 5);
	put_word(bytes + len - 8, 77);
	put_word(bytes + len - 4, crc32_of(span_of(bytes, len - 4)));
	return span_of(bytes, len);
}

static void reads_a_real_file(void)
{
	struct counters counters;

	CU_ASSERT_EQUAL_FATAL(
		counters_parse(span_of(real_counters, sizeof(real_counters)), &counters), 0);
	CU_ASSERT_EQUAL(counters.generation, 0x22);
	CU_ASSERT_EQUAL(counters.version, 9);
	CU_ASSERT_EQUAL(counters.highestmodseq, 0x17);
	CU_ASSERT_EQUAL(counters.uidvalidity, 0x6b05a2dc);
}

static const uint64_t lengths[] = { 48, 56, 64, 88, 104, 120, 200, 232, 264, 296 };

static void reads_each_version_at_its_length_only(void)
{
	uint8_t bytes[304];
	struct counters counters;

	for (uint32_t version = 0; version < array_size(lengths); version++) {
		for (uint64_t len = 20; len <= sizeof(bytes); len++) {
			int r = counters_parse(file_make(bytes, len, version), &counters);
			if (len != lengths[version] && len != lengths[0]) {
				CU_ASSERT_EQUAL(r, -EBADMSG);
				continue;
			}
			CU_ASSERT_EQUAL(r, 0);
			CU_ASSERT_EQUAL(counters.generation, 3);
			CU_ASSERT_EQUAL(counters.version, len == lengths[0] ? 0 : version);
			CU_ASSERT_EQUAL(counters.highestmodseq, (UINT64_C(1) << 32) + 5);
			CU_ASSERT_EQUAL(counters.uidvalidity, 77);
		}
	}
}

/* The first writers left there what memory held. */
static void the_first_version_is_known_by_its_length_whatever_its_number(void)
{
	static const uint32_t numbers[] = { 0, 1, 9, 10, UINT32_MAX };
	uint8_t bytes[48];
	struct counters counters;

	for (size_t i = 0; i < array_size(numbers); i++) {
		CU_ASSERT_EQUAL(counters_parse(file_make(bytes, 48, numbers[i]), &counters), 0);
		CU_ASSERT_EQUAL(counters.version, 0);
	}
}

static void a_later_version_is_told_from_damage_by_its_crc(void)
{
	uint8_t bytes[COUNTERS_LEN_MAX + 1];
	struct counters counters;

	for (uint64_t len = 296; len <= COUNTERS_LEN_MAX; len += 8) {
		CU_ASSERT_EQUAL(counters_parse(file_make(bytes, len, 10), &counters),
				-EPROTONOSUPPORT);
		CU_ASSERT_EQUAL(counters.version, 10);
		CU_ASSERT_EQUAL(counters.highestmodseq, 0);
		bytes[9] ^= 1;
		CU_ASSERT_EQUAL(counters_parse(span_of(bytes, len), &counters), -EBADMSG);
	}
	file_make(bytes, COUNTERS_LEN_MAX + 1, 10);
	CU_ASSERT_EQUAL(counters_parse(span_of(bytes, COUNTERS_LEN_MAX + 1), &counters), -EBADMSG);
}

static void refuses_every_cut(void)
{
	for (uint64_t len = 0; len < sizeof(real_counters); len++) {
		uint8_t *copy = malloc(len ? len : 1);
		struct counters counters;
		CU_ASSERT_PTR_NOT_NULL_FATAL(copy);
		memcpy(copy, real_counters, len);
		CU_ASSERT_EQUAL(counters_parse(span_of(copy, len), &counters), -EBADMSG);
		free(copy);
	}
}

static void refuses_each_flipped_bit(void)
{
	uint8_t bytes[sizeof(real_counters)];
	struct counters counters;

	for (uint64_t bit = 0; bit < sizeof(bytes) * 8; bit++) {
		memcpy(bytes, real_counters, sizeof(bytes));
		bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
		CU_ASSERT_EQUAL(counters_parse(span_of(bytes, sizeof(bytes)), &counters), -EBADMSG);
	}
}

static const struct test_case cases[] = {
	CASE(reads_a_real_file),
	CASE(reads_each_version_at_its_length_only),
	CASE(the_first_version_is_known_by_its_length_whatever_its_number),
	CASE(a_later_version_is_told_from_damage_by_its_crc),
	CASE(refuses_every_cut),
	CASE(refuses_each_flipped_bit),
};

const struct test_suite suite_format_counters = { "format/counters", cases, array_size(cases) };

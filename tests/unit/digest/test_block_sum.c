// SPDX-License-Identifier: Apache-2.0
/*
 * Sums of blocks: the digest is XXH3 of the whole, each eighth is told apart from the others, and an
 * eighth that changed is seen in 15 cases of 16.
 */
#include "suites.h"

#include <CUnit/CUnit.h>
#include <string.h>

#include "base/compiler.h"
#include "digest/block_sum.h"
#include "digest/digest.h"
#include "support/random.h"

enum { LEN_MAX = 65536 };

static const uint32_t lens[] = { 1024, 2048, 4096, 65536 };
static uint8_t bytes[LEN_MAX];

static struct span random_block(uint64_t *state, uint64_t len)
{
	for (uint64_t i = 0; i < len; i++)
		bytes[i] = (uint8_t)random_next(state);
	return span_of(bytes, len);
}

static void has_the_digest_of_the_whole_and_four_bits_of_each_eighth(void)
{
	uint64_t state = 1;

	for (size_t i = 0; i < array_size(lens); i++) {
		struct span block = random_block(&state, lens[i]);
		struct block_sum sum = block_sum_of(block);
		CU_ASSERT_EQUAL(sum.digest, xxh3_of(block));
		for (unsigned e = 0; e < BLOCK_SUM_EIGHTHS; e++) {
			struct span eighth = span_of(bytes + e * (lens[i] / 8), lens[i] / 8);
			CU_ASSERT_EQUAL(sum.sectors >> 4 * e & 0xf, xxh3_of(eighth) >> 60);
			CU_ASSERT_EQUAL(sum.sectors >> 4 * e & 0xf, block_sum_of_eighth(eighth));
		}
	}
}

/* Baselines are kept on disks: what is written today must be understood later. */
static void is_the_same_for_ever(void)
{
	struct block_sum sum;

	for (size_t i = 0; i < 4096; i++)
		bytes[i] = (uint8_t)(i * 7 + i / 256);
	sum = block_sum_of(span_of(bytes, 4096));
	CU_ASSERT_EQUAL(sum.digest, UINT64_C(0x5c722d9ceb6f9064));
	CU_ASSERT_EQUAL(sum.sectors, UINT32_C(0x24fdd93e));
}

static void takes_blocks_of_any_length(void)
{
	struct block_sum empty = block_sum_of(SPAN_NULL), a, b;

	CU_ASSERT_EQUAL(empty.digest, xxh3_of(SPAN_NULL));
	memset(bytes, 1, 13);
	a = block_sum_of(span_of(bytes, 13));
	bytes[12] = 2; /* what 8 does not divide is part of the last eighth */
	b = block_sum_of(span_of(bytes, 13));
	CU_ASSERT_NOT_EQUAL(a.digest, b.digest);
	CU_ASSERT_EQUAL(block_sum_differing(a, b) & ~0x80u, 0);
}

static void is_equal_only_when_all_of_it_is(void)
{
	struct block_sum a = { 1, 2 }, b = { 1, 2 };

	CU_ASSERT_TRUE(block_sum_is_equal(a, b));
	b.digest = 3;
	CU_ASSERT_FALSE(block_sum_is_equal(a, b));
	b = (struct block_sum){ 1, 3 };
	CU_ASSERT_FALSE(block_sum_is_equal(a, b));
}

static void names_each_eighth_by_its_bit(void)
{
	struct block_sum none = { 0, 0 };

	CU_ASSERT_EQUAL(block_sum_differing(none, none), 0);
	for (unsigned bit = 0; bit < 32; bit++) {
		struct block_sum sum = { 0, UINT32_C(1) << bit };
		CU_ASSERT_EQUAL(block_sum_differing(none, sum), 1u << bit / 4);
	}
	CU_ASSERT_EQUAL(block_sum_differing(none, (struct block_sum){ 0, UINT32_MAX }), 0xff);
}

/* 4,000 flips for each length: 3,750 are expected to show, with a standard deviation of 15.3. */
static void sees_a_changed_eighth_in_15_cases_of_16_and_never_another(void)
{
	uint64_t state = 2;

	for (size_t i = 0; i < array_size(lens); i++) {
		struct span block = random_block(&state, lens[i]);
		struct block_sum before = block_sum_of(block);
		unsigned nr_seen = 0, nr_flips = lens[i] > 4096 ? 1000 : 4000;
		for (unsigned n = 0; n < nr_flips; n++) {
			uint64_t bit = random_below(&state, 8 * block.len);
			unsigned eighth = (unsigned)(bit / block.len), differing;
			bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
			differing = block_sum_differing(before, block_sum_of(block));
			bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
			CU_ASSERT_EQUAL(differing & ~(1u << eighth), 0);
			nr_seen += differing != 0;
		}
		CU_ASSERT_TRUE(nr_seen > nr_flips * 15 / 16 - 80);
		CU_ASSERT_TRUE(nr_seen < nr_flips * 15 / 16 + 80);
	}
}

static const struct test_case cases[] = {
	CASE(has_the_digest_of_the_whole_and_four_bits_of_each_eighth),
	CASE(is_the_same_for_ever),
	CASE(takes_blocks_of_any_length),
	CASE(is_equal_only_when_all_of_it_is),
	CASE(names_each_eighth_by_its_bit),
	CASE(sees_a_changed_eighth_in_15_cases_of_16_and_never_another),
};

const struct test_suite suite_digest_block_sum = { "digest/block_sum", cases, array_size(cases) };

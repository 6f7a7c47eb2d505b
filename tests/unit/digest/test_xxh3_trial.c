// SPDX-License-Identifier: Apache-2.0
/*
 * Trials of XXH3: whatever words are changed, the sum moves by what is missing to the digest that the
 * library gives of the changed block.
 */
#include "suites.h"

#include <CUnit/CUnit.h>
#include <errno.h>
#include <string.h>

#include "digest/digest.h"
#include "digest/xxh3_trial.h"
#include "support/random.h"

static uint8_t bytes[XXH3_TRIAL_LEN_MAX], changed[XXH3_TRIAL_LEN_MAX];
static struct xxh3_trial trial;

static void make_trial(uint64_t *state, uint64_t len)
{
	for (uint64_t i = 0; i < len; i++)
		bytes[i] = (uint8_t)random_next(state);
	CU_ASSERT_EQUAL_FATAL(xxh3_trial_init(&trial, span_of(bytes, len)), 0);
}

/* What is missing to the digest of the block with these changes. */
static uint64_t missing_after(const struct xxh3_change *changes, unsigned nr)
{
	memcpy(changed, bytes, trial.block.len);
	for (unsigned i = 0; i < nr; i++)
		for (unsigned byte = 0; byte < 8; byte++)
			changed[8 * changes[i].word + byte] ^=
				(uint8_t)(changes[i].xor >> 8 * byte);
	return xxh3_trial_missing(&trial, xxh3_of(span_of(changed, trial.block.len)));
}

static void misses_nothing_of_its_own_digest(void)
{
	uint64_t state = 1;

	for (uint64_t len = 1024; len <= XXH3_TRIAL_LEN_MAX; len += 1024) {
		make_trial(&state, len);
		CU_ASSERT_EQUAL(xxh3_trial_missing(&trial, xxh3_of(trial.block)), 0);
		CU_ASSERT_EQUAL(xxh3_trial_digest(&trial, 0), xxh3_of(trial.block));
		CU_ASSERT_EQUAL(xxh3_trial_missing(&trial, xxh3_trial_digest(&trial, len)), len);
	}
}

static void moves_by_what_is_missing_for_every_word(void)
{
	static const uint64_t lens[] = { 1024, 2048, 4096 };
	uint64_t state = 2;

	for (size_t i = 0; i < array_size(lens); i++) {
		make_trial(&state, lens[i]);
		for (uint32_t word = 0; word < lens[i] / 8; word++) {
			struct xxh3_change change = { word, random_next(&state) | 1 };
			CU_ASSERT_EQUAL(xxh3_trial_move(&trial, &change, 1),
					missing_after(&change, 1));
		}
	}
}

static void moves_by_what_is_missing_for_words_of_one_pair(void)
{
	uint64_t state = 3;

	for (unsigned n = 0; n < 300; n++) {
		struct xxh3_change changes[3];
		uint32_t word = 0, nr_words;
		make_trial(&state, n % 2 ? 4096 : 65536);
		nr_words = (uint32_t)(trial.block.len / 8);
		for (unsigned i = 0; i < 3; i++) {
			word += 8 * (1 + (uint32_t)random_below(&state, nr_words / 24 - 3));
			changes[i].word = word + (uint32_t)random_below(&state, 2);
			changes[i].xor = UINT64_C(1) << random_below(&state, 64);
		}
		CU_ASSERT_EQUAL(xxh3_trial_move(&trial, changes, 2), missing_after(changes, 2));
		CU_ASSERT_EQUAL(xxh3_trial_move(&trial, changes, 3), missing_after(changes, 3));
	}
}

static void adds_up_moves_of_different_pairs(void)
{
	uint64_t state = 4;

	make_trial(&state, 4096);
	for (unsigned n = 0; n < 300; n++) {
		uint32_t row = 8 * (uint32_t)random_below(&state, 64);
		struct xxh3_change one = { row + (uint32_t)random_below(&state, 4), 1 };
		struct xxh3_change other = { row + 4 + (uint32_t)random_below(&state, 4), 2 };
		struct xxh3_change both[] = { one, other };
		CU_ASSERT_EQUAL(xxh3_trial_move(&trial, &one, 1) +
					xxh3_trial_move(&trial, &other, 1),
				missing_after(both, 2));
	}
}

static void refuses_lengths_that_overlap_stripes(void)
{
	static const uint64_t lens[] = { 0, 512, 1023, 1025, 1536, 66560 };
	static uint8_t longer[66560];

	for (size_t i = 0; i < array_size(lens); i++)
		CU_ASSERT_EQUAL(xxh3_trial_init(&trial, span_of(longer, lens[i])), -EINVAL);
}

static const struct test_case cases[] = {
	CASE(misses_nothing_of_its_own_digest),
	CASE(moves_by_what_is_missing_for_every_word),
	CASE(moves_by_what_is_missing_for_words_of_one_pair),
	CASE(adds_up_moves_of_different_pairs),
	CASE(refuses_lengths_that_overlap_stripes),
};

const struct test_suite suite_digest_xxh3_trial = { "digest/xxh3_trial", cases, array_size(cases) };

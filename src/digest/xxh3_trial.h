/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What XXH3-64 of a block would be if a few of its 64-bit words were others, without digesting the
 * block again: thousands of such trials cost what digesting a megabyte does. For finding which bits
 * were flipped in a block of which only the digest is known.
 *
 * XXH3 keeps eight accumulators. Word i of the block goes into accumulators i % 8 and (i % 8) ^ 1,
 * which are a pair, and the digest is made of the sum of one number for each pair. So a change in a
 * word of one pair moves that sum by as much whatever the other pairs hold, and moves in different
 * pairs add up. From the algorithm description of xxHash (doc/xxhash_spec.md, "XXH3 Algorithm
 * Overview", inputs of more than 240 bytes); our own code.
 *
 * A trial is only read once made, and may be shared by threads then.
 */
#ifndef DIGEST_XXH3_TRIAL_H
#define DIGEST_XXH3_TRIAL_H

#include <stdint.h>

#include "base/compiler.h"
#include "base/span.h"

enum {
	XXH3_TRIAL_LEN_MIN = 1024,
	XXH3_TRIAL_LEN_MAX = 65536, /* bytes */
	XXH3_TRIAL_LANES = 8,
	XXH3_TRIAL_ROW_WORDS = 128, /* words between two scrambles of the accumulators */
	XXH3_TRIAL_ROWS_MAX = XXH3_TRIAL_LEN_MAX / 8 / XXH3_TRIAL_ROW_WORDS,
};

struct xxh3_trial {
	struct span block; /* borrowed */
	unsigned nr_rows;
	uint64_t before[XXH3_TRIAL_ROWS_MAX][XXH3_TRIAL_LANES]; /* accumulators ahead of a row */
	uint64_t sums[XXH3_TRIAL_ROWS_MAX][XXH3_TRIAL_LANES];	/* what a row adds to them */
	uint64_t mixes[XXH3_TRIAL_LANES / 2];
};

/* Word `word` of the block, as a little-endian number, with the bits of `xor` flipped. */
struct xxh3_change {
	uint32_t word;
	uint64_t xor ;
};

/*
 * The block stays where it is and as it is. -EINVAL when its length is out of bounds or 1,024 does
 * not divide it; -ENOTSUP when the library has another XXH3, which is seen here.
 */
int xxh3_trial_init(struct xxh3_trial *trial, struct span block) must_check;

/* 0 to 3: the pair of accumulators that a word goes into. */
static inline unsigned xxh3_trial_pair(uint32_t word)
{
	return word % XXH3_TRIAL_LANES / 2;
}

/*
 * By how much the sum moves with these changes, modulo 2^64. All are words of one pair, inside the
 * block, each another, in ascending order; `nr` is not 0. Takes a time that grows with the number of
 * rows from the first change to the end: xxh3_trial_steps.
 */
uint64_t xxh3_trial_move(const struct xxh3_trial *trial, const struct xxh3_change *changes,
			 unsigned nr) must_check;

static inline unsigned xxh3_trial_steps(const struct xxh3_trial *trial, uint32_t word)
{
	return trial->nr_rows - word / XXH3_TRIAL_ROW_WORDS + 3;
}

/* By how much the sum has to move for the digest to be this one. */
uint64_t xxh3_trial_missing(const struct xxh3_trial *trial, uint64_t digest) must_check;

/* The digest that the block has when the sum moves by this much. */
uint64_t xxh3_trial_digest(const struct xxh3_trial *trial, uint64_t move) must_check;

#endif

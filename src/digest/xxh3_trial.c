/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The long form of XXH3, unseeded, for blocks whose length 1,024 divides: then the last stripe, which
 * has a key of its own, is the 16th of the last row and overlaps no other, and every word goes in
 * exactly once. A row is 16 stripes of 8 words. Within a row everything is added, so what a row adds
 * does not depend on what came before, and a change is a difference of two sums; from row to row the
 * accumulators are scrambled, each by itself.
 */
#include "digest/xxh3_trial.h"

#include <endian.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "digest/digest.h"

enum {
	ROW_LEN = 8 * XXH3_TRIAL_ROW_WORDS,
	STRIPES = XXH3_TRIAL_ROW_WORDS / XXH3_TRIAL_LANES,
	/* Offsets into the secret. */
	KEY_OF_SCRAMBLE = 128,
	KEY_OF_LAST_STRIPE = 121,
	KEY_OF_MIX = 11,
};

#define PRIME32_1 UINT64_C(0x9e3779b1)
#define PRIME32_2 UINT64_C(0x85ebca77)
#define PRIME32_3 UINT64_C(0xc2b2ae3d)
#define PRIME64_1 UINT64_C(0x9e3779b185ebca87)
#define PRIME64_2 UINT64_C(0xc2b2ae3d27d4eb4f)
#define PRIME64_3 UINT64_C(0x165667b19e3779f9)
#define PRIME64_4 UINT64_C(0x85ebca77c2b2ae63)
#define PRIME64_5 UINT64_C(0x27d4eb2f165667c5)
#define AVALANCHE UINT64_C(0x165667919e3779f9)

/* The default secret of the specification. */
static const uint8_t secret[192] = {
	0xb8, 0xfe, 0x6c, 0x39, 0x23, 0xa4, 0x4b, 0xbe, 0x7c, 0x01, 0x81, 0x2c, 0xf7, 0x21, 0xad,
	0x1c, 0xde, 0xd4, 0x6d, 0xe9, 0x83, 0x90, 0x97, 0xdb, 0x72, 0x40, 0xa4, 0xa4, 0xb7, 0xb3,
	0x67, 0x1f, 0xcb, 0x79, 0xe6, 0x4e, 0xcc, 0xc0, 0xe5, 0x78, 0x82, 0x5a, 0xd0, 0x7d, 0xcc,
	0xff, 0x72, 0x21, 0xb8, 0x08, 0x46, 0x74, 0xf7, 0x43, 0x24, 0x8e, 0xe0, 0x35, 0x90, 0xe6,
	0x81, 0x3a, 0x26, 0x4c, 0x3c, 0x28, 0x52, 0xbb, 0x91, 0xc3, 0x00, 0xcb, 0x88, 0xd0, 0x65,
	0x8b, 0x1b, 0x53, 0x2e, 0xa3, 0x71, 0x64, 0x48, 0x97, 0xa2, 0x0d, 0xf9, 0x4e, 0x38, 0x19,
	0xef, 0x46, 0xa9, 0xde, 0xac, 0xd8, 0xa8, 0xfa, 0x76, 0x3f, 0xe3, 0x9c, 0x34, 0x3f, 0xf9,
	0xdc, 0xbb, 0xc7, 0xc7, 0x0b, 0x4f, 0x1d, 0x8a, 0x51, 0xe0, 0x4b, 0xcd, 0xb4, 0x59, 0x31,
	0xc8, 0x9f, 0x7e, 0xc9, 0xd9, 0x78, 0x73, 0x64, 0xea, 0xc5, 0xac, 0x83, 0x34, 0xd3, 0xeb,
	0xc3, 0xc5, 0x81, 0xa0, 0xff, 0xfa, 0x13, 0x63, 0xeb, 0x17, 0x0d, 0xdd, 0x51, 0xb7, 0xf0,
	0xda, 0x49, 0xd3, 0x16, 0x55, 0x26, 0x29, 0xd4, 0x68, 0x9e, 0x2b, 0x16, 0xbe, 0x58, 0x7d,
	0x47, 0xa1, 0xfc, 0x8f, 0xf8, 0xb8, 0xd1, 0x7a, 0xd0, 0x31, 0xce, 0x45, 0xcb, 0x3a, 0x8f,
	0x95, 0x16, 0x04, 0x28, 0xaf, 0xd7, 0xfb, 0xca, 0xbb, 0x4b, 0x40, 0x7e,
};

static const uint64_t initial[XXH3_TRIAL_LANES] = {
	PRIME32_3, PRIME64_1, PRIME64_2, PRIME64_3, PRIME64_4, PRIME32_2, PRIME64_5, PRIME32_1,
};

static inline uint64_t load(const uint8_t *at)
{
	uint64_t word;

	memcpy(&word, at, sizeof(word));
	return le64toh(word);
}

static inline uint64_t key_of(unsigned off, unsigned lane)
{
	return load(secret + off + 8 * (size_t)lane);
}

/* The key of a word of the block. */
static inline uint64_t key_of_word(const struct xxh3_trial *trial, uint32_t word)
{
	unsigned stripe = word % XXH3_TRIAL_ROW_WORDS / XXH3_TRIAL_LANES;
	bool is_last = word / XXH3_TRIAL_ROW_WORDS + 1 == trial->nr_rows && stripe + 1 == STRIPES;

	return key_of(is_last ? KEY_OF_LAST_STRIPE : 8 * stripe, word % XXH3_TRIAL_LANES);
}

static inline uint64_t product_of(uint64_t keyed)
{
	return (keyed & UINT32_MAX) * (keyed >> 32);
}

static inline uint64_t scramble(uint64_t sum, unsigned lane)
{
	return (sum ^ sum >> 47 ^ key_of(KEY_OF_SCRAMBLE, lane)) * PRIME32_1;
}

static inline uint64_t mix(uint64_t even, uint64_t odd, unsigned pair)
{
	unsigned __int128 product = (unsigned __int128)(even ^ key_of(KEY_OF_MIX, 2 * pair)) *
				    (odd ^ key_of(KEY_OF_MIX, 2 * pair + 1));

	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* The last step of the digest, and back: the multiplier is odd, and a shift by 32 undoes itself. */
static uint64_t avalanche(uint64_t sum)
{
	sum = (sum ^ sum >> 37) * AVALANCHE;
	return sum ^ sum >> 32;
}

static uint64_t avalanche_undo(uint64_t digest)
{
	uint64_t inverse =
		AVALANCHE; /* right modulo 8; each step doubles the bits that are right */

	for (unsigned bits = 3; bits < 64; bits *= 2)
		inverse *= 2 - AVALANCHE * inverse;
	digest ^= digest >> 32;
	digest *= inverse;
	return digest ^ digest >> 37;
}

static uint64_t sum_of(const struct xxh3_trial *trial)
{
	uint64_t sum = trial->block.len * PRIME64_1;

	for (unsigned pair = 0; pair < array_size(trial->mixes); pair++)
		sum += trial->mixes[pair];
	return sum;
}

static void add_row(struct xxh3_trial *trial, unsigned row)
{
	uint64_t *sums = trial->sums[row];

	for (uint32_t i = 0; i < XXH3_TRIAL_ROW_WORDS; i++) {
		uint32_t word = row * XXH3_TRIAL_ROW_WORDS + i;
		uint64_t value = load(trial->block.data + 8 * (size_t)word);
		unsigned lane = i % XXH3_TRIAL_LANES;
		sums[lane ^ 1] += value;
		sums[lane] += product_of(value ^ key_of_word(trial, word));
	}
}

int xxh3_trial_init(struct xxh3_trial *trial, struct span block)
{
	uint64_t sums[XXH3_TRIAL_LANES];

	if (block.len < XXH3_TRIAL_LEN_MIN || block.len > XXH3_TRIAL_LEN_MAX || block.len % ROW_LEN)
		return -EINVAL;
	memset(trial, 0, sizeof(*trial));
	trial->block = block;
	trial->nr_rows = (unsigned)(block.len / ROW_LEN);
	memcpy(sums, initial, sizeof(sums));
	for (unsigned row = 0; row < trial->nr_rows; row++) {
		add_row(trial, row);
		for (unsigned lane = 0; lane < XXH3_TRIAL_LANES; lane++) {
			if (row > 0)
				sums[lane] = scramble(sums[lane], lane);
			trial->before[row][lane] = sums[lane];
			sums[lane] += trial->sums[row][lane];
		}
	}
	for (unsigned pair = 0; pair < array_size(trial->mixes); pair++)
		trial->mixes[pair] = mix(sums[2 * pair], sums[2 * pair + 1], pair);
	return avalanche(sum_of(trial)) == xxh3_of(block) ? 0 : -ENOTSUP;
}

/* Into sums[0] for the even lane of the pair, sums[1] for the odd one. */
static inline void add_change(const struct xxh3_trial *trial, const struct xxh3_change *change,
			      uint64_t sums[2])
{
	uint64_t old = load(trial->block.data + 8 * (size_t)change->word);
	uint64_t new = old ^ change->xor ;
	uint64_t key = key_of_word(trial, change->word);
	unsigned odd = change->word % 2;

	sums[odd ^ 1] += new - old;
	sums[odd] += product_of(new ^ key) - product_of(old ^ key);
}

uint64_t xxh3_trial_move(const struct xxh3_trial *trial, const struct xxh3_change *changes,
			 unsigned nr)
{
	unsigned pair = xxh3_trial_pair(changes->word), lane = 2 * pair;
	unsigned row = changes->word / XXH3_TRIAL_ROW_WORDS;
	const struct xxh3_change *end = changes + nr;
	uint64_t sums[2] = { trial->before[row][lane], trial->before[row][lane + 1] };

	for (;;) {
		sums[0] += trial->sums[row][lane];
		sums[1] += trial->sums[row][lane + 1];
		for (; changes < end && changes->word / XXH3_TRIAL_ROW_WORDS == row; changes++)
			add_change(trial, changes, sums);
		if (++row >= trial->nr_rows)
			return mix(sums[0], sums[1], pair) - trial->mixes[pair];
		sums[0] = scramble(sums[0], lane);
		sums[1] = scramble(sums[1], lane + 1);
	}
}

uint64_t xxh3_trial_missing(const struct xxh3_trial *trial, uint64_t digest)
{
	return avalanche_undo(digest) - sum_of(trial);
}

uint64_t xxh3_trial_digest(const struct xxh3_trial *trial, uint64_t move)
{
	return avalanche(sum_of(trial) + move);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the parts of a fingerprint share while one block is looked at. Internal to fingerprint*.c.
 */
#ifndef VERIFY_FINGERPRINT_WORK_H
#define VERIFY_FINGERPRINT_WORK_H

#include "verify/fingerprint.h"

enum { FINGERPRINT_SECTOR = 512 }; /* bytes */

struct fingerprint_work {
	struct span now;
	struct block_sum was;
	unsigned differing;
	uint32_t eighth; /* bytes */
	uint64_t steps;	 /* left */
	uint8_t *old;	 /* a block that may be the old one is put together here */
	struct fingerprint_result result;
};

/* Takes the steps off; false when they are not left, and then none are. */
static inline bool fingerprint_spend(struct fingerprint_work *work, uint64_t steps)
{
	if (work->steps < steps) {
		work->steps = 0;
		work->result.exhausted = true;
		return false;
	}
	work->steps -= steps;
	return true;
}

/* Whether eighth i may hold damage that is in one eighth only. */
static inline bool fingerprint_may_hold_all(const struct fingerprint_work *work, unsigned i)
{
	return (work->differing & ~(1u << i)) == 0;
}

static inline unsigned fingerprint_recorded(const struct fingerprint_work *work, unsigned eighth)
{
	return work->was.sectors >> 4 * eighth & 0xf;
}

/*
 * Whether what is in work->old was the block. If so the result is proven, and its first and last are
 * set. Its kind is the caller's to set.
 */
bool fingerprint_settle(struct fingerprint_work *work) must_check;

/*
 * The search for flipped bits. new: NULL and *ret_error. Each find: true when found, and the result
 * is complete then.
 */
struct fingerprint_bits;

struct fingerprint_bits *fingerprint_bits_new(struct fingerprint_work *work,
					      int *ret_error) must_check;
void fingerprint_bits_free(struct fingerprint_bits *bits);
bool fingerprint_bits_find_one(struct fingerprint_bits *bits) must_check;
/* One byte, or one bit position in two words, or in three. */
bool fingerprint_bits_find_lane(struct fingerprint_bits *bits) must_check;

/* Rotations, and moves with zeros for what is missing. True when found. */
bool fingerprint_find_shift(struct fingerprint_work *work) must_check;

/* Moves the part of `now` that the result names back to where it was, into `old`. */
void fingerprint_shift_back(const struct fingerprint_result *result, const uint8_t *now,
			    uint8_t *old);

/* By shape and content: always says something. */
void fingerprint_guess(struct fingerprint_work *work);

/* Every byte of it is the same. */
bool fingerprint_is_fill(struct span bytes) must_check;

#endif

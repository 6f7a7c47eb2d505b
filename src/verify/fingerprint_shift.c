/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Content that was moved, put back by every number of bytes until the digest fits. What left at one
 * end is only known when it came in at the other, or was zero as the ends of files and tables are.
 */
#include <string.h>

#include "verify/fingerprint_work.h"

enum { BYTES_A_STEP = 32 }; /* digested meanwhile */

void fingerprint_shift_back(const struct fingerprint_result *result, const uint8_t *now,
			    uint8_t *old)
{
	uint32_t len = result->shift_len;
	uint32_t up = result->shift > 0 ? (uint32_t)result->shift : 0;
	uint32_t down = result->shift < 0 ? (uint32_t)-result->shift : 0;

	now += result->shift_off;
	old += result->shift_off;
	memcpy(old + down, now + up, len - up - down);
	if (result->rotated) {
		memcpy(old + len - up, now, up);
		memcpy(old, now + len - down, down);
	} else {
		memset(old + len - up, 0, up);
		memset(old, 0, down);
	}
}

/*
 * Whether anything but one byte value came back: zeros that replace all that is there now would
 * explain any damage to a part that was zero.
 */
static bool has_content(const struct fingerprint_work *work)
{
	const struct fingerprint_result *result = &work->result;

	return !fingerprint_is_fill(span_of(work->old + result->shift_off, result->shift_len));
}

/* The eighth in which the part begins is seen first: it dismisses most. */
static bool try_shift(struct fingerprint_work *work, int32_t shift)
{
	struct fingerprint_result *result = &work->result;
	uint32_t eighth = result->shift_off / work->eighth;
	const uint8_t *begin = work->old + (uint64_t)eighth * work->eighth;

	result->shift = shift;
	fingerprint_shift_back(result, work->now.data, work->old);
	return block_sum_of_eighth(span_of(begin, work->eighth)) ==
		       fingerprint_recorded(work, eighth) &&
	       has_content(work) && fingerprint_settle(work);
}

static bool find_in_part(struct fingerprint_work *work, uint32_t off, uint32_t len, bool rotated)
{
	struct fingerprint_result *result = &work->result;
	int32_t max = (int32_t)min_of(len - 1, (uint32_t)FINGERPRINT_SHIFT_MAX);
	uint64_t steps = 2 * (len + work->eighth + work->now.len / 16) / BYTES_A_STEP;

	if (fingerprint_is_fill(span_of(work->now.data + off, len)))
		return false;
	result->shift_off = off;
	result->shift_len = len;
	result->rotated = rotated;
	memcpy(work->old, work->now.data, work->now.len);
	for (int32_t shift = 1; shift <= max; shift++) {
		if (!fingerprint_spend(work, steps))
			return false;
		if (try_shift(work, shift) || try_shift(work, -shift))
			return true;
	}
	return false;
}

static bool find_any(struct fingerprint_work *work, bool rotated)
{
	uint32_t len = (uint32_t)work->now.len;

	if (find_in_part(work, 0, len, rotated))
		return true;
	for (uint32_t off = 0; off < len; off += FINGERPRINT_SECTOR) {
		unsigned eighths = 0;
		for (uint32_t at = off; at < off + FINGERPRINT_SECTOR; at += work->eighth)
			eighths |= 1u << at / work->eighth;
		if ((work->differing & ~eighths) == 0 &&
		    find_in_part(work, off, FINGERPRINT_SECTOR, rotated))
			return true;
	}
	return false;
}

bool fingerprint_find_shift(struct fingerprint_work *work)
{
	struct fingerprint_result *result = &work->result;

	if (find_any(work, true) || find_any(work, false)) {
		result->kind = FINGERPRINT_SHIFTED;
		return true;
	}
	result->shift_off = result->shift_len = 0;
	result->shift = 0;
	result->rotated = false;
	return false;
}

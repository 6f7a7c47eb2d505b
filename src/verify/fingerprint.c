/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The order of the header. A lookup by digest costs nothing and is as sure as a proof. The searches
 * that follow are left out where more eighths differ than they could explain, which is the rule for
 * large damage: then only shifts are tried.
 */
#include "verify/fingerprint.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "verify/fingerprint_work.h"

bool fingerprint_settle(struct fingerprint_work *work)
{
	struct fingerprint_result *result = &work->result;
	const uint8_t *old = work->old, *now = work->now.data;
	uint32_t len = (uint32_t)work->now.len;

	if (!block_sum_is_equal(block_sum_of(span_of(old, len)), work->was))
		return false;
	result->proven = true;
	for (result->first = 0; result->first + 1 < len; result->first++)
		if (old[result->first] != now[result->first])
			break;
	for (result->last = len - 1; result->last > result->first; result->last--)
		if (old[result->last] != now[result->last])
			break;
	return true;
}

/* The edges of the eighths that differ for sure. */
static void set_edges(struct fingerprint_work *work)
{
	struct fingerprint_result *result = &work->result;
	unsigned differing = work->differing;

	result->first = 0;
	result->last = result->len - 1;
	if (!differing)
		return;
	result->first = (unsigned)__builtin_ctz(differing) * work->eighth;
	result->last = (32 - (unsigned)__builtin_clz(differing)) * work->eighth - 1;
}

/* 1 and the kind when the digest is known, 0 when not. */
static int look_up(struct fingerprint_work *work, const struct fingerprint_lookup *lookup,
		   uint64_t digest)
{
	struct fingerprint_result *result = &work->result;
	uint64_t where = 0;
	int r = 0;

	if (lookup->find_before) {
		result->kind = FINGERPRINT_LOST_WRITE;
		r = lookup->find_before(digest, result->place, &where, lookup->ctx);
	}
	if (r == 0 && lookup->find_elsewhere && !fingerprint_is_fill(work->now)) {
		result->kind = FINGERPRINT_MISDIRECTED;
		r = lookup->find_elsewhere(digest, result->place, &where, lookup->ctx);
	}
	if (r > 0)
		result->other = where;
	return r;
}

/* 1 when it is proven, 0 when nothing was. */
static int prove(struct fingerprint_work *work)
{
	int r = 0, nr_differing = __builtin_popcount(work->differing);
	struct fingerprint_bits *bits = NULL;
	bool found = false;

	if (nr_differing <= FINGERPRINT_CHANGES_MAX) {
		bits = fingerprint_bits_new(work, &r);
		if (!bits)
			return r;
	}
	if (nr_differing <= 1)
		found = fingerprint_bits_find_one(bits);
	if (!found)
		found = fingerprint_find_shift(work);
	if (!found && nr_differing <= FINGERPRINT_CHANGES_MAX)
		found = fingerprint_bits_find_lane(bits);
	fingerprint_bits_free(bits);
	return found;
}

static int identify(struct fingerprint_work *work, const struct fingerprint_lookup *lookup,
		    uint64_t digest)
{
	int r = look_up(work, lookup, digest);

	if (r)
		return r < 0 ? r : 0;
	r = prove(work);
	if (r < 0)
		return r;
	if (r == 0)
		fingerprint_guess(work);
	return 0;
}

static bool is_len(uint64_t len)
{
	return len >= FINGERPRINT_LEN_MIN && len <= FINGERPRINT_LEN_MAX && (len & (len - 1)) == 0;
}

int fingerprint_identify(const struct fingerprint_damage *damage,
			 const struct fingerprint_lookup *lookup, uint64_t *budget,
			 struct fingerprint_result *ret)
{
	struct fingerprint_work work = {
		.now = damage->now,
		.was = damage->was,
		.result = { .place = damage->place },
	};
	uint64_t steps = min_of(*budget, (uint64_t)FINGERPRINT_STEPS_MAX);
	struct block_sum is;
	int r;

	if (!is_len(damage->now.len))
		return -EINVAL;
	is = block_sum_of(damage->now);
	if (block_sum_is_equal(is, damage->was))
		return FINGERPRINT_UNDAMAGED;
	work.old = malloc(damage->now.len);
	if (!work.old)
		return -ENOMEM;
	work.steps = steps;
	work.eighth = (uint32_t)(damage->now.len / BLOCK_SUM_EIGHTHS);
	work.differing = block_sum_differing(is, damage->was);
	work.result.len = (uint32_t)damage->now.len;
	work.result.differing = work.differing;
	set_edges(&work);
	r = identify(&work, lookup, is.digest);
	free(work.old);
	*budget -= steps - work.steps;
	if (r == 0) {
		/* What was found needed no more steps. */
		work.result.exhausted = work.result.exhausted && !work.result.proven;
		*ret = work.result;
	}
	return r;
}

int fingerprint_undo(const struct fingerprint_result *result, struct span now, uint8_t *ret_old)
{
	if (!result->proven || now.len != result->len)
		return -EINVAL;
	memcpy(ret_old, now.data, now.len);
	if (result->kind == FINGERPRINT_SHIFTED) {
		fingerprint_shift_back(result, now.data, ret_old);
		return 0;
	}
	for (unsigned i = 0; i < result->nr_changes; i++)
		ret_old[result->changes[i].off] = result->changes[i].was;
	return 0;
}

// SPDX-License-Identifier: Apache-2.0
/*
 * Fuzzes fingerprints: two blocks, one before and one after, or a sum that belongs to no block. What
 * is proven has the sum of the block before; nothing lies outside the block; the budget is kept.
 *
 * Input: a byte whose bits 0 to 1 are the length, bit 2 whether the sum is made up, bit 3 whether the
 * second block is the first with few changes; then the bytes, which repeat as often as they must.
 */
#include <stdlib.h>
#include <string.h>

#include "verify/fingerprint.h"

enum { STEPS = 100000, SUM_LEN = 12, EDIT_LEN = 3 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint8_t was[FINGERPRINT_LEN_MAX], now[FINGERPRINT_LEN_MAX], old[FINGERPRINT_LEN_MAX];

static void require(bool ok)
{
	if (!ok)
		abort();
}

static void fill(uint8_t *out, uint32_t len, const uint8_t *data, size_t size)
{
	memset(out, 0, len);
	for (uint32_t i = 0; size && i < len; i++)
		out[i] = data[i % size];
}

/* Three bytes an edit: where, and what is flipped there. */
static void edit(uint32_t len, const uint8_t *data, size_t size)
{
	memcpy(now, was, len);
	for (; size >= EDIT_LEN; data += EDIT_LEN, size -= EDIT_LEN)
		now[(data[0] << 8 | data[1]) % len] ^= data[2];
}

static int find(uint64_t digest, uint64_t place, uint64_t *ret_where, void *ctx)
{
	*ret_where = place;
	return ctx && digest % 5 == 0;
}

static void check(const struct fingerprint_damage *damage, const struct fingerprint_result *result)
{
	struct buf text = BUF_NULL;
	struct fingerprint_summary summary = FINGERPRINT_SUMMARY_NULL;

	require(result->first <= result->last && result->last < damage->now.len);
	require((unsigned)result->kind < FINGERPRINT_COUNT_);
	if (result->proven) {
		require(fingerprint_undo(result, damage->now, old) == 0);
		require(block_sum_is_equal(block_sum_of(span_of(old, damage->now.len)),
					   damage->was));
		require(old[result->first] != damage->now.data[result->first]);
		require(old[result->last] != damage->now.data[result->last]);
	} else {
		require(fingerprint_undo(result, damage->now, old) != 0);
	}
	fingerprint_describe(result, &text);
	fingerprint_summary_add(&summary, result);
	fingerprint_summary_describe(&summary, &text);
	require(text.len > 0 && buf_error(&text) == 0);
	buf_fini(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint32_t lens[] = { 1024, 2048, 4096, 16384 };
	struct fingerprint_result result;
	struct fingerprint_damage damage;
	struct fingerprint_lookup lookup = { find, find, NULL };
	uint64_t budget = STEPS;
	uint32_t len;
	uint8_t flags;
	int r;

	if (size < 1 + SUM_LEN)
		return 0;
	flags = data[0];
	lookup.ctx = flags & 0x10 ? &lookup : NULL;
	len = lens[flags & 3];
	data++;
	size--;
	fill(was, len, data + size / 2, size - size / 2);
	if (flags & 8)
		edit(len, data, size / 2);
	else
		fill(now, len, data, size / 2);
	damage = (struct fingerprint_damage){ span_of(now, len), block_sum_of(span_of(was, len)),
					      1 };
	if (flags & 4) {
		memcpy(&damage.was.digest, data, 8);
		memcpy(&damage.was.sectors, data + 8, 4);
	}
	r = fingerprint_identify(&damage, &lookup, &budget, &result);
	require(budget <= STEPS);
	require(r == 0 || r == FINGERPRINT_UNDAMAGED);
	if (r == 0)
		check(&damage, &result);
	return 0;
}

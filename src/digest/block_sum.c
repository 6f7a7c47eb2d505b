/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The block is digested twice, whole and in eighths: a digest of the whole made from those of the
 * eighths would be as fast as one pass, but the digest is to be the XXH3 that any other tool gives.
 */
#include "digest/block_sum.h"

#include "digest/digest.h"

unsigned block_sum_of_eighth(struct span eighth)
{
	return (unsigned)(xxh3_of(eighth) >> 60);
}

struct block_sum block_sum_of(struct span block)
{
	struct block_sum sum = { .digest = xxh3_of(block) };
	uint64_t len = block.len / BLOCK_SUM_EIGHTHS, off = 0;

	for (unsigned i = 0; i < BLOCK_SUM_EIGHTHS; i++, off += len) {
		uint64_t end = i + 1 < BLOCK_SUM_EIGHTHS ? off + len : block.len;
		/* No arithmetic on the NULL of an empty block. */
		struct span eighth = block.len ? span_of(block.data + off, end - off) : SPAN_NULL;
		sum.sectors |= (uint32_t)block_sum_of_eighth(eighth) << 4 * i;
	}
	return sum;
}

bool block_sum_is_equal(struct block_sum a, struct block_sum b)
{
	return a.digest == b.digest && a.sectors == b.sectors;
}

unsigned block_sum_differing(struct block_sum a, struct block_sum b)
{
	uint32_t changed = a.sectors ^ b.sectors;
	unsigned differing = 0;

	for (unsigned i = 0; i < BLOCK_SUM_EIGHTHS; i++)
		if (changed >> 4 * i & 0xf)
			differing |= 1u << i;
	return differing;
}

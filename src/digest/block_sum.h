/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a baseline keeps of a block: its digest, and four bits of the digest of each eighth of it. The
 * digest tells that the block changed; the eighths tell roughly where, though the old bytes are gone.
 * An eighth that changed has the same four bits as before in one case of sixteen; one that did not
 * change has the same bits always. Pure functions; any thread.
 */
#ifndef DIGEST_BLOCK_SUM_H
#define DIGEST_BLOCK_SUM_H

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/span.h"

enum { BLOCK_SUM_EIGHTHS = 8 };

struct block_sum {
	uint64_t digest;  /* xxh3_of the block */
	uint32_t sectors; /* eighth i: bits 4i to 4i + 3 */
};

/* Of a block of any length, usually 4,096 bytes. What 8 does not divide is part of the last eighth. */
struct block_sum block_sum_of(struct span block) must_check;

bool block_sum_is_equal(struct block_sum a, struct block_sum b) must_check;

/* Bit i is set when eighth i differs for sure. None may be set though the digests differ. */
unsigned block_sum_differing(struct block_sum a, struct block_sum b) must_check;

/* The four bits that are kept of one eighth, 0 to 15. */
unsigned block_sum_of_eighth(struct span eighth) must_check;

#endif

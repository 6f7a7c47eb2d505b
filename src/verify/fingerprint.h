/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What silent damage to a block looks like. The old bytes are gone; a baseline has their digest and
 * four bits of each eighth (digest/block_sum). Where the damage is small enough to be undone by
 * trying, it is proven: the bytes before it are known again. Else its shape is told, which is a guess.
 *
 * Pure: no I/O, no clock; the same for the same arguments on every machine. Time is bounded by
 * counted steps. Everything may be called from any thread.
 */
#ifndef VERIFY_FINGERPRINT_H
#define VERIFY_FINGERPRINT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "base/span.h"
#include "digest/block_sum.h"

enum fingerprint {
	FINGERPRINT_SINGLE_BIT, /* one bit was flipped */
	FINGERPRINT_LANE,     /* one byte was changed, or one bit of each of 2 or 3 64-bit words */
	FINGERPRINT_ZEROED,   /* sectors of 512 bytes, or the block, are zero */
	FINGERPRINT_REPEATED, /* sectors are those of elsewhere in the block, or all are the same */
	FINGERPRINT_SHIFTED,  /* the block or one sector of it was moved by up to 512 bytes */
	FINGERPRINT_TORN_512, /* it differs up to, or from, one place; a multiple of 512 bytes */
	FINGERPRINT_TORN_4096, /* the same in a block of more than 4,096 bytes, at a multiple of them */
	FINGERPRINT_MISDIRECTED, /* it is what another block should be */
	FINGERPRINT_LOST_WRITE,	 /* it is what this block was in an older baseline */
	FINGERPRINT_RANDOM,	 /* none of these */
	FINGERPRINT_COUNT_,
};

enum {
	FINGERPRINT_LEN_MIN = 1024,
	FINGERPRINT_LEN_MAX = 65536, /* bytes of a block, a power of two */
	FINGERPRINT_CHANGES_MAX = 3,
	FINGERPRINT_SHIFT_MAX = 512, /* bytes */
	/* About a second of one CPU of 2024; half of it is spent on one block at most. */
	FINGERPRINT_STEPS_PER_S = 200000000,
	FINGERPRINT_STEPS_MAX = FINGERPRINT_STEPS_PER_S / 2,
};

/* A block whose digest is not that of the baseline. */
struct fingerprint_damage {
	struct span now;      /* the block as it is */
	struct block_sum was; /* as the baseline has it */
	uint64_t place;	      /* which block it is; for the callbacks and the summary */
};

/* 1: yes, and where; 0: no; negative errno: could not look, which ends the inquiry. */
typedef int (*fingerprint_find_fn)(uint64_t digest, uint64_t place, uint64_t *ret_where, void *ctx);

/* Either function may be NULL: then nothing is known. */
struct fingerprint_lookup {
	/* Has another block than `place` this digest in the baseline? Which? */
	fingerprint_find_fn find_elsewhere;
	/* Had the block at `place` this digest in an older baseline? In which, by any number? */
	fingerprint_find_fn find_before;
	void *ctx;
};

#define FINGERPRINT_LOOKUP_NULL ((struct fingerprint_lookup){ NULL, NULL, NULL })

/* One byte that was changed; the flipped bits are was ^ now. */
struct fingerprint_change {
	uint32_t off; /* in the block */
	uint8_t was, now;
};

struct fingerprint_result {
	enum fingerprint kind;
	bool proven;	/* the old bytes are known, and have the sum of the baseline */
	bool exhausted; /* the steps ran out: a bit or lane may have been missed */
	uint64_t place;
	uint32_t len;	    /* of the block, bytes */
	unsigned differing; /* eighths that differ for sure, a bit for each; 0: none is known */
	/*
	 * First and last byte that changed: exact when proven, else the edges of what differs for sure,
	 * in eighths or sectors; the whole block when no eighth is known to differ.
	 */
	uint32_t first, last;

	/* SINGLE_BIT and LANE: what was changed, in ascending order. */
	struct fingerprint_change changes[FINGERPRINT_CHANGES_MAX];
	unsigned nr_changes;
	/* The flipped bits as bits of a little-endian 64-bit word, of all words together. */
	uint64_t mask;
	unsigned lane; /* which byte of a 64-bit word they are in, 0 to 7 */
	unsigned bit;  /* the lowest of them in its byte, 0 to 7 */

	/* SHIFTED: [shift_off, shift_off + shift_len) was moved up by `shift` bytes, down if negative. */
	uint32_t shift_off, shift_len;
	int32_t shift;
	bool rotated; /* what left at one end came in at the other; else zeros are missing there */

	/* MISDIRECTED: the other block. LOST_WRITE: the baseline. REPEATED: offset of the original. */
	uint64_t other;
	bool whole; /* ZEROED, REPEATED: all of the block is */
};

enum { FINGERPRINT_UNDAMAGED = 1 };

/*
 * The first that applies; proof by digest goes before shape, and of proofs the one with the fewest
 * possibilities goes first, for it is the least likely to be met by accident:
 *   the digest is that of this block in an older baseline      lost-write
 *   it is that of another block, and not all bytes are equal   misdirected
 *   one flipped bit explains the digest                        single-bit, proven
 *   rotating the block or a sector does, or moving it up or
 *   down with zeros behind it                                  shifted, proven
 *   another value of one byte does                             lane, proven
 *   one bit position flipped in two words, in three, does      lane, proven
 *   every eighth that differs has a sector of zeros            zeroed
 *   every eighth that differs has a copy of another sector     repeated, and before zeroed where
 *     eighths are more than a sector long, for those have other zeros in them as well
 *   what differs is one end of the block                       torn-512, torn-4096
 *   anything else                                              random
 * A block of one byte value everywhere says nothing of where it came from: a disk has many.
 *
 * At most `*budget` and FINGERPRINT_STEPS_MAX steps are spent; what is used is taken off `*budget`.
 * What does not fit into them is not tried, and the result says so. Up to 4,096 bytes everything
 * fits. At 65,536 a single bit does; of single bytes 94 in 100 are found, of two flips 96, of three
 * 63: what is missed lies in eighths that have the same four bits as before, or in one eighth.
 *
 * FINGERPRINT_UNDAMAGED: the block has the sum of the baseline; *ret is untouched, as on an error.
 * -EINVAL for a length out of bounds; -ENOMEM; -ENOTSUP from xxh3_trial_init; what a callback
 * returned. Takes up to 400 KiB of memory meanwhile.
 */
int fingerprint_identify(const struct fingerprint_damage *damage,
			 const struct fingerprint_lookup *lookup, uint64_t *budget,
			 struct fingerprint_result *ret) must_check;

/*
 * The bytes before the damage, of a proven result, into `ret_old`, which is as long as `now` and
 * apart from it. -EINVAL when it is not proven, or not of a block of this length.
 */
int fingerprint_undo(const struct fingerprint_result *result, struct span now,
		     uint8_t *ret_old) must_check;

/* "single-bit", "torn-512"; "?" for what is none. Names do not change. Live for ever. */
const char *fingerprint_name(enum fingerprint kind);

/* What such damage usually comes from and what to look at, a sentence or two. Lives for ever. */
const char *fingerprint_meaning(enum fingerprint kind);

/* Appends one line without its end: "bit 5 of byte 1234 was flipped (0 to 1)". */
void fingerprint_describe(const struct fingerprint_result *result, struct buf *out);

/* All fingerprints of a run. Needs no fini. */
struct fingerprint_summary {
	uint64_t counts[FINGERPRINT_COUNT_];
	uint64_t nr_exhausted;
	/* Of single bits: what the first had, and whether all others have the same. */
	unsigned bit, lane, page_off;
	bool same_bit, same_lane, same_page_off;
	uint64_t nr_raised; /* went from 0 to 1 */
	/* Of single bits and lanes together. */
	unsigned any_lane;
	bool same_any_lane;
};

#define FINGERPRINT_SUMMARY_NULL ((struct fingerprint_summary){ .nr_exhausted = 0 })

void fingerprint_summary_add(struct fingerprint_summary *summary,
			     const struct fingerprint_result *result);

/*
 * Appends sentences, for people, without an end of line: "17 blocks, all one bit, all bit 5 of byte 3
 * of a 64-bit word: suspect memory or bus". "no damage" when nothing was added.
 */
void fingerprint_summary_describe(const struct fingerprint_summary *summary, struct buf *out);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Block walk: which blocks of a volume are allocated, and in which reads they are fetched, in the
 * order of the disk. Bitmaps are read one group at a time, when the walk gets there; memory is
 * bounded by one of them, and a byte for each group.
 *
 * The bitmap of a mounted filesystem is newer than the descriptor that was read when it was opened,
 * and then looks damaged. So of a volume that is mounted such a group is looked at again by
 * descriptors as the kernel has them now. What is then still wrong is left out.
 *
 * Internal to verify/. A walk belongs to the thread of its volume.
 */
#ifndef VERIFY_BLOCK_WALK_H
#define VERIFY_BLOCK_WALK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include "verify/volume.h"

#define BLOCK_WALK_READ (512u << 10) /* bytes: the longest read */
#define BLOCK_WALK_RAW 4096u	     /* bytes of a block, where there is no filesystem */
#define BLOCK_WALK_SMALLEST 1024u    /* bytes of a block */

/* A read, and which of its blocks are allocated. */
struct block_read {
	uint64_t off;	    /* bytes, a multiple of block and sector */
	uint32_t len;	    /* bytes, a multiple of the sector; the last block may reach beyond */
	uint32_t nr_blocks; /* that begin in it */
	uint64_t first;	    /* the number of its first block */
	uint64_t allocated[BLOCK_WALK_READ / BLOCK_WALK_SMALLEST / 64]; /* a bit for each */
};

static inline bool block_read_has(const struct block_read *read, uint32_t i)
{
	return read->allocated[i / 64] >> (i % 64) & 1;
}

struct block_walk;

/*
 * Borrows both, which must outlive the walk. `fs` is NULL: all blocks of BLOCK_WALK_RAW bytes, up
 * to the last whole sector. `gap_max`: bytes of free blocks that are read rather than left out.
 * -ENOMEM; -EINVAL: a sector that is no power of two, or larger than a read.
 */
int block_walk_new(struct volume *volume, struct ext4 *fs, uint32_t gap_max,
		   struct block_walk **ret_walk) must_check;
void block_walk_free(struct block_walk *walk); /* NULL is allowed */

uint32_t block_walk_block_size(const struct block_walk *walk);

/*
 * The next read: 0 or BLOCK_WALK_END. -ENOMEM; -ENODEV: the device has gone. Each allocated block
 * is in one read, whole. What lies before the first group counts as allocated.
 */
enum { BLOCK_WALK_END = 1 };
int block_walk_next(struct block_walk *walk, struct block_read *ret_read) must_check;

/* Bytes that are to be told, by the descriptors, less what was left out so far. */
uint64_t block_walk_total(const struct block_walk *walk);

struct block_walk_left_out {
	uint64_t nr_groups, bytes; /* bytes: of the groups, free or not */
	int error;		   /* of the first, a negative errno; 0: none was left out */
};
struct block_walk_left_out block_walk_get_left_out(const struct block_walk *walk);

/*
 * Each group that was left out so far, ascending; `error` is -EBADMSG, or that of the read. What
 * `fn` returns, if it is not 0, ends it and is returned.
 */
typedef int (*block_walk_group_fn)(uint64_t off, uint64_t len, int error, void *ctx);
int block_walk_each_left_out(const struct block_walk *walk, block_walk_group_fn fn,
			     void *ctx) must_check;

#endif

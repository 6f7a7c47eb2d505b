/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A baseline that is read: cursors over its branches, and what its chunks hold. All functions
 * return -EBADMSG for damage, -ENOMEM, or the errno of the read. Each walk has cursor and chunk of
 * its own, so that one may run inside of another.
 */
#ifndef STATE_BASELINE_READER_H
#define STATE_BASELINE_READER_H

#include "state/baseline_format.h"

/* ---- cursors: the chunks of one branch in their order ---- */

struct baseline_cursor {
	struct baseline *b; /* borrowed */
	enum baseline_branch branch;
	struct baseline_ref *leaf; /* BASELINE_FANOUT, when the first is read */
	bool has_leaf;
	uint32_t leaf_no, nr_leaf, pos;
	struct buf bytes;
};

/* Before the first chunk. Release with baseline_cursor_fini. */
#define BASELINE_CURSOR(b_, branch_) ((struct baseline_cursor){ .b = (b_), .branch = (branch_) })
void baseline_cursor_fini(struct baseline_cursor *c);

/* 1 and the next chunk, or 0 behind the last. */
int baseline_cursor_next(struct baseline_cursor *c, struct baseline_ref *ret_ref) must_check;

/* Goes to before the first chunk whose last key is not below `key`: baseline_cursor_next is next. */
int baseline_cursor_seek(struct baseline_cursor *c, uint64_t key) must_check;

/* ---- sums ---- */

struct baseline_sums_run {
	uint64_t first;
	uint32_t nr;
	uint32_t index; /* of its first sum */
};

/* One chunk of sums, those that were replaced in place. */
struct baseline_sums {
	struct baseline_cursor cursor;
	bool loaded;
	struct baseline_ref ref;
	uint64_t from; /* that was looked for: between it and the chunk is none */
	struct buf bytes;
	uint8_t *digests, *sectors;	/* into bytes; little-endian, unaligned */
	struct baseline_sums_run *runs; /* BASELINE_CHUNK_SUMS, when the first is loaded */
	uint32_t nr_runs, hint;
	uint64_t nr_replaced; /* of all chunks that were loaded */
};

#define BASELINE_SUMS_OF(b_)                                                                       \
	((struct baseline_sums){ .cursor = BASELINE_CURSOR((b_), BASELINE_SUMS) })
void baseline_sums_fini(struct baseline_sums *s);

/* Loads the next chunk: 1, or 0 behind the last. */
int baseline_sums_next(struct baseline_sums *s) must_check;

static inline struct block_sum baseline_sums_get(const struct baseline_sums *s, uint32_t index)
{
	return (struct block_sum){
		.digest = baseline_le64(s->digests + (size_t)index * sizeof(uint64_t)),
		.sectors = baseline_le32(s->sectors + (size_t)index * sizeof(uint32_t)),
	};
}

/* ---- replaced sums ---- */

struct baseline_patch {
	uint64_t block;
	struct block_sum sum;
	bool contested;
};

/* One chunk of them. */
struct baseline_patches {
	struct baseline_cursor cursor;
	bool loaded;
	struct baseline_ref ref;
	uint64_t from; /* as above */
	struct buf bytes;
	uint32_t pos; /* the next */
};

#define BASELINE_PATCHES_OF(b_)                                                                    \
	((struct baseline_patches){ .cursor = BASELINE_CURSOR((b_), BASELINE_PATCHES) })
void baseline_patches_fini(struct baseline_patches *p);

/* Goes to the first that is not below `block`. */
int baseline_patches_seek(struct baseline_patches *p, uint64_t block) must_check;
/* 1 and the next one, or 0 behind the last. */
int baseline_patches_next(struct baseline_patches *p, struct baseline_patch *ret_patch) must_check;

/* ---- owners ---- */

struct baseline_owners {
	struct baseline_cursor cursor;
	bool loaded; /* a chunk is */
	struct baseline_ref ref;
	struct buf packed, raw;
	struct baseline_in in;
	struct baseline_record_base base;
	uint32_t left; /* records of the chunk */
	bool skips;    /* where it begins may be in the middle of an owner */
	struct baseline_record *record;
	struct baseline_owner owner;
	struct baseline_extent *extents;
	size_t nr_extents, cap_extents;
};

#define BASELINE_OWNERS_OF(b_)                                                                     \
	((struct baseline_owners){ .cursor = BASELINE_CURSOR((b_), BASELINE_OWNERS) })
void baseline_owners_fini(struct baseline_owners *o);

/* Goes to the first owner with `ino` or above. */
int baseline_owners_seek(struct baseline_owners *o, uint32_t ino) must_check;
/* 1 and o->owner, or 0 behind the last. */
int baseline_owners_next(struct baseline_owners *o) must_check;

/* ---- the baseline itself ---- */

struct baseline {
	struct source own;  /* of baseline_open */
	struct source *src; /* borrowed */
	struct baseline_header header;
	struct baseline_ref *roots[BASELINE_BRANCHES_]; /* header.roots[].nr of them */

	struct baseline_sums at;	 /* of baseline_sum_at */
	struct baseline_patches patches; /* of whoever loads a chunk of sums */
	struct baseline_owners find;	 /* of baseline_find_owner */
	bool find_is_valid, find_has_owner;
	uint64_t find_passed; /* of inodes below this one nothing is left */
	bool as_added;	      /* sums are told as they were added, not as they were replaced */
};

/* Reads what `ref` refers to, and checks its sum. */
int baseline_load(struct baseline *b, const struct baseline_ref *ref,
		  struct buf *ret_bytes) must_check;

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The baseline of one volume: of every allocated block of a filesystem its digest, and of every
 * inode which blocks it owned and when it had last changed, at the time of one run. The next run
 * holds what it reads against it. Each run that ends well leaves a generation of its own, in
 * STATE_DIR/baseline/UUID/NUMBER.baseline; the format is in docs/STATE.md.
 *
 * Both sides stream: neither holds more in memory the larger the volume is. A writer needs about
 * 4 MiB, and 24 bytes for each sum that is replaced (24 MiB at most); a reader about 3 MiB, and 32
 * bytes for each extent of the inode that it tells of (a few; 128 MiB for the largest that there
 * can be).
 *
 * A file is read as hostile. Its header names a checksum of each of its tables, these one of each
 * chunk, and whatever is read is checked on the way: what is damaged is -EBADMSG, and never
 * looks like a block without a sum. Blocks are counted from the beginning of the filesystem in
 * units of its block size. Times are nanoseconds since the epoch.
 *
 * A writer and a baseline belong to one thread each. Callbacks may call everything here about the
 * same baseline, but baseline_close, and from baseline_find_owner itself. A result of theirs that
 * is not 0 stops the walk and is returned.
 */
#ifndef STATE_BASELINE_H
#define STATE_BASELINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "digest/block_sum.h"
#include "io/source.h"

#define BASELINE_UUID_LEN 16			 /* bytes */
#define BASELINE_BLOCKS_MAX (UINT64_C(1) << 48)	 /* of a filesystem */
#define BASELINE_EXTENTS_MAX (UINT32_C(1) << 22) /* of one owner */
#define BASELINE_REPLACED_MAX (UINT32_C(1) << 20)
#define BASELINE_KEEP_MIN 2 /* generations that are never removed */

struct baseline_info {
	uint8_t uuid[BASELINE_UUID_LEN]; /* of the filesystem */
	uint32_t block_size;		 /* bytes: a power of two, 512 to 65,536 */
	uint64_t nr_blocks;		 /* of the filesystem, allocated or not */
	int64_t started_ns, ended_ns;	 /* of the run */
	/* Of baselines that are read; a writer counts for itself. */
	uint64_t nr_sums, nr_owners;
	uint64_t number; /* the generation, from 1 */
	uint64_t nr_contested;
	uint64_t bytes; /* of its file */
};

/* In blocks. */
struct baseline_extent {
	uint64_t logical;  /* in the file */
	uint64_t physical; /* in the filesystem */
	uint64_t len;
	bool unwritten; /* allocated, and reads as zeros */
};

/* Bits of struct baseline_owner; they are kept as they are, and so are others that a caller has. */
enum {
	/* It changed so shortly before it was read that its digests are no witness. */
	BASELINE_OWNER_YOUNG = 1 << 0,
	/* Not the content of a file: the blocks are the filesystem's own. */
	BASELINE_OWNER_METADATA = 1 << 1,
};

struct baseline_owner {
	uint32_t ino;
	uint32_t generation;
	uint32_t mode;
	uint32_t flags;
	int64_t ctime_ns, mtime_ns;
	uint64_t size; /* bytes */
	/* In any order. Borrowed for the call. */
	const struct baseline_extent *extents;
	size_t nr_extents;
};

/* ---- writing ---- */

struct baseline_writer;

/*
 * Begins the next generation of the volume info->uuid below the state directory `dir`, which is
 * made where it is missing (all with mode 0700). Removes what a killed writer has left. Of `info`
 * the uuid, block_size, nr_blocks and started_ns are taken. -EBUSY: another process is writing one
 * of the same volume; -EINVAL: block size or number of blocks are out of bounds; -ENOMEM; else the
 * errno of the system call. *ret_writer is NULL after a failure. Release with baseline_writer_free.
 */
int baseline_writer_new(const char *dir, const struct baseline_info *info,
			struct baseline_writer **ret_writer) must_check;

/* NULL is allowed. What was not committed is removed. */
void baseline_writer_free(struct baseline_writer *w);

/*
 * The sum of an allocated block; blocks ascend. Sums and owners may take turns. -EINVAL: not above
 * the block before, or not in the filesystem, and nothing has happened. An error of the disk or of
 * memory is returned by every later call as well.
 */
int baseline_writer_add_sum(struct baseline_writer *w, uint64_t block,
			    struct block_sum sum) must_check;

/*
 * Owners ascend by ino; several of the same ino may follow each other (its content and the blocks
 * of its map, say). An inode keeps its record, as it is now, when one of its blocks turns out
 * to be corrupt: that it has not changed since the baseline before is what makes the block corrupt.
 * -EINVAL: out of order, or an extent is empty or beyond the filesystem; -EFBIG: more than
 * BASELINE_EXTENTS_MAX; nothing has happened then.
 */
int baseline_writer_add_owner(struct baseline_writer *w,
			      const struct baseline_owner *owner) must_check;

/*
 * Puts `sum` in place of that of a block that was, or will be, added; the last one counts. With
 * `contested` it is evidence: what the block held in the baseline before, and not what was read of
 * it now. -EINVAL: the block is not in the filesystem; -EFBIG: more than BASELINE_REPLACED_MAX
 * calls; nothing has happened then.
 */
int baseline_writer_replace_sum(struct baseline_writer *w, uint64_t block, struct block_sum sum,
				bool contested) must_check;

/*
 * Makes it the newest generation, durably, and then removes the oldest beyond `keep` (at least
 * BASELINE_KEEP_MIN); that one cannot be removed is no error. -EINVAL: a sum was replaced that had
 * not been added. After an error there is no new generation, unless only the directory could not be
 * made durable. Nothing but baseline_writer_free may follow. `ret_number` may be NULL.
 */
int baseline_writer_commit(struct baseline_writer *w, int64_t ended_ns, unsigned keep,
			   uint64_t *ret_number) must_check;

/* ---- reading ---- */

struct baseline;

/*
 * Opens generation `number` of a volume, or the newest one if it is 0: that and no older one, even
 * if it is damaged. -ENOENT: there is none; -EBADMSG: the header or a table is damaged, or it is
 * the file of another volume or generation; -EPROTONOSUPPORT: written by a newer assay; -ENOMEM;
 * else the errno of the read. *ret_baseline is NULL after a failure. Release with baseline_close.
 */
int baseline_open(const char *dir, const uint8_t uuid[BASELINE_UUID_LEN], uint64_t number,
		  struct baseline **ret_baseline) must_check;

/* The same for the bytes of one, whichever it is. `src` is borrowed and must outlive it. */
int baseline_open_source(struct source *src, struct baseline **ret_baseline) must_check;

void baseline_close(struct baseline *b); /* NULL is allowed */

void baseline_get_info(const struct baseline *b, struct baseline_info *ret_info);

/*
 * 1: *ret_sum is the sum of the block, 0: it was not allocated, or could not be read. Blocks may be
 * asked for in any order; ascending is fast. -EBADMSG: what would tell is damaged; or the errno of
 * the read. So for all below.
 */
int baseline_sum_at(struct baseline *b, uint64_t block, struct block_sum *ret_sum) must_check;

/* 1: its sum is evidence kept from the baseline before; 0: it is not. */
int baseline_is_contested(struct baseline *b, uint64_t block) must_check;

/* Every run of neighbouring blocks that have a sum, as long as they go, ascending. */
typedef int (*baseline_run_fn)(uint64_t first, uint64_t nr, void *ctx);
int baseline_each_run(struct baseline *b, baseline_run_fn fn, void *ctx) must_check;

/* Every owner, ascending by ino. */
typedef int (*baseline_owner_fn)(const struct baseline_owner *owner, void *ctx);
int baseline_each_owner(struct baseline *b, baseline_owner_fn fn, void *ctx) must_check;

/* The records of one inode. -ENOENT: there is none. Any order; ascending is fast. */
int baseline_find_owner(struct baseline *b, uint32_t ino, baseline_owner_fn fn,
			void *ctx) must_check;

/*
 * Every block whose digest is one of `digests`, ascending by block, in one pass over all sums.
 * `digests` ascend and may repeat themselves.
 */
typedef int (*baseline_digest_fn)(uint64_t block, struct block_sum sum, void *ctx);
int baseline_find_digests(struct baseline *b, const uint64_t *digests, size_t nr,
			  baseline_digest_fn fn, void *ctx) must_check;

/* Reads all of it, and checks what the parts say of each other. */
int baseline_verify(struct baseline *b) must_check;

enum baseline_change {
	BASELINE_CHANGED, /* both have a sum, and they differ */
	BASELINE_NEW,	  /* only the second has */
	BASELINE_GONE,	  /* only the first has */
};

/*
 * What differs between an older baseline and a newer one of the same filesystem: runs of blocks,
 * ascending, as long as they go. -EINVAL: the block sizes differ.
 */
typedef int (*baseline_change_fn)(enum baseline_change change, uint64_t first, uint64_t nr,
				  void *ctx);
int baseline_diff(struct baseline *older, struct baseline *newer, baseline_change_fn fn,
		  void *ctx) must_check;

/* The generations that there are, ascending; none is no error. The files are not opened. */
typedef int (*baseline_number_fn)(uint64_t number, void *ctx);
int baseline_list(const char *dir, const uint8_t uuid[BASELINE_UUID_LEN], baseline_number_fn fn,
		  void *ctx) must_check;

#endif

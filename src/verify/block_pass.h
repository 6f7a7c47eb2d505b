/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Block pass: every allocated block of an ext2, ext3 or ext4 filesystem, or every block of a device
 * whatever is on it, read once in the order of the disk and told with its sum. What the disk cannot
 * give is told sector by sector. Where several people read the disk, it gives way as a scan does.
 *
 * The filesystem may be mounted: blocks that are allocated or freed behind the back of the pass may
 * be told or not, and their bytes are those of the disk, which may be older than those of the page
 * cache.
 *
 * Threads: callbacks are called in the thread that calls; another one reads, and the volume and the
 * filesystem belong to it meanwhile. One thread sums 7 GB/s.
 */
#ifndef VERIFY_BLOCK_PASS_H
#define VERIFY_BLOCK_PASS_H

#include <signal.h>
#include <stdint.h>

#include "base/compiler.h"
#include "digest/block_sum.h"
#include "io/ring.h"
#include "io/throttle.h"
#include "verify/volume.h"

#define BLOCK_PASS_RAW 4096u /* bytes of a block, where there is no filesystem */

struct block_pass_options {
	enum ring_engine engine;
	struct throttle_limits limits;
	int64_t timeout_ns;		   /* a read that takes longer: the device hangs */
	const volatile sig_atomic_t *stop; /* may be NULL */
	struct fault *fault;		   /* for tests; NULL: none */
};

/*
 * What is told. All but `block` and `bad` may be NULL. They return 0, or a negative errno, which
 * ends the pass and is returned.
 */
struct block_pass_events {
	/*
	 * An allocated block that was read, ascending. `bytes` are those of one block, for the
	 * call. The last block of a device that ends in the middle of it is filled up with zeros.
	 */
	int (*block)(uint64_t block, struct block_sum sum, const uint8_t *bytes, void *ctx);
	/*
	 * Unreadable sectors that follow each other in one allocated block; the others of that
	 * block can be read. In place of `block`, once or more for each such block, ascending. A
	 * sector that is larger than a block is told of each of its blocks that is allocated.
	 */
	int (*bad)(uint64_t off, uint64_t len, int error, void *ctx);
	/*
	 * When everything else has been told: a group whose bitmap or descriptor is damaged
	 * (-EBADMSG) or cannot be read, of which therefore nothing was read. Ascending.
	 */
	int (*left_out)(uint64_t off, uint64_t len, int error, void *ctx);
	/* A few times a second. `total` is an estimate at first. */
	void (*progress)(uint64_t bytes_done, uint64_t bytes_total, void *ctx);
	void *ctx;
};

struct block_pass_stats {
	uint32_t block_size;	/* bytes */
	uint64_t nr_blocks;	/* told as read */
	uint64_t nr_bad_blocks; /* with unreadable sectors */
	uint64_t bytes;		/* of both */
	uint64_t bad_bytes;	/* that cannot be read, as told */
	uint64_t nr_groups_left_out;
	uint64_t bytes_left_out;    /* of those groups, free blocks too */
	uint64_t bytes_tail;	    /* of a file, raw: behind its last whole sector, not read */
	uint64_t bytes_read, reads; /* from the device; free blocks in small gaps too */
	uint64_t retried;	    /* reads that failed, and did not when made again alone */
	unsigned depth;		    /* reads under way at the end */
	const char *engine;	    /* "io_uring", "pread"; NULL: nothing was read */
	char why[128];		    /* it is not io_uring; "" */
};

/*
 * `volume` is usable; `fs` is volume->fs or another one on the same device, borrowed; NULL: every
 * block of BLOCK_PASS_RAW bytes. 0: everything was read or told as unreadable; BLOCK_PASS_STOPPED:
 * options->stop was set; BLOCK_PASS_PARTIAL: read to the end, but for groups that were left out;
 * -ENODEV: the device has gone; -ETIMEDOUT: it hangs; -ENOMEM; -EINVAL: its sectors are of no size
 * that is known; what a callback returned; or the errno of the ring. *ret_stats is filled in
 * whatever the result.
 */
enum { BLOCK_PASS_STOPPED = 1, BLOCK_PASS_PARTIAL = 2 };
int block_pass_run(struct volume *volume, struct ext4 *fs, const struct block_pass_options *options,
		   const struct block_pass_events *events,
		   struct block_pass_stats *ret_stats) must_check;

#endif

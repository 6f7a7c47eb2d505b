/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Blocks: the messages of one volume, read off its device in the order in which they lie there.
 * Messages are collected into a window; when it is full, or all have been collected, their inodes
 * are read, which say where they lie, and a thread reads the window while the next one is
 * collected. What the device shows goes to the tally.
 *
 * Only what is certain goes this way: a regular file of the right size that has not been changed
 * since before the last sync, with its bytes in blocks. All others are handed back, to be read as
 * files. Internal to verify/.
 *
 * Threads: the scan thread calls everything here; one thread a volume reads, others digest.
 */
#ifndef VERIFY_BLOCKS_H
#define VERIFY_BLOCKS_H

#include <signal.h>

#include "base/compiler.h"
#include "digest/sha1_batch.h"
#include "io/ring.h"
#include "io/throttle.h"
#include "verify/judge.h"
#include "verify/resolve.h"
#include "verify/tally.h"
#include "verify/volume.h"

struct blocks;

struct blocks_options {
	enum ring_engine engine;
	enum sha1_engine sha1;
	unsigned nr_workers;		   /* threads that digest, 1 to 16 */
	uint32_t window;		   /* messages, at most */
	uint64_t origin_seed;		   /* what the place of beginning follows from */
	int64_t timeout_ns;		   /* a read that takes longer: the device hangs */
	const volatile sig_atomic_t *stop; /* never NULL */
	struct throttle_limits limits;
	struct fault *fault; /* for tests; NULL: none */
};

/* Takes over `volume`, which is usable, also on failure. -ENOMEM, -ENOTSUP, or the errno of
 * pthread_create. */
int blocks_new(struct volume *volume, struct tally *tally, const struct blocks_options *options,
	       struct blocks **ret_blocks) must_check;

/* Waits for the window that is being read. NULL is allowed. */
void blocks_free(struct blocks *blocks);

/* Other limits from now on. */
void blocks_set_limits(struct blocks *blocks, const struct throttle_limits *limits);

const struct volume *blocks_volume(const struct blocks *blocks);

/*
 * Collects one message. Counts the mailbox's `pending` up; it is counted down when the message has
 * been judged. `may_carry`: see struct blocks_carry. False: the window is full, start it first.
 */
bool blocks_offer(struct blocks *blocks, struct mailbox *mailbox, const struct witness *witness,
		  uint32_t ino, bool may_carry) must_check;

/* How far the window under way has come: all that begins less than this many bytes from the origin
 * has been judged. */
uint64_t blocks_distance(struct blocks *blocks);

/* Messages collected and not started. */
uint32_t blocks_collected(const struct blocks *blocks);

/*
 * Messages that cannot be read this way: to be read as files. Called in the order of the mailboxes
 * within a window. The mailbox's `pending` still counts them; count it down after having begun them anew.
 */
typedef int (*blocks_fallback_fn)(struct mailbox *mailbox, const struct witness *witness,
				  void *ctx);

/*
 * Starts to read what was collected. Nothing may be being read. 0; what `fallback` returned; or an
 * errno of sync, sort or memory, after which the window is as if it had failed.
 */
int blocks_start(struct blocks *blocks, int dirfd_on_volume, const struct blocks_carry *carry,
		 blocks_fallback_fn fallback, void *ctx) must_check;

/* True while a window is being read. Waits up to `wait_ns` for its end. */
bool blocks_is_busy(struct blocks *blocks, int64_t wait_ns);

/*
 * How the last window ended, once: 0; BLOCKS_STOPPED; -ENODEV: the device has gone; -ETIMEDOUT: it
 * hangs; or another errno. *ret_unread is how many of its messages were not read; they count as
 * gaps of their mailboxes unless the scan was stopped.
 */
enum { BLOCKS_STOPPED = 1 };
int blocks_take_result(struct blocks *blocks, uint64_t *ret_unread) must_check;

struct blocks_report {
	const char *engine; /* "io_uring", "pread"; NULL: nothing was read */
	const char *why;    /* it is not io_uring; "" */
	const char *sha1;
	uint64_t messages, bytes; /* placed */
	uint64_t bytes_read;	  /* from the device */
	uint64_t reads, retried, bad_sectors;
	uint64_t fallbacks; /* messages that were read as files */
	unsigned depth;
};
void blocks_get_report(const struct blocks *blocks, struct blocks_report *ret_report);

#endif

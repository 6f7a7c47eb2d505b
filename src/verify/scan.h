/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scan: verify a store at rest. Every live message is read from the disk and compared with the
 * size and SHA-1 in its index record; every index with its CRCs; every directory with its index.
 *
 * A mismatch is looked at again after a settling time, by a fresh road (index re-read under its
 * lock, file re-opened), before it is a finding. What changed meanwhile is in flight and counted.
 * Beside the first message that is found good a fault is planted: if it is not found, the run is
 * void.
 */
#ifndef VERIFY_SCAN_H
#define VERIFY_SCAN_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/log.h"
#include "digest/sha1_batch.h"
#include "io/ring.h"
#include "io/throttle.h"
#include "state/state.h"
#include "verify/select.h"
#include "verify/target.h"

enum scan_order {
	SCAN_ORDER_AUTO, /* in the order of the disk where its blocks may be read */
	SCAN_ORDER_FILE, /* as files */
};

struct scan_options {
	int64_t settle_ns; /* between first and second look */
	unsigned readers;  /* threads that read messages as files, where io_uring is not to be had */
	unsigned digesters; /* threads that digest what was read in blocks, 1 to 16 */
	enum scan_order order;
	enum ring_engine engine;
	enum sha1_engine sha1;
	uint32_t window;	 /* messages that are put in order at once; 0: 512 Ki */
	int64_t read_timeout_ns; /* a read that takes longer: the device hangs; 0: 120 s */
	struct throttle_limits limits;
	/* Other limits, taken when *new_limits is set from a signal handler; may be NULL. */
	volatile sig_atomic_t *new_limits;
	void (*get_limits)(struct throttle_limits *ret_limits, void *ctx); /* of the scan thread */
	void *limits_ctx;
	struct fault *fault;	 /* for tests: in reads of blocks; NULL: none */
	bool restart;		 /* do not go on where an interrupted run stopped */
	int64_t resume_max_age_ns; /* nor when that began longer ago than this; 0: however long */
	int64_t append_max_ns;	 /* files younger than this may have no record yet; 0: 10 min */
	struct scan_selection selection;
	bool quick;		 /* messages are looked for, and not read */
	int64_t since_ns;	 /* only messages delivered or changed since; 0: all */
	int64_t checkpoint_ns;	 /* between two places that are remembered; 0: 2 s */
	int64_t max_duration_ns; /* stop after this time; 0: never */
	/* Set to non-zero from a signal handler to stop early; may be NULL. */
	const volatile sig_atomic_t *stop;
	/* Set to non-zero from a signal handler to have progress reported once; may be NULL. */
	volatile sig_atomic_t *show_progress;
};

struct scan_progress {
	uint64_t mailboxes;
	uint64_t mailboxes_total;
	uint64_t messages;
	uint64_t bytes;
	uint64_t bytes_expected; /* by the last complete run; 0: unknown */
	uint64_t carried;	 /* messages that an interrupted run before had verified */
	uint64_t bytes_carried;
	uint64_t findings;
	int64_t elapsed_ns;
	bool asked; /* somebody asked for it by show_progress */
};

/* How the messages of one filesystem were read. */
struct scan_road {
	const char *device; /* "" when it is not known */
	bool in_blocks;	    /* in the order of the disk; else as files */
	const char *why;    /* as files: the reason */
	const char *engine; /* "io_uring", "pread"; NULL: nothing was read */
	const char *engine_why; /* it is not io_uring; "" */
	const char *sha1;
	uint64_t messages;   /* read in blocks */
	uint64_t as_files;   /* messages of a volume in blocks that were read as files all the same */
	uint64_t bytes_read; /* from the device: more than messages have, by gaps and sectors */
	uint64_t reads;
	uint64_t retried;     /* reads that failed and succeeded when made again */
	uint64_t bad_sectors; /* of what was read in blocks */
	unsigned depth;	      /* reads under way, at the end */
};

/* All are called by the scan thread; each may be NULL. Arguments are borrowed for the call. */
struct scan_events {
	void (*finding)(const struct finding *finding, void *ctx);
	void (*gap)(struct span mailbox, const char *path, const char *why, void *ctx);
	void (*progress)(const struct scan_progress *progress, void *ctx); /* about 5 a second */
	void (*road)(const struct scan_road *road, void *ctx); /* at the end, for each filesystem */
	void *ctx;
};

/*
 * Scans `target` and records the run in `state`. 0: the run ended, see *ret_run (its status may
 * well be incomplete, interrupted or void); -EBUSY: another scan of the target is running; or the
 * errno of what made it impossible (state, memory), said in `log`.
 */
int scan_store(struct state *state, const struct target *target,
	       const struct scan_options *options, const struct scan_events *events,
	       const struct log *log, struct run *ret_run) must_check;

#endif

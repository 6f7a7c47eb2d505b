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
#include "state/state.h"
#include "verify/target.h"

struct scan_options {
	int64_t settle_ns; /* between first and second look */
	unsigned readers;  /* threads that read messages */
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
	int64_t elapsed_ns;
	bool asked; /* somebody asked for it by show_progress */
};

/* All are called by the scan thread; each may be NULL. Arguments are borrowed for the call. */
struct scan_events {
	void (*finding)(const struct finding *finding, void *ctx);
	void (*gap)(struct span mailbox, const char *path, const char *why, void *ctx);
	void (*progress)(const struct scan_progress *progress, void *ctx); /* about 5 a second */
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

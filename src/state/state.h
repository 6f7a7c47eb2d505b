/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What assay remembers on this host: targets, runs, coverage, findings. One SQLite database in the
 * state directory, in WAL mode with full synchronisation: a kill or a power cut at any moment
 * loses at most the transaction under way, and corrupts nothing.
 *
 * Evidence is never overwritten: the first sight of a finding stays as it was, later looks are
 * added as sightings, and a finding that comes back after it was closed is a new finding.
 *
 * A `struct state` belongs to one thread. Every function returns a negative errno: -EIO when SQLite
 * or the disk fails, -EBADMSG when the database is damaged or not ours, -EBUSY when another process
 * holds it for longer than a minute; each is said once in the log given to state_open.
 */
#ifndef STATE_STATE_H
#define STATE_STATE_H

#include <stdbool.h>
#include <stdint.h>

#include "assay.h"
#include "base/compiler.h"
#include "base/log.h"
#include "base/span.h"

struct state;

enum state_access {
	STATE_READ,  /* -ENOENT when there is no state yet */
	STATE_WRITE, /* creates the directory (mode 0700) and the database */
};

/* `log` is borrowed and must outlive the state. -EPROTONOSUPPORT: written by a newer assay. */
int state_open(const char *dir, enum state_access access, const struct log *log,
	       struct state **ret_state) must_check;
void state_close(struct state *state); /* NULL is allowed; rolls back what was not committed */

/* Transactions: what was written since state_begin becomes durable at state_commit. */
int state_begin(struct state *state) must_check;
int state_commit(struct state *state) must_check;

/* ---- targets: a copy of a store that was scanned, known by its configdirectory ---- */

/*
 * Finds or makes the target. `store` and `host` become its names when it is new or when they come
 * from the configuration (`is_named`).
 */
int state_target_put(struct state *state, const char *key, const char *store, const char *host,
		     const char *imapd_conf, bool is_named, int64_t *ret_target) must_check;

/* A target of that name, on `host` unless that is NULL. -ENOENT when none was ever scanned. */
int state_target_find_named(struct state *state, const char *store, const char *host,
			    int64_t *ret_target) must_check;

/* -ENOENT when it was never scanned. */
int state_target_find(struct state *state, const char *key, int64_t *ret_target) must_check;

/* ---- runs ---- */

enum run_status {
	RUN_RUNNING,
	RUN_COMPLETE,	 /* everything in scope was verified */
	RUN_INCOMPLETE,	 /* it ended, with gaps */
	RUN_INTERRUPTED, /* stopped, killed, or the host went down */
	RUN_VOID,	 /* the planted fault was not found: nothing it says counts */
	RUN_STATUS_COUNT_,
};

const char *run_status_name(enum run_status status);

struct run {
	int64_t id;
	int64_t target;
	enum run_status status;
	int64_t started_ns; /* since the epoch */
	int64_t ended_ns;   /* 0 while running */
	uint64_t mailboxes;
	uint64_t messages; /* verified */
	uint64_t bytes;	   /* of those */
	uint64_t expunged; /* records passed over because their message is expunged */
	uint64_t findings;
	uint64_t in_flight;
	uint64_t gaps;
	uint64_t buffered; /* messages that could only be read through the page cache */
};

/* Starts a run; runs of this target that were left running are marked interrupted. */
int state_run_begin(struct state *state, int64_t target, int64_t started_ns,
		    int64_t *ret_run) must_check;

/* Stores the figures and the status of run->id. */
int state_run_update(struct state *state, const struct run *run) must_check;

/* How many runs have ended by themselves, of all targets: neither running nor interrupted. */
int state_run_count_ended(struct state *state, uint64_t *ret_count) must_check;

/*
 * The latest run that ended by itself (neither running nor interrupted), and the latest complete
 * one. -ENOENT when there is none.
 */
int state_run_last_ended(struct state *state, int64_t target, struct run *ret_run) must_check;
int state_run_last_complete(struct state *state, int64_t target, struct run *ret_run) must_check;

/* ---- coverage: the mailboxes of a target, and when each was last verified ---- */

struct mailbox_row {
	struct span key;  /* unique id, or "name:" and the name where there is none */
	struct span name; /* internal name */
	struct span partition;
	bool legacy_dirs;
	bool has_unique_id;
};

/* Records that `run` found this mailbox in the list. */
int state_mailbox_put(struct state *state, int64_t target, int64_t run,
		      const struct mailbox_row *row) must_check;

/* The next mailbox of `run` in the order of keys, after `after`. The spans are borrowed until the
 * next call. 0, STATE_END, negative errno. */
enum { STATE_END = 1 };
int state_mailbox_next(struct state *state, int64_t target, int64_t run, struct span after,
		       struct mailbox_row *ret_row) must_check;

/* Records that everything in the mailbox was verified by a pass begun at `started_ns`. */
int state_mailbox_verified(struct state *state, int64_t target, int64_t run, struct span key,
			   int64_t started_ns, uint64_t messages, uint64_t bytes) must_check;

/* Forgets a mailbox that was deleted while `run` was under way: there is nothing left to verify. */
int state_mailbox_forget(struct state *state, int64_t target, struct span key) must_check;

/* Forgets the mailboxes that `run` did not list. */
int state_mailbox_prune(struct state *state, int64_t target, int64_t run) must_check;

/* How many of the mailboxes that `run` listed it has not verified. */
int state_mailbox_count_unverified(struct state *state, int64_t target, int64_t run,
				   uint64_t *ret_count) must_check;

/*
 * Coverage by the complete `run`: when the mailbox verified longest ago was verified (0: there is
 * none), and the sum of bytes. A mailbox that a later run, which is not complete, has gone over
 * counts as verified when `run` began; one that only a later run has listed is younger than `run`
 * and does not count.
 */
int state_coverage(struct state *state, int64_t target, int64_t run, int64_t *ret_oldest_ns,
		   uint64_t *ret_bytes) must_check;

/* ---- findings ---- */

struct finding {
	int64_t id; /* 0: not stored yet */
	int64_t target;
	enum assay_verdict verdict;
	const char *code;
	const char *store; /* filled in by reads */
	const char *host;
	struct span mailbox_key;
	struct span mailbox; /* internal name; empty: concerns the store */
	const char *object;  /* what in the mailbox: "message:3", "record:5", "index"... */
	uint32_t uid;	     /* 0: none */
	uint32_t record;     /* 0: none; counted from 1 */
	struct span path;
	const char *recorded; /* NULL: none */
	const char *observed;
	const char *detail;
	int64_t first_seen_ns;
	int64_t last_seen_ns;
	int64_t closed_ns; /* 0: open */
	const char *resolution; /* of a closed one */
};

/*
 * Records that `run` saw this finding at `seen_ns`. Where one is open for the same target, mailbox,
 * object and code, it is seen again: its first sight stays. Fills in finding->id, first_seen_ns
 * and last_seen_ns.
 */
int state_finding_put(struct state *state, int64_t run, int64_t seen_ns,
		      struct finding *finding) must_check;

/* Closes an open finding: "verified" (its mailbox was verified whole and shows it no more) or
 * "removed" (its mailbox is no longer listed). */
int state_finding_close(struct state *state, int64_t id, int64_t run, int64_t now_ns,
			const char *resolution) must_check;

/* Called for each finding; the strings are borrowed for the call. Non-zero stops the walk and is
 * returned. */
typedef int (*state_finding_fn)(const struct finding *finding, void *ctx);

struct finding_filter {
	int64_t target; /* 0: all */
	int64_t id;	/* 0: all */
	bool open_only;
	int64_t not_seen_by; /* run: only those that it did not see; 0: all */
};

/* Walks findings, the oldest first. `fn` may not write to the same state. */
int state_finding_each(struct state *state, const struct finding_filter *filter,
		       state_finding_fn fn, void *ctx) must_check;

int state_finding_count_open(struct state *state, int64_t target, uint64_t *ret_count) must_check;

/* True in *ret when `run` verified the mailbox without a gap. */
int state_mailbox_was_verified(struct state *state, int64_t target, int64_t run, struct span key,
			       bool *ret_verified, bool *ret_listed) must_check;

/* ---- gaps: what a run could not check ---- */

int state_gap_put(struct state *state, int64_t run, struct span mailbox, struct span path,
		  const char *why) must_check;

/* ---- one scan of a target at a time ---- */

/* -EBUSY when another process is scanning it. The lock goes with the state. */
int state_target_lock(struct state *state, int64_t target) must_check;

#endif

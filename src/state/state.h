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

/* A target as it is remembered; the strings are borrowed for the call. */
struct target_row {
	int64_t id;
	struct span key;
	const char *store;
	const char *host;
};

/* Called for each target; non-zero stops the walk and is returned. */
typedef int (*state_target_fn)(const struct target_row *row, void *ctx);

/* Walks the targets, in the order of their names. `fn` may read from the same state. */
int state_target_each(struct state *state, state_target_fn fn, void *ctx) must_check;

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
	uint64_t findings; /* without notices */
	uint64_t in_flight;
	uint64_t gaps;
	uint64_t buffered; /* messages that could only be read through the page cache */
	int64_t round;	   /* the run that it goes on with, and that one with...: the first; or its own id */
	uint64_t carried;  /* messages that earlier runs of the round had verified */
	bool resumable;	   /* interrupted, it can be gone on with; set by state_run_set_resumable */
	uint64_t notices;  /* findings of severity notice */
	char scope[128];   /* "": the whole store; else words such as "quick", cut where too long */
};

/*
 * Starts a run; runs of this target that were left running are marked interrupted.
 *
 * A run with a `scope` other than "" is partial: it opens and closes findings like any other, and
 * else is as if it had not been. What decides about age, coverage and going on passes it over, and
 * what it lists and verifies is kept apart, for itself, until the next partial run.
 */
int state_run_begin(struct state *state, int64_t target, int64_t started_ns, const char *scope,
		    int64_t *ret_run) must_check;

/* Stores the figures and the status of run->id; its scope stays what it was begun with. */
int state_run_update(struct state *state, const struct run *run) must_check;

/* How many runs have ended by themselves, of all targets: neither running nor interrupted, nor
 * partial. */
int state_run_count_ended(struct state *state, uint64_t *ret_count) must_check;

/*
 * The latest run that ended by itself (neither running nor interrupted), and the latest complete
 * one. Partial runs are passed over. -ENOENT when there is none.
 */
int state_run_last_ended(struct state *state, int64_t target, struct run *ret_run) must_check;
int state_run_last_complete(struct state *state, int64_t target, struct run *ret_run) must_check;

/* The latest run of the whole store, of any status. -ENOENT when there is none. */
int state_run_last_whole(struct state *state, int64_t target, struct run *ret_run) must_check;

/*
 * The latest run of any status and scope, and whether it is under way: its status is running, and a
 * process holds the lock of the target. A run that is left as running though nobody is at it was
 * killed. Takes no lock, so that a scan which begins meanwhile is not turned away. -ENOENT: no run
 * at all.
 */
int state_run_last(struct state *state, int64_t target, struct run *ret_run,
		   bool *ret_is_under_way) must_check;

/* ---- rounds: a run that goes on where an interrupted one stopped ---- */

struct round {
	int64_t id;	    /* the first run of the round */
	int64_t started_ns; /* of that run */
	int64_t last_run;   /* the run to go on with */
};

/*
 * The round that `run`, which has begun, may go on with: that of the run before it, if it was
 * interrupted and had found its planted faults by then. A run that went on with a round and was
 * stopped before it had verified anything is passed over, and so is a partial one, which goes on
 * with nothing itself. -ENOENT: there is none.
 */
int state_round_find(struct state *state, int64_t target, int64_t run,
		     struct round *ret_round) must_check;

/* The run has found its planted faults: another one may go on with it. */
int state_run_set_resumable(struct state *state, int64_t run) must_check;

/*
 * Mailboxes in doubt in a round, by key, since a mailbox may be renamed: with an open finding, or a
 * gap in one of its runs, or of a partial one since it began. They are verified anew. The key is
 * borrowed for the call, and empty for what is about the store; non-zero stops the walk and is
 * returned.
 */
typedef int (*state_doubt_fn)(struct span mailbox_key, void *ctx);
int state_round_each_doubt(struct state *state, int64_t target, int64_t round, state_doubt_fn fn,
			   void *ctx) must_check;

/*
 * How far a round has come on one volume: of the mailboxes with first_key <= key <= last_key (in
 * the order in which the target is gone through), all messages are verified that begin less than
 * `distance` bytes from the origin of the volume and have not changed since `since_ns`.
 */
struct marker {
	struct span first_key, last_key; /* of state_marker_get: lent, until the next row is */
	uint64_t distance;
	int64_t since_ns;
};
int state_marker_put(struct state *state, int64_t target, struct span volume, int64_t round,
		     const struct marker *marker) must_check;
int state_marker_get(struct state *state, int64_t target, struct span volume, int64_t round,
		     struct marker *ret_marker) must_check; /* -ENOENT: there is none */
int state_marker_forget(struct state *state, int64_t target) must_check;

/* ---- coverage: the mailboxes of a target, and when each was last verified ---- */

struct mailbox_row {
	struct span key;  /* unique id, or "name:" and the name where there is none */
	struct span name; /* internal name */
	struct span partition;
	bool legacy_dirs;
	bool has_unique_id;
	uint32_t uidvalidity; /* by the list; 0: not recorded there */
	struct span acl;      /* as in format/cyrus/acl.h */
	/* Of rows that are read: the run of the whole store that verified it last (0: none), and
	 * what it held then. */
	int64_t verified_run;
	uint64_t messages, bytes;
};

/* Records that `run` found this mailbox in the list. */
int state_mailbox_put(struct state *state, int64_t target, int64_t run,
		      const struct mailbox_row *row) must_check;

/* The next mailbox of `run` in the order of keys, after `after`. The spans are lent, until this or
 * state_marker_get is called again. 0, STATE_END, negative errno. */
enum { STATE_END = 1 };
int state_mailbox_next(struct state *state, int64_t target, int64_t run, struct span after,
		       struct mailbox_row *ret_row) must_check;

/* The mailbox with this key, or this internal name, that `run` listed. The spans are lent, until
 * one of these two is called again; what state_mailbox_next has lent stays. -ENOENT: there is none.
 * */
int state_mailbox_find_key(struct state *state, int64_t target, int64_t run, struct span key,
			   struct mailbox_row *ret_row) must_check;
int state_mailbox_find_name(struct state *state, int64_t target, int64_t run, struct span name,
			    struct mailbox_row *ret_row) must_check;

/* Records that everything in the mailbox was verified by a pass begun at `started_ns`. By a partial
 * run it makes the mailbox no younger: only state_mailbox_was_verified tells of it. */
int state_mailbox_verified(struct state *state, int64_t target, int64_t run, struct span key,
			   int64_t started_ns, uint64_t messages, uint64_t bytes) must_check;

/* Forgets a mailbox that was deleted while `run` was under way: there is nothing left to verify. A
 * partial run forgets it for itself only. */
int state_mailbox_forget(struct state *state, int64_t target, int64_t run,
			 struct span key) must_check;

/* Forgets the mailboxes that `run` did not list; nothing where that is partial. */
int state_mailbox_prune(struct state *state, int64_t target, int64_t run) must_check;

/* How many of the mailboxes that `run` listed neither it nor its round has verified. */
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
	enum assay_severity severity;
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
	const char *sectors; /* "DISK;OFF LEN LBA ERROR;...": what the device cannot give; NULL: none */
	int64_t first_seen_ns;
	int64_t last_seen_ns;
	int64_t closed_ns; /* 0: open */
	const char *resolution; /* of a closed one */
};

/*
 * Records that `run` saw this finding at `seen_ns`. Where one is open for the same target, mailbox,
 * object and code, it is seen again: its first sight stays, and of two severities the worse. Fills
 * in finding->id, severity, first_seen_ns and last_seen_ns.
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
	bool without_notices;
};

/* Walks findings, the oldest first. `fn` may not write to the same state. */
int state_finding_each(struct state *state, const struct finding_filter *filter,
		       state_finding_fn fn, void *ctx) must_check;

/* The keys of the mailboxes with open findings, each once; empty for what is about the store. */
int state_finding_each_mailbox(struct state *state, int64_t target, state_doubt_fn fn,
			       void *ctx) must_check;

/* Open findings that are at least as severe as `max_severity`: all of them with the last one. And
 * those that are notices, alone. */
int state_finding_count_open(struct state *state, int64_t target, enum assay_severity max_severity,
			     uint64_t *ret_count) must_check;
int state_finding_count_notices(struct state *state, int64_t target,
				uint64_t *ret_count) must_check;

/* True in *ret when `run` verified the mailbox without a gap. */
int state_mailbox_was_verified(struct state *state, int64_t target, int64_t run, struct span key,
			       bool *ret_verified, bool *ret_listed) must_check;

/* ---- gaps: what a run could not check ---- */

/* Key and name of the mailbox are empty when it is about the store. */
int state_gap_put(struct state *state, int64_t run, struct span mailbox_key, struct span mailbox,
		  struct span path, const char *why) must_check;

/* ---- one scan of a target at a time ---- */

/* -EBUSY when another process is scanning it. The lock goes with the state. */
int state_target_lock(struct state *state, int64_t target) must_check;

/* Whether a process holds that lock now; it is neither taken nor made. */
int state_target_is_locked(struct state *state, int64_t target, bool *ret_is_locked) must_check;

#endif

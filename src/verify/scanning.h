/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the parts of one scan share: scan.c leads, survey.c lists the mailboxes, pass.c goes through
 * one mailbox, pool.c reads messages, confirm.c takes the second look, tell.c puts it into words,
 * closing.c closes what was disproved. Internal to verify/.
 *
 * Threads: one scan thread owns state, the survey and every suspicion; reader threads only take
 * jobs and give back suspicions and finished mailboxes through the pool. Nothing else is shared.
 */
#ifndef VERIFY_SCANNING_H
#define VERIFY_SCANNING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/log.h"
#include "base/map.h"
#include "state/state.h"
#include "verify/mailbox.h"
#include "verify/observe.h"
#include "verify/scan.h"

enum suspicion_kind {
	SUSPECT_MESSAGE, /* witness, seen, first */
	SUSPECT_EXTRA,	 /* witness.uid */
	SUSPECT_RECORD,	 /* record; first.code says CRC or order */
	SUSPECT_INDEX,	 /* first.code says what is wrong with it */
	SUSPECT_MAILBOX, /* its directory is not there or not readable */
};

/* Something that looked wrong once. Nothing is said of it before the second look. */
struct suspicion {
	struct suspicion *next;
	enum suspicion_kind kind;
	struct mailbox *mailbox; /* a reference */
	struct witness witness;
	struct observation seen;
	struct judgement first;
	uint32_t record; /* counted from 1 */
	int error;	 /* errno of an index or directory that could not be read */
	int64_t noticed_ns; /* monotonic: when it was last looked at */
	unsigned looks;
	bool canary;
};

struct pool;

/* `nr` threads. -ENOMEM, or the errno of pthread_create. Release with pool_free, which waits for
 * the jobs under way. */
int pool_new(unsigned nr, struct pool **ret_pool) must_check;
void pool_free(struct pool *pool);

/*
 * Hands over one message to read; waits while the queue is full. The mailbox's `pending` is counted
 * up here, and down when the message is done or, where it is suspicious, when the suspicion is
 * resolved.
 */
void pool_submit(struct pool *pool, struct mailbox *mailbox, const struct witness *witness);

/*
 * True once the planted fault is on its way: beside the first message that is found good, the same
 * message is read once more against a record with one bit wrong. If that is not noticed, no good
 * verdict of this scan means anything.
 */
bool pool_has_planted_canary(struct pool *pool);

/* Counts `pending` down for the pass itself or for a resolved suspicion; the mailbox comes out of
 * pool_take_done when it reaches 0. */
void pool_count_down(struct pool *pool, struct mailbox *mailbox);

/* Waits until no job is queued or under way. */
void pool_wait_idle(struct pool *pool);

/* The mailboxes that are done since the last call, linked by next_done; NULL when there is none. */
struct mailbox *pool_take_done(struct pool *pool);

/* The suspicions since the last call, linked by next. The caller owns them. */
struct suspicion *pool_take_suspicions(struct pool *pool);
size_t pool_count_suspicions(struct pool *pool);

/* Messages read, bytes of them so far, and how many only through the page cache. */
void pool_get_totals(struct pool *pool, uint64_t *ret_messages, uint64_t *ret_bytes,
		     uint64_t *ret_buffered);

struct scanning {
	struct state *state;
	const struct target *target;
	const struct scan_options *options;
	const struct scan_events *events;
	const struct log *log;
	int64_t target_id;
	struct run run;
	struct pool *pool;
	struct observer observer; /* of the scan thread: second looks */
	struct suspicion *suspicions;
	size_t nr_suspicions;
	unsigned nr_open_mailboxes;
	struct mailbox *again; /* to be passed through once more; linked by next_done */
	struct map in_flight; /* mailbox key NUL object: not to be closed by this run */
	bool in_flight_overflow; /* there were more than are kept: this run closes nothing */
	bool canary_found;
	bool index_canary_found;
	int64_t started_mono_ns;
	int64_t last_progress_ns;
	bool in_transaction;
	int64_t transaction_ns; /* monotonic: when it was begun */
	uint64_t *uids; /* bitmap of pass.c: message files not accounted for */
	bool survey_whole; /* the whole list was read */
	uint64_t nr_mailboxes_total;
	uint64_t nr_mailboxes_missed; /* passes with something not checked */
	uint64_t expected_bytes; /* of the last complete run; 0: unknown */
};

/* ---- survey.c ---- */

/* Lists the mailboxes into state. Problems become findings and gaps; an error stops the scan. */
int survey_mailboxes(struct scanning *s) must_check;

/*
 * Where the list has this mailbox now. 0: at the same place; SURVEY_MOVED: elsewhere, and *ret_moved
 * is the mailbox there (a reference for the caller); SURVEY_GONE: it was deleted; negative errno:
 * cannot tell.
 */
enum { SURVEY_GONE = 1, SURVEY_MOVED = 2 };
int survey_find(struct scanning *s, const struct mailbox *mailbox,
		struct mailbox **ret_moved) must_check;

/* ---- pass.c ---- */

/*
 * Goes through one mailbox: directory, index, messages handed to the pool. Takes the reference to
 * `mailbox`. An error stops the scan; what is wrong with the mailbox is a suspicion or a gap.
 */
int pass_mailbox(struct scanning *s, struct mailbox *mailbox) must_check;

/* ---- confirm.c ---- */

/* Adds a copy of `what` as a suspicion about `mailbox`, which stays pending until it is resolved. */
int suspect(struct scanning *s, struct mailbox *mailbox, const struct suspicion *what) must_check;

/*
 * Takes the second look at what is suspicious: at what has settled (CONFIRM_DUE), or at everything,
 * waiting for each to settle (CONFIRM_ALL). Both give up early when the scan is stopped.
 */
enum confirm_which { CONFIRM_DUE, CONFIRM_ALL };
int confirm(struct scanning *s, enum confirm_which which) must_check;

/* Drops what was not resolved, when a scan is stopped. */
void confirm_abandon(struct scanning *s);

/* ---- tell.c: each tells one thing about a suspicion; 0 or a negative errno ---- */

/* What a suspicion is about, as findings name it: "message:3", "record:5", "index", "mailbox". */
void suspicion_object(const struct suspicion *what, char out[32]);

/* Appends the key of an object in scanning.in_flight. */
void suspicion_key(struct buf *b, struct span mailbox_key, const char *object);

/* It moved: counted, and remembered so that this run closes no finding about it. */
int tell_in_flight(struct scanning *s, const struct suspicion *what) must_check;

/* It could not be checked, and why. */
int tell_gap(struct scanning *s, const struct suspicion *what, const char *why) must_check;

/* It is wrong. The last two are gaps as well: messages could not be checked because of them. */
int tell_message(struct scanning *s, const struct suspicion *what, enum finding_code code) must_check;
int tell_record(struct scanning *s, const struct suspicion *what, const struct mailbox_index *ix,
		const uint8_t *bytes) must_check;
int tell_index(struct scanning *s, const struct suspicion *what, const struct mailbox_index *ix,
	       enum finding_code code) must_check;

/* ---- closing.c ---- */

/* Closes the open findings that this run has disproved. */
int closing_run(struct scanning *s) must_check;

/* ---- scan.c ---- */

bool scanning_is_stopped(const struct scanning *s);

/*
 * What a scan writes is gathered into transactions of half a second, since each costs a flush of
 * the disk. scanning_write() opens one where none is open; call it before every change of state.
 */
int scanning_write(struct scanning *s) must_check;
int scanning_flush(struct scanning *s) must_check;

/* Records a gap: something in scope could not be checked. `mailbox` may be NULL. */
int scanning_gap(struct scanning *s, struct mailbox *mailbox, const char *path,
		 const char *why) must_check;

/*
 * Collects what is finished, writes coverage, takes due second looks and shows progress. Called
 * often; cheap when there is nothing to do.
 */
int scanning_collect(struct scanning *s) must_check;

/* Records a confirmed finding in state and tells it. Target and time are filled in. */
int scanning_finding(struct scanning *s, struct finding *finding) must_check;

#endif

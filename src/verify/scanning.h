/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the parts of one scan share: scan.c leads, survey.c lists the mailboxes, pass.c goes through
 * one mailbox, roads.c decides how a message is read: as a file (pool.c, reader.c) or in blocks
 * (blocks.c); tally.c keeps the books of what was read, confirm.c takes the second look, tell.c
 * puts it into words, closing.c closes what was disproved, resume.c goes on where an interrupted
 * run stopped. Internal to verify/.
 *
 * Threads: one scan thread owns state, the survey and every suspicion; reader threads only take
 * jobs and give back suspicions and finished mailboxes through the tally. Nothing else is shared.
 */
#ifndef VERIFY_SCANNING_H
#define VERIFY_SCANNING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/log.h"
#include "base/map.h"
#include "digest/sha1_batch.h"
#include "io/ring.h"
#include "state/state.h"
#include "verify/blocks.h"
#include "verify/mailbox.h"
#include "verify/meta.h"
#include "verify/observe.h"
#include "verify/report.h"
#include "verify/scan.h"
#include "verify/sectors.h"
#include "verify/tally.h"

enum suspicion_kind {
	SUSPECT_MESSAGE, /* witness, seen, first */
	SUSPECT_EXTRA,	 /* witness.uid */
	SUSPECT_RECORD,	 /* record; first.code says CRC or order */
	SUSPECT_INDEX,	 /* first.code says what is wrong with it */
	SUSPECT_MAILBOX, /* its directory is not there or not readable */
	SUSPECT_TIMES,	 /* witness, seen: a good message; one of a mailbox stands for all */
	SUSPECT_DUPLICATE, /* witness: on spool and archive partition both */
	SUSPECT_META,	 /* report */
};

/* Something that looked wrong once. Nothing is said of it before the second look. */
struct suspicion {
	struct suspicion *next;
	enum suspicion_kind kind;
	struct mailbox *mailbox; /* a reference */
	struct witness witness;
	struct observation seen;
	struct judgement first;
	uint32_t record;    /* counted from 1 */
	int error;	    /* errno of an index or directory that could not be read */
	int64_t noticed_ns; /* monotonic: when it was last looked at */
	unsigned looks;
	uint64_t nr; /* ascending, in the order of being noticed */
	bool canary;
	struct report report; /* owned */
};

/* ---- pool.c: messages read as files ---- */

struct pool;

#define POOL_THREADS_MAX 64

/* With io_uring there are few threads, and with `fault` there is one. */
struct pool_options {
	enum ring_engine engine;
	enum sha1_engine sha1; /* with io_uring; without, it is OpenSSL */
	unsigned readers;      /* threads without io_uring, 1 to POOL_THREADS_MAX */
	struct fault *fault;   /* for tests, with io_uring only; NULL: none. Borrowed */
	/*
	 * Once it is seen not to be zero, in submit or wait, what is queued is dropped. May be
	 * NULL.
	 */
	struct throttle_limits limits;
	/* Asked by the scan thread while it waits: true drops what is queued. May be NULL. */
	bool (*is_stopped)(void *ctx);
	void *ctx;
};

/*
 * -ENOMEM; the errno of pthread_create; when it may be nothing but io_uring, why that cannot be
 * had. Release with pool_free, which waits for the jobs under way. `tally` is borrowed.
 */
int pool_new(struct tally *tally, const struct pool_options *options,
	     struct pool **ret_pool) must_check;
void pool_free(struct pool *pool);

/* Other limits from now on. */
void pool_set_limits(struct pool *pool, const struct throttle_limits *limits);

/* What reads, "io_uring" or "pread", and why it is not io_uring ("" when it is). */
const char *pool_engine_name(const struct pool *pool);
const char *pool_why(const struct pool *pool);

/*
 * Hands over one message of a mailbox whose directories are open; waits while the queue is full.
 * `ino` is its inode, if it is known, or 0: what is queued is read in that order. Counts the
 * mailbox's `pending` up.
 */
void pool_submit(struct pool *pool, struct mailbox *mailbox, const struct witness *witness,
		 uint64_t ino);

/* Waits until no job is queued or under way. */
void pool_wait_idle(struct pool *pool);

/* The mailboxes whose messages are all in one window of blocks: from `first` to `last`. */
struct window {
	struct buf first, last; /* keys; `last` empty: there is none yet */
	bool has_first;
	bool holds_all;	  /* of the mailbox that is gone through now */
	int64_t begun_ns; /* wall clock: when the first of them was begun */
};

/* How the messages of one filesystem are read. */
struct road {
	uint64_t dev;
	struct blocks *blocks; /* NULL: as files */
	int dirfd;	       /* on the filesystem; -1 without blocks */
	int failed;	       /* errno of the device: nothing more is read from it */
	char device[256];      /* "" when there is none */
	char disk[256];	       /* the whole disk that it lies on; "" when that is not known */
	char why[400];	       /* they are not read in blocks */
	struct window collecting, reading;
	/* How far an earlier run of the round has come; distance 0: nowhere. */
	struct buf marker_first, marker_last;
	uint64_t marker_distance;
	int64_t marker_since_ns;
	uint64_t floor;	  /* no marker is kept before it */
	unsigned windows; /* started */
	/* How far this run has come, to be kept when what was suspected until then is resolved. */
	uint64_t candidate;
	uint64_t candidate_nr;
};

#define ROADS_MAX 16 /* filesystems; what is on more is read as files */
#define WITH_DIRS_MAX                                                                              \
	64 /* mailboxes whose directories are open; each holds up to three descriptors */

/* So many messages are read before anything is carried over. */
#define PLACES_WANTED 16u

struct scanning {
	struct state *state;
	const struct target *target;
	const struct scan_options *options;
	const struct scan_events *events;
	const struct log *log;
	int64_t target_id;
	struct run run;
	struct tally *tally;
	struct pool *pool;
	struct observer observer; /* of the scan thread: second looks */
	struct suspicion *suspicions;
	size_t nr_suspicions;
	unsigned nr_open_mailboxes; /* with something pending */
	struct mailbox
		*with_dirs[WITH_DIRS_MAX]; /* references: messages of theirs are read as files */
	unsigned nr_with_dirs;
	struct mailbox *passing; /* borrowed */
	struct road roads[ROADS_MAX];
	unsigned nr_roads;
	bool resumed;		/* goes on with `round` */
	uint64_t carried_bytes; /* of mailboxes that an earlier run has verified */
	struct round round;
	struct map doubts;     /* keys of mailboxes that are verified anew */
	char first_key[17];    /* mailboxes are gone through from behind it, and around */
	unsigned nr_submitted; /* messages, up to PLACES_WANTED: places for the planted faults */
	bool device_failed;    /* a disk has gone or hangs: the scan of this target ends */
	bool going_again;      /* through mailboxes that moved: no window of theirs has a range */
	int64_t checkpoint_ns; /* monotonic */
	uint64_t next_suspicion;
	uint64_t origin_seed;	 /* copies of one store begin at different places of their disks */
	struct mailbox *again;	 /* to be passed through once more; linked by next_done */
	struct map found;	 /* keys of mailboxes with an open finding, for only_findings */
	uint64_t nr_selected;	 /* mailboxes that were gone through */
	int64_t young_ns;	 /* what is younger may belong to an append under way */
	const char *conf_dir;	 /* the configdirectory, as imapd.conf names it */
	struct map suspect_ids;	 /* unique ids about which the list does not agree with itself */
	bool ids_left_out;	 /* there were more than are kept */
	bool list_is_damaged;	 /* and the survey has said so */
	bool databases_missed;	 /* something in the configdirectory was not judged */
	bool ids_whole, databases_whole, quotas_whole, strays_whole; /* looked at, all of them */
	struct map quotas;	 /* quota root: its place in quota_sums */
	struct quota_sum *quota_sums;
	size_t nr_quota_sums;
	bool quota_sums_missed;	 /* some mailbox is not in them */
	bool has_owner;		 /* of mailboxes.db: the user that Cyrus runs as */
	uint32_t owner;
	uint64_t quick_messages; /* looked for, not read */
	struct map in_flight;	 /* mailbox key NUL object: not to be closed by this run */
	bool in_flight_overflow; /* there were more than are kept: this run closes nothing */
	bool canary_found;
	bool canary_dropped; /* seen once, and not looked at again */
	bool index_canary_planted; /* there was a record with a CRC */
	bool index_canary_found;
	int64_t started_mono_ns;
	struct throttle_limits limits;
	volatile sig_atomic_t stop; /* as scanning_is_stopped() has seen it last, for the readers */
	int64_t last_progress_ns;
	bool in_transaction;
	int64_t transaction_ns; /* monotonic: when it was begun */
	uint64_t *uids;		/* bitmap of pass.c: message files not accounted for */
	bool survey_whole;	/* the whole list was read */
	uint64_t nr_mailboxes_total;
	uint64_t nr_mailboxes_missed; /* passes with something not checked */
	uint64_t expected_bytes;      /* of the last complete run; 0: unknown */
};

/* ---- roads.c ---- */

/* Where a directory says that a message lies. */
struct place {
	uint32_t ino; /* 0: not known */
	bool archive; /* on the archive partition */
};

/*
 * Has a message read, in the blocks of its volume or as a file. Its mailbox's directories are open.
 * Waits while queues are full. An error stops the scan.
 */
int roads_submit(struct scanning *s, struct mailbox *mailbox, const struct witness *witness,
		 const struct place *place) must_check;

/* The road of a filesystem, or NULL where none was needed yet. */
struct road *roads_find(struct scanning *s, uint64_t dev);

/* Starts to read what was collected where nothing else is being read; between two mailboxes. */
int roads_start_early(struct scanning *s) must_check;

/* Has everything read that was submitted, and waits for it. */
int roads_finish(struct scanning *s) must_check;

/*
 * Around the pass through a mailbox, whose directories stay open meanwhile. Blocks need none; those
 * of a mailbox with messages that are read as files are closed when these have been read.
 */
void roads_begin_pass(struct scanning *s, struct mailbox *mailbox);
void roads_end_pass(struct scanning *s);

/* Waits for the messages that are read as files, and closes the directories kept open for them. */
void roads_close_dirs(struct scanning *s);

/* The scan is stopped: waits for what is under way, and remembers how far it came. */
int roads_stop(struct scanning *s) must_check;

/* Says how messages were read, by events->road. */
void roads_tell(struct scanning *s);

/* s->limits have changed. */
void roads_set_limits(struct scanning *s);

void roads_free(struct scanning *s);

/* ---- resume.c ---- */

/* Decides whether this run goes on with an earlier one; the run has begun. */
int resume_begin(struct scanning *s) must_check;

/* True when an earlier run of the round has verified this mailbox: it is carried over. */
bool resume_skips(struct scanning *s, const struct mailbox_row *row);

/* True when messages of the mailbox may have been read before the marker of the road. */
bool resume_may_carry(const struct scanning *s, const struct road *road,
		      const struct mailbox *mailbox);

/* Looks up how far an earlier run has come on the volume of a new road with blocks. */
int resume_open_road(struct scanning *s, struct road *road) must_check;

/* Remembers how far the run has come, every options->checkpoint_ns or `now`. */
int resume_checkpoint(struct scanning *s, bool now) must_check;

/* The run has ended: what is not to be gone on with is forgotten. */
int resume_end(struct scanning *s) must_check;

void window_fini(struct window *window);
void window_begin_mailbox(struct window *window, const struct mailbox *mailbox);
void window_end_mailbox(struct window *window, const struct mailbox *mailbox);

/* ---- survey.c ---- */

/* Lists the mailboxes into state. Problems become findings and gaps; an error stops the scan. */
int survey_mailboxes(struct scanning *s) must_check;

/*
 * Where the list has this mailbox now. 0: at the same place; SURVEY_MOVED: elsewhere, and
 * *ret_moved is the mailbox there (a reference for the caller); SURVEY_GONE: it was deleted;
 * negative errno: cannot tell.
 */
enum { SURVEY_GONE = 1, SURVEY_MOVED = 2 };
int survey_find(struct scanning *s, const struct mailbox *mailbox,
		struct mailbox **ret_moved) must_check;

/*
 * The mailbox once more, with no directory open; as the list has it now, where the report is about
 * that. 0: *ret_mailbox is a reference for the caller; SURVEY_GONE; negative errno: cannot tell.
 */
int survey_refresh(struct scanning *s, const struct mailbox *mailbox, const struct report *report,
		   struct mailbox **ret_mailbox) must_check;

/* ---- ids.c ---- */

/*
 * Notes a unique id about which something may be wrong; ids_check looks again, and says where there
 * were more than are kept.
 */
int ids_suspect(struct scanning *s, struct span id) must_check;

/* Does the list agree with itself, names with unique ids? The survey has ended. */
int ids_check(struct scanning *s) must_check;

/* ---- databases.c, quotas.c, strays.c: what does not belong to one mailbox ---- */

/* What they are about, as findings name it: these prefixes, and a path or a quota root. */
#define OBJECT_DATABASE "database:"
#define OBJECT_QUOTA "quota:"
#define OBJECT_STRAY "stray:"
#define OBJECT_ID "id:"

/* Checks what Cyrus keeps in the configdirectory. */
int databases_check(struct scanning *s) must_check;

/* Adds what a mailbox uses to its quota root; `header` is that of its index. */
int quotas_add(struct scanning *s, struct span quota_root,
	       const struct index_header *header) must_check;

/*
 * Do quota roots exist, and use what their mailboxes add up to? All mailboxes have been gone
 * through.
 */
int quotas_check(struct scanning *s) must_check;

/* Looks for directories of mailboxes that are not listed, and for what deliveries have left. */
int strays_check(struct scanning *s) must_check;

/* ---- pass.c ---- */

/*
 * Goes through one mailbox: directory, index, messages handed to the pool. Takes the reference to
 * `mailbox`. An error stops the scan; what is wrong with the mailbox is a suspicion or a gap.
 */
int pass_mailbox(struct scanning *s, struct mailbox *mailbox) must_check;

/* How the metadata of a mailbox is looked at in this scan. */
void pass_get_meta_options(const struct scanning *s, struct meta_options *ret_options);

/* ---- confirm.c ---- */

/*
 * Adds a copy of `what` as a suspicion about `mailbox`, which stays pending until it is resolved.
 * Takes over what->report, also on failure.
 */
int suspect(struct scanning *s, struct mailbox *mailbox, const struct suspicion *what) must_check;

/*
 * Takes the second look at what is suspicious: at what has settled (CONFIRM_DUE), or at everything,
 * waiting for each to settle (CONFIRM_ALL). Both give up early when the scan is stopped.
 */
enum confirm_which { CONFIRM_DUE, CONFIRM_ALL };
int confirm(struct scanning *s, enum confirm_which which) must_check;

/* Takes in the suspicions that the readers have raised. */
void confirm_collect(struct scanning *s);

/* Drops what was not resolved, when a scan is stopped. */
void confirm_abandon(struct scanning *s);

/* What a second look came to; negative errno: the scan cannot go on. Telling resolves. */
enum { RESOLVED = 0, LOOK_AGAIN = 1 };

/* A mailbox opened anew. */
struct relook {
	struct mailbox *mailbox;
	struct mailbox_index ix;
};
int relook_open(struct relook *again, const struct suspicion *what) must_check;
void relook_close(struct relook *again);

/* It cannot be opened any more: was it deleted, or is it lost? */
int confirm_unopenable(struct scanning *s, struct suspicion *what, int error) must_check;

#define LOOKS_MAX 6

/* ---- confirm_meta.c ---- */

/* The second look at a report: what both looks saw is said. */
int confirm_meta(struct scanning *s, struct suspicion *what) must_check;

/* ---- tell.c: each tells one thing about a suspicion; 0 or a negative errno ---- */

/* What a suspicion is about, as findings name it: "message:3", "record:5", "index", "mailbox". */
void suspicion_object(const struct suspicion *what, char out[32]);

/* Stands in flight for all that is not a message or a record, where a mailbox would not settle. */
#define OBJECT_META "meta"

/* Appends the key of an object in scanning.in_flight. */
void suspicion_key(struct buf *b, struct span mailbox_key, const char *object);

/* It moved: counted, and remembered so that this run closes no finding about it. */
int tell_in_flight(struct scanning *s, const struct suspicion *what) must_check;

/* It could not be checked, and why. */
int tell_gap(struct scanning *s, const struct suspicion *what, const char *why) must_check;

/* It is wrong. The last two are gaps as well: messages could not be checked because of them. */
/* `sectors`: which of the message cannot be read; NULL: not looked for. */
int tell_message(struct scanning *s, const struct suspicion *what, enum finding_code code,
		 const struct sectors *sectors) must_check;
int tell_record(struct scanning *s, const struct suspicion *what, const struct mailbox_index *ix,
		const uint8_t *bytes) must_check;
int tell_index(struct scanning *s, const struct suspicion *what, const struct mailbox_index *ix,
	       enum finding_code code) must_check;

/* A good message whose file has another time than its record; one stands for all of its mailbox. */
int tell_times(struct scanning *s, const struct suspicion *what,
	       const struct index_record *record) must_check;
/* A problem of a report, confirmed: a finding, or a gap. */
int tell_problem(struct scanning *s, struct mailbox *mailbox,
		 const struct problem *problem) must_check;
/* A problem that moved: as tell_in_flight. */
int tell_problem_in_flight(struct scanning *s, const struct mailbox *mailbox,
			   const char *object) must_check;

/* ---- closing.c ---- */

/* Closes the open findings that this run has disproved. */
int closing_run(struct scanning *s) must_check;

/* ---- scan.c ---- */

/* Of the whole store, bodies and all; false: of what was selected. */
static inline bool scanning_is_whole(const struct scanning *s)
{
	return s->run.scope[0] == '\0';
}

/* By a signal, because its time is over, or because a disk has failed altogether. */
bool scanning_is_stopped(struct scanning *s);

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

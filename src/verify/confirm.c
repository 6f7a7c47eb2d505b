/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Confirm: the second look. Files change and cables lie, so nothing that looked wrong once is said
 * aloud. After a settling time everything is opened anew and looked at again, the index record
 * under its lock first: it says whether the message should still be there, and with what digest.
 *
 *   wrong again, nothing moved meanwhile    a finding
 *   right now, and nothing moved            flaky: a finding about the hardware
 *   gone, expunged or changed meanwhile     in flight, counted
 *   still moving                            looked at again, at most LOOKS_MAX times
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "verify/scanning.h"

#define LOOKS_MAX 6
/* A file above last_uid belongs to an append under way, unless it is older than any append. */
#define APPEND_MAX (10 * 60 * NS_PER_S)

/* What a second look came to. Negative errno: the scan cannot go on. */
enum outcome { RESOLVED, LOOK_AGAIN };

int suspect(struct scanning *s, struct mailbox *mailbox, const struct suspicion *what)
{
	struct suspicion *suspicion = malloc(sizeof(*suspicion));

	if (!suspicion)
		return -ENOMEM;
	*suspicion = *what;
	suspicion->mailbox = mailbox_ref(mailbox);
	suspicion->noticed_ns = clock_mono_ns();
	suspicion->looks = 1;
	suspicion->next = s->suspicions;
	s->suspicions = suspicion;
	s->nr_suspicions++;
	atomic_fetch_add(&mailbox->pending, 1);
	return 0;
}

/* What a suspicion is about, as findings name it. */
static void object_name(const struct suspicion *what, char out[32])
{
	switch (what->kind) {
	case SUSPECT_MESSAGE:
	case SUSPECT_EXTRA:
		(void)snprintf(out, 32, "message:%" PRIu32, what->witness.uid);
		break;
	case SUSPECT_RECORD:
		(void)snprintf(out, 32, "record:%" PRIu32, what->record);
		break;
	case SUSPECT_INDEX:
		(void)snprintf(out, 32, "index");
		break;
	case SUSPECT_MAILBOX:
		(void)snprintf(out, 32, "mailbox");
		break;
	}
}

static void in_flight_key(struct buf *b, struct span mailbox_key, const char *object)
{
	buf_add_span(b, mailbox_key);
	buf_add_char(b, '\0');
	buf_add_str(b, object);
}

/* Counted, and remembered so that this run closes no finding about it. */
static int in_flight(struct scanning *s, const struct suspicion *what)
{
	struct buf key = BUF_NULL;
	char object[32];

	s->run.in_flight++;
	object_name(what, object);
	in_flight_key(&key, buf_span(&what->mailbox->key), object);
	int r = buf_error(&key);
	if (r == 0)
		r = map_put(&s->in_flight, buf_span(&key), 0);
	buf_fini(&key);
	return r < 0 ? r : RESOLVED;
}

/* ---- saying it ---- */

struct words {
	struct buf path;
	char recorded[64];
	char observed[96];
	char detail[256];
};

static void words_of_message(struct words *w, const struct suspicion *what, enum finding_code code)
{
	const struct observation *seen = &what->seen;
	char name[16];

	(void)snprintf(name, sizeof(name), "%" PRIu32 ".", what->witness.uid);
	bool archived = what->witness.archived != seen->misplaced;
	mailbox_add_path(&w->path, what->mailbox,
			 archived ? MAILBOX_FILE_ARCHIVED : MAILBOX_FILE_MESSAGES, name);
	if (code == FINDING_MESSAGE_EXTRA)
		return;
	text_hex(what->witness.guid, SHA1_LEN, w->recorded);
	if (seen->digested)
		text_hex(seen->digest, SHA1_LEN, w->observed);
	else if (seen->is_symlink)
		(void)snprintf(w->observed, sizeof(w->observed), "a symbolic link");
	else
		(void)snprintf(w->observed, sizeof(w->observed), "%s",
			       seen->error == -ENOENT	? "no file"
			       : seen->error == -EINVAL ? "not a regular file"
			       : seen->error		? strerror(-seen->error)
							: "not read");
	if (code == FINDING_MESSAGE_SIZE) {
		(void)snprintf(w->recorded, sizeof(w->recorded), "%" PRIu32 " bytes",
			       what->witness.size);
		(void)snprintf(w->observed, sizeof(w->observed), "%" PRIu64 " bytes",
			       seen->identity.size);
	}
	if (seen->identity.ino)
		(void)snprintf(w->detail, sizeof(w->detail),
			       "inode %" PRIu64 ", %" PRIu32 " links, %" PRIu64 " bytes, read %s",
			       seen->identity.ino, seen->identity.nlink, seen->identity.size,
			       seen->direct ? "from the disk" : "through the page cache");
}

static int say(struct scanning *s, const struct suspicion *what, enum finding_code code,
	       struct words *w)
{
	char object[32];
	int r = buf_error(&w->path);

	object_name(what, object);
	if (r == 0) {
		struct finding finding = {
			.verdict = finding_code_verdict(code),
			.code = finding_code_name(code),
			.mailbox_key = buf_span(&what->mailbox->key),
			.mailbox = buf_span(&what->mailbox->entry.name),
			.object = object,
			.uid = what->witness.uid,
			.record = what->record,
			.path = buf_span(&w->path),
			.recorded = *w->recorded ? w->recorded : NULL,
			.observed = *w->observed ? w->observed : NULL,
			.detail = *w->detail ? w->detail : NULL,
		};
		r = scanning_finding(s, &finding);
	}
	buf_fini(&w->path);
	return r ? r : RESOLVED;
}

static int say_message(struct scanning *s, const struct suspicion *what, enum finding_code code)
{
	struct words w = { .path = BUF_NULL };

	words_of_message(&w, what, code);
	return say(s, what, code, &w);
}

/* A finding because of which messages could not be checked: a gap as well. */
static int say_blocking(struct scanning *s, const struct suspicion *what, enum finding_code code,
			struct words *w, const char *gap)
{
	int r = scanning_gap(s, what->mailbox, buf_str(&w->path), gap);

	if (r) {
		buf_fini(&w->path);
		return r;
	}
	return say(s, what, code, w);
}

static int gap_about(struct scanning *s, const struct suspicion *what, const char *why)
{
	struct words w = { .path = BUF_NULL };
	int r;

	if (what->kind == SUSPECT_MESSAGE || what->kind == SUSPECT_EXTRA)
		words_of_message(&w, what, FINDING_MESSAGE_EXTRA);
	else
		mailbox_add_path(&w.path, what->mailbox, MAILBOX_FILE_INDEX, "cyrus.index");
	r = scanning_gap(s, what->mailbox, buf_str(&w.path), why);
	buf_fini(&w.path);
	return r ? r : RESOLVED;
}

/* ---- looking again ---- */

/* The mailbox opened anew. */
struct relook {
	struct mailbox *mailbox;
	struct mailbox_index ix;
};

static void relook_close(struct relook *again)
{
	mailbox_index_close(&again->ix);
	mailbox_unref(again->mailbox);
}

static int relook_open(struct relook *again, const struct suspicion *what)
{
	*again = (struct relook){ NULL, MAILBOX_INDEX_NULL };
	int r = mailbox_new_again(what->mailbox, &again->mailbox);
	if (r == 0)
		r = mailbox_open_dirs(again->mailbox);
	if (r == 0)
		r = mailbox_index_open(&again->ix, again->mailbox);
	return r;
}

/* The mailbox or its index cannot be opened any more: was it deleted, or is it lost? */
static int confirm_unopenable(struct scanning *s, struct suspicion *what, int error)
{
	int listed = survey_is_listed(s, what->mailbox);

	if (listed == SURVEY_GONE)
		return in_flight(s, what);
	if (listed < 0)
		return gap_about(s, what, "cannot tell whether the mailbox still exists");
	/* Listed and not there: that is a suspicion of its own kind, raised by its own pass. */
	if (error == -ENOENT && what->looks < LOOKS_MAX)
		return LOOK_AGAIN;
	return gap_about(s, what, strerror(-error));
}

/* What the index says about the message now: 0 and the record, or what to do instead. */
enum { RECORD_LIVE = 0, RECORD_DEAD = 1, RECORD_UNSURE = 2 };
static int look_up_record(struct relook *again, const struct suspicion *what,
			  struct index_record *record)
{
	if (again->ix.state != INDEX_GOOD)
		return again->ix.state == INDEX_GONE ? RECORD_DEAD : RECORD_UNSURE;
	int r = mailbox_index_find(&again->ix, again->mailbox, what->witness.uid, record);
	if (r == MAILBOX_NO_RECORD)
		return RECORD_DEAD;
	if (r == -ESTALE || r == -ENODATA)
		return RECORD_UNSURE;
	if (r)
		return r;
	return record->flags & (INDEX_FLAG_EXPUNGED | INDEX_FLAG_UNLINKED) ? RECORD_DEAD
									   : RECORD_LIVE;
}

static bool witness_is(const struct witness *witness, const struct index_record *record)
{
	return memcmp(witness->guid, record->guid, SHA1_LEN) == 0 &&
	       witness->size == record->size &&
	       witness->archived == !!(record->flags & INDEX_FLAG_ARCHIVED);
}

/* The planted fault has been seen once; the second look must see it as well. */
static int confirm_canary(struct scanning *s, const struct suspicion *what, struct relook *again)
{
	struct observation seen;

	observe_message(&s->observer, again->mailbox, &what->witness, &seen);
	struct judgement second = judge_message(&what->witness, &seen);
	/* The message itself may have been expunged by now: the first sight was by its digest. */
	s->canary_found = second.verdict != ASSAY_OK;
	return RESOLVED;
}

/* Both looks were bad, or one was: say which, or look again. */
static int conclude_message(struct scanning *s, struct suspicion *what, struct relook *again,
			    const struct observation *seen, struct judgement second)
{
	struct judgement verdict = judge_second_look(&what->first, &what->seen, &second, seen);
	struct index_record record;

	if (verdict.verdict == ASSAY_IN_FLIGHT)
		return in_flight(s, what);
	if (second.verdict == ASSAY_UNKNOWN) {
		what->seen = *seen;
		return gap_about(s, what,
				 seen->error	       ? strerror(-seen->error)
				 : !seen->digested ? "larger than any message can be"
						   : "no digest was ever recorded for it");
	}
	if (verdict.verdict == ASSAY_UNKNOWN) { /* the file changed between the looks */
		what->seen = *seen;
		what->first = second;
		return LOOK_AGAIN;
	}
	/* The record once more, behind the read: it may have been expunged under our hands. */
	int r = look_up_record(again, what, &record);
	if (r < 0)
		return gap_about(s, what, strerror(-r));
	if (r == RECORD_DEAD)
		return in_flight(s, what);
	if (r == RECORD_UNSURE || !witness_is(&what->witness, &record))
		return LOOK_AGAIN;
	if (verdict.verdict != ASSAY_FLAKY)
		what->seen = *seen;
	return say_message(s, what, verdict.code);
}

static int confirm_message(struct scanning *s, struct suspicion *what)
{
	struct index_record record;
	struct observation seen;
	struct relook again;
	int r = relook_open(&again, what);

	if (r && what->canary) { /* the mailbox has gone: the first sight has to do */
		s->canary_found = true;
		r = RESOLVED;
		goto out;
	}
	if (r) {
		r = confirm_unopenable(s, what, r);
		goto out;
	}
	if (what->canary) {
		r = confirm_canary(s, what, &again);
		goto out;
	}
	r = look_up_record(&again, what, &record);
	if (r < 0) {
		r = gap_about(s, what, strerror(-r));
	} else if (r == RECORD_DEAD) {
		r = in_flight(s, what);
	} else if (r == RECORD_UNSURE) {
		r = LOOK_AGAIN;
	} else {
		bool changed = !witness_is(&what->witness, &record);
		what->witness.size = record.size;
		what->witness.archived = record.flags & INDEX_FLAG_ARCHIVED;
		memcpy(what->witness.guid, record.guid, SHA1_LEN);
		observe_message(&s->observer, again.mailbox, &what->witness, &seen);
		struct judgement second = judge_message(&what->witness, &seen);
		if (changed && second.verdict == ASSAY_OK) {
			r = in_flight(s, what);
		} else if (changed) {
			what->seen = seen;
			what->first = second;
			r = LOOK_AGAIN;
		} else {
			r = conclude_message(s, what, &again, &seen, second);
		}
	}
out:
	relook_close(&again);
	return r;
}

static int confirm_extra(struct scanning *s, struct suspicion *what)
{
	struct file_identity file;
	struct index_record record;
	struct relook again;
	char name[16];
	int r = relook_open(&again, what);

	if (r) {
		r = confirm_unopenable(s, what, r);
		goto out;
	}
	(void)snprintf(name, sizeof(name), "%" PRIu32 ".", what->witness.uid);
	r = again.mailbox->message_fd < 0 ? -ENOENT
					  : file_identify(again.mailbox->message_fd, name, &file);
	what->witness.archived = r == -ENOENT && again.mailbox->archive_fd >= 0;
	if (what->witness.archived)
		r = file_identify(again.mailbox->archive_fd, name, &file);
	if (r == -ENOENT) {
		r = in_flight(s, what);
		goto out;
	}
	if (r == 0)
		r = again.ix.state != INDEX_GOOD
			    ? RECORD_UNSURE
			    : mailbox_index_find(&again.ix, again.mailbox, what->witness.uid, &record);
	if (r == 0)
		r = in_flight(s, what); /* it has a record now */
	else if (r == -ESTALE || r == -ENODATA || r == RECORD_UNSURE)
		r = LOOK_AGAIN;
	else if (r < 0)
		r = gap_about(s, what, strerror(-r));
	else if (what->witness.uid > again.ix.header.last_uid &&
		 clock_wall_ns() - file.ctime_ns < APPEND_MAX)
		r = in_flight(s, what);
	else
		r = say_message(s, what, FINDING_MESSAGE_EXTRA);
out:
	relook_close(&again);
	return r;
}

static int say_record(struct scanning *s, const struct suspicion *what,
		      const struct mailbox_index *ix, const uint8_t *bytes)
{
	struct words w = { .path = BUF_NULL };
	struct span record = span_of(bytes, ix->header.record_size);
	uint32_t stored = 0, byte, bit;

	mailbox_add_path(&w.path, what->mailbox, MAILBOX_FILE_INDEX, "cyrus.index");
	if (what->first.code == FINDING_INDEX_ORDER) {
		(void)snprintf(w.detail, sizeof(w.detail), "record %u of %u has a UID out of order",
			       what->record, ix->header.nr_records);
	} else if (span_be32(record, record.len - 4, &stored) == 0) {
		(void)snprintf(w.recorded, sizeof(w.recorded), "CRC %08x", stored);
		(void)snprintf(w.observed, sizeof(w.observed), "CRC %08x",
			       crc32_of(span_of(bytes, record.len - 4)));
		if (index_find_flipped_bit(&ix->header, record, &byte, &bit))
			(void)snprintf(w.detail, sizeof(w.detail),
				       "record %u of %u: one bit is flipped: bit %u of byte %u (%s)",
				       what->record, ix->header.nr_records, bit, byte,
				       index_field_name(&ix->header, byte));
		else
			(void)snprintf(w.detail, sizeof(w.detail),
				       "record %u of %u: more than one bit is wrong", what->record,
				       ix->header.nr_records);
	}
	return say_blocking(s, what, what->first.code, &w,
			    "the message of a damaged index record cannot be verified");
}

/* The record reads well now: its message has not been looked at yet. */
static int record_became_good(struct scanning *s, struct suspicion *what, struct relook *again,
			      const struct index_record *record)
{
	what->kind = SUSPECT_MESSAGE;
	what->record = 0;
	what->witness = (struct witness){ .uid = record->uid, .size = record->size,
					  .archived = record->flags & INDEX_FLAG_ARCHIVED };
	memcpy(what->witness.guid, record->guid, SHA1_LEN);
	if (record->uid == 0 || record->flags & (INDEX_FLAG_EXPUNGED | INDEX_FLAG_UNLINKED))
		return in_flight(s, what);
	observe_message(&s->observer, again->mailbox, &what->witness, &what->seen);
	what->first = judge_message(&what->witness, &what->seen);
	return what->first.verdict == ASSAY_OK ? in_flight(s, what) : LOOK_AGAIN;
}

/* Is record `nr` still out of order, or has a repack put it right? */
static int order_is_wrong(struct relook *again, uint32_t nr, uint32_t uid)
{
	struct index_record before;

	while (nr-- > 0) {
		int r = mailbox_index_get(&again->ix, again->mailbox, nr, &before);
		if (r == -EBADMSG || (r == 0 && before.uid == 0))
			continue;
		return r ? r : before.uid >= uid;
	}
	return 0;
}

static int confirm_record(struct scanning *s, struct suspicion *what)
{
	uint8_t bytes[INDEX_RECORD_MAX];
	struct index_record record;
	struct relook again;
	int r = relook_open(&again, what);

	if (r) {
		r = confirm_unopenable(s, what, r);
		goto out;
	}
	if (again.ix.state != INDEX_GOOD) {
		r = LOOK_AGAIN;
		goto out;
	}
	if (what->record > again.ix.header.nr_records) { /* repacked away */
		r = in_flight(s, what);
		goto out;
	}
	r = mailbox_index_read(&again.ix, again.mailbox, what->record - 1, 1, bytes);
	if (r == 0)
		r = index_parse_record(&again.ix.header,
				       span_of(bytes, again.ix.header.record_size), &record);
	if (r == -ESTALE || r == -ENODATA) {
		r = LOOK_AGAIN;
	} else if (r == -EBADMSG) {
		r = what->first.code == FINDING_INDEX_RECORD_CRC
			    ? say_record(s, what, &again.ix, bytes)
			    : LOOK_AGAIN;
	} else if (r) {
		r = gap_about(s, what, strerror(-r));
	} else if (what->first.code == FINDING_INDEX_ORDER &&
		   order_is_wrong(&again, what->record - 1, record.uid)) {
		r = say_record(s, what, &again.ix, bytes);
	} else {
		r = record_became_good(s, what, &again, &record);
	}
out:
	relook_close(&again);
	return r;
}

/* It can be opened now: everything in it is still to be verified, by a new pass of its own. */
static int begin_again(struct scanning *s, struct suspicion *what)
{
	struct mailbox *mailbox = NULL;

	if (what->mailbox->passes >= LOOKS_MAX)
		return gap_about(s, what, "the mailbox would not hold still");
	int r = mailbox_new_again(what->mailbox, &mailbox);
	if (r)
		return r;
	/* The pass that could not be finished is not coverage; the new one will be. */
	what->mailbox->superseded = true;
	mailbox->next_done = s->again;
	s->again = mailbox;
	return RESOLVED;
}

static int say_index(struct scanning *s, const struct suspicion *what, struct relook *again,
		     enum finding_code code)
{
	struct words w = { .path = BUF_NULL };

	mailbox_add_path(&w.path, what->mailbox,
			 what->kind == SUSPECT_INDEX ? MAILBOX_FILE_INDEX : MAILBOX_FILE_MESSAGES,
			 what->kind == SUSPECT_INDEX ? "cyrus.index" : "");
	if (code == FINDING_INDEX_TRUNCATED)
		(void)snprintf(w.detail, sizeof(w.detail),
			       "the header announces %u records of %u bytes, the file has %" PRIu64
			       " bytes",
			       again->ix.header.nr_records, again->ix.header.record_size,
			       again->ix.identity.size);
	else if (code == FINDING_INDEX_HEADER)
		(void)snprintf(w.detail, sizeof(w.detail), "the header's CRC or sizes are wrong");
	else if (what->error)
		(void)snprintf(w.observed, sizeof(w.observed), "%s", strerror(-what->error));
	return say_blocking(s, what, code, &w,
			    "the messages of this mailbox cannot be verified");
}

static int confirm_index(struct scanning *s, struct suspicion *what)
{
	struct relook again;
	int r = relook_open(&again, what);
	enum finding_code code = what->first.code;

	if (r == 0 && again.ix.state == INDEX_GOOD) {
		relook_close(&again);
		return begin_again(s, what);
	}
	int listed = survey_is_listed(s, what->mailbox);
	if (listed == SURVEY_GONE || (r == 0 && again.ix.state == INDEX_GONE))
		r = in_flight(s, what);
	else if (listed < 0)
		r = gap_about(s, what, "cannot tell whether the mailbox still exists");
	else if (r == 0 && again.ix.state == INDEX_FOREIGN)
		r = gap_about(s, what, "cyrus.index has a version that is not known to this assay");
	else if (r == 0)
		r = say_index(s, what, &again,
			      again.ix.state == INDEX_SHORT ? FINDING_INDEX_TRUNCATED
							    : FINDING_INDEX_HEADER);
	else if (r == what->error)
		r = say_index(s, what, &again, code);
	else if (what->looks < LOOKS_MAX) {
		what->error = r;
		r = LOOK_AGAIN;
	} else
		r = gap_about(s, what, strerror(-r));
	relook_close(&again);
	return r;
}

static int confirm_one(struct scanning *s, struct suspicion *what)
{
	switch (what->kind) {
	case SUSPECT_MESSAGE:
		return confirm_message(s, what);
	case SUSPECT_EXTRA:
		return confirm_extra(s, what);
	case SUSPECT_RECORD:
		return confirm_record(s, what);
	case SUSPECT_INDEX:
	case SUSPECT_MAILBOX:
		return confirm_index(s, what);
	}
	return RESOLVED;
}

/* ---- the list of suspicions ---- */

static void suspicion_free(struct scanning *s, struct suspicion *what)
{
	pool_count_down(s->pool, what->mailbox);
	mailbox_unref(what->mailbox);
	free(what);
	s->nr_suspicions--;
}

static void collect_from_pool(struct scanning *s)
{
	struct suspicion *list = pool_take_suspicions(s->pool);

	while (list) {
		struct suspicion *next = list->next;
		list->next = s->suspicions;
		s->suspicions = list;
		s->nr_suspicions++;
		list = next;
	}
}

/* Takes the second look; puts the suspicion back when it must be looked at once more. */
static int confirm_and_keep(struct scanning *s, struct suspicion *what)
{
	int r = confirm_one(s, what);

	if (r == LOOK_AGAIN && what->looks >= LOOKS_MAX)
		r = gap_about(s, what, "it changed at every look");
	if (r == LOOK_AGAIN) {
		what->looks++;
		what->noticed_ns = clock_mono_ns();
		what->next = s->suspicions;
		s->suspicions = what;
		return 0;
	}
	suspicion_free(s, what);
	return r;
}

int confirm(struct scanning *s, enum confirm_which which)
{
	int r = 0;

	do {
		/* A wait is coming: nobody else should wait for our transaction meanwhile. */
		if (which == CONFIRM_ALL) {
			pool_wait_idle(s->pool);
			r = scanning_flush(s);
		}
		collect_from_pool(s);
		struct suspicion *list = take(s->suspicions);
		while (list && r == 0) {
			struct suspicion *what = list;
			/* The planted fault does not change, so it need not settle. */
			int64_t due = what->noticed_ns + (what->canary ? 0 : s->options->settle_ns);
			list = what->next;
			if (which == CONFIRM_ALL)
				while (clock_mono_ns() < due && !scanning_is_stopped(s))
					clock_sleep_ns(min_of(due - clock_mono_ns(), NS_PER_S / 10));
			if (clock_mono_ns() < due) { /* not settled, or stopped */
				what->next = s->suspicions;
				s->suspicions = what;
				continue;
			}
			r = confirm_and_keep(s, what);
		}
		while (list) { /* after an error: keep the rest for confirm_abandon */
			struct suspicion *what = list;
			list = what->next;
			what->next = s->suspicions;
			s->suspicions = what;
		}
	} while (r == 0 && which == CONFIRM_ALL && !scanning_is_stopped(s) &&
		 (s->suspicions || pool_count_suspicions(s->pool)));
	return r;
}

void confirm_abandon(struct scanning *s)
{
	pool_wait_idle(s->pool);
	collect_from_pool(s);
	while (s->suspicions) {
		struct suspicion *what = s->suspicions;
		s->suspicions = what->next;
		suspicion_free(s, what);
	}
}

/* ---- findings that this run disproves ---- */

#define CLOSE_BATCH 256

struct closing {
	struct scanning *s;
	int64_t after; /* id: findings up to here have been decided */
	size_t count;
	struct {
		int64_t id;
		const char *resolution;
	} batch[CLOSE_BATCH];
};

/* Says why an open finding that was not seen again may be closed, or NULL to keep it open. */
static const char *resolution_of(struct scanning *s, const struct finding *finding)
{
	struct buf key = BUF_NULL;
	bool verified = false, listed = false, moving;

	if (finding->mailbox_key.len == 0)
		return s->survey_whole ? "verified" : NULL;
	in_flight_key(&key, finding->mailbox_key, finding->object);
	moving = buf_error(&key) || map_get(&s->in_flight, buf_span(&key), NULL);
	buf_fini(&key);
	if (state_mailbox_was_verified(s->state, s->target_id, s->run.id, finding->mailbox_key,
				       &verified, &listed))
		return NULL;
	if (!listed)
		return s->survey_whole ? "removed" : NULL;
	if (!verified)
		return NULL;
	/* Not seen again and in flight: the index said just now that it is gone. */
	if (moving)
		return NULL;
	return "verified";
}

static int decide(const struct finding *finding, void *ctx)
{
	struct closing *closing = ctx;

	if (finding->id <= closing->after)
		return 0;
	closing->after = finding->id;
	const char *resolution = resolution_of(closing->s, finding);
	if (resolution) {
		closing->batch[closing->count].id = finding->id;
		closing->batch[closing->count].resolution = resolution;
		closing->count++;
	}
	return closing->count == CLOSE_BATCH ? 1 : 0;
}

int confirm_close_findings(struct scanning *s)
{
	struct finding_filter filter = {
		.target = s->target_id,
		.open_only = true,
		.not_seen_by = s->run.id,
	};
	struct closing closing = { .s = s };
	int r;

	do {
		closing.count = 0;
		r = state_finding_each(s->state, &filter, decide, &closing);
		for (size_t i = 0; r >= 0 && i < closing.count; i++) {
			int closed = state_finding_close(s->state, closing.batch[i].id, s->run.id,
							 clock_wall_ns(),
							 closing.batch[i].resolution);
			if (closed)
				r = closed;
		}
	} while (r > 0);
	return r;
}

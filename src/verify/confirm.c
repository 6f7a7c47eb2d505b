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

#define SUSPICIONS_TAKEN 2048 /* no more are taken in before these are fewer */

int suspect(struct scanning *s, struct mailbox *mailbox, const struct suspicion *what)
{
	struct suspicion *suspicion = malloc(sizeof(*suspicion));

	if (!suspicion) {
		struct report report = what->report;
		report_fini(&report);
		return -ENOMEM;
	}
	*suspicion = *what;
	suspicion->mailbox = mailbox_ref(mailbox);
	suspicion->noticed_ns = clock_mono_ns();
	suspicion->looks = 1;
	suspicion->nr = s->next_suspicion++;
	suspicion->next = s->suspicions;
	s->suspicions = suspicion;
	s->nr_suspicions++;
	atomic_fetch_add(&mailbox->pending, 1);
	return 0;
}

/* ---- looking again ---- */

void relook_close(struct relook *again)
{
	mailbox_index_close(&again->ix);
	mailbox_unref(again->mailbox);
}

int relook_open(struct relook *again, const struct suspicion *what)
{
	*again = (struct relook){ NULL, MAILBOX_INDEX_NULL };
	int r = mailbox_new_again(what->mailbox, &again->mailbox);
	if (r == 0)
		r = mailbox_open_dirs(again->mailbox);
	if (r == 0)
		r = mailbox_index_open(&again->ix, again->mailbox);
	return r;
}

/*
 * Everything in `mailbox` (taken) is to be verified by a pass of its own, instead of the old one.
 */
static int begin_again(struct scanning *s, struct suspicion *what, struct mailbox *mailbox)
{
	if (what->mailbox->superseded || mailbox->passes >= LOOKS_MAX) {
		bool once = what->mailbox->superseded;
		mailbox_unref(mailbox);
		return once ? RESOLVED : tell_gap(s, what, "the mailbox would not hold still");
	}
	what->mailbox->superseded = true;
	mailbox->next_done = s->again;
	s->again = mailbox;
	return RESOLVED;
}

/* The mailbox was deleted while the scan was under way: nothing of it is left to verify. */
static int mailbox_has_gone(struct scanning *s, const struct suspicion *what)
{
	int r = scanning_write(s);

	if (r == 0)
		r = state_mailbox_forget(s->state, s->target_id, s->run.id,
					 buf_span(&what->mailbox->key));
	what->mailbox->superseded = true;
	return r ? r : tell_in_flight(s, what);
}

/*
 * Asks the list about a mailbox that is not where it was. STILL_LISTED: it should be there; else
 * the suspicion is resolved.
 */
enum { STILL_LISTED = 2 };
static int ask_the_list(struct scanning *s, struct suspicion *what)
{
	struct mailbox *moved = NULL;
	int r = survey_find(s, what->mailbox, &moved);

	if (r == SURVEY_GONE)
		return mailbox_has_gone(s, what);
	if (r == SURVEY_MOVED)
		return begin_again(s, what, moved);
	return r < 0 ? tell_gap(s, what, "cannot tell whether the mailbox still exists")
		     : STILL_LISTED;
}

int confirm_unopenable(struct scanning *s, struct suspicion *what, int error)
{
	int r = ask_the_list(s, what);

	if (r != STILL_LISTED)
		return r;
	/* Listed and not there: that is a suspicion of its own kind, raised by its own pass. */
	if (error == -ENOENT && what->looks < LOOKS_MAX)
		return LOOK_AGAIN;
	return tell_gap(s, what, strerror(-error));
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

/*
 * A whole message that cannot be read may be one of many on a disk that has gone. Its index could
 * be read when its mailbox was gone through; can it still, from the disk?
 */
static bool disk_has_gone(const struct relook *again)
{
	struct file file = FILE_NULL;
	uint8_t *buf = aligned_alloc(FILE_ALIGN, FILE_ALIGN);
	uint64_t n;
	int r = 0;

	if (buf && again->mailbox->index_dir.fd >= 0)
		r = file_open(&file, again->mailbox->index_dir.fd, "cyrus.index");
	if (buf && r == 0 && file.fd >= 0)
		r = file_read(&file, 0, buf, FILE_ALIGN, &n);
	file_close(&file);
	free(buf);
	return r && file_error_is_media(r);
}

/* Says once that a disk has gone; the scan of its target ends. */
static int tell_disk_gone(struct scanning *s, const struct suspicion *what, struct road *road)
{
	s->device_failed = true;
	if (!road || road->failed)
		return tell_gap(s, what, strerror(ENODEV));
	road->failed = -ENODEV;
	return scanning_gap(s, what->mailbox, road->device,
			    "the device has gone: nothing can be read from it any more");
}

/* Unreadable twice: which sectors? Unless the whole device has failed meanwhile. */
static int conclude_unreadable(struct scanning *s, struct suspicion *what,
			       const struct relook *again, struct judgement second)
{
	struct road *road = roads_find(s, what->seen.identity.dev);
	bool archive = what->witness.archived && dir_is_open(&again->mailbox->archive_dir);
	struct sectors sectors;
	char name[16];

	if (road && road->failed)
		return tell_gap(s, what, strerror(-road->failed));
	(void)snprintf(name, sizeof(name), "%" PRIu32 ".", what->witness.uid);
	int r = sectors_find(archive ? &again->mailbox->archive_dir : &again->mailbox->message_dir, name,
			     &sectors);
	if ((r || sectors.bytes_all >= what->seen.identity.size) && disk_has_gone(again))
		return tell_disk_gone(s, what, road);
	if (r == 0 && sectors.nr == 0) { /* this time all of it could be read */
		what->first = second;
		return LOOK_AGAIN;
	}
	return tell_message(s, what, FINDING_MESSAGE_UNREADABLE, r ? NULL : &sectors);
}

/* Both looks were bad, or one was: say which, or look again. */
static int conclude_message(struct scanning *s, struct suspicion *what, struct relook *again,
			    const struct observation *seen, struct judgement second)
{
	struct judgement verdict = judge_second_look(&what->first, &what->seen, &second, seen);
	struct index_record record;

	if (verdict.verdict == ASSAY_IN_FLIGHT)
		return tell_in_flight(s, what);
	if (verdict.verdict == ASSAY_OK) {
		tally_found_good(s->tally, what->mailbox, seen);
		return RESOLVED;
	}
	if (second.verdict == ASSAY_UNKNOWN) {
		what->seen = *seen;
		return tell_gap(s, what,
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
		return tell_gap(s, what, strerror(-r));
	if (r == RECORD_DEAD)
		return tell_in_flight(s, what);
	if (r == RECORD_UNSURE || !witness_is(&what->witness, &record))
		return LOOK_AGAIN;
	if (verdict.verdict != ASSAY_FLAKY)
		what->seen = *seen;
	if (verdict.code == FINDING_MESSAGE_UNREADABLE)
		return conclude_unreadable(s, what, again, second);
	return tell_message(s, what, verdict.code, NULL);
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
		r = tell_gap(s, what, strerror(-r));
	} else if (r == RECORD_DEAD) {
		r = tell_in_flight(s, what);
	} else if (r == RECORD_UNSURE) {
		r = LOOK_AGAIN;
	} else {
		bool changed = !witness_is(&what->witness, &record);
		what->witness = witness_of_record(&record);
		observe_message(&s->observer, again.mailbox, &what->witness, &seen);
		struct judgement second = judge_message(&what->witness, &seen);
		if (changed && second.verdict == ASSAY_OK) {
			r = tell_in_flight(s, what);
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

/* In the index, or where an old one keeps its expunged records. Results as mailbox_index_find. */
static int find_record(struct relook *again, uint32_t uid, struct index_record *record)
{
	struct mailbox_index expunge = MAILBOX_INDEX_NULL;
	int r = mailbox_index_find(&again->ix, again->mailbox, uid, record);

	if (r != MAILBOX_NO_RECORD || again->ix.header.version >= 12)
		return r;
	r = mailbox_expunge_open(&expunge, again->mailbox);
	if (r == -ENOENT)
		return MAILBOX_NO_RECORD;
	if (r == 0)
		r = expunge.state == INDEX_GOOD
			    ? mailbox_index_find(&expunge, again->mailbox, uid, record)
			    : -EBADMSG;
	mailbox_index_close(&expunge);
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
	r = dir_is_open(&again.mailbox->message_dir)
		    ? dir_identify(&again.mailbox->message_dir, name, &file)
		    : -ENOENT;
	what->witness.archived = r == -ENOENT && dir_is_open(&again.mailbox->archive_dir);
	if (what->witness.archived)
		r = dir_identify(&again.mailbox->archive_dir, name, &file);
	if (r == -ENOENT) {
		r = tell_in_flight(s, what);
		goto out;
	}
	if (r == 0)
		r = again.ix.state != INDEX_GOOD
			    ? RECORD_UNSURE
			    : find_record(&again, what->witness.uid, &record);
	if (r == 0)
		r = tell_in_flight(s, what); /* it has a record now */
	else if (r == -ESTALE || r == -ENODATA || r == RECORD_UNSURE)
		r = LOOK_AGAIN;
	else if (r < 0)
		r = tell_gap(s, what, strerror(-r));
	else if (what->witness.uid > again.ix.header.last_uid &&
		 clock_wall_ns() - file.ctime_ns < s->young_ns)
		r = tell_in_flight(s, what);
	else
		r = tell_message(s, what, FINDING_MESSAGE_EXTRA, NULL);
out:
	relook_close(&again);
	return r;
}

/* The record reads well now: its message has not been looked at yet. */
static int record_became_good(struct scanning *s, struct suspicion *what, struct relook *again,
			      const struct index_record *record)
{
	what->kind = SUSPECT_MESSAGE;
	what->record = 0;
	what->witness = witness_of_record(record);
	if (record->uid == 0 || record->flags & (INDEX_FLAG_EXPUNGED | INDEX_FLAG_UNLINKED))
		return tell_in_flight(s, what);
	observe_message(&s->observer, again->mailbox, &what->witness, &what->seen);
	what->first = judge_message(&what->witness, &what->seen);
	return what->first.verdict == ASSAY_OK ? tell_in_flight(s, what) : LOOK_AGAIN;
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
		r = tell_in_flight(s, what);
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
			    ? tell_record(s, what, &again.ix, bytes)
			    : LOOK_AGAIN;
	} else if (r) {
		r = tell_gap(s, what, strerror(-r));
	} else if (what->first.code == FINDING_INDEX_ORDER &&
		   order_is_wrong(&again, what->record - 1, record.uid)) {
		r = tell_record(s, what, &again.ix, bytes);
	} else {
		r = record_became_good(s, what, &again, &record);
	}
out:
	relook_close(&again);
	return r;
}

/*
 * The index, or the directory, is as bad as it was: say so, or look again if it is bad otherwise.
 */
static int conclude_index(struct scanning *s, struct suspicion *what, const struct relook *again,
			  int error)
{
	if (error == 0 && again->ix.state == INDEX_FOREIGN)
		return tell_gap(s, what, "cyrus.index has a version that is not known to this assay");
	if (error == 0)
		return tell_index(s, what, &again->ix,
				  again->ix.state == INDEX_SHORT ? FINDING_INDEX_TRUNCATED
								 : FINDING_INDEX_HEADER);
	if (error == what->error)
		return tell_index(s, what, &again->ix, what->first.code);
	what->error = error;
	return LOOK_AGAIN;
}

static int confirm_index(struct scanning *s, struct suspicion *what)
{
	struct mailbox *mailbox = NULL;
	struct relook again;
	int error = relook_open(&again, what), r;

	if (error == 0 && again.ix.state == INDEX_GOOD) {
		r = mailbox_new_again(what->mailbox, &mailbox);
		if (r == 0)
			r = begin_again(s, what, mailbox);
	} else if (error == 0 && again.ix.state == INDEX_GONE) {
		r = mailbox_has_gone(s, what);
	} else {
		r = ask_the_list(s, what);
		if (r == STILL_LISTED)
			r = conclude_index(s, what, &again, error);
	}
	relook_close(&again);
	return r;
}

/*
 * Opens the mailbox anew and looks the message up. RECORD_* or what the caller is to return (in
 * *ret).
 */
static int reopen_message(struct scanning *s, struct suspicion *what, struct relook *again,
			  struct index_record *record, int *ret)
{
	int r = relook_open(again, what);

	if (r) {
		*ret = confirm_unopenable(s, what, r);
		return -1;
	}
	r = look_up_record(again, what, record);
	if (r < 0)
		*ret = tell_gap(s, what, strerror(-r));
	else if (r == RECORD_DEAD)
		*ret = tell_in_flight(s, what);
	else if (r == RECORD_UNSURE)
		*ret = LOOK_AGAIN;
	return r == RECORD_LIVE ? 0 : -1;
}

static void message_name(const struct suspicion *what, char name[16])
{
	(void)snprintf(name, 16, "%" PRIu32 ".", what->witness.uid);
}

static int confirm_times(struct scanning *s, struct suspicion *what)
{
	struct file_identity file;
	struct index_record record;
	struct relook again;
	char name[16];
	int r = RESOLVED;

	message_name(what, name);
	if (reopen_message(s, what, &again, &record, &r) == 0) {
		bool archive = record.flags & INDEX_FLAG_ARCHIVED &&
			       dir_is_open(&again.mailbox->archive_dir);
		int error = dir_identify(archive ? &again.mailbox->archive_dir
						 : &again.mailbox->message_dir,
					 name, &file);
		/* A file that is missing now was there, and good, a moment ago. */
		if (error || file.mtime_ns / NS_PER_S == record.internaldate_ns / NS_PER_S) {
			r = tell_in_flight(s, what);
		} else {
			what->seen.identity = file;
			what->witness.archived = archive;
			r = tell_times(s, what, &record);
		}
	}
	relook_close(&again);
	return r;
}

/* Both copies are still there, and the record does not say that one is about to go. */
static int confirm_duplicate(struct scanning *s, struct suspicion *what)
{
	struct index_record record;
	struct relook again;
	char name[16];
	int r = RESOLVED;

	message_name(what, name);
	if (reopen_message(s, what, &again, &record, &r) == 0) {
		bool both = dir_is_open(&again.mailbox->archive_dir) &&
			    dir_is_open(&again.mailbox->message_dir) &&
			    dir_identify(&again.mailbox->archive_dir, name, &what->seen.identity) == 0 &&
			    dir_identify(&again.mailbox->message_dir, name, &what->seen.identity) == 0;
		what->witness.archived = !(record.flags & INDEX_FLAG_ARCHIVED);
		r = both && !(record.flags & INDEX_FLAG_NEEDS_CLEANUP)
			    ? tell_message(s, what, FINDING_MESSAGE_DUPLICATE, NULL)
			    : tell_in_flight(s, what);
	}
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
	case SUSPECT_TIMES:
		return confirm_times(s, what);
	case SUSPECT_DUPLICATE:
		return confirm_duplicate(s, what);
	case SUSPECT_META:
		return confirm_meta(s, what);
	}
	return RESOLVED;
}

/* ---- the list of suspicions ---- */

static void suspicion_free(struct scanning *s, struct suspicion *what)
{
	tally_count_down(s->tally, what->mailbox);
	mailbox_unref(what->mailbox);
	report_fini(&what->report);
	free(what);
	s->nr_suspicions--;
}

void confirm_collect(struct scanning *s)
{
	/* Those that wait hold their readers up (blocks.c), so that memory stays bounded. */
	if (s->nr_suspicions >= SUSPICIONS_TAKEN)
		return;
	struct suspicion *list = tally_take_suspicions(s->tally);

	while (list) {
		struct suspicion *next = list->next;
		list->next = s->suspicions;
		list->nr = s->next_suspicion++;
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
		r = what->kind == SUSPECT_META ? tell_in_flight(s, what)
					       : tell_gap(s, what, "it changed at every look");
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
		confirm_collect(s);
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
		 (s->suspicions || tally_count_suspicions(s->tally)));
	return r;
}

void confirm_abandon(struct scanning *s)
{
	pool_wait_idle(s->pool);
	confirm_collect(s);
	while (s->suspicions) {
		struct suspicion *what = s->suspicions;
		s->suspicions = what->next;
		s->canary_dropped |= what->canary;
		suspicion_free(s, what);
	}
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scan: survey, a pass through every mailbox, the second looks, the books. The status of the run is
 * decided in one place, run_status(): anything that is not wholly verified is not complete.
 */
#include "verify/scan.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "verify/scanning.h"

#define OPEN_MAILBOXES_MAX 65536 /* with something pending: less than 1 KiB each */
#define PROGRESS_INTERVAL (NS_PER_S / 5)
#define TRANSACTION_MAX (NS_PER_S / 2)
#define UIDS_BYTES ((1u << 24) / 8)
/* A record is written some time after its file: what is younger may have none yet. */
#define APPEND_MAX (10 * 60 * NS_PER_S)

bool scanning_is_stopped(struct scanning *s)
{
	const struct scan_options *o = s->options;

	if ((o->stop && *o->stop) || s->device_failed ||
	    (o->max_duration_ns && clock_mono_ns() - s->started_mono_ns > o->max_duration_ns))
		s->stop = 1;
	return s->stop;
}

int scanning_write(struct scanning *s)
{
	if (s->in_transaction)
		return 0;
	int r = state_begin(s->state);
	s->in_transaction = r == 0;
	s->transaction_ns = clock_mono_ns();
	return r;
}

int scanning_flush(struct scanning *s)
{
	if (!s->in_transaction)
		return 0;
	s->in_transaction = false;
	return state_commit(s->state);
}

int scanning_gap(struct scanning *s, struct mailbox *mailbox, const char *path, const char *why)
{
	struct span name = mailbox ? buf_span(&mailbox->entry.name) : SPAN_NULL;
	struct span key = mailbox ? buf_span(&mailbox->key) : SPAN_NULL;

	s->run.gaps++;
	if (mailbox)
		atomic_fetch_add(&mailbox->gaps, 1);
	if (s->events->gap)
		s->events->gap(name, path, why, s->events->ctx);
	int r = scanning_write(s);
	return r ? r : state_gap_put(s->state, s->run.id, key, name, span_of_str(path), why);
}

int scanning_finding(struct scanning *s, struct finding *finding)
{
	finding->target = s->target_id;
	finding->store = s->target->store;
	finding->host = s->target->host;
	int r = scanning_write(s);
	if (r == 0)
		r = state_finding_put(s->state, s->run.id, clock_wall_ns(), finding);
	/* It is durable before it is told. */
	if (r == 0)
		r = scanning_flush(s);
	if (r)
		return r;
	if (finding->severity == ASSAY_SEVERITY_NOTICE)
		s->run.notices++;
	else
		s->run.findings++;
	if (s->events->finding)
		s->events->finding(finding, s->events->ctx);
	return 0;
}

static void scanning_progress(struct scanning *s)
{
	int64_t now = clock_mono_ns();
	bool asked = s->options->show_progress && *s->options->show_progress;
	struct tally_totals totals;

	if (!asked && now - s->last_progress_ns < PROGRESS_INTERVAL)
		return;
	s->last_progress_ns = now;
	if (asked)
		*s->options->show_progress = 0;
	if (!s->events->progress)
		return;
	tally_get_totals(s->tally, &totals);
	struct scan_progress progress = {
		.messages = totals.messages,
		.bytes = totals.bytes,
		.mailboxes = s->run.mailboxes,
		.mailboxes_total = s->nr_mailboxes_total,
		.bytes_expected = s->expected_bytes,
		.carried = s->run.carried + totals.carried,
		.bytes_carried = s->carried_bytes + totals.carried_bytes,
		.findings = s->run.findings,
		.elapsed_ns = now - s->started_mono_ns,
		.asked = asked,
	};
	s->events->progress(&progress, s->events->ctx);
}

/* A stopped pass may have left messages out: that is no coverage, and does not come here. */
static int scanning_cover(struct scanning *s, struct mailbox *mailbox)
{
	int r = scanning_write(s);

	/* What was carried over is as old as the round. */
	int64_t since_ns =
		atomic_load(&mailbox->carried) ? s->round.started_ns : mailbox->started_ns;
	return r ? r
		 : state_mailbox_verified(s->state, s->target_id, s->run.id,
					  buf_span(&mailbox->key), since_ns,
					  atomic_load(&mailbox->messages),
					  atomic_load(&mailbox->bytes));
}

static int scanning_collect_done(struct scanning *s)
{
	struct mailbox *done = tally_take_done(s->tally);
	int r = 0;

	while (done) {
		struct mailbox *mailbox = done;
		done = mailbox->next_done;
		if (atomic_load(&mailbox->gaps))
			s->nr_mailboxes_missed++;
		else if (r == 0 && !mailbox->superseded && !scanning_is_stopped(s) &&
			 !s->options->quick && !s->options->since_ns)
			r = scanning_cover(s, mailbox);
		s->nr_open_mailboxes--;
		s->run.mailboxes += !mailbox->superseded;
		mailbox_close_dirs(mailbox);
		mailbox_unref(mailbox);
	}
	return r;
}

int scanning_collect(struct scanning *s)
{
	/* For those who only look at s->stop: while a window is read, nobody else may ask. */
	(void)scanning_is_stopped(s);
	int r = scanning_collect_done(s);

	if (r == 0)
		r = resume_checkpoint(s, false);
	if (s->options->new_limits && *s->options->new_limits) {
		*s->options->new_limits = 0;
		s->options->get_limits(&s->limits, s->options->limits_ctx);
		roads_set_limits(s);
	}
	if (r == 0 && s->in_transaction && clock_mono_ns() - s->transaction_ns > TRANSACTION_MAX)
		r = scanning_flush(s);
	scanning_progress(s);
	return r;
}

/* Waits until another mailbox may be opened. */
static int scanning_make_room(struct scanning *s)
{
	int r = scanning_collect(s);

	if (r == 0)
		r = roads_start_early(s);

	if (r == 0 && (s->suspicions || tally_count_suspicions(s->tally)))
		r = confirm(s, CONFIRM_DUE);
	if (r == 0 && s->nr_with_dirs == array_size(s->with_dirs)) {
		roads_close_dirs(s);
		r = scanning_collect(s);
	}
	if (r == 0 && s->nr_open_mailboxes >= OPEN_MAILBOXES_MAX) {
		r = roads_finish(s);
		if (r == 0)
			r = scanning_collect(s);
	}
	/* What still is open waits for a second look. */
	if (r == 0 && s->nr_open_mailboxes >= OPEN_MAILBOXES_MAX) {
		r = confirm(s, CONFIRM_ALL);
		if (r == 0)
			r = scanning_collect(s);
	}
	return r;
}

static int scanning_pass_row(struct scanning *s, const struct mailbox_row *row)
{
	struct mailbox *mailbox = NULL;
	int r = mailbox_new(&s->target->imapd_conf, s->target->image, row, &mailbox);

	if (r == -EBADMSG) {
		struct buf why = BUF_NULL;
		buf_add_str(&why, "the mailbox's name or unique id cannot be a path");
		r = scanning_gap(s, NULL, "mailboxes.db", buf_str(&why));
		buf_fini(&why);
		return r;
	}
	s->nr_selected++;
	return r ? r : pass_mailbox(s, mailbox);
}

/* The mailboxes behind the key `after`, up to `until` (NULL: to the end). */
static int scanning_pass_range(struct scanning *s, const char *first, const char *until)
{
	struct buf after = BUF_NULL;
	struct mailbox_row row;
	int r = 0;

	buf_add_str(&after, first);
	while (r == 0 && !scanning_is_stopped(s)) {
		r = scanning_make_room(s);
		if (r == 0)
			r = state_mailbox_next(s->state, s->target_id, s->run.id, buf_span(&after),
					       &row);
		if (r == 0 && until && span_compare(row.key, span_of_str(until)) > 0)
			r = STATE_END;
		if (r == 0) {
			buf_clear(&after);
			buf_add_span(&after, row.key);
			r = buf_error(&after);
		}
		if (r == 0 && !resume_skips(s, &row) &&
		    selection_wants(&s->options->selection, &s->target->imapd_conf, &s->found, &row))
			r = scanning_pass_row(s, &row);
	}
	buf_fini(&after);
	return r == STATE_END ? 0 : r;
}

/* All of them, from the key that this copy begins behind, and around. */
static int scanning_pass_all(struct scanning *s)
{
	int r = scanning_pass_range(s, s->first_key, NULL);

	return r ? r : scanning_pass_range(s, "", s->first_key);
}

static int scanning_pass_again(struct scanning *s)
{
	int r = 0;

	s->going_again = true;
	while (r == 0 && s->again && !scanning_is_stopped(s)) {
		struct mailbox *mailbox = s->again;
		s->again = mailbox->next_done;
		r = scanning_make_room(s);
		if (r == 0)
			r = pass_mailbox(s, mailbox);
		else
			mailbox_unref(mailbox);
	}
	return r;
}

/* What belongs to no single mailbox. */
static int scanning_check_store(struct scanning *s)
{
	bool quick = s->options->quick;
	int r = 0;

	if (!selection_is_empty(&s->options->selection) || s->options->since_ns)
		return 0;
	if (s->survey_whole)
		r = ids_check(s);
	if (r == 0 && s->survey_whole && !scanning_is_stopped(s))
		r = strays_check(s);
	if (r == 0 && !quick && !scanning_is_stopped(s))
		r = databases_check(s);
	if (r == 0 && !quick && s->survey_whole && !scanning_is_stopped(s))
		r = quotas_check(s);
	return r;
}

static int scanning_work(struct scanning *s)
{
	int r = survey_mailboxes(s);

	if (r == 0)
		r = scanning_pass_all(s);
	if (r == 0)
		r = roads_finish(s);
	/* Now, not behind all second looks, which have to wait: a stop may come in between. */
	if (r == 0)
		r = confirm(s, CONFIRM_DUE);
	if (r == 0)
		r = scanning_collect(s);
	/* A second look may have a mailbox passed through again, which may raise new suspicions. */
	while (r == 0 && !scanning_is_stopped(s)) {
		r = confirm(s, CONFIRM_ALL);
		if (r == 0)
			r = scanning_collect(s);
		if (r == 0 && s->again) {
			r = scanning_pass_again(s);
			if (r == 0)
				r = roads_finish(s);
		} else if (!s->suspicions && s->nr_open_mailboxes == 0)
			break;
	}
	if (r == 0 && !scanning_is_stopped(s))
		r = scanning_check_store(s);
	if (r == 0 && scanning_is_stopped(s)) /* how far it came */
		r = roads_stop(s);
	int flushed = scanning_flush(s);
	r = r ? r : flushed;
	roads_tell(s);
	roads_free(s);
	confirm_abandon(s);
	while (s->again) {
		struct mailbox *mailbox = s->again;
		s->again = mailbox->next_done;
		mailbox_unref(mailbox);
	}
	int collected = scanning_collect(s);
	flushed = scanning_flush(s);
	return r ? r : collected ? collected : flushed;
}

/* The one place that decides how good a run was. */
static enum run_status run_status(struct scanning *s, int error)
{
	/* A disk that has failed cannot be asked twice: that the fault was seen once has to do. */
	bool found = s->canary_found || (s->device_failed && s->canary_dropped);

	if (error || (scanning_is_stopped(s) && !s->device_failed))
		return RUN_INTERRUPTED;
	if ((tally_has_planted_canary(s->tally) && !found) ||
	    (s->index_canary_planted && !s->index_canary_found))
		return RUN_VOID;
	if (s->run.gaps || s->nr_mailboxes_missed || !s->survey_whole || s->nr_mailboxes_total == 0)
		return RUN_INCOMPLETE;
	return RUN_COMPLETE;
}

static int scanning_end(struct scanning *s, int error)
{
	struct tally_totals totals;

	tally_get_totals(s->tally, &totals);
	s->run.messages = totals.messages;
	s->run.messages += s->quick_messages;
	s->run.carried += totals.carried;
	s->run.bytes = totals.bytes;
	s->run.buffered = totals.buffered;
	if (error == 0 && s->run.carried && !tally_has_planted_canary(s->tally) &&
	    !scanning_is_stopped(s))
		error = scanning_gap(s, NULL, "",
				     "no message was found good to plant a fault beside");
	if (error == 0 && s->nr_mailboxes_total == 0 && s->survey_whole && !scanning_is_stopped(s))
		error = scanning_gap(s, NULL, "mailboxes.db",
				     "no mailbox is listed: nothing was verified");
	if (error == 0 && s->nr_mailboxes_total && s->nr_selected == 0 && !scanning_is_whole(s) &&
	    !scanning_is_stopped(s))
		error = scanning_gap(s, NULL, "mailboxes.db", "no mailbox is as was asked for");
	/* The books must agree with what the passes said of themselves. */
	uint64_t unverified = 0;
	if (error == 0 && scanning_is_whole(s))
		error = state_mailbox_count_unverified(s->state, s->target_id, s->run.id, &unverified);
	if (unverified > s->nr_mailboxes_missed)
		s->nr_mailboxes_missed = unverified;
	s->run.status = run_status(s, error);
	if (s->run.status == RUN_VOID)
		log_warning(s->log, "%s@%s: the planted fault was not found: this run is void",
			    s->target->store, s->target->host);
	int r = error ? error : scanning_write(s);
	if (r == 0 && (s->run.status == RUN_COMPLETE || s->run.status == RUN_INCOMPLETE))
		r = closing_run(s);
	if (r == 0 && s->survey_whole && s->run.status == RUN_COMPLETE && scanning_is_whole(s))
		r = state_mailbox_prune(s->state, s->target_id, s->run.id);
	if (r)
		s->run.status = RUN_INTERRUPTED;
	s->run.ended_ns = clock_wall_ns();
	if (r == 0)
		r = resume_end(s);
	int updated = state_run_update(s->state, &s->run);
	int flushed = scanning_flush(s);
	return r ? r : updated ? updated : flushed;
}

static bool on_wait(void *ctx)
{
	return scanning_is_stopped(ctx);
}

static int on_found(struct span mailbox_key, void *ctx)
{
	struct scanning *s = ctx;
	int r = map_put(&s->found, mailbox_key, 0);

	return r < 0 ? r : 0;
}

/* What the scan is about, in words; and what there is to know before it begins. */
static int scanning_prepare(struct scanning *s)
{
	const struct scan_options *o = s->options;
	struct buf scope = BUF_NULL, list = BUF_NULL;
	struct file_identity identity;

	s->young_ns = o->append_max_ns ? o->append_max_ns : APPEND_MAX;
	s->conf_dir = imapd_conf_get(&s->target->imapd_conf, "configdirectory", "");
	/* Cyrus has made its list itself. */
	layout_add_mailboxes_db(&list, &s->target->imapd_conf);
	if (!s->target->image && file_identify(AT_FDCWD, buf_str(&list), &identity) == 0) {
		s->has_owner = true;
		s->owner = identity.uid;
	}
	buf_fini(&list);
	selection_add_scope(&scope, &o->selection, o->quick, o->since_ns);
	(void)snprintf(s->run.scope, sizeof(s->run.scope), "%s", buf_str(&scope));
	int r = buf_error(&scope);
	buf_fini(&scope);
	return r;
}

static int scanning_begin(struct scanning *s)
{
	const struct target *target = s->target;
	struct run last;
	int64_t oldest;
	int r = scanning_prepare(s);

	if (r)
		return r;
	r = state_target_put(s->state, target->key, target->store, target->host,
				 target->imapd_conf_path, target->is_named, &s->target_id);

	if (r == 0)
		r = state_target_lock(s->state, s->target_id);
	if (r == -EBUSY)
		return log_error(s->log, r, "%s@%s is being scanned by another process",
				 target->store, target->host);
	if (r == 0 && scanning_is_whole(s) && state_run_last_complete(s->state, s->target_id, &last) == 0 &&
	    state_coverage(s->state, s->target_id, last.id, &oldest, &s->expected_bytes))
		s->expected_bytes = 0;
	struct buf name = BUF_NULL;
	buf_addf(&name, "%s@%s", target->store, target->host);
	s->origin_seed = xxh3_of(buf_span(&name));
	buf_fini(&name);
	(void)snprintf(s->first_key, sizeof(s->first_key), "%016" PRIx64, s->origin_seed);
	s->run.started_ns = clock_wall_ns();
	s->run.target = s->target_id;
	/* The run and its round are one: a kill in between would end the round. */
	if (r == 0)
		r = scanning_write(s);
	if (r == 0)
		r = state_run_begin(s->state, s->target_id, s->run.started_ns, s->run.scope,
				    &s->run.id);
	if (r == 0)
		r = resume_begin(s);
	if (r == 0 && s->options->selection.only_findings)
		r = state_finding_each_mailbox(s->state, s->target_id, on_found, s);
	int flushed = scanning_flush(s);
	return r ? r : flushed;
}

int scan_store(struct state *state, const struct target *target,
	       const struct scan_options *options, const struct scan_events *events,
	       const struct log *log, struct run *ret_run)
{
	struct scanning s = {
		.state = state,
		.target = target,
		.options = options,
		.events = events,
		.log = log,
		.started_mono_ns = clock_mono_ns(),
		.limits = options->limits,
	};
	struct pool_options pool = {
		.engine = options->engine,
		.sha1 = options->sha1,
		.readers = options->readers,
		.limits = options->limits,
		.is_stopped = on_wait,
		.ctx = &s,
	};
	int r = observer_init(&s.observer);

	s.observer.is_second = true;

	s.uids = calloc(1, UIDS_BYTES);
	if (r == 0 && !s.uids)
		r = -ENOMEM;
	if (r == 0)
		r = tally_new(&s.tally);
	if (r == 0)
		r = pool_new(s.tally, &pool, &s.pool);
	if (r)
		r = log_error(log, r, "cannot start to scan: %s", strerror(-r));
	if (r == 0)
		r = scanning_begin(&s);
	if (r == 0) {
		r = scanning_work(&s);
		r = scanning_end(&s, r);
	}
	roads_free(&s);
	pool_free(s.pool);
	tally_free(s.tally);
	observer_fini(&s.observer);
	map_fini(&s.in_flight);
	map_fini(&s.doubts);
	map_fini(&s.found);
	map_fini(&s.suspect_ids);
	map_fini(&s.quotas);
	free(s.quota_sums);
	free(s.uids);
	*ret_run = s.run;
	return r;
}

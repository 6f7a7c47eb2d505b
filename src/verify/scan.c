/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scan: survey, a pass through every mailbox, the second looks, the books. The status of the run is
 * decided in one place, run_status(): anything that is not wholly verified is not complete.
 */
#include "verify/scan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "verify/scanning.h"

#define OPEN_MAILBOXES_MAX 64 /* each holds up to three descriptors */
#define PROGRESS_INTERVAL (NS_PER_S / 5)
#define TRANSACTION_MAX (NS_PER_S / 2)
#define UIDS_BYTES ((1u << 24) / 8)

bool scanning_is_stopped(const struct scanning *s)
{
	return s->options->stop && *s->options->stop;
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

	s->run.gaps++;
	if (mailbox)
		atomic_fetch_add(&mailbox->gaps, 1);
	if (s->events->gap)
		s->events->gap(name, path, why, s->events->ctx);
	int r = scanning_write(s);
	return r ? r : state_gap_put(s->state, s->run.id, name, span_of_str(path), why);
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
	s->run.findings++;
	if (s->events->finding)
		s->events->finding(finding, s->events->ctx);
	return 0;
}

static void scanning_progress(struct scanning *s)
{
	int64_t now = clock_mono_ns();
	bool asked = s->options->show_progress && *s->options->show_progress;
	uint64_t buffered;

	if (!asked && now - s->last_progress_ns < PROGRESS_INTERVAL)
		return;
	s->last_progress_ns = now;
	if (asked)
		*s->options->show_progress = 0;
	if (!s->events->progress)
		return;
	struct scan_progress progress = {
		.mailboxes = s->run.mailboxes,
		.mailboxes_total = s->nr_mailboxes_total,
		.bytes_expected = s->expected_bytes,
		.elapsed_ns = now - s->started_mono_ns,
		.asked = asked,
	};
	pool_get_totals(s->pool, &progress.messages, &progress.bytes, &buffered);
	s->events->progress(&progress, s->events->ctx);
}

/* A stopped pass may have left messages out: that is no coverage, and does not come here. */
static int scanning_cover(struct scanning *s, struct mailbox *mailbox)
{
	int r = scanning_write(s);

	return r ? r
		 : state_mailbox_verified(s->state, s->target_id, s->run.id, buf_span(&mailbox->key),
					  mailbox->started_ns, atomic_load(&mailbox->messages),
					  atomic_load(&mailbox->bytes));
}

static int scanning_collect_done(struct scanning *s)
{
	struct mailbox *done = pool_take_done(s->pool);
	int r = 0;

	while (done) {
		struct mailbox *mailbox = done;
		done = mailbox->next_done;
		if (atomic_load(&mailbox->gaps))
			s->nr_mailboxes_missed++;
		else if (r == 0 && !mailbox->superseded && !scanning_is_stopped(s))
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
	int r = scanning_collect_done(s);

	if (r == 0 && s->in_transaction && clock_mono_ns() - s->transaction_ns > TRANSACTION_MAX)
		r = scanning_flush(s);
	scanning_progress(s);
	return r;
}

/* Waits until another mailbox may be opened. */
static int scanning_make_room(struct scanning *s)
{
	int r = scanning_collect(s);

	if (r == 0 && (s->suspicions || pool_count_suspicions(s->pool)))
		r = confirm(s, CONFIRM_DUE);
	if (r == 0 && s->nr_open_mailboxes >= OPEN_MAILBOXES_MAX) {
		pool_wait_idle(s->pool);
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
	int r = mailbox_new(&s->target->imapd_conf, row, &mailbox);

	if (r == -EBADMSG) {
		struct buf why = BUF_NULL;
		buf_add_str(&why, "the mailbox's name or unique id cannot be a path");
		r = scanning_gap(s, NULL, "mailboxes.db", buf_str(&why));
		buf_fini(&why);
		return r;
	}
	return r ? r : pass_mailbox(s, mailbox);
}

static int scanning_pass_all(struct scanning *s)
{
	struct buf after = BUF_NULL;
	struct mailbox_row row;
	int r = 0;

	while (r == 0 && !scanning_is_stopped(s)) {
		r = scanning_make_room(s);
		if (r == 0)
			r = state_mailbox_next(s->state, s->target_id, s->run.id, buf_span(&after),
					       &row);
		if (r == 0) {
			buf_clear(&after);
			buf_add_span(&after, row.key);
			r = buf_error(&after);
		}
		if (r == 0)
			r = scanning_pass_row(s, &row);
	}
	buf_fini(&after);
	return r == STATE_END ? 0 : r;
}

static int scanning_pass_again(struct scanning *s)
{
	int r = 0;

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

static int scanning_work(struct scanning *s)
{
	int r = survey_mailboxes(s);

	if (r == 0)
		r = scanning_pass_all(s);
	/* A second look may have a mailbox passed through again, which may raise new suspicions. */
	while (r == 0 && !scanning_is_stopped(s)) {
		r = confirm(s, CONFIRM_ALL);
		if (r == 0)
			r = scanning_collect(s);
		if (r == 0 && s->again)
			r = scanning_pass_again(s);
		else if (!s->suspicions && s->nr_open_mailboxes == 0)
			break;
	}
	int flushed = scanning_flush(s);
	r = r ? r : flushed;
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
static enum run_status run_status(const struct scanning *s, int error)
{
	if (error || scanning_is_stopped(s))
		return RUN_INTERRUPTED;
	if (pool_has_planted_canary(s->pool) && !(s->canary_found && s->index_canary_found))
		return RUN_VOID;
	if (s->run.gaps || s->nr_mailboxes_missed || !s->survey_whole || s->nr_mailboxes_total == 0)
		return RUN_INCOMPLETE;
	return RUN_COMPLETE;
}

static int scanning_end(struct scanning *s, int error)
{
	pool_get_totals(s->pool, &s->run.messages, &s->run.bytes, &s->run.buffered);
	if (error == 0 && s->nr_mailboxes_total == 0 && s->survey_whole && !scanning_is_stopped(s))
		error = scanning_gap(s, NULL, "mailboxes.db",
				     "no mailbox is listed: nothing was verified");
	/* The books must agree with what the passes said of themselves. */
	uint64_t unverified = 0;
	if (error == 0)
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
	if (r == 0 && s->survey_whole && s->run.status == RUN_COMPLETE)
		r = state_mailbox_prune(s->state, s->target_id, s->run.id);
	if (r)
		s->run.status = RUN_INTERRUPTED;
	s->run.ended_ns = clock_wall_ns();
	int updated = state_run_update(s->state, &s->run);
	int flushed = scanning_flush(s);
	return r ? r : updated ? updated : flushed;
}

static int scanning_begin(struct scanning *s)
{
	const struct target *target = s->target;
	struct run last;
	int r = state_target_put(s->state, target->key, target->store, target->host,
				 target->imapd_conf_path, target->is_named, &s->target_id);

	if (r == 0)
		r = state_target_lock(s->state, s->target_id);
	if (r == -EBUSY)
		return log_error(s->log, r, "%s@%s is being scanned by another process",
				 target->store, target->host);
	if (r == 0 && state_run_last_complete(s->state, s->target_id, &last) == 0)
		s->expected_bytes = last.bytes;
	s->run.started_ns = clock_wall_ns();
	s->run.target = s->target_id;
	if (r == 0)
		r = state_run_begin(s->state, s->target_id, s->run.started_ns, &s->run.id);
	return r;
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
	};
	int r = observer_init(&s.observer);

	s.uids = calloc(1, UIDS_BYTES);
	if (r == 0 && !s.uids)
		r = -ENOMEM;
	if (r == 0)
		r = pool_new(options->readers, &s.pool);
	if (r)
		r = log_error(log, r, "cannot start to scan: %s", strerror(-r));
	if (r == 0)
		r = scanning_begin(&s);
	if (r == 0) {
		r = scanning_work(&s);
		r = scanning_end(&s, r);
	}
	pool_free(s.pool);
	observer_fini(&s.observer);
	map_fini(&s.in_flight);
	free(s.uids);
	*ret_run = s.run;
	return r;
}

// SPDX-License-Identifier: Apache-2.0
/*
 * The order: metadata first, which tells the inodes; then the blocks, as fast as the disk gives them;
 * then the files of packages. Each witness looks twice at what it suspects before the next begins.
 */
#include "verify/volume_scanning.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"
#include "io/dev.h"

#define PROGRESS_INTERVAL (NS_PER_S / 5)
#define SETTLE_STEP (NS_PER_S / 20)

static int write_begin(struct volume_scanning *s)
{
	if (s->in_transaction)
		return 0;
	int r = state_begin(s->state);
	s->in_transaction = r == 0;
	return r;
}

static int write_flush(struct volume_scanning *s)
{
	if (!s->in_transaction)
		return 0;
	s->in_transaction = false;
	return state_commit(s->state);
}

int volume_gap(struct volume_scanning *s, const char *path, const char *fmt, ...)
{
	char why[256];
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(why, sizeof(why), fmt, args);
	va_end(args);
	s->result->run.gaps++;
	if (s->events->gap)
		s->events->gap(SPAN_NULL, path, why, s->events->ctx);
	int r = write_begin(s);
	return r ? r
		 : state_gap_put(s->state, s->result->run.id, SPAN_NULL, SPAN_NULL,
				 span_of_str(path), why);
}

int volume_finding(struct volume_scanning *s, struct finding *finding)
{
	finding->target = s->target_id;
	finding->store = s->target->name;
	finding->host = s->target->host;
	int r = write_begin(s);
	if (r == 0)
		r = state_finding_put(s->state, s->result->run.id, clock_wall_ns(), finding);
	/* It is durable before it is told. */
	if (r == 0)
		r = write_flush(s);
	if (r)
		return r;
	if (finding->severity == ASSAY_SEVERITY_NOTICE)
		s->result->run.notices++;
	else
		s->result->run.findings++;
	if (s->events->finding)
		s->events->finding(finding, s->events->ctx);
	return 0;
}

void volume_progress(struct volume_scanning *s, uint64_t bytes, uint64_t total)
{
	int64_t now = clock_mono_ns();
	bool asked = s->options->show_progress && *s->options->show_progress;

	if (!asked && now - s->last_progress_ns < PROGRESS_INTERVAL)
		return;
	s->last_progress_ns = now;
	if (asked)
		*s->options->show_progress = 0;
	struct scan_progress progress = {
		.messages = s->result->blocks,
		.bytes = bytes,
		.bytes_expected = total,
		.findings = s->result->run.findings,
		.elapsed_ns = now - s->started_mono_ns,
		.asked = asked,
	};
	if (s->events->progress)
		s->events->progress(&progress, s->events->ctx);
}

/* What the kernel holds of a mounted filesystem goes to the disk. */
static int volume_sync(const struct volume_scanning *s)
{
	if (!s->target->is_live || !s->target->mount)
		return 0;
	int fd = open(s->target->mount, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	int r = syncfs(fd) ? -errno : 0;
	(void)close(fd);
	return r;
}

void volume_settle(struct volume_scanning *s)
{
	int64_t until = clock_mono_ns() + s->options->settle_ns;

	while (clock_mono_ns() < until && !volume_is_stopped(s)) {
		struct timespec step = { .tv_nsec = SETTLE_STEP };
		(void)nanosleep(&step, NULL);
	}
}

int volume_look_again(struct volume_scanning *s, struct volume_view *ret_view)
{
	int r = volume_sync(s);

	return r ? r : volume_view_open(ret_view, s->target->path);
}

/* ---- closing ---- */

#define CLOSE_BATCH 256

struct closing {
	struct volume_scanning *s;
	int64_t after;
	size_t count;
	int64_t batch[CLOSE_BATCH];
};

/* Was everything looked at that could show it again? */
static bool is_whole(const struct volume_scanning *s, const char *object)
{
	if (strncmp(object, OBJECT_PACKAGE, strlen(OBJECT_PACKAGE)) == 0)
		return s->files_whole;
	if (strncmp(object, OBJECT_UNREADABLE, strlen(OBJECT_UNREADABLE)) == 0)
		return s->blocks_whole;
	/* Without a baseline nothing is known of what was wrong by one. */
	if (strncmp(object, OBJECT_BLOCK, strlen(OBJECT_BLOCK)) == 0)
		return s->blocks_whole && s->before;
	return s->meta_whole;
}

static int decide(const struct finding *finding, void *ctx)
{
	struct closing *closing = ctx;

	if (finding->id <= closing->after)
		return 0;
	closing->after = finding->id;
	if (is_whole(closing->s, finding->object))
		closing->batch[closing->count++] = finding->id;
	return closing->count == CLOSE_BATCH;
}

/* What this run looked for again and did not see is disproved. */
static int close_findings(struct volume_scanning *s)
{
	struct finding_filter filter = {
		.target = s->target_id,
		.open_only = true,
		.not_seen_by = s->result->run.id,
	};
	struct closing closing = { .s = s };
	int r;

	do {
		closing.count = 0;
		r = state_finding_each(s->state, &filter, decide, &closing);
		for (size_t i = 0; r >= 0 && i < closing.count; i++) {
			int closed = state_finding_close(s->state, closing.batch[i],
							 s->result->run.id, clock_wall_ns(),
							 "verified");
			if (closed)
				r = closed;
		}
	} while (r > 0);
	return r;
}

/* ---- the run ---- */

static int scan_begin(struct volume_scanning *s)
{
	const struct volume_target *target = s->target;
	struct run *run = &s->result->run;
	char key[VOLUME_KEY_SIZE];

	/* The superblock in use may know what the primary one does not tell. */
	if (target->is_raw)
		memcpy(key, target->key, sizeof(key));
	else
		volume_key(s->view.info.uuid, key);
	/* Such a run is a part, and makes nothing younger. */
	(void)snprintf(run->scope, sizeof(run->scope), "%s%s%s",
		       s->options->no_baseline ? "no-baseline" : "",
		       s->options->no_baseline && s->options->no_packages ? " " : "",
		       s->options->no_packages ? "no-packages" : "");
	int r = state_target_put(s->state, key, target->name, target->host, "", target->is_named,
				 &s->target_id);
	if (r == 0)
		r = state_target_lock(s->state, s->target_id);
	if (r == -EBUSY)
		return log_error(s->log, r, "%s is being scanned by another process", target->name);
	run->started_ns = clock_wall_ns();
	run->target = s->target_id;
	if (r == 0)
		r = write_begin(s);
	if (r == 0)
		r = state_run_begin(s->state, s->target_id, run->started_ns, run->scope, &run->id);
	int flushed = write_flush(s);
	return r ? r : flushed;
}

/* What makes the view itself doubtful. */
static int check_view(struct volume_scanning *s)
{
	struct ext4_journal_info info;
	int r = 0;

	if (s->view.journal) {
		ext4_journal_get_info(s->view.journal, &info);
		s->result->journal_blocks = info.nr_blocks;
	}
	if (s->view.journal_error)
		r = volume_gap(s, s->target->path,
			       "the journal cannot be read (%s): what is newer there is not seen",
			       strerror(-s->view.journal_error));
	return r;
}

static int scan_work(struct volume_scanning *s)
{
	int r = 0;

	s->meta_whole = s->files_whole = s->target->is_raw;
	if (!s->target->is_raw) {
		r = check_view(s);
		if (r == 0)
			r = volume_begin_blocks(s);
		if (r == 0)
			r = volume_check_metadata(s);
	}
	if (r == 0 && !volume_is_stopped(s))
		r = volume_check_blocks(s);
	if (r == 0 && !volume_is_stopped(s) && !s->target->is_raw && !s->options->no_packages)
		r = volume_check_files(s);
	return r;
}

/* The one place that decides how good a run was. */
static enum run_status run_status(const struct volume_scanning *s, int error)
{
	if (error || volume_is_stopped(s))
		return RUN_INTERRUPTED;
	if ((s->block_canary_planted && !s->block_canary_found) ||
	    s->files_canary == PACKAGES_CANARY_MISSED)
		return RUN_VOID;
	if (s->result->run.gaps || !s->block_canary_planted || !s->blocks_whole || !s->meta_whole)
		return RUN_INCOMPLETE;
	return RUN_COMPLETE;
}

static int scan_end(struct volume_scanning *s, int error)
{
	struct run *run = &s->result->run;

	if (error == 0 && !s->block_canary_planted && !volume_is_stopped(s))
		error = volume_gap(s, s->target->path, "no block could be read: nothing was verified");
	run->status = run_status(s, error);
	if (run->status == RUN_VOID)
		log_warning(s->log, "%s: a planted fault was not found: this run is void",
			    s->target->name);
	int r = error ? error : write_begin(s);
	if (r == 0 && (run->status == RUN_COMPLETE || run->status == RUN_INCOMPLETE))
		r = close_findings(s);
	if (r)
		run->status = RUN_INTERRUPTED;
	run->ended_ns = clock_wall_ns();
	int updated = run->id ? state_run_update(s->state, run) : 0;
	int flushed = write_flush(s);
	return r ? r : updated ? updated : flushed;
}

static void scan_fini(struct volume_scanning *s)
{
	packages_free(s->packages);
	baseline_close(s->before);
	baseline_writer_free(s->after);
	volume_view_close(&s->view);
	free(s->problems);
	for (size_t i = 0; i < s->nr_suspect_files; i++)
		free(s->suspect_files[i].package);
	free(s->suspect_files);
	free(s->changed);
	free(s->bad);
}

int scan_volume(struct state *state, const struct volume_target *target,
		const struct volume_scan_options *options, const struct scan_events *events,
		const struct log *log, struct volume_scan_result *ret_result)
{
	struct volume_scanning s = {
		.state = state,
		.target = target,
		.options = options,
		.events = events,
		.log = log,
		.result = ret_result,
		.started_mono_ns = clock_mono_ns(),
		.view = VOLUME_VIEW_NULL,
		.last_bad_block = UINT64_MAX,
	};

	*ret_result = (struct volume_scan_result){ .fingerprints = FINGERPRINT_SUMMARY_NULL };
	if (target->dev == 0 ||
	    dev_find_disk(target->dev, s.disk, sizeof(s.disk), &s.start)) {
		(void)snprintf(s.disk, sizeof(s.disk), "%s", target->path);
		s.start = 0;
	}
	int r = volume_sync(&s);
	if (r)
		r = log_error(log, r, "%s: cannot be brought to the disk: %s", target->mount,
			      strerror(-r));
	if (r == 0 && !target->is_raw) {
		r = volume_view_open(&s.view, target->path);
		if (r)
			r = log_error(log, r, "%s: the filesystem cannot be opened: %s",
				      target->path,
				      r == -EBADMSG ? "no good superblock was found"
						    : strerror(-r));
	}
	if (r == 0)
		r = scan_begin(&s);
	if (r == 0) {
		r = scan_work(&s);
		r = scan_end(&s, r);
	}
	scan_fini(&s);
	return r;
}

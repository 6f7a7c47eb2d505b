/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The copies of the configuration are matched with the targets of state by their configdirectory,
 * as scan and gate do: a name alone could promise what was verified somewhere else.
 */
#include "service/status.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "verify/target.h"
#include "verify/volume_scan.h"

const char *copy_verdict_name(enum copy_verdict verdict)
{
	static const char *const names[COPY_VERDICT_COUNT_] = {
		[COPY_OK] = "ok",
		[COPY_UNKNOWN] = "unknown",
		[COPY_STALE] = "stale",
		[COPY_FINDINGS] = "findings",
	};

	return verdict < COPY_VERDICT_COUNT_ ? names[verdict] : NULL;
}

const char *copy_scan_name(enum copy_scan scan)
{
	static const char *const names[COPY_SCAN_COUNT_] = {
		[COPY_SCAN_UNKNOWN] = "unknown",
		[COPY_SCAN_NONE] = "none",
		[COPY_SCAN_RUNNING] = "running",
	};

	return scan < COPY_SCAN_COUNT_ ? names[scan] : NULL;
}

static void copy_status_fini(struct copy_status *copy)
{
	free(copy->store);
	free(copy->host);
	for (size_t i = 0; i < COPY_REASONS_MAX; i++)
		buf_fini(&copy->reasons[i]);
	*copy = (struct copy_status){ 0 };
}

void status_fini(struct status *status)
{
	for (size_t i = 0; i < status->nr_copies; i++)
		copy_status_fini(&status->copies[i]);
	free(status->copies);
	*status = (struct status){ 0 };
}

/* ---- selecting ---- */

static bool is_named(const struct copy_status *copy, const char *name)
{
	size_t len = strlen(copy->store);

	return strncmp(name, copy->store, len) == 0 &&
	       (name[len] == '\0' || (name[len] == '@' && strcmp(name + len + 1, copy->host) == 0));
}

static void keep_if(struct status *status, bool (*is_wanted)(const struct copy_status *, void *),
		    void *ctx)
{
	size_t nr_kept = 0;

	for (size_t i = 0; i < status->nr_copies; i++) {
		if (is_wanted(&status->copies[i], ctx))
			status->copies[nr_kept++] = status->copies[i];
		else
			copy_status_fini(&status->copies[i]);
	}
	status->nr_copies = nr_kept;
}

struct wanted {
	char *const *names;
	int nr_names;
};

static bool has_wanted_name(const struct copy_status *copy, void *ctx)
{
	const struct wanted *wanted = ctx;

	for (int i = 0; i < wanted->nr_names; i++)
		if (is_named(copy, wanted->names[i]))
			return true;
	return false;
}

static bool is_configured(const struct copy_status *copy, void *ctx)
{
	(void)ctx;
	return copy->role != ROLE_UNKNOWN || copy->is_volume;
}

const char *status_select(struct status *status, char *const *names, int nr_names,
			  bool configured_only)
{
	struct wanted wanted = { names, nr_names };

	if (configured_only)
		keep_if(status, is_configured, NULL);
	for (int i = 0; i < nr_names; i++) {
		bool is_known = false;
		for (size_t j = 0; j < status->nr_copies; j++)
			is_known |= is_named(&status->copies[j], names[i]);
		if (!is_known)
			return names[i];
	}
	if (nr_names)
		keep_if(status, has_wanted_name, &wanted);
	return NULL;
}

/* ---- judging ---- */

/* Adds a reason; the verdict becomes at least `verdict`. */
static void say(struct copy_status *copy, enum copy_verdict verdict, const char *fmt, ...)
	printf_like(3, 4);

static void say(struct copy_status *copy, enum copy_verdict verdict, const char *fmt, ...)
{
	struct buf text = BUF_NULL;
	char *line = NULL;
	va_list args;

	copy->verdict = max_of(copy->verdict, verdict);
	va_start(args, fmt);
	if (copy->nr_reasons < COPY_REASONS_MAX && vasprintf(&line, fmt, args) >= 0) {
		text_add_printable(&text, span_of_str(line));
		copy->reasons[copy->nr_reasons++] = text;
		free(line);
	}
	va_end(args);
}

static void judge_findings(struct copy_status *copy)
{
	char count[48];

	if (copy->findings)
		say(copy, COPY_FINDINGS, "%s open: assay findings list %s@%s",
		    text_counted(copy->findings, "finding", count, sizeof(count)), copy->store,
		    copy->host);
}

/* They change no verdict. */
static void judge_notices(struct copy_status *copy)
{
	char count[48];

	if (copy->notices)
		say(copy, COPY_OK, "%s, harmless: assay findings list %s@%s",
		    text_counted(copy->notices, "notice", count, sizeof(count)), copy->store,
		    copy->host);
}

static void judge_age(const struct status *status, struct copy_status *copy)
{
	char age[64], max[64];
	int64_t age_ns = status->now_ns - copy->oldest_ns;

	text_duration(age_ns, age, sizeof(age));
	text_duration(status->max_age_ns, max, sizeof(max));
	copy->coverage = COPY_UNKNOWN;
	if (copy->oldest_ns == 0) {
		say(copy, COPY_UNKNOWN, "what was verified, and when, cannot be told: scan it");
	} else if (age_ns < 0) {
		say(copy, COPY_UNKNOWN, "its last scan lies in the future: is the clock right?");
	} else if (age_ns > status->max_age_ns) {
		copy->coverage = COPY_STALE;
		say(copy, COPY_STALE, "oldest byte verified %s ago, more than %s: scan it", age, max);
	} else {
		copy->coverage = COPY_OK;
		copy->is_aging = age_ns > status->aging_ns;
		if (copy->is_aging)
			say(copy, COPY_OK, "stale in %s",
			    text_duration(status->max_age_ns - age_ns, age, sizeof(age)));
	}
}

/* A run that ended by itself and was not complete says that something cannot be checked now,
 * however young the coverage of the one before it is. The gate sees it in the same way. */
static void judge_last_ended(const struct status *status, struct copy_status *copy)
{
	const struct run *run = &copy->last_ended;
	char age[64], gaps[48];

	if (!copy->has_ended || run->status == RUN_COMPLETE)
		return;
	text_duration(status->now_ns - run->ended_ns, age, sizeof(age));
	if (run->status == RUN_VOID)
		say(copy, COPY_UNKNOWN, "last scan, %s ago, void: the planted fault was not noticed",
		    age);
	else
		say(copy, COPY_UNKNOWN, "last scan, %s ago, %s: %s", age,
		    run_status_name(run->status) ? run_status_name(run->status) : "not understood",
		    text_counted(run->gaps, "gap", gaps, sizeof(gaps)));
}

static void judge_scan(const struct status *status, struct copy_status *copy)
{
	const struct run *run = &copy->latest;
	char age[64];

	if (copy->scan == COPY_SCAN_RUNNING)
		say(copy, COPY_OK, "being scanned for %s%s%s%s",
		    text_duration(status->now_ns - run->started_ns, age, sizeof(age)),
		    *run->scope ? " (only: " : "", run->scope, *run->scope ? ")" : "");
	if (copy->scan == COPY_SCAN_RUNNING || !copy->has_run)
		return;
	text_duration(status->now_ns - copy->last.started_ns, age, sizeof(age));
	if (copy->last.status == RUN_RUNNING)
		say(copy, COPY_OK, "the scan begun %s ago was killed", age);
	else if (copy->last.status == RUN_INTERRUPTED)
		say(copy, COPY_OK, "the scan begun %s ago was interrupted", age);
}

void status_judge(const struct status *status, struct copy_status *copy)
{
	char max[64];

	copy->verdict = COPY_OK;
	copy->coverage = COPY_UNKNOWN;
	copy->knows_findings = copy->findings || copy->has_complete;
	if (copy->state_error)
		say(copy, COPY_UNKNOWN, "the state cannot be read: %s", strerror(-copy->state_error));
	else
		judge_findings(copy);
	if (copy->target_error)
		say(copy, COPY_UNKNOWN, "cannot be reached now: %s", strerror(-copy->target_error));
	if (!copy->state_error) {
		if (copy->has_complete)
			judge_age(status, copy);
		else if (copy->has_run)
			say(copy, COPY_UNKNOWN, "no scan was ever complete");
		else
			say(copy, COPY_UNKNOWN, copy->latest.id ? "never scanned as a whole"
								: "never scanned");
		judge_last_ended(status, copy);
		judge_scan(status, copy);
	}
	if (copy->verdict == COPY_OK)
		say(copy, COPY_OK, "verified within %s, nothing open%s%s",
		    text_duration(status->max_age_ns, max, sizeof(max)),
		    copy->notices ? " but notices" : "",
		    copy->last_complete.buffered ? " (partly read through the page cache)" : "");
	judge_notices(copy);
	if (copy->role == ROLE_UNKNOWN && !copy->is_volume)
		say(copy, COPY_OK, "not in the configuration");
	/* Nothing is aging that is not good. */
	copy->is_aging = copy->is_aging && copy->verdict == COPY_OK;
}

/* ---- reading ---- */

/* 0 also when there is no such run, which `has` tells. */
static int run_or_none(int r, bool *ret_has)
{
	*ret_has = r == 0;
	return r == -ENOENT ? 0 : r;
}

/* The latest run of the whole store, and the one that is under way, if one is. */
static int read_latest(struct state *state, struct copy_status *copy)
{
	bool is_under_way = false;
	struct run latest = { 0 };
	int r = run_or_none(state_run_last(state, copy->target, &latest, &is_under_way),
			    &copy->has_run);

	if (r)
		return r;
	copy->scan = is_under_way ? COPY_SCAN_RUNNING : COPY_SCAN_NONE;
	copy->latest = latest;
	copy->last = latest;
	return *latest.scope ? run_or_none(state_run_last_whole(state, copy->target, &copy->last),
					   &copy->has_run)
			     : 0;
}

static int count_findings(struct state *state, struct copy_status *copy)
{
	int r = state_finding_count_open(state, copy->target, ASSAY_SEVERITY_WARNING,
					 &copy->findings);

	if (r == 0)
		r = state_finding_count_notices(state, copy->target, &copy->notices);
	return r;
}

/* Runs first and findings last: a scan that ends meanwhile has then put down what it found. */
static int read_target(struct state *state, struct copy_status *copy)
{
	int64_t target = copy->target;
	int r = run_or_none(state_run_last_ended(state, target, &copy->last_ended), &copy->has_ended);

	if (r == 0)
		r = run_or_none(state_run_last_complete(state, target, &copy->last_complete),
				&copy->has_complete);
	/* Of a volume all is verified by one run. */
	if (r == 0 && copy->has_complete && copy->is_volume) {
		copy->oldest_ns = copy->last_complete.started_ns;
		copy->bytes = copy->last_complete.bytes;
	} else if (r == 0 && copy->has_complete)
		r = state_coverage(state, target, copy->last_complete.id, &copy->oldest_ns,
				   &copy->bytes);
	if (r == 0)
		r = read_latest(state, copy);
	if (r == 0)
		r = count_findings(state, copy);
	return r;
}

/* What was read before an error is not the whole truth: none of it is kept. */
static void copy_read(struct state *state, struct copy_status *copy, int state_error)
{
	int r = state_error;

	copy->scan = COPY_SCAN_NONE;
	if (r == 0 && copy->target)
		r = read_target(state, copy);
	if (r == 0)
		return;
	copy->state_error = r;
	copy->has_run = copy->has_ended = copy->has_complete = false;
	copy->oldest_ns = 0;
	copy->bytes = copy->findings = copy->notices = 0;
	copy->scan = COPY_SCAN_UNKNOWN;
}

static struct copy_status *add_copy(struct status *status, const char *store, const char *host)
{
	struct copy_status *copies =
		reallocarray(status->copies, status->nr_copies + 1, sizeof(*copies));

	if (!copies)
		return NULL;
	status->copies = copies;
	struct copy_status *copy = &copies[status->nr_copies];
	*copy = (struct copy_status){ .store = strdup(store), .host = strdup(host) };
	if (!copy->store || !copy->host) {
		copy_status_fini(copy);
		return NULL;
	}
	status->nr_copies++;
	return copy;
}

/* The targets of state, and which of them a copy of the configuration was matched with. */
struct known {
	struct known_target {
		int64_t id;
		struct buf key;
		char *store;
		char *host;
		bool is_matched;
	} *targets;
	size_t nr;
};

static void known_fini(struct known *known)
{
	for (size_t i = 0; i < known->nr; i++) {
		buf_fini(&known->targets[i].key);
		free(known->targets[i].store);
		free(known->targets[i].host);
	}
	free(known->targets);
	*known = (struct known){ NULL, 0 };
}

static int known_add(const struct target_row *row, void *ctx)
{
	struct known *known = ctx;
	struct known_target *targets =
		reallocarray(known->targets, known->nr + 1, sizeof(*targets));

	if (!targets)
		return -ENOMEM;
	known->targets = targets;
	struct known_target *t = &targets[known->nr++];
	*t = (struct known_target){ row->id, BUF_NULL, strdup(row->store), strdup(row->host), false };
	buf_add_span(&t->key, row->key);
	return t->store && t->host ? buf_error(&t->key) : -ENOMEM;
}

/* By its key; by its names only where the copy cannot be reached, which is then no good verdict. */
static void match(struct known *known, const char *key, struct copy_status *copy)
{
	for (size_t i = 0; i < known->nr; i++) {
		struct known_target *t = &known->targets[i];
		bool is_it = key ? strcmp(buf_str(&t->key), key) == 0
				 : strcmp(t->store, copy->store) == 0 &&
					   strcmp(t->host, copy->host) == 0;
		if (is_it) {
			copy->target = t->id;
			t->is_matched = true;
			return;
		}
	}
}

static int add_configured(struct status *status, const struct conf *conf, struct known *known,
			  const struct log *log)
{
	for (size_t i = 0; i < conf->nr_copies; i++) {
		const struct copy *c = &conf->copies[i];
		struct copy_status *copy = add_copy(status, c->store, c->host);
		struct target target = TARGET_NULL;
		if (!copy)
			return -ENOMEM;
		copy->role = c->role;
		copy->target_error = target_open(&target, c->store, c->host, c->imapd_conf, log);
		match(known, copy->target_error ? NULL : target.key, copy);
		target_fini(&target);
	}
	return 0;
}

static int add_volumes(struct status *status, const struct conf *conf, struct known *known,
		       const struct log *log)
{
	for (size_t i = 0; i < conf->nr_volumes; i++) {
		const struct conf_volume *volume = &conf->volumes[i];
		struct volume_target target;
		int error = volume_target_open_named(&target, conf, volume, log);
		const char *host = error ? conf->host : target.host;
		struct copy_status *copy =
			add_copy(status, volume->name, host ? host : "localhost");
		if (copy) {
			copy->is_volume = true;
			copy->target_error = error;
			match(known, error || !*target.key ? NULL : target.key, copy);
		}
		volume_target_fini(&target);
		if (!copy)
			return -ENOMEM;
	}
	return 0;
}

/* A filesystem that was scanned by hand is watched by nobody. */
static bool is_volume_key(const struct buf *key)
{
	return span_starts_with(buf_span(key), VOLUME_KEY_PREFIX) ||
	       span_starts_with(buf_span(key), VOLUME_RAW_PREFIX);
}

static int add_others(struct status *status, const struct known *known)
{
	for (size_t i = 0; i < known->nr; i++) {
		const struct known_target *t = &known->targets[i];
		if (t->is_matched || is_volume_key(&t->key))
			continue;
		struct copy_status *copy = add_copy(status, t->store, t->host);
		if (!copy)
			return -ENOMEM;
		copy->target = t->id;
	}
	return 0;
}

int status_read(struct status *status, const struct conf *conf, const char *state_dir,
		const struct log *log)
{
	struct known known = { NULL, 0 };
	struct state *state = NULL;
	int r = state_open(state_dir, STATE_READ, log, &state);

	*status = (struct status){
		.max_age_ns = conf->policy.max_scan_age_ns,
		.aging_ns = conf->policy.max_scan_age_ns - conf->policy.max_scan_age_ns / 10,
	};
	if (r == 0)
		r = state_target_each(state, known_add, &known);
	if (r != -ENOENT) /* where nothing was ever scanned there is nothing to read */
		status->state_error = r;
	if (status->state_error)
		known_fini(&known);
	r = add_configured(status, conf, &known, log);
	if (r == 0)
		r = add_volumes(status, conf, &known, log);
	if (r == 0)
		r = add_others(status, &known);
	for (size_t i = 0; r == 0 && i < status->nr_copies; i++)
		copy_read(state, &status->copies[i], status->state_error);
	state_close(state);
	known_fini(&known);
	/* After the last look, so that nothing which ended meanwhile lies in the future. */
	status->now_ns = clock_wall_ns();
	for (size_t i = 0; r == 0 && i < status->nr_copies; i++)
		status_judge(status, &status->copies[i]);
	if (r)
		status_fini(status);
	return r;
}

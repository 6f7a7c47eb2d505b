/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Findings: the first sight is kept as it was, later ones are added, closing is a mark.
 */
#include <errno.h>

#include "state/sql.h"

static int state_sighting(struct state *state, int64_t run, const struct finding *finding)
{
	PREPARE(stmt, state, SQL_SIGHTING, "recording a finding");
	bind_int(stmt, 1, finding->id);
	bind_int(stmt, 2, run);
	bind_int(stmt, 3, finding->last_seen_ns);
	bind_int(stmt, 4, finding->verdict);
	bind_text(stmt, 5, finding->observed);
	bind_text(stmt, 6, finding->detail);
	return state_execute(state, stmt, "recording a finding");
}

static int state_finding_new(struct state *state, int64_t run, int64_t seen_ns,
			     struct finding *finding)
{
	PREPARE(stmt, state, SQL_FINDING_NEW, "recording a finding");
	bind_int(stmt, 1, finding->target);
	bind_int(stmt, 2, finding->verdict);
	bind_text(stmt, 3, finding->code);
	bind_span(stmt, 4, finding->mailbox_key);
	bind_span(stmt, 5, finding->mailbox);
	bind_text(stmt, 6, finding->object);
	bind_int(stmt, 7, finding->uid);
	bind_int(stmt, 8, finding->record);
	bind_span(stmt, 9, finding->path);
	bind_text(stmt, 10, finding->recorded);
	bind_text(stmt, 11, finding->observed);
	bind_text(stmt, 12, finding->detail);
	bind_int(stmt, 13, seen_ns);
	bind_int(stmt, 14, run);
	bind_text(stmt, 15, finding->sectors);
	bind_int(stmt, 16, finding->severity);
	return state_query_int(state, stmt, "recording a finding", &finding->id);
}

/* Looks for the open finding of the same object and code; -ENOENT when there is none. It stays as
 * severe as it was, or becomes more so. */
static int state_finding_find(struct state *state, struct finding *finding)
{
	PREPARE(stmt, state, SQL_FINDING_FIND, "looking for a finding");
	bind_int(stmt, 1, finding->target);
	bind_span(stmt, 2, finding->mailbox_key);
	bind_text(stmt, 3, finding->object);
	bind_text(stmt, 4, finding->code);
	int r = state_step_row(state, stmt, "looking for a finding");
	if (r == 0) {
		finding->id = sqlite3_column_int64(stmt, 0);
		finding->first_seen_ns = sqlite3_column_int64(stmt, 1);
		finding->severity = min_of(finding->severity,
					   (enum assay_severity)sqlite3_column_int64(stmt, 2));
	}
	(void)sqlite3_reset(stmt);
	return r;
}

int state_finding_put(struct state *state, int64_t run, int64_t seen_ns, struct finding *finding)
{
	int r = state_finding_find(state, finding);

	finding->last_seen_ns = seen_ns;
	if (r == -ENOENT) {
		finding->first_seen_ns = seen_ns;
		r = state_finding_new(state, run, seen_ns, finding);
	} else if (r == 0) {
		PREPARE(stmt, state, SQL_FINDING_AGAIN, "recording a finding");
		bind_int(stmt, 1, finding->id);
		bind_int(stmt, 2, seen_ns);
		bind_int(stmt, 3, run);
		bind_int(stmt, 4, finding->severity);
		r = state_execute(state, stmt, "recording a finding");
	}
	return r ? r : state_sighting(state, run, finding);
}

int state_finding_close(struct state *state, int64_t id, int64_t run, int64_t now_ns,
			const char *resolution)
{
	PREPARE(stmt, state, SQL_FINDING_CLOSE, "closing a finding");
	bind_int(stmt, 1, id);
	bind_int(stmt, 2, now_ns);
	bind_int(stmt, 3, run);
	bind_text(stmt, 4, resolution);
	return state_execute(state, stmt, "closing a finding");
}

static void finding_from_row(sqlite3_stmt *stmt, struct finding *finding)
{
	int64_t verdict = sqlite3_column_int64(stmt, 2);

	*finding = (struct finding){
		.id = sqlite3_column_int64(stmt, 0),
		.target = sqlite3_column_int64(stmt, 1),
		.verdict = verdict >= 0 && verdict < ASSAY_VERDICT_COUNT_ ? (enum assay_verdict)verdict
									  : ASSAY_UNKNOWN,
		.code = column_text(stmt, 3),
		.store = column_text(stmt, 4),
		.host = column_text(stmt, 5),
		.mailbox_key = column_span(stmt, 6),
		.mailbox = column_span(stmt, 7),
		.object = column_text(stmt, 8),
		.uid = (uint32_t)sqlite3_column_int64(stmt, 9),
		.record = (uint32_t)sqlite3_column_int64(stmt, 10),
		.path = column_span(stmt, 11),
		.recorded = column_text(stmt, 12),
		.observed = column_text(stmt, 13),
		.detail = column_text(stmt, 14),
		.first_seen_ns = sqlite3_column_int64(stmt, 15),
		.last_seen_ns = sqlite3_column_int64(stmt, 16),
		.closed_ns = sqlite3_column_int64(stmt, 17),
		.resolution = column_text(stmt, 18),
		.sectors = column_text(stmt, 19),
		.severity = (enum assay_severity)sqlite3_column_int64(stmt, 20),
	};
}

int state_finding_each(struct state *state, const struct finding_filter *filter,
		       state_finding_fn fn, void *ctx)
{
	struct finding finding;
	int code, r = 0;

	PREPARE(stmt, state, SQL_FINDING_EACH, "reading the findings");
	bind_int(stmt, 1, filter->target);
	bind_int(stmt, 2, filter->id);
	bind_int(stmt, 3, filter->open_only);
	bind_int(stmt, 4, filter->not_seen_by);
	bind_int(stmt, 5, filter->without_notices);
	bind_int(stmt, 6, ASSAY_SEVERITY_NOTICE);
	while (r == 0 && (code = sqlite3_step(stmt)) != SQLITE_DONE) {
		if (code != SQLITE_ROW) {
			r = state_fail(state, "reading the findings");
			break;
		}
		finding_from_row(stmt, &finding);
		r = fn(&finding, ctx);
	}
	(void)sqlite3_reset(stmt);
	return r;
}

int state_finding_each_mailbox(struct state *state, int64_t target, state_doubt_fn fn, void *ctx)
{
	int code, r = 0;

	PREPARE(stmt, state, SQL_FINDING_MAILBOXES, "reading the findings");
	bind_int(stmt, 1, target);
	while (r == 0 && (code = sqlite3_step(stmt)) != SQLITE_DONE)
		r = code == SQLITE_ROW ? fn(column_span(stmt, 0), ctx)
				       : state_fail(state, "reading the findings");
	(void)sqlite3_reset(stmt);
	return r;
}

static int state_finding_count(struct state *state, int64_t target, enum assay_severity from,
			       enum assay_severity to, uint64_t *ret_count)
{
	int64_t count = 0;

	PREPARE(stmt, state, SQL_FINDING_COUNT, "counting the findings");
	bind_int(stmt, 1, target);
	bind_int(stmt, 2, from);
	bind_int(stmt, 3, to);
	int r = state_query_int(state, stmt, "counting the findings", &count);
	*ret_count = (uint64_t)count;
	return r;
}

int state_finding_count_open(struct state *state, int64_t target, enum assay_severity max_severity,
			     uint64_t *ret_count)
{
	return state_finding_count(state, target, ASSAY_SEVERITY_CRITICAL, max_severity, ret_count);
}

int state_finding_count_notices(struct state *state, int64_t target, uint64_t *ret_count)
{
	return state_finding_count(state, target, ASSAY_SEVERITY_NOTICE, ASSAY_SEVERITY_NOTICE,
				   ret_count);
}

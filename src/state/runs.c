/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs: one row a scan, from its beginning to how it ended, and what it could not check.
 */
#include <errno.h>
#include <stdio.h>

#include "state/sql.h"

const char *run_status_name(enum run_status status)
{
	static const char *const names[RUN_STATUS_COUNT_] = {
		[RUN_RUNNING] = "running",
		[RUN_COMPLETE] = "complete",
		[RUN_INCOMPLETE] = "incomplete",
		[RUN_INTERRUPTED] = "interrupted",
		[RUN_VOID] = "void",
	};

	return status < RUN_STATUS_COUNT_ ? names[status] : NULL;
}

int state_run_begin(struct state *state, int64_t target, int64_t started_ns, const char *scope,
		    int64_t *ret_run)
{
	PREPARE(abandon, state, SQL_RUN_ABANDON, "closing an abandoned run");
	bind_int(abandon, 1, target);
	bind_int(abandon, 2, RUN_INTERRUPTED);
	bind_int(abandon, 3, started_ns);
	bind_int(abandon, 4, RUN_RUNNING);
	int r = state_execute(state, abandon, "closing an abandoned run");
	if (r)
		return r;
	PREPARE(stmt, state, SQL_RUN_BEGIN, "beginning a run");
	bind_int(stmt, 1, target);
	bind_int(stmt, 2, RUN_RUNNING);
	bind_int(stmt, 3, started_ns);
	bind_text(stmt, 4, scope);
	return state_query_int(state, stmt, "beginning a run", ret_run);
}

int state_run_update(struct state *state, const struct run *run)
{
	PREPARE(stmt, state, SQL_RUN_UPDATE, "recording the run");
	bind_int(stmt, 1, run->id);
	bind_int(stmt, 2, run->status);
	bind_int(stmt, 3, run->ended_ns);
	bind_u64(stmt, 4, run->mailboxes);
	bind_u64(stmt, 5, run->messages);
	bind_u64(stmt, 6, run->bytes);
	bind_u64(stmt, 7, run->expunged);
	bind_u64(stmt, 8, run->findings);
	bind_u64(stmt, 9, run->in_flight);
	bind_u64(stmt, 10, run->gaps);
	bind_u64(stmt, 11, run->buffered);
	bind_int(stmt, 12, run->round);
	bind_u64(stmt, 13, run->carried);
	bind_u64(stmt, 14, run->notices);
	return state_execute(state, stmt, "recording the run");
}

int state_query_run(struct state *state, sqlite3_stmt *stmt, struct run *ret_run)
{
	int r = state_step_row(state, stmt, "reading a run");

	if (r == 0) {
		int64_t status = sqlite3_column_int64(stmt, 2);
		*ret_run = (struct run){
			.id = sqlite3_column_int64(stmt, 0),
			.target = sqlite3_column_int64(stmt, 1),
			.status = (enum run_status)status,
			.started_ns = sqlite3_column_int64(stmt, 3),
			.ended_ns = sqlite3_column_int64(stmt, 4),
			.mailboxes = column_u64(stmt, 5),
			.messages = column_u64(stmt, 6),
			.bytes = column_u64(stmt, 7),
			.expunged = column_u64(stmt, 8),
			.findings = column_u64(stmt, 9),
			.in_flight = column_u64(stmt, 10),
			.gaps = column_u64(stmt, 11),
			.buffered = column_u64(stmt, 12),
			.round = sqlite3_column_int64(stmt, 13),
			.carried = column_u64(stmt, 14),
			.resumable = sqlite3_column_int64(stmt, 15),
			.notices = column_u64(stmt, 16),
		};
		const char *scope = column_text(stmt, 17);
		(void)snprintf(ret_run->scope, sizeof(ret_run->scope), "%s", scope ? scope : "?");
	}
	(void)sqlite3_reset(stmt);
	return r;
}

int state_run_is_whole(struct state *state, int64_t run, bool *ret_is_whole)
{
	int64_t is_whole = 0;
	int r = 0;

	if (state->known_run != run) {
		PREPARE(stmt, state, SQL_RUN_IS_WHOLE, "reading a run");
		bind_int(stmt, 1, run);
		r = state_query_int(state, stmt, "reading a run", &is_whole);
		state->known_run = r ? 0 : run;
		state->known_is_whole = is_whole;
	}
	*ret_is_whole = r == 0 && state->known_is_whole;
	return r;
}

int state_run_count_ended(struct state *state, uint64_t *ret_count)
{
	int64_t count = 0;

	PREPARE(stmt, state, SQL_RUN_COUNT, "counting the runs");
	bind_int(stmt, 1, RUN_RUNNING);
	bind_int(stmt, 2, RUN_INTERRUPTED);
	int r = state_query_int(state, stmt, "counting the runs", &count);
	*ret_count = (uint64_t)count;
	return r;
}

int state_run_last_ended(struct state *state, int64_t target, struct run *ret_run)
{
	/*
	 * An interrupted run says nothing against an earlier complete one: it only adds findings.
	 */
	PREPARE(stmt, state, SQL_RUN_ENDED, "reading a run");
	bind_int(stmt, 1, target);
	bind_int(stmt, 2, RUN_RUNNING);
	bind_int(stmt, 3, RUN_INTERRUPTED);
	return state_query_run(state, stmt, ret_run);
}

int state_run_last_complete(struct state *state, int64_t target, struct run *ret_run)
{
	PREPARE(stmt, state, SQL_RUN_COMPLETE, "reading a run");
	bind_int(stmt, 1, target);
	bind_int(stmt, 2, RUN_COMPLETE);
	return state_query_run(state, stmt, ret_run);
}

int state_gap_put(struct state *state, int64_t run, struct span mailbox_key, struct span mailbox,
		  struct span path, const char *why)
{
	PREPARE(stmt, state, SQL_GAP_PUT, "recording a gap");
	bind_int(stmt, 1, run);
	bind_span(stmt, 2, mailbox);
	bind_span(stmt, 3, path);
	bind_text(stmt, 4, why);
	bind_span(stmt, 5, mailbox_key);
	return state_execute(state, stmt, "recording a gap");
}

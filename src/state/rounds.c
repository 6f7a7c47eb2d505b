/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rounds: what an interrupted run has verified, so that the next one goes on from there.
 */
#include <errno.h>

#include "state/sql.h"

int state_round_find(struct state *state, int64_t target, int64_t run, struct round *ret_round)
{
	PREPARE(stmt, state, SQL_ROUND_FIND, "looking for an interrupted run");
	bind_int(stmt, 1, target);
	bind_int(stmt, 2, run);
	bind_int(stmt, 3, RUN_INTERRUPTED);
	int r = state_step_row(state, stmt, "looking for an interrupted run");
	if (r == 0)
		*ret_round = (struct round){
			.id = sqlite3_column_int64(stmt, 0),
			.started_ns = sqlite3_column_int64(stmt, 1),
			.last_run = sqlite3_column_int64(stmt, 2),
		};
	(void)sqlite3_reset(stmt);
	return r;
}

int state_run_set_resumable(struct state *state, int64_t run)
{
	PREPARE(stmt, state, SQL_RUN_RESUMABLE, "recording the run");
	bind_int(stmt, 1, run);
	return state_execute(state, stmt, "recording the run");
}

int state_round_each_doubt(struct state *state, int64_t target, int64_t round, state_doubt_fn fn,
			   void *ctx)
{
	int code, r = 0;

	PREPARE(stmt, state, SQL_ROUND_DOUBTS, "reading what is in doubt");
	bind_int(stmt, 1, target);
	bind_int(stmt, 2, round);
	while (r == 0 && (code = sqlite3_step(stmt)) != SQLITE_DONE)
		r = code == SQLITE_ROW ? fn(column_span(stmt, 0), ctx)
				       : state_fail(state, "reading what is in doubt");
	(void)sqlite3_reset(stmt);
	return r;
}

int state_marker_put(struct state *state, int64_t target, struct span volume, int64_t round,
		     const struct marker *marker)
{
	PREPARE(stmt, state, SQL_MARKER_PUT, "recording how far the scan has come");
	bind_int(stmt, 1, target);
	bind_span(stmt, 2, volume);
	bind_int(stmt, 3, round);
	bind_span(stmt, 4, marker->first_key);
	bind_span(stmt, 5, marker->last_key);
	bind_u64(stmt, 6, marker->distance);
	bind_int(stmt, 7, marker->since_ns);
	return state_execute(state, stmt, "recording how far the scan has come");
}

int state_marker_get(struct state *state, int64_t target, struct span volume, int64_t round,
		     struct marker *ret_marker)
{
	PREPARE(stmt, state, SQL_MARKER_GET, "reading how far the last scan has come");
	bind_int(stmt, 1, target);
	bind_span(stmt, 2, volume);
	bind_int(stmt, 3, round);
	struct span lent[2];
	int r = state_step_row(state, stmt, "reading how far the last scan has come");
	if (r == 0)
		r = lend_columns(&state->lent, stmt, array_size(lent), lent);
	if (r == 0)
		*ret_marker = (struct marker){
			.first_key = lent[0],
			.last_key = lent[1],
			.distance = column_u64(stmt, 2),
			.since_ns = sqlite3_column_int64(stmt, 3),
		};
	(void)sqlite3_reset(stmt);
	return r;
}

int state_marker_forget(struct state *state, int64_t target)
{
	PREPARE(stmt, state, SQL_MARKER_FORGET, "forgetting how far scans have come");
	bind_int(stmt, 1, target);
	return state_execute(state, stmt, "forgetting how far scans have come");
}

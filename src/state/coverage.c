/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Coverage: one row a mailbox, saying which run listed it last and which verified it last, and
 * when.
 */
#include <errno.h>

#include "state/sql.h"

int state_mailbox_put(struct state *state, int64_t target, int64_t run,
		      const struct mailbox_row *row)
{
	bool is_whole;
	int r = state_run_is_whole(state, run, &is_whole);

	if (r)
		return r;
	PREPARE(stmt, state, SQL_MAILBOX_PUT, "recording a mailbox");
	bind_int(stmt, 1, target);
	bind_span(stmt, 2, row->key);
	bind_span(stmt, 3, row->name);
	bind_span(stmt, 4, row->partition);
	bind_int(stmt, 5, row->legacy_dirs);
	bind_int(stmt, 6, row->has_unique_id);
	bind_int(stmt, 7, run);
	bind_int(stmt, 8, is_whole);
	bind_int(stmt, 9, row->uidvalidity);
	bind_span(stmt, 10, row->acl);
	return state_execute(state, stmt, "recording a mailbox");
}

/* The row of a statement that yields MAILBOX_COLUMNS, its spans lent by `lent`. -ENOENT: none. */
static int state_query_mailbox(struct state *state, sqlite3_stmt *stmt, struct buf *lent,
			       struct mailbox_row *ret_row)
{
	struct span spans[4];
	int r = state_step_row(state, stmt, "reading the mailboxes");

	if (r == 0)
		r = lend_columns(lent, stmt, array_size(spans), spans);
	if (r == 0)
		*ret_row = (struct mailbox_row){
			.key = spans[0],
			.name = spans[1],
			.partition = spans[2],
			.acl = spans[3],
			.legacy_dirs = sqlite3_column_int64(stmt, 4),
			.has_unique_id = sqlite3_column_int64(stmt, 5),
			.verified_run = sqlite3_column_int64(stmt, 6),
			.messages = column_u64(stmt, 7),
			.bytes = column_u64(stmt, 8),
			.uidvalidity = (uint32_t)sqlite3_column_int64(stmt, 9),
		};
	(void)sqlite3_reset(stmt);
	return r;
}

int state_mailbox_next(struct state *state, int64_t target, int64_t run, struct span after,
		       struct mailbox_row *ret_row)
{
	PREPARE(stmt, state, SQL_MAILBOX_NEXT, "reading the mailboxes");
	bind_int(stmt, 1, target);
	bind_int(stmt, 2, run);
	bind_span(stmt, 3, after);
	int r = state_query_mailbox(state, stmt, &state->lent, ret_row);
	return r == -ENOENT ? STATE_END : r;
}

static int state_mailbox_find(struct state *state, enum statement which, int64_t target,
			      int64_t run, struct span what, struct mailbox_row *ret_row)
{
	PREPARE(stmt, state, which, "looking for a mailbox");
	bind_int(stmt, 1, target);
	bind_int(stmt, 2, run);
	bind_span(stmt, 3, what);
	return state_query_mailbox(state, stmt, &state->found, ret_row);
}

int state_mailbox_find_key(struct state *state, int64_t target, int64_t run, struct span key,
			   struct mailbox_row *ret_row)
{
	return state_mailbox_find(state, SQL_MAILBOX_BY_KEY, target, run, key, ret_row);
}

int state_mailbox_find_name(struct state *state, int64_t target, int64_t run, struct span name,
			    struct mailbox_row *ret_row)
{
	return state_mailbox_find(state, SQL_MAILBOX_BY_NAME, target, run, name, ret_row);
}

int state_mailbox_verified(struct state *state, int64_t target, int64_t run, struct span key,
			   int64_t started_ns, uint64_t messages, uint64_t bytes)
{
	bool is_whole;
	int r = state_run_is_whole(state, run, &is_whole);

	if (r)
		return r;
	PREPARE(stmt, state, SQL_MAILBOX_VERIFIED, "recording coverage");
	bind_int(stmt, 1, target);
	bind_int(stmt, 2, run);
	bind_span(stmt, 3, key);
	bind_int(stmt, 4, started_ns);
	bind_u64(stmt, 5, messages);
	bind_u64(stmt, 6, bytes);
	bind_int(stmt, 7, is_whole);
	return state_execute(state, stmt, "recording coverage");
}

int state_mailbox_forget(struct state *state, int64_t target, int64_t run, struct span key)
{
	bool is_whole;
	int r = state_run_is_whole(state, run, &is_whole);

	if (r)
		return r;
	PREPARE(stmt, state, is_whole ? SQL_MAILBOX_FORGET : SQL_MAILBOX_UNLIST,
		"forgetting a mailbox");
	bind_int(stmt, 1, target);
	bind_span(stmt, 2, key);
	return state_execute(state, stmt, "forgetting a mailbox");
}

int state_mailbox_prune(struct state *state, int64_t target, int64_t run)
{
	bool is_whole;
	int r = state_run_is_whole(state, run, &is_whole);

	if (r || !is_whole)
		return r;
	PREPARE(stmt, state, SQL_MAILBOX_PRUNE, "forgetting old mailboxes");
	bind_int(stmt, 1, target);
	bind_int(stmt, 2, run);
	return state_execute(state, stmt, "forgetting old mailboxes");
}

int state_mailbox_was_verified(struct state *state, int64_t target, int64_t run, struct span key,
			       bool *ret_verified, bool *ret_listed)
{
	PREPARE(stmt, state, SQL_MAILBOX_GET, "reading coverage");
	bind_int(stmt, 1, target);
	bind_span(stmt, 2, key);
	bind_int(stmt, 3, run);
	int code = sqlite3_step(stmt);
	int r = code == SQLITE_ROW || code == SQLITE_DONE ? 0 : state_fail(state, "reading coverage");
	*ret_listed = code == SQLITE_ROW && sqlite3_column_int64(stmt, 0);
	*ret_verified = code == SQLITE_ROW && sqlite3_column_int64(stmt, 1);
	(void)sqlite3_reset(stmt);
	return r;
}

int state_coverage(struct state *state, int64_t target, int64_t run, int64_t *ret_oldest_ns,
		   uint64_t *ret_bytes)
{
	PREPARE(stmt, state, SQL_COVERAGE, "reading coverage");
	bind_int(stmt, 1, target);
	bind_int(stmt, 2, run);
	int r = sqlite3_step(stmt) == SQLITE_ROW ? 0 : state_fail(state, "reading coverage");
	if (r == 0) {
		*ret_oldest_ns = sqlite3_column_int64(stmt, 0);
		*ret_bytes = (uint64_t)max_of(sqlite3_column_double(stmt, 1), 0.0);
	}
	(void)sqlite3_reset(stmt);
	return r;
}

int state_mailbox_count_unverified(struct state *state, int64_t target, int64_t run,
				   uint64_t *ret_count)
{
	int64_t count = 0;

	PREPARE(stmt, state, SQL_UNVERIFIED, "reading coverage");
	bind_int(stmt, 1, target);
	bind_int(stmt, 2, run);
	int r = state_query_int(state, stmt, "reading coverage", &count);
	*ret_count = (uint64_t)count;
	return r;
}

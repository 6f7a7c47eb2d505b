/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of state/ share: the open database, its statements, and helpers to bind and read.
 * Each statement is written once, in statements.c, prepared when first used and kept. Internal to
 * state/, the only folder that knows SQLite.
 */
#ifndef STATE_SQL_H
#define STATE_SQL_H

#include <sqlite3.h>

#include "base/buf.h"
#include "state/state.h"

enum statement {
	SQL_BEGIN,
	SQL_COMMIT,
	SQL_TARGET_PUT,
	SQL_TARGET_NAMED,
	SQL_TARGET_FIND,
	SQL_RUN_ABANDON,
	SQL_RUN_BEGIN,
	SQL_RUN_UPDATE,
	SQL_RUN_COUNT,
	SQL_RUN_ENDED,
	SQL_RUN_COMPLETE,
	SQL_MAILBOX_PUT,
	SQL_MAILBOX_NEXT,
	SQL_MAILBOX_BY_KEY,
	SQL_MAILBOX_BY_NAME,
	SQL_MAILBOX_VERIFIED,
	SQL_MAILBOX_FORGET,
	SQL_MAILBOX_UNLIST,
	SQL_MAILBOX_PRUNE,
	SQL_MAILBOX_GET,
	SQL_COVERAGE,
	SQL_UNVERIFIED,
	SQL_FINDING_FIND,
	SQL_FINDING_NEW,
	SQL_FINDING_AGAIN,
	SQL_SIGHTING,
	SQL_FINDING_CLOSE,
	SQL_FINDING_EACH,
	SQL_FINDING_COUNT,
	SQL_FINDING_MAILBOXES,
	SQL_GAP_PUT,
	SQL_TARGET_EACH,
	SQL_RUN_LAST,
	SQL_RUN_LAST_WHOLE,
	SQL_RUN_IS_WHOLE,
	SQL_ROUND_FIND,
	SQL_RUN_RESUMABLE,
	SQL_ROUND_DOUBTS,
	SQL_MARKER_PUT,
	SQL_MARKER_GET,
	SQL_MARKER_FORGET,
	SQL_COUNT_,
};

/* The text of each statement. */
extern const char *const sql[SQL_COUNT_];

struct state {
	sqlite3 *db;
	sqlite3_stmt *statements[SQL_COUNT_];
	const struct log *log;
	char *dir;
	struct buf lent; /* what the spans of the last row that was lent to a caller hold */
	struct buf found; /* the same, of the last mailbox that was looked for */
	int64_t known_run; /* of which it is known whether it is of the whole store; 0: none */
	bool known_is_whole;
	int lock_fd; /* of the target being scanned, or -1 */
};

/* Turns SQLite's last error into a negative errno and says it, with what was being done. */
int state_fail(struct state *state, const char *doing) must_check;

/* The statement, reset and ready to bind; NULL when it cannot be prepared. */
sqlite3_stmt *state_prepare(struct state *state, enum statement which);

/* Declares `stmt`, ready to bind, or returns from the caller with the error. */
#define PREPARE(stmt, state, which, doing)                                                         \
	sqlite3_stmt *stmt = state_prepare(state, which);                                          \
	if (!stmt)                                                                                 \
	return state_fail(state, doing)

/* Runs a statement that yields no row. */
int state_execute(struct state *state, sqlite3_stmt *stmt, const char *doing) must_check;

/* Runs a statement that yields at most one row with one integer in front. -ENOENT: no row. */
int state_query_int(struct state *state, sqlite3_stmt *stmt, const char *doing,
		    int64_t *ret_value) must_check;

/* Steps a statement that yields at most one row. 0: there is one; -ENOENT: none. */
int state_step_row(struct state *state, sqlite3_stmt *stmt, const char *doing) must_check;

/* Reads the row of a statement that yields RUN_COLUMNS. -ENOENT: none. */
int state_query_run(struct state *state, sqlite3_stmt *stmt, struct run *ret_run) must_check;

/* Whether a run is of the whole store, which it is for ever. -ENOENT: there is no such run. */
int state_run_is_whole(struct state *state, int64_t run, bool *ret_is_whole) must_check;

/* Binding fails for lack of memory only, which the step then reports. */
void bind_int(sqlite3_stmt *stmt, int column, int64_t value);
void bind_u64(sqlite3_stmt *stmt, int column, uint64_t value);
void bind_text(sqlite3_stmt *stmt, int column, const char *text); /* NULL binds NULL */
void bind_span(sqlite3_stmt *stmt, int column, struct span s);

/* Columns of the current row; borrowed until the next step. */
struct span column_span(sqlite3_stmt *stmt, int column);
/*
 * Lends columns to the caller until the next call: the statement can be reset, which it must be,
 * since one that is not keeps its view of the database, and from an old one nothing can be written.
 * `lent` is the buffer of the state that holds them. Fills ret_spans[i] with column i. -ENOMEM.
 */
int lend_columns(struct buf *lent, sqlite3_stmt *stmt, unsigned count,
		 struct span *ret_spans) must_check;

const char *column_text(sqlite3_stmt *stmt, int column);
uint64_t column_u64(sqlite3_stmt *stmt, int column);

#endif

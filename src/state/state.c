/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The state database: opening it, its transactions, the targets, and the helpers that every
 * operation is made of.
 */
#include "state/state.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "state/schema.h"
#include "state/sql.h"

#define BUSY_TIMEOUT_MS 60000 /* others write for half a second at a time */

/* Turns SQLite's word into ours and says it, with what was being done. */
int state_fail(struct state *state, const char *doing)
{
	int code = state->db ? sqlite3_errcode(state->db) & 0xff : SQLITE_NOMEM;
	int r = code == SQLITE_BUSY || code == SQLITE_LOCKED	? -EBUSY
		: code == SQLITE_CORRUPT || code == SQLITE_NOTADB ? -EBADMSG
		: code == SQLITE_NOMEM				  ? -ENOMEM
		: code == SQLITE_FULL				  ? -ENOSPC
		: code == SQLITE_READONLY || code == SQLITE_PERM  ? -EROFS
								  : -EIO;

	return log_error(state->log, r, "%s/state.db: %s: %s", state->dir, doing,
			 state->db ? sqlite3_errmsg(state->db) : "out of memory");
}

/* The statement, reset and ready to bind; NULL when it cannot be prepared. */
sqlite3_stmt *state_prepare(struct state *state, enum statement which)
{
	sqlite3_stmt **stmt = &state->statements[which];

	if (!*stmt && sqlite3_prepare_v3(state->db, sql[which], -1, SQLITE_PREPARE_PERSISTENT, stmt,
					 NULL) != SQLITE_OK)
		return NULL;
	(void)sqlite3_reset(*stmt);
	(void)sqlite3_clear_bindings(*stmt);
	return *stmt;
}

/* Binding cannot fail but for memory, which the step then reports. */
void bind_int(sqlite3_stmt *stmt, int column, int64_t value)
{
	(void)sqlite3_bind_int64(stmt, column, value);
}

void bind_u64(sqlite3_stmt *stmt, int column, uint64_t value)
{
	bind_int(stmt, column, (int64_t)min_of(value, (uint64_t)INT64_MAX));
}

void bind_text(sqlite3_stmt *stmt, int column, const char *text)
{
	(void)sqlite3_bind_text(stmt, column, text, -1, SQLITE_TRANSIENT);
}

void bind_span(sqlite3_stmt *stmt, int column, struct span s)
{
	(void)sqlite3_bind_blob64(stmt, column, s.len ? (const void *)s.data : "", s.len,
				  SQLITE_TRANSIENT);
}

struct span column_span(sqlite3_stmt *stmt, int column)
{
	const void *data = sqlite3_column_blob(stmt, column);

	return span_of(data, (uint64_t)sqlite3_column_bytes(stmt, column));
}

int lend_columns(struct buf *lent, sqlite3_stmt *stmt, unsigned count, struct span *ret_spans)
{
	uint64_t off = 0;

	buf_clear(lent);
	for (unsigned i = 0; i < count; i++)
		buf_add_span(lent, column_span(stmt, (int)i));
	if (buf_error(lent))
		return buf_error(lent);
	for (unsigned i = 0; i < count; i++) {
		uint64_t len = (uint64_t)sqlite3_column_bytes(stmt, (int)i);
		ret_spans[i] = span_of(buf_span(lent).data + off, len);
		off += len;
	}
	return 0;
}

const char *column_text(sqlite3_stmt *stmt, int column)
{
	return (const char *)sqlite3_column_text(stmt, column);
}

uint64_t column_u64(sqlite3_stmt *stmt, int column)
{
	return (uint64_t)sqlite3_column_int64(stmt, column);
}

/* Runs a statement that yields no row. */
int state_execute(struct state *state, sqlite3_stmt *stmt, const char *doing)
{
	int r = sqlite3_step(stmt) == SQLITE_DONE ? 0 : state_fail(state, doing);

	(void)sqlite3_reset(stmt);
	return r;
}

int state_step_row(struct state *state, sqlite3_stmt *stmt, const char *doing)
{
	int code = sqlite3_step(stmt);

	return code == SQLITE_ROW ? 0 : code == SQLITE_DONE ? -ENOENT : state_fail(state, doing);
}

int state_query_int(struct state *state, sqlite3_stmt *stmt, const char *doing,
			   int64_t *ret_value)
{
	int r = state_step_row(state, stmt, doing);

	if (r == 0)
		*ret_value = sqlite3_column_int64(stmt, 0);
	/* A second step lets an INSERT ... RETURNING finish. */
	if (r == 0 && sqlite3_step(stmt) != SQLITE_DONE)
		r = state_fail(state, doing);
	(void)sqlite3_reset(stmt);
	return r;
}

static int state_pragma(struct state *state, const char *text, int64_t *ret_value)
{
	sqlite3_stmt *stmt = NULL;
	int r = 0;

	if (sqlite3_prepare_v2(state->db, text, -1, &stmt, NULL) != SQLITE_OK)
		return state_fail(state, "opening");
	int code = sqlite3_step(stmt);
	if (code == SQLITE_ROW && ret_value)
		*ret_value = sqlite3_column_int64(stmt, 0);
	else if (code != SQLITE_ROW && code != SQLITE_DONE)
		r = state_fail(state, "opening");
	(void)sqlite3_finalize(stmt);
	return r;
}

/* The tables, or what they have more than in version `from`. */
static int state_make_tables(struct state *state, int64_t from)
{
	int code = SQLITE_OK;

	if (from == 0)
		code = sqlite3_exec(state->db, schema_sql, NULL, NULL, NULL);
	for (int64_t v = from; v > 0 && v < SCHEMA_VERSION && code == SQLITE_OK; v++)
		code = sqlite3_exec(state->db, schema_upgrades[v], NULL, NULL, NULL);
	return code == SQLITE_OK ? 0 : state_fail(state, "creating the tables");
}

/* Makes the tables, or brings those of version `from` up to date, in one transaction. */
static int state_make_schema(struct state *state, int64_t from)
{
	char pragmas[128];

	(void)snprintf(pragmas, sizeof(pragmas),
		       "PRAGMA application_id = %d; PRAGMA user_version = %d;",
		       SCHEMA_APPLICATION_ID, SCHEMA_VERSION);
	if (sqlite3_exec(state->db, "BEGIN IMMEDIATE", NULL, NULL, NULL) != SQLITE_OK)
		return state_fail(state, "creating the tables");
	/* Another process may have been faster. */
	int64_t version = 0;
	int r = state_pragma(state, "PRAGMA user_version", &version);
	bool is_ours = r == 0 && version == from;
	if (is_ours)
		r = state_make_tables(state, from);
	if (r == 0 && is_ours && sqlite3_exec(state->db, pragmas, NULL, NULL, NULL) != SQLITE_OK)
		r = state_fail(state, "creating the tables");
	if (r == 0 && sqlite3_exec(state->db, "COMMIT", NULL, NULL, NULL) != SQLITE_OK)
		r = state_fail(state, "creating the tables");
	return r;
}

static int state_check_schema(struct state *state, enum state_access access)
{
	int64_t application = 0, version = 0;
	int r = state_pragma(state, "PRAGMA application_id", &application);

	if (r == 0)
		r = state_pragma(state, "PRAGMA user_version", &version);
	if (r)
		return r;
	if (version == 0 && application == 0)
		return access == STATE_WRITE ? state_make_schema(state, 0) : -ENOENT;
	if (application != SCHEMA_APPLICATION_ID)
		return log_error(state->log, -EBADMSG,
				 "%s/state.db is not a state database of assay: move it away",
				 state->dir);
	if (version > 0 && version < SCHEMA_VERSION && access == STATE_WRITE)
		return state_make_schema(state, version);
	if (version < SCHEMA_VERSION)
		return log_error(state->log, -EPROTONOSUPPORT,
				 "%s/state.db has schema %lld, this assay knows %d: one `assay scan` "
				 "brings it up to date",
				 state->dir, (long long)version, SCHEMA_VERSION);
	if (version != SCHEMA_VERSION)
		return log_error(state->log, -EPROTONOSUPPORT,
				 "%s/state.db has schema %lld, this assay knows %d: use a newer assay",
				 state->dir, (long long)version, SCHEMA_VERSION);
	return 0;
}

static int state_open_database(struct state *state, enum state_access access)
{
	struct buf path = BUF_NULL;
	int flags = access == STATE_WRITE ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE
					  : SQLITE_OPEN_READWRITE;
	int r;

	buf_addf(&path, "%s/state.db", state->dir);
	r = buf_error(&path);
	if (r == 0 && access == STATE_READ && faccessat(AT_FDCWD, buf_str(&path), F_OK, 0))
		r = -errno;
	if (r == 0 && access == STATE_WRITE) {
		/*
		 * Names of mailboxes are nobody else's business; SQLite's side files take this
		 * mode.
		 */
		int fd = open(buf_str(&path), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
		if (fd >= 0)
			(void)close(fd);
		else
			r = log_error(state->log, -errno, "%s: %s", buf_str(&path), strerror(errno));
	}
	if (r == 0 && sqlite3_open_v2(buf_str(&path), &state->db, flags | SQLITE_OPEN_NOMUTEX,
				      NULL) != SQLITE_OK)
		r = state_fail(state, "opening");
	buf_fini(&path);
	if (r)
		return r;
	(void)sqlite3_busy_timeout(state->db, BUSY_TIMEOUT_MS);
	if (access == STATE_WRITE) {
		r = state_pragma(state, "PRAGMA journal_mode = WAL", NULL);
		if (r == 0)
			r = state_pragma(state, "PRAGMA synchronous = FULL", NULL);
	} else {
		r = state_pragma(state, "PRAGMA query_only = 1", NULL);
	}
	return r ? r : state_check_schema(state, access);
}

int state_open(const char *dir, enum state_access access, const struct log *log,
	       struct state **ret_state)
{
	struct state *state = calloc(1, sizeof(*state));
	int r = 0;

	if (!state)
		return -ENOMEM;
	state->log = log;
	state->lock_fd = -1;
	state->dir = strdup(dir);
	if (!state->dir)
		r = -ENOMEM;
	else if (access == STATE_WRITE && mkdir(dir, 0700) && errno != EEXIST)
		r = log_error(log, -errno,
			      "%s: cannot make the state directory: %s (--state DIR chooses another)",
			      dir, strerror(errno));
	if (r == 0)
		r = state_open_database(state, access);
	if (r) {
		state_close(state);
		return r;
	}
	*ret_state = state;
	return 0;
}

void state_close(struct state *state)
{
	if (!state)
		return;
	for (size_t i = 0; i < SQL_COUNT_; i++)
		(void)sqlite3_finalize(state->statements[i]);
	(void)sqlite3_close(state->db);
	if (state->lock_fd >= 0)
		(void)close(state->lock_fd);
	buf_fini(&state->lent);
	buf_fini(&state->found);
	free(state->dir);
	free(state);
}

int state_begin(struct state *state)
{
	PREPARE(stmt, state, SQL_BEGIN, "beginning a transaction");
	return state_execute(state, stmt, "beginning a transaction");
}

int state_commit(struct state *state)
{
	PREPARE(stmt, state, SQL_COMMIT, "committing");
	return state_execute(state, stmt, "committing");
}

int state_target_put(struct state *state, const char *key, const char *store, const char *host,
		     const char *imapd_conf, bool is_named, int64_t *ret_target)
{
	PREPARE(stmt, state, SQL_TARGET_PUT, "recording the target");
	bind_span(stmt, 1, span_of_str(key));
	bind_text(stmt, 2, store);
	bind_text(stmt, 3, host);
	bind_span(stmt, 4, span_of_str(imapd_conf));
	bind_int(stmt, 5, is_named);
	return state_query_int(state, stmt, "recording the target", ret_target);
}

int state_target_find_named(struct state *state, const char *store, const char *host,
			    int64_t *ret_target)
{
	PREPARE(stmt, state, SQL_TARGET_NAMED, "finding the target");
	bind_text(stmt, 1, store);
	bind_text(stmt, 2, host);
	return state_query_int(state, stmt, "finding the target", ret_target);
}

int state_target_find(struct state *state, const char *key, int64_t *ret_target)
{
	PREPARE(stmt, state, SQL_TARGET_FIND, "finding the target");
	bind_span(stmt, 1, span_of_str(key));
	return state_query_int(state, stmt, "finding the target", ret_target);
}

int state_target_lock(struct state *state, int64_t target)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	struct buf path = BUF_NULL;

	if (state->lock_fd >= 0) /* one scan at a time: the one before has ended */
		(void)close(state->lock_fd);
	state->lock_fd = -1;
	buf_addf(&path, "%s/scan-%lld.lock", state->dir, (long long)target);
	int r = buf_error(&path);
	int fd = r ? -1 : open(buf_str(&path), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (r == 0 && fd < 0)
		r = log_error(state->log, -errno, "%s: %s", buf_str(&path), strerror(errno));
	/* Of the kinds of lock this is the one that others can ask about without taking it. */
	if (r == 0 && fcntl(fd, F_OFD_SETLK, &lock)) {
		r = errno == EAGAIN || errno == EACCES ? -EBUSY : -errno;
		(void)close(fd);
	} else if (r == 0) {
		state->lock_fd = fd;
	}
	buf_fini(&path);
	return r;
}

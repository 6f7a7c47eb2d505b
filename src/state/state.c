/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The state database. Each statement is written once, prepared when first used and kept; a small
 * set of helpers binds and reads, so that each operation below is its SQL and its columns.
 */
#include "state/state.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "state/schema.h"

#define BUSY_TIMEOUT_MS 60000 /* others write for half a second at a time */

enum statement {
	SQL_BEGIN,
	SQL_COMMIT,
	SQL_TARGET_PUT,
	SQL_TARGET_NAMED,
	SQL_TARGET_FIND,
	SQL_RUN_ABANDON,
	SQL_RUN_BEGIN,
	SQL_RUN_UPDATE,
	SQL_RUN_ENDED,
	SQL_RUN_COMPLETE,
	SQL_MAILBOX_PUT,
	SQL_MAILBOX_NEXT,
	SQL_MAILBOX_VERIFIED,
	SQL_MAILBOX_FORGET,
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
	SQL_GAP_PUT,
	SQL_COUNT_,
};

#define RUN_COLUMNS                                                                                \
	"id, target, status, started_ns, ended_ns, mailboxes, messages, bytes, expunged, findings,"  \
	" in_flight, gaps, buffered"

static const char *const sql[SQL_COUNT_] = {
	[SQL_BEGIN] = "BEGIN IMMEDIATE",
	[SQL_COMMIT] = "COMMIT",
	[SQL_TARGET_PUT] = "INSERT INTO target(key, store, host, imapd_conf) VALUES(?1, ?2, ?3, ?4)"
			   " ON CONFLICT(key) DO UPDATE SET imapd_conf = ?4,"
			   " store = iif(?5, ?2, store), host = iif(?5, ?3, host) RETURNING id",
	[SQL_TARGET_NAMED] = "SELECT id FROM target WHERE store = ?1 AND (?2 IS NULL OR host = ?2)"
			     " LIMIT 1",
	[SQL_TARGET_FIND] = "SELECT id FROM target WHERE key = ?1",
	[SQL_RUN_ABANDON] = "UPDATE run SET status = ?2, ended_ns = ?3 WHERE target = ?1 AND"
			    " status = ?4",
	[SQL_RUN_BEGIN] = "INSERT INTO run(target, status, started_ns) VALUES(?1, ?2, ?3)"
			  " RETURNING id",
	[SQL_RUN_UPDATE] = "UPDATE run SET status = ?2, ended_ns = ?3, mailboxes = ?4,"
			   " messages = ?5, bytes = ?6, expunged = ?7, findings = ?8,"
			   " in_flight = ?9, gaps = ?10, buffered = ?11 WHERE id = ?1",
	[SQL_RUN_ENDED] = "SELECT " RUN_COLUMNS " FROM run WHERE target = ?1 AND status <> ?2 AND"
			  " status <> ?3 ORDER BY id DESC LIMIT 1",
	[SQL_RUN_COMPLETE] = "SELECT " RUN_COLUMNS " FROM run WHERE target = ?1 AND status = ?2"
			     " ORDER BY id DESC LIMIT 1",
	[SQL_MAILBOX_PUT] =
		"INSERT INTO mailbox(target, key, name, partition, legacy_dirs, has_unique_id,"
		" listed_run) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT(target, key) DO UPDATE"
		" SET name = ?3, partition = ?4, legacy_dirs = ?5, has_unique_id = ?6,"
		" listed_run = ?7",
	[SQL_MAILBOX_NEXT] =
		"SELECT key, name, partition, legacy_dirs, has_unique_id FROM mailbox"
		" WHERE target = ?1 AND key > ?3 AND listed_run = ?2 ORDER BY key LIMIT 1",
	[SQL_MAILBOX_VERIFIED] = "UPDATE mailbox SET verified_ns = ?4, verified_run = ?2,"
				 " messages = ?5, bytes = ?6 WHERE target = ?1 AND key = ?3",
	[SQL_MAILBOX_FORGET] = "DELETE FROM mailbox WHERE target = ?1 AND key = ?2",
	[SQL_MAILBOX_PRUNE] = "DELETE FROM mailbox WHERE target = ?1 AND listed_run <> ?2",
	[SQL_MAILBOX_GET] = "SELECT listed_run, verified_run FROM mailbox WHERE target = ?1 AND"
			    " key = ?2",
	[SQL_COVERAGE] = "SELECT min(verified_ns), total(bytes) FROM mailbox WHERE target = ?1 AND"
			 " verified_run >= ?2",
	[SQL_UNVERIFIED] = "SELECT count(*) FROM mailbox WHERE target = ?1 AND listed_run = ?2 AND"
			   " verified_run <> ?2",
	[SQL_FINDING_FIND] = "SELECT id, first_seen_ns FROM finding WHERE target = ?1 AND"
			     " mailbox_key = ?2 AND object = ?3 AND code = ?4 AND closed_ns = 0",
	[SQL_FINDING_NEW] =
		"INSERT INTO finding(target, verdict, code, mailbox_key, mailbox, object, uid,"
		" record, path, recorded, observed, detail, first_seen_ns, last_seen_ns, first_run,"
		" last_run) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?13,"
		" ?14, ?14) RETURNING id",
	[SQL_FINDING_AGAIN] = "UPDATE finding SET last_seen_ns = ?2, last_run = ?3 WHERE id = ?1",
	[SQL_SIGHTING] = "INSERT INTO sighting(finding, run, seen_ns, verdict, observed, detail)"
			 " VALUES(?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO NOTHING",
	[SQL_FINDING_CLOSE] = "UPDATE finding SET closed_ns = ?2, closed_run = ?3, resolution = ?4"
			      " WHERE id = ?1 AND closed_ns = 0",
	[SQL_FINDING_EACH] =
		"SELECT f.id, f.target, f.verdict, f.code, t.store, t.host, f.mailbox_key,"
		" f.mailbox, f.object, f.uid, f.record, f.path, f.recorded, f.observed, f.detail,"
		" f.first_seen_ns, f.last_seen_ns, f.closed_ns, f.resolution"
		" FROM finding f JOIN target t ON t.id = f.target"
		" WHERE (?1 = 0 OR f.target = ?1) AND (?2 = 0 OR f.id = ?2)"
		" AND (?3 = 0 OR f.closed_ns = 0) AND (?4 = 0 OR f.last_run <> ?4)"
		" ORDER BY f.id",
	[SQL_FINDING_COUNT] = "SELECT count(*) FROM finding WHERE target = ?1 AND closed_ns = 0",
	[SQL_GAP_PUT] = "INSERT INTO gap(run, mailbox, path, why) VALUES(?1, ?2, ?3, ?4)",
};

struct state {
	sqlite3 *db;
	sqlite3_stmt *statements[SQL_COUNT_];
	const struct log *log;
	char *dir;
	int lock_fd; /* of the target being scanned, or -1 */
};

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

/* Turns SQLite's word into ours and says it, with what was being done. */
static int state_fail(struct state *state, const char *doing)
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
static sqlite3_stmt *state_prepare(struct state *state, enum statement which)
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
static void bind_int(sqlite3_stmt *stmt, int column, int64_t value)
{
	(void)sqlite3_bind_int64(stmt, column, value);
}

static void bind_u64(sqlite3_stmt *stmt, int column, uint64_t value)
{
	bind_int(stmt, column, (int64_t)min_of(value, (uint64_t)INT64_MAX));
}

static void bind_text(sqlite3_stmt *stmt, int column, const char *text)
{
	(void)sqlite3_bind_text(stmt, column, text, -1, SQLITE_TRANSIENT);
}

static void bind_span(sqlite3_stmt *stmt, int column, struct span s)
{
	(void)sqlite3_bind_blob64(stmt, column, s.len ? (const void *)s.data : "", s.len,
				  SQLITE_TRANSIENT);
}

static struct span column_span(sqlite3_stmt *stmt, int column)
{
	const void *data = sqlite3_column_blob(stmt, column);

	return span_of(data, (uint64_t)sqlite3_column_bytes(stmt, column));
}

static const char *column_text(sqlite3_stmt *stmt, int column)
{
	return (const char *)sqlite3_column_text(stmt, column);
}

static uint64_t column_u64(sqlite3_stmt *stmt, int column)
{
	return (uint64_t)sqlite3_column_int64(stmt, column);
}

/* Runs a statement that yields no row. */
static int state_execute(struct state *state, sqlite3_stmt *stmt, const char *doing)
{
	int r = sqlite3_step(stmt) == SQLITE_DONE ? 0 : state_fail(state, doing);

	(void)sqlite3_reset(stmt);
	return r;
}

/* Runs a statement that yields at most one row with one integer in front. -ENOENT: no row. */
static int state_query_int(struct state *state, sqlite3_stmt *stmt, const char *doing,
			   int64_t *ret_value)
{
	int code = sqlite3_step(stmt);
	int r = code == SQLITE_ROW ? 0 : code == SQLITE_DONE ? -ENOENT : state_fail(state, doing);

	if (r == 0)
		*ret_value = sqlite3_column_int64(stmt, 0);
	/* A second step lets an INSERT ... RETURNING finish. */
	if (r == 0 && sqlite3_step(stmt) != SQLITE_DONE)
		r = state_fail(state, doing);
	(void)sqlite3_reset(stmt);
	return r;
}

#define PREPARE(stmt, state, which, doing)                                                         \
	sqlite3_stmt *stmt = state_prepare(state, which);                                          \
	if (!stmt)                                                                                 \
	return state_fail(state, doing)

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

static int state_create_schema(struct state *state)
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
	if (r == 0 && version == 0 &&
	    (sqlite3_exec(state->db, schema_sql, NULL, NULL, NULL) != SQLITE_OK ||
	     sqlite3_exec(state->db, pragmas, NULL, NULL, NULL) != SQLITE_OK))
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
		return access == STATE_WRITE ? state_create_schema(state) : -ENOENT;
	if (application != SCHEMA_APPLICATION_ID)
		return log_error(state->log, -EBADMSG,
				 "%s/state.db is not a state database of assay: move it away",
				 state->dir);
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
		/* Names of mailboxes are nobody else's business; SQLite's side files take this mode. */
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
	struct buf path = BUF_NULL;

	if (state->lock_fd >= 0) /* one scan at a time: the one before has ended */
		(void)close(state->lock_fd);
	state->lock_fd = -1;
	buf_addf(&path, "%s/scan-%lld.lock", state->dir, (long long)target);
	int r = buf_error(&path);
	int fd = r ? -1 : open(buf_str(&path), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (r == 0 && fd < 0)
		r = log_error(state->log, -errno, "%s: %s", buf_str(&path), strerror(errno));
	if (r == 0 && flock(fd, LOCK_EX | LOCK_NB)) {
		r = errno == EWOULDBLOCK ? -EBUSY : -errno;
		(void)close(fd);
	} else if (r == 0) {
		state->lock_fd = fd;
	}
	buf_fini(&path);
	return r;
}

int state_run_begin(struct state *state, int64_t target, int64_t started_ns, int64_t *ret_run)
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
	return state_execute(state, stmt, "recording the run");
}

static int state_query_run(struct state *state, sqlite3_stmt *stmt, struct run *ret_run)
{
	int code = sqlite3_step(stmt);
	int r = code == SQLITE_ROW    ? 0
		: code == SQLITE_DONE ? -ENOENT
				      : state_fail(state, "reading a run");

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
		};
	}
	(void)sqlite3_reset(stmt);
	return r;
}

int state_run_last_ended(struct state *state, int64_t target, struct run *ret_run)
{
	/* An interrupted run says nothing against an earlier complete one: it only adds findings. */
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

int state_mailbox_put(struct state *state, int64_t target, int64_t run,
		      const struct mailbox_row *row)
{
	PREPARE(stmt, state, SQL_MAILBOX_PUT, "recording a mailbox");
	bind_int(stmt, 1, target);
	bind_span(stmt, 2, row->key);
	bind_span(stmt, 3, row->name);
	bind_span(stmt, 4, row->partition);
	bind_int(stmt, 5, row->legacy_dirs);
	bind_int(stmt, 6, row->has_unique_id);
	bind_int(stmt, 7, run);
	return state_execute(state, stmt, "recording a mailbox");
}

int state_mailbox_next(struct state *state, int64_t target, int64_t run, struct span after,
		       struct mailbox_row *ret_row)
{
	PREPARE(stmt, state, SQL_MAILBOX_NEXT, "reading the mailboxes");
	bind_int(stmt, 1, target);
	bind_int(stmt, 2, run);
	bind_span(stmt, 3, after);
	int code = sqlite3_step(stmt);
	if (code == SQLITE_ROW) {
		*ret_row = (struct mailbox_row){
			.key = column_span(stmt, 0),
			.name = column_span(stmt, 1),
			.partition = column_span(stmt, 2),
			.legacy_dirs = sqlite3_column_int64(stmt, 3),
			.has_unique_id = sqlite3_column_int64(stmt, 4),
		};
		return 0; /* the spans live until the statement is used again */
	}
	int r = code == SQLITE_DONE ? STATE_END : state_fail(state, "reading the mailboxes");
	(void)sqlite3_reset(stmt);
	return r;
}

int state_mailbox_verified(struct state *state, int64_t target, int64_t run, struct span key,
			   int64_t started_ns, uint64_t messages, uint64_t bytes)
{
	PREPARE(stmt, state, SQL_MAILBOX_VERIFIED, "recording coverage");
	bind_int(stmt, 1, target);
	bind_int(stmt, 2, run);
	bind_span(stmt, 3, key);
	bind_int(stmt, 4, started_ns);
	bind_u64(stmt, 5, messages);
	bind_u64(stmt, 6, bytes);
	return state_execute(state, stmt, "recording coverage");
}

int state_mailbox_forget(struct state *state, int64_t target, struct span key)
{
	PREPARE(stmt, state, SQL_MAILBOX_FORGET, "forgetting a mailbox");
	bind_int(stmt, 1, target);
	bind_span(stmt, 2, key);
	return state_execute(state, stmt, "forgetting a mailbox");
}

int state_mailbox_prune(struct state *state, int64_t target, int64_t run)
{
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
	int code = sqlite3_step(stmt);
	int r = code == SQLITE_ROW || code == SQLITE_DONE ? 0 : state_fail(state, "reading coverage");
	*ret_listed = code == SQLITE_ROW && sqlite3_column_int64(stmt, 0) == run;
	*ret_verified = code == SQLITE_ROW && sqlite3_column_int64(stmt, 1) == run;
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
	return state_query_int(state, stmt, "recording a finding", &finding->id);
}

/* Looks for the open finding of the same object and code; -ENOENT when there is none. */
static int state_finding_find(struct state *state, struct finding *finding)
{
	PREPARE(stmt, state, SQL_FINDING_FIND, "looking for a finding");
	bind_int(stmt, 1, finding->target);
	bind_span(stmt, 2, finding->mailbox_key);
	bind_text(stmt, 3, finding->object);
	bind_text(stmt, 4, finding->code);
	int code = sqlite3_step(stmt);
	int r = code == SQLITE_ROW    ? 0
		: code == SQLITE_DONE ? -ENOENT
				      : state_fail(state, "looking for a finding");
	if (r == 0) {
		finding->id = sqlite3_column_int64(stmt, 0);
		finding->first_seen_ns = sqlite3_column_int64(stmt, 1);
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

int state_finding_count_open(struct state *state, int64_t target, uint64_t *ret_count)
{
	int64_t count = 0;

	PREPARE(stmt, state, SQL_FINDING_COUNT, "counting the findings");
	bind_int(stmt, 1, target);
	int r = state_query_int(state, stmt, "counting the findings", &count);
	*ret_count = (uint64_t)count;
	return r;
}

int state_gap_put(struct state *state, int64_t run, struct span mailbox, struct span path,
		  const char *why)
{
	PREPARE(stmt, state, SQL_GAP_PUT, "recording a gap");
	bind_int(stmt, 1, run);
	bind_span(stmt, 2, mailbox);
	bind_span(stmt, 3, path);
	bind_text(stmt, 4, why);
	return state_execute(state, stmt, "recording a gap");
}

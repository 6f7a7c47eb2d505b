// SPDX-License-Identifier: Apache-2.0
/*
 * Upgrade: state databases of earlier versions, written out here as they were, are brought to the
 * version of today with nothing lost, in one step or not at all, and only by who may write.
 */
#include "suites.h"

#include <CUnit/CUnit.h>
#include <errno.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "state/state.h"
#include "support/room.h"

enum { OPENERS = 4, KILLS = 40, TODAY = 3 };

/* What version 1 made, and in it a complete run and one that was interrupted. */
static const char version_1[] =
	"CREATE TABLE target("
	" id INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE,"
	" store TEXT NOT NULL, host TEXT NOT NULL, imapd_conf BLOB NOT NULL);"
	"CREATE TABLE run("
	" id INTEGER PRIMARY KEY, target INTEGER NOT NULL REFERENCES target(id),"
	" status INTEGER NOT NULL, started_ns INTEGER NOT NULL, ended_ns INTEGER NOT NULL DEFAULT 0,"
	" mailboxes INTEGER NOT NULL DEFAULT 0, messages INTEGER NOT NULL DEFAULT 0,"
	" bytes INTEGER NOT NULL DEFAULT 0, expunged INTEGER NOT NULL DEFAULT 0,"
	" findings INTEGER NOT NULL DEFAULT 0,"
	" in_flight INTEGER NOT NULL DEFAULT 0, gaps INTEGER NOT NULL DEFAULT 0,"
	" buffered INTEGER NOT NULL DEFAULT 0);"
	"CREATE INDEX run_by_target ON run(target, id);"
	"CREATE TABLE mailbox("
	" target INTEGER NOT NULL REFERENCES target(id), key BLOB NOT NULL,"
	" name BLOB NOT NULL, partition BLOB NOT NULL, legacy_dirs INTEGER NOT NULL,"
	" has_unique_id INTEGER NOT NULL, listed_run INTEGER NOT NULL,"
	" verified_ns INTEGER NOT NULL DEFAULT 0, verified_run INTEGER NOT NULL DEFAULT 0,"
	" messages INTEGER NOT NULL DEFAULT 0, bytes INTEGER NOT NULL DEFAULT 0,"
	" PRIMARY KEY(target, key)) WITHOUT ROWID;"
	"CREATE TABLE finding("
	" id INTEGER PRIMARY KEY, target INTEGER NOT NULL REFERENCES target(id),"
	" verdict INTEGER NOT NULL, code TEXT NOT NULL,"
	" mailbox_key BLOB NOT NULL, mailbox BLOB NOT NULL, object TEXT NOT NULL,"
	" uid INTEGER NOT NULL, record INTEGER NOT NULL, path BLOB NOT NULL,"
	" recorded TEXT, observed TEXT, detail TEXT,"
	" first_seen_ns INTEGER NOT NULL, last_seen_ns INTEGER NOT NULL,"
	" first_run INTEGER NOT NULL, last_run INTEGER NOT NULL,"
	" closed_ns INTEGER NOT NULL DEFAULT 0, closed_run INTEGER NOT NULL DEFAULT 0,"
	" resolution TEXT);"
	"CREATE UNIQUE INDEX finding_open ON finding(target, mailbox_key, object, code)"
	" WHERE closed_ns = 0;"
	"CREATE TABLE sighting("
	" finding INTEGER NOT NULL REFERENCES finding(id), run INTEGER NOT NULL,"
	" seen_ns INTEGER NOT NULL, verdict INTEGER NOT NULL, observed TEXT, detail TEXT,"
	" PRIMARY KEY(finding, run)) WITHOUT ROWID;"
	"CREATE TABLE gap("
	" run INTEGER NOT NULL, mailbox BLOB NOT NULL, path BLOB NOT NULL, why TEXT NOT NULL);"
	"CREATE INDEX gap_by_run ON gap(run);"
	"PRAGMA application_id = 1634956153; PRAGMA user_version = 1; PRAGMA journal_mode = WAL;"
	"INSERT INTO target VALUES(1, x'2f636f6e66', 's1', 'h1', x'2f69');" /* /conf, /i */
	"INSERT INTO run VALUES(1, 1, 1, 1000, 1900, 2, 20, 2000, 3, 1, 4, 5, 6);"
	"INSERT INTO run(id, target, status, started_ns, ended_ns) VALUES(2, 1, 3, 3000, 3900);"
	"INSERT INTO mailbox VALUES(1, x'6131', x'75', x'70', 0, 1, 1, 1010, 1, 10, 1000);"
	"INSERT INTO mailbox VALUES(1, x'6132', x'76', x'70', 1, 0, 1, 1020, 1, 10, 1000);"
	"INSERT INTO finding VALUES(7, 1, 2, 'message.digest', x'6131', x'75', 'message:3', 3, 0,"
	" x'2f33', 'aa', 'bb', 'first', 1500, 1500, 1, 1, 0, 0, NULL);"
	"INSERT INTO sighting VALUES(7, 1, 1500, 2, 'bb', 'first');"
	"INSERT INTO finding VALUES(8, 1, 4, 'message.extra', x'6132', x'76', 'message:9', 9, 0,"
	" x'2f39', NULL, NULL, NULL, 1500, 1500, 1, 1, 0, 0, NULL);"
	"INSERT INTO gap VALUES(2, x'75', x'2f33', 'why');";

/* What version 2 made, and in it the same; the second run has a round, a marker and sectors. */
static const char version_2[] =
	"CREATE TABLE target("
	" id INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE,"
	" store TEXT NOT NULL, host TEXT NOT NULL, imapd_conf BLOB NOT NULL);"
	"CREATE TABLE run("
	" id INTEGER PRIMARY KEY, target INTEGER NOT NULL REFERENCES target(id),"
	" status INTEGER NOT NULL, started_ns INTEGER NOT NULL, ended_ns INTEGER NOT NULL DEFAULT 0,"
	" mailboxes INTEGER NOT NULL DEFAULT 0, messages INTEGER NOT NULL DEFAULT 0,"
	" bytes INTEGER NOT NULL DEFAULT 0, expunged INTEGER NOT NULL DEFAULT 0,"
	" findings INTEGER NOT NULL DEFAULT 0,"
	" in_flight INTEGER NOT NULL DEFAULT 0, gaps INTEGER NOT NULL DEFAULT 0,"
	" buffered INTEGER NOT NULL DEFAULT 0, round INTEGER NOT NULL DEFAULT 0,"
	" carried INTEGER NOT NULL DEFAULT 0, resumable INTEGER NOT NULL DEFAULT 0);"
	"CREATE INDEX run_by_target ON run(target, id);"
	"CREATE TABLE mailbox("
	" target INTEGER NOT NULL REFERENCES target(id), key BLOB NOT NULL,"
	" name BLOB NOT NULL, partition BLOB NOT NULL, legacy_dirs INTEGER NOT NULL,"
	" has_unique_id INTEGER NOT NULL, listed_run INTEGER NOT NULL,"
	" verified_ns INTEGER NOT NULL DEFAULT 0, verified_run INTEGER NOT NULL DEFAULT 0,"
	" messages INTEGER NOT NULL DEFAULT 0, bytes INTEGER NOT NULL DEFAULT 0,"
	" PRIMARY KEY(target, key)) WITHOUT ROWID;"
	"CREATE TABLE finding("
	" id INTEGER PRIMARY KEY, target INTEGER NOT NULL REFERENCES target(id),"
	" verdict INTEGER NOT NULL, code TEXT NOT NULL,"
	" mailbox_key BLOB NOT NULL, mailbox BLOB NOT NULL, object TEXT NOT NULL,"
	" uid INTEGER NOT NULL, record INTEGER NOT NULL, path BLOB NOT NULL,"
	" recorded TEXT, observed TEXT, detail TEXT,"
	" first_seen_ns INTEGER NOT NULL, last_seen_ns INTEGER NOT NULL,"
	" first_run INTEGER NOT NULL, last_run INTEGER NOT NULL,"
	" closed_ns INTEGER NOT NULL DEFAULT 0, closed_run INTEGER NOT NULL DEFAULT 0,"
	" resolution TEXT, sectors TEXT);"
	"CREATE UNIQUE INDEX finding_open ON finding(target, mailbox_key, object, code)"
	" WHERE closed_ns = 0;"
	"CREATE TABLE sighting("
	" finding INTEGER NOT NULL REFERENCES finding(id), run INTEGER NOT NULL,"
	" seen_ns INTEGER NOT NULL, verdict INTEGER NOT NULL, observed TEXT, detail TEXT,"
	" PRIMARY KEY(finding, run)) WITHOUT ROWID;"
	"CREATE TABLE gap("
	" run INTEGER NOT NULL, mailbox BLOB NOT NULL, path BLOB NOT NULL, why TEXT NOT NULL,"
	" mailbox_key BLOB NOT NULL DEFAULT x'');"
	"CREATE INDEX gap_by_run ON gap(run);"
	"CREATE TABLE marker("
	" target INTEGER NOT NULL REFERENCES target(id), volume BLOB NOT NULL,"
	" round INTEGER NOT NULL, first_key BLOB NOT NULL, last_key BLOB NOT NULL,"
	" distance INTEGER NOT NULL, since_ns INTEGER NOT NULL,"
	" PRIMARY KEY(target, volume)) WITHOUT ROWID;"
	"PRAGMA application_id = 1634956153; PRAGMA user_version = 2; PRAGMA journal_mode = WAL;"
	"INSERT INTO target VALUES(1, x'2f636f6e66', 's1', 'h1', x'2f69');"
	"INSERT INTO run VALUES(1, 1, 1, 1000, 1900, 2, 20, 2000, 3, 1, 4, 5, 6, 1, 0, 1);"
	"INSERT INTO run(id, target, status, started_ns, ended_ns, round, resumable)"
	" VALUES(2, 1, 3, 3000, 3900, 2, 1);"
	"INSERT INTO mailbox VALUES(1, x'6131', x'75', x'70', 0, 1, 1, 1010, 1, 10, 1000);"
	"INSERT INTO mailbox VALUES(1, x'6132', x'76', x'70', 1, 0, 1, 1020, 1, 10, 1000);"
	"INSERT INTO finding VALUES(7, 1, 2, 'message.digest', x'6131', x'75', 'message:3', 3, 0,"
	" x'2f33', 'aa', 'bb', 'first', 1500, 1500, 1, 1, 0, 0, NULL, 'sda;0 512 8 EIO');"
	"INSERT INTO finding VALUES(8, 1, 4, 'message.extra', x'6132', x'76', 'message:9', 9, 0,"
	" x'2f39', NULL, NULL, NULL, 1500, 1500, 1, 1, 0, 0, NULL, NULL);"
	"INSERT INTO sighting VALUES(7, 1, 1500, 2, 'bb', 'first');"
	"INSERT INTO gap(run, mailbox, path, why) VALUES(2, x'75', x'2f33', 'why');"
	"INSERT INTO marker VALUES(1, x'76', 2, x'61', x'7a', 77, -5);";

static const struct old {
	int version;
	const char *sql;
	int has;		/* of the new columns and tables */
	int64_t round;		/* that can be gone on with; 0: what version 1 found is not known */
} olds[] = {
	{ 1, version_1, 0, 0 },
	{ 2, version_2, 6, 2 },
};

struct room {
	const struct old *old;
	char dir[ROOM_DIR_SIZE];
	char state[300];
	char db[320];
};

static void execute(const struct room *room, const char *sql)
{
	sqlite3 *db = NULL;

	CU_ASSERT_EQUAL_FATAL(sqlite3_open(room->db, &db), SQLITE_OK);
	CU_ASSERT_EQUAL_FATAL(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	(void)sqlite3_close(db);
}

static int64_t number_in(const struct room *room, const char *sql)
{
	sqlite3 *db = NULL;
	sqlite3_stmt *stmt = NULL;
	int64_t value = -1;

	CU_ASSERT_EQUAL_FATAL(sqlite3_open(room->db, &db), SQLITE_OK);
	(void)sqlite3_prepare_v2(db, sql, -1, &stmt, NULL); /* -1 where there is no such column */
	if (stmt && sqlite3_step(stmt) == SQLITE_ROW)
		value = sqlite3_column_int64(stmt, 0);
	(void)sqlite3_finalize(stmt);
	(void)sqlite3_close(db);
	return value;
}

static void room_begin(struct room *room, const struct old *old)
{
	room->old = old;
	CU_ASSERT_EQUAL_FATAL(room_make("upgrade", room->dir), 0);
	(void)snprintf(room->state, sizeof(room->state), "%s/state", room->dir);
	(void)snprintf(room->db, sizeof(room->db), "%s/state.db", room->state);
	CU_ASSERT_EQUAL_FATAL(mkdir(room->state, 0700), 0);
	execute(room, old->sql);
}

static int64_t version_of(const struct room *room)
{
	return number_in(room, "SELECT user_version FROM pragma_user_version");
}

/* How many of the columns and tables that version 1 had not there are. */
static int64_t count_new(const struct room *room)
{
	return number_in(room, "SELECT (SELECT count(*) FROM pragma_table_info('run')"
			       " WHERE name IN ('round', 'carried', 'resumable', 'notices',"
			       " 'scope'))"
			       " + (SELECT count(*) FROM pragma_table_info('finding')"
			       " WHERE name IN ('sectors', 'severity'))"
			       " + (SELECT count(*) FROM pragma_table_info('mailbox')"
			       " WHERE name IN ('uidvalidity', 'acl', 'partial_listed',"
			       " 'partial_verified'))"
			       " + (SELECT count(*) FROM pragma_table_info('gap')"
			       " WHERE name = 'mailbox_key')"
			       " + (SELECT count(*) FROM sqlite_master WHERE name = 'marker')");
}

enum { ALL_THAT_IS_NEW = 13 };

static void say_into(enum log_level level, const char *text, void *ctx)
{
	(void)level;
	(void)snprintf(ctx, 512, "%s", text);
}

struct seen {
	const struct old *old;
	unsigned nr;
};

/* The damaged message first, then the one that is too many. */
static int check_finding(const struct finding *finding, void *ctx)
{
	struct seen *seen = ctx;

	CU_ASSERT_EQUAL(finding->first_seen_ns, 1500);
	CU_ASSERT_EQUAL(finding->closed_ns, 0);
	CU_ASSERT_STRING_EQUAL(finding->store, "s1");
	if (seen->nr++) {
		CU_ASSERT_STRING_EQUAL(finding->code, "message.extra");
		CU_ASSERT_EQUAL(finding->severity, ASSAY_SEVERITY_WARNING);
		return 0;
	}
	CU_ASSERT_EQUAL(finding->id, 7);
	CU_ASSERT_EQUAL(finding->verdict, 2);
	CU_ASSERT_EQUAL(finding->severity, ASSAY_SEVERITY_CRITICAL);
	CU_ASSERT_STRING_EQUAL(finding->code, "message.digest");
	CU_ASSERT_TRUE(span_equals_str(finding->mailbox_key, "a1"));
	CU_ASSERT_TRUE(span_equals_str(finding->path, "/3"));
	CU_ASSERT_STRING_EQUAL(finding->recorded, "aa");
	CU_ASSERT_STRING_EQUAL(finding->detail, "first");
	CU_ASSERT_EQUAL(finding->sectors != NULL, seen->old->version > 1);
	return 0;
}

/* Nothing is lost, and what is new is as if it had always been so. */
static void check_contents(const struct room *room, struct state *state)
{
	struct finding_filter open = { .open_only = true };
	struct seen seen = { .old = room->old };
	struct mailbox_row row;
	struct run run;
	uint64_t bytes;
	int64_t oldest;

	CU_ASSERT_EQUAL(version_of(room), TODAY);
	CU_ASSERT_EQUAL(count_new(room), ALL_THAT_IS_NEW);
	CU_ASSERT_EQUAL(state_finding_each(state, &open, check_finding, &seen), 0);
	CU_ASSERT_EQUAL(seen.nr, 2);
	CU_ASSERT_EQUAL(state_run_last_complete(state, 1, &run), 0);
	CU_ASSERT_EQUAL(run.id, 1);
	CU_ASSERT_EQUAL(run.round, 1); /* every run of version 1 is its own round */
	CU_ASSERT_TRUE(run.carried == 0 && run.notices == 0);
	CU_ASSERT_STRING_EQUAL(run.scope, "");
	CU_ASSERT_TRUE(run.messages == 20 && run.buffered == 6 && run.gaps == 5);
	CU_ASSERT_EQUAL(state_coverage(state, 1, 1, &oldest, &bytes), 0);
	CU_ASSERT_EQUAL(oldest, 1010);
	CU_ASSERT_EQUAL(bytes, 2000);
	CU_ASSERT_EQUAL(state_mailbox_find_name(state, 1, 1, span_of_str("v"), &row), 0);
	CU_ASSERT_TRUE(span_equals_str(row.key, "a2") && row.legacy_dirs);
	CU_ASSERT_TRUE(row.uidvalidity == 0 && row.acl.len == 0);
	CU_ASSERT_EQUAL(number_in(room, "SELECT count(*) FROM sighting WHERE seen_ns = 1500"), 1);
	CU_ASSERT_EQUAL(number_in(room, "SELECT count(*) FROM gap WHERE mailbox_key = x''"), 1);
	CU_ASSERT_EQUAL(number_in(room, "SELECT count(*) FROM marker WHERE distance = 77"),
			room->old->version > 1);
}

static void loses_nothing_when_it_is_opened_for_writing(void)
{
	for (size_t i = 0; i < array_size(olds); i++) {
		struct state *state = NULL;
		struct round round = { 0 };
		struct room room;
		int64_t run;
		room_begin(&room, &olds[i]);
		CU_ASSERT_EQUAL(count_new(&room), olds[i].has);
		CU_ASSERT_EQUAL_FATAL(state_open(room.state, STATE_WRITE, NULL, &state), 0);
		check_contents(&room, state);
		CU_ASSERT_EQUAL(state_run_begin(state, 1, 5000, "", &run), 0);
		CU_ASSERT_EQUAL(run, 3);
		CU_ASSERT_EQUAL(state_round_find(state, 1, run, &round),
				olds[i].round ? 0 : -ENOENT);
		CU_ASSERT_EQUAL(round.id, olds[i].round);
		state_close(state);
		state = NULL;
		CU_ASSERT_EQUAL(state_open(room.state, STATE_READ, NULL, &state), 0);
		state_close(state);
		CU_ASSERT_EQUAL(room_remove(room.dir), 0);
	}
}

/* All columns, indexes and defaults: a table that was changed is as one that was made. */
static void is_what_a_new_one_is(void)
{
	static const char fingerprint[] =
		"SELECT count(*) * 1000000 + sum(length(m.name) * 1000 + length(c.name) +"
		" length(c.type) + length(coalesce(c.dflt_value, '')) + c.pk * 7 + c.\"notnull\" * 3)"
		" FROM sqlite_master m JOIN pragma_table_info(m.name) c";
	struct state *state = NULL;
	struct room fresh;

	CU_ASSERT_EQUAL_FATAL(room_make("upgrade", fresh.dir), 0);
	(void)snprintf(fresh.db, sizeof(fresh.db), "%s/state.db", fresh.dir);
	CU_ASSERT_EQUAL_FATAL(state_open(fresh.dir, STATE_WRITE, NULL, &state), 0);
	state_close(state);
	int64_t wanted = number_in(&fresh, fingerprint);
	CU_ASSERT_TRUE(wanted > 0);
	for (size_t i = 0; i < array_size(olds); i++) {
		struct room room;
		room_begin(&room, &olds[i]);
		CU_ASSERT_NOT_EQUAL(number_in(&room, fingerprint), wanted);
		state = NULL;
		CU_ASSERT_EQUAL_FATAL(state_open(room.state, STATE_WRITE, NULL, &state), 0);
		state_close(state);
		CU_ASSERT_EQUAL(number_in(&room, fingerprint), wanted);
		CU_ASSERT_EQUAL(room_remove(room.dir), 0);
	}
	CU_ASSERT_EQUAL(room_remove(fresh.dir), 0);
}

static void is_refused_for_reading_with_what_to_do(void)
{
	for (size_t i = 0; i < array_size(olds); i++) {
		char said[512] = "", wanted[64];
		struct log log = { .fn = say_into, .ctx = said, .level = LOG_LEVEL_ERROR };
		struct state *state = NULL;
		struct room room;
		room_begin(&room, &olds[i]);
		CU_ASSERT_EQUAL(state_open(room.state, STATE_READ, &log, &state), -EPROTONOSUPPORT);
		CU_ASSERT_PTR_NULL(state);
		(void)snprintf(wanted, sizeof(wanted), "has schema %d, this assay knows %d",
			       olds[i].version, TODAY);
		CU_ASSERT_PTR_NOT_NULL(strstr(said, room.db));
		CU_ASSERT_PTR_NOT_NULL(strstr(said, wanted));
		CU_ASSERT_PTR_NOT_NULL(strstr(said, "one `assay scan` brings it up to date"));
		CU_ASSERT_EQUAL(version_of(&room), olds[i].version);
		CU_ASSERT_EQUAL(count_new(&room), olds[i].has);
		CU_ASSERT_EQUAL(room_remove(room.dir), 0);
	}
}

/* Something stands in the way of the last step: the first ones are undone. */
static void is_upgraded_whole_or_not_at_all(void)
{
	for (size_t i = 0; i < array_size(olds); i++) {
		struct state *state = NULL;
		struct room room;
		room_begin(&room, &olds[i]);
		execute(&room, "CREATE INDEX mailbox_by_name ON gap(why)");
		CU_ASSERT_TRUE(state_open(room.state, STATE_WRITE, NULL, &state) < 0);
		CU_ASSERT_PTR_NULL(state);
		CU_ASSERT_EQUAL(version_of(&room), olds[i].version);
		CU_ASSERT_EQUAL(count_new(&room), olds[i].has);
		execute(&room, "DROP INDEX mailbox_by_name");
		CU_ASSERT_EQUAL_FATAL(state_open(room.state, STATE_WRITE, NULL, &state), 0);
		check_contents(&room, state);
		state_close(state);
		CU_ASSERT_EQUAL(room_remove(room.dir), 0);
	}
}

static pid_t open_in_a_child(const struct room *room)
{
	pid_t child = fork();

	if (child == 0) {
		struct state *state = NULL;
		_exit(state_open(room->state, STATE_WRITE, NULL, &state) ? 1 : 0);
	}
	return child;
}

static void survives_a_kill_at_any_moment(void)
{
	unsigned before[array_size(olds)] = { 0 };

	for (unsigned i = 0; i < KILLS; i++) {
		const struct old *old = &olds[i % array_size(olds)];
		struct state *state = NULL;
		struct room room;
		int status;
		room_begin(&room, old);
		pid_t child = open_in_a_child(&room);
		clock_sleep_ns((int64_t)i / 2 * (NS_PER_MS / 2));
		CU_ASSERT_EQUAL(kill(child, SIGKILL), 0);
		CU_ASSERT_EQUAL(waitpid(child, &status, 0), child);
		int64_t version = version_of(&room);
		CU_ASSERT_TRUE(version == old->version || version == TODAY);
		CU_ASSERT_EQUAL(count_new(&room), version == TODAY ? ALL_THAT_IS_NEW : old->has);
		before[i % array_size(olds)] += version == old->version;
		CU_ASSERT_EQUAL_FATAL(state_open(room.state, STATE_WRITE, NULL, &state), 0);
		check_contents(&room, state);
		state_close(state);
		CU_ASSERT_EQUAL(number_in(&room, "SELECT count(*) FROM pragma_integrity_check"
						 " WHERE integrity_check = 'ok'"),
				1);
		CU_ASSERT_EQUAL(room_remove(room.dir), 0);
	}
	for (size_t i = 0; i < array_size(olds); i++)
		CU_ASSERT_TRUE(before[i] > 0); /* the first one at least is killed in time */
}

static void two_that_open_it_at_once_do_it_once(void)
{
	for (size_t old = 0; old < array_size(olds); old++) {
		pid_t children[OPENERS];
		struct state *state = NULL;
		struct room room;
		int status;
		room_begin(&room, &olds[old]);
		for (unsigned i = 0; i < OPENERS; i++)
			children[i] = open_in_a_child(&room);
		for (unsigned i = 0; i < OPENERS; i++) {
			CU_ASSERT_EQUAL(waitpid(children[i], &status, 0), children[i]);
			CU_ASSERT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
		}
		CU_ASSERT_EQUAL_FATAL(state_open(room.state, STATE_WRITE, NULL, &state), 0);
		check_contents(&room, state);
		state_close(state);
		CU_ASSERT_EQUAL(room_remove(room.dir), 0);
	}
}

static const struct test_case cases[] = {
	CASE(loses_nothing_when_it_is_opened_for_writing),
	CASE(is_what_a_new_one_is),
	CASE(is_refused_for_reading_with_what_to_do),
	CASE(is_upgraded_whole_or_not_at_all),
	CASE(survives_a_kill_at_any_moment),
	CASE(two_that_open_it_at_once_do_it_once),
};

const struct test_suite suite_state_upgrade = { "state/upgrade", cases, array_size(cases) };

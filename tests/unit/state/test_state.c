// SPDX-License-Identifier: Apache-2.0
/*
 * State: what was committed is there after any death, evidence stays as it was first seen, and a
 * database that is not ours is never touched.
 */
#include "suites.h"

#include <CUnit/CUnit.h>
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "state/state.h"
#include "support/room.h"

struct room {
	char dir[ROOM_DIR_SIZE];
	char state[300];
	char db[320];
};

static void room_open(struct room *room)
{
	CU_ASSERT_EQUAL_FATAL(room_make("state", room->dir), 0);
	(void)snprintf(room->state, sizeof(room->state), "%s/state", room->dir);
	(void)snprintf(room->db, sizeof(room->db), "%s/state.db", room->state);
}

static void room_close(const struct room *room)
{
	CU_ASSERT_EQUAL(room_remove(room->dir), 0);
}

static struct state *open_state(const struct room *room, int64_t *ret_target)
{
	struct state *state = NULL;

	CU_ASSERT_EQUAL_FATAL(state_open(room->state, STATE_WRITE, NULL, &state), 0);
	CU_ASSERT_EQUAL(
		state_target_put(state, "/conf", "s1", "h1", "/imapd.conf", true, ret_target), 0);
	return state;
}

static struct finding finding_of(int64_t target, const char *object)
{
	return (struct finding){
		.target = target,
		.verdict = ASSAY_CORRUPT,
		.code = "message.digest",
		.mailbox_key = span_of_str("key1"),
		.mailbox = span_of_str("user.u001"),
		.object = object,
		.uid = 3,
		.path = span_of_str("/spool/3."),
		.recorded = "aa",
		.observed = "bb",
		.detail = "first",
	};
}

/* The one number that `sql` yields, by a connection of its own. */
static int64_t number_in(const struct room *room, const char *sql)
{
	sqlite3 *db = NULL;
	sqlite3_stmt *stmt = NULL;
	int64_t value = -1;

	CU_ASSERT_EQUAL_FATAL(sqlite3_open(room->db, &db), SQLITE_OK);
	CU_ASSERT_EQUAL(sqlite3_prepare_v2(db, sql, -1, &stmt, NULL), SQLITE_OK);
	if (sqlite3_step(stmt) == SQLITE_ROW)
		value = sqlite3_column_int64(stmt, 0);
	(void)sqlite3_finalize(stmt);
	(void)sqlite3_close(db);
	return value;
}

static void execute(const struct room *room, const char *sql)
{
	sqlite3 *db = NULL;

	CU_ASSERT_EQUAL_FATAL(sqlite3_open(room->db, &db), SQLITE_OK);
	CU_ASSERT_EQUAL(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	(void)sqlite3_close(db);
}

/* ---- opening ---- */

static void reading_what_was_never_written_is_enoent(void)
{
	struct state *state = NULL;
	struct stat st;
	struct room room;

	room_open(&room);
	CU_ASSERT_EQUAL(state_open(room.state, STATE_READ, NULL, &state), -ENOENT);
	CU_ASSERT_NOT_EQUAL(access(room.state, F_OK), 0); /* and nothing was made */
	CU_ASSERT_EQUAL(mkdir(room.state, 0700), 0);
	CU_ASSERT_EQUAL(state_open(room.state, STATE_READ, NULL, &state), -ENOENT);
	CU_ASSERT_NOT_EQUAL(access(room.db, F_OK), 0);
	CU_ASSERT_PTR_NULL(state);
	CU_ASSERT_EQUAL(rmdir(room.state), 0);
	CU_ASSERT_EQUAL(state_open(room.state, STATE_WRITE, NULL, &state), 0);
	state_close(state);
	state_close(NULL);
	CU_ASSERT_EQUAL(stat(room.state, &st), 0);
	CU_ASSERT_EQUAL(st.st_mode & 0777, 0700);
	CU_ASSERT_EQUAL(state_open(room.state, STATE_READ, NULL, &state), 0);
	int64_t target;
	CU_ASSERT_EQUAL(state_target_find(state, "/conf", &target), -ENOENT);
	state_close(state);
	CU_ASSERT_EQUAL(state_open("/nowhere/at/all", STATE_WRITE, NULL, &state), -ENOENT);
	room_close(&room);
}

static void refuses_databases_that_are_not_ours(void)
{
	static const struct {
		const char *sql;
		int result;
	} rows[] = {
		{ "CREATE TABLE t(x); PRAGMA application_id = 1; PRAGMA user_version = 1",
		  -EBADMSG },
		{ "CREATE TABLE t(x); PRAGMA user_version = 1", -EBADMSG },
		{ "PRAGMA application_id = 1634956153; PRAGMA user_version = 4", -EPROTONOSUPPORT },
		{ "PRAGMA application_id = 1634956153; PRAGMA user_version = 99",
		  -EPROTONOSUPPORT },
	};

	for (size_t i = 0; i < array_size(rows); i++) {
		for (int access = STATE_READ; access <= STATE_WRITE; access++) {
			struct state *state = NULL;
			struct room room;
			room_open(&room);
			CU_ASSERT_EQUAL(mkdir(room.state, 0700), 0);
			execute(&room, rows[i].sql);
			CU_ASSERT_EQUAL(state_open(room.state, (enum state_access)access, NULL,
						   &state),
					rows[i].result);
			CU_ASSERT_PTR_NULL(state);
			CU_ASSERT_EQUAL(number_in(&room, "SELECT count(*) FROM sqlite_master WHERE "
							 "name = 'finding'"),
					0);
			room_close(&room);
		}
	}
}

static void refuses_a_file_that_is_no_database(void)
{
	struct state *state = NULL;
	struct room room;

	room_open(&room);
	CU_ASSERT_EQUAL(mkdir(room.state, 0700), 0);
	FILE *file = fopen(room.db, "wbe");
	CU_ASSERT_PTR_NOT_NULL_FATAL(file);
	for (unsigned i = 0; i < 5000; i++)
		(void)fputc((int)(i * 7 % 251), file);
	CU_ASSERT_EQUAL(fclose(file), 0);
	CU_ASSERT_EQUAL(state_open(room.state, STATE_READ, NULL, &state), -EBADMSG);
	CU_ASSERT_EQUAL(state_open(room.state, STATE_WRITE, NULL, &state), -EBADMSG);
	CU_ASSERT_PTR_NULL(state);
	room_close(&room);
}

/* ---- runs and coverage ---- */

static void keeps_a_target_by_its_key(void)
{
	struct room room;
	int64_t first, again, other, found;

	room_open(&room);
	struct state *state = open_state(&room, &first);
	CU_ASSERT_EQUAL(state_target_put(state, "/conf", "renamed", "h9", "/x", true, &again), 0);
	CU_ASSERT_EQUAL(again, first);
	CU_ASSERT_EQUAL(state_target_put(state, "/conf2", "s1", "h1", "/imapd.conf", true, &other),
			0);
	CU_ASSERT_NOT_EQUAL(other, first);
	CU_ASSERT_EQUAL(state_target_find(state, "/conf2", &found), 0);
	CU_ASSERT_EQUAL(found, other);
	CU_ASSERT_EQUAL(state_target_find(state, "/con", &found), -ENOENT);
	state_close(state);
	room_close(&room);
}

static void tells_the_last_run_and_the_last_complete_one(void)
{
	static const enum run_status statuses[] = { RUN_COMPLETE, RUN_INCOMPLETE, RUN_VOID };
	struct run run = { 0 }, got;
	struct room room;
	int64_t target, id;

	room_open(&room);
	struct state *state = open_state(&room, &target);
	CU_ASSERT_EQUAL(state_run_last_ended(state, target, &got), -ENOENT);
	CU_ASSERT_EQUAL(state_run_begin(state, target, 100, "", &id), 0);
	CU_ASSERT_EQUAL(state_run_last_ended(state, target, &got), -ENOENT);
	for (size_t i = 0; i < array_size(statuses); i++) {
		CU_ASSERT_EQUAL(state_run_begin(state, target, 1000 + (int64_t)i, "", &run.id), 0);
		run.status = statuses[i];
		run.ended_ns = 2000 + (int64_t)i;
		run.mailboxes = 1;
		run.messages = UINT32_MAX;
		run.bytes = INT64_MAX;
		run.expunged = 4;
		run.findings = 5;
		run.in_flight = 6;
		run.gaps = 7;
		run.buffered = 8;
		CU_ASSERT_EQUAL(state_run_update(state, &run), 0);
		CU_ASSERT_EQUAL(state_run_last_ended(state, target, &got), 0);
		CU_ASSERT_EQUAL(got.id, run.id);
		CU_ASSERT_EQUAL(got.target, target);
		CU_ASSERT_EQUAL(got.status, statuses[i]);
		CU_ASSERT_EQUAL(got.started_ns, 1000 + (int64_t)i);
		CU_ASSERT_EQUAL(got.ended_ns, run.ended_ns);
		CU_ASSERT_TRUE(got.mailboxes == 1 && got.messages == UINT32_MAX &&
			       got.bytes == INT64_MAX && got.expunged == 4 && got.findings == 5 &&
			       got.in_flight == 6 && got.gaps == 7 && got.buffered == 8);
		CU_ASSERT_EQUAL(state_run_last_complete(state, target, &got), 0);
		CU_ASSERT_EQUAL(got.started_ns, 1000);
	}
	/* The very first was left running: the next beginning has closed it. */
	char sql[128];
	(void)snprintf(sql, sizeof(sql), "SELECT status FROM run WHERE id = %" PRId64, id);
	CU_ASSERT_EQUAL(number_in(&room, sql), RUN_INTERRUPTED);
	state_close(state);
	room_close(&room);
}

static void covers_only_what_this_run_listed(void)
{
	struct mailbox_row row = { .partition = span_of_str("default"), .has_unique_id = true };
	bool verified, listed;
	uint64_t bytes;
	int64_t target, run[2], oldest;
	struct room room;

	room_open(&room);
	struct state *state = open_state(&room, &target);
	CU_ASSERT_EQUAL(state_run_begin(state, target, 1, "", &run[0]), 0);
	CU_ASSERT_EQUAL(state_run_begin(state, target, 2, "", &run[1]), 0);
	for (unsigned i = 0; i < 6; i++) {
		char key[8];
		(void)snprintf(key, sizeof(key), "k%u", 5 - i);
		row.key = row.name = span_of_str(key);
		CU_ASSERT_EQUAL(state_mailbox_put(state, target, run[i < 2 ? 0 : 1], &row), 0);
	}
	row.key = span_of_str("k3");
	CU_ASSERT_EQUAL(state_coverage(state, target, run[1], &oldest, &bytes), 0);
	CU_ASSERT_EQUAL(oldest, 0); /* never verified */
	for (unsigned i = 0; i < 4; i++) {
		char key[8];
		(void)snprintf(key, sizeof(key), "k%u", i);
		CU_ASSERT_EQUAL(state_mailbox_verified(state, target, run[1], span_of_str(key),
						       1000 + i, 1, 10),
				0);
	}
	CU_ASSERT_EQUAL(state_coverage(state, target, run[1], &oldest, &bytes), 0);
	CU_ASSERT_EQUAL(oldest, 1000);
	CU_ASSERT_EQUAL(bytes, 40);
	CU_ASSERT_EQUAL(state_mailbox_was_verified(state, target, run[1], span_of_str("k2"),
						   &verified, &listed),
			0);
	CU_ASSERT_TRUE(verified && listed);
	CU_ASSERT_EQUAL(state_mailbox_was_verified(state, target, run[1], span_of_str("k5"),
						   &verified, &listed),
			0);
	CU_ASSERT_FALSE(verified || listed);
	struct span after = SPAN_NULL;
	char last[8] = "";
	for (unsigned i = 0; i < 4; i++) { /* in the order of keys */
		CU_ASSERT_EQUAL_FATAL(state_mailbox_next(state, target, run[1], after, &row), 0);
		CU_ASSERT_EQUAL_FATAL(row.key.len, 2);
		CU_ASSERT_EQUAL(row.key.data[1], '0' + i);
		memcpy(last, row.key.data, 2);
		after = span_of(last, 2);
	}
	CU_ASSERT_EQUAL(state_mailbox_next(state, target, run[1], after, &row), STATE_END);
	CU_ASSERT_EQUAL(state_mailbox_prune(state, target, run[1]), 0);
	CU_ASSERT_EQUAL(number_in(&room, "SELECT count(*) FROM mailbox"), 4);
	CU_ASSERT_EQUAL(state_mailbox_forget(state, target, run[1], span_of_str("k0")), 0);
	CU_ASSERT_EQUAL(state_coverage(state, target, run[1], &oldest, &bytes), 0);
	CU_ASSERT_EQUAL(oldest, 1001);
	/* A later run that is not complete makes nothing younger than the beginning of this one. */
	int64_t later;
	CU_ASSERT_EQUAL(state_run_begin(state, target, 3, "", &later), 0);
	for (unsigned i = 1; i < 4; i++) {
		char key[8];
		(void)snprintf(key, sizeof(key), "k%u", i);
		CU_ASSERT_EQUAL(state_mailbox_verified(state, target, later, span_of_str(key), 9000,
						       1, 10),
				0);
	}
	CU_ASSERT_EQUAL(state_coverage(state, target, run[1], &oldest, &bytes), 0);
	CU_ASSERT_EQUAL(oldest, 2);
	CU_ASSERT_EQUAL(bytes, 30);
	state_close(state);
	room_close(&room);
}

/* ---- findings ---- */

struct walk {
	struct finding last;
	char observed[64], detail[64], resolution[64];
	uint8_t mailbox[300], path[300];
	size_t nr;
	int result;
};

static int on_finding(const struct finding *finding, void *ctx)
{
	struct walk *walk = ctx;

	walk->last = *finding;
	(void)snprintf(walk->observed, sizeof(walk->observed), "%s", finding->observed);
	(void)snprintf(walk->detail, sizeof(walk->detail), "%s", finding->detail);
	(void)snprintf(walk->resolution, sizeof(walk->resolution), "%s",
		       finding->resolution ? finding->resolution : "(none)");
	memcpy(walk->mailbox, finding->mailbox.data, min_of(finding->mailbox.len, (uint64_t)300));
	memcpy(walk->path, finding->path.data, min_of(finding->path.len, (uint64_t)300));
	walk->nr++;
	return walk->result;
}

static struct walk walk_findings(struct state *state, struct finding_filter filter)
{
	struct walk walk = { .nr = 0 };

	CU_ASSERT_EQUAL(state_finding_each(state, &filter, on_finding, &walk), 0);
	return walk;
}

static void a_finding_is_seen_again_closed_and_comes_back_as_another(void)
{
	struct room room;
	int64_t target, runs[4];
	uint64_t open;

	room_open(&room);
	struct state *state = open_state(&room, &target);
	for (size_t i = 0; i < array_size(runs); i++)
		CU_ASSERT_EQUAL(state_run_begin(state, target, (int64_t)i + 1, "", &runs[i]), 0);
	struct finding first = finding_of(target, "message:3");
	CU_ASSERT_EQUAL(state_finding_put(state, runs[0], 1000, &first), 0);
	CU_ASSERT_TRUE(first.id > 0 && first.first_seen_ns == 1000);
	struct finding again = finding_of(target, "message:3");
	again.observed = "cc";
	again.detail = "later";
	CU_ASSERT_EQUAL(state_finding_put(state, runs[1], 2000, &again), 0);
	CU_ASSERT_EQUAL(again.id, first.id);
	CU_ASSERT_EQUAL(again.first_seen_ns, 1000);
	CU_ASSERT_EQUAL(again.last_seen_ns, 2000);

	struct walk walk = walk_findings(state, (struct finding_filter){ .open_only = true });
	CU_ASSERT_EQUAL(walk.nr, 1);
	CU_ASSERT_STRING_EQUAL(walk.observed, "bb"); /* the evidence of the first sight */
	CU_ASSERT_STRING_EQUAL(walk.detail, "first");
	CU_ASSERT_EQUAL(walk.last.first_seen_ns, 1000);
	CU_ASSERT_EQUAL(walk.last.last_seen_ns, 2000);
	CU_ASSERT_EQUAL(walk.last.verdict, ASSAY_CORRUPT);
	CU_ASSERT_EQUAL(number_in(&room, "SELECT count(*) FROM sighting"), 2);
	CU_ASSERT_EQUAL(number_in(&room, "SELECT observed = 'cc' FROM sighting WHERE run = 2"), 1);

	CU_ASSERT_EQUAL(state_finding_close(state, first.id, runs[2], 3000, "verified"), 0);
	CU_ASSERT_EQUAL(state_finding_close(state, first.id, runs[3], 9000, "removed"), 0);
	walk = walk_findings(state, (struct finding_filter){ .id = first.id });
	CU_ASSERT_EQUAL(walk.last.closed_ns, 3000); /* closed once */
	CU_ASSERT_STRING_EQUAL(walk.resolution, "verified");
	CU_ASSERT_EQUAL(state_finding_count_open(state, target, ASSAY_SEVERITY_NOTICE, &open), 0);
	CU_ASSERT_EQUAL(open, 0);

	struct finding back = finding_of(target, "message:3");
	CU_ASSERT_EQUAL(state_finding_put(state, runs[3], 4000, &back), 0);
	CU_ASSERT_NOT_EQUAL(back.id, first.id);
	CU_ASSERT_EQUAL(back.first_seen_ns, 4000);
	CU_ASSERT_EQUAL(walk_findings(state, (struct finding_filter){ 0 }).nr, 2);
	CU_ASSERT_EQUAL(walk_findings(state, (struct finding_filter){ .not_seen_by = runs[3] }).nr,
			1);
	state_close(state);
	room_close(&room);
}

static void tells_findings_apart_by_target_mailbox_object_and_code(void)
{
	struct room room;
	int64_t target, other, run;

	room_open(&room);
	struct state *state = open_state(&room, &target);
	CU_ASSERT_EQUAL(state_target_put(state, "/conf2", "s2", "h2", "/2", true, &other), 0);
	CU_ASSERT_EQUAL(state_run_begin(state, target, 1, "", &run), 0);
	for (unsigned i = 0; i < 32; i++) { /* the upper half puts the lower one again */
		struct finding finding =
			finding_of(i & 1 ? other : target, i & 2 ? "message:3" : "message:4");
		finding.code = i & 4 ? "message.digest" : "message.size";
		finding.mailbox_key = span_of_str(i & 8 ? "key1" : "key2");
		CU_ASSERT_EQUAL(state_finding_put(state, run, 1000 + i, &finding), 0);
		CU_ASSERT_EQUAL(finding.first_seen_ns, 1000 + i % 16);
	}
	CU_ASSERT_EQUAL(walk_findings(state, (struct finding_filter){ 0 }).nr, 16);
	struct walk walk = walk_findings(state, (struct finding_filter){ .target = other });
	CU_ASSERT_EQUAL(walk.nr, 8);
	struct finding_filter all = { 0 };
	struct walk stopped = { .result = 42 };
	CU_ASSERT_EQUAL(state_finding_each(state, &all, on_finding, &stopped), 42);
	CU_ASSERT_EQUAL(stopped.nr, 1);
	state_close(state);
	room_close(&room);
}

static void keeps_names_of_any_bytes(void)
{
	uint8_t bytes[256];
	struct room room;
	int64_t target, run;

	for (unsigned i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)i;
	room_open(&room);
	struct state *state = open_state(&room, &target);
	CU_ASSERT_EQUAL(state_run_begin(state, target, 1, "", &run), 0);
	struct finding finding = finding_of(target, "message:1");
	finding.mailbox_key = finding.mailbox = finding.path = span_of(bytes, sizeof(bytes));
	CU_ASSERT_EQUAL(state_finding_put(state, run, 1, &finding), 0);
	CU_ASSERT_EQUAL(state_gap_put(state, run, finding.mailbox_key, finding.mailbox,
				      finding.path, "why"), 0);
	struct mailbox_row row = { .key = finding.mailbox,
				   .name = finding.mailbox,
				   .partition = finding.mailbox,
				   .legacy_dirs = true };
	CU_ASSERT_EQUAL(state_mailbox_put(state, target, run, &row), 0);
	struct walk walk = walk_findings(state, (struct finding_filter){ 0 });
	CU_ASSERT_EQUAL(walk.last.mailbox.len, sizeof(bytes));
	CU_ASSERT_EQUAL(memcmp(walk.mailbox, bytes, sizeof(bytes)), 0);
	CU_ASSERT_EQUAL(memcmp(walk.path, bytes, sizeof(bytes)), 0);
	CU_ASSERT_EQUAL(state_mailbox_next(state, target, run, SPAN_NULL, &row), 0);
	CU_ASSERT_TRUE(span_equals(row.name, span_of(bytes, sizeof(bytes))));
	CU_ASSERT_TRUE(row.legacy_dirs);
	CU_ASSERT_FALSE(row.has_unique_id);
	state_close(state);
	room_close(&room);
}

static void rolls_back_what_was_not_committed(void)
{
	struct room room;
	int64_t target, run;

	room_open(&room);
	struct state *state = open_state(&room, &target);
	CU_ASSERT_EQUAL(state_run_begin(state, target, 1, "", &run), 0);
	struct finding one = finding_of(target, "message:1"), two = finding_of(target, "message:2");
	CU_ASSERT_EQUAL(state_begin(state), 0);
	CU_ASSERT_EQUAL(state_finding_put(state, run, 1, &one), 0);
	CU_ASSERT_EQUAL(state_commit(state), 0);
	CU_ASSERT_EQUAL(state_begin(state), 0);
	CU_ASSERT_EQUAL(state_finding_put(state, run, 1, &two), 0);
	state_close(state);
	CU_ASSERT_EQUAL(number_in(&room, "SELECT count(*) FROM finding"), 1);
	room_close(&room);
}

static void locks_one_target_for_one_scan(void)
{
	struct state *other = NULL;
	struct room room;
	int64_t target, second;

	room_open(&room);
	struct state *state = open_state(&room, &target);
	CU_ASSERT_EQUAL(state_target_put(state, "/conf2", "s2", "h1", "/2", true, &second), 0);
	CU_ASSERT_EQUAL(state_open(room.state, STATE_WRITE, NULL, &other), 0);
	CU_ASSERT_EQUAL(state_target_lock(state, target), 0);
	CU_ASSERT_EQUAL(state_target_lock(other, target), -EBUSY);
	CU_ASSERT_EQUAL(state_target_lock(state, target), 0); /* one's own is not in the way */
	CU_ASSERT_EQUAL(state_target_lock(other, target), -EBUSY);
	CU_ASSERT_EQUAL(state_target_lock(other, second), 0);
	state_close(state);
	CU_ASSERT_EQUAL(state_target_lock(other, target), 0);
	state_close(other);
	room_close(&room);
}

/* ---- kill -9 ---- */

/* Writes runs and findings for ever; tells each finding whose transaction is committed. */
static void write_for_ever(const char *dir, unsigned round, int told)
{
	struct state *state = NULL;
	int64_t target, run;

	if (state_open(dir, STATE_WRITE, NULL, &state) ||
	    state_target_put(state, "/conf", "s1", "h1", "/imapd.conf", true, &target))
		_exit(1);
	for (uint32_t nr = 0;; nr += 3) {
		bool whole = nr % 2;
		if (state_run_begin(state, target, 1, "", &run) || (whole && state_begin(state)))
			_exit(1);
		for (uint32_t i = nr; i < nr + 3; i++) {
			char object[32];
			(void)snprintf(object, sizeof(object), "message:%u.%u", round, i);
			struct finding finding = finding_of(target, object);
			finding.uid = i;
			if (state_finding_put(state, run, 1000 + (int64_t)i, &finding))
				_exit(1);
		}
		uint32_t committed = nr + 3;
		if ((whole && state_commit(state)) ||
		    write(told, &committed, sizeof(committed)) != sizeof(committed))
			_exit(1);
	}
}

static void committed_findings_survive_a_kill_at_any_moment(void)
{
	enum { ROUNDS = 50 };
	uint64_t random = 42, total = 0;
	struct room room;

	room_open(&room);
	for (unsigned round = 0; round < ROUNDS; round++) {
		uint32_t committed = 0, told;
		int ends[2], status;
		CU_ASSERT_EQUAL_FATAL(pipe(ends), 0);
		pid_t child = fork();
		if (child == 0) {
			(void)close(ends[0]);
			write_for_ever(room.state, round, ends[1]);
		}
		(void)close(ends[1]);
		random = random * UINT64_C(6364136223846793005) + 1442695040888963407;
		clock_sleep_ns((int64_t)(random >> 40) % (30 * NS_PER_MS));
		CU_ASSERT_EQUAL(kill(child, SIGKILL), 0);
		CU_ASSERT_EQUAL(waitpid(child, &status, 0), child);
		CU_ASSERT_TRUE(WIFSIGNALED(status)); /* it did not end by itself, on an error */
		while (read(ends[0], &told, sizeof(told)) == sizeof(told))
			committed = told;
		(void)close(ends[0]);
		total += committed;

		int64_t target;
		struct state *state = open_state(&room, &target);
		CU_ASSERT_EQUAL(number_in(&room, "SELECT count(*) FROM pragma_integrity_check "
						 "WHERE integrity_check <> 'ok'"),
				0);
		char sql[160];
		(void)snprintf(
			sql, sizeof(sql),
			"SELECT count(*) FROM finding WHERE object LIKE 'message:%u.%%' AND uid "
			"< %u AND observed = 'bb' AND first_seen_ns = 1000 + uid",
			round, committed);
		CU_ASSERT_EQUAL(number_in(&room, sql), committed);
		int64_t run;
		CU_ASSERT_EQUAL(state_run_begin(state, target, 1, "", &run), 0);
		(void)snprintf(sql, sizeof(sql), "SELECT count(*) FROM run WHERE status = %d",
			       RUN_RUNNING);
		CU_ASSERT_EQUAL(number_in(&room, sql), 1);
		state_close(state);
	}
	CU_ASSERT_TRUE(total > 0);
	room_close(&room);
}

static void names_every_status(void)
{
	for (int i = 0; i < RUN_STATUS_COUNT_; i++)
		CU_ASSERT_PTR_NOT_NULL(run_status_name((enum run_status)i));
	CU_ASSERT_PTR_NULL(run_status_name(RUN_STATUS_COUNT_));
	CU_ASSERT_STRING_EQUAL(run_status_name(RUN_VOID), "void");
}

static const struct test_case cases[] = {
	CASE(reading_what_was_never_written_is_enoent),
	CASE(refuses_databases_that_are_not_ours),
	CASE(refuses_a_file_that_is_no_database),
	CASE(keeps_a_target_by_its_key),
	CASE(tells_the_last_run_and_the_last_complete_one),
	CASE(covers_only_what_this_run_listed),
	CASE(a_finding_is_seen_again_closed_and_comes_back_as_another),
	CASE(tells_findings_apart_by_target_mailbox_object_and_code),
	CASE(keeps_names_of_any_bytes),
	CASE(rolls_back_what_was_not_committed),
	CASE(locks_one_target_for_one_scan),
	CASE(committed_findings_survive_a_kill_at_any_moment),
	CASE(names_every_status),
};

const struct test_suite suite_state_state = { "state/state", cases, array_size(cases) };

// SPDX-License-Identifier: Apache-2.0
/*
 * What is known now: targets, the latest run of any status, and a scan under way told from one that
 * was killed, without getting into the way of the next.
 */
#include "suites.h"

#include <CUnit/CUnit.h>
#include <errno.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "state/state.h"
#include "support/room.h"

struct room {
	char dir[ROOM_DIR_SIZE];
	char lock[300]; /* of target 1 */
	struct state *state;
	int64_t target;
};

static void room_open(struct room *room)
{
	CU_ASSERT_EQUAL_FATAL(room_make("status", room->dir), 0);
	(void)snprintf(room->lock, sizeof(room->lock), "%s/scan-1.lock", room->dir);
	CU_ASSERT_EQUAL_FATAL(state_open(room->dir, STATE_WRITE, NULL, &room->state), 0);
	CU_ASSERT_EQUAL_FATAL(state_target_put(room->state, "/conf", "s1", "h1", "/imapd.conf",
					       true, &room->target),
			      0);
	CU_ASSERT_EQUAL_FATAL(room->target, 1);
}

static void room_close(struct room *room)
{
	state_close(room->state);
	CU_ASSERT_EQUAL(room_remove(room->dir), 0);
}

static struct state *open_reader(const struct room *room)
{
	struct state *state = NULL;

	CU_ASSERT_EQUAL_FATAL(state_open(room->dir, STATE_READ, NULL, &state), 0);
	return state;
}

static void execute(const struct room *room, const char *sql)
{
	char path[300];
	sqlite3 *db = NULL;

	(void)snprintf(path, sizeof(path), "%s/state.db", room->dir);
	CU_ASSERT_EQUAL_FATAL(sqlite3_open(path, &db), SQLITE_OK);
	CU_ASSERT_EQUAL(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	(void)sqlite3_close(db);
}

/* ---- targets ---- */

struct seen {
	struct state *state;
	char said[256];
	unsigned stop_after;
	unsigned nr;
};

static int see_target(const struct target_row *row, void *ctx)
{
	struct seen *seen = ctx;
	uint64_t open = 77;
	size_t len = strlen(seen->said);

	CU_ASSERT_EQUAL(
		state_finding_count_open(seen->state, row->id, ASSAY_SEVERITY_NOTICE, &open), 0);
	CU_ASSERT_EQUAL(open, 0);
	(void)snprintf(seen->said + len, sizeof(seen->said) - len, "%s@%s=%.*s ", row->store,
		       row->host, (int)row->key.len, (const char *)row->key.data);
	return ++seen->nr == seen->stop_after ? -ECANCELED : 0;
}

static void walks_every_target_in_the_order_of_names(void)
{
	struct room room;
	int64_t id;

	room_open(&room);
	CU_ASSERT_EQUAL(state_target_put(room.state, "/z", "s0", "h2", "/i", true, &id), 0);
	CU_ASSERT_EQUAL(state_target_put(room.state, "/y", "s1", "h0", "/i", true, &id), 0);
	struct seen seen = { .state = room.state };
	CU_ASSERT_EQUAL(state_target_each(room.state, see_target, &seen), 0);
	CU_ASSERT_STRING_EQUAL(seen.said, "s0@h2=/z s1@h0=/y s1@h1=/conf ");
	struct seen first = { .state = room.state, .stop_after = 1 };
	CU_ASSERT_EQUAL(state_target_each(room.state, see_target, &first), -ECANCELED);
	CU_ASSERT_EQUAL(first.nr, 1);
	struct seen again = { .state = room.state };
	CU_ASSERT_EQUAL(state_target_each(room.state, see_target, &again), 0);
	CU_ASSERT_EQUAL(again.nr, 3);
	room_close(&room);
}

static void a_damaged_database_is_an_error_and_no_empty_list(void)
{
	bool is_under_way = true;
	struct room room;
	struct run run;

	room_open(&room);
	execute(&room, "DROP TABLE run");
	struct state *state = open_reader(&room);
	int r = state_run_last(state, room.target, &run, &is_under_way);
	CU_ASSERT_TRUE(r < 0 && r != -ENOENT);
	CU_ASSERT_FALSE(is_under_way);
	execute(&room, "DROP TABLE finding; DROP TABLE mailbox; DROP TABLE target");
	struct seen seen = { .state = state };
	r = state_target_each(state, see_target, &seen);
	CU_ASSERT_TRUE(r < 0 && r != -ENOENT);
	CU_ASSERT_EQUAL(seen.nr, 0);
	state_close(state);
	room_close(&room);
}

/* ---- the latest run ---- */

static void tells_the_latest_run_whatever_its_status(void)
{
	bool is_under_way = true;
	struct room room;
	struct run run = { 0 }, got;

	room_open(&room);
	CU_ASSERT_EQUAL(state_run_last(room.state, room.target, &got, &is_under_way), -ENOENT);
	CU_ASSERT_FALSE(is_under_way);
	for (int status = RUN_COMPLETE; status < RUN_STATUS_COUNT_; status++) {
		CU_ASSERT_EQUAL(
			state_run_begin(room.state, room.target, 100 + status, "", &run.id), 0);
		run.status = (enum run_status)status;
		run.ended_ns = 200 + status;
		run.gaps = (uint64_t)status;
		CU_ASSERT_EQUAL(state_run_update(room.state, &run), 0);
		CU_ASSERT_EQUAL(state_run_last(room.state, room.target, &got, &is_under_way), 0);
		CU_ASSERT_EQUAL(got.id, run.id);
		CU_ASSERT_EQUAL(got.status, run.status);
		CU_ASSERT_EQUAL(got.started_ns, 100 + status);
		CU_ASSERT_EQUAL(got.ended_ns, 200 + status);
		CU_ASSERT_EQUAL(got.gaps, run.gaps);
		CU_ASSERT_FALSE(is_under_way);
	}
	CU_ASSERT_EQUAL(state_run_last(room.state, 99, &got, &is_under_way), -ENOENT);
	room_close(&room);
}

/* The row alone proves nothing, nor does the lock alone. */
static void a_run_is_under_way_while_its_lock_is_held_and_its_status_is_running(void)
{
	bool is_under_way = true;
	struct room room;
	struct run run = { .status = RUN_COMPLETE, .ended_ns = 5 }, got;

	room_open(&room);
	struct state *reader = open_reader(&room);
	CU_ASSERT_EQUAL(state_run_begin(room.state, room.target, 1, "", &run.id), 0);
	CU_ASSERT_EQUAL(state_run_last(reader, room.target, &got, &is_under_way), 0);
	CU_ASSERT_EQUAL(got.status, RUN_RUNNING);
	CU_ASSERT_FALSE(is_under_way);
	CU_ASSERT_EQUAL(state_target_lock(room.state, room.target), 0);
	CU_ASSERT_EQUAL(state_run_last(reader, room.target, &got, &is_under_way), 0);
	CU_ASSERT_EQUAL(got.id, run.id);
	CU_ASSERT_TRUE(is_under_way);
	CU_ASSERT_EQUAL(state_run_update(room.state, &run), 0);
	CU_ASSERT_EQUAL(state_run_last(reader, room.target, &got, &is_under_way), 0);
	CU_ASSERT_EQUAL(got.status, RUN_COMPLETE);
	CU_ASSERT_FALSE(is_under_way);
	state_close(reader);
	room_close(&room);
}

/* The child has the lock and says so, then waits to be killed. */
static void hold_lock_for_ever(const struct room *room, int told)
{
	struct state *state = NULL;
	char ok = '!';

	if (state_open(room->dir, STATE_WRITE, NULL, &state) == 0 &&
	    state_target_lock(state, room->target) == 0)
		(void)!write(told, &ok, 1);
	for (;;)
		(void)pause();
}

static void a_killed_process_holds_no_lock(void)
{
	bool is_under_way = false;
	struct room room;
	struct run got;
	int64_t id;
	int told[2];
	char ok = 0;

	room_open(&room);
	CU_ASSERT_EQUAL(state_run_begin(room.state, room.target, 1, "", &id), 0);
	CU_ASSERT_EQUAL_FATAL(pipe(told), 0);
	pid_t child = fork();
	if (child == 0)
		hold_lock_for_ever(&room, told[1]);
	CU_ASSERT_FATAL(child > 0);
	CU_ASSERT_EQUAL(read(told[0], &ok, 1), 1);
	CU_ASSERT_EQUAL(state_run_last(room.state, room.target, &got, &is_under_way), 0);
	CU_ASSERT_TRUE(is_under_way);
	CU_ASSERT_EQUAL(kill(child, SIGKILL), 0);
	CU_ASSERT_EQUAL(waitpid(child, NULL, 0), child);
	CU_ASSERT_EQUAL(state_run_last(room.state, room.target, &got, &is_under_way), 0);
	CU_ASSERT_EQUAL(got.status, RUN_RUNNING);
	CU_ASSERT_FALSE(is_under_way);
	(void)close(told[0]);
	(void)close(told[1]);
	room_close(&room);
}

/* ---- the lock ---- */

static void asking_about_the_lock_makes_nothing_and_turns_nobody_away(void)
{
	struct state *scanner = NULL;
	bool is_locked = true;
	struct room room;

	room_open(&room);
	struct state *reader = open_reader(&room);
	CU_ASSERT_EQUAL(state_target_is_locked(reader, room.target, &is_locked), 0);
	CU_ASSERT_FALSE(is_locked);
	CU_ASSERT_NOT_EQUAL(access(room.lock, F_OK), 0);
	CU_ASSERT_EQUAL(state_open(room.dir, STATE_WRITE, NULL, &scanner), 0);
	CU_ASSERT_EQUAL(state_target_lock(scanner, room.target), 0);
	for (int i = 0; i < 3; i++) {
		CU_ASSERT_EQUAL(state_target_is_locked(reader, room.target, &is_locked), 0);
		CU_ASSERT_TRUE(is_locked);
	}
	/* One's own counts too, and is not lost by asking. */
	CU_ASSERT_EQUAL(state_target_is_locked(scanner, room.target, &is_locked), 0);
	CU_ASSERT_TRUE(is_locked);
	CU_ASSERT_EQUAL(state_target_lock(room.state, room.target), -EBUSY);
	state_close(scanner);
	CU_ASSERT_EQUAL(access(room.lock, F_OK), 0); /* a leftover file means nothing */
	CU_ASSERT_EQUAL(state_target_is_locked(reader, room.target, &is_locked), 0);
	CU_ASSERT_FALSE(is_locked);
	CU_ASSERT_EQUAL(state_target_lock(room.state, room.target), 0);
	state_close(reader);
	room_close(&room);
}

static void a_lock_that_cannot_be_looked_at_is_an_error(void)
{
	bool is_locked = true, is_under_way = true;
	struct room room;
	struct run got;
	int64_t id;

	room_open(&room);
	CU_ASSERT_EQUAL(state_run_begin(room.state, room.target, 1, "", &id), 0);
	CU_ASSERT_EQUAL(symlink(room.lock, room.lock), 0);
	CU_ASSERT_EQUAL(state_target_is_locked(room.state, room.target, &is_locked), -ELOOP);
	CU_ASSERT_EQUAL(state_run_last(room.state, room.target, &got, &is_under_way), -ELOOP);
	CU_ASSERT_EQUAL(unlink(room.lock), 0);
	room_close(&room);
}

static const struct test_case cases[] = {
	CASE(walks_every_target_in_the_order_of_names),
	CASE(a_damaged_database_is_an_error_and_no_empty_list),
	CASE(tells_the_latest_run_whatever_its_status),
	CASE(a_run_is_under_way_while_its_lock_is_held_and_its_status_is_running),
	CASE(a_killed_process_holds_no_lock),
	CASE(asking_about_the_lock_makes_nothing_and_turns_nobody_away),
	CASE(a_lock_that_cannot_be_looked_at_is_an_error),
};

const struct test_suite suite_state_status = { "state/status", cases, array_size(cases) };

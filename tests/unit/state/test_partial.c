// SPDX-License-Identifier: Apache-2.0
/*
 * Partial runs: whatever a run of a part of the store says, and however it ends, the age of what is
 * verified, the last runs and the round that is gone on with are as if it had not been.
 */
#include "suites.h"

#include <CUnit/CUnit.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/compiler.h"
#include "state/state.h"
#include "support/room.h"

enum { MAILBOXES = 4 };

struct scene {
	char dir[ROOM_DIR_SIZE];
	struct state *state;
	int64_t target;
};

static void scene_begin(struct scene *s)
{
	*s = (struct scene){ .target = 0 };
	CU_ASSERT_EQUAL_FATAL(room_make("partial", s->dir), 0);
	CU_ASSERT_EQUAL_FATAL(state_open(s->dir, STATE_WRITE, NULL, &s->state), 0);
	CU_ASSERT_EQUAL_FATAL(
		state_target_put(s->state, "/conf", "s1", "h1", "/imapd.conf", true, &s->target), 0);
}

static void scene_end(struct scene *s)
{
	state_close(s->state);
	CU_ASSERT_EQUAL(room_remove(s->dir), 0);
}

static struct run begin_run(const struct scene *s, int64_t started_ns, int64_t round,
			    const char *scope)
{
	struct run run = { .target = s->target, .started_ns = started_ns };

	CU_ASSERT_EQUAL_FATAL(state_run_begin(s->state, s->target, started_ns, scope, &run.id), 0);
	run.round = round ? round : run.id;
	CU_ASSERT_EQUAL_FATAL(state_run_update(s->state, &run), 0);
	return run;
}

static void end_run(const struct scene *s, struct run *run, enum run_status status)
{
	run->status = status;
	run->ended_ns = run->started_ns + 100;
	CU_ASSERT_EQUAL(state_run_update(s->state, run), 0);
	if (status == RUN_COMPLETE)
		CU_ASSERT_EQUAL(state_mailbox_prune(s->state, s->target, run->id), 0);
}

static void list(const struct scene *s, int64_t run, const char *key)
{
	struct mailbox_row row = {
		.key = span_of_str(key),
		.name = span_of_str(key),
		.partition = span_of_str("default"),
	};

	CU_ASSERT_EQUAL(state_mailbox_put(s->state, s->target, run, &row), 0);
}

static void list_all(const struct scene *s, int64_t run)
{
	char key[16];

	for (int i = 0; i < MAILBOXES; i++) {
		(void)snprintf(key, sizeof(key), "key%d", i);
		list(s, run, key);
	}
}

/* Messages have 20 bytes. */
static void verify(const struct scene *s, int64_t run, const char *key, int64_t at_ns,
		   uint64_t bytes)
{
	CU_ASSERT_EQUAL(state_mailbox_verified(s->state, s->target, run, span_of_str(key), at_ns,
					       bytes / 20, bytes),
			0);
}

/* A complete run that verified key0 at 1000, key1 at 1001 and so on. */
static struct run make_complete(const struct scene *s)
{
	struct run run = begin_run(s, 900, 0, "");
	char key[16];

	list_all(s, run.id);
	for (int i = 0; i < MAILBOXES; i++) {
		(void)snprintf(key, sizeof(key), "key%d", i);
		verify(s, run.id, key, 1000 + i, 100);
	}
	end_run(s, &run, RUN_COMPLETE);
	return run;
}

/* A partial run that lists and verifies as much as it can get hold of, and takes one away. */
static struct run make_partial(const struct scene *s, int64_t started_ns, enum run_status status)
{
	struct run run = begin_run(s, started_ns, 0, "mailbox user.a");
	char key[16];

	list_all(s, run.id);
	list(s, run.id, "new");
	for (int i = 0; i < MAILBOXES; i++) {
		(void)snprintf(key, sizeof(key), "key%d", i);
		verify(s, run.id, key, started_ns + 10, 7777);
	}
	verify(s, run.id, "new", started_ns + 10, 7777);
	CU_ASSERT_EQUAL(
		state_mailbox_forget(s->state, s->target, run.id, span_of_str("key3")), 0);
	CU_ASSERT_EQUAL(state_gap_put(s->state, run.id, SPAN_NULL, SPAN_NULL, SPAN_NULL, "why"), 0);
	CU_ASSERT_EQUAL(state_run_set_resumable(s->state, run.id), 0);
	run.gaps = 1;
	end_run(s, &run, status);
	return run;
}

static void check_coverage(const struct scene *s, int64_t run, int64_t oldest_ns, uint64_t bytes)
{
	uint64_t got_bytes = 0;
	int64_t got_ns = -1;

	CU_ASSERT_EQUAL(state_coverage(s->state, s->target, run, &got_ns, &got_bytes), 0);
	CU_ASSERT_EQUAL(got_ns, oldest_ns);
	CU_ASSERT_EQUAL(got_bytes, bytes);
}

static uint64_t count_unverified(const struct scene *s, int64_t run)
{
	uint64_t count = UINT64_MAX;

	CU_ASSERT_EQUAL(state_mailbox_count_unverified(s->state, s->target, run, &count), 0);
	return count;
}

static void check_verified(const struct scene *s, int64_t run, const char *key, bool is_verified,
			   bool is_listed)
{
	bool verified = !is_verified, listed = !is_listed;

	CU_ASSERT_EQUAL(state_mailbox_was_verified(s->state, s->target, run, span_of_str(key),
						   &verified, &listed),
			0);
	CU_ASSERT_EQUAL(verified, is_verified);
	CU_ASSERT_EQUAL(listed, is_listed);
}

static const enum run_status statuses[] = { RUN_COMPLETE, RUN_INCOMPLETE, RUN_INTERRUPTED, RUN_VOID,
					    RUN_RUNNING };

/* ---- what it is ---- */

static void keeps_its_scope_and_notices(void)
{
	struct scene s;
	struct run got;
	bool is_under_way;

	scene_begin(&s);
	struct run run = begin_run(&s, 1000, 0, "quick");
	run.notices = 3;
	run.findings = 2;
	(void)snprintf(run.scope, sizeof(run.scope), "%s", ""); /* is not what an update is for */
	end_run(&s, &run, RUN_COMPLETE);
	CU_ASSERT_EQUAL(state_run_last(s.state, s.target, &got, &is_under_way), 0);
	CU_ASSERT_EQUAL(got.id, run.id);
	CU_ASSERT_STRING_EQUAL(got.scope, "quick");
	CU_ASSERT_TRUE(got.notices == 3 && got.findings == 2);
	run = begin_run(&s, 2000, 0, "");
	CU_ASSERT_EQUAL(state_run_last(s.state, s.target, &got, &is_under_way), 0);
	CU_ASSERT_STRING_EQUAL(got.scope, "");
	scene_end(&s);
}

static void a_long_scope_is_cut_and_stays_one(void)
{
	char scope[1200];
	struct scene s;
	struct run got;
	bool is_under_way;

	memset(scope, 'x', sizeof(scope) - 1);
	scope[sizeof(scope) - 1] = '\0';
	scene_begin(&s);
	(void)begin_run(&s, 1000, 0, scope);
	CU_ASSERT_EQUAL(state_run_last(s.state, s.target, &got, &is_under_way), 0);
	CU_ASSERT_EQUAL(strlen(got.scope), sizeof(got.scope) - 1);
	CU_ASSERT_EQUAL(state_run_last_whole(s.state, s.target, &got), -ENOENT);
	scene_end(&s);
}

static void a_run_that_was_never_begun_is_no_run(void)
{
	struct mailbox_row row = { .key = span_of_str("k"), .name = span_of_str("k") };
	struct scene s;

	scene_begin(&s);
	CU_ASSERT_EQUAL(state_mailbox_put(s.state, s.target, 77, &row), -ENOENT);
	CU_ASSERT_EQUAL(state_mailbox_verified(s.state, s.target, 77, row.key, 1, 1, 1), -ENOENT);
	CU_ASSERT_EQUAL(state_mailbox_forget(s.state, s.target, 77, row.key), -ENOENT);
	CU_ASSERT_EQUAL(state_mailbox_prune(s.state, s.target, 77), -ENOENT);
	scene_end(&s);
}

/* What it needs for itself: to go through what it listed, and to close findings. */
static void knows_what_it_listed_and_verified_itself(void)
{
	struct mailbox_row row;
	struct span after = SPAN_NULL;
	struct scene s;

	scene_begin(&s);
	struct run whole = make_complete(&s);
	struct run run = begin_run(&s, 2000, 0, "mailbox key1");
	list(&s, run.id, "key1");
	list(&s, run.id, "new");
	CU_ASSERT_EQUAL(count_unverified(&s, run.id), 2);
	verify(&s, run.id, "key1", 2001, 40);
	CU_ASSERT_EQUAL(count_unverified(&s, run.id), 1);
	check_verified(&s, run.id, "key1", true, true);
	check_verified(&s, run.id, "new", false, true);
	check_verified(&s, run.id, "key0", false, false);
	check_verified(&s, whole.id, "key1", true, true); /* as before */
	CU_ASSERT_EQUAL_FATAL(state_mailbox_next(s.state, s.target, run.id, after, &row), 0);
	CU_ASSERT_TRUE(span_equals_str(row.key, "key1"));
	CU_ASSERT_EQUAL(row.verified_run, whole.id);
	CU_ASSERT_TRUE(row.messages == 5 && row.bytes == 100);
	after = span_of_str("key1");
	CU_ASSERT_EQUAL_FATAL(state_mailbox_next(s.state, s.target, run.id, after, &row), 0);
	CU_ASSERT_TRUE(span_equals_str(row.key, "new"));
	after = span_of_str("new");
	CU_ASSERT_EQUAL(state_mailbox_next(s.state, s.target, run.id, after, &row), STATE_END);
	CU_ASSERT_EQUAL(state_mailbox_forget(s.state, s.target, run.id, span_of_str("new")), 0);
	CU_ASSERT_EQUAL(count_unverified(&s, run.id), 0);
	check_verified(&s, run.id, "new", false, false);
	scene_end(&s);
}

/* ---- what it leaves alone ---- */

static void leaves_the_age_of_what_is_verified_as_it_is(void)
{
	for (size_t i = 0; i < array_size(statuses); i++) {
		struct scene s;
		scene_begin(&s);
		struct run whole = make_complete(&s);
		check_coverage(&s, whole.id, 1000, 400);
		struct run partial = make_partial(&s, 2000, statuses[i]);
		check_coverage(&s, whole.id, 1000, 400);
		(void)make_partial(&s, 3000, statuses[i]);
		check_coverage(&s, whole.id, 1000, 400);
		/* It covers nothing itself, be there what may behind it. */
		struct run later = begin_run(&s, 4000, 0, "");
		list_all(&s, later.id);
		verify(&s, later.id, "key0", 4001, 100);
		check_coverage(&s, partial.id, 0, 0);
		scene_end(&s);
	}
}

static void prunes_nothing_when_it_is_complete(void)
{
	struct scene s;

	scene_begin(&s);
	struct run whole = make_complete(&s);
	struct run partial = begin_run(&s, 2000, 0, "mailbox key1");
	list(&s, partial.id, "key1");
	verify(&s, partial.id, "key1", 2001, 1);
	end_run(&s, &partial, RUN_COMPLETE);
	check_coverage(&s, whole.id, 1000, 400);
	for (int i = 0; i < MAILBOXES; i++) {
		char key[16];
		(void)snprintf(key, sizeof(key), "key%d", i);
		check_verified(&s, whole.id, key, true, true);
	}
	scene_end(&s);
}

/* A whole run that comes next is what it would have been, and forgets what only the partial saw. */
static void the_next_whole_run_takes_nothing_over_from_it(void)
{
	struct mailbox_row row;
	struct scene s;

	scene_begin(&s);
	(void)make_complete(&s);
	struct run partial = make_partial(&s, 2000, RUN_COMPLETE);
	struct run next = begin_run(&s, 3000, 0, "");
	list_all(&s, next.id);
	CU_ASSERT_EQUAL(count_unverified(&s, next.id), MAILBOXES);
	for (int i = 0; i < MAILBOXES; i++) {
		char key[16];
		(void)snprintf(key, sizeof(key), "key%d", i);
		verify(&s, next.id, key, 3100 + i, 200);
	}
	end_run(&s, &next, RUN_COMPLETE);
	check_coverage(&s, next.id, 3100, 800);
	CU_ASSERT_EQUAL(state_mailbox_find_key(s.state, s.target, partial.id, span_of_str("new"),
					       &row),
			-ENOENT);
	scene_end(&s);
}

static void the_last_runs_are_those_of_the_whole_store(void)
{
	for (size_t i = 0; i < array_size(statuses); i++) {
		struct scene s;
		struct run got;
		uint64_t nr_ended = 77;
		bool is_under_way;
		scene_begin(&s);
		struct run early = make_partial(&s, 100, statuses[i]);
		CU_ASSERT_EQUAL(state_run_count_ended(s.state, &nr_ended), 0);
		CU_ASSERT_EQUAL(nr_ended, 0);
		CU_ASSERT_EQUAL(state_run_last_ended(s.state, s.target, &got), -ENOENT);
		CU_ASSERT_EQUAL(state_run_last_complete(s.state, s.target, &got), -ENOENT);
		CU_ASSERT_EQUAL(state_run_last_whole(s.state, s.target, &got), -ENOENT);
		CU_ASSERT_EQUAL(state_run_last(s.state, s.target, &got, &is_under_way), 0);
		CU_ASSERT_EQUAL(got.id, early.id);
		struct run whole = make_complete(&s);
		struct run late = make_partial(&s, 2000, statuses[i]);
		CU_ASSERT_EQUAL(state_run_count_ended(s.state, &nr_ended), 0);
		CU_ASSERT_EQUAL(nr_ended, 1);
		CU_ASSERT_EQUAL(state_run_last_ended(s.state, s.target, &got), 0);
		CU_ASSERT_EQUAL(got.id, whole.id);
		CU_ASSERT_EQUAL(state_run_last_complete(s.state, s.target, &got), 0);
		CU_ASSERT_EQUAL(got.id, whole.id);
		CU_ASSERT_EQUAL(state_run_last_whole(s.state, s.target, &got), 0);
		CU_ASSERT_EQUAL(got.id, whole.id);
		CU_ASSERT_EQUAL(state_run_last(s.state, s.target, &got, &is_under_way), 0);
		CU_ASSERT_EQUAL(got.id, late.id);
		scene_end(&s);
	}
}

/* ---- rounds ---- */

static int find_round(const struct scene *s, struct run *run, struct round *ret_round)
{
	return state_round_find(s->state, s->target, run->id, ret_round);
}

static void is_not_gone_on_with_and_breaks_no_round(void)
{
	for (size_t i = 0; i < array_size(statuses); i++) {
		struct round round = { 0 };
		struct scene s;
		scene_begin(&s);
		(void)make_partial(&s, 500, statuses[i]);
		struct run alone = begin_run(&s, 600, 0, "");
		CU_ASSERT_EQUAL(find_round(&s, &alone, &round), -ENOENT);
		CU_ASSERT_EQUAL(state_run_set_resumable(s.state, alone.id), 0);
		end_run(&s, &alone, RUN_INTERRUPTED);
		struct run partial = make_partial(&s, 700, statuses[i]);
		CU_ASSERT_EQUAL(find_round(&s, &partial, &round), -ENOENT); /* nor goes on itself */
		struct run next = begin_run(&s, 800, 0, "");
		CU_ASSERT_EQUAL(find_round(&s, &next, &round), 0);
		CU_ASSERT_EQUAL(round.id, alone.id);
		CU_ASSERT_EQUAL(round.last_run, alone.id);
		CU_ASSERT_EQUAL(round.started_ns, 600);
		scene_end(&s);
	}
}

/* A was interrupted behind two mailboxes; P verifies all of them; B goes on with A. */
static void what_a_round_carries_over_is_its_own(void)
{
	struct mailbox_row row;
	struct scene s;

	scene_begin(&s);
	struct run a = begin_run(&s, 1000, 0, "");
	list_all(&s, a.id);
	verify(&s, a.id, "key0", 1010, 100);
	verify(&s, a.id, "key1", 1020, 100);
	end_run(&s, &a, RUN_INTERRUPTED);
	(void)make_partial(&s, 1500, RUN_COMPLETE);
	struct run b = begin_run(&s, 2000, a.id, "");
	list_all(&s, b.id);
	CU_ASSERT_EQUAL(count_unverified(&s, b.id), 2); /* key2, key3 */
	CU_ASSERT_EQUAL_FATAL(state_mailbox_next(s.state, s.target, b.id, SPAN_NULL, &row), 0);
	CU_ASSERT_TRUE(span_equals_str(row.key, "key0"));
	CU_ASSERT_TRUE(row.verified_run == a.id && row.messages == 5 && row.bytes == 100);
	struct span after = span_of_str("key1");
	CU_ASSERT_EQUAL_FATAL(state_mailbox_next(s.state, s.target, b.id, after, &row), 0);
	CU_ASSERT_TRUE(span_equals_str(row.key, "key2"));
	CU_ASSERT_EQUAL(row.verified_run, 0);
	verify(&s, b.id, "key2", 2010, 100);
	verify(&s, b.id, "key3", 2020, 100);
	CU_ASSERT_EQUAL(count_unverified(&s, b.id), 0);
	end_run(&s, &b, RUN_COMPLETE);
	check_coverage(&s, b.id, 1010, 400);
	scene_end(&s);
}

static int count_doubt(struct span key, void *ctx)
{
	unsigned *nr = ctx;

	*nr += span_equals_str(key, "key1");
	return 0;
}

/* Looked at again, it can only be known better. */
static void what_it_could_not_check_is_in_doubt(void)
{
	struct scene s;
	unsigned nr = 0;

	scene_begin(&s);
	struct run a = begin_run(&s, 1000, 0, "");
	end_run(&s, &a, RUN_INTERRUPTED);
	struct run partial = begin_run(&s, 1500, 0, "quick");
	CU_ASSERT_EQUAL(state_gap_put(s.state, partial.id, span_of_str("key1"), SPAN_NULL,
				      SPAN_NULL, "why"),
			0);
	end_run(&s, &partial, RUN_INCOMPLETE);
	CU_ASSERT_EQUAL(state_round_each_doubt(s.state, s.target, a.id, count_doubt, &nr), 0);
	CU_ASSERT_EQUAL(nr, 1);
	scene_end(&s);
}

static const struct test_case cases[] = {
	CASE(keeps_its_scope_and_notices),
	CASE(a_long_scope_is_cut_and_stays_one),
	CASE(a_run_that_was_never_begun_is_no_run),
	CASE(knows_what_it_listed_and_verified_itself),
	CASE(leaves_the_age_of_what_is_verified_as_it_is),
	CASE(prunes_nothing_when_it_is_complete),
	CASE(the_next_whole_run_takes_nothing_over_from_it),
	CASE(the_last_runs_are_those_of_the_whole_store),
	CASE(is_not_gone_on_with_and_breaks_no_round),
	CASE(what_a_round_carries_over_is_its_own),
	CASE(what_it_could_not_check_is_in_doubt),
};

const struct test_suite suite_state_partial = { "state/partial", cases, array_size(cases) };

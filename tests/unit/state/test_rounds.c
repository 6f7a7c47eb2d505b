// SPDX-License-Identifier: Apache-2.0
/*
 * Rounds: an interrupted run is gone on with only when something vouches for it, what is in doubt
 * stays in doubt, and nothing looks younger than the round.
 */
#include "suites.h"

#include <CUnit/CUnit.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/compiler.h"
#include "state/state.h"
#include "support/room.h"

enum { LONG_AGO = 1000, MAILBOXES = 4 };

struct scene {
	char dir[ROOM_DIR_SIZE];
	char state_dir[300];
	struct state *state;
	int64_t target;
};

static void scene_begin(struct scene *s)
{
	*s = (struct scene){ .target = 0 };
	CU_ASSERT_EQUAL_FATAL(room_make("rounds", s->dir), 0);
	(void)snprintf(s->state_dir, sizeof(s->state_dir), "%s/state", s->dir);
	CU_ASSERT_EQUAL_FATAL(state_open(s->state_dir, STATE_WRITE, NULL, &s->state), 0);
	CU_ASSERT_EQUAL_FATAL(state_target_put(s->state, "/conf", "s1", "h1", "/imapd.conf", true,
					       &s->target),
			      0);
}

static void scene_end(struct scene *s)
{
	state_close(s->state);
	CU_ASSERT_EQUAL(room_remove(s->dir), 0);
}

/* A run that began at `started_ns`, of the round `round` (0: its own). */
static struct run begin_run(const struct scene *s, int64_t started_ns, int64_t round)
{
	struct run run = { .target = s->target, .started_ns = started_ns };

	CU_ASSERT_EQUAL_FATAL(state_run_begin(s->state, s->target, started_ns, "", &run.id), 0);
	run.round = round ? round : run.id;
	CU_ASSERT_EQUAL_FATAL(state_run_update(s->state, &run), 0);
	return run;
}

static void end_run(const struct scene *s, struct run *run, enum run_status status)
{
	run->status = status;
	run->ended_ns = run->started_ns + 100;
	CU_ASSERT_EQUAL(state_run_update(s->state, run), 0);
}

/* A run from beginning to end. */
static int64_t make_run(const struct scene *s, int64_t started_ns, int64_t round, bool resumable,
			enum run_status status)
{
	struct run run = begin_run(s, started_ns, round);

	if (resumable)
		CU_ASSERT_EQUAL(state_run_set_resumable(s->state, run.id), 0);
	end_run(s, &run, status);
	return run.id;
}

static void list_mailbox(const struct scene *s, int64_t run, const char *key)
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
		list_mailbox(s, run, key);
	}
}

static void verify(const struct scene *s, int64_t run, const char *key, int64_t at_ns)
{
	CU_ASSERT_EQUAL(state_mailbox_verified(s->state, s->target, run, span_of_str(key), at_ns, 5,
					       500),
			0);
}

/* The first run of the round that a new run would go on with; 0: none. */
static int64_t next_round(const struct scene *s, int64_t *ret_last)
{
	struct run run = begin_run(s, LONG_AGO * 100, 0);
	struct round round = { 0 };
	int r = state_round_find(s->state, s->target, run.id, &round);

	CU_ASSERT_TRUE(r == 0 || r == -ENOENT);
	if (ret_last)
		*ret_last = round.last_run;
	/* It leaves no trace: one that ends with a round of its own would be in the way. */
	end_run(s, &run, RUN_INTERRUPTED);
	return r ? 0 : round.id;
}

static int64_t oldest(const struct scene *s, int64_t run)
{
	uint64_t bytes;
	int64_t ns = -1;

	CU_ASSERT_EQUAL(state_coverage(s->state, s->target, run, &ns, &bytes), 0);
	return ns;
}

static uint64_t count_unverified(const struct scene *s, int64_t run)
{
	uint64_t count = UINT64_MAX;

	CU_ASSERT_EQUAL(state_mailbox_count_unverified(s->state, s->target, run, &count), 0);
	return count;
}

/* ---- which run is gone on with ---- */

static void goes_on_with_an_interrupted_run_that_found_its_faults(void)
{
	static const struct {
		enum run_status status;
		bool resumable, wanted;
	} rows[] = {
		{ RUN_INTERRUPTED, true, true },   { RUN_RUNNING, true, true }, /* killed */
		{ RUN_INTERRUPTED, false, false }, { RUN_RUNNING, false, false },
		{ RUN_COMPLETE, true, false },	   { RUN_INCOMPLETE, true, false },
		{ RUN_VOID, true, false },
	};

	for (size_t i = 0; i < array_size(rows); i++) {
		struct scene s;
		scene_begin(&s);
		int64_t a = make_run(&s, LONG_AGO, 0, rows[i].resumable, rows[i].status);
		CU_ASSERT_EQUAL(next_round(&s, NULL), rows[i].wanted ? a : 0);
		scene_end(&s);
	}
}

static void goes_on_with_nothing_where_nothing_was(void)
{
	struct scene s;

	scene_begin(&s);
	CU_ASSERT_EQUAL(next_round(&s, NULL), 0);
	scene_end(&s);
}

static void only_the_latest_run_counts(void)
{
	struct scene s;

	scene_begin(&s);
	(void)make_run(&s, 1000, 0, true, RUN_INTERRUPTED);
	(void)make_run(&s, 2000, 0, true, RUN_COMPLETE);
	CU_ASSERT_EQUAL(next_round(&s, NULL), 0);
	scene_end(&s);
}

static void the_runs_of_another_copy_do_not_count(void)
{
	struct round round;
	struct scene s;
	int64_t other, run;

	scene_begin(&s);
	(void)make_run(&s, 1000, 0, true, RUN_INTERRUPTED);
	CU_ASSERT_EQUAL(
		state_target_put(s.state, "/other", "s2", "h1", "/other.conf", true, &other), 0);
	CU_ASSERT_EQUAL(state_run_begin(s.state, other, 2000, "", &run), 0);
	CU_ASSERT_EQUAL(state_round_find(s.state, other, run, &round), -ENOENT);
	scene_end(&s);
}

static void a_chain_keeps_the_first_id_and_its_time(void)
{
	struct round round;
	struct scene s;

	scene_begin(&s);
	int64_t a = make_run(&s, 1000, 0, true, RUN_INTERRUPTED);
	int64_t b = make_run(&s, 2000, a, true, RUN_INTERRUPTED);
	int64_t c = make_run(&s, 3000, a, true, RUN_RUNNING);
	struct run d = begin_run(&s, 4000, 0);
	CU_ASSERT_EQUAL(state_round_find(s.state, s.target, d.id, &round), 0);
	CU_ASSERT_EQUAL(round.id, a);
	CU_ASSERT_EQUAL(round.started_ns, 1000);
	CU_ASSERT_EQUAL(round.last_run, c);
	CU_ASSERT_TRUE(a < b && b < c && c < d.id);
	scene_end(&s);
}

/* Killed while it read the list, it says nothing against what the round has verified. */
static void a_run_that_was_stopped_at_once_does_not_end_its_round(void)
{
	int64_t last;
	struct scene s;

	scene_begin(&s);
	int64_t a = make_run(&s, 1000, 0, true, RUN_INTERRUPTED);
	(void)make_run(&s, 2000, a, false, RUN_INTERRUPTED);
	(void)make_run(&s, 3000, a, false, RUN_RUNNING);
	CU_ASSERT_EQUAL(next_round(&s, &last), a);
	CU_ASSERT_EQUAL(last, a);
	scene_end(&s);
}

/* Nothing vouches for what it says it has verified. */
static void a_run_that_verified_without_its_planted_faults_ends_the_round(void)
{
	struct scene s;

	scene_begin(&s);
	int64_t a = make_run(&s, 1000, 0, true, RUN_INTERRUPTED);
	int64_t b = make_run(&s, 2000, a, false, RUN_INTERRUPTED);
	list_mailbox(&s, b, "key0");
	verify(&s, b, "key0", 2001);
	CU_ASSERT_EQUAL(next_round(&s, NULL), 0);
	scene_end(&s);
}

static void a_run_from_the_beginning_ends_the_round_before_it(void)
{
	struct scene s;

	scene_begin(&s);
	(void)make_run(&s, 1000, 0, true, RUN_INTERRUPTED);
	(void)make_run(&s, 2000, 0, false, RUN_INTERRUPTED);
	CU_ASSERT_EQUAL(next_round(&s, NULL), 0);
	scene_end(&s);
}

/* ---- doubts ---- */

struct doubts {
	char keys[8][16];
	size_t nr;
	int result;
};

static int on_doubt(struct span key, void *ctx)
{
	struct doubts *doubts = ctx;

	if (doubts->nr < array_size(doubts->keys))
		(void)snprintf(doubts->keys[doubts->nr], sizeof(doubts->keys[0]), "%.*s",
			       (int)key.len, (const char *)key.data);
	doubts->nr++;
	return doubts->result;
}

static bool doubts_hold(const struct doubts *doubts, const char *key)
{
	for (size_t i = 0; i < min_of(doubts->nr, array_size(doubts->keys)); i++)
		if (strcmp(doubts->keys[i], key) == 0)
			return true;
	return false;
}

static int64_t put_finding(const struct scene *s, int64_t run, const char *key)
{
	struct finding finding = {
		.target = s->target,
		.verdict = ASSAY_CORRUPT,
		.code = "message.digest",
		.mailbox_key = span_of_str(key),
		.mailbox = span_of_str("user.was.called.so"),
		.object = "message:1",
		.path = span_of_str("/spool/1."),
	};

	CU_ASSERT_EQUAL(state_finding_put(s->state, run, 1, &finding), 0);
	return finding.id;
}

static void put_gap(const struct scene *s, int64_t run, const char *key)
{
	CU_ASSERT_EQUAL(state_gap_put(s->state, run, span_of_str(key), span_of_str("user.x"),
				      span_of_str("1."), "why"),
			0);
}

static void in_doubt_is_what_has_an_open_finding_or_a_gap_of_the_round(void)
{
	struct doubts doubts = { .nr = 0 };
	struct scene s;

	scene_begin(&s);
	int64_t old = make_run(&s, 1000, 0, true, RUN_COMPLETE);
	put_gap(&s, old, "gap-before");
	(void)put_finding(&s, old, "open-before");
	int64_t a = make_run(&s, 2000, 0, true, RUN_INTERRUPTED);
	int64_t closed = put_finding(&s, a, "closed");
	CU_ASSERT_EQUAL(state_finding_close(s.state, closed, a, 3, "verified"), 0);
	(void)put_finding(&s, a, "open-twice");
	put_gap(&s, a, "open-twice");
	int64_t b = make_run(&s, 3000, a, true, RUN_INTERRUPTED);
	put_gap(&s, b, "gap-second");
	put_gap(&s, b, "");
	CU_ASSERT_EQUAL(state_round_each_doubt(s.state, s.target, a, on_doubt, &doubts), 0);
	CU_ASSERT_EQUAL(doubts.nr, 4);
	CU_ASSERT_TRUE(doubts_hold(&doubts, "open-before"));
	CU_ASSERT_TRUE(doubts_hold(&doubts, "open-twice"));
	CU_ASSERT_TRUE(doubts_hold(&doubts, "gap-second"));
	CU_ASSERT_TRUE(doubts_hold(&doubts, "")); /* about the store */
	scene_end(&s);
}

static void the_doubts_of_another_copy_are_its_own(void)
{
	struct doubts doubts = { .nr = 0 };
	struct scene s;
	int64_t other;

	scene_begin(&s);
	int64_t a = make_run(&s, 2000, 0, true, RUN_INTERRUPTED);
	put_gap(&s, a, "key0");
	(void)put_finding(&s, a, "key1");
	CU_ASSERT_EQUAL(
		state_target_put(s.state, "/other", "s2", "h1", "/other.conf", true, &other), 0);
	CU_ASSERT_EQUAL(state_round_each_doubt(s.state, other, a, on_doubt, &doubts), 0);
	CU_ASSERT_EQUAL(doubts.nr, 0);
	scene_end(&s);
}

static void a_walk_over_doubts_can_be_stopped(void)
{
	struct doubts doubts = { .result = -E2BIG };
	struct scene s;

	scene_begin(&s);
	int64_t a = make_run(&s, 2000, 0, true, RUN_INTERRUPTED);
	put_gap(&s, a, "key0");
	put_gap(&s, a, "key1");
	CU_ASSERT_EQUAL(state_round_each_doubt(s.state, s.target, a, on_doubt, &doubts), -E2BIG);
	CU_ASSERT_EQUAL(doubts.nr, 1);
	scene_end(&s);
}

/* ---- markers ---- */

static void check_marker(const struct scene *s, const char *volume, int64_t round,
			 const char *first, uint64_t distance)
{
	struct marker marker;

	CU_ASSERT_EQUAL_FATAL(
		state_marker_get(s->state, s->target, span_of_str(volume), round, &marker), 0);
	CU_ASSERT_TRUE(span_equals_str(marker.first_key, first));
	CU_ASSERT_TRUE(span_equals_str(marker.last_key, "z"));
	CU_ASSERT_EQUAL(marker.distance, distance);
	CU_ASSERT_EQUAL(marker.since_ns, -5);
}

static void put_marker(const struct scene *s, const char *volume, int64_t round, const char *first,
		       uint64_t distance)
{
	struct marker marker = { span_of_str(first), span_of_str("z"), distance, -5 };

	CU_ASSERT_EQUAL(state_marker_put(s->state, s->target, span_of_str(volume), round, &marker),
			0);
}

static void markers_are_kept_for_each_volume_and_round(void)
{
	struct marker marker;
	struct scene s;

	scene_begin(&s);
	CU_ASSERT_EQUAL(state_marker_get(s.state, s.target, span_of_str("v1"), 1, &marker),
			-ENOENT);
	put_marker(&s, "v1", 1, "a", 10);
	put_marker(&s, "v2", 1, "b", UINT64_C(1) << 62);
	check_marker(&s, "v1", 1, "a", 10);
	check_marker(&s, "v2", 1, "b", UINT64_C(1) << 62);
	put_marker(&s, "v1", 1, "c", 5); /* the later one counts, be it nearer */
	check_marker(&s, "v1", 1, "c", 5);
	CU_ASSERT_EQUAL(state_marker_get(s.state, s.target, span_of_str("v1"), 2, &marker),
			-ENOENT);
	put_marker(&s, "v1", 2, "d", 7); /* another round takes its place */
	CU_ASSERT_EQUAL(state_marker_get(s.state, s.target, span_of_str("v1"), 1, &marker),
			-ENOENT);
	CU_ASSERT_EQUAL(state_marker_get(s.state, s.target + 1, span_of_str("v1"), 2, &marker),
			-ENOENT);
	CU_ASSERT_EQUAL(state_marker_forget(s.state, s.target + 1), 0);
	check_marker(&s, "v1", 2, "d", 7);
	CU_ASSERT_EQUAL(state_marker_forget(s.state, s.target), 0);
	CU_ASSERT_EQUAL(state_marker_get(s.state, s.target, span_of_str("v1"), 2, &marker),
			-ENOENT);
	CU_ASSERT_EQUAL(state_marker_get(s.state, s.target, span_of_str("v2"), 1, &marker),
			-ENOENT);
	scene_end(&s);
}

/* What was read must not keep an old view of the database: from that nothing can be written. */
static void what_was_read_does_not_hold_up_a_write(void)
{
	struct state *other = NULL;
	struct mailbox_row row;
	struct marker marker;
	struct scene s;
	int64_t target;

	scene_begin(&s);
	struct run run = begin_run(&s, 1000, 0);
	list_all(&s, run.id);
	put_marker(&s, "v1", run.id, "a", 10);
	CU_ASSERT_EQUAL_FATAL(state_open(s.state_dir, STATE_WRITE, NULL, &other), 0);
	CU_ASSERT_EQUAL(state_marker_get(s.state, s.target, span_of_str("v1"), run.id, &marker), 0);
	CU_ASSERT_EQUAL(state_target_put(other, "/o", "s2", "h1", "/o.conf", true, &target), 0);
	CU_ASSERT_EQUAL(state_begin(s.state), 0);
	CU_ASSERT_EQUAL(state_commit(s.state), 0);
	CU_ASSERT_TRUE(span_equals_str(marker.first_key, "a"));
	CU_ASSERT_EQUAL(state_mailbox_next(s.state, s.target, run.id, SPAN_NULL, &row), 0);
	CU_ASSERT_EQUAL(state_target_put(other, "/p", "s3", "h1", "/p.conf", true, &target), 0);
	CU_ASSERT_EQUAL(state_begin(s.state), 0);
	CU_ASSERT_EQUAL(state_commit(s.state), 0);
	CU_ASSERT_TRUE(span_equals_str(row.key, "key0") && span_equals_str(row.name, "key0"));
	CU_ASSERT_TRUE(span_equals_str(row.partition, "default"));
	state_close(other);
	scene_end(&s);
}

/* ---- coverage ---- */

/* A was interrupted behind two mailboxes, B went on with it and is complete. */
static void make_round(const struct scene *s, struct run *ret_a, struct run *ret_b)
{
	struct run a = begin_run(s, 1000, 0);

	list_all(s, a.id);
	verify(s, a.id, "key0", 1010);
	verify(s, a.id, "key1", 1020);
	end_run(s, &a, RUN_INTERRUPTED);
	struct run b = begin_run(s, 2000, a.id);
	list_all(s, b.id);
	verify(s, b.id, "key2", 2010);
	*ret_a = a;
	*ret_b = b;
}

static void the_mailboxes_of_a_round_count_with_their_own_times(void)
{
	struct run a, b, found;
	struct scene s;

	scene_begin(&s);
	make_round(&s, &a, &b);
	CU_ASSERT_EQUAL(count_unverified(&s, b.id), 1); /* key3 */
	verify(&s, b.id, "key3", 2020);
	CU_ASSERT_EQUAL(count_unverified(&s, b.id), 0);
	end_run(&s, &b, RUN_COMPLETE);
	CU_ASSERT_EQUAL(state_mailbox_prune(s.state, s.target, b.id), 0);
	CU_ASSERT_EQUAL(state_run_last_complete(s.state, s.target, &found), 0);
	CU_ASSERT_EQUAL(found.id, b.id);
	CU_ASSERT_EQUAL(found.round, a.id);
	CU_ASSERT_EQUAL(oldest(&s, b.id), 1010);
	verify(&s, b.id, "key0", 2030); /* gone through again, for a doubt */
	CU_ASSERT_EQUAL(oldest(&s, b.id), 1020);
	scene_end(&s);
}

/* C is a round of its own: it makes nothing younger, and takes nothing away. */
static void a_later_interrupted_run_counts_for_nothing(void)
{
	struct run a, b;
	struct scene s;

	scene_begin(&s);
	make_round(&s, &a, &b);
	verify(&s, b.id, "key3", 2020);
	end_run(&s, &b, RUN_COMPLETE);
	struct run c = begin_run(&s, 3000, 0);
	list_all(&s, c.id);
	list_mailbox(&s, c.id, "new");
	CU_ASSERT_EQUAL(oldest(&s, b.id), 1010);
	verify(&s, c.id, "key0", 3010);
	CU_ASSERT_EQUAL(oldest(&s, b.id), 1000); /* the beginning of the round, not of B or C */
	for (int i = 1; i < MAILBOXES; i++) {
		char key[16];
		(void)snprintf(key, sizeof(key), "key%d", i);
		verify(&s, c.id, key, 3020);
	}
	end_run(&s, &c, RUN_INTERRUPTED);
	CU_ASSERT_EQUAL(oldest(&s, b.id), 1000);
	CU_ASSERT_EQUAL(count_unverified(&s, c.id), 1); /* the new one */
	scene_end(&s);
}

/* What A verified before is no part of a round that begins with B. */
static void a_run_of_its_own_round_inherits_nothing(void)
{
	struct run a, b;
	struct scene s;

	scene_begin(&s);
	make_round(&s, &a, &b);
	b.round = b.id; /* as with --restart */
	CU_ASSERT_EQUAL(state_run_update(s.state, &b), 0);
	CU_ASSERT_EQUAL(count_unverified(&s, b.id), 3);
	scene_end(&s);
}

static void a_mailbox_that_went_between_the_runs_is_forgotten_at_the_end(void)
{
	struct run a, b;
	struct scene s;

	scene_begin(&s);
	a = begin_run(&s, 1000, 0);
	list_all(&s, a.id);
	list_mailbox(&s, a.id, "gone");
	verify(&s, a.id, "gone", 1001);
	end_run(&s, &a, RUN_INTERRUPTED);
	b = begin_run(&s, 2000, a.id);
	list_all(&s, b.id);
	for (int i = 0; i < MAILBOXES; i++) {
		char key[16];
		(void)snprintf(key, sizeof(key), "key%d", i);
		verify(&s, b.id, key, 2000 + i);
	}
	CU_ASSERT_EQUAL(count_unverified(&s, b.id), 0);
	end_run(&s, &b, RUN_COMPLETE);
	CU_ASSERT_EQUAL(oldest(&s, b.id), 1001); /* until then it is part of the round */
	CU_ASSERT_EQUAL(state_mailbox_prune(s.state, s.target, b.id), 0);
	CU_ASSERT_EQUAL(oldest(&s, b.id), 2000);
	scene_end(&s);
}

static const struct test_case cases[] = {
	CASE(goes_on_with_an_interrupted_run_that_found_its_faults),
	CASE(goes_on_with_nothing_where_nothing_was),
	CASE(only_the_latest_run_counts),
	CASE(the_runs_of_another_copy_do_not_count),
	CASE(a_chain_keeps_the_first_id_and_its_time),
	CASE(a_run_that_was_stopped_at_once_does_not_end_its_round),
	CASE(a_run_that_verified_without_its_planted_faults_ends_the_round),
	CASE(a_run_from_the_beginning_ends_the_round_before_it),
	CASE(in_doubt_is_what_has_an_open_finding_or_a_gap_of_the_round),
	CASE(the_doubts_of_another_copy_are_its_own),
	CASE(a_walk_over_doubts_can_be_stopped),
	CASE(markers_are_kept_for_each_volume_and_round),
	CASE(what_was_read_does_not_hold_up_a_write),
	CASE(the_mailboxes_of_a_round_count_with_their_own_times),
	CASE(a_later_interrupted_run_counts_for_nothing),
	CASE(a_run_of_its_own_round_inherits_nothing),
	CASE(a_mailbox_that_went_between_the_runs_is_forgotten_at_the_end),
};

const struct test_suite suite_state_rounds = { "state/rounds", cases, array_size(cases) };

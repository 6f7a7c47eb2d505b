// SPDX-License-Identifier: Apache-2.0
/*
 * Severities of findings, whose mailboxes have some, and mailboxes that are looked for by key and
 * by name.
 */
#include "suites.h"

#include <CUnit/CUnit.h>
#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>

#include "base/compiler.h"
#include "state/state.h"
#include "support/room.h"

struct scene {
	char dir[ROOM_DIR_SIZE];
	struct state *state;
	int64_t target, other, run;
};

static void scene_begin(struct scene *s)
{
	CU_ASSERT_EQUAL_FATAL(room_make("findings", s->dir), 0);
	CU_ASSERT_EQUAL_FATAL(state_open(s->dir, STATE_WRITE, NULL, &s->state), 0);
	CU_ASSERT_EQUAL_FATAL(state_target_put(s->state, "/c", "s1", "h1", "/i", true, &s->target), 0);
	CU_ASSERT_EQUAL_FATAL(state_target_put(s->state, "/d", "s2", "h1", "/i", true, &s->other), 0);
	CU_ASSERT_EQUAL_FATAL(state_run_begin(s->state, s->target, 1, "", &s->run), 0);
}

static void scene_end(struct scene *s)
{
	state_close(s->state);
	CU_ASSERT_EQUAL(room_remove(s->dir), 0);
}

static void execute(const struct scene *s, const char *sql)
{
	char path[300];
	sqlite3 *db = NULL;

	(void)snprintf(path, sizeof(path), "%s/state.db", s->dir);
	CU_ASSERT_EQUAL_FATAL(sqlite3_open(path, &db), SQLITE_OK);
	CU_ASSERT_EQUAL(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	(void)sqlite3_close(db);
}

static struct finding put(const struct scene *s, int64_t target, const char *key,
			  const char *object, enum assay_severity severity)
{
	struct finding finding = {
		.target = target,
		.verdict = ASSAY_DIVERGED,
		.severity = severity,
		.code = "some.code",
		.mailbox_key = span_of_str(key),
		.mailbox = span_of_str(key),
		.object = object,
		.path = span_of_str("/p"),
	};

	CU_ASSERT_EQUAL(state_finding_put(s->state, s->run, 1000, &finding), 0);
	return finding;
}

/* ---- severities ---- */

static void check_counts(const struct scene *s, uint64_t critical, uint64_t warnings,
			 uint64_t notices)
{
	const uint64_t wanted[] = { critical, critical + warnings, critical + warnings + notices };
	uint64_t count = 77;

	for (size_t i = 0; i < array_size(wanted); i++) {
		CU_ASSERT_EQUAL(state_finding_count_open(s->state, s->target,
							 (enum assay_severity)i, &count),
				0);
		CU_ASSERT_EQUAL(count, wanted[i]);
	}
	CU_ASSERT_EQUAL(state_finding_count_notices(s->state, s->target, &count), 0);
	CU_ASSERT_EQUAL(count, notices);
}

static void counts_open_findings_by_severity(void)
{
	struct scene s;

	scene_begin(&s);
	check_counts(&s, 0, 0, 0);
	(void)put(&s, s.target, "a", "o1", ASSAY_SEVERITY_NOTICE);
	(void)put(&s, s.target, "a", "o2", ASSAY_SEVERITY_NOTICE);
	struct finding third = put(&s, s.target, "a", "o3", ASSAY_SEVERITY_NOTICE);
	check_counts(&s, 0, 0, 3);
	(void)put(&s, s.target, "a", "o4", ASSAY_SEVERITY_WARNING);
	struct finding fifth = put(&s, s.target, "a", "o5", ASSAY_SEVERITY_WARNING);
	(void)put(&s, s.target, "a", "o6", ASSAY_SEVERITY_CRITICAL);
	(void)put(&s, s.other, "a", "o1", ASSAY_SEVERITY_CRITICAL);
	check_counts(&s, 1, 2, 3);
	CU_ASSERT_EQUAL(state_finding_close(s.state, third.id, s.run, 2, "verified"), 0);
	CU_ASSERT_EQUAL(state_finding_close(s.state, fifth.id, s.run, 2, "verified"), 0);
	check_counts(&s, 1, 1, 2);
	scene_end(&s);
}

/* What a database that was tampered with says is never taken for harmless. */
static void a_severity_that_is_not_known_is_critical(void)
{
	static const char *const values[] = { "-1", "3", "99", "'x'", "x'00'" };

	for (size_t i = 0; i < array_size(values); i++) {
		char sql[128];
		struct scene s;
		scene_begin(&s);
		(void)put(&s, s.target, "a", "o1", ASSAY_SEVERITY_NOTICE);
		(void)snprintf(sql, sizeof(sql), "UPDATE finding SET severity = %s", values[i]);
		execute(&s, sql);
		check_counts(&s, 1, 0, 0);
		struct finding again = put(&s, s.target, "a", "o1", ASSAY_SEVERITY_NOTICE);
		CU_ASSERT_EQUAL(again.severity, ASSAY_SEVERITY_CRITICAL);
		scene_end(&s);
	}
}

static void of_two_sights_the_worse_severity_stays(void)
{
	for (int first = 0; first < ASSAY_SEVERITY_COUNT_; first++) {
		for (int second = 0; second < ASSAY_SEVERITY_COUNT_; second++) {
			enum assay_severity worse = (enum assay_severity)min_of(first, second);
			struct scene s;
			scene_begin(&s);
			struct finding a =
				put(&s, s.target, "a", "o1", (enum assay_severity)first);
			CU_ASSERT_EQUAL((int)a.severity, first);
			struct finding b =
				put(&s, s.target, "a", "o1", (enum assay_severity)second);
			CU_ASSERT_EQUAL(b.id, a.id);
			CU_ASSERT_EQUAL(b.severity, worse);
			check_counts(&s, worse == ASSAY_SEVERITY_CRITICAL,
				     worse == ASSAY_SEVERITY_WARNING, worse == ASSAY_SEVERITY_NOTICE);
			scene_end(&s);
		}
	}
}

struct said {
	char text[256];
	int result;
};

static int say_finding(const struct finding *finding, void *ctx)
{
	struct said *said = ctx;
	size_t len = strlen(said->text);

	(void)snprintf(said->text + len, sizeof(said->text) - len, "%s=%s ", finding->object,
		       assay_severity_name(finding->severity));
	return 0;
}

static void lists_them_with_or_without_notices(void)
{
	struct finding_filter filter = { .open_only = true };
	struct said all = { .result = 0 }, without = { .result = 0 };
	struct scene s;

	scene_begin(&s);
	(void)put(&s, s.target, "a", "o1", ASSAY_SEVERITY_NOTICE);
	(void)put(&s, s.target, "a", "o2", ASSAY_SEVERITY_WARNING);
	(void)put(&s, s.target, "a", "o3", ASSAY_SEVERITY_CRITICAL);
	(void)put(&s, s.target, "a", "o4", ASSAY_SEVERITY_NOTICE);
	execute(&s, "UPDATE finding SET severity = 9 WHERE object = 'o4'");
	CU_ASSERT_EQUAL(state_finding_each(s.state, &filter, say_finding, &all), 0);
	CU_ASSERT_STRING_EQUAL(all.text, "o1=notice o2=warning o3=critical o4=critical ");
	filter.without_notices = true;
	CU_ASSERT_EQUAL(state_finding_each(s.state, &filter, say_finding, &without), 0);
	CU_ASSERT_STRING_EQUAL(without.text, "o2=warning o3=critical o4=critical ");
	scene_end(&s);
}

/* ---- whose ---- */

static int say_key(struct span key, void *ctx)
{
	struct said *said = ctx;
	size_t len = strlen(said->text);

	(void)snprintf(said->text + len, sizeof(said->text) - len, "<%.*s>", (int)key.len,
		       (const char *)key.data);
	return said->result;
}

static void tells_each_mailbox_with_open_findings_once(void)
{
	struct said said = { .result = 0 }, none = { .result = 0 }, stopped = { .result = -E2BIG };
	struct scene s;

	scene_begin(&s);
	CU_ASSERT_EQUAL(state_finding_each_mailbox(s.state, s.target, say_key, &none), 0);
	CU_ASSERT_STRING_EQUAL(none.text, "");
	(void)put(&s, s.target, "b", "o1", ASSAY_SEVERITY_CRITICAL);
	(void)put(&s, s.target, "b", "o2", ASSAY_SEVERITY_CRITICAL);
	(void)put(&s, s.target, "a", "o1", ASSAY_SEVERITY_NOTICE);
	(void)put(&s, s.target, "", "list", ASSAY_SEVERITY_CRITICAL);
	struct finding closed = put(&s, s.target, "c", "o1", ASSAY_SEVERITY_CRITICAL);
	CU_ASSERT_EQUAL(state_finding_close(s.state, closed.id, s.run, 2, "verified"), 0);
	(void)put(&s, s.other, "d", "o1", ASSAY_SEVERITY_CRITICAL);
	CU_ASSERT_EQUAL(state_finding_each_mailbox(s.state, s.target, say_key, &said), 0);
	CU_ASSERT_STRING_EQUAL(said.text, "<><a><b>");
	CU_ASSERT_EQUAL(state_finding_each_mailbox(s.state, s.target, say_key, &stopped), -E2BIG);
	CU_ASSERT_STRING_EQUAL(stopped.text, "<>");
	scene_end(&s);
}

/* ---- mailboxes, by key and by name ---- */

static void list(const struct scene *s, int64_t run, const char *key, const char *name)
{
	struct mailbox_row row = {
		.key = span_of_str(key),
		.name = span_of_str(name),
		.partition = span_of_str("default"),
		.acl = span_of_str("joe\tlrs\t"),
		.has_unique_id = true,
		.uidvalidity = UINT32_MAX,
	};

	CU_ASSERT_EQUAL(state_mailbox_put(s->state, s->target, run, &row), 0);
}

static void check_row(const struct mailbox_row *row, const char *key, const char *name)
{
	CU_ASSERT_TRUE(span_equals_str(row->key, key));
	CU_ASSERT_TRUE(span_equals_str(row->name, name));
	CU_ASSERT_TRUE(span_equals_str(row->partition, "default"));
	CU_ASSERT_TRUE(span_equals_str(row->acl, "joe\tlrs\t"));
	CU_ASSERT_EQUAL(row->uidvalidity, UINT32_MAX);
	CU_ASSERT_TRUE(row->has_unique_id && !row->legacy_dirs);
}

static void finds_a_mailbox_by_key_and_by_name(void)
{
	struct mailbox_row next, row;
	struct scene s;

	scene_begin(&s);
	list(&s, s.run, "k1", "user.a");
	list(&s, s.run, "k2", "user.b");
	CU_ASSERT_EQUAL(state_mailbox_next(s.state, s.target, s.run, SPAN_NULL, &next), 0);
	check_row(&next, "k1", "user.a");
	CU_ASSERT_EQUAL(state_mailbox_find_key(s.state, s.target, s.run, span_of_str("k2"), &row),
			0);
	check_row(&row, "k2", "user.b");
	check_row(&next, "k1", "user.a"); /* what was lent before stays */
	CU_ASSERT_EQUAL(
		state_mailbox_find_name(s.state, s.target, s.run, span_of_str("user.b"), &row), 0);
	check_row(&row, "k2", "user.b");
	/* What is looked for may be what was lent. */
	CU_ASSERT_EQUAL(state_mailbox_find_name(s.state, s.target, s.run, row.name, &row), 0);
	check_row(&row, "k2", "user.b");
	CU_ASSERT_EQUAL(state_mailbox_next(s.state, s.target, s.run, next.key, &next), 0);
	check_row(&next, "k2", "user.b");
	CU_ASSERT_EQUAL(state_mailbox_find_key(s.state, s.target, s.run, span_of_str("user.b"),
					       &row),
			-ENOENT);
	CU_ASSERT_EQUAL(state_mailbox_find_name(s.state, s.target, s.run, span_of_str("user"),
						&row),
			-ENOENT);
	CU_ASSERT_EQUAL(state_mailbox_find_name(s.state, s.target, s.run, SPAN_NULL, &row),
			-ENOENT);
	CU_ASSERT_EQUAL(state_mailbox_find_key(s.state, s.other, s.run, span_of_str("k2"), &row),
			-ENOENT);
	scene_end(&s);
}

/* A name may have had another mailbox before, and a mailbox another name. */
static void finds_only_what_the_run_itself_has_listed(void)
{
	struct mailbox_row row;
	struct scene s;
	int64_t later;

	scene_begin(&s);
	list(&s, s.run, "k1", "user.a");
	list(&s, s.run, "k2", "user.b");
	list(&s, s.run, "k3", "user.c");
	CU_ASSERT_EQUAL(state_run_begin(s.state, s.target, 2, "", &later), 0);
	list(&s, later, "k2", "user.a");
	list(&s, later, "k4", "user.c");
	CU_ASSERT_EQUAL(
		state_mailbox_find_name(s.state, s.target, later, span_of_str("user.a"), &row), 0);
	check_row(&row, "k2", "user.a");
	CU_ASSERT_EQUAL(
		state_mailbox_find_name(s.state, s.target, later, span_of_str("user.c"), &row), 0);
	check_row(&row, "k4", "user.c");
	CU_ASSERT_EQUAL(
		state_mailbox_find_name(s.state, s.target, later, span_of_str("user.b"), &row),
		-ENOENT);
	CU_ASSERT_EQUAL(state_mailbox_find_key(s.state, s.target, later, span_of_str("k1"), &row),
			-ENOENT);
	CU_ASSERT_EQUAL(state_mailbox_find_key(s.state, s.target, s.run, span_of_str("k1"), &row),
			0);
	scene_end(&s);
}

static void looking_for_a_mailbox_does_not_hold_up_a_write(void)
{
	struct state *writer = NULL;
	struct mailbox_row row;
	struct scene s;
	int64_t target;

	scene_begin(&s);
	list(&s, s.run, "k1", "user.a");
	CU_ASSERT_EQUAL_FATAL(state_open(s.dir, STATE_WRITE, NULL, &writer), 0);
	CU_ASSERT_EQUAL(state_mailbox_find_key(s.state, s.target, s.run, span_of_str("k1"), &row),
			0);
	CU_ASSERT_EQUAL(state_target_put(writer, "/o", "s2", "h1", "/o.conf", true, &target), 0);
	CU_ASSERT_EQUAL(state_begin(s.state), 0);
	CU_ASSERT_EQUAL(state_commit(s.state), 0);
	check_row(&row, "k1", "user.a");
	state_close(writer);
	scene_end(&s);
}

static const struct test_case cases[] = {
	CASE(counts_open_findings_by_severity),
	CASE(a_severity_that_is_not_known_is_critical),
	CASE(of_two_sights_the_worse_severity_stays),
	CASE(lists_them_with_or_without_notices),
	CASE(tells_each_mailbox_with_open_findings_once),
	CASE(finds_a_mailbox_by_key_and_by_name),
	CASE(finds_only_what_the_run_itself_has_listed),
	CASE(looking_for_a_mailbox_does_not_hold_up_a_write),
};

const struct test_suite suite_state_findings = { "state/findings", cases, array_size(cases) };

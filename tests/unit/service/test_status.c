// SPDX-License-Identifier: Apache-2.0
/*
 * What follows from what is known of a copy: every way in which it is not ok, each alone and beside
 * the others, and that nothing unknown ever reads as good.
 */
#include "suites.h"

#include <CUnit/CUnit.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "service/status.h"

#define HOUR_NS (3600 * NS_PER_S)
#define NOW_NS (1000000 * NS_PER_S)

static const struct status base = {
	.now_ns = NOW_NS,
	.max_age_ns = 36 * HOUR_NS,
	.aging_ns = 32 * HOUR_NS,
};

static struct run run_of(int64_t id, enum run_status status, int64_t began_ns)
{
	return (struct run){
		.id = id,
		.status = status,
		.started_ns = began_ns,
		.ended_ns = status == RUN_RUNNING ? 0 : began_ns + HOUR_NS,
		.gaps = status == RUN_INCOMPLETE ? 3 : 0,
	};
}

/* A copy that was verified 9 h ago, with nothing found. */
static struct copy_status good_copy(void)
{
	struct run run = run_of(1, RUN_COMPLETE, NOW_NS - 9 * HOUR_NS);

	return (struct copy_status){
		.store = strdup("s1"),
		.host = strdup("h1"),
		.role = ROLE_REPLICA,
		.target = 1,
		.has_run = true,
		.has_ended = true,
		.has_complete = true,
		.last = run,
		.last_ended = run,
		.last_complete = run,
		.scan = COPY_SCAN_NONE,
		.oldest_ns = run.started_ns,
		.bytes = 1000,
	};
}

static void copy_free(struct copy_status *copy)
{
	struct status owner = { .copies = malloc(sizeof(*copy)), .nr_copies = 1 };

	CU_ASSERT_PTR_NOT_NULL_FATAL(owner.copies);
	owner.copies[0] = *copy;
	status_fini(&owner);
	status_fini(&owner);
}

/* Judges and frees it; some reason holds `words`. */
static void check(struct copy_status copy, enum copy_verdict verdict, enum copy_verdict coverage,
		  const char *words)
{
	bool is_said = false;

	status_judge(&base, &copy);
	CU_ASSERT_EQUAL(copy.verdict, verdict);
	CU_ASSERT_EQUAL(copy.coverage, coverage);
	CU_ASSERT_TRUE(copy.nr_reasons > 0);
	for (size_t i = 0; i < copy.nr_reasons; i++)
		is_said |= strstr(buf_str(&copy.reasons[i]), words) != NULL;
	if (!is_said)
		printf("# wanted: %s; first: %s\n", words, buf_str(&copy.reasons[0]));
	CU_ASSERT_TRUE(is_said);
	copy_free(&copy);
}

static void what_is_young_and_clean_is_ok(void)
{
	struct copy_status copy = good_copy();

	check(copy, COPY_OK, COPY_OK, "verified within 1 d 12 h, nothing open");
	copy = good_copy();
	copy.last_complete.buffered = 1;
	check(copy, COPY_OK, COPY_OK, "partly read through the page cache");
	copy = good_copy();
	copy.role = ROLE_UNKNOWN;
	check(copy, COPY_OK, COPY_OK, "not in the configuration");
}

static void max_scan_age_is_the_last_moment_that_is_ok(void)
{
	struct copy_status copy = good_copy();

	copy.oldest_ns = NOW_NS - base.max_age_ns;
	check(copy, COPY_OK, COPY_OK, "stale in");
	copy = good_copy();
	copy.oldest_ns = NOW_NS - base.max_age_ns - 1;
	check(copy, COPY_STALE, COPY_STALE, "more than 1 d 12 h");
	/* It is the oldest byte that counts, not when the run ended. */
	copy = good_copy();
	copy.oldest_ns = NOW_NS - 40 * HOUR_NS;
	check(copy, COPY_STALE, COPY_STALE, "1 d 16 h ago");
}

static void is_aging_before_it_is_stale_and_only_when_it_is_ok(void)
{
	static const struct {
		int64_t age_ns;
		uint64_t findings;
		bool is_aging;
	} rows[] = {
		{ 32 * HOUR_NS, 0, false },	{ 32 * HOUR_NS + 1, 0, true },
		{ 36 * HOUR_NS, 0, true },	{ 36 * HOUR_NS + 1, 0, false },
		{ 32 * HOUR_NS + 1, 2, false },
	};

	for (size_t i = 0; i < array_size(rows); i++) {
		struct copy_status copy = good_copy();
		copy.oldest_ns = NOW_NS - rows[i].age_ns;
		copy.findings = rows[i].findings;
		status_judge(&base, &copy);
		CU_ASSERT_EQUAL(copy.is_aging, rows[i].is_aging);
		copy_free(&copy);
	}
}

static void what_cannot_be_told_is_unknown(void)
{
	struct copy_status copy = good_copy();

	copy.has_run = copy.has_ended = copy.has_complete = false;
	check(copy, COPY_UNKNOWN, COPY_UNKNOWN, "never scanned");
	copy = good_copy();
	copy.has_complete = false;
	copy.last.status = copy.last_ended.status = RUN_INCOMPLETE;
	check(copy, COPY_UNKNOWN, COPY_UNKNOWN, "no scan was ever complete");
	copy = good_copy();
	copy.oldest_ns = 0;
	check(copy, COPY_UNKNOWN, COPY_UNKNOWN, "cannot be told");
	copy = good_copy();
	copy.oldest_ns = NOW_NS + 1;
	check(copy, COPY_UNKNOWN, COPY_UNKNOWN, "in the future");
	copy = good_copy();
	copy.state_error = -EIO;
	check(copy, COPY_UNKNOWN, COPY_UNKNOWN, "the state cannot be read");
	copy = good_copy();
	copy.target_error = -ENODEV;
	check(copy, COPY_UNKNOWN, COPY_OK, "cannot be reached now");
}

/* Without a complete run, no open finding does not mean none. */
static void no_finding_is_known_only_of_what_was_verified(void)
{
	struct copy_status copy = good_copy();

	status_judge(&base, &copy);
	CU_ASSERT_TRUE(copy.knows_findings);
	copy_free(&copy);
	copy = good_copy();
	copy.has_complete = false;
	status_judge(&base, &copy);
	CU_ASSERT_FALSE(copy.knows_findings);
	copy_free(&copy);
	copy = good_copy();
	copy.has_complete = false;
	copy.findings = 1;
	status_judge(&base, &copy);
	CU_ASSERT_TRUE(copy.knows_findings);
	CU_ASSERT_EQUAL(copy.verdict, COPY_FINDINGS);
	CU_ASSERT_EQUAL(copy.coverage, COPY_UNKNOWN);
	copy_free(&copy);
}

static void a_later_run_that_ended_and_was_not_complete_leaves_it_unknown(void)
{
	static const enum run_status statuses[] = { RUN_INCOMPLETE, RUN_VOID, RUN_STATUS_COUNT_ };
	static const char *const words[] = { "incomplete: 3 gaps", "void", "not understood" };

	for (size_t i = 0; i < array_size(statuses); i++) {
		struct copy_status copy = good_copy();
		copy.last = run_of(2, statuses[i], NOW_NS - 2 * HOUR_NS);
		copy.last_ended = copy.last;
		check(copy, COPY_UNKNOWN, COPY_OK, words[i]);
	}
}

static void a_later_run_that_did_not_end_takes_nothing_away(void)
{
	struct copy_status copy = good_copy();

	copy.last = run_of(2, RUN_INTERRUPTED, NOW_NS - 2 * HOUR_NS);
	check(copy, COPY_OK, COPY_OK, "begun 2 h ago was interrupted");
	copy = good_copy();
	copy.last = run_of(2, RUN_RUNNING, NOW_NS - 2 * HOUR_NS);
	check(copy, COPY_OK, COPY_OK, "begun 2 h ago was killed");
	copy = good_copy();
	copy.last = run_of(2, RUN_RUNNING, NOW_NS - 2 * HOUR_NS);
	copy.latest = copy.last;
	copy.scan = COPY_SCAN_RUNNING;
	check(copy, COPY_OK, COPY_OK, "being scanned for 2 h");
}

/* The last run is that of the whole store; only that a part is being looked at is said. */
static void a_scan_of_a_part_changes_nothing(void)
{
	struct copy_status copy = good_copy();

	copy.latest = run_of(2, RUN_RUNNING, NOW_NS - 3 * HOUR_NS);
	(void)snprintf(copy.latest.scope, sizeof(copy.latest.scope), "mailbox user.a\n");
	copy.scan = COPY_SCAN_RUNNING;
	check(copy, COPY_OK, COPY_OK, "being scanned for 3 h (only: mailbox user.a\\x0a)");
	copy = good_copy();
	copy.latest = run_of(2, RUN_VOID, NOW_NS - 3 * HOUR_NS);
	check(copy, COPY_OK, COPY_OK, "verified within 1 d 12 h, nothing open");
	copy = good_copy();
	copy.has_run = copy.has_ended = copy.has_complete = false;
	copy.latest = run_of(2, RUN_COMPLETE, NOW_NS - 3 * HOUR_NS);
	check(copy, COPY_UNKNOWN, COPY_UNKNOWN, "never scanned as a whole");
}

static void notices_are_told_and_change_no_verdict(void)
{
	struct copy_status copy = good_copy();

	copy.notices = 2;
	check(copy, COPY_OK, COPY_OK, "verified within 1 d 12 h, nothing open but notices");
	copy = good_copy();
	copy.notices = 1;
	check(copy, COPY_OK, COPY_OK, "1 notice, harmless: assay findings list s1@h1");
	copy = good_copy();
	copy.notices = 2;
	copy.findings = 1;
	check(copy, COPY_FINDINGS, COPY_OK, "2 notices, harmless");
	copy = good_copy();
	copy.notices = 2;
	copy.findings = 1;
	check(copy, COPY_FINDINGS, COPY_OK, "1 finding open");
	copy = good_copy();
	copy.notices = 2;
	copy.oldest_ns = NOW_NS - 40 * HOUR_NS;
	check(copy, COPY_STALE, COPY_STALE, "2 notices, harmless");
	/* Nor do they say that there is nothing worse. */
	copy = good_copy();
	copy.notices = 2;
	copy.has_complete = false;
	status_judge(&base, &copy);
	CU_ASSERT_FALSE(copy.knows_findings);
	CU_ASSERT_EQUAL(copy.verdict, COPY_UNKNOWN);
	copy_free(&copy);
}

static void findings_outweigh_stale_which_outweighs_unknown(void)
{
	struct copy_status copy = good_copy();

	copy.oldest_ns = NOW_NS - 40 * HOUR_NS;
	copy.target_error = -ENODEV;
	check(copy, COPY_STALE, COPY_STALE, "cannot be reached");
	copy = good_copy();
	copy.oldest_ns = NOW_NS - 40 * HOUR_NS;
	copy.target_error = -ENODEV;
	copy.findings = 2;
	check(copy, COPY_FINDINGS, COPY_STALE, "2 findings open: assay findings list s1@h1");
}

static void reasons_are_printable_whatever_the_names_are(void)
{
	struct copy_status copy = good_copy();

	free(copy.store);
	copy.store = strdup("/x\x1b[2J\n");
	copy.findings = 1;
	check(copy, COPY_FINDINGS, COPY_OK, "/x\\x1b[2J\\x0a@h1");
}

static struct status status_of_three(void)
{
	static const char *const names[][2] = { { "s1", "h1" }, { "s1", "h2" }, { "s1@x", "h1" } };
	struct status status = base;

	status.copies = calloc(array_size(names), sizeof(*status.copies));
	CU_ASSERT_PTR_NOT_NULL_FATAL(status.copies);
	for (size_t i = 0; i < array_size(names); i++) {
		struct copy_status *copy = &status.copies[status.nr_copies++];
		copy->store = strdup(names[i][0]);
		copy->host = strdup(names[i][1]);
		copy->role = i == 1 ? ROLE_MASTER : ROLE_UNKNOWN;
	}
	return status;
}

static void selects_by_store_by_store_and_host_and_by_configuration(void)
{
	static const struct {
		char *names[2];
		int nr_names;
		bool configured_only;
		const char *stranger;
		size_t nr_left;
	} rows[] = {
		{ { NULL }, 0, false, NULL, 3 },
		{ { NULL }, 0, true, NULL, 1 },
		{ { "s1" }, 1, false, NULL, 2 },
		{ { "s1@h2" }, 1, false, NULL, 1 },
		{ { "s1@x@h1" }, 1, false, NULL, 1 },
		{ { "s1@h2", "s1" }, 2, false, NULL, 2 },
		{ { "s1@h3" }, 1, false, "s1@h3", 3 },
		{ { "s" }, 1, false, "s", 3 },
		{ { "s1", "" }, 2, false, "", 3 },
		{ { "s1@h1" }, 1, true, "s1@h1", 1 },
	};

	for (size_t i = 0; i < array_size(rows); i++) {
		struct status status = status_of_three();
		const char *stranger = status_select(&status, rows[i].names, rows[i].nr_names,
						     rows[i].configured_only);
		CU_ASSERT_EQUAL(stranger != NULL, rows[i].stranger != NULL);
		if (stranger && rows[i].stranger)
			CU_ASSERT_STRING_EQUAL(stranger, rows[i].stranger);
		CU_ASSERT_EQUAL(status.nr_copies, rows[i].nr_left);
		status_fini(&status);
	}
}

static void names_every_verdict_and_scan(void)
{
	for (int i = 0; i < COPY_VERDICT_COUNT_; i++)
		CU_ASSERT_PTR_NOT_NULL(copy_verdict_name((enum copy_verdict)i));
	CU_ASSERT_PTR_NULL(copy_verdict_name(COPY_VERDICT_COUNT_));
	for (int i = 0; i < COPY_SCAN_COUNT_; i++)
		CU_ASSERT_PTR_NOT_NULL(copy_scan_name((enum copy_scan)i));
	CU_ASSERT_PTR_NULL(copy_scan_name(COPY_SCAN_COUNT_));
}

static const struct test_case cases[] = {
	CASE(what_is_young_and_clean_is_ok),
	CASE(max_scan_age_is_the_last_moment_that_is_ok),
	CASE(is_aging_before_it_is_stale_and_only_when_it_is_ok),
	CASE(what_cannot_be_told_is_unknown),
	CASE(no_finding_is_known_only_of_what_was_verified),
	CASE(a_later_run_that_ended_and_was_not_complete_leaves_it_unknown),
	CASE(a_later_run_that_did_not_end_takes_nothing_away),
	CASE(a_scan_of_a_part_changes_nothing),
	CASE(notices_are_told_and_change_no_verdict),
	CASE(findings_outweigh_stale_which_outweighs_unknown),
	CASE(reasons_are_printable_whatever_the_names_are),
	CASE(selects_by_store_by_store_and_host_and_by_configuration),
	CASE(names_every_verdict_and_scan),
};

const struct test_suite suite_service_status = { "service/status", cases, array_size(cases) };

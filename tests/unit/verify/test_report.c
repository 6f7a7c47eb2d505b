// SPDX-License-Identifier: Apache-2.0
/*
 * Report: problems by name up to a bound, the rest by number; and which of them stand at the second
 * look.
 */
#include "suites.h"

#include <CUnit/CUnit.h>
#include <stdio.h>
#include <string.h>

#include "base/compiler.h"
#include "verify/report.h"

static void keeps_problems_up_to_its_bound(void)
{
	struct report report = REPORT_NULL;

	CU_ASSERT_TRUE(report_is_clean(&report));
	for (unsigned i = 0; i < REPORT_MAX + 10; i++) {
		struct problem *problem = report_add(&report, FINDING_CACHE_RECORD,
						     MAILBOX_FILE_CACHE, "cyrus.cache", "cache:%u",
						     i);
		CU_ASSERT_PTR_NOT_NULL_FATAL(problem);
		problem->uid = i;
	}
	CU_ASSERT_EQUAL(report.nr, REPORT_MAX);
	CU_ASSERT_EQUAL(report.nr_left_out, 10);
	CU_ASSERT_FALSE(report.has_failed);
	CU_ASSERT_FALSE(report_is_clean(&report));
	for (unsigned i = 0; i < report.nr; i++)
		CU_ASSERT_EQUAL(report.problems[i].uid, i);
	report_fini(&report);
	report_fini(&report);
	CU_ASSERT_TRUE(report_is_clean(&report));
}

static void finds_a_problem_by_code_and_object(void)
{
	struct report report = REPORT_NULL;
	struct problem like = { .code = FINDING_HEADER_ACL, .object = "header:acl" };

	(void)report_add(&report, FINDING_HEADER_NAME, MAILBOX_FILE_HEADER, "cyrus.header",
			 "header:acl");
	CU_ASSERT_PTR_NULL(report_find(&report, &like));
	(void)report_add(&report, FINDING_HEADER_ACL, MAILBOX_FILE_HEADER, "cyrus.header",
			 "header:%s", "acl");
	CU_ASSERT_PTR_EQUAL(report_find(&report, &like), &report.problems[1]);
	(void)snprintf(like.object, sizeof(like.object), "header:name");
	CU_ASSERT_PTR_NULL(report_find(&report, &like));
	report_fini(&report);
}

static void lets_what_is_between_files_stand_only_to_the_letter(void)
{
	struct problem first = {
		.code = FINDING_HEADER_NAME, .recorded = "a", .observed = "b", .detail = "c"
	};
	struct problem second = first;

	second.is_between = true;
	CU_ASSERT_TRUE(problem_stands(&first, &second));
	(void)snprintf(second.observed, sizeof(second.observed), "d");
	CU_ASSERT_FALSE(problem_stands(&first, &second));
	second.is_between = false;
	CU_ASSERT_TRUE(problem_stands(&first, &second));
}

static void says_why_something_could_not_be_checked(void)
{
	struct report report = REPORT_NULL;

	report_add_gap(&report, MAILBOX_FILE_HEADER, "cyrus.header", "%s", "no rights");
	CU_ASSERT_EQUAL_FATAL(report.nr, 1);
	CU_ASSERT_EQUAL(report.problems[0].code, FINDING_CODE_COUNT_);
	CU_ASSERT_STRING_EQUAL(report.problems[0].detail, "no rights");
	report_fini(&report);
}

static const struct test_case cases[] = {
	CASE(keeps_problems_up_to_its_bound),
	CASE(finds_a_problem_by_code_and_object),
	CASE(lets_what_is_between_files_stand_only_to_the_letter),
	CASE(says_why_something_could_not_be_checked),
};

const struct test_suite suite_verify_report = { "verify/report", cases, array_size(cases) };

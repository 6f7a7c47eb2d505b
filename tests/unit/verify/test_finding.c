// SPDX-License-Identifier: Apache-2.0
/*
 * Findings by code: the names, verdicts and severities that programs rely on, and advice for each of them.
 */
#include "suites.h"

#include <CUnit/CUnit.h>
#include <string.h>

#include "base/compiler.h"
#include "verify/finding.h"

#define CRITICAL ASSAY_SEVERITY_CRITICAL
#define WARNING ASSAY_SEVERITY_WARNING

static void keeps_the_names_verdicts_and_severities_that_programs_know(void)
{
	static const struct {
		enum finding_code code;
		const char *name;
		enum assay_verdict verdict;
		enum assay_severity severity;
	} rows[] = {
		{ FINDING_MESSAGE_DIGEST, "message.digest", ASSAY_CORRUPT, CRITICAL },
		{ FINDING_MESSAGE_SIZE, "message.size", ASSAY_CORRUPT, CRITICAL },
		{ FINDING_MESSAGE_MISSING, "message.missing", ASSAY_MISSING, CRITICAL },
		{ FINDING_MESSAGE_MISPLACED, "message.misplaced", ASSAY_MISSING, CRITICAL },
		{ FINDING_MESSAGE_NOT_REGULAR, "message.not_regular", ASSAY_MISSING, CRITICAL },
		{ FINDING_MESSAGE_UNREADABLE, "message.unreadable", ASSAY_UNREADABLE, CRITICAL },
		{ FINDING_MESSAGE_FLAKY, "message.flaky", ASSAY_FLAKY, CRITICAL },
		{ FINDING_MESSAGE_EXTRA, "message.extra", ASSAY_EXTRA, WARNING },
		{ FINDING_INDEX_RECORD_CRC, "index.record_crc", ASSAY_CORRUPT, CRITICAL },
		{ FINDING_INDEX_ORDER, "index.order", ASSAY_CORRUPT, CRITICAL },
		{ FINDING_INDEX_HEADER, "index.header", ASSAY_CORRUPT, CRITICAL },
		{ FINDING_INDEX_TRUNCATED, "index.truncated", ASSAY_CORRUPT, CRITICAL },
		{ FINDING_INDEX_MISSING, "index.missing", ASSAY_MISSING, CRITICAL },
		{ FINDING_INDEX_UNREADABLE, "index.unreadable", ASSAY_UNREADABLE, CRITICAL },
		{ FINDING_MAILBOX_MISSING, "mailbox.missing", ASSAY_MISSING, CRITICAL },
		{ FINDING_MAILBOX_UNREADABLE, "mailbox.unreadable", ASSAY_UNREADABLE, CRITICAL },
		{ FINDING_LIST_CORRUPT, "mailboxes_db.corrupt", ASSAY_CORRUPT, CRITICAL },
		{ FINDING_LIST_UNREADABLE, "mailboxes_db.unreadable", ASSAY_UNREADABLE, CRITICAL },
	};

	CU_ASSERT_EQUAL(array_size(rows), FINDING_CODE_COUNT_);
	for (size_t i = 0; i < array_size(rows); i++) {
		CU_ASSERT_STRING_EQUAL(finding_code_name(rows[i].code), rows[i].name);
		CU_ASSERT_EQUAL(finding_code_verdict(rows[i].code), rows[i].verdict);
		CU_ASSERT_EQUAL(finding_code_severity(rows[i].code), rows[i].severity);
	}
}

static void gives_advice_for_every_code_and_every_name(void)
{
	const char *unknown = finding_advice("something.else");

	CU_ASSERT_PTR_NOT_NULL_FATAL(unknown);
	CU_ASSERT_PTR_NOT_NULL(finding_advice(""));
	for (int i = 0; i < FINDING_CODE_COUNT_; i++) {
		const char *advice = finding_advice(finding_code_name((enum finding_code)i));
		CU_ASSERT_PTR_NOT_NULL_FATAL(advice);
		CU_ASSERT_TRUE(strlen(advice) > 20);
		CU_ASSERT_STRING_NOT_EQUAL(advice, unknown);
	}
}

static void knows_nothing_outside_the_codes(void)
{
	CU_ASSERT_PTR_NULL(finding_code_name(FINDING_CODE_COUNT_));
	CU_ASSERT_PTR_NULL(finding_code_name((enum finding_code)1000));
	CU_ASSERT_EQUAL(finding_code_verdict(FINDING_CODE_COUNT_), ASSAY_UNKNOWN);
	CU_ASSERT_EQUAL(finding_code_severity(FINDING_CODE_COUNT_), ASSAY_SEVERITY_CRITICAL);
}

static const struct test_case cases[] = {
	CASE(keeps_the_names_verdicts_and_severities_that_programs_know),
	CASE(gives_advice_for_every_code_and_every_name),
	CASE(knows_nothing_outside_the_codes),
};

const struct test_suite suite_verify_finding = { "verify/finding", cases, array_size(cases) };

// SPDX-License-Identifier: Apache-2.0
/*
 * Quota roots: both grammars, every number, and nothing that stands outside them.
 */
#include "suites.h"

#include <CUnit/CUnit.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "format/cyrus/quota.h"

/* What is expected of one resource; used < 0: not given. */
struct expected {
	int64_t used, limit;
};

static const struct expected NOT_GIVEN = { -1, -1 };

static void expect(const char *text, const struct expected wanted[QUOTA_RESOURCE_COUNT_])
{
	struct quota quota;

	CU_ASSERT_EQUAL_FATAL(quota_parse(span_of_str(text), &quota), 0);
	for (unsigned i = 0; i < QUOTA_RESOURCE_COUNT_; i++) {
		CU_ASSERT_EQUAL(quota.resources[i].is_given, wanted[i].used >= 0);
		CU_ASSERT_EQUAL(quota.resources[i].used, (uint64_t)max_of(wanted[i].used, 0));
		CU_ASSERT_EQUAL(quota.resources[i].limit, wanted[i].limit);
	}
}

static void reads_what_3_6_1_wrote(void)
{
	expect("%(S (11524118 1000000) M (120 1000) AS (48 500) NF (11 50) MODSEQ 178)\n",
	       (const struct expected[]){
		       { 11524118, 1000000 }, { 120, 1000 }, { 48, 500 }, { 11, 50 } });
	expect("%(S (6598837) M (47 10) AS (0) NF (11) MODSEQ 71)\n",
	       (const struct expected[]){ { 6598837, -1 }, { 47, 10 }, { 0, -1 }, { 11, -1 } });
	expect("%(S (2124859) M (18) AS (0) NF (11) MODSEQ 42)\n",
	       (const struct expected[]){ { 2124859, -1 }, { 18, -1 }, { 0, -1 }, { 11, -1 } });
	/* As a record of a database has it. */
	expect("%(S (0 1000000) M (0) AS (0) NF (11) MODSEQ 23)",
	       (const struct expected[]){ { 0, 1000000 }, { 0, -1 }, { 0, -1 }, { 11, -1 } });
}

static void reads_each_field_alone(void)
{
	static const char *const keys[] = { "S", "M", "AS", "NF" };
	char text[64];

	for (unsigned i = 0; i < QUOTA_RESOURCE_COUNT_; i++) {
		struct expected wanted[QUOTA_RESOURCE_COUNT_] = { NOT_GIVEN, NOT_GIVEN, NOT_GIVEN,
								  NOT_GIVEN };
		wanted[i] = (struct expected){ 5, 6 };
		(void)snprintf(text, sizeof(text), "%%(%s (5 6))\n", keys[i]);
		expect(text, wanted);
	}
	expect("%()\n", (const struct expected[]){ NOT_GIVEN, NOT_GIVEN, NOT_GIVEN, NOT_GIVEN });
}

static void passes_over_what_is_not_known(void)
{
	expect("%(X (1 2) S (3 4) SCAN %(MBOX user.a S 7 M 1) MODSEQ 9 s (8) ST 1 Z NIL)\n",
	       (const struct expected[]){ { 3, 4 }, NOT_GIVEN, NOT_GIVEN, NOT_GIVEN });
}

static void reads_the_lines_of_older_releases(void)
{
	static const struct {
		const char *text;
		struct expected storage;
	} cases[] = {
		{ "26660\n1000000\n", { 26660, 1000000 } },
		{ "26660 1000000", { 26660, 1000000 } },
		{ "0 -1", { 0, -1 } },
		{ "0\n-1\n", { 0, -1 } },
		{ "0\n0\n", { 0, 0 } },
		{ "17\n4 99\n", { 17, 4 } },
		{ "17 4 99", { 17, 4 } },
		{ "17\n4\n99\n", { 17, 4 } },
	};

	for (size_t i = 0; i < array_size(cases); i++)
		expect(cases[i].text, (const struct expected[]){ cases[i].storage, NOT_GIVEN,
								 NOT_GIVEN, NOT_GIVEN });
}

static void takes_numbers_of_64_bits_and_no_more(void)
{
	struct quota quota;

	CU_ASSERT_EQUAL(quota_parse(span_of_str("%(S (18446744073709551615 9223372036854775807))"),
				    &quota),
			0);
	CU_ASSERT_EQUAL(quota.resources[QUOTA_STORAGE].used, UINT64_MAX);
	CU_ASSERT_EQUAL(quota.resources[QUOTA_STORAGE].limit, INT64_MAX);
	CU_ASSERT_EQUAL(
		quota_parse(span_of_str("18446744073709551615\n9223372036854775807\n"), &quota), 0);
	CU_ASSERT_EQUAL(quota.resources[QUOTA_STORAGE].used, UINT64_MAX);
	CU_ASSERT_EQUAL(quota.resources[QUOTA_STORAGE].limit, INT64_MAX);
}

static void refuses_what_is_outside_both(void)
{
	static const char *const wrong[] = {
		"",
		"\n",
		" ",
		"1",
		"1\n",
		"1 ",
		"1 2 ",
		"1\n2",
		"1\n2\n\n",
		"1 2\n",
		"1  2",
		" 1 2",
		"1\n2 3 4\n",
		"1\n-2\n",
		"-1\n2\n",
		"1\nx\n",
		"x\n1\n",
		"1\n2 x\n",
		"1\n2 M 3 4\n",
		"1\t2",
		"1\r\n2\r\n",
		"18446744073709551616\n2\n",
		"1\n9223372036854775808\n",
		"%",
		"%(",
		"%()x",
		"%()\n\n",
		"%() \n",
		"%() NIL",
		"%(S)",
		"%(S ())",
		"%(S 1)",
		"%(S NIL)",
		"%(S %(1 2))",
		"%(S (x))",
		"%(S (1 x))",
		"%(S (1 -1))",
		"%(S (-1 1))",
		"%(S (1 2 3))",
		"%(S (1 2 x))",
		"%(S ((1) 2))",
		"%(S (1 (2)))",
		"%(S (NIL 2))",
		"%(S (1 NIL))",
		"%(S (\"\\1\" 2))",
		"%(S (18446744073709551616))",
		"%(S (1 9223372036854775808))",
		"%(S (1 2) S (1 2))",
		"%(S (1 2) NF)",
		"%(S (1 2)",
		"%(M (1 2) M (1 2))",
		"%(AS x)",
		"%(NF (1 2 3))",
		"(S (1 2))",
		"S (1 2)",
	};
	struct quota quota;

	for (size_t i = 0; i < array_size(wrong); i++) {
		CU_ASSERT_EQUAL(quota_parse(span_of_str(wrong[i]), &quota), -EBADMSG);
		/* As a file would have it. */
		struct buf line = BUF_NULL;
		buf_addf(&line, "%s\n", wrong[i]);
		if (strcmp(wrong[i], "1\n2") != 0)
			CU_ASSERT_EQUAL(quota_parse(buf_span(&line), &quota), -EBADMSG);
		buf_fini(&line);
	}
	CU_ASSERT_EQUAL(quota_parse(span_of("1\0002", 3), &quota), -EBADMSG);
	CU_ASSERT_EQUAL(quota_parse(span_of("1\n2\0\n", 5), &quota), -EBADMSG);
}

/* A cut is refused, but for the LF at the end, which a database lacks too. */
static void refuses_every_cut_of_a_list(void)
{
	static const char text[] = "%(S (11524118 1000000) M (120 1000) AS (48 500) MODSEQ 178)\n";

	for (size_t len = 0; len < sizeof(text) - 1; len++) {
		char *copy = malloc(len ? len : 1);
		struct quota quota;
		CU_ASSERT_PTR_NOT_NULL_FATAL(copy);
		memcpy(copy, text, len);
		CU_ASSERT_EQUAL(quota_parse(span_of(copy, len), &quota),
				len + 2 < sizeof(text) ? -EBADMSG : 0);
		free(copy);
	}
}

static void refuses_every_cut_of_lines(void)
{
	static const char text[] = "26660\n1000000\n";
	struct quota quota;

	for (size_t len = 0; len < sizeof(text) - 1; len++)
		CU_ASSERT_EQUAL(quota_parse(span_of(text, len), &quota), -EBADMSG);
}

static void names_each_resource(void)
{
	CU_ASSERT_STRING_EQUAL(quota_resource_name(QUOTA_STORAGE), "storage");
	CU_ASSERT_STRING_EQUAL(quota_resource_name(QUOTA_MESSAGES), "messages");
	CU_ASSERT_STRING_EQUAL(quota_resource_name(QUOTA_ANNOTATIONS), "annotations");
	CU_ASSERT_STRING_EQUAL(quota_resource_name(QUOTA_FOLDERS), "folders");
	CU_ASSERT_PTR_NULL(quota_resource_name(QUOTA_RESOURCE_COUNT_));
}

static const struct test_case cases[] = {
	CASE(reads_what_3_6_1_wrote),
	CASE(reads_each_field_alone),
	CASE(passes_over_what_is_not_known),
	CASE(reads_the_lines_of_older_releases),
	CASE(takes_numbers_of_64_bits_and_no_more),
	CASE(refuses_what_is_outside_both),
	CASE(refuses_every_cut_of_a_list),
	CASE(refuses_every_cut_of_lines),
	CASE(names_each_resource),
};

const struct test_suite suite_format_quota = { "format/quota", cases, array_size(cases) };

// SPDX-License-Identifier: Apache-2.0
/*
 * Rights on mailboxes: both dialects come to one form, what could not be taken apart again is
 * refused, and order means nothing.
 */
#include "suites.h"

#include <CUnit/CUnit.h>
#include <errno.h>
#include <stdlib.h>

#include "format/cyrus/acl.h"

#define MARK "mark" /* what stands in the buffer before */

/* The result, and that the buffer holds the mark and then `expected`, or the mark alone. */
static void assert_added(int r, struct buf *b, const char *text, const char *expected)
{
	struct buf whole = BUF_NULL;

	buf_addf(&whole, MARK "%s", expected ? expected : "");
	(void)CU_assertImplementation(r == (expected ? 0 : -EBADMSG) &&
					      span_equals(buf_span(b), buf_span(&whole)),
				      __LINE__, text, __FILE__, "", CU_FALSE);
	buf_fini(&whole);
	buf_fini(b);
}

static void assert_dlist(const char *text, uint64_t len, const char *expected)
{
	struct dlist_cursor cursor = { span_of(text, len) };
	struct buf b = BUF_NULL;
	struct dlist_value value;

	CU_ASSERT_EQUAL_FATAL(dlist_next(&cursor, &value), 0);
	buf_add_str(&b, MARK);
	int r = acl_add_dlist(&b, value);
	assert_added(r, &b, text, expected);
}

static void assert_text(const char *text, uint64_t len, const char *expected)
{
	struct buf b = BUF_NULL;

	buf_add_str(&b, MARK);
	int r = acl_add_text(&b, span_of(text, len));
	assert_added(r, &b, text, expected);
}

static void brings_dlists_into_the_common_form(void)
{
	static const struct {
		const char *text, *expected;
	} cases[] = {
		{ "%(alice lrswipkxtecdan b.ob lrs)", "alice\tlrswipkxtecdan\tb.ob\tlrs\t" },
		{ "%(anyone p)", "anyone\tp\t" },
		{ "%(-anyone lr alice lrs)", "-anyone\tlr\talice\tlrs\t" },
		{ "%(zoe@example.com lrs)", "zoe@example.com\tlrs\t" },
		{ "%(\"group:All Staff\" lrs {3+}\r\na)b lr)", "group:All Staff\tlrs\ta)b\tlr\t" },
		{ "%(alice \"lr\\s\")", "alice\tlrs\t" },
		{ "%(alice \"\")", "alice\t\t" },
		{ "%(NIL lrs)", "NIL\tlrs\t" },
		{ "%(b l a l b r)", "b\tl\ta\tl\tb\tr\t" },
		{ "%()", "" },
		{ "%( )", "" },
		{ "NIL", "" },
	};

	for (size_t i = 0; i < array_size(cases); i++)
		assert_dlist(cases[i].text, strlen(cases[i].text), cases[i].expected);
}

static void refuses_dlists_that_are_no_rights(void)
{
	static const char *const wrong[] = {
		"alice",
		"\"\"",
		"()",
		"(alice lrs)",
		"%(alice)",
		"%(alice lrs bob)",
		"%(alice (lrs))",
		"%(alice %(l r))",
		"%(alice NIL)",
		"%((alice) lrs)",
		"%(\"\" lrs)",
		"%(\"a\\b\" lrs)",
		"%(\"a\tb\" lrs)",
		"%({3}\r\na\nb lrs)",
		"%(alice \"l\ts\")",
		"%(alice \"l\\\ts\")",
		"%(alice {3}\r\nl\ns)",
		"%(alice lrs bob \"l\ts\")", /* nothing of alice stays behind */
	};
	static const char nul_in_id[] = "%({3}\r\na\0b lrs)";
	static const char nul_in_rights[] = "%(a {3}\r\nl\0s)";

	for (size_t i = 0; i < array_size(wrong); i++)
		assert_dlist(wrong[i], strlen(wrong[i]), NULL);
	assert_dlist(nul_in_id, sizeof(nul_in_id) - 1, NULL);
	assert_dlist(nul_in_rights, sizeof(nul_in_rights) - 1, NULL);
}

static void takes_text_that_can_be_taken_apart(void)
{
	static const char *const good[] = {
		"",
		"alice\tlrswipkxtecda\tanyone\tp\t",
		"-anyone\tlr\t",
		"group:All Staff\tlrs\t",
		"alice\t\t",
		"a\xc3\xa4\tlrs\t",
	};

	for (size_t i = 0; i < array_size(good); i++)
		assert_text(good[i], strlen(good[i]), good[i]);
}

static void refuses_text_that_cannot(void)
{
	static const char *const wrong[] = {
		"alice",
		"alice\t",
		"alice\tlrs",
		"alice\tlrs\tbob",
		"\t",
		"\tlrs\t",
		"alice\tlrs\t\t",
		"alice\tlrs\t\tlrs\t",
		"al\nice\tlrs\t",
		"alice\tl\nrs\t",
		"alice\tlrs\t\n",
		"alice lrs",
	};

	for (size_t i = 0; i < array_size(wrong); i++)
		assert_text(wrong[i], strlen(wrong[i]), NULL);
	assert_text("a\0b\tlrs\t", 8, NULL);
	assert_text("a\tl\0s\t", 6, NULL);
}

/* A text is good where an entry ends, and cut there it is another good text; else it is refused. */
static void refuses_text_cut_anywhere_within_an_entry(void)
{
	static const char text[] = "alice\tlrs\tbob\tl\t";
	unsigned good = 0;

	for (size_t len = 0; len < sizeof(text); len++) {
		char *copy = malloc(len ? len : 1);
		CU_ASSERT_PTR_NOT_NULL_FATAL(copy);
		memcpy(copy, text, len);
		struct buf b = BUF_NULL;
		good += acl_add_text(&b, span_of(copy, len)) == 0;
		buf_fini(&b);
		free(copy);
	}
	CU_ASSERT_EQUAL(good, 3); /* nothing, alice, both */
}

static void refuses_more_than_4096_entries(void)
{
	struct buf text = BUF_NULL, list = BUF_NULL, b = BUF_NULL;
	struct dlist_value value = { .kind = DLIST_KVLIST };

	for (unsigned i = 0; i < 4096; i++) {
		buf_addf(&text, "%u\tl\t", i);
		buf_addf(&list, "%u l ", i);
	}
	value.text = buf_span(&list);
	CU_ASSERT_EQUAL(acl_add_text(&b, buf_span(&text)), 0);
	CU_ASSERT(span_equals(buf_span(&b), buf_span(&text)));
	CU_ASSERT_EQUAL(acl_add_dlist(&b, value), 0);
	CU_ASSERT_EQUAL(b.len, text.len * 2);
	/* With another end, or it would be told equal without a look at its entries. */
	struct span short_of_one = span_of(text.data, text.len - strlen("4095\tl\t"));
	CU_ASSERT_FALSE(acl_equals(buf_span(&text), short_of_one));

	buf_add_str(&text, "x\tl\t");
	buf_add_str(&list, "x l");
	value.text = buf_span(&list);
	buf_clear(&b);
	CU_ASSERT_EQUAL(acl_add_text(&b, buf_span(&text)), -EBADMSG);
	CU_ASSERT_EQUAL(acl_add_dlist(&b, value), -EBADMSG);
	CU_ASSERT_EQUAL(b.len, 0);
	buf_fini(&text);
	buf_fini(&list);
	buf_fini(&b);
}

static void compares_rights_without_regard_to_order(void)
{
	static const struct {
		const char *a, *b;
		bool equal;
	} cases[] = {
		{ "", "", true },
		{ "alice\tlrs\t", "alice\tlrs\t", true },
		{ "alice\tlrs\t", "alice\tsrl\t", true },
		{ "alice\tlrs\t", "alice\tlrsl\t", true },
		{ "alice\tlrs\tbob\tl\t", "bob\tl\talice\trls\t", true },
		{ "alice\tlr\talice\ts\t", "alice\tlrs\t", true },
		{ "alice\tlrs\tbob\t\t", "alice\tlrs\t", true },
		{ "alice\t\t", "", true },
		{ "alice\tlrs\t", "", false },
		{ "alice\tlrs\t", "alice\tlr\t", false },
		{ "alice\tlrs\t", "alice\tlrx\t", false },
		{ "alice\tlrs\t", "alicf\tlrs\t", false },
		{ "alice\tlrs\t", "Alice\tlrs\t", false },
		{ "alice\tlrs\t", "-alice\tlrs\t", false },
		{ "alice\tlrs\tbob\tl\t", "alice\tlrs\t", false },
		{ "alice\tlrs\tbob\tl\t", "alice\tlrs\tbob\tr\t", false },
		{ "alice\tl\tbob\tr\t", "alice\tr\tbob\tl\t", false },
		{ "alice\t0\t", "alice\tp\t", false }, /* 64 apart */
		/* What is not in the common form equals itself alone. */
		{ "alice\tlrs", "alice\tlrs", true },
		{ "alice\tlrs", "alice\tlrs\t", false },
		{ "alice\tlrs\tbob", "alice\tsrl\tbob", false },
		{ "alice", "", false },
	};

	for (size_t i = 0; i < array_size(cases); i++) {
		CU_ASSERT_EQUAL(acl_equals(span_of_str(cases[i].a), span_of_str(cases[i].b)),
				cases[i].equal);
		CU_ASSERT_EQUAL(acl_equals(span_of_str(cases[i].b), span_of_str(cases[i].a)),
				cases[i].equal);
	}
	CU_ASSERT(acl_equals(SPAN_NULL, span_of_str("")));
}

static const struct test_case cases[] = {
	CASE(brings_dlists_into_the_common_form),	 CASE(refuses_dlists_that_are_no_rights),
	CASE(takes_text_that_can_be_taken_apart),	 CASE(refuses_text_that_cannot),
	CASE(refuses_text_cut_anywhere_within_an_entry), CASE(refuses_more_than_4096_entries),
	CASE(compares_rights_without_regard_to_order),
};

const struct test_suite suite_format_acl = { "format/acl", cases, array_size(cases) };

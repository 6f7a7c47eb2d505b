// SPDX-License-Identifier: Apache-2.0
/*
 * dlist text: what Cyrus writes is taken apart, what it cannot have written is refused, and no
 * length in the text leads outside it.
 */
#include "suites.h"

#include <CUnit/CUnit.h>
#include <errno.h>
#include <stdlib.h>

#include "format/cyrus/dlist.h"

/* Reads the one value that `text` is. The result of reading it, or 100 when more follows. */
static int read_one(const char *text, uint64_t len, struct dlist_value *ret_value)
{
	struct dlist_cursor cursor = { span_of(text, len) };
	struct dlist_value more;
	int r = dlist_next(&cursor, ret_value);

	if (r == 0 && dlist_next(&cursor, &more) != DLIST_END)
		return 100;
	return r;
}

static int read_text(const char *text, struct dlist_value *ret_value)
{
	return read_one(text, strlen(text), ret_value);
}

static void reads_one_value_of_each_kind(void)
{
	static const struct {
		const char *text;
		enum dlist_kind kind;
		const char *inside;
	} cases[] = {
		{ "NIL", DLIST_NIL, "NIL" },
		{ "nil", DLIST_ATOM, "nil" },
		{ "NILS", DLIST_ATOM, "NILS" },
		{ "\"NIL\"", DLIST_ATOM, "NIL" },
		{ "17", DLIST_ATOM, "17" },
		{ "user\037alice", DLIST_ATOM, "user\037alice" },
		{ "$Label1", DLIST_ATOM, "$Label1" },
		{ "a.b-c_d!^@#&'+,/:;<=>?[]`|}~", DLIST_ATOM, "a.b-c_d!^@#&'+,/:;<=>?[]`|}~" },
		{ "\"\"", DLIST_ATOM, "" },
		{ "\"two words\"", DLIST_ATOM, "two words" },
		{ "\"example.com\035user\037zoe\"", DLIST_ATOM, "example.com\035user\037zoe" },
		{ "\"(\"", DLIST_ATOM, "(" },
		{ "{0}\r\n", DLIST_ATOM, "" },
		{ "{3}\r\na)b", DLIST_ATOM, "a)b" },
		{ "{3+}\r\n\"{(", DLIST_ATOM, "\"{(" },
		{ "{003}\r\nabc", DLIST_ATOM, "abc" },
		{ "()", DLIST_LIST, "" },
		{ "(a b)", DLIST_LIST, "a b" },
		{ "( a )", DLIST_LIST, " a " },
		{ "%()", DLIST_KVLIST, "" },
		{ "%(K %(a b) L (c))", DLIST_KVLIST, "K %(a b) L (c)" },
		{ "(\")\" {1}\r\n) %())", DLIST_LIST, "\")\" {1}\r\n) %()" },
		{ "  a  ", DLIST_ATOM, "a" },
		{ "\t(a\r\nb)\n", DLIST_LIST, "a\r\nb" },
	};

	for (size_t i = 0; i < array_size(cases); i++) {
		struct dlist_value value;
		CU_ASSERT_EQUAL_FATAL(read_text(cases[i].text, &value), 0);
		CU_ASSERT_EQUAL(value.kind, cases[i].kind);
		CU_ASSERT(span_equals_str(value.text, cases[i].inside));
		CU_ASSERT_FALSE(value.escaped);
	}
}

static void refuses_text_outside_the_grammar(void)
{
	static const char *const wrong[] = {
		")",	       "(",	    "%(",
		"%",	       "%a",	    "%{",
		"(a",	       "%(a b",	    "(a))",
		"((a)",	       "a)",	    "(a)b",
		"a(b)",	       "(a(b))",    "\"a\"b",
		"(\"a\"b)",    "a\"b\"",    "\"",
		"\"a",	       "\"a\\\"",   "\"\\",
		"\"a\nb\"",    "\"a\r\"",   "\"\\\n\"",
		"{",	       "{}",	    "{}\r\n",
		"{+}\r\n",     "{1}",	    "{1}\r\n",
		"{1}\n1",      "{1}\r1",    "{2}\r\n1",
		"{-1}\r\n",    "{1 }\r\n1", "{a}\r\na",
		"{1++}\r\n1",  "{1}\r\n12", "{99999999999999999999}\r\n",
		"a*",	       "a\\b",	    "\\Seen",
		"*",	       "a\x7f",	    "\035",
		"a\036b",      "\xc3\xa9",  "a\001",
		"(a \x80)",    "(%)",	    "(% (a))",
		"%(a (b)c d)",
	};

	for (size_t i = 0; i < array_size(wrong); i++) {
		struct dlist_value value;
		int r = read_text(wrong[i], &value);
		CU_ASSERT(r == -EBADMSG || r == 100);
	}
}

static void leaves_the_cursor_where_it_failed(void)
{
	struct dlist_cursor cursor = { span_of_str("a \"b") };
	struct dlist_value value;

	CU_ASSERT_EQUAL(dlist_next(&cursor, &value), 0);
	CU_ASSERT_EQUAL(dlist_next(&cursor, &value), -EBADMSG);
	CU_ASSERT_EQUAL(dlist_next(&cursor, &value), -EBADMSG);
	CU_ASSERT(span_equals_str(cursor.rest, " \"b"));
}

static void refuses_nul_bytes_outside_literals(void)
{
	struct dlist_value value;

	CU_ASSERT_EQUAL(read_one("a\0b", 3, &value), -EBADMSG);
	CU_ASSERT_EQUAL(read_one("\"a\0b\"", 5, &value), -EBADMSG);
	CU_ASSERT_EQUAL(read_one("\"\\\0\"", 4, &value), -EBADMSG);
	CU_ASSERT_EQUAL(read_one("{3}\r\na\0b", 8, &value), 0);
	CU_ASSERT(span_equals(value.text, span_of("a\0b", 3)));
}

static void says_when_there_is_nothing_more(void)
{
	struct dlist_cursor cursor = { SPAN_NULL };
	struct dlist_value value;
	struct span key;

	CU_ASSERT_EQUAL(dlist_next(&cursor, &value), DLIST_END);
	CU_ASSERT_EQUAL(dlist_next_pair(&cursor, &key, &value), DLIST_END);
	cursor.rest = span_of_str(" \r\n");
	CU_ASSERT_EQUAL(dlist_next_pair(&cursor, &key, &value), DLIST_END);
	CU_ASSERT_EQUAL(dlist_next(&cursor, &value), DLIST_END);
	CU_ASSERT_EQUAL(dlist_next(&cursor, &value), DLIST_END);
}

/* `depth` lists, one in the other. */
static int read_nested(unsigned depth, const char *open)
{
	struct buf b = BUF_NULL;
	struct dlist_value value;

	for (unsigned i = 0; i < depth; i++)
		buf_add_str(&b, open);
	for (unsigned i = 0; i < depth; i++)
		buf_add_char(&b, ')');
	int r = read_one(buf_str(&b), b.len, &value);
	buf_fini(&b);
	return r;
}

static void takes_32_levels_of_nesting_and_no_more(void)
{
	CU_ASSERT_EQUAL(read_nested(32, "("), 0);
	CU_ASSERT_EQUAL(read_nested(33, "("), -EBADMSG);
	CU_ASSERT_EQUAL(read_nested(32, "%("), 0);
	CU_ASSERT_EQUAL(read_nested(33, "%("), -EBADMSG);
	CU_ASSERT_EQUAL(read_nested(500000, "("), -EBADMSG);
}

/* A run of `len` bytes between `before` and `after`. */
static int read_long(const char *before, size_t len, const char *after, uint64_t *ret_len)
{
	struct buf b = BUF_NULL;
	struct dlist_value value = { 0 };

	buf_add_str(&b, before);
	for (size_t i = 0; i < len; i++)
		buf_add_char(&b, 'x');
	buf_add_str(&b, after);
	int r = read_one(buf_str(&b), b.len, &value);
	*ret_len = value.text.len;
	buf_fini(&b);
	return r;
}

static void takes_64_kib_of_text_and_no_more(void)
{
	static const struct {
		const char *before, *before_more, *after;
	} cases[] = {
		{ "", "", "" },
		{ "\"", "\"", "\"" },
		{ "{65536}\r\n", "{65537}\r\n", "" },
	};
	uint64_t len;

	for (size_t i = 0; i < array_size(cases); i++) {
		CU_ASSERT_EQUAL(read_long(cases[i].before, 65536, cases[i].after, &len), 0);
		CU_ASSERT_EQUAL(len, 65536);
		CU_ASSERT_EQUAL(read_long(cases[i].before_more, 65537, cases[i].after, &len),
				-EBADMSG);
	}
}

static void walks_the_pairs_of_a_real_entry(void)
{
	static const char text[] = "%(T e I z2bnsgapj9lwlv3hqyb2ltbx P default V 1795450317 C 1 "
				   "F 21 M 1795450371 A %(alice lrswipkxtecdan b.ob lrs))";
	static const char *const keys[] = { "T", "I", "P", "V", "C", "F", "M", "A" };
	struct dlist_value value, right;
	struct span key;

	CU_ASSERT_EQUAL_FATAL(read_text(text, &value), 0);
	CU_ASSERT_EQUAL_FATAL(value.kind, DLIST_KVLIST);
	struct dlist_cursor cursor = dlist_enter(value);
	for (size_t i = 0; i < array_size(keys); i++) {
		CU_ASSERT_EQUAL(dlist_next_pair(&cursor, &key, &value), 0);
		CU_ASSERT(span_equals_str(key, keys[i]));
	}
	CU_ASSERT_EQUAL(value.kind, DLIST_KVLIST);
	cursor = dlist_enter(value);
	CU_ASSERT_EQUAL(dlist_next_pair(&cursor, &key, &right), 0);
	CU_ASSERT(span_equals_str(key, "alice"));
	CU_ASSERT(span_equals_str(right.text, "lrswipkxtecdan"));
	CU_ASSERT_EQUAL(dlist_next_pair(&cursor, &key, &right), 0);
	CU_ASSERT(span_equals_str(key, "b.ob"));
	CU_ASSERT_EQUAL(dlist_next_pair(&cursor, &key, &right), DLIST_END);
}

static void refuses_pairs_without_value_or_with_odd_keys(void)
{
	static const char *const wrong[] = {
		"T", "T e I", "(T) e", "%() e", "\"a\\b\" e", "T )", ") e",
	};

	for (size_t i = 0; i < array_size(wrong); i++) {
		struct dlist_cursor cursor = { span_of_str(wrong[i]) };
		struct dlist_value value;
		struct span key;
		int r = dlist_next_pair(&cursor, &key, &value);
		if (r == 0)
			r = dlist_next_pair(&cursor, &key, &value);
		CU_ASSERT_EQUAL(r, -EBADMSG);
	}
}

static void takes_quoted_literal_and_nil_keys(void)
{
	struct dlist_cursor cursor = { span_of_str("\"a b\" 1 {2}\r\n(( 2 NIL 3") };
	static const char *const keys[] = { "a b", "((", "NIL" };
	struct dlist_value value;
	struct span key;

	for (size_t i = 0; i < array_size(keys); i++) {
		CU_ASSERT_EQUAL(dlist_next_pair(&cursor, &key, &value), 0);
		CU_ASSERT(span_equals_str(key, keys[i]));
	}
}

static void removes_backslashes_from_quoted_text(void)
{
	static const struct {
		const char *text, *plain;
		bool escaped;
	} cases[] = {
		{ "\"a\\\"b\\\\c\"", "a\"b\\c", true },
		{ "\"\\a\"", "a", true },
		{ "\"\\)\"", ")", true },
		{ "\"plain\"", "plain", false },
		{ "{2}\r\n\\a", "\\a", false },
		{ "atom", "atom", false },
		{ "NIL", "", false },
		{ "(list)", "", false },
		{ "%(kv list)", "", false },
	};

	for (size_t i = 0; i < array_size(cases); i++) {
		struct buf b = BUF_NULL;
		struct dlist_value value;
		CU_ASSERT_EQUAL_FATAL(read_text(cases[i].text, &value), 0);
		CU_ASSERT_EQUAL(value.escaped, cases[i].escaped);
		dlist_add_text(&b, value);
		CU_ASSERT_STRING_EQUAL(buf_str(&b), cases[i].plain);
		buf_fini(&b);
	}
}

/* Cut text is refused, or shorter text; never read past. Each cut gets memory of its own. */
static void reads_no_byte_behind_a_cut(void)
{
	static const char text[] = "%(T e \"q\\\"\" {3+}\r\nabc L (NIL %(a b)) N \"x\")";
	unsigned whole = 0;

	for (size_t len = 0; len < sizeof(text); len++) {
		char *copy = malloc(len ? len : 1);
		struct dlist_value value;
		CU_ASSERT_PTR_NOT_NULL_FATAL(copy);
		memcpy(copy, text, len);
		whole += read_one(copy, len, &value) == 0;
		free(copy);
	}
	CU_ASSERT_EQUAL(whole, 1);
}

static const struct test_case cases[] = {
	{ "reads_one_value_of_each_kind", reads_one_value_of_each_kind },
	{ "refuses_text_outside_the_grammar", refuses_text_outside_the_grammar },
	{ "leaves_the_cursor_where_it_failed", leaves_the_cursor_where_it_failed },
	{ "refuses_nul_bytes_outside_literals", refuses_nul_bytes_outside_literals },
	{ "says_when_there_is_nothing_more", says_when_there_is_nothing_more },
	{ "takes_32_levels_of_nesting_and_no_more", takes_32_levels_of_nesting_and_no_more },
	{ "takes_64_kib_of_text_and_no_more", takes_64_kib_of_text_and_no_more },
	{ "walks_the_pairs_of_a_real_entry", walks_the_pairs_of_a_real_entry },
	{ "refuses_pairs_without_value_or_with_odd_keys",
	  refuses_pairs_without_value_or_with_odd_keys },
	{ "takes_quoted_literal_and_nil_keys", takes_quoted_literal_and_nil_keys },
	{ "removes_backslashes_from_quoted_text", removes_backslashes_from_quoted_text },
	{ "reads_no_byte_behind_a_cut", reads_no_byte_behind_a_cut },
};

const struct test_suite suite_format_dlist = { "format/dlist", cases, array_size(cases) };

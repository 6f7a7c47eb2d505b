// SPDX-License-Identifier: Apache-2.0
/*
 * Buffers: whatever is appended is there, in order, with a NUL behind it; what did not fit into
 * memory is remembered until somebody asks.
 */
#include "suites.h"

#include <CUnit/CUnit.h>
#include <errno.h>
#include <stdlib.h>

#include "base/buf.h"

static void is_an_empty_string_before_the_first_append(void)
{
	struct buf b = BUF_NULL;

	CU_ASSERT_STRING_EQUAL(buf_str(&b), "");
	CU_ASSERT_EQUAL(buf_span(&b).len, 0);
	CU_ASSERT_EQUAL(buf_error(&b), 0);
	buf_fini(&b);
}

static void may_be_released_twice(void)
{
	struct buf b = BUF_NULL;

	buf_add_str(&b, "x");
	buf_fini(&b);
	buf_fini(&b);
	CU_ASSERT_PTR_NULL(b.data);
	CU_ASSERT_EQUAL(b.len, 0);
}

static void keeps_every_byte_while_it_grows(void)
{
	struct buf b = BUF_NULL;
	size_t wrong = 0;

	for (size_t i = 0; i < 100000; i++) {
		buf_add_char(&b, (char)(i % 251));
		wrong += b.len != i + 1 || b.cap <= b.len || b.data[b.len] != '\0';
	}
	CU_ASSERT_EQUAL(wrong, 0);
	CU_ASSERT_EQUAL_FATAL(b.len, 100000);
	for (size_t i = 0; i < b.len; i++)
		wrong += (uint8_t)b.data[i] != i % 251;
	CU_ASSERT_EQUAL(wrong, 0);
	CU_ASSERT_EQUAL(buf_error(&b), 0);
	buf_fini(&b);
}

static void grows_at_every_length_around_a_boundary(void)
{
	static const size_t lengths[] = { 0, 1, 62, 63, 64, 65, 126, 127, 128, 129, 4096 };
	char filler[4096];

	memset(filler, 'x', sizeof(filler));
	for (size_t i = 0; i < array_size(lengths); i++) {
		struct buf b = BUF_NULL;
		buf_add(&b, filler, lengths[i]);
		CU_ASSERT_EQUAL(b.len, lengths[i]);
		CU_ASSERT_EQUAL(strlen(buf_str(&b)), lengths[i]);
		buf_add_str(&b, "end");
		CU_ASSERT_EQUAL(b.len, lengths[i] + 3);
		CU_ASSERT_STRING_EQUAL(b.data + lengths[i], "end");
		buf_fini(&b);
	}
}

static void reserves_room_that_appends_then_use(void)
{
	struct buf b = BUF_NULL;

	CU_ASSERT_EQUAL(buf_reserve(&b, 1000), 0);
	const char *before = b.data;
	for (size_t i = 0; i < 1000; i++)
		buf_add_char(&b, 'x');
	CU_ASSERT_PTR_EQUAL(b.data, before);
	CU_ASSERT_EQUAL(b.len, 1000);
	buf_fini(&b);
}

static void takes_all_kinds_of_content(void)
{
	struct buf b = BUF_NULL;

	buf_add_str(&b, "a");
	buf_add_char(&b, '\0');
	buf_add_span(&b, span_of("bc", 2));
	buf_add_span(&b, SPAN_NULL);
	buf_add(&b, NULL, 0);
	buf_addf(&b, "%d-%s", 42, "x");
	buf_addf(&b, "%s", "");
	CU_ASSERT_TRUE(span_equals(buf_span(&b), span_of("a\0bc42-x", 8)));
	CU_ASSERT_EQUAL(buf_error(&b), 0);
	buf_fini(&b);
}

static void formats_more_than_any_fixed_buffer_holds(void)
{
	struct buf b = BUF_NULL;

	buf_addf(&b, "%09999d|%s", 1, "end");
	CU_ASSERT_EQUAL(b.len, 9999 + 4);
	CU_ASSERT_STRING_EQUAL(b.data + 9998, "1|end");
	buf_fini(&b);
}

static void forgets_content_and_keeps_memory_when_cleared(void)
{
	struct buf b = BUF_NULL;

	buf_add_str(&b, "something");
	size_t cap = b.cap;
	buf_clear(&b);
	CU_ASSERT_STRING_EQUAL(buf_str(&b), "");
	CU_ASSERT_EQUAL(b.len, 0);
	CU_ASSERT_EQUAL(b.cap, cap);
	buf_clear(&(struct buf){ NULL, 0, 0, false });
	buf_fini(&b);
}

static void remembers_that_memory_ran_out(void)
{
	struct buf b = BUF_NULL;

	buf_add_str(&b, "kept");
	CU_ASSERT_EQUAL(buf_reserve(&b, SIZE_MAX), -ENOMEM);
	CU_ASSERT_EQUAL(buf_error(&b), -ENOMEM);
	buf_add_str(&b, " and more");
	CU_ASSERT_EQUAL(buf_error(&b), -ENOMEM);
	CU_ASSERT_STRING_EQUAL(buf_str(&b), "kept and more");
	buf_clear(&b);
	CU_ASSERT_EQUAL(buf_error(&b), 0);
	buf_fini(&b);
}

static void refuses_lengths_that_would_wrap_around(void)
{
	static const size_t lengths[] = { SIZE_MAX, SIZE_MAX - 1, SIZE_MAX - 4, SIZE_MAX / 2 };

	for (size_t i = 0; i < array_size(lengths); i++) {
		struct buf b = BUF_NULL;
		buf_add_str(&b, "abc");
		CU_ASSERT_EQUAL(buf_reserve(&b, lengths[i]), -ENOMEM);
		CU_ASSERT_STRING_EQUAL(buf_str(&b), "abc");
		buf_fini(&b);
	}
}

static void hands_its_content_over_once(void)
{
	struct buf b = BUF_NULL;

	buf_add_str(&b, "mine");
	char *text = buf_take(&b);
	CU_ASSERT_PTR_NOT_NULL_FATAL(text);
	CU_ASSERT_STRING_EQUAL(text, "mine");
	CU_ASSERT_PTR_NULL(b.data);
	CU_ASSERT_EQUAL(b.len, 0);
	free(text);

	text = buf_take(&b);
	CU_ASSERT_PTR_NOT_NULL_FATAL(text);
	CU_ASSERT_STRING_EQUAL(text, "");
	free(text);
}

static void hands_nothing_over_after_a_failure(void)
{
	struct buf b = BUF_NULL;

	buf_add_str(&b, "half");
	CU_ASSERT_EQUAL(buf_reserve(&b, SIZE_MAX), -ENOMEM);
	CU_ASSERT_PTR_NULL(buf_take(&b));
	CU_ASSERT_PTR_NULL(b.data);
	CU_ASSERT_EQUAL(buf_error(&b), 0);
}

static const struct test_case cases[] = {
	{ "is_an_empty_string_before_the_first_append",
	  is_an_empty_string_before_the_first_append },
	{ "may_be_released_twice", may_be_released_twice },
	{ "keeps_every_byte_while_it_grows", keeps_every_byte_while_it_grows },
	{ "grows_at_every_length_around_a_boundary", grows_at_every_length_around_a_boundary },
	{ "reserves_room_that_appends_then_use", reserves_room_that_appends_then_use },
	{ "takes_all_kinds_of_content", takes_all_kinds_of_content },
	{ "formats_more_than_any_fixed_buffer_holds", formats_more_than_any_fixed_buffer_holds },
	{ "forgets_content_and_keeps_memory_when_cleared",
	  forgets_content_and_keeps_memory_when_cleared },
	{ "remembers_that_memory_ran_out", remembers_that_memory_ran_out },
	{ "refuses_lengths_that_would_wrap_around", refuses_lengths_that_would_wrap_around },
	{ "hands_its_content_over_once", hands_its_content_over_once },
	{ "hands_nothing_over_after_a_failure", hands_nothing_over_after_a_failure },
};

const struct test_suite suite_base_buf = { "base/buf", cases, array_size(cases) };

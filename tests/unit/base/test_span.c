// SPDX-License-Identifier: Apache-2.0
/*
 * Spans: nothing outside them can be reached, whatever offset and length a disk suggests.
 */
#include "suites.h"

#include <CUnit/CUnit.h>
#include <errno.h>
#include <stdlib.h>

#include "base/span.h"

static const uint8_t bytes[10] = { 0x80, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0xff, 0x09 };

static struct span ten(void)
{
	return span_of(bytes, sizeof(bytes));
}

static void takes_a_part_exactly_when_it_lies_inside(void)
{
	static const struct {
		uint64_t off, len;
		int r;
	} cases[] = {
		{ 0, 0, 0 },
		{ 0, 10, 0 },
		{ 0, 11, -ERANGE },
		{ 9, 1, 0 },
		{ 9, 2, -ERANGE },
		{ 10, 0, 0 },
		{ 10, 1, -ERANGE },
		{ 11, 0, -ERANGE },
		{ 5, 5, 0 },
		{ 5, 6, -ERANGE },
		{ 0, UINT64_MAX, -ERANGE },
		{ 1, UINT64_MAX, -ERANGE },
		{ UINT64_MAX, 0, -ERANGE },
		{ UINT64_MAX, 1, -ERANGE },
		{ UINT64_MAX, UINT64_MAX, -ERANGE },
		{ UINT64_MAX - 4, 10, -ERANGE },
	};

	for (size_t i = 0; i < array_size(cases); i++) {
		struct span sub = span_of("x", 1), before = sub;
		int r = span_sub(ten(), cases[i].off, cases[i].len, &sub);
		CU_ASSERT_EQUAL(r, cases[i].r);
		if (r) {
			CU_ASSERT_PTR_EQUAL(sub.data, before.data);
			CU_ASSERT_EQUAL(sub.len, before.len);
			continue;
		}
		CU_ASSERT_EQUAL(sub.len, cases[i].len);
		if (sub.len)
			CU_ASSERT_PTR_EQUAL(sub.data, bytes + cases[i].off);
	}
}

static void takes_the_empty_part_of_nothing(void)
{
	struct span sub = ten();

	CU_ASSERT_EQUAL(span_sub(SPAN_NULL, 0, 0, &sub), 0);
	CU_ASSERT_EQUAL(sub.len, 0);
	CU_ASSERT_EQUAL(span_sub(SPAN_NULL, 0, 1, &sub), -ERANGE);
	CU_ASSERT_EQUAL(span_sub(SPAN_NULL, 1, 0, &sub), -ERANGE);
}

static void reads_32_bits_big_endian_at_every_edge(void)
{
	static const struct {
		uint64_t off;
		int r;
		uint32_t value;
	} cases[] = {
		{ 0, 0, 0x80010203 }, { 1, 0, 0x01020304 },	  { 6, 0, 0x0607ff09 },
		{ 7, -ERANGE, 0 },    { 9, -ERANGE, 0 },	  { 10, -ERANGE, 0 },
		{ 11, -ERANGE, 0 },   { UINT64_MAX, -ERANGE, 0 }, { UINT64_MAX - 3, -ERANGE, 0 },
	};

	for (size_t i = 0; i < array_size(cases); i++) {
		uint32_t value = 0xdeadbeef;
		CU_ASSERT_EQUAL(span_be32(ten(), cases[i].off, &value), cases[i].r);
		CU_ASSERT_EQUAL(value, cases[i].r ? 0xdeadbeef : cases[i].value);
	}
}

static void reads_64_bits_big_endian_at_every_edge(void)
{
	static const struct {
		uint64_t off;
		int r;
		uint64_t value;
	} cases[] = {
		{ 0, 0, 0x8001020304050607 },
		{ 2, 0, 0x020304050607ff09 },
		{ 3, -ERANGE, 0 },
		{ 9, -ERANGE, 0 },
		{ 10, -ERANGE, 0 },
		{ 11, -ERANGE, 0 },
		{ UINT64_MAX, -ERANGE, 0 },
		{ UINT64_MAX - 7, -ERANGE, 0 },
	};

	for (size_t i = 0; i < array_size(cases); i++) {
		uint64_t value = 0xdeadbeef;
		CU_ASSERT_EQUAL(span_be64(ten(), cases[i].off, &value), cases[i].r);
		CU_ASSERT_EQUAL(value, cases[i].r ? 0xdeadbeef : cases[i].value);
	}
}

static void reads_no_integer_from_nothing(void)
{
	uint32_t small = 7;
	uint64_t large = 7;

	CU_ASSERT_EQUAL(span_be32(SPAN_NULL, 0, &small), -ERANGE);
	CU_ASSERT_EQUAL(span_be64(SPAN_NULL, 0, &large), -ERANGE);
	CU_ASSERT_EQUAL(small, 7);
	CU_ASSERT_EQUAL(large, 7);
}

static void compares_bytes_and_then_lengths(void)
{
	static const struct {
		const char *a, *b;
		int sign;
	} cases[] = {
		{ "", "", 0 },
		{ "a", "a", 0 },
		{ "", "a", -1 },
		{ "a", "", 1 },
		{ "a", "b", -1 },
		{ "ab", "a", 1 },
		{ "a", "ab", -1 },
		{ "b", "ab", 1 },
		{ "\xff", "a", 1 },
		{ "a", "\x80", -1 },
		{ "user.a", "user.a.b", -1 },
	};

	for (size_t i = 0; i < array_size(cases); i++) {
		struct span a = span_of_str(cases[i].a), b = span_of_str(cases[i].b);
		int r = span_compare(a, b);
		CU_ASSERT_EQUAL((r > 0) - (r < 0), cases[i].sign);
		CU_ASSERT_EQUAL(span_equals(a, b), cases[i].sign == 0);
		CU_ASSERT_EQUAL(span_equals_str(a, cases[i].b), cases[i].sign == 0);
	}
	CU_ASSERT_EQUAL(span_compare(SPAN_NULL, span_of("x", 0)), 0);
	CU_ASSERT_TRUE(span_equals(SPAN_NULL, span_of("x", 0)));
}

static void compares_across_a_nul(void)
{
	CU_ASSERT_FALSE(span_equals(span_of("a\0b", 3), span_of("a\0c", 3)));
	CU_ASSERT_FALSE(span_equals_str(span_of("a\0b", 3), "a"));
	CU_ASSERT_TRUE(span_compare(span_of("a\0b", 3), span_of("a\0c", 3)) < 0);
}

static void knows_how_it_starts(void)
{
	CU_ASSERT_TRUE(span_starts_with(span_of_str("user.u001"), "user."));
	CU_ASSERT_TRUE(span_starts_with(span_of_str("user."), "user."));
	CU_ASSERT_TRUE(span_starts_with(SPAN_NULL, ""));
	CU_ASSERT_FALSE(span_starts_with(span_of_str("user"), "user."));
	CU_ASSERT_FALSE(span_starts_with(SPAN_NULL, "u"));
	CU_ASSERT_FALSE(span_starts_with(span_of_str("User."), "user."));
}

static void finds_the_first_byte_or_its_own_length(void)
{
	CU_ASSERT_EQUAL(span_find(ten(), 0x80), 0);
	CU_ASSERT_EQUAL(span_find(ten(), 0x09), 9);
	CU_ASSERT_EQUAL(span_find(ten(), 0xaa), 10);
	CU_ASSERT_EQUAL(span_find(span_of("aba", 3), 'a'), 0);
	CU_ASSERT_EQUAL(span_find(SPAN_NULL, 0), 0);
}

static void copies_with_a_nul_behind(void)
{
	char *copy = span_dup(span_of("a\0b", 3));

	CU_ASSERT_PTR_NOT_NULL_FATAL(copy);
	CU_ASSERT_EQUAL(memcmp(copy, "a\0b", 4), 0);
	free(copy);
	copy = span_dup(SPAN_NULL);
	CU_ASSERT_PTR_NOT_NULL_FATAL(copy);
	CU_ASSERT_STRING_EQUAL(copy, "");
	free(copy);
	CU_ASSERT_PTR_NULL(span_dup(span_of("a", UINT64_MAX)));
}

static void treats_a_null_string_as_empty(void)
{
	CU_ASSERT_EQUAL(span_of_str(NULL).len, 0);
	CU_ASSERT_EQUAL(span_of_str("abc").len, 3);
}

static void parses_numbers_that_fill_the_span(void)
{
	static const struct {
		const char *text;
		uint64_t max;
		int r;
		uint64_t value;
	} cases[] = {
		{ "0", 0, 0, 0 },
		{ "1", 0, -ERANGE, 0 },
		{ "007", 7, 0, 7 },
		{ "4294967295", UINT32_MAX, 0, UINT32_MAX },
		{ "4294967296", UINT32_MAX, -ERANGE, 0 },
		{ "18446744073709551615", UINT64_MAX, 0, UINT64_MAX },
		{ "18446744073709551616", UINT64_MAX, -ERANGE, 0 },
		{ "99999999999999999999999", UINT64_MAX, -ERANGE, 0 },
		{ "", UINT64_MAX, -EBADMSG, 0 },
		{ "-1", UINT64_MAX, -EBADMSG, 0 },
		{ "+1", UINT64_MAX, -EBADMSG, 0 },
		{ " 1", UINT64_MAX, -EBADMSG, 0 },
		{ "1 ", UINT64_MAX, -EBADMSG, 0 },
		{ "0x10", UINT64_MAX, -EBADMSG, 0 },
		{ "1a", UINT64_MAX, -EBADMSG, 0 },
		{ "/", UINT64_MAX, -EBADMSG, 0 },
		{ ":", UINT64_MAX, -EBADMSG, 0 },
	};

	for (size_t i = 0; i < array_size(cases); i++) {
		uint64_t value = 4711;
		CU_ASSERT_EQUAL(span_parse_u64(span_of_str(cases[i].text), cases[i].max, &value),
				cases[i].r);
		CU_ASSERT_EQUAL(value, cases[i].r ? 4711 : cases[i].value);
	}
}

static const struct test_case cases[] = {
	{ "takes_a_part_exactly_when_it_lies_inside", takes_a_part_exactly_when_it_lies_inside },
	{ "takes_the_empty_part_of_nothing", takes_the_empty_part_of_nothing },
	{ "reads_32_bits_big_endian_at_every_edge", reads_32_bits_big_endian_at_every_edge },
	{ "reads_64_bits_big_endian_at_every_edge", reads_64_bits_big_endian_at_every_edge },
	{ "reads_no_integer_from_nothing", reads_no_integer_from_nothing },
	{ "compares_bytes_and_then_lengths", compares_bytes_and_then_lengths },
	{ "compares_across_a_nul", compares_across_a_nul },
	{ "knows_how_it_starts", knows_how_it_starts },
	{ "finds_the_first_byte_or_its_own_length", finds_the_first_byte_or_its_own_length },
	{ "copies_with_a_nul_behind", copies_with_a_nul_behind },
	{ "treats_a_null_string_as_empty", treats_a_null_string_as_empty },
	{ "parses_numbers_that_fill_the_span", parses_numbers_that_fill_the_span },
};

const struct test_suite suite_base_span = { "base/span", cases, array_size(cases) };

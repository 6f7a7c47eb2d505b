// SPDX-License-Identifier: Apache-2.0
/*
 * Fault: a source does what the plan of faults says, as often as it says, to the reads it says, and
 * is otherwise the source below it.
 */
#include "suites.h"

#include <CUnit/CUnit.h>
#include <errno.h>
#include <string.h>

#include "base/compiler.h"
#include "io/fault.h"

enum { SIZE = 1000 };

static uint8_t bytes[SIZE];
static struct source inner, src;
static struct fault fault;

static void begin(void)
{
	for (unsigned i = 0; i < SIZE; i++)
		bytes[i] = (uint8_t)(i * 7);
	fault = (struct fault){ .nr_rules = 0 };
	source_init_memory(&inner, span_of(bytes, SIZE));
	source_init_fault(&src, &inner, &fault);
}

static void add(enum fault_kind kind, uint64_t off, uint64_t len)
{
	struct fault_rule rule = { .kind = kind, .off = off, .len = len, .error = -EIO, .keep = 3 };

	fault_add(&fault, &rule);
}

static int read_at(uint64_t off, uint64_t len, uint8_t *buf, uint64_t *ret_n)
{
	memset(buf, 0xee, SIZE);
	*ret_n = 0;
	return source_read(&src, off, buf, len, ret_n);
}

/* Reads without a fault, the bytes of the source below. */
static void check_good(uint64_t off, uint64_t len)
{
	uint8_t buf[SIZE];
	uint64_t n;

	CU_ASSERT_EQUAL(read_at(off, len, buf, &n), 0);
	CU_ASSERT_EQUAL(n, len);
	CU_ASSERT_EQUAL(memcmp(buf, bytes + off, len), 0);
}

static void check_error(uint64_t off, uint64_t len, int error)
{
	uint8_t buf[SIZE];
	uint64_t n;

	CU_ASSERT_EQUAL(read_at(off, len, buf, &n), error);
}

static void without_a_plan_it_is_the_source_below(void)
{
	uint8_t buf[SIZE];
	uint64_t n, size = 0;

	begin();
	check_good(0, SIZE);
	check_good(7, 90);
	CU_ASSERT_EQUAL(read_at(SIZE, 5, buf, &n), 0);
	CU_ASSERT_EQUAL(n, 0);
	CU_ASSERT_EQUAL(source_size(&src, &size), 0);
	CU_ASSERT_EQUAL(size, SIZE);
	source_forget(&src);
	CU_ASSERT_TRUE(fault.nr_reads >= 3);
	source_close(&src);
	source_close(&src);
	CU_ASSERT_PTR_NOT_NULL(inner.ops); /* it is borrowed */
}

static void an_error_strikes_every_read_that_touches_it(void)
{
	begin();
	add(FAULT_ERROR, 100, 10);
	check_good(0, 100);
	check_good(110, SIZE - 110);
	check_error(99, 2, -EIO);
	check_error(109, 1, -EIO);
	check_error(0, SIZE, -EIO);
	check_error(104, 2, -EIO);
}

static void a_short_read_ends_early_and_can_be_resumed(void)
{
	uint8_t buf[SIZE];
	uint64_t n;

	begin();
	add(FAULT_SHORT, 100, 1);
	CU_ASSERT_EQUAL(fault.inner->ops->read(&inner, 98, buf, 9, &n), 0);
	CU_ASSERT_EQUAL(src.ops->read(&src, 98, buf, 9, &n), 0);
	CU_ASSERT_EQUAL(n, 3);
	CU_ASSERT_EQUAL(memcmp(buf, bytes + 98, 3), 0);
	CU_ASSERT_EQUAL(source_read_exact(&src, 0, buf, SIZE), 0);
	CU_ASSERT_EQUAL(memcmp(buf, bytes, SIZE), 0);
}

static void a_flip_changes_one_bit_of_what_is_read_and_nothing_below(void)
{
	uint8_t buf[SIZE];
	uint64_t n;

	begin();
	add(FAULT_FLIP, 500, 1);
	for (uint64_t off = 490; off <= 500; off++) {
		CU_ASSERT_EQUAL(read_at(off, 20, buf, &n), 0);
		CU_ASSERT_EQUAL(buf[500 - off], bytes[500] ^ 1);
		buf[500 - off] ^= 1;
		CU_ASSERT_EQUAL(memcmp(buf, bytes + off, 20), 0);
	}
	check_good(501, 20);
	check_good(480, 20);
	CU_ASSERT_EQUAL(bytes[500], (uint8_t)(500 * 7));
}

static void a_hang_is_a_timeout_of_a_source(void)
{
	begin();
	add(FAULT_HANG, 10, 1);
	check_error(0, 20, -ETIMEDOUT);
	check_good(11, 20);
}

static void strikes_as_often_as_it_is_told(void)
{
	struct fault_rule rule = { .kind = FAULT_ERROR, .len = 10, .error = -ENODATA, .times = 2 };

	begin();
	fault_add(&fault, &rule);
	check_error(0, 1, -ENODATA);
	check_good(50, 10); /* does not count */
	check_error(5, 1, -ENODATA);
	check_good(0, 10);
	CU_ASSERT_EQUAL(fault.struck[0], 2);
}

static void strikes_long_reads_alone_where_it_is_told_so(void)
{
	struct fault_rule rule = {
		.kind = FAULT_ERROR,
		.off = 100,
		.len = 1,
		.error = -EIO,
		.longer_than = 64,
	};

	begin();
	fault_add(&fault, &rule);
	check_error(90, 65, -EIO);
	check_good(90, 64);
	check_good(200, 65);
}

static void the_first_rule_that_applies_strikes(void)
{
	struct fault_rule once = {
		.kind = FAULT_ERROR, .off = 5, .len = 5, .error = -ENXIO, .times = 1
	};

	begin();
	fault_add(&fault, &once);
	add(FAULT_ERROR, 0, 100);
	check_error(0, 4, -EIO);
	check_error(4, 4, -ENXIO);
	check_error(4, 4, -EIO);
	CU_ASSERT_EQUAL(fault.struck[0], 1);
	CU_ASSERT_EQUAL(fault.struck[1], 2);
}

static void a_rule_may_reach_to_the_end_of_all_offsets(void)
{
	begin();
	add(FAULT_ERROR, 500, UINT64_MAX); /* from here on */
	check_good(0, 500);
	check_error(400, 101, -EIO);
	check_error(900, 1, -EIO);
}

static void errors_of_the_source_below_are_its_own(void)
{
	struct fault below = { .nr_rules = 0 };
	struct source middle;
	struct fault_rule rule = { .kind = FAULT_ERROR, .len = SIZE, .error = -EUCLEAN };

	begin();
	fault_add(&below, &rule);
	source_init_fault(&middle, &inner, &below);
	source_init_fault(&src, &middle, &fault);
	add(FAULT_FLIP, 0, 1);
	check_error(0, 1, -EUCLEAN);
}

static const struct test_case cases[] = {
	CASE(without_a_plan_it_is_the_source_below),
	CASE(an_error_strikes_every_read_that_touches_it),
	CASE(a_short_read_ends_early_and_can_be_resumed),
	CASE(a_flip_changes_one_bit_of_what_is_read_and_nothing_below),
	CASE(a_hang_is_a_timeout_of_a_source),
	CASE(strikes_as_often_as_it_is_told),
	CASE(strikes_long_reads_alone_where_it_is_told_so),
	CASE(the_first_rule_that_applies_strikes),
	CASE(a_rule_may_reach_to_the_end_of_all_offsets),
	CASE(errors_of_the_source_below_are_its_own),
};

const struct test_suite suite_io_fault = { "io/fault", cases, array_size(cases) };

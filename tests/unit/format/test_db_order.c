// SPDX-License-Identifier: Apache-2.0
/*
 * The orders of keys: every pair of bytes, and what is the beginning of another.
 */
#include "suites.h"

#include <CUnit/CUnit.h>

#include "format/cyrus/db_order.h"

static int sign(int n)
{
	return (n > 0) - (n < 0);
}

static int compare_bytes(enum db_order order, unsigned a, unsigned b)
{
	uint8_t x[3] = { 'a', (uint8_t)a, 'z' }, y[3] = { 'a', (uint8_t)b, 'z' };

	return sign(db_order_compare(order, span_of(x, 3), span_of(y, 3)));
}

/* The ranks that the comparison of 3.6.1 gives. */
static unsigned mailbox_rank(unsigned byte)
{
	return byte == 0 ? 0 : byte == '\t' || byte == '\n' ? 1 : byte == '.' ? 2 : byte + 3;
}

static void orders_every_pair_of_bytes(void)
{
	unsigned wrong = 0;

	for (unsigned a = 0; a < 256; a++) {
		for (unsigned b = 0; b < 256; b++) {
			wrong += compare_bytes(DB_ORDER_BYTES, a, b) != sign((int)a - (int)b);
			wrong += compare_bytes(DB_ORDER_CHARS, a, b) != sign((char)a - (char)b);
			wrong += compare_bytes(DB_ORDER_MAILBOX, a, b) !=
				 sign((int)mailbox_rank(a) - (int)mailbox_rank(b));
		}
	}
	CU_ASSERT_EQUAL(wrong, 0);
}

static void puts_the_beginning_of_a_key_first(void)
{
	static const enum db_order orders[] = { DB_ORDER_BYTES, DB_ORDER_CHARS, DB_ORDER_MAILBOX };

	for (size_t i = 0; i < array_size(orders); i++) {
		struct span a = span_of_str("user.a"), b = span_of_str("user.a.b");
		CU_ASSERT(db_order_compare(orders[i], a, b) < 0);
		CU_ASSERT(db_order_compare(orders[i], b, a) > 0);
		CU_ASSERT_EQUAL(db_order_compare(orders[i], a, a), 0);
		CU_ASSERT(db_order_compare(orders[i], SPAN_NULL, a) < 0);
		CU_ASSERT_EQUAL(db_order_compare(orders[i], SPAN_NULL, SPAN_NULL), 0);
	}
}

static const struct test_case cases[] = {
	CASE(orders_every_pair_of_bytes),
	CASE(puts_the_beginning_of_a_key_first),
};

const struct test_suite suite_format_db_order = { "format/db_order", cases, array_size(cases) };

// SPDX-License-Identifier: Apache-2.0
/*
 * Reading ahead: the bytes are those of the source whatever the way through it, in few reads, and a
 * failure ahead is none.
 */
#include "suites.h"

#include <CUnit/CUnit.h>
#include <errno.h>
#include <stdlib.h>

#include "format/cyrus/lookahead.h"

#define LEN 300000u

struct counted {
	struct source src; /* first */
	unsigned nr_reads;
	uint64_t nr_bytes;
	uint64_t bad_from; /* nothing from here on can be read; 0: all can */
};

static uint8_t byte_at(uint64_t off)
{
	return (uint8_t)(off * 2654435761u >> 13);
}

static int counted_read(struct source *src, uint64_t off, void *buf, uint64_t len, uint64_t *ret_n)
{
	struct counted *c = (struct counted *)src;
	uint8_t *bytes = buf;

	c->nr_reads++;
	if (c->bad_from && off + len > c->bad_from)
		return -EIO;
	*ret_n = off < LEN ? min_of(len, LEN - off) : 0;
	c->nr_bytes += *ret_n;
	for (uint64_t i = 0; i < *ret_n; i++)
		bytes[i] = byte_at(off + i);
	return 0;
}

static const struct source_ops counted_ops = { .read = counted_read };

static struct counted counted_new(void)
{
	return (struct counted){ .src = { .ops = &counted_ops, .fd = -1 } };
}

static bool gets_right_bytes(struct lookahead *ahead, struct counted *c, uint64_t off, uint64_t len)
{
	struct span bytes;

	if (lookahead_get(ahead, &c->src, off, len, LEN, &bytes) || bytes.len < len ||
	    bytes.len > LEN - off)
		return false;
	for (uint64_t i = 0; i < bytes.len; i++) {
		if (bytes.data[i] != byte_at(off + i))
			return false;
	}
	return true;
}

static void reads_on_in_few_reads(void)
{
	struct lookahead ahead = LOOKAHEAD_NULL;
	struct counted c = counted_new();
	unsigned wrong = 0;

	for (uint64_t off = 0; off + 512 <= LEN; off += 100)
		wrong += !gets_right_bytes(&ahead, &c, off, 512);
	CU_ASSERT_EQUAL(wrong, 0);
	CU_ASSERT_EQUAL(c.nr_reads, 5);
	lookahead_fini(&ahead);
	lookahead_fini(&ahead);
}

static void keeps_its_window_through_jumps(void)
{
	struct lookahead ahead = LOOKAHEAD_NULL;
	struct counted c = counted_new();
	unsigned wrong = 0;

	for (uint64_t off = 0; off < 60000; off += 600) {
		wrong += !gets_right_bytes(&ahead, &c, off, 500);
		wrong += !gets_right_bytes(&ahead, &c, LEN - 500 - off, 500);
	}
	CU_ASSERT_EQUAL(wrong, 0);
	CU_ASSERT(c.nr_reads <= 102);
	CU_ASSERT(c.nr_bytes < 2 * 65536 + 100 * 500);
	lookahead_fini(&ahead);
}

static void gets_right_bytes_anywhere(void)
{
	struct lookahead ahead = LOOKAHEAD_NULL;
	struct counted c = counted_new();
	unsigned wrong = 0;
	uint64_t random = 7;

	for (int i = 0; i < 2000; i++) {
		random = random * UINT64_C(6364136223846793005) + 1442695040888963407u;
		uint64_t len = (random >> 20) % 513;
		wrong += !gets_right_bytes(&ahead, &c, (random >> 33) % (LEN - len + 1), len);
	}
	CU_ASSERT_EQUAL(wrong, 0);
	lookahead_fini(&ahead);
}

static void stays_inside_the_end(void)
{
	struct lookahead ahead = LOOKAHEAD_NULL;
	struct counted c = counted_new();
	struct span bytes;

	CU_ASSERT_EQUAL(lookahead_get(&ahead, &c.src, 90, 11, 100, &bytes), -ERANGE);
	CU_ASSERT_EQUAL(lookahead_get(&ahead, &c.src, 101, 0, 100, &bytes), -ERANGE);
	CU_ASSERT_EQUAL(lookahead_get(&ahead, &c.src, UINT64_MAX, 5, 100, &bytes), -ERANGE);
	CU_ASSERT_EQUAL(lookahead_get(&ahead, &c.src, 0, 513, LEN, &bytes), -ERANGE);
	CU_ASSERT_EQUAL(c.nr_reads, 0);
	CU_ASSERT_EQUAL(lookahead_get(&ahead, &c.src, 0, 5, 100, &bytes), 0);
	CU_ASSERT_EQUAL(bytes.len, 100);
	CU_ASSERT_EQUAL(lookahead_get(&ahead, &c.src, LEN - 5, 10, LEN + 5, &bytes), -ENODATA);
	lookahead_fini(&ahead);
}

static void reads_anew_what_it_forgot(void)
{
	struct lookahead ahead = LOOKAHEAD_NULL;
	struct counted c = counted_new();

	CU_ASSERT(gets_right_bytes(&ahead, &c, 0, 10));
	CU_ASSERT(gets_right_bytes(&ahead, &c, 0, 10));
	CU_ASSERT_EQUAL(c.nr_reads, 1);
	lookahead_forget(&ahead);
	CU_ASSERT(gets_right_bytes(&ahead, &c, 0, 10));
	CU_ASSERT_EQUAL(c.nr_reads, 2);
	lookahead_fini(&ahead);
}

static void an_error_ahead_is_none(void)
{
	struct lookahead ahead = LOOKAHEAD_NULL;
	struct counted c = counted_new();
	struct span bytes;

	c.bad_from = 2000;
	for (uint64_t off = 0; off + 100 <= 2000; off += 100)
		CU_ASSERT(gets_right_bytes(&ahead, &c, off, 100));
	CU_ASSERT_EQUAL(lookahead_get(&ahead, &c.src, 1950, 100, LEN, &bytes), -EIO);
	lookahead_fini(&ahead);
}

static const struct test_case cases[] = {
	CASE(reads_on_in_few_reads),	 CASE(keeps_its_window_through_jumps),
	CASE(gets_right_bytes_anywhere), CASE(stays_inside_the_end),
	CASE(reads_anew_what_it_forgot), CASE(an_error_ahead_is_none),
};

const struct test_suite suite_format_lookahead = { "format/lookahead", cases, array_size(cases) };

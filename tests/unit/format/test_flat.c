// SPDX-License-Identifier: Apache-2.0
/*
 * flat: sorted lines, escapes, and every way in which a line can be none.
 */
#include "suites.h"

#include <CUnit/CUnit.h>
#include <errno.h>

#include "base/buf.h"
#include "format/cyrus/flat.h"

/* As cyr_dbtool of 3.6.1 wrote it: '.' comes before all else, 80 behind it. */
static const char real_flat[] = "B\tvB\n"
				"a\tva\n"
				"a.b\tva.b\n"
				"a\x1f"
				"b\tva\x1f"
				"b\n"
				"a b\tva b\n"
				"a!b\tva!b\n"
				"a-b\tva-b\n"
				"a0\tva0\n"
				"ab\tvab\n"
				"z\tvz\n"
				"\x80z\tv\x80z\n";

static int walk_source(struct source *src, unsigned *ret_count)
{
	struct flat db = FLAT_NULL;
	struct span key, value;
	int r = flat_begin(&db, src);

	for (*ret_count = 0; r == 0; *ret_count += r == 0)
		r = flat_next(&db, &key, &value);
	CU_ASSERT_EQUAL(flat_next(&db, &key, &value), r); /* also when asked again */
	flat_fini(&db);
	flat_fini(&db);
	return r;
}

static int walk(struct span text, unsigned *ret_count)
{
	struct source src;

	source_init_memory(&src, text);
	return walk_source(&src, ret_count);
}

static int check(struct span text, uint64_t *ret_off)
{
	struct source src;

	source_init_memory(&src, text);
	return flat_check(&src, ret_off);
}

static void walks_a_real_file(void)
{
	struct flat db = FLAT_NULL;
	struct span key, value;
	struct source src;
	uint64_t off;

	source_init_memory(&src, span_of_str(real_flat));
	for (int i = 0; i < 2; i++) { /* the same reader may begin again */
		CU_ASSERT_EQUAL(flat_begin(&db, &src), 0);
		CU_ASSERT_EQUAL(flat_next(&db, &key, &value), 0);
		CU_ASSERT(span_equals_str(key, "B") && span_equals_str(value, "vB"));
		for (int n = 1; n < 11; n++) {
			CU_ASSERT_EQUAL(flat_next(&db, &key, &value), 0);
			CU_ASSERT(value.len == key.len + 1);
		}
		CU_ASSERT_EQUAL(flat_next(&db, &key, &value), FLAT_END);
		CU_ASSERT_EQUAL(db.nr_walked, 11);
	}
	flat_fini(&db);
	CU_ASSERT_EQUAL(check(span_of_str(real_flat), &off), 0);
}

static void takes_an_empty_file_for_an_empty_database(void)
{
	unsigned count;

	CU_ASSERT_EQUAL(walk(SPAN_NULL, &count), FLAT_END);
	CU_ASSERT_EQUAL(count, 0);
}

static void undoes_each_escape(void)
{
	static const char text[] = "k\xff\x80\xff\x89\xff\x8a\xff\x8d\xff\xff\tv\xff\x80\xff\xff\n";
	struct flat db = FLAT_NULL;
	struct span key, value;
	struct source src;

	source_init_memory(&src, span_of_str(text));
	CU_ASSERT_EQUAL(flat_begin(&db, &src), 0);
	CU_ASSERT_EQUAL(flat_next(&db, &key, &value), 0);
	CU_ASSERT(span_equals(key, span_of("k\0\t\n\r\xff", 6)));
	CU_ASSERT(span_equals(value, span_of("v\0\xff", 3)));
	flat_fini(&db);
	/* No other byte is ever escaped. */
	for (unsigned code = 1; code < 256; code++) {
		char line[] = "k\xff?\tv\n";
		unsigned count;
		bool known = code == 0x80 || code == 0x89 || code == 0x8a || code == 0x8d ||
			     code == 0xff;
		line[2] = (char)code;
		CU_ASSERT_EQUAL(walk(span_of_str(line), &count), known ? FLAT_END : -EBADMSG);
		CU_ASSERT_EQUAL(count, known ? 1 : 0);
	}
}

static void refuses_each_line_that_is_none(void)
{
	static const struct {
		struct span text;
		unsigned count;
		uint64_t off;
	} rows[] = {
		{ { (const uint8_t *)"a\tb", 3 }, 0, 0 },	     /* no LF */
		{ { (const uint8_t *)"a\n", 2 }, 0, 0 },	     /* no TAB */
		{ { (const uint8_t *)"\n", 1 }, 0, 0 },		     /* nothing */
		{ { (const uint8_t *)"\tb\n", 3 }, 0, 0 },	     /* no key */
		{ { (const uint8_t *)"a\tb\tc\n", 6 }, 0, 0 },	     /* a second TAB */
		{ { (const uint8_t *)"a\0\tb\n", 5 }, 0, 0 },	     /* NUL in the key */
		{ { (const uint8_t *)"a\tb\0\n", 5 }, 0, 0 },	     /* NUL in the value */
		{ { (const uint8_t *)"a\tb\r\n", 5 }, 0, 0 },	     /* CR */
		{ { (const uint8_t *)"a\xff\tb\n", 5 }, 0, 0 },	     /* half an escape */
		{ { (const uint8_t *)"a\tb\xff\n", 5 }, 0, 0 },	     /* half an escape */
		{ { (const uint8_t *)"a\tb\na\tb\n", 8 }, 1, 4 },    /* twice */
		{ { (const uint8_t *)"b\tb\na\tb\n", 8 }, 1, 4 },    /* out of order */
		{ { (const uint8_t *)"a\tb\nb\tc\nd", 9 }, 2, 8 },   /* cut */
		{ { (const uint8_t *)"a-\tb\na.\tb\n", 10 }, 1, 5 }, /* '.' comes first */
	};

	for (size_t i = 0; i < array_size(rows); i++) {
		unsigned count;
		uint64_t off;
		CU_ASSERT_EQUAL(walk(rows[i].text, &count), -EBADMSG);
		CU_ASSERT_EQUAL(count, rows[i].count);
		CU_ASSERT_EQUAL(check(rows[i].text, &off), -EBADMSG);
		CU_ASSERT_EQUAL(off, rows[i].off);
	}
}

static void notices_a_file_cut_within_a_line(void)
{
	struct span text = span_of_str(real_flat);

	for (uint64_t len = 0; len < text.len; len++) {
		unsigned count;
		bool whole = len == 0 || text.data[len - 1] == '\n';
		CU_ASSERT_EQUAL(walk(span_of(text.data, len), &count), whole ? FLAT_END : -EBADMSG);
	}
}

static void reads_lines_longer_than_one_read(void)
{
	static const uint64_t lens[] = { 65530, 65533, 65534, 65535, 65536, 200000 };
	unsigned count;

	for (size_t i = 0; i < array_size(lens); i++) {
		struct buf b = BUF_NULL;
		for (char key = 'a'; key < 'e'; key++) {
			buf_add_char(&b, key);
			buf_add_char(&b, '\t');
			for (uint64_t n = 0; n < lens[i]; n++)
				buf_add_char(&b, 'v');
			buf_add_char(&b, '\n');
		}
		CU_ASSERT_EQUAL(walk(buf_span(&b), &count), FLAT_END);
		CU_ASSERT_EQUAL(count, 4);
		buf_fini(&b);
	}
}

static void refuses_a_line_beyond_the_limit(void)
{
	struct buf b = BUF_NULL;
	unsigned count;

	buf_add_str(&b, "a\t");
	while (b.len < FLAT_LINE_MAX - 1)
		buf_add_char(&b, 'v');
	buf_add_char(&b, '\n');
	CU_ASSERT_EQUAL(walk(buf_span(&b), &count), FLAT_END);
	b.data[b.len - 1] = 'v';
	buf_add_char(&b, '\n');
	CU_ASSERT_EQUAL(walk(buf_span(&b), &count), -EBADMSG);
	buf_fini(&b);
}

static int fail_read(struct source *src, uint64_t off, void *buf, uint64_t len, uint64_t *ret_n)
{
	(void)src, (void)off, (void)buf, (void)len, (void)ret_n;
	return -EIO;
}

static void forwards_errors_of_the_device(void)
{
	static const struct source_ops ops = { .read = fail_read };
	struct source src = { .ops = &ops, .fd = -1 };
	unsigned count;
	uint64_t off;

	CU_ASSERT_EQUAL(walk_source(&src, &count), -EIO);
	CU_ASSERT_EQUAL(flat_check(&src, &off), -EIO);
}

static const struct test_case cases[] = {
	CASE(walks_a_real_file),
	CASE(takes_an_empty_file_for_an_empty_database),
	CASE(undoes_each_escape),
	CASE(refuses_each_line_that_is_none),
	CASE(notices_a_file_cut_within_a_line),
	CASE(reads_lines_longer_than_one_read),
	CASE(refuses_a_line_beyond_the_limit),
	CASE(forwards_errors_of_the_device),
};

const struct test_suite suite_format_flat = { "format/flat", cases, array_size(cases) };

// SPDX-License-Identifier: Apache-2.0
/*
 * The check of a whole twoskip: no bit below the committed end may be wrong unseen, and the
 * record that holds it is named; what a writer or a crash leaves is never called damage.
 */
#include "suites.h"

#include <CUnit/CUnit.h>
#include <errno.h>

#include "format/cyrus/twoskip.h"
#include "twoskip_image.h"

#define DELETE_OFF 4328 /* the last record but the COMMIT */
#define COMMIT_OFF 4352 /* the last record */

static int check_as(const struct image *image, enum db_order order, uint64_t *ret_off)
{
	struct source src;

	source_init_memory(&src, span_of(image->bytes, image->len));
	return twoskip_check(&src, order, ret_off);
}

static int check(const struct image *image, uint64_t *ret_off)
{
	return check_as(image, DB_ORDER_BYTES, ret_off);
}

/* Bytes of what stands at `off`: the header, a word of filler, or a record. */
static uint64_t unit_len(const struct image *image, uint64_t off)
{
	const uint8_t *p = image->bytes + off;

	if (off == 0)
		return 64;
	if (*p == ' ')
		return 8;
	uint64_t len = (uint64_t)(p[2] << 8 | p[3]) + (uint64_t)(p[6] << 8 | p[7]);
	return tail_off(image, off) - off + ((len + 7) & ~7ull);
}

static void says_that_a_real_database_is_whole(void)
{
	struct image image = real_image();
	uint64_t off;

	CU_ASSERT_EQUAL(check(&image, &off), 0);
	memset(image.bytes + image.len, 0xff, 100); /* behind the end */
	image.len += 100;
	CU_ASSERT_EQUAL(check(&image, &off), 0);
}

static void says_that_an_empty_database_is_whole(void)
{
	struct image image = { .len = 336 };
	struct buf b = BUF_NULL;
	uint64_t off;

	build(&b, NULL, 0);
	memcpy(image.bytes, b.data, b.len);
	buf_fini(&b);
	CU_ASSERT_EQUAL(check(&image, &off), 0);
}

static void finds_every_flipped_bit_and_its_record(void)
{
	struct image image = real_image();
	uint64_t unit = 0, len = 64, off;
	unsigned missed = 0, misplaced = 0;

	for (uint64_t byte = 0; byte < image.len; byte++) {
		if (byte == unit + len) {
			unit = byte;
			len = unit_len(&image, unit);
		}
		for (unsigned bit = 0; bit < 8; bit++) {
			image.bytes[byte] ^= (uint8_t)(1u << bit);
			missed += check(&image, &off) != -EBADMSG;
			misplaced += off != unit;
			image.bytes[byte] ^= (uint8_t)(1u << bit);
		}
	}
	CU_ASSERT_EQUAL(unit + len, image.len);
	CU_ASSERT_EQUAL(missed, 0);
	CU_ASSERT_EQUAL(misplaced, 0);
}

static void finds_every_cut(void)
{
	struct image image = real_image();
	unsigned missed = 0, misplaced = 0;

	for (uint64_t len = 0; len < sizeof(real_twoskip); len++) {
		uint64_t off;
		image.len = len;
		missed += check(&image, &off) != -EBADMSG;
		misplaced += off != (len < 64 ? 0 : len);
	}
	CU_ASSERT_EQUAL(missed, 0);
	CU_ASSERT_EQUAL(misplaced, 0);
}

/* ---- Damage under right CRCs ----------------------------------------------------------------- */

struct row {
	const char *what;
	const char *record; /* whose record is hit; NULL: what begins at `base` */
	uint64_t base;
	uint64_t off;	/* in the record; of 8 bytes */
	uint64_t value; /* to be there */
	bool is_tail;	/* `off` counts from the key, and is of one byte */
};

static const struct row rows[] = {
	{ "commit of another transaction", NULL, COMMIT_OFF, 8, 336, false },
	{ "commit of none", NULL, COMMIT_OFF, 8, 0, false },
	{ "commit of itself", NULL, COMMIT_OFF, 8, COMMIT_OFF, false },
	{ "delete that leads to itself", NULL, DELETE_OFF, 8, DELETE_OFF, false },
	{ "delete that leads ahead", NULL, DELETE_OFF, 8, COMMIT_OFF, false },
	{ "delete that leads to the dummy", NULL, DELETE_OFF, 8, 64, false },
	{ "padding", "box33", 0, 15, 1, true },
	{ "level 1 of the dummy", NULL, 64, 8 + 2 * 8, 0, false },
	{ "level 2 of the dummy", NULL, 64, 8 + 3 * 8, 0, false },
	{ "level 2 of the dummy to another", NULL, 64, 8 + 3 * 8, 4240, false },
	{ "level 5 of the dummy beyond the end", NULL, 64, 8 + 6 * 8, 5000, false },
	{ "level 6 of the dummy", NULL, 64, 8 + 7 * 8, 0, false },
	{ "level 20 of the dummy", NULL, 64, 8 + 21 * 8, 336, false },
	{ "level 30 of the dummy", NULL, 64, 8 + 31 * 8, UINT64_MAX, false },
};

static void finds_each_kind_of_damage_under_right_crcs(void)
{
	for (size_t i = 0; i < array_size(rows); i++) {
		const struct row *row = &rows[i];
		struct image image = real_image();
		uint64_t base = row->record ? off_of(&image, row->record) : row->base;
		uint64_t off;

		if (row->is_tail) {
			image.bytes[tail_off(&image, base) + row->off] = (uint8_t)row->value;
			fix_tail(&image, base);
		} else {
			put_quad(image.bytes + base + row->off, row->value);
		}
		fix_head(&image, base);
		int r = check(&image, &off);
		(void)CU_assertImplementation(r == -EBADMSG && off == base, __LINE__, row->what,
					      __FILE__, "", CU_FALSE);
	}
}

/* Each pointer above level 0 of each live record, in turn. */
static void finds_every_wrong_pointer_above_level_0(void)
{
	unsigned nr = 0, missed = 0;

	for (size_t i = 0; i < array_size(real_twoskip_pairs); i++) {
		struct image image = real_image();
		uint64_t base = off_of(&image, real_twoskip_pairs[i].key), off;
		for (unsigned level = 2; level <= image.bytes[base + 1]; level++, nr++) {
			struct image copy = image;
			uint8_t *p = copy.bytes + base + 8 + UINT64_C(8) * level;
			put_quad(p, get_quad(p) == 0 ? base : 0);
			fix_head(&copy, base);
			missed += check(&copy, &off) != -EBADMSG || off != base;
		}
	}
	CU_ASSERT(nr > 20);
	CU_ASSERT_EQUAL(missed, 0);
}

static void finds_what_the_header_says_wrongly(void)
{
	struct image real = real_image();
	const struct {
		uint64_t off, value, wrong;
	} headers[] = {
		{ 32, 45, UINT64_MAX },		/* the count: the walk ends too late, anywhere */
		{ 40, 344, 0 },			/* repacked in the middle of a record */
		{ 48, COMMIT_OFF, DELETE_OFF }, /* ends before the last COMMIT */
		{ 48, 336, DUMMY_OFF },		/* ends at the start, where no pointer leads */
	};

	for (size_t i = 0; i < array_size(headers); i++) {
		struct image image = real;
		uint64_t off;
		put_quad(image.bytes + headers[i].off, headers[i].value);
		fix_header(&image);
		CU_ASSERT_EQUAL(check(&image, &off), -EBADMSG);
		CU_ASSERT(headers[i].wrong == UINT64_MAX || off == headers[i].wrong);
	}
}

static void refuses_other_engines(void)
{
	struct image image = real_image();
	uint64_t off;

	memcpy(image.bytes, "\xa1\x02\x8b\x0dskiplist file\0\0\0", 20);
	CU_ASSERT_EQUAL(check(&image, &off), -EPROTONOSUPPORT);
	image = real_image();
	put_word(image.bytes + 20, 2);
	fix_header(&image);
	CU_ASSERT_EQUAL(check(&image, &off), -EPROTONOSUPPORT);
}

/* ---- A crashed transaction ------------------------------------------------------------------- */

static void says_that_a_crashed_transaction_is_no_damage(void)
{
	struct image image = dirty_image();
	uint64_t off;

	CU_ASSERT_EQUAL(check(&image, &off), 0);
	/* What Cyrus mends before it uses it: the count, and pointers above level 0. */
	put_quad(image.bytes + 32, 47);
	fix_header(&image);
	put_quad(image.bytes + DUMMY_OFF + 8 + 8 * 5, 4376);
	fix_head(&image, DUMMY_OFF);
	CU_ASSERT_EQUAL(check(&image, &off), 0);
}

static void does_not_judge_a_head_that_a_crash_may_have_torn(void)
{
	struct image image = dirty_image();
	uint64_t base = off_of(&image, "box22"), off;

	image.bytes[base + 15] ^= 8;
	CU_ASSERT_EQUAL(check(&image, &off), -EAGAIN);
	image = dirty_image();
	image.bytes[DUMMY_OFF + 15] ^= 8;
	CU_ASSERT_EQUAL(check(&image, &off), -EAGAIN);
}

static void finds_damage_that_no_crash_explains(void)
{
	struct image image = dirty_image();
	uint64_t base = off_of(&image, "box22"), off;

	image.bytes[tail_off(&image, base)] ^= 1;
	CU_ASSERT_EQUAL(check(&image, &off), -EBADMSG);
	CU_ASSERT_EQUAL(off, base);
	image = dirty_image();
	put_quad(image.bytes + COMMIT_OFF + 8, 336);
	fix_head(&image, COMMIT_OFF);
	CU_ASSERT_EQUAL(check(&image, &off), -EBADMSG);
	CU_ASSERT_EQUAL(off, COMMIT_OFF);
	image = dirty_image();
	image.len = 4300;
	CU_ASSERT_EQUAL(check(&image, &off), -EBADMSG);
	CU_ASSERT_EQUAL(off, 4300);
	image = dirty_image();
	image.bytes[63] ^= 1;
	CU_ASSERT_EQUAL(check(&image, &off), -EBADMSG);
	CU_ASSERT_EQUAL(off, 0);
}

/* ---- Files that change ----------------------------------------------------------------------- */

struct tally {
	unsigned good, again, bad, other;
};

/* Checks that are disturbed after 1, 2, ... reads, for `after_left` reads or for good. */
static struct tally disturb(const struct image *after, unsigned after_left, int fail_with)
{
	struct image before = real_image();
	struct tally tally = { 0 };

	for (unsigned reads = 1; reads < 110; reads++) {
		struct moving m = {
			.src = { .ops = &moving_ops, .fd = -1 },
			.before = &before,
			.after = after,
			.reads_left = reads,
			.after_left = after_left,
			.fail_with = fail_with,
		};
		uint64_t off;
		int r = twoskip_check(&m.src, DB_ORDER_BYTES, &off);
		tally.good += r == 0;
		tally.again += r == -EAGAIN;
		tally.bad += r == -EBADMSG;
		tally.other += r != 0 && r != -EAGAIN && r != -EBADMSG;
	}
	return tally;
}

static void believes_no_torn_read(void)
{
	struct image torn = { .len = sizeof(real_twoskip) };

	for (unsigned nr = 1; nr <= 2; nr++) {
		struct tally tally = disturb(&torn, nr, 0);
		CU_ASSERT_EQUAL(tally.bad + tally.other, 0);
		CU_ASSERT(tally.good > 100);
	}
}

static void calls_a_transaction_under_way_no_damage(void)
{
	struct image after = dirty_image();
	struct tally tally = disturb(&after, 0, 0);

	CU_ASSERT_EQUAL(tally.bad + tally.other, 0);
	CU_ASSERT(tally.good > 0);
}

/* Begun and undone: the header is in the end what it was. */
static void calls_a_transaction_that_was_undone_no_damage(void)
{
	struct image after = dirty_image();

	for (unsigned nr = 1; nr < 60; nr += 2) {
		struct tally tally = disturb(&after, nr, 0);
		CU_ASSERT_EQUAL(tally.bad + tally.other, 0);
		CU_ASSERT(tally.good > 0);
	}
}

static void calls_a_file_that_was_replaced_no_damage(void)
{
	struct image after = { .len = sizeof(real_twoskip) };
	struct buf b = BUF_NULL;

	memcpy(after.bytes, "\xa1\x02\x8b\x0dskiplist file\0\0\0", 20);
	struct tally tally = disturb(&after, 0, 0);
	CU_ASSERT_EQUAL(tally.bad, 0);
	build(&b, NULL, 0);
	after = (struct image){ .len = 336 };
	memcpy(after.bytes, b.data, b.len);
	buf_fini(&b);
	tally = disturb(&after, 0, 0);
	CU_ASSERT_EQUAL(tally.bad + tally.other, 0);
}

static void calls_damage_what_stays_wrong(void)
{
	struct image after = real_image();

	after.bytes[off_of(&after, "box22") + 15] ^= 8;
	struct tally tally = disturb(&after, 0, 0);
	CU_ASSERT(tally.bad > 0);
	CU_ASSERT_EQUAL(tally.again + tally.other, 0);
}

static void forwards_errors_of_the_device(void)
{
	struct image after = real_image();
	struct tally tally = disturb(&after, 0, -EIO);

	CU_ASSERT_EQUAL(tally.bad + tally.again, 0);
	CU_ASSERT(tally.other > 0);
}

/* ---- Orders ---------------------------------------------------------------------------------- */

/* Two keys, and the COMMIT that closes them. */
static struct image two_keys(const char *first, const char *second)
{
	static const struct pair pairs[] = { { 3, 5, false }, { 3, 5, false } };
	struct image image = { .len = 0 };
	struct buf b = BUF_NULL;

	build(&b, pairs, array_size(pairs));
	memcpy(image.bytes, b.data, b.len);
	uint64_t end = b.len, second_off = 336 + pair_len(&pairs[0]);
	buf_fini(&b);
	memcpy(image.bytes + tail_off(&image, 336), first, 3);
	memcpy(image.bytes + tail_off(&image, second_off), second, 3);
	fix_tail(&image, 336);
	fix_head(&image, 336);
	fix_tail(&image, second_off);
	fix_head(&image, second_off);
	for (unsigned i = 2; i < 32; i++) /* both are of level 1 */
		put_quad(image.bytes + DUMMY_OFF + 8 + UINT64_C(8) * i, 0);
	fix_head(&image, DUMMY_OFF);
	memcpy(image.bytes + end, "$\0\0\0\0\0\0\0", 8);
	put_quad(image.bytes + end + 8, 336);
	fix_head(&image, end);
	image.len = end + 24;
	put_quad(image.bytes + 48, image.len);
	fix_header(&image);
	return image;
}

static void compares_keys_as_it_is_told(void)
{
	struct image bytes = two_keys("a-b", "a.b"), mailbox = two_keys("a.b", "a-b");
	uint64_t off;

	CU_ASSERT_EQUAL(check_as(&bytes, DB_ORDER_BYTES, &off), 0);
	CU_ASSERT_EQUAL(check_as(&bytes, DB_ORDER_MAILBOX, &off), -EBADMSG);
	CU_ASSERT_EQUAL(check_as(&mailbox, DB_ORDER_MAILBOX, &off), 0);
	CU_ASSERT_EQUAL(check_as(&mailbox, DB_ORDER_BYTES, &off), -EBADMSG);
	CU_ASSERT_EQUAL(off, 336 + 40);

	struct twoskip db = TWOSKIP_NULL;
	struct span key, value;
	struct source src;
	source_init_memory(&src, span_of(mailbox.bytes, mailbox.len));
	db.order = DB_ORDER_MAILBOX;
	for (int i = 0; i < 2; i++) { /* beginning again keeps the order */
		CU_ASSERT_EQUAL(twoskip_begin(&db, &src), 0);
		CU_ASSERT_EQUAL(twoskip_next(&db, &key, &value), 0);
		CU_ASSERT_EQUAL(twoskip_next(&db, &key, &value), 0);
		CU_ASSERT_EQUAL(twoskip_next(&db, &key, &value), TWOSKIP_END);
	}
	twoskip_fini(&db);
}

static const struct test_case cases[] = {
	CASE(says_that_a_real_database_is_whole),
	CASE(says_that_an_empty_database_is_whole),
	CASE(finds_every_flipped_bit_and_its_record),
	CASE(finds_every_cut),
	CASE(finds_each_kind_of_damage_under_right_crcs),
	CASE(finds_every_wrong_pointer_above_level_0),
	CASE(finds_what_the_header_says_wrongly),
	CASE(refuses_other_engines),
	CASE(says_that_a_crashed_transaction_is_no_damage),
	CASE(does_not_judge_a_head_that_a_crash_may_have_torn),
	CASE(finds_damage_that_no_crash_explains),
	CASE(believes_no_torn_read),
	CASE(calls_a_transaction_under_way_no_damage),
	CASE(calls_a_transaction_that_was_undone_no_damage),
	CASE(calls_a_file_that_was_replaced_no_damage),
	CASE(calls_damage_what_stays_wrong),
	CASE(forwards_errors_of_the_device),
	CASE(compares_keys_as_it_is_told),
};

const struct test_suite suite_format_twoskip_check = { "format/twoskip_check", cases,
						       array_size(cases) };

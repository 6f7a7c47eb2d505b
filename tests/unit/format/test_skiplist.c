// SPDX-License-Identifier: Apache-2.0
/*
 * skiplist: a real database is walked exactly by its log, whatever its pointers say; the check
 * holds one against the other; what a crash or a writer leaves is told from damage.
 */
#include "suites.h"

#include <CUnit/CUnit.h>
#include <errno.h>

#include "base/buf.h"
#include "format/cyrus/skiplist.h"
#include "real_skiplist.h"

#define DUMMY_OFF 48
#define FIRST_OFF 0x90 /* box01, which is deleted */
#define BOX02_OFF 0xbc /* the first that is live, of 2 levels */
#define LOG_OFF 0x27c  /* DELETE box03, COMMIT, DELETE box05, ADD box05, COMMIT, ... */
#define LAST_OFF 0x380 /* ADD zed, COMMIT */

struct image {
	uint8_t bytes[2048];
	uint64_t len;
};

static struct image real_image(void)
{
	struct image image = { .len = sizeof(real_skiplist) };

	memcpy(image.bytes, real_skiplist, sizeof(real_skiplist));
	return image;
}

static void put_word(struct image *image, uint64_t off, uint32_t word)
{
	for (int i = 3; i >= 0; i--, word >>= 8)
		image->bytes[off + (uint64_t)i] = (uint8_t)word;
}

static void add_word(struct image *image, uint32_t word)
{
	put_word(image, image->len, word);
	image->len += 4;
}

/* A record of one level with a key of four bytes and no value. */
static void add_pair(struct image *image, uint32_t type, const char *key)
{
	add_word(image, type);
	add_word(image, 4);
	memcpy(image->bytes + image->len, key, 4);
	image->len += 4;
	add_word(image, 0);
	add_word(image, 0);
	add_word(image, UINT32_MAX);
}

static int walk(struct source *src, enum db_order order, unsigned *ret_count, bool *ret_same)
{
	struct skiplist db = SKIPLIST_NULL;
	struct span key, value;
	bool same = true;
	unsigned n = 0;

	db.order = order;
	int r = skiplist_begin(&db, src);
	while (r == 0) {
		r = skiplist_next(&db, &key, &value);
		if (r)
			break;
		same = same && n < array_size(real_skiplist_pairs) &&
		       span_equals_str(key, real_skiplist_pairs[n].key) &&
		       span_equals_str(value, real_skiplist_pairs[n].value);
		n++;
	}
	if (r == SKIPLIST_END)
		CU_ASSERT_EQUAL(skiplist_next(&db, &key, &value), SKIPLIST_END);
	skiplist_fini(&db);
	skiplist_fini(&db);
	*ret_count = n;
	*ret_same = same && n == array_size(real_skiplist_pairs);
	return r;
}

static int walk_image(const struct image *image, unsigned *ret_count, bool *ret_same)
{
	struct source src;

	source_init_memory(&src, span_of(image->bytes, image->len));
	return walk(&src, DB_ORDER_BYTES, ret_count, ret_same);
}

static bool walks_exactly(const struct image *image)
{
	unsigned count;
	bool same;

	return walk_image(image, &count, &same) == SKIPLIST_END && same;
}

static int check(const struct image *image, uint64_t *ret_off)
{
	struct source src;

	source_init_memory(&src, span_of(image->bytes, image->len));
	return skiplist_check(&src, DB_ORDER_BYTES, ret_off);
}

static void reads_a_real_header(void)
{
	struct skiplist_header header;

	CU_ASSERT_EQUAL(skiplist_parse_header(span_of(real_skiplist, 48), &header), 0);
	CU_ASSERT_EQUAL(header.version, 1);
	CU_ASSERT_EQUAL(header.minor, 2);
	CU_ASSERT_EQUAL(header.max_level, 20);
	CU_ASSERT_EQUAL(header.level, 4);
	CU_ASSERT_EQUAL(header.nr_records, 12);
	CU_ASSERT_EQUAL(header.log_start, LOG_OFF);
	CU_ASSERT_EQUAL(header.last_recovery, 0x6b05a8d9);
}

static void walks_a_real_database_exactly(void)
{
	struct image image = real_image();
	uint64_t off;

	CU_ASSERT(walks_exactly(&image));
	CU_ASSERT_EQUAL(check(&image, &off), 0);
}

static void walks_an_empty_database(void)
{
	struct image image = real_image();
	unsigned count;
	uint64_t off;
	bool same;

	image.len = FIRST_OFF;
	put_word(&image, 40, FIRST_OFF);
	memset(image.bytes + DUMMY_OFF + 12, 0, 80);
	CU_ASSERT_EQUAL(walk_image(&image, &count, &same), SKIPLIST_END);
	CU_ASSERT_EQUAL(count, 0);
	CU_ASSERT_EQUAL(check(&image, &off), 0);
}

/* ---- Damage --------------------------------------------------------------------------------- */

struct damage {
	const char *what;
	uint64_t off;
	uint32_t word;
	int walk;	/* what a walk ends with */
	uint64_t wrong; /* what a check names; UINT64_MAX: anything */
};

#define BAD -EBADMSG
#define END SKIPLIST_END

static const struct damage damages[] = {
	{ "magic", 4, 0x746b6970, BAD, 0 },
	{ "magic padding", 16, 0x65000001, BAD, 0 },
	{ "version", 20, 2, BAD, 0 },
	{ "version zero", 20, 0, BAD, 0 },
	{ "minor version", 24, 3, BAD, 0 },
	{ "minor version zero", 24, 0, BAD, 0 },
	{ "no level", 28, 0, BAD, 0 },
	{ "too many levels", 28, 21, BAD, 0 },
	{ "fewer levels than the dummy has", 28, 19, BAD, UINT64_MAX },
	{ "more levels at work than there are", 32, 21, BAD, 0 },
	{ "fewer levels at work than records have", 32, 2, END, UINT64_MAX },
	{ "log that starts in the dummy", 40, 0x8c, BAD, 0 },
	{ "log that starts off the grid", 40, LOG_OFF + 2, BAD, 0 },
	{ "log that starts too late", 40, LOG_OFF + 8, BAD, UINT64_MAX },
	{ "log that starts too early", 40, LOG_OFF - 0x24, BAD, UINT64_MAX },
	{ "log that starts beyond the end", 40, 936, BAD, 932 },

	{ "dummy that is none", DUMMY_OFF, 1, END, DUMMY_OFF },
	{ "dummy with a key", DUMMY_OFF + 4, 4, END, DUMMY_OFF },
	{ "dummy with a value", DUMMY_OFF + 8, 4, END, DUMMY_OFF },
	{ "dummy of too few levels", DUMMY_OFF + 88, UINT32_MAX, END, DUMMY_OFF },
	{ "dummy of too many levels", DUMMY_OFF + 92, 0, END, DUMMY_OFF },
	{ "pointer of the dummy", DUMMY_OFF + 12, BOX02_OFF, END, DUMMY_OFF },
	{ "pointer of the dummy to a dead record", DUMMY_OFF + 12, FIRST_OFF, END, DUMMY_OFF },
	{ "level 2 of the dummy", DUMMY_OFF + 16, 0x134, END, DUMMY_OFF },
	{ "level 20 of the dummy", DUMMY_OFF + 88, BOX02_OFF, END, DUMMY_OFF },

	{ "type", BOX02_OFF, 3, BAD, BOX02_OFF },
	{ "type of an addition", BOX02_OFF, 2, BAD, BOX02_OFF },
	{ "type of a commit", BOX02_OFF, 255, BAD, BOX02_OFF },
	{ "type of a dead record", FIRST_OFF, 0, BAD, FIRST_OFF },
	{ "key length", BOX02_OFF + 4, 9, BAD, UINT64_MAX },
	{ "key length zero", BOX02_OFF + 4, 0, BAD, BOX02_OFF },
	{ "key length absurd", BOX02_OFF + 4, 65537, BAD, BOX02_OFF },
	{ "key length beyond the end", BOX02_OFF + 4, 60000, BAD, BOX02_OFF },
	{ "key length of all ones", BOX02_OFF + 4, UINT32_MAX, BAD, BOX02_OFF },
	{ "key out of order", BOX02_OFF + 8, 0x7a6f7830, BAD, UINT64_MAX },
	{ "key twice", 0x114 + 8, 0x33000000, BAD, UINT64_MAX },
	{ "padding of a key", BOX02_OFF + 12, 0x32000001, END, BOX02_OFF },
	{ "value length", BOX02_OFF + 16, 3, END, UINT64_MAX },
	{ "value length absurd", BOX02_OFF + 16, 16777217, BAD, BOX02_OFF },
	{ "value length beyond the end", BOX02_OFF + 16, 10000, BAD, BOX02_OFF },
	{ "padding of a value", BOX02_OFF + 24, 0x65303201, END, BOX02_OFF },
	{ "pointer", BOX02_OFF + 28, 0x110, END, BOX02_OFF },
	{ "pointer to the end", BOX02_OFF + 28, 0, END, BOX02_OFF },
	{ "pointer beyond the end", BOX02_OFF + 28, 0x1000, END, BOX02_OFF },
	{ "level 2", BOX02_OFF + 32, 0x134, END, BOX02_OFF },
	{ "one level less", BOX02_OFF + 32, UINT32_MAX, BAD, UINT64_MAX },
	{ "no end of pointers", BOX02_OFF + 36, 0, BAD, UINT64_MAX },
	{ "no pointers", BOX02_OFF + 28, UINT32_MAX, BAD, BOX02_OFF },

	{ "type in the log", LOG_OFF, 5, BAD, LOG_OFF },
	{ "zeros in the log", LOG_OFF, 0, BAD, LOG_OFF },
	{ "record in order in the log", 0x290, 1, BAD, 0x290 },
	{ "dummy in the log", 0x290, 257, BAD, 0x290 },
	{ "deletion of nothing", LOG_OFF + 4, 0, BAD, LOG_OFF },
	{ "deletion off the grid", LOG_OFF + 4, 0xe2, BAD, LOG_OFF },
	{ "deletion between records", LOG_OFF + 4, 0xe8, BAD, UINT64_MAX },
	{ "deletion between records of the log", 0x30c + 4, 0x2f0, BAD, UINT64_MAX },
	{ "deletion of what comes later", LOG_OFF + 4, LAST_OFF, BAD, LOG_OFF },
	{ "deletion of a commit", 0x350 + 4, 0x34c, BAD, UINT64_MAX },
	{ "deletion twice", 0x314 + 4, 0xe4, BAD, 0xe4 },
	{ "commit in the log", 0x2c0, 254, BAD, 0x2c0 },
	{ "length in the log beyond the end", LAST_OFF + 4, 1000, BAD, LAST_OFF },
	{ "key in the log out of place", 0x2d0, 0x7a7a7a30, END, UINT64_MAX },
	{ "value length in the log", LAST_OFF + 12, 16777217, BAD, LAST_OFF },
};

static void finds_each_kind_of_damage(void)
{
	for (size_t i = 0; i < array_size(damages); i++) {
		const struct damage *d = &damages[i];
		struct image image = real_image();
		unsigned count;
		uint64_t off;
		bool same;

		put_word(&image, d->off, d->word);
		int walked = walk_image(&image, &count, &same);
		int checked = check(&image, &off);
		(void)CU_assertImplementation(walked == d->walk, __LINE__, d->what, __FILE__, "",
					      CU_FALSE);
		(void)CU_assertImplementation(checked == -EBADMSG, __LINE__, d->what, __FILE__, "",
					      CU_FALSE);
		(void)CU_assertImplementation(d->wrong == UINT64_MAX || off == d->wrong, __LINE__,
					      d->what, __FILE__, "", CU_FALSE);
	}
}

/* Without checksums the text of keys and values is as good as any; nothing else is. */
static void notices_flipped_bits_of_all_but_text(void)
{
	struct image image = real_image();
	unsigned nr_missed = 0, count;

	for (uint64_t bit = 0; bit < 8 * image.len; bit++) {
		bool same;
		image.bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
		int r = walk_image(&image, &count, &same);
		CU_ASSERT(r == -EBADMSG || r == SKIPLIST_END || r == -EPROTONOSUPPORT);
		nr_missed += r != -EBADMSG;
		image.bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	CU_ASSERT(nr_missed < 8 * image.len * 3 / 4);
}

/* ---- What a crash leaves --------------------------------------------------------------------- */

static void forgets_a_transaction_that_was_not_closed(void)
{
	struct image image = real_image();
	uint64_t off;

	add_word(&image, 4);
	add_word(&image, BOX02_OFF);
	add_pair(&image, 2, "box2");
	put_word(&image, DUMMY_OFF + 12, 932 + 8); /* its pointers are there already */
	CU_ASSERT(walks_exactly(&image));
	CU_ASSERT_EQUAL(check(&image, &off), 0);
	while (--image.len > 932) { /* or only a part of it */
		CU_ASSERT(walks_exactly(&image));
		CU_ASSERT_EQUAL(check(&image, &off), 0);
	}
	image = real_image();
	image.len += 100; /* or only room for it */
	CU_ASSERT(walks_exactly(&image));
	CU_ASSERT_EQUAL(check(&image, &off), 0);
	image.bytes[image.len - 50] = 1; /* but nothing else */
	CU_ASSERT_EQUAL(check(&image, &off), -EBADMSG);
	CU_ASSERT_EQUAL(off, 932);
}

static void forgets_a_transaction_whose_commit_is_cut(void)
{
	struct image image = real_image();
	unsigned count;
	uint64_t off;
	bool same;

	for (image.len = 931; image.len >= LAST_OFF; image.len--) {
		CU_ASSERT_EQUAL(walk_image(&image, &count, &same), SKIPLIST_END);
		CU_ASSERT_EQUAL(count, 12);
		/* Behind a COMMIT the pointers are held against the log: one leads to zed. */
		CU_ASSERT_EQUAL(check(&image, &off), image.len == LAST_OFF ? -EBADMSG : 0);
	}
}

static void notices_a_file_cut_before_its_log(void)
{
	struct image image = real_image();
	unsigned missed = 0, count;
	uint64_t off;
	bool same;

	for (image.len = 0; image.len < LOG_OFF; image.len++) {
		int expected = image.len == 0 ? -EAGAIN : -EBADMSG;
		missed += walk_image(&image, &count, &same) != expected;
		missed += check(&image, &off) != expected;
		missed += image.len >= 48 && off != image.len;
	}
	CU_ASSERT_EQUAL(missed, 0);
}

static void believes_a_file_that_ends_in_a_commit_to_the_end(void)
{
	struct image image = real_image();
	uint64_t off;

	/* A length in the last transaction but one that leads beyond the end hides what follows. */
	put_word(&image, 0x35c + 4, 500);
	CU_ASSERT_EQUAL(check(&image, &off), -EBADMSG);
	CU_ASSERT_EQUAL(off, 0x35c);
}

/* ---- Limits and orders ----------------------------------------------------------------------- */

static void refuses_other_engines(void)
{
	static const char *const magics[] = { "\xa1\x02\x8b\x0dtwoskip file",
					      "\xa1\x02\x8b\x0dtwomfile", "SQLite format 3" };
	struct skiplist_header header;

	for (size_t i = 0; i < array_size(magics); i++)
		CU_ASSERT_EQUAL(skiplist_parse_header(span_of_str(magics[i]), &header),
				-EPROTONOSUPPORT);
	CU_ASSERT_EQUAL(skiplist_parse_header(SPAN_NULL, &header), -EBADMSG);
	CU_ASSERT_EQUAL(skiplist_parse_header(span_of(real_skiplist, 47), &header), -EBADMSG);
}

/* The order in which Cyrus puts keys with bytes above 7f into this engine. */
static void compares_bytes_as_the_host_does(void)
{
	static const char *const keys[] = { "\x80zzz", "Bzzz", "a-bb", "a.bb" };
	struct image image = real_image();
	struct source src;
	unsigned count;
	bool same;

	image.len = FIRST_OFF;
	for (int i = 0; i < 4; i++)
		add_pair(&image, 1, keys[i]);
	put_word(&image, 40, (uint32_t)image.len);
	source_init_memory(&src, span_of(image.bytes, image.len));
	int expected = (char)0x80 < 0 ? SKIPLIST_END : -EBADMSG;
	CU_ASSERT_EQUAL(walk(&src, DB_ORDER_BYTES, &count, &same), expected);
	CU_ASSERT_EQUAL(walk(&src, DB_ORDER_MAILBOX, &count, &same), -EBADMSG);
	image.len = FIRST_OFF;
	add_pair(&image, 1, "a.bb");
	add_pair(&image, 1, "a-bb");
	source_init_memory(&src, span_of(image.bytes, image.len));
	put_word(&image, 40, (uint32_t)image.len);
	CU_ASSERT_EQUAL(walk(&src, DB_ORDER_MAILBOX, &count, &same), SKIPLIST_END);
	CU_ASSERT_EQUAL(walk(&src, DB_ORDER_BYTES, &count, &same), -EBADMSG);
}

static void refuses_a_log_that_is_too_long(void)
{
	struct buf b = BUF_NULL;
	struct source src;
	unsigned count;
	bool same;

	buf_add(&b, real_skiplist, sizeof(real_skiplist));
	for (uint32_t i = 0; i <= SKIPLIST_LOG_MAX; i++)
		buf_add(&b, "\0\0\0\4\0\0\0\xbc", 8);
	CU_ASSERT_EQUAL_FATAL(buf_error(&b), 0);
	source_init_memory(&src, buf_span(&b));
	CU_ASSERT_EQUAL(walk(&src, DB_ORDER_BYTES, &count, &same), -E2BIG);
	buf_fini(&b);
}

static void reads_records_longer_than_one_read(void)
{
	struct buf b = BUF_NULL;
	struct source src;
	unsigned count;
	bool same;

	/* A record in the log whose key has 65536 bytes and whose value 100003. */
	buf_add(&b, real_skiplist, sizeof(real_skiplist));
	buf_add(&b, "\0\0\0\2\0\1\0\0", 8);
	for (unsigned i = 0; i < 65536; i++)
		buf_add_char(&b, 'z');
	buf_add(&b, "\0\1\x86\xa3", 4);
	for (unsigned i = 0; i < 100004; i++)
		buf_add_char(&b, i < 100003 ? 'v' : '\0');
	buf_add(&b, "\0\0\0\0\xff\xff\xff\xff\0\0\0\xff", 12);
	source_init_memory(&src, buf_span(&b));
	CU_ASSERT_EQUAL(walk(&src, DB_ORDER_BYTES, &count, &same), SKIPLIST_END);
	CU_ASSERT_EQUAL(count, 14);
	buf_fini(&b);
}

/* ---- Files that change ----------------------------------------------------------------------- */

/* A source that shows `before` for so many reads, `after` from then on. */
struct moving {
	struct source src; /* first */
	const struct image *before, *after;
	unsigned reads_left;
	int fail_with; /* instead of the reads of `after` */
};

static int moving_read(struct source *src, uint64_t off, void *buf, uint64_t len, uint64_t *ret_n)
{
	struct moving *m = (struct moving *)src;
	const struct image *image = m->reads_left ? m->before : m->after;

	if (m->reads_left == 0 && m->fail_with)
		return m->fail_with;
	m->reads_left -= m->reads_left > 0;
	*ret_n = off < image->len ? min_of(min_of(len, image->len - off), (uint64_t)64) : 0;
	if (*ret_n)
		memcpy(buf, image->bytes + off, *ret_n);
	return 0;
}

static int moving_size(struct source *src, uint64_t *ret_size)
{
	const struct moving *m = (struct moving *)src;

	*ret_size = m->reads_left ? m->before->len : m->after->len;
	return 0;
}

static const struct source_ops moving_ops = { .read = moving_read, .size = moving_size };

struct tally {
	unsigned good, again, bad, other;
};

static void count_result(struct tally *tally, int r)
{
	tally->good += r == 0 || r == SKIPLIST_END;
	tally->again += r == -EAGAIN;
	tally->bad += r == -EBADMSG;
	tally->other += r < 0 && r != -EAGAIN && r != -EBADMSG;
}

static struct tally disturb(const struct image *after, int fail_with)
{
	struct image before = real_image();
	struct tally tally = { 0 };

	for (unsigned reads = 1; reads < 40; reads++) {
		struct moving m = {
			.src = { .ops = &moving_ops, .fd = -1 },
			.before = &before,
			.after = after,
			.reads_left = reads,
			.fail_with = fail_with,
		};
		unsigned count;
		uint64_t off;
		bool same;
		struct moving again = m;
		count_result(&tally, walk(&m.src, DB_ORDER_BYTES, &count, &same));
		count_result(&tally, skiplist_check(&again.src, DB_ORDER_BYTES, &off));
	}
	return tally;
}

static void calls_a_transaction_no_damage(void)
{
	struct image after = real_image();

	add_pair(&after, 2, "zzzz");
	put_word(&after, LAST_OFF + 20, 932);
	struct tally tally = disturb(&after, 0);
	CU_ASSERT_EQUAL(tally.bad + tally.other, 0);
	add_word(&after, 255);
	tally = disturb(&after, 0);
	CU_ASSERT_EQUAL(tally.bad + tally.other, 0);
	CU_ASSERT(tally.good > 10);
}

static void calls_a_file_that_was_replaced_no_damage(void)
{
	struct image after = { .len = 0 };
	struct tally tally = disturb(&after, 0);

	CU_ASSERT_EQUAL(tally.bad + tally.other, 0);
	CU_ASSERT(tally.again > 30);
}

/* Pointers that are being mended: wrong at first, right a little later. */
static void calls_a_recovery_no_damage(void)
{
	struct image before = real_image(), after = real_image();

	put_word(&before, BOX02_OFF + 28, 0x110);
	put_word(&before, DUMMY_OFF + 16, 0x134);
	for (unsigned reads = 10; reads < 60; reads += 7) {
		struct moving m = {
			.src = { .ops = &moving_ops, .fd = -1 },
			.before = &before,
			.after = &after,
			.reads_left = reads,
		};
		uint64_t off;
		int r = skiplist_check(&m.src, DB_ORDER_BYTES, &off);
		CU_ASSERT(r == 0 || r == -EAGAIN);
	}
}

static void forwards_errors_of_the_device(void)
{
	struct image after = real_image();
	struct tally tally = disturb(&after, -EIO);

	CU_ASSERT_EQUAL(tally.bad + tally.again, 0);
	CU_ASSERT(tally.other > 30);
}

static const struct test_case cases[] = {
	CASE(reads_a_real_header),
	CASE(walks_a_real_database_exactly),
	CASE(walks_an_empty_database),
	CASE(finds_each_kind_of_damage),
	CASE(notices_flipped_bits_of_all_but_text),
	CASE(forgets_a_transaction_that_was_not_closed),
	CASE(forgets_a_transaction_whose_commit_is_cut),
	CASE(notices_a_file_cut_before_its_log),
	CASE(believes_a_file_that_ends_in_a_commit_to_the_end),
	CASE(refuses_other_engines),
	CASE(compares_bytes_as_the_host_does),
	CASE(refuses_a_log_that_is_too_long),
	CASE(reads_records_longer_than_one_read),
	CASE(calls_a_transaction_no_damage),
	CASE(calls_a_file_that_was_replaced_no_damage),
	CASE(calls_a_recovery_no_damage),
	CASE(forwards_errors_of_the_device),
};

const struct test_suite suite_format_skiplist = { "format/skiplist", cases, array_size(cases) };

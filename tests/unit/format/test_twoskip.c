// SPDX-License-Identifier: Apache-2.0
/*
 * twoskip: a real database is walked exactly, also in the middle of a transaction; each kind of
 * damage is told as damage, and a file that changes under the walk as just that.
 */
#include "suites.h"

#include <CUnit/CUnit.h>
#include <errno.h>

#include "format/cyrus/twoskip.h"
#include "twoskip_image.h"

/* Walks to the end. The result that ended the walk, and how many records came before. */
static int walk(struct source *src, unsigned *ret_count)
{
	struct twoskip db = TWOSKIP_NULL;
	struct span key, value;
	int r = twoskip_begin(&db, src);

	*ret_count = 0;
	while (r == 0) {
		r = twoskip_next(&db, &key, &value);
		*ret_count += r == 0;
	}
	twoskip_fini(&db);
	return r;
}

static int walk_image(const struct image *image, unsigned *ret_count)
{
	struct source src;

	source_init_memory(&src, span_of(image->bytes, image->len));
	return walk(&src, ret_count);
}

/* True when a walk yields the pairs of the real database and nothing else. */
static bool walks_exactly(struct source *src)
{
	struct twoskip db = TWOSKIP_NULL;
	struct span key, value;
	size_t n = 0;
	bool same = true;
	int r = twoskip_begin(&db, src);

	while (r == 0) {
		r = twoskip_next(&db, &key, &value);
		if (r)
			break;
		same = same && n < array_size(real_twoskip_pairs) &&
		       span_equals_str(key, real_twoskip_pairs[n].key) &&
		       span_equals_str(value, real_twoskip_pairs[n].value);
		n++;
	}
	twoskip_fini(&db);
	return r == TWOSKIP_END && same && n == array_size(real_twoskip_pairs);
}

static int check_image(const struct image *image, uint64_t *ret_off)
{
	struct source src;

	source_init_memory(&src, span_of(image->bytes, image->len));
	return twoskip_check(&src, DB_ORDER_BYTES, ret_off);
}

static bool walks_image_exactly(const struct image *image)
{
	struct source src;

	source_init_memory(&src, span_of(image->bytes, image->len));
	return walks_exactly(&src);
}

static void reads_a_real_header(void)
{
	struct twoskip_header header;

	CU_ASSERT_EQUAL(twoskip_parse_header(span_of(real_twoskip, 64), &header), 0);
	CU_ASSERT_EQUAL(header.generation, 1);
	CU_ASSERT_EQUAL(header.nr_records, 46);
	CU_ASSERT_EQUAL(header.repack_size, 336);
	CU_ASSERT_EQUAL(header.current_size, 4376);
	CU_ASSERT_FALSE(header.dirty);
}

static void walks_a_real_database_exactly(void)
{
	struct image image = real_image();

	CU_ASSERT(walks_image_exactly(&image));
}

static void walks_a_dirty_database_as_it_was_before(void)
{
	struct image image = dirty_image();
	struct twoskip_header header;

	CU_ASSERT_EQUAL(twoskip_parse_header(span_of(image.bytes, 64), &header), 0);
	CU_ASSERT(header.dirty);
	CU_ASSERT(walks_image_exactly(&image));
}

static void does_not_trust_the_count_while_dirty(void)
{
	struct image image = dirty_image();

	put_quad(image.bytes + 32, 47);
	fix_header(&image);
	CU_ASSERT(walks_image_exactly(&image));
}

static void ignores_bytes_behind_the_committed_end(void)
{
	struct image image = real_image();

	memset(image.bytes + image.len, 0xff, 100);
	image.len += 100;
	CU_ASSERT(walks_image_exactly(&image));
}

static void keeps_saying_that_the_end_was_reached(void)
{
	struct twoskip db = TWOSKIP_NULL;
	struct source src;
	struct span key, value;
	int r = 0;

	source_init_memory(&src, span_of(real_twoskip, sizeof(real_twoskip)));
	CU_ASSERT_EQUAL(twoskip_begin(&db, &src), 0);
	while (r == 0)
		r = twoskip_next(&db, &key, &value);
	CU_ASSERT_EQUAL(r, TWOSKIP_END);
	CU_ASSERT_EQUAL(twoskip_next(&db, &key, &value), TWOSKIP_END);
	/* The same reader may begin again; nothing is lost in between. */
	CU_ASSERT_EQUAL(twoskip_begin(&db, &src), 0);
	CU_ASSERT_EQUAL(twoskip_next(&db, &key, &value), 0);
	CU_ASSERT(span_equals_str(key, "box01"));
	twoskip_fini(&db);
	twoskip_fini(&db);
}

/* ---- Damage --------------------------------------------------------------------------------- */

#define DELETE_OFF 4328 /* the last record: box19 leads to it, and it leads to box22 */

enum damage_kind {
	FLIP,  /* the bits of a byte */
	BYTE,  /* a byte */
	WORD,  /* 4 bytes, big-endian */
	QUAD,  /* 8 bytes, big-endian */
	POINT, /* both level-0 pointers of a record */
	CUT,   /* the length of the file */
};

/* Which CRCs are made right again, so that something else has to notice. */
enum damage_fix { FIX_NOTHING, FIX_HEADER, FIX_HEAD, FIX_TAIL };

struct damage {
	const char *what;
	const char *record; /* whose head is hit; NULL: what begins at `base` */
	uint64_t base;
	uint64_t off; /* behind `base`, or behind TAIL */
	enum damage_kind kind;
	uint64_t value;
	const char *target; /* POINT: `value` is behind the head of this record */
	enum damage_fix fix;
};

#define TAIL (UINT64_C(1) << 32) /* counts `off` from the first byte of the key */

static const struct damage damages[] = {
	{ "magic", NULL, 0, 5, FLIP, 1, NULL, FIX_HEADER },
	{ "magic padding", NULL, 0, 19, FLIP, 1, NULL, FIX_HEADER },
	{ "header crc", NULL, 0, 63, FLIP, 1, NULL, FIX_NOTHING },
	{ "version", NULL, 0, 23, FLIP, 2, NULL, FIX_NOTHING },
	{ "generation", NULL, 0, 31, FLIP, 2, NULL, FIX_NOTHING },
	{ "flags", NULL, 0, 59, FLIP, 1, NULL, FIX_NOTHING },
	{ "count too small", NULL, 0, 32, QUAD, 45, NULL, FIX_HEADER },
	{ "count too large", NULL, 0, 32, QUAD, 47, NULL, FIX_HEADER },
	{ "count absurd", NULL, 0, 32, QUAD, UINT64_MAX, NULL, FIX_HEADER },
	{ "current size absurd", NULL, 0, 48, QUAD, UINT64_MAX - 7, NULL, FIX_HEADER },
	{ "current size below the dummy", NULL, 0, 48, QUAD, 328, NULL, FIX_HEADER },
	{ "current size off the grid", NULL, 0, 48, QUAD, 4375, NULL, FIX_HEADER },
	{ "current size beyond the file", NULL, 0, 48, QUAD, 4384, NULL, FIX_HEADER },
	{ "current size too early", NULL, 0, 48, QUAD, 4000, NULL, FIX_HEADER },
	{ "repack size beyond the end", NULL, 0, 40, QUAD, 4384, NULL, FIX_HEADER },
	{ "repack size below the dummy", NULL, 0, 40, QUAD, 64, NULL, FIX_HEADER },

	{ "empty file", NULL, 0, 0, CUT, 0, NULL, FIX_NOTHING },
	{ "cut in the header", NULL, 0, 0, CUT, 63, NULL, FIX_NOTHING },
	{ "cut behind the header", NULL, 0, 0, CUT, 64, NULL, FIX_NOTHING },
	{ "cut in the dummy", NULL, 0, 0, CUT, 200, NULL, FIX_NOTHING },
	{ "cut by one byte", NULL, 0, 0, CUT, 4375, NULL, FIX_NOTHING },

	{ "dummy type", NULL, DUMMY_OFF, 0, BYTE, '+', NULL, FIX_HEAD },
	{ "dummy that is a pair", NULL, DUMMY_OFF, 0, WORD, 0x2b1f0008, NULL, FIX_TAIL },
	{ "dummy level", NULL, DUMMY_OFF, 1, BYTE, 30, NULL, FIX_HEAD },
	{ "dummy crc", NULL, DUMMY_OFF, 264, FLIP, 1, NULL, FIX_NOTHING },
	{ "dummy tail crc", NULL, DUMMY_OFF, 268, FLIP, 1, NULL, FIX_NOTHING },
	{ "dummy pointer", NULL, DUMMY_OFF, 15, FLIP, 8, NULL, FIX_NOTHING },

	{ "type commit", "box22", 0, 0, BYTE, '$', NULL, FIX_HEAD },
	{ "type dummy", "box22", 0, 0, BYTE, '=', NULL, FIX_HEAD },
	{ "type delete", "box22", 0, 0, BYTE, '-', NULL, FIX_HEAD },
	{ "type unknown", "box22", 0, 0, BYTE, '!', NULL, FIX_HEAD },
	{ "level", "box22", 0, 1, FLIP, 2, NULL, FIX_NOTHING },
	{ "level absurd", "box22", 0, 1, BYTE, 32, NULL, FIX_NOTHING },
	{ "level zero", "box22", 0, 1, BYTE, 0, NULL, FIX_HEAD },
	{ "key length", "box22", 0, 3, BYTE, 13, NULL, FIX_HEAD },
	{ "key length zero", "box22", 0, 3, BYTE, 0, NULL, FIX_TAIL },
	{ "value length", "box22", 0, 4, WORD, 2, NULL, FIX_HEAD },
	{ "value length beyond the end", "box50", 0, 4, WORD, 100000, NULL, FIX_HEAD },
	{ "value length absurd", "box50", 0, 4, WORD, 0xfffffffe, NULL, FIX_HEAD },
	{ "pointer", "box22", 0, 23, FLIP, 8, NULL, FIX_NOTHING },
	{ "tail crc", "box22", 0, TAIL - 1, FLIP, 1, NULL, FIX_NOTHING },
	{ "head crc", "box22", 0, TAIL - 5, FLIP, 0x80, NULL, FIX_NOTHING },
	{ "key", "box22", 0, TAIL + 4, FLIP, 1, NULL, FIX_NOTHING },
	{ "value", "box22", 0, TAIL + 9, FLIP, 1, NULL, FIX_NOTHING },
	{ "padding", "box33", 0, TAIL + 15, FLIP, 1, NULL, FIX_NOTHING },

	{ "pointer to the end", "box22", 0, 0, POINT, 4376, NULL, FIX_HEAD },
	{ "pointer far away", "box22", 0, 0, POINT, UINT64_MAX - 7, NULL, FIX_HEAD },
	{ "pointer into the header", "box22", 0, 0, POINT, 8, NULL, FIX_HEAD },
	{ "pointer to the dummy", "box22", 0, 0, POINT, DUMMY_OFF, NULL, FIX_HEAD },
	{ "pointer between records", "box22", 0, 0, POINT, 8, "box23", FIX_HEAD },
	{ "pointer off the grid", "box22", 0, 0, POINT, 1, "box23", FIX_HEAD },
	{ "pointer near the end", "box22", 0, 0, POINT, 4368, NULL, FIX_HEAD },
	{ "pointer to itself", "box22", 0, 0, POINT, 0, "box22", FIX_HEAD },
	{ "pointer back", "box22", 0, 0, POINT, 0, "box02", FIX_HEAD },
	{ "pointer past a record", "box22", 0, 0, POINT, 0, "box24", FIX_HEAD },
	{ "pointer to nothing", "box22", 0, 0, POINT, 0, NULL, FIX_HEAD },
	{ "keys out of order", "box22", 0, TAIL + 3, BYTE, '4', NULL, FIX_TAIL },
	{ "key twice", "box22", 0, TAIL + 4, BYTE, '3', NULL, FIX_TAIL },

	{ "delete to a delete", NULL, DELETE_OFF, 8, QUAD, 4280, NULL, FIX_HEAD },
	{ "delete to the end", NULL, DELETE_OFF, 8, QUAD, 4376, NULL, FIX_HEAD },
	{ "delete back", NULL, DELETE_OFF, 8, QUAD, 3344, NULL, FIX_HEAD },
	{ "delete to nothing", NULL, DELETE_OFF, 8, QUAD, 0, NULL, FIX_HEAD },
	{ "delete crc", NULL, DELETE_OFF, 17, FLIP, 1, NULL, FIX_NOTHING },
	{ "delete level", NULL, DELETE_OFF, 1, BYTE, 1, NULL, FIX_HEAD },
	{ "delete with a key", NULL, DELETE_OFF, 3, BYTE, 8, NULL, FIX_TAIL },
};

static void damage_image(struct image *image, const struct damage *d)
{
	uint64_t base = d->record ? off_of(image, d->record) : d->base;
	uint64_t off = d->off >= TAIL / 2 ? tail_off(image, base) + d->off - TAIL : base + d->off;
	uint64_t value = d->target ? off_of(image, d->target) + d->value : d->value;

	switch (d->kind) {
	case FLIP:
		image->bytes[off] ^= (uint8_t)value;
		break;
	case BYTE:
		image->bytes[off] = (uint8_t)value;
		break;
	case WORD:
		put_word(image->bytes + off, (uint32_t)value);
		break;
	case QUAD:
		put_quad(image->bytes + off, value);
		break;
	case POINT:
		put_quad(image->bytes + base + 8, value);
		put_quad(image->bytes + base + 16, value);
		break;
	case CUT:
		image->len = value;
		break;
	}
	if (d->fix == FIX_HEADER)
		fix_header(image);
	if (d->fix == FIX_TAIL)
		fix_tail(image, base);
	if (d->fix == FIX_TAIL || d->fix == FIX_HEAD)
		fix_head(image, base);
}

/* The damage of this name, done. */
static void damage_by_name(struct image *image, const char *what)
{
	for (size_t i = 0; i < array_size(damages); i++) {
		if (strcmp(damages[i].what, what) == 0) {
			damage_image(image, &damages[i]);
			return;
		}
	}
	CU_FAIL("no such damage");
}

static void notices_each_kind_of_damage(void)
{
	for (size_t i = 0; i < array_size(damages); i++) {
		struct image image = real_image();
		unsigned count;
		uint64_t off;
		damage_image(&image, &damages[i]);
		/* What CU_ASSERT does, with the name of the row in place of the condition. */
		(void)CU_assertImplementation(walk_image(&image, &count) == -EBADMSG, __LINE__,
					      damages[i].what, __FILE__, "", CU_FALSE);
		(void)CU_assertImplementation(check_image(&image, &off) == -EBADMSG, __LINE__,
					      damages[i].what, __FILE__, "", CU_FALSE);
	}
}

/* Every byte that the walk relies on is covered by some CRC. */
static void notices_every_damaged_byte_that_counts(void)
{
	struct image image = real_image();
	unsigned count, noticed = 0, wrong = 0;

	for (uint64_t off = 0; off < image.len; off++) {
		image.bytes[off] ^= 0x10;
		int r = walk_image(&image, &count);
		if (r == -EBADMSG)
			noticed++;
		else if (!walks_image_exactly(&image))
			wrong++;
		image.bytes[off] ^= 0x10;
	}
	CU_ASSERT_EQUAL(wrong, 0);
	/* The header, the dummy, 46 live records; the rest is dead records, commits and filler. */
	CU_ASSERT(noticed > 64 + 272 + 46 * 40);
}

static void notices_every_flipped_bit_of_the_header(void)
{
	struct image image = real_image();
	struct twoskip_header header;
	unsigned missed = 0;

	for (unsigned bit = 0; bit < 64 * 8; bit++) {
		image.bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
		missed += twoskip_parse_header(span_of(image.bytes, 64), &header) != -EBADMSG;
		image.bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	CU_ASSERT_EQUAL(missed, 0);
}

static void notices_a_file_cut_anywhere(void)
{
	struct image image = real_image();
	unsigned count, missed = 0;

	for (uint64_t len = 0; len < sizeof(real_twoskip); len += 7) {
		image.len = len;
		missed += walk_image(&image, &count) != -EBADMSG;
	}
	CU_ASSERT_EQUAL(missed, 0);
}

static void refuses_other_engines_and_versions(void)
{
	static const char *const magics[] = {
		"\xa1\x02\x8b\x0dskiplist file",
		"\xa1\x02\x8b\x0dtwomfile",
		"SQLite format 3",
	};
	struct twoskip_header header;

	for (size_t i = 0; i < array_size(magics); i++) {
		uint8_t bytes[64] = { 0 };
		memcpy(bytes, magics[i], strlen(magics[i]));
		CU_ASSERT_EQUAL(twoskip_parse_header(span_of(bytes, 64), &header),
				-EPROTONOSUPPORT);
		CU_ASSERT_EQUAL(twoskip_parse_header(span_of_str(magics[i]), &header),
				-EPROTONOSUPPORT);
	}
	/* A later version, whatever it does with its CRC. */
	struct image image = real_image();
	unsigned count;
	put_word(image.bytes + 20, 2);
	fix_header(&image);
	CU_ASSERT_EQUAL(walk_image(&image, &count), -EPROTONOSUPPORT);
	CU_ASSERT_EQUAL(twoskip_parse_header(span_of_str("user.joe\t0 default joe\tlrs"), &header),
			-EBADMSG);
	CU_ASSERT_EQUAL(twoskip_parse_header(SPAN_NULL, &header), -EBADMSG);
}

/* Nothing that the walk reads is missing, only the end of what was committed. */
static void notices_a_file_shorter_than_its_header_says(void)
{
	struct image image = real_image();
	unsigned count;

	image.len = 6000;
	put_quad(image.bytes + 48, 6000);
	fix_header(&image);
	CU_ASSERT(walks_image_exactly(&image));
	image.len--;
	CU_ASSERT_EQUAL(walk_image(&image, &count), -EBADMSG);
	CU_ASSERT_EQUAL(count, 0);
}

static void refuses_a_list_that_begins_with_two_deletes(void)
{
	struct image image = real_image();
	unsigned count;

	put_quad(image.bytes + DUMMY_OFF + 8, DELETE_OFF);
	put_quad(image.bytes + DUMMY_OFF + 16, 0);
	fix_head(&image, DUMMY_OFF);
	put_quad(image.bytes + DELETE_OFF + 8, 4280);
	fix_head(&image, DELETE_OFF);
	CU_ASSERT_EQUAL(walk_image(&image, &count), -EBADMSG);
	CU_ASSERT_EQUAL(count, 0);
}

static void hands_out_what_came_before_the_damage(void)
{
	struct image image = real_image();
	unsigned count;

	damage_by_name(&image, "tail crc");
	CU_ASSERT_EQUAL(walk_image(&image, &count), -EBADMSG);
	CU_ASSERT_EQUAL(count, 18); /* box01 to box19 without box05 */
}

static void repeats_the_error_instead_of_going_on(void)
{
	struct image image = real_image();
	struct twoskip db = TWOSKIP_NULL;
	struct source src;
	struct span key, value;
	int r = 0;

	damage_by_name(&image, "tail crc");
	source_init_memory(&src, span_of(image.bytes, image.len));
	CU_ASSERT_EQUAL(twoskip_begin(&db, &src), 0);
	while (r == 0)
		r = twoskip_next(&db, &key, &value);
	CU_ASSERT_EQUAL(r, -EBADMSG);
	CU_ASSERT_EQUAL(twoskip_next(&db, &key, &value), -EBADMSG);
	twoskip_fini(&db);
}

/* ---- Databases made here --------------------------------------------------------------------- */

static int walk_pairs(const struct pair *pairs, size_t nr, unsigned *ret_count)
{
	struct buf b = BUF_NULL;
	struct source src;

	build(&b, pairs, nr);
	source_init_memory(&src, buf_span(&b));
	int r = walk(&src, ret_count);
	buf_fini(&b);
	return r;
}

static void walks_an_empty_database(void)
{
	unsigned count;

	CU_ASSERT_EQUAL(walk_pairs(NULL, 0, &count), TWOSKIP_END);
	CU_ASSERT_EQUAL(count, 0);
}

static void reads_records_longer_than_one_read(void)
{
	static const struct pair pairs[] = {
		{ 1, 0, false },     { 5, 500, false },	  { 7, 200000, false }, { 65534, 3, false },
		{ 65535, 9, false }, { 65536, 0, false }, { 3, 4, true },	{ 3, 70000, true },
	};
	struct buf b = BUF_NULL;
	struct twoskip db = TWOSKIP_NULL;
	struct source src;
	struct span key, value;

	build(&b, pairs, array_size(pairs));
	source_init_memory(&src, buf_span(&b));
	CU_ASSERT_EQUAL(twoskip_begin(&db, &src), 0);
	for (size_t i = 0; i < array_size(pairs); i++) {
		CU_ASSERT_EQUAL_FATAL(twoskip_next(&db, &key, &value), 0);
		CU_ASSERT_EQUAL(key.len, pairs[i].key_len);
		CU_ASSERT_EQUAL(value.len, pairs[i].value_len);
		CU_ASSERT_EQUAL(key.data[key.len - 1], 'a' + i);
		CU_ASSERT(value.len == 0 || value.data[value.len - 1] == 'v');
	}
	CU_ASSERT_EQUAL(twoskip_next(&db, &key, &value), TWOSKIP_END);
	twoskip_fini(&db);
	buf_fini(&b);
}

static void refuses_keys_and_values_beyond_the_limits(void)
{
	static const struct pair at_the_limit = { 65536, 16 << 20, true };
	static const struct pair long_key = { 65537, 0, false };
	static const struct pair long_value = { 1, (16 << 20) + 1, true };
	unsigned count;

	CU_ASSERT_EQUAL(walk_pairs(&at_the_limit, 1, &count), TWOSKIP_END);
	CU_ASSERT_EQUAL(walk_pairs(&long_key, 1, &count), -EBADMSG);
	CU_ASSERT_EQUAL(walk_pairs(&long_value, 1, &count), -EBADMSG);
}

static void refuses_an_empty_key(void)
{
	static const struct pair pair = { 0, 5, false };
	unsigned count;

	CU_ASSERT_EQUAL(walk_pairs(&pair, 1, &count), -EBADMSG);
	CU_ASSERT_EQUAL(count, 0);
}

static void refuses_a_record_across_the_committed_end(void)
{
	static const struct pair pair = { 5, 30, false };

	for (uint64_t end = 336; end < 336 + pair_len(&pair); end += 8) {
		struct buf b = BUF_NULL;
		struct source src;
		unsigned count;

		build(&b, &pair, 1);
		put_quad((uint8_t *)b.data + 48, end);
		put_word((uint8_t *)b.data + 60, crc32_of(span_of(b.data, 60)));
		source_init_memory(&src, buf_span(&b));
		CU_ASSERT_EQUAL(walk(&src, &count), -EBADMSG);
		CU_ASSERT_EQUAL(count, 0);
		buf_fini(&b);
	}
}

static void refuses_long_lengths_that_overflow(void)
{
	static const uint64_t lens[] = { UINT64_MAX, UINT64_MAX - 6, INT64_MAX, 1ull << 63 };
	static const struct pair pair = { 3, 4, true };

	for (size_t i = 0; i < 2 * array_size(lens); i++) {
		struct buf b = BUF_NULL;
		struct source src;
		unsigned count;

		build(&b, &pair, 1);
		uint8_t *head = (uint8_t *)b.data + 336;
		put_quad(head + (i % 2 ? 8 : 16), lens[i / 2]);
		put_word(head + 40, crc32_of(span_of(head, 40)));
		source_init_memory(&src, buf_span(&b));
		CU_ASSERT_EQUAL(walk(&src, &count), -EBADMSG);
		buf_fini(&b);
	}
}

/* ---- Files that change ----------------------------------------------------------------------- */

/* The results of walks that are disturbed after 1, 2, ... reads are counted by kind. */
struct tally {
	unsigned exact, again, bad, other;
};

static struct tally disturb(const struct image *after, unsigned after_left, int fail_with)
{
	struct image before = real_image();
	struct tally tally = { 0 };

	for (unsigned reads = 1; reads < 50; reads++) {
		struct moving m = {
			.src = { .ops = &moving_ops, .fd = -1 },
			.before = &before,
			.after = after,
			.reads_left = reads,
			.after_left = after_left,
			.fail_with = fail_with,
		};
		unsigned count;
		int r = walk(&m.src, &count);
		if (r == TWOSKIP_END && count == array_size(real_twoskip_pairs))
			tally.exact++;
		else if (r == -EAGAIN)
			tally.again++;
		else if (r == -EBADMSG)
			tally.bad++;
		else
			tally.other++;
	}
	return tally;
}

static void believes_no_single_torn_read(void)
{
	struct image torn = { .len = sizeof(real_twoskip) };

	/* One read of nothing but zeros, then the file as it is. */
	struct tally tally = disturb(&torn, 1, 0);
	CU_ASSERT_EQUAL(tally.exact, 49);
}

static void retries_a_torn_header(void)
{
	struct image before = real_image(), torn = real_image();
	struct moving m = {
		.src = { .ops = &moving_ops, .fd = -1 },
		.before = &torn,
		.after = &before,
		.reads_left = 2,
	};

	torn.bytes[40] ^= 1;
	CU_ASSERT(walks_exactly(&m.src));
}

static void goes_on_when_a_transaction_begins(void)
{
	struct image after = dirty_image();
	struct tally tally = disturb(&after, 0, 0);

	CU_ASSERT_EQUAL(tally.exact, 49);
}

static void begins_again_when_two_transactions_passed(void)
{
	struct image after = real_image();

	/*
	 * Both pointers of box22 lead behind the end that the walk knows; the header has moved on.
	 */
	damage_by_name(&after, "pointer to the end");
	put_quad(after.bytes + 48, 5000);
	put_quad(after.bytes + 32, 48);
	fix_header(&after);
	after.len = 5000;
	struct tally tally = disturb(&after, 0, 0);
	CU_ASSERT(tally.again > 0);
	CU_ASSERT_EQUAL(tally.bad, 0);
	CU_ASSERT_EQUAL(tally.other, 0);
	CU_ASSERT_EQUAL(tally.again + tally.exact, 49);
}

static void begins_again_when_another_engine_took_over(void)
{
	struct image after = { .len = sizeof(real_twoskip) };

	memcpy(after.bytes, "\xa1\x02\x8b\x0dskiplist file", 17);
	struct tally tally = disturb(&after, 0, 0);
	CU_ASSERT(tally.again > 40);
	CU_ASSERT_EQUAL(tally.bad + tally.other, 0);
}

static void begins_again_when_the_file_is_replaced(void)
{
	struct image after = { .len = 336 };
	struct buf b = BUF_NULL;

	build(&b, NULL, 0);
	memcpy(after.bytes, b.data, b.len);
	buf_fini(&b);
	struct tally tally = disturb(&after, 0, 0);
	CU_ASSERT_EQUAL(tally.bad, 0);
	CU_ASSERT_EQUAL(tally.other, 0);
	CU_ASSERT(tally.again > 40);
}

static void calls_damage_what_stays_wrong_under_the_same_header(void)
{
	struct image after = real_image();

	damage_by_name(&after, "head crc");
	struct tally tally = disturb(&after, 0, 0);
	CU_ASSERT(tally.bad > 0);
	CU_ASSERT_EQUAL(tally.again, 0);
	CU_ASSERT_EQUAL(tally.other, 0);
}

static void calls_damage_what_stays_wrong_in_a_dirty_file(void)
{
	struct image image = dirty_image();
	unsigned count;

	damage_by_name(&image, "head crc");
	CU_ASSERT_EQUAL(walk_image(&image, &count), -EBADMSG);
}

static void forwards_errors_of_the_device(void)
{
	struct image after = real_image();
	struct tally tally = disturb(&after, 0, -EIO);

	CU_ASSERT_EQUAL(tally.other + tally.exact, 49);
	CU_ASSERT(tally.other > 40);

	struct image before = real_image();
	for (unsigned reads = 0; reads < 10; reads++) {
		struct moving m = {
			.src = { .ops = &moving_ops, .fd = -1 },
			.before = &before,
			.after = &before,
			.reads_left = reads,
			.fail_with = -EIO,
		};
		unsigned count;
		CU_ASSERT_EQUAL(walk(&m.src, &count), -EIO);
	}
}

static const struct test_case cases[] = {
	{ "reads_a_real_header", reads_a_real_header },
	{ "walks_a_real_database_exactly", walks_a_real_database_exactly },
	{ "walks_a_dirty_database_as_it_was_before", walks_a_dirty_database_as_it_was_before },
	{ "does_not_trust_the_count_while_dirty", does_not_trust_the_count_while_dirty },
	{ "ignores_bytes_behind_the_committed_end", ignores_bytes_behind_the_committed_end },
	{ "keeps_saying_that_the_end_was_reached", keeps_saying_that_the_end_was_reached },
	{ "notices_each_kind_of_damage", notices_each_kind_of_damage },
	{ "notices_every_damaged_byte_that_counts", notices_every_damaged_byte_that_counts },
	{ "notices_every_flipped_bit_of_the_header", notices_every_flipped_bit_of_the_header },
	{ "notices_a_file_cut_anywhere", notices_a_file_cut_anywhere },
	{ "refuses_other_engines_and_versions", refuses_other_engines_and_versions },
	{ "notices_a_file_shorter_than_its_header_says",
	  notices_a_file_shorter_than_its_header_says },
	{ "refuses_a_list_that_begins_with_two_deletes",
	  refuses_a_list_that_begins_with_two_deletes },
	{ "hands_out_what_came_before_the_damage", hands_out_what_came_before_the_damage },
	{ "repeats_the_error_instead_of_going_on", repeats_the_error_instead_of_going_on },
	{ "walks_an_empty_database", walks_an_empty_database },
	{ "reads_records_longer_than_one_read", reads_records_longer_than_one_read },
	{ "refuses_keys_and_values_beyond_the_limits", refuses_keys_and_values_beyond_the_limits },
	{ "refuses_an_empty_key", refuses_an_empty_key },
	{ "refuses_a_record_across_the_committed_end", refuses_a_record_across_the_committed_end },
	{ "refuses_long_lengths_that_overflow", refuses_long_lengths_that_overflow },
	{ "believes_no_single_torn_read", believes_no_single_torn_read },
	{ "retries_a_torn_header", retries_a_torn_header },
	{ "goes_on_when_a_transaction_begins", goes_on_when_a_transaction_begins },
	{ "begins_again_when_two_transactions_passed", begins_again_when_two_transactions_passed },
	{ "begins_again_when_another_engine_took_over",
	  begins_again_when_another_engine_took_over },
	{ "begins_again_when_the_file_is_replaced", begins_again_when_the_file_is_replaced },
	{ "calls_damage_what_stays_wrong_under_the_same_header",
	  calls_damage_what_stays_wrong_under_the_same_header },
	{ "calls_damage_what_stays_wrong_in_a_dirty_file",
	  calls_damage_what_stays_wrong_in_a_dirty_file },
	{ "forwards_errors_of_the_device", forwards_errors_of_the_device },
};

const struct test_suite suite_format_twoskip = { "format/twoskip", cases, array_size(cases) };

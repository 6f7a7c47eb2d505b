// SPDX-License-Identifier: Apache-2.0
/*
 * Fingerprints: blocks of every kind of content and length, damaged in every way, by seed. What can be
 * proven is told right each time, and the old bytes come back; what rests on four bits of an eighth is
 * told right as often as they allow.
 */
#include "suites.h"

#include <CUnit/CUnit.h>
#include <errno.h>
#include <stdlib.h>

#include "fingerprint_faults.h"

static const uint32_t lens[] = { 1024, 2048, 4096, 65536 };
static struct fault fault;

static const char *described(const struct fingerprint_result *result)
{
	static struct buf text;

	buf_clear(&text);
	fingerprint_describe(result, &text);
	return buf_str(&text);
}

/* What is said of the fault; a budget of 0 is as much as there may be. */
static struct fingerprint_result identified(uint64_t budget)
{
	struct fingerprint_result result = { .kind = FINGERPRINT_COUNT_ };
	uint64_t left = budget ? budget : UINT64_MAX;

	CU_ASSERT_EQUAL(fault_identify(&fault, &left, &result), 0);
	CU_ASSERT_TRUE(left <= (budget ? budget : UINT64_MAX));
	return result;
}

static void check_undo(const struct fingerprint_result *result)
{
	static uint8_t old[FINGERPRINT_LEN_MAX];
	struct span now = span_of(fault.now, fault.len);
	uint32_t first = 0, last = fault.len - 1;

	CU_ASSERT_TRUE(result->proven);
	CU_ASSERT_EQUAL_FATAL(fingerprint_undo(result, now, old), 0);
	CU_ASSERT_EQUAL(memcmp(old, fault.was, fault.len), 0);
	while (old[first] == fault.now[first])
		first++;
	while (old[last] == fault.now[last])
		last--;
	CU_ASSERT_EQUAL(result->first, first);
	CU_ASSERT_EQUAL(result->last, last);
}

/* The next block with damage of this kind that changed something. */
static void next_fault(uint64_t *seed, uint32_t len, enum content content,
		       bool (*damage)(struct fault *fault))
{
	for (;;) {
		fault_begin(&fault, ++*seed, len, content);
		if (damage(&fault) && memcmp(fault.was, fault.now, len) != 0)
			return;
	}
}

/* ---- Kind by kind ------------------------------------------------------------------------------- */

/* Every fault of a kind that is proven, at every length and with every content. */
static void check_proven(bool (*damage)(struct fault *fault), enum fingerprint kind, unsigned nr,
			 unsigned nr_long)
{
	uint64_t seed = 0;

	for (size_t i = 0; i < array_size(lens); i++)
		for (unsigned n = 0; n < (lens[i] > 4096 ? nr_long : nr); n++) {
			struct fingerprint_result result;
			next_fault(&seed, lens[i], n % CONTENT_COUNT_, damage);
			result = identified(0);
			CU_ASSERT_STRING_EQUAL(fingerprint_name(result.kind),
					       fingerprint_name(kind));
			if (result.kind == kind)
				check_undo(&result);
		}
}

static void finds_the_flipped_bit_always(void)
{
	check_proven(damage_bit, FINGERPRINT_SINGLE_BIT, 400, 40);
}

/* Every bit of a block, among them those whose eighth has the same four bits as before. */
static void finds_each_bit_of_a_block(void)
{
	fault_begin(&fault, 77, 1024, CONTENT_ELF);
	for (uint32_t bit = 0; bit < 8 * 1024; bit++) {
		struct fingerprint_result result;
		flip(&fault, bit);
		result = identified(0);
		CU_ASSERT_EQUAL(result.kind, FINGERPRINT_SINGLE_BIT);
		CU_ASSERT_EQUAL(8 * result.first + result.bit, bit);
		CU_ASSERT_EQUAL(result.mask, UINT64_C(1) << bit % 64);
		CU_ASSERT_EQUAL(result.lane, bit / 8 % 8);
		flip(&fault, bit);
	}
}

static void finds_the_changed_byte_always(void)
{
	check_proven(damage_byte, FINGERPRINT_LANE, 40, 0);
}

static void finds_two_flips_of_one_bit_position_always(void)
{
	check_proven(damage_two, FINGERPRINT_LANE, 60, 0);
}

static void finds_three_flips_of_one_bit_position_always(void)
{
	check_proven(damage_three, FINGERPRINT_LANE, 60, 0);
}

/* Flips whose words all share a pair of accumulators, which cannot be looked up. */
static void finds_flips_of_words_that_belong_together(void)
{
	uint64_t state = 5;

	for (unsigned n = 0; n < 60; n++) {
		uint32_t bit = (uint32_t)random_below(&state, 128), at = 0;
		struct fingerprint_result result;
		fault_begin(&fault, n, 4096, n % CONTENT_COUNT_);
		for (unsigned i = 0; i < 2 + n % 2; i++) {
			at += 512 * (1 + (uint32_t)random_below(&state, n % 3 ? 2 : 20));
			flip(&fault, at + bit);
		}
		result = identified(0);
		CU_ASSERT_EQUAL(result.kind, FINGERPRINT_LANE);
		CU_ASSERT_EQUAL(result.nr_changes, 2 + n % 2);
		CU_ASSERT_EQUAL(result.mask, UINT64_C(1) << bit % 64);
		check_undo(&result);
	}
}

/* Where each of the eighths shows. */
static void finds_flips_in_several_eighths_of_a_large_block(void)
{
	for (unsigned n = 1; n < 7; n++) {
		struct fingerprint_result result;
		fault_begin(&fault, n, 65536, n % CONTENT_COUNT_);
		flip(&fault, 8 * 8192 * 1 + 64 * (100 + n) + 13);
		flip(&fault, 8 * 8192 * 4 + 64 * (300 - n) + 13);
		if (n % 2)
			flip(&fault, 8 * 8192 * 6 + 64 * (700 + 3 * n) + 13);
		result = identified(0);
		CU_ASSERT_EQUAL(result.kind, FINGERPRINT_LANE);
		if (result.kind == FINGERPRINT_LANE)
			check_undo(&result);
	}
}

static void finds_a_rotated_block_always(void)
{
	check_proven(damage_rotate_block, FINGERPRINT_SHIFTED, 60, 12);
}

static void finds_a_rotated_sector_always(void)
{
	check_proven(damage_rotate_sector, FINGERPRINT_SHIFTED, 60, 12);
}

static void finds_a_block_that_was_pushed_up_always(void)
{
	check_proven(damage_push, FINGERPRINT_SHIFTED, 60, 8);
}

/* How many of `nr` faults are told as `kind`, or as its sister. */
static unsigned nr_right(bool (*damage)(struct fault *fault), uint32_t len, enum content content,
			 enum fingerprint kind, unsigned nr)
{
	uint64_t seed = 1000;
	unsigned right = 0;

	for (unsigned n = 0; n < nr; n++) {
		next_fault(&seed, len, content, damage);
		right += identified(100000).kind == kind;
	}
	return right;
}

static void knows_a_block_of_zeros_always(void)
{
	for (size_t i = 0; i < array_size(lens); i++)
		for (unsigned content = 0; content < CONTENT_SPARSE; content++)
			CU_ASSERT_EQUAL(nr_right(damage_zero_block, lens[i], content,
						 FINGERPRINT_ZEROED, 20),
					20);
}

/* Random bytes and text have no other zeros that could be meant. */
static void knows_sectors_of_zeros_always_where_no_others_are(void)
{
	for (size_t i = 0; i < array_size(lens); i++)
		for (unsigned content = 0; content <= CONTENT_TEXT; content++)
			CU_ASSERT_EQUAL(nr_right(damage_zero, lens[i], content, FINGERPRINT_ZEROED,
						 100),
					100);
}

static void knows_a_sector_that_stands_twice_always(void)
{
	for (size_t i = 0; i < array_size(lens); i++)
		for (unsigned content = 0; content <= CONTENT_ELF; content++) {
			CU_ASSERT_EQUAL(nr_right(damage_copy, lens[i], content,
						 FINGERPRINT_REPEATED, 50),
					50);
			CU_ASSERT_EQUAL(nr_right(damage_copy_block, lens[i], content,
						 FINGERPRINT_REPEATED, 20),
					20);
		}
}

/* A digest is a digest: no shape, no bit goes before it. */
static void knows_the_content_of_elsewhere_and_before_always(void)
{
	for (size_t i = 0; i < array_size(lens); i++)
		for (unsigned content = 0; content < CONTENT_COUNT_; content++) {
			CU_ASSERT_EQUAL(nr_right(damage_misdirect, lens[i], content,
						 FINGERPRINT_MISDIRECTED, 20),
					20);
			CU_ASSERT_EQUAL(nr_right(damage_lose, lens[i], content,
						 FINGERPRINT_LOST_WRITE, 20),
					20);
		}
}

/* ---- The table of confusion --------------------------------------------------------------------- */

/*
 * 1,000 faults in blocks of 4,096 bytes. What a kind must reach, in a thousand of its own faults:
 *
 * Proven kinds, digests, and whole blocks: all. Zeroed and repeated rest on the four bits only where
 * none of their eighths shows, once in 16 for one sector; then zeros beside other zeros, and copies
 * as well, are told by what else there is. Torn is missed when the only eighth does not show, when
 * the outer one of two does not, and when two of several do not: about 3 in 100 in all, 6 at most.
 * A block that is another one all over shows everything or all but one eighth. It looks torn when
 * that one is at an end, 2/16 * (15/16)^7 = 8 in 100, and when another is missing beside it that may
 * be, 13/256 * (15/16)^6 = 3.4 in 100: so 88 in 100 are random. Damage in the middle looks random
 * always.
 */
static const struct row {
	bool (*damage)(struct fault *fault);
	enum fingerprint kind;
	unsigned per_mille;
} rows[] = {
	{ damage_bit, FINGERPRINT_SINGLE_BIT, 1000 },
	{ damage_byte, FINGERPRINT_LANE, 1000 },
	{ damage_two, FINGERPRINT_LANE, 1000 },
	{ damage_three, FINGERPRINT_LANE, 1000 },
	{ damage_zero, FINGERPRINT_ZEROED, 950 },
	{ damage_zero_block, FINGERPRINT_ZEROED, 1000 },
	{ damage_copy, FINGERPRINT_REPEATED, 980 },
	{ damage_copy_block, FINGERPRINT_REPEATED, 1000 },
	{ damage_rotate_block, FINGERPRINT_SHIFTED, 1000 },
	{ damage_rotate_sector, FINGERPRINT_SHIFTED, 1000 },
	{ damage_push, FINGERPRINT_SHIFTED, 1000 },
	{ damage_tear, FINGERPRINT_TORN_512, 920 },
	{ damage_misdirect, FINGERPRINT_MISDIRECTED, 1000 },
	{ damage_lose, FINGERPRINT_LOST_WRITE, 1000 },
	{ damage_all, FINGERPRINT_RANDOM, 780 },
	{ damage_spots, FINGERPRINT_RANDOM, 1000 },
};

static void tells_1000_faults_apart(void)
{
	unsigned table[array_size(rows)][FINGERPRINT_COUNT_] = { 0 }, nr[array_size(rows)] = { 0 };
	uint64_t seed = 2024;

	for (unsigned n = 0; n < 1000; n++) {
		size_t i = n % array_size(rows);
		bool is_proven = rows[i].kind == FINGERPRINT_SINGLE_BIT ||
				 rows[i].kind == FINGERPRINT_LANE ||
				 rows[i].kind == FINGERPRINT_SHIFTED;
		struct fingerprint_result result;
		next_fault(&seed, 4096, n / array_size(rows) % CONTENT_COUNT_, rows[i].damage);
		/* What is not proven is not searched for long: the guess is the same. */
		result = identified(is_proven ? 0 : 200000);
		nr[i]++;
		table[i][result.kind]++;
		CU_ASSERT_EQUAL(result.proven, result.kind == FINGERPRINT_SINGLE_BIT ||
						       result.kind == FINGERPRINT_LANE ||
						       result.kind == FINGERPRINT_SHIFTED);
		if (result.proven)
			check_undo(&result);
	}
	for (size_t i = 0; i < array_size(rows); i++)
		CU_ASSERT_TRUE(1000 * table[i][rows[i].kind] >= rows[i].per_mille * nr[i]);
}

/* The same figures from more faults, which are cheap where nothing has to be searched. */
static void keeps_to_the_figures_of_what_rests_on_four_bits(void)
{
	unsigned right;

	for (unsigned content = 0; content <= CONTENT_TEXT; content++) {
		right = nr_right(damage_all, 4096, content, FINGERPRINT_RANDOM, 1000);
		CU_ASSERT_TRUE(right >= 850 && right <= 915);
		right = nr_right(damage_tear, 4096, content, FINGERPRINT_TORN_512, 500);
		/* The outermost eighth shows in 15 of 16: only then is an end reached. */
		CU_ASSERT_TRUE(right >= 460);
		CU_ASSERT_TRUE(nr_right(damage_tear, 2048, content, FINGERPRINT_TORN_512, 300) >=
			       276);
		CU_ASSERT_TRUE(nr_right(damage_tear, 1024, content, FINGERPRINT_TORN_512, 300) >=
			       276);
		/* Of 15 places one leaves no eighth as it was. */
		CU_ASSERT_TRUE(nr_right(damage_tear, 65536, content, FINGERPRINT_TORN_4096, 60) >=
			       45);
	}
	for (size_t i = 0; i < array_size(lens); i++)
		CU_ASSERT_EQUAL(nr_right(damage_spots, lens[i], CONTENT_RANDOM, FINGERPRINT_RANDOM,
					 20),
				20);
}

/* ---- The ends of what is known ------------------------------------------------------------------ */

static struct fingerprint_result identified_as(const struct fingerprint_lookup *lookup)
{
	struct fingerprint_damage damage = {
		.now = span_of(fault.now, fault.len),
		.was = block_sum_of(span_of(fault.was, fault.len)),
	};
	struct fingerprint_result result = { .kind = FINGERPRINT_COUNT_ };
	uint64_t budget = UINT64_MAX;

	CU_ASSERT_EQUAL(fingerprint_identify(&damage, lookup, &budget, &result), 0);
	return result;
}

static int find_anything(uint64_t digest, uint64_t place, uint64_t *ret_where, void *ctx)
{
	(void)digest;
	(void)ctx;
	*ret_where = place;
	return 1;
}

static int find_trouble(uint64_t digest, uint64_t place, uint64_t *ret_where, void *ctx)
{
	(void)digest;
	(void)place;
	(void)ctx;
	*ret_where = 7;
	return -EIO;
}

static void calls_fill_misdirected_never_and_lost_when_it_was_here(void)
{
	struct fingerprint_lookup lookup = { find_anything, NULL, NULL };

	fault_begin(&fault, 1, 4096, CONTENT_TEXT);
	memset(fault.now, 0xff, 4096);
	CU_ASSERT_EQUAL(identified_as(&lookup).kind, FINGERPRINT_REPEATED);
	memset(fault.now, 0, 4096);
	CU_ASSERT_EQUAL(identified_as(&lookup).kind, FINGERPRINT_ZEROED);
	lookup.find_before = find_anything;
	CU_ASSERT_EQUAL(identified_as(&lookup).kind, FINGERPRINT_LOST_WRITE);
}

static void finds_a_bit_that_was_the_only_one_before_it_says_zeroed(void)
{
	struct fingerprint_result result;

	fault_begin(&fault, 1, 4096, CONTENT_TEXT);
	memset(fault.was, 0, 4096);
	memset(fault.now, 0, 4096);
	fault.was[1234] = 0x20;
	result = identified_as(&FINGERPRINT_LOOKUP_NULL);
	CU_ASSERT_EQUAL(result.kind, FINGERPRINT_SINGLE_BIT);
	CU_ASSERT_STRING_EQUAL(described(&result), "bit 5 of byte 1234 was flipped (1 to 0)");
}

/* A part that was zero is not explained by pushing all that is there now out of it. */
static void calls_nothing_shifted_that_became_zero(void)
{
	fault_begin(&fault, 3, 4096, CONTENT_TEXT);
	memset(fault.was + 1024, 0, 512);
	CU_ASSERT_NOT_EQUAL(identified_as(&FINGERPRINT_LOOKUP_NULL).kind, FINGERPRINT_SHIFTED);
}

static void hands_on_that_it_could_not_look(void)
{
	struct fingerprint_lookup lookup = { find_trouble, NULL, NULL };
	struct fingerprint_damage damage;
	struct fingerprint_result result = { .kind = FINGERPRINT_COUNT_ };
	uint64_t budget = 1000;

	fault_begin(&fault, 1, 4096, CONTENT_TEXT);
	flip(&fault, 5);
	damage.now = span_of(fault.now, 4096);
	damage.was = block_sum_of(span_of(fault.was, 4096));
	damage.place = 0;
	CU_ASSERT_EQUAL(fingerprint_identify(&damage, &lookup, &budget, &result), -EIO);
	lookup = (struct fingerprint_lookup){ NULL, find_trouble, NULL };
	CU_ASSERT_EQUAL(fingerprint_identify(&damage, &lookup, &budget, &result), -EIO);
	CU_ASSERT_EQUAL(result.kind, FINGERPRINT_COUNT_);
}

static void refuses_what_is_no_block_and_what_is_not_damaged(void)
{
	static const uint32_t wrong[] = { 0, 1, 512, 1023, 1536, 4095, 4097, 65535 };
	struct fingerprint_damage damage = { .place = 0 };
	struct fingerprint_result result = { .kind = FINGERPRINT_COUNT_ };
	uint64_t budget = 1000;

	fault_begin(&fault, 1, 65536, CONTENT_TEXT);
	for (size_t i = 0; i < array_size(wrong); i++) {
		damage.now = span_of(fault.now, wrong[i]);
		CU_ASSERT_EQUAL(fingerprint_identify(&damage, &FINGERPRINT_LOOKUP_NULL, &budget,
						     &result),
				-EINVAL);
	}
	damage.now = span_of(fault.now, 4096);
	damage.was = block_sum_of(damage.now);
	CU_ASSERT_EQUAL(fingerprint_identify(&damage, &FINGERPRINT_LOOKUP_NULL, &budget, &result),
			FINGERPRINT_UNDAMAGED);
	CU_ASSERT_EQUAL(result.kind, FINGERPRINT_COUNT_);
	CU_ASSERT_EQUAL(budget, 1000);
}

/* Eighths that say another thing than the digest come from a baseline that is damaged itself. */
static void proves_nothing_when_the_eighths_do_not_fit(void)
{
	struct fingerprint_damage damage = { .place = 0 };
	struct fingerprint_result result;
	uint64_t budget = UINT64_MAX;

	fault_begin(&fault, 1, 4096, CONTENT_RANDOM);
	flip(&fault, 12345);
	damage.now = span_of(fault.now, 4096);
	damage.was = block_sum_of(span_of(fault.was, 4096));
	damage.was.sectors ^= 0x50000;
	CU_ASSERT_EQUAL(fingerprint_identify(&damage, &FINGERPRINT_LOOKUP_NULL, &budget, &result),
			0);
	CU_ASSERT_FALSE(result.proven);
	CU_ASSERT_EQUAL(fingerprint_undo(&result, damage.now, fault.other), -EINVAL);
}

static void spends_no_more_than_its_budget_and_says_when_it_ends(void)
{
	struct fingerprint_damage damage = { .place = 0 };
	struct fingerprint_result result;

	fault_begin(&fault, 9, 4096, CONTENT_RANDOM);
	damage_spots(&fault);
	damage.now = span_of(fault.now, 4096);
	damage.was = block_sum_of(span_of(fault.was, 4096));
	for (uint64_t budget = 0; budget < 2000000; budget = 7 * budget + 1) {
		uint64_t left = budget;
		CU_ASSERT_EQUAL(
			fingerprint_identify(&damage, &FINGERPRINT_LOOKUP_NULL, &left, &result), 0);
		CU_ASSERT_TRUE(left <= budget);
		CU_ASSERT_EQUAL(result.kind, FINGERPRINT_RANDOM);
		CU_ASSERT_TRUE(result.exhausted);
	}
	CU_ASSERT_FALSE(identified(0).exhausted);
}

/* ---- Words -------------------------------------------------------------------------------------- */

static void has_a_name_and_a_meaning_for_each_kind(void)
{
	static const char *const names[] = { "single-bit", "lane",     "zeroed",    "repeated",
					     "shifted",	   "torn-512", "torn-4096", "misdirected",
					     "lost-write", "random" };

	CU_ASSERT_EQUAL(array_size(names), FINGERPRINT_COUNT_);
	for (unsigned kind = 0; kind < FINGERPRINT_COUNT_; kind++) {
		CU_ASSERT_STRING_EQUAL(fingerprint_name(kind), names[kind]);
		CU_ASSERT_TRUE(strlen(fingerprint_meaning(kind)) > 40);
	}
	CU_ASSERT_STRING_EQUAL(fingerprint_name(FINGERPRINT_COUNT_), "?");
	CU_ASSERT_STRING_EQUAL(fingerprint_meaning(FINGERPRINT_COUNT_), "?");
}

static void describes_each_kind(void)
{
	struct fingerprint_result r;

	fault_begin(&fault, 4, 4096, CONTENT_TEXT);
	fault.was[1234] = 0;
	memcpy(fault.now, fault.was, 4096);
	fault.now[1234] = 0x20;
	r = identified(0);
	CU_ASSERT_STRING_EQUAL(described(&r), "bit 5 of byte 1234 was flipped (0 to 1)");
	fault.now[1234] = 0x3a;
	r = identified(0);
	CU_ASSERT_STRING_EQUAL(described(&r),
			       "byte 1234 was changed (0x00 to 0x3a), byte 2 of a 64-bit word");
	memcpy(fault.now, fault.was, 4096);
	flip(&fault, 8 * 10 + 3);
	flip(&fault, 8 * 1802 + 3);
	r = identified(0);
	CU_ASSERT_STRING_EQUAL(described(&r),
			       "bit 3 of bytes 10 and 1802 was flipped, byte 2 of a 64-bit word");
	memcpy(fault.now, fault.was, 4096);
	rotate(&fault, 0, 4096, 3);
	r = identified(0);
	CU_ASSERT_STRING_EQUAL(described(&r), "the block was rotated up by 3 bytes");
	memcpy(fault.now, fault.was, 4096);
	rotate(&fault, 1024, 512, 511);
	r = identified(0);
	CU_ASSERT_STRING_EQUAL(described(&r), "the sector at byte 1024 was rotated down by 1 byte");
	memcpy(fault.now, fault.was, 4096);
	memset(fault.now + 512, 0, 1024);
	r = identified(1);
	CU_ASSERT_STRING_EQUAL(described(&r),
			       "bytes 512 to 1535 have sectors of zeros where they differ");
	memcpy(fault.now, fault.was, 4096);
	memcpy(fault.now + 512, fault.was + 2048, 512);
	r = identified(1);
	CU_ASSERT_STRING_EQUAL(described(&r), "bytes 512 to 1023 hold sectors that stand elsewhere "
					      "in the block, the first at byte 2048");
	damage_lose(&fault);
	r = identified(1);
	CU_ASSERT_STRING_EQUAL(described(&r), "it holds what it did in baseline 1002");
	fault.before = 0;
	damage_misdirect(&fault);
	r = identified(1);
	CU_ASSERT_STRING_EQUAL(described(&r), "it holds what block 1001 should");
}

static void describes_guesses_by_their_eighths(void)
{
	struct fingerprint_result r = { .kind = FINGERPRINT_TORN_512, .len = 4096, .last = 1535 };

	CU_ASSERT_STRING_EQUAL(described(&r), "the first 1536 bytes differ, the rest does not");
	r.first = 3584;
	r.last = 4095;
	CU_ASSERT_STRING_EQUAL(described(&r), "the last 512 bytes differ, the rest does not");
	r.kind = FINGERPRINT_RANDOM;
	CU_ASSERT_STRING_EQUAL(described(&r), "it differs in no known way, nor is known where");
	r.differing = 0x80;
	CU_ASSERT_STRING_EQUAL(described(&r), "bytes 3584 to 4095 differ in no known way");
	r.exhausted = true;
	CU_ASSERT_STRING_EQUAL(described(&r), "bytes 3584 to 4095 differ in no known way; flipped "
					      "bits were not all tried");
	r.kind = FINGERPRINT_ZEROED;
	r.whole = true;
	CU_ASSERT_STRING_EQUAL(described(&r), "the block is zero");
	r.kind = FINGERPRINT_REPEATED;
	CU_ASSERT_STRING_EQUAL(described(&r), "all sectors of the block are the same");
}

/* One bit that was flipped. */
static struct fingerprint_result bit_at(uint32_t off, unsigned bit, bool raised)
{
	uint8_t byte = (uint8_t)(1u << bit), none = 0;

	return (struct fingerprint_result){
		.kind = FINGERPRINT_SINGLE_BIT,
		.proven = true,
		.place = 3,
		.len = 4096,
		.nr_changes = 1,
		.changes = { { off, raised ? none : byte, raised ? byte : none } },
		.lane = off % 8,
		.bit = bit,
	};
}

static void check_summary(const struct fingerprint_summary *summary, const char *expected)
{
	struct buf text = BUF_NULL;

	fingerprint_summary_describe(summary, &text);
	CU_ASSERT_STRING_EQUAL(buf_str(&text), expected);
	buf_fini(&text);
}

static struct fingerprint_summary summary_of_bits(unsigned nr, uint32_t step, unsigned bit_step,
						  unsigned raised)
{
	struct fingerprint_summary summary = FINGERPRINT_SUMMARY_NULL;

	for (unsigned i = 0; i < nr; i++) {
		struct fingerprint_result r = bit_at(11 + i * step, (5 + i * bit_step) % 8,
						     raised == 2 || (raised == 1 && i % 2));
		fingerprint_summary_add(&summary, &r);
	}
	return summary;
}

static void sums_up_what_single_bits_have_in_common(void)
{
	struct fingerprint_summary summary = FINGERPRINT_SUMMARY_NULL;

	check_summary(&summary, "no damage");
	summary = summary_of_bits(17, 16, 0, 1);
	check_summary(&summary, "17 blocks, all one bit, all bit 5 of byte 3 of a 64-bit word: "
				"suspect memory or bus");
	summary = summary_of_bits(17, 16, 0, 2);
	check_summary(&summary, "17 blocks, all one bit, all bit 5 of byte 3 of a 64-bit word, all "
				"0 to 1: suspect memory or bus");
	summary = summary_of_bits(2, 16, 1, 1);
	check_summary(&summary,
		      "2 blocks, all one bit, all in byte 3 of a 64-bit word: suspect one "
		      "memory chip or a byte lane of a bus");
	summary = summary_of_bits(2, 1, 0, 0);
	check_summary(&summary, "2 blocks, all one bit, all bit 5 of a byte, all 1 to 0: suspect a "
				"path that is 8 bits wide, in a controller or drive");
	summary = summary_of_bits(3, 1, 1, 1);
	check_summary(&summary, "3 blocks, all one bit, with neither bit nor byte lane in common: "
				"suspect memory that ages, or radiation");
	summary = summary_of_bits(3, 4096, 0, 1);
	check_summary(&summary, "3 blocks, all one bit, all bit 5 of byte 3 of a 64-bit word, all "
				"at byte 11 of a page: suspect one cell of memory");
	summary = summary_of_bits(1, 0, 0, 1);
	check_summary(&summary, "1 block, one bit: suspect memory or bus");
}

static void sums_up_several_kinds(void)
{
	struct fingerprint_summary summary = summary_of_bits(2, 16, 0, 1);
	struct fingerprint_result r = { .kind = FINGERPRINT_TORN_512, .len = 4096 };

	fingerprint_summary_add(&summary, &r);
	check_summary(
		&summary,
		"3 blocks; 2 one bit, all bit 5 of byte 3 of a 64-bit word: suspect memory or "
		"bus; 1 torn-512: suspect loss of power during a write");
	r = (struct fingerprint_result){ .kind = FINGERPRINT_LANE, .lane = 3, .exhausted = true };
	fingerprint_summary_add(&summary, &r);
	check_summary(
		&summary,
		"4 blocks; 2 one bit, all bit 5 of byte 3 of a 64-bit word: suspect memory or "
		"bus; 1 lane: suspect one memory chip or one line of a bus; 1 torn-512: "
		"suspect loss of power during a write; all flipped bits are in byte 3 of a "
		"64-bit word; in 1 block not all flipped bits were tried");
	r.kind = FINGERPRINT_COUNT_; /* adds nothing */
	fingerprint_summary_add(&summary, &r);
	CU_ASSERT_EQUAL(summary.nr_exhausted, 1);
}

static const struct test_case cases[] = {
	CASE(finds_the_flipped_bit_always),
	CASE(finds_each_bit_of_a_block),
	CASE(finds_the_changed_byte_always),
	CASE(finds_two_flips_of_one_bit_position_always),
	CASE(finds_three_flips_of_one_bit_position_always),
	CASE(finds_flips_of_words_that_belong_together),
	CASE(finds_flips_in_several_eighths_of_a_large_block),
	CASE(finds_a_rotated_block_always),
	CASE(finds_a_rotated_sector_always),
	CASE(finds_a_block_that_was_pushed_up_always),
	CASE(knows_a_block_of_zeros_always),
	CASE(knows_sectors_of_zeros_always_where_no_others_are),
	CASE(knows_a_sector_that_stands_twice_always),
	CASE(knows_the_content_of_elsewhere_and_before_always),
	CASE(tells_1000_faults_apart),
	CASE(keeps_to_the_figures_of_what_rests_on_four_bits),
	CASE(calls_fill_misdirected_never_and_lost_when_it_was_here),
	CASE(finds_a_bit_that_was_the_only_one_before_it_says_zeroed),
	CASE(calls_nothing_shifted_that_became_zero),
	CASE(hands_on_that_it_could_not_look),
	CASE(refuses_what_is_no_block_and_what_is_not_damaged),
	CASE(proves_nothing_when_the_eighths_do_not_fit),
	CASE(spends_no_more_than_its_budget_and_says_when_it_ends),
	CASE(has_a_name_and_a_meaning_for_each_kind),
	CASE(describes_each_kind),
	CASE(describes_guesses_by_their_eighths),
	CASE(sums_up_what_single_bits_have_in_common),
	CASE(sums_up_several_kinds),
};

const struct test_suite suite_verify_fingerprint = { "verify/fingerprint", cases,
						     array_size(cases) };

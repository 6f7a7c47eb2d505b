// SPDX-License-Identifier: Apache-2.0
/*
 * Pump over a bad disk: what it cannot give is known to the sector, what lies beside it is whole, and
 * what only needs another attempt gets one. With io_uring, where there is one, and without.
 */
#include "suites.h"

#include "io/pump_rig.h"

/* ---- bad sectors ---- */

static void narrows_to_the_exact_sectors(void)
{
	static const struct {
		uint64_t first, nr;
	} bad[] = {
		{ 0, 1 },	    /* of the device, and of a read */
		{ 15, 1 },	    /* the last of a read */
		{ 16, 1 },	    /* the first of the next */
		{ 23, 1 },	    /* in the middle */
		{ 15, 2 },	    /* on both sides of a border */
		{ 35, 3 },	    /* not at a half */
		{ SECTORS - 1, 1 }, /* the last of the device */
	};

	for (size_t i = 0; i < array_size(bad); i++) {
		renew_pump();
		add_error(bad[i].first, bad[i].nr, -EIO);
		CU_ASSERT_EQUAL(run(), 0);
		check_handed(rig.nr);
		check_bad(bad[i].first, bad[i].nr);
		CU_ASSERT_EQUAL(rig.error, -EIO);
		CU_ASSERT_EQUAL(stats().bad_sectors, bad[i].nr);
		CU_ASSERT_EQUAL(stats().retried, 0);
	}
}

static void narrows_a_read_of_an_odd_number_of_sectors(void)
{
	for (unsigned nr = 1; nr <= SLOT_LEN / SECTOR; nr++)
		for (unsigned at = 0; at < nr; at++) {
			renew_pump();
			add_error(32 + at, 1, -EIO);
			rig.nr = 0;
			plan_add_read(32, nr);
			CU_ASSERT_EQUAL(run(), 0);
			check_handed(1);
			check_bad(32 + at, 1);
		}
}

static void a_read_without_a_good_sector_is_bad_as_a_whole(void)
{
	add_error(32, 16, -EIO);
	CU_ASSERT_EQUAL(run(), 0);
	check_handed(rig.nr);
	check_bad(32, 16);
}

static void knows_the_errors_of_a_medium(void)
{
	static const int errors[] = { -EIO, -ENODATA, -EILSEQ, -EREMOTEIO, -ETIMEDOUT };

	for (size_t i = 0; i < array_size(errors); i++) {
		renew_pump();
		add_error(100, 1, errors[i]);
		CU_ASSERT_EQUAL(run(), 0);
		check_handed(rig.nr);
		check_bad(100, 1);
		CU_ASSERT_EQUAL(rig.error, errors[i]);
	}
}

static void a_bad_sector_says_nothing_of_its_neighbours(void)
{
	struct pump_slot slot = {
		.read = { .off = 10 * SECTOR, .len = 4 * SECTOR },
		.has_bad = true,
		.bad = { 1u << 2 },
	};

	CU_ASSERT_FALSE(pump_slot_is_bad(rig.pump, &slot, 10 * SECTOR, 2 * SECTOR));
	CU_ASSERT_TRUE(pump_slot_is_bad(rig.pump, &slot, 10 * SECTOR, 2 * SECTOR + 1));
	CU_ASSERT_TRUE(pump_slot_is_bad(rig.pump, &slot, 13 * SECTOR - 1, 1));
	CU_ASSERT_FALSE(pump_slot_is_bad(rig.pump, &slot, 13 * SECTOR, SECTOR));
	CU_ASSERT_FALSE(pump_slot_is_bad(rig.pump, &slot, 12 * SECTOR, 0));
	slot.has_bad = false; /* the bits are those of an earlier read */
	CU_ASSERT_FALSE(pump_slot_is_bad(rig.pump, &slot, 12 * SECTOR, 1));
}

static void a_merged_request_that_fails_whole_leaves_no_bad_sector(void)
{
	struct fault_rule once = { .kind = FAULT_ERROR, .len = SIZE, .error = -EIO, .times = 1 };
	struct fault_rule merged = {
		.kind = FAULT_ERROR,
		.off = 200 * SECTOR,
		.len = SECTOR,
		.error = -EIO,
		.longer_than = 2 * SECTOR,
	};

	fault_add(&rig.fault, &once);
	fault_add(&rig.fault, &merged);
	CU_ASSERT_EQUAL(run(), 0);
	check_handed(rig.nr);
	check_bad(0, 0);
	CU_ASSERT_EQUAL(stats().bad_sectors, 0);
	/* One by being made again, one in parts: either way nothing is bad. */
	CU_ASSERT_EQUAL(stats().retried, 2);
}

/* ---- the end of a device ---- */

static void what_lies_behind_the_end_is_bad_and_nothing_else(void)
{
	/* At a border of reads, inside of one, and inside of a sector. */
	static const uint64_t sizes[] = { 32 * SECTOR, 37 * SECTOR, 37 * SECTOR + 100 };

	for (size_t i = 0; i < array_size(sizes); i++) {
		uint64_t whole = sizes[i] / SECTOR;
		renew_pump();
		CU_ASSERT_EQUAL_FATAL(truncate(device_path(), (off_t)sizes[i]), 0);
		CU_ASSERT_EQUAL(run(), 0);
		check_handed(rig.nr);
		check_bad(whole, SECTORS - whole);
		CU_ASSERT_EQUAL(rig.error, -ENODATA);
		CU_ASSERT_EQUAL(close(rig.fd), 0);
		make_device();
	}
}

/* ---- reads that do not end in one piece ---- */

static void short_reads_are_resumed(void)
{
	static const uint32_t kept[] = { SECTOR, 3 * SECTOR, 5 * SECTOR + 17, SLOT_LEN - 1 };

	for (size_t i = 0; i < array_size(kept); i++) {
		renew_pump();
		add_rule(FAULT_SHORT, 40, kept[i], 1);
		add_rule(FAULT_SHORT, 41, kept[i], 0);
		CU_ASSERT_EQUAL(run(), 0);
		check_handed(rig.nr);
		check_bad(0, 0);
	}
}

static void a_read_of_less_than_a_sector_is_made_again_alone(void)
{
	add_rule(FAULT_SHORT, 40, 100, 1);
	CU_ASSERT_EQUAL(run(), 0);
	check_handed(rig.nr);
	check_bad(0, 0);
	CU_ASSERT_EQUAL(stats().retried, 1);
}

static void an_error_behind_a_short_read_is_narrowed_too(void)
{
	add_rule(FAULT_SHORT, 40, SECTOR, 1);
	add_error(47, 1, -EIO);
	CU_ASSERT_EQUAL(run(), 0);
	check_handed(rig.nr);
	check_bad(47, 1);
}

static void what_is_to_be_made_again_is_made_again(void)
{
	add_rule(FAULT_SHORT, 3, 0, 20);
	add_error(100, 1, -EIO);
	add_rule(FAULT_SHORT, 96, 0, 20); /* among them those of the narrowing */
	CU_ASSERT_EQUAL(run(), 0);
	check_handed(rig.nr);
	check_bad(100, 1);
}

static void what_is_to_be_made_again_for_ever_hangs(void)
{
	rig.options.timeout_ns = 50 * NS_PER_MS;
	renew_pump();
	add_rule(FAULT_SHORT, 70, 0, 0);
	CU_ASSERT_EQUAL(run(), -ETIMEDOUT);
	CU_ASSERT_EQUAL(rig.wrong + rig.out_of_order, 0);
	/* The same when it shows only in the narrowing. */
	renew_pump();
	struct fault_rule once = {
		.kind = FAULT_ERROR, .off = 64 * SECTOR, .len = 1, .error = -EIO, .times = 1
	};
	fault_add(&rig.fault, &once);
	add_rule(FAULT_SHORT, 70, 0, 0);
	CU_ASSERT_EQUAL(run(), -ETIMEDOUT);
	/* Nothing is left in the kernel: the pump is as good as before. */
	rig.nr = 2;
	CU_ASSERT_EQUAL(run(), 0);
	check_handed(2);
}

/* ---- against a model ---- */

/* Sectors that are bad for good, and what only delays: errors of long reads, short reads. */
static void add_random_faults(uint64_t *random, bool *bad)
{
	for (unsigned i = 0; i < 8; i++) {
		uint64_t sector = 1 + mk_random(random) % (SECTORS - 8);
		uint64_t nr = 1 + mk_random(random) % 3;
		add_error(sector, nr, i % 2 ? -EIO : -ENODATA);
		for (uint64_t k = 0; k < nr; k++)
			bad[sector + k] = true;
	}
	for (unsigned i = 0; i < 8; i++) {
		struct fault_rule rule = {
			.kind = i < 4 ? FAULT_SHORT : FAULT_ERROR,
			.off = mk_random(random) % SIZE,
			.len = 1 + mk_random(random) % (4 * SECTOR),
			.error = -EIO,
			.keep = (uint32_t)(mk_random(random) % 3 * SECTOR),
			.times = 1 + (unsigned)(mk_random(random) % 50),
			.longer_than = SECTOR,
		};
		fault_add(&rig.fault, &rule);
	}
}

static void agrees_with_a_model_at_random(void)
{
	for (uint64_t seed = 1; seed <= 10; seed++) {
		bool bad[SECTORS] = { false };
		uint64_t random = seed, wrong = 0;

		rig.options.nr_slots = 2 + (unsigned)(mk_random(&random) % 40);
		renew_pump();
		add_random_faults(&random, bad);
		rig.nr = 0;
		for (unsigned i = 0; i < READS_MAX / 10; i++) {
			unsigned nr = 1 + (unsigned)(mk_random(&random) % (SLOT_LEN / SECTOR));
			plan_add_read(mk_random(&random) % (SECTORS - nr + 1), nr);
		}
		CU_ASSERT_EQUAL(run(), 0);
		check_handed(rig.nr);
		for (uint64_t i = 0; i < SECTORS; i++)
			wrong += (rig.bad[i] && !bad[i]) || (rig.good[i] && bad[i]);
		CU_ASSERT_EQUAL(wrong, 0);
	}
}

/* ---- all of them ---- */

BY_EACH_ENGINE(narrows_to_the_exact_sectors)
BY_EACH_ENGINE(narrows_a_read_of_an_odd_number_of_sectors)
BY_EACH_ENGINE(a_read_without_a_good_sector_is_bad_as_a_whole)
BY_EACH_ENGINE(knows_the_errors_of_a_medium)
BY_EACH_ENGINE(a_bad_sector_says_nothing_of_its_neighbours)
BY_EACH_ENGINE(a_merged_request_that_fails_whole_leaves_no_bad_sector)
BY_EACH_ENGINE(what_lies_behind_the_end_is_bad_and_nothing_else)
BY_EACH_ENGINE(short_reads_are_resumed)
BY_EACH_ENGINE(a_read_of_less_than_a_sector_is_made_again_alone)
BY_EACH_ENGINE(an_error_behind_a_short_read_is_narrowed_too)
BY_EACH_ENGINE(what_is_to_be_made_again_is_made_again)
BY_EACH_ENGINE(what_is_to_be_made_again_for_ever_hangs)
BY_EACH_ENGINE(agrees_with_a_model_at_random)

static const struct test_case cases[] = {
	CASES(narrows_to_the_exact_sectors),
	CASES(narrows_a_read_of_an_odd_number_of_sectors),
	CASES(a_read_without_a_good_sector_is_bad_as_a_whole),
	CASES(knows_the_errors_of_a_medium),
	CASES(a_bad_sector_says_nothing_of_its_neighbours),
	CASES(a_merged_request_that_fails_whole_leaves_no_bad_sector),
	CASES(what_lies_behind_the_end_is_bad_and_nothing_else),
	CASES(short_reads_are_resumed),
	CASES(a_read_of_less_than_a_sector_is_made_again_alone),
	CASES(an_error_behind_a_short_read_is_narrowed_too),
	CASES(what_is_to_be_made_again_is_made_again),
	CASES(what_is_to_be_made_again_for_ever_hangs),
	CASES(agrees_with_a_model_at_random),
};

const struct test_suite suite_io_pump_bad = { "io/pump_bad", cases, array_size(cases) };

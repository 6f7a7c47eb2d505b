// SPDX-License-Identifier: Apache-2.0
/*
 * Depth, on devices that are a formula: it finds how many reads a device rewards, gives back what
 * brings nothing, stays between its limits, and does not take noise for news.
 */
#include "suites.h"

#include <CUnit/CUnit.h>

#include "base/clock.h"
#include "base/compiler.h"
#include "io/depth.h"
#include "support/mkstore_parts.h"

enum { READ_LEN = 128 * 1024, MIN = 4, MAX = 384, START = 32 };

/* A device: what it gives at a depth, and how much one read's time varies. */
struct device {
	double per_read; /* bytes a second of one read alone */
	unsigned knee;	 /* from here on more brings nothing */
	double beyond;	 /* what each read beyond the knee costs, of all */
	double noise;	 /* up to so much of a read's time, more or less */
};

/* A device in use. */
struct bench {
	struct device device;
	struct depth depth;
	int64_t now_ns;
	uint64_t random;
	unsigned lowest, highest, changes;
	double at_depth; /* seconds times depth */
};

static double rate_of(const struct device *device, unsigned depth)
{
	double rate = device->per_read * min_of(depth, device->knee);

	if (depth > device->knee)
		rate /= 1 + device->beyond * (depth - device->knee);
	return rate;
}

static struct bench bench_of(struct device device, unsigned min, unsigned max, unsigned start)
{
	struct bench bench = { .device = device, .now_ns = NS_PER_S, .random = 1 };

	depth_init(&bench.depth, min, max, start);
	bench.lowest = bench.highest = bench.depth.now;
	return bench;
}

/* A factor around 1. */
static double noise_of(struct bench *bench)
{
	double x = (double)(mk_random(&bench->random) >> 11) / (double)(UINT64_C(1) << 53);

	return 1 + bench->device.noise * (2 * x - 1);
}

/* Reads for so long. */
static void use(struct bench *bench, double seconds)
{
	int64_t end_ns = bench->now_ns + (int64_t)(seconds * 1e9);
	double began = bench->at_depth;

	bench->lowest = bench->highest = bench->depth.now;
	bench->changes = 0;
	while (bench->now_ns < end_ns) {
		unsigned before = bench->depth.now;
		double took = READ_LEN / rate_of(&bench->device, before) * noise_of(bench);
		bench->now_ns += (int64_t)(took * 1e9);
		bench->at_depth += took * before;
		depth_done(&bench->depth, bench->now_ns, READ_LEN);
		bench->changes += bench->depth.now != before;
		bench->lowest = min_of(bench->lowest, bench->depth.now);
		bench->highest = max_of(bench->highest, bench->depth.now);
		CU_ASSERT_TRUE(bench->depth.now >= bench->depth.min &&
			       bench->depth.now <= bench->depth.max);
	}
	bench->at_depth = (bench->at_depth - began) / seconds;
}

static void starts_within_its_limits(void)
{
	struct depth depth;

	depth_init(&depth, 4, 72, 32);
	CU_ASSERT_EQUAL(depth.now, 32);
	depth_init(&depth, 4, 16, 32);
	CU_ASSERT_EQUAL(depth.now, 16);
	depth_init(&depth, 64, 72, 32);
	CU_ASSERT_EQUAL(depth.now, 64);
}

static void finds_the_depth_that_a_device_rewards(void)
{
	/* A disk that reorders, some flash, much flash; a little above or below is as good. */
	static const unsigned knees[] = { 6, 16, 48, 128, 300 };

	for (size_t i = 0; i < array_size(knees); i++) {
		struct device device = { .per_read = 2e6, .knee = knees[i] };
		struct bench bench = bench_of(device, MIN, MAX, START);
		use(&bench, 60);
		use(&bench, 60);
		CU_ASSERT_TRUE(bench.at_depth >= knees[i] * 0.9);
		CU_ASSERT_TRUE(bench.at_depth <= knees[i] * 2.2);
		/* Of what could be had, nearly all is. */
		CU_ASSERT_TRUE(rate_of(&device, bench.depth.now) >=
			       0.9 * device.per_read * knees[i]);
	}
}

static void gives_back_depth_that_brings_nothing(void)
{
	struct bench bench =
		bench_of((struct device){ .per_read = 1e8, .knee = 1 }, MIN, MAX, START);

	use(&bench, 20);
	use(&bench, 60);
	CU_ASSERT_EQUAL(bench.lowest, MIN);
	CU_ASSERT_TRUE(bench.at_depth < 1.5 * MIN);
}

static void leaves_a_depth_at_which_a_device_suffers(void)
{
	struct device device = { .per_read = 4e6, .knee = 16, .beyond = 0.05 };
	struct bench bench = bench_of(device, MIN, MAX, 128);

	use(&bench, 600); /* it is slow there, and so is what is learnt */
	use(&bench, 60);
	CU_ASSERT_TRUE(bench.at_depth > 12 && bench.at_depth < 24);
}

static void goes_to_its_limits_and_not_beyond(void)
{
	struct device greedy = { .per_read = 1e6, .knee = 10000 };
	struct bench bench = bench_of(greedy, 3, 100, 7);

	use(&bench, 20); /* 7, 14, 28, 56, 100 */
	CU_ASSERT_EQUAL(bench.highest, 100);
	CU_ASSERT_EQUAL(bench.depth.now, 100);
	bench = bench_of((struct device){ .per_read = 1e8, .knee = 1 }, 3, 100, 99);
	use(&bench, 20); /* 99, 49, 24, 12, 6, 3 */
	CU_ASSERT_EQUAL(bench.lowest, 3);
}

static void one_depth_is_no_choice(void)
{
	struct bench bench = bench_of((struct device){ .per_read = 1e6, .knee = 64 }, 9, 9, 9);

	use(&bench, 30);
	CU_ASSERT_EQUAL(bench.changes, 0);
}

static void holds_still_under_noise(void)
{
	for (uint64_t seed = 1; seed <= 20; seed++) {
		struct device device = { .per_read = 2e6, .knee = 32, .noise = 0.8 };
		struct bench bench = bench_of(device, MIN, MAX, START);
		bench.random = seed;
		use(&bench, 60);
		use(&bench, 120);
		CU_ASSERT_TRUE(bench.at_depth >= 26 && bench.at_depth <= 80);
		/* A trial there and back every two seconds at most. */
		CU_ASSERT_TRUE(bench.changes <= 2 * 120 / 2 + 2);
	}
}

static void follows_a_device_that_changes(void)
{
	struct bench bench =
		bench_of((struct device){ .per_read = 2e6, .knee = 8 }, MIN, MAX, START);

	use(&bench, 60);
	CU_ASSERT_TRUE(bench.depth.now <= 20);
	bench.device.knee = 100;
	use(&bench, 60);
	CU_ASSERT_TRUE(bench.depth.now >= 60);
	bench.device.knee = 8; /* slow now, so that an epoch takes seconds */
	use(&bench, 300);
	CU_ASSERT_TRUE(bench.depth.now <= 20);
}

static void an_epoch_that_is_forgotten_says_nothing(void)
{
	struct bench bench =
		bench_of((struct device){ .per_read = 2e6, .knee = 32 }, MIN, MAX, START);

	use(&bench, 30);
	unsigned settled = bench.depth.now;
	for (unsigned i = 0; i < 100; i++) { /* held back: a hundredth of what it gives */
		depth_forget_epoch(&bench.depth);
		bench.now_ns += 100 * NS_PER_MS;
		depth_done(&bench.depth, bench.now_ns, READ_LEN);
	}
	CU_ASSERT_EQUAL(bench.depth.now, settled);
	use(&bench, 1);
	CU_ASSERT_EQUAL(bench.depth.now, settled);
}

static const struct test_case cases[] = {
	CASE(starts_within_its_limits),
	CASE(finds_the_depth_that_a_device_rewards),
	CASE(gives_back_depth_that_brings_nothing),
	CASE(leaves_a_depth_at_which_a_device_suffers),
	CASE(goes_to_its_limits_and_not_beyond),
	CASE(one_depth_is_no_choice),
	CASE(holds_still_under_noise),
	CASE(follows_a_device_that_changes),
	CASE(an_epoch_that_is_forgotten_says_nothing),
};

const struct test_suite suite_io_depth = { "io/depth", cases, array_size(cases) };

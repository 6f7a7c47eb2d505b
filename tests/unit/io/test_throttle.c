// SPDX-License-Identifier: Apache-2.0
/*
 * Ceilings and politeness on a simulated clock and disk: a reader that asks the throttle, others
 * that read the same disk, and books that count both as a kernel does.
 */
#include "suites.h"

#include <CUnit/CUnit.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/clock.h"
#include "io/throttle.h"

#define MS NS_PER_MS
#define US (NS_PER_MS / 1000)
#define MIB (UINT64_C(1) << 20)
#define NEVER INT64_MAX

enum { SIM_DEPTH = 64, SIM_REQUESTS = SIM_DEPTH + 2, SIM_OTHERS_MAX = 100000 };

struct sim_request {
	int64_t begin_ns, end_ns;
	uint64_t bytes;
	bool ours, used;
};

struct sim {
	/* The disk: one request behind the other, or all at once. */
	bool parallel;
	int64_t seek_ns;      /* of each request */
	uint64_t bytes_per_s; /* of what follows */
	/* Others: one reader, the next read `think_ns` after the last one; 4 KiB each. */
	int64_t others_from_ns, others_to_ns, think_ns;

	struct throttle throttle;
	struct load load;
	bool books_closed, pressure_only;

	int64_t now_ns, ask_ns, free_ns, others_next_ns;
	struct sim_request requests[SIM_REQUESTS];
	unsigned in_flight, others_in_flight;
	uint64_t nr_ended, ended_ns, stalled_ns; /* the books */
	uint64_t read_bytes, own_bytes;
	bool own_uncounted;	  /* by a kernel that does not */
	uint64_t elsewhere_bytes; /* read by this process from other disks, each ms */
	bool others_are_we;	  /* by another way than the throttle */
	uint64_t bytes, ops;	  /* ours that ended */
	int64_t busy_ns;	  /* the sum of our latencies */
	int64_t largest;	  /* read of ours */
	int64_t *latencies;	  /* of others */
	size_t nr_latencies;
};

static int sim_read(struct load *load, struct load_sample *ret)
{
	const struct sim *s = load->ctx;

	if (s->books_closed)
		return -EIO;
	*ret = LOAD_SAMPLE_NULL;
	if (s->pressure_only) {
		ret->has_pressure = true;
		ret->stalled_us = s->stalled_ns / 1000;
		return 0;
	}
	ret->has_disk = true;
	ret->nr_ended = s->nr_ended;
	ret->ended_ms = (uint32_t)(s->ended_ns / (uint64_t)MS);
	ret->nr_reads = s->nr_ended;
	ret->read_bytes = s->read_bytes;
	ret->own_bytes = s->own_uncounted ? 0 : s->own_bytes;
	ret->own_bytes += s->elsewhere_bytes * (uint64_t)(s->now_ns / MS);
	ret->nr_underway = s->in_flight + s->others_in_flight;
	return 0;
}

/* A disk of 80 us and 2 GiB/s that serves one request at a time, a polite scan, nobody else. */
static void sim_init(struct sim *s)
{
	static const struct throttle_limits polite = { .polite = true };

	*s = (struct sim){ .seek_ns = 80 * US,
			   .bytes_per_s = 2048 * MIB,
			   .others_from_ns = NEVER,
			   .others_to_ns = NEVER };
	s->load = LOAD_NULL;
	s->load.read = sim_read;
	s->load.ctx = s;
	s->latencies = malloc(SIM_OTHERS_MAX * sizeof(*s->latencies));
	CU_ASSERT_PTR_NOT_NULL_FATAL(s->latencies);
	throttle_init(&s->throttle, &polite, &s->load);
}

static void sim_fini(struct sim *s)
{
	free(s->latencies);
	s->latencies = NULL;
}

static void sim_submit(struct sim *s, uint64_t bytes, bool ours)
{
	int64_t takes_ns = s->seek_ns + (int64_t)(bytes * (uint64_t)NS_PER_S / s->bytes_per_s);
	int64_t from_ns = s->parallel ? s->now_ns : max_of(s->now_ns, s->free_ns);
	size_t i = 0;

	while (s->requests[i].used)
		i++;
	s->free_ns = from_ns + takes_ns;
	s->requests[i] = (struct sim_request){ s->now_ns, s->free_ns, bytes, ours, true };
	if (ours || s->others_are_we)
		s->own_bytes += bytes;
	if (ours)
		s->in_flight++;
	else
		s->others_in_flight++;
}

static void sim_end(struct sim *s, struct sim_request *request)
{
	int64_t latency_ns = s->now_ns - request->begin_ns;

	s->nr_ended++;
	s->read_bytes += request->bytes;
	s->ended_ns += (uint64_t)latency_ns;
	request->used = false;
	if (request->ours) {
		s->in_flight--;
		s->bytes += request->bytes;
		s->ops++;
		s->busy_ns += latency_ns;
		throttle_done(&s->throttle, latency_ns);
		return;
	}
	s->stalled_ns += (uint64_t)latency_ns;
	s->others_in_flight--;
	s->others_next_ns = s->now_ns + s->think_ns;
	if (s->nr_latencies < SIM_OTHERS_MAX)
		s->latencies[s->nr_latencies++] = latency_ns;
}

static struct sim_request *sim_first(struct sim *s)
{
	struct sim_request *first = NULL;

	for (size_t i = 0; i < SIM_REQUESTS; i++)
		if (s->requests[i].used && (!first || s->requests[i].end_ns < first->end_ns))
			first = &s->requests[i];
	return first;
}

/* The reader: as many as the throttle admits, none larger than it wishes. */
static void sim_pump(struct sim *s)
{
	s->ask_ns = NEVER;
	while (s->in_flight < SIM_DEPTH) {
		uint64_t bytes = min_of(throttle_read_max(&s->throttle), MIB);
		int64_t wait_ns = throttle_admit(&s->throttle, s->now_ns, bytes, s->in_flight);
		CU_ASSERT_TRUE(wait_ns >= 0);
		if (wait_ns) {
			s->ask_ns = s->now_ns + wait_ns;
			return;
		}
		s->largest = max_of(s->largest, (int64_t)bytes);
		sim_submit(s, bytes, true);
	}
}

static void sim_others(struct sim *s)
{
	if (s->others_in_flight || s->now_ns < s->others_from_ns || s->now_ns >= s->others_to_ns)
		return;
	if (s->now_ns >= s->others_next_ns)
		sim_submit(s, 4096, false);
}

static int64_t sim_others_due(const struct sim *s)
{
	int64_t due_ns = max_of(s->others_from_ns, s->others_next_ns);

	return s->others_in_flight || due_ns >= s->others_to_ns ? NEVER : due_ns;
}

/* Runs for `ns`, counting anew. */
static void sim_run(struct sim *s, int64_t ns)
{
	int64_t until_ns = s->now_ns + ns;
	struct sim_request *first;

	s->bytes = s->ops = 0;
	s->busy_ns = s->largest = 0;
	s->nr_latencies = 0;
	for (;;) {
		while ((first = sim_first(s)) && first->end_ns <= s->now_ns)
			sim_end(s, first);
		sim_others(s);
		sim_pump(s);
		first = sim_first(s);
		int64_t next_ns = min_of(s->ask_ns, sim_others_due(s));
		next_ns = first ? min_of(next_ns, first->end_ns) : next_ns;
		if (next_ns >= until_ns)
			break;
		s->now_ns = next_ns;
	}
	s->now_ns = until_ns;
}

static void sim_limit(struct sim *s, uint64_t bytes_per_s, uint64_t ops_per_s, bool polite)
{
	throttle_set(&s->throttle, &(struct throttle_limits){ bytes_per_s, ops_per_s, polite });
}

static int sim_compare(const void *a, const void *b)
{
	const int64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

/* Of the others' latencies in the last run; 0 without any. */
static int64_t sim_p99(struct sim *s)
{
	if (s->nr_latencies == 0)
		return 0;
	qsort(s->latencies, s->nr_latencies, sizeof(*s->latencies), sim_compare);
	return s->latencies[s->nr_latencies * 99 / 100];
}

static double mib_per_s(const struct sim *s, int64_t ns)
{
	return (double)s->bytes / (double)MIB / ((double)ns / (double)NS_PER_S);
}

/* `is` is within 5 % of `wanted`. */
static void check_near(double is, double wanted)
{
	CU_ASSERT_TRUE(is >= wanted * 0.95 && is <= wanted * 1.05);
}

/* ---- ceilings ---- */

static void keeps_a_ceiling_of_bytes(void)
{
	static const uint64_t rates[] = { 100000, MIB, 10 * MIB, 123456789, 1000 * MIB };
	struct sim s;

	for (size_t i = 0; i < array_size(rates); i++) {
		sim_init(&s);
		sim_limit(&s, rates[i], 0, false);
		for (int more = 0; more < 3; more++) {
			sim_run(&s, 2 * NS_PER_S);
			check_near((double)s.bytes, 2 * (double)rates[i]);
		}
		sim_fini(&s);
	}
}

static void keeps_a_ceiling_of_reads(void)
{
	static const uint64_t rates[] = { 10, 50, 333, 1500 };
	struct sim s;

	for (size_t i = 0; i < array_size(rates); i++) {
		sim_init(&s);
		sim_limit(&s, 0, rates[i], false);
		sim_run(&s, 2 * NS_PER_S);
		check_near((double)s.ops, 2 * (double)rates[i]);
		sim_fini(&s);
	}
}

static void the_lower_of_two_ceilings_holds(void)
{
	struct sim s;

	sim_init(&s);
	sim_limit(&s, 100 * MIB, 50, false); /* reads of 1 MiB: 50 MiB/s */
	sim_run(&s, 2 * NS_PER_S);
	check_near((double)s.ops, 100);
	sim_limit(&s, 20 * MIB, 500, false);
	sim_run(&s, 2 * NS_PER_S);
	check_near((double)s.bytes, 40 * (double)MIB);
	CU_ASSERT_TRUE(s.ops <= 1000);
	sim_fini(&s);
}

static void a_ceiling_holds_while_polite(void)
{
	struct sim s;

	sim_init(&s);
	sim_limit(&s, 50 * MIB, 0, true);
	sim_run(&s, NS_PER_S); /* warms up */
	sim_run(&s, 2 * NS_PER_S);
	check_near((double)s.bytes, 100 * (double)MIB);
	sim_fini(&s);
}

static void saves_up_no_more_than_a_tenth_of_a_second(void)
{
	static const struct throttle_limits limits = { .bytes_per_s = 100 * MIB };
	struct throttle t;
	unsigned nr = 0;

	throttle_init(&t, &limits, NULL);
	CU_ASSERT_TRUE(throttle_admit(&t, 0, MIB, 0) > 0);
	while (throttle_admit(&t, 3600 * NS_PER_S, MIB, 0) == 0)
		nr++;
	CU_ASSERT_EQUAL(nr, 10);
}

static void says_when_to_ask_again(void)
{
	static const struct throttle_limits limits = { .bytes_per_s = 10 * MIB, .ops_per_s = 5 };
	struct throttle t;
	int64_t wait_ns;

	throttle_init(&t, &limits, NULL);
	wait_ns = throttle_admit(&t, 0, MIB / 2, 0);
	CU_ASSERT_EQUAL(wait_ns, 100 * MS); /* a fifth of a second, cut to the burst */
	CU_ASSERT_EQUAL(throttle_admit(&t, wait_ns - 1, MIB / 2, 0), 1);
	CU_ASSERT_EQUAL(throttle_admit(&t, wait_ns, MIB / 2, 0), 0);
	CU_ASSERT_EQUAL(throttle_admit(&t, wait_ns, MIB / 2, 1), 200 * MS);
}

static void a_read_above_the_burst_is_paid_by_those_behind_it(void)
{
	static const struct throttle_limits limits = { .bytes_per_s = MIB };
	struct throttle t;
	int64_t now_ns = 0;

	throttle_init(&t, &limits, NULL);
	CU_ASSERT_TRUE(throttle_read_max(&t) < MIB / 10);
	for (unsigned i = 0; i < 20; i++) {
		int64_t wait_ns = throttle_admit(&t, now_ns, MIB, 0);
		now_ns += wait_ns;
		CU_ASSERT_EQUAL(throttle_admit(&t, now_ns, MIB, 0), 0);
	}
	/* The first at 0.1 s, the twentieth 19 s later. */
	CU_ASSERT_EQUAL(now_ns, 19 * NS_PER_S + 100 * MS);
}

static void other_limits_hold_at_once(void)
{
	struct sim s;

	sim_init(&s);
	sim_limit(&s, 0, 0, false);
	sim_run(&s, NS_PER_S);
	CU_ASSERT_TRUE(mib_per_s(&s, NS_PER_S) > 1600);
	sim_limit(&s, 10 * MIB, 0, false);
	sim_run(&s, 100 * MS); /* what was under way */
	sim_run(&s, 2 * NS_PER_S);
	check_near(mib_per_s(&s, 2 * NS_PER_S), 10);
	sim_limit(&s, 40 * MIB, 0, false);
	sim_run(&s, 2 * NS_PER_S);
	check_near(mib_per_s(&s, 2 * NS_PER_S), 40);
	sim_limit(&s, 1, 1, false);
	sim_run(&s, 60 * NS_PER_S);
	CU_ASSERT_TRUE(s.ops <= 1);
	sim_limit(&s, 40 * MIB, 0, false); /* the debt of hours is forgiven */
	sim_run(&s, 2 * NS_PER_S);
	sim_run(&s, 2 * NS_PER_S);
	check_near(mib_per_s(&s, 2 * NS_PER_S), 40);
	sim_limit(&s, 0, 0, false);
	sim_run(&s, NS_PER_S);
	CU_ASSERT_TRUE(mib_per_s(&s, NS_PER_S) > 1600);
	sim_fini(&s);
}

static void bears_any_limit_and_any_size(void)
{
	static const uint64_t numbers[] = { 1, 4096, MIB, UINT64_C(1) << 40, UINT64_MAX };

	for (size_t i = 0; i < array_size(numbers); i++)
		for (size_t j = 0; j < array_size(numbers); j++) {
			struct throttle_limits limits = { numbers[i], numbers[j], false };
			struct throttle t;
			throttle_init(&t, &limits, NULL);
			for (int64_t now_ns = 0; now_ns < 10 * NS_PER_S; now_ns += NS_PER_S) {
				int64_t wait_ns = throttle_admit(&t, now_ns, numbers[j], 0);
				CU_ASSERT_TRUE(wait_ns >= 0);
			}
			CU_ASSERT_TRUE(throttle_read_max(&t) >= 4096);
			CU_ASSERT_TRUE(throttle_read_max(&t) % 4096 == 0 ||
				       throttle_read_max(&t) == UINT64_MAX);
		}
}

static void *set_often(void *ctx)
{
	struct throttle *t = ctx;

	for (uint64_t i = 0; i < 10000; i++)
		throttle_set(t, &(struct throttle_limits){ i % 3 * MIB, i % 5, i % 2 });
	throttle_set(t, &(struct throttle_limits){ .bytes_per_s = 10 * MIB });
	return NULL;
}

static void another_thread_may_set_limits(void)
{
	pthread_t thread;
	struct sim s;

	sim_init(&s);
	CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, set_often, &s.throttle), 0);
	sim_run(&s, NS_PER_S);
	CU_ASSERT_EQUAL(pthread_join(thread, NULL), 0);
	sim_run(&s, 200 * MS);
	sim_run(&s, 2 * NS_PER_S);
	check_near(mib_per_s(&s, 2 * NS_PER_S), 10);
	sim_fini(&s);
}

/* ---- politeness ---- */

static void reads_at_full_speed_where_nobody_else_does(void)
{
	struct sim s;

	sim_init(&s);
	sim_limit(&s, 0, 0, false);
	sim_run(&s, 10 * NS_PER_S);
	double full = mib_per_s(&s, 10 * NS_PER_S);
	sim_limit(&s, 0, 0, true);
	sim_run(&s, 10 * NS_PER_S);
	CU_ASSERT_TRUE(mib_per_s(&s, 10 * NS_PER_S) > 0.95 * full);
	CU_ASSERT_EQUAL(s.largest, MIB);
	sim_fini(&s);
}

static void backs_off_within_300_ms(void)
{
	struct sim s;

	sim_init(&s);
	sim_run(&s, 5 * NS_PER_S);
	for (int i = 0; i < 10; i++) {
		s.others_from_ns = s.now_ns + i * 97 * MS; /* anywhere between two probes */
		s.others_to_ns = NEVER;
		sim_run(&s, i * 97 * MS + 300 * MS);
		sim_run(&s, NS_PER_S);
		CU_ASSERT_TRUE(s.busy_ns < NS_PER_S / 50);
		CU_ASSERT_TRUE(s.largest <= 128 << 10);
		s.others_to_ns = s.now_ns;
		sim_run(&s, 5 * NS_PER_S);
	}
	sim_fini(&s);
}

static void is_polite_from_its_first_read_on(void)
{
	struct sim s;

	sim_init(&s);
	s.others_from_ns = 0;
	sim_run(&s, NS_PER_S);
	CU_ASSERT_TRUE(s.busy_ns < NS_PER_S / 50);
	CU_ASSERT_TRUE(s.largest <= 128 << 10);
	sim_fini(&s);
}

static void comes_back_within_500_ms(void)
{
	struct sim s;

	sim_init(&s);
	s.others_from_ns = 0;
	sim_run(&s, 5 * NS_PER_S);
	s.others_to_ns = s.now_ns;
	sim_run(&s, 500 * MS);
	sim_run(&s, NS_PER_S);
	CU_ASSERT_TRUE(mib_per_s(&s, NS_PER_S) > 1600);
	sim_fini(&s);
}

static void others_who_come_and_go_are_waited_for_longer(void)
{
	struct sim s;

	sim_init(&s);
	sim_run(&s, 2 * NS_PER_S);
	for (int i = 0; i < 10; i++) { /* half a second at work, half a second not */
		s.others_from_ns = s.now_ns;
		s.others_to_ns = s.now_ns + NS_PER_S / 2;
		sim_run(&s, NS_PER_S);
	}
	CU_ASSERT_TRUE(mib_per_s(&s, NS_PER_S) < 20);
	sim_run(&s, 3 * NS_PER_S);
	CU_ASSERT_TRUE(mib_per_s(&s, 3 * NS_PER_S) > 800);
	sim_fini(&s);
}

static void keeps_the_percentile_of_others(void)
{
	struct sim s;

	sim_init(&s);
	s.others_from_ns = 0;
	sim_limit(&s, 1, 0, false);
	sim_run(&s, 5 * NS_PER_S);
	int64_t alone_ns = sim_p99(&s);
	CU_ASSERT_TRUE(alone_ns > 0);
	sim_limit(&s, 0, 0, true);
	sim_run(&s, 5 * NS_PER_S);
	CU_ASSERT_TRUE(sim_p99(&s) <= alone_ns * 5 / 4);
	sim_limit(&s, 0, 0, false);
	sim_run(&s, 5 * NS_PER_S); /* and what happens otherwise */
	CU_ASSERT_TRUE(sim_p99(&s) > alone_ns * 100);
	sim_fini(&s);
}

static void never_reads_less_than_the_floor(void)
{
	struct sim s;

	sim_init(&s);
	s.seek_ns = 500 * US; /* a quarter of a hundredth would be 0.4 MiB/s */
	s.bytes_per_s = 400 * MIB;
	s.others_from_ns = 0;
	sim_run(&s, 10 * NS_PER_S);
	sim_run(&s, 10 * NS_PER_S);
	CU_ASSERT_TRUE(mib_per_s(&s, 10 * NS_PER_S) > 0.9);
	CU_ASSERT_TRUE(mib_per_s(&s, 10 * NS_PER_S) < 4);
	sim_fini(&s);
}

static void the_floor_takes_no_more_than_a_fiftieth(void)
{
	static const uint64_t rates[] = { 10 * MIB, 150 * MIB };
	struct sim s;

	for (size_t i = 0; i < array_size(rates); i++) {
		sim_init(&s);
		s.seek_ns = 10 * MS; /* a disk that turns */
		s.bytes_per_s = rates[i];
		s.others_from_ns = 0;
		sim_run(&s, 20 * NS_PER_S);
		sim_run(&s, 60 * NS_PER_S);
		CU_ASSERT_TRUE(s.bytes > 0);
		/* Our latency is that of our read and of theirs before it. */
		CU_ASSERT_TRUE(s.busy_ns <= 60 * NS_PER_S / 45);
		CU_ASSERT_EQUAL(s.largest, MIB); /* the way costs more than the bytes */
		sim_fini(&s);
	}
}

static void a_disk_that_hides_our_reads_earns_us_more(void)
{
	struct sim s;

	sim_init(&s);
	s.parallel = true;
	s.others_from_ns = 0;
	sim_run(&s, 5 * NS_PER_S);
	double begin = mib_per_s(&s, 5 * NS_PER_S);
	sim_run(&s, 120 * NS_PER_S);
	sim_run(&s, 5 * NS_PER_S);
	CU_ASSERT_TRUE(mib_per_s(&s, 5 * NS_PER_S) > 20 * begin);
	s.parallel = false; /* and loses it again */
	s.free_ns = s.now_ns;
	sim_run(&s, 10 * NS_PER_S);
	sim_run(&s, 10 * NS_PER_S);
	CU_ASSERT_TRUE(s.busy_ns < NS_PER_S / 10);
	sim_fini(&s);
}

static void a_disk_that_serves_one_at_a_time_does_not(void)
{
	static const int64_t think_ns[] = { 0, 200 * US, 2 * MS };
	struct sim s;

	for (size_t i = 0; i < array_size(think_ns); i++) {
		sim_init(&s);
		s.others_from_ns = 0;
		s.think_ns = think_ns[i];
		sim_run(&s, 120 * NS_PER_S);
		sim_run(&s, 5 * NS_PER_S);
		CU_ASSERT_TRUE(s.busy_ns < 5 * NS_PER_S / 50);
		sim_fini(&s);
	}
}

static void notices_others_who_do_little(void)
{
	struct sim s;

	sim_init(&s);
	sim_run(&s, 5 * NS_PER_S);
	s.others_from_ns = s.now_ns;
	s.think_ns = 9 * MS; /* a hundred reads a second */
	sim_run(&s, 5 * NS_PER_S);
	sim_run(&s, 5 * NS_PER_S);
	CU_ASSERT_TRUE(s.busy_ns < NS_PER_S / 10);
	sim_fini(&s);
}

static void what_we_read_by_other_ways_stops_nothing(void)
{
	static const int64_t think_ns[] = { 0, 200 * US, 2 * MS, 20 * MS };
	struct sim s;

	for (size_t i = 0; i < array_size(think_ns); i++) {
		sim_init(&s);
		s.others_are_we = true;
		s.others_from_ns = 0;
		s.think_ns = think_ns[i];
		sim_run(&s, NS_PER_S);
		sim_run(&s, 5 * NS_PER_S);
		CU_ASSERT_TRUE(mib_per_s(&s, 5 * NS_PER_S) > 1400);
		sim_fini(&s);
	}
}

static void what_we_read_from_other_disks_hides_nobody(void)
{
	struct sim s;

	sim_init(&s);
	s.elsewhere_bytes = MIB;
	sim_run(&s, 5 * NS_PER_S);
	CU_ASSERT_TRUE(mib_per_s(&s, 5 * NS_PER_S) > 1500);
	s.others_from_ns = s.now_ns;
	sim_run(&s, 300 * MS);
	sim_run(&s, 5 * NS_PER_S);
	CU_ASSERT_TRUE(s.busy_ns < 5 * NS_PER_S / 50);
	sim_fini(&s);
}

static void a_kernel_that_does_not_count_what_we_read_stops_nothing(void)
{
	struct sim s;

	sim_init(&s);
	s.own_uncounted = true;
	sim_run(&s, 5 * NS_PER_S);
	CU_ASSERT_TRUE(mib_per_s(&s, 5 * NS_PER_S) > 1500);
	s.others_from_ns = s.now_ns;
	sim_run(&s, 300 * MS);
	sim_run(&s, NS_PER_S);
	CU_ASSERT_TRUE(s.busy_ns < NS_PER_S / 50);
	sim_fini(&s);
}

static void a_stray_read_stops_nothing(void)
{
	struct sim s;

	sim_init(&s);
	s.others_from_ns = 0;
	s.think_ns = NS_PER_S;
	sim_run(&s, 5 * NS_PER_S);
	sim_run(&s, 20 * NS_PER_S);
	CU_ASSERT_TRUE(mib_per_s(&s, 20 * NS_PER_S) > 1500);
	sim_fini(&s);
}

static void politeness_may_begin_and_end(void)
{
	struct sim s;

	sim_init(&s);
	sim_limit(&s, 0, 0, false);
	s.others_from_ns = 0;
	for (int i = 0; i < 3; i++) {
		sim_run(&s, NS_PER_S);
		CU_ASSERT_TRUE(mib_per_s(&s, NS_PER_S) > 1600);
		sim_limit(&s, 0, 0, true);
		sim_run(&s, 300 * MS);
		sim_run(&s, NS_PER_S);
		CU_ASSERT_TRUE(s.busy_ns < NS_PER_S / 50);
		sim_limit(&s, 0, 0, false);
	}
	sim_fini(&s);
}

static void where_others_cannot_be_seen_takes_a_tenth(void)
{
	struct sim s;

	sim_init(&s);
	s.books_closed = true;
	sim_run(&s, NS_PER_S);
	sim_run(&s, 10 * NS_PER_S);
	CU_ASSERT_TRUE(s.busy_ns > NS_PER_S * 8 / 10 && s.busy_ns < NS_PER_S * 11 / 10);
	throttle_init(&s.throttle, &(struct throttle_limits){ .polite = true }, NULL);
	sim_run(&s, NS_PER_S);
	sim_run(&s, 10 * NS_PER_S);
	CU_ASSERT_TRUE(s.busy_ns > NS_PER_S * 8 / 10 && s.busy_ns < NS_PER_S * 11 / 10);
	sim_fini(&s);
}

static void pressure_stands_in_for_the_books(void)
{
	struct sim s;

	sim_init(&s);
	s.pressure_only = true;
	sim_run(&s, 5 * NS_PER_S);
	CU_ASSERT_TRUE(mib_per_s(&s, 5 * NS_PER_S) > 1500);
	s.others_from_ns = s.now_ns;
	sim_run(&s, 300 * MS);
	sim_run(&s, NS_PER_S);
	CU_ASSERT_TRUE(s.busy_ns < NS_PER_S / 50);
	s.others_to_ns = s.now_ns;
	sim_run(&s, 500 * MS);
	sim_run(&s, NS_PER_S);
	CU_ASSERT_TRUE(mib_per_s(&s, NS_PER_S) > 1500);
	sim_fini(&s);
}

static const struct test_case cases[] = {
	CASE(keeps_a_ceiling_of_bytes),
	CASE(keeps_a_ceiling_of_reads),
	CASE(the_lower_of_two_ceilings_holds),
	CASE(a_ceiling_holds_while_polite),
	CASE(saves_up_no_more_than_a_tenth_of_a_second),
	CASE(says_when_to_ask_again),
	CASE(a_read_above_the_burst_is_paid_by_those_behind_it),
	CASE(other_limits_hold_at_once),
	CASE(bears_any_limit_and_any_size),
	CASE(another_thread_may_set_limits),
	CASE(reads_at_full_speed_where_nobody_else_does),
	CASE(backs_off_within_300_ms),
	CASE(is_polite_from_its_first_read_on),
	CASE(comes_back_within_500_ms),
	CASE(others_who_come_and_go_are_waited_for_longer),
	CASE(keeps_the_percentile_of_others),
	CASE(never_reads_less_than_the_floor),
	CASE(the_floor_takes_no_more_than_a_fiftieth),
	CASE(a_disk_that_hides_our_reads_earns_us_more),
	CASE(a_disk_that_serves_one_at_a_time_does_not),
	CASE(notices_others_who_do_little),
	CASE(what_we_read_by_other_ways_stops_nothing),
	CASE(what_we_read_from_other_disks_hides_nobody),
	CASE(a_kernel_that_does_not_count_what_we_read_stops_nothing),
	CASE(a_stray_read_stops_nothing),
	CASE(politeness_may_begin_and_end),
	CASE(where_others_cannot_be_seen_takes_a_tenth),
	CASE(pressure_stands_in_for_the_books),
};

const struct test_suite suite_io_throttle = { "io/throttle", cases, array_size(cases) };

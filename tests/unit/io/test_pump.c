// SPDX-License-Identifier: Apache-2.0
/*
 * Pump: every read of the plan comes back once, in the order of the plan, with the bytes of the
 * disk; and whatever the disk or the consumer does instead, a run ends. Everything with io_uring,
 * where there is one, and without.
 */
#include "suites.h"

#include <pthread.h>
#include <stdatomic.h>

#include "io/pump_rig.h"

/* What a device that hangs leaves behind; the leak checker finds it here. */
static struct pump *left_behind[16];
static unsigned nr_left_behind;

/* Keeps a pump that cannot be freed where it is found, and goes on with another one. */
static void leave_pump_behind(void)
{
	CU_ASSERT_TRUE_FATAL(nr_left_behind < array_size(left_behind));
	left_behind[nr_left_behind++] = rig.pump;
	renew_pump();
}

/* ---- order ---- */

static void hands_out_the_plan_in_its_order(void)
{
	/* The first reads are made again and again; those behind them have ended long before. */
	add_rule(FAULT_SHORT, 0, 0, 50);
	add_rule(FAULT_SHORT, 64, 0, 50);
	add_rule(FAULT_SHORT, 500, SECTOR, 1);
	CU_ASSERT_EQUAL(run(), 0);
	check_handed(rig.nr);
	check_bad(0, 0);
	CU_ASSERT_EQUAL(stats().bad_sectors, 0);
	CU_ASSERT_EQUAL(stats().bytes, SIZE);
	CU_ASSERT_TRUE(stats().reads > rig.nr + 100);
	CU_ASSERT_STRING_EQUAL(stats().engine, *stats().why ? "pread" : "io_uring");
	CU_ASSERT_TRUE(rig.ticks > 0);
}

static void reads_of_different_lengths_go_into_one_plan(void)
{
	uint64_t random = 7, sum = 0;

	rig.nr = 0;
	for (unsigned i = 0; i < 500; i++) {
		unsigned nr = 1 + (unsigned)(mk_random(&random) % (SLOT_LEN / SECTOR));
		plan_add_read(mk_random(&random) % (SECTORS - nr + 1), nr);
		sum += nr;
	}
	CU_ASSERT_EQUAL(run(), 0);
	check_handed(500);
	CU_ASSERT_EQUAL(stats().bytes, sum * SECTOR);
	CU_ASSERT_EQUAL(stats().reads, 500);
}

static void an_empty_plan_is_an_end(void)
{
	rig.nr = 0;
	CU_ASSERT_EQUAL(run(), 0);
	check_handed(0);
	CU_ASSERT_EQUAL(stats().reads, 0);
}

static void runs_twice(void)
{
	CU_ASSERT_EQUAL(run(), 0);
	check_handed(rig.nr);
	rig.nr = 3;
	CU_ASSERT_EQUAL(run(), 0);
	check_handed(3);
	CU_ASSERT_EQUAL(stats().bytes, SIZE + 3 * SLOT_LEN);
}

static void a_fixed_depth_is_kept(void)
{
	rig.options.depth = 2;
	renew_pump();
	CU_ASSERT_EQUAL(run(), 0);
	check_handed(rig.nr);
	CU_ASSERT_EQUAL(stats().depth, 2);
}

/* ---- devices that fail as a whole ---- */

static void check_hangs(void)
{
	int64_t began_ns = clock_mono_ns();

	CU_ASSERT_EQUAL(run(), -ETIMEDOUT);
	CU_ASSERT_TRUE(clock_mono_ns() - began_ns < 5 * NS_PER_S);
	CU_ASSERT_EQUAL(rig.wrong + rig.out_of_order, 0);
	CU_ASSERT_EQUAL(run(), -ETIMEDOUT); /* it is not tried again */
	leave_pump_behind();
}

static void a_device_that_hangs_ends_the_run(void)
{
	rig.options.timeout_ns = 50 * NS_PER_MS;
	renew_pump();
	add_rule(FAULT_HANG, 100, 0, 1);
	check_hangs();
	/* While others fail, and while a read is narrowed. */
	add_error(0, 4, -EIO);
	add_rule(FAULT_HANG, 100, 0, 1);
	check_hangs();
	struct fault_rule once = {
		.kind = FAULT_ERROR, .off = 64 * SECTOR, .len = 1, .error = -EIO, .times = 1
	};
	fault_add(&rig.fault, &once);
	add_rule(FAULT_HANG, 70, 0, 1);
	check_hangs();
}

static void a_device_that_hangs_when_it_is_looked_for_hangs(void)
{
	rig.options.timeout_ns = 50 * NS_PER_MS;
	renew_pump();
	add_error(64, 16, -EIO);
	add_rule(FAULT_HANG, 0, 0, 1);
	rig.nr = 0;
	plan_add_read(64, 16);
	check_hangs();
}

static void a_device_that_has_gone_ends_the_run(void)
{
	static const int errors[] = { -ENODEV, -ENXIO, -ENOMEDIUM, -ESHUTDOWN };

	for (size_t i = 0; i < array_size(errors); i++) {
		renew_pump();
		add_error(64, SECTORS - 64, errors[i]);
		CU_ASSERT_EQUAL(run(), -ENODEV);
		CU_ASSERT_TRUE(rig.handed <= 4);
		CU_ASSERT_EQUAL(rig.wrong + rig.out_of_order, 0);
		CU_ASSERT_EQUAL(stats().bad_sectors, 0);
	}
}

static void a_device_that_has_gone_may_say_so_in_the_narrowing(void)
{
	struct fault_rule once = {
		.kind = FAULT_ERROR, .off = 64 * SECTOR, .len = 1, .error = -EIO, .times = 1
	};

	fault_add(&rig.fault, &once);
	add_error(64, 16, -ENXIO);
	rig.nr = 0;
	plan_add_read(64, 16);
	CU_ASSERT_EQUAL(run(), -ENODEV);
	check_handed(0);
}

static void errors_everywhere_mean_that_it_has_gone(void)
{
	add_error(0, SECTORS, -EIO);
	rig.nr = 0;
	plan_add_read(64, 16);
	CU_ASSERT_EQUAL(run(), -ENODEV);
	check_handed(0);
}

static void an_error_that_is_ours_ends_the_run_and_nothing_more(void)
{
	rig.options.nr_slots = 200; /* more results than come in at once */
	rig.options.depth = 150;
	renew_pump();
	rig.nr = 0;
	for (unsigned i = 0; i < SECTORS; i++)
		plan_add_read(i, 1);
	add_error(8, SECTORS - 8, -EINVAL);
	CU_ASSERT_EQUAL(run(), -EINVAL);
	CU_ASSERT_EQUAL(stats().bad_sectors, 0);
	rig.fault.nr_rules = 0;
	CU_ASSERT_EQUAL(run(), 0);
	check_handed(rig.nr);
	check_bad(0, 0);
}

/* ---- the plan and its consumer ---- */

static void an_error_of_the_plan_ends_the_run(void)
{
	rig.nr = 10;
	rig.next_error = -EBADMSG;
	CU_ASSERT_EQUAL(run(), -EBADMSG);
	CU_ASSERT_EQUAL(rig.wrong + rig.out_of_order, 0);
	rig.next_error = 0;
	plan_whole(); /* needs every slot that there was */
	CU_ASSERT_EQUAL(run(), 0);
	check_handed(rig.nr);
}

static void hands_out_what_was_under_way_when_it_is_stopped(void)
{
	rig.stop_after = 5;
	add_rule(FAULT_SHORT, 6 * 16, 0, 20); /* among it one that takes long */
	CU_ASSERT_EQUAL(run(), PUMP_STOPPED);
	CU_ASSERT_TRUE(rig.handed >= 5 && rig.handed < rig.nr);
	CU_ASSERT_TRUE(rig.handed <= rig.planned); /* what was only planned is not waited for */
	check_handed(rig.handed);
	rig.stop_after = 0; /* stopped before it begins */
	CU_ASSERT_EQUAL(run(), PUMP_STOPPED);
	check_handed(0);
	rig.stop = 0;
	CU_ASSERT_EQUAL(run(), 0);
	check_handed(rig.nr);
}

static void is_stopped_while_it_narrows(void)
{
	rig.stop_after = 2;
	add_error(2 * 16, 16, -EIO);
	CU_ASSERT_EQUAL(run(), PUMP_STOPPED);
	check_handed(2);
	rig.stop = 0;
	rig.stop_after = 0;
	rig.fault.nr_rules = 0;
	CU_ASSERT_EQUAL(run(), 0);
	check_handed(rig.nr);
}

struct letting_go {
	pthread_mutex_t lock;
	atomic_bool ended;
};

/* Another thread gives back what is held, a slot at a time and the last one first. */
static void *let_go(void *arg)
{
	struct letting_go *letting = arg;

	while (!atomic_load(&letting->ended)) {
		struct pump_slot *slot = NULL;
		(void)pthread_mutex_lock(&letting->lock);
		if (rig.nr_held)
			slot = rig.held[--rig.nr_held];
		(void)pthread_mutex_unlock(&letting->lock);
		if (slot)
			pump_release(rig.pump, slot);
		else
			clock_sleep_ns(NS_PER_MS);
	}
	return NULL;
}

static struct letting_go letting;

static void hold_in_another_thread(struct pump_slot *slot, void *ctx)
{
	(void)pthread_mutex_lock(&letting.lock);
	on_ready(slot, ctx);
	(void)pthread_mutex_unlock(&letting.lock);
}

static void slots_come_back_from_another_thread(void)
{
	struct pump_ops ops = { on_next, hold_in_another_thread, NULL, &rig };
	pthread_t thread;

	rig.holds = true;
	letting = (struct letting_go){ .lock = PTHREAD_MUTEX_INITIALIZER };
	rig.options.nr_slots = 4;
	renew_pump();
	add_error(100, 1, -EIO);
	CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, let_go, &letting), 0);
	CU_ASSERT_EQUAL(pump_run(rig.pump, rig.fd, &ops), 0);
	atomic_store(&letting.ended, true);
	CU_ASSERT_EQUAL(pthread_join(thread, NULL), 0);
	check_handed(rig.nr);
	check_bad(100, 1);
	while (rig.nr_held)
		pump_release(rig.pump, rig.held[--rig.nr_held]);
}

static void hold_all_but_one(struct pump_slot *slot, void *ctx)
{
	rig.holds = rig.nr_held < rig.options.nr_slots - 1;
	on_ready(slot, ctx);
}

static void one_slot_is_enough_to_go_on(void)
{
	struct pump_ops ops = { on_next, hold_all_but_one, NULL, &rig };

	rig.options.nr_slots = 6;
	renew_pump();
	CU_ASSERT_EQUAL(pump_run(rig.pump, rig.fd, &ops), 0);
	check_handed(rig.nr);
	CU_ASSERT_EQUAL(rig.nr_held, 5);
	while (rig.nr_held)
		pump_release(rig.pump, rig.held[--rig.nr_held]);
	rig.options.nr_slots = 2; /* as few as there may be */
	renew_pump();
	CU_ASSERT_EQUAL(run(), 0);
	check_handed(rig.nr);
}

/* ---- all of them ---- */

BY_EACH_ENGINE(hands_out_the_plan_in_its_order)
BY_EACH_ENGINE(reads_of_different_lengths_go_into_one_plan)
BY_EACH_ENGINE(an_empty_plan_is_an_end)
BY_EACH_ENGINE(runs_twice)
BY_EACH_ENGINE(a_fixed_depth_is_kept)
BY_EACH_ENGINE(a_device_that_hangs_ends_the_run)
BY_EACH_ENGINE(a_device_that_hangs_when_it_is_looked_for_hangs)
BY_EACH_ENGINE(a_device_that_has_gone_ends_the_run)
BY_EACH_ENGINE(a_device_that_has_gone_may_say_so_in_the_narrowing)
BY_EACH_ENGINE(errors_everywhere_mean_that_it_has_gone)
BY_EACH_ENGINE(an_error_that_is_ours_ends_the_run_and_nothing_more)
BY_EACH_ENGINE(an_error_of_the_plan_ends_the_run)
BY_EACH_ENGINE(hands_out_what_was_under_way_when_it_is_stopped)
BY_EACH_ENGINE(is_stopped_while_it_narrows)
BY_EACH_ENGINE(slots_come_back_from_another_thread)
BY_EACH_ENGINE(one_slot_is_enough_to_go_on)

static const struct test_case cases[] = {
	CASES(hands_out_the_plan_in_its_order),
	CASES(reads_of_different_lengths_go_into_one_plan),
	CASES(an_empty_plan_is_an_end),
	CASES(runs_twice),
	CASES(a_fixed_depth_is_kept),
	CASES(a_device_that_hangs_ends_the_run),
	CASES(a_device_that_hangs_when_it_is_looked_for_hangs),
	CASES(a_device_that_has_gone_ends_the_run),
	CASES(a_device_that_has_gone_may_say_so_in_the_narrowing),
	CASES(errors_everywhere_mean_that_it_has_gone),
	CASES(an_error_that_is_ours_ends_the_run_and_nothing_more),
	CASES(an_error_of_the_plan_ends_the_run),
	CASES(hands_out_what_was_under_way_when_it_is_stopped),
	CASES(is_stopped_while_it_narrows),
	CASES(slots_come_back_from_another_thread),
	CASES(one_slot_is_enough_to_go_on),
};

const struct test_suite suite_io_pump = { "io/pump", cases, array_size(cases) };

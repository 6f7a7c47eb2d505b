// SPDX-License-Identifier: Apache-2.0
/*
 * Live: scans in the order of the disk, of a store on a mounted filesystem that changes meanwhile,
 * and of a device that lies, refuses, hangs or goes. A fault strikes reads of blocks only: the same
 * message as a file is good. Each scan must have read blocks, or the test would prove nothing.
 */
#include "suites.h"

#include <CUnit/CUnit.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "format/cyrus/index.h"
#include "io/dev.h"
#include "io/fault.h"
#include "verify_disk.h"
#include "verify_room.h"

enum { NR = 40, MANY = 800, SIZE = 20000 };

typedef void (*live_fn)(void *live);

struct live {
	struct scene scene; /* first: it is what the callbacks are handed */
	struct disk disk;
	struct fault fault;
	struct scan_options options;
	struct scan_road road;
	unsigned nr_roads;
	live_fn collected; /* called once, by the scan itself, when the pass has collected all */
	unsigned nr_shown;
	live_fn between; /* called once, by a thread, after the fault has struck */
	volatile sig_atomic_t show;
	int64_t took_ns;
};

static void on_progress(const struct scan_progress *progress, void *ctx)
{
	struct live *live = ctx;

	live->show = 1;
	(void)progress;
	/* Progress is shown before the pass, and then when it has gone through its records. */
	if (live->nr_shown++ == 1 && live->collected)
		live->collected(live);
}

static void on_road(const struct scan_road *road, void *ctx)
{
	struct live *live = ctx;

	live->road = *road;
	live->nr_roads++;
}

/* user.u001 with `nr` messages, on a disk of its own. False: the test is skipped. */
static bool live_begin_with(struct live *live, unsigned nr)
{
	struct mkstore_options options = { .seed = 9 };
	struct scene *s = &live->scene;

	*live = (struct live){ .show = 1 };
	scene_make_room(s, "live");
	if (!disk_make(&live->disk, s->dir, "-t ext4", "64M") || !disk_mount(&live->disk, "rw")) {
		CU_ASSERT_EQUAL(room_remove(s->dir), 0);
		return false;
	}
	CU_ASSERT_EQUAL_FATAL(mkstore_new(scene_path(s, "disk/store"), &options, &s->store), 0);
	CU_ASSERT_EQUAL_FATAL(room_add_mailbox(s->store, "user.u001", nr, SIZE, 1), 0);
	scene_open(s);
	CU_ASSERT_EQUAL(disk_run("sync -f %s", live->disk.mount), 0); /* places are given only now */
	/* What has been changed less than a second before is read as a file. */
	clock_sleep_ns(NS_PER_S * 11 / 10);
	live->options = (struct scan_options){
		.settle_ns = 100 * NS_PER_MS,
		.readers = 1,
		.digesters = 1,
		.fault = &live->fault,
		.show_progress = &live->show,
	};
	return true;
}

static bool live_begin(struct live *live)
{
	return live_begin_with(live, NR);
}

static void live_end(struct live *live)
{
	struct scene *s = &live->scene;

	state_close(take(s->state));
	target_fini(&s->target);
	mkstore_free(take(s->store));
	disk_unmount(&live->disk);
	CU_ASSERT_EQUAL(room_remove(s->dir), 0);
}

/*
 * Does what happens between the looks: the first has been, the second waits for the file to settle.
 */
static void *run_between(void *arg)
{
	struct live *live = arg;

	for (int i = 0; i < 1000 && !__atomic_load_n(&live->fault.struck[0], __ATOMIC_ACQUIRE); i++)
		clock_sleep_ns(10 * NS_PER_MS);
	clock_sleep_ns(200 * NS_PER_MS);
	live->between(live);
	return NULL;
}

static void live_scan(struct live *live)
{
	struct scene *s = &live->scene;
	struct scan_events events = { .finding = scene_on_finding,
				      .gap = scene_on_gap,
				      .progress = on_progress,
				      .road = on_road,
				      .ctx = live };
	int64_t begun_ns = clock_mono_ns();
	pthread_t thread;

	if (live->between) {
		live->options.settle_ns = 2 * NS_PER_S;
		CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, run_between, live), 0);
	}
	s->nr_findings = s->nr_gaps = live->nr_roads = 0;
	CU_ASSERT_EQUAL(scan_store(s->state, &s->target, &live->options, &events, NULL, &s->run), 0);
	live->took_ns = clock_mono_ns() - begun_ns;
	if (live->between)
		CU_ASSERT_EQUAL(pthread_join(thread, NULL), 0);
	CU_ASSERT_EQUAL(live->nr_roads, 1);
	CU_ASSERT_TRUE(live->road.in_blocks);
}

static const char *path_of(const struct live *live, unsigned uid)
{
	static char paths[2][512];
	static unsigned next;
	char leaf[16];

	next ^= 1;
	(void)snprintf(leaf, sizeof(leaf), "%u.", uid);
	path_in(&live->scene, "user.u001", leaf, paths[next]);
	return paths[next];
}

static int on_extent(uint64_t logical, uint64_t physical, uint64_t len, uint32_t flags, void *ctx)
{
	CU_ASSERT_EQUAL(logical, 0);
	CU_ASSERT_TRUE(len >= SIZE && flags <= 1);
	*(uint64_t *)ctx = physical;
	return 0;
}

/* Where a message lies on its device. */
static uint64_t place_of(const struct live *live, unsigned uid)
{
	uint64_t at = 0;

	int fd = open(path_of(live, uid), O_RDONLY | O_CLOEXEC);
	CU_ASSERT_TRUE_FATAL(fd >= 0);
	CU_ASSERT_EQUAL(dev_map_file(fd, on_extent, &at), 0);
	(void)close(fd);
	CU_ASSERT_NOT_EQUAL_FATAL(at, 0);
	return at;
}

static void add_fault(struct live *live, unsigned uid, enum fault_kind kind, int error,
		      unsigned times)
{
	struct fault_rule rule = { .kind = kind,
				   .off = place_of(live, uid) + 5000,
				   .len = 1,
				   .error = error,
				   .times = times };

	fault_add(&live->fault, &rule);
}

/* The record of a message says that it is expunged, as Cyrus does before it removes the file. */
static void expunge(const struct live *live, unsigned uid)
{
	char index[512];

	path_in(&live->scene, "user.u001", "cyrus.index", index);
	CU_ASSERT_EQUAL(mkstore_set_record(index, uid - 1, MKSTORE_RECORD_FLAGS, INDEX_FLAG_EXPUNGED),
			0);
	CU_ASSERT_EQUAL(mkstore_sum_up(index), 0);
}

static void check_quiet(const struct live *live)
{
	const struct scene *s = &live->scene;

	CU_ASSERT_EQUAL(s->run.status, RUN_COMPLETE);
	CU_ASSERT_EQUAL(s->nr_findings, 0);
	CU_ASSERT_EQUAL(s->nr_gaps, 0);
	for (size_t i = 0; i < min_of(s->nr_findings, (size_t)SAID_MAX); i++)
		(void)fprintf(stderr, "wanted nothing, got %s\n", s->findings[i]);
	for (size_t i = 0; i < min_of(s->nr_gaps, (size_t)SAID_MAX); i++)
		(void)fprintf(stderr, "wanted nothing, got %s\n", s->gaps[i]);
}

/* ---- nothing is wrong ---- */

static void reads_every_message_in_blocks(void)
{
	struct live live;

	if (!live_begin(&live))
		return;
	live_scan(&live);
	check_quiet(&live);
	CU_ASSERT_EQUAL(live.road.messages, NR);
	CU_ASSERT_EQUAL(live.road.as_files, 0);
	CU_ASSERT_EQUAL(live.scene.run.messages, NR);
	live_end(&live);
}

static void reads_what_was_just_written_as_files(void)
{
	struct live live;

	if (!live_begin(&live))
		return;
	CU_ASSERT_EQUAL(disk_run("cp --preserve=timestamps %s %s.new && mv %s.new %s", path_of(&live, 3),
				 path_of(&live, 3), path_of(&live, 3), path_of(&live, 3)),
			0);
	live_scan(&live);
	check_quiet(&live);
	CU_ASSERT_EQUAL(live.road.as_files, 1);
	live_end(&live);
}

/* ---- a device that lies or refuses ---- */

static void calls_flaky_what_was_wrong_in_blocks_and_is_right_as_a_file(void)
{
	struct live live;

	if (!live_begin(&live))
		return;
	add_fault(&live, 7, FAULT_FLIP, 0, 1);
	live_scan(&live);
	check_only_finding(&live.scene, "message.flaky user.u001 message:7", "");
	CU_ASSERT_EQUAL(live.scene.run.status, RUN_COMPLETE);
	live_end(&live);
}

/* A merged request fails whole: what succeeds alone was not wrong, and is counted. */
static void counts_a_read_that_succeeds_when_made_again(void)
{
	struct live live;

	if (!live_begin(&live))
		return;
	add_fault(&live, 7, FAULT_ERROR, -EIO, 1);
	live_scan(&live);
	check_quiet(&live);
	CU_ASSERT_EQUAL(live.road.retried, 1);
	CU_ASSERT_EQUAL(live.road.bad_sectors, 0);
	live_end(&live);
}

static void calls_flaky_what_was_refused_in_blocks_and_is_right_as_a_file(void)
{
	struct live live;

	if (!live_begin(&live))
		return;
	add_fault(&live, 7, FAULT_ERROR, -EIO, 0);
	live_scan(&live);
	check_only_finding(&live.scene, "message.flaky user.u001 message:7", "");
	CU_ASSERT_EQUAL(live.road.bad_sectors, 1);
	CU_ASSERT_EQUAL(live.scene.run.status, RUN_COMPLETE);
	live_end(&live);
}

/* ---- a store that changes ---- */

static void replace_7(void *ctx)
{
	const char *path = path_of(ctx, 7);

	CU_ASSERT_EQUAL(disk_run("cp %s %s.new && mv %s.new %s", path, path, path, path), 0);
}

static void does_not_blame_the_disk_for_a_file_that_was_replaced(void)
{
	struct live live;

	if (!live_begin(&live))
		return;
	add_fault(&live, 7, FAULT_FLIP, 0, 1);
	live.between = replace_7;
	live_scan(&live);
	check_quiet(&live);
	CU_ASSERT_EQUAL(live.scene.run.in_flight, 1);
	live_end(&live);
}

static void delete_7(void *ctx)
{
	expunge(ctx, 7);
	CU_ASSERT_EQUAL(unlink(path_of(ctx, 7)), 0);
}

static void says_nothing_of_a_message_deleted_before_it_was_read(void)
{
	struct live live;

	if (!live_begin(&live))
		return;
	live.collected = delete_7;
	live_scan(&live);
	check_quiet(&live);
	CU_ASSERT_EQUAL(live.road.messages, NR - 1);
	CU_ASSERT_EQUAL(live.road.as_files, 1);
	CU_ASSERT_EQUAL(live.scene.run.in_flight, 1);
	live_end(&live);
}

static void says_nothing_of_a_message_deleted_before_the_second_look(void)
{
	struct live live;

	if (!live_begin(&live))
		return;
	add_fault(&live, 7, FAULT_FLIP, 0, 1);
	live.between = delete_7;
	live_scan(&live);
	check_quiet(&live);
	CU_ASSERT_EQUAL(live.scene.run.in_flight, 1);
	live_end(&live);
}

/* Somebody writes into it, as nobody should: the last look decides. */
static void damage_7(void *ctx)
{
	flip(path_of(ctx, 7));
}

static void finds_damage_done_between_the_looks(void)
{
	struct live live;

	if (!live_begin(&live))
		return;
	add_fault(&live, 7, FAULT_FLIP, 0, 1);
	live.between = damage_7;
	live_scan(&live);
	check_only_finding(&live.scene, "message.digest user.u001 message:7", "");
	live_end(&live);
}

/* ---- a device that hangs or goes ---- */

static void says_that_a_device_hangs_and_comes_back_in_time(void)
{
	struct live live;

	if (!live_begin(&live))
		return;
	add_fault(&live, NR, FAULT_HANG, 0, 0);
	live.options.read_timeout_ns = NS_PER_S / 2;
	live_scan(&live);
	CU_ASSERT_TRUE(live.took_ns < 10 * NS_PER_S);
	check_only_gap(&live.scene, "", "the device hangs");
	CU_ASSERT_EQUAL(live.scene.nr_findings, 0);
	live_end(&live);
}

/*
 * Wherever it is when that happens: also when the planted fault has been seen once, and cannot be
 * looked at again.
 */
static void says_that_a_device_has_gone(void)
{
	struct live live;
	uint64_t most = 0;

	if (!live_begin_with(&live, MANY))
		return;
	for (unsigned uid = 1; uid <= MANY; uid += 13) {
		live.fault = (struct fault){ .nr_rules = 0 };
		add_fault(&live, uid, FAULT_ERROR, -ENODEV, 0);
		live_scan(&live);
		CU_ASSERT_TRUE(live.took_ns < 10 * NS_PER_S);
		check_only_gap(&live.scene, "", "the device has gone");
		CU_ASSERT_EQUAL(live.scene.nr_findings, 0);
		most = max_of(most, live.scene.run.messages);
	}
	CU_ASSERT_TRUE(most > 0);
	live_end(&live);
}

static void tells_a_device_that_has_gone_from_the_first_read_on(void)
{
	struct fault_rule rule = { .kind = FAULT_ERROR, .len = UINT64_MAX / 2, .error = -EIO };
	struct live live;

	if (!live_begin(&live))
		return;
	fault_add(&live.fault, &rule);
	live_scan(&live);
	check_only_gap(&live.scene, "", "the device has gone");
	CU_ASSERT_EQUAL(live.scene.nr_findings, 0);
	live_end(&live);
}

static const struct test_case cases[] = {
	CASE(reads_every_message_in_blocks),
	CASE(reads_what_was_just_written_as_files),
	CASE(calls_flaky_what_was_wrong_in_blocks_and_is_right_as_a_file),
	CASE(counts_a_read_that_succeeds_when_made_again),
	CASE(calls_flaky_what_was_refused_in_blocks_and_is_right_as_a_file),
	CASE(does_not_blame_the_disk_for_a_file_that_was_replaced),
	CASE(says_nothing_of_a_message_deleted_before_it_was_read),
	CASE(says_nothing_of_a_message_deleted_before_the_second_look),
	CASE(finds_damage_done_between_the_looks),
	CASE(says_that_a_device_hangs_and_comes_back_in_time),
	CASE(says_that_a_device_has_gone),
	CASE(tells_a_device_that_has_gone_from_the_first_read_on),
};

const struct test_suite suite_verify_live = { "verify/live", cases, array_size(cases) };

// SPDX-License-Identifier: Apache-2.0
/*
 * Markers: a scan that reads in blocks is stopped, and the next one carries over what lies before
 * the place where it was, and nothing else. On an ext4 filesystem in an image.
 */
#include "suites.h"

#include <CUnit/CUnit.h>
#include <stdio.h>

#include "base/clock.h"
#include "resume_room.h"
#include "skip.h"

enum {
	BIG_COUNT = 300, /* messages in the large mailbox */
	DISK_ALL = FILES_ALL + BIG_COUNT,
	DISK_MIB = 64,
};

/* The same with one large mailbox, on a filesystem of its own; false: not on this machine. */
static bool disk_begin(struct stop_scene *t)
{
	struct mkstore_options options = { .seed = 3 };

	*t = (struct stop_scene){ .has_disk = true };
	begin_options(t);
	scene_make_room(&t->s, "resume");
	int r = disk_make(&t->disk, t->s.dir, DISK_MIB);
	if (r == DISK_NONE) {
		test_skip(
			"no filesystem can be made and mounted here: not root, or no loop device");
		CU_ASSERT_EQUAL(room_remove(t->s.dir), 0);
		return false;
	}
	CU_ASSERT_EQUAL_FATAL(r, 0);
	CU_ASSERT_EQUAL_FATAL(mkstore_new(scene_path(&t->s, "disk/store"), &options, &t->s.store),
			      0);
	add_small(t, 40000);
	CU_ASSERT_EQUAL_FATAL(room_add_mailbox(t->s.store, "user.big", BIG_COUNT, 40000, 1), 0);
	scene_open(&t->s);
	return true;
}

/* What was changed less than a second ago is not read in blocks. */
static void let_it_age(void)
{
	clock_sleep_ns(NS_PER_S + 50 * NS_PER_MS);
}

static void disk_end(struct stop_scene *t)
{
	state_close(t->s.state);
	target_fini(&t->s.target);
	mkstore_free(t->s.store);
	CU_ASSERT_EQUAL(disk_close(&t->disk), 0);
	CU_ASSERT_EQUAL(room_remove(t->s.dir), 0);
}

/* As a failing disk does it: neither a run nor the inode knows. */
static void flip_silently(const struct stop_scene *t, unsigned uid)
{
	char leaf[16], path[512];

	(void)snprintf(leaf, sizeof(leaf), "%u.", uid);
	path_in(&t->s, "user.big", leaf, path);
	CU_ASSERT_EQUAL_FATAL(disk_flip(&t->disk, path, 20000), 0);
}

/* Some messages of the large mailbox, which cannot have been finished, were carried over. */
static void expect_carried_by_marker(const struct stop_scene *t)
{
	CU_ASSERT_TRUE(t->s.run.messages < BIG_COUNT);
}

static void expect_not_carried_by_marker(const struct stop_scene *t)
{
	CU_ASSERT_TRUE(t->s.run.messages >= BIG_COUNT);
}

static void messages_before_the_marker_are_carried_over(void)
{
	struct stop_scene t;
	int64_t oldest;
	uint64_t bytes;

	if (!disk_begin(&t))
		return;
	let_it_age();
	scan_and_stop(&t, DISK_ALL * 3 / 4);
	CU_ASSERT_TRUE(t.first.messages < DISK_ALL);
	scan(&t);
	CU_ASSERT_EQUAL(t.s.run.status, RUN_COMPLETE);
	expect_went_on(&t, DISK_ALL);
	expect_carried_by_marker(&t);
	CU_ASSERT_TRUE(t.s.run.messages >= DISK_ALL - t.first.messages);
	/* A mailbox that was carried over in part is as old as the round. */
	CU_ASSERT_EQUAL(state_coverage(t.s.state, t.s.run.target, t.s.run.id, &oldest, &bytes), 0);
	CU_ASSERT_EQUAL(oldest, t.first.started_ns);
	CU_ASSERT_EQUAL(bytes, mkstore_get_totals(t.s.store).bytes);
	scan(&t);
	expect_from_the_beginning(&t, DISK_ALL);
	disk_end(&t);
}

static void a_chain_in_blocks_carries_more_each_time(void)
{
	struct stop_scene t;
	struct run first;

	if (!disk_begin(&t))
		return;
	let_it_age();
	scan_and_stop(&t, DISK_ALL / 3);
	first = t.first;
	scan_and_stop(&t, DISK_ALL / 3);
	CU_ASSERT_EQUAL(t.s.run.round, first.id);
	t.first = first;
	scan(&t);
	CU_ASSERT_EQUAL(t.s.run.status, RUN_COMPLETE);
	expect_went_on(&t, DISK_ALL);
	CU_ASSERT_TRUE(t.s.run.messages < DISK_ALL * 2 / 3);
	disk_end(&t);
}

static void what_changed_before_the_marker_is_read(void)
{
	struct stop_scene t;

	if (!disk_begin(&t))
		return;
	let_it_age();
	scan_and_stop(&t, DISK_ALL * 3 / 4);
	for (unsigned uid = 10; uid <= BIG_COUNT; uid += 10)
		flip_in(&t, "user.big", uid); /* its mtime is kept; its ctime cannot be */
	scan(&t);
	CU_ASSERT_EQUAL(t.s.run.status, RUN_COMPLETE);
	CU_ASSERT_EQUAL(t.s.run.findings, BIG_COUNT / 10);
	expect_went_on(&t, DISK_ALL);
	expect_carried_by_marker(&t);
	disk_end(&t);
}

static void a_silent_change_waits_for_the_next_round(void)
{
	struct stop_scene t;

	if (!disk_begin(&t))
		return;
	let_it_age();
	scan_and_stop_at_the_end(&t);
	flip_silently(&t, 150);
	scan(&t);
	CU_ASSERT_EQUAL(t.s.run.status, RUN_COMPLETE);
	expect_went_on(&t, DISK_ALL);
	scan(&t);
	CU_ASSERT_EQUAL(t.s.run.status, RUN_COMPLETE);
	check_only_finding(&t.s, "message.digest user.big message:150", "");
	disk_end(&t);
}

static void a_silent_change_with_an_open_finding_is_looked_at_again(void)
{
	struct stop_scene t;

	if (!disk_begin(&t))
		return;
	flip_silently(&t, 150);
	flip_silently(&t, 10);
	let_it_age();
	scan_and_stop(&t, DISK_ALL - 20);
	CU_ASSERT_TRUE(t.s.run.findings > 0);
	scan(&t);
	CU_ASSERT_EQUAL(t.s.run.status, RUN_COMPLETE);
	CU_ASSERT_EQUAL(t.s.run.findings, 2);
	CU_ASSERT_EQUAL(t.s.run.round, t.first.id);
	expect_open(&t, 2);
	flip_silently(&t, 10); /* mended */
	scan(&t);
	CU_ASSERT_EQUAL(t.s.run.status, RUN_COMPLETE);
	check_only_finding(&t.s, "message.digest user.big message:150", "");
	expect_open(&t, 1);
	disk_end(&t);
}

/* A whole scan, without what knows the store, under any name. */
static void scan_as(struct stop_scene *t, const char *store, const char *host)
{
	target_fini(&t->s.target);
	t->stop = 0;
	CU_ASSERT_EQUAL_FATAL(target_open(&t->s.target, store, host,
					  scene_path(&t->s, "disk/store/imapd.conf"), NULL),
			      0);
	scene_scan(&t->s, &t->options);
}

static void a_marker_means_nothing_under_another_name(void)
{
	struct stop_scene t;

	if (!disk_begin(&t))
		return;
	let_it_age();
	scan_and_stop(&t, DISK_ALL * 3 / 4);
	scan_as(&t, "other", "name");
	CU_ASSERT_EQUAL(t.s.run.status, RUN_COMPLETE);
	expect_went_on(&t, DISK_ALL);
	expect_not_carried_by_marker(&t);
	disk_end(&t);
}

static void a_marker_means_nothing_on_a_larger_filesystem(void)
{
	struct stop_scene t;

	if (!disk_begin(&t))
		return;
	let_it_age();
	scan_and_stop(&t, DISK_ALL * 3 / 4);
	target_fini(&t.s.target);
	mkstore_free(take(t.s.store)); /* it holds the filesystem */
	CU_ASSERT_EQUAL_FATAL(disk_grow(&t.disk, 2 * DISK_MIB), 0);
	scan_as(&t, "s1", "h1");
	CU_ASSERT_EQUAL(t.s.run.status, RUN_COMPLETE);
	expect_went_on(&t, DISK_ALL);
	expect_not_carried_by_marker(&t);
	disk_end(&t);
}

/* The indexes of four mailboxes, from bad to good and back. */
static void flip_indexes(struct stop_scene *t)
{
	char name[32], path[512];

	for (unsigned i = 0; i < SMALL; i += 2) {
		small_name(i, name);
		path_in(&t->s, name, "cyrus.index", path);
		CU_ASSERT_EQUAL(mkstore_flip_bit(path, MKSTORE_HEADER_LAST_UID, 0), 0);
	}
}

/*
 * An index that is bad at first and good at the second look: its messages come last, and the marker
 * has passed the places where they lie when the run is stopped.
 */
static void messages_that_were_never_in_the_window_are_not_carried_over(void)
{
	struct stop_scene t;
	char name[32];

	if (!disk_begin(&t))
		return;
	for (unsigned i = 0; i < SMALL; i += 2) {
		small_name(i, name);
		for (unsigned uid = 2; uid <= SMALL_COUNT; uid += 2)
			flip_in(&t, name, uid);
	}
	flip_indexes(&t);
	let_it_age();
	t.options.settle_ns = NS_PER_S / 2;
	t.meanwhile = flip_indexes;
	scan_and_stop(&t, (SMALL / 2 * SMALL_COUNT + BIG_COUNT) * 9 / 10);
	CU_ASSERT_EQUAL(t.s.run.findings, 0);
	t.options.settle_ns = 20 * NS_PER_MS;
	scan(&t);
	CU_ASSERT_EQUAL(t.s.run.status, RUN_COMPLETE);
	CU_ASSERT_EQUAL(t.s.run.findings, SMALL / 2 * SMALL_COUNT / 2);
	CU_ASSERT_EQUAL(t.s.run.round, t.first.id);
	disk_end(&t);
}

static void where_all_blocks_were_read_some_are_read_all_the_same(void)
{
	struct stop_scene t;

	if (!disk_begin(&t))
		return;
	let_it_age();
	scan_and_stop_at_the_end(&t);
	scan(&t);
	CU_ASSERT_EQUAL(t.s.run.status, RUN_COMPLETE);
	expect_went_on(&t, DISK_ALL);
	CU_ASSERT_TRUE(t.s.run.messages >= 16);
	CU_ASSERT_TRUE(t.s.run.messages <= BIG_COUNT + SMALL_COUNT); /* the first mailbox */
	disk_end(&t);
}

static const struct test_case cases[] = {
	CASE(messages_before_the_marker_are_carried_over),
	CASE(a_chain_in_blocks_carries_more_each_time),
	CASE(what_changed_before_the_marker_is_read),
	CASE(a_silent_change_waits_for_the_next_round),
	CASE(a_silent_change_with_an_open_finding_is_looked_at_again),
	CASE(a_marker_means_nothing_under_another_name),
	CASE(a_marker_means_nothing_on_a_larger_filesystem),
	CASE(messages_that_were_never_in_the_window_are_not_carried_over),
	CASE(where_all_blocks_were_read_some_are_read_all_the_same),
};

const struct test_suite suite_verify_markers = { "verify/markers", cases, array_size(cases) };

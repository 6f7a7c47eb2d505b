// SPDX-License-Identifier: Apache-2.0
/*
 * Resume: a scan is stopped and the next one goes on. What was verified is not read again, nothing
 * that is in doubt or has changed is passed over, and nothing looks younger than it is. Here with
 * messages that are read as files; test_markers.c is about those that are read in blocks.
 */
#include "suites.h"

#include <CUnit/CUnit.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "resume_room.h"
#include "support/twoskip_writer.h"

/* In a plain folder, read as files: 8 mailboxes of 20 messages. */
static void files_begin(struct stop_scene *t)
{
	struct mkstore_options options = { .seed = 1 };

	*t = (struct stop_scene){ .stop = 0 };
	begin_options(t);
	t->options.order = SCAN_ORDER_FILE;
	scene_make_room(&t->s, "resume");
	scene_make_store(&t->s, &options);
	add_small(t, 700);
	scene_open(&t->s);
}

static void files_end(struct stop_scene *t)
{
	scene_close(&t->s);
}

static void reads_only_what_was_not_verified(void)
{
	struct stop_scene t;
	int64_t oldest;
	uint64_t bytes;

	files_begin(&t);
	scan_and_stop(&t, 70);
	CU_ASSERT_EQUAL(t.first.round, t.first.id);
	CU_ASSERT_EQUAL(t.first.carried, 0);
	CU_ASSERT_TRUE(t.first.messages < FILES_ALL);
	scan(&t);
	CU_ASSERT_EQUAL(t.s.run.status, RUN_COMPLETE);
	expect_went_on(&t, FILES_ALL);
	CU_ASSERT_EQUAL(t.s.run.mailboxes, SMALL);
	CU_ASSERT_EQUAL(state_coverage(t.s.state, t.s.run.target, t.s.run.id, &oldest, &bytes), 0);
	CU_ASSERT_TRUE(oldest >= t.first.started_ns && oldest < t.s.run.started_ns);
	CU_ASSERT_EQUAL(bytes, mkstore_get_totals(t.s.store).bytes);
	scan(&t); /* a complete run ends the round */
	CU_ASSERT_EQUAL(t.s.run.status, RUN_COMPLETE);
	expect_from_the_beginning(&t, FILES_ALL);
	files_end(&t);
}

static void a_chain_of_stops_is_one_round(void)
{
	struct stop_scene t;
	struct run first, second;

	files_begin(&t);
	scan_and_stop(&t, 50);
	first = t.first;
	scan_and_stop(&t, 40);
	second = t.first;
	CU_ASSERT_EQUAL(second.round, first.id);
	CU_ASSERT_TRUE(second.carried > 0);
	t.first = first;
	scan(&t);
	CU_ASSERT_EQUAL(t.s.run.status, RUN_COMPLETE);
	expect_went_on(&t, FILES_ALL);
	CU_ASSERT_TRUE(t.s.run.carried > second.carried);
	files_end(&t);
}

static void a_run_that_is_stopped_at_once_loses_nothing(void)
{
	struct stop_scene t;
	struct run first;

	files_begin(&t);
	scan_and_stop(&t, 70);
	first = t.first;
	t.stop_at_once = true;
	scan_and_stop(&t, 0);
	t.stop_at_once = false;
	t.first = first;
	scan(&t);
	CU_ASSERT_EQUAL(t.s.run.status, RUN_COMPLETE);
	expect_went_on(&t, FILES_ALL);
	files_end(&t);
}

static void restart_begins_anew(void)
{
	struct stop_scene t;

	files_begin(&t);
	scan_and_stop(&t, 70);
	t.options.restart = true;
	scan(&t);
	CU_ASSERT_EQUAL(t.s.run.status, RUN_COMPLETE);
	expect_from_the_beginning(&t, FILES_ALL);
	files_end(&t);
}

static void a_round_that_is_too_old_is_not_gone_on_with(void)
{
	struct stop_scene t;

	files_begin(&t);
	scan_and_stop(&t, 70);
	t.options.resume_max_age_ns = 1;
	scan(&t);
	CU_ASSERT_EQUAL(t.s.run.status, RUN_COMPLETE);
	expect_from_the_beginning(&t, FILES_ALL);
	scan_and_stop(&t, 70);
	t.options.resume_max_age_ns = 3600 * NS_PER_S;
	scan(&t);
	expect_went_on(&t, FILES_ALL);
	files_end(&t);
}

static void without_the_planted_faults_nothing_is_gone_on_with(void)
{
	struct stop_scene t;

	files_begin(&t);
	t.stop_at_once = true;
	scan_and_stop(&t, 0);
	t.stop_at_once = false;
	scan(&t);
	CU_ASSERT_EQUAL(t.s.run.status, RUN_COMPLETE);
	expect_from_the_beginning(&t, FILES_ALL);
	files_end(&t);
}

static void where_all_was_verified_something_is_read_all_the_same(void)
{
	struct stop_scene t;

	files_begin(&t);
	scan_and_stop_at_the_end(&t);
	CU_ASSERT_EQUAL(t.first.messages, FILES_ALL);
	scan(&t);
	CU_ASSERT_EQUAL(t.s.run.status, RUN_COMPLETE);
	expect_went_on(&t, FILES_ALL);
	CU_ASSERT_TRUE(t.s.run.messages >= 16 && t.s.run.messages <= 2 * SMALL_COUNT);
	files_end(&t);
}

/* Bad messages are no place for a planted fault: then nothing vouches for what was carried over. */
static void a_run_that_plants_no_fault_is_not_complete(void)
{
	struct stop_scene t;
	char name[32];

	files_begin(&t);
	scan_and_stop_at_the_end(&t);
	for (unsigned i = 0; i < SMALL; i++) {
		small_name(i, name);
		for (unsigned uid = 1; uid <= SMALL_COUNT; uid++)
			flip_in(&t, name, uid);
	}
	scan(&t);
	CU_ASSERT_EQUAL(t.s.run.round, t.first.id);
	CU_ASSERT_TRUE(t.s.run.carried > 0);
	CU_ASSERT_TRUE(t.s.run.findings > 0);
	check_only_gap(&t.s, "", "no message was found good");
	scan(&t);
	CU_ASSERT_EQUAL(t.s.run.findings, FILES_ALL);
	expect_from_the_beginning(&t, FILES_ALL);
	files_end(&t);
}

static void a_mailbox_with_an_open_finding_is_verified_anew(void)
{
	struct stop_scene t;
	char name[32];

	files_begin(&t);
	for (unsigned i = 0; i < SMALL; i++) {
		small_name(i, name);
		flip_in(&t, name, 3);
	}
	scan_and_stop_at_the_end(&t);
	expect_open(&t, SMALL);
	flip_in(&t, "user.s2", 3); /* mended */
	scan(&t);
	CU_ASSERT_EQUAL(t.s.run.status, RUN_COMPLETE);
	CU_ASSERT_EQUAL(t.s.run.findings, SMALL - 1); /* seen again */
	CU_ASSERT_EQUAL(t.s.run.messages, FILES_ALL);
	CU_ASSERT_EQUAL(t.s.run.round, t.first.id);
	expect_open(&t, SMALL - 1);
	files_end(&t);
}

/* Found in the first run; the second neither looks at its mailbox nor ends: nothing is closed. */
static void what_the_first_run_found_stays_open(void)
{
	struct stop_scene t;
	char name[32];

	files_begin(&t);
	for (unsigned i = 0; i < SMALL; i++) {
		small_name(i, name);
		flip_in(&t, name, 3);
	}
	scan_and_stop(&t, 70);
	uint64_t found = t.s.run.findings;
	CU_ASSERT_TRUE(found > 0 && found < SMALL);
	struct run first = t.first;
	scan_and_stop(&t, 30);
	uint64_t open = 0;
	CU_ASSERT_EQUAL(state_finding_count_open(t.s.state, t.s.run.target, ASSAY_SEVERITY_NOTICE,
						 &open),
			0);
	CU_ASSERT_TRUE(open >= found);
	t.first = first;
	scan(&t);
	CU_ASSERT_EQUAL(t.s.run.status, RUN_COMPLETE);
	expect_open(&t, SMALL);
	files_end(&t);
}

static void set_version(const struct stop_scene *t, unsigned nr, uint32_t version)
{
	char name[32], path[512];

	small_name(nr, name);
	path_in(&t->s, name, "cyrus.index", path);
	CU_ASSERT_EQUAL(mkstore_set_header(path, MKSTORE_HEADER_VERSION, version), 0);
}

static void what_was_a_gap_is_looked_at_again(void)
{
	struct stop_scene t;

	files_begin(&t);
	set_version(&t, 4, 20);
	flip_in(&t, "user.s4", 7);
	scan_and_stop_at_the_end(&t);
	CU_ASSERT_EQUAL(t.s.run.gaps, 1);
	set_version(&t, 4, 17);
	scan(&t);
	CU_ASSERT_EQUAL(t.s.run.status, RUN_COMPLETE);
	check_only_finding(&t.s, "message.digest user.s4 message:7", "");
	CU_ASSERT_TRUE(t.s.run.carried > 0);
	files_end(&t);
}

/* Writes the list of mailboxes anew, without `gone`, and with `renamed` under another name. */
static void write_list(struct stop_scene *t, int gone, int renamed)
{
	const char *below = t->has_disk ? "disk/store/conf/mailboxes.db"
					: "store/conf/mailboxes.db";
	struct twoskip_writer *writer;
	char key[64], name[32];

	CU_ASSERT_EQUAL(unlink(scene_path(&t->s, below)), 0);
	CU_ASSERT_EQUAL_FATAL(twoskip_writer_new(scene_path(&t->s, below), 1, &writer), 0);
	for (int pass = 0; pass < 2; pass++) {
		for (int i = 0; i < SMALL; i++) {
			if (i == gone || (pass == 0) != (i != renamed))
				continue;
			small_name((unsigned)i, name);
			(void)snprintf(key, sizeof(key), "Nuser\x1f%s%d", pass ? "t" : "s", i);
			struct buf entry = BUF_NULL;
			CU_ASSERT_EQUAL(mkstore_add_entry(&entry, t->s.store, name, "default"), 0);
			CU_ASSERT_EQUAL(twoskip_writer_add(writer, span_of_str(key),
							   buf_span(&entry)),
					0);
			buf_fini(&entry);
		}
	}
	CU_ASSERT_EQUAL(twoskip_writer_commit(writer), 0);
	twoskip_writer_free(writer);
}

static void a_mailbox_that_went_between_the_runs_closes_its_finding(void)
{
	struct stop_scene t;

	files_begin(&t);
	flip_in(&t, "user.s2", 3);
	flip_in(&t, "user.s5", 3);
	scan_and_stop_at_the_end(&t);
	write_list(&t, 2, -1);
	scan(&t);
	CU_ASSERT_EQUAL(t.s.run.status, RUN_COMPLETE);
	expect_went_on(&t, FILES_ALL - SMALL_COUNT);
	CU_ASSERT_TRUE(said(&t.s, "message.digest user.s5 message:3", ""));
	/* Its files are still there. */
	CU_ASSERT_TRUE(said(&t.s, "mailbox.unlisted  stray:", ""));
	CU_ASSERT_EQUAL(t.s.nr_findings, 2);
	expect_open(&t, 2);
	files_end(&t);
}

static void a_mailbox_in_doubt_stays_so_under_another_name(void)
{
	struct stop_scene t;

	files_begin(&t);
	flip_in(&t, "user.s2", 3);
	scan_and_stop_at_the_end(&t);
	write_list(&t, -1, 2);
	scan(&t);
	CU_ASSERT_EQUAL(t.s.run.status, RUN_COMPLETE);
	CU_ASSERT_TRUE(said(&t.s, "message.digest user.t2 message:3", ""));
	/* Only the list knows of the new name. */
	CU_ASSERT_TRUE(said(&t.s, "header.name user.t2 header:name", ""));
	CU_ASSERT_EQUAL(t.s.nr_findings, 2);
	expect_open(&t, 2);
	files_end(&t);
}

static const struct test_case cases[] = {
	CASE(reads_only_what_was_not_verified),
	CASE(a_chain_of_stops_is_one_round),
	CASE(a_run_that_is_stopped_at_once_loses_nothing),
	CASE(restart_begins_anew),
	CASE(a_round_that_is_too_old_is_not_gone_on_with),
	CASE(without_the_planted_faults_nothing_is_gone_on_with),
	CASE(where_all_was_verified_something_is_read_all_the_same),
	CASE(a_run_that_plants_no_fault_is_not_complete),
	CASE(a_mailbox_with_an_open_finding_is_verified_anew),
	CASE(what_the_first_run_found_stays_open),
	CASE(what_was_a_gap_is_looked_at_again),
	CASE(a_mailbox_that_went_between_the_runs_closes_its_finding),
	CASE(a_mailbox_in_doubt_stays_so_under_another_name),
};

const struct test_suite suite_verify_resume = { "verify/resume", cases, array_size(cases) };

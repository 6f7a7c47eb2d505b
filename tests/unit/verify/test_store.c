// SPDX-License-Identifier: Apache-2.0
/*
 * What belongs to no single mailbox: databases and quota roots, of a store that is right and may
 * look as if it were not.
 */
#include "suites.h"

#include <CUnit/CUnit.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "verify_room.h"

static void scan(struct scene *s)
{
	struct scan_options options = { .settle_ns = 20 * NS_PER_MS, .readers = 1 };

	scene_scan(s, &options);
}

static void begin(struct scene *s)
{
	struct mkstore_options options = { .seed = 4 };

	scene_make_room(s, "store");
	scene_make_store(s, &options);
	CU_ASSERT_EQUAL_FATAL(room_add_mailbox(s->store, "user.u001", 2, 900, 0), 0);
}

/* ---- counters ---- */

/* An empty file; its folder is made first, whatever of it is missing. */
static void put_empty(const struct scene *s, const char *leaf)
{
	char path[512];

	(void)snprintf(path, sizeof(path), "%s", scene_path(s, leaf));
	for (char *p = path + strlen(s->dir) + 1; (p = strchr(p, '/')); p++) {
		*p = '\0';
		(void)mkdir(path, 0700);
		*p = '/';
	}
	CU_ASSERT_EQUAL_FATAL(room_write(path, ""), 0);
}

static void passes_over_empty_counters_of_nobody(void)
{
	struct scene s;

	begin(&s);
	scene_open(&s);
	put_empty(&s, "store/conf/user/uuid/a/b/abcdefghijklmnopqrstuvwx/counters.db");
	put_empty(&s, "store/conf/user/g/gone.counters");
	put_empty(&s, "store/conf/domain/e/example.com/user/u/u001.counters");
	scan(&s);
	CU_ASSERT_EQUAL(s.nr_findings, 0);
	CU_ASSERT_EQUAL(s.run.status, RUN_COMPLETE);
	scene_close(&s);
}

/* What cyr_expire makes anew while the deleted mailboxes of the user are still listed. */
static void passes_over_empty_counters_of_a_deleted_user(void)
{
	const char *deleted = "DELETED.user.u002.6553F100";
	struct scene s;
	char leaf[128];

	begin(&s);
	CU_ASSERT_EQUAL_FATAL(room_add_mailbox(s.store, deleted, 1, 900, 0), 0);
	scene_open(&s);
	const char *id = mkstore_get_unique_id(s.store, deleted);
	(void)snprintf(leaf, sizeof(leaf), "store/conf/user/uuid/%c/%c/%s/counters.db", id[0],
		       id[1], id);
	put_empty(&s, leaf);
	scan(&s);
	CU_ASSERT_EQUAL(s.nr_findings, 0);
	scene_close(&s);
}

static void finds_empty_counters_of_somebody(void)
{
	struct scene s;
	char leaf[128];

	begin(&s);
	scene_open(&s);
	const char *id = mkstore_get_unique_id(s.store, "user.u001");
	(void)snprintf(leaf, sizeof(leaf), "store/conf/user/uuid/%c/%c/%s/counters.db", id[0],
		       id[1], id);
	put_empty(&s, leaf);
	scan(&s);
	check_only_finding(&s, "database.corrupt", id);
	CU_ASSERT_EQUAL(unlink(scene_path(&s, leaf)), 0);
	put_empty(&s, "store/conf/user/u/u001.counters");
	scan(&s);
	check_only_finding(&s, "database.corrupt", "u001.counters");
	scene_close(&s);
}

/* ---- quotas ---- */

/* The mailbox counts against user.u001. Its index knows no CRC of cyrus.header any more. */
static void put_quota_root(const struct scene *s, const char *mailbox)
{
	char path[512], text[4096];
	size_t len, at = 115 + 2; /* behind what each begins with, and the parenthesis */

	path_in(s, mailbox, "cyrus.header", path);
	FILE *f = fopen(path, "r+");
	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	len = fread(text, 1, sizeof(text), f);
	CU_ASSERT_TRUE_FATAL(len > at && memcmp(text + at - 2, "%(", 2) == 0);
	rewind(f);
	(void)fprintf(f, "%.*sQ user.u001 %.*s", (int)at, text, (int)(len - at), text + at);
	CU_ASSERT_EQUAL(fclose(f), 0);
	path_in(s, mailbox, "cyrus.index", path);
	CU_ASSERT_EQUAL(mkstore_set_header(path, MKSTORE_HEADER_FILE_CRC, 0), 0);
}

static void put_quota(const struct scene *s, unsigned bytes, unsigned messages, unsigned folders)
{
	char text[128];

	put_empty(s, "store/conf/quota/u/user.u001");
	(void)snprintf(text, sizeof(text), "%%(S (%u 100000) M (%u 1000) NF (%u 50))\n", bytes,
		       messages, folders);
	CU_ASSERT_EQUAL_FATAL(room_write(scene_path(s, "store/conf/quota/u/user.u001"), text), 0);
}

struct growing {
	struct scene scene; /* first: it is what the callbacks are handed */
	volatile sig_atomic_t show;
	bool has_grown;
};

/* Shown for the first time when the mailboxes have been listed. */
static void grow(const struct scan_progress *progress, void *ctx)
{
	struct growing *g = ctx;

	(void)progress;
	g->show = 1;
	if (g->has_grown)
		return;
	g->has_grown = true;
	CU_ASSERT_EQUAL(rename(scene_path(&g->scene, "full.db"),
			       scene_path(&g->scene, "store/conf/mailboxes.db")),
			0);
}

/* The list without user.u001.New comes from a store of the same seed that never had it. */
static void put_shorter_list(const struct scene *s)
{
	struct mkstore_options options = { .seed = 4 };
	struct mkstore *other;

	CU_ASSERT_EQUAL_FATAL(mkstore_new(scene_path(s, "other"), &options, &other), 0);
	CU_ASSERT_EQUAL_FATAL(room_add_mailbox(other, "user.u001", 2, 900, 0), 0);
	CU_ASSERT_EQUAL_FATAL(mkstore_finish(other), 0);
	mkstore_free(other);
	CU_ASSERT_EQUAL_FATAL(rename(scene_path(s, "store/conf/mailboxes.db"),
				     scene_path(s, "full.db")),
			      0);
	CU_ASSERT_EQUAL_FATAL(rename(scene_path(s, "other/conf/mailboxes.db"),
				     scene_path(s, "store/conf/mailboxes.db")),
			      0);
}

static void begin_quota(struct scene *s)
{
	begin(s);
	CU_ASSERT_EQUAL_FATAL(room_add_mailbox(s->store, "user.u001.New", 1, 500, 0), 0);
	scene_open(s);
	put_quota_root(s, "user.u001");
	put_quota_root(s, "user.u001.New");
}

static void finds_a_usage_that_is_wrong(void)
{
	struct scene s;

	begin_quota(&s);
	put_quota(&s, 2300, 3, 2);
	scan(&s);
	CU_ASSERT_EQUAL(s.nr_findings, 0);
	put_quota(&s, 2300, 3, 3);
	scan(&s);
	check_only_finding(&s, "quota.usage", "user.u001");
	scene_close(&s);
}

static void counts_a_mailbox_that_was_made_after_the_survey(void)
{
	struct growing g = { .show = 1 };
	struct scan_options options = {
		.settle_ns = 20 * NS_PER_MS,
		.readers = 1,
		.show_progress = &g.show,
	};
	struct scan_events events = {
		.finding = scene_on_finding,
		.gap = scene_on_gap,
		.progress = grow,
		.ctx = &g,
	};

	begin_quota(&g.scene);
	put_quota(&g.scene, 2300, 3, 2);
	put_shorter_list(&g.scene);
	CU_ASSERT_EQUAL(scan_store(g.scene.state, &g.scene.target, &options, &events, NULL,
				   &g.scene.run),
			0);
	CU_ASSERT_TRUE(g.has_grown);
	CU_ASSERT_EQUAL(g.scene.nr_findings, 0);
	CU_ASSERT_EQUAL(g.scene.nr_gaps, 0);
	CU_ASSERT_EQUAL(g.scene.run.mailboxes, 1);
	scene_close(&g.scene);
}

static const struct test_case cases[] = {
	CASE(passes_over_empty_counters_of_nobody),
	CASE(passes_over_empty_counters_of_a_deleted_user),
	CASE(finds_empty_counters_of_somebody),
	CASE(finds_a_usage_that_is_wrong),
	CASE(counts_a_mailbox_that_was_made_after_the_survey),
};

const struct test_suite suite_verify_store = { "verify/store", cases, array_size(cases) };

// SPDX-License-Identifier: Apache-2.0
/*
 * What belongs to no mailbox: databases in the configdirectory, quota roots, directories that no
 * mailbox owns. Each damage is said of the file that has it; what is good, young, or of no interest
 * is not.
 */
#include "suites.h"

#include <CUnit/CUnit.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/compiler.h"
#include "digest/digest.h"
#include "support/twoskip_writer.h"
#include "verify/scanning.h"
#include "verify_disk.h"
#include "verify_room.h"

static void make_dir(struct scene *s, const char *rel)
{
	CU_ASSERT_TRUE(mkdir(scene_path(s, rel), 0700) == 0 || errno == EEXIST);
}

static void write_text(struct scene *s, const char *rel, const char *text)
{
	CU_ASSERT_EQUAL_FATAL(room_write(scene_path(s, rel), text), 0);
}

static void write_twoskip(struct scene *s, const char *rel)
{
	struct twoskip_writer *writer;

	CU_ASSERT_EQUAL_FATAL(twoskip_writer_new(scene_path(s, rel), 1, &writer), 0);
	CU_ASSERT_EQUAL(twoskip_writer_add(writer, span_of_str("key"), span_of_str("value")), 0);
	CU_ASSERT_EQUAL(twoskip_writer_add(writer, span_of_str("key2"), span_of_str("value")), 0);
	CU_ASSERT_EQUAL(twoskip_writer_commit(writer), 0);
	twoskip_writer_free(writer);
}

static void begin(struct scene *s)
{
	struct mkstore_options options = { .seed = 5 };

	scene_make_room(s, "databases");
	scene_make_store(s, &options);
	CU_ASSERT_EQUAL_FATAL(room_add_mailbox(s->store, "user.a", 2, 800, 1), 0);
	scene_open(s);
	make_dir(s, "store/conf/user");
	make_dir(s, "store/conf/user/a");
	make_dir(s, "store/conf/quota");
	make_dir(s, "store/conf/quota/a");
	write_twoskip(s, "store/conf/annotations.db");
	write_twoskip(s, "store/conf/deliver.db");
	write_twoskip(s, "store/conf/user/a/a.seen");
	write_text(s, "store/conf/user/a/a.sub", "user.a\t\n");
	write_text(s, "store/conf/user/a/notes", "nobody knows what this is");
	write_text(s, "store/conf/quota/a/user.a", "%(S (1601 100))\n");
}

static void scan(struct scene *s)
{
	struct scan_options options = { .settle_ns = 5 * NS_PER_MS,
					.readers = 1,
					.append_max_ns = 1 };

	scene_scan(s, &options);
}

static void add_conf(struct scene *s, const char *text)
{
	CU_ASSERT_EQUAL(imapd_conf_parse(&s->target.imapd_conf, span_of_str(text), "more", 0, NULL,
					 NULL, NULL),
			0);
}

static void finds_nothing_in_good_databases(void)
{
	struct scene s;

	begin(&s);
	scan(&s);
	CU_ASSERT_EQUAL(s.nr_findings, 0);
	CU_ASSERT_EQUAL(s.run.status, RUN_COMPLETE);
	scene_close(&s);
}

static void flip_in(struct scene *s, const char *rel, uint64_t off)
{
	CU_ASSERT_EQUAL(mkstore_flip_bit(scene_path(s, rel), off, 2), 0);
}

static void says_which_database_is_damaged(void)
{
	static const struct {
		const char *rel;
		uint64_t off; /* 0: it is emptied */
		const char *code;
	} rows[] = {
		{ "store/conf/annotations.db", 350, "database.corrupt  database:" },
		{ "store/conf/annotations.db", 0, "database.corrupt  database:" },
		{ "store/conf/user/a/a.seen", 40, "database.corrupt  database:" },
		{ "store/conf/user/a/a.seen", 2, "database.corrupt  database:" }, /* its magic */
		{ "store/conf/user/a/a.sub", 6, "database.corrupt  database:" },
		{ "store/conf/deliver.db", 350, "database.disposable  database:" },
		{ "store/conf/quota/a/user.a", 1, "quota.corrupt  database:" },
	};

	for (size_t i = 0; i < array_size(rows); i++) {
		struct scene s;
		begin(&s);
		if (rows[i].off)
			flip_in(&s, rows[i].rel, rows[i].off);
		else
			CU_ASSERT_EQUAL(mkstore_truncate(scene_path(&s, rows[i].rel), 0), 0);
		scan(&s);
		check_only_finding(&s, rows[i].code, rows[i].rel);
		CU_ASSERT_EQUAL(s.run.status, RUN_COMPLETE);
		/* And it is closed once it is mended. */
		uint64_t open = 1;
		CU_ASSERT_EQUAL(unlink(scene_path(&s, rows[i].rel)), 0);
		scan(&s);
		CU_ASSERT_EQUAL(s.nr_findings, 0);
		CU_ASSERT_EQUAL(state_finding_count_open(s.state, s.run.target,
							 ASSAY_SEVERITY_NOTICE, &open),
				0);
		CU_ASSERT_EQUAL(open, 0);
		scene_close(&s);
	}
}

/* Found in the dead records of the list, which no walk comes by. */
static void finds_damage_in_the_list_that_a_walk_does_not_come_by(void)
{
	struct scene s;
	struct stat st;

	begin(&s);
	CU_ASSERT_EQUAL(stat(scene_path(&s, "store/conf/mailboxes.db"), &st), 0);
	flip_in(&s, "store/conf/mailboxes.db", (uint64_t)st.st_size - 3); /* the last COMMIT */
	scan(&s);
	check_only_finding(&s, "database.corrupt  database:", "mailboxes.db");
	CU_ASSERT_EQUAL(s.run.messages, 2);
	scene_close(&s);
}

/* ---- links ---- */

/* It is moved out of the store, or to another name, and a link stands in its place. */
static void put_link(struct scene *s, const char *rel, const char *to)
{
	CU_ASSERT_EQUAL(rename(scene_path(s, rel), scene_path(s, to)), 0);
	CU_ASSERT_EQUAL(symlink(scene_path(s, to), scene_path(s, rel)), 0);
}

static void says_which_links_are_not_followed(void)
{
	static const struct {
		const char *rel, *to;
	} rows[] = {
		{ "store/conf/annotations.db", "elsewhere" },
		{ "store/conf/user/a/a.seen", "elsewhere" },
		{ "store/conf/user/a/a.seen", "store/conf/aside" },
		{ "store/conf/user/a/a.sub", "elsewhere" },
		{ "store/conf/quota/a/user.a", "elsewhere" },
		{ "store/conf/quota/a", "elsewhere" },
		{ "store/conf/user/a", "elsewhere" },
		{ "store/conf/domain/e/example.com", "elsewhere" },
	};

	for (size_t i = 0; i < array_size(rows); i++) {
		struct scene s;
		begin(&s);
		make_dir(&s, "store/conf/domain");
		make_dir(&s, "store/conf/domain/e");
		make_dir(&s, "store/conf/domain/e/example.com");
		/* What is wrong behind it stays open, though nothing is said of it. */
		flip_in(&s, "store/conf/user/a/a.seen", 40);
		scan(&s);
		check_only_finding(&s, "database.corrupt", "a.seen");
		uint64_t open = 0;
		put_link(&s, rows[i].rel, rows[i].to);
		scan(&s);
		check_only_gap(&s, ": a symbolic link, which is not followed", "");
		CU_ASSERT_EQUAL(state_finding_count_open(s.state, s.run.target,
							 ASSAY_SEVERITY_NOTICE, &open),
				0);
		CU_ASSERT_EQUAL(open, 1);
		scene_close(&s);
	}
}

/* To what is judged nowhere, or of no use; and to what nothing is at. */
static void says_nothing_of_links_to_what_is_not_looked_at(void)
{
	struct scene s;

	begin(&s);
	put_link(&s, "store/conf/deliver.db", "elsewhere");
	CU_ASSERT_EQUAL(symlink("notes", scene_path(&s, "store/conf/user/a/notes2")), 0);
	make_dir(&s, "store/conf/sync");
	put_link(&s, "store/conf/sync", "somewhere");
	CU_ASSERT_EQUAL(symlink("nowhere", scene_path(&s, "store/conf/user/a/gone")), 0);
	CU_ASSERT_EQUAL(symlink("/etc/passwd", scene_path(&s, "store/conf/user/a/a.dav")), 0);
	scan(&s);
	CU_ASSERT_EQUAL(s.nr_findings + s.nr_gaps, 0);
	CU_ASSERT_EQUAL(s.run.status, RUN_COMPLETE);
	scene_close(&s);
}

/* Those of imapd.conf are looked at there, and what stands in their usual place does not matter. */
static void says_so_of_a_path_in_the_configuration(void)
{
	char text[600];
	struct scene s;

	begin(&s);
	(void)snprintf(text, sizeof(text), "annotation_db_path: %s\n", scene_path(&s, "elsewhere"));
	add_conf(&s, text);
	put_link(&s, "store/conf/annotations.db", "elsewhere");
	scan(&s);
	CU_ASSERT_EQUAL(s.nr_findings + s.nr_gaps, 0);
	put_link(&s, "elsewhere", "somewhere");
	scan(&s);
	check_only_gap(&s, ": a symbolic link, which is not followed", "");
	put_folder(scene_path(&s, "elsewhere"));
	scan(&s);
	check_only_gap(&s, ": neither a file nor a directory", "");
	scene_close(&s);
}

/* The survey cannot do without it, and says so; that is enough. */
static void says_of_a_list_that_is_a_link_no_more_than_the_survey_does(void)
{
	struct scene s;

	begin(&s);
	put_link(&s, "store/conf/mailboxes.db", "elsewhere");
	scan(&s);
	CU_ASSERT_EQUAL(count_said(s.gaps, s.nr_gaps, "", "mailboxes.db: "), 1);
	CU_ASSERT_EQUAL(count_said(s.gaps, s.nr_gaps, "", "not followed"), 0);
	CU_ASSERT_EQUAL(s.run.status, RUN_INCOMPLETE);
	scene_close(&s);
}

/* ---- in mailbox order, as up to 3.4 where that was switched on ---- */

static void switch_sort_on(struct scene *s)
{
	add_conf(s, "improved_mboxlist_sort: yes\n");
}

/* The order of bytes has the two keys the other way round. */
static void write_sorted(struct scene *s, const char *rel, const char *const values[2])
{
	static const char *const keys[] = { "user.a.b", "user.a-b" };
	const char *path = scene_path(s, rel);
	struct twoskip_writer *writer;

	CU_ASSERT_TRUE(unlink(path) == 0 || errno == ENOENT);
	CU_ASSERT_EQUAL_FATAL(twoskip_writer_new(path, 1, &writer), 0);
	twoskip_writer_set_order(writer, DB_ORDER_MAILBOX);
	for (unsigned i = 0; i < 2; i++)
		CU_ASSERT_EQUAL(twoskip_writer_add(writer, span_of_str(keys[i]),
						   span_of_str(values[i])),
				0);
	CU_ASSERT_EQUAL(twoskip_writer_commit(writer), 0);
	twoskip_writer_free(writer);
}

/* A store of two mailboxes, with their list as 3.4 has it. */
static void begin_sorted(struct scene *s)
{
	static const char *const names[] = { "user.a.b", "user.a-b" };
	struct mkstore_options options = { .seed = 5, .legacy_dirs = true };
	char values[2][256];

	scene_make_room(s, "databases");
	scene_make_store(s, &options);
	for (unsigned i = 0; i < 2; i++) {
		char id[64], uidvalidity[16];
		struct buf entry = BUF_NULL;
		CU_ASSERT_EQUAL_FATAL(room_add_mailbox(s->store, names[i], 2, 800, 1), 0);
		CU_ASSERT_EQUAL(mkstore_add_entry(&entry, s->store, names[i], "default"), 0);
		CU_ASSERT_EQUAL_FATAL(sscanf(buf_str(&entry), "%%(T el I %63s P default V %15s", id,
					     uidvalidity),
				      2);
		(void)snprintf(values[i], sizeof(values[i]), "%%(I %s P default V %s%s", id,
			       uidvalidity, strstr(buf_str(&entry), " A "));
		buf_fini(&entry);
	}
	scene_open(s);
	const char *const both[] = { values[0], values[1] };
	write_sorted(s, "store/conf/mailboxes.db", both);
}

static void takes_a_list_in_mailbox_order_for_good_where_that_is_switched_on(void)
{
	struct scene s;

	begin_sorted(&s);
	scan(&s);
	CU_ASSERT_TRUE(said(&s, "mailboxes_db.corrupt  list", "at byte"));
	switch_sort_on(&s);
	scan(&s);
	CU_ASSERT_EQUAL(s.nr_findings, 0);
	CU_ASSERT_EQUAL(s.run.status, RUN_COMPLETE);
	CU_ASSERT_EQUAL(s.run.messages, 4);
	scene_close(&s);
}

/* Subscriptions, and quota roots in one file, were sorted by the same switch. */
static void takes_subscriptions_in_mailbox_order_for_good_too(void)
{
	static const char *const nothing[] = { "", "" };
	struct scene s;

	begin(&s);
	write_sorted(&s, "store/conf/user/a/a.sub", nothing);
	scan(&s);
	check_only_finding(&s, "database.corrupt  database:", "user/a/a.sub");
	switch_sort_on(&s);
	scan(&s);
	CU_ASSERT_EQUAL(s.nr_findings, 0);
	/* Seen state never was. */
	write_sorted(&s, "store/conf/user/a/a.seen", nothing);
	scan(&s);
	check_only_finding(&s, "database.corrupt  database:", "user/a/a.seen");
	scene_close(&s);
}

/* What is wrong in either order is said where the order in which it was written has it. */
static void says_where_a_list_in_mailbox_order_is_damaged(void)
{
	char where[32];
	struct scene s;
	struct stat st;

	begin_sorted(&s);
	switch_sort_on(&s);
	CU_ASSERT_EQUAL(stat(scene_path(&s, "store/conf/mailboxes.db"), &st), 0);
	/* The COMMIT: only the check comes by it. */
	flip_in(&s, "store/conf/mailboxes.db", (uint64_t)st.st_size - 3);
	scan(&s);
	(void)snprintf(where, sizeof(where), "damaged at byte %d", (int)st.st_size - 24);
	check_only_finding(&s, "database.corrupt  database:", where);
	CU_ASSERT_EQUAL(s.run.messages, 4);
	scene_close(&s);
	/* And the last value: the walk comes by it. */
	begin_sorted(&s);
	switch_sort_on(&s);
	flip_in(&s, "store/conf/mailboxes.db", (uint64_t)st.st_size - 24 - 16);
	scan(&s);
	CU_ASSERT_TRUE(said(&s, "mailboxes_db.corrupt  list", "at byte"));
	scene_close(&s);
}

/* ---- strays ---- */

static void make_stray(struct scene *s, const char *dir)
{
	char path[512];

	make_dir(s, dir);
	(void)snprintf(path, sizeof(path), "%s/cyrus.header", dir);
	write_text(s, path, "whatever");
}

static void finds_a_directory_that_no_mailbox_owns(void)
{
	struct scene s;

	begin(&s);
	make_dir(&s, "store/spool/uuid/-");
	make_dir(&s, "store/spool/uuid/-/-");
	make_stray(&s, "store/spool/uuid/-/-/--stray");
	make_dir(&s, "store/spool/uuid/-/-/--empty");
	scan(&s);
	check_only_finding(&s, "mailbox.unlisted  stray:", "");
	CU_ASSERT_PTR_NOT_NULL(strstr(s.findings[0], "uuid/-/-/--stray"));
	scene_close(&s);
}

static void finds_it_by_name_too(void)
{
	struct scene s;

	begin(&s);
	make_dir(&s, "store/spool/g");
	make_dir(&s, "store/spool/g/user");
	make_stray(&s, "store/spool/g/user/gone");
	/* The directory of a mailbox that has its files elsewhere now. */
	make_dir(&s, "store/spool/a");
	make_dir(&s, "store/spool/a/user");
	make_stray(&s, "store/spool/a/user/a");
	/* Not where a mailbox of that name would be. */
	make_stray(&s, "store/spool/a/user/zoe");
	scan(&s);
	CU_ASSERT_EQUAL(s.nr_findings, 2);
	CU_ASSERT_TRUE(said(&s, "mailbox.unlisted user.gone stray:", "user/gone"));
	CU_ASSERT_TRUE(said(&s, "mailbox.unlisted user.a stray:", "user/a:"));
	scene_close(&s);
}

static void calls_no_young_directory_a_stray(void)
{
	struct scan_options options = { .settle_ns = 5 * NS_PER_MS, .readers = 1 };
	struct scene s;

	begin(&s);
	make_dir(&s, "store/spool/g");
	make_dir(&s, "store/spool/g/user");
	make_stray(&s, "store/spool/g/user/gone");
	scene_scan(&s, &options);
	CU_ASSERT_EQUAL(s.nr_findings, 0);
	scene_close(&s);
}

static void looks_for_strays_on_every_partition(void)
{
	char text[512];
	struct scene s;

	begin(&s);
	/* Those that are not there have none, and that is no gap. */
	for (unsigned i = 0; i < 70; i++) {
		(void)snprintf(text, sizeof(text), "partition-p%02u: %s/p%02u\n", i, s.dir, i);
		add_conf(&s, text);
	}
	make_dir(&s, "p69");
	make_dir(&s, "p69/uuid");
	make_dir(&s, "p69/uuid/-");
	make_dir(&s, "p69/uuid/-/-");
	make_stray(&s, "p69/uuid/-/-/--stray");
	scan(&s);
	check_only_finding(&s, "mailbox.unlisted  stray:", "");
	CU_ASSERT_PTR_NOT_NULL(strstr(s.findings[0], "p69/uuid/-/-/--stray"));
	CU_ASSERT_EQUAL(s.run.status, RUN_COMPLETE);
	scene_close(&s);
}

/* Paths longer than any system call takes, two of them: nobody can look into what lies there. */
static void says_once_where_it_could_not_look_for_strays(void)
{
	struct scene s;
	char name[251];

	begin(&s);
	memset(name, 'x', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	int fd = open(scene_path(&s, "store/spool"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (unsigned i = 0; i < 17; i++) {
		CU_ASSERT_EQUAL_FATAL(mkdirat(fd, name, 0700), 0);
		int below = openat(fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		(void)close(fd);
		fd = below;
		name[0] = 'y';
		CU_ASSERT_EQUAL(mkdirat(fd, name, 0700), 0);
		name[0] = 'x';
	}
	(void)close(fd);
	scan(&s);
	check_only_gap(&s, "", "File name too long: directories that belong to no mailbox");
	CU_ASSERT_EQUAL(s.nr_findings, 0);
	CU_ASSERT_EQUAL(disk_run("rm -r %s/store/spool/%s", s.dir, name), 0);
	scan(&s);
	CU_ASSERT_EQUAL(s.run.status, RUN_COMPLETE);
	scene_close(&s);
}

/* A scan that has come to its strays, with nothing in the books: all directories look like one. */
struct bench {
	struct scan_options options;
	struct scan_events events;
	struct scanning s;
};

static void bench_begin(struct bench *b, struct scene *s)
{
	*b = (struct bench){ .options = { .readers = 1 },
			     .events = {
				     .finding = scene_on_finding, .gap = scene_on_gap, .ctx = s } };
	b->s = (struct scanning){ .state = s->state,
				  .target = &s->target,
				  .options = &b->options,
				  .events = &b->events };
	b->s.young_ns = 1;
	CU_ASSERT_EQUAL(state_target_put(s->state, s->target.key, "s1", "h1",
					 s->target.imapd_conf_path, true, &b->s.target_id),
			0);
	CU_ASSERT_EQUAL(state_run_begin(s->state, b->s.target_id, 1, "", &b->s.run.id), 0);
	s->nr_findings = s->nr_gaps = 0;
}

static void says_that_the_list_could_not_be_asked_about_strays(void)
{
	struct scene s;
	struct bench b;

	begin(&s);
	bench_begin(&b, &s);
	CU_ASSERT_EQUAL(strays_check(&b.s), 0);
	CU_ASSERT_TRUE(b.s.strays_whole);
	CU_ASSERT_EQUAL(b.s.run.in_flight, 1); /* it is listed after all */
	CU_ASSERT_EQUAL(s.nr_gaps + s.nr_findings, 0);
	CU_ASSERT_EQUAL(mkstore_truncate(scene_path(&s, "store/conf/mailboxes.db"), 100), 0);
	CU_ASSERT_EQUAL(strays_check(&b.s), 0);
	CU_ASSERT_FALSE(b.s.strays_whole);
	check_only_line(s.gaps, s.nr_gaps, ": damaged: directories that belong to no mailbox", "");
	CU_ASSERT_EQUAL(s.nr_findings, 0);
	CU_ASSERT_EQUAL(scanning_flush(&b.s), 0);
	scene_close(&s);
}

/* Directories of `nr` unique ids, all listed, and no others. */
static void make_many(struct scene *s, unsigned nr)
{
	char list[512], key[32], value[64], path[96];
	struct twoskip_writer *writer;

	(void)snprintf(list, sizeof(list), "%s", scene_path(s, "store/conf/mailboxes.db"));
	CU_ASSERT_EQUAL(unlink(list), 0);
	CU_ASSERT_EQUAL_FATAL(twoskip_writer_new(list, 1, &writer), 0);
	CU_ASSERT_EQUAL(disk_run("rm -r %s/store/spool/uuid/*", s->dir), 0);
	make_dir(s, "store/spool/uuid/q");
	make_dir(s, "store/spool/uuid/q/q");
	for (unsigned i = 0; i < nr; i++) {
		(void)snprintf(key, sizeof(key), "Nuser\x1f%04u", i);
		(void)snprintf(value, sizeof(value), "%%(T e I qq%04u P default V 1)", i);
		CU_ASSERT_EQUAL(twoskip_writer_add(writer, span_of_str(key), span_of_str(value)),
				0);
		(void)snprintf(path, sizeof(path), "store/spool/uuid/q/q/qq%04u", i);
		make_stray(s, path);
	}
	CU_ASSERT_EQUAL(twoskip_writer_commit(writer), 0);
	twoskip_writer_free(writer);
}

static void says_that_there_are_more_strays_than_can_be_told(void)
{
	enum { MAX = 4096 };
	struct scene s;
	struct bench b;

	begin(&s);
	make_many(&s, MAX + 1);
	bench_begin(&b, &s);
	CU_ASSERT_EQUAL(strays_check(&b.s), 0);
	CU_ASSERT_FALSE(b.s.strays_whole);
	CU_ASSERT_EQUAL(b.s.run.in_flight, MAX);
	check_only_line(s.gaps, s.nr_gaps, ": more directories", "than can be told");
	CU_ASSERT_EQUAL(scanning_flush(&b.s), 0);
	/* One less, and all are told. */
	CU_ASSERT_EQUAL(unlink(scene_path(&s, "store/spool/uuid/q/q/qq0000/cyrus.header")), 0);
	bench_begin(&b, &s);
	CU_ASSERT_EQUAL(strays_check(&b.s), 0);
	CU_ASSERT_TRUE(b.s.strays_whole);
	CU_ASSERT_EQUAL(s.nr_gaps, 0);
	CU_ASSERT_EQUAL(scanning_flush(&b.s), 0);
	scene_close(&s);
}

/* ---- parts of a store ---- */

static void looks_at_no_body_when_it_is_quick(void)
{
	struct scan_options options = { .settle_ns = 5 * NS_PER_MS, .readers = 1, .quick = true };
	struct scene s;
	char path[512];

	begin(&s);
	path_in(&s, "user.a", "1.", path);
	CU_ASSERT_EQUAL(mkstore_flip_bit(path, 100, 1), 0);
	scene_scan(&s, &options);
	CU_ASSERT_EQUAL(s.nr_findings, 0);
	CU_ASSERT_EQUAL(s.run.status, RUN_COMPLETE);
	CU_ASSERT_EQUAL(s.run.messages, 2);
	CU_ASSERT_EQUAL(s.run.bytes, 0);
	CU_ASSERT_STRING_EQUAL(s.run.scope, "quick");
	CU_ASSERT_EQUAL(mkstore_truncate(path, 0), 0);
	scene_scan(&s, &options);
	check_only_finding(&s, "message.empty user.a message:1", "");
	CU_ASSERT_EQUAL(unlink(path), 0);
	scene_scan(&s, &options);
	check_only_finding(&s, "message.missing user.a message:1", "");
	/* It vouches for nothing. */
	struct run run;
	CU_ASSERT_EQUAL(state_run_last_complete(s.state, s.run.target, &run), -ENOENT);
	scene_close(&s);
}

static void scans_only_what_was_selected(void)
{
	char mailbox[] = "user/b";
	char *mailboxes[] = { mailbox };
	struct scan_options options = { .settle_ns = 5 * NS_PER_MS,
					.readers = 1,
					.selection = { .mailboxes = mailboxes,
						       .nr_mailboxes = 1 } };
	struct mkstore_options how = { .seed = 5 };
	struct scene s;

	scene_make_room(&s, "databases");
	scene_make_store(&s, &how);
	CU_ASSERT_EQUAL_FATAL(room_add_mailbox(s.store, "user.a", 2, 800, 1), 0);
	CU_ASSERT_EQUAL_FATAL(room_add_mailbox(s.store, "user.b", 3, 800, 1), 0);
	scene_open(&s);
	scene_scan(&s, &options);
	CU_ASSERT_EQUAL(s.run.messages, 3);
	CU_ASSERT_EQUAL(s.run.mailboxes, 1);
	CU_ASSERT_EQUAL(s.run.status, RUN_COMPLETE);
	/* Nothing is as was asked for: that is no clean scan. */
	mailbox[5] = 'c';
	scene_scan(&s, &options);
	check_only_gap(&s, "", "as was asked for");
	/* Since the messages came, nothing has. */
	options = (struct scan_options){ .settle_ns = 5 * NS_PER_MS,
					 .readers = 1,
					 .since_ns = clock_wall_ns() };
	scene_scan(&s, &options);
	CU_ASSERT_EQUAL(s.run.messages, 0);
	CU_ASSERT_EQUAL(s.run.status, RUN_COMPLETE);
	options.since_ns = (MKSTORE_EPOCH + 4) * NS_PER_S;
	scene_scan(&s, &options);
	CU_ASSERT_TRUE(s.run.messages > 0 && s.run.messages < 5);
	scene_close(&s);
}

static const struct test_case cases[] = {
	CASE(finds_nothing_in_good_databases),
	CASE(says_which_database_is_damaged),
	CASE(finds_damage_in_the_list_that_a_walk_does_not_come_by),
	CASE(says_which_links_are_not_followed),
	CASE(says_nothing_of_links_to_what_is_not_looked_at),
	CASE(says_so_of_a_path_in_the_configuration),
	CASE(says_of_a_list_that_is_a_link_no_more_than_the_survey_does),
	CASE(takes_a_list_in_mailbox_order_for_good_where_that_is_switched_on),
	CASE(takes_subscriptions_in_mailbox_order_for_good_too),
	CASE(says_where_a_list_in_mailbox_order_is_damaged),
	CASE(finds_a_directory_that_no_mailbox_owns),
	CASE(finds_it_by_name_too),
	CASE(calls_no_young_directory_a_stray),
	CASE(looks_for_strays_on_every_partition),
	CASE(says_once_where_it_could_not_look_for_strays),
	CASE(says_that_the_list_could_not_be_asked_about_strays),
	CASE(says_that_there_are_more_strays_than_can_be_told),
	CASE(looks_at_no_body_when_it_is_quick),
	CASE(scans_only_what_was_selected),
};

const struct test_suite suite_verify_databases = { "verify/databases", cases, array_size(cases) };

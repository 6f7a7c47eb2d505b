// SPDX-License-Identifier: Apache-2.0
/*
 * Scan: a whole store, damaged in one way at a time. Each damage gives exactly its finding and no
 * other; what could not be checked is a gap, and a run with a gap is never complete.
 */
#include "suites.h"

#include <CUnit/CUnit.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"
#include "format/cyrus/index.h"
#include "skip.h"
#include "support/mkstore.h"
#include "support/twoskip_writer.h"
#include "verify_room.h"

enum { LIVE = 32, DEAD = 2, MAILBOXES = 4 };

static void add_messages(struct mkstore_mailbox *mailbox, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		CU_ASSERT_EQUAL_FATAL(mkstore_message(mailbox, 0, 700 + i * 613, NULL), 0);
}

/* user.u001: UIDs 1 to 10 and 16, of which 4 is expunged and 7 is expunged and unlinked. */
static void make_mailboxes(struct mkstore *store)
{
	struct mkstore_mailbox *mailbox;

	CU_ASSERT_EQUAL_FATAL(mkstore_mailbox_begin(store, "user.u001", &mailbox), 0);
	add_messages(mailbox, 3);
	CU_ASSERT_EQUAL(mkstore_message(mailbox, INDEX_FLAG_EXPUNGED, 900, NULL), 0);
	add_messages(mailbox, 2);
	CU_ASSERT_EQUAL(
		mkstore_message(mailbox, INDEX_FLAG_EXPUNGED | INDEX_FLAG_UNLINKED, 900, NULL), 0);
	add_messages(mailbox, 3);
	mkstore_skip_uids(mailbox, 5);
	add_messages(mailbox, 1);
	CU_ASSERT_EQUAL_FATAL(mkstore_mailbox_end(mailbox), 0);
	CU_ASSERT_EQUAL_FATAL(room_add_mailbox(store, "user.u001.Sent", 3, 700, 613), 0);
	CU_ASSERT_EQUAL_FATAL(room_add_mailbox(store, "user.u002", 20, 700, 613), 0);
	CU_ASSERT_EQUAL_FATAL(room_add_mailbox(store, "shared", 0, 0, 0), 0);
	CU_ASSERT_EQUAL(mkstore_tombstone(store, "user.gone"), 0);
	CU_ASSERT_EQUAL(mkstore_intermediate(store, "lists"), 0);
}

static void scene_begin(struct scene *s, bool with_mailboxes, const char *extra)
{
	struct mkstore_options options = { .seed = 1, .extra = extra };

	scene_make_room(s, "scan");
	scene_make_store(s, &options);
	if (with_mailboxes)
		make_mailboxes(s->store);
	scene_open(s);
}

/* Each scan opens its target anew. */
static void scan(struct scene *s)
{
	struct scan_options options = { .settle_ns = 20 * NS_PER_MS, .readers = 2 };

	target_fini(&s->target);
	scene_open_target(s);
	scene_scan(s, &options);
	CU_ASSERT_EQUAL(s->run.findings, s->nr_findings);
	CU_ASSERT_EQUAL(s->run.gaps, s->nr_gaps);
}

static void write_file(const char *path, const char *text)
{
	CU_ASSERT_EQUAL_FATAL(room_write(path, text), 0);
}

/* ---- messages ---- */

static void finds_nothing_in_a_good_store_and_counts_it(void)
{
	struct scene s;

	scene_begin(&s, true, NULL);
	struct mkstore_totals totals = mkstore_get_totals(s.store);
	scan(&s);
	CU_ASSERT_EQUAL(s.run.status, RUN_COMPLETE);
	CU_ASSERT_EQUAL(s.run.mailboxes, MAILBOXES);
	CU_ASSERT_EQUAL(s.run.messages, LIVE);
	CU_ASSERT_EQUAL(s.run.expunged, DEAD);
	CU_ASSERT_EQUAL(s.run.bytes, totals.bytes - 900); /* one expunged message has a file */
	CU_ASSERT_EQUAL(s.run.findings, 0);
	CU_ASSERT_EQUAL(s.run.in_flight, 0);
	CU_ASSERT_EQUAL(s.run.gaps, 0);
	CU_ASSERT_TRUE(s.run.ended_ns >= s.run.started_ns && s.run.started_ns > 0);
	scan(&s);
	CU_ASSERT_EQUAL(s.run.status, RUN_COMPLETE);
	CU_ASSERT_EQUAL(s.run.messages, LIVE);
	scene_close(&s);
}

static void flip_first(const char *path)
{
	CU_ASSERT_EQUAL(mkstore_flip_bit(path, 0, 0), 0);
}
static void shorten(const char *path)
{
	CU_ASSERT_EQUAL(mkstore_truncate(path, 600), 0);
}
static void lengthen(const char *path)
{
	CU_ASSERT_EQUAL(mkstore_truncate(path, 99999), 0);
}
static void empty(const char *path)
{
	CU_ASSERT_EQUAL(mkstore_truncate(path, 0), 0);
}
/* Beyond what any message can be: it is not read, and still told by its size. */
static void make_huge(const char *path)
{
	CU_ASSERT_EQUAL(mkstore_truncate(path, UINT64_C(5) << 30), 0);
}

/* A link to the very bytes, outside the spool: not the message all the same. */
static void put_link(const char *path)
{
	char moved[600];

	(void)snprintf(moved, sizeof(moved), "%.*s/moved", (int)(strstr(path, "/spool/") - path),
		       path);
	CU_ASSERT_EQUAL(rename(path, moved), 0);
	CU_ASSERT_EQUAL(symlink(moved, path), 0);
}

static void put_socket(const char *path)
{
	const char *leaf = strrchr(path, '/');
	char folder[512];

	take_away(path);
	(void)snprintf(folder, sizeof(folder), "%.*s", (int)(leaf - path), path);
	int dirfd = open(folder, O_PATH | O_CLOEXEC);
	CU_ASSERT_EQUAL(room_put_socket(dirfd, leaf + 1), 0);
	(void)close(dirfd);
}

static void tells_each_damage_of_a_message(void)
{
	static const struct {
		void (*damage)(const char *path);
		const char *finding;
	} rows[] = {
		{ flip, "message.digest user.u001 message:3:" },
		{ flip_first, "message.digest user.u001 message:3:" },
		{ shorten, "message.size user.u001 message:3:" },
		{ lengthen, "message.size user.u001 message:3:" },
		{ empty, "message.empty user.u001 message:3:" },
		{ make_huge, "message.size user.u001 message:3:" },
		{ take_away, "message.missing user.u001 message:3:" },
		{ put_folder, "message.not_regular user.u001 message:3:" },
		{ put_fifo, "message.not_regular user.u001 message:3:" },
		{ put_link, "message.not_regular user.u001 message:3:" },
		{ put_socket, "message.not_regular user.u001 message:3:" },
	};

	for (size_t i = 0; i < array_size(rows); i++) {
		struct scene s;
		char path[512];
		scene_begin(&s, true, NULL);
		path_in(&s, "user.u001", "3.", path);
		rows[i].damage(path);
		scan(&s);
		check_only_finding(&s, rows[i].finding, "");
		/* A message that is wrong has been verified all the same. */
		CU_ASSERT_EQUAL(s.run.status, RUN_COMPLETE);
		CU_ASSERT_EQUAL(s.run.gaps, 0);
		CU_ASSERT_EQUAL(s.run.mailboxes, MAILBOXES);
		scene_close(&s);
	}
}

static void keeps_the_evidence_of_a_flipped_bit(void)
{
	struct finding_filter filter = { .open_only = true };
	struct scene s;
	char path[512];
	uint64_t open;

	scene_begin(&s, true, NULL);
	path_in(&s, "user.u002", "20.", path);
	flip(path);
	scan(&s);
	check_only_finding(&s, "message.digest user.u002 message:20: inode ", "");
	CU_ASSERT_EQUAL(state_finding_count_open(s.state, s.run.target, ASSAY_SEVERITY_NOTICE,
						 &open),
			0);
	CU_ASSERT_EQUAL(open, 1);
	filter.target = s.run.target + 1;
	CU_ASSERT_EQUAL(state_finding_each(s.state, &filter, NULL, NULL), 0);
	scene_close(&s);
}

static void finds_damage_in_every_mailbox(void)
{
	struct scene s;
	char path[512];

	scene_begin(&s, true, NULL);
	path_in(&s, "user.u001", "16.", path);
	flip(path);
	path_in(&s, "user.u001.Sent", "1.", path);
	take_away(path);
	for (unsigned uid = 1; uid <= 20; uid++) {
		char leaf[16];
		(void)snprintf(leaf, sizeof(leaf), "%u.", uid);
		path_in(&s, "user.u002", leaf, path);
		flip(path);
	}
	scan(&s);
	CU_ASSERT_EQUAL(s.nr_findings, 22);
	CU_ASSERT_EQUAL(count_said(s.findings, 22, "message.digest user.u002 message:", ""), 20);
	CU_ASSERT_EQUAL(count_said(s.findings, 22, "message.digest user.u001 message:16:", ""), 1);
	CU_ASSERT_EQUAL(count_said(s.findings, 22, "message.missing user.u001.Sent message:1:", ""),
			1);
	CU_ASSERT_EQUAL(s.run.status, RUN_COMPLETE);
	scene_close(&s);
}

static void finds_a_file_that_no_record_knows(void)
{
	struct scene s;
	uint64_t critical = 77;
	char path[512];

	scene_begin(&s, true, NULL);
	path_in(&s, "user.u001", "13.", path); /* below last_uid: no append makes it */
	write_file(path, "Subject: debris\r\n\r\n");
	path_in(&s, "user.u001", "cyrus.squat", path); /* not a message's name */
	write_file(path, "x");
	path_in(&s, "user.u001", "013.", path);
	write_file(path, "x");
	scan(&s);
	check_only_finding(&s, "message.extra user.u001 message:13:", "");
	CU_ASSERT_EQUAL(state_finding_count_open(s.state, s.run.target, ASSAY_SEVERITY_CRITICAL,
						 &critical),
			0);
	CU_ASSERT_EQUAL(critical, 0); /* a warning */
	CU_ASSERT_TRUE(s.run.findings == 1 && s.run.notices == 0);
	CU_ASSERT_STRING_EQUAL(s.run.scope, "");
	CU_ASSERT_EQUAL(s.run.status, RUN_COMPLETE);
	CU_ASSERT_EQUAL(s.run.messages, LIVE);
	scene_close(&s);
}

static void takes_a_young_file_above_the_last_uid_for_an_append(void)
{
	struct scene s;
	char path[512];

	scene_begin(&s, true, NULL);
	path_in(&s, "user.u001", "17.", path);
	write_file(path, "Subject: just coming\r\n\r\n");
	path_in(&s, "shared", "4294967295.", path); /* the last window of UIDs */
	write_file(path, "x");
	scan(&s);
	CU_ASSERT_EQUAL(s.nr_findings, 0);
	CU_ASSERT_EQUAL(s.run.in_flight, 2);
	CU_ASSERT_EQUAL(s.run.status, RUN_COMPLETE);
	scene_close(&s);
}

static void does_not_look_at_files_of_expunged_messages(void)
{
	struct scene s;
	char path[512];

	scene_begin(&s, true, NULL);
	path_in(&s, "user.u001", "4.", path); /* expunged: Cyrus may remove it at any time */
	flip(path);
	path_in(&s, "user.u001", "7.", path); /* unlinked: a leftover that has its record */
	write_file(path, "x");
	scan(&s);
	CU_ASSERT_EQUAL(s.nr_findings, 0);
	CU_ASSERT_EQUAL(s.run.expunged, DEAD);
	path_in(&s, "user.u001", "4.", path);
	take_away(path);
	scan(&s);
	CU_ASSERT_EQUAL(s.nr_findings, 0);
	CU_ASSERT_EQUAL(s.run.status, RUN_COMPLETE);
	scene_close(&s);
}

static void leaves_a_gap_where_no_digest_was_ever_recorded(void)
{
	static const uint8_t none[INDEX_GUID_LEN];
	struct scene s;
	char index[512];

	for (uint32_t record = 0; record < 3; record += 2) {
		scene_begin(&s, true, NULL);
		path_in(&s, "user.u001", "cyrus.index", index);
		CU_ASSERT_EQUAL(mkstore_patch_record(index, record, MKSTORE_RECORD_GUID, none,
						     sizeof(none)),
				0);
		CU_ASSERT_EQUAL(mkstore_sum_up(index), 0);
		scan(&s);
		check_only_finding(&s, "index.no_guid user.u001 no_guid:", "");
		check_only_gap(&s, "user.u001:", "SHA-1");
		scene_close(&s);
	}
}

static void leaves_a_gap_where_it_may_not_read(void)
{
	struct scene s;
	char path[512];

	if (geteuid() == 0) {
		test_skip("root may read everything");
		return;
	}
	scene_begin(&s, true, NULL);
	path_in(&s, "user.u001", "3.", path);
	CU_ASSERT_EQUAL(chmod(path, 0), 0);
	scan(&s);
	CU_ASSERT_EQUAL(s.nr_findings, 0);
	CU_ASSERT_TRUE(s.nr_gaps >= 1);
	CU_ASSERT_NOT_EQUAL(s.run.status, RUN_COMPLETE);
	path_in(&s, "user.u002", "", path);
	CU_ASSERT_EQUAL(chmod(path, 0), 0);
	scan(&s);
	CU_ASSERT_EQUAL(s.nr_findings, 0);
	CU_ASSERT_EQUAL(count_said(s.gaps, s.nr_gaps, "user.u002:", ""), 1);
	CU_ASSERT_NOT_EQUAL(s.run.status, RUN_COMPLETE);
	CU_ASSERT_EQUAL(chmod(path, 0700), 0);
	scene_close(&s);
}

/* ---- the archive partition ---- */

/* Moves a message of user.u001 to the archive, its folder made first. */
static void move_to_archive(struct scene *s, const char *leaf)
{
	char from[512], to[600];

	path_in(s, "user.u001", leaf, from);
	const char *tail = strstr(from, "/spool/") + strlen("/spool/");
	(void)snprintf(to, sizeof(to), "%s/archive/%s", s->dir, tail);
	for (char *p = to + strlen(s->dir) + 1; (p = strchr(p, '/')); p++) {
		*p = '\0';
		CU_ASSERT_TRUE(mkdir(to, 0700) == 0 || errno == EEXIST);
		*p = '/';
	}
	CU_ASSERT_EQUAL(rename(from, to), 0);
}

static void scene_begin_archive(struct scene *s)
{
	struct mkstore_options options = { .seed = 1 };
	char extra[512];

	scene_make_room(s, "scan");
	(void)snprintf(extra, sizeof(extra),
		       "archive_enabled: yes\narchivepartition-default: %s/archive\n", s->dir);
	options.extra = extra;
	scene_make_store(s, &options);
	make_mailboxes(s->store);
	CU_ASSERT_EQUAL_FATAL(mkdir(scene_path(s, "archive"), 0700), 0);
	scene_open(s);
}

static void verifies_archived_messages_and_tells_misplaced_ones(void)
{
	struct scene s;
	char index[512];

	scene_begin_archive(&s);
	scan(&s);
	CU_ASSERT_EQUAL(s.run.status, RUN_COMPLETE);
	CU_ASSERT_EQUAL(s.nr_findings, 0);

	move_to_archive(&s, "3."); /* the record does not say so */
	scan(&s);
	check_only_finding(&s, "message.misplaced user.u001 message:3:", "");

	path_in(&s, "user.u001", "cyrus.index", index);
	CU_ASSERT_EQUAL(mkstore_set_record(index, 2, MKSTORE_RECORD_FLAGS, INDEX_FLAG_ARCHIVED), 0);
	scan(&s);
	CU_ASSERT_EQUAL(s.nr_findings, 0);
	CU_ASSERT_EQUAL(s.run.status, RUN_COMPLETE);
	CU_ASSERT_EQUAL(s.run.messages, LIVE);

	CU_ASSERT_EQUAL(mkstore_set_record(index, 1, MKSTORE_RECORD_FLAGS, INDEX_FLAG_ARCHIVED), 0);
	scan(&s); /* said to be archived, and still in the spool */
	check_only_finding(&s, "message.misplaced user.u001 message:2:", "");

	move_to_archive(&s, "2.");
	move_to_archive(&s, "4."); /* expunged: it may lie anywhere */
	scan(&s);
	CU_ASSERT_EQUAL(s.nr_findings, 0);
	scene_close(&s);
}

static void finds_damage_and_debris_in_the_archive(void)
{
	struct scene s;
	char index[512], path[600], from[512];

	scene_begin_archive(&s);
	move_to_archive(&s, "3.");
	path_in(&s, "user.u001", "cyrus.index", index);
	CU_ASSERT_EQUAL(mkstore_set_record(index, 2, MKSTORE_RECORD_FLAGS, INDEX_FLAG_ARCHIVED), 0);
	path_in(&s, "user.u001", "3.", from);
	(void)snprintf(path, sizeof(path), "%s/archive/%s", s.dir,
		       strstr(from, "/spool/") + strlen("/spool/"));
	flip(path);
	scan(&s);
	check_only_finding(&s, "message.digest user.u001 message:3:", "");
	flip(path);
	strcpy(strrchr(path, '/'), "/12.");
	write_file(path, "x");
	scan(&s);
	check_only_finding(&s, "message.extra user.u001 message:12:", "");
	scene_close(&s);
}

/* ---- the list of mailboxes ---- */

static void leaves_a_gap_when_no_mailbox_is_listed(void)
{
	struct scene s;

	scene_begin(&s, false, NULL);
	scan(&s);
	CU_ASSERT_EQUAL(s.nr_findings, 0);
	check_only_gap(&s, ": ", "no mailbox is listed");
	scene_close(&s);
}

static void leaves_a_gap_when_the_list_cannot_be_read(void)
{
	struct scene s;
	char path[512];

	scene_begin(&s, true, NULL);
	(void)snprintf(path, sizeof(path), "%s", scene_path(&s, "store/conf/mailboxes.db"));
	take_away(path);
	scan(&s);
	CU_ASSERT_EQUAL(s.nr_findings, 0);
	CU_ASSERT_EQUAL(s.nr_gaps, 1);
	CU_ASSERT_EQUAL(s.run.status, RUN_INCOMPLETE);
	CU_ASSERT_EQUAL(mkfifo(path, 0600), 0); /* must not wait for a writer */
	scan(&s);
	CU_ASSERT_EQUAL(s.nr_gaps, 1);
	CU_ASSERT_EQUAL(s.run.status, RUN_INCOMPLETE);
	take_away(path);
	write_file(path, "\241\002\213\015skiplist file\0\0\0");
	scan(&s);
	CU_ASSERT_EQUAL(s.nr_gaps, 1);
	CU_ASSERT_EQUAL(s.run.status, RUN_INCOMPLETE);
	scene_close(&s);
}

/* Where the last record of the name index stands: flipped there, all but one mailbox is listed. */
static uint64_t offset_of(const char *path, const char *text)
{
	static char data[65536];
	FILE *file = fopen(path, "rbe");

	CU_ASSERT_PTR_NOT_NULL_FATAL(file);
	size_t len = fread(data, 1, sizeof(data), file);
	(void)fclose(file);
	char *at = memmem(data, len, text, strlen(text));
	CU_ASSERT_PTR_NOT_NULL_FATAL(at);
	return (uint64_t)(at - data);
}

static void finds_a_damaged_list_and_scans_the_rest(void)
{
	struct scene s;
	char path[512];

	scene_begin(&s, true, NULL);
	(void)snprintf(path, sizeof(path), "%s", scene_path(&s, "store/conf/mailboxes.db"));
	uint64_t off = offset_of(path, "Nuser\x1fu002");
	CU_ASSERT_EQUAL(mkstore_flip_bit(path, off + 3, 0), 0);
	scan(&s);
	check_only_finding(&s, "mailboxes_db.corrupt  list:", "");
	check_only_gap(&s, ": ", "mailboxes may have been left out");
	CU_ASSERT_EQUAL(s.run.mailboxes, MAILBOXES - 1);
	CU_ASSERT_EQUAL(s.run.messages, LIVE - 20);
	CU_ASSERT_EQUAL(mkstore_flip_bit(path, off + 3, 0), 0);
	scan(&s);
	CU_ASSERT_EQUAL(s.run.status, RUN_COMPLETE);
	uint64_t open = 1;
	CU_ASSERT_EQUAL(state_finding_count_open(s.state, s.run.target, ASSAY_SEVERITY_NOTICE,
						 &open),
			0);
	CU_ASSERT_EQUAL(open, 0);
	scene_close(&s);
}

struct listed {
	const char *name; /* as the database spells it */
	const char *unique_id;
	const char *partition;
};

/* Replaces the list by these, in the order of their names, and user.u001. */
static void write_list(struct scene *s, const struct listed *rows, size_t nr)
{
	struct twoskip_writer *writer;
	char key[256], value[512], path[512];

	(void)snprintf(path, sizeof(path), "%s", scene_path(s, "store/conf/mailboxes.db"));
	CU_ASSERT_EQUAL(unlink(path), 0);
	CU_ASSERT_EQUAL_FATAL(twoskip_writer_new(path, 1, &writer), 0);
	for (size_t i = 0; i <= nr; i++) {
		struct listed own = { "user\x1fu001", mkstore_get_unique_id(s->store, "user.u001"),
				      "default" };
		const struct listed *row = i < nr ? &rows[i] : &own;
		struct buf entry = BUF_NULL;
		(void)snprintf(key, sizeof(key), "N%s", row->name);
		(void)snprintf(value, sizeof(value),
			       "%%(T e I \"%s\" P \"%s\" V 1700000000 C 1 F 1 M 1700000000 A "
			       "%%(anyone lrs))",
			       row->unique_id, row->partition);
		if (i == nr)
			CU_ASSERT_EQUAL(mkstore_add_entry(&entry, s->store, "user.u001", "default"), 0);
		CU_ASSERT_EQUAL(twoskip_writer_add(writer, span_of_str(key),
						   i < nr ? span_of_str(value) : buf_span(&entry)),
				0);
		buf_fini(&entry);
	}
	CU_ASSERT_EQUAL(twoskip_writer_commit(writer), 0);
	twoskip_writer_free(writer);
}

static void leaves_a_gap_for_each_entry_that_cannot_be_a_path(void)
{
	static const struct listed rows[] = {
		{ "h1", "../x", "default" },
		{ "h2", "..", "default" },
		{ "h3", "/etc", "default" },
		{ "h4", "x", "default" },
		{ "h5", "a/../../../../b", "default" },
		{ "h6", "abc/def", "default" },
		{ "h7", "....", "../x" }, /* a partition that is not configured, too */
		{ "h8/../x", "abcdefgh", "default" },
	};

	for (size_t i = 0; i < array_size(rows); i++) {
		struct scene s;
		scene_begin(&s, true, NULL);
		write_list(&s, &rows[i], 1);
		scan(&s);
		CU_ASSERT_EQUAL(s.nr_findings, 0);
		CU_ASSERT_EQUAL(s.nr_gaps, 1);
		CU_ASSERT_EQUAL(s.run.status, RUN_INCOMPLETE);
		CU_ASSERT_EQUAL(s.run.messages, 9); /* the others are scanned */
		scene_close(&s);
	}
}

static void leaves_a_gap_for_a_partition_that_is_not_configured(void)
{
	static const struct listed rows[] = { { "shared", "abcdefgh", "elsewhere" } };
	struct scene s;

	scene_begin(&s, true, NULL);
	write_list(&s, rows, array_size(rows));
	scan(&s);
	CU_ASSERT_EQUAL(s.nr_findings, 0);
	check_only_gap(&s, "shared:", "elsewhere");
	CU_ASSERT_EQUAL(s.run.messages, 9);
	scene_close(&s);
}

static void scans_a_store_whose_directories_are_named_by_mailbox(void)
{
	struct mkstore_options options = { .seed = 1, .legacy_dirs = true };
	struct scene s;
	char path[512];

	scene_make_room(&s, "scan");
	scene_make_store(&s, &options);
	make_mailboxes(s.store);
	scene_open(&s);
	scan(&s);
	CU_ASSERT_EQUAL(s.run.status, RUN_COMPLETE);
	CU_ASSERT_EQUAL(s.run.messages, LIVE);
	path_in(&s, "user.u001.Sent", "2.", path);
	flip(path);
	scan(&s);
	check_only_finding(&s, "message.digest user.u001.Sent message:2:", "");
	scene_close(&s);
}

static const struct test_case cases[] = {
	CASE(finds_nothing_in_a_good_store_and_counts_it),
	CASE(tells_each_damage_of_a_message),
	CASE(keeps_the_evidence_of_a_flipped_bit),
	CASE(finds_damage_in_every_mailbox),
	CASE(finds_a_file_that_no_record_knows),
	CASE(takes_a_young_file_above_the_last_uid_for_an_append),
	CASE(does_not_look_at_files_of_expunged_messages),
	CASE(leaves_a_gap_where_no_digest_was_ever_recorded),
	CASE(leaves_a_gap_where_it_may_not_read),
	CASE(verifies_archived_messages_and_tells_misplaced_ones),
	CASE(finds_damage_and_debris_in_the_archive),
	CASE(leaves_a_gap_when_no_mailbox_is_listed),
	CASE(leaves_a_gap_when_the_list_cannot_be_read),
	CASE(finds_a_damaged_list_and_scans_the_rest),
	CASE(leaves_a_gap_for_each_entry_that_cannot_be_a_path),
	CASE(leaves_a_gap_for_a_partition_that_is_not_configured),
	CASE(scans_a_store_whose_directories_are_named_by_mailbox),
};

const struct test_suite suite_verify_scan = { "verify/scan", cases, array_size(cases) };

// SPDX-License-Identifier: Apache-2.0
/*
 * Mailbox: its directories never lead out of the partition, its index is read as it is and never
 * believed. First the functions by themselves, then what a scan makes of each damage of an index:
 * one finding that names it, and no guess about the messages behind it.
 */
#include "suites.h"

#include <CUnit/CUnit.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "support/mkstore.h"
#include "verify/mailbox.h"
#include "verify_room.h"

enum { NR = 10 };

/* user.u001 with the UIDs 1 to 10. */
static void scene_begin(struct scene *s)
{
	struct mkstore_options options = { .seed = 3 };

	scene_make_room(s, "mailbox");
	scene_make_store(s, &options);
	CU_ASSERT_EQUAL_FATAL(room_add_mailbox(s->store, "user.u001", NR, 800, 1), 0);
	scene_open(s);
}

static void scan(struct scene *s)
{
	struct scan_options options = { .settle_ns = 20 * NS_PER_MS, .readers = 2 };

	scene_scan(s, &options);
}

/* One finding of this kind, one gap, and nothing else. */
static void check_only(const struct scene *s, const char *start, const char *part)
{
	check_only_finding(s, start, part);
	CU_ASSERT_EQUAL(s->nr_gaps, 1);
	CU_ASSERT_EQUAL(s->run.status, RUN_INCOMPLETE);
}

static struct mailbox *mailbox_of(const struct scene *s)
{
	struct mailbox_row row = {
		.key = span_of_str(mkstore_get_unique_id(s->store, "user.u001")),
		.name = span_of_str("user.u001"),
		.partition = span_of_str("default"),
		.has_unique_id = true,
	};
	struct mailbox *mailbox = NULL;

	CU_ASSERT_EQUAL_FATAL(mailbox_new(&s->target.imapd_conf, NULL, &row, &mailbox), 0);
	return mailbox;
}

/* ---- directories ---- */

static void refuses_rows_that_cannot_be_a_path(void)
{
	static const struct {
		const char *key, *name;
		bool legacy, has_unique_id;
	} rows[] = {
		{ "../x", "user.a", false, true },
		{ "..", "user.a", false, true },
		{ "/etc", "user.a", false, true },
		{ "a/b", "user.a", false, true },
		{ "x", "user.a", false, true },
		{ "name:a..b", "a..b", false, false },
		{ "abcdefgh", "user..a", true, true },
		{ "name:a/../../b", "a/../../b", true, false },
		{ "name:", "", true, false },
	};
	struct scene s;

	scene_begin(&s);
	for (size_t i = 0; i < array_size(rows); i++) {
		struct mailbox_row row = {
			.key = span_of_str(rows[i].key),
			.name = span_of_str(rows[i].name),
			.partition = span_of_str("default"),
			.legacy_dirs = rows[i].legacy,
			.has_unique_id = rows[i].has_unique_id,
		};
		struct mailbox *mailbox = NULL;
		CU_ASSERT_EQUAL(mailbox_new(&s.target.imapd_conf, NULL, &row, &mailbox), -EBADMSG);
		CU_ASSERT_PTR_NULL(mailbox);
	}
	scene_close(&s);
}

static void opens_its_directories_and_closes_them_twice(void)
{
	struct scene s;
	struct mailbox *again;

	scene_begin(&s);
	struct mailbox *mailbox = mailbox_of(&s);
	CU_ASSERT_EQUAL(mailbox_open_dirs(mailbox), 0);
	CU_ASSERT_TRUE(dir_is_open(&mailbox->message_dir) && dir_is_open(&mailbox->index_dir));
	CU_ASSERT_FALSE(dir_is_open(&mailbox->archive_dir));
	CU_ASSERT_EQUAL(mailbox_new_again(mailbox, &again), 0);
	CU_ASSERT_FALSE(dir_is_open(&again->message_dir));
	CU_ASSERT_TRUE(span_equals(buf_span(&again->key), buf_span(&mailbox->key)));
	CU_ASSERT_TRUE(span_equals(buf_span(&again->dir), buf_span(&mailbox->dir)));
	CU_ASSERT_EQUAL(again->passes, 1);
	mailbox_close_dirs(mailbox);
	mailbox_close_dirs(mailbox);
	CU_ASSERT_FALSE(dir_is_open(&mailbox->message_dir));
	mailbox_unref(mailbox_ref(mailbox)); /* not the last reference */
	mailbox_unref(mailbox);
	mailbox_unref(again);
	mailbox_unref(NULL);
	scene_close(&s);
}

static void says_why_a_directory_cannot_be_opened(void)
{
	struct scene s;
	char path[512], away[600];

	scene_begin(&s);
	path_in(&s, "user.u001", "", path);
	(void)snprintf(away, sizeof(away), "%s/away", s.dir);
	CU_ASSERT_EQUAL(rename(path, away), 0);
	struct mailbox *mailbox = mailbox_of(&s);
	CU_ASSERT_EQUAL(mailbox_open_dirs(mailbox), -ENOENT);
	CU_ASSERT_EQUAL(symlink(away, path), 0); /* the right files, in a wrong place */
	CU_ASSERT_EQUAL(mailbox_open_dirs(mailbox), -EXDEV);
	CU_ASSERT_FALSE(dir_is_open(&mailbox->index_dir));
	buf_clear(&mailbox->entry.partition);
	buf_add_str(&mailbox->entry.partition, "elsewhere");
	CU_ASSERT_EQUAL(mailbox_open_dirs(mailbox), -ENODEV);
	mailbox_unref(mailbox);
	scene_close(&s);
}

/* ---- the index, by itself ---- */

static void finds_the_record_of_every_uid(void)
{
	struct mailbox_index ix;
	struct index_record record;
	struct scene s;
	char index[512];

	scene_begin(&s);
	path_in(&s, "user.u001", "cyrus.index", index);
	for (unsigned wiped = 0; wiped < 1u << NR; wiped += 37) {
		for (uint32_t nr = 0; nr < NR; nr++)
			CU_ASSERT_EQUAL(mkstore_set_record(index, nr, MKSTORE_RECORD_UID,
							   wiped >> nr & 1 ? 0 : nr * 2 + 2),
					0);
		struct mailbox *mailbox = mailbox_of(&s);
		CU_ASSERT_EQUAL(mailbox_open_dirs(mailbox), 0);
		CU_ASSERT_EQUAL_FATAL(mailbox_index_open(&ix, mailbox), 0);
		CU_ASSERT_EQUAL(ix.state, INDEX_GOOD);
		for (uint32_t uid = 1; uid <= NR * 2 + 1; uid++) {
			bool there = uid % 2 == 0 && !(wiped >> (uid / 2 - 1) & 1);
			int r = mailbox_index_find(&ix, mailbox, uid, &record);
			CU_ASSERT_EQUAL(r, there ? 0 : MAILBOX_NO_RECORD);
			if (r == 0)
				CU_ASSERT_EQUAL(record.uid, uid);
		}
		mailbox_index_close(&ix);
		mailbox_unref(mailbox);
	}
	scene_close(&s);
}

static void finds_records_past_damaged_ones(void)
{
	struct mailbox_index ix;
	struct index_record record;
	struct scene s;
	char index[512];

	scene_begin(&s);
	path_in(&s, "user.u001", "cyrus.index", index);
	for (uint32_t bad = 0; bad < NR; bad++) {
		CU_ASSERT_EQUAL(mkstore_flip_bit(index, mkstore_record_offset(bad) + 3, 6), 0);
		struct mailbox *mailbox = mailbox_of(&s);
		CU_ASSERT_EQUAL(mailbox_open_dirs(mailbox), 0);
		CU_ASSERT_EQUAL_FATAL(mailbox_index_open(&ix, mailbox), 0);
		CU_ASSERT_EQUAL(mailbox_index_get(&ix, mailbox, bad, &record), -EBADMSG);
		for (uint32_t uid = 1; uid <= NR; uid++) {
			int r = mailbox_index_find(&ix, mailbox, uid, &record);
			CU_ASSERT_EQUAL(r, uid == bad + 1 ? MAILBOX_NO_RECORD : 0);
		}
		mailbox_index_close(&ix);
		mailbox_unref(mailbox);
		CU_ASSERT_EQUAL(mkstore_flip_bit(index, mkstore_record_offset(bad) + 3, 6), 0);
	}
	scene_close(&s);
}

static void notices_that_the_index_was_repacked_replaced_or_cut(void)
{
	uint8_t bytes[MKSTORE_RECORD_LEN * NR];
	char index[512], other[600];
	struct mailbox_index ix;
	struct scene s;

	for (unsigned what = 0; what < 5; what++) {
		scene_begin(&s);
		path_in(&s, "user.u001", "cyrus.index", index);
		(void)snprintf(other, sizeof(other), "%s.NEW", index);
		struct mailbox *mailbox = mailbox_of(&s);
		CU_ASSERT_EQUAL(mailbox_open_dirs(mailbox), 0);
		CU_ASSERT_EQUAL_FATAL(mailbox_index_open(&ix, mailbox), 0);
		CU_ASSERT_TRUE(ix.locked);
		CU_ASSERT_EQUAL(mailbox_index_read(&ix, mailbox, 0, NR, bytes), 0);
		if (what == 0)
			CU_ASSERT_EQUAL(mkstore_set_header(index, MKSTORE_HEADER_GENERATION, 2), 0);
		if (what == 1)
			CU_ASSERT_EQUAL(rename(index, other), 0);
		if (what == 2)
			CU_ASSERT_EQUAL(mkstore_flip_bit(index, 45, 1), 0);
		if (what == 3)
			CU_ASSERT_EQUAL(mkstore_truncate(index, 500), 0);
		if (what == 4) /* records that the header does not announce */
			CU_ASSERT_EQUAL(mailbox_index_read(&ix, mailbox, 1, NR, bytes), -ENODATA);
		int r = mailbox_index_read(&ix, mailbox, 0, NR, bytes);
		CU_ASSERT_TRUE(what == 4 ? r == 0 : r == -ESTALE || r == -ENODATA);
		mailbox_index_close(&ix);
		mailbox_unref(mailbox);
		scene_close(&s);
	}
}

/* Cyrus holds the index for longer than anybody should: it is read all the same. */
static void reads_without_the_lock_when_it_cannot_be_had(void)
{
	struct mailbox_index ix;
	struct scene s;
	char index[512];
	pid_t child;

	scene_begin(&s);
	path_in(&s, "user.u001", "cyrus.index", index);
	CU_ASSERT_EQUAL_FATAL(room_hold_lock(AT_FDCWD, index, F_WRLCK, &child), 0);
	struct mailbox *mailbox = mailbox_of(&s);
	CU_ASSERT_EQUAL(mailbox_open_dirs(mailbox), 0);
	int64_t begun = clock_mono_ns();
	CU_ASSERT_EQUAL(mailbox_index_open(&ix, mailbox), 0);
	CU_ASSERT_TRUE(clock_mono_ns() - begun < 10 * NS_PER_S);
	CU_ASSERT_FALSE(ix.locked);
	CU_ASSERT_EQUAL(ix.state, INDEX_GOOD);
	CU_ASSERT_EQUAL(ix.header.nr_records, NR);
	mailbox_index_close(&ix);
	mailbox_unref(mailbox);
	CU_ASSERT_EQUAL(room_let_go(child), 0);
	scene_close(&s);
}

/* ---- what a scan says of each damage ---- */

static void cut(const char *path)
{
	CU_ASSERT_EQUAL(mkstore_truncate(path, 160 + 300), 0);
}
static void cut_header(const char *path)
{
	CU_ASSERT_EQUAL(mkstore_truncate(path, 90), 0);
}
static void cut_all(const char *path)
{
	CU_ASSERT_EQUAL(mkstore_truncate(path, 0), 0);
}
static void flip_header(const char *path)
{
	CU_ASSERT_EQUAL(mkstore_flip_bit(path, 31, 0), 0);
}
static void flip_crc(const char *path)
{
	CU_ASSERT_EQUAL(mkstore_flip_bit(path, 158, 7), 0);
}
static void announce_too_many(const char *path)
{
	CU_ASSERT_EQUAL(mkstore_set_header(path, MKSTORE_HEADER_NR_RECORDS, NR + 1), 0);
}

static void announce_millions(const char *path)
{
	CU_ASSERT_EQUAL(mkstore_set_header(path, MKSTORE_HEADER_NR_RECORDS, UINT32_MAX), 0);
}

static void put_link(const char *path)
{
	take_away(path);
	CU_ASSERT_EQUAL(symlink("/etc/passwd", path), 0);
}

static void lose_mailbox(const char *path)
{
	char folder[512];

	(void)snprintf(folder, sizeof(folder), "%.*s", (int)(strrchr(path, '/') - path), path);
	CU_ASSERT_EQUAL(room_remove(folder), 0);
}

static void tells_each_damage_of_an_index(void)
{
	static const struct {
		void (*damage)(const char *path);
		const char *finding;
	} rows[] = {
		{ cut, "index.truncated user.u001 index:" },
		{ cut_header, "index.truncated user.u001 index:" },
		{ cut_all, "index.truncated user.u001 index:" },
		{ announce_too_many, "index.truncated user.u001 index:" },
		{ announce_millions, "index.truncated user.u001 index:" },
		{ flip_header, "index.header user.u001 index:" },
		{ flip_crc, "index.header user.u001 index:" },
		{ take_away, "index.missing user.u001 index:" },
		{ put_folder, "index.missing user.u001 index:" },
		{ put_fifo, "index.missing user.u001 index:" },
		{ put_link, "index.missing user.u001 index:" },
		{ lose_mailbox, "mailbox.missing user.u001 mailbox:" },
	};

	for (size_t i = 0; i < array_size(rows); i++) {
		struct scene s;
		char index[512];
		scene_begin(&s);
		path_in(&s, "user.u001", "cyrus.index", index);
		rows[i].damage(index);
		scan(&s);
		check_only(&s, rows[i].finding, "");
		CU_ASSERT_EQUAL(s.run.messages, 0);
		scene_close(&s);
	}
}

static void names_the_flipped_bit_of_a_record_and_blames_no_message(void)
{
	static const struct {
		uint32_t record, byte;
		unsigned bit;
		const char *field;
	} rows[] = {
		{ 0, 3, 0, "uid" },    { 4, 3, 7, "uid" },   { 9, 0, 7, "uid" },
		{ 4, 14, 2, "size" },  { 9, 62, 5, "guid" }, { 2, 35, 1, "flags" },
		{ 5, 32, 7, "flags" }, { 7, 110, 4, "crc" }, { 0, 79, 0, "guid" },
	};

	for (size_t i = 0; i < array_size(rows); i++) {
		struct scene s;
		char index[512], object[64], bit[64];
		scene_begin(&s);
		path_in(&s, "user.u001", "cyrus.index", index);
		uint64_t off = mkstore_record_offset(rows[i].record) + rows[i].byte;
		CU_ASSERT_EQUAL(mkstore_flip_bit(index, off, rows[i].bit), 0);
		scan(&s);
		(void)snprintf(object, sizeof(object),
			       "index.record_crc user.u001 record:%u:", rows[i].record + 1);
		(void)snprintf(bit, sizeof(bit), "bit %u of byte %u (", rows[i].bit, rows[i].byte);
		check_only(&s, object, bit);
		CU_ASSERT_TRUE(said(&s, object, rows[i].field));
		CU_ASSERT_EQUAL(s.run.messages, NR - 1);
		CU_ASSERT_EQUAL(s.run.in_flight, 0);
		scene_close(&s);
	}
}

static void blames_no_message_for_several_damaged_records(void)
{
	struct scene s;
	char index[512];

	scene_begin(&s);
	path_in(&s, "user.u001", "cyrus.index", index);
	for (uint32_t record = 3; record < NR; record += 2) {
		CU_ASSERT_EQUAL(mkstore_flip_bit(index, mkstore_record_offset(record) + 2, 4), 0);
		CU_ASSERT_EQUAL(mkstore_flip_bit(index, mkstore_record_offset(record) + 50, 4), 0);
	}
	scan(&s);
	CU_ASSERT_EQUAL(s.nr_findings, 4);
	for (uint32_t record = 3; record < NR; record += 2) {
		char object[64];
		(void)snprintf(object, sizeof(object),
			       "index.record_crc user.u001 record:%u:", record + 1);
		CU_ASSERT_TRUE(said(&s, object, "more than one bit"));
	}
	CU_ASSERT_EQUAL(s.run.messages, NR - 4);
	CU_ASSERT_EQUAL(s.run.status, RUN_INCOMPLETE);
	scene_close(&s);
}

static void tells_a_uid_out_of_order(void)
{
	struct scene s;
	char index[512], path[512];

	scene_begin(&s);
	path_in(&s, "user.u001", "cyrus.index", index);
	CU_ASSERT_EQUAL(mkstore_set_record(index, 4, MKSTORE_RECORD_UID, 3), 0);
	path_in(&s, "user.u001", "5.", path);
	take_away(path);
	scan(&s);
	check_only(&s, "index.order user.u001 record:5:", "out of order");
	scene_close(&s);
}

/* Record 6 has a UID far too high: those behind it are out of order, and their files well known. */
static void calls_no_message_extra_whose_record_is_out_of_order(void)
{
	struct scene s;
	char index[512];

	scene_begin(&s);
	path_in(&s, "user.u001", "cyrus.index", index);
	CU_ASSERT_EQUAL(mkstore_set_record(index, 5, MKSTORE_RECORD_UID, 1000), 0);
	scan(&s);
	CU_ASSERT_TRUE(said(&s, "index.order user.u001 record:7:", ""));
	CU_ASSERT_TRUE(said(&s, "message.missing user.u001 message:1000:", ""));
	for (uint32_t uid = 7; uid <= NR; uid++) {
		char extra[64];
		(void)snprintf(extra, sizeof(extra), "message.extra user.u001 message:%u:", uid);
		CU_ASSERT_FALSE(said(&s, extra, ""));
	}
	CU_ASSERT_EQUAL(s.run.status, RUN_INCOMPLETE);
	scene_close(&s);
}

static void leaves_a_gap_for_a_version_it_does_not_know(void)
{
	struct scene s;
	char index[512];

	scene_begin(&s);
	path_in(&s, "user.u001", "cyrus.index", index);
	CU_ASSERT_EQUAL(mkstore_set_header(index, MKSTORE_HEADER_VERSION, 21), 0);
	scan(&s);
	CU_ASSERT_EQUAL(s.nr_findings, 0);
	CU_ASSERT_EQUAL(s.nr_gaps, 1);
	CU_ASSERT_EQUAL(s.run.status, RUN_INCOMPLETE);
	scene_close(&s);
}

static void leaves_a_gap_where_a_link_leads_out_of_the_partition(void)
{
	struct scene s;
	char path[512], away[600];

	scene_begin(&s);
	path_in(&s, "user.u001", "", path);
	(void)snprintf(away, sizeof(away), "%s/away", s.dir);
	CU_ASSERT_EQUAL(rename(path, away), 0);
	CU_ASSERT_EQUAL(symlink(away, path), 0);
	scan(&s);
	CU_ASSERT_EQUAL(s.nr_findings, 0);
	CU_ASSERT_EQUAL(s.nr_gaps, 1);
	CU_ASSERT_EQUAL(s.run.messages, 0);
	CU_ASSERT_EQUAL(s.run.status, RUN_INCOMPLETE);
	scene_close(&s);
}

static void passes_over_a_mailbox_that_cyrus_is_removing(void)
{
	struct scene s;
	char index[512];

	scene_begin(&s);
	path_in(&s, "user.u001", "cyrus.index", index);
	CU_ASSERT_EQUAL(mkstore_set_header(index, MKSTORE_HEADER_OPTIONS, INDEX_OPTION_DELETED), 0);
	scan(&s);
	CU_ASSERT_EQUAL(s.nr_findings, 0);
	CU_ASSERT_EQUAL(s.run.messages, 0);
	scene_close(&s);
}

static const struct test_case cases[] = {
	CASE(refuses_rows_that_cannot_be_a_path),
	CASE(opens_its_directories_and_closes_them_twice),
	CASE(says_why_a_directory_cannot_be_opened),
	CASE(finds_the_record_of_every_uid),
	CASE(finds_records_past_damaged_ones),
	CASE(notices_that_the_index_was_repacked_replaced_or_cut),
	CASE(reads_without_the_lock_when_it_cannot_be_had),
	CASE(tells_each_damage_of_an_index),
	CASE(names_the_flipped_bit_of_a_record_and_blames_no_message),
	CASE(blames_no_message_for_several_damaged_records),
	CASE(tells_a_uid_out_of_order),
	CASE(calls_no_message_extra_whose_record_is_out_of_order),
	CASE(leaves_a_gap_for_a_version_it_does_not_know),
	CASE(leaves_a_gap_where_a_link_leads_out_of_the_partition),
	CASE(passes_over_a_mailbox_that_cyrus_is_removing),
};

const struct test_suite suite_verify_mailbox = { "verify/mailbox", cases, array_size(cases) };

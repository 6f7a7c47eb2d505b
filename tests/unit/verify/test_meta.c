// SPDX-License-Identifier: Apache-2.0
/*
 * Metadata of a mailbox, damaged piece by piece: each piece is said of its own file, once, and the
 * mailbox stays verified. And what moves during a look is not judged.
 */
#include "suites.h"

#include <CUnit/CUnit.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/compiler.h"
#include "digest/digest.h"
#include "verify/meta.h"
#include "verify_room.h"

enum { NR = 4, RECORD_CACHE_OFFSET = 24, RECORD_CACHE_CRC = 104, CACHE_RECORD_LEN = 40 };

static void put32(uint8_t *p, uint32_t word)
{
	for (int i = 3; i >= 0; i--, word >>= 8)
		p[i] = (uint8_t)word;
}

static const char *path_of(const struct scene *s, const char *leaf)
{
	static char paths[4][512];
	static unsigned next;
	char *path = paths[next++ % 4];

	path_in(s, "user.a", leaf, path);
	return path;
}

/* A cache of the index's generation, with a record of ten empty items for each message. */
static void make_cache(const struct scene *s)
{
	uint8_t bytes[4 + NR * CACHE_RECORD_LEN] = { 0 };
	const char *index = path_of(s, "cyrus.index");

	put32(bytes, 1); /* as mkstore writes it */
	for (uint32_t i = 0; i < NR; i++) {
		uint32_t off = 4 + i * CACHE_RECORD_LEN;
			CU_ASSERT_EQUAL(mkstore_set_record(index, i, RECORD_CACHE_OFFSET, off), 0);
		CU_ASSERT_EQUAL(
			mkstore_set_record(index, i, RECORD_CACHE_CRC,
					   crc32_of(span_of(bytes + off, CACHE_RECORD_LEN))),
			0);
	}
	int fd = open(path_of(s, "cyrus.cache"), O_WRONLY | O_CREAT | O_TRUNC, 0600);
	CU_ASSERT_TRUE_FATAL(fd >= 0);
	CU_ASSERT_EQUAL(write(fd, bytes, sizeof(bytes)), (ssize_t)sizeof(bytes));
	(void)close(fd);
}

static void begin(struct scene *s, const char *extra)
{
	struct mkstore_options options = { .seed = 3, .extra = extra };

	scene_make_room(s, "meta");
	scene_make_store(s, &options);
	CU_ASSERT_EQUAL_FATAL(room_add_mailbox(s->store, "user.a", NR, 800, 100), 0);
	CU_ASSERT_EQUAL_FATAL(room_add_mailbox(s->store, "user.b", 2, 800, 100), 0);
	scene_open(s);
	make_cache(s);
}

static void scan(struct scene *s)
{
	struct scan_options options = { .settle_ns = 5 * NS_PER_MS,
					.readers = 1,
					.append_max_ns = 1 };

	scene_scan(s, &options);
	CU_ASSERT_EQUAL(s->run.findings + s->run.notices, s->nr_findings);
}

static void damage_magic(const struct scene *s)
{
	CU_ASSERT_EQUAL(mkstore_flip_bit(path_of(s, "cyrus.header"), 7, 1), 0);
}

static void damage_acl(const struct scene *s) /* its CRC, and the list */
{
	const char *path = path_of(s, "cyrus.header");
	struct stat st;

	CU_ASSERT_EQUAL(stat(path, &st), 0);
	CU_ASSERT_EQUAL(mkstore_flip_bit(path, (uint64_t)st.st_size - 4, 0), 0);
}

static void replace_crc(const struct scene *s)
{
	CU_ASSERT_EQUAL(mkstore_set_header(path_of(s, "cyrus.index"), MKSTORE_HEADER_FILE_CRC, 5),
			0);
}

static void remove_header(const struct scene *s)
{
	CU_ASSERT_EQUAL(unlink(path_of(s, "cyrus.header")), 0);
}

static void empty_header(const struct scene *s)
{
	CU_ASSERT_EQUAL(mkstore_truncate(path_of(s, "cyrus.header"), 0), 0);
}

static void link_header(const struct scene *s)
{
	remove_header(s);
	CU_ASSERT_EQUAL(symlink("cyrus.index", path_of(s, "cyrus.header")), 0);
}

static void enlarge_header(const struct scene *s)
{
	CU_ASSERT_EQUAL(mkstore_truncate(path_of(s, "cyrus.header"), 2 << 20), 0);
}

static void flip_cache(const struct scene *s)
{
	CU_ASSERT_EQUAL(
		mkstore_flip_bit(path_of(s, "cyrus.cache"), 4 + 2 * CACHE_RECORD_LEN + 3, 7), 0);
}

static void cut_cache(const struct scene *s)
{
	CU_ASSERT_EQUAL(mkstore_truncate(path_of(s, "cyrus.cache"), 4 + 3 * CACHE_RECORD_LEN + 8),
			0);
}

static void empty_cache(const struct scene *s)
{
	CU_ASSERT_EQUAL(mkstore_truncate(path_of(s, "cyrus.cache"), 0), 0);
}

static void remove_cache(const struct scene *s)
{
	CU_ASSERT_EQUAL(unlink(path_of(s, "cyrus.cache")), 0);
}

static void age_cache(const struct scene *s)
{
	CU_ASSERT_EQUAL(mkstore_flip_bit(path_of(s, "cyrus.cache"), 3, 3), 0);
}

static void write_annotations(const struct scene *s)
{
	CU_ASSERT_EQUAL(room_write(path_of(s, "cyrus.annotations"), "no database\n"), 0);
}

static void leave_a_new_index(const struct scene *s)
{
	CU_ASSERT_EQUAL(room_write(path_of(s, "cyrus.index.NEW"), "half"), 0);
}

static void leave_expunge(const struct scene *s)
{
	CU_ASSERT_EQUAL(room_write(path_of(s, "cyrus.expunge"), "old"), 0);
}

static void forbid_index(const struct scene *s)
{
	CU_ASSERT_EQUAL(chmod(path_of(s, "cyrus.index"), 0400), 0);
}

static void wipe(const struct scene *s)
{
	const char *index = path_of(s, "cyrus.index");

	CU_ASSERT_EQUAL(mkstore_set_record(index, 1, MKSTORE_RECORD_UID, 0), 0);
	CU_ASSERT_EQUAL(mkstore_set_record(index, 1, MKSTORE_RECORD_FLAGS, 0xc0000000u), 0);
	CU_ASSERT_EQUAL(mkstore_sum_up(index), 0);
	CU_ASSERT_EQUAL(unlink(path_of(s, "2.")), 0);
}

static void append_to_index(const struct scene *s)
{
	CU_ASSERT_EQUAL(mkstore_truncate(path_of(s, "cyrus.index"),
					 mkstore_record_offset(NR) + MKSTORE_RECORD_LEN),
			0);
}

static void damage_exists(const struct scene *s)
{
	CU_ASSERT_EQUAL(mkstore_set_header(path_of(s, "cyrus.index"), MKSTORE_HEADER_EXISTS, 9), 0);
}

static void damage_sync_crc(const struct scene *s)
{
	CU_ASSERT_EQUAL(mkstore_set_header(path_of(s, "cyrus.index"), MKSTORE_HEADER_SYNC_BASIC, 9),
			0);
}

static void damage_uidvalidity(const struct scene *s)
{
	CU_ASSERT_EQUAL(
		mkstore_set_header(path_of(s, "cyrus.index"), MKSTORE_HEADER_UIDVALIDITY, 9), 0);
}

static void damage_last_uid(const struct scene *s)
{
	CU_ASSERT_EQUAL(mkstore_set_header(path_of(s, "cyrus.index"), MKSTORE_HEADER_LAST_UID, 3),
			0);
}

static const struct {
	void (*damage)(const struct scene *s);
	const char *finding;
} rows[] = {
	{ damage_magic, "header.corrupt user.a header" },
	{ empty_header, "header.corrupt user.a header" },
	{ enlarge_header, "header.corrupt user.a header" },
	{ remove_header, "header.missing user.a header" },
	{ link_header, "header.missing user.a header" },
	{ replace_crc, "header.crc user.a header:crc" },
	{ flip_cache, "cache.record user.a cache:3" },
	{ cut_cache, "cache.record user.a cache:4" },
	{ empty_cache, "cache.generation user.a cache" },
	{ age_cache, "cache.generation user.a cache" },
	{ remove_cache, "cache.missing user.a cache" },
	{ write_annotations, "annotations.corrupt user.a annotations" },
	{ leave_a_new_index, "mailbox.leftover user.a leftover:cyrus.index.NEW" },
	{ leave_expunge, "mailbox.expunge user.a expunge" },
	{ forbid_index, "mailbox.owner user.a owner:cyrus.index" },
	{ wipe, "index.wiped user.a wiped" },
	{ append_to_index, "index.tail user.a tail" },
	{ damage_exists, "index.counters user.a counter:exists" },
	{ damage_sync_crc, "index.sync_crc user.a sync_crc:basic" },
	{ damage_uidvalidity, "index.uidvalidity user.a uidvalidity" },
	{ damage_last_uid, "index.last_uid user.a last_uid" },
};

static void finds_nothing_in_good_metadata(void)
{
	struct scene s;

	begin(&s, NULL);
	scan(&s);
	CU_ASSERT_EQUAL(s.nr_findings, 0);
	CU_ASSERT_EQUAL(s.run.status, RUN_COMPLETE);
	scene_close(&s);
}

static void says_one_thing_of_each_damage_and_verifies_the_mailbox(void)
{
	for (size_t i = 0; i < array_size(rows); i++) {
		struct scene s;
		begin(&s, NULL);
		rows[i].damage(&s);
		scan(&s);
		check_only_finding(&s, rows[i].finding, "");
		CU_ASSERT_EQUAL(s.run.status, RUN_COMPLETE);
		CU_ASSERT_EQUAL(s.nr_gaps, 0);
		scene_close(&s);
	}
}

static void closes_what_was_mended(void)
{
	struct scene s;
	uint64_t open = 1;

	begin(&s, NULL);
	flip_cache(&s);
	leave_expunge(&s);
	scan(&s);
	CU_ASSERT_EQUAL(s.nr_findings, 2);
	flip_cache(&s);
	CU_ASSERT_EQUAL(unlink(path_of(&s, "cyrus.expunge")), 0);
	scan(&s);
	CU_ASSERT_EQUAL(s.nr_findings, 0);
	CU_ASSERT_EQUAL(
		state_finding_count_open(s.state, s.run.target, ASSAY_SEVERITY_NOTICE, &open), 0);
	CU_ASSERT_EQUAL(open, 0);
	scene_close(&s);
}

static void says_both_of_rights_that_were_damaged(void)
{
	struct scene s;

	begin(&s, NULL);
	damage_acl(&s);
	scan(&s);
	CU_ASSERT_TRUE(said(&s, "header.crc user.a", ""));
	CU_ASSERT_TRUE(said(&s, "header.acl user.a", "") || said(&s, "header.corrupt user.a", ""));
	scene_close(&s);
}

/* ---- one look ---- */

static void open_mailbox(const struct scene *s, struct mailbox **ret_mailbox,
			 struct mailbox_index *ix)
{
	struct mailbox_row row = {
		.key = span_of_str(mkstore_get_unique_id(s->store, "user.a")),
		.name = span_of_str("user.a"),
		.partition = span_of_str("default"),
		.has_unique_id = true,
		.acl = span_of_str("a\tlrswipkxtecdan\t"),
	};

	CU_ASSERT_EQUAL_FATAL(mailbox_new(&s->target.imapd_conf, NULL, &row, ret_mailbox), 0);
	CU_ASSERT_EQUAL_FATAL(mailbox_open_dirs(*ret_mailbox), 0);
	CU_ASSERT_EQUAL_FATAL(mailbox_index_open(ix, *ret_mailbox), 0);
}

static void judges_no_sums_while_the_index_moves(void)
{
	struct meta_options options = { .with_cache = true, .now_ns = clock_wall_ns() };
	struct mailbox_index ix;
	struct mailbox *mailbox;
	struct meta meta;
	struct scene s;

	begin(&s, NULL);
	open_mailbox(&s, &mailbox, &ix);
	meta_begin(&meta, mailbox, &ix, &options);
	damage_exists(&s); /* no record was added: every sum would be wrong as well */
	meta_end(&meta, &ix);
	CU_ASSERT_TRUE(meta.report.is_unsettled);
	CU_ASSERT_EQUAL(meta.report.nr, 0);
	meta_fini(&meta);
	mailbox_index_close(&ix);
	mailbox_unref(mailbox);
	scene_close(&s);
}

static void calls_nothing_left_over_that_is_young(void)
{
	struct meta_options options = { .now_ns = clock_wall_ns(), .leftover_ns = 60 * NS_PER_S };
	struct report report;
	struct mailbox_index ix;
	struct mailbox *mailbox;
	struct scene s;

	begin(&s, NULL);
	leave_a_new_index(&s);
	open_mailbox(&s, &mailbox, &ix);
	CU_ASSERT_EQUAL(meta_look(mailbox, &ix, &options, &report), 0);
	CU_ASSERT_TRUE(report_is_clean(&report));
	report_fini(&report);
	mailbox_index_close(&ix);
	mailbox_unref(mailbox);
	scene_close(&s);
}

static void names_64_damaged_cache_records_and_counts_the_rest(void)
{
	struct meta_options options = { .with_cache = true, .now_ns = clock_wall_ns() };
	struct report report;
	struct mailbox_index ix;
	struct mailbox *mailbox;
	struct scene s;

	begin(&s, NULL);
	open_mailbox(&s, &mailbox, &ix);
	struct meta meta;
	meta_begin(&meta, mailbox, &ix, &options);
	struct index_record record = { .cache_offset = 1 << 20, .cache_crc = 1 };
	for (uint32_t uid = 1; uid <= 100; uid++) {
		record.uid = uid;
		meta_add(&meta, &record);
	}
	meta_add_bad(&meta); /* their sums are not what this is about */
	meta_end(&meta, &ix);
	report = meta.report;
	unsigned named = 0;
	bool more = false;
	for (size_t i = 0; i < report.nr; i++) {
		named += report.problems[i].code == FINDING_CACHE_RECORD && report.problems[i].uid;
		more = more || strcmp(report.problems[i].object, "cache:more") == 0;
	}
	CU_ASSERT_EQUAL(named, 64);
	CU_ASSERT_TRUE(more);
	meta_fini(&meta);
	mailbox_index_close(&ix);
	mailbox_unref(mailbox);
	scene_close(&s);
}

/* ---- versions that no Cyrus at hand writes ---- */

/* Lays a header or a record of `version` out from its structure, by the table of its fields. */
static size_t lay_out(const struct index_field *fields, size_t nr, const void *structure,
		      uint8_t *ret_bytes)
{
	size_t len = fields[nr - 1].off + fields[nr - 1].len;

	memset(ret_bytes, 0, len);
	for (size_t i = 0; i < nr; i++) {
		const struct index_field *field = &fields[i];
		const uint8_t *from = (const uint8_t *)structure + field->member;
		uint64_t number = 0;
		if (field->kind == INDEX_FIELD_CRC && i == nr - 1) {
			put32(ret_bytes + field->off, crc32_of(span_of(ret_bytes, field->off)));
			continue;
		}
		if (field->member_len == 0)
			continue;
		if (field->kind == INDEX_FIELD_GUID) {
			memcpy(ret_bytes + field->off, from, field->len);
			continue;
		}
		memcpy(&number, from, min_of((size_t)field->member_len, sizeof(number)));
		if (field->kind == INDEX_FIELD_TIME)
			number /= NS_PER_S;
		for (unsigned j = field->len; j-- > 0 && field->len <= 8; number >>= 8)
			ret_bytes[field->off + j] = (uint8_t)number;
	}
	return len;
}

/* Rewrites the index of user.a, of version 17, as one of `version`. */
static void convert(const struct scene *s, uint32_t version)
{
	uint8_t bytes[4096], laid[INDEX_HEADER_MAX + NR * INDEX_RECORD_MAX];
	const char *path = path_of(s, "cyrus.index");
	const struct index_field *fields;
	struct index_record records[NR];
	struct index_header header;
	struct index_sums sums;
	size_t nr;

	int fd = open(path, O_RDONLY);
	ssize_t n = read(fd, bytes, sizeof(bytes));
	(void)close(fd);
	CU_ASSERT_EQUAL_FATAL(index_parse_header(span_of(bytes, (uint64_t)n), &header), 0);
	index_sums_init(&sums, version, NULL);
	for (unsigned i = 0; i < NR; i++) {
		CU_ASSERT_EQUAL_FATAL(index_parse_record(&header,
							 span_of(bytes + mkstore_record_offset(i),
								 MKSTORE_RECORD_LEN),
							 &records[i]),
				      0);
		index_sums_add(&sums, &records[i]);
	}
	header.version = version;
	header.start_offset = version == 20 ? 192 : 160;
	header.record_size = version == 20 ? 144 : 112;
	header.sync_crc_basic = sums.sync_crc_basic;
	header.sync_crc_annot = sums.sync_crc_annot;
	header.quota_deleted_used = sums.quota_deleted_used;
	header.quota_expunged_used = sums.quota_expunged_used;
	fields = index_header_fields(version, &nr);
	size_t len = lay_out(fields, nr, &header, laid);
	fields = index_record_fields(version, &nr);
	for (unsigned i = 0; i < NR; i++)
		len += lay_out(fields, nr, &records[i], laid + len);
	fd = open(path, O_WRONLY | O_TRUNC);
	CU_ASSERT_EQUAL(write(fd, laid, len), (ssize_t)len);
	(void)close(fd);
}

static void verifies_mailboxes_of_later_versions(void)
{
	for (uint32_t version = 18; version <= 20; version++) {
		struct scene s;
		begin(&s, NULL);
		convert(&s, version);
		scan(&s);
		CU_ASSERT_EQUAL(s.nr_findings, 0);
		CU_ASSERT_EQUAL(s.run.status, RUN_COMPLETE);
		CU_ASSERT_EQUAL(s.run.messages, NR + 2);
		/* And sees what is wrong with them. */
		CU_ASSERT_EQUAL(mkstore_flip_bit(path_of(&s, "2."), 200, 0), 0);
		flip_cache(&s);
		scan(&s);
		CU_ASSERT_TRUE(said(&s, "message.digest user.a message:2", ""));
		CU_ASSERT_TRUE(said(&s, "cache.record user.a cache:3", ""));
		CU_ASSERT_EQUAL(s.nr_findings, 2);
		CU_ASSERT_EQUAL(mkstore_flip_bit(path_of(&s, "cyrus.index"),
						 version == 20 ? 192 + 144 + 30 : 160 + 112 + 14,
						 0),
				0);
		scan(&s);
		CU_ASSERT_TRUE(said(&s, "index.record_crc user.a record:2", "one bit is flipped"));
		scene_close(&s);
	}
}

static const struct test_case cases[] = {
	CASE(finds_nothing_in_good_metadata),
	CASE(says_one_thing_of_each_damage_and_verifies_the_mailbox),
	CASE(closes_what_was_mended),
	CASE(says_both_of_rights_that_were_damaged),
	CASE(judges_no_sums_while_the_index_moves),
	CASE(calls_nothing_left_over_that_is_young),
	CASE(names_64_damaged_cache_records_and_counts_the_rest),
	CASE(verifies_mailboxes_of_later_versions),
};

const struct test_suite suite_verify_meta = { "verify/meta", cases, array_size(cases) };

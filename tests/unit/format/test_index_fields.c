// SPDX-License-Identifier: Apache-2.0
/*
 * The tables of fields: complete, without overlap, as the sources have them, and for every field of
 * every version: when it is damaged, it changes its own member and no other.
 */
#include "suites.h"

#include <CUnit/CUnit.h>
#include <errno.h>

#include "base/buf.h"
#include "digest/digest.h"
#include "format/cyrus/index.h"

#define NS UINT64_C(1000000000)

static const struct {
	uint32_t version, header_len, record_len;
} versions[] = {
	{ 9, 96, 80 },	  { 10, 96, 88 },   { 12, 128, 96 },  { 13, 128, 104 },
	{ 14, 160, 104 }, { 15, 160, 104 }, { 16, 160, 112 }, { 17, 160, 112 },
	{ 18, 160, 112 }, { 19, 160, 112 }, { 20, 192, 144 },
};

/* ---- what the tables are ---- */

static void check_table(const struct index_field *fields, size_t nr, uint32_t len, size_t size)
{
	uint32_t off = 0;

	CU_ASSERT_PTR_NOT_NULL_FATAL(fields);
	for (size_t i = 0; i < nr; i++) {
		const struct index_field *f = &fields[i];
		CU_ASSERT_EQUAL(f->off, off);
		CU_ASSERT(f->len > 0);
		CU_ASSERT(f->name && *f->name);
		CU_ASSERT(f->member + f->member_len <= size);
		CU_ASSERT(f->member_len == 0 || f->member_len >= f->len);
		CU_ASSERT_EQUAL(f->member_len == 0, f->kind == INDEX_FIELD_SPARE ||
							    f->kind == INDEX_FIELD_OPAQUE ||
							    strcmp(f->name, "crc") == 0);
		for (size_t j = 0; j < i && f->member_len; j++)
			CU_ASSERT(strcmp(f->name, fields[j].name) != 0);
		off += f->len;
	}
	CU_ASSERT_EQUAL(off, len);
}

static void has_every_byte_of_every_version_in_one_field(void)
{
	for (size_t i = 0; i < array_size(versions); i++) {
		size_t nr;
		const struct index_field *fields = index_header_fields(versions[i].version, &nr);
		check_table(fields, nr, versions[i].header_len, sizeof(struct index_header));
		fields = index_record_fields(versions[i].version, &nr);
		check_table(fields, nr, versions[i].record_len, sizeof(struct index_record));
	}
}

static void has_nothing_of_other_versions(void)
{
	static const uint32_t others[] = { 0, 5, 6, 7, 8, 11, 21, 64, 1u << 24, UINT32_MAX };

	for (size_t i = 0; i < array_size(others); i++) {
		size_t nr = 7;
		CU_ASSERT_PTR_NULL(index_header_fields(others[i], &nr));
		CU_ASSERT_EQUAL(nr, 0);
		nr = 7;
		CU_ASSERT_PTR_NULL(index_record_fields(others[i], &nr));
		CU_ASSERT_EQUAL(nr, 0);
	}
}

static void ends_in_a_crc_since_version_12(void)
{
	for (size_t i = 0; i < array_size(versions); i++) {
		size_t nr;
		bool crcs = versions[i].version >= 12;
		const struct index_field *fields = index_header_fields(versions[i].version, &nr);
		CU_ASSERT_EQUAL(strcmp(fields[nr - 1].name, "crc") == 0, crcs);
		fields = index_record_fields(versions[i].version, &nr);
		CU_ASSERT_EQUAL(strcmp(fields[nr - 1].name, "crc") == 0, crcs);
	}
}

/* ---- where the fields are: written down once more ---- */

#define START "0 generation 4 format 8 version 12 start_offset 16 record_size 20 nr_records "
#define FRONT                                                                                      \
	START "24 last_append 28 last_uid 32+8 quota_used 40 pop3_last_login 44 uidvalidity "      \
	      "48 deleted 52 answered 56 flagged "
#define OLD FRONT "60 options 64 leaked_cache_records 68+8 highestmodseq "
#define V12 OLD "76+8 deletedmodseq 84 exists 88 first_expunged 92 last_repack " MIDDLE
#define MIDDLE "96 header_file_crc 100 sync_crc_basic 104 recentuid 108 recenttime "
#define V13 "112 pop3_show_after 116 quota_annot_used 120 sync_crc_annot "
#define V14 V12 V13 "124 unseen "

#define REC_FRONT "0 uid 4 internaldate 8 sentdate 12 size 16 header_size "
#define REC_FLAGS "24 cache_offset 28 last_updated 32 flags 36+16 user_flags "
#define REC_OLD REC_FRONT "20 content_offset " REC_FLAGS "52 content_lines 56 cache_version "
#define REC_12 REC_FRONT "20 gmtime " REC_FLAGS "52 content_lines 56 cache_version "
#define REC_15 REC_FRONT "20 gmtime " REC_FLAGS "52 savedate 56 cache_version "
#define GUID "60+20 guid 80+8 modseq "

static const struct {
	uint32_t version;
	const char *header, *record;
} layouts[] = {
	{ 9, OLD "76+20 spare ", REC_OLD "60+12 uuid 72+8 modseq " },
	{ 10, OLD "76+20 spare ", REC_OLD GUID },
	{ 12, V12 "112+12 spare 124 crc ", REC_12 GUID "88 cache_crc 92 crc " },
	{ 13, V12 V13 "124 crc ", REC_12 GUID "88+8 cid 96 cache_crc 100 crc " },
	{ 14, V14 "128+28 spare 156 crc ", REC_12 GUID "88+8 cid 96 cache_crc 100 crc " },
	{ 15, V14 "128+28 spare 156 crc ", REC_15 GUID "88+8 cid 96 cache_crc 100 crc " },
	{ 16, V14 "128+8 createdmodseq 136+20 spare 156 crc ",
	  REC_15 GUID "88+8 cid 96+8 createdmodseq 104 cache_crc 108 crc " },
	{ 17, V14 "128+8 createdmodseq 136 changes_epoch 140+16 spare 156 crc ",
	  REC_15 GUID "88+8 cid 96+8 createdmodseq 104 cache_crc 108 crc " },
	{ 18,
	  V14 "128+8 createdmodseq 136 changes_epoch 140+8 quota_deleted_used "
	      "148+8 quota_expunged_used 156 crc ",
	  REC_15 GUID "88+8 cid 96+8 createdmodseq 104 cache_crc 108 crc " },
	{ 19,
	  FRONT "60 exists 64 options 68 leaked_cache_records 72+8 highestmodseq "
		"80+8 deletedmodseq 88 first_expunged 92 last_repack " MIDDLE V13
		"124 unseen 128+8 createdmodseq 136+8 quota_deleted_used "
		"144+8 quota_expunged_used 152 changes_epoch 156 crc ",
	  REC_15 GUID "88+8 cid 96+8 createdmodseq 104 cache_crc 108 crc " },
	{ 20,
	  START "24+8 last_append 32+8 quota_used 40+8 pop3_last_login 48 deleted 52 answered "
		"56 flagged 60 exists 64 options 68 leaked_cache_records 72+8 highestmodseq "
		"80+8 deletedmodseq 88 last_uid 92 uidvalidity 96 header_file_crc "
		"100 sync_crc_basic 104+8 recenttime 112+8 pop3_show_after 120 sync_crc_annot "
		"124 unseen 128+8 createdmodseq 136+8 quota_deleted_used "
		"144+8 quota_expunged_used 152+8 quota_annot_used 160+8 changes_epoch "
		"168+8 first_expunged 176+8 last_repack 184 recentuid 188 crc ",
	  "0 uid 4 cache_offset 8+8 internaldate 16+8 sentdate 24+8 size 32 header_size "
	  "36 flags 40+16 user_flags 56 cache_version " GUID "88+8 cid 96+8 createdmodseq "
	  "104+8 gmtime 112+8 last_updated 120+8 savedate 128+8 basecid 136 cache_crc "
	  "140 crc " },
};

static void check_layout(const struct index_field *fields, size_t nr, const char *expected)
{
	struct buf b cleanup(buf_fini) = BUF_NULL;

	for (size_t i = 0; i < nr; i++) {
		buf_addf(&b, "%u", fields[i].off);
		if (fields[i].len != 4)
			buf_addf(&b, "+%u", fields[i].len);
		buf_addf(&b, " %s ", fields[i].name);
	}
	CU_ASSERT_EQUAL(buf_error(&b), 0);
	CU_ASSERT_STRING_EQUAL(buf_str(&b), expected);
}

static void has_every_field_in_its_place(void)
{
	CU_ASSERT_EQUAL(array_size(layouts), array_size(versions));
	for (size_t i = 0; i < array_size(layouts); i++) {
		size_t nr;
		const struct index_field *fields = index_header_fields(layouts[i].version, &nr);
		check_layout(fields, nr, layouts[i].header);
		fields = index_record_fields(layouts[i].version, &nr);
		check_layout(fields, nr, layouts[i].record);
	}
}

/* ---- what a damaged field does ---- */

static void put_word(uint8_t *bytes, size_t off, uint32_t word)
{
	for (int i = 0; i < 4; i++)
		bytes[off + (size_t)i] = (uint8_t)(word >> (24 - 8 * i));
}

/* By the members of all versions: what lies between them may be anything. */
static bool is_same(const void *a, const void *b, bool header)
{
	for (size_t i = 0; i < array_size(versions); i++) {
		size_t nr;
		uint32_t version = versions[i].version;
		const struct index_field *f = header ? index_header_fields(version, &nr)
						     : index_record_fields(version, &nr);
		for (size_t j = 0; j < nr; j++)
			if (memcmp((const char *)a + f[j].member, (const char *)b + f[j].member,
				   f[j].member_len) != 0)
				return false;
	}
	return true;
}

/* A header or record of zeros, with what it is known by. */
static void lay_out(uint8_t *bytes, size_t i, bool header)
{
	memset(bytes, 0, INDEX_HEADER_MAX);
	if (header) {
		put_word(bytes, 8, versions[i].version);
		put_word(bytes, 12, versions[i].header_len);
		put_word(bytes, 16, versions[i].record_len);
	}
}

static void fix_crc(uint8_t *bytes, size_t len)
{
	put_word(bytes, len - 4, crc32_of(span_of(bytes, len - 4)));
}

/* The bytes 81, 82, 83... from `off` on: no two fields read alike. */
static void damage(uint8_t *bytes, const struct index_field *field)
{
	for (uint16_t i = 0; i < field->len; i++)
		bytes[field->off + i] = (uint8_t)(0x81 + i);
}

/* The member of a field that was damaged. */
static void expect_member(const struct index_field *field, uint8_t *into)
{
	uint64_t value = field->len == 8 ? 0x8182838485868788 : 0x81828384;
	uint32_t small = (uint32_t)value;

	if (field->kind == INDEX_FIELD_TIME)
		value *= NS;
	if (field->kind == INDEX_FIELD_GUID) {
		for (int i = 0; i < INDEX_GUID_LEN; i++)
			into[field->member + i] = (uint8_t)(0x81 + i);
	} else if (field->member_len == 16) {
		static const uint32_t words[] = { 0x81828384, 0x85868788, 0x898a8b8c, 0x8d8e8f90 };
		memcpy(into + field->member, words, sizeof(words));
	} else if (field->member_len == 8) {
		memcpy(into + field->member, &value, 8);
	} else if (field->member_len) {
		CU_ASSERT_EQUAL(field->member_len, 4);
		memcpy(into + field->member, &small, 4);
	}
}

/* A version without CRCs takes the format as what it is known by, and has no counter of its own. */
static int expect_header(const struct index_field *field, struct index_header *header)
{
	if (header->version < 12 && strcmp(field->name, "nr_records") == 0)
		header->exists = header->nr_records;
	if (header->version < 12 && strcmp(field->name, "format") == 0)
		return INDEX_UNKNOWN_VERSION;
	return 0;
}

static void check_header_field(size_t i, const struct index_field *field)
{
	uint32_t len = versions[i].header_len;
	uint8_t bytes[INDEX_HEADER_MAX];
	struct index_header before, after;
	bool has_crc = versions[i].version >= 12, is_crc = strcmp(field->name, "crc") == 0;

	lay_out(bytes, i, true);
	if (has_crc)
		fix_crc(bytes, len);
	memset(&before, 0, sizeof(before));
	CU_ASSERT_EQUAL(index_parse_header(span_of(bytes, len), &before), 0);
	damage(bytes, field);
	if (has_crc)
		CU_ASSERT_EQUAL(index_parse_header(span_of(bytes, len), &after), -EBADMSG);
	if (has_crc && !is_crc)
		fix_crc(bytes, len);
	int r = index_parse_header(span_of(bytes, len), &after);
	if (is_crc || (field->off >= 8 && field->off < 20)) {
		CU_ASSERT_EQUAL(r, -EBADMSG);
		return;
	}
	expect_member(field, (uint8_t *)&before);
	CU_ASSERT_EQUAL(r, expect_header(field, &before));
	CU_ASSERT(is_same(&before, &after, true));
}

static void reads_each_field_of_a_header_into_its_member_alone(void)
{
	for (size_t i = 0; i < array_size(versions); i++) {
		size_t nr;
		const struct index_field *fields = index_header_fields(versions[i].version, &nr);
		for (size_t j = 0; j < nr; j++)
			check_header_field(i, &fields[j]);
	}
}

static void check_record_field(size_t i, const struct index_field *field)
{
	struct index_header header = { .version = versions[i].version,
				       .record_size = versions[i].record_len };
	struct span record;
	uint8_t bytes[INDEX_HEADER_MAX];
	struct index_record expected, read;
	bool has_crc = header.version >= 12, is_crc = strcmp(field->name, "crc") == 0;

	lay_out(bytes, i, false);
	record = span_of(bytes, header.record_size);
	memset(&expected, 0, sizeof(expected));
	if (has_crc)
		fix_crc(bytes, record.len);
	damage(bytes, field);
	CU_ASSERT_EQUAL(index_parse_record(&header, record, &read), has_crc ? -EBADMSG : 0);
	expect_member(field, (uint8_t *)&expected);
	if (strcmp(field->name, "cache_version") == 0) {
		expected.cache_version = 0x8384;
		expected.cache_offset = UINT64_C(0x8182) << 32;
	}
	CU_ASSERT(is_same(&read, &expected, false));
	if (!has_crc || is_crc)
		return;
	fix_crc(bytes, record.len);
	CU_ASSERT_EQUAL(index_parse_record(&header, record, &read), 0);
	CU_ASSERT(is_same(&read, &expected, false));
}

static void reads_each_field_of_a_record_into_its_member_alone(void)
{
	for (size_t i = 0; i < array_size(versions); i++) {
		size_t nr;
		const struct index_field *fields = index_record_fields(versions[i].version, &nr);
		for (size_t j = 0; j < nr; j++)
			check_record_field(i, &fields[j]);
	}
}

static const struct test_case cases[] = {
	CASE(has_every_byte_of_every_version_in_one_field),
	CASE(has_nothing_of_other_versions),
	CASE(ends_in_a_crc_since_version_12),
	CASE(has_every_field_in_its_place),
	CASE(reads_each_field_of_a_header_into_its_member_alone),
	CASE(reads_each_field_of_a_record_into_its_member_alone),
};

const struct test_suite suite_format_index_fields = { "format/index_fields", cases,
						      array_size(cases) };

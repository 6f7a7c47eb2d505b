// SPDX-License-Identifier: Apache-2.0
/*
 * cyrus.index: real headers and records of every version that 3.6.1 can write, and those of later
 * ones laid by hand, come out field by field, and no flipped bit in any that has a CRC goes
 * unnoticed or is placed wrongly.
 */
#include "suites.h"

#include <CUnit/CUnit.h>
#include <errno.h>

#include "digest/digest.h"
#include "format/cyrus/index.h"
#include "index_files.h"
#include "real_index.h"

#define VERSION_OFF 8
#define FORMAT_OFF 4
#define START_OFF 12
#define SIZE_OFF 16
#define NS INT64_C(1000000000)

/* What stands in the files; the header comes first, record 1 behind it. */
static const struct sample {
	const uint8_t *bytes;
	uint32_t header_len;
	uint32_t record_len;
	struct index_header header;
} samples[] = {
#define OLD_MAILBOX(n, start, size, ...)                                                           \
	{                                                                                          \
		real_v##n, start, size,                                                            \
		{                                                                                  \
			.version = n, .start_offset = start, .record_size = size, .nr_records = 8, \
			.last_uid = 8, .uidvalidity = 0x6b0465cd,                                  \
			.last_append_ns = 0x6b0465ec * NS, .answered = 1, .flagged = 1,            \
			.options = 1, .quota_used = 2859, __VA_ARGS__                              \
		}                                                                                  \
	}
#define SINCE_12(generation_no)                                                                    \
	.generation = generation_no, .exists = 7, .highestmodseq = 24,                             \
	.first_expunged_ns = 0x6b0465ec * NS, .last_repack_ns = 0x6b046705 * NS, .recentuid = 8,   \
	.recenttime_ns = 0x6b0465ec * NS, .header_file_crc = 0xfd3583b6,                           \
	.sync_crc_basic = 0x3d089555
	/* Written by 3.6.1 with the expunged message among the others. */
	OLD_MAILBOX(9, 96, 80, .generation = 10, .exists = 8, .highestmodseq = 1),
	OLD_MAILBOX(10, 96, 88, .generation = 11, .exists = 8, .highestmodseq = 1),
	OLD_MAILBOX(12, 128, 96, SINCE_12(5)),
	OLD_MAILBOX(13, 128, 104, SINCE_12(4), .sync_crc_annot = 0x94d0f2d9,
		    .quota_annot_used = 0x60),
	OLD_MAILBOX(14, 160, 104, SINCE_12(3), .sync_crc_annot = 0x94d0f2d9,
		    .quota_annot_used = 0x60, .unseen = 5),
	OLD_MAILBOX(15, 160, 104, SINCE_12(2), .sync_crc_annot = 0x94d0f2d9,
		    .quota_annot_used = 0x1a, .unseen = 5),
	OLD_MAILBOX(16, 160, 112, SINCE_12(1), .sync_crc_annot = 0x94d0f2d9,
		    .quota_annot_used = 0x11, .unseen = 5, .createdmodseq = 1),
	{
		real_v17,
		160,
		112,
		{
			.generation = 0,
			.version = 17,
			.start_offset = 160,
			.record_size = 112,
			.nr_records = 1,
			.last_append_ns = 0x6b04a0a8 * NS,
			.last_uid = 1,
			.uidvalidity = 0x6b04a0a7,
			.exists = 1,
			.options = 1,
			.quota_used = 1732,
			.highestmodseq = 2,
			.createdmodseq = 1,
			.changes_epoch_ns = 0x6b04a0a6 * NS,
			.header_file_crc = 0xbdff4592,
			.sync_crc_basic = 0xc08c6c2b,
			.sync_crc_annot = 0x1c70901f,
		},
	},
#define LAID_MAILBOX(n, start, size, ns, ...)                                                      \
	{                                                                                          \
		file_v##n, start, size,                                                            \
		{                                                                                  \
			.generation = 3, .version = n, .start_offset = start, .record_size = size, \
			.nr_records = 3, .last_uid = 9, .uidvalidity = 0x6b05b1df,                 \
			.last_append_ns = 0x6b05b1e3 * NS + (ns),                                  \
			.pop3_last_login_ns = 0x6b05b1e4 * NS + (ns),                              \
			.last_repack_ns = 0x6b05b1e5 * NS + (ns),                                  \
			.recenttime_ns = 0x6b05b1e6 * NS + (ns),                                   \
			.pop3_show_after_ns = 0x6b05b1e7 * NS + (ns),                              \
			.changes_epoch_ns = 0x6b05b1e8 * NS + (ns),                                \
			.first_expunged_ns = 0x6b05b212 * NS, .exists = 2, .answered = 1,          \
			.flagged = 1, .deleted = 1, .unseen = 1, .options = 0x20000001,            \
			.leaked_cache_records = 2, .quota_deleted_used = 1234,                     \
			.quota_expunged_used = 80, .quota_annot_used = 17,                         \
			.highestmodseq = (UINT64_C(1) << 33) + 4, .deletedmodseq = 1,              \
			.createdmodseq = 1, .recentuid = 8, .header_file_crc = 0xdeadbeef,         \
			.sync_crc_basic = 0xd46638e7, __VA_ARGS__                                  \
		}                                                                                  \
	}
	LAID_MAILBOX(18, 160, 112, 0, .sync_crc_annot = 0xfb3ff769, .quota_used = 1934),
	LAID_MAILBOX(19, 160, 112, 0, .sync_crc_annot = 0xfb3ff769, .quota_used = 1934),
	LAID_MAILBOX(20, 192, 144, 1, .sync_crc_annot = 0x16654433,
		     .quota_used = (UINT64_C(5) << 30) + 1241),
};

static const struct sample *sample_of(uint32_t version)
{
	for (size_t i = 0; i < array_size(samples); i++)
		if (samples[i].header.version == version)
			return &samples[i];
	CU_FAIL_FATAL("no such sample");
	return NULL;
}

static const struct sample *const v12 = &samples[2];
static const struct sample *const v17 = &samples[7];

static struct span header_of(const struct sample *s)
{
	return span_of(s->bytes, s->header_len);
}

static struct span record_of(const struct sample *s)
{
	return span_of(s->bytes + s->header_len, s->record_len);
}

static void put_word(uint8_t *bytes, size_t off, uint32_t word)
{
	for (int i = 0; i < 4; i++)
		bytes[off + (size_t)i] = (uint8_t)(word >> (24 - 8 * i));
}

/* Makes the last word of `bytes` the CRC of the others. */
static void fix_crc(uint8_t *bytes, size_t len)
{
	put_word(bytes, len - 4, crc32_of(span_of(bytes, len - 4)));
}

/* Every field there is: version 20 has them all, and their members are those of all versions. */
static void assert_same_header(const struct index_header *a, const struct index_header *b)
{
	size_t nr, wrong = 0;
	const struct index_field *fields = index_header_fields(20, &nr);

	for (size_t i = 0; i < nr; i++)
		wrong += memcmp((const char *)a + fields[i].member,
				(const char *)b + fields[i].member, fields[i].member_len) != 0;
	CU_ASSERT_EQUAL(wrong, 0);
}

static void reads_the_header_of_every_version(void)
{
	for (size_t i = 0; i < array_size(samples); i++) {
		struct index_header header;
		CU_ASSERT_EQUAL(index_parse_header(header_of(&samples[i]), &header), 0);
		assert_same_header(&header, &samples[i].header);
	}
}

static void reads_the_header_of_nine_messages(void)
{
	struct index_header header;

	CU_ASSERT_EQUAL(index_parse_header(span_of(real_v17_header, 160), &header), 0);
	CU_ASSERT_EQUAL(header.generation, 1);
	CU_ASSERT_EQUAL(header.nr_records, 9);
	CU_ASSERT_EQUAL(header.last_uid, 9);
	CU_ASSERT_EQUAL(header.exists, 9);
	CU_ASSERT_EQUAL(header.quota_used, 4270);
	CU_ASSERT_EQUAL(header.highestmodseq, 10);
	CU_ASSERT_EQUAL(header.header_file_crc, 0xbd7fbe41);
}

static void ignores_what_stands_behind_a_short_header(void)
{
	struct index_header header;

	/* INDEX_HEADER_MAX bytes of a version whose header has 128. */
	CU_ASSERT_EQUAL(index_parse_header(span_of(real_v12, INDEX_HEADER_MAX), &header), 0);
	assert_same_header(&header, &v12->header);
}

static void recognises_versions_before_9(void)
{
	static const struct {
		const uint8_t *bytes;
		uint64_t len;
		uint32_t version;
	} old[] = {
		{ real_v6_header, sizeof(real_v6_header), 6 },
		{ real_v7_header, sizeof(real_v7_header), 7 },
		{ real_v8_header, sizeof(real_v8_header), 8 },
	};

	for (size_t i = 0; i < array_size(old); i++) {
		struct index_header header;
		CU_ASSERT_EQUAL(index_parse_header(span_of(old[i].bytes, old[i].len), &header),
				INDEX_UNKNOWN_VERSION);
		CU_ASSERT_EQUAL(header.version, old[i].version);
		CU_ASSERT_EQUAL(header.nr_records, 8);
	}
}

/* A header of nothing but the words that say its shape, with a CRC at its end. */
static int parse_shape(uint32_t version, uint32_t start, uint32_t size, bool crc)
{
	uint8_t bytes[INDEX_HEADER_MAX] = { 0 };
	struct index_header header;

	put_word(bytes, VERSION_OFF, version);
	put_word(bytes, START_OFF, start);
	put_word(bytes, SIZE_OFF, size);
	if (crc)
		fix_crc(bytes, start);
	int r = index_parse_header(span_of(bytes, sizeof(bytes)), &header);
	CU_ASSERT_EQUAL(header.version, version);
	return r;
}

/* Versions 9 and 10: what Cyrus opens is no damage, and what no reader here knows is not read. */
static void believes_a_header_without_a_crc(void)
{
	for (uint32_t version = 9; version <= 10; version++) {
		const struct sample *s = sample_of(version);
		struct index_header header;
		uint8_t bytes[96];

		memcpy(bytes, s->bytes, sizeof(bytes));
		put_word(bytes, 52, UINT32_MAX); /* more answered than there are */
		put_word(bytes, 28, 0);		 /* no UID was ever given */
		put_word(bytes, 20, UINT32_MAX); /* the caller knows how long the file is */
		CU_ASSERT_EQUAL(index_parse_header(span_of(bytes, 96), &header), 0);
		CU_ASSERT_EQUAL(header.exists, UINT32_MAX);
		put_word(bytes, FORMAT_OFF, 1);
		CU_ASSERT_EQUAL(index_parse_header(span_of(bytes, 96), &header),
				INDEX_UNKNOWN_VERSION);
		put_word(bytes, FORMAT_OFF, 0);
		put_word(bytes, SIZE_OFF, s->record_len + 8);
		CU_ASSERT_EQUAL(index_parse_header(span_of(bytes, 96), &header), -EBADMSG);
	}
}

static void tells_what_a_version_can_prove(void)
{
	for (size_t i = 0; i < array_size(samples); i++) {
		const struct index_header *header = &samples[i].header;
		CU_ASSERT_EQUAL(index_has_crcs(header), header->version >= 12);
		CU_ASSERT_EQUAL(index_has_guids(header), header->version >= 10);
	}
}

static void leaves_later_versions_to_later_readers(void)
{
	CU_ASSERT_EQUAL(parse_shape(21, 192, 144, true), INDEX_UNKNOWN_VERSION);
	CU_ASSERT_EQUAL(parse_shape(23, 256, 160, false), INDEX_UNKNOWN_VERSION);
	CU_ASSERT_EQUAL(parse_shape(21, 160, 112, true), INDEX_UNKNOWN_VERSION);
}

static void leaves_the_long_records_of_early_version_19(void)
{
	CU_ASSERT_EQUAL(parse_shape(19, 160, 144, true), INDEX_UNKNOWN_VERSION);
	CU_ASSERT_EQUAL(parse_shape(19, 160, 144, false), -EBADMSG);
}

static void refuses_versions_that_make_no_sense(void)
{
	static const struct {
		uint32_t version, start, size;
	} wrong[] = { { 0, 160, 112 },	{ 1, 160, 112 },       { 5, 76, 60 },
		      { 11, 96, 88 },	{ 6, 76, 72 },	       { 7, 76, 60 },
		      { 8, 96, 80 },	{ 10, 96, 80 },	       { 20, 160, 112 },
		      { 20, 192, 112 }, { 20, 192, 144 },      { 21, 128, 144 },
		      { 21, 192, 96 },	{ 21, 192, 144 },      { 21, 194, 144 },
		      { 21, 192, 145 }, { 21, 1 << 20, 144 },  { 21, 192, 1 << 20 },
		      { 65, 192, 144 }, { 1 << 24, 192, 144 }, { UINT32_MAX, 192, 144 } };

	for (size_t i = 0; i < array_size(wrong); i++)
		CU_ASSERT_EQUAL(parse_shape(wrong[i].version, wrong[i].start, wrong[i].size, false),
				-EBADMSG);
	/* All of it is at hand, and the CRC is wrong: damage, not a new version. */
	CU_ASSERT_EQUAL(parse_shape(21, 160, 112, false), -EBADMSG);
}

/* Whether a reader has the header alone, or as much as it reads of a file it does not know yet. */
static void notices_every_flipped_bit_of_a_header(void)
{
	static const struct {
		const uint8_t *bytes;
		uint32_t header_len;
	} files[] = {
		{ file_v12, 128 }, { file_v13, 128 }, { file_v14, 160 },
		{ file_v15, 160 }, { file_v16, 160 }, { file_v17, 160 },
		{ file_v18, 160 }, { file_v19, 160 }, { file_v20, 192 },
	};

	for (size_t i = 0; i < array_size(files); i++) {
		uint32_t len = files[i].header_len;
		uint8_t bytes[INDEX_HEADER_MAX];
		struct index_header header;
		unsigned missed = 0;

		memcpy(bytes, files[i].bytes, INDEX_HEADER_MAX);
		CU_ASSERT_EQUAL(index_parse_header(span_of(bytes, INDEX_HEADER_MAX), &header), 0);
		for (uint32_t bit = 0; bit < len * 8; bit++) {
			bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
			missed += index_parse_header(span_of(bytes, len), &header) != -EBADMSG;
			missed += index_parse_header(span_of(bytes, INDEX_HEADER_MAX), &header) !=
				  -EBADMSG;
			bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
		}
		CU_ASSERT_EQUAL(missed, 0);
	}
}

/* Without a CRC: one in what the header is known by is noticed, any other is not. */
static void notices_a_flipped_bit_in_the_shape_of_an_old_header(void)
{
	for (uint32_t version = 9; version <= 10; version++) {
		struct index_header header;
		uint8_t bytes[96];
		unsigned wrong = 0;

		memcpy(bytes, sample_of(version)->bytes, sizeof(bytes));
		for (uint32_t bit = 0; bit < 96 * 8; bit++) {
			uint32_t off = bit / 8;
			int expected = off < FORMAT_OFF || off >= SIZE_OFF + 4 ? 0
				       : off < VERSION_OFF ? INDEX_UNKNOWN_VERSION
							   : -EBADMSG;
			bytes[off] ^= (uint8_t)(1u << bit % 8);
			wrong += index_parse_header(span_of(bytes, 96), &header) != expected;
			bytes[off] ^= (uint8_t)(1u << bit % 8);
		}
		CU_ASSERT_EQUAL(wrong, 0);
	}
}

static void refuses_a_wrong_header_length_under_a_right_crc(void)
{
	CU_ASSERT_EQUAL(parse_shape(17, 128, 112, true), -EBADMSG);
	CU_ASSERT_EQUAL(parse_shape(12, 160, 96, true), -EBADMSG);
}

static void refuses_a_wrong_record_length_under_a_right_crc(void)
{
	CU_ASSERT_EQUAL(parse_shape(17, 160, 104, true), -EBADMSG);
	CU_ASSERT_EQUAL(parse_shape(17, 160, 144, true), -EBADMSG);
	CU_ASSERT_EQUAL(parse_shape(12, 128, 104, true), -EBADMSG);
	CU_ASSERT_EQUAL(parse_shape(12, 128, 0, true), -EBADMSG);
	CU_ASSERT_EQUAL(parse_shape(19, 160, 104, true), -EBADMSG);
}

static void refuses_a_header_cut_anywhere(void)
{
	for (size_t i = 0; i < array_size(samples); i++) {
		const struct sample *s = &samples[i];
		struct index_header header;
		unsigned wrong = 0;

		for (uint32_t len = 0; len < s->header_len; len++)
			if (index_parse_header(span_of(s->bytes, len), &header) != -ERANGE)
				wrong++;
		CU_ASSERT_EQUAL(wrong, 0);
	}
	struct index_header header;
	CU_ASSERT_EQUAL(index_parse_header(SPAN_NULL, &header), -ERANGE);
	CU_ASSERT_EQUAL(header.version, 0);
}

static void says_what_a_damaged_header_held(void)
{
	struct index_header header;
	uint8_t bytes[160];

	memcpy(bytes, real_v17_header, sizeof(bytes));
	bytes[159] ^= 1;
	CU_ASSERT_EQUAL(index_parse_header(span_of(bytes, sizeof(bytes)), &header), -EBADMSG);
	CU_ASSERT_EQUAL(header.version, 17);
	CU_ASSERT_EQUAL(header.nr_records, 9);
	CU_ASSERT_EQUAL(header.last_uid, 9);
}

static void reads_the_record_of_every_version(void)
{
	static const uint8_t old_guid[INDEX_GUID_LEN] = {
		0x54, 0x80, 0xe8, 0x88, 0xc1, 0xe6, 0x94, 0x16, 0x00, 0x47,
		0xf6, 0x30, 0x0f, 0xb8, 0xe3, 0xc4, 0x6c, 0x49, 0x80, 0x5e,
	};
	static const uint8_t guid[INDEX_GUID_LEN] = {
		0xbe, 0x3e, 0x49, 0x00, 0x45, 0x27, 0x17, 0xdd, 0x18, 0x8e,
		0xef, 0x56, 0x25, 0x82, 0xc5, 0x3b, 0x89, 0xfc, 0x21, 0x9f,
	};
	struct index_record record;

	for (uint32_t version = 9; version <= 16; version += version == 10 ? 2 : 1) {
		const struct sample *s = sample_of(version);
		bool has_guids = index_has_guids(&s->header);
		CU_ASSERT_EQUAL(index_parse_record(&s->header, record_of(s), &record), 0);
		CU_ASSERT_EQUAL(record.uid, 1);
		CU_ASSERT_EQUAL(record.internaldate_ns, 0x6b0465ec * NS);
		CU_ASSERT_EQUAL(record.sentdate_ns, 0x5fa09d80 * NS);
		CU_ASSERT_EQUAL(record.size, 472);
		CU_ASSERT_EQUAL(record.header_size, 462);
		CU_ASSERT_EQUAL(record.content_offset, version < 12 ? 462 : 0);
		CU_ASSERT_EQUAL(record.gmtime_ns, version < 12 ? 0 : 0x5fa11c10 * NS);
		CU_ASSERT_EQUAL(record.cache_offset, 4);
		CU_ASSERT_EQUAL(record.cache_version, 11);
		CU_ASSERT_EQUAL(record.last_updated_ns, 0x6b0465ec * NS);
		CU_ASSERT_EQUAL(record.flags, INDEX_FLAG_EXPUNGED | INDEX_FLAG_DELETED);
		CU_ASSERT_EQUAL(record.user_flags[0], 0);
		CU_ASSERT_EQUAL(record.content_lines, 0);
		CU_ASSERT_EQUAL(record.savedate_ns, version < 15 ? 0 : 0x6b0465ec * NS);
		CU_ASSERT_EQUAL(memcmp(record.guid, has_guids ? old_guid : (const uint8_t[20]){ 0 },
				       INDEX_GUID_LEN),
				0);
		CU_ASSERT_EQUAL(record.modseq, version < 12 ? 0 : 14);
		CU_ASSERT_EQUAL(record.cid, version < 13 ? 0 : 0xc5733169ca8f9f04);
		CU_ASSERT_EQUAL(record.createdmodseq, version < 16 ? 0 : 3);
		CU_ASSERT_EQUAL(record.cache_crc, version < 12 ? 0 : 0x82c2730b);
		CU_ASSERT_EQUAL(record.basecid, 0);
	}
	CU_ASSERT_EQUAL(index_parse_record(&v17->header, record_of(v17), &record), 0);
	CU_ASSERT_EQUAL(record.uid, 1);
	CU_ASSERT_EQUAL(record.internaldate_ns, 1795465384 * NS);
	CU_ASSERT_EQUAL(record.size, 1732);
	CU_ASSERT_EQUAL(record.flags, INDEX_FLAG_SEEN);
	CU_ASSERT_EQUAL(memcmp(record.guid, guid, INDEX_GUID_LEN), 0);
	CU_ASSERT_EQUAL(record.modseq, 2);
}

/* What only version 20 can hold: nanoseconds, and sizes of more than 32 bits. */
static void reads_the_records_of_versions_18_to_20(void)
{
	for (uint32_t version = 18; version <= 20; version++) {
		const struct sample *s = sample_of(version);
		bool ns = version == 20;
		struct index_record record;
		CU_ASSERT_EQUAL(index_parse_record(&s->header, record_of(s), &record), 0);
		CU_ASSERT_EQUAL(record.uid, 1);
		CU_ASSERT_EQUAL(record.internaldate_ns, 0x6b05b1e0 * NS + (ns ? 7000007 : 0));
		CU_ASSERT_EQUAL(record.sentdate_ns, (0x6b05b1e0 - 3600) * NS);
		CU_ASSERT_EQUAL(record.gmtime_ns, (0x6b05b1e0 - 7200) * NS + (ns ? 7 : 0));
		CU_ASSERT_EQUAL(record.last_updated_ns, (0x6b05b1e0 + 60) * NS + (ns ? 7 : 0));
		CU_ASSERT_EQUAL(record.savedate_ns, (0x6b05b1e0 + 1) * NS + (ns ? 7 : 0));
		CU_ASSERT_EQUAL(record.size, ns ? (UINT64_C(5) << 30) + 7 : 700);
		CU_ASSERT_EQUAL(record.header_size, 300);
		CU_ASSERT_EQUAL(record.flags, INDEX_FLAG_ANSWERED | INDEX_FLAG_SEEN);
		CU_ASSERT_EQUAL(record.user_flags[0], 1);
		CU_ASSERT_EQUAL(record.user_flags[1], 2);
		CU_ASSERT_EQUAL(record.user_flags[2], 0);
		CU_ASSERT_EQUAL(record.user_flags[3], 0x80000000);
		CU_ASSERT_EQUAL(record.cache_offset, (UINT64_C(9) << 32) + 4);
		CU_ASSERT_EQUAL(record.cache_version, 11);
		CU_ASSERT_EQUAL(record.cache_crc, 0x11223344);
		CU_ASSERT_EQUAL(record.guid[0], 1);
		CU_ASSERT_EQUAL(record.guid[19], 20);
		CU_ASSERT_EQUAL(record.modseq, 5);
		CU_ASSERT_EQUAL(record.createdmodseq, 2);
		CU_ASSERT_EQUAL(record.cid, 0x0286746a1b7667a3);
		CU_ASSERT_EQUAL(record.basecid, ns ? 0xab : 0);
	}
}

/* A version of up to 16 bits, and offsets of up to 48. */
static void splits_the_offset_in_the_cache_from_its_version(void)
{
	struct index_record record;
	uint8_t bytes[112];

	memcpy(bytes, record_of(v17).data, sizeof(bytes));
	put_word(bytes, 24, 0x89abcdef);
	put_word(bytes, 56, 0x4567000e);
	fix_crc(bytes, sizeof(bytes));
	CU_ASSERT_EQUAL(index_parse_record(&v17->header, span_of(bytes, 112), &record), 0);
	CU_ASSERT_EQUAL(record.cache_offset, 0x456789abcdef);
	CU_ASSERT_EQUAL(record.cache_version, 14);
}

static void believes_a_record_without_a_crc(void)
{
	for (uint32_t version = 9; version <= 10; version++) {
		const struct sample *s = sample_of(version);
		uint8_t bytes[88];
		struct index_record record;
		uint32_t byte, bit;

		memset(bytes, 0xff, sizeof(bytes));
		struct span span = span_of(bytes, s->record_len);
		CU_ASSERT_EQUAL(index_parse_record(&s->header, span, &record), 0);
		CU_ASSERT_EQUAL(record.uid, UINT32_MAX);
		CU_ASSERT_EQUAL(record.cache_offset, 0xffffffffffff);
		CU_ASSERT_FALSE(index_find_flipped_bit(&s->header, span, &byte, &bit));
		span.len--;
		CU_ASSERT_EQUAL(index_parse_record(&s->header, span, &record), -ERANGE);
	}
}

static void finds_every_flipped_bit_of_a_record(void)
{
	for (size_t i = 0; i < array_size(samples); i++) {
		const struct sample *s = &samples[i];
		uint8_t bytes[INDEX_RECORD_MAX];
		struct index_record record;
		unsigned unnoticed = 0, misplaced = 0;

		if (!index_has_crcs(&s->header))
			continue;
		memcpy(bytes, record_of(s).data, s->record_len);
		for (uint32_t n = 0; n < s->record_len * 8; n++) {
			struct span damaged = span_of(bytes, s->record_len);
			uint32_t byte = UINT32_MAX, bit = UINT32_MAX;

			bytes[n / 8] ^= (uint8_t)(1u << n % 8);
			if (index_parse_record(&s->header, damaged, &record) != -EBADMSG)
				unnoticed++;
			if (!index_find_flipped_bit(&s->header, damaged, &byte, &bit) ||
			    byte != n / 8 || bit != n % 8)
				misplaced++;
			bytes[n / 8] ^= (uint8_t)(1u << n % 8);
		}
		CU_ASSERT_EQUAL(unnoticed, 0);
		CU_ASSERT_EQUAL(misplaced, 0);
	}
}

static void blames_no_single_bit_for_two(void)
{
	uint8_t bytes[INDEX_RECORD_MAX];
	struct index_record record;
	unsigned wrong = 0;

	memcpy(bytes, record_of(v17).data, v17->record_len);
	for (uint32_t n = 0; n < v17->record_len * 8; n++) {
		static const uint32_t distances[] = { 1, 7, 8, 511 };
		for (size_t i = 0; i < array_size(distances); i++) {
			uint32_t m = (n + distances[i]) % (v17->record_len * 8);
			uint32_t byte, bit;

			bytes[n / 8] ^= (uint8_t)(1u << n % 8);
			bytes[m / 8] ^= (uint8_t)(1u << m % 8);
			struct span damaged = span_of(bytes, v17->record_len);
			if (index_parse_record(&v17->header, damaged, &record) != -EBADMSG ||
			    index_find_flipped_bit(&v17->header, damaged, &byte, &bit))
				wrong++;
			bytes[n / 8] ^= (uint8_t)(1u << n % 8);
			bytes[m / 8] ^= (uint8_t)(1u << m % 8);
		}
	}
	CU_ASSERT_EQUAL(wrong, 0);
}

static void finds_no_bit_in_a_healthy_or_zeroed_record(void)
{
	static const uint8_t zeros[INDEX_RECORD_MAX];
	struct index_record record;
	uint32_t byte, bit;

	CU_ASSERT_FALSE(index_find_flipped_bit(&v17->header, record_of(v17), &byte, &bit));
	CU_ASSERT_EQUAL(index_parse_record(&v17->header, span_of(zeros, 112), &record), -EBADMSG);
	CU_ASSERT_FALSE(index_find_flipped_bit(&v17->header, span_of(zeros, 112), &byte, &bit));
}

static void refuses_a_record_of_another_length(void)
{
	struct index_record record;
	uint32_t byte, bit;

	for (uint32_t len = 0; len <= 160; len++) {
		struct span bytes = span_of(real_v17 + 100, len);
		if (len == v17->record_len)
			continue;
		CU_ASSERT_EQUAL(index_parse_record(&v17->header, bytes, &record), -ERANGE);
		CU_ASSERT_FALSE(index_find_flipped_bit(&v17->header, bytes, &byte, &bit));
	}
}

static void refuses_a_record_under_a_header_that_was_not_judged(void)
{
	struct index_header header = v17->header;
	struct index_record record;

	header.version = 20;
	CU_ASSERT_EQUAL(index_parse_record(&header, record_of(v17), &record), -ERANGE);
	header = v17->header;
	header.record_size = 8;
	CU_ASSERT_EQUAL(index_parse_record(&header, span_of(real_v17, 8), &record), -ERANGE);
	header.record_size = 0;
	CU_ASSERT_EQUAL(index_parse_record(&header, SPAN_NULL, &record), -ERANGE);
}

static void shows_the_fields_of_a_damaged_record(void)
{
	uint8_t bytes[INDEX_RECORD_MAX];
	struct index_record record;

	memcpy(bytes, record_of(v17).data, v17->record_len);
	bytes[3] = 9;
	CU_ASSERT_EQUAL(index_parse_record(&v17->header, span_of(bytes, 112), &record), -EBADMSG);
	CU_ASSERT_EQUAL(record.uid, 9);
	CU_ASSERT_EQUAL(record.size, 1732);
}

static void names_the_field_at_every_offset(void)
{
	static const struct {
		uint32_t version, byte;
		const char *name;
	} cases[] = { { 17, 0, "uid" },
		      { 17, 3, "uid" },
		      { 17, 4, "internaldate" },
		      { 17, 8, "sentdate" },
		      { 17, 12, "size" },
		      { 17, 15, "size" },
		      { 17, 16, "header_size" },
		      { 17, 20, "gmtime" },
		      { 17, 24, "cache_offset" },
		      { 17, 28, "last_updated" },
		      { 17, 32, "flags" },
		      { 17, 36, "user_flags" },
		      { 17, 51, "user_flags" },
		      { 17, 52, "savedate" },
		      { 15, 52, "savedate" },
		      { 14, 55, "content_lines" },
		      { 17, 56, "cache_version" },
		      { 17, 60, "guid" },
		      { 17, 79, "guid" },
		      { 17, 80, "modseq" },
		      { 17, 88, "cid" },
		      { 17, 95, "cid" },
		      { 17, 96, "createdmodseq" },
		      { 17, 104, "cache_crc" },
		      { 17, 108, "crc" },
		      { 17, 111, "crc" },
		      { 17, 112, "outside" },
		      { 13, 88, "cid" },
		      { 13, 96, "cache_crc" },
		      { 13, 100, "crc" },
		      { 13, 104, "outside" },
		      { 12, 87, "modseq" },
		      { 12, 88, "cache_crc" },
		      { 12, 92, "crc" },
		      { 12, 96, "outside" },
		      { 17, UINT32_MAX, "outside" },
		      { 9, 20, "content_offset" },
		      { 9, 60, "uuid" },
		      { 9, 71, "uuid" },
		      { 9, 72, "modseq" },
		      { 9, 80, "outside" },
		      { 10, 60, "guid" },
		      { 10, 87, "modseq" },
		      { 10, 88, "outside" },
		      { 20, 15, "internaldate" },
		      { 20, 31, "size" },
		      { 20, 128, "basecid" },
		      { 20, 140, "crc" },
		      { 20, 144, "outside" } };
	static const struct index_header unknown = { .version = 21, .record_size = 144 };

	for (size_t i = 0; i < array_size(cases); i++) {
		const struct index_header *header = &sample_of(cases[i].version)->header;
		CU_ASSERT_STRING_EQUAL(index_field_name(header, cases[i].byte), cases[i].name);
	}
	CU_ASSERT_STRING_EQUAL(index_field_name(&unknown, 0), "outside");
}

static const struct test_case cases[] = {
	{ "reads_the_header_of_every_version", reads_the_header_of_every_version },
	{ "reads_the_header_of_nine_messages", reads_the_header_of_nine_messages },
	{ "ignores_what_stands_behind_a_short_header", ignores_what_stands_behind_a_short_header },
	CASE(recognises_versions_before_9),
	CASE(believes_a_header_without_a_crc),
	CASE(tells_what_a_version_can_prove),
	{ "leaves_later_versions_to_later_readers", leaves_later_versions_to_later_readers },
	{ "leaves_the_long_records_of_early_version_19",
	  leaves_the_long_records_of_early_version_19 },
	{ "refuses_versions_that_make_no_sense", refuses_versions_that_make_no_sense },
	{ "notices_every_flipped_bit_of_a_header", notices_every_flipped_bit_of_a_header },
	CASE(notices_a_flipped_bit_in_the_shape_of_an_old_header),
	{ "refuses_a_wrong_header_length_under_a_right_crc",
	  refuses_a_wrong_header_length_under_a_right_crc },
	{ "refuses_a_wrong_record_length_under_a_right_crc",
	  refuses_a_wrong_record_length_under_a_right_crc },
	{ "refuses_a_header_cut_anywhere", refuses_a_header_cut_anywhere },
	{ "says_what_a_damaged_header_held", says_what_a_damaged_header_held },
	{ "reads_the_record_of_every_version", reads_the_record_of_every_version },
	CASE(reads_the_records_of_versions_18_to_20),
	CASE(splits_the_offset_in_the_cache_from_its_version),
	CASE(believes_a_record_without_a_crc),
	{ "finds_every_flipped_bit_of_a_record", finds_every_flipped_bit_of_a_record },
	{ "blames_no_single_bit_for_two", blames_no_single_bit_for_two },
	{ "finds_no_bit_in_a_healthy_or_zeroed_record",
	  finds_no_bit_in_a_healthy_or_zeroed_record },
	{ "refuses_a_record_of_another_length", refuses_a_record_of_another_length },
	{ "refuses_a_record_under_a_header_that_was_not_judged",
	  refuses_a_record_under_a_header_that_was_not_judged },
	{ "shows_the_fields_of_a_damaged_record", shows_the_fields_of_a_damaged_record },
	{ "names_the_field_at_every_offset", names_the_field_at_every_offset },
};

const struct test_suite suite_format_index = { "format/index", cases, array_size(cases) };

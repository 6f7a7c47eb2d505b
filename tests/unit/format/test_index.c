// SPDX-License-Identifier: Apache-2.0
/*
 * cyrus.index: real headers and records of every version that 3.6.1 can write come out field by
 * field, and no flipped bit in any of them goes unnoticed or is placed wrongly.
 */
#include "suites.h"

#include <CUnit/CUnit.h>
#include <errno.h>

#include "digest/digest.h"
#include "format/cyrus/index.h"
#include "real_index.h"

#define VERSION_OFF 8
#define START_OFF 12
#define SIZE_OFF 16

/* What stands in the files; the header comes first, record 1 behind it. */
static const struct sample {
	const uint8_t *bytes;
	uint32_t header_len;
	uint32_t record_len;
	struct index_header header;
} samples[] = {
#define OLD_MAILBOX(n, start, size, annot)                                                         \
	{                                                                                          \
		real_v##n, start, size,                                                            \
		{                                                                                  \
			.generation = 17 - n, .version = n, .start_offset = start,                 \
			.record_size = size, .nr_records = 8, .last_uid = 8,                       \
			.uidvalidity = 0x6b0465cd, .exists = 7, .options = 1, .quota_used = 2859,  \
			.highestmodseq = 24, .header_file_crc = 0xfd3583b6,                        \
			.sync_crc_basic = 0x3d089555, .sync_crc_annot = annot,                     \
		}                                                                                  \
	}
	OLD_MAILBOX(12, 128, 96, 0),
	OLD_MAILBOX(13, 128, 104, 0x94d0f2d9),
	OLD_MAILBOX(14, 160, 104, 0x94d0f2d9),
	OLD_MAILBOX(15, 160, 104, 0x94d0f2d9),
	OLD_MAILBOX(16, 160, 112, 0x94d0f2d9),
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
			.last_uid = 1,
			.uidvalidity = 0x6b04a0a7,
			.exists = 1,
			.options = 1,
			.quota_used = 1732,
			.highestmodseq = 2,
			.header_file_crc = 0xbdff4592,
			.sync_crc_basic = 0xc08c6c2b,
			.sync_crc_annot = 0x1c70901f,
		},
	},
};

static const struct sample *const v17 = &samples[array_size(samples) - 1];

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

static void assert_same_header(const struct index_header *a, const struct index_header *b)
{
	CU_ASSERT_EQUAL(a->generation, b->generation);
	CU_ASSERT_EQUAL(a->version, b->version);
	CU_ASSERT_EQUAL(a->start_offset, b->start_offset);
	CU_ASSERT_EQUAL(a->record_size, b->record_size);
	CU_ASSERT_EQUAL(a->nr_records, b->nr_records);
	CU_ASSERT_EQUAL(a->last_uid, b->last_uid);
	CU_ASSERT_EQUAL(a->uidvalidity, b->uidvalidity);
	CU_ASSERT_EQUAL(a->exists, b->exists);
	CU_ASSERT_EQUAL(a->options, b->options);
	CU_ASSERT_EQUAL(a->quota_used, b->quota_used);
	CU_ASSERT_EQUAL(a->highestmodseq, b->highestmodseq);
	CU_ASSERT_EQUAL(a->deletedmodseq, b->deletedmodseq);
	CU_ASSERT_EQUAL(a->header_file_crc, b->header_file_crc);
	CU_ASSERT_EQUAL(a->sync_crc_basic, b->sync_crc_basic);
	CU_ASSERT_EQUAL(a->sync_crc_annot, b->sync_crc_annot);
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
	assert_same_header(&header, &samples[0].header);
}

static void reads_version_18_as_version_17(void)
{
	struct index_header header;
	uint8_t bytes[160];

	memcpy(bytes, real_v17_header, sizeof(bytes));
	put_word(bytes, VERSION_OFF, 18);
	fix_crc(bytes, sizeof(bytes));
	CU_ASSERT_EQUAL(index_parse_header(span_of(bytes, sizeof(bytes)), &header), 0);
	CU_ASSERT_EQUAL(header.version, 18);
	CU_ASSERT_EQUAL(header.exists, 9);
	CU_ASSERT_EQUAL(header.highestmodseq, 10);
}

static void reads_the_fields_that_version_19_moved(void)
{
	struct index_header header;
	uint8_t bytes[160] = { 0 };

	memcpy(bytes, real_v17_header, 60);
	memcpy(bytes + 96, real_v17_header + 96, 32);
	put_word(bytes, VERSION_OFF, 19);
	put_word(bytes, 60, 1001); /* exists */
	put_word(bytes, 64, INDEX_OPTION_DELETED | 1);
	put_word(bytes, 72, 7); /* highestmodseq: an aligned quad */
	put_word(bytes, 76, 9);
	put_word(bytes, 84, 11); /* deletedmodseq */
	fix_crc(bytes, sizeof(bytes));
	CU_ASSERT_EQUAL(index_parse_header(span_of(bytes, sizeof(bytes)), &header), 0);
	CU_ASSERT_EQUAL(header.exists, 1001);
	CU_ASSERT_EQUAL(header.options, INDEX_OPTION_DELETED | 1);
	CU_ASSERT_EQUAL(header.highestmodseq, (uint64_t)7 << 32 | 9);
	CU_ASSERT_EQUAL(header.deletedmodseq, 11);
	CU_ASSERT_EQUAL(header.quota_used, 4270);
	CU_ASSERT_EQUAL(header.sync_crc_annot, 0x19832f78);
}

static void recognises_versions_without_crcs(void)
{
	static const struct {
		const uint8_t *bytes;
		uint64_t len;
		uint32_t version;
	} old[] = {
		{ real_v6_header, sizeof(real_v6_header), 6 },
		{ real_v7_header, sizeof(real_v7_header), 7 },
		{ real_v8_header, sizeof(real_v8_header), 8 },
		{ real_v9_header, sizeof(real_v9_header), 9 },
		{ real_v10_header, sizeof(real_v10_header), 10 },
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

static void leaves_later_versions_to_later_readers(void)
{
	CU_ASSERT_EQUAL(parse_shape(20, 192, 144, false), INDEX_UNKNOWN_VERSION);
	CU_ASSERT_EQUAL(parse_shape(21, 192, 144, false), INDEX_UNKNOWN_VERSION);
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
	} wrong[] = { { 0, 160, 112 },	       { 1, 160, 112 },	 { 5, 76, 60 },
		      { 11, 96, 88 },	       { 6, 76, 72 },	 { 7, 76, 60 },
		      { 8, 96, 80 },	       { 10, 96, 80 },	 { 20, 160, 112 },
		      { 20, 192, 112 },	       { 21, 128, 144 }, { 21, 192, 96 },
		      { 21, 194, 144 },	       { 21, 192, 145 }, { 21, 1 << 20, 144 },
		      { 21, 192, 1 << 20 },    { 65, 192, 144 }, { 1 << 24, 192, 144 },
		      { UINT32_MAX, 192, 144 } };

	for (size_t i = 0; i < array_size(wrong); i++)
		CU_ASSERT_EQUAL(parse_shape(wrong[i].version, wrong[i].start, wrong[i].size, false),
				-EBADMSG);
	/* All of it is at hand, and the CRC is wrong: damage, not a new version. */
	CU_ASSERT_EQUAL(parse_shape(21, 160, 112, false), -EBADMSG);
}

static void notices_every_flipped_bit_of_a_header(void)
{
	for (size_t i = 0; i < array_size(samples); i++) {
		const struct sample *s = &samples[i];
		uint8_t bytes[INDEX_HEADER_MAX];
		struct index_header header;
		unsigned missed = 0;

		memcpy(bytes, s->bytes, s->header_len);
		for (uint32_t bit = 0; bit < s->header_len * 8; bit++) {
			bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
			if (index_parse_header(span_of(bytes, s->header_len), &header) != -EBADMSG)
				missed++;
			bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
		}
		CU_ASSERT_EQUAL(missed, 0);
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

	for (size_t i = 0; i < array_size(samples) - 1; i++) {
		const struct sample *s = &samples[i];
		CU_ASSERT_EQUAL(index_parse_record(&s->header, record_of(s), &record), 0);
		CU_ASSERT_EQUAL(record.uid, 1);
		CU_ASSERT_EQUAL(record.internaldate, 0x6b0465ec);
		CU_ASSERT_EQUAL(record.size, 472);
		CU_ASSERT_EQUAL(record.flags, INDEX_FLAG_EXPUNGED | 4);
		CU_ASSERT_EQUAL(memcmp(record.guid, old_guid, INDEX_GUID_LEN), 0);
		CU_ASSERT_EQUAL(record.modseq, 14);
	}
	CU_ASSERT_EQUAL(index_parse_record(&v17->header, record_of(v17), &record), 0);
	CU_ASSERT_EQUAL(record.uid, 1);
	CU_ASSERT_EQUAL(record.internaldate, 1795465384);
	CU_ASSERT_EQUAL(record.size, 1732);
	CU_ASSERT_EQUAL(record.flags, 0x10);
	CU_ASSERT_EQUAL(memcmp(record.guid, guid, INDEX_GUID_LEN), 0);
	CU_ASSERT_EQUAL(record.modseq, 2);
}

static void finds_every_flipped_bit_of_a_record(void)
{
	for (size_t i = 0; i < array_size(samples); i++) {
		const struct sample *s = &samples[i];
		uint8_t bytes[INDEX_RECORD_MAX];
		struct index_record record;
		unsigned unnoticed = 0, misplaced = 0;

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
		      { 17, UINT32_MAX, "outside" } };

	for (size_t i = 0; i < array_size(cases); i++) {
		const struct index_header *header = NULL;
		for (size_t j = 0; j < array_size(samples); j++)
			if (samples[j].header.version == cases[i].version)
				header = &samples[j].header;
		CU_ASSERT_PTR_NOT_NULL_FATAL(header);
		CU_ASSERT_STRING_EQUAL(index_field_name(header, cases[i].byte), cases[i].name);
	}
}

static const struct test_case cases[] = {
	{ "reads_the_header_of_every_version", reads_the_header_of_every_version },
	{ "reads_the_header_of_nine_messages", reads_the_header_of_nine_messages },
	{ "ignores_what_stands_behind_a_short_header", ignores_what_stands_behind_a_short_header },
	{ "reads_version_18_as_version_17", reads_version_18_as_version_17 },
	{ "reads_the_fields_that_version_19_moved", reads_the_fields_that_version_19_moved },
	{ "recognises_versions_without_crcs", recognises_versions_without_crcs },
	{ "leaves_later_versions_to_later_readers", leaves_later_versions_to_later_readers },
	{ "leaves_the_long_records_of_early_version_19",
	  leaves_the_long_records_of_early_version_19 },
	{ "refuses_versions_that_make_no_sense", refuses_versions_that_make_no_sense },
	{ "notices_every_flipped_bit_of_a_header", notices_every_flipped_bit_of_a_header },
	{ "refuses_a_wrong_header_length_under_a_right_crc",
	  refuses_a_wrong_header_length_under_a_right_crc },
	{ "refuses_a_wrong_record_length_under_a_right_crc",
	  refuses_a_wrong_record_length_under_a_right_crc },
	{ "refuses_a_header_cut_anywhere", refuses_a_header_cut_anywhere },
	{ "says_what_a_damaged_header_held", says_what_a_damaged_header_held },
	{ "reads_the_record_of_every_version", reads_the_record_of_every_version },
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

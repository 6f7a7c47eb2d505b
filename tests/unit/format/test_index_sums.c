// SPDX-License-Identifier: Apache-2.0
/*
 * What records add up to: the stored counters and sync CRCs of real files come out, published lines
 * have their published CRCs, and each field of a record changes what it should and nothing else.
 */
#include "suites.h"

#include <CUnit/CUnit.h>

#include "base/buf.h"
#include "digest/digest.h"
#include "format/cyrus/index_sums.h"
#include "index_files.h"

#define NS INT64_C(1000000000)
#define SEED INDEX_SYNC_ANNOT_SEED
#define PREFIX " /vendor/cmu/cyrus-imapd/"

static uint32_t crc_of(const char *text)
{
	return crc32_of(span_of_str(text));
}

/* A header of a mailbox with these flags and nothing else; NULL is a slot that is not used. */
static void name_flags(struct mailbox_header *header, const char *const *names, size_t nr)
{
	*header = MAILBOX_HEADER_NULL;
	for (size_t i = 0; i < nr; i++) {
		const char *name = names[i] ? names[i] : "";
		header->flag_off[i] = (uint32_t)header->flags.len;
		buf_add(&header->flags, name, strlen(name) + 1);
		header->nr_flags++;
	}
	CU_ASSERT_EQUAL_FATAL(buf_error(&header->flags), 0);
}

/* Parses a whole file and adds it up. */
static void sum_file(const uint8_t *bytes, const struct mailbox_header *flags,
		     struct index_header *header, struct index_sums *sums)
{
	CU_ASSERT_EQUAL_FATAL(index_parse_header(span_of(bytes, INDEX_HEADER_MAX), header), 0);
	index_sums_init(sums, header->version, flags);
	for (uint32_t i = 0; i < header->nr_records; i++) {
		const uint8_t *at = bytes + header->start_offset + i * header->record_size;
		struct index_record record;
		CU_ASSERT_EQUAL(
			index_parse_record(header, span_of(at, header->record_size), &record), 0);
		index_sums_add(sums, &record);
	}
}

static void assert_counters(const struct index_sums *sums, const struct index_header *header)
{
	CU_ASSERT_EQUAL(sums->exists, header->exists);
	CU_ASSERT_EQUAL(sums->answered, header->answered);
	CU_ASSERT_EQUAL(sums->flagged, header->flagged);
	CU_ASSERT_EQUAL(sums->deleted, header->deleted);
	CU_ASSERT_EQUAL(sums->quota_used, header->quota_used);
	CU_ASSERT(sums->max_modseq <= header->highestmodseq);
	CU_ASSERT_EQUAL(sums->max_uid, header->last_uid);
	if (header->version >= 12)
		CU_ASSERT_EQUAL(sums->first_expunged_ns, header->first_expunged_ns);
	if (header->version >= 14)
		CU_ASSERT_EQUAL(sums->unseen, header->unseen);
	if (header->version >= 18) {
		CU_ASSERT_EQUAL(sums->quota_deleted_used, header->quota_deleted_used);
		CU_ASSERT_EQUAL(sums->quota_expunged_used, header->quota_expunged_used);
	}
}

/* ---- real files ---- */

/* Those of user v: 34 flags, in two words. */
static void name_flags_of_v(struct mailbox_header *header)
{
	static char texts[33][4];
	const char *names[34] = { "Work" };

	for (unsigned i = 0; i < 33; i++) {
		texts[i][0] = 'K';
		texts[i][1] = (char)('0' + (i + 1) / 10);
		texts[i][2] = (char)('0' + (i + 1) % 10);
		names[i + 1] = texts[i];
	}
	name_flags(header, names, array_size(names));
}

static const struct {
	const uint8_t *bytes;
	uint32_t nr_records, expunged;
} real_files[] = {
	{ file_v9, 4, 0 },  { file_v10, 4, 0 }, { file_v12, 5, 1 }, { file_v13, 5, 1 },
	{ file_v14, 5, 1 }, { file_v15, 5, 1 }, { file_v16, 5, 1 }, { file_v17, 5, 1 },
};

static void comes_to_the_stored_counters_of_every_version(void)
{
	for (size_t i = 0; i < array_size(real_files); i++) {
		struct index_header header;
		struct index_sums sums;
		sum_file(real_files[i].bytes, NULL, &header, &sums);
		assert_counters(&sums, &header);
		CU_ASSERT_EQUAL(sums.nr_records, real_files[i].nr_records);
		CU_ASSERT_EQUAL(sums.expunged, real_files[i].expunged);
		CU_ASSERT_EQUAL(sums.unlinked, 0);
	}
}

static void comes_to_the_stored_basic_crc_of_every_version(void)
{
	struct mailbox_header flags;

	name_flags_of_v(&flags);
	for (size_t i = 0; i < array_size(real_files); i++) {
		struct index_header header;
		struct index_sums sums;
		sum_file(real_files[i].bytes, &flags, &header, &sums);
		CU_ASSERT_EQUAL(sums.sync_crc_basic, header.sync_crc_basic);
		CU_ASSERT_EQUAL(sums.sync_crc_basic == 0, header.version < 12);
		CU_ASSERT(index_sums_basic_agrees(&sums, &header));
		CU_ASSERT_EQUAL(sums.user_flags[0], 0xffffffff);
		CU_ASSERT_EQUAL(sums.user_flags[1], 3);
	}
	buf_fini(&flags.flags);
}

/* The lines of what a version cannot hold: 3.6.1 made annotations of them. */
static void add_what_became_annotations(struct index_sums *sums)
{
	uint32_t version = sums->version;

	sums->version = 17;
	for (uint32_t i = 0; i < 5; i++) {
		static const struct index_header header = { .version = 17, .record_size = 112 };
		struct index_record record;
		struct index_sums one;
		struct span bytes = span_of(file_v17 + 160 + i * 112, 112);
		CU_ASSERT_EQUAL(index_parse_record(&header, bytes, &record), 0);
		if (version >= 15)
			record.savedate_ns = 0;
		if (version >= 16)
			record.createdmodseq = 0;
		record.cid = 0;
		index_sums_init(&one, 17, NULL);
		index_sums_add(&one, &record);
		index_sums_add_annotation(sums, one.sync_crc_annot ^ SEED);
	}
	sums->version = version;
}

static void comes_to_the_stored_annotation_crc_with_the_stored_annotations(void)
{
	for (size_t i = 3; i < array_size(real_files); i++) {
		struct index_header header;
		struct index_sums sums;
		sum_file(real_files[i].bytes, NULL, &header, &sums);
		CU_ASSERT_FALSE(index_sums_annot_agrees(&sums, &header));
		add_what_became_annotations(&sums);
		CU_ASSERT_FALSE(index_sums_annot_agrees(&sums, &header));
		index_sums_add_annotation(&sums, crc_of("2 /comment v my own"));
		CU_ASSERT_EQUAL(sums.sync_crc_annot, header.sync_crc_annot);
		CU_ASSERT(index_sums_annot_agrees(&sums, &header));
	}
}

static void has_no_annotation_crc_before_version_13(void)
{
	for (size_t i = 0; i < 3; i++) {
		struct index_header header;
		struct index_sums sums;
		sum_file(real_files[i].bytes, NULL, &header, &sums);
		CU_ASSERT_EQUAL(sums.sync_crc_annot, 0);
		CU_ASSERT_EQUAL(header.sync_crc_annot, 0);
		CU_ASSERT(index_sums_annot_agrees(&sums, &header));
	}
}

/* One of the ids is 0befa3222a24ba2a: 3.6.1 left out the zero, 3.13 would not. */
static void takes_thread_ids_in_either_form(void)
{
	struct index_header header;
	struct index_sums sums;

	sum_file(file_threads, NULL, &header, &sums);
	assert_counters(&sums, &header);
	CU_ASSERT_EQUAL(sums.sync_crc_basic, header.sync_crc_basic);
	CU_ASSERT_EQUAL(sums.sync_crc_annot, header.sync_crc_annot);
	CU_ASSERT(index_sums_annot_agrees(&sums, &header));
	CU_ASSERT_EQUAL(sums.other_thread_ids,
			crc_of("2" PREFIX "thrid  befa3222a24ba2a") ^
				crc_of("2" PREFIX "thrid  0befa3222a24ba2a"));
	header.sync_crc_annot ^= sums.other_thread_ids;
	CU_ASSERT(index_sums_annot_agrees(&sums, &header));
	header.sync_crc_annot ^= SEED;
	CU_ASSERT(index_sums_annot_agrees(&sums, &header));
	header.sync_crc_annot ^= 1;
	CU_ASSERT_FALSE(index_sums_annot_agrees(&sums, &header));
}

/* Their sync CRCs were computed by another program. */
static void comes_to_what_was_laid_in_versions_18_to_20(void)
{
	static const uint8_t *const files[] = { file_v18, file_v19, file_v20 };
	const char *names[128] = { [0] = "$Label1", [33] = "MyFlag", [127] = "Last" };
	struct mailbox_header flags;

	name_flags(&flags, names, array_size(names));
	for (size_t i = 0; i < array_size(files); i++) {
		struct index_header header;
		struct index_sums sums;
		sum_file(files[i], &flags, &header, &sums);
		CU_ASSERT_EQUAL(header.version, 18 + i);
		assert_counters(&sums, &header);
		CU_ASSERT_EQUAL(sums.sync_crc_basic, header.sync_crc_basic);
		CU_ASSERT_EQUAL(sums.sync_crc_annot, header.sync_crc_annot);
		CU_ASSERT_EQUAL(sums.max_modseq, (UINT64_C(1) << 33) + 1);
		CU_ASSERT_EQUAL(sums.expunged, 1);
	}
	buf_fini(&flags.flags);
}

/* ---- published lines ---- */

static const uint8_t guid_1[INDEX_GUID_LEN] = {
	0xb9, 0x94, 0x9f, 0x40, 0xbc, 0x0f, 0x71, 0x25, 0x6a, 0x4b,
	0xdd, 0xed, 0xa1, 0x84, 0x4d, 0xfc, 0x74, 0xca, 0x73, 0x1a,
};
static const uint8_t guid_2[INDEX_GUID_LEN] = {
	0x9c, 0x54, 0xf1, 0x55, 0xb6, 0xf9, 0xb8, 0x34, 0x45, 0x90,
	0xb0, 0x6d, 0x22, 0x1e, 0x9b, 0x9a, 0x85, 0xa1, 0xb6, 0xfc,
};

static struct index_record a_record(void)
{
	struct index_record record = {
		.uid = 1,
		.size = 700,
		.internaldate_ns = 1795450348 * NS,
		.last_updated_ns = 1795450348 * NS,
		.savedate_ns = 1795450348 * NS,
		.modseq = 2,
		.createdmodseq = 2,
		.cid = 0x286746a1b7667a37,
	};

	memcpy(record.guid, guid_1, sizeof(guid_1));
	return record;
}

static struct index_sums sum_one(uint32_t version, const struct index_record *record,
				 const struct mailbox_header *flags)
{
	struct index_sums sums;

	index_sums_init(&sums, version, flags);
	index_sums_add(&sums, record);
	return sums;
}

static void gives_the_published_basic_crcs(void)
{
	const char *names[] = { NULL, "OtherFlag" };
	struct index_record record = a_record();
	struct mailbox_header flags;

	CU_ASSERT_EQUAL(sum_one(17, &record, NULL).sync_crc_basic, 2083423444);
	name_flags(&flags, names, array_size(names));
	record.modseq = 15;
	record.flags = INDEX_FLAG_SEEN;
	record.user_flags[0] = 2;
	memcpy(record.guid, guid_2, sizeof(guid_2));
	CU_ASSERT_EQUAL(sum_one(17, &record, &flags).sync_crc_basic, 3933997145);
	buf_fini(&flags.flags);
}

static void gives_the_published_annotation_crcs(void)
{
	struct index_record record = a_record();

	CU_ASSERT_EQUAL(sum_one(17, &record, NULL).sync_crc_annot, 2347777044);
	CU_ASSERT_EQUAL(sum_one(15, &record, NULL).sync_crc_annot, SEED ^ 1123886542 ^ 3699164745);
	CU_ASSERT_EQUAL(sum_one(14, &record, NULL).sync_crc_annot, SEED ^ 1123886542);
	CU_ASSERT_EQUAL(sum_one(12, &record, NULL).sync_crc_annot, 0);
	record.cid = 0;
	record.savedate_ns = 0;
	CU_ASSERT_EQUAL(sum_one(16, &record, NULL).sync_crc_annot, SEED ^ 365805277);
	record.createdmodseq = 0;
	CU_ASSERT_EQUAL(sum_one(16, &record, NULL).sync_crc_annot, SEED);
}

static void gives_the_known_crc_of_every_system_flag(void)
{
	static const struct {
		uint32_t flag;
		const char *name;
	} flags[] = {
		{ INDEX_FLAG_ANSWERED, "\\answered" }, { INDEX_FLAG_FLAGGED, "\\flagged" },
		{ INDEX_FLAG_DELETED, "\\deleted" },   { INDEX_FLAG_DRAFT, "\\draft" },
		{ INDEX_FLAG_SEEN, "\\seen" },	       { INDEX_FLAG_ARCHIVED, NULL },
		{ INDEX_FLAG_SNOOZED, NULL },	       { INDEX_FLAG_NEEDS_CLEANUP, NULL },
		{ INDEX_FLAG_UNLINKED, NULL },
	};

	for (size_t i = 0; i < array_size(flags); i++) {
		struct index_record record = a_record();
		struct buf line cleanup(buf_fini) = BUF_NULL;
		record.flags = flags[i].flag;
		buf_addf(&line,
			 "1 2 1795450348 (%u) 1795450348 b9949f40bc0f71256a4bddeda1844dfc74ca731a",
			 flags[i].name ? crc_of(flags[i].name) : 0);
		CU_ASSERT_EQUAL(sum_one(17, &record, NULL).sync_crc_basic,
				crc32_of(buf_span(&line)));
	}
}

static void writes_the_largest_and_the_smallest_numbers(void)
{
	struct index_record record = {
		.uid = UINT32_MAX,
		.modseq = UINT64_MAX,
		.last_updated_ns = -1,
		.internaldate_ns = -1,
		.createdmodseq = UINT64_MAX,
		.savedate_ns = -1,
		.cid = UINT64_MAX,
		.basecid = 1,
	};
	struct index_sums sums;

	memset(record.guid, 0xff, sizeof(record.guid));
	sums = sum_one(20, &record, NULL);
	CU_ASSERT_EQUAL(sums.sync_crc_basic,
			crc_of("4294967295 18446744073709551615 18446744073 (0) 18446744073 "
			       "ffffffffffffffffffffffffffffffffffffffff"));
	CU_ASSERT_EQUAL(sums.sync_crc_annot,
			SEED ^ crc_of("4294967295" PREFIX "thrid  ffffffffffffffff") ^
				crc_of("4294967295" PREFIX "savedate  18446744073") ^
				crc_of("4294967295" PREFIX "createdmodseq  18446744073709551615") ^
				crc_of("4294967295" PREFIX "internaldate.nsec  709551615") ^
				crc_of("4294967295" PREFIX "basethrid  0000000000000001"));
	record = (struct index_record){ .uid = 1, .cid = 1 };
	sums = sum_one(13, &record, NULL);
	CU_ASSERT_EQUAL(sums.sync_crc_basic,
			crc_of("1 0 0 (0) 0 0000000000000000000000000000000000000000"));
	CU_ASSERT_EQUAL(sums.sync_crc_annot, SEED ^ crc_of("1" PREFIX "thrid  1"));
	sums = sum_one(20, &record, NULL);
	CU_ASSERT_EQUAL(sums.sync_crc_annot, SEED ^ crc_of("1" PREFIX "thrid  0000000000000001"));
	CU_ASSERT_EQUAL(sums.other_thread_ids, crc_of("1" PREFIX "thrid  0000000000000001") ^
						       crc_of("1" PREFIX "thrid  1"));
}

/* ---- names of flags ---- */

static void lowers_the_names_of_flags_and_passes_over_bits_without_one(void)
{
	const char *names[128] = {
		[0] = "AZaz$[`{\xc4\x96", [31] = "x", [32] = "Y", [127] = "Last"
	};
	struct index_record record = a_record();
	struct mailbox_header flags;
	struct index_sums sums, none;

	name_flags(&flags, names, array_size(names));
	index_sums_init(&sums, 17, &flags);
	CU_ASSERT_EQUAL(sums.flag_crcs[0], crc_of("azaz$[`{\xc4\x96"));
	CU_ASSERT_EQUAL(sums.flag_crcs[31], crc_of("x"));
	CU_ASSERT_EQUAL(sums.flag_crcs[32], crc_of("y"));
	CU_ASSERT_EQUAL(sums.flag_crcs[127], crc_of("last"));
	CU_ASSERT_EQUAL(sums.flag_crcs[1], 0);
	CU_ASSERT_EQUAL(sums.named[0], 0x80000001);
	CU_ASSERT_EQUAL(sums.named[1], 1);
	CU_ASSERT_EQUAL(sums.named[2], 0);
	CU_ASSERT_EQUAL(sums.named[3], 0x80000000);
	none = sum_one(17, &record, &flags);
	record.user_flags[0] = 0x7ffffffe;
	record.user_flags[2] = UINT32_MAX;
	sums = sum_one(17, &record, &flags);
	CU_ASSERT_EQUAL(sums.sync_crc_basic, none.sync_crc_basic);
	CU_ASSERT_EQUAL(sums.user_flags[2], UINT32_MAX);
	record.user_flags[3] = 0x80000000;
	CU_ASSERT_NOT_EQUAL(sum_one(17, &record, &flags).sync_crc_basic, none.sync_crc_basic);
	CU_ASSERT_EQUAL(sum_one(17, &record, NULL).sync_crc_basic, none.sync_crc_basic);
	buf_fini(&flags.flags);
}

static void takes_no_more_of_a_name_than_cyrus(void)
{
	static char name[5000], cut[4096];
	const char *names[] = { name };
	struct mailbox_header flags;
	struct index_sums sums;

	memset(name, 'N', sizeof(name) - 1);
	memset(cut, 'n', sizeof(cut) - 1);
	name_flags(&flags, names, 1);
	index_sums_init(&sums, 17, &flags);
	CU_ASSERT_EQUAL(sums.flag_crcs[0], crc_of(cut));
	buf_fini(&flags.flags);
}

/* ---- counters ---- */

static void counts_no_wiped_slot(void)
{
	struct index_record record = a_record();
	struct index_sums sums, empty;

	record.uid = 0;
	record.flags = INDEX_FLAG_EXPUNGED | INDEX_FLAG_UNLINKED;
	sums = sum_one(17, &record, NULL);
	index_sums_init(&empty, 17, NULL);
	CU_ASSERT_EQUAL(memcmp(&sums, &empty, sizeof(sums)), 0);
	CU_ASSERT_EQUAL(sums.sync_crc_basic, 0);
	CU_ASSERT_EQUAL(sums.sync_crc_annot, SEED);
}

static void counts_of_an_expunged_record_what_still_lies_there(void)
{
	struct index_record record = a_record();
	struct index_sums sums;

	index_sums_init(&sums, 17, NULL);
	record.flags = INDEX_FLAG_EXPUNGED | INDEX_FLAG_DELETED | INDEX_FLAG_FLAGGED;
	record.user_flags[0] = 1;
	index_sums_add(&sums, &record);
	record.uid = 2;
	record.size = 40;
	record.last_updated_ns -= NS;
	index_sums_add(&sums, &record);
	record.uid = 3;
	record.flags |= INDEX_FLAG_UNLINKED;
	record.last_updated_ns -= NS;
	record.modseq = 99;
	index_sums_add(&sums, &record);
	record.flags &= ~INDEX_FLAG_UNLINKED;
	record.size = 0;
	record.last_updated_ns = 0; /* says nothing */
	index_sums_add(&sums, &record);
	CU_ASSERT_EQUAL(sums.nr_records, 4);
	CU_ASSERT_EQUAL(sums.expunged, 4);
	CU_ASSERT_EQUAL(sums.exists, 0);
	CU_ASSERT_EQUAL(sums.deleted, 0);
	CU_ASSERT_EQUAL(sums.flagged, 0);
	CU_ASSERT_EQUAL(sums.unseen, 0);
	CU_ASSERT_EQUAL(sums.unlinked, 0);
	CU_ASSERT_EQUAL(sums.quota_used, 0);
	CU_ASSERT_EQUAL(sums.quota_deleted_used, 0);
	CU_ASSERT_EQUAL(sums.quota_expunged_used, 740);
	CU_ASSERT_EQUAL(sums.first_expunged_ns, 1795450347 * NS);
	CU_ASSERT_EQUAL(sums.user_flags[0], 0);
	CU_ASSERT_EQUAL(sums.max_modseq, 99);
	CU_ASSERT_EQUAL(sums.max_uid, 3);
	CU_ASSERT_EQUAL(sums.sync_crc_basic, 0);
	CU_ASSERT_EQUAL(sums.sync_crc_annot, SEED);
}

static void counts_what_is_unlinked_and_not_expunged_apart(void)
{
	struct index_record record = a_record();
	struct index_sums sums;

	record.flags = INDEX_FLAG_UNLINKED;
	sums = sum_one(17, &record, NULL);
	CU_ASSERT_EQUAL(sums.unlinked, 1);
	CU_ASSERT_EQUAL(sums.exists, 1);
	CU_ASSERT_EQUAL(sums.expunged, 0);
	CU_ASSERT_EQUAL(sums.sync_crc_basic, 2083423444);
}

static void counts_each_flag_by_itself(void)
{
	static const struct {
		uint32_t flag;
		uint32_t answered, flagged, deleted, unseen;
	} flags[] = {
		{ 0, 0, 0, 0, 1 },
		{ INDEX_FLAG_ANSWERED, 1, 0, 0, 1 },
		{ INDEX_FLAG_FLAGGED, 0, 1, 0, 1 },
		{ INDEX_FLAG_DELETED, 0, 0, 1, 1 },
		{ INDEX_FLAG_DRAFT, 0, 0, 0, 1 },
		{ INDEX_FLAG_SEEN, 0, 0, 0, 0 },
		{ INDEX_FLAG_ARCHIVED, 0, 0, 0, 1 },
	};

	for (size_t i = 0; i < array_size(flags); i++) {
		struct index_record record = a_record();
		struct index_sums sums;
		record.size = UINT64_C(1) << 40;
		record.flags = flags[i].flag;
		sums = sum_one(20, &record, NULL);
		CU_ASSERT_EQUAL(sums.exists, 1);
		CU_ASSERT_EQUAL(sums.answered, flags[i].answered);
		CU_ASSERT_EQUAL(sums.flagged, flags[i].flagged);
		CU_ASSERT_EQUAL(sums.deleted, flags[i].deleted);
		CU_ASSERT_EQUAL(sums.unseen, flags[i].unseen);
		CU_ASSERT_EQUAL(sums.quota_used, UINT64_C(1) << 40);
		CU_ASSERT_EQUAL(sums.quota_deleted_used, flags[i].deleted ? UINT64_C(1) << 40 : 0);
	}
}

/* ---- agreement ---- */

static void agrees_with_what_was_never_computed(void)
{
	struct index_record record = a_record();
	struct index_sums sums = sum_one(17, &record, NULL);
	struct index_header header = { .version = 17 };

	CU_ASSERT(index_sums_basic_agrees(&sums, &header));
	CU_ASSERT(index_sums_annot_agrees(&sums, &header));
	header.sync_crc_basic = sums.sync_crc_basic ^ 0x80;
	header.sync_crc_annot = sums.sync_crc_annot ^ 0x80;
	CU_ASSERT_FALSE(index_sums_basic_agrees(&sums, &header));
	CU_ASSERT_FALSE(index_sums_annot_agrees(&sums, &header));
	/* An empty mailbox comes to 0; what is stored for one that is not, does not agree. */
	index_sums_init(&sums, 17, NULL);
	CU_ASSERT_FALSE(index_sums_basic_agrees(&sums, &header));
}

static void agrees_with_sums_that_began_with_0(void)
{
	struct index_record record = a_record();
	struct index_sums sums = sum_one(17, &record, NULL);
	struct index_header header = { .sync_crc_basic = sums.sync_crc_basic,
				       .sync_crc_annot = sums.sync_crc_annot };

	CU_ASSERT(index_sums_annot_agrees(&sums, &header));
	header.sync_crc_annot ^= SEED;
	CU_ASSERT(index_sums_annot_agrees(&sums, &header));
	header.sync_crc_basic ^= SEED;
	CU_ASSERT_FALSE(index_sums_basic_agrees(&sums, &header));
}

static void counts_an_annotation_twice_as_none(void)
{
	struct index_record record = a_record();
	struct index_sums sums = sum_one(17, &record, NULL);
	uint32_t before = sums.sync_crc_annot;

	index_sums_add_annotation(&sums, 0x1234);
	CU_ASSERT_EQUAL(sums.sync_crc_annot, before ^ 0x1234);
	index_sums_add_annotation(&sums, 0x1234);
	CU_ASSERT_EQUAL(sums.sync_crc_annot, before);
}

static const struct test_case cases[] = {
	CASE(comes_to_the_stored_counters_of_every_version),
	CASE(comes_to_the_stored_basic_crc_of_every_version),
	CASE(comes_to_the_stored_annotation_crc_with_the_stored_annotations),
	CASE(has_no_annotation_crc_before_version_13),
	CASE(takes_thread_ids_in_either_form),
	CASE(comes_to_what_was_laid_in_versions_18_to_20),
	CASE(gives_the_published_basic_crcs),
	CASE(gives_the_published_annotation_crcs),
	CASE(gives_the_known_crc_of_every_system_flag),
	CASE(writes_the_largest_and_the_smallest_numbers),
	CASE(lowers_the_names_of_flags_and_passes_over_bits_without_one),
	CASE(takes_no_more_of_a_name_than_cyrus),
	CASE(counts_no_wiped_slot),
	CASE(counts_of_an_expunged_record_what_still_lies_there),
	CASE(counts_what_is_unlinked_and_not_expunged_apart),
	CASE(counts_each_flag_by_itself),
	CASE(agrees_with_what_was_never_computed),
	CASE(agrees_with_sums_that_began_with_0),
	CASE(counts_an_annotation_twice_as_none),
};

const struct test_suite suite_format_index_sums = { "format/index_sums", cases, array_size(cases) };

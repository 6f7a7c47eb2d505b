// SPDX-License-Identifier: Apache-2.0
/*
 * Agree: files of a mailbox that say the same make no problem; each field that differs makes its
 * own, and no other. A field that was never recorded, or that the version has not, agrees with
 * everything.
 */
#include "suites.h"

#include <CUnit/CUnit.h>
#include <string.h>

#include "base/clock.h"
#include "base/compiler.h"
#include "verify/agree.h"

/* An index of version 19, its sums, and everything beside it, all in agreement. */
struct room {
	struct index_header index;
	struct index_sums sums;
	struct record_counts counts;
	struct mailbox_header header;
	struct mailbox_entry entry;
	struct report report;
	uint64_t file_size;
	uint32_t crc;
	bool knows_flags, knows_annotations;
};

static void room_open(struct room *room)
{
	*room = (struct room){
		.index = {
			.version = 19, .start_offset = 160, .record_size = 112, .nr_records = 3,
			.last_uid = 9, .uidvalidity = 77, .exists = 2, .answered = 1, .flagged = 1,
			.deleted = 1, .unseen = 1, .quota_used = 500, .quota_deleted_used = 100,
			.quota_expunged_used = 50, .highestmodseq = 40, .deletedmodseq = 7,
			.header_file_crc = 0x1234, .sync_crc_basic = 0xaa, .sync_crc_annot = 0xbb,
		},
		.sums = {
			.version = 19, .nr_records = 3, .exists = 2, .answered = 1, .flagged = 1,
			.deleted = 1, .unseen = 1, .expunged = 1, .quota_used = 500,
			.quota_deleted_used = 100, .quota_expunged_used = 50, .max_modseq = 40,
			.max_uid = 9, .sync_crc_basic = 0xaa, .sync_crc_annot = 0xbb,
			.named = { 3 }, .user_flags = { 1 },
		},
		.file_size = 160 + 3 * 112,
		.crc = 0x1234,
		.knows_flags = true,
		.knows_annotations = true,
		.header = MAILBOX_HEADER_NULL,
		.entry = MAILBOX_ENTRY_NULL,
		.report = REPORT_NULL,
	};
	room->header.is_dlist = true;
	room->header.has_unique_id = true;
	buf_add_str(&room->header.name, "user.a");
	buf_add_str(&room->header.unique_id, "id1");
	buf_add_str(&room->header.acl, "a\tlrs\tb\tlr\t");
	buf_add_str(&room->entry.name, "user.a");
	buf_add_str(&room->entry.unique_id, "id1");
	buf_add_str(&room->entry.acl, "a\tlrs\tb\tlr\t");
	room->entry.uidvalidity = 77;
}

static void room_look(struct room *room)
{
	agree_index(&room->report, &room->index, room->file_size, &room->sums, &room->counts,
		    room->knows_flags, room->knows_annotations);
	agree_header(&room->report, &room->header, room->crc, &room->index, &room->entry);
	agree_entry(&room->report, &room->entry, &room->index);
	agree_flags(&room->report, &room->sums);
}

static void room_close(struct room *room)
{
	report_fini(&room->report);
	mailbox_header_fini(&room->header);
	mailbox_entry_fini(&room->entry);
}

static void says_nothing_of_what_agrees(void)
{
	struct room room;

	room_open(&room);
	room_look(&room);
	CU_ASSERT_TRUE(report_is_clean(&room.report));
	room_close(&room);
}

static void set_text(struct buf *b, const char *text)
{
	buf_clear(b);
	buf_add_str(b, text);
}

#define DAMAGE(name, statement)                                                                    \
	static void name(struct room *r)                                                           \
	{                                                                                          \
		statement;                                                                         \
	}
DAMAGE(exists, r->index.exists++)
DAMAGE(answered, r->index.answered++)
DAMAGE(flagged, r->index.flagged++)
DAMAGE(deleted, r->index.deleted++)
DAMAGE(unseen, r->index.unseen++)
DAMAGE(quota_used, r->index.quota_used++)
DAMAGE(quota_deleted, r->index.quota_deleted_used++)
DAMAGE(quota_expunged, r->index.quota_expunged_used++)
DAMAGE(basic, r->index.sync_crc_basic ^= 4)
DAMAGE(annot, r->index.sync_crc_annot ^= 4)
DAMAGE(modseq, r->sums.max_modseq = 41)
DAMAGE(deletedmodseq, r->index.deletedmodseq = 41)
DAMAGE(created_late, r->counts.created_late = 1)
DAMAGE(last_uid, r->index.last_uid = 8)
DAMAGE(tail, r->file_size++)
DAMAGE(wiped, r->counts.wiped = 1)
DAMAGE(no_guid, r->counts.no_guid = 1)
DAMAGE(future, r->counts.future = 1)
DAMAGE(uidvalidity, r->entry.uidvalidity = 78)
DAMAGE(header_crc, r->crc = 1)
DAMAGE(unique_id, set_text(&r->header.unique_id, "id2"))
DAMAGE(no_unique_id, set_text(&r->header.unique_id, ""))
DAMAGE(name, set_text(&r->header.name, "user.b"))
DAMAGE(acl_rights, set_text(&r->header.acl, "a\tlr\tb\tlr\t"))
DAMAGE(acl_id, set_text(&r->header.acl, "a\tlrs\tc\tlr\t"))
DAMAGE(acl_more, set_text(&r->header.acl, "a\tlrs\tb\tlr\tc\tl\t"))
DAMAGE(flag, r->sums.user_flags[3] = 0x80000000u)

static void says_one_thing_of_each_field_that_differs(void)
{
	static const struct {
		void (*damage)(struct room *room);
		enum finding_code code;
		const char *object;
	} rows[] = {
		{ exists, FINDING_INDEX_COUNTERS, "counter:exists" },
		{ answered, FINDING_INDEX_COUNTERS, "counter:answered" },
		{ flagged, FINDING_INDEX_COUNTERS, "counter:flagged" },
		{ deleted, FINDING_INDEX_COUNTERS, "counter:deleted" },
		{ unseen, FINDING_INDEX_COUNTERS, "counter:unseen" },
		{ quota_used, FINDING_INDEX_COUNTERS, "counter:quota_used" },
		{ quota_deleted, FINDING_INDEX_COUNTERS, "counter:quota_deleted_used" },
		{ quota_expunged, FINDING_INDEX_COUNTERS, "counter:quota_expunged_used" },
		{ basic, FINDING_INDEX_SYNC_CRC, "sync_crc:basic" },
		{ annot, FINDING_INDEX_SYNC_CRC, "sync_crc:annot" },
		{ modseq, FINDING_INDEX_MODSEQ, "modseq:highest" },
		{ deletedmodseq, FINDING_INDEX_MODSEQ, "modseq:deleted" },
		{ created_late, FINDING_INDEX_MODSEQ, "modseq:created" },
		{ last_uid, FINDING_INDEX_LAST_UID, "last_uid" },
		{ tail, FINDING_INDEX_TAIL, "tail" },
		{ wiped, FINDING_INDEX_WIPED, "wiped" },
		{ no_guid, FINDING_INDEX_NO_GUID, "no_guid" },
		{ future, FINDING_INDEX_FUTURE, "future" },
		{ uidvalidity, FINDING_INDEX_UIDVALIDITY, "uidvalidity" },
		{ header_crc, FINDING_HEADER_CRC, "header:crc" },
		{ unique_id, FINDING_HEADER_UNIQUE_ID, "header:unique_id" },
		{ no_unique_id, FINDING_HEADER_UNIQUE_ID, "header:unique_id" },
		{ name, FINDING_HEADER_NAME, "header:name" },
		{ acl_rights, FINDING_HEADER_ACL, "header:acl" },
		{ acl_id, FINDING_HEADER_ACL, "header:acl" },
		{ acl_more, FINDING_HEADER_ACL, "header:acl" },
		{ flag, FINDING_HEADER_FLAGS, "flag:127" },
	};

	for (size_t i = 0; i < array_size(rows); i++) {
		struct room room;
		room_open(&room);
		rows[i].damage(&room);
		room_look(&room);
		CU_ASSERT_EQUAL_FATAL(room.report.nr, 1);
		CU_ASSERT_EQUAL(room.report.problems[0].code, rows[i].code);
		CU_ASSERT_STRING_EQUAL(room.report.problems[0].object, rows[i].object);
		CU_ASSERT_TRUE(room.report.problems[0].detail[0] != '\0');
		room_close(&room);
	}
}

DAMAGE(never_digested, (r->index.sync_crc_basic = 0, r->index.sync_crc_annot = 0))
DAMAGE(begun_with_0, r->index.sync_crc_annot ^= INDEX_SYNC_ANNOT_SEED)
DAMAGE(no_file_crc, r->index.header_file_crc = 0)
DAMAGE(no_uidvalidity, r->entry.uidvalidity = 0)
DAMAGE(no_id_listed, set_text(&r->entry.unique_id, ""))
DAMAGE(old_name_by_name, (r->entry.legacy_dirs = true, set_text(&r->header.name, "user.old")))
DAMAGE(text_has_no_name, (r->header.is_dlist = false, set_text(&r->header.name, "")))
DAMAGE(acl_in_other_order, set_text(&r->header.acl, "b\trl\ta\tslr\t"))
DAMAGE(flags_unknown, (r->knows_flags = false, r->index.sync_crc_basic = 1))
DAMAGE(annotations_unknown, (r->knows_annotations = false, r->index.sync_crc_annot = 1))
DAMAGE(version_17,
       (r->index.version = 17, r->index.quota_deleted_used = 0, r->index.quota_expunged_used = 0))
DAMAGE(version_13, (r->index.version = 13, r->index.unseen = 0, r->index.quota_deleted_used = 0,
		    r->index.quota_expunged_used = 0))
DAMAGE(version_10, (r->index.version = 10, r->index.exists = 3, r->index.unseen = 0,
		    r->index.quota_deleted_used = 0, r->index.quota_expunged_used = 0,
		    r->index.sync_crc_basic = 5, r->index.sync_crc_annot = 6))

DAMAGE(unlinked, (r->sums.unlinked = 1, r->index.exists = 9, r->index.sync_crc_basic = 9))
DAMAGE(expunged_10, (version_10(r), r->index.answered = 7))

static void lets_pass_what_was_never_recorded(void)
{
	static void (*const damages[])(struct room * room) = {
		never_digested,	     begun_with_0,	 no_file_crc,
		no_uidvalidity,	     no_id_listed,	 old_name_by_name,
		text_has_no_name,    acl_in_other_order, flags_unknown,
		annotations_unknown, version_17,	 version_13,
		version_10,	     unlinked,		 expunged_10,
	};

	for (size_t i = 0; i < array_size(damages); i++) {
		struct room room;
		room_open(&room);
		damages[i](&room);
		room_look(&room);
		CU_ASSERT_EQUAL(room.report.nr, 0);
		room_close(&room);
	}
}

/* One bad record makes every sum wrong, and that is said of the record. */
static void judges_no_sums_where_records_are_damaged(void)
{
	struct room room;

	room_open(&room);
	exists(&room);
	basic(&room);
	annot(&room);
	modseq(&room);
	last_uid(&room);
	room.counts.bad = 1;
	room_look(&room);
	CU_ASSERT_EQUAL(room.report.nr, 0);
	room_close(&room);
}

/* A look during which the index moved judges the header file by the list alone. */
static void does_without_an_index_that_moved(void)
{
	struct room room;

	room_open(&room);
	header_crc(&room);
	name(&room);
	agree_header(&room.report, &room.header, room.crc, NULL, &room.entry);
	CU_ASSERT_EQUAL_FATAL(room.report.nr, 1);
	CU_ASSERT_EQUAL(room.report.problems[0].code, FINDING_HEADER_NAME);
	room_close(&room);
}

static const struct test_case cases[] = {
	CASE(says_nothing_of_what_agrees),	 CASE(says_one_thing_of_each_field_that_differs),
	CASE(lets_pass_what_was_never_recorded), CASE(judges_no_sums_where_records_are_damaged),
	CASE(does_without_an_index_that_moved),
};

const struct test_suite suite_verify_agree = { "verify/agree", cases, array_size(cases) };

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One function for each pair of witnesses. A field that the version has not, or that was never
 * recorded, agrees with everything.
 */
#include "verify/agree.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "format/cyrus/acl.h"

#define INDEX_LEAF "cyrus.index"
#define HEADER_LEAF "cyrus.header"

static struct problem *index_problem(struct report *report, enum finding_code code,
				     const char *object)
{
	return report_add(report, code, MAILBOX_FILE_INDEX, INDEX_LEAF, "%s", object);
}

static void say_numbers(struct problem *problem, uint64_t recorded, uint64_t observed)
{
	(void)snprintf(problem->recorded, sizeof(problem->recorded), "%" PRIu64, recorded);
	(void)snprintf(problem->observed, sizeof(problem->observed), "%" PRIu64, observed);
}

/* A problem for each counter of the header that is wrong. */
static void agree_counters(struct report *report, const struct index_header *header,
			   const struct index_sums *sums)
{
	const struct {
		const char *name;
		uint32_t since;
		uint64_t recorded, counted;
	} counters[] = {
		{ "exists", 12, header->exists, sums->exists },
		{ "answered", 9, header->answered, sums->answered },
		{ "flagged", 9, header->flagged, sums->flagged },
		{ "deleted", 9, header->deleted, sums->deleted },
		{ "unseen", 14, header->unseen, sums->unseen },
		{ "quota_used", 9, header->quota_used, sums->quota_used },
		{ "quota_deleted_used", 18, header->quota_deleted_used, sums->quota_deleted_used },
		{ "quota_expunged_used", 18, header->quota_expunged_used,
		  sums->quota_expunged_used },
	};

	for (size_t i = 0; i < array_size(counters); i++) {
		if (header->version < counters[i].since ||
		    counters[i].recorded == counters[i].counted)
			continue;
		struct problem *problem = report_add(report, FINDING_INDEX_COUNTERS,
						     MAILBOX_FILE_INDEX, INDEX_LEAF, "counter:%s",
						     counters[i].name);
		say_numbers(problem, counters[i].recorded, counters[i].counted);
		(void)snprintf(problem->detail, sizeof(problem->detail),
			       "the header's %s is %" PRIu64 ", its records add up to %" PRIu64,
			       counters[i].name, counters[i].recorded, counters[i].counted);
	}
}

static void agree_sync_crcs(struct report *report, const struct index_header *header,
			    const struct index_sums *sums, bool knows_flags, bool knows_annotations)
{
	if (knows_flags && !index_sums_basic_agrees(sums, header)) {
		struct problem *problem =
			index_problem(report, FINDING_INDEX_SYNC_CRC, "sync_crc:basic");
		(void)snprintf(problem->recorded, sizeof(problem->recorded), "CRC %08x",
			       header->sync_crc_basic);
		(void)snprintf(problem->observed, sizeof(problem->observed), "CRC %08x",
			       sums->sync_crc_basic);
		(void)snprintf(problem->detail, sizeof(problem->detail),
			       "the sync CRC over UIDs, modseqs, flags, dates and digests");
		/* The names of flags come from cyrus.header. */
		problem->is_between = true;
	}
	if (knows_annotations && !index_sums_annot_agrees(sums, header)) {
		struct problem *problem =
			index_problem(report, FINDING_INDEX_SYNC_CRC, "sync_crc:annot");
		(void)snprintf(problem->recorded, sizeof(problem->recorded), "CRC %08x",
			       header->sync_crc_annot);
		(void)snprintf(problem->observed, sizeof(problem->observed), "CRC %08x",
			       sums->sync_crc_annot);
		(void)snprintf(problem->detail, sizeof(problem->detail),
			       "the sync CRC over annotations, threads and save dates");
		problem->is_between = true;
	}
}

static void agree_modseqs(struct report *report, const struct index_header *header,
			  const struct index_sums *sums, const struct record_counts *counts)
{
	if (sums->max_modseq > header->highestmodseq) {
		struct problem *problem =
			index_problem(report, FINDING_INDEX_MODSEQ, "modseq:highest");
		say_numbers(problem, header->highestmodseq, sums->max_modseq);
		(void)snprintf(problem->detail, sizeof(problem->detail),
			       "a record has modseq %" PRIu64
			       ", the header knows none above %" PRIu64,
			       sums->max_modseq, header->highestmodseq);
	}
	if (header->deletedmodseq > header->highestmodseq) {
		struct problem *problem =
			index_problem(report, FINDING_INDEX_MODSEQ, "modseq:deleted");
		say_numbers(problem, header->highestmodseq, header->deletedmodseq);
		(void)snprintf(problem->detail, sizeof(problem->detail),
			       "the header's deletedmodseq is above its highestmodseq");
	}
	if (counts->created_late) {
		struct problem *problem =
			index_problem(report, FINDING_INDEX_MODSEQ, "modseq:created");
		problem->uid = counts->first_created_late;
		(void)snprintf(problem->detail, sizeof(problem->detail),
			       "%u records were created at a modseq above their own, the first of "
			       "UID %u",
			       counts->created_late, counts->first_created_late);
	}
}

static void agree_counts(struct report *report, const struct record_counts *counts)
{
	if (counts->wiped) {
		struct problem *problem = index_problem(report, FINDING_INDEX_WIPED, "wiped");
		(void)snprintf(problem->detail, sizeof(problem->detail), "%u records have UID 0",
			       counts->wiped);
	}
	if (counts->no_guid) {
		struct problem *problem = index_problem(report, FINDING_INDEX_NO_GUID, "no_guid");
		problem->uid = counts->first_no_guid;
		(void)snprintf(
			problem->detail, sizeof(problem->detail),
			"%u live messages have no SHA-1 in their record, the first has UID %u",
			counts->no_guid, counts->first_no_guid);
	}
	if (counts->future) {
		struct problem *problem = index_problem(report, FINDING_INDEX_FUTURE, "future");
		problem->uid = counts->first_future;
		(void)snprintf(
			problem->detail, sizeof(problem->detail),
			"%u records were changed at a time that is yet to come, the first has "
			"UID %u",
			counts->future, counts->first_future);
	}
}

void agree_index(struct report *report, const struct index_header *header, uint64_t file_size,
		 const struct index_sums *sums, const struct record_counts *counts,
		 bool knows_flags, bool knows_annotations)
{
	uint64_t end = header->start_offset + (uint64_t)header->nr_records * header->record_size;

	if (file_size > end) {
		struct problem *problem = index_problem(report, FINDING_INDEX_TAIL, "tail");
		say_numbers(problem, end, file_size);
		(void)snprintf(problem->detail, sizeof(problem->detail),
			       "%" PRIu64 " bytes behind the last record that the header knows",
			       file_size - end);
	}
	agree_counts(report, counts);
	/*
	 * Whether the others add up cannot be told. Releases differ in whether a record that is
	 * unlinked and not expunged counts; before version 12 an expunged one should not be there,
	 * and is by conversion.
	 */
	if (counts->bad || sums->unlinked || (header->version < 12 && sums->expunged))
		return;
	if (sums->max_uid > header->last_uid) {
		struct problem *problem = index_problem(report, FINDING_INDEX_LAST_UID, "last_uid");
		say_numbers(problem, header->last_uid, sums->max_uid);
		(void)snprintf(problem->detail, sizeof(problem->detail),
			       "there is a record of UID %u, the header's last UID is %u",
			       sums->max_uid, header->last_uid);
	}
	agree_modseqs(report, header, sums, counts);
	agree_counters(report, header, sums);
	if (header->version >= 12)
		agree_sync_crcs(report, header, sums, knows_flags, knows_annotations);
}

void agree_flags(struct report *report, const struct index_sums *sums)
{
	for (unsigned i = 0; i < INDEX_USER_FLAGS; i++) {
		if (!((sums->user_flags[i / 32] & ~sums->named[i / 32]) >> (i % 32) & 1))
			continue;
		struct problem *problem = report_add(report, FINDING_HEADER_FLAGS,
						     MAILBOX_FILE_HEADER, HEADER_LEAF, "flag:%u",
						     i);
		problem->is_between = true;
		(void)snprintf(problem->detail, sizeof(problem->detail),
			       "messages have user flag %u, which has no name here", i);
	}
}

static struct problem *header_problem(struct report *report, enum finding_code code,
				      const char *object)
{
	struct problem *problem =
		report_add(report, code, MAILBOX_FILE_HEADER, HEADER_LEAF, "%s", object);

	problem->is_between = true;
	return problem;
}

/* Names and ids in a message, cut where they are longer. */
static void say_spans(struct problem *problem, struct span recorded, struct span observed)
{
	struct buf a = BUF_NULL, b = BUF_NULL;

	text_add_printable(&a, recorded);
	text_add_printable(&b, observed);
	(void)snprintf(problem->recorded, sizeof(problem->recorded), "%s", buf_str(&a));
	(void)snprintf(problem->observed, sizeof(problem->observed), "%s", buf_str(&b));
	buf_fini(&a);
	buf_fini(&b);
}

void agree_header(struct report *report, const struct mailbox_header *mine, uint32_t crc,
		  const struct index_header *index, const struct mailbox_entry *entry)
{
	struct problem *problem;

	if (index && index->header_file_crc && index->header_file_crc != crc) {
		problem = header_problem(report, FINDING_HEADER_CRC, "header:crc");
		(void)snprintf(problem->recorded, sizeof(problem->recorded), "CRC %08x",
			       index->header_file_crc);
		(void)snprintf(problem->observed, sizeof(problem->observed), "CRC %08x", crc);
		(void)snprintf(problem->detail, sizeof(problem->detail),
			       "the index has recorded another CRC of the whole file");
	}
	if (entry->unique_id.len &&
	    !span_equals(buf_span(&entry->unique_id), buf_span(&mine->unique_id))) {
		problem = header_problem(report, FINDING_HEADER_UNIQUE_ID, "header:unique_id");
		say_spans(problem, buf_span(&entry->unique_id), buf_span(&mine->unique_id));
		(void)snprintf(problem->detail, sizeof(problem->detail),
			       "mailboxes.db has another unique id than cyrus.header");
	}
	/* Where directories go by name, a rename leaves the old one in cyrus.header. */
	if (mine->is_dlist && !entry->legacy_dirs &&
	    !span_equals(buf_span(&entry->name), buf_span(&mine->name))) {
		problem = header_problem(report, FINDING_HEADER_NAME, "header:name");
		say_spans(problem, buf_span(&entry->name), buf_span(&mine->name));
		(void)snprintf(problem->detail, sizeof(problem->detail),
			       "mailboxes.db has another name than cyrus.header");
	}
	if (!acl_equals(buf_span(&entry->acl), buf_span(&mine->acl))) {
		problem = header_problem(report, FINDING_HEADER_ACL, "header:acl");
		say_spans(problem, buf_span(&entry->acl), buf_span(&mine->acl));
		(void)snprintf(problem->detail, sizeof(problem->detail),
			       "mailboxes.db has other rights than cyrus.header");
	}
}

void agree_entry(struct report *report, const struct mailbox_entry *entry,
		 const struct index_header *index)
{
	if (!entry->uidvalidity || entry->uidvalidity == index->uidvalidity)
		return;
	struct problem *problem = index_problem(report, FINDING_INDEX_UIDVALIDITY, "uidvalidity");
	say_numbers(problem, entry->uidvalidity, index->uidvalidity);
	problem->is_between = true;
	(void)snprintf(problem->detail, sizeof(problem->detail),
		       "mailboxes.db has UIDVALIDITY %u, cyrus.index %u", entry->uidvalidity,
		       index->uidvalidity);
}

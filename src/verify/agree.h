/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Agree: do the files of a mailbox say the same of it? Pure: what was read goes in, problems come
 * out. What each of them means and what to do about it stands in docs/FINDINGS.md.
 */
#ifndef VERIFY_AGREE_H
#define VERIFY_AGREE_H

#include <stdbool.h>
#include <stdint.h>

#include "format/cyrus/index.h"
#include "format/cyrus/index_sums.h"
#include "format/cyrus/mailbox_header.h"
#include "format/cyrus/mboxlist.h"
#include "verify/report.h"

/* What was counted while the records of an index went by, beside its sums. */
struct record_counts {
	uint32_t bad;	       /* damaged, or out of order: without them nothing adds up */
	uint32_t wiped;	       /* uid 0 */
	uint32_t no_guid;      /* live, and no SHA-1 was ever computed */
	uint32_t created_late; /* createdmodseq above modseq */
	uint32_t future;       /* changed later than now */
	uint32_t first_no_guid, first_created_late, first_future; /* UIDs */
};

/*
 * The index with itself: the header with its records, the file with the header. `file_size` in
 * bytes.
 */
void agree_index(struct report *report, const struct index_header *header, uint64_t file_size,
		 const struct index_sums *sums, const struct record_counts *counts,
		 bool knows_flags, bool knows_annotations);

/* cyrus.header, whose CRC-32 is `crc`, with the index and with the list of mailboxes. */
void agree_header(struct report *report, const struct mailbox_header *mine, uint32_t crc,
		  const struct index_header *index, const struct mailbox_entry *entry);

/* User flags of messages that have no name. */
void agree_flags(struct report *report, const struct index_sums *sums);

/* The list of mailboxes with the index. */
void agree_entry(struct report *report, const struct mailbox_entry *entry,
		 const struct index_header *index);

#endif

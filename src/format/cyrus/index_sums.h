/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the records of an index add up to: the counters that its header keeps, and the two sync CRCs
 * by which replication judges whether two sides agree. Pure: records go in one by one, in any
 * number of runs, nothing of them is kept.
 *
 * Sources: sync CRCs recomputed and equal on every real mailbox of 3.6.1, master and replica; the
 * rules of other versions by the source of 2.4 to 3.13. Before version 12 there are none, and what
 * is expunged has its records in a file of its own.
 */
#ifndef FORMAT_CYRUS_INDEX_SUMS_H
#define FORMAT_CYRUS_INDEX_SUMS_H

#include <stdbool.h>
#include <stdint.h>

#include "format/cyrus/index.h"
#include "format/cyrus/mailbox_header.h"

/* The sync CRC over annotations begins with this since 3.1, and with 0 before. */
#define INDEX_SYNC_ANNOT_SEED 12345678u

struct index_sums {
	uint32_t version;
	/*
	 * Of user flags, by bit: CRC-32 of the lower-case name; 0 and not named where there is
	 * none.
	 */
	uint32_t flag_crcs[INDEX_USER_FLAGS];
	uint32_t named[4]; /* bits that have a name */

	uint32_t nr_records;				     /* added, without wiped slots */
	uint32_t exists, answered, flagged, deleted, unseen; /* of those that are not expunged */
	uint32_t expunged;
	uint32_t unlinked; /* and not expunged: abnormal, and counted; since 3.10 Cyrus does not */
	uint64_t quota_used, quota_deleted_used, quota_expunged_used;
	uint64_t max_modseq;
	uint32_t max_uid;
	/* The oldest last_updated of a record that is expunged and not unlinked; 0: none. */
	int64_t first_expunged_ns;
	uint32_t user_flags[4];	 /* set in any record that is not expunged */
	uint32_t sync_crc_basic; /* before 12: 0 */
	uint32_t sync_crc_annot; /* with INDEX_SYNC_ANNOT_SEED; before 13: 0 */
	/*
	 * What makes of it the sum with thread ids the other way: 3.13 fills them up to 16 digits
	 * in every version, others do not. sync_crc_annot has them as the releases that first wrote
	 * this version: filled up since 20.
	 */
	uint32_t other_thread_ids;
};

/* `flags` gives the names of user flags; NULL: none are known. It is not kept. */
void index_sums_init(struct index_sums *sums, uint32_t version, const struct mailbox_header *flags);

/* Adds one record of the index, wiped slots (uid 0) too. */
void index_sums_add(struct index_sums *sums, const struct index_record *record);

/* The CRC of one stored annotation of a record that is not expunged (annotation_sync_crc). */
static inline void index_sums_add_annotation(struct index_sums *sums, uint32_t crc)
{
	sums->sync_crc_annot ^= crc;
}

/*
 * Whether a stored sync CRC is the sum: 0 was never computed, and says nothing; that over
 * annotations may have been begun with 0 (2.5, 3.0), and have thread ids in either form.
 */
bool index_sums_basic_agrees(const struct index_sums *sums, const struct index_header *header);
bool index_sums_annot_agrees(const struct index_sums *sums, const struct index_header *header);

#endif

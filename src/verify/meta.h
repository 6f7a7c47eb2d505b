/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Meta: one look at everything in a mailbox that is not a message: cyrus.header, cyrus.cache,
 * cyrus.annotations, and whether they, the index and the list of mailboxes say the same. The
 * records of the index are handed in as they go by, so that a pass needs to read them only once.
 *
 * Cyrus may be writing meanwhile. Files of one mailbox change under the lock on its index, so what
 * was read between two looks at an unchanged index header belongs together; a look during which it
 * moved judges no sums and says so (report.is_unsettled).
 *
 * A look belongs to one thread.
 */
#ifndef VERIFY_META_H
#define VERIFY_META_H

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include "format/cyrus/index_sums.h"
#include "format/cyrus/mailbox_header.h"
#include "verify/agree.h"
#include "verify/annotations.h"
#include "verify/cache_file.h"
#include "verify/mailbox.h"
#include "verify/report.h"

struct meta_options {
	bool with_cache;     /* read cyrus.cache */
	int64_t now_ns;	     /* wall clock */
	int64_t leftover_ns; /* a file that only a rewrite makes is left over when it is older */
	bool has_owner;
	uint32_t owner; /* user id of Cyrus */
};

struct meta {
	struct meta_options options;
	const struct mailbox *mailbox; /* borrowed */
	struct report report;
	struct mailbox_header header;
	bool knows_header;
	uint32_t header_crc; /* of the file */
	struct index_sums sums;
	struct record_counts counts;
	struct annotations annotations;
	bool knows_annotations;
	struct cache_file caches[2]; /* of the spool, of the archive */
	bool cache_is_open[2], cache_is_bad[2];
	uint32_t nr_cache_bad, nr_header_sizes_bad;
	uint32_t generation; /* of the index */
	uint32_t index_crc;  /* over its header, when the look began */
};

#define META_NULL                                                                                  \
	((struct meta){ .report = REPORT_NULL,                                                     \
			.header = MAILBOX_HEADER_NULL,                                             \
			.annotations = ANNOTATIONS_NULL,                                           \
			.caches = { CACHE_FILE_NULL, CACHE_FILE_NULL } })

/*
 * Begins a look at an open mailbox whose index is good. Release with meta_fini, which may be called
 * twice.
 */
void meta_begin(struct meta *meta, const struct mailbox *mailbox, const struct mailbox_index *ix,
		const struct meta_options *options);

/* The next record of the index, in order; wiped ones too. */
void meta_add(struct meta *meta, const struct index_record *record);

/* A record that is damaged or out of order. */
void meta_add_bad(struct meta *meta);

/* Behind the last record. What was found is then in meta->report. */
void meta_end(struct meta *meta, struct mailbox_index *ix);

void meta_fini(struct meta *meta);

/*
 * Reads and parses cyrus.header of an open mailbox, and the CRC-32 of the file where that is
 * wanted. -EBADMSG: it is none; else the errno of opening or reading it.
 */
int meta_read_header(const struct mailbox *mailbox, struct mailbox_header *header,
		     uint32_t *ret_crc) must_check;

/*
 * A whole look of its own, records included. 0 and *ret_report, which the caller releases; -ESTALE:
 * the index was replaced meanwhile; else as mailbox_index_read.
 */
int meta_look(const struct mailbox *mailbox, struct mailbox_index *ix,
	      const struct meta_options *options, struct report *ret_report) must_check;

#endif

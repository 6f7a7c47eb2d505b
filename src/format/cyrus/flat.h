/* SPDX-License-Identifier: Apache-2.0 */
/*
 * flat: sorted lines `key TAB value LF`, with FF as escape for NUL, TAB, CR and LF (byte | 0x80
 * behind it) and for itself. No checksum. Replaced as a whole, so an open file never changes. Lines
 * are in mailbox order (db_order.h) as they stand, whatever `improved_mboxlist_sort` says. Source:
 * real files of 3.6.1, and lib/cyrusdb_flat.c.
 *
 * A reader holds as much as its longest line takes, and 64 KiB.
 */
#ifndef FORMAT_CYRUS_FLAT_H
#define FORMAT_CYRUS_FLAT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "base/span.h"
#include "io/source.h"

#define FLAT_LINE_MAX 16777216 /* bytes, with the LF */

struct flat {
	struct source *src; /* borrowed */
	uint64_t next;	    /* offset of the next line; of the one that is wrong after -EBADMSG */
	uint64_t nr_walked;
	struct buf window;	     /* bytes read ahead, owned */
	uint64_t used;		     /* of the window */
	bool at_end;		     /* nothing is left to read */
	struct buf key, value, last; /* owned; the last is as it stands in the file */
};

#define FLAT_NULL ((struct flat){ 0 })

/*
 * Results as twoskip_begin and twoskip_next. -EBADMSG: a line without a TAB, a key or its LF, a
 * second TAB, a byte that would be escaped, an escape that is none, keys out of order, or a line
 * above FLAT_LINE_MAX. An empty file is an empty database.
 */
enum { FLAT_END = 1 };
int flat_begin(struct flat *db, struct source *src) must_check;
int flat_next(struct flat *db, struct span *ret_key, struct span *ret_value) must_check;
void flat_fini(struct flat *db);

/* Walks to the end. Results as db_check (db.h); *ret_off is the start of the line that is wrong. */
int flat_check(struct source *src, uint64_t *ret_off) must_check;

#endif

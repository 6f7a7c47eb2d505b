/* SPDX-License-Identifier: Apache-2.0 */
/*
 * twoskip, the database that Cyrus 2.5 and later keeps mailboxes.db in: an append-only skip list
 * with a CRC on every record head and tail. Here are the level-0 walk and the check of all there
 * is, which need no lock: within one file keys and values never change, only heads are rewritten in
 * place, and what lies behind `current_size` does not count (imap lib/cyrusdb_twoskip.c; measured
 * on 3.6.1 under writers).
 *
 * Nothing is mapped: Cyrus may truncate the file. A reader holds a window of 64 KiB and one record,
 * whatever the size of the database. One reader belongs to one thread.
 */
#ifndef FORMAT_CYRUS_TWOSKIP_H
#define FORMAT_CYRUS_TWOSKIP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "base/span.h"
#include "format/cyrus/db_order.h"
#include "format/cyrus/lookahead.h"
#include "io/source.h"

#define TWOSKIP_HEADER_LEN 64 /* bytes */

struct twoskip_header {
	uint64_t generation;
	uint64_t nr_records;   /* live keys; not to be trusted while dirty */
	uint64_t repack_size;  /* bytes */
	uint64_t current_size; /* bytes: the end of the last committed transaction */
	bool dirty;	       /* a transaction is, or was, under way */
};

/*
 * -EBADMSG: magic, CRC or sizes are wrong, or there are fewer than TWOSKIP_HEADER_LEN bytes.
 * -EPROTONOSUPPORT: another version of twoskip, or the magic of another engine (skiplist, twom,
 * SQLite). A failure leaves *ret_header zeroed.
 */
int twoskip_parse_header(struct span bytes, struct twoskip_header *ret_header) must_check;

struct twoskip {
	struct source *src;  /* borrowed */
	enum db_order order; /* the caller's to set before twoskip_begin, which keeps it */
	struct twoskip_header header;
	uint64_t next;	    /* offset of the next record, 0 at the end */
	uint64_t nr_walked; /* records handed out */
	struct buf last;    /* the key handed out last, owned */
	struct buf record;  /* key and value under the cursor, owned */
	struct lookahead ahead;
};

#define TWOSKIP_NULL ((struct twoskip){ 0 })

/*
 * Reads the header and stands before the first record. `db` is TWOSKIP_NULL or was used before, its
 * memory is then reused; `src` is borrowed and must outlive the reader. Errors as
 * twoskip_parse_header (a file shorter than its header says is -EBADMSG), -EAGAIN as in
 * twoskip_next, or the errno of a read. Release with twoskip_fini, after a failure too.
 */
int twoskip_begin(struct twoskip *db, struct source *src) must_check;

/*
 * The next live record in key order; the spans are borrowed until the next call. 0; TWOSKIP_END
 * after the last (when the file was clean, the number of records has then been checked);
 * -EAGAIN: the file changed under the walk, begin again; -EBADMSG: a CRC, a bound, the order of
 * the keys or the count is wrong; or the errno of a read. Keys above 64 KiB and values above 16 MiB
 * are -EBADMSG. A single torn read is retried before it is believed. After a failure the same call
 * tries the same record again.
 */
enum { TWOSKIP_END = 1 };
int twoskip_next(struct twoskip *db, struct span *ret_key, struct span *ret_value) must_check;

/*
 * Checks what a walk does not come by as well: every record up to the committed end, dead ones too,
 * its CRCs and padding, and that it belongs to a transaction that was closed; then the walk, its
 * count, and the pointers of every level. 0; -EBADMSG: the file is damaged, *ret_off is where the
 * damaged record begins (0: the header; the size of the file: its end is missing); -EAGAIN: the
 * file is being changed, nothing can be said yet; -EPROTONOSUPPORT as twoskip_begin; or the errno
 * of a read.
 *
 * A file that stays dirty was left so by a crash, and is 0 when what was committed before is whole:
 * the count and the pointers above level 0, which Cyrus mends before it uses them, are then not
 * judged. A record head that is wrong in such a file stays -EAGAIN: a writer, or a crash, may have
 * left it half rewritten.
 */
int twoskip_check(struct source *src, enum db_order order, uint64_t *ret_off) must_check;

/* May be called twice, and on TWOSKIP_NULL. Does not close the source. */
void twoskip_fini(struct twoskip *db);

#endif

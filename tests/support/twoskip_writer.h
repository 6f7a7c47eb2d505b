/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes a twoskip database from keys in ascending order: one transaction, one commit, as a file
 * looks right after Cyrus repacked it. The levels are drawn from a seed, so equal input gives
 * equal bytes. Streaming: 32 record heads are held, whatever the number of records.
 */
#ifndef TESTS_SUPPORT_TWOSKIP_WRITER_H
#define TESTS_SUPPORT_TWOSKIP_WRITER_H

#include <stdint.h>

#include "base/compiler.h"
#include "base/span.h"
#include "format/cyrus/db_order.h"

struct twoskip_writer;

/* Creates `path` (mode 0600), which must not exist. -EEXIST, -ENOMEM, or the errno of open. */
int twoskip_writer_new(const char *path, uint64_t seed,
		       struct twoskip_writer **ret_writer) must_check;

/* The order in which keys ascend, before the first record; DB_ORDER_BYTES without it. */
void twoskip_writer_set_order(struct twoskip_writer *writer, enum db_order order);

/*
 * Appends a record. -EEXIST for the key given last, -EINVAL for a smaller one, -EFBIG for a key
 * above 65,534 bytes or a value above 16 MiB, or the errno of a write.
 */
int twoskip_writer_add(struct twoskip_writer *writer, struct span key,
		       struct span value) must_check;

/* Writes the commit and the header: only now is the file a database. Call it once, last. */
int twoskip_writer_commit(struct twoskip_writer *writer) must_check;

/* Closes the file. NULL is allowed. Without a commit an unreadable file stays. */
void twoskip_writer_free(struct twoskip_writer *writer);

#endif

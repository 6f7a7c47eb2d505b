/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads ahead in a source whose records mostly follow one another: what goes on from the last read
 * is taken from a window of 64 KiB, a jump reads a little at its place and leaves the window as it
 * is.
 *
 * What a window holds is as old as the read that filled it. A reader that doubts a byte forgets the
 * window and reads again. One window belongs to one reader.
 */
#ifndef FORMAT_CYRUS_LOOKAHEAD_H
#define FORMAT_CYRUS_LOOKAHEAD_H

#include <stdint.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "base/span.h"
#include "io/source.h"

#define LOOKAHEAD_READ_MAX 512 /* bytes that may be asked for at once */

struct lookahead {
	struct buf bytes;		  /* owned */
	uint64_t off;			  /* of the first of them */
	uint64_t last;			  /* the offset that was asked for last */
	uint8_t jump[LOOKAHEAD_READ_MAX]; /* what was read outside the window */
};

#define LOOKAHEAD_NULL ((struct lookahead){ BUF_NULL, 0, 0, { 0 } })

/*
 * The bytes at [off, off + len), len at most LOOKAHEAD_READ_MAX, and those behind that are at hand;
 * none at or behind `end` is ever read. Borrowed until the next call. -ERANGE: they do not all lie
 * before `end`; -ENODATA: the source ends before; or the errno of a read. A failure to read ahead
 * is none.
 */
int lookahead_get(struct lookahead *ahead, struct source *src, uint64_t off, uint64_t len,
		  uint64_t end, struct span *ret_bytes) must_check;

/* The next read is made anew. */
void lookahead_forget(struct lookahead *ahead);

/* May be called twice, and on LOOKAHEAD_NULL. */
void lookahead_fini(struct lookahead *ahead);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The dlist text that Cyrus 2.5 and later keeps in mailboxes.db, cyrus.header and quota files:
 * key-value lists `%(K V K V)`, lists `(V V)`, atoms, "quoted strings" and {n} literals. Source:
 * observation of 3.6.1 and the grammar of imap/dlist.c.
 *
 * The parser walks one list without building a tree: values come out as spans of the text. Keys
 * appear in no guaranteed order and unknown keys are to be ignored.
 */
#ifndef FORMAT_CYRUS_DLIST_H
#define FORMAT_CYRUS_DLIST_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "base/span.h"

enum dlist_kind {
	DLIST_NIL,    /* the bare word NIL */
	DLIST_ATOM,   /* bare or quoted or literal text */
	DLIST_LIST,   /* ( ... ) */
	DLIST_KVLIST, /* %( ... ) */
	DLIST_KIND_COUNT_,
};

struct dlist_value {
	enum dlist_kind kind;
	struct span text; /* its bytes as written; of a list, what stands between the brackets */
	bool escaped;	  /* ATOM: quoted and holding backslashes: dlist_text() removes them */
};

struct dlist_cursor {
	struct span rest; /* what has not been read yet */
};

/*
 * Reads one value from the front of `cursor`. 0, DLIST_END at the end of the text, -EBADMSG for
 * text outside the grammar, unbalanced brackets, more than 32 levels of nesting or an atom of more
 * than 64 KiB.
 */
enum { DLIST_END = 1 };
int dlist_next(struct dlist_cursor *cursor, struct dlist_value *ret_value) must_check;

/*
 * Reads a key and its value, inside a KVLIST. Results as dlist_next; -EBADMSG also for a key
 * without a value, or one that is a list or a quoted string with backslashes. A failure of either
 * function leaves the cursor where it was.
 */
int dlist_next_pair(struct dlist_cursor *cursor, struct span *ret_key,
		    struct dlist_value *ret_value) must_check;

/* Starts to read what stands inside a LIST or KVLIST value. */
static inline struct dlist_cursor dlist_enter(struct dlist_value value)
{
	return (struct dlist_cursor){ value.text };
}

/* Appends the bytes of an ATOM, backslashes removed. */
void dlist_add_text(struct buf *b, struct dlist_value value);

#endif

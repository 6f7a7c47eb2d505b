/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cyrus.header: name, unique id, quota root, rights and the names of user flags of one mailbox.
 * Its content has no checksum of its own; the index header holds the CRC-32 of the whole file.
 * Two dialects behind one magic: text in three lines (up to 3.4), and one dlist (3.6 and later).
 * Source: real files of 3.6.1, and the source of 2.4 to 3.13.
 */
#ifndef FORMAT_CYRUS_MAILBOX_HEADER_H
#define FORMAT_CYRUS_MAILBOX_HEADER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "base/span.h"

#define MAILBOX_HEADER_MAGIC_LEN 115	  /* bytes */
#define MAILBOX_HEADER_LEN_MAX (1u << 20) /* bytes of a file that is read */
#define MAILBOX_HEADER_FLAGS 128

struct mailbox_header {
	bool is_dlist;
	bool has_unique_id;  /* ancient files have none */
	bool has_quota_root; /* shared mailboxes often have none */
	struct buf name;     /* internal name; dlist only, "" in text */
	struct buf unique_id;
	struct buf quota_root;
	struct buf type;			 /* letters as in mailboxes.db; dlist only */
	struct buf acl;				 /* as in acl.h */
	struct buf flags;			 /* names, each with a NUL behind it */
	unsigned nr_flags;			 /* slots, used or not */
	uint32_t flag_off[MAILBOX_HEADER_FLAGS]; /* of the name in `flags`; an unused slot has "" */
};

#define MAILBOX_HEADER_NULL ((struct mailbox_header){ .name = BUF_NULL })

/*
 * Parses a whole file. `header` is MAILBOX_HEADER_NULL or was used before. 0; -EBADMSG: longer
 * than MAILBOX_HEADER_LEN_MAX, magic or content are outside the grammar, the last byte is not the
 * LF that ends it, a field stands there twice, more than 128 flags, rights that acl.h refuses;
 * -ENOMEM. After a failure nothing in it may be relied on. A key that is not known is passed
 * over; one that is NIL, or an id or root that is empty, is not there.
 */
int mailbox_header_parse(struct span bytes, struct mailbox_header *header) must_check;

/* May be called twice, and on MAILBOX_HEADER_NULL. */
void mailbox_header_fini(struct mailbox_header *header);

/* The name of user flag `i`, "" where the slot is not used or not there. */
static inline const char *mailbox_header_flag(const struct mailbox_header *header, unsigned i)
{
	return i < header->nr_flags ? buf_str(&header->flags) + header->flag_off[i] : "";
}

#endif

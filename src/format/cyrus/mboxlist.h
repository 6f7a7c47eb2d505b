/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The mailbox list, as Cyrus 3.6 and later writes it in mailboxes.db: `N` + name holds the
 * mailbox, `I` + unique id points back, `A` and `J` keys are other indexes. Names inside the
 * database use 0x1F for the separator, `.` for a literal dot and 0x1D after a domain; everywhere
 * else in assay names are *internal* names: `.` separates, `^` is a literal dot, `domain!` leads.
 */
#ifndef FORMAT_CYRUS_MBOXLIST_H
#define FORMAT_CYRUS_MBOXLIST_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "base/span.h"

struct mailbox_entry {
	struct buf name;      /* internal name; any bytes but NUL */
	struct buf unique_id; /* "" in very old entries */
	struct buf partition; /* "" for tombstones and intermediates */
	struct buf acl;	      /* the text of the ACL list, as written */
	uint32_t uidvalidity;
	bool deleted;	   /* a tombstone: the name is gone */
	bool intermediate; /* a name without a mailbox */
	bool remote;	   /* lives on another server of a murder */
	bool reserved;
	bool moving;
	bool legacy_dirs; /* directories by name, not by unique id */
};

#define MAILBOX_ENTRY_NULL ((struct mailbox_entry){ .name = BUF_NULL })

/* May be called twice, and on MAILBOX_ENTRY_NULL. */
void mailbox_entry_fini(struct mailbox_entry *entry);

/* True when the entry stands for a mailbox with files on this host. */
static inline bool mailbox_entry_is_live(const struct mailbox_entry *entry)
{
	return !entry->deleted && !entry->intermediate && !entry->remote && !entry->reserved;
}

/*
 * Parses one record of the database; `entry` (MAILBOX_ENTRY_NULL, or used before) is overwritten
 * and its memory reused, whatever the result. 0; MBOXLIST_OTHER for a key that is no mailbox (I, A,
 * J, version, $RACL, $RUNQ); -EBADMSG for a value outside the grammar, an unknown type or flag, a
 * field given twice, a live mailbox without partition, or a name with a NUL or `/` in it;
 * -EPROTONOSUPPORT for the record formats before 3.6; -ENOMEM.
 */
enum { MBOXLIST_OTHER = 1 };
int mboxlist_parse(struct span key, struct span value, struct mailbox_entry *entry) must_check;

/* Appends the internal name of a database name. */
void mboxlist_add_internal_name(struct buf *b, struct span dbname);

/*
 * Appends the user that an internal name belongs to, as a person writes it (`joe.smith`,
 * `zoe@example.com`): the owner of `user.x...`, and of a deleted mailbox `DELETED.user.x...` where
 * `deleted_prefix` is "DELETED" (NULL: there is none). False, and nothing appended, for a shared
 * mailbox.
 */
bool mailbox_name_add_user(struct buf *b, struct span name, const char *deleted_prefix);

/* True for a mailbox that was deleted and waits to be purged: `[domain!]PREFIX.` leads. */
bool mailbox_name_is_deleted(struct span name, const char *deleted_prefix);

#endif

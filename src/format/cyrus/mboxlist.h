/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The mailbox list in mailboxes.db, in each of the forms it has had:
 *
 *   up to 2.4    key is the internal name, value the text `TYPE PARTITION ACL`; before 2.5 came
 *                out, sometimes with a list of attributes before it
 *   2.5 to 3.4   key is the internal name, value a dlist; $RACL and $RUNQ keys are other indexes
 *   3.6 on       `N` + name holds the mailbox, `I` + unique id points back, `A` and `J` keys are
 *                other indexes
 *
 * Names inside the database of 3.6 use 0x1F for the separator, `.` for a literal dot and 0x1D
 * after a domain; everywhere else, and in assay, names are *internal* names: `.` separates, `^` is
 * a literal dot, `domain!` leads. Which form a record has is told by the record itself. Before 3.6
 * all directories are by name. Source: real files of 3.6.1; of the older forms the source of 2.4 to
 * 3.4, and what 3.6.1 makes of such records when it upgrades them.
 */
#ifndef FORMAT_CYRUS_MBOXLIST_H
#define FORMAT_CYRUS_MBOXLIST_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "base/span.h"

enum mboxlist_form {
	MBOXLIST_TEXT,	/* up to 2.4 */
	MBOXLIST_DLIST, /* 2.5 to 3.4 */
	MBOXLIST_BY_ID, /* 3.6 and later */
};

struct mailbox_entry {
	struct buf name;      /* internal name; any bytes but NUL */
	struct buf unique_id; /* "" in very old entries */
	struct buf partition; /* "" for tombstones and intermediates */
	struct buf acl;	      /* as in acl.h; "" for tombstones in text */
	enum mboxlist_form form;
	uint32_t uidvalidity; /* 0: not recorded */
	bool deleted;	      /* a tombstone: the name is gone */
	bool intermediate;    /* a name without a mailbox */
	bool remote;	      /* lives on another server of a murder */
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
 * and its memory reused, whatever the result. 0; MBOXLIST_OTHER for a record that is certainly no
 * mailbox (I, A, J, version, $RACL, $RUNQ); -EBADMSG for a value outside the grammar of each form,
 * an unknown type or flag, a field given twice, a live mailbox without partition, or a name with a
 * NUL, a `/` or the separators of another form in it; -ENOMEM.
 */
enum { MBOXLIST_OTHER = 1 };
int mboxlist_parse(struct span key, struct span value, struct mailbox_entry *entry) must_check;

/*
 * The other direction, in lists of 3.6 and later: parses an `I` record. entry->unique_id is that of
 * the key, entry->name that of the value; the rest as in the record of the name. 0; MBOXLIST_OTHER
 * for any other record; errors as mboxlist_parse.
 */
int mboxlist_parse_id(struct span key, struct span value, struct mailbox_entry *entry) must_check;

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

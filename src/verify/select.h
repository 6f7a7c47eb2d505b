/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Select: a scan of less than a whole store. What such a scan verifies counts for the mailboxes
 * that it goes through; the store is no better known for it, so it never stands for a scan of the
 * whole.
 */
#ifndef VERIFY_SELECT_H
#define VERIFY_SELECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "base/map.h"
#include "format/cyrus/imapd_conf.h"
#include "state/state.h"

/* All zero: the whole store. The strings are borrowed. */
struct scan_selection {
	char **mailboxes; /* internal names, or as administrators write them (user/joe/Sent) */
	size_t nr_mailboxes;
	char **users; /* with all their mailboxes, deleted ones too */
	size_t nr_users;
	bool only_findings; /* mailboxes with an open finding */
};

static inline bool selection_is_empty(const struct scan_selection *selection)
{
	return selection->nr_mailboxes == 0 && selection->nr_users == 0 &&
	       !selection->only_findings;
}

/* Is the mailbox to be gone through? `found` holds the keys of mailboxes with open findings. */
bool selection_wants(const struct scan_selection *selection, const struct imapd_conf *conf,
		     const struct map *found, const struct mailbox_row *row);

/*
 * Appends the internal name of a mailbox as administrators write it: `/` for the separator where
 * unixhierarchysep says so, a domain behind `@`.
 */
void mailbox_name_add_internal(struct buf *b, const struct imapd_conf *conf, const char *external);

/* Appends the words by which state remembers what a scan was about; nothing for the whole store. */
void selection_add_scope(struct buf *b, const struct scan_selection *selection, bool quick,
			 int64_t since_ns);

#endif

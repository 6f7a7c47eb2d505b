/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rights on a mailbox, as the list of mailboxes and cyrus.header both keep them. The common
 * form is that of the text dialects: `id TAB rights TAB id TAB rights TAB ...`, in the order as
 * written.
 */
#ifndef FORMAT_CYRUS_ACL_H
#define FORMAT_CYRUS_ACL_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "base/span.h"
#include "format/cyrus/dlist.h"

/*
 * Appends the common form of a dlist `%(id rights ...)` (NIL: nothing), or of the text after it was
 * checked. -EBADMSG: outside the grammar, an empty id, more than 4,096 entries, or an id or rights
 * with a TAB, LF or NUL in it; nothing is appended then. -ENOMEM.
 */
int acl_add_dlist(struct buf *b, struct dlist_value value) must_check;
int acl_add_text(struct buf *b, struct span text) must_check;

/*
 * The same rights for the same ids, in any order, whether of letters or of entries? An id without
 * rights counts as one that is not named. Both in the common form.
 */
bool acl_equals(struct span a, struct span b);

#endif

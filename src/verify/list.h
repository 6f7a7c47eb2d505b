/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The list of mailboxes of a store, read from mailboxes.db while Cyrus may be writing it. No lock
 * is taken; when Cyrus replaces the file under the walk, the walk begins again, so that an entry
 * may be handed out more than once.
 */
#ifndef VERIFY_LIST_H
#define VERIFY_LIST_H

#include <stdint.h>

#include "base/compiler.h"
#include "base/span.h"
#include "format/cyrus/imapd_conf.h"
#include "format/cyrus/mboxlist.h"
#include "io/source.h"
#include "verify/image.h"

/*
 * Called for each live mailbox, and with `entry` NULL for a record whose CRC is right and whose
 * content is not understood (`key` says which). Non-zero stops the walk and is returned. `restart`
 * is true for the first call after the walk had to begin again.
 */
typedef int (*list_fn)(const struct mailbox_entry *entry, struct span key, bool restart, void *ctx);

/*
 * Checks a database that the switch `improved_mboxlist_sort` of Cyrus up to 3.4 is about: the list,
 * subscriptions, quota roots in one file. As db_check in the order of bytes, and in mailbox order
 * where that is switched on and the file is in no other. *ret_off is where the order in which more
 * of it is good finds what is wrong.
 */
int list_check(const struct imapd_conf *conf, struct source *src, uint64_t *ret_off) must_check;

/*
 * Walks the list, in `image` where it lies there (NULL: nowhere), whatever engine it is kept in,
 * and in mailbox order where `improved_mboxlist_sort` is on and it is in no other. 0; what `fn`
 * returned; -EBADMSG: the database is damaged, empty, or none; -EPROTONOSUPPORT: an engine or a
 * record format that is not known here; -EAGAIN: it changed under every attempt; or the errno of
 * opening or reading it.
 */
int list_walk(const struct imapd_conf *conf, struct image *image, list_fn fn, void *ctx) must_check;

/*
 * The same over all records that are about mailboxes, live or not, those by unique id too
 * (entry->unique_id and name are then what that record says). What is not understood is passed
 * over: list_walk says it.
 */
enum list_record { LIST_NAME, LIST_ID };
typedef int (*list_record_fn)(enum list_record kind, const struct mailbox_entry *entry,
			      bool restart, void *ctx);
int list_walk_records(const struct imapd_conf *conf, struct image *image, list_record_fn fn,
		      void *ctx) must_check;

#endif

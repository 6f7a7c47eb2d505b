/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where Cyrus keeps the files of a mailbox: pure functions from imapd.conf and a mailbox entry to
 * a root directory and a path below it. Sources: the rules of 3.6.1 as observed with hashed and
 * unhashed spools, domains, metapartition, archivepartition and legacy directories.
 */
#ifndef FORMAT_CYRUS_LAYOUT_H
#define FORMAT_CYRUS_LAYOUT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "format/cyrus/imapd_conf.h"
#include "format/cyrus/mboxlist.h"

enum mailbox_file {
	MAILBOX_FILE_MESSAGES,
	MAILBOX_FILE_ARCHIVED, /* messages of ARCHIVED records */
	MAILBOX_FILE_INDEX,
	MAILBOX_FILE_HEADER,
	MAILBOX_FILE_CACHE,
	MAILBOX_FILE_COUNT_,
};

/*
 * The root directory for one kind of file on a partition, borrowed from `conf`; NULL when the
 * partition is not configured, or with anything but an absolute path, or `archive_enabled` cannot
 * be read. Without `archive_enabled: yes` and an archive partition, archived messages live in the
 * root of the others.
 */
const char *layout_root(const struct imapd_conf *conf, const char *partition,
			enum mailbox_file kind);

/*
 * Appends the directory of a mailbox below any of its roots, without a leading slash: by name for
 * legacy directories and where there is no unique id, else by unique id. -EBADMSG when the one that
 * is used would leave the root or cannot be a path (empty parts, `.`, `..`, `/`, NUL, over 4,096
 * bytes; an id below two characters), or the switches of `conf` cannot be read; -ENOMEM. A failure
 * appends nothing.
 */
int layout_add_mailbox_dir(struct buf *b, const struct imapd_conf *conf,
			   const struct mailbox_entry *entry) must_check;

/* mailboxes.db: `mboxlist_db_path`, or below the configdirectory. Appends the path. */
void layout_add_mailboxes_db(struct buf *b, const struct imapd_conf *conf);

/*
 * True when a directory entry is a message file (decimal UID without leading zero, one dot):
 * *ret_uid is 1..2^32-1.
 */
bool layout_parse_message_name(const char *name, uint32_t *ret_uid);

#endif

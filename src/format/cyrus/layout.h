/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where Cyrus keeps the files of a mailbox: pure functions from imapd.conf and a mailbox entry to
 * a root directory and a path below it. Sources: the rules of 3.6.1 as observed with hashed and
 * unhashed spools, domains, metapartition, archivepartition, legacy directories and quota roots.
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
	MAILBOX_FILE_ARCHIVE_CACHE, /* records of ARCHIVED messages */
	MAILBOX_FILE_ANNOTATIONS,   /* of messages */
	MAILBOX_FILE_COUNT_,
};

/* "cyrus.index"...; NULL for messages. */
const char *layout_file_name(enum mailbox_file kind);

/*
 * The root directory for one kind of file on a partition, borrowed from `conf`; NULL when the
 * partition is not configured, or with anything but an absolute path, or `archive_enabled` cannot
 * be read. Without `archive_enabled: yes` and an archive partition, archived messages live in the
 * root of the others, and their cache is then looked for in one file with that of the others.
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

/* annotations.db: `annotation_db_path`, or below the configdirectory. Appends the path. */
void layout_add_annotations_db(struct buf *b, const struct imapd_conf *conf);

/*
 * Appends the file of a quota root (an internal name, or `domain!` for a whole domain) below the
 * configdirectory, without a leading slash. -ENOTSUP: quota_db is not quotalegacy, as it is unless
 * configured, or quota_db_path puts it outside the configdirectory; else as layout_add_mailbox_dir.
 */
int layout_add_quota_file(struct buf *b, const struct imapd_conf *conf,
			  struct span quota_root) must_check;

/*
 * The other direction: appends the internal name of the mailbox whose directory by name `rel`
 * (below a root) would be. False, and nothing appended, when no mailbox can have it: hashes that
 * do not fit, empty parts, parts with a dot; or when the switches cannot be read. Directories that
 * only lead to others have a name where they could be a mailbox's as well; in a spool without
 * hashes, so has `uuid/X/Y/ID`.
 */
bool layout_parse_mailbox_dir(struct buf *b, const struct imapd_conf *conf, const char *rel);

/*
 * True when a directory entry is a message file (decimal UID without leading zero, one dot):
 * *ret_uid is 1..2^32-1.
 */
bool layout_parse_message_name(const char *name, uint32_t *ret_uid);

#endif

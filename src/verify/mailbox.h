/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One mailbox on disk: its directories and its index, opened read-only while Cyrus may be writing.
 *
 * The index is never held in memory as a whole: records are copied out in runs, each run under a
 * shared lock on cyrus.index of its own, held for a few microseconds. Within one generation of the
 * index records never move, so runs of one generation fit together; when Cyrus repacks, a reader
 * gets -ESTALE and begins again. Where the lock cannot be had, runs are read without, and the CRCs
 * decide. Cyrus's own lock files are never opened.
 *
 * A mailbox is shared by reference: the scan thread opens it, readers use its directories. The
 * reference count is atomic; everything else is set before it is shared.
 */
#ifndef VERIFY_MAILBOX_H
#define VERIFY_MAILBOX_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "format/cyrus/imapd_conf.h"
#include "format/cyrus/index.h"
#include "format/cyrus/layout.h"
#include "format/cyrus/mboxlist.h"
#include "io/file.h"
#include "state/state.h"
#include "verify/image.h"

struct mailbox {
	const struct imapd_conf *conf; /* borrowed */
	struct mailbox_entry entry;
	struct buf key; /* as in state */
	struct buf dir; /* below any root */
	struct image *image;  /* borrowed; NULL: all of it is on this host */
	struct dir message_dir; /* directories; not open: closed, or not there */
	struct dir archive_dir; /* not open also when it is the same as that of messages */
	struct dir index_dir;	/* that of cyrus.index */
	atomic_uint refs;

	/* Of one pass over it. */
	atomic_uint pending; /* messages being read, suspicions, and one for the pass itself */
	atomic_uint_fast64_t messages; /* verified good or bad: read to the end */
	atomic_uint_fast64_t bytes;
	atomic_uint_fast64_t gaps;
	atomic_uint_fast64_t odd_times; /* good messages whose file has another time than its record */
	atomic_uint_fast64_t carried; /* messages that an earlier run of the round has verified */
	int64_t started_ns; /* wall clock */
	unsigned passes;   /* how often it was begun again */
	bool superseded;   /* a later pass verifies it instead */
	struct mailbox *next_done;
};

/* A mailbox as state lists it, with no directory open and one reference. -EBADMSG when the row
 * cannot be a path (hostile mailboxes.db), -ENOMEM. */
int mailbox_new(const struct imapd_conf *conf, struct image *image, const struct mailbox_row *row,
		struct mailbox **ret_mailbox) must_check;

/* The same mailbox, to be opened afresh: for a second look. Errors as mailbox_new. */
int mailbox_new_again(const struct mailbox *old, struct mailbox **ret_mailbox) must_check;

struct mailbox *mailbox_ref(struct mailbox *mailbox);
void mailbox_unref(struct mailbox *mailbox); /* NULL is allowed */

/*
 * Opens the directories. -ENOENT when none of them is there; -ENODEV when its partition is not in
 * imapd.conf; -EXDEV when a link leads out of the partition; else the errno. A mailbox that holds
 * no message may lack its message directory. mailbox_close_dirs may be called twice.
 */
int mailbox_open_dirs(struct mailbox *mailbox) must_check;
void mailbox_close_dirs(struct mailbox *mailbox);

/* Appends the full path of a file of the mailbox. */
void mailbox_add_path(struct buf *b, const struct mailbox *mailbox, enum mailbox_file kind,
		      const char *name);

/*
 * The directory of one kind of file: one of those that are open, or *own, opened for it, which the
 * caller closes (dir_close) when *ret_dir has been used. -ENOENT: it is not there; else as
 * mailbox_open_dirs.
 */
int mailbox_dir_of(const struct mailbox *mailbox, enum mailbox_file kind, struct dir *own,
		   const struct dir **ret_dir) must_check;

enum index_state {
	INDEX_GOOD,
	INDEX_BAD_HEADER, /* CRC or sizes wrong */
	INDEX_SHORT,	  /* the file ends before its records do */
	INDEX_FOREIGN,	  /* a version that is not known here */
	INDEX_GONE,	  /* option DELETED: Cyrus is about to remove the mailbox */
};

struct mailbox_index {
	struct source source;
	const char *leaf; /* its name in the directory */
	bool is_static; /* in an image: nobody writes it, and there is nothing to lock */
	bool locked; /* the lock was had for the last read */
	bool was_cached; /* before it was opened here */
	struct index_header header;
	uint32_t header_crc; /* over all bytes of it: what moved, and what did not */
	struct file_identity identity;
	enum index_state state;
};

#define MAILBOX_INDEX_NULL ((struct mailbox_index){ .source = SOURCE_NULL })

/*
 * Opens cyrus.index and reads its header; what is wrong with that is in ix->state, not an error.
 * -ENOENT: no index; -ELOOP, -EINVAL: not a regular file; else the errno. Release with
 * mailbox_index_close.
 */
int mailbox_index_open(struct mailbox_index *ix, const struct mailbox *mailbox) must_check;

/*
 * The same for cyrus.expunge, where Cyrus before 2.4 moved the records of expunged messages
 * (indexes before version 12). -ENOENT: there is none.
 */
int mailbox_expunge_open(struct mailbox_index *ix, const struct mailbox *mailbox) must_check;

/* Reads the header anew: ix->state, header, header_crc, identity. */
int mailbox_index_look(struct mailbox_index *ix) must_check;
void mailbox_index_close(struct mailbox_index *ix);

/*
 * Copies records [first, first + count) (counted from 0) into `buf` of count * record_size bytes.
 * -ESTALE: Cyrus has repacked or replaced the index, or it has become bad; -ENODATA: cut short
 * meanwhile; else the errno of a read.
 */
int mailbox_index_read(struct mailbox_index *ix, const struct mailbox *mailbox, uint32_t first,
		       uint32_t count, uint8_t *buf) must_check;

/* Copies one record. Results as mailbox_index_read and index_parse_record. */
int mailbox_index_get(struct mailbox_index *ix, const struct mailbox *mailbox, uint32_t nr,
		      struct index_record *ret_record) must_check;

/*
 * Finds the record of a UID; damaged records are passed over. 0; MAILBOX_NO_RECORD; else as
 * mailbox_index_read.
 */
enum { MAILBOX_NO_RECORD = 1 };
int mailbox_index_find(struct mailbox_index *ix, const struct mailbox *mailbox, uint32_t uid,
		       struct index_record *ret_record) must_check;

#endif

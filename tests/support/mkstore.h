/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A builder of synthetic Cyrus 3.6 stores for tests and benches. What it writes is a whole store
 * that Debian's own Cyrus 3.6.1 accepts (check-with-cyrus.sh): imapd.conf, mailboxes.db as a real
 * twoskip file, and for each mailbox a cyrus.header, a cyrus.index of version 17 with every CRC and
 * counter right, and the message files. There is no cyrus.cache: Cyrus makes one when it needs it.
 *
 * Everything follows from the options: two stores of equal options and equal calls differ in no
 * byte, except for the directory named in imapd.conf. The files of mailboxes get their mtime from
 * the store's own clock, which starts at options.epoch and goes one second a message. Messages are
 * streamed: memory grows with the number of mailboxes (names and ids, some 200 bytes each), never
 * with the number of messages.
 *
 * A store as small as a test wants it:
 *
 *	struct mkstore_options options = { .seed = 1 };
 *	struct mkstore *store;
 *	struct mkstore_mailbox *mailbox;
 *	uint32_t uid;
 *
 *	mkstore_new(dir, &options, &store);
 *	mkstore_mailbox_begin(store, "user.u001", &mailbox);
 *	mkstore_message(mailbox, 0, 4000, &uid);
 *	mkstore_mailbox_end(mailbox);
 *	mkstore_finish(store);
 *	...			what the test is about; damage with the helpers below
 *	mkstore_free(store);
 *
 * Results: 0 or a negative errno. One store belongs to one thread. After an error the half-built
 * store is good for nothing but mkstore_free; the files are the caller's to remove.
 */
#ifndef TESTS_SUPPORT_MKSTORE_H
#define TESTS_SUPPORT_MKSTORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/compiler.h"

struct mkstore;
struct mkstore_mailbox;

/* Flag bits of a message beside INDEX_FLAG_* of format/cyrus/index.h. */
#define MKSTORE_ANSWERED 0x01u
#define MKSTORE_FLAGGED 0x02u
#define MKSTORE_DELETED 0x04u /* the IMAP flag: the file stays */
#define MKSTORE_DRAFT 0x08u
#define MKSTORE_SEEN 0x10u

enum mkstore_size {
	MKSTORE_SIZE_FIXED,	/* every message options.fixed_size bytes long */
	MKSTORE_SIZE_LOGNORMAL, /* median 12 KiB, mean 26 KiB, from 512 bytes to 5 MiB */
	MKSTORE_SIZE_COUNT_,
};

/* All zero is a good choice: seed 0, 2,048 bytes a message, sync_log off, directories by id. */
struct mkstore_options {
	uint64_t seed;		/* of ids, contents and drawn sizes */
	int64_t epoch;		/* seconds; when the first message came. 0: MKSTORE_EPOCH */
	enum mkstore_size size; /* what MKSTORE_SIZE_DRAWN stands for */
	uint64_t fixed_size;	/* bytes; 0: 2,048 */
	bool sync_log;		/* `sync_log: yes` in imapd.conf */
	bool legacy_dirs;	/* `mailbox_legacy_dirs: yes`, mailboxes of type `el`, by name */
	const char *extra;	/* more lines for imapd.conf, each with its newline; may be NULL */
};

#define MKSTORE_EPOCH INT64_C(1700000000) /* 2023-11-14 22:13:20 UTC */

/*
 * Starts a store in the directory `dir`, which is made if its parent exists: `dir`/imapd.conf,
 * `dir`/conf and `dir`/spool. `options` is copied; `extra` is borrowed until mkstore_finish.
 * -EEXIST when there is a store already, -ENOMEM, or the errno of mkdir.
 */
int mkstore_new(const char *dir, const struct mkstore_options *options,
		struct mkstore **ret_store) must_check;

/* Frees the builder, leaves the files. NULL is allowed. An open mailbox is closed unwritten. */
void mkstore_free(struct mkstore *store);

/*
 * Starts a mailbox: makes its directory and cyrus.header. `name` is internal (`user.u001.Sent`,
 * `^` for a literal dot, `example.com!user.zoe`). One at a time. -EBUSY while another is open,
 * -EINVAL for a name that is empty, holds a `/`, or has an empty component; -ENAMETOOLONG.
 * A name given twice is found by mkstore_finish (-EEXIST).
 */
int mkstore_mailbox_begin(struct mkstore *store, const char *name,
			  struct mkstore_mailbox **ret_mailbox) must_check;

/* A size for mkstore_message: drawn as options.size says. */
#define MKSTORE_SIZE_DRAWN UINT64_MAX

/*
 * Appends one message: its record, and its file unless INDEX_FLAG_UNLINKED is set. `size` is in
 * bytes and exact: from some 300 bytes on the text has the usual header lines, below that fewer,
 * below 8 none. -EFBIG above 4 GiB - 1; -EOVERFLOW at the last UID. `ret_uid` may be NULL.
 */
int mkstore_message(struct mkstore_mailbox *mailbox, uint32_t flags, uint64_t size,
		    uint32_t *ret_uid) must_check;

/* Leaves a gap of `count` UIDs, as a failed append or a repack after an expunge does. */
void mkstore_skip_uids(struct mkstore_mailbox *mailbox, uint32_t count);

/* Writes cyrus.index and closes the mailbox; `mailbox` is freed, also on failure. */
int mkstore_mailbox_end(struct mkstore_mailbox *mailbox) must_check;

/*
 * Names in mailboxes.db without files: of a mailbox that was (type `ed`), and of a level that only
 * has mailboxes below it (`ei`). Errors as mkstore_mailbox_begin.
 */
int mkstore_tombstone(struct mkstore *store, const char *name) must_check;
int mkstore_intermediate(struct mkstore *store, const char *name) must_check;

/*
 * Writes mailboxes.db and imapd.conf. No mailbox may be open (-EBUSY). Afterwards only the
 * functions below and mkstore_free may be called.
 */
int mkstore_finish(struct mkstore *store) must_check;

struct mkstore_totals {
	uint64_t mailboxes; /* with files */
	uint64_t files;	    /* message files */
	uint64_t bytes;	    /* in message files */
};

struct mkstore_totals mkstore_get_totals(const struct mkstore *store);

/* The absolute path of imapd.conf. Borrowed from the store. */
const char *mkstore_get_conf(const struct mkstore *store);

/* The 24 characters of a mailbox's unique id, borrowed; NULL when there is no such mailbox. */
const char *mkstore_get_unique_id(const struct mkstore *store, const char *name);

/*
 * Appends what stands in mailboxes.db under the name of a mailbox, as mkstore_finish writes it,
 * with the partition `partition`. -ENOENT: there is no such mailbox; -ENOMEM.
 */
int mkstore_add_entry(struct buf *b, const struct mkstore *store, const char *name,
		      const char *partition) must_check;

/*
 * The absolute path of a file of a mailbox, on the heap; the caller frees. `leaf` is its name
 * (`cyrus.index`, `3.`), or "" for the directory. NULL: no such mailbox, or no memory.
 */
char *mkstore_path(const struct mkstore *store, const char *name, const char *leaf) must_check;

/*
 * Damage, for tests: each changes one file in place, as a bad disk would, and leaves its mtime as
 * it was (ctime moves; only a device below the filesystem could leave that alone). Each works on
 * any path, of a store or of a copy of one. Undo a flip by flipping again.
 */

/* Flips bit `bit` (0 = lowest) of the byte at `off`. -ERANGE past the end of the file. */
int mkstore_flip_bit(const char *path, uint64_t off, unsigned bit) must_check;

/* Cuts, or extends with zero bytes, to `len` bytes. */
int mkstore_truncate(const char *path, uint64_t len) must_check;

/*
 * Overwrites a field of cyrus.index and makes the CRC right again: what is then wrong is the field
 * alone. Offsets are in bytes from the start of the header or of the record; `record` counts from
 * 0. -ERANGE when the record does not lie inside the file, or the field reaches into the CRC.
 */
int mkstore_patch_header(const char *index, uint32_t off, const void *bytes,
			 size_t len) must_check;
int mkstore_patch_record(const char *index, uint32_t record, uint32_t off, const void *bytes,
			 size_t len) must_check;

/*
 * Makes the counters and sync CRCs in the header of an index those of its records again, after some
 * were patched. The records must be good, without user flags and annotations.
 */
int mkstore_sum_up(const char *index) must_check;

/* The same for the usual field: a big-endian 32-bit number. */
int mkstore_set_header(const char *index, uint32_t off, uint32_t value) must_check;
int mkstore_set_record(const char *index, uint32_t record, uint32_t off, uint32_t value) must_check;

/* Offsets in a cyrus.index of version 17, in bytes. */
#define MKSTORE_HEADER_LEN 160u
#define MKSTORE_HEADER_GENERATION 0u
#define MKSTORE_HEADER_VERSION 8u
#define MKSTORE_HEADER_START_OFFSET 12u
#define MKSTORE_HEADER_RECORD_SIZE 16u
#define MKSTORE_HEADER_NR_RECORDS 20u
#define MKSTORE_HEADER_LAST_UID 28u
#define MKSTORE_HEADER_UIDVALIDITY 44u
#define MKSTORE_HEADER_OPTIONS 60u
#define MKSTORE_HEADER_EXISTS 84u
#define MKSTORE_HEADER_FILE_CRC 96u
#define MKSTORE_HEADER_SYNC_BASIC 100u
#define MKSTORE_HEADER_CRC 156u

#define MKSTORE_RECORD_LEN 112u
#define MKSTORE_RECORD_UID 0u
#define MKSTORE_RECORD_INTERNALDATE 4u
#define MKSTORE_RECORD_SIZE 12u
#define MKSTORE_RECORD_FLAGS 32u
#define MKSTORE_RECORD_GUID 60u
#define MKSTORE_RECORD_MODSEQ 80u
#define MKSTORE_RECORD_CRC 108u

/* The offset of record `record` (from 0) in the file. */
static inline uint64_t mkstore_record_offset(uint32_t record)
{
	return MKSTORE_HEADER_LEN + (uint64_t)record * MKSTORE_RECORD_LEN;
}

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of the Cyrus campaign share: the files of real stores, one fault in one of them,
 * and what checksums say that a scan must find. A round goes
 *
 *	damage_do()	damages one file of a kind, in a way that leaves it other than it was
 *	oracle_ask()	which checksum covers the bytes that are damaged, and what must be said of it
 *	a scan
 *	damage_undo()	the file as it was, byte for byte, with its times
 *
 * The oracle knows the formats by itself: it reads with nothing that is under test, and only files
 * that are good. Everything follows from the seed. One thread.
 *
 * Results: 0 or a negative errno, said on stderr where the path is known. An errno means that the
 * campaign could not do its own work; it never says anything about the scan.
 */
#ifndef TESTS_CAMPAIGN_CYRUS_PARTS_H
#define TESTS_CAMPAIGN_CYRUS_PARTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "base/span.h"

/* ---- files ---- */

enum file_kind {
	FILE_MESSAGE,
	FILE_ARCHIVED_MESSAGE,
	FILE_INDEX_HEADER, /* cyrus.index is two kinds: where its fault begins */
	FILE_INDEX_RECORDS,
	FILE_HEADER,
	FILE_CACHE,
	FILE_ARCHIVE_CACHE,
	FILE_ANNOTATIONS, /* of a mailbox */
	FILE_LIST,
	FILE_STORE_ANNOTATIONS,
	FILE_SEEN,
	FILE_SUBSCRIPTIONS,
	FILE_CONVERSATIONS,
	FILE_COUNTERS,
	FILE_QUOTA,
	FILE_QUOTAS_DB,
	FILE_KIND_COUNT_,
};

enum file_engine { ENGINE_NONE, ENGINE_TWOSKIP, ENGINE_SKIPLIST, ENGINE_FLAT, ENGINE_COUNT_ };

enum { STORES = 6, FILES_MAX = 2048 };

struct store {
	const char *name;
	char *dir;	 /* owned, absolute */
	char *conf_path; /* owned */
};

struct store_file {
	const struct store *store; /* borrowed */
	char *path;		   /* owned, absolute */
	char *mailbox; /* owned: the directory of its mailbox below any root; NULL: of none */
	enum file_kind kind;
	enum file_engine engine;
	uint32_t uid;	    /* of a message */
	uint64_t from, len; /* bytes: where faults begin */
};

/* Files of one kind and engine are drawn as often as those of any other. */
struct group {
	enum file_kind kind;
	enum file_engine engine;
	unsigned nr_files;
};

struct stores {
	struct store all[STORES];
	struct store_file files[FILES_MAX]; /* in the order of their stores and paths */
	unsigned nr_files;
	struct group groups[FILE_KIND_COUNT_ * ENGINE_COUNT_];
	unsigned nr_groups;
};

/* Unpacks all stores of the fixtures below `dir`, an absolute path, and finds their files. */
int stores_open(struct stores *stores, const char *dir) must_check;
void stores_fini(struct stores *stores);

/* "cyrus.index, records", "mailboxes.db, twoskip"... */
void group_name(const struct group *group, char *out, size_t size);

/* The file of a kind in the mailbox of `file`, or NULL. */
const struct store_file *stores_find(const struct stores *stores, const struct store_file *file,
				     enum file_kind kind);

/* ---- faults ---- */

enum damage_type {
	DAMAGE_BIT,
	DAMAGE_BYTE,
	DAMAGE_ZEROS, /* in a sector of the file */
	DAMAGE_OTHER, /* a sector holds another part of the file */
	DAMAGE_CUT,
	DAMAGE_REMOVED,
	DAMAGE_LONGER,
	DAMAGE_TYPE_COUNT_,
};

struct damage {
	const struct store_file *file;
	enum damage_type type;
	struct buf before, after; /* content; empty after DAMAGE_REMOVED */
	uint64_t first;		  /* the first byte that is not as it was */
	struct timespec times[2]; /* as futimens takes them */
	char *aside;		  /* owned: where a removed file was put */
};

#define DAMAGE_NULL ((struct damage){ .file = NULL })

const char *damage_name(enum damage_type type);

/* Damages a file of the group at random. `aside` is a directory on its filesystem. */
int damage_do(struct damage *damage, const struct stores *stores, const struct group *group,
	      const char *aside, uint64_t *random) must_check;

/* Puts it back and frees. -EILSEQ: the file is not as it was. */
int damage_undo(struct damage *damage) must_check;

/* Is a byte of these not as it was? Those behind the end of either content are not. */
bool damage_hits(const struct damage *damage, uint64_t off, uint64_t len);

/* ---- what must be found ---- */

enum { EXPECTED_MAX = 128 };

struct expected {
	const char *path;  /* borrowed */
	const char *codes; /* any of these, separated by spaces */
	char object[32];   /* "": any */
	uint64_t from, to; /* the byte that its detail names lies in [from, to] */
	bool names_byte;
	unsigned nr_found;
};

struct oracle {
	struct expected expected[EXPECTED_MAX];
	unsigned nr;	   /* 0: no checksum covers what is damaged */
	const char *why;   /* no checksum does */
	bool is_misplaced; /* a whole record stands in the place of another: its checksum is right */
};

int oracle_ask(struct oracle *oracle, const struct stores *stores,
	       const struct damage *damage) must_check;

/*
 * Follows a finding of this code, in this file, from the damage, though nothing says that it must
 * be made? `is_covered`: wholly, by checksums.
 */
bool oracle_explains(const struct damage *damage, bool is_covered, const char *code,
		     struct span path);

/* Is `path` in a directory of the mailbox of `file`? */
bool file_shares_mailbox(const struct store_file *file, struct span path);

#endif

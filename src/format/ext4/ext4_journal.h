/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The journal of an ext3 or ext4 filesystem, read in memory: which blocks have a newer version
 * there than in their place, and a source in which these stand in their place. Nothing is ever
 * written.
 *
 * What is read is the log from where the superblock of the journal says that it begins to its end:
 * the first block that is no descriptor, revocation or commit of the next sequence, or a
 * transaction without a commit. That is how a log ends that was cut off by a crash, or that is
 * being written. Only committed transactions count, and a revoked block not until it is
 * written again. Fast commits are recognised and not read.
 *
 * With the checksums of version 2 or 3 every block of a transaction is held against its own; one
 * that fails inside a committed transaction is damage: it is kept as a problem, and the log counts
 * up to the transaction before. With asynchronous commits a crash may leave the same. The checksum
 * of version 1, one over a transaction in its commit, is not looked at.
 *
 * The filesystem may be mounted meanwhile. Where the log begins moves on when everything older
 * stands in its place, and only then is the space used again; so the beginning is read once more
 * when all else was, and what has fallen behind it does not count. What is kept is the state of
 * the time of ext4_journal_open. A block of it that is overwritten later is noticed when it is
 * read: -ESTALE.
 *
 * The facts are those of the kernel's Documentation/filesystems/ext4/journal.rst and of libext2fs'
 * kernel-jbd.h (the layout of tags of version 2, the area of fast commits); what a kernel and
 * debugfs write was looked at where these say nothing.
 *
 * A journal, and every source over it, belong to the thread of its filesystem.
 */
#ifndef FORMAT_EXT4_EXT4_JOURNAL_H
#define FORMAT_EXT4_EXT4_JOURNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include "format/ext4/ext4.h"
#include "io/source.h"

#define EXT4_JOURNAL_BLOCKS_MAX (UINT32_C(1) << 22)   /* that are newer, or revoked */
#define EXT4_JOURNAL_PROBLEMS_MAX (UINT32_C(1) << 16) /* kept; all are counted */

struct ext4_journal;

struct ext4_journal_info {
	uint32_t start_sequence;  /* of the first transaction that counts */
	uint32_t end_sequence;	  /* behind the last: the one that would come next */
	uint32_t nr_transactions; /* committed and good; sequences wrap around, this does not */
	uint32_t nr_journal;	  /* blocks of the journal, its superblock and fast commits too */
	uint64_t nr_blocks;	  /* blocks of the filesystem whose newest version stands here */
	uint64_t nr_revoked;	  /* blocks whose revocation kept an older version from counting */
	uint64_t nr_problems;	  /* 0: no damage */
	bool is_empty;		  /* the superblock of the journal says that there is no log */
	bool has_checksums;	  /* version 2 or 3 */
	bool has_fast_commits; /* behind the last transaction; they change more, and are not read */
	bool from_backup;      /* found by the copy in the superblock: its inode is damaged */
};

enum ext4_journal_kind {
	EXT4_JOURNAL_SUPER_CHECKSUM, /* nothing of the log counts then */
	EXT4_JOURNAL_DESCRIPTOR_CHECKSUM,
	EXT4_JOURNAL_DATA_CHECKSUM, /* of a block against its tag */
	EXT4_JOURNAL_REVOKE_CHECKSUM,
	EXT4_JOURNAL_COMMIT_CHECKSUM,
	EXT4_JOURNAL_STRUCTURE,	 /* a tag that points outside or into the journal, a wrong length */
	EXT4_JOURNAL_UNREADABLE, /* the disk refuses it; whether it was committed is not known */
};

struct ext4_journal_problem {
	enum ext4_journal_kind kind;
	uint32_t journal_block; /* in the journal */
	uint64_t physical;	/* where that lies in the filesystem, bytes */
	uint64_t fs_block;	/* whose content it is; 0 where it is nobody's */
	uint32_t sequence;	/* of the transaction; 0 for the superblock */
};

/*
 * Reads the journal of `fs`, which is borrowed and must outlive it. A log is read even where the
 * filesystem does not ask for it (ext4_info.needs_recovery): whether that counts is the caller's to
 * say; a kernel would drop it. Damage inside the log is no error: see ext4_journal_get_info.
 *
 * -ENOENT: the filesystem has none; -EOPNOTSUPP: it lies on another device; -EBADMSG: its inode and
 * the copy of that are damaged, or its superblock is nonsense; -EPROTONOSUPPORT: it has features that
 * are not known; -EFBIG: more than EXT4_JOURNAL_BLOCKS_MAX; -EAGAIN: it moved on faster than
 * it could be read; -ENOMEM; else the errno of the read. *ret_j is NULL after a failure. Release with
 * ext4_journal_close.
 */
int ext4_journal_open(struct ext4 *fs, struct ext4_journal **ret_j) must_check;

/* NULL does nothing. Sources over it must have been closed. */
void ext4_journal_close(struct ext4_journal *j);

void ext4_journal_get_info(const struct ext4_journal *j, struct ext4_journal_info *ret_info);

/* A result that is not 0 stops the walk and is returned. */
typedef int (*ext4_journal_problem_fn)(const struct ext4_journal_problem *problem, void *ctx);

/* Calls `fn` for each problem that is kept, in the order of the log. 0 or the result of `fn`. */
int ext4_journal_each_problem(const struct ext4_journal *j, ext4_journal_problem_fn fn,
			      void *ctx) must_check;

/* The block of the journal that holds the newest version. -ENOENT: that stands in its place. */
int ext4_journal_find(const struct ext4_journal *j, uint64_t fs_block,
		      uint32_t *ret_journal_block) must_check;

/*
 * Reads the newest version of a block into `buf`, of the size of a block. EXT4_JOURNAL_NEWER; 0: it
 * stands in its place, and `buf` is untouched; -ESTALE: the journal has changed since it was opened,
 * and what stands in its place is at least as new; else the errno of the read.
 */
enum { EXT4_JOURNAL_NEWER = 1 };
int ext4_journal_read(struct ext4_journal *j, uint64_t fs_block, void *buf) must_check;

/*
 * A source over the bytes of `base`, the same that the filesystem was opened on or a copy of it, with
 * the newest version of each block. Both are borrowed and must outlive it. Another struct ext4 can be
 * opened on it; its superblock may still ask for recovery. Where the journal has changed since it
 * was opened, what stands in its place is read. Errors of a read are else those of
 * ext4_journal_read and of `base`. -ENOMEM. Release with source_close.
 */
int ext4_journal_source(struct ext4_journal *j, struct source *base,
			struct source *ret_src) must_check;

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Is the metadata of a filesystem what was written? Every checksum that `metadata_csum` gives, and
 * the structure of everything, whether it has a checksum or not: superblock and its backups, group
 * descriptors, bitmaps, inodes, maps, directories, attributes, MMP, the file of orphans.
 *
 * Of a filesystem that nobody changes meanwhile the books are balanced too: blocks and inodes in use
 * against the bitmaps, blocks with two owners, links, directories that hang on nothing, free counts.
 * While it is mounted for writing there is no moment at which they could be.
 *
 * The facts are those of the kernel's Documentation/filesystems/ext4. Damage is data: it is told,
 * with the place, and the walk goes on.
 *
 * Memory: 2 bytes an inode and a bit a block where the books are balanced; 24 bytes for each block
 * of a directory and 16 for each of attributes, up to EXT4_CHECK_BLOCKS_MAX of either.
 */
#ifndef FORMAT_EXT4_EXT4_CHECK_H
#define FORMAT_EXT4_EXT4_CHECK_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include "format/ext4/ext4.h"

#define EXT4_CHECK_BLOCKS_MAX (UINT32_C(1) << 21)

enum ext4_object {
	EXT4_OBJECT_SUPER,
	EXT4_OBJECT_SUPER_BACKUP,
	EXT4_OBJECT_DESC, /* a group descriptor */
	EXT4_OBJECT_BLOCK_BITMAP,
	EXT4_OBJECT_INODE_BITMAP,
	EXT4_OBJECT_INODE,
	EXT4_OBJECT_MAP,  /* a block that holds extents or pointers */
	EXT4_OBJECT_DIR,  /* a block of a directory, hash tree or entries */
	EXT4_OBJECT_ATTR, /* a block of attributes */
	EXT4_OBJECT_MMP,
	EXT4_OBJECT_ORPHANS, /* a block of the file of orphans */
	EXT4_OBJECT_JOURNAL, /* a block of the journal; told by others */
	EXT4_OBJECT_BOOKS,   /* several parts that do not add up; each for itself may be right */
	EXT4_OBJECT_COUNT_,
};

const char *
ext4_object_name(enum ext4_object object); /* "group descriptor"; NULL outside the enum */

struct ext4_problem {
	enum ext4_object object;
	uint64_t
		off; /* bytes: where it lies in the filesystem; UINT64_MAX: nowhere in particular */
	uint32_t len;	  /* bytes; 0 likewise */
	uint32_t ino;	  /* whose it is; 0: the filesystem's */
	uint32_t group;	  /* in which it lies */
	int error;	  /* -EBADMSG: wrong; else the errno of the read */
	const char *what; /* static: "its checksum is wrong" */
};

/* Non-zero stops the check and is returned. */
struct ext4_check_events {
	int (*problem)(const struct ext4_problem *problem, void *ctx);
	/* Each good inode in use, ascending, but for those of the filesystem itself. NULL: nobody
	 * wants them. */
	int (*inode)(const struct ext4_inode *inode, void *ctx);
	void *ctx;
};

struct ext4_check_options {
	bool books;			   /* nobody changes it meanwhile: balance them */
	const volatile sig_atomic_t *stop; /* may be NULL */
};

struct ext4_check_stats {
	uint64_t inodes; /* in use */
	uint64_t dirs;
	uint64_t dir_blocks;
	uint64_t map_blocks;
	uint64_t problems;
	uint64_t
		unchecked; /* blocks of directories and attributes beyond the bound: not looked at */
};

enum { EXT4_CHECK_STOPPED = 1 };

/*
 * 0: everything was looked at; EXT4_CHECK_STOPPED; -ENOMEM; or what a callback returned. Errors of
 * reads are problems, with their errno.
 */
int ext4_check(struct ext4 *fs, const struct ext4_check_options *options,
	       const struct ext4_check_events *events,
	       struct ext4_check_stats *ret_stats) must_check;

/*
 * The descriptor and the bitmaps of one group alone. They change together, and often: of a filesystem
 * that is mounted, look soon after ext4_open. 0: right; -EBADMSG: wrong; -ERANGE: no such group; -ENOMEM;
 * or the errno of a read.
 */
int ext4_check_group(struct ext4 *fs, uint32_t group) must_check;

/*
 * Opens a filesystem whose primary superblock may be damaged: by that, or by the first backup that
 * is good, or, where there is none, by the primary as it is. *ret_block is the block of the superblock in use, 0 for the primary; *ret_error what was
 * wrong with the primary, or 0. Errors as ext4_open, of the primary.
 */
int ext4_open_any(struct source *src, struct ext4 **ret_fs, uint64_t *ret_block,
		  int *ret_error) must_check;

/* What the kernel has noted about errors, in the superblock. Zeros: nothing. */
struct ext4_error_record {
	uint32_t count;
	uint64_t first_s, last_s; /* seconds since the epoch */
	uint32_t first_ino, last_ino;
	uint64_t first_block, last_block;
	uint32_t first_line, last_line;
	char first_function[33], last_function[33]; /* printable or not: from the disk */
};
void ext4_get_error_record(const struct ext4 *fs, struct ext4_error_record *ret_record);

#endif

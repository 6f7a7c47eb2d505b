/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An ext2, ext3 or ext4 filesystem, read from a byte source: inodes and where their bytes lie,
 * directories, content, allocated blocks. It may be mounted meanwhile; what is read is then what
 * the source gives, and may be torn or old. Nothing is ever written: the source cannot, and
 * libext2fs is given no way to.
 *
 * The facts are those of the kernel's Documentation/filesystems/ext4 and of libext2fs, which
 * opens the filesystem and knows its features; maps, inodes and directories are parsed here, where
 * each bound is checked. Superblock and group descriptors are those of the time of ext4_open;
 * everything else is read when it is asked for. A damaged group descriptor is the damage of what
 * lies in that group, and of nothing else.
 *
 * All offsets and lengths are bytes. A struct ext4, and every source opened from it, belong to
 * one thread. Callbacks may call everything here but ext4_close; a result of theirs that is not 0
 * stops the walk and is returned.
 */
#ifndef FORMAT_EXT4_EXT4_H
#define FORMAT_EXT4_EXT4_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/span.h"
#include "io/source.h"

#define EXT4_ROOT_INO 2
#define EXT4_GROUPS_MAX (UINT32_C(1) << 22)  /* 512 TiB of 4 KiB blocks */
#define EXT4_EXTENTS_MAX (UINT32_C(1) << 22) /* of one inode */
#define EXT4_NODES_MAX (UINT32_C(1) << 21)   /* blocks that hold the map of one inode */

struct ext4;

struct ext4_info {
	uint8_t uuid[16];
	uint32_t block_size;   /* bytes */
	uint32_t cluster_size; /* bytes: the unit of allocation; a block unless bigalloc */
	uint32_t inode_size;   /* bytes */
	uint32_t inodes_per_group;
	uint32_t nr_groups;
	uint32_t nr_inodes;
	uint64_t size;	     /* bytes */
	bool needs_recovery; /* mounted, or its journal was not replayed: metadata may be old */
	bool has_journal;    /* see ext4_journal.h */
	bool external_journal; /* it lies on another device */
	bool journals_data;  /* data=journal by the default mount options */
	bool is_clean;	     /* it was unmounted; false while it is mounted for writing without a journal */
	bool has_checksums;  /* of its metadata */
	bool has_errors;     /* the kernel has seen errors and has said so in the superblock */
};

/*
 * `src` is borrowed and must outlive the filesystem. -EPROTONOSUPPORT: not an ext filesystem, or
 * one with features that are not known; -EBADMSG: the superblock is damaged, or the filesystem is
 * larger than its source; -EFBIG: more than EXT4_GROUPS_MAX groups; -ENOMEM; else the errno of
 * the read. *ret_fs is NULL after a failure. Release with ext4_close.
 */
int ext4_open(struct source *src, struct ext4 **ret_fs) must_check;

/* The same by the backup of the superblock in `block`, counted in blocks of `block_size` bytes, with
 * the backups of group descriptors behind it. */
int ext4_open_backup(struct source *src, uint64_t block, uint32_t block_size,
		     struct ext4 **ret_fs) must_check;

/* By the primary superblock, though its checksum may be wrong: what it says of the geometry is held
 * against the source, and nothing else. */
int ext4_open_doubtful(struct source *src, struct ext4 **ret_fs) must_check;

/* NULL does nothing. Sources opened from it must have been closed. */
void ext4_close(struct ext4 *fs);

void ext4_get_info(const struct ext4 *fs, struct ext4_info *ret_info);

/* Multiples of the block size. A hole is where no extent is. */
struct ext4_extent {
	uint64_t logical;  /* offset in the file */
	uint64_t physical; /* offset in the filesystem */
	uint64_t len;
	bool unwritten; /* allocated, and reads as zeros */
};

enum ext4_content {
	EXT4_CONTENT_NONE,	/* none in blocks: a device, a FIFO, a short symbolic link */
	EXT4_CONTENT_BLOCKS,	/* where the extents say */
	EXT4_CONTENT_JOURNALED, /* the same, but newer bytes may stand in the journal */
	EXT4_CONTENT_INLINE,	/* in the inode itself; no extents */
	EXT4_CONTENT_ENCRYPTED, /* likewise, and nobody here has the key */
};

struct ext4_inode {
	uint32_t ino;
	uint32_t mode;
	uint32_t nlink;
	uint32_t generation;
	uint64_t size;	  /* bytes */
	int64_t mtime_ns; /* since the epoch; wraps around beyond the year 2262 */
	int64_t ctime_ns;
	int64_t btime_ns; /* 0 where the filesystem keeps none */
	enum ext4_content content;
	/*
	 * Ascending, neighbours merged, up to the block that holds the last byte of `size`.
	 * Borrowed for the call.
	 */
	const struct ext4_extent *extents;
	size_t nr_extents;
};

/*
 * `error` is 0; -ENOENT: no such inode, or not in use (no mode or no link); -EBADMSG: a checksum or
 * the structure of the inode, its group descriptor or its map is wrong; -EFBIG: a map beyond
 * EXT4_EXTENTS_MAX or EXT4_NODES_MAX; else the errno of the read. If it is not 0, only
 * inode->ino is set.
 */
typedef int (*ext4_inode_fn)(const struct ext4_inode *inode, int error, void *ctx);

/*
 * Calls `fn` once for each wanted inode. `wanted` ascends and may repeat itself. Of the inode
 * tables only what lies between wanted inodes is read, 1 MiB at a time; where that cannot be read,
 * block by block, so that an error is told of the inodes in that block alone. 0, -ENOMEM or the
 * result of `fn`.
 */
int ext4_scan_inodes(struct ext4 *fs, const uint32_t *wanted, size_t nr, ext4_inode_fn fn,
		     void *ctx) must_check;

/* The same for one inode. */
int ext4_read_inode(struct ext4 *fs, uint32_t ino, ext4_inode_fn fn, void *ctx) must_check;

/*
 * The inode of a path below the directory `dir`. Symbolic links are followed, the last one too; an
 * absolute one begins at the root of the filesystem. -ELOOP after 40 of them, -ENAMETOOLONG
 * when path and links need more than 4,096 bytes, -ENOENT, -ENOTDIR, and the errors of
 * ext4_list_dir.
 */
int ext4_lookup(struct ext4 *fs, uint32_t dir, const char *path, uint32_t *ret_ino) must_check;

/*
 * The same without leaving `dir`: a link that is absolute, or a `..` that leads out of it, is -EXDEV, as
 * with RESOLVE_BENEATH of openat2.
 */
int ext4_lookup_beneath(struct ext4 *fs, uint32_t dir, const char *path,
			uint32_t *ret_ino) must_check;

/* `type` is one of DT_*, DT_UNKNOWN where the filesystem does not say. The name is borrowed. */
typedef int (*ext4_dirent_fn)(struct span name, uint32_t ino, unsigned type, void *ctx);

/*
 * Every entry but `.` and `..`, in the order of the disk. A block that is damaged or cannot be read
 * does not end the walk: what is good is handed out, and the first error returned at the end.
 * -ENOTDIR, -EOPNOTSUPP: encrypted; -EBADMSG: an entry, checksum or hole; or as
 * ext4_inode_fn.
 */
int ext4_list_dir(struct ext4 *fs, uint32_t dir, ext4_dirent_fn fn, void *ctx) must_check;

/*
 * A source over the bytes of a regular file; holes and unwritten extents read as zeros. It
 * borrows `fs` and reads the map once, now: what the file becomes later it does not see. -EINVAL:
 * not a regular file; -EOPNOTSUPP: encrypted; or as ext4_inode_fn. Release with source_close.
 */
int ext4_open_file(struct ext4 *fs, uint32_t ino, struct source *ret_src) must_check;

typedef int (*ext4_range_fn)(uint64_t off, uint64_t len, void *ctx);

/*
 * The allocated parts of the filesystem, ascending and merged, from the block bitmaps; what lies
 * before the first group is not told. A group whose descriptor or bitmap is damaged (-EBADMSG) or
 * cannot be read is left out, and the first such error returned at the end.
 */
int ext4_each_allocated(struct ext4 *fs, ext4_range_fn fn, void *ctx) must_check;

/* The same of `nr` groups from `first` on. -ERANGE: there are fewer. */
int ext4_each_allocated_in(struct ext4 *fs, uint32_t first, uint32_t nr, ext4_range_fn fn,
			   void *ctx) must_check;

/* Where a group lies. What lies before group 0 belongs to none. -ERANGE: there is no such group. */
int ext4_group_range(const struct ext4 *fs, uint32_t group, uint64_t *ret_off,
		     uint64_t *ret_len) must_check;

/* How much is allocated in all groups by what their descriptors say: about right, without a read. */
uint64_t ext4_count_allocated(const struct ext4 *fs);

#endif

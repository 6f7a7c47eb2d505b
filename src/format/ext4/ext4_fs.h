/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of this folder share, and nobody else sees.
 */
#ifndef FORMAT_EXT4_EXT4_FS_H
#define FORMAT_EXT4_EXT4_FS_H

#include <endian.h>
#include <ext2fs/ext2fs.h>

#include "base/buf.h"
#include "format/ext4/ext4.h"

#define INODE_BASE_LEN 128 /* bytes of an inode that every version has */
#define INODE_BLOCK_LEN 60 /* bytes of i_block: a map, the root of a tree, or content */

struct ext4 {
	struct source *src; /* borrowed */
	ext2_filsys lib;    /* owned */
	uint64_t nr_blocks;
	uint64_t first_block; /* of group 0 */
	struct ext4_info info;
	bool metadata_csum;
};

/*
 * What a check wants to know of a map beside its extents: every block that holds a part of it, and
 * every run whole, also what lies behind the size of the file. With hooks a damaged part of a tree
 * does not end the walk: what is beside it is walked, and the first error returned at the end.
 * Non-zero stops the walk and is returned; errors of theirs may not be -EBADMSG.
 */
struct ext4_map_hooks {
	/* `error` is 0, or what is wrong with the block, and `what` says so; a root has block 0. */
	int (*node)(uint32_t ino, uint64_t block, int error, const char *what, void *ctx);
	int (*run)(uint32_t ino, uint64_t logical, uint64_t physical, uint64_t nr_blocks,
		   bool unwritten, void *ctx);
	void *ctx;
};

/* An inode under work; ext4_work_fini frees, and may be called twice. */
struct ext4_work {
	struct ext4_inode inode;
	uint32_t flags;	    /* EXT4_*_FL */
	uint32_t csum_seed; /* of the blocks that belong to this inode */
	uint8_t *raw;	    /* info.inode_size bytes; see ext4_inode_load */
	uint8_t *owned_raw; /* the same, where it is ours */
	struct buf stored;  /* content that stands in the inode itself */
	struct ext4_extent *extents;
	size_t nr_extents, cap_extents;
	uint8_t *nodes;	   /* a block for each level of a map */
	uint32_t nr_nodes; /* blocks of the map that were read */
	const struct ext4_map_hooks *hooks; /* borrowed; NULL: none */
};

#define EXT4_WORK_NULL ((struct ext4_work){ .stored = { NULL, 0, 0, false } })

void ext4_work_fini(struct ext4_work *work);

static inline uint16_t le16_at(const uint8_t *bytes)
{
	return (uint16_t)(bytes[0] | bytes[1] << 8);
}

static inline uint32_t le32_at(const uint8_t *bytes)
{
	return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 |
	       (uint32_t)bytes[3] << 24;
}

/* ext4_io.c: libext2fs over a source. The manager is constant and shared. */
#define EXT4_IO_NAME_SIZE 32 /* bytes */
void ext4_io_name(struct source *src, char ret_name[EXT4_IO_NAME_SIZE]);
io_manager ext4_io_manager(void);

/* ext4.c */
int ext4_error(errcode_t error); /* a negative errno, or 0 */

/* -EBADMSG outside the filesystem, or the errno of the read. */
int ext4_read_block(struct ext4 *fs, uint64_t block, uint8_t *buf) must_check;

/* Where the inode table of a group lies. -EBADMSG: its descriptor is wrong. */
int ext4_group_table(struct ext4 *fs, uint32_t group, uint64_t *ret_off) must_check;

/* ext4_inode.c: as ext4_inode_fn says. */
/* Parses work->raw, which is borrowed, and reads the map. */
int ext4_inode_parse(struct ext4 *fs, uint32_t ino, struct ext4_work *work) must_check;
/* Reads the inode too, and what of its content stands in it. */
int ext4_inode_load(struct ext4 *fs, uint32_t ino, struct ext4_work *work) must_check;

/*
 * Every inode of a group that its table holds, in use or not, with its raw bytes in work->raw. As
 * ext4_scan_inodes, but for inodes that were never used, of which nothing is told.
 */
typedef int (*ext4_work_fn)(struct ext4_work *work, int error, void *ctx);
int ext4_scan_group(struct ext4 *fs, uint32_t group, const struct ext4_map_hooks *hooks,
		    ext4_work_fn fn, void *ctx) must_check;

/* ext4_dir.c: the rules of one block of a directory. */
enum ext4_dir_kind {
	EXT4_DIR_ENTRIES,
	EXT4_DIR_ROOT, /* of a hash tree; its table is at DX_ROOT_AT */
	EXT4_DIR_NODE,
};
#define DX_ROOT_AT 32 /* bytes */
#define DX_NODE_AT 8
enum ext4_dir_kind ext4_dir_kind(const struct ext4 *fs, const uint8_t *block);
uint32_t ext4_record_len(const uint8_t *entry, uint64_t block_len);
bool ext4_dir_csum_is_right(const struct ext4 *fs, uint32_t seed, const uint8_t *block) must_check;

/* ext4_bitmap.c */
struct ext4_group {
	uint64_t first; /* its first block */
	uint64_t nr_blocks;
	uint64_t nr_clusters;
	uint32_t ratio; /* blocks of a cluster */
};
struct ext4_group ext4_group_of(const struct ext4 *fs, uint32_t index);
/* Every run of blocks that is the group's own metadata; it may reach out of the group. */
typedef void (*ext4_own_fn)(uint64_t block, uint64_t nr, void *ctx);
void ext4_each_own_block(const struct ext4 *fs, uint32_t index, ext4_own_fn fn, void *ctx);
/* The block bitmap of a group; `bitmap` has room for a block. -EBADMSG or the errno of the read. */
int ext4_bitmap_read(struct ext4 *fs, uint32_t index, uint8_t *bitmap) must_check;

/* Of the checksums of the blocks that belong to an inode. */
uint32_t ext4_inode_csum_seed(const struct ext4 *fs, uint32_t ino, uint32_t generation);

/* ext4_map.c: fills work->extents from i_block. */
int ext4_map_read(struct ext4 *fs, struct ext4_work *work) must_check;

/* ext4_file.c */
/* Puts content of the inode's own into work->stored. -EBADMSG: it does not reach to the size. */
int ext4_inline_read(struct ext4 *fs, struct ext4_work *work) must_check;
/* Content of a loaded inode of any kind; as source_ops.read. */
int ext4_content_read(struct ext4 *fs, struct ext4_work *work, uint64_t off, void *buf,
		      uint64_t len, uint64_t *ret_n) must_check;

#endif

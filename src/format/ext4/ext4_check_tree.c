// SPDX-License-Identifier: Apache-2.0
/*
 * Hash trees of directories as wholes: each block of the directory is reached once, and the hashes of
 * its names lie in the range that the tree gives it. Where blocks have checksums this says nothing new.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "format/ext4/ext4_check_parts.h"

#define ENTRY_LEN 8
#define LEVELS_MAX 3 /* below the root */

struct tree {
	struct check *check;
	const struct ext4_work *work; /* the directory */
	uint8_t *blocks;	      /* one for each level, and one for a leaf */
	uint8_t *reached;	      /* a bit for each block of the directory */
	uint64_t nr_blocks;
	int version;
	uint64_t block; /* in the filesystem: the last that was read */
};

static int tree_tell(const struct tree *tree, const char *what)
{
	return check_tell_block(tree->check, EXT4_OBJECT_DIR, tree->block, tree->work->inode.ino,
				-EBADMSG, what);
}

/* Tells, and ends the walk with 1: what follows from it says nothing new. */
static int tree_end(const struct tree *tree, const char *what)
{
	int r = tree_tell(tree, what);

	return r ? r : 1;
}

/* The block of the directory that lies there; UINT64_MAX: a hole. */
static uint64_t tree_find(const struct tree *tree, uint64_t off)
{
	const struct ext4_inode *inode = &tree->work->inode;
	size_t low = 0,
	       high = inode->nr_extents; /* what begins at `off` or before is below `high` */

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (inode->extents[middle].logical <= off)
			low = middle + 1;
		else
			high = middle;
	}
	const struct ext4_extent *e = low ? &inode->extents[low - 1] : NULL;
	if (!e || off - e->logical >= e->len)
		return UINT64_MAX;
	return (e->physical + (off - e->logical)) / tree->check->fs->info.block_size;
}

/* 1: it was told that this block cannot be reached so. */
static int tree_read(struct tree *tree, uint64_t logical, uint8_t *to)
{
	struct ext4 *fs = tree->check->fs;
	uint64_t unit = fs->info.block_size;

	if (logical >= tree->nr_blocks || tree->reached[logical / 8] & 1u << logical % 8)
		return tree_end(tree, "its hash tree leads to a block twice, or to none");
	tree->reached[logical / 8] |= (uint8_t)(1u << logical % 8);
	uint64_t block = tree_find(tree, logical * unit);
	if (block == UINT64_MAX)
		return 1; /* of which was told */
	tree->block = block;
	int error = ext4_read_block(fs, block, to);
	if (error == 0)
		return 0;
	int r = check_tell_block(tree->check, EXT4_OBJECT_DIR, block, tree->work->inode.ino, error,
				 "cannot be read");
	return r ? r : 1;
}

/* Names in [low, high); the collision bit of `high` lets its own hash be on both sides. */
static int tree_leaf(struct tree *tree, const uint8_t *block, uint64_t low, uint64_t high)
{
	struct ext4 *fs = tree->check->fs;
	uint64_t len = fs->info.block_size;

	for (uint64_t at = 0; at + ENTRY_LEN <= len;) {
		const uint8_t *entry = block + at;
		uint32_t entry_len = ext4_record_len(entry, len);
		ext2_dirhash_t hash, minor;
		if (entry_len < ENTRY_LEN || entry_len > len - at ||
		    entry[6] > entry_len - ENTRY_LEN)
			return 0; /* told already */
		at += entry_len;
		if (le32_at(entry) == 0)
			continue;
		if (ext2fs_dirhash2(tree->version, (const char *)entry + ENTRY_LEN, entry[6], NULL,
				    0, fs->lib->super->s_hash_seed, &hash, &minor))
			return 0;
		bool shared = high & 1 && hash == (high & ~UINT64_C(1));
		if (hash < (low & ~UINT64_C(1)) || (hash >= high && !shared))
			return tree_end(tree, "a name here is not where its hash tree has it");
	}
	return 0;
}

/* The table is at `at` of `node`, with `levels` of nodes below it. Recursion is LEVELS_MAX deep at most. */
static int tree_walk(struct tree *tree, const uint8_t *node, uint64_t at, unsigned levels,
		     uint64_t low, uint64_t high)
{
	uint64_t room = (tree->check->fs->info.block_size - at) / 8;
	uint64_t count = min_of((uint64_t)le16_at(node + at + 2), room);

	for (uint64_t i = 0; i < count; i++) {
		const uint8_t *entry = node + at + i * 8;
		uint64_t from = i ? le32_at(entry) : low;
		uint64_t to = i + 1 < count ? le32_at(entry + 8) : high;
		uint8_t *block = tree->blocks + (uint64_t)levels * tree->check->fs->info.block_size;
		int r = tree_read(tree, le32_at(entry + 4) & 0x0fffffff, block);
		if (r == 0)
			r = levels ? tree_walk(tree, block, DX_NODE_AT, levels - 1, from, to)
				   : tree_leaf(tree, block, from, to);
		if (r)
			return r;
	}
	return 0;
}

static int tree_root(struct tree *tree)
{
	struct ext4 *fs = tree->check->fs;
	uint8_t *root = tree->blocks + (uint64_t)(LEVELS_MAX + 1) * fs->info.block_size;
	const struct ext2_dx_root_info *info = (const struct ext2_dx_root_info *)(root + 24);

	int r = tree_read(tree, 0, root);
	if (r)
		return r > 0 ? 0 : r;
	if (info->info_length != 8 || info->reserved_zero || info->indirect_levels > LEVELS_MAX ||
	    info->hash_version > EXT2_HASH_TEA)
		return tree_tell(tree, "the root of its hash tree is wrong");
	tree->version = info->hash_version;
	if (fs->lib->super->s_flags & EXT2_FLAGS_UNSIGNED_HASH)
		tree->version += 3;
	r = tree_walk(tree, root, DX_ROOT_AT, info->indirect_levels, 0, UINT64_C(1) << 32);
	for (uint64_t i = 0; i < tree->nr_blocks && r == 0; i++)
		if (!(tree->reached[i / 8] & 1u << i % 8))
			return tree_tell(tree, "its hash tree does not lead to all its blocks");
	return r > 0 ? 0 : r;
}

static int check_one(struct check *check, uint32_t ino)
{
	struct ext4_work work cleanup(ext4_work_fini) = EXT4_WORK_NULL;
	uint64_t unit = check->fs->info.block_size;
	struct tree tree = { .check = check, .work = &work };

	int error = ext4_inode_load(check->fs, ino, &work);
	if (error)
		return error == -ENOMEM ? error : 0;
	if (!(work.flags & EXT2_INDEX_FL) || work.inode.content != EXT4_CONTENT_BLOCKS ||
	    work.flags & EXT4_CASEFOLD_FL)
		return 0;
	tree.block = work.inode.nr_extents ? work.inode.extents[0].physical / unit : 0;
	if (!ext2fs_has_feature_dir_index(check->fs->lib->super))
		return tree_tell(&tree, "it has a hash tree, and the filesystem knows of none");
	tree.nr_blocks = min_of(work.inode.size / unit, check->fs->nr_blocks);
	tree.blocks = malloc((LEVELS_MAX + 2) * unit);
	tree.reached = calloc(1, tree.nr_blocks / 8 + 1);
	int r = tree.blocks && tree.reached ? tree_root(&tree) : -ENOMEM;
	free(tree.blocks);
	free(tree.reached);
	return r;
}

int check_trees(struct check *check)
{
	int r = 0;

	for (size_t i = 0; i < check->nr_dirs && r == 0; i++)
		r = check_is_stopped(check) ? EXT4_CHECK_STOPPED
					    : check_one(check, check->dirs[i].ino);
	return r;
}

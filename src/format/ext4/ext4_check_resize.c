// SPDX-License-Identifier: Apache-2.0
/*
 * The inode that keeps room for more group descriptors: a double indirect block names the blocks behind
 * the primary descriptors, and each of those its copies in the groups with backups, and nothing else.
 * A resize follows these numbers, so what is wrong there is written to another file. By the kernel's
 * fs/ext4/resize.c, verify_reserved_gdb().
 */
#include <errno.h>
#include <string.h>

#include "format/ext4/ext4_check_parts.h"

/* Behind the descriptors in front, which do not begin at the first block on each kind of filesystem. */
static uint64_t room_begin(const struct ext4 *fs)
{
	blk64_t super, old_desc, new_desc;

	(void)ext2fs_super_and_bgd_loc2(fs->lib, 0, &super, &old_desc, &new_desc, NULL);
	return old_desc + fs->lib->desc_blocks;
}

/* What a block of the room must hold, in check->block; false when it holds something else. */
static bool names_its_copies(const struct check *check, uint64_t block)
{
	const struct ext4 *fs = check->fs;
	uint32_t nr = 0, room = fs->info.block_size / 4;

	for (uint32_t group = 1; group < fs->info.nr_groups; group++) {
		if (!ext2fs_bg_has_super(fs->lib, group))
			continue;
		uint64_t copy = block + (uint64_t)group * fs->lib->super->s_blocks_per_group;
		if (nr == room || le32_at(check->block + (uint64_t)nr * 4) != copy)
			return false;
		nr++;
	}
	for (; nr < room; nr++)
		if (le32_at(check->block + (uint64_t)nr * 4))
			return false;
	return true;
}

static int check_room(struct check *check, uint64_t block)
{
	int error = ext4_read_block(check->fs, block, check->block);

	if (error == 0 && names_its_copies(check, block))
		return 0;
	return check_tell_block(check, EXT4_OBJECT_MAP, block, EXT2_RESIZE_INO,
				error ? error : -EBADMSG,
				error ? "cannot be read" : "it does not name its copies");
}

/* The double indirect block has them where their descriptors would stand, and nothing else. */
static bool names_all_room(const struct check *check, uint64_t first)
{
	const struct ext4 *fs = check->fs;
	uint32_t nr = fs->lib->super->s_reserved_gdt_blocks, room = fs->info.block_size / 4;
	uint32_t at = (uint32_t)(fs->lib->desc_blocks % room);

	for (uint32_t i = 0; i < room; i++) {
		uint32_t index = (i + room - at) % room; /* of a block of the room */
		if (le32_at(check->block + (uint64_t)i * 4) != (index < nr ? first + index : 0))
			return false;
	}
	return true;
}

static int check_root_of_room(struct check *check, uint64_t first)
{
	struct ext4_work work cleanup(ext4_work_fini) = EXT4_WORK_NULL;
	const struct ext2_inode_large *raw;

	if (ext4_inode_load(check->fs, EXT2_RESIZE_INO, &work))
		return 0; /* it is told with all other inodes */
	raw = (const struct ext2_inode_large *)work.raw;
	uint32_t block = le32toh(raw->i_block[EXT2_DIND_BLOCK]);
	int error = block < check->fs->nr_blocks ? ext4_read_block(check->fs, block, check->block)
						 : -EBADMSG;
	if (error == 0 && !names_all_room(check, first))
		error = -EBADMSG;
	if (error == 0)
		return 0;
	return check_tell_block(check, EXT4_OBJECT_MAP, block, EXT2_RESIZE_INO, error,
				error == -EBADMSG ? "it does not name the room for descriptors"
						  : "cannot be read");
}

int check_resize(struct check *check)
{
	const struct ext4 *fs = check->fs;
	const struct ext2_super_block *super = fs->lib->super;
	uint64_t first = room_begin(fs);
	int r = 0;

	if (!check->used || !ext2fs_has_feature_resize_inode(fs->lib->super) ||
	    ext2fs_has_feature_meta_bg(fs->lib->super) ||
	    ext2fs_has_feature_sparse_super2(fs->lib->super))
		return 0;
	r = check_root_of_room(check, first);
	for (uint32_t i = 0; i < super->s_reserved_gdt_blocks && r == 0; i++)
		if (first + i < fs->nr_blocks)
			r = check_room(check, first + i);
	return r;
}

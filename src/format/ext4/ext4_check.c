// SPDX-License-Identifier: Apache-2.0
/*
 * The order: superblocks, then group after group its descriptor, its bitmaps and its inodes with
 * their maps; then the blocks of directories and attributes in the order of the disk; then the
 * books, if all was well so far: where a part is damaged, what does not add up says nothing new.
 */
#include <errno.h>
#include <stdlib.h>

#include "format/ext4/ext4_check_parts.h"

#define GROW_MIN 1024

const char *ext4_object_name(enum ext4_object object)
{
	static const char *const names[] = {
		[EXT4_OBJECT_SUPER] = "superblock",
		[EXT4_OBJECT_SUPER_BACKUP] = "backup of the superblock",
		[EXT4_OBJECT_DESC] = "group descriptor",
		[EXT4_OBJECT_BLOCK_BITMAP] = "block bitmap",
		[EXT4_OBJECT_INODE_BITMAP] = "inode bitmap",
		[EXT4_OBJECT_INODE] = "inode",
		[EXT4_OBJECT_MAP] = "block map",
		[EXT4_OBJECT_DIR] = "directory block",
		[EXT4_OBJECT_ATTR] = "attribute block",
		[EXT4_OBJECT_MMP] = "MMP block",
		[EXT4_OBJECT_ORPHANS] = "orphan file block",
		[EXT4_OBJECT_JOURNAL] = "journal block",
		[EXT4_OBJECT_BOOKS] = "accounts",
	};

	return (unsigned)object < array_size(names) ? names[object] : NULL;
}

int check_tell(struct check *check, enum ext4_object object, uint64_t off, uint32_t len,
	       uint32_t ino, int error, const char *what)
{
	struct ext4_problem problem = {
		.object = object,
		.off = off,
		.len = len,
		.ino = ino,
		.group = check->group,
		.error = error,
		.what = what,
	};
	uint64_t per_group =
		(uint64_t)check->fs->lib->super->s_blocks_per_group * check->fs->info.block_size;
	uint64_t start = check->fs->first_block * check->fs->info.block_size;

	if (off != UINT64_MAX && per_group)
		problem.group = off < start ? 0 : (uint32_t)((off - start) / per_group);
	check->stats->problems++;
	check->result = check->events->problem(&problem, check->events->ctx);
	return check->result;
}

int check_tell_block(struct check *check, enum ext4_object object, uint64_t block, uint32_t ino,
		     int error, const char *what)
{
	uint32_t unit = check->fs->info.block_size;

	return check_tell(check, object, block * unit, unit, ino, error, what);
}

int check_tell_lost(struct check *check, uint32_t ino, const char *what)
{
	const struct ext4_info *info = &check->fs->info;
	uint64_t table, off = UINT64_MAX;

	if (ext4_group_table(check->fs, (ino - 1) / info->inodes_per_group, &table) == 0)
		off = table + (uint64_t)((ino - 1) % info->inodes_per_group) * info->inode_size;
	books_add_damaged(check, ino, 1);
	return check_tell(check, EXT4_OBJECT_INODE, off, off == UINT64_MAX ? 0 : info->inode_size,
			  ino, -EBADMSG, what);
}

int check_grow(void *array_of_pointer, size_t nr, size_t *cap, size_t size)
{
	void **array = array_of_pointer;
	size_t more = max_of(*cap * 2, (size_t)GROW_MIN);

	if (nr < *cap)
		return 0;
	if (nr >= EXT4_CHECK_BLOCKS_MAX)
		return -EFBIG;
	void *grown = realloc(*array, more * size);
	if (!grown)
		return -ENOMEM;
	*array = grown;
	*cap = more;
	return 0;
}

/* Where the descriptor of a group lies, for people. */
static uint64_t desc_off(const struct ext4 *fs, uint32_t group)
{
	uint32_t size = EXT2_DESC_SIZE(fs->lib->super), per = fs->info.block_size / size;
	blk64_t block = ext2fs_descriptor_block_loc2(fs->lib, fs->lib->super->s_first_data_block,
						     group / per);

	return block * fs->info.block_size + (uint64_t)(group % per) * size;
}

/* *ret_good is false where nothing that the group says can be believed. */
static int check_desc(struct check *check, uint32_t group, bool *ret_good)
{
	struct ext4 *fs = check->fs;
	uint64_t blocks[] = { ext2fs_block_bitmap_loc(fs->lib, group),
			      ext2fs_inode_bitmap_loc(fs->lib, group),
			      ext2fs_inode_table_loc(fs->lib, group) };
	const char *what = NULL;

	if (!ext2fs_group_desc_csum_verify(fs->lib, group))
		what = "its checksum is wrong";
	if (!what && !ext2fs_has_group_desc_csum(fs->lib) &&
	    ext2fs_bg_flags_test(fs->lib, group, EXT2_BG_INODE_UNINIT | EXT2_BG_BLOCK_UNINIT))
		what = "it has flags that nobody sets";
	for (unsigned i = 0; i < array_size(blocks) && !what; i++)
		if (blocks[i] <= fs->first_block || blocks[i] >= fs->nr_blocks)
			what = "it names a block that cannot be";
	if (!what && ext4_group_table(fs, group, &check->table))
		what = "its inode table does not fit";
	*ret_good = !what;
	if (!what)
		return 0;
	return check_tell(check, EXT4_OBJECT_DESC, desc_off(fs, group),
			  EXT2_DESC_SIZE(fs->lib->super), 0, -EBADMSG, what);
}

static int check_bitmaps(struct check *check, uint32_t group)
{
	struct ext4 *fs = check->fs;
	bool lazy = ext2fs_has_group_desc_csum(fs->lib);
	uint32_t len = fs->info.inodes_per_group / 8;
	int error, r = 0;

	check->has_inode_bitmap = false;
	if (!lazy || !ext2fs_bg_flags_test(fs->lib, group, EXT2_BG_BLOCK_UNINIT)) {
		error = ext4_bitmap_read(fs, group, check->block);
		if (error)
			r = check_tell_block(check, EXT4_OBJECT_BLOCK_BITMAP,
					     ext2fs_block_bitmap_loc(fs->lib, group), 0, error,
					     error == -EBADMSG ? "its checksum is wrong"
							       : "cannot be read");
	}
	if (r || (lazy && ext2fs_bg_flags_test(fs->lib, group, EXT2_BG_INODE_UNINIT)))
		return r;
	uint64_t block = ext2fs_inode_bitmap_loc(fs->lib, group);
	error = ext4_read_block(fs, block, check->inode_bitmap);
	if (error == 0 &&
	    (len > fs->info.block_size ||
	     !ext2fs_inode_bitmap_csum_verify(fs->lib, group, (char *)check->inode_bitmap, (int)len)))
		error = -EBADMSG;
	check->has_inode_bitmap = error == 0;
	if (error == 0)
		return 0;
	return check_tell_block(check, EXT4_OBJECT_INODE_BITMAP, block, 0, error,
				error == -EBADMSG ? "its checksum is wrong" : "cannot be read");
}

/* What is read of a group at once: its bitmaps, and the beginning of its table. */
static void hint_group(struct check *check, uint32_t group)
{
	const struct ext4_info *info = &check->fs->info;
	uint64_t unit = info->block_size, off;
	uint64_t len = (uint64_t)info->inodes_per_group * info->inode_size;

	if (group >= info->nr_groups || ext4_group_table(check->fs, group, &off))
		return;
	if (ext2fs_has_group_desc_csum(check->fs->lib))
		len -= min_of(len, (uint64_t)ext2fs_bg_itable_unused(check->fs->lib, group) *
					   info->inode_size);
	source_prefetch(check->fs->src, ext2fs_block_bitmap_loc(check->fs->lib, group) * unit, unit);
	source_prefetch(check->fs->src, ext2fs_inode_bitmap_loc(check->fs->lib, group) * unit, unit);
	len = min_of(len, (uint64_t)(SOURCE_PREFETCH_MAX / 2 - 2) * SOURCE_PREFETCH_LEN);
	for (uint64_t at = 0; at < len; at += SOURCE_PREFETCH_LEN)
		source_prefetch(check->fs->src, off + at,
				min_of(len - at, (uint64_t)SOURCE_PREFETCH_LEN));
}

static int check_groups(struct check *check)
{
	uint32_t per_group = check->fs->info.inodes_per_group;
	int r = 0;

	hint_group(check, 0);
	for (uint32_t group = 0; group < check->fs->info.nr_groups && r == 0; group++) {
		bool good;
		hint_group(check, group + 1);
		if (check_is_stopped(check))
			return EXT4_CHECK_STOPPED;
		check->group = group;
		check->bad_table_block = UINT64_MAX;
		r = check_desc(check, group, &good);
		if (!good)
			books_add_damaged(check, group * per_group + 1, per_group);
		if (r || !good)
			continue;
		r = check_bitmaps(check, group);
		if (r == 0)
			r = check_inodes(check, group);
	}
	return r;
}

static int check_all(struct check *check)
{
	int r = check->options->books ? books_begin(check) : 0;

	if (r == 0)
		r = check_supers(check);
	if (r == 0)
		r = check_resize(check);
	if (r == 0)
		r = check_groups(check);
	if (r == 0)
		r = check_dir_blocks(check);
	if (r == 0)
		r = check_attr_blocks(check);
	if (r || !check->used || check->stats->problems || check->stats->unchecked)
		return r;
	if (!check->fs->metadata_csum)
		r = check_trees(check);
	return r ? r : books_end(check);
}

int ext4_check(struct ext4 *fs, const struct ext4_check_options *options,
	       const struct ext4_check_events *events, struct ext4_check_stats *ret_stats)
{
	const struct ext2_super_block *super = fs->lib->super;
	struct check check = {
		.fs = fs,
		.options = options,
		.events = events,
		.stats = ret_stats,
		.first_ino = max_of(EXT2_FIRST_INO(super), (uint32_t)EXT2_GOOD_OLD_FIRST_INO),
		.orphan_ino = ext2fs_has_feature_orphan_file(fs->lib->super)
				      ? super->s_orphan_file_inum
				      : 0,
		.hidden_ino = { super->s_usr_quota_inum, super->s_grp_quota_inum,
				super->s_prj_quota_inum },
	};

	*ret_stats = (struct ext4_check_stats){ 0 };
	check.block = malloc(fs->info.block_size);
	check.inode_bitmap = malloc(fs->info.block_size);
	int r = check.block && check.inode_bitmap ? check_all(&check) : -ENOMEM;
	books_fini(&check);
	free(check.attrs);
	free(check.dir_blocks);
	free(check.inode_bitmap);
	free(check.block);
	return r;
}

static int keep_error(const struct ext4_problem *problem, void *ctx)
{
	int *error = ctx;

	if (*error == 0)
		*error = problem->error;
	return 0;
}

int ext4_check_group(struct ext4 *fs, uint32_t group)
{
	struct ext4_check_options options = { .books = false };
	struct ext4_check_stats stats = { 0 };
	int error = 0;
	struct ext4_check_events events = { .problem = keep_error, .ctx = &error };
	struct check check = { .fs = fs, .options = &options, .events = &events, .stats = &stats };
	bool good = false;

	if (group >= fs->info.nr_groups)
		return -ERANGE;
	check.block = malloc(fs->info.block_size);
	check.inode_bitmap = malloc(fs->info.block_size);
	int r = check.block && check.inode_bitmap ? check_desc(&check, group, &good) : -ENOMEM;
	if (r == 0 && good)
		r = check_bitmaps(&check, group);
	free(check.inode_bitmap);
	free(check.block);
	return r ? r : error;
}

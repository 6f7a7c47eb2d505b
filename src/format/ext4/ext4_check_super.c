// SPDX-License-Identifier: Apache-2.0
/*
 * The superblock has a checksum only with metadata_csum. Without it, what must be the same for ever is
 * held against the backups.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "format/ext4/ext4_check_parts.h"

#define SUPER_OFF 1024 /* bytes */
#define SUPER_LEN 1024
#define LOG_BLOCK_MAX 6
#define ORPHAN_TAIL_LEN 8 /* bytes */
#define JOURNAL_MAGIC 0xc03b3998u
#define ORPHAN_MAGIC 0x0b10ca04u

/* What a feature that nobody here knows may mean is not known; but it does not come by itself. */
static bool features_are_same(const struct ext2_super_block *a, const struct ext2_super_block *b)
{
	uint32_t compat = a->s_feature_compat ^ b->s_feature_compat;
	uint32_t ro_compat = a->s_feature_ro_compat ^ b->s_feature_ro_compat;

	return (compat & ~htole32(EXT2_LIB_FEATURE_COMPAT_SUPP)) == 0 &&
	       (ro_compat & ~htole32(EXT2_LIB_FEATURE_RO_COMPAT_SUPP)) == 0;
}

/* The fields that no run of a filesystem changes. */
static bool super_is_same(const struct ext2_super_block *a, const struct ext2_super_block *b)
{
	return a->s_magic == b->s_magic && a->s_first_data_block == b->s_first_data_block &&
	       a->s_log_block_size == b->s_log_block_size &&
	       a->s_log_cluster_size == b->s_log_cluster_size &&
	       a->s_blocks_per_group == b->s_blocks_per_group &&
	       a->s_clusters_per_group == b->s_clusters_per_group &&
	       a->s_inodes_per_group == b->s_inodes_per_group && a->s_rev_level == b->s_rev_level &&
	       a->s_inode_size == b->s_inode_size && a->s_first_ino == b->s_first_ino &&
	       features_are_same(a, b) && memcmp(a->s_uuid, b->s_uuid, sizeof(a->s_uuid)) == 0;
}

/* 0, -EBADMSG or the errno of the read. */
static int super_look(struct check *check, uint64_t off, struct ext2_super_block *super)
{
	int r = source_read_exact(check->fs->src, off, super, sizeof(*super));

	if (r)
		return r;
	if (le16toh(super->s_magic) != EXT2_SUPER_MAGIC ||
	    !ext2fs_superblock_csum_verify(check->fs->lib, super))
		return -EBADMSG;
	return 0;
}

static int check_backup(struct check *check, uint32_t group, const struct ext2_super_block *primary,
			bool *told)
{
	struct ext2_super_block super;
	blk64_t block, old_desc, new_desc;

	(void)ext2fs_super_and_bgd_loc2(check->fs->lib, group, &block, &old_desc, &new_desc, NULL);
	if (block == 0)
		return 0;
	uint64_t off = block * check->fs->info.block_size;
	int error = super_look(check, off, &super);
	if (error)
		return check_tell(check, EXT4_OBJECT_SUPER_BACKUP, off, SUPER_LEN, 0, error,
				  error == -EBADMSG ? "its checksum is wrong" : "cannot be read");
	/* With a checksum either is what was written once. */
	if (check->fs->metadata_csum || *told || !primary || super_is_same(primary, &super))
		return 0;
	*told = true;
	/* Rather none of them is believed than one that makes everything look wrong. */
	check->first_ino = EXT2_GOOD_OLD_FIRST_INO;
	return check_tell(check, EXT4_OBJECT_SUPER, SUPER_OFF, SUPER_LEN, 0, -EBADMSG,
			  "it and its backup say different things");
}

static int check_mmp(struct check *check)
{
	struct ext4 *fs = check->fs;
	uint64_t block = fs->lib->super->s_mmp_block;
	struct mmp_struct *mmp = (struct mmp_struct *)check->block;

	if (!ext2fs_has_feature_mmp(fs->lib->super))
		return 0;
	if (block <= fs->first_block || block >= fs->nr_blocks)
		return check_tell(check, EXT4_OBJECT_SUPER, SUPER_OFF, SUPER_LEN, 0, -EBADMSG,
				  "it names a block that cannot be");
	int error = ext4_read_block(fs, block, check->block);
	if (error == 0 &&
	    (le32toh(mmp->mmp_magic) != EXT4_MMP_MAGIC || !ext2fs_mmp_csum_verify(fs->lib, mmp)))
		error = -EBADMSG;
	if (error)
		return check_tell_block(check, EXT4_OBJECT_MMP, block, 0, error,
					error == -EBADMSG ? "its checksum is wrong"
							  : "cannot be read");
	return check->used ? books_take(check, block, 1, 0, false) : 0;
}

/* What is wrong with the inode itself is told with all inodes. */
static const char *journal_is_wrong(struct check *check)
{
	static const uint8_t no_uuid[16];
	struct ext4_work work cleanup(ext4_work_fini) = EXT4_WORK_NULL;
	struct ext2_super_block *super = check->fs->lib->super;
	bool has_uuid = memcmp(super->s_journal_uuid, no_uuid, sizeof(no_uuid)) != 0;
	uint32_t magic;

	if (!ext2fs_has_feature_journal(super))
		return super->s_journal_inum || super->s_journal_dev || has_uuid
			       ? "it has no journal, and says where it is"
			       : NULL;
	bool is_outside = super->s_journal_dev || has_uuid;
	if (is_outside == (super->s_journal_inum != 0))
		return "it has no journal or two";
	if (is_outside)
		return NULL;
	if (super->s_journal_inum != EXT2_JOURNAL_INO && super->s_journal_inum < check->first_ino)
		return "it names a journal that is none";
	int error = ext4_inode_load(check->fs, super->s_journal_inum, &work);
	if (error && error != -ENOENT)
		return NULL;
	if (error || !S_ISREG(work.inode.mode) || work.inode.nr_extents == 0)
		return "it names a journal that is none";
	error = source_read_exact(check->fs->src, work.inode.extents[0].physical, &magic,
				  sizeof(magic));
	if (error == 0 && be32toh(magic) != JOURNAL_MAGIC)
		return "it names a journal that is none";
	return NULL;
}

/* Inodes that nothing names but the superblock: zeros there look like one that is not in use. */
static int check_hidden(struct check *check)
{
	struct ext2_super_block *super = check->fs->lib->super;
	uint32_t inos[] = { 0, 0, 0, 0, check->orphan_ino };
	int r = 0;

	if (ext2fs_has_feature_quota(super))
		memcpy(inos, check->hidden_ino, sizeof(check->hidden_ino));
	if (ext2fs_has_feature_resize_inode(super))
		inos[3] = EXT2_RESIZE_INO;
	for (unsigned i = 0; i < array_size(inos) && r == 0; i++) {
		struct ext4_work work cleanup(ext4_work_fini) = EXT4_WORK_NULL;
		if (inos[i] == 0)
			continue;
		if (inos[i] > check->fs->info.nr_inodes)
			r = check_tell(check, EXT4_OBJECT_SUPER, SUPER_OFF, SUPER_LEN, 0, -EBADMSG,
				       "it names an inode that cannot be");
		else if (ext4_inode_load(check->fs, inos[i], &work) == -ENOENT)
			r = check_tell_lost(check, inos[i],
					    "it is not in use, and the superblock names it");
	}
	return r;
}

/* Each block ends in a magic and a checksum. */
static int check_orphan_block(struct check *check, uint64_t block)
{
	struct ext4 *fs = check->fs;
	const uint8_t *tail = check->block + fs->info.block_size - ORPHAN_TAIL_LEN;
	const char *what = NULL;

	int error = ext4_read_block(fs, block, check->block);
	if (error)
		what = "cannot be read";
	else if (le32_at(tail) != ORPHAN_MAGIC)
		what = "its tail is wrong";
	else if (!ext2fs_orphan_file_block_csum_verify(fs->lib, check->orphan_ino, block,
						       (char *)check->block))
		what = "its checksum is wrong";
	if (!what)
		return 0;
	return check_tell_block(check, EXT4_OBJECT_ORPHANS, block, check->orphan_ino,
				error ? error : -EBADMSG, what);
}

/* What is wrong with the inode itself is told with all inodes. */
static int check_orphans(struct check *check)
{
	struct ext4_work work cleanup(ext4_work_fini) = EXT4_WORK_NULL;
	uint64_t unit = check->fs->info.block_size;

	if (check->orphan_ino == 0)
		return 0;
	int r = ext4_inode_load(check->fs, check->orphan_ino, &work);
	if (r)
		return r == -ENOMEM ? r : 0;
	for (size_t i = 0; i < work.inode.nr_extents; i++) {
		const struct ext4_extent *e = &work.inode.extents[i];
		for (uint64_t off = 0; off < e->len && r == 0; off += unit)
			r = check_orphan_block(check, (e->physical + off) / unit);
	}
	return r;
}

static bool reserves_too_much(struct ext2_super_block *super)
{
	return ext2fs_r_blocks_count(super) > ext2fs_blocks_count(super) / 2;
}

int check_supers(struct check *check)
{
	struct ext2_super_block primary;
	const char *what;
	bool told = false;
	int r = 0;

	int error = super_look(check, SUPER_OFF, &primary);
	if (error)
		r = check_tell(check, EXT4_OBJECT_SUPER, SUPER_OFF, SUPER_LEN, 0, error,
			       error == -EBADMSG ? "its checksum is wrong" : "cannot be read");
	else if (reserves_too_much(check->fs->lib->super))
		r = check_tell(check, EXT4_OBJECT_SUPER, SUPER_OFF, SUPER_LEN, 0, -EBADMSG,
			       "it reserves more than half of the blocks");
	else if ((what = journal_is_wrong(check)))
		r = check_tell(check, EXT4_OBJECT_SUPER, SUPER_OFF, SUPER_LEN, 0, -EBADMSG, what);
	for (uint32_t group = 1; group < check->fs->info.nr_groups && r == 0; group++)
		r = check_backup(check, group, error ? NULL : &primary, &told);
	if (r == 0)
		r = check_mmp(check);
	if (r == 0)
		r = check_hidden(check);
	return r ? r : check_orphans(check);
}

/* ---- opening by a backup ---- */

/* Where a first backup can lie: behind a group of the usual size, of each block size. */
static bool backup_place(unsigned i, uint64_t *ret_block, uint32_t *ret_block_size)
{
	static const uint8_t groups[] = { 1, 3, 5, 7, 9, 25, 27, 49 };
	unsigned log = i / array_size(groups);
	uint32_t unit = 1024u << log;

	if (log > LOG_BLOCK_MAX)
		return false;
	*ret_block = (uint64_t)groups[i % array_size(groups)] * unit * 8 + (log == 0);
	*ret_block_size = unit;
	return true;
}

/* Whether one of the descriptors in block `nr` of them can be what it is. */
static bool descs_are_likely(struct ext4 *fs, uint32_t nr)
{
	uint32_t per = EXT2_DESC_PER_BLOCK(fs->lib->super);
	uint64_t off;

	for (uint64_t group = (uint64_t)nr * per; group < (uint64_t)(nr + 1) * per; group++)
		if (group < fs->info.nr_groups && ext4_group_table(fs, (uint32_t)group, &off) == 0)
			return true;
	return false;
}

/*
 * Backups of descriptors are as old as the filesystem, and what they say of bitmaps and inodes in use
 * is not so any more. The others are good as a rule when only the superblock in front of them is not.
 */
static int take_primary_descs(struct ext4 *fs)
{
	ext2_filsys lib = fs->lib;
	uint64_t len = fs->info.block_size;

	if (htole16(1) != 1) /* libext2fs keeps them in the order of the machine */
		return 0;
	uint8_t *old = malloc(len);
	if (!old)
		return -ENOMEM;
	for (uint32_t i = 0; i < lib->desc_blocks; i++) {
		uint8_t *descs = (uint8_t *)lib->group_desc + i * len;
		blk64_t block =
			ext2fs_descriptor_block_loc2(lib, lib->super->s_first_data_block, i);
		memcpy(old, descs, len);
		if (ext4_read_block(fs, block, descs) || !descs_are_likely(fs, i))
			memcpy(descs, old, len);
	}
	free(old);
	return 0;
}

int ext4_open_any(struct source *src, struct ext4 **ret_fs, uint64_t *ret_block, int *ret_error)
{
	uint64_t block, size;
	uint32_t unit;

	*ret_block = 0;
	*ret_error = ext4_open(src, ret_fs);
	if (*ret_error == 0)
		return 0;
	if (*ret_error == -ENOMEM)
		return *ret_error;
	if (source_size(src, &size))
		return *ret_error;
	for (unsigned i = 0; backup_place(i, &block, &unit); i++) {
		if (block * unit + SUPER_LEN > size)
			continue;
		if (ext4_open_backup(src, block, unit, ret_fs))
			continue;
		*ret_block = block;
		int r = take_primary_descs(*ret_fs);
		if (r)
			ext4_close(take(*ret_fs));
		return r;
	}
	/* A small filesystem has no backup: then by what there is. */
	if (*ret_error == -EBADMSG && ext4_open_doubtful(src, ret_fs) == 0)
		return 0;
	return *ret_error;
}

/* ---- what the kernel noted ---- */

static void copy_name(char *to, const uint8_t *from)
{
	memcpy(to, from, 32);
	to[32] = 0;
}

void ext4_get_error_record(const struct ext4 *fs, struct ext4_error_record *ret_record)
{
	const struct ext2_super_block *super = fs->lib->super;

	*ret_record = (struct ext4_error_record){
		.count = super->s_error_count,
		.first_s = super->s_first_error_time | (uint64_t)super->s_first_error_time_hi << 32,
		.last_s = super->s_last_error_time | (uint64_t)super->s_last_error_time_hi << 32,
		.first_ino = super->s_first_error_ino,
		.last_ino = super->s_last_error_ino,
		.first_block = super->s_first_error_block,
		.last_block = super->s_last_error_block,
		.first_line = super->s_first_error_line,
		.last_line = super->s_last_error_line,
	};
	copy_name(ret_record->first_function, super->s_first_error_func);
	copy_name(ret_record->last_function, super->s_last_error_func);
}

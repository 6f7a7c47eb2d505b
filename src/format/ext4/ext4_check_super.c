// SPDX-License-Identifier: Apache-2.0
/*
 * The superblock has a checksum only with metadata_csum. Without it, what must be the same for ever is
 * held against the backups.
 */
#include <errno.h>
#include <stdlib.h>

#include "format/ext4/ext4_check_parts.h"

#define SUPER_OFF 1024 /* bytes */
#define SUPER_LEN 1024
#define LOG_BLOCK_MAX 6
#define ORPHAN_TAIL_LEN 8 /* bytes */
#define ORPHAN_MAGIC 0x0b10ca04u

/* The fields that no run of a filesystem changes. */
static bool super_is_same(const struct ext2_super_block *a, const struct ext2_super_block *b)
{
	return a->s_magic == b->s_magic && a->s_first_data_block == b->s_first_data_block &&
	       a->s_log_block_size == b->s_log_block_size &&
	       a->s_log_cluster_size == b->s_log_cluster_size &&
	       a->s_blocks_per_group == b->s_blocks_per_group &&
	       a->s_clusters_per_group == b->s_clusters_per_group &&
	       a->s_inodes_per_group == b->s_inodes_per_group &&
	       a->s_rev_level == b->s_rev_level && a->s_inode_size == b->s_inode_size &&
	       a->s_first_ino == b->s_first_ino &&
	       memcmp(a->s_uuid, b->s_uuid, sizeof(a->s_uuid)) == 0;
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
	int error = ext4_read_block(fs, block, check->block);
	if (error == 0 && (le32toh(mmp->mmp_magic) != EXT4_MMP_MAGIC ||
			   !ext2fs_mmp_csum_verify(fs->lib, mmp)))
		error = -EBADMSG;
	if (error)
		return check_tell_block(check, EXT4_OBJECT_MMP, block, 0, error,
					error == -EBADMSG ? "its checksum is wrong"
							  : "cannot be read");
	return check->used ? books_take(check, block, 1, 0, false) : 0;
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

int check_supers(struct check *check)
{
	struct ext2_super_block primary;
	bool told = false;
	int r = 0;

	int error = super_look(check, SUPER_OFF, &primary);
	if (error)
		r = check_tell(check, EXT4_OBJECT_SUPER, SUPER_OFF, SUPER_LEN, 0, error,
			       error == -EBADMSG ? "its checksum is wrong" : "cannot be read");
	for (uint32_t group = 1; group < check->fs->info.nr_groups && r == 0; group++)
		r = check_backup(check, group, error ? NULL : &primary, &told);
	if (r == 0)
		r = check_mmp(check);
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

int ext4_open_any(struct source *src, struct ext4 **ret_fs, uint64_t *ret_block, int *ret_error)
{
	uint64_t block, size;
	uint32_t unit;

	*ret_block = 0;
	*ret_error = ext4_open(src, ret_fs);
	if (*ret_error == 0)
		return 0;
	/* Too large, or no memory: a backup would say the same. */
	if (*ret_error != -EBADMSG && *ret_error != -EPROTONOSUPPORT && *ret_error != -EIO)
		return *ret_error;
	if (source_size(src, &size))
		return *ret_error;
	for (unsigned i = 0; backup_place(i, &block, &unit); i++) {
		if (block * unit + SUPER_LEN > size)
			continue;
		if (ext4_open_backup(src, block, unit, ret_fs) == 0) {
			*ret_block = block;
			return 0;
		}
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
		.first_s = super->s_first_error_time |
			   (uint64_t)super->s_first_error_time_hi << 32,
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

// SPDX-License-Identifier: Apache-2.0
/*
 * libext2fs opens the filesystem: it knows the features, the geometry and where descriptors lie. It
 * allocates by what the superblock says, so the sizes in there are held against the source first.
 */
#include <errno.h>
#include <stdlib.h>

#include "format/ext4/ext4_fs.h"

#define SUPER_OFF 1024	/* bytes */
#define LOG_BLOCK_MAX 6 /* 64 KiB */

int ext4_error(errcode_t error)
{
	if (error > 0 && error < 4096)
		return (int)-error;
	switch (error) {
	case 0:
		return 0;
	case EXT2_ET_NO_MEMORY:
		return -ENOMEM;
	case EXT2_ET_BAD_MAGIC:
	case EXT2_ET_UNSUPP_FEATURE:
	case EXT2_ET_RO_UNSUPP_FEATURE:
	case EXT2_ET_REV_TOO_HIGH:
		return -EPROTONOSUPPORT;
	default:
		return -EBADMSG;
	}
}

/* Holds the geometry against the source, before anything is allocated by it. `off` in bytes. */
static int super_check(struct source *src, uint64_t off)
{
	struct ext2_super_block super;
	uint64_t size, len, nr_blocks;

	int r = source_read_exact(src, off, &super, sizeof(super));
	if (r)
		return r == -ENODATA ? -EPROTONOSUPPORT : r;
	if (le16toh(super.s_magic) != EXT2_SUPER_MAGIC)
		return -EPROTONOSUPPORT;
	uint32_t log_size = le32toh(super.s_log_block_size);
	uint32_t per_group = le32toh(super.s_blocks_per_group);
	nr_blocks = le32toh(super.s_blocks_count);
	if (le32toh(super.s_feature_incompat) & EXT4_FEATURE_INCOMPAT_64BIT)
		nr_blocks |= (uint64_t)le32toh(super.s_blocks_count_hi) << 32;
	if (log_size > LOG_BLOCK_MAX || per_group == 0 || le32toh(super.s_inodes_per_group) == 0)
		return -EBADMSG;
	r = source_size(src, &size);
	if (r)
		return r;
	if (__builtin_mul_overflow(nr_blocks, UINT64_C(1024) << log_size, &len) || len > size ||
	    len > INT64_MAX)
		return -EBADMSG;
	return nr_blocks / per_group >= EXT4_GROUPS_MAX ? -EFBIG : 0;
}

/*
 * Bitmaps of inodes fill a block at most, tables and descriptors have room: what is allocated and gone
 * through by their numbers is then no more than the source.
 */
static int geometry_check(const struct ext4 *fs)
{
	const struct ext4_info *info = &fs->info;
	const struct ext2_super_block *super = fs->lib->super;
	uint64_t nr_desc = (uint64_t)fs->lib->desc_blocks + super->s_reserved_gdt_blocks;

	if (ext2fs_has_feature_meta_bg(fs->lib->super))
		nr_desc = super->s_first_meta_bg;
	if (info->inodes_per_group % 8 || info->inodes_per_group / 8 > info->block_size ||
	    (uint64_t)info->nr_inodes * info->inode_size > info->size ||
	    (info->nr_groups > 1 && nr_desc > super->s_blocks_per_group))
		return -EBADMSG;
	return 0;
}

static int info_fill(struct ext4 *fs)
{
	ext2_filsys lib = fs->lib;
	const struct ext2_super_block *super = lib->super;
	struct ext4_info *info = &fs->info;

	*info = (struct ext4_info){
		.block_size = lib->blocksize,
		.cluster_size = (uint32_t)EXT2_CLUSTER_SIZE(super),
		.inode_size = EXT2_INODE_SIZE(super),
		.inodes_per_group = super->s_inodes_per_group,
		.nr_groups = lib->group_desc_count,
		.nr_inodes = super->s_inodes_count,
		.needs_recovery = ext2fs_has_feature_journal_needs_recovery(lib->super),
		.has_journal = ext2fs_has_feature_journal(lib->super),
		.external_journal = ext2fs_has_feature_journal(lib->super) &&
				    super->s_journal_inum == 0,
		.journals_data = (super->s_default_mount_opts & EXT3_DEFM_JMODE) ==
				 EXT3_DEFM_JMODE_DATA,
		.is_clean = super->s_state & EXT2_VALID_FS,
		.has_errors = super->s_state & EXT2_ERROR_FS,
	};
	memcpy(info->uuid, super->s_uuid, sizeof(info->uuid));
	fs->nr_blocks = ext2fs_blocks_count(lib->super);
	fs->first_block = super->s_first_data_block;
	fs->metadata_csum = ext2fs_has_feature_metadata_csum(lib->super);
	info->has_checksums = fs->metadata_csum;
	info->size = fs->nr_blocks * info->block_size;
	if (info->cluster_size < info->block_size || info->inode_size < INODE_BASE_LEN ||
	    info->inode_size > info->block_size || info->inode_size & (info->inode_size - 1) ||
	    info->nr_inodes > (uint64_t)info->nr_groups * info->inodes_per_group ||
	    fs->first_block >= fs->nr_blocks)
		return -EBADMSG;
	return geometry_check(fs);
}

/*
 * `block` is where the superblock is, in blocks of `block_size`; 0: the primary. `flags` are those of
 * libext2fs beside ours.
 */
static int open_by(struct source *src, uint64_t block, uint32_t block_size, int flags,
		   struct ext4 **ret_fs)
{
	char name[EXT4_IO_NAME_SIZE];

	*ret_fs = NULL;
	int r = super_check(src, block ? block * block_size : SUPER_OFF);
	if (r)
		return r;
	struct ext4 *fs = calloc(1, sizeof(*fs));
	if (!fs)
		return -ENOMEM;
	fs->src = src;
	ext4_io_name(src, name);
	flags |= EXT2_FLAG_64BITS | EXT2_FLAG_SOFTSUPP_FEATURES | EXT2_FLAG_SKIP_MMP;
	r = ext4_error(ext2fs_open2(name, NULL, flags, (int)block, block_size, ext4_io_manager(),
				    &fs->lib));
	if (r == 0) {
		fs->lib->flags &= ~EXT2_FLAG_IGNORE_CSUM_ERRORS;
		r = info_fill(fs);
	}
	if (r) {
		ext4_close(fs);
		return r;
	}
	*ret_fs = fs;
	return 0;
}

int ext4_open(struct source *src, struct ext4 **ret_fs)
{
	return open_by(src, 0, 0, 0, ret_fs);
}

int ext4_open_doubtful(struct source *src, struct ext4 **ret_fs)
{
	return open_by(src, 0, 0, EXT2_FLAG_IGNORE_CSUM_ERRORS, ret_fs);
}

int ext4_open_backup(struct source *src, uint64_t block, uint32_t block_size, struct ext4 **ret_fs)
{
	return block > INT32_MAX ? -EBADMSG : open_by(src, block, block_size, 0, ret_fs);
}

void ext4_close(struct ext4 *fs)
{
	if (fs && fs->lib)
		ext2fs_free(fs->lib);
	free(fs);
}

void ext4_get_info(const struct ext4 *fs, struct ext4_info *ret_info)
{
	*ret_info = fs->info;
}

int ext4_read_block(struct ext4 *fs, uint64_t block, uint8_t *buf)
{
	uint64_t len = fs->info.block_size;

	if (block < fs->first_block || block >= fs->nr_blocks)
		return -EBADMSG;
	return source_read_exact(fs->src, block * len, buf, len);
}

int ext4_group_table(struct ext4 *fs, uint32_t group, uint64_t *ret_off)
{
	uint64_t table = ext2fs_inode_table_loc(fs->lib, group);
	uint64_t len = (uint64_t)fs->info.inodes_per_group * fs->info.inode_size;

	if (!ext2fs_group_desc_csum_verify(fs->lib, group) || table <= fs->first_block ||
	    table >= fs->nr_blocks || len > fs->info.size - table * fs->info.block_size)
		return -EBADMSG;
	*ret_off = table * fs->info.block_size;
	return 0;
}

void ext4_work_fini(struct ext4_work *work)
{
	free(work->owned_raw);
	free(work->extents);
	free(work->nodes);
	buf_fini(&work->stored);
	*work = EXT4_WORK_NULL;
}

// SPDX-License-Identifier: Apache-2.0
/*
 * Inodes: what they say of themselves, and where their map leads. One whose checksum is wrong is
 * believed in nothing. The inodes of blocks that are known to be bad and of a growing table of
 * descriptors are no files, and only their blocks count.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "format/ext4/ext4_check_parts.h"

#define BAD_BLOCKS_INO 1
#define RESIZE_INO 7

static uint64_t inode_off(const struct check *check, uint32_t ino)
{
	const struct ext4_info *info = &check->fs->info;

	return check->table + (uint64_t)((ino - 1) % info->inodes_per_group) * info->inode_size;
}

static int tell_inode(struct check *check, uint32_t ino, int error, const char *what)
{
	check->told_ino = ino;
	return check_tell(check, EXT4_OBJECT_INODE, inode_off(check, ino),
			  check->fs->info.inode_size, ino, error, what);
}

/* ---- the map, as it is read ---- */

static int on_node(uint32_t ino, uint64_t block, int error, const char *what, void *ctx)
{
	struct check *check = ctx;

	/* More than there are: maps share blocks, and would be read for as long as somebody waits. */
	if (check->nr_nodes++ >= check->fs->nr_blocks)
		return -EFBIG;
	if (check_is_stopped(check))
		return check->result = EXT4_CHECK_STOPPED;
	if (error) {
		check->told_ino = ino;
		return block ? check_tell_block(check, EXT4_OBJECT_MAP, block, ino, error, what)
			     : tell_inode(check, ino, error, what);
	}
	check->stats->map_blocks++;
	check->nr_blocks++;
	return check->used ? books_take(check, block, 1, ino, ino == RESIZE_INO) : 0;
}

static int on_run(uint32_t ino, uint64_t logical, uint64_t physical, uint64_t nr, bool unwritten,
		  void *ctx)
{
	struct check *check = ctx;

	check->nr_blocks += nr;
	if (!unwritten)
		check->end = logical + nr;
	return check->used ? books_take(check, physical, nr, ino, ino == RESIZE_INO) : 0;
}

/* ---- one inode ---- */

bool check_is_hidden(const struct check *check, uint32_t ino)
{
	bool hidden = ino < check->first_ino && ino != EXT4_ROOT_INO;

	for (unsigned i = 0; i < array_size(check->hidden_ino); i++)
		hidden = hidden || ino == check->hidden_ino[i];
	return hidden || ino == check->orphan_ino;
}

static bool type_is_known(uint32_t mode)
{
	return S_ISREG(mode) || S_ISDIR(mode) || S_ISLNK(mode) || S_ISCHR(mode) || S_ISBLK(mode) ||
	       S_ISFIFO(mode) || S_ISSOCK(mode);
}

static int add_attr_block(struct check *check, uint64_t block, uint32_t ino)
{
	if (block < check->fs->first_block || block >= check->fs->nr_blocks)
		return tell_inode(check, ino, -EBADMSG, "its attributes lie where no block is");
	check->nr_blocks++;
	int r = check_grow(&check->attrs, check->nr_attrs, &check->cap_attrs,
			   sizeof(*check->attrs));
	if (r == -EFBIG) {
		check->stats->unchecked++;
		return 0;
	}
	if (r == 0)
		check->attrs[check->nr_attrs++] = (struct check_attr_block){ block, ino, 1 };
	return r;
}

static int add_dir_block(struct check *check, const struct check_dir_block *dir)
{
	int r = check_grow(&check->dir_blocks, check->nr_dir_blocks, &check->cap_dir_blocks,
			   sizeof(*check->dir_blocks));

	if (r == 0)
		check->dir_blocks[check->nr_dir_blocks++] = *dir;
	else if (r == -EFBIG)
		check->stats->unchecked++;
	return r == -EFBIG ? 0 : r;
}

static int add_dir_blocks(struct check *check, const struct ext4_work *work)
{
	const struct ext4_inode *inode = &work->inode;
	uint64_t unit = check->fs->info.block_size, end = 0;
	bool whole = true;

	for (size_t i = 0; i < inode->nr_extents; i++) {
		const struct ext4_extent *extent = &inode->extents[i];
		whole = whole && extent->logical == end && !extent->unwritten;
		end = extent->logical + extent->len;
		for (uint64_t off = 0; off < extent->len; off += unit) {
			if (check->nr_dir_blocks >= EXT4_CHECK_BLOCKS_MAX) {
				check->stats->unchecked += (extent->len - off) / unit;
				break;
			}
			struct check_dir_block dir = {
				.block = (extent->physical + off) / unit,
				.ino = inode->ino,
				.csum_seed = work->csum_seed,
				.logical = (uint32_t)((extent->logical + off) / unit),
				.encrypted = work->flags & EXT4_ENCRYPT_FL,
			};
			int r = add_dir_block(check, &dir);
			if (r)
				return r;
		}
	}
	if (!whole || end == 0 || end != inode->size)
		return tell_inode(check, inode->ino, -EBADMSG,
				  "it is a directory whose blocks are not its size");
	return 0;
}

/* Entries wait until all inodes are known. */
static int check_dir_inode(struct check *check, const struct ext4_work *work)
{
	struct check_dir_block dir = {
		.block = inode_off(check, work->inode.ino) / check->fs->info.block_size,
		.ino = work->inode.ino,
		.is_inline = true,
	};

	check->stats->dirs++;
	if (!(work->flags & EXT4_INLINE_DATA_FL))
		return add_dir_blocks(check, work);
	return work->flags & EXT4_ENCRYPT_FL ? 0 : add_dir_block(check, &dir);
}

/* What only says something when nothing is under way. */
static int check_counts(struct check *check, const struct ext4_work *work)
{
	const struct ext2_inode_large *raw = (const struct ext2_inode_large *)work->raw;
	const struct ext4_info *info = &check->fs->info;
	uint64_t counted = check->nr_blocks, said = le32toh(raw->i_blocks);
	uint32_t ino = work->inode.ino, ratio = info->cluster_size / info->block_size;

	if (!check->used)
		return 0;
	if (raw->i_dtime)
		return tell_inode(check, ino, -EBADMSG, "it is in use and was deleted");
	if (work->inode.content == EXT4_CONTENT_NONE && !S_ISLNK(work->inode.mode) &&
	    work->inode.size)
		return tell_inode(check, ino, -EBADMSG, "it has a size and can have no content");
	if (ino >= check->first_ino && check->end && S_ISREG(work->inode.mode) &&
	    (check->end - 1) * info->block_size >= max_of(work->inode.size, UINT64_C(1)))
		return tell_inode(check, ino, -EBADMSG, "it has blocks behind its size");
	if (ext2fs_has_feature_huge_file(check->fs->lib->super))
		said |= (uint64_t)le16toh(raw->osd2.linux2.l_i_blocks_hi) << 32;
	if (!(work->flags & EXT4_HUGE_FILE_FL))
		counted *= info->block_size / 512;
	/* With clusters whole ones are counted, and a cluster may hold two runs; with attributes in
	 * inodes their blocks are counted too. */
	if (ratio == 1 && said != counted && ino >= check->first_ino &&
	    !ext2fs_has_feature_ea_inode(check->fs->lib->super))
		return tell_inode(check, ino, -EBADMSG, "it has not as many blocks as it says");
	return 0;
}

/* What is wrong in it has been told while it was read. */
static int read_map(struct check *check, struct ext4_work *work)
{
	int error = ext4_map_read(check->fs, work);

	if (check->result || error == -ENOMEM)
		return check->result ? check->result : error;
	if (error != -EFBIG || check->told_ino == work->inode.ino)
		return 0;
	return tell_inode(check, work->inode.ino, error, "its map is larger than can be read");
}

/* All but the root are plain files, or nothing; that of a boot loader belongs to it. */
static bool reserved_is_wrong(const struct check *check, uint32_t ino, uint32_t mode)
{
	if (ino == EXT4_ROOT_INO)
		return !S_ISDIR(mode);
	if (ino >= check->first_ino || mode == 0)
		return false;
	return ino == EXT2_BOOT_LOADER_INO ? S_ISDIR(mode) : !S_ISREG(mode);
}

/* Fields and flags that are used with a feature only, or not any more, hold zeros. */
static bool unused_fields_are_set(const struct check *check, const struct ext4_work *work)
{
	const struct ext2_inode_large *raw = (const struct ext2_inode_large *)work->raw;
	struct ext2_super_block *super = check->fs->lib->super;

	return raw->i_faddr ||
	       (work->flags & EXT2_IMAGIC_FL && !ext2fs_has_feature_imagic_inodes(super)) ||
	       (work->flags & EXT4_CASEFOLD_FL &&
		(!S_ISDIR(work->inode.mode) || !ext2fs_has_feature_casefold(super))) ||
	       (raw->osd2.linux2.l_i_file_acl_high && !ext2fs_has_feature_64bit(super)) ||
	       (raw->osd2.linux2.l_i_blocks_hi && !ext2fs_has_feature_huge_file(super)) ||
	       (S_ISDIR(work->inode.mode) && raw->i_size_high &&
		!ext2fs_has_feature_largedir(super));
}

static int check_good_inode(struct check *check, struct ext4_work *work)
{
	const struct ext2_inode_large *raw = (const struct ext2_inode_large *)work->raw;
	struct ext4_inode *inode = &work->inode;
	uint64_t attr = le32toh(raw->i_file_acl);
	int r = 0;

	check->stats->inodes++;
	if (ext2fs_has_feature_64bit(check->fs->lib->super))
		attr |= (uint64_t)le16toh(raw->osd2.linux2.l_i_file_acl_high) << 32;
	if (!type_is_known(inode->mode))
		r = tell_inode(check, inode->ino, -EBADMSG, "its type is none");
	else if (reserved_is_wrong(check, inode->ino, inode->mode))
		r = tell_inode(check, inode->ino, -EBADMSG,
			       "it is reserved, and of a type that it cannot have");
	else if (unused_fields_are_set(check, work))
		r = tell_inode(check, inode->ino, -EBADMSG,
			       "a field or flag is set that nobody uses");
	if (r == 0 && S_ISLNK(inode->mode) && inode->content == EXT4_CONTENT_NONE &&
	    strnlen((const char *)raw->i_block, INODE_BLOCK_LEN) != inode->size)
		r = tell_inode(check, inode->ino, -EBADMSG,
			       "the text of the link is not as long as it says");
	if (r == 0 && attr)
		r = add_attr_block(check, attr, inode->ino);
	if (r == 0)
		r = check_attrs_in_inode(check, work, inode_off(check, inode->ino));
	if (r == 0 && S_ISDIR(inode->mode) && check->told_ino != inode->ino)
		r = check_dir_inode(check, work);
	if (r == 0 && check->told_ino != inode->ino)
		r = check_counts(check, work);
	if (r == 0 && check->used && check->told_ino != inode->ino)
		r = books_add_inode(check, work);
	if (r == 0 && check->events->inode && check->told_ino != inode->ino &&
	    !check_is_hidden(check, inode->ino))
		r = check->events->inode(inode, check->events->ctx);
	return r;
}

/*
 * The checksum of zeros is right, whatever stands behind the first 128 bytes; but no inode in use is
 * that. A bitmap without a checksum is no witness: what does not fit is told by the books.
 */
static bool is_wiped(const struct check *check, const struct ext4_work *work)
{
	uint32_t ino = work->inode.ino, index = (ino - 1) % check->fs->info.inodes_per_group;
	const uint8_t *raw = work->raw;

	return check->used && check->has_inode_bitmap && check->fs->metadata_csum &&
	       ino >= check->first_ino && (check->inode_bitmap[index / 8] >> index % 8 & 1) &&
	       raw[0] == 0 && memcmp(raw, raw + 1, EXT2_GOOD_OLD_INODE_SIZE - 1) == 0;
}

/* The times of deletion of inodes that hang in a list of orphans are numbers of inodes. */
static int check_unused(struct check *check, const struct ext4_work *work)
{
	const struct ext2_inode_large *raw = (const struct ext2_inode_large *)work->raw;
	uint32_t dtime = le32toh(raw->i_dtime);

	if (reserved_is_wrong(check, work->inode.ino, le16toh(raw->i_mode)))
		return tell_inode(check, work->inode.ino, -EBADMSG,
				  "it is reserved, and of a type that it cannot have");
	if (is_wiped(check, work))
		return tell_inode(check, work->inode.ino, -EBADMSG,
				  "it is all zeros, and the bitmap calls it used");
	if (!check->used || dtime == 0 || dtime >= check->fs->info.nr_inodes ||
	    work->inode.ino < check->first_ino)
		return 0;
	return tell_inode(check, work->inode.ino, -EBADMSG,
			  "it hangs in a list of orphans that is not there");
}

/* Its blocks are not to be used, and nothing else is known of them. */
static int check_bad_blocks(struct check *check, struct ext4_work *work)
{
	const struct ext2_inode_large *raw = (const struct ext2_inode_large *)work->raw;

	if (!check->used)
		return 0;
	work->inode.size = (uint64_t)le32toh(raw->i_size);
	return read_map(check, work);
}

/* Once for a block of the table. */
static int tell_unread(struct check *check, uint32_t ino, int error)
{
	uint64_t block = inode_off(check, ino) / check->fs->info.block_size;

	if (block == check->bad_table_block)
		return 0;
	check->bad_table_block = block;
	return check_tell_block(check, EXT4_OBJECT_INODE, block, ino, error, "cannot be read");
}

static int tell_bad_inode(struct check *check, const struct ext4_work *work, int error)
{
	uint32_t ino = work->inode.ino;

	if (check->told_ino == ino)
		return 0;
	if (error == -EFBIG)
		return tell_inode(check, ino, error, "its map is larger than can be read");
	if (error != -EBADMSG)
		return tell_unread(check, ino, error);
	bool right =
		ext2fs_inode_csum_verify(check->fs->lib, ino, (struct ext2_inode_large *)work->raw);
	return tell_inode(check, ino, error,
			  right ? "it says what cannot be" : "its checksum is wrong");
}

static int on_inode(struct ext4_work *work, int error, void *ctx)
{
	struct check *check = ctx;
	uint32_t ino = work->inode.ino;
	int r;

	if (check->result)
		return check->result;
	if (error == -ENOMEM)
		return error;
	if (error == -ENOENT)
		r = ino == BAD_BLOCKS_INO ? check_bad_blocks(check, work)
					  : check_unused(check, work);
	else
		r = error ? tell_bad_inode(check, work, error) : check_good_inode(check, work);
	if ((error && error != -ENOENT) || check->told_ino == ino)
		books_add_damaged(check, ino, 1);
	check->nr_blocks = 0;
	check->end = 0;
	return r ? r : check_is_stopped(check) ? EXT4_CHECK_STOPPED : 0;
}

int check_inodes(struct check *check, uint32_t group)
{
	struct ext4_map_hooks hooks = { on_node, on_run, check };

	check->nr_blocks = 0;
	return ext4_scan_group(check->fs, group, &hooks, on_inode, check);
}

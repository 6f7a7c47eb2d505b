// SPDX-License-Identifier: Apache-2.0
/*
 * The bitmap of one group at a time, so that memory does not grow with the filesystem. The bitmap
 * of a group that was never used stands on no disk: allocated are then its own metadata alone.
 */
#include <errno.h>
#include <stdlib.h>

#include "format/ext4/ext4_fs.h"

struct ranges {
	ext4_range_fn fn;
	void *ctx;
	uint64_t off, len; /* bytes: the run that may go on */
};

static int ranges_flush(struct ranges *ranges)
{
	int r = ranges->len ? ranges->fn(ranges->off, ranges->len, ranges->ctx) : 0;

	ranges->len = 0;
	return r;
}

static int ranges_add(struct ranges *ranges, uint64_t off, uint64_t len)
{
	if (ranges->len && ranges->off + ranges->len == off) {
		ranges->len += len;
		return 0;
	}
	int r = ranges_flush(ranges);
	ranges->off = off;
	ranges->len = len;
	return r;
}

struct ext4_group ext4_group_of(const struct ext4 *fs, uint32_t index)
{
	struct ext4_group group = { .ratio = fs->info.cluster_size / fs->info.block_size };
	uint64_t per_group = fs->lib->super->s_blocks_per_group;

	group.first = fs->first_block + index * per_group;
	group.nr_blocks =
		group.first < fs->nr_blocks ? min_of(per_group, fs->nr_blocks - group.first) : 0;
	group.nr_clusters = (group.nr_blocks + group.ratio - 1) / group.ratio;
	return group;
}

/* Marks those blocks that lie in the group. */
static void mark(uint8_t *bitmap, const struct ext4_group *group, uint64_t block, uint64_t nr)
{
	for (uint64_t i = 0; i < nr && i < group->nr_blocks; i++) {
		uint64_t at = block + i - group->first; /* huge for one below */
		if (at < group->nr_blocks)
			bitmap[at / group->ratio / 8] |= (uint8_t)(1u << (at / group->ratio % 8));
	}
}

void ext4_each_own_block(const struct ext4 *fs, uint32_t index, ext4_own_fn fn, void *ctx)
{
	blk64_t super, old_desc, new_desc;
	uint64_t nr_old = fs->lib->desc_blocks + fs->lib->super->s_reserved_gdt_blocks;

	if (ext2fs_has_feature_meta_bg(fs->lib->super))
		nr_old = fs->lib->super->s_first_meta_bg;
	(void)ext2fs_super_and_bgd_loc2(fs->lib, index, &super, &old_desc, &new_desc, NULL);
	if (super || index == 0)
		fn(super, 1, ctx);
	if (old_desc)
		fn(old_desc, nr_old, ctx);
	if (new_desc)
		fn(new_desc, 1, ctx);
	fn(ext2fs_block_bitmap_loc(fs->lib, index), 1, ctx);
	fn(ext2fs_inode_bitmap_loc(fs->lib, index), 1, ctx);
	fn(ext2fs_inode_table_loc(fs->lib, index), fs->lib->inode_blocks_per_group, ctx);
}

struct marking {
	uint8_t *bitmap;
	const struct ext4_group *group;
};

static void mark_own(uint64_t block, uint64_t nr, void *ctx)
{
	const struct marking *marking = ctx;

	mark(marking->bitmap, marking->group, block, nr);
}

int ext4_bitmap_read(struct ext4 *fs, uint32_t index, uint8_t *bitmap)
{
	struct ext4_group group = ext4_group_of(fs, index);
	struct marking marking = { bitmap, &group };
	uint64_t per_group = fs->lib->super->s_clusters_per_group;

	if (!ext2fs_group_desc_csum_verify(fs->lib, index) || per_group == 0 || per_group % 8 ||
	    per_group / 8 > fs->info.block_size || group.nr_clusters > per_group)
		return -EBADMSG;
	if (ext2fs_has_group_desc_csum(fs->lib) &&
	    ext2fs_bg_flags_test(fs->lib, index, EXT2_BG_BLOCK_UNINIT)) {
		memset(bitmap, 0, fs->info.block_size);
		ext4_each_own_block(fs, index, mark_own, &marking);
		return 0;
	}
	int r = ext4_read_block(fs, ext2fs_block_bitmap_loc(fs->lib, index), bitmap);
	if (r)
		return r;
	return ext2fs_block_bitmap_csum_verify(fs->lib, index, (char *)bitmap, (int)(per_group / 8))
		       ? 0
		       : -EBADMSG;
}

static bool bit(const uint8_t *bitmap, uint64_t i)
{
	return bitmap[i / 8] & 1u << i % 8;
}

static int bitmap_tell(const struct ext4 *fs, const struct ext4_group *group, const uint8_t *bitmap,
		       struct ranges *ranges)
{
	uint64_t unit = fs->info.block_size;
	int r = 0;

	for (uint64_t i = 0; i < group->nr_clusters && r == 0;) {
		uint64_t start = i;
		bool set = bit(bitmap, i);
		while (i < group->nr_clusters && bit(bitmap, i) == set)
			i++;
		uint64_t end = min_of(i * group->ratio, group->nr_blocks);
		if (set)
			r = ranges_add(ranges, (group->first + start * group->ratio) * unit,
				       (end - start * group->ratio) * unit);
	}
	return r;
}

int ext4_each_allocated_in(struct ext4 *fs, uint32_t first, uint32_t nr, ext4_range_fn fn,
			   void *ctx)
{
	struct ranges ranges = { .fn = fn, .ctx = ctx };
	int r = 0, error = 0;

	if (first > fs->info.nr_groups || nr > fs->info.nr_groups - first)
		return -ERANGE;
	uint8_t *bitmap = malloc(fs->info.block_size);
	if (!bitmap)
		return -ENOMEM;
	for (uint32_t i = first; i < first + nr && r == 0; i++) {
		struct ext4_group group = ext4_group_of(fs, i);
		int bad = ext4_bitmap_read(fs, i, bitmap);
		if (bad == 0)
			r = bitmap_tell(fs, &group, bitmap, &ranges);
		else if (error == 0)
			error = bad;
	}
	if (r == 0)
		r = ranges_flush(&ranges);
	free(bitmap);
	return r ? r : error;
}

int ext4_each_allocated(struct ext4 *fs, ext4_range_fn fn, void *ctx)
{
	return ext4_each_allocated_in(fs, 0, fs->info.nr_groups, fn, ctx);
}

int ext4_group_range(const struct ext4 *fs, uint32_t group, uint64_t *ret_off, uint64_t *ret_len)
{
	if (group >= fs->info.nr_groups)
		return -ERANGE;
	struct ext4_group found = ext4_group_of(fs, group);
	*ret_off = found.first * fs->info.block_size;
	*ret_len = found.nr_blocks * fs->info.block_size;
	return 0;
}

uint64_t ext4_count_allocated(const struct ext4 *fs)
{
	uint64_t nr_blocks = 0;

	for (uint32_t i = 0; i < fs->info.nr_groups; i++) {
		struct ext4_group group = ext4_group_of(fs, i);
		uint64_t nr_free = (uint64_t)ext2fs_bg_free_blocks_count(fs->lib, i) * group.ratio;
		nr_blocks += group.nr_blocks - min_of(nr_free, group.nr_blocks);
	}
	return nr_blocks * fs->info.block_size;
}

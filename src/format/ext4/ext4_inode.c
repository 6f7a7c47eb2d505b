// SPDX-License-Identifier: Apache-2.0
/*
 * An inode that was never used may hold anything: lazy formatting leaves its table as it was, and
 * the group says how far the table counts. With checksums the inode is believed before the group
 * descriptor is, which is as old as ext4_open; without, there is nothing else to go by.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "format/ext4/ext4_fs.h"

#define CHUNK_LEN (UINT64_C(1) << 20) /* bytes of an inode table read at once */

#define field_end(name) (offsetof(struct ext2_inode_large, name) + sizeof(uint32_t))

/* Seconds, and the extra word: two more bits of seconds, then 30 of nanoseconds. */
static int64_t time_ns(uint32_t seconds, uint32_t extra)
{
	uint64_t s = (uint64_t)(int64_t)(int32_t)seconds + ((uint64_t)(extra & 3) << 32);

	return (int64_t)(s * (uint64_t)NS_PER_S + (extra >> 2));
}

static int parse_times(struct ext4_inode *inode, const struct ext2_inode_large *raw,
		       uint32_t inode_size)
{
	uint32_t mtime_extra = 0, ctime_extra = 0, end = INODE_BASE_LEN;

	if (inode_size > INODE_BASE_LEN) {
		uint32_t extra = le16toh(raw->i_extra_isize);
		if (extra > inode_size - INODE_BASE_LEN || extra % 4)
			return -EBADMSG;
		end += extra;
	}
	if (end >= field_end(i_ctime_extra))
		ctime_extra = le32toh(raw->i_ctime_extra);
	if (end >= field_end(i_mtime_extra))
		mtime_extra = le32toh(raw->i_mtime_extra);
	if (end >= field_end(i_crtime_extra))
		inode->btime_ns = time_ns(le32toh(raw->i_crtime), le32toh(raw->i_crtime_extra));
	inode->ctime_ns = time_ns(le32toh(raw->i_ctime), ctime_extra);
	inode->mtime_ns = time_ns(le32toh(raw->i_mtime), mtime_extra);
	return 0;
}

static enum ext4_content content_of(const struct ext4_inode *inode, uint32_t flags)
{
	bool link = S_ISLNK(inode->mode);

	if (!S_ISREG(inode->mode) && !S_ISDIR(inode->mode) && !link)
		return EXT4_CONTENT_NONE;
	if (flags & EXT4_ENCRYPT_FL)
		return EXT4_CONTENT_ENCRYPTED;
	if (flags & EXT4_INLINE_DATA_FL)
		return EXT4_CONTENT_INLINE;
	if (link && inode->size < INODE_BLOCK_LEN && !(flags & EXT4_EXTENTS_FL))
		return EXT4_CONTENT_NONE;
	return flags & EXT3_JOURNAL_DATA_FL ? EXT4_CONTENT_JOURNALED : EXT4_CONTENT_BLOCKS;
}

/* Also of what is encrypted it is known where it lies. */
static bool has_map(const struct ext4_inode *inode, uint32_t flags)
{
	bool short_link = S_ISLNK(inode->mode) && inode->size < INODE_BLOCK_LEN &&
			  !(flags & EXT4_EXTENTS_FL);

	if (inode->content == EXT4_CONTENT_ENCRYPTED)
		return !(flags & EXT4_INLINE_DATA_FL) && !short_link;
	return inode->content == EXT4_CONTENT_BLOCKS || inode->content == EXT4_CONTENT_JOURNALED;
}

uint32_t ext4_inode_csum_seed(const struct ext4 *fs, uint32_t ino, uint32_t generation)
{
	uint32_t words[2] = { htole32(ino), htole32(generation) };

	return ext2fs_crc32c_le(fs->lib->csum_seed, (const unsigned char *)words, sizeof(words));
}

/* The group says that this part of its inode table was never written. */
static bool is_never_used(const struct ext4 *fs, uint32_t ino)
{
	uint32_t group = (ino - 1) / fs->info.inodes_per_group;
	uint32_t index = (ino - 1) % fs->info.inodes_per_group;

	if (!ext2fs_has_group_desc_csum(fs->lib))
		return false;
	return ext2fs_bg_flags_test(fs->lib, group, EXT2_BG_INODE_UNINIT) ||
	       (uint64_t)index + ext2fs_bg_itable_unused(fs->lib, group) >=
		       fs->info.inodes_per_group;
}

int ext4_inode_parse(struct ext4 *fs, uint32_t ino, struct ext4_work *work)
{
	struct ext2_inode_large *raw = (struct ext2_inode_large *)work->raw;
	struct ext4_inode *inode = &work->inode;

	*inode = (struct ext4_inode){ .ino = ino };
	/* Takes the checksum out of the bytes and puts it back. */
	bool right = ext2fs_inode_csum_verify(fs->lib, ino, raw);
	if (is_never_used(fs, ino) && !(right && fs->metadata_csum))
		return -ENOENT;
	if (!right)
		return -EBADMSG;
	inode->mode = le16toh(raw->i_mode);
	inode->nlink = le16toh(raw->i_links_count);
	if (inode->mode == 0 || inode->nlink == 0)
		return -ENOENT;
	inode->generation = le32toh(raw->i_generation);
	inode->size = le32toh(raw->i_size);
	if (S_ISREG(inode->mode) || ext2fs_has_feature_largedir(fs->lib->super))
		inode->size |= (uint64_t)le32toh(raw->i_size_high) << 32;
	work->flags = le32toh(raw->i_flags);
	if (inode->size > INT64_MAX || parse_times(inode, raw, fs->info.inode_size) ||
	    (work->flags & EXT4_INLINE_DATA_FL && !ext2fs_has_feature_inline_data(fs->lib->super)))
		return -EBADMSG;
	work->csum_seed = ext4_inode_csum_seed(fs, ino, inode->generation);
	inode->content = content_of(inode, work->flags);
	return has_map(inode, work->flags) ? ext4_map_read(fs, work) : 0;
}

int ext4_inode_load(struct ext4 *fs, uint32_t ino, struct ext4_work *work)
{
	uint64_t table;

	work->inode = (struct ext4_inode){ .ino = ino };
	if (ino == 0 || ino > fs->info.nr_inodes)
		return -ENOENT;
	int r = ext4_group_table(fs, (ino - 1) / fs->info.inodes_per_group, &table);
	if (r)
		return r;
	if (!work->owned_raw)
		work->owned_raw =
			malloc(max_of(fs->info.inode_size, sizeof(struct ext2_inode_large)));
	if (!work->owned_raw)
		return -ENOMEM;
	work->raw = work->owned_raw;
	uint64_t index = (ino - 1) % fs->info.inodes_per_group;
	r = source_read_exact(fs->src, table + index * fs->info.inode_size, work->raw,
			      fs->info.inode_size);
	if (r == 0)
		r = ext4_inode_parse(fs, ino, work);
	return r ? r : ext4_inline_read(fs, work);
}

static int tell(struct ext4_work *work, uint32_t ino, int error, ext4_work_fn fn, void *ctx)
{
	if (error)
		work->inode = (struct ext4_inode){ .ino = ino };
	return fn(work, error, ctx);
}

/* Hands on what everybody may see. */
struct plain_scan {
	ext4_inode_fn fn;
	void *ctx;
};

static int tell_plain(struct ext4_work *work, int error, void *ctx)
{
	struct plain_scan *plain = ctx;

	return plain->fn(&work->inode, error, plain->ctx);
}

int ext4_read_inode(struct ext4 *fs, uint32_t ino, ext4_inode_fn fn, void *ctx)
{
	struct ext4_work work cleanup(ext4_work_fini) = EXT4_WORK_NULL;
	struct plain_scan plain = { fn, ctx };
	int error = ext4_inode_load(fs, ino, &work);

	return tell(&work, ino, error, tell_plain, &plain);
}

/* ---- many at once ---- */

struct inode_scan {
	struct ext4 *fs;
	const uint32_t *wanted;
	size_t nr;
	ext4_work_fn fn;
	void *ctx;
	struct ext4_work work;
	uint8_t *chunk;
	uint64_t chunk_len; /* bytes of room: at least a block */
	uint64_t bad_end;   /* bytes: up to here blocks are read one by one */
};

/* The next wanted inode behind `i` that is another. */
static size_t scan_next(const struct inode_scan *scan, size_t i)
{
	uint32_t ino = scan->wanted[i];

	while (i < scan->nr && scan->wanted[i] == ino)
		i++;
	return i;
}

/* How much to read at `off`: what holds wanted inodes of the group, in whole blocks. */
static uint64_t scan_len(const struct inode_scan *scan, size_t i, uint64_t off, uint64_t table)
{
	const struct ext4_info *info = &scan->fs->info;
	uint32_t first = scan->wanted[i] - (scan->wanted[i] - 1) % info->inodes_per_group;
	uint64_t room = off < scan->bad_end ? info->block_size : scan->chunk_len;
	uint64_t end = off;

	for (; i < scan->nr && scan->wanted[i] >= first; i++) {
		uint64_t index = scan->wanted[i] - first;
		uint64_t inode_end = table + (index + 1) * info->inode_size;
		if (index >= info->inodes_per_group || inode_end > off + room)
			break;
		end = max_of(end, inode_end);
	}
	return (end - off + info->block_size - 1) / info->block_size * info->block_size;
}

/* One chunk of a table and the wanted inodes in it; *ret_next is the first wanted one behind. */
static int scan_chunk(struct inode_scan *scan, size_t i, uint64_t table, size_t *ret_next)
{
	const struct ext4_info *info = &scan->fs->info;
	uint32_t first = scan->wanted[i] - (scan->wanted[i] - 1) % info->inodes_per_group;
	uint64_t off = table + (uint64_t)(scan->wanted[i] - first) * info->inode_size;
	int r = 0;

	off -= off % info->block_size;
	uint64_t len = scan_len(scan, i, off, table);
	int error = source_read_exact(scan->fs->src, off, scan->chunk, len);
	if (error && len > info->block_size) {
		scan->bad_end = off + len;
		*ret_next = i;
		return 0;
	}
	for (; i < scan->nr && r == 0; i = scan_next(scan, i)) {
		uint32_t ino = scan->wanted[i];
		uint64_t index = (uint64_t)ino - first; /* huge for one below */
		uint64_t at = table - off + index * info->inode_size;
		if (index >= info->inodes_per_group || at + info->inode_size > len)
			break;
		scan->work.raw = scan->chunk + at;
		int bad = error ? error : ext4_inode_parse(scan->fs, ino, &scan->work);
		r = tell(&scan->work, ino, bad, scan->fn, scan->ctx);
	}
	*ret_next = i;
	return r;
}

static int scan_walk(struct inode_scan *scan)
{
	const struct ext4_info *info = &scan->fs->info;
	int r = 0;

	for (size_t i = 0; i < scan->nr && r == 0;) {
		uint32_t ino = scan->wanted[i];
		uint64_t table = 0;
		int error = ino == 0 || ino > info->nr_inodes ? -ENOENT : 0;
		if (error == 0)
			error = ext4_group_table(scan->fs, (ino - 1) / info->inodes_per_group,
						 &table);
		if (error == 0) {
			r = scan_chunk(scan, i, table, &i);
			continue;
		}
		r = tell(&scan->work, ino, error, scan->fn, scan->ctx);
		i = scan_next(scan, i);
	}
	return r;
}

static int scan_inodes(struct ext4 *fs, const uint32_t *wanted, size_t nr,
		       const struct ext4_map_hooks *hooks, ext4_work_fn fn, void *ctx)
{
	struct inode_scan scan = {
		.fs = fs,
		.wanted = wanted,
		.nr = nr,
		.fn = fn,
		.ctx = ctx,
		.work = EXT4_WORK_NULL,
		.chunk_len = max_of(CHUNK_LEN, (uint64_t)fs->info.block_size),
	};

	scan.work.hooks = hooks;
	scan.chunk = malloc(scan.chunk_len + sizeof(struct ext2_inode_large));
	if (!scan.chunk)
		return -ENOMEM;
	int r = scan_walk(&scan);
	ext4_work_fini(&scan.work);
	free(scan.chunk);
	return r;
}

int ext4_scan_inodes(struct ext4 *fs, const uint32_t *wanted, size_t nr, ext4_inode_fn fn,
		     void *ctx)
{
	struct plain_scan plain = { fn, ctx };

	return scan_inodes(fs, wanted, nr, NULL, tell_plain, &plain);
}

int ext4_scan_group(struct ext4 *fs, uint32_t group, const struct ext4_map_hooks *hooks,
		    ext4_work_fn fn, void *ctx)
{
	uint32_t first = group * fs->info.inodes_per_group + 1;
	uint32_t nr = min_of(fs->info.inodes_per_group, fs->info.nr_inodes - (first - 1));
	uint32_t *wanted;

	while (nr && is_never_used(fs, first + nr - 1))
		nr--;
	if (nr == 0)
		return 0;
	wanted = malloc(nr * sizeof(*wanted));
	if (!wanted)
		return -ENOMEM;
	for (uint32_t i = 0; i < nr; i++)
		wanted[i] = first + i;
	int r = scan_inodes(fs, wanted, nr, hooks, fn, ctx);
	free(wanted);
	return r;
}

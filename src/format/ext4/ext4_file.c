// SPDX-License-Identifier: Apache-2.0
/*
 * Content. What stands in the inode itself: the 60 bytes where a map would be, and the rest as the
 * value of the attribute "system.data" in the inode's tail. An attribute is found by walking a list
 * of entries, each bounded by the end of the inode.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "format/ext4/ext4_fs.h"

#define ATTR_MAGIC 0xea020000u
#define ATTR_HEAD_LEN 4	  /* bytes: the magic */
#define ATTR_ENTRY_LEN 16 /* bytes, without the name */
#define ATTR_INDEX_SYSTEM 7

#define READ_MAX (UINT64_C(1) << 30) /* bytes a call */

/* Finds the value of system.data. -ENOENT: there is none; -EBADMSG: the list is wrong. */
static int find_system_data(const uint8_t *raw, uint32_t inode_size, struct span *ret_value)
{
	uint32_t start = INODE_BASE_LEN;

	if (inode_size < INODE_BASE_LEN + 4)
		return -ENOENT;
	start += le16_at(raw + INODE_BASE_LEN); /* bounded when the inode was parsed */
	if (start + ATTR_HEAD_LEN > inode_size || le32_at(raw + start) != ATTR_MAGIC)
		return -ENOENT;
	struct span list = span_of(raw + start + ATTR_HEAD_LEN, inode_size - start - ATTR_HEAD_LEN);
	for (uint64_t at = 0;;) {
		struct span entry, name;
		if (span_sub(list, at, 4, &entry))
			return -EBADMSG;
		if (le32_at(entry.data) == 0)
			return -ENOENT;
		uint64_t name_len = entry.data[0];
		if (span_sub(list, at, ATTR_ENTRY_LEN, &entry) ||
		    span_sub(list, at + ATTR_ENTRY_LEN, name_len, &name))
			return -EBADMSG;
		if (entry.data[1] == ATTR_INDEX_SYSTEM && span_equals_str(name, "data")) {
			bool elsewhere = le32_at(entry.data + 4) != 0;
			return elsewhere || span_sub(list, le16_at(entry.data + 2),
						     le32_at(entry.data + 8), ret_value)
				       ? -EBADMSG
				       : 0;
		}
		at += ATTR_ENTRY_LEN + ((name_len + 3) & ~UINT64_C(3));
	}
}

int ext4_inline_read(struct ext4 *fs, struct ext4_work *work)
{
	const uint8_t *block = work->raw + offsetof(struct ext2_inode, i_block);
	bool link = S_ISLNK(work->inode.mode) && work->inode.content == EXT4_CONTENT_NONE;
	struct span rest = SPAN_NULL;

	buf_clear(&work->stored);
	if (link) {
		buf_add(&work->stored, block, work->inode.size);
		return buf_error(&work->stored);
	}
	if (work->inode.content != EXT4_CONTENT_INLINE)
		return 0;
	int r = find_system_data(work->raw, fs->info.inode_size, &rest);
	if (r && r != -ENOENT)
		return r;
	buf_add(&work->stored, block, INODE_BLOCK_LEN);
	buf_add_span(&work->stored, rest);
	r = buf_error(&work->stored);
	/* A file that grew by truncation, or is all hole, ends in zeros that are not stored. */
	if (r == 0 && work->inode.size > work->stored.len && !S_ISREG(work->inode.mode))
		r = -EBADMSG;
	return r;
}

/* The first extent that ends behind `off`, or nr_extents. */
static size_t extent_find(const struct ext4_work *work, uint64_t off)
{
	size_t low = 0, high = work->nr_extents;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		if (work->extents[mid].logical + work->extents[mid].len <= off)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

int ext4_content_read(struct ext4 *fs, struct ext4_work *work, uint64_t off, void *buf,
		      uint64_t len, uint64_t *ret_n)
{
	uint64_t n = off < work->inode.size ? min_of(len, work->inode.size - off) : 0;

	n = min_of(n, READ_MAX);
	*ret_n = n;
	if (n == 0)
		return 0;
	if (work->inode.content == EXT4_CONTENT_INLINE ||
	    work->inode.content == EXT4_CONTENT_NONE) {
		uint64_t stored = work->stored.len - min_of(off, (uint64_t)work->stored.len);
		stored = min_of(stored, n);
		if (stored)
			memcpy(buf, work->stored.data + off, stored);
		memset((uint8_t *)buf + stored, 0, n - stored);
		return 0;
	}
	size_t i = extent_find(work, off);
	const struct ext4_extent *e = i < work->nr_extents ? &work->extents[i] : NULL;
	if (e && e->logical <= off) {
		n = min_of(n, e->logical + e->len - off);
		*ret_n = n;
		if (!e->unwritten)
			return source_read_exact(fs->src, e->physical + (off - e->logical), buf, n);
	} else if (e) {
		n = min_of(n, e->logical - off);
		*ret_n = n;
	}
	memset(buf, 0, n);
	return 0;
}

/* ---- as a source ---- */

struct ext4_file {
	struct ext4 *fs;
	struct ext4_work work;
};

static int ext4_file_read(struct source *src, uint64_t off, void *buf, uint64_t len,
			  uint64_t *ret_n)
{
	struct ext4_file *file = src->ctx;

	return ext4_content_read(file->fs, &file->work, off, buf, len, ret_n);
}

static int ext4_file_size(struct source *src, uint64_t *ret_size)
{
	const struct ext4_file *file = src->ctx;

	*ret_size = file->work.inode.size;
	return 0;
}

static void ext4_file_close(struct source *src)
{
	struct ext4_file *file = src->ctx;

	ext4_work_fini(&file->work);
	free(file);
}

static const struct source_ops ext4_file_ops = {
	.read = ext4_file_read,
	.size = ext4_file_size,
	.close = ext4_file_close,
};

int ext4_open_file(struct ext4 *fs, uint32_t ino, struct source *ret_src)
{
	struct ext4_file *file = calloc(1, sizeof(*file));

	*ret_src = SOURCE_NULL;
	if (!file)
		return -ENOMEM;
	file->fs = fs;
	file->work = EXT4_WORK_NULL;
	int r = ext4_inode_load(fs, ino, &file->work);
	if (r == 0 && !S_ISREG(file->work.inode.mode))
		r = -EINVAL;
	if (r == 0 && file->work.inode.content == EXT4_CONTENT_ENCRYPTED)
		r = -EOPNOTSUPP;
	if (r) {
		ext4_work_fini(&file->work);
		free(file);
		return r;
	}
	*ret_src = (struct source){ .ops = &ext4_file_ops, .fd = -1, .ctx = file };
	return 0;
}

// SPDX-License-Identifier: Apache-2.0
/*
 * Attributes: a list of entries, each with a value in the same block or inode, or in an inode of its
 * own. Entry and value have a hash together, which counts where there is no checksum of the whole.
 */
#include <errno.h>
#include <stdlib.h>

#include "format/ext4/ext4_check_parts.h"

#include <ext2fs/ext2_ext_attr.h>

#define ATTR_MAGIC 0xea020000u
#define ATTR_INODE_HEAD_LEN 4 /* bytes */
#define ATTR_BLOCK_HEAD_LEN 32
#define ATTR_ENTRY_LEN 16

/*
 * The entries in `list`; offsets of values count from `values`, which ends where `list` does. NULL: they
 * are right.
 */
static const char *entries_are_wrong(const struct ext4 *fs, struct span list, struct span values)
{
	uint64_t taken = 0;

	for (uint64_t at = 0;;) {
		struct span entry, name, value = SPAN_NULL;
		if (span_sub(list, at, 4, &entry))
			return "its attributes have no end";
		if (le32_at(entry.data) == 0)
			return NULL;
		uint64_t name_len = entry.data[0];
		if (span_sub(list, at, ATTR_ENTRY_LEN, &entry) ||
		    span_sub(list, at + ATTR_ENTRY_LEN, name_len, &name))
			return "an attribute does not end where it may";
		if (entry.data[1] == 0)
			return "the name of an attribute is in no space of names";
		uint64_t off = le16_at(entry.data + 2), len = le32_at(entry.data + 8);
		uint32_t ino = le32_at(entry.data + 4);
		if (ino ? ino > fs->info.nr_inodes : span_sub(values, off, len, &value) != 0)
			return "the value of an attribute lies where it cannot be";
		/* They lie one behind the other, and so end: what is hashed is no more than the block. */
		taken += ino ? 0 : len;
		if (taken > values.len)
			return "the values of attributes lie within each other";
		/* Values behind the last entry need room for whole words, zeros at their end. */
		uint64_t hashed = (len + 3) & ~UINT64_C(3);
		if (ino == 0 && le32_at(entry.data + 12) &&
		    span_sub(values, off, hashed, &value) == 0) {
			struct ext2_ext_attr_entry *e =
				(struct ext2_ext_attr_entry *)(uintptr_t)entry.data;
			void *data = (void *)(uintptr_t)value.data;
			uint32_t hash = ext2fs_ext_attr_hash_entry(e, data);
			uint32_t old_hash = ext2fs_ext_attr_hash_entry_signed(e, data);
			if (le32_at(entry.data + 12) != hash &&
			    le32_at(entry.data + 12) != old_hash)
				return "the hash of an attribute is wrong";
		}
		at += ATTR_ENTRY_LEN + ((name_len + 3) & ~UINT64_C(3));
	}
}

int check_attrs_in_inode(struct check *check, struct ext4_work *work, uint64_t inode_off)
{
	struct ext4 *fs = check->fs;
	uint64_t start = INODE_BASE_LEN, size = fs->info.inode_size;

	if (size < INODE_BASE_LEN + 4)
		return 0;
	start += le16_at(work->raw + INODE_BASE_LEN); /* bounded when the inode was parsed */
	if (start + ATTR_INODE_HEAD_LEN > size || le32_at(work->raw + start) != ATTR_MAGIC)
		return 0;
	struct span list = span_of(work->raw + start + ATTR_INODE_HEAD_LEN,
				   size - start - ATTR_INODE_HEAD_LEN);
	const char *what = entries_are_wrong(fs, list, list);
	if (!what)
		return 0;
	check->told_ino = work->inode.ino;
	return check_tell(check, EXT4_OBJECT_INODE, inode_off, fs->info.inode_size, work->inode.ino,
			  -EBADMSG, what);
}

static int check_one(struct check *check, const struct check_attr_block *attr)
{
	struct ext4 *fs = check->fs;
	uint8_t *block = check->block;
	uint64_t len = fs->info.block_size;
	const char *what = NULL;

	int error = ext4_read_block(fs, attr->block, block);
	if (error)
		return check_tell_block(check, EXT4_OBJECT_ATTR, attr->block, attr->ino, error,
					"cannot be read");
	if (le32_at(block) != ATTR_MAGIC || le32_at(block + 8) != 1 || le32_at(block + 4) == 0)
		what = "its head is wrong";
	else if (!ext2fs_ext_attr_block_csum_verify(fs->lib, attr->ino, attr->block,
						    (struct ext2_ext_attr_header *)block))
		what = "its checksum is wrong";
	else if (check->used && le32_at(block + 4) != attr->nr)
		what = "it is not used as often as it says";
	else
		what = entries_are_wrong(
			fs, span_of(block + ATTR_BLOCK_HEAD_LEN, len - ATTR_BLOCK_HEAD_LEN),
			span_of(block, len));
	if (what)
		return check_tell_block(check, EXT4_OBJECT_ATTR, attr->block, attr->ino, -EBADMSG,
					what);
	return check->used ? books_take(check, attr->block, 1, attr->ino, false) : 0;
}

static int by_place(const void *a, const void *b)
{
	const struct check_attr_block *x = a, *y = b;

	if (x->block != y->block)
		return x->block < y->block ? -1 : 1;
	return x->ino < y->ino ? -1 : x->ino > y->ino;
}

/* Inodes share blocks: each is looked at once. */
int check_attr_blocks(struct check *check)
{
	int r = 0;

	if (check->nr_attrs)
		qsort(check->attrs, check->nr_attrs, sizeof(*check->attrs), by_place);
	for (size_t i = 0; i < check->nr_attrs && r == 0;) {
		struct check_attr_block *attr = &check->attrs[i];
		size_t first = i;
		while (i < check->nr_attrs && check->attrs[i].block == attr->block)
			i++;
		attr->nr = (uint32_t)(i - first);
		r = check_is_stopped(check) ? EXT4_CHECK_STOPPED : check_one(check, attr);
	}
	return r;
}

// SPDX-License-Identifier: Apache-2.0
/*
 * Blocks of directories: checksum, then entries, or the node of a hash tree. A block is a node when its
 * first entry says so and the directory is indexed; which of its blocks a node names is checked as
 * far as the node can be read alone.
 */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>

#include "format/ext4/ext4_check_parts.h"

#define ENTRY_LEN 8 /* bytes, without the name */
#define TAIL_LEN 12

/* Where the entries came from. */
struct place {
	struct check *check;
	enum ext4_object object;
	uint64_t off; /* bytes, for people */
	uint32_t len;
	uint64_t block;
	uint32_t ino;
	bool encrypted;
};

static int tell_at(const struct place *place, int error, const char *what)
{
	return check_tell(place->check, place->object, place->off, place->len, place->ino, error,
			  what);
}

static unsigned type_of(const struct ext4 *fs, unsigned value)
{
	static const unsigned char types[] = { DT_UNKNOWN, DT_REG,  DT_DIR,  DT_CHR,
					       DT_BLK,	   DT_FIFO, DT_SOCK, DT_LNK };

	if (!ext2fs_has_feature_filetype(fs->lib->super) || value >= array_size(types))
		return DT_UNKNOWN;
	return types[value];
}

static const char *entry_is_wrong(const struct place *place, struct span name, uint32_t ino,
				  unsigned type)
{
	const struct ext4 *fs = place->check->fs;

	if (name.len == 0)
		return "an entry has no name";
	if (ino > fs->info.nr_inodes || (ino < place->check->first_ino && ino != EXT4_ROOT_INO))
		return "an entry names an inode that cannot be";
	if (ext2fs_has_feature_filetype(fs->lib->super) && (type & 0x7f) > 7)
		return "an entry has a type that cannot be";
	if (!place->encrypted && (span_find(name, '/') < name.len || span_find(name, 0) < name.len))
		return "an entry has a name that cannot be";
	return NULL;
}

/* One after the other to the end of the block. */
static int check_entries(const struct place *place, struct span block)
{
	struct check *check = place->check;
	const uint64_t unit = check->fs->info.block_size;
	const char *what = NULL;
	uint64_t at = 0;
	int r = 0;

	while (at < block.len && !what && r == 0) {
		struct span name;
		const uint8_t *entry = block.data + at;
		uint64_t left = block.len - at;
		uint32_t len = left < ENTRY_LEN ? 0 : ext4_record_len(entry, unit);
		if (len < ENTRY_LEN || len % 4 || len > left)
			return tell_at(place, -EBADMSG, "an entry does not end where it may");
		at += len;
		uint32_t ino = le32_at(entry);
		if (ino == 0)
			continue;
		if (span_sub(span_of(entry, len), ENTRY_LEN, entry[6], &name))
			return tell_at(place, -EBADMSG, "a name is longer than its entry");
		what = entry_is_wrong(place, name, ino, entry[7]);
		if (!what && check->used)
			r = books_add_entry(check, place->ino, name, ino,
					    type_of(check->fs, entry[7]), place->block);
	}
	return what ? tell_at(place, -EBADMSG, what) : r;
}

/* `.` and `..` begin the first block, also that of a hash tree. */
static const char *dots_are_wrong(const struct place *place, const uint8_t *block, uint64_t len)
{
	uint32_t first = ext4_record_len(block, len);
	const uint8_t *second = block + first;

	if (le32_at(block) != place->ino || block[6] != 1 || block[8] != '.' || first < 12 ||
	    first > len - 12)
		return "its first entry is not itself";
	if (second[6] != 2 || second[8] != '.' || second[9] != '.' || le32_at(second) == 0 ||
	    le32_at(second) > place->check->fs->info.nr_inodes)
		return "its second entry is not its parent";
	return NULL;
}

/* A table of (hash, block), whose first entry is the limit, the count and a block. */
static const char *table_is_wrong(const struct check *check, const uint8_t *block, uint64_t at)
{
	uint64_t len = check->fs->info.block_size;
	uint64_t room = (len - at - (check->fs->metadata_csum ? 8 : 0)) / 8;
	unsigned limit = le16_at(block + at), count = le16_at(block + at + 2);
	uint32_t last = 0;

	if (limit != room || count == 0 || count > limit)
		return "the table of its hash tree is wrong";
	for (unsigned i = 1; i < count; i++) {
		uint32_t hash = le32_at(block + at + (uint64_t)i * 8);
		if (hash < last)
			return "the hashes of its tree do not ascend";
		last = hash;
	}
	return NULL;
}

static int check_block(struct check *check, const struct check_dir_block *dir)
{
	struct ext4 *fs = check->fs;
	uint64_t len = fs->info.block_size;
	uint8_t *block = check->block;
	struct place place = {
		.check = check,
		.object = EXT4_OBJECT_DIR,
		.off = dir->block * len,
		.len = (uint32_t)len,
		.block = dir->block,
		.ino = dir->ino,
		.encrypted = dir->encrypted,
	};
	const char *what = NULL;

	check->stats->dir_blocks++;
	int error = ext4_read_block(fs, dir->block, block);
	if (error)
		return tell_at(&place, error, "cannot be read");
	enum ext4_dir_kind kind = ext4_dir_kind(fs, block);
	if (!ext4_dir_csum_is_right(fs, dir->csum_seed, block))
		return tell_at(&place, -EBADMSG, "its checksum is wrong");
	if (dir->logical == 0)
		what = dots_are_wrong(&place, block, len);
	if (!what && dir->logical == 0 && kind == EXT4_DIR_ROOT)
		what = block[30] > 3 ? "its hash tree is too deep"
				     : table_is_wrong(check, block, DX_ROOT_AT);
	else if (!what && dir->logical && kind == EXT4_DIR_NODE)
		what = table_is_wrong(check, block, DX_NODE_AT);
	if (what)
		return tell_at(&place, -EBADMSG, what);
	uint64_t end = len;
	if (fs->metadata_csum && kind == EXT4_DIR_ENTRIES)
		end = len - TAIL_LEN;
	return check_entries(&place, span_of(block, end));
}

/* The first four bytes are the parent; then come two lists of entries. */
static int check_inline(struct check *check, const struct check_dir_block *dir,
			struct ext4_work *work)
{
	struct span first, rest, all;
	struct place place = {
		.check = check,
		.object = EXT4_OBJECT_INODE,
		.off = dir->block * check->fs->info.block_size,
		.len = check->fs->info.inode_size,
		.block = dir->block,
		.ino = dir->ino,
	};
	uint64_t table;

	int error = ext4_inode_load(check->fs, dir->ino, work);
	if (error == -ENOENT || error == -ENOMEM)
		return error == -ENOENT ? 0 : error; /* it was removed meanwhile */
	if (ext4_group_table(check->fs, (dir->ino - 1) / check->fs->info.inodes_per_group,
			     &table) == 0)
		place.off = table + (uint64_t)((dir->ino - 1) % check->fs->info.inodes_per_group) *
					    check->fs->info.inode_size;
	if (error)
		return tell_at(&place, error, "the directory in it cannot be read");
	all = buf_span(&work->stored);
	uint32_t parent = all.len >= 4 ? le32_at(all.data) : 0;
	if (parent == 0 || parent > check->fs->info.nr_inodes ||
	    span_sub(all, 4, INODE_BLOCK_LEN - 4, &first) ||
	    span_sub(all, INODE_BLOCK_LEN, all.len - INODE_BLOCK_LEN, &rest))
		return tell_at(&place, -EBADMSG, "the directory in it is cut short");
	int r = 0;
	if (check->used)
		r = books_add_entry(check, dir->ino, span_of_str("."), dir->ino, DT_DIR,
				    dir->block);
	if (r == 0 && check->used)
		r = books_add_entry(check, dir->ino, span_of_str(".."), parent, DT_DIR, dir->block);
	if (r == 0)
		r = check_entries(&place, first);
	return r ? r : check_entries(&place, rest);
}

static int check_one(struct check *check, const struct check_dir_block *dir)
{
	struct ext4_work work cleanup(ext4_work_fini) = EXT4_WORK_NULL;

	return dir->is_inline ? check_inline(check, dir, &work) : check_block(check, dir);
}

static int by_place(const void *a, const void *b)
{
	const struct check_dir_block *x = a, *y = b;

	return x->block < y->block ? -1 : x->block > y->block;
}

#define HINTS (SOURCE_PREFETCH_MAX - 4) /* beyond what is being read */
#define GAP 16384			/* bytes between blocks that are read together */

/* Keeps hints ahead of block `i`: runs of neighbours. */
static void hint_ahead(struct check *check, size_t i, size_t *next, size_t *ends, unsigned *nr)
{
	uint64_t unit = check->fs->info.block_size;

	/* Those that have been read. */
	while (*nr && ends[0] <= i) {
		memmove(ends, ends + 1, (*nr - 1) * sizeof(*ends));
		(*nr)--;
	}
	while (*nr < HINTS && *next < check->nr_dir_blocks) {
		uint64_t off = check->dir_blocks[*next].block * unit, end = off + unit;
		for ((*next)++; *next < check->nr_dir_blocks; (*next)++) {
			uint64_t at = check->dir_blocks[*next].block * unit;
			if (at > end + GAP || at + unit > off + SOURCE_PREFETCH_LEN)
				break;
			end = max_of(end, at + unit);
		}
		source_prefetch(check->fs->src, off, end - off);
		ends[(*nr)++] = *next;
	}
}

int check_dir_blocks(struct check *check)
{
	size_t next = 0, ends[HINTS];
	unsigned nr = 0;
	int r = 0;

	if (check->nr_dir_blocks)
		qsort(check->dir_blocks, check->nr_dir_blocks, sizeof(*check->dir_blocks),
		      by_place);
	for (size_t i = 0; i < check->nr_dir_blocks && r == 0; i++) {
		hint_ahead(check, i, &next, ends, &nr);
		r = check_is_stopped(check) ? EXT4_CHECK_STOPPED
					    : check_one(check, &check->dir_blocks[i]);
	}
	return r;
}

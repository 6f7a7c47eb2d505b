// SPDX-License-Identifier: Apache-2.0
/*
 * A directory is a file of blocks; an entry does not cross the end of its block. The blocks of a
 * hash tree hide themselves behind an entry without an inode that fills them, so a plain walk
 * passes over them. A directory in its inode has two such blocks: the bytes in place of the map,
 * of which the first four are the inode of its parent, and the attribute.
 */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "format/ext4/ext4_fs.h"

#define ENTRY_LEN 8 /* bytes, without the name */
#define TAIL_LEN 12 /* bytes: an entry without a name, whose type is TAIL_TYPE, and the checksum */
#define TAIL_TYPE 0xde

#define LINKS_MAX 40
#define PATH_LEN_MAX 4096

struct dir_walk {
	struct ext4 *fs;
	struct ext4_work work;
	ext4_dirent_fn fn;
	void *ctx;
	int error; /* the first block or entry that was wrong */
};

static void dir_note(struct dir_walk *walk, int error)
{
	if (walk->error == 0)
		walk->error = error;
}

/* Blocks of 64 KiB do not fit into 16 bits, and have a notation of their own. */
uint32_t ext4_record_len(const uint8_t *entry, uint64_t block_len)
{
	uint32_t len = le16_at(entry + 4);

	if (block_len < 65536)
		return len;
	return len == 65535 || len == 0 ? 65536 : (len & 65532) | (len & 3) << 16;
}

static unsigned type_of(const struct ext4 *fs, const uint8_t *entry)
{
	static const unsigned char types[] = { DT_UNKNOWN, DT_REG,  DT_DIR,  DT_CHR,
					       DT_BLK,	   DT_FIFO, DT_SOCK, DT_LNK };

	if (!ext2fs_has_feature_filetype(fs->lib->super) || entry[7] >= array_size(types))
		return DT_UNKNOWN;
	return types[entry[7]];
}

/* The entries of one block. Non-zero only from the callback. */
static int dir_entries(struct dir_walk *walk, struct span block)
{
	uint64_t at = 0;

	while (at < block.len) {
		struct span name;
		const uint8_t *entry = block.data + at;
		uint64_t left = block.len - at;
		if (left < ENTRY_LEN) {
			dir_note(walk, -EBADMSG);
			return 0;
		}
		uint32_t len = ext4_record_len(entry, block.len), ino = le32_at(entry);
		if (len < ENTRY_LEN || len % 4 || len > left) {
			dir_note(walk, -EBADMSG);
			return 0;
		}
		at += len;
		if (ino == 0)
			continue;
		if (span_sub(span_of(entry, len), ENTRY_LEN, entry[6], &name) || name.len == 0 ||
		    ino > walk->fs->info.nr_inodes || span_find(name, '/') < name.len ||
		    span_find(name, 0) < name.len) {
			dir_note(walk, -EBADMSG);
			continue;
		}
		int r = walk->fn(name, ino, type_of(walk->fs, entry), walk->ctx);
		if (r)
			return r;
	}
	return 0;
}

/* ---- checksums ---- */

/*
 * A node of a hash tree: a table of `limit` entries of 8 bytes at `at`, of which the first is
 * the count of them, then 4 reserved bytes and the checksum.
 */
static bool hash_csum_is_right(uint32_t seed, const uint8_t *block, uint64_t block_len, uint64_t at)
{
	static const uint8_t zero[4];
	uint64_t limit = le16_at(block + at), count = le16_at(block + at + 2);
	uint64_t tail = at + limit * 8;

	if (count > limit || tail + 8 > block_len)
		return false;
	uint32_t crc = ext2fs_crc32c_le(seed, block, at + count * 8);
	crc = ext2fs_crc32c_le(crc, block + tail, 4);
	return ext2fs_crc32c_le(crc, zero, 4) == le32_at(block + tail + 4);
}

/*
 * A root has the entries `.` and `..`, each of 12 bytes, of which the second fills the block, and 8 bytes
 * about itself; a node begins with an entry that fills it. What stands at the end of a block tells
 * nothing: a kernel that makes a root of a block of entries leaves the tail of those where it was.
 */
enum ext4_dir_kind ext4_dir_kind(const struct ext4 *fs, const uint8_t *block)
{
	uint64_t len = fs->info.block_size;

	if (ext4_record_len(block, len) == len && le32_at(block) == 0 && block[6] == 0 &&
	    le16_at(block + DX_NODE_AT) > 0)
		return EXT4_DIR_NODE;
	if (ext4_record_len(block, len) == 12 && ext4_record_len(block + 12, len) == len - 12 &&
	    le32_at(block + 24) == 0 && block[29] == 8)
		return EXT4_DIR_ROOT;
	return EXT4_DIR_ENTRIES;
}

bool ext4_dir_csum_is_right(const struct ext4 *fs, uint32_t seed, const uint8_t *block)
{
	uint64_t len = fs->info.block_size;
	const uint8_t *tail = block + len - TAIL_LEN;

	if (!fs->metadata_csum)
		return true;
	switch (ext4_dir_kind(fs, block)) {
	case EXT4_DIR_ROOT:
		return hash_csum_is_right(seed, block, len, DX_ROOT_AT);
	case EXT4_DIR_NODE:
		return hash_csum_is_right(seed, block, len, DX_NODE_AT);
	case EXT4_DIR_ENTRIES:
		break;
	}
	return le32_at(tail) == 0 && le16_at(tail + 4) == TAIL_LEN && tail[6] == 0 &&
	       tail[7] == TAIL_TYPE &&
	       ext2fs_crc32c_le(seed, block, len - TAIL_LEN) == le32_at(tail + 8);
}

/* ---- the walk ---- */

static int dir_extent(struct dir_walk *walk, const struct ext4_extent *extent, uint8_t *block)
{
	struct ext4 *fs = walk->fs;
	uint64_t unit = fs->info.block_size;
	int r = 0;

	for (uint64_t off = 0; off < extent->len && r == 0; off += unit) {
		int error = ext4_read_block(fs, (extent->physical + off) / unit, block);
		if (error == 0 && !ext4_dir_csum_is_right(fs, walk->work.csum_seed, block))
			error = -EBADMSG;
		if (error)
			dir_note(walk, error);
		else
			r = dir_entries(walk, span_of(block, unit));
	}
	return r;
}

static int dir_blocks(struct dir_walk *walk)
{
	const struct ext4_inode *inode = &walk->work.inode;
	uint64_t end = 0;
	int r = 0;

	uint8_t *block = malloc(walk->fs->info.block_size);
	if (!block)
		return -ENOMEM;
	for (size_t i = 0; i < inode->nr_extents && r == 0; i++) {
		const struct ext4_extent *extent = &inode->extents[i];
		if (extent->logical != end || extent->unwritten)
			dir_note(walk, -EBADMSG);
		end = extent->logical + extent->len;
		if (!extent->unwritten)
			r = dir_extent(walk, extent, block);
	}
	if (end != inode->size || end == 0)
		dir_note(walk, -EBADMSG);
	free(block);
	return r;
}

static int dir_inline(struct dir_walk *walk)
{
	struct span all = buf_span(&walk->work.stored);
	struct span first, rest;
	uint32_t parent = all.len >= 4 ? le32_at(all.data) : 0;

	if (parent == 0 || parent > walk->fs->info.nr_inodes ||
	    span_sub(all, 4, INODE_BLOCK_LEN - 4, &first) ||
	    span_sub(all, INODE_BLOCK_LEN, all.len - INODE_BLOCK_LEN, &rest))
		return -EBADMSG;
	int r = walk->fn(span_of_str(".."), parent, DT_DIR, walk->ctx);
	if (r == 0)
		r = dir_entries(walk, first);
	return r ? r : dir_entries(walk, rest);
}

/* Every entry, maybe with `.` and surely with `..`. */
static int dir_list_all(struct ext4 *fs, uint32_t dir, ext4_dirent_fn fn, void *ctx)
{
	struct dir_walk walk = { .fs = fs, .work = EXT4_WORK_NULL, .fn = fn, .ctx = ctx };
	const struct ext4_inode *inode = &walk.work.inode;

	int r = ext4_inode_load(fs, dir, &walk.work);
	if (r == 0 && !S_ISDIR(inode->mode))
		r = -ENOTDIR;
	if (r == 0 && inode->content == EXT4_CONTENT_ENCRYPTED)
		r = -EOPNOTSUPP;
	if (r == 0)
		r = inode->content == EXT4_CONTENT_INLINE ? dir_inline(&walk) : dir_blocks(&walk);
	ext4_work_fini(&walk.work);
	return r ? r : walk.error;
}

struct plain_list {
	ext4_dirent_fn fn;
	void *ctx;
};

static int skip_dots(struct span name, uint32_t ino, unsigned type, void *ctx)
{
	struct plain_list *list = ctx;

	if (span_equals_str(name, ".") || span_equals_str(name, ".."))
		return 0;
	return list->fn(name, ino, type, list->ctx);
}

int ext4_list_dir(struct ext4 *fs, uint32_t dir, ext4_dirent_fn fn, void *ctx)
{
	struct plain_list list = { fn, ctx };

	return dir_list_all(fs, dir, skip_dots, &list);
}

/* ---- paths ---- */

enum { FOUND = 1 };

struct search {
	struct span name;
	uint32_t ino;
};

static int compare_name(struct span name, uint32_t ino, unsigned type, void *ctx)
{
	struct search *search = ctx;

	(void)type;
	if (!span_equals(name, search->name))
		return 0;
	search->ino = ino;
	return FOUND;
}

/* One name in one directory. */
static int lookup_name(struct ext4 *fs, uint32_t dir, struct span name, uint32_t *ret_ino)
{
	struct search search = { .name = name };

	if (span_equals_str(name, ".")) {
		*ret_ino = dir;
		return 0;
	}
	int r = dir_list_all(fs, dir, compare_name, &search);
	if (r == FOUND) {
		*ret_ino = search.ino;
		return 0;
	}
	return r ? r : -ENOENT;
}

/* The text of a symbolic link; *ret_is_link is false for everything else. */
static int read_link(struct ext4 *fs, uint32_t ino, struct buf *text, bool *ret_is_link)
{
	struct ext4_work work cleanup(ext4_work_fini) = EXT4_WORK_NULL;
	uint8_t piece[PATH_LEN_MAX];

	int r = ext4_inode_load(fs, ino, &work);
	*ret_is_link = r == 0 && S_ISLNK(work.inode.mode);
	if (r || !*ret_is_link)
		return r;
	if (work.inode.content == EXT4_CONTENT_ENCRYPTED)
		return -EOPNOTSUPP;
	if (work.inode.size == 0 || work.inode.size > sizeof(piece))
		return -EBADMSG;
	buf_clear(text);
	while (text->len < work.inode.size) {
		uint64_t n;
		r = ext4_content_read(fs, &work, text->len, piece, sizeof(piece), &n);
		if (r)
			return r;
		buf_add(text, piece, n);
		r = buf_error(text);
		if (r)
			return r;
	}
	return span_find(buf_span(text), 0) < text->len ? -EBADMSG : 0;
}

/* Takes the first name off `path`, with the slashes around it. */
static struct span take_name(struct span *path)
{
	while (path->len && *path->data == '/')
		*path = span_of(path->data + 1, path->len - 1);
	struct span name = span_of(path->data, span_find(*path, '/'));
	*path = span_of(path->data + name.len, path->len - name.len);
	return name;
}

struct path_walk {
	struct buf path; /* what is left, where it came from a link */
	struct buf link;
	struct buf spare;
	struct span left;
	unsigned nr_links;
	uint32_t beneath; /* the directory that is not left; 0: any */
};

/* Puts the text of a link before what is left of the path. */
static int path_splice(struct path_walk *walk, uint32_t *dir)
{
	struct buf *next = &walk->spare;

	if (++walk->nr_links > LINKS_MAX)
		return -ELOOP;
	if (walk->link.len + 1 + walk->left.len > PATH_LEN_MAX)
		return -ENAMETOOLONG;
	buf_clear(next);
	buf_add_span(next, buf_span(&walk->link));
	buf_add_char(next, '/');
	buf_add_span(next, walk->left);
	int r = buf_error(next);
	if (r)
		return r;
	struct buf old = walk->path;
	walk->path = *next;
	walk->spare = old;
	walk->left = buf_span(&walk->path);
	if (walk->left.data[0] == '/') {
		if (walk->beneath)
			return -EXDEV;
		*dir = EXT4_ROOT_INO;
	}
	return 0;
}

static int path_follow(struct ext4 *fs, struct path_walk *walk, uint32_t dir, uint32_t *ret_ino)
{
	for (;;) {
		struct span name = take_name(&walk->left);
		uint32_t ino;
		bool is_link;
		if (name.len == 0)
			break;
		if (dir == walk->beneath && span_equals_str(name, ".."))
			return -EXDEV;
		int r = lookup_name(fs, dir, name, &ino);
		if (r == 0)
			r = read_link(fs, ino, &walk->link, &is_link);
		if (r == 0 && is_link)
			r = path_splice(walk, &dir);
		else if (r == 0)
			dir = ino;
		if (r)
			return r;
	}
	*ret_ino = dir;
	return 0;
}

static int lookup(struct ext4 *fs, uint32_t dir, const char *path, uint32_t beneath, uint32_t *ret_ino)
{
	struct path_walk walk = { .left = span_of_str(path), .beneath = beneath };

	int r = walk.left.len > PATH_LEN_MAX ? -ENAMETOOLONG : path_follow(fs, &walk, dir, ret_ino);
	buf_fini(&walk.path);
	buf_fini(&walk.link);
	buf_fini(&walk.spare);
	return r;
}

int ext4_lookup(struct ext4 *fs, uint32_t dir, const char *path, uint32_t *ret_ino)
{
	return lookup(fs, dir, path, 0, ret_ino);
}

int ext4_lookup_beneath(struct ext4 *fs, uint32_t dir, const char *path, uint32_t *ret_ino)
{
	return lookup(fs, dir, path, dir, ret_ino);
}

// SPDX-License-Identifier: Apache-2.0
/*
 * The books: each for itself may be right, and together they are not. What is in use is marked as it
 * is met, and compared at the end with what bitmaps, counts and links say.
 *
 * Of an inode 16 bits are kept: its type, and the links that no entry was seen for yet. Where they are
 * more than 13 bits hold, or a directory has given up counting, they are not counted.
 */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "format/ext4/ext4_check_parts.h"

enum { TYPE_DIR = 2 };

static bool is_set(const uint8_t *bits, uint64_t i)
{
	return bits[i / 8] & 1u << i % 8;
}

static int tell_group(struct check *check, uint32_t group, enum ext4_object object, uint64_t block,
		      const char *what)
{
	check->group = group;
	return check_tell_block(check, object, block, 0, -EBADMSG, what);
}

/* ---- what is in use ---- */

struct own {
	struct check *check;
	int error;
};

static void take_own(uint64_t block, uint64_t nr, void *ctx)
{
	struct own *own = ctx;

	/* Of parts of the filesystem that lie within each other the first says enough. */
	if (own->error == 0)
		own->error = books_take(own->check, block, nr, 0, own->check->stats->problems > 0);
}

int books_begin(struct check *check)
{
	const struct ext4_info *info = &check->fs->info;
	struct own own = { check, 0 };
	uint64_t table;

	check->used = calloc(1, check->fs->nr_blocks / 8 + 1);
	check->links = calloc((size_t)info->nr_inodes + 1, sizeof(*check->links));
	check->group_dirs = calloc(info->nr_groups, sizeof(*check->group_dirs));
	if (!check->used || !check->links || !check->group_dirs)
		return -ENOMEM;
	/* A damaged descriptor would claim what belongs to others. */
	for (uint32_t group = 0; group < info->nr_groups && own.error == 0; group++)
		if (ext4_group_table(check->fs, group, &table) == 0)
			ext4_each_own_block(check->fs, group, take_own, &own);
	return own.error;
}

void books_fini(struct check *check)
{
	free(check->used);
	free(check->links);
	free(check->dirs);
	free(check->group_dirs);
}

int books_take(struct check *check, uint64_t block, uint64_t nr, uint32_t ino, bool shared)
{
	bool claimed = false;

	/* Told often enough by then, and nothing hangs on the bits any more. */
	if (check->nr_taken >= check->fs->nr_blocks * 4)
		return 0;
	check->nr_taken += nr;
	for (uint64_t b = block; b - block < nr && b < check->fs->nr_blocks; b++) {
		claimed = claimed || is_set(check->used, b);
		check->used[b / 8] |= (uint8_t)(1u << b % 8);
	}
	if (!claimed || shared || ext2fs_has_feature_shared_blocks(check->fs->lib->super))
		return 0;
	return check_tell_block(check, EXT4_OBJECT_BOOKS, block, ino, -EBADMSG,
				"a block here belongs to two");
}

/* ---- inodes and entries ---- */

static unsigned type_of_mode(uint32_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFREG:
		return 1;
	case S_IFDIR:
		return TYPE_DIR;
	case S_IFLNK:
		return 3;
	case S_IFCHR:
		return 4;
	case S_IFBLK:
		return 5;
	case S_IFIFO:
		return 6;
	default:
		return 7;
	}
}

static unsigned type_of_entry(unsigned type)
{
	return type == DT_UNKNOWN ? 0 : type_of_mode(DTTOIF(type));
}

int books_add_inode(struct check *check, const struct ext4_work *work)
{
	uint32_t ino = work->inode.ino, nlink = work->inode.nlink;
	bool is_dir = S_ISDIR(work->inode.mode);

	if (nlink >= BOOKS_LINKS_MAX || (is_dir && nlink == 1) || check_is_hidden(check, ino) ||
	    work->flags & EXT4_EA_INODE_FL)
		nlink = BOOKS_LINKS_ANY;
	check->links[ino] = (uint16_t)(type_of_mode(work->inode.mode) << BOOKS_TYPE_SHIFT | nlink);
	if (!is_dir)
		return 0;
	check->group_dirs[(ino - 1) / check->fs->info.inodes_per_group]++;
	int r = check_grow(&check->dirs, check->nr_dirs, &check->cap_dirs, sizeof(*check->dirs));
	if (r == 0)
		check->dirs[check->nr_dirs++] = (struct check_dir){ .ino = ino };
	else if (r == -EFBIG)
		check->stats->unchecked++;
	return r == -EFBIG ? 0 : r;
}

void books_add_damaged(struct check *check, uint32_t first, uint32_t nr)
{
	for (uint32_t i = 0; i < nr && check->links && first + i <= check->fs->info.nr_inodes; i++)
		check->links[first + i] = BOOKS_LINKS_ANY;
}

static int by_ino(const void *a, const void *b)
{
	const struct check_dir *x = a, *y = b;

	return x->ino < y->ino ? -1 : x->ino > y->ino;
}

static struct check_dir *find_dir(const struct check *check, uint32_t ino)
{
	struct check_dir key = { .ino = ino };

	return check->nr_dirs ? bsearch(&key, check->dirs, check->nr_dirs, sizeof(key), by_ino)
			      : NULL;
}

/* Entries of directories that are walked before all inodes are known are those in inodes: they are
 * counted by what will be known. */
int books_add_entry(struct check *check, uint32_t dir, struct span name, uint32_t ino,
		    unsigned type, uint64_t block)
{
	uint16_t *links = &check->links[ino];
	unsigned left = *links & BOOKS_LINKS_MAX, of_inode = *links >> BOOKS_TYPE_SHIFT;
	unsigned of_entry = type_of_entry(type);
	const char *what = NULL;

	if (of_inode == 0 && left == BOOKS_LINKS_ANY)
		return 0; /* something was told of it */
	/* The checksum of the block that names it is right, so the inode is what is wrong: bytes that
	 * are all zero have no checksum, and are an inode that is not in use. */
	if (*links == 0 && check->fs->metadata_csum)
		return check_tell_lost(check, ino, "it is not in use, and has a name");
	bool up = span_equals_str(name, "..");
	if (*links == 0)
		what = "an entry names an inode that is not in use";
	else if (of_entry && of_entry != of_inode)
		what = "an entry and its inode are of two types";
	else if (left == 0 && !up)
		what = "an inode here has more names than it says";
	struct check_dir *child = NULL;
	if (of_inode == TYPE_DIR && !span_equals_str(name, "."))
		child = find_dir(check, up ? dir : ino);
	if (!what && child && !up && child->named_by)
		what = "a directory here has two names";
	if (what) {
		books_add_damaged(check, ino, 1);
		return check_tell_block(check, EXT4_OBJECT_DIR, block, dir, -EBADMSG, what);
	}
	if (child && up)
		child->parent = ino;
	else if (child)
		child->named_by = dir;
	/* That a directory is named by those in it counts when it is known which are. */
	if (left != BOOKS_LINKS_ANY && !up)
		*links = (uint16_t)(*links - 1);
	return 0;
}

/* ---- the balance ---- */

static struct check_dir *above(const struct check *check, const struct check_dir *dir)
{
	bool is_top = dir->safe || dir->ino == EXT4_ROOT_INO || dir->named_by == 0;

	return is_top ? NULL : find_dir(check, dir->named_by);
}

/* From each directory once: the way is not gone twice. */
static int climb(struct check *check, struct check_dir *from)
{
	struct check_dir *dir = from, *next;
	size_t steps = 0;

	while (dir && steps++ <= check->nr_dirs)
		dir = above(check, dir);
	if (dir)
		return check_tell(check, EXT4_OBJECT_BOOKS, UINT64_MAX, 0, from->ino, -EBADMSG,
				  "directories lie within each other");
	for (dir = from; dir; dir = next) {
		next = above(check, dir);
		dir->safe = true;
	}
	return 0;
}

/* What is wrong with the place of a directory; NULL: nothing. */
static const char *dir_is_wrong(const struct check *check, const struct check_dir *dir)
{
	if (dir->ino == EXT4_ROOT_INO)
		return dir->parent == dir->ino ? NULL : "the root is not its own parent";
	if (check_is_hidden(check, dir->ino))
		return NULL;
	if (dir->named_by == 0)
		return "a directory hangs on nothing";
	return dir->parent == dir->named_by ? NULL : "a directory does not know its parent";
}

/* Takes from the links of its parent the one that is `..`. */
static int balance_parent(struct check *check, const struct check_dir *dir)
{
	const char *what = dir_is_wrong(check, dir);
	uint16_t *links = &check->links[dir->parent];
	unsigned left = *links & BOOKS_LINKS_MAX;
	uint32_t ino = dir->ino;

	if (!what && (left == BOOKS_LINKS_ANY || check_is_hidden(check, ino)))
		return 0;
	if (!what && left) {
		*links = (uint16_t)(*links - 1);
		return 0;
	}
	/* Links of none of them can be counted then. */
	books_add_damaged(check, dir->parent, 1);
	books_add_damaged(check, dir->named_by, 1);
	if (what) {
		books_add_damaged(check, ino, 1);
	} else {
		what = "an inode has more names than it says";
		ino = dir->parent;
	}
	return check_tell(check, EXT4_OBJECT_BOOKS, UINT64_MAX, 0, ino, -EBADMSG, what);
}

/* Each has one parent and knows it, and upwards they lead to the root. */
static int balance_dirs(struct check *check)
{
	int r = 0;

	for (size_t i = 0; i < check->nr_dirs && r == 0; i++)
		r = balance_parent(check, &check->dirs[i]);
	for (size_t i = 0; i < check->nr_dirs && r == 0 && check->stats->problems == 0; i++)
		r = climb(check, &check->dirs[i]);
	return r;
}

static bool inode_is_used(const struct check *check, uint32_t ino)
{
	return ino < check->first_ino || check->links[ino] || check_is_hidden(check, ino);
}

static int balance_inodes(struct check *check, uint32_t group)
{
	struct ext4 *fs = check->fs;
	ext2_filsys lib = fs->lib;
	uint32_t per_group = fs->info.inodes_per_group, nr_free = 0;
	uint64_t block = ext2fs_inode_bitmap_loc(lib, group);
	bool uninit = ext2fs_has_group_desc_csum(lib) &&
		      ext2fs_bg_flags_test(lib, group, EXT2_BG_INODE_UNINIT);
	int r;

	if (uninit)
		memset(check->block, 0, fs->info.block_size);
	else if ((r = ext4_read_block(fs, block, check->block)))
		return r;
	for (uint32_t i = 0; i < per_group; i++) {
		uint32_t ino = group * per_group + i + 1;
		bool used = inode_is_used(check, ino);
		nr_free += !used;
		if (used != is_set(check->block, i) && !(uninit && ino < check->first_ino))
			return tell_group(check, group, EXT4_OBJECT_INODE_BITMAP, block,
					  "it does not say which inodes are in use");
		unsigned left = check->links[ino] & BOOKS_LINKS_MAX;
		if (left && left != BOOKS_LINKS_ANY) {
			r = check_tell(check, EXT4_OBJECT_BOOKS, UINT64_MAX, 0, ino, -EBADMSG,
				       "an inode has fewer names than it says");
			if (r)
				return r;
		}
	}
	for (uint64_t i = per_group; !uninit && i < (uint64_t)fs->info.block_size * 8; i++)
		if (!is_set(check->block, i))
			return tell_group(check, group, EXT4_OBJECT_INODE_BITMAP, block,
					  "what lies behind its end is not marked");
	if (nr_free != ext2fs_bg_free_inodes_count(lib, group) ||
	    check->group_dirs[group] != ext2fs_bg_used_dirs_count(lib, group))
		return check_tell(check, EXT4_OBJECT_BOOKS, UINT64_MAX, 0, 0, -EBADMSG,
				  "a group counts its inodes wrong");
	check->nr_free_inodes += nr_free;
	return 0;
}

static int balance_blocks(struct check *check, uint32_t group_nr)
{
	struct ext4 *fs = check->fs;
	struct ext4_group group = ext4_group_of(fs, group_nr);
	uint64_t block = ext2fs_block_bitmap_loc(fs->lib, group_nr), nr_free = 0;
	bool uninit = ext2fs_has_group_desc_csum(fs->lib) &&
		      ext2fs_bg_flags_test(fs->lib, group_nr, EXT2_BG_BLOCK_UNINIT);

	int r = ext4_bitmap_read(fs, group_nr, check->block);
	if (r)
		return r;
	for (uint64_t i = 0; i < group.nr_clusters; i++) {
		bool used = false;
		for (uint64_t b = i * group.ratio;
		     b < min_of((i + 1) * group.ratio, group.nr_blocks); b++)
			used = used || is_set(check->used, group.first + b);
		nr_free += !used;
		if (used != is_set(check->block, i))
			return tell_group(check, group_nr, EXT4_OBJECT_BLOCK_BITMAP, block,
					  used ? "it calls a block free that is in use"
					       : "it calls a block used that nobody has");
	}
	for (uint64_t i = group.nr_clusters; !uninit && i < (uint64_t)fs->info.block_size * 8; i++)
		if (!is_set(check->block, i))
			return tell_group(check, group_nr, EXT4_OBJECT_BLOCK_BITMAP, block,
					  "what lies behind its end is not marked");
	if (nr_free != ext2fs_bg_free_blocks_count(fs->lib, group_nr))
		return check_tell(check, EXT4_OBJECT_BOOKS, UINT64_MAX, 0, 0, -EBADMSG,
				  "a group counts its free blocks wrong");
	check->nr_free_clusters += nr_free;
	return 0;
}

int books_end(struct check *check)
{
	struct ext4 *fs = check->fs;
	int r = balance_dirs(check);

	for (uint32_t group = 0; group < fs->info.nr_groups && r == 0; group++) {
		r = balance_inodes(check, group);
		if (r == 0)
			r = balance_blocks(check, group);
	}
	if (r || check->stats->problems)
		return r;
	if (check->nr_free_clusters * (fs->info.cluster_size / fs->info.block_size) !=
		    ext2fs_free_blocks_count(fs->lib->super) ||
	    check->nr_free_inodes != fs->lib->super->s_free_inodes_count)
		return check_tell(check, EXT4_OBJECT_BOOKS, UINT64_MAX, 0, 0, -EBADMSG,
				  "the superblock counts what is free wrong");
	return 0;
}

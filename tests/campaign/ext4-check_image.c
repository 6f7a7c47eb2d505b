// SPDX-License-Identifier: Apache-2.0
/*
 * Images of every kind, made by mke2fs from one small tree; e2fsck makes their hash trees.
 */
#include <errno.h>
#include <ext2fs/ext2fs.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "campaign/ext4-check_parts.h"

enum { COMMAND_SIZE = 2048, PIECES = 150, PIECE_LEN = 4096, ATTR_LEN = 300 };

const struct image_kind image_kinds[] = {
	{ "ext4", "-t ext4 -b 4096", "32M", NULL },
	{ "ext4, 1 KiB", "-t ext4 -b 1024", "32M", NULL },
	{ "ext4, 64 KiB", "-t ext4 -b 65536", "256M", NULL },
	{ "no checksums", "-t ext4 -b 1024 -O ^metadata_csum", "32M", NULL },
	{ "no checksums, 4 KiB", "-t ext4 -b 4096 -O ^metadata_csum,^64bit", "160M", NULL },
	{ "uninit_bg", "-t ext4 -b 1024 -O ^metadata_csum,uninit_bg,^flex_bg", "32M", NULL },
	{ "ext3", "-t ext3 -b 1024", "32M", NULL },
	{ "ext2", "-t ext2 -b 1024 -I 128", "32M", NULL },
	{ "bigalloc", "-t ext4 -b 1024 -O bigalloc -C 8192", "64M", NULL },
	{ "inline_data", "-t ext4 -b 1024 -O inline_data -I 512", "32M", NULL },
	{ "no flex_bg", "-t ext4 -b 1024 -O ^flex_bg", "32M", NULL },
	{ "casefold", "-t ext4 -b 1024 -O casefold", "32M", NULL },
	{ "quota", "-t ext4 -b 1024 -O quota", "32M", NULL },
	{ "mmp", "-t ext4 -b 1024 -O mmp", "32M", NULL },
	{ "orphan_file", "-t ext4 -b 1024 -O orphan_file", "32M", NULL },
	{ "ea_inode", "-t ext4 -b 1024 -O ea_inode -I 128", "32M", NULL },
	{ "meta_bg", "-t ext4 -b 1024 -O meta_bg,^resize_inode", "64M", NULL },
	{ "sparse_super2", "-t ext4 -b 1024 -O sparse_super2,^resize_inode", "64M", NULL },
};
const unsigned nr_image_kinds = array_size(image_kinds);

int run_command(const char *dir, const char *command, const char *argument)
{
	char whole[COMMAND_SIZE];

	(void)snprintf(whole, sizeof(whole),
		       "set -- '%s'; exec >'%s/said' 2>&1; PATH=$PATH:/usr/sbin:/sbin; %s",
		       argument, dir, command);
	int status = system(whole);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* ---- the tree ---- */

/* As many extents as pieces: a map with nodes. */
static int put_pieces(const char *dir)
{
	char path[600], piece[PIECE_LEN];

	memset(piece, 'p', sizeof(piece));
	(void)snprintf(path, sizeof(path), "%s/tree/pieces", dir);
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	if (fd < 0)
		return -errno;
	int r = 0;
	for (off_t i = 0; i < PIECES && r == 0; i++)
		if (pwrite(fd, piece, sizeof(piece), i * 2 * PIECE_LEN) != PIECE_LEN)
			r = -EIO;
	(void)close(fd);
	return r;
}

/* Short ones fit into inodes, long ones need a block. */
static void put_attributes(const char *dir)
{
	char path[600], value[ATTR_LEN];

	memset(value, 'v', sizeof(value));
	for (unsigned i = 0; i < 20; i++) {
		(void)snprintf(path, sizeof(path), "%s/tree/many/a-name-of-a-file-%u", dir, i);
		if (setxattr(path, "user.short", "short", 5, 0) ||
		    (i % 2 && setxattr(path, "user.long", value, ATTR_LEN - i, 0)))
			return; /* not every filesystem has attributes */
	}
}

int tree_make(const char *dir)
{
	static const char command[] =
		"cd \"$1\" && mkdir -p tree/sub/deep/deeper tree/many tree/empty &&"
		" i=0; while [ $i -lt 400 ]; do echo $i >tree/many/a-name-of-a-file-$i;"
		" i=$((i + 1)); done; i=0; while [ $i -lt 30 ]; do mkdir tree/sub/dir-$i;"
		" echo content >tree/sub/dir-$i/file; i=$((i + 1)); done;"
		" head -c 700000 /dev/zero | tr '\\0' x >tree/sub/big; ln -s sub/deep tree/short;"
		" ln -s ./././././././././././././././././././././././././././././././././././sub tree/long;"
		" ln tree/many/a-name-of-a-file-7 tree/sub/second-name && mkfifo tree/fifo";

	if (run_command(dir, command, dir))
		return -ENOEXEC;
	put_attributes(dir);
	return put_pieces(dir);
}

/* ---- what there is ---- */

static int add_place(struct image *image, enum part part, uint64_t off, uint32_t len)
{
	size_t nr = image->nr_places[part];

	if (nr == image->cap_places[part]) {
		size_t cap = max_of(nr * 2, (size_t)64);
		struct place *places = realloc(image->places[part], cap * sizeof(*places));
		if (!places)
			return -ENOMEM;
		image->places[part] = places;
		image->cap_places[part] = cap;
	}
	/* Inodes share blocks of the table and of attributes. */
	if (nr && image->places[part][nr - 1].off == off)
		return 0;
	image->places[part][image->nr_places[part]++] = (struct place){ off, len };
	return 0;
}

struct walk {
	struct image *image;
	bool is_dir;
	int error;
};

static int on_block(ext2_filsys fs, blk64_t *block, e2_blkcnt_t logical, blk64_t ref, int ref_off,
		    void *ctx)
{
	struct walk *walk = ctx;

	(void)ref, (void)ref_off;
	if (logical >= 0 && !walk->is_dir)
		return 0;
	walk->error = add_place(walk->image, logical < 0 ? PART_MAP : PART_DIR,
				*block * fs->blocksize, fs->blocksize);
	return walk->error ? BLOCK_ABORT : 0;
}

static int find_of_inode(struct image *image, ext2_filsys fs, ext2_ino_t ino,
			 struct ext2_inode *inode)
{
	ext2_ino_t index = (ino - 1) % fs->super->s_inodes_per_group;
	uint64_t table = ext2fs_inode_table_loc(fs, ext2fs_group_of_ino(fs, ino));
	uint64_t off = table * fs->blocksize + (uint64_t)index * EXT2_INODE_SIZE(fs->super);
	struct walk walk = { image, LINUX_S_ISDIR(inode->i_mode), 0 };
	int r = add_place(image, PART_INODES, off - off % fs->blocksize, fs->blocksize);

	if (r == 0 && ext2fs_file_acl_block(fs, inode))
		r = add_place(image, PART_ATTR, ext2fs_file_acl_block(fs, inode) * fs->blocksize,
			      fs->blocksize);
	if (r || ino == EXT2_RESIZE_INO || !ext2fs_inode_has_valid_blocks2(fs, inode))
		return r;
	(void)ext2fs_block_iterate3(fs, ino, BLOCK_FLAG_READ_ONLY, NULL, on_block, &walk);
	return walk.error;
}

static int find_inodes(struct image *image, ext2_filsys fs)
{
	struct ext2_inode inode;
	ext2_inode_scan scan;
	ext2_ino_t ino;
	int r = 0;

	if (ext2fs_open_inode_scan(fs, 0, &scan))
		return -EBADMSG;
	while (r == 0 && ext2fs_get_next_inode(scan, &ino, &inode) == 0 && ino)
		if (inode.i_links_count)
			r = find_of_inode(image, fs, ino, &inode);
	ext2fs_close_inode_scan(scan);
	return r;
}

static int find_groups(struct image *image, ext2_filsys fs)
{
	uint32_t size = EXT2_DESC_SIZE(fs->super), per = fs->blocksize / size;
	int r = 0;

	for (dgrp_t group = 0; group < fs->group_desc_count && r == 0; group++) {
		blk64_t block = ext2fs_descriptor_block_loc2(fs, fs->super->s_first_data_block,
							     group / per);
		r = add_place(image, PART_DESC,
			      block * fs->blocksize + (uint64_t)(group % per) * size, size);
		if (r == 0 && !ext2fs_bg_flags_test(fs, group, EXT2_BG_BLOCK_UNINIT))
			r = add_place(image, PART_BITMAP,
				      ext2fs_block_bitmap_loc(fs, group) * fs->blocksize,
				      fs->blocksize);
		if (r == 0 && !ext2fs_bg_flags_test(fs, group, EXT2_BG_INODE_UNINIT))
			r = add_place(image, PART_BITMAP,
				      ext2fs_inode_bitmap_loc(fs, group) * fs->blocksize,
				      fs->blocksize);
	}
	return r;
}

static int find_places(struct image *image)
{
	ext2_filsys fs;

	if (ext2fs_open(image->path, EXT2_FLAG_64BITS | EXT2_FLAG_SOFTSUPP_FEATURES, 0, 0,
			unix_io_manager, &fs))
		return -EBADMSG;
	image->block_size = fs->blocksize;
	image->has_csum = ext2fs_has_feature_metadata_csum(fs->super);
	int r = add_place(image, PART_SUPER, 1024, 1024);
	if (r == 0)
		r = find_groups(image, fs);
	if (r == 0)
		r = find_inodes(image, fs);
	ext2fs_free(fs);
	return r;
}

int image_make(struct image *image, const struct image_kind *kind, const char *dir)
{
	char command[COMMAND_SIZE / 2];

	*image = (struct image){ .has_csum = false };
	(void)snprintf(image->path, sizeof(image->path), "%s/image", dir);
	/* The tools have no other way to make hash trees; what is said of quotas is put right by it. */
	(void)snprintf(command, sizeof(command),
		       "rm -f \"$1\" && mke2fs -q -F -d '%s/tree' %s \"$1\" %s &&"
		       " { %s; e2fsck -fyD \"$1\"; [ $? -le 1 ]; } && e2fsck -fn \"$1\"",
		       dir, kind->options, kind->size, kind->after ? kind->after : ":");
	if (run_command(dir, command, image->path))
		return -ENOEXEC;
	return find_places(image);
}

void image_fini(struct image *image)
{
	for (unsigned i = 0; i < PART_COUNT_; i++)
		free(image->places[i]);
	*image = (struct image){ .has_csum = false };
}

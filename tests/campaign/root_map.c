// SPDX-License-Identifier: Apache-2.0
/*
 * What stands in each block of an image, by libext2fs; and which files packages have a digest of, by
 * the lists of dpkg in the tree that the image was made from.
 */
#include <errno.h>
#include <ext2fs/ext2_fs.h>
#include <ext2fs/ext2fs.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "campaign/root_parts.h"

#define DEPTH_MAX 64

struct mapping {
	struct root_image *image;
	ext2_filsys fs;
	uint8_t *known;	 /* a byte for each block: has a class */
	char **digested; /* sorted paths that packages have a digest of */
	size_t nr_digested, cap_digested;
	uint32_t ino; /* whose blocks are gone over */
	struct ext2_inode_large inode;
	int error;
};

const char *class_name(enum block_class class)
{
	static const char *const names[CLASS_COUNT_] = {
		[CLASS_SUPER] = "superblock",
		[CLASS_SUPER_BACKUP] = "superblock, backup",
		[CLASS_DESC] = "group descriptors",
		[CLASS_DESC_BACKUP] = "group descriptors, backup",
		[CLASS_RESERVED] = "room for descriptors",
		[CLASS_BLOCK_BITMAP] = "block bitmap",
		[CLASS_INODE_BITMAP] = "inode bitmap",
		[CLASS_INODE] = "inodes in use",
		[CLASS_INODE_FREE] = "inodes, free",
		[CLASS_MAP] = "extent and map blocks",
		[CLASS_DIR] = "directory blocks",
		[CLASS_ATTR] = "attribute blocks",
		[CLASS_SPECIAL] = "quota, orphans, MMP",
		[CLASS_JOURNAL] = "journal",
		[CLASS_PACKAGE] = "package files",
		[CLASS_FILE] = "other files",
		[CLASS_UNWRITTEN] = "unwritten extents",
		[CLASS_REST] = "rest of clusters",
		[CLASS_FREE] = "free space",
	};

	return names[class];
}

static void add_piece(struct mapping *m, enum block_class class, uint64_t block, uint32_t from,
		      uint32_t to, uint32_t ino)
{
	struct root_image *image = m->image;

	if (m->error)
		return;
	if (image->nr_pieces == image->cap_pieces) {
		size_t cap = max_of(image->cap_pieces * 2, (size_t)4096);
		struct piece *more = realloc(image->pieces, cap * sizeof(*more));
		if (!more) {
			m->error = -ENOMEM;
			return;
		}
		image->pieces = more;
		image->cap_pieces = cap;
	}
	image->pieces[image->nr_pieces++] = (struct piece){
		.class = class, .block = block, .from = from, .to = to, .ino = ino
	};
	m->known[block] = 1;
}

/* ---- the filesystem's own ---- */

static void map_group(struct mapping *m, dgrp_t group)
{
	struct root_image *image = m->image;
	uint32_t unit = image->unit;
	uint32_t super_off = unit > 1024 && group == 0 ? 1024 : 0;
	blk64_t super, old_desc, new_desc;
	blk_t used;

	(void)ext2fs_super_and_bgd_loc2(m->fs, group, &super, &old_desc, &new_desc, &used);
	if (super || group == 0)
		add_piece(m, group ? CLASS_SUPER_BACKUP : CLASS_SUPER, super, super_off,
			  super_off + 1024, 0);
	enum block_class class = group ? CLASS_DESC_BACKUP : CLASS_DESC;
	uint32_t in_block = unit / image->desc_size;
	for (blk_t i = 0; old_desc && i < m->fs->desc_blocks; i++)
		add_piece(m, class, old_desc + i, 0,
			  min_of(in_block, image->nr_groups - i * in_block) * image->desc_size, 0);
	if (new_desc) { /* meta_bg: the second and the last group of each have the backups */
		uint32_t meta = group / in_block;
		add_piece(m, group % in_block ? CLASS_DESC_BACKUP : CLASS_DESC, new_desc, 0,
			  min_of(in_block, image->nr_groups - meta * in_block) * image->desc_size,
			  0);
	}
	image->bitmaps[group] = ext2fs_block_bitmap_loc(m->fs, group);
	image->ibitmaps[group] = ext2fs_inode_bitmap_loc(m->fs, group);
	image->tables[group] = ext2fs_inode_table_loc(m->fs, group);
	image->uninit[group] =
		(uint8_t)((ext2fs_bg_flags_test(m->fs, group, EXT2_BG_BLOCK_UNINIT) ? 1 : 0) |
			  (ext2fs_bg_flags_test(m->fs, group, EXT2_BG_INODE_UNINIT) ? 2 : 0));
	add_piece(m, CLASS_BLOCK_BITMAP, image->bitmaps[group], 0, image->bitmap_len, 0);
	add_piece(m, CLASS_INODE_BITMAP, image->ibitmaps[group], 0, image->ibitmap_len, 0);
}

/* Inodes in use are pieces of their own; the free ones of a block are one. */
static void map_tables(struct mapping *m)
{
	struct root_image *image = m->image;
	uint32_t in_block = image->unit / image->inode_size;

	for (uint32_t ino = 1; ino <= image->nr_inodes; ino++) {
		uint32_t at = (ino - 1) % image->inodes_per_group;
		uint64_t block = image->tables[(ino - 1) / image->inodes_per_group] + at / in_block;
		uint32_t off = at % in_block * image->inode_size;
		if (image->inodes[ino].in_use)
			add_piece(m, CLASS_INODE, block, off, off + image->inode_size, ino);
		else if (off + image->inode_size == image->unit || ino == image->nr_inodes)
			add_piece(m, CLASS_INODE_FREE, block, off, off + image->inode_size, 0);
		m->known[block] = 1;
	}
}

/* ---- files ---- */

static bool is_own(const struct mapping *m, uint32_t ino)
{
	return ino == EXT4_USR_QUOTA_INO || ino == EXT4_GRP_QUOTA_INO ||
	       ino == m->fs->super->s_prj_quota_inum || ino == m->fs->super->s_orphan_file_inum;
}

static enum block_class class_of_data(const struct mapping *m, e2_blkcnt_t logical, bool unwritten)
{
	if (m->ino == EXT2_RESIZE_INO)
		return CLASS_RESERVED;
	if (m->ino == EXT2_JOURNAL_INO)
		return CLASS_JOURNAL;
	if (m->ino == EXT2_BAD_INO)
		return CLASS_REST;
	if (is_own(m, m->ino))
		return CLASS_SPECIAL;
	if (logical < 0)
		return CLASS_MAP;
	if (unwritten)
		return CLASS_UNWRITTEN;
	if (LINUX_S_ISDIR(m->inode.i_mode))
		return CLASS_DIR;
	return m->image->inodes[m->ino].is_package ? CLASS_PACKAGE : CLASS_FILE;
}

static int on_block(ext2_filsys fs, blk64_t *block, e2_blkcnt_t logical, blk64_t parent, int off,
		    void *ctx)
{
	struct mapping *m = ctx;
	int flags = 0;
	blk64_t physical;

	(void)parent;
	(void)off;
	if (*block == 0 || *block >= ext2fs_blocks_count(fs->super) || m->known[*block])
		return 0; /* the room for descriptors is gone over twice */
	if (logical >= 0 && (m->inode.i_flags & EXT4_EXTENTS_FL) &&
	    ext2fs_bmap2(fs, m->ino, (struct ext2_inode *)&m->inode, NULL, 0, (blk64_t)logical,
			 &flags, &physical))
		m->error = -EIO;
	add_piece(m, class_of_data(m, logical, flags & BMAP_RET_UNINIT), *block, 0, m->image->unit,
		  m->ino);
	if (m->error)
		return BLOCK_ABORT;
	struct piece *piece = &m->image->pieces[m->image->nr_pieces - 1];
	piece->file_off = logical < 0 ? 0 : (uint64_t)logical * m->image->unit;
	piece->size = EXT2_I_SIZE(&m->inode);
	return 0;
}

static int map_file(struct mapping *m, uint32_t ino)
{
	m->ino = ino;
	if (ext2fs_read_inode_full(m->fs, ino, (struct ext2_inode *)&m->inode, sizeof(m->inode)))
		return -EIO;
	struct inode_info *info = &m->image->inodes[ino];
	info->is_dir = LINUX_S_ISDIR(m->inode.i_mode);
	info->is_indexed = info->is_dir && (m->inode.i_flags & EXT2_INDEX_FL);
	info->is_root_only = ino < EXT2_GOOD_OLD_FIRST_INO && ino != EXT2_ROOT_INO &&
			     m->inode.i_links_count == 0;
	blk64_t attributes = ext2fs_file_acl_block(m->fs, (struct ext2_inode *)&m->inode);
	if (attributes && !m->known[attributes])
		add_piece(m, CLASS_ATTR, attributes, 0, m->image->unit, ino);
	if (!ext2fs_inode_has_valid_blocks2(m->fs, (struct ext2_inode *)&m->inode))
		return m->error;
	if (ext2fs_block_iterate3(m->fs, ino, BLOCK_FLAG_READ_ONLY, NULL, on_block, m))
		return -EIO;
	return m->error;
}

/* What is allocated and has no owner; what is free. */
static void map_rest(struct mapping *m)
{
	uint64_t nr = ext2fs_blocks_count(m->fs->super);

	for (uint64_t block = m->fs->super->s_first_data_block; block < nr; block++) {
		bool is_used = ext2fs_test_block_bitmap2(m->fs->block_map, block);
		if (!m->known[block])
			add_piece(m,
				  is_used && block == m->fs->super->s_mmp_block ? CLASS_SPECIAL
				  : is_used					? CLASS_REST
										: CLASS_FREE,
				  block, 0, m->image->unit, 0);
	}
}

/* ---- names ---- */

struct walk {
	struct mapping *m;
	const char *path;
	unsigned depth;
};

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int add_path(struct mapping *m, uint32_t ino, const char *path)
{
	struct inode_info *inode = &m->image->inodes[ino];
	char **more = realloc(inode->paths, (inode->nr_paths + 1) * sizeof(*more));

	if (!more)
		return -ENOMEM;
	inode->paths = more;
	inode->paths[inode->nr_paths] = strdup(path);
	if (!inode->paths[inode->nr_paths++])
		return -ENOMEM;
	inode->is_package |= bsearch(&path, m->digested, m->nr_digested, sizeof(path), by_name) !=
			     NULL;
	return 0;
}

static int on_entry(struct ext2_dir_entry *entry, int off, int size, char *block, void *ctx);

static int walk_folder(struct mapping *m, uint32_t ino, const char *path, unsigned depth)
{
	struct walk walk = { m, path, depth };

	if (depth > DEPTH_MAX || ext2fs_dir_iterate(m->fs, ino, 0, NULL, on_entry, &walk))
		return -EIO;
	return m->error;
}

static int on_entry(struct ext2_dir_entry *entry, int off, int size, char *block, void *ctx)
{
	const struct walk *walk = ctx;
	struct mapping *m = walk->m;
	int len = ext2fs_dirent_name_len(entry);
	char path[PATH_MAX];

	(void)off;
	(void)size;
	(void)block;
	if (entry->inode == 0 || entry->inode > m->image->nr_inodes ||
	    (len == 1 && entry->name[0] == '.') || (len == 2 && memcmp(entry->name, "..", 2) == 0))
		return 0;
	(void)snprintf(path, sizeof(path), "%s/%.*s", walk->path, len, entry->name);
	m->error = add_path(m, entry->inode, path);
	if (m->error == 0 && ext2fs_check_directory(m->fs, entry->inode) == 0)
		m->error = walk_folder(m, entry->inode, path, walk->depth + 1);
	return m->error ? DIRENT_ABORT : 0;
}

/* ---- packages ---- */

/* Lines of a digest, two spaces and a path; the path as it is where folders are links. */
static int read_digested(struct mapping *m, const char *tree, const char *list)
{
	char line[PATH_MAX], path[2 * PATH_MAX], real[PATH_MAX];
	FILE *file = fopen(list, "re");
	int r = file ? 0 : -errno;

	while (r == 0 && fgets(line, sizeof(line), file)) {
		line[strcspn(line, "\n")] = '\0';
		(void)snprintf(path, sizeof(path), "%s/%s", tree,
			       strlen(line) > 34 ? line + 34 : "");
		if (strlen(line) <= 34 || !realpath(path, real))
			continue;
		if (m->nr_digested == m->cap_digested) {
			m->cap_digested = max_of(m->cap_digested * 2, (size_t)1024);
			char **more = realloc(m->digested, m->cap_digested * sizeof(*more));
			if (!more) {
				r = -ENOMEM;
				break;
			}
			m->digested = more;
		}
		m->digested[m->nr_digested] = strdup(real + strlen(tree));
		r = m->digested[m->nr_digested++] ? 0 : -ENOMEM;
	}
	if (file)
		(void)fclose(file);
	return r;
}

static int read_all_digested(struct mapping *m, const char *tree)
{
	char pattern[PATH_MAX], real[PATH_MAX];
	glob_t found;

	if (!realpath(tree, real))
		return -errno;
	(void)snprintf(pattern, sizeof(pattern), "%s/var/lib/dpkg/info/*.md5sums", tree);
	if (glob(pattern, 0, NULL, &found))
		return -ENOENT;
	int r = 0;
	for (size_t i = 0; i < found.gl_pathc && r == 0; i++)
		r = read_digested(m, real, found.gl_pathv[i]);
	globfree(&found);
	if (r == 0)
		qsort(m->digested, m->nr_digested, sizeof(*m->digested), by_name);
	return r;
}

/* ---- all of it ---- */

static int prepare(struct mapping *m)
{
	struct ext2_super_block *super = m->fs->super;
	struct root_image *image = m->image;

	image->unit = m->fs->blocksize;
	image->has_csum = ext2fs_has_feature_metadata_csum(super);
	image->has_desc_csum = image->has_csum || ext2fs_has_feature_gdt_csum(super);
	image->inode_size = EXT2_INODE_SIZE(super);
	image->desc_size = EXT2_DESC_SIZE(super);
	image->nr_groups = m->fs->group_desc_count;
	image->inodes_per_group = super->s_inodes_per_group;
	image->nr_inodes = super->s_inodes_count;
	image->orphan_ino = super->s_orphan_file_inum;
	image->bitmap_len = super->s_clusters_per_group / 8;
	image->ibitmap_len = super->s_inodes_per_group / 8;
	image->tables = calloc(image->nr_groups, sizeof(*image->tables));
	image->bitmaps = calloc(image->nr_groups, sizeof(*image->bitmaps));
	image->ibitmaps = calloc(image->nr_groups, sizeof(*image->ibitmaps));
	image->uninit = calloc(image->nr_groups, sizeof(*image->uninit));
	image->inodes = calloc((size_t)image->nr_inodes + 1, sizeof(*image->inodes));
	m->known = calloc(ext2fs_blocks_count(super), 1);
	if (!image->tables || !image->bitmaps || !image->ibitmaps || !image->uninit ||
	    !image->inodes || !m->known)
		return -ENOMEM;
	for (uint32_t ino = 1; ino <= image->nr_inodes; ino++)
		image->inodes[ino].in_use = ext2fs_test_inode_bitmap2(m->fs->inode_map, ino);
	return 0;
}

static int by_class(const void *a, const void *b)
{
	const struct piece *x = a, *y = b;

	if (x->class != y->class)
		return x->class < y->class ? -1 : 1;
	if (x->block != y->block)
		return x->block < y->block ? -1 : 1;
	return x->from < y->from ? -1 : x->from > y->from;
}

static int map_all(struct mapping *m, const char *tree)
{
	struct root_image *image = m->image;
	int r = prepare(m);

	if (r == 0)
		r = read_all_digested(m, tree);
	if (r == 0)
		r = add_path(m, EXT2_ROOT_INO, "/");
	if (r == 0)
		r = walk_folder(m, EXT2_ROOT_INO, "", 0);
	for (dgrp_t group = 0; r == 0 && group < image->nr_groups; group++)
		map_group(m, group);
	if (r == 0)
		map_tables(m);
	for (uint32_t ino = 1; r == 0 && ino <= image->nr_inodes; ino++)
		if (image->inodes[ino].in_use)
			r = map_file(m, ino);
	if (r == 0)
		map_rest(m);
	if (r || m->error)
		return r ? r : m->error;
	qsort(image->pieces, image->nr_pieces, sizeof(*image->pieces), by_class);
	size_t at = 0;
	for (unsigned class = 0; class <= CLASS_COUNT_; class ++) {
		while (at < image->nr_pieces && image->pieces[at].class < class)
			at++;
		image->first[class] = at;
	}
	return 0;
}

int oracle_open(struct root_image *image, const char *tree)
{
	struct mapping m = { .image = image };
	int r = 0;

	if (ext2fs_open(image->path, EXT2_FLAG_64BITS, 0, 0, unix_io_manager, &m.fs) ||
	    ext2fs_read_bitmaps(m.fs))
		r = -EIO;
	if (r == 0)
		r = map_all(&m, tree);
	if (r)
		fprintf(stderr, "campaign-root: %s: what is in it is not known: %s\n", image->path,
			strerror(-r));
	if (m.fs)
		(void)ext2fs_close_free(&m.fs);
	for (size_t i = 0; i < m.nr_digested; i++)
		free(m.digested[i]);
	free(m.digested);
	free(m.known);
	return r;
}

void oracle_fini(struct root_image *image)
{
	for (uint32_t ino = 1; image->inodes && ino <= image->nr_inodes; ino++) {
		for (unsigned i = 0; i < image->inodes[ino].nr_paths; i++)
			free(image->inodes[ino].paths[i]);
		free(image->inodes[ino].paths);
	}
	free(take(image->inodes));
	free(take(image->tables));
	free(take(image->bitmaps));
	free(take(image->ibitmaps));
	free(take(image->uninit));
	free(take(image->pieces));
	image->nr_pieces = image->cap_pieces = 0;
}

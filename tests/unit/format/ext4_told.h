/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For the tests of ext4_check: what it tells of an image, and where things lie in one, which libext2fs
 * says without the code under test. Each function asserts what must not fail.
 */
#ifndef TESTS_UNIT_FORMAT_EXT4_TOLD_H
#define TESTS_UNIT_FORMAT_EXT4_TOLD_H

#include <ext2fs/ext2fs.h>

#include "ext4_image.h"
#include "format/ext4/ext4_check.h"

struct told {
	struct ext4_problem first;
	unsigned nr, nr_inodes;
	uint32_t last_ino;
	uint64_t block; /* of the superblock it was opened by */
	int error;	/* of the primary */
	int result;
	struct ext4_check_stats stats;
};

static inline int told_problem(const struct ext4_problem *problem, void *ctx)
{
	struct told *told = ctx;

	CU_ASSERT_PTR_NOT_NULL(problem->what);
	CU_ASSERT_TRUE(problem->error < 0);
	if (told->nr++ == 0)
		told->first = *problem;
	else
		printf("  told as well: %s at %" PRIu64 " ino %u: %s\n",
		       ext4_object_name(problem->object), problem->off, problem->ino,
		       problem->what);
	return 0;
}

static inline int told_inode(const struct ext4_inode *inode, void *ctx)
{
	struct told *told = ctx;

	CU_ASSERT_TRUE(inode->ino > told->last_ino);
	told->last_ino = inode->ino;
	told->nr_inodes++;
	return 0;
}

/* What a check of a source tells. */
static inline struct told told_of_source(struct source *src, bool books)
{
	struct ext4_check_options options = { .books = books };
	struct told told = { .nr = 0 };
	struct ext4_check_events events = { told_problem, told_inode, &told };
	struct ext4 *fs;

	CU_ASSERT_EQUAL_FATAL(ext4_open_any(src, &fs, &told.block, &told.error), 0);
	told.result = ext4_check(fs, &options, &events, &told.stats);
	CU_ASSERT_EQUAL(told.stats.problems, told.nr);
	ext4_close(fs);
	return told;
}

static inline struct told told_of(const struct image *image, bool books)
{
	struct source src;

	CU_ASSERT_EQUAL_FATAL(source_open_file(&src, AT_FDCWD, image->path), 0);
	struct told told = told_of_source(&src, books);
	source_close(&src);
	CU_ASSERT_EQUAL(told.result, 0);
	return told;
}

/* Nothing is told; what is, is printed. */
static inline void expect_clean(const struct image *image, bool books)
{
	struct told told = told_of(image, books);

	if (told.nr)
		printf("  told: %s at %" PRIu64 " ino %u: %s\n",
		       ext4_object_name(told.first.object), told.first.off, told.first.ino,
		       told.first.what);
	CU_ASSERT_EQUAL(told.nr, 0);
	CU_ASSERT_EQUAL(told.stats.unchecked, 0);
	/* Those of the filesystem itself are counted and not handed out. */
	CU_ASSERT_TRUE(told.nr_inodes > 0 && told.stats.inodes >= told.nr_inodes);
	CU_ASSERT_TRUE(told.block == 0 && told.error == 0);
}

/* This alone is told. */
static inline void expect_one(const struct image *image, bool books, enum ext4_object object,
			      uint64_t off, uint32_t ino)
{
	struct told told = told_of(image, books);

	if (told.nr != 1 || told.first.object != object || told.first.off != off ||
	    told.first.ino != ino)
		printf("  wanted %s at %" PRIu64 " ino %u, told %u: %s at %" PRIu64 " ino %u: %s\n",
		       ext4_object_name(object), off, ino, told.nr,
		       told.nr ? ext4_object_name(told.first.object) : "", told.first.off,
		       told.first.ino, told.nr ? told.first.what : "");
	CU_ASSERT_EQUAL(told.nr, 1);
	CU_ASSERT_EQUAL(told.first.object, object);
	CU_ASSERT_EQUAL(told.first.off, off);
	CU_ASSERT_EQUAL(told.first.ino, ino);
	CU_ASSERT_EQUAL(told.first.error, -EBADMSG);
}

/* ---- where things lie; offsets in bytes ---- */

static inline ext2_filsys lib_open(const struct image *image)
{
	ext2_filsys lib = NULL;

	CU_ASSERT_EQUAL_FATAL(ext2fs_open(image->path,
					  EXT2_FLAG_64BITS | EXT2_FLAG_SOFTSUPP_FEATURES, 0, 0,
					  unix_io_manager, &lib),
			      0);
	return lib;
}

struct block_search {
	bool map;      /* a block of the map instead of the data */
	unsigned skip; /* so many before it */
	uint64_t block;
};

static inline int on_searched(ext2_filsys lib, blk64_t *block, e2_blkcnt_t logical, blk64_t ref,
			      int ref_off, void *ctx)
{
	struct block_search *search = ctx;

	(void)lib, (void)ref, (void)ref_off;
	if ((logical < 0) != search->map || search->skip-- > 0)
		return 0;
	search->block = *block;
	return BLOCK_ABORT;
}

/* A block of the data of an inode, or of its map. */
static inline uint64_t block_off(const struct image *image, uint32_t ino, bool map, unsigned nr)
{
	struct block_search search = { .map = map, .skip = nr };
	ext2_filsys lib = lib_open(image);
	uint64_t unit = lib->blocksize;

	(void)ext2fs_block_iterate3(lib, ino, BLOCK_FLAG_READ_ONLY, NULL, on_searched, &search);
	ext2fs_free(lib);
	CU_ASSERT_NOT_EQUAL_FATAL(search.block, 0);
	return search.block * unit;
}

static inline uint64_t attr_off(const struct image *image, uint32_t ino)
{
	struct ext2_inode inode;
	ext2_filsys lib = lib_open(image);
	uint64_t unit = lib->blocksize;

	CU_ASSERT_EQUAL_FATAL(ext2fs_read_inode(lib, ino, &inode), 0);
	uint64_t block = ext2fs_file_acl_block(lib, &inode);
	ext2fs_free(lib);
	CU_ASSERT_NOT_EQUAL_FATAL(block, 0);
	return block * unit;
}

static inline void read_at(const struct image *image, uint64_t off, void *bytes, size_t len)
{
	int fd = open(image->path, O_RDONLY | O_CLOEXEC);

	CU_ASSERT_TRUE_FATAL(fd >= 0);
	CU_ASSERT_EQUAL(pread(fd, bytes, len, (off_t)off), (ssize_t)len);
	(void)close(fd);
}

static inline void write_at(const struct image *image, uint64_t off, const void *bytes, size_t len)
{
	int fd = open(image->path, O_WRONLY | O_CLOEXEC);

	CU_ASSERT_TRUE_FATAL(fd >= 0);
	CU_ASSERT_EQUAL(pwrite(fd, bytes, len, (off_t)off), (ssize_t)len);
	(void)close(fd);
}

/* Runs commands of debugfs that write, one a line. */
static inline int debugfs(const struct image *image, const char *commands)
{
	return run(image, "cd %s && printf '%%s\\n' '%s' >commands && debugfs -w -f commands image",
		   image->dir, commands);
}

/* As a kernel would leave it: with hash trees, and nothing to complain of. */
static inline bool image_make_tidy(struct image *image, const char *options, const char *size)
{
	if (!image_make(image, options, size))
		return false;
	CU_ASSERT_TRUE(run(image, "e2fsck -fyD %s", image->path) <= 1);
	return true;
}

#endif

// SPDX-License-Identifier: Apache-2.0
/*
 * The books of ext4_check: each part is right, and together they are not. What is wrong is told once,
 * with whom it concerns; without the books it is not seen.
 */
#include "suites.h"

#include "ext4_told.h"

#define PLAIN "-t ext4 -b 1024 -O ^metadata_csum"
#define NOWHERE UINT64_MAX

/* The image, with what debugfs made of it. */
static bool image_change(struct image *image, const char *options, const char *commands)
{
	if (!image_make_tidy(image, options, "32M"))
		return false;
	expect_clean(image, true);
	CU_ASSERT_EQUAL(debugfs(image, commands), 0);
	image_open(image);
	return true;
}

/* Of the accounts alone. */
static void expect_of(const struct image *image, enum ext4_object object, uint64_t off,
		      uint32_t ino)
{
	expect_one(image, true, object, off, ino);
	expect_clean(image, false);
}

static void tells_a_block_with_two_owners(void)
{
	char commands[64];
	struct image image;

	if (!image_make_tidy(&image, "-t ext2 -b 1024", "32M"))
		return;
	image_open(&image);
	uint32_t tiny = ino_of(&image, "tiny"), page = ino_of(&image, "page");
	uint64_t off = block_off(&image, page, false, 0);
	(void)snprintf(commands, sizeof(commands), "sif tiny block[0] %" PRIu64, off / 1024);
	CU_ASSERT_EQUAL(debugfs(&image, commands), 0);
	expect_of(&image, EXT4_OBJECT_BOOKS, off, max_of(tiny, page));
	image_close(&image);
}

static void tells_a_block_that_is_free_and_used(void)
{
	char commands[64];
	struct image image;

	if (!image_make_tidy(&image, "-t ext4 -b 1024", "32M"))
		return;
	image_open(&image);
	uint64_t off = block_off(&image, ino_of(&image, "page"), false, 0);
	ext2_filsys lib = lib_open(&image);
	dgrp_t group = ext2fs_group_of_blk2(lib, off / 1024);
	uint64_t bitmap = ext2fs_block_bitmap_loc(lib, group) * 1024;
	ext2fs_free(lib);
	(void)snprintf(commands, sizeof(commands), "freeb %" PRIu64, off / 1024);
	CU_ASSERT_EQUAL(debugfs(&image, commands), 0);
	expect_of(&image, EXT4_OBJECT_BLOCK_BITMAP, bitmap, 0);
	(void)snprintf(commands, sizeof(commands), "setb %" PRIu64 "\nsetb 7000", off / 1024);
	CU_ASSERT_EQUAL(debugfs(&image, commands), 0);
	expect_of(&image, EXT4_OBJECT_BLOCK_BITMAP, bitmap, 0);
	image_close(&image);
}

static void tells_an_inode_that_is_free_and_used(void)
{
	struct image image;

	if (!image_change(&image, "-t ext4 -b 1024", "freei tiny"))
		return;
	ext2_filsys lib = lib_open(&image);
	uint64_t bitmap = ext2fs_inode_bitmap_loc(lib, 0) * 1024;
	ext2fs_free(lib);
	expect_of(&image, EXT4_OBJECT_INODE_BITMAP, bitmap, 0);
	image_close(&image);
}

static void tells_a_wrong_count_of_links(void)
{
	struct image image;

	if (!image_change(&image, "-t ext4 -b 1024", "sif tiny links_count 2"))
		return;
	expect_of(&image, EXT4_OBJECT_BOOKS, NOWHERE, ino_of(&image, "tiny"));
	CU_ASSERT_EQUAL(debugfs(&image, "sif tiny links_count 1\nln tiny sub/second"), 0);
	/* The name that came last is the one too many. */
	struct told told = told_of(&image, true);
	CU_ASSERT_EQUAL(told.nr, 1);
	CU_ASSERT_EQUAL(told.first.object, EXT4_OBJECT_DIR);
	expect_clean(&image, false);
	CU_ASSERT_EQUAL(debugfs(&image, "sif tiny links_count 2\nsif sub links_count 2"), 0);
	/* It has its name, its own dot, and `..` of the folder in it. */
	expect_of(&image, EXT4_OBJECT_BOOKS, NOWHERE, ino_of(&image, "sub"));
	image_close(&image);
}

static void tells_a_directory_that_hangs_on_nothing(void)
{
	struct image image;

	if (!image_make_tidy(&image, "-t ext4 -b 1024", "32M"))
		return;
	image_open(&image);
	uint32_t sub = ino_of(&image, "sub"), deep = ino_of(&image, "sub/deep");
	CU_ASSERT_EQUAL(debugfs(&image, "unlink sub/deep"), 0);
	expect_of(&image, EXT4_OBJECT_BOOKS, NOWHERE, deep);
	CU_ASSERT_EQUAL(debugfs(&image, "ln sub/deep sub/deep"), 0);
	CU_ASSERT_NOT_EQUAL(sub, deep);
	image_close(&image);
}

/* Writes the inode that `..` of a directory names. */
static void set_parent(const struct image *image, uint32_t dir, uint32_t parent)
{
	uint32_t value = htole32(parent);

	write_at(image, block_off(image, dir, false, 0) + 12, &value, sizeof(value));
}

static void tells_a_directory_that_does_not_know_its_parent(void)
{
	struct image image;

	if (!image_make_tidy(&image, PLAIN, "32M"))
		return;
	image_open(&image);
	uint32_t deep = ino_of(&image, "sub/deep");
	/* Before and behind it in the order of inodes and of the disk. */
	uint32_t others[] = { EXT4_ROOT_INO, ino_of(&image, "many"), deep };
	for (size_t i = 0; i < array_size(others); i++) {
		set_parent(&image, deep, others[i]);
		expect_of(&image, EXT4_OBJECT_BOOKS, NOWHERE, deep);
	}
	set_parent(&image, deep, ino_of(&image, "sub"));
	expect_clean(&image, true);
	set_parent(&image, EXT4_ROOT_INO, deep);
	expect_of(&image, EXT4_OBJECT_BOOKS, NOWHERE, EXT4_ROOT_INO);
	image_close(&image);
}

static void tells_directories_that_lie_within_each_other(void)
{
	char commands[128];
	struct image image;

	if (!image_make_tidy(&image, PLAIN, "32M"))
		return;
	image_open(&image);
	uint32_t sub = ino_of(&image, "sub"), deep = ino_of(&image, "sub/deep");
	(void)snprintf(commands, sizeof(commands),
		       "unlink sub\nsif / links_count 4\nln <%u> <%u>/sub\nsif <%u> links_count 3",
		       sub, deep, deep);
	CU_ASSERT_EQUAL(debugfs(&image, commands), 0);
	set_parent(&image, sub, deep);
	expect_of(&image, EXT4_OBJECT_BOOKS, NOWHERE, min_of(sub, deep));
	image_close(&image);
}

static void tells_a_directory_with_two_names(void)
{
	struct image image;

	if (!image_change(&image, "-t ext4 -b 1024",
			  "ln sub/deep many/deep\nsif sub/deep links_count 3"))
		return;
	struct told told = told_of(&image, true);
	CU_ASSERT_EQUAL(told.nr, 1);
	CU_ASSERT_EQUAL(told.first.object, EXT4_OBJECT_DIR);
	expect_clean(&image, false);
	image_close(&image);
}

static void tells_an_entry_for_nothing(void)
{
	struct image image;

	if (!image_change(&image, PLAIN, "ln <5000> sub/nothing"))
		return;
	uint32_t sub = ino_of(&image, "sub");
	expect_of(&image, EXT4_OBJECT_DIR, block_off(&image, sub, false, 0), sub);
	image_close(&image);
}

static void tells_an_entry_of_another_type(void)
{
	struct image image;

	if (!image_change(&image, "-t ext4 -b 1024", "sif tiny mode 010644"))
		return;
	struct told told = told_of(&image, true);
	/* A pipe has neither content nor an entry as a file. */
	CU_ASSERT_EQUAL(told.nr, 1);
	CU_ASSERT_EQUAL(told.first.object, EXT4_OBJECT_INODE);
	CU_ASSERT_EQUAL(told.first.ino, ino_of(&image, "tiny"));
	image_close(&image);
}

static void tells_wrong_counts_of_what_is_free(void)
{
	static const char *const commands[] = { "ssv free_blocks_count 77",
						"ssv free_inodes_count 77",
						"set_bg 0 free_blocks_count 9",
						"set_bg 0 free_inodes_count 9",
						"set_bg 0 used_dirs_count 9" };

	for (size_t i = 0; i < array_size(commands); i++) {
		struct image image;
		if (!image_change(&image, PLAIN, commands[i]))
			return;
		expect_of(&image, EXT4_OBJECT_BOOKS, NOWHERE, 0);
		image_close(&image);
	}
}

static void tells_what_an_inode_counts_wrong(void)
{
	static const char *const commands[] = { "sif tiny dtime 5", "sif page blocks 100",
						"sif page size 100" };
	static const char *const names[] = { "tiny", "page", "page" };

	for (size_t i = 0; i < array_size(commands); i++) {
		struct image image;
		if (!image_change(&image, "-t ext4 -b 1024", commands[i]))
			return;
		uint32_t ino = ino_of(&image, names[i]);
		expect_of(&image, EXT4_OBJECT_INODE, inode_off(&image, ino), ino);
		image_close(&image);
	}
}

/* Its text stands in the inode, so that is seen without the books as well. */
static void tells_a_link_that_is_not_as_long_as_it_says(void)
{
	struct image image;

	if (!image_change(&image, "-t ext4 -b 1024", "sif link size 5"))
		return;
	CU_ASSERT_EQUAL(run(&image, "debugfs -R 'stat link' %s", image.path), 0);
	uint32_t ino = (uint32_t)said_number(&image, "Inode: ");
	uint64_t off = inode_off(&image, ino);
	expect_one(&image, true, EXT4_OBJECT_INODE, off, ino);
	expect_one(&image, false, EXT4_OBJECT_INODE, off, ino);
	image_close(&image);
}

/* As after a crash, when a file was removed that was still open. */
static void tells_an_inode_that_hangs_in_a_list_of_orphans(void)
{
	char commands[64];
	struct image image;

	if (!image_make_tidy(&image, "-t ext4 -b 1024", "32M"))
		return;
	image_open(&image);
	uint32_t tiny = ino_of(&image, "tiny");
	uint64_t off = inode_off(&image, tiny);
	(void)snprintf(commands, sizeof(commands), "rm tiny\nsif <%u> dtime 20", tiny);
	CU_ASSERT_EQUAL(debugfs(&image, commands), 0);
	expect_of(&image, EXT4_OBJECT_INODE, off, tiny);
	image_close(&image);
}

static void tells_blocks_of_attributes_that_are_shared_wrong(void)
{
	struct image image;
	uint32_t two = htole32(2);

	if (!image_make(&image, PLAIN, "32M"))
		return;
	CU_ASSERT_EQUAL(run(&image, "cd %s && head -c 300 /dev/zero | tr '\\0' v >long", image.dir),
			0);
	CU_ASSERT_EQUAL(debugfs(&image, "ea_set -f long tiny user.b"), 0);
	CU_ASSERT_TRUE(run(&image, "e2fsck -fyD %s", image.path) <= 1);
	image_open(&image);
	uint32_t tiny = ino_of(&image, "tiny");
	uint64_t off = attr_off(&image, tiny);
	write_at(&image, off + 4, &two, sizeof(two));
	expect_of(&image, EXT4_OBJECT_ATTR, off, tiny);
	image_close(&image);
}

/* The blocks have no checksums, so the tree has to hang together. */
static void tells_a_hash_tree_that_does_not_hang_together(void)
{
	struct image image;
	uint8_t root[1024], changed[1024], leaf[1024];

	/* By another seed the changed name could be where it was. */
	if (!image_make_tidy(&image, PLAIN " -E hash_seed=66666666-7777-4888-8999-aaaaaaaaaaaa",
			     "32M"))
		return;
	image_open(&image);
	uint32_t many = ino_of(&image, "many");
	uint64_t off = block_off(&image, many, false, 0);
	read_at(&image, off, root, sizeof(root));
	CU_ASSERT_TRUE_FATAL(root[34] > 4);
	/* A block twice: the one that it should have been is not reached. */
	memcpy(changed, root, sizeof(root));
	memcpy(changed + 32 + 12, changed + 32 + 20, 4);
	write_at(&image, off, changed, sizeof(changed));
	CU_ASSERT_EQUAL(told_of(&image, true).nr, 1);
	/* An entry less. */
	memcpy(changed, root, sizeof(root));
	changed[34]--;
	write_at(&image, off, changed, sizeof(changed));
	struct told told = told_of(&image, true);
	CU_ASSERT_TRUE(told.nr == 1 && told.first.object == EXT4_OBJECT_DIR &&
		       told.first.ino == many);
	write_at(&image, off, root, sizeof(root));
	/* A name changed into another of the same length. */
	uint64_t leaf_off = block_off(&image, many, false, 3);
	read_at(&image, leaf_off, leaf, sizeof(leaf));
	leaf[8] ^= 3;
	write_at(&image, leaf_off, leaf, sizeof(leaf));
	expect_of(&image, EXT4_OBJECT_DIR, leaf_off, many);
	image_close(&image);
}

static const struct test_case cases[] = {
	CASE(tells_a_block_with_two_owners),
	CASE(tells_a_block_that_is_free_and_used),
	CASE(tells_an_inode_that_is_free_and_used),
	CASE(tells_a_wrong_count_of_links),
	CASE(tells_a_directory_that_hangs_on_nothing),
	CASE(tells_a_directory_that_does_not_know_its_parent),
	CASE(tells_directories_that_lie_within_each_other),
	CASE(tells_a_directory_with_two_names),
	CASE(tells_an_entry_for_nothing),
	CASE(tells_an_entry_of_another_type),
	CASE(tells_wrong_counts_of_what_is_free),
	CASE(tells_what_an_inode_counts_wrong),
	CASE(tells_a_link_that_is_not_as_long_as_it_says),
	CASE(tells_an_inode_that_hangs_in_a_list_of_orphans),
	CASE(tells_blocks_of_attributes_that_are_shared_wrong),
	CASE(tells_a_hash_tree_that_does_not_hang_together),
};

const struct test_suite suite_format_ext4_check_books = { "format/ext4_check_books", cases,
							  array_size(cases) };

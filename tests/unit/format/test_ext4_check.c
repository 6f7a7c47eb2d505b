// SPDX-License-Identifier: Apache-2.0
/*
 * ext4_check: a clean filesystem of any kind is clean, and of one damaged field that field alone is
 * told, with its place and its owner.
 */
#include <limits.h>
#include <signal.h>

#include "suites.h"

#include "ext4_told.h"
#include "io/fault.h"

#define CSUM "-t ext4 -b 1024 -U 00112233-4455-6677-8899-aabbccddeeff"
#define PLAIN "-t ext4 -b 1024 -O ^metadata_csum"

/* Where the parts of group 1 lie, of which each has one of its own without flex_bg. */
struct parts {
	uint64_t super, desc, block_bitmap, inode_bitmap;
};

static struct parts parts_of(const struct image *image, dgrp_t group)
{
	ext2_filsys lib = lib_open(image);
	uint64_t unit = lib->blocksize;
	struct parts parts = {
		.super = ext2fs_group_first_block2(lib, group) * unit,
		.desc = ext2fs_descriptor_block_loc2(lib, lib->super->s_first_data_block, 0) *
				unit +
			group * EXT2_DESC_SIZE(lib->super),
		.block_bitmap = ext2fs_block_bitmap_loc(lib, group) * unit,
		.inode_bitmap = ext2fs_inode_bitmap_loc(lib, group) * unit,
	};

	ext2fs_free(lib);
	return parts;
}

/* ---- nothing is wrong ---- */

static void expect_kind_clean(const char *options, const char *size)
{
	struct image image;

	if (!image_make_tidy(&image, options, size))
		return;
	expect_clean(&image, true);
	expect_clean(&image, false);
	CU_ASSERT_EQUAL(room_remove(image.dir), 0);
}

static void tells_nothing_of_clean_filesystems(void)
{
	expect_kind_clean("-t ext4", "64M");
	expect_kind_clean("-t ext4 -b 1024", "32M");
	expect_kind_clean("-t ext4 -b 65536", "256M");
	expect_kind_clean("-t ext4 -O ^metadata_csum", "64M");
	expect_kind_clean("-t ext4 -b 1024 -O ^metadata_csum,uninit_bg", "64M");
	expect_kind_clean("-t ext2 -b 1024 -I 128", "32M");
	expect_kind_clean("-t ext3 -b 1024", "32M");
}

static void tells_nothing_of_clean_filesystems_with_features(void)
{
	static const char *const features[] = {
		"^flex_bg",
		"inline_data",
		"casefold",
		"encrypt",
		"quota",

		"ea_inode",
		"meta_bg,^resize_inode",
		"bigalloc -C 8192",
		"orphan_file",
		"metadata_csum_seed",
		"sparse_super2,^resize_inode",
	};

	for (size_t i = 0; i < array_size(features); i++) {
		char options[128];
		(void)snprintf(options, sizeof(options), "%s -I 256 -O %s", CSUM, features[i]);
		expect_kind_clean(options, "64M");
	}
	/* Of several groups, whose descriptors have copies. */
	expect_kind_clean("-t ext4 -b 1024 -I 256 -O bigalloc -C 16384", "300M");
}

/* As mke2fs left them. */
static void tells_nothing_of_new_filesystems(void)
{
	static const char *const options[] = { CSUM, PLAIN, "-t ext4", "-t ext2 -b 1024",
					       "-t ext4 -b 4096 -O ^metadata_csum" };

	for (size_t i = 0; i < array_size(options); i++) {
		struct image image;
		if (!image_make(&image, options[i], "64M"))
			return;
		expect_clean(&image, true);
		expect_clean(&image, false);
		CU_ASSERT_EQUAL(room_remove(image.dir), 0);
	}
	/* On some disks it says of inode tables that they are zeroed, where nobody reads that. */
	struct image image;
	if (!image_make(&image, PLAIN, "32M"))
		return;
	CU_ASSERT_EQUAL(debugfs(&image, "set_bg 1 flags 4"), 0);
	expect_clean(&image, true);
	CU_ASSERT_EQUAL(debugfs(&image, "set_bg 1 flags 5"), 0);
	expect_one(&image, true, EXT4_OBJECT_DESC, parts_of(&image, 1).desc, 0);
	CU_ASSERT_EQUAL(room_remove(image.dir), 0);
}

/*
 * The kernel makes the root of a hash tree out of a block of entries, whose tail it leaves where it
 * is: half of it is then a reserved field, which the checksum covers.
 */
static void reads_a_hash_tree_as_the_kernel_makes_it(void)
{
	static const uint8_t tail[8] = { 12, 0, 0, 0xde };
	uint8_t root[1024];
	struct image image;
	uint32_t words[2];
	unsigned count = 0;

	if (!image_make_tidy(&image, CSUM, "32M"))
		return;
	image_open(&image);
	uint32_t many = ino_of(&image, "many");
	uint64_t off = block_off(&image, many, false, 0);
	read_at(&image, off, root, sizeof(root));
	memcpy(root + sizeof(root) - 8, tail, sizeof(tail));
	ext2_filsys lib = lib_open(&image);
	struct ext2_inode inode;
	CU_ASSERT_EQUAL(ext2fs_read_inode(lib, many, &inode), 0);
	words[0] = htole32(many);
	words[1] = htole32(inode.i_generation);
	uint32_t crc = ext2fs_crc32c_le(lib->csum_seed, (uint8_t *)words, sizeof(words));
	ext2fs_free(lib);
	crc = ext2fs_crc32c_le(crc, root, 32 + 8 * (size_t)(root[34] | root[35] << 8));
	crc = htole32(ext2fs_crc32c_le(crc, tail, sizeof(tail)));
	memcpy(root + sizeof(root) - 4, &crc, sizeof(crc));
	write_at(&image, off, root, sizeof(root));
	CU_ASSERT_EQUAL(run(&image, "e2fsck -fn %s", image.path), 0);
	expect_clean(&image, true);
	CU_ASSERT_EQUAL(ext4_list_dir(image.fs, many, count_entry, &count), 0);
	CU_ASSERT_EQUAL(count, MANY);
	image_close(&image);
}

/* In inodes, in blocks and in inodes of their own. */
static void set_attributes(struct image *image)
{
	CU_ASSERT_EQUAL(run(image,
			    "cd %s && head -c 300 /dev/zero | tr '\\0' v >long &&"
			    " head -c 5000 /dev/zero | tr '\\0' v >longer",
			    image->dir),
			0);
	CU_ASSERT_EQUAL(debugfs(image, "ea_set tiny user.a short\nea_set -f long tiny user.b\n"
				       "ea_set -f longer page user.c\nea_set sub user.d e"),
			0);
}

static void tells_nothing_of_clean_attributes(void)
{
	static const char *const options[] = { CSUM, PLAIN, CSUM " -O ea_inode",
					       "-t ext3 -b 1024 -I 128" };

	for (size_t i = 0; i < array_size(options); i++) {
		struct image image;
		if (!image_make(&image, options[i], "32M"))
			return;
		set_attributes(&image);
		CU_ASSERT_TRUE(run(&image, "e2fsck -fyD %s", image.path) <= 1);
		expect_clean(&image, true);
		CU_ASSERT_EQUAL(room_remove(image.dir), 0);
	}
}

static void counts_what_it_has_looked_at(void)
{
	struct image image;

	if (!image_make_tidy(&image, CSUM, "32M"))
		return;
	struct told told = told_of(&image, true);
	/* The tree has a root, lost+found, sub, deep and many. */
	CU_ASSERT_EQUAL(told.stats.dirs, 5);
	CU_ASSERT_TRUE(told.stats.dir_blocks > 16);
	CU_ASSERT_TRUE(told.stats.map_blocks >= 6);
	CU_ASSERT_TRUE(told.stats.inodes > MANY);
	CU_ASSERT_EQUAL(room_remove(image.dir), 0);
}

/* ---- one thing is wrong ---- */

/* A bit of the image at `at` is flipped; that is told, and undone. */
static void expect_flip(const struct image *image, uint64_t at, enum ext4_object object,
			uint64_t off, uint32_t ino)
{
	image_flip(image, at);
	expect_one(image, true, object, off, ino);
	expect_one(image, false, object, off, ino);
	image_flip(image, at);
}

static void expect_unread(const struct image *image, uint64_t off, enum ext4_object object,
			  uint32_t ino)
{
	struct fault fault = { .nr_rules = 0 };
	struct fault_rule rule = { .kind = FAULT_ERROR, .off = off, .len = 1024, .error = -EIO };
	struct source inner, src;

	CU_ASSERT_EQUAL_FATAL(source_open_file(&inner, AT_FDCWD, image->path), 0);
	fault_add(&fault, &rule);
	for (unsigned books = 0; books < 2; books++) {
		source_init_fault(&src, &inner, &fault);
		struct told told = told_of_source(&src, books);
		CU_ASSERT_EQUAL(told.result, 0);
		CU_ASSERT_EQUAL(told.nr, 1);
		CU_ASSERT_EQUAL(told.first.object, object);
		CU_ASSERT_EQUAL(told.first.off, off);
		CU_ASSERT_EQUAL(told.first.error, -EIO);
		if (ino)
			CU_ASSERT_EQUAL(told.first.ino, ino);
		source_close(&src);
	}
	source_close(&inner);
}

static void tells_a_flipped_bit_of_the_part_it_lies_in(void)
{
	struct image image;

	if (!image_make_tidy(&image, CSUM " -O ^flex_bg,orphan_file", "32M"))
		return;
	set_attributes(&image);
	image_open(&image);
	struct parts parts = parts_of(&image, 1), first = parts_of(&image, 0);
	uint32_t tiny = ino_of(&image, "tiny"), holes = ino_of(&image, "holes");
	uint32_t many = ino_of(&image, "many");
	uint64_t inode = inode_off(&image, tiny), node = block_off(&image, holes, true, 0);
	uint64_t dir = block_off(&image, many, false, 1), dx = block_off(&image, many, false, 0);
	uint64_t attr = attr_off(&image, tiny);
	ext2_filsys lib = lib_open(&image);
	uint32_t orphans = lib->super->s_orphan_file_inum;
	ext2fs_free(lib);
	expect_clean(&image, true);
	expect_flip(&image, parts.super + 400, EXT4_OBJECT_SUPER_BACKUP, parts.super, 0);
	expect_flip(&image, parts.desc + 13, EXT4_OBJECT_DESC, parts.desc, 0);
	expect_flip(&image, first.inode_bitmap + 9, EXT4_OBJECT_INODE_BITMAP, first.inode_bitmap,
		    0);
	expect_flip(&image, first.block_bitmap + 9, EXT4_OBJECT_BLOCK_BITMAP, first.block_bitmap,
		    0);
	expect_flip(&image, inode + 4, EXT4_OBJECT_INODE, inode, tiny);
	expect_flip(&image, inode + 170, EXT4_OBJECT_INODE, inode, tiny);
	expect_flip(&image, node + 20, EXT4_OBJECT_MAP, node, holes);
	expect_flip(&image, dir + 100, EXT4_OBJECT_DIR, dir, many);
	expect_flip(&image, dx + 44, EXT4_OBJECT_DIR, dx, many);
	expect_flip(&image, attr + 900, EXT4_OBJECT_ATTR, attr, tiny);
	uint64_t orphan_block = block_off(&image, orphans, false, 0);
	expect_flip(&image, orphan_block + 8, EXT4_OBJECT_ORPHANS, orphan_block, orphans);
	expect_clean(&image, true);
	image_close(&image);
}

/* Tools that write wait for a while where it is: it is left as it was made. */
static void tells_a_damaged_mmp_block(void)
{
	struct image image;

	if (!image_make(&image, CSUM " -O mmp", "32M"))
		return;
	ext2_filsys lib = lib_open(&image);
	uint64_t mmp = lib->super->s_mmp_block * lib->blocksize;
	ext2fs_free(lib);
	expect_clean(&image, true);
	expect_flip(&image, mmp + 8, EXT4_OBJECT_MMP, mmp, 0);
	expect_flip(&image, mmp + 1, EXT4_OBJECT_MMP, mmp, 0);
	expect_unread(&image, mmp, EXT4_OBJECT_MMP, 0);
	CU_ASSERT_EQUAL(room_remove(image.dir), 0);
}

/* All that is known of group 0 hangs on it, and only it is told. */
static void tells_a_descriptor_with_everything_behind_it_once(void)
{
	struct image image;

	if (!image_make_tidy(&image, CSUM, "32M"))
		return;
	struct parts parts = parts_of(&image, 0);
	expect_flip(&image, parts.desc + 1, EXT4_OBJECT_DESC, parts.desc, 0);
	expect_flip(&image, parts.desc + 9, EXT4_OBJECT_DESC, parts.desc, 0);
	CU_ASSERT_EQUAL(room_remove(image.dir), 0);
}

/* Bytes that are all zero have no checksum. */
static void tells_zeros_in_place_of_an_inode_of_that_inode(void)
{
	static const uint8_t zeros[256];
	struct image image;

	if (!image_make_tidy(&image, CSUM " -O quota", "32M"))
		return;
	image_open(&image);
	uint32_t inos[] = { ino_of(&image, "tiny"), ino_of(&image, "many"), 7, 8, 4 };
	for (size_t i = 0; i < array_size(inos); i++) {
		uint8_t old[256];
		uint64_t off = inode_off(&image, inos[i]);
		read_at(&image, off, old, sizeof(old));
		write_at(&image, off, zeros, sizeof(zeros));
		struct told told = told_of(&image, true);
		/* The superblock names the journal, and a folder is named by those in it. */
		CU_ASSERT_TRUE(told.nr >= 1);
		if (inos[i] != 8)
			CU_ASSERT_TRUE(told.nr == 1 && told.first.ino == inos[i] &&
				       told.first.off == off &&
				       told.first.object == EXT4_OBJECT_INODE);
		write_at(&image, off, old, sizeof(old));
	}
	expect_clean(&image, true);
	image_close(&image);
}

static void tells_an_orphan_block_and_a_backup_that_are_gone(void)
{
	static const uint8_t zeros[1024];
	struct image image;

	if (!image_make_tidy(&image, CSUM " -O orphan_file", "32M"))
		return;
	ext2_filsys lib = lib_open(&image);
	uint32_t orphans = lib->super->s_orphan_file_inum;
	ext2fs_free(lib);
	uint64_t off = block_off(&image, orphans, false, 1);
	write_at(&image, off, zeros, sizeof(zeros));
	expect_one(&image, true, EXT4_OBJECT_ORPHANS, off, orphans);
	CU_ASSERT_EQUAL(room_remove(image.dir), 0);
	if (!image_make_tidy(&image, PLAIN, "32M"))
		return;
	off = parts_of(&image, 3).super;
	write_at(&image, off, zeros, sizeof(zeros));
	expect_one(&image, true, EXT4_OBJECT_SUPER_BACKUP, off, 0);
	CU_ASSERT_EQUAL(room_remove(image.dir), 0);
}

/* Four bytes at `at` are another number. */
static void expect_word(const struct image *image, uint64_t at, uint32_t word,
			enum ext4_object object, uint64_t off, uint32_t ino)
{
	uint32_t old, value = htole32(word);

	read_at(image, at, &old, sizeof(old));
	write_at(image, at, &value, sizeof(value));
	expect_one(image, true, object, off, ino);
	expect_one(image, false, object, off, ino);
	write_at(image, at, &old, sizeof(old));
}

static void tells_what_cannot_be_without_checksums(void)
{
	struct image image;

	if (!image_make(&image, PLAIN, "32M"))
		return;
	set_attributes(&image);
	CU_ASSERT_TRUE(run(&image, "e2fsck -fyD %s", image.path) <= 1);
	image_open(&image);
	struct parts parts = parts_of(&image, 1);
	uint32_t tiny = ino_of(&image, "tiny"), holes = ino_of(&image, "holes");
	uint32_t many = ino_of(&image, "many"), sub = ino_of(&image, "sub");
	uint64_t inode = inode_off(&image, tiny), node = block_off(&image, holes, true, 0);
	uint64_t dx = block_off(&image, many, false, 0), dir = block_off(&image, many, false, 1);
	uint64_t attr = attr_off(&image, tiny), plain = block_off(&image, sub, false, 0);
	expect_word(&image, 1024 + 84, 1000, EXT4_OBJECT_SUPER, 1024, 0);   /* first inode */
	expect_word(&image, 1024 + 0xe0, 9000, EXT4_OBJECT_SUPER, 1024, 0); /* the journal */
	expect_word(&image, 1024 + 0xe4, 5, EXT4_OBJECT_SUPER, 1024, 0);
	expect_word(&image, 1024 + 8, 1 << 30, EXT4_OBJECT_SUPER, 1024, 0); /* reserved blocks */
	expect_word(&image, parts.desc, UINT32_MAX, EXT4_OBJECT_DESC, parts.desc, 0);
	expect_word(&image, inode, 0x0000f1a4, EXT4_OBJECT_INODE, inode, tiny);	   /* type 15 */
	expect_word(&image, inode + 108, 1 << 20, EXT4_OBJECT_INODE, inode, tiny); /* size */
	expect_word(&image, inode + 112, 7, EXT4_OBJECT_INODE, inode, tiny);	   /* fragment */
	expect_word(&image, inode + 40, 0, EXT4_OBJECT_INODE, inode, tiny);	   /* extents */
	expect_word(&image, node, 0, EXT4_OBJECT_MAP, node, holes);
	expect_word(&image, node + 20, UINT32_MAX, EXT4_OBJECT_MAP, node, holes);
	expect_word(&image, dx + 32, 0, EXT4_OBJECT_DIR, dx, many);	     /* limit and count */
	expect_word(&image, dx + 28, 0x00090801, EXT4_OBJECT_DIR, dx, many); /* levels */
	expect_word(&image, dir + 4, 3, EXT4_OBJECT_DIR, dir, many);
	expect_word(&image, plain, many, EXT4_OBJECT_DIR, plain, sub);
	expect_word(&image, attr + 44, 99, EXT4_OBJECT_ATTR, attr, tiny); /* hash */
	expect_word(&image, attr, 99, EXT4_OBJECT_ATTR, attr, tiny);
	expect_clean(&image, true);
	image_close(&image);
}

static void tells_damage_of_indirect_blocks(void)
{
	struct image image;

	if (!image_make(&image, "-t ext2 -b 1024", "32M"))
		return;
	image_open(&image);
	uint32_t holes = ino_of(&image, "holes"), big = ino_of(&image, "big");
	uint64_t one = block_off(&image, big, true, 0), inode = inode_off(&image, big);
	uint64_t two = block_off(&image, holes, true, 1);
	expect_word(&image, one + 8, UINT32_MAX, EXT4_OBJECT_MAP, one, big);
	expect_word(&image, two + 4, 0x7fffffff, EXT4_OBJECT_MAP, two, holes);
	expect_word(&image, inode + 40, 0x7fffffff, EXT4_OBJECT_INODE, inode, big);
	/* Every pointer of a block that leads to others is wrong: that is still one block. */
	uint8_t junk[1024];
	memset(junk, 0xee, sizeof(junk));
	write_at(&image, two, junk, sizeof(junk));
	expect_one(&image, true, EXT4_OBJECT_MAP, two, holes);
	image_close(&image);
}

/* ---- superblocks ---- */

static void opens_by_a_backup(void)
{
	static const char *const options[] = { "-t ext4 -b 1024", "-t ext4 -b 4096",
					       "-t ext4 -b 1024 -O sparse_super2" };
	static const uint64_t blocks[] = { 8193, 32768, 8193 };
	static const uint8_t zeros[1024];

	for (size_t i = 0; i < array_size(options); i++) {
		struct image image;
		if (!image_make_tidy(&image, options[i], "160M"))
			return;
		write_at(&image, 1024, zeros, sizeof(zeros));
		struct told told = told_of(&image, true);
		CU_ASSERT_EQUAL(told.error, -EPROTONOSUPPORT);
		CU_ASSERT_EQUAL(told.block, blocks[i]);
		CU_ASSERT_EQUAL(told.nr, 1);
		CU_ASSERT_EQUAL(told.first.object, EXT4_OBJECT_SUPER);
		CU_ASSERT_EQUAL(told.first.off, 1024);
		CU_ASSERT_TRUE(told.stats.inodes > MANY);
		CU_ASSERT_EQUAL(room_remove(image.dir), 0);
	}
}

/* Backups are those of the day the filesystem was made. */
static void believes_the_descriptors_in_front_when_it_opens_by_a_backup(void)
{
	static const uint8_t zeros[1024];
	uint8_t backup[4096];
	struct image image;

	if (!image_make_tidy(&image, CSUM, "32M"))
		return;
	uint64_t off = parts_of(&image, 1).super;
	read_at(&image, off, backup, sizeof(backup));
	CU_ASSERT_EQUAL(run(&image, "cd %s && head -c 300000 /dev/zero >new", image.dir), 0);
	CU_ASSERT_EQUAL(debugfs(&image, "write new new\nmkdir newer\nrm big"), 0);
	write_at(&image, off, backup, sizeof(backup));
	expect_clean(&image, true);
	write_at(&image, 1024, zeros, sizeof(zeros));
	expect_one(&image, true, EXT4_OBJECT_SUPER, 1024, 0);
	/* Where they are gone too, the backups of them must do. */
	write_at(&image, 2048, zeros, sizeof(zeros));
	struct told told = told_of(&image, false);
	CU_ASSERT_TRUE(told.stats.inodes > MANY);
	CU_ASSERT_EQUAL(room_remove(image.dir), 0);
}

static void refuses_what_has_no_superblock_at_all(void)
{
	static const uint8_t zeros[65536];
	struct source src;
	struct ext4 *fs;
	uint64_t block;
	int error;

	source_init_memory(&src, span_of(zeros, sizeof(zeros)));
	CU_ASSERT_EQUAL(ext4_open_any(&src, &fs, &block, &error), -EPROTONOSUPPORT);
	CU_ASSERT_PTR_NULL(fs);
	source_init_memory(&src, SPAN_NULL);
	CU_ASSERT_TRUE(ext4_open_any(&src, &fs, &block, &error) < 0);
}

/* What would be allocated and gone through by these numbers is more than the source. */
static void refuses_numbers_that_do_not_fit_into_the_source(void)
{
	static const struct {
		uint64_t off;
		uint32_t word;
	} fields[] = {
		{ 40, 16384 },	  /* inodes of a group: more than bits of a block */
		{ 40, 2044 },	  /* no whole bytes */
		{ 0, 4 * 16384 }, /* inodes */
		{ 32, 8 },	  /* blocks of a group */
		{ 32, 0 },	  { 0xcc, 0xffff0000 }, /* reserved blocks of descriptors */
		{ 4, 1 << 30 },				/* blocks */
		{ 24, 0xffff },				/* size of blocks */
		{ 28, 0xffff },				/* size of clusters */
		{ 88, 0x8001 },				/* size of inodes */
	};
	struct image image;

	if (!image_make(&image, PLAIN, "32M"))
		return;
	for (size_t i = 0; i < array_size(fields); i++) {
		uint32_t old, value = htole32(fields[i].word);
		struct source src;
		struct ext4 *fs;
		read_at(&image, 1024 + fields[i].off, &old, sizeof(old));
		write_at(&image, 1024 + fields[i].off, &value, sizeof(value));
		CU_ASSERT_EQUAL_FATAL(source_open_file(&src, AT_FDCWD, image.path), 0);
		CU_ASSERT_EQUAL(ext4_open(&src, &fs), -EBADMSG);
		ext4_close(fs);
		source_close(&src);
		write_at(&image, 1024 + fields[i].off, &old, sizeof(old));
	}
	CU_ASSERT_EQUAL(room_remove(image.dir), 0);
}

static void tells_what_the_kernel_noted_of_errors(void)
{
	struct ext4_error_record record;
	struct image image;

	if (!image_make(&image, CSUM, "32M"))
		return;
	image_open(&image);
	ext4_get_error_record(image.fs, &record);
	CU_ASSERT_TRUE(record.count == 0 && record.last_s == 0 && record.last_function[0] == 0);
	ext4_close(image.fs);
	CU_ASSERT_EQUAL(debugfs(&image, "ssv error_count 3\nssv first_error_time 20200101000000\n"
					"ssv first_error_ino 12\nssv first_error_block 77\n"
					"ssv first_error_func ext4_lookup\nssv first_error_line 9\n"
					"ssv last_error_ino 13\nssv last_error_block 78\n"
					"ssv last_error_func ext4_iget\nssv last_error_line 10"),
			0);
	CU_ASSERT_EQUAL_FATAL(ext4_open(&image.src, &image.fs), 0);
	ext4_get_error_record(image.fs, &record);
	CU_ASSERT_EQUAL(record.count, 3);
	CU_ASSERT_EQUAL(record.first_s, 1577836800);
	CU_ASSERT_TRUE(record.first_ino == 12 && record.last_ino == 13);
	CU_ASSERT_TRUE(record.first_block == 77 && record.last_block == 78);
	CU_ASSERT_TRUE(record.first_line == 9 && record.last_line == 10);
	CU_ASSERT_STRING_EQUAL(record.first_function, "ext4_lookup");
	CU_ASSERT_STRING_EQUAL(record.last_function, "ext4_iget");
	image_close(&image);
}

/* ---- blocks that cannot be read ---- */

static void tells_a_block_that_cannot_be_read_once(void)
{
	struct image image;

	if (!image_make_tidy(&image, CSUM " -O ^flex_bg,orphan_file", "32M"))
		return;
	set_attributes(&image);
	image_open(&image);
	struct parts parts = parts_of(&image, 1), first = parts_of(&image, 0);
	uint32_t tiny = ino_of(&image, "tiny"), holes = ino_of(&image, "holes");
	uint32_t many = ino_of(&image, "many");
	uint64_t inode = inode_off(&image, tiny);
	ext2_filsys lib = lib_open(&image);
	uint32_t orphans = lib->super->s_orphan_file_inum;
	ext2fs_free(lib);
	expect_unread(&image, 1024, EXT4_OBJECT_SUPER, 0);
	expect_unread(&image, parts.super, EXT4_OBJECT_SUPER_BACKUP, 0);
	expect_unread(&image, first.inode_bitmap, EXT4_OBJECT_INODE_BITMAP, 0);
	expect_unread(&image, first.block_bitmap, EXT4_OBJECT_BLOCK_BITMAP, 0);
	expect_unread(&image, inode - inode % 1024, EXT4_OBJECT_INODE, 0);
	expect_unread(&image, block_off(&image, holes, true, 0), EXT4_OBJECT_MAP, holes);
	expect_unread(&image, block_off(&image, many, false, 1), EXT4_OBJECT_DIR, many);
	expect_unread(&image, attr_off(&image, tiny), EXT4_OBJECT_ATTR, tiny);
	expect_unread(&image, block_off(&image, orphans, false, 0), EXT4_OBJECT_ORPHANS, orphans);
	image_close(&image);
}

/* ---- it can be stopped ---- */

struct stopper {
	volatile sig_atomic_t stop;
	unsigned nr, at;
	int result;
};

static int stop_at_inode(const struct ext4_inode *inode, void *ctx)
{
	struct stopper *stopper = ctx;

	(void)inode;
	if (++stopper->nr == stopper->at)
		stopper->stop = 1;
	return stopper->nr == stopper->at ? stopper->result : 0;
}

static int stop_at_problem(const struct ext4_problem *problem, void *ctx)
{
	(void)problem, (void)ctx;
	return 9;
}

static int stop_after(struct image *image, struct stopper *stopper)
{
	struct ext4_check_options options = { .books = true, .stop = &stopper->stop };
	struct ext4_check_events events = { stop_at_problem, stop_at_inode, stopper };
	struct ext4_check_stats stats;

	return ext4_check(image->fs, &options, &events, &stats);
}

static void stops_when_it_is_told_to(void)
{
	struct image image;

	if (!image_make_tidy(&image, CSUM, "32M"))
		return;
	image_open(&image);
	struct stopper stopper = { .stop = 1 };
	CU_ASSERT_EQUAL(stop_after(&image, &stopper), EXT4_CHECK_STOPPED);
	CU_ASSERT_EQUAL(stopper.nr, 0);
	stopper = (struct stopper){ .at = 20 };
	CU_ASSERT_EQUAL(stop_after(&image, &stopper), EXT4_CHECK_STOPPED);
	CU_ASSERT_EQUAL(stopper.nr, 20);
	stopper = (struct stopper){ .at = 30, .result = 5 };
	CU_ASSERT_EQUAL(stop_after(&image, &stopper), 5);
	CU_ASSERT_EQUAL(stopper.nr, 30);
	/* Wherever a problem is met, also amid a map. */
	uint64_t node = block_off(&image, ino_of(&image, "holes"), true, 0);
	image_flip(&image, node + 20);
	stopper = (struct stopper){ .at = UINT_MAX };
	CU_ASSERT_EQUAL(stop_after(&image, &stopper), 9);
	image_flip(&image, node + 20);
	image_flip(&image, inode_off(&image, ino_of(&image, "tiny")) + 4);
	stopper = (struct stopper){ .at = UINT_MAX };
	CU_ASSERT_EQUAL(stop_after(&image, &stopper), 9);
	image_close(&image);
}

static void names_each_object(void)
{
	for (unsigned i = 0; i < EXT4_OBJECT_COUNT_; i++)
		CU_ASSERT_PTR_NOT_NULL(ext4_object_name((enum ext4_object)i));
	CU_ASSERT_PTR_NULL(ext4_object_name(EXT4_OBJECT_COUNT_));
}

static const struct test_case cases[] = {
	CASE(tells_nothing_of_clean_filesystems),
	CASE(tells_nothing_of_clean_filesystems_with_features),
	CASE(tells_nothing_of_new_filesystems),
	CASE(reads_a_hash_tree_as_the_kernel_makes_it),
	CASE(tells_nothing_of_clean_attributes),
	CASE(counts_what_it_has_looked_at),
	CASE(tells_a_flipped_bit_of_the_part_it_lies_in),
	CASE(tells_a_damaged_mmp_block),
	CASE(tells_a_descriptor_with_everything_behind_it_once),
	CASE(tells_zeros_in_place_of_an_inode_of_that_inode),
	CASE(tells_an_orphan_block_and_a_backup_that_are_gone),
	CASE(tells_what_cannot_be_without_checksums),
	CASE(tells_damage_of_indirect_blocks),
	CASE(opens_by_a_backup),
	CASE(believes_the_descriptors_in_front_when_it_opens_by_a_backup),
	CASE(refuses_what_has_no_superblock_at_all),
	CASE(refuses_numbers_that_do_not_fit_into_the_source),
	CASE(tells_what_the_kernel_noted_of_errors),
	CASE(tells_a_block_that_cannot_be_read_once),
	CASE(stops_when_it_is_told_to),
	CASE(names_each_object),
};

const struct test_suite suite_format_ext4_check = { "format/ext4_check", cases, array_size(cases) };

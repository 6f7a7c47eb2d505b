// SPDX-License-Identifier: Apache-2.0
/*
 * Scans over inode tables, and damage: of one inode, block, group or bitmap it is told of that
 * thing alone, and what is good is still read.
 */
#include "suites.h"

#include "ext4_image.h"

#include <endian.h>
#include <ext2fs/ext2fs.h>
#include <string.h>

/* ---- scans ---- */

struct scanned {
	uint32_t last;
	unsigned nr_good, nr_absent, nr_bad, nr_unread;
	uint32_t bad; /* the last one */
};

static int on_scanned(const struct ext4_inode *inode, int error, void *ctx)
{
	struct scanned *s = ctx;

	CU_ASSERT_TRUE(inode->ino > s->last || (s->last == 0 && inode->ino == 0));
	s->last = inode->ino;
	s->nr_good += error == 0;
	s->nr_absent += error == -ENOENT;
	s->nr_bad += error == -EBADMSG;
	s->nr_unread += error == -EIO;
	if (error == -EBADMSG)
		s->bad = inode->ino;
	return 0;
}

/* Every inode of the filesystem, and what is told of them. */
static struct scanned scan_all(struct ext4 *fs)
{
	struct scanned s = { 0 };
	struct ext4_info info;

	ext4_get_info(fs, &info);
	uint32_t *wanted = calloc(info.nr_inodes, sizeof(*wanted));
	CU_ASSERT_PTR_NOT_NULL_FATAL(wanted);
	for (uint32_t i = 0; i < info.nr_inodes; i++)
		wanted[i] = i + 1;
	CU_ASSERT_EQUAL(ext4_scan_inodes(fs, wanted, info.nr_inodes, on_scanned, &s), 0);
	CU_ASSERT_EQUAL(s.nr_good + s.nr_absent + s.nr_bad + s.nr_unread, info.nr_inodes);
	free(wanted);
	return s;
}

static void scans_each_wanted_inode_once(void)
{
	struct scanned s = { 0 };
	struct image image;

	if (!image_make(&image, "-t ext4 -b 1024", "32M"))
		return;
	image_open(&image);
	uint32_t tiny = ino_of(&image, "tiny"), last = 32u << 10;
	uint32_t wanted[] = { 0, 0, 2, 2, 2, tiny, tiny, last, last, UINT32_MAX, UINT32_MAX };
	CU_ASSERT_EQUAL(ext4_scan_inodes(image.fs, wanted, array_size(wanted), on_scanned, &s), 0);
	CU_ASSERT_EQUAL(s.nr_good, 2);
	CU_ASSERT_EQUAL(s.nr_absent, 3);
	CU_ASSERT_EQUAL(ext4_scan_inodes(image.fs, NULL, 0, on_scanned, &s), 0);
	s = scan_all(image.fs);
	CU_ASSERT_EQUAL(run(&image, "dumpe2fs -h %s", image.path), 0);
	uint64_t in_use = said_number(&image, "Inode count:") - said_number(&image, "Free inodes:");
	/* Some of the ten reserved ones are in use without a link. */
	CU_ASSERT_TRUE(s.nr_good + 10 >= in_use && s.nr_good < in_use);
	CU_ASSERT_EQUAL(s.nr_bad + s.nr_unread, 0);
	image_close(&image);
}

static void ends_a_scan_when_it_is_told_to(void)
{
	uint32_t wanted[] = { 2, 11 };
	struct ext4_inode inode;
	struct image image;

	if (!image_make(&image, "-t ext4", "32M"))
		return;
	image_open(&image);
	CU_ASSERT_EQUAL(ext4_scan_inodes(image.fs, wanted, 2, on_stat, &inode), 7);
	CU_ASSERT_EQUAL(inode.ino, 2);
	image_close(&image);
}

/* ---- damage ---- */

static void tells_a_damaged_inode_of_that_inode_alone(void)
{
	struct scanned one = { 0 };
	struct image image;

	if (!image_make(&image, "-t ext4", "32M"))
		return;
	image_open(&image);
	struct scanned before = scan_all(image.fs);
	uint32_t tiny = ino_of(&image, "tiny");
	image_flip(&image, inode_off(&image, tiny) + 4);
	struct scanned after = scan_all(image.fs);
	CU_ASSERT_EQUAL(after.nr_good, before.nr_good - 1);
	CU_ASSERT_EQUAL(after.nr_bad, 1);
	CU_ASSERT_EQUAL(after.bad, tiny);
	CU_ASSERT_EQUAL(ext4_read_inode(image.fs, tiny, on_scanned, &one), 0);
	CU_ASSERT_EQUAL(one.nr_bad, 1);
	struct source file;
	CU_ASSERT_EQUAL(ext4_open_file(image.fs, tiny, &file), -EBADMSG);
	image_close(&image);
}

/* The first block of the image that is a node of a tree with `depth`; 0 where there is none. */
static uint64_t find_node(struct image *image, uint8_t depth)
{
	uint8_t head[12];

	for (uint64_t off = 1024; off < 32 << 20; off += 1024)
		if (source_read_exact(&image->src, off, head, 12) == 0 && head[0] == 0x0a &&
		    head[1] == 0xf3 && head[4] == 84 && head[5] == 0 && head[6] == depth)
			return off;
	return 0;
}

static void tells_a_damaged_extent_block_of_its_inode_alone(void)
{
	for (unsigned i = 0; i < 2; i++) {
		struct image image;
		if (!image_make(&image, "-t ext4 -b 1024", "32M"))
			return;
		image_open(&image);
		struct scanned before = scan_all(image.fs);
		uint32_t holes = ino_of(&image, "holes");
		uint64_t node = find_node(&image, (uint8_t)i);
		CU_ASSERT_NOT_EQUAL_FATAL(node, 0);
		/* Where a block lies, and a byte that is not used: only the checksum tells. */
		image_flip(&image, node + 12 + (i == 0 ? 8 : 10));
		struct scanned after = scan_all(image.fs);
		CU_ASSERT_EQUAL(after.nr_good, before.nr_good - 1);
		CU_ASSERT_EQUAL(after.bad, holes);
		image_close(&image);
	}
}

/* Without checksums what is noticed is what cannot be. */
static void notices_impossible_extents_without_checksums(void)
{
	static const struct {
		unsigned off;
		uint8_t byte;
	} damages[] = {
		{ 40, 0 },     /* magic of the root */
		{ 42, 5 },     /* more entries than room */
		{ 44, 9 },     /* more room than there is */
		{ 46, 6 },     /* too deep */
		{ 46, 0 },     /* an index read as a leaf: blocks of length 0, or none such */
		{ 52 + 7, 9 }, /* the child lies beyond the end: its highest byte */
	};

	struct image image;
	uint8_t byte;

	if (!image_make(&image, "-t ext4 -b 1024 -O ^metadata_csum", "32M"))
		return;
	image_open(&image);
	uint32_t holes = ino_of(&image, "holes");
	uint64_t inode = inode_off(&image, holes);
	int fd = open(image.path, O_RDWR | O_CLOEXEC);
	CU_ASSERT_TRUE_FATAL(fd >= 0);
	for (size_t i = 0; i < array_size(damages); i++) {
		off_t off = (off_t)(inode + damages[i].off);
		CU_ASSERT_EQUAL(pread(fd, &byte, 1, off), 1);
		CU_ASSERT_EQUAL(pwrite(fd, &damages[i].byte, 1, off), 1);
		struct scanned s = scan_all(image.fs);
		CU_ASSERT_EQUAL(s.nr_bad, 1);
		CU_ASSERT_EQUAL(s.bad, holes);
		CU_ASSERT_EQUAL(pwrite(fd, &byte, 1, off), 1);
	}
	CU_ASSERT_EQUAL(scan_all(image.fs).nr_bad, 0);
	(void)close(fd);
	image_close(&image);
}

static void lists_what_a_damaged_directory_still_has(void)
{
	struct image image;
	unsigned count = 0;
	uint32_t ino;

	if (!image_make(&image, "-t ext4 -b 1024", "32M"))
		return;
	image_open(&image);
	uint32_t many = ino_of(&image, "many");
	CU_ASSERT_EQUAL(run(&image, "debugfs -R 'bmap many 3' %s", image.path), 0);
	uint64_t block = said_number(&image, "");
	CU_ASSERT_NOT_EQUAL_FATAL(block, 0);
	image_flip(&image, block * 1024 + 20);
	CU_ASSERT_EQUAL(ext4_list_dir(image.fs, many, count_entry, &count), -EBADMSG);
	CU_ASSERT_TRUE(count > MANY / 2 && count < MANY);
	CU_ASSERT_EQUAL(ext4_lookup(image.fs, many, "nothing", &ino), -EBADMSG);
	image_close(&image);
}

/* A source that cannot read a part of another. */
struct broken {
	struct source src;
	struct source *whole;
	uint64_t off, len;
};

static int broken_read(struct source *src, uint64_t off, void *buf, uint64_t len, uint64_t *ret_n)
{
	const struct broken *b = (const struct broken *)src;

	if (off < b->off + b->len && off + len > b->off)
		return -EIO;
	return source_read(b->whole, off, buf, len, ret_n);
}

static int broken_size(struct source *src, uint64_t *ret_size)
{
	return source_size(((const struct broken *)src)->whole, ret_size);
}

static void broken_close(struct source *src)
{
	(void)src;
}

static const struct source_ops broken_ops = {
	.read = broken_read,
	.size = broken_size,
	.close = broken_close,
};

static void tells_an_unreadable_block_of_its_inodes_alone(void)
{
	struct image image;
	struct ext4 *fs;

	if (!image_make(&image, "-t ext4 -I 256 -b 4096", "32M"))
		return;
	image_open(&image);
	struct scanned before = scan_all(image.fs);
	uint64_t off = inode_off(&image, ino_of(&image, "tiny")) / 4096 * 4096;
	struct broken broken = { { .ops = &broken_ops, .fd = -1 }, &image.src, off, 1 };
	CU_ASSERT_EQUAL_FATAL(ext4_open(&broken.src, &fs), 0);
	struct scanned after = scan_all(fs);
	CU_ASSERT_EQUAL(after.nr_unread, 4096 / 256);
	CU_ASSERT_TRUE(after.nr_good < before.nr_good);
	CU_ASSERT_TRUE(after.nr_good + 16 >= before.nr_good);
	ext4_close(fs);
	broken.off = 1024;
	CU_ASSERT_EQUAL(ext4_open(&broken.src, &fs), -EIO);
	CU_ASSERT_PTR_NULL(fs);
	image_close(&image);
}

static void tells_a_damaged_group_of_its_inodes_alone(void)
{
	struct image image;

	if (!image_make(&image, "-t ext4 -b 1024 -O ^flex_bg", "32M"))
		return;
	image_open(&image);
	struct scanned before = scan_all(image.fs);
	ext4_close(image.fs);
	image_flip(&image, 2048 + 2 * 64 + 8); /* the inode table of the third group */
	CU_ASSERT_EQUAL_FATAL(ext4_open(&image.src, &image.fs), 0);
	struct scanned after = scan_all(image.fs);
	CU_ASSERT_TRUE(after.nr_bad > 0 && after.nr_bad % 8 == 0);
	CU_ASSERT_TRUE(after.nr_bad < after.nr_absent + after.nr_good);
	CU_ASSERT_TRUE(after.nr_good <= before.nr_good && after.nr_good > 10);
	image_close(&image);
}

static void refuses_what_is_no_filesystem(void)
{
	static uint8_t bytes[65536];
	struct source src;
	struct ext4 *fs;

	source_init_memory(&src, span_of(bytes, sizeof(bytes)));
	CU_ASSERT_EQUAL(ext4_open(&src, &fs), -EPROTONOSUPPORT);
	CU_ASSERT_PTR_NULL(fs);
	source_init_memory(&src, SPAN_NULL);
	CU_ASSERT_EQUAL(ext4_open(&src, &fs), -EPROTONOSUPPORT);
	ext4_close(NULL);
}

static void refuses_a_damaged_cut_or_unknown_filesystem(void)
{
	struct image image;
	struct ext4 *fs;

	if (!image_make(&image, "-t ext4", "32M"))
		return;
	CU_ASSERT_EQUAL_FATAL(source_open_file(&image.src, AT_FDCWD, image.path), 0);
	image_flip(&image, 1024 + 200);
	CU_ASSERT_EQUAL(ext4_open(&image.src, &fs), -EBADMSG);
	image_flip(&image, 1024 + 200);
	CU_ASSERT_EQUAL(truncate(image.path, (32 << 20) - 4096), 0);
	CU_ASSERT_EQUAL(ext4_open(&image.src, &fs), -EBADMSG);
	CU_ASSERT_EQUAL(truncate(image.path, 1500), 0);
	CU_ASSERT_EQUAL(ext4_open(&image.src, &fs), -EPROTONOSUPPORT);
	CU_ASSERT_EQUAL(run(&image,
			    "mke2fs -q -F -t ext4 %s 32M && debugfs -w -R"
			    " 'feature FEATURE_I30' %s",
			    image.path, image.path),
			0);
	CU_ASSERT_EQUAL(ext4_open(&image.src, &fs), -EPROTONOSUPPORT);
	image_close(&image);
}

static void leaves_out_a_group_whose_bitmap_is_damaged(void)
{
	struct allocated before = { 0 }, after = { 0 };
	struct image image;

	if (!image_make(&image, "-t ext4 -b 1024", "32M"))
		return;
	image_open(&image);
	CU_ASSERT_EQUAL(ext4_each_allocated(image.fs, on_range, &before), 0);
	CU_ASSERT_EQUAL(run(&image, "dumpe2fs %s", image.path), 0);
	uint64_t block = said_number(&image, "Block bitmap at ");
	CU_ASSERT_NOT_EQUAL_FATAL(block, 0);
	image_flip(&image, block * 1024 + 100);
	CU_ASSERT_EQUAL(ext4_each_allocated(image.fs, on_range, &after), -EBADMSG);
	CU_ASSERT_TRUE(after.total < before.total);
	image_close(&image);
}

/*
 * A kernel that makes the root of a hash tree of a block of entries leaves the tail of those in place, but
 * for the checksum. Here a root of e2fsck is given such a tail.
 */
static void knows_a_root_of_a_hash_tree_by_its_head(void)
{
	uint8_t block[1024];
	struct image image;
	unsigned nr = 0;

	if (!image_make(&image, "-t ext4 -b 1024", "32M"))
		return;
	CU_ASSERT_TRUE(run(&image, "e2fsck -fyD %s", image.path) < 4);
	image_open(&image);
	uint32_t many = ino_of(&image, "many");
	CU_ASSERT_EQUAL(run(&image, "debugfs -R 'bmap /many 0' %s | sed 's/^/at /'", image.path),
			0);
	uint64_t off = said_number(&image, "at ") * sizeof(block);
	CU_ASSERT_EQUAL_FATAL(source_read_exact(&image.src, off, block, sizeof(block)), 0);
	CU_ASSERT_EQUAL_FATAL(block[29], 8); /* it is a root */
	uint32_t limit = (uint32_t)block[32] | (uint32_t)block[33] << 8;
	uint32_t count = (uint32_t)block[34] | (uint32_t)block[35] << 8;
	uint8_t *tail = block + 32 + limit * 8;
	CU_ASSERT_PTR_EQUAL(tail, block + sizeof(block) - 8);
	memcpy(tail - 4, "\0\0\0\0\x0c\0\0\xde", 8);
	/* Over head and table, then the tail with a checksum of zero. */
	CU_ASSERT_EQUAL(run(&image, "debugfs -R 'stat <%u>' %s", many, image.path), 0);
	uint32_t words[2] = { htole32(many), htole32((uint32_t)said_number(&image, "Generation: ")) };
	uint8_t uuid[16];
	struct ext4_info info;
	ext4_get_info(image.fs, &info);
	memcpy(uuid, info.uuid, sizeof(uuid));
	uint32_t crc = ext2fs_crc32c_le(~0u, uuid, sizeof(uuid));
	crc = ext2fs_crc32c_le(crc, (const unsigned char *)words, sizeof(words));
	crc = ext2fs_crc32c_le(crc, block, 32 + count * 8);
	crc = ext2fs_crc32c_le(crc, tail, 4);
	crc = ext2fs_crc32c_le(crc, (const unsigned char *)"\0\0\0", 4);
	crc = htole32(crc);
	memcpy(tail + 4, &crc, 4);
	int fd = open(image.path, O_WRONLY | O_CLOEXEC);
	CU_ASSERT_EQUAL(pwrite(fd, block, sizeof(block), (off_t)off), sizeof(block));
	(void)close(fd);
	CU_ASSERT_EQUAL(run(&image, "e2fsck -fn %s", image.path), 0);
	CU_ASSERT_EQUAL(ext4_list_dir(image.fs, many, count_entry, &nr), 0);
	CU_ASSERT_EQUAL(nr, MANY);
	image_close(&image);
}

static const struct test_case cases[] = {
	CASE(scans_each_wanted_inode_once),
	CASE(ends_a_scan_when_it_is_told_to),
	CASE(tells_a_damaged_inode_of_that_inode_alone),
	CASE(tells_a_damaged_extent_block_of_its_inode_alone),
	CASE(notices_impossible_extents_without_checksums),
	CASE(lists_what_a_damaged_directory_still_has),
	CASE(tells_an_unreadable_block_of_its_inodes_alone),
	CASE(tells_a_damaged_group_of_its_inodes_alone),
	CASE(refuses_what_is_no_filesystem),
	CASE(refuses_a_damaged_cut_or_unknown_filesystem),
	CASE(leaves_out_a_group_whose_bitmap_is_damaged),
	CASE(knows_a_root_of_a_hash_tree_by_its_head),
};

const struct test_suite suite_format_ext4_damage = { "format/ext4_damage", cases,
						     array_size(cases) };

// SPDX-License-Identifier: Apache-2.0
/*
 * ext2, ext3 and ext4: with each feature every byte of a known tree is found, by the file and by
 * its extents, and what the filesystem says of itself is what other tools say of it.
 */
#include "suites.h"

#include "ext4_image.h"

/* ---- content ---- */

struct content {
	struct source *src;
	uint8_t *bytes;
	uint64_t len;
	enum ext4_content kind;
	size_t nr_extents, nr_unwritten;
	int error;
};

/* Reads the content of an inode by its extents, without the file functions. */
static int on_content(const struct ext4_inode *inode, int error, void *ctx)
{
	struct content *c = ctx;
	uint64_t end = 0;

	c->error = error;
	if (error)
		return 0;
	c->kind = inode->content;
	c->len = inode->size;
	c->nr_extents = inode->nr_extents;
	c->bytes = calloc(1, inode->size + 1);
	CU_ASSERT_PTR_NOT_NULL_FATAL(c->bytes);
	for (size_t i = 0; i < inode->nr_extents; i++) {
		const struct ext4_extent *e = &inode->extents[i];
		CU_ASSERT_TRUE_FATAL(e->logical >= end && e->logical < inode->size);
		end = e->logical + e->len;
		c->nr_unwritten += e->unwritten;
		if (!e->unwritten)
			CU_ASSERT_EQUAL(source_read_exact(c->src, e->physical,
							  c->bytes + e->logical,
							  min_of(e->len, inode->size - e->logical)),
					0);
	}
	return 0;
}

static uint8_t wanted_byte(const char *name, uint64_t off)
{
	return strcmp(name, "holes") == 0 ? holes_byte(off) : byte_of(name, off);
}

static size_t count_wrong(const uint8_t *bytes, const char *name, uint64_t off, uint64_t len)
{
	size_t wrong = 0;

	for (uint64_t i = 0; i < len; i++)
		wrong += bytes[i] != wanted_byte(name, off + i);
	return wrong;
}

/* By ext4_open_file: whole, and in pieces that fit no block. */
static void check_by_file(const struct image *image, const char *name, uint32_t ino, uint64_t len)
{
	uint8_t *bytes = malloc(len + 1);
	struct source file;
	uint64_t n;

	CU_ASSERT_PTR_NOT_NULL_FATAL(bytes);
	CU_ASSERT_EQUAL_FATAL(ext4_open_file(image->fs, ino, &file), 0);
	CU_ASSERT_EQUAL(source_size(&file, &n), 0);
	CU_ASSERT_EQUAL(n, len);
	CU_ASSERT_EQUAL(source_read(&file, 0, bytes, len + 1, &n), 0);
	CU_ASSERT_EQUAL_FATAL(n, len);
	CU_ASSERT_EQUAL(count_wrong(bytes, name, 0, len), 0);
	for (uint64_t off = len / 3; off < len; off += 7001) {
		uint64_t part = min_of(len - off, (uint64_t)5003);
		CU_ASSERT_EQUAL(source_read_exact(&file, off, bytes, part), 0);
		CU_ASSERT_EQUAL(count_wrong(bytes, name, off, part), 0);
	}
	CU_ASSERT_EQUAL(source_read_exact(&file, len, bytes, 1), -ENODATA);
	source_close(&file);
	free(bytes);
}

/* Returns what the inode said, without the bytes. */
static struct content check_file(struct image *image, const char *name, uint64_t len)
{
	struct content c = { .src = &image->src, .error = 1 };
	uint32_t ino = ino_of(image, name);

	CU_ASSERT_EQUAL(ext4_read_inode(image->fs, ino, on_content, &c), 0);
	CU_ASSERT_EQUAL_FATAL(c.error, 0);
	CU_ASSERT_EQUAL_FATAL(c.len, len);
	if (c.kind != EXT4_CONTENT_INLINE)
		CU_ASSERT_EQUAL(count_wrong(c.bytes, name, 0, len), 0);
	free(take(c.bytes));
	check_by_file(image, name, ino, len);
	return c;
}

static void check_tree(struct image *image)
{
	struct ext4_info info;
	unsigned count = 0;

	for (size_t i = 0; i < array_size(plain_files); i++)
		(void)check_file(image, plain_files[i].name, plain_files[i].len);
	struct content c = check_file(image, "holes", HOLES_LEN);
	ext4_get_info(image->fs, &info);
	if (info.cluster_size <= PIECE_LEN)
		CU_ASSERT_TRUE(c.nr_extents >= PIECES);
	CU_ASSERT_EQUAL(ext4_list_dir(image->fs, ino_of(image, "many"), count_entry, &count), 0);
	CU_ASSERT_EQUAL(count, MANY);
	CU_ASSERT_EQUAL(ino_of(image, "link"), ino_of(image, "sub/deep/file"));
}

/* ---- each feature ---- */

static void check_feature(const char *options, const char *size)
{
	struct image image;

	if (!image_make(&image, options, size))
		return;
	image_open(&image);
	check_tree(&image);
	image_close(&image);
}

static void reads_ext4(void)
{
	check_feature("-t ext4", "64M");
}

static void reads_ext4_with_blocks_of_1_kib(void)
{
	check_feature("-t ext4 -b 1024", "32M");
}

static void reads_ext4_with_blocks_of_2_kib(void)
{
	check_feature("-t ext4 -b 2048", "32M");
}

static void reads_ext4_with_blocks_of_64_kib(void)
{
	check_feature("-t ext4 -b 65536", "256M");
}

static void reads_ext4_without_checksums(void)
{
	check_feature("-t ext4 -b 1024 -O ^metadata_csum", "32M");
}

static void reads_ext4_with_checksums_of_groups_only(void)
{
	check_feature("-t ext4 -O ^metadata_csum,uninit_bg,^flex_bg", "64M");
}

static void reads_ext2_by_its_map_of_blocks(void)
{
	check_feature("-t ext2 -b 1024", "32M");
}

static void reads_ext2_with_blocks_of_4_kib(void)
{
	check_feature("-t ext2 -b 4096 -I 128", "32M");
}

static void reads_ext3(void)
{
	check_feature("-t ext3 -b 1024", "64M");
}

static void reads_extents_without_64bit(void)
{
	check_feature("-t ext4 -O ^64bit", "32M");
}

static void reads_metadata_groups(void)
{
	check_feature("-t ext4 -b 1024 -O meta_bg,^resize_inode", "128M");
}

static void reads_without_flexible_groups(void)
{
	check_feature("-t ext4 -b 1024 -O ^flex_bg", "64M");
}

static void reads_clusters_of_blocks(void)
{
	check_feature("-t ext4 -O bigalloc -C 16384", "64M");
}

static void reads_large_inodes(void)
{
	check_feature("-t ext4 -I 1024", "64M");
}

static void reads_content_inside_inodes(void)
{
	struct image image;

	if (!image_make(&image, "-t ext4 -O inline_data -I 512", "64M"))
		return;
	/* This mke2fs forgets a hole at the end. */
	CU_ASSERT_EQUAL(run(&image, "debugfs -w -R 'sif holes size %" PRIu64 "' %s", HOLES_LEN,
			    image.path),
			0);
	image_open(&image);
	check_tree(&image);
	CU_ASSERT_EQUAL(check_file(&image, "tiny", 10).kind, EXT4_CONTENT_INLINE);
	CU_ASSERT_EQUAL(check_file(&image, "inode", 120).kind, EXT4_CONTENT_INLINE);
	CU_ASSERT_EQUAL(check_file(&image, "big", 300 * 1024 + 17).kind, EXT4_CONTENT_BLOCKS);
	image_close(&image);
}

/* As the kernel does, and e2fsck finds no fault with it. */
static void reads_zeros_behind_content_inside_inodes(void)
{
	struct image image;
	struct source file;
	uint8_t bytes[5001];
	uint64_t n, wrong = 0;

	if (!image_make(&image, "-t ext4 -O inline_data -I 512", "64M"))
		return;
	CU_ASSERT_EQUAL(run(&image, "debugfs -w -R 'sif tiny size 5000' %s && e2fsck -fn %s",
			    image.path, image.path),
			0);
	image_open(&image);
	CU_ASSERT_EQUAL_FATAL(ext4_open_file(image.fs, ino_of(&image, "tiny"), &file), 0);
	CU_ASSERT_EQUAL(source_read(&file, 0, bytes, sizeof(bytes), &n), 0);
	CU_ASSERT_EQUAL_FATAL(n, 5000);
	CU_ASSERT_EQUAL(count_wrong(bytes, "tiny", 0, 10), 0);
	for (uint64_t i = 10; i < n; i++)
		wrong += bytes[i] != 0;
	CU_ASSERT_EQUAL(wrong, 0);
	CU_ASSERT_EQUAL(source_read(&file, 4990, bytes, sizeof(bytes), &n), 0);
	CU_ASSERT_EQUAL(n, 10);
	source_close(&file);
	image_close(&image);
}

static void reads_directories_with_a_hash_tree(void)
{
	static const char *const options[] = { "-t ext4 -b 1024", "-t ext3 -b 1024" };
	struct image image;

	for (size_t i = 0; i < array_size(options); i++) {
		if (!image_make(&image, options[i], "64M"))
			return;
		CU_ASSERT_TRUE(run(&image, "e2fsck -fyD %s", image.path) <= 1);
		image_open(&image);
		CU_ASSERT_EQUAL(run(&image, "debugfs -R 'htree_dump many' %s", image.path), 0);
		CU_ASSERT_EQUAL(said_number(&image, "Info length: "), 8);
		check_tree(&image);
		image_close(&image);
	}
}

/* The free space of a full filesystem is what every second small file left behind. */
static void reads_a_file_in_hundreds_of_fragments(void)
{
	static const char *const types[] = { "ext4", "ext2" };

	for (size_t i = 0; i < array_size(types); i++) {
		char options[64], path[ROOM_DIR_SIZE + 8];
		struct image image;
		(void)snprintf(options, sizeof(options), "-t %s -b 1024 -m 0 -N 1024", types[i]);
		if (!image_make(&image, options, "7M"))
			return;
		/* What is left is filled up; the last write runs out of space. */
		(void)snprintf(path, sizeof(path), "%s/frag", image.dir);
		put_bytes(path, "frag", 150 * 1024);
		CU_ASSERT_EQUAL(run(&image,
				    "cd %s && head -c 8M /dev/zero | tr '\\0' x >fill &&"
				    " { echo write fill fill; i=0; while [ $i -lt 400 ]; do"
				    " echo rm many/a-name-of-file-$i; i=$((i + 2)); done;"
				    " echo write frag frag; } >commands;"
				    " debugfs -w -f commands image",
				    image.dir),
				0);
		image_open(&image);
		struct content c = check_file(&image, "frag", 150 * 1024);
		CU_ASSERT_TRUE(c.nr_extents > 100);
		(void)check_file(&image, "big", 300 * 1024 + 17);
		image_close(&image);
	}
}

static void reads_unwritten_extents_as_zeros(void)
{
	struct source file;
	struct image image;
	uint8_t bytes[4096];
	size_t wrong = 0;

	if (!image_make(&image, "-t ext4 -b 1024", "32M"))
		return;
	CU_ASSERT_EQUAL(run(&image,
			    "debugfs -w -R 'fallocate empty 0 63' %s &&"
			    " debugfs -w -R 'sif empty size 50000' %s",
			    image.path, image.path),
			0);
	image_open(&image);
	struct content c = { .src = &image.src };
	CU_ASSERT_EQUAL(ext4_read_inode(image.fs, ino_of(&image, "empty"), on_content, &c), 0);
	CU_ASSERT_TRUE(c.error == 0 && c.nr_unwritten > 0 && c.len == 50000);
	free(c.bytes);
	CU_ASSERT_EQUAL_FATAL(ext4_open_file(image.fs, ino_of(&image, "empty"), &file), 0);
	CU_ASSERT_EQUAL(source_read_exact(&file, 50000 - 4096, bytes, 4096), 0);
	for (size_t i = 0; i < sizeof(bytes); i++)
		wrong += bytes[i] != 0;
	CU_ASSERT_EQUAL(wrong, 0);
	source_close(&file);
	image_close(&image);
}

/* ---- what the filesystem and its inodes say of themselves ---- */

static void tells_what_the_superblock_says(void)
{
	struct ext4_info info;
	struct image image;

	if (!image_make(&image, "-t ext4 -b 1024 -I 256 -U 00112233-4455-6677-8899-aabbccddeeff",
			"32M"))
		return;
	CU_ASSERT_EQUAL(run(&image, "tune2fs -o journal_data %s", image.path), 0);
	image_open(&image);
	ext4_get_info(image.fs, &info);
	CU_ASSERT_EQUAL(info.uuid[0], 0);
	CU_ASSERT_EQUAL(info.uuid[15], 0xff);
	CU_ASSERT_EQUAL(info.block_size, 1024);
	CU_ASSERT_EQUAL(info.cluster_size, 1024);
	CU_ASSERT_EQUAL(info.inode_size, 256);
	CU_ASSERT_EQUAL(info.size, 32 << 20);
	CU_ASSERT_EQUAL(info.nr_groups, 4);
	CU_ASSERT_EQUAL(info.nr_inodes, info.nr_groups * info.inodes_per_group);
	CU_ASSERT_TRUE(info.journals_data && !info.needs_recovery && !info.has_errors);
	ext4_close(image.fs);
	CU_ASSERT_EQUAL(run(&image,
			    "debugfs -w -R 'feature needs_recovery' %s &&"
			    " debugfs -w -R 'ssv state 2' %s",
			    image.path, image.path),
			0);
	CU_ASSERT_EQUAL_FATAL(ext4_open(&image.src, &image.fs), 0);
	ext4_get_info(image.fs, &info);
	CU_ASSERT_TRUE(info.needs_recovery && info.has_errors);
	image_close(&image);
}

static void tells_times_beyond_2038_and_before_1970(void)
{
	struct ext4_inode inode;
	struct image image;

	if (!image_make(&image, "-t ext4", "32M"))
		return;
	CU_ASSERT_EQUAL(run(&image,
			    "cd %s && { echo sif tiny mtime 0x80000000;"
			    " echo sif tiny mtime_extra 0x5; echo sif tiny ctime 0xffffffff;"
			    " echo sif tiny ctime_extra 0xee6b27fc; echo sif tiny crtime 100;"
			    " echo sif tiny crtime_extra 4; echo sif tiny generation 4711; }"
			    " >commands; debugfs -w -f commands image",
			    image.dir),
			0);
	image_open(&image);
	CU_ASSERT_EQUAL(ext4_read_inode(image.fs, ino_of(&image, "tiny"), on_stat, &inode), 7);
	CU_ASSERT_EQUAL(inode.mtime_ns, INT64_C(2147483648) * 1000000000 + 1);
	CU_ASSERT_EQUAL(inode.ctime_ns, -1000000000 + 999999999);
	CU_ASSERT_EQUAL(inode.btime_ns, INT64_C(100000000001));
	CU_ASSERT_EQUAL(inode.generation, 4711);
	CU_ASSERT_EQUAL(inode.mode, S_IFREG | 0644);
	CU_ASSERT_EQUAL(inode.nlink, 1);
	image_close(&image);
}

static void tells_content_that_it_does_not_read(void)
{
	struct ext4_inode inode;
	struct source file;
	struct image image;

	if (!image_make(&image, "-t ext4 -O encrypt", "32M"))
		return;
	CU_ASSERT_EQUAL(run(&image,
			    "cd %s && { echo sif tiny flags 0x80800; echo sif page flags 0x84000;"
			    " echo sif many flags 0x80800; } >commands;"
			    " debugfs -w -f commands image",
			    image.dir),
			0);
	image_open(&image);
	uint32_t tiny = ino_of(&image, "tiny"), fifo = ino_of(&image, "fifo");
	CU_ASSERT_EQUAL(ext4_read_inode(image.fs, tiny, on_stat, &inode), 7);
	CU_ASSERT_EQUAL(inode.content, EXT4_CONTENT_ENCRYPTED);
	CU_ASSERT_EQUAL(ext4_open_file(image.fs, tiny, &file), -EOPNOTSUPP);
	CU_ASSERT_PTR_NULL(file.ops);
	CU_ASSERT_EQUAL(ext4_read_inode(image.fs, ino_of(&image, "page"), on_stat, &inode), 7);
	CU_ASSERT_EQUAL(inode.content, EXT4_CONTENT_JOURNALED);
	CU_ASSERT_EQUAL(inode.nr_extents, 1);
	(void)check_file(&image, "page", 4096);
	CU_ASSERT_EQUAL(ext4_read_inode(image.fs, fifo, on_stat, &inode), 7);
	CU_ASSERT_EQUAL(inode.content, EXT4_CONTENT_NONE);
	CU_ASSERT_EQUAL(ext4_open_file(image.fs, fifo, &file), -EINVAL);
	CU_ASSERT_EQUAL(ext4_open_file(image.fs, EXT4_ROOT_INO, &file), -EINVAL);
	CU_ASSERT_EQUAL(ext4_list_dir(image.fs, ino_of(&image, "many"), count_entry, NULL),
			-EOPNOTSUPP);
	image_close(&image);
}

/* ---- paths ---- */

static void finds_a_path_through_links(void)
{
	static const struct {
		const char *path;
		const char *same;
		int error;
	} paths[] = {
		{ "", "/", 0 },
		{ "/", ".", 0 },
		{ "//sub///deep//", "sub/deep", 0 },
		{ "sub/deep/../../sub/./deep/file", "sub/deep/file", 0 },
		{ "link", "sub/deep/file", 0 },
		{ "abs/deep/file", "sub/deep/file", 0 },
		{ "long/file", "sub/deep/file", 0 },
		{ "../../..", "/", 0 },
		{ "loop", NULL, -ELOOP },
		{ "nothing", NULL, -ENOENT },
		{ "sub/nothing/file", NULL, -ENOENT },
		{ "tiny/file", NULL, -ENOTDIR },
		{ "link/file", NULL, -ENOTDIR },
	};
	struct image image;
	uint32_t ino, same;

	if (!image_make(&image, "-t ext4", "32M"))
		return;
	image_open(&image);
	for (size_t i = 0; i < array_size(paths); i++) {
		int r = ext4_lookup(image.fs, EXT4_ROOT_INO, paths[i].path, &ino);
		CU_ASSERT_EQUAL(r, paths[i].error);
		if (r || paths[i].error)
			continue;
		CU_ASSERT_EQUAL(ext4_lookup(image.fs, EXT4_ROOT_INO, paths[i].same, &same), 0);
		CU_ASSERT_EQUAL(ino, same);
	}
	CU_ASSERT_EQUAL(ext4_lookup(image.fs, ino_of(&image, "sub"), "deep/file", &ino), 0);
	CU_ASSERT_EQUAL(ino, ino_of(&image, "link"));
	CU_ASSERT_EQUAL(ext4_lookup(image.fs, ino_of(&image, "sub"), "/deep/file", &ino), 0);
	CU_ASSERT_EQUAL(ext4_list_dir(image.fs, ino, count_entry, NULL), -ENOTDIR);
	image_close(&image);
}

/* ---- allocated blocks ---- */

static void check_allocated(const char *options, const char *size)
{
	struct allocated a = { 0 };
	struct ext4_info info;
	struct image image;

	if (!image_make(&image, options, size))
		return;
	image_open(&image);
	ext4_get_info(image.fs, &info);
	CU_ASSERT_EQUAL(ext4_each_allocated(image.fs, on_range, &a), 0);
	CU_ASSERT_EQUAL(run(&image, "dumpe2fs -h %s", image.path), 0);
	uint64_t nr_used = said_number(&image, "Block count:") -
			   said_number(&image, "First block:") -
			   said_number(&image, "Free blocks:");
	CU_ASSERT_EQUAL(a.total, nr_used * info.block_size);
	a = (struct allocated){ .stop_after = 1 };
	CU_ASSERT_EQUAL(ext4_each_allocated(image.fs, on_range, &a), 5);
	image_close(&image);
}

static void tells_the_allocated_blocks(void)
{
	check_allocated("-t ext4", "64M");
	check_allocated("-t ext2 -b 1024", "32M");
	check_allocated("-t ext4 -O bigalloc -C 16384", "64M");
}

static void tells_the_allocated_blocks_of_groups_never_used(void)
{
	check_allocated("-t ext4 -b 1024 -O ^flex_bg", "120M");
	check_allocated("-t ext4 -b 1024 -O ^flex_bg,meta_bg,^resize_inode", "120M");
	check_allocated("-t ext4 -b 1024 -O ^metadata_csum,uninit_bg", "120M");
}

/* Group by group it is the same, and each lies where it should. */
static void check_groups(const char *options, const char *size)
{
	struct allocated whole = { 0 };
	uint64_t total = 0, off, len, end = 0;
	struct ext4_info info;
	struct image image;

	if (!image_make(&image, options, size))
		return;
	image_open(&image);
	ext4_get_info(image.fs, &info);
	CU_ASSERT_TRUE(info.nr_groups > 2);
	CU_ASSERT_EQUAL(ext4_each_allocated(image.fs, on_range, &whole), 0);
	for (uint32_t i = 0; i < info.nr_groups; i++) {
		struct allocated a = { 0 };
		CU_ASSERT_EQUAL(ext4_group_range(image.fs, i, &off, &len), 0);
		CU_ASSERT_TRUE(i == 0 || off == end);
		CU_ASSERT_EQUAL(ext4_each_allocated_in(image.fs, i, 1, on_range, &a), 0);
		CU_ASSERT_TRUE(a.total <= len && a.end <= off + len);
		total += a.total;
		end = off + len;
	}
	CU_ASSERT_EQUAL(end, info.size);
	CU_ASSERT_EQUAL(total, whole.total);
	CU_ASSERT_EQUAL(ext4_count_allocated(image.fs), whole.total);
	CU_ASSERT_EQUAL(ext4_group_range(image.fs, info.nr_groups, &off, &len), -ERANGE);
	CU_ASSERT_EQUAL(ext4_each_allocated_in(image.fs, info.nr_groups, 0, on_range, &whole), 0);
	CU_ASSERT_EQUAL(ext4_each_allocated_in(image.fs, 1, info.nr_groups, on_range, &whole),
			-ERANGE);
	CU_ASSERT_EQUAL(ext4_each_allocated_in(image.fs, UINT32_MAX, 2, on_range, &whole), -ERANGE);
	image_close(&image);
}

static void tells_the_allocated_blocks_of_single_groups(void)
{
	check_groups("-t ext4 -b 1024", "30M");
	check_groups("-t ext4 -b 4096", "500M");
	check_groups("-t ext4 -O bigalloc -b 1024 -C 2048 -g 8192", "64M");
}

static const struct test_case cases[] = {
	CASE(reads_ext4),
	CASE(reads_ext4_with_blocks_of_1_kib),
	CASE(reads_ext4_with_blocks_of_2_kib),
	CASE(reads_ext4_with_blocks_of_64_kib),
	CASE(reads_ext4_without_checksums),
	CASE(reads_ext4_with_checksums_of_groups_only),
	CASE(reads_ext2_by_its_map_of_blocks),
	CASE(reads_ext2_with_blocks_of_4_kib),
	CASE(reads_ext3),
	CASE(reads_extents_without_64bit),
	CASE(reads_metadata_groups),
	CASE(reads_without_flexible_groups),
	CASE(reads_clusters_of_blocks),
	CASE(reads_large_inodes),
	CASE(reads_content_inside_inodes),
	CASE(reads_zeros_behind_content_inside_inodes),
	CASE(reads_directories_with_a_hash_tree),
	CASE(reads_a_file_in_hundreds_of_fragments),
	CASE(reads_unwritten_extents_as_zeros),
	CASE(tells_what_the_superblock_says),
	CASE(tells_times_beyond_2038_and_before_1970),
	CASE(tells_content_that_it_does_not_read),
	CASE(finds_a_path_through_links),
	CASE(tells_the_allocated_blocks),
	CASE(tells_the_allocated_blocks_of_groups_never_used),
	CASE(tells_the_allocated_blocks_of_single_groups),
};

const struct test_suite suite_format_ext4 = { "format/ext4", cases, array_size(cases) };

// SPDX-License-Identifier: Apache-2.0
/*
 * Fuzzes ext4: an image as it is, and once more with the checksums of superblock, group descriptors
 * and inodes made right, so that what they guard is reached. Every inode is scanned, directories
 * are listed, files read, allocated blocks walked, by the bitmaps and by the reads that a pass over
 * them makes. Whatever the image says, extents, runs and reads lie inside it and ascend, both walks
 * see as many blocks, and reads end.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "format/ext4/ext4.h"
#include "fuzz/ext4_sums.h"
#include "verify/block_walk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define IMAGE_MAX (256 * 1024) /* bytes */
#define INODES_MAX 256	       /* that are looked at */
#define READ_LEN 65536	       /* bytes at the start and at the end of a file */

static void require(bool ok)
{
	if (!ok)
		abort();
}

struct walk {
	struct ext4 *fs;
	struct ext4_info info;
	uint32_t last;
	uint64_t end, allocated; /* bytes */
};

static int on_entry(struct span name, uint32_t ino, unsigned type, void *ctx)
{
	const struct walk *walk = ctx;

	(void)type;
	require(name.len > 0 && name.len <= 255 && ino > 0 && ino <= walk->info.nr_inodes);
	require(span_find(name, '/') == name.len && span_find(name, 0) == name.len);
	return 0;
}

static void read_file(struct ext4 *fs, uint32_t ino, uint64_t size)
{
	static uint8_t buf[READ_LEN];
	struct source file;
	uint64_t n;

	if (ext4_open_file(fs, ino, &file))
		return;
	require(source_size(&file, &n) == 0 && n == size);
	if (source_read(&file, 0, buf, sizeof(buf), &n) == 0)
		require(n == min_of(size, (uint64_t)READ_LEN));
	if (size > READ_LEN && source_read(&file, size - READ_LEN, buf, sizeof(buf), &n) == 0)
		require(n == READ_LEN);
	require(source_read(&file, size, buf, 1, &n) == 0 && n == 0);
	source_close(&file);
}

static int on_inode(const struct ext4_inode *inode, int error, void *ctx)
{
	struct walk *walk = ctx;
	uint64_t end = 0;

	require(inode->ino > walk->last);
	walk->last = inode->ino;
	require(error == 0 || error == -ENOENT || error == -EBADMSG);
	if (error)
		return 0;
	require(inode->mode && inode->nlink && inode->size <= INT64_MAX);
	for (size_t i = 0; i < inode->nr_extents; i++) {
		const struct ext4_extent *e = &inode->extents[i];
		require(e->len > 0 && e->logical >= end && e->logical < inode->size);
		require(e->physical < walk->info.size && e->len <= walk->info.size - e->physical);
		end = e->logical + e->len;
	}
	if (S_ISDIR(inode->mode))
		(void)!ext4_list_dir(walk->fs, inode->ino, on_entry, walk);
	if (S_ISREG(inode->mode))
		read_file(walk->fs, inode->ino, inode->size);
	return 0;
}

static int on_range(uint64_t off, uint64_t len, void *ctx)
{
	struct walk *walk = ctx;

	require(len > 0 && off >= walk->end && len <= walk->info.size - off);
	walk->end = off + len;
	walk->allocated += len;
	return 0;
}

/* What is before the first group is allocated too. */
static void walk_reads(struct walk *walk, uint32_t sector)
{
	struct volume volume = { .fd = -1, .is_image = true, .sector = sector };
	uint64_t nr = 0, next = 0, first, len;
	struct block_walk *blocks;
	struct block_read read;
	int r;

	require(block_walk_new(&volume, walk->fs, 32768, &blocks) == 0);
	while ((r = block_walk_next(blocks, &read)) == 0) {
		require(read.len > 0 && read.len <= BLOCK_WALK_READ && read.nr_blocks > 0);
		require(read.off % sector == 0 && read.len % sector == 0);
		require(read.off + read.len < walk->info.size + sector);
		require(read.first * walk->info.block_size == read.off);
		for (uint32_t i = 0; i < read.nr_blocks; i++) {
			if (!block_read_has(&read, i))
				continue;
			require(read.first + i >= next);
			next = read.first + i + 1;
			require((next * walk->info.block_size) <= read.off + read.len);
			nr++;
		}
	}
	require(r == BLOCK_WALK_END);
	require(ext4_group_range(walk->fs, 0, &first, &len) == 0);
	require(nr * walk->info.block_size == walk->allocated + first);
	require(block_walk_get_left_out(blocks).nr_groups <= walk->info.nr_groups);
	block_walk_free(blocks);
}

static void walk_image(struct source *src)
{
	struct walk walk = { .fs = NULL };
	uint32_t wanted[INODES_MAX], ino;

	int r = ext4_open(src, &walk.fs);
	require(r == 0 || r == -EBADMSG || r == -EPROTONOSUPPORT || r == -EFBIG || r == -ENOMEM);
	require((r == 0) == (walk.fs != NULL));
	if (r)
		return;
	ext4_get_info(walk.fs, &walk.info);
	for (uint32_t i = 0; i < INODES_MAX; i++)
		wanted[i] = i + 1;
	require(ext4_scan_inodes(walk.fs, wanted, INODES_MAX, on_inode, &walk) == 0);
	(void)!ext4_each_allocated(walk.fs, on_range, &walk);
	walk_reads(&walk, 512);
	walk_reads(&walk, 4096);
	(void)!ext4_lookup(walk.fs, EXT4_ROOT_INO, "s/l", &ino);
	(void)!ext4_lookup(walk.fs, EXT4_ROOT_INO, "l/../n/f", &ino);
	ext4_close(walk.fs);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct source src;

	if (size > IMAGE_MAX)
		return 0;
	source_init_memory(&src, span_of(data, size));
	walk_image(&src);
	if (size < 4096)
		return 0;
	uint8_t *copy = malloc(size);
	require(copy != NULL);
	memcpy(copy, data, size);
	fix_checksums(copy, size);
	source_init_memory(&src, span_of(copy, size));
	walk_image(&src);
	free(copy);
	return 0;
}

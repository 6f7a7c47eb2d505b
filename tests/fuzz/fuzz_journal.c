// SPDX-License-Identifier: Apache-2.0
/*
 * Fuzzes the journal of an ext filesystem: an image as it is, and once more with the checksums of
 * the journal's blocks made right, so that what they guard is reached. Whatever stands there, the
 * overlay is the image but for the blocks that are said to be newer, and those are what is read of
 * them one by one.
 */
#include <errno.h>
#include <ext2fs/ext2fs.h>
#include <stdlib.h>

#include "format/ext4/ext4_journal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define IMAGE_MAX (256 * 1024) /* bytes */
#define BLOCK_MAX 65536	       /* bytes */

static void require(bool ok)
{
	if (!ok)
		abort();
}

struct check {
	struct ext4_info fs;
	struct ext4_journal_info info;
	uint64_t nr_problems;
};

static int on_problem(const struct ext4_journal_problem *problem, void *ctx)
{
	struct check *check = ctx;

	check->nr_problems++;
	require(problem->kind <= EXT4_JOURNAL_UNREADABLE);
	require(problem->physical < check->fs.size);
	require(problem->journal_block < check->info.nr_journal || problem->journal_block == 0);
	return 0;
}

static int on_entry(struct span name, uint32_t ino, unsigned type, void *ctx)
{
	(void)name, (void)ino, (void)type, (void)ctx;
	return 0;
}

/* Each block, by itself and through the overlay. */
static void check_blocks(struct ext4_journal *j, struct source *src, const struct check *check)
{
	static uint8_t ours[BLOCK_MAX], theirs[BLOCK_MAX];
	uint64_t len = check->fs.block_size, size, nr_found = 0;
	struct source overlay;
	uint32_t at;

	require(source_size(src, &size) == 0);
	require(ext4_journal_source(j, src, &overlay) == 0);
	for (uint64_t block = 0; (block + 1) * len <= size; block++) {
		int r = ext4_journal_read(j, block, ours);
		require(r == 0 || r == EXT4_JOURNAL_NEWER);
		require(ext4_journal_find(j, block, &at) == (r ? 0 : -ENOENT));
		if (r)
			require(at > 0 && at < check->info.nr_journal);
		else
			require(source_read_exact(src, block * len, ours, len) == 0);
		require(source_read_exact(&overlay, block * len, theirs, len) == 0);
		require(memcmp(ours, theirs, len) == 0);
		nr_found += (uint64_t)r;
	}
	require(nr_found == check->info.nr_blocks);
	for (uint64_t off = 0; off + 1500 <= size; off += 4001)
		require(source_read_exact(&overlay, off, theirs, 1500) == 0);
	struct ext4 *fs;
	if (ext4_open(&overlay, &fs) == 0)
		(void)!ext4_list_dir(fs, EXT4_ROOT_INO, on_entry, NULL);
	ext4_close(fs);
	source_close(&overlay);
}

static void walk_image(struct source *src)
{
	struct check check = { .nr_problems = 0 };
	struct ext4_journal *j;
	struct ext4 *fs;

	if (ext4_open(src, &fs))
		return;
	ext4_get_info(fs, &check.fs);
	int r = ext4_journal_open(fs, &j);
	require((r == 0) == (j != NULL));
	require(r == 0 || r == -ENOENT || r == -EOPNOTSUPP || r == -EBADMSG ||
		r == -EPROTONOSUPPORT);
	if (r == 0) {
		ext4_journal_get_info(j, &check.info);
		require(ext4_journal_each_problem(j, on_problem, &check) == 0);
		require(check.nr_problems == check.info.nr_problems);
		require(check.info.end_sequence ==
			check.info.start_sequence + check.info.nr_transactions);
		check_blocks(j, src, &check);
	}
	ext4_journal_close(j);
	ext4_close(fs);
}

/* ---- checksums ---- */

static uint32_t load_be32(const uint8_t *bytes)
{
	uint32_t value;

	memcpy(&value, bytes, sizeof(value));
	return be32toh(value);
}

static void store_be32(uint8_t *bytes, uint32_t value)
{
	value = htobe32(value);
	memcpy(bytes, &value, sizeof(value));
}

static void fix_word(uint8_t *bytes, size_t len, uint32_t seed, size_t at)
{
	store_be32(bytes + at, 0);
	store_be32(bytes + at, ext2fs_crc32c_le(seed, bytes, len));
}

/* Of every KiB that looks like a block of a journal; the seed is that of the superblock before. */
static void fix_checksums(uint8_t *image, size_t size)
{
	uint32_t seed = 0;

	for (size_t off = 0; off + 1024 <= size; off += 1024) {
		uint8_t *block = image + off;
		uint32_t type = load_be32(block + 4);
		if (load_be32(block) != 0xc03b3998)
			continue;
		if (type == 4) {
			seed = ext2fs_crc32c_le(UINT32_MAX, block + 0x30, 16);
			fix_word(block, 1024, UINT32_MAX, 0xfc);
		} else {
			fix_word(block, 1024, seed, type == 2 ? 0x10 : 1020);
		}
	}
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

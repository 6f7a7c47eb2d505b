// SPDX-License-Identifier: Apache-2.0
/*
 * Fuzzes ext4_check: an image as it is, and once more with the checksums of superblock, group
 * descriptors and inodes made right; with the books and without, opened by whatever superblock is good.
 * Whatever the image says: the check ends, problems lie in the filesystem, inodes ascend, and no more
 * is told than there are things to tell of.
 */
#include <errno.h>
#include <stdlib.h>

#include "format/ext4/ext4_check.h"
#include "fuzz/ext4_sums.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define IMAGE_MAX (512 * 1024) /* bytes */

static void require(bool ok)
{
	if (!ok)
		abort();
}

struct told {
	struct ext4_info info;
	uint64_t nr, nr_inodes;
	uint32_t last_ino;
};

static int on_problem(const struct ext4_problem *problem, void *ctx)
{
	struct told *told = ctx;

	told->nr++;
	require(ext4_object_name(problem->object) && problem->what && problem->error < 0);
	require(problem->ino <= told->info.nr_inodes);
	if (problem->off == UINT64_MAX)
		require(problem->len == 0);
	else
		require(problem->len <= told->info.size &&
			problem->off <= told->info.size - problem->len);
	return 0;
}

static int on_inode(const struct ext4_inode *inode, void *ctx)
{
	struct told *told = ctx;

	require(inode->ino > told->last_ino && inode->ino <= told->info.nr_inodes);
	told->last_ino = inode->ino;
	told->nr_inodes++;
	return 0;
}

static void check_image(struct source *src, bool books)
{
	struct ext4_check_options options = { .books = books };
	struct told told = { .nr = 0 };
	struct ext4_check_events events = { on_problem, on_inode, &told };
	struct ext4_error_record record;
	struct ext4_check_stats stats;
	struct ext4 *fs;
	uint64_t block;
	int error;

	int r = ext4_open_any(src, &fs, &block, &error);
	require((r == 0) == (fs != NULL));
	if (r)
		return;
	/* By the primary as it is, where no backup is good. */
	require(block == 0 || error);
	ext4_get_error_record(fs, &record);
	require(record.first_function[32] == 0 && record.last_function[32] == 0);
	ext4_get_info(fs, &told.info);
	require(told.info.nr_inodes <= told.info.size / told.info.inode_size);
	require(ext4_check(fs, &options, &events, &stats) == 0);
	require(stats.problems == told.nr && stats.inodes >= told.nr_inodes);
	/* Each inode, entry, block and group is told of a few times at most. */
	require(told.nr <= 4 * (told.info.nr_inodes + told.info.size / 12));
	ext4_close(fs);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct source src;

	if (size > IMAGE_MAX)
		return 0;
	source_init_memory(&src, span_of(data, size));
	check_image(&src, true);
	check_image(&src, false);
	if (size < 4096)
		return 0;
	uint8_t *copy = malloc(size);
	require(copy != NULL);
	memcpy(copy, data, size);
	fix_checksums(copy, size);
	source_init_memory(&src, span_of(copy, size));
	check_image(&src, true);
	free(copy);
	return 0;
}

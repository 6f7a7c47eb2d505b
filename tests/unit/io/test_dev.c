// SPDX-License-Identifier: Apache-2.0
/*
 * What the kernel says about devices and files: sizes, alignment, the node of a device, and the
 * extents of a file. Where the machine has no block device to ask about, the test says so.
 */
#include "suites.h"

#include <CUnit/CUnit.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "io/dev.h"
#include "skip.h"
#include "support/room.h"

enum { PIECE = 65536 };

/* A file of two written pieces with a hole between them. */
static int sparse_file(char dir[ROOM_DIR_SIZE])
{
	static uint8_t piece[PIECE];
	char path[ROOM_DIR_SIZE + 8];

	CU_ASSERT_EQUAL_FATAL(room_make("dev", dir), 0);
	(void)snprintf(path, sizeof(path), "%s/file", dir);
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	CU_ASSERT_TRUE_FATAL(fd >= 0);
	memset(piece, 7, sizeof(piece));
	CU_ASSERT_EQUAL(pwrite(fd, piece, PIECE, 0), PIECE);
	CU_ASSERT_EQUAL(pwrite(fd, piece, PIECE, 10 * PIECE), PIECE);
	CU_ASSERT_EQUAL(fsync(fd), 0);
	return fd;
}

static void tells_size_and_alignment_of_a_file(void)
{
	struct dev_limits limits;
	char dir[ROOM_DIR_SIZE];
	uint32_t sector;
	uint64_t size;

	int fd = sparse_file(dir);
	CU_ASSERT_EQUAL(dev_size(fd, &size), 0);
	CU_ASSERT_EQUAL(size, 11 * PIECE);
	CU_ASSERT_EQUAL(dev_sector_size(fd, &sector), 0);
	CU_ASSERT_TRUE(sector >= 1 && sector <= PIECE && (sector & (sector - 1)) == 0);
	CU_ASSERT_EQUAL(dev_get_limits(fd, &limits), 0);
	CU_ASSERT_EQUAL(limits.logical_sector, 0);
	CU_ASSERT_FALSE(limits.read_only);
	(void)close(fd);
	CU_ASSERT_EQUAL(room_remove(dir), 0);
}

static void refuses_what_is_neither_file_nor_device(void)
{
	struct dev_limits limits;
	uint32_t sector;
	uint64_t size;

	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	CU_ASSERT_TRUE_FATAL(fd >= 0);
	CU_ASSERT_EQUAL(dev_size(fd, &size), -EINVAL);
	CU_ASSERT_EQUAL(dev_sector_size(fd, &sector), -EINVAL);
	CU_ASSERT_EQUAL(dev_get_limits(fd, &limits), -EINVAL);
	(void)close(fd);
	CU_ASSERT_EQUAL(dev_size(-1, &size), -EBADF);
	CU_ASSERT_EQUAL(dev_sector_size(-1, &sector), -EBADF);
	CU_ASSERT_EQUAL(dev_get_limits(-1, &limits), -EBADF);
	CU_ASSERT_EQUAL(dev_map_file(-1, NULL, NULL), -EBADF);
}

/* The first block device that sysfs knows and that has a node. */
static bool any_device(uint64_t *ret_dev, char node[512])
{
	DIR *list = opendir("/sys/dev/block");
	bool found = false;
	const struct dirent *entry;

	while (list && !found && (entry = readdir(list))) {
		char *end;
		unsigned long major_nr = strtoul(entry->d_name, &end, 10);
		if (end == entry->d_name || *end != ':')
			continue;
		*ret_dev = (uint64_t)major_nr << 32 | strtoul(end + 1, NULL, 10);
		found = dev_find(*ret_dev, node, 512) == 0;
	}
	if (list)
		(void)closedir(list);
	return found;
}

static void finds_the_node_of_a_device(void)
{
	char node[512], small[8];
	struct stat st;
	uint64_t dev;

	if (!any_device(&dev, node)) {
		test_skip("no block device with a node");
		return;
	}
	CU_ASSERT_EQUAL(stat(node, &st), 0);
	CU_ASSERT_TRUE(S_ISBLK(st.st_mode));
	CU_ASSERT_EQUAL((uint64_t)major(st.st_rdev) << 32 | minor(st.st_rdev), dev);
	CU_ASSERT_EQUAL(dev_find(dev, small, sizeof(small)), -ENAMETOOLONG);
}

static void knows_no_node_of_what_is_no_device(void)
{
	uint32_t number;
	char node[512];

	CU_ASSERT_EQUAL(dev_find_partition(0, &number), -ENOENT);
	CU_ASSERT_EQUAL(dev_find_image(0, node, sizeof(node)), -ENOENT);
	CU_ASSERT_EQUAL(dev_find(0, node, sizeof(node)), -ENOENT);
	CU_ASSERT_EQUAL(dev_find(UINT64_MAX, node, sizeof(node)), -ENOENT);
}

struct extents {
	uint64_t end;	/* of the last one */
	uint64_t first; /* offset of the last one */
	unsigned nr;
	int stop;
};

static int on_extent(uint64_t logical, uint64_t physical, uint64_t len, uint32_t flags, void *ctx)
{
	struct extents *e = ctx;

	(void)physical, (void)flags;
	CU_ASSERT_TRUE(logical >= e->end && len > 0);
	e->first = logical;
	e->end = logical + len;
	e->nr++;
	return e->stop;
}

static void maps_a_file_with_a_hole(void)
{
	struct extents seen = { 0 }, stopped = { .stop = 42 };
	char dir[ROOM_DIR_SIZE];

	int fd = sparse_file(dir);
	int r = dev_map_file(fd, on_extent, &seen);
	if (r == -EOPNOTSUPP) {
		test_skip("the filesystem has no FIEMAP");
	} else {
		CU_ASSERT_EQUAL(r, 0);
		CU_ASSERT_TRUE(seen.nr >= 2);
		CU_ASSERT_TRUE(seen.first >= PIECE && seen.end >= 11 * PIECE);
		CU_ASSERT_EQUAL(dev_map_file(fd, on_extent, &stopped), 42);
		CU_ASSERT_EQUAL(stopped.nr, 1);
	}
	(void)close(fd);
	CU_ASSERT_EQUAL(room_remove(dir), 0);
}

/* More extents than one call gives. */
static void maps_a_file_of_many_pieces(void)
{
	struct extents seen = { 0 };
	char dir[ROOM_DIR_SIZE];

	int fd = sparse_file(dir);
	for (int i = 1; i <= 300; i++)
		CU_ASSERT_EQUAL(pwrite(fd, dir, 1, (10 + 2 * i) * PIECE), 1);
	CU_ASSERT_EQUAL(fsync(fd), 0);
	int r = dev_map_file(fd, on_extent, &seen);
	if (r == -EOPNOTSUPP) {
		test_skip("the filesystem has no FIEMAP");
	} else {
		CU_ASSERT_EQUAL(r, 0);
		CU_ASSERT_TRUE(seen.nr >= 302);
		CU_ASSERT_TRUE(seen.first >= (uint64_t)610 * PIECE - PIECE);
	}
	(void)close(fd);
	CU_ASSERT_EQUAL(room_remove(dir), 0);
}

static const struct test_case cases[] = {
	CASE(tells_size_and_alignment_of_a_file),
	CASE(refuses_what_is_neither_file_nor_device),
	CASE(finds_the_node_of_a_device),
	CASE(knows_no_node_of_what_is_no_device),
	CASE(maps_a_file_with_a_hole),
	CASE(maps_a_file_of_many_pieces),
};

const struct test_suite suite_io_dev = { "io/dev", cases, array_size(cases) };

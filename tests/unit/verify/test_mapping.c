// SPDX-License-Identifier: Apache-2.0
/*
 * Mapping: one number for one set of places, however they are told; another one as soon as anything
 * moved. What FIEMAP says of a mounted file and what its inode says on the disk is the same number.
 */
#include "suites.h"

#include <CUnit/CUnit.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "format/ext4/ext4.h"
#include "verify/mapping.h"
#include "verify_disk.h"

#define KIB UINT64_C(1024)

struct told {
	uint64_t logical, physical, len;
	bool unwritten;
};

static uint32_t mapping_of(uint64_t size, const struct told *told, size_t nr)
{
	struct mapping mapping;

	mapping_begin(&mapping, size);
	for (size_t i = 0; i < nr; i++)
		mapping_add(&mapping, told[i].logical, told[i].physical, told[i].len,
			    told[i].unwritten);
	return mapping_end(&mapping);
}

#define MAPPING(size, ...)                                                                         \
	mapping_of(size, (const struct told[]){ __VA_ARGS__ },                                     \
		   sizeof((const struct told[]){ __VA_ARGS__ }) / sizeof(struct told))

static void is_the_same_however_the_places_are_told(void)
{
	uint32_t whole = MAPPING(12 * KIB, { 0, 100 * KIB, 12 * KIB, false });

	CU_ASSERT_NOT_EQUAL(whole, 0);
	CU_ASSERT_EQUAL(whole, MAPPING(12 * KIB, { 0, 100 * KIB, 4 * KIB, false },
				       { 4 * KIB, 104 * KIB, 8 * KIB, false }));
	CU_ASSERT_EQUAL(whole, MAPPING(12 * KIB, { 0, 100 * KIB, 4 * KIB, false },
				       { 4 * KIB, 104 * KIB, 4 * KIB, false },
				       { 8 * KIB, 108 * KIB, 4 * KIB, false }));
	/* What lies behind the end does not count: one side tells whole blocks. */
	CU_ASSERT_EQUAL(whole, MAPPING(12 * KIB, { 0, 100 * KIB, 64 * KIB, false }));
	CU_ASSERT_EQUAL(whole, MAPPING(12 * KIB, { 0, 100 * KIB, 12 * KIB, false },
				       { 12 * KIB, 500 * KIB, 4 * KIB, false }));
	CU_ASSERT_EQUAL(whole, MAPPING(12 * KIB, { 0, 100 * KIB, 12 * KIB, false },
				       { 16 * KIB, 500 * KIB, 4 * KIB, true }));
	CU_ASSERT_EQUAL(MAPPING(5000, { 0, 100 * KIB, 5000, false }),
			MAPPING(5000, { 0, 100 * KIB, 8 * KIB, false }));
	/* Nothing is stored: a number all the same. */
	CU_ASSERT_NOT_EQUAL(mapping_of(0, NULL, 0), 0);
	CU_ASSERT_EQUAL(mapping_of(12 * KIB, NULL, 0), mapping_of(4 * KIB, NULL, 0));
}

static void is_another_when_anything_moved(void)
{
	uint32_t two = MAPPING(12 * KIB, { 0, 100 * KIB, 4 * KIB, false },
			       { 4 * KIB, 200 * KIB, 8 * KIB, false });
	const uint32_t others[] = {
		MAPPING(12 * KIB, { 0, 100 * KIB, 12 * KIB, false }),
		MAPPING(12 * KIB, { 0, 101 * KIB, 4 * KIB, false },
			{ 4 * KIB, 200 * KIB, 8 * KIB, false }),
		MAPPING(12 * KIB, { 0, 100 * KIB, 4 * KIB, false },
			{ 4 * KIB, 201 * KIB, 8 * KIB, false }),
		MAPPING(12 * KIB, { 0, 100 * KIB, 8 * KIB, false },
			{ 8 * KIB, 200 * KIB, 4 * KIB, false }),
		MAPPING(12 * KIB, { 0, 100 * KIB, 4 * KIB, false }),
		MAPPING(12 * KIB, { 4 * KIB, 200 * KIB, 8 * KIB, false }),
		MAPPING(12 * KIB, { 0, 100 * KIB, 4 * KIB, true },
			{ 4 * KIB, 200 * KIB, 8 * KIB, false }),
		MAPPING(12 * KIB, { 0, 100 * KIB, 4 * KIB, false },
			{ 4 * KIB, 200 * KIB, 8 * KIB, true }),
		MAPPING(11 * KIB, { 0, 100 * KIB, 4 * KIB, false },
			{ 4 * KIB, 200 * KIB, 8 * KIB, false }),
		MAPPING(12 * KIB, { 0, 200 * KIB, 4 * KIB, false },
			{ 4 * KIB, 100 * KIB, 8 * KIB, false }),
		MAPPING(12 * KIB, { 0, UINT64_MAX, 4 * KIB, false },
			{ 4 * KIB, 200 * KIB, 8 * KIB, false }),
	};

	for (size_t i = 0; i < array_size(others); i++) {
		CU_ASSERT_NOT_EQUAL(others[i], two);
		CU_ASSERT_NOT_EQUAL(others[i], 0);
	}
}

/* ---- the two who tell of one file ---- */

struct asked {
	uint64_t size;
	uint32_t mapping;
	size_t nr_extents;
};

static int on_inode(const struct ext4_inode *inode, int error, void *ctx)
{
	struct asked *asked = ctx;
	struct mapping mapping;

	CU_ASSERT_EQUAL(error, 0);
	asked->size = inode->size;
	asked->nr_extents = inode->nr_extents;
	mapping_begin(&mapping, inode->size);
	for (size_t i = 0; i < inode->nr_extents; i++)
		mapping_add(&mapping, inode->extents[i].logical, inode->extents[i].physical,
			    inode->extents[i].len, inode->extents[i].unwritten);
	asked->mapping = mapping_end(&mapping);
	return 0;
}

static void check_both(const struct disk *disk, struct ext4 *fs, const char *name)
{
	char path[ROOM_DIR_SIZE + 32];
	struct asked asked = { 0 };
	uint32_t ino;

	(void)snprintf(path, sizeof(path), "%s/%s", disk->mount, name);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	CU_ASSERT_TRUE_FATAL(fd >= 0);
	CU_ASSERT_EQUAL_FATAL(ext4_lookup(fs, EXT4_ROOT_INO, name, &ino), 0);
	CU_ASSERT_EQUAL(ext4_read_inode(fs, ino, on_inode, &asked), 0);
	uint32_t mapping = mapping_of_file(fd, asked.size);
	if (mapping != asked.mapping)
		(void)fprintf(stderr, "%s: %08x by the kernel, %08x by its inode, %zu extents\n", name,
			      mapping, asked.mapping, asked.nr_extents);
	CU_ASSERT_EQUAL(mapping, asked.mapping);
	CU_ASSERT_NOT_EQUAL(mapping, 0);
	(void)close(fd);
}

/* Files of every shape: in pieces, with holes, with blocks that were never written. */
static const char make_files[] =
	"head -c 1 /dev/urandom >one && head -c 5000 /dev/urandom >small && : >empty &&"
	" head -c 3000000 /dev/urandom >large && truncate -s 9999999 large_and_hole &&"
	" truncate -s 100000 hole && cp large sparse && truncate -s 8000000 sparse &&"
	" for i in 1 5 9 700; do dd if=small of=pieces bs=4096 count=1 seek=$i conv=notrunc;"
	" dd if=small of=sparse bs=4096 count=1 seek=$((i + 900)) conv=notrunc; done;"
	" for i in $(seq 0 2 60); do dd if=small of=many bs=4096 count=1 seek=$i conv=notrunc;"
	" sync -f .; done;"
	" fallocate -l 300000 unwritten; fallocate -l 300000 partly;"
	" dd if=small of=partly bs=4096 count=1 seek=10 conv=notrunc;"
	" fallocate -n -l 4000000 behind || : >behind; dd if=small of=behind conv=notrunc; sync -f .";

static void is_told_the_same_by_the_kernel_and_by_the_inode(void)
{
	static const char *const options[] = { "-t ext4", "-t ext4 -b 1024", "-t ext3",
					       "-t ext4 -O bigalloc -C 16384" };
	static const char *const names[] = { "one",  "small", "empty",	   "large",  "large_and_hole",
					     "hole", "pieces", "sparse", "many",   "unwritten",
					     "partly", "behind" };
	char room[ROOM_DIR_SIZE];
	struct source src;
	struct disk disk;
	struct ext4 *fs;

	for (size_t i = 0; i < array_size(options); i++) {
		CU_ASSERT_EQUAL_FATAL(room_make("mapping", room), 0);
		if (!disk_make(&disk, room, options[i], "64M") || !disk_mount(&disk, "rw")) {
			CU_ASSERT_EQUAL(room_remove(room), 0);
			return;
		}
		/* ext3 has no blocks that were never written: a failure of fallocate is none of ours. */
		(void)disk_run("cd %s && %s", disk.mount, make_files);
		CU_ASSERT_EQUAL(disk_run("cd %s && touch unwritten partly behind && sync -f .",
					 disk.mount),
				0);
		disk_unmount(&disk);
		if (!disk_mount(&disk, "ro"))
			return;
		CU_ASSERT_EQUAL_FATAL(source_open_device(&src, disk.image), 0);
		CU_ASSERT_EQUAL_FATAL(ext4_open(&src, &fs), 0);
		for (size_t j = 0; j < array_size(names); j++)
			check_both(&disk, fs, names[j]);
		ext4_close(fs);
		source_close(&src);
		disk_unmount(&disk);
		CU_ASSERT_EQUAL(room_remove(room), 0);
	}
}

static void is_not_known_where_nobody_tells(void)
{
	int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);

	CU_ASSERT_TRUE_FATAL(fd >= 0);
	CU_ASSERT_EQUAL(mapping_of_file(fd, 100), 0);
	CU_ASSERT_EQUAL(mapping_of_file(-1, 100), 0);
	(void)close(fd);
}

static const struct test_case cases[] = {
	CASE(is_the_same_however_the_places_are_told),
	CASE(is_another_when_anything_moved),
	CASE(is_told_the_same_by_the_kernel_and_by_the_inode),
	CASE(is_not_known_where_nobody_tells),
};

const struct test_suite suite_verify_mapping = { "verify/mapping", cases, array_size(cases) };

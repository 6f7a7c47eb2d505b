// SPDX-License-Identifier: Apache-2.0
/*
 * Sectors: which parts of a message a disk cannot give, where they are, and how that is said. The disk
 * is an image whose source refuses some of its sectors: no disk need be bad.
 */
#include "suites.h"

#include <CUnit/CUnit.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "verify/sectors.h"
#include "verify_disk.h"

#define SECTOR 512u
#define NR 600u /* sectors of the message; it ends 100 bytes into the last one */
#define LEN ((uint64_t)(NR - 1) * SECTOR + 100)

struct rig {
	char room[ROOM_DIR_SIZE];
	struct disk disk;
	struct image *image;
	struct dir dir;
	struct source inner;
	uint64_t at; /* of the message in the image; it lies in one run */
	int bad[NR]; /* a negative errno for each sector of it */
	unsigned nr_reads;
};

static struct rig rig;

static int on_read(struct source *src, uint64_t off, void *buf, uint64_t len, uint64_t *ret_n)
{
	(void)src;
	rig.nr_reads++;
	for (unsigned i = 0; i < NR; i++) {
		uint64_t at = rig.at + (uint64_t)i * SECTOR;
		if (rig.bad[i] && off < at + SECTOR && at < off + len)
			return rig.bad[i];
	}
	return rig.inner.ops->read(&rig.inner, off, buf, len, ret_n);
}

static int on_size(struct source *src, uint64_t *ret_size)
{
	(void)src;
	return source_size(&rig.inner, ret_size);
}

static void on_close(struct source *src)
{
	(void)src;
	source_close(&rig.inner);
}

static const struct source_ops bad_ops = { .read = on_read, .size = on_size, .close = on_close };

static int on_inode(const struct ext4_inode *inode, int error, void *ctx)
{
	(void)ctx;
	CU_ASSERT_EQUAL_FATAL(error, 0);
	CU_ASSERT_EQUAL_FATAL(inode->size, LEN);
	CU_ASSERT_EQUAL_FATAL(inode->nr_extents, 1);
	rig.at = inode->extents[0].physical;
	return 0;
}

/* The message is "1." in the root of an image. False: the test is skipped. */
static bool rig_make(void)
{
	char options[ROOM_DIR_SIZE + 64];
	struct file_identity identity;

	rig = (struct rig){ .dir = DIR_NULL };
	CU_ASSERT_EQUAL_FATAL(room_make("sectors", rig.room), 0);
	CU_ASSERT_EQUAL_FATAL(disk_run("mkdir %s/tree && head -c %u /dev/urandom >%s/tree/1. &&"
				       " : >%s/tree/2. && mkdir %s/tree/3.",
				       rig.room, (unsigned)LEN, rig.room, rig.room, rig.room),
			      0);
	(void)snprintf(options, sizeof(options), "-t ext4 -b 1024 -d %s/tree", rig.room);
	if (!disk_make(&rig.disk, rig.room, options, "8M")) {
		CU_ASSERT_EQUAL(room_remove(rig.room), 0);
		return false;
	}
	CU_ASSERT_EQUAL_FATAL(image_open(rig.disk.image, "/srv", NULL, &rig.image), 0);
	CU_ASSERT_EQUAL_FATAL(dir_open(&rig.dir, rig.image, "/srv", "."), 0);
	CU_ASSERT_EQUAL_FATAL(dir_identify(&rig.dir, "1.", &identity), 0);
	struct volume *volume = rig.image->volume;
	CU_ASSERT_EQUAL_FATAL(ext4_read_inode(volume->fs, (uint32_t)identity.ino, on_inode, NULL), 0);
	volume->sector = SECTOR;
	rig.inner = volume->source;
	volume->source = (struct source){ .ops = &bad_ops, .fd = -1 };
	return true;
}

static void rig_end(void)
{
	dir_close(&rig.dir);
	image_close(take(rig.image));
	CU_ASSERT_EQUAL(room_remove(rig.room), 0);
}

static void find(struct sectors *sectors)
{
	CU_ASSERT_EQUAL(sectors_find(&rig.dir, "1.", sectors), 0);
	CU_ASSERT_STRING_EQUAL(sectors->disk, rig.disk.image);
}

static void check_range(const struct sectors *sectors, unsigned i, unsigned first, unsigned nr,
			int error)
{
	const struct sector_range *range = &sectors->ranges[i];
	uint64_t end = min_of((uint64_t)(first + nr) * SECTOR, LEN);

	CU_ASSERT_EQUAL(range->off, (uint64_t)first * SECTOR);
	CU_ASSERT_EQUAL(range->len, end - range->off);
	CU_ASSERT_EQUAL(range->at, rig.at + range->off);
	CU_ASSERT_EQUAL(range->error, error);
}

/* Unreadable twice, and now all of it can be read: that is no range, and no failure. */
static void finds_nothing_when_the_third_attempt_succeeds(void)
{
	struct sectors sectors = { .nr = 7 };
	struct buf b = BUF_NULL;

	if (!rig_make())
		return;
	find(&sectors);
	CU_ASSERT_EQUAL(sectors.nr + sectors.nr_all + sectors.bytes_all, 0);
	CU_ASSERT_TRUE(rig.nr_reads < 20); /* whole pieces */
	sectors_add_text(&b, &sectors, 8);
	CU_ASSERT_EQUAL(b.len, 0);
	CU_ASSERT_EQUAL(sectors_find(&rig.dir, "2.", &sectors), 0); /* there is nothing in it */
	CU_ASSERT_EQUAL(sectors.nr_all, 0);
	buf_fini(&b);
	rig_end();
}

static void tells_ranges_and_where_they_are(void)
{
	struct sectors sectors;

	if (!rig_make())
		return;
	/* Sectors side by side are one range, unless they fail in different ways. */
	rig.bad[0] = rig.bad[5] = rig.bad[6] = rig.bad[7] = -EIO;
	rig.bad[8] = -EILSEQ;
	rig.bad[10] = rig.bad[NR - 1] = -EIO;
	find(&sectors);
	CU_ASSERT_EQUAL_FATAL(sectors.nr, 5);
	CU_ASSERT_EQUAL(sectors.nr_all, 5);
	check_range(&sectors, 0, 0, 1, -EIO);
	check_range(&sectors, 1, 5, 3, -EIO);
	check_range(&sectors, 2, 8, 1, -EILSEQ);
	check_range(&sectors, 3, 10, 1, -EIO);
	check_range(&sectors, 4, NR - 1, 1, -EIO); /* to the end of the file */
	CU_ASSERT_EQUAL(sectors.bytes_all, 6 * SECTOR + 100);
	rig_end();
}

static void tells_that_nothing_can_be_read(void)
{
	struct sectors sectors;

	if (!rig_make())
		return;
	for (unsigned i = 0; i < NR; i++)
		rig.bad[i] = -EIO;
	find(&sectors);
	CU_ASSERT_EQUAL_FATAL(sectors.nr, 1);
	check_range(&sectors, 0, 0, NR, -EIO);
	CU_ASSERT_EQUAL(sectors.bytes_all, LEN);
	rig_end();
}

/* What is not kept is counted all the same: by ranges, not by sectors. */
static void counts_ranges_that_are_not_kept(void)
{
	struct sectors sectors;
	unsigned nr = 0, nr_bad = 0;

	if (!rig_make())
		return;
	for (unsigned i = 0; i + 5 < NR; i += 5, nr++)
		for (unsigned j = 0; j < 3; j++, nr_bad++)
			rig.bad[i + j] = -EIO;
	find(&sectors);
	CU_ASSERT_TRUE(nr > SECTORS_MAX);
	CU_ASSERT_EQUAL_FATAL(sectors.nr, SECTORS_MAX);
	CU_ASSERT_EQUAL(sectors.nr_all, nr);
	CU_ASSERT_EQUAL(sectors.bytes_all, (uint64_t)nr_bad * SECTOR);
	for (unsigned i = 0; i < SECTORS_MAX; i++)
		check_range(&sectors, i, i * 5, 3, -EIO);
	rig_end();
}

static void says_what_prevented_it(void)
{
	struct sectors sectors;

	if (!rig_make())
		return;
	CU_ASSERT_EQUAL(sectors_find(&rig.dir, "9.", &sectors), -ENOENT);
	CU_ASSERT_EQUAL(sectors_find(&rig.dir, "3.", &sectors), -EINVAL);
	rig.bad[3] = -ENODEV; /* it has gone: nothing more can be found out */
	CU_ASSERT_EQUAL(sectors_find(&rig.dir, "1.", &sectors), -ENODEV);
	rig.bad[3] = -ENOMEM;
	CU_ASSERT_EQUAL(sectors_find(&rig.dir, "1.", &sectors), -ENOMEM);
	rig_end();
}

/* A message on a mounted filesystem can be read: its places are told by the kernel. */
static void reads_a_message_of_this_host(void)
{
	char room[ROOM_DIR_SIZE];
	struct sectors sectors;
	struct dir dir;

	CU_ASSERT_EQUAL_FATAL(room_make("sectors", room), 0);
	CU_ASSERT_EQUAL(disk_run("head -c 3000000 /dev/urandom >%s/1. && ln -s 1. %s/2.", room, room),
			0);
	CU_ASSERT_EQUAL_FATAL(dir_open(&dir, NULL, room, "."), 0);
	CU_ASSERT_EQUAL(sectors_find(&dir, "1.", &sectors), 0);
	CU_ASSERT_EQUAL(sectors.nr_all, 0);
	CU_ASSERT_EQUAL(sectors_find(&dir, "2.", &sectors), -ELOOP);
	CU_ASSERT_EQUAL(sectors_find(&dir, "3.", &sectors), -ENOENT);
	dir_close(&dir);
	CU_ASSERT_EQUAL(room_remove(room), 0);
}

/* ---- in words ---- */

static void check_said(const struct sectors *sectors, unsigned max, const char *text,
		       const char *record)
{
	struct buf a = BUF_NULL, b = BUF_NULL;

	sectors_add_text(&a, sectors, max);
	sectors_add_record(&b, sectors);
	CU_ASSERT_STRING_EQUAL(buf_str(&a), text);
	CU_ASSERT_STRING_EQUAL(buf_str(&b), record);
	buf_fini(&a);
	buf_fini(&b);
}

static void says_them_to_people_and_to_state(void)
{
	struct sectors sectors = {
		.disk = "/dev/sda",
		.ranges = { { 512, 512, 8216 * 512, -EIO },
			    { 4096, 8192, SECTORS_NOWHERE, -EILSEQ },
			    { UINT64_C(5) << 32, 1, 512, -12345 } },
		.nr = 3,
		.nr_all = 3,
	};

	check_said(&sectors, 8,
		   "bytes 512-1023 at LBA 8216 of /dev/sda (EIO); bytes 4096-12287 (EILSEQ); "
		   "bytes 21474836480-21474836480 at LBA 1 of /dev/sda (12345)",
		   "/dev/sda;512 512 8216 EIO;4096 8192 - EILSEQ;21474836480 1 1 12345");
	check_said(&sectors, 1, "bytes 512-1023 at LBA 8216 of /dev/sda (EIO); and 2 more",
		   "/dev/sda;512 512 8216 EIO;4096 8192 - EILSEQ;21474836480 1 1 12345");
	sectors.nr = 1;
	sectors.nr_all = 1;
	*sectors.disk = '\0';
	check_said(&sectors, 8, "bytes 512-1023 at LBA 8216 of its disk (EIO)",
		   "-;512 512 8216 EIO");
}

static const struct test_case cases[] = {
	CASE(finds_nothing_when_the_third_attempt_succeeds),
	CASE(tells_ranges_and_where_they_are),
	CASE(tells_that_nothing_can_be_read),
	CASE(counts_ranges_that_are_not_kept),
	CASE(says_what_prevented_it),
	CASE(reads_a_message_of_this_host),
	CASE(says_them_to_people_and_to_state),
};

const struct test_suite suite_verify_sectors = { "verify/sectors", cases, array_size(cases) };

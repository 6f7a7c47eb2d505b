// SPDX-License-Identifier: Apache-2.0
/*
 * Volume: from the number of a device, or from an image, to blocks that may be read; and each reason
 * why they may not, in words.
 */
#include "suites.h"

#include <CUnit/CUnit.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "io/dev.h"
#include "io/file.h"
#include "verify/volume.h"
#include "verify_disk.h"

struct rig {
	char room[ROOM_DIR_SIZE];
	struct disk disk;
};

static bool rig_make(struct rig *rig, const char *options, const char *size)
{
	CU_ASSERT_EQUAL_FATAL(room_make("volume", rig->room), 0);
	if (disk_make(&rig->disk, rig->room, options, size))
		return true;
	CU_ASSERT_EQUAL(room_remove(rig->room), 0);
	return false;
}

static void rig_end(struct rig *rig)
{
	disk_unmount(&rig->disk);
	CU_ASSERT_EQUAL(room_remove(rig->room), 0);
}

static uint64_t dev_of(const char *path)
{
	struct file_identity identity;

	CU_ASSERT_EQUAL_FATAL(file_identify(AT_FDCWD, path, &identity), 0);
	return identity.dev;
}

static void check_usable(const struct volume *volume, bool is_image)
{
	CU_ASSERT_PTR_NOT_NULL_FATAL(volume);
	if (!volume->usable)
		(void)fprintf(stderr, "not usable: %s\n", volume->why);
	CU_ASSERT_TRUE_FATAL(volume->usable);
	CU_ASSERT_EQUAL(volume->is_image, is_image);
	CU_ASSERT_STRING_EQUAL(volume->why, "");
	CU_ASSERT_TRUE(volume->fd >= 0 && volume->fs && volume->info.size > 0);
	CU_ASSERT_TRUE(volume->sector >= 512 && volume->sector % 512 == 0);
	/* A ring would be told to try again, for ever. */
	CU_ASSERT_EQUAL(fcntl(volume->fd, F_GETFL) & (O_NONBLOCK | O_ACCMODE), O_RDONLY);
}

static void check_not_usable(struct volume *volume, const char *part)
{
	CU_ASSERT_PTR_NOT_NULL_FATAL(volume);
	CU_ASSERT_FALSE(volume->usable);
	CU_ASSERT_PTR_NOT_NULL(strstr(volume->why, part));
	if (!strstr(volume->why, part))
		(void)fprintf(stderr, "wanted %s, got %s\n", part, volume->why);
	CU_ASSERT_TRUE(volume->fd < 0 && !volume->fs);
	volume_close(volume);
}

static void opens_an_image_and_leaves_no_trace(void)
{
	struct stat before, after;
	struct rig rig;

	volume_close(NULL);
	if (!rig_make(&rig, "-t ext4", "8M"))
		return;
	CU_ASSERT_EQUAL(disk_run("touch -a -d 2020-01-01 %s", rig.disk.image), 0);
	CU_ASSERT_EQUAL(stat(rig.disk.image, &before), 0);
	struct volume *volume = volume_open_image(rig.disk.image);
	check_usable(volume, true);
	CU_ASSERT_EQUAL(volume->dev, VOLUME_DEV_IMAGE);
	CU_ASSERT_EQUAL(volume->disk_dev, dev_of(rig.disk.image));
	CU_ASSERT_STRING_EQUAL(volume->device, rig.disk.image);
	uint8_t *block = NULL;
	CU_ASSERT_EQUAL_FATAL(posix_memalign((void **)&block, 4096, 4096), 0);
	CU_ASSERT_EQUAL(pread(volume->fd, block, 4096, 0), 4096);
	free(block);
	volume_close(volume);
	CU_ASSERT_EQUAL(stat(rig.disk.image, &after), 0);
	CU_ASSERT_EQUAL(memcmp(&before, &after, sizeof(before)), 0);
	rig_end(&rig);
}

/* Every read of blocks is a multiple of the sector: it must not go on behind the end of the file. */
static void reads_an_image_whose_end_is_in_the_middle_of_a_sector(void)
{
	char path[] = "/dev/shm/volume.XXXXXX";
	struct statfs fs;
	uint64_t size;
	uint32_t sector;

	if (statfs("/dev/shm", &fs) || fs.f_type != TMPFS_MAGIC) {
		test_skip("/dev/shm is no tmpfs, which wants pages");
		return;
	}
	int fd = mkstemp(path);
	CU_ASSERT_TRUE_FATAL(fd >= 0);
	if (disk_run("mke2fs -q -F -t ext4 -b 1024 %s 8191k", path)) {
		test_skip("mke2fs is missing");
	} else {
		struct volume *volume = volume_open_image(path);
		check_usable(volume, true);
		CU_ASSERT_EQUAL(dev_size(fd, &size), 0);
		CU_ASSERT_EQUAL(size, 8191 * 1024);
		CU_ASSERT_EQUAL(dev_sector_size(fd, &sector), 0);
		CU_ASSERT_EQUAL(volume->info.size % volume->sector, 0);
		CU_ASSERT_EQUAL(volume->direct, size % sector == 0);
		volume_close(volume);
	}
	(void)close(fd);
	CU_ASSERT_EQUAL(unlink(path), 0);
}

/* Opening a FIFO or a tape does something: what it is is looked at before. */
static void opens_nothing_that_is_neither_file_nor_device(void)
{
	char path[ROOM_DIR_SIZE + 16], name[300];
	struct rig rig;

	CU_ASSERT_EQUAL_FATAL(room_make("volume", rig.room), 0);
	(void)snprintf(path, sizeof(path), "%s/fifo", rig.room);
	CU_ASSERT_EQUAL(mkfifo(path, 0600), 0);
	int writer = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	CU_ASSERT_EQUAL(write(writer, "x", 1), 1);
	check_not_usable(volume_open_image(path), "cannot be opened");
	(void)close(writer);
	check_not_usable(volume_open_image("/dev/null"), "cannot be opened");
	check_not_usable(volume_open_image(rig.room), "cannot be opened");
	check_not_usable(volume_open_image(""), "cannot be opened");
	memset(name, 'x', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	check_not_usable(volume_open_image(name), "too long");
	CU_ASSERT_EQUAL(room_remove(rig.room), 0);
}

static void says_that_a_filesystem_has_no_device(void)
{
	check_not_usable(volume_open(dev_of("/proc")), "no block device");
	check_not_usable(volume_open(UINT64_C(0xfff) << 32 | 0xfffff), "no block device");
}

static void opens_the_device_of_a_mounted_filesystem(void)
{
	static const char *const options[] = { "rw", "ro", "ro,noload", "rw,data=ordered",
					       "rw,data=writeback" };
	struct rig rig;

	if (!rig_make(&rig, "-t ext4", "8M"))
		return;
	for (size_t i = 0; i < array_size(options); i++) {
		if (!disk_mount(&rig.disk, options[i]))
			break;
		struct volume *volume = volume_open(dev_of(rig.disk.mount));
		check_usable(volume, false);
		CU_ASSERT_EQUAL(volume->dev, dev_of(rig.disk.mount));
		CU_ASSERT_EQUAL(volume->disk_dev, volume->dev);
		CU_ASSERT_EQUAL(strncmp(volume->device, "/dev/", 5), 0);
		volume_close(volume);
		disk_unmount(&rig.disk);
	}
	rig_end(&rig);
}

static void refuses_a_filesystem_that_journals_data(void)
{
	struct rig rig;

	if (!rig_make(&rig, "-t ext4", "8M"))
		return;
	if (disk_mount(&rig.disk, "rw,data=journal")) {
		check_not_usable(volume_open(dev_of(rig.disk.mount)), "journals data");
		disk_unmount(&rig.disk);
		/* By its superblock as well. */
		CU_ASSERT_EQUAL(disk_run("tune2fs -o journal_data %s", rig.disk.image), 0);
		if (disk_mount(&rig.disk, "rw"))
			check_not_usable(volume_open(dev_of(rig.disk.mount)), "journals data");
	}
	rig_end(&rig);
}

static const struct test_case cases[] = {
	CASE(opens_an_image_and_leaves_no_trace),
	CASE(reads_an_image_whose_end_is_in_the_middle_of_a_sector),
	CASE(opens_nothing_that_is_neither_file_nor_device),
	CASE(says_that_a_filesystem_has_no_device),
	CASE(opens_the_device_of_a_mounted_filesystem),
	CASE(refuses_a_filesystem_that_journals_data),
};

const struct test_suite suite_verify_volume = { "verify/volume", cases, array_size(cases) };

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A disk: an ext4 filesystem in a file of a room, for tests that mount it or look into it. Mounting
 * needs root and loop devices; a test that cannot have them is skipped by disk_mount, by its name.
 */
#ifndef TESTS_UNIT_VERIFY_DISK_H
#define TESTS_UNIT_VERIFY_DISK_H

#include <CUnit/CUnit.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "skip.h"
#include "support/room.h"

struct disk {
	char image[ROOM_DIR_SIZE + 8];
	char mount[ROOM_DIR_SIZE + 8];
	bool mounted;
};

/* Runs a command of the shell, says nothing, returns its status. */
static inline int printf_like(1, 2) disk_run(const char *fmt, ...)
{
	char command[2048], whole[2200];
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(command, sizeof(command), fmt, args);
	va_end(args);
	(void)snprintf(whole, sizeof(whole), "PATH=$PATH:/usr/sbin:/sbin; exec >/dev/null 2>&1; %s",
		       command);
	int status = system(whole);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* `options` are those of mke2fs. False, and the test is skipped: there is no mke2fs. */
static inline bool disk_make(struct disk *disk, const char *room, const char *options,
			     const char *size)
{
	*disk = (struct disk){ .mounted = false };
	(void)snprintf(disk->image, sizeof(disk->image), "%s/image", room);
	(void)snprintf(disk->mount, sizeof(disk->mount), "%s/disk", room);
	CU_ASSERT_EQUAL_FATAL(mkdir(disk->mount, 0700), 0);
	if (disk_run("command -v mke2fs && command -v debugfs")) {
		test_skip("mke2fs or debugfs is missing");
		return false;
	}
	CU_ASSERT_EQUAL_FATAL(disk_run("mke2fs -q -F %s %s %s", options, disk->image, size), 0);
	return true;
}

/* False, and the test is skipped: that cannot be had here. */
static inline bool disk_mount(struct disk *disk, const char *options)
{
	int r = geteuid() == 0 ? -1 : 1;

	/* A loop device that was given up may take a moment. */
	for (int tries = 0; r < 0 && tries < 20; tries++) {
		if (disk_run("mount -o loop,%s %s %s", options, disk->image, disk->mount) == 0)
			r = 0;
		else
			clock_sleep_ns(NS_PER_S / 20);
	}
	if (r)
		test_skip(r > 0 ? "only root may mount" : "no loop device can be mounted");
	disk->mounted = r == 0;
	return disk->mounted;
}

static inline void disk_unmount(struct disk *disk)
{
	if (disk->mounted)
		CU_ASSERT_EQUAL(disk_run("umount %s", disk->mount), 0);
	disk->mounted = false;
}

#endif

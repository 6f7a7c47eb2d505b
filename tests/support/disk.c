// SPDX-License-Identifier: Apache-2.0
/*
 * Disks: everything that needs the rights of root is done by the programs that an administrator
 * would use.
 */
#include "support/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "io/dev.h"

#define DISKS_MAX 16

static char mounted[DISKS_MAX][320]; /* "" : free */

static void unmount_all(void)
{
	for (unsigned i = 0; i < DISKS_MAX; i++)
		if (*mounted[i])
			(void)umount2(mounted[i], MNT_DETACH);
}

static char *find_mounted(const char *dir)
{
	for (unsigned i = 0; i < DISKS_MAX; i++)
		if (strcmp(mounted[i], dir) == 0)
			return mounted[i];
	return NULL;
}

static void remember(const char *dir)
{
	static bool asked;
	char *free_place = find_mounted("");

	if (!asked)
		(void)atexit(unmount_all);
	asked = true;
	if (free_place)
		(void)snprintf(free_place, sizeof(mounted[0]), "%s", dir);
}

/* -ENOENT: there is no such program; -EIO: it says no. What it says is thrown away. */
static int run(const char *const argv[])
{
	int status;
	pid_t child = fork();

	if (child < 0)
		return -errno;
	if (child == 0) {
		int null = open("/dev/null", O_RDWR);
		(void)dup2(null, STDIN_FILENO);
		(void)dup2(null, STDOUT_FILENO);
		(void)dup2(null, STDERR_FILENO);
		(void)setenv("PATH", "/usr/sbin:/usr/bin:/sbin:/bin", 1);
		execvp(argv[0], (char *const *)argv);
		_exit(127);
	}
	if (waitpid(child, &status, 0) != child)
		return -ECHILD;
	if (!WIFEXITED(status))
		return -EIO;
	return WEXITSTATUS(status) == 0 ? 0 : WEXITSTATUS(status) == 127 ? -ENOENT : -EIO;
}

static int set_size(const char *image, unsigned mib)
{
	int fd = open(image, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	if (fd < 0)
		return -errno;
	int r = ftruncate(fd, (off_t)mib << 20) ? -errno : 0;
	(void)close(fd);
	return r;
}

int disk_make(struct disk *disk, const char *dir, unsigned mib)
{
	*disk = (struct disk){ .is_mounted = false };
	(void)snprintf(disk->image, sizeof(disk->image), "%s/disk.img", dir);
	(void)snprintf(disk->dir, sizeof(disk->dir), "%s/disk", dir);
	const char *const mkfs[] = { "mkfs.ext4",
				     "-q",
				     "-F",
				     "-b",
				     "4096",
				     "-E",
				     "lazy_itable_init=0,lazy_journal_init=0",
				     disk->image,
				     NULL };

	if (geteuid() != 0)
		return DISK_NONE;
	int r = mkdir(disk->dir, 0700) ? -errno : set_size(disk->image, mib);
	if (r == 0)
		r = run(mkfs);
	if (r == -ENOENT)
		return DISK_NONE;
	if (r)
		return r;
	return disk_mount(disk) ? DISK_NONE : 0;
}

int disk_mount(struct disk *disk)
{
	const char *const mount_it[] = { "mount",	 "-t",	      "ext4",	 "-o",
					 "loop,noatime", disk->image, disk->dir, NULL };
	int r = run(mount_it);

	disk->is_mounted = r == 0;
	if (r == 0)
		remember(disk->dir);
	return r;
}

int disk_unmount(struct disk *disk)
{
	char *place = find_mounted(disk->dir);

	if (umount2(disk->dir, 0))
		return -errno;
	disk->is_mounted = false;
	if (place)
		*place = '\0';
	return 0;
}

int disk_close(struct disk *disk)
{
	return disk->is_mounted ? disk_unmount(disk) : 0;
}

struct wanted_place {
	uint64_t off;
	uint64_t at; /* UINT64_MAX: not found */
};

static int on_extent(uint64_t logical, uint64_t physical, uint64_t len, uint32_t flags, void *ctx)
{
	struct wanted_place *wanted = ctx;

	(void)flags;
	if (wanted->off >= logical && wanted->off - logical < len)
		wanted->at = physical + (wanted->off - logical);
	return 0;
}

static int locate(const char *path, uint64_t off, uint64_t *ret_at)
{
	struct wanted_place wanted = { off, UINT64_MAX };
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	int r = fsync(fd) ? -errno : dev_map_file(fd, on_extent, &wanted);
	(void)close(fd);
	*ret_at = wanted.at;
	return r ? r : wanted.at == UINT64_MAX ? -ENODATA : 0;
}

static int flip_in_image(const char *image, uint64_t at)
{
	uint8_t byte;
	int fd = open(image, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	int r = pread(fd, &byte, 1, (off_t)at) == 1 ? 0 : -EIO;
	byte ^= 1;
	if (r == 0 && pwrite(fd, &byte, 1, (off_t)at) != 1)
		r = -EIO;
	if (r == 0 && fsync(fd))
		r = -errno;
	(void)close(fd);
	return r;
}

int disk_flip(const struct disk *disk, const char *path, uint64_t off)
{
	uint64_t at = 0;
	int r = locate(path, off, &at);

	return r ? r : flip_in_image(disk->image, at);
}

int disk_grow(struct disk *disk, unsigned mib)
{
	const char *const fsck[] = { "e2fsck", "-fy", disk->image, NULL };
	const char *const resize[] = { "resize2fs", disk->image, NULL };
	int r = disk_unmount(disk);

	if (r == 0)
		r = set_size(disk->image, mib);
	if (r == 0)
		r = run(fsck);
	if (r == 0)
		r = run(resize);
	int mount_result = disk_mount(disk);
	return r ? r : mount_result;
}

// SPDX-License-Identifier: Apache-2.0
#include "io/dev.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "io/file.h"

#define SYSFS_SIZE 4096	 /* bytes: a page, all that sysfs gives at once */
#define SYSFS_SECTOR 512 /* bytes: the unit of sysfs, whatever the device has */
#define BATCH 128	 /* extents a call */

int dev_size(int fd, uint64_t *ret_bytes)
{
	struct stat st;

	if (fstat(fd, &st))
		return -errno;
	if (S_ISBLK(st.st_mode))
		return ioctl(fd, BLKGETSIZE64, ret_bytes) ? -errno : 0;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	*ret_bytes = (uint64_t)st.st_size;
	return 0;
}

static int file_sector_size(int fd, uint32_t *ret_bytes)
{
	*ret_bytes = FILE_ALIGN;
#ifdef STATX_DIOALIGN
	struct statx st;
	if (statx(fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &st))
		return -errno;
	if (st.stx_mask & STATX_DIOALIGN && st.stx_dio_offset_align)
		*ret_bytes = max_of(st.stx_dio_offset_align, st.stx_dio_mem_align);
#endif
	return 0;
}

int dev_sector_size(int fd, uint32_t *ret_bytes)
{
	struct stat st;
	int bytes;

	if (fstat(fd, &st))
		return -errno;
	if (S_ISREG(st.st_mode))
		return file_sector_size(fd, ret_bytes);
	if (!S_ISBLK(st.st_mode))
		return -EINVAL;
	if (ioctl(fd, BLKSSZGET, &bytes))
		return -errno;
	*ret_bytes = (uint32_t)bytes;
	return 0;
}

/* Reads a small file whole; the text ends with a NUL. */
static int read_text(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	ssize_t n = read(fd, text, size - 1);
	int r = n < 0 ? -errno : 0;
	(void)close(fd);
	text[max_of(n, 0)] = '\0';
	return r;
}

/* The node that sysfs names for the device, or for the disk that it is a part of ("/.."). */
static int dev_node(uint64_t dev, const char *up, char *path, size_t size)
{
	char uevent[80], text[SYSFS_SIZE] = "\n"; /* so that each line has one before it */

	(void)snprintf(uevent, sizeof(uevent), "/sys/dev/block/%u:%u%s/uevent",
		       (unsigned)(dev >> 32), (unsigned)dev, up);
	if (read_text(uevent, text + 1, sizeof(text) - 1))
		return -ENOENT;
	const char *name = strstr(text, "\nDEVNAME=");
	if (!name)
		return -ENOENT;
	name += strlen("\nDEVNAME=");
	int len = snprintf(path, size, "/dev/%.*s", (int)strcspn(name, "\n"), name);
	return len < 0 || (size_t)len >= size ? -ENAMETOOLONG : 0;
}

int dev_find(uint64_t dev, char *path, size_t size)
{
	struct stat st;
	int r = dev_node(dev, "", path, size);

	if (r)
		return r;
	if (stat(path, &st))
		return -ENOENT;
	return S_ISBLK(st.st_mode) && st.st_rdev == makedev((unsigned)(dev >> 32), (unsigned)dev)
		       ? 0
		       : -ENOENT;
}

int dev_find_disk(uint64_t dev, char *path, size_t size, uint64_t *ret_start)
{
	char start[80], text[32];

	(void)snprintf(start, sizeof(start), "/sys/dev/block/%u:%u/start", (unsigned)(dev >> 32),
		       (unsigned)dev);
	*ret_start = 0;
	if (read_text(start, text, sizeof(text))) /* no partition */
		return dev_node(dev, "", path, size);
	*ret_start = strtoull(text, NULL, 10) * SYSFS_SECTOR;
	return dev_node(dev, "/..", path, size);
}

int dev_find_partition(uint64_t dev, uint32_t *ret_number)
{
	char path[80], text[32];

	(void)snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/partition", (unsigned)(dev >> 32),
		       (unsigned)dev);
	if (read_text(path, text, sizeof(text)))
		return -ENOENT;
	unsigned long number = strtoul(text, NULL, 10);
	if (number == 0 || number > UINT32_MAX)
		return -ENOENT;
	*ret_number = (uint32_t)number;
	return 0;
}

int dev_find_image(uint64_t dev, char *path, size_t size)
{
	static const char *const up[] = { "", "/.." }; /* a partition of a loop device */
	char file[80], text[SYSFS_SIZE];

	for (size_t i = 0; i < array_size(up); i++) {
		(void)snprintf(file, sizeof(file), "/sys/dev/block/%u:%u%s/loop/backing_file",
			       (unsigned)(dev >> 32), (unsigned)dev, up[i]);
		if (read_text(file, text, sizeof(text)))
			continue;
		size_t len = strlen(text); /* with a newline behind the name */
		if (len < 2)
			return -ENOENT;
		if (len > size)
			return -ENAMETOOLONG;
		memcpy(path, text, len - 1);
		path[len - 1] = '\0';
		return 0;
	}
	return -ENOENT;
}

int dev_get_limits(int fd, struct dev_limits *ret_limits)
{
	unsigned physical = 0, minimum = 0, optimal = 0;
	int logical = 0, read_only = 0;
	struct stat st;

	*ret_limits = (struct dev_limits){ 0 };
	if (fstat(fd, &st))
		return -errno;
	if (S_ISREG(st.st_mode))
		return 0;
	if (!S_ISBLK(st.st_mode))
		return -EINVAL;
	if (ioctl(fd, BLKROGET, &read_only))
		return -errno;
	/* The others are not known everywhere, and nothing depends on them: then they stay zero. */
	(void)ioctl(fd, BLKSSZGET, &logical);
	(void)ioctl(fd, BLKPBSZGET, &physical);
	(void)ioctl(fd, BLKIOMIN, &minimum);
	(void)ioctl(fd, BLKIOOPT, &optimal);
	*ret_limits = (struct dev_limits){
		.logical_sector = (uint32_t)max_of(logical, 0),
		.physical_sector = physical,
		.minimum_io = minimum,
		.optimal_io = optimal,
		.read_only = read_only != 0,
	};
	return 0;
}

bool dev_is_rotational(uint64_t dev)
{
	static const char *const up[] = { "", "/.." }; /* a partition has no queue of its own */
	char path[80], text[8];

	for (size_t i = 0; i < array_size(up); i++) {
		(void)snprintf(path, sizeof(path), "/sys/dev/block/%u:%u%s/queue/rotational",
			       (unsigned)(dev >> 32), (unsigned)dev, up[i]);
		if (read_text(path, text, sizeof(text)) == 0)
			return *text == '1';
	}
	return false;
}

int dev_generation(int fd, uint32_t *ret_generation)
{
	long generation = 0; /* declared as long, written as int on most filesystems */

	if (ioctl(fd, FS_IOC_GETVERSION, &generation))
		return -errno;
	*ret_generation = (uint32_t)generation;
	return 0;
}

/* One batch from *off on, which it moves behind it. *ret_last: there is no other. */
static int map_batch(int fd, struct fiemap *map, uint64_t *off, bool *ret_last, dev_extent_fn fn,
		     void *ctx)
{
	memset(map, 0, sizeof(*map));
	map->fm_start = *off;
	map->fm_length = FIEMAP_MAX_OFFSET - *off;
	map->fm_extent_count = BATCH;
	if (ioctl(fd, FS_IOC_FIEMAP, map))
		return errno == ENOTTY || errno == EBADR ? -EOPNOTSUPP : -errno;
	*ret_last = map->fm_mapped_extents == 0;
	for (uint32_t i = 0; i < map->fm_mapped_extents && i < BATCH; i++) {
		const struct fiemap_extent *e = &map->fm_extents[i];
		uint64_t end;
		if (__builtin_add_overflow(e->fe_logical, e->fe_length, &end) || end <= *off)
			return -EBADMSG;
		int r = fn(e->fe_logical, e->fe_physical, e->fe_length, e->fe_flags, ctx);
		if (r)
			return r;
		*off = end;
		*ret_last = e->fe_flags & FIEMAP_EXTENT_LAST;
	}
	return 0;
}

int dev_map_file(int fd, dev_extent_fn fn, void *ctx)
{
	union {
		struct fiemap map;
		uint8_t room[sizeof(struct fiemap) + BATCH * sizeof(struct fiemap_extent)];
	} batch;
	uint64_t off = 0;
	bool last = false;
	int r = 0;

	while (r == 0 && !last)
		r = map_batch(fd, &batch.map, &off, &last, fn, ctx);
	return r;
}

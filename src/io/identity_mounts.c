// SPDX-License-Identifier: Apache-2.0
/*
 * Mounts by the device behind them. /proc/self/mountinfo names the device of a filesystem by its
 * number, but for those that have a number of their own (btrfs): of these the source is looked at.
 */
#include <errno.h>
#include <libmount/libmount.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "io/identity.h"

#define MOUNTINFO "/proc/self/mountinfo"

/* As in struct file_identity. */
static uint64_t number_of(dev_t dev)
{
	return (uint64_t)major(dev) << 32 | minor(dev);
}

static void free_table(struct libmnt_table **table)
{
	mnt_unref_table(*table);
}

static void free_iter(struct libmnt_iter **iter)
{
	mnt_free_iter(*iter);
}

static void free_str(char **str)
{
	free(*str);
}

static int read_table(struct libmnt_table **ret_table)
{
	errno = 0;
	*ret_table = mnt_new_table_from_file(MOUNTINFO);
	return *ret_table ? 0 : errno ? -errno : -ENOMEM;
}

/* The block device behind a mount. Only nodes are looked at: another source may be a dead server's. */
static bool find_device(struct libmnt_fs *fs, uint64_t *ret_dev)
{
	const char *source = mnt_fs_get_source(fs);
	dev_t dev = mnt_fs_get_devno(fs);
	struct stat st;

	*ret_dev = number_of(dev);
	if (major(dev) != 0)
		return true;
	if (!source || strncmp(source, "/dev/", 5) != 0 || stat(source, &st) ||
	    !S_ISBLK(st.st_mode))
		return false;
	*ret_dev = number_of(st.st_rdev);
	return true;
}

static bool has_option(const char *options, const char *name)
{
	return options && mnt_optstr_get_option(options, name, NULL, NULL) == 0;
}

static int tell(struct libmnt_fs *fs, identity_mount_fn fn, void *ctx)
{
	const char *path = mnt_fs_get_target(fs), *root = mnt_fs_get_root(fs);
	const char *type = mnt_fs_get_fstype(fs);
	bool is_fs_read_only = has_option(mnt_fs_get_fs_options(fs), "ro");
	struct identity_mount mount = {
		.path = path ? path : "",
		.root = root ? root : "",
		.type = type ? type : "",
		.is_fs_read_only = is_fs_read_only,
		.is_read_only = is_fs_read_only || has_option(mnt_fs_get_vfs_options(fs), "ro"),
	};

	return fn(&mount, ctx);
}

/* Every mount that `matches`. */
static int each_mount(bool (*matches)(struct libmnt_fs *fs, const void *wanted), const void *wanted,
		      identity_mount_fn fn, void *ctx)
{
	struct libmnt_iter *iter cleanup(free_iter) = mnt_new_iter(MNT_ITER_FORWARD);
	struct libmnt_table *table cleanup(free_table) = NULL;
	struct libmnt_fs *fs;
	int r = iter ? read_table(&table) : -ENOMEM;

	while (r == 0 && mnt_table_next_fs(table, iter, &fs) == 0)
		if (matches(fs, wanted))
			r = tell(fs, fn, ctx);
	return r;
}

static bool is_on_device(struct libmnt_fs *fs, const void *wanted)
{
	const uint64_t *dev = wanted;
	uint64_t of_mount;

	return find_device(fs, &of_mount) && of_mount == *dev;
}

int identity_mounts(uint64_t dev, identity_mount_fn fn, void *ctx)
{
	return each_mount(is_on_device, &dev, fn, ctx);
}

static bool is_in_image(struct libmnt_fs *fs, const void *wanted)
{
	const struct stat *image = wanted;
	char path[PATH_MAX];
	struct stat st;
	uint64_t dev;

	return find_device(fs, &dev) && dev_find_image(dev, path, sizeof(path)) == 0 &&
	       stat(path, &st) == 0 && st.st_dev == image->st_dev && st.st_ino == image->st_ino;
}

int identity_mounts_of_image(const char *path, identity_mount_fn fn, void *ctx)
{
	struct stat st;

	if (stat(path, &st))
		return -errno;
	return each_mount(is_in_image, &st, fn, ctx);
}

int identity_find_mounted(const char *path, char *device, size_t size, uint64_t *ret_dev)
{
	struct libmnt_table *table cleanup(free_table) = NULL;
	int r = read_table(&table);

	if (r)
		return r;
	/* As it is written first: what asks the filesystem hangs where a server is dead. */
	struct libmnt_fs *fs = mnt_table_find_target(table, path, MNT_ITER_BACKWARD);
	if (!fs) {
		char *real cleanup(free_str) = realpath(path, NULL);
		if (!real)
			return errno == ENOMEM ? -ENOMEM : -ENOENT;
		fs = mnt_table_find_target(table, real, MNT_ITER_BACKWARD);
	}
	if (!fs)
		return -ENOENT;
	if (!find_device(fs, ret_dev))
		return -ENODEV;
	r = dev_find(*ret_dev, device, size);
	return r == -ENOENT ? -ENODEV : r;
}

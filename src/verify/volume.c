/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the number of a device to an open filesystem. Everything here is a question whether blocks
 * may be read instead of files; each no is an answer, not an error.
 */
#include "verify/volume.h"

#include <errno.h>
#include <fcntl.h>
#include <libmount/libmount.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "io/dev.h"

#define SECTOR_DEFAULT 4096u
#define SECTOR_SMALLEST 512u /* a divisor of every block of ext4 */

/* As in struct file_identity. */
static uint64_t dev_of(dev_t dev)
{
	return (uint64_t)major(dev) << 32 | minor(dev);
}

static void volume_refuse(struct volume *volume, const char *what, int error)
{
	(void)snprintf(volume->why, sizeof(volume->why), "%s%s%s%s%s", volume->device,
		       *volume->device ? ": " : "", what, error ? ": " : "",
		       error ? strerror(-error) : "");
}

/* With data=journal the newest bytes of a file may stand in the journal and not where they belong. */
static bool mounted_with_data_journal(uint64_t dev)
{
	struct libmnt_table *table = mnt_new_table_from_file("/proc/self/mountinfo");
	struct libmnt_iter *iter = mnt_new_iter(MNT_ITER_FORWARD);
	struct libmnt_fs *fs;
	char *value;
	size_t len;
	bool journal = !table || !iter; /* not known: then not excluded */

	while (table && iter && mnt_table_next_fs(table, iter, &fs) == 0) {
		const char *options = mnt_fs_get_fs_options(fs);
		if (mnt_fs_get_devno(fs) != makedev((unsigned)(dev >> 32), (unsigned)dev) ||
		    !options)
			continue;
		if (mnt_optstr_get_option(options, "data", &value, &len) == 0 && len == 7 &&
		    memcmp(value, "journal", 7) == 0)
			journal = true;
	}
	mnt_free_iter(iter);
	mnt_unref_table(table);
	return journal;
}

/* The last refusal counts: O_NOATIME is for the owner, O_DIRECT not for every filesystem. */
static int volume_open_blocks(struct volume *volume)
{
	static const int extra[] = { O_DIRECT | O_NOATIME, O_DIRECT, O_NOATIME, 0 };
	/* Looks at what it is before anything is opened. */
	int r = source_open_device(&volume->source, volume->device);

	for (unsigned i = 0; r == 0 && volume->fd < 0 && i < array_size(extra); i++) {
		volume->fd = open(volume->device, O_RDONLY | O_CLOEXEC | O_NONBLOCK | extra[i]);
		volume->direct = extra[i] & O_DIRECT;
		if (volume->fd < 0 && errno != EINVAL && errno != EPERM)
			break;
	}
	if (r == 0 && volume->fd < 0)
		r = -errno;
	/*
	 * That was for opening. A ring of Linux 6.1 answers every read with -EAGAIN where a descriptor
	 * may not block and the device cannot promise it: encrypted and thin ones.
	 */
	int status = r == 0 ? fcntl(volume->fd, F_GETFL) : 0;
	if (r == 0 && (status < 0 || fcntl(volume->fd, F_SETFL, status & ~O_NONBLOCK) < 0))
		r = -errno;
	if (r == 0 && dev_sector_size(volume->fd, &volume->sector))
		volume->sector = SECTOR_DEFAULT;
	return r;
}

/*
 * A file need not end where a read ends that is as long as O_DIRECT wants it. What then is left of it
 * would be asked for again, at a place that O_DIRECT does not allow.
 */
static int volume_mind_the_end(struct volume *volume)
{
	uint64_t size, end = volume->info.size;
	int r = dev_size(volume->fd, &size);

	if (r || (end + volume->sector - 1) / volume->sector * volume->sector <= size)
		return r;
	int flags = fcntl(volume->fd, F_GETFL);
	if (flags < 0 || fcntl(volume->fd, F_SETFL, flags & ~O_DIRECT))
		return -errno;
	volume->direct = false;
	volume->sector = SECTOR_SMALLEST;
	return 0;
}

/* False, here and below: it has been said why not. */
static bool volume_look_device(struct volume *volume)
{
	int r = volume_open_blocks(volume);

	if (r)
		volume_refuse(volume, "the device cannot be opened", r);
	return r == 0;
}

/* Whatever is on it. */
static bool volume_look_raw(struct volume *volume)
{
	if (!volume_look_device(volume))
		return false;
	int r = dev_size(volume->fd, &volume->info.size);
	if (r == 0)
		r = volume_mind_the_end(volume);
	if (r)
		volume_refuse(volume, "its end cannot be read", r);
	return r == 0;
}

/* The device and the filesystem on it. */
static bool volume_look(struct volume *volume)
{
	if (!volume_look_device(volume))
		return false;
	int r = ext4_open(&volume->source, &volume->fs);
	if (r) {
		volume_refuse(volume,
			      r == -EPROTONOSUPPORT ? "no ext4 filesystem that is known here"
						    : "the filesystem cannot be read",
			      r == -EPROTONOSUPPORT ? 0 : r);
		return false;
	}
	ext4_get_info(volume->fs, &volume->info);
	r = volume_mind_the_end(volume);
	if (r)
		volume_refuse(volume, "its end cannot be read", r);
	return r == 0;
}

static void volume_look_mounted(struct volume *volume)
{
	if (dev_find(volume->dev, volume->device, sizeof(volume->device))) {
		volume_refuse(volume, "its filesystem has no block device of its own", 0);
		return;
	}
	if (!volume_look(volume))
		return;
	if (volume->info.journals_data || mounted_with_data_journal(volume->dev)) {
		volume_refuse(volume, "it journals data, so the blocks may be older than the files",
			      0);
		return;
	}
	volume->rotational = dev_is_rotational(volume->disk_dev);
	volume->usable = true;
}

/* What was opened of a volume that is not used. */
static void volume_shut(struct volume *volume)
{
	ext4_close(volume->fs);
	volume->fs = NULL;
	source_close(&volume->source);
	if (volume->fd >= 0)
		(void)close(volume->fd);
	volume->fd = -1;
}

static struct volume *volume_new(uint64_t dev)
{
	struct volume *volume = calloc(1, sizeof(*volume));

	if (!volume)
		return NULL;
	volume->dev = volume->disk_dev = dev;
	volume->fd = -1;
	volume->source = SOURCE_NULL;
	return volume;
}

struct volume *volume_open(uint64_t dev)
{
	struct volume *volume = volume_new(dev);

	if (!volume)
		return NULL;
	volume_look_mounted(volume);
	if (!volume->usable)
		volume_shut(volume);
	return volume;
}

static struct volume *volume_open_path(const char *path, bool (*look)(struct volume *volume))
{
	struct volume *volume = volume_new(VOLUME_DEV_IMAGE);
	struct stat st;

	if (!volume)
		return NULL;
	volume->is_image = true;
	if ((size_t)snprintf(volume->device, sizeof(volume->device), "%s", path) >=
	    sizeof(volume->device)) {
		volume_refuse(volume, "its path is too long", 0);
		return volume;
	}
	volume->usable = look(volume);
	if (!volume->usable)
		volume_shut(volume);
	else if (fstat(volume->fd, &st) == 0)
		volume->disk_dev = dev_of(S_ISBLK(st.st_mode) ? st.st_rdev : st.st_dev);
	volume->rotational = volume->usable && dev_is_rotational(volume->disk_dev);
	return volume;
}

struct volume *volume_open_image(const char *path)
{
	return volume_open_path(path, volume_look);
}

struct volume *volume_open_raw(const char *path)
{
	return volume_open_path(path, volume_look_raw);
}

void volume_close(struct volume *volume)
{
	if (!volume)
		return;
	volume_shut(volume);
	free(volume);
}

// SPDX-License-Identifier: Apache-2.0
/*
 * A device or an image of one as a byte source. What lies on it is read in any size at any offset,
 * O_DIRECT wants neither, so every read goes through one buffer that is aligned. Reads that follow
 * each other fill more and more of it; a read somewhere else begins small again, because metadata
 * is scattered.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/ahead.h"
#include "io/dev.h"
#include "io/file.h"
#include "io/source.h"

#define ROOM (UINT64_C(1) << 20)  /* bytes of the buffer */
#define AHEAD_MIN UINT64_C(65536) /* bytes read at once, at least */

struct device {
	uint8_t *room;	/* ROOM bytes, aligned */
	uint64_t align; /* bytes: a power of two */
	uint64_t off;	/* what the buffer holds */
	uint64_t len;
	uint64_t ahead; /* bytes to read at once */
	struct ahead *hinted; /* NULL: nothing was hinted yet, or that cannot be had */
	bool no_hints;
};

static_assert(SOURCE_PREFETCH_LEN == AHEAD_SLOT_LEN && SOURCE_PREFETCH_MAX == AHEAD_SLOTS,
	      "hints are slots");

/* Fills the buffer from `off` on. Without O_DIRECT from now on, where the kernel refuses it. */
static int device_fill(struct source *src, uint64_t off, uint64_t len)
{
	struct device *device = src->ctx;

	device->len = 0;
	ssize_t n = pread(src->fd, device->room, len, (off_t)off);
	int flags = n < 0 && errno == EINVAL ? fcntl(src->fd, F_GETFL) : 0;
	if (flags > 0 && flags & O_DIRECT) {
		if (fcntl(src->fd, F_SETFL, flags & ~O_DIRECT) < 0)
			return -errno;
		n = pread(src->fd, device->room, len, (off_t)off);
	}
	if (n < 0)
		return -errno;
	device->off = off;
	device->len = (uint64_t)n;
	return 0;
}

static int device_read(struct source *src, uint64_t off, void *buf, uint64_t len, uint64_t *ret_n)
{
	struct device *device = src->ctx;

	if (off > INT64_MAX)
		return -ERANGE;
	*ret_n = 0;
	if (off > INT64_MAX - ROOM) /* nothing reaches so far, and pread refuses such a length */
		return 0;
	if (device->hinted) {
		const uint8_t *bytes;
		uint64_t n = min_of(ahead_get(device->hinted, off, &bytes), len);
		if (n) {
			memcpy(buf, bytes, n);
			*ret_n = n;
			return 0;
		}
	}
	if (off < device->off || off - device->off >= device->len) {
		uint64_t start = off - off % device->align;
		uint64_t need = min_of(len, ROOM - (off - start)) + (off - start);
		bool follows = device->len && start == device->off + device->len;
		need = (need + device->align - 1) / device->align * device->align;
		device->ahead = follows ? min_of(device->ahead * 2, ROOM) : AHEAD_MIN;
		int r = device_fill(src, start, max_of(need, device->ahead));
		/* Nobody asked for what was to be read ahead: its errors are not ours to report. */
		if (r && r != -EINTR && need < device->ahead)
			r = device_fill(src, start, need);
		if (r)
			return r;
	}
	uint64_t at = off - device->off;
	uint64_t n = at < device->len ? min_of(len, device->len - at) : 0;
	if (n)
		memcpy(buf, device->room + at, n);
	*ret_n = n;
	return 0;
}

static int device_size(struct source *src, uint64_t *ret_size)
{
	return dev_size(src->fd, ret_size);
}

static void device_forget(struct source *src)
{
	struct device *device = src->ctx;

	device->len = 0;
	if (device->hinted)
		ahead_forget(device->hinted);
}

static void device_prefetch(struct source *src, uint64_t off, uint64_t len)
{
	struct device *device = src->ctx;

	if (device->no_hints || off > INT64_MAX - ROOM)
		return;
	if (!device->hinted && ahead_new(src->fd, device->align, &device->hinted)) {
		device->no_hints = true;
		return;
	}
	ahead_hint(device->hinted, off, len);
}

static void device_close(struct source *src)
{
	struct device *device = src->ctx;

	ahead_free(device->hinted);
	(void)close(src->fd);
	free(device->room);
	free(device);
}

static const struct source_ops device_ops = {
	.read = device_read,
	.size = device_size,
	.forget = device_forget,
	.prefetch = device_prefetch,
	.close = device_close,
};

static int device_new(int fd, struct device **ret_device)
{
	uint32_t sector;
	int r = dev_sector_size(fd, &sector);

	if (r)
		return r;
	uint64_t align = max_of(sector, (uint32_t)FILE_ALIGN);
	if (align & (align - 1) || align > AHEAD_MIN)
		return -EINVAL;
	struct device *device = calloc(1, sizeof(*device));
	if (!device)
		return -ENOMEM;
	device->align = align;
	device->room = aligned_alloc(align, ROOM);
	if (!device->room) {
		free(device);
		return -ENOMEM;
	}
	*ret_device = device;
	return 0;
}

/* Each refusal drops one flag: O_NOATIME is for the owner, O_DIRECT not for every filesystem. */
static int open_with(const char *path, int extra)
{
	for (;;) {
		int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC | extra);
		if (fd >= 0)
			return fd;
		if (errno == EPERM && extra & O_NOATIME)
			extra &= ~O_NOATIME;
		else if (errno == EINVAL && extra & O_DIRECT)
			extra &= ~O_DIRECT;
		else if (errno != EINTR)
			return -errno;
	}
}

static int open_device(struct source *src, const char *path, int extra)
{
	struct device *device;
	struct stat st;
	uint64_t size;

	/* Looked at before it is opened: opening some devices is no harmless thing. */
	if (stat(path, &st))
		return -errno;
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
		return -EINVAL;
	int fd = open_with(path, extra);
	if (fd < 0)
		return fd;
	int r = dev_size(fd, &size);
	if (r == 0)
		r = device_new(fd, &device);
	if (r) {
		(void)close(fd);
		return r;
	}
	*src = (struct source){ .ops = &device_ops, .fd = fd, .ctx = device };
	return 0;
}

int source_open_device(struct source *src, const char *path)
{
	return open_device(src, path, O_DIRECT | O_NOATIME);
}

int source_open_device_cached(struct source *src, const char *path)
{
	return open_device(src, path, O_NOATIME);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The front functions own the invariants (resumed reads, no wrap-around); the two back ends here
 * are a few lines each. A file source goes through the page cache: message bytes, which must not,
 * are read by io/file.
 */
#include "io/source.h"

#include "io/file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static int source_file_read(struct source *src, uint64_t off, void *buf, uint64_t len, uint64_t *ret_n)
{
	if (off > INT64_MAX)
		return -ERANGE;
	ssize_t n = pread(src->fd, buf, min_of(len, (uint64_t)1 << 30), (off_t)off);
	if (n < 0)
		return -errno;
	*ret_n = (uint64_t)n;
	return 0;
}

static int source_file_size(struct source *src, uint64_t *ret_size)
{
	struct stat st;

	if (fstat(src->fd, &st))
		return -errno;
	*ret_size = (uint64_t)st.st_size;
	return 0;
}

static void source_file_close(struct source *src)
{
	(void)close(src->fd);
}

static const struct source_ops source_file_ops = {
	.read = source_file_read,
	.size = source_file_size,
	.close = source_file_close,
};

int source_open_file(struct source *src, int dirfd, const char *path)
{
	struct stat st;
	int fd = file_open_quietly(dirfd, path, 0);

	if (fd < 0)
		return fd;
	int r = fstat(fd, &st) ? -errno : S_ISREG(st.st_mode) ? 0 : -EINVAL;
	if (r) {
		(void)close(fd);
		return r;
	}
	*src = (struct source){ .ops = &source_file_ops, .fd = fd };
	return 0;
}

static int source_memory_read(struct source *src, uint64_t off, void *buf, uint64_t len, uint64_t *ret_n)
{
	uint64_t n = off < src->bytes.len ? min_of(len, src->bytes.len - off) : 0;

	if (n)
		memcpy(buf, src->bytes.data + off, n);
	*ret_n = n;
	return 0;
}

static int source_memory_size(struct source *src, uint64_t *ret_size)
{
	*ret_size = src->bytes.len;
	return 0;
}

static void source_memory_close(struct source *src)
{
	src->bytes = SPAN_NULL;
}

static const struct source_ops source_memory_ops = {
	.read = source_memory_read,
	.size = source_memory_size,
	.close = source_memory_close,
};

void source_init_memory(struct source *src, struct span bytes)
{
	*src = (struct source){ .ops = &source_memory_ops, .fd = -1, .bytes = bytes };
}

void source_close(struct source *src)
{
	if (src->ops)
		src->ops->close(src);
	*src = SOURCE_NULL;
}

int source_read(struct source *src, uint64_t off, void *buf, uint64_t len, uint64_t *ret_n)
{
	uint64_t done = 0;

	while (done < len) {
		uint64_t n, at;
		if (__builtin_add_overflow(off, done, &at))
			return -ERANGE;
		int r = src->ops->read(src, at, (uint8_t *)buf + done, len - done, &n);
		if (r == -EINTR)
			continue;
		if (r)
			return r;
		if (n == 0)
			break;
		done += n;
	}
	*ret_n = done;
	return 0;
}

int source_read_exact(struct source *src, uint64_t off, void *buf, uint64_t len)
{
	uint64_t n;
	int r = source_read(src, off, buf, len, &n);

	if (r)
		return r;
	return n == len ? 0 : -ENODATA;
}

void source_prefetch(struct source *src, uint64_t off, uint64_t len)
{
	if (src->ops && src->ops->prefetch)
		src->ops->prefetch(src, off, len);
}

void source_forget(struct source *src)
{
	if (src->ops && src->ops->forget)
		src->ops->forget(src);
}

int source_size(struct source *src, uint64_t *ret_size)
{
	return src->ops->size(src, ret_size);
}

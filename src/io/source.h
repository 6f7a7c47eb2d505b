/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A byte source: where bytes come from, one of the three seams of the program. A parser reads the
 * same from a file, a buffer or a device. Sources are read-only by construction: there is no write
 * operation.
 *
 * A source may be read from several threads at once unless its maker says otherwise.
 */
#ifndef IO_SOURCE_H
#define IO_SOURCE_H

#include <stdint.h>

#include "base/compiler.h"
#include "base/span.h"

struct source;

struct source_ops {
	/* Reads up to `len` bytes at `off`; *ret_n is 0 only at the end. Negative errno. */
	int (*read)(struct source *src, uint64_t off, void *buf, uint64_t len, uint64_t *ret_n);
	/* The size now, in bytes. Negative errno. */
	int (*size)(struct source *src, uint64_t *ret_size);
	/* NULL where nothing is remembered. */
	void (*forget)(struct source *src);
	/* NULL where there is nothing to be had from it. */
	void (*prefetch)(struct source *src, uint64_t off, uint64_t len);
	void (*close)(struct source *src);
};

struct source {
	const struct source_ops *ops; /* NULL: closed */
	int fd;			      /* files and devices: owned */
	struct span bytes;	      /* memory sources: borrowed */
	void *ctx;		      /* the other kinds */
};

#define SOURCE_NULL ((struct source){ .fd = -1 })

/*
 * Opens `path` relative to `dirfd` (or AT_FDCWD), O_RDONLY, without following a last component that
 * is a symbolic link and without blocking on a FIFO. -ELOOP for a link, -EINVAL for anything that
 * is not a regular file, else the errno of open. Release with source_close.
 */
int source_open_file(struct source *src, int dirfd, const char *path) must_check;

/*
 * Opens a block device or an image of one for reading, O_DIRECT and O_NOATIME where they are
 * allowed. The path is the operator's: links are followed. Reads go through a buffer of 1 MiB that
 * reads ahead, so such a source belongs to one thread, and what was read ahead is as old as that
 * read; see source_forget. An error reading ahead is no error. -EINVAL for anything that is neither
 * device nor regular file, without opening it; -ENOMEM; else the errno of stat, open or ioctl.
 * Release with source_close.
 */
int source_open_device(struct source *src, const char *path) must_check;

/*
 * The same through the page cache, which is where the kernel keeps the metadata of a filesystem
 * that is mounted from the device: what is read is as new as what the kernel sees, and need not be
 * on the disk yet.
 */
int source_open_device_cached(struct source *src, const char *path) must_check;

/* A source over borrowed bytes, which must outlive it. */
void source_init_memory(struct source *src, struct span bytes);

/* May be called twice, and on SOURCE_NULL. */
void source_close(struct source *src);

/*
 * Reads exactly [off, off + len). -ENODATA when the source ends before, else the errno of the
 * read. Short reads are resumed.
 */
int source_read_exact(struct source *src, uint64_t off, void *buf, uint64_t len) must_check;

/* Reads up to `len` bytes at `off`, fewer only at the end. */
int source_read(struct source *src, uint64_t off, void *buf, uint64_t len,
		uint64_t *ret_n) must_check;

/* The next read is made anew: what was read ahead does not count. */
void source_forget(struct source *src);

/*
 * [off, off + len) will be read soon, and in the order of these hints: a device may begin to read it. Up to
 * SOURCE_PREFETCH_MAX such ranges are kept, each of up to SOURCE_PREFETCH_LEN bytes. Never an error.
 */
#define SOURCE_PREFETCH_MAX 32u
#define SOURCE_PREFETCH_LEN 131072u
void source_prefetch(struct source *src, uint64_t off, uint64_t len);

int source_size(struct source *src, uint64_t *ret_size) must_check;

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the kernel says about block devices and about where files lie on them: the only ioctls of
 * the program. All of them ask, none changes anything. May be called from any thread.
 */
#ifndef IO_DEV_H
#define IO_DEV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"

/* The size of an open block device or regular file. -EINVAL for anything else, or an errno. */
int dev_size(int fd, uint64_t *ret_bytes) must_check;

/*
 * What offsets, lengths and addresses of O_DIRECT reads must be multiples of: the logical sector
 * of a block device; of a regular file what statx says, or 4,096 where it says nothing. Errors as
 * dev_size.
 */
int dev_sector_size(int fd, uint32_t *ret_bytes) must_check;

/*
 * The node in /dev of the block device `dev`, written as in struct file_identity: major << 32 |
 * minor. That the node is this device was checked. -ENOENT: it has none (a network or stacked
 * filesystem, no sysfs); -ENAMETOOLONG: `size` is too small.
 */
int dev_find(uint64_t dev, char *path, size_t size) must_check;

/*
 * The whole disk that `dev` is a partition of, or `dev` itself, and where on it `dev` starts, in
 * bytes: places on the disk as the kernel's log and the drive itself number them. Errors as
 * dev_find; the node is not checked.
 */
int dev_find_disk(uint64_t dev, char *path, size_t size, uint64_t *ret_start) must_check;

/* The number of the partition `dev` on its disk, from 1. -ENOENT: it is no partition. */
int dev_find_partition(uint64_t dev, uint32_t *ret_number) must_check;

/*
 * The file behind the loop device `dev`, or behind the one that `dev` is a partition of, as the
 * kernel names it; nothing says that this name still leads to it. -ENOENT: it is no loop device;
 * -ENAMETOOLONG: `size` is too small.
 */
int dev_find_image(uint64_t dev, char *path, size_t size) must_check;

/* What a block device says of itself. Sizes in bytes; 0 where it says nothing. */
struct dev_limits {
	uint32_t logical_sector;  /* what reads are multiples of */
	uint32_t physical_sector; /* what it writes at once */
	uint32_t minimum_io;	  /* what is read or written at once without a loss */
	uint32_t optimal_io;	  /* what it likes best: a stripe of an array */
	bool read_only;		  /* it refuses writes */
};

/* All zeros for an open regular file. -EINVAL for what is neither; or an errno. */
int dev_get_limits(int fd, struct dev_limits *ret_limits) must_check;

/* True when the disk of `dev` says that it rotates; false also where it says nothing. Virtual disks
 * often say so too. */
bool dev_is_rotational(uint64_t dev);

/* What tells one use of an inode's number from the next. -ENOTTY where the filesystem has none. */
int dev_generation(int fd, uint32_t *ret_generation) must_check;

/*
 * A run of a file, ascending by `logical`. All in bytes; `flags` are FIEMAP_EXTENT_*: `physical`
 * means nothing where they say unknown, encoded or inline. Non-zero stops and is returned.
 */
typedef int (*dev_extent_fn)(uint64_t logical, uint64_t physical, uint64_t len, uint32_t flags,
			     void *ctx);

/*
 * Every extent of an open file by FIEMAP, as the kernel has it now; dirty pages are not written
 * for it. -EOPNOTSUPP where the filesystem has no answer, -EBADMSG where its answer does not
 * advance, else the errno or the result of `fn`.
 */
int dev_map_file(int fd, dev_extent_fn fn, void *ctx) must_check;

#endif

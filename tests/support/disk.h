/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A disk: an ext4 filesystem in an image, mounted through a loop device, for what is read in
 * blocks. That takes root, mkfs.ext4 and a loop device; where one of them is missing a test skips by name.
 * What is still mounted at the end of the process is unmounted then, so that a test that ends early
 * leaves nothing behind but files.
 *
 * No function asserts anything: 0 is done, a negative errno says why it could not be.
 */
#ifndef TESTS_SUPPORT_DISK_H
#define TESTS_SUPPORT_DISK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"

struct disk {
	char image[320];
	char dir[320]; /* where it is mounted */
	bool is_mounted;
};

/*
 * Makes and mounts a filesystem of `mib` MiB below the folder `dir`: `dir`/disk.img and `dir`/disk.
 * DISK_NONE: this machine cannot; else the errno of what should have worked. Release with
 * disk_close, before the folder is removed.
 */
enum { DISK_NONE = 1 };
int disk_make(struct disk *disk, const char *dir, unsigned mib) must_check;
int disk_close(struct disk *disk) must_check; /* may be called twice */

int disk_mount(struct disk *disk) must_check;
int disk_unmount(struct disk *disk) must_check;

/*
 * Flips the lowest bit of a byte of a file below the filesystem: neither its times nor anything
 * else of its inode changes. What reads around the page cache sees it at once. -ENODATA when there
 * is nothing stored at `off`.
 */
int disk_flip(const struct disk *disk, const char *path, uint64_t off) must_check;

/* Makes the filesystem larger, to `mib` MiB; it is unmounted and mounted again, so nothing in it
 * may be open. */
int disk_grow(struct disk *disk, unsigned mib) must_check;

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A volume, as the block-order road needs it: the device behind a mounted filesystem, opened
 * read-only, with ext4 on it. Where one of that is not so the volume is not usable, `why` says
 * what is missing, and its messages are read as files.
 */
#ifndef VERIFY_VOLUME_H
#define VERIFY_VOLUME_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include "format/ext4/ext4.h"
#include "io/source.h"

struct volume {
	uint64_t dev;	   /* as in struct file_identity; of an image VOLUME_DEV_IMAGE */
	uint64_t disk_dev; /* the block device that it lies on */
	bool is_image;	   /* nothing changes it */
	bool usable;
	char device[256];     /* "" when it was not found */
	char why[400];	      /* not usable: the reason */
	int fd;		      /* the device, for reads of blocks */
	bool rotational;      /* its disk says that a head has to move */
	bool direct;	      /* reads go around the page cache */
	uint32_t sector;      /* bytes */
	struct source source; /* the device, for metadata */
	struct ext4 *fs;
	struct ext4_info info;
};

/*
 * Looks at the device of a filesystem. A volume that cannot be used is no failure: it says why.
 * NULL: out of memory. Release with volume_close, which takes NULL too.
 */
struct volume *volume_open(uint64_t dev) must_check;

/* The same for a device or file that is not mounted. */
#define VOLUME_DEV_IMAGE UINT64_MAX
struct volume *volume_open_image(const char *path) must_check;

/*
 * A device or file whatever is on it: `fs` is NULL, and of `info` the size alone is known. It need
 * not be a multiple of the sector where it is that of a file.
 */
struct volume *volume_open_raw(const char *path) must_check;

void volume_close(struct volume *volume);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Image: an unmounted ext4 filesystem, a device or a file that holds one, which stands for a mount
 * point. Paths below that point are looked up inside it; all others are those of this host. Nothing
 * is mounted and nothing written.
 *
 * An image and everything opened from it belong to one thread.
 */
#ifndef VERIFY_IMAGE_H
#define VERIFY_IMAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/log.h"
#include "base/span.h"
#include "io/file.h"
#include "io/source.h"
#include "verify/volume.h"

struct image {
	char *path;  /* of the device or file */
	char *mount; /* absolute, without a slash at its end; "" for the root */
	struct volume *volume;
};

/*
 * Opens `path` as what is mounted at `mount`. What prevents it is said in `log`: -EPROTONOSUPPORT: no
 * ext4, or one whose journal has not been replayed (it is mounted, or was not unmounted cleanly): what
 * stands in it now may be older than what a mount would show; -EINVAL: `mount` is no absolute path;
 * or the errno of opening and reading it. Release with image_close.
 */
int image_open(const char *path, const char *mount, const struct log *log,
	       struct image **ret_image) must_check;
void image_close(struct image *image); /* NULL is allowed */

/*
 * The inode of a path inside the image. Links are followed as they would be where it is mounted: -EXDEV:
 * one leads out of it, to what is not known. Else as ext4_lookup.
 */
int image_lookup(const struct image *image, const char *inside, uint32_t *ret_ino) must_check;

/* The part of `path` inside the image, or NULL when it lies elsewhere. `image` may be NULL. */
const char *image_inside(const struct image *image, const char *path);

/* ---- a directory, on this host or in an image ---- */

struct dir {
	int fd;		     /* of this host */
	struct image *image; /* borrowed; NULL: on this host */
	uint32_t ino;	     /* in the image; 0: not open */
	uint64_t dev;	     /* the filesystem, as in struct file_identity */
};

#define DIR_NULL ((struct dir){ .fd = -1 })

static inline bool dir_is_open(const struct dir *dir)
{
	return dir->fd >= 0 || dir->ino != 0;
}

/*
 * Opens the directory `rel` below `root`. -ENODEV: there is no root; -EXDEV: a link leads out of
 * the root, or of the image; else as open. Release with dir_close, which may be called twice.
 */
int dir_open(struct dir *dir, struct image *image, const char *root, const char *rel) must_check;
void dir_close(struct dir *dir);

/* `type` is one of DT_*. Non-zero stops the walk and is returned. */
typedef int (*dir_fn)(const char *name, uint64_t ino, unsigned type, void *ctx);
int dir_list(const struct dir *dir, dir_fn fn, void *ctx) must_check;

/* What `name` in the directory is, links not followed. As file_identify. */
int dir_identify(const struct dir *dir, const char *name,
		 struct file_identity *ret_identity) must_check;

/*
 * The bytes of a regular file in the directory, through the page cache on this host. Errors as
 * source_open_file.
 */
int dir_open_source(const struct dir *dir, const char *name, struct source *ret_src) must_check;

/* The same for an absolute path. */
int image_open_source(struct image *image, const char *path, struct source *ret_src) must_check;

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opening an image, and directories on both sides of its edge.
 */
#include "verify/image.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int refuse(const struct image *image, const struct log *log, int error)
{
	const struct volume *volume = image->volume;

	if (error)
		return log_error(log, error, "%s: %s", image->path, strerror(-error));
	if (!volume->usable)
		return log_error(log, -EPROTONOSUPPORT, "%s", volume->why);
	if (volume->info.needs_recovery || !volume->info.is_clean)
		return log_error(
			log, -EPROTONOSUPPORT,
			"%s is mounted, or was not unmounted cleanly: its journal has not been "
			"replayed, so what stands in it may be old. Scan it where it is "
			"mounted; or replay the journal in a copy (e2fsck) and scan that",
			image->path);
	return 0;
}

int image_open(const char *path, const char *mount, const struct log *log, struct image **ret_image)
{
	size_t len = strlen(mount);

	if (*mount != '/')
		return log_error(log, -EINVAL, "%s: not an absolute path to stand for", mount);
	struct image *image = calloc(1, sizeof(*image));
	if (!image)
		return -ENOMEM;
	while (len > 0 && mount[len - 1] == '/')
		len--;
	image->path = strdup(path);
	image->mount = strndup(mount, len);
	int r = image->path && image->mount ? 0 : -ENOMEM;
	if (r == 0)
		image->volume = volume_open_image(path);
	if (r == 0 && !image->volume)
		r = -ENOMEM;
	r = refuse(image, log, r);
	if (r) {
		image_close(image);
		return r;
	}
	*ret_image = image;
	return 0;
}

void image_close(struct image *image)
{
	if (!image)
		return;
	volume_close(image->volume);
	free(image->path);
	free(image->mount);
	free(image);
}

const char *image_inside(const struct image *image, const char *path)
{
	size_t len = image ? strlen(image->mount) : 0;

	if (!image || strncmp(path, image->mount, len) != 0)
		return NULL;
	return path[len] == '/' || path[len] == '\0' ? path + len : NULL;
}

int image_lookup(const struct image *image, const char *inside, uint32_t *ret_ino)
{
	struct ext4 *fs = image->volume->fs;

	/* Only the root of everything is where absolute links begin. */
	return *image->mount ? ext4_lookup_beneath(fs, EXT4_ROOT_INO, inside, ret_ino)
			     : ext4_lookup(fs, EXT4_ROOT_INO, inside, ret_ino);
}

/* ---- directories ---- */

static int stop_at_once(struct span name, uint32_t ino, unsigned type, void *ctx)
{
	(void)name;
	(void)ino;
	(void)type;
	(void)ctx;
	return 1;
}

static int dir_open_inside(struct dir *dir, struct image *image, const char *root, const char *rel)
{
	uint32_t ino;
	int r = image_lookup(image, root, &ino);

	if (r)
		return r == -ENOENT ? -ENODEV : r;
	r = ext4_lookup_beneath(image->volume->fs, ino, rel, &ino);
	/* A damaged one can be opened; what is wrong with it shows when it is listed. */
	if (r == 0 && ext4_list_dir(image->volume->fs, ino, stop_at_once, NULL) == -ENOTDIR)
		r = -ENOTDIR;
	if (r == 0) {
		dir->image = image;
		dir->ino = ino;
		dir->dev = image->volume->dev;
	}
	return r;
}

int dir_open(struct dir *dir, struct image *image, const char *root, const char *rel)
{
	const char *inside = image_inside(image, root);
	struct file_identity identity;

	*dir = DIR_NULL;
	if (inside)
		return dir_open_inside(dir, image, inside, rel);
	int root_fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root_fd < 0)
		return errno == ENOENT ? -ENODEV : -errno;
	int r = file_open_beneath(root_fd, rel, &dir->fd);
	(void)close(root_fd);
	if (r == 0)
		r = file_identify(dir->fd, "", &identity);
	if (r)
		dir_close(dir);
	else
		dir->dev = identity.dev;
	return r;
}

void dir_close(struct dir *dir)
{
	if (dir->fd >= 0)
		(void)close(dir->fd);
	*dir = DIR_NULL;
}

struct listing {
	dir_fn fn;
	void *ctx;
};

static int on_entry(struct span name, uint32_t ino, unsigned type, void *ctx)
{
	struct listing *listing = ctx;
	char text[256];

	if (name.len >= sizeof(text) || memchr(name.data, '\0', name.len))
		return -EBADMSG;
	memcpy(text, name.data, name.len);
	text[name.len] = '\0';
	return listing->fn(text, ino, type, listing->ctx);
}

static int dir_list_host(int dirfd, dir_fn fn, void *ctx)
{
	int fd = file_open_quietly(dirfd, ".", O_DIRECTORY);
	if (fd < 0)
		return fd;
	DIR *stream = fdopendir(fd);
	struct dirent *entry;
	int r = 0;

	if (!stream) {
		r = -errno;
		(void)close(fd);
		return r;
	}
	errno = 0;
	while (r == 0 && (entry = readdir(stream))) {
		r = fn(entry->d_name, entry->d_ino, entry->d_type, ctx);
		errno = 0;
	}
	if (r == 0)
		r = -errno;
	(void)closedir(stream);
	return r;
}

int dir_list(const struct dir *dir, dir_fn fn, void *ctx)
{
	struct listing listing = { fn, ctx };

	if (dir->ino)
		return ext4_list_dir(dir->image->volume->fs, dir->ino, on_entry, &listing);
	return dir_list_host(dir->fd, fn, ctx);
}

struct looking {
	const char *name;
	uint32_t ino;
};

static int on_look(const char *name, uint64_t ino, unsigned type, void *ctx)
{
	struct looking *looking = ctx;

	(void)type;
	if (strcmp(name, looking->name) != 0)
		return 0;
	looking->ino = (uint32_t)ino;
	return 1;
}

static int dir_find(const struct dir *dir, const char *name, uint32_t *ret_ino)
{
	struct looking looking = { name, 0 };
	int r = dir_list(dir, on_look, &looking);

	*ret_ino = looking.ino;
	return r == 1 ? 0 : r ? r : -ENOENT;
}

struct identifying {
	const struct dir *dir;
	struct file_identity *identity;
	int error;
};

static int on_inode(const struct ext4_inode *inode, int error, void *ctx)
{
	struct identifying *identifying = ctx;

	identifying->error = error;
	if (error)
		return 0;
	*identifying->identity = (struct file_identity){
		.dev = identifying->dir->dev,
		.ino = inode->ino,
		.size = inode->size,
		.mtime_ns = inode->mtime_ns,
		.ctime_ns = inode->ctime_ns,
		.btime_ns = inode->btime_ns,
		.nlink = inode->nlink,
		.mode = inode->mode,
	};
	return 0;
}

int dir_identify(const struct dir *dir, const char *name, struct file_identity *ret_identity)
{
	struct identifying identifying = { dir, ret_identity, 0 };
	uint32_t ino;

	if (!dir->ino)
		return file_identify(dir->fd, name, ret_identity);
	int r = dir_find(dir, name, &ino);
	if (r == 0)
		r = ext4_read_inode(dir->image->volume->fs, ino, on_inode, &identifying);
	return r ? r : identifying.error;
}

int dir_open_source(const struct dir *dir, const char *name, struct source *ret_src)
{
	struct file_identity identity;

	if (!dir->ino)
		return source_open_file(ret_src, dir->fd, name);
	int r = dir_identify(dir, name, &identity);
	if (r)
		return r;
	if (S_ISLNK(identity.mode))
		return -ELOOP;
	return S_ISREG(identity.mode)
		       ? ext4_open_file(dir->image->volume->fs, (uint32_t)identity.ino, ret_src)
		       : -EINVAL;
}

int image_open_source(struct image *image, const char *path, struct source *ret_src)
{
	const char *inside = image_inside(image, path);
	uint32_t ino;

	if (!inside)
		return source_open_file(ret_src, AT_FDCWD, path);
	int r = image_lookup(image, inside, &ino);
	return r ? r : ext4_open_file(image->volume->fs, ino, ret_src);
}

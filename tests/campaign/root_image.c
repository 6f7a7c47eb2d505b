// SPDX-License-Identifier: Apache-2.0
/*
 * The images of the campaign of root filesystems: made by tests/support/mkroot.sh, scanned, changed
 * as an administrator does, scanned again. So there are two baselines, and blocks that had another
 * content in the first. All of it is done without a mount.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "campaign/root_parts.h"

#define LATER "1790001000" /* seconds: mkroot.sh gives nothing a later time than 1790000000 */

/* Not of mkroot.sh: 16k, for what only blocks above 4 KiB can show. */
const char *const root_image_kinds[] = { "4k",		"flex_bg", "nocsum",  "ext3",
					 "bigalloc",	"1k",	   "xattrs",  "htree",
					 "16k",		"64bit",   "meta_bg", "inline_data",
					 "orphan_file", "quota",   "mmp",     NULL };

int shell(const char *fmt, ...)
{
	char *command;
	va_list args;

	va_start(args, fmt);
	int len = vasprintf(&command, fmt, args);
	va_end(args);
	if (len < 0)
		return -ENOMEM;
	int status = system(command);
	int r = status == -1 ? -errno : WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -EIO;
	free(command);
	return r;
}

int tree_make(const char *dir)
{
	return shell("bash tests/support/mkroot.sh --tree '%s/tree'", dir);
}

/* ---- bytes ---- */

static int map_file(const char *path, const uint8_t **ret_bytes, uint64_t *ret_size)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	int r = fd < 0 || fstat(fd, &st) ? -errno : 0;

	if (r == 0) {
		void *bytes = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
		if (bytes == MAP_FAILED) {
			r = -errno;
		} else {
			*ret_bytes = bytes;
			*ret_size = (uint64_t)st.st_size;
		}
	}
	if (fd >= 0)
		(void)close(fd);
	return r;
}

int root_image_write(const struct root_image *image, uint64_t block, const uint8_t *bytes)
{
	int fd = open(image->path, O_WRONLY | O_CLOEXEC);
	int r = fd < 0 ? -errno : 0;

	if (r == 0 &&
	    pwrite(fd, bytes, image->unit, (off_t)(block * image->unit)) != (ssize_t)image->unit)
		r = -EIO;
	if (fd >= 0 && close(fd) && r == 0)
		r = -errno;
	return r;
}

int root_image_restore(const struct root_image *image, uint64_t block)
{
	int r = root_image_write(image, block, image->clean + block * image->unit);

	return r ? r
		 : shell("rm -rf '%s' && cp -a '%s/state.clean' '%s'", image->state, image->dir,
			 image->state);
}

bool root_image_is_doubted(const struct root_image *image)
{
	return shell("e2fsck -fn '%s' >/dev/null 2>&1", image->path) != 0;
}

/* ---- the change ---- */

/* Every letter of every block of the log is one of the other case afterwards. */
static int rewrite_log(const struct root_image *image)
{
	uint8_t *bytes = malloc(image->unit);
	int r = bytes ? 0 : -ENOMEM;

	for (size_t i = 0; i < image->nr_pieces && r == 0; i++) {
		const struct piece *piece = &image->pieces[i];
		const struct inode_info *inode = &image->inodes[piece->ino];
		if (piece->class != CLASS_FILE || inode->nr_paths == 0 ||
		    strncmp(inode->paths[0], "/var/log/syslog", 15) != 0)
			continue;
		memcpy(bytes, image->clean + piece->block * image->unit, image->unit);
		for (uint32_t k = 0; k < image->unit; k++)
			if (bytes[k] >= 'a' && bytes[k] <= 'z')
				bytes[k] ^= 0x20;
		r = root_image_write(image, piece->block, bytes);
	}
	free(bytes);
	return r;
}

/* A file is rewritten, one goes, some are new; one has room that was never written to. */
static int change_once(const struct root_image *image, const char *dir)
{
	int r = rewrite_log(image);

	return r ? r
		 : shell("export E2FSPROGS_FAKE_TIME=" LATER " && cd '%s' && {\n"
			 "  head -c 700 /dev/zero | tr '\\0' v >value\n"
			 "  echo 'set_inode_field /var/log/syslog mtime @" LATER "'\n"
			 "  echo 'set_inode_field /var/log/syslog ctime @" LATER "'\n"
			 "  echo 'rm /home/user/empty'\n"
			 "  echo 'mkdir /srv/new'\n"
			 "  for d in /home/user /srv; do\n" /* debugfs leaves their times */
			 "    echo \"set_inode_field $d mtime @" LATER "\"\n"
			 "    echo \"set_inode_field $d ctime @" LATER "\"\n"
			 "  done\n"
			 "  echo 'write %s/tree/var/lib/dpkg/status /srv/new/status'\n"
			 "  echo 'write %s/tree/var/log/syslog /srv/new/room'\n"
			 "  echo 'fallocate /srv/new/room 400 420'\n"
			 "  echo 'ea_set -f value /etc/hostname user.value'\n"
			 "} | debugfs -w -f - image >said 2>&1 &&\n"
			 "{ e2fsck -fy image >>said 2>&1; [ $? -le 1 ]; } &&\n"
			 "e2fsck -fn image >>said 2>&1 || { cat said >&2; false; }",
			 image->dir, dir, dir);
}

/* ---- making one ---- */

static int format(const struct root_image *image, const char *dir)
{
	const char *uuid = "c0ffee00-1234-4321-8765-000000000016";

	if (strcmp(image->kind, "16k") == 0)
		return shell(
			"truncate -s 64M '%s' && E2FSPROGS_FAKE_TIME=1790000000 mke2fs -q -F -t "
			"ext4 -b 16384 -U %s -N 8192 -E hash_seed=%s,root_owner=0:0 -d '%s/tree' "
			"'%s' 2>'%s/said'",
			image->path, uuid, uuid, dir, image->path, image->dir);
	return shell("MKROOT_TREE='%s/tree' bash tests/support/mkroot.sh '%s' %s >'%s/said' 2>&1",
		     dir, image->path, image->kind, image->dir);
}

static int keep_copy(struct root_image *image, const char *name, const uint8_t **ret_bytes)
{
	char path[PATH_MAX];

	(void)snprintf(path, sizeof(path), "%s/%s", image->dir, name);
	int r = shell("cp '%s' '%s'", image->path, path);
	return r ? r : map_file(path, ret_bytes, &image->size);
}

static void unmap(const struct root_image *image, const uint8_t **bytes)
{
	if (*bytes)
		(void)munmap((void *)(uintptr_t)*bytes, (size_t)image->size);
	*bytes = NULL;
}

static void compare_with_older(struct root_image *image)
{
	for (size_t i = 0; i < image->nr_pieces; i++) {
		struct piece *piece = &image->pieces[i];
		uint64_t off = piece->block * image->unit;
		piece->is_older = memcmp(image->clean + off, image->older + off, image->unit) != 0;
	}
}

static int make_older(struct root_image *image, const char *tree,
		      int (*scan)(struct root_image *, void *), void *ctx)
{
	int r = keep_copy(image, "older", &image->older);

	image->clean = image->older; /* for what is rewritten */
	if (r == 0)
		r = oracle_open(image, tree);
	if (r == 0)
		r = scan(image, ctx);
	return r;
}

int root_image_make(struct root_image *image, const char *dir, const char *kind,
		    int (*scan)(struct root_image *image, void *ctx), void *ctx)
{
	char tree[PATH_MAX];
	int r;

	*image = (struct root_image){ .kind = kind };
	(void)snprintf(tree, sizeof(tree), "%s/tree", dir);
	(void)snprintf(image->dir, sizeof(image->dir), "%s/%s", dir, kind);
	(void)snprintf(image->path, sizeof(image->path), "%s/image", image->dir);
	(void)snprintf(image->state, sizeof(image->state), "%s/state", image->dir);
	if (mkdir(image->dir, 0700))
		return -errno;
	if (format(image, dir))
		return IMAGE_NONE;
	r = make_older(image, tree, scan, ctx);
	if (r == 0)
		r = change_once(image, dir);
	oracle_fini(image);
	image->clean = NULL;
	if (r == 0)
		r = keep_copy(image, "clean", &image->clean);
	if (r == 0)
		r = oracle_open(image, tree);
	if (r == 0)
		r = scan(image, ctx);
	if (r == 0)
		r = shell("cp -a '%s' '%s/state.clean'", image->state, image->dir);
	if (r == 0)
		compare_with_older(image);
	return r;
}

void root_image_fini(struct root_image *image)
{
	if (image->clean == image->older)
		image->clean = NULL;
	unmap(image, &image->clean);
	unmap(image, &image->older);
	oracle_fini(image);
	if (*image->dir && shell("rm -rf '%s'", image->dir))
		fprintf(stderr, "campaign-root: %s: cannot be removed\n", image->dir);
	*image->dir = '\0';
}

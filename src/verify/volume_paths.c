// SPDX-License-Identifier: Apache-2.0
/*
 * Directories are remembered as (inode, parent, name), so that a path can be put together when it is
 * asked for. Each is walked once, also where two entries lead to it.
 */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>

#include "base/buf.h"
#include "verify/volume_view.h"

#define DIRS_MAX (UINT32_C(1) << 22)
#define NAMES_MAX (UINT32_C(256) << 20) /* bytes of all of them */
#define DEPTH_MAX 256

struct dir_node {
	uint32_t ino;
	uint32_t parent; /* index */
	uint32_t name;	 /* offset in `names` */
};

struct volume_paths {
	struct ext4 *fs; /* during the walk */
	size_t nr;
	size_t nr_found;
	uint32_t *inos;
	uint32_t *paths; /* offsets in `text`, 0: not found */
	struct buf text;
	struct dir_node *dirs;
	size_t nr_dirs, cap_dirs;
	struct buf names;
	uint8_t *seen; /* a bit an inode */
	size_t at;     /* the directory that is walked */
};

static size_t find_wanted(const struct volume_paths *paths, uint32_t ino)
{
	size_t low = 0, high = paths->nr;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		if (paths->inos[mid] < ino)
			low = mid + 1;
		else
			high = mid;
	}
	return low < paths->nr && paths->inos[low] == ino ? low : paths->nr;
}

static void add_path(struct volume_paths *paths, size_t i, size_t dir, struct span name)
{
	uint32_t chain[DEPTH_MAX];
	unsigned depth = 0;

	for (; dir && depth < DEPTH_MAX; dir = paths->dirs[dir].parent)
		chain[depth++] = paths->dirs[dir].name;
	paths->paths[i] = (uint32_t)paths->text.len;
	if (depth == DEPTH_MAX)
		buf_add_str(&paths->text, "...");
	while (depth) {
		buf_add_char(&paths->text, '/');
		buf_add_str(&paths->text, (const char *)paths->names.data + chain[--depth]);
	}
	if (name.len || paths->text.len == paths->paths[i]) {
		buf_add_char(&paths->text, '/');
		buf_add_span(&paths->text, name);
	}
	buf_add_char(&paths->text, '\0');
	paths->nr_found++;
}

static int add_dir(struct volume_paths *paths, uint32_t ino, struct span name)
{
	if (paths->nr_dirs >= DIRS_MAX || paths->names.len > NAMES_MAX)
		return 0;
	if (paths->nr_dirs == paths->cap_dirs) {
		size_t cap = max_of(paths->cap_dirs * 2, (size_t)1024);
		struct dir_node *more = realloc(paths->dirs, cap * sizeof(*more));
		if (!more)
			return -ENOMEM;
		paths->dirs = more;
		paths->cap_dirs = cap;
	}
	paths->dirs[paths->nr_dirs++] = (struct dir_node){
		.ino = ino,
		.parent = (uint32_t)paths->at,
		.name = (uint32_t)paths->names.len,
	};
	buf_add_span(&paths->names, name);
	buf_add_char(&paths->names, '\0');
	return buf_error(&paths->names);
}

enum { ALL_FOUND = 1 };

static int on_entry(struct span name, uint32_t ino, unsigned type, void *ctx)
{
	struct volume_paths *paths = ctx;
	size_t i = find_wanted(paths, ino);
	int r = 0;

	if (i < paths->nr && paths->paths[i] == 0)
		add_path(paths, i, paths->at, name);
	if ((type == DT_DIR || type == DT_UNKNOWN) && !(paths->seen[ino / 8] & 1u << ino % 8)) {
		paths->seen[ino / 8] |= (uint8_t)(1u << ino % 8);
		r = add_dir(paths, ino, name);
	}
	return r ? r : paths->nr_found == paths->nr ? ALL_FOUND : 0;
}

static int walk(struct volume_paths *paths, const volatile sig_atomic_t *stop)
{
	size_t root = find_wanted(paths, EXT4_ROOT_INO);
	int r = add_dir(paths, EXT4_ROOT_INO, SPAN_NULL);

	if (r == 0 && root < paths->nr)
		add_path(paths, root, 0, SPAN_NULL);
	for (paths->at = 0; r == 0 && paths->at < paths->nr_dirs && !(stop && *stop); paths->at++) {
		if (paths->nr_found == paths->nr)
			break;
		r = ext4_list_dir(paths->fs, paths->dirs[paths->at].ino, on_entry, paths);
		if (r < 0 && r != -ENOMEM)
			r = 0;
	}
	return r < 0 ? r : 0;
}

int volume_paths_find(struct ext4 *fs, const uint32_t *inos, size_t nr,
		      const volatile sig_atomic_t *stop, struct volume_paths **ret_paths)
{
	struct volume_paths *paths = calloc(1, sizeof(*paths));
	struct ext4_info info;
	int r = -ENOMEM;

	*ret_paths = NULL;
	if (!paths)
		return r;
	ext4_get_info(fs, &info);
	paths->fs = fs;
	paths->inos = malloc((nr + 1) * sizeof(*paths->inos));
	paths->paths = calloc(nr + 1, sizeof(*paths->paths));
	paths->seen = calloc(1, info.nr_inodes / 8 + 1);
	buf_add_char(&paths->text, '\0');
	if (paths->inos && paths->paths && paths->seen) {
		/* They ascend and may repeat themselves. */
		for (size_t i = 0; i < nr; i++)
			if (paths->nr == 0 || paths->inos[paths->nr - 1] != inos[i])
				paths->inos[paths->nr++] = inos[i];
		r = paths->nr ? walk(paths, stop) : 0;
	}
	if (r == 0)
		r = buf_error(&paths->text);
	free(paths->seen);
	free(paths->dirs);
	buf_fini(&paths->names);
	paths->seen = NULL;
	paths->dirs = NULL;
	if (r) {
		volume_paths_free(paths);
		return r;
	}
	*ret_paths = paths;
	return 0;
}

const char *volume_paths_get(const struct volume_paths *paths, uint32_t ino)
{
	size_t i = paths ? find_wanted(paths, ino) : 0;

	if (!paths || i == paths->nr || paths->paths[i] == 0)
		return NULL;
	return (const char *)paths->text.data + paths->paths[i];
}

void volume_paths_free(struct volume_paths *paths)
{
	if (!paths)
		return;
	free(paths->inos);
	free(paths->paths);
	buf_fini(&paths->text);
	buf_fini(&paths->names);
	free(paths->dirs);
	free(paths->seen);
	free(paths);
}

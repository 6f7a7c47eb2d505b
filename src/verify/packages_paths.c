// SPDX-License-Identifier: Apache-2.0
/*
 * From a hundred thousand paths to their inodes. The paths are sorted so that what lies in one
 * directory stands together, and each directory is listed once, for all that is wanted of it: no
 * directory is searched path by path. A component that is a link (bin -> usr/bin) is followed by the
 * filesystem; the file itself is not: dpkg keeps no digests of links, so one that stands there now
 * is somebody's doing, and what it leads to is another file.
 */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "verify/packages_table.h"

#define DEPTH_MAX 64			/* directories one in another */
#define ENTRIES_MAX (UINT64_C(1) << 28) /* looked at in all, some of them again and again */
#define NAME_SIZE 256

struct resolving {
	struct packages *packages;
	struct ext4 *fs;
	const struct packages_load_hooks *hooks;
	uint64_t nr_entries;
};

/* One wanted name in a directory: that of a file, of a directory, or both. */
struct child {
	struct span name;
	uint32_t first, end; /* of the files at or below it */
	uint32_t ino;	     /* 0: not found */
	unsigned type;
};

struct children {
	struct resolving *resolving;
	struct child *all;
	size_t nr;
};

/* ---- order ---- */

/* An end comes before a slash, and that before everything else. */
static int rank_of(char c)
{
	return c == '\0' ? -1 : c == '/' ? 0 : (uint8_t)c;
}

static int compare_paths(const void *a, const void *b, void *ctx)
{
	const struct packages *packages = ctx;
	const struct package_file *one = a, *two = b;
	const char *p = packages_path_at(packages, one->path);
	const char *q = packages_path_at(packages, two->path);

	while (*p == *q && *p)
		p++, q++;
	return rank_of(*p) - rank_of(*q);
}

static struct span name_at(const struct packages *packages, uint32_t file, size_t off)
{
	const char *path = packages_path_at(packages, packages->files[file].path) + off;

	return span_of(path, strcspn(path, "/"));
}

/* ---- one directory ---- */

static int tell_all(struct resolving *resolving, uint32_t first, uint32_t end,
		    enum packages_notice_kind kind, int error)
{
	struct packages *packages = resolving->packages;
	int r = 0;

	for (uint32_t i = first; i < end && r == 0; i++) {
		const struct package_file *file = &packages->files[i];
		struct packages_notice notice = {
			.kind = kind,
			.path = packages_path_at(packages, file->path),
			.package = packages_name_of(packages, file->package),
			.is_conffile = file->is_conffile,
			.error = kind == PACKAGES_UNRESOLVED ? error : 0,
		};
		r = packages_tell(packages, resolving->hooks, &notice);
	}
	return r;
}

/* Files that are not reached, for this reason. */
static int tell_lost(struct resolving *resolving, uint32_t first, uint32_t end, int error)
{
	bool absent = error == 0 || error == -ENOENT || error == -ENOTDIR || error == -ELOOP ||
		      error == -ENAMETOOLONG;

	if (error == -ENOMEM)
		return error;
	return tell_all(resolving, first, end, absent ? PACKAGES_MISSING : PACKAGES_UNRESOLVED,
			error);
}

static int children_collect(struct children *children, uint32_t first, uint32_t end, size_t off)
{
	const struct packages *packages = children->resolving->packages;
	size_t cap = 0;

	for (uint32_t i = first; i < end; i++) {
		struct span name = name_at(packages, i, off);
		struct child *last = children->nr ? &children->all[children->nr - 1] : NULL;
		if (last && span_equals(last->name, name)) {
			last->end = i + 1;
			continue;
		}
		if (children->nr == cap) {
			cap = cap ? cap * 2 : 8;
			struct child *all = reallocarray(children->all, cap, sizeof(*all));
			if (!all)
				return -ENOMEM;
			children->all = all;
		}
		children->all[children->nr++] =
			(struct child){ .name = name, .first = i, .end = i + 1 };
	}
	return 0;
}

static int on_entry(struct span name, uint32_t ino, unsigned type, void *ctx)
{
	struct children *children = ctx;
	size_t low = 0, high = children->nr;

	if (++children->resolving->nr_entries > ENTRIES_MAX)
		return -EFBIG;
	while (low < high) {
		size_t mid = low + (high - low) / 2;
		int order = span_compare(name, children->all[mid].name);
		if (order == 0) {
			children->all[mid].ino = ino;
			children->all[mid].type = type;
			return 0;
		}
		if (order < 0)
			high = mid;
		else
			low = mid + 1;
	}
	return 0;
}

/* ---- types ---- */

struct kind {
	unsigned type;
	int error;
};

static int on_inode(const struct ext4_inode *inode, int error, void *ctx)
{
	struct kind *kind = ctx;

	kind->error = error;
	kind->type = error ? DT_UNKNOWN : IFTODT(inode->mode);
	return 0;
}

/* Asks the inode, where the directory does not say. */
static int child_find_type(struct resolving *resolving, struct child *child)
{
	struct kind kind = { .type = DT_UNKNOWN };

	if (child->type != DT_UNKNOWN)
		return 0;
	int r = ext4_read_inode(resolving->fs, child->ino, on_inode, &kind);
	child->type = kind.type;
	return r ? r : kind.error;
}

/* ---- the walk ---- */

static int resolve_dir(struct resolving *resolving, uint32_t first, uint32_t end, size_t off,
		       uint32_t dir, unsigned depth);

/* What lies below a child of the directory `dir`. */
static int resolve_below(struct resolving *resolving, const struct child *child, uint32_t first,
			 size_t off, uint32_t dir, unsigned depth)
{
	char name[NAME_SIZE];
	uint32_t below = child->ino;

	if (first == child->end)
		return 0;
	if (child->name.len >= sizeof(name))
		return tell_lost(resolving, first, child->end, -ENOENT);
	if (child->type == DT_LNK) {
		memcpy(name, child->name.data, child->name.len);
		name[child->name.len] = '\0';
		int r = ext4_lookup(resolving->fs, dir, name, &below);
		if (r)
			return tell_lost(resolving, first, child->end, r);
	} else if (child->type != DT_DIR) {
		return tell_lost(resolving, first, child->end, -ENOTDIR);
	}
	return resolve_dir(resolving, first, child->end, off + child->name.len + 1, below,
			   depth + 1);
}

static int resolve_child(struct resolving *resolving, struct child *child, size_t off, uint32_t dir,
			 unsigned depth)
{
	struct packages *packages = resolving->packages;
	uint32_t first = child->first;
	int r = child_find_type(resolving, child);

	if (r)
		return tell_lost(resolving, child->first, child->end, r);
	while (first < child->end &&
	       packages_path_at(packages, packages->files[first].path)[off + child->name.len] ==
		       '\0')
		first++;
	if (child->type != DT_REG)
		r = tell_all(resolving, child->first, first, PACKAGES_REPLACED, 0);
	for (uint32_t i = child->first; i < first && child->type == DT_REG; i++)
		packages->files[i].ino = child->ino;
	return r ? r : resolve_below(resolving, child, first, off, dir, depth);
}

/* The files from `first` to `end`, whose paths go on at `off` below the directory `dir`. */
static int resolve_dir(struct resolving *resolving, uint32_t first, uint32_t end, size_t off,
		       uint32_t dir, unsigned depth)
{
	struct children children = { .resolving = resolving };

	if (depth > DEPTH_MAX)
		return tell_lost(resolving, first, end, -ENAMETOOLONG);
	if (resolving->hooks->stop && *resolving->hooks->stop)
		return -ECANCELED;
	int r = children_collect(&children, first, end, off), error = 0;
	if (r == 0)
		error = ext4_list_dir(resolving->fs, dir, on_entry, &children);
	if (error == -EFBIG && resolving->nr_entries > ENTRIES_MAX)
		r = error;
	for (size_t i = 0; i < children.nr && r == 0; i++) {
		struct child *child = &children.all[i];
		if (child->ino)
			r = resolve_child(resolving, child, off, dir, depth);
		else
			r = tell_lost(resolving, child->first, child->end, error);
	}
	free(children.all);
	return r;
}

int packages_resolve(struct packages *packages, struct ext4 *fs,
		     const struct packages_load_hooks *hooks)
{
	struct resolving resolving = { .packages = packages, .fs = fs, .hooks = hooks };

	if (packages->nr_files == 0)
		return 0;
	qsort_r(packages->files, packages->nr_files, sizeof(*packages->files), compare_paths,
		packages);
	return resolve_dir(&resolving, 0, packages->nr_files, 0, EXT4_ROOT_INO, 0);
}

// SPDX-License-Identifier: Apache-2.0
/*
 * Loading. What dpkg has not yet moved into `status` stands in `updates`, the newest last: those
 * are read first, newest first, and of several words about one package the first one counts.
 *
 * The md5sums of a package are as old as the package; its list is kept up by dpkg. When another
 * package takes a file over, the path goes from the list and stays among the digests: so only what is in
 * both counts. The same rewriting makes the list younger than the installation. The md5sums come
 * with the package, too, but keep the time of its building as mtime; their ctime is that of the
 * installation, or of the day on which the filesystem was copied. The earlier one of both is never later than
 * what dpkg did, but for seconds.
 */
#include "verify/packages.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/map.h"
#include "format/dpkg/dpkg.h"
#include "verify/packages_table.h"

#define ADMIN_DIR "var/lib/dpkg"
#define UPDATES_MAX 65536 /* files */
#define NAMES_MAX (UINT32_C(64) << 20)

_Static_assert(DPKG_MD5_LEN == MD5_LEN, "one digest, two layers");

struct diversion {
	uint32_t to;	  /* offset in paths */
	uint32_t package; /* offset in names: the diverter; "" for the administrator */
};

struct loading {
	struct packages *packages;
	struct ext4 *fs;
	struct packages_load_hooks hooks;
	uint32_t dir;	     /* ADMIN_DIR */
	struct map by_name;  /* of an info file: index of the package */
	struct map diverted; /* path: index of the diversion */
	struct diversion *diversions;
	uint32_t nr_diversions;
	uint32_t *updates; /* numbers in their names */
	size_t nr_updates;
	struct map listed; /* by the package that is under way */
	uint32_t package;  /* that one */
	struct buf text;   /* the file of the database that is under way */
	struct buf scratch;
};

/* ---- small things ---- */

int packages_tell(struct packages *packages, const struct packages_load_hooks *hooks,
		  const struct packages_notice *notice)
{
	packages->info.nr_notices[notice->kind]++;
	return hooks->fn ? hooks->fn(notice, hooks->ctx) : 0;
}

static bool is_stopped(const struct loading *loading)
{
	return loading->hooks.stop && *loading->hooks.stop;
}

/* Tells of a file of the database, unless memory is what was lacking. `package` may be NULL. */
static int tell_damaged(struct loading *loading, const char *file, const char *package, int error)
{
	char path[2 * DPKG_NAME_MAX];

	if (error == -ENOMEM)
		return error;
	(void)snprintf(path, sizeof(path), ADMIN_DIR "/%s", file);
	struct packages_notice notice = {
		.kind = PACKAGES_DAMAGED,
		.path = path,
		.package = package ? package : "",
		.error = error,
	};
	return packages_tell(loading->packages, &loading->hooks, &notice);
}

/* The whole of a file into loading->text. -EFBIG above `max`. */
static int text_read(struct loading *loading, uint32_t ino, uint64_t max)
{
	struct source file;
	struct buf *text = &loading->text;
	uint64_t size = 0;

	buf_clear(text);
	int r = ext4_open_file(loading->fs, ino, &file);
	if (r)
		return r;
	r = source_size(&file, &size);
	if (r == 0 && size > max)
		r = -EFBIG;
	if (r == 0)
		r = buf_reserve(text, size);
	if (r == 0)
		r = source_read_exact(&file, 0, text->data, size);
	if (r == 0)
		text->len = size;
	source_close(&file);
	return r;
}

/* Keeps a string with its NUL. -EFBIG when there would be more than `max` bytes. */
static int keep(struct buf *b, struct span s, uint32_t max, uint32_t *ret_off)
{
	if (b->len + s.len + 1 > max)
		return -EFBIG;
	*ret_off = (uint32_t)b->len;
	buf_add_span(b, s);
	buf_add_char(b, '\0');
	return buf_error(b);
}

static void *grown(void *all, uint32_t nr, uint32_t *cap, size_t size)
{
	if (nr < *cap)
		return all;
	uint32_t more = *cap ? *cap * 2 : 64;
	void *bigger = reallocarray(all, more, size);
	if (bigger)
		*cap = more;
	return bigger;
}

/* ---- files with digests ---- */

/* Where the file lies that `package` brings as `path`: there, or where it is diverted to. */
static int place_of(struct loading *loading, const char *package, struct span path,
		    uint32_t *ret_path)
{
	uint64_t i;

	if (map_get(&loading->diverted, path, &i)) {
		const struct diversion *diversion = &loading->diversions[i];
		const char *diverter = loading->packages->names.data + diversion->package;
		/* A diversion knows a package without its architecture. */
		size_t len = strcspn(package, ":");
		if (strlen(diverter) != len || strncmp(diverter, package, len) != 0) {
			*ret_path = diversion->to;
			return 0;
		}
	}
	return keep(&loading->packages->paths, path, PACKAGES_PATHS_MAX, ret_path);
}

static int file_add(struct loading *loading, uint32_t package, struct span path, const uint8_t *md5,
		    bool is_conffile)
{
	struct packages *packages = loading->packages;
	struct package_file file = { .package = package, .is_conffile = is_conffile };

	if (packages->nr_files == PACKAGES_FILES_MAX)
		return -EFBIG;
	memcpy(file.md5, md5, sizeof(file.md5));
	int r = place_of(loading, packages_name_of(packages, package), path, &file.path);
	if (r)
		return r;
	struct package_file *files =
		grown(packages->files, packages->nr_files, &packages->cap_files, sizeof(*files));
	if (!files)
		return -ENOMEM;
	packages->files = files;
	files[packages->nr_files++] = file;
	return 0;
}

/* ---- status ---- */

static int on_conffile(const struct dpkg_conffile *conffile, void *ctx)
{
	struct loading *loading = ctx;

	if (!conffile->has_md5)
		return 0;
	return file_add(loading, loading->package, conffile->path, conffile->md5, true);
}

static int on_package(const struct dpkg_package *found, void *ctx)
{
	struct loading *loading = ctx;
	struct packages *packages = loading->packages;
	struct package package = {
		.is_unpacked = dpkg_is_unpacked(found),
		.is_unsettled = found->state == DPKG_HALF_INSTALLED || found->needs_reinstall,
	};

	if (is_stopped(loading))
		return -ECANCELED;
	buf_clear(&loading->scratch);
	buf_add_span(&loading->scratch, found->name);
	if (found->is_multi_arch_same && found->arch.len) {
		buf_add_char(&loading->scratch, ':');
		buf_add_span(&loading->scratch, found->arch);
	}
	int r = buf_error(&loading->scratch);
	struct span name = buf_span(&loading->scratch);
	if (r || map_get(&loading->by_name, name, NULL))
		return r;
	if (packages->nr == PACKAGES_MAX)
		return -EFBIG;
	r = keep(&packages->names, name, NAMES_MAX, &package.name);
	if (r == 0)
		r = map_put(&loading->by_name, name, packages->nr);
	if (r)
		return r;
	struct package *list = grown(packages->list, packages->nr, &packages->cap, sizeof(*list));
	if (!list)
		return -ENOMEM;
	packages->list = list;
	list[packages->nr] = package;
	loading->package = packages->nr++;
	r = dpkg_parse_conffiles(found->conffiles, on_conffile, loading);
	return r == -EBADMSG ? tell_damaged(loading, "status",
					    packages_name_of(packages, loading->package), r)
			     : r;
}

static int on_update(struct span name, uint32_t ino, unsigned type, void *ctx)
{
	struct loading *loading = ctx;
	uint64_t number;

	(void)ino;
	(void)type;
	if (span_parse_u64(name, UINT32_MAX, &number))
		return 0;
	if (loading->nr_updates == UPDATES_MAX)
		return -EFBIG;
	loading->updates[loading->nr_updates++] = (uint32_t)number;
	return 0;
}

static int compare_down(const void *a, const void *b)
{
	const uint32_t *one = a, *two = b;

	return *one < *two ? 1 : *one > *two ? -1 : 0;
}

/* One file of the form of `status`. */
static int status_read(struct loading *loading, const char *name, uint64_t max, bool is_needed)
{
	uint32_t ino;
	int r = ext4_lookup(loading->fs, loading->dir, name, &ino);

	if (r == 0)
		r = text_read(loading, ino, max);
	if (r)
		return is_needed ? r : tell_damaged(loading, name, NULL, r);
	r = dpkg_parse_status(buf_span(&loading->text), on_package, loading);
	return r == -EBADMSG ? tell_damaged(loading, name, NULL, r) : r;
}

static int updates_load(struct loading *loading)
{
	char name[32];
	uint32_t dir;
	int r = ext4_lookup(loading->fs, loading->dir, "updates", &dir);

	if (r == -ENOENT)
		return 0;
	loading->updates = calloc(UPDATES_MAX, sizeof(*loading->updates));
	if (!loading->updates)
		return -ENOMEM;
	if (r == 0)
		r = ext4_list_dir(loading->fs, dir, on_update, loading);
	if (r)
		r = tell_damaged(loading, "updates", NULL, r);
	if (loading->nr_updates)
		qsort(loading->updates, loading->nr_updates, sizeof(*loading->updates),
		      compare_down);
	for (size_t i = 0; i < loading->nr_updates && r == 0; i++) {
		(void)snprintf(name, sizeof(name), "updates/%04u", loading->updates[i]);
		r = status_read(loading, name, PACKAGES_INFO_MAX, false);
	}
	return r;
}

/* ---- diversions ---- */

static int on_diversion(const struct dpkg_diversion *found, void *ctx)
{
	struct loading *loading = ctx;
	struct packages *packages = loading->packages;
	struct diversion diversion;

	if (loading->nr_diversions == PACKAGES_MAX)
		return -EFBIG;
	int r = keep(&packages->paths, found->to, PACKAGES_PATHS_MAX, &diversion.to);
	if (r == 0)
		r = keep(&packages->names, found->package, NAMES_MAX, &diversion.package);
	if (r)
		return r;
	loading->diversions[loading->nr_diversions] = diversion;
	r = map_put(&loading->diverted, found->from, loading->nr_diversions++);
	return r == MAP_REPLACED ? 0 : r;
}

static int diversions_load(struct loading *loading)
{
	uint32_t ino;
	int r = ext4_lookup(loading->fs, loading->dir, "diversions", &ino);

	if (r == -ENOENT)
		return 0;
	loading->diversions = calloc(PACKAGES_MAX, sizeof(*loading->diversions));
	if (!loading->diversions)
		return -ENOMEM;
	if (r == 0)
		r = text_read(loading, ino, PACKAGES_INFO_MAX);
	if (r)
		return tell_damaged(loading, "diversions", NULL, r);
	r = dpkg_parse_diversions(buf_span(&loading->text), on_diversion, loading);
	return r == -EBADMSG ? tell_damaged(loading, "diversions", NULL, r) : r;
}

/* ---- info ---- */

static int on_info(struct span leaf, uint32_t ino, unsigned type, void *ctx)
{
	struct loading *loading = ctx;
	struct span name;
	uint64_t i;

	(void)type;
	enum dpkg_info info = dpkg_parse_info_name(leaf, &name);
	if (info == DPKG_INFO_OTHER || !map_get(&loading->by_name, name, &i))
		return 0;
	struct package *package = &loading->packages->list[i];
	if (info == DPKG_INFO_LIST)
		package->list_ino = ino;
	else
		package->md5sums_ino = ino;
	return 0;
}

static int on_listed(struct span path, void *ctx)
{
	struct loading *loading = ctx;

	if (loading->listed.count == PACKAGES_FILES_MAX)
		return -EFBIG;
	int r = map_put(&loading->listed, path, 0);
	return r == MAP_REPLACED ? 0 : r;
}

static int on_md5(struct span path, const uint8_t md5[DPKG_MD5_LEN], void *ctx)
{
	struct loading *loading = ctx;

	if (!map_get(&loading->listed, path, NULL))
		return 0;
	return file_add(loading, loading->package, path, md5, false);
}

struct times {
	int error;
	int64_t mtime_ns, ctime_ns;
};

static int on_times(const struct ext4_inode *inode, int error, void *ctx)
{
	struct times *times = ctx;

	*times = (struct times){ error, inode->mtime_ns, inode->ctime_ns };
	return 0;
}

static int times_read(struct loading *loading, struct package *package)
{
	struct times list, md5sums;
	int r = ext4_read_inode(loading->fs, package->list_ino, on_times, &list);

	if (r == 0)
		r = ext4_read_inode(loading->fs, package->md5sums_ino, on_times, &md5sums);
	if (r == 0)
		r = list.error ? list.error : md5sums.error;
	if (r)
		return r;
	package->written_ns = min_of(list.mtime_ns, md5sums.ctime_ns);
	package->installed_ns = min_of(max_of(list.mtime_ns, list.ctime_ns), md5sums.ctime_ns);
	return 0;
}

static int tell_info(struct loading *loading, const char *kind, int error)
{
	const char *owner = packages_name_of(loading->packages, loading->package);
	char name[2 * DPKG_NAME_MAX];

	(void)snprintf(name, sizeof(name), "info/%s.%s", owner, kind);
	return tell_damaged(loading, name, owner, error);
}

/* Of a file that is damaged in one place, the rest counts. */
static int package_read(struct loading *loading, struct package *package)
{
	int r = package->list_ino ? text_read(loading, package->list_ino, PACKAGES_INFO_MAX)
				  : -ENOENT;

	if (r == 0)
		r = times_read(loading, package);
	if (r)
		return tell_info(loading, "list", r);
	r = dpkg_parse_list(buf_span(&loading->text), on_listed, loading);
	if (r == -EBADMSG)
		r = tell_info(loading, "list", r);
	if (r)
		return r;
	r = text_read(loading, package->md5sums_ino, PACKAGES_INFO_MAX);
	if (r)
		return tell_info(loading, "md5sums", r);
	r = dpkg_parse_md5sums(buf_span(&loading->text), on_md5, loading);
	return r == -EBADMSG ? tell_info(loading, "md5sums", r) : r;
}

static int package_load(struct loading *loading, uint32_t i)
{
	struct packages *packages = loading->packages;
	struct package *package = &packages->list[i];

	if (package->is_unsettled) {
		struct packages_notice notice = {
			.kind = PACKAGES_UNSETTLED,
			.path = "",
			.package = packages_name_of(packages, i),
		};
		return packages_tell(packages, &loading->hooks, &notice);
	}
	if (!package->is_unpacked || package->md5sums_ino == 0)
		return 0;
	loading->package = i;
	int r = package_read(loading, package);
	map_fini(&loading->listed);
	return r;
}

static int info_load(struct loading *loading)
{
	uint32_t dir;
	int r = ext4_lookup(loading->fs, loading->dir, "info", &dir);

	if (r == 0)
		r = ext4_list_dir(loading->fs, dir, on_info, loading);
	if (r)
		r = tell_damaged(loading, "info", NULL, r);
	for (uint32_t i = 0; i < loading->packages->nr && r == 0; i++) {
		if (is_stopped(loading))
			r = -ECANCELED;
		else
			r = package_load(loading, i);
	}
	return r;
}

/* ---- the table ---- */

static int compare_files(const void *a, const void *b)
{
	const struct package_file *one = a, *two = b;

	if (one->ino != two->ino)
		return one->ino < two->ino ? -1 : 1;
	if (one->package != two->package)
		return one->package < two->package ? -1 : 1;
	int order = memcmp(one->md5, two->md5, MD5_LEN);
	if (order)
		return order;
	return one->path < two->path ? -1 : one->path > two->path;
}

/* Drops what was not found, and what is said twice by one package; the rest goes by inode. */
static void table_finish(struct packages *packages)
{
	struct package_file *files = packages->files;
	uint32_t nr = 0, last = 0;

	packages->info.nr_packages = packages->nr;
	packages->info.nr_listed = packages->nr_files;
	if (packages->nr_files == 0)
		return;
	qsort(files, packages->nr_files, sizeof(*files), compare_files);
	for (uint32_t i = 0; i < packages->nr_files; i++) {
		if (files[i].ino == 0)
			continue;
		struct package_file *before = nr ? &files[nr - 1] : NULL;
		packages->info.nr_inodes += files[i].ino != last;
		last = files[i].ino;
		if (before && before->ino == files[i].ino && before->package == files[i].package &&
		    memcmp(before->md5, files[i].md5, MD5_LEN) == 0) {
			before->is_conffile |= files[i].is_conffile;
			continue;
		}
		files[nr++] = files[i];
	}
	packages->nr_files = nr;
}

static int load(struct loading *loading)
{
	uint32_t status;
	int r = ext4_lookup(loading->fs, EXT4_ROOT_INO, ADMIN_DIR, &loading->dir);

	if (r == 0)
		r = ext4_lookup(loading->fs, loading->dir, "status", &status);
	if (r == -ENOTDIR)
		r = -ENOENT;
	if (r == 0)
		r = diversions_load(loading);
	if (r == 0)
		r = updates_load(loading);
	if (r == 0)
		r = status_read(loading, "status", PACKAGES_STATUS_MAX, true);
	if (r == 0)
		r = info_load(loading);
	if (r == 0)
		r = packages_resolve(loading->packages, loading->fs, &loading->hooks);
	if (r == 0)
		table_finish(loading->packages);
	return r;
}

int packages_load(struct ext4 *fs, const volatile sig_atomic_t *stop, packages_notice_fn notice,
		  struct packages **ret_packages, void *ctx)
{
	struct loading loading = {
		.packages = calloc(1, sizeof(*loading.packages)),
		.fs = fs,
		.hooks = { stop, notice, ctx },
	};

	*ret_packages = NULL;
	if (!loading.packages)
		return -ENOMEM;
	int r = load(&loading);
	map_fini(&loading.by_name);
	map_fini(&loading.diverted);
	map_fini(&loading.listed);
	buf_fini(&loading.text);
	buf_fini(&loading.scratch);
	free(loading.diversions);
	free(loading.updates);
	if (r)
		packages_free(loading.packages);
	else
		*ret_packages = loading.packages;
	return r;
}

void packages_free(struct packages *packages)
{
	if (!packages)
		return;
	buf_fini(&packages->names);
	buf_fini(&packages->paths);
	free(packages->list);
	free(packages->files);
	free(packages);
}

void packages_get_info(const struct packages *packages, struct packages_info *ret_info)
{
	*ret_info = packages->info;
}

uint32_t packages_find(const struct packages *packages, uint32_t ino)
{
	uint32_t low = 0, high = packages->nr_files;

	while (low < high) {
		uint32_t mid = low + (high - low) / 2;
		if (packages->files[mid].ino < ino)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

bool packages_owner(const struct packages *packages, uint32_t ino, struct packages_owner *ret_owner)
{
	uint32_t i = packages_find(packages, ino);

	if (i == packages->nr_files || packages->files[i].ino != ino)
		return false;
	*ret_owner = (struct packages_owner){
		.path = packages_path_at(packages, packages->files[i].path),
		.package = packages_name_of(packages, packages->files[i].package),
	};
	for (; i < packages->nr_files && packages->files[i].ino == ino; i++)
		ret_owner->is_conffile |= packages->files[i].is_conffile;
	return true;
}

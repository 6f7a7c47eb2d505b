/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What packages.c, packages_paths.c and packages_check.c share, and nobody else sees.
 */
#ifndef VERIFY_PACKAGES_TABLE_H
#define VERIFY_PACKAGES_TABLE_H

#include "base/buf.h"
#include "verify/packages.h"

struct package {
	uint32_t name;			/* offset in names */
	uint32_t list_ino, md5sums_ino; /* 0: there is none */
	bool is_unpacked;
	bool is_unsettled;
	int64_t written_ns, installed_ns; /* as in struct package_witness */
};

struct package_file {
	uint32_t ino; /* 0: not found */
	uint32_t package;
	uint32_t path; /* offset in paths */
	uint8_t md5[MD5_LEN];
	bool is_conffile;
};

struct packages {
	struct buf names, paths; /* each ends with a NUL */
	struct package *list;
	uint32_t nr, cap;
	struct package_file *files; /* once loaded: ascending by inode */
	uint32_t nr_files, cap_files;
	struct packages_info info;
};

/* Who is told of a load, and who may stop it. */
struct packages_load_hooks {
	const volatile sig_atomic_t *stop;
	packages_notice_fn fn;
	void *ctx;
};

/* Counts and tells; the result of the callback. */
int packages_tell(struct packages *packages, const struct packages_load_hooks *hooks,
		  const struct packages_notice *notice) must_check;

static inline const char *packages_path_at(const struct packages *packages, uint32_t off)
{
	return packages->paths.data + off;
}

static inline const char *packages_name_of(const struct packages *packages, uint32_t package)
{
	return packages->names.data + packages->list[package].name;
}

/* The first file with this inode or a greater one, or nr_files. */
uint32_t packages_find(const struct packages *packages, uint32_t ino);

/* packages_paths.c: sets the inode of every file; they are left in the order of their paths. */
int packages_resolve(struct packages *packages, struct ext4 *fs,
		     const struct packages_load_hooks *hooks) must_check;

#endif

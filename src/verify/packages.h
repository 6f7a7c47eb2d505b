/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The package witness: the digests that dpkg keeps of the files it has installed, against the
 * bytes of those files. Both are read from one and the same ext4 filesystem, mounted or not, by way of
 * its blocks; no path of this host is opened. It is taken for the root of a Debian system.
 *
 * What counts as installed: a package that dpkg has unpacked, with its md5sums, as far as its list still
 * names the path (another package may have taken it over), at the place where diversions put it; and
 * conffiles with the digest that came with the package. A package that dpkg was in the middle of is left out.
 *
 * Of a filesystem that is mounted, or whose journal was not replayed, metadata may be older than the truth.
 * What is said of a file is then a suspicion: look again, packages_check_inode, after a sync and with a source
 * that has forgotten what it read ahead, and load anew if dpkg has been at work meanwhile.
 *
 * A struct packages belongs to one thread. Sources: as in format/dpkg/dpkg.h.
 */
#ifndef VERIFY_PACKAGES_H
#define VERIFY_PACKAGES_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include "digest/digest.h"
#include "format/ext4/ext4.h"

#define PACKAGES_MAX 65536			 /* packages, and as many diversions */
#define PACKAGES_FILES_MAX (UINT32_C(1) << 20)	 /* listed paths; 32 bytes each */
#define PACKAGES_PATHS_MAX (UINT32_C(64) << 20)	 /* bytes of all paths together */
#define PACKAGES_STATUS_MAX (UINT32_C(64) << 20) /* bytes of `status` */
#define PACKAGES_INFO_MAX (UINT32_C(32) << 20)	 /* bytes of any other file of the database */

struct packages;

/* ---- loading ---- */

/* What is no verdict, and should be known. */
enum packages_notice_kind {
	PACKAGES_MISSING, /* a listed file is not there: removed, or never unpacked (path-exclude) */
	PACKAGES_REPLACED,   /* something other than a regular file is there */
	PACKAGES_UNRESOLVED, /* a directory on the way to it could not be read */
	PACKAGES_DAMAGED,    /* a file of the database: what is good of it counts */
	PACKAGES_UNSETTLED, /* a package is half installed: none of its files counts but conffiles */
	PACKAGES_NOTICE_COUNT_,
};

struct packages_notice {
	enum packages_notice_kind kind;
	const char *path;    /* from the root, without a slash; "" with PACKAGES_UNSETTLED */
	const char *package; /* "" for a file of the database that belongs to none */
	bool is_conffile;
	int error; /* with PACKAGES_UNRESOLVED, PACKAGES_DAMAGED; else 0 */
};

/* Borrowed for the call. A result that is not 0 stops the load and is returned. */
typedef int (*packages_notice_fn)(const struct packages_notice *notice, void *ctx);

struct packages_info {
	uint32_t nr_packages; /* known to dpkg, removed ones with conffiles too */
	uint32_t nr_listed;   /* paths with a digest */
	uint32_t nr_inodes;   /* that they are, hard links and paths of several packages once */
	uint32_t nr_notices[PACKAGES_NOTICE_COUNT_];
};

/*
 * `stop` and `notice` may be NULL. -ENOENT: no var/lib/dpkg/status, so no Debian root; -EFBIG: beyond one of
 * the limits above; -ECANCELED: *stop was set; -ENOMEM; the errno of reading `status` or of the way
 * to it; or the result of `notice`. *ret_packages is NULL then. Release with packages_free.
 */
int packages_load(struct ext4 *fs, const volatile sig_atomic_t *stop, packages_notice_fn notice,
		  struct packages **ret_packages, void *ctx) must_check;

void packages_free(struct packages *packages); /* NULL is allowed */

void packages_get_info(const struct packages *packages, struct packages_info *ret_info);

/* Borrowed from the packages. */
struct packages_owner {
	const char *path; /* one of them; from the root, without a slash */
	const char *package;
	bool is_conffile; /* by any of its paths */
};

/* Which package an inode belongs to; false when to none. */
bool packages_owner(const struct packages *packages, uint32_t ino,
		    struct packages_owner *ret_owner);

/* ---- judging ---- */

enum package_class {
	PACKAGE_FILE_OK,
	PACKAGE_FILE_CORRUPT,  /* differs, and by its times nobody wrote it since it was unpacked */
	PACKAGE_FILE_CHANGED,  /* differs, and somebody changed it, or its times say nothing */
	PACKAGE_FILE_CONFFILE, /* a conffile that differs: the administrator's right */
	PACKAGE_FILE_UNREADABLE, /* bytes could not be read */
	PACKAGE_FILE_UNKNOWN, /* encrypted, metadata damaged, gone meanwhile, bytes in a journal */
	PACKAGE_CLASS_COUNT_,
};

const char *package_class_name(enum package_class class); /* "ok"... */

/* What should be. Times are nanoseconds since the epoch; 0: not known, and then nobody is blamed. */
struct package_witness {
	uint8_t md5[MD5_LEN];
	bool is_conffile;
	int64_t written_ns;   /* at or after this, who writes is not dpkg */
	int64_t installed_ns; /* a change of the inode later than this by the slack is not dpkg's */
};

/* What is. */
struct package_look {
	int error;	/* of the inode; else 0 */
	int read_error; /* of its bytes; else 0 */
	uint8_t md5[MD5_LEN];
	int64_t mtime_ns, ctime_ns;
};

#define PACKAGE_CTIME_SLACK_NS INT64_C(60000000000)

/* Pure. */
enum package_class packages_judge(const struct package_witness *witness,
				  const struct package_look *look);

/*
 * All but one hexadecimal digit are the same: then it is the digest in the database that is damaged,
 * not the file. By accident that happens once in 10^36.
 */
bool packages_is_near(const uint8_t a[MD5_LEN], const uint8_t b[MD5_LEN]);

/* ---- checking ---- */

struct package_result {
	enum package_class class;
	uint32_t ino;
	struct packages_owner owner;
	uint64_t size; /* bytes that were read */
	struct package_witness
		witness; /* where several packages list it: the one that matches, or the latest */
	struct package_look look; /* times are read, and set, only where it differs */
	bool is_near;		  /* see packages_is_near */
	uint64_t error_off; /* of PACKAGE_FILE_UNREADABLE: the first block that cannot be read */
};

/* A result that is not 0 stops the check and is returned. */
typedef int (*package_result_fn)(const struct package_result *result, void *ctx);

/* The planted fault: one good file, looked at again with a digest that is wrong in one bit. */
enum packages_canary {
	PACKAGES_CANARY_NONE, /* no file was good that is no conffile */
	PACKAGES_CANARY_FOUND,
	PACKAGES_CANARY_MISSED, /* this check cannot see: its results are worth nothing */
};

/*
 * Every file once, in the order in which they lie on the disk. `stop` may be NULL. 0; -ECANCELED: *stop was set;
 * -ENOMEM; -ENOTSUP: no MD5; or the result of `fn`. The canary is planted behind the first good file,
 * not told to `fn`, and *ret_canary is right after a failure, too.
 */
int packages_check(const struct packages *packages, struct ext4 *fs,
		   const volatile sig_atomic_t *stop, package_result_fn fn,
		   enum packages_canary *ret_canary, void *ctx) must_check;

/* One of them, read anew. -ENOENT: it is no package's. Else as packages_check. */
int packages_check_inode(const struct packages *packages, struct ext4 *fs, uint32_t ino,
			 package_result_fn fn, void *ctx) must_check;

#endif

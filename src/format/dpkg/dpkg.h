/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What dpkg keeps of the packages it has installed, below /var/lib/dpkg: `status` and the files of
 * the same form in `updates`; info/NAME.md5sums, info/NAME.list; `diversions`. Sources: Debian Policy
 * ("Syntax of control files"), deb-md5sums(5), deb-conffiles(5), dpkg(1), dpkg-divert(1), and files
 * of dpkg 1.21.22.
 *
 * Everything here takes spans, reads nothing, allocates nothing, and may be called from any thread.
 * Spans that are handed out are borrowed from the text. A path is told without a slash at its beginning,
 * relative to the root of the system; it has 1 to DPKG_PATH_MAX bytes of any kind but NUL and LF, and no
 * component of it is empty, `.` or `..`.
 *
 * A walk hands out what is good, passes over what is not, and returns -EBADMSG at its end if there was
 * any of that. A result of the callback that is not 0 stops it and is returned.
 */
#ifndef FORMAT_DPKG_DPKG_H
#define FORMAT_DPKG_DPKG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/span.h"

#define DPKG_PATH_MAX 4096   /* bytes, the name of one file in it up to 255 */
#define DPKG_NAME_MAX 255    /* bytes of the name of a package, of an architecture, of a version */
#define DPKG_LINE_MAX 262144 /* bytes of a line of `status`, which may be a long list of packages */
#define DPKG_MD5_LEN 16	     /* bytes */

/* ---- status ---- */

/* As the third word of the field Status. */
enum dpkg_state {
	DPKG_NOT_INSTALLED,
	DPKG_CONFIG_FILES, /* removed; conffiles were left */
	DPKG_HALF_INSTALLED,
	DPKG_UNPACKED,
	DPKG_HALF_CONFIGURED,
	DPKG_TRIGGERS_AWAITED,
	DPKG_TRIGGERS_PENDING,
	DPKG_INSTALLED,
};

struct dpkg_package {
	struct span name;
	struct span arch;	 /* empty: not given */
	struct span version;	 /* empty: not given */
	bool is_multi_arch_same; /* may be installed for several architectures side by side */
	bool needs_reinstall;	 /* half of it may be there */
	enum dpkg_state state;
	struct span conffiles; /* for dpkg_parse_conffiles */
};

typedef int (*dpkg_package_fn)(const struct dpkg_package *package, void *ctx);

/* Wrong: a paragraph without name or status, with one of the fields above twice, with a bad line. */
int dpkg_parse_status(struct span text, dpkg_package_fn fn, void *ctx) must_check;

/* Its files are those that its lists of files and digests name, all of them unpacked. */
bool dpkg_is_unpacked(const struct dpkg_package *package);

struct dpkg_conffile {
	struct span path;
	bool has_md5;		   /* false: not yet configured */
	uint8_t md5[DPKG_MD5_LEN]; /* of the file as the package brought it */
	bool is_obsolete;	   /* the package brings it no more */
	bool is_removed_on_upgrade;
};

typedef int (*dpkg_conffile_fn)(const struct dpkg_conffile *conffile, void *ctx);

/* Flags that are not known are passed over. */
int dpkg_parse_conffiles(struct span conffiles, dpkg_conffile_fn fn, void *ctx) must_check;

/* ---- info ---- */

enum dpkg_info {
	DPKG_INFO_LIST,
	DPKG_INFO_MD5SUMS,
	DPKG_INFO_OTHER, /* scripts, triggers... */
};

/*
 * What the file `leaf` of info/ is, and what the package is called that it belongs to: NAME, or
 * NAME:ARCH for one that is_multi_arch_same.
 */
enum dpkg_info dpkg_parse_info_name(struct span leaf, struct span *ret_package);

typedef int (*dpkg_md5_fn)(struct span path, const uint8_t md5[DPKG_MD5_LEN], void *ctx);

/* Wrong is a digest that has not 32 hexadecimal digits, too. */
int dpkg_parse_md5sums(struct span text, dpkg_md5_fn fn, void *ctx) must_check;

typedef int (*dpkg_path_fn)(struct span path, void *ctx);

/* The root itself, which every list begins with, is not told. */
int dpkg_parse_list(struct span text, dpkg_path_fn fn, void *ctx) must_check;

/* ---- diversions ---- */

struct dpkg_diversion {
	struct span from;
	struct span to;	     /* where the file `from` of every other package lies */
	struct span package; /* whose own file stays; empty: of no package, the administrator's */
};

typedef int (*dpkg_diversion_fn)(const struct dpkg_diversion *diversion, void *ctx);

/* Three lines each; behind one that is wrong the next three count. */
int dpkg_parse_diversions(struct span text, dpkg_diversion_fn fn, void *ctx) must_check;

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A target is what a scan is about: one copy of a store, named by the configuration or by its
 * imapd.conf. Its key, the real path of the configdirectory, is what state remembers it by, so
 * that both ways of naming it mean the same target.
 */
#ifndef VERIFY_TARGET_H
#define VERIFY_TARGET_H

#include <stdbool.h>

#include "base/compiler.h"
#include "base/log.h"
#include "format/assay/conf.h"
#include "format/cyrus/imapd_conf.h"
#include "verify/image.h"

struct target {
	char *store;
	char *host;
	char *imapd_conf_path;
	char *key;
	struct imapd_conf imapd_conf;
	struct image *image; /* owned; NULL: all of it is on this host */
	bool is_named; /* by the configuration: its name is worth remembering */
};

#define TARGET_NULL ((struct target){ 0 })

/* May be called twice, and on TARGET_NULL. */
void target_fini(struct target *target);

/*
 * Reads imapd.conf and finds the configdirectory. Every error is said in `log`: those of
 * imapd_conf_read, or -ENODEV when the configdirectory is not there.
 */
int target_open(struct target *target, const char *store, const char *host,
		const char *imapd_conf_path, const struct log *log) must_check;

/*
 * The same for a store that lies wholly or partly in an image, which is taken over, also on failure. It
 * is another target than the store when it is mounted: its key names the filesystem too.
 */
int target_open_image(struct target *target, const char *store, const char *host,
		      const char *imapd_conf_path, struct image *image,
		      const struct log *log) must_check;

/* Resolves "STORE" or "STORE@HOST" in the configuration. -ENOENT, said in `log`, when none is so
 * named; else as target_open_image, with `image` or NULL. */
int target_open_named(struct target *target, const struct conf *conf, const char *name,
		      struct image *image, const struct log *log) must_check;

#endif

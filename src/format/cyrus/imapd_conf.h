/* SPDX-License-Identifier: Apache-2.0 */
/*
 * imapd.conf, read as Cyrus reads it: `name: value` lines, names without regard to case, a
 * backslash at the end of a line joins the next, `#` starts a comment line, `@include: FILE`
 * reads another file in place. An option given twice, an empty value, a line without a colon and
 * a file included twice are errors, as they are fatal to Cyrus 3.6 (lib/libconfig.c).
 *
 * Options prefixed by a service name (`imap_sync_log: no`) are kept under their full name.
 * A value that starts with `{configdirectory}` has that replaced by imapd_conf_read, but not where
 * the name ends in that of a partition (`partition-x`, `metadir-index-x`): there Cyrus keeps it as
 * it stands, and so do we.
 */
#ifndef FORMAT_CYRUS_IMAPD_CONF_H
#define FORMAT_CYRUS_IMAPD_CONF_H

#include <stdbool.h>
#include <stddef.h>

#include "base/compiler.h"
#include "base/log.h"
#include "base/span.h"

struct imapd_option {
	char *name;  /* lower case */
	char *value; /* trimmed, never empty */
	char *file;  /* where it was given */
	unsigned line;
};

struct imapd_conf {
	struct imapd_option *options; /* sorted by name; an include stands there as "@include" */
	size_t nr_options;
};

#define IMAPD_CONF_NULL ((struct imapd_conf){ NULL, 0 })

/*
 * Parses the text of one file into `conf`, adding to what is there. Each `@include` is handed to
 * `include` (NULL: an include is an error), which reads the file and calls imapd_conf_parse again
 * with the `depth` that it was given, one more than that of the including file. -EBADMSG for text
 * that Cyrus would refuse or that holds a NUL byte (said in `log` with file and line), -ELOOP
 * beyond 16 includes deep, -EEXIST for a file included twice (under the same name), -E2BIG above
 * 1 MiB of text or 16,384 options and includes, -ENOMEM, or what `include` returned.
 */
typedef int (*imapd_conf_include_fn)(struct imapd_conf *conf, const char *path, unsigned depth,
				     const struct log *log, void *ctx);
int imapd_conf_parse(struct imapd_conf *conf, struct span text, const char *file, unsigned depth,
		     imapd_conf_include_fn include, const struct log *log, void *ctx) must_check;

/*
 * Reads a file and everything it includes, then checks that `configdirectory` is there and
 * absolute. Errors as above, or the errno of open and read, or -EINVAL for what is not a regular
 * file; each is said once in `log`, and leaves `conf` empty. A relative include path is taken as
 * Cyrus takes it: relative to the current directory.
 */
int imapd_conf_read(struct imapd_conf *conf, const char *path, const struct log *log) must_check;

/* May be called twice, and on IMAPD_CONF_NULL. */
void imapd_conf_fini(struct imapd_conf *conf);

/* The value of an option (name in lower case), or `fallback`. Borrowed from `conf`. */
const char *imapd_conf_get(const struct imapd_conf *conf, const char *name, const char *fallback);

/*
 * A switch as Cyrus reads one (0/n/of.../f and 1/y/on.../t by their first letters, in lower case).
 * -EBADMSG, said in `log`, for anything else.
 */
int imapd_conf_get_switch(const struct imapd_conf *conf, const char *name, bool fallback,
			  const struct log *log, bool *ret) must_check;

/* True when `word` is one of the space-separated words of the option's value. */
bool imapd_conf_has_word(const struct imapd_conf *conf, const char *name, const char *word);

#endif

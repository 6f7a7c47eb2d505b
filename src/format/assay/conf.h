/* SPDX-License-Identifier: Apache-2.0 */
/*
 * assay.conf: which host this is, which copies of which stores and which volumes it can see, and
 * policy. INI, read
 * from one file and then from every *.conf in the folder conf.d beside it, in the order of their
 * names. A key that is not known is an error: a misspelt limit must not silently be the default.
 *
 * A *copy* is a store on a host: `[store s1]` is the copy on host.name, `[store s1@imap22]` the
 * copy of peer imap22 that is reachable as a path on this host. A *volume* is a filesystem of this
 * host: `[volume root]`. Volumes and stores are named in one place, the command line, so none of one
 * kind has the name of one of the other.
 */
#ifndef FORMAT_ASSAY_CONF_H
#define FORMAT_ASSAY_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/log.h"

#define CONF_DEFAULT_FILE "/etc/assay/assay.conf"
#define CONF_DEFAULT_STATE "/var/lib/assay"

enum role {
	ROLE_UNKNOWN,
	ROLE_MASTER,
	ROLE_REPLICA,
	ROLE_COUNT_,
};

const char *role_name(enum role role);

struct copy {
	char *store;
	char *host;	  /* never NULL after conf_read */
	char *imapd_conf; /* absolute path */
	enum role role;
	char *peers;   /* host names separated by spaces; may be NULL */
	char *channel; /* the sync log channel of the master that feeds this copy; NULL: the default */
};

/* One of `mount` and `device` is given, the other is NULL. */
struct conf_volume {
	char *name;
	char *mount;  /* the absolute path where it is mounted */
	char *device; /* the absolute path of a block device or of an image */
};

struct policy {
	int64_t max_lag_ns;	 /* a replica at most this far behind is fresh; default 5 min */
	int64_t max_scan_age_ns; /* every byte verified within this time; default 36 h */
	int64_t gate_deadline_ns; /* what has not answered by then is unknown; default 10 s */
	int64_t gate_patience_ns; /* how long the gate watches a log drain; default 3 s */
	int64_t settle_ns;	 /* a suspicion is looked at again after this; default 2 s */
	uint32_t readers;	 /* threads that read messages without io_uring, 1-64; default 8 */
	uint64_t scan_bandwidth; /* bytes/s that a scan reads from a disk; default 0: no ceiling */
	uint64_t scan_iops;	 /* reads/s; default 0: no ceiling */
	bool scan_polite;	 /* a scan gives way to others; default no */
};

struct conf {
	char *host; /* host.name; NULL when not given */
	struct policy policy;
	struct copy *copies;
	size_t nr_copies;
	struct conf_volume *volumes;
	size_t nr_volumes;
};

/* Defaults, no copies and no volumes. */
void conf_init(struct conf *conf);

/* May be called twice, and on a zeroed struct. */
void conf_fini(struct conf *conf);

/*
 * Reads `path` and its conf.d. -EBADMSG: not understood, each reason said in `log` with its file
 * and line; -ENOMEM; or the errno of reading. On an error `conf` is empty and safe to fini.
 */
int conf_read(struct conf *conf, const char *path, const struct log *log) must_check;

/* The copy of `store` on `host` (NULL: on conf->host), or NULL. Borrowed from `conf`. */
const struct copy *conf_find_copy(const struct conf *conf, const char *store, const char *host);

/* The one master copy of `store`, or NULL when there is none. Borrowed. */
const struct copy *conf_find_master(const struct conf *conf, const char *store);

/* The volume of that name, or NULL. Borrowed. */
const struct conf_volume *conf_find_volume(const struct conf *conf, const char *name);

#endif

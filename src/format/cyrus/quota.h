/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A quota root: what its mailboxes use and may use. The content of a file below quota/ (3.x: a
 * dlist; before: two lines), or of a record in a quota database. Source: real files and databases
 * of 3.6.1; the lines by the source of 2.4.
 */
#ifndef FORMAT_CYRUS_QUOTA_H
#define FORMAT_CYRUS_QUOTA_H

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/span.h"

enum quota_resource {
	QUOTA_STORAGE,	   /* bytes used; the limit is in KiB */
	QUOTA_MESSAGES,	   /* one by one, as folders are */
	QUOTA_ANNOTATIONS, /* bytes used; the limit is in KiB */
	QUOTA_FOLDERS,
	QUOTA_RESOURCE_COUNT_,
};

struct quota {
	struct {
		bool is_given;
		uint64_t used;
		int64_t limit; /* -1: none */
	} resources[QUOTA_RESOURCE_COUNT_];
};

const char *quota_resource_name(enum quota_resource resource); /* "storage"... */

/*
 * 0, or -EBADMSG: outside both grammars, a resource twice, a number too large. So is an empty
 * file, which is no quota root to Cyrus.
 */
int quota_parse(struct span text, struct quota *ret_quota) must_check;

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Explain: everything that the files of one mailbox say, field by field, and which checks they
 * pass, as one look sees it. For people who want to know why; nothing is confirmed or kept.
 */
#ifndef VERIFY_EXPLAIN_H
#define VERIFY_EXPLAIN_H

#include "base/compiler.h"
#include "base/log.h"
#include "verify/target.h"

enum explain_result {
	EXPLAIN_VALUE,	/* what a field says */
	EXPLAIN_PASSED, /* a check */
	EXPLAIN_FAILED,
	EXPLAIN_UNKNOWN, /* it could not be made */
	EXPLAIN_RESULT_COUNT_,
};

/* One line. Strings are borrowed for the call, printable, and "" where they do not apply. */
struct explain_line {
	enum explain_result result;
	const char *path; /* of the file */
	const char *part; /* "header", "record 3", "message 7"... */
	const char *name; /* of the field, or the code of the finding that the check is about */
	const char *value;
};

typedef void (*explain_fn)(const struct explain_line *line, void *ctx);

/* What came of it all. */
struct explain_summary {
	uint64_t passed, failed, unknown;
};

/*
 * Explains the mailbox of this name: internal, or as administrators write it. 0; -ENOENT: no such
 * mailbox is listed; else what prevents it, said in `log`.
 */
int explain_mailbox(const struct target *target, const char *name, const struct log *log,
		    explain_fn fn, void *ctx, struct explain_summary *ret_summary) must_check;

#endif

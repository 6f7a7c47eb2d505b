/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Report: what one look found wrong with the metadata of a mailbox, problem by problem. Nothing of
 * it is said before a second look, whose report is held against the first: see verify/meta_confirm.
 *
 * Memory is bounded: beyond REPORT_MAX problems are counted only.
 */
#ifndef VERIFY_REPORT_H
#define VERIFY_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "format/cyrus/layout.h"
#include "verify/finding.h"

#define REPORT_MAX 256 /* problems by name */

struct problem {
	enum finding_code code; /* FINDING_CODE_COUNT_: a gap, and `detail` says why */
	char object[40];	/* what it is about, as findings name it: "header", "cache:7" */
	enum mailbox_file file; /* where */
	char leaf[40];		/* the name of the file there */
	uint32_t uid;		/* 0: none */
	uint32_t record;	/* counted from 1; 0: none */
	/*
	 * It is about files that do not change at one moment: it stands only if both looks saw the
	 * same, to the letter.
	 */
	bool is_between;
	char recorded[128];
	char observed[128];
	char detail[320];
};

struct report {
	struct problem *problems;
	size_t nr, cap;
	uint64_t nr_left_out;
	/* The index changed under the look: its sums were not judged. */
	bool is_unsettled;
	bool has_failed; /* no memory for all of it */
};

#define REPORT_NULL ((struct report){ .problems = NULL })

/* May be called twice, and on REPORT_NULL. */
void report_fini(struct report *report);

/*
 * Adds a problem and returns it, zeroed but for code, file, leaf and object, to be filled in. Never
 * NULL: beyond the bound it is a place that counts for nothing.
 */
struct problem *report_add(struct report *report, enum finding_code code, enum mailbox_file file,
			   const char *leaf, const char *object_fmt, ...) printf_like(5, 6);

/* Says why something could not be checked. */
void report_add_gap(struct report *report, enum mailbox_file file, const char *leaf,
		    const char *why_fmt, ...) printf_like(4, 5);

/* The problem of the same code and object, or NULL. */
const struct problem *report_find(const struct report *report, const struct problem *like);

/* Both looks saw the same, as far as that is asked for. */
bool problem_stands(const struct problem *first, const struct problem *second);

static inline bool report_is_clean(const struct report *report)
{
	return report->nr == 0 && !report->is_unsettled && !report->has_failed;
}

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Problems are few: a mailbox has none, or some, or is so broken that a count will do.
 */
#include "verify/report.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void report_fini(struct report *report)
{
	free(report->problems);
	*report = REPORT_NULL;
}

/* Where the problems go that are not kept. */
static struct problem *left_out(struct report *report)
{
	static _Thread_local struct problem nowhere;

	report->nr_left_out++;
	nowhere = (struct problem){ .code = FINDING_CODE_COUNT_ };
	return &nowhere;
}

static struct problem *report_new(struct report *report)
{
	if (report->nr == report->cap) {
		size_t cap = report->cap ? report->cap * 2 : 4;
		if (cap > REPORT_MAX)
			return left_out(report);
		struct problem *problems = reallocarray(report->problems, cap, sizeof(*problems));
		if (!problems) {
			report->has_failed = true;
			return left_out(report);
		}
		report->problems = problems;
		report->cap = cap;
	}
	struct problem *problem = &report->problems[report->nr++];
	*problem = (struct problem){ .code = FINDING_CODE_COUNT_ };
	return problem;
}

struct problem *report_add(struct report *report, enum finding_code code, enum mailbox_file file,
			   const char *leaf, const char *object_fmt, ...)
{
	struct problem *problem = report_new(report);
	va_list args;

	problem->code = code;
	problem->file = file;
	(void)snprintf(problem->leaf, sizeof(problem->leaf), "%s", leaf);
	va_start(args, object_fmt);
	(void)vsnprintf(problem->object, sizeof(problem->object), object_fmt, args);
	va_end(args);
	return problem;
}

void report_add_gap(struct report *report, enum mailbox_file file, const char *leaf,
		    const char *why_fmt, ...)
{
	struct problem *problem =
		report_add(report, FINDING_CODE_COUNT_, file, leaf, "gap:%s", leaf);
	va_list args;

	va_start(args, why_fmt);
	(void)vsnprintf(problem->detail, sizeof(problem->detail), why_fmt, args);
	va_end(args);
}

const struct problem *report_find(const struct report *report, const struct problem *like)
{
	for (size_t i = 0; i < report->nr; i++)
		if (report->problems[i].code == like->code &&
		    strcmp(report->problems[i].object, like->object) == 0)
			return &report->problems[i];
	return NULL;
}

bool problem_stands(const struct problem *first, const struct problem *second)
{
	return !second->is_between || (strcmp(first->recorded, second->recorded) == 0 &&
				       strcmp(first->observed, second->observed) == 0 &&
				       strcmp(first->detail, second->detail) == 0);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a scan said of one fault, compared with what it must say; and the tables of all of them.
 */
#ifndef TESTS_CAMPAIGN_ROOT_JUDGE_H
#define TESTS_CAMPAIGN_ROOT_JUDGE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/span.h"
#include "campaign/root_parts.h"

enum { SAID_MAX = 4096, REASONS_MAX = 8 };

/* A finding, or a gap, whose code is NULL. */
struct said {
	char *code, *object, *detail, *path; /* owned */
};

struct all_said {
	struct said said[SAID_MAX];
	unsigned nr;
	const char *status; /* of the run; static */
	bool is_complete;
};

/* All arguments but `code` may be NULL or empty; copies them. */
void said_add(struct all_said *all, const char *code, const char *object, const char *detail,
	      struct span path);
void said_clear(struct all_said *all);
void said_print(const struct said *said, FILE *out);

struct judged {
	const struct root_image *image;
	const struct fault_done *fault;
	struct oracle *oracle;
	const struct all_said *said;
	bool is_doubted; /* by e2fsck */
	uint64_t seed, round;
};

struct reason {
	const char *why; /* static */
	unsigned with_finding, with_gap, silent, doubted;
};

struct tally {
	unsigned faults, covered, found;
	struct reason reasons[REASONS_MAX];
};

struct tallies {
	struct tally classes[CLASS_COUNT_];
	unsigned told[FAULT_KIND_COUNT_][FAULT_KIND_COUNT_]; /* [meant][told] */
	unsigned also[FAULT_KIND_COUNT_];   /* told by another name that is true of the bytes */
	unsigned chance[FAULT_KIND_COUNT_]; /* the baseline cannot know better */
	unsigned wrong[FAULT_KIND_COUNT_];
	uint64_t covered, found, misattributed, nr_false;
};

/* Adds to the tallies; complains on stderr. */
void judge(struct judged *judged, struct tallies *tallies);

void tallies_print(const struct tallies *tallies); /* on stdout */

#endif

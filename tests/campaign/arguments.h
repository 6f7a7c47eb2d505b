/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command line of every campaign: DIR --seed S --count N.
 */
#ifndef TESTS_CAMPAIGN_ARGUMENTS_H
#define TESTS_CAMPAIGN_ARGUMENTS_H

#include <stdint.h>

#include "base/compiler.h"

struct arguments {
	const char *dir; /* borrowed from argv */
	uint64_t seed;
	uint64_t count; /* rounds or faults, from 1 */
};

/*
 * Reads the command line of `program`, with a count up to `count_max`. A negative errno: it is
 * wrong, which is said on stderr, with the usage.
 */
int arguments_parse(const char *program, uint64_t count_max, int argc, char **argv,
		    struct arguments *ret_arguments) must_check;

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a unit-test file hands to the runner: one suite, named by the path of the module it tests.
 */
#ifndef TESTS_UNIT_SUITES_H
#define TESTS_UNIT_SUITES_H

#include <stddef.h>

struct test_case {
	const char *name; /* a sentence with underscores */
	void (*run)(void);
};

/* A case is named as its function. */
#define CASE(name)                                                                                 \
	{                                                                                          \
#name, name                                                                        \
	}

struct test_suite {
	const char *name; /* "<layer>/<module>" */
	const struct test_case *cases;
	size_t nr_cases;
};

#endif

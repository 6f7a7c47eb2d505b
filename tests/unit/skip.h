/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For a test that finds out that this machine cannot run it.
 */
#ifndef TESTS_UNIT_SKIP_H
#define TESTS_UNIT_SKIP_H

#include "base/compiler.h"

/*
 * Marks the running test as skipped, for `reason`; the test returns right behind it. A test that
 * failed before stays failed: a skip never hides anything.
 */
void test_skip(const char *fmt, ...) printf_like(1, 2);

#endif

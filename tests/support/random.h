/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random numbers that follow from a seed, for what must do the same when it is run again.
 */
#ifndef TESTS_SUPPORT_RANDOM_H
#define TESTS_SUPPORT_RANDOM_H

#include <stdint.h>

/* The next of a row of random numbers, of which `state` is all the memory. */
uint64_t random_next(uint64_t *state);

/* One of 0 .. n - 1. `n` is not 0. */
uint64_t random_below(uint64_t *state, uint64_t n);

#endif

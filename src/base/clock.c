/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The only caller of clock_gettime.
 */
#include "base/clock.h"

int64_t clock_wall_ns(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_REALTIME, &t);
	return clock_from_timespec(t);
}

int64_t clock_mono_ns(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return clock_from_timespec(t);
}

void clock_sleep_ns(int64_t ns)
{
	if (ns <= 0)
		return;
	struct timespec t = { .tv_sec = ns / NS_PER_S, .tv_nsec = ns % NS_PER_S };
	(void)nanosleep(&t, NULL);
}

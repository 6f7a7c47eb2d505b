/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Time, asked for in one place. Wall times are nanoseconds since the epoch (UTC); durations and
 * monotonic times are nanoseconds. All functions may be called from any thread.
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

#define NS_PER_S INT64_C(1000000000)
#define NS_PER_MS INT64_C(1000000)

/* Now, on the clock on the wall: for records that people and other hosts read. */
int64_t clock_wall_ns(void);

/* Now, on the clock that never jumps: for durations and deadlines. */
int64_t clock_mono_ns(void);

/* Sleeps for `ns`; shorter when a signal arrives. */
void clock_sleep_ns(int64_t ns);

static inline int64_t clock_from_timespec(struct timespec t)
{
	return (int64_t)t.tv_sec * NS_PER_S + t.tv_nsec;
}

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Without a limit no lock is taken.
 */
#include "verify/pace.h"

#include "base/clock.h"

static bool is_limit(const struct throttle_limits *limits)
{
	return limits->bytes_per_s || limits->ops_per_s || limits->polite;
}

void pace_init(struct pace *pace, const struct throttle_limits *limits)
{
	*pace = (struct pace){ .load = LOAD_NULL };
	(void)pthread_mutex_init(&pace->lock, NULL);
	throttle_init(&pace->throttle, limits, NULL);
	atomic_init(&pace->limited, is_limit(limits));
}

void pace_fini(struct pace *pace)
{
	load_close(&pace->load);
	(void)pthread_mutex_destroy(&pace->lock);
}

void pace_set_disk(struct pace *pace, uint64_t dev)
{
	(void)pthread_mutex_lock(&pace->lock);
	if (!pace->has_disk) {
		struct throttle_limits limits = {
			.bytes_per_s = pace->throttle.bytes_per_s,
			.ops_per_s = pace->throttle.ops_per_s,
			.polite = pace->throttle.polite,
		};
		pace->has_disk = true;
		if (load_open(&pace->load, dev) == 0)
			throttle_init(&pace->throttle, &limits, &pace->load);
	}
	(void)pthread_mutex_unlock(&pace->lock);
}

void pace_set(struct pace *pace, const struct throttle_limits *limits)
{
	throttle_set(&pace->throttle, limits);
	atomic_store(&pace->limited, is_limit(limits));
}

int64_t pace_admit(struct pace *pace, uint64_t bytes)
{
	int64_t wait_ns = 0;

	if (atomic_load_explicit(&pace->limited, memory_order_relaxed)) {
		(void)pthread_mutex_lock(&pace->lock);
		wait_ns = throttle_admit(&pace->throttle, clock_mono_ns(), bytes,
					 atomic_load(&pace->in_flight));
		(void)pthread_mutex_unlock(&pace->lock);
	}
	if (wait_ns == 0)
		atomic_fetch_add(&pace->in_flight, 1);
	return wait_ns;
}

void pace_done(struct pace *pace, int64_t latency_ns)
{
	atomic_fetch_sub(&pace->in_flight, 1);
	if (!atomic_load_explicit(&pace->limited, memory_order_relaxed))
		return;
	(void)pthread_mutex_lock(&pace->lock);
	throttle_done(&pace->throttle, latency_ns);
	(void)pthread_mutex_unlock(&pace->lock);
}

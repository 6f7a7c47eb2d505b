/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pace: a throttle that several threads share, for messages that are read as files. A message counts
 * as one read of its size. Internal to verify/.
 */
#ifndef VERIFY_PACE_H
#define VERIFY_PACE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include "io/throttle.h"

struct pace {
	pthread_mutex_t lock;
	struct throttle throttle; /* under the lock */
	struct load load;	  /* of the disk of the first filesystem that is read so */
	bool has_disk;
	atomic_bool limited;
	atomic_uint in_flight;
};

void pace_init(struct pace *pace, const struct throttle_limits *limits);
void pace_fini(struct pace *pace);

/* The filesystem that is read: its disk is the one to be polite on. The first one counts. */
void pace_set_disk(struct pace *pace, uint64_t dev);

/* Other limits from now on. From any thread. */
void pace_set(struct pace *pace, const struct throttle_limits *limits);

/* 0: a message of `bytes` may be begun, and pace_done will be called; else ns to wait, then ask again. */
int64_t pace_admit(struct pace *pace, uint64_t bytes) must_check;
void pace_done(struct pace *pace, int64_t latency_ns);

#endif

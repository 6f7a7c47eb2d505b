/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One epoch is long enough that every read of the depth was begun in it and that noise is small.
 * A trial lasts one epoch, after one that is not counted because it began at the old depth.
 */
#include "io/depth.h"

#include "base/clock.h"
#include "base/compiler.h"

#define EPOCH_NS (80 * NS_PER_MS)
#define EPOCH_READS 3 /* times the depth */
#define PATIENCE 24   /* epochs between trials */
#define MORE_IS_BETTER 1.05
#define LESS_IS_AS_GOOD 0.99

void depth_init(struct depth *depth, unsigned min, unsigned max, unsigned start)
{
	*depth = (struct depth){ .min = min, .max = max };
	depth->now = min_of(max_of(start, min), max);
}

void depth_forget_epoch(struct depth *depth)
{
	depth->began_ns = 0;
}

static void epoch_begin(struct depth *depth, int64_t now_ns)
{
	depth->began_ns = now_ns;
	depth->bytes = 0;
	depth->reads = 0;
}

/* Begins a trial of another depth; without one, waits. */
static void trial_begin(struct depth *depth, double rate, bool less)
{
	unsigned other = less ? max_of(depth->now / 2, depth->min)
			      : min_of(depth->now * 2, depth->max);

	depth->rate = rate;
	depth->tries_less = less;
	depth->patience = PATIENCE;
	if (other == depth->now) {
		depth->settled = 0;
		depth->tries_less = !less;
		return;
	}
	depth->settled = depth->now;
	depth->now = other;
}

static void trial_end(struct depth *depth, double rate)
{
	double wanted = depth->rate * (depth->tries_less ? LESS_IS_AS_GOOD : MORE_IS_BETTER);

	if (rate >= wanted) {
		trial_begin(depth, rate, depth->tries_less);
		return;
	}
	depth->now = depth->settled;
	depth->settled = 0;
	depth->tries_less = !depth->tries_less;
	depth->patience = PATIENCE;
}

void depth_done(struct depth *depth, int64_t now_ns, uint64_t bytes)
{
	if (depth->began_ns == 0) {
		epoch_begin(depth, now_ns);
		return;
	}
	depth->bytes += bytes;
	depth->reads++;
	int64_t took = now_ns - depth->began_ns;
	if (took < EPOCH_NS || depth->reads < EPOCH_READS * depth->now)
		return;
	double rate = (double)depth->bytes * 1e9 / (double)took;
	epoch_begin(depth, now_ns);
	if (depth->settled) {
		trial_end(depth, rate);
		depth->began_ns = 0;
	} else if (depth->patience > 0 && depth->rate > 0) {
		depth->patience--;
		/* A slow average of what this depth gives. */
		depth->rate += (rate - depth->rate) / 4;
	} else {
		trial_begin(depth, depth->rate > 0 ? depth->rate : rate, depth->tries_less);
	}
}

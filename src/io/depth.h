/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Depth: how many reads to keep under way, found by trying. Twice as many are tried while that
 * brings more bytes a second; when it does not, half as many, for a device that gives the same with
 * fewer answers everybody sooner. Pure: it is told what was read in how long, and knows no clock.
 */
#ifndef IO_DEPTH_H
#define IO_DEPTH_H

#include <stdbool.h>
#include <stdint.h>

struct depth {
	unsigned now; /* reads to keep under way */
	unsigned min, max;
	unsigned settled;  /* the depth that a trial goes back to; 0: no trial */
	double rate;	   /* bytes a second at `settled` */
	unsigned patience; /* epochs until the next trial */
	bool tries_less;
	/* The epoch under way. */
	uint64_t bytes;
	unsigned reads;
	int64_t began_ns;
};

/* Starts at `start`, within [min, max]. */
void depth_init(struct depth *depth, unsigned min, unsigned max, unsigned start);

/* A read of `bytes` has ended at `now_ns` (monotonic). May change depth->now. */
void depth_done(struct depth *depth, int64_t now_ns, uint64_t bytes);

/* What was under way was held back by something else than the device: the epoch says nothing. */
void depth_forget_epoch(struct depth *depth);

#endif

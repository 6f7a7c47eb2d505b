/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How fast a scan may read one disk: a ceiling of bytes, a ceiling of reads, and politeness, which
 * keeps the latency that others see on that disk near what they would see without the scan.
 *
 * The thread that reads asks throttle_admit before each read and tells throttle_done after it. The
 * time is handed in, on any clock that never jumps; nothing here sleeps. What else the program
 * reads from the disk, metadata and indexes, is told from I/O of others by what the kernel says
 * that this process reads; what it writes is taken for theirs.
 *
 * A throttle belongs to one thread, but for throttle_set.
 */
#ifndef IO_THROTTLE_H
#define IO_THROTTLE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include "io/load.h"

struct throttle_limits {
	uint64_t bytes_per_s; /* 0: no ceiling */
	uint64_t ops_per_s;   /* 0: no ceiling */
	bool polite;
};

enum throttle_phase {
	THROTTLE_PROBE, /* nothing of ours may be under way: is there anybody else? */
	THROTTLE_FULL,	/* there was nobody: at full speed until the next probe */
	THROTTLE_PAUSE, /* there is somebody: we wait, and look how they fare without us */
	THROTTLE_TURN,	/* there is somebody: our turn, and how they fare meanwhile */
};

struct throttle_ceiling {
	uint64_t per_s; /* what due_ns was reckoned with */
	int64_t due_ns; /* until then it is used up */
};

/* What others did in one kind of interval. */
struct throttle_tally {
	double nr_ended;
	double ended_ns; /* the sum of their times */
	double ns;	 /* the length of the intervals */
};

struct throttle {
	/* Written by any thread. */
	_Atomic uint64_t bytes_per_s, ops_per_s;
	_Atomic bool polite;

	/* The rest belongs to the thread that reads. */
	struct throttle_ceiling bytes, ops;

	struct load *load; /* borrowed; NULL: others cannot be seen */
	enum throttle_phase phase;
	unsigned ramp;		 /* probes in a row that saw nobody */
	int64_t until_ns;	 /* PROBE, PAUSE: settled; FULL: next probe; TURN: its end */
	int64_t full_since_ns;	 /* FULL: since then, but for probes */
	int64_t hold_ns;	 /* PAUSE: so long nobody, and it is FULL */
	bool settled;		 /* `last` was taken with nothing of ours under way */
	struct load_sample last; /* PROBE: when it settled; TURN: before it; PAUSE: the latest */
	int64_t last_ns;	 /* when it was taken */
	int64_t seen_ns;	 /* PAUSE: when others were last seen */
	int64_t turn_ns;	 /* TURN: its begin; PAUSE: when the next one may begin */
	double share;	/* reads that may be under way on average; below 1: a share of time */
	unsigned depth; /* of the turn */
	uint64_t turn_bytes, turn_ops;
	int64_t turn_used_ns; /* the sum of the latencies of the turn's reads */
	int64_t cost_ns;      /* a read of ours, smoothed; 0: not known yet */
	unsigned probe_seen;  /* PROBE: looks at which others had something under way */
	int64_t other_bytes;  /* 0 or below: what we submitted that the disk had not ended */
	double signs;	      /* of others, in the probes before; fade */
	struct throttle_tally without, with; /* pauses, turns */
	double with_ns;			     /* of `with`: while a read of ours was under way */
};

/*
 * `load` tells what others do on the disk; NULL where that is not known: polite then reads for a
 * tenth of the time. It must outlive the throttle.
 */
void throttle_init(struct throttle *t, const struct throttle_limits *limits, struct load *load);

/* Other limits from now on. From any thread, while the throttle is in use. */
void throttle_set(struct throttle *t, const struct throttle_limits *limits);

/*
 * May a read of `bytes` be submitted now, with `in_flight` of our own under way? 0: yes, and it
 * counts as submitted, throttle_done will be told. Else: ns, ask again after that time or when a
 * read of ours has ended, whichever comes first. Never negative.
 *
 * Ceilings hold over any time, with at most a tenth of a second's worth on top after a lull; a read
 * that is larger than that goes when a tenth is there, and those behind it wait for the rest.
 */
int64_t throttle_admit(struct throttle *t, int64_t now_ns, uint64_t bytes,
		       unsigned in_flight) must_check;

/* An admitted read ended, well or not, `latency_ns` after it was submitted. */
void throttle_done(struct throttle *t, int64_t latency_ns);

/*
 * How large a read should be now, in bytes: a multiple of 4096, UINT64_MAX when there is no wish.
 * A larger one is admitted too, but makes ceilings coarse and others wait.
 */
uint64_t throttle_read_max(const struct throttle *t) must_check;

#endif

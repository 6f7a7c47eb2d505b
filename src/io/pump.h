/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pump: keeps one disk busy with the reads of a plan. Reads end in any order and are handed out in
 * the order of the plan. What a device cannot give is narrowed down to its sectors: a failed read
 * is made again alone, since a merged request fails whole, and then by halves until each sector has
 * answered for itself.
 *
 * Threads: pump_run and its callbacks run in one thread, which owns the ring. A slot that was handed
 * out may go to another thread and is given back from there with pump_release. Nothing is allocated
 * while it runs.
 */
#ifndef IO_PUMP_H
#define IO_PUMP_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include "io/ring.h"

#define PUMP_SLOT_MAX (1u << 20) /* bytes: the longest read */
#define PUMP_SECTOR_MIN 512	 /* bytes */

struct pump;
struct throttle;

struct pump_options {
	enum ring_engine engine;
	unsigned
		nr_slots; /* buffers, 2 to 512: those that are read into, and those held by the consumer */
	uint32_t slot_len;  /* bytes, a multiple of 4096 up to PUMP_SLOT_MAX */
	uint32_t sector;    /* bytes: what the device reads at least */
	unsigned depth;	    /* reads under way; 0: as many as the device rewards */
	int64_t timeout_ns; /* a read that takes longer: the device hangs */
	uint64_t
		probe_off; /* bytes: a sector that was readable before: when it is not, the device has gone */
	const volatile sig_atomic_t *stop; /* may be NULL */
	struct throttle *throttle;	   /* borrowed; NULL: none */
	struct fault *fault;		   /* for tests; NULL: none */
};

struct pump_read {
	uint64_t off;  /* bytes, a multiple of the sector */
	uint32_t len;  /* bytes, a multiple of the sector, up to slot_len */
	uint64_t user; /* for the consumer */
};

struct pump_slot {
	const uint8_t *data;
	struct pump_read read;
	bool has_bad; /* some sectors are unreadable: ask pump_slot_is_bad */
	int error;    /* of the last unreadable sector, a negative errno */
	/* Private. */
	unsigned nr;
	unsigned state;
	uint32_t done; /* bytes read so far */
	int64_t begun_ns;
	int64_t refused_ns; /* since when the device says -EAGAIN; 0: it does not */
	uint64_t bad[PUMP_SLOT_MAX / PUMP_SECTOR_MIN / 64]; /* a bit a sector */
	struct pump_slot *next;
};

struct pump_ops {
	/* The next read of the plan. 0; PUMP_END: there is none; or a negative errno, which ends the
	 * run. */
	int (*next)(struct pump_read *ret_read, void *ctx);
	/* Hands out a slot, in the order of the plan, until pump_release. */
	void (*ready)(struct pump_slot *slot, void *ctx);
	/* Called now and then, also when nothing ends. May be NULL. */
	void (*tick)(void *ctx);
	void *ctx;
};
enum { PUMP_END = 1 };

/* -ENOMEM. */
int pump_new(const struct pump_options *options, struct pump **ret_pump) must_check;

/* NULL is allowed. Every slot must have been released. After -ETIMEDOUT the buffers that the kernel
 * may still write to are left behind on purpose. */
void pump_free(struct pump *pump);

/*
 * Reads the plan from `fd`. 0: to its end; PUMP_STOPPED: options.stop was set, and what was under
 * way has been handed out, up to the first read with a bad sector; -ENODEV: the device has gone;
 * -ETIMEDOUT: it hangs; what `next` returned; or the errno of the ring. On an error not everything
 * that was begun is handed out.
 */
enum { PUMP_STOPPED = 1 };
int pump_run(struct pump *pump, int fd, const struct pump_ops *ops) must_check;

/* Any thread. */
void pump_release(struct pump *pump, struct pump_slot *slot);

/* True when a sector of [off, off + len) of the device, which lies inside the slot, is unreadable. */
bool pump_slot_is_bad(const struct pump *pump, const struct pump_slot *slot, uint64_t off,
		      uint64_t len);

struct pump_stats {
	const char *engine; /* "io_uring", "pread"; NULL before the first run */
	const char *why;    /* it is not io_uring; "" */
	uint64_t bytes;	    /* read from the device */
	uint64_t reads;
	uint64_t retried;     /* reads that failed, and did not when made again alone */
	uint64_t bad_sectors; /* that failed also alone */
	unsigned depth;	      /* at the end */
};
void pump_get_stats(const struct pump *pump, struct pump_stats *ret_stats);

#endif

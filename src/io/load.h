/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How busy a disk is, by the kernel's own books: the statistics of the whole disk below a
 * filesystem, and, where it has none, the host's pressure of I/O. A sample holds sums that only
 * grow; two samples make a change. Whose I/O it was the books do not say; beside them stands what
 * this process has read, by whatever way, from all disks together.
 *
 * A load belongs to one thread; the parsers and load_change are pure.
 */
#ifndef IO_LOAD_H
#define IO_LOAD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/span.h"

struct load_sample {
	bool has_disk;	      /* the next five are known */
	uint64_t nr_ended;    /* reads, writes, discards and flushes that ended, since boot */
	uint32_t ended_ms;    /* the sum of their times; wraps as the kernel's does */
	uint64_t nr_reads;    /* of nr_ended */
	uint64_t read_bytes;  /* by those */
	uint64_t nr_underway; /* now; not a sum */
	uint64_t own_bytes;   /* read by this process: submitted, not ended */
	bool has_pressure;    /* the next one is known */
	uint64_t stalled_us;  /* time for which some task waited for I/O, since boot */
};

#define LOAD_SAMPLE_NULL ((struct load_sample){ .has_disk = false })

/* What passed between two samples; nothing, where one of them does not know. */
struct load_change {
	uint64_t nr_ended;
	int64_t ended_ns; /* the sum of their times */
	/*
	 * Of nr_ended, the reads that this process accounts for. None where it read much more than
	 * the disk did: then it read elsewhere too, and nothing follows for this disk.
	 */
	uint64_t nr_own;
	uint64_t own_bytes;  /* read by this process, on any disk */
	int64_t other_bytes; /* read from the disk less own_bytes, may be below 0 */
	int64_t stalled_ns;  /* some task waited for I/O */
};

/* Counters that wrapped at 2^32, as those of 32-bit kernels do, are followed once around. */
struct load_change load_change(const struct load_sample *from, const struct load_sample *to);

/*
 * The text of /sys/block/DISK/stat into the fields of the disk; further fields, which later kernels
 * add, are not looked at. -EBADMSG: fewer than 11 numbers, or no number where one belongs;
 * -ERANGE: above 64 bits. *ret is untouched then.
 */
int load_parse_stat(struct span text, struct load_sample *ret) must_check;

/* The text of /proc/pressure/io. -EBADMSG and -ERANGE as above. */
int load_parse_pressure(struct span text, struct load_sample *ret) must_check;

struct load {
	/* Fills in what is known now; negative errno. Another one stands in for a disk in tests. */
	int (*read)(struct load *load, struct load_sample *ret);
	void *ctx;	 /* of that other one */
	int stat_fd;	 /* owned; -1: the disk keeps no statistics */
	int pressure_fd; /* owned; -1: not needed, or the kernel has none */
};

#define LOAD_NULL ((struct load){ .stat_fd = -1, .pressure_fd = -1 })

/*
 * Opens the books of the disk that holds device `dev` (as in struct file_identity): of a
 * partition the whole disk; of a mapped device that lies on one disk alone, that disk; of a loop
 * device its own. Where there are none, the pressure of the host alone. -ENOENT: neither. Other
 * errors as open. Release with load_close.
 */
int load_open(struct load *load, uint64_t dev) must_check;

/* The books as they stand now. Errors of read and of the parsers. Takes microseconds. */
int load_read(struct load *load, struct load_sample *ret) must_check;

/* May be called twice, and on LOAD_NULL. */
void load_close(struct load *load);

#endif

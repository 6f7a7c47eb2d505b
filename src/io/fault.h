/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Faults on schedule: what a bad disk does, for tests. A plan of faults is attached to a ring or
 * laid over a byte source; each read is held against it before it is made. Nothing of it runs
 * unless a plan was given.
 *
 * A plan belongs to one thread.
 */
#ifndef IO_FAULT_H
#define IO_FAULT_H

#include <stdint.h>

#include "base/compiler.h"
#include "io/source.h"

enum fault_kind {
	FAULT_NONE,
	FAULT_ERROR, /* the read fails with `error` */
	FAULT_SHORT, /* the read ends `keep` bytes after its offset, as if interrupted */
	FAULT_FLIP,  /* the read succeeds and the byte at rule->off comes back with its lowest bit flipped */
	FAULT_HANG,  /* the read never ends */
};

/* Applies to every read that touches [off, off + len). */
struct fault_rule {
	enum fault_kind kind;
	uint64_t off, len; /* bytes */
	int error;	   /* negative errno */
	uint32_t keep;	   /* bytes */
	unsigned times;	   /* how often it strikes; 0: always */
	/* Reads longer than this fail, shorter ones do not: what a merged request does; 0: all. */
	uint64_t longer_than;
};

struct fault {
	struct fault_rule rules[16];
	unsigned nr_rules;
	unsigned struck[16];
	uint64_t nr_reads;    /* held against the plan so far */
	struct source *inner; /* of source_init_fault */
};

/* Adds a rule; there is room for 16, which is asserted. */
void fault_add(struct fault *fault, const struct fault_rule *rule);

/* The rule that strikes a read of [off, off + len), which is counted; NULL: none. */
const struct fault_rule *fault_strike(struct fault *fault, uint64_t off, uint64_t len);

/* Flips what a FAULT_FLIP says in `buf`, which holds [off, off + len) of what was read. */
void fault_flip(const struct fault_rule *rule, uint64_t off, void *buf, uint64_t len);

/*
 * A source that reads from `inner` as the plan allows. Borrows both; FAULT_HANG is -ETIMEDOUT
 * here, for a source has nobody to wait.
 */
void source_init_fault(struct source *src, struct source *inner, struct fault *fault);

#endif

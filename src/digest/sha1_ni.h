/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SHA-1 of up to four whole messages side by side, of any length, with the SHA instructions of the
 * CPU. A SHA-1 waits for its own last result most of the time; meanwhile the others run. When one is
 * done, the next message takes its place and runs beside what is left of the others. Takes no memory.
 * Belongs to one thread. Internal to digest/.
 */
#ifndef DIGEST_SHA1_NI_H
#define DIGEST_SHA1_NI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "digest/digest.h"

enum {
	SHA1_NI_LANES = 4,
	SHA1_NI_PENDING_MAX = SHA1_NI_LANES - 1, /* no more are pending after sha1_ni_add */
	SHA1_NI_PASS_MAX = 256,
	SHA1_BLOCK_LEN = 64,
};

/*
 * Called once for each message, in any order, from within sha1_ni_add or sha1_ni_flush. `digest` is
 * SHA1_LEN bytes, gone when the call returns. Must not add or flush.
 */
typedef void (*sha1_ni_fn)(void *item, const uint8_t *digest, void *ctx);

/* One message on its way; no blocks are left in one that is free. */
struct sha1_ni_lane {
	uint32_t h[SHA1_LEN / 4];
	const uint8_t *at;
	size_t nr_blocks;      /* from there on */
	size_t nr_tail_blocks; /* that follow after them */
	uint8_t tail[2 * SHA1_BLOCK_LEN];
	unsigned passed; /* by others, since it came */
	void *item;
};

struct sha1_ni {
	struct sha1_ni_lane lanes[SHA1_NI_LANES];
	sha1_ni_fn fn;
	void *ctx;
};

/* Whether this CPU has what the functions below need; without it they may not be called. */
bool sha1_ni_is_available(void) must_check;

/* For tests: while `missing`, the answer to that is no. */
void sha1_ni_pretend_missing(bool missing);

/* Must stay where it is while anything is pending. There is nothing to release. */
void sha1_ni_init(struct sha1_ni *ni, sha1_ni_fn fn, void *ctx);

/* The bytes are borrowed until fn(item). They may be NULL when len is 0. */
void sha1_ni_add(struct sha1_ni *ni, const void *data, size_t len, void *item);

/* Another message has passed by. Behind SHA1_NI_PASS_MAX of them nothing waits on: all is flushed. */
void sha1_ni_pass(struct sha1_ni *ni);

/* Hands everything pending to fn. The last one runs alone, as fast as one by OpenSSL. */
void sha1_ni_flush(struct sha1_ni *ni);

#endif

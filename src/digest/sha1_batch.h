/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SHA-1 of many whole messages at once. Where the CPU has it, IPsec-MB digests a message in each
 * lane of its vector registers, and those too long for a lane run four at a time with the SHA
 * instructions. What neither can take goes through OpenSSL, one after the other. The digests are the
 * same. A batch belongs to one thread.
 */
#ifndef DIGEST_SHA1_BATCH_H
#define DIGEST_SHA1_BATCH_H

#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "digest/digest.h"

enum sha1_engine {
	SHA1_ENGINE_AUTO, /* IPsec-MB where it passes its trial, else OpenSSL for everything */
	SHA1_ENGINE_OPENSSL,
	SHA1_ENGINE_IPSEC_MB,
};

enum {
	SHA1_BATCH_LEN_MAX = 65534,   /* the longest message for a lane of IPsec-MB, in bytes */
	SHA1_BATCH_PENDING_MAX = 259, /* no more are ever pending; three of them longer than that */
};

/* Of "auto", "openssl" and "ipsec-mb". -EINVAL for any other name; *ret_engine is untouched. */
int sha1_engine_parse(const char *name, enum sha1_engine *ret_engine) must_check;

struct sha1_batch;

/*
 * Called once for each message that was added, in any order, from within sha1_batch_add or
 * sha1_batch_flush. `digest` is SHA1_LEN bytes, gone when the call returns; NULL when the library
 * refused (-ENOTSUP), which is no fault of a disk. Must not add to this batch, flush or free it.
 */
typedef void (*sha1_batch_fn)(void *item, const uint8_t *digest, void *ctx);

/*
 * -ENOMEM; -ENOTSUP when IPsec-MB is asked for by name and this CPU lacks what it needs, or its
 * digests are not those of OpenSSL in the trial that is made here, in about a millisecond. SHA
 * instructions that are wrong or missing are done without; only the name tells. Takes
 * about 210 KiB with IPsec-MB, 6 KiB without; add and flush take none. Release with
 * sha1_batch_free.
 */
int sha1_batch_new(enum sha1_engine engine, sha1_batch_fn fn, void *ctx,
		   struct sha1_batch **ret_batch) must_check;

/* NULL allowed. What is pending is dropped: fn never hears of it. */
void sha1_batch_free(struct sha1_batch *batch);

/*
 * The bytes are borrowed until fn(item). They may be NULL when len is 0. A message waits until the
 * lanes of its kind are filled: a short one until 256 more of them have come at the latest, one that
 * is longer than SHA1_BATCH_LEN_MAX until 256 of any kind have.
 */
void sha1_batch_add(struct sha1_batch *batch, const void *data, size_t len, void *item);

/*
 * Hands everything pending to fn; the batch can be used on. An idle lane costs as much as a busy
 * one: with fewer than five messages pending this is slower than OpenSSL, with one four times.
 */
void sha1_batch_flush(struct sha1_batch *batch);

/* How many were added and not handed to fn yet. */
size_t sha1_batch_pending(const struct sha1_batch *batch);

/*
 * For reports: "OpenSSL"; IPsec-MB and what it runs on, "IPsec-MB AVX512"; or with what takes the long
 * ones, "IPsec-MB AVX512 and SHA-NI". Lives for ever.
 */
const char *sha1_batch_name(const struct sha1_batch *batch);

#endif

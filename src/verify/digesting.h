/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Digesting: threads that digest messages in the buffers of the pump, where they were read to.
 * Batches, each one read and its pieces, come in in the order of the plan through bounded queues.
 * Batches that share a message go to the same thread, so that its bytes arrive in order. Internal
 * to verify/.
 *
 * Threads: the pump's thread calls digesting_take and digesting_put; results are told in the
 * workers.
 */
#ifndef VERIFY_DIGESTING_H
#define VERIFY_DIGESTING_H

#include "base/compiler.h"
#include "digest/sha1_batch.h"
#include "io/pump.h"
#include "verify/plan.h"

/* One read of the plan on its way. */
struct batch {
	struct plan_read read;
	struct pump_slot *slot;
	/* Of whoever puts it: the batches that are not through, in the order of the plan. */
	struct batch *open_before, *open_behind;
	uint64_t distance; /* of the messages that end in batches before it, the largest */
	unsigned pending;  /* pieces not digested, and one for the batch itself; of the worker */
	struct batch *next;
};

/*
 * A message has been digested; `digest` is NULL when it could not be: `error` is that of the
 * device, or -ENOTSUP when the digest library refused. Called in any worker.
 */
typedef void (*digesting_fn)(uint32_t object, const uint8_t *digest, int error, void *ctx);

/* Every message that ends in this batch has been told. Called in any worker. */
typedef void (*digesting_batch_fn)(struct batch *batch, void *ctx);

struct digesting_options {
	enum sha1_engine engine;
	unsigned nr_workers; /* 1 to 16 */
	unsigned nr_batches; /* as many as the pump has slots */
	struct pump *pump;   /* slots go back to it */
	digesting_fn fn;
	digesting_batch_fn batch_fn;
	void *ctx;
};

struct digesting;

/* -ENOMEM, -ENOTSUP (sha1_batch_new), or the errno of pthread_create. */
int digesting_new(const struct digesting_options *options,
		  struct digesting **ret_digesting) must_check;
void digesting_free(struct digesting *digesting); /* waits for the workers; NULL is allowed */

const char *digesting_engine_name(const struct digesting *digesting);

/* An empty batch. There is one for every slot. */
struct batch *digesting_take(struct digesting *digesting);

/* A batch whose slot has been read. */
void digesting_put(struct digesting *digesting, struct batch *batch);

/* Gives back a batch that was never read. */
void digesting_drop(struct digesting *digesting, struct batch *batch);

/*
 * Waits until everything that was put has been told. A message of which only the first part was put
 * is forgotten; a batch that was taken and not put is given back.
 */
void digesting_drain(struct digesting *digesting);

#endif

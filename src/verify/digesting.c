/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A message that lies in one piece in one buffer goes to the multi-buffer SHA-1 from there, and its
 * batch stays until the digest is there. Any other one is streamed piece by piece; since the
 * pieces of a message follow each other, there is one stream a worker.
 */
#include "verify/digesting.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

#define WORKERS_MAX 16
#define LINGER_NS (4 * NS_PER_MS)
#define ZEROS_LEN 65536u

struct worker {
	struct digesting *digesting;
	pthread_t thread;
	bool started;
	struct batch *first, *last; /* queue; under the lock */
	unsigned queued;
	bool busy;
	pthread_cond_t has_batch;

	/* Of the thread alone. */
	struct sha1_batch *sha1s;
	unsigned held; /* batches whose digests are pending */
	struct sha1 *stream;
	bool streaming;
	int stream_error;
};

struct digesting {
	struct digesting_options options;
	pthread_mutex_t lock;
	pthread_cond_t idle;
	struct batch *batches, *free;
	struct worker workers[WORKERS_MAX];
	unsigned nr_workers;
	unsigned last_worker; /* that the last batch went to; of the pump's thread */
	bool last_is_open;    /* its last message goes on in the next batch */
	bool closing;
	uint8_t *zeros;
};

/* ---- batches ---- */

struct batch *digesting_take(struct digesting *digesting)
{
	(void)pthread_mutex_lock(&digesting->lock);
	struct batch *batch = digesting->free;
	if (batch)
		digesting->free = batch->next;
	(void)pthread_mutex_unlock(&digesting->lock);
	return batch;
}

void digesting_drop(struct digesting *digesting, struct batch *batch)
{
	(void)pthread_mutex_lock(&digesting->lock);
	batch->next = digesting->free;
	digesting->free = batch;
	(void)pthread_mutex_unlock(&digesting->lock);
}

/* A piece of the batch has been digested, or the batch gone through. */
static void batch_count_down(struct worker *worker, struct batch *batch)
{
	if (--batch->pending)
		return;
	const struct digesting_options *options = &worker->digesting->options;
	struct pump_slot *slot = batch->slot;
	worker->held--;
	options->batch_fn(batch, options->ctx);
	/* The batch first: whoever gets a slot must find a batch. */
	digesting_drop(worker->digesting, batch);
	pump_release(options->pump, slot);
}

static struct batch *batch_of(struct digesting *digesting, const struct plan_piece *piece)
{
	size_t off = (size_t)((const uint8_t *)piece - (const uint8_t *)digesting->batches);

	return &digesting->batches[off / sizeof(struct batch)];
}

/* ---- digests ---- */

static void on_digest(void *item, const uint8_t *digest, void *ctx)
{
	struct worker *worker = ctx;
	const struct plan_piece *piece = item;
	const struct digesting_options *options = &worker->digesting->options;

	options->fn(piece->object, digest, digest ? 0 : -ENOTSUP, options->ctx);
	batch_count_down(worker, batch_of(worker->digesting, piece));
}

static int stream_zeros(struct worker *worker, uint32_t len)
{
	int r = 0;

	while (r == 0 && len > 0) {
		uint32_t n = min_of(len, ZEROS_LEN);
		r = sha1_update(worker->stream, worker->digesting->zeros, n);
		len -= n;
	}
	return r;
}

static void stream_piece(struct worker *worker, const struct batch *batch,
			 const struct plan_piece *piece)
{
	const struct digesting_options *options = &worker->digesting->options;
	uint8_t digest[SHA1_LEN];

	if (piece->first) {
		worker->streaming = true;
		worker->stream_error = sha1_begin(worker->stream);
	}
	if (!worker->streaming) /* its beginning was never read */
		return;
	if (pump_slot_is_bad(options->pump, batch->slot, batch->read.off + piece->at, piece->len))
		worker->stream_error = batch->slot->error;
	if (worker->stream_error == 0)
		worker->stream_error = stream_zeros(worker, piece->zeros);
	if (worker->stream_error == 0)
		worker->stream_error =
			sha1_update(worker->stream, batch->slot->data + piece->at, piece->len);
	if (!piece->last)
		return;
	worker->streaming = false;
	if (worker->stream_error == 0)
		worker->stream_error = sha1_end(worker->stream, digest);
	options->fn(piece->object, worker->stream_error ? NULL : digest, worker->stream_error,
		    options->ctx);
}

static bool piece_is_whole(const struct plan_piece *piece)
{
	return piece->first && piece->last && piece->zeros == 0;
}

static void digest_batch(struct worker *worker, struct batch *batch)
{
	const struct digesting_options *options = &worker->digesting->options;

	batch->pending = 1;
	worker->held++;
	for (uint32_t i = 0; i < batch->read.nr_pieces; i++) {
		struct plan_piece *piece = &batch->read.pieces[i];
		if (!piece_is_whole(piece) ||
		    pump_slot_is_bad(options->pump, batch->slot, batch->read.off + piece->at,
				     piece->len)) {
			stream_piece(worker, batch, piece);
			continue;
		}
		batch->pending++;
		sha1_batch_add(worker->sha1s, batch->slot->data + piece->at, piece->len, piece);
	}
	batch_count_down(worker, batch);
}

/* ---- workers ---- */

/* Waits for a batch, a moment only; true when none came. Runs with the lock held. */
static bool worker_waited_in_vain(struct worker *worker)
{
	struct timespec until;

	(void)clock_gettime(CLOCK_MONOTONIC, &until);
	int64_t ns = clock_from_timespec(until) + LINGER_NS;
	until = (struct timespec){ ns / NS_PER_S, ns % NS_PER_S };
	return pthread_cond_timedwait(&worker->has_batch, &worker->digesting->lock, &until) != 0;
}

/*
 * The next batch. With nothing to do what is pending is brought to an end, since slots may be waited
 * for; but not at once, for lanes that are not filled cost as much as those that are.
 */
static struct batch *worker_next(struct worker *worker)
{
	struct digesting *digesting = worker->digesting;
	bool lingered = false;

	(void)pthread_mutex_lock(&digesting->lock);
	for (;;) {
		struct batch *batch = worker->first;
		if (batch && worker->held <= digesting->options.nr_batches / 4) {
			worker->first = batch->next;
			worker->queued--;
			worker->busy = true;
			(void)pthread_mutex_unlock(&digesting->lock);
			return batch;
		}
		if (worker->held && !batch && !lingered && !digesting->closing) {
			lingered = worker_waited_in_vain(worker);
			continue;
		}
		if (worker->held) {
			(void)pthread_mutex_unlock(&digesting->lock);
			sha1_batch_flush(worker->sha1s);
			(void)pthread_mutex_lock(&digesting->lock);
			continue;
		}
		worker->busy = false;
		(void)pthread_cond_broadcast(&digesting->idle);
		if (digesting->closing)
			break;
		(void)pthread_cond_wait(&worker->has_batch, &digesting->lock);
	}
	(void)pthread_mutex_unlock(&digesting->lock);
	return NULL;
}

static void *worker_run(void *arg)
{
	struct worker *worker = arg;
	struct batch *batch;

	while ((batch = worker_next(worker)))
		digest_batch(worker, batch);
	return NULL;
}

static int worker_start(struct digesting *digesting)
{
	struct worker *worker = &digesting->workers[digesting->nr_workers];

	pthread_condattr_t attr;

	worker->digesting = digesting;
	(void)pthread_condattr_init(&attr);
	(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&worker->has_batch, &attr);
	(void)pthread_condattr_destroy(&attr);
	digesting->nr_workers++;
	worker->stream = sha1_new();
	if (!worker->stream)
		return -ENOMEM;
	int r = sha1_batch_new(digesting->options.engine, on_digest, worker, &worker->sha1s);
	if (r == 0)
		r = -pthread_create(&worker->thread, NULL, worker_run, worker);
	worker->started = r == 0;
	return r;
}

int digesting_new(const struct digesting_options *options, struct digesting **ret_digesting)
{
	struct digesting *digesting = calloc(1, sizeof(*digesting));
	int r = 0;

	if (!digesting)
		return -ENOMEM;
	digesting->options = *options;
	(void)pthread_mutex_init(&digesting->lock, NULL);
	(void)pthread_cond_init(&digesting->idle, NULL);
	digesting->zeros = calloc(1, ZEROS_LEN);
	digesting->batches = calloc(options->nr_batches, sizeof(*digesting->batches));
	if (!digesting->batches || !digesting->zeros)
		r = -ENOMEM;
	for (unsigned i = 0; r == 0 && i < options->nr_batches; i++)
		digesting_drop(digesting, &digesting->batches[i]);
	while (r == 0 && digesting->nr_workers < min_of(options->nr_workers, (unsigned)WORKERS_MAX))
		r = worker_start(digesting);
	if (r) {
		digesting_free(digesting);
		return r;
	}
	*ret_digesting = digesting;
	return 0;
}

void digesting_free(struct digesting *digesting)
{
	if (!digesting)
		return;
	(void)pthread_mutex_lock(&digesting->lock);
	digesting->closing = true;
	for (unsigned i = 0; i < digesting->nr_workers; i++)
		(void)pthread_cond_signal(&digesting->workers[i].has_batch);
	(void)pthread_mutex_unlock(&digesting->lock);
	for (unsigned i = 0; i < digesting->nr_workers; i++) {
		struct worker *worker = &digesting->workers[i];
		if (worker->started)
			(void)pthread_join(worker->thread, NULL);
		sha1_batch_free(worker->sha1s);
		sha1_free(worker->stream);
		(void)pthread_cond_destroy(&worker->has_batch);
	}
	free(digesting->batches);
	free(digesting->zeros);
	(void)pthread_cond_destroy(&digesting->idle);
	(void)pthread_mutex_destroy(&digesting->lock);
	free(digesting);
}

const char *digesting_engine_name(const struct digesting *digesting)
{
	return sha1_batch_name(digesting->workers[0].sha1s);
}

/* Runs with the lock held. */
static unsigned least_busy(const struct digesting *digesting)
{
	unsigned best = 0;

	for (unsigned i = 1; i < digesting->nr_workers; i++)
		if (digesting->workers[i].queued < digesting->workers[best].queued)
			best = i;
	return best;
}

void digesting_put(struct digesting *digesting, struct batch *batch)
{
	(void)pthread_mutex_lock(&digesting->lock);
	unsigned nr = digesting->last_is_open ? digesting->last_worker : least_busy(digesting);
	struct worker *worker = &digesting->workers[nr];
	digesting->last_worker = nr;
	digesting->last_is_open = !batch->read.pieces[batch->read.nr_pieces - 1].last;
	batch->next = NULL;
	if (worker->first)
		worker->last->next = batch;
	else
		worker->first = batch;
	worker->last = batch;
	worker->queued++;
	(void)pthread_cond_signal(&worker->has_batch);
	(void)pthread_mutex_unlock(&digesting->lock);
}

void digesting_drain(struct digesting *digesting)
{
	(void)pthread_mutex_lock(&digesting->lock);
	for (unsigned i = 0; i < digesting->nr_workers; i++) {
		struct worker *worker = &digesting->workers[i];
		while (worker->first || worker->busy)
			(void)pthread_cond_wait(&digesting->idle, &digesting->lock);
		worker->streaming = false;
	}
	digesting->last_is_open = false;
	/* Nothing is on its way: what is not free was taken for a read that was never handed out. */
	digesting->free = NULL;
	for (unsigned i = 0; i < digesting->options.nr_batches; i++) {
		digesting->batches[i].next = digesting->free;
		digesting->free = &digesting->batches[i];
	}
	(void)pthread_mutex_unlock(&digesting->lock);
}

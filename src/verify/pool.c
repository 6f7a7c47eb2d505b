/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A pool of threads that read messages. One bounded ring of jobs goes in; suspicions and finished
 * mailboxes come out in lists. All of it is under one mutex, which is held for a few instructions
 * a message: against the read of a message that is nothing.
 *
 * Readers never wait for the scan thread, so the scan thread may wait for them in pool_submit.
 * Suspicions therefore grow without a wait; the scan thread stops to resolve them before they are
 * many (confirm.c), so their number is bounded by what one run of records can add.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "verify/scanning.h"

#define QUEUE_LEN 1024 /* jobs */

struct job {
	struct mailbox *mailbox;
	struct witness witness;
};

struct pool {
	pthread_mutex_t lock;
	pthread_cond_t has_job;	 /* or `closing` */
	pthread_cond_t has_room; /* or idle */
	struct job jobs[QUEUE_LEN];
	unsigned first, count; /* of the ring */
	unsigned busy;	       /* threads with a job */
	bool closing;
	bool canary_planted;
	struct suspicion *suspicions;
	size_t nr_suspicions;
	struct mailbox *done;
	uint64_t messages, bytes, buffered;
	unsigned nr_threads;
	pthread_t threads[64];
	struct observer observers[64];
};

/* Runs with the lock held. */
static void count_down_locked(struct pool *pool, struct mailbox *mailbox)
{
	if (atomic_fetch_sub(&mailbox->pending, 1) != 1)
		return;
	mailbox->next_done = pool->done;
	pool->done = mailbox;
}

static struct suspicion *suspicion_of_job(const struct job *job, const struct observation *seen,
					  struct judgement judgement, bool canary)
{
	struct suspicion *suspicion = malloc(sizeof(*suspicion));

	if (suspicion)
		*suspicion = (struct suspicion){
			.kind = SUSPECT_MESSAGE,
			.mailbox = mailbox_ref(job->mailbox),
			.witness = job->witness,
			.seen = *seen,
			.first = judgement,
			.noticed_ns = clock_mono_ns(),
			.looks = 1,
			.canary = canary,
		};
	return suspicion;
}

/* Runs with the lock held. A suspicion keeps its mailbox pending. */
static void add_suspicion_locked(struct pool *pool, struct suspicion *suspicion)
{
	suspicion->next = pool->suspicions;
	pool->suspicions = suspicion;
	pool->nr_suspicions++;
}

/* Reads a message that was just found good against a wrong twin of its record. */
static void pool_plant_canary(struct pool *pool, struct observer *observer, const struct job *good)
{
	struct job twin = *good;
	struct observation seen;
	struct suspicion *suspicion = NULL;

	twin.witness.guid[SHA1_LEN - 1] ^= 1;
	observe_message(observer, twin.mailbox, &twin.witness, &seen);
	struct judgement judgement = judge_message(&twin.witness, &seen);
	if (judgement.verdict != ASSAY_OK && judgement.code != FINDING_MESSAGE_DIGEST)
		return; /* the message has gone meanwhile: the next one will do */
	if (judgement.verdict != ASSAY_OK)
		suspicion = suspicion_of_job(&twin, &seen, judgement, true);
	(void)pthread_mutex_lock(&pool->lock);
	pool->canary_planted = true;
	if (suspicion) {
		atomic_fetch_add(&twin.mailbox->pending, 1);
		add_suspicion_locked(pool, suspicion);
	}
	(void)pthread_mutex_unlock(&pool->lock);
}

static void pool_do_job(struct pool *pool, struct observer *observer, const struct job *job)
{
	struct observation seen;
	struct suspicion *suspicion = NULL;

	observe_message(observer, job->mailbox, &job->witness, &seen);
	struct judgement judgement = judge_message(&job->witness, &seen);
	if (judgement.verdict != ASSAY_OK) {
		suspicion = suspicion_of_job(job, &seen, judgement, false);
		if (!suspicion) /* no memory to remember it: then it was not checked */
			atomic_fetch_add(&job->mailbox->gaps, 1);
	} else if (!pool_has_planted_canary(pool)) {
		pool_plant_canary(pool, observer, job);
	}
	if (seen.digested) {
		atomic_fetch_add(&job->mailbox->messages, 1);
		atomic_fetch_add(&job->mailbox->bytes, seen.identity.size);
	}

	(void)pthread_mutex_lock(&pool->lock);
	if (seen.digested) {
		pool->messages++;
		pool->bytes += seen.identity.size;
		pool->buffered += !seen.direct;
	}
	if (suspicion)
		add_suspicion_locked(pool, suspicion);
	else
		count_down_locked(pool, job->mailbox);
	(void)pthread_mutex_unlock(&pool->lock);
}

struct pool_thread {
	struct pool *pool;
	unsigned nr;
};

static void *pool_run(void *arg)
{
	struct pool_thread *self = arg;
	struct pool *pool = self->pool;
	struct observer *observer = &pool->observers[self->nr];

	free(self);
	(void)pthread_mutex_lock(&pool->lock);
	for (;;) {
		while (pool->count == 0 && !pool->closing)
			(void)pthread_cond_wait(&pool->has_job, &pool->lock);
		if (pool->count == 0)
			break;
		struct job job = pool->jobs[pool->first];
		pool->first = (pool->first + 1) % QUEUE_LEN;
		pool->count--;
		pool->busy++;
		(void)pthread_mutex_unlock(&pool->lock);
		pool_do_job(pool, observer, &job);
		(void)pthread_mutex_lock(&pool->lock);
		pool->busy--;
		(void)pthread_cond_signal(&pool->has_room);
	}
	(void)pthread_mutex_unlock(&pool->lock);
	return NULL;
}

static int pool_start_thread(struct pool *pool)
{
	unsigned nr = pool->nr_threads;
	struct pool_thread *self = malloc(sizeof(*self));
	int r = self ? observer_init(&pool->observers[nr]) : -ENOMEM;

	if (r == 0) {
		*self = (struct pool_thread){ pool, nr };
		r = -pthread_create(&pool->threads[nr], NULL, pool_run, self);
	}
	if (r) {
		observer_fini(&pool->observers[nr]);
		free(self);
		return r;
	}
	pool->nr_threads++;
	return 0;
}

int pool_new(unsigned nr, struct pool **ret_pool)
{
	struct pool *pool = calloc(1, sizeof(*pool));
	int r = 0;

	if (!pool)
		return -ENOMEM;
	(void)pthread_mutex_init(&pool->lock, NULL);
	(void)pthread_cond_init(&pool->has_job, NULL);
	(void)pthread_cond_init(&pool->has_room, NULL);
	nr = max_of(1u, min_of(nr, (unsigned)array_size(pool->threads)));
	while (r == 0 && pool->nr_threads < nr)
		r = pool_start_thread(pool);
	if (r) {
		pool_free(pool);
		return r;
	}
	*ret_pool = pool;
	return 0;
}

void pool_free(struct pool *pool)
{
	if (!pool)
		return;
	(void)pthread_mutex_lock(&pool->lock);
	pool->closing = true;
	(void)pthread_cond_broadcast(&pool->has_job);
	(void)pthread_mutex_unlock(&pool->lock);
	for (unsigned i = 0; i < pool->nr_threads; i++) {
		(void)pthread_join(pool->threads[i], NULL);
		observer_fini(&pool->observers[i]);
	}
	while (pool->suspicions) {
		struct suspicion *suspicion = pool->suspicions;
		pool->suspicions = suspicion->next;
		mailbox_unref(suspicion->mailbox);
		free(suspicion);
	}
	while (pool->done) {
		struct mailbox *mailbox = pool->done;
		pool->done = mailbox->next_done;
		mailbox_unref(mailbox);
	}
	(void)pthread_cond_destroy(&pool->has_room);
	(void)pthread_cond_destroy(&pool->has_job);
	(void)pthread_mutex_destroy(&pool->lock);
	free(pool);
}

bool pool_has_planted_canary(struct pool *pool)
{
	(void)pthread_mutex_lock(&pool->lock);
	bool planted = pool->canary_planted;
	(void)pthread_mutex_unlock(&pool->lock);
	return planted;
}

void pool_submit(struct pool *pool, struct mailbox *mailbox, const struct witness *witness)
{
	atomic_fetch_add(&mailbox->pending, 1);
	(void)pthread_mutex_lock(&pool->lock);
	while (pool->count == QUEUE_LEN)
		(void)pthread_cond_wait(&pool->has_room, &pool->lock);
	pool->jobs[(pool->first + pool->count) % QUEUE_LEN] = (struct job){ mailbox, *witness };
	pool->count++;
	(void)pthread_cond_signal(&pool->has_job);
	(void)pthread_mutex_unlock(&pool->lock);
}

void pool_count_down(struct pool *pool, struct mailbox *mailbox)
{
	(void)pthread_mutex_lock(&pool->lock);
	count_down_locked(pool, mailbox);
	(void)pthread_mutex_unlock(&pool->lock);
}

void pool_wait_idle(struct pool *pool)
{
	(void)pthread_mutex_lock(&pool->lock);
	while (pool->count || pool->busy)
		(void)pthread_cond_wait(&pool->has_room, &pool->lock);
	(void)pthread_mutex_unlock(&pool->lock);
}

struct mailbox *pool_take_done(struct pool *pool)
{
	(void)pthread_mutex_lock(&pool->lock);
	struct mailbox *done = take(pool->done);
	(void)pthread_mutex_unlock(&pool->lock);
	return done;
}

struct suspicion *pool_take_suspicions(struct pool *pool)
{
	(void)pthread_mutex_lock(&pool->lock);
	struct suspicion *suspicions = take(pool->suspicions);
	pool->nr_suspicions = 0;
	(void)pthread_mutex_unlock(&pool->lock);
	return suspicions;
}

size_t pool_count_suspicions(struct pool *pool)
{
	(void)pthread_mutex_lock(&pool->lock);
	size_t nr = pool->nr_suspicions;
	(void)pthread_mutex_unlock(&pool->lock);
	return nr;
}

void pool_get_totals(struct pool *pool, uint64_t *ret_messages, uint64_t *ret_bytes,
		     uint64_t *ret_buffered)
{
	(void)pthread_mutex_lock(&pool->lock);
	*ret_messages = pool->messages;
	*ret_bytes = pool->bytes;
	*ret_buffered = pool->buffered;
	(void)pthread_mutex_unlock(&pool->lock);
}

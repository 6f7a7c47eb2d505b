/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A pool of threads that read messages as files. One bounded queue of jobs goes in, under a mutex
 * that is held for a few instructions; what was seen goes to the tally.
 *
 * With io_uring a few threads have many messages under way each (reader.c): they take many jobs at
 * once, and begin them in the order of their inodes, which is much that of the disk. Without, there
 * are more threads, each of which reads one message after the other (observe.c).
 *
 * Readers never wait for the scan thread, so the scan thread may wait for them in pool_submit.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "verify/reader.h"
#include "verify/scanning.h"

#define PACE_WAIT (5 * NS_PER_MS)
#define QUEUE_LEN 8192	/* jobs */
#define BACKLOG_LEN 512 /* jobs that a thread with a ring takes at once, to begin in good order */
#define RING_THREADS 2

struct pool_thread {
	struct pool *pool;
	pthread_t id;
	struct observer observer;
	bool wants_ring;
	bool started; /* and then: */
	int refused;  /* why it has no ring, though it wants one */
	bool planted; /* the fault, as far as it knows */
	/* With a ring: jobs in the order in which they are to be begun. */
	struct read_job backlog[BACKLOG_LEN];
	unsigned first, count;
};

struct pool {
	struct tally *tally;
	struct pool_options options;
	pthread_mutex_t lock;
	pthread_cond_t has_job;	 /* or `closing` */
	pthread_cond_t has_room; /* or idle */
	struct read_job jobs[QUEUE_LEN];
	unsigned first, count; /* of the queue */
	unsigned busy;	       /* jobs taken and not yet told to the tally */
	bool closing;
	atomic_bool stopped; /* jobs are dropped */
	struct pace pace;
	bool has_ring;
	char why[128];	     /* there is no ring */
	unsigned nr_sharing; /* threads that share what is queued */
	unsigned nr_threads;
	struct pool_thread *threads[POOL_THREADS_MAX];
};

static struct read_job take_job_locked(struct pool *pool)
{
	struct read_job job = pool->jobs[pool->first];

	pool->first = (pool->first + 1) % QUEUE_LEN;
	pool->count--;
	pool->busy++;
	return job;
}

/*
 * True when the scan is stopped, and then the job is gone: what is queued may be the work of minutes.
 * Its mailbox has a gap by that.
 */
static bool drop_job(struct pool *pool, const struct read_job *job)
{
	if (!atomic_load_explicit(&pool->stopped, memory_order_relaxed))
		return false;
	atomic_fetch_add(&job->mailbox->gaps, 1);
	tally_count_down(pool->tally, job->mailbox);
	return true;
}

/* Waits until the message may be begun. False: the scan was stopped meanwhile, and the job is gone. */
static bool pool_admit(struct pool *pool, const struct read_job *job)
{
	int64_t wait_ns;

	while (!drop_job(pool, job)) {
		wait_ns = pace_admit(&pool->pace, job->witness.size);
		if (wait_ns == 0)
			return true;
		clock_sleep_ns(min_of(wait_ns, PACE_WAIT));
	}
	return false;
}

/* ---- one message after the other ---- */

/* Reads a message; and where a fault is to be planted, once more against a wrong twin of its record. */
static void thread_do_job(struct pool_thread *self, struct read_job *job)
{
	struct tally *tally = self->pool->tally;
	struct observation seen;

	observe_message(&self->observer, job->mailbox, &job->witness, &seen);
	bool bears_twin = read_job_bears_twin(job, &seen, tally, &self->planted);
	if (bears_twin)
		tally_begin(job->mailbox); /* before it can be done without its twin */
	tally_seen(tally, job->mailbox, &job->witness, &seen);
	if (!bears_twin)
		return;
	tally_make_twin(&job->witness);
	observe_message(&self->observer, job->mailbox, &job->witness, &seen);
	tally_seen_twin(tally, job->mailbox, &job->witness, &seen);
}

static void thread_run_alone(struct pool_thread *self)
{
	struct pool *pool = self->pool;

	(void)pthread_mutex_lock(&pool->lock);
	for (;;) {
		while (pool->count == 0 && !pool->closing)
			(void)pthread_cond_wait(&pool->has_job, &pool->lock);
		if (pool->count == 0)
			break;
		struct read_job job = take_job_locked(pool);
		(void)pthread_mutex_unlock(&pool->lock);
		if (pool_admit(pool, &job)) {
			int64_t begun_ns = clock_mono_ns();
			thread_do_job(self, &job);
			pace_done(&pool->pace, clock_mono_ns() - begun_ns);
		}
		(void)pthread_mutex_lock(&pool->lock);
		pool->busy--;
		(void)pthread_cond_signal(&pool->has_room);
	}
	(void)pthread_mutex_unlock(&pool->lock);
}

/* ---- many at once ---- */

/* A shell sort: it asks for no memory, and jobs of one mailbox are nearly in order when they come. */
static void sort_by_inode(struct read_job *jobs, unsigned count)
{
	static const unsigned gaps[] = { 301, 132, 57, 23, 10, 4, 1 };

	for (size_t g = 0; g < array_size(gaps); g++)
		for (unsigned i = gaps[g]; i < count; i++) {
			struct read_job job = jobs[i];
			unsigned at = i;
			for (; at >= gaps[g] && jobs[at - gaps[g]].ino > job.ino; at -= gaps[g])
				jobs[at] = jobs[at - gaps[g]];
			jobs[at] = job;
		}
}

/*
 * Gives back what was finished, and takes a fair share of what is queued; waits for it if nothing is
 * under way. False: the end.
 */
static bool thread_refill(struct pool_thread *self, unsigned finished, bool may_wait)
{
	struct pool *pool = self->pool;

	(void)pthread_mutex_lock(&pool->lock);
	pool->busy -= finished;
	if (finished)
		(void)pthread_cond_signal(&pool->has_room);
	while (may_wait && pool->count == 0 && !pool->closing)
		(void)pthread_cond_wait(&pool->has_job, &pool->lock);
	bool goes_on = pool->count || !may_wait;
	unsigned share = (pool->count + pool->nr_sharing - 1) / pool->nr_sharing;
	for (share = min_of(share, (unsigned)BACKLOG_LEN); self->count < share; self->count++)
		self->backlog[self->count] = take_job_locked(pool);
	if (self->count)
		(void)pthread_cond_signal(&pool->has_room);
	(void)pthread_mutex_unlock(&pool->lock);
	self->first = 0;
	sort_by_inode(self->backlog, self->count);
	return goes_on;
}

static void thread_run_ring(struct pool_thread *self, struct reader *reader)
{
	unsigned under_way = 0; /* as far as the pool knows */

	for (;;) {
		if (self->first == self->count) {
			unsigned finished = under_way - reader_under_way(reader);
			self->count = 0;
			under_way -= finished;
			if (!thread_refill(self, finished, under_way == 0))
				break;
			under_way += self->count;
		}
		int64_t wait_ns = 0;
		while (wait_ns == 0 && self->first < self->count && reader_has_room(reader)) {
			const struct read_job *job = &self->backlog[self->first];
			bool dropped = drop_job(self->pool, job);
			if (!dropped)
				wait_ns = pace_admit(&self->pool->pace, job->witness.size);
			if (!dropped && wait_ns == 0)
				reader_begin(reader, job);
			self->first += wait_ns == 0;
		}
		if (reader_under_way(reader))
			reader_turn(reader);
		else if (wait_ns)
			clock_sleep_ns(min_of(wait_ns, PACE_WAIT));
	}
}

/* ---- threads ---- */

/* In its own thread, to which a ring is bound. */
static struct reader *thread_make_reader(struct pool_thread *self)
{
	struct pool *pool = self->pool;
	struct reader_options options = {
		.tally = pool->tally,
		.observer = &self->observer,
		.pace = &pool->pace,
		.fault = pool->options.fault,
		.sha1 = pool->options.sha1,
	};
	struct reader *reader = NULL;
	int r = self->wants_ring ? reader_new(&options, &reader) : 0;

	(void)pthread_mutex_lock(&pool->lock);
	self->refused = r;
	self->started = true;
	(void)pthread_cond_signal(&pool->has_room);
	(void)pthread_mutex_unlock(&pool->lock);
	return reader;
}

static void *thread_run(void *arg)
{
	struct pool_thread *self = arg;
	struct reader *reader = thread_make_reader(self);

	if (reader)
		thread_run_ring(self, reader);
	else
		thread_run_alone(self);
	reader_free(reader);
	return NULL;
}

static void thread_free(struct pool_thread *self)
{
	observer_fini(&self->observer);
	free(self);
}

/* Starts one, and waits until it knows what it reads with: *ret_refused is why not with a ring, or 0. */
static int pool_start_thread(struct pool *pool, bool wants_ring, int *ret_refused)
{
	struct pool_thread *self = calloc(1, sizeof(*self));

	if (!self)
		return -ENOMEM;
	self->pool = pool;
	self->wants_ring = wants_ring;
	int r = observer_init(&self->observer);
	if (r == 0)
		r = -pthread_create(&self->id, NULL, thread_run, self);
	if (r) {
		thread_free(self);
		return r;
	}
	pool->threads[pool->nr_threads++] = self;
	(void)pthread_mutex_lock(&pool->lock);
	while (!self->started)
		(void)pthread_cond_wait(&pool->has_room, &pool->lock);
	(void)pthread_mutex_unlock(&pool->lock);
	*ret_refused = self->refused;
	return 0;
}

static int pool_start_threads(struct pool *pool)
{
	const struct pool_options *options = &pool->options;
	unsigned nr = max_of(1u, min_of(options->readers, (unsigned)POOL_THREADS_MAX));
	bool wants_ring = options->engine != RING_ENGINE_PREAD;
	int refused, r;

	pool->nr_sharing = options->fault ? 1 : RING_THREADS; /* a plan of faults is for one */
	r = pool_start_thread(pool, wants_ring, &refused);
	if (r || (refused && options->engine == RING_ENGINE_IO_URING))
		return r ? r : refused;
	pool->has_ring = wants_ring && !refused;
	if (refused)
		(void)snprintf(pool->why, sizeof(pool->why), "io_uring is refused: %s",
			       strerror(-refused));
	else if (!wants_ring)
		(void)snprintf(pool->why, sizeof(pool->why), "pread was asked for");
	if (pool->has_ring)
		nr = pool->nr_sharing;
	while (r == 0 && pool->nr_threads < nr)
		r = pool_start_thread(pool, pool->has_ring, &refused);
	return r;
}

int pool_new(struct tally *tally, const struct pool_options *options, struct pool **ret_pool)
{
	struct pool *pool = calloc(1, sizeof(*pool));

	if (!pool)
		return -ENOMEM;
	pool->tally = tally;
	pool->options = *options;
	pace_init(&pool->pace, &options->limits);
	(void)pthread_mutex_init(&pool->lock, NULL);
	(void)pthread_cond_init(&pool->has_job, NULL);
	(void)pthread_cond_init(&pool->has_room, NULL);
	int r = pool_start_threads(pool);
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
		(void)pthread_join(pool->threads[i]->id, NULL);
		thread_free(pool->threads[i]);
	}
	(void)pthread_cond_destroy(&pool->has_room);
	(void)pthread_cond_destroy(&pool->has_job);
	(void)pthread_mutex_destroy(&pool->lock);
	pace_fini(&pool->pace);
	free(pool);
}

void pool_set_limits(struct pool *pool, const struct throttle_limits *limits)
{
	pace_set(&pool->pace, limits);
}

const char *pool_engine_name(const struct pool *pool)
{
	return pool->has_ring ? "io_uring" : "pread";
}

const char *pool_why(const struct pool *pool)
{
	return pool->why;
}

/* ---- jobs: the scan thread ---- */

/* Waits for room or idleness; asks meanwhile whether the scan is stopped. */
static void pool_wait_locked(struct pool *pool)
{
	int64_t until = clock_mono_ns() + NS_PER_S / 10;
	struct timespec at = { until / NS_PER_S, until % NS_PER_S };

	(void)pthread_cond_clockwait(&pool->has_room, &pool->lock, CLOCK_MONOTONIC, &at);
	if (pool->options.is_stopped && pool->options.is_stopped(pool->options.ctx))
		atomic_store(&pool->stopped, true);
}

void pool_submit(struct pool *pool, struct mailbox *mailbox, const struct witness *witness,
		 uint64_t ino)
{
	struct read_job job = { .mailbox = mailbox, .ino = ino, .witness = *witness };

	tally_begin(mailbox);
	if (!pool->pace.has_disk)
		pace_set_disk(&pool->pace, mailbox->message_dir.dev);
	(void)pthread_mutex_lock(&pool->lock);
	while (pool->count == QUEUE_LEN)
		pool_wait_locked(pool);
	pool->jobs[(pool->first + pool->count) % QUEUE_LEN] = job;
	pool->count++;
	(void)pthread_cond_signal(&pool->has_job);
	(void)pthread_mutex_unlock(&pool->lock);
}

void pool_wait_idle(struct pool *pool)
{
	(void)pthread_mutex_lock(&pool->lock);
	while (pool->count || pool->busy)
		pool_wait_locked(pool);
	(void)pthread_mutex_unlock(&pool->lock);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A thread reads: the walk says what, the pump does it, and what it hands out stands in a queue,
 * from which the calling thread tells it, in that order. So reads are begun while others are
 * digested, also when a late one lets go many that had to wait for it.
 */
#include "verify/block_pass.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "io/file.h"
#include "io/pump.h"
#include "verify/block_walk.h"

#define SLOTS 96u
#define GAP_MAX (32u << 10) /* bytes: that are read as fast as a read of their own is begun */
#define GAP_MAX_ROTATIONAL (128u << 10) /* the same where the head would have to move */
#define PROGRESS_NS (200 * NS_PER_MS)

static_assert(BLOCK_PASS_RAW == BLOCK_WALK_RAW, "one size of block without a filesystem");
static_assert(BLOCK_WALK_READ <= PUMP_SLOT_MAX, "a read has room in a slot");

struct pass {
	struct volume *volume;
	const struct block_pass_events *events;
	struct block_pass_stats *stats;
	struct block_walk *walk;
	uint32_t unit; /* bytes of a block */
	struct load load;
	struct throttle throttle;
	struct pump *pump;
	struct block_read reads[SLOTS]; /* one for each slot */
	atomic_int result;		/* of a callback */
	int64_t told_ns;		/* when progress was told */

	pthread_mutex_t lock;
	pthread_cond_t changed;
	/* Under the lock. */
	struct pump_slot *queue[SLOTS];
	unsigned first, count;
	unsigned free[SLOTS], nr_free; /* reads that are not under way */
	uint64_t total;		       /* bytes that are to be told */
	bool ended;
	int read_result;
};

/* ---- what was read ---- */

static uint64_t next_sector(const struct pass *pass, uint64_t off)
{
	return (off / pass->volume->sector + 1) * pass->volume->sector;
}

/* Each run of bad sectors in [off, end), cut to that. */
static int tell_bad(struct pass *pass, const struct pump_slot *slot, uint64_t off, uint64_t end)
{
	int r = 0;

	pass->stats->nr_bad_blocks++;
	while (off < end && r == 0) {
		uint64_t good = off;
		while (good < end && pump_slot_is_bad(pass->pump, slot, good, 1))
			good = min_of(next_sector(pass, good), end);
		if (good > off) {
			pass->stats->bad_bytes += good - off;
			r = pass->events->bad(off, good - off, slot->error, pass->events->ctx);
		}
		off = next_sector(pass, good);
	}
	return r;
}

static int tell_good(struct pass *pass, uint64_t block, const uint8_t *bytes)
{
	struct block_sum sum = block_sum_of(span_of(bytes, pass->unit));

	pass->stats->nr_blocks++;
	return pass->events->block(block, sum, bytes, pass->events->ctx);
}

static int tell_block(struct pass *pass, const struct pump_slot *slot, uint64_t block)
{
	uint64_t off = block * pass->unit, at = off - slot->read.off;
	uint64_t len = min_of((uint64_t)pass->unit, slot->read.len - at);
	uint8_t last[BLOCK_PASS_RAW];

	pass->stats->bytes += len;
	if (pump_slot_is_bad(pass->pump, slot, off, len))
		return tell_bad(pass, slot, off, off + len);
	if (len == pass->unit)
		return tell_good(pass, block, slot->data + at);
	memset(last, 0, sizeof(last));
	memcpy(last, slot->data + at, len);
	return tell_good(pass, block, last);
}

static void tell_slot(struct pass *pass, struct pump_slot *slot)
{
	unsigned nr = (unsigned)slot->read.user;
	const struct block_read *read = &pass->reads[nr];
	int r = atomic_load(&pass->result);

	for (uint32_t i = 0; i < read->nr_blocks && r == 0; i++)
		if (block_read_has(read, i))
			r = tell_block(pass, slot, read->first + i);
	atomic_store(&pass->result, r);
	if (!pass->volume->direct)
		file_forget_range(pass->volume->fd, slot->read.off, slot->read.len);
	/* The read first: whoever gets a slot must find one. */
	(void)pthread_mutex_lock(&pass->lock);
	pass->free[pass->nr_free++] = nr;
	(void)pthread_mutex_unlock(&pass->lock);
	pump_release(pass->pump, slot);
}

static void tell_progress(struct pass *pass, uint64_t total)
{
	uint64_t done = pass->stats->bytes;

	pass->told_ns = clock_mono_ns();
	if (pass->events->progress)
		pass->events->progress(done, max_of(done, total), pass->events->ctx);
}

/* Waits for a slot, a moment only. Runs with the lock held. */
static void wait_for_slot(struct pass *pass)
{
	struct timespec until;

	(void)clock_gettime(CLOCK_MONOTONIC, &until);
	int64_t ns = clock_from_timespec(until) + PROGRESS_NS;
	until = (struct timespec){ ns / NS_PER_S, ns % NS_PER_S };
	if (pass->count == 0 && !pass->ended)
		(void)pthread_cond_timedwait(&pass->changed, &pass->lock, &until);
}

/* The next slot, NULL when there is none yet. False: all have been told. */
static bool take_slot(struct pass *pass, struct pump_slot **ret_slot, uint64_t *ret_total)
{
	(void)pthread_mutex_lock(&pass->lock);
	wait_for_slot(pass);
	bool more = pass->count || !pass->ended;
	*ret_slot = pass->count ? pass->queue[pass->first] : NULL;
	*ret_total = pass->total;
	if (pass->count) {
		pass->first = (pass->first + 1) % SLOTS;
		pass->count--;
	}
	(void)pthread_mutex_unlock(&pass->lock);
	return more;
}

static void tell_all(struct pass *pass)
{
	struct pump_slot *slot;
	uint64_t total;

	while (take_slot(pass, &slot, &total)) {
		if (slot)
			tell_slot(pass, slot);
		if (clock_mono_ns() - pass->told_ns >= PROGRESS_NS)
			tell_progress(pass, total);
	}
}

/* ---- what to read ---- */

static unsigned take_read(struct pass *pass)
{
	(void)pthread_mutex_lock(&pass->lock);
	assert(pass->nr_free);
	unsigned nr = pass->free[--pass->nr_free];
	(void)pthread_mutex_unlock(&pass->lock);
	return nr;
}

static int on_next(struct pump_read *ret_read, void *ctx)
{
	struct pass *pass = ctx;
	int r = atomic_load(&pass->result);

	if (r)
		return r;
	unsigned nr = take_read(pass);
	struct block_read *read = &pass->reads[nr];
	r = block_walk_next(pass->walk, read);
	(void)pthread_mutex_lock(&pass->lock);
	pass->total = block_walk_total(pass->walk);
	if (r)
		pass->free[pass->nr_free++] = nr;
	(void)pthread_mutex_unlock(&pass->lock);
	if (r)
		return r == BLOCK_WALK_END ? PUMP_END : r;
	*ret_read = (struct pump_read){ read->off, read->len, nr };
	return 0;
}

static void on_ready(struct pump_slot *slot, void *ctx)
{
	struct pass *pass = ctx;

	(void)pthread_mutex_lock(&pass->lock);
	pass->queue[(pass->first + pass->count++) % SLOTS] = slot;
	(void)pthread_cond_signal(&pass->changed);
	(void)pthread_mutex_unlock(&pass->lock);
}

static void *read_all(void *arg)
{
	struct pass *pass = arg;
	struct pump_ops ops = { .next = on_next, .ready = on_ready, .ctx = pass };
	int r = pump_run(pass->pump, pass->volume->fd, &ops);

	(void)pthread_mutex_lock(&pass->lock);
	pass->ended = true;
	pass->read_result = r;
	(void)pthread_cond_signal(&pass->changed);
	(void)pthread_mutex_unlock(&pass->lock);
	return NULL;
}

/* ---- the pass ---- */

static int pass_begin(struct pass *pass, struct ext4 *fs, const struct block_pass_options *options)
{
	struct volume *volume = pass->volume;
	struct pump_options pump = {
		.engine = options->engine,
		.nr_slots = SLOTS,
		.slot_len = BLOCK_WALK_READ,
		.sector = volume->sector,
		.timeout_ns = options->timeout_ns,
		.probe_off = 0, /* beside the superblock, which has been read */
		.stop = options->stop,
		.throttle = &pass->throttle,
		.fault = options->fault,
	};
	int r = block_walk_new(volume, fs, volume->rotational ? GAP_MAX_ROTATIONAL : GAP_MAX,
			       &pass->walk);

	if (r)
		return r;
	pass->unit = block_walk_block_size(pass->walk);
	pass->stats->block_size = pass->unit;
	if (!fs)
		pass->stats->bytes_tail = volume->info.size - block_walk_total(pass->walk);
	for (unsigned i = 0; i < SLOTS; i++)
		pass->free[pass->nr_free++] = SLOTS - 1 - i;
	/* Without its books nobody else's reads are seen; the throttle knows what to do then. */
	bool has_load = load_open(&pass->load, volume->disk_dev) == 0;
	throttle_init(&pass->throttle, &options->limits, has_load ? &pass->load : NULL);
	return pump_new(&pump, &pass->pump);
}

static void pass_count(struct pass *pass)
{
	struct block_pass_stats *stats = pass->stats;
	struct block_walk_left_out left_out = block_walk_get_left_out(pass->walk);
	struct pump_stats pump;

	pump_get_stats(pass->pump, &pump);
	stats->nr_groups_left_out = left_out.nr_groups;
	stats->bytes_left_out = left_out.bytes;
	stats->bytes_read = pump.bytes;
	stats->reads = pump.reads;
	stats->retried = pump.retried;
	stats->depth = pump.depth;
	stats->engine = pump.engine;
	(void)snprintf(stats->why, sizeof(stats->why), "%s", pump.why);
}

static int pass_read(struct pass *pass)
{
	pthread_t thread;
	int r = -pthread_create(&thread, NULL, read_all, pass);

	if (r)
		return r;
	tell_all(pass);
	(void)pthread_join(thread, NULL);
	pass_count(pass);
	r = atomic_load(&pass->result);
	if (r)
		return r;
	if (pass->read_result)
		return pass->read_result == PUMP_STOPPED ? BLOCK_PASS_STOPPED : pass->read_result;
	tell_progress(pass, pass->total);
	if (pass->stats->nr_groups_left_out == 0)
		return 0;
	if (pass->events->left_out)
		r = block_walk_each_left_out(pass->walk, pass->events->left_out, pass->events->ctx);
	return r ? r : BLOCK_PASS_PARTIAL;
}

static struct pass *pass_new(void)
{
	struct pass *pass = calloc(1, sizeof(*pass));
	pthread_condattr_t attr;

	if (!pass)
		return NULL;
	pass->load = LOAD_NULL;
	(void)pthread_mutex_init(&pass->lock, NULL);
	(void)pthread_condattr_init(&attr);
	(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&pass->changed, &attr);
	(void)pthread_condattr_destroy(&attr);
	return pass;
}

static void pass_free(struct pass *pass)
{
	pump_free(pass->pump);
	load_close(&pass->load);
	block_walk_free(pass->walk);
	(void)pthread_cond_destroy(&pass->changed);
	(void)pthread_mutex_destroy(&pass->lock);
	free(pass);
}

int block_pass_run(struct volume *volume, struct ext4 *fs, const struct block_pass_options *options,
		   const struct block_pass_events *events, struct block_pass_stats *ret_stats)
{
	struct pass *pass = pass_new();

	*ret_stats = (struct block_pass_stats){ .block_size = 0 };
	if (!pass)
		return -ENOMEM;
	pass->volume = volume;
	pass->events = events;
	pass->stats = ret_stats;
	int r = pass_begin(pass, fs, options);
	if (r == 0)
		r = pass_read(pass);
	pass_free(pass);
	return r;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two plans take turns: one is collected by the scan thread, the other read by the thread of the
 * volume. They change hands under the lock, when nothing is being read.
 */
#include "verify/blocks.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "io/dev.h"
#include "io/pump.h"
#include "verify/digesting.h"
#include "verify/plan.h"
#include "verify/resolve.h"
#include "verify/scanning.h"

#define SLOTS 96u
#define SLOT_LEN (512u << 10) /* bytes */
#define GAP_MAX (32u << 10)   /* bytes: that are read as fast as a read of their own is begun */
#define GAP_MAX_ROTATIONAL (128u << 10) /* the same where the head would have to move */
#define TWINS 8				/* planted faults in a window */
#define SUSPICIONS_MAX 4096		/* not taken in yet */
#define WAIT_NS (5 * NS_PER_MS)

enum reader_state { READER_IDLE, READER_BUSY, READER_CLOSING };

struct blocks {
	struct volume *volume;
	struct blocks_options options;
	struct tally *tally;
	struct plan *collecting;
	struct plan *reading;
	struct load load;
	struct throttle throttle;
	struct pump *pump;
	struct digesting *digesting;

	pthread_t thread;
	bool started;
	atomic_bool giving_up; /* nobody takes suspicions in any more */
	pthread_mutex_t lock;
	pthread_cond_t changed;
	enum reader_state state;
	/*
	 * How far the window has come, under the lock: the batches that are not through, in order.
	 */
	struct batch *first_open, *last_open;
	uint64_t planned;  /* the largest distance of a message that ends in what was planned */
	uint64_t distance; /* all below it is through */
	int result;
	uint64_t nr_unread;

	/* Of the scan thread. */
	uint64_t messages, bytes, fallbacks;
};

/* ---- reading: the thread of the volume, and the workers ---- */

/* Where the last message that ends in this batch begins. */
static uint64_t distance_of(struct blocks *blocks, const struct batch *batch)
{
	for (uint32_t i = batch->read.nr_pieces; i-- > 0;)
		if (batch->read.pieces[i].last)
			return plan_distance(
				blocks->reading,
				plan_object_at(blocks->reading, batch->read.pieces[i].object)->at);
	return 0;
}

static void open_batch(struct blocks *blocks, struct batch *batch)
{
	(void)pthread_mutex_lock(&blocks->lock);
	batch->distance = blocks->planned;
	batch->open_before = blocks->last_open;
	batch->open_behind = NULL;
	if (blocks->last_open)
		blocks->last_open->open_behind = batch;
	else
		blocks->first_open = batch;
	blocks->last_open = batch;
	blocks->planned = max_of(blocks->planned, distance_of(blocks, batch));
	(void)pthread_mutex_unlock(&blocks->lock);
}

static int on_next(struct pump_read *ret_read, void *ctx)
{
	struct blocks *blocks = ctx;
	struct batch *batch = digesting_take(blocks->digesting);

	if (!batch) /* there is one for every slot */
		return -ENOBUFS;
	if (!plan_next(blocks->reading, &batch->read)) {
		digesting_drop(blocks->digesting, batch);
		return PUMP_END;
	}
	open_batch(blocks, batch);
	*ret_read = (struct pump_read){
		.off = batch->read.off,
		.len = batch->read.len,
		.user = (uint64_t)(uintptr_t)batch,
	};
	return 0;
}

static void on_ready(struct pump_slot *slot, void *ctx)
{
	struct blocks *blocks = ctx;
	struct batch *batch = (struct batch *)(uintptr_t)slot->read.user;

	batch->slot = slot;
	digesting_put(blocks->digesting, batch);
}

/* A batch has been digested to its end; others before it may not have been. */
static void on_batch(struct batch *batch, void *ctx)
{
	struct blocks *blocks = ctx;

	(void)pthread_mutex_lock(&blocks->lock);
	if (batch->open_before)
		batch->open_before->open_behind = batch->open_behind;
	else
		blocks->first_open = batch->open_behind;
	if (batch->open_behind)
		batch->open_behind->open_before = batch->open_before;
	else
		blocks->last_open = batch->open_before;
	blocks->distance = blocks->first_open ? blocks->first_open->distance : blocks->planned;
	(void)pthread_mutex_unlock(&blocks->lock);
}

uint64_t blocks_distance(struct blocks *blocks)
{
	(void)pthread_mutex_lock(&blocks->lock);
	uint64_t distance = blocks->distance;
	(void)pthread_mutex_unlock(&blocks->lock);
	return distance;
}

static void witness_of(const struct plan_object *object, struct witness *ret_witness)
{
	*ret_witness = (struct witness){
		.uid = object->uid,
		.size = object->size,
		.archived = object->archived,
		.internaldate = object->internaldate,
	};
	memcpy(ret_witness->guid, object->guid, SHA1_LEN);
}

/*
 * On a disk that is wrong everywhere, suspicions come faster than they can be looked at. The scan
 * thread takes them in whenever it waits for this volume, so here it is safe to wait for it.
 */
static void wait_for_room(struct blocks *blocks)
{
	while (tally_count_suspicions(blocks->tally) >= SUSPICIONS_MAX &&
	       !atomic_load(&blocks->giving_up) && !*blocks->options.stop)
		clock_sleep_ns(WAIT_NS);
}

/* A message has been digested, or could not be. */
static void on_digest(uint32_t index, const uint8_t *digest, int error, void *ctx)
{
	struct blocks *blocks = ctx;
	struct plan_object *object = plan_object_at(blocks->reading, index);
	struct witness witness;
	struct observation seen = {
		.error = error,
		.alone = true, /* the pump has seen to that */
		.direct = blocks->volume->direct,
		.digested = digest != NULL,
		.generation = object->generation,
		.mapping = object->mapping,
		.identity = {
			.dev = blocks->volume->dev,
			.ino = object->ino,
			.size = object->size,
			.mtime_ns = object->mtime_ns,
			.ctime_ns = object->ctime_ns,
			.nlink = 1,
			.mode = S_IFREG,
		},
	};

	if (digest)
		memcpy(seen.digest, digest, SHA1_LEN);
	witness_of(object, &witness);
	object->done = true;
	wait_for_room(blocks);
	if (object->twin)
		tally_seen_twin(blocks->tally, object->mailbox, &witness, &seen);
	else
		tally_seen(blocks->tally, object->mailbox, &witness, &seen);
}

/* What was planned and not read counts as not checked. */
static uint64_t settle_unread(struct blocks *blocks)
{
	uint64_t nr = 0;

	for (uint32_t i = 0; i < plan_count(blocks->reading); i++) {
		struct plan_object *object = plan_object_at(blocks->reading, i);
		if (!object->planned || object->done)
			continue;
		nr += !object->twin;
		atomic_fetch_add(&object->mailbox->gaps, 1);
		tally_count_down(blocks->tally, object->mailbox);
	}
	return nr;
}

static void read_window(struct blocks *blocks)
{
	struct pump_ops ops = { .next = on_next, .ready = on_ready, .ctx = blocks };
	int r = pump_run(blocks->pump, blocks->volume->fd, &ops);

	digesting_drain(blocks->digesting);
	blocks->result = r;
	blocks->nr_unread = settle_unread(blocks);
}

static void *blocks_run(void *arg)
{
	struct blocks *blocks = arg;

	(void)pthread_mutex_lock(&blocks->lock);
	while (blocks->state != READER_CLOSING) {
		if (blocks->state == READER_IDLE) {
			(void)pthread_cond_wait(&blocks->changed, &blocks->lock);
			continue;
		}
		(void)pthread_mutex_unlock(&blocks->lock);
		read_window(blocks);
		(void)pthread_mutex_lock(&blocks->lock);
		blocks->state = READER_IDLE;
		(void)pthread_cond_broadcast(&blocks->changed);
	}
	(void)pthread_mutex_unlock(&blocks->lock);
	return NULL;
}

bool blocks_is_busy(struct blocks *blocks, int64_t wait_ns)
{
	struct timespec until;

	(void)clock_gettime(CLOCK_MONOTONIC, &until);
	int64_t ns = clock_from_timespec(until) + wait_ns;
	until = (struct timespec){ ns / NS_PER_S, ns % NS_PER_S };
	(void)pthread_mutex_lock(&blocks->lock);
	if (blocks->state == READER_BUSY && wait_ns > 0)
		(void)pthread_cond_timedwait(&blocks->changed, &blocks->lock, &until);
	bool busy = blocks->state == READER_BUSY;
	(void)pthread_mutex_unlock(&blocks->lock);
	return busy;
}

int blocks_take_result(struct blocks *blocks, uint64_t *ret_unread)
{
	int r = blocks->result;

	*ret_unread = blocks->nr_unread;
	blocks->result = 0;
	blocks->nr_unread = 0;
	return r;
}

/* ---- making and freeing ---- */

static int blocks_make_plans(struct blocks *blocks)
{
	const struct volume *volume = blocks->volume;
	struct plan_geometry geometry = {
		.size = volume->info.size,
		.origin = volume->info.size ? blocks->options.origin_seed % volume->info.size : 0,
		.align = volume->sector,
		.read_max = SLOT_LEN,
		.gap_max = volume->rotational ? GAP_MAX_ROTATIONAL : GAP_MAX,
	};
	int r = plan_new(&geometry, blocks->options.window + TWINS, &blocks->collecting);

	return r ? r : plan_new(&geometry, blocks->options.window + TWINS, &blocks->reading);
}

static int blocks_make_reader(struct blocks *blocks)
{
	const struct blocks_options *options = &blocks->options;
	struct pump_options pump = {
		.engine = options->engine,
		.nr_slots = SLOTS,
		.slot_len = SLOT_LEN,
		.sector = blocks->volume->sector,
		.timeout_ns = options->timeout_ns,
		.probe_off = 0, /* beside the superblock, which has been read */
		.stop = options->stop,
		.throttle = &blocks->throttle,
		.fault = options->fault,
	};
	/* Without its books nobody else's reads are seen; the throttle knows what to do then. */
	bool has_load = load_open(&blocks->load, blocks->volume->disk_dev) == 0;
	throttle_init(&blocks->throttle, &options->limits, has_load ? &blocks->load : NULL);
	int r = pump_new(&pump, &blocks->pump);

	if (r)
		return r;
	struct digesting_options digesting = {
		.engine = options->sha1,
		.nr_workers = options->nr_workers,
		.nr_batches = SLOTS,
		.pump = blocks->pump,
		.fn = on_digest,
		.batch_fn = on_batch,
		.ctx = blocks,
	};
	r = digesting_new(&digesting, &blocks->digesting);
	if (r == 0)
		r = -pthread_create(&blocks->thread, NULL, blocks_run, blocks);
	blocks->started = r == 0;
	return r;
}

int blocks_new(struct volume *volume, struct tally *tally, const struct blocks_options *options,
	       struct blocks **ret_blocks)
{
	struct blocks *blocks = calloc(1, sizeof(*blocks));
	pthread_condattr_t attr;

	if (!blocks) {
		volume_close(volume);
		return -ENOMEM;
	}
	blocks->volume = volume;
	blocks->load = LOAD_NULL;
	blocks->options = *options;
	blocks->tally = tally;
	(void)pthread_mutex_init(&blocks->lock, NULL);
	(void)pthread_condattr_init(&attr);
	(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&blocks->changed, &attr);
	(void)pthread_condattr_destroy(&attr);
	int r = blocks_make_plans(blocks);
	if (r == 0)
		r = blocks_make_reader(blocks);
	if (r) {
		blocks_free(blocks);
		return r;
	}
	*ret_blocks = blocks;
	return 0;
}

/* What was collected and is not going to be read. */
static void drop_collected(struct blocks *blocks)
{
	for (uint32_t i = 0; blocks->collecting && i < plan_count(blocks->collecting); i++) {
		struct mailbox *mailbox = plan_object_at(blocks->collecting, i)->mailbox;
		atomic_fetch_add(&mailbox->gaps, 1);
		tally_count_down(blocks->tally, mailbox);
	}
}

void blocks_free(struct blocks *blocks)
{
	if (!blocks)
		return;
	atomic_store(&blocks->giving_up, true);
	drop_collected(blocks);
	while (blocks_is_busy(blocks, NS_PER_S))
		;
	(void)pthread_mutex_lock(&blocks->lock);
	blocks->state = READER_CLOSING;
	(void)pthread_cond_broadcast(&blocks->changed);
	(void)pthread_mutex_unlock(&blocks->lock);
	if (blocks->started)
		(void)pthread_join(blocks->thread, NULL);
	digesting_free(blocks->digesting);
	pump_free(blocks->pump);
	plan_free(blocks->collecting);
	plan_free(blocks->reading);
	load_close(&blocks->load);
	volume_close(blocks->volume);
	(void)pthread_cond_destroy(&blocks->changed);
	(void)pthread_mutex_destroy(&blocks->lock);
	free(blocks);
}

void blocks_set_limits(struct blocks *blocks, const struct throttle_limits *limits)
{
	throttle_set(&blocks->throttle, limits);
}

const struct volume *blocks_volume(const struct blocks *blocks)
{
	return blocks->volume;
}

/* ---- collecting ---- */

uint32_t blocks_collected(const struct blocks *blocks)
{
	return plan_count(blocks->collecting);
}

bool blocks_offer(struct blocks *blocks, struct mailbox *mailbox, const struct witness *witness,
		  uint32_t ino, bool may_carry)
{
	struct plan_object *object = plan_count(blocks->collecting) < blocks->options.window
					     ? plan_add(blocks->collecting)
					     : NULL;

	if (!object)
		return false;
	object->mailbox = mailbox;
	object->ino = ino;
	object->uid = witness->uid;
	object->size = (uint32_t)witness->size;
	object->internaldate = witness->internaldate;
	object->archived = witness->archived;
	object->may_carry = may_carry;
	memcpy(object->guid, witness->guid, SHA1_LEN);
	tally_begin(mailbox);
	return true;
}

/*
 * The planted faults: beside messages at several places on the way, the first one at its very
 * beginning, the same message with a wrong twin of its record. The first that is fit will do.
 */
static int plant_twins(struct blocks *blocks)
{
	struct plan *plan = blocks->collecting;
	struct plan_object *twins[TWINS];
	unsigned nr = 0;

	if (tally_has_planted_canary(blocks->tally))
		return 0;
	for (unsigned i = 0; i < TWINS; i++) {
		const struct plan_object *real = plan_object_on_the_way(plan, i, TWINS);
		twins[nr] = real ? plan_add(plan) : NULL;
		if (!twins[nr])
			break;
		*twins[nr] = *real;
		nr++;
	}
	for (unsigned i = 0; i < nr; i++) {
		twins[i]->twin = true;
		twins[i]->guid[SHA1_LEN - 1] ^= 1;
		tally_begin(twins[i]->mailbox);
	}
	return nr ? plan_sort_by_place(plan) : 0;
}

static int hand_back(struct blocks *blocks, blocks_fallback_fn fallback, void *ctx)
{
	int r = 0;

	for (uint32_t i = 0; i < plan_count(blocks->collecting); i++) {
		struct plan_object *object = plan_object_at(blocks->collecting, i);
		struct witness witness;
		if (object->planned)
			continue;
		if (object->carried) {
			tally_carry(blocks->tally, object->mailbox, object->size);
			continue;
		}
		blocks->fallbacks++;
		witness_of(object, &witness);
		if (r == 0)
			r = fallback(object->mailbox, &witness, ctx);
		if (r)
			atomic_fetch_add(&object->mailbox->gaps, 1);
		tally_count_down(blocks->tally, object->mailbox);
	}
	return r;
}

int blocks_start(struct blocks *blocks, int dirfd, const struct blocks_carry *carry,
		 blocks_fallback_fn fallback, void *ctx)
{
	uint64_t messages, bytes;
	int r = resolve_places(blocks->volume, blocks->collecting, dirfd, carry);

	if (r == 0)
		r = plant_twins(blocks);

	/* What was not placed, all of it after an error, is read as files. */
	int handed = hand_back(blocks, fallback, ctx);
	plan_get_totals(blocks->collecting, &messages, &bytes);
	blocks->messages += messages;
	blocks->bytes += bytes;
	(void)pthread_mutex_lock(&blocks->lock);
	struct plan *read = blocks->reading;
	blocks->reading = blocks->collecting;
	blocks->collecting = read;
	blocks->state = READER_BUSY;
	blocks->first_open = blocks->last_open = NULL;
	blocks->planned = blocks->distance = 0;
	(void)pthread_cond_broadcast(&blocks->changed);
	(void)pthread_mutex_unlock(&blocks->lock);
	plan_clear(blocks->collecting);
	return r ? r : handed;
}

void blocks_get_report(const struct blocks *blocks, struct blocks_report *ret_report)
{
	struct pump_stats stats;

	pump_get_stats(blocks->pump, &stats);
	*ret_report = (struct blocks_report){
		.engine = stats.engine,
		.why = stats.why,
		.sha1 = digesting_engine_name(blocks->digesting),
		.messages = blocks->messages,
		.bytes = blocks->bytes,
		.bytes_read = stats.bytes,
		.reads = stats.reads,
		.retried = stats.retried,
		.bad_sectors = stats.bad_sectors,
		.fallbacks = blocks->fallbacks,
		.depth = stats.depth,
	};
}

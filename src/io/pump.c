/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A fixed array of slots. A slot goes round: free, planned, reading, read (or failed), held by the
 * consumer, free. The slots between planned and read stand in `order`, a queue in the order of the
 * plan; only its head is handed out. Free slots are a list under a lock, because consumers give them
 * back from other threads.
 */
#include "io/pump.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/clock.h"
#include "io/depth.h"
#include "io/dev.h"
#include "io/file.h"
#include "io/narrow.h"
#include "io/throttle.h"

#define SLOTS_MAX 512
#define WAIT_NS (100 * NS_PER_MS)
#define DEPTH_START 32
#define RESULTS 64
#define TAG_ALONE SLOTS_MAX /* the read that is made alone */

enum slot_state { SLOT_FREE, SLOT_PLANNED, SLOT_READING, SLOT_READ, SLOT_FAILED, SLOT_HELD };

struct pump {
	struct pump_options options;
	struct pump_slot *slots;
	uint8_t *arena;
	size_t arena_len;
	struct ring *ring;
	int fd;
	struct depth depth;
	struct pump_slot *order[SLOTS_MAX];
	unsigned first, count; /* of `order` */
	unsigned reading;
	int64_t hold_ns; /* the throttle wants no read before that time has passed; 0: go */
	bool ended;	 /* the plan is */
	bool abandoned;	 /* the kernel may still write into the arena */
	struct pump *abandoned_before;
	struct {
		bool under_way;
		int result;
		int64_t begun_ns;
	} alone;
	uint64_t failed_in_a_row; /* bytes, without one good sector between them */
	struct pump_stats stats;
	char why[128];

	pthread_mutex_t lock;
	pthread_cond_t released;
	struct pump_slot *free;
};

/* ---- slots ---- */

static struct pump_slot *pump_take_free(struct pump *pump)
{
	(void)pthread_mutex_lock(&pump->lock);
	struct pump_slot *slot = pump->free;
	if (slot)
		pump->free = slot->next;
	(void)pthread_mutex_unlock(&pump->lock);
	return slot;
}

void pump_release(struct pump *pump, struct pump_slot *slot)
{
	(void)pthread_mutex_lock(&pump->lock);
	slot->state = SLOT_FREE;
	slot->next = pump->free;
	pump->free = slot;
	(void)pthread_cond_signal(&pump->released);
	(void)pthread_mutex_unlock(&pump->lock);
}

/* The consumer has everything: waits until it gives something back, or a moment. */
static void pump_wait_released(struct pump *pump)
{
	struct timespec until;

	(void)clock_gettime(CLOCK_MONOTONIC, &until);
	int64_t ns = clock_from_timespec(until) + WAIT_NS;
	until = (struct timespec){ ns / NS_PER_S, ns % NS_PER_S };
	(void)pthread_mutex_lock(&pump->lock);
	if (!pump->free)
		(void)pthread_cond_timedwait(&pump->released, &pump->lock, &until);
	(void)pthread_mutex_unlock(&pump->lock);
}

static uint32_t sector_of(const struct pump *pump, const struct pump_slot *slot, uint64_t off)
{
	return (uint32_t)((off - slot->read.off) / pump->options.sector);
}

bool pump_slot_is_bad(const struct pump *pump, const struct pump_slot *slot, uint64_t off,
		      uint64_t len)
{
	if (!slot->has_bad || len == 0)
		return false;
	for (uint32_t i = sector_of(pump, slot, off); i <= sector_of(pump, slot, off + len - 1);
	     i++)
		if (slot->bad[i / 64] & UINT64_C(1) << (i % 64))
			return true;
	return false;
}

/* ---- making and freeing ---- */

static int pump_make_arena(struct pump *pump)
{
	pump->arena_len = (size_t)pump->options.nr_slots * pump->options.slot_len;
	void *arena = mmap(NULL, pump->arena_len, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (arena == MAP_FAILED)
		return -ENOMEM;
	pump->arena = arena;
	/* Large pages where there are any, and all of it now: a page fault in the middle of a read costs
	 * more than the read. Both may be refused. */
	(void)madvise(arena, pump->arena_len, MADV_HUGEPAGE);
	(void)madvise(arena, pump->arena_len, MADV_POPULATE_WRITE);
	return 0;
}

int pump_new(const struct pump_options *options, struct pump **ret_pump)
{
	assert(options->nr_slots >= 2 && options->nr_slots <= SLOTS_MAX);
	assert(options->slot_len <= PUMP_SLOT_MAX && options->slot_len % FILE_ALIGN == 0);
	assert(options->sector >= PUMP_SECTOR_MIN && options->slot_len % options->sector == 0);
	struct pump *pump = calloc(1, sizeof(*pump));
	pthread_condattr_t attr;

	if (!pump)
		return -ENOMEM;
	pump->options = *options;
	(void)pthread_mutex_init(&pump->lock, NULL);
	(void)pthread_condattr_init(&attr);
	(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&pump->released, &attr);
	(void)pthread_condattr_destroy(&attr);
	pump->slots = calloc(options->nr_slots, sizeof(*pump->slots));
	int r = pump->slots ? pump_make_arena(pump) : -ENOMEM;
	if (r) {
		pump_free(pump);
		return r;
	}
	for (unsigned i = options->nr_slots; i-- > 0;) {
		pump->slots[i].nr = i;
		pump->slots[i].data = pump->arena + (size_t)i * options->slot_len;
		pump_release(pump, &pump->slots[i]);
	}
	depth_init(&pump->depth, min_of(4u, options->nr_slots / 2),
		   max_of(1u, options->nr_slots * 3 / 4), DEPTH_START);
	if (options->depth)
		depth_init(&pump->depth, options->depth, options->depth, options->depth);
	*ret_pump = pump;
	return 0;
}

/* Left behind, and not lost: what looks for lost memory finds it from here. */
static _Atomic(struct pump *) last_abandoned;

void pump_free(struct pump *pump)
{
	if (!pump)
		return;
	/* One whose device hangs cannot be freed: the kernel still has its buffers. */
	if (pump->abandoned) {
		pump->abandoned_before = atomic_exchange(&last_abandoned, pump);
		return;
	}
	if (pump->arena)
		(void)munmap(pump->arena, pump->arena_len);
	free(pump->slots);
	(void)pthread_cond_destroy(&pump->released);
	(void)pthread_mutex_destroy(&pump->lock);
	free(pump);
}

void pump_get_stats(const struct pump *pump, struct pump_stats *ret_stats)
{
	*ret_stats = pump->stats;
	ret_stats->why = pump->why;
	ret_stats->depth = pump->depth.now;
}

/* ---- results ---- */

/* What goes on behind a part of a sector is refused by O_DIRECT: the whole sector is read again. */
static uint32_t whole_sectors(const struct pump *pump, uint32_t len)
{
	return len / pump->options.sector * pump->options.sector;
}

/* What a read came to: 0 when it goes on or is done. */
static int slot_ended(struct pump *pump, struct pump_slot *slot, int result)
{
	int64_t now = clock_mono_ns();

	pump->reading--;
	if (pump->options.throttle)
		throttle_done(pump->options.throttle, now - slot->begun_ns);
	if (narrow_is_gone(result))
		return -ENODEV;
	if (result == -EAGAIN || result == -EINTR) {
		slot->state = SLOT_PLANNED;
		slot->refused_ns = slot->refused_ns ? slot->refused_ns : now;
		return now - slot->refused_ns > pump->options.timeout_ns ? -ETIME : 0;
	}
	if (result < 0 && !file_error_is_media(result))
		return result;
	uint32_t len = result > 0 ? whole_sectors(pump, (uint32_t)result) : 0;
	if (len == 0) { /* nothing at all: behind the end of the device */
		slot->state = SLOT_FAILED;
		return 0;
	}
	pump->stats.bytes += len;
	slot->done += len;
	slot->refused_ns = 0;
	slot->state = slot->done < slot->read.len ? SLOT_PLANNED : SLOT_READ;
	depth_done(&pump->depth, now, len);
	return 0;
}

/* -ETIME: a read has been under way for too long. A device that answers says -ETIMEDOUT itself. */
static int pump_check_hanging(const struct pump *pump)
{
	int64_t limit = clock_mono_ns() - pump->options.timeout_ns;

	if (pump->alone.under_way && pump->alone.begun_ns < limit)
		return -ETIME;
	for (unsigned i = 0; i < pump->count; i++) {
		const struct pump_slot *slot = pump->order[(pump->first + i) % SLOTS_MAX];
		if (slot->state == SLOT_READING && slot->begun_ns < limit)
			return -ETIME;
	}
	return 0;
}

/* Waits for results and takes them in. */
static int pump_wait(struct pump *pump, int64_t timeout_ns)
{
	struct ring_done done[RESULTS];
	int n = ring_wait(pump->ring, timeout_ns, done, RESULTS), r = 0;

	if (n < 0)
		return n;
	if (n == 0)
		return timeout_ns ? pump_check_hanging(pump) : 0;
	for (int i = 0; i < n; i++) {
		if (done[i].tag == TAG_ALONE) {
			pump->alone.under_way = false;
			pump->alone.result = done[i].result;
			continue;
		}
		int ended = slot_ended(pump, &pump->slots[done[i].tag], done[i].result);
		r = r ? r : ended;
	}
	return r;
}

/* ---- narrowing ---- */

static bool pump_is_stopped(const struct pump *pump)
{
	return pump->options.stop && *pump->options.stop;
}

/* One read into a slot's buffer, while nothing else of ours is begun. 0, or the errno of the device. */
static int read_alone(struct pump *pump, uint8_t *buf, uint64_t off, uint32_t len)
{
	uint32_t done = 0;

	pump->alone.begun_ns = clock_mono_ns();
	while (done < len) {
		pump->alone.under_way = true;
		pump->stats.reads++;
		int r = ring_read(pump->ring, TAG_ALONE, pump->fd, buf + done, len - done,
				  off + done);
		while (r == 0 && pump->alone.under_way)
			r = pump_wait(pump, WAIT_NS);
		if (r)
			return r == -EBUSY ? -EIO : r;
		r = pump->alone.result;
		int64_t took = clock_mono_ns() - pump->alone.begun_ns;
		if ((r == -EAGAIN || r == -EINTR) && took <= pump->options.timeout_ns)
			continue;
		if (r == -EAGAIN || r == -EINTR)
			return -ETIME;
		if (r < 0)
			return r;
		uint32_t whole = whole_sectors(pump, (uint32_t)r);
		if (whole == 0)
			return -ENODATA;
		done += whole;
		pump->alone.begun_ns += took;
	}
	pump->stats.bytes += len;
	return 0;
}

/*
 * A device that has gone answers every read with an error. Its size then is nothing, or what could
 * be read before cannot be read any more. The slot is one whose every sector is bad: its buffer is
 * free. 0: it is there; -ENODEV; -ETIME.
 */
static int device_look(struct pump *pump, const struct pump_slot *slot)
{
	uint64_t size;

	if (dev_size(pump->fd, &size) != 0 || size == 0)
		return -ENODEV;
	int r = read_alone(pump, (uint8_t *)slot->data, pump->options.probe_off,
			   pump->options.sector);
	if (r)
		return r == -ETIME ? r : -ENODEV;
	memset((uint8_t *)slot->data, 0, pump->options.sector);
	return 0;
}

struct narrowing {
	struct pump *pump;
	struct pump_slot *slot;
};

static int on_narrow_read(uint64_t off, uint64_t len, void *ctx)
{
	struct narrowing *narrowing = ctx;
	struct pump *pump = narrowing->pump;
	struct pump_slot *slot = narrowing->slot;

	if (pump_is_stopped(pump))
		return -ECANCELED;
	int r = read_alone(pump, (uint8_t *)slot->data + (off - slot->read.off), off,
			   (uint32_t)len);
	if (r == 0)
		pump->failed_in_a_row = 0;
	return r;
}

static void on_narrow_bad(uint64_t off, uint64_t len, int error, void *ctx)
{
	struct narrowing *narrowing = ctx;
	struct pump_slot *slot = narrowing->slot;
	uint32_t i = sector_of(narrowing->pump, slot, off);

	slot->bad[i / 64] |= UINT64_C(1) << (i % 64);
	slot->has_bad = true;
	slot->error = error;
	narrowing->pump->stats.bad_sectors++;
	narrowing->pump->failed_in_a_row += len;
	memset((uint8_t *)slot->data + (off - slot->read.off), 0, len);
}

/* Finds the sectors of a slot that cannot be read. */
static int slot_narrow(struct pump *pump, struct pump_slot *slot)
{
	struct narrowing narrowing = { pump, slot };

	/* The block layer would merge it with its neighbours, and fail it with them. */
	while (pump->reading) {
		int r = pump_wait(pump, WAIT_NS);
		if (r)
			return r;
	}
	memset(slot->bad, 0, sizeof(slot->bad));
	int r = narrow(slot->read.off, slot->read.len, pump->options.sector, on_narrow_read,
		       on_narrow_bad, &narrowing);
	if (r)
		return r == -ECANCELED ? PUMP_STOPPED : narrow_is_gone(r) ? -ENODEV : r;
	pump->stats.retried += !slot->has_bad;
	return pump->failed_in_a_row >= slot->read.len ? device_look(pump, slot) : 0;
}

/* ---- the loop ---- */

static int pump_plan(struct pump *pump, const struct pump_ops *ops)
{
	while (!pump->ended && !pump_is_stopped(pump) && pump->count < pump->depth.now) {
		struct pump_read read;
		struct pump_slot *slot = pump_take_free(pump);
		if (!slot)
			break;
		int r = ops->next(&read, ops->ctx);
		if (r) {
			pump_release(pump, slot);
			pump->ended = r == PUMP_END;
			return r == PUMP_END ? 0 : r;
		}
		assert(read.len > 0 && read.len <= pump->options.slot_len &&
		       read.off % pump->options.sector == 0 &&
		       read.len % pump->options.sector == 0);
		slot->read = read;
		slot->done = 0;
		slot->error = 0;
		slot->has_bad = false;
		slot->refused_ns = 0;
		slot->state = SLOT_PLANNED;
		pump->order[(pump->first + pump->count++) % SLOTS_MAX] = slot;
	}
	return 0;
}

/* How much of what is left of a slot may be read now; 0: nothing, pump->hold_ns says how long. */
static uint32_t pump_admit(struct pump *pump, const struct pump_slot *slot)
{
	struct throttle *throttle = pump->options.throttle;
	uint32_t len = slot->read.len - slot->done;

	if (!throttle)
		return len;
	uint64_t most = max_of(throttle_read_max(throttle), (uint64_t)pump->options.sector);
	if (len > most)
		len = (uint32_t)most / pump->options.sector * pump->options.sector;
	pump->hold_ns = throttle_admit(throttle, clock_mono_ns(), len, pump->reading);
	if (pump->hold_ns == 0)
		return len;
	depth_forget_epoch(&pump->depth);
	return 0;
}

/* Begins what is planned, as far as depth and throttle allow. */
static int pump_begin(struct pump *pump)
{
	pump->hold_ns = 0;
	/* Under a low ceiling what is planned may take minutes: a stop does not wait for it. */
	for (unsigned i = 0;
	     i < pump->count && pump->reading < pump->depth.now && !pump_is_stopped(pump); i++) {
		struct pump_slot *slot = pump->order[(pump->first + i) % SLOTS_MAX];
		if (slot->state != SLOT_PLANNED)
			continue;
		uint32_t len = pump_admit(pump, slot);
		if (len == 0)
			break;
		int r = ring_read(pump->ring, slot->nr, pump->fd,
				  (uint8_t *)slot->data + slot->done, len,
				  slot->read.off + slot->done);
		if (r == -EBUSY)
			break;
		if (r)
			return r;
		slot->state = SLOT_READING;
		slot->begun_ns = clock_mono_ns();
		pump->reading++;
		pump->stats.reads++;
	}
	return 0;
}

static int pump_hand_out(struct pump *pump, const struct pump_ops *ops)
{
	while (pump->count) {
		struct pump_slot *slot = pump->order[pump->first];
		if (slot->state == SLOT_FAILED) {
			int r = slot_narrow(pump, slot);
			if (r)
				return r;
			slot->state = SLOT_READ;
		}
		if (slot->state != SLOT_READ)
			break;
		slot->state = SLOT_HELD;
		pump->first = (pump->first + 1) % SLOTS_MAX;
		pump->count--;
		ops->ready(slot, ops->ctx);
	}
	return 0;
}

static int pump_loop(struct pump *pump, const struct pump_ops *ops)
{
	for (;;) {
		int r = pump_plan(pump, ops);
		if (r == 0)
			r = pump_begin(pump);
		int64_t wait_ns = pump->hold_ns ? min_of(pump->hold_ns, WAIT_NS) : WAIT_NS;
		if (r == 0 && pump->reading)
			r = pump_wait(pump, wait_ns);
		else if (r == 0 && pump->hold_ns)
			clock_sleep_ns(wait_ns);
		else if (r == 0 && pump->count == 0 && !pump->ended && !pump_is_stopped(pump))
			pump_wait_released(pump);
		if (r == 0)
			r = pump_hand_out(pump, ops);
		if (ops->tick)
			ops->tick(ops->ctx);
		if (r)
			return r;
		if (pump->count == 0 && pump->ended)
			return 0;
		if (pump->reading == 0 && pump_is_stopped(pump))
			return PUMP_STOPPED;
	}
}

/* Waits for what the kernel still has of ours; what will not end is left behind. */
static void pump_drain(struct pump *pump)
{
	unsigned nr;

	/* How a read ends does not matter any more, only that it does. */
	while (!pump->abandoned && (nr = ring_in_flight(pump->ring)) > 0)
		pump->abandoned = pump_wait(pump, WAIT_NS) && ring_in_flight(pump->ring) == nr;
}

static void pump_take_back(struct pump *pump)
{
	while (pump->count) {
		struct pump_slot *slot = pump->order[pump->first];
		pump->first = (pump->first + 1) % SLOTS_MAX;
		pump->count--;
		if (!(pump->abandoned && slot->state == SLOT_READING))
			pump_release(pump, slot);
	}
	pump->reading = 0;
	pump->alone.under_way = false;
}

int pump_run(struct pump *pump, int fd, const struct pump_ops *ops)
{
	struct ring_options options = {
		.engine = pump->options.engine,
		.entries = pump->options.nr_slots + 1,
		.arena = pump->arena,
		.arena_len = pump->arena_len,
		.fault = pump->options.fault,
		.has_file = true,
		.file = fd,
	};
	int r = pump->abandoned ? -ETIMEDOUT : ring_new(&options, &pump->ring);

	if (r)
		return r;
	pump->stats.engine = ring_engine_name(pump->ring);
	(void)snprintf(pump->why, sizeof(pump->why), "%s", ring_why(pump->ring));
	pump->fd = fd;
	pump->ended = false;
	pump->failed_in_a_row = 0;
	depth_forget_epoch(&pump->depth);
	r = pump_loop(pump, ops);
	pump_drain(pump);
	pump_take_back(pump);
	if (!pump->abandoned) {
		ring_free(pump->ring);
		pump->ring = NULL;
	}
	return r == -ETIME ? -ETIMEDOUT : r;
}

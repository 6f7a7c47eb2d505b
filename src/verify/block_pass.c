/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The walk says what to read, the pump reads it, and what it hands out is told at once: so the
 * order is that of the disk, and the disk goes on reading meanwhile.
 */
#include "verify/block_pass.h"

#include <assert.h>
#include <errno.h>
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
	unsigned free[SLOTS], nr_free;	/* those that are not under way */
	int result;			/* of a callback */
	int64_t told_ns;		/* when progress was told */
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

static void on_ready(struct pump_slot *slot, void *ctx)
{
	struct pass *pass = ctx;
	const struct block_read *read = &pass->reads[slot->read.user];

	for (uint32_t i = 0; i < read->nr_blocks && pass->result == 0; i++)
		if (block_read_has(read, i))
			pass->result = tell_block(pass, slot, read->first + i);
	if (!pass->volume->direct)
		file_forget_range(pass->volume->fd, slot->read.off, slot->read.len);
	pass->free[pass->nr_free++] = (unsigned)slot->read.user;
	pump_release(pass->pump, slot);
}

/* ---- what to read ---- */

static int on_next(struct pump_read *ret_read, void *ctx)
{
	struct pass *pass = ctx;

	if (pass->result)
		return pass->result;
	assert(pass->nr_free);
	unsigned i = pass->free[pass->nr_free - 1];
	int r = block_walk_next(pass->walk, &pass->reads[i]);
	if (r)
		return r == BLOCK_WALK_END ? PUMP_END : r;
	pass->nr_free--;
	*ret_read = (struct pump_read){ pass->reads[i].off, pass->reads[i].len, i };
	return 0;
}

static void tell_progress(struct pass *pass)
{
	uint64_t done = pass->stats->bytes;

	if (pass->events->progress)
		pass->events->progress(done, max_of(done, block_walk_total(pass->walk)),
				       pass->events->ctx);
}

static void on_tick(void *ctx)
{
	struct pass *pass = ctx;
	int64_t now = clock_mono_ns();

	if (now - pass->told_ns < PROGRESS_NS)
		return;
	pass->told_ns = now;
	tell_progress(pass);
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
	struct pump_ops ops = { on_next, on_ready, on_tick, pass };
	int r = pump_run(pass->pump, pass->volume->fd, &ops);

	pass_count(pass);
	if (pass->result)
		return pass->result;
	if (r)
		return r == PUMP_STOPPED ? BLOCK_PASS_STOPPED : r;
	tell_progress(pass);
	if (pass->stats->nr_groups_left_out == 0)
		return 0;
	if (pass->events->left_out)
		r = block_walk_each_left_out(pass->walk, pass->events->left_out, pass->events->ctx);
	return r ? r : BLOCK_PASS_PARTIAL;
}

int block_pass_run(struct volume *volume, struct ext4 *fs, const struct block_pass_options *options,
		   const struct block_pass_events *events, struct block_pass_stats *ret_stats)
{
	struct pass *pass = calloc(1, sizeof(*pass));

	*ret_stats = (struct block_pass_stats){ .block_size = 0 };
	if (!pass)
		return -ENOMEM;
	pass->volume = volume;
	pass->events = events;
	pass->stats = ret_stats;
	pass->load = LOAD_NULL;
	int r = pass_begin(pass, fs, options);
	if (r == 0)
		r = pass_read(pass);
	pump_free(pass->pump);
	load_close(&pass->load);
	block_walk_free(pass->walk);
	free(pass);
	return r;
}

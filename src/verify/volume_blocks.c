// SPDX-License-Identifier: Apache-2.0
/*
 * The third witness: the baseline. All blocks are read in the order of the disk and their sums held
 * against those of the run before, in step. Only then is asked whose the blocks are that differ: a
 * file that has changed by its inode explains its blocks, and one that has not explains nothing.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "verify/volume_blocks.h"

#define READ_TIMEOUT (120 * NS_PER_S)
/* Times of inodes are those of the last tick, and a write may follow its time by as much. */
#define YOUNG_NS (2 * NS_PER_S)
#define KEEP_GENERATIONS 4

/* ---- the new baseline ---- */

int volume_add_owner(struct volume_scanning *s, const struct ext4_inode *inode)
{
	uint64_t unit = s->view.info.block_size;
	bool is_dir = S_ISDIR(inode->mode);

	if (!s->after || inode->nr_extents == 0 ||
	    (inode->content != EXT4_CONTENT_BLOCKS && inode->content != EXT4_CONTENT_ENCRYPTED) ||
	    (is_dir && s->view.info.has_checksums))
		return 0;
	struct baseline_extent *extents = malloc(inode->nr_extents * sizeof(*extents));
	if (!extents)
		return -ENOMEM;
	for (size_t i = 0; i < inode->nr_extents; i++)
		extents[i] = (struct baseline_extent){
			.logical = inode->extents[i].logical / unit,
			.physical = inode->extents[i].physical / unit,
			.len = inode->extents[i].len / unit,
			.unwritten = inode->extents[i].unwritten,
		};
	bool young = s->target->is_live && inode->ctime_ns >= s->result->run.started_ns - YOUNG_NS;
	struct baseline_owner owner = {
		.ino = inode->ino,
		.generation = inode->generation,
		.mode = inode->mode,
		.flags = young ? BASELINE_OWNER_YOUNG : 0,
		.ctime_ns = inode->ctime_ns,
		.mtime_ns = inode->mtime_ns,
		.size = inode->size,
		.extents = extents,
		.nr_extents = inode->nr_extents,
	};
	int r = baseline_writer_add_owner(s->after, &owner);
	free(extents);
	return r;
}

static int writer_begin(struct volume_scanning *s)
{
	struct baseline_info info = {
		.block_size = s->view.info.block_size,
		.nr_blocks = s->view.info.size / s->view.info.block_size,
		.started_ns = s->result->run.started_ns,
	};

	memcpy(info.uuid, s->view.info.uuid, sizeof(info.uuid));
	return baseline_writer_new(s->options->state_dir, &info, &s->after);
}

int volume_begin_blocks(struct volume_scanning *s)
{
	struct baseline_info before;
	int r;

	if (s->target->is_raw || s->options->no_baseline) {
		s->result->baseline_why = "none was wanted";
		return 0;
	}
	r = baseline_open(s->options->state_dir, s->view.info.uuid, 0, &s->before);
	if (r == 0) {
		baseline_get_info(s->before, &before);
		if (before.block_size != s->view.info.block_size) {
			baseline_close(s->before);
			s->before = NULL;
		} else {
			s->result->baseline_before = before.number;
			s->result->baseline_before_ns = before.started_ns;
		}
	} else if (r != -ENOENT) {
		/* A new one would begin with what may be damaged by now. */
		s->result->baseline_why = "the one before cannot be read";
		return volume_gap(s, s->options->state_dir,
				  "the baseline cannot be read: %s; without its file a new one is begun",
				  strerror(-r));
	}
	r = writer_begin(s);
	if (r == 0 || r == -ENOMEM)
		return r;
	s->result->baseline_why = "it cannot be written";
	return volume_gap(s, s->options->state_dir, "no baseline can be written: %s", strerror(-r));
}

/* ---- the pass ---- */

static int add_changed(struct volume_scanning *s, uint64_t block, struct block_sum was,
		       struct block_sum now)
{
	if (s->nr_changed == VOLUME_CHANGED_MAX) {
		s->nr_changed_more++;
		return 0;
	}
	if (s->nr_changed == s->cap_changed) {
		size_t cap = max_of(s->cap_changed * 2, (size_t)1024);
		struct changed_block *more = realloc(s->changed, cap * sizeof(*more));
		if (!more)
			return -ENOMEM;
		s->changed = more;
		s->cap_changed = cap;
	}
	s->changed[s->nr_changed++] =
		(struct changed_block){ .block = block, .was = was, .now = now };
	return 0;
}

/* The one place where a block is held against a sum, for planted faults too. */
static bool differs(struct block_sum was, struct block_sum now)
{
	return !block_sum_is_equal(was, now);
}

/* The same bytes with one bit flipped must be seen to differ. */
static int plant(struct volume_scanning *s, struct block_sum sum, const uint8_t *bytes)
{
	uint32_t unit = s->target->is_raw ? BLOCK_PASS_RAW : s->view.info.block_size;
	uint8_t *twin = malloc(unit);

	if (!twin)
		return -ENOMEM;
	memcpy(twin, bytes, unit);
	twin[unit / 3] ^= 0x10;
	s->block_canary_planted = true;
	s->block_canary_found = differs(sum, block_sum_of(span_of(twin, unit))) &&
				!differs(sum, block_sum_of(span_of(bytes, unit)));
	free(twin);
	return 0;
}

static int on_block(uint64_t block, struct block_sum sum, const uint8_t *bytes, void *ctx)
{
	struct volume_scanning *s = ctx;
	struct block_sum was;
	int r = s->block_canary_planted ? 0 : plant(s, sum, bytes);

	s->result->blocks++;
	/* What is in its place will change without a word of its file, when the journal is written back. */
	if (r || volume_view_is_journaled(&s->view, block))
		return r;
	if (s->after)
		r = baseline_writer_add_sum(s->after, block, sum);
	if (r || !s->before)
		return r;
	int found = baseline_sum_at(s->before, block, &was);
	if (found == -EBADMSG || found == -EIO) {
		s->before_error = found;
		return 0;
	}
	if (found < 0)
		return found;
	if (!found) {
		s->result->blocks_new++;
		return 0;
	}
	s->nr_matched++;
	if (differs(was, sum))
		return add_changed(s, block, was, sum);
	s->result->blocks_same++;
	return 0;
}

/* What the block held is handed on to the new baseline, as evidence. */
static int keep_sum(struct volume_scanning *s, uint64_t block)
{
	struct block_sum was;

	if (!s->before || !s->after || block == s->last_bad_block)
		return 0;
	s->last_bad_block = block;
	int found = baseline_sum_at(s->before, block, &was);
	if (found <= 0)
		return 0;
	s->nr_matched++;
	int r = baseline_writer_add_sum(s->after, block, was);
	return r ? r : baseline_writer_replace_sum(s->after, block, was, true);
}

static int on_bad(uint64_t off, uint64_t len, int error, void *ctx)
{
	struct volume_scanning *s = ctx;
	struct bad_range *last = s->nr_bad ? &s->bad[s->nr_bad - 1] : NULL;

	if (last && last->off + last->len == off && last->error == error) {
		last->len += len;
	} else if (s->nr_bad == VOLUME_BAD_MAX) {
		s->nr_bad_more++;
	} else {
		if (!s->bad)
			s->bad = malloc(VOLUME_BAD_MAX * sizeof(*s->bad));
		if (!s->bad)
			return -ENOMEM;
		s->bad[s->nr_bad++] = (struct bad_range){ off, len, error };
	}
	if (s->target->is_raw)
		return 0;
	return keep_sum(s, off / s->view.info.block_size);
}

static int on_left_out(uint64_t off, uint64_t len, int error, void *ctx)
{
	struct volume_scanning *s = ctx;

	return volume_gap(s, s->target->path,
			  "bytes %" PRIu64 " to %" PRIu64 ": which blocks are in use is not known: %s",
			  off, off + len - 1, strerror(-error));
}

static void on_pass_progress(uint64_t done, uint64_t total, void *ctx)
{
	volume_progress(ctx, done, total);
}

static int pass(struct volume_scanning *s, struct volume *volume)
{
	struct block_pass_options options = {
		.engine = s->options->engine,
		.limits = s->options->limits,
		.timeout_ns = s->options->read_timeout_ns ? s->options->read_timeout_ns
							  : READ_TIMEOUT,
		.stop = s->options->stop,
		.fault = s->options->fault,
	};
	struct block_pass_events events = {
		.block = on_block,
		.bad = on_bad,
		.left_out = on_left_out,
		.progress = on_pass_progress,
		.ctx = s,
	};
	struct block_pass_stats stats;

	/* What was read ahead is not for another thread. */
	if (!s->target->is_raw)
		source_forget(&s->view.device);
	int r = block_pass_run(volume, s->view.fs, &options, &events, &stats);

	s->result->bytes_read = stats.bytes_read;
	s->result->run.bytes += stats.bytes;
	s->result->engine = stats.engine;
	memcpy(s->result->engine_why, stats.why, sizeof(s->result->engine_why) - 1);
	s->result->blocks_unreadable = stats.nr_bad_blocks;
	s->blocks_result = r;
	if (r == -ENODEV || r == -ETIMEDOUT)
		return volume_gap(s, s->target->path, "%s", r == -ENODEV ? "the device has gone"
									 : "the device hangs");
	return r > 0 ? 0 : r;
}

static void count(struct volume_scanning *s)
{
	struct baseline_info before;

	if (!s->before)
		return;
	baseline_get_info(s->before, &before);
	s->result->blocks_freed =
		before.nr_sums - min_of(before.nr_sums, s->nr_matched);
	s->result->blocks_changed = s->nr_changed + s->nr_changed_more - s->result->blocks_corrupt;
}

/* Only a run that knows all that there is leaves a baseline. */
static int commit(struct volume_scanning *s)
{
	if (!s->after || s->result->baseline_why)
		return 0;
	if (s->blocks_result || volume_is_stopped(s) || !s->block_canary_found)
		s->result->baseline_why = "not everything was read";
	else if (s->nr_changed_more || s->before_error)
		s->result->baseline_why = "not everything could be compared";
	if (s->result->baseline_why)
		return 0;
	int r = baseline_writer_commit(s->after, clock_wall_ns(), KEEP_GENERATIONS,
				       &s->result->baseline_after);
	if (r == 0)
		return 0;
	s->result->baseline_why = "it could not be written";
	return volume_gap(s, s->options->state_dir, "the baseline could not be written: %s",
			  strerror(-r));
}

int volume_check_blocks(struct volume_scanning *s)
{
	struct volume *volume = volume_open_raw(s->target->path);
	int r = volume ? 0 : -ENOMEM;

	if (volume && !volume->usable) {
		r = volume_gap(s, s->target->path, "its blocks cannot be read: %s", volume->why);
	} else if (volume) {
		/* What somebody writes to is looked at as such, however it was named. */
		volume->is_image = !s->target->is_live;
		r = pass(s, volume);
	}
	volume_close(volume);
	if (r == 0 && s->before_error)
		r = volume_gap(s, s->options->state_dir, "the baseline is damaged: %s",
			       strerror(-s->before_error));
	if (r == 0 && s->nr_changed_more)
		r = volume_gap(s, s->target->path,
			       "%" PRIu64 " more blocks differ from the baseline than can be judged",
			       s->nr_changed_more);
	if (r == 0 && s->nr_bad_more)
		r = volume_gap(s, s->target->path,
			       "%" PRIu64 " more runs of unreadable sectors than can be told",
			       s->nr_bad_more);
	if (r == 0 && !volume_is_stopped(s))
		r = volume_judge_blocks(s);
	if (r == 0)
		r = commit(s);
	count(s);
	s->blocks_whole = r == 0 && s->blocks_result == 0 && !volume_is_stopped(s) &&
			  !s->before_error && !s->nr_changed_more;
	return r;
}

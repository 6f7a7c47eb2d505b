/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The runs of one group stand in a list; a read takes from it, and from those of the groups behind,
 * as long as it is not full.
 */
#include "verify/block_walk.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "io/dev.h"
#include "io/narrow.h"

#define RENEWALS 3	     /* of the descriptors, for one group */
#define RENEWING_NS NS_PER_S /* that may be spent on it, and */
#define RENEWING_SHARE 10    /* this part of the time since the beginning */

struct run {
	uint64_t off, end; /* bytes */
};

struct block_walk {
	struct volume *volume;
	struct ext4 *fs; /* borrowed, or `renewed`; NULL: none */
	uint32_t gap_max;
	uint32_t unit, align; /* bytes: of a block, of a sector */
	uint64_t total;	      /* bytes */
	uint32_t nr_groups, group;
	uint8_t *errors; /* of each group, a positive errno */
	struct block_walk_left_out left_out;

	struct run *runs;
	size_t nr, at, cap;

	/* The filesystem as the kernel has it now. */
	struct source cached;
	struct ext4 *renewed;
	int64_t begun_ns, renewing_ns;
};

static int on_range(uint64_t off, uint64_t len, void *ctx)
{
	struct block_walk *walk = ctx;

	if (walk->nr == walk->cap) {
		size_t cap = max_of(2 * walk->cap, (size_t)256);
		struct run *runs = reallocarray(walk->runs, cap, sizeof(*runs));
		if (!runs)
			return -ENOMEM;
		walk->runs = runs;
		walk->cap = cap;
	}
	walk->runs[walk->nr++] = (struct run){ off, off + len };
	return 0;
}

/* ---- making and freeing ---- */

/* What is known before the first bitmap. */
static int walk_begin(struct block_walk *walk)
{
	struct ext4_info info;
	uint64_t first = 0, len;

	if (!walk->fs) {
		walk->unit = BLOCK_WALK_RAW;
		walk->total = walk->volume->info.size / walk->align * walk->align;
		return walk->total ? on_range(0, walk->total, walk) : 0;
	}
	ext4_get_info(walk->fs, &info);
	walk->unit = info.block_size;
	walk->nr_groups = info.nr_groups;
	walk->total = ext4_count_allocated(walk->fs);
	walk->errors = calloc(max_of(info.nr_groups, 1u), 1);
	if (!walk->errors)
		return -ENOMEM;
	int r = ext4_group_range(walk->fs, 0, &first, &len);
	walk->total += first;
	return r == 0 && first ? on_range(0, first, walk) : r;
}

int block_walk_new(struct volume *volume, struct ext4 *fs, uint32_t gap_max,
		   struct block_walk **ret_walk)
{
	uint32_t align = volume->sector;

	if (align == 0 || align & (align - 1) || align > BLOCK_WALK_READ)
		return -EINVAL;
	struct block_walk *walk = calloc(1, sizeof(*walk));
	if (!walk)
		return -ENOMEM;
	walk->volume = volume;
	walk->fs = fs;
	walk->gap_max = gap_max;
	walk->align = align;
	walk->cached = SOURCE_NULL;
	walk->begun_ns = clock_mono_ns();
	int r = walk_begin(walk);
	if (r) {
		block_walk_free(walk);
		return r;
	}
	*ret_walk = walk;
	return 0;
}

void block_walk_free(struct block_walk *walk)
{
	if (!walk)
		return;
	ext4_close(walk->renewed);
	source_close(&walk->cached);
	free(walk->runs);
	free(walk->errors);
	free(walk);
}

uint32_t block_walk_block_size(const struct block_walk *walk)
{
	return walk->unit;
}

/* ---- groups ---- */

/* On a large filesystem that is damaged in many groups this could take longer than the reads. */
static bool walk_may_renew(const struct block_walk *walk)
{
	int64_t passed = clock_mono_ns() - walk->begun_ns;

	return !walk->volume->is_image && walk->renewing_ns < RENEWING_NS + passed / RENEWING_SHARE;
}

/* It may have grown meanwhile. */
static bool is_the_same(const struct block_walk *walk, const struct ext4 *fresh)
{
	struct ext4_info was, is;
	uint64_t was_at, is_at, len;

	ext4_get_info(walk->fs, &was);
	ext4_get_info(fresh, &is);
	return was.block_size == is.block_size && was.nr_groups <= is.nr_groups &&
	       memcmp(was.uuid, is.uuid, sizeof(was.uuid)) == 0 &&
	       ext4_group_range(walk->fs, walk->group, &was_at, &len) == 0 &&
	       ext4_group_range(fresh, walk->group, &is_at, &len) == 0 && was_at == is_at;
}

/* Descriptors as they are now. False: they cannot be read. */
static bool walk_renew(struct block_walk *walk)
{
	int64_t begun = clock_mono_ns();
	struct ext4 *fresh = NULL;
	int r = 0;

	if (!walk->cached.ops)
		r = source_open_device_cached(&walk->cached, walk->volume->device);
	source_forget(&walk->cached);
	if (r == 0)
		r = ext4_open(&walk->cached, &fresh);
	walk->renewing_ns += clock_mono_ns() - begun;
	if (r || !is_the_same(walk, fresh)) {
		ext4_close(fresh);
		return false;
	}
	ext4_close(walk->renewed);
	walk->fs = walk->renewed = fresh;
	return true;
}

static int walk_group(struct block_walk *walk)
{
	walk->nr = walk->at = 0;
	return ext4_each_allocated_in(walk->fs, walk->group, 1, on_range, walk);
}

static bool walk_is_gone(const struct block_walk *walk, int error)
{
	uint64_t size;

	return narrow_is_gone(error) || dev_size(walk->volume->fd, &size) || size == 0;
}

static void leave_out(struct block_walk *walk, int error)
{
	uint64_t off = 0, len = 0;

	walk->nr = walk->at = 0;
	walk->errors[walk->group] = (uint8_t)min_of(-error, UINT8_MAX);
	if (ext4_group_range(walk->fs, walk->group, &off, &len))
		return;
	walk->left_out.nr_groups++;
	walk->left_out.bytes += len;
	if (walk->left_out.error == 0)
		walk->left_out.error = error;
}

/* Makes sure that there is a run. 0, BLOCK_WALK_END or an error. */
static int walk_fill(struct block_walk *walk)
{
	while (walk->at == walk->nr) {
		if (walk->group == walk->nr_groups)
			return BLOCK_WALK_END;
		int r = walk_group(walk);
		for (unsigned i = 0; r == -EBADMSG && i < RENEWALS && walk_may_renew(walk); i++)
			if (walk_renew(walk))
				r = walk_group(walk);
		if (r && r != -EBADMSG && walk_is_gone(walk, r))
			return -ENODEV;
		if (r == -ENOMEM)
			return r;
		if (r)
			leave_out(walk, r);
		walk->group++;
	}
	return 0;
}

/* ---- reads ---- */

static void mark(const struct block_walk *walk, struct block_read *read, uint64_t off, uint64_t end)
{
	uint32_t last = (uint32_t)((end - read->off + walk->unit - 1) / walk->unit);

	for (uint32_t i = (uint32_t)((off - read->off) / walk->unit); i < last; i++)
		read->allocated[i / 64] |= UINT64_C(1) << (i % 64);
	read->nr_blocks = last;
}

int block_walk_next(struct block_walk *walk, struct block_read *ret_read)
{
	struct block_read *read = ret_read;
	int r = walk_fill(walk);

	if (r)
		return r;
	uint64_t end = walk->runs[walk->at].off, off = end / walk->align * walk->align;
	uint64_t room = off + BLOCK_WALK_READ;
	*read = (struct block_read){ .off = off, .first = off / walk->unit };
	while (r == 0) {
		struct run *run = &walk->runs[walk->at];
		if (run->off >= room || run->off - end > walk->gap_max)
			break;
		end = min_of(run->end, room);
		mark(walk, read, run->off, end);
		run->off = end;
		if (run->off < run->end)
			break;
		walk->at++;
		r = walk_fill(walk);
	}
	if (r < 0)
		return r;
	read->len = (uint32_t)((end + walk->align - 1) / walk->align * walk->align - off);
	return 0;
}

/* ---- what was left out ---- */

uint64_t block_walk_total(const struct block_walk *walk)
{
	return walk->total - min_of(walk->total, walk->left_out.bytes);
}

struct block_walk_left_out block_walk_get_left_out(const struct block_walk *walk)
{
	return walk->left_out;
}

int block_walk_each_left_out(const struct block_walk *walk, block_walk_group_fn fn, void *ctx)
{
	uint64_t off, len;
	int r = 0;

	for (uint32_t i = 0; i < walk->group && r == 0; i++) {
		if (!walk->errors[i])
			continue;
		r = ext4_group_range(walk->fs, i, &off, &len);
		if (r == 0)
			r = fn(off, len, -(int)walk->errors[i], ctx);
	}
	return r;
}

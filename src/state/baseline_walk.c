/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What goes over a whole baseline: its runs, blocks by their digests, what two of them differ in,
 * and whether everything in one is right.
 */
#include <errno.h>
#include <stdlib.h>

#include "state/baseline_reader.h"

/* ---- runs ---- */

int baseline_each_run(struct baseline *b, baseline_run_fn fn, void *ctx)
{
	struct baseline_sums s = BASELINE_SUMS_OF(b);
	uint64_t first = 0, nr = 0;
	int r;

	while ((r = baseline_sums_next(&s)) == 1) {
		for (uint32_t i = 0; i < s.nr_runs; i++) {
			if (nr && s.runs[i].first == first + nr) {
				nr += s.runs[i].nr;
				continue;
			}
			r = nr ? fn(first, nr, ctx) : 0;
			if (r)
				goto out;
			first = s.runs[i].first;
			nr = s.runs[i].nr;
		}
	}
	if (r == 0 && nr)
		r = fn(first, nr, ctx);
out:
	baseline_sums_fini(&s);
	return r;
}

/* ---- digests ---- */

enum { FILTER_BITS = 16 };

/* Which digests are looked for: most of the others are told by sixteen of their bits. */
struct wanted {
	const uint64_t *digests;
	size_t nr;
	uint64_t filter[(1 << FILTER_BITS) / 64];
};

static bool is_wanted(const struct wanted *wanted, uint64_t digest)
{
	size_t bit = digest & ((1 << FILTER_BITS) - 1), low = 0, high = wanted->nr;

	if (!(wanted->filter[bit / 64] >> bit % 64 & 1))
		return false;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (wanted->digests[middle] < digest)
			low = middle + 1;
		else
			high = middle;
	}
	return low < wanted->nr && wanted->digests[low] == digest;
}

static int find_in_chunk(const struct baseline_sums *s, const struct wanted *wanted,
			 baseline_digest_fn fn, void *ctx)
{
	int r = 0;

	for (uint32_t i = 0; i < s->nr_runs; i++) {
		const struct baseline_sums_run *run = &s->runs[i];
		for (uint32_t j = 0; j < run->nr && r == 0; j++) {
			struct block_sum sum = baseline_sums_get(s, run->index + j);
			if (is_wanted(wanted, sum.digest))
				r = fn(run->first + j, sum, ctx);
		}
	}
	return r;
}

int baseline_find_digests(struct baseline *b, const uint64_t *digests, size_t nr,
			  baseline_digest_fn fn, void *ctx)
{
	struct baseline_sums s = BASELINE_SUMS_OF(b);
	struct wanted wanted = { .digests = digests, .nr = nr };
	int r = 0;

	for (size_t i = 0; i < nr; i++) {
		size_t bit = digests[i] & ((1 << FILTER_BITS) - 1);
		wanted.filter[bit / 64] |= UINT64_C(1) << bit % 64;
	}
	while (r == 0 && nr && (r = baseline_sums_next(&s)) == 1)
		r = find_in_chunk(&s, &wanted, fn, ctx);
	baseline_sums_fini(&s);
	return r;
}

/* ---- everything ---- */

struct owners_seen {
	uint64_t nr, last_ino;
};

static int see_owner(const struct baseline_owner *owner, void *ctx)
{
	struct owners_seen *seen = ctx;

	if (owner->ino < seen->last_ino)
		return -EBADMSG;
	seen->last_ino = owner->ino;
	seen->nr++;
	return 0;
}

/* How many sums were replaced, and how many of those are contested. */
static int count_patches(struct baseline *b, uint64_t *ret_nr, uint64_t *ret_contested)
{
	struct baseline_patch patch;
	int r = baseline_patches_seek(&b->patches, 0);

	*ret_nr = *ret_contested = 0;
	while (r == 0 && (r = baseline_patches_next(&b->patches, &patch)) == 1) {
		++*ret_nr;
		*ret_contested += patch.contested;
		r = 0;
	}
	return r;
}

/* A sum that was replaced and lies between two chunks is put in place in neither. */
static int verify_sums(struct baseline *b)
{
	struct baseline_sums s = BASELINE_SUMS_OF(b);
	uint64_t nr = 0, replaced, contested;
	int r;

	while ((r = baseline_sums_next(&s)) == 1)
		nr += s.ref.nr;
	uint64_t nr_replaced = s.nr_replaced;
	baseline_sums_fini(&s);
	if (r == 0)
		r = count_patches(b, &replaced, &contested);
	if (r)
		return r;
	return nr == b->header.info.nr_sums && nr_replaced == replaced &&
			       contested == b->header.info.nr_contested
		       ? 0
		       : -EBADMSG;
}

int baseline_verify(struct baseline *b)
{
	struct owners_seen seen = { .nr = 0 };
	int r = verify_sums(b);

	if (r == 0)
		r = baseline_each_owner(b, see_owner, &seen);
	if (r)
		return r;
	return seen.nr == b->header.info.nr_owners ? 0 : -EBADMSG;
}

/* ---- differences ---- */

/* One side: the block that it is at. */
struct side {
	struct baseline_sums s;
	bool at_end;
	uint64_t block;
	uint32_t run, in_run;
};

static int side_settle(struct side *side)
{
	int r = baseline_sums_next(&side->s);

	if (r < 0)
		return r;
	side->at_end = r == 0;
	side->run = side->in_run = 0;
	side->block = r ? side->s.ref.first : UINT64_MAX;
	return 0;
}

static int side_next(struct side *side)
{
	if (++side->in_run == side->s.runs[side->run].nr) {
		side->in_run = 0;
		if (++side->run == side->s.nr_runs)
			return side_settle(side);
		side->block = side->s.runs[side->run].first;
		return 0;
	}
	side->block++;
	return 0;
}

static struct block_sum side_sum(const struct side *side)
{
	return baseline_sums_get(&side->s, side->s.runs[side->run].index + side->in_run);
}

/* Differences put together to runs. */
struct changes {
	baseline_change_fn fn;
	void *ctx;
	enum baseline_change change;
	uint64_t first, nr;
};

static int changes_end(struct changes *c)
{
	int r = c->nr ? c->fn(c->change, c->first, c->nr, c->ctx) : 0;

	c->nr = 0;
	return r;
}

static int changes_add(struct changes *c, enum baseline_change change, uint64_t block)
{
	if (c->nr && c->change == change && c->first + c->nr == block) {
		c->nr++;
		return 0;
	}
	int r = changes_end(c);
	c->change = change;
	c->first = block;
	c->nr = 1;
	return r;
}

/* Compares what both are at, and goes on with that which is behind, or both. */
static int diff_step(struct side *older, struct side *newer, struct changes *c)
{
	int r = 0;

	if (older->block < newer->block) {
		r = changes_add(c, BASELINE_GONE, older->block);
		return r ? r : side_next(older);
	}
	if (newer->block < older->block) {
		r = changes_add(c, BASELINE_NEW, newer->block);
		return r ? r : side_next(newer);
	}
	struct block_sum a = side_sum(older), b = side_sum(newer);
	if (a.digest != b.digest || a.sectors != b.sectors)
		r = changes_add(c, BASELINE_CHANGED, older->block);
	if (r == 0)
		r = side_next(older);
	return r ? r : side_next(newer);
}

int baseline_diff(struct baseline *older, struct baseline *newer, baseline_change_fn fn, void *ctx)
{
	struct side a = { .s = BASELINE_SUMS_OF(older) }, b = { .s = BASELINE_SUMS_OF(newer) };
	struct changes c = { .fn = fn, .ctx = ctx };

	if (older->header.info.block_size != newer->header.info.block_size)
		return -EINVAL;
	int r = side_settle(&a);
	if (r == 0)
		r = side_settle(&b);
	while (r == 0 && !(a.at_end && b.at_end))
		r = diff_step(&a, &b, &c);
	if (r == 0)
		r = changes_end(&c);
	baseline_sums_fini(&a.s);
	baseline_sums_fini(&b.s);
	return r;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sums of a baseline: one chunk after the other, the sum of a block, and what was replaced. What
 * was replaced is put in place as a chunk is loaded, so that nothing else has to know of it.
 */
#include "state/baseline_reader.h"

#include <errno.h>
#include <stdlib.h>

/* ---- replaced sums ---- */

void baseline_patches_fini(struct baseline_patches *p)
{
	baseline_cursor_fini(&p->cursor);
	buf_fini(&p->bytes);
	p->loaded = false;
}

static struct baseline_patch patch_get(const struct baseline_patches *p, uint32_t index)
{
	const uint8_t *at = buf_span(&p->bytes).data + (size_t)index * BASELINE_PATCH_LEN;

	return (struct baseline_patch){
		.block = baseline_le64(at),
		.sum = { .digest = baseline_le64(at + 8), .sectors = baseline_le32(at + 16) },
		.contested = baseline_le32(at + 20) & 1,
	};
}

static bool patches_are_sane(const struct baseline_patches *p)
{
	const struct baseline_ref *ref = &p->ref;

	if (ref->len != (uint64_t)ref->nr * BASELINE_PATCH_LEN ||
	    patch_get(p, 0).block != ref->first || patch_get(p, ref->nr - 1).block != ref->last)
		return false;
	for (uint32_t i = 0; i < ref->nr; i++) {
		const uint8_t *at = buf_span(&p->bytes).data + (size_t)i * BASELINE_PATCH_LEN;
		if ((i && patch_get(p, i).block <= patch_get(p, i - 1).block) ||
		    baseline_le32(at + 20) > 1)
			return false;
	}
	return true;
}

/* 1, or 0 behind the last chunk. */
static int load_patches(struct baseline_patches *p)
{
	p->loaded = false;
	int r = baseline_cursor_next(&p->cursor, &p->ref);
	if (r <= 0)
		return r;
	r = baseline_load(p->cursor.b, &p->ref, &p->bytes);
	if (r)
		return r;
	if (!patches_are_sane(p))
		return -EBADMSG;
	p->loaded = true;
	p->from = p->ref.first;
	p->pos = 0;
	return 1;
}

int baseline_patches_seek(struct baseline_patches *p, uint64_t block)
{
	if (!p->loaded || block < p->from || block > p->ref.last) {
		int r = baseline_cursor_seek(&p->cursor, block);
		if (r == 0)
			r = load_patches(p);
		if (r <= 0)
			return r;
		p->from = min_of(block, p->ref.first);
	}
	uint32_t low = 0;
	for (uint32_t high = p->ref.nr; low < high;) {
		uint32_t middle = low + (high - low) / 2;
		if (patch_get(p, middle).block < block)
			low = middle + 1;
		else
			high = middle;
	}
	p->pos = low;
	return 0;
}

int baseline_patches_next(struct baseline_patches *p, struct baseline_patch *ret_patch)
{
	if (!p->loaded)
		return 0;
	if (p->pos == p->ref.nr) {
		int r = load_patches(p);
		if (r <= 0)
			return r;
	}
	*ret_patch = patch_get(p, p->pos++);
	return 1;
}

int baseline_is_contested(struct baseline *b, uint64_t block)
{
	struct baseline_patch patch;

	if (b->header.info.nr_contested == 0)
		return 0;
	int r = baseline_patches_seek(&b->patches, block);
	if (r == 0)
		r = baseline_patches_next(&b->patches, &patch);
	return r == 1 ? patch.block == block && patch.contested : r;
}

/* ---- chunks of sums ---- */

void baseline_sums_fini(struct baseline_sums *s)
{
	baseline_cursor_fini(&s->cursor);
	buf_fini(&s->bytes);
	free(s->runs);
	s->runs = NULL;
	s->loaded = false;
}

static int parse_runs(struct baseline_sums *s, struct baseline_in *in)
{
	uint64_t block = s->ref.first;
	uint32_t index = 0;

	s->nr_runs = baseline_in_le32(in);
	if (in->bad || s->nr_runs == 0 || s->nr_runs > s->ref.nr)
		return -EBADMSG;
	for (uint32_t i = 0; i < s->nr_runs; i++) {
		uint64_t gap = baseline_in_varint(in), nr = baseline_in_varint(in);
		if (in->bad || (gap == 0) != (i == 0) || gap > s->ref.last - block || nr == 0 ||
		    nr > s->ref.nr - index || nr > s->ref.last + 1 - block - gap)
			return -EBADMSG;
		s->runs[i] = (struct baseline_sums_run){ block + gap, (uint32_t)nr, index };
		index += (uint32_t)nr;
		block += gap + nr;
		/* Behind the last block there is no other run, nor room for a difference to it. */
		if (block > s->ref.last && i + 1 < s->nr_runs)
			return -EBADMSG;
	}
	return index == s->ref.nr && block == s->ref.last + 1 ? 0 : -EBADMSG;
}

/* The index of a block in the chunk, or UINT32_MAX. The run of the last call is tried first. */
static uint32_t index_of(struct baseline_sums *s, uint64_t block)
{
	uint32_t low = 0, high = s->nr_runs;
	const struct baseline_sums_run *run = &s->runs[s->hint];

	if (block >= run->first) {
		low = s->hint;
		if (block - run->first < run->nr)
			return run->index + (uint32_t)(block - run->first);
		if (low + 1 < high && block < run[1].first)
			return UINT32_MAX;
	}
	/* The last run that does not begin behind the block. */
	if (low + 1 < high && block >= s->runs[low + 1].first) {
		low++;
		if (low + 1 < high && block < s->runs[low + 1].first)
			high = low + 1;
	}
	while (high - low > 1) {
		uint32_t middle = low + (high - low) / 2;
		if (s->runs[middle].first <= block)
			low = middle;
		else
			high = middle;
	}
	s->hint = low;
	run = &s->runs[low];
	if (block < run->first || block - run->first >= run->nr)
		return UINT32_MAX;
	return run->index + (uint32_t)(block - run->first);
}

static int put_replaced(struct baseline_sums *s)
{
	struct baseline_patches *p = &s->cursor.b->patches;
	struct baseline_patch patch;

	if (s->cursor.b->header.roots[BASELINE_PATCHES].nr == 0 || s->cursor.b->as_added)
		return 0;
	int r = baseline_patches_seek(p, s->ref.first);
	while (r == 0 && (r = baseline_patches_next(p, &patch)) == 1) {
		if (patch.block > s->ref.last)
			return 0;
		uint32_t index = index_of(s, patch.block);
		if (index == UINT32_MAX)
			return -EBADMSG;
		uint64_t digest = htole64(patch.sum.digest);
		uint32_t sectors = htole32(patch.sum.sectors);
		memcpy(s->digests + (size_t)index * sizeof(digest), &digest, sizeof(digest));
		memcpy(s->sectors + (size_t)index * sizeof(sectors), &sectors, sizeof(sectors));
		s->nr_replaced++;
		r = 0;
	}
	return r;
}

static int load_sums(struct baseline_sums *s)
{
	if (!s->runs)
		s->runs = malloc(BASELINE_CHUNK_SUMS * sizeof(*s->runs));
	if (!s->runs)
		return -ENOMEM;
	int r = baseline_load(s->cursor.b, &s->ref, &s->bytes);
	if (r)
		return r;
	if (s->ref.nr > BASELINE_CHUNK_SUMS)
		return -EBADMSG;
	struct baseline_in in = { .left = buf_span(&s->bytes) };
	r = parse_runs(s, &in);
	if (r)
		return r;
	if (in.left.len != (uint64_t)s->ref.nr * BASELINE_SUM_LEN)
		return -EBADMSG;
	s->digests = (uint8_t *)s->bytes.data + (s->bytes.len - in.left.len);
	s->sectors = s->digests + (size_t)s->ref.nr * sizeof(uint64_t);
	s->hint = 0;
	return put_replaced(s);
}

int baseline_sums_next(struct baseline_sums *s)
{
	s->loaded = false;
	int r = baseline_cursor_next(&s->cursor, &s->ref);
	if (r <= 0)
		return r;
	r = load_sums(s);
	s->loaded = r == 0;
	s->from = s->ref.first;
	return r ? r : 1;
}

int baseline_sum_at(struct baseline *b, uint64_t block, struct block_sum *ret_sum)
{
	struct baseline_sums *s = &b->at;

	if (!s->loaded || block < s->from || block > s->ref.last) {
		s->loaded = false;
		int r = baseline_cursor_seek(&s->cursor, block);
		if (r == 0)
			r = baseline_sums_next(s);
		if (r <= 0)
			return r;
		s->from = min_of(block, s->ref.first);
	}
	if (block < s->ref.first)
		return 0;
	uint32_t index = index_of(s, block);
	if (index == UINT32_MAX)
		return 0;
	*ret_sum = baseline_sums_get(s, index);
	return 1;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Owners of a baseline: chunks unpacked, records put together to owners.
 */
#include "state/baseline_reader.h"

#include <errno.h>
#include <stdlib.h>
#include <zlib.h>

void baseline_owners_fini(struct baseline_owners *o)
{
	baseline_cursor_fini(&o->cursor);
	buf_fini(&o->packed);
	buf_fini(&o->raw);
	free(o->record);
	free(o->extents);
	o->record = NULL;
	o->extents = NULL;
	o->cap_extents = 0;
	o->loaded = false;
}

static int unpack(struct baseline_owners *o)
{
	uLongf len = o->ref.raw_len;
	uLong taken = o->packed.len;

	buf_clear(&o->raw);
	int r = buf_reserve(&o->raw, len);
	if (r)
		return r;
	int z = uncompress2((Bytef *)o->raw.data, &len, (const Bytef *)o->packed.data, &taken);
	if (z == Z_MEM_ERROR)
		return -ENOMEM;
	if (z != Z_OK || len != o->ref.raw_len || taken != o->packed.len)
		return -EBADMSG;
	o->raw.len = len;
	return 0;
}

/* 1, or 0 behind the last chunk. */
static int load_owners(struct baseline_owners *o)
{
	o->loaded = false;
	int r = baseline_cursor_next(&o->cursor, &o->ref);
	if (r <= 0)
		return r;
	r = baseline_load(o->cursor.b, &o->ref, &o->packed);
	if (r == 0)
		r = unpack(o);
	if (r)
		return r;
	o->in = (struct baseline_in){ .left = buf_span(&o->raw) };
	o->base = BASELINE_RECORD_BASE(o->ref.first);
	o->left = o->ref.nr;
	o->loaded = true;
	return 1;
}

/* 1 and o->record, or 0 behind the last. */
static int next_record(struct baseline_owners *o)
{
	if (!o->record)
		o->record = malloc(sizeof(*o->record));
	if (!o->record)
		return -ENOMEM;
	if (!o->loaded || o->left == 0) {
		int r = load_owners(o);
		if (r <= 0)
			return r;
	}
	bool is_first = o->left == o->ref.nr;
	int r = baseline_record_parse(&o->in, &o->base, o->cursor.b->header.info.nr_blocks,
				      o->record);
	o->left--;
	if (r == 0 && ((is_first && o->base.ino != o->ref.first) ||
		       (o->left == 0 && (o->base.ino != o->ref.last || o->in.left.len))))
		r = -EBADMSG;
	if (r)
		o->loaded = false;
	return r ? r : 1;
}

/* Adds the extents of the record to those of the owner. */
static int take_extents(struct baseline_owners *o)
{
	size_t nr = o->record->nr_extents, need = o->nr_extents + nr;

	if (need > BASELINE_EXTENTS_MAX)
		return -EBADMSG;
	if (need > o->cap_extents) {
		size_t cap = max_of(need, min_of(o->cap_extents * 2, (size_t)BASELINE_EXTENTS_MAX));
		struct baseline_extent *more = realloc(o->extents, cap * sizeof(*more));
		if (!more)
			return -ENOMEM;
		o->extents = more;
		o->cap_extents = cap;
	}
	if (nr)
		memcpy(o->extents + o->nr_extents, o->record->extents, nr * sizeof(*o->extents));
	o->nr_extents = need;
	return 0;
}

/* One giant shall not be remembered by the memory that it took. */
static void let_go(struct baseline_owners *o)
{
	o->nr_extents = 0;
	if (o->cap_extents > 4 * BASELINE_PART_EXTENTS) {
		free(o->extents);
		o->extents = NULL;
		o->cap_extents = 0;
	}
}

int baseline_owners_next(struct baseline_owners *o)
{
	int r = next_record(o);

	while (o->skips && r == 1 && o->record->bits & BASELINE_RECORD_REST)
		r = next_record(o);
	o->skips = false;
	if (r <= 0)
		return r;
	if (o->record->bits & BASELINE_RECORD_REST)
		return -EBADMSG;
	let_go(o);
	o->owner = o->record->owner;
	r = take_extents(o);
	while (r == 0 && o->record->bits & BASELINE_RECORD_MORE) {
		r = next_record(o);
		if (r == 0 || (r == 1 && (!(o->record->bits & BASELINE_RECORD_REST) ||
					  o->record->owner.ino != o->owner.ino)))
			r = -EBADMSG;
		if (r == 1)
			r = take_extents(o);
	}
	if (r)
		return r;
	o->owner.extents = o->extents;
	o->owner.nr_extents = o->nr_extents;
	return 1;
}

int baseline_owners_seek(struct baseline_owners *o, uint32_t ino)
{
	o->loaded = false;
	o->skips = true;
	return baseline_cursor_seek(&o->cursor, ino);
}

int baseline_each_owner(struct baseline *b, baseline_owner_fn fn, void *ctx)
{
	struct baseline_owners o = BASELINE_OWNERS_OF(b);
	int r;

	while ((r = baseline_owners_next(&o)) == 1) {
		r = fn(&o.owner, ctx);
		if (r)
			break;
	}
	baseline_owners_fini(&o);
	return r;
}

/*
 * Where an earlier call has stopped is where the next one goes on, unless it wants what lies
 * before, or in a later chunk.
 */
static int find_begin(struct baseline *b, uint32_t ino)
{
	struct baseline_owners *o = &b->find;

	if (b->find_is_valid && ino >= b->find_passed && (!o->loaded || ino <= o->ref.last))
		return 0;
	b->find_is_valid = false;
	b->find_has_owner = false;
	int r = baseline_owners_seek(o, ino);
	if (r == 0) {
		b->find_is_valid = true;
		b->find_passed = ino;
	}
	return r;
}

int baseline_find_owner(struct baseline *b, uint32_t ino, baseline_owner_fn fn, void *ctx)
{
	struct baseline_owners *o = &b->find;
	bool found = false;
	int r = find_begin(b, ino);

	while (r == 0) {
		if (!b->find_has_owner) {
			r = baseline_owners_next(o);
			if (r < 0)
				b->find_is_valid = false;
			if (r <= 0)
				break;
			b->find_has_owner = true;
			r = 0;
		}
		if (o->owner.ino > ino)
			break;
		b->find_has_owner = false;
		b->find_passed = (uint64_t)o->owner.ino + 1;
		if (o->owner.ino == ino) {
			found = true;
			r = fn(&o->owner, ctx);
		}
	}
	return r ? r : found ? 0 : -ENOENT;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One record of an owner, made and taken apart. Numbers are told as differences to what they mostly
 * are near to: the inode before, its times, the place where the extent before ended.
 */
#include "state/baseline_format.h"

#include <errno.h>

bool baseline_extent_is_sane(const struct baseline_extent *e, uint64_t nr_blocks)
{
	return e->len > 0 && e->len <= nr_blocks && e->physical <= nr_blocks - e->len &&
	       e->logical <= BASELINE_BLOCKS_MAX && e->len <= BASELINE_BLOCKS_MAX - e->logical;
}

void baseline_record_format(struct buf *out, struct baseline_record_base *base, unsigned bits,
			    const struct baseline_owner *owner,
			    const struct baseline_extent *extents, size_t nr)
{
	uint64_t logical = 0;

	buf_add_char(out, (char)bits);
	baseline_add_varint(out, owner->ino - base->ino);
	base->ino = owner->ino;
	if (!(bits & BASELINE_RECORD_REST)) {
		baseline_add_le32(out, owner->generation);
		baseline_add_varint(out, owner->mode);
		baseline_add_varint(out, owner->flags);
		baseline_add_signed(out, (uint64_t)owner->ctime_ns - (uint64_t)base->ctime_ns);
		baseline_add_signed(out, (uint64_t)owner->mtime_ns - (uint64_t)owner->ctime_ns);
		baseline_add_varint(out, owner->size);
		base->ctime_ns = owner->ctime_ns;
	}
	baseline_add_varint(out, nr);
	for (size_t i = 0; i < nr; i++) {
		const struct baseline_extent *e = &extents[i];
		baseline_add_signed(out, e->logical - logical);
		baseline_add_signed(out, e->physical - base->physical);
		baseline_add_varint(out, e->len << 1 | e->unwritten);
		logical = e->logical + e->len;
		base->physical = e->physical + e->len;
	}
}

static uint32_t in_u32(struct baseline_in *in)
{
	uint64_t v = baseline_in_varint(in);

	if (v > UINT32_MAX)
		in->bad = true;
	return (uint32_t)v;
}

static void parse_owner(struct baseline_in *in, struct baseline_record_base *base,
			struct baseline_owner *owner)
{
	owner->generation = baseline_in_le32(in);
	owner->mode = in_u32(in);
	owner->flags = in_u32(in);
	owner->ctime_ns = (int64_t)((uint64_t)base->ctime_ns + baseline_in_signed(in));
	owner->mtime_ns = (int64_t)((uint64_t)owner->ctime_ns + baseline_in_signed(in));
	owner->size = baseline_in_varint(in);
	base->ctime_ns = owner->ctime_ns;
}

int baseline_record_parse(struct baseline_in *in, struct baseline_record_base *base,
			  uint64_t nr_blocks, struct baseline_record *ret_record)
{
	struct baseline_record *record = ret_record;
	struct span bits = baseline_in_bytes(in, 1);
	uint64_t logical = 0;

	record->bits = bits.len ? bits.data[0] : 0;
	uint64_t ino = base->ino + (uint64_t)in_u32(in);
	if (in->bad || record->bits & ~BASELINE_RECORD_BITS || ino > UINT32_MAX)
		return -EBADMSG;
	record->owner = (struct baseline_owner){ .ino = (uint32_t)ino };
	base->ino = (uint32_t)ino;
	if (!(record->bits & BASELINE_RECORD_REST))
		parse_owner(in, base, &record->owner);
	uint64_t nr = baseline_in_varint(in);
	if (in->bad || nr > BASELINE_PART_EXTENTS)
		return -EBADMSG;
	for (uint64_t i = 0; i < nr; i++) {
		struct baseline_extent *e = &record->extents[i];
		e->logical = logical + baseline_in_signed(in);
		e->physical = base->physical + baseline_in_signed(in);
		uint64_t len = baseline_in_varint(in);
		e->len = len >> 1;
		e->unwritten = len & 1;
		if (in->bad || !baseline_extent_is_sane(e, nr_blocks))
			return -EBADMSG;
		logical = e->logical + e->len;
		base->physical = e->physical + e->len;
	}
	record->nr_extents = nr;
	return 0;
}

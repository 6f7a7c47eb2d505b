// SPDX-License-Identifier: Apache-2.0
/*
 * The faults of the campaign of root filesystems: what memory, a bus, a disk and its firmware make of
 * one block, and which names are true of what they made.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "campaign/root_parts.h"
#include "digest/block_sum.h"
#include "support/random.h"
#include "verify/fingerprint.h"

#define SECTOR 512u
#define TRIES 200

struct drawing {
	struct fault_done *fault;
	const struct root_image *image;
	uint32_t unit;
	uint32_t at; /* a byte of the piece */
	uint64_t *random;
};

const char *fault_name(enum fault_kind kind)
{
	static const char *const names[FAULT_KIND_COUNT_] = {
		[FAULT_SINGLE_BIT] = "single-bit", [FAULT_LANE] = "lane",
		[FAULT_ZEROED] = "zeroed",	   [FAULT_REPEATED] = "repeated",
		[FAULT_SHIFTED] = "shifted",	   [FAULT_TORN_512] = "torn-512",
		[FAULT_TORN_4096] = "torn-4096",   [FAULT_MISDIRECTED] = "misdirected",
		[FAULT_LOST_WRITE] = "lost-write", [FAULT_RANDOM] = "random",
	};

	return names[kind];
}

static uint32_t below(const struct drawing *d, uint64_t n)
{
	return (uint32_t)random_below(d->random, n);
}

static void fill_random(const struct drawing *d, uint32_t from, uint32_t to)
{
	for (uint32_t i = from; i < to; i++)
		d->fault->after[i] = (uint8_t)random_next(d->random);
}

/* ---- one kind each ---- */

/* One byte with more bits than one flipped, or one bit of each of two or three words. */
static void make_lane(const struct drawing *d)
{
	uint8_t *after = d->fault->after;
	unsigned nr = 1 + below(d, 3), bit = below(d, 8);

	if (nr == 1) {
		uint8_t flipped;
		do
			flipped = (uint8_t)random_next(d->random);
		while (__builtin_popcount(flipped) < 2);
		after[d->at] ^= flipped;
		return;
	}
	for (unsigned i = 0; i < nr; i++) /* a word hit twice is drawn again by the caller */
		after[(i ? below(d, d->unit / 8) * 8 + d->at % 8 : d->at)] ^= (uint8_t)(1u << bit);
}

/* A run of sectors, or the block. */
static void make_zeroed(const struct drawing *d)
{
	uint32_t from = d->at / SECTOR, nr = d->unit / SECTOR;
	uint32_t len = 1 + below(d, nr - from);

	if (below(d, 3) == 0)
		from = 0, len = nr;
	memset(d->fault->after + from * SECTOR, 0, len * SECTOR);
}

static void make_repeated(const struct drawing *d)
{
	uint32_t to = d->at / SECTOR, from = below(d, d->unit / SECTOR);

	memcpy(d->fault->after + to * SECTOR, d->fault->before + from * SECTOR, SECTOR);
}

/* The block or a sector moved up or down, the rest zeros or what left at the other end. */
static void make_shifted(const struct drawing *d)
{
	const uint8_t *before = d->fault->before;
	uint8_t *after = d->fault->after;
	bool whole = below(d, 2), rotated = below(d, 2), up = below(d, 2);
	uint32_t off = whole ? 0 : d->at / SECTOR * SECTOR, len = whole ? d->unit : SECTOR;
	uint32_t by = 1 + below(d, SECTOR - 1);

	for (uint32_t i = 0; i < len; i++) {
		uint32_t from = up ? i - by : i + by;
		bool is_inside = from < len;
		from = up ? (i + len - by) % len : (i + by) % len;
		after[off + i] = is_inside || rotated ? before[off + from] : 0;
	}
}

/* One end of the block is of another time: content as of another block, or nothing of sense. */
static void make_torn(const struct drawing *d, uint32_t unit)
{
	uint32_t nr = d->unit / unit, len;
	const struct root_image *image = d->image;

	if (nr < 2)
		return;
	len = (1 + below(d, nr - 1)) * unit;
	uint32_t from = below(d, 2) ? 0 : d->unit - len;
	size_t first = image->first[CLASS_PACKAGE], last = image->first[CLASS_PACKAGE + 1];
	if (below(d, 2)) {
		fill_random(d, from, from + len);
		return;
	}
	const struct piece *other = &image->pieces[first + random_below(d->random, last - first)];
	memcpy(d->fault->after + from, image->clean + other->block * d->unit + from, len);
}

static void make_misdirected(const struct drawing *d)
{
	const struct root_image *image = d->image;
	size_t first = image->first[CLASS_PACKAGE], last = image->first[CLASS_FILE + 1];
	const struct piece *other = &image->pieces[first + random_below(d->random, last - first)];

	memcpy(d->fault->after, image->clean + other->block * d->unit, d->unit);
}

/* Neither a sector nor an end: from somewhere to somewhere. */
static void make_random(const struct drawing *d)
{
	uint32_t from = d->at, len = 16 + below(d, d->unit / 2);

	fill_random(d, from, min_of(from + len, d->unit - 1));
}

static void make(const struct drawing *d)
{
	struct fault_done *fault = d->fault;

	memcpy(fault->after, fault->before, d->unit);
	switch (fault->kind) {
	case FAULT_SINGLE_BIT:
		fault->after[d->at] ^= (uint8_t)(1u << below(d, 8));
		break;
	case FAULT_LANE:
		make_lane(d);
		break;
	case FAULT_ZEROED:
		make_zeroed(d);
		break;
	case FAULT_REPEATED:
		make_repeated(d);
		break;
	case FAULT_SHIFTED:
		make_shifted(d);
		break;
	case FAULT_TORN_512:
		make_torn(d, SECTOR);
		break;
	case FAULT_TORN_4096:
		make_torn(d, 4096);
		break;
	case FAULT_MISDIRECTED:
		make_misdirected(d);
		break;
	case FAULT_LOST_WRITE:
		memcpy(fault->after, d->image->older + fault->piece->block * d->unit, d->unit);
		break;
	case FAULT_RANDOM:
		make_random(d);
		break;
	case FAULT_KIND_COUNT_:
		break;
	}
}

/* ---- drawing ---- */

/* First and last byte that differ; false when none does. */
static bool find_edges(struct fault_done *fault, uint32_t unit)
{
	bool differs = false;

	for (uint32_t i = 0; i < unit; i++) {
		if (fault->before[i] == fault->after[i])
			continue;
		if (!differs)
			fault->first = i;
		fault->last = i;
		differs = true;
	}
	return differs;
}

static const struct piece *draw_piece(const struct root_image *image, enum block_class class,
				      bool older, uint64_t *random)
{
	size_t first = image->first[class], nr = image->first[class + 1] - first;

	for (unsigned i = 0; nr && i < TRIES; i++) {
		const struct piece *piece = &image->pieces[first + random_below(random, nr)];
		if (piece->is_older || !older)
			return piece;
	}
	return NULL;
}

int fault_draw(struct fault_done *fault, const struct root_image *image, enum block_class class,
	       enum fault_kind kind, uint64_t *random)
{
	struct drawing d = { fault, image, image->unit, 0, random };

	*fault = (struct fault_done){ .kind = kind, .after = malloc(image->unit) };
	if (!fault->after)
		return -ENOMEM;
	for (unsigned i = 0; i < TRIES; i++) {
		fault->piece = draw_piece(image, class, kind == FAULT_LOST_WRITE, random);
		if (!fault->piece)
			break;
		fault->before = image->clean + fault->piece->block * image->unit;
		d.at = fault->piece->from + below(&d, fault->piece->to - fault->piece->from);
		make(&d);
		bool unsure;
		if (find_edges(fault, image->unit) &&
		    fault_hits(fault, fault->piece->from, fault->piece->to) &&
		    (fault_kinds_true(fault, image, &unsure) >> kind & 1))
			return 0;
	}
	fault_fini(fault);
	return -EAGAIN;
}

void fault_fini(struct fault_done *fault)
{
	free(take(fault->after));
}

bool fault_hits(const struct fault_done *fault, uint64_t from, uint64_t to)
{
	return memcmp(fault->before + from, fault->after + from, to - from) != 0;
}

/* ---- which names are true ---- */

static bool is_zero(const uint8_t *bytes, uint32_t len)
{
	return bytes[0] == 0 && memcmp(bytes, bytes + 1, len - 1) == 0;
}

/* One byte, or the same bit of the same byte of two or three words. */
static bool is_lane(const struct fault_done *fault, uint32_t unit, bool *ret_single)
{
	unsigned nr = 0, flipped = 0, lane = 0, last_word = UINT32_MAX;

	for (uint32_t i = fault->first; i <= fault->last && i < unit; i++) {
		unsigned here = fault->before[i] ^ fault->after[i];
		if (!here)
			continue;
		if (nr && (here != flipped || i % 8 != lane || i / 8 == last_word))
			return false;
		if (++nr > 3)
			return false;
		flipped = here;
		lane = i % 8;
		last_word = i / 8;
	}
	*ret_single = nr == 1 && __builtin_popcount(flipped) == 1;
	return nr == 1 || __builtin_popcount(flipped) == 1;
}

/* Is [off, off + len) what it was, turned by `by` (up: to higher bytes), or moved with zeros behind it? */
static bool is_moved(const struct fault_done *fault, uint32_t off, uint32_t len, uint32_t by,
		     bool up, bool *ret_is_turned)
{
	const uint8_t *before = fault->before + off, *after = fault->after + off;
	const uint8_t *kept = up ? after + by : after, *from = up ? before : before + by;
	const uint8_t *gap = up ? after : after + len - by, *left = up ? before + len - by : before;
	/* What is lost and was zero is known as well, whatever stands in the gap now. */
	bool is_turned = memcmp(gap, left, by) == 0 || is_zero(left, by);

	if (memcmp(kept, from, len - by) != 0 || (!is_turned && !is_zero(gap, by)))
		return false;
	*ret_is_turned |= is_turned;
	return true;
}

/* *ret_is_turned: all bytes are there, so that it can be proven. */
static bool is_shifted(const struct fault_done *fault, uint32_t unit, bool *ret_is_turned)
{
	uint32_t sector = fault->first / SECTOR * SECTOR;
	bool in_sector = fault->last / SECTOR == fault->first / SECTOR, is = false;

	*ret_is_turned = false;
	for (uint32_t by = 1; by <= SECTOR; by++)
		for (int up = 0; up < 2; up++) {
			is |= is_moved(fault, 0, unit, by, up, ret_is_turned);
			if (in_sector && by < SECTOR)
				is |= is_moved(fault, sector, SECTOR, by, up, ret_is_turned);
		}
	return is;
}

/* Each sector that differs is zero now, or that of another place of the block; or all are the same. */
static unsigned of_sectors(const struct fault_done *fault, uint32_t unit)
{
	bool zeroed = true, repeated = true;

	for (uint32_t off = 0; off < unit; off += SECTOR) {
		bool twin = false;
		if (!fault_hits(fault, off, off + SECTOR))
			continue;
		zeroed &= is_zero(fault->after + off, SECTOR);
		for (uint32_t k = 0; k < unit && !twin; k += SECTOR)
			twin = k != off &&
			       memcmp(fault->after + k, fault->after + off, SECTOR) == 0;
		repeated &= twin;
	}
	return (zeroed ? 1u << FAULT_ZEROED : 0) | (repeated ? 1u << FAULT_REPEATED : 0);
}

/* All eighths of one end, that are whole sectors, and no others differ. */
static unsigned of_ends(unsigned eighths, uint32_t unit)
{
	unsigned nr = (unsigned)__builtin_popcount(eighths);
	unsigned head = (1u << nr) - 1, tail = head << (BLOCK_SUM_EIGHTHS - nr);
	uint32_t len = nr * (unit / BLOCK_SUM_EIGHTHS);

	if (nr == BLOCK_SUM_EIGHTHS || len % SECTOR || (eighths != head && eighths != tail))
		return 0;
	return unit > 4096 && len % 4096 == 0 ? 1u << FAULT_TORN_4096 : 1u << FAULT_TORN_512;
}

static bool is_elsewhere(const struct fault_done *fault, const struct root_image *image)
{
	uint64_t unit = image->unit;

	if (memcmp(fault->after, fault->after + 1, unit - 1) == 0)
		return false; /* a disk has many such */
	for (size_t i = 0; i < image->first[CLASS_FREE]; i++)
		if (image->pieces[i].block != fault->piece->block &&
		    memcmp(image->clean + image->pieces[i].block * unit, fault->after, unit) == 0)
			return true;
	return false;
}

/*
 * Whatever was meant is judged by what became of it: random bytes at the end of a block are a torn
 * block, a sector moved over its like is a repeated one. What is as another block, and what the block
 * was, is known by its digest.
 */
unsigned fault_kinds_true(const struct fault_done *fault, const struct root_image *image,
			  bool *ret_is_unsure)
{
	uint32_t unit = image->unit, eighth = unit / BLOCK_SUM_EIGHTHS;
	struct block_sum was = block_sum_of(span_of(fault->before, unit));
	struct block_sum now = block_sum_of(span_of(fault->after, unit));
	unsigned kinds = 0, eighths = 0;
	bool single = false, is_turned;

	for (unsigned i = 0; i < BLOCK_SUM_EIGHTHS; i++)
		eighths |= fault_hits(fault, i * eighth, (i + 1) * eighth) ? 1u << i : 0;
	*ret_is_unsure = block_sum_differing(was, now) != eighths;
	if (memcmp(fault->after, image->older + fault->piece->block * unit, unit) == 0)
		kinds |= 1u << FAULT_LOST_WRITE;
	if (is_elsewhere(fault, image))
		kinds |= 1u << FAULT_MISDIRECTED;
	if (is_lane(fault, unit, &single))
		kinds |= 1u << (single ? FAULT_SINGLE_BIT : FAULT_LANE);
	if (is_shifted(fault, unit, &is_turned)) {
		kinds |= 1u << FAULT_SHIFTED;
		*ret_is_unsure |= !is_turned;
	}
	kinds |= of_sectors(fault, unit) | of_ends(eighths, unit);
	return kinds ? kinds : 1u << FAULT_RANDOM;
}

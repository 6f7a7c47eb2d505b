/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What damage looks like when the old bytes cannot be known: what is there now where the sum differs.
 *
 * An eighth of up to a sector that differs and is zero was zeroed, for it was something else. Longer
 * eighths, of blocks above 4,096 bytes, may always have had zeros in them beside the damage: there
 * the zeros have to begin or end where a sector does, which content of its own accord seldom has.
 */
#include <string.h>

#include "verify/fingerprint_work.h"

enum { SECTORS_MAX = FINGERPRINT_LEN_MAX / FINGERPRINT_SECTOR };

/* Sectors that explain why an eighth differs. */
struct sectors {
	unsigned nr;
	bool explain[SECTORS_MAX];
};

bool fingerprint_is_fill(struct span bytes)
{
	return bytes.len < 2 || memcmp(bytes.data, bytes.data + 1, bytes.len - 1) == 0;
}

static struct span sector_of(const struct fingerprint_work *work, unsigned i)
{
	return span_of(work->now.data + (uint64_t)i * FINGERPRINT_SECTOR, FINGERPRINT_SECTOR);
}

static bool is_zero(struct span bytes)
{
	return bytes.data[0] == 0 && fingerprint_is_fill(bytes);
}

/* The zeros around [from, to) begin or end with a sector, and not with the block. */
static bool has_sharp_edge(const struct fingerprint_work *work, uint64_t from, uint64_t to)
{
	const uint8_t *bytes = work->now.data;

	while (from > 0 && bytes[from - 1] == 0)
		from--;
	while (to < work->now.len && bytes[to] == 0)
		to++;
	return (from > 0 && from % FINGERPRINT_SECTOR == 0) ||
	       (to < work->now.len && to % FINGERPRINT_SECTOR == 0);
}

static bool is_zeroed(const struct fingerprint_work *work, unsigned i)
{
	uint64_t from = (uint64_t)i * FINGERPRINT_SECTOR, to = from + FINGERPRINT_SECTOR;

	if (!is_zero(sector_of(work, i)))
		return false;
	if (work->differing && work->eighth > FINGERPRINT_SECTOR) {
		from -= from % work->eighth;
		to = from + work->eighth;
		if (is_zero(span_of(work->now.data + from, work->eighth)))
			return true;
		from = (uint64_t)i * FINGERPRINT_SECTOR;
		to = from + FINGERPRINT_SECTOR;
	} else if (work->differing) {
		return true;
	}
	return has_sharp_edge(work, from, to);
}

/* The first sector with the same content, or nr when there is none. */
static unsigned twin_of(const struct fingerprint_work *work, unsigned i, unsigned nr)
{
	for (unsigned k = 0; k < nr; k++)
		if (k != i && span_equals(sector_of(work, k), sector_of(work, i)))
			return k;
	return nr;
}

static bool lies_in(const struct fingerprint_work *work, unsigned sector, unsigned eighth)
{
	uint32_t from = sector * FINGERPRINT_SECTOR, begin = eighth * work->eighth;

	return from < begin + work->eighth && begin < from + FINGERPRINT_SECTOR;
}

/* Each eighth that differs has one of the sectors; where none is known to differ, there is one. */
static bool explains(const struct fingerprint_work *work, const struct sectors *sectors)
{
	unsigned nr_explained = 0;

	for (unsigned e = 0; e < BLOCK_SUM_EIGHTHS; e++) {
		bool is_explained = false;
		for (unsigned i = 0; i < sectors->nr; i++)
			is_explained |= sectors->explain[i] && lies_in(work, i, e);
		if (!is_explained && (work->differing >> e & 1))
			return false;
		nr_explained += is_explained;
	}
	return nr_explained > 0;
}

/* From the first to the last of the sectors that lie in an eighth that differs. */
static void set_edges(struct fingerprint_work *work, const struct sectors *sectors)
{
	struct fingerprint_result *result = &work->result;
	unsigned differing = work->differing ? work->differing : 0xff;
	bool any = false;

	for (unsigned i = 0; i < sectors->nr; i++) {
		bool is_inside = false;
		for (unsigned e = 0; e < BLOCK_SUM_EIGHTHS; e++)
			is_inside |= (differing >> e & 1) && lies_in(work, i, e);
		if (!is_inside || !sectors->explain[i])
			continue;
		if (!any)
			result->first = i * FINGERPRINT_SECTOR;
		result->last = (i + 1) * FINGERPRINT_SECTOR - 1;
		any = true;
	}
}

static bool looks_zeroed(struct fingerprint_work *work, struct sectors *sectors)
{
	struct fingerprint_result *result = &work->result;

	result->whole = is_zero(work->now);
	for (unsigned i = 0; i < sectors->nr; i++)
		sectors->explain[i] = result->whole || is_zeroed(work, i);
	if (!explains(work, sectors))
		return false;
	result->kind = FINGERPRINT_ZEROED;
	return true;
}

/* Sectors of one byte everywhere are common and tell nothing, unless the whole block is that. */
static bool looks_repeated(struct fingerprint_work *work, struct sectors *sectors)
{
	struct fingerprint_result *result = &work->result;
	unsigned nr_twins = 0;

	result->whole = memcmp(work->now.data, work->now.data + FINGERPRINT_SECTOR,
			       work->now.len - FINGERPRINT_SECTOR) == 0;
	for (unsigned i = 0; i < sectors->nr; i++) {
		unsigned twin = fingerprint_is_fill(sector_of(work, i)) && !result->whole
					? sectors->nr
					: twin_of(work, i, sectors->nr);
		sectors->explain[i] = twin < sectors->nr;
		nr_twins += sectors->explain[i];
	}
	if (nr_twins == 0 || !explains(work, sectors))
		return false;
	result->kind = FINGERPRINT_REPEATED;
	return true;
}

/* Of a guess that sectors explain. */
static void tell(struct fingerprint_work *work, const struct sectors *sectors)
{
	struct fingerprint_result *result = &work->result;

	if (result->whole)
		return;
	set_edges(work, sectors);
	if (result->kind == FINGERPRINT_REPEATED)
		result->other = (uint64_t)FINGERPRINT_SECTOR *
				twin_of(work, result->first / FINGERPRINT_SECTOR, sectors->nr);
}

/*
 * Whether the eighths that differ are `nr` at one end. One of them may match by chance, but for the
 * outermost, without which nothing says that the end is reached; if at least two others of them do
 * not, or it is in one sector with one that does not.
 */
static bool is_end(const struct fingerprint_work *work, unsigned nr, bool tail, unsigned nr_missing)
{
	unsigned end = (1u << nr) - 1, outermost = tail ? 1u << (BLOCK_SUM_EIGHTHS - 1) : 1;
	unsigned nr_differing = (unsigned)__builtin_popcount(work->differing);

	if (tail)
		end <<= BLOCK_SUM_EIGHTHS - nr;
	return (work->differing & outermost) && (work->differing & ~end) == 0 && nr_differing + nr_missing == nr &&
	       (nr_missing == 0 || nr_differing >= 2 || nr * work->eighth == FINGERPRINT_SECTOR);
}

static bool looks_torn(struct fingerprint_work *work)
{
	struct fingerprint_result *result = &work->result;

	for (unsigned nr_missing = 0; nr_missing <= 1; nr_missing++)
		for (unsigned nr = 1 + nr_missing; nr < BLOCK_SUM_EIGHTHS; nr++) {
			uint32_t len = nr * work->eighth;
			bool head = is_end(work, nr, false, nr_missing);
			if (len % FINGERPRINT_SECTOR ||
			    (!head && !is_end(work, nr, true, nr_missing)))
				continue;
			result->kind = work->now.len > 4096 && len % 4096 == 0
					       ? FINGERPRINT_TORN_4096
					       : FINGERPRINT_TORN_512;
			result->first = head ? 0 : (uint32_t)work->now.len - len;
			result->last = head ? len - 1 : (uint32_t)work->now.len - 1;
			return true;
		}
	return false;
}

void fingerprint_guess(struct fingerprint_work *work)
{
	struct sectors sectors = { .nr = (unsigned)(work->now.len / FINGERPRINT_SECTOR) };

	bool found;

	/* Where zeros may always have been, a sector that stands twice tells more than they do. */
	if (is_zero(work->now) || (work->differing && work->eighth <= FINGERPRINT_SECTOR))
		found = looks_zeroed(work, &sectors) || looks_repeated(work, &sectors);
	else
		found = looks_repeated(work, &sectors) || looks_zeroed(work, &sectors);
	if (found) {
		tell(work, &sectors);
		return;
	}
	work->result.whole = false;
	if (!looks_torn(work))
		work->result.kind = FINGERPRINT_RANDOM;
}

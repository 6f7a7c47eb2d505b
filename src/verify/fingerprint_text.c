/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fingerprints in words, one and many. What a pattern means is what it usually means; nothing here
 * accuses one part alone where two are as likely.
 */
#include <inttypes.h>

#include "base/text.h"
#include "verify/fingerprint.h"

static const struct {
	const char *name, *meaning;
	const char *suspects; /* in a summary */
} kinds[FINGERPRINT_COUNT_] = {
	[FINGERPRINT_SINGLE_BIT] = { "single-bit",
				     "One bit was flipped where no checksum watched, most often in memory, of this host or "
				     "of a controller. Look at ECC counters (edac), run a memory test; replace memory "
				     "without ECC that flips a second time.",
				     "memory or bus" },
	[FINGERPRINT_LANE] = { "lane",
			       "The changed bits share a byte lane of a 64-bit word: one memory chip, or one line of a "
			       "bus. Look at ECC counters, seat modules and cards anew, run a memory test.",
			       "one memory chip or one line of a bus" },
	[FINGERPRINT_ZEROED] = { "zeroed",
				 "Zeros stand where data was: a discard (TRIM) that went too far, an SSD that lost its "
				 "mapping, or a write that never filled its sectors. Look at the SMART log and firmware "
				 "of the drive, and at what discards.",
				 "discards, or the mapping of an SSD" },
	[FINGERPRINT_REPEATED] = { "repeated",
				   "A sector stands where another one belongs: a transfer that was put together wrongly by "
				   "a controller, its firmware or its driver. Look at firmware versions and at the kernel "
				   "log for resets.",
				   "the controller, its firmware or driver" },
	[FINGERPRINT_SHIFTED] = { "shifted",
				  "Bytes were lost or came in twice on the way, and all behind them moved: DMA of a "
				  "controller, a cable, or a driver. Look at CRC errors of the link (SMART attribute 199, "
				  "PCIe errors) and at firmware.",
				  "DMA of a controller, or a cable" },
	[FINGERPRINT_TORN_512] = { "torn-512",
				   "A write ended between sectors: power was lost, or the link reset, while it was under "
				   "way. Look for when power failed, and whether the drive keeps what it has confirmed.",
				   "loss of power during a write" },
	[FINGERPRINT_TORN_4096] = { "torn-4096",
				    "A write ended between pages of 4,096 bytes: power was lost or the system stopped while "
				    "it was under way. Look for when power failed or the kernel crashed.",
				    "loss of power or a crash during a write" },
	[FINGERPRINT_MISDIRECTED] = { "misdirected",
				      "The content of another block was written here: firmware of a drive or a controller, or "
				      "a volume manager, used a wrong address. The block that it belongs to may have missed "
				      "the write. Look at firmware, and replace a drive that does it again.",
				      "addresses in the firmware of a drive or controller" },
	[FINGERPRINT_LOST_WRITE] = { "lost-write",
				     "The block is what it was before: a write was confirmed and never made, or a mapping "
				     "went back to an older one, as of an SSD after loss of power. Look at the write cache, "
				     "its battery, and the firmware.",
				     "a write cache, or the mapping of an SSD" },
	[FINGERPRINT_RANDOM] = { "random",
				 "The change has no known pattern: something else wrote here past the filesystem, a "
				 "sector was decoded wrongly, or more was damaged than can be traced. Look for other "
				 "writers to the device first.",
				 "other writers to the device" },
};

const char *fingerprint_name(enum fingerprint kind)
{
	return (unsigned)kind < FINGERPRINT_COUNT_ ? kinds[kind].name : "?";
}

const char *fingerprint_meaning(enum fingerprint kind)
{
	return (unsigned)kind < FINGERPRINT_COUNT_ ? kinds[kind].meaning : "?";
}

/* ---- One ---------------------------------------------------------------------------------------- */

static void describe_bit(const struct fingerprint_result *result, struct buf *out)
{
	const struct fingerprint_change *change = &result->changes[0];
	unsigned now = change->now >> result->bit & 1;

	buf_addf(out, "bit %u of byte %" PRIu32 " was flipped (%u to %u)", result->bit, change->off,
		 now ^ 1, now);
}

static void describe_lane(const struct fingerprint_result *result, struct buf *out)
{
	const struct fingerprint_change *changes = result->changes;
	unsigned nr = result->nr_changes;

	if (nr == 1) {
		buf_addf(out, "byte %" PRIu32 " was changed (0x%02x to 0x%02x)", changes[0].off,
			 changes[0].was, changes[0].now);
	} else {
		buf_addf(out, "bit %u of bytes ", result->bit);
		for (unsigned i = 0; i < nr; i++)
			buf_addf(out, "%s%" PRIu32,
				 i == 0	      ? ""
				 : i + 1 < nr ? ", "
					      : " and ",
				 changes[i].off);
		buf_add_str(out, " was flipped");
	}
	buf_addf(out, ", byte %u of a 64-bit word", result->lane);
}

static void describe_range(const struct fingerprint_result *result, const char *what,
			   struct buf *out)
{
	buf_addf(out, "bytes %" PRIu32 " to %" PRIu32 " %s", result->first, result->last, what);
}

static void describe_shift(const struct fingerprint_result *result, struct buf *out)
{
	int32_t shift = result->shift;
	char bytes[40];

	if (result->shift_len == result->len)
		buf_add_str(out, "the block");
	else
		buf_addf(out, "the sector at byte %" PRIu32, result->shift_off);
	buf_addf(out, " was %s %s by %s", result->rotated ? "rotated" : "moved",
		 shift > 0 ? "up" : "down",
		 text_counted((uint64_t)(shift > 0 ? shift : -shift), "byte", bytes,
			      sizeof(bytes)));
}

static void describe_torn(const struct fingerprint_result *result, struct buf *out)
{
	buf_addf(out, "the %s %" PRIu32 " bytes differ, the rest does not",
		 result->first == 0 ? "first" : "last", result->last - result->first + 1);
}

static void describe_repeated(const struct fingerprint_result *result, struct buf *out)
{
	if (result->whole)
		buf_add_str(out, "all sectors of the block are the same");
	else
		buf_addf(
			out,
			"bytes %" PRIu32 " to %" PRIu32
			" hold sectors that stand elsewhere in the block, the first at byte %" PRIu64,
			result->first, result->last, result->other);
}

void fingerprint_describe(const struct fingerprint_result *result, struct buf *out)
{
	switch (result->kind) {
	case FINGERPRINT_SINGLE_BIT:
		describe_bit(result, out);
		break;
	case FINGERPRINT_LANE:
		describe_lane(result, out);
		break;
	case FINGERPRINT_ZEROED:
		if (result->whole)
			buf_add_str(out, "the block is zero");
		else
			describe_range(result, "have sectors of zeros where they differ", out);
		break;
	case FINGERPRINT_REPEATED:
		describe_repeated(result, out);
		break;
	case FINGERPRINT_SHIFTED:
		describe_shift(result, out);
		break;
	case FINGERPRINT_TORN_512:
	case FINGERPRINT_TORN_4096:
		describe_torn(result, out);
		break;
	case FINGERPRINT_MISDIRECTED:
		buf_addf(out, "it holds what block %" PRIu64 " should", result->other);
		break;
	case FINGERPRINT_LOST_WRITE:
		buf_addf(out, "it holds what it did in baseline %" PRIu64, result->other);
		break;
	case FINGERPRINT_RANDOM:
	case FINGERPRINT_COUNT_:
		if (result->differing)
			describe_range(result, "differ in no known way", out);
		else
			buf_add_str(out, "it differs in no known way, nor is known where");
		if (result->exhausted)
			buf_add_str(out, "; flipped bits were not all tried");
		break;
	}
}

/* ---- Many --------------------------------------------------------------------------------------- */

static void add_bit(struct fingerprint_summary *summary, const struct fingerprint_result *result)
{
	const struct fingerprint_change *change = &result->changes[0];
	unsigned page_off = (unsigned)((result->place * result->len + change->off) % 4096);

	if (summary->counts[FINGERPRINT_SINGLE_BIT] == 0) {
		summary->bit = result->bit;
		summary->lane = result->lane;
		summary->page_off = page_off;
		summary->same_bit = summary->same_lane = summary->same_page_off = true;
	}
	summary->same_bit &= summary->bit == result->bit;
	summary->same_lane &= summary->lane == result->lane;
	summary->same_page_off &= summary->page_off == page_off;
	summary->nr_raised += change->now > change->was;
}

void fingerprint_summary_add(struct fingerprint_summary *summary,
			     const struct fingerprint_result *result)
{
	uint64_t nr_lanes =
		summary->counts[FINGERPRINT_SINGLE_BIT] + summary->counts[FINGERPRINT_LANE];

	if ((unsigned)result->kind >= FINGERPRINT_COUNT_)
		return;
	if (result->kind == FINGERPRINT_SINGLE_BIT || result->kind == FINGERPRINT_LANE) {
		if (nr_lanes == 0) {
			summary->any_lane = result->lane;
			summary->same_any_lane = true;
		}
		summary->same_any_lane &= summary->any_lane == result->lane;
	}
	if (result->kind == FINGERPRINT_SINGLE_BIT)
		add_bit(summary, result);
	summary->counts[result->kind]++;
	summary->nr_exhausted += result->exhausted;
}

/* What single bits have in common, and so whom to suspect; `nr` is 2 or more. */
static void describe_bits(const struct fingerprint_summary *summary, struct buf *out)
{
	uint64_t nr = summary->counts[FINGERPRINT_SINGLE_BIT];
	const char *suspects = "memory that ages, or radiation";

	if (summary->same_bit && summary->same_lane) {
		buf_addf(out, ", all bit %u of byte %u of a 64-bit word", summary->bit,
			 summary->lane);
		suspects = "memory or bus";
	} else if (summary->same_lane) {
		buf_addf(out, ", all in byte %u of a 64-bit word", summary->lane);
		suspects = "one memory chip or a byte lane of a bus";
	} else if (summary->same_bit) {
		buf_addf(out, ", all bit %u of a byte", summary->bit);
		suspects = "a path that is 8 bits wide, in a controller or drive";
	} else {
		buf_add_str(out, ", with neither bit nor byte lane in common");
	}
	if (summary->same_page_off) {
		buf_addf(out, ", all at byte %u of a page", summary->page_off);
		suspects = "one cell of memory";
	}
	if (summary->nr_raised == nr)
		buf_add_str(out, ", all 0 to 1");
	else if (summary->nr_raised == 0)
		buf_add_str(out, ", all 1 to 0");
	buf_addf(out, ": suspect %s", suspects);
}

static void describe_kind(const struct fingerprint_summary *summary, enum fingerprint kind,
			  struct buf *out)
{
	if (kind == FINGERPRINT_SINGLE_BIT && summary->counts[kind] > 1) {
		describe_bits(summary, out);
		return;
	}
	if (kind == FINGERPRINT_LANE && summary->counts[kind] > 1 && summary->same_any_lane)
		buf_addf(out, ", all in byte %u of a 64-bit word", summary->any_lane);
	buf_addf(out, ": suspect %s", kinds[kind].suspects);
}

static const char *word_of(enum fingerprint kind)
{
	return kind == FINGERPRINT_SINGLE_BIT ? "one bit" : kinds[kind].name;
}

static void describe_several(const struct fingerprint_summary *summary, struct buf *out)
{
	char count[40];

	for (unsigned kind = 0; kind < FINGERPRINT_COUNT_; kind++) {
		if (!summary->counts[kind])
			continue;
		buf_addf(out, "; %s %s", text_count(summary->counts[kind], count, sizeof(count)),
			 word_of(kind));
		describe_kind(summary, kind, out);
	}
	if (summary->counts[FINGERPRINT_SINGLE_BIT] && summary->counts[FINGERPRINT_LANE] &&
	    summary->same_any_lane)
		buf_addf(out, "; all flipped bits are in byte %u of a 64-bit word",
			 summary->any_lane);
}

void fingerprint_summary_describe(const struct fingerprint_summary *summary, struct buf *out)
{
	unsigned nr_kinds = 0, last = 0;
	uint64_t nr = 0;
	char count[40];

	for (unsigned kind = 0; kind < FINGERPRINT_COUNT_; kind++) {
		nr += summary->counts[kind];
		if (summary->counts[kind])
			last = kind;
		nr_kinds += summary->counts[kind] > 0;
	}
	if (nr == 0) {
		buf_add_str(out, "no damage");
		return;
	}
	buf_add_str(out, text_counted(nr, "block", count, sizeof(count)));
	if (nr_kinds == 1) {
		buf_addf(out, ", %s%s", nr > 1 ? "all " : "", word_of(last));
		describe_kind(summary, last, out);
	} else {
		describe_several(summary, out);
	}
	if (summary->nr_exhausted)
		buf_addf(out, "; in %s not all flipped bits were tried",
			 text_counted(summary->nr_exhausted, "block", count, sizeof(count)));
}

// SPDX-License-Identifier: Apache-2.0
/*
 * A sync CRC is the exclusive or of the CRC-32 of one line of text for each record, so that it can
 * be kept up to date by one record at a time, and does not depend on their order. The text is
 * composed here by hand, because there are up to six lines for a record and millions of records.
 *
 * basic, one line a record:
 *	UID MODSEQ LAST_UPDATED (FLAGS) INTERNALDATE GUID
 * FLAGS is itself an exclusive or, of the CRCs of the names of the flags that are set.
 *
 * annot, one line for each value of the record that older versions kept as an annotation, written
 * as that annotation would be, and one for each annotation there is; the user between two spaces
 * is empty in the former:
 *	UID ENTRY USER VALUE
 */
#include "format/cyrus/index_sums.h"

#include <string.h>

#include "digest/digest.h"

#define NS_PER_SECOND UINT64_C(1000000000)
#define THREAD_ID_DIGITS 16
#define FLAG_NAME_MAX 4095 /* bytes of a name that count */
#define ENTRY_PREFIX " /vendor/cmu/cyrus-imapd/"

/* CRC-32 of the lower-case names of the system flags. */
#define CRC_ANSWERED 0x7a3bf34du
#define CRC_FLAGGED 0xed95f95fu
#define CRC_DELETED 0x11fca8adu
#define CRC_DRAFT 0x4ad008a6u
#define CRC_SEEN 0xbed700d3u

/* The longest line: three numbers of 20 digits, two of 10, a GUID, and seven signs: 127. */
struct line {
	size_t len;
	char text[192];
};

/* ---- lines ---- */

static void line_add(struct line *line, const char *text, size_t len)
{
	memcpy(line->text + line->len, text, len);
	line->len += len;
}

#define line_add_literal(line, text) line_add(line, text, sizeof(text) - 1)

static void line_add_decimal(struct line *line, uint64_t value)
{
	char digits[20];
	size_t at = sizeof(digits);

	do {
		digits[--at] = (char)('0' + value % 10);
		value /= 10;
	} while (value);
	line_add(line, digits + at, sizeof(digits) - at);
}

static const char hex_digits[] = "0123456789abcdef";

/* Filled up with zeros to `width` digits. */
static void line_add_hex(struct line *line, uint64_t value, size_t width)
{
	char digits[16];
	size_t at = sizeof(digits);

	do {
		digits[--at] = hex_digits[value & 15];
		value >>= 4;
	} while (value || sizeof(digits) - at < width);
	line_add(line, digits + at, sizeof(digits) - at);
}

static void line_add_guid(struct line *line, const uint8_t guid[INDEX_GUID_LEN])
{
	char *to = line->text + line->len;

	for (size_t i = 0; i < INDEX_GUID_LEN; i++) {
		to[2 * i] = hex_digits[guid[i] >> 4];
		to[2 * i + 1] = hex_digits[guid[i] & 15];
	}
	line->len += 2 * (size_t)INDEX_GUID_LEN;
}

static uint32_t line_crc(const struct line *line)
{
	return crc32_of(span_of(line->text, line->len));
}

/* ---- the CRCs of one record ---- */

/* Unsigned, as 3.13 divides it: a time before 1970 becomes one far ahead. */
static uint64_t seconds_of(int64_t time_ns)
{
	return (uint64_t)time_ns / NS_PER_SECOND;
}

static uint32_t flags_crc(const struct index_sums *sums, const struct index_record *record)
{
	uint32_t crc = 0;

	crc ^= record->flags & INDEX_FLAG_ANSWERED ? CRC_ANSWERED : 0;
	crc ^= record->flags & INDEX_FLAG_FLAGGED ? CRC_FLAGGED : 0;
	crc ^= record->flags & INDEX_FLAG_DELETED ? CRC_DELETED : 0;
	crc ^= record->flags & INDEX_FLAG_DRAFT ? CRC_DRAFT : 0;
	crc ^= record->flags & INDEX_FLAG_SEEN ? CRC_SEEN : 0;
	for (unsigned i = 0; i < array_size(sums->named); i++) {
		uint32_t set = record->user_flags[i] & sums->named[i];
		for (; set; set &= set - 1)
			crc ^= sums->flag_crcs[i * 32 + (unsigned)__builtin_ctz(set)];
	}
	return crc;
}

static uint32_t basic_crc(const struct index_sums *sums, const struct index_record *record)
{
	struct line line = { .len = 0 };

	line_add_decimal(&line, record->uid);
	line_add_literal(&line, " ");
	line_add_decimal(&line, record->modseq);
	line_add_literal(&line, " ");
	line_add_decimal(&line, seconds_of(record->last_updated_ns));
	line_add_literal(&line, " (");
	line_add_decimal(&line, flags_crc(sums, record));
	line_add_literal(&line, ") ");
	line_add_decimal(&line, seconds_of(record->internaldate_ns));
	line_add_literal(&line, " ");
	line_add_guid(&line, record->guid);
	return line_crc(&line);
}

/* The lines of one record begin alike: each is written over the one before, behind `begin`. */
struct annot {
	struct line line;
	size_t begin;
};

static void annot_begin(struct annot *annot, const struct index_record *record)
{
	annot->line.len = 0;
	line_add_decimal(&annot->line, record->uid);
	line_add_literal(&annot->line, ENTRY_PREFIX);
	annot->begin = annot->line.len;
}

/* `entry` with the two spaces around an empty user. */
static uint32_t annot_decimal(struct annot *annot, const char *entry, uint64_t value)
{
	annot->line.len = annot->begin;
	line_add(&annot->line, entry, strlen(entry));
	line_add_decimal(&annot->line, value);
	return line_crc(&annot->line);
}

static uint32_t annot_thread_id(struct annot *annot, const char *entry, uint64_t id, size_t width)
{
	annot->line.len = annot->begin;
	line_add(&annot->line, entry, strlen(entry));
	line_add_hex(&annot->line, id, width);
	return line_crc(&annot->line);
}

static void add_thread_id(struct index_sums *sums, struct annot *annot, uint64_t cid)
{
	bool filled = sums->version >= 20;
	uint32_t crc = annot_thread_id(annot, "thrid  ", cid, filled ? THREAD_ID_DIGITS : 1);

	sums->sync_crc_annot ^= crc;
	if (cid >> 60 == 0) /* the two forms differ */
		sums->other_thread_ids ^=
			crc ^ annot_thread_id(annot, "thrid  ", cid, filled ? 1 : THREAD_ID_DIGITS);
}

/* The values that this version of the index holds and that count as annotations. */
static void add_virtual_annotations(struct index_sums *sums, const struct index_record *record)
{
	uint64_t saved = seconds_of(record->savedate_ns);
	struct annot annot;
	uint32_t crc = 0;

	annot_begin(&annot, record);
	if (record->cid)
		add_thread_id(sums, &annot, record->cid);
	if (saved && sums->version >= 15)
		crc ^= annot_decimal(&annot, "savedate  ", saved);
	if (record->createdmodseq && sums->version >= 16)
		crc ^= annot_decimal(&annot, "createdmodseq  ", record->createdmodseq);
	if (sums->version >= 20) {
		uint64_t nsec = (uint64_t)record->internaldate_ns % NS_PER_SECOND;
		if (nsec)
			crc ^= annot_decimal(&annot, "internaldate.nsec  ", nsec);
		if (record->basecid)
			crc ^= annot_thread_id(&annot, "basethrid  ", record->basecid,
					       THREAD_ID_DIGITS);
	}
	sums->sync_crc_annot ^= crc;
}

/* ---- sums ---- */

/* Lower case of ASCII alone, and of a name no more than Cyrus takes. */
static uint32_t flag_name_crc(const char *name)
{
	char lower[FLAG_NAME_MAX];
	size_t len = 0;

	for (; name[len] && len < sizeof(lower); len++)
		lower[len] =
			(char)(name[len] >= 'A' && name[len] <= 'Z' ? name[len] + 32 : name[len]);
	return crc32_of(span_of(lower, len));
}

void index_sums_init(struct index_sums *sums, uint32_t version, const struct mailbox_header *flags)
{
	memset(sums, 0, sizeof(*sums));
	sums->version = version;
	if (version >= 13)
		sums->sync_crc_annot = INDEX_SYNC_ANNOT_SEED;
	for (unsigned i = 0; flags && i < INDEX_USER_FLAGS; i++) {
		const char *name = mailbox_header_flag(flags, i);
		if (!*name)
			continue;
		sums->flag_crcs[i] = flag_name_crc(name);
		sums->named[i / 32] |= UINT32_C(1) << i % 32;
	}
}

static void add_expunged(struct index_sums *sums, const struct index_record *record)
{
	sums->expunged++;
	if (record->flags & INDEX_FLAG_UNLINKED)
		return;
	sums->quota_expunged_used += record->size;
	/* 0 is no time, here as there: which record comes first must not matter. */
	if (record->last_updated_ns &&
	    (sums->first_expunged_ns == 0 || record->last_updated_ns < sums->first_expunged_ns))
		sums->first_expunged_ns = record->last_updated_ns;
}

static void add_counters(struct index_sums *sums, const struct index_record *record)
{
	uint32_t flags = record->flags;

	sums->exists++;
	sums->unlinked += !!(flags & INDEX_FLAG_UNLINKED);
	sums->answered += !!(flags & INDEX_FLAG_ANSWERED);
	sums->flagged += !!(flags & INDEX_FLAG_FLAGGED);
	sums->deleted += !!(flags & INDEX_FLAG_DELETED);
	sums->unseen += !(flags & INDEX_FLAG_SEEN);
	sums->quota_used += record->size;
	sums->quota_deleted_used += flags & INDEX_FLAG_DELETED ? record->size : 0;
	for (size_t i = 0; i < array_size(sums->user_flags); i++)
		sums->user_flags[i] |= record->user_flags[i];
}

void index_sums_add(struct index_sums *sums, const struct index_record *record)
{
	if (record->uid == 0)
		return;
	sums->nr_records++;
	sums->max_uid = max_of(sums->max_uid, record->uid);
	sums->max_modseq = max_of(sums->max_modseq, record->modseq);
	if (record->flags & INDEX_FLAG_EXPUNGED) {
		add_expunged(sums, record);
		return;
	}
	add_counters(sums, record);
	if (sums->version >= 12)
		sums->sync_crc_basic ^= basic_crc(sums, record);
	if (sums->version >= 13)
		add_virtual_annotations(sums, record);
}

bool index_sums_basic_agrees(const struct index_sums *sums, const struct index_header *header)
{
	return header->sync_crc_basic == 0 || header->sync_crc_basic == sums->sync_crc_basic;
}

bool index_sums_annot_agrees(const struct index_sums *sums, const struct index_header *header)
{
	uint32_t difference = header->sync_crc_annot ^ sums->sync_crc_annot;

	if (header->sync_crc_annot == 0 || difference == 0 || difference == INDEX_SYNC_ANNOT_SEED)
		return true;
	difference ^= sums->other_thread_ids;
	return difference == 0 || difference == INDEX_SYNC_ANNOT_SEED;
}

// SPDX-License-Identifier: Apache-2.0
/*
 * Every field of every version that is read, as tables: the parser walks them, messages take names
 * from them, and tests damage what they name. Versions share their beginnings, so the tables are
 * put together from runs of fields; each run says the offsets at which it stands, and a test sees
 * to it that nothing is left out between two of them.
 */
#include "format/cyrus/index_fields.h"

/* A field: which structure and member keep it, its name, where it stands, and what it is. */
#define KEPT(type, member, name, off, len, kind)                                                   \
	{                                                                                          \
		name, off, len, INDEX_FIELD_##kind, offsetof(struct type, member),                 \
			sizeof(((struct type *)0)->member)                                         \
	}
#define NOT_KEPT(name, off, len, kind)                                                             \
	{                                                                                          \
		name, off, len, INDEX_FIELD_##kind, 0, 0                                           \
	}

#define HEAD(member, off, len, kind) KEPT(index_header, member, #member, off, len, kind)
#define HEAD_TIME(name, off) KEPT(index_header, name##_ns, #name, off, 4, TIME)
#define HEAD_TIME_NS(name, off) KEPT(index_header, name##_ns, #name, off, 8, TIME_NS)
#define REC(member, off, len, kind) KEPT(index_record, member, #member, off, len, kind)
#define REC_TIME(name, off) KEPT(index_record, name##_ns, #name, off, 4, TIME)
#define REC_TIME_NS(name, off) KEPT(index_record, name##_ns, #name, off, 8, TIME_NS)
#define SPARE(off, len) NOT_KEPT("spare", off, len, SPARE)
#define CRC(off) NOT_KEPT("crc", off, 4, CRC)

/* ---- headers ---- */

/* clang-format off */

/* The same in every version, so that the others can be told apart. */
#define HEADER_0_24                                                                                \
	HEAD(generation, 0, 4, NUMBER), HEAD(format, 4, 4, NUMBER),                                \
	HEAD(version, 8, 4, NUMBER), HEAD(start_offset, 12, 4, NUMBER),                            \
	HEAD(record_size, 16, 4, NUMBER), HEAD(nr_records, 20, 4, NUMBER)

#define HEADER_24_60                                                                               \
	HEAD_TIME(last_append, 24), HEAD(last_uid, 28, 4, NUMBER),                                 \
	HEAD(quota_used, 32, 8, NUMBER),                                                           \
	HEAD_TIME(pop3_last_login, 40), HEAD(uidvalidity, 44, 4, NUMBER),                          \
	HEAD(deleted, 48, 4, NUMBER), HEAD(answered, 52, 4, NUMBER),                               \
	HEAD(flagged, 56, 4, NUMBER)

/* Up to 18, with 64-bit fields off their place. */
#define HEADER_60_76                                                                               \
	HEAD(options, 60, 4, BITS), HEAD(leaked_cache_records, 64, 4, NUMBER),                     \
	HEAD(highestmodseq, 68, 8, NUMBER)

#define HEADER_76_96                                                                               \
	HEAD(deletedmodseq, 76, 8, NUMBER), HEAD(exists, 84, 4, NUMBER),                           \
	HEAD_TIME(first_expunged, 88), HEAD_TIME(last_repack, 92)

/* 12 to 19. */
#define HEADER_96_112                                                                              \
	HEAD(header_file_crc, 96, 4, CRC), HEAD(sync_crc_basic, 100, 4, CRC),                      \
	HEAD(recentuid, 104, 4, NUMBER), HEAD_TIME(recenttime, 108)

#define HEADER_112_124                                                                             \
	HEAD_TIME(pop3_show_after, 112), HEAD(quota_annot_used, 116, 4, NUMBER),                   \
	HEAD(sync_crc_annot, 120, 4, CRC)

#define HEADER_0_96 HEADER_0_24, HEADER_24_60, HEADER_60_76, HEADER_76_96
#define HEADER_0_128_OF_14                                                                         \
	HEADER_0_96, HEADER_96_112, HEADER_112_124, HEAD(unseen, 124, 4, NUMBER)

static const struct index_field header_9[] = {
	HEADER_0_24, HEADER_24_60, HEADER_60_76, SPARE(76, 20),
};

static const struct index_field header_12[] = {
	HEADER_0_96, HEADER_96_112, SPARE(112, 12), CRC(124),
};

static const struct index_field header_13[] = {
	HEADER_0_96, HEADER_96_112, HEADER_112_124, CRC(124),
};

static const struct index_field header_14[] = {
	HEADER_0_128_OF_14, SPARE(128, 28), CRC(156),
};

static const struct index_field header_16[] = {
	HEADER_0_128_OF_14, HEAD(createdmodseq, 128, 8, NUMBER), SPARE(136, 20), CRC(156),
};

static const struct index_field header_17[] = {
	HEADER_0_128_OF_14, HEAD(createdmodseq, 128, 8, NUMBER), HEAD_TIME(changes_epoch, 136),
	SPARE(140, 16), CRC(156),
};

static const struct index_field header_18[] = {
	HEADER_0_128_OF_14, HEAD(createdmodseq, 128, 8, NUMBER), HEAD_TIME(changes_epoch, 136),
	HEAD(quota_deleted_used, 140, 8, NUMBER), HEAD(quota_expunged_used, 148, 8, NUMBER),
	CRC(156),
};

/* The block behind 60 moved, and put every 64-bit field on a multiple of 8. */
static const struct index_field header_19[] = {
	HEADER_0_24, HEADER_24_60,
	HEAD(exists, 60, 4, NUMBER), HEAD(options, 64, 4, BITS),
	HEAD(leaked_cache_records, 68, 4, NUMBER),
	HEAD(highestmodseq, 72, 8, NUMBER), HEAD(deletedmodseq, 80, 8, NUMBER),
	HEAD_TIME(first_expunged, 88), HEAD_TIME(last_repack, 92),
	HEADER_96_112, HEADER_112_124, HEAD(unseen, 124, 4, NUMBER),
	HEAD(createdmodseq, 128, 8, NUMBER),
	HEAD(quota_deleted_used, 136, 8, NUMBER), HEAD(quota_expunged_used, 144, 8, NUMBER),
	HEAD_TIME(changes_epoch, 152), CRC(156),
};

static const struct index_field header_20[] = {
	HEADER_0_24,
	HEAD_TIME_NS(last_append, 24), HEAD(quota_used, 32, 8, NUMBER),
	HEAD_TIME_NS(pop3_last_login, 40),
	HEAD(deleted, 48, 4, NUMBER), HEAD(answered, 52, 4, NUMBER),
	HEAD(flagged, 56, 4, NUMBER), HEAD(exists, 60, 4, NUMBER),
	HEAD(options, 64, 4, BITS), HEAD(leaked_cache_records, 68, 4, NUMBER),
	HEAD(highestmodseq, 72, 8, NUMBER), HEAD(deletedmodseq, 80, 8, NUMBER),
	HEAD(last_uid, 88, 4, NUMBER), HEAD(uidvalidity, 92, 4, NUMBER),
	HEAD(header_file_crc, 96, 4, CRC), HEAD(sync_crc_basic, 100, 4, CRC),
	HEAD_TIME_NS(recenttime, 104), HEAD_TIME_NS(pop3_show_after, 112),
	HEAD(sync_crc_annot, 120, 4, CRC), HEAD(unseen, 124, 4, NUMBER),
	HEAD(createdmodseq, 128, 8, NUMBER),
	HEAD(quota_deleted_used, 136, 8, NUMBER), HEAD(quota_expunged_used, 144, 8, NUMBER),
	HEAD(quota_annot_used, 152, 8, NUMBER),
	HEAD_TIME_NS(changes_epoch, 160), HEAD_TIME_NS(first_expunged, 168),
	HEAD_TIME_NS(last_repack, 176), HEAD(recentuid, 184, 4, NUMBER), CRC(188),
};

/* ---- records ---- */

#define RECORD_0_20                                                                                \
	REC(uid, 0, 4, NUMBER), REC_TIME(internaldate, 4), REC_TIME(sentdate, 8),                  \
	REC(size, 12, 4, NUMBER), REC(header_size, 16, 4, NUMBER)

#define RECORD_24_52                                                                               \
	REC(cache_offset, 24, 4, NUMBER), REC_TIME(last_updated, 28), REC(flags, 32, 4, BITS),     \
	REC(user_flags, 36, 16, BITS)

/* The high half of what is called cache_version here belongs to cache_offset. */
#define RECORD_0_60_OF_9                                                                           \
	RECORD_0_20, REC(content_offset, 20, 4, NUMBER), RECORD_24_52,                             \
	REC(content_lines, 52, 4, NUMBER), REC(cache_version, 56, 4, NUMBER)

#define RECORD_0_60_OF_12                                                                          \
	RECORD_0_20, REC_TIME(gmtime, 20), RECORD_24_52,                                           \
	REC(content_lines, 52, 4, NUMBER), REC(cache_version, 56, 4, NUMBER)

#define RECORD_0_60_OF_15                                                                          \
	RECORD_0_20, REC_TIME(gmtime, 20), RECORD_24_52,                                           \
	REC_TIME(savedate, 52), REC(cache_version, 56, 4, NUMBER)

#define RECORD_60_88 REC(guid, 60, INDEX_GUID_LEN, GUID), REC(modseq, 80, 8, NUMBER)

static const struct index_field record_9[] = {
	RECORD_0_60_OF_9, NOT_KEPT("uuid", 60, 12, OPAQUE), REC(modseq, 72, 8, NUMBER),
};

static const struct index_field record_10[] = {
	RECORD_0_60_OF_9, RECORD_60_88,
};

static const struct index_field record_12[] = {
	RECORD_0_60_OF_12, RECORD_60_88, REC(cache_crc, 88, 4, CRC), CRC(92),
};

static const struct index_field record_13[] = {
	RECORD_0_60_OF_12, RECORD_60_88, REC(cid, 88, 8, BITS), REC(cache_crc, 96, 4, CRC),
	CRC(100),
};

static const struct index_field record_15[] = {
	RECORD_0_60_OF_15, RECORD_60_88, REC(cid, 88, 8, BITS), REC(cache_crc, 96, 4, CRC),
	CRC(100),
};

static const struct index_field record_16[] = {
	RECORD_0_60_OF_15, RECORD_60_88, REC(cid, 88, 8, BITS),
	REC(createdmodseq, 96, 8, NUMBER), REC(cache_crc, 104, 4, CRC), CRC(108),
};

static const struct index_field record_20[] = {
	REC(uid, 0, 4, NUMBER), REC(cache_offset, 4, 4, NUMBER),
	REC_TIME_NS(internaldate, 8), REC_TIME_NS(sentdate, 16),
	REC(size, 24, 8, NUMBER), REC(header_size, 32, 4, NUMBER),
	REC(flags, 36, 4, BITS), REC(user_flags, 40, 16, BITS),
	REC(cache_version, 56, 4, NUMBER), REC(guid, 60, INDEX_GUID_LEN, GUID),
	REC(modseq, 80, 8, NUMBER), REC(cid, 88, 8, BITS), REC(createdmodseq, 96, 8, NUMBER),
	REC_TIME_NS(gmtime, 104), REC_TIME_NS(last_updated, 112), REC_TIME_NS(savedate, 120),
	REC(basecid, 128, 8, BITS), REC(cache_crc, 136, 4, CRC), CRC(140),
};

/* ---- versions ---- */

#define READ(header_len, record_len, header, record)                                               \
	{ header_len, record_len, header, record, array_size(header), array_size(record) }

static const struct index_shape shapes[] = {
	/* Before 9: never read, but known from damage by their lengths. 11 was never released. */
	[6] = { .header_len = 76, .record_len = 60 },
	[7] = { .header_len = 76, .record_len = 72 },
	[8] = { .header_len = 92, .record_len = 80 },
	[9] = READ(96, 80, header_9, record_9),
	[10] = READ(96, 88, header_9, record_10),
	[12] = READ(128, 96, header_12, record_12),
	[13] = READ(128, 104, header_13, record_13),
	[14] = READ(160, 104, header_14, record_13),
	[15] = READ(160, 104, header_14, record_15),
	[16] = READ(160, 112, header_16, record_16),
	[17] = READ(160, 112, header_17, record_16),
	[18] = READ(160, 112, header_18, record_16),
	[19] = READ(160, 112, header_19, record_16),
	[20] = READ(192, 144, header_20, record_20),
};

/* clang-format on */

const struct index_shape *index_shape_of(uint32_t version)
{
	return version < array_size(shapes) && shapes[version].header_len ? &shapes[version] : NULL;
}

const struct index_field *index_header_fields(uint32_t version, size_t *ret_nr)
{
	const struct index_shape *shape = index_shape_of(version);

	*ret_nr = shape ? shape->nr_header : 0;
	return shape ? shape->header : NULL;
}

const struct index_field *index_record_fields(uint32_t version, size_t *ret_nr)
{
	const struct index_shape *shape = index_shape_of(version);

	*ret_nr = shape ? shape->nr_record : 0;
	return shape ? shape->record : NULL;
}

const char *index_field_name(const struct index_header *header, uint32_t byte)
{
	size_t nr;
	const struct index_field *fields = index_record_fields(header->version, &nr);

	for (size_t i = 0; i < nr; i++)
		if (byte - fields[i].off < fields[i].len)
			return fields[i].name;
	return "outside";
}

// SPDX-License-Identifier: Apache-2.0
/*
 * One table says how long headers and records of each version are; everything else follows from
 * it, because the CRC is always the last word and covers all that precedes it. The fields of a
 * header are read before its CRC is judged, so that a message can say what was found, but no
 * caller gets 0 for bytes whose CRC does not match.
 *
 * A single flipped bit anywhere in a header of a known version is -EBADMSG, in the version word
 * too: it is covered by the CRC, and one that leads to an unknown version does not fit the sizes.
 */
#include "format/cyrus/index.h"

#include <errno.h>
#include <string.h>

#include "digest/digest.h"

#define INDEX_FIXED_LEN 24 /* bytes at the front that mean the same in every version */
#define INDEX_VERSION_FIRST 12
#define INDEX_VERSION_LAST 19
#define INDEX_CRC_POLYNOMIAL 0xedb88320u /* of CRC-32, lowest bit first */
#define INDEX_V20_RECORD_LEN 144	 /* bytes */
#define INDEX_VERSION_PLAUSIBLE 64	 /* versions grow by one in two years */
#define INDEX_SIZE_PLAUSIBLE 4096	 /* bytes of a header or record to come */

struct index_shape {
	uint32_t version;
	uint32_t header_len; /* bytes */
	uint32_t record_len; /* bytes */
};

/* Versions 6 to 10 hold no CRC and are not read, only recognised. 11 was never released. */
static const struct index_shape shapes[] = {
	{ 6, 76, 60 },	  { 7, 76, 72 },
	{ 8, 92, 80 },	  { 9, 96, 80 },
	{ 10, 96, 88 },	  { 12, 128, 96 },
	{ 13, 128, 104 }, { 14, 160, 104 },
	{ 15, 160, 104 }, { 16, 160, 112 },
	{ 17, 160, 112 }, { 18, 160, 112 },
	{ 19, 160, 112 }, { 20, 192, INDEX_V20_RECORD_LEN },
};

static bool version_is_known(uint32_t version)
{
	return version >= INDEX_VERSION_FIRST && version <= INDEX_VERSION_LAST;
}

/* Big-endian words whose offset lies inside for certain; 0 where a version has no such field. */
static uint32_t word_at(struct span bytes, uint32_t off)
{
	uint32_t word = 0;

	return span_be32(bytes, off, &word) ? 0 : word;
}

static uint64_t quad_at(struct span bytes, uint32_t off)
{
	uint64_t quad = 0;

	return span_be64(bytes, off, &quad) ? 0 : quad;
}

static void header_read_fixed(struct span bytes, struct index_header *header)
{
	header->generation = word_at(bytes, 0);
	header->version = word_at(bytes, 8);
	header->start_offset = word_at(bytes, 12);
	header->record_size = word_at(bytes, 16);
	header->nr_records = word_at(bytes, 20);
}

/*
 * The fields of versions 12 to 19. Version 19 moved the block behind offset 60, which put the
 * modseqs on multiples of 8 at last. Version 12 has but one sync CRC.
 */
static void header_read_rest(struct span bytes, struct index_header *header)
{
	bool moved = header->version >= 19;

	header->last_uid = word_at(bytes, 28);
	header->quota_used = quad_at(bytes, 32);
	header->uidvalidity = word_at(bytes, 44);
	header->exists = word_at(bytes, moved ? 60 : 84);
	header->options = word_at(bytes, moved ? 64 : 60);
	header->highestmodseq = quad_at(bytes, moved ? 72 : 68);
	header->deletedmodseq = quad_at(bytes, moved ? 80 : 76);
	header->header_file_crc = word_at(bytes, 96);
	header->sync_crc_basic = word_at(bytes, 100);
	header->sync_crc_annot = header->version >= 13 ? word_at(bytes, 120) : 0;
}

/* True when the last word of `bytes` is the CRC of what precedes it. */
static bool crc_is_right(struct span bytes)
{
	return bytes.len >= 4 && crc32_of(span_of(bytes.data, bytes.len - 4)) ==
					 word_at(bytes, (uint32_t)(bytes.len - 4));
}

static const struct index_shape *shape_of_version(uint32_t version)
{
	for (size_t i = 0; i < array_size(shapes); i++)
		if (shapes[i].version == version)
			return &shapes[i];
	return NULL;
}

/*
 * A version that is not read: is this an index at all? One with sizes from the table must have
 * them exactly; a later one must be of a size that makes sense, and where the whole header is at
 * hand, end in its CRC as all have since version 12.
 */
static int header_judge_unknown(struct span bytes, const struct index_shape *shape,
				const struct index_header *header)
{
	uint32_t start = header->start_offset, size = header->record_size;

	if (shape)
		return start == shape->header_len && size == shape->record_len
			       ? INDEX_UNKNOWN_VERSION
			       : -EBADMSG;
	if (header->version <= INDEX_VERSION_LAST || header->version > INDEX_VERSION_PLAUSIBLE)
		return -EBADMSG;
	if (start < INDEX_HEADER_MAX || start > INDEX_SIZE_PLAUSIBLE || start % 4 ||
	    size < INDEX_RECORD_MAX || size > INDEX_SIZE_PLAUSIBLE || size % 4)
		return -EBADMSG;
	if (start <= bytes.len && !crc_is_right(span_of(bytes.data, start)))
		return -EBADMSG;
	return INDEX_UNKNOWN_VERSION;
}

int index_parse_header(struct span bytes, struct index_header *ret_header)
{
	struct index_header header = { 0 };

	*ret_header = header;
	if (bytes.len < INDEX_FIXED_LEN)
		return -ERANGE;
	header_read_fixed(bytes, &header);
	*ret_header = header;
	const struct index_shape *shape = shape_of_version(header.version);
	if (!shape || !version_is_known(header.version))
		return header_judge_unknown(bytes, shape, &header);

	if (header.start_offset != shape->header_len)
		return -EBADMSG;
	if (bytes.len < shape->header_len)
		return -ERANGE;
	bytes = span_of(bytes.data, shape->header_len);
	header_read_rest(bytes, &header);
	*ret_header = header;
	if (!crc_is_right(bytes))
		return -EBADMSG;
	/* Development versions wrote the records of version 20 behind a header of version 19. */
	if (header.version == 19 && header.record_size == INDEX_V20_RECORD_LEN)
		return INDEX_UNKNOWN_VERSION;
	return header.record_size == shape->record_len ? 0 : -EBADMSG;
}

/* Record lengths come from a header that was judged; this guards against one that was not. */
static bool record_is_whole(const struct index_header *header, struct span bytes)
{
	const struct index_shape *shape = shape_of_version(header->version);

	return shape && version_is_known(header->version) && bytes.len == header->record_size &&
	       bytes.len == shape->record_len;
}

int index_parse_record(const struct index_header *header, struct span bytes,
		       struct index_record *ret_record)
{
	struct index_record record = { 0 };
	struct span guid;

	*ret_record = record;
	if (!record_is_whole(header, bytes) || span_sub(bytes, 60, INDEX_GUID_LEN, &guid))
		return -ERANGE;
	record.uid = word_at(bytes, 0);
	record.internaldate = word_at(bytes, 4);
	record.size = word_at(bytes, 12);
	record.flags = word_at(bytes, 32);
	memcpy(record.guid, guid.data, INDEX_GUID_LEN);
	record.modseq = quad_at(bytes, 80);
	*ret_record = record;
	return crc_is_right(bytes) ? 0 : -EBADMSG;
}

/*
 * CRC-32 is linear: what a flipped bit adds to it depends on nothing but how far from the end it
 * stands. That is the register of the polynomial, shifted once for each bit behind it; so one walk
 * through the record's length compares all positions with the difference that was found.
 */
bool index_find_flipped_bit(const struct index_header *header, struct span bytes,
			    uint32_t *ret_byte, uint32_t *ret_bit)
{
	if (!record_is_whole(header, bytes))
		return false;
	uint32_t body_len = (uint32_t)bytes.len - 4;
	uint32_t wrong = crc32_of(span_of(bytes.data, body_len)) ^ word_at(bytes, body_len);
	uint32_t added = 1;

	/* The stored CRC itself is big-endian: its bit n stands in byte 3 - n / 8. */
	for (uint32_t n = 0; n < 32; n++) {
		if (wrong == UINT32_C(1) << n) {
			*ret_byte = body_len + 3 - n / 8;
			*ret_bit = n % 8;
			return true;
		}
	}
	for (uint32_t n = 0; n < body_len * 8; n++) {
		added = added >> 1 ^ (added & 1 ? INDEX_CRC_POLYNOMIAL : 0);
		if (added == wrong) {
			*ret_byte = body_len - 1 - n / 8;
			*ret_bit = 7 - n % 8;
			return true;
		}
	}
	return false;
}

const char *index_field_name(const struct index_header *header, uint32_t byte)
{
	static const struct {
		uint32_t end; /* first byte behind the field */
		const char *name;
	} fields[] = {
		{ 4, "uid" },		{ 8, "internaldate" },	{ 12, "sentdate" },
		{ 16, "size" },		{ 20, "header_size" },	{ 24, "gmtime" },
		{ 28, "cache_offset" }, { 32, "last_updated" }, { 36, "flags" },
		{ 52, "user_flags" },	{ 56, "savedate" },	{ 60, "cache_version" },
		{ 80, "guid" },		{ 88, "modseq" },
	};
	uint32_t size = header->record_size;

	if (byte >= size)
		return "outside";
	if (byte >= 52 && byte < 56 && header->version < 15)
		return "content_lines";
	for (size_t i = 0; i < array_size(fields); i++)
		if (byte < fields[i].end)
			return fields[i].name;
	/* What follows the modseq grew with the versions; the two CRCs always come last. */
	if (byte >= size - 4)
		return "crc";
	if (byte >= size - 8)
		return "cache_crc";
	return byte < 96 ? "cid" : "createdmodseq";
}

// SPDX-License-Identifier: Apache-2.0
/*
 * One table says how long headers and records of each version are and which fields they have
 * (index_fields.c); everything else follows from it. A CRC is always the last word and covers all
 * that precedes it. The fields of a header are read before its CRC is judged, so that a message can
 * say what was found, but no caller gets 0 for bytes whose CRC does not match.
 *
 * A single flipped bit anywhere in a header with a CRC is -EBADMSG, in the version word too: it is
 * covered by the CRC, and one that leads to a version without a CRC, or to one that is not known,
 * does not fit the lengths. Versions 9 and 10 have nothing but their lengths to be known by; what
 * else stands in them is believed, because Cyrus believes it, and counters that contradict each
 * other are not for the parser to refuse.
 */
#include "format/cyrus/index.h"

#include <errno.h>
#include <string.h>

#include "digest/digest.h"
#include "format/cyrus/index_fields.h"

#define INDEX_FIXED_LEN 24 /* bytes at the front that mean the same in every version */
#define INDEX_CRC_POLYNOMIAL 0xedb88320u /* of CRC-32, lowest bit first */
#define INDEX_V20_RECORD_LEN 144	 /* bytes */
#define NS_PER_SECOND UINT64_C(1000000000)

/*
 * Of versions to come: they grow by one in two years, and their headers and records never shrank.
 */
#define LATER_VERSION_FIRST 21
#define LATER_VERSION_MAX 64
#define LATER_HEADER_MIN 160 /* bytes */
#define LATER_RECORD_MIN 112 /* bytes */
#define LATER_LEN_MAX 4096   /* bytes of either */

/* Big-endian words whose offset lies inside for certain; 0 where it does not. */
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

/* Numbers grow into their member; bits of several words are an array of them; the GUID is bytes. */
static void field_read(struct span bytes, const struct index_field *field, uint8_t *member)
{
	struct span guid;

	if (field->kind == INDEX_FIELD_GUID) {
		if (span_sub(bytes, field->off, field->len, &guid) == 0)
			memcpy(member, guid.data, field->member_len);
		return;
	}
	for (uint32_t i = 0; field->len > 8 && i < field->len; i += 4) {
		uint32_t word = word_at(bytes, field->off + i);
		memcpy(member + i, &word, sizeof(word));
	}
	if (field->len > 8)
		return;
	uint64_t value = field->len == 8 ? quad_at(bytes, field->off) : word_at(bytes, field->off);
	uint32_t small = (uint32_t)value;
	if (field->kind == INDEX_FIELD_TIME)
		value *= NS_PER_SECOND;
	if (field->member_len == sizeof(value))
		memcpy(member, &value, sizeof(value));
	else
		memcpy(member, &small, sizeof(small));
}

static void fields_read(struct span bytes, const struct index_field *fields, size_t nr, void *into)
{
	for (size_t i = 0; i < nr; i++)
		if (fields[i].member_len)
			field_read(bytes, &fields[i], (uint8_t *)into + fields[i].member);
}

/* The fields that every version has. */
static void header_read_fixed(struct span bytes, struct index_header *header)
{
	header->generation = word_at(bytes, 0);
	header->format = word_at(bytes, 4);
	header->version = word_at(bytes, 8);
	header->start_offset = word_at(bytes, 12);
	header->record_size = word_at(bytes, 16);
	header->nr_records = word_at(bytes, 20);
}

/* True when the last word of `bytes` is the CRC of what precedes it. */
static bool crc_is_right(struct span bytes)
{
	return bytes.len >= 4 && crc32_of(span_of(bytes.data, bytes.len - 4)) ==
					 word_at(bytes, (uint32_t)(bytes.len - 4));
}

/*
 * A version that is not read: is this an index at all? One with lengths from the table must have
 * them exactly; a later one must be of lengths that make sense, and where the whole header is at
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
	if (header->version < LATER_VERSION_FIRST || header->version > LATER_VERSION_MAX)
		return -EBADMSG;
	if (start < LATER_HEADER_MIN || start > LATER_LEN_MAX || start % 4 ||
	    size < LATER_RECORD_MIN || size > LATER_LEN_MAX || size % 4)
		return -EBADMSG;
	if (start <= bytes.len && !crc_is_right(span_of(bytes.data, start)))
		return -EBADMSG;
	return INDEX_UNKNOWN_VERSION;
}

/* Nothing but its lengths proves such a header, so both must be right before anything else. */
static int header_judge_without_crc(const struct index_shape *shape,
				    const struct index_header *header)
{
	if (header->record_size != shape->record_len)
		return -EBADMSG;
	return header->format == 0 ? 0 : INDEX_UNKNOWN_VERSION;
}

static int header_judge(struct span bytes, const struct index_shape *shape,
			const struct index_header *header)
{
	if (!index_has_crcs(header))
		return header_judge_without_crc(shape, header);
	if (!crc_is_right(bytes))
		return -EBADMSG;
	/* Written by development versions: is a record then of version 19, or of 20? */
	if (header->version == 19 && header->record_size == INDEX_V20_RECORD_LEN)
		return INDEX_UNKNOWN_VERSION;
	return header->record_size == shape->record_len ? 0 : -EBADMSG;
}

int index_parse_header(struct span bytes, struct index_header *ret_header)
{
	struct index_header header = { 0 };

	*ret_header = header;
	if (bytes.len < INDEX_FIXED_LEN)
		return -ERANGE;
	header_read_fixed(bytes, &header);
	*ret_header = header;
	const struct index_shape *shape = index_shape_of(header.version);
	if (!shape || !shape->header)
		return header_judge_unknown(bytes, shape, &header);

	if (header.start_offset != shape->header_len)
		return -EBADMSG;
	if (bytes.len < shape->header_len)
		return -ERANGE;
	bytes = span_of(bytes.data, shape->header_len);
	fields_read(bytes, shape->header, shape->nr_header, &header);
	if (header.version < 12)
		header.exists = header.nr_records;
	*ret_header = header;
	return header_judge(bytes, shape, &header);
}

/* Record lengths come from a header that was judged; this guards against one that was not. */
static const struct index_shape *shape_of_record(const struct index_header *header,
						 struct span bytes)
{
	const struct index_shape *shape = index_shape_of(header->version);

	return shape && shape->record && bytes.len == header->record_size &&
			       bytes.len == shape->record_len
		       ? shape
		       : NULL;
}

int index_parse_record(const struct index_header *header, struct span bytes,
		       struct index_record *ret_record)
{
	const struct index_shape *shape = shape_of_record(header, bytes);
	struct index_record *record = ret_record;

	memset(record, 0, sizeof(*record));
	if (!shape)
		return -ERANGE;
	fields_read(bytes, shape->record, shape->nr_record, record);
	/* Since 3.2 offsets have 48 bits; their high part took the upper half of the version. */
	record->cache_offset |= (uint64_t)(record->cache_version >> 16) << 32;
	record->cache_version &= 0xffff;
	return !index_has_crcs(header) || crc_is_right(bytes) ? 0 : -EBADMSG;
}

/*
 * CRC-32 is linear: what a flipped bit adds to it depends on nothing but how far from the end it
 * stands. That is the register of the polynomial, shifted once for each bit behind it; so one walk
 * through the record's length compares all positions with the difference that was found.
 */
bool index_find_flipped_bit(const struct index_header *header, struct span bytes,
			    uint32_t *ret_byte, uint32_t *ret_bit)
{
	if (!shape_of_record(header, bytes) || !index_has_crcs(header))
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

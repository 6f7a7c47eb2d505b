// SPDX-License-Identifier: Apache-2.0
/*
 * Fuzzes cyrus.index: a header, then records. Whatever the bytes are, the parser answers with one
 * of its results; a record whose CRC is made right is accepted, and one bit flipped in it is found
 * where it was flipped.
 */
#include <errno.h>
#include <stdlib.h>

#include "digest/digest.h"
#include "format/cyrus/index.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok)
{
	if (!ok)
		abort();
}

static void fix_crc(uint8_t *bytes, size_t len)
{
	uint32_t crc = crc32_of(span_of(bytes, len - 4));

	for (int i = 0; i < 4; i++)
		bytes[len - 4 + (size_t)i] = (uint8_t)(crc >> (24 - 8 * i));
}

static void check_record(const struct index_header *header, const uint8_t *data, unsigned choice)
{
	uint8_t bytes[INDEX_RECORD_MAX];
	size_t len = header->record_size;
	struct index_record record;
	uint32_t byte, bit;

	require(len <= sizeof(bytes));
	memcpy(bytes, data, len);
	struct span span = span_of(bytes, len);
	int r = index_parse_record(header, span, &record);
	require(r == 0 || r == -EBADMSG);
	bool found = index_find_flipped_bit(header, span, &byte, &bit);
	require(r != 0 || !found);
	if (found) {
		require(byte < len && bit < 8);
		bytes[byte] ^= (uint8_t)(1u << bit);
		require(index_parse_record(header, span, &record) == 0);
	}

	fix_crc(bytes, len);
	require(index_parse_record(header, span, &record) == 0);
	require(!index_find_flipped_bit(header, span, &byte, &bit));
	choice %= (unsigned)len * 8;
	bytes[choice / 8] ^= (uint8_t)(1u << choice % 8);
	require(index_parse_record(header, span, &record) == -EBADMSG);
	require(index_find_flipped_bit(header, span, &byte, &bit));
	require(byte == choice / 8 && bit == choice % 8);
	require(strcmp(index_field_name(header, byte), "outside") != 0);
	require(index_parse_record(header, span_of(bytes, len - 1), &record) == -ERANGE);
}

/* Parses a header and what follows it; 0 is only right when its CRC is. */
static void check_file(const uint8_t *data, size_t size)
{
	struct index_header header;
	int r = index_parse_header(span_of(data, size), &header);

	require(r == 0 || r == INDEX_UNKNOWN_VERSION || r == -EBADMSG || r == -ERANGE);
	for (uint32_t byte = 0; byte < 200; byte++)
		require(index_field_name(&header, byte) != NULL);
	if (r)
		return;
	require(header.version >= 12 && header.version <= 19);
	require(header.start_offset <= size && header.start_offset <= INDEX_HEADER_MAX);
	size_t off = header.start_offset;
	for (unsigned i = 0; i < 4 && size - off >= header.record_size; i++) {
		check_record(&header, data + off, (unsigned)off * 7 + data[off]);
		off += header.record_size;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t header_len[] = { 128, 128, 160, 160, 160, 160, 160, 160 };
	static const uint8_t record_len[] = { 96, 104, 104, 104, 112, 112, 112, 112 };
	uint8_t copy[4096];

	check_file(data, size);

	/* The same with a version, sizes and a CRC that get past the header. */
	if (size < INDEX_HEADER_MAX || size > sizeof(copy))
		return 0;
	memcpy(copy, data, size);
	unsigned i = copy[11] % 8u;
	memset(copy + 8, 0, 12);
	copy[11] = (uint8_t)(12 + i);
	copy[15] = header_len[i];
	copy[19] = record_len[i];
	fix_crc(copy, header_len[i]);
	struct index_header header;
	require(index_parse_header(span_of(copy, size), &header) == 0);
	check_file(copy, size);
	/* A flipped bit never passes. */
	unsigned bit = (copy[0] * 256u + copy[1]) % (header_len[i] * 8u);
	copy[bit / 8] ^= (uint8_t)(1u << bit % 8);
	require(index_parse_header(span_of(copy, size), &header) == -EBADMSG);
	return 0;
}

// SPDX-License-Identifier: Apache-2.0
/*
 * Fuzzes cyrus.index: a header, then records, and their sums. Whatever the bytes are, the parser
 * answers with one of its results; a record whose CRC is made right is accepted, and one bit
 * flipped in it is found where it was flipped. Sums do not depend on the order of records, and a
 * field that the version has not is 0.
 */
#include <errno.h>
#include <stdlib.h>

#include "digest/digest.h"
#include "format/cyrus/index.h"
#include "format/cyrus/index_sums.h"

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

/* What no field of this version is kept in stays 0; those of all versions are in 9, 14 and 20. */
static void check_members(uint32_t version, const struct index_record *record)
{
	static const uint32_t all[] = { 9, 14, 20 };
	size_t nr, nr_all;
	const struct index_field *fields = index_record_fields(version, &nr);

	for (size_t v = 0; v < array_size(all); v++) {
		const struct index_field *f = index_record_fields(all[v], &nr_all);
		for (size_t i = 0; i < nr_all; i++) {
			bool kept = f[i].member_len == 0;
			for (size_t j = 0; j < nr; j++)
				kept = kept ||
				       (fields[j].member_len && fields[j].member == f[i].member);
			const uint8_t *member = (const uint8_t *)record + f[i].member;
			for (size_t j = 0; !kept && j < f[i].member_len; j++)
				require(member[j] == 0);
		}
	}
}

/* A record with a CRC: made right it is accepted, one bit off it is not. */
static void check_crc(const struct index_header *header, uint8_t *bytes, unsigned choice)
{
	size_t len = header->record_size;
	struct span span = span_of(bytes, len);
	struct index_record record;
	uint32_t byte, bit;

	fix_crc(bytes, len);
	require(index_parse_record(header, span, &record) == 0);
	require(!index_find_flipped_bit(header, span, &byte, &bit));
	choice %= (unsigned)len * 8;
	bytes[choice / 8] ^= (uint8_t)(1u << choice % 8);
	require(index_parse_record(header, span, &record) == -EBADMSG);
	require(index_find_flipped_bit(header, span, &byte, &bit));
	require(byte == choice / 8 && bit == choice % 8);
	require(strcmp(index_field_name(header, byte), "outside") != 0);
}

static struct index_record check_record(const struct index_header *header, const uint8_t *data,
					unsigned choice)
{
	uint8_t bytes[INDEX_RECORD_MAX];
	size_t len = header->record_size;
	struct index_record record, other;
	uint32_t byte, bit;

	require(len <= sizeof(bytes));
	memcpy(bytes, data, len);
	struct span span = span_of(bytes, len);
	int r = index_parse_record(header, span, &record);
	require(r == 0 || (r == -EBADMSG && index_has_crcs(header)));
	check_members(header->version, &record);
	bool found = index_find_flipped_bit(header, span, &byte, &bit);
	require(r != 0 || !found);
	if (found) {
		require(byte < len && bit < 8);
		bytes[byte] ^= (uint8_t)(1u << bit);
		require(index_parse_record(header, span, &other) == 0);
	}
	if (index_has_crcs(header))
		check_crc(header, bytes, choice);
	require(index_parse_record(header, span_of(bytes, len - 1), &other) == -ERANGE);
	return record;
}

/* Names of flags out of the bytes themselves. */
static void name_flags(struct mailbox_header *flags, const uint8_t *data, size_t size)
{
	*flags = MAILBOX_HEADER_NULL;
	for (size_t off = 0; off + 8 < size && flags->nr_flags < MAILBOX_HEADER_FLAGS; off += 8) {
		flags->flag_off[flags->nr_flags++] = (uint32_t)flags->flags.len;
		buf_add(&flags->flags, data + off, data[off] % 8u);
		buf_add(&flags->flags, "", 1);
	}
	require(buf_error(&flags->flags) == 0);
}

/* The records one way round and the other come to the same. */
static void check_sums(const struct index_header *header, const struct index_record *records,
		       unsigned nr, const struct mailbox_header *flags)
{
	struct index_header stored = *header;
	struct index_sums a, b;

	index_sums_init(&a, header->version, flags);
	index_sums_init(&b, header->version, flags);
	for (unsigned i = 0; i < nr; i++) {
		index_sums_add(&a, &records[i]);
		index_sums_add(&b, &records[nr - 1 - i]);
	}
	require(memcmp(&a, &b, sizeof(a)) == 0);
	require(a.nr_records <= nr && a.nr_records == a.exists + a.expunged);
	require(a.unseen <= a.exists && a.deleted <= a.exists && a.unlinked <= a.exists);
	require(a.quota_deleted_used <= a.quota_used || header->version == 20);
	stored.sync_crc_basic = a.sync_crc_basic;
	stored.sync_crc_annot = a.sync_crc_annot ^ INDEX_SYNC_ANNOT_SEED ^ a.other_thread_ids;
	require(index_sums_basic_agrees(&a, &stored) && index_sums_annot_agrees(&a, &stored));
	/* What was added twice is gone. */
	for (unsigned i = 0; i < nr; i++)
		index_sums_add(&a, &records[i]);
	index_sums_init(&b, header->version, NULL);
	require(a.sync_crc_basic == 0 && a.other_thread_ids == 0);
	require(a.sync_crc_annot == b.sync_crc_annot);
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
	require(header.version >= 9 && header.version <= 20 && header.version != 11);
	require(header.start_offset <= size && header.start_offset <= INDEX_HEADER_MAX);
	struct index_record records[4];
	struct mailbox_header flags;
	size_t off = header.start_offset;
	unsigned nr = 0;
	for (; nr < array_size(records) && size - off >= header.record_size; nr++) {
		records[nr] = check_record(&header, data + off, (unsigned)off * 7 + data[off]);
		off += header.record_size;
	}
	name_flags(&flags, data, size);
	check_sums(&header, records, nr, &flags);
	buf_fini(&flags.flags);
}

/* The shapes of the versions that are read. */
static const struct {
	uint8_t version, header_len, record_len;
} shapes[] = {
	{ 9, 96, 80 },	  { 10, 96, 88 },   { 12, 128, 96 },  { 13, 128, 104 },
	{ 14, 160, 104 }, { 15, 160, 104 }, { 16, 160, 112 }, { 17, 160, 112 },
	{ 18, 160, 112 }, { 19, 160, 112 }, { 20, 192, 144 },
};

/* The tables of whatever version the bytes name: none, or whole. */
static void check_tables(uint32_t version)
{
	size_t nr_header, nr_record;
	const struct index_field *header = index_header_fields(version, &nr_header);
	const struct index_field *record = index_record_fields(version, &nr_record);

	require(!header == !nr_header && !record == !nr_record && !header == !record);
	for (size_t i = 1; i < nr_header; i++)
		require(header[i].off == header[i - 1].off + header[i - 1].len);
	for (size_t i = 1; i < nr_record; i++)
		require(record[i].off == record[i - 1].off + record[i - 1].len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t copy[4096];

	check_file(data, size);
	check_tables(size > 11 ? data[11] : (uint32_t)size);

	/* The same with a version, lengths and a CRC that get past the header. */
	if (size < INDEX_HEADER_MAX || size > sizeof(copy))
		return 0;
	memcpy(copy, data, size);
	unsigned i = copy[11] % (unsigned)array_size(shapes);
	memset(copy + 4, 0, 16);
	copy[11] = shapes[i].version;
	copy[15] = shapes[i].header_len;
	copy[19] = shapes[i].record_len;
	bool has_crc = shapes[i].version >= 12;
	if (has_crc)
		fix_crc(copy, shapes[i].header_len);
	struct index_header header;
	require(index_parse_header(span_of(copy, size), &header) == 0);
	check_file(copy, size);
	/* A flipped bit never passes where there is a CRC, nor does one in the shape. */
	unsigned bit = (copy[0] * 256u + copy[1]) % (shapes[i].header_len * 8u);
	if (!has_crc)
		bit = 64 + bit % 96;
	copy[bit / 8] ^= (uint8_t)(1u << bit % 8);
	require(index_parse_header(span_of(copy, size), &header) == -EBADMSG);
	return 0;
}

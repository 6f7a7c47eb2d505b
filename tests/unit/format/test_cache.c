// SPDX-License-Identifier: Apache-2.0
/*
 * cyrus.cache: a real record is taken apart as its index says, one that is cut names what it
 * needs, and no length leads outside the bytes that there are.
 */
#include "suites.h"

#include <CUnit/CUnit.h>
#include <errno.h>
#include <stdlib.h>

#include "digest/digest.h"
#include "format/cyrus/cache.h"
#include "real_cache.h"

/* The bytes from where the real record begins to the end of its file. */
static struct span real_record(void)
{
	return span_of(real_cache + REAL_CACHE_OFFSET, sizeof(real_cache) - REAL_CACHE_OFFSET);
}

static void put_word(uint8_t *at, uint32_t word)
{
	for (int i = 3; i >= 0; i--, word >>= 8)
		at[i] = (uint8_t)word;
}

static void reads_the_generation(void)
{
	uint32_t generation = 7;

	CU_ASSERT_EQUAL(
		cache_parse_generation(span_of(real_cache, sizeof(real_cache)), &generation), 0);
	CU_ASSERT_EQUAL(generation, REAL_CACHE_GENERATION);
	CU_ASSERT_EQUAL(cache_parse_generation(span_of("\1\2\3\4", 4), &generation), 0);
	CU_ASSERT_EQUAL(generation, 0x01020304);
	for (uint64_t len = 0; len < 4; len++)
		CU_ASSERT_EQUAL(cache_parse_generation(span_of("\1\2\3\4", len), &generation),
				-ERANGE);
}

static void names_ten_items(void)
{
	CU_ASSERT_STRING_EQUAL(cache_item_name(0), "envelope");
	CU_ASSERT_STRING_EQUAL(cache_item_name(4), "headers");
	CU_ASSERT_STRING_EQUAL(cache_item_name(9), "subject");
	CU_ASSERT_PTR_NULL(cache_item_name(CACHE_ITEMS));
	CU_ASSERT_PTR_NULL(cache_item_name(UINT32_MAX));
}

static void reads_a_real_record(void)
{
	static const struct {
		uint64_t len;
		const char *begins;
	} items[CACHE_ITEMS] = {
		{ 0x123, "(\"Fri, 06 Nov 2026" },
		{ 0x4e, "(\"TEXT\" \"PLAIN\"" },
		{ 0x3e, "(\"TEXT\" \"PLAIN\"" },
		{ 0x74, "" },
		{ 0x3f, "X-Mailer: labtool\r\n" },
		{ 0x23, "Ines Silva <" },
		{ 0x12, "<u003@example.net>" },
		{ 0, "" },
		{ 0, "" },
		{ 0x18, "\"Always end call follow\"" },
	};
	struct cache_record record;

	CU_ASSERT_EQUAL_FATAL(cache_parse_record(real_record(), &record), 0);
	CU_ASSERT_EQUAL(record.len, real_record().len);
	CU_ASSERT_EQUAL(crc32_of(span_of(real_record().data, record.len)), REAL_CACHE_CRC);
	for (unsigned i = 0; i < CACHE_ITEMS; i++) {
		CU_ASSERT_EQUAL(record.items[i].len, items[i].len);
		CU_ASSERT(span_starts_with(record.items[i], items[i].begins));
	}
}

static void reads_no_further_than_the_tenth_item(void)
{
	uint8_t bytes[sizeof(real_cache) + 9];
	struct cache_record record;

	memset(bytes, 0xff, sizeof(bytes));
	memcpy(bytes, real_cache, sizeof(real_cache));
	CU_ASSERT_EQUAL(cache_parse_record(span_of(bytes + 4, sizeof(bytes) - 4), &record), 0);
	CU_ASSERT_EQUAL(record.len, real_record().len);
}

static void takes_items_of_every_length_and_padding(void)
{
	for (uint32_t len = 0; len < 9; len++) {
		uint8_t bytes[12 + 36] = { 0 };
		uint64_t padded = (len + 3) / 4 * 4;
		struct cache_record record;
		put_word(bytes, len);
		CU_ASSERT_EQUAL(cache_parse_record(span_of(bytes, 40 + padded), &record), 0);
		CU_ASSERT_EQUAL(record.len, 40 + padded);
		CU_ASSERT_EQUAL(record.items[0].len, len);
		CU_ASSERT_EQUAL(record.items[9].len, 0);
		/* Padding belongs to the record: without it, it is cut. */
		CU_ASSERT_EQUAL(cache_parse_record(span_of(bytes, 39 + padded), &record), -ERANGE);
		CU_ASSERT_EQUAL(record.len, 40 + padded);
	}
}

/* Each cut is memory of its own. A cut record asks for more than there is, never for too much. */
static void refuses_every_cut_and_says_what_it_needs(void)
{
	uint64_t whole = real_record().len;

	for (uint64_t len = 0; len < whole; len++) {
		uint8_t *copy = malloc(len ? len : 1);
		struct cache_record record;
		CU_ASSERT_PTR_NOT_NULL_FATAL(copy);
		memcpy(copy, real_record().data, len);
		CU_ASSERT_EQUAL(cache_parse_record(span_of(copy, len), &record), -ERANGE);
		CU_ASSERT(record.len > len && record.len <= whole);
		CU_ASSERT_EQUAL(record.items[0].len, 0);
		free(copy);
	}
}

static void a_record_is_had_by_asking_for_what_it_needs(void)
{
	struct cache_record record = { .len = 0 };
	unsigned nr = 0;
	int r;

	do
		r = cache_parse_record(span_of(real_record().data, record.len), &record);
	while (r == -ERANGE && ++nr <= CACHE_ITEMS + 1);
	CU_ASSERT_EQUAL(r, 0);
	CU_ASSERT_EQUAL(record.len, real_record().len);
}

static void each_damaged_length_moves_what_follows_or_is_refused(void)
{
	struct cache_record good;
	uint8_t bytes[sizeof(real_cache)];

	CU_ASSERT_EQUAL_FATAL(cache_parse_record(real_record(), &good), 0);
	for (unsigned i = 0; i < CACHE_ITEMS; i++) {
		struct cache_record record;
		uint64_t off = (uint64_t)(good.items[i].data - real_cache);
		memcpy(bytes, real_cache, sizeof(bytes));
		/* Longer than the file. */
		bytes[off - 4] ^= 0x01;
		CU_ASSERT_EQUAL(cache_parse_record(span_of(bytes + 4, sizeof(bytes) - 4), &record),
				-ERANGE);
		CU_ASSERT(record.len > (1u << 24));
		/* Longer than any record. */
		bytes[off - 4] ^= 0x80;
		CU_ASSERT_EQUAL(cache_parse_record(span_of(bytes + 4, sizeof(bytes) - 4), &record),
				-EBADMSG);
		CU_ASSERT_EQUAL(record.len, 0);
		/* By one byte: the CRC of the record tells. */
		memcpy(bytes, real_cache, sizeof(bytes));
		bytes[off - 1] ^= 0x01;
		int r = cache_parse_record(span_of(bytes + 4, sizeof(bytes) - 4), &record);
		CU_ASSERT(r == -ERANGE || r == -EBADMSG ||
			  crc32_of(span_of(bytes + 4, record.len)) != REAL_CACHE_CRC);
	}
}

static void believes_64_mib_and_no_more(void)
{
	static const uint32_t room = CACHE_RECORD_MAX - 40;
	uint8_t bytes[40] = { 0 };
	struct cache_record record;

	put_word(bytes, room);
	CU_ASSERT_EQUAL(cache_parse_record(span_of(bytes, sizeof(bytes)), &record), -ERANGE);
	CU_ASSERT_EQUAL(record.len, CACHE_RECORD_MAX);
	put_word(bytes, room + 1);
	CU_ASSERT_EQUAL(cache_parse_record(span_of(bytes, sizeof(bytes)), &record), -EBADMSG);
	put_word(bytes, UINT32_MAX);
	CU_ASSERT_EQUAL(cache_parse_record(span_of(bytes, sizeof(bytes)), &record), -EBADMSG);
	/* Lengths that are each believable, and not together. */
	uint8_t *all = calloc(1, CACHE_RECORD_MAX);
	CU_ASSERT_PTR_NOT_NULL_FATAL(all);
	put_word(all, room / 2);
	put_word(all + 4 + room / 2, room / 2 + 4);
	CU_ASSERT_EQUAL(cache_parse_record(span_of(all, CACHE_RECORD_MAX), &record), -EBADMSG);
	put_word(all + 4 + room / 2, room / 2);
	CU_ASSERT_EQUAL(cache_parse_record(span_of(all, CACHE_RECORD_MAX), &record), 0);
	free(all);
}

static void knows_how_long_the_header_of_the_message_is(void)
{
	static const uint8_t section[16] = { 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 2, 6, 0, 0, 2, 6 };
	struct cache_record record = { 0 };
	uint32_t size = 0;

	record.items[CACHE_SECTION] = span_of(section, sizeof(section));
	CU_ASSERT_EQUAL(cache_parse_header_size(&record, &size), 0);
	CU_ASSERT_EQUAL(size, 0x206);
	for (uint64_t len = 0; len < 12; len++) {
		record.items[CACHE_SECTION] = span_of(section, len);
		CU_ASSERT_EQUAL(cache_parse_header_size(&record, &size), -ERANGE);
	}
	/* No parts; a message that does not begin where it begins. */
	static const uint8_t none[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9 };
	static const uint8_t elsewhere[12] = { 0, 0, 0, 1, 0, 0, 0, 4, 0, 0, 0, 9 };
	record.items[CACHE_SECTION] = span_of(none, sizeof(none));
	CU_ASSERT_EQUAL(cache_parse_header_size(&record, &size), -ERANGE);
	record.items[CACHE_SECTION] = span_of(elsewhere, sizeof(elsewhere));
	CU_ASSERT_EQUAL(cache_parse_header_size(&record, &size), -ERANGE);
}

static const struct test_case cases[] = {
	CASE(knows_how_long_the_header_of_the_message_is),
	CASE(reads_the_generation),
	CASE(names_ten_items),
	CASE(reads_a_real_record),
	CASE(reads_no_further_than_the_tenth_item),
	CASE(takes_items_of_every_length_and_padding),
	CASE(refuses_every_cut_and_says_what_it_needs),
	CASE(a_record_is_had_by_asking_for_what_it_needs),
	CASE(each_damaged_length_moves_what_follows_or_is_refused),
	CASE(believes_64_mib_and_no_more),
};

const struct test_suite suite_format_cache = { "format/cache", cases, array_size(cases) };

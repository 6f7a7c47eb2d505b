// SPDX-License-Identifier: Apache-2.0
/*
 * index: how many records of cyrus.index one core can take in.
 *
 *	index [RECORDS]
 *
 * Lays that many records of version 17 (1,000,000), each with its own content and a right CRC, in
 * memory, and goes over them five times: their CRCs alone, then parsed with index_parse_record,
 * then summed with index_sums_add as well. Each line on stdout is NAME=RECORDS-A-SECOND, the median
 * of its rounds. Exit status 0; 1 when a record was refused or the sums do not come out; 3 for
 * wrong usage.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/span.h"
#include "digest/digest.h"
#include "format/cyrus/index.h"
#include "format/cyrus/index_sums.h"
#include "support/mkstore_parts.h"

#define RECORDS UINT64_C(1000000)
#define RECORD_LEN 112u
#define ROUNDS 5

static const struct index_header header = {
	.version = 17,
	.start_offset = 160,
	.record_size = RECORD_LEN,
};

enum { CRC_ALONE, PARSE, PARSE_AND_SUM, NR_WAYS };

static const char *const names[NR_WAYS] = { "crc", "parse", "sums" };

static void put_word(uint8_t *to, uint32_t word)
{
	for (int i = 3; i >= 0; i--, word >>= 8)
		to[i] = (uint8_t)word;
}

static void lay_record(uint8_t *record, uint32_t uid, uint64_t *random)
{
	for (uint32_t off = 0; off < RECORD_LEN; off += 4)
		put_word(record + off, (uint32_t)mk_random(random));
	put_word(record, uid);
	put_word(record + 32, uid % 32); /* flags: none is expunged */
	memset(record + 36, 0, 16);
	put_word(record + 80, 0); /* modseqs as long as those of real mailboxes */
	put_word(record + 96, 0);
	put_word(record + RECORD_LEN - 4, crc32_of(span_of(record, RECORD_LEN - 4)));
}

/* One pass; false when a record is refused, or one is not summed. */
static bool go_over(int way, const uint8_t *records, uint64_t nr)
{
	struct index_record record;
	struct index_sums sums;
	uint32_t all = 0, stored;
	uint64_t refused = 0;

	index_sums_init(&sums, header.version, NULL);
	for (uint64_t i = 0; i < nr; i++) {
		struct span bytes = span_of(records + i * RECORD_LEN, RECORD_LEN);
		if (way == CRC_ALONE) {
			if (span_be32(bytes, RECORD_LEN - 4, &stored) ||
			    crc32_of(span_of(bytes.data, RECORD_LEN - 4)) != stored)
				refused++;
			continue;
		}
		if (index_parse_record(&header, bytes, &record))
			refused++;
		all += record.uid;
		if (way == PARSE_AND_SUM)
			index_sums_add(&sums, &record);
	}
	return refused == 0 && (way == CRC_ALONE || all == (uint32_t)(nr * (nr + 1) / 2)) &&
	       (way != PARSE_AND_SUM || sums.exists == nr);
}

static int compare_doubles(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static int run(uint64_t nr)
{
	double speeds[NR_WAYS][ROUNDS];
	uint8_t *records = malloc(nr * RECORD_LEN);
	uint64_t random = 1;
	bool right = records != NULL;

	for (uint64_t i = 0; right && i < nr; i++)
		lay_record(records + i * RECORD_LEN, (uint32_t)i + 1, &random);
	for (int round = 0; right && round < ROUNDS; round++) {
		for (int way = 0; way < NR_WAYS; way++) {
			int64_t began_ns = clock_mono_ns();
			right = go_over(way, records, nr) && right;
			speeds[way][round] =
				(double)nr * 1e9 / (double)(clock_mono_ns() - began_ns);
		}
	}
	for (int way = 0; right && way < NR_WAYS; way++) {
		qsort(speeds[way], ROUNDS, sizeof(double), compare_doubles);
		printf("%s=%.0f\n", names[way], speeds[way][ROUNDS / 2]);
	}
	free(records);
	return right ? 0 : 1;
}

int main(int argc, char **argv)
{
	uint64_t nr = RECORDS;

	if (argc > 2 ||
	    (argc == 2 && (span_parse_u64(span_of_str(argv[1]), 100000000, &nr) || nr == 0))) {
		(void)fputs("usage: index [RECORDS]\n", stderr);
		return 3;
	}
	return run(nr);
}

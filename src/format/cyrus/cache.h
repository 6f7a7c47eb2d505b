/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cyrus.cache: what Cyrus has parsed out of messages, so that it need not open them: a generation
 * number (which the index shares), then records of ten items, each a length and its bytes, padded
 * to a multiple of 4. Where a record begins, and its CRC-32, stand in the index. All versions
 * since 2.4 are alike in this. Source: real files of 3.6.1.
 */
#ifndef FORMAT_CYRUS_CACHE_H
#define FORMAT_CYRUS_CACHE_H

#include <stdint.h>

#include "base/compiler.h"
#include "base/span.h"

#define CACHE_FIRST_OFF 4 /* bytes: records begin behind the generation */
#define CACHE_ITEMS 10
#define CACHE_SECTION 3 /* of these: where the parts of the message lie */
#define CACHE_RECORD_MAX (UINT64_C(64) << 20) /* bytes of a record that is believed */

struct cache_record {
	uint64_t len;			/* bytes, with lengths and padding: what the CRC covers */
	struct span items[CACHE_ITEMS]; /* borrowed */
};

/* "envelope", "bodystructure"...; NULL outside. */
const char *cache_item_name(unsigned item);

/* The generation number at the beginning of a file. -ERANGE: shorter than that. */
int cache_parse_generation(struct span bytes, uint32_t *ret_generation) must_check;

/*
 * The record at the beginning of `bytes`. -ERANGE: `bytes` end before it does (ret_record->len is
 * then how many are needed at least: never more than CACHE_RECORD_MAX, and at most eleven such
 * calls lead to the record); -EBADMSG: longer than CACHE_RECORD_MAX. Items are empty unless the
 * result is 0. Whether it is the record that was written, only the CRC in the index tells.
 */
int cache_parse_record(struct span bytes, struct cache_record *ret_record) must_check;

/*
 * The size of the header of the message, in bytes, as its SECTION item has it: the number of parts, then
 * of the whole message the offset and size of its header... -ERANGE: the item holds no such numbers, as where the
 * message could not be parsed.
 */
int cache_parse_header_size(const struct cache_record *record, uint32_t *ret_size) must_check;

#endif

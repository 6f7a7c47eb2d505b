// SPDX-License-Identifier: Apache-2.0
/*
 * Lengths are added up in 64 bits and held against the bound before the span, so that a record
 * that is merely cut can be told from one that cannot be.
 */
#include "format/cyrus/cache.h"

#include <errno.h>

#define WORD_LEN 4 /* bytes: the length of an item, and what its content is padded to */

const char *cache_item_name(unsigned item)
{
	static const char *const names[CACHE_ITEMS] = {
		"envelope", "bodystructure", "body",	"section", "headers", "from", "to",
		"cc",	    "bcc",	     "subject",
	};

	return item < CACHE_ITEMS ? names[item] : NULL;
}

int cache_parse_generation(struct span bytes, uint32_t *ret_generation)
{
	return span_be32(bytes, 0, ret_generation);
}

int cache_parse_record(struct span bytes, struct cache_record *ret_record)
{
	uint64_t off = 0;

	*ret_record = (struct cache_record){ 0 };
	for (unsigned i = 0; i < CACHE_ITEMS; i++) {
		uint64_t lengths_left = WORD_LEN * (CACHE_ITEMS - i);
		uint64_t padded;
		uint32_t len;

		if (span_be32(bytes, off, &len)) {
			*ret_record = (struct cache_record){ .len = off + lengths_left };
			return -ERANGE;
		}
		padded = ((uint64_t)len + WORD_LEN - 1) / WORD_LEN * WORD_LEN;
		if (off + lengths_left + padded > CACHE_RECORD_MAX) {
			*ret_record = (struct cache_record){ 0 };
			return -EBADMSG;
		}
		if (padded > bytes.len - off - WORD_LEN) {
			*ret_record = (struct cache_record){ .len = off + lengths_left + padded };
			return -ERANGE;
		}
		ret_record->items[i] = span_of(bytes.data + off + WORD_LEN, len);
		off += WORD_LEN + padded;
	}
	ret_record->len = off;
	return 0;
}

int cache_parse_header_size(const struct cache_record *record, uint32_t *ret_size)
{
	struct span section = record->items[CACHE_SECTION];
	uint32_t parts, off;

	if (span_be32(section, 0, &parts) || parts == 0 || span_be32(section, 4, &off) || off != 0)
		return -ERANGE;
	return span_be32(section, 8, ret_size);
}

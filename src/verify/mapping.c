/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs that continue each other are one, however many extents they are told in.
 */
#include "verify/mapping.h"

#include <linux/fiemap.h>

#include "digest/digest.h"
#include "io/dev.h"

void mapping_begin(struct mapping *mapping, uint64_t size)
{
	*mapping = (struct mapping){ .size = size };
}

static void fold(struct mapping *mapping)
{
	uint64_t fields[] = { mapping->hash, mapping->logical, mapping->physical, mapping->len,
			      mapping->unwritten };

	if (mapping->len)
		mapping->hash = xxh3_of(span_of(fields, sizeof(fields)));
	mapping->len = 0;
}

void mapping_add(struct mapping *mapping, uint64_t logical, uint64_t physical, uint64_t len,
		 bool unwritten)
{
	if (logical >= mapping->size)
		return;
	len = min_of(len, mapping->size - logical);
	if (mapping->len && mapping->unwritten == unwritten &&
	    mapping->logical + mapping->len == logical &&
	    mapping->physical + mapping->len == physical) {
		mapping->len += len;
		return;
	}
	fold(mapping);
	mapping->logical = logical;
	mapping->physical = physical;
	mapping->len = len;
	mapping->unwritten = unwritten;
}

uint32_t mapping_end(struct mapping *mapping)
{
	fold(mapping);
	return (uint32_t)mapping->hash | 1;
}

static int on_extent(uint64_t logical, uint64_t physical, uint64_t len, uint32_t flags, void *ctx)
{
	/* One whose place is not known yet is at no place that was seen before. */
	if (flags & (FIEMAP_EXTENT_UNKNOWN | FIEMAP_EXTENT_ENCODED | FIEMAP_EXTENT_DATA_INLINE))
		physical = UINT64_MAX;
	mapping_add(ctx, logical, physical, len, flags & FIEMAP_EXTENT_UNWRITTEN);
	return 0;
}

uint32_t mapping_of_file(int fd, uint64_t size)
{
	struct mapping mapping;

	mapping_begin(&mapping, size);
	return dev_map_file(fd, on_extent, &mapping) ? 0 : mapping_end(&mapping);
}

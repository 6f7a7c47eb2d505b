/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A map from byte strings to one 64-bit number each; a set where the numbers are ignored. Keys are
 * copied in and may hold any bytes. Not thread-safe.
 */
#ifndef BASE_MAP_H
#define BASE_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/span.h"

struct map_entry;

struct map {
	struct map_entry **buckets; /* chains; NULL until the first map_put */
	size_t nr_buckets;	    /* a power of two */
	size_t count;		    /* keys held */
};

#define MAP_NULL ((struct map){ NULL, 0, 0 })

/* Frees everything. May be called twice, and on MAP_NULL. */
void map_fini(struct map *m);

/*
 * Sets `key` to `value`. 0 when the key is new, MAP_REPLACED when it was there (its value is
 * replaced), -ENOMEM.
 */
enum { MAP_REPLACED = 1 };
int map_put(struct map *m, struct span key, uint64_t value) must_check;

/* Finds `key`; *ret_value may be NULL. */
bool map_get(const struct map *m, struct span key, uint64_t *ret_value);

/* Removes `key`; false when it was not there. */
bool map_remove(struct map *m, struct span key);

/*
 * Walks all keys in no particular order: start with a zeroed cursor, stop at false. The key is borrowed
 * until the next change; the map may not change during a walk.
 */
struct map_cursor {
	size_t bucket;
	const struct map_entry *entry;
};
bool map_next(const struct map *m, struct map_cursor *cursor, struct span *ret_key,
	      uint64_t *ret_value);

#endif

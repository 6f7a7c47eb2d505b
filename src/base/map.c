/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Chained hashing. XXH3 is seeded per process, so that names chosen by an attacker do not collide
 * on purpose.
 */
#include "base/map.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>
#include <xxhash.h>

struct map_entry {
	struct map_entry *next;
	uint64_t hash;
	uint64_t value;
	uint64_t len;
	uint8_t key[];
};

static uint64_t map_seed;

__attribute__((constructor)) static void map_seed_init(void)
{
	if (getrandom(&map_seed, sizeof(map_seed), GRND_NONBLOCK) != (ssize_t)sizeof(map_seed))
		map_seed = 0x9e3779b97f4a7c15u;
}

static uint64_t map_hash(struct span key)
{
	return XXH3_64bits_withSeed(key.len ? key.data : (const uint8_t *)"", key.len, map_seed);
}

void map_fini(struct map *m)
{
	for (size_t i = 0; i < m->nr_buckets; i++) {
		while (m->buckets[i]) {
			struct map_entry *entry = m->buckets[i];
			m->buckets[i] = entry->next;
			free(entry);
		}
	}
	free(m->buckets);
	*m = MAP_NULL;
}

static int map_grow(struct map *m)
{
	size_t nr = m->nr_buckets ? m->nr_buckets * 2 : 64;
	struct map_entry **buckets = calloc(nr, sizeof(struct map_entry *));

	if (!buckets)
		return -ENOMEM;
	for (size_t i = 0; i < m->nr_buckets; i++) {
		while (m->buckets[i]) {
			struct map_entry *entry = m->buckets[i];
			m->buckets[i] = entry->next;
			entry->next = buckets[entry->hash & (nr - 1)];
			buckets[entry->hash & (nr - 1)] = entry;
		}
	}
	free(m->buckets);
	m->buckets = buckets;
	m->nr_buckets = nr;
	return 0;
}

/* The link that points at the entry of `key`, or at the NULL where it would hang. */
static struct map_entry **map_link(const struct map *m, struct span key, uint64_t hash)
{
	struct map_entry **link = &m->buckets[hash & (m->nr_buckets - 1)];

	while (*link && !((*link)->hash == hash &&
			  span_equals(span_of((*link)->key, (*link)->len), key)))
		link = &(*link)->next;
	return link;
}

int map_put(struct map *m, struct span key, uint64_t value)
{
	if (m->count >= m->nr_buckets && map_grow(m))
		return -ENOMEM;
	uint64_t hash = map_hash(key);
	struct map_entry **link = map_link(m, key, hash);
	if (*link) {
		(*link)->value = value;
		return MAP_REPLACED;
	}
	struct map_entry *entry = malloc(sizeof(*entry) + key.len);
	if (!entry)
		return -ENOMEM;
	entry->next = NULL;
	entry->hash = hash;
	entry->value = value;
	entry->len = key.len;
	if (key.len)
		memcpy(entry->key, key.data, key.len);
	*link = entry;
	m->count++;
	return 0;
}

bool map_get(const struct map *m, struct span key, uint64_t *ret_value)
{
	if (m->count == 0)
		return false;
	struct map_entry *entry = *map_link(m, key, map_hash(key));
	if (entry && ret_value)
		*ret_value = entry->value;
	return entry != NULL;
}

bool map_remove(struct map *m, struct span key)
{
	if (m->count == 0)
		return false;
	struct map_entry **link = map_link(m, key, map_hash(key));
	struct map_entry *entry = *link;
	if (!entry)
		return false;
	*link = entry->next;
	free(entry);
	m->count--;
	return true;
}

bool map_next(const struct map *m, struct map_cursor *cursor, struct span *ret_key,
	      uint64_t *ret_value)
{
	const struct map_entry *entry = cursor->entry ? cursor->entry->next : NULL;

	while (!entry && cursor->bucket < m->nr_buckets)
		entry = m->buckets[cursor->bucket++];
	cursor->entry = entry;
	if (!entry)
		return false;
	*ret_key = span_of(entry->key, entry->len);
	if (ret_value)
		*ret_value = entry->value;
	return true;
}

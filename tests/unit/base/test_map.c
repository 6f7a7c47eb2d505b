// SPDX-License-Identifier: Apache-2.0
/*
 * Maps: every key that was put and not removed is found with its last value, and no other; through
 * growth, removals and keys of any bytes.
 */
#include "suites.h"

#include <CUnit/CUnit.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/map.h"

enum { MANY = 10000 };

/* Key number i, in the caller's buffer. */
static struct span key_of(unsigned i, char *buf, size_t size)
{
	return span_of(buf, (uint64_t)snprintf(buf, size, "user.u%05u.Sent", i));
}

static void fill(struct map *m, unsigned count)
{
	char buf[64];
	size_t wrong = 0;

	for (unsigned i = 0; i < count; i++)
		wrong += map_put(m, key_of(i, buf, sizeof(buf)), i * 3u) != 0;
	CU_ASSERT_EQUAL(wrong, 0);
	CU_ASSERT_EQUAL(m->count, count);
}

static void is_empty_before_the_first_put(void)
{
	struct map m = MAP_NULL;
	struct map_cursor cursor = { 0 };
	struct span key;
	uint64_t value;

	CU_ASSERT_FALSE(map_get(&m, span_of_str("x"), &value));
	CU_ASSERT_FALSE(map_remove(&m, span_of_str("x")));
	CU_ASSERT_FALSE(map_next(&m, &cursor, &key, &value));
	map_fini(&m);
	map_fini(&m);
}

static void finds_every_one_of_ten_thousand_keys(void)
{
	struct map m = MAP_NULL;
	char buf[64];
	size_t wrong = 0;

	fill(&m, MANY);
	for (unsigned i = 0; i < MANY; i++) {
		uint64_t value = UINT64_MAX;
		wrong += !map_get(&m, key_of(i, buf, sizeof(buf)), &value) || value != i * 3u;
	}
	for (unsigned i = MANY; i < 2 * MANY; i++)
		wrong += map_get(&m, key_of(i, buf, sizeof(buf)), NULL);
	CU_ASSERT_EQUAL(wrong, 0);
	map_fini(&m);
}

static void keeps_the_others_when_keys_are_removed(void)
{
	struct map m = MAP_NULL;
	char buf[64];
	size_t wrong = 0;

	fill(&m, MANY);
	for (unsigned i = 0; i < MANY; i += 2) {
		wrong += !map_remove(&m, key_of(i, buf, sizeof(buf)));
		wrong += map_remove(&m, key_of(i, buf, sizeof(buf)));
	}
	CU_ASSERT_EQUAL(m.count, MANY / 2);
	for (unsigned i = 0; i < MANY; i++)
		wrong += map_get(&m, key_of(i, buf, sizeof(buf)), NULL) != (i % 2 == 1);
	CU_ASSERT_EQUAL(wrong, 0);
	for (unsigned i = 1; i < MANY; i += 2)
		wrong += !map_remove(&m, key_of(i, buf, sizeof(buf)));
	CU_ASSERT_EQUAL(wrong, 0);
	CU_ASSERT_EQUAL(m.count, 0);
	fill(&m, 100);
	map_fini(&m);
}

static void replaces_a_value_and_says_so(void)
{
	struct map m = MAP_NULL;
	uint64_t value;

	CU_ASSERT_EQUAL(map_put(&m, span_of_str("k"), 1), 0);
	CU_ASSERT_EQUAL(map_put(&m, span_of_str("k"), UINT64_MAX), MAP_REPLACED);
	CU_ASSERT_EQUAL(m.count, 1);
	CU_ASSERT_TRUE(map_get(&m, span_of_str("k"), &value));
	CU_ASSERT_EQUAL(value, UINT64_MAX);
	CU_ASSERT_TRUE(map_remove(&m, span_of_str("k")));
	CU_ASSERT_EQUAL(map_put(&m, span_of_str("k"), 2), 0);
	map_fini(&m);
}

static void copies_its_keys(void)
{
	struct map m = MAP_NULL;
	char key[] = "abc";

	CU_ASSERT_EQUAL(map_put(&m, span_of_str(key), 1), 0);
	key[0] = 'z';
	CU_ASSERT_TRUE(map_get(&m, span_of_str("abc"), NULL));
	CU_ASSERT_FALSE(map_get(&m, span_of_str("zbc"), NULL));
	map_fini(&m);
}

static void tells_keys_of_any_bytes_apart(void)
{
	static const struct {
		const char *bytes;
		uint64_t len;
	} keys[] = {
		{ NULL, 0 },  { "\0", 1 },   { "\0\0", 2 },	{ "a", 1 },
		{ "a\0", 2 }, { "a\0b", 3 }, { "\xff\xfe", 2 }, { "A", 1 },
	};
	struct map m = MAP_NULL;

	for (size_t i = 0; i < array_size(keys); i++)
		CU_ASSERT_EQUAL(map_put(&m, span_of(keys[i].bytes, keys[i].len), i), 0);
	for (size_t i = 0; i < array_size(keys); i++) {
		uint64_t value = UINT64_MAX;
		CU_ASSERT_TRUE(map_get(&m, span_of(keys[i].bytes, keys[i].len), &value));
		CU_ASSERT_EQUAL(value, i);
	}
	CU_ASSERT_TRUE(map_remove(&m, SPAN_NULL));
	CU_ASSERT_FALSE(map_get(&m, span_of("", 0), NULL));
	CU_ASSERT_EQUAL(m.count, array_size(keys) - 1);
	map_fini(&m);
}

static void walks_every_key_once(void)
{
	static uint8_t seen[MANY];
	struct map m = MAP_NULL;
	struct map_cursor cursor = { 0 };
	struct span key;
	uint64_t value;
	size_t steps = 0, wrong = 0;
	char buf[64];

	fill(&m, MANY);
	while (map_next(&m, &cursor, &key, &value) && steps <= MANY) {
		unsigned i = (unsigned)(value / 3);
		wrong += i >= MANY || !span_equals(key, key_of(i, buf, sizeof(buf)));
		wrong += i < MANY && seen[i]++;
		steps++;
	}
	CU_ASSERT_EQUAL(steps, MANY);
	CU_ASSERT_EQUAL(wrong, 0);
	CU_ASSERT_FALSE(map_next(&m, &cursor, &key, NULL));
	map_fini(&m);
}

static const struct test_case cases[] = {
	{ "is_empty_before_the_first_put", is_empty_before_the_first_put },
	{ "finds_every_one_of_ten_thousand_keys", finds_every_one_of_ten_thousand_keys },
	{ "keeps_the_others_when_keys_are_removed", keeps_the_others_when_keys_are_removed },
	{ "replaces_a_value_and_says_so", replaces_a_value_and_says_so },
	{ "copies_its_keys", copies_its_keys },
	{ "tells_keys_of_any_bytes_apart", tells_keys_of_any_bytes_apart },
	{ "walks_every_key_once", walks_every_key_once },
};

const struct test_suite suite_base_map = { "base/map", cases, array_size(cases) };

// SPDX-License-Identifier: Apache-2.0
/*
 * Plan: where the reads lie, what they hold, and that a device read by them gives back the bytes of
 * each message, in order, once. First by cases, then at random on a device of random bytes.
 */
#include "suites.h"

#include <CUnit/CUnit.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "support/mkstore_parts.h"
#include "verify/plan.h"

enum { ALIGN = 512, READ_MAX = 64 * 1024, GAP_MAX = 4096, MAX = 1000 };

#define SIZE (UINT64_C(16) << 20)
#define RUNS(...) ((const struct plan_run[]){ __VA_ARGS__ })

static struct plan *plan;
static struct plan_read now; /* the read that was planned last */

static void begin_with(const struct plan_geometry *geometry, uint32_t max)
{
	CU_ASSERT_EQUAL_FATAL(plan_new(geometry, max, &plan), 0);
}

static void begin_at(uint64_t origin)
{
	struct plan_geometry geometry = { SIZE, origin, ALIGN, READ_MAX, GAP_MAX };

	begin_with(&geometry, MAX);
}

static void begin(void)
{
	begin_at(0);
}

static void end(void)
{
	plan_free(plan);
	plan = NULL;
}

/* A message in these runs; its result is that of plan_place. */
static int add_runs(uint32_t size, const struct plan_run *runs, size_t nr)
{
	struct plan_object *object = plan_add(plan);

	CU_ASSERT_PTR_NOT_NULL_FATAL(object);
	object->size = size;
	int r = plan_place(plan, object, runs, nr);
	CU_ASSERT_EQUAL(object->planned, r == 0);
	return r;
}

static void add(uint64_t at, uint32_t size)
{
	CU_ASSERT_EQUAL(add_runs(size, RUNS({ .at = at, .len = size }), 1), 0);
}

static void sort(void)
{
	CU_ASSERT_EQUAL(plan_sort_by_place(plan), 0);
}

/* The next read is this one, with as many pieces. */
static void check_read(uint64_t off, uint32_t len, uint32_t nr_pieces)
{
	CU_ASSERT_TRUE_FATAL(plan_next(plan, &now));
	CU_ASSERT_EQUAL(now.off, off);
	CU_ASSERT_EQUAL(now.len, len);
	CU_ASSERT_EQUAL(now.nr_pieces, nr_pieces);
}

static void check_piece(uint32_t i, uint32_t object, uint32_t at, uint32_t len, uint32_t zeros,
			bool first, bool last)
{
	const struct plan_piece *piece = &now.pieces[i];

	CU_ASSERT_TRUE_FATAL(i < now.nr_pieces);
	CU_ASSERT_EQUAL(piece->object, object);
	CU_ASSERT_EQUAL(piece->at, at);
	CU_ASSERT_EQUAL(piece->len, len);
	CU_ASSERT_EQUAL(piece->zeros, zeros);
	CU_ASSERT_EQUAL(piece->first, first);
	CU_ASSERT_EQUAL(piece->last, last);
}

static void check_whole(uint32_t i, uint32_t object, uint32_t at, uint32_t len)
{
	check_piece(i, object, at, len, 0, true, true);
}

static void check_end(void)
{
	CU_ASSERT_FALSE(plan_next(plan, &now));
	CU_ASSERT_FALSE(plan_next(plan, &now));
	end();
}

/* ---- room and order ---- */

static void an_empty_plan_has_no_reads(void)
{
	uint64_t messages, bytes;

	begin();
	sort();
	CU_ASSERT_EQUAL(plan_count(plan), 0);
	CU_ASSERT_PTR_NULL(plan_object_on_the_way(plan, 0, 8));
	plan_get_totals(plan, &messages, &bytes);
	CU_ASSERT_EQUAL(messages + bytes, 0);
	check_end();
	plan_free(NULL);
}

static void has_room_for_so_many_and_is_emptied(void)
{
	struct plan_geometry geometry = { SIZE, 0, ALIGN, READ_MAX, GAP_MAX };

	begin_with(&geometry, 3);
	for (unsigned round = 0; round < 2; round++) {
		for (unsigned i = 0; i < 3; i++) {
			add(i * 1024, 100);
			CU_ASSERT_PTR_EQUAL(plan_object_at(plan, i)->mailbox, NULL);
		}
		CU_ASSERT_PTR_NULL(plan_add(plan));
		CU_ASSERT_EQUAL(plan_count(plan), 3);
		sort();
		check_read(0, 2560, 3);
		plan_clear(plan);
		CU_ASSERT_EQUAL(plan_count(plan), 0);
		CU_ASSERT_FALSE(plan_next(plan, &now));
	}
	sort();
	check_end();
}

static void reads_in_the_order_of_the_disk(void)
{
	begin();
	add(SIZE - 512, 512);
	add(0, 10);
	add(1 << 20, 700);
	sort();
	check_read(0, 512, 1);
	check_whole(0, 1, 0, 10);
	check_read(1 << 20, 1024, 1);
	check_whole(0, 2, 0, 700);
	check_read(SIZE - 512, 512, 1);
	check_whole(0, 0, 0, 512);
	check_end();
}

static void begins_at_its_origin_and_wraps_around(void)
{
	const uint64_t origin = (8 << 20) + 100;

	begin_at(origin);
	add(0, 10);
	add(origin, 10);
	add(origin - 1, 10); /* the last of the circle */
	add(SIZE - 512, 512);
	sort();
	CU_ASSERT_EQUAL(plan_distance(plan, origin), 0);
	CU_ASSERT_EQUAL(plan_distance(plan, origin - 1), SIZE - 1);
	CU_ASSERT_EQUAL(plan_distance(plan, 0), SIZE - origin);
	check_read(8 << 20, 512, 1);
	check_whole(0, 1, 100, 10);
	check_read(SIZE - 512, 512, 1);
	check_read(0, 512, 1); /* never merged around the end */
	check_whole(0, 0, 0, 10);
	check_read(8 << 20, 512, 1);
	check_whole(0, 2, 99, 10);
	check_end();
}

static void sorts_by_inode_and_keeps_what_belongs_together(void)
{
	static const uint32_t inos[] = { 50, 12, UINT32_MAX, 12, 13 };
	const uint32_t *sorted, *objects;

	begin();
	for (unsigned i = 0; i < 5; i++)
		plan_add(plan)->ino = inos[i];
	CU_ASSERT_EQUAL(plan_sort_by_inode(plan, &sorted, &objects), 0);
	for (unsigned i = 0; i < 5; i++) {
		CU_ASSERT_TRUE(i == 0 || sorted[i - 1] <= sorted[i]);
		CU_ASSERT_EQUAL(plan_object_at(plan, objects[i])->ino, sorted[i]);
	}
	CU_ASSERT_EQUAL(objects[0], 1);
	CU_ASSERT_EQUAL(objects[1], 3);
	sort(); /* none has been placed */
	check_end();
}

static void finds_messages_along_the_way(void)
{
	begin_at(8 << 20);
	for (unsigned i = 0; i < 8; i++)
		add((uint64_t)i << 21, 10);
	sort();
	CU_ASSERT_EQUAL(plan_object_on_the_way(plan, 0, 4)->at, UINT64_C(4) << 21);
	CU_ASSERT_EQUAL(plan_object_on_the_way(plan, 1, 4)->at, UINT64_C(6) << 21);
	CU_ASSERT_EQUAL(plan_object_on_the_way(plan, 2, 4)->at, 0);
	CU_ASSERT_EQUAL(plan_object_on_the_way(plan, 3, 4)->at, UINT64_C(2) << 21);
	end();
}

/* ---- merging and cutting ---- */

static void reads_across_a_small_gap_and_not_across_a_large_one(void)
{
	begin();
	add(0, 1000);
	add(1000 + GAP_MAX, 1000);
	add(2000 + 2 * GAP_MAX + 1, 1000);
	sort();
	check_read(0, 6144, 2);
	check_whole(0, 0, 0, 1000);
	check_whole(1, 1, 1000 + GAP_MAX, 1000);
	check_read(9728, 1536, 1);
	check_whole(0, 2, 10193 - 9728, 1000);
	check_end();
}

static void aligns_its_reads(void)
{
	begin();
	add(511, 2); /* on both sides of a border */
	add(SIZE - 1, 1);
	sort();
	check_read(0, 1024, 1);
	check_whole(0, 0, 511, 2);
	check_read(SIZE - 512, 512, 1);
	check_whole(0, 1, 511, 1);
	check_end();
}

static void never_reads_more_than_it_may_at_once(void)
{
	begin();
	for (unsigned i = 0; i < 100; i++)
		add(i * 3000, 3000);
	sort();
	uint64_t nr = 0, reads = 0;
	while (plan_next(plan, &now)) {
		CU_ASSERT_TRUE(now.len <= READ_MAX);
		reads++;
		nr += now.nr_pieces;
		for (uint32_t i = 0; i < now.nr_pieces; i++) /* small ones are not divided */
			CU_ASSERT_TRUE(now.pieces[i].first && now.pieces[i].last);
	}
	CU_ASSERT_EQUAL(nr, 100);
	CU_ASSERT_EQUAL(reads, 5);
	check_end();
}

static void cuts_what_is_longer_than_a_read(void)
{
	begin();
	add(100, 2 * READ_MAX);
	sort();
	check_read(0, READ_MAX, 1);
	check_piece(0, 0, 100, READ_MAX - 100, 0, true, false);
	check_read(READ_MAX, READ_MAX, 1);
	check_piece(0, 0, 0, READ_MAX, 0, false, false);
	check_read(2 * READ_MAX, 512, 1);
	check_piece(0, 0, 0, 100, 0, false, true);
	check_end();
}

static void a_long_message_begins_in_the_read_of_its_neighbour(void)
{
	begin();
	add(0, 1000);
	add(1000, 3 * READ_MAX);
	add(1000 + 3 * READ_MAX, 24);
	sort();
	check_read(0, READ_MAX, 2);
	check_piece(1, 1, 1000, READ_MAX - 1000, 0, true, false);
	check_read(READ_MAX, READ_MAX, 1);
	check_read(2 * READ_MAX, READ_MAX, 1);
	check_read(3 * READ_MAX, 1024, 2);
	check_piece(0, 1, 0, 1000, 0, false, true);
	check_whole(1, 2, 1000, 24);
	check_end();
}

static void holds_no_more_pieces_than_there_is_room_for(void)
{
	struct plan_geometry geometry = { SIZE, 0, ALIGN, 512 * 1024, GAP_MAX };
	uint32_t next = 0;

	begin_with(&geometry, 2 * PLAN_PIECES_MAX);
	for (unsigned i = 0; i < 2 * PLAN_PIECES_MAX; i++)
		add(i * 10, 10);
	sort();
	while (plan_next(plan, &now)) {
		CU_ASSERT_TRUE(now.nr_pieces <= PLAN_PIECES_MAX);
		CU_ASSERT_TRUE(now.nr_pieces >= PLAN_PIECES_MAX - 1 || next > PLAN_PIECES_MAX);
		for (uint32_t i = 0; i < now.nr_pieces; i++)
			CU_ASSERT_EQUAL(now.pieces[i].object, next++);
	}
	CU_ASSERT_EQUAL(next, 2 * PLAN_PIECES_MAX);
	check_end();
}

static void one_place_may_hold_many_messages(void)
{
	begin();
	add(1000, 500);
	add(1000, 500);
	add(1000, 300); /* the same file, of another size by its record */
	add(1200, 400);
	*plan_add(plan) = *plan_object_at(plan, 0); /* a twin */
	sort();
	check_read(512, 1536, 5);
	check_whole(0, 0, 488, 500);
	check_whole(1, 1, 488, 500);
	check_whole(2, 2, 488, 300);
	check_whole(3, 4, 488, 500);
	check_whole(4, 3, 688, 400);
	check_end();
}

/* ---- several runs ---- */

static void reads_runs_in_the_order_of_the_message(void)
{
	begin();
	CU_ASSERT_EQUAL(add_runs(10000,
				 RUNS({ .logical = 0, .at = 1 << 20, .len = 4096 },
				      { .logical = 4096, .at = 0, .len = 4096 },
				      { .logical = 8192, .at = 2 << 20, .len = 4096 }),
				 3),
			0);
	add((1 << 20) + 4096, 100); /* behind the first run, and still not between them */
	sort();
	check_read(1 << 20, 4096, 1);
	check_piece(0, 0, 0, 4096, 0, true, false);
	check_read(0, 4096, 1);
	check_piece(0, 0, 0, 4096, 0, false, false);
	check_read(2 << 20, 2048, 1);
	check_piece(0, 0, 0, 1808, 0, false, true);
	check_read((1 << 20) + 4096, 512, 1);
	check_whole(0, 1, 0, 100);
	check_end();
}

static void runs_that_lie_together_share_a_read(void)
{
	begin();
	CU_ASSERT_EQUAL(add_runs(3000,
				 RUNS({ .logical = 0, .at = 1000, .len = 1000 },
				      { .logical = 1000, .at = 2500, .len = 2000 }),
				 2),
			0);
	sort();
	check_read(512, 4096, 2);
	check_piece(0, 0, 488, 1000, 0, true, false);
	check_piece(1, 0, 1988, 2000, 0, false, true);
	check_end();
}

static void a_hole_is_zeros(void)
{
	begin();
	/* In front, in the middle, at the end; alone and all three. */
	CU_ASSERT_EQUAL(add_runs(2000, RUNS({ .logical = 1000, .at = 0, .len = 1000 }), 1), 0);
	CU_ASSERT_EQUAL(add_runs(3000,
				 RUNS({ .logical = 0, .at = 1024, .len = 1000 },
				      { .logical = 2000, .at = 2048, .len = 1000 }),
				 2),
			0);
	CU_ASSERT_EQUAL(add_runs(2000, RUNS({ .logical = 0, .at = 4096, .len = 999 }), 1), 0);
	CU_ASSERT_EQUAL(add_runs(100,
				 RUNS({ .logical = 10, .at = 5120, .len = 20 },
				      { .logical = 50, .at = 5140, .len = 30 }),
				 2),
			0);
	sort();
	check_read(0, 5632, 8);
	check_piece(0, 0, 0, 1000, 1000, true, true);
	check_piece(1, 1, 1024, 1000, 0, true, false);
	check_piece(2, 1, 2048, 1000, 1000, false, true);
	check_piece(3, 2, 4096, 999, 0, true, false);
	check_piece(4, 2, 0, 0, 1001, false, true);
	check_piece(5, 3, 5120, 20, 10, true, false);
	check_piece(6, 3, 5140, 30, 20, false, false);
	check_piece(7, 3, 0, 0, 20, false, true);
	check_end();
}

static void runs_are_cut_at_the_size_of_the_message(void)
{
	begin();
	CU_ASSERT_EQUAL(add_runs(1000,
				 RUNS({ .logical = 0, .at = 0, .len = 600 },
				      { .logical = 600, .at = 2048, .len = 4096 },
				      { .logical = 8192, .at = 2 * SIZE, .len = 4096 }),
				 3),
			0);
	sort();
	check_read(0, 2560, 2);
	check_piece(1, 0, 2048, 400, 0, false, true);
	check_end();
}

static void refuses_runs_that_cannot_be(void)
{
	static const struct {
		int result;
		uint32_t size;
		struct plan_run runs[2];
		size_t nr;
	} hostile[] = {
		{ -ENODATA, 100, { { .len = 0 } }, 0 },
		{ -ENODATA, 0, { { .len = 4096 } }, 1 },
		{ -ENODATA, 100, { { .len = 0 } }, 1 },
		{ -ENODATA, 100, { { .logical = 100, .len = 4096 } }, 1 },
		{ -ERANGE, 100, { { .at = SIZE, .len = 100 } }, 1 },
		{ -ERANGE, 100, { { .at = SIZE - 99, .len = 4096 } }, 1 },
		{ -ERANGE, 100, { { .at = UINT64_MAX, .len = 100 } }, 1 },
		{ -ERANGE, 100, { { .at = UINT64_MAX - 50, .len = UINT32_MAX } }, 1 },
		{ -ERANGE, 100, { { .logical = 1, .at = UINT64_MAX - 50, .len = 99 } }, 1 },
		{ -ERANGE, 100, { { .len = 60 }, { .logical = 59, .len = 41 } }, 2 },
		{ -ERANGE, 100, { { .len = 60 }, { .logical = 0, .len = 60 } }, 2 },
		{ -ERANGE, 100, { { .logical = 50, .len = 10 }, { .logical = 0, .len = 10 } }, 2 },
		{ -ERANGE,
		  100,
		  { { .logical = UINT64_MAX, .len = 10 }, { .logical = 50, .len = 50 } },
		  2 },
		{ -ERANGE,
		  100,
		  { { .len = 10 }, { .logical = 10, .at = SIZE - 89, .len = 90 } },
		  2 },
	};
	uint64_t messages, bytes;

	begin();
	for (size_t i = 0; i < array_size(hostile); i++)
		CU_ASSERT_EQUAL(add_runs(hostile[i].size, hostile[i].runs, hostile[i].nr),
				hostile[i].result);
	plan_get_totals(plan, &messages, &bytes);
	CU_ASSERT_EQUAL(messages + bytes, 0);
	sort();
	check_end();
}

static void a_run_without_length_is_none(void)
{
	begin();
	CU_ASSERT_EQUAL(add_runs(100,
				 RUNS({ .logical = 0, .at = 3 * SIZE },
				      { .logical = 0, .at = 0, .len = 100 }),
				 2),
			0);
	sort();
	check_read(0, 512, 1);
	check_whole(0, 0, 0, 100);
	check_end();
}

static void runs_without_end_are_refused(void)
{
	enum { NR = 100 * 1000 };
	struct plan_run *runs = calloc(NR, sizeof(*runs));
	unsigned placed = 0;

	CU_ASSERT_PTR_NOT_NULL_FATAL(runs);
	for (uint32_t i = 0; i < NR; i++)
		runs[i] = (struct plan_run){ .logical = 2 * i, .at = i, .len = 1 };
	begin();
	/* One file of very many runs, listed again and again. */
	while (placed < MAX && add_runs(2 * NR, runs, NR) == 0)
		placed++;
	CU_ASSERT_TRUE(placed > 1 && placed < 20);
	add(0, 10); /* takes no runs */
	sort();
	end();
	free(runs);
}

static void counts_what_is_planned(void)
{
	uint64_t messages, bytes;

	begin();
	add(0, 1000);
	add(0, 5000);
	CU_ASSERT_EQUAL(add_runs(100, NULL, 0), -ENODATA);
	plan_get_totals(plan, &messages, &bytes);
	CU_ASSERT_EQUAL(messages, 2);
	CU_ASSERT_EQUAL(bytes, 6000);
	end();
}

/* ---- at random ---- */

enum { DEVICE = 1 << 20, OBJECTS = 200, RUNS_MAX = 12 };

static uint8_t device[DEVICE];

/* A message and its bytes, as they should come. */
struct expected {
	uint8_t *bytes;
	uint32_t size;
	bool planned;
	unsigned begun, ended;
};

static uint64_t below(uint64_t *random, uint64_t limit)
{
	return mk_random(random) % limit;
}

/* Random runs with holes between them, and the message that they are. */
static void add_at_random(uint64_t *random, struct expected *expected)
{
	struct plan_run runs[RUNS_MAX];
	size_t nr = below(random, 3) ? 1 : below(random, RUNS_MAX + 1);
	uint32_t unit = below(random, 2) ? 1 : 1024, longest = below(random, 8) ? 4000 : 200000;
	uint64_t logical = 0;

	for (size_t i = 0; i < nr; i++) {
		logical += below(random, 3) || nr == 1 ? 0 : below(random, 5) * unit;
		runs[i].len = (uint32_t)(below(random, longest / unit) * unit);
		runs[i].logical = logical;
		runs[i].at = below(random, (DEVICE - runs[i].len) / unit + 1) * unit;
		logical += runs[i].len;
	}
	uint32_t size = (uint32_t)(below(random, 4) ? logical : below(random, 2 * logical + 2));
	expected->size = size;
	expected->bytes = calloc(1, size + 1);
	CU_ASSERT_PTR_NOT_NULL_FATAL(expected->bytes);
	for (size_t i = 0; i < nr; i++)
		if (runs[i].logical < size)
			memcpy(expected->bytes + runs[i].logical, device + runs[i].at,
			       min_of(runs[i].len, size - runs[i].logical));
	int r = add_runs(size, runs, nr);
	CU_ASSERT_TRUE(r == 0 || r == -ENODATA);
	expected->planned = r == 0;
}

/* What has been read of the message under way. */
static struct {
	struct expected *expected; /* NULL: none is */
	uint64_t done, wrong;
} under_way;

static void take_bytes(const uint8_t *bytes, uint32_t len)
{
	CU_ASSERT_TRUE_FATAL(under_way.done + len <= under_way.expected->size);
	for (uint32_t i = 0; i < len; i++)
		under_way.wrong += under_way.expected->bytes[under_way.done + i] !=
				   (bytes ? bytes[i] : 0);
	under_way.done += len;
}

static void take_piece(const struct plan_piece *piece, struct expected *expected)
{
	CU_ASSERT_EQUAL(piece->first, !under_way.expected);
	if (piece->first) {
		under_way.expected = expected;
		under_way.done = 0;
		expected->begun++;
	}
	CU_ASSERT_PTR_EQUAL(under_way.expected, expected);
	take_bytes(NULL, piece->zeros);
	CU_ASSERT_TRUE_FATAL((uint64_t)piece->at + piece->len <= now.len);
	take_bytes(device + now.off + piece->at, piece->len);
	if (piece->last) {
		CU_ASSERT_EQUAL(under_way.done, expected->size);
		expected->ended++;
		under_way.expected = NULL;
	}
}

static void read_all(const struct plan_geometry *geometry, struct expected *expected)
{
	while (plan_next(plan, &now)) {
		CU_ASSERT_TRUE(now.nr_pieces > 0 && now.nr_pieces <= PLAN_PIECES_MAX);
		CU_ASSERT_EQUAL(now.off % geometry->align + now.len % geometry->align, 0);
		CU_ASSERT_TRUE(now.len > 0 && now.len <= geometry->read_max);
		CU_ASSERT_TRUE_FATAL(now.off + now.len <= DEVICE);
		for (uint32_t i = 0; i < now.nr_pieces; i++)
			take_piece(&now.pieces[i], &expected[now.pieces[i].object]);
	}
	CU_ASSERT_PTR_NULL(under_way.expected);
	CU_ASSERT_EQUAL(under_way.wrong, 0);
}

static void gives_back_every_message_at_random(void)
{
	static struct expected expected[OBJECTS];
	uint64_t random = 1;

	for (size_t i = 0; i < DEVICE; i++)
		device[i] = (uint8_t)mk_random(&random);
	for (uint64_t seed = 1; seed <= 60; seed++) {
		random = seed;
		uint32_t align = 512u << below(&random, 4);
		struct plan_geometry geometry = {
			.size = DEVICE,
			.origin = below(&random, DEVICE),
			.align = align,
			.read_max = align * (uint32_t)(1 + below(&random, 64)),
			.gap_max = (uint32_t)below(&random, 20000),
		};
		begin_with(&geometry, OBJECTS);
		memset(expected, 0, sizeof(expected));
		for (unsigned i = 0; i < OBJECTS; i++)
			add_at_random(&random, &expected[i]);
		for (unsigned round = 0; round < 2; round++) { /* sorted anew it begins anew */
			sort();
			read_all(&geometry, expected);
		}
		for (unsigned i = 0; i < OBJECTS; i++) {
			CU_ASSERT_EQUAL(expected[i].begun, expected[i].planned ? 2 : 0);
			CU_ASSERT_EQUAL(expected[i].ended, expected[i].begun);
			free(expected[i].bytes);
		}
		end();
	}
}

static const struct test_case cases[] = {
	CASE(an_empty_plan_has_no_reads),
	CASE(has_room_for_so_many_and_is_emptied),
	CASE(reads_in_the_order_of_the_disk),
	CASE(begins_at_its_origin_and_wraps_around),
	CASE(sorts_by_inode_and_keeps_what_belongs_together),
	CASE(finds_messages_along_the_way),
	CASE(reads_across_a_small_gap_and_not_across_a_large_one),
	CASE(aligns_its_reads),
	CASE(never_reads_more_than_it_may_at_once),
	CASE(cuts_what_is_longer_than_a_read),
	CASE(a_long_message_begins_in_the_read_of_its_neighbour),
	CASE(holds_no_more_pieces_than_there_is_room_for),
	CASE(one_place_may_hold_many_messages),
	CASE(reads_runs_in_the_order_of_the_message),
	CASE(runs_that_lie_together_share_a_read),
	CASE(a_hole_is_zeros),
	CASE(runs_are_cut_at_the_size_of_the_message),
	CASE(refuses_runs_that_cannot_be),
	CASE(a_run_without_length_is_none),
	CASE(runs_without_end_are_refused),
	CASE(counts_what_is_planned),
	CASE(gives_back_every_message_at_random),
};

const struct test_suite suite_verify_plan = { "verify/plan", cases, array_size(cases) };

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A state directory with baselines of one volume, for the suites that test those.
 */
#ifndef TESTS_UNIT_BASELINE_ROOM_H
#define TESTS_UNIT_BASELINE_ROOM_H

#include <CUnit/CUnit.h>
#include <stdio.h>

#include "base/compiler.h"
#include "state/baseline.h"
#include "support/random.h"
#include "support/room.h"

static const uint8_t uuid[BASELINE_UUID_LEN] = { 0xab, 1, 2, 3, 4, 5, 6, 7, 8, 9 };
#define UUID_TEXT "ab010203-0405-0607-0809-000000000000"

enum { NR_BLOCKS = 4000000 };

static const struct baseline_info about = {
	.uuid = { 0xab, 1, 2, 3, 4, 5, 6, 7, 8, 9 },
	.block_size = 4096,
	.nr_blocks = NR_BLOCKS,
	.started_ns = 1700000000123456789,
};

struct scene {
	char dir[ROOM_DIR_SIZE];
	struct baseline_writer *w;
	struct baseline *b;
	uint64_t number; /* of the last commit */
};

static inline void scene_begin(struct scene *s)
{
	*s = (struct scene){ .w = NULL };
	CU_ASSERT_EQUAL_FATAL(room_make("baseline", s->dir), 0);
}

static inline void scene_end(struct scene *s)
{
	baseline_writer_free(s->w);
	baseline_close(s->b);
	CU_ASSERT_EQUAL(room_remove(s->dir), 0);
}

static inline void write_begin(struct scene *s)
{
	CU_ASSERT_EQUAL_FATAL(baseline_writer_new(s->dir, &about, &s->w), 0);
}

static inline void write_end(struct scene *s)
{
	CU_ASSERT_EQUAL_FATAL(baseline_writer_commit(s->w, 1700000001000000000, 3, &s->number), 0);
	baseline_writer_free(take(s->w));
}

static inline void read_begin(struct scene *s)
{
	baseline_close(take(s->b));
	CU_ASSERT_EQUAL_FATAL(baseline_open(s->dir, uuid, 0, &s->b), 0);
}

static inline struct block_sum sum_of(uint64_t block)
{
	uint64_t state = block * 2654435761 + 17;
	uint64_t digest = random_next(&state);

	return (struct block_sum){ digest, (uint32_t)random_next(&state) };
}

static inline void add(struct scene *s, uint64_t block)
{
	CU_ASSERT_EQUAL_FATAL(baseline_writer_add_sum(s->w, block, sum_of(block)), 0);
}

/* 1, 0 or an error as baseline_sum_at; 2 when it is another sum. */
static inline int look_at(struct scene *s, uint64_t block)
{
	struct block_sum is = { 0, 0 }, wanted = sum_of(block);
	int r = baseline_sum_at(s->b, block, &is);

	return r == 1 && (is.digest != wanted.digest || is.sectors != wanted.sectors) ? 2 : r;
}

/* A small baseline with something of everything: blocks 10..13, 20, 30..31; 31 is contested. */
static inline void write_small(struct scene *s)
{
	static const struct baseline_extent extents[] = { { 0, 10, 4, false }, { 7, 30, 2, true } };
	struct baseline_owner owner = { .ino = 12,
					.generation = 0x89abcdef,
					.mode = 0100644,
					.flags = BASELINE_OWNER_YOUNG | 1U << 31,
					.ctime_ns = 1600000000000000001,
					.mtime_ns = -5,
					.size = 37000,
					.extents = extents,
					.nr_extents = 2 };

	write_begin(s);
	for (uint64_t block = 10; block < 14; block++)
		add(s, block);
	add(s, 20);
	CU_ASSERT_EQUAL(baseline_writer_add_owner(s->w, &owner), 0);
	add(s, 30);
	add(s, 31);
	owner = (struct baseline_owner){ .ino = 13, .mode = 0120777, .ctime_ns = INT64_MIN };
	CU_ASSERT_EQUAL(baseline_writer_add_owner(s->w, &owner), 0);
	CU_ASSERT_EQUAL(baseline_writer_replace_sum(s->w, 31, (struct block_sum){ 77, 78 }, true),
			0);
	write_end(s);
}

static inline void file_path(const struct scene *s, uint64_t number, char out[400])
{
	(void)snprintf(out, 400, "%s/baseline/" UUID_TEXT "/%llu.baseline", s->dir,
		       (unsigned long long)number);
}

struct extent_text {
	char text[1000];
	size_t len;
};

static inline int tell_run(uint64_t first, uint64_t nr, void *ctx)
{
	struct extent_text *t = ctx;

	t->len += (size_t)snprintf(t->text + t->len, sizeof(t->text) - t->len, "%llu+%llu;",
				   (unsigned long long)first, (unsigned long long)nr);
	return 0;
}

struct found {
	uint64_t nr, first, last;
};

static inline int note_block(uint64_t block, struct block_sum sum, void *ctx)
{
	struct found *f = ctx;

	if (f->nr++ == 0)
		f->first = block;
	f->last = block;
	return sum.digest ? 0 : 1;
}

#endif

// SPDX-License-Identifier: Apache-2.0
/*
 * Baselines: what was written is what is read, in any order, of any size.
 */
#include "suites.h"

#include <CUnit/CUnit.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "baseline_room.h"

/* ---- what was written is what is read ---- */

static int tell_owner(const struct baseline_owner *o, void *ctx)
{
	struct extent_text *t = ctx;

	t->len += (size_t)snprintf(t->text + t->len, sizeof(t->text) - t->len,
				   "%u %x %o %x %lld %lld %llu", o->ino, o->generation, o->mode,
				   o->flags, (long long)o->ctime_ns, (long long)o->mtime_ns,
				   (unsigned long long)o->size);
	for (size_t i = 0; i < o->nr_extents; i++)
		t->len += (size_t)snprintf(t->text + t->len, sizeof(t->text) - t->len,
					   " %llu:%llu+%llu%s",
					   (unsigned long long)o->extents[i].logical,
					   (unsigned long long)o->extents[i].physical,
					   (unsigned long long)o->extents[i].len,
					   o->extents[i].unwritten ? "u" : "");
	t->len += (size_t)snprintf(t->text + t->len, sizeof(t->text) - t->len, ";");
	return 0;
}

static void a_small_one_says_what_was_written(void)
{
	struct scene s;
	struct baseline_info info;
	struct extent_text owners = { .len = 0 }, runs = { .len = 0 };
	struct block_sum sum;

	scene_begin(&s);
	write_small(&s);
	CU_ASSERT_EQUAL(s.number, 1);
	read_begin(&s);
	baseline_get_info(s.b, &info);
	CU_ASSERT_EQUAL(memcmp(info.uuid, uuid, sizeof(uuid)), 0);
	CU_ASSERT_EQUAL(info.block_size, 4096);
	CU_ASSERT_EQUAL(info.nr_blocks, NR_BLOCKS);
	CU_ASSERT_EQUAL(info.started_ns, about.started_ns);
	CU_ASSERT_EQUAL(info.ended_ns, 1700000001000000000);
	CU_ASSERT_EQUAL(info.nr_sums, 7);
	CU_ASSERT_EQUAL(info.nr_owners, 2);
	CU_ASSERT_EQUAL(info.number, 1);
	CU_ASSERT_EQUAL(info.nr_contested, 1);
	for (uint64_t block = 0; block < 40; block++) {
		bool is_there = (block >= 10 && block < 14) || block == 20 || block == 30;
		CU_ASSERT_EQUAL(block == 31 ? 2 : is_there, look_at(&s, block));
		CU_ASSERT_EQUAL(baseline_is_contested(s.b, block), block == 31);
	}
	CU_ASSERT_EQUAL(baseline_sum_at(s.b, 31, &sum), 1);
	CU_ASSERT_EQUAL(sum.digest, 77);
	CU_ASSERT_EQUAL(sum.sectors, 78);
	CU_ASSERT_EQUAL(baseline_each_owner(s.b, tell_owner, &owners), 0);
	CU_ASSERT_STRING_EQUAL(owners.text,
			       "12 89abcdef 100644 80000001 1600000000000000001 -5 37000 "
			       "0:10+4 7:30+2u;13 0 120777 0 -9223372036854775808 0 0;");
	CU_ASSERT_EQUAL(baseline_each_run(s.b, tell_run, &runs), 0);
	CU_ASSERT_STRING_EQUAL(runs.text, "10+4;20+1;30+2;");
	CU_ASSERT_EQUAL(baseline_verify(s.b), 0);
	scene_end(&s);
}

static void one_without_anything_is_whole(void)
{
	struct scene s;
	struct block_sum sum;
	struct extent_text text = { .len = 0 };

	scene_begin(&s);
	write_begin(&s);
	write_end(&s);
	read_begin(&s);
	CU_ASSERT_EQUAL(baseline_verify(s.b), 0);
	CU_ASSERT_EQUAL(baseline_sum_at(s.b, 0, &sum), 0);
	CU_ASSERT_EQUAL(baseline_is_contested(s.b, 0), 0);
	CU_ASSERT_EQUAL(baseline_each_run(s.b, tell_run, &text), 0);
	CU_ASSERT_EQUAL(baseline_each_owner(s.b, tell_owner, &text), 0);
	CU_ASSERT_EQUAL(baseline_find_owner(s.b, 2, tell_owner, &text), -ENOENT);
	CU_ASSERT_EQUAL(text.len, 0);
	scene_end(&s);
}

/* A model of random runs and owners. */
enum { MODEL_SUMS = 70000, MODEL_OWNERS = 9000, GIANT = 41000 };

struct model {
	uint64_t *blocks;
	uint32_t *inos;
	struct baseline_extent *giant;
};

static void model_make(struct model *m, uint64_t seed)
{
	uint64_t block = 0, state = seed;
	uint32_t ino = 0;

	m->blocks = calloc(MODEL_SUMS, sizeof(*m->blocks));
	m->inos = calloc(MODEL_OWNERS, sizeof(*m->inos));
	m->giant = calloc(GIANT, sizeof(*m->giant));
	CU_ASSERT_FATAL(m->blocks && m->inos && m->giant);
	for (size_t i = 0; i < MODEL_SUMS; i++) {
		uint64_t dice = random_below(&state, 1000);
		block += dice == 0 ? 1 + random_below(&state, 20000) : dice < 200 ? 2 : 1;
		m->blocks[i] = block;
	}
	for (size_t i = 0; i < MODEL_OWNERS; i++) {
		ino += 1 + (uint32_t)random_below(&state, 3);
		m->inos[i] = ino;
	}
	for (size_t i = 0; i < GIANT; i++)
		m->giant[i] = (struct baseline_extent){ .logical = 5 * i,
							.physical = random_below(&state, NR_BLOCKS),
							.len = 1,
							.unwritten = i % 3 == 0 };
}

static void model_fini(struct model *m)
{
	free(m->blocks);
	free(m->inos);
	free(m->giant);
}

/* The owner number `i` of a model; one in the middle has very many extents. */
static struct baseline_owner model_owner(const struct model *m, size_t i,
					 struct baseline_extent extents[4])
{
	uint64_t state = m->inos[i];
	struct baseline_owner o = { .ino = m->inos[i], .extents = extents };

	o.generation = (uint32_t)random_next(&state);
	o.mode = (uint32_t)random_below(&state, 0200000);
	o.ctime_ns = (int64_t)random_next(&state);
	o.mtime_ns = o.ctime_ns - (int64_t)random_below(&state, 1000);
	o.size = random_next(&state);
	o.nr_extents = i % 5;
	for (size_t j = 0; j < o.nr_extents; j++)
		extents[j] = (struct baseline_extent){ .logical = random_below(&state, 1 << 20),
						       .physical = random_below(&state, 1 << 20),
						       .len = 1 + random_below(&state, 1 << 20) };
	if (i == MODEL_OWNERS / 2) {
		o.extents = m->giant;
		o.nr_extents = GIANT;
	}
	return o;
}

static void model_write(struct scene *s, const struct model *m)
{
	struct baseline_extent extents[4];
	size_t owners = 0;

	write_begin(s);
	for (size_t i = 0; i < MODEL_SUMS; i++) {
		add(s, m->blocks[i]);
		for (; owners < MODEL_OWNERS * i / MODEL_SUMS; owners++) {
			struct baseline_owner o = model_owner(m, owners, extents);
			CU_ASSERT_EQUAL_FATAL(baseline_writer_add_owner(s->w, &o), 0);
		}
	}
	for (; owners < MODEL_OWNERS; owners++) {
		struct baseline_owner o = model_owner(m, owners, extents);
		CU_ASSERT_EQUAL_FATAL(baseline_writer_add_owner(s->w, &o), 0);
	}
	write_end(s);
}

struct model_walk {
	const struct model *m;
	size_t at; /* the next owner */
	uint64_t differ;
};

static int hold_owner_against_model(const struct baseline_owner *o, void *ctx)
{
	struct model_walk *walk = ctx;
	struct baseline_extent extents[4];
	struct baseline_owner wanted = model_owner(walk->m, walk->at++, extents);
	bool same = o->ino == wanted.ino && o->generation == wanted.generation &&
		    o->mode == wanted.mode && o->ctime_ns == wanted.ctime_ns &&
		    o->mtime_ns == wanted.mtime_ns && o->size == wanted.size &&
		    o->flags == wanted.flags && o->nr_extents == wanted.nr_extents;

	for (size_t i = 0; same && i < o->nr_extents; i++) {
		const struct baseline_extent *a = &o->extents[i], *b = &wanted.extents[i];
		same = a->logical == b->logical && a->physical == b->physical && a->len == b->len &&
		       a->unwritten == b->unwritten;
	}
	walk->differ += !same;
	return 0;
}

static void random_runs_come_back_in_any_order(void)
{
	struct scene s;
	struct model m;
	uint64_t state = 5, wrong = 0;
	size_t at = 0;

	scene_begin(&s);
	for (uint64_t seed = 1; seed <= 2; seed++) {
		model_make(&m, seed);
		model_write(&s, &m);
		read_begin(&s);
		at = 0;
		for (uint64_t block = 0; block < m.blocks[MODEL_SUMS - 1] + 20; block++) {
			bool is_there = at < MODEL_SUMS && m.blocks[at] == block;
			wrong += look_at(&s, block) != is_there;
			at += is_there;
		}
		CU_ASSERT_EQUAL(wrong, 0);
		for (int i = 0; i < 3000; i++) {
			uint64_t block = m.blocks[random_below(&state, MODEL_SUMS)];
			wrong += look_at(&s, block) != 1;
		}
		CU_ASSERT_EQUAL(wrong, 0);
		CU_ASSERT_EQUAL(baseline_verify(s.b), 0);
		model_fini(&m);
	}
	scene_end(&s);
}

struct run_walk {
	const struct model *m;
	size_t at;
	uint64_t wrong, behind;
};

static int hold_run_against_model(uint64_t first, uint64_t nr, void *ctx)
{
	struct run_walk *walk = ctx;

	walk->wrong += first == walk->behind; /* it would be the same run */
	for (uint64_t i = 0; i < nr; i++)
		walk->wrong += walk->at == MODEL_SUMS || walk->m->blocks[walk->at++] != first + i;
	walk->behind = first + nr;
	return 0;
}

static void runs_are_as_long_as_they_go(void)
{
	struct scene s;
	struct model m;

	scene_begin(&s);
	model_make(&m, 3);
	model_write(&s, &m);
	read_begin(&s);
	struct run_walk walk = { .m = &m };
	CU_ASSERT_EQUAL(baseline_each_run(s.b, hold_run_against_model, &walk), 0);
	CU_ASSERT_EQUAL(walk.wrong, 0);
	CU_ASSERT_EQUAL(walk.at, MODEL_SUMS);
	model_fini(&m);
	scene_end(&s);
}

static void owners_come_back_however_many_extents_they_have(void)
{
	struct scene s;
	struct model m;
	uint64_t state = 9;

	scene_begin(&s);
	model_make(&m, 4);
	model_write(&s, &m);
	read_begin(&s);
	struct model_walk walk = { .m = &m };
	CU_ASSERT_EQUAL(baseline_each_owner(s.b, hold_owner_against_model, &walk), 0);
	CU_ASSERT_EQUAL(walk.differ, 0);
	CU_ASSERT_EQUAL(walk.at, MODEL_OWNERS);

	/* Ascending, with those that there are not; and in any order. */
	size_t at = 0;
	for (uint32_t ino = 0; ino < m.inos[MODEL_OWNERS - 1] + 3; ino++) {
		bool is_there = at < MODEL_OWNERS && m.inos[at] == ino;
		walk.at = at;
		CU_ASSERT_EQUAL(baseline_find_owner(s.b, ino, hold_owner_against_model, &walk),
				is_there ? 0 : -ENOENT);
		at += is_there;
		CU_ASSERT_EQUAL(walk.at, at);
	}
	for (int i = 0; i < 200; i++) {
		walk.at = random_below(&state, MODEL_OWNERS);
		uint32_t ino = m.inos[walk.at];
		CU_ASSERT_EQUAL(baseline_find_owner(s.b, ino, hold_owner_against_model, &walk), 0);
	}
	walk.at = MODEL_OWNERS / 2 + 1; /* the first behind the giant, from within its chunks */
	uint32_t next = m.inos[walk.at];
	CU_ASSERT_EQUAL(baseline_find_owner(s.b, next, hold_owner_against_model, &walk), 0);
	CU_ASSERT_EQUAL(walk.differ, 0);
	model_fini(&m);
	scene_end(&s);
}

static void an_inode_may_have_several_records(void)
{
	struct scene s;
	struct extent_text text = { .len = 0 };

	scene_begin(&s);
	write_begin(&s);
	for (uint32_t ino = 7; ino < 10; ino++) {
		struct baseline_owner o = { .ino = ino };
		CU_ASSERT_EQUAL(baseline_writer_add_owner(s.w, &o), 0);
		o.flags = BASELINE_OWNER_METADATA;
		CU_ASSERT_EQUAL(baseline_writer_add_owner(s.w, &o), 0);
	}
	write_end(&s);
	read_begin(&s);
	CU_ASSERT_EQUAL(baseline_find_owner(s.b, 8, tell_owner, &text), 0);
	CU_ASSERT_EQUAL(baseline_find_owner(s.b, 8, tell_owner, &text), 0);
	CU_ASSERT_STRING_EQUAL(text.text, "8 0 0 0 0 0 0;8 0 0 2 0 0 0;"
					  "8 0 0 0 0 0 0;8 0 0 2 0 0 0;");
	scene_end(&s);
}

static int stop_at_once(const struct baseline_owner *owner, void *ctx)
{
	++*(int *)ctx;
	return owner->ino ? 42 : 0;
}

static int stop_run(uint64_t first, uint64_t nr, void *ctx)
{
	++*(int *)ctx;
	return first + nr ? 43 : 0;
}

static void a_walk_can_be_stopped(void)
{
	struct scene s;
	int calls = 0;

	scene_begin(&s);
	write_small(&s);
	read_begin(&s);
	CU_ASSERT_EQUAL(baseline_each_owner(s.b, stop_at_once, &calls), 42);
	CU_ASSERT_EQUAL(baseline_find_owner(s.b, 12, stop_at_once, &calls), 42);
	CU_ASSERT_EQUAL(baseline_each_run(s.b, stop_run, &calls), 43);
	CU_ASSERT_EQUAL(calls, 3);
	scene_end(&s);
}

/* ---- over a whole baseline ---- */

static void blocks_are_found_by_their_digests(void)
{
	struct scene s;
	struct model m;
	uint64_t wanted[4];
	struct found found = { .nr = 0 };

	scene_begin(&s);
	model_make(&m, 6);
	model_write(&s, &m);
	read_begin(&s);
	CU_ASSERT_EQUAL(baseline_find_digests(s.b, wanted, 0, note_block, &found), 0);
	wanted[0] = sum_of(m.blocks[7]).digest;
	wanted[1] = sum_of(m.blocks[60000]).digest;
	if (wanted[0] > wanted[1]) {
		wanted[2] = wanted[0];
		wanted[0] = wanted[1];
		wanted[1] = wanted[2];
	}
	wanted[2] = wanted[3] = wanted[1];
	CU_ASSERT_EQUAL(baseline_find_digests(s.b, wanted, 4, note_block, &found), 0);
	CU_ASSERT_EQUAL(found.nr, 2);
	CU_ASSERT_EQUAL(found.first, m.blocks[7]);
	CU_ASSERT_EQUAL(found.last, m.blocks[60000]);
	model_fini(&m);
	scene_end(&s);
}

static int tell_change(enum baseline_change change, uint64_t first, uint64_t nr, void *ctx)
{
	struct extent_text *t = ctx;

	t->len += (size_t)snprintf(t->text + t->len, sizeof(t->text) - t->len, "%c%llu+%llu;",
				   "cng"[change], (unsigned long long)first,
				   (unsigned long long)nr);
	return 0;
}

static void differences_are_runs_of_one_kind(void)
{
	struct scene s;
	struct extent_text text = { .len = 0 };
	struct baseline *older = NULL;

	scene_begin(&s);
	write_begin(&s);
	for (uint64_t block = 10; block < 40000; block++)
		add(&s, block);
	write_end(&s);
	CU_ASSERT_EQUAL_FATAL(baseline_open(s.dir, uuid, 0, &older), 0);
	CU_ASSERT_EQUAL(baseline_diff(older, older, tell_change, &text), 0);
	CU_ASSERT_EQUAL(text.len, 0);
	write_begin(&s);
	for (uint64_t block = 8; block < 39999; block++) {
		bool changed = (block > 16000 && block < 17000) || block == 20000;
		if (block < 30000 || block >= 30010)
			CU_ASSERT_EQUAL(
				baseline_writer_add_sum(s.w, block, sum_of(block + changed)), 0);
	}
	add(&s, 50000);
	write_end(&s);
	read_begin(&s);
	CU_ASSERT_EQUAL(baseline_diff(older, s.b, tell_change, &text), 0);
	CU_ASSERT_STRING_EQUAL(text.text, "n8+2;c16001+999;c20000+1;g30000+10;g39999+1;n50000+1;");
	baseline_close(older);
	scene_end(&s);
}

/* A million blocks of 4 KiB, and a hundred thousand files of one or two extents. */
static void it_is_smaller_than_half_a_percent_of_the_data(void)
{
	enum { SUMS = 1000000, OWNERS = 100000 };
	struct scene s;
	struct stat st;
	char path[400];
	uint64_t state = 11, block = 1000;
	int64_t ctime_ns = 1700000000000000000;
	int r = 0;

	scene_begin(&s);
	write_begin(&s);
	for (uint32_t ino = 12; ino < 12 + OWNERS; ino++) {
		struct baseline_extent extents[2] = { { 0, block, 4, false },
						      { 4, block, 6, false } };
		struct baseline_owner o = { .ino = ino,
					    .generation = (uint32_t)random_next(&state),
					    .mode = 0100600,
					    .size = 4096 * 9 + random_below(&state, 4096),
					    .extents = extents,
					    .nr_extents = 1 + random_below(&state, 2) };
		ctime_ns += (int64_t)random_below(&state, 1000000000000);
		o.ctime_ns = o.mtime_ns = ctime_ns;
		for (int i = 0; i < 10 && r == 0; i++, block++) {
			if (i == 4 && o.nr_extents == 2)
				block += random_below(&state, 100);
			if (i == 4)
				extents[1].physical = block;
			r = baseline_writer_add_sum(s.w, block, sum_of(block));
		}
		if (o.nr_extents == 1)
			extents[0].len = 10;
		if (r == 0)
			r = baseline_writer_add_owner(s.w, &o);
	}
	CU_ASSERT_EQUAL_FATAL(r, 0);
	write_end(&s);
	file_path(&s, 1, path);
	CU_ASSERT_EQUAL(stat(path, &st), 0);
	CU_ASSERT((uint64_t)st.st_size * 200 < (uint64_t)SUMS * 4096);
	read_begin(&s);
	CU_ASSERT_EQUAL(baseline_verify(s.b), 0);
	scene_end(&s);
}

static const struct test_case cases[] = {
	CASE(a_small_one_says_what_was_written),
	CASE(one_without_anything_is_whole),
	CASE(random_runs_come_back_in_any_order),
	CASE(runs_are_as_long_as_they_go),
	CASE(owners_come_back_however_many_extents_they_have),
	CASE(an_inode_may_have_several_records),
	CASE(a_walk_can_be_stopped),
	CASE(blocks_are_found_by_their_digests),
	CASE(differences_are_runs_of_one_kind),
	CASE(it_is_smaller_than_half_a_percent_of_the_data),
};

const struct test_suite suite_state_baseline = { "state/baseline", cases, array_size(cases) };

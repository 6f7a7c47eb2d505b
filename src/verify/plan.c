/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Objects stay where they were added; what is sorted is a list of keys with their indexes. The
 * memory is reserved for the whole window and touched only as far as it is used.
 */
#include "verify/plan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* A message of up to this many bytes is not divided between two reads. */
#define KEEP_WHOLE (64u << 10)

/*
 * Runs of all messages of a plan. An inode may have millions, and a hostile store names it a million
 * times; messages beyond are not planned.
 */
#define RUNS_MAX (1u << 20)

struct plan_key {
	uint64_t key;
	uint32_t object;
};

struct plan {
	struct plan_geometry geometry;
	uint32_t max, count;
	struct plan_object *objects;
	struct plan_key *keys;
	uint32_t *inos, *owners; /* of plan_sort_by_inode; in one piece of memory */
	struct plan_run *runs;
	size_t nr_runs, runs_cap;
	uint64_t nr_planned, bytes_planned;

	/* How far plan_next has come. */
	uint32_t nr_keys, next;
	uint32_t run;	  /* in runs; of the message under way */
	uint64_t logical; /* bytes of it that have been planned */
	bool under_way;
};

static void *reserve(size_t len)
{
	void *p = mmap(NULL, len, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

static void release(void *p, size_t len)
{
	if (p)
		(void)munmap(p, len);
}

int plan_new(const struct plan_geometry *geometry, uint32_t max, struct plan **ret_plan)
{
	struct plan *plan = calloc(1, sizeof(*plan));

	if (!plan)
		return -ENOMEM;
	plan->geometry = *geometry;
	plan->max = max;
	plan->objects = reserve(max * sizeof(*plan->objects));
	plan->keys = reserve(max * sizeof(*plan->keys));
	plan->inos = reserve(2 * max * sizeof(*plan->inos));
	if (!plan->objects || !plan->keys || !plan->inos) {
		plan_free(plan);
		return -ENOMEM;
	}
	*ret_plan = plan;
	return 0;
}

void plan_free(struct plan *plan)
{
	if (!plan)
		return;
	release(plan->objects, plan->max * sizeof(*plan->objects));
	release(plan->keys, plan->max * sizeof(*plan->keys));
	release(plan->inos, 2 * plan->max * sizeof(*plan->inos));
	free(plan->runs);
	free(plan);
}

void plan_clear(struct plan *plan)
{
	plan->count = plan->nr_keys = plan->next = 0;
	plan->nr_runs = 0;
	plan->nr_planned = plan->bytes_planned = 0;
	plan->under_way = false;
}

struct plan_object *plan_add(struct plan *plan)
{
	if (plan->count == plan->max)
		return NULL;
	struct plan_object *object = &plan->objects[plan->count++];

	*object = (struct plan_object){ .runs = PLAN_ONE_RUN };
	return object;
}

uint32_t plan_count(const struct plan *plan)
{
	return plan->count;
}

struct plan_object *plan_object_at(struct plan *plan, uint32_t i)
{
	return &plan->objects[i];
}

void plan_get_totals(const struct plan *plan, uint64_t *ret_messages, uint64_t *ret_bytes)
{
	*ret_messages = plan->nr_planned;
	*ret_bytes = plan->bytes_planned;
}

uint64_t plan_distance(const struct plan *plan, uint64_t at)
{
	const struct plan_geometry *g = &plan->geometry;

	return at >= g->origin ? at - g->origin : at + (g->size - g->origin);
}

static int compare_keys(const void *a, const void *b)
{
	const struct plan_key *x = a, *y = b;

	if (x->key != y->key)
		return x->key < y->key ? -1 : 1;
	return x->object < y->object ? -1 : x->object > y->object;
}

int plan_sort_by_inode(struct plan *plan, const uint32_t **ret_inos, const uint32_t **ret_objects)
{
	plan->owners = plan->inos + plan->max;
	for (uint32_t i = 0; i < plan->count; i++)
		plan->keys[i] = (struct plan_key){ plan->objects[i].ino, i };
	if (plan->count)
		qsort(plan->keys, plan->count, sizeof(plan->keys[0]), compare_keys);
	for (uint32_t i = 0; i < plan->count; i++) {
		plan->inos[i] = (uint32_t)plan->keys[i].key;
		plan->owners[i] = plan->keys[i].object;
	}
	*ret_inos = plan->inos;
	*ret_objects = plan->owners;
	return 0;
}

/* ---- where a message lies ---- */

static int plan_add_run(struct plan *plan, const struct plan_run *run)
{
	if (plan->nr_runs == RUNS_MAX)
		return -ERANGE;
	if (plan->nr_runs == plan->runs_cap) {
		size_t cap = max_of(plan->runs_cap * 2, (size_t)1024);
		struct plan_run *runs = reallocarray(plan->runs, cap, sizeof(*runs));
		if (!runs)
			return -ENOMEM;
		plan->runs = runs;
		plan->runs_cap = cap;
	}
	plan->runs[plan->nr_runs++] = *run;
	return 0;
}

/* Cuts a run to what lies inside the message. False: nothing is left. */
static bool run_cut(const struct plan_object *object, struct plan_run *run)
{
	if (run->logical >= object->size || run->len == 0)
		return false;
	run->len = (uint32_t)min_of((uint64_t)run->len, object->size - run->logical);
	return true;
}

int plan_place(struct plan *plan, struct plan_object *object, const struct plan_run *runs,
	       size_t nr)
{
	const struct plan_geometry *g = &plan->geometry;
	size_t first = plan->nr_runs;
	uint64_t end = 0;
	bool found = false;
	int r = 0;

	if (nr == 1 && runs[0].logical == 0 && runs[0].len >= object->size && object->size > 0) {
		if (runs[0].at > g->size || object->size > g->size - runs[0].at)
			return -ERANGE;
		object->at = runs[0].at;
		object->runs = PLAN_ONE_RUN;
		found = true;
	}
	for (size_t i = 0; !found && r == 0 && i < nr; i++) {
		struct plan_run run = runs[i];
		if (run.logical < end)
			r = -ERANGE; /* runs that overlap */
		end = run.len > UINT64_MAX - run.logical ? UINT64_MAX : run.logical + run.len;
		if (r || !run_cut(object, &run))
			continue;
		run.last = false;
		if (run.at > g->size || run.len > g->size - run.at)
			r = -ERANGE;
		else
			r = plan_add_run(plan, &run);
	}
	if (!found && r == 0 && plan->nr_runs == first)
		r = -ENODATA;
	if (r) {
		plan->nr_runs = first;
		return r;
	}
	if (!found) {
		object->at = plan->runs[first].at;
		object->runs = (uint32_t)first;
		plan->runs[plan->nr_runs - 1].last = true;
	}
	object->planned = true;
	plan->nr_planned++;
	plan->bytes_planned += object->size;
	return 0;
}

int plan_sort_by_place(struct plan *plan)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < plan->count; i++)
		if (plan->objects[i].planned)
			plan->keys[n++] =
				(struct plan_key){ plan_distance(plan, plan->objects[i].at), i };
	if (n)
		qsort(plan->keys, n, sizeof(plan->keys[0]), compare_keys);
	plan->nr_keys = n;
	plan->next = 0;
	plan->under_way = false;
	return 0;
}

struct plan_object *plan_object_on_the_way(struct plan *plan, unsigned part, unsigned parts)
{
	uint64_t at = (uint64_t)plan->nr_keys * part / parts;

	return plan->nr_keys ? &plan->objects[plan->keys[at].object] : NULL;
}

/* ---- reads ---- */

/* The run of the message under way that comes next, from where it has not been planned yet. */
static struct plan_run next_run(const struct plan *plan, const struct plan_object *object)
{
	struct plan_run run;

	if (object->runs == PLAN_ONE_RUN)
		run = (struct plan_run){ 0, object->at, object->size, true };
	else
		run = plan->runs[plan->run];
	if (plan->logical > run.logical) {
		uint32_t done = (uint32_t)(plan->logical - run.logical);
		run.logical += done;
		run.at += done;
		run.len -= done;
	}
	return run;
}

static uint64_t align_down(uint64_t x, uint32_t align)
{
	return x / align * align;
}

static uint64_t align_up(uint64_t x, uint32_t align)
{
	return (x + align - 1) / align * align;
}

/* How much of `run` the read [*start, *end) can take; an empty read begins at the run. */
static uint32_t read_room(const struct plan_geometry *g, const struct plan_run *run, bool empty,
			  uint64_t *start, uint64_t *end)
{
	if (empty) {
		*start = align_down(run->at, g->align);
		*end = run->at;
	}
	if (run->at < *start || run->at > *end + g->gap_max || run->at >= *start + g->read_max)
		return 0;
	uint64_t room = *start + g->read_max - run->at;
	if (run->len <= room)
		return run->len;
	return empty || run->len > KEEP_WHOLE ? (uint32_t)room : 0;
}

/* Behind the last piece of a message: the zeros at its end, and on to the next message. */
static void finish_object(struct plan *plan, const struct plan_object *object,
			  struct plan_piece *piece, struct plan_read *read)
{
	uint64_t hole = object->size - plan->logical;

	if (hole > 0) /* pieces[] has room: plan_next leaves one */
		read->pieces[read->nr_pieces++] = (struct plan_piece){ .object = piece->object,
								       .zeros = (uint32_t)hole,
								       .last = true };
	else
		piece->last = true;
	plan->next++;
	plan->under_way = false;
}

bool plan_next(struct plan *plan, struct plan_read *read)
{
	const struct plan_geometry *g = &plan->geometry;
	uint64_t start = 0, end = 0;

	read->nr_pieces = 0;
	while (plan->next < plan->nr_keys && read->nr_pieces + 2 <= PLAN_PIECES_MAX) {
		uint32_t index = plan->keys[plan->next].object;
		const struct plan_object *object = &plan->objects[index];
		if (!plan->under_way) {
			plan->logical = 0;
			plan->run = object->runs;
		}
		struct plan_run run = next_run(plan, object);
		uint32_t len = read_room(g, &run, read->nr_pieces == 0, &start, &end);
		if (len == 0)
			break;
		struct plan_piece *piece = &read->pieces[read->nr_pieces++];
		*piece = (struct plan_piece){
			.object = index,
			.at = (uint32_t)(run.at - start),
			.len = len,
			.zeros = (uint32_t)(run.logical - plan->logical),
			.first = !plan->under_way,
		};
		plan->under_way = true;
		plan->logical = run.logical + len;
		end = max_of(end, run.at + len);
		if (len == run.len && run.last)
			finish_object(plan, object, piece, read);
		else if (len == run.len)
			plan->run++;
	}
	read->off = start;
	read->len = (uint32_t)(align_up(end, g->align) - start);
	return read->nr_pieces > 0;
}

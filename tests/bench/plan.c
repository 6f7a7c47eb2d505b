// SPDX-License-Identifier: Apache-2.0
/*
 * plan: what it costs to plan the reads of a large store.
 *
 *	plan [OBJECTS]
 *
 * Plans that many messages (2,000,000), of sizes drawn as those of a store and strewn over a device
 * of 256 GiB, in windows of 524,288, and takes every read of them. The last line on stdout says how
 * many messages and reads there were, the seconds it took, and the most memory that was used, in KiB.
 * Exit status 0; 1 when a message came too often or not at all; 3 for wrong usage.
 */
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "base/clock.h"
#include "base/span.h"
#include "support/mkstore_parts.h"
#include "verify/plan.h"

#define OBJECTS UINT64_C(2000000)
#define WINDOW (512u << 10)
#define DEVICE (UINT64_C(256) << 30)
#define BLOCK 4096u

struct totals {
	uint64_t objects, bytes, reads, ended;
};

/* In one run, every tenth in two. */
static int add_one(struct plan *plan, uint64_t *random)
{
	static const struct mkstore_options options = { .size = MKSTORE_SIZE_LOGNORMAL };
	struct plan_object *object = plan_add(plan);
	struct plan_run runs[2];

	object->ino = (uint32_t)mk_random(random);
	object->size = (uint32_t)mk_letter_draw_size(&options, random);
	uint32_t len = (object->size + BLOCK - 1) / BLOCK * BLOCK;
	uint32_t first = len > BLOCK && mk_random(random) % 10 == 0 ? BLOCK : len;
	uint64_t blocks = (DEVICE - len) / BLOCK;
	runs[0] = (struct plan_run){ 0, mk_random(random) % blocks * BLOCK, first, false };
	runs[1] =
		(struct plan_run){ first, mk_random(random) % blocks * BLOCK, len - first, false };
	return plan_place(plan, object, runs, first < len ? 2 : 1);
}

/* Fills the plan and drains it. */
static int plan_window(struct plan *plan, uint64_t nr, uint64_t *random, struct totals *totals)
{
	static struct plan_read read;
	const uint32_t *inos, *owners;
	uint64_t messages, bytes;
	int r = 0;

	plan_clear(plan);
	for (uint64_t i = 0; r == 0 && i < nr; i++)
		r = add_one(plan, random);
	if (r == 0)
		r = plan_sort_by_inode(plan, &inos, &owners);
	if (r == 0)
		r = plan_sort_by_place(plan);
	plan_get_totals(plan, &messages, &bytes);
	totals->objects += messages;
	totals->bytes += bytes;
	while (r == 0 && plan_next(plan, &read)) {
		totals->reads++;
		for (uint32_t i = 0; i < read.nr_pieces; i++)
			totals->ended += read.pieces[i].last;
	}
	return r;
}

static int run(uint64_t nr)
{
	struct plan_geometry geometry = { DEVICE, DEVICE / 3, 512, 512 << 10, 32 << 10 };
	struct totals totals = { 0 };
	struct rusage usage;
	struct plan *plan;
	uint64_t random = 1;

	int64_t began_ns = clock_mono_ns();
	int r = plan_new(&geometry, WINDOW, &plan);
	if (r == 0) {
		for (uint64_t done = 0; r == 0 && done < nr; done += WINDOW)
			r = plan_window(plan, min_of(nr - done, (uint64_t)WINDOW), &random,
					&totals);
		plan_free(plan);
	}
	if (r) {
		(void)fprintf(stderr, "plan: %s\n", strerror(-r));
		return 1;
	}
	(void)getrusage(RUSAGE_SELF, &usage);
	printf("objects=%llu bytes=%llu reads=%llu seconds=%.2f rss_kib=%ld\n",
	       (unsigned long long)totals.objects, (unsigned long long)totals.bytes,
	       (unsigned long long)totals.reads, (double)(clock_mono_ns() - began_ns) / 1e9,
	       usage.ru_maxrss);
	return totals.ended == nr ? 0 : 1;
}

int main(int argc, char **argv)
{
	uint64_t nr = OBJECTS;

	if (argc > 2 ||
	    (argc == 2 && (span_parse_u64(span_of_str(argv[1]), UINT32_MAX, &nr) || nr == 0))) {
		(void)fputs("usage: plan [OBJECTS]\n", stderr);
		return 3;
	}
	return run(nr);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the tests of scans that go on with others share: a scene whose scans can be stopped, when so
 * many messages are verified, or when all are; eight small mailboxes; and what is expected of the
 * scan that goes on.
 */
#ifndef TESTS_UNIT_RESUME_ROOM_H
#define TESTS_UNIT_RESUME_ROOM_H

#include <signal.h>

#include "support/disk.h"
#include "verify_room.h"

enum {
	SMALL = 8,	  /* mailboxes */
	SMALL_COUNT = 20, /* messages in each */
	FILES_ALL = SMALL * SMALL_COUNT,
};

/* A scene whose scans can be stopped. */
struct stop_scene {
	struct scene s; /* first */
	struct disk disk;
	bool has_disk;
	struct scan_options options;
	volatile sig_atomic_t stop, show;
	uint64_t stop_messages; /* stop when so many are verified, if any; 0: never */
	bool stop_whole;	/* stop when all mailboxes are done */
	bool stop_at_once;
	void (*meanwhile)(struct stop_scene *t); /* once, when something has been read; NULL */
	struct run first;
};

static inline void on_progress(const struct scan_progress *p, void *ctx)
{
	struct stop_scene *t = ctx;

	t->show = 1; /* at each opportunity */
	if (t->meanwhile && p->messages) {
		void (*meanwhile)(struct stop_scene *) = take(t->meanwhile);
		meanwhile(t);
	}
	if (!t->stop_messages && !t->stop_whole && !t->stop_at_once)
		return;
	if (t->stop_at_once || (t->stop_messages && p->messages >= t->stop_messages) ||
	    (t->stop_whole && p->mailboxes_total && p->mailboxes == p->mailboxes_total))
		t->stop = 1;
	if (!t->has_disk) /* the readers are faster than anything that could stop them */
		clock_sleep_ns(20 * NS_PER_MS);
}

static inline void scan(struct stop_scene *t)
{
	struct scan_events events = {
		.finding = scene_on_finding, .gap = scene_on_gap, .progress = on_progress, .ctx = t
	};

	target_fini(&t->s.target);
	scene_open_target(&t->s);
	t->s.nr_findings = t->s.nr_gaps = 0;
	t->stop = 0;
	t->show = 1;
	CU_ASSERT_EQUAL(scan_store(t->s.state, &t->s.target, &t->options, &events, NULL, &t->s.run),
			0);
}

/* Scans until so many messages are verified: the run before the one that goes on. */
static inline void scan_and_stop(struct stop_scene *t, uint64_t messages)
{
	t->stop_messages = messages;
	t->options.limits.bytes_per_s = UINT64_C(16) << 20;
	scan(t);
	t->stop_messages = 0;
	t->options.limits.bytes_per_s = 0;
	CU_ASSERT_EQUAL(t->s.run.status, RUN_INTERRUPTED);
	t->first = t->s.run;
}

/* All was verified, but the run was stopped before it could say so. */
static inline void scan_and_stop_at_the_end(struct stop_scene *t)
{
	t->stop_whole = true;
	scan(t);
	t->stop_whole = false;
	CU_ASSERT_EQUAL(t->s.run.status, RUN_INTERRUPTED);
	t->first = t->s.run;
}

static inline void small_name(unsigned nr, char name[32])
{
	(void)snprintf(name, 32, "user.s%u", nr);
}

static inline void begin_options(struct stop_scene *t)
{
	t->options = (struct scan_options){
		.settle_ns = 20 * NS_PER_MS,
		.readers = 2,
		.digesters = 1,
		.append_max_ns = 1,
		.stop = &t->stop,
		.show_progress = &t->show,
	};
}

static inline void add_small(struct stop_scene *t, uint64_t size)
{
	char name[32];

	for (unsigned i = 0; i < SMALL; i++) {
		small_name(i, name);
		CU_ASSERT_EQUAL_FATAL(room_add_mailbox(t->s.store, name, SMALL_COUNT, size, 1), 0);
	}
}

static inline void expect_open(const struct stop_scene *t, uint64_t wanted)
{
	uint64_t open = UINT64_MAX;

	CU_ASSERT_EQUAL(state_finding_count_open(t->s.state, t->s.run.target, ASSAY_SEVERITY_NOTICE,
						 &open),
			0);
	CU_ASSERT_EQUAL(open, wanted);
}

static inline void expect_went_on(const struct stop_scene *t, uint64_t all)
{
	CU_ASSERT_EQUAL(t->s.run.round, t->first.id);
	CU_ASSERT_EQUAL(t->s.run.carried + t->s.run.messages, all);
	CU_ASSERT_TRUE(t->s.run.carried > 0);
	CU_ASSERT_TRUE(t->s.run.messages > 0);
}

static inline void expect_from_the_beginning(const struct stop_scene *t, uint64_t all)
{
	CU_ASSERT_EQUAL(t->s.run.round, t->s.run.id);
	CU_ASSERT_EQUAL(t->s.run.carried, 0);
	CU_ASSERT_EQUAL(t->s.run.messages, all);
}

static inline void flip_in(const struct stop_scene *t, const char *mailbox, unsigned uid)
{
	char leaf[16], path[512];

	(void)snprintf(leaf, sizeof(leaf), "%u.", uid);
	path_in(&t->s, mailbox, leaf, path);
	CU_ASSERT_EQUAL(mkstore_flip_bit(path, 600, 3), 0);
}

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the tests of whole scans share: a scene, which is a store in a room of its own, the target
 * and the state that belong to it, and all that the last scan of it said; and damage that is done
 * to one file. Which mailboxes the store has, and how it is scanned, each suite says itself:
 *
 *	scene_make_room(&s, "scan");
 *	scene_make_store(&s, &options);
 *	...			mailboxes are added to s.store
 *	scene_open(&s);
 *	scene_scan(&s, &how);
 *	scene_close(&s);
 *
 * Everything asserts by itself; what a scene cannot do without is fatal to the test. A scene is
 * used by one thread, and is some 64 KiB large.
 */
#ifndef TESTS_UNIT_VERIFY_ROOM_H
#define TESTS_UNIT_VERIFY_ROOM_H

#include <CUnit/CUnit.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "support/mkstore.h"
#include "support/room.h"
#include "verify/scan.h"

enum { SAID_MAX = 64, SAID_SIZE = 512 };

struct scene {
	char dir[ROOM_DIR_SIZE];
	struct mkstore *store;
	struct target target;
	struct state *state;
	struct run run;			    /* the last one */
	char findings[SAID_MAX][SAID_SIZE]; /* "CODE MAILBOX OBJECT: DETAIL" */
	char gaps[SAID_MAX][SAID_SIZE];	    /* "MAILBOX: WHY" */
	size_t nr_findings, nr_gaps;	    /* of the last scan; may exceed SAID_MAX */
};

/* What a scan calls; `ctx` is the scene, or a struct whose first member it is. */
static inline void scene_on_finding(const struct finding *finding, void *ctx)
{
	struct scene *s = ctx;

	if (s->nr_findings < SAID_MAX)
		(void)snprintf(s->findings[s->nr_findings], SAID_SIZE, "%s %.*s %s: %s",
			       finding->code, (int)finding->mailbox.len,
			       (const char *)finding->mailbox.data, finding->object,
			       finding->detail ? finding->detail : "");
	s->nr_findings++;
}

static inline void scene_on_gap(struct span mailbox, const char *path, const char *why, void *ctx)
{
	struct scene *s = ctx;

	CU_ASSERT_TRUE(path && *why);
	if (s->nr_gaps < SAID_MAX)
		(void)snprintf(s->gaps[s->nr_gaps], SAID_SIZE, "%.*s: %s", (int)mailbox.len,
			       (const char *)mailbox.data, why);
	s->nr_gaps++;
}

/* A path in the room, in one of four buffers that take turns. */
static inline const char *scene_path(const struct scene *s, const char *leaf)
{
	static char paths[4][512];
	static unsigned next;
	char *path = paths[next++ % 4];

	(void)snprintf(path, sizeof(paths[0]), "%s/%s", s->dir, leaf);
	return path;
}

/* Makes the room, named after the suite. */
static inline void scene_make_room(struct scene *s, const char *name)
{
	*s = (struct scene){ .store = NULL };
	CU_ASSERT_EQUAL_FATAL(room_make(name, s->dir), 0);
}

/* Starts the store in it, without a mailbox. */
static inline void scene_make_store(struct scene *s, const struct mkstore_options *options)
{
	CU_ASSERT_EQUAL_FATAL(mkstore_new(scene_path(s, "store"), options, &s->store), 0);
}

static inline void scene_open_target(struct scene *s)
{
	CU_ASSERT_EQUAL_FATAL(target_open(&s->target, "s1", "h1", mkstore_get_conf(s->store), NULL),
			      0);
}

static inline void scene_open_state(struct scene *s, struct state **ret_state)
{
	CU_ASSERT_EQUAL_FATAL(state_open(scene_path(s, "state"), STATE_WRITE, NULL, ret_state), 0);
}

/* Behind the last mailbox: finishes the store, opens target and state. */
static inline void scene_open(struct scene *s)
{
	CU_ASSERT_EQUAL_FATAL(mkstore_finish(s->store), 0);
	scene_open_target(s);
	scene_open_state(s, &s->state);
}

/* Ends what scene_open began, and removes the room. */
static inline void scene_close(struct scene *s)
{
	state_close(s->state);
	target_fini(&s->target);
	mkstore_free(s->store);
	CU_ASSERT_EQUAL(room_remove(s->dir), 0);
}

/* Scans, forgetting what the scan before said. */
static inline void scene_scan(struct scene *s, const struct scan_options *options)
{
	struct scan_events events = { .finding = scene_on_finding, .gap = scene_on_gap, .ctx = s };

	s->nr_findings = s->nr_gaps = 0;
	CU_ASSERT_EQUAL(scan_store(s->state, &s->target, options, &events, NULL, &s->run), 0);
}

/* The path of a file of a mailbox; `leaf` "" is its folder. */
static inline void path_in(const struct scene *s, const char *mailbox, const char *leaf,
			   char ret_path[512])
{
	char *path = mkstore_path(s->store, mailbox, leaf);

	CU_ASSERT_PTR_NOT_NULL_FATAL(path);
	(void)snprintf(ret_path, 512, "%s", path);
	free(path);
}

/* How many of `nr` lines begin with `start` and hold `part`. */
static inline size_t count_said(const char lines[][SAID_SIZE], size_t nr, const char *start,
				const char *part)
{
	size_t found = 0;

	for (size_t i = 0; i < min_of(nr, (size_t)SAID_MAX); i++)
		found += strncmp(lines[i], start, strlen(start)) == 0 && strstr(lines[i], part);
	return found;
}

/* The last scan had such a finding, maybe among others. */
static inline bool said(const struct scene *s, const char *start, const char *part)
{
	return count_said(s->findings, s->nr_findings, start, part) > 0;
}

/* There is one such line and no other; prints what there is otherwise. */
static inline void check_only_line(const char lines[][SAID_SIZE], size_t nr, const char *start,
				   const char *part)
{
	bool right = nr == 1 && count_said(lines, 1, start, part) == 1;

	for (size_t i = 0; !right && i < min_of(nr, (size_t)SAID_MAX); i++)
		(void)fprintf(stderr, "wanted only %s..%s, got %s\n", start, part, lines[i]);
	CU_ASSERT_TRUE(right);
}

static inline void check_only_finding(const struct scene *s, const char *start, const char *part)
{
	check_only_line(s->findings, s->nr_findings, start, part);
}

/* The last scan left one gap, and is incomplete by that. */
static inline void check_only_gap(const struct scene *s, const char *start, const char *part)
{
	check_only_line(s->gaps, s->nr_gaps, start, part);
	CU_ASSERT_EQUAL(s->run.status, RUN_INCOMPLETE);
}

/* ---- damage to one file ---- */

static inline void flip(const char *path)
{
	CU_ASSERT_EQUAL(mkstore_flip_bit(path, 600, 3), 0);
}

static inline void take_away(const char *path)
{
	CU_ASSERT_EQUAL(unlink(path), 0);
}

static inline void put_folder(const char *path)
{
	take_away(path);
	CU_ASSERT_EQUAL(mkdir(path, 0700), 0);
}

static inline void put_fifo(const char *path)
{
	take_away(path);
	CU_ASSERT_EQUAL(mkfifo(path, 0600), 0);
}

#endif

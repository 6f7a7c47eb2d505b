// SPDX-License-Identifier: Apache-2.0
/*
 * The annotations of a mailbox as a file: there may be none, and one that is there is twoskip or
 * skiplist. What has lost its first bytes is damaged, whatever it looks like now.
 */
#include "suites.h"

#include <CUnit/CUnit.h>
#include <errno.h>
#include <stdio.h>

#include "support/room.h"
#include "support/twoskip_writer.h"
#include "verify/annotations.h"

struct room {
	char dir[ROOM_DIR_SIZE];
	char path[ROOM_DIR_SIZE + 32];
};

static void room_open(struct room *room)
{
	CU_ASSERT_EQUAL_FATAL(room_make("annotations", room->dir), 0);
	(void)snprintf(room->path, sizeof(room->path), "%s/cyrus.annotations", room->dir);
}

static void write_database(const struct room *room)
{
	struct twoskip_writer *writer = NULL;

	CU_ASSERT_EQUAL_FATAL(twoskip_writer_new(room->path, 1, &writer), 0);
	CU_ASSERT_EQUAL(twoskip_writer_commit(writer), 0);
	twoskip_writer_free(writer);
}

static int load(const struct room *room)
{
	struct annotations annotations = ANNOTATIONS_NULL;
	struct dir dir = DIR_NULL;

	CU_ASSERT_EQUAL_FATAL(dir_open(&dir, NULL, room->dir, "."), 0);
	int r = annotations_load(&annotations, &dir, 17, SPAN_NULL);
	dir_close(&dir);
	annotations_fini(&annotations);
	return r;
}

static void may_be_missing(void)
{
	struct room room;

	room_open(&room);
	CU_ASSERT_EQUAL(load(&room), 0);
	write_database(&room);
	CU_ASSERT_EQUAL(load(&room), 0);
	CU_ASSERT_EQUAL(room_remove(room.dir), 0);
}

static void is_damaged_when_it_is_empty(void)
{
	struct room room;

	room_open(&room);
	CU_ASSERT_EQUAL(room_write(room.path, ""), 0);
	CU_ASSERT_EQUAL(load(&room), -EBADMSG);
	CU_ASSERT_EQUAL(room_remove(room.dir), 0);
}

static void is_damaged_when_its_first_sector_is_zeros(void)
{
	struct room room;
	uint8_t zeros[20] = { 0 };
	FILE *file;

	room_open(&room);
	write_database(&room);
	file = fopen(room.path, "r+b");
	CU_ASSERT_PTR_NOT_NULL_FATAL(file);
	CU_ASSERT_EQUAL(fwrite(zeros, 1, sizeof(zeros), file), sizeof(zeros));
	CU_ASSERT_EQUAL(fclose(file), 0);
	CU_ASSERT_EQUAL(load(&room), -EBADMSG);
	CU_ASSERT_EQUAL(room_remove(room.dir), 0);
}

/* Flat text passes for a database, and Cyrus never keeps annotations in one. */
static void is_damaged_when_it_is_text(void)
{
	struct room room;

	room_open(&room);
	CU_ASSERT_EQUAL(room_write(room.path, "user.alice\tlrswipkxtecdan\n"), 0);
	CU_ASSERT_EQUAL(load(&room), -EBADMSG);
	CU_ASSERT_EQUAL(room_remove(room.dir), 0);
}

/* What is known not to be read is no damage. */
static void is_foreign_when_it_is_of_another_engine(void)
{
	struct room room;

	room_open(&room);
	CU_ASSERT_EQUAL(room_write(room.path, "SQLite format 3"), 0);
	CU_ASSERT_EQUAL(load(&room), -EPROTONOSUPPORT);
	CU_ASSERT_EQUAL(room_remove(room.dir), 0);
}

static const struct test_case cases[] = {
	CASE(may_be_missing),
	CASE(is_damaged_when_it_is_empty),
	CASE(is_damaged_when_its_first_sector_is_zeros),
	CASE(is_damaged_when_it_is_text),
	CASE(is_foreign_when_it_is_of_another_engine),
};

const struct test_suite suite_verify_annotations = { "verify/annotations", cases,
						     array_size(cases) };

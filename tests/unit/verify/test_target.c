// SPDX-License-Identifier: Apache-2.0
/*
 * Targets: one copy has one key, however it is named, and what cannot be reached is said.
 */
#include "suites.h"

#include <CUnit/CUnit.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/room.h"
#include "verify/target.h"

struct room {
	char dir[ROOM_DIR_SIZE];
	char imapd_conf[300];
	char config[300]; /* the configdirectory, by its real path */
	unsigned nr_said;
	struct log log;
};

static void on_log(enum log_level level, const char *text, void *ctx)
{
	struct room *room = ctx;

	CU_ASSERT_EQUAL(level, LOG_LEVEL_ERROR);
	CU_ASSERT_TRUE(*text != '\0');
	room->nr_said++;
}

static void write_imapd_conf(const struct room *room, const char *text)
{
	CU_ASSERT_EQUAL_FATAL(room_write(room->imapd_conf, text), 0);
}

static void room_open(struct room *room)
{
	char name[ROOM_DIR_SIZE], link[300], text[400];

	*room = (struct room){ .nr_said = 0 };
	room->log = (struct log){ on_log, room, LOG_LEVEL_DEBUG };
	CU_ASSERT_EQUAL_FATAL(room_make("target", name), 0);
	char *real = realpath(name, NULL);
	CU_ASSERT_PTR_NOT_NULL_FATAL(real);
	(void)snprintf(room->dir, sizeof(room->dir), "%s", real);
	free(real);
	(void)snprintf(room->imapd_conf, sizeof(room->imapd_conf), "%s/imapd.conf", room->dir);
	(void)snprintf(room->config, sizeof(room->config), "%s/conf", room->dir);
	(void)snprintf(link, sizeof(link), "%s/link", room->dir);
	CU_ASSERT_EQUAL(mkdir(room->config, 0700), 0);
	CU_ASSERT_EQUAL(symlink(room->config, link), 0);
	(void)snprintf(text, sizeof(text), "configdirectory: %s/../link/.\n", room->config);
	write_imapd_conf(room, text);
}

static void room_close(const struct room *room)
{
	CU_ASSERT_EQUAL(room_remove(room->dir), 0);
}

static void has_one_key_however_it_is_named(void)
{
	struct target target = TARGET_NULL;
	struct conf conf;
	struct room room;

	target_fini(&target);
	room_open(&room);
	CU_ASSERT_EQUAL_FATAL(target_open(&target, "s1", "h1", room.imapd_conf, &room.log), 0);
	CU_ASSERT_STRING_EQUAL(target.key, room.config);
	CU_ASSERT_STRING_EQUAL(target.store, "s1");
	CU_ASSERT_STRING_EQUAL(target.host, "h1");
	CU_ASSERT_STRING_EQUAL(target.imapd_conf_path, room.imapd_conf);
	target_fini(&target);
	target_fini(&target);

	struct copy copies[] = { { "s1", "h1", room.imapd_conf, ROLE_MASTER, NULL, NULL },
				 { "s1", "h2", room.imapd_conf, ROLE_REPLICA, NULL, NULL } };
	conf_init(&conf);
	conf.host = strdup("h1");
	conf.copies = copies;
	conf.nr_copies = 2;
	CU_ASSERT_EQUAL(target_open_named(&target, &conf, "s1", NULL, &room.log), 0);
	CU_ASSERT_STRING_EQUAL(target.host, "h1");
	CU_ASSERT_STRING_EQUAL(target.key, room.config);
	target_fini(&target);
	CU_ASSERT_EQUAL(target_open_named(&target, &conf, "s1@h2", NULL, &room.log), 0);
	CU_ASSERT_STRING_EQUAL(target.host, "h2");
	target_fini(&target);
	CU_ASSERT_EQUAL(room.nr_said, 0);
	static const char *const strangers[] = { "s2", "s1@h3", "s1@", "@h1", "", "s1@h2@x" };
	for (size_t i = 0; i < array_size(strangers); i++)
		CU_ASSERT_EQUAL(target_open_named(&target, &conf, strangers[i], NULL, &room.log),
				-ENOENT);
	CU_ASSERT_EQUAL(room.nr_said, array_size(strangers));
	CU_ASSERT_PTR_NULL(target.key);
	conf.copies = NULL;
	conf.nr_copies = 0;
	conf_fini(&conf);
	room_close(&room);
}

static void says_what_cannot_be_reached(void)
{
	struct target target = TARGET_NULL;
	struct room room;

	room_open(&room);
	CU_ASSERT_EQUAL(rmdir(room.config), 0);
	CU_ASSERT_EQUAL(target_open(&target, "s1", "h1", room.imapd_conf, &room.log), -ENODEV);
	CU_ASSERT_EQUAL(room.nr_said, 1);
	write_imapd_conf(&room, "configdirectory: relative/path\n");
	CU_ASSERT_EQUAL(target_open(&target, "s1", "h1", room.imapd_conf, &room.log), -EBADMSG);
	CU_ASSERT_EQUAL(room.nr_said, 2);
	CU_ASSERT_EQUAL(unlink(room.imapd_conf), 0);
	CU_ASSERT_EQUAL(target_open(&target, "s1", "h1", room.imapd_conf, &room.log), -ENOENT);
	CU_ASSERT_EQUAL(mkfifo(room.imapd_conf, 0600), 0); /* must not wait for a writer */
	CU_ASSERT_EQUAL(target_open(&target, "s1", "h1", room.imapd_conf, &room.log), -EINVAL);
	CU_ASSERT_EQUAL(room.nr_said, 4);
	CU_ASSERT_PTR_NULL(target.store);
	CU_ASSERT_EQUAL(target_open(&target, "s1", "h1", room.imapd_conf, NULL), -EINVAL);
	room_close(&room);
}

static const struct test_case cases[] = {
	CASE(has_one_key_however_it_is_named),
	CASE(says_what_cannot_be_reached),
};

const struct test_suite suite_verify_target = { "verify/target", cases, array_size(cases) };

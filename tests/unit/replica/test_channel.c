// SPDX-License-Identifier: Apache-2.0
/*
 * A look at a channel: every event that is outstanding is seen, in whichever file it stands at the
 * moment, and a channel that cannot be read is an error and never idle.
 */
#include "suites.h"

#include <CUnit/CUnit.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "replica/channel.h"
#include "support/room.h"

struct room {
	char dir[ROOM_DIR_SIZE];
	struct imapd_conf conf;
	struct channel_look look;
};

static char *path_of(const struct room *room, const char *leaf)
{
	static char paths[2][400];
	static unsigned next;

	next ^= 1;
	(void)snprintf(paths[next], sizeof(paths[0]), "%s/%s", room->dir, leaf);
	return paths[next];
}

static void write_file(const char *path, const char *text)
{
	CU_ASSERT_EQUAL_FATAL(room_write(path, text), 0);
}

static void room_conf(struct room *room, const char *lines)
{
	char text[1024];

	(void)snprintf(text, sizeof(text), "configdirectory: %s\n%s", room->dir, lines);
	write_file(path_of(room, "imapd.conf"), text);
	imapd_conf_fini(&room->conf);
	CU_ASSERT_EQUAL_FATAL(imapd_conf_read(&room->conf, path_of(room, "imapd.conf"), NULL), 0);
}

static void room_open(struct room *room)
{
	*room = (struct room){ .conf = IMAPD_CONF_NULL, .look = CHANNEL_LOOK_NULL };
	CU_ASSERT_EQUAL_FATAL(room_make("channel", room->dir), 0);
	CU_ASSERT_EQUAL(mkdir(path_of(room, "sync"), 0700), 0);
	room_conf(room, "");
}

static void room_close(struct room *room)
{
	channel_look_fini(&room->look);
	channel_look_fini(&room->look);
	imapd_conf_fini(&room->conf);
	CU_ASSERT_EQUAL(room_remove(room->dir), 0);
}

static int look(struct room *room, const char *channel)
{
	channel_look_fini(&room->look);
	return channel_look(&room->conf, channel, &room->look);
}

static bool has(const struct map *map, const char *key)
{
	return map_get(map, span_of_str(key), NULL);
}

static void an_empty_channel_is_idle(void)
{
	struct room room;

	room_open(&room);
	CU_ASSERT_EQUAL(look(&room, NULL), 0);
	CU_ASSERT_EQUAL(room.look.nr_lines, 0);
	CU_ASSERT_EQUAL(room.look.oldest_ns, 0);
	CU_ASSERT_TRUE(room.look.observed_ns > 0);
	write_file(path_of(&room, "sync/log"), "");
	CU_ASSERT_EQUAL(look(&room, NULL), 0);
	CU_ASSERT_EQUAL(room.look.nr_lines, 0);
	CU_ASSERT_EQUAL(room.look.oldest_ns, 0); /* an empty log has no age */
	room_close(&room);
}

static void reads_every_log_and_nothing_else(void)
{
	struct room room;

	room_open(&room);
	write_file(path_of(&room, "sync/log"), "APPEND user.a\nAPPEND user.a\nrubbish\n");
	write_file(path_of(&room, "sync/log-run"), "RENAME user.b.x user.c.x\n");
	write_file(path_of(&room, "sync/log-123"), "USER d\nMAILBOX shared");
	write_file(path_of(&room, "sync/log-abc"), "USER no1\n");
	write_file(path_of(&room, "sync/log-"), "USER no2\n");
	write_file(path_of(&room, "sync/log-12x"), "USER no3\n");
	write_file(path_of(&room, "sync/logs"), "USER no4\n");
	write_file(path_of(&room, "sync/xlog"), "USER no5\n");
	write_file(path_of(&room, "sync/skipuser-e@example.com"), "");
	CU_ASSERT_EQUAL(look(&room, NULL), 0);
	CU_ASSERT_EQUAL(room.look.nr_lines, 6);
	CU_ASSERT_EQUAL(room.look.nr_malformed, 1);
	CU_ASSERT_TRUE(room.look.torn);
	CU_ASSERT_FALSE(room.look.overflow);
	CU_ASSERT_EQUAL(room.look.lines.count, 5);
	CU_ASSERT_TRUE(has(&room.look.lines, "rubbish") && has(&room.look.lines, "APPEND user.a"));
	CU_ASSERT_EQUAL(room.look.users.count, 4);
	CU_ASSERT_TRUE(has(&room.look.users, "a") && has(&room.look.users, "b") &&
		       has(&room.look.users, "c") && has(&room.look.users, "d"));
	CU_ASSERT_EQUAL(room.look.mailboxes.count, 4);
	CU_ASSERT_TRUE(has(&room.look.mailboxes, "shared"));
	CU_ASSERT_EQUAL(room.look.skipped_users.count, 1);
	CU_ASSERT_TRUE(has(&room.look.skipped_users, "e@example.com"));
	CU_ASSERT_EQUAL(room.look.bytes,
			strlen("APPEND user.a\nAPPEND user.a\nrubbish\n"
			       "RENAME user.b.x user.c.x\nUSER d\nMAILBOX shared"));
	room_close(&room);
}

static void looks_at_the_channel_it_is_told(void)
{
	struct room room;

	room_open(&room);
	CU_ASSERT_EQUAL(mkdir(path_of(&room, "sync/two"), 0700), 0);
	write_file(path_of(&room, "sync/log"), "USER one\n");
	write_file(path_of(&room, "sync/two/log"), "USER two\n");
	CU_ASSERT_EQUAL(look(&room, "two"), 0);
	CU_ASSERT_TRUE(has(&room.look.users, "two") && !has(&room.look.users, "one"));
	CU_ASSERT_EQUAL(look(&room, NULL), 0);
	CU_ASSERT_TRUE(has(&room.look.users, "one") && !has(&room.look.users, "two"));
	CU_ASSERT_EQUAL(look(&room, "three"), -ENOENT);
	room_close(&room);
}

static void what_cannot_be_read_is_an_error(void)
{
	struct room room;

	room_open(&room);
	CU_ASSERT_EQUAL(mkfifo(path_of(&room, "sync/log"), 0600), 0);
	CU_ASSERT_EQUAL(look(&room, NULL), -EINVAL);
	CU_ASSERT_EQUAL(unlink(path_of(&room, "sync/log")), 0);
	CU_ASSERT_EQUAL(symlink("/etc/passwd", path_of(&room, "sync/log")), 0);
	CU_ASSERT_EQUAL(look(&room, NULL), -ELOOP);
	CU_ASSERT_EQUAL(unlink(path_of(&room, "sync/log")), 0);
	CU_ASSERT_EQUAL(mkdir(path_of(&room, "sync/log"), 0700), 0);
	CU_ASSERT_EQUAL(look(&room, NULL), -EINVAL);
	CU_ASSERT_EQUAL(rmdir(path_of(&room, "sync/log")), 0);
	CU_ASSERT_EQUAL(rmdir(path_of(&room, "sync")), 0);
	CU_ASSERT_EQUAL(look(&room, NULL), -ENOENT);
	write_file(path_of(&room, "sync"), "");
	CU_ASSERT_EQUAL(look(&room, NULL), -ENOTDIR);
	CU_ASSERT_PTR_NULL(room.look.lines.buckets);
	room_close(&room);
}

static void takes_the_age_of_the_oldest_file_that_holds_an_event(void)
{
	struct timespec old[2] = { { .tv_sec = 1600000000 }, { .tv_sec = 1600000000 } };
	struct timespec older[2] = { { .tv_sec = 1500000000 }, { .tv_sec = 1500000000 } };
	struct room room;
	int64_t begun = clock_wall_ns() - NS_PER_S;

	room_open(&room);
	write_file(path_of(&room, "sync/log"), "USER a\n");
	CU_ASSERT_EQUAL(look(&room, NULL), 0);
	CU_ASSERT_TRUE(room.look.oldest_ns >= begun && room.look.oldest_ns <= clock_wall_ns());
	write_file(path_of(&room, "sync/log-run"), "USER b\n");
	CU_ASSERT_EQUAL(utimensat(AT_FDCWD, path_of(&room, "sync/log-run"), old, 0), 0);
	write_file(path_of(&room, "sync/log-1"), ""); /* without an event its age does not count */
	CU_ASSERT_EQUAL(utimensat(AT_FDCWD, path_of(&room, "sync/log-1"), older, 0), 0);
	CU_ASSERT_EQUAL(look(&room, NULL), 0);
	CU_ASSERT_EQUAL(room.look.oldest_ns, 1600000000 * NS_PER_S); /* copied with its times */
	CU_ASSERT_TRUE(room.look.oldest_is_bound);
	room_close(&room);
}

static void reads_logs_of_many_chunks_and_literals_across_them(void)
{
	enum { LINES = 60000 };
	struct room room;
	char name[64];

	room_open(&room);
	FILE *file = fopen(path_of(&room, "sync/log"), "wbe");
	CU_ASSERT_PTR_NOT_NULL_FATAL(file);
	for (unsigned i = 0; i < LINES; i++) {
		int len = snprintf(name, sizeof(name), "user.u%05u.a folder", i);
		CU_ASSERT_TRUE(fprintf(file, "MAILBOX {%d}\r\n%s\n", len, name) > 0);
	}
	CU_ASSERT_EQUAL(fclose(file), 0);
	CU_ASSERT_EQUAL(look(&room, NULL), 0);
	CU_ASSERT_EQUAL(room.look.nr_lines, LINES);
	CU_ASSERT_EQUAL(room.look.nr_malformed, 0);
	CU_ASSERT_EQUAL(room.look.users.count, LINES);
	CU_ASSERT_FALSE(room.look.torn);
	room_close(&room);
}

static void bounds_a_line_without_an_end(void)
{
	struct room room;

	room_open(&room);
	FILE *file = fopen(path_of(&room, "sync/log"), "wbe");
	CU_ASSERT_PTR_NOT_NULL_FATAL(file);
	for (unsigned i = 0; i < 3 << 20; i++)
		(void)fputc(i == 2 << 20 ? '\n' : 'x', file);
	(void)fputs("\nUSER a\n", file);
	CU_ASSERT_EQUAL(fclose(file), 0);
	CU_ASSERT_EQUAL(look(&room, NULL), 0);
	CU_ASSERT_TRUE(room.look.nr_lines > 1); /* outstanding, whatever it is */
	CU_ASSERT_TRUE(room.look.nr_malformed > 0);
	CU_ASSERT_TRUE(has(&room.look.users, "a"));
	room_close(&room);
}

/* ---- a rename under the look ---- */

struct renamer {
	char from[400], to[400];
	atomic_bool stop;
	pthread_t thread;
};

/* The log holds `text`, and `run` does with it what it does until renamer_stop. */
static void renamer_start(struct renamer *renamer, const struct room *room, const char *text,
			  void *(*run)(void *))
{
	(void)snprintf(renamer->from, sizeof(renamer->from), "%s", path_of(room, "sync/log"));
	(void)snprintf(renamer->to, sizeof(renamer->to), "%s", path_of(room, "sync/log-run"));
	atomic_init(&renamer->stop, false);
	write_file(renamer->from, text);
	CU_ASSERT_EQUAL_FATAL(pthread_create(&renamer->thread, NULL, run, renamer), 0);
}

static void renamer_stop(struct renamer *renamer)
{
	atomic_store(&renamer->stop, true);
	CU_ASSERT_EQUAL(pthread_join(renamer->thread, NULL), 0);
}

/* One event, which at every moment stands in exactly one of the two files. */
static void *rename_for_ever(void *ctx)
{
	struct renamer *renamer = ctx;

	while (!atomic_load(&renamer->stop)) {
		(void)rename(renamer->from, renamer->to);
		(void)rename(renamer->to, renamer->from);
	}
	return NULL;
}

static void no_event_hides_between_two_files(void)
{
	struct renamer renamer;
	unsigned seen = 0, hidden = 0;
	struct room room;

	room_open(&room);
	renamer_start(&renamer, &room, "USER a\n", rename_for_ever);
	int64_t until = clock_mono_ns() + NS_PER_S;
	while (clock_mono_ns() < until) {
		int r = look(&room, NULL);
		if (r == 0) {
			seen += room.look.nr_lines > 0;
			hidden += room.look.nr_lines == 0;
		} else {
			CU_ASSERT_EQUAL(r, -EAGAIN);
		}
	}
	renamer_stop(&renamer);
	CU_ASSERT_EQUAL(hidden, 0);
	if (hidden)
		(void)fprintf(stderr, "%u of %u looks saw no event\n", hidden, seen + hidden);
	room_close(&room);
}

/* As Cyrus does it: the log is renamed, and a new one begun, which holds another event. */
static void *turn_over_for_ever(void *ctx)
{
	struct renamer *renamer = ctx;

	while (!atomic_load(&renamer->stop)) {
		char new[440];
		(void)snprintf(new, sizeof(new), "%s.new", renamer->from);
		(void)unlink(renamer->to); /* done with; the event below is in the log again */
		(void)rename(renamer->from, renamer->to);
		int fd = open(renamer->from, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
		(void)!write(fd, "USER new\n", 9);
		(void)close(fd);
		fd = open(new, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
		(void)!write(fd, "USER old\n", 9);
		(void)close(fd);
		(void)rename(new,
			     renamer->from); /* the event is requeued: log and log-run have it */
	}
	return NULL;
}

static void an_event_that_is_requeued_is_always_seen(void)
{
	struct renamer renamer;
	unsigned hidden = 0;
	struct room room;

	room_open(&room);
	renamer_start(&renamer, &room, "USER old\n", turn_over_for_ever);
	int64_t until = clock_mono_ns() + NS_PER_S;
	while (clock_mono_ns() < until) {
		int r = look(&room, NULL);
		CU_ASSERT_TRUE(r == 0 || r == -EAGAIN);
		hidden += r == 0 && !has(&room.look.users, "old");
	}
	renamer_stop(&renamer);
	CU_ASSERT_EQUAL(hidden, 0);
	room_close(&room);
}

/* ---- configuration, and what has gone ---- */

static void knows_whether_the_log_is_written_at_all(void)
{
	static const struct {
		const char *lines;
		const char *channel;
		int result;
	} rows[] = {
		{ "sync_log: yes\n", NULL, 0 },
		{ "sync_log: 1\n", NULL, 0 },
		{ "", NULL, CHANNEL_LOGGING_OFF },
		{ "sync_log: no\n", NULL, CHANNEL_LOGGING_OFF },
		{ "sync_log: perhaps\n", NULL, -EBADMSG },
		{ "sync_log: yes\nimap_sync_log: no\n", NULL, CHANNEL_LOGGING_OFF },
		{ "sync_log: yes\nimap_sync_log: yes\n", NULL, 0 },
		{ "sync_log: yes\nimap_sync_log: perhaps\n", NULL, -EBADMSG },
		{ "sync_log: yes\n", "a", CHANNEL_NOT_LISTED },
		{ "sync_log: yes\nsync_log_channels: a b\n", "a", 0 },
		{ "sync_log: yes\nsync_log_channels: a b\n", "b", 0 },
		{ "sync_log: yes\nsync_log_channels: a b\n", "ab", CHANNEL_NOT_LISTED },
		{ "sync_log: yes\nsync_log_channels: a b\n", NULL, CHANNEL_AMBIGUOUS },
		{ "sync_log: yes\nsync_log_channels: \"\" b\n", NULL, 0 },
		{ "sync_log: no\nsync_log_channels: a\n", "a", CHANNEL_LOGGING_OFF },
	};
	struct room room;

	room_open(&room);
	for (size_t i = 0; i < array_size(rows); i++) {
		const char *why = NULL;
		room_conf(&room, rows[i].lines);
		int r = channel_check_config(&room.conf, rows[i].channel, NULL, &why);
		CU_ASSERT_EQUAL(r, rows[i].result);
		CU_ASSERT_PTR_NOT_NULL(why);
		if (r != rows[i].result)
			(void)fprintf(stderr, "%s gave %d\n", rows[i].lines, r);
	}
	room_close(&room);
}

static void forgets_what_has_left_every_log(void)
{
	struct map pending = MAP_NULL;
	struct room room;

	room_open(&room);
	CU_ASSERT_EQUAL(map_put(&pending, span_of_str("USER a"), 0), 0);
	CU_ASSERT_EQUAL(map_put(&pending, span_of_str("USER b"), 0), 0);
	write_file(path_of(&room, "sync/log-run"), "USER b\nUSER c\n");
	CU_ASSERT_EQUAL(look(&room, NULL), 0);
	CU_ASSERT_EQUAL(channel_forget_gone(&pending, &room.look), 0);
	CU_ASSERT_EQUAL(pending.count, 1);
	CU_ASSERT_TRUE(has(&pending, "USER b"));
	CU_ASSERT_EQUAL(unlink(path_of(&room, "sync/log-run")), 0);
	CU_ASSERT_EQUAL(look(&room, NULL), 0);
	CU_ASSERT_EQUAL(channel_forget_gone(&pending, &room.look), 0);
	CU_ASSERT_EQUAL(pending.count, 0);
	map_fini(&pending);
	room_close(&room);
}

static const struct test_case cases[] = {
	CASE(an_empty_channel_is_idle),
	CASE(reads_every_log_and_nothing_else),
	CASE(looks_at_the_channel_it_is_told),
	CASE(what_cannot_be_read_is_an_error),
	CASE(takes_the_age_of_the_oldest_file_that_holds_an_event),
	CASE(reads_logs_of_many_chunks_and_literals_across_them),
	CASE(bounds_a_line_without_an_end),
	CASE(no_event_hides_between_two_files),
	CASE(an_event_that_is_requeued_is_always_seen),
	CASE(knows_whether_the_log_is_written_at_all),
	CASE(forgets_what_has_left_every_log),
};

const struct test_suite suite_replica_channel = { "replica/channel", cases, array_size(cases) };

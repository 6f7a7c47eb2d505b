// SPDX-License-Identifier: Apache-2.0
/*
 * The list of mailboxes: every live one is handed out, nothing else is, and a list that cannot be
 * read to its end is an error, whatever was handed out before.
 */
#include "suites.h"

#include <CUnit/CUnit.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/mkstore.h"
#include "support/room.h"
#include "support/twoskip_writer.h"
#include "verify/list.h"

enum { NR = 200 };

struct room {
	char dir[ROOM_DIR_SIZE];
	char db[300];
	struct mkstore *store;
	struct imapd_conf conf;
	size_t nr_live, nr_odd, nr_restarts;
	size_t stop_at; /* 0: never */
	int stop_with;
	char last[256];
};

static int on_entry(const struct mailbox_entry *entry, struct span key, bool restart, void *ctx)
{
	struct room *room = ctx;

	CU_ASSERT_TRUE(key.len > 0);
	room->nr_restarts += restart;
	room->nr_live += entry != NULL;
	room->nr_odd += entry == NULL;
	if (entry) {
		CU_ASSERT_TRUE(mailbox_entry_is_live(entry));
		(void)snprintf(room->last, sizeof(room->last), "%s", buf_str(&entry->name));
	}
	return room->stop_at && room->nr_live == room->stop_at ? room->stop_with : 0;
}

static int walk(struct room *room)
{
	room->nr_live = room->nr_odd = room->nr_restarts = 0;
	return list_walk(&room->conf, NULL, on_entry, room);
}

static void room_open(struct room *room, unsigned nr)
{
	struct mkstore_options options = { .seed = 4 };
	char name[300];

	*room = (struct room){ .conf = IMAPD_CONF_NULL };
	CU_ASSERT_EQUAL_FATAL(room_make("list", room->dir), 0);
	(void)snprintf(name, sizeof(name), "%s/store", room->dir);
	(void)snprintf(room->db, sizeof(room->db), "%s/store/conf/mailboxes.db", room->dir);
	CU_ASSERT_EQUAL_FATAL(mkstore_new(name, &options, &room->store), 0);
	for (unsigned i = 0; i < nr; i++) {
		(void)snprintf(name, sizeof(name), "user.u%03u", i);
		CU_ASSERT_EQUAL_FATAL(room_add_mailbox(room->store, name, 0, 0, 0), 0);
	}
	CU_ASSERT_EQUAL(mkstore_tombstone(room->store, "user.gone"), 0);
	CU_ASSERT_EQUAL(mkstore_intermediate(room->store, "lists"), 0);
	CU_ASSERT_EQUAL_FATAL(mkstore_finish(room->store), 0);
	CU_ASSERT_EQUAL_FATAL(imapd_conf_read(&room->conf, mkstore_get_conf(room->store), NULL), 0);
}

static void room_close(struct room *room)
{
	imapd_conf_fini(&room->conf);
	mkstore_free(room->store);
	CU_ASSERT_EQUAL(room_remove(room->dir), 0);
}

static void hands_out_every_live_mailbox_once(void)
{
	struct room room;

	room_open(&room, NR);
	CU_ASSERT_EQUAL(walk(&room), 0);
	CU_ASSERT_EQUAL(room.nr_live, NR);
	CU_ASSERT_EQUAL(room.nr_odd, 0);
	CU_ASSERT_EQUAL(room.nr_restarts, 0);
	CU_ASSERT_STRING_EQUAL(room.last, "user.u199");
	room_close(&room);
	room_open(&room, 0); /* a tombstone and an intermediate are no mailboxes */
	CU_ASSERT_EQUAL(walk(&room), 0);
	CU_ASSERT_EQUAL(room.nr_live, 0);
	room_close(&room);
}

static void stops_where_it_is_told_and_says_so(void)
{
	static const int results[] = { 1, 42, -ENOMEM, -EIO };
	struct room room;

	room_open(&room, NR);
	for (size_t i = 0; i < array_size(results); i++) {
		room.stop_at = i * 50 + 1;
		room.stop_with = results[i];
		CU_ASSERT_EQUAL(walk(&room), results[i]);
		CU_ASSERT_EQUAL(room.nr_live, room.stop_at);
	}
	room_close(&room);
}

static void write_record(const struct room *room, const char *key, const char *value)
{
	struct twoskip_writer *writer;

	CU_ASSERT_EQUAL(unlink(room->db), 0);
	CU_ASSERT_EQUAL_FATAL(twoskip_writer_new(room->db, 1, &writer), 0);
	CU_ASSERT_EQUAL(twoskip_writer_add(writer, span_of_str(key), span_of_str(value)), 0);
	CU_ASSERT_EQUAL(twoskip_writer_commit(writer), 0);
	twoskip_writer_free(writer);
}

static void hands_out_what_it_does_not_understand_as_such(void)
{
	static const char *const values[] = {
		"",
		"junk",
		"%(T e I abc P default",
		"%(T q I abc P default V 1)",
		"%(T e I abc V 1)",
		"%(T e T e I abc P default V 1)",
	};
	struct room room;

	room_open(&room, 1);
	for (size_t i = 0; i < array_size(values); i++) {
		write_record(&room,
			     "Nuser\x1f"
			     "a",
			     values[i]);
		CU_ASSERT_EQUAL(walk(&room), 0);
		CU_ASSERT_EQUAL(room.nr_odd, 1);
		CU_ASSERT_EQUAL(room.nr_live, 0);
	}
	write_record(&room, "Nuser\x1f../x", "%(T e I abcdef P default V 1 A %(anyone lrs))");
	CU_ASSERT_EQUAL(walk(&room), 0);
	CU_ASSERT_EQUAL(room.nr_odd, 1);
	write_record(&room,
		     "Nuser\x1f"
		     "a",
		     "%(T e I abcdef P default V 1 A %(anyone lrs))");
	CU_ASSERT_EQUAL(walk(&room), 0);
	CU_ASSERT_EQUAL(room.nr_live, 1);
	room_close(&room);
}

static void a_damaged_list_is_an_error_wherever_the_damage_is(void)
{
	struct stat st;
	struct room room;

	room_open(&room, 20);
	CU_ASSERT_EQUAL(stat(room.db, &st), 0);
	unsigned nr_found = 0, nr_tried = 0;
	for (uint64_t off = 0; off < (uint64_t)st.st_size; off += 61) {
		CU_ASSERT_EQUAL(mkstore_flip_bit(room.db, off, (unsigned)off % 8), 0);
		int r = walk(&room);
		CU_ASSERT_TRUE(r == 0 || r == -EBADMSG || r == -EPROTONOSUPPORT || r == -EAGAIN);
		nr_tried++;
		nr_found += r != 0;
		/* What it calls good is whole: a flip in padding or in an upper level. */
		CU_ASSERT_TRUE(r != 0 || room.nr_live == 20);
		CU_ASSERT_EQUAL(mkstore_flip_bit(room.db, off, (unsigned)off % 8), 0);
	}
	CU_ASSERT_TRUE(nr_found * 10 > nr_tried * 7);
	CU_ASSERT_EQUAL(walk(&room), 0);
	CU_ASSERT_EQUAL(mkstore_truncate(room.db, (uint64_t)st.st_size / 2), 0);
	CU_ASSERT_EQUAL(walk(&room), -EBADMSG);
	CU_ASSERT_EQUAL(mkstore_truncate(room.db, 0), 0);
	CU_ASSERT_EQUAL(walk(&room), -EBADMSG);
	room_close(&room);
}

/* Puts a list of another engine in place of the store's. */
static void put_list(const struct room *room, const void *bytes, size_t len)
{
	FILE *file = fopen(room->db, "wbe");

	CU_ASSERT_PTR_NOT_NULL_FATAL(file);
	CU_ASSERT_EQUAL(fwrite(bytes, 1, len, file), len);
	CU_ASSERT_EQUAL(fclose(file), 0);
}

static void put_text(const struct room *room, const char *text)
{
	put_list(room, text, strlen(text));
}

#define LIVE "\t%(T e I abcdef P default V 1 A %(anyone lrs))\n"

static void reads_a_list_that_is_flat(void)
{
	struct room room;

	room_open(&room, 1);
	put_text(&room, "Nuser\x1f"
			"a" LIVE "Nuser\x1f"
			"b" LIVE);
	CU_ASSERT_EQUAL(walk(&room), 0);
	CU_ASSERT_EQUAL(room.nr_live, 2);
	CU_ASSERT_STRING_EQUAL(room.last, "user.b");
	put_text(&room, "Nuser\x1f"
			"b" LIVE "Nuser\x1f"
			"a" LIVE);
	CU_ASSERT_EQUAL(walk(&room), -EBADMSG);
	room_close(&room);
}

/* In order: "Nuser.a.b" and "Nuser.a-b", which the order of bytes has the other way round. */
static size_t make_skiplist(uint8_t *bytes)
{
	static const char *const keys[] = { "Nuser.a.b", "Nuser.a-b" };
	static const char value[] = "%(T e I abcdef P default V 1 A %(anyone lrs))";
	static const uint8_t head[] = "\xa1\x02\x8b\x0dskiplist file\0\0\0\0\0\0\1\0\0\0\2"
				      "\0\0\0\x14\0\0\0\1\0\0\0\2\0\0\0\0\0\0\0\0\0\0\1\1";
	size_t len = 144;

	memset(bytes, 0, 512);
	memcpy(bytes, head, sizeof(head) - 1);
	bytes[47 + 16] = 144;
	memset(bytes + 140, 0xff, 4);
	for (int i = 0; i < 2; i++) {
		bytes[len + 3] = 1;
		bytes[len + 7] = 9;
		memcpy(bytes + len + 8, keys[i], 9);
		bytes[len + 23] = sizeof(value) - 1;
		memcpy(bytes + len + 24, value, sizeof(value) - 1);
		len += 24 + (sizeof(value) + 2) / 4 * 4 + 4;
		memset(bytes + len, 0xff, 4);
		len += 4;
		if (i == 0) /* the next */
			bytes[len - 5] = (uint8_t)len;
	}
	bytes[43] = (uint8_t)len;
	bytes[42] = (uint8_t)(len >> 8);
	return len;
}

static int check_list(const struct room *room, uint64_t *ret_off)
{
	struct source src = SOURCE_NULL;

	CU_ASSERT_EQUAL_FATAL(source_open_file(&src, AT_FDCWD, room->db), 0);
	int r = list_check(&room->conf, &src, ret_off);
	source_close(&src);
	return r;
}

static void reads_a_list_in_mailbox_order_where_that_is_switched_on(void)
{
	uint8_t bytes[512];
	struct room room;
	uint64_t off;

	room_open(&room, 1);
	put_list(&room, bytes, make_skiplist(bytes));
	CU_ASSERT_EQUAL(check_list(&room, &off), -EBADMSG);
	CU_ASSERT_EQUAL(walk(&room), -EBADMSG);
	CU_ASSERT_EQUAL(room.nr_live, 1);
	CU_ASSERT_EQUAL(imapd_conf_parse(&room.conf, span_of_str("improved_mboxlist_sort: yes\n"),
					 "more", 0, NULL, NULL, NULL),
			0);
	CU_ASSERT_EQUAL(walk(&room), 0);
	CU_ASSERT_EQUAL(room.nr_live, 3); /* the first twice, for the walk began again */
	CU_ASSERT_EQUAL(room.nr_restarts, 1);
	CU_ASSERT_EQUAL(check_list(&room, &off), 0);
	/* What is wrong in any order, and where. */
	bytes[144 + 3] = 7; /* the type of the first record */
	put_list(&room, bytes, sizeof(bytes));
	CU_ASSERT_EQUAL(check_list(&room, &off), -EBADMSG);
	CU_ASSERT_EQUAL(off, 144);
	/* What is in the order of bytes is read as before. */
	put_text(&room, "Nuser.a" LIVE);
	CU_ASSERT_EQUAL(walk(&room), 0);
	CU_ASSERT_EQUAL(room.nr_restarts, 0);
	room_close(&room);
}

static void takes_nothing_for_an_empty_list(void)
{
	static const char zeros[4096];
	struct room room;

	room_open(&room, 1);
	put_list(&room, zeros, 0);
	CU_ASSERT_EQUAL(walk(&room), -EBADMSG);
	put_list(&room, zeros, sizeof(zeros));
	CU_ASSERT_EQUAL(walk(&room), -EBADMSG);
	put_list(&room, zeros, 1);
	CU_ASSERT_EQUAL(walk(&room), -EBADMSG);
	put_text(&room, "no list at all\n");
	CU_ASSERT_EQUAL(walk(&room), -EBADMSG);
	CU_ASSERT_EQUAL(room.nr_live + room.nr_odd, 0);
	room_close(&room);
}

static void opens_nothing_but_a_database_that_is_known(void)
{
	struct room room;

	room_open(&room, 1);
	CU_ASSERT_EQUAL(unlink(room.db), 0);
	CU_ASSERT_EQUAL(walk(&room), -ENOENT);
	CU_ASSERT_EQUAL(mkfifo(room.db, 0600), 0); /* must not wait for a writer */
	CU_ASSERT_EQUAL(walk(&room), -EINVAL);
	CU_ASSERT_EQUAL(unlink(room.db), 0);
	CU_ASSERT_EQUAL(mkdir(room.db, 0700), 0);
	CU_ASSERT_EQUAL(walk(&room), -EINVAL);
	CU_ASSERT_EQUAL(rmdir(room.db), 0);
	CU_ASSERT_EQUAL(symlink("/etc/passwd", room.db), 0);
	CU_ASSERT_EQUAL(walk(&room), -ELOOP);
	CU_ASSERT_EQUAL(unlink(room.db), 0);
	FILE *file = fopen(room.db, "wbe");
	CU_ASSERT_PTR_NOT_NULL_FATAL(file);
	(void)fprintf(file, "SQLite format 3%c%0100d", 0, 0);
	CU_ASSERT_EQUAL(fclose(file), 0);
	CU_ASSERT_EQUAL(walk(&room), -EPROTONOSUPPORT);
	room_close(&room);
}

static const struct test_case cases[] = {
	CASE(hands_out_every_live_mailbox_once),
	CASE(stops_where_it_is_told_and_says_so),
	CASE(hands_out_what_it_does_not_understand_as_such),
	CASE(a_damaged_list_is_an_error_wherever_the_damage_is),
	CASE(reads_a_list_that_is_flat),
	CASE(reads_a_list_in_mailbox_order_where_that_is_switched_on),
	CASE(takes_nothing_for_an_empty_list),
	CASE(opens_nothing_but_a_database_that_is_known),
};

const struct test_suite suite_verify_list = { "verify/list", cases, array_size(cases) };

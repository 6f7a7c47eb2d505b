// SPDX-License-Identifier: Apache-2.0
/*
 * The sync log: every type, every way to write an argument, and every line that is no event. What
 * Cyrus would drop is never an event, and never takes its neighbours with it.
 */
#include "suites.h"

#include <CUnit/CUnit.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "replica/synclog.h"

#define SPAN(text)                                                                                 \
	{                                                                                          \
		(const uint8_t *)(text), sizeof(text) - 1                                          \
	}
#define LINE(text) ((struct span)SPAN(text))

static void check_event(struct span line, enum event_type type, const char *first,
			const char *second)
{
	struct event event = EVENT_NULL;

	CU_ASSERT_EQUAL_FATAL(synclog_parse_line(line, &event), 0);
	CU_ASSERT_EQUAL(event.type, type);
	CU_ASSERT_EQUAL(event.nr_args, second ? 2 : 1);
	CU_ASSERT_STRING_EQUAL(buf_str(&event.args[0]), first);
	if (second)
		CU_ASSERT_STRING_EQUAL(buf_str(&event.args[1]), second);
	event_fini(&event);
	event_fini(&event);
}

static void parses_every_type(void)
{
	static const struct {
		const char *name;
		unsigned nr_args;
	} types[EVENT_TYPE_COUNT_] = {
		[EVENT_APPEND] = { "APPEND", 1 },
		[EVENT_MAILBOX] = { "MAILBOX", 1 },
		[EVENT_DOUBLEMAILBOX] = { "DOUBLEMAILBOX", 2 },
		[EVENT_RENAME] = { "RENAME", 2 },
		[EVENT_UNMAILBOX] = { "UNMAILBOX", 1 },
		[EVENT_USER] = { "USER", 1 },
		[EVENT_UNUSER] = { "UNUSER", 1 },
		[EVENT_META] = { "META", 1 },
		[EVENT_SIEVE] = { "SIEVE", 1 },
		[EVENT_SEEN] = { "SEEN", 2 },
		[EVENT_SUB] = { "SUB", 2 },
		[EVENT_UNSUB] = { "UNSUB", 2 },
		[EVENT_QUOTA] = { "QUOTA", 1 },
		[EVENT_ANNOTATION] = { "ANNOTATION", 1 },
	};
	struct event event = EVENT_NULL;
	char line[64];

	for (int i = 0; i < EVENT_TYPE_COUNT_; i++) {
		CU_ASSERT_STRING_EQUAL(event_type_name((enum event_type)i), types[i].name);
		for (unsigned nr = 0; nr <= 3; nr++) {
			(void)snprintf(line, sizeof(line), "%s%.*s", types[i].name, (int)nr * 2,
				       " a b c");
			int r = synclog_parse_line(span_of_str(line), &event);
			CU_ASSERT_EQUAL(r, nr == types[i].nr_args ? 0 : -EBADMSG);
			if (r == 0) {
				CU_ASSERT_EQUAL((int)event.type, i);
				CU_ASSERT_EQUAL(event.nr_args, nr);
			}
		}
	}
	CU_ASSERT_PTR_NULL(event_type_name(EVENT_TYPE_COUNT_));
	event_fini(&event);
}

static void reads_arguments_however_they_are_written(void)
{
	check_event(LINE("MAILBOX user.joe"), EVENT_MAILBOX, "user.joe", NULL);
	check_event(LINE("mailbox user.joe"), EVENT_MAILBOX, "user.joe", NULL);
	check_event(LINE("MAILBOX \"user.joe smith\""), EVENT_MAILBOX, "user.joe smith", NULL);
	check_event(LINE("MAILBOX \"a\\\"b\\\\c\""), EVENT_MAILBOX, "a\"b\\c", NULL);
	check_event(LINE("MAILBOX \"\""), EVENT_MAILBOX, "", NULL);
	check_event(LINE("MAILBOX {3}\r\na\nb"), EVENT_MAILBOX, "a\nb", NULL);
	check_event(LINE("MAILBOX {3+}\r\na b"), EVENT_MAILBOX, "a b", NULL);
	check_event(LINE("MAILBOX {3}\na b"), EVENT_MAILBOX, "a b", NULL);
	check_event(LINE("RENAME \"a b\" {3}\r\nc d"), EVENT_RENAME, "a b", "c d");
	check_event(LINE("RENAME {3}\r\nc d e"), EVENT_RENAME, "c d", "e");
	check_event(LINE("RENAME {1}\r\na {1}\r\nb"), EVENT_RENAME, "a", "b");
	check_event(LINE("SEEN joe user.\xc3\xa9"), EVENT_SEEN, "joe", "user.\xc3\xa9");
	check_event(LINE("MAILBOX user.a{1}"), EVENT_MAILBOX, "user.a{1}", NULL);
}

static void refuses_lines_that_are_no_event(void)
{
	static const struct span lines[] = {
		SPAN(""),
		SPAN(" "),
		SPAN("MAILBOX"),
		SPAN("MAILBOX "),
		SPAN("MAILBOX  a"),
		SPAN(" MAILBOX a"),
		SPAN("MAILBOX a "),
		SPAN("MAILBOXES a"),
		SPAN("MAIL a"),
		SPAN("FROB a"),
		SPAN("MAILBOX a b"),
		SPAN("RENAME a"),
		SPAN("RENAME a b c"),
		SPAN("RENAME a  b"),
		SPAN("MAILBOX \"a"),
		SPAN("MAILBOX \"a\\\""),
		SPAN("MAILBOX \"a\"b"),
		SPAN("MAILBOX \"a\" "),
		SPAN("MAILBOX \""),
		SPAN("MAILBOX {"),
		SPAN("MAILBOX {3"),
		SPAN("MAILBOX {3}"),
		SPAN("MAILBOX {3}\r\nab"),
		SPAN("MAILBOX {x}\r\nab"),
		SPAN("MAILBOX {-1}\r\nab"),
		SPAN("MAILBOX {}\r\nab"),
		SPAN("MAILBOX {2}\r\nabc"),
		SPAN("MAILBOX {99999999999999999999}\r\nab"),
		SPAN("MAILBOX {65537}\r\nab"),
		SPAN("\0MAILBOX a"),
		SPAN("MAILBOX\0a"),
		SPAN("\xff\xfe\xfd \x80"),
		SPAN("{3}\r\nabc"),
	};
	struct event event = EVENT_NULL;

	for (size_t i = 0; i < array_size(lines); i++) {
		/* A copy of just that length, so that a sanitizer sees one byte too many. */
		uint8_t *copy = malloc(lines[i].len + 1);
		CU_ASSERT_PTR_NOT_NULL_FATAL(copy);
		memcpy(copy + 1, lines[i].data, lines[i].len);
		CU_ASSERT_EQUAL(synclog_parse_line(span_of(copy + 1, lines[i].len), &event),
				-EBADMSG);
		CU_ASSERT_EQUAL(event.nr_args, 0);
		free(copy);
	}
	event_fini(&event);
}

static void takes_lines_off_one_by_one(void)
{
	static const struct {
		struct span text;
		struct span line, rest;
		int result;
	} rows[] = {
		{ SPAN("a\nb\n"), SPAN("a"), SPAN("b\n"), 0 },
		{ SPAN("a\r\nb\n"), SPAN("a"), SPAN("b\n"), 0 },
		{ SPAN("\nb\n"), SPAN(""), SPAN("b\n"), 0 },
		{ SPAN("a\n"), SPAN("a"), SPAN(""), 0 },
		{ SPAN("a"), SPAN("a"), SPAN(""), SYNCLOG_TORN },
		{ SPAN("a\r"), SPAN("a\r"), SPAN(""), SYNCLOG_TORN },
		{ SPAN("MAILBOX {3}\r\na\nb\nc\n"), SPAN("MAILBOX {3}\r\na\nb"), SPAN("c\n"), 0 },
		{ SPAN("RENAME {1}\r\n\n {1}\r\n\n\nc\n"), SPAN("RENAME {1}\r\n\n {1}\r\n\n"),
		  SPAN("c\n"), 0 },
		/* Not a literal: nothing but an argument may announce one. */
		{ SPAN("MAILBOX a{3}\nb\n"), SPAN("MAILBOX a{3}"), SPAN("b\n"), 0 },
		{ SPAN("{3}\nb\n"), SPAN("{3}"), SPAN("b\n"), 0 },
		{ SPAN("MAILBOX {99999999}\nb\n"), SPAN("MAILBOX {99999999}"), SPAN("b\n"), 0 },
		/* The text ends within the literal, or before the LF behind it. */
		{ SPAN("MAILBOX {3}\r\nab"), SPAN("MAILBOX {3}\r\nab"), SPAN(""), SYNCLOG_TORN },
		{ SPAN("MAILBOX {3}\r\nabc"), SPAN("MAILBOX {3}\r\nabc"), SPAN(""), SYNCLOG_TORN },
		{ SPAN("MAILBOX {3}\r\n"), SPAN("MAILBOX {3}\r\n"), SPAN(""), SYNCLOG_TORN },
	};
	struct span line, rest;

	for (size_t i = 0; i < array_size(rows); i++) {
		line = rest = SPAN_NULL;
		CU_ASSERT_EQUAL(synclog_next_line(rows[i].text, &line, &rest), rows[i].result);
		CU_ASSERT_TRUE(span_equals(line, rows[i].line));
		CU_ASSERT_TRUE(span_equals(rest, rows[i].rest));
	}
	CU_ASSERT_EQUAL(synclog_next_line(SPAN_NULL, &line, &rest), SYNCLOG_END);
}

static void names_the_users_an_event_concerns(void)
{
	static const struct {
		const char *line;
		const char *users[2];
		bool is_mailbox[2];
	} rows[] = {
		{ "APPEND user.joe", { "joe", NULL }, { true, false } },
		{ "MAILBOX user.joe^smith.Sent", { "joe.smith", NULL }, { true, false } },
		{ "MAILBOX example.com!user.zoe.a", { "zoe@example.com", NULL }, { true, false } },
		{ "MAILBOX shared.news", { NULL, NULL }, { true, false } },
		{ "MAILBOX DELETED.user.joe.Sent.5F5E1000", { "joe", NULL }, { true, false } },
		{ "RENAME user.a user.b", { "a", "b" }, { true, true } },
		{ "RENAME user.a shared", { "a", NULL }, { true, true } },
		{ "USER joe.smith", { "joe.smith", NULL }, { false, false } },
		{ "SEEN joe user.ann", { "joe", NULL }, { false, false } },
		{ "SUB joe user.ann", { "joe", "ann" }, { false, true } },
		{ "QUOTA user.joe", { "joe", NULL }, { false, false } },
		{ "MAILBOX \"\"", { NULL, NULL }, { false, false } },
		{ "USER \"\"", { NULL, NULL }, { false, false } },
	};
	struct event event = EVENT_NULL;
	struct buf user = BUF_NULL;

	for (size_t i = 0; i < array_size(rows); i++) {
		CU_ASSERT_EQUAL(synclog_parse_line(span_of_str(rows[i].line), &event), 0);
		for (size_t arg = 0; arg < 3; arg++) {
			const char *wanted = arg < 2 ? rows[i].users[arg] : NULL;
			buf_clear(&user);
			bool has = event_add_user(&user, &event, arg, "DELETED");
			CU_ASSERT_EQUAL(has, wanted != NULL);
			CU_ASSERT_STRING_EQUAL(buf_str(&user), wanted ? wanted : "");
			CU_ASSERT_EQUAL(event_arg_is_mailbox(&event, arg),
					arg < 2 && rows[i].is_mailbox[arg]);
		}
	}
	buf_fini(&user);
	event_fini(&event);
}

static void forgets_the_arguments_of_the_line_before(void)
{
	struct event event = EVENT_NULL;

	CU_ASSERT_EQUAL(synclog_parse_line(LINE("RENAME user.long.name user.other"), &event), 0);
	CU_ASSERT_EQUAL(synclog_parse_line(LINE("garbage"), &event), -EBADMSG);
	CU_ASSERT_EQUAL(event.nr_args, 0);
	CU_ASSERT_EQUAL(synclog_parse_line(LINE("USER a"), &event), 0);
	CU_ASSERT_EQUAL(event.nr_args, 1);
	CU_ASSERT_STRING_EQUAL(buf_str(&event.args[0]), "a");
	CU_ASSERT_FALSE(event_arg_is_mailbox(&event, 1));
	event_fini(&event);
}

static const struct test_case cases[] = {
	CASE(parses_every_type),
	CASE(reads_arguments_however_they_are_written),
	CASE(refuses_lines_that_are_no_event),
	CASE(takes_lines_off_one_by_one),
	CASE(names_the_users_an_event_concerns),
	CASE(forgets_the_arguments_of_the_line_before),
};

const struct test_suite suite_replica_synclog = { "replica/synclog", cases, array_size(cases) };

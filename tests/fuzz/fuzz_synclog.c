// SPDX-License-Identifier: Apache-2.0
/*
 * Fuzzes the replication log: lines lie inside the text, one behind the other, and the walk ends;
 * an event that is accepted has all its arguments.
 */
#include <stdlib.h>

#include "replica/synclog.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok)
{
	if (!ok)
		abort();
}

static void check_event(struct event *event, struct span line)
{
	struct buf user = BUF_NULL;
	uint64_t total = 0;

	require(event->type < EVENT_TYPE_COUNT_ && event_type_name(event->type));
	require(event->nr_args >= 1 && event->nr_args <= EVENT_ARGS_MAX);
	for (size_t i = 0; i <= EVENT_ARGS_MAX; i++) {
		buf_clear(&user);
		bool has = event_add_user(&user, event, i, "DELETED");
		require(has == (user.len > 0));
		require(i < event->nr_args || (!has && !event_arg_is_mailbox(event, i)));
		if (i < event->nr_args)
			total += event->args[i].len;
	}
	require(total < line.len); /* the type and a space stand before them */
	buf_fini(&user);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span text = span_of(data, size), line, rest;
	struct event event = EVENT_NULL;
	int r;

	while ((r = synclog_next_line(text, &line, &rest)) != SYNCLOG_END) {
		require(r == 0 || r == SYNCLOG_TORN);
		require(line.data == text.data && line.len <= text.len);
		require(rest.len < text.len);
		require(r == 0 || rest.len == 0);
		if (rest.len)
			require(rest.data + rest.len == text.data + text.len);
		if (synclog_parse_line(line, &event) == 0)
			check_event(&event, line);
		else
			require(event.nr_args == 0);
		text = rest;
	}
	event_fini(&event);
	return 0;
}

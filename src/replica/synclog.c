/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Line and argument grammar of the replication log. Nothing here reads a file: hostile text in,
 * events or a refusal out.
 */
#include "replica/synclog.h"

#include <errno.h>
#include <strings.h>

#include "format/cyrus/mboxlist.h"

#define LITERAL_MAX (64 * 1024) /* bytes: longer than any mailbox name that Cyrus accepts */

/* What each argument of a type names. */
enum arg_kind { ARG_NONE, ARG_MAILBOX, ARG_USER, ARG_OTHER };

static const struct event_shape {
	const char *name;
	enum arg_kind args[EVENT_ARGS_MAX];
} shapes[EVENT_TYPE_COUNT_] = {
	[EVENT_APPEND] = { "APPEND", { ARG_MAILBOX } },
	[EVENT_MAILBOX] = { "MAILBOX", { ARG_MAILBOX } },
	[EVENT_DOUBLEMAILBOX] = { "DOUBLEMAILBOX", { ARG_MAILBOX, ARG_MAILBOX } },
	[EVENT_RENAME] = { "RENAME", { ARG_MAILBOX, ARG_MAILBOX } },
	[EVENT_UNMAILBOX] = { "UNMAILBOX", { ARG_MAILBOX } },
	[EVENT_USER] = { "USER", { ARG_USER } },
	[EVENT_UNUSER] = { "UNUSER", { ARG_USER } },
	[EVENT_META] = { "META", { ARG_USER } },
	[EVENT_SIEVE] = { "SIEVE", { ARG_USER } },
	[EVENT_SEEN] = { "SEEN", { ARG_USER, ARG_OTHER } },
	[EVENT_SUB] = { "SUB", { ARG_USER, ARG_MAILBOX } },
	[EVENT_UNSUB] = { "UNSUB", { ARG_USER, ARG_MAILBOX } },
	/* A quota root is named like the mailbox it is set on. */
	[EVENT_QUOTA] = { "QUOTA", { ARG_MAILBOX } },
	[EVENT_ANNOTATION] = { "ANNOTATION", { ARG_MAILBOX } },
};

const char *event_type_name(enum event_type type)
{
	return type < EVENT_TYPE_COUNT_ ? shapes[type].name : NULL;
}

void event_fini(struct event *event)
{
	for (size_t i = 0; i < EVENT_ARGS_MAX; i++)
		buf_fini(&event->args[i]);
	event->nr_args = 0;
}

/* Length of the literal announced by `{n}` or `{n+}` at the end of `line`; 0 when there is none. */
static uint64_t literal_len(struct span line)
{
	struct span digits = line;
	uint64_t n, open;

	if (digits.len < 3 || digits.data[digits.len - 1] != '}')
		return 0;
	digits.len--;
	if (digits.data[digits.len - 1] == '+')
		digits.len--;
	for (open = digits.len; open > 0 && digits.data[open - 1] != '{'; open--)
		;
	/* A literal stands where an argument may: behind a space. */
	if (open < 2 || digits.data[open - 2] != ' ')
		return 0;
	digits = span_of(digits.data + open, digits.len - open);
	return span_parse_u64(digits, LITERAL_MAX, &n) ? 0 : n;
}

int synclog_next_line(struct span text, struct span *ret_line, struct span *rest)
{
	uint64_t from = 0, start = 0;

	if (text.len == 0)
		return SYNCLOG_END;
	for (;;) {
		struct span tail = span_of(text.data + from, text.len - from);
		uint64_t lf = span_find(tail, '\n');
		if (lf == tail.len) {
			*ret_line = text;
			*rest = SPAN_NULL;
			return SYNCLOG_TORN;
		}
		uint64_t end = from + lf;
		struct span line = span_of(text.data, end);
		if (line.len && line.data[line.len - 1] == '\r')
			line.len--;
		struct span current = span_of(text.data + start, line.len - min_of(start, line.len));
		uint64_t literal = literal_len(current);
		if (literal == 0) {
			*ret_line = line;
			*rest = span_of(text.data + end + 1, text.len - end - 1);
			return 0;
		}
		if (literal > text.len - end - 1) { /* more of it may follow */
			*ret_line = text;
			*rest = SPAN_NULL;
			return SYNCLOG_TORN;
		}
		start = from = end + 1 + literal;
	}
}

static int parse_quoted(struct span *rest, struct buf *arg)
{
	for (uint64_t i = 1; i < rest->len; i++) {
		uint8_t c = rest->data[i];
		if (c == '"') {
			*rest = span_of(rest->data + i + 1, rest->len - i - 1);
			return buf_error(arg);
		}
		if (c == '\\' && ++i < rest->len)
			c = rest->data[i];
		buf_add_char(arg, (char)c);
	}
	return -EBADMSG;
}

static int parse_literal(struct span *rest, struct buf *arg)
{
	uint64_t lf = span_find(*rest, '\n');
	struct span head = span_of(rest->data, lf);
	uint64_t n;

	if (lf == rest->len)
		return -EBADMSG;
	if (head.len && head.data[head.len - 1] == '\r')
		head.len--;
	if (head.len < 3 || head.data[head.len - 1] != '}')
		return -EBADMSG;
	head = span_of(head.data + 1, head.len - 2);
	if (head.len && head.data[head.len - 1] == '+')
		head.len--;
	if (span_parse_u64(head, LITERAL_MAX, &n) || n > rest->len - lf - 1)
		return -EBADMSG;
	buf_add(arg, rest->data + lf + 1, n);
	*rest = span_of(rest->data + lf + 1 + n, rest->len - lf - 1 - n);
	return buf_error(arg);
}

/* One astring off the front of `rest`, and the space behind it. */
static int parse_arg(struct span *rest, struct buf *arg)
{
	int r = 0;

	buf_clear(arg);
	if (rest->len == 0)
		return -EBADMSG;
	if (rest->data[0] == '"') {
		r = parse_quoted(rest, arg);
	} else if (rest->data[0] == '{') {
		r = parse_literal(rest, arg);
	} else {
		uint64_t len = span_find(*rest, ' ');
		if (len == 0)
			return -EBADMSG;
		buf_add(arg, rest->data, len);
		*rest = span_of(rest->data + len, rest->len - len);
		r = buf_error(arg);
	}
	if (r == 0 && rest->len) {
		if (rest->data[0] != ' ' || rest->len == 1)
			return -EBADMSG;
		*rest = span_of(rest->data + 1, rest->len - 1);
	}
	return r;
}

int synclog_parse_line(struct span line, struct event *event)
{
	uint64_t space = span_find(line, ' ');
	struct span rest;
	size_t type, nr_wanted;

	event->nr_args = 0;
	if (span_sub(line, space + 1, line.len - min_of(space + 1, line.len), &rest) ||
	    rest.len == 0)
		return -EBADMSG;
	for (type = 0; type < EVENT_TYPE_COUNT_; type++)
		if (strlen(shapes[type].name) == space &&
		    strncasecmp((const char *)line.data, shapes[type].name, space) == 0)
			break;
	if (type == EVENT_TYPE_COUNT_)
		return -EBADMSG;
	nr_wanted = shapes[type].args[1] == ARG_NONE ? 1 : 2;
	for (size_t i = 0; i < nr_wanted; i++) {
		int r = parse_arg(&rest, &event->args[i]);
		if (r)
			return r;
	}
	if (rest.len)
		return -EBADMSG;
	event->type = (enum event_type)type;
	event->nr_args = nr_wanted;
	return 0;
}

bool event_arg_is_mailbox(const struct event *event, size_t arg)
{
	return arg < event->nr_args && event->type != EVENT_QUOTA &&
	       shapes[event->type].args[arg] == ARG_MAILBOX && event->args[arg].len > 0;
}

bool event_add_user(struct buf *b, const struct event *event, size_t arg,
		    const char *deleted_prefix)
{
	if (arg >= event->nr_args)
		return false;
	switch (shapes[event->type].args[arg]) {
	case ARG_MAILBOX:
		return mailbox_name_add_user(b, buf_span(&event->args[arg]), deleted_prefix);
	case ARG_USER:
		buf_add_span(b, buf_span(&event->args[arg]));
		return event->args[arg].len > 0;
	case ARG_NONE:
	case ARG_OTHER:
		break;
	}
	return false;
}

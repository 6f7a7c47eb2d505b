/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One line of a Cyrus replication log is one event: `TYPE SP arg [SP arg] LF`. It carries no time
 * and no number. Arguments are astrings: bare, "quoted" with backslashes, or an IMAP literal.
 * Names are internal names. Source: the grammar of imap/sync_log.c from 2.3 to 3.12; lines written
 * by 3.6.1.
 */
#ifndef REPLICA_SYNCLOG_H
#define REPLICA_SYNCLOG_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "base/span.h"

enum event_type {
	EVENT_APPEND,
	EVENT_MAILBOX,
	EVENT_DOUBLEMAILBOX,
	EVENT_RENAME,
	EVENT_UNMAILBOX,
	EVENT_USER,
	EVENT_UNUSER,
	EVENT_META,
	EVENT_SIEVE,
	EVENT_SEEN,
	EVENT_SUB,
	EVENT_UNSUB,
	EVENT_QUOTA,
	EVENT_ANNOTATION,
	EVENT_TYPE_COUNT_,
};

const char *event_type_name(enum event_type type); /* "APPEND"; NULL outside the enum */

#define EVENT_ARGS_MAX 2

struct event {
	enum event_type type;
	struct buf args[EVENT_ARGS_MAX]; /* unquoted; reused from call to call */
	size_t nr_args;
};

#define EVENT_NULL ((struct event){ .nr_args = 0 })

/* May be called twice, and on EVENT_NULL. */
void event_fini(struct event *event);

/*
 * Takes one line off the front of `text`: *ret_line is the line without its LF (and CR), *rest
 * what follows. A literal's bytes belong to its line. 0; SYNCLOG_TORN: the text ends before a
 * LF (*ret_line is what there is): Cyrus drops such a line without a word; SYNCLOG_END: no text.
 */
enum { SYNCLOG_TORN = 1, SYNCLOG_END = 2 };
int synclog_next_line(struct span text, struct span *ret_line, struct span *rest) must_check;

/*
 * Parses one line. 0; -EBADMSG: not an event (unknown type, no argument, too many, bad quoting):
 * Cyrus skips such a line; -ENOMEM.
 */
int synclog_parse_line(struct span line, struct event *event) must_check;

/*
 * Appends the user an event concerns, as a person writes it; false for an event of a shared
 * mailbox or of the server. `arg` chooses the argument (a RENAME may concern two users).
 */
bool event_add_user(struct buf *b, const struct event *event, size_t arg,
		    const char *deleted_prefix);

/* True when argument `arg` is the name of a mailbox. */
bool event_arg_is_mailbox(const struct event *event, size_t arg);

#endif

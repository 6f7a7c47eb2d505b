/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names are compared in their internal form; a name that is one already stays as it is.
 */
#include "verify/select.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "format/cyrus/mboxlist.h"

void mailbox_name_add_internal(struct buf *b, const struct imapd_conf *conf, const char *external)
{
	bool unix_separator = true;
	const char *at = strrchr(external, '@');
	size_t len = at && at != external ? (size_t)(at - external) : strlen(external);

	if (imapd_conf_get_switch(conf, "unixhierarchysep", true, NULL, &unix_separator))
		unix_separator = true;
	if (at && at != external)
		buf_addf(b, "%s!", at + 1);
	for (size_t i = 0; i < len; i++) {
		char c = external[i];
		if (unix_separator)
			c = c == '/' ? '.' : c == '.' ? '^' : c;
		buf_add_char(b, c);
	}
}

static bool is_named(const struct scan_selection *selection, const struct imapd_conf *conf,
		     struct span name)
{
	bool found = false;

	for (size_t i = 0; !found && i < selection->nr_mailboxes; i++) {
		struct buf internal = BUF_NULL;
		mailbox_name_add_internal(&internal, conf, selection->mailboxes[i]);
		found = span_equals_str(name, selection->mailboxes[i]) ||
			(buf_error(&internal) == 0 && span_equals(name, buf_span(&internal)));
		buf_fini(&internal);
	}
	return found;
}

static bool is_of_user(const struct scan_selection *selection, const struct imapd_conf *conf,
		       struct span name)
{
	const char *prefix = imapd_conf_get(conf, "deletedprefix", "DELETED");
	struct buf user = BUF_NULL;
	bool found = false;

	if (selection->nr_users && mailbox_name_add_user(&user, name, prefix))
		for (size_t i = 0; !found && i < selection->nr_users; i++)
			found = span_equals_str(buf_span(&user), selection->users[i]);
	buf_fini(&user);
	return found;
}

bool selection_wants(const struct scan_selection *selection, const struct imapd_conf *conf,
		     const struct map *found, const struct mailbox_row *row)
{
	if (selection->only_findings && !map_get(found, row->key, NULL))
		return false;
	if (selection->nr_mailboxes == 0 && selection->nr_users == 0)
		return true;
	return is_named(selection, conf, row->name) || is_of_user(selection, conf, row->name);
}

void selection_add_scope(struct buf *b, const struct scan_selection *selection, bool quick,
			 int64_t since_ns)
{
	char time[64];

	if (quick)
		buf_add_str(b, " quick");
	for (size_t i = 0; i < selection->nr_mailboxes; i++) {
		buf_add_str(b, " mailbox ");
		text_add_printable(b, span_of_str(selection->mailboxes[i]));
	}
	for (size_t i = 0; i < selection->nr_users; i++) {
		buf_add_str(b, " user ");
		text_add_printable(b, span_of_str(selection->users[i]));
	}
	if (selection->only_findings)
		buf_add_str(b, " only-findings");
	if (since_ns)
		buf_addf(b, " since %s", text_time(since_ns, time, sizeof(time)));
	/* The words are apart, not the first from nothing. */
	if (b->len && b->data[0] == ' ') {
		memmove(b->data, b->data + 1, b->len);
		b->len--;
	}
}

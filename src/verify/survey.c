/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Survey: which mailboxes there are. The list goes from mailboxes.db into state, which bounds
 * memory and is what coverage hangs on.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "format/cyrus/layout.h"
#include "verify/list.h"
#include "verify/scanning.h"

static int put_gap(struct scanning *s, struct span key)
{
	struct buf why = BUF_NULL;

	/* The record's CRC is right, so Cyrus wrote it; we do not understand it. */
	buf_add_str(&why, "an entry is not understood: ");
	text_add_printable(&why, key);
	int r = buf_error(&why);
	if (r == 0)
		r = scanning_gap(s, NULL, "mailboxes.db", buf_str(&why));
	buf_fini(&why);
	return r;
}

/*
 * A second mailbox of one unique id is noted, and kept under its name. After the walk has begun
 * again it may be the same one, renamed: whoever looks at ids again will see.
 */
static int put_twin(struct scanning *s, const struct mailbox_entry *entry, struct buf *key,
		    struct mailbox_row *row)
{
	struct mailbox_row other;
	int r = row->has_unique_id ? state_mailbox_find_key(s->state, s->target_id, s->run.id,
							    row->key, &other)
				   : -ENOENT;

	if (r)
		return r == -ENOENT ? 0 : r;
	if (span_equals(other.name, row->name))
		return 0;
	r = ids_suspect(s, row->key);
	if (r || !entry->legacy_dirs) /* by its unique id it has the same files */
		return r;
	buf_add_str(key, "twin:");
	buf_add_span(key, row->name);
	row->key = buf_span(key);
	row->has_unique_id = false;
	return buf_error(key);
}

static int put_entry(const struct mailbox_entry *entry, struct span record_key, bool restart,
		     void *ctx)
{
	struct scanning *s = ctx;
	struct buf key = BUF_NULL;

	if (restart)
		s->nr_mailboxes_total = 0;
	if (!entry)
		return put_gap(s, record_key);
	bool has_unique_id = entry->unique_id.len > 0;
	if (!has_unique_id) {
		buf_add_str(&key, "name:");
		buf_add_span(&key, buf_span(&entry->name));
	}
	struct mailbox_row row = {
		.key = has_unique_id ? buf_span(&entry->unique_id) : buf_span(&key),
		.name = buf_span(&entry->name),
		.partition = buf_span(&entry->partition),
		.acl = buf_span(&entry->acl),
		.uidvalidity = entry->uidvalidity,
		.legacy_dirs = entry->legacy_dirs,
		.has_unique_id = has_unique_id,
	};
	int r = buf_error(&key);
	if (r == 0)
		r = put_twin(s, entry, &key, &row);
	if (r == 0)
		r = state_mailbox_put(s->state, s->target_id, s->run.id, &row);
	if (r == 0)
		s->nr_mailboxes_total++;
	buf_fini(&key);
	return r;
}

/* One transaction for the whole list: a few microseconds a mailbox. */
static int list_into_state(struct scanning *s)
{
	int r = scanning_write(s);

	if (r)
		return r;
	s->nr_mailboxes_total = 0;
	r = list_walk(&s->target->imapd_conf, s->target->image, put_entry, s);
	int committed = scanning_flush(s);
	return r ? r : committed;
}

/* Where the list is damaged, as words; none if that is not to be had. */
static void find_damage(struct scanning *s, const char *path, char *out, size_t size)
{
	struct source src = SOURCE_NULL;
	uint64_t off = 0;

	if (image_open_source(s->target->image, path, &src) == 0 &&
	    list_check(&s->target->imapd_conf, &src, &off) == -EBADMSG)
		(void)snprintf(out, size, " at byte %" PRIu64, off);
	source_close(&src);
}

/* What is wrong with the list itself, said after it was wrong twice. */
static int list_failed(struct scanning *s, int error)
{
	struct buf path = BUF_NULL, why = BUF_NULL;
	char where[48] = "";
	enum finding_code code = error == -EBADMSG ? FINDING_LIST_CORRUPT : FINDING_LIST_UNREADABLE;
	int r = 0;

	s->list_is_damaged = error == -EBADMSG;
	layout_add_mailboxes_db(&path, &s->target->imapd_conf);
	if (error == -EBADMSG)
		find_damage(s, buf_str(&path), where, sizeof(where));
	buf_addf(&why, "mailboxes.db: %s%s: mailboxes may have been left out",
		 error == -EBADMSG	     ? "damaged"
		 : error == -EPROTONOSUPPORT ? "an engine or record format that is not known here"
		 : error == -EAGAIN	     ? "changed under every attempt to read it"
					     : strerror(-error),
		 where);
	r = buf_error(&path) ? -ENOMEM : buf_error(&why);
	if (r == 0 && (error == -EBADMSG || file_error_is_media(error))) {
		struct finding finding = {
			.verdict = finding_code_verdict(code),
			.severity = finding_code_severity(code),
			.code = finding_code_name(code),
			.object = "list",
			.path = buf_span(&path),
			.detail = buf_str(&why),
		};
		r = scanning_finding(s, &finding);
	}
	if (r == 0)
		r = scanning_gap(s, NULL, buf_str(&path), buf_str(&why));
	buf_fini(&path);
	buf_fini(&why);
	return r;
}

static bool is_about_the_list(int error)
{
	return error == -EBADMSG || error == -EPROTONOSUPPORT || error == -EAGAIN ||
	       error == -ENOENT || error == -EACCES || error == -ELOOP || error == -EINVAL ||
	       error == -EPERM || file_error_is_media(error);
}

int survey_mailboxes(struct scanning *s)
{
	int r = list_into_state(s);

	if (r == -EBADMSG || file_error_is_media(r)) {
		clock_sleep_ns(s->options->settle_ns);
		r = list_into_state(s);
	}
	s->survey_whole = r == 0;
	if (is_about_the_list(r))
		r = list_failed(s, r);
	return r;
}

struct looking_for {
	const struct mailbox *mailbox;
	bool found;
	struct mailbox *moved; /* the latest place that is not the old one */
};

static bool same_place(const struct mailbox_entry *a, const struct mailbox_entry *b)
{
	return span_equals(buf_span(&a->partition), buf_span(&b->partition)) &&
	       a->legacy_dirs == b->legacy_dirs &&
	       (!a->legacy_dirs || span_equals(buf_span(&a->name), buf_span(&b->name)));
}

static int compare_entry(const struct mailbox_entry *entry, struct span key, bool restart,
			 void *ctx)
{
	struct looking_for *wanted = ctx;
	const struct mailbox_entry *mine = &wanted->mailbox->entry;
	bool by_id = mine->unique_id.len > 0;

	(void)key;
	if (restart) {
		wanted->found = false;
		mailbox_unref(take(wanted->moved));
	}
	if (!entry || !span_equals(buf_span(by_id ? &entry->unique_id : &entry->name),
				   buf_span(by_id ? &mine->unique_id : &mine->name)))
		return 0;
	if (same_place(entry, mine)) {
		wanted->found = true;
		return 0;
	}
	struct mailbox_row row = {
		.key = buf_span(&wanted->mailbox->key),
		.name = buf_span(&entry->name),
		.partition = buf_span(&entry->partition),
		.acl = buf_span(&entry->acl),
		.uidvalidity = entry->uidvalidity,
		.legacy_dirs = entry->legacy_dirs,
		.has_unique_id = by_id,
	};
	mailbox_unref(take(wanted->moved));
	int r = mailbox_new(wanted->mailbox->conf, wanted->mailbox->image, &row, &wanted->moved);
	if (r == 0)
		wanted->moved->passes = wanted->mailbox->passes + 1;
	return r;
}

/* Is this report about what the list says, so that the list must be asked again? */
static bool is_about_the_entry(const struct report *report)
{
	for (size_t i = 0; i < report->nr; i++) {
		enum finding_code code = report->problems[i].code;
		if (code == FINDING_HEADER_UNIQUE_ID || code == FINDING_HEADER_NAME ||
		    code == FINDING_HEADER_ACL || code == FINDING_INDEX_UIDVALIDITY)
			return true;
	}
	return false;
}

static int take_entry(const struct mailbox_entry *entry, struct span key, bool restart, void *ctx)
{
	struct looking_for *wanted = ctx;
	const struct mailbox_entry *mine = &wanted->mailbox->entry;
	bool by_id = mine->unique_id.len > 0;

	(void)key;
	if (restart)
		mailbox_unref(take(wanted->moved));
	if (!entry || !span_equals(buf_span(by_id ? &entry->unique_id : &entry->name),
				   buf_span(by_id ? &mine->unique_id : &mine->name)))
		return 0;
	/* Of two with one id, the one that was looked at. */
	if (wanted->moved && !span_equals(buf_span(&entry->name), buf_span(&mine->name)))
		return 0;
	mailbox_unref(take(wanted->moved));
	struct mailbox_row row = {
		.key = buf_span(&wanted->mailbox->key),
		.name = buf_span(&entry->name),
		.partition = buf_span(&entry->partition),
		.acl = buf_span(&entry->acl),
		.uidvalidity = entry->uidvalidity,
		.legacy_dirs = entry->legacy_dirs,
		.has_unique_id = by_id,
	};
	return mailbox_new(wanted->mailbox->conf, wanted->mailbox->image, &row, &wanted->moved);
}

int survey_refresh(struct scanning *s, const struct mailbox *mailbox, const struct report *report,
		   struct mailbox **ret_mailbox)
{
	struct looking_for wanted = { .mailbox = mailbox };

	if (!is_about_the_entry(report))
		return mailbox_new_again(mailbox, ret_mailbox);
	int r = list_walk(&s->target->imapd_conf, s->target->image, take_entry, &wanted);
	if (r || !wanted.moved) {
		mailbox_unref(wanted.moved);
		return r ? r : SURVEY_GONE;
	}
	*ret_mailbox = wanted.moved;
	return 0;
}

int survey_find(struct scanning *s, const struct mailbox *mailbox, struct mailbox **ret_moved)
{
	struct looking_for wanted = { .mailbox = mailbox };
	int r = list_walk(&s->target->imapd_conf, s->target->image, compare_entry, &wanted);

	if (r || wanted.found || !wanted.moved) {
		mailbox_unref(wanted.moved);
		return r || wanted.found ? r : SURVEY_GONE;
	}
	*ret_moved = wanted.moved;
	return SURVEY_MOVED;
}

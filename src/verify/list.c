/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The walk over mailboxes.db, for the survey of a scan and for the gate; and its check.
 */
#include "verify/list.h"

#include <errno.h>

#include "base/clock.h"
#include "format/cyrus/db.h"
#include "format/cyrus/layout.h"

#define WALK_TRIES 20

/*
 * Begins the walk. A list that is no database at all, or empty, is damaged, though as a database it
 * may be flat; an empty one may also have been replaced a moment ago.
 */
static int begin(struct db *db, struct source *src)
{
	uint64_t size;
	int r = db_begin(db, src);

	if (r == -EPROTONOSUPPORT && db->engine == DB_UNKNOWN)
		return -EBADMSG;
	if (r || db->engine != DB_FLAT)
		return r;
	r = source_size(src, &size);
	return r == 0 && size == 0 ? -EAGAIN : r;
}

/* What is handed out, and to whom: one of the two functions. */
struct receiver {
	list_fn on_mailbox;
	list_record_fn on_record;
	void *ctx;
};

/* 1: there was nothing to hand out. */
enum { PASSED_OVER = 1 };
static int hand_out(const struct receiver *to, struct span key, struct span value,
		    struct mailbox_entry *entry, bool restart, int *ret)
{
	int parsed = mboxlist_parse(key, value, entry);

	if (to->on_record) {
		enum list_record kind = LIST_NAME;
		if (parsed == MBOXLIST_OTHER) {
			kind = LIST_ID;
			parsed = mboxlist_parse_id(key, value, entry);
		}
		if (parsed == -ENOMEM)
			return parsed;
		if (parsed)
			return PASSED_OVER;
		*ret = to->on_record(kind, entry, restart, to->ctx);
		return 0;
	}
	if (parsed == MBOXLIST_OTHER || (parsed == 0 && !mailbox_entry_is_live(entry)))
		return PASSED_OVER;
	if (parsed && parsed != -EBADMSG)
		return parsed;
	*ret = to->on_mailbox(parsed == 0 ? entry : NULL, key, restart, to->ctx);
	return 0;
}

static int walk_source(struct source *src, enum db_order order, bool restart,
		       const struct receiver *to)
{
	struct mailbox_entry entry = MAILBOX_ENTRY_NULL;
	struct db db = DB_NULL;
	struct span key, value;

	db.order = order;
	int r = begin(&db, src);
	while (r == 0) {
		r = db_next(&db, &key, &value);
		if (r == DB_END) {
			r = 0; /* not to be taken for a result of `fn` */
			break;
		}
		if (r)
			break;
		int handed = hand_out(to, key, value, &entry, restart, &r);
		if (handed == PASSED_OVER)
			continue;
		if (handed)
			r = handed;
		restart = false;
	}
	db_fini(&db);
	mailbox_entry_fini(&entry);
	return r;
}

/*
 * A list of Cyrus up to 3.4 may be in mailbox order; its switch is still in the configuration of
 * later ones, which ignore it. So what is out of order in the one way is read in the other.
 */
static bool may_be_in_mailbox_order(const struct imapd_conf *conf)
{
	bool sorted = false;

	return imapd_conf_get_switch(conf, "improved_mboxlist_sort", false, NULL, &sorted) == 0 &&
	       sorted;
}

static int walk_in_any_order(const struct imapd_conf *conf, struct source *src, bool restart,
			     const struct receiver *to)
{
	int r = walk_source(src, DB_ORDER_BYTES, restart, to);

	if (r != -EBADMSG || !may_be_in_mailbox_order(conf))
		return r;
	return walk_source(src, DB_ORDER_MAILBOX, true, to);
}

int list_check(const struct imapd_conf *conf, struct source *src, uint64_t *ret_off)
{
	uint64_t off = 0;
	int r = db_check(src, DB_ORDER_BYTES, ret_off);

	if (r != -EBADMSG || !may_be_in_mailbox_order(conf))
		return r;
	r = db_check(src, DB_ORDER_MAILBOX, &off);
	*ret_off = max_of(*ret_off, off); /* the wrong order stops no later than the right one */
	return r;
}

static int walk(const struct imapd_conf *conf, struct image *image, const struct receiver *to)
{
	struct buf path = BUF_NULL;
	int r;

	layout_add_mailboxes_db(&path, conf);
	r = buf_error(&path);
	for (int tries = 0; r == 0; tries++) {
		struct source src = SOURCE_NULL;
		uint64_t size = 1;
		r = image_open_source(image, buf_str(&path), &src);
		if (r == 0)
			r = walk_in_any_order(conf, &src, tries > 0, to);
		if (r == -EAGAIN && tries == WALK_TRIES && source_size(&src, &size) == 0 && !size)
			r = -EBADMSG; /* it stays empty */
		source_close(&src);
		if (r != -EAGAIN || tries == WALK_TRIES)
			break;
		clock_sleep_ns(10 * NS_PER_MS);
		r = 0;
	}
	buf_fini(&path);
	return r;
}

int list_walk(const struct imapd_conf *conf, struct image *image, list_fn fn, void *ctx)
{
	struct receiver to = { .on_mailbox = fn, .ctx = ctx };

	return walk(conf, image, &to);
}

int list_walk_records(const struct imapd_conf *conf, struct image *image, list_record_fn fn,
		      void *ctx)
{
	struct receiver to = { .on_record = fn, .ctx = ctx };

	return walk(conf, image, &to);
}

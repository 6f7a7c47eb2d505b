/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The walk over mailboxes.db, for the survey of a scan and for the gate.
 */
#include "verify/list.h"

#include <errno.h>

#include "base/clock.h"
#include "format/cyrus/layout.h"
#include "format/cyrus/twoskip.h"

#define WALK_TRIES 20

static int walk_source(struct source *src, bool restart, list_fn fn, void *ctx)
{
	struct mailbox_entry entry = MAILBOX_ENTRY_NULL;
	struct twoskip db = TWOSKIP_NULL;
	struct span key, value;
	int r = twoskip_begin(&db, src);

	while (r == 0) {
		r = twoskip_next(&db, &key, &value);
		if (r == TWOSKIP_END) {
			r = 0; /* not to be taken for a result of `fn` */
			break;
		}
		if (r)
			break;
		int parsed = mboxlist_parse(key, value, &entry);
		if (parsed == MBOXLIST_OTHER || (parsed == 0 && !mailbox_entry_is_live(&entry)))
			continue;
		if (parsed == 0 || parsed == -EBADMSG)
			r = fn(parsed == 0 ? &entry : NULL, key, restart, ctx);
		else
			r = parsed;
		restart = false;
	}
	twoskip_fini(&db);
	mailbox_entry_fini(&entry);
	return r;
}

int list_walk(const struct imapd_conf *conf, struct image *image, list_fn fn, void *ctx)
{
	struct buf path = BUF_NULL;
	int r;

	layout_add_mailboxes_db(&path, conf);
	r = buf_error(&path);
	for (int tries = 0; r == 0; tries++) {
		struct source src = SOURCE_NULL;
		r = image_open_source(image, buf_str(&path), &src);
		if (r == 0)
			r = walk_source(&src, tries > 0, fn, ctx);
		source_close(&src);
		if (r != -EAGAIN || tries == WALK_TRIES)
			break;
		clock_sleep_ns(10 * NS_PER_MS);
		r = 0;
	}
	buf_fini(&path);
	return r;
}

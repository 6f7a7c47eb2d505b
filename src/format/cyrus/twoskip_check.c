// SPDX-License-Identifier: Apache-2.0
/*
 * First the log from its start to the committed end, then the lists. A record is on the lists of
 * its level only, so each list is followed beside level 0: pending[i] is where list i must go on,
 * and the next record that belongs to list i must stand there.
 *
 *	level 0   dummy --> a --> b --> c --> d
 *	list 2    dummy --------> b --------> d		pending: b, b, d, d, 0
 *
 * A writer may undo a transaction, and then the header is again what it was: what looked wrong
 * meanwhile must therefore be found at the same place several times in a row.
 */
#include "format/cyrus/twoskip_record.h"

#include <errno.h>

#include "base/clock.h"

#define COMMIT_LEN 24 /* bytes */
#define DIRTY_TRIES 5 /* to meet a file that is not dirty */
#define CHECK_TRIES 3 /* that must agree before damage is believed */

struct check {
	struct twoskip db;
	int dirty_tries;
	uint64_t off; /* of what is looked at, and of what is wrong after -EBADMSG */
	uint64_t pending[TWOSKIP_LEVEL_MAX + 1];
	uint64_t holder[TWOSKIP_LEVEL_MAX + 1]; /* the record that pending[i] stands in */
};

/*
 * What a head that is wrong means: heads of a dirty file are rewritten just now, or were when its
 * writer died. Asked only after everything that may be judged in any state.
 */
static int judge_head(struct check *c)
{
	int r = twoskip_judge(&c->db);

	return r == -EBADMSG && c->db.header.dirty ? -EAGAIN : r;
}

static int check_begin(struct check *c, struct source *src)
{
	uint64_t size;
	int r = 0;

	for (int i = 0; i < c->dirty_tries; i++) {
		if (i)
			clock_sleep_ns(NS_PER_MS);
		r = twoskip_begin(&c->db, src);
		if (r || !c->db.header.dirty)
			break;
	}
	if (r != -EBADMSG)
		return r;
	c->off = 0; /* a header that cannot be parsed is all zeros */
	if (c->db.header.current_size) {
		r = source_size(src, &size);
		if (r)
			return r;
		c->off = min_of(size, (uint64_t)TWOSKIP_DUMMY_OFF);
		if (size < c->db.header.current_size)
			c->off = size;
		else if (c->db.header.dirty)
			return -EAGAIN;
	}
	return -EBADMSG;
}

/* ---- the log -------------------------------------------------------------------------------- */

static bool padding_is_zero(const struct twoskip *db, const struct twoskip_head *head)
{
	for (uint64_t i = head->key_len + head->value_len; i < head->tail_len; i++) {
		if (db->record.data[i])
			return false;
	}
	return true;
}

/* `start` is where the transaction began that the record belongs to. */
static bool record_fits(const struct check *c, const struct twoskip_head *head, uint64_t start)
{
	switch (head->type) {
	case TWOSKIP_COMMIT:
		return head->next[0] == start;
	case TWOSKIP_DELETE:
		/* The record behind the deleted one was there before. */
		return head->next[0] == 0 ||
		       (head->next[0] >= TWOSKIP_DATA_OFF && head->next[0] < c->off);
	default:
		return padding_is_zero(&c->db, head);
	}
}

static int check_log(struct check *c)
{
	struct twoskip *db = &c->db;
	uint64_t end = db->header.current_size, start = TWOSKIP_DATA_OFF;
	bool repack_is_met = db->header.repack_size == end;
	struct twoskip_head head;

	for (uint64_t off = TWOSKIP_DUMMY_OFF; off < end; off += head.len + head.tail_len) {
		c->off = off;
		int r = twoskip_read_record(db, off, &head);
		if (r == -EBADMSG && head.len == 0)
			return judge_head(c);
		if (r == -EBADMSG || (r == 0 && !record_fits(c, &head, start)))
			return twoskip_judge(db);
		if (r)
			return r;
		if (head.type == TWOSKIP_COMMIT)
			start = off + COMMIT_LEN;
		repack_is_met = repack_is_met || db->header.repack_size == off;
	}
	if (start != end) /* c->off is the last record */
		return twoskip_judge(db);
	c->off = 0;
	return repack_is_met ? 0 : twoskip_judge(db);
}

/* ---- the lists ------------------------------------------------------------------------------ */

/* The record at `off` is met: it must be what every list of its level goes on with. */
static int lists_pass(struct check *c, const struct twoskip_head *head, uint64_t off)
{
	for (unsigned i = 2; i <= head->level; i++) {
		if (c->pending[i] != off) {
			c->off = c->holder[i];
			return twoskip_judge(&c->db);
		}
		c->pending[i] = head->next[i];
		c->holder[i] = off;
	}
	return 0;
}

static int lists_end(struct check *c)
{
	for (unsigned i = 2; i <= TWOSKIP_LEVEL_MAX; i++) {
		if (c->pending[i]) {
			c->off = c->holder[i];
			return twoskip_judge(&c->db);
		}
	}
	return 0;
}

static int lists_begin(struct check *c)
{
	struct twoskip_head dummy;
	int r = twoskip_read_record(&c->db, TWOSKIP_DUMMY_OFF, &dummy);

	c->off = TWOSKIP_DUMMY_OFF;
	if (r)
		return r == -EBADMSG ? judge_head(c) : r;
	for (unsigned i = 2; i <= TWOSKIP_LEVEL_MAX; i++) {
		c->pending[i] = dummy.next[i];
		c->holder[i] = TWOSKIP_DUMMY_OFF;
	}
	return 0;
}

static int check_lists(struct check *c)
{
	struct twoskip *db = &c->db;
	struct twoskip_head head;
	uint64_t off = TWOSKIP_DUMMY_OFF;
	int r = lists_begin(c);

	while (r == 0) {
		c->off = db->next ? db->next : off;
		r = twoskip_next_head(db, &head, &off);
		if (r == 0 && !db->header.dirty)
			r = lists_pass(c, &head, off);
	}
	if (r != TWOSKIP_END)
		return r;
	return db->header.dirty ? 0 : lists_end(c);
}

/* --------------------------------------------------------------------------------------------- */

static int check_once(struct check *c, struct source *src)
{
	int r = check_begin(c, src);

	if (r == 0)
		r = check_log(c);
	return r ? r : check_lists(c);
}

int twoskip_check_once(struct source *src, enum db_order order, uint64_t *ret_off)
{
	struct check c = { .db = TWOSKIP_NULL, .dirty_tries = 1 };

	c.db.order = order;
	int r = check_once(&c, src);
	*ret_off = c.off;
	twoskip_fini(&c.db);
	return r;
}

int twoskip_check(struct source *src, enum db_order order, uint64_t *ret_off)
{
	struct check c = { .db = TWOSKIP_NULL, .dirty_tries = DIRTY_TRIES };
	int r = -EBADMSG;

	c.db.order = order;
	for (int i = 0; i < CHECK_TRIES && r == -EBADMSG; i++) {
		uint64_t before = c.off;
		r = check_once(&c, src);
		if (r == -EBADMSG && i > 0 && c.off != before)
			r = -EAGAIN;
	}
	*ret_off = c.off;
	twoskip_fini(&c.db);
	return r;
}

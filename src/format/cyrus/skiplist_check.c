// SPDX-License-Identifier: Apache-2.0
/*
 * The live records are known from the log. The list of each level is followed beside them:
 * pending[i] is where list i must go on, and the next live record that belongs to list i must stand
 * there.
 */
#include "format/cyrus/skiplist_record.h"

#include <errno.h>

#include "base/clock.h"

#define CLOSED_TRIES 5 /* to meet a file whose last transaction is closed */

/* So many checks must agree before damage is believed, with a pause before each for a pointer. */
static const int64_t pauses_ns[] = { 0, 20 * NS_PER_MS, 200 * NS_PER_MS, 500 * NS_PER_MS };

struct check {
	struct skiplist db;
	int closed_tries;
	bool is_pointer; /* what is wrong */
	uint32_t pending[SKIPLIST_LEVEL_MAX];
	uint64_t holder[SKIPLIST_LEVEL_MAX]; /* the record that pending[i] stands in */
};

static int check_begin(struct check *c, struct source *src)
{
	int r = 0;

	for (int i = 0; i < c->closed_tries; i++) {
		if (i)
			clock_sleep_ns(NS_PER_MS);
		r = skiplist_begin(&c->db, src);
		if (r || c->db.end == c->db.size)
			break;
	}
	return r;
}

static int check_dummy(struct check *c)
{
	struct skiplist *db = &c->db;
	const struct skiplist_head *dummy = &db->heads[0];

	db->off = SKIPLIST_HEADER_LEN;
	int r = skiplist_read_record(db, db->off, db->header.log_start, 0);
	if (r == -EBADMSG || r == -ERANGE || (r == 0 && dummy->type != SKIPLIST_DUMMY))
		return skiplist_judge(db);
	if (r)
		return r;
	for (unsigned i = 0; i < db->header.max_level; i++) {
		c->pending[i] = dummy->next[i];
		c->holder[i] = SKIPLIST_HEADER_LEN;
	}
	db->heads[0].off = 0;
	return 0;
}

/* The pointer that is wrong stands in the record at `holder`. */
static int judge_pointer(struct check *c, uint64_t holder)
{
	c->db.off = holder;
	c->is_pointer = true;
	return skiplist_judge(&c->db);
}

static int lists_pass(struct check *c, const struct skiplist_head *head)
{
	struct skiplist *db = &c->db;

	if (head->level > db->header.level)
		return skiplist_judge(db);
	for (unsigned i = 0; i < head->level; i++) {
		if (c->pending[i] != head->off)
			return judge_pointer(c, c->holder[i]);
		c->pending[i] = head->next[i];
		c->holder[i] = head->off;
	}
	return 0;
}

static int lists_end(struct check *c)
{
	for (unsigned i = 0; i < c->db.header.max_level; i++) {
		if (c->pending[i])
			return judge_pointer(c, c->holder[i]);
	}
	return 0;
}

static int check_once(struct check *c, struct source *src)
{
	struct skiplist *db = &c->db;
	unsigned which;
	int r = check_begin(c, src);
	bool closed = db->end == db->size;

	if (r == 0)
		r = check_dummy(c);
	while (r == 0) {
		r = skiplist_next_head(db, &which);
		if (r)
			break;
		if (!skiplist_padding_is_zero(db, which))
			r = skiplist_judge(db);
		else if (closed)
			r = lists_pass(c, &db->heads[which]);
		db->heads[which].off = 0;
	}
	if (r != SKIPLIST_END)
		return r;
	return closed ? lists_end(c) : 0;
}

int skiplist_check_once(struct source *src, enum db_order order, uint64_t *ret_off)
{
	struct check c = { .db = SKIPLIST_NULL, .closed_tries = 1 };

	c.db.order = order;
	int r = check_once(&c, src);
	*ret_off = c.db.off;
	skiplist_fini(&c.db);
	return r;
}

int skiplist_check(struct source *src, enum db_order order, uint64_t *ret_off)
{
	struct check c = { .db = SKIPLIST_NULL, .closed_tries = CLOSED_TRIES };
	int r = -EBADMSG;

	c.db.order = order;
	for (size_t i = 0; i < array_size(pauses_ns) && r == -EBADMSG; i++) {
		uint64_t before = c.db.off;
		if (c.is_pointer)
			clock_sleep_ns(pauses_ns[i]);
		r = check_once(&c, src);
		if (r == -EBADMSG && i > 0 && c.db.off != before)
			r = -EAGAIN;
	}
	*ret_off = c.db.off;
	skiplist_fini(&c.db);
	return r;
}

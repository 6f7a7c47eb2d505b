/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ids: does the list of mailboxes agree with itself? Since 3.6 it leads from names to unique ids
 * and from unique ids to names. The survey has put the names into state, in the order of their ids;
 * the records of ids come in the same order, so the two are held against each other without holding
 * either.
 *
 * Cyrus changes the list meanwhile, and the two walks see different moments. So what differs is
 * only a candidate: after the settling time all candidates are looked up in one walk, which sees
 * one moment.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/text.h"
#include "digest/digest.h"
#include "format/cyrus/layout.h"
#include "verify/list.h"
#include "verify/scanning.h"

#define CANDIDATES_MAX 4096
#define ORPHANS_LOOKED_AT                                                                          \
	64 /* again; Cyrus before 3.6.2 leaves one for each mailbox that it purges */

/* What one moment of the list says of a unique id. */
struct candidate {
	struct buf id;
	struct buf by_id;	/* the name that the record of the id has */
	struct buf name, other; /* of records of names that have this id */
	unsigned nr_names;
	bool has_id;  /* there is a live record of the id */
	bool is_live; /* one of the names is a mailbox */
	/* Over partition, UIDVALIDITY and kind of directories, as either record has them. */
	uint64_t place_by_id, place_by_name;
};

/* What says where the files of an entry are, and of which time they are, as one number. */
static uint64_t place_of(struct span partition, uint32_t uidvalidity, bool legacy_dirs)
{
	uint32_t numbers[2] = { uidvalidity, legacy_dirs };

	return xxh3_of(partition) * 31 + xxh3_of(span_of(numbers, sizeof(numbers)));
}

static uint64_t place_of_entry(const struct mailbox_entry *entry)
{
	return place_of(buf_span(&entry->partition), entry->uidvalidity, entry->legacy_dirs);
}

struct candidates {
	struct candidate *all;
	size_t nr;
	struct map index; /* id to its place */
};

int ids_suspect(struct scanning *s, struct span id)
{
	if (s->suspect_ids.count >= CANDIDATES_MAX) {
		s->ids_left_out |= !map_get(&s->suspect_ids, id, NULL);
		return 0;
	}
	int r = map_put(&s->suspect_ids, id, 0);
	return r < 0 ? r : 0;
}

/* ---- the first look: two walks side by side ---- */

struct merge {
	struct scanning *s;
	struct buf row_key, row_name; /* the mailbox in state that is next */
	uint64_t row_place;
	bool at_end;
	uint64_t nr_orphans;
};

/* The next mailbox with a unique id. */
static int merge_step(struct merge *merge)
{
	struct scanning *s = merge->s;
	struct mailbox_row row;
	int r;

	do {
		r = state_mailbox_next(s->state, s->target_id, s->run.id, buf_span(&merge->row_key),
				       &row);
		if (r)
			break;
		buf_clear(&merge->row_key);
		buf_add_span(&merge->row_key, row.key);
		buf_clear(&merge->row_name);
		buf_add_span(&merge->row_name, row.name);
		merge->row_place = place_of(row.partition, row.uidvalidity, row.legacy_dirs);
		r = buf_error(&merge->row_key) ? -ENOMEM : buf_error(&merge->row_name);
	} while (r == 0 && !row.has_unique_id);
	merge->at_end = r == STATE_END;
	return r == STATE_END ? 0 : r;
}

static int merge_start(struct merge *merge)
{
	buf_clear(&merge->row_key);
	merge->nr_orphans = 0;
	return merge_step(merge);
}

/* Mailboxes in state before `id` have no record of their id. */
static int merge_up_to(struct merge *merge, struct span id)
{
	int r = 0;

	while (r == 0 && !merge->at_end && span_compare(buf_span(&merge->row_key), id) < 0) {
		r = ids_suspect(merge->s, buf_span(&merge->row_key));
		if (r == 0)
			r = merge_step(merge);
	}
	return r;
}

static int on_id(enum list_record kind, const struct mailbox_entry *entry, bool restart, void *ctx)
{
	struct merge *merge = ctx;
	int r = restart ? merge_start(merge) : 0;

	if (r || kind != LIST_ID)
		return r;
	struct span id = buf_span(&entry->unique_id);
	r = merge_up_to(merge, id);
	if (r)
		return r;
	bool listed = !merge->at_end && span_equals(buf_span(&merge->row_key), id);
	if (!listed && mailbox_entry_is_live(entry)) {
		if (merge->nr_orphans++ < ORPHANS_LOOKED_AT)
			r = ids_suspect(merge->s, id);
	} else if (listed != mailbox_entry_is_live(entry) ||
		   (listed && (!span_equals(buf_span(&merge->row_name), buf_span(&entry->name)) ||
			       merge->row_place != place_of_entry(entry))))
		r = ids_suspect(merge->s, id);
	if (r == 0 && listed)
		r = merge_step(merge);
	return r;
}

/* ---- the second look: one walk ---- */

static int on_record(enum list_record kind, const struct mailbox_entry *entry, bool restart,
		     void *ctx)
{
	struct candidates *candidates = ctx;
	uint64_t place;

	for (size_t i = 0; restart && i < candidates->nr; i++) {
		struct candidate *c = &candidates->all[i];
		c->has_id = c->is_live = false;
		c->nr_names = 0;
	}
	if (!map_get(&candidates->index, buf_span(&entry->unique_id), &place))
		return 0;
	struct candidate *c = &candidates->all[place];
	bool is_live = mailbox_entry_is_live(entry);
	if (kind == LIST_ID && is_live) {
		c->has_id = true;
		c->place_by_id = place_of_entry(entry);
		buf_clear(&c->by_id);
		buf_add_span(&c->by_id, buf_span(&entry->name));
	} else if (kind == LIST_NAME && is_live) {
		struct buf *name = c->nr_names++ ? &c->other : &c->name;
		c->is_live = true;
		c->place_by_name = place_of_entry(entry);
		buf_clear(name);
		buf_add_span(name, buf_span(&entry->name));
	}
	return buf_error(&c->by_id) || buf_error(&c->name) || buf_error(&c->other) ? -ENOMEM : 0;
}

static int tell_id(struct scanning *s, const struct candidate *c, const char *id,
		   enum finding_code code, const char *detail, struct span recorded,
		   struct span observed)
{
	struct buf path = BUF_NULL, object = BUF_NULL, a = BUF_NULL, b = BUF_NULL, name = BUF_NULL;

	layout_add_mailboxes_db(&path, &s->target->imapd_conf);
	buf_add_str(&object, OBJECT_ID);
	text_add_printable(&object, id ? span_of_str(id) : buf_span(&c->id));
	text_add_printable(&a, recorded);
	text_add_printable(&b, observed);
	buf_add_span(&name, buf_span(c->is_live ? &c->name : &c->by_id));
	int r = buf_error(&path) || buf_error(&object) || buf_error(&a) || buf_error(&b) ||
				buf_error(&name)
			? -ENOMEM
			: 0;
	if (r == 0) {
		struct finding finding = {
			.verdict = finding_code_verdict(code),
			.severity = finding_code_severity(code),
			.code = finding_code_name(code),
			.mailbox = buf_span(&name),
			.object = buf_str(&object),
			.path = buf_span(&path),
			.recorded = a.len ? buf_str(&a) : NULL,
			.observed = b.len ? buf_str(&b) : NULL,
			.detail = detail,
		};
		r = scanning_finding(s, &finding);
	}
	buf_fini(&path);
	buf_fini(&object);
	buf_fini(&a);
	buf_fini(&b);
	buf_fini(&name);
	return r;
}

/* There may be thousands, and one finding says enough of them. */
static int tell_orphans(struct scanning *s, const struct candidate *one, uint64_t nr)
{
	char detail[160], count[48];

	text_counted(nr, "record", count, sizeof(count));
	(void)snprintf(detail, sizeof(detail),
		       "%s of unique ids name mailboxes that are not listed; this is one", count);
	return tell_id(s, one, "orphans", FINDING_LIST_ORPHAN_ID, detail, buf_span(&one->id),
		       SPAN_NULL);
}

/* What one moment says of a candidate; most have been a mailbox on its way. */
enum { IS_ORPHAN = 1 };
static int judge(struct scanning *s, const struct candidate *c, bool has_ids)
{
	if (c->nr_names > 1)
		return tell_id(s, c, NULL, FINDING_LIST_DUPLICATE_ID,
			       "two mailboxes are listed under this unique id", buf_span(&c->name),
			       buf_span(&c->other));
	if (!has_ids)
		return 0;
	if (c->is_live && !c->has_id)
		return tell_id(s, c, NULL, FINDING_LIST_ID,
			       "the mailbox is listed by its name and not by its unique id",
			       buf_span(&c->name), SPAN_NULL);
	if (c->is_live && !span_equals(buf_span(&c->name), buf_span(&c->by_id)))
		return tell_id(s, c, NULL, FINDING_LIST_ID,
			       "the record of the unique id has another name than the mailbox",
			       buf_span(&c->name), buf_span(&c->by_id));
	if (c->is_live && c->place_by_id != c->place_by_name)
		return tell_id(s, c, NULL, FINDING_LIST_ID,
			       "the record of the unique id has another partition, UIDVALIDITY or type "
			       "than that of the name",
			       buf_span(&c->name), buf_span(&c->by_id));
	if (!c->is_live && c->has_id)
		return IS_ORPHAN;
	s->run.in_flight++;
	return 0;
}

static void candidates_fini(struct candidates *candidates)
{
	for (size_t i = 0; i < candidates->nr; i++) {
		buf_fini(&candidates->all[i].id);
		buf_fini(&candidates->all[i].by_id);
		buf_fini(&candidates->all[i].name);
		buf_fini(&candidates->all[i].other);
	}
	free(candidates->all);
	map_fini(&candidates->index);
}

static int candidates_init(struct candidates *candidates, const struct map *ids)
{
	struct map_cursor cursor = { 0 };
	struct span id;
	int r = 0;

	*candidates = (struct candidates){ .index = MAP_NULL };
	candidates->all = calloc(ids->count, sizeof(candidates->all[0]));
	if (!candidates->all)
		return -ENOMEM;
	while (r >= 0 && map_next(ids, &cursor, &id, NULL)) {
		struct candidate *c = &candidates->all[candidates->nr];
		*c = (struct candidate){ .id = BUF_NULL };
		buf_add_span(&c->id, id);
		r = buf_error(&c->id);
		if (r == 0)
			r = map_put(&candidates->index, id, candidates->nr++);
	}
	return r < 0 ? r : 0;
}

static int ids_confirm(struct scanning *s, bool has_ids, uint64_t nr_orphans)
{
	const struct target *target = s->target;
	const struct candidate *orphan = NULL;
	struct candidates candidates;
	int r = candidates_init(&candidates, &s->suspect_ids);

	if (r == 0) {
		clock_sleep_ns(s->options->settle_ns);
		r = list_walk_records(&target->imapd_conf, target->image, on_record, &candidates);
	}
	for (size_t i = 0; r == 0 && i < candidates.nr; i++) {
		r = judge(s, &candidates.all[i], has_ids);
		if (r == IS_ORPHAN) {
			/* The first by its id, so that every scan names the same one. */
			if (!orphan || span_compare(buf_span(&candidates.all[i].id),
						    buf_span(&orphan->id)) < 0)
				orphan = &candidates.all[i];
			r = 0;
		}
	}
	if (r == 0 && orphan)
		r = tell_orphans(s, orphan, nr_orphans);
	candidates_fini(&candidates);
	return r;
}

static int look_for_ids(enum list_record kind, const struct mailbox_entry *entry, bool restart,
			void *ctx)
{
	bool *has_ids = ctx;

	(void)entry;
	(void)restart;
	*has_ids = *has_ids || kind == LIST_ID;
	return *has_ids; /* one will do */
}

int ids_check(struct scanning *s)
{
	const struct target *target = s->target;
	struct merge merge = { .s = s };
	bool has_ids = false;
	int r = list_walk_records(&target->imapd_conf, target->image, look_for_ids, &has_ids);

	if (r >= 0 && has_ids) {
		r = merge_start(&merge);
		if (r == 0)
			r = list_walk_records(&target->imapd_conf, target->image, on_id, &merge);
		while (r == 0 && !merge.at_end) {
			r = ids_suspect(s, buf_span(&merge.row_key));
			if (r == 0)
				r = merge_step(&merge);
		}
	}
	if (r >= 0 && s->suspect_ids.count && !scanning_is_stopped(s))
		r = ids_confirm(s, has_ids, merge.nr_orphans);
	buf_fini(&merge.row_key);
	buf_fini(&merge.row_name);
	s->ids_whole = r >= 0 && !s->ids_left_out && !scanning_is_stopped(s);
	if (r >= 0 && s->ids_left_out)
		return scanning_gap(s, NULL, "mailboxes.db",
				    "more unique ids are in doubt than can be told");
	if (r >= 0 || r == -ENOMEM)
		return r < 0 ? r : 0;
	return scanning_gap(s, NULL, "mailboxes.db", "it could not be gone through once more");
}

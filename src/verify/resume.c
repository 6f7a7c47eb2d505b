/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Resume: going on where an interrupted run stopped.
 *
 * A mailbox that an earlier run of the round has verified is not gone through again. Where messages
 * are read in blocks a mailbox is whole only when the disk has been read to its end; so there the
 * place on the disk is kept too, as a marker. Messages before the marker that have not changed
 * since are carried over.
 *
 * Nothing is carried over that is in doubt: what has an open finding or a gap, and what appeared or
 * changed after the earlier run looked. A marker moves only over what has been resolved, and only
 * when the planted faults of its run were found. Some messages are always read, so that a run that
 * goes on finds planted faults of its own; one that does not, because all of these are bad, is not
 * complete, and the next one begins anew.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "verify/scanning.h"

#define DOUBTS_MAX 65536
#define CHECKPOINT_INTERVAL (2 * NS_PER_S)

static int on_doubt(struct span mailbox_key, void *ctx)
{
	struct scanning *s = ctx;

	if (s->doubts.count >= DOUBTS_MAX)
		return -E2BIG;
	int r = map_put(&s->doubts, mailbox_key, 0);
	return r < 0 ? r : 0;
}

int resume_begin(struct scanning *s)
{
	const struct scan_options *o = s->options;
	struct round round;

	s->run.round = s->run.id;
	if (!scanning_is_whole(s)) /* it leaves alone what another has begun */
		return state_run_update(s->state, &s->run);
	int r = o->restart ? -ENOENT : state_round_find(s->state, s->target_id, s->run.id, &round);

	if (r == 0 && o->resume_max_age_ns &&
	    s->run.started_ns - round.started_ns > o->resume_max_age_ns)
		r = -ENOENT;
	if (r == 0)
		r = state_round_each_doubt(s->state, s->target_id, round.id, on_doubt, s);
	if (r == 0) {
		s->resumed = true;
		s->round = round;
		s->run.round = round.id;
	} else if (r == -ENOENT || r == -E2BIG) { /* from the beginning */
		r = state_marker_forget(s->state, s->target_id);
	}
	return r ? r : state_run_update(s->state, &s->run);
}

static bool in_doubt(const struct scanning *s, struct span mailbox_key)
{
	return map_get(&s->doubts, mailbox_key, NULL);
}

bool resume_skips(struct scanning *s, const struct mailbox_row *row)
{
	if (!s->resumed || s->nr_submitted < PLACES_WANTED || row->verified_run < s->round.id ||
	    in_doubt(s, row->key))
		return false;
	s->run.carried += row->messages;
	s->carried_bytes += row->bytes;
	s->run.mailboxes++;
	return true;
}

/* The order in which mailboxes are gone through: it begins behind first_key. */
static int compare_in_order(const struct scanning *s, struct span a, struct span b)
{
	struct span first = span_of_str(s->first_key);
	bool late_a = span_compare(a, first) <= 0, late_b = span_compare(b, first) <= 0;

	return late_a != late_b ? (late_a ? 1 : -1) : span_compare(a, b);
}

static bool key_is_between(const struct scanning *s, struct span first, struct span key,
			   struct span last)
{
	return compare_in_order(s, first, key) <= 0 && compare_in_order(s, key, last) <= 0;
}

bool resume_may_carry(const struct scanning *s, const struct road *road,
		      const struct mailbox *mailbox)
{
	struct span key = buf_span(&mailbox->key);

	return s->resumed && s->nr_submitted >= PLACES_WANTED && road->marker_distance > 0 &&
	       !in_doubt(s, key) &&
	       key_is_between(s, buf_span(&road->marker_first), key, buf_span(&road->marker_last));
}

/* What a distance is relative to: another filesystem, size or origin has other distances. */
struct volume_id {
	uint8_t uuid[16];
	uint64_t size, origin_seed;
};

static struct volume_id volume_id_of(const struct scanning *s, const struct road *road)
{
	const struct volume *volume = blocks_volume(road->blocks);
	struct volume_id id = { .size = volume->info.size, .origin_seed = s->origin_seed };

	_Static_assert(sizeof(id.uuid) == sizeof(volume->info.uuid), "all of it");
	memcpy(id.uuid, volume->info.uuid, sizeof(id.uuid));
	return id;
}

int resume_open_road(struct scanning *s, struct road *road)
{
	struct marker marker;

	if (!s->resumed)
		return 0;
	struct volume_id id = volume_id_of(s, road);
	int r = state_marker_get(s->state, s->target_id, span_of(&id, sizeof(id)), s->round.id,
				 &marker);
	if (r)
		return r == -ENOENT ? 0 : r;
	buf_add_span(&road->marker_first, marker.first_key);
	buf_add_span(&road->marker_last, marker.last_key);
	road->marker_distance = marker.distance;
	road->marker_since_ns = marker.since_ns;
	road->floor = marker.distance;
	r = buf_error(&road->marker_first);
	return r ? r : buf_error(&road->marker_last);
}

/* ---- the mailboxes of a window ---- */

void window_fini(struct window *window)
{
	buf_fini(&window->first);
	buf_fini(&window->last);
}

void window_begin_mailbox(struct window *window, const struct mailbox *mailbox)
{
	if (!window->has_first) {
		buf_clear(&window->first);
		buf_clear(&window->last);
		buf_add_span(&window->first, buf_span(&mailbox->key));
		window->has_first = true;
		window->begun_ns = mailbox->started_ns;
	}
	window->holds_all = true;
}

void window_end_mailbox(struct window *window, const struct mailbox *mailbox)
{
	if (!window->holds_all)
		return;
	window->holds_all = false;
	buf_clear(&window->last);
	buf_add_span(&window->last, buf_span(&mailbox->key));
}

/* ---- checkpoints ---- */

/* What stands in the way of the oldest suspicion that is not resolved. */
static uint64_t oldest_suspicion(const struct scanning *s)
{
	uint64_t oldest = UINT64_MAX;

	for (const struct suspicion *what = s->suspicions; what; what = what->next)
		oldest = min_of(oldest, what->nr);
	return oldest;
}

static int put_marker(struct scanning *s, struct road *road)
{
	struct volume_id id = volume_id_of(s, road);
	struct marker marker = {
		.first_key = buf_span(&road->reading.first),
		.last_key = buf_span(&road->reading.last),
		.distance = road->candidate,
		.since_ns = road->reading.begun_ns - s->young_ns,
	};
	int r = scanning_write(s);

	return r ? r
		 : state_marker_put(s->state, s->target_id, span_of(&id, sizeof(id)), s->run.round,
				    &marker);
}

/* False: a mailbox of it is to be passed through again, so its messages may not be in it. */
static bool window_is_whole(const struct scanning *s, const struct window *window)
{
	for (const struct mailbox *again = s->again; again; again = again->next_done)
		if (key_is_between(s, buf_span(&window->first), buf_span(&again->key),
				   buf_span(&window->last)))
			return false;
	/* Nor can it be told of those that are being passed through again now. */
	return window->has_first && window->last.len > 0 && !s->going_again;
}

/* Moves the marker of a road to where everything has been resolved. */
static int checkpoint_road(struct scanning *s, struct road *road)
{
	int r = 0;

	if (!window_is_whole(s, &road->reading))
		return 0;
	if (road->candidate && oldest_suspicion(s) >= road->candidate_nr) {
		/* Not back behind where an earlier run of the round had come. */
		if (road->candidate > road->floor)
			r = put_marker(s, road);
		road->candidate = 0;
	}
	if (r == 0 && !road->candidate) {
		/* First the place, then what was suspected before it. */
		road->candidate = blocks_distance(road->blocks);
		confirm_collect(s);
		road->candidate_nr = s->next_suspicion;
		if (tally_count_suspicions(
			    s->tally)) /* there are more of them than can be taken in */
			road->candidate = 0;
	}
	return r;
}

int resume_checkpoint(struct scanning *s, bool now)
{
	int64_t interval = s->options->checkpoint_ns ? s->options->checkpoint_ns
						     : CHECKPOINT_INTERVAL;
	int64_t time = clock_mono_ns();
	int r = 0;

	if (!scanning_is_whole(s) || !s->canary_found ||
	    s->index_canary_planted != s->index_canary_found ||
	    (!now && time - s->checkpoint_ns < interval))
		return 0;
	s->checkpoint_ns = time;
	if (!s->run.resumable) {
		r = scanning_write(s);
		if (r == 0)
			r = state_run_set_resumable(s->state, s->run.id);
		if (r == 0) /* all that is verified until the next commit hangs on it */
			r = scanning_flush(s);
		s->run.resumable = r == 0;
	}
	for (unsigned i = 0; r == 0 && i < s->nr_roads; i++)
		if (s->roads[i].blocks)
			r = checkpoint_road(s, &s->roads[i]);
	return r;
}

int resume_end(struct scanning *s)
{
	return s->run.status == RUN_INTERRUPTED || !scanning_is_whole(s)
		       ? 0
		       : state_marker_forget(s->state, s->target_id);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Closing: which open findings a run has disproved. A finding stays open until its mailbox has been
 * verified whole and shows it no more, or is no longer listed; what was in flight proves nothing.
 */
#include <string.h>

#include "base/clock.h"
#include "verify/scanning.h"

#define CLOSE_BATCH 256

struct closing {
	struct scanning *s;
	int64_t after; /* id: findings up to here have been decided */
	size_t count;
	struct {
		int64_t id;
		const char *resolution;
	} batch[CLOSE_BATCH];
};

static bool begins(const char *object, const char *prefix)
{
	return strncmp(object, prefix, strlen(prefix)) == 0;
}

/* Was everything looked at that could show this finding, which belongs to no mailbox, again? */
static bool store_is_whole(const struct scanning *s, const char *object)
{
	if (begins(object, OBJECT_DATABASE))
		return s->databases_whole;
	if (begins(object, OBJECT_QUOTA))
		return s->quotas_whole;
	if (begins(object, OBJECT_STRAY))
		return s->strays_whole;
	if (begins(object, OBJECT_ID))
		return s->ids_whole;
	return s->survey_whole;
}

/* Says why an open finding that was not seen again may be closed, or NULL to keep it open. */
static const char *resolution_of(struct scanning *s, const struct finding *finding)
{
	struct buf key = BUF_NULL;
	bool verified = false, listed = false, moving;

	if (finding->mailbox_key.len == 0)
		return store_is_whole(s, finding->object) ? "verified" : NULL;
	suspicion_key(&key, finding->mailbox_key, finding->object);
	moving = buf_error(&key) || map_get(&s->in_flight, buf_span(&key), NULL);
	if (!moving && !begins(finding->object, "message:") && !begins(finding->object, "record:")) {
		buf_clear(&key);
		suspicion_key(&key, finding->mailbox_key, OBJECT_META);
		moving = buf_error(&key) || map_get(&s->in_flight, buf_span(&key), NULL);
	}
	buf_fini(&key);
	if (state_mailbox_was_verified(s->state, s->target_id, s->run.id, finding->mailbox_key,
				       &verified, &listed))
		return NULL;
	if (!listed)
		return s->survey_whole ? "removed" : NULL;
	if (!verified)
		return NULL;
	/* Not seen again and in flight: the index said just now that it is gone. */
	if (moving)
		return NULL;
	return "verified";
}

static int decide(const struct finding *finding, void *ctx)
{
	struct closing *closing = ctx;

	if (finding->id <= closing->after)
		return 0;
	closing->after = finding->id;
	const char *resolution = resolution_of(closing->s, finding);
	if (resolution) {
		closing->batch[closing->count].id = finding->id;
		closing->batch[closing->count].resolution = resolution;
		closing->count++;
	}
	return closing->count == CLOSE_BATCH ? 1 : 0;
}

int closing_run(struct scanning *s)
{
	struct finding_filter filter = {
		.target = s->target_id,
		.open_only = true,
		.not_seen_by = s->run.id,
	};
	struct closing closing = { .s = s };
	int r;

	if (s->in_flight_overflow)
		return 0;
	do {
		closing.count = 0;
		r = state_finding_each(s->state, &filter, decide, &closing);
		for (size_t i = 0; r >= 0 && i < closing.count; i++) {
			int closed = state_finding_close(s->state, closing.batch[i].id, s->run.id,
							 clock_wall_ns(),
							 closing.batch[i].resolution);
			if (closed)
				r = closed;
		}
	} while (r > 0);
	return r;
}

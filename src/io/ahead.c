// SPDX-License-Identifier: Apache-2.0
/*
 * Slots go round. One that is still being read when its turn comes is waited for: a read that is under
 * way writes into its memory.
 */
#include "io/ahead.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include "io/ring.h"

struct slot {
	uint64_t off, len; /* bytes; len 0: empty */
	bool busy;
};

struct ahead {
	struct ring *ring;
	int fd;
	uint64_t align;
	uint8_t *arena;
	struct slot slots[AHEAD_SLOTS];
	unsigned next;
	bool failed; /* the ring: nothing is hinted any more */
};

int ahead_new(int fd, uint64_t align, struct ahead **ret_ahead)
{
	struct ring_options options = { .engine = RING_ENGINE_AUTO, .entries = AHEAD_SLOTS };
	struct ahead *ahead = calloc(1, sizeof(*ahead));

	*ret_ahead = NULL;
	if (!ahead)
		return -ENOMEM;
	ahead->fd = fd;
	ahead->align = align;
	ahead->arena = aligned_alloc(align, (size_t)AHEAD_SLOTS * AHEAD_SLOT_LEN);
	options.arena = ahead->arena;
	options.arena_len = (uint64_t)AHEAD_SLOTS * AHEAD_SLOT_LEN;
	options.has_file = true;
	options.file = fd;
	int r = ahead->arena ? ring_new(&options, &ahead->ring) : -ENOMEM;
	if (r == 0 && !ring_is_async(ahead->ring))
		r = -ENOTSUP;
	if (r) {
		ahead_free(ahead);
		return r;
	}
	*ret_ahead = ahead;
	return 0;
}

/* Takes what has ended; waits for something if `wait`. */
static void reap(struct ahead *ahead, bool wait)
{
	struct ring_done done[AHEAD_SLOTS];
	int n = ring_wait(ahead->ring, wait ? -1 : 0, done, AHEAD_SLOTS);

	if (n < 0 && n != -EINTR)
		ahead->failed = true;
	for (int i = 0; i < n; i++) {
		struct slot *slot = &ahead->slots[done[i].tag];
		slot->busy = false;
		slot->len = done[i].result > 0 ? min_of((uint64_t)done[i].result, slot->len) : 0;
	}
}

static void wait_for(struct ahead *ahead, const struct slot *slot)
{
	while (slot->busy && !ahead->failed)
		reap(ahead, true);
}

void ahead_forget(struct ahead *ahead)
{
	for (unsigned i = 0; i < AHEAD_SLOTS; i++) {
		wait_for(ahead, &ahead->slots[i]);
		ahead->slots[i].len = 0;
	}
}

void ahead_free(struct ahead *ahead)
{
	if (!ahead)
		return;
	if (ahead->ring)
		ahead_forget(ahead);
	/* Memory that a broken ring may still write to is left behind on purpose. */
	if (!ahead->failed) {
		ring_free(ahead->ring);
		free(ahead->arena);
	}
	free(ahead);
}

void ahead_hint(struct ahead *ahead, uint64_t off, uint64_t len)
{
	struct slot *slot = &ahead->slots[ahead->next];
	uint64_t start = off - off % ahead->align;

	len = min_of(len, (uint64_t)AHEAD_SLOT_LEN);
	uint64_t end = (off + len + ahead->align - 1) / ahead->align * ahead->align;

	if (ahead->failed || len == 0)
		return;
	wait_for(ahead, slot);
	if (ahead->failed)
		return;
	*slot = (struct slot){ .off = start,
			       .len = min_of(end - start, (uint64_t)AHEAD_SLOT_LEN),
			       .busy = true };
	if (ring_read(ahead->ring, ahead->next, ahead->fd,
		      ahead->arena + (size_t)ahead->next * AHEAD_SLOT_LEN, (uint32_t)slot->len,
		      start)) {
		*slot = (struct slot){ 0 };
		return;
	}
	ahead->next = (ahead->next + 1) % AHEAD_SLOTS;
	reap(ahead, false);
}

uint64_t ahead_get(struct ahead *ahead, uint64_t off, const uint8_t **ret_bytes)
{
	for (unsigned i = 0; i < AHEAD_SLOTS; i++) {
		struct slot *slot = &ahead->slots[i];
		if (off < slot->off || off - slot->off >= slot->len)
			continue;
		wait_for(ahead, slot);
		if (slot->busy || off - slot->off >= slot->len)
			continue;
		*ret_bytes = ahead->arena + (size_t)i * AHEAD_SLOT_LEN + (off - slot->off);
		return slot->len - (off - slot->off);
	}
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tally: the books of the messages of one scan, whatever road read them. What was seen goes in and
 * is judged; suspicions and finished mailboxes come out. Internal to verify/.
 *
 * Threads: readers of every road call tally_seen and its kin; the scan thread takes out. All of it
 * is under one mutex, held for a few instructions a message. Readers never wait for the scan thread.
 */
#ifndef VERIFY_TALLY_H
#define VERIFY_TALLY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include "verify/judge.h"
#include "verify/mailbox.h"

struct suspicion;
struct tally;

/* -ENOMEM. Release with tally_free, when no reader is left; NULL is allowed. */
int tally_new(struct tally **ret_tally) must_check;
void tally_free(struct tally *tally);

/*
 * A message begins: counts the mailbox's `pending` up. It is counted down by tally_seen or, where the
 * message is suspicious, when the suspicion is resolved.
 */
void tally_begin(struct mailbox *mailbox);

/* A message of `size` bytes that an earlier run of the round has verified. */
void tally_carry(struct tally *tally, struct mailbox *mailbox, uint64_t size);

/* A message whose first look could not be finished, and which a later one found good. */
void tally_found_good(struct tally *tally, struct mailbox *mailbox, const struct observation *seen);

/* What was seen of a message. Judges, counts, and suspects where it is not good. */
void tally_seen(struct tally *tally, struct mailbox *mailbox, const struct witness *witness,
		const struct observation *seen);

/*
 * The planted fault. When tally_wants_canary() is true, which it is for one caller at a time, that
 * caller reads a message once more by its own road, with a witness made wrong by
 * tally_make_twin(), and hands what it saw to tally_seen_twin() (with tally_begin before). If the
 * message turned out not to be fit, another one is wanted; so it is after tally_wants_another().
 */
bool tally_wants_canary(struct tally *tally);
void tally_make_twin(struct witness *witness);
void tally_wants_another(struct tally *tally);
void tally_seen_twin(struct tally *tally, struct mailbox *mailbox, const struct witness *twin,
		     const struct observation *seen);

/* True once a fault was planted and read: if it is not noticed then, no good verdict of this scan
 * means anything. */
bool tally_has_planted_canary(struct tally *tally);

/* Counts `pending` down for the pass itself or for a resolved suspicion; the mailbox comes out of
 * tally_take_done when it reaches 0. */
void tally_count_down(struct tally *tally, struct mailbox *mailbox);

/* The mailboxes that are done since the last call, linked by next_done; NULL when there is none. */
struct mailbox *tally_take_done(struct tally *tally);

/* The suspicions since the last call, linked by next. The caller owns them. */
struct suspicion *tally_take_suspicions(struct tally *tally);
size_t tally_count_suspicions(struct tally *tally);

/* Sums over what was read to the end. */
struct tally_totals {
	uint64_t messages;
	uint64_t bytes;
	uint64_t buffered; /* messages read through the page cache only */
	uint64_t carried;  /* messages that an earlier run had verified; not in `messages` */
	uint64_t carried_bytes;
};
void tally_get_totals(struct tally *tally, struct tally_totals *ret_totals);

#endif

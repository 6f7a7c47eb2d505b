/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Suspicions grow without a wait; the scan thread stops to resolve them before they are many
 * (confirm.c), so their number is bounded by what the roads have under way.
 */
#include "verify/tally.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "verify/scanning.h"

enum canary_state { CANARY_WANTED, CANARY_UNDER_WAY, CANARY_PLANTED };

struct tally {
	pthread_mutex_t lock;
	enum canary_state canary;
	struct suspicion *suspicions;
	size_t nr_suspicions;
	struct mailbox *done;
	struct tally_totals totals;
};

int tally_new(struct tally **ret_tally)
{
	struct tally *tally = calloc(1, sizeof(*tally));

	if (!tally)
		return -ENOMEM;
	(void)pthread_mutex_init(&tally->lock, NULL);
	*ret_tally = tally;
	return 0;
}

void tally_free(struct tally *tally)
{
	if (!tally)
		return;
	while (tally->suspicions) {
		struct suspicion *suspicion = tally->suspicions;
		tally->suspicions = suspicion->next;
		mailbox_unref(suspicion->mailbox);
		free(suspicion);
	}
	while (tally->done) {
		struct mailbox *mailbox = tally->done;
		tally->done = mailbox->next_done;
		mailbox_unref(mailbox);
	}
	(void)pthread_mutex_destroy(&tally->lock);
	free(tally);
}

static void tally_lock(struct tally *tally)
{
	(void)pthread_mutex_lock(&tally->lock);
}

static void tally_unlock(struct tally *tally)
{
	(void)pthread_mutex_unlock(&tally->lock);
}

void tally_begin(struct mailbox *mailbox)
{
	atomic_fetch_add(&mailbox->pending, 1);
}

/* Runs with the lock held. */
static void count_down_locked(struct tally *tally, struct mailbox *mailbox)
{
	if (atomic_fetch_sub(&mailbox->pending, 1) != 1)
		return;
	mailbox->next_done = tally->done;
	tally->done = mailbox;
}

static struct suspicion *suspicion_new(struct mailbox *mailbox, const struct witness *witness,
				       const struct observation *seen, struct judgement judgement,
				       bool canary)
{
	struct suspicion *suspicion = malloc(sizeof(*suspicion));

	if (suspicion)
		*suspicion = (struct suspicion){
			.kind = SUSPECT_MESSAGE,
			.mailbox = mailbox_ref(mailbox),
			.witness = *witness,
			.seen = *seen,
			.first = judgement,
			.noticed_ns = clock_mono_ns(),
			.looks = 1,
			.canary = canary,
		};
	return suspicion;
}

/* Runs with the lock held. A suspicion keeps its mailbox pending. */
static void add_suspicion_locked(struct tally *tally, struct suspicion *suspicion)
{
	suspicion->next = tally->suspicions;
	tally->suspicions = suspicion;
	tally->nr_suspicions++;
}

void tally_carry(struct tally *tally, struct mailbox *mailbox, uint64_t size)
{
	atomic_fetch_add(&mailbox->carried, 1);
	atomic_fetch_add(&mailbox->messages, 1);
	atomic_fetch_add(&mailbox->bytes, size);
	tally_lock(tally);
	tally->totals.carried++;
	tally->totals.carried_bytes += size;
	count_down_locked(tally, mailbox);
	tally_unlock(tally);
}

/* One that was read to its end, good or bad. */
static void count_message(struct tally *tally, struct mailbox *mailbox,
			  const struct observation *seen)
{
	if (!seen->digested)
		return;
	atomic_fetch_add(&mailbox->messages, 1);
	atomic_fetch_add(&mailbox->bytes, seen->identity.size);
	tally_lock(tally);
	tally->totals.messages++;
	tally->totals.bytes += seen->identity.size;
	tally->totals.buffered += !seen->direct;
	tally_unlock(tally);
}

void tally_found_good(struct tally *tally, struct mailbox *mailbox, const struct observation *seen)
{
	count_message(tally, mailbox, seen);
}

/* The times of a good message: the first of a mailbox whose file has another one is suspected. */
static struct suspicion *suspect_times(struct mailbox *mailbox, const struct witness *witness,
				       const struct observation *seen)
{
	if (!witness->internaldate || !seen->identity.ino ||
	    seen->identity.mtime_ns / NS_PER_S == witness->internaldate ||
	    atomic_fetch_add(&mailbox->odd_times, 1) > 0)
		return NULL;
	struct judgement judgement = { finding_code_verdict(FINDING_MESSAGE_TIMES),
				       FINDING_MESSAGE_TIMES };
	struct suspicion *suspicion = suspicion_new(mailbox, witness, seen, judgement, false);
	if (suspicion)
		suspicion->kind = SUSPECT_TIMES;
	return suspicion;
}

void tally_seen(struct tally *tally, struct mailbox *mailbox, const struct witness *witness,
		const struct observation *seen)
{
	struct judgement judgement = judge_message(witness, seen);
	struct suspicion *suspicion;

	if (judgement.verdict != ASSAY_OK) {
		suspicion = suspicion_new(mailbox, witness, seen, judgement, false);
		if (!suspicion) /* no memory to remember it: then it was not checked */
			atomic_fetch_add(&mailbox->gaps, 1);
	} else {
		suspicion = suspect_times(mailbox, witness, seen);
	}
	count_message(tally, mailbox, seen);
	tally_lock(tally);
	if (suspicion)
		add_suspicion_locked(tally, suspicion);
	else
		count_down_locked(tally, mailbox);
	tally_unlock(tally);
}

bool tally_wants_canary(struct tally *tally)
{
	tally_lock(tally);
	bool wanted = tally->canary == CANARY_WANTED;
	if (wanted)
		tally->canary = CANARY_UNDER_WAY;
	tally_unlock(tally);
	return wanted;
}

/* Runs with the lock held. */
static void want_another_locked(struct tally *tally)
{
	if (tally->canary != CANARY_PLANTED)
		tally->canary = CANARY_WANTED;
}

void tally_wants_another(struct tally *tally)
{
	tally_lock(tally);
	want_another_locked(tally);
	tally_unlock(tally);
}

void tally_make_twin(struct witness *witness)
{
	witness->guid[SHA1_LEN - 1] ^= 1;
}

/* The message behind the twin is good: its digest is the one that the twin's was made from. */
static bool twin_is_fit(const struct witness *twin, const struct observation *seen)
{
	struct witness real = *twin;

	tally_make_twin(&real);
	return witness_is_proof(&real) && judge_message(&real, seen).verdict == ASSAY_OK;
}

void tally_seen_twin(struct tally *tally, struct mailbox *mailbox, const struct witness *twin,
		     const struct observation *seen)
{
	struct judgement judgement = judge_message(twin, seen);
	struct suspicion *suspicion = NULL, *dropped = NULL;
	bool fit = twin_is_fit(twin, seen);

	if (fit && judgement.verdict != ASSAY_OK)
		suspicion = suspicion_new(mailbox, twin, seen, judgement, true);
	tally_lock(tally);
	if (tally->canary == CANARY_PLANTED) { /* another one was faster */
		dropped = take(suspicion);
	} else if (fit) {
		tally->canary = CANARY_PLANTED;
	} else {
		want_another_locked(tally);
	}
	if (suspicion)
		add_suspicion_locked(tally, suspicion);
	else
		count_down_locked(tally, mailbox);
	tally_unlock(tally);
	if (dropped)
		mailbox_unref(dropped->mailbox);
	free(dropped);
}

bool tally_has_planted_canary(struct tally *tally)
{
	tally_lock(tally);
	bool planted = tally->canary == CANARY_PLANTED;
	tally_unlock(tally);
	return planted;
}

void tally_count_down(struct tally *tally, struct mailbox *mailbox)
{
	tally_lock(tally);
	count_down_locked(tally, mailbox);
	tally_unlock(tally);
}

struct mailbox *tally_take_done(struct tally *tally)
{
	tally_lock(tally);
	struct mailbox *done = take(tally->done);
	tally_unlock(tally);
	return done;
}

struct suspicion *tally_take_suspicions(struct tally *tally)
{
	tally_lock(tally);
	struct suspicion *suspicions = take(tally->suspicions);
	tally->nr_suspicions = 0;
	tally_unlock(tally);
	return suspicions;
}

size_t tally_count_suspicions(struct tally *tally)
{
	tally_lock(tally);
	size_t nr = tally->nr_suspicions;
	tally_unlock(tally);
	return nr;
}

void tally_get_totals(struct tally *tally, struct tally_totals *ret_totals)
{
	tally_lock(tally);
	*ret_totals = tally->totals;
	tally_unlock(tally);
}

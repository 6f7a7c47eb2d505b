/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of the scan campaign share: the spool that is damaged, the faults of one round,
 * and what a scan must say of them. A round goes
 *
 *	fault_inject()	once or more: damages something, writes down what must be found
 *	a scan		whose findings are compared with faults->wanted
 *	faults_undo()	everything as it was, byte for byte
 *
 * Everything follows from the seed: the store, the faults and their places. One thread.
 *
 * Results: 0 or a negative errno, said on stderr where the path is known. An errno means that the
 * campaign could not do its own work; it never says anything about the scan.
 */
#ifndef TESTS_CAMPAIGN_SCAN_PARTS_H
#define TESTS_CAMPAIGN_SCAN_PARTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "base/compiler.h"
#include "support/mkstore.h"
#include "support/random.h"

enum {
	SPOOL_MAILBOXES = 60,
	SPOOL_MESSAGES_MAX = 48, /* in one mailbox */
	SPOOL_GAPS_MAX = 4,	 /* UIDs without a record that are kept, in one mailbox */
	FAULTS_MAX = 5,		 /* in one round */
	WANTED_MAX = 2 * FAULTS_MAX,
};

/* ---- the spool ---- */

struct spool_message {
	uint32_t uid;
	uint32_t record; /* counted from 1 */
	uint64_t size;	 /* bytes */
	bool is_live;	 /* neither expunged nor unlinked: its file is verified */
	bool is_taken;	 /* has a fault in this round */
};

struct spool_mailbox {
	char name[32]; /* internal */
	struct spool_message messages[SPOOL_MESSAGES_MAX];
	uint32_t nr_messages;
	uint32_t gaps[SPOOL_GAPS_MAX]; /* UIDs below the last one that have no record */
	bool gap_is_taken[SPOOL_GAPS_MAX];
	unsigned nr_gaps;
	bool has_file_fault;  /* in this round, in a message or a gap */
	bool has_index_fault; /* in this round, in index or directory: nothing else is damaged */
};

struct spool {
	struct mkstore *store;
	struct spool_mailbox mailboxes[SPOOL_MAILBOXES];
};

/* Builds the store in the directory `dir`. The files are the caller's to remove. */
int spool_build(struct spool *spool, const char *dir, uint64_t seed) must_check;

/* Frees what describes the store. NULL inside is allowed. */
void spool_fini(struct spool *spool);

/* ---- faults ---- */

enum saved_as {
	SAVED_NOTHING, /* could not be saved: it is left alone */
	SAVED_ABSENCE, /* there was no file */
	SAVED_FILE,
	SAVED_DIRECTORY, /* which a fault may only move */
};

/* What was at a path before it was damaged. */
struct saved {
	enum saved_as as;
	char *path;		  /* owned */
	char *aside;		  /* owned: where a directory was moved to; else NULL */
	uint8_t *bytes;		  /* owned: the content of a file */
	uint64_t len;		  /* bytes */
	struct timespec times[2]; /* as futimens takes them */
};

/* One finding that the scan must make. */
struct wanted {
	unsigned kind; /* of the fault */
	const struct spool_mailbox *mailbox;
	char object[32];   /* as in struct finding */
	const char *code;  /* as in struct finding */
	char detail[80];   /* the finding's detail begins so; empty: anything will do */
	unsigned nr_right; /* how often it was found as wanted */
	unsigned nr_wrong; /* how often the object was found with other words */
};

struct faults {
	struct spool *spool; /* borrowed */
	const char *aside;   /* borrowed: a directory outside the store, on its filesystem */
	uint64_t random;
	unsigned deck[32]; /* kinds in the order in which they come; shuffled when used up */
	unsigned nr_deck;
	struct saved saved[WANTED_MAX]; /* of this round */
	unsigned nr_saved;
	struct wanted wanted[WANTED_MAX];
	unsigned nr_wanted;
	bool has_index_fault; /* in this round: some messages cannot be verified */
};

/* How many kinds of fault there are, and what they are called. */
unsigned fault_count_kinds(void);
const char *fault_kind_name(unsigned kind);

/*
 * Makes the next fault of the deck, at a random place that has none in this round, and adds what
 * must be found to `faults->wanted`. At most FAULTS_MAX a round. -ENOSPC when no place is left;
 * -EILSEQ when the disk is as before: a campaign that damages nothing proves nothing.
 */
int fault_inject(struct faults *faults) must_check;

/* Puts everything back, bytes and times, and forgets the round; frees, also after an error.
 * -EILSEQ when something is not as it was. */
int faults_undo(struct faults *faults) must_check;

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is known now about each copy that is configured or was ever scanned, and about each volume of
 * the configuration: how old its oldest byte not verified since is, what is open, whether a scan is under way. Nothing is verified here;
 * what cannot be told is unknown, and unknown is never good.
 */
#ifndef SERVICE_STATUS_H
#define SERVICE_STATUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "base/log.h"
#include "format/assay/conf.h"
#include "state/state.h"

/* In the order in which one outweighs the others. */
enum copy_verdict {
	COPY_OK,      /* everything verified within max_scan_age, nothing open but notices */
	COPY_UNKNOWN, /* that cannot be told */
	COPY_STALE,   /* verified, but longer ago than max_scan_age */
	COPY_FINDINGS,
	COPY_VERDICT_COUNT_,
};

const char *copy_verdict_name(enum copy_verdict verdict);

enum copy_scan { /* is a scan of it under way? */
	COPY_SCAN_UNKNOWN,
	COPY_SCAN_NONE,
	COPY_SCAN_RUNNING,
	COPY_SCAN_COUNT_,
};

const char *copy_scan_name(enum copy_scan scan);

enum { COPY_REASONS_MAX = 8 };

struct copy_status {
	char *store;
	char *host;
	enum role role; /* unknown of a copy that the configuration does not name, and of a volume */
	bool is_volume; /* of the configuration; `store` is its name */
	int64_t target; /* its number in state; 0: none */
	/* What was read. */
	int target_error; /* of reaching it: its imapd.conf, its configdirectory; its device */
	int state_error;  /* of reading state: nothing below can be told */
	bool has_run;
	bool has_ended;
	bool has_complete;
	/* Of the whole store; a scan of a part, which these pass over, adds and closes findings. */
	struct run last;	  /* of any status; running and no scan under way: it was killed */
	struct run last_ended;	  /* by itself: neither running nor interrupted */
	struct run last_complete; /* what coverage rests on */
	enum copy_scan scan;
	struct run latest; /* of any status and any scope: the one that is under way, if one is */
	int64_t oldest_ns; /* when the mailbox verified longest ago was verified; 0: unknown */
	uint64_t bytes;	   /* covered */
	uint64_t findings; /* open, without notices */
	uint64_t notices;  /* open */
	/* What follows from it. Without a complete run, no open finding does not mean none. */
	bool knows_findings;
	enum copy_verdict coverage; /* ok, stale or unknown */
	enum copy_verdict verdict;
	bool is_aging; /* ok, and stale before long */
	struct buf reasons[COPY_REASONS_MAX]; /* printable sentences, the weightiest first */
	size_t nr_reasons;
};

struct status {
	int64_t now_ns;	  /* when it was read: ages are counted from here */
	int64_t max_age_ns; /* max_scan_age */
	int64_t aging_ns;   /* older than this is aging */
	int state_error;  /* state cannot be read at all; 0, also where there is none yet */
	/* Those of the configuration first, in its order, then its volumes. */
	struct copy_status *copies;
	size_t nr_copies;
};

/* May be called twice, and on a zeroed struct. */
void status_fini(struct status *status);

/*
 * Reads what is known. A copy or a state that cannot be read is no error here: the copy says so.
 * -ENOMEM. On an error `status` is empty and safe to fini.
 */
int status_read(struct status *status, const struct conf *conf, const char *state_dir,
		const struct log *log) must_check;

/* What follows from what was read: coverage, verdict, reasons. Pure; called by status_read. */
void status_judge(const struct status *status, struct copy_status *copy);

/*
 * Keeps the copies that a name means, STORE or STORE@HOST; without names all of them; with
 * `configured_only` of those only what the configuration names. Returns the first name that means
 * none, or NULL.
 */
const char *status_select(struct status *status, char *const *names, int nr_names,
			  bool configured_only) must_check;

#endif

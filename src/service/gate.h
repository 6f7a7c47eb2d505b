/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The gate: may this store fail over to that replica? Each rule answers pass, fail or unknown with
 * a reason code and the age of its evidence; a permit needs all to pass. Unknown means no.
 *
 * This gate decides about pairs whose two copies are reachable as paths on this host, by four
 * rules. Each rule runs in a thread of its own; one that has not answered by the deadline is
 * unknown, whatever it hangs on.
 */
#ifndef SERVICE_GATE_H
#define SERVICE_GATE_H

#include <stdbool.h>
#include <stdint.h>

#include "assay.h"
#include "base/buf.h"
#include "base/compiler.h"
#include "base/log.h"
#include "format/assay/conf.h"

enum gate_rule_id {
	GATE_ROLE,     /* is it a replica of the store, and not its master? */
	GATE_FRESH,    /* is it within max_lag of the master? */
	GATE_COMPLETE, /* does it hold every mailbox that the master lists? */
	GATE_INTACT,   /* is every byte verified within max_scan_age, and nothing found? */
	GATE_RULE_COUNT_,
};

#define GATE_LIST_MAX 1000 /* names kept of each list; the counts are exact */

/* A list of names that a verdict rests on; `total` may be more than is kept. */
struct gate_list {
	struct buf *items; /* any bytes but NUL */
	size_t nr;
	uint64_t total;
};

struct gate_finding {
	char *code;
	char *verdict;
	enum assay_severity severity; /* critical or warning */
	char *side; /* host of the copy it was found on */
	struct buf mailbox;
	struct buf path;
	uint32_t uid;
	int64_t first_seen_ns;
	int64_t last_seen_ns;
};

struct gate_rule {
	enum gate_rule_id id;
	enum assay_result result;
	const char *code;    /* static: "fresh.stale" */
	struct buf summary;  /* one sentence, printable */
	int64_t observed_ns; /* the oldest evidence; 0: none was had */
	int64_t lag_ns;	     /* fresh: how far behind; -1: unknown or not of this rule */
	bool lag_is_bound;   /* it may be further behind */
	uint64_t nr_events;  /* fresh: outstanding */
	struct gate_list users;
	struct gate_list mailboxes;
	struct gate_finding *findings;
	size_t nr_findings;
	uint64_t total_findings;
};

struct gate_verdict {
	enum assay_decision decision;
	int64_t decided_ns; /* wall clock */
	int64_t took_ns;
	struct gate_rule rules[GATE_RULE_COUNT_];
};

const char *gate_rule_name(enum gate_rule_id id); /* "role"... NULL outside the enum */

/*
 * Decides. `master` may be NULL (no copy with that role is configured): what needs it is then
 * unknown. 0 and a verdict, to be released with gate_verdict_fini; -ENOMEM or the errno of
 * pthread_create, and no verdict. Rules that hang keep their thread and memory until they answer.
 */
int gate_decide(const struct conf *conf, const struct copy *master, const struct copy *replica,
		const char *state_dir, const struct log *log, struct gate_verdict *ret_verdict)
	must_check;

/* May be called twice, and on a zeroed struct. */
void gate_verdict_fini(struct gate_verdict *verdict);

#endif

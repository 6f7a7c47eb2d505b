// SPDX-License-Identifier: Apache-2.0
/*
 * campaign-scan: faults injected at random into a store, and what a scan says of them.
 *
 *	campaign-scan DIR --seed S --count N
 *
 * Builds a store below DIR, which must exist, and scans it: nothing may be found. Then N rounds:
 * one to five faults, a scan, its findings compared with the faults by mailbox, object and code,
 * all undone. At the end another scan must find nothing and close every finding that is open. The
 * same seed does the same. Last on stdout, behind a line for each kind of fault:
 *
 *	campaign scan seed=S injected=N found=F misattributed=M false=P ok
 *
 *	injected	objects that were damaged
 *	found		of those: said with the right code, and with no other
 *	misattributed	the object was named, with the wrong code or, of a record, the wrong bit
 *	false		findings about what was not damaged, and findings said twice
 *
 * `ok` only if at least one fault a round was injected, each was found, nothing else was said, and
 * each run had the status, and gaps in the mailboxes only, that its faults explain; else `short`.
 * What went wrong is said on stderr, one line each.
 *
 * Exit status: 0 ok, 1 short or the campaign itself failed, 3 wrong usage. DIR/store, DIR/state and
 * DIR/aside stay; they are the caller's to remove.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/span.h"
#include "campaign/arguments.h"
#include "campaign/scan_parts.h"
#include "state/state.h"
#include "verify/scan.h"

#define ROUNDS_MAX 1000000
#define SETTLE (1 * NS_PER_MS) /* nothing moves in this store */

enum { EXIT_SHORT = 1, EXIT_USAGE = 3, KINDS_MAX = 32 };

struct tally {
	uint64_t injected;
	uint64_t found;
};

struct campaign {
	const char *dir;
	uint64_t seed;
	uint64_t rounds;
	uint64_t round; /* under way, or the last one; 0: before the first */
	struct spool spool;
	struct faults faults;
	struct state *state;
	struct run run; /* the last one */
	struct tally kinds[KINDS_MAX];
	struct tally total;
	uint64_t missed;
	uint64_t misattributed;
	uint64_t nr_false;
	uint64_t
		troubles; /* what is wrong beside findings: the status of a run, a gap, the books */
};

/* ---- what a scan says ---- */

static void complain(const struct campaign *c, const char *what, const char *mailbox,
		     const char *object, const char *words)
{
	fprintf(stderr, "seed %" PRIu64 " round %" PRIu64 ": %s: %s %s: %s\n", c->seed, c->round,
		what, mailbox, object, words);
}

static struct wanted *find_wanted(struct campaign *c, const struct finding *finding)
{
	for (unsigned i = 0; i < c->faults.nr_wanted; i++) {
		struct wanted *wanted = &c->faults.wanted[i];
		if (span_equals_str(finding->mailbox, wanted->mailbox->name) &&
		    strcmp(finding->object, wanted->object) == 0)
			return wanted;
	}
	return NULL;
}

static void on_finding(const struct finding *finding, void *ctx)
{
	struct campaign *c = ctx;
	struct wanted *wanted = find_wanted(c, finding);
	const char *detail = finding->detail ? finding->detail : "";
	struct buf words cleanup(buf_fini) = BUF_NULL;
	struct buf name cleanup(buf_fini) = BUF_NULL;

	if (wanted && strcmp(finding->code, wanted->code) == 0 &&
	    strncmp(detail, wanted->detail, strlen(wanted->detail)) == 0) {
		wanted->nr_right++;
		return;
	}
	buf_addf(&words, "%s (%s)", finding->code, detail);
	buf_add_span(&name, finding->mailbox);
	if (wanted) {
		buf_addf(&words, " instead of %s (%s)", wanted->code, wanted->detail);
		wanted->nr_wrong++;
	} else {
		c->nr_false++;
	}
	complain(c, wanted ? "misattributed" : "false", buf_str(&name), finding->object,
		 buf_str(&words));
}

/* Only where an index or a directory is damaged something may be left unchecked. */
static void on_gap(struct span mailbox, const char *path, const char *why, void *ctx)
{
	struct campaign *c = ctx;

	for (unsigned i = 0; i < c->faults.nr_wanted; i++) {
		const struct spool_mailbox *damaged = c->faults.wanted[i].mailbox;
		if (damaged->has_index_fault && span_equals_str(mailbox, damaged->name))
			return;
	}
	c->troubles++;
	complain(c, "gap", path, "", why);
}

static int scan(struct campaign *c)
{
	struct scan_options options = { .settle_ns = SETTLE, .readers = 2 };
	struct scan_events events = { .finding = on_finding, .gap = on_gap, .ctx = c };
	struct log log = { .fn = log_to_stderr, .level = LOG_LEVEL_WARNING };
	struct target target = TARGET_NULL;
	enum run_status status = c->faults.has_index_fault ? RUN_INCOMPLETE : RUN_COMPLETE;
	int r = target_open(&target, "campaign", "localhost", mkstore_get_conf(c->spool.store),
			    &log);

	if (r == 0)
		r = scan_store(c->state, &target, &options, &events, &log, &c->run);
	target_fini(&target);
	if (r == 0 && c->run.status != status) {
		c->troubles++;
		complain(c, "run", run_status_name(c->run.status), "instead of",
			 run_status_name(status));
	}
	return r;
}

/* ---- the comparison ---- */

/* Counts one damaged object as found, missed or misattributed. */
static void judge(struct campaign *c, const struct wanted *wanted)
{
	struct tally *kind = &c->kinds[wanted->kind];

	kind->injected++;
	c->total.injected++;
	if (wanted->nr_right > 1) {
		c->nr_false += wanted->nr_right - 1;
		complain(c, "said twice", wanted->mailbox->name, wanted->object, wanted->code);
	}
	if (wanted->nr_wrong > 0) {
		c->misattributed++;
	} else if (wanted->nr_right > 0) {
		kind->found++;
		c->total.found++;
	} else {
		c->missed++;
		complain(c, "missed", wanted->mailbox->name, wanted->object,
			 fault_kind_name(wanted->kind));
	}
}

static int run_round(struct campaign *c)
{
	uint64_t count = 1 + random_below(&c->faults.random, FAULTS_MAX);
	int r = 0;

	for (uint64_t i = 0; r == 0 && i < count; i++)
		r = fault_inject(&c->faults);
	if (r == 0)
		r = scan(c);
	for (unsigned i = 0; r == 0 && i < c->faults.nr_wanted; i++)
		judge(c, &c->faults.wanted[i]);
	int undone = faults_undo(&c->faults);
	return r ? r : undone;
}

static int count_finding(const struct finding *finding, void *ctx)
{
	uint64_t *counts = ctx; /* all, still open */

	counts[0]++;
	counts[1] += finding->closed_ns == 0;
	return 0;
}

/* With everything undone a scan finds nothing, and with that all that was found is closed. */
static int check_end(struct campaign *c)
{
	struct finding_filter all = { .target = c->run.target };
	uint64_t counts[2] = { 0, 0 };
	int r = scan(c);

	if (r == 0)
		r = state_finding_each(c->state, &all, count_finding, counts);
	if (r == 0 && (counts[0] == 0 || counts[1] != 0)) {
		c->troubles++;
		fprintf(stderr,
			"seed %" PRIu64 ": at the end %" PRIu64 " of %" PRIu64
			" findings are still open\n",
			c->seed, counts[1], counts[0]);
	}
	return r;
}

/* ---- the campaign ---- */

static int run_campaign(struct campaign *c)
{
	struct buf store cleanup(buf_fini) = BUF_NULL;
	struct buf state cleanup(buf_fini) = BUF_NULL;
	struct buf aside cleanup(buf_fini) = BUF_NULL;
	struct log log = { .fn = log_to_stderr, .level = LOG_LEVEL_WARNING };

	buf_addf(&store, "%s/store", c->dir);
	buf_addf(&state, "%s/state", c->dir);
	buf_addf(&aside, "%s/aside", c->dir);
	if (buf_error(&store) || buf_error(&state) || buf_error(&aside))
		return -ENOMEM;
	c->faults = (struct faults){ .spool = &c->spool, .aside = buf_str(&aside) };
	c->faults.random = ~c->seed; /* another row than the one that the store is made from */
	int r = mkdir(buf_str(&aside), 0700) ? -errno : 0;
	if (r == 0)
		r = spool_build(&c->spool, buf_str(&store), c->seed);
	if (r == 0)
		r = state_open(buf_str(&state), STATE_WRITE, &log, &c->state);
	if (r == 0)
		r = scan(c);
	while (r == 0 && c->round < c->rounds) {
		c->round++;
		r = run_round(c);
	}
	if (r == 0)
		r = check_end(c);
	state_close(c->state);
	spool_fini(&c->spool);
	return r;
}

/* True when it is ok. `error` is what the campaign itself failed by. */
static bool report(const struct campaign *c, int error)
{
	bool good = error == 0 && c->total.injected >= c->rounds && c->total.injected > 0 &&
		    c->total.found == c->total.injected && c->missed == 0 &&
		    c->misattributed == 0 && c->nr_false == 0 && c->troubles == 0;

	if (error)
		fprintf(stderr, "campaign-scan: seed %" PRIu64 " round %" PRIu64 ": %s\n", c->seed,
			c->round, strerror(-error));
	for (unsigned i = 0; i < fault_count_kinds(); i++)
		printf("  %-20s injected=%" PRIu64 " found=%" PRIu64 "\n", fault_kind_name(i),
		       c->kinds[i].injected, c->kinds[i].found);
	printf("campaign scan seed=%" PRIu64 " injected=%" PRIu64 " found=%" PRIu64
	       " misattributed=%" PRIu64 " false=%" PRIu64 " %s\n",
	       c->seed, c->total.injected, c->total.found, c->misattributed, c->nr_false,
	       good ? "ok" : "short");
	return good;
}

int main(int argc, char **argv)
{
	static struct campaign campaign; /* all zero, and too large for the stack */
	struct arguments arguments;

	_Static_assert(KINDS_MAX >= array_size(campaign.faults.deck), "a tally for each kind");
	if (arguments_parse("campaign-scan", ROUNDS_MAX, argc, argv, &arguments))
		return EXIT_USAGE;
	campaign.dir = arguments.dir;
	campaign.seed = arguments.seed;
	campaign.rounds = arguments.count;
	return report(&campaign, run_campaign(&campaign)) ? 0 : EXIT_SHORT;
}

// SPDX-License-Identifier: Apache-2.0
/*
 * campaign-cyrus: single faults in files of real Cyrus stores, and what a scan says of them.
 *
 *	campaign-cyrus DIR --seed S --count N
 *
 * Unpacks the stores of tests/fixtures below DIR, which must exist, and scans them: nothing may be
 * found but what Cyrus itself has left there. Then N faults, one after the other: a kind of file, a
 * file, a way to damage it; a scan; what it says compared with what checksums say; undone. The same
 * seed does the same. To be run at the top of the tree. On stdout, last, behind a table:
 *
 *	campaign cyrus seed=S injected=N found=F misattributed=M false=P ok
 *
 *	injected	faults
 *	found		of those in bytes that a checksum covers: every file and record laid to the right one
 *	misattributed	faults because of which something was said of what they do not explain
 *	false		findings and gaps on stores without a fault
 *
 * `ok` only if all that a checksum covers was found, nothing was misattributed and nothing false;
 * else `short`. The table has for each kind of file and each reason why no checksum covers what was
 * damaged: how many of those faults led to a finding all the same, how many to a gap (the run says
 * that it is incomplete), and how many to nothing. What went wrong is said on stderr, one line
 * each.
 *
 * Exit status: 0 ok, 1 short or the campaign itself failed, 3 wrong usage. What is below DIR is the
 * caller's to remove.
 */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "campaign/arguments.h"
#include "campaign/cyrus_parts.h"
#include "state/state.h"
#include "support/random.h"
#include "verify/scan.h"

#define ROUNDS_MAX 1000000
#define SETTLE (1 * NS_PER_MS) /* nothing moves in these stores */
#define FRESH_EVERY 50	       /* faults to a state; then all stores must be as they were */

enum { EXIT_SHORT = 1, EXIT_USAGE = 3, SAID_MAX = 256, REASONS_MAX = 6, KNOWN_MAX = 16 };

/* A finding, or a gap, whose code is NULL. */
struct said {
	char *code, *object, *detail, *path, *mailbox; /* owned */
};

struct all_said {
	struct said said[SAID_MAX];
	unsigned nr, nr_gaps;
	bool overflowed;
};

struct reason {
	const char *why;
	unsigned with_finding, with_gap, silent;
};

struct tally {
	unsigned faults, covered, found;
	struct reason reasons[REASONS_MAX];
};

struct campaign {
	const char *dir;
	uint64_t seed, rounds, round, random;
	struct stores stores;
	struct target targets[STORES];
	struct all_said known[STORES]; /* what Cyrus itself has left */
	struct state *state;
	unsigned nr_states;
	char aside[PATH_MAX];
	unsigned deck[FILE_KIND_COUNT_ * ENGINE_COUNT_], nr_deck;
	struct damage damage;
	struct oracle oracle;
	struct all_said said;
	struct tally tallies[FILE_KIND_COUNT_ * ENGINE_COUNT_];
	uint64_t covered, found, misattributed, nr_false, troubles;
};

/* ---- what a scan says ---- */

static void said_clear(struct all_said *all)
{
	for (unsigned i = 0; i < all->nr; i++) {
		free(all->said[i].code);
		free(all->said[i].object);
		free(all->said[i].detail);
		free(all->said[i].path);
		free(all->said[i].mailbox);
	}
	*all = (struct all_said){ .nr = 0 };
}

static void said_add(struct all_said *all, const struct said *said)
{
	if (all->nr == SAID_MAX) {
		all->overflowed = true;
		return;
	}
	all->said[all->nr++] = *said;
	all->nr_gaps += !said->code;
}

static char *copy(const char *text)
{
	return strdup(text ? text : "");
}

static char *copy_span(struct span span)
{
	return span.len ? strndup((const char *)span.data, span.len) : strdup("");
}

static void on_finding(const struct finding *finding, void *ctx)
{
	struct said said = { copy(finding->code), copy(finding->object), copy(finding->detail),
			     copy_span(finding->path), copy_span(finding->mailbox) };

	said_add(ctx, &said);
}

static void on_gap(struct span mailbox, const char *path, const char *why, void *ctx)
{
	struct said said = { NULL, copy(""), copy(why), copy(path), copy_span(mailbox) };

	said_add(ctx, &said);
}

static bool said_is(const struct said *a, const struct said *b)
{
	return !a->code == !b->code && (!a->code || strcmp(a->code, b->code) == 0) &&
	       strcmp(a->object, b->object) == 0 && strcmp(a->path, b->path) == 0 &&
	       strcmp(a->mailbox, b->mailbox) == 0;
}

static bool is_known(const struct all_said *known, const struct said *said)
{
	for (unsigned i = 0; i < known->nr; i++)
		if (said_is(&known->said[i], said))
			return true;
	return false;
}

static void complain(const struct campaign *c, const char *what, const struct said *said)
{
	const struct damage *d = &c->damage;

	fprintf(stderr, "seed %" PRIu64 " fault %" PRIu64 ": %s", c->seed, c->round, what);
	if (d->file)
		fprintf(stderr, ": %s at byte %" PRIu64 " of %zu of %s", damage_name(d->type),
			d->first, d->before.len, d->file->path);
	if (said)
		fprintf(stderr, ": %s %s: %s %s: %s", said->mailbox, said->path,
			said->code ? said->code : "gap", said->object, said->detail);
	fputc('\n', stderr);
}

static int scan(struct campaign *c, unsigned store)
{
	struct scan_options options = {
		.settle_ns = SETTLE, .readers = 2, .order = SCAN_ORDER_FILE, .append_max_ns = 1
	};
	struct scan_events events = { .finding = on_finding, .gap = on_gap, .ctx = &c->said };
	struct log log = { .fn = log_to_stderr, .level = LOG_LEVEL_WARNING };
	struct run run;

	said_clear(&c->said);
	int r = scan_store(c->state, &c->targets[store], &options, &events, &log, &run);
	if (r == 0 && run.status != (c->said.nr_gaps ? RUN_INCOMPLETE : RUN_COMPLETE)) {
		c->troubles++;
		complain(c, run_status_name(run.status), NULL);
	}
	return r ? r : c->said.overflowed ? -EOVERFLOW : 0;
}

/* ---- stores without a fault ---- */

/* What fixtures/README.md says of them: ids left by a purge; versions that are hardly read. */
static bool is_left_by_cyrus(const struct store *store, const struct said *said)
{
	if (said->code)
		return strcmp(store->name, "modern") == 0 &&
		       strcmp(said->code, "mailboxes_db.orphan_id") == 0;
	return strcmp(store->name, "versions") == 0 && strncmp(said->mailbox, "user.v.v0", 9) == 0;
}

/* A new state, in which each store is scanned. */
static int begin_anew(struct campaign *c)
{
	struct log log = { .fn = log_to_stderr, .level = LOG_LEVEL_WARNING };
	char path[PATH_MAX + 32];
	int r;

	state_close(c->state);
	c->state = NULL;
	(void)snprintf(path, sizeof(path), "%s/state%u", c->dir, c->nr_states++);
	r = state_open(path, STATE_WRITE, &log, &c->state);
	for (unsigned i = 0; r == 0 && i < STORES; i++) {
		r = scan(c, i);
		for (unsigned k = 0; r == 0 && k < c->said.nr; k++) {
			if (is_left_by_cyrus(&c->stores.all[i], &c->said.said[k]))
				continue;
			c->nr_false++;
			complain(c, "false", &c->said.said[k]);
		}
		if (c->known[i].nr == 0) { /* the first time; the others must not be handed on */
			c->known[i] = c->said;
			c->said = (struct all_said){ .nr = 0 };
		}
	}
	return r;
}

/* ---- the comparison ---- */

/* Is `code` one of `codes`, separated by spaces? */
static bool is_one_of(const char *code, const char *codes)
{
	size_t len = strlen(code);

	for (const char *at = codes; at; at = strchr(at, ' ')) {
		at += *at == ' ';
		if (strncmp(at, code, len) == 0 && (at[len] == ' ' || at[len] == '\0'))
			return true;
	}
	return false;
}

/* The number behind "byte " in the words of a finding. */
static bool byte_of(const char *detail, uint64_t *ret_byte)
{
	const char *at = strstr(detail, "byte ");

	if (!at || at[5] < '0' || at[5] > '9')
		return false;
	*ret_byte = strtoull(at + 5, NULL, 10);
	return true;
}

static bool is_expected(struct oracle *oracle, const struct said *said)
{
	bool is = false;
	uint64_t byte = 0;

	for (unsigned i = 0; said->code && i < oracle->nr; i++) {
		struct expected *expected = &oracle->expected[i];
		if (strcmp(said->path, expected->path) != 0 ||
		    !is_one_of(said->code, expected->codes) ||
		    (*expected->object && strcmp(said->object, expected->object) != 0))
			continue;
		bool names_byte = byte_of(said->detail, &byte);
		if (expected->names_byte && names_byte &&
		    (byte < expected->from || byte > expected->to))
			continue;
		expected->nr_found += !expected->names_byte || names_byte;
		is = true;
	}
	return is;
}

/* A gap is explained by the file itself, its mailbox, or the list that leads to it. */
static bool is_explained_gap(const struct campaign *c, const struct said *said)
{
	const struct store_file *file = c->damage.file;

	if (file->kind == FILE_LIST || strcmp(said->path, file->path) == 0)
		return true;
	if (!file->mailbox || !*said->mailbox)
		return false;
	for (unsigned i = 0; i < c->said.nr; i++) /* no two mailboxes */
		if (!c->said.said[i].code && strcmp(c->said.said[i].mailbox, said->mailbox) != 0 &&
		    !is_known(&c->known[file->store - c->stores.all], &c->said.said[i]))
			return false;
	return true;
}

static void count_uncovered(struct campaign *c, struct tally *tally, bool with_finding,
			    bool with_gap)
{
	struct reason *reason = tally->reasons;

	while (reason->why && strcmp(reason->why, c->oracle.why) != 0)
		if (++reason == tally->reasons + REASONS_MAX)
			abort(); /* more reasons than the table has room for */
	reason->why = c->oracle.why;
	reason->with_finding += with_finding;
	reason->with_gap += !with_finding && with_gap;
	reason->silent += !with_finding && !with_gap;
}

static void judge(struct campaign *c, struct tally *tally)
{
	const struct all_said *known = &c->known[c->damage.file->store - c->stores.all];
	bool is_covered = c->oracle.nr > 0, is_wrong = false, is_missed = false;
	bool is_whole = is_covered && !c->oracle.is_misplaced;
	unsigned nr_findings = 0, nr_gaps = 0;

	for (unsigned i = 0; i < c->said.nr; i++) {
		const struct said *said = &c->said.said[i];
		if (is_known(known, said))
			continue;
		nr_findings += said->code != NULL;
		nr_gaps += !said->code;
		bool is_right = said->code
					? is_expected(&c->oracle, said) ||
						  oracle_explains(&c->damage, is_whole, said->code,
								  span_of_str(said->path))
					: is_explained_gap(c, said);
		if (!is_right)
			complain(c, "misattributed", said);
		is_wrong |= !is_right;
	}
	for (unsigned i = 0; i < c->oracle.nr; i++) {
		const struct expected *expected = &c->oracle.expected[i];
		struct said words = { (char *)expected->codes, (char *)expected->object,
				      nr_findings ? "something else" : "nothing",
				      (char *)expected->path, "" };
		if (expected->nr_found == 0)
			complain(c, "missed", &words);
		is_missed |= expected->nr_found == 0;
	}
	tally->faults++;
	tally->covered += is_covered;
	tally->found += is_covered && !is_missed;
	c->covered += is_covered;
	c->found += is_covered && !is_missed;
	c->misattributed += is_wrong;
	if (!is_covered)
		count_uncovered(c, tally, nr_findings > 0, nr_gaps > 0);
}

/* ---- the campaign ---- */

/* Each kind once, in any order, then each once again. */
static unsigned draw_group(struct campaign *c)
{
	if (c->nr_deck == 0)
		for (unsigned i = 0; i < c->stores.nr_groups; i++)
			c->deck[c->nr_deck++] = i;
	uint64_t at = random_below(&c->random, c->nr_deck);
	unsigned group = c->deck[at];
	c->deck[at] = c->deck[--c->nr_deck];
	return group;
}

static int run_round(struct campaign *c)
{
	unsigned group = draw_group(c);
	int r = damage_do(&c->damage, &c->stores, &c->stores.groups[group], c->aside, &c->random);

	if (r == 0)
		r = oracle_ask(&c->oracle, &c->stores, &c->damage);
	if (r == 0)
		r = scan(c, (unsigned)(c->damage.file->store - c->stores.all));
	if (r == 0)
		judge(c, &c->tallies[group]);
	int undone = damage_undo(&c->damage);
	return r ? r : undone;
}

static int open_all(struct campaign *c)
{
	struct log log = { .fn = log_to_stderr, .level = LOG_LEVEL_WARNING };
	char real[PATH_MAX];
	int r = realpath(c->dir, real) ? 0 : -errno;

	if (r == 0)
		r = stores_open(&c->stores, real);
	for (unsigned i = 0; r == 0 && i < STORES; i++)
		r = target_open(&c->targets[i], c->stores.all[i].name, "localhost",
				c->stores.all[i].conf_path, &log);
	(void)snprintf(c->aside, sizeof(c->aside), "%s/aside", c->dir);
	if (r == 0 && mkdir(c->aside, 0700))
		r = -errno;
	return r;
}

static int run_campaign(struct campaign *c)
{
	int r = open_all(c);

	c->random = c->seed;
	while (r == 0 && c->round < c->rounds) {
		if (c->round % FRESH_EVERY == 0)
			r = begin_anew(c);
		c->round++;
		if (r == 0)
			r = run_round(c);
	}
	if (r == 0)
		r = begin_anew(c);
	if (r)
		fprintf(stderr, "campaign-cyrus: seed %" PRIu64 " fault %" PRIu64 ": %s\n", c->seed,
			c->round, strerror(-r));
	state_close(c->state);
	said_clear(&c->said);
	for (unsigned i = 0; i < STORES; i++) {
		said_clear(&c->known[i]);
		target_fini(&c->targets[i]);
	}
	return r;
}

static void print_table(const struct campaign *c)
{
	printf("  %-26s faults covered  found | finding gap silent  without a checksum because\n",
	       "kind");
	for (unsigned i = 0; i < c->stores.nr_groups; i++) {
		const struct tally *tally = &c->tallies[i];
		char name[64];
		group_name(&c->stores.groups[i], name, sizeof(name));
		printf("  %-26s %6u %7u %6u |", name, tally->faults, tally->covered, tally->found);
		for (unsigned k = 0; k < REASONS_MAX && tally->reasons[k].why; k++) {
			const struct reason *reason = &tally->reasons[k];
			if (k)
				printf("\n  %-48s |", "");
			printf(" %7u %3u %6u  %s", reason->with_finding, reason->with_gap,
			       reason->silent, reason->why);
		}
		putchar('\n');
	}
}

/* True when it is ok. `error` is what the campaign itself failed by. */
static bool report(struct campaign *c, int error)
{
	bool good = error == 0 && c->round == c->rounds && c->covered > 0 &&
		    c->found == c->covered && c->misattributed == 0 && c->nr_false == 0 &&
		    c->troubles == 0;

	print_table(c);
	printf("  covered=%" PRIu64 " uncovered=%" PRIu64 "\n", c->covered, c->round - c->covered);
	printf("campaign cyrus seed=%" PRIu64 " injected=%" PRIu64 " found=%" PRIu64
	       " misattributed=%" PRIu64 " false=%" PRIu64 " %s\n",
	       c->seed, c->round, c->found, c->misattributed, c->nr_false, good ? "ok" : "short");
	stores_fini(&c->stores);
	return good;
}

int main(int argc, char **argv)
{
	static struct campaign campaign; /* all zero, and too large for the stack */
	struct arguments arguments;

	if (arguments_parse("campaign-cyrus", ROUNDS_MAX, argc, argv, &arguments))
		return EXIT_USAGE;
	campaign.dir = arguments.dir;
	campaign.seed = arguments.seed;
	campaign.rounds = arguments.count;
	return report(&campaign, run_campaign(&campaign)) ? 0 : EXIT_SHORT;
}

// SPDX-License-Identifier: Apache-2.0
/*
 * campaign-resume: scans that are killed at random moments, and what the ones that go on with them
 * find.
 *
 *	campaign-resume DIR --seed S --count N
 *
 * Builds a store below DIR, which must exist, on an ext4 filesystem of its own where this machine
 * can have one, else in the folder itself, which is said; and damages some messages. One
 * undisturbed scan must find exactly these. Then N rounds, each with a state of its own: a scan is
 * started as a child and killed, by SIGKILL or now and then by SIGTERM, one to three times, at
 * moments that follow from the seed; one more goes on to the end. It must be complete, and the open
 * findings those of the undisturbed scan, none more, none less, none closed; each message counted
 * once; the database sound. Last on stdout, behind a line about the kills:
 *
 *	campaign resume seed=S injected=N found=F misattributed=M false=P ok
 *
 *	injected	messages that were damaged, in each round anew
 *	found		of those: open with the right code
 *	misattributed	open with another code
 *	false		other findings, and findings that were closed
 *
 * `ok` only if nothing is missing or too much, and, with a filesystem, runs went on with others and
 * carried messages over; else `short`. Exit status: 0 ok, 1 short or the campaign itself failed, 3
 * wrong usage. What it made in DIR stays, but for the mount; it is the caller's to remove.
 */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "campaign/arguments.h"
#include "state/state.h"
#include "support/disk.h"
#include "support/mkstore.h"
#include "support/room.h"
#include "verify/scan.h"

#define ROUNDS_MAX 100000
#define SETTLE (5 * NS_PER_MS)

enum {
	EXIT_SHORT = 1,
	EXIT_USAGE = 3,
	DISK_MIB = 64,
	MAILBOXES = 12,
	SMALL_MESSAGES = 25,
	LARGE_MESSAGES = 120, /* in every fourth mailbox */
	MESSAGE_SIZE = 20000, /* bytes, and a few more each */
	FAULTS = 16,
	FAULTY_MAILBOXES = 4, /* every third one: in the others messages can be carried over */
	KILLS_MAX = 3,
	SHORT_ROUNDS = 20, /* so many or fewer are to be quick */
	QUICK_MS = 500,
	SLOW_MS = 1500, /* about how long a scan is made to take */
};

struct fault {
	unsigned mailbox;
	uint32_t uid;
	const char *code;
	bool found; /* in this round */
};

struct campaign {
	const char *dir;
	uint64_t seed, rounds, round;
	uint64_t random;
	struct disk disk;
	struct mkstore *store;
	struct fault faults[FAULTS];
	uint64_t messages; /* that the undisturbed scan read */
	int64_t whole_ns;  /* that it took, under the ceiling */
	uint64_t injected, found, misattributed, nr_false, troubles;
	uint64_t kills, terms, late, resumed, carried;
};

static volatile sig_atomic_t stop_requested;

static void on_term(int signal_number)
{
	(void)signal_number;
	stop_requested = 1;
}

static uint64_t random_below(struct campaign *c, uint64_t n)
{
	uint64_t x = c->random += UINT64_C(0x9e3779b97f4a7c15); /* splitmix64 */

	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return (x ^ x >> 31) % n;
}

static void complain(struct campaign *c, const char *what, const char *words)
{
	c->troubles++;
	fprintf(stderr, "seed %" PRIu64 " round %" PRIu64 ": %s: %s\n", c->seed, c->round, what,
		words);
}

static const char *path_in(const struct campaign *c, const char *leaf)
{
	static char path[512];

	(void)snprintf(path, sizeof(path), "%s/%s", c->dir, leaf);
	return path;
}

/* ---- the store ---- */

static void name_mailbox(unsigned nr, char name[32])
{
	(void)snprintf(name, 32, "user.u%02u", nr);
}

static unsigned count_messages(unsigned nr)
{
	return nr % 4 == 3 ? LARGE_MESSAGES : SMALL_MESSAGES;
}

static int build_store(struct campaign *c)
{
	struct mkstore_options options = { .seed = c->seed };
	int r = disk_make(&c->disk, c->dir, DISK_MIB);
	char name[32];

	if (r < 0)
		return r;
	if (r == DISK_NONE)
		printf("  no filesystem of its own: not root, or no loop device; the store is read as "
		       "files\n");
	r = mkstore_new(path_in(c, "disk/store"), &options, &c->store);
	for (unsigned i = 0; r == 0 && i < MAILBOXES; i++) {
		name_mailbox(i, name);
		r = room_add_mailbox(c->store, name, count_messages(i), MESSAGE_SIZE, 7);
	}
	return r ? r : mkstore_finish(c->store);
}

static int inject(struct campaign *c, struct fault *fault, unsigned kind)
{
	char name[32], leaf[16];

	name_mailbox(fault->mailbox, name);
	(void)snprintf(leaf, sizeof(leaf), "%u.", fault->uid);
	char *path = mkstore_path(c->store, name, leaf);
	int r = path ? 0 : -ENOMEM;

	if (r == 0 && kind == 0) {
		fault->code = "message.digest";
		r = mkstore_flip_bit(path, random_below(c, MESSAGE_SIZE), 5);
	} else if (r == 0 && kind == 1) {
		fault->code = "message.size";
		r = mkstore_truncate(path, random_below(c, MESSAGE_SIZE));
	} else if (r == 0) {
		fault->code = "message.missing";
		r = unlink(path) ? -errno : 0;
	}
	free(path);
	return r;
}

static bool is_taken(const struct campaign *c, const struct fault *fault)
{
	for (const struct fault *other = c->faults; other < fault; other++)
		if (other->mailbox == fault->mailbox && other->uid == fault->uid)
			return true;
	return false;
}

static int inject_all(struct campaign *c)
{
	int r = 0;

	for (unsigned i = 0; r == 0 && i < FAULTS; i++) {
		struct fault *fault = &c->faults[i];
		do {
			fault->mailbox = 1 + 3 * (unsigned)random_below(c, FAULTY_MAILBOXES);
			fault->uid = 1 + (uint32_t)random_below(c, count_messages(fault->mailbox));
		} while (is_taken(c, fault));
		r = inject(c, fault, i % 3);
	}
	return r;
}

/* ---- scans ---- */

static int scan(struct campaign *c, const char *state_dir, bool slow, struct run *ret_run)
{
	uint64_t whole_ms = c->rounds <= SHORT_ROUNDS ? QUICK_MS : SLOW_MS;
	struct log log = { .fn = log_to_stderr, .level = LOG_LEVEL_WARNING };
	struct scan_events events = { .finding = NULL };
	struct scan_options options = {
		.settle_ns = SETTLE,
		.readers = 2,
		.digesters = 1,
		.append_max_ns = 1,
		.checkpoint_ns = 40 * NS_PER_MS,
		.stop = &stop_requested,
	};
	struct target target = TARGET_NULL;
	struct state *state = NULL;
	int r = target_open(&target, "campaign", "localhost", path_in(c, "disk/store/imapd.conf"),
			    &log);

	if (slow)
		options.limits.bytes_per_s = mkstore_get_totals(c->store).bytes * 1000 / whole_ms;
	if (r == 0)
		r = state_open(state_dir, STATE_WRITE, &log, &state);
	if (r == 0)
		r = scan_store(state, &target, &options, &events, &log, ret_run);
	state_close(state);
	target_fini(&target);
	return r;
}

/* Starts a scan as a child, and kills it after a while. */
static int scan_and_kill(struct campaign *c, const char *state_dir)
{
	bool by_term = random_below(c, 4) == 0;
	int64_t moment = (int64_t)random_below(c, (uint64_t)(c->whole_ns * 11 / 10));
	struct run run;
	int status;
	pid_t child = fork();

	if (child < 0)
		return -errno;
	if (child == 0) {
		struct sigaction stop = { .sa_handler = on_term };
		(void)sigaction(SIGTERM, &stop, NULL);
		_exit(scan(c, state_dir, true, &run) ? 1 : 0);
	}
	clock_sleep_ns(moment);
	(void)kill(child, by_term ? SIGTERM : SIGKILL);
	if (waitpid(child, &status, 0) != child)
		return -ECHILD;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 1)
		complain(c, "child", "the scan could not go on");
	c->kills++;
	c->terms += by_term;
	c->late += WIFEXITED(status) && !by_term;
	return 0;
}

/* ---- the comparison ---- */

static int judge(const struct finding *finding, void *ctx)
{
	struct campaign *c = ctx;
	struct buf words cleanup(buf_fini) = BUF_NULL;
	char name[32], object[32];

	for (unsigned i = 0; i < FAULTS; i++) {
		struct fault *fault = &c->faults[i];
		name_mailbox(fault->mailbox, name);
		(void)snprintf(object, sizeof(object), "message:%" PRIu32, fault->uid);
		if (!span_equals_str(finding->mailbox, name) ||
		    strcmp(finding->object, object) != 0)
			continue;
		if (finding->closed_ns == 0 && strcmp(finding->code, fault->code) == 0) {
			fault->found = true;
			return 0;
		}
		if (finding->closed_ns == 0) {
			c->misattributed++;
			complain(c, finding->code, fault->code);
			return 0;
		}
	}
	c->nr_false++;
	buf_add_span(&words, finding->mailbox);
	buf_addf(&words, " %s %s", finding->object, finding->code);
	complain(c, finding->closed_ns ? "closed" : "false", buf_str(&words));
	return 0;
}

static int check_sound(struct campaign *c, const char *state_dir)
{
	char path[600];
	sqlite3 *db = NULL;
	sqlite3_stmt *stmt = NULL;

	(void)snprintf(path, sizeof(path), "%s/state.db", state_dir);
	int code = sqlite3_open(path, &db);
	if (code == SQLITE_OK)
		code = sqlite3_prepare_v2(db, "PRAGMA integrity_check", -1, &stmt, NULL);
	if (code != SQLITE_OK || sqlite3_step(stmt) != SQLITE_ROW ||
	    strcmp((const char *)sqlite3_column_text(stmt, 0), "ok") != 0)
		complain(c, "state.db", sqlite3_errmsg(db));
	(void)sqlite3_finalize(stmt);
	(void)sqlite3_close(db);
	return 0;
}

/* What state holds is what was injected. */
static int compare(struct campaign *c, const char *state_dir, const struct run *run)
{
	struct finding_filter all = { .target = run->target };
	struct log log = { .fn = log_to_stderr, .level = LOG_LEVEL_WARNING };
	struct state *state = NULL;

	if (run->status != RUN_COMPLETE)
		complain(c, "run", run_status_name(run->status));
	for (unsigned i = 0; i < FAULTS; i++)
		c->faults[i].found = false;
	int r = state_open(state_dir, STATE_READ, &log, &state);
	if (r == 0)
		r = state_finding_each(state, &all, judge, c);
	state_close(state);
	for (unsigned i = 0; r == 0 && i < FAULTS; i++) {
		c->injected++;
		c->found += c->faults[i].found;
		if (!c->faults[i].found)
			complain(c, "missed", c->faults[i].code);
	}
	return r ? r : check_sound(c, state_dir);
}

/* ---- the campaign ---- */

static int run_undisturbed(struct campaign *c)
{
	char state_dir[512];
	struct run run;
	int r;

	(void)snprintf(state_dir, sizeof(state_dir), "%s", path_in(c, "state.undisturbed"));
	int64_t began = clock_mono_ns();
	r = scan(c, state_dir, true, &run);
	c->whole_ns = clock_mono_ns() - began;
	c->messages = run.messages;
	if (r == 0)
		r = compare(c, state_dir, &run);
	/* Only the rounds count. */
	c->injected = c->found = 0;
	return r;
}

static int run_round(struct campaign *c)
{
	uint64_t kills = 1 + random_below(c, KILLS_MAX);
	char state_dir[512];
	struct run run = { 0 };
	int r = 0;

	(void)snprintf(state_dir, sizeof(state_dir), "%s", path_in(c, "state"));
	for (uint64_t i = 0; r == 0 && i < kills; i++)
		r = scan_and_kill(c, state_dir);
	if (r == 0)
		r = scan(c, state_dir, false, &run);
	if (r == 0)
		r = compare(c, state_dir, &run);
	if (r == 0 && run.carried + run.messages != c->messages)
		complain(c, "messages", "not each one is counted once");
	c->resumed += run.round != run.id;
	c->carried += run.carried;
	return r ? r : room_remove(state_dir);
}

static int run_campaign(struct campaign *c)
{
	c->random = c->seed;
	int r = build_store(c);
	if (r == 0)
		r = inject_all(c);
	/* What was changed less than a second ago is not read in blocks. */
	clock_sleep_ns(NS_PER_S * 5 / 4);
	if (r == 0)
		r = run_undisturbed(c);
	while (r == 0 && c->round < c->rounds) {
		c->round++;
		r = run_round(c);
	}
	mkstore_free(take(c->store));
	int closed = disk_close(&c->disk);
	return r ? r : closed;
}

/* True when it is ok. `error` is what the campaign itself failed by. */
static bool report(const struct campaign *c, int error)
{
	bool went_on = c->resumed * 4 > c->rounds && c->carried > 0;
	bool good = error == 0 && c->injected == c->rounds * FAULTS && c->found == c->injected &&
		    c->misattributed == 0 && c->nr_false == 0 && c->troubles == 0 &&
		    (went_on || c->disk.dir[0] == '\0' || c->whole_ns < NS_PER_S / 5);

	if (error)
		fprintf(stderr, "campaign-resume: seed %" PRIu64 " round %" PRIu64 ": %s\n",
			c->seed, c->round, strerror(-error));
	printf("  kills=%" PRIu64 " sigterm=%" PRIu64 " late=%" PRIu64 " went_on=%" PRIu64
	       " carried=%" PRIu64 " of %" PRIu64 " messages\n",
	       c->kills, c->terms, c->late, c->resumed, c->carried, c->messages * c->rounds);
	printf("campaign resume seed=%" PRIu64 " injected=%" PRIu64 " found=%" PRIu64
	       " misattributed=%" PRIu64 " false=%" PRIu64 " %s\n",
	       c->seed, c->injected, c->found, c->misattributed, c->nr_false,
	       good ? "ok" : "short");
	return good;
}

int main(int argc, char **argv)
{
	static struct campaign campaign;
	struct arguments arguments;

	if (arguments_parse("campaign-resume", ROUNDS_MAX, argc, argv, &arguments))
		return EXIT_USAGE;
	campaign.dir = arguments.dir;
	campaign.seed = arguments.seed;
	campaign.rounds = arguments.count;
	return report(&campaign, run_campaign(&campaign)) ? 0 : EXIT_SHORT;
}

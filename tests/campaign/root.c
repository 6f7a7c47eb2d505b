// SPDX-License-Identifier: Apache-2.0
/*
 * campaign-root: single faults in root filesystems, and what a scan of the volume says of them.
 *
 *	campaign-root DIR --seed S --count N
 *
 * Makes images of root filesystems below DIR, which must exist: ext4 with all that changes its
 * layout, and ext3. Each is scanned, changed, and scanned again: nothing may be found. Then N faults, one
 * after the other: a class of blocks, a block, a way to damage it; a scan; what it says compared with
 * what checksums, packages and the baseline must say by an oracle of its own; undone. Last, where root
 * runs it, legitimate changes of all kinds, one after the other, with scans while it is mounted and
 * after that: nothing may be found. The same seed does the same to the same packages. To be run at
 * the top of the tree. On stdout, last, behind two tables:
 *
 *	campaign root seed=S injected=N found=F misattributed=M false=P ok
 *
 *	injected	faults
 *	found		of those that a witness covers, or that e2fsck -fn complains of
 *	misattributed	faults because of which something was said of what they do not explain, or
 *			that were given the fingerprint of other damage
 *	false		what was said where nothing is wrong: undamaged, in free space, changed by right
 *
 * `ok` only if all that a witness covers and e2fsck complains of was found, nothing was
 * misattributed and nothing false; else `short`. What went wrong is said on stderr, one line each.
 *
 * Exit status: 0 ok, 1 short or the campaign itself failed, 3 wrong usage. What is below DIR is the
 * caller's to remove.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "campaign/arguments.h"
#include "campaign/root_judge.h"
#include "campaign/root_parts.h"
#include "state/state.h"
#include "support/random.h"
#include "verify/volume_scan.h"

#define ROUNDS_MAX 1000000
#define SCAN_MAX_S 60	       /* seconds: a scan that takes longer hangs */
#define SETTLE (1 * NS_PER_MS) /* nothing moves in these images */
#define FAULTS_OF_IMAGE 5      /* at least: fewer are not worth making one */
#define CHANGED_IMAGES 6       /* of the first kinds */
#define CHANGED_SHORT 500      /* faults: with fewer, only the first image is changed by right */

enum { EXIT_SHORT = 1, EXIT_USAGE = 3 };

struct deck {
	unsigned cards[CLASS_COUNT_ + FAULT_KIND_COUNT_], nr;
};

struct campaign {
	const char *dir;
	uint64_t seed, rounds, round, random;
	struct root_image image;
	struct deck classes, kinds;
	struct tallies tallies;
	uint64_t nr_false, nr_clean_scans, nr_changes, nr_not_possible, nr_no_images;
};

static const struct log to_stderr = { .fn = log_to_stderr, .level = LOG_LEVEL_WARNING };
static const struct log to_nobody = { .level = LOG_LEVEL_ERROR };

/* ---- scans ---- */

static volatile sig_atomic_t takes_too_long;

static void on_alarm(int signal)
{
	(void)signal;
	takes_too_long = 1;
}

static void on_finding(const struct finding *finding, void *ctx)
{
	said_add(ctx, finding->code, finding->object, finding->detail, finding->path);
}

static void on_gap(struct span mailbox, const char *path, const char *why, void *ctx)
{
	(void)mailbox;
	said_add(ctx, NULL, "", why, span_of_str(path));
}

/* As `assay scan IMAGE`. What could not be scanned at all is a gap. */
static int scan(const struct root_image *image, const struct log *log, struct all_said *said)
{
	struct volume_scan_options options = { .state_dir = image->state,
					       .settle_ns = SETTLE,
					       .stop = &takes_too_long };
	struct scan_events events = { .finding = on_finding, .gap = on_gap, .ctx = said };
	struct volume_target target;
	struct volume_scan_result result;
	struct state *state = NULL;

	said_clear(said);
	takes_too_long = 0;
	(void)alarm(SCAN_MAX_S);
	int r = state_open(image->state, STATE_WRITE, &to_stderr, &state);
	if (r)
		return r;
	r = volume_target_open_path(&target, NULL, image->path, false, log);
	if (r == 0) {
		r = scan_volume(state, &target, &options, &events, log, &result);
		said->status = r ? "refused" : run_status_name(result.run.status);
		said->is_complete = r == 0 && result.run.status == RUN_COMPLETE;
		volume_target_fini(&target);
	} else {
		said->status = "refused";
	}
	(void)alarm(0);
	state_close(state);
	if (takes_too_long)
		said->status = "not at its end in time";
	if (r == -ENOMEM)
		return r;
	if (r)
		said_add(said, NULL, "", strerror(-r), span_of_str(image->path));
	return 0;
}

/* Where nothing is wrong. */
static int scan_clean(struct campaign *c, const struct root_image *image, const char *when)
{
	static struct all_said said;
	int r = scan(image, &to_stderr, &said);

	c->nr_clean_scans++;
	for (unsigned i = 0; i < said.nr; i++) {
		fprintf(stderr, "seed %" PRIu64 ": %s, %s: false: ", c->seed, image->kind, when);
		said_print(&said.said[i], stderr);
	}
	if (r == 0 && said.nr == 0 && !said.is_complete)
		fprintf(stderr, "seed %" PRIu64 ": %s, %s: the run is %s\n", c->seed, image->kind,
			when, said.status);
	c->nr_false += said.nr || !said.is_complete;
	said_clear(&said);
	return r;
}

static int scan_baseline(struct root_image *image, void *ctx)
{
	return scan_clean(ctx, image, "undamaged");
}

/* ---- faults ---- */

/* Each once, in any order, then each once again. */
static unsigned draw_card(struct deck *deck, unsigned nr, uint64_t *random)
{
	if (deck->nr == 0)
		while (deck->nr < nr) {
			deck->cards[deck->nr] = deck->nr;
			deck->nr++;
		}
	uint64_t at = random_below(random, deck->nr);
	unsigned card = deck->cards[at];
	deck->cards[at] = deck->cards[--deck->nr];
	return card;
}

/* A class and a kind that this image can have; each is drawn as often as any other that it can. */
static int draw_fault(struct campaign *c, struct fault_done *fault)
{
	int r = -EAGAIN;

	while (r == -EAGAIN) {
		enum block_class class = draw_card(&c->classes, CLASS_COUNT_, &c->random);
		if (c->image.first[class] == c->image.first[class + 1])
			continue;
		for (unsigned i = 0; i < 2 * FAULT_KIND_COUNT_ && r == -EAGAIN; i++)
			r = fault_draw(fault, &c->image, class,
				       draw_card(&c->kinds, FAULT_KIND_COUNT_, &c->random),
				       &c->random);
	}
	return r;
}

static int run_round(struct campaign *c)
{
	static struct all_said said;
	struct fault_done fault;
	struct oracle oracle;
	int r = draw_fault(c, &fault);

	if (r)
		return r;
	oracle_ask(&oracle, &c->image, &fault);
	r = root_image_write(&c->image, fault.piece->block, fault.after);
	bool is_doubted = r == 0 && root_image_is_doubted(&c->image);
	if (r == 0)
		r = scan(&c->image, &to_nobody, &said);
	if (r == 0) {
		struct judged judged = { &c->image,  &fault,  &oracle, &said,
					 is_doubted, c->seed, c->round };
		judge(&judged, &c->tallies);
	}
	said_clear(&said);
	int undone = root_image_restore(&c->image, fault.piece->block);
	fault_fini(&fault);
	return r ? r : undone;
}

/* ---- legitimate changes ---- */

static int mount_image(const struct root_image *image)
{
	return shell("mkdir -p '%s/mnt' && mount -t ext4 -o loop '%s' '%s/mnt'", image->dir,
		     image->path, image->dir);
}

static int unmount_image(const struct root_image *image)
{
	return shell("umount '%s/mnt'", image->dir);
}

/* 0, CHANGE_NONE, or a negative errno. */
static int change_once(const struct root_image *image, const struct change *change)
{
	char dir[PATH_MAX];
	int r = 0;

	(void)snprintf(dir, sizeof(dir), "%s/mnt", image->dir);
	int back = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (back < 0 || chdir(dir))
		r = -errno;
	if (r == 0 && change->script && shell("set -e\n%s", change->script))
		r = CHANGE_NONE;
	if (r == 0 && change->fn)
		r = change->fn();
	if (back >= 0 && fchdir(back) && r == 0)
		r = -errno;
	if (back >= 0)
		(void)close(back);
	return r;
}

static int run_change(struct campaign *c, const struct change *change, bool while_mounted)
{
	const struct root_image *image = &c->image;
	char when[128];
	int r = mount_image(image);

	if (r)
		return r;
	int done = change_once(image, change);
	r = shell("sync -f '%s/mnt'", image->dir);
	(void)snprintf(when, sizeof(when), "%s, while it is mounted", change->name);
	if (r == 0 && while_mounted)
		r = scan_clean(c, image, when);
	int unmounted = unmount_image(image);
	if (r == 0)
		r = unmounted;
	if (done < 0) {
		fprintf(stderr, "campaign-root: %s, %s: %s\n", image->kind, change->name,
			strerror(-done));
		return r ? r : done;
	}
	c->nr_changes += done == 0;
	c->nr_not_possible += done == CHANGE_NONE;
	if (done == CHANGE_NONE)
		fprintf(stderr, "campaign-root: %s: cannot be done here: %s\n", image->kind,
			change->name);
	return r ? r : scan_clean(c, image, change->name);
}

static int run_changes(struct campaign *c)
{
	bool has_extents = strcmp(c->image.kind, "ext3") != 0;
	int r = 0;

	for (unsigned i = 0; r == 0 && changes[i].name; i++)
		if (has_extents || !changes[i].needs_extents)
			r = run_change(c, &changes[i], i % 2);
	return r;
}

/* Whatever is mounted goes with this process. */
static bool can_mount(void)
{
	return geteuid() == 0 && unshare(CLONE_NEWNS) == 0 &&
	       mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;
}

/* ---- the campaign ---- */

static int run_image(struct campaign *c, const char *kind, uint64_t until, bool changed)
{
	int r = root_image_make(&c->image, c->dir, kind, scan_baseline, c);

	if (r == IMAGE_NONE) {
		fprintf(stderr, "campaign-root: no image of kind %s can be made here\n", kind);
		c->nr_no_images++;
		root_image_fini(&c->image);
		return 0;
	}
	c->classes.nr = c->kinds.nr = 0;
	while (r == 0 && c->round < until) {
		c->round++;
		r = run_round(c);
	}
	if (r == 0)
		r = scan_clean(c, &c->image, "behind all faults");
	if (r == 0 && changed)
		r = run_changes(c);
	if (r)
		fprintf(stderr, "campaign-root: seed %" PRIu64 " fault %" PRIu64 ", %s: %s\n",
			c->seed, c->round, kind, strerror(-r));
	root_image_fini(&c->image);
	return r;
}

static int run_campaign(struct campaign *c)
{
	uint64_t nr = 0, at = 0;
	bool mounts = can_mount();
	int r = setenv("PATH", "/usr/sbin:/sbin:/usr/bin:/bin", 1) ? -errno : tree_make(c->dir);

	while (root_image_kinds[nr] && (nr + 1) * FAULTS_OF_IMAGE <= c->rounds)
		nr++;
	nr = max_of(nr, UINT64_C(1));
	if (!mounts)
		fputs("campaign-root: only root can mount: no legitimate changes\n", stderr);
	c->random = c->seed;
	(void)signal(SIGALRM, on_alarm);
	for (; r == 0 && at < nr; at++)
		r = run_image(c, root_image_kinds[at], c->rounds * (at + 1) / nr,
			      mounts && at < (c->rounds < CHANGED_SHORT ? 1 : CHANGED_IMAGES));
	return r;
}

/* True when it is ok. `error` is what the campaign itself failed by. */
static bool report(const struct campaign *c, int error)
{
	const struct tallies *t = &c->tallies;
	uint64_t nr_false = c->nr_false + t->nr_false;
	bool good = error == 0 && c->round == c->rounds && t->covered > 0 &&
		    t->found == t->covered && t->misattributed == 0 && nr_false == 0;

	tallies_print(t);
	printf("  covered=%" PRIu64 " uncovered=%" PRIu64 " clean scans=%" PRIu64
	       " legitimate changes=%" PRIu64 "\n",
	       t->covered, c->round - t->covered, c->nr_clean_scans, c->nr_changes);
	printf("campaign root seed=%" PRIu64 " injected=%" PRIu64 " found=%" PRIu64
	       " misattributed=%" PRIu64 " false=%" PRIu64 " %s\n",
	       c->seed, c->round, t->found, t->misattributed, nr_false, good ? "ok" : "short");
	return good;
}

int main(int argc, char **argv)
{
	struct arguments arguments;
	static struct campaign campaign; /* all zero, and too large for the stack */

	if (arguments_parse("campaign-root", ROUNDS_MAX, argc, argv, &arguments))
		return EXIT_USAGE;
	campaign.dir = arguments.dir;
	campaign.seed = arguments.seed;
	campaign.rounds = arguments.count;
	return report(&campaign, run_campaign(&campaign)) ? 0 : EXIT_SHORT;
}

// SPDX-License-Identifier: Apache-2.0
/*
 * campaign-ext4-check: single faults in the metadata of filesystems, and whether ext4_check sees all
 * that e2fsck sees.
 *
 *	campaign-ext4-check DIR --seed S --count N
 *
 * Makes an image of each kind below DIR, which must exist, and checks it: nothing may be found. Then
 * N faults in all, one after the other, each undone before the next: a part of the filesystem, a
 * place in it, a way to damage it. `e2fsck -fn` says whether the filesystem is corrupt by it, and so
 * must ext4_check say. The same seed does the same. Last on stdout, behind a table:
 *
 *	campaign ext4-check seed=S injected=N found=F misattributed=M false=P ok
 *
 *	injected	faults by which e2fsck calls the filesystem corrupt
 *	found		of those: ext4_check says so too
 *	misattributed	faults in a filesystem with checksums of which something was told elsewhere
 *	false		filesystems without a fault that were called damaged
 *
 * `ok` only if all were found and nothing was misattributed or false; else `short`. The table has for
 * each kind and each part: faults, those e2fsck calls corrupt, of those the found ones, and what
 * ext4_check told where e2fsck is silent. What was missed is said on stderr, one line each.
 *
 * Exit status: 0 ok, 1 short or the campaign itself failed, 3 wrong usage. What is below DIR is the
 * caller's to remove.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/span.h"
#include "campaign/arguments.h"
#include "campaign/ext4-check_parts.h"
#include "format/ext4/ext4_check.h"
#include "support/random.h"

#define ROUNDS_MAX 1000000
#define PIECE_LEN 512 /* bytes: a sector */

enum { EXIT_SHORT = 1, EXIT_USAGE = 3, E2FSCK_UNCORRECTED = 4, E2FSCK_FAILED = 8 };

enum fault { FAULT_BIT, FAULT_BYTE, FAULT_ZEROS, FAULT_RANDOM, FAULT_BLOCK, FAULT_COUNT_ };

static const char *const fault_names[] = { "bit", "byte", "zeros", "random", "another block" };
static const char *const part_names[] = {
	"super", "desc", "bitmap", "inodes", "map", "dir", "attr"
};

struct tally {
	unsigned faults, corrupt, found, alone;
};

struct campaign {
	const char *dir;
	uint64_t seed, rounds, round, random;
	const struct image_kind *kind;
	struct image image;
	struct tally parts[PART_COUNT_], kinds[32];
	uint64_t nr_false, misattributed;
};

/* ---- what is told ---- */

struct told {
	struct place at; /* what is damaged; of length 0: nothing */
	unsigned nr, elsewhere;
	struct ext4_problem last;
};

static int on_problem(const struct ext4_problem *problem, void *ctx)
{
	struct told *told = ctx;
	bool overlaps = problem->off < told->at.off + told->at.len &&
			told->at.off < problem->off + problem->len;

	told->nr++;
	told->elsewhere += !overlaps;
	if (!overlaps || told->nr == 1)
		told->last = *problem;
	return 0;
}

/* 0, or why the check itself could not be made. */
static int check(struct campaign *c, struct told *told)
{
	struct ext4_check_options options = { .books = true };
	struct ext4_check_events events = { .problem = on_problem, .ctx = told };
	struct ext4_check_stats stats;
	struct source src;
	struct ext4 *fs;
	uint64_t block;
	int error;

	int r = source_open_file(&src, AT_FDCWD, c->image.path);
	if (r)
		return r;
	r = ext4_open_any(&src, &fs, &block, &error);
	if (r == 0) {
		r = ext4_check(fs, &options, &events, &stats);
		told->nr += error && told->nr == 0; /* opened by a backup */
	} else if (r == -EBADMSG || r == -EPROTONOSUPPORT || r == -EFBIG) {
		told->nr++;
		r = 0;
	}
	ext4_close(fs);
	source_close(&src);
	return r;
}

static int check_clean(struct campaign *c)
{
	struct told told = { .nr = 0 };
	int r = check(c, &told);

	if (told.nr == 0)
		return r;
	c->nr_false++;
	fprintf(stderr, "seed %" PRIu64 ": %s: without a fault: %s at %" PRIu64 ": %s\n", c->seed,
		c->kind->name, ext4_object_name(told.last.object), told.last.off, told.last.what);
	return r;
}

/* ---- one fault ---- */

/* Damages `bytes`, a copy of the place; *ret is what of it was changed at most. */
static void damage(struct campaign *c, enum part part, struct place place, enum fault fault,
		   uint8_t *bytes, struct place *ret, int fd)
{
	uint64_t pieces = max_of(place.len / PIECE_LEN, 1u);
	uint64_t at = random_below(&c->random, place.len);

	*ret = (struct place){ place.off + at, 1 };
	if (fault == FAULT_BIT) {
		bytes[at] ^= (uint8_t)(1u << random_below(&c->random, 8));
		return;
	}
	if (fault == FAULT_BYTE) {
		bytes[at] = (uint8_t)random_next(&c->random);
		return;
	}
	at = random_below(&c->random, pieces) * PIECE_LEN;
	uint32_t len = (uint32_t)min_of((uint64_t)PIECE_LEN, place.len - at);
	*ret = (struct place){ place.off + at, len };
	for (uint32_t i = 0; i < len && fault != FAULT_BLOCK; i++)
		bytes[at + i] = fault == FAULT_ZEROS ? 0 : (uint8_t)random_next(&c->random);
	if (fault != FAULT_BLOCK)
		return;
	struct place other =
		c->image.places[part][random_below(&c->random, c->image.nr_places[part])];
	*ret = place;
	if (pread(fd, bytes, min_of(place.len, other.len), (off_t)other.off) < 0)
		c->image.block_size = 0;
}

/* The first line of e2fsck that is no heading. */
static void say_missed(const struct campaign *c, enum part part, struct place at, enum fault fault)
{
	char path[600], line[400] = "";

	(void)snprintf(path, sizeof(path), "%s/said", c->dir);
	FILE *said = fopen(path, "re");
	while (said && fgets(line, sizeof(line), said))
		if (strncmp(line, "Pass", 4) != 0 && strncmp(line, "e2fsck", 6) != 0 &&
		    line[0] != '\n')
			break;
	if (said)
		(void)fclose(said);
	fprintf(stderr, "seed %" PRIu64 " round %" PRIu64 ": %s: %s at %" PRIu64 ", %s: missed: %s",
		c->seed, c->round, c->kind->name, part_names[part], at.off, fault_names[fault],
		line);
}

static int judge(struct campaign *c, enum part part, struct place at, enum fault fault)
{
	struct tally *tallies[] = { &c->parts[part], &c->kinds[c->kind - image_kinds] };
	struct told told = { .at = at };
	int status = run_command(c->dir, "timeout 60 e2fsck -fn \"$1\"", c->image.path);
	bool corrupt = status < 0 || status & E2FSCK_UNCORRECTED || status >= E2FSCK_FAILED;

	int r = check(c, &told);
	if (r)
		return r;
	for (unsigned i = 0; i < array_size(tallies); i++) {
		tallies[i]->faults++;
		tallies[i]->corrupt += corrupt;
		tallies[i]->found += corrupt && told.nr;
		tallies[i]->alone += !corrupt && told.nr;
	}
	if (corrupt && told.nr == 0)
		say_missed(c, part, at, fault);
	/* A block of the same directory in place of another has the right checksum. */
	if (c->image.has_csum && !(part == PART_DIR && fault == FAULT_BLOCK) && told.elsewhere) {
		c->misattributed++;
		fprintf(stderr,
			"seed %" PRIu64 " round %" PRIu64 ": %s: %s at %" PRIu64
			", %s: told of %s at %" PRIu64 ": %s\n",
			c->seed, c->round, c->kind->name, part_names[part], at.off,
			fault_names[fault], ext4_object_name(told.last.object), told.last.off,
			told.last.what);
	}
	return 0;
}

static int run_round(struct campaign *c, int fd)
{
	enum part part;
	struct place at;

	do {
		part = (enum part)random_below(&c->random, PART_COUNT_);
	} while (c->image.nr_places[part] == 0);
	struct place place =
		c->image.places[part][random_below(&c->random, c->image.nr_places[part])];
	enum fault fault = (enum fault)random_below(&c->random, FAULT_COUNT_);
	uint8_t *old = malloc(place.len), *bytes = malloc(place.len);
	int r = old && bytes ? 0 : -ENOMEM;

	if (r == 0 && pread(fd, old, place.len, (off_t)place.off) != (ssize_t)place.len)
		r = -EIO;
	if (r == 0) {
		memcpy(bytes, old, place.len);
		damage(c, part, place, fault, bytes, &at, fd);
		if (pwrite(fd, bytes, place.len, (off_t)place.off) != (ssize_t)place.len)
			r = -EIO;
	}
	if (r == 0 && memcmp(bytes, old, place.len) != 0)
		r = judge(c, part, at, fault);
	if (r == 0 && pwrite(fd, old, place.len, (off_t)place.off) != (ssize_t)place.len)
		r = -EIO;
	free(old);
	free(bytes);
	return r;
}

static int run_kind(struct campaign *c, uint64_t rounds)
{
	int r = image_make(&c->image, c->kind, c->dir);
	int fd = r ? -1 : open(c->image.path, O_RDWR | O_CLOEXEC);

	if (r == 0 && fd < 0)
		r = -errno;
	if (r == 0)
		r = check_clean(c);
	for (uint64_t i = 0; i < rounds && r == 0; i++, c->round++)
		r = run_round(c, fd);
	if (r == 0)
		r = check_clean(c);
	if (r)
		fprintf(stderr, "campaign-ext4-check: %s: %s\n", c->kind->name, strerror(-r));
	if (fd >= 0)
		(void)close(fd);
	image_fini(&c->image);
	return r;
}

static int run_campaign(struct campaign *c)
{
	int r = tree_make(c->dir);

	if (r)
		fprintf(stderr, "campaign-ext4-check: the tree: %s\n", strerror(-r));
	c->random = c->seed;
	for (unsigned i = 0; i < nr_image_kinds && r == 0; i++) {
		uint64_t rounds =
			c->rounds * (i + 1) / nr_image_kinds - c->rounds * i / nr_image_kinds;
		c->kind = &image_kinds[i];
		if (rounds)
			r = run_kind(c, rounds);
	}
	return r;
}

/* ---- the report ---- */

static void print_row(const char *name, const struct tally *tally)
{
	printf("  %-22s %7u %8u %6u %6u\n", name, tally->faults, tally->corrupt, tally->found,
	       tally->alone);
}

/* True when it is ok. `error` is what the campaign itself failed by. */
static bool report(const struct campaign *c, int error)
{
	unsigned corrupt = 0, found = 0;

	printf("  %-22s %7s %8s %6s %6s\n", "", "faults", "corrupt", "found", "alone");
	for (unsigned i = 0; i < nr_image_kinds; i++)
		print_row(image_kinds[i].name, &c->kinds[i]);
	for (unsigned i = 0; i < PART_COUNT_; i++) {
		print_row(part_names[i], &c->parts[i]);
		corrupt += c->parts[i].corrupt;
		found += c->parts[i].found;
	}
	bool good = error == 0 && found == corrupt && corrupt && c->misattributed == 0 &&
		    c->nr_false == 0;
	printf("campaign ext4-check seed=%" PRIu64 " injected=%u found=%u misattributed=%" PRIu64
	       " false=%" PRIu64 " %s\n",
	       c->seed, corrupt, found, c->misattributed, c->nr_false, good ? "ok" : "short");
	return good;
}

int main(int argc, char **argv)
{
	struct arguments arguments;
	static struct campaign campaign;

	if (arguments_parse("campaign-ext4-check", ROUNDS_MAX, argc, argv, &arguments))
		return EXIT_USAGE;
	campaign.dir = arguments.dir;
	campaign.seed = arguments.seed;
	campaign.rounds = arguments.count;
	return report(&campaign, run_campaign(&campaign)) ? 0 : EXIT_SHORT;
}

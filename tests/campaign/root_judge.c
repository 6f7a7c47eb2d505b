// SPDX-License-Identifier: Apache-2.0
/*
 * The comparison: each fault that a witness covers must be told, in its block, of its owner, by the name
 * of its damage; what is told besides must follow from it.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "campaign/root_judge.h"

/* ---- what a scan says ---- */

void said_add(struct all_said *all, const char *code, const char *object, const char *detail,
	      struct span path)
{
	if (all->nr == SAID_MAX)
		return; /* so many are of one cause */
	all->said[all->nr++] = (struct said){
		.code = code ? strdup(code) : NULL,
		.object = strdup(object ? object : ""),
		.detail = strdup(detail ? detail : ""),
		.path = path.len ? strndup((const char *)path.data, path.len) : strdup(""),
	};
}

void said_clear(struct all_said *all)
{
	for (unsigned i = 0; i < all->nr; i++) {
		free(all->said[i].code);
		free(all->said[i].object);
		free(all->said[i].detail);
		free(all->said[i].path);
	}
	all->nr = 0;
	all->is_complete = false;
	all->status = "?";
}

void said_print(const struct said *said, FILE *out)
{
	fprintf(out, "%s: %s %s: %s\n", said->path, said->code ? said->code : "gap", said->object,
		said->detail);
}

static void complain(const struct judged *j, const char *what, const struct said *said)
{
	const struct fault_done *f = j->fault;
	const struct inode_info *inode = &j->image->inodes[f->piece->ino];

	fprintf(stderr,
		"seed %" PRIu64 " fault %" PRIu64
		": %s: %s of %s, %s, bytes %u to %u of block %" PRIu64 ", inode %u%s%s: ",
		j->seed, j->round, what, fault_name(f->kind), j->image->kind,
		class_name(f->piece->class), f->first, f->last, f->piece->block, f->piece->ino,
		inode->nr_paths ? " " : "", inode->nr_paths ? inode->paths[0] : "");
	if (said)
		said_print(said, stderr);
	else
		fprintf(stderr, "the run is %s\n", j->said->status);
}

/* ---- is it what was expected ---- */

/* Does the text have the word and the number, and no more digits behind it? */
static bool names(const char *text, const char *word, uint64_t number)
{
	char wanted[64];
	size_t len = (size_t)snprintf(wanted, sizeof(wanted), "%s %" PRIu64, word, number);

	for (const char *at = strstr(text, wanted); at; at = strstr(at + 1, wanted))
		if (at[len] < '0' || at[len] > '9')
			return true;
	return false;
}

/* A package says /sbin where that is a link to /usr/sbin. */
static bool names_path(const struct inode_info *inode, const char *path)
{
	for (unsigned i = 0; i < inode->nr_paths; i++) {
		const char *known = inode->paths[i];
		if (strcmp(known, path) == 0 ||
		    (strncmp(known, "/usr/", 5) == 0 && strcmp(known + 4, path) == 0))
			return true;
	}
	return inode->nr_paths == 0;
}

/* Below a folder that is damaged itself nothing has a path any more. */
static bool may_lack_path(const struct judged *j, const char *path)
{
	if (strcmp(path, j->image->path) != 0)
		return false;
	for (unsigned i = 0; i < j->oracle->nr; i++)
		if (j->image->inodes[j->oracle->expected[i].ino].is_dir)
			return true;
	return false;
}

static bool is_expected(const struct judged *j, const struct said *said)
{
	bool is = false;

	for (unsigned i = 0; said->code && i < j->oracle->nr; i++) {
		struct expected *e = &j->oracle->expected[i];
		if (strcmp(e->code, said->code) != 0 ||
		    (e->has_block && !names(said->detail, "block", j->fault->piece->block)) ||
		    (e->ino && (!names(said->detail, "inode", e->ino) ||
				(!names_path(&j->image->inodes[e->ino], said->path) &&
				 !may_lack_path(j, said->path)))))
			continue;
		e->is_found = is = true;
	}
	return is;
}

static bool is_silent_class(enum block_class class)
{
	return class == CLASS_UNWRITTEN || class == CLASS_REST || class == CLASS_FREE;
}

static bool is_data(const struct judged *j)
{
	return j->fault->piece->class == CLASS_PACKAGE || j->fault->piece->class == CLASS_FILE;
}

/* Of the whole filesystem, so that what is wrong with it is met in many places. */
static bool is_of_all(enum block_class class)
{
	return class == CLASS_SUPER || class == CLASS_DESC;
}

/* What follows though nothing says that it must be told. */
static bool is_explained(const struct judged *j, const struct said *said)
{
	const struct piece *piece = j->fault->piece;
	const struct inode_info *inode = &j->image->inodes[piece->ino];
	bool of_dpkg = inode->nr_paths && strncmp(inode->paths[0], "/var/lib/dpkg/", 14) == 0;

	if (is_silent_class(piece->class))
		return false;
	if (is_data(j))
		return of_dpkg && (!said->code || strncmp(said->code, "package.", 8) == 0);
	if (!said->code || strcmp(said->code, "ext4.accounts") == 0 || is_of_all(piece->class))
		return true;
	/* Without a witness only contradictions are found, wherever they show. */
	if (j->oracle->nr == 0 && strncmp(said->code, "ext4.", 5) == 0)
		return true;
	/* By the accounts, which cannot know whether an inode or the bitmap is wrong. */
	if (strcmp(said->code, "ext4.metadata") == 0 && strstr(said->detail, "bitmap in group"))
		return true;
	if (piece->class == CLASS_JOURNAL && strcmp(said->code, "ext4.journal") == 0)
		return true;
	if (strncmp(said->code, "ext4.", 5) == 0 && names(said->detail, "block", piece->block))
		return true;
	if (piece->ino && names(said->detail, "inode", piece->ino))
		return true;
	const char *at = strstr(said->detail, "inode ");
	for (; at; at = strstr(at + 1, "inode "))
		if (oracle_hits_inode(j->image, j->fault, (uint32_t)strtoul(at + 6, NULL, 10)))
			return true;
	return false;
}

/* ---- by which name ---- */

static bool is_guess(enum fault_kind kind)
{
	return kind == FAULT_ZEROED || kind == FAULT_REPEATED || kind == FAULT_TORN_512 ||
	       kind == FAULT_TORN_4096 || kind == FAULT_RANDOM;
}

/* The name that stands at the beginning of a finding of a block. */
static bool told_kind(const struct said *said, enum fault_kind *ret)
{
	size_t len = strcspn(said->detail, ":");

	for (enum fault_kind kind = 0; kind < FAULT_KIND_COUNT_; kind++)
		if (strlen(fault_name(kind)) == len &&
		    strncmp(fault_name(kind), said->detail, len) == 0) {
			*ret = kind;
			return true;
		}
	return false;
}

/* False when it is the name of damage that this is not. */
static bool judge_name(const struct judged *j, const struct said *said, struct tallies *t)
{
	enum fault_kind meant = j->fault->kind, told;
	bool is_unsure;
	unsigned kinds = fault_kinds_true(j->fault, j->image, &is_unsure);

	/* Above 4 KiB not everything can be tried in the time there is, which the header says. */
	is_unsure |= j->image->unit > 4096 && meant == FAULT_LANE;
	if (!told_kind(said, &told)) {
		t->wrong[meant]++;
		return false;
	}
	t->told[meant][told]++;
	if (told == meant)
		return true;
	if (kinds >> told & 1)
		t->also[meant]++;
	else if (is_unsure && is_guess(told))
		t->chance[meant]++;
	else
		t->wrong[meant]++;
	return (kinds >> told & 1) || (is_unsure && is_guess(told));
}

/* ---- one fault ---- */

static void count_uncovered(const struct judged *j, struct tally *tally, unsigned nr_findings,
			    unsigned nr_gaps)
{
	struct reason *reason = tally->reasons;

	while (reason->why && strcmp(reason->why, j->oracle->why) != 0)
		if (++reason == tally->reasons + REASONS_MAX)
			abort(); /* more reasons than the table has room for */
	reason->why = j->oracle->why;
	reason->with_finding += nr_findings > 0;
	reason->with_gap += nr_findings == 0 && nr_gaps > 0;
	reason->silent += nr_findings == 0 && nr_gaps == 0;
	reason->doubted += j->is_doubted;
}

/* By e2fsck, of what a scan judges at all. */
static bool is_doubted(const struct judged *j)
{
	return j->is_doubted && !j->oracle->is_not_judged;
}

/* What must have been told and was not. */
static bool find_missed(const struct judged *j, unsigned nr_said)
{
	const struct oracle *oracle = j->oracle;
	bool is_missed = false;

	for (unsigned i = 0; i < oracle->nr; i++) {
		const struct expected *e = &oracle->expected[i];
		char path[64];
		struct said words = { (char *)e->code, (char *)"", (char *)"not told", path };
		(void)snprintf(path, sizeof(path), "inode %u", e->ino);
		if (oracle->may_be_refused && strcmp(j->said->status, "refused") == 0)
			continue;
		if (!e->is_found)
			complain(j, "missed", &words);
		is_missed |= !e->is_found;
	}
	if (is_doubted(j) && nr_said == 0 && !is_missed) {
		complain(j, "missed, and e2fsck complains", NULL);
		is_missed = true;
	}
	return is_missed;
}

void judge(struct judged *j, struct tallies *t)
{
	struct tally *tally = &t->classes[j->fault->piece->class];
	bool is_silent = is_silent_class(j->fault->piece->class), is_wrong = false;
	unsigned nr_findings = 0, nr_gaps = 0;

	for (unsigned i = 0; i < j->said->nr; i++) {
		const struct said *said = &j->said->said[i];
		nr_findings += said->code != NULL;
		nr_gaps += !said->code;
		bool is_right = is_expected(j, said) || is_explained(j, said);
		if (!is_right)
			complain(j, is_silent ? "false" : "misattributed", said);
		if (is_right && said->code && strcmp(said->code, "block.digest") == 0 &&
		    !judge_name(j, said, t)) {
			complain(j, "another name", said);
			is_right = false;
		}
		is_wrong |= !is_right;
	}
	if (nr_gaps == 0 && !j->said->is_complete) {
		complain(j, "not complete, and no gap", NULL);
		is_wrong = true;
	}
	bool is_missed = find_missed(j, nr_findings + nr_gaps);
	bool is_covered = j->oracle->nr > 0 || is_doubted(j);
	tally->faults++;
	tally->covered += is_covered;
	tally->found += is_covered && !is_missed;
	t->covered += is_covered;
	t->found += is_covered && !is_missed;
	t->misattributed += is_wrong && !is_silent;
	t->nr_false += is_wrong && is_silent;
	if (j->oracle->nr == 0)
		count_uncovered(j, tally, nr_findings, nr_gaps);
}

/* ---- tables ---- */

static void print_names(const struct tallies *t)
{
	printf("  %-11s", "damage");
	for (enum fault_kind told = 0; told < FAULT_KIND_COUNT_; told++)
		printf(" %-9.9s", fault_name(told));
	printf(" | also-true chance wrong\n");
	for (enum fault_kind meant = 0; meant < FAULT_KIND_COUNT_; meant++) {
		printf("  %-11s", fault_name(meant));
		for (enum fault_kind told = 0; told < FAULT_KIND_COUNT_; told++)
			if (t->told[meant][told])
				printf(" %-9u", t->told[meant][told]);
			else
				printf(" %-9s", ".");
		printf(" | %9u %6u %5u\n", t->also[meant], t->chance[meant], t->wrong[meant]);
	}
}

void tallies_print(const struct tallies *t)
{
	printf("  %-26s faults covered  found | finding gap silent e2fsck  no witness because\n",
	       "class");
	for (enum block_class class = 0; class < CLASS_COUNT_; class ++) {
		const struct tally *tally = &t->classes[class];
		printf("  %-26s %6u %7u %6u |", class_name(class), tally->faults, tally->covered,
		       tally->found);
		for (unsigned k = 0; k < REASONS_MAX && tally->reasons[k].why; k++) {
			const struct reason *reason = &tally->reasons[k];
			if (k)
				printf("\n  %-48s |", "");
			printf(" %7u %3u %6u %6u  %s", reason->with_finding, reason->with_gap,
			       reason->silent, reason->doubted, reason->why);
		}
		putchar('\n');
	}
	print_names(t);
}

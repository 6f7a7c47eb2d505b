// SPDX-License-Identifier: Apache-2.0
/*
 * Confirm: the second look, by itself and at the end of whole scans. By itself a suspicion is made
 * by hand, so that "wrong once" and "changed meanwhile" need no luck with time. In scans, what
 * changes does so from the progress callback, which the scan thread itself calls.
 */
#include "suites.h"

#include <CUnit/CUnit.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "format/cyrus/index.h"
#include "support/mkstore.h"
#include "verify/scanning.h"
#include "verify_room.h"

enum { NR = 12, OTHERS = 4 };

typedef void (*scene_fn)(struct scene *s);

/* What happens while a scan runs. */
static struct {
	scene_fn hook;	  /* called between first and second looks; NULL: nothing */
	uint64_t hook_at; /* mailboxes passed before it is called */
	size_t nr_calls;
	volatile sig_atomic_t stop, show;
} during;

static void on_progress(const struct scan_progress *progress, void *ctx)
{
	CU_ASSERT_TRUE(progress->mailboxes <= progress->mailboxes_total);
	during.show = 1;
	if (!during.hook || during.nr_calls++ < during.hook_at)
		return;
	scene_fn hook = during.hook;
	during.hook = NULL;
	hook(ctx);
}

static const char *path_of(const struct scene *s, const char *leaf)
{
	static char paths[2][512];
	static unsigned next;

	next ^= 1;
	path_in(s, "user.u001", leaf, paths[next]);
	return paths[next];
}

/* user.u001 with the UIDs 1 to 12, and small mailboxes. */
static void scene_begin(struct scene *s, unsigned nr_others)
{
	struct mkstore_options options = { .seed = 5 };
	char name[32];

	memset(&during, 0, sizeof(during));
	during.show = 1;
	scene_make_room(s, "confirm");
	scene_make_store(s, &options);
	for (unsigned i = 0; i <= nr_others; i++) {
		(void)snprintf(name, sizeof(name), "user.u%03u", i + 1);
		CU_ASSERT_EQUAL_FATAL(room_add_mailbox(s->store, name, i ? 2 : NR, 700, 1), 0);
	}
	scene_open(s);
}

static int scan_with(struct scene *s, struct state *state)
{
	struct scan_options options = { .settle_ns = 20 * NS_PER_MS,
					.readers = 1,
					.stop = &during.stop,
					.show_progress = &during.show };
	struct scan_events events = { .finding = scene_on_finding,
				      .gap = scene_on_gap,
				      .progress = on_progress,
				      .ctx = s };

	s->nr_findings = s->nr_gaps = during.nr_calls = 0;
	return scan_store(state, &s->target, &options, &events, NULL, &s->run);
}

static void scan(struct scene *s)
{
	CU_ASSERT_EQUAL(scan_with(s, s->state), 0);
}

static void check_quiet(const struct scene *s)
{
	CU_ASSERT_EQUAL(s->nr_findings, 0);
	CU_ASSERT_EQUAL(s->nr_gaps, 0);
	for (size_t i = 0; i < min_of(s->nr_findings, (size_t)SAID_MAX); i++)
		(void)fprintf(stderr, "wanted nothing, got %s\n", s->findings[i]);
}

static void copy_file(const char *from, const char *to)
{
	static char data[65536];
	FILE *in = fopen(from, "rbe"), *out = fopen(to, "wbe");

	CU_ASSERT_TRUE_FATAL(in && out);
	size_t len = fread(data, 1, sizeof(data), in);
	CU_ASSERT_EQUAL(fwrite(data, 1, len, out), len);
	CU_ASSERT_EQUAL(fclose(in), 0);
	CU_ASSERT_EQUAL(fclose(out), 0);
}

/* ---- one suspicion at a time ---- */

/* A scan stopped in the middle: everything is ready for a second look at user.u001. */
struct bench {
	struct scanning s;
	struct scan_options options;
	struct scan_events events;
	struct mailbox *mailbox;
	struct mailbox_index ix;
};

static void bench_begin(struct bench *b, struct scene *scene)
{
	struct mailbox_row row = {
		.key = span_of_str(mkstore_get_unique_id(scene->store, "user.u001")),
		.name = span_of_str("user.u001"),
		.partition = span_of_str("default"),
		.has_unique_id = true,
	};

	*b = (struct bench){ .events = { .finding = scene_on_finding,
					 .gap = scene_on_gap,
					 .ctx = scene },
			     .options = { .settle_ns = 0, .readers = 1 } };
	b->s = (struct scanning){ .state = scene->state,
				  .target = &scene->target,
				  .options = &b->options,
				  .events = &b->events };
	CU_ASSERT_EQUAL_FATAL(observer_init(&b->s.observer), 0);
	CU_ASSERT_EQUAL_FATAL(tally_new(&b->s.tally), 0);
	CU_ASSERT_EQUAL_FATAL(
		pool_new(b->s.tally, &(struct pool_options){ .readers = 1 }, &b->s.pool), 0);
	CU_ASSERT_EQUAL(state_target_put(scene->state, scene->target.key, "s1", "h1",
					 scene->target.imapd_conf_path, true, &b->s.target_id),
			0);
	CU_ASSERT_EQUAL(state_run_begin(scene->state, b->s.target_id, 1, "", &b->s.run.id), 0);
	CU_ASSERT_EQUAL_FATAL(mailbox_new(&scene->target.imapd_conf, NULL, &row, &b->mailbox), 0);
	atomic_store(&b->mailbox->pending, 1);
	CU_ASSERT_EQUAL_FATAL(mailbox_open_dirs(b->mailbox), 0);
	CU_ASSERT_EQUAL_FATAL(mailbox_index_open(&b->ix, b->mailbox), 0);
}

static void bench_end(struct bench *b)
{
	CU_ASSERT_EQUAL(b->s.nr_suspicions, 0);
	CU_ASSERT_PTR_NULL(b->s.suspicions);
	CU_ASSERT_EQUAL(atomic_load(&b->mailbox->pending), 1);
	while (b->s.again) {
		struct mailbox *mailbox = b->s.again;
		b->s.again = mailbox->next_done;
		mailbox_unref(mailbox);
	}
	mailbox_index_close(&b->ix);
	mailbox_unref(b->mailbox);
	pool_free(b->s.pool);
	tally_free(b->s.tally);
	observer_fini(&b->s.observer);
	map_fini(&b->s.in_flight);
}

/* A first look at a message, as a reader takes it. */
static struct suspicion first_look(struct bench *b, uint32_t uid)
{
	struct suspicion what = { .kind = SUSPECT_MESSAGE };
	struct index_record record;

	CU_ASSERT_EQUAL_FATAL(mailbox_index_find(&b->ix, b->mailbox, uid, &record), 0);
	what.witness = (struct witness){ .uid = uid, .size = record.size };
	memcpy(what.witness.guid, record.guid, SHA1_LEN);
	observe_message(&b->s.observer, b->mailbox, &what.witness, &what.seen);
	what.first = judge_message(&what.witness, &what.seen);
	return what;
}

/* The same, of a reader that was handed one wrong bit by a bad cable. */
static struct suspicion wrong_look(struct bench *b, uint32_t uid)
{
	struct suspicion what = first_look(b, uid);

	what.seen.digest[7] ^= 0x10;
	what.first = judge_message(&what.witness, &what.seen);
	CU_ASSERT_EQUAL(what.first.code, FINDING_MESSAGE_DIGEST);
	return what;
}

static void second_look(struct bench *b, const struct suspicion *what)
{
	CU_ASSERT_EQUAL(suspect(&b->s, b->mailbox, what), 0);
	CU_ASSERT_EQUAL(b->s.nr_suspicions, 1);
	CU_ASSERT_EQUAL(confirm(&b->s, CONFIRM_ALL), 0);
}

static void calls_a_message_flaky_that_was_wrong_once(void)
{
	struct scene s;
	struct bench b;

	scene_begin(&s, 0);
	bench_begin(&b, &s);
	struct suspicion what = wrong_look(&b, 3);
	second_look(&b, &what);
	CU_ASSERT_EQUAL(s.nr_findings, 1);
	CU_ASSERT_TRUE(said(&s, "message.flaky user.u001 message:3:", ""));
	CU_ASSERT_EQUAL(b.s.run.in_flight, 0);
	what = wrong_look(&b, 4); /* the device refused once */
	what.seen.error = -EIO;
	what.first = judge_message(&what.witness, &what.seen);
	second_look(&b, &what); /* among others: the error may be that of a neighbour */
	CU_ASSERT_EQUAL(s.nr_findings, 1);
	CU_ASSERT_EQUAL(b.s.run.in_flight, 0);
	what.seen.alone = true;
	second_look(&b, &what);
	CU_ASSERT_TRUE(said(&s, "message.flaky user.u001 message:4:", ""));
	CU_ASSERT_EQUAL(s.nr_gaps, 0);
	bench_end(&b);
	scene_close(&s);
}

/* Told and kept like the others. */
static void counts_notices_apart_from_findings(void)
{
	struct finding finding = {
		.verdict = ASSAY_DIVERGED,
		.code = "some.code",
		.path = span_of_str("/p"),
	};
	struct scene s;
	struct bench b;

	scene_begin(&s, 0);
	bench_begin(&b, &s);
	for (int i = 0; i < ASSAY_SEVERITY_COUNT_; i++) {
		finding.severity = (enum assay_severity)i;
		finding.object = assay_severity_name(finding.severity);
		CU_ASSERT_EQUAL(scanning_finding(&b.s, &finding), 0);
	}
	CU_ASSERT_EQUAL(b.s.run.findings, 2);
	CU_ASSERT_EQUAL(b.s.run.notices, 1);
	CU_ASSERT_EQUAL(s.nr_findings, 3);
	/* What was once seen as worse does not become harmless by a later look. */
	finding.object = assay_severity_name(ASSAY_SEVERITY_CRITICAL);
	CU_ASSERT_EQUAL(scanning_finding(&b.s, &finding), 0);
	CU_ASSERT_EQUAL(b.s.run.findings, 3);
	CU_ASSERT_EQUAL(b.s.run.notices, 1);
	bench_end(&b);
	scene_close(&s);
}

/* What may happen to message 3 between two looks without anything being wrong with it. */
static void replace_by_good_copy(struct scene *s)
{
	copy_file(path_of(s, "3."), path_of(s, "3.NEW"));
	CU_ASSERT_EQUAL(rename(path_of(s, "3.NEW"), path_of(s, "3.")), 0);
}

static void expunge(struct scene *s)
{
	CU_ASSERT_EQUAL(mkstore_set_record(path_of(s, "cyrus.index"), 2, MKSTORE_RECORD_FLAGS,
					   INDEX_FLAG_EXPUNGED),
			0);
}

static void expunge_and_unlink(struct scene *s)
{
	CU_ASSERT_EQUAL(mkstore_set_record(path_of(s, "cyrus.index"), 2, MKSTORE_RECORD_FLAGS,
					   INDEX_FLAG_EXPUNGED | INDEX_FLAG_UNLINKED),
			0);
	CU_ASSERT_EQUAL(unlink(path_of(s, "3.")), 0);
}

static void wipe_record(struct scene *s)
{
	CU_ASSERT_EQUAL(mkstore_set_record(path_of(s, "cyrus.index"), 2, MKSTORE_RECORD_UID, 0), 0);
	CU_ASSERT_EQUAL(unlink(path_of(s, "3.")), 0);
}

static void remove_mailbox(struct scene *s)
{
	CU_ASSERT_EQUAL(mkstore_set_header(path_of(s, "cyrus.index"), MKSTORE_HEADER_OPTIONS,
					   INDEX_OPTION_DELETED),
			0);
}

static void says_nothing_about_what_changed_meanwhile(void)
{
	static const scene_fn changes[] = { replace_by_good_copy, expunge, expunge_and_unlink,
					    wipe_record, remove_mailbox };

	for (size_t i = 0; i < array_size(changes); i++) {
		struct scene s;
		struct bench b;
		scene_begin(&s, 0);
		bench_begin(&b, &s);
		struct suspicion what = wrong_look(&b, 3);
		changes[i](&s);
		second_look(&b, &what);
		check_quiet(&s);
		CU_ASSERT_EQUAL(b.s.run.in_flight, 1);
		bench_end(&b);
		scene_close(&s);
	}
}

static void looks_again_at_what_is_bad_and_changed(void)
{
	struct scene s;
	struct bench b;

	scene_begin(&s, 0);
	bench_begin(&b, &s);
	struct suspicion what = wrong_look(&b, 3);
	flip(path_of(&s, "3."));
	replace_by_good_copy(&s); /* another file now, and bad as well */
	second_look(&b, &what);
	CU_ASSERT_EQUAL(s.nr_findings, 1);
	CU_ASSERT_TRUE(said(&s, "message.digest user.u001 message:3:", ""));
	CU_ASSERT_EQUAL(s.nr_gaps, 0);
	bench_end(&b);
	scene_close(&s);
}

static void does_not_judge_by_a_record_that_was_rewritten(void)
{
	struct scene s;
	struct bench b;

	scene_begin(&s, 0);
	bench_begin(&b, &s);
	struct suspicion what = first_look(&b, 3);
	uint8_t guid[SHA1_LEN];
	memcpy(guid, what.witness.guid, SHA1_LEN);
	what.witness.guid[0] ^= 1; /* as if the record had said so at the first look */
	what.first = judge_message(&what.witness, &what.seen);
	CU_ASSERT_EQUAL(what.first.code, FINDING_MESSAGE_DIGEST);
	second_look(&b, &what);
	check_quiet(&s);
	CU_ASSERT_EQUAL(b.s.run.in_flight, 1);
	bench_end(&b);
	scene_close(&s);
}

static void the_planted_fault_must_be_seen_again(void)
{
	struct scene s;
	struct bench b;

	scene_begin(&s, 0);
	bench_begin(&b, &s);
	struct suspicion what = first_look(&b, 3);
	what.canary = true;
	what.witness.guid[SHA1_LEN - 1] ^= 1;
	what.first = judge_message(&what.witness, &what.seen);
	second_look(&b, &what);
	CU_ASSERT_TRUE(b.s.canary_found);
	check_quiet(&s);
	CU_ASSERT_EQUAL(b.s.run.in_flight, 0);

	b.s.canary_found = false; /* a judge who is blind at the second look: the twin is right */
	what = first_look(&b, 3);
	what.canary = true;
	what.first = (struct judgement){ ASSAY_CORRUPT, FINDING_MESSAGE_DIGEST };
	second_look(&b, &what);
	CU_ASSERT_FALSE(b.s.canary_found);
	check_quiet(&s);
	bench_end(&b);
	scene_close(&s);
}

static void drops_an_extra_that_has_gone_or_got_its_record(void)
{
	struct suspicion what = { .kind = SUSPECT_EXTRA,
				  .first = { ASSAY_EXTRA, FINDING_MESSAGE_EXTRA } };
	struct scene s;
	struct bench b;

	scene_begin(&s, 0);
	bench_begin(&b, &s);
	what.witness.uid = 3; /* has a record by now */
	second_look(&b, &what);
	what.witness.uid = 999; /* has gone by now */
	second_look(&b, &what);
	check_quiet(&s);
	CU_ASSERT_EQUAL(b.s.run.in_flight, 2);
	bench_end(&b);
	scene_close(&s);
}

/* ---- in whole scans ---- */

static uint64_t count_open(struct scene *s)
{
	uint64_t open = UINT64_MAX;

	CU_ASSERT_EQUAL(state_finding_count_open(s->state, s->run.target, ASSAY_SEVERITY_NOTICE,
						 &open),
			0);
	return open;
}

struct kept {
	size_t nr;
	struct {
		int64_t id, first_ns, last_ns, closed_ns;
		char resolution[32];
	} rows[8];
};

static int keep(const struct finding *finding, void *ctx)
{
	struct kept *kept = ctx;

	if (kept->nr == array_size(kept->rows))
		return -E2BIG;
	kept->rows[kept->nr].id = finding->id;
	kept->rows[kept->nr].first_ns = finding->first_seen_ns;
	kept->rows[kept->nr].last_ns = finding->last_seen_ns;
	kept->rows[kept->nr].closed_ns = finding->closed_ns;
	(void)snprintf(kept->rows[kept->nr].resolution, sizeof(kept->rows[0].resolution), "%s",
		       finding->resolution ? finding->resolution : "");
	kept->nr++;
	return 0;
}

static struct kept all_findings(struct scene *s)
{
	struct finding_filter filter = { 0 };
	struct kept kept = { 0 };

	CU_ASSERT_EQUAL(state_finding_each(s->state, &filter, keep, &kept), 0);
	return kept;
}

static void a_finding_lives_from_first_sight_to_repair(void)
{
	struct scene s;

	scene_begin(&s, OTHERS);
	flip(path_of(&s, "3."));
	scan(&s);
	struct kept first = all_findings(&s);
	CU_ASSERT_EQUAL_FATAL(first.nr, 1);
	CU_ASSERT_EQUAL(first.rows[0].closed_ns, 0);
	scan(&s); /* seen again: the same finding */
	struct kept again = all_findings(&s);
	CU_ASSERT_EQUAL(s.nr_findings, 1);
	CU_ASSERT_EQUAL_FATAL(again.nr, 1);
	CU_ASSERT_EQUAL(again.rows[0].id, first.rows[0].id);
	CU_ASSERT_EQUAL(again.rows[0].first_ns, first.rows[0].first_ns);
	CU_ASSERT_TRUE(again.rows[0].last_ns > first.rows[0].last_ns);
	flip(path_of(&s, "3.")); /* repaired */
	scan(&s);
	CU_ASSERT_EQUAL(s.nr_findings, 0);
	CU_ASSERT_EQUAL(count_open(&s), 0);
	struct kept closed = all_findings(&s);
	CU_ASSERT_TRUE(closed.rows[0].closed_ns > again.rows[0].last_ns);
	CU_ASSERT_STRING_EQUAL(closed.rows[0].resolution, "verified");
	flip(path_of(&s, "3.")); /* back again: a new one, the old one stays as it was */
	scan(&s);
	struct kept back = all_findings(&s);
	CU_ASSERT_EQUAL_FATAL(back.nr, 2);
	CU_ASSERT_EQUAL(back.rows[0].closed_ns, closed.rows[0].closed_ns);
	CU_ASSERT_NOT_EQUAL(back.rows[1].id, back.rows[0].id);
	CU_ASSERT_TRUE(back.rows[1].first_ns > closed.rows[0].closed_ns);
	CU_ASSERT_EQUAL(count_open(&s), 1);
	scene_close(&s);
}

static void a_finding_stays_open_where_its_mailbox_has_a_gap(void)
{
	static const uint8_t none[INDEX_GUID_LEN];
	struct scene s;

	scene_begin(&s, OTHERS);
	flip(path_of(&s, "3."));
	scan(&s);
	CU_ASSERT_EQUAL(count_open(&s), 1);
	flip(path_of(&s, "3."));
	CU_ASSERT_EQUAL(mkstore_patch_record(path_of(&s, "cyrus.index"), 8, MKSTORE_RECORD_GUID,
					     none, sizeof(none)),
			0);
	CU_ASSERT_EQUAL(mkstore_sum_up(path_of(&s, "cyrus.index")), 0);
	scan(&s); /* message 9 cannot be verified */
	CU_ASSERT_EQUAL(s.run.status, RUN_INCOMPLETE);
	check_only_finding(&s, "index.no_guid user.u001 no_guid:", "");
	CU_ASSERT_EQUAL(count_open(&s), 2);
	scene_close(&s);
}

static void a_finding_of_a_whole_mailbox_closes_beside_a_gap_elsewhere(void)
{
	struct scene s;
	char other[512];

	scene_begin(&s, OTHERS);
	flip(path_of(&s, "3."));
	scan(&s);
	flip(path_of(&s, "3."));
	path_in(&s, "user.u002", "cyrus.index", other);
	CU_ASSERT_EQUAL(unlink(other), 0);
	scan(&s);
	CU_ASSERT_EQUAL(s.run.status, RUN_INCOMPLETE);
	CU_ASSERT_TRUE(said(&s, "index.missing user.u002 index:", ""));
	CU_ASSERT_EQUAL(count_open(&s), 1); /* that of the index */
	scene_close(&s);
}

static void stop_now(struct scene *s)
{
	(void)s;
	during.stop = 1;
}

static void a_stopped_scan_closes_nothing_and_covers_only_what_it_finished(void)
{
	for (uint64_t at = 0; at <= OTHERS; at++) {
		struct scene s;
		struct span key;
		bool verified = true, listed;
		scene_begin(&s, OTHERS);
		flip(path_of(&s, "3."));
		scan(&s);
		flip(path_of(&s, "3."));
		during.hook = stop_now;
		during.hook_at = at;
		scan(&s);
		CU_ASSERT_EQUAL(s.run.status, RUN_INTERRUPTED);
		CU_ASSERT_EQUAL(count_open(&s), 1);
		unsigned nr_verified = 0;
		for (unsigned i = 0; i <= OTHERS; i++) {
			char name[32];
			(void)snprintf(name, sizeof(name), "user.u%03u", i + 1);
			key = span_of_str(mkstore_get_unique_id(s.store, name));
			CU_ASSERT_EQUAL(state_mailbox_was_verified(s.state, s.run.target, s.run.id,
								   key, &verified, &listed),
					0);
			nr_verified += verified;
		}
		CU_ASSERT_TRUE(nr_verified <= at);
		struct run last;
		CU_ASSERT_EQUAL(state_run_last_complete(s.state, s.run.target, &last), 0);
		CU_ASSERT_NOT_EQUAL(last.id, s.run.id);
		during.stop = 0;
		scan(&s); /* the next one is whole again */
		CU_ASSERT_EQUAL(s.run.status, RUN_COMPLETE);
		CU_ASSERT_EQUAL(count_open(&s), 0);
		scene_close(&s);
	}
}

/* The fault is planted beside a good message: it serves however many bad ones come first. */
static void a_run_is_complete_however_much_it_found(void)
{
	for (uint32_t nr_good = 0; nr_good <= 2; nr_good++) {
		struct scene s;
		char leaf[16];
		scene_begin(&s, 0);
		for (uint32_t uid = 1; uid <= NR - nr_good; uid++) {
			(void)snprintf(leaf, sizeof(leaf), "%u.", uid);
			if (uid % 2)
				flip(path_of(&s, leaf));
			else
				CU_ASSERT_EQUAL(unlink(path_of(&s, leaf)), 0);
		}
		scan(&s);
		CU_ASSERT_EQUAL(s.nr_findings, NR - nr_good);
		CU_ASSERT_EQUAL(s.run.status, RUN_COMPLETE);
		CU_ASSERT_EQUAL(s.run.in_flight, 0);
		scene_close(&s);
	}
}

static void expunge_in_index(struct scene *s)
{
	/* Its file is gone already: the first look has seen, or will see, that it is missing. */
	expunge(s);
}

static void a_message_expunged_during_the_scan_is_in_flight(void)
{
	struct scene s;

	scene_begin(&s, 0);
	CU_ASSERT_EQUAL(unlink(path_of(&s, "3.")), 0);
	during.hook = expunge_in_index;
	during.hook_at = 2; /* behind the pass: the record was read, and was live */
	scan(&s);
	check_quiet(&s);
	CU_ASSERT_PTR_NULL(during.hook);
	CU_ASSERT_EQUAL(s.run.in_flight, 1);
	CU_ASSERT_EQUAL(s.run.status, RUN_COMPLETE);
	scene_close(&s);
}

static void put_back(struct scene *s)
{
	/* The first look needs milliseconds. */
	clock_sleep_ns(200 * NS_PER_MS);
	flip(path_of(s, "3.NEW"));
	CU_ASSERT_EQUAL(rename(path_of(s, "3.NEW"), path_of(s, "3.")), 0);
}

static void a_message_put_right_during_the_scan_is_in_flight(void)
{
	struct scene s;

	scene_begin(&s, 0);
	flip(path_of(&s, "3."));
	copy_file(path_of(&s, "3."), path_of(&s, "3.NEW"));
	during.hook = put_back;
	during.hook_at = 2;
	scan(&s);
	check_quiet(&s);
	CU_ASSERT_PTR_NULL(during.hook);
	CU_ASSERT_EQUAL(s.run.in_flight, 1);
	CU_ASSERT_EQUAL(s.run.status, RUN_COMPLETE);
	scene_close(&s);
}

static int second_scan;

static void scan_at_the_same_time(struct scene *s)
{
	struct state *state = NULL;
	struct scene inner = *s;

	scene_open_state(s, &state);
	second_scan = scan_with(&inner, state);
	state_close(state);
}

static void two_scans_of_one_target_do_not_run_at_once(void)
{
	struct scene s;

	scene_begin(&s, OTHERS);
	during.hook = scan_at_the_same_time;
	during.hook_at = 2;
	second_scan = 0;
	scan(&s);
	CU_ASSERT_EQUAL(second_scan, -EBUSY);
	CU_ASSERT_EQUAL(s.run.status, RUN_COMPLETE);
	check_quiet(&s);
	scan(&s); /* the lock was given back */
	CU_ASSERT_EQUAL(s.run.status, RUN_COMPLETE);
	scene_close(&s);
}

static const struct test_case cases[] = {
	CASE(calls_a_message_flaky_that_was_wrong_once),
	CASE(counts_notices_apart_from_findings),
	CASE(says_nothing_about_what_changed_meanwhile),
	CASE(looks_again_at_what_is_bad_and_changed),
	CASE(does_not_judge_by_a_record_that_was_rewritten),
	CASE(the_planted_fault_must_be_seen_again),
	CASE(drops_an_extra_that_has_gone_or_got_its_record),
	CASE(a_finding_lives_from_first_sight_to_repair),
	CASE(a_finding_stays_open_where_its_mailbox_has_a_gap),
	CASE(a_finding_of_a_whole_mailbox_closes_beside_a_gap_elsewhere),
	CASE(a_stopped_scan_closes_nothing_and_covers_only_what_it_finished),
	CASE(a_run_is_complete_however_much_it_found),
	CASE(a_message_expunged_during_the_scan_is_in_flight),
	CASE(a_message_put_right_during_the_scan_is_in_flight),
	CASE(two_scans_of_one_target_do_not_run_at_once),
};

const struct test_suite suite_verify_confirm = { "verify/confirm", cases, array_size(cases) };

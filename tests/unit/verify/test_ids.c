// SPDX-License-Identifier: Apache-2.0
/*
 * The list of mailboxes against itself: each way in which names and unique ids can disagree is said
 * once, under its own code, and the mailboxes are verified all the same.
 */
#include "suites.h"

#include <CUnit/CUnit.h>
#include <unistd.h>

#include "base/compiler.h"
#include "support/twoskip_writer.h"
#include "verify/scanning.h"
#include "verify_room.h"

static void begin(struct scene *s, bool legacy_dirs)
{
	struct mkstore_options options = { .seed = 5, .legacy_dirs = legacy_dirs };

	scene_make_room(s, "ids");
	scene_make_store(s, &options);
	CU_ASSERT_EQUAL_FATAL(room_add_mailbox(s->store, "user.a", 2, 800, 1), 0);
	CU_ASSERT_EQUAL_FATAL(room_add_mailbox(s->store, "user.b", 3, 800, 1), 0);
	scene_open(s);
}

static void scan(struct scene *s)
{
	struct scan_options options = { .settle_ns = 5 * NS_PER_MS, .readers = 1 };

	scene_scan(s, &options);
}

struct record {
	const char *key, *value;
};

static void write_list(struct scene *s, const struct record *records, size_t nr)
{
	const char *path = scene_path(s, "store/conf/mailboxes.db");
	struct twoskip_writer *writer;

	CU_ASSERT_EQUAL(unlink(path), 0);
	CU_ASSERT_EQUAL_FATAL(twoskip_writer_new(path, 1, &writer), 0);
	for (size_t i = 0; i < nr; i++)
		CU_ASSERT_EQUAL_FATAL(twoskip_writer_add(writer, span_of_str(records[i].key),
							 span_of_str(records[i].value)),
				      0);
	CU_ASSERT_EQUAL(twoskip_writer_commit(writer), 0);
	twoskip_writer_free(writer);
}

/* Keys and values of both mailboxes, as the store has them. */
struct texts {
	char key_id[2][64], key_name[2][64], by_id[2][256], by_name[2][256];
};

static void get_texts(struct scene *s, struct texts *t)
{
	static const char *const names[] = { "user.a", "user.b" };
	/* The ids ascend. */
	bool swap = strcmp(mkstore_get_unique_id(s->store, "user.a"),
			   mkstore_get_unique_id(s->store, "user.b")) > 0;

	for (unsigned i = 0; i < 2; i++) {
		const char *id = mkstore_get_unique_id(s->store, names[i]);
		unsigned at = swap ? 1 - i : i;
		struct buf entry = BUF_NULL;
		(void)snprintf(t->key_id[at], 64, "I%s", id);
		(void)snprintf(t->key_name[i], 64, "Nuser\x1f%s", names[i] + 5);
		CU_ASSERT_EQUAL(mkstore_add_entry(&entry, s->store, names[i], "default"), 0);
		(void)snprintf(t->by_name[i], 256, "%s", buf_str(&entry));
		char type[4] = "", uidvalidity[16] = "";
		(void)sscanf(t->by_name[i], "%%(T %3s", type);
		(void)sscanf(strstr(t->by_name[i], " V "), " V %15s", uidvalidity);
		(void)snprintf(t->by_id[at], 256,
			       "%%(T %s N user\x1f%s P default V %s C 1 F 1 M 1 A %%(anyone lrs) "
			       "H ())",
			       type, names[i] + 5, uidvalidity);
		buf_fini(&entry);
	}
}

static void check(struct scene *s, const struct record *records, size_t nr, const char *finding)
{
	write_list(s, records, nr);
	scan(s);
	check_only_finding(s, finding, "");
	CU_ASSERT_EQUAL(s->run.status, RUN_COMPLETE);
	scene_close(s);
}

static void says_nothing_of_a_list_that_agrees(void)
{
	struct texts t;
	struct scene s;

	begin(&s, false);
	get_texts(&s, &t);
	const struct record records[] = { { t.key_id[0], t.by_id[0] },
					  { t.key_id[1], t.by_id[1] },
					  { t.key_name[0], t.by_name[0] },
					  { t.key_name[1], t.by_name[1] } };
	write_list(&s, records, array_size(records));
	scan(&s);
	CU_ASSERT_EQUAL(s.nr_findings, 0);
	CU_ASSERT_EQUAL(s.run.status, RUN_COMPLETE);
	scene_close(&s);
}

static void finds_a_mailbox_without_a_record_of_its_id(void)
{
	for (unsigned missing = 0; missing < 2; missing++) {
		struct texts t;
		struct scene s;
		begin(&s, false);
		get_texts(&s, &t);
		const struct record records[] = { { t.key_id[1 - missing], t.by_id[1 - missing] },
						  { t.key_name[0], t.by_name[0] },
						  { t.key_name[1], t.by_name[1] } };
		check(&s, records, array_size(records), "mailboxes_db.id user.");
	}
}

static void finds_an_id_that_has_another_name(void)
{
	struct texts t;
	struct scene s;

	begin(&s, false);
	get_texts(&s, &t);
	const struct record records[] = {
		{ t.key_id[0], "%(T e N user\x1fz P default V 1 C 1 F 1 M 1 A %(anyone lrs))" },
		{ t.key_id[1], t.by_id[1] },
		{ t.key_name[0], t.by_name[0] },
		{ t.key_name[1], t.by_name[1] }
	};
	check(&s, records, array_size(records), "mailboxes_db.id user.");
}

static void finds_an_id_of_another_place_or_time(void)
{
	for (unsigned i = 0; i < 3; i++) {
		char other[256];
		struct texts t;
		struct scene s;
		begin(&s, false);
		get_texts(&s, &t);
		(void)snprintf(other, sizeof(other), "%s", t.by_id[0]);
		char *at = strstr(other, i == 0 ? "default" : i == 1 ? " V 1" : "T e N");
		CU_ASSERT_PTR_NOT_NULL_FATAL(at);
		if (i < 2)
			at[i == 0 ? 6 : 3] = i == 0 ? 'l' : '2'; /* defaull, V 2... */
		else
			(void)snprintf(other, sizeof(other), "%%(T el%.200s", t.by_id[0] + 5);
		const struct record records[] = { { t.key_id[0], other },
						  { t.key_id[1], t.by_id[1] },
						  { t.key_name[0], t.by_name[0] },
						  { t.key_name[1], t.by_name[1] } };
		check(&s, records, array_size(records), "mailboxes_db.id user.");
	}
}

static void finds_an_id_whose_mailbox_is_gone(void)
{
	static const char *const ids[] = { "I0000", "Izzzz" };

	for (unsigned i = 0; i < 2; i++) {
		struct texts t;
		struct scene s;
		begin(&s, false);
		get_texts(&s, &t);
		const struct record orphan = {
			ids[i], "%(T e N DELETED\x1fuser\x1fx P default V 1 C 1 F 1 M 1 A %(x lrs))"
		};
		const struct record both[] = { { t.key_id[0], t.by_id[0] },
					       { t.key_id[1], t.by_id[1] } };
		const struct record records[] = { i ? both[0] : orphan,
						  i ? both[1] : both[0],
						  i ? orphan : both[1],
						  { t.key_name[0], t.by_name[0] },
						  { t.key_name[1], t.by_name[1] } };
		check(&s, records, array_size(records), "mailboxes_db.orphan_id DELETED.user.x");
	}
}

static void takes_tombstones_for_what_they_are(void)
{
	struct texts t;
	struct scene s;

	begin(&s, false);
	get_texts(&s, &t);
	const struct record records[] = {
		{ "I0000", "%(T ed N user\x1fx V 1 C 1 F 1 M 1)" },
		{ t.key_id[0], t.by_id[0] },
		{ t.key_id[1], t.by_id[1] },
		{ t.key_name[0], t.by_name[0] },
		{ t.key_name[1], t.by_name[1] },
		{ "Nuser\x1fx", "%(T ed I 0000 V 1 C 1 F 1 M 1)" },
	};
	write_list(&s, records, array_size(records));
	scan(&s);
	CU_ASSERT_EQUAL(s.nr_findings, 0);
	scene_close(&s);
}

/* By their names both have directories of their own, and both are verified. */
static void finds_two_mailboxes_of_one_id_and_verifies_both(void)
{
	char twin[256];
	struct texts t;
	struct scene s;

	begin(&s, true);
	get_texts(&s, &t);
	(void)snprintf(twin, sizeof(twin), "%%(T el I %s P default V 1 C 1 F 1 M 1 A %%(a lrs))",
		       mkstore_get_unique_id(s.store, "user.a"));
	const struct record records[] = { { t.key_id[0], t.by_id[0] },
					  { t.key_id[1], t.by_id[1] },
					  { t.key_name[0], t.by_name[0] },
					  { t.key_name[1], twin } };
	write_list(&s, records, array_size(records));
	scan(&s);
	CU_ASSERT_TRUE(said(&s, "mailboxes_db.duplicate_id user.a", ""));
	CU_ASSERT_EQUAL(s.run.messages, 5);
	CU_ASSERT_EQUAL(s.run.mailboxes, 2);
	scene_close(&s);
}

static uint64_t count_open(struct scene *s)
{
	uint64_t open = 99;

	CU_ASSERT_EQUAL(
		state_finding_count_open(s->state, s->run.target, ASSAY_SEVERITY_NOTICE, &open), 0);
	return open;
}

/* A scan of a part does not look at ids, and one of the whole does. */
static void keeps_a_finding_open_until_the_list_was_looked_at_again(void)
{
	char name[] = "user.a";
	char *mailboxes[] = { name };
	struct scan_options part = { .settle_ns = 5 * NS_PER_MS,
				     .readers = 1,
				     .selection = { .mailboxes = mailboxes, .nr_mailboxes = 1 } };
	struct texts t;
	struct scene s;

	begin(&s, false);
	get_texts(&s, &t);
	const struct record records[] = { { t.key_id[0], t.by_id[0] },
					  { t.key_id[1], t.by_id[1] },
					  { t.key_name[0], t.by_name[0] },
					  { t.key_name[1], t.by_name[1] } };
	write_list(&s, records + 1, 3);
	scan(&s);
	CU_ASSERT_EQUAL(count_open(&s), 1);
	write_list(&s, records, 4);
	scene_scan(&s, &part);
	CU_ASSERT_EQUAL(s.run.status, RUN_COMPLETE);
	CU_ASSERT_EQUAL(count_open(&s), 1);
	scan(&s);
	CU_ASSERT_EQUAL(count_open(&s), 0);
	scene_close(&s);
}

/* Where more is in doubt than is kept, that is said, and no finding is closed by what was left out. */
static void says_that_there_are_more_than_can_be_told(void)
{
	enum { MAX = 4096 };
	struct scan_options options = { .readers = 1 };
	struct texts t;
	struct scene s;

	begin(&s, false);
	get_texts(&s, &t);
	const struct record records[] = { { t.key_id[0], t.by_id[0] },
					  { t.key_id[1], t.by_id[1] },
					  { t.key_name[0], t.by_name[0] },
					  { t.key_name[1], t.by_name[1] } };
	write_list(&s, records, array_size(records));
	for (unsigned nr = MAX; nr <= MAX + 1; nr++) {
		struct scan_events events = { .gap = scene_on_gap, .ctx = &s };
		struct scanning scanning = { .state = s.state,
					     .target = &s.target,
					     .options = &options,
					     .events = &events,
					     .suspect_ids = MAP_NULL };
		s.nr_gaps = 0;
		CU_ASSERT_EQUAL(state_target_put(s.state, s.target.key, "s1", "h1",
						 s.target.imapd_conf_path, true,
						 &scanning.target_id),
				0);
		CU_ASSERT_EQUAL(
			state_run_begin(s.state, scanning.target_id, 1, "", &scanning.run.id), 0);
		CU_ASSERT_EQUAL(survey_mailboxes(&scanning), 0);
		/* Ids of mailboxes on their way; the first of them twice, which takes up no room. */
		for (unsigned i = 0; i <= nr; i++) {
			char id[16];
			(void)snprintf(id, sizeof(id), "%05u", i % nr);
			CU_ASSERT_EQUAL(ids_suspect(&scanning, span_of_str(id)), 0);
		}
		CU_ASSERT_EQUAL(ids_check(&scanning), 0);
		CU_ASSERT_EQUAL(scanning.ids_whole, nr == MAX);
		CU_ASSERT_EQUAL(s.nr_gaps, nr > MAX);
		CU_ASSERT_EQUAL(count_said(s.gaps, s.nr_gaps, ": more ", "than can be told"),
				nr > MAX);
		CU_ASSERT_EQUAL(scanning_flush(&scanning), 0);
		map_fini(&scanning.suspect_ids);
	}
	scene_close(&s);
}

static const struct test_case cases[] = {
	CASE(says_nothing_of_a_list_that_agrees),
	CASE(finds_a_mailbox_without_a_record_of_its_id),
	CASE(finds_an_id_that_has_another_name),
	CASE(finds_an_id_of_another_place_or_time),
	CASE(finds_an_id_whose_mailbox_is_gone),
	CASE(takes_tombstones_for_what_they_are),
	CASE(finds_two_mailboxes_of_one_id_and_verifies_both),
	CASE(keeps_a_finding_open_until_the_list_was_looked_at_again),
	CASE(says_that_there_are_more_than_can_be_told),
};

const struct test_suite suite_verify_ids = { "verify/ids", cases, array_size(cases) };

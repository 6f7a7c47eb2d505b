// SPDX-License-Identifier: Apache-2.0
/*
 * The gate: a permit when every rule passes, and never otherwise. Each rule is made to fail and to
 * be unknown in turn, on pairs of stores that differ in one thing from a pair that may fail over.
 */
#include "suites.h"

#include <CUnit/CUnit.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "service/gate.h"
#include "state/state.h"
#include "support/mkstore.h"
#include "support/room.h"
#include "verify/scan.h"

enum { DAY_S = 24 * 3600 };

/* How the replica differs from the master. */
enum replica { SAME, LACKS_MAILBOX, RENAMED_MAILBOX, LACKS_MESSAGE };

struct pair {
	char dir[ROOM_DIR_SIZE];
	char state_dir[300];
	char confs[2][300];
	struct mkstore *stores[2]; /* master, replica */
	struct conf conf;
	struct copy copies[2];
	struct gate_verdict verdict;
};

static void make_store(struct pair *p, int side, enum replica kind, bool sync_log,
		       const char *extra)
{
	struct mkstore_options options = { .seed = 7, .sync_log = sync_log, .extra = extra };
	static const char *const names[] = { "user.ann", "user.ann.Sent", "user.bob^b" };
	char path[300];

	(void)snprintf(path, sizeof(path), "%s/%s", p->dir, side ? "replica" : "master");
	CU_ASSERT_EQUAL_FATAL(mkstore_new(path, &options, &p->stores[side]), 0);
	for (size_t i = 0; i < array_size(names); i++) {
		bool last = side && i + 1 == array_size(names);
		if (last && kind == LACKS_MAILBOX)
			break;
		const char *name = last && kind == RENAMED_MAILBOX ? "user.bob^old" : names[i];
		unsigned count = last && kind == LACKS_MESSAGE ? 2 : 3;
		CU_ASSERT_EQUAL_FATAL(room_add_mailbox(p->stores[side], name, count, 900, 0), 0);
	}
	CU_ASSERT_EQUAL_FATAL(mkstore_finish(p->stores[side]), 0);
	(void)snprintf(p->confs[side], sizeof(p->confs[side]), "%s",
		       mkstore_get_conf(p->stores[side]));
}

static void pair_begin(struct pair *p, enum replica kind, bool sync_log, const char *extra)
{
	*p = (struct pair){ .stores = { NULL, NULL } };
	CU_ASSERT_EQUAL_FATAL(room_make("gate", p->dir), 0);
	(void)snprintf(p->state_dir, sizeof(p->state_dir), "%s/state", p->dir);
	make_store(p, 0, SAME, sync_log, extra);
	make_store(p, 1, kind, false, NULL);
	conf_init(&p->conf);
	p->conf.policy.gate_patience_ns = 100 * NS_PER_MS;
	p->conf.policy.gate_deadline_ns = 30 * NS_PER_S;
	p->copies[0] = (struct copy){ "s1", "h1", p->confs[0], ROLE_MASTER, "h2 h3", NULL };
	p->copies[1] = (struct copy){ "s1", "h2", p->confs[1], ROLE_REPLICA, NULL, NULL };
}

static void pair_end(struct pair *p)
{
	gate_verdict_fini(&p->verdict);
	gate_verdict_fini(&p->verdict);
	mkstore_free(p->stores[0]);
	mkstore_free(p->stores[1]);
	conf_fini(&p->conf);
	CU_ASSERT_EQUAL(room_remove(p->dir), 0);
}

static enum run_status scan_side(struct pair *p, int side, const volatile sig_atomic_t *stop)
{
	struct scan_options options = { .settle_ns = NS_PER_MS, .readers = 2, .stop = stop };
	struct scan_events events = { .ctx = NULL };
	struct target target = TARGET_NULL;
	struct state *state = NULL;
	struct run run = { 0 };

	CU_ASSERT_EQUAL_FATAL(state_open(p->state_dir, STATE_WRITE, NULL, &state), 0);
	CU_ASSERT_EQUAL_FATAL(
		target_open(&target, "s1", p->copies[side].host, p->confs[side], NULL), 0);
	CU_ASSERT_EQUAL(scan_store(state, &target, &options, &events, NULL, &run), 0);
	target_fini(&target);
	state_close(state);
	return run.status;
}

static void decide(struct pair *p)
{
	gate_verdict_fini(&p->verdict);
	CU_ASSERT_EQUAL_FATAL(gate_decide(&p->conf, &p->copies[0], &p->copies[1], p->state_dir,
					  NULL, &p->verdict),
			      0);
}

/* The verdict rests on this rule alone: the others pass. */
static void check(struct pair *p, enum gate_rule_id id, enum assay_result result, const char *code)
{
	const struct gate_rule *rule = &p->verdict.rules[id];

	for (size_t i = 0; i < GATE_RULE_COUNT_; i++) {
		const struct gate_rule *other = &p->verdict.rules[i];
		CU_ASSERT_EQUAL(other->id, i);
		CU_ASSERT_TRUE(other->summary.len > 0);
		if (i != id && other->result != ASSAY_RESULT_PASS)
			CU_FAIL("another rule does not pass");
	}
	CU_ASSERT_EQUAL(rule->result, result);
	CU_ASSERT_STRING_EQUAL(rule->code, code);
	if (strcmp(rule->code, code) != 0)
		(void)fprintf(stderr, "wanted %s, got %s: %s\n", code, rule->code,
			      buf_str(&rule->summary));
	CU_ASSERT_EQUAL(p->verdict.decision, result == ASSAY_RESULT_PASS   ? ASSAY_PERMIT
					     : result == ASSAY_RESULT_FAIL ? ASSAY_DENY
									   : ASSAY_UNDETERMINED);
}

static bool lists(const struct gate_list *list, const char *name)
{
	for (size_t i = 0; i < list->nr; i++)
		if (strcmp(buf_str(&list->items[i]), name) == 0)
			return true;
	return false;
}

static char *in_master(const struct pair *p, const char *leaf)
{
	static char path[600];

	(void)snprintf(path, sizeof(path), "%s/master/conf/%s", p->dir, leaf);
	return path;
}

/* Writes a file whose last change is `age_s` seconds ago. */
static void write_aged(const char *path, const char *text, int64_t age_s)
{
	struct timespec times[2];

	CU_ASSERT_EQUAL_FATAL(room_write(path, text), 0);
	CU_ASSERT_EQUAL(clock_gettime(CLOCK_REALTIME, &times[0]), 0);
	times[0].tv_sec -= age_s;
	times[1] = times[0];
	if (age_s)
		CU_ASSERT_EQUAL(utimensat(AT_FDCWD, path, times, 0), 0);
}

/* A pair that may fail over. */
static void pair_begin_ready(struct pair *p)
{
	pair_begin(p, SAME, true, NULL);
	CU_ASSERT_EQUAL(scan_side(p, 1, NULL), RUN_COMPLETE);
}

static void permits_when_every_rule_passes(void)
{
	struct pair p;

	pair_begin_ready(&p);
	decide(&p);
	check(&p, GATE_FRESH, ASSAY_RESULT_PASS, "fresh.drained");
	CU_ASSERT_EQUAL(p.verdict.decision, ASSAY_PERMIT);
	CU_ASSERT_TRUE(p.verdict.took_ns > 0 && p.verdict.decided_ns > 0);
	CU_ASSERT_EQUAL(p.verdict.rules[GATE_FRESH].lag_ns, 0);
	for (int i = 0; i < GATE_RULE_COUNT_; i++)
		CU_ASSERT_TRUE(p.verdict.rules[i].observed_ns > 0);
	CU_ASSERT_STRING_EQUAL(gate_rule_name(GATE_INTACT), "intact");
	CU_ASSERT_PTR_NULL(gate_rule_name(GATE_RULE_COUNT_));
	pair_end(&p);
}

/* ---- role ---- */

static void judges_the_role_by_configuration(void)
{
	struct pair p;

	pair_begin_ready(&p);
	p.copies[1].role = ROLE_MASTER;
	decide(&p);
	check(&p, GATE_ROLE, ASSAY_RESULT_FAIL, "role.is_master");
	p.copies[1].role = ROLE_UNKNOWN;
	decide(&p);
	check(&p, GATE_ROLE, ASSAY_RESULT_UNKNOWN, "role.no_master");
	p.copies[1].role = ROLE_REPLICA;
	static char *const strangers[] = { "h3", "h22 xh2 h2x", "h" };
	for (size_t i = 0; i < array_size(strangers); i++) {
		p.copies[0].peers = strangers[i];
		decide(&p);
		check(&p, GATE_ROLE, ASSAY_RESULT_FAIL, "role.not_a_peer");
	}
	static char *const peers[] = { "h2", "h3 h2", "h22 h2", "h3, h2,h4", NULL };
	for (size_t i = 0; i < array_size(peers); i++) {
		p.copies[0].peers = peers[i];
		decide(&p);
		check(&p, GATE_ROLE, ASSAY_RESULT_PASS, "role.replica");
	}
	pair_end(&p);
}

static void nothing_is_known_without_a_master(void)
{
	struct pair p;

	pair_begin_ready(&p);
	CU_ASSERT_EQUAL(gate_decide(&p.conf, NULL, &p.copies[1], p.state_dir, NULL, &p.verdict), 0);
	CU_ASSERT_EQUAL(p.verdict.decision, ASSAY_UNDETERMINED);
	CU_ASSERT_EQUAL(p.verdict.rules[GATE_ROLE].result, ASSAY_RESULT_UNKNOWN);
	CU_ASSERT_EQUAL(p.verdict.rules[GATE_FRESH].result, ASSAY_RESULT_UNKNOWN);
	CU_ASSERT_EQUAL(p.verdict.rules[GATE_COMPLETE].result, ASSAY_RESULT_UNKNOWN);
	CU_ASSERT_EQUAL(p.verdict.rules[GATE_INTACT].result, ASSAY_RESULT_PASS);
	pair_end(&p);
}

static void denies_when_both_copies_are_one_directory(void)
{
	struct pair p;

	pair_begin(&p, SAME, true, NULL);
	p.copies[1].imapd_conf = p.confs[0];
	CU_ASSERT_EQUAL(scan_side(&p, 0, NULL), RUN_COMPLETE);
	decide(&p);
	check(&p, GATE_ROLE, ASSAY_RESULT_FAIL, "role.same_copy");
	pair_end(&p);
}

static void a_master_that_cannot_be_reached_is_no_permit(void)
{
	struct pair p;
	char conf[320];

	pair_begin_ready(&p);
	(void)snprintf(conf, sizeof(conf), "%s", in_master(&p, ""));
	char away[340];
	(void)snprintf(away, sizeof(away), "%s/master/away", p.dir);
	CU_ASSERT_EQUAL(rename(conf, away), 0);
	decide(&p);
	CU_ASSERT_EQUAL(p.verdict.decision, ASSAY_UNDETERMINED);
	CU_ASSERT_EQUAL(p.verdict.rules[GATE_ROLE].result, ASSAY_RESULT_UNKNOWN);
	CU_ASSERT_EQUAL(p.verdict.rules[GATE_FRESH].result, ASSAY_RESULT_UNKNOWN);
	CU_ASSERT_EQUAL(p.verdict.rules[GATE_COMPLETE].result, ASSAY_RESULT_UNKNOWN);
	pair_end(&p);
}

/* ---- fresh ---- */

static void a_log_that_is_not_written_says_nothing(void)
{
	static const struct {
		bool sync_log;
		const char *extra;
		char *channel;
	} rows[] = {
		{ false, NULL, NULL },
		{ true, "imap_sync_log: no\n", NULL },
		{ true, "lmtp_sync_log: off\n", NULL },
		{ true, "sync_log_channels: a b\n", NULL },
		{ true, "sync_log_channels: a b\n", "c" },
		{ true, NULL, "a" },
	};

	for (size_t i = 0; i < array_size(rows); i++) {
		struct pair p;
		pair_begin(&p, SAME, rows[i].sync_log, rows[i].extra);
		CU_ASSERT_EQUAL(scan_side(&p, 1, NULL), RUN_COMPLETE);
		p.copies[1].channel = rows[i].channel;
		decide(&p);
		check(&p, GATE_FRESH, ASSAY_RESULT_UNKNOWN, "fresh.logging_off");
		pair_end(&p);
	}
}

static void a_log_that_cannot_be_read_says_nothing(void)
{
	struct pair p;

	pair_begin_ready(&p);
	CU_ASSERT_EQUAL(mkfifo(in_master(&p, "sync/log"), 0600),
			0); /* must not wait for a writer */
	decide(&p);
	check(&p, GATE_FRESH, ASSAY_RESULT_UNKNOWN, "fresh.log_unreadable");
	CU_ASSERT_EQUAL(unlink(in_master(&p, "sync/log")), 0);
	CU_ASSERT_EQUAL(rmdir(in_master(&p, "sync")), 0);
	decide(&p);
	check(&p, GATE_FRESH, ASSAY_RESULT_UNKNOWN, "fresh.log_unreadable");
	write_aged(in_master(&p, "sync"), "", 0);
	decide(&p);
	check(&p, GATE_FRESH, ASSAY_RESULT_UNKNOWN, "fresh.log_unreadable");
	pair_end(&p);
}

static void an_old_backlog_is_stale_and_names_whom_it_concerns(void)
{
	static const char *const leaves[] = { "sync/log", "sync/log-run", "sync/log-4711" };

	for (size_t i = 0; i < array_size(leaves); i++) {
		struct pair p;
		pair_begin_ready(&p);
		write_aged(in_master(&p, leaves[i]),
			   "APPEND user.ann\nUSER bob.b\nAPPEND user.ann\nMAILBOX user.ann.Se",
			   3 * DAY_S);
		decide(&p);
		check(&p, GATE_FRESH, ASSAY_RESULT_FAIL, "fresh.stale");
		const struct gate_rule *rule = &p.verdict.rules[GATE_FRESH];
		CU_ASSERT_TRUE(rule->lag_ns >= 3 * DAY_S * NS_PER_S);
		CU_ASSERT_TRUE(rule->lag_ns < 4 * DAY_S * NS_PER_S);
		CU_ASSERT_TRUE(rule->lag_is_bound);
		CU_ASSERT_EQUAL(rule->nr_events, 4);
		CU_ASSERT_TRUE(lists(&rule->users, "ann") && lists(&rule->users, "bob.b"));
		CU_ASSERT_EQUAL(rule->users.total, 2);
		CU_ASSERT_TRUE(lists(&rule->mailboxes, "user.ann"));
		pair_end(&p);
	}
}

static void a_young_backlog_is_no_permit_either(void)
{
	struct pair p;

	pair_begin_ready(&p);
	write_aged(in_master(&p, "sync/log"), "APPEND user.ann\n", 0);
	decide(&p);
	check(&p, GATE_FRESH, ASSAY_RESULT_UNKNOWN, "fresh.busy");
	CU_ASSERT_EQUAL(p.verdict.rules[GATE_FRESH].nr_events, 1);
	write_aged(in_master(&p, "sync/log"), "not an event at all", 0);
	decide(&p);
	check(&p, GATE_FRESH, ASSAY_RESULT_UNKNOWN, "fresh.busy");
	write_aged(in_master(&p, "sync/log"), "APPEND user.ann\n",
		   -DAY_S); /* a clock that jumped */
	decide(&p);
	CU_ASSERT_NOT_EQUAL(p.verdict.decision, ASSAY_PERMIT);
	pair_end(&p);
}

static void a_skipped_user_is_never_fresh(void)
{
	struct pair p;

	pair_begin_ready(&p);
	write_aged(in_master(&p, "sync/skipuser-ann"), "", 0);
	decide(&p);
	check(&p, GATE_FRESH, ASSAY_RESULT_FAIL, "fresh.skipped_users");
	CU_ASSERT_TRUE(lists(&p.verdict.rules[GATE_FRESH].users, "ann"));
	pair_end(&p);
}

static void looks_at_the_channel_that_feeds_the_replica(void)
{
	struct pair p;

	pair_begin(&p, SAME, true, "sync_log_channels: \"\" two\n");
	CU_ASSERT_EQUAL(scan_side(&p, 1, NULL), RUN_COMPLETE);
	CU_ASSERT_EQUAL(mkdir(in_master(&p, "sync/two"), 0700), 0);
	write_aged(in_master(&p, "sync/two/log"), "USER ann\n", DAY_S);
	decide(&p);
	check(&p, GATE_FRESH, ASSAY_RESULT_PASS, "fresh.drained");
	p.copies[1].channel = "two";
	decide(&p);
	check(&p, GATE_FRESH, ASSAY_RESULT_FAIL, "fresh.stale");
	pair_end(&p);
}

static void *remove_later(void *path)
{
	clock_sleep_ns(300 * NS_PER_MS);
	(void)unlink(path);
	return NULL;
}

static void a_log_that_drains_while_watched_is_fresh(void)
{
	pthread_t thread;
	struct pair p;

	pair_begin_ready(&p);
	p.conf.policy.gate_patience_ns = 20 * NS_PER_S;
	write_aged(in_master(&p, "sync/log"), "APPEND user.ann\n", DAY_S);
	CU_ASSERT_EQUAL_FATAL(
		pthread_create(&thread, NULL, remove_later, in_master(&p, "sync/log")), 0);
	decide(&p);
	CU_ASSERT_EQUAL(pthread_join(thread, NULL), 0);
	check(&p, GATE_FRESH, ASSAY_RESULT_PASS, "fresh.drained");
	CU_ASSERT_TRUE(p.verdict.took_ns < 15 * NS_PER_S);
	pair_end(&p);
}

/* ---- complete ---- */

static void tells_what_the_replica_lacks_and_whose_it_is(void)
{
	static const struct {
		enum replica kind;
		const char *code;
	} rows[] = {
		{ LACKS_MAILBOX, "complete.missing_mailbox" },
		{ RENAMED_MAILBOX, "complete.renamed_mailbox" },
		{ LACKS_MESSAGE, "complete.messages_missing" },
	};

	for (size_t i = 0; i < array_size(rows); i++) {
		struct pair p;
		pair_begin(&p, rows[i].kind, true, NULL);
		CU_ASSERT_EQUAL(scan_side(&p, 1, NULL), RUN_COMPLETE);
		decide(&p);
		check(&p, GATE_COMPLETE, ASSAY_RESULT_FAIL, rows[i].code);
		const struct gate_rule *rule = &p.verdict.rules[GATE_COMPLETE];
		CU_ASSERT_EQUAL(rule->users.total, 1);
		CU_ASSERT_TRUE(lists(&rule->users, "bob.b"));
		CU_ASSERT_EQUAL(rule->mailboxes.total, 1);
		CU_ASSERT_TRUE(lists(&rule->mailboxes, "user.bob^b"));
		pair_end(&p);
	}
}

static void damage_of_the_master_is_no_permit(void)
{
	struct pair p;

	pair_begin_ready(&p);
	char *path = mkstore_path(p.stores[0], "user.ann", "2.");
	CU_ASSERT_EQUAL(mkstore_flip_bit(path, 500, 1), 0);
	CU_ASSERT_EQUAL(scan_side(&p, 0, NULL), RUN_COMPLETE);
	decide(&p);
	check(&p, GATE_COMPLETE, ASSAY_RESULT_FAIL, "complete.master_damaged");
	const struct gate_rule *rule = &p.verdict.rules[GATE_COMPLETE];
	CU_ASSERT_EQUAL_FATAL(rule->nr_findings, 1);
	CU_ASSERT_STRING_EQUAL(rule->findings[0].side, "h1");
	CU_ASSERT_STRING_EQUAL(rule->findings[0].code, "message.digest");
	CU_ASSERT_EQUAL(rule->findings[0].uid, 2);
	free(path);
	pair_end(&p);
}

static void a_list_or_an_index_that_cannot_be_read_is_no_permit(void)
{
	for (int side = 0; side < 2; side++) {
		struct pair p;
		char list[400];
		pair_begin_ready(&p);
		(void)snprintf(list, sizeof(list), "%s/%s/conf/mailboxes.db", p.dir,
			       side ? "replica" : "master");
		CU_ASSERT_EQUAL(mkstore_flip_bit(list, 20, 1), 0);
		decide(&p);
		check(&p, GATE_COMPLETE, ASSAY_RESULT_UNKNOWN, "complete.unreadable");
		CU_ASSERT_EQUAL(unlink(list), 0);
		CU_ASSERT_EQUAL(mkfifo(list, 0600), 0); /* must not wait for a writer */
		decide(&p);
		check(&p, GATE_COMPLETE, ASSAY_RESULT_UNKNOWN, "complete.unreadable");
		pair_end(&p);

		pair_begin_ready(&p);
		char *index = mkstore_path(p.stores[side], "user.ann", "cyrus.index");
		CU_ASSERT_EQUAL(mkstore_flip_bit(index, 40, 1), 0);
		decide(&p);
		check(&p, GATE_COMPLETE, ASSAY_RESULT_UNKNOWN, "complete.index_unreadable");
		free(index);
		pair_end(&p);
	}
}

/* ---- intact ---- */

static void a_copy_that_was_never_scanned_is_unknown(void)
{
	struct pair p;

	pair_begin(&p, SAME, true, NULL);
	decide(&p); /* no state at all */
	check(&p, GATE_INTACT, ASSAY_RESULT_UNKNOWN, "intact.never_scanned");
	CU_ASSERT_NOT_EQUAL(access(p.state_dir, F_OK), 0); /* asking makes none */
	CU_ASSERT_EQUAL(scan_side(&p, 0, NULL), RUN_COMPLETE);
	decide(&p); /* only the master was */
	check(&p, GATE_INTACT, ASSAY_RESULT_UNKNOWN, "intact.never_scanned");
	pair_end(&p);
}

static void an_open_finding_denies_until_it_is_closed(void)
{
	struct pair p;

	pair_begin_ready(&p);
	char *path = mkstore_path(p.stores[1], "user.ann", "2.");
	CU_ASSERT_EQUAL(mkstore_flip_bit(path, 500, 1), 0);
	CU_ASSERT_EQUAL(scan_side(&p, 1, NULL), RUN_COMPLETE);
	decide(&p);
	check(&p, GATE_INTACT, ASSAY_RESULT_FAIL, "intact.findings");
	CU_ASSERT_EQUAL(p.verdict.rules[GATE_INTACT].total_findings, 1);
	CU_ASSERT_STRING_EQUAL(p.verdict.rules[GATE_INTACT].findings[0].side, "h2");
	CU_ASSERT_EQUAL(mkstore_flip_bit(path, 500, 1), 0);
	decide(&p); /* repaired and not scanned: still open */
	check(&p, GATE_INTACT, ASSAY_RESULT_FAIL, "intact.findings");
	CU_ASSERT_EQUAL(scan_side(&p, 1, NULL), RUN_COMPLETE);
	decide(&p);
	check(&p, GATE_INTACT, ASSAY_RESULT_PASS, "intact.verified");
	free(path);
	pair_end(&p);
}

/* The state of the replica, for a test that writes into it. */
static struct state *open_replica_state(const struct pair *p, int64_t *ret_target)
{
	struct state *state = NULL;
	char real[400];

	(void)snprintf(real, sizeof(real), "%s/replica/conf", p->dir);
	char *key = realpath(real, NULL);
	CU_ASSERT_EQUAL_FATAL(state_open(p->state_dir, STATE_WRITE, NULL, &state), 0);
	CU_ASSERT_EQUAL(state_target_find(state, key, ret_target), 0);
	free(key);
	return state;
}

static void put_finding(struct state *state, int64_t target, int64_t run,
			enum assay_severity severity)
{
	struct finding finding = {
		.target = target,
		.verdict = ASSAY_DIVERGED,
		.severity = severity,
		.code = "some.code",
		.object = assay_severity_name(severity),
	};

	CU_ASSERT_EQUAL(state_finding_put(state, run, clock_wall_ns(), &finding), 0);
}

static void a_notice_is_told_and_a_warning_denies(void)
{
	struct pair p;
	int64_t target = 0;

	pair_begin_ready(&p);
	struct state *state = open_replica_state(&p, &target);
	put_finding(state, target, 1, ASSAY_SEVERITY_NOTICE);
	decide(&p);
	check(&p, GATE_INTACT, ASSAY_RESULT_PASS, "intact.verified");
	CU_ASSERT_EQUAL(p.verdict.decision, ASSAY_PERMIT);
	CU_ASSERT_PTR_NOT_NULL(strstr(buf_str(&p.verdict.rules[GATE_INTACT].summary),
				      "nothing found but 1 notice"));
	CU_ASSERT_EQUAL(p.verdict.rules[GATE_INTACT].total_findings, 0);
	put_finding(state, target, 1, ASSAY_SEVERITY_WARNING);
	decide(&p);
	check(&p, GATE_INTACT, ASSAY_RESULT_FAIL, "intact.findings");
	CU_ASSERT_EQUAL(p.verdict.rules[GATE_INTACT].total_findings, 1);
	CU_ASSERT_EQUAL(p.verdict.rules[GATE_INTACT].findings[0].severity,
			ASSAY_SEVERITY_WARNING);
	state_close(state);
	pair_end(&p);
}

/* However it ends, and whatever it covers: but what it finds counts. */
static void a_scan_of_a_part_decides_by_its_findings_only(void)
{
	for (int status = RUN_RUNNING; status < RUN_STATUS_COUNT_; status++) {
		struct run run = { .status = (enum run_status)status, .gaps = 1, .ended_ns = 1 };
		struct pair p;
		pair_begin_ready(&p);
		struct state *state = open_replica_state(&p, &run.target);
		CU_ASSERT_EQUAL(state_run_begin(state, run.target, 1, "quick", &run.id), 0);
		CU_ASSERT_EQUAL(state_run_update(state, &run), 0);
		decide(&p);
		check(&p, GATE_INTACT, ASSAY_RESULT_PASS, "intact.verified");
		put_finding(state, run.target, run.id, ASSAY_SEVERITY_CRITICAL);
		decide(&p);
		check(&p, GATE_INTACT, ASSAY_RESULT_FAIL, "intact.findings");
		state_close(state);
		pair_end(&p);
	}
}

static void an_old_scan_denies(void)
{
	struct pair p;

	pair_begin_ready(&p);
	p.conf.policy.max_scan_age_ns = 1;
	decide(&p);
	check(&p, GATE_INTACT, ASSAY_RESULT_FAIL, "intact.too_old");
	pair_end(&p);
}

static void a_scan_that_was_not_complete_is_unknown(void)
{
	static const enum run_status statuses[] = { RUN_INCOMPLETE, RUN_VOID };
	struct pair p;

	for (size_t i = 0; i < array_size(statuses); i++) {
		struct run run = { .ended_ns = 1, .status = statuses[i], .gaps = 1 };
		pair_begin_ready(&p);
		struct state *state = open_replica_state(&p, &run.target);
		CU_ASSERT_EQUAL(state_run_begin(state, run.target, 1, "", &run.id), 0);
		CU_ASSERT_EQUAL(state_run_update(state, &run), 0);
		state_close(state);
		decide(&p);
		check(&p, GATE_INTACT, ASSAY_RESULT_UNKNOWN, "intact.not_complete");
		pair_end(&p);
	}
	pair_begin_ready(&p);
	/* An engine that is not known here. */
	char *annotations = mkstore_path(p.stores[1], "user.ann", "cyrus.annotations");
	CU_ASSERT_EQUAL(room_write(annotations, "SQLite format 3"), 0);
	CU_ASSERT_EQUAL(scan_side(&p, 1, NULL), RUN_INCOMPLETE);
	decide(&p);
	check(&p, GATE_INTACT, ASSAY_RESULT_UNKNOWN, "intact.not_complete");
	free(annotations);
	pair_end(&p);
}

/* A run of `age_ns` ago that was interrupted behind user.ann, and one that went on just now. */
static void make_round(struct pair *p, int64_t age_ns)
{
	static const char *const names[] = { "user.ann", "user.ann.Sent", "user.bob^b" };
	int64_t now = clock_wall_ns();
	struct run first = { .status = RUN_INTERRUPTED, .ended_ns = now - age_ns };
	struct run second = { .status = RUN_COMPLETE, .ended_ns = now };
	struct state *state = open_replica_state(p, &first.target);

	CU_ASSERT_EQUAL(state_run_begin(state, first.target, now - age_ns, "", &first.id), 0);
	first.round = first.id;
	CU_ASSERT_EQUAL(state_run_update(state, &first), 0);
	CU_ASSERT_EQUAL(state_run_begin(state, first.target, now, "", &second.id), 0);
	second.target = first.target;
	second.round = first.id;
	for (size_t i = 0; i < array_size(names); i++) {
		struct span id = span_of_str(mkstore_get_unique_id(p->stores[1], names[i]));
		int64_t run = i ? second.id : first.id, at_ns = i ? now : now - age_ns;
		CU_ASSERT_EQUAL(state_mailbox_verified(state, first.target, run, id, at_ns, 3, 2700),
				0);
	}
	CU_ASSERT_EQUAL(state_run_update(state, &second), 0);
	state_close(state);
}

/* However young the run that ended it is. */
static void a_round_is_as_old_as_what_its_first_run_verified(void)
{
	struct pair p;

	pair_begin_ready(&p);
	make_round(&p, DAY_S * NS_PER_S);
	decide(&p);
	check(&p, GATE_INTACT, ASSAY_RESULT_PASS, "intact.verified");
	make_round(&p, 2 * DAY_S * NS_PER_S);
	decide(&p);
	check(&p, GATE_INTACT, ASSAY_RESULT_FAIL, "intact.too_old");
	pair_end(&p);
}

static void an_interrupted_scan_is_no_evidence_and_takes_none_away(void)
{
	volatile sig_atomic_t stop = 1;
	struct pair p;

	pair_begin(&p, SAME, true, NULL);
	CU_ASSERT_EQUAL(scan_side(&p, 1, &stop), RUN_INTERRUPTED);
	decide(&p);
	CU_ASSERT_EQUAL(p.verdict.rules[GATE_INTACT].result, ASSAY_RESULT_UNKNOWN);
	CU_ASSERT_EQUAL(p.verdict.decision, ASSAY_UNDETERMINED);
	CU_ASSERT_EQUAL(scan_side(&p, 1, NULL), RUN_COMPLETE);
	decide(&p);
	CU_ASSERT_EQUAL(p.verdict.decision, ASSAY_PERMIT);
	CU_ASSERT_EQUAL(scan_side(&p, 1, &stop), RUN_INTERRUPTED);
	decide(&p);
	CU_ASSERT_EQUAL(p.verdict.rules[GATE_INTACT].result, ASSAY_RESULT_PASS);
	CU_ASSERT_EQUAL(p.verdict.decision, ASSAY_PERMIT);
	pair_end(&p);
}

static void a_damaged_state_is_unknown(void)
{
	struct pair p;
	char path[400];

	pair_begin_ready(&p);
	(void)snprintf(path, sizeof(path), "%s/state.db", p.state_dir);
	write_aged(path,
		   "this is no database, and was one a moment ago: longer than a header, so that "
		   "nobody takes it for an empty one......................",
		   0);
	decide(&p);
	CU_ASSERT_EQUAL(p.verdict.decision, ASSAY_UNDETERMINED);
	CU_ASSERT_STRING_EQUAL(p.verdict.rules[GATE_INTACT].code, "intact.state_unreadable");
	CU_ASSERT_STRING_EQUAL(p.verdict.rules[GATE_COMPLETE].code, "complete.state_unreadable");
	pair_end(&p);
}

/* ---- the deadline ---- */

static void what_has_not_answered_by_the_deadline_is_unknown(void)
{
	struct pair p;

	pair_begin_ready(&p);
	p.conf.policy.gate_deadline_ns = 1;
	decide(&p);
	CU_ASSERT_EQUAL(p.verdict.decision, ASSAY_UNDETERMINED);
	CU_ASSERT_TRUE(p.verdict.took_ns < 5 * NS_PER_S);
	for (int i = 0; i < GATE_RULE_COUNT_; i++)
		if (p.verdict.rules[i].result == ASSAY_RESULT_UNKNOWN)
			CU_ASSERT_STRING_EQUAL(p.verdict.rules[i].code, "gate.deadline");
	clock_sleep_ns(NS_PER_S); /* the late ones still read the stores */
	pair_end(&p);
}

static void does_not_wait_for_what_hangs(void)
{
	struct pair p;
	char path[400];
	pid_t child;

	pair_begin_ready(&p);
	(void)snprintf(path, sizeof(path), "%s/state.db", p.state_dir);
	/* The database, as a hung process would hold it. */
	CU_ASSERT_EQUAL_FATAL(room_hold_lock(AT_FDCWD, path, F_WRLCK, &child), 0);
	p.conf.policy.gate_deadline_ns = NS_PER_S;
	decide(&p);
	CU_ASSERT_EQUAL(p.verdict.decision, ASSAY_UNDETERMINED);
	CU_ASSERT_TRUE(p.verdict.took_ns < 4 * NS_PER_S);
	CU_ASSERT_STRING_EQUAL(p.verdict.rules[GATE_INTACT].code, "gate.deadline");
	CU_ASSERT_EQUAL(p.verdict.rules[GATE_FRESH].result, ASSAY_RESULT_PASS);
	CU_ASSERT_EQUAL(room_let_go(child), 0);
	clock_sleep_ns(NS_PER_S); /* the late ones get the database now */
	pair_end(&p);
}

static const struct test_case cases[] = {
	CASE(permits_when_every_rule_passes),
	CASE(judges_the_role_by_configuration),
	CASE(nothing_is_known_without_a_master),
	CASE(denies_when_both_copies_are_one_directory),
	CASE(a_master_that_cannot_be_reached_is_no_permit),
	CASE(a_log_that_is_not_written_says_nothing),
	CASE(a_log_that_cannot_be_read_says_nothing),
	CASE(an_old_backlog_is_stale_and_names_whom_it_concerns),
	CASE(a_young_backlog_is_no_permit_either),
	CASE(a_skipped_user_is_never_fresh),
	CASE(looks_at_the_channel_that_feeds_the_replica),
	CASE(a_log_that_drains_while_watched_is_fresh),
	CASE(tells_what_the_replica_lacks_and_whose_it_is),
	CASE(damage_of_the_master_is_no_permit),
	CASE(a_list_or_an_index_that_cannot_be_read_is_no_permit),
	CASE(a_copy_that_was_never_scanned_is_unknown),
	CASE(an_open_finding_denies_until_it_is_closed),
	CASE(a_notice_is_told_and_a_warning_denies),
	CASE(a_scan_of_a_part_decides_by_its_findings_only),
	CASE(an_old_scan_denies),
	CASE(a_scan_that_was_not_complete_is_unknown),
	CASE(a_round_is_as_old_as_what_its_first_run_verified),
	CASE(an_interrupted_scan_is_no_evidence_and_takes_none_away),
	CASE(a_damaged_state_is_unknown),
	CASE(what_has_not_answered_by_the_deadline_is_unknown),
	CASE(does_not_wait_for_what_hangs),
};

const struct test_suite suite_service_gate = { "service/gate", cases, array_size(cases) };

// SPDX-License-Identifier: Apache-2.0
/*
 * The public functions, as a program that links the library calls them: what they refuse, and that
 * their results are those of the scan and of the gate.
 */
#include "suites.h"

#include <CUnit/CUnit.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "assay.h"
#include "base/compiler.h"
#include "support/mkstore.h"
#include "support/room.h"

struct room {
	char dir[ROOM_DIR_SIZE];
	char conf[300];
	char state[300];
	struct mkstore *stores[2];
	char said[512]; /* by the log, last */
};

static void on_log(int level, const char *text, void *ctx)
{
	struct room *room = ctx;

	CU_ASSERT_TRUE(level >= 0 && level <= 3);
	(void)snprintf(room->said, sizeof(room->said), "%s", text);
}

static void write_conf(const struct room *room, const char *text)
{
	CU_ASSERT_EQUAL_FATAL(room_write(room->conf, text), 0);
}

static void room_open(struct room *room)
{
	char text[2048];

	*room = (struct room){ .stores = { NULL, NULL } };
	CU_ASSERT_EQUAL_FATAL(room_make("api", room->dir), 0);
	(void)snprintf(room->conf, sizeof(room->conf), "%s/assay.conf", room->dir);
	(void)snprintf(room->state, sizeof(room->state), "%s/state", room->dir);
	for (int side = 0; side < 2; side++) {
		struct mkstore_options options = { .seed = 9, .sync_log = true };
		char path[300];
		(void)snprintf(path, sizeof(path), "%s/%d", room->dir, side);
		CU_ASSERT_EQUAL_FATAL(mkstore_new(path, &options, &room->stores[side]), 0);
		CU_ASSERT_EQUAL_FATAL(room_add_mailbox(room->stores[side], "user.ann", 4, 1000, 0),
				      0);
		CU_ASSERT_EQUAL_FATAL(mkstore_finish(room->stores[side]), 0);
	}
	(void)snprintf(text, sizeof(text),
		       "[host]\nname = h1\n[policy]\nsettle = 10ms\ngate_patience = 100ms\n"
		       "[store s1]\nimapd_conf = %s\nrole = master\npeers = h2\n"
		       "[store s1@h2]\nimapd_conf = %s\nrole = replica\n",
		       mkstore_get_conf(room->stores[0]), mkstore_get_conf(room->stores[1]));
	write_conf(room, text);
}

static void room_close(struct room *room)
{
	mkstore_free(room->stores[0]);
	mkstore_free(room->stores[1]);
	CU_ASSERT_EQUAL(room_remove(room->dir), 0);
}

static int open_assay(struct room *room, struct assay **ret_assay)
{
	struct assay_params params = { .size = sizeof(params),
				       .config_file = room->conf,
				       .state_dir = room->state,
				       .log = on_log,
				       .log_ctx = room };

	return assay_open(&params, ret_assay);
}

static void opens_only_what_it_understands(void)
{
	struct assay_params params = { .size = sizeof(params) - 1 };
	struct assay *assay = NULL;
	struct room room;

	room_open(&room);
	params.config_file = room.conf;
	CU_ASSERT_EQUAL(assay_open(&params, &assay), -EINVAL);
	write_conf(&room, "[policy]\nmax_lagg = 5min\n");
	CU_ASSERT_EQUAL(open_assay(&room, &assay), -EBADMSG);
	CU_ASSERT_PTR_NOT_NULL(strstr(room.said, "assay.conf:2:"));
	CU_ASSERT_EQUAL(unlink(room.conf), 0);
	CU_ASSERT_EQUAL(open_assay(&room, &assay), -ENOENT);
	CU_ASSERT_PTR_NULL(assay);
	assay_close(NULL);
	room_close(&room);
}

struct seen {
	unsigned nr;
	char code[64], mailbox[64];
	uint32_t uid;
	enum assay_verdict verdict;
	enum assay_severity severity;
};

static void on_finding(const struct assay_finding *finding, void *ctx)
{
	struct seen *seen = ctx;

	seen->nr++;
	seen->uid = finding->uid;
	seen->verdict = finding->verdict;
	seen->severity = finding->severity;
	(void)snprintf(seen->code, sizeof(seen->code), "%s", finding->code);
	(void)snprintf(seen->mailbox, sizeof(seen->mailbox), "%s", finding->mailbox);
	CU_ASSERT_STRING_EQUAL(finding->store, "s1");
	CU_ASSERT_STRING_EQUAL(finding->host, "h2");
	CU_ASSERT_TRUE(finding->path && finding->recorded && finding->observed && finding->advice);
	CU_ASSERT_TRUE(finding->first_seen_ns > 0);
	CU_ASSERT_TRUE(finding->last_seen_ns >= finding->first_seen_ns);
}

static void scans_and_hands_over_each_finding(void)
{
	struct assay_scan_summary summary = { .size = sizeof(summary) };
	struct seen seen = { .severity = ASSAY_SEVERITY_COUNT_ };
	struct assay *assay;
	struct room room;

	room_open(&room);
	CU_ASSERT_EQUAL_FATAL(open_assay(&room, &assay), 0);
	CU_ASSERT_EQUAL(assay_scan(assay, "s1@h2", on_finding, &seen, &summary), 0);
	CU_ASSERT_TRUE(summary.complete);
	CU_ASSERT_TRUE(summary.mailboxes == 1 && summary.messages == 4 && summary.bytes == 4000);
	CU_ASSERT_TRUE(summary.findings == 0 && summary.in_flight == 0 && summary.gaps == 0);
	char *path = mkstore_path(room.stores[1], "user.ann", "3.");
	CU_ASSERT_EQUAL(mkstore_flip_bit(path, 700, 2), 0);
	CU_ASSERT_EQUAL(assay_scan(assay, "s1@h2", on_finding, &seen, &summary), 0);
	CU_ASSERT_EQUAL(summary.findings, 1);
	CU_ASSERT_EQUAL(seen.nr, 1);
	CU_ASSERT_EQUAL(seen.uid, 3);
	CU_ASSERT_EQUAL(seen.verdict, ASSAY_CORRUPT);
	CU_ASSERT_EQUAL(seen.severity, ASSAY_SEVERITY_CRITICAL);
	CU_ASSERT_EQUAL(summary.notices, 0);
	CU_ASSERT_STRING_EQUAL(seen.code, "message.digest");
	CU_ASSERT_STRING_EQUAL(seen.mailbox, "user.ann");
	CU_ASSERT_EQUAL(assay_scan(assay, "s1@h2", NULL, NULL, &summary), 0);
	summary.size = 3;
	CU_ASSERT_EQUAL(assay_scan(assay, "s1@h2", NULL, NULL, &summary), -EINVAL);
	free(path);
	assay_close(assay);
	room_close(&room);
}

static void an_unknown_store_is_no_clean_scan(void)
{
	static const char *const names[] = { "s2", "s1@h9", "", "@", "s1@" };
	struct assay_scan_summary summary;
	struct assay *assay;
	struct room room;

	room_open(&room);
	CU_ASSERT_EQUAL_FATAL(open_assay(&room, &assay), 0);
	for (size_t i = 0; i < array_size(names); i++) {
		memset(&summary, 0xff, sizeof(summary));
		summary.size = sizeof(summary);
		CU_ASSERT_EQUAL(assay_scan(assay, names[i], NULL, NULL, &summary), -ENOENT);
		CU_ASSERT_FALSE(summary.complete);
		CU_ASSERT_EQUAL(summary.messages, 0);
	}
	assay_close(assay);
	room_close(&room);
}

static void on_rule(const struct assay_rule *rule, void *ctx)
{
	unsigned *nr = ctx;

	CU_ASSERT_TRUE(rule->name && rule->code && rule->summary && *rule->summary);
	CU_ASSERT_PTR_NOT_NULL(assay_result_name(rule->result));
	++*nr;
}

static void gates_as_the_rules_say(void)
{
	struct assay_scan_summary summary = { .size = sizeof(summary) };
	enum assay_decision decision = ASSAY_PERMIT;
	struct assay *assay;
	struct room room;
	unsigned nr = 0;

	room_open(&room);
	CU_ASSERT_EQUAL_FATAL(open_assay(&room, &assay), 0);
	CU_ASSERT_EQUAL(assay_gate(assay, "s1", "h2", on_rule, &nr, &decision), 0);
	CU_ASSERT_EQUAL(decision, ASSAY_UNDETERMINED); /* never scanned */
	CU_ASSERT_EQUAL(nr, 4);
	CU_ASSERT_EQUAL(assay_scan(assay, "s1@h2", NULL, NULL, &summary), 0);
	CU_ASSERT_EQUAL(assay_gate(assay, "s1", "h2", NULL, NULL, &decision), 0);
	CU_ASSERT_EQUAL(decision, ASSAY_PERMIT);
	CU_ASSERT_EQUAL(assay_gate(assay, "s1", "h1", NULL, NULL, &decision), 0);
	CU_ASSERT_EQUAL(decision, ASSAY_DENY); /* that is the master */
	decision = ASSAY_PERMIT;
	CU_ASSERT_EQUAL(assay_gate(assay, "s1", "h9", NULL, NULL, &decision), -ENOENT);
	CU_ASSERT_EQUAL(decision, ASSAY_UNDETERMINED);
	decision = ASSAY_PERMIT;
	CU_ASSERT_EQUAL(assay_gate(assay, "s9", "h2", NULL, NULL, &decision), -ENOENT);
	CU_ASSERT_EQUAL(decision, ASSAY_UNDETERMINED);
	assay_close(assay);
	room_close(&room);
}

static void names_what_it_returns(void)
{
	CU_ASSERT_STRING_EQUAL(assay_result_name(ASSAY_RESULT_PASS), "pass");
	CU_ASSERT_STRING_EQUAL(assay_result_name(ASSAY_RESULT_FAIL), "fail");
	CU_ASSERT_STRING_EQUAL(assay_result_name(ASSAY_RESULT_UNKNOWN), "unknown");
	CU_ASSERT_PTR_NULL(assay_result_name((enum assay_result)3));
	CU_ASSERT_STRING_EQUAL(assay_decision_name(ASSAY_PERMIT), "permit");
	CU_ASSERT_STRING_EQUAL(assay_decision_name(ASSAY_DENY), "deny");
	CU_ASSERT_STRING_EQUAL(assay_decision_name(ASSAY_UNDETERMINED), "undetermined");
	CU_ASSERT_PTR_NULL(assay_decision_name((enum assay_decision)3));
	CU_ASSERT_STRING_EQUAL(assay_verdict_name(ASSAY_OK), "ok");
	CU_ASSERT_STRING_EQUAL(assay_verdict_name(ASSAY_IN_FLIGHT), "in-flight");
	CU_ASSERT_PTR_NULL(assay_verdict_name(ASSAY_VERDICT_COUNT_));
	CU_ASSERT_STRING_EQUAL(assay_severity_name(ASSAY_SEVERITY_CRITICAL), "critical");
	CU_ASSERT_STRING_EQUAL(assay_severity_name(ASSAY_SEVERITY_WARNING), "warning");
	CU_ASSERT_STRING_EQUAL(assay_severity_name(ASSAY_SEVERITY_NOTICE), "notice");
	CU_ASSERT_PTR_NULL(assay_severity_name(ASSAY_SEVERITY_COUNT_));
	CU_ASSERT_TRUE(*assay_version() >= '0' && *assay_version() <= '9');
}

static const struct test_case cases[] = {
	CASE(opens_only_what_it_understands),
	CASE(scans_and_hands_over_each_finding),
	CASE(an_unknown_store_is_no_clean_scan),
	CASE(gates_as_the_rules_say),
	CASE(names_what_it_returns),
};

const struct test_suite suite_service_api = { "service/api", cases, array_size(cases) };

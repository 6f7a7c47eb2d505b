/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Intact: has every byte of the replica been verified within max_scan_age, with nothing found? The
 * last scan that ended must have been complete; what it covered is as old as its oldest mailbox.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "service/gate_rules.h"
#include "state/state.h"
#include "verify/target.h"

static void judge_coverage(const struct gate_case *c, struct state *state, const struct run *run,
			   struct gate_rule *rule)
{
	char age[64], max[64], bytes[32], notices[64] = "";
	int64_t oldest = 0;
	uint64_t total = 0, nr_notices = 0;
	int r = state_coverage(state, run->target, run->id, &oldest, &total);
	if (r == 0)
		r = state_finding_count_notices(state, run->target, &nr_notices);
	int64_t age_ns = clock_wall_ns() - oldest;

	text_duration(age_ns, age, sizeof(age));
	text_duration(c->policy.max_scan_age_ns, max, sizeof(max));
	text_bytes(total, bytes, sizeof(bytes));
	if (nr_notices)
		text_counted(nr_notices, "notice", notices, sizeof(notices));
	rule->observed_ns = oldest;
	if (r || oldest == 0)
		rule_say(rule, ASSAY_RESULT_UNKNOWN, "intact.no_coverage",
			 "what was verified, and when, cannot be told");
	else if (age_ns < 0)
		rule_say(rule, ASSAY_RESULT_UNKNOWN, "intact.clock",
			 "the last scan lies in the future: is the clock right?");
	else if (age_ns > c->policy.max_scan_age_ns)
		rule_say(rule, ASSAY_RESULT_FAIL, "intact.too_old",
			 "the oldest byte was verified %s ago, more than %s: scan %s@%s", age, max,
			 c->replica.store, c->replica.host);
	else
		rule_say(rule, ASSAY_RESULT_PASS, "intact.verified",
			 "%s in %" PRIu64 " mailboxes verified %s ago, nothing found%s%s%s", bytes,
			 run->mailboxes, age, nr_notices ? " but " : "", notices,
			 run->buffered ? " (partly read through the page cache)" : "");
}

static void judge_runs(const struct gate_case *c, struct state *state, int64_t target,
		       struct gate_rule *rule)
{
	char first[512];
	struct run run;
	int r = rule_collect_findings(state, target, c->replica.host, rule);

	if (r) {
		rule_say(rule, ASSAY_RESULT_UNKNOWN, "intact.state_unreadable",
			 "the findings cannot be read: %s", strerror(-r));
		return;
	}
	if (rule->total_findings) {
		rule_describe_finding(rule, first, sizeof(first));
		rule->observed_ns = rule->findings[0].last_seen_ns;
		rule_say(rule, ASSAY_RESULT_FAIL, "intact.findings",
			 "open findings: %" PRIu64 ", the first %s", rule->total_findings, first);
		return;
	}
	r = state_run_last_ended(state, target, &run);
	if (r)
		rule_say(rule, ASSAY_RESULT_UNKNOWN, "intact.never_scanned",
			 "no scan of %s@%s has ever ended: scan it", c->replica.store,
			 c->replica.host);
	else if (run.status == RUN_COMPLETE)
		judge_coverage(c, state, &run, rule);
	else
		rule_say(rule, ASSAY_RESULT_UNKNOWN, "intact.not_complete",
			 "the last scan of %s@%s was %s: %" PRIu64 " gaps", c->replica.store,
			 c->replica.host, run_status_name(run.status), run.gaps);
}

void gate_rule_intact(const struct gate_case *c, struct gate_rule *rule)
{
	struct target replica = TARGET_NULL;
	struct state *state = NULL;
	int64_t target = 0;
	int r = target_open(&replica, c->replica.store, c->replica.host, c->replica.imapd_conf,
			    &c->log);

	if (r) {
		rule_say(rule, ASSAY_RESULT_UNKNOWN, "intact.unreachable",
			 "the replica's copy cannot be reached: %s", strerror(-r));
		return;
	}
	r = state_open(c->state_dir, STATE_READ, &c->log, &state);
	if (r == 0)
		r = state_target_find(state, replica.key, &target);
	if (r == -ENOENT)
		rule_say(rule, ASSAY_RESULT_UNKNOWN, "intact.never_scanned",
			 "%s@%s was never scanned: scan it", c->replica.store, c->replica.host);
	else if (r)
		rule_say(rule, ASSAY_RESULT_UNKNOWN, "intact.state_unreadable",
			 "the state in %s cannot be read: %s", c->state_dir, strerror(-r));
	else
		judge_runs(c, state, target, rule);
	state_close(state);
	target_fini(&replica);
}

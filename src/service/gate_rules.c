/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the rules share, and the smallest of them, role. Each rule begins as unknown and says pass
 * only at its last line; every early return is a fail or stays unknown.
 */
#include "service/gate_rules.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "verify/target.h"

/* The names of a map, in order, so that output is the same for the same input. */
static int compare_spans(const void *a, const void *b)
{
	return span_compare(*(const struct span *)a, *(const struct span *)b);
}

int gate_list_map(struct gate_list *list, const struct map *names)
{
	struct span *sorted = calloc(names->count + 1, sizeof(*sorted));
	struct map_cursor cursor = { 0 };
	size_t nr = 0;
	int r = sorted ? 0 : -ENOMEM;

	while (r == 0 && map_next(names, &cursor, &sorted[nr], NULL))
		nr++;
	if (r == 0)
		qsort(sorted, nr, sizeof(*sorted), compare_spans);
	for (size_t i = 0; r == 0 && i < nr; i++)
		r = gate_list_add(list, sorted[i]);
	free(sorted);
	return r;
}

struct finding_collector {
	struct gate_rule *rule;
	const char *side;
};

static int collect_finding(const struct finding *finding, void *ctx)
{
	struct finding_collector *collector = ctx;
	struct gate_rule *rule = collector->rule;

	rule->total_findings++;
	if (rule->nr_findings >= GATE_LIST_MAX)
		return 0;
	if (!rule->findings) {
		rule->findings = calloc(GATE_LIST_MAX, sizeof(*rule->findings));
		if (!rule->findings)
			return -ENOMEM;
	}
	struct gate_finding *mine = &rule->findings[rule->nr_findings++];
	*mine = (struct gate_finding){
		.code = strdup(finding->code),
		.verdict = strdup(assay_verdict_name(finding->verdict)),
		.severity = finding->severity,
		.side = strdup(collector->side),
		.uid = finding->uid,
		.first_seen_ns = finding->first_seen_ns,
		.last_seen_ns = finding->last_seen_ns,
	};
	buf_add_span(&mine->mailbox, finding->mailbox);
	buf_add_span(&mine->path, finding->path);
	if (!mine->code || !mine->verdict || !mine->side || buf_error(&mine->mailbox))
		return -ENOMEM;
	return buf_error(&mine->path);
}

int rule_collect_findings(struct state *state, int64_t target, const char *side,
				 struct gate_rule *rule)
{
	struct finding_filter filter = {
		.target = target,
		.open_only = true,
		.without_notices = true,
	};
	struct finding_collector collector = { rule, side };

	return state_finding_each(state, &filter, collect_finding, &collector);
}

/* "message 3 of user.u001" and what is wrong with it, for the sentence of a rule. */
void rule_describe_finding(const struct gate_rule *rule, char *out, size_t size)
{
	const struct gate_finding *first = &rule->findings[0];
	struct buf name = BUF_NULL;

	text_add_printable(&name, buf_span(&first->mailbox));
	if (first->uid && strncmp(first->code, "message.", 8) == 0)
		(void)snprintf(out, size, "%s: message %" PRIu32 " of %s", first->verdict, first->uid,
			       buf_str(&name));
	else
		(void)snprintf(out, size, "%s: %s of %s", first->verdict, first->code,
			       name.len ? buf_str(&name) : "the store");
	buf_fini(&name);
}

static bool has_word(const char *words, const char *word)
{
	size_t len = strlen(word);

	for (const char *p = words; (p = strstr(p, word)); p += len)
		if ((p == words || p[-1] == ' ' || p[-1] == ',') &&
		    (p[len] == '\0' || p[len] == ' ' || p[len] == ','))
			return true;
	return false;
}

void gate_rule_role(const struct gate_case *c, struct gate_rule *rule)
{
	struct target master = TARGET_NULL, replica = TARGET_NULL;

	if (c->replica.role == ROLE_MASTER) {
		rule_say(rule, ASSAY_RESULT_FAIL, "role.is_master",
			 "%s is the master of %s by configuration", c->replica.host, c->replica.store);
		return;
	}
	if (c->replica.role != ROLE_REPLICA || !c->master.is_configured) {
		rule_say(rule, ASSAY_RESULT_UNKNOWN, "role.no_master",
			 "no copy of %s is configured as its master", c->replica.store);
		return;
	}
	if (c->master.peers && !has_word(c->master.peers, c->replica.host)) {
		rule_say(rule, ASSAY_RESULT_FAIL, "role.not_a_peer",
			 "%s is not among the peers of the master, %s", c->replica.host,
			 c->master.host);
		return;
	}
	int r = target_open(&master, c->master.store, c->master.host, c->master.imapd_conf, NULL);
	if (r == 0)
		r = target_open(&replica, c->replica.store, c->replica.host, c->replica.imapd_conf,
				NULL);
	if (r)
		rule_say(rule, ASSAY_RESULT_UNKNOWN, "role.unreachable",
			 "a copy cannot be reached: %s", strerror(-r));
	else if (strcmp(master.key, replica.key) == 0)
		rule_say(rule, ASSAY_RESULT_FAIL, "role.same_copy",
			 "master and replica are the same directory, %s", replica.key);
	else
		rule_say(rule, ASSAY_RESULT_PASS, "role.replica",
			 "replica of %s, whose master is %s (by configuration)", c->replica.store,
			 c->master.host);
	rule->observed_ns = clock_wall_ns();
	target_fini(&master);
	target_fini(&replica);
}

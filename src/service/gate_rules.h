/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rules of the gate, one function each. Internal to service/: gate.c runs them, each in its
 * own thread, on a case that nobody changes meanwhile.
 */
#ifndef SERVICE_GATE_RULES_H
#define SERVICE_GATE_RULES_H

#include "base/map.h"
#include "service/gate.h"
#include "state/state.h"

/* One side of the question; a copy of what the configuration says, owned by the case. */
struct gate_side {
	bool is_configured;
	char *store;
	char *host;
	char *imapd_conf;
	char *peers;
	char *channel;
	enum role role;
};

struct gate_case {
	struct gate_side master;
	struct gate_side replica;
	struct policy policy;
	char *state_dir;
	struct log log;
};

/* Each fills in a rule that is all zero but for its id; what it leaves open stays unknown. */
void gate_rule_role(const struct gate_case *c, struct gate_rule *rule);
void gate_rule_fresh(const struct gate_case *c, struct gate_rule *rule);
void gate_rule_complete(const struct gate_case *c, struct gate_rule *rule);
void gate_rule_intact(const struct gate_case *c, struct gate_rule *rule);

/* ---- for the rules ---- */

/* Sets result, code (static) and the one sentence. */
void rule_say(struct gate_rule *rule, enum assay_result result, const char *code, const char *fmt,
	      ...) printf_like(4, 5);

/* Keeps a name, up to GATE_LIST_MAX of them. -ENOMEM. */
int gate_list_add(struct gate_list *list, struct span name) must_check;

/* Keeps the names of a map, in order. -ENOMEM. */
int gate_list_map(struct gate_list *list, const struct map *names) must_check;

/* Adds the open findings of a copy, `side` being its host, but no notices, which deny nothing.
 * Errors of state_finding_each. */
int rule_collect_findings(struct state *state, int64_t target, const char *side,
			  struct gate_rule *rule) must_check;

/* "corrupt: message 3 of user.u001", of the first finding of a rule that has one. */
void rule_describe_finding(const struct gate_rule *rule, char *out, size_t size);

void gate_rule_fini(struct gate_rule *rule);

#endif

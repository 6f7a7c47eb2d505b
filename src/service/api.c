/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The public functions: thin, and nothing but translation between include/assay.h and the layers.
 */
#include "assay.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "format/assay/conf.h"
#include "service/gate.h"
#include "verify/finding.h"
#include "verify/scan.h"

struct assay {
	struct conf conf;
	char *state_dir;
	struct log log;
	assay_log_fn log_fn;
	void *log_ctx;
};

exported const char *assay_version(void)
{
	return ASSAY_VERSION;
}

exported const char *assay_result_name(enum assay_result result)
{
	static const char *const names[] = {
		[ASSAY_RESULT_PASS] = "pass",
		[ASSAY_RESULT_FAIL] = "fail",
		[ASSAY_RESULT_UNKNOWN] = "unknown",
	};

	return result < array_size(names) ? names[result] : NULL;
}

exported const char *assay_decision_name(enum assay_decision decision)
{
	static const char *const names[] = {
		[ASSAY_PERMIT] = "permit",
		[ASSAY_DENY] = "deny",
		[ASSAY_UNDETERMINED] = "undetermined",
	};

	return decision < array_size(names) ? names[decision] : NULL;
}

static void pass_on_log(enum log_level level, const char *text, void *ctx)
{
	struct assay *assay = ctx;

	assay->log_fn((int)level, text, assay->log_ctx);
}

exported int assay_open(const struct assay_params *params, struct assay **ret_assay)
{
	if (params->size != sizeof(*params))
		return -EINVAL;
	struct assay *assay = calloc(1, sizeof(*assay));
	if (!assay)
		return -ENOMEM;
	conf_init(&assay->conf);
	if (params->log) {
		assay->log_fn = params->log;
		assay->log_ctx = params->log_ctx;
		assay->log = (struct log){ pass_on_log, assay, LOG_LEVEL_INFO };
	}
	assay->state_dir = strdup(params->state_dir ? params->state_dir : CONF_DEFAULT_STATE);
	int r = assay->state_dir ? conf_read(&assay->conf,
					     params->config_file ? params->config_file
								 : CONF_DEFAULT_FILE,
					     &assay->log)
				 : -ENOMEM;
	if (r) {
		assay_close(assay);
		return r;
	}
	*ret_assay = assay;
	return 0;
}

exported void assay_close(struct assay *assay)
{
	if (!assay)
		return;
	conf_fini(&assay->conf);
	free(assay->state_dir);
	free(assay);
}

struct telling {
	assay_finding_fn fn;
	void *ctx;
};

static char *text_of(struct span s)
{
	return s.len ? span_dup(s) : NULL;
}

static void tell_finding(const struct finding *finding, void *ctx)
{
	struct telling *telling = ctx;
	char *mailbox = text_of(finding->mailbox), *path = text_of(finding->path);
	struct assay_finding public = {
		.verdict = finding->verdict,
		.code = finding->code,
		.store = finding->store,
		.host = finding->host,
		.mailbox = mailbox,
		.uid = finding->uid,
		.path = path,
		.recorded = finding->recorded,
		.observed = finding->observed,
		.advice = finding_advice(finding->code),
		.first_seen_ns = finding->first_seen_ns,
		.last_seen_ns = finding->last_seen_ns,
		.severity = finding->severity,
	};

	if (telling->fn)
		telling->fn(&public, telling->ctx);
	free(mailbox);
	free(path);
}

exported int assay_scan(struct assay *assay, const char *name, assay_finding_fn fn, void *ctx,
			struct assay_scan_summary *summary)
{
	struct telling telling = { fn, ctx };
	struct scan_events events = { .finding = tell_finding, .ctx = &telling };
	struct scan_options options = {
		.settle_ns = assay->conf.policy.settle_ns,
		.readers = assay->conf.policy.readers,
		.digesters = 1,
		.resume_max_age_ns = assay->conf.policy.max_scan_age_ns,
		.limits = {
			.bytes_per_s = assay->conf.policy.scan_bandwidth,
			.ops_per_s = assay->conf.policy.scan_iops,
			.polite = assay->conf.policy.scan_polite,
		},
	};
	struct target target = TARGET_NULL;
	struct state *state = NULL;
	struct run run = { 0 };

	if (summary->size != sizeof(*summary))
		return -EINVAL;
	int r = target_open_named(&target, &assay->conf, name, NULL, &assay->log);
	if (r == 0)
		r = state_open(assay->state_dir, STATE_WRITE, &assay->log, &state);
	if (r == 0)
		r = scan_store(state, &target, &options, &events, &assay->log, &run);
	state_close(state);
	target_fini(&target);
	*summary = (struct assay_scan_summary){
		.size = sizeof(*summary),
		.complete = r == 0 && run.status == RUN_COMPLETE,
		.mailboxes = run.mailboxes,
		.messages = run.messages,
		.bytes = run.bytes,
		.findings = run.findings,
		.in_flight = run.in_flight,
		.gaps = run.gaps,
		.notices = run.notices,
	};
	return r;
}

exported int assay_gate(struct assay *assay, const char *store, const char *host,
			assay_rule_fn fn, void *ctx, enum assay_decision *ret_decision)
{
	const struct copy *replica = conf_find_copy(&assay->conf, store, host);
	struct gate_verdict verdict;

	*ret_decision = ASSAY_UNDETERMINED;
	if (!replica)
		return -ENOENT;
	int r = gate_decide(&assay->conf, conf_find_master(&assay->conf, store), replica,
			    assay->state_dir, &assay->log, &verdict);
	if (r)
		return r;
	for (size_t i = 0; fn && i < GATE_RULE_COUNT_; i++) {
		struct assay_rule rule = {
			.name = gate_rule_name(verdict.rules[i].id),
			.result = verdict.rules[i].result,
			.code = verdict.rules[i].code,
			.summary = buf_str(&verdict.rules[i].summary),
		};
		fn(&rule, ctx);
	}
	*ret_decision = verdict.decision;
	gate_verdict_fini(&verdict);
	return 0;
}

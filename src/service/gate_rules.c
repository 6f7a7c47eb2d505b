/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rules. Each begins as unknown and says pass only at its last line; every early return is a
 * fail or stays unknown.
 */
#include "service/gate_rules.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "replica/channel.h"
#include "state/state.h"
#include "verify/list.h"
#include "verify/target.h"

#define LOOK_INTERVAL (NS_PER_S / 20)

/* ---- role ---- */

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

/* ---- fresh ---- */

/* The names of a map, in order, so that output is the same for the same input. */
static int compare_spans(const void *a, const void *b)
{
	return span_compare(*(const struct span *)a, *(const struct span *)b);
}

static int list_map(struct gate_list *list, const struct map *names)
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

/*
 * Watches the channel until everything that was outstanding at the first look has left every log,
 * or patience ends. `look` is the last look. 0: drained or turned over; FRESH_PENDING; negative
 * errno when a look fails.
 */
enum { FRESH_PENDING = 1 };
static int watch_drain(const struct gate_case *c, const struct imapd_conf *conf,
		       struct channel_look *look)
{
	int64_t until = clock_mono_ns() + c->policy.gate_patience_ns;
	struct map pending = MAP_NULL;
	int r = channel_look(conf, c->replica.channel, look);

	/* One empty look may have fallen between two files: it takes two. */
	bool was_empty = r == 0 && look->nr_lines == 0;
	if (r == 0) {
		pending = look->lines;
		look->lines = MAP_NULL;
		clock_sleep_ns(LOOK_INTERVAL);
		channel_look_fini(look);
		r = channel_look(conf, c->replica.channel, look);
	}
	if (r == 0 && was_empty) {
		map_fini(&pending);
		pending = look->lines;
		look->lines = MAP_NULL;
	} else if (r == 0) {
		r = channel_forget_gone(&pending, look);
	}
	bool overflow = r == 0 && look->overflow;
	while (r == 0 && !overflow && pending.count && clock_mono_ns() < until) {
		clock_sleep_ns(LOOK_INTERVAL);
		channel_look_fini(look);
		r = channel_look(conf, c->replica.channel, look);
		if (r == 0)
			r = channel_forget_gone(&pending, look);
		overflow = r == 0 && look->overflow;
	}
	if (r == 0 && (pending.count || overflow))
		r = FRESH_PENDING;
	map_fini(&pending);
	return r;
}

static void say_pending(const struct gate_case *c, struct gate_rule *rule,
			const struct channel_look *look)
{
	char lag[64], events[32], users[32];

	rule->lag_ns = look->observed_ns - look->oldest_ns;
	rule->lag_is_bound = look->oldest_is_bound || look->overflow;
	text_duration(rule->lag_ns, lag, sizeof(lag));
	text_count(look->nr_lines, events, sizeof(events));
	text_count(look->users.count, users, sizeof(users));
	if (look->oldest_ns == 0 || rule->lag_ns < 0) {
		rule->lag_ns = -1;
		rule_say(rule, ASSAY_RESULT_UNKNOWN, "fresh.clock",
			 "%s events outstanding, and the times of the log make no sense", events);
	} else if (rule->lag_ns > c->policy.max_lag_ns) {
		rule_say(rule, ASSAY_RESULT_FAIL, "fresh.stale",
			 "%s%s behind: %s events of %s users outstanding%s",
			 rule->lag_is_bound ? "at least " : "", lag, events, users,
			 look->torn ? ", the last one cut off" : "");
	} else {
		/* File times say it is young; a requeued event makes them lie. */
		rule_say(rule, ASSAY_RESULT_UNKNOWN, "fresh.busy",
			 "%s events of %s users outstanding and not drained while watched; at least "
			 "%s behind, possibly more: drain the channel and ask again",
			 events, users, lag);
	}
}

static void judge_channel(const struct gate_case *c, const struct imapd_conf *conf,
			  struct gate_rule *rule)
{
	struct channel_look look = CHANNEL_LOOK_NULL;
	int r = watch_drain(c, conf, &look);

	if (r < 0) {
		rule_say(rule, ASSAY_RESULT_UNKNOWN, "fresh.log_unreadable",
			 "the replication log of %s cannot be read: %s", c->master.host, strerror(-r));
		return;
	}
	rule->observed_ns = look.observed_ns;
	rule->nr_events = look.nr_lines;
	if (list_map(&rule->users, look.skipped_users.count ? &look.skipped_users : &look.users) ||
	    list_map(&rule->mailboxes, &look.mailboxes)) {
		rule_say(rule, ASSAY_RESULT_UNKNOWN, "fresh.memory", "out of memory");
	} else if (look.skipped_users.count) {
		rule_say(rule, ASSAY_RESULT_FAIL, "fresh.skipped_users",
			 "%zu users are excluded from replication by skipuser files",
			 look.skipped_users.count);
	} else if (r == FRESH_PENDING) {
		say_pending(c, rule, &look);
	} else {
		rule->lag_ns = 0;
		if (look.nr_lines)
			rule_say(rule, ASSAY_RESULT_PASS, "fresh.turned_over",
				 "every event outstanding at the first look has left the log; %" PRIu64
				 " newer ones are under way",
				 look.nr_lines);
		else
			rule_say(rule, ASSAY_RESULT_PASS, "fresh.drained",
				 "no event outstanding on %s", c->master.host);
	}
	channel_look_fini(&look);
}

void gate_rule_fresh(const struct gate_case *c, struct gate_rule *rule)
{
	struct target master = TARGET_NULL;
	const char *why = NULL;

	if (!c->master.is_configured) {
		rule_say(rule, ASSAY_RESULT_UNKNOWN, "fresh.no_master",
			 "no copy of %s is configured as its master", c->replica.store);
		return;
	}
	int r = target_open(&master, c->master.store, c->master.host, c->master.imapd_conf, &c->log);
	if (r) {
		rule_say(rule, ASSAY_RESULT_UNKNOWN, "fresh.master_unreachable",
			 "the master's copy on %s cannot be reached: %s", c->master.host,
			 strerror(-r));
		return;
	}
	r = channel_check_config(&master.imapd_conf, c->replica.channel, &c->log, &why);
	if (r)
		rule_say(rule, ASSAY_RESULT_UNKNOWN, "fresh.logging_off", "%s: %s", c->master.host,
			 why);
	else
		judge_channel(c, &master.imapd_conf, rule);
	target_fini(&master);
}

/* ---- findings of a copy ---- */

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

static int collect_open_findings(struct state *state, int64_t target, const char *side,
				 struct gate_rule *rule)
{
	struct finding_filter filter = { .target = target, .open_only = true };
	struct finding_collector collector = { rule, side };

	return state_finding_each(state, &filter, collect_finding, &collector);
}

/* "message 3 of user.u001" and what is wrong with it, for the sentence of a rule. */
static void describe_first_finding(const struct gate_rule *rule, char *out, size_t size)
{
	const struct gate_finding *first = &rule->findings[0];
	struct buf name = BUF_NULL;

	text_add_printable(&name, buf_span(&first->mailbox));
	if (first->uid)
		(void)snprintf(out, size, "%s: message %" PRIu32 " of %s", first->verdict, first->uid,
			       buf_str(&name));
	else
		(void)snprintf(out, size, "%s: %s of %s", first->verdict, first->code,
			       name.len ? buf_str(&name) : "the store");
	buf_fini(&name);
}

/* ---- complete ---- */

/* The mailboxes of a copy: "id NUL name" and "id" of each that is not deleted. */
struct held {
	struct map ids;
	struct map ids_and_names;
	const char *deleted_prefix;
	bool not_understood;
};

static int entry_key(struct buf *key, const struct mailbox_entry *entry, bool with_name)
{
	buf_clear(key);
	buf_add_span(key, buf_span(entry->unique_id.len ? &entry->unique_id : &entry->name));
	if (with_name) {
		buf_add_char(key, '\0');
		buf_add_span(key, buf_span(&entry->name));
	}
	return buf_error(key);
}

static int hold_entry(const struct mailbox_entry *entry, struct span db_key, bool restart, void *ctx)
{
	struct held *held = ctx;
	struct buf key = BUF_NULL;

	(void)db_key;
	if (restart) {
		map_fini(&held->ids);
		map_fini(&held->ids_and_names);
	}
	if (!entry) {
		held->not_understood = true;
		return 0;
	}
	if (mailbox_name_is_deleted(buf_span(&entry->name), held->deleted_prefix))
		return 0;
	int r = entry_key(&key, entry, false);
	if (r == 0)
		r = map_put(&held->ids, buf_span(&key), 0);
	if (r >= 0)
		r = entry_key(&key, entry, true);
	if (r == 0)
		r = map_put(&held->ids_and_names, buf_span(&key), 0);
	buf_fini(&key);
	return r < 0 ? r : 0;
}

static void held_fini(struct held *held)
{
	map_fini(&held->ids);
	map_fini(&held->ids_and_names);
}

static int hold_all(const struct imapd_conf *conf, struct held *held)
{
	*held = (struct held){ .deleted_prefix = imapd_conf_get(conf, "deletedprefix", "DELETED") };
	int r = list_walk(conf, hold_entry, held);
	if (r == 0 && held->not_understood)
		r = -EBADMSG;
	return r;
}

struct difference {
	struct map missing; /* internal names of mailboxes that the replica does not hold */
	struct map renamed; /* held there under another name */
	struct map users;   /* of both */
	uint64_t nr_held;
};

static void difference_fini(struct difference *d)
{
	map_fini(&d->missing);
	map_fini(&d->renamed);
	map_fini(&d->users);
}

/* One comparison of the two lists. */
static int compare_lists(const struct target *master, const struct target *replica,
			 struct difference *d)
{
	struct held wanted, there;
	struct map_cursor cursor = { 0 };
	struct buf user = BUF_NULL;
	struct span key;
	int r = hold_all(&master->imapd_conf, &wanted);

	there = (struct held){ 0 };
	if (r == 0)
		r = hold_all(&replica->imapd_conf, &there);
	*d = (struct difference){ .nr_held = there.ids.count };
	while (r >= 0 && map_next(&wanted.ids_and_names, &cursor, &key, NULL)) {
		uint64_t id_len = span_find(key, '\0');
		struct span id = span_of(key.data, id_len);
		struct span name = span_of(key.data + id_len + 1, key.len - id_len - 1);
		if (map_get(&there.ids_and_names, key, NULL))
			continue;
		r = map_put(map_get(&there.ids, id, NULL) ? &d->renamed : &d->missing, name, 0);
		buf_clear(&user);
		if (r >= 0 && mailbox_name_add_user(&user, name, wanted.deleted_prefix))
			r = buf_error(&user) ? -ENOMEM : map_put(&d->users, buf_span(&user), 0);
	}
	buf_fini(&user);
	held_fini(&wanted);
	held_fini(&there);
	return r < 0 ? r : 0;
}

/* Compares until the lists agree or patience ends: a mailbox may be on its way. */
static int compare_patiently(const struct gate_case *c, const struct target *master,
			     const struct target *replica, struct difference *d)
{
	int64_t until = clock_mono_ns() + c->policy.gate_patience_ns;
	int r;

	for (;;) {
		r = compare_lists(master, replica, d);
		if (r || (d->missing.count == 0 && d->renamed.count == 0) ||
		    clock_mono_ns() >= until)
			return r;
		difference_fini(d);
		clock_sleep_ns(NS_PER_S / 4);
	}
}

/* Open findings on the master: then what the replica must hold cannot be told from it. */
static int find_master_damage(const struct gate_case *c, const struct target *master,
			      struct gate_rule *rule)
{
	struct state *state = NULL;
	int64_t target = 0;
	int r = state_open(c->state_dir, STATE_READ, &c->log, &state);

	if (r == 0)
		r = state_target_find(state, master->key, &target);
	if (r == 0)
		r = collect_open_findings(state, target, c->master.host, rule);
	state_close(state);
	return r == -ENOENT ? 0 : r; /* a master need not have been scanned */
}

static void say_difference(const struct gate_case *c, struct gate_rule *rule,
			   const struct difference *d)
{
	bool missing = d->missing.count > 0;

	if (list_map(&rule->mailboxes, missing ? &d->missing : &d->renamed) ||
	    list_map(&rule->users, &d->users))
		rule_say(rule, ASSAY_RESULT_UNKNOWN, "complete.memory", "out of memory");
	else if (missing)
		rule_say(rule, ASSAY_RESULT_FAIL, "complete.missing_mailbox",
			 "%zu mailboxes of %zu users exist only on %s", d->missing.count,
			 d->users.count, c->master.host);
	else
		rule_say(rule, ASSAY_RESULT_FAIL, "complete.renamed_mailbox",
			 "%zu mailboxes of %zu users still have another name than on %s",
			 d->renamed.count, d->users.count, c->master.host);
}

static void judge_complete(const struct gate_case *c, const struct target *master,
			   const struct target *replica, struct gate_rule *rule)
{
	struct difference d = { 0 };
	char first[512];
	int r = compare_patiently(c, master, replica, &d);

	rule->observed_ns = clock_wall_ns();
	if (r) {
		rule_say(rule, ASSAY_RESULT_UNKNOWN, "complete.list_unreadable",
			 "a list of mailboxes cannot be read: %s",
			 r == -EBADMSG ? "it is damaged or not understood" : strerror(-r));
	} else if (d.missing.count || d.renamed.count) {
		say_difference(c, rule, &d);
	} else {
		r = find_master_damage(c, master, rule);
		if (r)
			rule_say(rule, ASSAY_RESULT_UNKNOWN, "complete.state_unreadable",
				 "what is known about the master's copy cannot be read: %s",
				 strerror(-r));
		else if (rule->total_findings) {
			describe_first_finding(rule, first, sizeof(first));
			rule_say(rule, ASSAY_RESULT_FAIL, "complete.master_damaged",
				 "the master's copy has %" PRIu64
				 " open findings (%s): whether the replica holds what it lost is not "
				 "known until the two are compared",
				 rule->total_findings, first);
		} else
			rule_say(rule, ASSAY_RESULT_PASS, "complete.all_mailboxes",
				 "all %" PRIu64 " mailboxes that %s lists are there", d.nr_held,
				 c->master.host);
	}
	difference_fini(&d);
}

void gate_rule_complete(const struct gate_case *c, struct gate_rule *rule)
{
	struct target master = TARGET_NULL, replica = TARGET_NULL;
	int r = c->master.is_configured ? 0 : -ENOENT;

	if (r == 0)
		r = target_open(&master, c->master.store, c->master.host, c->master.imapd_conf,
				&c->log);
	if (r == 0)
		r = target_open(&replica, c->replica.store, c->replica.host, c->replica.imapd_conf,
				&c->log);
	if (r)
		rule_say(rule, ASSAY_RESULT_UNKNOWN, "complete.unreachable",
			 "master and replica cannot both be reached: %s", strerror(-r));
	else
		judge_complete(c, &master, &replica, rule);
	target_fini(&master);
	target_fini(&replica);
}

/* ---- intact ---- */

static void judge_coverage(const struct gate_case *c, struct state *state, const struct run *run,
			   struct gate_rule *rule)
{
	char age[64], max[64], bytes[32];
	int64_t oldest = 0;
	uint64_t total = 0;
	int r = state_coverage(state, run->target, run->id, &oldest, &total);
	int64_t age_ns = clock_wall_ns() - oldest;

	text_duration(age_ns, age, sizeof(age));
	text_duration(c->policy.max_scan_age_ns, max, sizeof(max));
	text_bytes(total, bytes, sizeof(bytes));
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
			 "%s in %" PRIu64 " mailboxes verified %s ago, nothing found%s", bytes,
			 run->mailboxes, age,
			 run->buffered ? " (partly read through the page cache)" : "");
}

static void judge_runs(const struct gate_case *c, struct state *state, int64_t target,
		       struct gate_rule *rule)
{
	char first[512];
	struct run run;
	int r = collect_open_findings(state, target, c->replica.host, rule);

	if (r) {
		rule_say(rule, ASSAY_RESULT_UNKNOWN, "intact.state_unreadable",
			 "the findings cannot be read: %s", strerror(-r));
		return;
	}
	if (rule->total_findings) {
		describe_first_finding(rule, first, sizeof(first));
		rule->observed_ns = rule->findings[0].last_seen_ns;
		rule_say(rule, ASSAY_RESULT_FAIL, "intact.findings",
			 "%" PRIu64 " open findings, the first %s", rule->total_findings, first);
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

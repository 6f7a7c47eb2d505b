/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fresh: is the replica within max_lag of its master? Judged by what is outstanding in the master's
 * replication log. A log that drains, or turns over, while it is watched is proof; the times of its
 * files are not, because an event that is put back into the log again and again keeps it young.
 */
#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "replica/channel.h"
#include "service/gate_rules.h"
#include "verify/target.h"

#define LOOK_INTERVAL (NS_PER_S / 20)

/*
 * The first look that can be counted from: one without a torn last line, whose event could not be
 * recognised later. A writer finishes its line within milliseconds.
 */
static int first_look(const struct gate_case *c, const struct imapd_conf *conf, int64_t until,
		      struct channel_look *look)
{
	int r = channel_look(conf, c->replica.channel, look);

	while (r == 0 && look->torn && clock_mono_ns() < until) {
		clock_sleep_ns(LOOK_INTERVAL);
		channel_look_fini(look);
		r = channel_look(conf, c->replica.channel, look);
	}
	return r;
}

static int next_look(const struct gate_case *c, const struct imapd_conf *conf,
		     struct channel_look *look)
{
	clock_sleep_ns(LOOK_INTERVAL);
	channel_look_fini(look);
	return channel_look(conf, c->replica.channel, look);
}

/*
 * Watches the channel until everything that was outstanding at the first look has left every log,
 * or patience ends. An empty log must be seen empty twice: one look may have fallen between two
 * files. `look` is the last look. 0: drained or turned over; FRESH_PENDING; negative errno when a
 * look fails.
 */
enum { FRESH_PENDING = 1 };
static int watch_drain(const struct gate_case *c, const struct imapd_conf *conf,
		       struct channel_look *look)
{
	int64_t until = clock_mono_ns() + c->policy.gate_patience_ns;
	struct map pending = MAP_NULL;
	int r = first_look(c, conf, until, look);
	/* What could not be held, or not be recognised, cannot be seen to leave. */
	bool countable = r == 0 && !look->overflow && !look->torn;

	for (int looks = 1; r == 0 && countable; looks++) {
		if (looks == 1 || (looks == 2 && pending.count == 0 && look->nr_lines)) {
			map_fini(&pending);
			pending = look->lines;
			look->lines = MAP_NULL;
		} else {
			r = channel_forget_gone(&pending, look);
		}
		if (r || (looks > 1 && pending.count == 0) || (looks > 1 && clock_mono_ns() >= until))
			break;
		r = next_look(c, conf, look);
	}
	if (r == 0 && (pending.count || !countable))
		r = FRESH_PENDING;
	map_fini(&pending);
	return r;
}

static void say_pending(const struct gate_case *c, struct gate_rule *rule,
			const struct channel_look *look)
{
	char lag[64], events[48], users[48];

	rule->lag_ns = look->observed_ns - look->oldest_ns;
	rule->lag_is_bound = look->oldest_is_bound || look->overflow;
	text_duration(rule->lag_ns, lag, sizeof(lag));
	text_counted(look->nr_lines, "event", events, sizeof(events));
	text_counted(look->users.count, "user", users, sizeof(users));
	if (look->oldest_ns == 0 || rule->lag_ns < 0) {
		rule->lag_ns = -1;
		rule_say(rule, ASSAY_RESULT_UNKNOWN, "fresh.clock",
			 "%s outstanding, and the times of the log make no sense", events);
	} else if (rule->lag_ns > c->policy.max_lag_ns) {
		rule_say(rule, ASSAY_RESULT_FAIL, "fresh.stale",
			 "%s%s behind: %s outstanding, of %s%s",
			 rule->lag_is_bound ? "at least " : "", lag, events, users,
			 look->torn ? ", the last one cut off" : "");
	} else {
		/* File times say it is young; a requeued event makes them lie. */
		rule_say(rule, ASSAY_RESULT_UNKNOWN, "fresh.busy",
			 "%s outstanding, of %s, and not drained while watched; at least "
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
	if (gate_list_map(&rule->users, look.skipped_users.count ? &look.skipped_users : &look.users) ||
	    gate_list_map(&rule->mailboxes, &look.mailboxes)) {
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

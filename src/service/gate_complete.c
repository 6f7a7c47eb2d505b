/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Complete: does the replica hold every mailbox that the master lists, and has each of them come as
 * far as the master's? The replication log cannot tell: an event that was lost leaves no trace in
 * it. So the two lists are compared by unique id, and the headers of the two indexes by UIDVALIDITY
 * and last UID. Deleted mailboxes, which each side purges for itself, do not count.
 *
 * A difference may be on its way. It is looked at again until it is gone or patience ends. A mailbox
 * that keeps growing has caught up when the replica is where the master was at the first look.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "service/gate_rules.h"
#include "verify/list.h"
#include "verify/mailbox.h"
#include "verify/target.h"

#define LOOK_INTERVAL (NS_PER_S / 4)
#define PARTITIONS_MAX 256

/* The mailboxes of a copy: where each lies, by "id" and by "id NUL name". */
struct held {
	const char *deleted_prefix;
	struct map ids; /* to partition number * 2 + legacy directories */
	struct map ids_and_names;
	struct buf partitions[PARTITIONS_MAX];
	size_t nr_partitions;
};

struct comparison {
	const struct target *master, *replica;
	struct held there; /* of the replica */
	struct map missing; /* internal names of mailboxes that the replica does not hold */
	struct map renamed; /* held there under another name */
	struct map behind;  /* held there with fewer messages; to the last UID that is wanted */
	struct map unclear; /* an index of one side cannot be read */
	struct map users;   /* of all of them */
	const struct map *only; /* NULL, or the names to look at again, to the last UID wanted or 0 */
	uint64_t nr_wanted;
};

static void held_fini(struct held *held)
{
	map_fini(&held->ids);
	map_fini(&held->ids_and_names);
	for (size_t i = 0; i < held->nr_partitions; i++)
		buf_fini(&held->partitions[i]);
	held->nr_partitions = 0;
}

static void comparison_clear(struct comparison *c)
{
	map_fini(&c->missing);
	map_fini(&c->renamed);
	map_fini(&c->behind);
	map_fini(&c->unclear);
	map_fini(&c->users);
	c->nr_wanted = 0;
}

static size_t comparison_differences(const struct comparison *c)
{
	return c->missing.count + c->renamed.count + c->behind.count + c->unclear.count;
}

static struct span entry_id(const struct mailbox_entry *entry)
{
	return buf_span(entry->unique_id.len ? &entry->unique_id : &entry->name);
}

static int entry_id_and_name(struct buf *key, const struct mailbox_entry *entry)
{
	buf_add_span(key, entry_id(entry));
	buf_add_char(key, '\0');
	buf_add_span(key, buf_span(&entry->name));
	return buf_error(key);
}

/* The number of a partition name, noted when it is new. -E2BIG, -ENOMEM. */
static int held_partition(struct held *held, struct span name, uint64_t *ret_nr)
{
	size_t nr = 0;

	while (nr < held->nr_partitions && !span_equals(buf_span(&held->partitions[nr]), name))
		nr++;
	if (nr == PARTITIONS_MAX)
		return -E2BIG;
	if (nr == held->nr_partitions) {
		held->partitions[nr] = BUF_NULL;
		buf_add_span(&held->partitions[nr], name);
		held->nr_partitions++;
	}
	*ret_nr = nr;
	return buf_error(&held->partitions[nr]);
}

static int hold_entry(const struct mailbox_entry *entry, struct span db_key, bool restart, void *ctx)
{
	struct held *held = ctx;
	struct buf key = BUF_NULL;
	uint64_t partition;

	(void)db_key;
	if (restart)
		held_fini(held);
	if (!entry)
		return -EBADMSG;
	if (mailbox_name_is_deleted(buf_span(&entry->name), held->deleted_prefix))
		return 0;
	int r = held_partition(held, buf_span(&entry->partition), &partition);
	if (r == 0)
		r = map_put(&held->ids, entry_id(entry), partition * 2 + entry->legacy_dirs);
	if (r >= 0)
		r = entry_id_and_name(&key, entry);
	if (r == 0)
		r = map_put(&held->ids_and_names, buf_span(&key), 0);
	buf_fini(&key);
	return r < 0 ? r : 0;
}

/* ---- one mailbox ---- */

/* Reads the header of an index. Negative errno, -EBADMSG for an index that cannot be used. */
static int read_header(const struct imapd_conf *conf, const struct mailbox_row *row,
		       struct index_header *ret_header)
{
	struct mailbox_index ix = MAILBOX_INDEX_NULL;
	struct mailbox *mailbox = NULL;
	int r = mailbox_new(conf, NULL, row, &mailbox);

	if (r)
		return r;
	r = mailbox_open_dirs(mailbox);
	if (r == 0)
		r = mailbox_index_open(&ix, mailbox);
	if (r == 0 && ix.state != INDEX_GOOD)
		r = -EBADMSG;
	if (r == 0)
		*ret_header = ix.header;
	mailbox_index_close(&ix);
	mailbox_unref(mailbox);
	return r;
}

/*
 * Is the replica's copy of a mailbox behind the master's? *wanted is the last UID that it must have
 * reached: the master's, unless an earlier look has set it. Negative errno when one of the two
 * cannot be read.
 */
enum { IN_STEP = 0, IS_BEHIND = 1 };
static int compare_headers(struct comparison *c, const struct mailbox_entry *entry, uint64_t place,
			   uint64_t *wanted)
{
	struct index_header mine, theirs;
	struct mailbox_row row = {
		.key = entry_id(entry),
		.name = buf_span(&entry->name),
		.partition = buf_span(&entry->partition),
		.legacy_dirs = entry->legacy_dirs,
		.has_unique_id = entry->unique_id.len > 0,
	};
	int r = read_header(&c->master->imapd_conf, &row, &mine);

	if (r)
		return r;
	row.partition = buf_span(&c->there.partitions[place / 2]);
	row.legacy_dirs = place % 2;
	r = read_header(&c->replica->imapd_conf, &row, &theirs);
	if (r)
		return r;
	if (*wanted == 0)
		*wanted = mine.last_uid;
	bool behind = theirs.uidvalidity != mine.uidvalidity || theirs.last_uid < *wanted;
	return behind ? IS_BEHIND : IN_STEP;
}

static int note_difference(struct comparison *c, struct map *kind, struct span name,
			   uint64_t wanted)
{
	struct buf user = BUF_NULL;
	int r = map_put(kind, name, wanted);

	if (r >= 0 && mailbox_name_add_user(&user, name, c->there.deleted_prefix))
		r = buf_error(&user) ? -ENOMEM : map_put(&c->users, buf_span(&user), 0);
	buf_fini(&user);
	return r < 0 ? r : 0;
}

static int compare_entry(const struct mailbox_entry *entry, struct span db_key, bool restart,
			 void *ctx)
{
	struct comparison *c = ctx;
	struct buf key = BUF_NULL;
	uint64_t place, wanted = 0;

	(void)db_key;
	if (restart)
		comparison_clear(c);
	if (!entry)
		return -EBADMSG;
	struct span name = buf_span(&entry->name);
	if (mailbox_name_is_deleted(name, c->there.deleted_prefix))
		return 0;
	c->nr_wanted++;
	if (c->only && !map_get(c->only, name, &wanted))
		return 0;
	if (!map_get(&c->there.ids, entry_id(entry), &place))
		return note_difference(c, &c->missing, name, 0);
	int r = entry_id_and_name(&key, entry);
	bool same_name = r == 0 && map_get(&c->there.ids_and_names, buf_span(&key), NULL);
	buf_fini(&key);
	if (r)
		return r;
	if (!same_name)
		return note_difference(c, &c->renamed, name, 0);
	r = compare_headers(c, entry, place, &wanted);
	if (r == IN_STEP || r == -ENOMEM)
		return r;
	/* One that cannot be read may be on its way in or out; it is looked at again. */
	return note_difference(c, r == IS_BEHIND ? &c->behind : &c->unclear, name, wanted);
}

/* ---- the whole ---- */

static int compare_once(struct comparison *c)
{
	held_fini(&c->there);
	comparison_clear(c);
	int r = list_walk(&c->replica->imapd_conf, NULL, hold_entry, &c->there);
	if (r == 0)
		r = list_walk(&c->master->imapd_conf, NULL, compare_entry, c);
	return r;
}

/* Names that differ, to be looked at once more. */
static int names_that_differ(const struct comparison *c, struct map *names)
{
	const struct map *kinds[] = { &c->missing, &c->renamed, &c->behind, &c->unclear };
	int r = 0;

	for (size_t i = 0; i < array_size(kinds); i++) {
		struct map_cursor cursor = { 0 };
		struct span name;
		uint64_t wanted;
		while (r >= 0 && map_next(kinds[i], &cursor, &name, &wanted))
			r = map_put(names, name, wanted);
	}
	return r < 0 ? r : 0;
}

/* Compares until nothing differs or patience ends. */
static int compare_patiently(const struct gate_case *gate, struct comparison *c)
{
	int64_t until = clock_mono_ns() + gate->policy.gate_patience_ns;
	int r = compare_once(c);

	while (r == 0 && comparison_differences(c) && clock_mono_ns() < until) {
		struct map names = MAP_NULL;
		r = names_that_differ(c, &names);
		c->only = &names;
		clock_sleep_ns(LOOK_INTERVAL);
		if (r == 0)
			r = compare_once(c);
		c->only = NULL;
		map_fini(&names);
	}
	return r;
}

static void say_difference(const struct gate_case *gate, struct gate_rule *rule,
			   const struct comparison *c)
{
	const struct {
		const struct map *names;
		enum assay_result result;
		const char *code;
		const char *what;
	} kinds[] = {
		{ &c->missing, ASSAY_RESULT_FAIL, "complete.missing_mailbox", "that exist only on" },
		{ &c->renamed, ASSAY_RESULT_FAIL, "complete.renamed_mailbox",
		  "that have another name there than on" },
		{ &c->behind, ASSAY_RESULT_FAIL, "complete.messages_missing",
		  "that lack messages of" },
		{ &c->unclear, ASSAY_RESULT_UNKNOWN, "complete.index_unreadable",
		  "with an index that cannot be read there or on" },
	};

	for (size_t i = 0; i < array_size(kinds); i++) {
		if (kinds[i].names->count == 0)
			continue;
		if (gate_list_map(&rule->mailboxes, kinds[i].names) ||
		    gate_list_map(&rule->users, &c->users))
			rule_say(rule, ASSAY_RESULT_UNKNOWN, "complete.memory", "out of memory");
		else
			rule_say(rule, kinds[i].result, kinds[i].code,
				 "mailboxes %s %s: %zu (users concerned by all differences: %zu)",
				 kinds[i].what, gate->master.host, kinds[i].names->count,
				 c->users.count);
		return;
	}
}

/* Open findings on the master: then what the replica must hold cannot be told from it. */
static int find_master_damage(const struct gate_case *gate, const struct target *master,
			      struct gate_rule *rule)
{
	struct state *state = NULL;
	int64_t target = 0;
	int r = state_open(gate->state_dir, STATE_READ, &gate->log, &state);

	if (r == 0)
		r = state_target_find(state, master->key, &target);
	if (r == 0)
		r = rule_collect_findings(state, target, gate->master.host, rule);
	state_close(state);
	return r == -ENOENT ? 0 : r; /* a master need not have been scanned */
}

static void say_master_damage(struct gate_rule *rule)
{
	char first[512];

	rule_describe_finding(rule, first, sizeof(first));
	rule_say(rule, ASSAY_RESULT_FAIL, "complete.master_damaged",
		 "open findings on the master's copy: %" PRIu64 " (%s); whether the replica holds what "
		 "it lost is not known until the two are compared",
		 rule->total_findings, first);
}

static void judge_complete(const struct gate_case *gate, struct comparison *c,
			   struct gate_rule *rule)
{
	int r = compare_patiently(gate, c);
	size_t differences = comparison_differences(c);

	rule->observed_ns = clock_wall_ns();
	if (r == 0 && differences > c->unclear.count) {
		say_difference(gate, rule, c);
		return;
	}
	int damage = find_master_damage(gate, c->master, rule);
	if (damage)
		rule_say(rule, ASSAY_RESULT_UNKNOWN, "complete.state_unreadable",
			 "what is known about the master's copy cannot be read: %s",
			 strerror(-damage));
	else if (rule->total_findings) /* it may also be why the two cannot be compared */
		say_master_damage(rule);
	else if (r)
		rule_say(rule, ASSAY_RESULT_UNKNOWN, "complete.unreadable",
			 "the two copies cannot be compared: %s",
			 r == -EBADMSG ? "a list of mailboxes is damaged or not understood"
				       : strerror(-r));
	else if (differences)
		say_difference(gate, rule, c);
	else
		rule_say(rule, ASSAY_RESULT_PASS, "complete.all_mailboxes",
			 "all %" PRIu64 " mailboxes that %s lists are there, each as far as there",
			 c->nr_wanted, gate->master.host);
}

void gate_rule_complete(const struct gate_case *gate, struct gate_rule *rule)
{
	struct target master = TARGET_NULL, replica = TARGET_NULL;
	int r = gate->master.is_configured ? 0 : -ENOENT;

	if (r == 0)
		r = target_open(&master, gate->master.store, gate->master.host,
				gate->master.imapd_conf, &gate->log);
	if (r == 0)
		r = target_open(&replica, gate->replica.store, gate->replica.host,
				gate->replica.imapd_conf, &gate->log);
	if (r) {
		rule_say(rule, ASSAY_RESULT_UNKNOWN, "complete.unreachable",
			 "master and replica cannot both be reached: %s", strerror(-r));
	} else {
		struct comparison c = {
			.master = &master,
			.replica = &replica,
			.there.deleted_prefix = imapd_conf_get(&master.imapd_conf, "deletedprefix",
							       "DELETED"),
		};
		judge_complete(gate, &c, rule);
		comparison_clear(&c);
		held_fini(&c.there);
	}
	target_fini(&master);
	target_fini(&replica);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Verdict first, then the reasons, then what to do; numbers with units and ages.
 */
#include "cli/output.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "cli/cmd.h"
#include "verify/finding.h"

/* ---- JSON ---- */

static json_t *must_have(json_t *value)
{
	if (!value) {
		(void)fprintf(stderr, "assay: out of memory\n");
		exit(STATUS_GAP);
	}
	return value;
}

void output_set(json_t *object, const char *key, json_t *value)
{
	if (json_object_set_new(object, key, must_have(value)))
		(void)must_have(NULL);
}

json_t *output_object(const char *type)
{
	json_t *object = must_have(json_object());

	output_set_str(object, "type", type);
	output_set_int(object, "schema_version", OUTPUT_SCHEMA_VERSION);
	return object;
}

void output_set_int(json_t *object, const char *key, int64_t value)
{
	output_set(object, key, json_integer(value));
}

void output_set_bool(json_t *object, const char *key, bool value)
{
	output_set(object, key, json_boolean(value));
}

void output_set_str(json_t *object, const char *key, const char *value)
{
	if (value)
		output_set_bytes(object, key, span_of_str(value));
	else
		output_set(object, key, json_null());
}

static json_t *json_of_bytes(struct span value)
{
	struct buf text = BUF_NULL;
	json_t *json;

	if (text_is_utf8(value))
		return json_stringn(value.len ? (const char *)value.data : "", value.len);
	text_add_printable(&text, value);
	json = buf_error(&text) ? NULL : json_stringn(buf_str(&text), text.len);
	buf_fini(&text);
	return json;
}

void output_set_bytes(json_t *object, const char *key, struct span value)
{
	struct buf text = BUF_NULL, name = BUF_NULL;

	output_set(object, key, json_of_bytes(value));
	if (text_is_utf8(value))
		return;
	text_add_base64(&text, value);
	buf_addf(&name, "%s_base64", key);
	if (buf_error(&text) || buf_error(&name))
		(void)must_have(NULL);
	output_set(object, buf_str(&name), json_string(buf_str(&text)));
	buf_fini(&text);
	buf_fini(&name);
}

void output_set_time(json_t *object, const char *key, int64_t wall_ns)
{
	char text[32];

	if (wall_ns)
		output_set_str(object, key, text_time(wall_ns, text, sizeof(text)));
	else
		output_set(object, key, json_null());
}

void output_line(json_t *object)
{
	if (json_dumpf(object, stdout, JSON_COMPACT) == 0)
		(void)fputc('\n', stdout);
	json_decref(object);
}

/*
 * What of a file its disk cannot give, from the form that state keeps: "DISK;OFF LEN LBA
 * ERROR;...".
 */
static json_t *json_of_sectors(const char *text)
{
	json_t *array = must_have(json_array());
	char disk[256] = "", lba[32], error[32];
	uint64_t off, len;

	if (sscanf(text, "%255[^;]", disk) != 1 || strcmp(disk, "-") == 0)
		*disk = '\0';
	for (text = strchr(text, ';'); text; text = strchr(text + 1, ';')) {
		if (sscanf(text, ";%" SCNu64 " %" SCNu64 " %31s %31[^;]", &off, &len, lba, error) != 4)
			break;
		json_t *object = must_have(json_object());
		output_set_int(object, "offset", (int64_t)off);
		output_set_int(object, "length", (int64_t)len);
		output_set_str(object, "disk", *disk ? disk : NULL);
		output_set(object, "lba",
			   strcmp(lba, "-") == 0 ? json_null()
						 : json_integer((int64_t)strtoull(lba, NULL, 10)));
		output_set_str(object, "error", error);
		if (json_array_append_new(array, object))
			(void)must_have(NULL);
	}
	return array;
}

json_t *output_finding(const struct finding *finding)
{
	json_t *object = output_object("finding");

	output_set_int(object, "id", finding->id);
	output_set_str(object, "verdict", assay_verdict_name(finding->verdict));
	output_set_str(object, "severity", assay_severity_name(finding->severity));
	output_set_str(object, "code", finding->code);
	output_set_str(object, "store", finding->store);
	output_set_str(object, "host", finding->host);
	output_set_bytes(object, "mailbox", finding->mailbox);
	output_set_bytes(object, "unique_id", finding->mailbox_key);
	output_set_str(object, "object", finding->object);
	output_set(object, "uid", finding->uid ? json_integer(finding->uid) : json_null());
	output_set(object, "record", finding->record ? json_integer(finding->record) : json_null());
	output_set_bytes(object, "path", finding->path);
	output_set_str(object, "recorded", finding->recorded);
	output_set_str(object, "observed", finding->observed);
	output_set_str(object, "detail", finding->detail);
	output_set(object, "sectors",
		   finding->sectors ? json_of_sectors(finding->sectors) : json_null());
	output_set_str(object, "advice", finding_advice(finding->code));
	output_set_time(object, "first_seen", finding->first_seen_ns);
	output_set_time(object, "last_seen", finding->last_seen_ns);
	output_set_str(object, "state", finding->closed_ns ? "closed" : "open");
	output_set_time(object, "closed", finding->closed_ns);
	output_set_str(object, "resolution", finding->resolution);
	return object;
}

static json_t *json_of_list(const struct gate_list *list)
{
	json_t *array = must_have(json_array());

	for (size_t i = 0; i < list->nr; i++)
		if (json_array_append_new(array, must_have(json_of_bytes(buf_span(&list->items[i])))))
			(void)must_have(NULL);
	return array;
}

static json_t *json_of_gate_finding(const struct gate_finding *finding)
{
	json_t *object = must_have(json_object());

	output_set_str(object, "verdict", finding->verdict);
	output_set_str(object, "severity", assay_severity_name(finding->severity));
	output_set_str(object, "code", finding->code);
	output_set_str(object, "host", finding->side);
	output_set_bytes(object, "mailbox", buf_span(&finding->mailbox));
	output_set(object, "uid", finding->uid ? json_integer(finding->uid) : json_null());
	output_set_bytes(object, "path", buf_span(&finding->path));
	output_set_time(object, "first_seen", finding->first_seen_ns);
	output_set_time(object, "last_seen", finding->last_seen_ns);
	return object;
}

static json_t *json_of_rule(const struct gate_rule *rule, int64_t decided_ns)
{
	json_t *object = must_have(json_object());
	json_t *findings = must_have(json_array());

	output_set_str(object, "rule", gate_rule_name(rule->id));
	output_set_str(object, "result", assay_result_name(rule->result));
	output_set_str(object, "code", rule->code);
	output_set_str(object, "summary", buf_str(&rule->summary));
	output_set_time(object, "observed_at", rule->observed_ns);
	output_set(object, "evidence_age_s",
		   rule->observed_ns ? json_real((double)(decided_ns - rule->observed_ns) / 1e9)
				     : json_null());
	if (rule->id == GATE_FRESH) {
		output_set(object, "lag_s",
			   rule->lag_ns >= 0 ? json_real((double)rule->lag_ns / 1e9) : json_null());
		output_set_bool(object, "lag_is_lower_bound", rule->lag_is_bound);
		output_set_int(object, "events", (int64_t)rule->nr_events);
	}
	output_set(object, "users", json_of_list(&rule->users));
	output_set_int(object, "users_total", (int64_t)rule->users.total);
	output_set(object, "mailboxes", json_of_list(&rule->mailboxes));
	output_set_int(object, "mailboxes_total", (int64_t)rule->mailboxes.total);
	for (size_t i = 0; i < rule->nr_findings; i++)
		if (json_array_append_new(findings, json_of_gate_finding(&rule->findings[i])))
			(void)must_have(NULL);
	output_set(object, "findings", findings);
	output_set_int(object, "findings_total", (int64_t)rule->total_findings);
	return object;
}

json_t *output_gate(const char *store, const char *host, const struct gate_verdict *verdict)
{
	json_t *object = output_object("gate");
	json_t *rules = must_have(json_array());

	output_set_str(object, "decision", assay_decision_name(verdict->decision));
	output_set_str(object, "store", store);
	output_set_str(object, "to", host);
	output_set_time(object, "decided_at", verdict->decided_ns);
	output_set(object, "took_ms", json_real((double)verdict->took_ns / 1e6));
	for (size_t i = 0; i < GATE_RULE_COUNT_; i++)
		if (json_array_append_new(rules, json_of_rule(&verdict->rules[i],
							      verdict->decided_ns)))
			(void)must_have(NULL);
	output_set(object, "rules", rules);
	return object;
}

/* ---- text ---- */

static void print_field(FILE *to, const char *name, const char *value)
{
	if (value && *value)
		(void)fprintf(to, "  %-9s %s\n", name, value);
}

static void print_upper(FILE *to, const char *word)
{
	for (; *word; word++)
		(void)fputc(toupper((unsigned char)*word), to);
}

/* Most are critical, which goes without saying: who reads them at night shall see what is not. */
void output_print_finding(FILE *to, const struct finding *finding)
{
	struct buf mailbox = BUF_NULL, path = BUF_NULL;
	char first[32], last[32];

	text_add_printable(&mailbox, finding->mailbox);
	text_add_printable(&path, finding->path);
	print_upper(to, assay_verdict_name(finding->verdict));
	if (finding->severity != ASSAY_SEVERITY_CRITICAL)
		(void)fprintf(to, " (%s)", assay_severity_name(finding->severity));
	(void)fprintf(to, "  %s@%s", finding->store, finding->host);
	if (mailbox.len)
		(void)fprintf(to, "  %s", buf_str(&mailbox));
	if (finding->record)
		(void)fprintf(to, "  record %" PRIu32, finding->record);
	if (finding->uid)
		(void)fprintf(to, "  %s %" PRIu32, finding->record ? "uid" : "message", finding->uid);
	(void)fprintf(to, "  [%s", finding->code);
	if (finding->id)
		(void)fprintf(to, ", finding %" PRId64, finding->id);
	(void)fprintf(to, "]\n");
	print_field(to, "path", buf_str(&path));
	print_field(to, "recorded", finding->recorded);
	print_field(to, "observed", finding->observed);
	print_field(to, "detail", finding->detail);
	(void)fprintf(to, "  %-9s first %s, last %s\n", "seen",
		      text_time(finding->first_seen_ns, first, sizeof(first)),
		      text_time(finding->last_seen_ns, last, sizeof(last)));
	if (finding->closed_ns)
		(void)fprintf(to, "  %-9s %s, %s\n", "closed",
			      text_time(finding->closed_ns, last, sizeof(last)), finding->resolution);
	else
		print_field(to, "to do", finding_advice(finding->code));
	buf_fini(&mailbox);
	buf_fini(&path);
}

/* "u001 u002 and 210 more": a few names of a list. */
static void print_names(FILE *to, const char *what, const struct gate_list *list)
{
	const size_t shown = min_of(list->nr, (size_t)5);

	if (list->nr == 0)
		return;
	(void)fprintf(to, "            %s:", what);
	for (size_t i = 0; i < shown; i++) {
		struct buf name = BUF_NULL;
		text_add_printable(&name, buf_span(&list->items[i]));
		(void)fprintf(to, " %s", buf_str(&name));
		buf_fini(&name);
	}
	if (list->total > shown)
		(void)fprintf(to, " and %" PRIu64 " more (--json lists them)", list->total - shown);
	(void)fprintf(to, "\n");
}

static void print_loss(FILE *to, const struct gate_verdict *verdict)
{
	const struct gate_rule *fresh = &verdict->rules[GATE_FRESH];
	const struct gate_rule *complete = &verdict->rules[GATE_COMPLETE];
	char lag[64], users[48];

	if (fresh->result == ASSAY_RESULT_FAIL && fresh->lag_ns >= 0)
		(void)fprintf(to, "Failing over now would lose %s %s of mail of %s.\n",
			      fresh->lag_is_bound ? "at least" : "up to",
			      text_duration(fresh->lag_ns, lag, sizeof(lag)),
			      text_counted(fresh->users.total, "user", users, sizeof(users)));
	if (complete->result == ASSAY_RESULT_FAIL && complete->mailboxes.total)
		(void)fprintf(to, "Failing over now would %s %" PRIu64 " mailboxes.\n",
			      strcmp(complete->code, "complete.missing_mailbox") == 0 ? "lose"
			      : strcmp(complete->code, "complete.renamed_mailbox") == 0
				      ? "bring back the old names of"
				      : "lose messages of",
			      complete->mailboxes.total);
	if (verdict->decision == ASSAY_UNDETERMINED)
		(void)fprintf(to, "What is unknown is not safe: treat this as a deny.\n");
}

void output_print_gate(FILE *to, const char *store, const char *host,
		       const struct gate_verdict *verdict)
{
	char took[64], age[64];
	int64_t oldest = 0;

	for (size_t i = 0; i < GATE_RULE_COUNT_; i++) {
		int64_t observed = verdict->rules[i].observed_ns;
		if (observed && (oldest == 0 || observed < oldest))
			oldest = observed;
	}
	print_upper(to, assay_decision_name(verdict->decision));
	(void)fprintf(to, "  %s -> %s    decided in %s", store, host,
		      text_duration(verdict->took_ns, took, sizeof(took)));
	if (oldest)
		(void)fprintf(to, ", evidence up to %s old",
			      text_duration(verdict->decided_ns - oldest, age, sizeof(age)));
	(void)fprintf(to, "\n");
	for (size_t i = 0; i < GATE_RULE_COUNT_; i++) {
		const struct gate_rule *rule = &verdict->rules[i];
		struct buf summary = BUF_NULL;
		const char *result = rule->result == ASSAY_RESULT_FAIL ? "FAIL"
								       : assay_result_name(rule->result);
		buf_add_span(&summary, buf_span(&rule->summary));
		(void)fprintf(to, "  %-9s %-7s  %s  [%s]\n", gate_rule_name(rule->id), result,
			      buf_str(&summary), rule->code);
		print_names(to, "users", &rule->users);
		print_names(to, "mailboxes", &rule->mailboxes);
		for (size_t j = 0; j < min_of(rule->nr_findings, (size_t)3); j++) {
			struct buf path = BUF_NULL;
			text_add_printable(&path, buf_span(&rule->findings[j].path));
			(void)fprintf(to, "            %s: %s\n", rule->findings[j].verdict,
				      buf_str(&path));
			buf_fini(&path);
		}
		buf_fini(&summary);
	}
	print_loss(to, verdict);
	if (verdict->decision == ASSAY_PERMIT)
		(void)fprintf(to, "Not judged by this version: host, converged, alone, trusted.\n");
}

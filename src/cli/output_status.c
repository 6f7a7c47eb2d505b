/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How the status of copies looks: a table for people, JSON, the one line of a Nagios plugin. What
 * is not known reads `unknown` (JSON: null, performance data: U), never 0.
 */
#include <errno.h>
#include <inttypes.h>
#include <libsmartcols/libsmartcols.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "cli/cmd.h"
#include "cli/output.h"

/* ---- JSON ---- */

static void set_age(json_t *object, const char *key, const struct status *status, int64_t wall_ns)
{
	output_set(object, key,
		   wall_ns ? json_real((double)(status->now_ns - wall_ns) / 1e9) : json_null());
}

static void set_count(json_t *object, const char *key, bool is_known, uint64_t count)
{
	output_set(object, key, is_known ? json_integer((json_int_t)count) : json_null());
}

static const char *status_of_run(const struct copy_status *copy, const struct run *run)
{
	const char *name = run_status_name(run->status);

	if (run->status == RUN_RUNNING && copy->scan != COPY_SCAN_RUNNING)
		return "killed";
	return name ? name : "unknown";
}

static void set_run(json_t *object, const char *key, const struct status *status,
		    const struct copy_status *copy, const struct run *run)
{
	json_t *inner = run ? json_object() : json_null();

	output_set(object, key, inner);
	if (!run)
		return;
	output_set_int(inner, "run", run->id);
	output_set_str(inner, "status", status_of_run(copy, run));
	output_set_time(inner, "started_at", run->started_ns);
	output_set_time(inner, "ended_at", run->ended_ns);
	set_age(inner, "age_s", status, run->ended_ns);
}

static json_t *json_of_reasons(const struct copy_status *copy)
{
	json_t *array = json_array();

	for (size_t i = 0; array && i < copy->nr_reasons; i++)
		if (json_array_append_new(array, json_string(buf_str(&copy->reasons[i])))) {
			json_decref(array);
			return NULL; /* output_set ends the program */
		}
	return array;
}

json_t *output_status(const struct status *status, const struct copy_status *copy)
{
	json_t *object = output_object("status");
	const char *role = copy->is_volume		 ? "volume"
			   : copy->role != ROLE_UNKNOWN ? role_name(copy->role)
							 : NULL;

	output_set_str(object, "verdict", copy_verdict_name(copy->verdict));
	output_set_str(object, "store", copy->store);
	output_set_str(object, "host", copy->host);
	output_set_str(object, "role", role);
	output_set(object, "reasons", json_of_reasons(copy));
	output_set_str(object, "coverage", copy_verdict_name(copy->coverage));
	output_set_time(object, "verified_at", copy->oldest_ns);
	set_age(object, "verified_age_s", status, copy->oldest_ns);
	output_set(object, "max_scan_age_s", json_real((double)status->max_age_ns / 1e9));
	set_count(object, "bytes", copy->oldest_ns != 0, copy->bytes);
	set_count(object, "open_findings", copy->knows_findings, copy->findings);
	set_count(object, "open_notices", copy->has_complete || copy->notices, copy->notices);
	output_set_str(object, "scan", copy_scan_name(copy->scan));
	set_run(object, "last_run", status, copy, copy->has_run ? &copy->last : NULL);
	set_run(object, "last_complete_run", status, copy,
		copy->has_complete ? &copy->last_complete : NULL);
	output_set_time(object, "read_at", status->now_ns);
	return object;
}

/* ---- a table ---- */

enum column {
	COLUMN_VERDICT,
	COLUMN_COPY,
	COLUMN_OLDEST,
	COLUMN_COVERED,
	COLUMN_FINDINGS,
	COLUMN_LAST,
	COLUMN_WHY,
	COLUMN_COUNT_,
};

static const struct {
	const char *name;
	int flags;
} columns[COLUMN_COUNT_] = {
	[COLUMN_VERDICT] = { "VERDICT", 0 },
	[COLUMN_COPY] = { "COPY", 0 },
	[COLUMN_OLDEST] = { "OLDEST BYTE", SCOLS_FL_RIGHT },
	[COLUMN_COVERED] = { "COVERED", SCOLS_FL_RIGHT },
	[COLUMN_FINDINGS] = { "FINDINGS", SCOLS_FL_RIGHT },
	[COLUMN_LAST] = { "LAST RUN", 0 },
	[COLUMN_WHY] = { "WHY", SCOLS_FL_WRAP },
};

static const char *const verdict_words[COPY_VERDICT_COUNT_] = {
	[COPY_OK] = "OK",
	[COPY_UNKNOWN] = "UNKNOWN",
	[COPY_STALE] = "STALE",
	[COPY_FINDINGS] = "FINDINGS",
};

static void add_name(struct buf *text, const struct copy_status *copy)
{
	text_add_printable(text, span_of_str(copy->store));
	buf_add_char(text, '@');
	text_add_printable(text, span_of_str(copy->host));
}

static void add_reasons(struct buf *text, const struct copy_status *copy, const char *between)
{
	for (size_t i = 0; i < copy->nr_reasons; i++)
		buf_addf(text, "%s%s", i ? between : "", buf_str(&copy->reasons[i]));
}

/* "complete 9 h ago", "running". */
static void add_run(struct buf *text, const struct status *status, const struct copy_status *copy,
		    const struct run *run)
{
	char age[64];

	buf_add_str(text, status_of_run(copy, run));
	if (run->ended_ns)
		buf_addf(text, " %s ago",
			 text_duration(status->now_ns - run->ended_ns, age, sizeof(age)));
}

/* The last run, and the last complete one where that is another. */
static void add_runs(struct buf *text, const struct status *status, const struct copy_status *copy)
{
	if (copy->state_error)
		buf_add_str(text, "unknown");
	else if (!copy->has_run)
		buf_add_str(text, "never");
	else
		add_run(text, status, copy, &copy->last);
	if (copy->has_complete && copy->last_complete.id != copy->last.id) {
		buf_add_str(text, ", ");
		add_run(text, status, copy, &copy->last_complete);
	}
}

static void add_cell(struct buf *text, enum column column, const struct status *status,
		     const struct copy_status *copy)
{
	char number[64] = "unknown";
	bool is_future = copy->oldest_ns > status->now_ns;

	if (column == COLUMN_OLDEST && copy->oldest_ns && !is_future)
		text_duration(status->now_ns - copy->oldest_ns, number, sizeof(number));
	else if (column == COLUMN_COVERED && copy->oldest_ns)
		text_bytes(copy->bytes, number, sizeof(number));
	else if (column == COLUMN_FINDINGS && copy->knows_findings)
		text_count(copy->findings, number, sizeof(number));

	switch (column) {
	case COLUMN_VERDICT:
		buf_add_str(text, verdict_words[copy->verdict]);
		break;
	case COLUMN_COPY:
		add_name(text, copy);
		break;
	case COLUMN_LAST:
		add_runs(text, status, copy);
		break;
	case COLUMN_WHY:
		add_reasons(text, copy, "\n");
		break;
	default:
		buf_add_str(text, number);
	}
}

static int add_line(struct libscols_table *table, const struct status *status,
		    const struct copy_status *copy)
{
	struct libscols_line *line = scols_table_new_line(table, NULL);
	int r = line ? 0 : -ENOMEM;

	for (enum column c = 0; r == 0 && c < COLUMN_COUNT_; c++) {
		struct buf text = BUF_NULL;
		add_cell(&text, c, status, copy);
		r = buf_error(&text);
		if (r == 0)
			r = scols_line_set_data(line, c, buf_str(&text));
		buf_fini(&text);
	}
	return r;
}

/* A cell of several lines stays so on a terminal of any width: nothing of a reason is cut off. */
static int add_column(struct libscols_table *table, enum column which)
{
	struct libscols_column *column =
		scols_table_new_column(table, columns[which].name, 0, columns[which].flags);

	if (!column)
		return -ENOMEM;
	return columns[which].flags & SCOLS_FL_WRAP
		       ? scols_column_set_wrapfunc(column, scols_wrapnl_chunksize,
						   scols_wrapnl_nextchunk, NULL)
		       : 0;
}

int output_print_status(FILE *to, const struct status *status)
{
	struct libscols_table *table = scols_new_table();
	int r = table ? scols_table_set_stream(table, to) : -ENOMEM;

	if (r == 0) /* names are printable already; twice escaped they would not be what they are */
		r = scols_table_enable_noencoding(table, 1);
	if (r == 0)
		r = scols_table_set_column_separator(table, "  ");
	for (enum column c = 0; r == 0 && c < COLUMN_COUNT_; c++)
		r = add_column(table, c);
	for (size_t i = 0; r == 0 && i < status->nr_copies; i++)
		r = add_line(table, status, &status->copies[i]);
	if (r == 0 && scols_print_table(table))
		r = -EIO;
	scols_unref_table(table);
	return r;
}

/* ---- Nagios ---- */

static const char *const nagios_words[] = { "OK", "WARNING", "CRITICAL", "UNKNOWN" };

static enum nagios nagios_of(const struct copy_status *copy)
{
	switch (copy->verdict) {
	case COPY_OK:
		return copy->is_aging ? NAGIOS_WARNING : NAGIOS_OK;
	case COPY_STALE:
	case COPY_FINDINGS:
		return NAGIOS_CRITICAL;
	default:
		return NAGIOS_UNKNOWN;
	}
}

/* What is known to be bad outweighs what is not known, and that what is good for now. */
static enum nagios worse(enum nagios a, enum nagios b)
{
	static const int rank[] = { [NAGIOS_OK] = 0, [NAGIOS_WARNING] = 1, [NAGIOS_UNKNOWN] = 2,
				    [NAGIOS_CRITICAL] = 3 };

	return rank[a] >= rank[b] ? a : b;
}

/* A bar would end the text; a label holds neither a quote nor an equals sign. */
#define NOT_IN_TEXT "|"
#define NOT_IN_LABEL "|'="

static void add_without(struct buf *line, const struct buf *text, const char *characters)
{
	for (size_t i = 0; i < text->len; i++)
		buf_add_char(line, strchr(characters, text->data[i]) ? '_' : text->data[i]);
}

static void add_performance(struct buf *line, const struct status *status,
			    const struct copy_status *copy)
{
	struct buf name = BUF_NULL, label = BUF_NULL;

	add_name(&name, copy);
	add_without(&label, &name, NOT_IN_LABEL);
	buf_addf(line, " '%s age'=", buf_str(&label));
	if (copy->coverage != COPY_UNKNOWN)
		buf_addf(line, "%" PRId64 "s;%" PRId64 ";%" PRId64 ";0",
			 (status->now_ns - copy->oldest_ns) / NS_PER_S,
			 status->aging_ns / NS_PER_S, status->max_age_ns / NS_PER_S);
	else
		buf_add_str(line, "U");
	buf_addf(line, " '%s findings'=", buf_str(&label));
	if (copy->knows_findings)
		buf_addf(line, "%" PRIu64 ";;0;0", copy->findings);
	else
		buf_add_str(line, "U");
	buf_addf(line, " '%s bytes'=", buf_str(&label));
	if (copy->oldest_ns)
		buf_addf(line, "%" PRIu64 "B;;;0", copy->bytes);
	else
		buf_add_str(line, "U");
	buf_fini(&name);
	buf_fini(&label);
}

static void add_problem(struct buf *line, const struct copy_status *copy)
{
	struct buf text = BUF_NULL;

	add_name(&text, copy);
	buf_addf(&text, " %s: ", copy_verdict_name(copy->verdict));
	add_reasons(&text, copy, ", ");
	add_without(line, &text, NOT_IN_TEXT);
	buf_fini(&text);
}

/* "2 copies ok, oldest byte 9 h", of those that are. */
static void add_good(struct buf *line, const struct status *status, size_t nr_good)
{
	int64_t oldest_ns = INT64_MAX;
	char age[64];

	for (size_t i = 0; i < status->nr_copies; i++)
		if (status->copies[i].verdict == COPY_OK)
			oldest_ns = min_of(oldest_ns, status->copies[i].oldest_ns);
	buf_addf(line, "%zu of %zu ok", nr_good, status->nr_copies);
	if (nr_good)
		buf_addf(line, ", oldest byte verified %s ago",
			 text_duration(status->now_ns - oldest_ns, age, sizeof(age)));
}

enum nagios output_print_nagios(FILE *to, const struct status *status)
{
	struct buf line = BUF_NULL, performance = BUF_NULL;
	enum nagios result = NAGIOS_OK;
	size_t nr_good = 0;

	for (size_t i = 0; i < status->nr_copies; i++) {
		const struct copy_status *copy = &status->copies[i];
		enum nagios one = nagios_of(copy);
		nr_good += copy->verdict == COPY_OK;
		if (one != NAGIOS_OK) {
			add_problem(&line, copy);
			buf_add_str(&line, "; ");
		}
		result = worse(result, one);
		add_performance(&performance, status, copy);
	}
	add_good(&line, status, nr_good);
	if (buf_error(&line) || buf_error(&performance))
		result = output_nagios_unknown(to, "out of memory");
	else
		(void)fprintf(to, "ASSAY %s: %s |%s\n", nagios_words[result], buf_str(&line),
			      buf_str(&performance));
	buf_fini(&line);
	buf_fini(&performance);
	return result;
}

enum nagios output_nagios_unknown(FILE *to, const char *fmt, ...)
{
	struct buf text = BUF_NULL, line = BUF_NULL;
	char *said = NULL;
	va_list args;

	va_start(args, fmt);
	if (vasprintf(&said, fmt, args) >= 0) {
		text_add_printable(&text, span_of_str(said));
		add_without(&line, &text, NOT_IN_TEXT);
		free(said);
	}
	va_end(args);
	(void)fprintf(to, "ASSAY %s: %s\n", nagios_words[NAGIOS_UNKNOWN], buf_str(&line));
	buf_fini(&text);
	buf_fini(&line);
	return NAGIOS_UNKNOWN;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a scan shows: findings and gaps as they come, progress on stderr, and at the end the summary
 * and how the disks were read.
 */
#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "cli/output_scan.h"

#define PROGRESS_LINES (10 * NS_PER_S) /* between lines, where one cannot be rewritten */
#define PROGRESS_JSON NS_PER_S

void scan_output_clear_line(struct scan_output *out)
{
	if (out->line_is_drawn)
		(void)fprintf(stderr, "\r\033[K");
	out->line_is_drawn = false;
}

static void on_finding(const struct finding *finding, void *ctx)
{
	struct scan_output *out = ctx;

	scan_output_clear_line(out);
	if (out->cli->json)
		output_line(output_finding(finding));
	else
		output_print_finding(stdout, finding);
	(void)fflush(stdout);
}

static void on_gap(struct span mailbox, const char *path, const char *why, void *ctx)
{
	struct scan_output *out = ctx;
	struct buf name = BUF_NULL, where = BUF_NULL;

	scan_output_clear_line(out);
	if (out->cli->json) {
		json_t *object = output_object("gap");
		output_set_str(object, "store", out->target->store);
		output_set_str(object, "host", out->target->host);
		output_set_bytes(object, "mailbox", mailbox);
		output_set_str(object, "path", path);
		output_set_str(object, "why", why);
		output_line(object);
		return;
	}
	text_add_printable(&name, mailbox);
	text_add_printable(&where, span_of_str(path));
	(void)printf("NOT CHECKED  %s@%s  %s%s%s: %s\n", out->target->store, out->target->host,
		     buf_str(&name), name.len ? "  " : "", buf_str(&where), why);
	buf_fini(&name);
	buf_fini(&where);
}

/* How much is done, from 0 to 1: by bytes where the last run tells how many there are. */
static double fraction_done(const struct scan_progress *p)
{
	double done = 0;

	if (p->bytes_expected)
		done = (double)(p->bytes + p->bytes_carried) / (double)p->bytes_expected;
	else if (p->mailboxes_total)
		done = (double)p->mailboxes / (double)p->mailboxes_total;
	return min_of(done, 1.0);
}

/* Nanoseconds until the end, by what this run has done in its own time; -1: not known. */
static int64_t time_left(const struct scan_progress *p)
{
	double done = fraction_done(p), own = done;

	if (p->bytes_expected)
		own -= (double)p->bytes_carried / (double)p->bytes_expected;
	if (own < 0.01)
		return -1;
	return max_of((int64_t)((double)p->elapsed_ns * (1 - done) / own), NS_PER_S);
}

static void progress_json(const struct scan_output *out, const struct scan_progress *p)
{
	json_t *object = output_object("progress");
	int64_t left = time_left(p);

	output_set_str(object, "store", out->target->store);
	output_set_str(object, "host", out->target->host);
	output_set_int(object, "mailboxes", (int64_t)p->mailboxes);
	output_set_int(object, "mailboxes_total", (int64_t)p->mailboxes_total);
	output_set_int(object, "messages", (int64_t)p->messages);
	output_set_int(object, "bytes", (int64_t)p->bytes);
	output_set_int(object, "carried", (int64_t)p->carried);
	output_set_int(object, "findings", (int64_t)p->findings);
	output_set(object, "elapsed_s", json_real((double)p->elapsed_ns / 1e9));
	output_set(object, "left_s", left < 0 ? json_null() : json_real((double)left / 1e9));
	if (json_dumpf(object, stderr, JSON_COMPACT) == 0)
		(void)fputc('\n', stderr);
	json_decref(object);
}

static void progress_text(struct scan_output *out, const struct scan_progress *p, bool rewrite)
{
	char bytes[32], rate[32], left[64] = "unknown", messages[32], findings[48];
	double seconds = max_of((double)p->elapsed_ns / 1e9, 0.001);
	int64_t left_ns = time_left(p);

	if (left_ns >= 0)
		text_duration(left_ns, left, sizeof(left));
	text_bytes(p->bytes, bytes, sizeof(bytes));
	text_bytes((uint64_t)((double)p->bytes / seconds), rate, sizeof(rate));
	text_count(p->messages, messages, sizeof(messages));
	text_counted(p->findings, "finding", findings, sizeof(findings));
	(void)fprintf(stderr,
		      "%s%s@%s  %3.0f %%  %s messages  %s  %s/s  %.0f files/s  %s  ETA %s%s",
		      rewrite ? "\r\033[K" : "", out->target->store, out->target->host,
		      fraction_done(p) * 100, messages, bytes, rate, (double)p->messages / seconds,
		      findings, left, rewrite ? "" : "\n");
	out->line_is_drawn = rewrite;
}

static void on_show_progress(const struct scan_progress *p, void *ctx)
{
	struct scan_output *out = ctx;
	int64_t interval = out->cli->json ? PROGRESS_JSON : PROGRESS_LINES;
	int64_t now = clock_mono_ns();

	if (!p->asked && out->style == PROGRESS_ASKED)
		return;
	if (!p->asked && out->style == PROGRESS_LOG && now - out->last_line_ns < interval)
		return;
	out->last_line_ns = now;
	if (out->cli->json)
		progress_json(out, p);
	else
		progress_text(out, p, out->style == PROGRESS_LINE);
	(void)fflush(stderr);
}

static void on_road(const struct scan_road *road, void *ctx)
{
	struct scan_output *out = ctx;

	if (out->cli->json) {
		json_t *object = json_object();
		output_set_str(object, "device", *road->device ? road->device : NULL);
		output_set_str(object, "order", road->in_blocks ? "block" : "file");
		output_set_str(object, "why", *road->why ? road->why : NULL);
		output_set_str(object, "engine", road->engine);
		output_set_str(object, "engine_why", *road->engine_why ? road->engine_why : NULL);
		output_set_str(object, "sha1", road->sha1);
		output_set_int(object, "messages", (int64_t)road->messages);
		output_set_int(object, "as_files", (int64_t)road->as_files);
		output_set_int(object, "bytes_read", (int64_t)road->bytes_read);
		output_set_int(object, "reads", (int64_t)road->reads);
		output_set_int(object, "retried", (int64_t)road->retried);
		output_set_int(object, "bad_sectors", (int64_t)road->bad_sectors);
		output_set_int(object, "depth", road->depth);
		/* Takes it, also when it fails. */
		(void)json_array_append_new(out->json_roads, object);
		return;
	}
	buf_addf(&out->roads, "  %s: ", *road->device ? road->device : "a filesystem");
	if (road->in_blocks && road->engine)
		buf_addf(&out->roads,
			 "read in the order of the disk by %s, %u under way, SHA-1 by %s%s%s",
			 road->engine, road->depth, road->sha1, *road->engine_why ? "; " : "",
			 road->engine_why);
	else if (road->in_blocks)
		buf_add_str(&out->roads, "nothing was read in the order of the disk");
	else
		buf_addf(&out->roads, "read as files by %s%s%s: %s", road->engine,
			 *road->engine_why ? ", because " : "", road->engine_why, road->why);
	if (road->as_files)
		buf_addf(&out->roads, "; %" PRIu64 " as files", road->as_files);
	if (road->retried)
		buf_addf(&out->roads, "; %" PRIu64 " reads failed, and not when made again alone", road->retried);
	if (road->bad_sectors)
		buf_addf(&out->roads, "; %" PRIu64 " bad sectors", road->bad_sectors);
	buf_add_char(&out->roads, '\n');
}

void scan_output_init(struct scan_output *out, const struct cli *cli, const struct target *target,
		      enum progress_style style)
{
	*out = (struct scan_output){
		.cli = cli,
		.target = target,
		.style = style,
		.roads = BUF_NULL,
		.json_roads = cli->json ? json_array() : NULL,
	};
}

void scan_output_fini(struct scan_output *out)
{
	scan_output_clear_line(out);
	buf_fini(&out->roads);
	json_decref(take(out->json_roads));
}

void scan_output_get_events(struct scan_output *out, struct scan_events *ret_events)
{
	*ret_events = (struct scan_events){
		.finding = on_finding,
		.gap = on_gap,
		.progress = on_show_progress,
		.road = on_road,
		.ctx = out,
	};
}

const char *scan_output_headline(const struct run *run)
{
	if (run->status == RUN_VOID)
		return "VOID";
	if (run->status == RUN_INTERRUPTED)
		return run->findings ? "FINDINGS, INTERRUPTED" : "INTERRUPTED";
	if (run->findings)
		return run->gaps ? "FINDINGS AND GAPS" : "FINDINGS";
	return run->status == RUN_COMPLETE ? "OK" : "INCOMPLETE";
}

static void summarize_json(const struct scan_output *out, const struct run *run)
{
	json_t *object = output_object("summary");

	output_set_str(object, "store", out->target->store);
	output_set_str(object, "host", out->target->host);
	output_set_str(object, "status", run_status_name(run->status));
	output_set_str(object, "scope", run->scope);
	output_set_int(object, "run", run->id);
	output_set_int(object, "mailboxes", (int64_t)run->mailboxes);
	output_set_int(object, "messages", (int64_t)run->messages);
	output_set_int(object, "bytes", (int64_t)run->bytes);
	output_set_int(object, "expunged", (int64_t)run->expunged);
	output_set_int(object, "findings", (int64_t)run->findings);
	output_set_int(object, "notices", (int64_t)run->notices);
	output_set_int(object, "in_flight", (int64_t)run->in_flight);
	output_set_int(object, "gaps", (int64_t)run->gaps);
	output_set_int(object, "read_through_page_cache", (int64_t)run->buffered);
	output_set_int(object, "carried", (int64_t)run->carried);
	output_set_int(object, "round", run->round);
	output_set(object, "roads", json_incref(out->json_roads));
	output_set_time(object, "started_at", run->started_ns);
	output_set_time(object, "ended_at", run->ended_ns);
	output_set(object, "took_s", json_real((double)(run->ended_ns - run->started_ns) / 1e9));
	output_line(object);
}

/* Behind the headline: what it is limited to. */
static void print_scope(const struct run *run)
{
	struct buf scope = BUF_NULL;

	text_add_printable(&scope, span_of_str(run->scope));
	if (*run->scope)
		(void)printf(" (%s)", buf_str(&scope));
	buf_fini(&scope);
}

void scan_output_summarize(struct scan_output *out, const struct run *run)
{
	char messages[48], bytes[32], took[64], rate[32], findings[48], notices[48] = "";
	int64_t took_ns = max_of(run->ended_ns - run->started_ns, NS_PER_MS);

	scan_output_clear_line(out);
	if (out->cli->json) {
		summarize_json(out, run);
		return;
	}
	text_counted(run->messages, "message", messages, sizeof(messages));
	text_counted(run->findings, "finding", findings, sizeof(findings));
	if (run->notices)
		text_counted(run->notices, "notice", notices, sizeof(notices));
	text_bytes(run->bytes, bytes, sizeof(bytes));
	text_duration(took_ns, took, sizeof(took));
	text_bytes((uint64_t)((double)run->bytes / ((double)took_ns / 1e9)), rate, sizeof(rate));
	(void)fputs(scan_output_headline(run), stdout);
	print_scope(run);
	(void)printf("  %s@%s  %s, %s in %" PRIu64 " mailboxes read in %s (%s/s): %s%s%s, %" PRIu64
		     " not checked, %" PRIu64 " in flight\n",
		     out->target->store, out->target->host, messages, bytes, run->mailboxes, took,
		     rate, findings, *notices ? ", " : "", notices, run->gaps, run->in_flight);
	if (*run->scope)
		(void)printf("  a part of the store: status and gate rest on the last whole scan, "
			     "and on what is open\n");
	if (run->buffered)
		(void)printf("  %" PRIu64 " messages were read through the page cache: this "
			     "filesystem refuses O_DIRECT, so the disk itself was not proven\n",
			     run->buffered);
	if (run->carried)
		(void)printf("  %" PRIu64
			     " messages were verified before, by the run that this one goes "
			     "on with (run %" PRId64 ")\n",
			     run->carried, run->round);
	if (run->status == RUN_INTERRUPTED && run->resumable)
		(void)printf("  the next scan goes on from here\n");
	(void)fputs(buf_str(&out->roads), stdout);
}

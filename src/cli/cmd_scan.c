/* SPDX-License-Identifier: Apache-2.0 */
/*
 * assay scan: which targets, how it looks, how it ends. The scan itself is verify/scan.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"
#include "cli/cmd.h"
#include "cli/output.h"
#include "verify/scan.h"

static volatile sig_atomic_t stop_requested;
static volatile sig_atomic_t progress_requested;

static void on_stop(int signal_number)
{
	(void)signal_number;
	stop_requested = 1;
}

static void on_progress(int signal_number)
{
	(void)signal_number;
	progress_requested = 1;
}

static void catch_signals(void)
{
	struct sigaction stop = { .sa_handler = on_stop, .sa_flags = SA_RESTART };
	struct sigaction progress = { .sa_handler = on_progress, .sa_flags = SA_RESTART };

	(void)sigaction(SIGTERM, &stop, NULL);
	(void)sigaction(SIGINT, &stop, NULL);
	(void)sigaction(SIGUSR1, &progress, NULL);
}

struct scan_output {
	struct cli *cli;
	const struct target *target;
	bool progress_line; /* rewrite one line of a terminal */
	bool line_is_drawn;
};

static void clear_line(struct scan_output *out)
{
	if (out->line_is_drawn)
		(void)fprintf(stderr, "\r\033[K");
	out->line_is_drawn = false;
}

static void on_finding(const struct finding *finding, void *ctx)
{
	struct scan_output *out = ctx;

	clear_line(out);
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

	clear_line(out);
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
		done = (double)p->bytes / (double)p->bytes_expected;
	else if (p->mailboxes_total)
		done = (double)p->mailboxes / (double)p->mailboxes_total;
	return min_of(done, 1.0);
}

static void on_show_progress(const struct scan_progress *p, void *ctx)
{
	struct scan_output *out = ctx;
	char bytes[32], rate[32], left[64] = "unknown", messages[32];
	double done = fraction_done(p), seconds = (double)p->elapsed_ns / 1e9;

	if (!out->progress_line && !p->asked)
		return;
	if (done > 0.01)
		text_duration(max_of((int64_t)((double)p->elapsed_ns * (1 - done) / done), NS_PER_S),
			      left, sizeof(left));
	text_bytes(p->bytes, bytes, sizeof(bytes));
	text_bytes((uint64_t)((double)p->bytes / max_of(seconds, 0.001)), rate, sizeof(rate));
	text_count(p->messages, messages, sizeof(messages));
	(void)fprintf(stderr, "%s%s@%s  %3.0f %%  %s messages  %s  %s/s  %.0f files/s  ETA %s%s",
		      out->progress_line ? "\r\033[K" : "", out->target->store, out->target->host,
		      done * 100, messages, bytes, rate,
		      (double)p->messages / max_of(seconds, 0.001), left,
		      out->progress_line ? "" : "\n");
	(void)fflush(stderr);
	out->line_is_drawn = out->progress_line;
}

static const char *headline(const struct run *run)
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
	output_set_int(object, "run", run->id);
	output_set_int(object, "mailboxes", (int64_t)run->mailboxes);
	output_set_int(object, "messages", (int64_t)run->messages);
	output_set_int(object, "bytes", (int64_t)run->bytes);
	output_set_int(object, "expunged", (int64_t)run->expunged);
	output_set_int(object, "findings", (int64_t)run->findings);
	output_set_int(object, "in_flight", (int64_t)run->in_flight);
	output_set_int(object, "gaps", (int64_t)run->gaps);
	output_set_int(object, "read_through_page_cache", (int64_t)run->buffered);
	output_set_time(object, "started_at", run->started_ns);
	output_set_time(object, "ended_at", run->ended_ns);
	output_set(object, "took_s", json_real((double)(run->ended_ns - run->started_ns) / 1e9));
	output_line(object);
}

static void summarize(struct scan_output *out, const struct run *run)
{
	char messages[48], bytes[32], took[64], rate[32], findings[48];
	int64_t took_ns = max_of(run->ended_ns - run->started_ns, NS_PER_MS);

	clear_line(out);
	if (out->cli->json) {
		summarize_json(out, run);
		return;
	}
	text_counted(run->messages, "message", messages, sizeof(messages));
	text_counted(run->findings, "finding", findings, sizeof(findings));
	text_bytes(run->bytes, bytes, sizeof(bytes));
	text_duration(took_ns, took, sizeof(took));
	text_bytes((uint64_t)((double)run->bytes / ((double)took_ns / 1e9)), rate, sizeof(rate));
	(void)printf("%s  %s@%s  %s, %s in %" PRIu64 " mailboxes read in %s (%s/s): %s, %" PRIu64
		     " not checked, %" PRIu64 " in flight\n",
		     headline(run), out->target->store, out->target->host, messages, bytes,
		     run->mailboxes, took, rate, findings, run->gaps, run->in_flight);
	if (run->buffered)
		(void)printf("  %" PRIu64 " messages were read through the page cache: this "
			     "filesystem refuses O_DIRECT, so the disk itself was not proven\n",
			     run->buffered);
}

static int status_of(const struct run *run)
{
	/* A run whose planted fault was not found proves nothing, not even its findings. */
	if (run->status == RUN_VOID)
		return STATUS_GAP;
	if (run->findings)
		return STATUS_FOUND;
	return run->status == RUN_COMPLETE ? STATUS_CLEAN : STATUS_GAP;
}

static int scan_target(struct cli *cli, struct state *state, const struct policy *policy,
		       const struct target *target, bool show_progress)
{
	struct scan_output out = {
		.cli = cli,
		.target = target,
		.progress_line = show_progress,
	};
	struct scan_options options = {
		.settle_ns = policy->settle_ns,
		.readers = policy->readers,
		.stop = &stop_requested,
		.show_progress = &progress_requested,
	};
	struct scan_events events = { on_finding, on_gap, on_show_progress, &out };
	struct run run = { 0 };

	int r = scan_store(state, target, &options, &events, &cli->log, &run);
	clear_line(&out);
	if (r) {
		(void)fprintf(stderr, "assay scan: %s@%s: the scan did not end: %s\n", target->store,
			      target->host, strerror(-r));
		return run.findings ? STATUS_FOUND : STATUS_GAP;
	}
	summarize(&out, &run);
	return status_of(&run);
}

/* The worst of two exit statuses; findings outweigh gaps, and both outweigh usage of one target. */
static int worse(int a, int b)
{
	static const int rank[] = { [STATUS_CLEAN] = 0, [STATUS_USAGE] = 1, [STATUS_GAP] = 2,
				    [STATUS_FOUND] = 3 };

	return rank[a] >= rank[b] ? a : b;
}

struct scan_request {
	const char *imapd_conf;
	char **names;
	int nr_names;
	bool show_progress;
};

/* A name or an imapd.conf that is not there or not understood is configuration; a store that
 * cannot be reached is something that was not checked. */
static int status_of_target(int error)
{
	return error == -ENOENT || error == -EBADMSG || error == -EINVAL || error == -EEXIST ||
			       error == -ELOOP || error == -E2BIG
		       ? STATUS_USAGE
		       : STATUS_GAP;
}

static int scan_named(struct cli *cli, struct state *state, const struct conf *conf,
		      const char *name, bool show_progress)
{
	struct target target = TARGET_NULL;
	int r = target_open_named(&target, conf, name, &cli->log);

	if (r)
		return status_of_target(r);
	int status = scan_target(cli, state, &conf->policy, &target, show_progress);
	target_fini(&target);
	return status;
}

/* Configured and not verified: that is a gap, and said. */
static int skip_volume(struct cli *cli, const char *name)
{
	static const char why[] = "volumes cannot be scanned by this version";

	if (cli->json) {
		json_t *object = output_object("gap");
		output_set_str(object, "store", NULL);
		output_set_str(object, "host", NULL);
		output_set_str(object, "mailbox", "");
		output_set_str(object, "path", name);
		output_set_str(object, "why", why);
		output_line(object);
	} else {
		(void)printf("NOT CHECKED  volume %s: %s\n", name, why);
	}
	return STATUS_GAP;
}

static int scan_all(struct cli *cli, struct state *state, const struct conf *conf,
		    const struct scan_request *request)
{
	int status = STATUS_CLEAN;

	for (int i = 0; i < request->nr_names && !stop_requested; i++)
		status = worse(status, scan_named(cli, state, conf, request->names[i],
						  request->show_progress));
	for (size_t i = 0; request->nr_names == 0 && i < conf->nr_copies && !stop_requested; i++) {
		struct buf name = BUF_NULL;
		buf_addf(&name, "%s@%s", conf->copies[i].store, conf->copies[i].host);
		status = worse(status, buf_error(&name) ? STATUS_GAP
							: scan_named(cli, state, conf, buf_str(&name),
								     request->show_progress));
		buf_fini(&name);
	}
	for (size_t i = 0; request->nr_names == 0 && i < conf->nr_volumes; i++)
		status = worse(status, skip_volume(cli, conf->volumes[i]));
	if (request->nr_names == 0 && conf->nr_copies == 0) {
		(void)fprintf(stderr, "assay scan: the configuration names no store: nothing to scan\n");
		status = STATUS_GAP;
	}
	return stop_requested ? worse(status, STATUS_GAP) : status;
}

static int scan_one_file(struct cli *cli, struct state *state, const struct conf *conf,
			 const struct scan_request *request)
{
	struct target target = TARGET_NULL;
	char host[256] = "localhost";

	(void)gethostname(host, sizeof(host) - 1);
	int r = target_open(&target, request->imapd_conf, host, request->imapd_conf, &cli->log);
	if (r) /* said in the log */
		return status_of_target(r);
	target.is_named = false;
	int status = scan_target(cli, state, &conf->policy, &target, request->show_progress);
	target_fini(&target);
	return status;
}

static int run_request(struct cli *cli, const struct scan_request *request)
{
	struct conf conf;
	struct state *state = NULL;
	int status;

	conf_init(&conf);
	if (!request->imapd_conf && !cli_read_conf(cli, &conf))
		return STATUS_USAGE;
	if (state_open(cli->state_dir, STATE_WRITE, &cli->log, &state)) {
		conf_fini(&conf);
		return STATUS_GAP;
	}
	catch_signals();
	status = request->imapd_conf ? scan_one_file(cli, state, &conf, request)
				     : scan_all(cli, state, &conf, request);
	state_close(state);
	conf_fini(&conf);
	return status;
}

int cmd_scan(struct cli *cli, const struct cmd *cmd, int argc, char **argv)
{
	static const struct option options[] = {
		{ "imapd-conf", required_argument, NULL, 'i' },
		{ "no-progress", no_argument, NULL, 'n' },
		CLI_OPTIONS,
	};
	struct scan_request request = { .show_progress = isatty(STDERR_FILENO) };
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == 'i') {
			request.imapd_conf = optarg;
		} else if (option == 'n') {
			request.show_progress = false;
		} else {
			int status = cli_option(cli, cmd, option);
			if (status >= 0)
				return status;
		}
	}
	request.names = argv + optind;
	request.nr_names = argc - optind;
	if (request.imapd_conf && request.nr_names)
		return cli_usage(cmd, "either --imapd-conf or the names of stores, not both");
	return run_request(cli, &request);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * assay findings: what is open (or was), with the evidence and what to do about it.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "cli/cmd.h"
#include "cli/output.h"
#include "state/state.h"

struct findings_request {
	bool all;
	enum assay_severity severity; /* at least this */
	int64_t id;
	char **names; /* STORE or STORE@HOST */
	int nr_names;
};

struct findings_output {
	struct cli *cli;
	const struct findings_request *request;
	uint64_t open; /* critical or warning */
	uint64_t notices; /* open */
	uint64_t shown;
};

static bool is_wanted(const struct findings_request *request, const struct finding *finding)
{
	size_t len = strlen(finding->store);

	if (finding->severity > request->severity)
		return false;
	for (int i = 0; i < request->nr_names; i++) {
		const char *name = request->names[i];
		if (strncmp(name, finding->store, len) == 0 &&
		    (name[len] == '\0' ||
		     (name[len] == '@' && strcmp(name + len + 1, finding->host) == 0)))
			return true;
	}
	return request->nr_names == 0;
}

static int show_finding(const struct finding *finding, void *ctx)
{
	struct findings_output *out = ctx;

	if (!is_wanted(out->request, finding))
		return 0;
	out->shown++;
	if (finding->closed_ns == 0 && finding->severity == ASSAY_SEVERITY_NOTICE)
		out->notices++;
	else
		out->open += finding->closed_ns == 0;
	if (out->cli->json)
		output_line(output_finding(finding));
	else
		output_print_finding(stdout, finding);
	return 0;
}

/* A name that was never scanned must not read as "nothing found". */
static int check_names(struct cli *cli, struct state *state, const struct findings_request *request)
{
	for (int i = 0; i < request->nr_names; i++) {
		char *store = strdup(request->names[i]);
		char *host = store ? strchr(store, '@') : NULL;
		int64_t target;
		if (host)
			*host++ = '\0';
		int r = store ? state_target_find_named(state, store, host, &target) : -ENOMEM;
		free(store);
		if (r == -ENOENT)
			return log_error(&cli->log, -ENODEV, "%s was never scanned",
					 request->names[i]);
		if (r)
			return r;
	}
	return 0;
}

/* The last line: that nothing was shown, or that nothing of what was is bad. */
static void print_end(const struct findings_request *request, const struct findings_output *out)
{
	char notices[48];

	if (out->shown == 0 && request->severity == ASSAY_SEVERITY_NOTICE)
		(void)printf("no %sfindings\n", request->all ? "" : "open ");
	else if (out->shown == 0)
		(void)printf("no %sfindings that are %s%s\n", request->all ? "" : "open ",
			     assay_severity_name(request->severity),
			     request->severity == ASSAY_SEVERITY_WARNING ? " or critical" : "");
	else if (out->open == 0 && out->notices && !request->id)
		(void)printf("nothing is open but %s, harmless\n",
			     text_counted(out->notices, "notice", notices, sizeof(notices)));
}

/* By its word. -EINVAL. */
static int parse_severity(const char *word, enum assay_severity *ret_severity)
{
	for (int i = 0; i < ASSAY_SEVERITY_COUNT_; i++)
		if (strcmp(assay_severity_name((enum assay_severity)i), word) == 0) {
			*ret_severity = (enum assay_severity)i;
			return 0;
		}
	return -EINVAL;
}

static int show_findings(struct cli *cli, const struct findings_request *request)
{
	struct finding_filter filter = {
		.id = request->id,
		.open_only = !request->all && !request->id,
	};
	struct findings_output out = { .cli = cli, .request = request };
	struct state *state = NULL;
	uint64_t nr_ended = 0;
	int r = state_open(cli->state_dir, STATE_READ, &cli->log, &state);

	if (r == 0)
		r = state_run_count_ended(state, &nr_ended);
	if (r == 0)
		r = check_names(cli, state, request);
	if (r == 0)
		r = state_finding_each(state, &filter, show_finding, &out);
	state_close(state);
	if (r == -ENOENT) {
		(void)fprintf(stderr, "assay findings: nothing was ever scanned: no state in %s\n",
			      cli->state_dir);
		return STATUS_GAP;
	}
	if (r)
		return STATUS_GAP;
	if (request->id && out.shown == 0) {
		(void)fprintf(stderr, "assay findings: no finding %" PRId64 "\n", request->id);
		return STATUS_USAGE;
	}
	/* Notices are no sign that anything ended. */
	if (out.open == 0 && nr_ended == 0) {
		(void)fprintf(stderr, "assay findings: no scan of a whole store has ended yet: "
				      "nothing is known\n");
		return STATUS_GAP;
	}
	if (!cli->json)
		print_end(request, &out);
	return out.open ? STATUS_FOUND : STATUS_CLEAN;
}

int cmd_findings(struct cli *cli, const struct cmd *cmd, int argc, char **argv)
{
	static const struct option options[] = {
		{ "all", no_argument, NULL, 'a' },
		{ "severity", required_argument, NULL, 's' },
		CLI_OPTIONS,
	};
	struct findings_request request = { .severity = ASSAY_SEVERITY_NOTICE };
	const char *verb = "list";
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == 'a') {
			request.all = true;
		} else if (option == 's') {
			if (parse_severity(optarg, &request.severity))
				return cli_usage(cmd, "--severity is critical, warning or notice, "
						      "not %s", optarg);
		} else {
			int status = cli_option(cli, cmd, option);
			if (status >= 0)
				return status;
		}
	}
	if (optind < argc)
		verb = argv[optind++];
	request.names = argv + optind;
	request.nr_names = argc - optind;
	if (strcmp(verb, "show") == 0) {
		uint64_t id;
		if (request.nr_names != 1 ||
		    span_parse_u64(span_of_str(request.names[0]), INT64_MAX, &id) || id == 0)
			return cli_usage(cmd, "show takes the number of one finding");
		request.id = (int64_t)id;
		request.severity = ASSAY_SEVERITY_NOTICE;
		request.nr_names = 0;
	} else if (strcmp(verb, "list") != 0) {
		return cli_usage(cmd, "\"%s\" is neither list nor show", verb);
	}
	return show_findings(cli, &request);
}

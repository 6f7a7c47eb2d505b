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

#include "cli/cmd.h"
#include "cli/output.h"
#include "state/state.h"

struct findings_request {
	bool all;
	int64_t id;
	char **names; /* STORE or STORE@HOST */
	int nr_names;
};

struct findings_output {
	struct cli *cli;
	const struct findings_request *request;
	uint64_t open;
	uint64_t shown;
};

static bool is_wanted(const struct findings_request *request, const struct finding *finding)
{
	size_t len = strlen(finding->store);

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

static int show_findings(struct cli *cli, const struct findings_request *request)
{
	struct finding_filter filter = {
		.id = request->id,
		.open_only = !request->all && !request->id,
	};
	struct findings_output out = { cli, request, 0, 0 };
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
	if (out.open == 0 && nr_ended == 0) {
		(void)fprintf(stderr, "assay findings: no scan has ended yet: nothing is known\n");
		return STATUS_GAP;
	}
	if (!cli->json && out.shown == 0)
		(void)printf("no %sfindings\n", request->all ? "" : "open ");
	return out.open ? STATUS_FOUND : STATUS_CLEAN;
}

int cmd_findings(struct cli *cli, const struct cmd *cmd, int argc, char **argv)
{
	static const struct option options[] = {
		{ "all", no_argument, NULL, 'a' },
		CLI_OPTIONS,
	};
	struct findings_request request = { 0 };
	const char *verb = "list";
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == 'a') {
			request.all = true;
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
		request.nr_names = 0;
	} else if (strcmp(verb, "list") != 0) {
		return cli_usage(cmd, "\"%s\" is neither list nor show", verb);
	}
	return show_findings(cli, &request);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * assay status: which copies, in which form, and what the exit status is. What is known of them is
 * service/status.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "cli/cmd.h"
#include "cli/output.h"

struct status_request {
	bool nagios;
	bool configured_only;
	char **names;
	int nr_names;
};

/* Findings outweigh what is stale or unknown, as in a scan. */
static int status_of(const struct status *status)
{
	int result = STATUS_CLEAN;

	for (size_t i = 0; i < status->nr_copies; i++) {
		if (status->copies[i].verdict == COPY_FINDINGS)
			return STATUS_FOUND;
		if (status->copies[i].verdict != COPY_OK)
			result = STATUS_GAP;
	}
	return result;
}

static int show_status(struct cli *cli, const struct status_request *request,
		       const struct status *status)
{
	if (request->nagios)
		return (int)output_print_nagios(stdout, status);
	for (size_t i = 0; cli->json && i < status->nr_copies; i++)
		output_line(output_status(status, &status->copies[i]));
	if (!cli->json && output_print_status(stdout, status)) {
		(void)fprintf(stderr, "assay status: the table cannot be printed\n");
		return STATUS_GAP;
	}
	return status_of(status);
}

/* Says why nothing can be shown, and where a plugin says it. */
static int show_nothing(const struct status_request *request, int result, const char *why,
			const char *name)
{
	(void)fprintf(stderr, "assay status: %s%s\n", name, why);
	return request->nagios ? (int)output_nagios_unknown(stdout, "%s%s", name, why) : result;
}

static int select_and_show(struct cli *cli, const struct status_request *request,
			   struct status *status)
{
	const char *stranger = status_select(status, request->names, request->nr_names,
					     request->configured_only);

	/* State may know the name; as long as it cannot be read, nobody can tell. */
	if (stranger && status->state_error)
		return show_nothing(request, STATUS_GAP,
				    " is not in the configuration, and the state cannot be read",
				    stranger);
	if (stranger)
		return show_nothing(request, STATUS_USAGE,
				    request->configured_only ? " is not in the configuration"
							     : " is not in the configuration and "
							       "was never scanned",
				    stranger);
	if (status->nr_copies == 0)
		return show_nothing(request, STATUS_GAP,
				    status->state_error ? "the state cannot be read"
							: "no store is configured or was ever "
							  "scanned: nothing is known",
				    "");
	return show_status(cli, request, status);
}

static int run_request(struct cli *cli, const struct status_request *request)
{
	struct status status;
	struct conf conf;

	if (!cli_read_conf(cli, &conf))
		return show_nothing(request, STATUS_USAGE, "the configuration cannot be used", "");
	int r = status_read(&status, &conf, cli->state_dir, &cli->log);
	int result = r ? show_nothing(request, STATUS_GAP, strerror(-r), "")
		       : select_and_show(cli, request, &status);
	status_fini(&status);
	conf_fini(&conf);
	return result;
}

int cmd_status(struct cli *cli, const struct cmd *cmd, int argc, char **argv)
{
	static const struct option options[] = {
		{ "nagios", no_argument, NULL, 'n' },
		{ "configured", no_argument, NULL, 'o' },
		CLI_OPTIONS,
	};
	struct status_request request = { 0 };
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == 'n') {
			request.nagios = true;
		} else if (option == 'o') {
			request.configured_only = true;
		} else {
			int status = cli_option(cli, cmd, option);
			if (status >= 0)
				return status;
		}
	}
	if (request.nagios && cli->json)
		return cli_usage(cmd, "either --nagios or --json, not both");
	request.names = argv + optind;
	request.nr_names = argc - optind;
	return run_request(cli, &request);
}

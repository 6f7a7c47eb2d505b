/* SPDX-License-Identifier: Apache-2.0 */
/*
 * assay gate: asks the gate, prints its verdict, and on a permit, and only then, runs a command.
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/cmd.h"
#include "cli/output.h"
#include "service/gate.h"

struct gate_request {
	const char *store;
	const char *host;
	char **command; /* NULL: none */
};

/* The verdict is out before the command starts, so that it is known even if the command hangs. */
static int run_command(char **command)
{
	int status;

	if (fflush(stdout) || ferror(stdout)) {
		(void)fprintf(stderr, "assay gate: the verdict cannot be written, so the command was "
				      "not run: %s\n",
			      strerror(errno));
		return STATUS_GAP;
	}
	pid_t pid = fork();
	if (pid == 0) {
		(void)signal(SIGPIPE, SIG_DFL); /* we ignore it; the command did not ask for that */
		(void)execvp(command[0], command);
		(void)fprintf(stderr, "assay gate: cannot run %s: %s\n", command[0], strerror(errno));
		_exit(127);
	}
	if (pid < 0) {
		(void)fprintf(stderr, "assay gate: cannot run %s: %s\n", command[0], strerror(errno));
		return STATUS_COMMAND_FAILED;
	}
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return STATUS_COMMAND_FAILED;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return STATUS_CLEAN;
	if (WIFEXITED(status))
		(void)fprintf(stderr, "assay gate: permitted, but %s exited with status %d\n",
			      command[0], WEXITSTATUS(status));
	else
		(void)fprintf(stderr, "assay gate: permitted, but %s was ended by signal %d\n",
			      command[0], WTERMSIG(status));
	return STATUS_COMMAND_FAILED;
}

static int decide(struct cli *cli, const struct cmd *cmd, const struct conf *conf,
		  const struct gate_request *request)
{
	const struct copy *replica = conf_find_copy(conf, request->store, request->host);
	struct gate_verdict verdict;

	if (!replica)
		return cli_usage(cmd, "the configuration has no copy of %s on %s", request->store,
				 request->host);
	int r = gate_decide(conf, conf_find_master(conf, request->store), replica, cli->state_dir,
			    &cli->log, &verdict);
	if (r) {
		(void)fprintf(stderr, "assay gate: cannot decide: %s\n", strerror(-r));
		return STATUS_GAP;
	}
	if (cli->json)
		output_line(output_gate(request->store, request->host, &verdict));
	else
		output_print_gate(stdout, request->store, request->host, &verdict);
	enum assay_decision decision = verdict.decision;
	gate_verdict_fini(&verdict);
	if (decision == ASSAY_PERMIT)
		return request->command ? run_command(request->command) : STATUS_CLEAN;
	return decision == ASSAY_DENY ? STATUS_FOUND : STATUS_GAP;
}

int cmd_gate(struct cli *cli, const struct cmd *cmd, int argc, char **argv)
{
	static const struct option options[] = {
		{ "to", required_argument, NULL, 't' },
		CLI_OPTIONS,
	};
	struct gate_request request = { 0 };
	struct conf conf;
	int option, end = argc;

	/* What stands behind "--" is the command, whatever it looks like. */
	for (int i = 1; i < argc && end == argc; i++)
		if (strcmp(argv[i], "--") == 0)
			end = i;
	if (end < argc) {
		request.command = argv + end + 1;
		if (end + 1 == argc)
			return cli_usage(cmd, "no command behind --");
		argv[end] = NULL;
	}
	while ((option = getopt_long(end, argv, "", options, NULL)) != -1) {
		if (option == 't') {
			request.host = optarg;
		} else {
			int status = cli_option(cli, cmd, option);
			if (status >= 0)
				return status;
		}
	}
	if (end - optind != 1 || !request.host)
		return cli_usage(cmd, "one store and --to HOST are needed");
	request.store = argv[optind];
	if (!cli_read_conf(cli, &conf))
		return STATUS_USAGE;
	int status = decide(cli, cmd, &conf, &request);
	conf_fini(&conf);
	return status;
}

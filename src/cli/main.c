/* SPDX-License-Identifier: Apache-2.0 */
/*
 * assay: the table of commands and the way to one of them. What every command needs is here, what
 * only one needs is in its own file.
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "assay.h"
#include "cli/cmd.h"

static const struct cmd commands[] = {
	{ "scan", "verify data at rest", "[TARGET...] [--imapd-conf FILE]",
	  "  --imapd-conf FILE  scan the store with this imapd.conf, which needs no configuration\n"
	  "  --quick            indexes and directories only: nothing that messages hold is read\n"
	  "  --mailbox NAME     only this mailbox, --user NAME only those of this user\n"
	  "  --since T          only messages that came or changed since (2h, 2026-11-23T04:30)\n"
	  "  --only-findings    only mailboxes with an open finding\n"
	  "  --explain MAILBOX  print what every file of the mailbox says; verifies nothing else\n"
	  "  --image I=DIR      an unmounted device or file I, as if it were mounted at DIR\n"
	  "  --max-duration T   stop after this time; the next scan goes on from there\n"
	  "  --restart          do not go on where an interrupted scan stopped\n"
	  "  --bandwidth N      read at most so many bytes a second (100M), --iops N so many reads\n"
	  "  --polite           give way to others on the disk\n"
	  "  --order auto|file  in the order of the disk where it may be read, or as files\n"
	  "  --engine E         auto, io_uring or pread;  --sha1 E  auto, openssl or ipsec-mb\n"
	  "  --progress         progress also without a terminal, --no-progress  not even there\n"
	  "  --raw              of a device or image: only whether all of it can be read\n"
	  "  --no-baseline      of a volume: compare with none and write none\n"
	  "  --no-packages      of a volume: not the files of its packages\n"
	  "  TARGET             STORE, or STORE@HOST for the copy of a peer; VOLUME; the path of a\n"
	  "                     device or image; default: all copies and volumes\n",
	  cmd_scan },
	{ "gate", "may this store fail over there?", "STORE --to HOST [-- COMMAND...]",
	  "  --to HOST          the replica that would become the master\n"
	  "  COMMAND            is run on a permit, and only then\n",
	  cmd_gate },
	{ "status", "what is known now", "[--nagios] [--configured] [STORE[@HOST]...]",
	  "  --nagios           one line with performance data; exit status of a plugin\n"
	  "  --configured       not the copies that the configuration does not name\n"
	  "  STORE              its copies, or STORE@HOST for one; default: all that are known\n",
	  cmd_status },
	{ "findings", "what was found, and what to do about it", "[list [STORE[@HOST]...] | show ID]",
	  "  --all              closed findings as well\n"
	  "  --severity WORD    critical, warning or notice (all): at least that severe\n",
	  cmd_findings },
	{ "baseline", "what is remembered of the blocks of a volume",
	  "VOLUME [show | accept [BLOCK...]]",
	  "  VOLUME             of the configuration, or the path of a device or image\n"
	  "  accept             blocks that were found corrupt are right as they are now: all of\n"
	  "                     them, or those that are named\n",
	  cmd_baseline },
	{ "check-config", "check the configuration", "", NULL, cmd_check_config },
};

static const struct cmd *find_command(const char *name)
{
	for (size_t i = 0; i < array_size(commands); i++)
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	return NULL;
}

static void print_usage(FILE *to, const struct cmd *cmd)
{
	(void)fprintf(to, "usage: assay %s %s\n", cmd->name, cmd->usage);
}

int cli_help(const struct cmd *cmd)
{
	print_usage(stdout, cmd);
	(void)printf("\n%s\n\n%s"
		     "  --config FILE      configuration (%s)\n"
		     "  --state DIR        where runs and findings are kept (%s)\n"
		     "  --json             output for programs\n"
		     "  --help             this text\n\nSee assay-%s(8).\n",
		     cmd->summary, cmd->help ? cmd->help : "", CONF_DEFAULT_FILE, CONF_DEFAULT_STATE,
		     cmd->name);
	return STATUS_USAGE;
}

int cli_usage(const struct cmd *cmd, const char *fmt, ...)
{
	va_list args;

	(void)fprintf(stderr, "assay %s: ", cmd->name);
	va_start(args, fmt);
	(void)vfprintf(stderr, fmt, args);
	va_end(args);
	(void)fprintf(stderr, "\n");
	print_usage(stderr, cmd);
	return STATUS_USAGE;
}

int cli_option(struct cli *cli, const struct cmd *cmd, int option)
{
	switch (option) {
	case 'c':
		cli->config_file = optarg;
		return -1;
	case 'S':
		cli->state_dir = optarg;
		return -1;
	case 'j':
		cli->json = true;
		return -1;
	case 'h':
		return cli_help(cmd);
	default:
		/* getopt has said what it did not understand. */
		print_usage(stderr, cmd);
		return STATUS_USAGE;
	}
}

bool cli_read_conf(struct cli *cli, struct conf *conf)
{
	return conf_read(conf, cli->config_file, &cli->log) == 0;
}

static void print_commands(FILE *to)
{
	(void)fprintf(to, "usage: assay COMMAND [OPTIONS]\n\n");
	for (size_t i = 0; i < array_size(commands); i++)
		(void)fprintf(to, "  %-13s %s\n", commands[i].name, commands[i].summary);
	(void)fprintf(to, "  %-13s %s\n  %-13s %s\n\nassay COMMAND --help tells more; so does assay(8).\n",
		      "help", "this text", "version", "the version");
}

/* Help is asked for or owed; in neither case has anything been verified, so never status 0. */
static int help(int argc, char **argv)
{
	const struct cmd *cmd = argc > 2 ? find_command(argv[2]) : NULL;

	if (argc > 2 && strcmp(argv[2], "--names") == 0) {
		for (size_t i = 0; i < array_size(commands); i++)
			(void)printf("%s\n", commands[i].name);
		return argc == 3 ? STATUS_CLEAN : STATUS_USAGE;
	}
	if (cmd)
		return cli_help(cmd);
	print_commands(stdout);
	return STATUS_USAGE;
}

/*
 * What was printed must have arrived: a verdict lost in a full disk or a closed pipe is no verdict.
 */
static int finish(int status)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return status;
	(void)fprintf(stderr, "assay: cannot write the result: %s\n", strerror(errno));
	return status == STATUS_CLEAN ? STATUS_GAP : status;
}

int main(int argc, char **argv)
{
	struct cli cli = {
		.config_file = CONF_DEFAULT_FILE,
		.state_dir = CONF_DEFAULT_STATE,
		.log = { log_to_stderr, NULL, LOG_LEVEL_INFO },
	};

	(void)signal(SIGPIPE, SIG_IGN);
	if (argc < 2) {
		print_commands(stderr);
		return STATUS_USAGE;
	}
	if (strcmp(argv[1], "help") == 0 || strcmp(argv[1], "--help") == 0 ||
	    strcmp(argv[1], "-h") == 0)
		return finish(help(argc, argv));
	if (strcmp(argv[1], "version") == 0 || strcmp(argv[1], "--version") == 0) {
		(void)printf("assay %s\n", assay_version());
		return finish(argc == 2 ? STATUS_CLEAN : STATUS_USAGE);
	}
	const struct cmd *cmd = find_command(argv[1]);
	if (!cmd) {
		(void)fprintf(stderr, "assay: no command \"%s\"; assay help lists them\n", argv[1]);
		return STATUS_USAGE;
	}
	return finish(cmd->run(&cli, cmd, argc - 1, argv + 1));
}

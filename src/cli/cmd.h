/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a command is, and what all commands share: options, exit status, one log. Each command is
 * one file with one public function, listed in main.c's table.
 */
#ifndef CLI_CMD_H
#define CLI_CMD_H

#include <stdbool.h>

#include "base/compiler.h"
#include "base/log.h"
#include "format/assay/conf.h"

/* Exit status. The gate's 0 means a permit and nothing else. */
enum {
	STATUS_CLEAN = 0, /* gate: permit */
	STATUS_FOUND = 1, /* findings; gate: deny */
	STATUS_GAP = 2,	  /* something could not be checked; gate: undetermined */
	STATUS_USAGE = 3, /* usage or configuration */
	STATUS_COMMAND_FAILED = 4, /* gate: permit, but COMMAND did not exit with 0 */
};

struct cli {
	const char *config_file;
	const char *state_dir;
	bool json;
	struct log log;
};

struct cmd {
	const char *name;
	const char *summary; /* one line of `assay help` */
	const char *usage;   /* what stands behind the name */
	const char *help;    /* options of its own, one a line; may be NULL */
	/* argv[0] is the command's name. Returns an exit status. */
	int (*run)(struct cli *cli, const struct cmd *cmd, int argc, char **argv);
};

int cmd_scan(struct cli *cli, const struct cmd *cmd, int argc, char **argv);
int cmd_gate(struct cli *cli, const struct cmd *cmd, int argc, char **argv);
int cmd_findings(struct cli *cli, const struct cmd *cmd, int argc, char **argv);
int cmd_status(struct cli *cli, const struct cmd *cmd, int argc, char **argv);
int cmd_baseline(struct cli *cli, const struct cmd *cmd, int argc, char **argv);
int cmd_check_config(struct cli *cli, const struct cmd *cmd, int argc, char **argv);

/*
 * Options that every command has, for getopt_long: --config --state --json --help. cli_option()
 * takes their values; call it with whatever getopt_long returned that is not the command's own.
 * Returns -1 to go on, else an exit status to return.
 */
#define CLI_OPTIONS                                                                                \
	{ "config", required_argument, NULL, 'c' }, { "state", required_argument, NULL, 'S' },       \
		{ "json", no_argument, NULL, 'j' }, { "help", no_argument, NULL, 'h' }, { 0 }
int cli_option(struct cli *cli, const struct cmd *cmd, int option) must_check;

/* Prints how the command is used, to stdout; or, with a reason, to stderr. Returns STATUS_USAGE. */
int cli_help(const struct cmd *cmd);
int cli_usage(const struct cmd *cmd, const char *fmt, ...) printf_like(2, 3);

/* Reads the configuration. False when that failed, which has then been said. */
bool cli_read_conf(struct cli *cli, struct conf *conf) must_check;

#endif

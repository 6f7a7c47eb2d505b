/* SPDX-License-Identifier: Apache-2.0 */
/*
 * assay check-config: reads what the other commands would read, and says what they would see.
 */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "cli/cmd.h"
#include "cli/output.h"
#include "replica/channel.h"
#include "verify/target.h"
#include "verify/volume_scan.h"

/* Every replica must be fed by a channel that the master logs. */
static bool check_channels(struct cli *cli, const struct conf *conf, const struct target *master,
			   const char **ret_why)
{
	for (size_t i = 0; i < conf->nr_copies; i++) {
		const struct copy *replica = &conf->copies[i];
		if (replica->role == ROLE_REPLICA && strcmp(replica->store, master->store) == 0 &&
		    channel_check_config(&master->imapd_conf, replica->channel, &cli->log, ret_why))
			return false;
	}
	return true;
}

static bool check_copy(struct cli *cli, const struct conf *conf, const struct copy *copy,
		       json_t *copies)
{
	struct target target = TARGET_NULL;
	const char *why = NULL;
	bool good = target_open(&target, copy->store, copy->host, copy->imapd_conf, &cli->log) == 0;

	if (!good)
		why = "its imapd.conf or configdirectory cannot be read";
	else if (copy->role == ROLE_MASTER)
		good = check_channels(cli, conf, &target, &why);
	if (cli->json) {
		json_t *object = json_object();
		output_set_str(object, "store", copy->store);
		output_set_str(object, "host", copy->host);
		output_set_str(object, "role", role_name(copy->role));
		output_set_str(object, "imapd_conf", copy->imapd_conf);
		output_set_bool(object, "ok", good);
		output_set_str(object, "why", good ? NULL : why);
		(void)json_array_append_new(copies, object);
	} else {
		(void)printf("%-4s %s@%s  %s  %s%s%s\n", good ? "ok" : "BAD", copy->store, copy->host,
			     role_name(copy->role), copy->imapd_conf, good ? "" : ": ",
			     good ? "" : why);
	}
	target_fini(&target);
	return good;
}

/* What a volume is, by its bytes, and where it is mounted. */
static bool check_volume(struct cli *cli, const struct conf *conf, const struct conf_volume *volume,
			 json_t *volumes)
{
	struct volume_target target;
	const char *where = volume->mount ? volume->mount : volume->device;
	bool good = volume_target_open_named(&target, conf, volume, &cli->log) == 0;
	const char *why = good ? NULL : "it cannot be opened, or holds no ext filesystem";

	if (cli->json) {
		json_t *object = json_object();
		output_set_str(object, "volume", volume->name);
		output_set_str(object, "at", where);
		output_set_str(object, "device", good ? target.path : NULL);
		output_set_str(object, "mount", good ? target.mount : NULL);
		output_set_bool(object, "ok", good);
		output_set_str(object, "why", why);
		(void)json_array_append_new(volumes, object);
	} else {
		(void)printf("%-4s %s  volume  %s%s%s%s%s\n", good ? "ok" : "BAD", volume->name,
			     where, good ? "  " : ": ", good ? target.path : why,
			     good && target.mount ? ", mounted at " : "",
			     good && target.mount ? target.mount : "");
	}
	volume_target_fini(&target);
	return good;
}

static void show_policy(struct cli *cli, const struct policy *policy, json_t *object)
{
	char lag[64], age[64], deadline[64], patience[64], settle[64];

	if (cli->json) {
		output_set(object, "max_lag_s", json_real((double)policy->max_lag_ns / 1e9));
		output_set(object, "max_scan_age_s", json_real((double)policy->max_scan_age_ns / 1e9));
		return;
	}
	(void)printf("policy: max_lag %s, max_scan_age %s, gate_deadline %s, gate_patience %s, "
		     "settle %s, readers %u\n",
		     text_duration(policy->max_lag_ns, lag, sizeof(lag)),
		     text_duration(policy->max_scan_age_ns, age, sizeof(age)),
		     text_duration(policy->gate_deadline_ns, deadline, sizeof(deadline)),
		     text_duration(policy->gate_patience_ns, patience, sizeof(patience)),
		     text_duration(policy->settle_ns, settle, sizeof(settle)), policy->readers);
}

static int check_all(struct cli *cli, const struct conf *conf)
{
	json_t *object = cli->json ? output_object("config") : NULL;
	json_t *copies = cli->json ? json_array() : NULL;
	json_t *volumes = cli->json ? json_array() : NULL;
	bool good = true, is_empty = conf->nr_copies == 0 && conf->nr_volumes == 0;

	show_policy(cli, &conf->policy, object);
	for (size_t i = 0; i < conf->nr_copies; i++) {
		const struct copy *copy = &conf->copies[i];
		good &= check_copy(cli, conf, copy, copies);
		if (copy->role == ROLE_REPLICA && !conf_find_master(conf, copy->store))
			log_warning(&cli->log, "%s has no master in the configuration: the gate cannot "
					       "judge it",
				    copy->store);
	}
	for (size_t i = 0; i < conf->nr_volumes; i++)
		good &= check_volume(cli, conf, &conf->volumes[i], volumes);
	if (is_empty)
		log_warning(&cli->log, "%s names no store and no volume", cli->config_file);
	if (cli->json) {
		output_set_bool(object, "ok", good && !is_empty);
		output_set(object, "copies", copies);
		output_set(object, "volumes", volumes);
		output_line(object);
	}
	return good && !is_empty ? STATUS_CLEAN : STATUS_USAGE;
}

int cmd_check_config(struct cli *cli, const struct cmd *cmd, int argc, char **argv)
{
	static const struct option options[] = { CLI_OPTIONS };
	struct conf conf;
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		int status = cli_option(cli, cmd, option);
		if (status >= 0)
			return status;
	}
	if (optind < argc)
		return cli_usage(cmd, "\"%s\" is not understood", argv[optind]);
	if (!cli_read_conf(cli, &conf))
		return STATUS_USAGE;
	int status = check_all(cli, &conf);
	conf_fini(&conf);
	return status;
}

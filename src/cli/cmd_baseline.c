/* SPDX-License-Identifier: Apache-2.0 */
/*
 * assay baseline: what is remembered of the blocks of a volume; and accepting as right what was found
 * corrupt.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "cli/cmd.h"
#include "cli/output_volume.h"
#include "verify/volume_accept.h"
#include "verify/volume_view.h"

struct show {
	struct cli *cli;
	const struct volume_target *target;
	const uint8_t *uuid;
	uint64_t numbers[64];
	size_t nr;
	int error;
};

static int on_number(uint64_t number, void *ctx)
{
	struct show *show = ctx;

	if (show->nr == array_size(show->numbers)) {
		memmove(show->numbers, show->numbers + 1,
			sizeof(show->numbers) - sizeof(show->numbers[0]));
		show->nr--;
	}
	show->numbers[show->nr++] = number;
	return 0;
}

static int on_change(enum baseline_change change, uint64_t first, uint64_t nr, void *ctx)
{
	struct baseline_difference *d = ctx;

	(void)first;
	if (change == BASELINE_CHANGED)
		d->changed += nr;
	else if (change == BASELINE_NEW)
		d->added += nr;
	else
		d->gone += nr;
	return 0;
}

static int show_one(struct show *show, size_t i, struct baseline *older, struct baseline **ret_b)
{
	struct baseline_difference d = { .number = i ? show->numbers[i - 1] : 0 };
	struct baseline_info info;
	struct baseline *b;

	int r = baseline_open(show->cli->state_dir, show->uuid, show->numbers[i], &b);
	*ret_b = NULL;
	if (r == 0) {
		baseline_get_info(b, &info);
		output_baseline(show->cli, show->target->name, &info, i + 1 == show->nr);
		r = baseline_verify(b);
		*ret_b = b;
	}
	if (r == 0 && older) {
		r = baseline_diff(older, b, on_change, &d);
		if (r == 0)
			output_baseline_difference(show->cli, &d);
	}
	if (r)
		(void)fprintf(stderr, "assay baseline: generation %" PRIu64 ": %s\n", show->numbers[i],
			      r == -EBADMSG ? "it is damaged" : strerror(-r));
	return r;
}

static int show_all(struct cli *cli, const struct volume_target *target)
{
	struct volume_view view cleanup(volume_view_close) = VOLUME_VIEW_NULL;
	struct show show = { .cli = cli, .target = target };
	struct baseline *older = NULL, *b = NULL;

	int r = volume_view_open(&view, target->path);
	show.uuid = view.info.uuid;
	if (r == 0)
		r = baseline_list(cli->state_dir, show.uuid, on_number, &show);
	if (r) {
		(void)fprintf(stderr, "assay baseline: %s: %s\n", target->path, strerror(-r));
		return STATUS_GAP;
	}
	if (show.nr == 0)
		(void)fprintf(stderr, "assay baseline: %s has none: a scan leaves one\n",
			      target->name);
	int status = show.nr ? STATUS_CLEAN : STATUS_GAP;
	for (size_t i = 0; i < show.nr; i++) {
		if (show_one(&show, i, older, &b))
			status = STATUS_GAP;
		baseline_close(older);
		older = b;
	}
	baseline_close(older);
	return status;
}

static int accept_blocks(struct cli *cli, const struct cmd *cmd, const struct volume_target *target,
			 char **words, int nr)
{
	struct accept_request request = { .state_dir = cli->state_dir };
	uint64_t *blocks = calloc((size_t)nr + 1, sizeof(*blocks));
	struct state *state = NULL;
	uint64_t accepted = 0;
	int r = blocks ? 0 : -ENOMEM;

	for (int i = 0; i < nr && r == 0; i++) {
		if (span_parse_u64(span_of_str(words[i]), UINT64_MAX, &blocks[i])) {
			free(blocks);
			return cli_usage(cmd, "%s is no number of a block", words[i]);
		}
	}
	request.blocks = blocks;
	request.nr_blocks = (size_t)nr;
	if (r == 0)
		r = state_open(cli->state_dir, STATE_WRITE, &cli->log, &state);
	if (r == 0)
		r = volume_accept(state, target, &request, &cli->log, &accepted);
	state_close(state);
	free(blocks);
	if (r)
		return STATUS_GAP;
	if (cli->json) {
		json_t *object = output_object("baseline_accept");
		output_set_str(object, "volume", target->name);
		output_set_int(object, "accepted", (int64_t)accepted);
		output_line(object);
	} else {
		(void)printf("%" PRIu64 " blocks accepted as they are\n", accepted);
	}
	return accepted ? STATUS_CLEAN : STATUS_GAP;
}

static int open_target(struct cli *cli, const char *name, struct volume_target *ret_target)
{
	struct conf conf;
	int status = -1;

	conf_init(&conf);
	if (strchr(name, '/')) {
		if (volume_target_open_path(ret_target, NULL, name, false, &cli->log))
			status = STATUS_GAP;
		return status;
	}
	if (!cli_read_conf(cli, &conf))
		return STATUS_USAGE;
	const struct conf_volume *volume = conf_find_volume(&conf, name);
	if (!volume) {
		(void)fprintf(stderr, "assay baseline: no volume is called %s\n", name);
		status = STATUS_USAGE;
	} else if (volume_target_open_named(ret_target, &conf, volume, &cli->log)) {
		status = STATUS_GAP;
	}
	conf_fini(&conf);
	return status;
}

int cmd_baseline(struct cli *cli, const struct cmd *cmd, int argc, char **argv)
{
	static const struct option options[] = { CLI_OPTIONS };
	struct volume_target target = VOLUME_TARGET_NULL;
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		int status = cli_option(cli, cmd, option);
		if (status >= 0)
			return status;
	}
	argv += optind;
	argc -= optind;
	const char *what = argc > 1 ? argv[1] : "show";
	bool accept = strcmp(what, "accept") == 0;
	if (argc < 1)
		return cli_usage(cmd, "which volume?");
	if (!accept && (strcmp(what, "show") || argc > 2))
		return cli_usage(cmd, "show or accept, not %s", argc > 2 ? argv[2] : what);
	int status = open_target(cli, argv[0], &target);
	if (status >= 0)
		return status;
	status = accept ? accept_blocks(cli, cmd, &target, argv + 2, argc - 2)
			: show_all(cli, &target);
	volume_target_fini(&target);
	return status;
}

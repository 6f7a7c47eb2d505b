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
#include <sys/time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"
#include "cli/cmd.h"
#include "cli/output_explain.h"
#include "cli/output_scan.h"
#include "cli/output_volume.h"

static volatile sig_atomic_t stop_requested;
static volatile sig_atomic_t progress_requested;
static volatile sig_atomic_t limits_requested;
/* Also when the time of a volume is over, which ends no other target. */
static volatile sig_atomic_t volume_stop_requested;

static void on_stop(int signal_number)
{
	(void)signal_number;
	stop_requested = 1;
	volume_stop_requested = 1;
}

static void on_alarm(int signal_number)
{
	(void)signal_number;
	volume_stop_requested = 1;
}

static void on_progress(int signal_number)
{
	(void)signal_number;
	progress_requested = 1;
}

static void on_limits(int signal_number)
{
	(void)signal_number;
	limits_requested = 1;
}

static void catch_signals(void)
{
	struct sigaction limits = { .sa_handler = on_limits, .sa_flags = SA_RESTART };
	struct sigaction stop = { .sa_handler = on_stop, .sa_flags = SA_RESTART };
	struct sigaction alarm_action = { .sa_handler = on_alarm, .sa_flags = SA_RESTART };
	struct sigaction progress = { .sa_handler = on_progress, .sa_flags = SA_RESTART };

	(void)sigaction(SIGTERM, &stop, NULL);
	(void)sigaction(SIGINT, &stop, NULL);
	(void)sigaction(SIGUSR1, &progress, NULL);
	(void)sigaction(SIGHUP, &limits, NULL);
	(void)sigaction(SIGALRM, &alarm_action, NULL);
}

struct scan_request {
	const char *imapd_conf;
	char *image; /* "PATH=MOUNT", taken apart when it is opened */
	char **names;
	int nr_names;
	enum progress_style style;
	enum scan_order order;
	enum ring_engine engine;
	enum sha1_engine sha1;
	bool restart;
	int64_t max_duration_ns;
	bool has_bandwidth, has_iops, polite;
	uint64_t bandwidth, iops;
	struct scan_selection selection; /* what it points to is owned */
	bool quick;
	int64_t since_ns;
	const char *explain; /* a mailbox; NULL: it is a scan */
	bool raw, no_baseline, no_packages; /* of volumes */
};

static int status_of(const struct run *run)
{
	/* A run whose planted fault was not found proves nothing, not even its findings. */
	if (run->status == RUN_VOID)
		return STATUS_GAP;
	if (run->findings)
		return STATUS_FOUND;
	return run->status == RUN_COMPLETE ? STATUS_CLEAN : STATUS_GAP;
}

/* The limits of the command line, over those of the configuration. */
static void get_limits(const struct scan_request *request, const struct policy *policy,
		       struct throttle_limits *ret_limits)
{
	*ret_limits = (struct throttle_limits){
		.bytes_per_s = request->has_bandwidth ? request->bandwidth : policy->scan_bandwidth,
		.ops_per_s = request->has_iops ? request->iops : policy->scan_iops,
		.polite = request->polite || policy->scan_polite,
	};
}

struct limits_source {
	struct cli *cli;
	const struct scan_request *request;
};

/* SIGHUP: the configuration is read again. One that is not understood changes nothing. */
static void read_limits_again(struct throttle_limits *ret_limits, void *ctx)
{
	struct limits_source *source = ctx;
	struct conf conf;

	conf_init(&conf);
	if (!source->request->imapd_conf && cli_read_conf(source->cli, &conf))
		get_limits(source->request, &conf.policy, ret_limits);
	conf_fini(&conf);
}

static unsigned count_digesters(void)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);

	return cpus < 4 ? 1 : cpus < 16 ? (unsigned)cpus / 2 : 8;
}

static int scan_target(struct cli *cli, struct state *state, const struct policy *policy,
		       const struct target *target, const struct scan_request *request)
{
	struct limits_source source = { cli, request };
	struct scan_output out;
	struct scan_events events;
	struct scan_options options = {
		.settle_ns = policy->settle_ns,
		.readers = policy->readers,
		.digesters = count_digesters(),
		.order = request->order,
		.engine = request->engine,
		.sha1 = request->sha1,
		.restart = request->restart,
		.selection = request->selection,
		.quick = request->quick,
		.since_ns = request->since_ns,
		.resume_max_age_ns = policy->max_scan_age_ns,
		.max_duration_ns = request->max_duration_ns,
		.new_limits = &limits_requested,
		.get_limits = read_limits_again,
		.limits_ctx = &source,
		.stop = &stop_requested,
		.show_progress = &progress_requested,
	};
	struct run run = { 0 };

	if (request->explain)
		return output_explain(cli, target, request->explain);
	get_limits(request, policy, &options.limits);
	scan_output_init(&out, cli, target, request->style);
	scan_output_get_events(&out, &events);
	int r = scan_store(state, target, &options, &events, &cli->log, &run);
	scan_output_clear_line(&out);
	if (r)
		(void)fprintf(stderr, "assay scan: %s@%s: the scan did not end: %s\n", target->store,
			      target->host, strerror(-r));
	else
		scan_output_summarize(&out, &run);
	scan_output_fini(&out);
	return r ? (run.findings ? STATUS_FOUND : STATUS_GAP) : status_of(&run);
}

/* The worst of two exit statuses; findings outweigh gaps, and both outweigh usage of one target. */
static int worse(int a, int b)
{
	static const int rank[] = { [STATUS_CLEAN] = 0, [STATUS_USAGE] = 1, [STATUS_GAP] = 2,
				    [STATUS_FOUND] = 3 };

	return rank[a] >= rank[b] ? a : b;
}

/* A name or an imapd.conf that is not there or not understood is configuration; a store that
 * cannot be reached is something that was not checked. */
static int status_of_target(int error)
{
	return error == -ENOENT || error == -EBADMSG || error == -EINVAL || error == -EEXIST ||
			       error == -ELOOP || error == -E2BIG
		       ? STATUS_USAGE
		       : STATUS_GAP;
}

/* The image of the command line; NULL when there is none. */
static int open_image(struct cli *cli, const struct scan_request *request, struct image **ret_image)
{
	struct buf path = BUF_NULL;

	if (!request->image)
		return 0;
	const char *mount = strstr(request->image, "=/") + 1;
	buf_add(&path, request->image, (size_t)(mount - 1 - request->image));
	int r = buf_error(&path);
	if (r == 0)
		r = image_open(buf_str(&path), mount, &cli->log, ret_image);
	buf_fini(&path);
	return r;
}

static int scan_named(struct cli *cli, struct state *state, const struct conf *conf,
		      const char *name, const struct scan_request *request)
{
	struct target target = TARGET_NULL;
	struct image *image = NULL;
	int r = open_image(cli, request, &image);

	if (r) /* said in the log */
		return STATUS_GAP;
	r = target_open_named(&target, conf, name, image, &cli->log);
	if (r)
		return status_of_target(r);
	int status = scan_target(cli, state, &conf->policy, &target, request);
	target_fini(&target);
	return status;
}

/* 0: none. */
static void set_alarm(int64_t ns)
{
	struct itimerval timer = {
		.it_value = { .tv_sec = ns / NS_PER_S, .tv_usec = ns % NS_PER_S / 1000 },
	};

	/* Too short for a timer is over at once, not never. */
	if (ns && !timer.it_value.tv_sec && !timer.it_value.tv_usec)
		timer.it_value.tv_usec = 1;
	(void)setitimer(ITIMER_REAL, &timer, NULL);
}

static int scan_volume_target(struct cli *cli, struct state *state, const struct policy *policy,
			      const struct volume_target *volume,
			      const struct scan_request *request)
{
	/* How it is called in what is shown as of a store. */
	struct target shown = { .store = volume->name, .host = volume->host };
	struct volume_scan_options options = {
		.state_dir = cli->state_dir,
		.settle_ns = policy->settle_ns,
		.engine = request->engine,
		.no_baseline = request->no_baseline,
		.no_packages = request->no_packages,
		.stop = &volume_stop_requested,
		.show_progress = &progress_requested,
	};
	struct scan_output out;
	struct scan_events events;
	struct volume_scan_result result;

	get_limits(request, policy, &options.limits);
	set_alarm(request->max_duration_ns);
	volume_stop_requested = stop_requested;
	scan_output_init(&out, cli, &shown, request->style);
	scan_output_get_events(&out, &events);
	int r = scan_volume(state, volume, &options, &events, &cli->log, &result);
	set_alarm(0);
	scan_output_clear_line(&out);
	if (r)
		(void)fprintf(stderr, "assay scan: %s: the scan did not end: %s\n", volume->name,
			      strerror(-r));
	else
		output_volume_summary(&out, volume, &result);
	scan_output_fini(&out);
	return r ? (result.run.findings ? STATUS_FOUND : STATUS_GAP) : status_of(&result.run);
}

/* Configured and not verified: that is a gap, and said. Why stands in the log. */
static int skip_volume(struct cli *cli, const char *name)
{
	static const char why[] = "it cannot be opened, or holds no ext filesystem";

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

static int scan_configured_volume(struct cli *cli, struct state *state, const struct conf *conf,
				  const struct conf_volume *configured,
				  const struct scan_request *request)
{
	struct volume_target volume;

	if (volume_target_open_named(&volume, conf, configured, &cli->log))
		return skip_volume(cli, configured->name);
	int status = scan_volume_target(cli, state, &conf->policy, &volume, request);
	volume_target_fini(&volume);
	return status;
}

static int scan_path(struct cli *cli, struct state *state, const struct conf *conf, const char *path,
		     const struct scan_request *request)
{
	struct volume_target volume;

	int r = volume_target_open_path(&volume, conf, path, request->raw, &cli->log);
	if (r)
		return r == -ENOENT ? STATUS_USAGE : skip_volume(cli, path);
	int status = scan_volume_target(cli, state, &conf->policy, &volume, request);
	volume_target_fini(&volume);
	return status;
}

/* What only the mailboxes of a store have. */
static bool is_about_mailboxes(const struct scan_request *request)
{
	return request->quick || request->since_ns || request->explain || request->image ||
	       !selection_is_empty(&request->selection);
}

static int refuse(const char *name, const char *why)
{
	(void)fprintf(stderr, "assay scan: %s: %s\n", name, why);
	return STATUS_USAGE;
}

/* A name with a slash is a device or an image; else it is a volume or a store of the configuration. */
static int scan_name(struct cli *cli, struct state *state, const struct conf *conf,
		     const char *name, const struct scan_request *request)
{
	const struct conf_volume *volume = conf_find_volume(conf, name);
	bool is_path = strchr(name, '/');

	if ((is_path || volume) && is_about_mailboxes(request))
		return refuse(name, "it is no store: --quick, --since, --mailbox, --user, "
				    "--only-findings, --explain and --image are for stores");
	if (!is_path && !volume && (request->no_baseline || request->no_packages))
		return refuse(name, "it is no volume, but --no-baseline and --no-packages are for "
				    "volumes");
	if (!is_path && request->raw)
		return refuse(name, "--raw needs the path of a device or image");
	if (is_path)
		return scan_path(cli, state, conf, name, request);
	return volume ? scan_configured_volume(cli, state, conf, volume, request)
		      : scan_named(cli, state, conf, name, request);
}

static int scan_all(struct cli *cli, struct state *state, const struct conf *conf,
		    const struct scan_request *request)
{
	int status = STATUS_CLEAN;

	for (int i = 0; i < request->nr_names && !stop_requested; i++)
		status = worse(status, scan_name(cli, state, conf, request->names[i], request));
	for (size_t i = 0; request->nr_names == 0 && i < conf->nr_copies && !stop_requested; i++) {
		struct buf name = BUF_NULL;
		buf_addf(&name, "%s@%s", conf->copies[i].store, conf->copies[i].host);
		status = worse(status, buf_error(&name) ? STATUS_GAP
							: scan_named(cli, state, conf, buf_str(&name), request));
		buf_fini(&name);
	}
	/* A part of the stores is no part of a volume. */
	bool volumes = request->nr_names == 0 && !is_about_mailboxes(request);
	for (size_t i = 0; volumes && i < conf->nr_volumes && !stop_requested; i++)
		status = worse(status, scan_configured_volume(cli, state, conf, &conf->volumes[i],
							      request));
	if (request->nr_names == 0 && conf->nr_copies == 0 && !(volumes && conf->nr_volumes)) {
		(void)fprintf(stderr, "assay scan: the configuration names no store%s: nothing to scan\n",
			      volumes ? " and no volume" : "");
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
	struct image *image = NULL;
	int r = open_image(cli, request, &image);
	if (r) /* said in the log */
		return STATUS_GAP;
	r = target_open_image(&target, request->imapd_conf, host, request->imapd_conf, image,
			      &cli->log);
	if (r) /* said in the log */
		return status_of_target(r);
	target.is_named = false;
	int status = scan_target(cli, state, &conf->policy, &target, request);
	target_fini(&target);
	return status;
}

/* A store with its imapd.conf needs none; devices and images do without where there is none. */
static bool needs_conf(const struct cli *cli, const struct scan_request *request)
{
	if (request->imapd_conf)
		return false;
	for (int i = 0; i < request->nr_names; i++)
		if (!strchr(request->names[i], '/'))
			return true;
	return request->nr_names == 0 || access(cli->config_file, F_OK) == 0;
}

static int run_request(struct cli *cli, const struct scan_request *request)
{
	struct conf conf;
	struct state *state = NULL;
	int status;

	conf_init(&conf);
	if (needs_conf(cli, request) && !cli_read_conf(cli, &conf))
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

/* One more mailbox or user of the command line. Returns -1 to go on, else an exit status. */
static int add_word(char ***words, size_t *nr)
{
	char **more = reallocarray(*words, *nr + 1, sizeof(**words));

	if (!more)
		return STATUS_GAP;
	*words = more;
	more[(*nr)++] = optarg;
	return -1;
}

/* Options that are about volumes. False: it is none of them. */
static bool volume_option(int option, struct scan_request *request)
{
	switch (option) {
	case 'w':
		request->raw = true;
		return true;
	case 'B':
		request->no_baseline = true;
		return true;
	case 'K':
		request->no_packages = true;
		return true;
	default:
		return false;
	}
}

/* What the command line says beside targets. Returns -1 to go on, else an exit status. */
static int scan_option(struct cli *cli, const struct cmd *cmd, int option,
		       struct scan_request *request)
{
	switch (option) {
	case 'i':
		request->imapd_conf = optarg;
		return -1;
	case 'I':
		request->image = optarg;
		return -1;
	case 'n':
		request->style = PROGRESS_ASKED;
		return -1;
	case 'p':
		request->style = PROGRESS_LOG;
		return -1;
	case 'o':
		request->order = strcmp(optarg, "file") == 0 ? SCAN_ORDER_FILE : SCAN_ORDER_AUTO;
		return strcmp(optarg, "file") == 0 || strcmp(optarg, "auto") == 0
			       ? -1
			       : cli_usage(cmd, "--order is auto or file, not %s", optarg);
	case 'e':
		return ring_engine_parse(optarg, &request->engine) == 0
			       ? -1
			       : cli_usage(cmd, "--engine is auto, io_uring or pread, not %s", optarg);
	case '1':
		return sha1_engine_parse(optarg, &request->sha1) == 0
			       ? -1
			       : cli_usage(cmd, "--sha1 is auto, openssl or ipsec-mb, not %s", optarg);
	case 'r':
		request->restart = true;
		return -1;
	case 'd':
		return text_parse_duration(optarg, &request->max_duration_ns) == 0 &&
				       request->max_duration_ns > 0
			       ? -1
			       : cli_usage(cmd, "--max-duration is a time such as 4h, not %s", optarg);
	case 'b':
		request->has_bandwidth = true;
		return text_parse_bytes(optarg, &request->bandwidth) == 0
			       ? -1
			       : cli_usage(cmd, "--bandwidth is bytes a second such as 100M, not %s",
					   optarg);
	case 'O':
		request->has_iops = true;
		return span_parse_u64(span_of_str(optarg), UINT32_MAX, &request->iops) == 0
			       ? -1
			       : cli_usage(cmd, "--iops is reads a second, not %s", optarg);
	case 'P':
		request->polite = true;
		return -1;
	case 'q':
		request->quick = true;
		return -1;
	case 'm':
		return add_word(&request->selection.mailboxes, &request->selection.nr_mailboxes);
	case 'u':
		return add_word(&request->selection.users, &request->selection.nr_users);
	case 'f':
		request->selection.only_findings = true;
		return -1;
	case 's':
		return text_parse_moment(optarg, clock_wall_ns(), &request->since_ns) == 0
			       ? -1
			       : cli_usage(cmd,
					   "--since is a time ago such as 2h, or a moment that has "
					   "been such as 2026-11-23T04:30, not %s",
					   optarg);
	case 'x':
		request->explain = optarg;
		return -1;
	default:
		return volume_option(option, request) ? -1 : cli_option(cli, cmd, option);
	}
}

/* Does the command line fit together? Returns -1 to go on, else an exit status. */
static int check_request(const struct cmd *cmd, const struct scan_request *request)
{
	if (request->imapd_conf && request->nr_names)
		return cli_usage(cmd, "either --imapd-conf or the names of stores, not both");
	if (request->image && !request->imapd_conf && request->nr_names != 1)
		return cli_usage(cmd, "--image needs one store, or --imapd-conf");
	if (request->image && (request->image[0] == '\0' || !strstr(request->image, "=/")))
		return cli_usage(cmd, "--image is FILE=MOUNTPOINT or DEVICE=MOUNTPOINT, not %s",
				 request->image);
	if (request->explain && !request->imapd_conf && request->nr_names != 1)
		return cli_usage(cmd, "--explain needs one store, or --imapd-conf");
	if (request->explain && (request->quick || request->since_ns ||
				 !selection_is_empty(&request->selection)))
		return cli_usage(cmd, "--explain is about one mailbox and scans nothing: no --quick, "
				      "--since, --mailbox, --user or --only-findings beside it");
	return -1;
}

int cmd_scan(struct cli *cli, const struct cmd *cmd, int argc, char **argv)
{
	static const struct option options[] = {
		{ "imapd-conf", required_argument, NULL, 'i' },
		{ "image", required_argument, NULL, 'I' },
		{ "no-progress", no_argument, NULL, 'n' },
		{ "progress", no_argument, NULL, 'p' },
		{ "order", required_argument, NULL, 'o' },
		{ "engine", required_argument, NULL, 'e' },
		{ "sha1", required_argument, NULL, '1' },
		{ "restart", no_argument, NULL, 'r' },
		{ "max-duration", required_argument, NULL, 'd' },
		{ "bandwidth", required_argument, NULL, 'b' },
		{ "iops", required_argument, NULL, 'O' },
		{ "polite", no_argument, NULL, 'P' },
		{ "quick", no_argument, NULL, 'q' },
		{ "mailbox", required_argument, NULL, 'm' },
		{ "user", required_argument, NULL, 'u' },
		{ "since", required_argument, NULL, 's' },
		{ "only-findings", no_argument, NULL, 'f' },
		{ "explain", required_argument, NULL, 'x' },
		{ "raw", no_argument, NULL, 'w' },
		{ "no-baseline", no_argument, NULL, 'B' },
		{ "no-packages", no_argument, NULL, 'K' },
		CLI_OPTIONS,
	};
	struct scan_request request = {
		.style = isatty(STDERR_FILENO) ? PROGRESS_LINE : PROGRESS_ASKED,
	};
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		int status = scan_option(cli, cmd, option, &request);
		if (status >= 0) {
			free(request.selection.mailboxes);
			free(request.selection.users);
			return status;
		}
	}
	request.names = argv + optind;
	request.nr_names = argc - optind;
	int status = check_request(cmd, &request);
	if (cli->json && request.style == PROGRESS_LINE)
		request.style = PROGRESS_ASKED;
	if (status < 0)
		status = run_request(cli, &request);
	free(request.selection.mailboxes);
	free(request.selection.users);
	return status;
}

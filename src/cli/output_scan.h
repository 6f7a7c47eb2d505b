/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a scan shows, for people and as JSON. A struct scan_output is the context of the events.
 */
#ifndef CLI_OUTPUT_SCAN_H
#define CLI_OUTPUT_SCAN_H

#include <stdbool.h>

#include "cli/cmd.h"
#include "cli/output.h"
#include "verify/scan.h"

enum progress_style {
	PROGRESS_ASKED, /* when SIGUSR1 asks for it */
	PROGRESS_LINE,	/* one line of a terminal, rewritten */
	PROGRESS_LOG,	/* a line now and then; every second as JSON */
};

struct scan_output {
	const struct cli *cli;
	const struct target *target;
	enum progress_style style;
	bool line_is_drawn;
	int64_t last_line_ns; /* monotonic */
	struct buf roads;     /* lines for people, told after the summary */
	json_t *json_roads;
};

/* Begins the output of one target. */
void scan_output_init(struct scan_output *out, const struct cli *cli, const struct target *target,
		      enum progress_style style);
void scan_output_fini(struct scan_output *out);

/* The events of scan_store. */
void scan_output_get_events(struct scan_output *out, struct scan_events *ret_events);

/* Removes the progress line, so that something else can be printed. */
void scan_output_clear_line(struct scan_output *out);

/* "OK", "FINDINGS AND GAPS"... */
const char *scan_output_headline(const struct run *run);

void scan_output_summarize(struct scan_output *out, const struct run *run);

#endif

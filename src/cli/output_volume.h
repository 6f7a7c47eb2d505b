/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the scan of a volume shows at its end. Findings and gaps are shown as those of stores.
 */
#ifndef CLI_OUTPUT_VOLUME_H
#define CLI_OUTPUT_VOLUME_H

#include "cli/cmd.h"
#include "cli/output_scan.h"
#include "state/baseline.h"
#include "verify/volume_scan.h"

void output_volume_summary(struct scan_output *out, const struct volume_target *target,
			   const struct volume_scan_result *result);

/* A generation of a baseline; `newest`: it is what the next scan compares with. */
void output_baseline(const struct cli *cli, const char *name, const struct baseline_info *info,
		     bool newest);

struct baseline_difference {
	uint64_t number; /* of the older one */
	uint64_t changed, added, gone; /* blocks */
};
void output_baseline_difference(const struct cli *cli, const struct baseline_difference *difference);

#endif

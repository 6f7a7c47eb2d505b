/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What `assay scan --explain` shows: a file, its parts, their fields, and the checks, as they come.
 */
#ifndef CLI_OUTPUT_EXPLAIN_H
#define CLI_OUTPUT_EXPLAIN_H

#include "cli/cmd.h"
#include "verify/explain.h"

/*
 * Explains one mailbox on stdout. Returns an exit status: 1 when a check failed, 2 when one could
 * not be made.
 */
int output_explain(struct cli *cli, const struct target *target, const char *mailbox);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A heading is printed when the file or the part changes.
 */
#include "cli/output_explain.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/text.h"
#include "cli/output.h"

struct explain_output {
	const struct cli *cli;
	const struct target *target;
	const char *mailbox;
	struct buf path, part; /* of the line before */
};

static const char *const results[EXPLAIN_RESULT_COUNT_] = {
	[EXPLAIN_VALUE] = "value",
	[EXPLAIN_PASSED] = "passed",
	[EXPLAIN_FAILED] = "failed",
	[EXPLAIN_UNKNOWN] = "unknown",
};

static bool replace(struct buf *b, const char *text)
{
	if (span_equals_str(buf_span(b), text))
		return false;
	buf_clear(b);
	buf_add_str(b, text);
	return true;
}

static void on_line_json(const struct explain_output *out, const struct explain_line *line)
{
	json_t *object = output_object("explain");

	output_set_str(object, "store", out->target->store);
	output_set_str(object, "host", out->target->host);
	output_set_str(object, "mailbox", out->mailbox);
	output_set_bytes(object, "path", span_of_str(line->path));
	output_set_str(object, "part", line->part);
	output_set_str(object, "result", results[line->result]);
	output_set_str(object, "name", line->name);
	output_set_str(object, "value", line->value);
	output_line(object);
}

static void on_line(const struct explain_line *line, void *ctx)
{
	static const char *const marks[EXPLAIN_RESULT_COUNT_] = {
		[EXPLAIN_VALUE] = "      ",
		[EXPLAIN_PASSED] = "ok    ",
		[EXPLAIN_FAILED] = "FAIL  ",
		[EXPLAIN_UNKNOWN] = "?     ",
	};
	struct explain_output *out = ctx;

	if (out->cli->json) {
		on_line_json(out, line);
		return;
	}
	if (replace(&out->path, line->path)) {
		struct buf path = BUF_NULL;
		text_add_printable(&path, span_of_str(line->path));
		(void)printf("%s\n", *line->path ? buf_str(&path) : "all together");
		buf_fini(&path);
		buf_clear(&out->part);
	}
	if (replace(&out->part, line->part) && *line->part)
		(void)printf("  %s\n", line->part);
	(void)printf("    %s%-20s %s\n", marks[line->result], line->name, line->value);
}

int output_explain(struct cli *cli, const struct target *target, const char *mailbox)
{
	struct explain_output out = { cli, target, mailbox, BUF_NULL, BUF_NULL };
	struct explain_summary summary;
	int r = explain_mailbox(target, mailbox, &cli->log, on_line, &out, &summary);

	buf_fini(&out.path);
	buf_fini(&out.part);
	if (r) /* said in the log */
		return r == -ENOENT ? STATUS_USAGE : STATUS_GAP;
	if (cli->json) {
		json_t *object = output_object("explain_summary");
		output_set_str(object, "store", target->store);
		output_set_str(object, "host", target->host);
		output_set_str(object, "mailbox", mailbox);
		output_set_int(object, "passed", (int64_t)summary.passed);
		output_set_int(object, "failed", (int64_t)summary.failed);
		output_set_int(object, "unknown", (int64_t)summary.unknown);
		output_line(object);
	} else {
		(void)printf("%s  %" PRIu64 " checks passed, %" PRIu64 " failed, %" PRIu64
			     " could not be made, as one look saw it\n",
			     summary.failed    ? "FINDINGS"
			     : summary.unknown ? "INCOMPLETE"
					       : "OK",
			     summary.passed, summary.failed, summary.unknown);
	}
	return summary.failed ? STATUS_FOUND : summary.unknown ? STATUS_GAP : STATUS_CLEAN;
}

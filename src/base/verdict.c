/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The names of verdicts and severities, which every layer prints and the public header promises.
 */
#include "assay.h"

#include "base/compiler.h"

exported const char *assay_verdict_name(enum assay_verdict verdict)
{
	static const char *const names[ASSAY_VERDICT_COUNT_] = {
		[ASSAY_OK] = "ok",
		[ASSAY_CORRUPT] = "corrupt",
		[ASSAY_UNREADABLE] = "unreadable",
		[ASSAY_MISSING] = "missing",
		[ASSAY_EXTRA] = "extra",
		[ASSAY_STALE] = "stale",
		[ASSAY_DIVERGED] = "diverged",
		[ASSAY_FLAKY] = "flaky",
		[ASSAY_IN_FLIGHT] = "in-flight",
		[ASSAY_UNKNOWN] = "unknown",
	};

	return verdict < ASSAY_VERDICT_COUNT_ ? names[verdict] : NULL;
}

exported const char *assay_severity_name(enum assay_severity severity)
{
	static const char *const names[ASSAY_SEVERITY_COUNT_] = {
		[ASSAY_SEVERITY_CRITICAL] = "critical",
		[ASSAY_SEVERITY_WARNING] = "warning",
		[ASSAY_SEVERITY_NOTICE] = "notice",
	};

	return severity < ASSAY_SEVERITY_COUNT_ ? names[severity] : NULL;
}

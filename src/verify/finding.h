/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What can be found, by code: a stable name for programs, the verdict, how much it matters, and
 * what a person should do.
 * docs/FINDINGS.md is the same list for readers.
 */
#ifndef VERIFY_FINDING_H
#define VERIFY_FINDING_H

#include "assay.h"

enum finding_code {
	FINDING_MESSAGE_DIGEST,
	FINDING_MESSAGE_SIZE,
	FINDING_MESSAGE_MISSING,
	FINDING_MESSAGE_MISPLACED,
	FINDING_MESSAGE_NOT_REGULAR,
	FINDING_MESSAGE_UNREADABLE,
	FINDING_MESSAGE_FLAKY,
	FINDING_MESSAGE_EXTRA,
	FINDING_INDEX_RECORD_CRC,
	FINDING_INDEX_ORDER,
	FINDING_INDEX_HEADER,
	FINDING_INDEX_TRUNCATED,
	FINDING_INDEX_MISSING,
	FINDING_INDEX_UNREADABLE,
	FINDING_MAILBOX_MISSING,
	FINDING_MAILBOX_UNREADABLE,
	FINDING_LIST_CORRUPT,
	FINDING_LIST_UNREADABLE,
	FINDING_CODE_COUNT_,
};

const char *finding_code_name(enum finding_code code); /* "message.digest"; NULL outside the enum */
enum assay_verdict finding_code_verdict(enum finding_code code);
enum assay_severity finding_code_severity(enum finding_code code); /* critical outside the enum */

/* What to do, by the name of a code (as state keeps it). Never NULL. */
const char *finding_advice(const char *code_name);

#endif

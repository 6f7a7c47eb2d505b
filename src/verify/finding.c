/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of findings. Advice never proposes a command that could destroy the good copy: on a
 * replica, `reconstruct` can carry damage back to the master.
 */
#include "verify/finding.h"

#include <string.h>

#include "base/compiler.h"

#define COPY_BACK                                                                                  \
	"take the peer's file of the same path if its SHA-1 is the recorded digest; "                \
	"do not run reconstruct here before, it may replace the good copy"

#define CRITICAL ASSAY_SEVERITY_CRITICAL
#define WARNING ASSAY_SEVERITY_WARNING

static const struct finding_kind {
	const char *name;
	enum assay_verdict verdict;
	enum assay_severity severity;
	const char *advice;
} kinds[FINDING_CODE_COUNT_] = {
	[FINDING_MESSAGE_DIGEST] = { "message.digest", ASSAY_CORRUPT, CRITICAL, COPY_BACK },
	[FINDING_MESSAGE_SIZE] = { "message.size", ASSAY_CORRUPT, CRITICAL, COPY_BACK },
	[FINDING_MESSAGE_MISSING] = { "message.missing", ASSAY_MISSING, CRITICAL, COPY_BACK },
	[FINDING_MESSAGE_MISPLACED] = { "message.misplaced", ASSAY_MISSING, CRITICAL,
					"the file lies on the other one of spool and archive "
					"partition: check archive_enabled and the partitions in "
					"imapd.conf before anything is moved" },
	[FINDING_MESSAGE_NOT_REGULAR] = { "message.not_regular", ASSAY_MISSING, CRITICAL,
					  "find out who put it there, move it away, then " COPY_BACK },
	[FINDING_MESSAGE_UNREADABLE] = { "message.unreadable", ASSAY_UNREADABLE, CRITICAL,
					 "look at the kernel log and the drive's SMART data; "
					 "replace the drive, then " COPY_BACK },
	[FINDING_MESSAGE_FLAKY] = { "message.flaky", ASSAY_FLAKY, CRITICAL,
				    "wrong once and right at the second look: suspect memory, cable "
				    "or controller, and do not trust this host until it is tested" },
	[FINDING_MESSAGE_EXTRA] = { "message.extra", ASSAY_EXTRA, WARNING,
				    "no index record knows this file: debris of a crash or of a "
				    "restore; reconstruct would deliver it as a new message, so move "
				    "it away once it is known to be unwanted" },
	[FINDING_INDEX_RECORD_CRC] = { "index.record_crc", ASSAY_CORRUPT, CRITICAL,
				       "the peer's index is the good copy: fail over, or resync this "
				       "mailbox from there; reconstruct would renumber the message and "
				       "lose its flags" },
	[FINDING_INDEX_ORDER] = { "index.order", ASSAY_CORRUPT, CRITICAL,
				  "UIDs must ascend: compare with the peer, then reconstruct the "
				  "mailbox on the side that is wrong" },
	[FINDING_INDEX_HEADER] = { "index.header", ASSAY_CORRUPT, CRITICAL,
				   "Cyrus cannot open this mailbox: compare with the peer; "
				   "reconstruct makes a new UIDVALIDITY, which replicates" },
	[FINDING_INDEX_TRUNCATED] = { "index.truncated", ASSAY_CORRUPT, CRITICAL,
				      "Cyrus cannot open this mailbox: compare with the peer; "
				      "reconstruct makes a new UIDVALIDITY, which replicates" },
	[FINDING_INDEX_MISSING] = { "index.missing", ASSAY_MISSING, CRITICAL,
				    "the mailbox is listed and has no index: copy the mailbox from "
				    "the peer, do not run reconstruct before" },
	[FINDING_INDEX_UNREADABLE] = { "index.unreadable", ASSAY_UNREADABLE, CRITICAL,
				       "look at the kernel log and the drive's SMART data; the peer "
				       "has the good copy" },
	[FINDING_MAILBOX_MISSING] = { "mailbox.missing", ASSAY_MISSING, CRITICAL,
				      "the mailbox is listed and its directory is not there: is the "
				      "partition mounted? The peer has the good copy" },
	[FINDING_MAILBOX_UNREADABLE] = { "mailbox.unreadable", ASSAY_UNREADABLE, CRITICAL,
					 "look at the kernel log and the drive's SMART data; the peer "
					 "has the good copy" },
	[FINDING_LIST_CORRUPT] = { "mailboxes_db.corrupt", ASSAY_CORRUPT, CRITICAL,
				   "the list of mailboxes is damaged, so mailboxes may be unknown to "
				   "Cyrus and to this scan: restore it from Cyrus's own backups in "
				   "the configdirectory, or fail over" },
	[FINDING_LIST_UNREADABLE] = { "mailboxes_db.unreadable", ASSAY_UNREADABLE, CRITICAL,
				      "look at the kernel log and the drive's SMART data; the peer "
				      "has the good copy" },
};

const char *finding_code_name(enum finding_code code)
{
	return code < FINDING_CODE_COUNT_ ? kinds[code].name : NULL;
}

enum assay_verdict finding_code_verdict(enum finding_code code)
{
	return code < FINDING_CODE_COUNT_ ? kinds[code].verdict : ASSAY_UNKNOWN;
}

enum assay_severity finding_code_severity(enum finding_code code)
{
	return code < FINDING_CODE_COUNT_ ? kinds[code].severity : ASSAY_SEVERITY_CRITICAL;
}

const char *finding_advice(const char *code_name)
{
	for (size_t i = 0; i < array_size(kinds); i++)
		if (strcmp(kinds[i].name, code_name) == 0)
			return kinds[i].advice;
	return "see docs/FINDINGS.md";
}

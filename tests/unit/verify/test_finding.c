// SPDX-License-Identifier: Apache-2.0
/*
 * Findings by code: the names, verdicts and severities that programs rely on, and advice for each
 * of them.
 */
#include "suites.h"

#include <CUnit/CUnit.h>
#include <string.h>

#include "base/compiler.h"
#include "verify/finding.h"

#define CRITICAL ASSAY_SEVERITY_CRITICAL
#define WARNING ASSAY_SEVERITY_WARNING

static void keeps_the_names_verdicts_and_severities_that_programs_know(void)
{
	static const struct {
		enum finding_code code;
		const char *name;
		enum assay_verdict verdict;
		enum assay_severity severity;
	} rows[] = {
		{ FINDING_MESSAGE_DIGEST, "message.digest", ASSAY_CORRUPT,
		  ASSAY_SEVERITY_CRITICAL },
		{ FINDING_MESSAGE_SIZE, "message.size", ASSAY_CORRUPT,
		  ASSAY_SEVERITY_CRITICAL },
		{ FINDING_MESSAGE_EMPTY, "message.empty", ASSAY_CORRUPT,
		  ASSAY_SEVERITY_CRITICAL },
		{ FINDING_MESSAGE_MISSING, "message.missing", ASSAY_MISSING,
		  ASSAY_SEVERITY_CRITICAL },
		{ FINDING_MESSAGE_MISPLACED, "message.misplaced", ASSAY_MISSING,
		  ASSAY_SEVERITY_CRITICAL },
		{ FINDING_MESSAGE_NOT_REGULAR, "message.not_regular", ASSAY_MISSING,
		  ASSAY_SEVERITY_CRITICAL },
		{ FINDING_MESSAGE_UNREADABLE, "message.unreadable", ASSAY_UNREADABLE,
		  ASSAY_SEVERITY_CRITICAL },
		{ FINDING_MESSAGE_FLAKY, "message.flaky", ASSAY_FLAKY,
		  ASSAY_SEVERITY_CRITICAL },
		{ FINDING_MESSAGE_EXTRA, "message.extra", ASSAY_EXTRA,
		  ASSAY_SEVERITY_WARNING },
		{ FINDING_MESSAGE_DUPLICATE, "message.duplicate", ASSAY_EXTRA,
		  ASSAY_SEVERITY_WARNING },
		{ FINDING_MESSAGE_TIMES, "message.times", ASSAY_DIVERGED,
		  ASSAY_SEVERITY_NOTICE },
		{ FINDING_INDEX_RECORD_CRC, "index.record_crc", ASSAY_CORRUPT,
		  ASSAY_SEVERITY_CRITICAL },
		{ FINDING_INDEX_ORDER, "index.order", ASSAY_CORRUPT,
		  ASSAY_SEVERITY_CRITICAL },
		{ FINDING_INDEX_HEADER, "index.header", ASSAY_CORRUPT,
		  ASSAY_SEVERITY_CRITICAL },
		{ FINDING_INDEX_TRUNCATED, "index.truncated", ASSAY_CORRUPT,
		  ASSAY_SEVERITY_CRITICAL },
		{ FINDING_INDEX_MISSING, "index.missing", ASSAY_MISSING,
		  ASSAY_SEVERITY_CRITICAL },
		{ FINDING_INDEX_UNREADABLE, "index.unreadable", ASSAY_UNREADABLE,
		  ASSAY_SEVERITY_CRITICAL },
		{ FINDING_INDEX_COUNTERS, "index.counters", ASSAY_DIVERGED,
		  ASSAY_SEVERITY_WARNING },
		{ FINDING_INDEX_SYNC_CRC, "index.sync_crc", ASSAY_DIVERGED,
		  ASSAY_SEVERITY_WARNING },
		{ FINDING_INDEX_MODSEQ, "index.modseq", ASSAY_DIVERGED,
		  ASSAY_SEVERITY_WARNING },
		{ FINDING_INDEX_LAST_UID, "index.last_uid", ASSAY_DIVERGED,
		  ASSAY_SEVERITY_WARNING },
		{ FINDING_INDEX_UIDVALIDITY, "index.uidvalidity", ASSAY_DIVERGED,
		  ASSAY_SEVERITY_WARNING },
		{ FINDING_INDEX_NO_GUID, "index.no_guid", ASSAY_UNKNOWN,
		  ASSAY_SEVERITY_WARNING },
		{ FINDING_INDEX_HEADER_SIZE, "index.header_size", ASSAY_DIVERGED,
		  ASSAY_SEVERITY_WARNING },
		{ FINDING_INDEX_TAIL, "index.tail", ASSAY_EXTRA,
		  ASSAY_SEVERITY_NOTICE },
		{ FINDING_INDEX_WIPED, "index.wiped", ASSAY_EXTRA,
		  ASSAY_SEVERITY_NOTICE },
		{ FINDING_INDEX_FUTURE, "index.future", ASSAY_DIVERGED,
		  ASSAY_SEVERITY_NOTICE },
		{ FINDING_HEADER_CORRUPT, "header.corrupt", ASSAY_CORRUPT,
		  ASSAY_SEVERITY_CRITICAL },
		{ FINDING_HEADER_MISSING, "header.missing", ASSAY_MISSING,
		  ASSAY_SEVERITY_CRITICAL },
		{ FINDING_HEADER_UNREADABLE, "header.unreadable", ASSAY_UNREADABLE,
		  ASSAY_SEVERITY_CRITICAL },
		{ FINDING_HEADER_CRC, "header.crc", ASSAY_CORRUPT,
		  ASSAY_SEVERITY_WARNING },
		{ FINDING_HEADER_UNIQUE_ID, "header.unique_id", ASSAY_DIVERGED,
		  ASSAY_SEVERITY_WARNING },
		{ FINDING_HEADER_NAME, "header.name", ASSAY_DIVERGED,
		  ASSAY_SEVERITY_WARNING },
		{ FINDING_HEADER_ACL, "header.acl", ASSAY_DIVERGED,
		  ASSAY_SEVERITY_WARNING },
		{ FINDING_HEADER_FLAGS, "header.flags", ASSAY_DIVERGED,
		  ASSAY_SEVERITY_NOTICE },
		{ FINDING_CACHE_RECORD, "cache.record", ASSAY_CORRUPT,
		  ASSAY_SEVERITY_NOTICE },
		{ FINDING_CACHE_GENERATION, "cache.generation", ASSAY_DIVERGED,
		  ASSAY_SEVERITY_NOTICE },
		{ FINDING_CACHE_MISSING, "cache.missing", ASSAY_MISSING,
		  ASSAY_SEVERITY_NOTICE },
		{ FINDING_CACHE_UNREADABLE, "cache.unreadable", ASSAY_UNREADABLE,
		  ASSAY_SEVERITY_CRITICAL },
		{ FINDING_ANNOTATIONS_CORRUPT, "annotations.corrupt", ASSAY_CORRUPT,
		  ASSAY_SEVERITY_CRITICAL },
		{ FINDING_ANNOTATIONS_UNREADABLE, "annotations.unreadable", ASSAY_UNREADABLE,
		  ASSAY_SEVERITY_CRITICAL },
		{ FINDING_MAILBOX_MISSING, "mailbox.missing", ASSAY_MISSING,
		  ASSAY_SEVERITY_CRITICAL },
		{ FINDING_MAILBOX_UNREADABLE, "mailbox.unreadable", ASSAY_UNREADABLE,
		  ASSAY_SEVERITY_CRITICAL },
		{ FINDING_MAILBOX_UNLISTED, "mailbox.unlisted", ASSAY_EXTRA,
		  ASSAY_SEVERITY_WARNING },
		{ FINDING_MAILBOX_OWNER, "mailbox.owner", ASSAY_UNREADABLE,
		  ASSAY_SEVERITY_WARNING },
		{ FINDING_MAILBOX_EXPUNGE, "mailbox.expunge", ASSAY_EXTRA,
		  ASSAY_SEVERITY_WARNING },
		{ FINDING_MAILBOX_LEFTOVER, "mailbox.leftover", ASSAY_EXTRA,
		  ASSAY_SEVERITY_NOTICE },
		{ FINDING_MAILBOX_FUTURE, "mailbox.future", ASSAY_DIVERGED,
		  ASSAY_SEVERITY_NOTICE },
		{ FINDING_LIST_CORRUPT, "mailboxes_db.corrupt", ASSAY_CORRUPT,
		  ASSAY_SEVERITY_CRITICAL },
		{ FINDING_LIST_UNREADABLE, "mailboxes_db.unreadable", ASSAY_UNREADABLE,
		  ASSAY_SEVERITY_CRITICAL },
		{ FINDING_LIST_DUPLICATE_ID, "mailboxes_db.duplicate_id", ASSAY_DIVERGED,
		  ASSAY_SEVERITY_CRITICAL },
		{ FINDING_LIST_ID, "mailboxes_db.id", ASSAY_DIVERGED,
		  ASSAY_SEVERITY_WARNING },
		{ FINDING_LIST_ORPHAN_ID, "mailboxes_db.orphan_id", ASSAY_EXTRA,
		  ASSAY_SEVERITY_NOTICE },
		{ FINDING_LIST_NO_ID, "mailboxes_db.no_id", ASSAY_MISSING,
		  ASSAY_SEVERITY_WARNING },
		{ FINDING_DATABASE_CORRUPT, "database.corrupt", ASSAY_CORRUPT,
		  ASSAY_SEVERITY_CRITICAL },
		{ FINDING_DATABASE_UNREADABLE, "database.unreadable", ASSAY_UNREADABLE,
		  ASSAY_SEVERITY_CRITICAL },
		{ FINDING_DATABASE_DISPOSABLE, "database.disposable", ASSAY_CORRUPT,
		  ASSAY_SEVERITY_NOTICE },
		{ FINDING_DATABASE_DIRTY, "database.dirty", ASSAY_DIVERGED,
		  ASSAY_SEVERITY_NOTICE },
		{ FINDING_DATABASE_LEFTOVER, "database.leftover", ASSAY_EXTRA,
		  ASSAY_SEVERITY_NOTICE },
		{ FINDING_QUOTA_CORRUPT, "quota.corrupt", ASSAY_CORRUPT,
		  ASSAY_SEVERITY_WARNING },
		{ FINDING_QUOTA_MISSING, "quota.missing", ASSAY_MISSING,
		  ASSAY_SEVERITY_WARNING },
		{ FINDING_QUOTA_USAGE, "quota.usage", ASSAY_DIVERGED,
		  ASSAY_SEVERITY_NOTICE },
		{ FINDING_SPOOL_LEFTOVER, "spool.leftover", ASSAY_EXTRA,
		  ASSAY_SEVERITY_NOTICE },
		{ FINDING_EXT4_METADATA, "ext4.metadata", ASSAY_CORRUPT,
		  ASSAY_SEVERITY_CRITICAL },
		{ FINDING_EXT4_UNREADABLE, "ext4.unreadable", ASSAY_UNREADABLE,
		  ASSAY_SEVERITY_CRITICAL },
		{ FINDING_EXT4_FLAKY, "ext4.flaky", ASSAY_FLAKY,
		  ASSAY_SEVERITY_WARNING },
		{ FINDING_EXT4_ACCOUNTS, "ext4.accounts", ASSAY_CORRUPT,
		  ASSAY_SEVERITY_CRITICAL },
		{ FINDING_EXT4_BACKUP, "ext4.backup", ASSAY_CORRUPT,
		  ASSAY_SEVERITY_WARNING },
		{ FINDING_EXT4_JOURNAL, "ext4.journal", ASSAY_CORRUPT,
		  ASSAY_SEVERITY_CRITICAL },
		{ FINDING_EXT4_ERRORS, "ext4.errors", ASSAY_CORRUPT,
		  ASSAY_SEVERITY_WARNING },
		{ FINDING_PACKAGE_DIGEST, "package.digest", ASSAY_CORRUPT,
		  ASSAY_SEVERITY_CRITICAL },
		{ FINDING_PACKAGE_UNREADABLE, "package.unreadable", ASSAY_UNREADABLE,
		  ASSAY_SEVERITY_CRITICAL },
		{ FINDING_PACKAGE_FLAKY, "package.flaky", ASSAY_FLAKY,
		  ASSAY_SEVERITY_WARNING },
		{ FINDING_PACKAGE_CHANGED, "package.changed", ASSAY_DIVERGED,
		  ASSAY_SEVERITY_NOTICE },
		{ FINDING_PACKAGE_RECORD, "package.record", ASSAY_CORRUPT,
		  ASSAY_SEVERITY_WARNING },
		{ FINDING_BLOCK_DIGEST, "block.digest", ASSAY_CORRUPT,
		  ASSAY_SEVERITY_CRITICAL },
		{ FINDING_BLOCK_FLAKY, "block.flaky", ASSAY_FLAKY,
		  ASSAY_SEVERITY_WARNING },
		{ FINDING_BLOCK_UNREADABLE, "block.unreadable", ASSAY_UNREADABLE,
		  ASSAY_SEVERITY_CRITICAL },
	};

	CU_ASSERT_EQUAL(array_size(rows), FINDING_CODE_COUNT_);
	for (size_t i = 0; i < array_size(rows); i++) {
		CU_ASSERT_STRING_EQUAL(finding_code_name(rows[i].code), rows[i].name);
		CU_ASSERT_EQUAL(finding_code_verdict(rows[i].code), rows[i].verdict);
		CU_ASSERT_EQUAL(finding_code_severity(rows[i].code), rows[i].severity);
	}
}

static void gives_advice_for_every_code_and_every_name(void)
{
	const char *unknown = finding_advice("something.else");

	CU_ASSERT_PTR_NOT_NULL_FATAL(unknown);
	CU_ASSERT_PTR_NOT_NULL(finding_advice(""));
	for (int i = 0; i < FINDING_CODE_COUNT_; i++) {
		const char *advice = finding_advice(finding_code_name((enum finding_code)i));
		CU_ASSERT_PTR_NOT_NULL_FATAL(advice);
		CU_ASSERT_TRUE(strlen(advice) > 20);
		CU_ASSERT_STRING_NOT_EQUAL(advice, unknown);
	}
}

static void knows_nothing_outside_the_codes(void)
{
	CU_ASSERT_PTR_NULL(finding_code_name(FINDING_CODE_COUNT_));
	CU_ASSERT_PTR_NULL(finding_code_name((enum finding_code)1000));
	CU_ASSERT_EQUAL(finding_code_verdict(FINDING_CODE_COUNT_), ASSAY_UNKNOWN);
	CU_ASSERT_EQUAL(finding_code_severity(FINDING_CODE_COUNT_), ASSAY_SEVERITY_CRITICAL);
}

static const struct test_case cases[] = {
	CASE(keeps_the_names_verdicts_and_severities_that_programs_know),
	CASE(gives_advice_for_every_code_and_every_name),
	CASE(knows_nothing_outside_the_codes),
};

const struct test_suite suite_verify_finding = { "verify/finding", cases, array_size(cases) };

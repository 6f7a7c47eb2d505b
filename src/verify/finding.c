/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of findings. Advice never proposes a command that could destroy the good copy: on a
 * replica, `reconstruct` can carry damage back to the master.
 */
#include "verify/finding.h"

#include <string.h>

#include "base/compiler.h"

#define COPY_BACK                                                                                  \
	"take the peer's file of the same path if its SHA-1 is the recorded digest; "              \
	"do not run reconstruct here before, it may replace the good copy"

#define LOOK_AT_DRIVE "look at the kernel log and the drive's SMART data"
#define ASK_THE_PEER LOOK_AT_DRIVE "; the peer has the good copy"
#define REPLACE_DRIVE                                                                              \
	LOOK_AT_DRIVE "; copy what can be read (ddrescue), then replace the drive"

#define CRITICAL ASSAY_SEVERITY_CRITICAL
#define WARNING ASSAY_SEVERITY_WARNING
#define NOTICE ASSAY_SEVERITY_NOTICE

static const struct finding_kind {
	const char *name;
	enum assay_verdict verdict;
	enum assay_severity severity;
	const char *advice;
} kinds[FINDING_CODE_COUNT_] = {
	[FINDING_MESSAGE_DIGEST] = { "message.digest", ASSAY_CORRUPT, CRITICAL, COPY_BACK },
	[FINDING_MESSAGE_SIZE] = { "message.size", ASSAY_CORRUPT, CRITICAL, COPY_BACK },
	[FINDING_MESSAGE_EMPTY] = { "message.empty", ASSAY_CORRUPT, CRITICAL,
				    "an empty file is what a lost write or a full disk leaves: expect "
				    "more of them; " COPY_BACK },
	[FINDING_MESSAGE_MISSING] = { "message.missing", ASSAY_MISSING, CRITICAL, COPY_BACK },
	[FINDING_MESSAGE_MISPLACED] = { "message.misplaced", ASSAY_MISSING, CRITICAL,
					"the file lies on the other one of spool and archive "
					"partition: check archive_enabled and the partitions in "
					"imapd.conf before anything is moved" },
	[FINDING_MESSAGE_NOT_REGULAR] = { "message.not_regular", ASSAY_MISSING, CRITICAL,
					  "find out who put it there, move it away, then " COPY_BACK },
	[FINDING_MESSAGE_UNREADABLE] = { "message.unreadable", ASSAY_UNREADABLE, CRITICAL,
					 LOOK_AT_DRIVE "; replace the drive, then " COPY_BACK },
	[FINDING_MESSAGE_FLAKY] = { "message.flaky", ASSAY_FLAKY, CRITICAL,
				    "wrong once and right at the second look: suspect memory, cable "
				    "or controller, and do not trust this host until it is tested" },
	[FINDING_MESSAGE_EXTRA] = { "message.extra", ASSAY_EXTRA, WARNING,
				    "no index record knows this file: debris of a crash or of a "
				    "restore; reconstruct would deliver it as a new message, so move "
				    "it away once it is known to be unwanted" },
	[FINDING_MESSAGE_DUPLICATE] = { "message.duplicate", ASSAY_EXTRA, WARNING,
					"the message lies on spool and archive partition both: compare "
					"the two with the recorded digest; reconstruct, even with -n, "
					"removes the archived one" },
	[FINDING_MESSAGE_TIMES] = { "message.times", ASSAY_DIVERGED, NOTICE,
				    "the bytes are good; files were restored or copied without their "
				    "times, which only matters to tools that go by them" },
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
				       ASK_THE_PEER },
	[FINDING_INDEX_COUNTERS] = { "index.counters", ASSAY_DIVERGED, WARNING,
				     "Cyrus shows wrong numbers or quota; no mail is lost. Once nothing "
				     "else is open for this mailbox: reconstruct it on the master" },
	[FINDING_INDEX_SYNC_CRC] = { "index.sync_crc", ASSAY_DIVERGED, WARNING,
				     "replication judges this mailbox by a wrong sum: compare flags and "
				     "UIDs with the peer before the master is reconstructed" },
	[FINDING_INDEX_MODSEQ] = { "index.modseq", ASSAY_DIVERGED, WARNING,
				   "an index written halfway, or restored in part: clients and replicas "
				   "may miss changes; compare with the peer, then reconstruct the master" },
	[FINDING_INDEX_LAST_UID] = { "index.last_uid", ASSAY_DIVERGED, WARNING,
				     "new mail would be given UIDs that are taken: stop delivery to this "
				     "mailbox, compare with the peer, then reconstruct the master" },
	[FINDING_INDEX_UIDVALIDITY] = { "index.uidvalidity", ASSAY_DIVERGED, WARNING,
					"index and list of mailboxes come from different times: find out "
					"which was restored before Cyrus settles it its own way" },
	[FINDING_INDEX_NO_GUID] = { "index.no_guid", ASSAY_UNKNOWN, WARNING,
				    "these messages cannot be proven: they came from an old Cyrus without "
				    "digests. After a look at them, reconstruct -G on the master computes "
				    "them from what is on the disk now" },
	[FINDING_INDEX_HEADER_SIZE] = { "index.header_size", ASSAY_DIVERGED, WARNING,
					"Cyrus shows clients the wrong part of this message as its "
					"header: compare with the peer, then reconstruct the mailbox on "
					"the master" },
	[FINDING_INDEX_TAIL] = { "index.tail", ASSAY_EXTRA, NOTICE,
				 "an append that a crash cut short; Cyrus overwrites it with the next" },
	[FINDING_INDEX_WIPED] = { "index.wiped", ASSAY_EXTRA, NOTICE,
				  "reconstruct once wiped damaged records here; they go with the next "
				  "repack (cyr_expire)" },
	[FINDING_INDEX_FUTURE] = { "index.future", ASSAY_DIVERGED, NOTICE,
				   "the clock of this host was wrong once: what was expunged then is not "
				   "purged until that time comes" },
	[FINDING_HEADER_CORRUPT] = { "header.corrupt", ASSAY_CORRUPT, CRITICAL,
				     "rights and names of flags are lost here: take the peer's mailbox; "
				     "reconstruct makes a new cyrus.header without them" },
	[FINDING_HEADER_MISSING] = { "header.missing", ASSAY_MISSING, CRITICAL,
				     "rights and names of flags are lost here: take the peer's mailbox; "
				     "reconstruct makes a new cyrus.header without them" },
	[FINDING_HEADER_UNREADABLE] = { "header.unreadable", ASSAY_UNREADABLE, CRITICAL,
					ASK_THE_PEER },
	[FINDING_HEADER_CRC] = { "header.crc", ASSAY_CORRUPT, WARNING,
				 "compare rights, quota root and names of flags in cyrus.header with the "
				 "peer's: it is damaged, was replaced, or a crash came between it and the "
				 "index; if they are right, reconstruct on the master renews the CRC" },
	[FINDING_HEADER_UNIQUE_ID] = { "header.unique_id", ASSAY_DIVERGED, WARNING,
				       "the mailbox was restored from, or into, another one: find out which "
				       "id the peer has before anything replicates" },
	[FINDING_HEADER_NAME] = { "header.name", ASSAY_DIVERGED, WARNING,
				  "a rename was cut short, or the mailbox was restored in another place: "
				  "see which name the peer has" },
	[FINDING_HEADER_ACL] = { "header.acl", ASSAY_DIVERGED, WARNING,
				 "the two places where rights are kept disagree: set them again with "
				 "cyradm on the master" },
	[FINDING_HEADER_FLAGS] = { "header.flags", ASSAY_DIVERGED, NOTICE,
				   "clients do not see these flags; the peer's cyrus.header may still "
				   "have their names" },
	[FINDING_CACHE_RECORD] = { "cache.record", ASSAY_CORRUPT, NOTICE,
				   "Cyrus makes the record anew from the message when it is next asked "
				   "for; it tells of a disk that loses writes, so look at its other files" },
	[FINDING_CACHE_GENERATION] = { "cache.generation", ASSAY_DIVERGED, NOTICE,
				       "a repack was cut short between its two renames; Cyrus makes the "
				       "cache anew" },
	[FINDING_CACHE_MISSING] = { "cache.missing", ASSAY_MISSING, NOTICE,
				    "Cyrus makes the cache anew from the messages" },
	[FINDING_CACHE_UNREADABLE] = { "cache.unreadable", ASSAY_UNREADABLE, CRITICAL,
				       LOOK_AT_DRIVE
				       "nothing in the cache itself is lost with it" },
	[FINDING_ANNOTATIONS_CORRUPT] = { "annotations.corrupt", ASSAY_CORRUPT, CRITICAL,
					  "annotations of messages are lost here: the peer has the good "
					  "copy; take a copy of the file before Cyrus recovers it in place" },
	[FINDING_ANNOTATIONS_UNREADABLE] = { "annotations.unreadable", ASSAY_UNREADABLE, CRITICAL,
					     ASK_THE_PEER },
	[FINDING_MAILBOX_MISSING] = { "mailbox.missing", ASSAY_MISSING, CRITICAL,
				      "the mailbox is listed and its directory is not there: is the "
				      "partition mounted? The peer has the good copy" },
	[FINDING_MAILBOX_UNREADABLE] = { "mailbox.unreadable", ASSAY_UNREADABLE, CRITICAL,
					 ASK_THE_PEER },
	[FINDING_MAILBOX_UNLISTED] = { "mailbox.unlisted", ASSAY_EXTRA, WARNING,
				       "files of a mailbox that mailboxes.db does not list: was the list "
				       "restored, or a deletion cut short? Do not remove them before it is "
				       "known whose mail it is" },
	[FINDING_MAILBOX_OWNER] = { "mailbox.owner", ASSAY_UNREADABLE, WARNING,
				    "Cyrus cannot use a file that is not its own: replication of the whole "
				    "store waits at such a mailbox; chown it to Cyrus's user" },
	[FINDING_MAILBOX_EXPUNGE] = { "mailbox.expunge", ASSAY_EXTRA, WARNING,
				      "an old cyrus.expunge beside a newer index: at its next look Cyrus "
				      "removes it, and the files that it names; move it away first" },
	[FINDING_MAILBOX_LEFTOVER] = { "mailbox.leftover", ASSAY_EXTRA, NOTICE,
				       "what a repack or rewrite left that was cut short; harmless" },
	[FINDING_MAILBOX_FUTURE] = { "mailbox.future", ASSAY_DIVERGED, NOTICE,
				     "deleted at a time that is yet to come: it is not purged until then" },
	[FINDING_LIST_CORRUPT] = { "mailboxes_db.corrupt", ASSAY_CORRUPT, CRITICAL,
				   "the list of mailboxes is damaged, so mailboxes may be unknown to "
				   "Cyrus and to this scan: restore it from Cyrus's own backups in "
				   "the configdirectory, or fail over" },
	[FINDING_LIST_UNREADABLE] = { "mailboxes_db.unreadable", ASSAY_UNREADABLE, CRITICAL,
				      ASK_THE_PEER },
	[FINDING_LIST_DUPLICATE_ID] = { "mailboxes_db.duplicate_id", ASSAY_DIVERGED, CRITICAL,
					"two mailboxes have one unique id, so Cyrus and replication take them "
					"for one: find the one that was copied or restored, and give it a "
					"new id on the master (reconstruct -I) before it replicates" },
	[FINDING_LIST_ID] = { "mailboxes_db.id", ASSAY_DIVERGED, WARNING,
			      "the record of the name and that of the unique id disagree: Cyrus finds "
			      "the mailbox by one and not by the other; see what the peer has" },
	[FINDING_LIST_ORPHAN_ID] = { "mailboxes_db.orphan_id", ASSAY_EXTRA, NOTICE,
				     "left by the purge of a deleted mailbox (Cyrus before 3.6.2); "
				     "harmless" },
	[FINDING_LIST_NO_ID] = { "mailboxes_db.no_id", ASSAY_MISSING, WARNING,
				 "Cyrus 3.6 and later can neither lock nor replicate a mailbox without a "
				 "unique id: reconstruct it on the master" },
	[FINDING_DATABASE_CORRUPT] = { "database.corrupt", ASSAY_CORRUPT, CRITICAL,
				       "the peer has the good copy; take a copy of the file before Cyrus "
				       "recovers it in place, which may lose more" },
	[FINDING_DATABASE_UNREADABLE] = { "database.unreadable", ASSAY_UNREADABLE, CRITICAL,
					  ASK_THE_PEER },
	[FINDING_DATABASE_DISPOSABLE] = { "database.disposable", ASSAY_CORRUPT, NOTICE,
					  "nothing is lost with it: Cyrus makes it anew once it is removed "
					  "while Cyrus is stopped" },
	[FINDING_DATABASE_DIRTY] = { "database.dirty", ASSAY_DIVERGED, NOTICE,
				     "a transaction was cut short; Cyrus undoes it when it next writes" },
	[FINDING_DATABASE_LEFTOVER] = { "database.leftover", ASSAY_EXTRA, NOTICE,
					"what a rewrite left that was cut short; harmless" },
	[FINDING_QUOTA_CORRUPT] = { "quota.corrupt", ASSAY_CORRUPT, WARNING,
				    "limits and usage are lost here: take the limits from the peer, then "
				    "quota -f on the master" },
	[FINDING_QUOTA_MISSING] = { "quota.missing", ASSAY_MISSING, WARNING,
				    "mailboxes name a quota root that is not there: take the limits from the "
				    "peer and set them again on the master" },
	[FINDING_QUOTA_USAGE] = { "quota.usage", ASSAY_DIVERGED, NOTICE,
				  "Cyrus may refuse mail too early or too late: quota -f on the master" },
	[FINDING_SPOOL_LEFTOVER] = { "spool.leftover", ASSAY_EXTRA, NOTICE,
				     "what a delivery or a replication left that was cut short: takes up "
				     "room only" },
	[FINDING_EXT4_METADATA] = { "ext4.metadata", ASSAY_CORRUPT, CRITICAL,
				    "see what `e2fsck -fn` says of the unmounted filesystem; save what "
				    "matters before anything repairs it, and find out why: " LOOK_AT_DRIVE },
	[FINDING_EXT4_UNREADABLE] = { "ext4.unreadable", ASSAY_UNREADABLE, CRITICAL, REPLACE_DRIVE },
	[FINDING_EXT4_FLAKY] = { "ext4.flaky", ASSAY_FLAKY, WARNING,
				 "wrong once and right later: suspect memory, cable or controller; "
				 LOOK_AT_DRIVE },
	[FINDING_EXT4_ACCOUNTS] = { "ext4.accounts", ASSAY_CORRUPT, CRITICAL,
				    "each part may be right and together they are not: see what "
				    "`e2fsck -fn` says; do not fail over to this host before" },
	[FINDING_EXT4_BACKUP] = { "ext4.backup", ASSAY_CORRUPT, WARNING,
				  "nothing is lost yet: a backup of the superblock is damaged; `e2fsck -f` "
				  "writes it anew; " LOOK_AT_DRIVE },
	[FINDING_EXT4_JOURNAL] = { "ext4.journal", ASSAY_CORRUPT, CRITICAL,
				   "a mount would replay only what comes before the damage; read the disk "
				   "before it is mounted again" },
	[FINDING_EXT4_ERRORS] = { "ext4.errors", ASSAY_CORRUPT, WARNING,
				  "the kernel has met errors here: look at its log; `e2fsck -f` of the "
				  "unmounted filesystem clears the record" },
	[FINDING_PACKAGE_DIGEST] = { "package.digest", ASSAY_CORRUPT, CRITICAL,
				     "nobody changed it, and it is not what was installed: "
				     "`apt-get install --reinstall` of the package brings it back; find "
				     "out why: " LOOK_AT_DRIVE },
	[FINDING_PACKAGE_UNREADABLE] = { "package.unreadable", ASSAY_UNREADABLE, CRITICAL,
					 REPLACE_DRIVE },
	[FINDING_PACKAGE_FLAKY] = { "package.flaky", ASSAY_FLAKY, WARNING,
				    "wrong once and right later: suspect memory, cable or "
				    "controller; " LOOK_AT_DRIVE },
	[FINDING_PACKAGE_CHANGED] = { "package.changed", ASSAY_DIVERGED, NOTICE,
				      "somebody has changed an installed file: is that known?" },
	[FINDING_PACKAGE_RECORD] = { "package.record", ASSAY_CORRUPT, WARNING,
				     "one digit of the digest in the package database is wrong, not the "
				     "file: reinstall the package" },
	[FINDING_BLOCK_DIGEST] = { "block.digest", ASSAY_CORRUPT, CRITICAL,
				   "the block changed and its file did not: take the file from its package "
				   "or a backup; " LOOK_AT_DRIVE "; if the file is known to be right, "
				   "`assay baseline VOLUME accept`" },
	[FINDING_BLOCK_FLAKY] = { "block.flaky", ASSAY_FLAKY, WARNING,
				  "wrong once and right later: suspect memory, cable or controller; "
				  LOOK_AT_DRIVE },
	[FINDING_BLOCK_UNREADABLE] = { "block.unreadable", ASSAY_UNREADABLE, CRITICAL,
				       REPLACE_DRIVE },
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

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Judge: observation and witness in, verdict out. Pure: no I/O, no clock, no globals. A verdict
 * here is a suspicion; what may be said aloud is decided by a second look (verify/confirm).
 */
#ifndef VERIFY_JUDGE_H
#define VERIFY_JUDGE_H

#include <stdbool.h>
#include <stdint.h>

#include "assay.h"
#include "digest/digest.h"
#include "format/cyrus/index.h"
#include "io/file.h"
#include "verify/finding.h"

/* What the index record says about a message. */
struct witness {
	uint32_t uid;
	uint64_t size; /* bytes */
	uint8_t guid[SHA1_LEN];
	bool archived; /* lives on the archive partition */
	uint32_t internaldate; /* seconds since the epoch, what its file's mtime was set to; 0: not known */
};

struct witness witness_of_record(const struct index_record *record);

/*
 * False where no GUID was ever recorded: such a message can be found missing, unreadable or of the
 * wrong size, but never be proven. Whoever hands it in says so by a gap.
 */
bool witness_is_proof(const struct witness *witness);

/* What was read just now. */
struct observation {
	int error;	 /* 0, or the negative errno of open or read */
	bool is_symlink; /* error is -ELOOP: a link stands in its place */
	bool misplaced;	 /* it was found on the other partition of spool and archive */
	bool alone; /* an error of the device came from a read of this message and nothing else */
	bool direct;	 /* the bytes came from the disk, not from the page cache */
	bool digested;	 /* digest is set: every byte was read */
	uint8_t digest[SHA1_LEN];
	struct file_identity identity; /* of what was opened; zero when nothing was */
	uint32_t generation; /* of its inode; 0: not asked for */
	uint32_t mapping;    /* where its bytes lie (verify/mapping); 0: not asked for */
};

struct judgement {
	enum assay_verdict verdict;
	enum finding_code code; /* meaningless for ASSAY_OK and ASSAY_UNKNOWN */
};

/*
 * The rules, first that applies:
 *   nothing there                    missing      message.missing
 *   something that is no file        missing      message.not_regular
 *   the device refused               unreadable   message.unreadable
 *   we could not look                unknown
 *   found on the other partition     missing      message.misplaced
 *   empty, and should not be         corrupt      message.empty
 *   another size                     corrupt      message.size
 *   not read to its end              unknown
 *   another SHA-1                    corrupt      message.digest
 *   no GUID was ever recorded        ok, and proves nothing
 */
struct judgement judge_message(const struct witness *witness, const struct observation *seen);

/*
 * Two looks at one message whose first look was bad, and whose index record has not changed:
 * The same file has the same identity and, as far as both looks know them, the same generation and
 * the same place on the disk.
 *   good now, same file as before    flaky        message.flaky
 *   the same, but unreadable before, and not read alone
 *                                    ok: neighbours share a request, and its error
 *   good now, another file           in-flight
 *   bad twice, same file or none     the second judgement
 *   bad twice, but the file changed  unknown: look again
 */
struct judgement judge_second_look(const struct judgement *first, const struct observation *before,
				   const struct judgement *second, const struct observation *after);

#endif

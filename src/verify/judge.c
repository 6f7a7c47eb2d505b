/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of the header, in order.
 */
#include "verify/judge.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"

static struct judgement judgement_of(enum finding_code code)
{
	return (struct judgement){ finding_code_verdict(code), code };
}

struct witness witness_of_record(const struct index_record *record)
{
	struct witness witness = {
		.uid = record->uid,
		.size = record->size,
		.archived = record->flags & INDEX_FLAG_ARCHIVED,
		.internaldate = (uint32_t)(record->internaldate_ns / NS_PER_S),
	};

	memcpy(witness.guid, record->guid, sizeof(witness.guid));
	return witness;
}

bool witness_is_proof(const struct witness *witness)
{
	for (size_t i = 0; i < sizeof(witness->guid); i++)
		if (witness->guid[i])
			return true;
	return false;
}

struct judgement judge_message(const struct witness *witness, const struct observation *seen)
{
	if (seen->error == -ENOENT)
		return judgement_of(FINDING_MESSAGE_MISSING);
	if (seen->is_symlink || seen->error == -EINVAL)
		return judgement_of(FINDING_MESSAGE_NOT_REGULAR);
	if (seen->error && file_error_is_media(seen->error))
		return judgement_of(FINDING_MESSAGE_UNREADABLE);
	if (seen->error)
		return (struct judgement){ ASSAY_UNKNOWN, FINDING_CODE_COUNT_ };
	if (seen->misplaced)
		return judgement_of(FINDING_MESSAGE_MISPLACED);
	if (seen->identity.size != witness->size)
		return judgement_of(seen->identity.size ? FINDING_MESSAGE_SIZE
							: FINDING_MESSAGE_EMPTY);
	if (!seen->digested)
		return (struct judgement){ ASSAY_UNKNOWN, FINDING_CODE_COUNT_ };
	if (witness_is_proof(witness) && memcmp(seen->digest, witness->guid, SHA1_LEN) != 0)
		return judgement_of(FINDING_MESSAGE_DIGEST);
	return (struct judgement){ ASSAY_OK, FINDING_CODE_COUNT_ };
}

/* What one of the looks does not know is not held against them. */
static bool same_or_unknown(uint32_t a, uint32_t b)
{
	return a == 0 || b == 0 || a == b;
}

struct judgement judge_second_look(const struct judgement *first, const struct observation *before,
				   const struct judgement *second, const struct observation *after)
{
	bool same = file_identity_equals(&before->identity, &after->identity) &&
		    same_or_unknown(before->generation, after->generation) &&
		    same_or_unknown(before->mapping, after->mapping);

	if (second->verdict == ASSAY_UNKNOWN)
		return *second;
	if (second->verdict == ASSAY_OK) {
		/* Nothing was there before, or another file: then it came or changed meanwhile. */
		bool was_read = first->verdict == ASSAY_CORRUPT ||
				(first->verdict == ASSAY_UNREADABLE && before->alone);
		if (was_read && same && before->identity.ino)
			return judgement_of(FINDING_MESSAGE_FLAKY);
		if (first->verdict == ASSAY_UNREADABLE && same && before->identity.ino)
			return *second;
		return (struct judgement){ ASSAY_IN_FLIGHT, FINDING_CODE_COUNT_ };
	}
	if (same)
		return *second;
	return (struct judgement){ ASSAY_UNKNOWN, FINDING_CODE_COUNT_ };
}

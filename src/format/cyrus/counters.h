/* SPDX-License-Identifier: Apache-2.0 */
/*
 * counters: the highest modseqs of a user, closed by a CRC-32 over all that precedes it. Kept
 * where conversations are on. Source: real files of 3.6.1 (version 9); lengths of others by the
 * source.
 */
#ifndef FORMAT_CYRUS_COUNTERS_H
#define FORMAT_CYRUS_COUNTERS_H

#include <stdint.h>

#include "base/compiler.h"
#include "base/span.h"

#define COUNTERS_LEN_MAX 4096 /* bytes that are read */

struct counters {
	uint32_t generation;
	uint32_t version;
	uint64_t highestmodseq; /* over all mailboxes of the user */
	uint32_t uidvalidity;
};

/*
 * 0; -EBADMSG: the length is not that of its version, or above COUNTERS_LEN_MAX, or the CRC is
 * wrong; -EPROTONOSUPPORT: a later version (ret_counters->version), whose CRC, which ends it, is
 * right. Version 0 is told by its length: its writers left any number there.
 */
int counters_parse(struct span bytes, struct counters *ret_counters) must_check;

#endif

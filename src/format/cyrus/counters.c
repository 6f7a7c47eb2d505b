// SPDX-License-Identifier: Apache-2.0
/*
 * Each version put more modseqs before the last two words, the uidvalidity and the CRC; what is
 * read here has kept its place at either end.
 */
#include "format/cyrus/counters.h"

#include <errno.h>

#include "digest/digest.h"

#define VERSION_MAX 9
#define LEN_MIN 20 /* generation, version, one modseq, CRC */

static const uint16_t lengths[VERSION_MAX + 1] = { 48, 56, 64, 88, 104, 120, 200, 232, 264, 296 };

int counters_parse(struct span bytes, struct counters *ret_counters)
{
	struct counters counters;
	uint32_t crc;

	*ret_counters = (struct counters){ 0 };
	if (bytes.len < LEN_MIN || bytes.len > COUNTERS_LEN_MAX ||
	    span_be32(bytes, 0, &counters.generation) || span_be32(bytes, 4, &counters.version) ||
	    span_be64(bytes, 8, &counters.highestmodseq) ||
	    span_be32(bytes, bytes.len - 8, &counters.uidvalidity) ||
	    span_be32(bytes, bytes.len - 4, &crc))
		return -EBADMSG;
	if (crc != crc32_of(span_of(bytes.data, bytes.len - 4)))
		return -EBADMSG;
	/* The first version did not set its number: it is known by its length. */
	if (bytes.len == lengths[0])
		counters.version = 0;
	if (counters.version > VERSION_MAX) {
		ret_counters->version = counters.version;
		return -EPROTONOSUPPORT;
	}
	if (bytes.len != lengths[counters.version])
		return -EBADMSG;
	*ret_counters = counters;
	return 0;
}

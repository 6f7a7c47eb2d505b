// SPDX-License-Identifier: Apache-2.0
/*
 * Fuzzes quota roots: what was read, written as Cyrus writes it, reads the same; and what is not
 * given is nothing.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/buf.h"
#include "format/cyrus/quota.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok)
{
	if (!ok)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const keys[QUOTA_RESOURCE_COUNT_] = { "S", "M", "AS", "NF" };
	struct quota quota, again;
	struct buf text = BUF_NULL;
	int r = quota_parse(span_of(data, size), &quota);

	require(r == 0 || r == -EBADMSG);
	if (r)
		return 0;
	buf_add_str(&text, "%(");
	for (unsigned i = 0; i < QUOTA_RESOURCE_COUNT_; i++) {
		require(quota.resources[i].limit >= -1);
		if (!quota.resources[i].is_given) {
			require(quota.resources[i].used == 0 && quota.resources[i].limit == -1);
			continue;
		}
		buf_addf(&text, "%s (%" PRIu64, keys[i], quota.resources[i].used);
		if (quota.resources[i].limit >= 0)
			buf_addf(&text, " %" PRId64, quota.resources[i].limit);
		buf_add_str(&text, ") ");
	}
	buf_add_str(&text, "MODSEQ 1)\n");
	require(quota_parse(buf_span(&text), &again) == 0);
	for (unsigned i = 0; i < QUOTA_RESOURCE_COUNT_; i++) {
		require(again.resources[i].is_given == quota.resources[i].is_given);
		require(again.resources[i].used == quota.resources[i].used);
		require(again.resources[i].limit == quota.resources[i].limit);
	}
	buf_fini(&text);
	return 0;
}

// SPDX-License-Identifier: Apache-2.0
/*
 * The window moves only where reading goes on: to an offset a little behind the one asked for last.
 * A repacked database with a few later changes therefore costs one small read for each jump to its
 * end and none for the way back.
 */
#include "format/cyrus/lookahead.h"

#include <errno.h>

#define LOOKAHEAD_LEN UINT64_C(65536)

static bool lookahead_holds(const struct lookahead *ahead, uint64_t off, uint64_t len)
{
	return off >= ahead->off && off - ahead->off <= ahead->bytes.len &&
	       len <= ahead->bytes.len - (off - ahead->off);
}

/* Whatever fails here leaves an empty window: what is needed is then read alone. */
static void lookahead_move(struct lookahead *ahead, struct source *src, uint64_t off, uint64_t end)
{
	uint64_t n;

	lookahead_forget(ahead);
	if (buf_reserve(&ahead->bytes, LOOKAHEAD_LEN))
		return;
	if (source_read(src, off, ahead->bytes.data, min_of(LOOKAHEAD_LEN, end - off), &n))
		return;
	ahead->off = off;
	ahead->bytes.len = n;
}

int lookahead_get(struct lookahead *ahead, struct source *src, uint64_t off, uint64_t len,
		  uint64_t end, struct span *ret_bytes)
{
	uint64_t last = ahead->last;

	if (off > end || len > end - off || len > LOOKAHEAD_READ_MAX)
		return -ERANGE;
	ahead->last = off;
	if (!lookahead_holds(ahead, off, len)) {
		if (off >= last && off - last <= LOOKAHEAD_LEN)
			lookahead_move(ahead, src, off, end);
		if (!lookahead_holds(ahead, off, len)) {
			*ret_bytes = span_of(ahead->jump, len);
			return source_read_exact(src, off, ahead->jump, len);
		}
	}
	uint64_t skip = off - ahead->off;
	*ret_bytes = span_of(ahead->bytes.data + skip, ahead->bytes.len - skip);
	return 0;
}

void lookahead_forget(struct lookahead *ahead)
{
	buf_clear(&ahead->bytes);
	ahead->off = 0;
}

void lookahead_fini(struct lookahead *ahead)
{
	buf_fini(&ahead->bytes);
	*ahead = LOOKAHEAD_NULL;
}

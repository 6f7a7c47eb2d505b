// SPDX-License-Identifier: Apache-2.0
/*
 * Fuzzes dlist text: every value lies inside the text it came from, in order, and the walk of what
 * nests in it ends.
 */
#include <stdlib.h>

#include "format/cyrus/dlist.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok)
{
	if (!ok)
		abort();
}

static bool lies_inside(struct span part, struct span whole)
{
	return part.len == 0 || (part.data >= whole.data && part.len <= whole.len &&
				 (uint64_t)(part.data - whole.data) <= whole.len - part.len);
}

static void check_value(struct dlist_value value, struct span whole)
{
	struct buf text = BUF_NULL;

	require(value.kind < DLIST_KIND_COUNT_);
	require(lies_inside(value.text, whole));
	require(!value.escaped || value.kind == DLIST_ATOM);
	dlist_add_text(&text, value);
	if (value.kind != DLIST_ATOM)
		require(text.len == 0);
	else if (value.escaped)
		require(text.len < value.text.len && text.len >= value.text.len / 2);
	else
		require(span_equals(buf_span(&text), value.text));
	buf_fini(&text);
}

/* Walks a text by values or by pairs. What a list holds was measured: it nests 32 deep at most. */
static void walk(struct span whole, bool pairs, unsigned depth)
{
	struct dlist_cursor cursor = { whole };
	struct dlist_value value;
	struct span key;
	int r;

	require(depth <= 33);
	for (;;) {
		struct span before = cursor.rest;
		r = pairs ? dlist_next_pair(&cursor, &key, &value) : dlist_next(&cursor, &value);
		if (r)
			break;
		require(cursor.rest.len < before.len);
		require(!pairs || lies_inside(key, before));
		check_value(value, before);
		if (value.kind == DLIST_LIST || value.kind == DLIST_KVLIST)
			walk(value.text, value.kind == DLIST_KVLIST, depth + 1);
	}
	require(r < 0 || r == DLIST_END);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	walk(span_of(data, size), false, 0);
	walk(span_of(data, size), true, 0);
	return 0;
}

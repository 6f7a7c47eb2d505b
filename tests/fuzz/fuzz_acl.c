// SPDX-License-Identifier: Apache-2.0
/*
 * Fuzzes rights: a first text up to the first LF, as dlist and as text, compared with a second.
 * What is accepted is in the common form and stays what it is; comparing does not depend on sides.
 */
#include <errno.h>
#include <stdlib.h>

#include "format/cyrus/acl.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok)
{
	if (!ok)
		abort();
}

/* The common form is a text that is taken as it stands. */
static void check_common_form(const struct buf *acl)
{
	struct buf again = BUF_NULL;
	unsigned tabs = 0;

	for (size_t i = 0; i < acl->len; i++) {
		require(acl->data[i] != '\n' && acl->data[i] != '\0');
		tabs += acl->data[i] == '\t';
	}
	require(tabs % 2 == 0 && (acl->len == 0 || acl->data[acl->len - 1] == '\t'));
	require(acl_add_text(&again, buf_span(acl)) == 0);
	require(span_equals(buf_span(&again), buf_span(acl)));
	require(acl_equals(buf_span(&again), buf_span(acl)));
	/* Said twice, the same rights; they stand behind each other, so not by the same bytes. */
	buf_add_span(&again, buf_span(acl));
	if (tabs / 2 <= 2048)
		require(acl_equals(buf_span(&again), buf_span(acl)));
	buf_fini(&again);
}

/* A failure appends nothing. */
static void check_result(int r, struct buf *acl)
{
	require(r == 0 || r == -EBADMSG);
	require(acl->len >= 1 && acl->data[0] == '\t' && (r == 0 || acl->len == 1));
	if (r == 0) {
		struct buf added = BUF_NULL;
		buf_add(&added, acl->data + 1, acl->len - 1);
		check_common_form(&added);
		buf_fini(&added);
	}
	buf_fini(acl);
}

static void check_dlist(struct span text)
{
	struct dlist_cursor cursor = { text };
	struct dlist_value value;
	struct buf acl = BUF_NULL;

	if (dlist_next(&cursor, &value))
		return;
	buf_add_char(&acl, '\t');
	int r = acl_add_dlist(&acl, value);
	check_result(r, &acl);
}

static void check_text(struct span text)
{
	struct buf acl = BUF_NULL;

	buf_add_char(&acl, '\t');
	int r = acl_add_text(&acl, text);
	check_result(r, &acl);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span all = span_of(data, size), first, second = SPAN_NULL;
	uint64_t len = span_find(all, '\n');

	first = span_of(data, len);
	if (len < size)
		second = span_of(data + len + 1, size - len - 1);
	check_dlist(all);
	check_dlist(first);
	check_text(all);
	check_text(first);
	check_text(second);
	require(acl_equals(first, first));
	require(acl_equals(first, second) == acl_equals(second, first));
	return 0;
}

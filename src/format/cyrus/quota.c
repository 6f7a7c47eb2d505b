// SPDX-License-Identifier: Apache-2.0
/*
 * Both grammars are read to their end: a file that was cut, or has something behind it, is
 * refused. What a list holds beside the four resources (the modseq, the state of a `quota -f`
 * under way) is passed over.
 */
#include "format/cyrus/quota.h"

#include <errno.h>

#include "format/cyrus/dlist.h"

static const struct {
	const char *name;
	const char *key; /* in files */
} resources[QUOTA_RESOURCE_COUNT_] = {
	[QUOTA_STORAGE] = { "storage", "S" },
	[QUOTA_MESSAGES] = { "messages", "M" },
	[QUOTA_ANNOTATIONS] = { "annotations", "AS" },
	[QUOTA_FOLDERS] = { "folders", "NF" },
};

const char *quota_resource_name(enum quota_resource resource)
{
	return (unsigned)resource < QUOTA_RESOURCE_COUNT_ ? resources[resource].name : NULL;
}

/* QUOTA_RESOURCE_COUNT_ when `key` is none. */
static unsigned resource_of(struct span key)
{
	unsigned i = 0;

	while (i < QUOTA_RESOURCE_COUNT_ && !span_equals_str(key, resources[i].key))
		i++;
	return i;
}

/* The next value of a list, a number. 0, DLIST_END, or -EBADMSG. */
static int number_next(struct dlist_cursor *inside, uint64_t max, uint64_t *ret_number)
{
	struct dlist_value value;
	int r = dlist_next(inside, &value);

	if (r)
		return r;
	if (value.kind != DLIST_ATOM || value.escaped ||
	    span_parse_u64(value.text, max, ret_number))
		return -EBADMSG;
	return 0;
}

/* `(used)`, or `(used limit)`. */
static int resource_parse(struct dlist_value list, struct quota *quota, unsigned resource)
{
	struct dlist_cursor inside = dlist_enter(list);
	uint64_t used, limit, more;
	int r;

	if (list.kind != DLIST_LIST || quota->resources[resource].is_given ||
	    number_next(&inside, UINT64_MAX, &used))
		return -EBADMSG;
	quota->resources[resource].is_given = true;
	quota->resources[resource].used = used;
	r = number_next(&inside, INT64_MAX, &limit);
	if (r == DLIST_END)
		return 0;
	if (r || number_next(&inside, UINT64_MAX, &more) != DLIST_END)
		return -EBADMSG;
	quota->resources[resource].limit = (int64_t)limit;
	return 0;
}

static int dlist_parse(struct span text, struct quota *quota)
{
	struct dlist_cursor cursor = { text };
	struct dlist_value list, value;
	struct span key;
	int r = dlist_next(&cursor, &list);

	if (r || list.kind != DLIST_KVLIST ||
	    (cursor.rest.len && !span_equals_str(cursor.rest, "\n")))
		return -EBADMSG;
	struct dlist_cursor inside = dlist_enter(list);
	while ((r = dlist_next_pair(&inside, &key, &value)) == 0) {
		unsigned resource = resource_of(key);
		if (resource == QUOTA_RESOURCE_COUNT_)
			continue;
		r = resource_parse(value, quota, resource);
		if (r)
			return r;
	}
	return r == DLIST_END ? 0 : r;
}

/* Takes what stands before the first space or LF, and that, off the front of `s`. */
static bool word_next(struct span *s, struct span *ret_word)
{
	uint64_t len = min_of(span_find(*s, ' '), span_find(*s, '\n'));

	if (len == s->len)
		return false;
	*ret_word = span_of(s->data, len);
	*s = span_of(s->data + len + 1, s->len - len - 1);
	return true;
}

/* A number, or -1 for none. */
static int limit_parse(struct span text, int64_t *ret_limit)
{
	uint64_t limit;

	*ret_limit = -1;
	if (span_equals_str(text, "-1"))
		return 0;
	if (span_parse_u64(text, INT64_MAX, &limit))
		return -EBADMSG;
	*ret_limit = (int64_t)limit;
	return 0;
}

/*
 * `used LF limit LF` in a file, `used SP limit` in a database: which of the two says whether a
 * cut took digits off the end. A third number is what a `quota -f` that failed had counted.
 * Snapshots of 2.5 went on with other resources; no release did.
 */
static int text_parse(struct span text, struct quota *quota)
{
	struct span used, limit;
	uint64_t extra;

	if (!word_next(&text, &used))
		return -EBADMSG;
	if (used.data[used.len] == '\n') {
		if (text.len == 0 || text.data[text.len - 1] != '\n')
			return -EBADMSG;
		text.len--;
	}
	if (!word_next(&text, &limit))
		limit = text;
	else if (span_parse_u64(text, UINT64_MAX, &extra))
		return -EBADMSG;
	quota->resources[QUOTA_STORAGE].is_given = true;
	if (span_parse_u64(used, UINT64_MAX, &quota->resources[QUOTA_STORAGE].used))
		return -EBADMSG;
	return limit_parse(limit, &quota->resources[QUOTA_STORAGE].limit);
}

int quota_parse(struct span text, struct quota *ret_quota)
{
	for (unsigned i = 0; i < QUOTA_RESOURCE_COUNT_; i++) {
		ret_quota->resources[i].is_given = false;
		ret_quota->resources[i].used = 0;
		ret_quota->resources[i].limit = -1;
	}
	if (text.len && text.data[0] == '%')
		return dlist_parse(text, ret_quota);
	return text_parse(text, ret_quota);
}

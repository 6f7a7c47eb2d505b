// SPDX-License-Identifier: Apache-2.0
/*
 * The newest version of each block, in memory that follows the number of different blocks and not
 * the length of the log: a full list is sorted and thinned before it grows.
 */
#include <errno.h>
#include <stdlib.h>

#include "format/ext4/ext4_jbd2.h"

#define LIST_CAP_MIN 64
#define LIST_CAP_MAX ((size_t)EXT4_JOURNAL_BLOCKS_MAX * 2)

void jbd2_list_fini(struct jbd2_list *list)
{
	free(list->entries);
	*list = JBD2_LIST_NULL;
}

static int compare_entries(const void *left, const void *right)
{
	const struct jbd2_entry *a = left, *b = right;

	if (a->fs_block != b->fs_block)
		return a->fs_block < b->fs_block ? -1 : 1;
	if (a->nr != b->nr)
		return a->nr < b->nr ? -1 : 1;
	return a->pos < b->pos ? -1 : a->pos > b->pos;
}

/* Sorts the committed ones and leaves the last of each block; the others move up behind them. */
static void list_thin(struct jbd2_list *list)
{
	struct jbd2_entry *e = list->entries;
	size_t nr = list->nr_committed, open = list->nr - nr, kept = 0;

	if (nr)
		qsort(e, nr, sizeof(*e), compare_entries);
	for (size_t i = 0; i < nr; i++)
		if (i + 1 == nr || e[i + 1].fs_block != e[i].fs_block)
			e[kept++] = e[i];
	if (open)
		memmove(e + kept, e + nr, open * sizeof(*e));
	list->nr_committed = kept;
	list->nr = kept + open;
}

/* Half of it is free then, so that sorting costs little for each that is added. */
static int list_grow(struct jbd2_list *list)
{
	size_t cap = max_of(list->cap * 2, (size_t)LIST_CAP_MIN);

	list_thin(list);
	if (list->nr < list->cap / 2)
		return 0;
	if (list->cap >= LIST_CAP_MAX)
		return list->nr <= list->cap / 2 ? 0 : -EFBIG;
	struct jbd2_entry *entries = realloc(list->entries, cap * sizeof(*entries));
	if (!entries)
		return -ENOMEM;
	list->entries = entries;
	list->cap = cap;
	return 0;
}

int jbd2_list_add(struct jbd2_list *list, const struct jbd2_entry *entry)
{
	if (list->nr == list->cap) {
		int r = list_grow(list);
		if (r)
			return r;
	}
	list->entries[list->nr++] = *entry;
	return 0;
}

void jbd2_list_commit(struct jbd2_list *list)
{
	list->nr_committed = list->nr;
}

void jbd2_list_abort(struct jbd2_list *list)
{
	list->nr = list->nr_committed;
}

void jbd2_list_settle(struct jbd2_list *list, uint32_t nr)
{
	size_t kept = 0;

	jbd2_list_abort(list);
	list_thin(list);
	for (size_t i = 0; i < list->nr; i++)
		if (list->entries[i].nr >= nr)
			list->entries[kept++] = list->entries[i];
	list->nr = list->nr_committed = kept;
}

uint64_t jbd2_list_revoke(struct jbd2_list *list, const struct jbd2_list *revoked)
{
	size_t kept = 0, next = 0;

	for (size_t i = 0; i < list->nr; i++) {
		const struct jbd2_entry *e = &list->entries[i];
		while (next < revoked->nr && revoked->entries[next].fs_block < e->fs_block)
			next++;
		if (next < revoked->nr && revoked->entries[next].fs_block == e->fs_block &&
		    revoked->entries[next].nr >= e->nr)
			continue;
		list->entries[kept++] = *e;
	}
	uint64_t dropped = list->nr - kept;
	list->nr = list->nr_committed = kept;
	return dropped;
}

size_t jbd2_list_find(const struct jbd2_list *list, uint64_t fs_block)
{
	size_t low = 0, high = list->nr;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		if (list->entries[mid].fs_block < fs_block)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

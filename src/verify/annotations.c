/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keys begin with the UID as text, so they come in the order of text: the sums are sorted before
 * they are asked for.
 *
 * Cyrus writes this file in twoskip, or skiplist if so configured. What a database is its first
 * bytes say; where they are those of flat text, or of nothing, they are damaged.
 */
#include "verify/annotations.h"

#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "format/cyrus/annotation.h"
#include "format/cyrus/db.h"

#define LOAD_TRIES 5
#define DB_MAGIC_LEN 20 /* bytes, as db_engine_of takes them */

void annotations_fini(struct annotations *annotations)
{
	free(annotations->sums);
	*annotations = ANNOTATIONS_NULL;
}

static int annotations_add(struct annotations *annotations, uint32_t uid, uint32_t crc)
{
	if (annotations->nr == annotations->cap) {
		size_t cap = max_of(annotations->cap * 2, (size_t)64);
		if (cap > ANNOTATIONS_MAX)
			return -E2BIG;
		struct annotation_sum *sums =
			reallocarray(annotations->sums, cap, sizeof(*sums));
		if (!sums)
			return -ENOMEM;
		annotations->sums = sums;
		annotations->cap = cap;
	}
	annotations->sums[annotations->nr++] = (struct annotation_sum){ uid, crc };
	return 0;
}

static int annotations_walk(struct annotations *annotations, struct source *src, uint32_t version,
			    struct span owner)
{
	struct annotation annotation;
	struct db db = DB_NULL;
	struct span key, value;
	int r = db_begin(&db, src);

	while (r == 0) {
		r = db_next(&db, &key, &value);
		if (r)
			break;
		r = annotation_parse(key, value, &annotation);
		uint32_t crc = r ? 0 : annotation_sync_crc(&annotation, version, owner);
		if (r == 0 && crc && annotation.uid)
			r = annotations_add(annotations, annotation.uid, crc);
	}
	db_fini(&db);
	return r == DB_END ? 0 : r;
}

static int compare_sums(const void *a, const void *b)
{
	const struct annotation_sum *x = a, *y = b;

	return x->uid < y->uid ? -1 : x->uid > y->uid;
}

/* -EAGAIN: it is empty, as a file is that Cyrus has just made. */
static int look_at_engine(struct source *src)
{
	uint8_t head[DB_MAGIC_LEN];
	uint64_t n = 0;
	int r = source_read(src, 0, head, sizeof(head), &n);

	if (r)
		return r;
	if (n == 0)
		return -EAGAIN;
	enum db_engine engine = db_engine_of(span_of(head, n));
	return engine == DB_FLAT || engine == DB_UNKNOWN ? -EBADMSG : 0;
}

int annotations_load(struct annotations *annotations, const struct dir *dir, uint32_t version,
		     struct span owner)
{
	bool is_empty = true;
	int r = -EAGAIN;

	for (int tries = 0; r == -EAGAIN && tries < LOAD_TRIES; tries++) {
		struct source src = SOURCE_NULL;
		if (tries)
			clock_sleep_ns(10 * NS_PER_MS);
		annotations->nr = annotations->next = 0;
		annotations->bad_off = 0;
		r = dir_open_source(dir, "cyrus.annotations", &src);
		if (r == -ENOENT)
			return 0;
		if (r == 0)
			r = look_at_engine(&src);
		is_empty = is_empty && r == -EAGAIN;
		if (r == 0)
			r = db_check(&src, DB_ORDER_BYTES, &annotations->bad_off);
		if (r == 0)
			r = annotations_walk(annotations, &src, version, owner);
		source_close(&src);
	}
	if (is_empty)
		return -EBADMSG;
	if (r == 0 && annotations->nr)
		qsort(annotations->sums, annotations->nr, sizeof(annotations->sums[0]),
		      compare_sums);
	return r;
}

uint32_t annotations_take(struct annotations *annotations, uint32_t uid)
{
	uint32_t crc = 0;

	while (annotations->next < annotations->nr &&
	       annotations->sums[annotations->next].uid < uid)
		annotations->next++;
	while (annotations->next < annotations->nr &&
	       annotations->sums[annotations->next].uid == uid)
		crc ^= annotations->sums[annotations->next++].crc;
	return crc;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opens a baseline and goes down its branches. A table is believed when its bytes have the checksum
 * that the table above it, or the header, says, and when its references lie inside of what that
 * says they do.
 */
#include "state/baseline_reader.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "digest/digest.h"

int baseline_load(struct baseline *b, const struct baseline_ref *ref, struct buf *ret_bytes)
{
	buf_clear(ret_bytes);
	int r = buf_reserve(ret_bytes, ref->len);
	if (r == 0)
		r = source_read_exact(b->src, ref->off, ret_bytes->data, ref->len);
	if (r)
		return r == -ENODATA ? -EBADMSG : r;
	ret_bytes->len = ref->len;
	return xxh3_of(buf_span(ret_bytes)) == ref->xxh3 ? 0 : -EBADMSG;
}

/* ---- cursors ---- */

void baseline_cursor_fini(struct baseline_cursor *c)
{
	free(c->leaf);
	c->leaf = NULL;
	c->has_leaf = false;
	buf_fini(&c->bytes);
}

static int open_leaf(struct baseline_cursor *c, uint32_t leaf_no)
{
	const struct baseline_ref *parent = &c->b->roots[c->branch][leaf_no];
	uint64_t low = leaf_no ? parent[-1].off + parent[-1].len : BASELINE_HEADER_LEN;

	c->has_leaf = false;
	if (!c->leaf)
		c->leaf = malloc(BASELINE_FANOUT * sizeof(*c->leaf));
	if (!c->leaf)
		return -ENOMEM;
	int r = baseline_load(c->b, parent, &c->bytes);
	if (r == 0)
		r = baseline_table_parse(buf_span(&c->bytes), c->branch, parent, low, &c->b->header,
					 c->leaf);
	if (r)
		return r;
	c->leaf_no = leaf_no;
	c->nr_leaf = parent->nr;
	c->has_leaf = true;
	return 0;
}

int baseline_cursor_next(struct baseline_cursor *c, struct baseline_ref *ret_ref)
{
	uint32_t nr_root = c->b->header.roots[c->branch].nr;

	if (!c->has_leaf || c->pos == c->nr_leaf) {
		uint32_t leaf_no = c->has_leaf ? c->leaf_no + 1 : c->leaf_no;
		if (leaf_no >= nr_root)
			return 0;
		int r = open_leaf(c, leaf_no);
		if (r)
			return r;
		c->pos = 0;
	}
	*ret_ref = c->leaf[c->pos++];
	return 1;
}

/* The first of `nr` references whose last key is not below `key`, or `nr`. */
static uint32_t lower_bound(const struct baseline_ref *refs, uint32_t nr, uint64_t key)
{
	uint32_t low = 0;

	for (uint32_t high = nr; low < high;) {
		uint32_t middle = low + (high - low) / 2;
		if (refs[middle].last < key)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

int baseline_cursor_seek(struct baseline_cursor *c, uint64_t key)
{
	uint32_t nr_root = c->b->header.roots[c->branch].nr;
	uint32_t leaf_no = lower_bound(c->b->roots[c->branch], nr_root, key);

	if (leaf_no == nr_root) {
		c->has_leaf = false;
		c->leaf_no = nr_root;
		return 0;
	}
	if (!c->has_leaf || c->leaf_no != leaf_no) {
		int r = open_leaf(c, leaf_no);
		if (r) {
			c->leaf_no = leaf_no;
			return r;
		}
	}
	c->pos = lower_bound(c->leaf, c->nr_leaf, key);
	return 0;
}

/* ---- opening ---- */

static int read_header(struct baseline *b)
{
	uint8_t bytes[BASELINE_HEADER_MAX];
	uint64_t n, size;
	int r = source_size(b->src, &size);

	if (r == 0)
		r = source_read(b->src, 0, bytes, sizeof(bytes), &n);
	if (r == 0)
		r = baseline_header_parse(span_of(bytes, n), &b->header);
	if (r == 0 && b->header.size != size)
		r = -EBADMSG;
	b->header.info.bytes = size;
	return r;
}

static int read_root(struct baseline *b, enum baseline_branch branch)
{
	const struct baseline_ref *ref = &b->header.roots[branch];
	struct buf bytes = BUF_NULL;

	if (ref->nr == 0)
		return 0;
	if (ref->nr > BASELINE_FANOUT)
		return -EBADMSG;
	b->roots[branch] = malloc(ref->nr * sizeof(struct baseline_ref));
	int r = b->roots[branch] ? baseline_load(b, ref, &bytes) : -ENOMEM;
	if (r == 0)
		r = baseline_table_parse(buf_span(&bytes), branch, ref, BASELINE_HEADER_LEN,
					 &b->header, b->roots[branch]);
	buf_fini(&bytes);
	return r;
}

static int read_tables(struct baseline *b)
{
	int r = read_header(b);

	for (unsigned i = 0; i < BASELINE_BRANCHES_ && r == 0; i++)
		r = read_root(b, (enum baseline_branch)i);
	return r;
}

static struct baseline *new_baseline(void)
{
	struct baseline *b = calloc(1, sizeof(*b));

	if (!b)
		return NULL;
	b->own = SOURCE_NULL;
	b->at = BASELINE_SUMS_OF(b);
	b->patches = BASELINE_PATCHES_OF(b);
	b->find = BASELINE_OWNERS_OF(b);
	return b;
}

int baseline_open_source(struct source *src, struct baseline **ret_baseline)
{
	struct baseline *b = new_baseline();

	*ret_baseline = NULL;
	if (!b)
		return -ENOMEM;
	b->src = src;
	int r = read_tables(b);
	if (r) {
		baseline_close(b);
		return r;
	}
	*ret_baseline = b;
	return 0;
}

static int find_newest(int dirfd, uint64_t *number)
{
	uint64_t *numbers = NULL;
	size_t nr = 0;
	int r = baseline_dir_numbers(dirfd, &numbers, &nr);

	if (r == 0 && nr == 0)
		r = -ENOENT;
	if (r == 0)
		*number = numbers[nr - 1];
	free(numbers);
	return r;
}

static int open_number(struct baseline *b, int dirfd, const uint8_t uuid[BASELINE_UUID_LEN],
		       uint64_t number)
{
	char name[BASELINE_NAME_SIZE];

	int r = number ? 0 : find_newest(dirfd, &number);
	if (r)
		return r;
	baseline_name_format(number, name);
	r = source_open_file(&b->own, dirfd, name);
	b->src = &b->own;
	if (r == 0)
		r = read_tables(b);
	if (r == 0 && (b->header.info.number != number ||
		       memcmp(b->header.info.uuid, uuid, BASELINE_UUID_LEN) != 0))
		r = -EBADMSG;
	return r;
}

int baseline_open(const char *dir, const uint8_t uuid[BASELINE_UUID_LEN], uint64_t number,
		  struct baseline **ret_baseline)
{
	*ret_baseline = NULL;
	int dirfd = baseline_dir_open(dir, uuid, false);
	if (dirfd < 0)
		return dirfd;
	struct baseline *b = new_baseline();
	int r = b ? open_number(b, dirfd, uuid, number) : -ENOMEM;
	(void)close(dirfd);
	if (r) {
		baseline_close(b);
		return r;
	}
	*ret_baseline = b;
	return 0;
}

void baseline_close(struct baseline *b)
{
	if (!b)
		return;
	baseline_sums_fini(&b->at);
	baseline_patches_fini(&b->patches);
	baseline_owners_fini(&b->find);
	for (size_t i = 0; i < BASELINE_BRANCHES_; i++)
		free(b->roots[i]);
	source_close(&b->own);
	free(b);
}

void baseline_get_info(const struct baseline *b, struct baseline_info *ret_info)
{
	*ret_info = b->header.info;
}

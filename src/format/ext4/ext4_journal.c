// SPDX-License-Identifier: Apache-2.0
/*
 * Opening a journal takes several tries on a mounted filesystem: what looks like damage may be a
 * block that was being written, and a log that has moved on is read again. What is still the same
 * at the second look is damage.
 */
#include "format/ext4/ext4_journal.h"

#include <errno.h>
#include <stdlib.h>

#include "format/ext4/ext4_jbd2.h"

#define TRIES 6

/* Forgets what was read, but not where the journal lies. */
static void journal_forget(struct ext4_journal *j)
{
	struct ext4_journal_info info = { .from_backup = j->info.from_backup };

	jbd2_list_fini(&j->newest);
	jbd2_list_fini(&j->revoked);
	free(take(j->problems));
	j->nr_problems = j->cap_problems = 0;
	j->info = info;
}

void ext4_journal_close(struct ext4_journal *j)
{
	if (!j)
		return;
	journal_forget(j);
	free(j->extents);
	free(j->by_place);
	free(j->raw);
	free(j);
}

static int journal_load(struct ext4_journal *j)
{
	bool suspected = false;
	int r = jbd2_locate(j);

	for (unsigned tries = 1; r == 0; tries++) {
		r = jbd2_log_read(j);
		if (r == 0 && (suspected || j->info.nr_problems == 0))
			return 0;
		if (r && r != -EAGAIN)
			return r;
		if (tries == TRIES)
			return -EAGAIN;
		suspected = r == 0;
		journal_forget(j);
		source_forget(j->fs->src);
		r = jbd2_super_read(j, &j->super);
	}
	return r;
}

int ext4_journal_open(struct ext4 *fs, struct ext4_journal **ret_j)
{
	uint64_t size;

	*ret_j = NULL;
	int r = source_size(fs->src, &size);
	if (r)
		return r;
	struct ext4_journal *j = calloc(1, sizeof(*j));
	if (!j)
		return -ENOMEM;
	j->fs = fs;
	j->block_size = fs->info.block_size;
	j->nr_source = size / j->block_size;
	j->raw = malloc(j->block_size);
	r = j->raw ? journal_load(j) : -ENOMEM;
	if (r) {
		ext4_journal_close(j);
		return r;
	}
	*ret_j = j;
	return 0;
}

void ext4_journal_get_info(const struct ext4_journal *j, struct ext4_journal_info *ret_info)
{
	*ret_info = j->info;
}

int ext4_journal_each_problem(const struct ext4_journal *j, ext4_journal_problem_fn fn, void *ctx)
{
	int r = 0;

	for (size_t i = 0; i < j->nr_problems && r == 0; i++)
		r = fn(&j->problems[i], ctx);
	return r;
}

/* NULL: it stands in its place. */
static const struct jbd2_entry *find_entry(const struct ext4_journal *j, uint64_t fs_block)
{
	size_t i = jbd2_list_find(&j->newest, fs_block);
	const struct jbd2_entry *e = i < j->newest.nr ? &j->newest.entries[i] : NULL;

	return e && e->fs_block == fs_block ? e : NULL;
}

int ext4_journal_find(const struct ext4_journal *j, uint64_t fs_block, uint32_t *ret_journal_block)
{
	const struct jbd2_entry *e = find_entry(j, fs_block);

	if (!e)
		return -ENOENT;
	*ret_journal_block = jbd2_block_at(j, e->pos);
	return 0;
}

/* Into j->raw. */
static int read_entry(struct ext4_journal *j, const struct jbd2_entry *e)
{
	int r = jbd2_read_block(j, jbd2_block_at(j, e->pos), j->raw);

	if (r)
		return r;
	if (jbd2_data_sum(j, j->super.sequence + e->nr, j->raw) != e->sum)
		return -ESTALE;
	if (e->escaped)
		put_be32(j->raw, JBD2_MAGIC);
	return 0;
}

int ext4_journal_read(struct ext4_journal *j, uint64_t fs_block, void *buf)
{
	const struct jbd2_entry *e = find_entry(j, fs_block);

	if (!e)
		return 0;
	int r = read_entry(j, e);
	if (r)
		return r;
	memcpy(buf, j->raw, j->block_size);
	return EXT4_JOURNAL_NEWER;
}

/* ---- as a source ---- */

struct overlay {
	struct ext4_journal *j; /* borrowed */
	struct source *base;	/* borrowed */
};

/* Up to the end of a block that stands in the journal, or to the beginning of the next one. */
static int overlay_read(struct source *src, uint64_t off, void *buf, uint64_t len, uint64_t *ret_n)
{
	const struct overlay *overlay = src->ctx;
	struct ext4_journal *j = overlay->j;
	uint64_t block = off / j->block_size, within = off % j->block_size;
	size_t i = jbd2_list_find(&j->newest, block);
	const struct jbd2_entry *e = i < j->newest.nr ? &j->newest.entries[i] : NULL;

	if (e && e->fs_block == block && len) {
		int r = read_entry(j, e);
		*ret_n = r ? 0 : min_of(len, j->block_size - within);
		if (r == 0)
			memcpy(buf, j->raw + within, *ret_n);
		if (r != -ESTALE)
			return r;
		/* The log has moved on: then what stands in its place is at least as new. */
		len = min_of(len, j->block_size - within);
	} else if (e)
		len = min_of(len, e->fs_block * j->block_size - off);
	return source_read(overlay->base, off, buf, len, ret_n);
}

static int overlay_size(struct source *src, uint64_t *ret_size)
{
	const struct overlay *overlay = src->ctx;

	return source_size(overlay->base, ret_size);
}

static void overlay_forget(struct source *src)
{
	const struct overlay *overlay = src->ctx;

	source_forget(overlay->base);
}

static void overlay_prefetch(struct source *src, uint64_t off, uint64_t len)
{
	const struct overlay *overlay = src->ctx;

	source_prefetch(overlay->base, off, len);
}

static void overlay_close(struct source *src)
{
	free(src->ctx);
}

static const struct source_ops overlay_ops = {
	.read = overlay_read,
	.size = overlay_size,
	.forget = overlay_forget,
	.prefetch = overlay_prefetch,
	.close = overlay_close,
};

int ext4_journal_source(struct ext4_journal *j, struct source *base, struct source *ret_src)
{
	struct overlay *overlay = malloc(sizeof(*overlay));

	*ret_src = SOURCE_NULL;
	if (!overlay)
		return -ENOMEM;
	*overlay = (struct overlay){ .j = j, .base = base };
	*ret_src = (struct source){ .ops = &overlay_ops, .fd = -1, .ctx = overlay };
	return 0;
}

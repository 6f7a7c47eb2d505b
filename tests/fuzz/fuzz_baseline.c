// SPDX-License-Identifier: Apache-2.0
/*
 * Fuzzes baselines: as they are; once more after every checksum was made right, from the chunks up
 * to the header, so that what is behind them is reached; and the records of owners alone, which
 * lie compressed in a file. Whatever is read stays inside of the filesystem and ascends, and what a
 * baseline that is right in itself says in one way it says in the others.
 */
#include <errno.h>
#include <stdlib.h>

#include "digest/digest.h"
#include "state/baseline_format.h"

enum { INPUT_MAX = 1 << 20, TABLES_MAX = 4096 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok)
{
	if (!ok)
		abort();
}

static bool is_expected(int r)
{
	return r == 0 || r == -EBADMSG || r == -ENOMEM;
}

/* ---- reading one ---- */

struct walk {
	struct baseline *b;
	struct baseline_info info;
	uint64_t behind, sums, runs;
	uint32_t ino;
	uint64_t owners;
	uint64_t digest; /* of the first sum */
	bool found;
};

static int on_run(uint64_t first, uint64_t nr, void *ctx)
{
	struct walk *w = ctx;
	struct block_sum sum;

	require(nr > 0 && nr <= w->info.nr_blocks && first <= w->info.nr_blocks - nr);
	require(w->runs == 0 || first > w->behind);
	w->behind = first + nr;
	w->sums += nr;
	/* Not all: a few blocks of a few runs, in the middle of the walk. */
	if (w->runs++ < 64) {
		int r = baseline_sum_at(w->b, first, &sum);
		require(r == 1 || r == -EBADMSG);
		if (r == 1 && w->runs == 1)
			w->digest = sum.digest;
		r = baseline_sum_at(w->b, first + nr - 1, &sum);
		require(r == 1 || r == -EBADMSG);
		r = baseline_sum_at(w->b, first + nr, &sum);
		require(r == 0 || r == -EBADMSG);
		r = baseline_is_contested(w->b, first);
		require(r == 0 || r == 1 || r == -EBADMSG);
	}
	return 0;
}

static int on_owner(const struct baseline_owner *o, void *ctx)
{
	struct walk *w = ctx;

	require(o->ino >= w->ino && o->nr_extents <= BASELINE_EXTENTS_MAX);
	w->ino = o->ino;
	w->owners++;
	for (size_t i = 0; i < o->nr_extents; i++)
		require(baseline_extent_is_sane(&o->extents[i], w->info.nr_blocks));
	return 0;
}

static int on_found_owner(const struct baseline_owner *o, void *ctx)
{
	const struct walk *w = ctx;

	require(o->ino == w->ino);
	return 0;
}

static int on_digest(uint64_t block, struct block_sum sum, void *ctx)
{
	struct walk *w = ctx;

	require(block < w->info.nr_blocks && sum.digest == w->digest);
	w->found = true;
	return 0;
}

static int on_change(enum baseline_change change, uint64_t first, uint64_t nr, void *ctx)
{
	(void)ctx;
	(void)first;
	(void)nr;
	(void)change;
	abort(); /* a baseline does not differ from itself */
}

static void read_all(struct walk *w)
{
	int verified = baseline_verify(w->b), r;

	require(is_expected(verified));
	r = baseline_each_run(w->b, on_run, w);
	require(is_expected(r));
	if (verified == 0)
		require(r == 0 && w->sums == w->info.nr_sums);
	if (r == 0 && w->runs) {
		r = baseline_find_digests(w->b, &w->digest, 1, on_digest, w);
		require(is_expected(r));
		require(verified != 0 || w->found);
	}
	require(is_expected(baseline_diff(w->b, w->b, on_change, NULL)));
	r = baseline_each_owner(w->b, on_owner, w);
	require(is_expected(r));
	if (verified == 0)
		require(r == 0 && w->owners == w->info.nr_owners);
	if (w->owners) {
		r = baseline_find_owner(w->b, w->ino, on_found_owner, w);
		require(is_expected(r));
		w->ino /= 2;
		r = baseline_find_owner(w->b, w->ino, on_found_owner, w);
		require(is_expected(r) || r == -ENOENT);
	}
}

static void read_bytes(struct span bytes)
{
	struct source src;
	struct walk w = { .b = NULL };

	source_init_memory(&src, bytes);
	int r = baseline_open_source(&src, &w.b);
	require(is_expected(r) || r == -EPROTONOSUPPORT);
	require((r == 0) == (w.b != NULL));
	if (r)
		return;
	baseline_get_info(w.b, &w.info);
	require(baseline_info_is_sane(&w.info) && w.info.nr_sums <= w.info.nr_blocks);
	read_all(&w);
	baseline_close(w.b);
}

/* ---- making the checksums right ---- */

struct image {
	uint8_t *data;
	size_t size;
	unsigned tables; /* how many more are looked into */
};

/* A reference that lies at `at`: makes what it refers to right, `depth` tables deep, then itself. */
static void fix_ref(struct image *image, size_t at, int depth)
{
	if (at + BASELINE_REF_LEN > image->size)
		return;
	uint64_t off = baseline_le64(image->data + at);
	uint64_t len = baseline_le32(image->data + at + 32);
	if (off > image->size || len > image->size - off)
		return;
	if (depth > 0 && image->tables > 0) {
		image->tables--;
		for (uint64_t i = 0; i + BASELINE_REF_LEN <= len && i < 64 * BASELINE_REF_LEN;
		     i += BASELINE_REF_LEN)
			fix_ref(image, off + i, depth - 1);
	}
	uint64_t sum = htole64(xxh3_of(span_of(image->data + off, len)));
	memcpy(image->data + at + 24, &sum, sizeof(sum));
}

static void fix_checksums(struct image *image)
{
	const uint32_t version = htole32(BASELINE_VERSION), len = htole32(BASELINE_HEADER_LEN);
	const uint64_t size = htole64(image->size);

	memcpy(image->data, BASELINE_MAGIC, 8);
	memcpy(image->data + 8, &version, sizeof(version));
	memcpy(image->data + 12, &len, sizeof(len));
	memcpy(image->data + 96, &size, sizeof(size));
	for (size_t i = 0; i < BASELINE_BRANCHES_; i++)
		fix_ref(image, 104 + i * BASELINE_REF_LEN, 2);
	uint64_t sum = htole64(xxh3_of(span_of(image->data, BASELINE_HEADER_LEN - 8)));
	memcpy(image->data + BASELINE_HEADER_LEN - 8, &sum, sizeof(sum));
}

/* ---- records alone ---- */

/* What was taken apart and is put together again says the same. */
static void check_again(const struct baseline_record *record, struct baseline_record_base base,
			struct baseline_record *again)
{
	struct baseline_record_base before = base;
	struct buf bytes = BUF_NULL;

	baseline_record_format(&bytes, &base, record->bits, &record->owner, record->extents,
			       record->nr_extents);
	require(buf_error(&bytes) == 0);
	struct baseline_in in = { .left = buf_span(&bytes) };
	require(baseline_record_parse(&in, &before, BASELINE_BLOCKS_MAX, again) == 0);
	require(in.left.len == 0 && again->bits == record->bits);
	require(again->owner.ino == record->owner.ino && again->owner.mode == record->owner.mode);
	require(again->owner.mtime_ns == record->owner.mtime_ns);
	require(again->nr_extents == record->nr_extents);
	for (size_t i = 0; i < record->nr_extents; i++)
		require(again->extents[i].physical == record->extents[i].physical &&
			again->extents[i].logical == record->extents[i].logical &&
			again->extents[i].len == record->extents[i].len &&
			again->extents[i].unwritten == record->extents[i].unwritten);
	buf_fini(&bytes);
}

static void read_records(struct span bytes)
{
	struct baseline_record *record = malloc(sizeof(*record)), *again = malloc(sizeof(*again));
	struct baseline_record_base base = BASELINE_RECORD_BASE(3);
	struct baseline_in in = { .left = bytes };

	require(record && again);
	for (int i = 0; i < 200; i++) {
		struct baseline_record_base before = base;
		int r = baseline_record_parse(&in, &base, BASELINE_BLOCKS_MAX, record);
		require(r == 0 || r == -EBADMSG);
		if (r)
			break;
		check_again(record, before, again);
	}
	free(record);
	free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size > INPUT_MAX)
		return 0;
	read_bytes(span_of(data, size));
	read_records(span_of(data, size));
	if (size < BASELINE_HEADER_LEN)
		return 0;
	struct image image = { .data = malloc(size), .size = size, .tables = TABLES_MAX };
	require(image.data != NULL);
	memcpy(image.data, data, size);
	fix_checksums(&image);
	read_bytes(span_of(image.data, size));
	free(image.data);
	return 0;
}

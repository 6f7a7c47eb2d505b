/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes a baseline: chunks of sums and of owners as they become full, one file, front to back;
 * then what was replaced, the tables that were not full, and the header in front. Under its final
 * name it stands only when all of that is on the disk.
 *
 * The lock of a volume is one on its directory: it needs no file, and goes with the process.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>
#include <zlib.h>

#include "digest/digest.h"
#include "state/baseline_reader.h"

static const char unfinished[] = "unfinished.tmp";

enum { OWNERS_LEVEL = 3 /* of zlib: twice as fast as 6, and 2 % larger */ };

struct branch {
	struct baseline_ref *leaf, *root; /* BASELINE_FANOUT each */
	uint32_t nr_leaf, nr_root;
};

struct replaced {
	uint64_t block, digest;
	uint32_t sectors;
	uint32_t turn; /* which call it was, doubled; the lowest bit: contested */
};

struct baseline_writer {
	int dirfd; /* locked */
	int fd;	   /* -1: nothing to remove */
	int error; /* of disk or memory: nothing more is possible */
	uint64_t off;
	struct baseline_header header;
	struct branch branches[BASELINE_BRANCHES_];
	struct buf scratch; /* of tables and sums, and packed owners */

	/* The chunk of sums under way. */
	struct buf runs; /* all but the last */
	uint32_t nr_runs;
	uint64_t run_first, run_nr, run_before; /* the last; where the one before ended */
	uint64_t sums_first, next_block;
	uint64_t *digests;
	uint32_t *sectors;
	uint32_t nr_sums;

	/* The chunk of owners under way. */
	struct buf raw;
	struct baseline_record_base base;
	uint32_t nr_records, owners_first, last_ino;

	struct replaced *replaced;
	size_t nr_replaced, cap_replaced;
};

static int fail(struct baseline_writer *w, int error)
{
	if (error)
		w->error = error;
	return error;
}

static int write_at(int fd, uint64_t off, const void *data, size_t len)
{
	const char *at = data;

	while (len) {
		ssize_t n = pwrite(fd, at, len, (off_t)off);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -EIO;
		at += n;
		len -= (size_t)n;
		off += (uint64_t)n;
	}
	return 0;
}

/* ---- the tree ---- */

/* Writes bytes behind all others, and completes the reference to them but for raw_len. */
static int append(struct baseline_writer *w, const struct buf *bytes, struct baseline_ref *ref)
{
	int r = buf_error(bytes);

	if (r == 0)
		r = write_at(w->fd, w->off, bytes->data, bytes->len);
	ref->off = w->off;
	ref->len = (uint32_t)bytes->len;
	ref->xxh3 = xxh3_of(buf_span(bytes));
	w->off += bytes->len;
	return r;
}

/* Writes `nr` references as a table. */
static int append_table(struct baseline_writer *w, const struct baseline_ref *refs, uint32_t nr,
			struct baseline_ref *ret_ref)
{
	buf_clear(&w->scratch);
	for (uint32_t i = 0; i < nr; i++)
		baseline_ref_format(&refs[i], &w->scratch);
	*ret_ref = (struct baseline_ref){
		.first = refs[0].first,
		.last = refs[nr - 1].last,
		.raw_len = nr * BASELINE_REF_LEN,
		.nr = nr,
	};
	return append(w, &w->scratch, ret_ref);
}

static int end_leaf(struct baseline_writer *w, struct branch *branch)
{
	if (branch->nr_leaf == 0)
		return 0;
	if (branch->nr_root == BASELINE_FANOUT)
		return -EFBIG;
	int r = append_table(w, branch->leaf, branch->nr_leaf, &branch->root[branch->nr_root++]);
	branch->nr_leaf = 0;
	return r;
}

static int add_chunk(struct baseline_writer *w, enum baseline_branch which, const struct buf *bytes,
		     struct baseline_ref ref)
{
	struct branch *branch = &w->branches[which];
	int r = append(w, bytes, &ref);

	branch->leaf[branch->nr_leaf++] = ref;
	if (r == 0 && branch->nr_leaf == BASELINE_FANOUT)
		r = end_leaf(w, branch);
	return r;
}

static int end_branch(struct baseline_writer *w, enum baseline_branch which)
{
	struct branch *branch = &w->branches[which];
	int r = end_leaf(w, branch);

	if (r == 0 && branch->nr_root)
		r = append_table(w, branch->root, branch->nr_root, &w->header.roots[which]);
	return r;
}

/* ---- sums ---- */

static void end_run(struct baseline_writer *w)
{
	if (w->run_nr == 0)
		return;
	baseline_add_varint(&w->runs, w->run_first - w->run_before);
	baseline_add_varint(&w->runs, w->run_nr);
	w->run_before = w->run_first + w->run_nr;
	w->nr_runs++;
	w->run_nr = 0;
}

static int end_sums(struct baseline_writer *w)
{
	struct baseline_ref ref = { .first = w->sums_first, .last = w->next_block - 1 };

	if (w->nr_sums == 0)
		return 0;
	end_run(w);
	buf_clear(&w->scratch);
	baseline_add_le32(&w->scratch, w->nr_runs);
	buf_add_span(&w->scratch, buf_span(&w->runs));
	for (uint32_t i = 0; i < w->nr_sums; i++)
		w->digests[i] = htole64(w->digests[i]);
	for (uint32_t i = 0; i < w->nr_sums; i++)
		w->sectors[i] = htole32(w->sectors[i]);
	buf_add(&w->scratch, w->digests, w->nr_sums * sizeof(*w->digests));
	buf_add(&w->scratch, w->sectors, w->nr_sums * sizeof(*w->sectors));
	ref.raw_len = (uint32_t)w->scratch.len;
	ref.nr = w->nr_sums;
	int r = buf_error(&w->runs);
	if (r == 0)
		r = add_chunk(w, BASELINE_SUMS, &w->scratch, ref);
	buf_clear(&w->runs);
	w->nr_runs = 0;
	w->nr_sums = 0;
	return r;
}

int baseline_writer_add_sum(struct baseline_writer *w, uint64_t block, struct block_sum sum)
{
	if (w->error)
		return w->error;
	if (block < w->next_block || block >= w->header.info.nr_blocks)
		return -EINVAL;
	if (w->nr_sums == BASELINE_CHUNK_SUMS && fail(w, end_sums(w)))
		return w->error;
	if (w->nr_sums == 0) {
		w->sums_first = block;
		w->run_before = block;
	}
	if (w->run_nr == 0 || block != w->next_block) {
		end_run(w);
		w->run_first = block;
	}
	w->run_nr++;
	w->digests[w->nr_sums] = sum.digest;
	w->sectors[w->nr_sums++] = sum.sectors;
	w->next_block = block + 1;
	w->header.info.nr_sums++;
	return 0;
}

/* ---- owners ---- */

static int end_owners(struct baseline_writer *w)
{
	struct baseline_ref ref = { .first = w->owners_first, .last = w->last_ino };
	uLongf len = compressBound(w->raw.len);

	if (w->nr_records == 0)
		return 0;
	buf_clear(&w->scratch);
	int r = buf_error(&w->raw);
	if (r == 0)
		r = buf_reserve(&w->scratch, len);
	if (r)
		return r;
	int z = compress2((Bytef *)w->scratch.data, &len, (const Bytef *)w->raw.data, w->raw.len,
			  OWNERS_LEVEL);
	if (z != Z_OK)
		return z == Z_MEM_ERROR ? -ENOMEM : -EIO;
	w->scratch.len = len;
	ref.raw_len = (uint32_t)w->raw.len;
	ref.nr = w->nr_records;
	r = add_chunk(w, BASELINE_OWNERS, &w->scratch, ref);
	buf_clear(&w->raw);
	w->nr_records = 0;
	return r;
}

static int check_owner(const struct baseline_writer *w, const struct baseline_owner *owner)
{
	if (owner->ino < w->last_ino)
		return -EINVAL;
	if (owner->nr_extents > BASELINE_EXTENTS_MAX)
		return -EFBIG;
	for (size_t i = 0; i < owner->nr_extents; i++)
		if (!baseline_extent_is_sane(&owner->extents[i], w->header.info.nr_blocks))
			return -EINVAL;
	return 0;
}

/* An owner of many extents is told in several records, so that a chunk stays as long as it is. */
int baseline_writer_add_owner(struct baseline_writer *w, const struct baseline_owner *owner)
{
	size_t done = 0;
	int r = w->error ? w->error : check_owner(w, owner);

	if (r)
		return r;
	w->last_ino = owner->ino;
	do {
		size_t nr = min_of(owner->nr_extents - done, (size_t)BASELINE_PART_EXTENTS);
		unsigned bits = done ? BASELINE_RECORD_REST : 0;
		if (done + nr < owner->nr_extents)
			bits |= BASELINE_RECORD_MORE;
		if (w->nr_records++ == 0) {
			w->owners_first = owner->ino;
			w->base = BASELINE_RECORD_BASE(owner->ino);
		}
		baseline_record_format(&w->raw, &w->base, bits, owner,
				       nr ? owner->extents + done : NULL, nr);
		if (w->raw.len >= BASELINE_RAW_FULL || w->raw.failed)
			r = fail(w, end_owners(w));
		done += nr;
	} while (r == 0 && done < owner->nr_extents);
	if (r == 0)
		w->header.info.nr_owners++;
	return r;
}

/* ---- what was replaced ---- */

int baseline_writer_replace_sum(struct baseline_writer *w, uint64_t block, struct block_sum sum,
				bool contested)
{
	if (w->error)
		return w->error;
	if (block >= w->header.info.nr_blocks)
		return -EINVAL;
	if (w->nr_replaced == BASELINE_REPLACED_MAX)
		return -EFBIG;
	if (w->nr_replaced == w->cap_replaced) {
		size_t cap = max_of(w->cap_replaced * 2, (size_t)64);
		struct replaced *more = realloc(w->replaced, cap * sizeof(*more));
		if (!more)
			return fail(w, -ENOMEM);
		w->replaced = more;
		w->cap_replaced = cap;
	}
	w->replaced[w->nr_replaced] = (struct replaced){
		.block = block,
		.digest = sum.digest,
		.sectors = sum.sectors,
		.turn = (uint32_t)w->nr_replaced << 1 | contested,
	};
	w->nr_replaced++;
	return 0;
}

static bool replaced_less(const struct replaced *a, const struct replaced *b)
{
	return a->block != b->block ? a->block < b->block : a->turn < b->turn;
}

static void sift_down(struct replaced *all, size_t at, size_t nr)
{
	struct replaced moved = all[at];

	for (size_t child; (child = 2 * at + 1) < nr; at = child) {
		if (child + 1 < nr && replaced_less(&all[child], &all[child + 1]))
			child++;
		if (!replaced_less(&moved, &all[child]))
			break;
		all[at] = all[child];
	}
	all[at] = moved;
}

/* A heap sort: that of the library would want the same memory once more. */
static void sort_replaced(struct replaced *all, size_t nr)
{
	for (size_t i = nr / 2; i-- > 0;)
		sift_down(all, i, nr);
	for (size_t left = nr; left-- > 1;) {
		struct replaced last = all[left];
		all[left] = all[0];
		all[0] = last;
		sift_down(all, 0, left);
	}
}

static int write_replaced_chunk(struct baseline_writer *w, const struct replaced *at, size_t nr)
{
	struct baseline_ref ref = {
		.first = at[0].block,
		.last = at[nr - 1].block,
		.raw_len = (uint32_t)(nr * BASELINE_PATCH_LEN),
		.nr = (uint32_t)nr,
	};

	buf_clear(&w->scratch);
	for (size_t i = 0; i < nr; i++) {
		baseline_add_le64(&w->scratch, at[i].block);
		baseline_add_le64(&w->scratch, at[i].digest);
		baseline_add_le32(&w->scratch, at[i].sectors);
		baseline_add_le32(&w->scratch, at[i].turn & 1);
	}
	return add_chunk(w, BASELINE_PATCHES, &w->scratch, ref);
}

static int write_replaced(struct baseline_writer *w)
{
	size_t kept = 0;
	int r = 0;

	sort_replaced(w->replaced, w->nr_replaced);
	for (size_t i = 0; i < w->nr_replaced; i++) {
		if (i + 1 < w->nr_replaced && w->replaced[i + 1].block == w->replaced[i].block)
			continue;
		w->header.info.nr_contested += w->replaced[i].turn & 1;
		w->replaced[kept++] = w->replaced[i];
	}
	w->nr_replaced = kept;
	for (size_t i = 0; i < kept && r == 0; i += BASELINE_CHUNK_PATCHES)
		r = write_replaced_chunk(w, w->replaced + i,
					 min_of(kept - i, (size_t)BASELINE_CHUNK_PATCHES));
	return r;
}

/* ---- the end ---- */

/* Reads back, by the reader's own eyes, that what was replaced had been added. */
static int check_replaced(struct baseline_writer *w)
{
	struct source src = SOURCE_NULL;
	struct baseline *b = NULL;
	int r = source_open_file(&src, w->dirfd, unfinished);

	if (r == 0)
		r = baseline_open_source(&src, &b);
	if (r == 0)
		b->as_added = true;
	for (size_t i = 0; i < w->nr_replaced && r == 0; i++) {
		struct block_sum sum;
		r = baseline_sum_at(b, w->replaced[i].block, &sum);
		r = r == 1 ? 0 : r == 0 ? -EINVAL : r;
	}
	baseline_close(b);
	source_close(&src);
	return r;
}

static int write_end(struct baseline_writer *w, int64_t ended_ns)
{
	uint8_t bytes[BASELINE_HEADER_LEN];
	int r = end_sums(w);

	if (r == 0)
		r = end_owners(w);
	if (r == 0)
		r = write_replaced(w);
	for (unsigned i = 0; i < BASELINE_BRANCHES_ && r == 0; i++)
		r = end_branch(w, (enum baseline_branch)i);
	if (r)
		return r;
	w->header.info.ended_ns = ended_ns;
	w->header.size = w->off;
	baseline_header_format(&w->header, bytes);
	return write_at(w->fd, 0, bytes, sizeof(bytes));
}

/* The next number; those before it. */
static int find_number(struct baseline_writer *w)
{
	uint64_t *numbers = NULL;
	size_t nr = 0;
	int r = baseline_dir_numbers(w->dirfd, &numbers, &nr);

	w->header.info.number = r == 0 && nr ? numbers[nr - 1] + 1 : 1;
	free(numbers);
	return r == 0 && w->header.info.number > INT64_MAX ? -EOVERFLOW : r;
}

static void remove_old(int dirfd, unsigned keep)
{
	char name[BASELINE_NAME_SIZE];
	uint64_t *numbers = NULL;
	size_t nr = 0;

	keep = max_of(keep, (unsigned)BASELINE_KEEP_MIN);
	if (baseline_dir_numbers(dirfd, &numbers, &nr))
		return;
	for (size_t i = 0; i + keep < nr; i++) {
		baseline_name_format(numbers[i], name);
		(void)unlinkat(dirfd, name, 0);
	}
	free(numbers);
}

int baseline_writer_commit(struct baseline_writer *w, int64_t ended_ns, unsigned keep,
			   uint64_t *ret_number)
{
	char name[BASELINE_NAME_SIZE];
	int r = w->error ? w->error : w->fd < 0 ? -EINVAL : 0;

	if (r == 0)
		r = find_number(w);
	if (r == 0)
		r = write_end(w, ended_ns);
	if (r == 0)
		r = check_replaced(w);
	if (r == 0 && fsync(w->fd))
		r = -errno;
	baseline_name_format(w->header.info.number, name);
	if (r == 0 && renameat(w->dirfd, unfinished, w->dirfd, name))
		r = -errno;
	if (r)
		return fail(w, r);
	(void)close(w->fd);
	w->fd = -1;
	w->error = -EINVAL; /* nothing may follow */
	if (fsync(w->dirfd))
		return -errno;
	remove_old(w->dirfd, keep);
	if (ret_number)
		*ret_number = w->header.info.number;
	return 0;
}

static int writer_open(struct baseline_writer *w, const char *dir)
{
	static const uint8_t no_header[BASELINE_HEADER_LEN];

	w->dirfd = baseline_dir_open(dir, w->header.info.uuid, true);
	if (w->dirfd < 0)
		return w->dirfd;
	if (flock(w->dirfd, LOCK_EX | LOCK_NB))
		return errno == EWOULDBLOCK ? -EBUSY : -errno;
	if (unlinkat(w->dirfd, unfinished, 0) && errno != ENOENT)
		return -errno;
	w->fd = openat(w->dirfd, unfinished, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
		       0600);
	if (w->fd < 0)
		return -errno;
	w->off = BASELINE_HEADER_LEN;
	return write_at(w->fd, 0, no_header, sizeof(no_header));
}

static int writer_allocate(struct baseline_writer *w)
{
	w->digests = malloc(BASELINE_CHUNK_SUMS * sizeof(*w->digests));
	w->sectors = malloc(BASELINE_CHUNK_SUMS * sizeof(*w->sectors));
	bool ok = w->digests && w->sectors;
	for (size_t i = 0; i < BASELINE_BRANCHES_; i++) {
		w->branches[i].leaf = malloc(BASELINE_FANOUT * sizeof(struct baseline_ref));
		w->branches[i].root = malloc(BASELINE_FANOUT * sizeof(struct baseline_ref));
		ok = ok && w->branches[i].leaf && w->branches[i].root;
	}
	return ok ? 0 : -ENOMEM;
}

int baseline_writer_new(const char *dir, const struct baseline_info *info,
			struct baseline_writer **ret_writer)
{
	*ret_writer = NULL;
	if (!baseline_info_is_sane(info))
		return -EINVAL;
	struct baseline_writer *w = calloc(1, sizeof(*w));
	if (!w)
		return -ENOMEM;
	w->dirfd = w->fd = -1;
	memcpy(w->header.info.uuid, info->uuid, sizeof(info->uuid));
	w->header.info.block_size = info->block_size;
	w->header.info.nr_blocks = info->nr_blocks;
	w->header.info.started_ns = info->started_ns;
	int r = writer_allocate(w);
	if (r == 0)
		r = writer_open(w, dir);
	if (r) {
		baseline_writer_free(w);
		return r;
	}
	*ret_writer = w;
	return 0;
}

void baseline_writer_free(struct baseline_writer *w)
{
	if (!w)
		return;
	if (w->fd >= 0) {
		(void)unlinkat(w->dirfd, unfinished, 0);
		(void)close(w->fd);
	}
	if (w->dirfd >= 0)
		(void)close(w->dirfd);
	for (size_t i = 0; i < BASELINE_BRANCHES_; i++) {
		free(w->branches[i].leaf);
		free(w->branches[i].root);
	}
	free(w->digests);
	free(w->sectors);
	free(w->replaced);
	buf_fini(&w->scratch);
	buf_fini(&w->runs);
	buf_fini(&w->raw);
	free(w);
}

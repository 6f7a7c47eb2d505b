// SPDX-License-Identifier: Apache-2.0
/*
 * A block that differs from the baseline is suspected when the inode that owned it then still does, in
 * the same place, and says that it has not changed. Swap files are the exception: the kernel writes to
 * their blocks behind the back of the filesystem.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "verify/volume_blocks.h"

#define INOS_AT_ONCE 65536
#define BUDGET (UINT64_C(30) * FINGERPRINT_STEPS_PER_S)
#define SWAP_MAGIC_END 4096 /* bytes: where the magic of a swap file of 4 KiB pages ends */

/* What the baseline says of the owner of a changed block. */
struct claim {
	size_t changed; /* index */
	uint32_t ino, generation;
	uint64_t size, logical;
	int64_t ctime_ns, mtime_ns;
	bool stands; /* by the second look */
};

struct judging {
	struct volume_scanning *s;
	struct claim *claims;
	size_t nr, cap;
	size_t at;	 /* claims before it have been looked at */
	bool second;
	struct volume_view view; /* of the second look */
	struct volume_paths *paths;
	struct baseline *older;	 /* the generation before the one before; NULL */
	uint64_t older_number;
	struct changed_block *elsewhere; /* digests of what is there now, found in the baseline */
	size_t nr_elsewhere;
};

/* ---- whose ---- */

static int add_claim(struct judging *j, const struct claim *claim)
{
	if (j->nr == j->cap) {
		size_t cap = max_of(j->cap * 2, (size_t)256);
		struct claim *more = realloc(j->claims, cap * sizeof(*more));
		if (!more)
			return -ENOMEM;
		j->claims = more;
		j->cap = cap;
	}
	j->claims[j->nr++] = *claim;
	return 0;
}

/* The first changed block that is not before `block`. */
static size_t find_changed(const struct volume_scanning *s, uint64_t block)
{
	size_t low = 0, high = s->nr_changed;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		if (s->changed[mid].block < block)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static int on_owner(const struct baseline_owner *owner, void *ctx)
{
	struct judging *j = ctx;
	struct volume_scanning *s = j->s;
	int r = 0;

	if (owner->flags & (BASELINE_OWNER_YOUNG | BASELINE_OWNER_METADATA))
		return 0;
	for (size_t i = 0; i < owner->nr_extents && r == 0; i++) {
		const struct baseline_extent *e = &owner->extents[i];
		if (e->unwritten)
			continue;
		for (size_t k = find_changed(s, e->physical);
		     k < s->nr_changed && s->changed[k].block - e->physical < e->len && r == 0; k++) {
			struct claim claim = {
				.changed = k,
				.ino = owner->ino,
				.generation = owner->generation,
				.size = owner->size,
				.logical = e->logical + (s->changed[k].block - e->physical),
				.ctime_ns = owner->ctime_ns,
				.mtime_ns = owner->mtime_ns,
			};
			r = add_claim(j, &claim);
		}
	}
	return r;
}

static bool maps_to(const struct ext4_inode *inode, uint64_t off, uint64_t physical)
{
	size_t low = 0, high = inode->nr_extents;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		const struct ext4_extent *e = &inode->extents[mid];
		if (e->logical + e->len <= off)
			low = mid + 1;
		else
			high = mid;
	}
	if (low == inode->nr_extents)
		return false;
	const struct ext4_extent *e = &inode->extents[low];
	return e->logical <= off && !e->unwritten && e->physical + (off - e->logical) == physical;
}

/* Claims are in the order of inodes, and so are these. */
static int on_inode(const struct ext4_inode *inode, int error, void *ctx)
{
	struct judging *j = ctx;
	uint64_t unit = j->s->view.info.block_size;

	while (j->at < j->nr && j->claims[j->at].ino < inode->ino)
		j->claims[j->at++].stands = false;
	for (; j->at < j->nr && j->claims[j->at].ino == inode->ino; j->at++) {
		struct claim *claim = &j->claims[j->at];
		claim->stands = error == 0 && inode->generation == claim->generation &&
				inode->size == claim->size && inode->ctime_ns == claim->ctime_ns &&
				inode->mtime_ns == claim->mtime_ns &&
				(inode->content == EXT4_CONTENT_BLOCKS ||
				 inode->content == EXT4_CONTENT_ENCRYPTED) &&
				maps_to(inode, claim->logical * unit,
					j->s->changed[claim->changed].block * unit);
	}
	return 0;
}

/* With more than a baseline can keep there is no new one. */
static int replace_sum(struct volume_scanning *s, uint64_t block, struct block_sum sum,
		       bool contested)
{
	int r = s->after ? baseline_writer_replace_sum(s->after, block, sum, contested) : 0;

	if (r == -EFBIG)
		s->before_error = r;
	return r == -EFBIG ? 0 : r;
}

static int keep_old_sum(struct volume_scanning *s, const struct changed_block *changed,
			bool contested)
{
	return replace_sum(s, changed->block, changed->was, contested);
}

/* Its file has changed meanwhile, which explains it. */
static int take_new_sum(struct volume_scanning *s, const struct changed_block *changed)
{
	return replace_sum(s, changed->block, changed->now, false);
}

/* Keeps the claims whose inodes are as they were. */
static int check_claims(struct judging *j, struct ext4 *fs)
{
	uint32_t *inos = malloc((j->nr + 1) * sizeof(*inos));
	size_t kept = 0;

	if (!inos)
		return -ENOMEM;
	for (size_t i = 0; i < j->nr; i++)
		inos[i] = j->claims[i].ino;
	j->at = 0;
	int r = ext4_scan_inodes(fs, inos, j->nr, on_inode, j);
	for (size_t i = 0; i < j->nr && r == 0; i++) {
		if (j->claims[i].stands && i < j->at)
			j->claims[kept++] = j->claims[i];
		else if (j->second)
			r = take_new_sum(j->s, &j->s->changed[j->claims[i].changed]);
	}
	j->nr = r == 0 ? kept : j->nr;
	free(inos);
	return r;
}

/* ---- swap ---- */

/* True when the file is one that is swapped to: by what stands at the end of its first page. */
static bool is_swap(struct ext4 *fs, uint32_t ino)
{
	struct source file = SOURCE_NULL;
	char magic[10];
	bool swap = false;

	if (ext4_open_file(fs, ino, &file))
		return false;
	for (uint64_t page = SWAP_MAGIC_END; page <= 65536 && !swap; page *= 2)
		swap = source_read_exact(&file, page - sizeof(magic), magic, sizeof(magic)) == 0 &&
		       (memcmp(magic, "SWAPSPACE2", 10) == 0 || memcmp(magic, "SWAP-SPACE", 10) == 0);
	source_close(&file);
	return swap;
}

static void drop_swap(struct judging *j, struct ext4 *fs)
{
	size_t kept = 0;
	uint32_t last = 0;
	bool swap = false;

	for (size_t i = 0; i < j->nr; i++) {
		if (j->claims[i].ino != last)
			swap = is_swap(fs, j->claims[i].ino);
		last = j->claims[i].ino;
		if (!swap)
			j->claims[kept++] = j->claims[i];
	}
	j->nr = kept;
}

/* ---- what it looks like ---- */

static int by_digest(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static int on_digest(uint64_t block, struct block_sum sum, void *ctx)
{
	struct judging *j = ctx;

	/* Of digests that many blocks have, a few do. */
	if (j->nr_elsewhere < VOLUME_TOLD_MAX)
		j->elsewhere[j->nr_elsewhere++] =
			(struct changed_block){ .block = block, .now = sum };
	return 0;
}

static int find_elsewhere(uint64_t digest, uint64_t place, uint64_t *ret_where, void *ctx)
{
	const struct judging *j = ctx;

	for (size_t i = 0; i < j->nr_elsewhere; i++) {
		if (j->elsewhere[i].now.digest == digest && j->elsewhere[i].block != place) {
			*ret_where = j->elsewhere[i].block;
			return 1;
		}
	}
	return 0;
}

static int find_before(uint64_t digest, uint64_t place, uint64_t *ret_where, void *ctx)
{
	const struct judging *j = ctx;
	struct block_sum sum;

	if (!j->older || baseline_sum_at(j->older, place, &sum) != 1 || sum.digest != digest)
		return 0;
	*ret_where = j->older_number;
	return 1;
}

static int prepare_fingerprints(struct judging *j)
{
	struct volume_scanning *s = j->s;
	size_t nr = min_of(j->nr, (size_t)VOLUME_TOLD_MAX);
	uint64_t *digests = malloc((nr + 1) * sizeof(*digests));

	j->elsewhere = malloc(VOLUME_TOLD_MAX * sizeof(*j->elsewhere));
	if (!digests || !j->elsewhere) {
		free(digests);
		return -ENOMEM;
	}
	for (size_t i = 0; i < nr; i++)
		digests[i] = s->changed[j->claims[i].changed].now.digest;
	qsort(digests, nr, sizeof(*digests), by_digest);
	int r = baseline_find_digests(s->before, digests, nr, on_digest, j);
	free(digests);
	if (r == -EBADMSG)
		r = 0; /* what it looks like is not known then; that it is wrong is */
	j->older_number = s->result->baseline_before - 1;
	if (r == 0 && j->older_number &&
	    baseline_open(s->options->state_dir, s->view.info.uuid, j->older_number, &j->older))
		j->older = NULL;
	return r;
}

/* ---- the second look ---- */

static int tell_block(struct judging *j, const struct claim *claim, enum finding_code code,
		      const char *words, const char *meaning)
{
	struct volume_scanning *s = j->s;
	const struct changed_block *changed = &s->changed[claim->changed];
	uint64_t unit = s->view.info.block_size;
	struct volume_place place = {
		.off = changed->block * unit,
		.len = unit,
		.ino = claim->ino,
		.file_off = claim->logical * unit,
		.path = volume_paths_get(j->paths, claim->ino),
	};
	char object[48], recorded[32], observed[32];

	(void)snprintf(object, sizeof(object), OBJECT_BLOCK "%" PRIu64, changed->block);
	(void)snprintf(recorded, sizeof(recorded), "XXH3 %016" PRIx64, changed->was.digest);
	(void)snprintf(observed, sizeof(observed), "XXH3 %016" PRIx64, changed->now.digest);
	return volume_tell(s, code, object, &place, recorded, observed, words, meaning);
}

static int identify(struct judging *j, const struct claim *claim, const uint8_t *bytes,
		    uint64_t *budget)
{
	struct volume_scanning *s = j->s;
	struct changed_block *changed = &s->changed[claim->changed];
	struct fingerprint_lookup lookup = { find_elsewhere, find_before, j };
	struct fingerprint_damage damage = {
		.now = span_of(bytes, s->view.info.block_size),
		.was = changed->was,
		.place = changed->block,
	};
	struct fingerprint_result print;
	const char *meaning = NULL;
	struct buf words = BUF_NULL;

	int r = fingerprint_identify(&damage, &lookup, budget, &print);
	if (r == FINGERPRINT_UNDAMAGED)
		return 0;
	if (r == 0) {
		fingerprint_summary_add(&s->result->fingerprints, &print);
		buf_addf(&words, "%s: ", fingerprint_name(print.kind));
		fingerprint_describe(&print, &words);
		meaning = fingerprint_meaning(print.kind);
	} else {
		buf_add_str(&words, "what it looks like could not be found out");
	}
	r = buf_error(&words);
	if (r == 0)
		r = tell_block(j, claim, FINDING_BLOCK_DIGEST, buf_str(&words), meaning);
	buf_fini(&words);
	s->result->blocks_corrupt++;
	if (s->nr_corrupt < VOLUME_TOLD_MAX)
		s->corrupt[s->nr_corrupt++] = claim->ino;
	return r;
}

/* One block anew from the disk: errno, or its bytes and sum. */
static int read_again(struct volume_view *view, uint64_t block, uint8_t *bytes,
		      struct block_sum *ret_sum)
{
	uint64_t unit = view->info.block_size;

	source_forget(&view->device);
	int r = source_read_exact(&view->device, block * unit, bytes, unit);
	if (r == 0)
		*ret_sum = block_sum_of(span_of(bytes, unit));
	return r;
}

/* Reads all of them a second time, before it is asked again whether their inodes have changed: what a
 * block holds now cannot be younger than what its inode says then. */
static int read_all_again(struct judging *j, uint8_t *bytes)
{
	struct volume_scanning *s = j->s;
	int r = 0;

	for (size_t i = 0; i < j->nr && r == 0 && !volume_is_stopped(s); i++) {
		struct changed_block *changed = &s->changed[j->claims[i].changed];
		int error = read_again(&s->view, changed->block, bytes, &changed->now);
		if (error)
			r = volume_gap(s, s->target->path, "block %" PRIu64 ": no second look: %s",
				       changed->block, strerror(-error));
	}
	return r;
}

static int conclude_one(struct judging *j, const struct claim *claim, uint8_t *bytes,
			uint64_t *budget)
{
	struct volume_scanning *s = j->s;
	struct changed_block *changed = &s->changed[claim->changed];
	struct block_sum now;

	if (block_sum_is_equal(changed->now, changed->was)) {
		int r = tell_block(j, claim, FINDING_BLOCK_FLAKY,
				   "wrong at the first look and right at the second", NULL);
		return r ? r : keep_old_sum(s, changed, false);
	}
	int error = read_again(&j->view, changed->block, bytes, &now);
	if (error)
		return volume_gap(s, s->target->path, "block %" PRIu64 ": no second look: %s",
				  changed->block, strerror(-error));
	if (!block_sum_is_equal(now, changed->now)) {
		/* Somebody may have written since the inode was asked. Else it is the disk. */
		if (s->target->is_live) {
			s->result->run.in_flight++;
			return 0;
		}
		changed->now = now;
		return tell_block(j, claim, FINDING_BLOCK_FLAKY, "other bytes at each look", NULL);
	}
	return identify(j, claim, bytes, budget);
}

static int conclude(struct judging *j, uint8_t *bytes)
{
	struct volume_scanning *s = j->s;
	uint64_t budget = BUDGET, more = 0;
	int r = 0;

	for (size_t i = 0; i < j->nr && r == 0 && !volume_is_stopped(s); i++) {
		if (i < VOLUME_TOLD_MAX) {
			r = conclude_one(j, &j->claims[i], bytes, &budget);
			continue;
		}
		more++;
		s->result->blocks_corrupt++;
	}
	if (r == 0 && more)
		r = volume_gap(s, s->target->path,
			       "%" PRIu64 " more corrupt blocks than can be told", more);
	return r;
}

static int find_paths(struct judging *j, struct ext4 *fs)
{
	uint32_t *inos = malloc((j->nr + 1) * sizeof(*inos));

	if (!inos)
		return -ENOMEM;
	for (size_t i = 0; i < j->nr; i++)
		inos[i] = j->claims[i].ino;
	int r = volume_paths_find(fs, inos, j->nr, j->s->options->stop, &j->paths);
	free(inos);
	return r;
}

static int look_twice(struct judging *j, uint8_t *bytes)
{
	struct volume_scanning *s = j->s;
	size_t nr_first = j->nr;

	volume_settle(s);
	int r = read_all_again(j, bytes);
	if (r)
		return r;
	r = volume_look_again(s, &j->view);
	if (r)
		return volume_gap(s, s->target->path, "no second look at %zu blocks: %s", nr_first,
				  strerror(-r));
	j->second = true;
	r = check_claims(j, j->view.fs);
	s->result->run.in_flight += nr_first - j->nr;
	if (r == 0)
		r = prepare_fingerprints(j);
	if (r == 0)
		r = find_paths(j, j->view.fs);
	return r ? r : conclude(j, bytes);
}

static int judge_changed(struct judging *j)
{
	struct volume_scanning *s = j->s;
	int r = baseline_each_owner(s->before, on_owner, j);

	if (r == -EBADMSG) {
		s->before_error = r;
		return volume_gap(s, s->options->state_dir,
				  "the baseline is damaged: whose blocks differ is not known");
	}
	if (r == 0)
		r = check_claims(j, s->view.fs);
	if (r == 0)
		drop_swap(j, s->view.fs);
	/* Whatever comes in between, what they held is not lost. */
	for (size_t i = 0; i < j->nr && r == 0; i++)
		r = keep_old_sum(s, &s->changed[j->claims[i].changed], true);
	if (r || j->nr == 0)
		return r;
	uint8_t *bytes = malloc(s->view.info.block_size);
	r = bytes ? look_twice(j, bytes) : -ENOMEM;
	free(bytes);
	return r;
}

/* ---- what cannot be read ---- */

struct bad_owner {
	uint64_t off; /* bytes of the filesystem */
	uint32_t ino;
	uint64_t file_off;
};

struct bad_search {
	struct volume_scanning *s;
	struct bad_owner *owners; /* one for each range */
};

/* The first run of unreadable sectors that is not before `off`; they ascend. */
static size_t find_bad(const struct volume_scanning *s, uint64_t off)
{
	size_t low = 0, high = s->nr_bad;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		if (s->bad[mid].off < off)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static int on_any_inode(const struct ext4_inode *inode, int error, void *ctx)
{
	struct bad_search *search = ctx;
	struct volume_scanning *s = search->s;

	for (size_t i = 0; error == 0 && i < inode->nr_extents; i++) {
		const struct ext4_extent *e = &inode->extents[i];
		for (size_t k = find_bad(s, e->physical);
		     k < s->nr_bad && s->bad[k].off - e->physical < e->len; k++) {
			search->owners[k].ino = inode->ino;
			search->owners[k].file_off = e->logical + (s->bad[k].off - e->physical);
		}
	}
	return 0;
}

/* Goes over all inodes. */
static int find_bad_owners(struct bad_search *search)
{
	struct volume_scanning *s = search->s;
	uint32_t *inos = malloc(INOS_AT_ONCE * sizeof(*inos));
	int r = inos ? 0 : -ENOMEM;

	for (uint64_t ino = 1; ino <= s->view.info.nr_inodes && r == 0 && !volume_is_stopped(s);) {
		size_t nr = 0;
		while (nr < INOS_AT_ONCE && ino <= s->view.info.nr_inodes)
			inos[nr++] = (uint32_t)ino++;
		r = ext4_scan_inodes(s->view.fs, inos, nr, on_any_inode, search);
	}
	free(inos);
	return r;
}

static int tell_bad(struct volume_scanning *s, const struct bad_range *bad,
		    const struct bad_owner *owner, const struct volume_paths *paths)
{
	struct volume_place place = {
		.off = bad->off,
		.len = bad->len,
		.ino = owner->ino,
		.file_off = owner->ino ? owner->file_off : UINT64_MAX,
		.path = volume_paths_get(paths, owner->ino),
	};
	char object[64], words[160];

	(void)snprintf(object, sizeof(object), OBJECT_UNREADABLE "%" PRIu64, bad->off);
	(void)snprintf(words, sizeof(words), "%" PRIu64 " bytes at %" PRIu64 " cannot be read: %s",
		       bad->len, bad->off, strerror(-bad->error));
	return volume_tell(s, FINDING_BLOCK_UNREADABLE, object, &place, NULL, NULL, words,
			   NULL);
}

static int by_ino(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

/* The pump has asked each sector alone already. */
static int judge_bad(struct volume_scanning *s)
{
	struct bad_search search = { .s = s };
	struct volume_paths *paths = NULL;
	uint32_t *inos = malloc(s->nr_bad * sizeof(*inos));
	int r = 0;

	search.owners = calloc(s->nr_bad, sizeof(*search.owners));
	if (!search.owners || !inos)
		r = -ENOMEM;
	if (r == 0 && !s->target->is_raw)
		r = find_bad_owners(&search);
	for (size_t i = 0; i < s->nr_bad && r == 0; i++)
		inos[i] = search.owners[i].ino;
	if (r == 0 && !s->target->is_raw) {
		qsort(inos, s->nr_bad, sizeof(*inos), by_ino);
		r = volume_paths_find(s->view.fs, inos, s->nr_bad, s->options->stop, &paths);
	}
	for (size_t i = 0; i < s->nr_bad && r == 0; i++)
		r = tell_bad(s, &s->bad[i], &search.owners[i], paths);
	volume_paths_free(paths);
	free(search.owners);
	free(inos);
	return r;
}

int volume_judge_blocks(struct volume_scanning *s)
{
	struct judging j = { .s = s, .view = VOLUME_VIEW_NULL };
	int r = s->nr_bad ? judge_bad(s) : 0;

	if (r == 0 && s->nr_changed)
		r = judge_changed(&j);
	volume_paths_free(j.paths);
	baseline_close(j.older);
	volume_view_close(&j.view);
	free(j.elsewhere);
	free(j.claims);
	return r;
}

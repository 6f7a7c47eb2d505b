// SPDX-License-Identifier: Apache-2.0
/*
 * The first witness: the filesystem's own checksums and structure. A second look checks everything
 * again, through a new view: what both saw to the letter stands.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "verify/volume_scanning.h"

#define GROUP_TRIES 8
#define LOOKS_MORE 2 /* of a mounted filesystem, between the first and the last */

struct look {
	struct volume_scanning *s;
	struct ext4_problem *problems;
	size_t nr;
	uint64_t more;
	bool first;
};

static int on_problem(const struct ext4_problem *problem, void *ctx)
{
	struct look *look = ctx;

	if (look->nr < VOLUME_TOLD_MAX)
		look->problems[look->nr++] = *problem;
	else
		look->more++;
	return 0;
}

static int on_inode(const struct ext4_inode *inode, void *ctx)
{
	struct look *look = ctx;

	return volume_add_owner(look->s, inode);
}

static int on_journal_problem(const struct ext4_journal_problem *journal, void *ctx)
{
	static const char *const words[] = {
		[EXT4_JOURNAL_SUPER_CHECKSUM] = "the checksum of its superblock is wrong",
		[EXT4_JOURNAL_DESCRIPTOR_CHECKSUM] = "the checksum of a descriptor is wrong",
		[EXT4_JOURNAL_DATA_CHECKSUM] = "a block is not what its tag says",
		[EXT4_JOURNAL_REVOKE_CHECKSUM] = "the checksum of a revocation is wrong",
		[EXT4_JOURNAL_COMMIT_CHECKSUM] = "the checksum of a commit is wrong",
		[EXT4_JOURNAL_STRUCTURE] = "it says what cannot be",
		[EXT4_JOURNAL_UNREADABLE] = "a block cannot be read",
	};
	struct look *look = ctx;
	struct ext4_problem problem = {
		.object = EXT4_OBJECT_JOURNAL,
		.off = journal->physical,
		.len = look->s->view.info.block_size,
		.error = -EBADMSG,
		.what = words[journal->kind],
	};

	return on_problem(&problem, look);
}

static int look_at(struct look *look, struct volume_view *view)
{
	struct volume_scanning *s = look->s;
	struct ext4_check_options options = { .books = !s->target->is_live, .stop = s->options->stop };
	struct ext4_check_events events = {
		.problem = on_problem,
		.inode = look->first ? on_inode : NULL,
		.ctx = look,
	};
	struct ext4_check_stats stats;
	int r = 0;

	look->problems = malloc(VOLUME_TOLD_MAX * sizeof(*look->problems));
	if (!look->problems)
		return -ENOMEM;
	if (view->journal)
		r = ext4_journal_each_problem(view->journal, on_journal_problem, look);
	/* What a damaged journal holds may not be all that a mount would show. */
	if (r == 0)
		r = ext4_check(view->fs, &options, &events, &stats);
	if (r == 0 && look->first)
		s->result->metadata = stats;
	return r;
}

static bool is_same(const struct ext4_problem *a, const struct ext4_problem *b)
{
	return a->object == b->object && a->off == b->off && a->ino == b->ino &&
	       a->error == b->error && a->group == b->group && strcmp(a->what, b->what) == 0;
}

static enum finding_code code_of(const struct ext4_problem *problem)
{
	if (problem->error != -EBADMSG)
		return FINDING_EXT4_UNREADABLE;
	switch (problem->object) {
	case EXT4_OBJECT_SUPER_BACKUP:
		return FINDING_EXT4_BACKUP;
	case EXT4_OBJECT_BOOKS:
		return FINDING_EXT4_ACCOUNTS;
	case EXT4_OBJECT_JOURNAL:
		return FINDING_EXT4_JOURNAL;
	default:
		return FINDING_EXT4_METADATA;
	}
}

static int tell(struct volume_scanning *s, const struct ext4_problem *problem,
		enum finding_code code, const struct volume_paths *paths)
{
	struct volume_place place = {
		.off = problem->off,
		.len = problem->len,
		.ino = problem->ino,
		.file_off = UINT64_MAX,
		.path = volume_paths_get(paths, problem->ino),
	};
	const char *name = ext4_object_name(problem->object);
	char object[96], words[256];

	(void)snprintf(object, sizeof(object), OBJECT_EXT4 "%s:%" PRId64 ":%" PRIu32, name,
		       (int64_t)problem->off, problem->ino);
	(void)snprintf(words, sizeof(words), "%s in group %" PRIu32 ": %s%s%s", name,
		       problem->group, problem->what, problem->error == -EBADMSG ? "" : ": ",
		       problem->error == -EBADMSG ? "" : strerror(-problem->error));
	return volume_tell(s, code, object, &place, NULL, NULL, words, NULL);
}

static int by_ino(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

static int find_paths(const struct look *look, struct ext4 *fs, struct volume_paths **ret_paths)
{
	uint32_t *inos = malloc((look->nr + 1) * sizeof(*inos));
	size_t nr = 0;

	if (!inos)
		return -ENOMEM;
	for (size_t i = 0; i < look->nr; i++)
		if (look->problems[i].ino)
			inos[nr++] = look->problems[i].ino;
	qsort(inos, nr, sizeof(*inos), by_ino);
	int r = volume_paths_find(fs, inos, nr, look->s->options->stop, ret_paths);
	free(inos);
	return r;
}

/*
 * Bitmaps change with every file that is made, and their checksums stand in the descriptors, which a view
 * reads when it is opened: on a busy filesystem both looks may have come in between. So the group is looked
 * at alone, each time behind a view of its own. 1: it is wrong each time.
 */
static int group_is_wrong(struct volume_scanning *s, const struct ext4_problem *problem)
{
	int r = 1;

	if (!s->target->is_live || problem->error != -EBADMSG ||
	    (problem->object != EXT4_OBJECT_BLOCK_BITMAP &&
	     problem->object != EXT4_OBJECT_INODE_BITMAP && problem->object != EXT4_OBJECT_DESC))
		return 1;
	for (unsigned i = 0; i < GROUP_TRIES && r == 1 && !volume_is_stopped(s); i++) {
		struct volume_view view cleanup(volume_view_close) = VOLUME_VIEW_NULL;
		r = volume_look_again(s, &view);
		if (r == 0)
			r = ext4_check_group(view.fs, problem->group);
		if (r == -EBADMSG)
			r = 1;
	}
	return r;
}

/* What both looks saw stands. */
static int conclude(struct volume_scanning *s, const struct look *first, const struct look *again,
		    const struct volume_paths *paths)
{
	int r = 0;

	for (size_t i = 0; i < first->nr && r == 0; i++) {
		bool stands = false;
		for (size_t k = 0; k < again->nr && !stands; k++)
			stands = is_same(&first->problems[i], &again->problems[k]);
		int wrong = stands ? group_is_wrong(s, &first->problems[i]) : 0;
		if (wrong < 0)
			r = volume_gap(s, s->target->path, "no more looks at group %" PRIu32 ": %s",
				       first->problems[i].group, strerror(-wrong));
		else if (wrong)
			r = tell(s, &first->problems[i], code_of(&first->problems[i]), paths);
		else if (s->target->is_live)
			s->result->run.in_flight++;
		else
			r = tell(s, &first->problems[i], FINDING_EXT4_FLAKY, paths);
	}
	if (r == 0 && (first->more || s->result->metadata.unchecked))
		r = volume_gap(s, s->target->path,
			       "%" PRIu64 " more problems of metadata than can be told, and %" PRIu64
			       " blocks that were not looked at",
			       first->more, s->result->metadata.unchecked);
	return r;
}

/* Of what somebody writes to, a block may be read in the middle of a write, more often the busier it is. */
static int drop_busy(struct volume_scanning *s, struct look *first)
{
	struct volume_view view cleanup(volume_view_close) = VOLUME_VIEW_NULL;
	struct look again = { .s = s };
	size_t kept = 0;

	volume_settle(s);
	int r = volume_look_again(s, &view);
	if (r == 0)
		r = look_at(&again, &view);
	for (size_t i = 0; i < first->nr && r == 0; i++) {
		bool stands = false;
		for (size_t k = 0; k < again.nr && !stands; k++)
			stands = is_same(&first->problems[i], &again.problems[k]);
		if (stands)
			first->problems[kept++] = first->problems[i];
		else
			s->result->run.in_flight++;
	}
	if (r == 0)
		first->nr = kept;
	free(again.problems);
	return r;
}

static int confirm(struct volume_scanning *s, struct look *first)
{
	struct volume_view view cleanup(volume_view_close) = VOLUME_VIEW_NULL;
	struct look again = { .s = s };
	struct volume_paths *paths = NULL;
	int r = 0;

	for (unsigned i = 0; s->target->is_live && i < LOOKS_MORE && first->nr && r == 0; i++)
		r = drop_busy(s, first);
	if (r == EXT4_CHECK_STOPPED || (r == 0 && first->nr == 0))
		return r;
	volume_settle(s);
	if (r == 0)
		r = volume_look_again(s, &view);
	if (r)
		return volume_gap(s, s->target->path, "no second look at %zu problems of metadata: %s",
				  first->nr, strerror(-r));
	r = look_at(&again, &view);
	if (r == 0)
		r = find_paths(first, view.fs, &paths);
	if (r == 0)
		r = conclude(s, first, &again, paths);
	volume_paths_free(paths);
	free(again.problems);
	return r;
}

/* ---- what the kernel has noted ---- */

/* Of a mounted filesystem the kernel knows better than its superblock. */
static uint64_t live_errors(const struct volume_scanning *s)
{
	const char *name = strrchr(s->target->path, '/');
	char path[300], line[32];
	uint64_t count = 0;

	(void)snprintf(path, sizeof(path), "/sys/fs/ext4/%.200s/errors_count",
		       name ? name + 1 : s->target->path);
	FILE *file = s->target->mount ? fopen(path, "re") : NULL;
	if (!file)
		return 0;
	if (fgets(line, sizeof(line), file)) {
		line[strcspn(line, "\n")] = '\0';
		if (span_parse_u64(span_of_str(line), UINT64_MAX, &count))
			count = 0;
	}
	(void)fclose(file);
	return count;
}

static int tell_errors(struct volume_scanning *s)
{
	struct volume_place place = { .off = UINT64_MAX, .file_off = UINT64_MAX };
	struct ext4_error_record record;
	struct buf words = BUF_NULL;
	char first[64], last[64];

	ext4_get_error_record(s->view.fs, &record);
	uint64_t count = max_of((uint64_t)record.count, live_errors(s));
	if (count == 0 && !s->view.info.has_errors)
		return 0;
	text_time((int64_t)record.first_s * INT64_C(1000000000), first, sizeof(first));
	text_time((int64_t)record.last_s * INT64_C(1000000000), last, sizeof(last));
	buf_addf(&words, "the kernel has noted %" PRIu64 " errors of this filesystem", count);
	if (record.count) {
		buf_addf(&words, "; the first at %s in ", first);
		text_add_printable(&words, span_of_str(record.first_function));
		buf_addf(&words, ":%" PRIu32 ", inode %" PRIu32 "; the last at %s in ",
			 record.first_line, record.first_ino, last);
		text_add_printable(&words, span_of_str(record.last_function));
		buf_addf(&words, ":%" PRIu32 ", inode %" PRIu32, record.last_line, record.last_ino);
	}
	int r = buf_error(&words);
	if (r == 0)
		r = volume_tell(s, FINDING_EXT4_ERRORS, OBJECT_EXT4 "errors", &place, NULL, NULL,
				buf_str(&words), NULL);
	buf_fini(&words);
	return r;
}

int volume_check_metadata(struct volume_scanning *s)
{
	struct look first = { .s = s, .first = true };

	s->result->books = !s->target->is_live;
	int r = tell_errors(s);
	if (r == 0)
		r = look_at(&first, &s->view);
	if (r == EXT4_CHECK_STOPPED)
		r = 0;
	else if (r == 0 && first.nr)
		r = confirm(s, &first);
	free(first.problems);
	s->meta_whole = r == 0 && !volume_is_stopped(s) && first.more == 0 &&
			s->result->metadata.unchecked == 0;
	return r == EXT4_CHECK_STOPPED ? 0 : r;
}

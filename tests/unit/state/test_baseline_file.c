// SPDX-License-Identifier: Apache-2.0
/*
 * Files of baselines: whatever is damaged is noticed, no kill takes away what was there before,
 * and evidence stays.
 */
#include "suites.h"

#include <CUnit/CUnit.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "baseline_room.h"
#include "digest/digest.h"
#include "state/baseline_format.h"

static void read_file(const struct scene *s, uint64_t number, struct buf *out)
{
	char path[400], bytes[65536];
	size_t n;

	file_path(s, number, path);
	FILE *file = fopen(path, "rbe");
	CU_ASSERT_PTR_NOT_NULL_FATAL(file);
	while ((n = fread(bytes, 1, sizeof(bytes), file)) > 0)
		buf_add(out, bytes, n);
	(void)fclose(file);
	CU_ASSERT_EQUAL_FATAL(buf_error(out), 0);
}

static void write_byte(const struct scene *s, uint64_t number, uint64_t off, uint8_t flip)
{
	char path[400];
	uint8_t byte;

	file_path(s, number, path);
	int fd = open(path, O_RDWR | O_CLOEXEC);
	CU_ASSERT_EQUAL_FATAL(pread(fd, &byte, 1, (off_t)off), 1);
	byte ^= flip;
	CU_ASSERT_EQUAL(pwrite(fd, &byte, 1, (off_t)off), 1);
	(void)close(fd);
}

/* What opening and reading all of these bytes says. */
static int judge(struct span bytes)
{
	struct source src;
	struct baseline *b = NULL;

	source_init_memory(&src, bytes);
	int r = baseline_open_source(&src, &b);
	if (r == 0)
		r = baseline_verify(b);
	baseline_close(b);
	source_close(&src);
	return r;
}

/* ---- what must not be ---- */

static void what_is_out_of_order_or_bounds_is_refused_and_changes_nothing(void)
{
	struct scene s;
	struct baseline_info info = about;
	struct baseline_extent extent = { 0, NR_BLOCKS - 1, 2, false };
	struct baseline_owner o = { .ino = 5, .extents = &extent, .nr_extents = 1 };
	struct block_sum sum = { 1, 1 };

	scene_begin(&s);
	info.block_size = 4095;
	CU_ASSERT_EQUAL(baseline_writer_new(s.dir, &info, &s.w), -EINVAL);
	info = about;
	info.nr_blocks = BASELINE_BLOCKS_MAX + 1;
	CU_ASSERT_EQUAL(baseline_writer_new(s.dir, &info, &s.w), -EINVAL);
	CU_ASSERT_PTR_NULL(s.w);
	write_begin(&s);
	add(&s, 10);
	CU_ASSERT_EQUAL(baseline_writer_add_sum(s.w, 10, sum), -EINVAL);
	CU_ASSERT_EQUAL(baseline_writer_add_sum(s.w, 9, sum), -EINVAL);
	CU_ASSERT_EQUAL(baseline_writer_add_sum(s.w, NR_BLOCKS, sum), -EINVAL);
	CU_ASSERT_EQUAL(baseline_writer_replace_sum(s.w, NR_BLOCKS, sum, true), -EINVAL);
	CU_ASSERT_EQUAL(baseline_writer_add_owner(s.w, &o), -EINVAL);
	extent.len = 0;
	CU_ASSERT_EQUAL(baseline_writer_add_owner(s.w, &o), -EINVAL);
	extent = (struct baseline_extent){ UINT64_MAX, 1, 1, false };
	CU_ASSERT_EQUAL(baseline_writer_add_owner(s.w, &o), -EINVAL);
	extent.logical = 0;
	o.nr_extents = BASELINE_EXTENTS_MAX + 1;
	CU_ASSERT_EQUAL(baseline_writer_add_owner(s.w, &o), -EFBIG);
	o.nr_extents = 1;
	CU_ASSERT_EQUAL(baseline_writer_add_owner(s.w, &o), 0);
	o.ino = 4;
	CU_ASSERT_EQUAL(baseline_writer_add_owner(s.w, &o), -EINVAL);
	add(&s, NR_BLOCKS - 1);
	write_end(&s);
	read_begin(&s);
	CU_ASSERT_EQUAL(look_at(&s, 10), 1);
	CU_ASSERT_EQUAL(look_at(&s, NR_BLOCKS - 1), 1);
	CU_ASSERT_EQUAL(baseline_verify(s.b), 0);
	scene_end(&s);
}

/* ---- damage ---- */

static void every_flipped_bit_is_noticed(void)
{
	struct scene s;
	struct buf bytes = BUF_NULL;

	scene_begin(&s);
	write_small(&s);
	read_file(&s, 1, &bytes);
	CU_ASSERT_EQUAL(judge(buf_span(&bytes)), 0);
	for (size_t off = 0; off < bytes.len; off++) {
		for (unsigned bit = 0; bit < 8; bit++) {
			bytes.data[off] = (char)(bytes.data[off] ^ 1 << bit);
			CU_ASSERT_EQUAL(judge(buf_span(&bytes)), -EBADMSG);
			bytes.data[off] = (char)(bytes.data[off] ^ 1 << bit);
		}
	}
	buf_fini(&bytes);
	scene_end(&s);
}

static void every_truncation_and_a_byte_too_many_are_noticed(void)
{
	struct scene s;
	struct buf bytes = BUF_NULL;

	scene_begin(&s);
	write_small(&s);
	read_file(&s, 1, &bytes);
	for (size_t len = 0; len < bytes.len; len++)
		CU_ASSERT_EQUAL(judge(span_of(bytes.data, len)), -EBADMSG);
	buf_add_char(&bytes, 0);
	CU_ASSERT_EQUAL(judge(buf_span(&bytes)), -EBADMSG);
	buf_fini(&bytes);
	scene_end(&s);
}

static void a_newer_version_is_told_from_damage(void)
{
	struct scene s;
	struct buf bytes = BUF_NULL;

	scene_begin(&s);
	write_small(&s);
	read_file(&s, 1, &bytes);
	bytes.data[8] = BASELINE_VERSION + 1;
	CU_ASSERT_EQUAL(judge(buf_span(&bytes)), -EBADMSG);
	uint64_t sum = htole64(xxh3_of(span_of(bytes.data, BASELINE_HEADER_LEN - 8)));
	memcpy(bytes.data + BASELINE_HEADER_LEN - 8, &sum, sizeof(sum));
	CU_ASSERT_EQUAL(judge(buf_span(&bytes)), -EPROTONOSUPPORT);
	buf_fini(&bytes);
	scene_end(&s);
}

/* Damage in one chunk is an error for its blocks, and not "no sum"; others are still told. */
static void a_damaged_chunk_is_an_error_for_what_is_in_it(void)
{
	struct scene s;
	struct extent_text text = { .len = 0 };

	scene_begin(&s);
	write_begin(&s);
	for (uint64_t block = 100; block < 100 + 3 * BASELINE_CHUNK_SUMS; block++)
		add(&s, block);
	write_end(&s);
	write_byte(&s, 1, BASELINE_HEADER_LEN + 250000, 1); /* in the second chunk */
	read_begin(&s);
	CU_ASSERT_EQUAL(look_at(&s, 100), 1);
	CU_ASSERT_EQUAL(look_at(&s, 100 + BASELINE_CHUNK_SUMS), -EBADMSG);
	CU_ASSERT_EQUAL(look_at(&s, 100 + 2 * BASELINE_CHUNK_SUMS - 1), -EBADMSG);
	CU_ASSERT_EQUAL(look_at(&s, 100 + 2 * BASELINE_CHUNK_SUMS), 1);
	CU_ASSERT_EQUAL(look_at(&s, 101), 1);
	CU_ASSERT_EQUAL(baseline_each_run(s.b, tell_run, &text), -EBADMSG);
	CU_ASSERT_EQUAL(baseline_verify(s.b), -EBADMSG);
	scene_end(&s);
}

static void the_newest_is_not_passed_over_when_it_is_damaged(void)
{
	struct scene s;

	scene_begin(&s);
	write_small(&s);
	write_small(&s);
	write_byte(&s, 2, 20, 0x10);
	CU_ASSERT_EQUAL(baseline_open(s.dir, uuid, 0, &s.b), -EBADMSG);
	CU_ASSERT_PTR_NULL(s.b);
	CU_ASSERT_EQUAL(baseline_open(s.dir, uuid, 1, &s.b), 0);
	scene_end(&s);
}

static void the_file_of_another_generation_is_refused(void)
{
	struct scene s;
	char from[400], to[400];

	scene_begin(&s);
	write_small(&s);
	file_path(&s, 1, from);
	file_path(&s, 5, to);
	CU_ASSERT_EQUAL(rename(from, to), 0);
	CU_ASSERT_EQUAL(baseline_open(s.dir, uuid, 5, &s.b), -EBADMSG);
	CU_ASSERT_EQUAL(baseline_open(s.dir, uuid, 1, &s.b), -ENOENT);
	scene_end(&s);
}

/* ---- generations ---- */

static int tell_number(uint64_t number, void *ctx)
{
	return tell_run(number, 0, ctx);
}

static void old_generations_go_and_the_newest_two_never_do(void)
{
	struct scene s;
	struct extent_text text = { .len = 0 };
	struct baseline_info info;

	scene_begin(&s);
	CU_ASSERT_EQUAL(baseline_open(s.dir, uuid, 0, &s.b), -ENOENT);
	CU_ASSERT_EQUAL(baseline_list(s.dir, uuid, tell_number, &text), 0);
	for (int i = 0; i < 5; i++)
		write_small(&s); /* which keeps three */
	CU_ASSERT_EQUAL(baseline_list(s.dir, uuid, tell_number, &text), 0);
	CU_ASSERT_STRING_EQUAL(text.text, "3+0;4+0;5+0;");
	write_begin(&s);
	CU_ASSERT_EQUAL(baseline_writer_commit(s.w, 1, 0, NULL), 0);
	CU_ASSERT_EQUAL(baseline_writer_add_sum(s.w, 1, sum_of(1)), -EINVAL);
	CU_ASSERT_EQUAL(baseline_writer_commit(s.w, 1, 0, NULL), -EINVAL);
	text.len = 0;
	CU_ASSERT_EQUAL(baseline_list(s.dir, uuid, tell_number, &text), 0);
	CU_ASSERT_STRING_EQUAL(text.text, "5+0;6+0;");
	read_begin(&s);
	baseline_get_info(s.b, &info);
	CU_ASSERT_EQUAL(info.number, 6);
	scene_end(&s);
}

static void files_and_directories_are_nobody_elses(void)
{
	struct scene s;
	struct stat st;
	char path[400];

	scene_begin(&s);
	write_small(&s);
	file_path(&s, 1, path);
	CU_ASSERT_EQUAL(stat(path, &st), 0);
	CU_ASSERT_EQUAL(st.st_mode & 0777, 0600);
	*strrchr(path, '/') = '\0';
	CU_ASSERT_EQUAL(stat(path, &st), 0);
	CU_ASSERT_EQUAL(st.st_mode & 0777, 0700);
	*strrchr(path, '/') = '\0';
	CU_ASSERT_EQUAL(stat(path, &st), 0);
	CU_ASSERT_EQUAL(st.st_mode & 0777, 0700);
	scene_end(&s);
}

/* How many entries the directory of the volume has. */
static int count_files(const struct scene *s)
{
	struct dirent **entries;
	char path[400];

	file_path(s, 1, path);
	*strrchr(path, '/') = '\0';
	int nr = scandir(path, &entries, NULL, NULL);
	for (int i = 0; i < nr; i++)
		free(entries[i]);
	if (nr > 0)
		free(entries);
	return nr - 2;
}

static void a_writer_that_is_given_up_leaves_nothing(void)
{
	struct scene s;

	scene_begin(&s);
	write_small(&s);
	write_begin(&s);
	add(&s, 1);
	CU_ASSERT_EQUAL(count_files(&s), 2);
	baseline_writer_free(take(s.w));
	CU_ASSERT_EQUAL(count_files(&s), 1);
	read_begin(&s);
	CU_ASSERT_EQUAL(baseline_verify(s.b), 0);
	scene_end(&s);
}

static void a_killed_writer_leaves_the_older_ones_whole_and_is_cleaned_up_after(void)
{
	struct scene s;
	int status;

	scene_begin(&s);
	write_small(&s);
	pid_t child = fork();
	CU_ASSERT_NOT_EQUAL_FATAL(child, -1);
	if (child == 0) {
		struct baseline_writer *w = NULL;
		int r = baseline_writer_new(s.dir, &about, &w);
		for (uint64_t block = 0; block < 50000 && r == 0; block++)
			r = baseline_writer_add_sum(w, block, sum_of(block));
		if (r == 0)
			(void)raise(SIGKILL);
		_exit(1);
	}
	CU_ASSERT_EQUAL(waitpid(child, &status, 0), child);
	CU_ASSERT(WIFSIGNALED(status));
	CU_ASSERT_EQUAL(count_files(&s), 2);
	read_begin(&s);
	CU_ASSERT_EQUAL(baseline_verify(s.b), 0);
	CU_ASSERT_EQUAL(look_at(&s, 0), 0);
	CU_ASSERT_EQUAL(look_at(&s, 10), 1);
	write_small(&s);
	CU_ASSERT_EQUAL(s.number, 2);
	CU_ASSERT_EQUAL(count_files(&s), 2);
	scene_end(&s);
}

static void one_process_writes_at_a_time(void)
{
	struct scene s;
	struct baseline_writer *other;

	scene_begin(&s);
	write_begin(&s);
	CU_ASSERT_EQUAL(baseline_writer_new(s.dir, &about, &other), -EBUSY);
	write_end(&s);
	CU_ASSERT_EQUAL(baseline_writer_new(s.dir, &about, &other), 0);
	baseline_writer_free(other);
	scene_end(&s);
}

/* ---- evidence ---- */

static void an_old_sum_stands_in_place_of_the_new_one(void)
{
	struct scene s;
	struct baseline_info info;
	struct block_sum sum = { 0, 0 };
	struct found found = { .nr = 0 };

	scene_begin(&s);
	write_begin(&s);
	for (uint64_t block = 0; block < 100000; block++)
		add(&s, 3 * block);
	/* Backwards, each twice; the last one counts. */
	for (uint64_t block = 99999; block > 40000; block -= 7) {
		struct block_sum old = { block, (uint32_t)block + 1 };
		CU_ASSERT_EQUAL(baseline_writer_replace_sum(s.w, 3 * block, sum, true), 0);
		CU_ASSERT_EQUAL(baseline_writer_replace_sum(s.w, 3 * block, old, block % 2), 0);
	}
	write_end(&s);
	read_begin(&s);
	baseline_get_info(s.b, &info);
	CU_ASSERT_EQUAL(info.nr_sums, 100000);
	CU_ASSERT_EQUAL(info.nr_contested, 4286);
	uint64_t wrong = 0;
	for (uint64_t block = 0; block < 100000; block++) {
		bool replaced = block > 40000 && (99999 - block) % 7 == 0;
		wrong += baseline_sum_at(s.b, 3 * block, &sum) != 1;
		if (replaced)
			wrong += sum.digest != block || sum.sectors != block + 1;
		else
			wrong += sum.digest != sum_of(3 * block).digest;
		wrong += baseline_is_contested(s.b, 3 * block) != (replaced && block % 2);
		wrong += baseline_is_contested(s.b, 3 * block + 1) != 0;
	}
	CU_ASSERT_EQUAL(wrong, 0);
	CU_ASSERT_EQUAL(baseline_verify(s.b), 0);
	/* By its digest it is found as what it was. */
	uint64_t wanted[] = { 99999, sum_of(3 * 99999).digest };
	CU_ASSERT(wanted[0] < wanted[1]);
	CU_ASSERT_EQUAL(baseline_find_digests(s.b, wanted, 2, note_block, &found), 0);
	CU_ASSERT_EQUAL(found.nr, 1);
	CU_ASSERT_EQUAL(found.first, 3 * 99999);
	scene_end(&s);
}

static void what_was_never_added_cannot_be_replaced(void)
{
	struct scene s;

	scene_begin(&s);
	write_begin(&s);
	add(&s, 1);
	add(&s, 5);
	CU_ASSERT_EQUAL(baseline_writer_replace_sum(s.w, 3, sum_of(3), true), 0);
	CU_ASSERT_EQUAL(baseline_writer_commit(s.w, 1, 3, NULL), -EINVAL);
	baseline_writer_free(take(s.w));
	CU_ASSERT_EQUAL(count_files(&s), 0);
	scene_end(&s);
}

static void evidence_is_bounded(void)
{
	struct scene s;
	int r = 0;

	scene_begin(&s);
	write_begin(&s);
	add(&s, 1);
	for (uint32_t i = 0; i < BASELINE_REPLACED_MAX && r == 0; i++)
		r = baseline_writer_replace_sum(s.w, 1, (struct block_sum){ i, 0 }, true);
	CU_ASSERT_EQUAL(r, 0);
	CU_ASSERT_EQUAL(baseline_writer_replace_sum(s.w, 1, sum_of(1), true), -EFBIG);
	write_end(&s);
	read_begin(&s);
	struct block_sum sum = { 0, 0 };
	CU_ASSERT_EQUAL(baseline_sum_at(s.b, 1, &sum), 1);
	CU_ASSERT_EQUAL(sum.digest, BASELINE_REPLACED_MAX - 1);
	scene_end(&s);
}

static const struct test_case cases[] = {
	CASE(what_is_out_of_order_or_bounds_is_refused_and_changes_nothing),
	CASE(every_flipped_bit_is_noticed),
	CASE(every_truncation_and_a_byte_too_many_are_noticed),
	CASE(a_newer_version_is_told_from_damage),
	CASE(a_damaged_chunk_is_an_error_for_what_is_in_it),
	CASE(the_newest_is_not_passed_over_when_it_is_damaged),
	CASE(the_file_of_another_generation_is_refused),
	CASE(old_generations_go_and_the_newest_two_never_do),
	CASE(files_and_directories_are_nobody_elses),
	CASE(a_writer_that_is_given_up_leaves_nothing),
	CASE(a_killed_writer_leaves_the_older_ones_whole_and_is_cleaned_up_after),
	CASE(one_process_writes_at_a_time),
	CASE(an_old_sum_stands_in_place_of_the_new_one),
	CASE(what_was_never_added_cannot_be_replaced),
	CASE(evidence_is_bounded),
};

const struct test_suite suite_state_baseline_file = { "state/baseline_file", cases,
						      array_size(cases) };

// SPDX-License-Identifier: Apache-2.0
/*
 * The journal: what debugfs writes into one, and what a kernel has in one while the filesystem is
 * mounted, is served as e2fsprogs replay it into a copy, block by block.
 */
#include "suites.h"

#include <sys/wait.h>

#include "format/ext4/ext4_journal.h"
#include "journal_image.h"

#define CHURN_LONG 400 /* rounds */

/* ---- what a replay writes ---- */

/* The script writes 8 blocks of 16, some twice, one of them revoked for good. */
static void check_script(const char *options, const char *version)
{
	struct ext4_journal_info info;
	struct journal_image ji;

	if (!journal_make(&ji, options, version))
		return;
	journal_open(&ji);
	ext4_journal_get_info(ji.j, &info);
	CU_ASSERT_EQUAL(info.nr_transactions, 4);
	CU_ASSERT_EQUAL(info.end_sequence, info.start_sequence + 4);
	CU_ASSERT_EQUAL(info.nr_problems, 0);
	CU_ASSERT_EQUAL(info.nr_revoked, 1);
	CU_ASSERT_EQUAL(info.nr_blocks, SCRIPT_SERVED);
	CU_ASSERT_EQUAL(info.has_checksums, *version != 0);
	CU_ASSERT_FALSE(info.is_empty || info.has_fast_commits || info.from_backup);
	check_served(&ji, SCRIPT_SERVED);
	check_oracles(&ji);
	journal_close(&ji);
}

static void serves_what_a_replay_writes_with_each_checksum(void)
{
	check_script("-t ext4 -b 1024 -J size=1", "");
	check_script("-t ext4 -b 1024 -J size=1", "-c -v 2");
	check_script("-t ext4 -b 1024 -J size=1", "-c -v 3");
}

static void serves_what_a_replay_writes_with_blocks_of_4_kib(void)
{
	check_script("-t ext4 -b 4096", "");
	check_script("-t ext4 -b 4096", "-c -v 3");
}

static void serves_what_a_replay_writes_without_64bit(void)
{
	check_script("-t ext4 -b 1024 -J size=1 -O ^64bit", "");
	check_script("-t ext4 -b 1024 -J size=1 -O ^64bit", "-c -v 2");
	check_script("-t ext4 -b 1024 -J size=1 -O ^64bit", "-c -v 3");
}

static void serves_what_a_replay_writes_without_checksums_of_metadata(void)
{
	check_script("-t ext4 -b 1024 -J size=1 -O ^metadata_csum", "");
	check_script("-t ext4 -b 4096 -O ^metadata_csum,64bit", "");
}

static void passes_over_the_checksum_of_version_1(void)
{
	struct ext4_journal_info info;
	struct journal_image ji;

	if (!journal_make_empty(&ji, "-t ext4 -b 1024 -J size=1 -O ^metadata_csum"))
		return;
	journal_begin(&ji, "-c");
	journal_add(&ji, "jw -b 5000-5002", 3);
	journal_end(&ji);
	journal_open(&ji);
	ext4_journal_get_info(ji.j, &info);
	CU_ASSERT_FALSE(info.has_checksums);
	CU_ASSERT_EQUAL(info.nr_blocks, 3);
	check_oracles(&ji);
	journal_close(&ji);
}

static void serves_what_a_replay_writes_into_ext3(void)
{
	check_script("-t ext3 -b 1024 -J size=1", "");
}

static void follows_the_log_around_its_end(void)
{
	static const char *const versions[] = { "", "-c -v 2", "-c -v 3" };
	struct ext4_journal_info info;
	struct journal_image ji;

	for (unsigned before = 1; before < 21; before += 3) {
		if (!journal_make(&ji, "-t ext4 -b 1024 -J size=1", versions[before % 3]))
			return;
		journal_rotate(&ji, before, 0);
		journal_open(&ji);
		ext4_journal_get_info(ji.j, &info);
		CU_ASSERT_EQUAL(info.nr_transactions, 4);
		CU_ASSERT_EQUAL(info.nr_problems, 0);
		check_served(&ji, SCRIPT_SERVED);
		check_oracles(&ji);
		journal_close(&ji);
	}
}

/* Where e2fsprogs 1.47.0 would go on into them, a kernel goes on at the beginning. */
static void follows_the_log_around_before_fast_commits(void)
{
	uint8_t head[16] = { 9, 0, 8, 0 };
	struct ext4_journal_info info;
	struct journal_image ji;

	for (uint8_t tid = 4; tid < 7; tid++) {
		if (!journal_make(&ji, "-t ext4 -b 1024 -J size=2", "-c -v 3"))
			return;
		journal_rotate(&ji, 10, 300);
		/* One block behind the log is left out. */
		head[8] = tid;
		image_write(&ji.image, journal_off(&ji, 2048 - 300 + 1), head, sizeof(head));
		journal_open(&ji);
		ext4_journal_get_info(ji.j, &info);
		CU_ASSERT_EQUAL(info.nr_transactions, 4);
		CU_ASSERT_EQUAL(info.nr_problems, 0);
		CU_ASSERT_EQUAL(info.has_fast_commits, tid == 5);
		check_served(&ji, SCRIPT_SERVED);
		journal_close(&ji);
	}
}

/* No kernel writes that. */
static void leaves_out_what_its_own_transaction_revokes(void)
{
	struct journal_image ji;
	uint32_t block;

	if (!journal_make_empty(&ji, "-t ext4 -b 1024 -J size=1"))
		return;
	journal_begin(&ji, "-c -v 3");
	journal_add(&ji, "jw -b 6000,6001 -r 6001", 2);
	journal_end(&ji);
	journal_open(&ji);
	CU_ASSERT_EQUAL(ext4_journal_find(ji.j, 6000, &block), 0);
	CU_ASSERT_EQUAL(ext4_journal_find(ji.j, 6001, &block), -ENOENT);
	check_oracles(&ji);
	journal_close(&ji);
}

/* More than the list holds at first, written again and again. */
static void keeps_the_newest_of_many_versions(void)
{
	struct ext4_journal_info info;
	struct journal_image ji;

	if (!journal_make_empty(&ji, "-t ext4 -b 1024 -J size=1"))
		return;
	journal_begin(&ji, "-c -v 3");
	for (unsigned i = 0; i < 7; i++)
		journal_add(&ji, "jw -b %u-%u", 100, 5000 + i * 10, 5099 + i * 10);
	journal_end(&ji);
	journal_open(&ji);
	ext4_journal_get_info(ji.j, &info);
	CU_ASSERT_EQUAL(info.nr_transactions, 7);
	CU_ASSERT_EQUAL(info.nr_blocks, 160);
	check_oracles(&ji);
	journal_close(&ji);
}

static void finds_nothing_in_an_empty_journal(void)
{
	struct ext4_journal_info info;
	struct journal_image ji;
	uint32_t block;
	uint8_t buf[1024];

	if (!journal_make_empty(&ji, "-t ext4 -b 1024 -J size=1"))
		return;
	journal_open(&ji);
	ext4_journal_get_info(ji.j, &info);
	CU_ASSERT_TRUE(info.is_empty);
	CU_ASSERT_EQUAL(info.nr_transactions + info.nr_blocks + info.nr_problems, 0);
	CU_ASSERT_EQUAL(info.nr_journal, 1024);
	CU_ASSERT_EQUAL(ext4_journal_find(ji.j, 5000, &block), -ENOENT);
	CU_ASSERT_EQUAL(ext4_journal_read(ji.j, 5000, buf), 0);
	check_oracles(&ji);
	journal_close(&ji);
}

/* ---- where a log ends ---- */

static void leaves_out_a_transaction_without_its_commit(void)
{
	static const char *const versions[] = { "", "-c -v 2", "-c -v 3" };
	struct ext4_journal_info info;
	struct journal_image ji;

	for (size_t i = 0; i < array_size(versions); i++) {
		if (!journal_make(&ji, "-t ext4 -b 1024 -J size=1", versions[i]))
			return;
		journal_wipe(&ji, SCRIPT_LAST_COMMIT);
		journal_open(&ji);
		ext4_journal_get_info(ji.j, &info);
		CU_ASSERT_EQUAL(info.nr_transactions, 3);
		CU_ASSERT_EQUAL(info.nr_problems, 0);
		check_oracles(&ji);
		journal_close(&ji);
	}
}

static void ends_before_transactions_that_are_not_the_next(void)
{
	struct ext4_journal_info info;
	struct journal_image ji;

	if (!journal_make(&ji, "-t ext4 -b 1024 -J size=1", "-c -v 3"))
		return;
	/* The third and the fourth stand behind it, but are not the next. */
	journal_wipe(&ji, SCRIPT_SECOND);
	journal_open(&ji);
	ext4_journal_get_info(ji.j, &info);
	CU_ASSERT_EQUAL(info.nr_transactions, 1);
	CU_ASSERT_EQUAL(info.nr_problems, 0);
	check_oracles(&ji);
	journal_close(&ji);
}

/* ---- as a source ---- */

static void reads_ranges_of_any_alignment(void)
{
	uint8_t whole[64 * 1024], part[9000];
	struct journal_image ji;
	struct source overlay;
	uint64_t n, from = UINT64_C(5000) * 1024 - 3000;

	if (!journal_make(&ji, "-t ext4 -b 1024 -J size=1", "-c -v 3"))
		return;
	journal_open(&ji);
	CU_ASSERT_EQUAL_FATAL(ext4_journal_source(ji.j, &ji.image.src, &overlay), 0);
	CU_ASSERT_EQUAL(source_read_exact(&overlay, from, whole, sizeof(whole)), 0);
	for (uint64_t off = 0; off < 40000; off += 997) {
		uint64_t len = off * 7 % sizeof(part);
		CU_ASSERT_EQUAL(source_read_exact(&overlay, from + off, part, len), 0);
		CU_ASSERT_EQUAL(memcmp(part, whole + off, len), 0);
	}
	CU_ASSERT_EQUAL(source_size(&overlay, &n), 0);
	CU_ASSERT_EQUAL(n, UINT64_C(16) << 20);
	CU_ASSERT_EQUAL(source_read(&overlay, n - 10, part, 100, &n), 0);
	CU_ASSERT_EQUAL(n, 10);
	CU_ASSERT_EQUAL(source_read_exact(&overlay, UINT64_C(16) << 20, part, 1), -ENODATA);
	source_forget(&overlay);
	source_close(&overlay);
	source_close(&overlay);
	journal_close(&ji);
}

static void notices_a_journal_that_changes_under_it(void)
{
	struct journal_image ji;
	struct source overlay;
	uint32_t block = 0;
	uint8_t buf[1024], place[1024];

	if (!journal_make(&ji, "-t ext4 -b 1024 -J size=1", ""))
		return;
	journal_open(&ji);
	CU_ASSERT_EQUAL(ext4_journal_find(ji.j, 5002, &block), 0);
	CU_ASSERT_EQUAL(ext4_journal_read(ji.j, 5002, buf), EXT4_JOURNAL_NEWER);
	image_flip(&ji.image, journal_off(&ji, block) + 77);
	CU_ASSERT_EQUAL(ext4_journal_read(ji.j, 5002, buf), -ESTALE);
	CU_ASSERT_EQUAL_FATAL(ext4_journal_source(ji.j, &ji.image.src, &overlay), 0);
	/* Then what stands in its place is at least as new. */
	CU_ASSERT_EQUAL(source_read_exact(&overlay, UINT64_C(5002) * 1024, buf, sizeof(buf)), 0);
	CU_ASSERT_EQUAL_FATAL(source_read_exact(&ji.image.src, UINT64_C(5002) * 1024, place,
						sizeof(place)),
			      0);
	CU_ASSERT_EQUAL(memcmp(buf, place, sizeof(buf)), 0);
	source_close(&overlay);
	journal_close(&ji);
}

/* ---- which journal ---- */

static void tells_a_filesystem_that_has_none_or_has_it_elsewhere(void)
{
	static const struct {
		const char *options, *change;
		int error;
	} rows[] = {
		{ "-t ext2 -b 1024", "stats", -ENOENT },
		{ "-t ext4 -b 1024 -J size=1", "ssv journal_inum 0", -EOPNOTSUPP },
	};
	struct ext4_journal *j;
	struct ext4_info info;
	struct image image;

	for (size_t i = 0; i < array_size(rows); i++) {
		if (!bare_make(&image, rows[i].options))
			return;
		CU_ASSERT_EQUAL(run(&image, "debugfs -w -R '%s' %s", rows[i].change, image.path),
				0);
		image_open(&image);
		ext4_get_info(image.fs, &info);
		CU_ASSERT_EQUAL(info.has_journal, rows[i].error != -ENOENT);
		CU_ASSERT_EQUAL(info.external_journal, rows[i].error == -EOPNOTSUPP);
		CU_ASSERT_EQUAL(ext4_journal_open(image.fs, &j), rows[i].error);
		CU_ASSERT_PTR_NULL(j);
		image_close(&image);
	}
	ext4_journal_close(NULL);
}

static void finds_the_journal_of_a_damaged_inode(void)
{
	static const char *const options[] = { "-t ext4 -b 1024 -J size=1",
					       "-t ext4 -b 1024 -J size=1 -O ^extents,^64bit" };
	struct ext4_journal_info info;
	struct journal_image ji;

	for (size_t i = 0; i < array_size(options); i++) {
		if (!journal_make(&ji, options[i], "-c -v 3"))
			return;
		image_open(&ji.image);
		image_flip(&ji.image, inode_off(&ji.image, 8) + 40);
		image_flip(&ji.image, inode_off(&ji.image, 8) + 1);
		journal_reopen(&ji);
		ext4_journal_get_info(ji.j, &info);
		CU_ASSERT_TRUE(info.from_backup);
		CU_ASSERT_EQUAL(info.nr_transactions, 4);
		check_served(&ji, SCRIPT_SERVED);
		journal_close(&ji);
	}
}

/* ---- a log that moves on ---- */

/* The superblock of a journal that is another at each read, up to the last one. */
struct moving_source {
	struct source *base;
	uint64_t at; /* of the superblock */
	const uint8_t (*supers)[1024];
	size_t nr, next;
};

static int moving_read(struct source *src, uint64_t off, void *buf, uint64_t len, uint64_t *ret_n)
{
	struct moving_source *moving = src->ctx;

	if (off == moving->at) {
		memcpy(buf, moving->supers[moving->next], 1024);
		moving->next = min_of(moving->next + 1, moving->nr - 1);
		*ret_n = 1024;
		return 0;
	}
	return source_read(moving->base, off, buf, len, ret_n);
}

static int moving_size(struct source *src, uint64_t *ret_size)
{
	const struct moving_source *moving = src->ctx;

	return source_size(moving->base, ret_size);
}

static void moving_close(struct source *src)
{
	(void)src;
}

static const struct source_ops moving_ops = {
	.read = moving_read,
	.size = moving_size,
	.close = moving_close,
};

/* Opens the journal of the script with `nr` superblocks one after the other: sequence and start. */
static int open_moving(struct journal_image *ji, const uint32_t (*moves)[2], size_t nr)
{
	uint8_t(*supers)[1024] = calloc(nr, sizeof(*supers));
	struct moving_source moving = { &ji->image.src, ji->at, (const void *)supers, nr, 0 };
	struct source src = { .ops = &moving_ops, .fd = -1, .ctx = &moving };
	struct ext4_journal_info info = { 0 };
	struct ext4_journal *j;
	struct ext4 *fs;
	uint32_t block;

	CU_ASSERT_PTR_NOT_NULL_FATAL(supers);
	for (size_t i = 0; i < nr; i++) {
		CU_ASSERT_EQUAL(source_read_exact(&ji->image.src, ji->at, supers[i], 1024), 0);
		store_be32(supers[i] + 0x18, moves[i][0]);
		store_be32(supers[i] + 0x1c, moves[i][1]);
		super_fix(supers[i]);
	}
	CU_ASSERT_EQUAL_FATAL(ext4_open(&src, &fs), 0);
	int r = ext4_journal_open(fs, &j);
	if (r == 0) {
		ext4_journal_get_info(j, &info);
		CU_ASSERT_EQUAL(info.nr_problems, 0);
		/* Only the first transaction has 5004. */
		CU_ASSERT_EQUAL(ext4_journal_find(j, 5004, &block),
				info.nr_transactions == 4 ? 0 : -ENOENT);
		CU_ASSERT_EQUAL(info.start_sequence + info.nr_transactions, info.end_sequence);
	}
	ext4_journal_close(j);
	ext4_close(fs);
	free(supers);
	return r ? r : (int)info.nr_transactions;
}

static void leaves_out_what_the_log_has_moved_past_meanwhile(void)
{
	static const uint32_t moves[][2] = { { 1, 1 }, { 2, 8 }, { 5, 21 }, { 1, 1 }, { 5, 0 } };
	uint32_t ever_further[16][2];
	struct journal_image ji;

	if (!journal_make(&ji, "-t ext4 -b 1024 -J size=1", "-c -v 3"))
		return;
	CU_ASSERT_EQUAL_FATAL(source_open_file(&ji.image.src, AT_FDCWD, ji.image.path), 0);
	CU_ASSERT_EQUAL(open_moving(&ji, moves, 1), 4);
	CU_ASSERT_EQUAL(open_moving(&ji, moves, 2), 3);
	/* Read again, from where it is then. */
	CU_ASSERT_EQUAL(open_moving(&ji, moves + 2, 2), 4);
	CU_ASSERT_EQUAL(open_moving(&ji, moves + 3, 2), 0);
	for (uint32_t i = 0; i < array_size(ever_further); i++) {
		ever_further[i][0] = 6 + i;
		ever_further[i][1] = 30 + i * 10;
	}
	CU_ASSERT_EQUAL(open_moving(&ji, (const void *)ever_further, 16), -EAGAIN);
	journal_close(&ji);
}

/* ---- a mounted filesystem ---- */

/* Files are made, written, removed, and made again where the others were. */
static void churn(const char *dir, unsigned rounds)
{
	char path[ROOM_DIR_SIZE + 64];

	for (unsigned i = 0; i < rounds; i++) {
		(void)snprintf(path, sizeof(path), "%s/sub%u", dir, i % 7);
		(void)mkdir(path, 0755);
		(void)snprintf(path, sizeof(path), "%s/sub%u/file%u", dir, i % 7, i);
		int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
		CU_ASSERT_TRUE_FATAL(fd >= 0);
		CU_ASSERT_EQUAL(write(fd, path, sizeof(path)), (ssize_t)sizeof(path));
		CU_ASSERT_EQUAL(fsync(fd), 0);
		(void)close(fd);
		if (i % 5 == 4)
			CU_ASSERT_EQUAL(unlink(path), 0);
		if (i % 50 == 48) {
			(void)snprintf(path, sizeof(path), "rm -rf %s/sub%u", dir, i % 7);
			CU_ASSERT_EQUAL(system(path), 0);
		}
	}
}

/* A file whose name stands in the journal only is found through the overlay. */
static void check_newest(struct journal_image *ji, const char *name)
{
	struct source overlay;
	struct ext4 *fs;
	uint32_t ino;

	CU_ASSERT_EQUAL(ext4_lookup(ji->image.fs, EXT4_ROOT_INO, name, &ino), -ENOENT);
	CU_ASSERT_EQUAL_FATAL(ext4_journal_source(ji->j, &ji->image.src, &overlay), 0);
	CU_ASSERT_EQUAL_FATAL(ext4_open(&overlay, &fs), 0);
	CU_ASSERT_EQUAL(ext4_lookup(fs, EXT4_ROOT_INO, name, &ino), 0);
	ext4_close(fs);
	source_close(&overlay);
}

static void check_mounted(const char *options, const char *mount, unsigned rounds)
{
	struct ext4_journal_info info;
	struct journal_image ji;
	struct image live;

	if (!bare_make(&live, options))
		return;
	if (!live_mount(&live, mount))
		return;
	char dir[ROOM_DIR_SIZE + 16];
	(void)snprintf(dir, sizeof(dir), "%s/mnt", live.dir);
	churn(dir, rounds);
	CU_ASSERT_EQUAL(run(&live, "cd %s && mkdir last && sync last", dir), 0);
	live_copy(&live, &ji);
	live_unmount(&live);
	journal_open(&ji);
	ext4_journal_get_info(ji.j, &info);
	CU_ASSERT_EQUAL(info.nr_problems, 0);
	CU_ASSERT_TRUE(info.nr_transactions > 0 && info.nr_blocks > 0);
	check_newest(&ji, "last");
	check_oracles(&ji);
	journal_close(&ji);
}

static void serves_the_newest_of_a_mounted_filesystem(void)
{
	check_mounted("-t ext4 -b 4096", "noatime", 100);
	check_mounted("-t ext4 -b 1024 -J size=1", "noatime", 300);
	check_mounted("-t ext4 -b 1024 -J size=1 -O ^metadata_csum", "noatime", 300);
	check_mounted("-t ext3 -b 1024 -J size=1", "noatime", 300);
	check_mounted("-t ext4 -b 1024 -J size=1", "data=journal", 300);
}

/* The journal is small enough for the log to go round it many times meanwhile. */
static void sees_no_damage_in_a_filesystem_at_work(void)
{
	struct ext4_journal_info info;
	struct ext4_journal *j;
	struct image live;
	unsigned nr_opened = 0;
	int status;

	if (!bare_make(&live, "-t ext4 -b 1024 -J size=1"))
		return;
	if (!live_mount(&live, "noatime"))
		return;
	char dir[ROOM_DIR_SIZE + 16];
	(void)snprintf(dir, sizeof(dir), "%s/mnt", live.dir);
	pid_t child = fork();
	CU_ASSERT_TRUE_FATAL(child >= 0);
	if (child == 0) {
		churn(dir, CHURN_LONG);
		_exit(0);
	}
	while (waitpid(child, &status, WNOHANG) == 0) {
		image_open(&live);
		int r = ext4_journal_open(live.fs, &j);
		CU_ASSERT_TRUE(r == 0 || r == -EAGAIN);
		if (r == 0) {
			ext4_journal_get_info(j, &info);
			CU_ASSERT_EQUAL(info.nr_problems, 0);
			nr_opened++;
		}
		ext4_journal_close(j);
		ext4_close(take(live.fs));
		source_close(&live.src);
	}
	CU_ASSERT_TRUE(nr_opened > 0);
	live_unmount(&live);
}

static void recognises_fast_commits(void)
{
	struct ext4_journal_info info;
	struct journal_image ji;
	struct image live;

	if (!bare_make(&live, "-t ext4 -b 4096 -O fast_commit"))
		return;
	if (!live_mount(&live, "noatime"))
		return;
	char dir[ROOM_DIR_SIZE + 16];
	(void)snprintf(dir, sizeof(dir), "%s/mnt", live.dir);
	CU_ASSERT_EQUAL(run(&live, "cd %s && touch a && sync -f a && echo b >a && sync a", dir), 0);
	live_copy(&live, &ji);
	live_unmount(&live);
	journal_open(&ji);
	ext4_journal_get_info(ji.j, &info);
	CU_ASSERT_EQUAL(info.nr_problems, 0);
	CU_ASSERT_TRUE(info.has_fast_commits);
	journal_close(&ji);
}

static const struct test_case cases[] = {
	CASE(serves_what_a_replay_writes_with_each_checksum),
	CASE(serves_what_a_replay_writes_with_blocks_of_4_kib),
	CASE(serves_what_a_replay_writes_without_64bit),
	CASE(serves_what_a_replay_writes_without_checksums_of_metadata),
	CASE(passes_over_the_checksum_of_version_1),
	CASE(serves_what_a_replay_writes_into_ext3),
	CASE(follows_the_log_around_its_end),
	CASE(follows_the_log_around_before_fast_commits),
	CASE(leaves_out_what_its_own_transaction_revokes),
	CASE(keeps_the_newest_of_many_versions),
	CASE(finds_nothing_in_an_empty_journal),
	CASE(leaves_out_a_transaction_without_its_commit),
	CASE(ends_before_transactions_that_are_not_the_next),
	CASE(reads_ranges_of_any_alignment),
	CASE(notices_a_journal_that_changes_under_it),
	CASE(tells_a_filesystem_that_has_none_or_has_it_elsewhere),
	CASE(finds_the_journal_of_a_damaged_inode),
	CASE(leaves_out_what_the_log_has_moved_past_meanwhile),
	CASE(serves_the_newest_of_a_mounted_filesystem),
	CASE(sees_no_damage_in_a_filesystem_at_work),
	CASE(recognises_fast_commits),
};

const struct test_suite suite_format_journal = { "format/journal", cases, array_size(cases) };

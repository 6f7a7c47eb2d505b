// SPDX-License-Identifier: Apache-2.0
/*
 * Damaged and hostile journals: each kind of damage is told as what it is, and ends the log before
 * the transaction that it is in; every byte is flipped once.
 */
#include "suites.h"

#include "format/ext4/ext4_journal.h"
#include "journal_image.h"

#define OPTIONS "-t ext4 -b 1024 -J size=1"

/* ---- problems ---- */

static int on_problem(const struct ext4_journal_problem *problem, void *ctx)
{
	*(struct ext4_journal_problem *)ctx = *problem;
	return 9;
}

/* The first problem; the journal has `nr_transactions` good ones. */
static struct ext4_journal_problem check_damage(const struct journal_image *ji,
						enum ext4_journal_kind kind,
						uint32_t nr_transactions, uint32_t block)
{
	struct ext4_journal_problem problem = { .physical = 0 };
	struct ext4_journal_info info;

	ext4_journal_get_info(ji->j, &info);
	CU_ASSERT_EQUAL(info.nr_transactions, nr_transactions);
	CU_ASSERT_EQUAL(info.end_sequence, info.start_sequence + nr_transactions);
	CU_ASSERT_EQUAL(info.nr_problems, 1);
	CU_ASSERT_EQUAL(ext4_journal_each_problem(ji->j, on_problem, &problem), 9);
	CU_ASSERT_EQUAL(problem.kind, kind);
	CU_ASSERT_EQUAL(problem.journal_block, block);
	CU_ASSERT_EQUAL(problem.physical, journal_off(ji, block));
	CU_ASSERT_EQUAL(problem.sequence, block ? info.end_sequence : 0);
	return problem;
}

static void tells_each_kind_of_damage_and_where_it_is(void)
{
	static const struct {
		uint32_t block, byte;
		enum ext4_journal_kind kind;
		uint32_t nr_transactions;
		uint64_t fs_block;
	} rows[] = {
		{ 0, 0x1f, EXT4_JOURNAL_SUPER_CHECKSUM, 0, 0 }, /* where the log begins */
		{ 0, 0x2b, EXT4_JOURNAL_SUPER_CHECKSUM, 0, 0 }, /* a feature */
		{ 8, 0x10, EXT4_JOURNAL_DESCRIPTOR_CHECKSUM, 1, 0 },
		{ 8, 0x00, EXT4_JOURNAL_DESCRIPTOR_CHECKSUM, 1, 0 }, /* its head */
		{ 10, 500, EXT4_JOURNAL_DATA_CHECKSUM, 1, 6000 },
		{ 12, 0x10, EXT4_JOURNAL_REVOKE_CHECKSUM, 1, 0 },
		{ 12, 0x07, EXT4_JOURNAL_REVOKE_CHECKSUM, 1, 0 },
		{ 13, 0x30, EXT4_JOURNAL_COMMIT_CHECKSUM, 1, 0 },
		{ 13, 0x0b, EXT4_JOURNAL_COMMIT_CHECKSUM, 1, 0 },
		{ 20, 0x02, EXT4_JOURNAL_COMMIT_CHECKSUM, 3, 0 }, /* of the last one */
	};
	static const char *const versions[] = { "-c -v 2", "-c -v 3" };
	struct journal_image ji;

	for (size_t i = 0; i < array_size(rows) * 2; i++) {
		size_t row = i / 2;
		if (!journal_make(&ji, OPTIONS, versions[i % 2]))
			return;
		image_flip(&ji.image, journal_off(&ji, rows[row].block) + rows[row].byte);
		journal_open(&ji);
		struct ext4_journal_problem problem = check_damage(
			&ji, rows[row].kind, rows[row].nr_transactions, rows[row].block);
		CU_ASSERT_EQUAL(problem.fs_block, rows[row].fs_block);
		journal_close(&ji);
	}
}

static void notices_a_commit_that_was_wiped_out_before_another_transaction(void)
{
	struct journal_image ji;

	if (!journal_make(&ji, OPTIONS, "-c -v 3"))
		return;
	journal_wipe(&ji, SCRIPT_SECOND_COMMIT);
	journal_open(&ji);
	check_damage(&ji, EXT4_JOURNAL_COMMIT_CHECKSUM, 1, SCRIPT_SECOND_COMMIT);
	journal_close(&ji);
}

/* A block that cannot be read, and everything else as it is. */
struct bad_source {
	struct source *base;
	uint64_t bad, len;
};

static int bad_read(struct source *src, uint64_t off, void *buf, uint64_t len, uint64_t *ret_n)
{
	const struct bad_source *bad = src->ctx;

	if (off < bad->bad + bad->len && off + len > bad->bad)
		return -EIO;
	return source_read(bad->base, off, buf, len, ret_n);
}

static int bad_size(struct source *src, uint64_t *ret_size)
{
	const struct bad_source *bad = src->ctx;

	return source_size(bad->base, ret_size);
}

static void bad_close(struct source *src)
{
	(void)src;
}

static const struct source_ops bad_ops = { .read = bad_read, .size = bad_size, .close = bad_close };

static void tells_a_block_that_cannot_be_read(void)
{
	static const struct {
		uint32_t block;
		uint64_t fs_block;
	} rows[] = { { 10, 6000 }, { 8, 0 }, { 12, 0 } };
	struct bad_source bad;
	struct journal_image ji;
	struct source src;

	if (!journal_make(&ji, OPTIONS, "-c -v 3"))
		return;
	CU_ASSERT_EQUAL_FATAL(source_open_file(&ji.image.src, AT_FDCWD, ji.image.path), 0);
	for (size_t i = 0; i < array_size(rows); i++) {
		bad = (struct bad_source){ &ji.image.src, journal_off(&ji, rows[i].block), 1024 };
		src = (struct source){ .ops = &bad_ops, .fd = -1, .ctx = &bad };
		CU_ASSERT_EQUAL_FATAL(ext4_open(&src, &ji.image.fs), 0);
		CU_ASSERT_EQUAL_FATAL(ext4_journal_open(ji.image.fs, &ji.j), 0);
		struct ext4_journal_problem problem =
			check_damage(&ji, EXT4_JOURNAL_UNREADABLE, 1, rows[i].block);
		CU_ASSERT_EQUAL(problem.fs_block, rows[i].fs_block);
		ext4_journal_close(take(ji.j));
		ext4_close(take(ji.image.fs));
	}
	journal_close(&ji);
}

/* ---- hostile numbers, in a journal without checksums ---- */

static void set_be32(const struct journal_image *ji, uint32_t block, uint32_t off, uint32_t value)
{
	uint8_t bytes[4];

	store_be32(bytes, value);
	image_write(&ji->image, journal_off(ji, block) + off, bytes, sizeof(bytes));
}

static void refuses_a_superblock_that_is_nonsense(void)
{
	static const struct {
		uint32_t off, value;
		int error;
	} rows[] = {
		{ 0x00, 0xc03b3999, -EBADMSG },	  /* magic */
		{ 0x04, 2, -EBADMSG },		  /* type */
		{ 0x0c, 4096, -EBADMSG },	  /* size of a block */
		{ 0x10, 1025, -EBADMSG },	  /* longer than its file */
		{ 0x10, UINT32_MAX, -EBADMSG },	  /* longer than the filesystem */
		{ 0x10, 0, -EBADMSG },		  /* empty */
		{ 0x14, 0, -EBADMSG },		  /* the log begins with the superblock */
		{ 0x14, 1024, -EBADMSG },	  /* or behind the end */
		{ 0x14, 2, -EBADMSG },		  /* or behind where it starts */
		{ 0x1c, 1024, -EBADMSG },	  /* starts behind the end */
		{ 0x1c, UINT32_MAX, -EBADMSG },	  /* far behind */
		{ 0x28, 0x40, -EPROTONOSUPPORT }, /* features */
		{ 0x28, 0x80000000, -EPROTONOSUPPORT },
		{ 0x2c, 1, -EPROTONOSUPPORT },
	};
	struct journal_image ji;

	if (!journal_make(&ji, OPTIONS, ""))
		return;
	uint8_t *super = image_read(&ji.image, ji.at, 1024);
	for (size_t i = 0; i < array_size(rows); i++) {
		set_be32(&ji, 0, rows[i].off, rows[i].value);
		image_open(&ji.image);
		CU_ASSERT_EQUAL(ext4_journal_open(ji.image.fs, &ji.j), rows[i].error);
		CU_ASSERT_PTR_NULL(ji.j);
		ext4_close(take(ji.image.fs));
		source_close(&ji.image.src);
		image_write(&ji.image, ji.at, super, 1024);
	}
	free(super);
	journal_open(&ji);
	check_served(&ji, SCRIPT_SERVED);
	journal_close(&ji);
}

static void refuses_checksums_of_a_kind_that_is_not_known(void)
{
	struct journal_image ji;

	if (!journal_make(&ji, OPTIONS, "-c -v 3"))
		return;
	uint8_t *super = image_read(&ji.image, ji.at, 1024);
	super[0x50] = 1;
	super_fix(super);
	image_write(&ji.image, ji.at, super, 1024);
	free(super);
	image_open(&ji.image);
	CU_ASSERT_EQUAL(ext4_journal_open(ji.image.fs, &ji.j), -EPROTONOSUPPORT);
	journal_close(&ji);
}

static void refuses_tags_that_point_outside_or_into_the_journal(void)
{
	static const uint32_t high[] = { 0, 0, 1, UINT32_MAX };
	struct ext4_journal_problem problem;
	struct journal_image ji;

	for (size_t i = 0; i < array_size(high); i++) {
		if (!journal_make(&ji, OPTIONS, ""))
			return;
		uint32_t low = i == 0 ? 16384 : i == 1 ? (uint32_t)(ji.at / 1024) + 3 : 5002;
		/* The first tag: block, checksum and flags, upper half of the block. */
		set_be32(&ji, SCRIPT_SECOND, 0x0c, low);
		set_be32(&ji, SCRIPT_SECOND, 0x14, high[i]);
		journal_open(&ji);
		problem = check_damage(&ji, EXT4_JOURNAL_STRUCTURE, 1, SCRIPT_SECOND + 1);
		CU_ASSERT_EQUAL(problem.fs_block, (uint64_t)high[i] << 32 | low);
		journal_close(&ji);
	}
}

static void refuses_revocations_that_leave_their_block(void)
{
	static const uint32_t counts[] = { 0, 15, 1025, UINT32_MAX };
	struct journal_image ji;

	if (!journal_make(&ji, OPTIONS, ""))
		return;
	for (size_t i = 0; i < array_size(counts); i++) {
		set_be32(&ji, SCRIPT_REVOCATION, 0x0c, counts[i]);
		journal_open(&ji);
		check_damage(&ji, EXT4_JOURNAL_STRUCTURE, 1, SCRIPT_REVOCATION);
		ext4_journal_close(take(ji.j));
		ext4_close(take(ji.image.fs));
		source_close(&ji.image.src);
	}
	journal_open(&ji);
	journal_close(&ji);
}

/* Every block of it a descriptor without an end, of the same sequence: 84 tags each, no commit. */
static void ends_a_log_that_goes_round_in_circles(void)
{
	struct ext4_journal_info info;
	struct journal_image ji;
	uint8_t block[1024];

	if (!journal_make(&ji, OPTIONS, ""))
		return;
	memset(block, 0, sizeof(block));
	store_be32(block, 0xc03b3998);
	store_be32(block + 4, 1);
	store_be32(block + 8, 1);
	for (uint32_t at = 12; at + 12 <= 1024; at += 12) {
		store_be32(block + at, 6000);
		store_be32(block + at + 4, 2);
	}
	for (uint32_t i = 1; i < 1024; i++)
		image_write(&ji.image, journal_off(&ji, i), block, sizeof(block));
	journal_open(&ji);
	ext4_journal_get_info(ji.j, &info);
	CU_ASSERT_EQUAL(info.nr_transactions + info.nr_blocks + info.nr_problems, 0);
	journal_close(&ji);
}

/* ---- every byte ---- */

struct flips {
	unsigned nr_refused, nr_told, nr_quiet;
	uint64_t quiet; /* the last one */
};

/* Opens the journal with each byte of some blocks changed, in memory. */
static struct flips flip_all(struct journal_image *ji, uint8_t mask)
{
	static const uint32_t blocks[] = { 0, 1, 7, 8, 12, 13, 14, 19, 20 };
	struct ext4_journal_info info;
	struct flips flips = { 0 };
	struct ext4 *fs;
	struct source src;
	uint8_t *bytes = image_read(&ji->image, 0, UINT64_C(16) << 20);

	source_init_memory(&src, span_of(bytes, UINT64_C(16) << 20));
	CU_ASSERT_EQUAL_FATAL(ext4_open(&src, &fs), 0);
	for (uint64_t i = 0; i < array_size(blocks) * 1024; i++) {
		uint64_t at = journal_off(ji, blocks[i / 1024]) + i % 1024;
		bytes[at] ^= mask;
		int r = ext4_journal_open(fs, &ji->j);
		CU_ASSERT_TRUE(r == 0 || r == -EBADMSG || r == -EPROTONOSUPPORT);
		if (r == 0) {
			ext4_journal_get_info(ji->j, &info);
			flips.nr_told += info.nr_problems > 0;
			flips.nr_quiet += info.nr_problems == 0;
			if (info.nr_problems == 0)
				flips.quiet = i;
		}
		flips.nr_refused += r != 0;
		ext4_journal_close(take(ji->j));
		bytes[at] ^= mask;
	}
	ext4_close(fs);
	source_close(&src);
	free(bytes);
	CU_ASSERT_EQUAL(room_remove(ji->image.dir), 0);
	return flips;
}

static void notices_every_byte_with_checksums(void)
{
	static const char *const versions[] = { "-c -v 2", "-c -v 3" };
	static const uint8_t masks[] = { 0x01, 0x10, 0xff };
	struct journal_image ji;

	for (size_t i = 0; i < array_size(versions) * array_size(masks); i++) {
		if (!journal_make(&ji, OPTIONS, versions[i % 2]))
			return;
		struct flips flips = flip_all(&ji, masks[i / 2]);
		CU_ASSERT_EQUAL(flips.nr_quiet, 0);
		CU_ASSERT_TRUE(flips.nr_refused < 50 && flips.nr_told > 8 * 1024);
		if (flips.nr_quiet)
			printf("# %u quiet, the last at %" PRIu64 " of block %" PRIu64 "\n",
			       flips.nr_quiet, flips.quiet % 1024, flips.quiet / 1024);
	}
}

static void survives_every_byte_without_checksums(void)
{
	struct journal_image ji;

	if (!journal_make(&ji, OPTIONS, ""))
		return;
	struct flips flips = flip_all(&ji, 0xff);
	CU_ASSERT_TRUE(flips.nr_refused > 20 && flips.nr_quiet > 8 * 1024);
}

static const struct test_case cases[] = {
	CASE(tells_each_kind_of_damage_and_where_it_is),
	CASE(notices_a_commit_that_was_wiped_out_before_another_transaction),
	CASE(tells_a_block_that_cannot_be_read),
	CASE(refuses_a_superblock_that_is_nonsense),
	CASE(refuses_checksums_of_a_kind_that_is_not_known),
	CASE(refuses_tags_that_point_outside_or_into_the_journal),
	CASE(refuses_revocations_that_leave_their_block),
	CASE(ends_a_log_that_goes_round_in_circles),
	CASE(notices_every_byte_with_checksums),
	CASE(survives_every_byte_without_checksums),
};

const struct test_suite suite_format_journal_damage = { "format/journal_damage", cases,
							array_size(cases) };

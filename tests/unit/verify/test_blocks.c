// SPDX-License-Identifier: Apache-2.0
/*
 * Blocks: messages read off an image of a filesystem. Good ones are good, a wrong bit and a bad
 * sector are the suspicion of the message that holds it and of no other, what is not certain falls
 * back, and whatever the device does each message is settled.
 */
#include "suites.h"

#include "blocks_room.h"

static struct stage stage;
static struct stage *const t = &stage;

/* All of it was read in blocks and found good, and the planted fault was noticed. */
static void check_all_good(void)
{
	stage_take_suspicions(t);
	CU_ASSERT_EQUAL(t->nr_suspected, 0);
	CU_ASSERT_EQUAL(t->nr_canaries, 1);
	CU_ASSERT_EQUAL(t->nr_fallbacks, 0);
	CU_ASSERT_EQUAL(t->unread, 0);
	CU_ASSERT_EQUAL(stage_gaps(t), 0);
	CU_ASSERT_EQUAL(stage_judged(t), t->nr);
}

static void finish(void)
{
	stage_close(t);
	stage_remove(t);
}

/* ---- good messages ---- */

static void judges_good_messages_good(void)
{
	static const struct {
		enum ring_engine engine;
		uint32_t window;
		uint64_t seed;
	} ways[] = {
		{ RING_ENGINE_AUTO, MESSAGES_MAX, 0 },
		{ RING_ENGINE_PREAD, MESSAGES_MAX, 1234567 },
		{ RING_ENGINE_AUTO, 7, UINT64_MAX },
	};
	struct blocks_report report;
	struct tally_totals totals;
	uint64_t bytes = 0;

	if (!stage_make(t, 100, 333, "-b 4096"))
		return;
	for (uint32_t i = 0; i < t->nr; i++)
		bytes += t->letters[i].witness.size;
	for (size_t i = 0; i < array_size(ways); i++) {
		t->options.engine = ways[i].engine;
		t->options.window = ways[i].window;
		t->options.origin_seed = ways[i].seed;
		t->nr_canaries = 0;
		stage_open(t);
		CU_ASSERT_EQUAL(stage_read(t), 0);
		check_all_good();
		tally_get_totals(t->tally, &totals);
		CU_ASSERT_EQUAL(totals.messages, t->nr);
		CU_ASSERT_EQUAL(totals.bytes, bytes);
		blocks_get_report(t->blocks, &report);
		CU_ASSERT_EQUAL(report.messages, t->nr);
		CU_ASSERT_EQUAL(report.bytes, bytes);
		CU_ASSERT_TRUE(report.bytes_read >= bytes && report.reads > 0);
		CU_ASSERT_EQUAL(report.bad_sectors + report.retried + report.fallbacks, 0);
		CU_ASSERT_TRUE(blocks_distance(t->blocks) > 0);
		CU_ASSERT_EQUAL(blocks_collected(t->blocks), 0);
		CU_ASSERT_PTR_NOT_NULL(blocks_volume(t->blocks));
		stage_close(t);
	}
	stage_remove(t);
}

static void reads_filesystems_of_other_geometries(void)
{
	static const char *const options[] = {
		"-b 1024",
		"-b 4096 -O bigalloc -C 16384",
		"-b 1024 -O ^extent,^64bit,^has_journal",
		"-O ^metadata_csum,^64bit -I 128",
	};

	for (size_t i = 0; i < array_size(options); i++) {
		if (!stage_make(t, 60, 1500, options[i]))
			return;
		stage_open(t);
		CU_ASSERT_EQUAL(stage_read(t), 0);
		check_all_good();
		finish();
	}
}

/* Longer than a read, with holes, without blocks, not written, in pieces. */
static void reads_messages_that_do_not_lie_in_one_piece(void)
{
	stage_make_store(t, 20, 100);
	(void)stage_write_letter(t, 900, 1700 * 1000, 0, 1);
	(void)stage_write_letter(t, 901, 8192, 12288, 10);
	struct letter *hollow = stage_write_letter(t, 902, 0, 10000, 1);
	struct letter *unwritten = stage_write_letter(t, 903, 8192, 40960, 2);
	struct letter *scattered = stage_write_letter(t, 904, 30 * 4096 - 5, 0, 1);
	for (uint32_t uid = 1000; uid < 1080; uid++) /* what makes holes between them */
		(void)stage_write_letter(t, uid, 4096, 0, 1);
	if (!stage_make_image(t, "-b 4096"))
		return;
	/* Every second one goes, and what is written anew has to take the place of these. */
	t->nr -= 80;
	for (uint32_t i = 0; i < 80; i += 2)
		stage_change(t, "rm %s\n", letter_inside(t, &t->letters[t->nr + i]));
	stage_change(t, "rm %s\nwrite %s %s\nfallocate %s 3 9\n", letter_inside(t, scattered),
		     scattered->path, letter_inside(t, scattered), letter_inside(t, unwritten));
	stage_age(t);
	stage_find_letters(t);
	CU_ASSERT_TRUE(scattered->nr_extents > 5);
	CU_ASSERT_TRUE(unwritten->has_unwritten);
	CU_ASSERT_EQUAL(hollow->nr_extents, 0);
	stage_open(t);
	CU_ASSERT_EQUAL(stage_read(t), 0);
	stage_take_suspicions(t);
	CU_ASSERT_EQUAL(t->nr_suspected, 0);
	CU_ASSERT_EQUAL(t->nr_canaries, 1);
	CU_ASSERT_EQUAL(t->nr_fallbacks, 1);
	CU_ASSERT_TRUE(hollow->fell_back);
	CU_ASSERT_EQUAL(stage_judged(t), t->nr - 1);
	finish();
}

/* ---- what is wrong ---- */

static void a_flipped_bit_is_the_suspicion_of_its_message(void)
{
	struct letter changed;

	if (!stage_make(t, 50, 700, "-b 4096"))
		return;
	const struct letter *letter = &t->letters[30];
	stage_flip(t, letter->at + letter->witness.size - 1);
	CU_ASSERT_EQUAL(mkstore_flip_bit(letter->path, letter->witness.size - 1, 0), 0);
	changed = *letter;
	letter_look(&changed);
	stage_open(t);
	CU_ASSERT_EQUAL(stage_read(t), 0);
	stage_take_suspicions(t);
	CU_ASSERT_EQUAL_FATAL(t->nr_suspected, 1);
	const struct suspected *s = &t->suspected[0];
	CU_ASSERT_EQUAL(s->witness.uid, letter->witness.uid);
	CU_ASSERT_EQUAL(s->first.code, FINDING_MESSAGE_DIGEST);
	CU_ASSERT_EQUAL(memcmp(s->seen.digest, changed.witness.guid, SHA1_LEN), 0);
	CU_ASSERT_EQUAL(s->seen.identity.dev, TEST_DEV);
	CU_ASSERT_EQUAL(s->seen.identity.ino, letter->ino);
	CU_ASSERT_EQUAL(s->seen.identity.size, letter->witness.size);
	CU_ASSERT_EQUAL(s->seen.identity.ctime_ns / NS_PER_S, LONG_AGO);
	CU_ASSERT_TRUE(s->seen.identity.mtime_ns > 0 && s->seen.direct && s->seen.mapping);
	CU_ASSERT_EQUAL(t->nr_canaries, 1);
	CU_ASSERT_EQUAL(stage_judged(t), t->nr);
	finish();
}

static void what_lies_behind_a_message_in_its_block_does_not_matter(void)
{
	if (!stage_make(t, 10, 7, "-b 4096"))
		return;
	stage_flip(t, t->letters[3].at + t->letters[3].witness.size);
	stage_open(t);
	CU_ASSERT_EQUAL(stage_read(t), 0);
	check_all_good();
	finish();
}

static void a_bad_sector_is_the_suspicion_of_its_message_and_no_other(void)
{
	for (unsigned i = 0; i < 2; i++) {
		if (!stage_make(t, 50, 100, "-b 4096"))
			return;
		const struct letter *letter = &t->letters[20];
		struct fault_rule rule = {
			.kind = FAULT_ERROR,
			.off = letter->at,
			.len = 1,
			.error = -EILSEQ,
		};
		fault_add(&t->fault, &rule);
		t->options.engine = i ? RING_ENGINE_PREAD : RING_ENGINE_AUTO;
		stage_open(t);
		CU_ASSERT_EQUAL(stage_read(t), 0);
		stage_take_suspicions(t);
		CU_ASSERT_EQUAL_FATAL(t->nr_suspected, 1);
		const struct suspected *s = &t->suspected[0];
		CU_ASSERT_EQUAL(s->witness.uid, letter->witness.uid);
		CU_ASSERT_EQUAL(s->first.code, FINDING_MESSAGE_UNREADABLE);
		CU_ASSERT_EQUAL(s->seen.error, -EILSEQ);
		CU_ASSERT_FALSE(s->seen.digested);
		CU_ASSERT_EQUAL(s->seen.identity.ino, letter->ino);
		CU_ASSERT_EQUAL(stage_judged(t), t->nr - 1);
		finish();
	}
}

static void one_inode_may_be_named_by_many_records(void)
{
	if (!stage_make(t, 10, 100, "-b 4096"))
		return;
	t->letters[4].ino = t->letters[3].ino; /* of another size: as a file */
	struct letter *again = &t->letters[t->nr++];
	*again = t->letters[3];
	again->witness.uid = 500;
	stage_open(t);
	CU_ASSERT_EQUAL(stage_read(t), 0);
	stage_take_suspicions(t);
	CU_ASSERT_EQUAL(t->nr_suspected, 0);
	CU_ASSERT_EQUAL(t->nr_fallbacks, 1);
	CU_ASSERT_TRUE(t->letters[4].fell_back);
	CU_ASSERT_EQUAL(stage_judged(t), t->nr - 1);
	finish();
}

/* ---- the planted fault ---- */

static void the_planted_fault_is_beside_a_good_message(void)
{
	if (!stage_make(t, 30, 100, "-b 4096"))
		return;
	for (uint32_t i = 0; i < t->nr; i++) /* all but one are bad */
		if (i != 17)
			stage_flip(t, t->letters[i].at);
	/* It is found where there is one among the eight, in a window of its own. */
	t->options.window = 4;
	stage_open(t);
	CU_ASSERT_EQUAL(stage_read(t), 0);
	stage_take_suspicions(t);
	CU_ASSERT_EQUAL(t->nr_suspected, 29);
	CU_ASSERT_EQUAL(t->nr_canaries, 1);
	CU_ASSERT_TRUE(tally_has_planted_canary(t->tally));
	finish();
}

static void without_a_good_message_there_is_no_planted_fault(void)
{
	if (!stage_make(t, 5, 100, "-b 4096"))
		return;
	for (uint32_t i = 0; i < t->nr; i++)
		stage_flip(t, t->letters[i].at);
	stage_open(t);
	CU_ASSERT_EQUAL(stage_read(t), 0);
	stage_take_suspicions(t);
	CU_ASSERT_EQUAL(t->nr_suspected, 5);
	CU_ASSERT_EQUAL(t->nr_canaries, 0);
	CU_ASSERT_FALSE(tally_has_planted_canary(t->tally));
	finish();
}

/* ---- what falls back ---- */

static void what_is_not_certain_is_read_as_a_file(void)
{
	struct ext4_info info;

	if (!stage_make(t, 12, 100, "-b 4096"))
		return;
	struct volume *volume = stage_open_volume(t);
	ext4_get_info(volume->fs, &info);
	volume_close(volume);
	t->letters[1].witness.size++;
	t->letters[2].witness.size--;
	t->letters[3].witness.size = 0;
	t->letters[4].ino = EXT4_ROOT_INO;	/* a folder */
	t->letters[5].ino = info.nr_inodes;	/* not in use */
	t->letters[6].ino = info.nr_inodes + 1; /* there is none */
	t->letters[7].ino = UINT32_MAX;
	stage_open(t);
	CU_ASSERT_EQUAL(stage_read(t), 0);
	stage_take_suspicions(t);
	CU_ASSERT_EQUAL(t->nr_suspected, 0);
	CU_ASSERT_EQUAL(t->nr_fallbacks, 7);
	for (uint32_t i = 0; i < t->nr; i++)
		CU_ASSERT_EQUAL(t->letters[i].fell_back, i >= 1 && i <= 7);
	CU_ASSERT_EQUAL(stage_judged(t), t->nr - 7);
	CU_ASSERT_EQUAL(stage_gaps(t), 0); /* whoever reads them will say */
	finish();
}

static void what_was_changed_just_now_is_read_as_a_file(void)
{
	if (!stage_make(t, 5, 100, "-b 4096"))
		return;
	/* A minute ahead: a slow machine may take so long until it is read. */
	stage_change(t, "sif %s ctime @%lld\nsif %s ctime @%lld\n",
		     letter_inside(t, &t->letters[2]), (long long)(clock_wall_ns() / NS_PER_S + 60),
		     letter_inside(t, &t->letters[3]),
		     (long long)(clock_wall_ns() / NS_PER_S + 86400));
	stage_open(t);
	CU_ASSERT_EQUAL(stage_read(t), 0);
	CU_ASSERT_EQUAL(t->nr_fallbacks, 2);
	CU_ASSERT_TRUE(t->letters[2].fell_back && t->letters[3].fell_back);
	CU_ASSERT_EQUAL(stage_judged(t), 3);
	finish();
}

static void content_inside_an_inode_is_read_as_a_file(void)
{
	stage_make_store(t, 5, 100);
	struct letter *small = stage_write_letter(t, 900, 50, 0, 1);
	if (!stage_make_image(t, "-b 4096 -O inline_data -I 256"))
		return;
	stage_age(t);
	stage_find_letters(t);
	CU_ASSERT_EQUAL(small->at, 0);
	stage_open(t);
	CU_ASSERT_EQUAL(stage_read(t), 0);
	stage_take_suspicions(t);
	CU_ASSERT_EQUAL(t->nr_suspected, 0);
	CU_ASSERT_EQUAL(t->nr_fallbacks, 1);
	CU_ASSERT_TRUE(small->fell_back);
	CU_ASSERT_EQUAL(stage_judged(t), 5);
	finish();
}

static void a_damaged_inode_is_read_as_a_file(void)
{
	if (!stage_make(t, 40, 10, "-b 4096"))
		return;
	/* What libext2fs holds of it is another thing than what the kernel may hold. */
	stage_change(t, "sif %s checksum 0x1\n", letter_inside(t, &t->letters[7]));
	stage_open(t);
	CU_ASSERT_EQUAL(stage_read(t), 0);
	stage_take_suspicions(t);
	CU_ASSERT_EQUAL(t->nr_suspected, 0);
	CU_ASSERT_EQUAL(stage_judged(t) + t->nr_fallbacks, t->nr);
	finish();
}

static void when_a_fallback_fails_the_rest_are_gaps(void)
{
	if (!stage_make(t, 6, 100, "-b 4096"))
		return;
	for (uint32_t i = 0; i < 4; i++)
		t->letters[i].witness.size++;
	t->fallback_result = -ENOMEM;
	stage_open(t);
	CU_ASSERT_EQUAL(stage_read(t), -ENOMEM);
	CU_ASSERT_EQUAL(t->nr_fallbacks, 1);
	CU_ASSERT_EQUAL(stage_gaps(t), 4);
	finish();
}

static void when_it_cannot_sync_everything_is_read_as_a_file(void)
{
	if (!stage_make(t, 6, 100, "-b 4096"))
		return;
	(void)close(t->dirfd);
	t->dirfd = -1;
	stage_open(t);
	CU_ASSERT_EQUAL(stage_read(t), 0);
	CU_ASSERT_EQUAL(t->nr_fallbacks, 6);
	CU_ASSERT_EQUAL(stage_judged(t), 0);
	finish();
}

/* ---- what an earlier run has verified ---- */

static void what_was_verified_before_is_carried_over(void)
{
	struct tally_totals totals;

	if (!stage_make(t, 20, 5000, "-b 4096"))
		return;
	/* The origin is 0: so far from it did the earlier run come. */
	t->carry = (struct blocks_carry){ t->letters[10].at, (LONG_AGO + 10) * NS_PER_S };
	uint64_t before = 0;
	for (uint32_t i = 0; i < t->nr; i++)
		before += t->letters[i].at < t->letters[10].at;
	CU_ASSERT_TRUE(before > 0 && before < t->nr);
	stage_open(t);
	CU_ASSERT_EQUAL(stage_read(t), 0);
	tally_get_totals(t->tally, &totals);
	CU_ASSERT_EQUAL(totals.carried, before);
	CU_ASSERT_EQUAL(totals.messages, t->nr - before);
	CU_ASSERT_EQUAL(t->nr_fallbacks, 0);
	stage_close(t);
	t->carry.since_ns = (LONG_AGO - 10) * NS_PER_S; /* changed since */
	t->nr_canaries = 0;
	stage_open(t);
	CU_ASSERT_EQUAL(stage_read(t), 0);
	check_all_good();
	finish();
}

/* ---- devices that fail ---- */

/* So that what a hanging device leaves behind is no leak. */
extern void __lsan_disable(void) __attribute__((weak));
extern void __lsan_enable(void) __attribute__((weak));

static void a_device_that_hangs_leaves_gaps(void)
{
	for (unsigned i = 0; i < 2; i++) {
		if (!stage_make(t, 50, 20000, "-b 4096"))
			return;
		struct fault_rule rule = { .kind = FAULT_HANG, .off = t->letters[40].at, .len = 1 };
		fault_add(&t->fault, &rule);
		t->options.timeout_ns = 100 * NS_PER_MS;
		t->options.engine = i ? RING_ENGINE_PREAD : RING_ENGINE_AUTO;
		if (__lsan_disable)
			__lsan_disable();
		stage_open(t);
		CU_ASSERT_EQUAL(stage_read(t), -ETIMEDOUT);
		if (__lsan_enable)
			__lsan_enable();
		stage_take_suspicions(t);
		CU_ASSERT_EQUAL(t->nr_suspected, 0);
		CU_ASSERT_TRUE(t->unread > 0);
		CU_ASSERT_EQUAL(stage_judged(t) + t->unread, t->nr);
		CU_ASSERT_TRUE(stage_gaps(t) >= t->unread);
		finish();
	}
}

static void a_device_that_has_gone_leaves_gaps(void)
{
	if (!stage_make(t, 50, 20000, "-b 4096"))
		return;
	struct fault_rule rule = {
		.kind = FAULT_ERROR,
		.off = t->letters[20].at,
		.len = UINT64_MAX,
		.error = -ENODEV,
	};
	fault_add(&t->fault, &rule);
	stage_open(t);
	CU_ASSERT_EQUAL(stage_read(t), -ENODEV);
	stage_take_suspicions(t);
	CU_ASSERT_EQUAL(t->nr_suspected, 0);
	CU_ASSERT_TRUE(t->unread >= 20);
	CU_ASSERT_EQUAL(stage_judged(t) + t->unread, t->nr);
	/* However often it is asked, it has gone and nothing else is said of it. */
	for (unsigned i = 0; i < 10; i++)
		CU_ASSERT_EQUAL(stage_read(t), -ENODEV);
	finish();
}

static void a_device_that_answers_nothing_but_errors_has_gone(void)
{
	if (!stage_make(t, 50, 20000, "-b 4096"))
		return;
	struct fault_rule rule = { .kind = FAULT_ERROR, .len = UINT64_MAX, .error = -EIO };
	fault_add(&t->fault, &rule);
	stage_open(t);
	CU_ASSERT_EQUAL(stage_read(t), -ENODEV);
	stage_take_suspicions(t);
	CU_ASSERT_EQUAL(t->nr_suspected, 0); /* not one finding for each message */
	CU_ASSERT_EQUAL(t->unread, t->nr);
	finish();
}

static void is_stopped(void)
{
	if (!stage_make(t, 50, 1000, "-b 4096"))
		return;
	t->stop = 1;
	stage_open(t);
	CU_ASSERT_EQUAL(stage_read(t), BLOCKS_STOPPED);
	CU_ASSERT_EQUAL(t->unread, t->nr);
	CU_ASSERT_EQUAL(stage_judged(t), 0);
	t->stop = 0; /* and is as good as before */
	t->unread = 0;
	CU_ASSERT_EQUAL(stage_read(t), 0);
	CU_ASSERT_EQUAL(stage_judged(t), t->nr);
	CU_ASSERT_EQUAL(t->unread, 0);
	finish();
}

static void what_was_collected_and_never_read_is_a_gap(void)
{
	if (!stage_make(t, 3, 100, "-b 4096"))
		return;
	t->options.window = 2;
	stage_open(t);
	for (uint32_t i = 0; i < t->nr; i++) {
		const struct letter *letter = &t->letters[i];
		CU_ASSERT_EQUAL(blocks_offer(t->blocks, t->mailbox, &letter->witness, letter->ino,
					     false),
				i < 2);
	}
	CU_ASSERT_EQUAL(blocks_collected(t->blocks), 2);
	struct mailbox *mailbox = mailbox_ref(t->mailbox);
	stage_close(t);
	CU_ASSERT_EQUAL(atomic_load(&mailbox->gaps), 2);
	mailbox_unref(mailbox);
	stage_remove(t);
	blocks_free(NULL);
}

static const struct test_case cases[] = {
	CASE(judges_good_messages_good),
	CASE(reads_filesystems_of_other_geometries),
	CASE(reads_messages_that_do_not_lie_in_one_piece),
	CASE(a_flipped_bit_is_the_suspicion_of_its_message),
	CASE(what_lies_behind_a_message_in_its_block_does_not_matter),
	CASE(a_bad_sector_is_the_suspicion_of_its_message_and_no_other),
	CASE(one_inode_may_be_named_by_many_records),
	CASE(the_planted_fault_is_beside_a_good_message),
	CASE(without_a_good_message_there_is_no_planted_fault),
	CASE(what_is_not_certain_is_read_as_a_file),
	CASE(what_was_changed_just_now_is_read_as_a_file),
	CASE(content_inside_an_inode_is_read_as_a_file),
	CASE(a_damaged_inode_is_read_as_a_file),
	CASE(when_a_fallback_fails_the_rest_are_gaps),
	CASE(when_it_cannot_sync_everything_is_read_as_a_file),
	CASE(what_was_verified_before_is_carried_over),
	CASE(a_device_that_hangs_leaves_gaps),
	CASE(a_device_that_has_gone_leaves_gaps),
	CASE(a_device_that_answers_nothing_but_errors_has_gone),
	CASE(is_stopped),
	CASE(what_was_collected_and_never_read_is_a_gap),
};

const struct test_suite suite_verify_blocks = { "verify/blocks", cases, array_size(cases) };

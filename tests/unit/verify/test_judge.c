// SPDX-License-Identifier: Apache-2.0
/*
 * Judge: every row of its two tables, each row by itself and in its rank. Where two rows apply the
 * first one wins, and nothing but a right digest is ever ok.
 */
#include "suites.h"

#include <CUnit/CUnit.h>
#include <errno.h>
#include <string.h>

#include "verify/judge.h"

enum { SIZE = 1000, NO_CODE = FINDING_CODE_COUNT_ };

static const uint8_t right[SHA1_LEN] = { 0xde, 0xad, 0xbe, 0xef };

static struct witness witness_of(bool has_guid)
{
	struct witness witness = { .uid = 3, .size = SIZE };

	if (has_guid)
		memcpy(witness.guid, right, sizeof(right));
	return witness;
}

/* What a good look sees. */
static struct observation good_look(void)
{
	struct observation seen = {
		.direct = true,
		.digested = true,
		.identity = { .dev = 1,
			      .ino = 77,
			      .size = SIZE,
			      .mtime_ns = 5,
			      .ctime_ns = 6,
			      .nlink = 1,
			      .mode = 0100600 },
	};

	memcpy(seen.digest, right, sizeof(right));
	return seen;
}

static void check(struct judgement got, enum assay_verdict verdict, int code)
{
	CU_ASSERT_EQUAL(got.verdict, verdict);
	if (verdict != ASSAY_OK && verdict != ASSAY_UNKNOWN && verdict != ASSAY_IN_FLIGHT)
		CU_ASSERT_EQUAL((int)got.code, code);
}

static void calls_a_message_ok_only_when_size_and_digest_agree(void)
{
	struct witness witness = witness_of(true);
	struct observation seen = good_look();

	check(judge_message(&witness, &seen), ASSAY_OK, NO_CODE);
	seen.direct = false; /* bytes of the page cache prove less, and still agree */
	check(judge_message(&witness, &seen), ASSAY_OK, NO_CODE);
	witness.archived = true;
	check(judge_message(&witness, &seen), ASSAY_OK, NO_CODE);
}

static void sees_each_bit_of_the_digest(void)
{
	struct witness witness = witness_of(true);

	for (unsigned bit = 0; bit < 8 * SHA1_LEN; bit++) {
		struct observation seen = good_look();
		seen.digest[bit / 8] ^= (uint8_t)(1u << bit % 8);
		check(judge_message(&witness, &seen), ASSAY_CORRUPT, FINDING_MESSAGE_DIGEST);
	}
}

static void follows_the_table_of_errors(void)
{
	static const struct {
		int error;
		enum assay_verdict verdict;
		int code;
	} rows[] = {
		{ -ENOENT, ASSAY_MISSING, FINDING_MESSAGE_MISSING },
		{ -EINVAL, ASSAY_MISSING, FINDING_MESSAGE_NOT_REGULAR },
		{ -EIO, ASSAY_UNREADABLE, FINDING_MESSAGE_UNREADABLE },
		{ -ENODATA, ASSAY_UNREADABLE, FINDING_MESSAGE_UNREADABLE },
		{ -EILSEQ, ASSAY_UNREADABLE, FINDING_MESSAGE_UNREADABLE },
		{ -EUCLEAN, ASSAY_UNREADABLE, FINDING_MESSAGE_UNREADABLE },
		{ -EREMOTEIO, ASSAY_UNREADABLE, FINDING_MESSAGE_UNREADABLE },
		{ -EACCES, ASSAY_UNKNOWN, NO_CODE },
		{ -EPERM, ASSAY_UNKNOWN, NO_CODE },
		{ -EMFILE, ASSAY_UNKNOWN, NO_CODE },
		{ -ENFILE, ASSAY_UNKNOWN, NO_CODE },
		{ -ENOMEM, ASSAY_UNKNOWN, NO_CODE },
		{ -EINTR, ASSAY_UNKNOWN, NO_CODE },
	};

	for (size_t i = 0; i < array_size(rows); i++) {
		/* Whatever else is known: the error has the higher rank. */
		for (unsigned other = 0; other < 8; other++) {
			struct witness witness = witness_of(other & 1);
			struct observation seen = { .error = rows[i].error };
			if (other & 2)
				seen = good_look();
			seen.error = rows[i].error;
			seen.misplaced = other & 4;
			check(judge_message(&witness, &seen), rows[i].verdict, rows[i].code);
		}
	}
}

static void calls_a_link_no_file_wherever_it_leads(void)
{
	struct witness witness = witness_of(true);
	struct observation seen = { .error = -ELOOP, .is_symlink = true };

	check(judge_message(&witness, &seen), ASSAY_MISSING, FINDING_MESSAGE_NOT_REGULAR);
	witness = witness_of(false);
	check(judge_message(&witness, &seen), ASSAY_MISSING, FINDING_MESSAGE_NOT_REGULAR);
}

static void follows_the_table_of_what_was_read(void)
{
	static const struct {
		bool misplaced, has_guid, right_size, digested, right_digest;
		enum assay_verdict verdict;
		int code;
	} rows[] = {
		/* Found on the other partition: whatever its bytes. */
		{ true, true, true, true, true, ASSAY_MISSING, FINDING_MESSAGE_MISPLACED },
		{ true, false, false, true, false, ASSAY_MISSING, FINDING_MESSAGE_MISPLACED },
		/* No GUID: its size is all that can be wrong. */
		{ false, false, true, true, true, ASSAY_OK, NO_CODE },
		{ false, false, true, true, false, ASSAY_OK, NO_CODE },
		{ false, false, true, false, false, ASSAY_UNKNOWN, NO_CODE },
		{ false, false, false, true, false, ASSAY_CORRUPT, FINDING_MESSAGE_SIZE },
		/* Another size, before the digest is looked at. */
		{ false, true, false, true, false, ASSAY_CORRUPT, FINDING_MESSAGE_SIZE },
		{ false, true, false, true, true, ASSAY_CORRUPT, FINDING_MESSAGE_SIZE },
		{ false, true, false, false, false, ASSAY_CORRUPT, FINDING_MESSAGE_SIZE },
		/* Not read to the end: nothing can be said. */
		{ false, true, true, false, true, ASSAY_UNKNOWN, NO_CODE },
		{ false, true, true, false, false, ASSAY_UNKNOWN, NO_CODE },
		{ false, true, true, true, false, ASSAY_CORRUPT, FINDING_MESSAGE_DIGEST },
		{ false, true, true, true, true, ASSAY_OK, NO_CODE },
	};

	for (size_t i = 0; i < array_size(rows); i++) {
		struct witness witness = witness_of(rows[i].has_guid);
		struct observation seen = good_look();
		seen.misplaced = rows[i].misplaced;
		seen.identity.size -= !rows[i].right_size;
		seen.digested = rows[i].digested;
		seen.digest[0] ^= (uint8_t)!rows[i].right_digest;
		check(judge_message(&witness, &seen), rows[i].verdict, rows[i].code);
	}
}

static void tells_every_wrong_size(void)
{
	static const uint64_t sizes[] = { 0, 1, SIZE - 1, SIZE + 1, UINT32_MAX,
					  /* the same in 32 bits */
					  (UINT64_C(1) << 32) + SIZE, UINT64_MAX };
	struct witness witness = witness_of(true);

	for (size_t i = 0; i < array_size(sizes); i++) {
		struct observation seen = good_look();
		seen.identity.size = sizes[i];
		check(judge_message(&witness, &seen), ASSAY_CORRUPT,
		      sizes[i] ? FINDING_MESSAGE_SIZE : FINDING_MESSAGE_EMPTY);
	}
}

static void knows_a_witness_that_proves_nothing(void)
{
	struct witness witness = witness_of(false);

	CU_ASSERT_FALSE(witness_is_proof(&witness));
	witness.guid[SHA1_LEN - 1] = 1;
	CU_ASSERT_TRUE(witness_is_proof(&witness));
}

/* ---- the second look ---- */

static const struct judgement ok = { ASSAY_OK, FINDING_CODE_COUNT_ };
static const struct judgement unknown = { ASSAY_UNKNOWN, FINDING_CODE_COUNT_ };
static const struct judgement digest = { ASSAY_CORRUPT, FINDING_MESSAGE_DIGEST };
static const struct judgement size = { ASSAY_CORRUPT, FINDING_MESSAGE_SIZE };
static const struct judgement unreadable = { ASSAY_UNREADABLE, FINDING_MESSAGE_UNREADABLE };
static const struct judgement missing = { ASSAY_MISSING, FINDING_MESSAGE_MISSING };
static const struct judgement no_file = { ASSAY_MISSING, FINDING_MESSAGE_NOT_REGULAR };

/* The same file, another one, and none at all, between two looks. */
enum change {
	SAME,
	OTHER_INODE,
	OTHER_DEVICE,
	OTHER_SIZE,
	OTHER_MTIME,
	OTHER_CTIME,
	CAME,
	WENT,
	NEVER_THERE,
	CHANGE_COUNT_
};

static void identities(enum change change, struct observation *before, struct observation *after)
{
	*before = *after = good_look();
	after->identity.ino += change == OTHER_INODE;
	after->identity.dev += change == OTHER_DEVICE;
	after->identity.size += change == OTHER_SIZE;
	after->identity.mtime_ns += change == OTHER_MTIME;
	after->identity.ctime_ns += change == OTHER_CTIME;
	if (change == CAME || change == NEVER_THERE)
		before->identity = (struct file_identity){ 0 };
	if (change == WENT || change == NEVER_THERE)
		after->identity = (struct file_identity){ 0 };
}

static void follows_the_table_of_second_looks(void)
{
	static const struct {
		const struct judgement *first, *second;
		enum change change;
		enum assay_verdict verdict;
		int code;
	} rows[] = {
		/* Good now, the same file: flaky. */
		{ &digest, &ok, SAME, ASSAY_FLAKY, FINDING_MESSAGE_FLAKY },
		{ &unreadable, &ok, SAME, ASSAY_OK, NO_CODE }, /* a neighbour's error, it may be */
		/* Good now, another file: in flight. */
		{ &digest, &ok, OTHER_INODE, ASSAY_IN_FLIGHT, NO_CODE },
		{ &digest, &ok, OTHER_DEVICE, ASSAY_IN_FLIGHT, NO_CODE },
		{ &size, &ok, OTHER_SIZE, ASSAY_IN_FLIGHT, NO_CODE },
		{ &digest, &ok, OTHER_MTIME, ASSAY_IN_FLIGHT, NO_CODE },
		{ &digest, &ok, OTHER_CTIME, ASSAY_IN_FLIGHT, NO_CODE },
		{ &unreadable, &ok, OTHER_CTIME, ASSAY_IN_FLIGHT, NO_CODE },
		{ &missing, &ok, CAME, ASSAY_IN_FLIGHT, NO_CODE },
		{ &no_file, &ok, OTHER_INODE, ASSAY_IN_FLIGHT, NO_CODE },
		{ &unreadable, &ok, CAME, ASSAY_IN_FLIGHT, NO_CODE },
		/* Bad twice, the same file or none: what the second look says. */
		{ &digest, &digest, SAME, ASSAY_CORRUPT, FINDING_MESSAGE_DIGEST },
		{ &size, &size, SAME, ASSAY_CORRUPT, FINDING_MESSAGE_SIZE },
		{ &digest, &unreadable, SAME, ASSAY_UNREADABLE, FINDING_MESSAGE_UNREADABLE },
		{ &unreadable, &digest, SAME, ASSAY_CORRUPT, FINDING_MESSAGE_DIGEST },
		{ &unreadable, &unreadable, NEVER_THERE, ASSAY_UNREADABLE,
		  FINDING_MESSAGE_UNREADABLE },
		{ &missing, &missing, NEVER_THERE, ASSAY_MISSING, FINDING_MESSAGE_MISSING },
		{ &no_file, &no_file, SAME, ASSAY_MISSING, FINDING_MESSAGE_NOT_REGULAR },
		{ &no_file, &no_file, NEVER_THERE, ASSAY_MISSING, FINDING_MESSAGE_NOT_REGULAR },
		/* Bad twice, and it changed: look again. */
		{ &digest, &digest, OTHER_INODE, ASSAY_UNKNOWN, NO_CODE },
		{ &digest, &size, OTHER_SIZE, ASSAY_UNKNOWN, NO_CODE },
		{ &digest, &digest, OTHER_MTIME, ASSAY_UNKNOWN, NO_CODE },
		{ &digest, &digest, OTHER_CTIME, ASSAY_UNKNOWN, NO_CODE },
		{ &digest, &missing, WENT, ASSAY_UNKNOWN, NO_CODE },
		{ &missing, &digest, CAME, ASSAY_UNKNOWN, NO_CODE },
	};

	for (size_t i = 0; i < array_size(rows); i++) {
		struct observation before, after;
		identities(rows[i].change, &before, &after);
		check(judge_second_look(rows[i].first, &before, rows[i].second, &after),
		      rows[i].verdict, rows[i].code);
		if (rows[i].verdict == ASSAY_OK) { /* read alone, the error was its own */
			before.alone = true;
			check(judge_second_look(rows[i].first, &before, rows[i].second, &after),
			      ASSAY_FLAKY, FINDING_MESSAGE_FLAKY);
		}
	}
}

/* Generation and place tell files apart as far as both looks know them. */
static void tells_files_apart_by_generation_and_place(void)
{
	static const struct {
		uint32_t before, after;
		bool same;
	} rows[] = {
		{ 0, 0, true }, { 5, 0, true },	 { 0, 5, true },
		{ 5, 5, true }, { 5, 6, false }, { UINT32_MAX, 1, false },
	};

	for (size_t i = 0; i < array_size(rows); i++) {
		for (size_t j = 0; j < array_size(rows); j++) {
			struct observation before = good_look(), after = good_look();
			bool same = rows[i].same && rows[j].same;
			before.generation = rows[i].before;
			after.generation = rows[i].after;
			before.mapping = rows[j].before;
			after.mapping = rows[j].after;
			/* Good now: by the same bytes of the disk, or by others. */
			check(judge_second_look(&digest, &before, &ok, &after),
			      same ? ASSAY_FLAKY : ASSAY_IN_FLIGHT, FINDING_MESSAGE_FLAKY);
			before.alone = true;
			check(judge_second_look(&unreadable, &before, &ok, &after),
			      same ? ASSAY_FLAKY : ASSAY_IN_FLIGHT, FINDING_MESSAGE_FLAKY);
			/* Wrong again: what is wrong now has been seen once. */
			check(judge_second_look(&digest, &before, &digest, &after),
			      same ? ASSAY_CORRUPT : ASSAY_UNKNOWN, FINDING_MESSAGE_DIGEST);
			check(judge_second_look(&digest, &before, &unreadable, &after),
			      same ? ASSAY_UNREADABLE : ASSAY_UNKNOWN, FINDING_MESSAGE_UNREADABLE);
		}
	}
}

static void says_unknown_when_the_second_look_could_not_be_had(void)
{
	static const struct judgement *const firsts[] = { &digest,  &size,    &unreadable,
							  &missing, &no_file, &unknown };

	for (size_t i = 0; i < array_size(firsts); i++) {
		for (int change = SAME; change < CHANGE_COUNT_; change++) {
			struct observation before, after;
			identities((enum change)change, &before, &after);
			check(judge_second_look(firsts[i], &before, &unknown, &after),
			      ASSAY_UNKNOWN, NO_CODE);
		}
	}
}

static void never_calls_a_bad_second_look_good(void)
{
	static const struct judgement *const bad[] = { &digest, &size, &unreadable, &missing,
						       &no_file };

	for (size_t i = 0; i < array_size(bad); i++) {
		for (size_t j = 0; j < array_size(bad); j++) {
			for (int change = SAME; change < CHANGE_COUNT_; change++) {
				struct observation before, after;
				identities((enum change)change, &before, &after);
				enum assay_verdict verdict =
					judge_second_look(bad[i], &before, bad[j], &after).verdict;
				CU_ASSERT_NOT_EQUAL(verdict, ASSAY_OK);
				CU_ASSERT_NOT_EQUAL(verdict, ASSAY_FLAKY);
				CU_ASSERT_NOT_EQUAL(verdict, ASSAY_IN_FLIGHT);
			}
		}
	}
}

static const struct test_case cases[] = {
	CASE(calls_a_message_ok_only_when_size_and_digest_agree),
	CASE(sees_each_bit_of_the_digest),
	CASE(follows_the_table_of_errors),
	CASE(calls_a_link_no_file_wherever_it_leads),
	CASE(follows_the_table_of_what_was_read),
	CASE(tells_every_wrong_size),
	CASE(knows_a_witness_that_proves_nothing),
	CASE(follows_the_table_of_second_looks),
	CASE(tells_files_apart_by_generation_and_place),
	CASE(says_unknown_when_the_second_look_could_not_be_had),
	CASE(never_calls_a_bad_second_look_good),
};

const struct test_suite suite_verify_judge = { "verify/judge", cases, array_size(cases) };

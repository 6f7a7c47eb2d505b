// SPDX-License-Identifier: Apache-2.0
/*
 * A database of any engine: told by its first bytes, walked and checked by the right one.
 */
#include "suites.h"

#include <CUnit/CUnit.h>
#include <errno.h>

#include "format/cyrus/db.h"
#include "real_skiplist.h"
#include "real_twoskip.h"

#define BYTES(text)                                                                                \
	{                                                                                          \
		(const uint8_t *)(text), sizeof(text) - 1                                          \
	}

static void tells_engines_by_their_first_bytes(void)
{
	static const struct {
		struct span bytes;
		enum db_engine engine;
	} rows[] = {
		{ BYTES("\xa1\x02\x8b\x0dtwoskip file\0\0\0\0"), DB_TWOSKIP },
		{ BYTES("\xa1\x02\x8b\x0dtwoskip file\0\0\0\0\0\0\0\1"), DB_TWOSKIP },
		{ BYTES("\xa1\x02\x8b\x0dskiplist file\0\0\0"), DB_SKIPLIST },
		{ BYTES("\xa1\x02\x8b\x0dtwomfile\0\0\0\0"), DB_TWOM },
		{ BYTES("SQLite format 3\0\x10\0\1\1"), DB_SQLITE },
		{ BYTES(""), DB_FLAT },
		{ BYTES("user.joe\t\n"), DB_FLAT },
		{ BYTES("user.joe.with.a.long.name\t\n"), DB_FLAT },
		{ BYTES("\xff\x80x\t1\n"), DB_FLAT },
		{ BYTES("a"), DB_FLAT },
		{ BYTES("\tuser\n"), DB_UNKNOWN },
		{ BYTES("\n"), DB_UNKNOWN },
		{ BYTES("user\0joe\n"), DB_UNKNOWN },
		{ BYTES("user\r\n"), DB_UNKNOWN },
		{ BYTES("\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"), DB_UNKNOWN },
		{ BYTES("\xa1\x02\x8b\x0dtwo"), DB_TWOSKIP },	/* cut */
		{ BYTES("\xa1\x02\x8b\x0dskip"), DB_SKIPLIST }, /* cut */
	};

	for (size_t i = 0; i < array_size(rows); i++)
		CU_ASSERT_EQUAL(db_engine_of(rows[i].bytes), rows[i].engine);
}

static void names_every_engine(void)
{
	CU_ASSERT_STRING_EQUAL(db_engine_name(DB_TWOSKIP), "twoskip");
	CU_ASSERT_STRING_EQUAL(db_engine_name(DB_SKIPLIST), "skiplist");
	CU_ASSERT_STRING_EQUAL(db_engine_name(DB_FLAT), "flat");
	CU_ASSERT_STRING_EQUAL(db_engine_name(DB_TWOM), "twom");
	CU_ASSERT_STRING_EQUAL(db_engine_name(DB_SQLITE), "sqlite");
	CU_ASSERT_STRING_EQUAL(db_engine_name(DB_UNKNOWN), "unknown");
}

static int walk(struct span bytes, enum db_engine *ret_engine, unsigned *ret_count)
{
	struct db db = DB_NULL;
	struct source src;
	struct span key, value;

	source_init_memory(&src, bytes);
	int r = db_begin(&db, &src);
	*ret_engine = db.engine;
	for (*ret_count = 0; r == 0; *ret_count += r == 0)
		r = db_next(&db, &key, &value);
	if (r == DB_END)
		CU_ASSERT_EQUAL(db_next(&db, &key, &value), DB_END);
	db_fini(&db);
	db_fini(&db);
	return r;
}

static int check(struct span bytes, enum db_order order, uint64_t *ret_off)
{
	struct source src;

	source_init_memory(&src, bytes);
	return db_check(&src, order, ret_off);
}

static void walks_and_checks_each_engine(void)
{
	static const struct {
		struct span bytes;
		enum db_engine engine;
		unsigned count;
		int walk, check;
	} rows[] = {
		{ { real_twoskip, sizeof(real_twoskip) }, DB_TWOSKIP, 46, DB_END, 0 },
		{ { real_skiplist, sizeof(real_skiplist) }, DB_SKIPLIST, 13, DB_END, 0 },
		{ BYTES("a\t1\nb\t2\n"), DB_FLAT, 2, DB_END, 0 },
		{ BYTES("a\t1\nb\t2"), DB_FLAT, 1, -EBADMSG, -EBADMSG },
		{ BYTES("SQLite format 3\0"), DB_SQLITE, 0, -EPROTONOSUPPORT, -EPROTONOSUPPORT },
		{ BYTES("\xa1\x02\x8b\x0dtwomfile\0\0\0\0"), DB_TWOM, 0, -EPROTONOSUPPORT,
		  -EPROTONOSUPPORT },
		{ BYTES("\0"), DB_UNKNOWN, 0, -EPROTONOSUPPORT, -EPROTONOSUPPORT },
	};

	for (size_t i = 0; i < array_size(rows); i++) {
		enum db_engine engine;
		unsigned count;
		uint64_t off;
		CU_ASSERT_EQUAL(walk(rows[i].bytes, &engine, &count), rows[i].walk);
		CU_ASSERT_EQUAL(engine, rows[i].engine);
		CU_ASSERT_EQUAL(count, rows[i].count);
		CU_ASSERT_EQUAL(check(rows[i].bytes, DB_ORDER_BYTES, &off), rows[i].check);
	}
}

static void one_flipped_bit_hides_no_engine(void)
{
	uint8_t bytes[sizeof(real_twoskip)];
	enum db_engine engine;
	unsigned count, missed = 0;
	uint64_t off;

	memcpy(bytes, real_twoskip, sizeof(bytes));
	for (unsigned bit = 0; bit < 64 * 8; bit++) {
		bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
		missed += walk(span_of(bytes, sizeof(bytes)), &engine, &count) != -EBADMSG;
		missed += check(span_of(bytes, sizeof(bytes)), DB_ORDER_BYTES, &off) != -EBADMSG;
		missed += engine != DB_TWOSKIP || off != 0;
		bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	memcpy(bytes, real_skiplist, sizeof(real_skiplist));
	for (unsigned bit = 0; bit < 20 * 8; bit++) {
		bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
		missed += walk(span_of(bytes, sizeof(real_skiplist)), &engine, &count) != -EBADMSG;
		missed += engine != DB_SKIPLIST;
		bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	CU_ASSERT_EQUAL(missed, 0);
}

static void hands_the_order_down(void)
{
	/* Two records of level 1 in order: "a.b", then "a-b". */
	uint8_t bytes[192];
	struct db db = DB_NULL;
	struct span key, value;
	struct source src;

	memcpy(bytes, real_skiplist, 144);
	memcpy(bytes + 144, "\0\0\0\1\0\0\0\3a.b\0\0\0\0\0\0\0\0\0\xff\xff\xff\xff", 24);
	memcpy(bytes + 168, "\0\0\0\1\0\0\0\3a-b\0\0\0\0\0\0\0\0\0\xff\xff\xff\xff", 24);
	memcpy(bytes + 40, "\0\0\0\xc0", 4);
	source_init_memory(&src, span_of(bytes, 192));
	db.order = DB_ORDER_MAILBOX;
	for (int i = 0; i < 2; i++) {
		CU_ASSERT_EQUAL(db_begin(&db, &src), 0);
		CU_ASSERT_EQUAL(db_next(&db, &key, &value), 0);
		CU_ASSERT_EQUAL(db_next(&db, &key, &value), 0);
		CU_ASSERT(span_equals_str(key, "a-b"));
		CU_ASSERT_EQUAL(db_next(&db, &key, &value), DB_END);
	}
	db.order = DB_ORDER_BYTES;
	CU_ASSERT_EQUAL(db_begin(&db, &src), 0);
	CU_ASSERT_EQUAL(db_next(&db, &key, &value), 0);
	CU_ASSERT_EQUAL(db_next(&db, &key, &value), -EBADMSG);
	db_fini(&db);
}

/* One reader, used for one engine after the other. */
static void may_be_used_again_for_another_engine(void)
{
	struct db db = DB_NULL;
	struct source src;
	struct span key, value;

	for (int i = 0; i < 6; i++) {
		source_init_memory(&src, i % 3 == 0 ? span_of(real_twoskip, sizeof(real_twoskip))
					 : i % 3 == 1
						 ? span_of(real_skiplist, sizeof(real_skiplist))
						 : span_of_str("k\tv\n"));
		CU_ASSERT_EQUAL(db_begin(&db, &src), 0);
		CU_ASSERT_EQUAL(db_next(&db, &key, &value), 0);
	}
	db_fini(&db);
}

static const struct test_case cases[] = {
	CASE(tells_engines_by_their_first_bytes),
	CASE(names_every_engine),
	CASE(walks_and_checks_each_engine),
	CASE(one_flipped_bit_hides_no_engine),
	CASE(hands_the_order_down),
	CASE(may_be_used_again_for_another_engine),
};

const struct test_suite suite_format_db = { "format/db", cases, array_size(cases) };

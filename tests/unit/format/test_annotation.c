// SPDX-License-Identifier: Apache-2.0
/*
 * Annotations: real records, those of other hosts and older releases, every cut and every length
 * that lies; and the sync CRC as real mailboxes have it.
 */
#include "suites.h"

#include <CUnit/CUnit.h>
#include <errno.h>
#include <stdlib.h>

#include "base/buf.h"
#include "format/cyrus/annotation.h"

#define NS "/vendor/cmu/cyrus-imapd/"

/* The bytes of a literal, without the NUL that the compiler puts behind it. */
#define BYTES(literal) span_of(literal, sizeof(literal) - 1)

/* A value as the kinds of hosts write it. */
enum kind { LITTLE_64, WORD_32, BIG_64, KIND_COUNT };

static void word_add(struct buf *b, enum kind kind, uint32_t word)
{
	const char bytes[4] = { (char)(word >> 24), (char)(word >> 16), (char)(word >> 8),
				(char)word };

	if (kind == BIG_64)
		buf_add(b, "\0\0\0\0", 4);
	buf_add(b, bytes, 4);
	if (kind == LITTLE_64)
		buf_add(b, "\0\0\0\0", 4);
}

/* `state`: modseq and flags. */
static void value_make(struct buf *b, enum kind kind, struct span text, const char *type,
		       uint32_t time, struct span state)
{
	buf_clear(b);
	word_add(b, kind, (uint32_t)text.len);
	buf_add_span(b, text);
	buf_add_char(b, '\0');
	buf_add(b, type, strlen(type) + 1);
	word_add(b, kind, time);
	buf_add_span(b, state);
}

static const struct span KEY = { (const uint8_t *)"1\0/comment\0\0", 12 };

static void reads_real_records_of_messages(void)
{
	static const struct {
		struct span key, value;
		uint32_t uid;
		const char *entry, *userid, *text;
		uint64_t modseq;
		bool deleted;
	} cases[] = {
		{ { (const uint8_t *)"1\0/comment\0\0", 12 },
		  { (const uint8_t *)"\0\0\0\4\0\0\0\0ours\0text/plain\0\0\0\0\0\0\0\0\0"
				     "\0\0\0\0\0\0\0\x1a\0",
		    41 },
		  1,
		  "/comment",
		  "",
		  "ours",
		  0x1a,
		  false },
		{ { (const uint8_t *)"1\0/comment\0[.OwNeR.]\0", 21 },
		  { (const uint8_t *)"\0\0\0\4\0\0\0\0mine\0text/plain\0\0\0\0\0\0\0\0\0"
				     "\0\0\0\0\0\0\0\x1b\0",
		    41 },
		  1,
		  "/comment",
		  "[.OwNeR.]",
		  "mine",
		  0x1b,
		  false },
		{ { (const uint8_t *)"1\0/comment\0u002\0", 16 },
		  { (const uint8_t *)"\0\0\0\6\0\0\0\0theirs\0text/plain\0\0\0\0\0\0\0\0\0"
				     "\0\0\0\0\0\0\0\x27\0",
		    43 },
		  1,
		  "/comment",
		  "u002",
		  "theirs",
		  0x27,
		  false },
		{ { (const uint8_t *)"2\0/comment\0\0", 12 },
		  { (const uint8_t *)"\0\0\0\0\0\0\0\0\0text/plain\0\0\0\0\0\0\0\0\0"
				     "\0\0\0\0\0\0\0\x1f\1",
		    37 },
		  2,
		  "/comment",
		  "",
		  "",
		  0x1f,
		  true },
	};

	for (size_t i = 0; i < array_size(cases); i++) {
		struct annotation a;
		CU_ASSERT_EQUAL_FATAL(annotation_parse(cases[i].key, cases[i].value, &a), 0);
		CU_ASSERT_EQUAL(a.uid, cases[i].uid);
		CU_ASSERT(span_equals_str(a.entry, cases[i].entry));
		CU_ASSERT(span_equals_str(a.userid, cases[i].userid));
		CU_ASSERT(span_equals_str(a.value, cases[i].text));
		CU_ASSERT(span_equals_str(a.content_type, "text/plain"));
		CU_ASSERT_EQUAL(a.modseq, cases[i].modseq);
		CU_ASSERT_EQUAL(a.deleted, cases[i].deleted);
	}
}

static void reads_real_records_of_mailboxes_and_the_server(void)
{
	struct span value = BYTES("\0\0\0\6\0\0\0\0server\0text/plain\0\0\0\0\0\0\0\0\0"
				  "\0\0\0\0\0\0\0\0\0");
	struct annotation a;

	CU_ASSERT_EQUAL_FATAL(annotation_parse(BYTES("\0/comment\0\0"), value, &a), 0);
	CU_ASSERT_EQUAL(a.scope.len, 0);
	CU_ASSERT_EQUAL(a.uid, 0);
	CU_ASSERT(span_equals_str(a.value, "server"));
	CU_ASSERT_EQUAL_FATAL(
		annotation_parse(BYTES("802v5syr8mo2vu3hd1qnp3oa\0/comment\0[.OwNeR.]\0"), value,
				 &a),
		0);
	CU_ASSERT(span_equals_str(a.scope, "802v5syr8mo2vu3hd1qnp3oa"));
	CU_ASSERT_EQUAL(a.uid, 0);
	CU_ASSERT_EQUAL_FATAL(annotation_parse(BYTES("user.joe\0/comment\0joe\0"), value, &a), 0);
	CU_ASSERT(span_equals_str(a.scope, "user.joe"));
}

static void reads_what_other_hosts_and_older_releases_wrote(void)
{
	static const char *const types[] = { "text/plain", "", "a" };
	static const struct span texts[] = {
		{ (const uint8_t *)"", 0 },	     { (const uint8_t *)"a", 1 },
		{ (const uint8_t *)"abcdefghi", 9 }, { (const uint8_t *)"a\0b\0", 4 },
		{ (const uint8_t *)"\0\0\0", 3 },
	};
	static const struct span states[] = {
		{ NULL, 0 },
		{ (const uint8_t *)"\0\0\0\1\0\0\0\2\0", 9 },
		{ (const uint8_t *)"\xff\0\0\0\0\0\0\2\1", 9 },
	};
	static const uint32_t times[] = { 0, 1795531474 };
	struct buf value = BUF_NULL;

	for (unsigned n = 0; n < KIND_COUNT * 5 * 3 * 3 * 2; n++) {
		struct span text = texts[n / 3 % 5], state = states[n / 15 % 3];
		const char *type = types[n / 45 % 3];
		struct annotation a;
		if (text.len == 0 && type[0] == '\0')
			continue;
		value_make(&value, n % 3, text, type, times[n / 135], state);
		CU_ASSERT_EQUAL_FATAL(annotation_parse(KEY, buf_span(&value), &a), 0);
		CU_ASSERT(span_equals(a.value, text));
		CU_ASSERT(span_equals_str(a.content_type, type));
		CU_ASSERT_EQUAL(a.deleted, state.len && state.data[8]);
		CU_ASSERT_EQUAL(a.modseq & 0xff, state.len ? 2 : 0);
		CU_ASSERT_EQUAL(a.modseq >> 56, state.len ? state.data[0] : 0);
	}
	buf_fini(&value);
}

static void refuses_each_cut_and_each_byte_too_many(void)
{
	struct span state = BYTES("\0\0\0\1\0\0\0\2\1");
	struct buf value = BUF_NULL;
	struct annotation a;

	for (unsigned kind = 0; kind < KIND_COUNT; kind++) {
		value_make(&value, kind, BYTES("some text"), "text/plain", 0, state);
		uint64_t old = value.len - state.len;
		buf_add(&value, "\0", 1);
		for (uint64_t len = 0; len <= value.len; len++) {
			char *copy = malloc(len ? len : 1);
			CU_ASSERT_PTR_NOT_NULL_FATAL(copy);
			memcpy(copy, buf_str(&value), len);
			CU_ASSERT_EQUAL(annotation_parse(KEY, span_of(copy, len), &a),
					len == old || len + 1 == value.len ? 0 : -EBADMSG);
			free(copy);
		}
	}
	buf_fini(&value);
}

static void refuses_lengths_that_lie(void)
{
	struct buf value = BUF_NULL;
	struct annotation a;

	for (unsigned kind = 0; kind < KIND_COUNT; kind++) {
		unsigned len_at = kind == BIG_64 ? 4 : 0;
		for (unsigned bit = 0; bit < (kind == WORD_32 ? 32 : 64); bit++) {
			value_make(&value, kind, BYTES("some text"), "text/plain", 0,
				   BYTES("\0\0\0\1\0\0\0\2\0"));
			value.data[bit / 8] ^= (char)(1u << bit % 8);
			CU_ASSERT_EQUAL(annotation_parse(KEY, buf_span(&value), &a), -EBADMSG);
		}
		value_make(&value, kind, BYTES("some text"), "text/plain", 0, SPAN_NULL);
		memset(value.data + len_at, 0xff, 4);
		CU_ASSERT_EQUAL(annotation_parse(KEY, buf_span(&value), &a), -EBADMSG);
	}
	buf_fini(&value);
}

static void refuses_zeros_of_any_length(void)
{
	static const uint8_t zeros[64];
	struct annotation a;

	for (uint64_t len = 0; len <= sizeof(zeros); len++)
		CU_ASSERT_EQUAL(annotation_parse(KEY, span_of(zeros, len), &a), -EBADMSG);
}

static void refuses_values_without_their_nuls(void)
{
	struct buf value = BUF_NULL;
	struct annotation a;

	for (unsigned kind = 0; kind < KIND_COUNT; kind++) {
		uint64_t word = kind == WORD_32 ? 4 : 8;
		value_make(&value, kind, BYTES("some text"), "text/plain", 0, SPAN_NULL);
		value.data[word + 9] = 'x';
		CU_ASSERT_EQUAL(annotation_parse(KEY, buf_span(&value), &a), -EBADMSG);
		value_make(&value, kind, BYTES("some text"), "text/plain", 0x01010101, SPAN_NULL);
		value.data[word + 20] = 'x';
		CU_ASSERT_EQUAL(annotation_parse(KEY, buf_span(&value), &a), -EBADMSG);
	}
	buf_fini(&value);
}

static void a_damaged_byte_of_a_field_changes_that_field_alone(void)
{
	struct buf value = BUF_NULL;
	struct annotation a;

	value_make(&value, LITTLE_64, BYTES("text"), "type", 0, BYTES("\0\0\0\0\0\0\0\2\0"));
	/* length 8, text 4, NUL, type 4, NUL, time 8, modseq 8, flags */
	value.data[8] ^= 0x20;
	CU_ASSERT_EQUAL(annotation_parse(KEY, buf_span(&value), &a), 0);
	CU_ASSERT(span_equals_str(a.value, "Text") && span_equals_str(a.content_type, "type"));
	value.data[13] ^= 0x20;
	CU_ASSERT_EQUAL(annotation_parse(KEY, buf_span(&value), &a), 0);
	CU_ASSERT(span_equals_str(a.content_type, "Type") && a.modseq == 2);
	value.data[18] ^= 0x20; /* the time: nobody reads it */
	CU_ASSERT_EQUAL(annotation_parse(KEY, buf_span(&value), &a), 0);
	CU_ASSERT(a.modseq == 2 && !a.deleted);
	value.data[33] ^= 1;
	CU_ASSERT_EQUAL(annotation_parse(KEY, buf_span(&value), &a), 0);
	CU_ASSERT(a.modseq == 3 && !a.deleted);
	value.data[34] ^= 1;
	CU_ASSERT_EQUAL(annotation_parse(KEY, buf_span(&value), &a), 0);
	CU_ASSERT(a.modseq == 3 && a.deleted);
	value.data[34] ^= 3; /* a flag that is not known is no tombstone */
	CU_ASSERT_EQUAL(annotation_parse(KEY, buf_span(&value), &a), 0);
	CU_ASSERT_FALSE(a.deleted);
	buf_fini(&value);
}

static void refuses_keys_outside_the_format(void)
{
	static const struct span wrong[] = {
		{ NULL, 0 },
		{ (const uint8_t *)"1", 1 },
		{ (const uint8_t *)"1\0", 2 },
		{ (const uint8_t *)"1\0/comment", 10 },
		{ (const uint8_t *)"1\0/comment\0", 11 },
		{ (const uint8_t *)"1\0/comment\0u", 12 },
		{ (const uint8_t *)"1\0/comment\0u\0x", 14 },
		{ (const uint8_t *)"1\0/comment\0u\0\0", 14 },
		{ (const uint8_t *)"1\0\0u\0", 5 },
		{ (const uint8_t *)"\0\0\0", 3 },
	};
	struct buf value = BUF_NULL;
	struct annotation a;

	value_make(&value, LITTLE_64, BYTES("text"), "text/plain", 0, SPAN_NULL);
	CU_ASSERT_EQUAL(annotation_parse(KEY, buf_span(&value), &a), 0);
	for (size_t i = 0; i < array_size(wrong); i++)
		CU_ASSERT_EQUAL(annotation_parse(wrong[i], buf_span(&value), &a), -EBADMSG);
	buf_fini(&value);
}

static void tells_uids_from_other_scopes(void)
{
	static const struct {
		const char *scope;
		uint32_t uid;
	} cases[] = {
		{ "1", 1 },
		{ "4294967295", UINT32_MAX },
		{ "4294967296", 0 },
		{ "0", 0 },
		{ "01", 0 },
		{ "1x", 0 },
		{ "-1", 0 },
		{ " 1", 0 },
		{ "", 0 },
		{ "0123456789", 0 },
		{ "18446744073709551617", 0 },
	};
	struct buf key = BUF_NULL, value = BUF_NULL;

	value_make(&value, LITTLE_64, BYTES("text"), "text/plain", 0, SPAN_NULL);
	for (size_t i = 0; i < array_size(cases); i++) {
		struct annotation a;
		buf_clear(&key);
		buf_add(&key, cases[i].scope, strlen(cases[i].scope) + 1);
		buf_add(&key, "/comment\0", 10);
		CU_ASSERT_EQUAL_FATAL(annotation_parse(buf_span(&key), buf_span(&value), &a), 0);
		CU_ASSERT_EQUAL(a.uid, cases[i].uid);
		CU_ASSERT(span_equals_str(a.scope, cases[i].scope));
	}
	buf_fini(&key);
	buf_fini(&value);
}

static struct annotation annotation_of(uint32_t uid, const char *entry, const char *userid,
				       const char *value)
{
	return (struct annotation){
		.uid = uid,
		.entry = span_of_str(entry),
		.userid = span_of_str(userid),
		.value = span_of_str(value),
	};
}

/* By how much the sync CRC of a real mailbox of 3.6.1 changed with each. */
static void has_the_sync_crc_of_real_mailboxes(void)
{
	struct annotation shared = annotation_of(1, "/comment", "", "ours");
	struct annotation own = annotation_of(1, "/comment", ANNOTATION_OWNER, "mine");

	CU_ASSERT_EQUAL(annotation_sync_crc(&shared, 17, span_of_str("u004")),
			0x0135f7f2 ^ 0x1fc85507);
	CU_ASSERT_EQUAL(annotation_sync_crc(&own, 17, span_of_str("u004")),
			0x427ba87b ^ 0x1fc85507);
	own = annotation_of(1, "/comment", "u004", "mine");
	CU_ASSERT_EQUAL(annotation_sync_crc(&own, 17, SPAN_NULL), 0x427ba87b ^ 0x1fc85507);
}

static void entries_that_records_hold_themselves_add_nothing(void)
{
	static const struct {
		const char *entry, *value;
		uint32_t since, crc; /* crc 0: not known from real mailboxes */
	} cases[] = {
		{ NS "thrid", "286746a1b7667a37", 13, 1123886542 },
		{ NS "savedate", "1795450348", 15, 3699164745 },
		{ NS "createdmodseq", "2", 16, 365805277 },
		{ NS "internaldate.nsec", "5", 20, 0 },
		{ NS "basethrid", "286746a1b7667a37", 20, 0 },
		{ NS "thrids", "x", 99, 0 },
		{ "/thrid", "x", 99, 0 },
	};

	for (size_t i = 0; i < array_size(cases); i++) {
		struct annotation a = annotation_of(1, cases[i].entry, "", cases[i].value);
		for (uint32_t version = 12; version <= 21; version++) {
			uint32_t crc = annotation_sync_crc(&a, version, SPAN_NULL);
			if (version >= cases[i].since)
				CU_ASSERT_EQUAL(crc, 0);
			if (version < cases[i].since)
				CU_ASSERT(crc != 0 && (!cases[i].crc || crc == cases[i].crc));
		}
		/* Whosever they are. */
		a.userid = span_of_str("u001");
		CU_ASSERT_EQUAL(annotation_sync_crc(&a, 21, SPAN_NULL) == 0, cases[i].since <= 21);
	}
}

static void what_is_not_there_adds_nothing(void)
{
	struct annotation a = annotation_of(1, "/comment", "", "text");

	CU_ASSERT_NOT_EQUAL(annotation_sync_crc(&a, 17, SPAN_NULL), 0);
	a.deleted = true;
	CU_ASSERT_EQUAL(annotation_sync_crc(&a, 17, SPAN_NULL), 0);
	a = annotation_of(1, "/comment", "", "");
	CU_ASSERT_EQUAL(annotation_sync_crc(&a, 17, SPAN_NULL), 0);
	a = annotation_of(0, "/comment", "", "text");
	CU_ASSERT_EQUAL(annotation_sync_crc(&a, 17, SPAN_NULL), 0);
}

static void every_part_is_in_the_sync_crc(void)
{
	struct annotation good = annotation_of(1, "/comment", "u001", "text");
	uint32_t crc = annotation_sync_crc(&good, 17, SPAN_NULL);
	struct annotation others[] = {
		annotation_of(2, "/comment", "u001", "text"),
		annotation_of(4294967295, "/comment", "u001", "text"),
		annotation_of(1, "/Comment", "u001", "text"),
		annotation_of(1, "/comment", "u002", "text"),
		annotation_of(1, "/comment", "", "text"),
		annotation_of(1, "/comment", ANNOTATION_OWNER, "text"),
		annotation_of(1, "/comment", "u001", "Text"),
	};

	for (size_t i = 0; i < array_size(others); i++)
		CU_ASSERT_NOT_EQUAL(annotation_sync_crc(&others[i], 17, span_of_str("u003")), crc);
	CU_ASSERT_EQUAL(annotation_sync_crc(&others[5], 17, span_of_str("u001")), crc);
}

static const struct test_case cases[] = {
	CASE(reads_real_records_of_messages),
	CASE(reads_real_records_of_mailboxes_and_the_server),
	CASE(reads_what_other_hosts_and_older_releases_wrote),
	CASE(refuses_each_cut_and_each_byte_too_many),
	CASE(refuses_lengths_that_lie),
	CASE(refuses_zeros_of_any_length),
	CASE(refuses_values_without_their_nuls),
	CASE(a_damaged_byte_of_a_field_changes_that_field_alone),
	CASE(refuses_keys_outside_the_format),
	CASE(tells_uids_from_other_scopes),
	CASE(has_the_sync_crc_of_real_mailboxes),
	CASE(entries_that_records_hold_themselves_add_nothing),
	CASE(what_is_not_there_adds_nothing),
	CASE(every_part_is_in_the_sync_crc),
};

const struct test_suite suite_format_annotation = { "format/annotation", cases, array_size(cases) };

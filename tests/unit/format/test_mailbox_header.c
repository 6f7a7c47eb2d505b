// SPDX-License-Identifier: Apache-2.0
/*
 * cyrus.header: what real files of either dialect say, each field alone, and nothing that a
 * writer would not have written.
 */
#include "suites.h"

#include <CUnit/CUnit.h>
#include <errno.h>
#include <stdlib.h>

#include "digest/digest.h"
#include "format/cyrus/mailbox_header.h"

#define MAGIC                                                                                      \
	"\xa1\x02\x8b\x0d"                                                                         \
	"Cyrus mailbox header\n"                                                                   \
	"\"The best thing about this system was that it had lots of goals.\"\n"                    \
	"\t--Jim Morris on Andrew\n"

/* What is expected of a header; NULL for a field that is not given. */
struct expected {
	const char *type, *name, *unique_id, *quota_root, *acl, *flags;
};

/* Names with a comma behind each. */
static void flags_join(struct buf *b, const struct mailbox_header *header)
{
	for (unsigned i = 0; i < header->nr_flags; i++)
		buf_addf(b, "%s,", mailbox_header_flag(header, i));
}

static void expect(const struct mailbox_header *header, const struct expected *wanted)
{
	struct buf flags = BUF_NULL;

	flags_join(&flags, header);
	CU_ASSERT_STRING_EQUAL(buf_str(&header->type), wanted->type ? wanted->type : "");
	CU_ASSERT_STRING_EQUAL(buf_str(&header->name), wanted->name ? wanted->name : "");
	CU_ASSERT_EQUAL(header->has_unique_id, wanted->unique_id != NULL);
	CU_ASSERT_STRING_EQUAL(buf_str(&header->unique_id),
			       wanted->unique_id ? wanted->unique_id : "");
	CU_ASSERT_EQUAL(header->has_quota_root, wanted->quota_root != NULL);
	CU_ASSERT_STRING_EQUAL(buf_str(&header->quota_root),
			       wanted->quota_root ? wanted->quota_root : "");
	CU_ASSERT_STRING_EQUAL(buf_str(&header->acl), wanted->acl ? wanted->acl : "");
	CU_ASSERT_STRING_EQUAL(buf_str(&flags), wanted->flags ? wanted->flags : "");
	CU_ASSERT_STRING_EQUAL(mailbox_header_flag(header, header->nr_flags), "");
	CU_ASSERT_STRING_EQUAL(mailbox_header_flag(header, UINT32_MAX), "");
	buf_fini(&flags);
}

/* Parses the magic and `text` behind it. */
static int parse_bytes(struct mailbox_header *header, const void *text, size_t len)
{
	struct buf file = BUF_NULL;

	buf_add_str(&file, MAGIC);
	buf_add(&file, text, len);
	int r = mailbox_header_parse(buf_span(&file), header);
	buf_fini(&file);
	return r;
}

static int parse(struct mailbox_header *header, const char *text)
{
	return parse_bytes(header, text, strlen(text));
}

static const char real_text[] =
	"%(T e N user.u001 I 802v5syr8mo2vu3hd1qnp3oa Q user.u001 A %(u001 lrswipkxtecdan u002 "
	"lrswn anyone p -u003 lr cyrus lrswtedn) U (NIL NIL $Label1 NIL NIL LAST))\n";

static const struct expected real_expected = {
	.type = "e",
	.name = "user.u001",
	.unique_id = "802v5syr8mo2vu3hd1qnp3oa",
	.quota_root = "user.u001",
	.acl = "u001\tlrswipkxtecdan\tu002\tlrswn\tanyone\tp\t-u003\tlr\tcyrus\tlrswtedn\t",
	.flags = ",,$Label1,,,LAST,",
};

static const char old_text[] = "user.joe\t2f5aa0914ee8b1d7\n"
			       "$Label1 MyFlag  OtherFlag \n"
			       "joe\tlrswipkxtecda\tanyone\tp\t\n";

static const struct expected old_expected = {
	.unique_id = "2f5aa0914ee8b1d7",
	.quota_root = "user.joe",
	.acl = "joe\tlrswipkxtecda\tanyone\tp\t",
	.flags = "$Label1,MyFlag,,OtherFlag,",
};

static void the_magic_is_that_of_every_release(void)
{
	CU_ASSERT_EQUAL(strlen(MAGIC), MAILBOX_HEADER_MAGIC_LEN);
	CU_ASSERT_EQUAL(crc32_of(span_of_str(MAGIC)), 0x8ad11d69);
}

static void reads_what_3_6_1_wrote(void)
{
	static const struct {
		const char *text;
		struct expected wanted;
	} cases[] = {
		{ "%(T e N shared^box I js8nuija5xasod4kgtmopxcn A %(anyone lrs))\n",
		  { "e", "shared^box", "js8nuija5xasod4kgtmopxcn", NULL, "anyone\tlrs\t", NULL } },
		{ "%(T e N \"user.u001.sp ace\" I z7e7emld9sf4kcjbk56a59db Q user.u001 "
		  "A %(u001 lrswipkxtecdan \"we ird\" lrs nil lr))\n",
		  { "e", "user.u001.sp ace", "z7e7emld9sf4kcjbk56a59db", "user.u001",
		    "u001\tlrswipkxtecdan\twe ird\tlrs\tnil\tlr\t", NULL } },
		{ "%(T e N DELETED.user.u003.Archive.2023.6B04A0A8 I 1a2k7p6ayl1sg0pso85htlwi "
		  "A %(u003 lrswipkxtecdan))\n",
		  { "e", "DELETED.user.u003.Archive.2023.6B04A0A8", "1a2k7p6ayl1sg0pso85htlwi",
		    NULL, "u003\tlrswipkxtecdan\t", NULL } },
	};
	struct mailbox_header header = MAILBOX_HEADER_NULL;

	CU_ASSERT_EQUAL_FATAL(parse(&header, real_text), 0);
	CU_ASSERT(header.is_dlist);
	CU_ASSERT_EQUAL(header.nr_flags, 6);
	expect(&header, &real_expected);
	for (size_t i = 0; i < array_size(cases); i++) {
		CU_ASSERT_EQUAL_FATAL(parse(&header, cases[i].text), 0);
		expect(&header, &cases[i].wanted);
	}
	mailbox_header_fini(&header);
}

static void reads_each_field_of_a_list_alone(void)
{
	static const struct {
		const char *text;
		struct expected wanted;
	} cases[] = {
		{ "%()\n", { .type = NULL } },
		{ "%(T el)\n", { .type = "el" } },
		{ "%(N user.a)\n", { .name = "user.a" } },
		{ "%(I abc)\n", { .unique_id = "abc" } },
		{ "%(Q user.a)\n", { .quota_root = "user.a" } },
		{ "%(A %(a lrs))\n", { .acl = "a\tlrs\t" } },
		{ "%(A %())\n", { .acl = NULL } },
		{ "%(U (a))\n", { .flags = "a," } },
		{ "%(U ())\n", { .flags = NULL } },
		{ "%(U (NIL))\n", { .flags = "," } },
		{ "%(U (\"\" \"b\" \"NIL\" {1}\r\nc))\n", { .flags = ",b,NIL,c," } },
		{ "%(N \"a\\\"b\")\n", { .name = "a\"b" } },
		{ "%(N {3}\r\na\nb)\n", { .name = "a\nb" } },
		{ "%(T NIL N NIL I NIL Q NIL A NIL U NIL)\n", { .type = NULL } },
		{ "%(I \"\" Q \"\")\n", { .type = NULL } },
		/* Of later releases, or of none. */
		{ "%(J NIL I abc J xyz X %(I def) II ghi i jkl \"\" NIL)\n",
		  { .unique_id = "abc" } },
	};
	struct mailbox_header header = MAILBOX_HEADER_NULL;

	for (size_t i = 0; i < array_size(cases); i++) {
		CU_ASSERT_EQUAL_FATAL(parse(&header, cases[i].text), 0);
		CU_ASSERT(header.is_dlist);
		expect(&header, &cases[i].wanted);
	}
	mailbox_header_fini(&header);
}

static void refuses_lists_outside_the_grammar(void)
{
	static const char *const wrong[] = {
		"%",
		"%\n",
		"%()",
		"%()\n\n",
		"%() \n",
		"%()\r\n",
		"%()\nx",
		"%()x\n",
		"%() %()\n",
		"%() NIL\n",
		"%(T)\n",
		"%(T e\n",
		"%(T e))\n",
		"%(T e N)\n",
		"%(T (e))\n",
		"%(T %(e e))\n",
		"%(N (a))\n",
		"%(I (a))\n",
		"%(I %(a b))\n",
		"%(Q (a))\n",
		"%(A a)\n",
		"%(A (a lrs))\n",
		"%(A %(a))\n",
		"%(A %(a (lrs)))\n",
		"%(A %(a \"l\trs\"))\n",
		"%(U a)\n",
		"%(U %(a b))\n",
		"%(U ((a)))\n",
		"%(U (%(a b)))\n",
		"%(U (\"a b\"))\n",
		"%(U (\"a\tb\"))\n",
		"%(U (\"a\x7f\"))\n",
		"%(U ({3}\r\na\nb))\n",
		"%(T e T e)\n",
		"%(N a N a)\n",
		"%(I a I a)\n",
		"%(Q a Q a)\n",
		"%(A %() A %())\n",
		"%(U () U ())\n",
		"%(I NIL I a)\n",
	};
	struct mailbox_header header = MAILBOX_HEADER_NULL;

	for (size_t i = 0; i < array_size(wrong); i++)
		CU_ASSERT_EQUAL(parse(&header, wrong[i]), -EBADMSG);
	mailbox_header_fini(&header);
}

static void refuses_nuls_inside_of_fields(void)
{
	static const struct span wrong[] = {
		{ (const uint8_t *)"%(T {3}\r\na\0b)\n", 14 },
		{ (const uint8_t *)"%(N {3}\r\na\0b)\n", 14 },
		{ (const uint8_t *)"%(I {3}\r\na\0b)\n", 14 },
		{ (const uint8_t *)"%(Q {3}\r\na\0b)\n", 14 },
		{ (const uint8_t *)"%(A %({3}\r\na\0b lrs))\n", 21 },
		{ (const uint8_t *)"%(U ({3}\r\na\0b))\n", 16 },
		{ (const uint8_t *)"u\0\tabc\n\na\tlrs\t\n", 15 },
		{ (const uint8_t *)"u\ta\0c\n\na\tlrs\t\n", 14 },
		{ (const uint8_t *)"u\tabc\n\0 \na\tlrs\t\n", 16 },
		{ (const uint8_t *)"u\tabc\n\na\tl\0s\t\n", 14 },
	};
	struct mailbox_header header = MAILBOX_HEADER_NULL;

	for (size_t i = 0; i < array_size(wrong); i++) {
		CU_ASSERT_EQUAL(wrong[i].data[wrong[i].len - 1], '\n');
		CU_ASSERT_EQUAL(parse_bytes(&header, wrong[i].data, wrong[i].len), -EBADMSG);
	}
	mailbox_header_fini(&header);
}

static void reads_the_text_of_older_releases(void)
{
	static const struct {
		const char *text;
		struct expected wanted;
	} cases[] = {
		{ old_text,
		  { "", "", "2f5aa0914ee8b1d7", "user.joe", "joe\tlrswipkxtecda\tanyone\tp\t",
		    "$Label1,MyFlag,,OtherFlag," } },
		{ "\tabc\n\n\n", { .unique_id = "abc" } },
		/* The oldest had no unique id. */
		{ "\n\n\n", { .type = NULL } },
		{ "user.joe\n\na\tlrs\t\n", { .quota_root = "user.joe", .acl = "a\tlrs\t" } },
		/* A third field, which is passed over, and one that is empty. */
		{ "u\tabc\t\\Sent\n\n\n", { .quota_root = "u", .unique_id = "abc" } },
		{ "u\tabc\t\n\n\n", { .quota_root = "u", .unique_id = "abc" } },
		{ "\tabc\na b\n\n", { .unique_id = "abc", .flags = "a,b," } },
		{ "\tabc\na b \n\n", { .unique_id = "abc", .flags = "a,b," } },
		{ "\tabc\n a  b  \n\n", { .unique_id = "abc", .flags = ",a,,b,," } },
		{ "\tabc\n \n\n", { .unique_id = "abc", .flags = "," } },
		{ "NIL\tNIL\nNIL\nNIL\tNIL\t\n",
		  { .quota_root = "NIL",
		    .unique_id = "NIL",
		    .flags = "NIL,",
		    .acl = "NIL\tNIL\t" } },
	};
	struct mailbox_header header = MAILBOX_HEADER_NULL;

	for (size_t i = 0; i < array_size(cases); i++) {
		CU_ASSERT_EQUAL_FATAL(parse(&header, cases[i].text), 0);
		CU_ASSERT_FALSE(header.is_dlist);
		expect(&header, &cases[i].wanted);
	}
	mailbox_header_fini(&header);
}

static void refuses_text_outside_the_three_lines(void)
{
	static const char *const wrong[] = {
		"",
		"\n",
		"\n\n",
		"u\tabc\n\n",
		"u\tabc\n\na\tlrs\t",
		"u\tabc\n\na\tlrs\t\n\n",
		"u\tabc\n\na\tlrs\t\nx",
		"u\t\n\n\n",
		"u\t\t\n\n\n",
		"u\tabc\na\tb\n\n",
		"u\tabc\na\x01 b\n\n",
		"u\tabc\na\r\n\n",
		"u\tabc\n\na\n",
		"u\tabc\n\na\tlrs\n",
		"u\tabc\n\n\tlrs\t\n",
	};
	struct mailbox_header header = MAILBOX_HEADER_NULL;

	for (size_t i = 0; i < array_size(wrong); i++)
		CU_ASSERT_EQUAL(parse(&header, wrong[i]), -EBADMSG);
	mailbox_header_fini(&header);
}

/* Each byte of the magic, changed in one bit. */
static void refuses_another_magic(void)
{
	char file[sizeof(MAGIC "%()\n")] = MAGIC "%()\n";
	struct mailbox_header header = MAILBOX_HEADER_NULL;
	struct span bytes = span_of(file, sizeof(file) - 1);

	CU_ASSERT_EQUAL(mailbox_header_parse(bytes, &header), 0);
	for (unsigned i = 0; i < MAILBOX_HEADER_MAGIC_LEN; i++) {
		file[i] ^= (char)(1u << i % 8);
		CU_ASSERT_EQUAL(mailbox_header_parse(bytes, &header), -EBADMSG);
		file[i] ^= (char)(1u << i % 8);
	}
	mailbox_header_fini(&header);
}

static void refuses_every_cut(void)
{
	static const char *const texts[] = { real_text, old_text };
	struct mailbox_header header = MAILBOX_HEADER_NULL;

	for (size_t i = 0; i < array_size(texts); i++) {
		struct buf file = BUF_NULL;
		buf_addf(&file, "%s%s", MAGIC, texts[i]);
		CU_ASSERT_EQUAL(mailbox_header_parse(buf_span(&file), &header), 0);
		for (size_t len = 0; len < file.len; len++) {
			char *copy = malloc(len ? len : 1);
			CU_ASSERT_PTR_NOT_NULL_FATAL(copy);
			memcpy(copy, buf_str(&file), len);
			CU_ASSERT_EQUAL(mailbox_header_parse(span_of(copy, len), &header),
					-EBADMSG);
			free(copy);
		}
		buf_fini(&file);
	}
	mailbox_header_fini(&header);
}

/* `count` flags in either dialect. */
static int parse_flags(struct mailbox_header *header, unsigned count, bool dlist)
{
	struct buf text = BUF_NULL;

	buf_add_str(&text, dlist ? "%(U (" : "\tabc\n");
	for (unsigned i = 0; i < count; i++)
		buf_addf(&text, "f%u%s", i, dlist && i + 1 == count ? "" : " ");
	buf_add_str(&text, dlist ? "))\n" : "\n\n");
	int r = parse(header, buf_str(&text));
	buf_fini(&text);
	return r;
}

static void takes_128_flags_and_no_more(void)
{
	struct mailbox_header header = MAILBOX_HEADER_NULL;

	for (int dlist = 0; dlist < 2; dlist++) {
		CU_ASSERT_EQUAL(parse_flags(&header, MAILBOX_HEADER_FLAGS, dlist), 0);
		CU_ASSERT_EQUAL(header.nr_flags, MAILBOX_HEADER_FLAGS);
		CU_ASSERT_STRING_EQUAL(mailbox_header_flag(&header, 0), "f0");
		CU_ASSERT_STRING_EQUAL(mailbox_header_flag(&header, 127), "f127");
		CU_ASSERT_EQUAL(parse_flags(&header, MAILBOX_HEADER_FLAGS + 1, dlist), -EBADMSG);
	}
	mailbox_header_fini(&header);
}

static void refuses_a_file_above_1_mib(void)
{
	struct mailbox_header header = MAILBOX_HEADER_NULL;
	struct buf text = BUF_NULL;

	/* Three lines, and a quota root that fills them up. */
	while (text.len < MAILBOX_HEADER_LEN_MAX - MAILBOX_HEADER_MAGIC_LEN - 7)
		buf_add_char(&text, 'q');
	buf_add_str(&text, "\tabc\n\n\n");
	CU_ASSERT_EQUAL(parse(&header, buf_str(&text)), 0);
	CU_ASSERT_EQUAL(header.quota_root.len + 7 + MAILBOX_HEADER_MAGIC_LEN,
			MAILBOX_HEADER_LEN_MAX);
	buf_clear(&text);
	while (text.len < MAILBOX_HEADER_LEN_MAX - MAILBOX_HEADER_MAGIC_LEN - 6)
		buf_add_char(&text, 'q');
	buf_add_str(&text, "\tabc\n\n\n");
	CU_ASSERT_EQUAL(parse(&header, buf_str(&text)), -EBADMSG);
	buf_fini(&text);
	mailbox_header_fini(&header);
}

static void forgets_what_it_held_before(void)
{
	struct mailbox_header header = MAILBOX_HEADER_NULL;

	CU_ASSERT_EQUAL(parse(&header, real_text), 0);
	CU_ASSERT_EQUAL(parse(&header, old_text), 0);
	CU_ASSERT_FALSE(header.is_dlist);
	expect(&header, &old_expected);
	CU_ASSERT_EQUAL(parse(&header, "%(A %(a b) U (x) U ())\n"), -EBADMSG);
	CU_ASSERT_EQUAL(parse(&header, real_text), 0);
	CU_ASSERT(header.is_dlist);
	expect(&header, &real_expected);
	CU_ASSERT_EQUAL(parse(&header, "%()\n"), 0);
	expect(&header, &(struct expected){ .type = NULL });
	mailbox_header_fini(&header);
	mailbox_header_fini(&header);
	expect(&header, &(struct expected){ .type = NULL });
}

static const struct test_case cases[] = {
	CASE(the_magic_is_that_of_every_release),
	CASE(reads_what_3_6_1_wrote),
	CASE(reads_each_field_of_a_list_alone),
	CASE(refuses_lists_outside_the_grammar),
	CASE(refuses_nuls_inside_of_fields),
	CASE(reads_the_text_of_older_releases),
	CASE(refuses_text_outside_the_three_lines),
	CASE(refuses_another_magic),
	CASE(refuses_every_cut),
	CASE(takes_128_flags_and_no_more),
	CASE(refuses_a_file_above_1_mib),
	CASE(forgets_what_it_held_before),
};

const struct test_suite suite_format_mailbox_header = { "format/mailbox_header", cases,
							array_size(cases) };

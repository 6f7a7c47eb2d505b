// SPDX-License-Identifier: Apache-2.0
/*
 * Layout: the paths that 3.6.1 was seen to use, and no path at all for a name that would lead out
 * of its root.
 */
#include "suites.h"

#include <CUnit/CUnit.h>
#include <errno.h>

#include "format/cyrus/layout.h"

static struct imapd_conf conf_of(const char *text)
{
	struct imapd_conf conf = IMAPD_CONF_NULL;

	CU_ASSERT_EQUAL_FATAL(
		imapd_conf_parse(&conf, span_of_str(text), "test", 0, NULL, NULL, NULL), 0);
	return conf;
}

/* The directory of a mailbox; `dir` says "refused" when there is none. */
static int dir_of(const char *conf_text, struct span name, struct span id, bool legacy,
		  struct buf *dir)
{
	struct imapd_conf conf = conf_of(conf_text);
	struct mailbox_entry entry = MAILBOX_ENTRY_NULL;

	entry.legacy_dirs = legacy;
	buf_add_span(&entry.name, name);
	buf_add_span(&entry.unique_id, id);
	int r = layout_add_mailbox_dir(dir, &conf, &entry);
	mailbox_entry_fini(&entry);
	imapd_conf_fini(&conf);
	return r;
}

static void assert_dir(const char *conf_text, const char *name, const char *expected)
{
	struct buf dir = BUF_NULL;

	CU_ASSERT_EQUAL(dir_of(conf_text, span_of_str(name), span_of_str("abc"), true, &dir), 0);
	CU_ASSERT_STRING_EQUAL(buf_str(&dir), expected);
	buf_fini(&dir);
}

static void finds_legacy_directories_in_every_kind_of_spool(void)
{
	static const struct {
		const char *name, *hashed, *full, *plain;
	} cases[] = {
		{ "user.alice", "a/user/alice", "L/user/alice", "user/alice" },
		{ "user.alice.Sub Folder^x", "a/user/alice/Sub Folder^x",
		  "L/user/alice/Sub Folder^x", "user/alice/Sub Folder^x" },
		{ "user.b^ob", "b/user/b^ob", "G/user/b^ob", "user/b^ob" },
		{ "user.7seven", "q/user/7seven", "W/user/7seven", "user/7seven" },
		{ "user.Upper", "u/user/Upper", "C/user/Upper", "user/Upper" },
		{ "user.^dot", "q/user/^dot", "A/user/^dot", "user/^dot" },
		{ "user.\xc3\xa9", "q/user/\xc3\xa9", NULL, "user/\xc3\xa9" },
		{ "shared", "s/shared", "T/shared", "shared" },
		{ "shared.news", "n/shared/news", "E/shared/news", "shared/news" },
		{ "shared.pub", "p/shared/pub", "W/shared/pub", "shared/pub" },
		{ "example.com!user.zoe.Work", "domain/e/example.com/z/user/zoe/Work",
		  "domain/O/example.com/J/user/zoe/Work", "domain/example.com/user/zoe/Work" },
		{ "example.com!shared", "domain/e/example.com/s/shared",
		  "domain/O/example.com/T/shared", "domain/example.com/shared" },
		{ "DELETED.user.alice.X.6B046900", "u/DELETED/user/alice/X/6B046900", NULL,
		  "DELETED/user/alice/X/6B046900" },
		{ "example.com!DELETED.user.zoe.W.6B046900",
		  "domain/e/example.com/u/DELETED/user/zoe/W/6B046900", NULL,
		  "domain/example.com/DELETED/user/zoe/W/6B046900" },
		{ "user.x.a!b", NULL, NULL, "domain/user.x.a/b" },
	};

	for (size_t i = 0; i < array_size(cases); i++) {
		if (cases[i].hashed)
			assert_dir("hashimapspool: true\n", cases[i].name, cases[i].hashed);
		if (cases[i].full)
			assert_dir("hashimapspool: 1\nfulldirhash: yes\n", cases[i].name,
				   cases[i].full);
		assert_dir("x: y\n", cases[i].name, cases[i].plain);
		assert_dir("hashimapspool: off\nfulldirhash: on\n", cases[i].name, cases[i].plain);
	}
}

static void finds_directories_by_unique_id(void)
{
	static const char *const confs[] = { "x: y\n", "hashimapspool: yes\nfulldirhash: yes\n" };
	struct buf dir = BUF_NULL;

	for (size_t i = 0; i < array_size(confs); i++) {
		buf_clear(&dir);
		CU_ASSERT_EQUAL(dir_of(confs[i], span_of_str("example.com!user.zoe"),
				       span_of_str("z2bnsgapj9lwlv3hqyb2ltbx"), false, &dir),
				0);
		CU_ASSERT_STRING_EQUAL(buf_str(&dir), "uuid/z/2/z2bnsgapj9lwlv3hqyb2ltbx");
	}
	buf_clear(&dir);
	CU_ASSERT_EQUAL(dir_of("x: y\n", span_of_str("user.zoe"), span_of_str("ab"), false, &dir),
			0);
	CU_ASSERT_STRING_EQUAL(buf_str(&dir), "uuid/a/b/ab");
	buf_fini(&dir);
}

/* As Cyrus does: without an id there is nothing but the name to go by. */
static void finds_a_mailbox_without_unique_id_by_name(void)
{
	struct buf dir = BUF_NULL;

	CU_ASSERT_EQUAL(
		dir_of("hashimapspool: yes\n", span_of_str("user.zoe"), SPAN_NULL, false, &dir), 0);
	CU_ASSERT_STRING_EQUAL(buf_str(&dir), "z/user/zoe");
	buf_fini(&dir);
}

static void appends_and_appends_nothing_on_failure(void)
{
	struct buf dir = BUF_NULL;

	buf_add_str(&dir, "/spool/");
	CU_ASSERT_EQUAL(dir_of("x: y\n", span_of_str("user..x"), SPAN_NULL, true, &dir), -EBADMSG);
	CU_ASSERT_STRING_EQUAL(buf_str(&dir), "/spool/");
	CU_ASSERT_EQUAL(dir_of("x: y\n", span_of_str("user.x"), SPAN_NULL, true, &dir), 0);
	CU_ASSERT_STRING_EQUAL(buf_str(&dir), "/spool/user/x");
	buf_fini(&dir);
}

static void refuses_hostile_names(void)
{
	static const char *const names[] = {
		"",	     ".",	 "..",		"...",	      "user.",	    ".user",
		"user..x",   "user.x.",	 "/etc/passwd", "user./",     "user.a/b",   "user.x./../y",
		"..!user.x", ".!user.x", "!user.x",	"a/b!user.x", "../..!user", "example.com!",
		"x!.",	     "x!a..b",	 "x!/",
	};

	for (size_t i = 0; i < array_size(names); i++) {
		struct buf dir = BUF_NULL;
		CU_ASSERT_EQUAL(dir_of("hashimapspool: yes\n", span_of_str(names[i]),
				       span_of_str("abc"), true, &dir),
				-EBADMSG);
		CU_ASSERT_EQUAL(dir_of("x: y\n", span_of_str(names[i]), span_of_str("abc"), true,
				       &dir),
				-EBADMSG);
		CU_ASSERT_EQUAL(dir.len, 0);
		buf_fini(&dir);
	}
	struct buf dir = BUF_NULL;
	CU_ASSERT_EQUAL(dir_of("x: y\n", span_of("user.a\0b", 8), SPAN_NULL, true, &dir), -EBADMSG);
	CU_ASSERT_EQUAL(dir_of("x: y\n", span_of("a\0!user.b", 9), SPAN_NULL, true, &dir),
			-EBADMSG);
	buf_fini(&dir);
}

static void refuses_hostile_unique_ids(void)
{
	static const char *const ids[] = {
		"a",   ".", "..",	  "...", ".a",	"a.",  "..a",
		"a.b", "/", "ab/../../x", "/ab", "a/b", "ab/",
	};

	for (size_t i = 0; i < array_size(ids); i++) {
		struct buf dir = BUF_NULL;
		CU_ASSERT_EQUAL(dir_of("x: y\n", span_of_str("user.x"), span_of_str(ids[i]), false,
				       &dir),
				-EBADMSG);
		CU_ASSERT_EQUAL(dir.len, 0);
		buf_fini(&dir);
	}
	struct buf dir = BUF_NULL;
	CU_ASSERT_EQUAL(dir_of("x: y\n", span_of_str("user.x"), span_of("ab\0c", 4), false, &dir),
			-EBADMSG);
	buf_fini(&dir);
}

static void refuses_paths_beyond_4096_bytes(void)
{
	struct buf name = BUF_NULL, dir = BUF_NULL;

	for (unsigned i = 0; i < 4096; i++)
		buf_add_char(&name, 'x');
	CU_ASSERT_EQUAL(dir_of("x: y\n", buf_span(&name), SPAN_NULL, true, &dir), 0);
	CU_ASSERT_EQUAL(dir.len, 4096);
	buf_clear(&dir);
	CU_ASSERT_EQUAL(dir_of("hashimapspool: yes\n", buf_span(&name), SPAN_NULL, true, &dir),
			-EBADMSG);
	CU_ASSERT_EQUAL(dir_of("x: y\n", SPAN_NULL, buf_span(&name), false, &dir), -EBADMSG);
	buf_add_char(&name, 'x');
	CU_ASSERT_EQUAL(dir_of("x: y\n", buf_span(&name), SPAN_NULL, true, &dir), -EBADMSG);
	CU_ASSERT_EQUAL(dir.len, 0);
	buf_fini(&name);
	buf_fini(&dir);
}

static void refuses_to_guess_an_unreadable_switch(void)
{
	struct buf dir = BUF_NULL;
	struct span name = span_of_str("user.x");

	CU_ASSERT_EQUAL(dir_of("hashimapspool: Yes\n", name, SPAN_NULL, true, &dir), -EBADMSG);
	CU_ASSERT_EQUAL(dir_of("fulldirhash: maybe\n", name, SPAN_NULL, true, &dir), -EBADMSG);
	/* Directories by unique id do not depend on either. */
	CU_ASSERT_EQUAL(dir_of("hashimapspool: Yes\n", name, span_of_str("abc"), false, &dir), 0);
	CU_ASSERT_STRING_EQUAL(buf_str(&dir), "uuid/a/b/abc");
	buf_fini(&dir);
}

/* ---- Roots ----------------------------------------------------------------------------------- */

static const char everything[] = "partition-p: /data\n"
				 "metapartition-p: /meta\n"
				 "archivepartition-p: /archive\n"
				 "partition-q: /q\n";

static void assert_root(const char *extra, const char *partition, enum mailbox_file kind,
			const char *expected)
{
	struct buf text = BUF_NULL;

	buf_add_str(&text, everything);
	buf_add_str(&text, extra);
	struct imapd_conf conf = conf_of(buf_str(&text));
	const char *root = layout_root(&conf, partition, kind);
	CU_ASSERT_EQUAL(root != NULL, expected != NULL);
	if (root && expected)
		CU_ASSERT_STRING_EQUAL(root, expected);
	imapd_conf_fini(&conf);
	buf_fini(&text);
}

static void finds_the_root_of_each_kind_of_file(void)
{
	static const struct {
		const char *extra, *partition;
		/* messages, archived, index, header, cache */
		const char *roots[MAILBOX_FILE_COUNT_];
	} cases[] = {
		{ "", "p", { "/data", "/data", "/data", "/data", "/data" } },
		{ "", "q", { "/q", "/q", "/q", "/q", "/q" } },
		{ "", "r", { NULL, NULL, NULL, NULL, NULL } },
		{ "", "", { NULL, NULL, NULL, NULL, NULL } },
		{ "", "P", { NULL, NULL, NULL, NULL, NULL } },
		{ "archive_enabled: yes\n",
		  "p",
		  { "/data", "/archive", "/data", "/data", "/data" } },
		{ "archive_enabled: no\n", "p", { "/data", "/data", "/data", "/data", "/data" } },
		{ "archive_enabled: yes\n", "q", { "/q", "/q", "/q", "/q", "/q" } },
		{ "archive_enabled: Yes\n", "p", { "/data", NULL, "/data", "/data", "/data" } },
		{ "metapartition_files: header index cache expunge\n",
		  "p",
		  { "/data", "/data", "/meta", "/meta", "/meta" } },
		{ "metapartition_files: index\n",
		  "p",
		  { "/data", "/data", "/meta", "/data", "/data" } },
		{ "metapartition_files: header\n",
		  "p",
		  { "/data", "/data", "/data", "/meta", "/data" } },
		{ "metapartition_files: cache\n",
		  "p",
		  { "/data", "/data", "/data", "/data", "/meta" } },
		{ "metapartition_files: archivecache squat dav\n",
		  "p",
		  { "/data", "/data", "/data", "/data", "/data" } },
		{ "metapartition_files: header index cache\n",
		  "q",
		  { "/q", "/q", "/q", "/q", "/q" } },
		{ "metadir-index-p: /fast\nmetapartition_files: index cache\n",
		  "p",
		  { "/data", "/data", "/fast", "/data", "/meta" } },
		{ "metadir-header-p: /fast\nmetadir-cache-p: /cache\n",
		  "p",
		  { "/data", "/data", "/data", "/fast", "/cache" } },
		{ "partition-r: rel/ative\n", "r", { NULL, NULL, NULL, NULL, NULL } },
		{ "partition-r: {configdirectory}/r\n", "r", { NULL, NULL, NULL, NULL, NULL } },
		{ "partition-r: /r\nmetadir-index-r: rel\n",
		  "r",
		  { "/r", "/r", NULL, "/r", "/r" } },
	};

	for (size_t i = 0; i < array_size(cases); i++)
		for (int kind = 0; kind < MAILBOX_FILE_COUNT_; kind++)
			assert_root(cases[i].extra, cases[i].partition, (enum mailbox_file)kind,
				    cases[i].roots[kind]);
	assert_root("", "p", MAILBOX_FILE_COUNT_, NULL);
}

static void finds_the_mailbox_list(void)
{
	struct buf path = BUF_NULL;
	struct imapd_conf conf = conf_of("configdirectory: /var/lib/cyrus\n");

	layout_add_mailboxes_db(&path, &conf);
	CU_ASSERT_STRING_EQUAL(buf_str(&path), "/var/lib/cyrus/mailboxes.db");
	imapd_conf_fini(&conf);

	conf = conf_of("configdirectory: /c\nmboxlist_db_path: /fast/mailboxes.db\n");
	buf_clear(&path);
	layout_add_mailboxes_db(&path, &conf);
	CU_ASSERT_STRING_EQUAL(buf_str(&path), "/fast/mailboxes.db");
	imapd_conf_fini(&conf);
	buf_fini(&path);
}

static void tells_message_files_from_others(void)
{
	static const struct {
		const char *name;
		uint32_t uid; /* 0: no message */
	} cases[] = {
		{ "1.", 1 },
		{ "27.", 27 },
		{ "4294967295.", UINT32_MAX },
		{ "4294967296.", 0 },
		{ "99999999999999999999999.", 0 },
		{ "0.", 0 },
		{ "01.", 0 },
		{ "1", 0 },
		{ "1..", 0 },
		{ ".1.", 0 },
		{ "1.2.", 0 },
		{ "1.NEW", 0 },
		{ "+1.", 0 },
		{ "-1.", 0 },
		{ " 1.", 0 },
		{ "1 .", 0 },
		{ "1a.", 0 },
		{ "0x1.", 0 },
		{ ".", 0 },
		{ "..", 0 },
		{ "", 0 },
		{ "cyrus.index", 0 },
	};

	for (size_t i = 0; i < array_size(cases); i++) {
		uint32_t uid = 0;
		CU_ASSERT_EQUAL(layout_parse_message_name(cases[i].name, &uid), cases[i].uid != 0);
		CU_ASSERT_EQUAL(uid, cases[i].uid);
	}
}

static const struct test_case cases[] = {
	{ "finds_legacy_directories_in_every_kind_of_spool",
	  finds_legacy_directories_in_every_kind_of_spool },
	{ "finds_directories_by_unique_id", finds_directories_by_unique_id },
	{ "finds_a_mailbox_without_unique_id_by_name", finds_a_mailbox_without_unique_id_by_name },
	{ "appends_and_appends_nothing_on_failure", appends_and_appends_nothing_on_failure },
	{ "refuses_hostile_names", refuses_hostile_names },
	{ "refuses_hostile_unique_ids", refuses_hostile_unique_ids },
	{ "refuses_paths_beyond_4096_bytes", refuses_paths_beyond_4096_bytes },
	{ "refuses_to_guess_an_unreadable_switch", refuses_to_guess_an_unreadable_switch },
	{ "finds_the_root_of_each_kind_of_file", finds_the_root_of_each_kind_of_file },
	{ "finds_the_mailbox_list", finds_the_mailbox_list },
	{ "tells_message_files_from_others", tells_message_files_from_others },
};

const struct test_suite suite_format_layout = { "format/layout", cases, array_size(cases) };

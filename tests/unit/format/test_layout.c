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
		/* `^` ends the full hash of a name, and is a byte of that of a domain. */
		{ "a^b!user.n^ews", "domain/a/a^b/n/user/n^ews", "domain/K/a^b/S/user/n^ews",
		  "domain/a^b/user/n^ews" },
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
		/* messages, archived, index, header, cache, archive cache, annotations */
		const char *roots[MAILBOX_FILE_COUNT_];
	} cases[] = {
		{ "", "p", { "/data", "/data", "/data", "/data", "/data", "/data", "/data" } },
		{ "", "q", { "/q", "/q", "/q", "/q", "/q", "/q", "/q" } },
		{ "", "r", { NULL, NULL, NULL, NULL, NULL, NULL, NULL } },
		{ "", "", { NULL, NULL, NULL, NULL, NULL, NULL, NULL } },
		{ "", "P", { NULL, NULL, NULL, NULL, NULL, NULL, NULL } },
		{ "archive_enabled: yes\n",
		  "p",
		  { "/data", "/archive", "/data", "/data", "/data", "/archive", "/data" } },
		{ "archive_enabled: no\n",
		  "p",
		  { "/data", "/data", "/data", "/data", "/data", "/data", "/data" } },
		{ "archive_enabled: yes\n", "q", { "/q", "/q", "/q", "/q", "/q", "/q", "/q" } },
		{ "archive_enabled: Yes\n",
		  "p",
		  { "/data", NULL, "/data", "/data", "/data", NULL, "/data" } },
		{ "metapartition_files: header index cache expunge\n",
		  "p",
		  { "/data", "/data", "/meta", "/meta", "/meta", "/data", "/data" } },
		{ "metapartition_files: index\n",
		  "p",
		  { "/data", "/data", "/meta", "/data", "/data", "/data", "/data" } },
		{ "metapartition_files: header\n",
		  "p",
		  { "/data", "/data", "/data", "/meta", "/data", "/data", "/data" } },
		{ "metapartition_files: cache\n",
		  "p",
		  { "/data", "/data", "/data", "/data", "/meta", "/data", "/data" } },
		{ "metapartition_files: annotations\n",
		  "p",
		  { "/data", "/data", "/data", "/data", "/data", "/data", "/meta" } },
		{ "metapartition_files: archivecache squat dav\n",
		  "p",
		  { "/data", "/data", "/data", "/data", "/data", "/meta", "/data" } },
		{ "archive_enabled: yes\nmetapartition_files: archivecache\n",
		  "p",
		  { "/data", "/archive", "/data", "/data", "/data", "/meta", "/data" } },
		{ "archive_enabled: yes\nmetapartition_files: cache\n",
		  "p",
		  { "/data", "/archive", "/data", "/data", "/meta", "/archive", "/data" } },
		{ "archive_enabled: Yes\nmetapartition_files: archivecache\n",
		  "p",
		  { "/data", NULL, "/data", "/data", "/data", "/meta", "/data" } },
		{ "metapartition_files: header index cache archivecache annotations\n",
		  "q",
		  { "/q", "/q", "/q", "/q", "/q", "/q", "/q" } },
		{ "metadir-index-p: /fast\nmetapartition_files: index cache\n",
		  "p",
		  { "/data", "/data", "/fast", "/data", "/meta", "/data", "/fast" } },
		{ "metadir-index-p: /fast\nmetapartition_files: annotations\n",
		  "p",
		  { "/data", "/data", "/fast", "/data", "/data", "/data", "/fast" } },
		{ "metadir-annotations-p: /fast\n",
		  "p",
		  { "/data", "/data", "/data", "/data", "/data", "/data", "/data" } },
		{ "metadir-header-p: /fast\nmetadir-cache-p: /cache\n",
		  "p",
		  { "/data", "/data", "/data", "/fast", "/cache", "/data", "/data" } },
		{ "archive_enabled: yes\nmetadir-archivecache-p: /fast\nmetapartition_files: archivecache\n",
		  "p",
		  { "/data", "/archive", "/data", "/data", "/data", "/fast", "/data" } },
		{ "partition-r: rel/ative\n", "r", { NULL, NULL, NULL, NULL, NULL, NULL, NULL } },
		{ "partition-r: {configdirectory}/r\n",
		  "r",
		  { NULL, NULL, NULL, NULL, NULL, NULL, NULL } },
		{ "partition-r: /r\nmetadir-index-r: rel\n",
		  "r",
		  { "/r", "/r", NULL, "/r", "/r", "/r", NULL } },
		{ "partition-r: /r\nmetadir-archivecache-r: rel\n",
		  "r",
		  { "/r", "/r", "/r", "/r", "/r", NULL, "/r" } },
		{ "partition-r: /r\narchivepartition-r: rel\narchive_enabled: yes\n",
		  "r",
		  { "/r", NULL, "/r", "/r", "/r", NULL, "/r" } },
		{ "partition-r: /r\nmetapartition-r: rel\nmetapartition_files: annotations\n",
		  "r",
		  { "/r", "/r", "/r", "/r", "/r", "/r", NULL } },
	};

	for (size_t i = 0; i < array_size(cases); i++)
		for (int kind = 0; kind < MAILBOX_FILE_COUNT_; kind++)
			assert_root(cases[i].extra, cases[i].partition, (enum mailbox_file)kind,
				    cases[i].roots[kind]);
	assert_root("", "p", MAILBOX_FILE_COUNT_, NULL);
}

static void knows_the_name_of_each_kind_of_file(void)
{
	static const char *const names[MAILBOX_FILE_COUNT_] = {
		[MAILBOX_FILE_INDEX] = "cyrus.index",
		[MAILBOX_FILE_HEADER] = "cyrus.header",
		[MAILBOX_FILE_CACHE] = "cyrus.cache",
		[MAILBOX_FILE_ARCHIVE_CACHE] = "cyrus.cache",
		[MAILBOX_FILE_ANNOTATIONS] = "cyrus.annotations",
	};

	for (int kind = 0; kind < MAILBOX_FILE_COUNT_; kind++) {
		const char *name = layout_file_name((enum mailbox_file)kind);
		CU_ASSERT_EQUAL(name != NULL, names[kind] != NULL);
		if (name && names[kind])
			CU_ASSERT_STRING_EQUAL(name, names[kind]);
	}
	CU_ASSERT_PTR_NULL(layout_file_name(MAILBOX_FILE_COUNT_));
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

static void finds_the_annotations(void)
{
	struct buf path = BUF_NULL;
	struct imapd_conf conf = conf_of("configdirectory: /var/lib/cyrus\n");

	layout_add_annotations_db(&path, &conf);
	CU_ASSERT_STRING_EQUAL(buf_str(&path), "/var/lib/cyrus/annotations.db");
	imapd_conf_fini(&conf);

	conf = conf_of("configdirectory: /c\nannotation_db_path: /fast/a.db\n");
	buf_clear(&path);
	layout_add_annotations_db(&path, &conf);
	CU_ASSERT_STRING_EQUAL(buf_str(&path), "/fast/a.db");
	imapd_conf_fini(&conf);
	buf_fini(&path);
}

/* ---- Quota roots ----------------------------------------------------------------------------- */

static int quota_of(const char *conf_text, struct span root, struct buf *path)
{
	struct imapd_conf conf = conf_of(conf_text);
	int r = layout_add_quota_file(path, &conf, root);

	imapd_conf_fini(&conf);
	return r;
}

static void assert_quota(const char *conf_text, const char *root, const char *expected)
{
	struct buf path = BUF_NULL;

	CU_ASSERT_EQUAL(quota_of(conf_text, span_of_str(root), &path), 0);
	CU_ASSERT_STRING_EQUAL(buf_str(&path), expected);
	buf_fini(&path);
}

/* As 3.6.1 made them, hashimapspool or not. */
static void finds_the_file_of_a_quota_root(void)
{
	static const struct {
		const char *root, *simple, *full;
	} cases[] = {
		{ "user.alice", "quota/a/user.alice", "quota/L/user.alice" },
		{ "user.b^ob", "quota/b/user.b^ob", "quota/B/user.b^ob" },
		{ "user.b^ob.Sub Folder^x", "quota/b/user.b^ob.Sub Folder^x",
		  "quota/B/user.b^ob.Sub Folder^x" },
		{ "user.n^ews", "quota/n/user.n^ews", "quota/H/user.n^ews" },
		{ "user.^dot", "quota/q/user.^dot", "quota/P/user.^dot" },
		{ "user.7seven", "quota/q/user.7seven", "quota/W/user.7seven" },
		{ "user.Upper", "quota/u/user.Upper", "quota/C/user.Upper" },
		{ "shared", "quota/s/shared", "quota/T/shared" },
		{ "shared.news", "quota/n/shared.news", "quota/E/shared.news" },
		{ "shared^x", "quota/s/shared^x", "quota/P/shared^x" },
		{ "News.x^y", "quota/x/News.x^y", "quota/S/News.x^y" },
		{ "Archive", "quota/a/Archive", "quota/E/Archive" },
	};
	static const struct {
		const char *root, *simple, *full;
	} domains[] = {
		{ "example.com!user.zoe", "domain/e/example.com/quota/z/user.zoe",
		  "domain/O/example.com/quota/J/user.zoe" },
		{ "example.com!user.z^oe", "domain/e/example.com/quota/z/user.z^oe",
		  "domain/O/example.com/quota/G/user.z^oe" },
		{ "example.com!user.zoe.Sub", "domain/e/example.com/quota/z/user.zoe.Sub",
		  "domain/O/example.com/quota/J/user.zoe.Sub" },
		{ "example.com!pub", "domain/e/example.com/quota/p/pub",
		  "domain/O/example.com/quota/W/pub" },
		{ "7.org!user.al", "domain/q/7.org/quota/a/user.al",
		  "domain/J/7.org/quota/U/user.al" },
		{ "example.com!", "domain/e/example.com/quota/root",
		  "domain/O/example.com/quota/root" },
	};
	static const char *const on[] = { "userid", "on", "yes", "true", "t", "1" };
	static const char *const off[] = { "off", "no", "false", "f", "0" };
	struct buf conf = BUF_NULL;

	for (size_t i = 0; i < array_size(cases); i++) {
		assert_quota("hashimapspool: yes\n", cases[i].root, cases[i].simple);
		assert_quota("virtdomains: userid\n", cases[i].root, cases[i].simple);
		assert_quota("fulldirhash: yes\n", cases[i].root, cases[i].full);
	}
	for (size_t i = 0; i < array_size(domains); i++) {
		for (size_t k = 0; k < array_size(on); k++) {
			buf_clear(&conf);
			buf_addf(&conf, "virtdomains: %s\n", on[k]);
			assert_quota(buf_str(&conf), domains[i].root, domains[i].simple);
		}
		assert_quota("virtdomains: userid\nfulldirhash: yes\n", domains[i].root,
			     domains[i].full);
	}
	for (size_t k = 0; k < array_size(off); k++) {
		buf_clear(&conf);
		buf_addf(&conf, "virtdomains: %s\n", off[k]);
		assert_quota(buf_str(&conf), "x!user.zoe", "quota/z/x!user.zoe");
	}
	buf_fini(&conf);
}

static void knows_no_quota_file_where_quotas_are_kept_otherwise(void)
{
	static const char *const elsewhere[] = {
		"quota_db: twoskip\n",
		"quota_db: skiplist\n",
		"configdirectory: /c\nquota_db_path: /q/quota\n",
		"configdirectory: /c\nquota_db_path: /c/x/quota\n",
		"configdirectory: /c\nquota_db_path: quota\n",
	};
	struct buf path = BUF_NULL;

	for (size_t i = 0; i < array_size(elsewhere); i++)
		CU_ASSERT_EQUAL(quota_of(elsewhere[i], span_of_str("user.x"), &path), -ENOTSUP);
	CU_ASSERT_EQUAL(path.len, 0);
	assert_quota("quota_db: quotalegacy\nconfigdirectory: /c\nquota_db_path: /c/any\n",
		     "user.x", "quota/x/user.x");
}

static void refuses_hostile_quota_roots(void)
{
	static const char *const roots[] = { "",     ".",	    "..",  "/",
					     "a/b",  "user.a/../b", "!x",  ".!x",
					     "..!x", "a/b!user.x",  "x!.", "x!..",
					     "x!a/b" };
	static const char domains[] = "virtdomains: userid\n";
	struct buf path = BUF_NULL, root = BUF_NULL;

	for (size_t i = 0; i < array_size(roots); i++)
		CU_ASSERT_EQUAL(quota_of(domains, span_of_str(roots[i]), &path), -EBADMSG);
	CU_ASSERT_EQUAL(quota_of(domains, span_of("user.a\0b", 8), &path), -EBADMSG);
	CU_ASSERT_EQUAL(quota_of(domains, span_of("a\0!user.b", 9), &path), -EBADMSG);
	CU_ASSERT_EQUAL(quota_of("fulldirhash: Yes\n", span_of_str("x"), &path), -EBADMSG);
	CU_ASSERT_EQUAL(quota_of("virtdomains: Userid\n", span_of_str("x"), &path), -EBADMSG);
	CU_ASSERT_EQUAL(path.len, 0);
	for (unsigned i = 0; i < 4096 - strlen("quota/x/"); i++)
		buf_add_char(&root, 'x');
	CU_ASSERT_EQUAL(quota_of(domains, buf_span(&root), &path), 0);
	CU_ASSERT_EQUAL(path.len, 4096);
	buf_add_char(&root, 'x');
	buf_clear(&path);
	CU_ASSERT_EQUAL(quota_of(domains, buf_span(&root), &path), -EBADMSG);
	CU_ASSERT_EQUAL(path.len, 0);
	buf_fini(&path);
	buf_fini(&root);
}

/* ---- The way back ---------------------------------------------------------------------------- */

/* `expected` NULL: no mailbox has it. */
static void assert_name(const char *conf_text, const char *rel, const char *expected)
{
	struct imapd_conf conf = conf_of(conf_text);
	struct buf name = BUF_NULL, whole = BUF_NULL;

	buf_add_str(&name, ">");
	bool found = layout_parse_mailbox_dir(&name, &conf, rel);
	buf_addf(&whole, ">%s", found && expected ? expected : "");
	(void)CU_assertImplementation(found == (expected != NULL) &&
					      span_equals(buf_span(&name), buf_span(&whole)),
				      __LINE__, rel, __FILE__, "", CU_FALSE);
	buf_fini(&name);
	buf_fini(&whole);
	imapd_conf_fini(&conf);
}

static void finds_the_name_of_a_directory(void)
{
	static const struct {
		const char *hashed, *full, *plain, *name;
	} cases[] = {
		{ "a/user/alice", "L/user/alice", "user/alice", "user.alice" },
		{ "a/user/alice/Sub Folder^x", "L/user/alice/Sub Folder^x",
		  "user/alice/Sub Folder^x", "user.alice.Sub Folder^x" },
		{ "b/user/b^ob", "G/user/b^ob", "user/b^ob", "user.b^ob" },
		{ "q/user/^dot", "A/user/^dot", "user/^dot", "user.^dot" },
		{ "s/shared", "T/shared", "shared", "shared" },
		{ "u/user", NULL, "user", "user" }, /* it could be one */
		{ "domain/e/example.com/z/user/zoe/Work", "domain/O/example.com/J/user/zoe/Work",
		  "domain/example.com/user/zoe/Work", "example.com!user.zoe.Work" },
		{ "domain/e/example.com/s/shared", "domain/O/example.com/T/shared",
		  "domain/example.com/shared", "example.com!shared" },
		{ "u/DELETED/user/alice/X/6B046900", NULL, "DELETED/user/alice/X/6B046900",
		  "DELETED.user.alice.X.6B046900" },
		{ "x/domain/x/y", NULL, NULL, "domain.x.y" },
	};
	static const char userid[] = "virtdomains: userid\n";

	for (size_t i = 0; i < array_size(cases); i++) {
		if (cases[i].hashed)
			assert_name("hashimapspool: yes\nvirtdomains: userid\n", cases[i].hashed,
				    cases[i].name);
		if (cases[i].full)
			assert_name("hashimapspool: yes\nfulldirhash: yes\n", cases[i].full,
				    cases[i].name);
		if (cases[i].plain)
			assert_name(userid, cases[i].plain, cases[i].name);
	}
	/* Both mailboxes would have it; the configuration says which can be. */
	assert_name(userid, "domain/x/y", "x!y");
	assert_name("x: y\n", "domain/x/y", "domain.x.y");
	assert_name(userid, "domain/x", "domain.x");
	assert_name(userid, "domain", "domain");
	assert_name(userid, "domain/example.com/shared", "example.com!shared");
	assert_name("x: y\n", "domain/example.com/shared", "example.com!shared");
	assert_name(userid, "uuid/a/b/abc", "uuid.a.b.abc");
}

static void finds_no_name_where_no_mailbox_can_be(void)
{
	static const char *const everywhere[] = {
		"",
		"/",
		"/user/x",
		"user/x/",
		"user//x",
		".",
		"..",
		"../x",
		"user/..",
		"user/x/.",
		"stage.",
		"sync./17",
		"user/joe.smith",
		"u/user/joe.smith",
		"domain/",
		"domain//x",
		"domain/./x",
		"domain/../x",
		"domain/x/",
		"domain/example.com",
		"domain/e/",
	};
	static const char *const hashed[] = {
		"a",
		"user/alice",
		"b/user/alice",
		"A/user/alice",
		"aa/user/alice",
		"/user/alice",
		"a/user",
		"domain/e/example.com",
		"domain/e/example.com/z",
		"domain/e",
		"domain/e/example.com/user/zoe",
		"domain/x/example.com/z/user/zoe",
		"domain/e/example.com/y/user/zoe",
		"uuid/a/b/abc",
	};
	struct buf rel = BUF_NULL;

	for (size_t i = 0; i < array_size(everywhere); i++) {
		assert_name("virtdomains: userid\n", everywhere[i], NULL);
		assert_name("virtdomains: off\n", everywhere[i], NULL);
		assert_name("hashimapspool: yes\n", everywhere[i], NULL);
		assert_name("hashimapspool: yes\nfulldirhash: yes\n", everywhere[i], NULL);
	}
	for (size_t i = 0; i < array_size(hashed); i++) {
		assert_name("hashimapspool: yes\nvirtdomains: userid\n", hashed[i], NULL);
		assert_name("hashimapspool: yes\n", hashed[i], NULL);
	}
	assert_name("hashimapspool: Yes\n", "user/x", NULL);
	assert_name("fulldirhash: Yes\n", "user/x", NULL);
	assert_name("virtdomains: Yes\n", "user/x", NULL);
	for (unsigned i = 0; i < 4096; i++)
		buf_add_char(&rel, 'x');
	assert_name("x: y\n", buf_str(&rel), buf_str(&rel));
	buf_add_char(&rel, 'x');
	assert_name("x: y\n", buf_str(&rel), NULL);
	buf_fini(&rel);
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
	CASE(finds_legacy_directories_in_every_kind_of_spool),
	CASE(finds_directories_by_unique_id),
	CASE(finds_a_mailbox_without_unique_id_by_name),
	CASE(appends_and_appends_nothing_on_failure),
	CASE(refuses_hostile_names),
	CASE(refuses_hostile_unique_ids),
	CASE(refuses_paths_beyond_4096_bytes),
	CASE(refuses_to_guess_an_unreadable_switch),
	CASE(finds_the_root_of_each_kind_of_file),
	CASE(knows_the_name_of_each_kind_of_file),
	CASE(finds_the_mailbox_list),
	CASE(finds_the_annotations),
	CASE(finds_the_file_of_a_quota_root),
	CASE(knows_no_quota_file_where_quotas_are_kept_otherwise),
	CASE(refuses_hostile_quota_roots),
	CASE(finds_the_name_of_a_directory),
	CASE(finds_no_name_where_no_mailbox_can_be),
	CASE(tells_message_files_from_others),
};

const struct test_suite suite_format_layout = { "format/layout", cases, array_size(cases) };

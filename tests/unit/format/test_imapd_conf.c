// SPDX-License-Identifier: Apache-2.0
/*
 * imapd.conf: each case was tried on 3.6.1, which read it so or refused it so. Where we are
 * stricter (a NUL byte, 16 includes, a relative configdirectory), the test says it.
 */
#include "suites.h"

#include <CUnit/CUnit.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "format/cyrus/imapd_conf.h"

/* Remembers the last message and counts the errors. */
struct heard {
	char last[512];
	unsigned errors, warnings;
};

static void hear(enum log_level level, const char *text, void *ctx)
{
	struct heard *heard = ctx;

	(void)snprintf(heard->last, sizeof(heard->last), "%s", text);
	heard->errors += level == LOG_LEVEL_ERROR;
	heard->warnings += level == LOG_LEVEL_WARNING;
}

static int parse_text(struct imapd_conf *conf, const char *text, struct heard *heard)
{
	struct log log = { hear, heard, LOG_LEVEL_DEBUG };

	return imapd_conf_parse(conf, span_of_str(text), "main", 0, NULL, &log, NULL);
}

static void reads_options_as_cyrus_does(void)
{
	static const struct {
		const char *text, *name, *value; /* NULL: not set */
	} cases[] = {
		{ "admins: cyrus\n", "admins", "cyrus" },
		{ "admins: cyrus", "admins", "cyrus" },
		{ "admins:cyrus\n", "admins", "cyrus" },
		{ "  \tadmins:\t cyrus \t\n", "admins", "cyrus" },
		{ "admins: cyrus\r\n", "admins", "cyrus" },
		{ "\r\nadmins: a b\v\f\r\n", "admins", "a b" },
		{ "\n\n \nadmins: a\n\n", "admins", "a" },
		{ "ADMINS: Cyrus\n", "admins", "Cyrus" },
		{ "partition-Default: /X\n", "partition-default", "/X" },
		{ "a: b: c\n", "a", "b: c" },
		{ "a: x # y\n", "a", "x # y" },
		{ "# admins: a\nadmins: b\n", "admins", "b" },
		{ "  # admins: a\n", "admins", NULL },
		{ "#\n#:\n", "admins", NULL },
		{ "admins: a \\\n  b\n", "admins", "a   b" },
		{ "admins: a\\\nb\\\nc\n", "admins", "abc" },
		{ "admins: \\\na\n", "admins", "a" },
		{ "adm\\\nins: a\n", "admins", "a" },
		{ "\\\nadmins: a\n", "admins", "a" },
		{ "# note \\\nadmins: a\n", "admins", NULL },
		{ "admins: a \\", "admins", "a \\" },
		{ "admins: a \\\r\n", "admins", "a \\" },
		{ "admins: a \\ \nb: c\n", "admins", "a \\" },
		{ "admins: a\\\\\n\nb: c\n", "admins", "ab: c" },
		{ "imap_sync_log: no\nsync_log: yes\n", "sync_log", "yes" },
		{ "imap_sync_log: no\nsync_log: yes\n", "imap_sync_log", "no" },
		{ "_x-9: y\n", "_x-9", "y" },
		{ "9: y\n", "9", "y" },
		{ "admins: caf\xc3\xa9\n", "admins", "caf\xc3\xa9" },
		{ "", "admins", NULL },
		{ "admins: a\n", "admin", NULL },
	};

	for (size_t i = 0; i < array_size(cases); i++) {
		struct imapd_conf conf = IMAPD_CONF_NULL;
		struct heard heard = { 0 };
		CU_ASSERT_EQUAL(parse_text(&conf, cases[i].text, &heard), 0);
		const char *value = imapd_conf_get(&conf, cases[i].name, "(none)");
		CU_ASSERT_STRING_EQUAL(value, cases[i].value ? cases[i].value : "(none)");
		CU_ASSERT_EQUAL(heard.errors, 0);
		imapd_conf_fini(&conf);
		imapd_conf_fini(&conf);
	}
}

static void remembers_where_an_option_was_given(void)
{
	struct imapd_conf conf = IMAPD_CONF_NULL;
	struct heard heard = { 0 };

	CU_ASSERT_EQUAL(parse_text(&conf, "# x\n\na: 1\nb: 2 \\\n 3\nc: 4\n", &heard), 0);
	CU_ASSERT_EQUAL_FATAL(conf.nr_options, 3);
	CU_ASSERT_STRING_EQUAL(conf.options[0].name, "a");
	CU_ASSERT_STRING_EQUAL(conf.options[0].file, "main");
	CU_ASSERT_EQUAL(conf.options[0].line, 3);
	CU_ASSERT_EQUAL(conf.options[1].line, 5);
	CU_ASSERT_EQUAL(conf.options[2].line, 6);
	imapd_conf_fini(&conf);
}

static void refuses_what_cyrus_refuses(void)
{
	static const struct {
		const char *text, *said;
	} cases[] = {
		{ "a: 1\na: 2\n", "main:2: option a was given before, at main:1" },
		{ "a: 1\nA: 1\n", "main:2: option a was given before, at main:1" },
		{ "imap_x: 1\nIMAP_x: 2\n", "main:2: option imap_x was given before, at main:1" },
		{ "a:\n", "main:1: option a has no value" },
		{ "x: y\n\nA:  \t \r\n", "main:3: option a has no value" },
		{ "a: \\\n\n", "main:2: option a has no value" },
		{ "admins\n", "main:1: not an option: expected `name: value`" },
		{ "admins a: b\n", "main:1: not an option: expected `name: value`" },
		{ "admins : b\n", "main:1: not an option: expected `name: value`" },
		{ "a.b: c\n", "main:1: not an option: expected `name: value`" },
		{ "a/b: c\n", "main:1: not an option: expected `name: value`" },
		{ "caf\xc3\xa9: c\n", "main:1: not an option: expected `name: value`" },
		{ ": c\n", "main:1: not an option: expected `name: value`" },
		{ "a\\\nb\\\nc\n", "main:3: not an option: expected `name: value`" },
		{ "@frob: x\n", "main:1: no such directive: @frob" },
		{ "@: x\n", "main:1: no such directive: @" },
		{ "@include:\n", "main:1: option @include has no value" },
		{ "a@b: x\n", "main:1: not an option: expected `name: value`" },
	};

	for (size_t i = 0; i < array_size(cases); i++) {
		struct imapd_conf conf = IMAPD_CONF_NULL;
		struct heard heard = { 0 };
		CU_ASSERT_EQUAL(parse_text(&conf, cases[i].text, &heard), -EBADMSG);
		CU_ASSERT_STRING_EQUAL(heard.last, cases[i].said);
		CU_ASSERT_EQUAL(heard.errors, 1);
		imapd_conf_fini(&conf);
	}
}

static void refuses_nul_bytes(void)
{
	struct imapd_conf conf = IMAPD_CONF_NULL;

	CU_ASSERT_EQUAL(imapd_conf_parse(&conf, span_of("a: b\0c\n", 7), "main", 0, NULL, NULL,
					 NULL),
			-EBADMSG);
	CU_ASSERT_EQUAL(imapd_conf_parse(&conf, span_of("# \0\n", 4), "main", 0, NULL, NULL, NULL),
			-EBADMSG);
	imapd_conf_fini(&conf);
}

static void warns_of_a_last_line_that_cyrus_drops(void)
{
	struct imapd_conf conf = IMAPD_CONF_NULL;
	struct heard heard = { 0 };

	CU_ASSERT_EQUAL(parse_text(&conf, "admins: a\nsync_log: yes\\\n", &heard), 0);
	CU_ASSERT_STRING_EQUAL(imapd_conf_get(&conf, "admins", ""), "a");
	CU_ASSERT_PTR_NULL(imapd_conf_get(&conf, "sync_log", NULL));
	CU_ASSERT_EQUAL(heard.warnings, 1);
	imapd_conf_fini(&conf);

	/* A lone backslash drops nothing that anybody wrote. */
	heard = (struct heard){ 0 };
	CU_ASSERT_EQUAL(parse_text(&conf, "admins: a\n \\\n", &heard), 0);
	CU_ASSERT_EQUAL(heard.warnings, 0);
	imapd_conf_fini(&conf);
}

static void takes_as_much_as_it_promises(void)
{
	struct imapd_conf conf = IMAPD_CONF_NULL;
	struct buf text = BUF_NULL;
	struct heard heard = { 0 };

	for (unsigned i = 0; i < 16384; i++)
		buf_addf(&text, "option_%u: x\n", i);
	CU_ASSERT_EQUAL(parse_text(&conf, buf_str(&text), &heard), 0);
	CU_ASSERT_EQUAL(conf.nr_options, 16384);
	imapd_conf_fini(&conf);
	buf_add_str(&text, "one_more: x\n");
	CU_ASSERT_EQUAL(parse_text(&conf, buf_str(&text), &heard), -E2BIG);
	imapd_conf_fini(&conf);

	buf_clear(&text);
	buf_add_str(&text, "a: ");
	while (text.len < (1 << 20))
		buf_add_char(&text, 'x');
	CU_ASSERT_EQUAL(parse_text(&conf, buf_str(&text), &heard), 0);
	imapd_conf_fini(&conf);
	buf_add_char(&text, 'x');
	CU_ASSERT_EQUAL(parse_text(&conf, buf_str(&text), &heard), -E2BIG);
	imapd_conf_fini(&conf);
	buf_fini(&text);
}

/* ---- Includes, from files that are not there ------------------------------------------------- */

static const struct fake_file {
	const char *path, *text;
} fake_files[] = {
	{ "/empty", "# nothing\n" },
	{ "/a", "from_a: 1\n" },
	{ "/a again", "from_a: 1\n" },
	{ "/b", "from_b: 1\n@include: /a\n" },
	{ "/twice", "@include: /empty\n@include: /empty\n" },
	{ "/itself", "@include: /itself\n" },
	{ "/main", "@include: main\n" },
	{ "/ping", "@include: /pong\n" },
	{ "/pong", "@include: /ping\n" },
	{ "/wrong", "wrong\n" },
};

/* Every path "/deep/N" includes "/deep/N+1", to the end given in ctx. */
static int include_fake(struct imapd_conf *conf, const char *path, unsigned depth,
			const struct log *log, void *ctx)
{
	unsigned n;

	if (sscanf(path, "/deep/%u", &n) == 1) {
		char text[64] = "deepest: 1\n";
		if (n < *(unsigned *)ctx)
			(void)snprintf(text, sizeof(text), "@include: /deep/%u\n", n + 1);
		return imapd_conf_parse(conf, span_of_str(text), path, depth, include_fake, log,
					ctx);
	}
	for (size_t i = 0; i < array_size(fake_files); i++)
		if (strcmp(fake_files[i].path, path) == 0)
			return imapd_conf_parse(conf, span_of_str(fake_files[i].text), path, depth,
						include_fake, log, ctx);
	return -ENOENT;
}

static int parse_with_includes(struct imapd_conf *conf, const char *text, unsigned deepest)
{
	return imapd_conf_parse(conf, span_of_str(text), "main", 0, include_fake, NULL, &deepest);
}

static void reads_included_files_in_place(void)
{
	struct imapd_conf conf = IMAPD_CONF_NULL;

	CU_ASSERT_EQUAL(
		parse_with_includes(&conf, "x: 1\n@include: /b\n@INCLUDE:/empty\ny: 2\n", 0), 0);
	CU_ASSERT_STRING_EQUAL(imapd_conf_get(&conf, "from_a", ""), "1");
	CU_ASSERT_STRING_EQUAL(imapd_conf_get(&conf, "from_b", ""), "1");
	CU_ASSERT_STRING_EQUAL(imapd_conf_get(&conf, "y", ""), "2");
	for (size_t i = 0; i < conf.nr_options; i++)
		if (strcmp(conf.options[i].name, "from_a") == 0)
			CU_ASSERT_STRING_EQUAL(conf.options[i].file, "/a");
	imapd_conf_fini(&conf);
}

static void refuses_wrong_includes(void)
{
	static const struct {
		const char *text;
		int result;
	} cases[] = {
		{ "@include: /empty\n@include: /empty\n", -EEXIST },
		{ "@include: /a\n@include: /b\n", -EEXIST },
		{ "@include: /twice\n", -EEXIST },
		{ "@include: /itself\n", -EEXIST },
		{ "@include: main\n", -EEXIST },
		{ "@include: /main\n", -EEXIST },
		{ "@include: /ping\n", -EEXIST },
		{ "@include: /a\n@include: /a again\n", -EBADMSG }, /* the same option twice */
		{ "from_a: 0\n@include: /a\n", -EBADMSG },
		{ "@include: /wrong\n", -EBADMSG },
		{ "@include: /nowhere\n", -ENOENT },
	};

	for (size_t i = 0; i < array_size(cases); i++) {
		struct imapd_conf conf = IMAPD_CONF_NULL;
		CU_ASSERT_EQUAL(parse_with_includes(&conf, cases[i].text, 0), cases[i].result);
		imapd_conf_fini(&conf);
	}
}

static void refuses_includes_where_none_are_read(void)
{
	struct imapd_conf conf = IMAPD_CONF_NULL;
	struct heard heard = { 0 };

	CU_ASSERT_EQUAL(parse_text(&conf, "@include: /a\n", &heard), -EBADMSG);
	CU_ASSERT_EQUAL(heard.errors, 1);
	imapd_conf_fini(&conf);
}

static void goes_16_includes_deep_and_no_deeper(void)
{
	struct imapd_conf conf = IMAPD_CONF_NULL;

	CU_ASSERT_EQUAL(parse_with_includes(&conf, "@include: /deep/1\n", 16), 0);
	CU_ASSERT_STRING_EQUAL(imapd_conf_get(&conf, "deepest", ""), "1");
	imapd_conf_fini(&conf);
	CU_ASSERT_EQUAL(parse_with_includes(&conf, "@include: /deep/1\n", 17), -ELOOP);
	imapd_conf_fini(&conf);
}

/* ---- Files ----------------------------------------------------------------------------------- */

struct folder {
	char path[256];
};

static struct folder folder_make(void)
{
	struct folder folder;
	const char *tmp = getenv("TMPDIR");

	(void)snprintf(folder.path, sizeof(folder.path), "%s/assay-conf-XXXXXX",
		       tmp && *tmp ? tmp : "/tmp");
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(folder.path));
	return folder;
}

static const char *folder_path(const struct folder *folder, const char *name)
{
	static char path[512];

	(void)snprintf(path, sizeof(path), "%s/%s", folder->path, name);
	return path;
}

static void folder_write(const struct folder *folder, const char *name, const char *text)
{
	FILE *f = fopen(folder_path(folder, name), "w");

	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	(void)fputs(text, f);
	CU_ASSERT_EQUAL(fclose(f), 0);
}

static void folder_remove(const struct folder *folder)
{
	static const char *const names[] = { "imapd.conf", "more.conf", "link.conf", "fifo" };

	for (size_t i = 0; i < array_size(names); i++)
		(void)unlink(folder_path(folder, names[i]));
	CU_ASSERT_EQUAL(rmdir(folder->path), 0);
}

/* Reads `text` from a file named imapd.conf. */
static int read_text(struct imapd_conf *conf, const char *text, struct heard *heard)
{
	struct folder folder = folder_make();
	struct log log = { hear, heard, LOG_LEVEL_DEBUG };

	folder_write(&folder, "imapd.conf", text);
	int r = imapd_conf_read(conf, folder_path(&folder, "imapd.conf"), &log);
	folder_remove(&folder);
	return r;
}

static void reads_a_file_and_what_it_includes(void)
{
	struct folder folder = folder_make();
	struct imapd_conf conf = IMAPD_CONF_NULL;
	struct buf text = BUF_NULL;

	buf_addf(&text, "configdirectory: /c\n@include: %s/more.conf\n", folder.path);
	folder_write(&folder, "imapd.conf", buf_str(&text));
	folder_write(&folder, "more.conf", "sievedir: {configdirectory}/sieve\n");
	CU_ASSERT_EQUAL(imapd_conf_read(&conf, folder_path(&folder, "imapd.conf"), NULL), 0);
	CU_ASSERT_STRING_EQUAL(imapd_conf_get(&conf, "sievedir", ""), "/c/sieve");
	imapd_conf_fini(&conf);

	/* imapd.conf is often a link. */
	CU_ASSERT_EQUAL(symlink("imapd.conf", folder_path(&folder, "link.conf")), 0);
	CU_ASSERT_EQUAL(imapd_conf_read(&conf, folder_path(&folder, "link.conf"), NULL), 0);
	imapd_conf_fini(&conf);
	folder_remove(&folder);
	buf_fini(&text);
}

static void replaces_configdirectory_where_cyrus_does(void)
{
	static const char text[] = "sievedir: {configdirectory}/sieve\n"
				   "mboxlist_db_path: {ConfigDirectory}/m.db\n"
				   "sync_log_file: x{configdirectory}\n"
				   "lone: {configdirectory}\n"
				   "near: {configdirectory\n"
				   "partition-p: {configdirectory}/p\n"
				   "metapartition-p: {configdirectory}/m\n"
				   "metadir-index-p: {configdirectory}/i\n"
				   "archivepartition-p: {configdirectory}/a\n"
				   "configdirectory: /c\n";
	static const struct {
		const char *name, *value;
	} expected[] = {
		{ "sievedir", "/c/sieve" },
		{ "mboxlist_db_path", "/c/m.db" },
		{ "sync_log_file", "x{configdirectory}" },
		{ "lone", "/c" },
		{ "near", "{configdirectory" },
		{ "partition-p", "{configdirectory}/p" },
		{ "metapartition-p", "{configdirectory}/m" },
		{ "metadir-index-p", "{configdirectory}/i" },
		{ "archivepartition-p", "{configdirectory}/a" },
		{ "configdirectory", "/c" },
	};
	struct imapd_conf conf = IMAPD_CONF_NULL;
	struct heard heard = { 0 };

	CU_ASSERT_EQUAL(read_text(&conf, text, &heard), 0);
	for (size_t i = 0; i < array_size(expected); i++)
		CU_ASSERT_STRING_EQUAL(imapd_conf_get(&conf, expected[i].name, ""),
				       expected[i].value);
	imapd_conf_fini(&conf);
}

static void wants_an_absolute_configdirectory(void)
{
	static const char *const wrong[] = {
		"",
		"admins: a\n",
		"configdirectory: conf\n",
		"configdirectory: {configdirectory}/x\n",
		"imap_configdirectory: /c\n",
	};

	for (size_t i = 0; i < array_size(wrong); i++) {
		struct imapd_conf conf = IMAPD_CONF_NULL;
		struct heard heard = { 0 };
		CU_ASSERT_EQUAL(read_text(&conf, wrong[i], &heard), -EBADMSG);
		CU_ASSERT_EQUAL(heard.errors, 1);
		CU_ASSERT_EQUAL(conf.nr_options, 0);
		imapd_conf_fini(&conf);
	}
}

static void says_why_a_file_cannot_be_read(void)
{
	struct folder folder = folder_make();
	struct imapd_conf conf = IMAPD_CONF_NULL;
	struct heard heard = { 0 };
	struct log log = { hear, &heard, LOG_LEVEL_DEBUG };
	struct buf text = BUF_NULL;

	CU_ASSERT_EQUAL(imapd_conf_read(&conf, folder_path(&folder, "imapd.conf"), &log), -ENOENT);
	CU_ASSERT_EQUAL(heard.errors, 1);
	CU_ASSERT_EQUAL(imapd_conf_read(&conf, folder.path, &log), -EINVAL);
	CU_ASSERT_EQUAL(heard.errors, 2);
	/* Must not wait for a writer. */
	CU_ASSERT_EQUAL(mkfifo(folder_path(&folder, "fifo"), 0600), 0);
	CU_ASSERT_EQUAL(imapd_conf_read(&conf, folder_path(&folder, "fifo"), &log), -EINVAL);
	CU_ASSERT_EQUAL(heard.errors, 3);

	buf_addf(&text, "configdirectory: /c\n@include: %s/more.conf\n", folder.path);
	folder_write(&folder, "imapd.conf", buf_str(&text));
	CU_ASSERT_EQUAL(imapd_conf_read(&conf, folder_path(&folder, "imapd.conf"), &log), -ENOENT);
	CU_ASSERT_EQUAL(heard.errors, 4);
	CU_ASSERT_EQUAL(conf.nr_options, 0);

	buf_clear(&text);
	while (text.len <= (1 << 20))
		buf_add_str(&text, "# nothing but comments\n");
	folder_write(&folder, "imapd.conf", buf_str(&text));
	CU_ASSERT_EQUAL(imapd_conf_read(&conf, folder_path(&folder, "imapd.conf"), &log), -E2BIG);
	CU_ASSERT_EQUAL(heard.errors, 5);
	folder_remove(&folder);
	buf_fini(&text);
}

static void refuses_a_file_that_includes_itself(void)
{
	struct folder folder = folder_make();
	struct imapd_conf conf = IMAPD_CONF_NULL;
	struct buf text = BUF_NULL;

	buf_addf(&text, "@include: %s/imapd.conf\n", folder.path);
	folder_write(&folder, "imapd.conf", buf_str(&text));
	CU_ASSERT_EQUAL(imapd_conf_read(&conf, folder_path(&folder, "imapd.conf"), NULL), -EEXIST);
	folder_remove(&folder);
	buf_fini(&text);
}

/* ---- Values ---------------------------------------------------------------------------------- */

static void reads_switches_by_their_first_letters(void)
{
	static const struct {
		const char *value;
		int result; /* 1: on, 0: off */
	} cases[] = {
		{ "yes", 1 },	       { "y", 1 },	   { "1", 1 },	       { "10", 1 },
		{ "true", 1 },	       { "t", 1 },	   { "on", 1 },	       { "once", 1 },
		{ "no", 0 },	       { "n", 0 },	   { "0", 0 },	       { "false", 0 },
		{ "frob", 0 },	       { "off", 0 },	   { "of", 0 },	       { "o", -EBADMSG },
		{ "Yes", -EBADMSG },   { "NO", -EBADMSG }, { "ON", -EBADMSG }, { "2", -EBADMSG },
		{ "maybe", -EBADMSG },
	};

	for (size_t i = 0; i < array_size(cases); i++) {
		struct imapd_conf conf = IMAPD_CONF_NULL;
		struct heard heard = { 0 };
		struct log log = { hear, &heard, LOG_LEVEL_DEBUG };
		struct buf text = BUF_NULL;
		bool on = cases[i].result == 0;

		buf_addf(&text, "sync_log: %s\n", cases[i].value);
		CU_ASSERT_EQUAL(parse_text(&conf, buf_str(&text), &heard), 0);
		int r = imapd_conf_get_switch(&conf, "sync_log", false, &log, &on);
		CU_ASSERT_EQUAL(r, min_of(cases[i].result, 0));
		if (r == 0)
			CU_ASSERT_EQUAL(on, cases[i].result == 1);
		CU_ASSERT_EQUAL(heard.errors, r != 0);
		imapd_conf_fini(&conf);
		buf_fini(&text);
	}
}

static void falls_back_where_a_switch_is_not_set(void)
{
	struct imapd_conf conf = IMAPD_CONF_NULL;
	bool on = false;

	CU_ASSERT_EQUAL(imapd_conf_get_switch(&conf, "sync_log", true, NULL, &on), 0);
	CU_ASSERT(on);
	CU_ASSERT_EQUAL(imapd_conf_get_switch(&conf, "sync_log", false, NULL, &on), 0);
	CU_ASSERT_FALSE(on);
}

static void finds_words_and_not_parts_of_them(void)
{
	struct imapd_conf conf = IMAPD_CONF_NULL;
	struct heard heard = { 0 };

	CU_ASSERT_EQUAL(parse_text(&conf, "files: header  index\tcache \\\n squat\n", &heard), 0);
	CU_ASSERT(imapd_conf_has_word(&conf, "files", "header"));
	CU_ASSERT(imapd_conf_has_word(&conf, "files", "index"));
	CU_ASSERT(imapd_conf_has_word(&conf, "files", "cache"));
	CU_ASSERT(imapd_conf_has_word(&conf, "files", "squat"));
	CU_ASSERT_FALSE(imapd_conf_has_word(&conf, "files", "head"));
	CU_ASSERT_FALSE(imapd_conf_has_word(&conf, "files", "header index"));
	CU_ASSERT_FALSE(imapd_conf_has_word(&conf, "files", "Header"));
	CU_ASSERT_FALSE(imapd_conf_has_word(&conf, "files", ""));
	CU_ASSERT_FALSE(imapd_conf_has_word(&conf, "nothing", "header"));
	imapd_conf_fini(&conf);
}

static const struct test_case cases[] = {
	{ "reads_options_as_cyrus_does", reads_options_as_cyrus_does },
	{ "remembers_where_an_option_was_given", remembers_where_an_option_was_given },
	{ "refuses_what_cyrus_refuses", refuses_what_cyrus_refuses },
	{ "refuses_nul_bytes", refuses_nul_bytes },
	{ "warns_of_a_last_line_that_cyrus_drops", warns_of_a_last_line_that_cyrus_drops },
	{ "takes_as_much_as_it_promises", takes_as_much_as_it_promises },
	{ "reads_included_files_in_place", reads_included_files_in_place },
	{ "refuses_wrong_includes", refuses_wrong_includes },
	{ "refuses_includes_where_none_are_read", refuses_includes_where_none_are_read },
	{ "goes_16_includes_deep_and_no_deeper", goes_16_includes_deep_and_no_deeper },
	{ "reads_a_file_and_what_it_includes", reads_a_file_and_what_it_includes },
	{ "replaces_configdirectory_where_cyrus_does", replaces_configdirectory_where_cyrus_does },
	{ "wants_an_absolute_configdirectory", wants_an_absolute_configdirectory },
	{ "says_why_a_file_cannot_be_read", says_why_a_file_cannot_be_read },
	{ "refuses_a_file_that_includes_itself", refuses_a_file_that_includes_itself },
	{ "reads_switches_by_their_first_letters", reads_switches_by_their_first_letters },
	{ "falls_back_where_a_switch_is_not_set", falls_back_where_a_switch_is_not_set },
	{ "finds_words_and_not_parts_of_them", finds_words_and_not_parts_of_them },
};

const struct test_suite suite_format_imapd_conf = { "format/imapd_conf", cases, array_size(cases) };

// SPDX-License-Identifier: Apache-2.0
/*
 * What dpkg keeps of packages: as dpkg 1.21.22 wrote it, and every way of being wrong. What is wrong
 * is told, and hides nothing of what stands behind it.
 */
#include "suites.h"

#include <CUnit/CUnit.h>
#include <errno.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/text.h"
#include "format/dpkg/dpkg.h"

#define MD5 "0123456789abcdef0123456789ABCDEF"

/* Each callback writes what it is handed as a line. */
static int on_package(const struct dpkg_package *package, void *ctx)
{
	struct buf *said = ctx;

	buf_add_span(said, package->name);
	buf_add_char(said, '|');
	buf_add_span(said, package->arch);
	buf_add_char(said, '|');
	buf_add_span(said, package->version);
	buf_addf(said, "|%d%d%d%d\n", package->state, package->is_multi_arch_same,
		 package->needs_reinstall, dpkg_is_unpacked(package));
	return 0;
}

static int on_conffile(const struct dpkg_conffile *conffile, void *ctx)
{
	struct buf *said = ctx;

	buf_add_span(said, conffile->path);
	buf_addf(said, "|%d%d%d\n", conffile->has_md5, conffile->is_obsolete,
		 conffile->is_removed_on_upgrade);
	return 0;
}

static int on_conffiles_of(const struct dpkg_package *package, void *ctx)
{
	return dpkg_parse_conffiles(package->conffiles, on_conffile, ctx);
}

static int on_md5(struct span path, const uint8_t md5[DPKG_MD5_LEN], void *ctx)
{
	char hex[2 * DPKG_MD5_LEN + 1];

	text_hex(md5, DPKG_MD5_LEN, hex);
	CU_ASSERT_STRING_EQUAL(hex, "0123456789abcdef0123456789abcdef");
	buf_add_span(ctx, path);
	buf_add_char(ctx, '\n');
	return 0;
}

static int on_path(struct span path, void *ctx)
{
	buf_add_span(ctx, path);
	buf_add_char(ctx, '\n');
	return 0;
}

static int on_diversion(const struct dpkg_diversion *diversion, void *ctx)
{
	struct buf *said = ctx;

	buf_add_span(said, diversion->from);
	buf_add_char(said, '|');
	buf_add_span(said, diversion->to);
	buf_add_char(said, '|');
	buf_add_span(said, diversion->package);
	buf_add_char(said, '\n');
	return 0;
}

/* Runs a walk over bytes that end where their memory does. */
#define EXPECT(parse, fn, text, len, result, wanted)                                               \
	do {                                                                                       \
		struct buf said_ = BUF_NULL;                                                       \
		uint8_t *copy_ = malloc((len) + !(len));                                           \
		CU_ASSERT_PTR_NOT_NULL_FATAL(copy_);                                               \
		memcpy(copy_, text, len);                                                          \
		CU_ASSERT_EQUAL(parse(span_of(copy_, len), fn, &said_), result);                   \
		CU_ASSERT_STRING_EQUAL(buf_str(&said_), wanted);                                   \
		free(copy_);                                                                       \
		buf_fini(&said_);                                                                  \
	} while (0)

#define EXPECT_STR(parse, fn, text, result, wanted)                                                \
	EXPECT(parse, fn, text, strlen(text), result, wanted)

static const char status[] = "Package: adduser\n"
			     "Status: install ok installed\n"
			     "Priority: important\n"
			     "Architecture: all\n"
			     "Multi-Arch: foreign\n"
			     "Version: 3.134\n"
			     "Depends: passwd\n"
			     "Conffiles:\n"
			     " /etc/adduser.conf " MD5 "\n"
			     " /etc/a file with blanks " MD5 " obsolete\n"
			     " /etc/new newconffile remove-on-upgrade\n"
			     " /etc/both " MD5 " obsolete remove-on-upgrade\n"
			     " /etc/later " MD5 " some-flag\n"
			     "Description: add and remove users and groups\n"
			     " Package: is no field here\n"
			     " .\n"
			     "Homepage: https://example.org/\n"
			     "\n"
			     "package: libc6\n"
			     "status: install reinstreq half-installed\n"
			     "architecture: amd64\n"
			     "multi-arch: same\n"
			     "\n"
			     "\n"
			     "Package: gone\n"
			     "Status: deinstall ok config-files\n";

static void reads_packages_with_their_states(void)
{
	EXPECT_STR(dpkg_parse_status, on_package, status, 0,
		   "adduser|all|3.134|7001\nlibc6|amd64||2110\ngone|||1000\n");
	EXPECT_STR(dpkg_parse_status, on_package, "", 0, "");
	EXPECT_STR(dpkg_parse_status, on_package, "\n\n\n", 0, "");
}

static void knows_every_state(void)
{
	static const struct {
		const char *state;
		int number, unpacked;
	} states[] = {
		{ "not-installed", 0, 0 },    { "config-files", 1, 0 },
		{ "half-installed", 2, 0 },   { "unpacked", 3, 1 },
		{ "half-configured", 4, 1 },  { "triggers-awaited", 5, 1 },
		{ "triggers-pending", 6, 1 }, { "installed", 7, 1 },
	};

	for (size_t i = 0; i < array_size(states); i++) {
		struct buf text = BUF_NULL, wanted = BUF_NULL;
		buf_addf(&text, "Package: a1\nStatus: hold ok %s\n", states[i].state);
		buf_addf(&wanted, "a1|||%d00%d\n", states[i].number, states[i].unpacked);
		EXPECT_STR(dpkg_parse_status, on_package, buf_str(&text), 0, buf_str(&wanted));
		buf_fini(&text);
		buf_fini(&wanted);
	}
}

static void passes_over_packages_that_are_wrong_and_no_others(void)
{
	static const char *const wrong[] = {
		"Status: install ok installed\n",
		"Package: x\n",
		"Package:\nStatus: install ok installed\n",
		"Package: x y\nStatus: install ok installed\n",
		"Package: ../x\nStatus: install ok installed\n",
		"Package: x:y\nStatus: install ok installed\n",
		"Package: x\nPackage: y\nStatus: install ok installed\n",
		"Package: x\nStatus: install ok installed\nArchitecture: a b\n",
		"Package: x\nStatus: install ok installed\nVersion: 1\x01\n",
		"Package: x\nStatus: installed\n",
		"Package: x\nStatus: install ok\n",
		"Package: x\nStatus: install ok instaled\n",
		"Package: x\nStatus: install ok installed now\n",
		"Package: x\nStatus: install ok installed\nno field\n",
		"Package: x\nStatus: install ok installed\n: no name\n",
	};

	for (size_t i = 0; i < array_size(wrong); i++) {
		struct buf text = BUF_NULL;
		EXPECT_STR(dpkg_parse_status, on_package, wrong[i], -EBADMSG, "");
		buf_addf(&text, "%s\nPackage: good\nStatus: install ok installed\n", wrong[i]);
		EXPECT_STR(dpkg_parse_status, on_package, buf_str(&text), -EBADMSG,
			   "good|||7001\n");
		buf_fini(&text);
	}
	EXPECT(dpkg_parse_status, on_package, "Package: x\0\nStatus: install ok installed\n", 41,
	       -EBADMSG, "");
}

static void reads_conffiles_with_their_flags(void)
{
	EXPECT_STR(dpkg_parse_status, on_conffiles_of, status, 0,
		   "etc/adduser.conf|100\netc/a file with blanks|110\netc/new|001\netc/both|111\n"
		   "etc/later|100\n");
	EXPECT_STR(dpkg_parse_conffiles, on_conffile,
		   "\n /etc/../x " MD5 "\n etc/y " MD5 "\n /etc/z\n /etc/w " MD5 "0\n " MD5
		   "\n /good " MD5 "\n",
		   -EBADMSG, "good|100\n");
}

static void reads_digests(void)
{
	EXPECT_STR(dpkg_parse_md5sums, on_md5,
		   MD5 "  usr/bin/a\n" MD5 "  ./usr/b c\n" MD5 " *usr/d\n" MD5 "  /usr/e\n" MD5
		       "  lib/systemd/system/system-systemd\\x2dcryptsetup.slice\n",
		   0,
		   "usr/bin/a\nusr/b c\nusr/d\nusr/e\n"
		   "lib/systemd/system/system-systemd\\x2dcryptsetup.slice\n");
	EXPECT_STR(dpkg_parse_md5sums, on_md5, "", 0, "");
}

static void passes_over_digests_that_are_wrong_and_no_others(void)
{
	static const char *const wrong[] = {
		"",
		"x",
		MD5,
		MD5 " ",
		MD5 "  ",
		MD5 " a",
		MD5 "\t\ta",
		"g123456789abcdef0123456789abcdef  a",
		"0123456789abcdef0123456789abcde  a",
		"0123456789abcdef0123456789abcdef0  a",
		MD5 "  ..",
		MD5 "  a/..",
		MD5 "  ../a",
		MD5 "  a/../b",
		MD5 "  a/./b",
		MD5 "  .",
		MD5 "  a//b",
		MD5 "  a/",
		MD5 "  //a",
		MD5 "  /",
		MD5 "  ././a",
	};

	for (size_t i = 0; i < array_size(wrong); i++) {
		struct buf text = BUF_NULL;
		buf_addf(&text, "%s\n" MD5 "  good\n", wrong[i]);
		EXPECT_STR(dpkg_parse_md5sums, on_md5, buf_str(&text), -EBADMSG, "good\n");
		buf_fini(&text);
	}
	EXPECT(dpkg_parse_md5sums, on_md5, MD5 "  a\0b\n" MD5 "  c\n", 74, -EBADMSG, "c\n");
	/* Without its LF a line was cut. */
	EXPECT_STR(dpkg_parse_md5sums, on_md5, MD5 "  a\n" MD5 "  cu", -EBADMSG, "a\n");
}

static void bounds_paths_and_their_names(void)
{
	for (unsigned over = 0; over <= 1; over++) {
		struct buf text = BUF_NULL, name = BUF_NULL, said = BUF_NULL;
		for (unsigned i = 0; i < 255 + over; i++)
			buf_add_char(&name, 'n');
		buf_addf(&text, MD5 "  %s\n", buf_str(&name));
		CU_ASSERT_EQUAL(dpkg_parse_md5sums(buf_span(&text), on_md5, &said),
				over ? -EBADMSG : 0);
		/* 16 names of 255 with a slash each are 4,096 bytes. */
		buf_clear(&text);
		buf_clear(&said);
		buf_addf(&text, MD5 "  ");
		for (unsigned i = 0; i < 16; i++)
			buf_addf(&text, "%.254s%s", buf_str(&name), i == 15 ? "" : "/");
		for (unsigned i = 0; i < over + 1; i++)
			buf_add_str(&text, "/aaaaaaaaaaaaaaa");
		buf_add_char(&text, '\n');
		CU_ASSERT_EQUAL(text.len, over ? 34 + 4111 + 1 : 34 + 4095 + 1);
		CU_ASSERT_EQUAL(dpkg_parse_md5sums(buf_span(&text), on_md5, &said),
				over ? -EBADMSG : 0);
		buf_fini(&text);
		buf_fini(&name);
		buf_fini(&said);
	}
}

static void reads_lists(void)
{
	EXPECT_STR(dpkg_parse_list, on_path, "/.\n/usr\n/usr/bin\n/usr/bin/a b\n", 0,
		   "usr\nusr/bin\nusr/bin/a b\n");
	EXPECT_STR(dpkg_parse_list, on_path, "/.\nusr\n\n/a/../b\n/good\n/cut", -EBADMSG, "good\n");
}

static void tells_what_a_file_of_info_is(void)
{
	static const struct {
		const char *leaf, *package;
		enum dpkg_info info;
	} leaves[] = {
		{ "bash.list", "bash", DPKG_INFO_LIST },
		{ "bash.md5sums", "bash", DPKG_INFO_MD5SUMS },
		{ "libc6:amd64.md5sums", "libc6:amd64", DPKG_INFO_MD5SUMS },
		{ "python3.11.list", "python3.11", DPKG_INFO_LIST },
		{ "bash.postinst", "", DPKG_INFO_OTHER },
		{ "format", "", DPKG_INFO_OTHER },
		{ ".list", "", DPKG_INFO_OTHER },
		{ "a b.list", "", DPKG_INFO_OTHER },
		{ "", "", DPKG_INFO_OTHER },
	};
	struct span package;

	for (size_t i = 0; i < array_size(leaves); i++) {
		CU_ASSERT_EQUAL(dpkg_parse_info_name(span_of_str(leaves[i].leaf), &package),
				leaves[i].info);
		CU_ASSERT_TRUE(span_equals_str(package, leaves[i].package));
	}
}

static void reads_diversions(void)
{
	EXPECT_STR(dpkg_parse_diversions, on_diversion,
		   "/usr/bin/pg_config\n/usr/bin/pg_config.libpq-dev\npostgresql-common\n"
		   "/usr/bin/x\n/usr/bin/x.distrib\n:\n",
		   0,
		   "usr/bin/pg_config|usr/bin/pg_config.libpq-dev|postgresql-common\n"
		   "usr/bin/x|usr/bin/x.distrib|\n");
	EXPECT_STR(dpkg_parse_diversions, on_diversion, "", 0, "");
}

static void refuses_diversions_that_are_wrong_or_cut(void)
{
	static const char *const wrong[] = {
		"/a\n",		  "/a\n/b\n",	    "/a\n/b\np",     "a\n/b\np\n",  "/a\nb\np\n",
		"/a\n/b\n\n",	  "/a\n/b\n/c\n",   "/a\n/b\np q\n", "\n/b\np\n",   "/a\n\np\n",
		"/../a\n/b\np\n", "/a\n/b/..\np\n", "/\n/b\np\n",    "p\n/a\n/b\n",
	};

	for (size_t i = 0; i < array_size(wrong); i++)
		EXPECT_STR(dpkg_parse_diversions, on_diversion, wrong[i], -EBADMSG, "");
	EXPECT_STR(dpkg_parse_diversions, on_diversion, "a\nb\nc\n/a\n/b\nc\n", -EBADMSG,
		   "a|b|c\n");
}

static int refuse(struct span path, const uint8_t md5[DPKG_MD5_LEN], void *ctx)
{
	(void)path;
	(void)md5;
	return ++*(int *)ctx;
}

static void stops_when_it_is_told_to(void)
{
	int nr = 0;

	CU_ASSERT_EQUAL(dpkg_parse_md5sums(span_of_str("x\n" MD5 "  a\n" MD5 "  b\n"), refuse, &nr),
			1);
	CU_ASSERT_EQUAL(nr, 1);
}

static const struct test_case cases[] = {
	CASE(reads_packages_with_their_states),
	CASE(knows_every_state),
	CASE(passes_over_packages_that_are_wrong_and_no_others),
	CASE(reads_conffiles_with_their_flags),
	CASE(reads_digests),
	CASE(passes_over_digests_that_are_wrong_and_no_others),
	CASE(bounds_paths_and_their_names),
	CASE(reads_lists),
	CASE(tells_what_a_file_of_info_is),
	CASE(reads_diversions),
	CASE(refuses_diversions_that_are_wrong_or_cut),
	CASE(stops_when_it_is_told_to),
};

const struct test_suite suite_format_dpkg = { "format/dpkg", cases, array_size(cases) };

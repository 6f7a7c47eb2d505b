// SPDX-License-Identifier: Apache-2.0
/*
 * The package witness, over small root filesystems with a database of dpkg in them: damage is told
 * from change, conffiles are left to their administrator, and a hostile database is no way in.
 *
 * Files have the time ARCHIVE, lists LISTED; the ctime of everything is that of making the image.
 */
#include "suites.h"

#include <sys/wait.h>

#include "base/clock.h"
#include "format/ext4_image.h"
#include "io/fault.h"
#include "verify/packages.h"

#define ARCHIVE "1000000000"
#define LISTED "1500000000"
#define RESULTS_MAX 64

static const char prologue[] =
	"set -e; cd tree; D=var/lib/dpkg\n"
	"mkdir -p usr/bin usr/sbin usr/share/doc etc $D/info $D/updates\n"
	"ln -s usr/bin bin; ln -s /usr/sbin sbin; : >$D/status\n"
	"fill() { head -c \"$2\" /dev/zero | tr '\\0' \"$3\" >\"$1\"; }\n"
	"digest() { md5sum <\"$1\" | cut -c-32; }\n"
	/* An absolute link would lead out of the tree here. */
	"own() { o=$1; shift; for f; do g=$f; [ ${f#sbin/} = $f ] || g=usr/$f;"
	" echo \"$(digest $g)  $f\" >>$D/info/$o.md5sums; echo /$f >>$D/info/$o.list; done; }\n"
	"stanza() { printf 'Package: %s\\nStatus: install ok %s\\nArchitecture: amd64\\n' $1 $2; }\n"
	"pkg() { stanza $1 installed >>$D/status; echo >>$D/status; echo /. >$D/info/$1.list;"
	" own \"$@\"; }\n"
	"conf() { printf 'Conffiles:\\n'; for f; do"
	" echo \" /$f $(digest $f)\"; done; }\n"
	"fill usr/bin/tool 5000 t; fill usr/bin/second 3000 s; fill usr/sbin/daemon 200000 d\n"
	"fill etc/alpha.conf 100 c\n";

static const char epilogue[] = "find . -exec touch -h -d @" ARCHIVE " {} +\n"
			       "for f in $D/info/*.list; do"
			       " [ ! -e $f ] || touch -d @" LISTED " $f; done\n";

static const char plain[] = "pkg alpha usr/bin/tool bin/second sbin/daemon\n"
			    "{ stanza conf installed; conf etc/alpha.conf; echo; } >>$D/status\n";

/* Makes an image of a tree that `script` has worked on. False, and the test is skipped: no mke2fs. */
static bool root_make(struct image *image, const char *script)
{
	char path[ROOM_DIR_SIZE + 16];
	struct buf text = BUF_NULL;

	*image = (struct image){ .src = SOURCE_NULL };
	CU_ASSERT_EQUAL_FATAL(room_make("packages", image->dir), 0);
	(void)snprintf(image->path, sizeof(image->path), "%s/image", image->dir);
	if (run(image, "command -v mke2fs && command -v debugfs")) {
		test_skip("mke2fs or debugfs is missing");
		CU_ASSERT_EQUAL(room_remove(image->dir), 0);
		return false;
	}
	(void)snprintf(path, sizeof(path), "%s/script", image->dir);
	buf_addf(&text, "%s%s%s", prologue, script, epilogue);
	CU_ASSERT_EQUAL_FATAL(room_write(path, buf_str(&text)), 0);
	buf_fini(&text);
	CU_ASSERT_EQUAL_FATAL(run(image,
				  "cd %s && mkdir tree && sh script && mke2fs -q -F -t ext4"
				  " -b 1024 -d tree image 16M",
				  image->dir),
			      0);
	image_open(image);
	return true;
}

/* ---- what is told ---- */

struct seen {
	struct package_result results[RESULTS_MAX];
	unsigned nr;
	struct buf notices; /* a line each: kind, path, package, conffile, error */
	enum packages_canary canary;
	struct packages_info info;
	struct packages *packages;
};

static int on_notice(const struct packages_notice *notice, void *ctx)
{
	struct seen *seen = ctx;

	buf_addf(&seen->notices, "%d %s %s %d %d\n", notice->kind, notice->path, notice->package,
		 notice->is_conffile, notice->error);
	return 0;
}

static int on_result(const struct package_result *result, void *ctx)
{
	struct seen *seen = ctx;

	CU_ASSERT_TRUE_FATAL(seen->nr < RESULTS_MAX);
	seen->results[seen->nr++] = *result;
	return 0;
}

static void see(struct image *image, struct seen *seen)
{
	*seen = (struct seen){ .notices = BUF_NULL };
	CU_ASSERT_EQUAL_FATAL(packages_load(image->fs, NULL, on_notice, &seen->packages, seen), 0);
	packages_get_info(seen->packages, &seen->info);
	CU_ASSERT_EQUAL(
		packages_check(seen->packages, image->fs, NULL, on_result, &seen->canary, seen), 0);
	CU_ASSERT_EQUAL(seen->nr, seen->info.nr_inodes);
}

static void seen_fini(struct seen *seen)
{
	packages_free(seen->packages);
	buf_fini(&seen->notices);
}

static const struct package_result *result_of(const struct image *image, const struct seen *seen,
					      const char *path)
{
	static const struct package_result none = { .class = PACKAGE_CLASS_COUNT_,
						    .owner = { "", "", false } };
	uint32_t ino = ino_of(image, path);

	for (unsigned i = 0; i < seen->nr; i++)
		if (seen->results[i].ino == ino)
			return &seen->results[i];
	return &none;
}

/* The one that `path` is, and every other file is good. */
static const struct package_result *expect_only(const struct image *image, const struct seen *seen,
						const char *path, enum package_class class)
{
	const struct package_result *result = result_of(image, seen, path);

	CU_ASSERT_EQUAL(result->class, class);
	for (unsigned i = 0; i < seen->nr; i++)
		if (&seen->results[i] != result)
			CU_ASSERT_EQUAL(seen->results[i].class, PACKAGE_FILE_OK);
	return result;
}

static int on_first_byte(const struct ext4_inode *inode, int error, void *ctx)
{
	CU_ASSERT_TRUE_FATAL(error == 0 && inode->nr_extents > 0);
	*(uint64_t *)ctx = inode->extents[0].physical;
	return 0;
}

static uint64_t place_of(const struct image *image, const char *path)
{
	uint64_t off = 0;

	CU_ASSERT_EQUAL(ext4_read_inode(image->fs, ino_of(image, path), on_first_byte, &off), 0);
	return off;
}

static void set_time(const struct image *image, const char *path, const char *field, int64_t time_s)
{
	CU_ASSERT_EQUAL(run(image, "debugfs -w -R 'sif %s %s @%" PRId64 "' %s", path, field, time_s,
			    image->path),
			0);
}

/* ---- good and bad ---- */

static void finds_good_what_is_as_it_was_installed(void)
{
	struct image image;
	struct seen seen;
	uint64_t last = 0;

	if (!root_make(&image, plain))
		return;
	see(&image, &seen);
	CU_ASSERT_EQUAL(seen.info.nr_packages, 2);
	CU_ASSERT_EQUAL(seen.info.nr_listed, 4);
	CU_ASSERT_EQUAL(seen.nr, 4);
	CU_ASSERT_EQUAL(seen.canary, PACKAGES_CANARY_FOUND);
	CU_ASSERT_STRING_EQUAL(buf_str(&seen.notices), "");
	CU_ASSERT_EQUAL(expect_only(&image, &seen, "usr/bin/tool", PACKAGE_FILE_OK)->size, 5000);
	CU_ASSERT_EQUAL(result_of(&image, &seen, "usr/sbin/daemon")->size, 200000);
	/* In the order of the disk. */
	for (unsigned i = 0; i < seen.nr; i++) {
		uint64_t off = place_of(&image, seen.results[i].owner.path);
		CU_ASSERT_TRUE(off > last);
		last = off;
	}
	seen_fini(&seen);
	image_close(&image);
}

static void calls_a_flipped_bit_corrupt(void)
{
	static const char *const paths[] = { "usr/bin/tool", "usr/bin/second", "usr/sbin/daemon" };
	struct image image;
	struct seen seen;

	if (!root_make(&image, plain))
		return;
	for (size_t i = 0; i < array_size(paths); i++) {
		uint64_t off = place_of(&image, paths[i]) + 2500;
		image_flip(&image, off);
		see(&image, &seen);
		const struct package_result *result =
			expect_only(&image, &seen, paths[i], PACKAGE_FILE_CORRUPT);
		CU_ASSERT_STRING_EQUAL(result->owner.package, "alpha");
		CU_ASSERT_NOT_EQUAL(memcmp(result->witness.md5, result->look.md5, MD5_LEN), 0);
		CU_ASSERT_FALSE(result->is_near);
		CU_ASSERT_EQUAL(result->witness.written_ns, INT64_C(1500000000) * NS_PER_S);
		CU_ASSERT_EQUAL(result->look.mtime_ns, INT64_C(1000000000) * NS_PER_S);
		CU_ASSERT_EQUAL(seen.canary, PACKAGES_CANARY_FOUND);
		seen_fini(&seen);
		image_flip(&image, off);
	}
	image_close(&image);
}

static void calls_what_somebody_has_written_changed(void)
{
	struct image image;
	struct seen seen;
	int64_t now_s = clock_wall_ns() / NS_PER_S;

	if (!root_make(&image, plain))
		return;
	image_flip(&image, place_of(&image, "usr/bin/tool"));
	const struct {
		const char *field;
		int64_t time_s;
		enum package_class class;
	} times[] = {
		{ "mtime", 1499999999, PACKAGE_FILE_CORRUPT },
		{ "mtime", 1500000000, PACKAGE_FILE_CHANGED },
		{ "mtime", 1500000007, PACKAGE_FILE_CHANGED },
		{ "mtime", 1000000000, PACKAGE_FILE_CORRUPT },
		{ "ctime", now_s + 30, PACKAGE_FILE_CORRUPT },
		{ "ctime", now_s + 3600, PACKAGE_FILE_CHANGED },
	};
	for (size_t i = 0; i < array_size(times); i++) {
		set_time(&image, "usr/bin/tool", times[i].field, times[i].time_s);
		see(&image, &seen);
		(void)expect_only(&image, &seen, "usr/bin/tool", times[i].class);
		seen_fini(&seen);
	}
	image_close(&image);
}

/* Another package took a file of this one over, and dpkg wrote the list anew. */
static void takes_the_time_of_the_digests_where_the_list_is_younger(void)
{
	struct image image;
	struct seen seen;

	if (!root_make(&image, plain))
		return;
	image_flip(&image, place_of(&image, "usr/bin/tool"));
	set_time(&image, "var/lib/dpkg/info/alpha.md5sums", "ctime", 1200000000);
	set_time(&image, "usr/bin/tool", "ctime", 1200000000);
	set_time(&image, "usr/bin/tool", "mtime", 1300000000);
	see(&image, &seen);
	(void)expect_only(&image, &seen, "usr/bin/tool", PACKAGE_FILE_CHANGED);
	seen_fini(&seen);
	set_time(&image, "usr/bin/tool", "mtime", 1100000000);
	see(&image, &seen);
	(void)expect_only(&image, &seen, "usr/bin/tool", PACKAGE_FILE_CORRUPT);
	seen_fini(&seen);
	set_time(&image, "usr/bin/tool", "ctime", 1200000100);
	see(&image, &seen);
	(void)expect_only(&image, &seen, "usr/bin/tool", PACKAGE_FILE_CHANGED);
	seen_fini(&seen);
	image_close(&image);
}

static void leaves_conffiles_to_their_administrator(void)
{
	struct image image;
	struct seen seen;

	if (!root_make(&image, "fill etc/new 50 n; fill etc/old 60 o; fill etc/left 70 l\n"
			       "{ stanza conf installed; conf etc/alpha.conf;"
			       " echo \" /etc/new newconffile\";"
			       " conf etc/old | sed '1d;s/$/ obsolete/';"
			       " echo; } >>$D/status\n"
			       "{ stanza gone config-files; conf etc/left; echo; } >>$D/status\n"))
		return;
	image_flip(&image, place_of(&image, "etc/alpha.conf"));
	image_flip(&image, place_of(&image, "etc/new"));
	see(&image, &seen);
	CU_ASSERT_EQUAL(seen.nr, 3);
	const struct package_result *result =
		expect_only(&image, &seen, "etc/alpha.conf", PACKAGE_FILE_CONFFILE);
	CU_ASSERT_TRUE(result->owner.is_conffile);
	CU_ASSERT_STRING_EQUAL(result->owner.package, "conf");
	CU_ASSERT_EQUAL(result_of(&image, &seen, "etc/old")->class, PACKAGE_FILE_OK);
	CU_ASSERT_STRING_EQUAL(result_of(&image, &seen, "etc/left")->owner.package, "gone");
	/* Nothing was good that could have been called corrupt. */
	CU_ASSERT_EQUAL(seen.canary, PACKAGES_CANARY_NONE);
	seen_fini(&seen);
	image_close(&image);
}

static void goes_where_diversions_lead(void)
{
	struct image image;
	struct seen seen;

	if (!root_make(&image,
		       "pkg alpha usr/bin/tool usr/bin/second\n"
		       "mv usr/bin/tool usr/bin/tool.real; mv usr/bin/second usr/bin/second.mine\n"
		       "fill usr/bin/tool 700 x; fill usr/bin/second 800 y\n"
		       "pkg beta usr/bin/tool\n"
		       "printf '/usr/bin/tool\\n/usr/bin/tool.real\\nbeta\\n"
		       "/usr/bin/second\\n/usr/bin/second.mine\\n:\\n' >$D/diversions\n"))
		return;
	image_flip(&image, place_of(&image, "usr/bin/tool.real"));
	see(&image, &seen);
	CU_ASSERT_EQUAL(seen.nr, 3);
	const struct package_result *result =
		expect_only(&image, &seen, "usr/bin/tool.real", PACKAGE_FILE_CORRUPT);
	CU_ASSERT_STRING_EQUAL(result->owner.package, "alpha");
	CU_ASSERT_STRING_EQUAL(result->owner.path, "usr/bin/tool.real");
	CU_ASSERT_STRING_EQUAL(result_of(&image, &seen, "usr/bin/tool")->owner.package, "beta");
	CU_ASSERT_EQUAL(result_of(&image, &seen, "usr/bin/second.mine")->class, PACKAGE_FILE_OK);
	/* What the administrator put there is nobody's. */
	CU_ASSERT_EQUAL(result_of(&image, &seen, "usr/bin/second")->class, PACKAGE_CLASS_COUNT_);
	seen_fini(&seen);
	image_close(&image);
}

static void is_content_with_any_digest_of_several_packages(void)
{
	struct image image;
	struct seen seen;

	if (!root_make(&image, "pkg alpha usr/bin/tool usr/bin/tool; pkg beta bin/tool\n"
			       "sed -i 's/^......../00000000/' $D/info/alpha.md5sums\n"
			       "pkg gamma usr/bin/second; ln usr/bin/second usr/bin/hard\n"
			       "own gamma usr/bin/hard\n"))
		return;
	see(&image, &seen);
	CU_ASSERT_EQUAL(seen.info.nr_listed, 5);
	CU_ASSERT_EQUAL(seen.nr, 2);
	const struct package_result *result =
		expect_only(&image, &seen, "usr/bin/tool", PACKAGE_FILE_OK);
	CU_ASSERT_STRING_EQUAL(result->owner.package, "beta");
	seen_fini(&seen);
	image_flip(&image, place_of(&image, "usr/bin/tool"));
	see(&image, &seen);
	(void)expect_only(&image, &seen, "usr/bin/tool", PACKAGE_FILE_CORRUPT);
	seen_fini(&seen);
	image_close(&image);
}

static void tells_a_damaged_digest_from_a_damaged_file(void)
{
	struct image image;
	struct seen seen;

	if (!root_make(&image, "pkg alpha usr/bin/tool usr/bin/second\n"
			       "digest usr/bin/tool >md5\n"
			       "sed -i \"1s/^.\\{32\\}/$(tr '[0-9a-f]' '[1-9a-f0]' <md5 | cut -c1)"
			       "$(cut -c2- md5)/\" $D/info/alpha.md5sums\n"))
		return;
	see(&image, &seen);
	CU_ASSERT_TRUE(expect_only(&image, &seen, "usr/bin/tool", PACKAGE_FILE_CORRUPT)->is_near);
	seen_fini(&seen);
	image_close(&image);
}

/* ---- what cannot be judged ---- */

static void says_where_a_file_cannot_be_read(void)
{
	struct image image;
	struct source bad;
	struct ext4 *fs;
	struct seen seen = { .nr = 0 };

	if (!root_make(&image, plain))
		return;
	struct fault fault = { .nr_rules = 0 };
	fault_add(&fault, &(struct fault_rule){
				  .kind = FAULT_ERROR,
				  .off = place_of(&image, "usr/sbin/daemon") + 100 * 1024 + 7,
				  .len = 1,
				  .error = -EIO,
			  });
	source_init_fault(&bad, &image.src, &fault);
	CU_ASSERT_EQUAL_FATAL(ext4_open(&bad, &fs), 0);
	CU_ASSERT_EQUAL_FATAL(packages_load(fs, NULL, on_notice, &seen.packages, &seen), 0);
	CU_ASSERT_EQUAL(packages_check(seen.packages, fs, NULL, on_result, &seen.canary, &seen), 0);
	const struct package_result *result =
		expect_only(&image, &seen, "usr/sbin/daemon", PACKAGE_FILE_UNREADABLE);
	CU_ASSERT_EQUAL(result->look.read_error, -EIO);
	CU_ASSERT_EQUAL(result->error_off, 100 * 1024);
	ext4_close(fs);
	source_close(&bad);
	seen_fini(&seen);
	image_close(&image);
}

static void does_not_know_what_has_a_damaged_inode(void)
{
	struct image image;
	struct seen seen = { .nr = 0 };

	if (!root_make(&image, plain))
		return;
	uint32_t ino = ino_of(&image, "usr/bin/tool");
	image_flip(&image, inode_off(&image, ino) + 4);
	see(&image, &seen);
	CU_ASSERT_EQUAL(seen.nr, 4);
	unsigned nr_unknown = 0;
	for (unsigned i = 0; i < seen.nr; i++)
		if (seen.results[i].class == PACKAGE_FILE_UNKNOWN) {
			nr_unknown++;
			CU_ASSERT_EQUAL(seen.results[i].ino, ino);
			CU_ASSERT_EQUAL(seen.results[i].look.error, -EBADMSG);
			CU_ASSERT_STRING_EQUAL(seen.results[i].owner.path, "usr/bin/tool");
		}
	CU_ASSERT_EQUAL(nr_unknown, 1);
	seen_fini(&seen);
	image_close(&image);
}

static void says_what_is_missing_or_replaced(void)
{
	struct image image;
	struct seen seen;

	if (!root_make(&image,
		       "mkdir -p usr/share/doc/a opt/kept; fill usr/share/doc/a/copyright 9 c\n"
		       "fill usr/bin/f 9 f; mkdir usr/way; fill usr/way/x 9 x\n"
		       "fill usr/odd 9 o\n"
		       "pkg alpha usr/bin/tool usr/bin/second usr/share/doc/a/copyright usr/bin/f"
		       " usr/way/x usr/odd\n"
		       "rm -r usr/share/doc/a usr/bin/f usr/way usr/odd; ln -s tool usr/bin/f\n"
		       "fill usr/way 5 w; ln -s way usr/odd; mkdir usr/odd.d\n"
		       "{ stanza conf installed; conf etc/alpha.conf; echo; } >>$D/status\n"
		       "rm etc/alpha.conf\n"))
		return;
	see(&image, &seen);
	CU_ASSERT_STRING_EQUAL(buf_str(&seen.notices), "0 etc/alpha.conf conf 1 0\n"
						       "1 usr/bin/f alpha 0 0\n"
						       "1 usr/odd alpha 0 0\n"
						       "0 usr/share/doc/a/copyright alpha 0 0\n"
						       "0 usr/way/x alpha 0 0\n");
	CU_ASSERT_EQUAL(seen.info.nr_notices[PACKAGES_MISSING], 3);
	CU_ASSERT_EQUAL(seen.info.nr_notices[PACKAGES_REPLACED], 2);
	CU_ASSERT_EQUAL(seen.nr, 2);
	(void)expect_only(&image, &seen, "usr/bin/tool", PACKAGE_FILE_OK);
	seen_fini(&seen);
	image_close(&image);
}

static void leaves_out_what_dpkg_was_in_the_middle_of(void)
{
	struct image image;
	struct seen seen;

	if (!root_make(&image, "pkg alpha usr/bin/tool; pkg beta usr/bin/second\n"
			       "pkg gamma usr/sbin/daemon\n"
			       "stanza beta installed >$D/updates/0001\n"
			       "stanza alpha half-installed >$D/updates/0000\n"
			       "stanza beta half-installed >$D/updates/0000x\n"
			       "fill usr/bin/tool 5000 x\n"))
		return;
	see(&image, &seen);
	CU_ASSERT_EQUAL(seen.nr, 2);
	CU_ASSERT_STRING_EQUAL(buf_str(&seen.notices), "4  alpha 0 0\n");
	(void)expect_only(&image, &seen, "usr/bin/second", PACKAGE_FILE_OK);
	seen_fini(&seen);
	image_close(&image);
}

static void takes_only_what_the_list_still_names(void)
{
	struct image image;
	struct seen seen;

	if (!root_make(&image, "pkg alpha usr/bin/tool usr/bin/second\n"
			       "sed -i '/tool/d' $D/info/alpha.list; fill usr/bin/tool 50 n\n"))
		return;
	see(&image, &seen);
	CU_ASSERT_EQUAL(seen.nr, 1);
	(void)expect_only(&image, &seen, "usr/bin/second", PACKAGE_FILE_OK);
	seen_fini(&seen);
	image_close(&image);
}

/* ---- hostile databases ---- */

static void goes_on_behind_what_is_damaged_in_the_database(void)
{
	struct image image;
	struct seen seen;

	if (!root_make(
		    &image,
		    "pkg alpha usr/bin/tool; pkg beta usr/bin/second; pkg gamma usr/sbin/daemon\n"
		    "{ echo 'junk  ../../etc/passwd'; printf '%0999d\\n' 0;"
		    " echo \"$(digest usr/bin/tool)  ../../../etc/shadow\";"
		    " echo \"$(digest usr/bin/tool)  usr/bin/../bin/tool\";"
		    " cat $D/info/alpha.md5sums; } >t; mv t $D/info/alpha.md5sums\n"
		    "{ printf '/usr/bin/../bin/tool\\n\\n/x\\0y\\n'; cat $D/info/beta.list; } >t\n"
		    "mv t $D/info/beta.list; rm $D/info/gamma.list\n"
		    "{ printf 'Package: broken\\n\\n'; cat $D/status; } >t; mv t $D/status\n"
		    "printf '/a\\n/b\\n' >$D/diversions; stanza x sleeping >$D/updates/0007\n"
		    "mkdir $D/info/dir.list; : >$D/info/nobody.md5sums\n"))
		return;
	see(&image, &seen);
	CU_ASSERT_STRING_EQUAL(buf_str(&seen.notices),
			       "3 var/lib/dpkg/diversions  0 -74\n"
			       "3 var/lib/dpkg/updates/0007  0 -74\n"
			       "3 var/lib/dpkg/status  0 -74\n"
			       "3 var/lib/dpkg/info/alpha.md5sums alpha 0 -74\n"
			       "3 var/lib/dpkg/info/beta.list beta 0 -74\n"
			       "3 var/lib/dpkg/info/gamma.list gamma 0 -2\n");
	CU_ASSERT_EQUAL(seen.nr, 2);
	(void)expect_only(&image, &seen, "usr/bin/tool", PACKAGE_FILE_OK);
	seen_fini(&seen);
	image_close(&image);
}

static void ends_whatever_links_and_paths_it_is_given(void)
{
	struct image image;
	struct seen seen;

	if (!root_make(&image,
		       "ln -s loop2 loop; ln -s loop loop2; ln -s . here; ln -s ../../.. up\n"
		       "pkg alpha usr/bin/tool; l=$D/info/alpha.list; s=$D/info/alpha.md5sums\n"
		       "m=$(digest usr/bin/tool); deep=usr\n"
		       "i=0; while [ $i -lt 100 ]; do deep=$deep/d; i=$((i + 1)); done\n"
		       "far=; i=0; while [ $i -lt 100 ]; do far=${far}here/; i=$((i + 1)); done\n"
		       "for p in loop/x here/here/here/usr/bin/tool up/up/usr/bin/tool $deep/x"
		       " ${far}usr/bin/tool usr/bin/tool/x usr/bin; do\n"
		       "echo /$p >>$l; echo \"$m  $p\" >>$s; done\n"))
		return;
	see(&image, &seen);
	CU_ASSERT_EQUAL(seen.info.nr_listed, 8);
	CU_ASSERT_EQUAL(seen.nr, 1);
	(void)expect_only(&image, &seen, "usr/bin/tool", PACKAGE_FILE_OK);
	CU_ASSERT_EQUAL(seen.info.nr_notices[PACKAGES_MISSING], 4);
	CU_ASSERT_EQUAL(seen.info.nr_notices[PACKAGES_REPLACED], 1);
	seen_fini(&seen);
	image_close(&image);
}

/* A directory that cannot be read says nothing of what is in it. */
static void does_not_call_missing_what_a_damaged_directory_may_hold(void)
{
	struct image image;
	struct seen seen;

	if (!root_make(&image, plain))
		return;
	/* A block of a directory ends with its checksum. */
	image_flip(&image, place_of(&image, "usr/bin") + 1023);
	seen = (struct seen){ .notices = BUF_NULL };
	CU_ASSERT_EQUAL_FATAL(packages_load(image.fs, NULL, on_notice, &seen.packages, &seen), 0);
	CU_ASSERT_STRING_EQUAL(buf_str(&seen.notices), "2 bin/second alpha 0 -74\n"
						       "2 usr/bin/tool alpha 0 -74\n");
	seen_fini(&seen);
	image_close(&image);
}

static void refuses_more_packages_than_it_has_room_for(void)
{
	struct packages *packages;
	struct image image;

	for (unsigned over = 0; over <= 1; over++) {
		char script[256];
		(void)snprintf(script, sizeof(script),
			       "awk 'BEGIN { for (i = 0; i < %u; i++) printf \"Package: p%%d\\n"
			       "Status: a ok installed\\n\\n\", i }' >$D/status\n",
			       PACKAGES_MAX + over);
		if (!root_make(&image, script))
			return;
		CU_ASSERT_EQUAL(packages_load(image.fs, NULL, NULL, &packages, NULL),
				over ? -EFBIG : 0);
		packages_free(packages);
		image_close(&image);
	}
}

static void is_no_debian_root_without_a_database(void)
{
	static const char *const scripts[] = { "rm -r var\n", "rm $D/status\n",
					       "rm -r $D; : >$D\n" };
	struct packages *packages;
	struct image image;

	for (size_t i = 0; i < array_size(scripts); i++) {
		if (!root_make(&image, scripts[i]))
			return;
		CU_ASSERT_EQUAL(packages_load(image.fs, NULL, NULL, &packages, NULL), -ENOENT);
		CU_ASSERT_PTR_NULL(packages);
		packages_free(packages);
		image_close(&image);
	}
}

static void checks_nothing_where_nothing_is_installed(void)
{
	struct image image;
	struct seen seen;

	if (!root_make(&image, ""))
		return;
	see(&image, &seen);
	CU_ASSERT_EQUAL(seen.nr, 0);
	CU_ASSERT_EQUAL(seen.canary, PACKAGES_CANARY_NONE);
	seen_fini(&seen);
	image_close(&image);
}

/* ---- the rest of the interface ---- */

static int refuse_notice(const struct packages_notice *notice, void *ctx)
{
	(void)notice;
	++*(unsigned *)ctx;
	return 5;
}

static int refuse_result(const struct package_result *result, void *ctx)
{
	(void)result;
	++*(unsigned *)ctx;
	return 6;
}

static void stops_when_it_is_told_to(void)
{
	struct packages *packages;
	enum packages_canary canary;
	struct image image;
	volatile sig_atomic_t stop = 1;
	unsigned nr = 0;

	if (!root_make(&image, "pkg alpha usr/bin/tool usr/bin/second usr/sbin/daemon\n"
			       "rm usr/bin/second usr/sbin/daemon\n"))
		return;
	CU_ASSERT_EQUAL(packages_load(image.fs, &stop, NULL, &packages, NULL), -ECANCELED);
	CU_ASSERT_PTR_NULL(packages);
	CU_ASSERT_EQUAL(packages_load(image.fs, NULL, refuse_notice, &packages, &nr), 5);
	CU_ASSERT_EQUAL(nr, 1);
	CU_ASSERT_EQUAL_FATAL(packages_load(image.fs, NULL, NULL, &packages, NULL), 0);
	CU_ASSERT_EQUAL(packages_check(packages, image.fs, &stop, refuse_result, &canary, &nr),
			-ECANCELED);
	CU_ASSERT_EQUAL(nr, 1);
	CU_ASSERT_EQUAL(packages_check(packages, image.fs, NULL, refuse_result, &canary, &nr), 6);
	CU_ASSERT_EQUAL(nr, 2);
	CU_ASSERT_EQUAL(canary, PACKAGES_CANARY_FOUND);
	packages_free(packages);
	image_close(&image);
}

static void knows_the_owner_of_an_inode(void)
{
	struct packages_owner owner;
	struct image image;
	struct seen seen;

	if (!root_make(&image, plain))
		return;
	see(&image, &seen);
	CU_ASSERT_TRUE(packages_owner(seen.packages, ino_of(&image, "sbin/daemon"), &owner));
	CU_ASSERT_STRING_EQUAL(owner.path, "sbin/daemon");
	CU_ASSERT_STRING_EQUAL(owner.package, "alpha");
	CU_ASSERT_FALSE(owner.is_conffile);
	CU_ASSERT_TRUE(packages_owner(seen.packages, ino_of(&image, "etc/alpha.conf"), &owner));
	CU_ASSERT_TRUE(owner.is_conffile);
	CU_ASSERT_FALSE(packages_owner(seen.packages, ino_of(&image, "usr/bin"), &owner));
	CU_ASSERT_FALSE(packages_owner(seen.packages, 0, &owner));
	CU_ASSERT_FALSE(packages_owner(seen.packages, UINT32_MAX, &owner));
	seen_fini(&seen);
	image_close(&image);
}

static void looks_again_at_one_inode(void)
{
	struct image image;
	struct seen seen;

	if (!root_make(&image, plain))
		return;
	see(&image, &seen);
	seen.nr = 0;
	image_flip(&image, place_of(&image, "usr/bin/tool"));
	CU_ASSERT_EQUAL(packages_check_inode(seen.packages, image.fs,
					     ino_of(&image, "usr/bin/tool"), on_result, &seen),
			0);
	CU_ASSERT_EQUAL_FATAL(seen.nr, 1);
	CU_ASSERT_EQUAL(seen.results[0].class, PACKAGE_FILE_CORRUPT);
	CU_ASSERT_EQUAL(packages_check_inode(seen.packages, image.fs, EXT4_ROOT_INO, on_result,
					     &seen),
			-ENOENT);
	seen_fini(&seen);
	image_close(&image);
}

static const struct test_case cases[] = {
	CASE(finds_good_what_is_as_it_was_installed),
	CASE(calls_a_flipped_bit_corrupt),
	CASE(calls_what_somebody_has_written_changed),
	CASE(takes_the_time_of_the_digests_where_the_list_is_younger),
	CASE(leaves_conffiles_to_their_administrator),
	CASE(goes_where_diversions_lead),
	CASE(is_content_with_any_digest_of_several_packages),
	CASE(tells_a_damaged_digest_from_a_damaged_file),
	CASE(says_where_a_file_cannot_be_read),
	CASE(does_not_know_what_has_a_damaged_inode),
	CASE(says_what_is_missing_or_replaced),
	CASE(leaves_out_what_dpkg_was_in_the_middle_of),
	CASE(takes_only_what_the_list_still_names),
	CASE(goes_on_behind_what_is_damaged_in_the_database),
	CASE(ends_whatever_links_and_paths_it_is_given),
	CASE(does_not_call_missing_what_a_damaged_directory_may_hold),
	CASE(refuses_more_packages_than_it_has_room_for),
	CASE(is_no_debian_root_without_a_database),
	CASE(checks_nothing_where_nothing_is_installed),
	CASE(stops_when_it_is_told_to),
	CASE(knows_the_owner_of_an_inode),
	CASE(looks_again_at_one_inode),
};

const struct test_suite suite_verify_packages = { "verify/packages", cases, array_size(cases) };

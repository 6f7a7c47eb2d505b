// SPDX-License-Identifier: Apache-2.0
/*
 * Image: what stands in an unmounted filesystem is seen as it would be where it is mounted. The same
 * tree is looked at on this host and in an image of it, and every answer must be the same.
 */
#include "suites.h"

#include <CUnit/CUnit.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "verify/image.h"
#include "verify_disk.h"

#define MOUNT "/srv/mail"

struct rig {
	char room[ROOM_DIR_SIZE];
	char tree[ROOM_DIR_SIZE + 8];
	struct disk disk;
	struct image *image;
	unsigned nr_said;
	char said[512]; /* the last message */
	struct log log;
};

static void on_log(enum log_level level, const char *text, void *ctx)
{
	struct rig *rig = ctx;

	CU_ASSERT_EQUAL(level, LOG_LEVEL_ERROR);
	(void)snprintf(rig->said, sizeof(rig->said), "%s", text);
	rig->nr_said++;
}

/* False: the test is skipped. */
static bool rig_make(struct rig *rig, const char *options)
{
	char all[ROOM_DIR_SIZE + 64];

	*rig = (struct rig){ .nr_said = 0 };
	rig->log = (struct log){ on_log, rig, LOG_LEVEL_DEBUG };
	CU_ASSERT_EQUAL_FATAL(room_make("image", rig->room), 0);
	(void)snprintf(rig->tree, sizeof(rig->tree), "%s/tree", rig->room);
	CU_ASSERT_EQUAL_FATAL(disk_run("mkdir -p %s/spool/a/b %s/other/a/b && cd %s/spool &&"
				       " echo one >a/b/1. && : >a/b/2. && mkdir a/b/3. &&"
				       " ln -s 1. a/b/4. && mkfifo a/b/5. && echo x >file &&"
				       " ln -s a inside && ln -s ../other outside &&"
				       " ln -s /spool/a absolute && ln -s a/../../other/a climbs &&"
				       " ln -s nowhere broken && ln -s loop loop && ln -s . self &&"
				       " ln -s spool ../short && ln -s /spool ../long",
				       rig->tree, rig->tree, rig->tree),
			      0);
	(void)snprintf(all, sizeof(all), "%s -d %s", options, rig->tree);
	if (disk_make(&rig->disk, rig->room, all, "8M"))
		return true;
	CU_ASSERT_EQUAL(room_remove(rig->room), 0);
	return false;
}

static void rig_open(struct rig *rig, const char *mount)
{
	unsigned before = rig->nr_said;

	CU_ASSERT_EQUAL_FATAL(image_open(rig->disk.image, mount, &rig->log, &rig->image), 0);
	CU_ASSERT_EQUAL(rig->nr_said, before);
}

static void rig_end(struct rig *rig)
{
	image_close(take(rig->image));
	disk_unmount(&rig->disk);
	CU_ASSERT_EQUAL(room_remove(rig->room), 0);
}

/* ---- which paths lie inside ---- */

static void knows_which_paths_lie_inside(void)
{
	static const struct {
		const char *mount, *path, *inside;
	} rows[] = {
		{ "/srv", "/srv", "" },
		{ "/srv", "/srv/", "/" },
		{ "/srv", "/srv/mail", "/mail" },
		{ "/srv", "/srv//mail", "//mail" },
		{ "/srv", "/srvx", NULL },
		{ "/srv", "/srvx/mail", NULL },
		{ "/srv", "/sr", NULL },
		{ "/srv", "/", NULL },
		{ "/srv", "", NULL },
		{ "/srv", "srv", NULL },
		{ "/srv/mail", "/srv", NULL },
		{ "/srv/mail", "/srv/mail/spool", "/spool" },
		{ "", "/srv", "/srv" },
		{ "", "/", "/" },
		{ "", "", "" },
		{ "", "relative", NULL },
	};

	for (size_t i = 0; i < array_size(rows); i++) {
		char mount[32];
		(void)snprintf(mount, sizeof(mount), "%s", rows[i].mount);
		struct image image = { .mount = mount };
		const char *inside = image_inside(&image, rows[i].path);
		CU_ASSERT_TRUE(rows[i].inside ? inside && strcmp(inside, rows[i].inside) == 0
					      : !inside);
	}
	CU_ASSERT_PTR_NULL(image_inside(NULL, "/srv"));
}

static void takes_slashes_off_the_end_of_the_mount_point(void)
{
	static const char *const mounts[] = { "/srv", "/srv/", "/srv///", "/", "///" };
	struct rig rig;

	if (!rig_make(&rig, "-t ext4"))
		return;
	for (size_t i = 0; i < array_size(mounts); i++) {
		rig_open(&rig, mounts[i]);
		CU_ASSERT_STRING_EQUAL(rig.image->mount, i < 3 ? "/srv" : "");
		image_close(take(rig.image));
	}
	CU_ASSERT_EQUAL(image_open(rig.disk.image, "srv", &rig.log, &rig.image), -EINVAL);
	CU_ASSERT_EQUAL(image_open(rig.disk.image, "", &rig.log, &rig.image), -EINVAL);
	CU_ASSERT_EQUAL(rig.nr_said, 2);
	image_close(NULL);
	rig_end(&rig);
}

/* ---- what may be opened ---- */

static void check_refused(struct rig *rig, const char *path, int error, const char *part)
{
	unsigned before = rig->nr_said;

	CU_ASSERT_EQUAL(image_open(path, MOUNT, &rig->log, &rig->image), error);
	CU_ASSERT_PTR_NULL(rig->image);
	CU_ASSERT_EQUAL(rig->nr_said, before + 1);
	CU_ASSERT_PTR_NOT_NULL(strstr(rig->said, part));
	CU_ASSERT_PTR_NOT_NULL(strstr(rig->said, path));
}

static void refuses_what_is_no_ext4(void)
{
	char path[ROOM_DIR_SIZE + 16];
	struct rig rig;

	if (!rig_make(&rig, "-t ext4"))
		return;
	(void)snprintf(path, sizeof(path), "%s/none", rig.room);
	check_refused(&rig, path, -EPROTONOSUPPORT, "No such file");
	CU_ASSERT_EQUAL(room_write(path, ""), 0);
	check_refused(&rig, path, -EPROTONOSUPPORT, "");
	CU_ASSERT_EQUAL(disk_run("head -c 200000 /dev/urandom >%s", path), 0);
	check_refused(&rig, path, -EPROTONOSUPPORT, "no ext4");
	CU_ASSERT_EQUAL(disk_run("head -c 200000 %s >%s", rig.disk.image, path), 0); /* cut off */
	check_refused(&rig, path, -EPROTONOSUPPORT, "cannot be read");
	CU_ASSERT_EQUAL(unlink(path), 0);
	CU_ASSERT_EQUAL(mkfifo(path, 0600), 0); /* must not wait for a writer */
	check_refused(&rig, path, -EPROTONOSUPPORT, "cannot be opened");
	check_refused(&rig, rig.room, -EPROTONOSUPPORT, "cannot be opened");
	check_refused(&rig, "/dev/null", -EPROTONOSUPPORT, "cannot be opened");
	rig_end(&rig);
}

static void refuses_what_was_not_unmounted(void)
{
	struct rig rig;

	if (!rig_make(&rig, "-t ext4"))
		return;
	CU_ASSERT_EQUAL(disk_run("debugfs -w -R 'feature needs_recovery' %s", rig.disk.image), 0);
	check_refused(&rig, rig.disk.image, -EPROTONOSUPPORT, "not unmounted cleanly");
	CU_ASSERT_EQUAL(disk_run("debugfs -w -R 'feature ^needs_recovery' %s", rig.disk.image), 0);
	CU_ASSERT_EQUAL(disk_run("debugfs -w -R 'set_super_value state 0' %s", rig.disk.image), 0);
	check_refused(&rig, rig.disk.image, -EPROTONOSUPPORT, "not unmounted cleanly");
	CU_ASSERT_EQUAL(disk_run("debugfs -w -R 'set_super_value state 1' %s", rig.disk.image), 0);
	rig_open(&rig, MOUNT);
	rig_end(&rig);
}

/* With and without a journal: what tells that it is mounted is not the same. */
static void refuses_what_is_mounted(void)
{
	static const char *const options[] = { "-t ext4", "-t ext4 -O ^has_journal", "-t ext2" };
	struct rig rig;

	for (size_t i = 0; i < array_size(options); i++) {
		if (!rig_make(&rig, options[i]))
			return;
		if (!disk_mount(&rig.disk, "rw")) {
			rig_end(&rig);
			return;
		}
		check_refused(&rig, rig.disk.image, -EPROTONOSUPPORT, "is mounted");
		disk_unmount(&rig.disk);
		rig_open(&rig, MOUNT);
		rig_end(&rig);
	}
}

/* ---- directories: the same on both sides ---- */

static void both_open(struct rig *rig, const char *root, const char *rel, int wanted)
{
	char host_root[ROOM_DIR_SIZE + 64], image_root[64];
	struct dir host, inside;

	(void)snprintf(host_root, sizeof(host_root), "%s/%s", rig->tree, root);
	(void)snprintf(image_root, sizeof(image_root), MOUNT "/%s", root);
	int a = dir_open(&host, NULL, host_root, rel);
	int b = dir_open(&inside, rig->image, image_root, rel);
	if (a != wanted || b != wanted)
		(void)fprintf(stderr, "%s %s: %d on the host, %d in the image\n", root, rel, a, b);
	CU_ASSERT_EQUAL(a, wanted);
	CU_ASSERT_EQUAL(b, wanted);
	CU_ASSERT_EQUAL(dir_is_open(&host), wanted == 0);
	CU_ASSERT_EQUAL(dir_is_open(&inside), wanted == 0);
	dir_close(&host);
	dir_close(&inside);
	dir_close(&inside);
}

static void opens_directories_as_the_host_does(void)
{
	struct rig rig;

	if (!rig_make(&rig, "-t ext4"))
		return;
	rig_open(&rig, MOUNT);
	both_open(&rig, "spool", "a/b", 0);
	both_open(&rig, "spool", "a/b/3.", 0);
	both_open(&rig, "spool/", "a//b/", 0);
	both_open(&rig, "short", "a/b", 0); /* the root may be a link */
	both_open(&rig, "none", "a/b", -ENODEV);
	both_open(&rig, "spool", "a/c", -ENOENT);
	both_open(&rig, "spool", "file", -ENOTDIR);
	both_open(&rig, "spool", "file/a", -ENOTDIR);
	both_open(&rig, "spool", "a/b/1.", -ENOTDIR);
	both_open(&rig, "spool", "a/b/4.", -ENOTDIR);
	both_open(&rig, "spool", "inside/b", 0);
	both_open(&rig, "spool", "self/self/inside/b", 0);
	both_open(&rig, "spool", "a/../a/b", 0);
	both_open(&rig, "spool", "..", -EXDEV);
	both_open(&rig, "spool", "a/../..", -EXDEV);
	both_open(&rig, "spool", "outside/a", -EXDEV);
	both_open(&rig, "spool", "climbs/b", -EXDEV);
	both_open(&rig, "spool", "absolute/b", -EXDEV);
	both_open(&rig, "spool", "broken/b", -ENOENT);
	both_open(&rig, "spool", "loop/b", -ELOOP);
	rig_end(&rig);
}

/* Below a mount point an absolute link leads to a place of the host, which is not known. */
static void follows_absolute_links_only_in_the_root_of_everything(void)
{
	struct dir dir;
	uint32_t ino;
	struct rig rig;

	if (!rig_make(&rig, "-t ext4"))
		return;
	rig_open(&rig, MOUNT);
	CU_ASSERT_EQUAL(dir_open(&dir, rig.image, MOUNT "/long", "a/b"), -EXDEV);
	CU_ASSERT_EQUAL(image_lookup(rig.image, "/long/a", &ino), -EXDEV);
	CU_ASSERT_EQUAL(image_lookup(rig.image, "/../spool", &ino), -EXDEV);
	CU_ASSERT_EQUAL(image_lookup(rig.image, "/short/a", &ino), 0);
	image_close(take(rig.image));
	rig_open(&rig, "/");
	CU_ASSERT_EQUAL(dir_open(&dir, rig.image, "/long", "a/b"), 0);
	CU_ASSERT_EQUAL(dir_open(&dir, rig.image, "/spool", "absolute/b"), -EXDEV);
	CU_ASSERT_EQUAL(image_lookup(rig.image, "/long/a", &ino), 0);
	dir_close(&dir);
	rig_end(&rig);
}

/* ---- what is in them ---- */

struct seen {
	unsigned nr;
	unsigned types[10]; /* by the first digit of the name */
};

static int on_entry(const char *name, uint64_t ino, unsigned type, void *ctx)
{
	struct seen *seen = ctx;

	if (*name == '.')
		return 0;
	CU_ASSERT_TRUE(ino > 0 && *name >= '1' && *name <= '5');
	seen->types[*name - '0'] = type;
	return ++seen->nr == 100 ? 7 : 0;
}

static int stop(const char *name, uint64_t ino, unsigned type, void *ctx)
{
	(void)name;
	(void)ino;
	(void)type;
	(void)ctx;
	return 7;
}

static void check_both(const struct dir *host, const struct dir *inside, const char *name, int error)
{
	struct file_identity a = { 0 }, b = { 0 };
	struct source src = SOURCE_NULL;

	CU_ASSERT_EQUAL(dir_identify(host, name, &a), error == -ENOENT ? error : 0);
	CU_ASSERT_EQUAL(dir_identify(inside, name, &b), error == -ENOENT ? error : 0);
	CU_ASSERT_EQUAL(a.mode, b.mode);
	CU_ASSERT_EQUAL(a.mtime_ns / NS_PER_S, b.mtime_ns / NS_PER_S);
	CU_ASSERT_EQUAL(a.nlink, b.nlink);
	if (S_ISREG(a.mode))
		CU_ASSERT_EQUAL(a.size, b.size);
	CU_ASSERT_EQUAL(dir_open_source(host, name, &src), error);
	source_close(&src);
	CU_ASSERT_EQUAL(dir_open_source(inside, name, &src), error);
	source_close(&src);
}

static void sees_the_same_in_directories(void)
{
	char root[ROOM_DIR_SIZE + 64], bytes[8];
	struct seen a = { 0 }, b = { 0 };
	struct dir host, inside;
	struct source src;
	uint64_t n;
	struct rig rig;

	if (!rig_make(&rig, "-t ext4"))
		return;
	rig_open(&rig, MOUNT);
	(void)snprintf(root, sizeof(root), "%s/spool", rig.tree);
	CU_ASSERT_EQUAL_FATAL(dir_open(&host, NULL, root, "a/b"), 0);
	CU_ASSERT_EQUAL_FATAL(dir_open(&inside, rig.image, MOUNT "/spool", "a/b"), 0);
	CU_ASSERT_EQUAL(dir_list(&host, on_entry, &a), 0);
	CU_ASSERT_EQUAL(dir_list(&inside, on_entry, &b), 0);
	CU_ASSERT_EQUAL(a.nr, 5);
	CU_ASSERT_EQUAL(memcmp(&a, &b, sizeof(a)), 0);
	CU_ASSERT_EQUAL(dir_list(&host, stop, NULL), 7);
	CU_ASSERT_EQUAL(dir_list(&inside, stop, NULL), 7);
	CU_ASSERT_NOT_EQUAL(host.dev, inside.dev);
	check_both(&host, &inside, "1.", 0);
	check_both(&host, &inside, "2.", 0);
	check_both(&host, &inside, "3.", -EINVAL);
	check_both(&host, &inside, "4.", -ELOOP);
	check_both(&host, &inside, "5.", -EINVAL);
	check_both(&host, &inside, "6.", -ENOENT);
	CU_ASSERT_EQUAL_FATAL(dir_open_source(&inside, "1.", &src), 0);
	CU_ASSERT_EQUAL(source_read(&src, 0, bytes, sizeof(bytes), &n), 0);
	CU_ASSERT_TRUE(n == 4 && memcmp(bytes, "one\n", 4) == 0);
	source_close(&src);
	dir_close(&host);
	dir_close(&inside);
	CU_ASSERT_EQUAL_FATAL(image_open_source(rig.image, MOUNT "/spool/a/b/1.", &src), 0);
	source_close(&src);
	CU_ASSERT_EQUAL(image_open_source(rig.image, MOUNT "/spool/a/b/6.", &src), -ENOENT);
	(void)snprintf(root, sizeof(root), "%s/spool/a/b/1.", rig.tree);
	CU_ASSERT_EQUAL_FATAL(image_open_source(rig.image, root, &src), 0); /* on the host */
	source_close(&src);
	rig_end(&rig);
}

static const struct test_case cases[] = {
	CASE(knows_which_paths_lie_inside),
	CASE(takes_slashes_off_the_end_of_the_mount_point),
	CASE(refuses_what_is_no_ext4),
	CASE(refuses_what_was_not_unmounted),
	CASE(refuses_what_is_mounted),
	CASE(opens_directories_as_the_host_does),
	CASE(follows_absolute_links_only_in_the_root_of_everything),
	CASE(sees_the_same_in_directories),
};

const struct test_suite suite_verify_image = { "verify/image", cases, array_size(cases) };

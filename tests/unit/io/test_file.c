// SPDX-License-Identifier: Apache-2.0
/*
 * Files read from the disk itself: what is refused, what tells one state of a file from another,
 * and that neither a lock, a link nor a FIFO holds a scan up or leads it astray.
 */
#include "suites.h"

#include <CUnit/CUnit.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/clock.h"
#include "io/file.h"
#include "skip.h"
#include "support/room.h"

enum { SIZE = 10000 };

struct room {
	char dir[ROOM_DIR_SIZE];
	int fd;
};

static void write_data(const struct room *room, const char *name, size_t len)
{
	int fd = openat(room->fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	CU_ASSERT_TRUE_FATAL(fd >= 0);
	for (size_t i = 0; i < len; i++) {
		uint8_t byte = (uint8_t)(i * 7);
		CU_ASSERT_EQUAL(write(fd, &byte, 1), 1);
	}
	CU_ASSERT_EQUAL(close(fd), 0);
}

static void room_open(struct room *room)
{
	CU_ASSERT_EQUAL_FATAL(room_make("file", room->dir), 0);
	room->fd = open(room->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CU_ASSERT_TRUE_FATAL(room->fd >= 0);
	write_data(room, "data", SIZE);
}

static void room_close(const struct room *room)
{
	(void)close(room->fd);
	CU_ASSERT_EQUAL(room_remove(room->dir), 0);
}

static void reads_around_the_page_cache_and_leaves_the_access_time(void)
{
	struct file file;
	struct statfs fs;
	struct stat before, after;
	struct room room;
	uint8_t *buf = aligned_alloc(FILE_ALIGN, 4 * FILE_ALIGN);
	uint64_t n;

	room_open(&room);
	CU_ASSERT_EQUAL(fstatat(room.fd, "data", &before, 0), 0);
	CU_ASSERT_EQUAL_FATAL(file_open(&file, room.fd, "data"), 0);
	CU_ASSERT_TRUE(file.noatime); /* it is our own file */
	CU_ASSERT_EQUAL(file.identity.size, SIZE);
	for (uint64_t off = 0; off <= 4 * FILE_ALIGN; off += FILE_ALIGN) {
		uint64_t left = SIZE - min_of(off, (uint64_t)SIZE);
		memset(buf, 0xee, 4 * FILE_ALIGN);
		CU_ASSERT_EQUAL(file_read(&file, off, buf, 2 * FILE_ALIGN, &n), 0);
		CU_ASSERT_EQUAL(n, min_of(left, (uint64_t)2 * FILE_ALIGN));
		for (uint64_t i = 0; i < n; i++)
			if (buf[i] != (uint8_t)((off + i) * 7))
				CU_FAIL("another byte than was written");
	}
	CU_ASSERT_EQUAL(file_read(&file, INT64_MAX / FILE_ALIGN * FILE_ALIGN, buf, FILE_ALIGN, &n),
			-ERANGE);
	CU_ASSERT_EQUAL(fstatfs(file.fd, &fs), 0);
	if (fs.f_type == EXT4_SUPER_MAGIC)
		CU_ASSERT_TRUE(file.direct); /* still: no read made it fall back */
	file_close(&file);
	file_close(&file);
	CU_ASSERT_EQUAL(fstatat(room.fd, "data", &after, 0), 0);
	CU_ASSERT_EQUAL(clock_from_timespec(before.st_atim), clock_from_timespec(after.st_atim));
	free(buf);
	room_close(&room);
	if (fs.f_type != EXT4_SUPER_MAGIC)
		test_skip("O_DIRECT is promised for ext4, and %s is none", room.dir);
}

static void tells_each_state_of_a_file_from_the_next(void)
{
	struct timespec times[2] = { { .tv_sec = 1 }, { .tv_sec = 1600000000, .tv_nsec = 7 } };
	struct file_identity a, b;
	struct room room;

	room_open(&room);
	CU_ASSERT_EQUAL(file_identify(room.fd, "data", &a), 0);
	CU_ASSERT_EQUAL(file_identify(room.fd, "data", &b), 0);
	CU_ASSERT_TRUE(file_identity_equals(&a, &b));
	CU_ASSERT_TRUE(S_ISREG(a.mode) && a.nlink == 1 && a.size == SIZE && a.ino && a.dev);
	clock_sleep_ns(20 * NS_PER_MS); /* more than a tick of the clock that stamps files */
	CU_ASSERT_EQUAL(fchmodat(room.fd, "data", 0640, 0), 0); /* only the ctime */
	CU_ASSERT_EQUAL(file_identify(room.fd, "data", &b), 0);
	CU_ASSERT_FALSE(file_identity_equals(&a, &b));
	CU_ASSERT_EQUAL(a.mtime_ns, b.mtime_ns);
	CU_ASSERT_EQUAL(utimensat(room.fd, "data", times, 0), 0);
	CU_ASSERT_EQUAL(file_identify(room.fd, "data", &a), 0);
	CU_ASSERT_EQUAL(a.mtime_ns, 1600000000 * NS_PER_S + 7);
	write_data(&room, "copy", SIZE);
	CU_ASSERT_EQUAL(file_identify(room.fd, "copy", &b), 0);
	CU_ASSERT_FALSE(file_identity_equals(&a, &b));
	CU_ASSERT_EQUAL(symlinkat("data", room.fd, "link"), 0);
	CU_ASSERT_EQUAL(file_identify(room.fd, "link", &b), 0);
	CU_ASSERT_TRUE(S_ISLNK(b.mode)); /* of the link, not of what it names */
	CU_ASSERT_EQUAL(file_identify(room.fd, "", &b), 0);
	CU_ASSERT_TRUE(S_ISDIR(b.mode));
	CU_ASSERT_EQUAL(file_identify(room.fd, "nothing", &b), -ENOENT);
	room_close(&room);
}

static void compares_each_field_of_an_identity(void)
{
	const struct file_identity a = { 1, 2, 3, 4, 5, 6, 1, 0100600, 0, FILE_ALIGN };

	for (unsigned field = 0; field <= 5; field++) {
		struct file_identity b = a;
		b.dev += field == 1;
		b.ino += field == 2;
		b.size += field == 3;
		b.mtime_ns += field == 4;
		b.ctime_ns += field == 5;
		CU_ASSERT_EQUAL(file_identity_equals(&a, &b), field == 0);
	}
}

static void opens_nothing_but_regular_files(void)
{
	struct file file;
	struct room room;

	room_open(&room);
	CU_ASSERT_EQUAL(symlinkat("data", room.fd, "link"), 0);
	CU_ASSERT_EQUAL(mkfifoat(room.fd, "fifo", 0600), 0);
	CU_ASSERT_EQUAL(mkdirat(room.fd, "folder", 0700), 0);
	CU_ASSERT_EQUAL(room_put_socket(room.fd, "socket"), 0);
	CU_ASSERT_EQUAL(file_open(&file, room.fd, "link"), -ELOOP);
	CU_ASSERT_EQUAL(file_open(&file, room.fd, "fifo"), -EINVAL); /* and does not wait */
	CU_ASSERT_TRUE(S_ISFIFO(file.identity.mode));
	CU_ASSERT_EQUAL(file_open(&file, room.fd, "folder"), -EINVAL);
	CU_ASSERT_TRUE(S_ISDIR(file.identity.mode));
	CU_ASSERT_EQUAL(file_open(&file, room.fd, "socket"), -EINVAL);
	CU_ASSERT_TRUE(S_ISSOCK(file.identity.mode));
	CU_ASSERT_EQUAL(file_open(&file, AT_FDCWD, "/dev/null"), -EINVAL);
	CU_ASSERT_EQUAL(file_open(&file, room.fd, "nothing"), -ENOENT);
	CU_ASSERT_EQUAL(file.fd, -1);
	file_close(&file);
	room_close(&room);
}

static void tells_the_word_of_a_device_from_our_own(void)
{
	static const int media[] = { EIO, ENODATA, EILSEQ, EUCLEAN, EREMOTEIO };
	static const int ours[] = { 0,	    EACCES, EPERM, EMFILE, ENFILE, ENOMEM,
				    ENOENT, EINVAL, ELOOP, EINTR,  EAGAIN };

	for (size_t i = 0; i < array_size(media); i++)
		CU_ASSERT_TRUE(file_error_is_media(-media[i]));
	for (size_t i = 0; i < array_size(ours); i++)
		CU_ASSERT_FALSE(file_error_is_media(-ours[i]));
}

static void locks_as_cyrus_does_and_gives_up_in_time(void)
{
	struct flock probe = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	struct room room;
	pid_t child;

	room_open(&room);
	int fd = openat(room.fd, "data", O_RDONLY | O_CLOEXEC);
	CU_ASSERT_EQUAL_FATAL(room_hold_lock(room.fd, "data", F_WRLCK, &child), 0);
	int64_t begun = clock_mono_ns();
	CU_ASSERT_EQUAL(file_lock_shared(fd, 200 * NS_PER_MS), -ETIMEDOUT);
	int64_t took = clock_mono_ns() - begun;
	CU_ASSERT_TRUE(took >= 200 * NS_PER_MS && took < 5 * NS_PER_S);
	CU_ASSERT_EQUAL(file_lock_shared(fd, 0), -ETIMEDOUT);
	CU_ASSERT_EQUAL(room_let_go(child), 0);
	CU_ASSERT_EQUAL(file_lock_shared(fd, NS_PER_S), 0);
	file_unlock(fd);
	/* Readers do not exclude each other. */
	CU_ASSERT_EQUAL_FATAL(room_hold_lock(room.fd, "data", F_RDLCK, &child), 0);
	CU_ASSERT_EQUAL(file_lock_shared(fd, 0), 0);
	CU_ASSERT_EQUAL(room_let_go(child), 0);

	int other = openat(room.fd, "data", O_RDWR | O_CLOEXEC);
	CU_ASSERT_EQUAL(fcntl(other, F_OFD_GETLK, &probe), 0);
	CU_ASSERT_EQUAL(probe.l_type, F_RDLCK);			    /* ours is in a writer's way */
	(void)close(openat(room.fd, "data", O_RDONLY | O_CLOEXEC)); /* and survives this */
	probe = (struct flock){ .l_type = F_WRLCK, .l_whence = SEEK_SET };
	CU_ASSERT_EQUAL(fcntl(other, F_OFD_GETLK, &probe), 0);
	CU_ASSERT_EQUAL(probe.l_type, F_RDLCK);
	file_unlock(fd);
	probe = (struct flock){ .l_type = F_WRLCK, .l_whence = SEEK_SET };
	CU_ASSERT_EQUAL(fcntl(other, F_OFD_GETLK, &probe), 0);
	CU_ASSERT_EQUAL(probe.l_type, F_UNLCK);
	CU_ASSERT_EQUAL(file_lock_shared(-1, 0), -EBADF);
	(void)close(other);
	(void)close(fd);
	room_close(&room);
}

static void never_leaves_the_directory_it_starts_from(void)
{
	static const struct {
		const char *path;
		int result;
	} rows[] = {
		{ "inside/deep", 0 },
		{ "inside/../inside/deep", 0 },
		{ "within", 0 },
		{ "..", -EXDEV },
		{ "inside/../..", -EXDEV },
		{ "/etc", -EXDEV },
		{ "out", -EXDEV },
		{ "out/x", -EXDEV },
		{ "up", -EXDEV },
		{ "inside/up", -EXDEV },
		{ "nothing", -ENOENT },
		{ "inside/file", -ENOTDIR },
		{ "ring", -ELOOP },
		{ "", -ENOENT },
	};
	struct room room;
	int fd;

	room_open(&room);
	CU_ASSERT_EQUAL(mkdirat(room.fd, "root", 0700), 0);
	CU_ASSERT_EQUAL(mkdirat(room.fd, "root/inside", 0700), 0);
	CU_ASSERT_EQUAL(mkdirat(room.fd, "root/inside/deep", 0700), 0);
	write_data(&room, "root/inside/file", 1);
	CU_ASSERT_EQUAL(symlinkat("inside/deep", room.fd, "root/within"), 0);
	CU_ASSERT_EQUAL(symlinkat("/etc", room.fd, "root/out"), 0);
	CU_ASSERT_EQUAL(symlinkat("..", room.fd, "root/up"), 0);
	CU_ASSERT_EQUAL(symlinkat("../../root", room.fd, "root/inside/up"), 0);
	CU_ASSERT_EQUAL(symlinkat("ring", room.fd, "root/ring"), 0);
	int root = openat(room.fd, "root", O_PATH | O_DIRECTORY | O_CLOEXEC);
	CU_ASSERT_TRUE_FATAL(root >= 0);
	for (size_t i = 0; i < array_size(rows); i++) {
		fd = -1;
		int r = file_open_beneath(root, rows[i].path, &fd);
		CU_ASSERT_EQUAL(r, rows[i].result);
		if (r != rows[i].result)
			(void)fprintf(stderr, "%s gave %d\n", rows[i].path, r);
		CU_ASSERT_EQUAL(fd >= 0, r == 0);
		if (fd >= 0)
			(void)close(fd);
	}
	(void)close(root);
	room_close(&room);
}

static const struct test_case cases[] = {
	CASE(reads_around_the_page_cache_and_leaves_the_access_time),
	CASE(tells_each_state_of_a_file_from_the_next),
	CASE(compares_each_field_of_an_identity),
	CASE(opens_nothing_but_regular_files),
	CASE(tells_the_word_of_a_device_from_our_own),
	CASE(locks_as_cyrus_does_and_gives_up_in_time),
	CASE(never_leaves_the_directory_it_starts_from),
};

const struct test_suite suite_io_file = { "io/file", cases, array_size(cases) };

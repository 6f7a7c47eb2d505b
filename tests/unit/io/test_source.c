// SPDX-License-Identifier: Apache-2.0
/*
 * Byte sources: a file and a buffer read the same, nothing but a regular file is opened, and the
 * end of the bytes is said and never padded.
 */
#include "suites.h"

#include <CUnit/CUnit.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/source.h"
#include "support/room.h"

enum { SIZE = 10000 };

/* A folder of its own for each test, with one file "data" of SIZE known bytes. */
struct room {
	char path[ROOM_DIR_SIZE];
	int dirfd;
};

static uint8_t byte_at(uint64_t off)
{
	return (uint8_t)(off * 7 + (off >> 8));
}

static void room_open(struct room *room)
{
	uint8_t data[SIZE];

	CU_ASSERT_EQUAL_FATAL(room_make("source", room->path), 0);
	room->dirfd = open(room->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CU_ASSERT_TRUE_FATAL(room->dirfd >= 0);
	for (size_t i = 0; i < SIZE; i++)
		data[i] = byte_at(i);
	int fd = openat(room->dirfd, "data", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	CU_ASSERT_TRUE_FATAL(fd >= 0);
	CU_ASSERT_EQUAL(write(fd, data, SIZE), SIZE);
	CU_ASSERT_EQUAL(close(fd), 0);
}

static void room_close(struct room *room)
{
	static const char *const names[] = { "data", "link", "fifo", "socket", "empty" };

	for (size_t i = 0; i < array_size(names); i++)
		(void)unlinkat(room->dirfd, names[i], 0);
	(void)unlinkat(room->dirfd, "folder", AT_REMOVEDIR);
	(void)close(room->dirfd);
	CU_ASSERT_EQUAL(rmdir(room->path), 0);
}

/* What both kinds of source promise, for SIZE bytes of byte_at. */
static void check_reads(struct source *src)
{
	static const struct {
		uint64_t off, len, n;
	} cases[] = {
		{ 0, 0, 0 },	       { 0, 1, 1 },	      { 0, SIZE, SIZE },
		{ 0, SIZE + 1, SIZE }, { 1, SIZE, SIZE - 1 }, { SIZE - 1, 1, 1 },
		{ SIZE - 1, 2, 1 },    { SIZE, 0, 0 },	      { SIZE, 1, 0 },
		{ SIZE + 1, 1, 0 },    { 4095, 2, 2 },	      { INT64_MAX - 1, 1, 0 },
	};
	static uint8_t buf[SIZE + 2];
	uint64_t size;

	CU_ASSERT_EQUAL(source_size(src, &size), 0);
	CU_ASSERT_EQUAL(size, SIZE);
	for (size_t i = 0; i < array_size(cases); i++) {
		uint64_t n = 4711;
		size_t wrong = 0;
		memset(buf, 0xee, sizeof(buf));
		CU_ASSERT_EQUAL(source_read(src, cases[i].off, buf, cases[i].len, &n), 0);
		CU_ASSERT_EQUAL_FATAL(n, cases[i].n);
		for (uint64_t at = 0; at < n; at++)
			wrong += buf[at] != byte_at(cases[i].off + at);
		for (uint64_t at = n; at < sizeof(buf); at++)
			wrong += buf[at] != 0xee;
		CU_ASSERT_EQUAL(wrong, 0);
		CU_ASSERT_EQUAL(source_read_exact(src, cases[i].off, buf, cases[i].len),
				cases[i].n == cases[i].len ? 0 : -ENODATA);
	}
}

static void reads_a_buffer(void)
{
	uint8_t data[SIZE];
	struct source src;

	for (size_t i = 0; i < SIZE; i++)
		data[i] = byte_at(i);
	source_init_memory(&src, span_of(data, SIZE));
	check_reads(&src);
	source_close(&src);
}

static void reads_a_file(void)
{
	struct source src = SOURCE_NULL;
	struct room room;

	room_open(&room);
	CU_ASSERT_EQUAL_FATAL(source_open_file(&src, room.dirfd, "data"), 0);
	check_reads(&src);
	source_close(&src);
	room_close(&room);
}

static void reads_a_file_by_its_whole_path(void)
{
	struct source src = SOURCE_NULL;
	struct room room;
	char path[512];

	room_open(&room);
	(void)snprintf(path, sizeof(path), "%s/data", room.path);
	CU_ASSERT_EQUAL_FATAL(source_open_file(&src, AT_FDCWD, path), 0);
	check_reads(&src);
	source_close(&src);
	room_close(&room);
}

static void reads_nothing_from_an_empty_file(void)
{
	struct source src = SOURCE_NULL;
	struct room room;
	uint64_t n = 1;
	uint8_t byte;

	room_open(&room);
	int fd = openat(room.dirfd, "empty", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	CU_ASSERT_TRUE(fd >= 0);
	(void)close(fd);
	CU_ASSERT_EQUAL_FATAL(source_open_file(&src, room.dirfd, "empty"), 0);
	CU_ASSERT_EQUAL(source_size(&src, &n), 0);
	CU_ASSERT_EQUAL(n, 0);
	CU_ASSERT_EQUAL(source_read_exact(&src, 0, &byte, 1), -ENODATA);
	CU_ASSERT_EQUAL(source_read_exact(&src, 0, NULL, 0), 0);
	source_close(&src);
	room_close(&room);
}

static void sees_a_file_grow_and_shrink(void)
{
	struct source src = SOURCE_NULL;
	struct room room;
	uint8_t buf[2];
	uint64_t n;

	room_open(&room);
	CU_ASSERT_EQUAL_FATAL(source_open_file(&src, room.dirfd, "data"), 0);
	int fd = openat(room.dirfd, "data", O_WRONLY | O_CLOEXEC);
	CU_ASSERT_TRUE(fd >= 0);
	CU_ASSERT_EQUAL(pwrite(fd, "!", 1, SIZE), 1);
	CU_ASSERT_EQUAL(source_size(&src, &n), 0);
	CU_ASSERT_EQUAL(n, SIZE + 1);
	CU_ASSERT_EQUAL(source_read_exact(&src, SIZE, buf, 1), 0);
	CU_ASSERT_EQUAL(buf[0], '!');
	CU_ASSERT_EQUAL(ftruncate(fd, 1), 0);
	CU_ASSERT_EQUAL(source_read_exact(&src, 0, buf, 2), -ENODATA);
	(void)close(fd);
	source_close(&src);
	room_close(&room);
}

/* Opens "name" in a room that `prepare` filled, and expects it to be refused with `error`. */
static void check_refused(void (*prepare)(struct room *room), const char *name, int error)
{
	struct source src = SOURCE_NULL;
	struct room room;

	room_open(&room);
	if (prepare)
		prepare(&room);
	CU_ASSERT_EQUAL(source_open_file(&src, room.dirfd, name), error);
	CU_ASSERT_PTR_NULL(src.ops);
	source_close(&src);
	room_close(&room);
}

static void make_link(struct room *room)
{
	CU_ASSERT_EQUAL(symlinkat("data", room->dirfd, "link"), 0);
}

static void make_fifo(struct room *room)
{
	CU_ASSERT_EQUAL(mkfifoat(room->dirfd, "fifo", 0600), 0);
}

static void make_folder(struct room *room)
{
	CU_ASSERT_EQUAL(mkdirat(room->dirfd, "folder", 0700), 0);
}

static void make_socket(struct room *room)
{
	CU_ASSERT_EQUAL(room_put_socket(room->dirfd, "socket"), 0);
}

static void does_not_follow_a_symbolic_link(void)
{
	check_refused(make_link, "link", -ELOOP);
}

/* Returns at once: a FIFO without a writer would block an ordinary open for ever. */
static void does_not_wait_for_a_fifo(void)
{
	check_refused(make_fifo, "fifo", -EINVAL);
}

static void does_not_open_a_folder(void)
{
	check_refused(make_folder, "folder", -EINVAL);
}

static void does_not_open_a_device(void)
{
	check_refused(NULL, "/dev/null", -EINVAL);
}

static void does_not_open_a_socket(void)
{
	check_refused(make_socket, "socket", -EINVAL);
}

static void says_when_there_is_no_such_file(void)
{
	check_refused(NULL, "nothing", -ENOENT);
	check_refused(NULL, "data/below", -ENOTDIR);
	check_refused(NULL, "", -ENOENT);
}

static void opens_for_reading_only(void)
{
	struct source src = SOURCE_NULL;
	struct room room;

	room_open(&room);
	CU_ASSERT_EQUAL_FATAL(source_open_file(&src, room.dirfd, "data"), 0);
	CU_ASSERT_EQUAL(fcntl(src.fd, F_GETFL) & O_ACCMODE, O_RDONLY);
	CU_ASSERT_TRUE(fcntl(src.fd, F_GETFD) & FD_CLOEXEC);
	source_close(&src);
	room_close(&room);
}

static void leaves_no_descriptor_behind(void)
{
	struct source src = SOURCE_NULL;
	struct room room;

	room_open(&room);
	make_fifo(&room);
	int next = dup(room.dirfd);
	(void)close(next);
	for (int i = 0; i < 10; i++) {
		CU_ASSERT_EQUAL(source_open_file(&src, room.dirfd, "fifo"), -EINVAL);
		CU_ASSERT_EQUAL(source_open_file(&src, room.dirfd, "data"), 0);
		source_close(&src);
		source_close(&src);
	}
	int again = dup(room.dirfd);
	CU_ASSERT_EQUAL(again, next);
	(void)close(again);
	room_close(&room);
}

static void refuses_offsets_that_wrap_around(void)
{
	struct source src = SOURCE_NULL;
	struct room room;
	uint8_t byte;

	room_open(&room);
	CU_ASSERT_EQUAL_FATAL(source_open_file(&src, room.dirfd, "data"), 0);
	CU_ASSERT_TRUE(source_read_exact(&src, INT64_MAX, &byte, 1) < 0);
	CU_ASSERT_EQUAL(source_read_exact(&src, (uint64_t)INT64_MAX + 1, &byte, 1), -ERANGE);
	CU_ASSERT_EQUAL(source_read_exact(&src, UINT64_MAX, &byte, 1), -ERANGE);
	source_close(&src);
	room_close(&room);
}

static void path_in(const struct room *room, const char *leaf, char path[512])
{
	(void)snprintf(path, 512, "%s/%s", room->path, leaf);
}

static void reads_an_image_as_a_device(void)
{
	struct source src = SOURCE_NULL;
	struct room room;
	char path[512];

	room_open(&room);
	CU_ASSERT_EQUAL(symlinkat("data", room.dirfd, "link"), 0);
	path_in(&room, "link", path);
	CU_ASSERT_EQUAL_FATAL(source_open_device(&src, path), 0);
	CU_ASSERT_EQUAL(fcntl(src.fd, F_GETFL) & O_ACCMODE, O_RDONLY);
	CU_ASSERT_TRUE(fcntl(src.fd, F_GETFD) & FD_CLOEXEC);
	check_reads(&src);
	source_close(&src);
	source_close(&src);
	room_close(&room);
}

/* Sizes around those of the buffer, at offsets in and out of step with it. */
static void reads_any_part_of_a_large_image(void)
{
	enum { LARGE = 3 * 1024 * 1024 + 777 };
	static uint8_t data[LARGE], buf[LARGE];
	struct source src = SOURCE_NULL;
	struct room room;
	char path[512];
	uint64_t at = 0, n;

	room_open(&room);
	path_in(&room, "data", path);
	int fd = openat(room.dirfd, "data", O_WRONLY | O_CLOEXEC);
	for (size_t i = 0; i < LARGE; i++)
		data[i] = (uint8_t)(i * 7 + (i >> 8) + (i >> 16));
	CU_ASSERT_EQUAL(write(fd, data, LARGE), LARGE);
	(void)close(fd);
	CU_ASSERT_EQUAL_FATAL(source_open_device(&src, path), 0);
	CU_ASSERT_EQUAL(source_read_exact(&src, 0, buf, LARGE), 0);
	CU_ASSERT_EQUAL(memcmp(buf, data, LARGE), 0);
	for (uint64_t i = 0; i < 3000; i++) {
		uint64_t len = i % 3 ? 1 + i * 37 % 5000 : i * 1031 % 1500000;
		at = i % 5 ? at : i * 7919 * 131 % LARGE;
		CU_ASSERT_EQUAL_FATAL(source_read(&src, at, buf, len, &n), 0);
		CU_ASSERT_EQUAL_FATAL(n, at < LARGE ? min_of(len, LARGE - at) : 0);
		CU_ASSERT_EQUAL_FATAL(memcmp(buf, data + min_of(at, LARGE), n), 0);
		at += n;
	}
	CU_ASSERT_EQUAL(source_read_exact(&src, LARGE - 1, buf, 2), -ENODATA);
	CU_ASSERT_EQUAL(source_read(&src, UINT64_MAX, buf, 1, &n), -ERANGE);
	source_close(&src);
	room_close(&room);
}

static void reads_anew_what_it_was_told_to_forget(void)
{
	struct source src = SOURCE_NULL;
	struct room room;
	char path[512];
	uint8_t byte;

	room_open(&room);
	path_in(&room, "data", path);
	CU_ASSERT_EQUAL_FATAL(source_open_device(&src, path), 0);
	CU_ASSERT_EQUAL(source_read_exact(&src, 5, &byte, 1), 0);
	CU_ASSERT_EQUAL(byte, byte_at(5));
	int fd = openat(room.dirfd, "data", O_WRONLY | O_CLOEXEC);
	CU_ASSERT_EQUAL(pwrite(fd, "!", 1, 6), 1);
	(void)close(fd);
	source_forget(&src);
	CU_ASSERT_EQUAL(source_read_exact(&src, 6, &byte, 1), 0);
	CU_ASSERT_EQUAL(byte, '!');
	source_close(&src);
	source_forget(&src);
	room_close(&room);
}

static void opens_as_a_device_no_fifo_folder_or_terminal(void)
{
	static const char *const names[] = { "fifo", "folder", "socket" };
	struct source src = SOURCE_NULL;
	struct room room;
	char path[512];

	room_open(&room);
	make_fifo(&room);
	make_folder(&room);
	make_socket(&room);
	for (size_t i = 0; i < array_size(names); i++) {
		path_in(&room, names[i], path);
		CU_ASSERT_EQUAL(source_open_device(&src, path), -EINVAL);
	}
	CU_ASSERT_EQUAL(source_open_device(&src, "/dev/null"), -EINVAL);
	path_in(&room, "nothing", path);
	CU_ASSERT_EQUAL(source_open_device(&src, path), -ENOENT);
	CU_ASSERT_PTR_NULL(src.ops);
	room_close(&room);
}

/* A source whose reads are short, interrupted or failing, as a test of the front functions. */
static int reluctant_calls;

static int reluctant_read(struct source *src, uint64_t off, void *buf, uint64_t len,
			  uint64_t *ret_n)
{
	reluctant_calls++;
	if (reluctant_calls % 3 == 0)
		return -EINTR;
	if (off >= src->bytes.len)
		return -EIO;
	uint64_t n = min_of(len, (uint64_t)7);
	n = min_of(n, src->bytes.len - off);
	memcpy(buf, src->bytes.data + off, n);
	*ret_n = n;
	return 0;
}

static const struct source_ops reluctant_ops = { .read = reluctant_read };

static void resumes_short_and_interrupted_reads(void)
{
	uint8_t data[1000] = { 0 }, buf[1000];
	struct source src = { .ops = &reluctant_ops, .fd = -1, .bytes = span_of(data, 1000) };

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = byte_at(i);
	reluctant_calls = 0;
	CU_ASSERT_EQUAL(source_read_exact(&src, 0, buf, 1000), 0);
	CU_ASSERT_EQUAL(memcmp(buf, data, 1000), 0);
	CU_ASSERT_TRUE(reluctant_calls > 1000 / 7);
	CU_ASSERT_EQUAL(source_read_exact(&src, 999, buf, 2), -EIO);
}

static const struct test_case cases[] = {
	CASE(reads_a_buffer),
	CASE(reads_a_file),
	CASE(reads_a_file_by_its_whole_path),
	CASE(reads_nothing_from_an_empty_file),
	CASE(sees_a_file_grow_and_shrink),
	CASE(does_not_follow_a_symbolic_link),
	CASE(does_not_wait_for_a_fifo),
	CASE(does_not_open_a_folder),
	CASE(does_not_open_a_device),
	CASE(does_not_open_a_socket),
	CASE(says_when_there_is_no_such_file),
	CASE(opens_for_reading_only),
	CASE(leaves_no_descriptor_behind),
	CASE(refuses_offsets_that_wrap_around),
	CASE(reads_an_image_as_a_device),
	CASE(reads_any_part_of_a_large_image),
	CASE(reads_anew_what_it_was_told_to_forget),
	CASE(opens_as_a_device_no_fifo_folder_or_terminal),
	CASE(resumes_short_and_interrupted_reads),
};

const struct test_suite suite_io_source = { "io/source", cases, array_size(cases) };

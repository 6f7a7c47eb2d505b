// SPDX-License-Identifier: Apache-2.0
/*
 * Ring: the same results with io_uring and without; what goes wrong comes back as the result of the
 * operation it happened to, and where the kernel refuses io_uring the ring says so and works.
 */
#include "suites.h"

#include <CUnit/CUnit.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "io/fault.h"
#include "io/file.h"
#include "io/ring.h"
#include "skip.h"
#include "support/room.h"

enum { SECTOR = 4096, SECTORS = 10, SIZE = SECTOR * SECTORS - 100 };

static const enum ring_engine engines[] = { RING_ENGINE_IO_URING, RING_ENGINE_PREAD };

/* A file of bytes that are known, and memory to read it to. */
struct scene {
	char dir[ROOM_DIR_SIZE];
	int dirfd, fd;
	uint8_t *arena;
	uint64_t arena_len;
	struct ring *ring;
};

static uint8_t byte_at(uint64_t off)
{
	return (uint8_t)(off * 7 + off / SECTOR);
}

static void scene_make(struct scene *s, uint64_t arena_len)
{
	uint8_t data[SIZE];

	CU_ASSERT_EQUAL_FATAL(room_make("ring", s->dir), 0);
	s->dirfd = open(s->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	s->fd = openat(s->dirfd, "data", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	CU_ASSERT_TRUE_FATAL(s->fd >= 0);
	for (uint64_t i = 0; i < SIZE; i++)
		data[i] = byte_at(i);
	CU_ASSERT_EQUAL(write(s->fd, data, SIZE), SIZE);
	s->arena_len = arena_len;
	s->arena =
		mmap(NULL, arena_len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CU_ASSERT_TRUE_FATAL(s->arena != MAP_FAILED);
	s->ring = NULL;
}

static void scene_remove(struct scene *s)
{
	CU_ASSERT_EQUAL(munmap(s->arena, s->arena_len), 0);
	CU_ASSERT_EQUAL(close(s->fd), 0);
	CU_ASSERT_EQUAL(close(s->dirfd), 0);
	CU_ASSERT_EQUAL(room_remove(s->dir), 0);
}

/* False, and the test is skipped, when this machine has no io_uring. */
static bool scene_open_ring(struct scene *s, enum ring_engine engine, unsigned entries,
			    struct fault *fault)
{
	const struct ring_options options = {
		.engine = engine,
		.entries = entries,
		.arena = s->arena,
		.arena_len = s->arena_len,
		.fault = fault,
	};
	int r = ring_new(&options, &s->ring);

	if (r && engine == RING_ENGINE_IO_URING) {
		test_skip("no io_uring here: %s", strerror(-r));
		return false;
	}
	CU_ASSERT_EQUAL_FATAL(r, 0);
	CU_ASSERT_EQUAL(ring_is_async(s->ring), engine == RING_ENGINE_IO_URING);
	return true;
}

static bool is_right(const uint8_t *buf, uint64_t off, uint64_t len)
{
	for (uint64_t i = 0; i < len; i++)
		if (buf[i] != byte_at(off + i))
			return false;
	return true;
}

/* The result of the one operation that is under way, which is known by `tag`. */
static int wait_one(struct ring *ring, uint64_t tag)
{
	struct ring_done done = { 0 };

	CU_ASSERT_EQUAL(ring_in_flight(ring), 1);
	CU_ASSERT_EQUAL(ring_wait(ring, 10 * NS_PER_S, &done, 1), 1);
	CU_ASSERT_EQUAL(done.tag, tag);
	CU_ASSERT_EQUAL(ring_in_flight(ring), 0);
	return done.result;
}

static int read_one(struct scene *s, uint32_t len, uint64_t off)
{
	CU_ASSERT_EQUAL(ring_read(s->ring, 77, s->fd, s->arena, len, off), 0);
	return wait_one(s->ring, 77);
}

static void knows_its_engines_by_name(void)
{
	enum ring_engine engine = RING_ENGINE_PREAD;

	CU_ASSERT_EQUAL(ring_engine_parse("auto", &engine), 0);
	CU_ASSERT_EQUAL(engine, RING_ENGINE_AUTO);
	CU_ASSERT_EQUAL(ring_engine_parse("io_uring", &engine), 0);
	CU_ASSERT_EQUAL(engine, RING_ENGINE_IO_URING);
	CU_ASSERT_EQUAL(ring_engine_parse("pread", &engine), 0);
	CU_ASSERT_EQUAL(engine, RING_ENGINE_PREAD);
	CU_ASSERT_EQUAL(ring_engine_parse("Pread", &engine), -EINVAL);
	CU_ASSERT_EQUAL(ring_engine_parse("", &engine), -EINVAL);
	CU_ASSERT_EQUAL(engine, RING_ENGINE_PREAD);
}

static void check_opens_identifies_reads_and_closes(struct scene *s)
{
	struct statx st = { 0 };

	CU_ASSERT_EQUAL(ring_open(s->ring, 1, s->dirfd, "data", FILE_QUIET), 0);
	int fd = wait_one(s->ring, 1);
	CU_ASSERT_TRUE_FATAL(fd >= 0);
	CU_ASSERT_TRUE(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	CU_ASSERT_EQUAL(ring_statx(s->ring, 2, fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &st), 0);
	CU_ASSERT_EQUAL(wait_one(s->ring, 2), 0);
	CU_ASSERT_EQUAL(st.stx_size, SIZE);
	CU_ASSERT_EQUAL(ring_read(s->ring, 3, fd, s->arena + SECTOR, SECTOR, SECTOR), 0);
	CU_ASSERT_EQUAL(wait_one(s->ring, 3), SECTOR);
	CU_ASSERT_TRUE(is_right(s->arena + SECTOR, SECTOR, SECTOR));
	CU_ASSERT_EQUAL(ring_close(s->ring, 4, fd), 0);
	CU_ASSERT_EQUAL(wait_one(s->ring, 4), 0);
	CU_ASSERT_EQUAL(fcntl(fd, F_GETFD), -1);
}

static void opens_identifies_reads_and_closes(void)
{
	for (size_t i = 0; i < array_size(engines); i++) {
		struct scene s;
		scene_make(&s, SECTORS * SECTOR);
		if (scene_open_ring(&s, engines[i], 4, NULL)) {
			check_opens_identifies_reads_and_closes(&s);
			CU_ASSERT_STRING_EQUAL(ring_engine_name(s.ring),
					       ring_is_async(s.ring) ? "io_uring" : "pread");
			CU_ASSERT_STRING_EQUAL(ring_why(s.ring),
					       ring_is_async(s.ring) ? "" : "pread was asked for");
		}
		ring_free(s.ring);
		scene_remove(&s);
	}
}

static void ends_a_read_where_the_file_ends(void)
{
	for (size_t i = 0; i < array_size(engines); i++) {
		struct scene s;
		scene_make(&s, SECTORS * SECTOR);
		if (scene_open_ring(&s, engines[i], 1, NULL)) {
			CU_ASSERT_EQUAL(read_one(&s, SECTORS * SECTOR, 0), SIZE);
			CU_ASSERT_TRUE(is_right(s.arena, 0, SIZE));
			CU_ASSERT_EQUAL(read_one(&s, SECTOR, SIZE - 7), 7);
			CU_ASSERT_EQUAL(read_one(&s, SECTOR, SIZE), 0);
			CU_ASSERT_EQUAL(read_one(&s, SECTOR, UINT64_C(1) << 40), 0);
		}
		ring_free(s.ring);
		scene_remove(&s);
	}
}

static void hands_out_the_error_of_each_operation(void)
{
	struct statx st;

	for (size_t i = 0; i < array_size(engines); i++) {
		struct scene s;
		scene_make(&s, SECTOR);
		if (scene_open_ring(&s, engines[i], 2, NULL)) {
			CU_ASSERT_EQUAL(ring_open(s.ring, 1, s.dirfd, "nothing", FILE_QUIET), 0);
			CU_ASSERT_EQUAL(wait_one(s.ring, 1), -ENOENT);
			CU_ASSERT_EQUAL(ring_open(s.ring, 1, s.fd, "data", FILE_QUIET), 0);
			CU_ASSERT_EQUAL(wait_one(s.ring, 1), -ENOTDIR);
			CU_ASSERT_EQUAL(ring_statx(s.ring, 2, s.dirfd, "nothing", 0,
						   STATX_BASIC_STATS, &st),
					0);
			CU_ASSERT_EQUAL(wait_one(s.ring, 2), -ENOENT);
			CU_ASSERT_EQUAL(ring_read(s.ring, 3, -1, s.arena, SECTOR, 0), 0);
			CU_ASSERT_EQUAL(wait_one(s.ring, 3), -EBADF);
			CU_ASSERT_EQUAL(ring_read(s.ring, 3, s.dirfd, s.arena, SECTOR, 0), 0);
			CU_ASSERT_EQUAL(wait_one(s.ring, 3), -EISDIR);
			CU_ASSERT_EQUAL(ring_close(s.ring, 4, 999999), 0);
			CU_ASSERT_EQUAL(wait_one(s.ring, 4), -EBADF);
		}
		ring_free(s.ring);
		scene_remove(&s);
	}
}

/* ---- faults ---- */

static void check_faults_strike_what_they_touch(struct scene *s, struct fault *fault)
{
	uint32_t last = (SECTORS - 1) * SECTOR;

	CU_ASSERT_EQUAL(read_one(s, SECTOR, 0), -EIO); /* the first sector */
	CU_ASSERT_EQUAL(read_one(s, 2 * SECTOR, 0), -EIO);
	CU_ASSERT_EQUAL(read_one(s, SECTOR, last), -ENODATA); /* the last one */
	CU_ASSERT_EQUAL(read_one(s, SECTOR, SECTOR), SECTOR);
	CU_ASSERT_TRUE(is_right(s->arena, SECTOR, SECTOR));
	CU_ASSERT_EQUAL(read_one(s, SECTOR, 2 * SECTOR), -EAGAIN); /* begun again, it goes */
	CU_ASSERT_EQUAL(read_one(s, SECTOR, 2 * SECTOR), SECTOR);
	CU_ASSERT_EQUAL(read_one(s, 2 * SECTOR, 3 * SECTOR), 100);
	CU_ASSERT_TRUE(is_right(s->arena, 3 * SECTOR, 100));
	CU_ASSERT_EQUAL(read_one(s, 2 * SECTOR, 3 * SECTOR), 2 * SECTOR);
	CU_ASSERT_EQUAL(read_one(s, SECTOR, 5 * SECTOR), SECTOR);
	CU_ASSERT_EQUAL(s->arena[9], byte_at(5 * SECTOR + 9) ^ 1);
	s->arena[9] ^= 1;
	CU_ASSERT_TRUE(is_right(s->arena, 5 * SECTOR, SECTOR));
	CU_ASSERT_EQUAL(read_one(s, SECTOR, 6 * SECTOR), SECTOR); /* one sector is not longer */
	CU_ASSERT_EQUAL(read_one(s, 2 * SECTOR, 5 * SECTOR), 2 * SECTOR); /* the flip came first */
	CU_ASSERT_EQUAL(read_one(s, SECTOR + 512, 6 * SECTOR), -EREMOTEIO);
	CU_ASSERT_EQUAL(fault->nr_reads, 12);
}

static void lets_faults_strike_the_reads_they_touch(void)
{
	static const struct fault_rule rules[] = {
		{ .kind = FAULT_ERROR, .off = 0, .len = SECTOR, .error = -EIO },
		{ .kind = FAULT_ERROR, .off = (SECTORS - 1) * SECTOR, .len = 1, .error = -ENODATA },
		{ .kind = FAULT_SHORT, .off = 2 * SECTOR, .len = 1, .keep = 0, .times = 1 },
		{ .kind = FAULT_SHORT, .off = 3 * SECTOR, .len = 1, .keep = 100, .times = 1 },
		{ .kind = FAULT_FLIP, .off = 5 * SECTOR + 9, .len = 1 },
		{ .kind = FAULT_ERROR,
		  .off = 6 * SECTOR,
		  .len = SECTOR,
		  .error = -EREMOTEIO,
		  .longer_than = SECTOR },
	};

	for (size_t i = 0; i < array_size(engines); i++) {
		struct fault fault = { .nr_rules = 0 };
		struct scene s;
		scene_make(&s, SECTORS * SECTOR);
		for (size_t j = 0; j < array_size(rules); j++)
			fault_add(&fault, &rules[j]);
		if (scene_open_ring(&s, engines[i], 4, &fault))
			check_faults_strike_what_they_touch(&s, &fault);
		ring_free(s.ring);
		scene_remove(&s);
	}
}

/* A hanging read holds its place, and neither the others nor the end of the ring. */
static void does_not_wait_for_a_read_that_hangs(void)
{
	const struct fault_rule hang = { .kind = FAULT_HANG, .off = 0, .len = 1 };
	struct ring_done done;

	for (size_t i = 0; i < array_size(engines); i++) {
		struct fault fault = { .nr_rules = 0 };
		struct scene s;
		scene_make(&s, 2 * SECTOR);
		fault_add(&fault, &hang);
		if (scene_open_ring(&s, engines[i], 2, &fault)) {
			CU_ASSERT_EQUAL(ring_read(s.ring, 1, s.fd, s.arena, SECTOR, 0), 0);
			CU_ASSERT_EQUAL(ring_wait(s.ring, 0, &done, 1), 0);
			CU_ASSERT_EQUAL(ring_wait(s.ring, 5 * NS_PER_MS, &done, 1), 0);
			CU_ASSERT_EQUAL(
				ring_read(s.ring, 2, s.fd, s.arena + SECTOR, SECTOR, SECTOR), 0);
			CU_ASSERT_EQUAL(ring_wait(s.ring, -1, &done, 1), 1);
			CU_ASSERT_EQUAL(done.tag, 2);
			CU_ASSERT_EQUAL(done.result, SECTOR);
			ring_cancel(s.ring, 1); /* in vain */
			CU_ASSERT_EQUAL(ring_wait(s.ring, NS_PER_MS, &done, 1), 0);
			CU_ASSERT_EQUAL(ring_in_flight(s.ring), 1);
		}
		ring_free(s.ring);
		scene_remove(&s);
	}
}

/* ---- many ---- */

static void refuses_more_than_its_entries(void)
{
	struct ring_done done[8];

	for (size_t i = 0; i < array_size(engines); i++) {
		struct scene s;
		scene_make(&s, 4 * SECTOR);
		if (scene_open_ring(&s, engines[i], 3, NULL)) {
			for (unsigned tag = 0; tag < 3; tag++)
				CU_ASSERT_EQUAL(ring_read(s.ring, tag, s.fd, s.arena + tag * SECTOR,
							  SECTOR, 0),
						0);
			CU_ASSERT_EQUAL(ring_read(s.ring, 3, s.fd, s.arena, SECTOR, 0), -EBUSY);
			CU_ASSERT_EQUAL(ring_open(s.ring, 3, s.dirfd, "data", FILE_QUIET), -EBUSY);
			CU_ASSERT_EQUAL(ring_close(s.ring, 3, -1), -EBUSY);
			CU_ASSERT_EQUAL(ring_in_flight(s.ring), 3);
			CU_ASSERT_EQUAL(ring_wait(s.ring, -1, done, 1), 1);
			CU_ASSERT_EQUAL(ring_in_flight(s.ring), 2);
			CU_ASSERT_EQUAL(ring_read(s.ring, 3, s.fd, s.arena + 3 * SECTOR, SECTOR, 0),
					0);
			CU_ASSERT_EQUAL(ring_read(s.ring, 4, s.fd, s.arena, SECTOR, 0), -EBUSY);
			while (ring_in_flight(s.ring))
				CU_ASSERT_TRUE_FATAL(ring_wait(s.ring, -1, done, 8) > 0);
			CU_ASSERT_EQUAL(ring_wait(s.ring, 0, done, 8), 0);
		}
		ring_free(s.ring);
		scene_remove(&s);
	}
}

enum { MANY = 4096, ROUNDS = 3 };

/* Each of 4,096 reads comes back once, with its own bytes, however few are taken at a time. */
static void check_many(struct scene *s, unsigned at_a_time)
{
	static uint8_t seen[MANY];
	struct ring_done done[MANY];
	unsigned wrong = 0;

	memset(seen, 0, sizeof(seen));
	memset(s->arena, 0xee, s->arena_len);
	for (unsigned tag = 0; tag < MANY; tag++)
		wrong += ring_read(s->ring, tag, s->fd, s->arena + (size_t)tag * 512, 512,
				   tag % 50 * 512) != 0;
	while (ring_in_flight(s->ring)) {
		int n = ring_wait(s->ring, 10 * NS_PER_S, done, at_a_time);
		CU_ASSERT_TRUE_FATAL(n > 0 && n <= (int)at_a_time);
		for (int i = 0; i < n; i++) {
			uint64_t tag = done[i].tag;
			wrong += done[i].result != 512 || tag >= MANY || seen[tag]++ ||
				 !is_right(s->arena + tag * 512, tag % 50 * 512, 512);
		}
	}
	for (unsigned tag = 0; tag < MANY; tag++)
		wrong += seen[tag] != 1;
	CU_ASSERT_EQUAL(wrong, 0);
}

static void brings_back_each_of_4096_reads_once(void)
{
	static const unsigned at_a_time[ROUNDS] = { MANY, 100, 1 };

	for (size_t i = 0; i < array_size(engines); i++) {
		struct scene s;
		scene_make(&s, MANY * 512);
		if (scene_open_ring(&s, engines[i], MANY, NULL))
			for (unsigned round = 0; round < ROUNDS; round++)
				check_many(&s, at_a_time[round]);
		ring_free(s.ring);
		scene_remove(&s);
	}
}

/* ---- waiting ---- */

/* Reads of a pipe that nobody has written to wait for ever. */
static void gives_up_waiting_in_time(void)
{
	struct ring_done done;
	struct scene s;
	int ends[2];

	scene_make(&s, SECTOR);
	if (!scene_open_ring(&s, RING_ENGINE_IO_URING, 2, NULL)) {
		scene_remove(&s);
		return;
	}
	CU_ASSERT_EQUAL_FATAL(pipe2(ends, O_CLOEXEC), 0);
	CU_ASSERT_EQUAL(ring_read(s.ring, 5, ends[0], s.arena, 16, UINT64_MAX), 0);
	CU_ASSERT_EQUAL(ring_wait(s.ring, 0, &done, 1), 0);
	int64_t begun = clock_mono_ns();
	CU_ASSERT_EQUAL(ring_wait(s.ring, 50 * NS_PER_MS, &done, 1), 0);
	int64_t took = clock_mono_ns() - begun;
	CU_ASSERT_TRUE(took >= 50 * NS_PER_MS && took < 10 * NS_PER_S);
	CU_ASSERT_EQUAL(ring_in_flight(s.ring), 1);
	CU_ASSERT_EQUAL(write(ends[1], "late", 4), 4);
	CU_ASSERT_EQUAL(wait_one(s.ring, 5), 4);
	CU_ASSERT_EQUAL(memcmp(s.arena, "late", 4), 0);
	(void)close(ends[0]);
	(void)close(ends[1]);
	ring_free(s.ring);
	scene_remove(&s);
}

static void cancels_the_operation_that_it_is_told(void)
{
	struct ring_done done;
	struct scene s;
	int ends[2];

	scene_make(&s, 4 * SECTOR);
	if (!scene_open_ring(&s, RING_ENGINE_IO_URING, 4, NULL)) {
		scene_remove(&s);
		return;
	}
	CU_ASSERT_EQUAL_FATAL(pipe2(ends, O_CLOEXEC), 0);
	for (unsigned tag = 0; tag < 3; tag++)
		CU_ASSERT_EQUAL(
			ring_read(s.ring, tag, ends[0], s.arena + tag * SECTOR, 16, UINT64_MAX), 0);
	CU_ASSERT_EQUAL(ring_wait(s.ring, 0, &done, 1), 0);
	ring_cancel(s.ring, 99); /* nobody's */
	for (unsigned tag = 0; tag < 3; tag += 2) {
		ring_cancel(s.ring, tag);
		CU_ASSERT_EQUAL(ring_wait(s.ring, 10 * NS_PER_S, &done, 1), 1);
		CU_ASSERT_EQUAL(done.tag, tag);
		CU_ASSERT_EQUAL(done.result, -ECANCELED);
	}
	ring_cancel(s.ring, 0); /* has ended */
	CU_ASSERT_EQUAL(ring_wait(s.ring, 0, &done, 1), 0);
	CU_ASSERT_EQUAL(write(ends[1], "x", 1), 1);
	CU_ASSERT_EQUAL(wait_one(s.ring, 1), 1); /* is as it was */
	(void)close(ends[0]);
	(void)close(ends[1]);
	ring_free(s.ring);
	scene_remove(&s);
}

/* ---- refusals, each in a child that has them for good ---- */

/* A read through a ring of any engine. */
static bool reads_well(struct scene *s, const struct ring_options *options)
{
	struct ring_done done;
	bool well = ring_new(options, &s->ring) == 0 &&
		    ring_read(s->ring, 7, s->fd, s->arena, SECTOR, SECTOR) == 0 &&
		    ring_wait(s->ring, -1, &done, 1) == 1 && done.tag == 7 &&
		    done.result == SECTOR && is_right(s->arena, SECTOR, SECTOR);

	return well;
}

static void reads_a_registered_file_and_others_beside_it(void)
{
	for (unsigned own = 0; own < 2; own++) {
		struct scene s;
		scene_make(&s, 4 * SECTOR);
		struct ring_options options = {
			.engine = RING_ENGINE_AUTO,
			.entries = 8,
			.arena = s.arena,
			.arena_len = s.arena_len,
			.has_file = true,
			.file = own ? s.fd : s.dirfd, /* of a directory no read would come */
		};
		CU_ASSERT_TRUE(reads_well(&s, &options));
		ring_free(take(s.ring));
		scene_remove(&s);
	}
}

/* The exit status of a child that may not use io_uring: which of the promises it saw broken. */
static int live_without_io_uring(struct scene *s, int error)
{
	struct ring_options options = {
		.engine = RING_ENGINE_IO_URING,
		.entries = 8,
		.arena = s->arena,
		.arena_len = s->arena_len,
	};

	if (room_refuse_io_uring(error))
		return 77; /* no seccomp here */
	if (ring_new(&options, &s->ring) != -error)
		return 1;
	options.engine = RING_ENGINE_AUTO;
	if (!reads_well(s, &options))
		return 2;
	if (ring_is_async(s->ring) || strcmp(ring_engine_name(s->ring), "pread") != 0)
		return 3;
	if (!strstr(ring_why(s->ring), strerror(error)))
		return 4;
	ring_free(s->ring);
	return 0;
}

static int status_of(pid_t child)
{
	int status = -1;

	CU_ASSERT_EQUAL(waitpid(child, &status, 0), child);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

static void says_why_it_is_without_io_uring(void)
{
	static const int errors[] = { EPERM, ENOSYS, ENOMEM };

	for (size_t i = 0; i < array_size(errors); i++) {
		struct scene s;
		scene_make(&s, SECTOR);
		pid_t child = fork();
		if (child == 0)
			_exit(live_without_io_uring(&s, errors[i]));
		int status = status_of(child);
		scene_remove(&s);
		if (status == 77) {
			test_skip("no seccomp filter can be set here");
			return;
		}
		CU_ASSERT_EQUAL(status, 0);
	}
}

static int live_without_locked_memory(struct scene *s)
{
	struct ring_options options = {
		.engine = RING_ENGINE_IO_URING,
		.entries = 8,
		.arena = s->arena,
		.arena_len = s->arena_len,
	};
	const struct rlimit little = { 128 << 10, 128 << 10 }; /* for the ring, not for the arena */

	if (setrlimit(RLIMIT_MEMLOCK, &little) ||
	    (geteuid() == 0 && setresuid(65534, 65534, 65534)))
		return 77;
	if (!reads_well(s, &options))
		return 1;
	ring_free(s->ring);
	return 0;
}

static void reads_to_memory_that_it_may_not_register(void)
{
	struct scene s;

	scene_make(&s, 64 * SECTOR);
	bool has_io_uring = scene_open_ring(&s, RING_ENGINE_IO_URING, 1, NULL);
	ring_free(take(s.ring));
	if (has_io_uring) {
		pid_t child = fork();
		if (child == 0)
			_exit(live_without_locked_memory(&s));
		int status = status_of(child);
		CU_ASSERT_TRUE(status == 0 || status == 77);
		if (status == 77)
			test_skip("may not lower its own rights");
	}
	scene_remove(&s);
}

static const struct test_case cases[] = {
	CASE(knows_its_engines_by_name),
	CASE(opens_identifies_reads_and_closes),
	CASE(ends_a_read_where_the_file_ends),
	CASE(hands_out_the_error_of_each_operation),
	CASE(lets_faults_strike_the_reads_they_touch),
	CASE(does_not_wait_for_a_read_that_hangs),
	CASE(refuses_more_than_its_entries),
	CASE(brings_back_each_of_4096_reads_once),
	CASE(gives_up_waiting_in_time),
	CASE(cancels_the_operation_that_it_is_told),
	CASE(says_why_it_is_without_io_uring),
	CASE(reads_to_memory_that_it_may_not_register),
	CASE(reads_a_registered_file_and_others_beside_it),
};

const struct test_suite suite_io_ring = { "io/ring", cases, array_size(cases) };

// SPDX-License-Identifier: Apache-2.0
/*
 * Reads that are begun ahead: whatever is hinted, in whatever order, what is read is what is there.
 */
#include "suites.h"

#include <CUnit/CUnit.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "io/source.h"
#include "support/random.h"
#include "support/room.h"

enum { SIZE = 8 << 20, PIECE = 4096 };

static char dir[ROOM_DIR_SIZE];
static char path[ROOM_DIR_SIZE + 16];

static uint8_t byte_at(uint64_t off, uint8_t turn)
{
	return (uint8_t)(off * 13 + (off >> 9) + (off >> 17) + turn);
}

static void image_write(uint8_t turn)
{
	static uint8_t bytes[1 << 16];
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	CU_ASSERT_TRUE_FATAL(fd >= 0);
	for (uint64_t off = 0; off < SIZE; off += sizeof(bytes)) {
		for (size_t i = 0; i < sizeof(bytes); i++)
			bytes[i] = byte_at(off + i, turn);
		CU_ASSERT_EQUAL(pwrite(fd, bytes, sizeof(bytes), (off_t)off), sizeof(bytes));
	}
	CU_ASSERT_EQUAL(fsync(fd), 0);
	(void)close(fd);
}

static void image_open(struct source *src)
{
	CU_ASSERT_EQUAL_FATAL(room_make("ahead", dir), 0);
	(void)snprintf(path, sizeof(path), "%s/image", dir);
	image_write(0);
	CU_ASSERT_EQUAL_FATAL(source_open_device(src, path), 0);
}

static void image_close(struct source *src)
{
	source_close(src);
	(void)unlink(path);
	CU_ASSERT_EQUAL(rmdir(dir), 0);
}

static void check_at(struct source *src, uint64_t off, uint64_t len, uint8_t turn)
{
	static uint8_t bytes[1 << 18];
	uint64_t wrong = 0;

	CU_ASSERT_EQUAL_FATAL(source_read_exact(src, off, bytes, len), 0);
	for (uint64_t i = 0; i < len; i++)
		wrong += bytes[i] != byte_at(off + i, turn);
	CU_ASSERT_EQUAL(wrong, 0);
}

static void reads_what_was_hinted_in_order(void)
{
	struct source src;

	image_open(&src);
	for (uint64_t i = 0; i < 200; i++) {
		for (uint64_t k = i == 0 ? 0 : i + SOURCE_PREFETCH_MAX - 1;
		     k < i + SOURCE_PREFETCH_MAX; k++)
			source_prefetch(&src, k * 3 * PIECE, PIECE);
		check_at(&src, i * 3 * PIECE, PIECE, 0);
	}
	image_close(&src);
}

static void reads_whatever_was_hinted(void)
{
	uint64_t rng = 7;
	struct source src;

	image_open(&src);
	for (unsigned i = 0; i < 3000; i++) {
		uint64_t off = random_below(&rng, SIZE), len = random_below(&rng, 200000);
		if (i % 3)
			source_prefetch(&src, off, len);
		else
			check_at(&src, off, min_of(len, SIZE - off), 0);
	}
	image_close(&src);
}

static void forgets_what_was_read_ahead(void)
{
	struct source src;

	image_open(&src);
	source_prefetch(&src, 65536, PIECE);
	check_at(&src, 65536, PIECE, 0);
	source_prefetch(&src, 0, PIECE);
	image_write(9);
	source_forget(&src);
	check_at(&src, 65536, PIECE, 9);
	check_at(&src, 0, PIECE, 9);
	image_close(&src);
}

static void is_not_led_astray_by_hints_beyond_the_end(void)
{
	struct source src;
	uint8_t bytes[PIECE];
	uint64_t n;

	image_open(&src);
	source_prefetch(&src, SIZE, PIECE);
	source_prefetch(&src, SIZE - 100, PIECE);
	source_prefetch(&src, UINT64_MAX - 5, PIECE);
	source_prefetch(&src, INT64_MAX, UINT64_MAX);
	source_prefetch(&src, 0, 0);
	check_at(&src, SIZE - 100, 100, 0);
	CU_ASSERT_EQUAL(source_read(&src, SIZE, bytes, sizeof(bytes), &n), 0);
	CU_ASSERT_EQUAL(n, 0);
	image_close(&src);
}

static const struct test_case cases[] = {
	CASE(reads_what_was_hinted_in_order),
	CASE(reads_whatever_was_hinted),
	CASE(forgets_what_was_read_ahead),
	CASE(is_not_led_astray_by_hints_beyond_the_end),
};

const struct test_suite suite_io_ahead = { "io/ahead", cases, array_size(cases) };

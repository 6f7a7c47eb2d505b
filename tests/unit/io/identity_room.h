/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A room for the tests of io/identity: an image, and what was found in it. Each function asserts what
 * must not fail.
 */
#ifndef TESTS_UNIT_IO_IDENTITY_ROOM_H
#define TESTS_UNIT_IO_IDENTITY_ROOM_H

#include <CUnit/CUnit.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "io/identity.h"
#include "skip.h"
#include "support/room.h"

#define MIB (1u << 20)
#define UUID "5bd1a1c5-0f3d-4a6e-9c1d-2f4b6a8c0e12"

struct room {
	char dir[ROOM_DIR_SIZE];
	char image[ROOM_DIR_SIZE + 8];
	char said[512]; /* the first line of what run() ran */
	struct identity identity;
};

static inline void room_open(struct room *room)
{
	*room = (struct room){ .said = "" };
	CU_ASSERT_EQUAL_FATAL(room_make("identity", room->dir), 0);
	(void)snprintf(room->image, sizeof(room->image), "%s/image", room->dir);
}

static inline void room_close(const struct room *room)
{
	CU_ASSERT_EQUAL(room_remove(room->dir), 0);
}

/* Runs a command of the shell in the room and returns its status; 127: there is no such program. */
static inline int printf_like(2, 3) run(struct room *room, const char *fmt, ...)
{
	char command[1024], whole[1024 + ROOM_DIR_SIZE + 128], said[ROOM_DIR_SIZE + 8];
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(command, sizeof(command), fmt, args);
	va_end(args);
	(void)snprintf(whole, sizeof(whole),
		       "PATH=$PATH:/usr/sbin:/sbin; cd %s && exec >said 2>/dev/null; %s", room->dir,
		       command);
	int status = system(whole);
	*room->said = '\0';
	(void)snprintf(said, sizeof(said), "%s/said", room->dir);
	FILE *file = fopen(said, "re");
	if (file && fgets(room->said, sizeof(room->said), file))
		room->said[strcspn(room->said, "\n")] = '\0';
	if (file)
		(void)fclose(file);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* An image of zeros. */
static inline void make_image(const struct room *room, uint64_t size)
{
	int fd = open(room->image, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	CU_ASSERT_TRUE_FATAL(fd >= 0);
	CU_ASSERT_EQUAL_FATAL(ftruncate(fd, (off_t)size), 0);
	(void)close(fd);
}

static inline void put(const struct room *room, uint64_t off, const void *data, size_t len)
{
	int fd = open(room->image, O_WRONLY | O_CLOEXEC);

	CU_ASSERT_TRUE_FATAL(fd >= 0);
	CU_ASSERT_EQUAL_FATAL(pwrite(fd, data, len, (off_t)off), (ssize_t)len);
	(void)close(fd);
}

static inline void get(const struct room *room, uint64_t off, void *data, size_t len)
{
	int fd = open(room->image, O_RDONLY | O_CLOEXEC);

	CU_ASSERT_TRUE_FATAL(fd >= 0);
	CU_ASSERT_EQUAL_FATAL(pread(fd, data, len, (off_t)off), (ssize_t)len);
	(void)close(fd);
}

static inline void probe(struct room *room)
{
	CU_ASSERT_EQUAL_FATAL(identity_probe(room->image, &room->identity), 0);
}

static inline void describes(const struct identity *identity, const char *wanted)
{
	struct buf line = BUF_NULL;

	identity_describe(identity, &line);
	CU_ASSERT_EQUAL(buf_error(&line), 0);
	bool right = strcmp(buf_str(&line), wanted) == 0;
	CU_ASSERT_TRUE(right);
	if (!right)
		(void)fprintf(stderr, "wanted %s\ngot    %s\n", wanted, buf_str(&line));
	buf_fini(&line);
}

/* False, and the test is skipped: the program is not installed. */
static inline bool make_filesystem(struct room *room, unsigned mib, const char *program,
			    const char *options)
{
	make_image(room, (uint64_t)mib * MIB);
	if (run(room, "command -v %s", program)) {
		test_skip("%s is not installed", program);
		return false;
	}
	CU_ASSERT_EQUAL_FATAL(run(room, "%s %s image", program, options), 0);
	return true;
}

/* ---- partition tables ---- */

struct part {
	uint64_t first, last; /* sectors, both belong to it */
	const char *name;
};

static inline void put_le(uint8_t *to, uint64_t value, unsigned len)
{
	for (unsigned i = 0; i < len; i++)
		to[i] = (uint8_t)(value >> 8 * i);
}

/* A GPT for an image of `sectors`, the first copy alone, and the DOS table that guards it. */
static inline void put_gpt(const struct room *room, uint64_t sectors, const struct part *parts, size_t nr)
{
	static uint8_t entries[128 * 128];
	uint8_t header[512] = "EFI PART", guard[512] = { 0 };

	memset(entries, 0, sizeof(entries));
	for (size_t i = 0; i < nr; i++) {
		uint8_t *entry = entries + i * 128;
		memset(entry, 0x11, 16);
		memset(entry + 16, (int)(i + 1), 16);
		put_le(entry + 32, parts[i].first, 8);
		put_le(entry + 40, parts[i].last, 8);
		for (size_t c = 0; parts[i].name[c] && c < 36; c++)
			put_le(entry + 56 + 2 * c, (uint8_t)parts[i].name[c], 2);
	}
	put_le(header + 8, 0x10000, 4);
	put_le(header + 12, 92, 4);
	put_le(header + 24, 1, 8);
	put_le(header + 32, sectors - 1, 8);
	put_le(header + 40, 34, 8);
	put_le(header + 48, sectors - 34, 8);
	memset(header + 56, 0x22, 16);
	put_le(header + 72, 2, 8);
	put_le(header + 80, 128, 4);
	put_le(header + 84, 128, 4);
	put_le(header + 88, crc32(0, entries, sizeof(entries)), 4);
	put_le(header + 16, crc32(0, header, 92), 4);
	guard[450] = 0xee;
	put_le(guard + 454, 1, 4);
	put_le(guard + 458, sectors - 1, 4);
	put_le(guard + 510, 0xaa55, 2);
	put(room, 0, guard, sizeof(guard));
	put(room, 512, header, sizeof(header));
	put(room, 1024, entries, sizeof(entries));
}

#endif

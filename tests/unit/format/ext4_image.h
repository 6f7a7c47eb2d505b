/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Filesystems for the tests of format/ext4: made by mke2fs from a small tree of known bytes,
 * changed by debugfs, never mounted. Each function asserts what must not fail.
 */
#ifndef TESTS_UNIT_FORMAT_EXT4_IMAGE_H
#define TESTS_UNIT_FORMAT_EXT4_IMAGE_H

#include <CUnit/CUnit.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "format/ext4/ext4.h"
#include "skip.h"
#include "support/room.h"

#define PIECES 500     /* of the file "holes", with as many holes between them */
#define PIECE_LEN 4096 /* bytes */
#define MANY 400       /* files in the folder "many" */
#define COMMAND_SIZE 2048

struct image {
	char dir[ROOM_DIR_SIZE];
	char path[ROOM_DIR_SIZE + 8];
	struct source src;
	struct ext4 *fs;
};

/* Every byte follows from the name of the file and its place. */
static inline uint8_t byte_of(const char *name, uint64_t off)
{
	return (uint8_t)(off * 31 + (off >> 8) + (off >> 16) + (uint8_t)name[0] * 7 +
			 (uint8_t)name[1]);
}

static const struct {
	const char *name;
	uint64_t len;
} plain_files[] = {
	{ "empty", 0 },
	{ "tiny", 10 },
	{ "inode", 120 },
	{ "small", 1023 },
	{ "page", 4096 },
	{ "sub/deep/file", 5000 },
	{ "big", 300 * 1024 + 17 },
};

/* What "holes" holds: a piece, a hole, a piece... and a hole at the end. */
static inline uint8_t holes_byte(uint64_t off)
{
	return off / PIECE_LEN % 2 == 0 && off / PIECE_LEN < PIECES * 2 ? byte_of("holes", off) : 0;
}

#define HOLES_LEN ((uint64_t)PIECES * 2 * PIECE_LEN + 5)

/* Runs a command of the shell and returns its status; what it says goes to "said" in the room. */
static inline int printf_like(2, 3) run(const struct image *image, const char *fmt, ...)
{
	char command[COMMAND_SIZE], whole[COMMAND_SIZE + ROOM_DIR_SIZE + 128];
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(command, sizeof(command), fmt, args);
	va_end(args);
	(void)snprintf(whole, sizeof(whole),
		       "PATH=$PATH:/usr/sbin:/sbin; exec >%s/said 2>/dev/null; %s", image->dir,
		       command);
	int status = system(whole);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* Writes `nr` pieces of `len` bytes with holes of `len` between them. */
static inline void put_pieces(const char *path, const char *name, uint64_t len, uint64_t nr)
{
	uint8_t *bytes = malloc(len + 1);

	CU_ASSERT_PTR_NOT_NULL_FATAL(bytes);
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	CU_ASSERT_TRUE_FATAL(fd >= 0);
	for (uint64_t piece = 0; piece < nr; piece++) {
		uint64_t off = piece * 2 * len;
		for (uint64_t i = 0; i < len; i++)
			bytes[i] = byte_of(name, off + i);
		CU_ASSERT_EQUAL(pwrite(fd, bytes, len, (off_t)off), (ssize_t)len);
	}
	(void)close(fd);
	free(bytes);
}

static inline void put_bytes(const char *path, const char *name, uint64_t len)
{
	put_pieces(path, name, len, 1);
}

static inline void tree_make(const struct image *image)
{
	char path[ROOM_DIR_SIZE + 64];

	CU_ASSERT_EQUAL_FATAL(run(image,
				  "cd %s && mkdir -p tree/sub/deep tree/many &&"
				  " ln -s sub/deep/file tree/link && ln -s /sub tree/abs &&"
				  " ln -s ../../loop tree/sub/deep/loop &&"
				  " ln -s sub/deep/loop tree/loop && mkfifo tree/fifo &&"
				  " ln -s ./././././././././././././././././././././././././././"
				  "././././././././././sub/deep tree/long",
				  image->dir),
			      0);
	for (size_t i = 0; i < array_size(plain_files); i++) {
		(void)snprintf(path, sizeof(path), "%s/tree/%s", image->dir, plain_files[i].name);
		put_bytes(path, plain_files[i].name, plain_files[i].len);
	}
	for (unsigned i = 0; i < MANY; i++) {
		(void)snprintf(path, sizeof(path), "%s/tree/many/a-name-of-file-%u", image->dir, i);
		put_bytes(path, "many", 1);
	}
	(void)snprintf(path, sizeof(path), "%s/tree/holes", image->dir);
	put_pieces(path, "holes", PIECE_LEN, PIECES);
	CU_ASSERT_EQUAL(truncate(path, HOLES_LEN), 0);
}

/* Makes an image of `size` from the tree. False, and the test is skipped: no mke2fs. */
static inline bool image_make(struct image *image, const char *options, const char *size)
{
	*image = (struct image){ .src = SOURCE_NULL };
	CU_ASSERT_EQUAL_FATAL(room_make("ext4", image->dir), 0);
	(void)snprintf(image->path, sizeof(image->path), "%s/image", image->dir);
	if (run(image, "command -v mke2fs && command -v debugfs && command -v dumpe2fs")) {
		test_skip("mke2fs, debugfs or dumpe2fs is missing");
		CU_ASSERT_EQUAL(room_remove(image->dir), 0);
		return false;
	}
	tree_make(image);
	CU_ASSERT_EQUAL_FATAL(run(image, "mke2fs -q -F -d %s/tree %s %s %s", image->dir, options,
				  image->path, size),
			      0);
	return true;
}

static inline void image_open(struct image *image)
{
	CU_ASSERT_EQUAL_FATAL(source_open_file(&image->src, AT_FDCWD, image->path), 0);
	CU_ASSERT_EQUAL_FATAL(ext4_open(&image->src, &image->fs), 0);
}

static inline void image_close(struct image *image)
{
	ext4_close(image->fs);
	source_close(&image->src);
	CU_ASSERT_EQUAL(room_remove(image->dir), 0);
}

static inline uint32_t ino_of(const struct image *image, const char *path)
{
	uint32_t ino = 0;

	CU_ASSERT_EQUAL_FATAL(ext4_lookup(image->fs, EXT4_ROOT_INO, path, &ino), 0);
	return ino;
}

/* Flips a bit of the image on disk. */
static inline void image_flip(const struct image *image, uint64_t off)
{
	uint8_t byte;

	int fd = open(image->path, O_RDWR | O_CLOEXEC);
	CU_ASSERT_TRUE_FATAL(fd >= 0);
	CU_ASSERT_EQUAL(pread(fd, &byte, 1, (off_t)off), 1);
	byte ^= 4;
	CU_ASSERT_EQUAL(pwrite(fd, &byte, 1, (off_t)off), 1);
	(void)close(fd);
}

/* The number behind `word` in what the last command said; 0 where there is none. */
static inline uint64_t said_number(const struct image *image, const char *word)
{
	char path[ROOM_DIR_SIZE + 8], line[4096];
	uint64_t number = 0;

	(void)snprintf(path, sizeof(path), "%s/said", image->dir);
	FILE *said = fopen(path, "re");
	CU_ASSERT_PTR_NOT_NULL_FATAL(said);
	while (number == 0 && fgets(line, sizeof(line), said)) {
		const char *at = strstr(line, word);
		if (at)
			number = strtoull(at + strlen(word), NULL, 0);
	}
	(void)fclose(said);
	return number;
}

/* Where an inode lies in the image. */
static inline uint64_t inode_off(const struct image *image, uint32_t ino)
{
	struct ext4_info info;

	ext4_get_info(image->fs, &info);
	CU_ASSERT_EQUAL(run(image, "debugfs -R 'imap <%u>' %s", ino, image->path), 0);
	return said_number(image, "located at block ") * info.block_size +
	       said_number(image, "offset ");
}

/* ---- callbacks: what they are handed, checked and counted ---- */

static inline int count_entry(struct span name, uint32_t ino, unsigned type, void *ctx)
{
	CU_ASSERT_TRUE(ino > 10 && type == DT_REG);
	CU_ASSERT_TRUE(span_starts_with(name, "a-name-of-file-"));
	++*(unsigned *)ctx;
	return 0;
}

static inline int on_stat(const struct ext4_inode *inode, int error, void *ctx)
{
	CU_ASSERT_EQUAL(error, 0);
	*(struct ext4_inode *)ctx = *inode;
	return 7;
}

struct allocated {
	uint64_t end, total;
	unsigned stop_after;
};

static inline int on_range(uint64_t off, uint64_t len, void *ctx)
{
	struct allocated *a = ctx;

	CU_ASSERT_TRUE(len > 0 && (off > a->end || a->end == 0));
	a->end = off + len;
	a->total += len;
	return a->stop_after && --a->stop_after == 0 ? 5 : 0;
}

#endif

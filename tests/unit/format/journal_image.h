/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Journals for the tests: written by debugfs into images of ext4_image.h, or by a kernel into one
 * that is mounted, and replayed into a copy by e2fsprogs, which is what the overlay is held against.
 * Each function asserts what must not fail.
 */
#ifndef TESTS_UNIT_FORMAT_JOURNAL_IMAGE_H
#define TESTS_UNIT_FORMAT_JOURNAL_IMAGE_H

#include <ext2fs/ext2fs.h>

#include "base/clock.h"
#include "ext4_image.h"
#include "format/ext4/ext4_journal.h"

struct journal_image {
	struct image image;
	struct ext4_journal *j;
	FILE *script;
	unsigned nr_files;   /* that the script writes */
	uint32_t block_size; /* bytes */
	uint64_t at;	     /* where the journal begins, bytes; it lies in one piece */
};

/*
 * What the script writes: transaction, blocks of the journal.
 *  1: descriptor 1, data 2 to 6 (5000 to 5004), commit 7
 *  2: descriptor 8, data 9 to 11 (5002, 6000, 6003), revocation 12 (5001, 5003), commit 13
 *  3: descriptor 14, data 15 (5003 again), commit 16
 *  4: descriptor 17, data 18 (7000), revocation 19 (9999), commit 20
 */
#define SCRIPT_SERVED 7
#define SCRIPT_SECOND 8
#define SCRIPT_REVOCATION 12
#define SCRIPT_SECOND_COMMIT 13
#define SCRIPT_LAST_COMMIT 20
#define SCRIPT_BLOCKS 20
static const uint64_t script_served[SCRIPT_SERVED] = { 5000, 5002, 5003, 5004, 6000, 6003, 7000 };

static inline uint64_t journal_off(const struct journal_image *ji, uint32_t block)
{
	return ji->at + (uint64_t)block * ji->block_size;
}

/* An empty filesystem. False, and the test is skipped: there is no mke2fs. */
static inline bool bare_make(struct image *image, const char *options)
{
	*image = (struct image){ .src = SOURCE_NULL };
	CU_ASSERT_EQUAL_FATAL(room_make("journal", image->dir), 0);
	(void)snprintf(image->path, sizeof(image->path), "%s/image", image->dir);
	if (run(image, "command -v mke2fs && command -v debugfs && command -v e2fsck")) {
		test_skip("mke2fs, debugfs or e2fsck is missing");
		CU_ASSERT_EQUAL(room_remove(image->dir), 0);
		return false;
	}
	CU_ASSERT_EQUAL_FATAL(run(image, "mke2fs -q -F %s %s %s", options, image->path,
				  strstr(options, "4096") ? "64M" : "16M"),
			      0);
	return true;
}

static inline bool journal_make_empty(struct journal_image *ji, const char *options)
{
	*ji = (struct journal_image){ .j = NULL };
	if (!bare_make(&ji->image, options))
		return false;
	CU_ASSERT_EQUAL(run(&ji->image, "dumpe2fs -h %s", ji->image.path), 0);
	ji->block_size = (uint32_t)said_number(&ji->image, "Block size:");
	CU_ASSERT_EQUAL(run(&ji->image, "debugfs -R 'bmap <8> 0' %s", ji->image.path), 0);
	ji->at = said_number(&ji->image, "") * ji->block_size;
	CU_ASSERT_NOT_EQUAL_FATAL(ji->at, 0);
	return true;
}

static inline void journal_begin(struct journal_image *ji, const char *version)
{
	char path[ROOM_DIR_SIZE + 16];

	(void)snprintf(path, sizeof(path), "%s/script", ji->image.dir);
	ji->script = fopen(path, "we");
	CU_ASSERT_PTR_NOT_NULL_FATAL(ji->script);
	(void)fprintf(ji->script, "jo %s\n", version);
}

/* Adds a transaction: `fmt` is its command without the file, which has `nr` blocks. */
static inline void printf_like(2, 4)
	journal_add(struct journal_image *ji, const char *fmt, unsigned nr, ...)
{
	char path[ROOM_DIR_SIZE + 32], name[16];
	va_list args;

	(void)snprintf(name, sizeof(name), "%c%u", 'a' + (char)ji->nr_files, ji->nr_files);
	(void)snprintf(path, sizeof(path), "%s/blocks%u", ji->image.dir, ji->nr_files++);
	put_bytes(path, name, (uint64_t)nr * ji->block_size);
	/* The first block looks like one of the journal's own, and is escaped. */
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	CU_ASSERT_TRUE_FATAL(fd >= 0);
	CU_ASSERT_EQUAL(pwrite(fd, "\xc0\x3b\x39\x98", 4, 0), 4);
	(void)close(fd);
	va_start(args, nr);
	(void)vfprintf(ji->script, fmt, args);
	va_end(args);
	(void)fprintf(ji->script, " %s\n", path);
}

static inline void journal_end(struct journal_image *ji)
{
	(void)fputs("jc\n", ji->script);
	(void)fclose(take(ji->script));
	CU_ASSERT_EQUAL_FATAL(
		run(&ji->image, "debugfs -w -f %s/script %s", ji->image.dir, ji->image.path), 0);
}

/* `version` is what debugfs calls it: "", "-c -v 2", "-c -v 3". */
static inline bool journal_make(struct journal_image *ji, const char *options, const char *version)
{
	if (!journal_make_empty(ji, options))
		return false;
	journal_begin(ji, version);
	journal_add(ji, "jw -b 5000-5004", 5);
	journal_add(ji, "jw -b 5002,6000,6003 -r 5001,5003", 3);
	/* This debugfs would write over the commit behind a revocation, were it not to look again. */
	(void)fprintf(ji->script, "jc\njo %s\n", version);
	journal_add(ji, "jw -b 5003", 1);
	journal_add(ji, "jw -b 7000 -r 9999", 1);
	journal_end(ji);
	return true;
}

static inline void journal_open(struct journal_image *ji)
{
	image_open(&ji->image);
	CU_ASSERT_EQUAL_FATAL(ext4_journal_open(ji->image.fs, &ji->j), 0);
}

/* When the image is open, and was changed. */
static inline void journal_reopen(struct journal_image *ji)
{
	ext4_journal_close(take(ji->j));
	ext4_close(take(ji->image.fs));
	source_close(&ji->image.src);
	journal_open(ji);
}

static inline void journal_close(struct journal_image *ji)
{
	ext4_journal_close(take(ji->j));
	image_close(&ji->image);
}

/* ---- the journal on disk ---- */

static inline uint8_t *image_read(const struct image *image, uint64_t off, uint64_t len)
{
	uint8_t *bytes = malloc(len);

	CU_ASSERT_PTR_NOT_NULL_FATAL(bytes);
	int fd = open(image->path, O_RDONLY | O_CLOEXEC);
	CU_ASSERT_TRUE_FATAL(fd >= 0);
	CU_ASSERT_EQUAL_FATAL(pread(fd, bytes, len, (off_t)off), (ssize_t)len);
	(void)close(fd);
	return bytes;
}

static inline void image_write(const struct image *image, uint64_t off, const void *bytes,
			       uint64_t len)
{
	int fd = open(image->path, O_WRONLY | O_CLOEXEC);

	CU_ASSERT_TRUE_FATAL(fd >= 0);
	CU_ASSERT_EQUAL(pwrite(fd, bytes, len, (off_t)off), (ssize_t)len);
	(void)close(fd);
}

static inline void store_be32(uint8_t *bytes, uint32_t value)
{
	value = htobe32(value);
	memcpy(bytes, &value, sizeof(value));
}

/* Makes the checksum of a superblock of a journal right, where it has one. */
static inline void super_fix(uint8_t *super)
{
	uint32_t sum;

	memcpy(&sum, super + 0xfc, sizeof(sum));
	if (sum == 0)
		return;
	store_be32(super + 0xfc, 0);
	store_be32(super + 0xfc, ext2fs_crc32c_le(UINT32_MAX, super, 1024));
}

static inline void journal_wipe(const struct journal_image *ji, uint32_t block)
{
	uint8_t *zeros = calloc(1, ji->block_size);

	CU_ASSERT_PTR_NOT_NULL_FATAL(zeros);
	image_write(&ji->image, journal_off(ji, block), zeros, ji->block_size);
	free(zeros);
}

/*
 * Moves the log of the script so that it begins `before` blocks before its end, behind which
 * `nr_fast` blocks are left to fast commits.
 */
static inline void journal_rotate(const struct journal_image *ji, uint32_t before, uint32_t nr_fast)
{
	uint64_t len = ji->block_size;
	uint8_t *super = image_read(&ji->image, ji->at, len);
	uint8_t *log = image_read(&ji->image, journal_off(ji, 1), SCRIPT_BLOCKS * len);
	uint32_t maxlen;

	memcpy(&maxlen, super + 0x10, sizeof(maxlen));
	uint32_t end = be32toh(maxlen) - nr_fast;
	if (nr_fast)
		super[0x2b] |= 0x20;
	store_be32(super + 0x54, nr_fast);
	for (uint32_t i = 0; i < SCRIPT_BLOCKS; i++)
		journal_wipe(ji, 1 + i);
	for (uint32_t i = 0; i < SCRIPT_BLOCKS; i++) {
		uint32_t block = i < before ? end - before + i : 1 + i - before;
		image_write(&ji->image, journal_off(ji, block), log + i * len, len);
	}
	store_be32(super + 0x1c, end - before);
	super_fix(super);
	image_write(&ji->image, ji->at, super, len);
	free(super);
	free(log);
}

/* ---- held against others ---- */

static inline void check_served(struct journal_image *ji, size_t nr)
{
	uint8_t *buf = malloc(ji->block_size);
	uint32_t block;

	CU_ASSERT_PTR_NOT_NULL_FATAL(buf);
	for (size_t i = 0; i < nr; i++) {
		CU_ASSERT_EQUAL(ext4_journal_find(ji->j, script_served[i], &block), 0);
		CU_ASSERT_EQUAL(ext4_journal_read(ji->j, script_served[i], buf),
				EXT4_JOURNAL_NEWER);
	}
	CU_ASSERT_EQUAL(ext4_journal_find(ji->j, 5001, &block), -ENOENT);
	CU_ASSERT_EQUAL(ext4_journal_read(ji->j, 5001, buf), 0);
	free(buf);
}

/* How many blocks differ, but for the superblocks, into which a replay writes that it was done. */
static inline uint64_t count_differing(struct journal_image *ji, const char *path, uint64_t *ret_of)
{
	struct source overlay, replayed;
	uint64_t differ = 0, off, size, chunk = UINT64_C(1) << 16;
	uint8_t *ours = malloc(chunk), *theirs = malloc(chunk);

	CU_ASSERT_TRUE_FATAL(ours && theirs);
	CU_ASSERT_EQUAL_FATAL(ext4_journal_source(ji->j, &ji->image.src, &overlay), 0);
	CU_ASSERT_EQUAL_FATAL(source_open_file(&replayed, AT_FDCWD, path), 0);
	CU_ASSERT_EQUAL(source_size(&overlay, &size), 0);
	for (off = 0; off + chunk <= size; off += chunk) {
		CU_ASSERT_EQUAL_FATAL(source_read_exact(&overlay, off, ours, chunk), 0);
		CU_ASSERT_EQUAL_FATAL(source_read_exact(&replayed, off, theirs, chunk), 0);
		for (uint64_t at = 0; at < chunk; at += ji->block_size) {
			bool super = off + at == ji->at ||
				     off + at == 1024 / ji->block_size * ji->block_size;
			if (super || memcmp(ours + at, theirs + at, ji->block_size) == 0)
				continue;
			differ++;
			*ret_of = (off + at) / ji->block_size;
		}
	}
	CU_ASSERT_EQUAL(off, size);
	source_close(&replayed);
	source_close(&overlay);
	free(ours);
	free(theirs);
	return differ;
}

/* Replays the journal into a copy, by debugfs and by e2fsck, and compares all of it. */
static inline void check_oracles(struct journal_image *ji)
{
	static const char *const replays[] = { "debugfs -w -R jr", "e2fsck -y -E journal_only" };
	char path[ROOM_DIR_SIZE + 16];
	uint64_t which = 0;

	(void)snprintf(path, sizeof(path), "%s/copy", ji->image.dir);
	for (size_t i = 0; i < array_size(replays); i++) {
		CU_ASSERT_EQUAL(run(&ji->image, "cp %s %s", ji->image.path, path), 0);
		CU_ASSERT_TRUE(run(&ji->image, "%s %s", replays[i], path) <= 1);
		uint64_t differ = count_differing(ji, path, &which);
		CU_ASSERT_EQUAL(differ, 0);
		if (differ)
			printf("# %s: %" PRIu64 " blocks differ, the last is %" PRIu64 "\n",
			       replays[i], differ, which);
	}
}

/* ---- a mounted filesystem ---- */

static inline void live_unmount(const struct image *live)
{
	CU_ASSERT_EQUAL(run(live, "umount %s/mnt", live->dir), 0);
	CU_ASSERT_EQUAL(room_remove(live->dir), 0);
}

/* Mounts the image at "mnt" in its room. False, and the test is skipped: that cannot be had here. */
static inline bool live_mount(const struct image *live, const char *options)
{
	int r = geteuid() == 0 ? -1 : 1;

	/* A loop device that was given up may take a moment. */
	for (int tries = 0; r < 0 && tries < 20; tries++) {
		if (run(live, "mkdir -p %s/mnt; mount -o loop,%s %s %s/mnt", live->dir, options,
			live->path, live->dir) == 0)
			return true;
		clock_sleep_ns(NS_PER_S / 20);
	}
	test_skip(r > 0 ? "only root may mount" : "no loop device can be mounted");
	CU_ASSERT_EQUAL(room_remove(live->dir), 0);
	return false;
}

/* A copy of the image while it is mounted, in a room of its own. */
static inline void live_copy(const struct image *live, struct journal_image *ji)
{
	*ji = (struct journal_image){ .image.src = SOURCE_NULL };
	CU_ASSERT_EQUAL_FATAL(room_make("journal", ji->image.dir), 0);
	(void)snprintf(ji->image.path, sizeof(ji->image.path), "%s/image", ji->image.dir);
	CU_ASSERT_EQUAL(run(live, "cp --sparse=always %s %s", live->path, ji->image.path), 0);
	CU_ASSERT_EQUAL(run(&ji->image, "dumpe2fs -h %s", ji->image.path), 0);
	ji->block_size = (uint32_t)said_number(&ji->image, "Block size:");
	CU_ASSERT_EQUAL(run(&ji->image, "debugfs -R 'bmap <8> 0' %s", ji->image.path), 0);
	ji->at = said_number(&ji->image, "") * ji->block_size;
}

#endif

// SPDX-License-Identifier: Apache-2.0
/*
 * Damage on purpose. Every function opens a file, changes it in place and puts its times back, so
 * that nothing but the bytes (and ctime, which no program can set) tells that it was changed.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "format/cyrus/index_sums.h"
#include "support/mkstore_parts.h"

/* Opens `path` and remembers in `ret_stat` what end_damage puts back. */
static int begin_damage(const char *path, int *ret_fd, struct stat *ret_stat)
{
	int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0)
		return -errno;
	if (fstat(fd, ret_stat)) {
		int r = -errno;
		close(fd);
		return r;
	}
	*ret_fd = fd;
	return 0;
}

/* Puts the times back and closes; returns `result` unless this fails. */
static int end_damage(int fd, const struct stat *st, int result)
{
	struct timespec times[2] = { st->st_atim, st->st_mtim };

	if (futimens(fd, times) && !result)
		result = -errno;
	if (close(fd) && !result)
		result = -errno;
	return result;
}

/* Reads exactly `len` bytes; -ERANGE when the file ends before. */
static int read_bytes(int fd, void *bytes, size_t len, uint64_t off)
{
	ssize_t n = pread(fd, bytes, len, (off_t)off);

	if (n < 0)
		return -errno;
	return (size_t)n == len ? 0 : -ERANGE;
}

int mkstore_flip_bit(const char *path, uint64_t off, unsigned bit)
{
	struct stat st;
	uint8_t byte;
	int fd;

	if (bit > 7)
		return -EINVAL;
	int r = begin_damage(path, &fd, &st);
	if (r)
		return r;
	r = read_bytes(fd, &byte, 1, off);
	if (!r) {
		byte ^= (uint8_t)(1u << bit);
		r = mk_write(fd, &byte, 1, off);
	}
	return end_damage(fd, &st, r);
}

int mkstore_truncate(const char *path, uint64_t len)
{
	struct stat st;
	int fd;
	int r = begin_damage(path, &fd, &st);

	if (r)
		return r;
	if (ftruncate(fd, (off_t)len))
		r = -errno;
	return end_damage(fd, &st, r);
}

/* Overwrites part of a block of `block_len` bytes whose last four are the CRC of all before. */
static int patch_block(const char *index, uint64_t block_off, uint32_t block_len, uint32_t off,
		       const void *bytes, size_t len)
{
	uint8_t block[MKSTORE_HEADER_LEN];
	uint32_t crc_off = block_len - 4;
	struct stat st;
	int fd;

	if (off > crc_off || len > crc_off - off)
		return -ERANGE;
	int r = begin_damage(index, &fd, &st);
	if (r)
		return r;
	r = read_bytes(fd, block, block_len, block_off);
	if (!r) {
		memcpy(block + off, bytes, len);
		mk_put32(block + crc_off, crc32_of(span_of(block, crc_off)));
		r = mk_write(fd, block, block_len, block_off);
	}
	return end_damage(fd, &st, r);
}

int mkstore_patch_header(const char *index, uint32_t off, const void *bytes, size_t len)
{
	return patch_block(index, 0, MKSTORE_HEADER_LEN, off, bytes, len);
}

int mkstore_patch_record(const char *index, uint32_t record, uint32_t off, const void *bytes,
			 size_t len)
{
	return patch_block(index, mkstore_record_offset(record), MKSTORE_RECORD_LEN, off, bytes,
			   len);
}

/* Adds up the records of an open index. */
static int sum_records(int fd, const struct index_header *header, struct index_sums *sums)
{
	uint8_t bytes[MKSTORE_RECORD_LEN];
	struct index_record record;
	int r = 0;

	index_sums_init(sums, header->version, NULL);
	for (uint32_t nr = 0; r == 0 && nr < header->nr_records; nr++) {
		r = read_bytes(fd, bytes, sizeof(bytes), mkstore_record_offset(nr));
		if (!r)
			r = index_parse_record(header, span_of(bytes, sizeof(bytes)), &record);
		if (!r)
			index_sums_add(sums, &record);
	}
	return r;
}

int mkstore_sum_up(const char *index)
{
	uint8_t bytes[MKSTORE_HEADER_LEN];
	struct index_header header;
	struct index_sums sums;
	struct stat st;
	int fd;
	int r = begin_damage(index, &fd, &st);

	if (r)
		return r;
	r = read_bytes(fd, bytes, sizeof(bytes), 0);
	if (!r)
		r = index_parse_header(span_of(bytes, sizeof(bytes)), &header) ? -EBADMSG : 0;
	if (!r)
		r = sum_records(fd, &header, &sums);
	if (!r) {
		mk_put32(bytes + 32, (uint32_t)(sums.quota_used >> 32));
		mk_put32(bytes + 36, (uint32_t)sums.quota_used);
		mk_put32(bytes + 48, sums.deleted);
		mk_put32(bytes + 52, sums.answered);
		mk_put32(bytes + 56, sums.flagged);
		mk_put32(bytes + MKSTORE_HEADER_EXISTS, sums.exists);
		mk_put32(bytes + MKSTORE_HEADER_SYNC_BASIC, sums.sync_crc_basic);
		mk_put32(bytes + 120, sums.sync_crc_annot);
		mk_put32(bytes + 124, sums.unseen);
		mk_put32(bytes + MKSTORE_HEADER_CRC,
			 crc32_of(span_of(bytes, MKSTORE_HEADER_CRC)));
		r = mk_write(fd, bytes, sizeof(bytes), 0);
	}
	return end_damage(fd, &st, r);
}

int mkstore_set_header(const char *index, uint32_t off, uint32_t value)
{
	uint8_t bytes[4];

	mk_put32(bytes, value);
	return mkstore_patch_header(index, off, bytes, sizeof(bytes));
}

int mkstore_set_record(const char *index, uint32_t record, uint32_t off, uint32_t value)
{
	uint8_t bytes[4];

	mk_put32(bytes, value);
	return mkstore_patch_record(index, record, off, bytes, sizeof(bytes));
}

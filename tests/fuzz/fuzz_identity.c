// SPDX-License-Identifier: Apache-2.0
/*
 * Fuzzes what a device is, as an image in memory: what is said fits together, is the same a second
 * time, and reads as one printable line.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/text.h"
#include "io/identity.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define IMAGE_SIZE (UINT64_C(4) << 20) /* bytes: more than what libblkid takes for a floppy */

static void require(bool ok)
{
	if (!ok)
		abort();
}

static void check_identity(const struct identity *id, uint64_t size)
{
	bool has_type = *id->type != '\0';

	require(id->size == size && !id->is_device && !id->number);
	require(id->kind != IDENTITY_NOTHING || (!has_type && !*id->table));
	require(id->kind != IDENTITY_AMBIGUOUS || *id->signatures);
	require(id->kind != IDENTITY_PARTITIONED || *id->table);
	require(id->kind == IDENTITY_AMBIGUOUS || !*id->signatures);
	require(id->kind == IDENTITY_NOTHING || id->kind == IDENTITY_PARTITIONED ||
		id->kind == IDENTITY_AMBIGUOUS || has_type);
	require(id->nr_partitions <= IDENTITY_PARTITIONS && id->nr_partitions <= id->nr_named);
	for (uint32_t i = 0; i < id->nr_partitions; i++) {
		const struct identity_partition *part = &id->partitions[i];
		uint64_t end;
		require(part->number > 0);
		require(!__builtin_add_overflow(part->start, part->size, &end));
		require(part->is_inside == (part->size > 0 && end <= size));
	}
}

static void check_line(const struct identity *id)
{
	struct buf line = BUF_NULL;

	identity_describe(id, &line);
	require(buf_error(&line) == 0 && line.len > 0 && text_is_utf8(buf_span(&line)));
	for (size_t i = 0; i < line.len; i++)
		require((uint8_t)line.data[i] >= ' ' && line.data[i] != 0x7f);
	buf_fini(&line);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct identity first, second;
	int fd = memfd_create("image", MFD_CLOEXEC);
	/* An odd size is that of the image, so that the end of it moves about. */
	uint64_t whole = size % 2 || size > IMAGE_SIZE ? size : IMAGE_SIZE;

	require(fd >= 0);
	require(write(fd, data, size) == (ssize_t)size);
	require(ftruncate(fd, (off_t)whole) == 0);
	int r = identity_probe_fd(fd, &first);
	require(r <= 0);
	require(identity_probe_fd(fd, &second) == r);
	if (r == 0) {
		require(first.kind == second.kind && strcmp(first.uuid, second.uuid) == 0);
		require(first.nr_partitions == second.nr_partitions);
		check_identity(&first, whole);
		check_line(&first);
	}
	(void)close(fd);
	return 0;
}

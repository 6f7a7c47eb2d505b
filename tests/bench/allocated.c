// SPDX-License-Identifier: Apache-2.0
/*
 * allocated: reads every allocated block of an ext4 filesystem off its device, in the order of the
 * disk, and digests it by XXH3: how fast blocks can be read and looked at when nothing is known of
 * the files.
 *
 *	allocated DEVICE [PATH]
 *
 * The blocks of the file PATH of the filesystem are left out, so that another program can read that
 * one without either having warmed up what the other reads. Prints bytes, seconds, reads under way,
 * and the digests of all reads, xored. Exit status 0, 1 when anything could not be read, 3 for
 * wrong usage.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "digest/digest.h"
#include "format/ext4/ext4.h"
#include "io/dev.h"
#include "io/pump.h"
#include "io/source.h"

#define SLOTS 160
#define SLOT_LEN (1u << 20)
#define HANGS (60 * NS_PER_S)

struct range {
	uint64_t off, end; /* bytes */
};

struct ranges {
	struct range *all;
	size_t nr, cap;
};

struct reading {
	struct pump *pump;
	struct ranges plan;
	size_t at; /* of the plan */
	uint64_t bytes;
	uint64_t digest;
	unsigned bad;
};

static int ranges_add(struct ranges *ranges, uint64_t off, uint64_t end)
{
	if (off >= end)
		return 0;
	if (ranges->nr == ranges->cap) {
		size_t cap = max_of(2 * ranges->cap, (size_t)1024);
		struct range *all = reallocarray(ranges->all, cap, sizeof(*all));
		if (!all)
			return -ENOMEM;
		ranges->all = all;
		ranges->cap = cap;
	}
	ranges->all[ranges->nr++] = (struct range){ off, end };
	return 0;
}

static int on_range(uint64_t off, uint64_t len, void *ctx)
{
	return ranges_add(ctx, off, off + len);
}

static int on_inode(const struct ext4_inode *inode, int error, void *ctx)
{
	for (size_t i = 0; !error && i < inode->nr_extents; i++)
		error = ranges_add(ctx, inode->extents[i].physical,
				   inode->extents[i].physical + inode->extents[i].len);
	return error;
}

static int by_offset(const void *a, const void *b)
{
	const struct range *x = a, *y = b;

	return (x->off > y->off) - (x->off < y->off);
}

/* What is in `from` and not in `without`; both ascend. */
static int ranges_subtract(const struct ranges *from, const struct ranges *without,
			   struct ranges *ret_rest)
{
	size_t k = 0;
	int r = 0;

	for (size_t i = 0; r == 0 && i < from->nr; i++) {
		uint64_t off = from->all[i].off, end = from->all[i].end;
		while (k < without->nr && without->all[k].end <= off)
			k++;
		for (size_t j = k; r == 0 && j < without->nr && without->all[j].off < end; j++) {
			r = ranges_add(ret_rest, off, without->all[j].off);
			off = max_of(off, without->all[j].end);
		}
		if (r == 0)
			r = ranges_add(ret_rest, off, end);
	}
	return r;
}

static int make_plan(struct ext4 *fs, const char *path, struct ranges *ret_plan)
{
	struct ranges allocated = { NULL, 0, 0 }, without = { NULL, 0, 0 };
	uint32_t ino;
	int r = ext4_each_allocated(fs, on_range, &allocated);

	if (r == 0 && path)
		r = ext4_lookup(fs, EXT4_ROOT_INO, path, &ino);
	if (r == 0 && path)
		r = ext4_read_inode(fs, ino, on_inode, &without);
	if (r == 0 && without.nr)
		qsort(without.all, without.nr, sizeof(*without.all), by_offset);
	if (r == 0)
		r = ranges_subtract(&allocated, &without, ret_plan);
	free(allocated.all);
	free(without.all);
	return r;
}

static int on_next(struct pump_read *ret_read, void *ctx)
{
	struct reading *reading = ctx;

	if (reading->at == reading->plan.nr)
		return PUMP_END;
	struct range *range = &reading->plan.all[reading->at];
	uint64_t len = min_of(range->end - range->off, (uint64_t)SLOT_LEN);
	*ret_read = (struct pump_read){ .off = range->off, .len = (uint32_t)len };
	range->off += len;
	if (range->off == range->end)
		reading->at++;
	return 0;
}

static void on_ready(struct pump_slot *slot, void *ctx)
{
	struct reading *reading = ctx;

	reading->digest ^= xxh3_of(span_of(slot->data, slot->read.len));
	reading->bytes += slot->read.len;
	reading->bad += slot->has_bad;
	pump_release(reading->pump, slot);
}

static int read_all(struct reading *reading, const char *device)
{
	int fd = open(device, O_RDONLY | O_DIRECT | O_CLOEXEC);
	struct pump_options options = {
		.engine = RING_ENGINE_AUTO,
		.nr_slots = SLOTS,
		.slot_len = SLOT_LEN,
		.timeout_ns = HANGS,
	};
	struct pump_ops ops = { .next = on_next, .ready = on_ready, .ctx = reading };

	if (fd < 0)
		return -errno;
	int r = dev_sector_size(fd, &options.sector);
	if (r == 0)
		r = pump_new(&options, &reading->pump);
	if (r == 0)
		r = pump_run(reading->pump, fd, &ops);
	(void)close(fd);
	return r ? r : reading->bad ? -EIO : 0;
}

static int run(const char *device, const char *path)
{
	struct source source = SOURCE_NULL;
	struct ext4 *fs = NULL;
	struct reading reading = { .pump = NULL };
	struct pump_stats stats;
	int64_t begun_ns = clock_mono_ns();
	int r = source_open_device(&source, device);

	if (r == 0)
		r = ext4_open(&source, &fs);
	if (r == 0)
		r = make_plan(fs, path, &reading.plan);
	if (r == 0)
		r = read_all(&reading, device);
	if (r == 0) {
		pump_get_stats(reading.pump, &stats);
		(void)printf("%" PRIu64 " bytes, %.3f s, %u under way, XXH3 %016" PRIx64 "\n",
			     reading.bytes,
			     (double)(clock_mono_ns() - begun_ns) / (double)NS_PER_S, stats.depth,
			     reading.digest);
	}
	if (r != -ETIMEDOUT) /* else the kernel may still write to its buffers */
		pump_free(reading.pump);
	free(reading.plan.all);
	ext4_close(fs);
	source_close(&source);
	return r;
}

int main(int argc, char **argv)
{
	if (argc != 2 && argc != 3) {
		(void)fputs("usage: allocated DEVICE [PATH]\n", stderr);
		return 3;
	}
	int r = run(argv[1], argv[2]);
	if (r) {
		(void)fprintf(stderr, "allocated: %s: %s\n", argv[1], strerror(-r));
		return 1;
	}
	return 0;
}

// SPDX-License-Identifier: Apache-2.0
/*
 * Block pass: on filesystems made by mke2fs, whose free blocks dumpe2fs names, every other block is
 * told once, in order, with the sum of its bytes; and what the disk does not give, sector by
 * sector.
 */
#include "suites.h"

#include "format/ext4_image.h"

#include "io/fault.h"
#include "io/file.h"
#include "verify/block_pass.h"
#include "verify_disk.h"

#define BLOCKS_MAX (UINT64_C(1) << 17)
#define BAD_MAX 64

/* What is expected of each block, and what was told. */
enum { FREE = 1, TOLD = 2, BAD = 4, LEFT_OUT = 8 };

static struct rig {
	struct image image;
	struct volume *volume;
	int fd; /* of the image */
	uint64_t nr_blocks;
	uint64_t end;  /* bytes: up to here it is read */
	uint32_t unit; /* bytes of a block */
	uint8_t *blocks;
	struct fault fault;
	struct block_pass_options options;
	struct block_pass_stats stats;

	uint64_t next; /* no block below is told any more */
	struct run {
		uint64_t off, len;
		int error;
	} bad[BAD_MAX], left_out[BAD_MAX];
	unsigned nr_bad, nr_left_out;
	uint64_t done, total;
	unsigned nr_progress, stop_after, fail_after;
	bool fail_bad;
	volatile sig_atomic_t stop;
} rig;

/* ---- what is told ---- */

/* As a handler of signals does it, in the middle of whatever the threads are at. */
__attribute__((no_sanitize("thread"))) static void set_stop(void)
{
	rig.stop = 1;
}

static int on_block(uint64_t block, struct block_sum sum, const uint8_t *bytes, void *ctx)
{
	uint8_t own[65536] = { 0 };
	uint64_t off = block * rig.unit, len = min_of((uint64_t)rig.unit, rig.end - off);

	CU_ASSERT_PTR_EQUAL(ctx, &rig);
	CU_ASSERT_TRUE_FATAL(block < rig.nr_blocks && block >= rig.next);
	rig.next = block + 1;
	rig.blocks[block] |= TOLD;
	CU_ASSERT_EQUAL(pread(rig.fd, own, len, (off_t)off), (ssize_t)len);
	/* Of a mounted filesystem the page cache may know more than the disk. */
	if (!rig.volume->is_image)
		memcpy(own, bytes, rig.unit);
	CU_ASSERT_EQUAL(memcmp(own, bytes, rig.unit), 0);
	struct block_sum want = block_sum_of(span_of(own, rig.unit));
	CU_ASSERT_TRUE(want.digest == sum.digest && want.sectors == sum.sectors);
	if (rig.stop_after && --rig.stop_after == 0)
		set_stop();
	return rig.fail_after && --rig.fail_after == 0 ? -EDQUOT : 0;
}

static int on_bad(uint64_t off, uint64_t len, int error, void *ctx)
{
	uint64_t block = off / rig.unit;

	CU_ASSERT_PTR_EQUAL(ctx, &rig);
	CU_ASSERT_TRUE_FATAL(len > 0 && (off + len - 1) / rig.unit == block);
	CU_ASSERT_TRUE(block < rig.nr_blocks && block + 1 >= rig.next);
	rig.next = block + 1;
	rig.blocks[block] |= BAD;
	if (rig.nr_bad < BAD_MAX)
		rig.bad[rig.nr_bad] = (struct run){ off, len, error };
	rig.nr_bad++;
	return rig.fail_bad ? -EDQUOT : 0;
}

static int on_left_out(uint64_t off, uint64_t len, int error, void *ctx)
{
	CU_ASSERT_PTR_EQUAL(ctx, &rig);
	CU_ASSERT_TRUE_FATAL(rig.nr_left_out < BAD_MAX);
	rig.left_out[rig.nr_left_out++] = (struct run){ off, len, error };
	for (uint64_t i = off / rig.unit; i < (off + len) / rig.unit; i++)
		rig.blocks[i] |= LEFT_OUT;
	return 0;
}

static void on_progress(uint64_t bytes_done, uint64_t bytes_total, void *ctx)
{
	CU_ASSERT_PTR_EQUAL(ctx, &rig);
	CU_ASSERT_TRUE(bytes_done >= rig.done && bytes_done <= bytes_total);
	rig.done = bytes_done;
	rig.total = bytes_total;
	rig.nr_progress++;
}

static int pass(void)
{
	struct block_pass_events events = { on_block, on_bad, on_left_out, on_progress, &rig };

	for (uint64_t i = 0; i < rig.nr_blocks; i++)
		rig.blocks[i] &= FREE;
	rig.next = rig.done = rig.nr_bad = rig.nr_left_out = rig.nr_progress = 0;
	rig.stop = 0;
	return block_pass_run(rig.volume, rig.volume->fs, &rig.options, &events, &rig.stats);
}

/* ---- the rig ---- */

/* The lines "  Free blocks: 10-20, 30" of dumpe2fs: first blocks of clusters. */
static void mark_free(void)
{
	uint32_t ratio = rig.volume->info.cluster_size / rig.unit;
	char path[ROOM_DIR_SIZE + 8], *line = NULL;
	size_t size = 0;

	CU_ASSERT_EQUAL_FATAL(run(&rig.image, "dumpe2fs %s", rig.image.path), 0);
	(void)snprintf(path, sizeof(path), "%s/said", rig.image.dir);
	FILE *said = fopen(path, "re");
	CU_ASSERT_PTR_NOT_NULL_FATAL(said);
	while (getline(&line, &size, said) > 0) {
		char *at = strstr(line, "  Free blocks: ");
		for (at = at ? at + 15 : NULL; at && *at >= '0' && *at <= '9';) {
			uint64_t first = strtoull(at, &at, 10), last = first;
			if (*at == '-')
				last = strtoull(at + 1, &at, 10);
			CU_ASSERT_TRUE_FATAL(last < rig.nr_blocks);
			for (uint64_t i = first; i < last + ratio && i < rig.nr_blocks; i++)
				rig.blocks[i] = FREE;
			at += strspn(at, ", ");
		}
	}
	free(line);
	(void)fclose(said);
}

static void rig_clear(void)
{
	memset(&rig, 0, sizeof(rig));
	rig.image.src = SOURCE_NULL;
	rig.fd = -1;
	rig.options = (struct block_pass_options){
		.engine = RING_ENGINE_AUTO,
		.timeout_ns = 60 * NS_PER_S,
		.stop = &rig.stop,
		.fault = &rig.fault,
	};
}

static void rig_open(struct volume *volume, uint32_t unit)
{
	rig.volume = volume;
	CU_ASSERT_PTR_NOT_NULL_FATAL(rig.volume);
	CU_ASSERT_TRUE_FATAL(rig.volume->usable);
	rig.fd = open(rig.volume->device, O_RDONLY | O_CLOEXEC);
	CU_ASSERT_TRUE_FATAL(rig.fd >= 0);
	rig.unit = unit;
	rig.end = rig.volume->info.size;
	rig.nr_blocks = (rig.end + unit - 1) / unit;
	CU_ASSERT_TRUE_FATAL(rig.nr_blocks <= BLOCKS_MAX);
	rig.blocks = calloc(rig.nr_blocks, 1);
	CU_ASSERT_PTR_NOT_NULL_FATAL(rig.blocks);
}

static bool rig_make(const char *options, const char *size)
{
	rig_clear();
	if (!image_make(&rig.image, options, size))
		return false;
	/* Something free between the files. */
	CU_ASSERT_EQUAL(run(&rig.image,
			    "for i in 10 11 100 200 201 202; do"
			    " echo rm many/a-name-of-file-$i; done | debugfs -w -f - %s",
			    rig.image.path),
			0);
	struct volume *volume = volume_open_image(rig.image.path);
	rig_open(volume, volume ? volume->info.block_size : 0);
	mark_free();
	return true;
}

static void rig_end(void)
{
	volume_close(rig.volume);
	free(rig.blocks);
	if (rig.fd >= 0)
		(void)close(rig.fd);
	image_close(&rig.image);
}

static void add_rule(enum fault_kind kind, uint64_t off, uint64_t len)
{
	struct fault_rule rule = { .kind = kind, .off = off, .len = len, .error = -EIO };

	fault_add(&rig.fault, &rule);
}

/* Blocks where a file lies, as debugfs has it. */
static uint64_t place_of(const char *path)
{
	CU_ASSERT_EQUAL(run(&rig.image, "debugfs -R 'bmap %s 0' %s | sed 's/^/at /'", path,
			    rig.image.path),
			0);
	uint64_t block = said_number(&rig.image, "at ");
	CU_ASSERT_TRUE_FATAL(block > 0);
	return block * rig.unit;
}

/* Each block that is not free was told, once, and no other one. */
static void check_told(void)
{
	uint64_t wrong = 0, nr = 0, nr_bad = 0;

	for (uint64_t i = 0; i < rig.nr_blocks; i++) {
		uint8_t seen = rig.blocks[i] & (TOLD | BAD | LEFT_OUT);
		wrong += rig.blocks[i] & FREE ? (seen & (TOLD | BAD)) != 0
					      : seen != TOLD && seen != BAD && seen != LEFT_OUT;
		nr += seen == TOLD;
		nr_bad += seen == BAD;
	}
	CU_ASSERT_EQUAL(wrong, 0);
	CU_ASSERT_TRUE(nr > 0);
	CU_ASSERT_EQUAL(rig.stats.nr_blocks, nr);
	CU_ASSERT_EQUAL(rig.stats.nr_bad_blocks, nr_bad);
	CU_ASSERT_EQUAL(rig.stats.bytes, (nr + nr_bad) * rig.unit);
	CU_ASSERT_EQUAL(rig.stats.block_size, rig.unit);
}

static void check_bad(unsigned i, uint64_t off, uint64_t len, int error)
{
	CU_ASSERT_TRUE_FATAL(i < rig.nr_bad);
	CU_ASSERT_EQUAL(rig.bad[i].off, off);
	CU_ASSERT_EQUAL(rig.bad[i].len, len);
	CU_ASSERT_EQUAL(rig.bad[i].error, error);
}

/* ---- every block ---- */

static void check_pass(const char *options, const char *size)
{
	if (!rig_make(options, size))
		return;
	CU_ASSERT_EQUAL(pass(), 0);
	check_told();
	CU_ASSERT_EQUAL(rig.nr_bad + rig.nr_left_out, 0);
	CU_ASSERT_TRUE(rig.nr_progress > 0 && rig.done == rig.total);
	CU_ASSERT_EQUAL(rig.done, rig.stats.bytes);
	CU_ASSERT_TRUE(rig.stats.bytes_read >= rig.stats.bytes);
	CU_ASSERT_STRING_EQUAL(rig.stats.why, "");
	uint64_t read = rig.stats.bytes_read, reads = rig.stats.reads;
	/* Where a head would have to move, wider gaps are read over, and told as little. */
	rig.volume->rotational = true;
	rig.options.engine = RING_ENGINE_PREAD;
	CU_ASSERT_EQUAL(pass(), 0);
	check_told();
	CU_ASSERT_TRUE(rig.stats.bytes_read >= read && rig.stats.reads <= reads);
	CU_ASSERT_STRING_EQUAL(rig.stats.engine, "pread");
	rig_end();
}

static void tells_each_allocated_block_once(void)
{
	check_pass("-t ext4 -b 4096", "64M");
	check_pass("-t ext4 -b 4096 -O ^flex_bg,^has_journal", "300M");
}

static void tells_blocks_of_1_kib_and_what_lies_before_the_first_group(void)
{
	check_pass("-t ext2 -b 1024", "40M");
	if (!rig_make("-t ext4 -b 1024", "20M"))
		return;
	CU_ASSERT_EQUAL(pass(), 0);
	CU_ASSERT_TRUE(rig.blocks[0] & TOLD && rig.blocks[1] & TOLD);
	rig_end();
}

static void tells_blocks_of_other_sizes(void)
{
	check_pass("-t ext3 -b 2048", "40M");
	check_pass("-t ext4 -b 65536", "128M");
}

static void tells_every_block_of_an_allocated_cluster(void)
{
	check_pass("-t ext4 -O bigalloc -b 4096 -C 16384", "64M");
	check_pass("-t ext4 -O bigalloc -b 1024 -C 16384", "64M");
}

static void leaves_nothing_in_the_page_cache_where_it_cannot_go_around_it(void)
{
	if (!rig_make("-t ext4", "32M"))
		return;
	int flags = fcntl(rig.volume->fd, F_GETFL);
	CU_ASSERT_EQUAL(fcntl(rig.volume->fd, F_SETFL, flags & ~O_DIRECT), 0);
	rig.volume->direct = false;
	CU_ASSERT_EQUAL(fsync(rig.fd), 0);
	file_forget(rig.fd);
	bool always = file_is_cached(rig.fd);
	CU_ASSERT_EQUAL(pass(), 0);
	check_told();
	if (always)
		test_skip("files of this filesystem are always in the page cache");
	else
		CU_ASSERT_FALSE(file_is_cached(rig.fd));
	rig_end();
}

/* ---- what cannot be read ---- */

static void tells_bad_sectors_exactly(void)
{
	if (!rig_make("-t ext4 -b 4096", "64M"))
		return;
	uint64_t big = place_of("big"), sector = rig.volume->sector;
	add_rule(FAULT_ERROR, big + 2 * 4096, 1);
	add_rule(FAULT_ERROR, big + 6 * 4096 - sector, sector + 1);
	CU_ASSERT_EQUAL(pass(), 0);
	check_told();
	CU_ASSERT_EQUAL(rig.nr_bad, 3);
	check_bad(0, big + 2 * 4096, sector, -EIO);
	check_bad(1, big + 6 * 4096 - sector, sector, -EIO);
	check_bad(2, big + 6 * 4096, sector, -EIO);
	CU_ASSERT_EQUAL(rig.stats.nr_bad_blocks, 3);
	CU_ASSERT_EQUAL(rig.stats.bad_bytes, 3 * sector);
	CU_ASSERT_TRUE(rig.blocks[big / 4096 + 1] & TOLD && rig.blocks[big / 4096 + 3] & TOLD);
	rig_end();
}

static void tells_several_bad_sectors_of_one_block(void)
{
	if (!rig_make("-t ext4 -b 65536", "64M"))
		return;
	uint64_t big = place_of("big"), sector = rig.volume->sector;
	CU_ASSERT_TRUE_FATAL(sector <= 8192);
	add_rule(FAULT_ERROR, big, 1);
	add_rule(FAULT_ERROR, big + 3 * sector, 2 * sector);
	add_rule(FAULT_ERROR, big + 65536 - sector, 1);
	CU_ASSERT_EQUAL(pass(), 0);
	check_told();
	CU_ASSERT_EQUAL(rig.nr_bad, 3);
	check_bad(0, big, sector, -EIO);
	check_bad(1, big + 3 * sector, 2 * sector, -EIO);
	check_bad(2, big + 65536 - sector, sector, -EIO);
	CU_ASSERT_EQUAL(rig.stats.nr_bad_blocks, 1);
	rig_end();
}

static void cuts_a_bad_sector_to_the_blocks_that_are_allocated(void)
{
	if (!rig_make("-t ext2 -b 1024", "40M"))
		return;
	/* Four blocks to a sector, of which the last is free. */
	rig.volume->sector = 4096;
	uint64_t at = 4096;
	while (rig.blocks[at / 1024] & FREE || !(rig.blocks[at / 1024 + 3] & FREE))
		at += 4096;
	unsigned nr = 0;
	for (uint64_t i = at / 1024; i < at / 1024 + 4; i++)
		nr += !(rig.blocks[i] & FREE);
	add_rule(FAULT_ERROR, at + 700, 1);
	CU_ASSERT_EQUAL(pass(), 0);
	check_told();
	CU_ASSERT_EQUAL(rig.nr_bad, nr);
	check_bad(0, at, 1024, -EIO);
	rig_end();
}

static void reads_again_what_failed_once(void)
{
	if (!rig_make("-t ext4", "32M"))
		return;
	struct fault_rule rule = { FAULT_ERROR, place_of("big"), 1, -EIO, .times = 1 };
	fault_add(&rig.fault, &rule);
	CU_ASSERT_EQUAL(pass(), 0);
	check_told();
	CU_ASSERT_EQUAL(rig.nr_bad, 0);
	CU_ASSERT_EQUAL(rig.stats.retried, 1);
	rig_end();
}

static void tells_what_lies_behind_the_end_of_a_truncated_device(void)
{
	if (!rig_make("-t ext4 -b 4096", "32M"))
		return;
	uint64_t end = place_of("big") + 100 * 1024;
	CU_ASSERT_EQUAL(truncate(rig.image.path, (off_t)end), 0);
	CU_ASSERT_EQUAL(pass(), 0);
	check_told();
	for (uint64_t i = 0; i < rig.nr_blocks; i++)
		if (!(rig.blocks[i] & FREE))
			CU_ASSERT_EQUAL(!!(rig.blocks[i] & BAD), i >= end / 4096);
	CU_ASSERT_TRUE(rig.nr_bad > 0);
	check_bad(0, end, 4096, -ENODATA);
	rig_end();
}

static void notices_that_the_device_has_gone(void)
{
	if (!rig_make("-t ext4 -b 4096", "32M"))
		return;
	struct fault_rule rule = { FAULT_ERROR, 0, UINT64_MAX, .error = -ENODEV };
	fault_add(&rig.fault, &rule);
	CU_ASSERT_EQUAL(pass(), -ENODEV);
	rig.fault = (struct fault){ .nr_rules = 0 };
	rule.error = -EIO;
	fault_add(&rig.fault, &rule);
	CU_ASSERT_EQUAL(pass(), -ENODEV);
	rig.fault = (struct fault){ .nr_rules = 0 };
	CU_ASSERT_EQUAL(truncate(rig.image.path, 0), 0);
	source_forget(&rig.volume->source);
	CU_ASSERT_EQUAL(pass(), -ENODEV);
	CU_ASSERT_EQUAL(rig.stats.nr_blocks, 0);
	rig_end();
}

static void gives_up_on_a_device_that_hangs(void)
{
	if (!rig_make("-t ext4 -b 4096", "32M"))
		return;
	add_rule(FAULT_HANG, place_of("big"), 1);
	rig.options.timeout_ns = NS_PER_S / 5;
	CU_ASSERT_EQUAL(pass(), -ETIMEDOUT);
	rig_end();
}

/* ---- groups that are left out ---- */

static void leaves_out_a_group_with_a_damaged_bitmap_and_says_which(void)
{
	if (!rig_make("-t ext4 -b 1024 -O ^flex_bg", "40M"))
		return;
	CU_ASSERT_EQUAL(run(&rig.image, "dumpe2fs %s | grep -A 3 '^Group 2:'", rig.image.path), 0);
	uint64_t bitmap = said_number(&rig.image, "Block bitmap at ");
	CU_ASSERT_TRUE_FATAL(bitmap > 0);
	image_flip(&rig.image, bitmap * 1024 + 100);
	source_forget(&rig.volume->source);
	CU_ASSERT_EQUAL(pass(), BLOCK_PASS_PARTIAL);
	check_told();
	CU_ASSERT_EQUAL(rig.nr_left_out, 1);
	CU_ASSERT_EQUAL(rig.left_out[0].off, (1 + 2 * 8192) * 1024);
	CU_ASSERT_EQUAL(rig.left_out[0].len, 8192 * 1024);
	CU_ASSERT_EQUAL(rig.left_out[0].error, -EBADMSG);
	CU_ASSERT_EQUAL(rig.stats.nr_groups_left_out, 1);
	CU_ASSERT_EQUAL(rig.stats.bytes_left_out, 8192 * 1024);
	rig_end();
}

/* Bitmaps that are newer than the descriptors that were read first. */
static void reads_a_mounted_filesystem_that_changes(void)
{
	struct file_identity identity;
	struct disk disk;

	rig_clear();
	CU_ASSERT_EQUAL_FATAL(room_make("blockpass", rig.image.dir), 0);
	if (!disk_make(&disk, rig.image.dir, "-t ext4 -b 4096 -O ^flex_bg", "300M") ||
	    !disk_mount(&disk, "rw")) {
		CU_ASSERT_EQUAL(room_remove(rig.image.dir), 0);
		return;
	}
	CU_ASSERT_EQUAL(file_identify(AT_FDCWD, disk.mount, &identity), 0);
	rig_open(volume_open(identity.dev), 4096);
	CU_ASSERT_EQUAL(disk_run("for i in 1 2 3 4 5 6 7 8 9; do"
				 " mkdir %s/$i && head -c 9M /dev/zero >%s/$i/file; done;"
				 " sync -f %s; rm %s/5/file; head -c 5M /dev/zero >%s/2/more",
				 disk.mount, disk.mount, disk.mount, disk.mount, disk.mount),
			0);
	struct block_pass_stats first;
	CU_ASSERT_EQUAL(pass(), 0);
	CU_ASSERT_EQUAL(rig.nr_left_out, 0);
	first = rig.stats;
	CU_ASSERT_TRUE(first.bytes > 80u << 20);
	volume_close(rig.volume);
	rig.volume = NULL;
	disk_unmount(&disk);
	(void)close(rig.fd);
	free(rig.blocks);
	CU_ASSERT_EQUAL(room_remove(rig.image.dir), 0);
}

/* ---- ends before the end ---- */

static void stops_when_it_is_told_to(void)
{
	if (!rig_make("-t ext4 -b 4096 -O ^has_journal", "300M"))
		return;
	rig.options.limits.bytes_per_s = 64 << 20;
	rig.stop_after = 10;
	CU_ASSERT_EQUAL(pass(), BLOCK_PASS_STOPPED);
	CU_ASSERT_TRUE(rig.stats.nr_blocks >= 10);
	rig.fail_after = 10;
	CU_ASSERT_EQUAL(pass(), -EDQUOT);
	CU_ASSERT_EQUAL(rig.stats.nr_blocks, 10);
	rig.options.limits.bytes_per_s = 0;
	rig.options.stop = NULL;
	CU_ASSERT_EQUAL(pass(), 0);
	/* The last block of all. */
	rig.fail_after = (unsigned)rig.stats.nr_blocks;
	CU_ASSERT_EQUAL(pass(), -EDQUOT);
	add_rule(FAULT_ERROR, place_of("big"), 1);
	rig.fail_bad = true;
	CU_ASSERT_EQUAL(pass(), -EDQUOT);
	CU_ASSERT_EQUAL(rig.nr_bad, 1);
	CU_ASSERT_EQUAL(rig.next, place_of("big") / 4096 + 1);
	rig_end();
}

/* ---- without a filesystem ---- */

static void check_raw(uint64_t size, uint64_t tail)
{
	char path[ROOM_DIR_SIZE + 16];

	rig_clear();
	CU_ASSERT_EQUAL_FATAL(room_make("blockpass", rig.image.dir), 0);
	(void)snprintf(path, sizeof(path), "%s/raw", rig.image.dir);
	put_bytes(path, "raw", size);
	rig_open(volume_open_raw(path), BLOCK_PASS_RAW);
	CU_ASSERT_PTR_NULL(rig.volume->fs);
	rig.end = size - tail;
	rig.nr_blocks = (rig.end + BLOCK_PASS_RAW - 1) / BLOCK_PASS_RAW;
	CU_ASSERT_EQUAL(pass(), 0);
	CU_ASSERT_EQUAL(rig.stats.nr_blocks, rig.nr_blocks);
	CU_ASSERT_EQUAL(rig.stats.bytes, size - tail);
	CU_ASSERT_EQUAL(rig.stats.bytes_tail, tail);
	CU_ASSERT_EQUAL(rig.next, rig.nr_blocks);
	if (size > 1 << 20) {
		add_rule(FAULT_ERROR, 600 * 1024, 1);
		CU_ASSERT_EQUAL(pass(), 0);
		CU_ASSERT_EQUAL(rig.nr_bad, 1);
		check_bad(0, 600 * 1024, rig.volume->sector, -EIO);
		CU_ASSERT_EQUAL(rig.stats.nr_blocks, rig.nr_blocks - 1);
	}
	volume_close(rig.volume);
	(void)close(rig.fd);
	free(rig.blocks);
	CU_ASSERT_EQUAL(room_remove(rig.image.dir), 0);
}

static void tells_every_block_of_a_device_without_filesystem(void)
{
	check_raw(3 << 20, 0);
	check_raw(4096, 0);
	check_raw(0, 0);
}

static void fills_up_the_last_block_of_a_device_with_zeros(void)
{
	check_raw((2 << 20) + 512, 0);
	check_raw(3 * 512, 0);
	check_raw((2 << 20) + 5 * 512 + 100, 100);
	check_raw(77, 77);
}

static const struct test_case cases[] = {
	CASE(tells_each_allocated_block_once),
	CASE(tells_blocks_of_1_kib_and_what_lies_before_the_first_group),
	CASE(tells_blocks_of_other_sizes),
	CASE(tells_every_block_of_an_allocated_cluster),
	CASE(leaves_nothing_in_the_page_cache_where_it_cannot_go_around_it),
	CASE(tells_bad_sectors_exactly),
	CASE(tells_several_bad_sectors_of_one_block),
	CASE(cuts_a_bad_sector_to_the_blocks_that_are_allocated),
	CASE(reads_again_what_failed_once),
	CASE(tells_what_lies_behind_the_end_of_a_truncated_device),
	CASE(notices_that_the_device_has_gone),
	CASE(gives_up_on_a_device_that_hangs),
	CASE(leaves_out_a_group_with_a_damaged_bitmap_and_says_which),
	CASE(reads_a_mounted_filesystem_that_changes),
	CASE(stops_when_it_is_told_to),
	CASE(tells_every_block_of_a_device_without_filesystem),
	CASE(fills_up_the_last_block_of_a_device_with_zeros),
};

const struct test_suite suite_verify_block_pass = { "verify/block_pass", cases, array_size(cases) };

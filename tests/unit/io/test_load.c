// SPDX-License-Identifier: Apache-2.0
/*
 * The books of a disk: the texts of several kernels, hostile ones, counters that wrap, and what is
 * opened for the devices that this machine has.
 */
#include "skip.h"
#include "suites.h"

#include <CUnit/CUnit.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/clock.h"
#include "io/load.h"

/* As Linux 6.1 writes them: reads, writes, under way, discards, flushes. */
static const char stat_17[] =
	"   30381     5928  2170226     7908    11930     9071  1070824     4437        3     5388"
	"    12831     4849       38   175928      404     2122       81\n";
static const char stat_15[] = "10 0 80 7 20 0 160 9 1 5 16 4 0 32 2\n";
static const char stat_11[] = "10 0 80 7 20 0 160 9 1 5 16\n";

static const char pressure[] = "some avg10=0.12 avg60=0.02 avg300=0.15 total=3572542\n"
			       "full avg10=0.12 avg60=0.02 avg300=0.14 total=3320489\n";

static void reads_the_statistics_of_each_kernel(void)
{
	struct load_sample s = LOAD_SAMPLE_NULL;

	CU_ASSERT_EQUAL(load_parse_stat(span_of_str(stat_17), &s), 0);
	CU_ASSERT_TRUE(s.has_disk);
	CU_ASSERT_FALSE(s.has_pressure);
	CU_ASSERT_EQUAL(s.nr_ended, 30381 + 11930 + 4849 + 2122);
	CU_ASSERT_EQUAL(s.ended_ms, 7908 + 4437 + 404 + 81);
	CU_ASSERT_EQUAL(s.nr_reads, 30381);
	CU_ASSERT_EQUAL(s.read_bytes, UINT64_C(2170226) * 512);
	CU_ASSERT_EQUAL(s.nr_underway, 3);
	CU_ASSERT_EQUAL(load_parse_stat(span_of_str(stat_15), &s), 0);
	CU_ASSERT_EQUAL(s.nr_ended, 34);
	CU_ASSERT_EQUAL(s.ended_ms, 18);
	CU_ASSERT_EQUAL(load_parse_stat(span_of_str(stat_11), &s), 0);
	CU_ASSERT_EQUAL(s.nr_ended, 30);
	CU_ASSERT_EQUAL(s.ended_ms, 16);
	CU_ASSERT_EQUAL(s.nr_underway, 1);
}

static void takes_no_notice_of_fields_that_later_kernels_add(void)
{
	struct load_sample s = LOAD_SAMPLE_NULL;

	CU_ASSERT_EQUAL(load_parse_stat(span_of_str("1 0 0 1 1 0 0 1 0 0 0 1 0 0 1 1 1 99 x"), &s),
			0);
	CU_ASSERT_EQUAL(s.nr_ended, 4);
	CU_ASSERT_EQUAL(s.ended_ms, 4);
}

static void refuses_statistics_that_are_none(void)
{
	static const struct {
		const char *text;
		int r;
	} cases[] = {
		{ "", -EBADMSG },
		{ "\n", -EBADMSG },
		{ "1 2 3 4 5 6 7 8 9 10", -EBADMSG },
		{ "1 2 3 4 5 6 7 8 9 10 -11", -EBADMSG },
		{ "1 2 3 4 5 6 7 8 9 10 0x1", -EBADMSG },
		{ "1 2 3 4 5 6 7 8 9 10 11 12 13 14 what", -EBADMSG },
		{ "1,2,3,4,5,6,7,8,9,10,11", -EBADMSG },
		{ "18446744073709551616 2 3 4 5 6 7 8 9 10 11", -ERANGE },
	};

	for (size_t i = 0; i < array_size(cases); i++) {
		struct load_sample s = { .nr_ended = 4711 };
		CU_ASSERT_EQUAL(load_parse_stat(span_of_str(cases[i].text), &s), cases[i].r);
		CU_ASSERT_FALSE(s.has_disk);
		CU_ASSERT_EQUAL(s.nr_ended, 4711);
	}
	struct load_sample s = LOAD_SAMPLE_NULL;
	CU_ASSERT_EQUAL(load_parse_stat(SPAN_NULL, &s), -EBADMSG);
	CU_ASSERT_EQUAL(load_parse_stat(span_of("1 2\0003 4 5 6 7 8 9 10 11 12", 27), &s),
			-EBADMSG);
}

static void bears_every_truncation(void)
{
	for (uint64_t len = 0; len < sizeof(stat_17); len++) {
		struct load_sample s = LOAD_SAMPLE_NULL;
		char *copy = span_dup(span_of(stat_17, len));
		int r = load_parse_stat(span_of(copy, len), &s);
		CU_ASSERT_TRUE(r == 0 || r == -EBADMSG);
		CU_ASSERT_EQUAL(s.has_disk, r == 0);
		free(copy);
	}
	for (uint64_t len = 0; len < sizeof(pressure); len++) {
		struct load_sample s = LOAD_SAMPLE_NULL;
		char *copy = span_dup(span_of(pressure, len));
		int r = load_parse_pressure(span_of(copy, len), &s);
		CU_ASSERT_TRUE(r == 0 || r == -EBADMSG);
		CU_ASSERT_EQUAL(s.has_pressure, r == 0);
		free(copy);
	}
}

static void reads_pressure(void)
{
	struct load_sample s = LOAD_SAMPLE_NULL;

	CU_ASSERT_EQUAL(load_parse_pressure(span_of_str(pressure), &s), 0);
	CU_ASSERT_TRUE(s.has_pressure);
	CU_ASSERT_FALSE(s.has_disk);
	CU_ASSERT_EQUAL(s.stalled_us, 3572542);
}

static void refuses_pressure_that_is_none(void)
{
	static const struct {
		const char *text;
		int r;
	} cases[] = {
		{ "", -EBADMSG },
		{ "full avg10=0.12 total=1\n", -EBADMSG },
		{ "\nsome total=1\n", -EBADMSG },
		{ "some\ntotal=1\n", -EBADMSG },
		{ "some total=\n", -EBADMSG },
		{ "some total=-1\n", -EBADMSG },
		{ "some total=1x\n", -EBADMSG },
		{ "some subtotal=1\n", -EBADMSG },
		{ "some total=18446744073709551616\n", -ERANGE },
	};

	for (size_t i = 0; i < array_size(cases); i++) {
		struct load_sample s = LOAD_SAMPLE_NULL;
		CU_ASSERT_EQUAL(load_parse_pressure(span_of_str(cases[i].text), &s), cases[i].r);
		CU_ASSERT_FALSE(s.has_pressure);
	}
}

static void a_change_is_the_difference_of_two_samples(void)
{
	struct load_sample a = { .has_disk = true,
				 .nr_ended = 100,
				 .ended_ms = 50,
				 .has_pressure = true,
				 .stalled_us = 1000 };
	struct load_sample b = { .has_disk = true,
				 .nr_ended = 130,
				 .ended_ms = 65,
				 .nr_underway = 9,
				 .has_pressure = true,
				 .stalled_us = 1500 };
	struct load_change change = load_change(&a, &b);

	CU_ASSERT_EQUAL(change.nr_ended, 30);
	CU_ASSERT_EQUAL(change.ended_ns, 15000000);
	CU_ASSERT_EQUAL(change.stalled_ns, 500000);
}

static void tells_own_reads_from_those_of_others(void)
{
	static const struct {
		uint64_t nr_reads, read_bytes, own_bytes, nr_own;
	} cases[] = {
		{ 0, 0, 0, 0 },
		{ 10, 40960, 0, 0 },
		{ 10, 40960, 4096, 1 },
		{ 10, 40960, 40960, 10 },
		{ 10, 40960, 81920, 10 }, /* some of it still under way */
		{ 10, 40960, 163840, 0 }, /* most of it elsewhere */
		{ 10, 40960, UINT64_C(1) << 40, 0 },
		{ 0, 0, 4096, 0 },
	};

	for (size_t i = 0; i < array_size(cases); i++) {
		struct load_sample a = { .has_disk = true,
					 .nr_ended = 5,
					 .nr_reads = 3,
					 .read_bytes = 8192,
					 .own_bytes = 512 };
		struct load_sample b = a;
		b.nr_ended += cases[i].nr_reads + 7; /* seven writes */
		b.nr_reads += cases[i].nr_reads;
		b.read_bytes += cases[i].read_bytes;
		b.own_bytes += cases[i].own_bytes;
		struct load_change change = load_change(&a, &b);
		CU_ASSERT_EQUAL(change.nr_ended, cases[i].nr_reads + 7);
		CU_ASSERT_EQUAL(change.nr_own, cases[i].nr_own);
		CU_ASSERT_EQUAL(change.own_bytes, cases[i].own_bytes);
		CU_ASSERT_EQUAL(change.other_bytes,
				(int64_t)(cases[i].read_bytes - cases[i].own_bytes));
	}
}

static void follows_counters_that_wrap(void)
{
	struct load_sample a = { .has_disk = true,
				 .nr_ended = UINT32_MAX - 1,
				 .ended_ms = UINT32_MAX - 4,
				 .has_pressure = true,
				 .stalled_us = UINT32_MAX };
	struct load_sample b = { .has_disk = true,
				 .nr_ended = 3,
				 .ended_ms = 5,
				 .has_pressure = true,
				 .stalled_us = 9 };
	struct load_change change = load_change(&a, &b);

	CU_ASSERT_EQUAL(change.nr_ended, 5);
	CU_ASSERT_EQUAL(change.ended_ns, 10000000);
	CU_ASSERT_EQUAL(change.stalled_ns, 10000);
	a.nr_ended = UINT64_MAX;
	CU_ASSERT_EQUAL(load_change(&a, &b).nr_ended, 4);
	/* A sum that the kernel prints in 64 bits and that we add up beyond them. */
	CU_ASSERT_EQUAL(load_parse_stat(span_of_str("18446744073709551615 0 0 4294967295 2 0 0 3 "
						    "0 0 0"),
					&a),
			0);
	CU_ASSERT_EQUAL(a.nr_ended, 1);
	CU_ASSERT_EQUAL(a.ended_ms, 2);
}

static void no_change_is_known_without_both_samples(void)
{
	struct load_sample a = LOAD_SAMPLE_NULL;
	struct load_sample b = { .has_disk = true,
				 .nr_ended = 3,
				 .nr_reads = 3,
				 .read_bytes = 512,
				 .ended_ms = 5,
				 .own_bytes = 512,
				 .has_pressure = true,
				 .stalled_us = 9 };
	struct load_change change = load_change(&a, &b);

	CU_ASSERT_EQUAL(change.nr_ended, 0);
	CU_ASSERT_EQUAL(change.ended_ns, 0);
	CU_ASSERT_EQUAL(change.stalled_ns, 0);
}

/* Two samples of what load_open finds for `dev`; sums never shrink. */
/* As in struct file_identity: another form than that of the C library. */
static uint64_t dev_of(dev_t dev)
{
	return (uint64_t)major(dev) << 32 | minor(dev);
}

static void check_books(uint64_t dev, bool disk)
{
	struct load load = LOAD_NULL;
	struct load_sample a, b;
	int r = load_open(&load, dev);

	if (r == -ENOENT && !disk) {
		test_skip("the kernel keeps no pressure");
		return;
	}
	CU_ASSERT_EQUAL_FATAL(r, 0);
	CU_ASSERT_EQUAL(load_read(&load, &a), 0);
	CU_ASSERT_EQUAL(load_read(&load, &b), 0);
	CU_ASSERT_EQUAL(a.has_disk, disk);
	CU_ASSERT_EQUAL(a.has_pressure, !disk);
	CU_ASSERT_TRUE(b.nr_ended >= a.nr_ended && b.stalled_us >= a.stalled_us);
	load_close(&load);
	load_close(&load);
	CU_ASSERT_EQUAL(load_read(&load, &a), -EBADF);
}

static void opens_the_books_of_the_disk_below_a_file(void)
{
	char path[64];
	struct stat st;

	if (stat("/", &st) || major(st.st_dev) == 0) {
		test_skip("/ lies on no block device");
		return;
	}
	(void)snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/stat", major(st.st_dev),
		       minor(st.st_dev));
	if (access(path, R_OK)) {
		test_skip("there is no %s", path);
		return;
	}
	check_books(dev_of(st.st_dev), true);
}

/* What this process reads past the page cache shows in its own count and in the disk's. */
static void sees_what_this_process_reads(void)
{
	struct load load = LOAD_NULL;
	struct load_sample a, b;
	static uint8_t buf[1 << 20] __attribute__((aligned(4096)));
	struct stat st;
	int fd = open("/proc/self/exe", O_RDONLY | O_DIRECT | O_CLOEXEC);

	if (fd < 0 || fstat(fd, &st) || load_open(&load, dev_of(st.st_dev))) {
		test_skip("no O_DIRECT here, or no books");
		goto out;
	}
	CU_ASSERT_EQUAL(load_read(&load, &a), 0);
	ssize_t n = pread(fd, buf, sizeof(buf), 0);
	CU_ASSERT_TRUE(n > 0);
	clock_sleep_ns(10 * NS_PER_MS);
	CU_ASSERT_EQUAL(load_read(&load, &b), 0);
	if (!a.has_disk || b.own_bytes == a.own_bytes) {
		test_skip("the disk, or what the process reads, is not counted");
		goto out;
	}
	CU_ASSERT_TRUE(b.own_bytes - a.own_bytes >= (uint64_t)n / 2);
	CU_ASSERT_TRUE(b.read_bytes - a.read_bytes >= (uint64_t)n / 2);
	CU_ASSERT_TRUE(b.nr_reads > a.nr_reads);
out:
	load_close(&load);
	if (fd >= 0)
		(void)close(fd);
}

static void asks_for_pressure_where_there_is_no_disk(void)
{
	check_books(dev_of(makedev(0, 4711)), false);
}

static const struct test_case cases[] = {
	CASE(reads_the_statistics_of_each_kernel),
	CASE(takes_no_notice_of_fields_that_later_kernels_add),
	CASE(refuses_statistics_that_are_none),
	CASE(bears_every_truncation),
	CASE(reads_pressure),
	CASE(refuses_pressure_that_is_none),
	CASE(a_change_is_the_difference_of_two_samples),
	CASE(tells_own_reads_from_those_of_others),
	CASE(follows_counters_that_wrap),
	CASE(no_change_is_known_without_both_samples),
	CASE(opens_the_books_of_the_disk_below_a_file),
	CASE(sees_what_this_process_reads),
	CASE(asks_for_pressure_where_there_is_no_disk),
};

const struct test_suite suite_io_load = { "io/load", cases, array_size(cases) };

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the tests of the pump share: a rig, which is a file that stands for a device, a plan of
 * reads, a pump with faults, and a consumer that holds every byte it is handed against the device.
 * There is one; with_rig makes it anew for each test.
 */
#ifndef TESTS_UNIT_IO_PUMP_RIG_H
#define TESTS_UNIT_IO_PUMP_RIG_H

#include <CUnit/CUnit.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "io/fault.h"
#include "io/pump.h"
#include "support/mkstore_parts.h"
#include "support/room.h"

enum {
	SECTOR = 4096,
	SECTORS = 512, /* of the device */
	SLOT_LEN = 16 * SECTOR,
	READS_MAX = 10000,
};
#define SIZE ((uint64_t)SECTORS * SECTOR)

/* A device, a plan for it, and what came of it. */
static struct rig {
	enum ring_engine engine;
	char dir[ROOM_DIR_SIZE];
	int fd;
	struct fault fault;
	struct pump_options options;
	struct pump *pump;

	struct pump_read plan[READS_MAX];
	unsigned nr, planned;
	int next_error; /* instead of the end */
	unsigned handed, out_of_order;
	uint64_t wrong; /* sectors that are not those of the disk, nor zeros of a bad one */
	bool bad[SECTORS], good[SECTORS]; /* sectors as they came back */
	bool differ;			  /* a sector came back good and bad */
	int error;			  /* of the last slot with bad sectors */

	bool holds; /* slots are kept until let_go() */
	struct pump_slot *held[512];
	unsigned nr_held;
	unsigned stop_after; /* handed-out reads; 0: never */
	volatile sig_atomic_t stop;
	unsigned ticks;
} rig;

static uint8_t device[SECTORS * SECTOR]; /* what it holds */
static const uint8_t zeros[SECTOR];

static inline uint8_t byte_at(uint64_t off)
{
	return (uint8_t)(off * 31 + (off >> 9) * 7 + (off >> 17) + 1);
}

/* ---- the consumer ---- */

static inline int on_next(struct pump_read *ret_read, void *ctx)
{
	CU_ASSERT_PTR_EQUAL(ctx, &rig);
	if (rig.planned == rig.nr)
		return rig.next_error ? rig.next_error : PUMP_END;
	*ret_read = rig.plan[rig.planned];
	ret_read->user = rig.planned++;
	return 0;
}

static inline void check_sector(const struct pump_slot *slot, uint32_t at)
{
	uint64_t off = slot->read.off + at;
	bool bad = pump_slot_is_bad(rig.pump, slot, off, SECTOR);

	rig.wrong += memcmp(slot->data + at, bad ? zeros : device + off, SECTOR) != 0;
	rig.bad[off / SECTOR] |= bad;
	rig.good[off / SECTOR] |= !bad;
	rig.differ |= rig.bad[off / SECTOR] && rig.good[off / SECTOR];
}

static inline void on_ready(struct pump_slot *slot, void *ctx)
{
	CU_ASSERT_PTR_EQUAL(ctx, &rig);
	rig.out_of_order += slot->read.user != rig.handed ||
			    slot->read.off != rig.plan[rig.handed].off ||
			    slot->read.len != rig.plan[rig.handed].len;
	rig.handed++;
	for (uint32_t at = 0; at < slot->read.len; at += SECTOR)
		check_sector(slot, at);
	if (slot->has_bad)
		rig.error = slot->error;
	if (rig.stop_after && rig.handed == rig.stop_after)
		rig.stop = 1;
	if (rig.holds)
		rig.held[rig.nr_held++] = slot;
	else
		pump_release(rig.pump, slot);
}

static inline void on_tick(void *ctx)
{
	CU_ASSERT_PTR_EQUAL(ctx, &rig);
	rig.ticks++;
}

static inline int run(void)
{
	struct pump_ops ops = { on_next, on_ready, on_tick, &rig };

	rig.planned = rig.handed = 0;
	return pump_run(rig.pump, rig.fd, &ops);
}

/* ---- the rig ---- */

/* O_DIRECT, as devices are read, where the filesystem of the room has it. */
static inline int open_device(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECT | O_CLOEXEC);

	return fd >= 0 ? fd : open(path, O_RDONLY | O_CLOEXEC);
}

static inline const char *device_path(void)
{
	static char path[ROOM_DIR_SIZE + 16];

	(void)snprintf(path, sizeof(path), "%s/device", rig.dir);
	return path;
}

static inline void make_device(void)
{
	FILE *file = fopen(device_path(), "wbe");

	CU_ASSERT_PTR_NOT_NULL_FATAL(file);
	for (uint64_t i = 0; i < SIZE; i++)
		device[i] = byte_at(i);
	CU_ASSERT_EQUAL(fwrite(device, 1, SIZE, file), SIZE);
	CU_ASSERT_EQUAL_FATAL(fclose(file), 0);
	rig.fd = open_device(device_path());
	CU_ASSERT_TRUE_FATAL(rig.fd >= 0);
}

static inline void forget_results(void)
{
	rig.wrong = 0;
	rig.out_of_order = rig.ticks = 0;
	rig.differ = false;
	rig.error = 0;
	memset(rig.bad, 0, sizeof(rig.bad));
	memset(rig.good, 0, sizeof(rig.good));
}

static inline void make_pump(unsigned nr_slots)
{
	rig.options.engine = rig.engine;
	rig.options.nr_slots = nr_slots;
	CU_ASSERT_EQUAL_FATAL(pump_new(&rig.options, &rig.pump), 0);
	forget_results();
}

/* Another pump for the same device, with other faults. */
static inline void renew_pump(void)
{
	pump_free(rig.pump);
	rig.fault = (struct fault){ .nr_rules = 0 };
	make_pump(rig.options.nr_slots);
}

static inline void plan_add_read(uint64_t sector, unsigned nr)
{
	rig.plan[rig.nr++] =
		(struct pump_read){ .off = sector * SECTOR, .len = (uint32_t)nr * SECTOR };
}

/* The whole device, in reads of 16 sectors. */
static inline void plan_whole(void)
{
	rig.nr = 0;
	for (unsigned i = 0; i < SECTORS; i += SLOT_LEN / SECTOR)
		plan_add_read(i, SLOT_LEN / SECTOR);
}

static inline void with_rig(enum ring_engine engine, void (*test)(void))
{
	memset(&rig, 0, sizeof(rig));
	rig.engine = engine;
	rig.options = (struct pump_options){
		.slot_len = SLOT_LEN,
		.sector = SECTOR,
		.timeout_ns = 60 * NS_PER_S,
		.stop = &rig.stop,
		.fault = &rig.fault,
	};
	CU_ASSERT_EQUAL_FATAL(room_make("pump", rig.dir), 0);
	make_device();
	make_pump(24);
	plan_whole();
	test();
	pump_free(rig.pump);
	CU_ASSERT_EQUAL(close(rig.fd), 0);
	CU_ASSERT_EQUAL(room_remove(rig.dir), 0);
}

#define BY_EACH_ENGINE(test)                                                                       \
	static void test##_with_io_uring(void)                                                     \
	{                                                                                          \
		with_rig(RING_ENGINE_AUTO, test);                                                  \
	}                                                                                          \
	static void test##_with_pread(void)                                                        \
	{                                                                                          \
		with_rig(RING_ENGINE_PREAD, test);                                                 \
	}

#define CASES(test) CASE(test##_with_io_uring), CASE(test##_with_pread)

/* ---- what is expected ---- */

static inline struct pump_stats stats(void)
{
	struct pump_stats stats;

	pump_get_stats(rig.pump, &stats);
	return stats;
}

/* The whole plan came back, in order, with the right bytes. */
static inline void check_handed(unsigned nr)
{
	CU_ASSERT_EQUAL(rig.handed, nr);
	CU_ASSERT_EQUAL(rig.out_of_order, 0);
	CU_ASSERT_EQUAL(rig.wrong, 0);
	CU_ASSERT_FALSE(rig.differ);
}

/* These sectors and no others of those that were read are bad. */
static inline void check_bad(uint64_t first, uint64_t nr)
{
	uint64_t wrong = 0;

	for (uint64_t i = 0; i < SECTORS; i++)
		if (rig.bad[i] || rig.good[i])
			wrong += rig.bad[i] != (i >= first && i < first + nr);
	CU_ASSERT_EQUAL(wrong, 0);
}

static inline void add_error(uint64_t sector, uint64_t nr, int error)
{
	struct fault_rule rule = {
		.kind = FAULT_ERROR,
		.off = sector * SECTOR,
		.len = nr * SECTOR,
		.error = error,
	};
	fault_add(&rig.fault, &rule);
}

static inline void add_rule(enum fault_kind kind, uint64_t sector, uint32_t keep, unsigned times)
{
	struct fault_rule rule = {
		.kind = kind,
		.off = sector * SECTOR,
		.len = SECTOR,
		.keep = keep,
		.times = times,
	};
	fault_add(&rig.fault, &rule);
}

#endif

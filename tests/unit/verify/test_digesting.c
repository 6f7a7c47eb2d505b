// SPDX-License-Identifier: Apache-2.0
/*
 * Digesting: the digests are those of OpenSSL, whatever way a message comes in; what could not be
 * read has none; and what goes in comes back: each message once, each batch, each slot. First with
 * batches made by hand, then with a plan and a pump over a file.
 */
#include "suites.h"

#include <CUnit/CUnit.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "io/fault.h"
#include "support/mkstore_parts.h"
#include "support/room.h"
#include "verify/digesting.h"

enum { SECTOR = 4096, SLOT_LEN = 64 * 1024, BATCHES = 12, MESSAGES = 3000, DEVICE = 8 << 20 };

/* What was told of one message. */
struct told {
	unsigned times;
	bool digested;
	int error;
	uint8_t digest[SHA1_LEN];
};

static struct {
	struct pump *pump;
	struct digesting *digesting;
	struct sha1 *reference;
	pthread_mutex_t lock; /* workers tell at the same time */
	struct told told[MESSAGES];
	unsigned nr_told, nr_batches;
	struct pump_slot slots[BATCHES]; /* of batches made by hand */
	uint8_t *data;
} desk = { .lock = PTHREAD_MUTEX_INITIALIZER };

static void on_digest(uint32_t object, const uint8_t *digest, int error, void *ctx)
{
	struct told *told = &desk.told[object];

	(void)pthread_mutex_lock(&desk.lock);
	CU_ASSERT_PTR_EQUAL(ctx, &desk);
	CU_ASSERT_EQUAL(digest != NULL, error == 0);
	told->times++;
	told->digested = digest != NULL;
	told->error = error;
	if (digest)
		memcpy(told->digest, digest, SHA1_LEN);
	desk.nr_told++;
	(void)pthread_mutex_unlock(&desk.lock);
}

static void on_batch(struct batch *batch, void *ctx)
{
	(void)pthread_mutex_lock(&desk.lock);
	CU_ASSERT_PTR_EQUAL(ctx, &desk);
	for (uint32_t i = 0; i < batch->read.nr_pieces; i++) {
		const struct plan_piece *piece = &batch->read.pieces[i];
		CU_ASSERT_TRUE(!piece->first || !piece->last || desk.told[piece->object].times);
	}
	desk.nr_batches++;
	(void)pthread_mutex_unlock(&desk.lock);
}

static void begin_with(enum sha1_engine engine, unsigned nr_workers, enum ring_engine ring,
		       struct fault *fault)
{
	struct pump_options pump = {
		.engine = ring,
		.nr_slots = BATCHES,
		.slot_len = SLOT_LEN,
		.sector = SECTOR,
		.timeout_ns = 60 * NS_PER_S,
		.fault = fault,
	};
	struct digesting_options options = {
		.engine = engine,
		.nr_workers = nr_workers,
		.nr_batches = BATCHES,
		.fn = on_digest,
		.batch_fn = on_batch,
		.ctx = &desk,
	};

	memset(desk.told, 0, sizeof(desk.told));
	desk.nr_told = desk.nr_batches = 0;
	CU_ASSERT_EQUAL_FATAL(pump_new(&pump, &desk.pump), 0);
	options.pump = desk.pump;
	CU_ASSERT_EQUAL_FATAL(digesting_new(&options, &desk.digesting), 0);
	desk.reference = sha1_new();
	desk.data = malloc(BATCHES * SLOT_LEN);
	CU_ASSERT_TRUE_FATAL(desk.reference && desk.data);
	uint64_t random = 1;
	for (size_t i = 0; i < BATCHES * SLOT_LEN; i++)
		desk.data[i] = (uint8_t)mk_random(&random);
	for (unsigned i = 0; i < BATCHES; i++)
		desk.slots[i] = (struct pump_slot){
			.data = desk.data + (size_t)i * SLOT_LEN,
			.read = { .off = i * SLOT_LEN, .len = SLOT_LEN },
		};
}

static void begin(void)
{
	begin_with(SHA1_ENGINE_AUTO, 1, RING_ENGINE_PREAD, NULL);
}

static void end(void)
{
	digesting_free(desk.digesting);
	pump_free(desk.pump);
	sha1_free(desk.reference);
	free(desk.data);
}

/* A batch over a slot made by hand, without pieces. */
static struct batch *take_batch(unsigned slot)
{
	struct batch *batch = digesting_take(desk.digesting);

	CU_ASSERT_PTR_NOT_NULL_FATAL(batch);
	batch->slot = &desk.slots[slot];
	batch->read.off = desk.slots[slot].read.off;
	batch->read.len = SLOT_LEN;
	batch->read.nr_pieces = 0;
	return batch;
}

static void add_piece(struct batch *batch, struct plan_piece piece)
{
	batch->read.pieces[batch->read.nr_pieces++] = piece;
}

static void add_whole(struct batch *batch, uint32_t object, uint32_t at, uint32_t len)
{
	add_piece(batch, (struct plan_piece){ object, at, len, 0, true, true });
}

/* Every batch is free; takes and gives back each of them. */
static void check_all_batches_are_free(void)
{
	struct batch *batches[BATCHES];

	for (unsigned i = 0; i < BATCHES; i++) {
		batches[i] = digesting_take(desk.digesting);
		CU_ASSERT_PTR_NOT_NULL_FATAL(batches[i]);
	}
	CU_ASSERT_PTR_NULL(digesting_take(desk.digesting));
	for (unsigned i = 0; i < BATCHES; i++)
		digesting_drop(desk.digesting, batches[i]);
}

static void hash_bytes(const void *data, size_t len)
{
	CU_ASSERT_EQUAL(sha1_update(desk.reference, data, len), 0);
}

static void hash_zeros(size_t len)
{
	static const uint8_t zero;

	while (len-- > 0)
		hash_bytes(&zero, 1);
}

/* The message was told once, with the digest that OpenSSL has of what was hashed since begin. */
static void check_told(uint32_t object)
{
	uint8_t digest[SHA1_LEN];

	CU_ASSERT_EQUAL(sha1_end(desk.reference, digest), 0);
	CU_ASSERT_EQUAL(desk.told[object].times, 1);
	CU_ASSERT_TRUE(desk.told[object].digested);
	CU_ASSERT_EQUAL(memcmp(desk.told[object].digest, digest, SHA1_LEN), 0);
}

static void hash_begin(void)
{
	CU_ASSERT_EQUAL(sha1_begin(desk.reference), 0);
}

static void check_whole(uint32_t object, unsigned slot, uint32_t at, uint32_t len)
{
	hash_begin();
	hash_bytes(desk.slots[slot].data + at, len);
	check_told(object);
}

static void check_error(uint32_t object, int error)
{
	CU_ASSERT_EQUAL(desk.told[object].times, 1);
	CU_ASSERT_FALSE(desk.told[object].digested);
	CU_ASSERT_EQUAL(desk.told[object].error, error);
}

static void drain(unsigned nr_told)
{
	digesting_drain(desk.digesting);
	CU_ASSERT_EQUAL(desk.nr_told, nr_told);
	check_all_batches_are_free();
}

/* ---- by hand ---- */

static void digests_whole_messages(void)
{
	static const uint32_t lens[] = { 1,    55,   56,    63,	   64,	  65,
					 1000, 4096, 40000, 65534, 65535, SLOT_LEN };
	static const enum sha1_engine engines[] = { SHA1_ENGINE_AUTO, SHA1_ENGINE_OPENSSL };

	for (unsigned e = 0; e < array_size(engines); e++) {
		begin_with(engines[e], 1, RING_ENGINE_PREAD, NULL);
		struct batch *batch = take_batch(0);
		for (uint32_t i = 0; i < array_size(lens); i++)
			add_whole(batch, i, 0, lens[i]);
		digesting_put(desk.digesting, batch);
		drain(array_size(lens));
		CU_ASSERT_EQUAL(desk.nr_batches, 1);
		for (uint32_t i = 0; i < array_size(lens); i++)
			check_whole(i, 0, 0, lens[i]);
		CU_ASSERT_TRUE(*digesting_engine_name(desk.digesting) != '\0');
		end();
	}
}

static void tells_a_single_message_without_a_drain(void)
{
	begin();
	struct batch *batch = take_batch(0);
	add_whole(batch, 7, 100, 2000);
	digesting_put(desk.digesting, batch);
	for (unsigned i = 0; i < 1000; i++) { /* the slot may be waited for */
		(void)pthread_mutex_lock(&desk.lock);
		unsigned nr = desk.nr_batches;
		(void)pthread_mutex_unlock(&desk.lock);
		if (nr)
			break;
		clock_sleep_ns(10 * NS_PER_MS);
	}
	drain(1);
	check_whole(7, 0, 100, 2000);
	end();
}

static void digests_a_message_over_several_reads(void)
{
	begin_with(SHA1_ENGINE_AUTO, 4, RING_ENGINE_PREAD, NULL);
	for (unsigned i = 0; i < 6; i++) {
		struct batch *batch = take_batch(i);
		add_piece(batch, (struct plan_piece){ 0, 0, SLOT_LEN, 0, i == 0, i == 5 });
		if (i == 5)
			add_whole(batch, 1, 0, 100);
		digesting_put(desk.digesting, batch);
	}
	drain(2);
	hash_begin();
	hash_bytes(desk.data, 6 * SLOT_LEN);
	check_told(0);
	check_whole(1, 5, 0, 100);
	end();
}

static void digests_what_is_not_stored_as_zeros(void)
{
	const uint32_t many = 200 * 1000; /* more than are kept ready */

	begin();
	struct batch *batch = take_batch(3);
	add_piece(batch, (struct plan_piece){ 0, 10, 100, 50, true, true });
	add_piece(batch, (struct plan_piece){ 1, 0, 100, 0, true, false });
	add_piece(batch, (struct plan_piece){ 1, 200, 100, many, false, true });
	add_piece(batch, (struct plan_piece){ 2, 0, 100, 0, true, false });
	add_piece(batch, (struct plan_piece){ 2, 0, 0, 70, false, true });
	digesting_put(desk.digesting, batch);
	drain(3);
	hash_begin();
	hash_zeros(50);
	hash_bytes(desk.slots[3].data + 10, 100);
	check_told(0);
	hash_begin();
	hash_bytes(desk.slots[3].data, 100);
	hash_zeros(many);
	hash_bytes(desk.slots[3].data + 200, 100);
	check_told(1);
	hash_begin();
	hash_bytes(desk.slots[3].data, 100);
	hash_zeros(70);
	check_told(2);
	end();
}

static void what_touches_a_bad_sector_has_no_digest_and_its_neighbours_have(void)
{
	begin();
	desk.slots[0].has_bad = true;
	desk.slots[0].error = -EILSEQ;
	desk.slots[0].bad[0] = 1u << 2;
	struct batch *batch = take_batch(0);
	add_whole(batch, 0, 0, 2 * SECTOR);
	add_whole(batch, 1, 2 * SECTOR - 1, 1);
	add_whole(batch, 2, 2 * SECTOR - 1, 2);
	add_whole(batch, 3, 3 * SECTOR - 1, 100);
	add_whole(batch, 4, 3 * SECTOR, 100);
	add_piece(batch, (struct plan_piece){ 5, 2 * SECTOR, 10, 5, true, true });
	digesting_put(desk.digesting, batch);
	drain(6);
	check_whole(0, 0, 0, 2 * SECTOR);
	check_whole(1, 0, 2 * SECTOR - 1, 1);
	check_error(2, -EILSEQ);
	check_error(3, -EILSEQ);
	check_whole(4, 0, 3 * SECTOR, 100);
	check_error(5, -EILSEQ);
	end();
}

static void a_bad_piece_is_told_once_at_the_end_of_its_message(void)
{
	begin();
	for (unsigned i = 0; i < 4; i++) {
		struct batch *batch = take_batch(i);
		desk.slots[i].has_bad = i == 1;
		desk.slots[i].error = -EIO;
		desk.slots[i].bad[0] = 1;
		add_piece(batch, (struct plan_piece){ 0, 0, SLOT_LEN - 100, 0, i == 0, i == 3 });
		if (i == 3) {
			add_piece(batch,
				  (struct plan_piece){ 1, SLOT_LEN - 100, 50, 9, true, true });
			add_whole(batch, 2, SLOT_LEN - 50, 50);
		}
		digesting_put(desk.digesting, batch);
	}
	drain(3);
	check_error(0, -EIO);
	hash_begin();
	hash_zeros(9);
	hash_bytes(desk.slots[3].data + SLOT_LEN - 100, 50);
	check_told(1);
	check_whole(2, 3, SLOT_LEN - 50, 50);
	end();
}

static void a_drain_forgets_half_a_message(void)
{
	begin_with(SHA1_ENGINE_AUTO, 2, RING_ENGINE_PREAD, NULL);
	struct batch *batch = take_batch(0);
	add_whole(batch, 0, 0, 100);
	add_piece(batch, (struct plan_piece){ 1, 100, 1000, 0, true, false });
	digesting_put(desk.digesting, batch);
	drain(1);
	batch = take_batch(1); /* the rest of something that did not begin */
	add_piece(batch, (struct plan_piece){ 1, 0, 1000, 0, false, true });
	add_whole(batch, 2, 1000, 100);
	add_piece(batch, (struct plan_piece){ 3, 2000, 100, 1, true, true });
	digesting_put(desk.digesting, batch);
	drain(3);
	CU_ASSERT_EQUAL(desk.told[1].times, 0);
	check_whole(2, 1, 1000, 100);
	hash_begin();
	hash_zeros(1);
	hash_bytes(desk.slots[1].data + 2000, 100);
	check_told(3);
	end();
}

static void a_drain_gives_back_batches_that_were_never_put(void)
{
	begin();
	drain(0);
	for (unsigned i = 0; i < BATCHES; i++)
		(void)take_batch(i);
	CU_ASSERT_PTR_NULL(digesting_take(desk.digesting));
	drain(0);
	(void)take_batch(0);
	struct batch *batch = take_batch(1);
	add_whole(batch, 0, 0, 10);
	digesting_put(desk.digesting, batch);
	drain(1);
	end();
}

static void what_was_put_is_told_before_it_is_freed(void)
{
	begin_with(SHA1_ENGINE_AUTO, 3, RING_ENGINE_PREAD, NULL);
	for (unsigned i = 0; i < BATCHES; i++) {
		struct batch *batch = take_batch(i);
		for (uint32_t k = 0; k < 200; k++)
			add_whole(batch, i * 200 + k, k * 100, 100);
		digesting_put(desk.digesting, batch);
	}
	end();
	CU_ASSERT_EQUAL(desk.nr_told, BATCHES * 200);
	CU_ASSERT_EQUAL(desk.nr_batches, BATCHES);
	digesting_free(NULL);
}

/* ---- with a plan and a pump ---- */

static struct plan *plan;
static uint8_t device[DEVICE];

static int on_next(struct pump_read *ret_read, void *ctx)
{
	struct batch *batch = digesting_take(desk.digesting);

	(void)ctx;
	CU_ASSERT_PTR_NOT_NULL_FATAL(batch); /* there is one for every slot */
	if (!plan_next(plan, &batch->read)) {
		digesting_drop(desk.digesting, batch);
		return PUMP_END;
	}
	*ret_read =
		(struct pump_read){ batch->read.off, batch->read.len, (uint64_t)(uintptr_t)batch };
	return 0;
}

static void on_ready(struct pump_slot *slot, void *ctx)
{
	struct batch *batch = (struct batch *)(uintptr_t)slot->read.user;

	(void)ctx;
	batch->slot = slot;
	digesting_put(desk.digesting, batch);
}

static int make_device(const char *dir)
{
	char path[ROOM_DIR_SIZE + 16];
	uint64_t random = 5;

	for (size_t i = 0; i < DEVICE; i++)
		device[i] = (uint8_t)mk_random(&random);
	(void)snprintf(path, sizeof(path), "%s/device", dir);
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	CU_ASSERT_TRUE_FATAL(fd >= 0);
	CU_ASSERT_EQUAL(write(fd, device, DEVICE), DEVICE);
	return fd;
}

/* Most are small, some are longer than a read, some lie in two runs with a hole between them. */
static void plan_at_random(uint64_t *random)
{
	for (uint32_t i = 0; i < MESSAGES; i++) {
		struct plan_object *object = plan_add(plan);
		uint64_t longest = mk_random(random) % 50 ? 5000 : 300000;
		uint32_t len = 2 + (uint32_t)(mk_random(random) % longest);
		uint64_t at = mk_random(random) % (DEVICE - len);
		struct plan_run runs[] = {
			{ 0, at, len / 2, false },
			{ len / 2 + 10, at + len / 2, len - len / 2, false },
		};
		object->size = len + 10;
		if (mk_random(random) % 10) {
			runs[0].len = object->size = len;
			CU_ASSERT_EQUAL(plan_place(plan, object, runs, 1), 0);
		} else {
			CU_ASSERT_EQUAL(plan_place(plan, object, runs, 2), 0);
		}
	}
	CU_ASSERT_EQUAL(plan_sort_by_place(plan), 0);
}

/* A bad range at `bad`, as long as a sector. */
static void check_at_random(uint64_t bad)
{
	uint64_t wrong = 0;

	for (uint32_t i = 0; i < MESSAGES; i++) {
		const struct plan_object *object = plan_object_at(plan, i);
		const struct told *told = &desk.told[i];
		uint32_t len = object->runs == PLAN_ONE_RUN ? object->size : object->size - 10;
		uint32_t first = object->runs == PLAN_ONE_RUN ? len : len / 2;
		uint8_t digest[SHA1_LEN];
		hash_begin();
		hash_bytes(device + object->at, first);
		hash_zeros(object->size - len);
		hash_bytes(device + object->at + first, len - first);
		CU_ASSERT_EQUAL(sha1_end(desk.reference, digest), 0);
		bool is_bad = object->at < bad + SECTOR && object->at + len > bad;
		wrong += told->times != 1 || told->digested == is_bad;
		wrong += is_bad ? told->error != -EIO : memcmp(told->digest, digest, SHA1_LEN) != 0;
	}
	CU_ASSERT_EQUAL(wrong, 0);
}

static void digests_a_device_at_random(void)
{
	static const struct {
		unsigned nr_workers;
		enum ring_engine ring;
		enum sha1_engine sha1;
	} ways[] = {
		{ 1, RING_ENGINE_AUTO, SHA1_ENGINE_AUTO },
		{ 2, RING_ENGINE_AUTO, SHA1_ENGINE_AUTO },
		{ 16, RING_ENGINE_PREAD, SHA1_ENGINE_OPENSSL },
	};
	struct plan_geometry geometry = { DEVICE, 3 << 20, 512, SLOT_LEN, 4096 };
	struct pump_ops ops = { .next = on_next, .ready = on_ready };
	char dir[ROOM_DIR_SIZE];
	uint64_t random = 9;

	geometry.align = SECTOR;
	CU_ASSERT_EQUAL_FATAL(room_make("digesting", dir), 0);
	int fd = make_device(dir);
	CU_ASSERT_EQUAL_FATAL(plan_new(&geometry, MESSAGES, &plan), 0);
	for (size_t i = 0; i < array_size(ways); i++) {
		uint64_t bad = mk_random(&random) % (DEVICE / SECTOR) * SECTOR;
		struct fault fault = { .nr_rules = 0 };
		struct fault_rule rule = {
			.kind = FAULT_ERROR, .off = bad, .len = 1, .error = -EIO
		};
		fault_add(&fault, &rule);
		begin_with(ways[i].sha1, ways[i].nr_workers, ways[i].ring, &fault);
		plan_clear(plan);
		plan_at_random(&random);
		CU_ASSERT_EQUAL(pump_run(desk.pump, fd, &ops), 0);
		drain(MESSAGES);
		check_at_random(bad);
		end();
	}
	plan_free(plan);
	CU_ASSERT_EQUAL(close(fd), 0);
	CU_ASSERT_EQUAL(room_remove(dir), 0);
}

static const struct test_case cases[] = {
	CASE(digests_whole_messages),
	CASE(tells_a_single_message_without_a_drain),
	CASE(digests_a_message_over_several_reads),
	CASE(digests_what_is_not_stored_as_zeros),
	CASE(what_touches_a_bad_sector_has_no_digest_and_its_neighbours_have),
	CASE(a_bad_piece_is_told_once_at_the_end_of_its_message),
	CASE(a_drain_forgets_half_a_message),
	CASE(a_drain_gives_back_batches_that_were_never_put),
	CASE(what_was_put_is_told_before_it_is_freed),
	CASE(digests_a_device_at_random),
};

const struct test_suite suite_verify_digesting = { "verify/digesting", cases, array_size(cases) };

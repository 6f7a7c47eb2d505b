// SPDX-License-Identifier: Apache-2.0
/*
 * Pool: what is seen of a message is the same whatever reads it, many under way in a ring or one
 * after the other; and what a ring saw once is not forgotten when a second read would be good.
 */
#include "suites.h"

#include <CUnit/CUnit.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "io/fault.h"
#include "skip.h"
#include "verify/reader.h"
#include "verify/scanning.h"
#include "verify_room.h"

#define KIB 1024u

/* Around the ends of blocks, of what a batch digests, and of both kinds of buffer. */
/* clang-format off */
static const uint32_t sizes[] = {
	0, 1, 700, 4095, 4096, 4097, 8192, 65534, 65535, 65536, 65537, 128 * KIB,
	256 * KIB, 256 * KIB + 1, 300000, 512 * KIB, 512 * KIB + 4096, 1024 * KIB,
	2500000, 4096 * KIB + 77, 12345, 54321, 3000, 9000,
};
/* clang-format on */

enum { NR = array_size(sizes), MANY = 1500, SEEN_MAX = 64 };

/* What one pass of the pool over the mailbox left in the books. */
struct books {
	struct suspicion seen[SEEN_MAX]; /* by UID; the mailbox in it is gone */
	unsigned nr_seen;
	unsigned nr_canaries;
	struct suspicion canary;
	struct tally_totals totals;
	uint64_t messages, bytes, gaps; /* of the mailbox */
	bool done, planted;
};

/* user.u001 with a message of each size, and maybe another mailbox of many. */
static void make_store(struct scene *s, unsigned nr_others)
{
	struct mkstore_options options = { .seed = 3 };
	struct mkstore_mailbox *mailbox;

	scene_make_room(s, "pool");
	scene_make_store(s, &options);
	CU_ASSERT_EQUAL_FATAL(mkstore_mailbox_begin(s->store, "user.u001", &mailbox), 0);
	for (unsigned i = 0; i < NR; i++)
		CU_ASSERT_EQUAL_FATAL(mkstore_message(mailbox, 0, sizes[i], NULL), 0);
	CU_ASSERT_EQUAL_FATAL(mkstore_mailbox_end(mailbox), 0);
	if (nr_others)
		CU_ASSERT_EQUAL_FATAL(room_add_mailbox(s->store, "user.u002", nr_others, 300, 17),
				      0);
	scene_open(s);
}

static struct mailbox *open_mailbox(struct scene *s, const char *name)
{
	struct mailbox_row row = {
		.key = span_of_str(mkstore_get_unique_id(s->store, name)),
		.name = span_of_str(name),
		.partition = span_of_str("default"),
		.has_unique_id = true,
	};
	struct mailbox *mailbox;

	CU_ASSERT_EQUAL_FATAL(mailbox_new(&s->target.imapd_conf, NULL, &row, &mailbox), 0);
	CU_ASSERT_EQUAL_FATAL(mailbox_open_dirs(mailbox), 0);
	atomic_store(&mailbox->pending, 1);
	return mailbox;
}

static void submit(struct pool *pool, struct mailbox *mailbox, const struct index_record *record)
{
	struct witness witness = { .uid = record->uid, .size = record->size };

	memcpy(witness.guid, record->guid, SHA1_LEN);
	/* From the last to the first, as far as they are sorted. */
	pool_submit(pool, mailbox, &witness, 1000000 - record->uid);
}

static void submit_all(struct pool *pool, struct mailbox *mailbox)
{
	struct mailbox_index ix = MAILBOX_INDEX_NULL;
	struct index_record record;

	CU_ASSERT_EQUAL_FATAL(mailbox_index_open(&ix, mailbox), 0);
	for (uint32_t nr = 0; nr < ix.header.nr_records; nr++) {
		CU_ASSERT_EQUAL_FATAL(mailbox_index_get(&ix, mailbox, nr, &record), 0);
		submit(pool, mailbox, &record);
	}
	mailbox_index_close(&ix);
}

static void books_put(struct books *books, const struct suspicion *suspicion)
{
	if (suspicion->canary) {
		books->canary = *suspicion;
		books->nr_canaries++;
		return;
	}
	CU_ASSERT_TRUE_FATAL(books->nr_seen < SEEN_MAX);
	unsigned at = books->nr_seen++;
	for (; at > 0 && books->seen[at - 1].witness.uid > suspicion->witness.uid; at--)
		books->seen[at] = books->seen[at - 1];
	books->seen[at] = *suspicion;
}

static void books_take(struct books *books, struct tally *tally, struct mailbox *mailbox)
{
	struct suspicion *next = tally_take_suspicions(tally);

	while (next) {
		struct suspicion *suspicion = next;
		next = suspicion->next;
		books_put(books, suspicion);
		tally_count_down(tally, suspicion->mailbox);
		mailbox_unref(suspicion->mailbox);
		free(suspicion);
	}
	tally_count_down(tally, mailbox); /* the pass */
	books->done = tally_take_done(tally) == mailbox;
	books->planted = tally_has_planted_canary(tally);
	tally_get_totals(tally, &books->totals);
	books->messages = atomic_load(&mailbox->messages);
	books->bytes = atomic_load(&mailbox->bytes);
	books->gaps = atomic_load(&mailbox->gaps);
}

/* Reads a mailbox with this engine. False: there is no io_uring here. */
static bool read_mailbox(struct scene *s, const char *name, enum ring_engine engine,
			 struct fault *fault, struct books *ret_books)
{
	const struct pool_options options = { .engine = engine, .readers = 3, .fault = fault };
	struct tally *tally;
	struct pool *pool;

	*ret_books = (struct books){ .nr_seen = 0 };
	CU_ASSERT_EQUAL_FATAL(tally_new(&tally), 0);
	int r = pool_new(tally, &options, &pool);
	if (r && engine == RING_ENGINE_IO_URING) {
		test_skip("no io_uring here: %s", strerror(-r));
		tally_free(tally);
		return false;
	}
	CU_ASSERT_EQUAL_FATAL(r, 0);
	CU_ASSERT_STRING_EQUAL(pool_engine_name(pool),
			       engine == RING_ENGINE_PREAD ? "pread" : "io_uring");
	struct mailbox *mailbox = open_mailbox(s, name);
	submit_all(pool, mailbox);
	pool_wait_idle(pool);
	books_take(ret_books, tally, mailbox);
	CU_ASSERT_TRUE(ret_books->done);
	pool_free(pool);
	tally_free(tally);
	mailbox_unref(mailbox);
	return true;
}

static void check_same_seen(const struct suspicion *a, const struct suspicion *b)
{
	bool same = a->witness.uid == b->witness.uid && a->first.verdict == b->first.verdict &&
		    a->first.code == b->first.code && a->seen.error == b->seen.error &&
		    a->seen.is_symlink == b->seen.is_symlink &&
		    a->seen.misplaced == b->seen.misplaced && a->seen.direct == b->seen.direct &&
		    a->seen.digested == b->seen.digested &&
		    memcmp(a->seen.digest, b->seen.digest, SHA1_LEN) == 0 &&
		    file_identity_equals(&a->seen.identity, &b->seen.identity) &&
		    a->seen.identity.mode == b->seen.identity.mode &&
		    a->seen.identity.nlink == b->seen.identity.nlink &&
		    a->seen.identity.btime_ns == b->seen.identity.btime_ns;

	CU_ASSERT_TRUE(same);
	if (!same)
		(void)fprintf(stderr, "message %u: error %d and %d, size %llu and %llu\n",
			      a->witness.uid, a->seen.error, b->seen.error,
			      (unsigned long long)a->seen.identity.size,
			      (unsigned long long)b->seen.identity.size);
}

static void check_same_books(const struct books *a, const struct books *b)
{
	CU_ASSERT_EQUAL(a->nr_seen, b->nr_seen);
	for (unsigned i = 0; i < min_of(a->nr_seen, b->nr_seen); i++)
		check_same_seen(&a->seen[i], &b->seen[i]);
	CU_ASSERT_EQUAL(a->totals.messages, b->totals.messages);
	CU_ASSERT_EQUAL(a->totals.bytes, b->totals.bytes);
	CU_ASSERT_EQUAL(a->totals.buffered, b->totals.buffered);
	CU_ASSERT_EQUAL(a->messages, b->messages);
	CU_ASSERT_EQUAL(a->bytes, b->bytes);
	CU_ASSERT_EQUAL(a->gaps, b->gaps);
	CU_ASSERT_EQUAL(a->nr_canaries, b->nr_canaries);
	CU_ASSERT_EQUAL(a->planted, b->planted);
}

/* ---- a store at rest ---- */

/* A plan without a rule counts the reads: the ring has read them, not the observer. */
static void reads_messages_of_every_size(void)
{
	struct books books[2];
	struct fault count = { .nr_rules = 0 };
	struct scene s;
	uint64_t bytes = 0, pieces = 0;

	for (unsigned i = 0; i < NR; i++) {
		bytes += sizes[i];
		pieces += (sizes[i] + 256 * KIB - 1) / (256 * KIB);
	}
	make_store(&s, 0);
	CU_ASSERT_TRUE(read_mailbox(&s, "user.u001", RING_ENGINE_PREAD, NULL, &books[0]));
	CU_ASSERT_EQUAL(books[0].nr_seen, 0);
	CU_ASSERT_EQUAL(books[0].messages, NR);
	CU_ASSERT_EQUAL(books[0].bytes, bytes);
	CU_ASSERT_EQUAL(books[0].nr_canaries, 1);
	if (read_mailbox(&s, "user.u001", RING_ENGINE_IO_URING, NULL, &books[1]))
		check_same_books(&books[0], &books[1]);
	if (read_mailbox(&s, "user.u001", RING_ENGINE_IO_URING, &count, &books[1])) {
		check_same_books(&books[0], &books[1]);
		CU_ASSERT_TRUE(count.nr_reads >= pieces);
	}
	scene_close(&s);
}

static void reads_many_messages_with_several_threads(void)
{
	struct books books[2];
	struct scene s;

	make_store(&s, MANY);
	CU_ASSERT_TRUE(read_mailbox(&s, "user.u002", RING_ENGINE_PREAD, NULL, &books[0]));
	CU_ASSERT_EQUAL(books[0].messages, MANY);
	CU_ASSERT_EQUAL(books[0].nr_seen, 0);
	for (unsigned round = 0; round < 5; round++)
		if (read_mailbox(&s, "user.u002", RING_ENGINE_IO_URING, NULL, &books[1]))
			check_same_books(&books[0], &books[1]);
	scene_close(&s);
}

/* ---- damage ---- */

static void damage(struct scene *s, unsigned uid, void (*how)(const char *path))
{
	char path[512], leaf[16];

	(void)snprintf(leaf, sizeof(leaf), "%u.", uid);
	path_in(s, "user.u001", leaf, path);
	how(path);
}

static void flip_last(const char *path)
{
	struct stat st;

	CU_ASSERT_EQUAL(stat(path, &st), 0);
	CU_ASSERT_EQUAL(mkstore_flip_bit(path, (uint64_t)st.st_size - 1, 7), 0);
}
static void shorten(const char *path)
{
	CU_ASSERT_EQUAL(mkstore_truncate(path, 600), 0);
}
static void lengthen_a_little(const char *path)
{
	struct stat st;

	CU_ASSERT_EQUAL(stat(path, &st), 0);
	CU_ASSERT_EQUAL(mkstore_truncate(path, (uint64_t)st.st_size + 1), 0);
}
static void empty(const char *path)
{
	CU_ASSERT_EQUAL(mkstore_truncate(path, 0), 0);
}
static void make_huge(const char *path)
{
	CU_ASSERT_EQUAL(mkstore_truncate(path, UINT64_C(5) << 30), 0);
}
static void put_link(const char *path)
{
	take_away(path);
	CU_ASSERT_EQUAL(symlink("3.", path), 0);
}
static void put_socket(const char *path)
{
	const char *leaf = strrchr(path, '/');
	char folder[512];

	take_away(path);
	(void)snprintf(folder, sizeof(folder), "%.*s", (int)(leaf - path), path);
	int dirfd = open(folder, O_PATH | O_CLOEXEC);
	CU_ASSERT_EQUAL(room_put_socket(dirfd, leaf + 1), 0);
	(void)close(dirfd);
}
static void write_one_byte(const char *path)
{
	CU_ASSERT_EQUAL(room_write(path, "x"), 0);
}

static void sees_every_damage_alike(void)
{
	static const struct {
		unsigned uid;
		void (*how)(const char *path);
		enum finding_code code;
	} rows[] = {
		{ 1, write_one_byte, FINDING_MESSAGE_SIZE }, /* it was empty */
		{ 3, flip, FINDING_MESSAGE_DIGEST },
		{ 4, shorten, FINDING_MESSAGE_SIZE },
		{ 5, lengthen_a_little, FINDING_MESSAGE_SIZE },
		{ 6, take_away, FINDING_MESSAGE_MISSING },
		{ 7, flip_last, FINDING_MESSAGE_DIGEST },
		{ 8, put_link, FINDING_MESSAGE_NOT_REGULAR },
		{ 9, flip_last, FINDING_MESSAGE_DIGEST },
		{ 10, put_fifo, FINDING_MESSAGE_NOT_REGULAR },
		{ 11, put_folder, FINDING_MESSAGE_NOT_REGULAR },
		{ 12, empty, FINDING_MESSAGE_EMPTY },
		{ 13, flip_last, FINDING_MESSAGE_DIGEST },
		{ 14, flip_last, FINDING_MESSAGE_DIGEST },
		{ 15, put_socket, FINDING_MESSAGE_NOT_REGULAR },
		{ 16, flip, FINDING_MESSAGE_DIGEST },
		{ 17, lengthen_a_little, FINDING_MESSAGE_SIZE },
		{ 18, make_huge, FINDING_MESSAGE_SIZE },
		{ 19, flip_last, FINDING_MESSAGE_DIGEST },
		{ 20, flip_last, FINDING_MESSAGE_DIGEST },
	};
	struct books books[2];
	struct scene s;

	make_store(&s, 0);
	for (size_t i = 0; i < array_size(rows); i++)
		damage(&s, rows[i].uid, rows[i].how);
	CU_ASSERT_TRUE(read_mailbox(&s, "user.u001", RING_ENGINE_PREAD, NULL, &books[0]));
	CU_ASSERT_EQUAL(books[0].nr_seen, array_size(rows));
	for (size_t i = 0; i < min_of(books[0].nr_seen, array_size(rows)); i++) {
		CU_ASSERT_EQUAL(books[0].seen[i].witness.uid, rows[i].uid);
		CU_ASSERT_EQUAL(books[0].seen[i].first.code, rows[i].code);
	}
	for (unsigned round = 0; round < 3; round++)
		if (read_mailbox(&s, "user.u001", RING_ENGINE_IO_URING, NULL, &books[1]))
			check_same_books(&books[0], &books[1]);
	scene_close(&s);
}

/* The directories may be gone when a job is begun. */
static void misses_every_message_of_a_mailbox_without_directories(void)
{
	static const enum ring_engine engines[] = { RING_ENGINE_PREAD, RING_ENGINE_IO_URING };
	const struct index_record record = { .uid = 3, .size = 700, .guid = { 1 } };

	for (size_t i = 0; i < array_size(engines); i++) {
		struct pool_options options = { .engine = engines[i], .readers = 1 };
		struct books books = { .nr_seen = 0 };
		struct tally *tally;
		struct pool *pool;
		struct scene s;
		make_store(&s, 0);
		CU_ASSERT_EQUAL_FATAL(tally_new(&tally), 0);
		struct mailbox *mailbox = open_mailbox(&s, "user.u001");
		mailbox_close_dirs(mailbox);
		if (pool_new(tally, &options, &pool)) {
			test_skip("no io_uring here");
		} else {
			submit(pool, mailbox, &record);
			pool_wait_idle(pool);
			books_take(&books, tally, mailbox);
			CU_ASSERT_EQUAL(books.nr_seen, 1);
			CU_ASSERT_EQUAL(books.seen[0].seen.error, -ENOENT);
			CU_ASSERT_FALSE(books.planted);
			pool_free(pool);
		}
		tally_free(tally);
		mailbox_unref(mailbox);
		scene_close(&s);
	}
}

/* More than fit the queue, and a flag that is set before they are read. */
static bool is_set(void *ctx)
{
	return *(volatile sig_atomic_t *)ctx;
}

static void drops_what_is_queued_once_it_is_stopped(void)
{
	static const enum ring_engine engines[] = { RING_ENGINE_PREAD, RING_ENGINE_IO_URING };
	enum { TIMES = 12, ALL = TIMES * MANY };
	const volatile sig_atomic_t stop = 1;
	struct scene s;

	make_store(&s, MANY);
	for (size_t i = 0; i < array_size(engines); i++) {
		struct pool_options options = { .engine = engines[i], .readers = 1, .is_stopped = is_set, .ctx = (void *)&stop };
		struct books books = { .nr_seen = 0 };
		struct tally *tally;
		struct pool *pool;
		CU_ASSERT_EQUAL_FATAL(tally_new(&tally), 0);
		if (pool_new(tally, &options, &pool)) {
			test_skip("no io_uring here");
			tally_free(tally);
			continue;
		}
		struct mailbox *mailbox = open_mailbox(&s, "user.u002");
		for (unsigned j = 0; j < TIMES; j++)
			submit_all(pool, mailbox);
		pool_wait_idle(pool);
		books_take(&books, tally, mailbox);
		CU_ASSERT_TRUE(books.done);
		CU_ASSERT_EQUAL(books.nr_seen, 0);
		CU_ASSERT_TRUE(books.gaps > 0);
		CU_ASSERT_EQUAL(books.messages + books.gaps, ALL);
		pool_free(pool);
		mailbox_unref(mailbox);
		tally_free(tally);
	}
	scene_close(&s);
}

static void plants_a_fault_beside_the_one_good_message(void)
{
	struct fault count = { .nr_rules = 0 };
	struct books books;
	struct scene s;

	make_store(&s, 0);
	for (unsigned uid = 1; uid <= NR; uid++)
		if (uid != 15)
			damage(&s, uid, take_away);
	if (read_mailbox(&s, "user.u001", RING_ENGINE_IO_URING, &count, &books)) {
		CU_ASSERT_TRUE(count.nr_reads >= 4); /* in two pieces, and so is its twin */
		CU_ASSERT_TRUE(books.planted);
		CU_ASSERT_EQUAL(books.nr_canaries, 1);
		CU_ASSERT_EQUAL(books.canary.witness.uid, 15);
		CU_ASSERT_EQUAL(books.canary.first.code, FINDING_MESSAGE_DIGEST);
		CU_ASSERT_TRUE(books.canary.seen.digested);
		CU_ASSERT_EQUAL(books.nr_seen, NR - 1);
		damage(&s, 15, flip_last);
	}
	if (read_mailbox(&s, "user.u001", RING_ENGINE_IO_URING, NULL, &books)) {
		CU_ASSERT_FALSE(books.planted);
		CU_ASSERT_EQUAL(books.nr_canaries, 0);
	}
	scene_close(&s);
}

/* ---- what the disk does to the ring ---- */

/* Reads user.u001 while one rule strikes. */
static bool read_struck(struct fault_rule rule, struct books *ret_books, struct fault *ret_fault)
{
	struct scene s;

	*ret_fault = (struct fault){ .nr_rules = 0 };
	make_store(&s, 0);
	fault_add(ret_fault, &rule);
	bool has_ring = read_mailbox(&s, "user.u001", RING_ENGINE_IO_URING, ret_fault, ret_books);
	scene_close(&s);
	return has_ring;
}

/* The observer would find each of them good. */
static void keeps_what_it_saw_once(void)
{
	const uint64_t third_piece = 512 * KIB + 9;
	const struct {
		struct fault_rule rule;
		int error;
		enum finding_code code;
	} rows[] = {
		{ { .kind = FAULT_ERROR, .len = 1, .error = -EIO, .times = 1 },
		  -EIO,
		  FINDING_MESSAGE_UNREADABLE },
		{ { .kind = FAULT_ERROR,
		    .off = third_piece,
		    .len = 1,
		    .error = -ENODATA,
		    .times = 1 },
		  -ENODATA,
		  FINDING_MESSAGE_UNREADABLE },
		{ { .kind = FAULT_FLIP, .off = 0, .len = 1, .times = 1 },
		  0,
		  FINDING_MESSAGE_DIGEST },
		{ { .kind = FAULT_FLIP, .off = 50000, .len = 1, .times = 1 },
		  0,
		  FINDING_MESSAGE_DIGEST },
		{ { .kind = FAULT_FLIP, .off = third_piece, .len = 1, .times = 1 },
		  0,
		  FINDING_MESSAGE_DIGEST },
	};
	struct books books;
	struct fault fault;

	for (size_t i = 0; i < array_size(rows); i++) {
		if (!read_struck(rows[i].rule, &books, &fault))
			return;
		CU_ASSERT_EQUAL(fault.struck[0], 1);
		CU_ASSERT_EQUAL_FATAL(books.nr_seen, 1);
		CU_ASSERT_EQUAL(books.seen[0].first.code, rows[i].code);
		CU_ASSERT_EQUAL(books.seen[0].seen.error, rows[i].error);
		CU_ASSERT_EQUAL(books.seen[0].seen.digested, rows[i].error == 0);
		CU_ASSERT_TRUE(books.seen[0].seen.identity.ino != 0);
		CU_ASSERT_EQUAL(books.seen[0].seen.identity.size, books.seen[0].witness.size);
		CU_ASSERT_EQUAL(books.messages, NR - (rows[i].error != 0));
		CU_ASSERT_TRUE(books.planted);
	}
}

static void goes_on_where_a_read_was_cut_short(void)
{
	static const struct fault_rule rules[] = {
		{ .kind = FAULT_SHORT, .off = 0, .len = 1, .keep = 0, .times = 9 },
		{ .kind = FAULT_SHORT, .off = 0, .len = 1, .keep = 4096, .times = 7 },
		{ .kind = FAULT_SHORT, .off = 4096, .len = 1, .keep = 5000, .times = 7 },
		{ .kind = FAULT_SHORT, .off = 0, .len = 1, .keep = 4096 },
		{ .kind = FAULT_SHORT, .off = 600 * KIB, .len = 1, .keep = 8192 },
		/* No end to them: then the observer reads. */
		{ .kind = FAULT_SHORT, .off = 0, .len = 1, .keep = 0 },
		{ .kind = FAULT_SHORT, .off = 0, .len = UINT64_C(1) << 40, .keep = 100 },
		{ .kind = FAULT_ERROR, .off = 0, .len = 1, .error = -EINTR },
		/* No word of a disk: the observer finds out. */
		{ .kind = FAULT_ERROR, .off = 0, .len = 1, .error = -ENOMEM },
		{ .kind = FAULT_ERROR, .off = 512 * KIB, .len = 1, .error = -ENOMEM, .times = 2 },
	};
	struct books books;
	struct fault fault;

	for (size_t i = 0; i < array_size(rules); i++) {
		if (!read_struck(rules[i], &books, &fault))
			return;
		CU_ASSERT_TRUE(fault.struck[0] > 0);
		CU_ASSERT_EQUAL(books.nr_seen, 0);
		CU_ASSERT_EQUAL(books.messages, NR);
		CU_ASSERT_TRUE(books.totals.buffered == 0 || books.totals.buffered == NR);
		CU_ASSERT_EQUAL(books.nr_canaries, 1);
	}
}

/* A filesystem that takes O_DIRECT at open and refuses it at the read. */
static void reads_through_the_cache_where_a_direct_read_is_refused(void)
{
	const struct fault_rule rule = {
		.kind = FAULT_ERROR, .off = 0, .len = 1, .error = -EINVAL, .times = 1
	};
	struct books books;
	struct fault fault;

	if (!read_struck(rule, &books, &fault))
		return;
	CU_ASSERT_EQUAL(books.nr_seen, 0);
	CU_ASSERT_EQUAL(books.messages, NR);
	CU_ASSERT_TRUE(books.totals.buffered == 1 || books.totals.buffered == NR);
}

/* ---- what the process may not ---- */

static int live_without_io_uring(struct scene *s)
{
	struct pool_options options = { .engine = RING_ENGINE_IO_URING, .readers = 2 };
	struct tally *tally;
	struct pool *pool;

	if (room_refuse_io_uring(EPERM))
		return 77;
	if (tally_new(&tally) || pool_new(tally, &options, &pool) != -EPERM)
		return 1;
	options.engine = RING_ENGINE_AUTO;
	if (pool_new(tally, &options, &pool))
		return 2;
	if (strcmp(pool_engine_name(pool), "pread") != 0 || !strstr(pool_why(pool), "permitted"))
		return 3;
	struct mailbox *mailbox = open_mailbox(s, "user.u001");
	submit_all(pool, mailbox);
	pool_wait_idle(pool);
	struct tally_totals totals;
	tally_get_totals(tally, &totals);
	return totals.messages >= NR ? 0 : 4; /* with the twin, which is counted here */
}

/* Puts something else in place of every ring of this process. */
static void break_rings(void)
{
	char path[64], name[64] = "";
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

	for (int fd = 3; fd < 256; fd++) {
		(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		ssize_t len = readlink(path, name, sizeof(name) - 1);
		name[max_of(len, 0)] = '\0';
		if (strstr(name, "io_uring"))
			(void)dup2(null, fd);
	}
}

static int live_with_a_broken_ring(struct scene *s)
{
	struct observer observer = OBSERVER_NULL;
	struct reader_options options = { .observer = &observer };
	struct mailbox *mailbox = open_mailbox(s, "user.u001");
	struct mailbox_index ix = MAILBOX_INDEX_NULL;
	struct tally_totals totals;
	struct index_record record;
	struct reader *reader;

	if (tally_new(&options.tally) || observer_init(&observer) ||
	    mailbox_index_open(&ix, mailbox))
		return 1;
	if (reader_new(&options, &reader))
		return 77;
	for (uint32_t nr = 0; nr < ix.header.nr_records; nr++) {
		if (mailbox_index_get(&ix, mailbox, nr, &record))
			return 2;
		struct read_job job = { .mailbox = mailbox,
					.witness = { .uid = record.uid, .size = record.size } };
		memcpy(job.witness.guid, record.guid, SHA1_LEN);
		tally_begin(mailbox);
		reader_begin(reader, &job);
		/* The first messages are under way when it breaks, the others come later. */
		if (nr == NR / 2) {
			reader_turn(reader);
			break_rings();
		}
	}
	while (reader_under_way(reader))
		reader_turn(reader);
	reader_free(reader);
	tally_get_totals(options.tally, &totals);
	bool noticed = tally_count_suspicions(options.tally) == 1; /* the twin, and nothing else */
	return totals.messages == NR && noticed ? 0 : 3;
}

static int status_of(pid_t child)
{
	int status = -1;

	CU_ASSERT_EQUAL(waitpid(child, &status, 0), child);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

static void reads_one_after_the_other_where_io_uring_is_refused(void)
{
	struct scene s;

	make_store(&s, 0);
	pid_t child = fork();
	if (child == 0)
		_exit(live_without_io_uring(&s));
	int status = status_of(child);
	if (status == 77)
		test_skip("no seccomp filter can be set here");
	else
		CU_ASSERT_EQUAL(status, 0);
	scene_close(&s);
}

static void leaves_everything_to_the_observer_when_a_ring_breaks(void)
{
	struct scene s;

	make_store(&s, 0);
	pid_t child = fork();
	if (child == 0)
		_exit(live_with_a_broken_ring(&s));
	int status = status_of(child);
	if (status == 77)
		test_skip("no io_uring here");
	else
		CU_ASSERT_EQUAL(status, 0);
	scene_close(&s);
}

/* To somebody else O_NOATIME is refused, and nothing but that. */
static int live_as_somebody_else(struct scene *s)
{
	struct fault count = { .nr_rules = 0 };
	const struct pool_options options = { .readers = 1, .fault = &count };
	struct mailbox *mailbox = open_mailbox(s, "user.u001");
	struct tally_totals totals;
	struct tally *tally;
	struct pool *pool;

	if (setresuid(65534, 65534, 65534) || tally_new(&tally) || pool_new(tally, &options, &pool))
		return 77;
	submit_all(pool, mailbox);
	pool_wait_idle(pool);
	tally_get_totals(tally, &totals);
	if (strcmp(pool_engine_name(pool), "io_uring") != 0)
		return 77;
	return totals.messages >= NR && count.nr_reads >= NR ? 0 : 1;
}

static void reads_messages_of_somebody_else_in_the_ring(void)
{
	char path[512], leaf[16];
	struct scene s;

	if (geteuid() != 0) {
		test_skip("only root can become somebody else");
		return;
	}
	make_store(&s, 0);
	for (unsigned uid = 1; uid <= NR; uid++) {
		(void)snprintf(leaf, sizeof(leaf), "%u.", uid);
		path_in(&s, "user.u001", leaf, path);
		CU_ASSERT_EQUAL(chmod(path, 0644), 0);
	}
	path_in(&s, "user.u001", "cyrus.index", path);
	CU_ASSERT_EQUAL(chmod(path, 0644), 0);
	path_in(&s, "user.u001", "", path);
	CU_ASSERT_EQUAL(chmod(path, 0755), 0);
	pid_t child = fork();
	if (child == 0)
		_exit(live_as_somebody_else(&s));
	int status = status_of(child);
	if (status == 77)
		test_skip("no io_uring here");
	else
		CU_ASSERT_EQUAL(status, 0);
	scene_close(&s);
}

static const struct test_case cases[] = {
	CASE(reads_messages_of_every_size),
	CASE(reads_many_messages_with_several_threads),
	CASE(sees_every_damage_alike),
	CASE(misses_every_message_of_a_mailbox_without_directories),
	CASE(drops_what_is_queued_once_it_is_stopped),
	CASE(plants_a_fault_beside_the_one_good_message),
	CASE(keeps_what_it_saw_once),
	CASE(goes_on_where_a_read_was_cut_short),
	CASE(reads_through_the_cache_where_a_direct_read_is_refused),
	CASE(reads_one_after_the_other_where_io_uring_is_refused),
	CASE(leaves_everything_to_the_observer_when_a_ring_breaks),
	CASE(reads_messages_of_somebody_else_in_the_ring),
};

const struct test_suite suite_verify_pool = { "verify/pool", cases, array_size(cases) };

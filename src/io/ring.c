/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One operation is one slot of a fixed array. A slot is begun, prepared for the kernel or carried
 * out at once, and handed out with its result. Results that did not come from the kernel (the plain
 * road, and faults of a test) wait in a list of slots of their own.
 *
 * The completion queue has room for every slot, so it cannot overflow. A submit that the kernel
 * takes only in part, or refuses for want of memory, is made again at the next wait.
 */
#include "io/ring.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "io/fault.h"

#define ENTRIES_MAX 4096u
#define TAG_CANCEL (UINT64_C(1) << 63) /* results of cancellations are nobody's */

struct op {
	uint64_t tag;
	void *buf; /* of a read that a fault may flip */
	uint64_t off;
	const struct fault_rule *rule;
	int result;
	uint32_t next; /* in the list of free slots, or of results; SLOT_NONE ends it */
};

#define SLOT_NONE UINT32_MAX

struct ring {
	struct io_uring uring;
	bool is_async;
	bool has_buffers; /* the arena is registered */
	bool has_file;	  /* `file` is, as number 0 */
	int file;
	bool can_open, can_statx, can_close;
	uint8_t *arena;
	uint64_t arena_len;
	struct fault *fault;
	struct op *ops;
	unsigned entries;
	uint32_t free;		     /* list of slots */
	uint32_t first_done, last_done; /* list of slots */
	unsigned in_flight;	     /* begun, not handed out */
	unsigned in_kernel;	     /* of those, results that the kernel owes */
	char why[128];
};

int ring_engine_parse(const char *name, enum ring_engine *ret_engine)
{
	static const char *const names[] = { "auto", "io_uring", "pread" };

	for (unsigned i = 0; i < array_size(names); i++)
		if (strcmp(name, names[i]) == 0) {
			*ret_engine = (enum ring_engine)i;
			return 0;
		}
	return -EINVAL;
}

/* ---- setting up ---- */

/* The best flags first; what the kernel does not know it refuses with EINVAL. */
static int uring_set_up(struct ring *ring)
{
	static const unsigned flags[] = {
		IORING_SETUP_SUBMIT_ALL | IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN,
		IORING_SETUP_SUBMIT_ALL | IORING_SETUP_COOP_TASKRUN,
		0,
	};
	int r = -EINVAL;

	for (unsigned i = 0; r == -EINVAL && i < array_size(flags); i++) {
		struct io_uring_params params = {
			.flags = flags[i] | IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP |
				 IORING_SETUP_R_DISABLED,
			.cq_entries = 2 * ring->entries,
		};
		r = io_uring_queue_init_params(ring->entries, &ring->uring, &params);
	}
	return r;
}

/* Registered memory saves a page walk a read. Without the right to lock that much, reads still work. */
static void uring_register(struct ring *ring)
{
	struct iovec arena = { ring->arena, ring->arena_len };
	struct io_uring_probe *probe = io_uring_get_probe_ring(&ring->uring);

	if (ring->arena_len)
		ring->has_buffers = io_uring_register_buffers(&ring->uring, &arena, 1) == 0;
	if (ring->has_file)
		ring->has_file = io_uring_register_files(&ring->uring, &ring->file, 1) == 0;
	if (!probe)
		return;
	ring->can_open = io_uring_opcode_supported(probe, IORING_OP_OPENAT);
	ring->can_statx = io_uring_opcode_supported(probe, IORING_OP_STATX);
	ring->can_close = io_uring_opcode_supported(probe, IORING_OP_CLOSE);
	ring->is_async = io_uring_opcode_supported(probe, IORING_OP_READ) &&
			 (!ring->has_buffers ||
			  io_uring_opcode_supported(probe, IORING_OP_READ_FIXED));
	io_uring_free_probe(probe);
}

/*
 * The kernel itself refuses whatever else is asked of this ring from here on: nothing that writes
 * can get into it. A kernel that cannot promise that (before 5.10) is used without io_uring.
 */
static int uring_restrict_and_enable(struct ring *ring)
{
	static const unsigned ops[] = {
		IORING_OP_READ,	 IORING_OP_READ_FIXED, IORING_OP_OPENAT,
		IORING_OP_STATX, IORING_OP_CLOSE,      IORING_OP_ASYNC_CANCEL,
	};
	struct io_uring_restriction rules[array_size(ops) + 3] = {
		{ .opcode = IORING_RESTRICTION_REGISTER_OP,
		  .register_op = IORING_UNREGISTER_BUFFERS },
		{ .opcode = IORING_RESTRICTION_REGISTER_OP,
		  .register_op = IORING_UNREGISTER_FILES },
		{ .opcode = IORING_RESTRICTION_SQE_FLAGS_ALLOWED, .sqe_flags = IOSQE_FIXED_FILE },
	};

	for (size_t i = 0; i < array_size(ops); i++) {
		rules[i + 3].opcode = IORING_RESTRICTION_SQE_OP;
		rules[i + 3].sqe_op = (uint8_t)ops[i];
	}
	/* liburing 2.3 declares functions for both, and does not export them. */
	int fd = ring->uring.ring_fd;
	int r = io_uring_register((unsigned)fd, IORING_REGISTER_RESTRICTIONS, rules,
				  array_size(rules));
	return r ? r : io_uring_register((unsigned)fd, IORING_REGISTER_ENABLE_RINGS, NULL, 0);
}

static int ring_choose_engine(struct ring *ring, enum ring_engine engine)
{
	if (engine == RING_ENGINE_PREAD) {
		(void)snprintf(ring->why, sizeof(ring->why), "pread was asked for");
		return 0;
	}
	int r = uring_set_up(ring);
	if (r == 0) {
		uring_register(ring);
		r = ring->is_async ? uring_restrict_and_enable(ring) : -EOPNOTSUPP;
		if (r == 0)
			return 0;
		io_uring_queue_exit(&ring->uring);
		ring->is_async = false;
	}
	(void)snprintf(ring->why, sizeof(ring->why), "io_uring is refused: %s", strerror(-r));
	return engine == RING_ENGINE_IO_URING ? r : 0;
}

int ring_new(const struct ring_options *options, struct ring **ret_ring)
{
	assert(options->entries >= 1 && options->entries <= ENTRIES_MAX);
	struct ring *ring = calloc(1, sizeof(*ring));

	if (!ring)
		return -ENOMEM;
	ring->entries = options->entries;
	ring->arena = options->arena;
	ring->arena_len = options->arena_len;
	ring->fault = options->fault;
	ring->has_file = options->has_file;
	ring->file = options->file;
	ring->ops = calloc(ring->entries, sizeof(*ring->ops));
	int r = ring->ops ? ring_choose_engine(ring, options->engine) : -ENOMEM;
	if (r) {
		free(ring->ops);
		free(ring);
		return r;
	}
	ring->first_done = ring->last_done = SLOT_NONE;
	for (uint32_t i = 0; i < ring->entries; i++)
		ring->ops[i].next = i + 1 < ring->entries ? i + 1 : SLOT_NONE;
	*ret_ring = ring;
	return 0;
}

void ring_free(struct ring *ring)
{
	if (!ring)
		return;
	assert(ring->in_kernel == 0);
	if (ring->is_async) {
		if (ring->has_buffers) /* else the kernel lets go of the memory some time after exit */
			(void)io_uring_unregister_buffers(&ring->uring);
		if (ring->has_file)
			(void)io_uring_unregister_files(&ring->uring);
		io_uring_queue_exit(&ring->uring);
	}
	free(ring->ops);
	free(ring);
}

bool ring_is_async(const struct ring *ring)
{
	return ring->is_async;
}

const char *ring_engine_name(const struct ring *ring)
{
	return ring->is_async ? "io_uring" : "pread";
}

const char *ring_why(const struct ring *ring)
{
	return ring->why;
}

unsigned ring_in_flight(const struct ring *ring)
{
	return ring->in_flight;
}

/* ---- slots ---- */

static struct op *op_begin(struct ring *ring, uint64_t tag)
{
	assert(!(tag & TAG_CANCEL));
	if (ring->free == SLOT_NONE)
		return NULL;
	struct op *op = &ring->ops[ring->free];
	ring->free = op->next;
	*op = (struct op){ .tag = tag, .next = SLOT_NONE };
	ring->in_flight++;
	return op;
}

static void op_end(struct ring *ring, struct op *op, int result)
{
	uint32_t slot = (uint32_t)(op - ring->ops);

	op->result = result;
	op->next = SLOT_NONE;
	if (ring->last_done == SLOT_NONE)
		ring->first_done = slot;
	else
		ring->ops[ring->last_done].next = slot;
	ring->last_done = slot;
}

/* Hands out the results that have come in, up to `max`. */
static unsigned take_results(struct ring *ring, struct ring_done *ret_done, unsigned max)
{
	unsigned n = 0;

	while (n < max && ring->first_done != SLOT_NONE) {
		uint32_t slot = ring->first_done;
		struct op *op = &ring->ops[slot];
		ring->first_done = op->next;
		if (ring->first_done == SLOT_NONE)
			ring->last_done = SLOT_NONE;
		ret_done[n++] = (struct ring_done){ op->tag, op->result };
		op->tag = TAG_CANCEL; /* nobody's: it cannot be cancelled any more */
		op->next = ring->free;
		ring->free = slot;
		ring->in_flight--;
	}
	return n;
}

/* A place in the submission queue; the queue is as long as there are slots, cancellations aside. */
static struct io_uring_sqe *get_sqe(struct ring *ring)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring->uring);

	if (!sqe && io_uring_submit(&ring->uring) >= 0)
		sqe = io_uring_get_sqe(&ring->uring);
	return sqe;
}

/* The place for `op`, or NULL after ending it with -EAGAIN: the caller begins it again. */
static struct io_uring_sqe *op_sqe(struct ring *ring, struct op *op)
{
	struct io_uring_sqe *sqe = get_sqe(ring);

	if (!sqe)
		op_end(ring, op, -EAGAIN);
	else
		ring->in_kernel++;
	return sqe;
}

static void op_tag(struct ring *ring, struct io_uring_sqe *sqe, const struct op *op)
{
	io_uring_sqe_set_data64(sqe, (uint64_t)(op - ring->ops));
}

/* ---- operations ---- */

static int result_of(ssize_t n)
{
	return n < 0 ? -errno : (int)n;
}

/* What a fault of a test makes of a read. True when the read has ended, or never will. */
static bool op_strike(struct ring *ring, struct op *op, uint32_t len)
{
	op->rule = ring->fault ? fault_strike(ring->fault, op->off, len) : NULL;
	if (!op->rule)
		return false;
	if (op->rule->kind == FAULT_ERROR)
		op_end(ring, op, op->rule->error);
	else if (op->rule->kind == FAULT_SHORT && op->rule->keep == 0)
		op_end(ring, op, -EAGAIN);
	return op->rule->kind == FAULT_ERROR || op->rule->kind == FAULT_HANG ||
	       (op->rule->kind == FAULT_SHORT && op->rule->keep == 0);
}

/* And of its result. A read is cut short here and not before it: O_DIRECT refuses odd lengths. */
static int op_strike_result(const struct op *op, int result)
{
	if (!op->rule || result <= 0)
		return result;
	fault_flip(op->rule, op->off, op->buf, (uint64_t)result);
	if (op->rule->kind == FAULT_SHORT)
		result = (int)min_of((uint32_t)result, op->rule->keep);
	return result;
}

int ring_read(struct ring *ring, uint64_t tag, int fd, void *buf, uint32_t len, uint64_t off)
{
	uint64_t at = ring->arena ? (uint64_t)((uint8_t *)buf - ring->arena) : 0;
	struct op *op = op_begin(ring, tag);

	if (!op)
		return -EBUSY;
	assert(!ring->arena || (at <= ring->arena_len && len <= ring->arena_len - at));
	op->buf = buf;
	op->off = off;
	if (op_strike(ring, op, len))
		return 0;
	if (!ring->is_async) {
		int result = result_of(pread(fd, buf, len, (off_t)off));
		op_end(ring, op, op_strike_result(op, result));
		return 0;
	}
	struct io_uring_sqe *sqe = op_sqe(ring, op);
	if (!sqe)
		return 0;
	bool registered = ring->has_file && fd == ring->file;
	if (ring->has_buffers)
		io_uring_prep_read_fixed(sqe, registered ? 0 : fd, buf, len, off, 0);
	else
		io_uring_prep_read(sqe, registered ? 0 : fd, buf, len, off);
	if (registered)
		sqe->flags |= IOSQE_FIXED_FILE;
	op_tag(ring, sqe, op);
	return 0;
}

int ring_open(struct ring *ring, uint64_t tag, int dirfd, const char *path, int flags)
{
	assert((flags & (O_ACCMODE | O_CREAT | O_TRUNC)) == O_RDONLY);
	struct op *op = op_begin(ring, tag);

	if (!op)
		return -EBUSY;
	if (!ring->is_async || !ring->can_open) {
		op_end(ring, op, result_of(openat(dirfd, path, flags)));
		return 0;
	}
	struct io_uring_sqe *sqe = op_sqe(ring, op);
	if (sqe) {
		io_uring_prep_openat(sqe, dirfd, path, flags, 0);
		op_tag(ring, sqe, op);
	}
	return 0;
}

int ring_statx(struct ring *ring, uint64_t tag, int dirfd, const char *path, int flags,
	       unsigned mask, struct statx *ret_st)
{
	struct op *op = op_begin(ring, tag);

	if (!op)
		return -EBUSY;
	if (!ring->is_async || !ring->can_statx) {
		op_end(ring, op, result_of(statx(dirfd, path, flags, mask, ret_st)));
		return 0;
	}
	struct io_uring_sqe *sqe = op_sqe(ring, op);
	if (sqe) {
		io_uring_prep_statx(sqe, dirfd, path, flags, mask, ret_st);
		op_tag(ring, sqe, op);
	}
	return 0;
}

int ring_close(struct ring *ring, uint64_t tag, int fd)
{
	struct op *op = op_begin(ring, tag);

	if (!op)
		return -EBUSY;
	if (!ring->is_async || !ring->can_close) {
		op_end(ring, op, result_of(close(fd)));
		return 0;
	}
	struct io_uring_sqe *sqe = op_sqe(ring, op);
	if (sqe) {
		io_uring_prep_close(sqe, fd);
		op_tag(ring, sqe, op);
	}
	return 0;
}

void ring_cancel(struct ring *ring, uint64_t tag)
{
	if (!ring->is_async)
		return;
	for (uint32_t i = 0; i < ring->entries; i++) {
		if (ring->ops[i].tag != tag)
			continue;
		struct io_uring_sqe *sqe = get_sqe(ring);
		if (sqe) {
			io_uring_prep_cancel64(sqe, i, 0);
			io_uring_sqe_set_data64(sqe, TAG_CANCEL);
		}
		return;
	}
}

/* ---- waiting ---- */

static void reap(struct ring *ring)
{
	struct io_uring_cqe *cqe;

	while (io_uring_peek_cqe(&ring->uring, &cqe) == 0 && cqe) {
		uint64_t slot = io_uring_cqe_get_data64(cqe);
		if (slot < ring->entries) {
			struct op *op = &ring->ops[slot];
			ring->in_kernel--;
			op_end(ring, op, op_strike_result(op, cqe->res));
		}
		io_uring_cqe_seen(&ring->uring, cqe);
	}
}

/* Submits, and waits for the kernel at most `timeout_ns` when there is nothing to hand out. */
static int submit_and_wait(struct ring *ring, int64_t timeout_ns)
{
	struct __kernel_timespec ts = { timeout_ns / NS_PER_S, timeout_ns % NS_PER_S };
	struct io_uring_cqe *cqe;
	int r;

	if (timeout_ns == 0 || ring->first_done != SLOT_NONE || ring->in_kernel == 0) {
		r = io_uring_submit(&ring->uring);
		/* Deferred work of the kernel runs only when it is asked for results. */
		if (r >= 0)
			r = io_uring_get_events(&ring->uring);
	} else {
		r = io_uring_submit_and_wait_timeout(&ring->uring, &cqe, 1,
						     timeout_ns < 0 ? NULL : &ts, NULL);
	}
	reap(ring);
	/* Short of memory or of room, it takes the rest at the next call. */
	if (r == -ETIME || r == -EINTR || r == -EAGAIN || r == -EBUSY || r > 0)
		return 0;
	return r;
}

int ring_wait(struct ring *ring, int64_t timeout_ns, struct ring_done *ret_done, unsigned max)
{
	int r = ring->is_async ? submit_and_wait(ring, timeout_ns) : 0;

	if (r < 0)
		return r;
	unsigned n = take_results(ring, ret_done, max);
	/* Nothing will come: a read that hangs on the plain road. Do not spin. */
	if (n == 0 && ring->in_kernel == 0 && timeout_ns != 0)
		clock_sleep_ns(timeout_ns < 0 ? NS_PER_MS : min_of(timeout_ns, 10 * NS_PER_MS));
	return (int)n;
}

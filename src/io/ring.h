/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ring: reads and file operations under way, many at a time. All that assay knows of io_uring is in
 * ring.c; where the kernel refuses it (no such call, no permission, kernel.io_uring_disabled,
 * seccomp), every operation is carried out at once by the plain system call instead, with the same
 * results in the same form, and ring_why() says so. An opcode that the kernel lacks goes that way
 * alone.
 *
 * A ring reads and does nothing else: files are opened O_RDONLY, which is asserted, and the kernel is
 * told to refuse every other operation before the first one is made.
 *
 * Nothing is allocated after ring_new. A ring belongs to the thread that made it: setup flags used
 * here bind it to that thread.
 */
#ifndef IO_RING_H
#define IO_RING_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "base/compiler.h"

struct fault;
struct ring;

enum ring_engine {
	RING_ENGINE_AUTO,     /* io_uring where it is to be had */
	RING_ENGINE_IO_URING, /* nothing else will do */
	RING_ENGINE_PREAD,    /* plain system calls */
};

/* "auto", "io_uring", "pread". -EINVAL for anything else. */
int ring_engine_parse(const char *name, enum ring_engine *ret_engine) must_check;

struct ring_options {
	enum ring_engine engine;
	unsigned entries; /* operations under way at most, 1 to 4096 */
	/* Memory that reads go to; registered with the kernel where that is allowed. May be NULL. */
	void *arena;
	uint64_t arena_len; /* bytes */
	struct fault *fault; /* for tests; NULL: none. Borrowed. */
	/* One file that most reads are of; registered with the kernel where that is allowed. */
	bool has_file;
	int file;
};

/* -ENOMEM; the errno of io_uring_setup when the engine may be nothing else. */
int ring_new(const struct ring_options *options, struct ring **ret_ring) must_check;

/*
 * NULL is allowed. Nothing may be under way: the kernel would still write into the arena. A ring
 * whose device hangs is abandoned instead (never freed).
 */
void ring_free(struct ring *ring);

/* What carries out the reads, and why it is not io_uring ("" when it is). */
bool ring_is_async(const struct ring *ring);
const char *ring_engine_name(const struct ring *ring);
const char *ring_why(const struct ring *ring);

/* Operations begun and not yet handed out by ring_wait. */
unsigned ring_in_flight(const struct ring *ring);

/*
 * Each begins one operation, known by `tag` (below 2^63); what is pointed to must stay until it has
 * ended. -EBUSY: `entries` are under way. The result of the operation comes from ring_wait.
 */
int ring_read(struct ring *ring, uint64_t tag, int fd, void *buf, uint32_t len,
	      uint64_t off) must_check;
int ring_open(struct ring *ring, uint64_t tag, int dirfd, const char *path, int flags) must_check;
int ring_statx(struct ring *ring, uint64_t tag, int dirfd, const char *path, int flags,
	       unsigned mask, struct statx *ret_st) must_check;
int ring_close(struct ring *ring, uint64_t tag, int fd) must_check;

/* Asks that the operation `tag` be given up. It still ends, with -ECANCELED or its own result;
 * a read that a device holds cannot be given up and may never end. */
void ring_cancel(struct ring *ring, uint64_t tag);

struct ring_done {
	uint64_t tag;
	int result; /* as of the system call: bytes or a descriptor; or a negative errno */
};

/*
 * Submits what was begun and waits until something has ended, at most `timeout_ns` (negative:
 * without end; 0: does not wait). Returns how many results are in `ret_done` (up to `max`, 0 after a timeout or a
 * signal), or a negative errno when the ring itself fails.
 */
int ring_wait(struct ring *ring, int64_t timeout_ns, struct ring_done *ret_done,
	      unsigned max) must_check;

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Plan: in which order the messages of a window are read off a disk, and in which reads. Messages
 * are sorted by where they begin; the disk is taken as a circle that begins at `origin`, so that
 * copies of one store on several hosts are gone over from different places. Neighbours share a
 * read, also across a small gap, which costs less to read than to leave out. A message in several
 * runs is read as a whole when its first run is reached, in the order of its bytes: so the pieces
 * of one message are never mixed with those of another, and one running digest is enough.
 *
 * Pure but for memory: no I/O, no clock. A plan belongs to one thread at a time.
 */
#ifndef VERIFY_PLAN_H
#define VERIFY_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "digest/digest.h"

struct mailbox;

/* A message: its witness, and what its inode says. */
struct plan_object {
	uint64_t at; /* where it begins on the device, bytes */
	struct mailbox *mailbox;
	int64_t mtime_ns, ctime_ns;
	uint32_t ino;
	uint32_t uid;
	uint32_t size; /* bytes */
	uint32_t
		runs; /* index of its first run in the plan; PLAN_ONE_RUN: the whole lies at `at` */
	uint8_t guid[SHA1_LEN];
	bool done; /* for the reader: it has been judged */
	bool archived : 1;
	bool twin : 1;	     /* the planted fault */
	bool planned : 1;    /* it is to be read: `at` is known */
	bool may_carry : 1;  /* an earlier run may have verified it */
	bool carried : 1;    /* it has */
	uint32_t generation; /* of its inode */
	uint32_t mapping;    /* where its bytes lie, as a number */
	uint32_t internaldate; /* seconds since the epoch, as in struct witness */
};

#define PLAN_ONE_RUN UINT32_MAX

/* A run of bytes of a message, and where it lies. What lies between runs is zeros. */
struct plan_run {
	uint64_t logical, at; /* bytes */
	uint32_t len;	      /* bytes */
	bool last;	      /* of its message */
};

/* What a read holds of one message: `zeros` bytes that are not stored, then `len` bytes at `at`. */
struct plan_piece {
	uint32_t object; /* index in the plan */
	uint32_t at;	 /* offset in the read */
	uint32_t len;
	uint32_t zeros;
	bool first, last; /* of its message */
};

#define PLAN_PIECES_MAX 512

struct plan_read {
	uint64_t off; /* bytes, aligned */
	uint32_t len; /* bytes, aligned */
	uint32_t nr_pieces;
	struct plan_piece pieces[PLAN_PIECES_MAX];
};

struct plan_geometry {
	uint64_t size;	   /* of the device, bytes */
	uint64_t origin;   /* where the circle begins, bytes, below size */
	uint32_t align;	   /* of offset and length of a read: the logical sector, bytes */
	uint32_t read_max; /* bytes, a multiple of align */
	uint32_t gap_max;  /* bytes that are read in vain rather than left out */
};

struct plan;

/* Room for `max` messages. -ENOMEM. The memory is touched only as far as it is used. */
int plan_new(const struct plan_geometry *geometry, uint32_t max, struct plan **ret_plan) must_check;
void plan_free(struct plan *plan); /* NULL is allowed */

/* Empties the plan and keeps the memory. */
void plan_clear(struct plan *plan);

/* A new message, zeroed, to be filled in by the caller; NULL when there is no more room. */
struct plan_object *plan_add(struct plan *plan);
uint32_t plan_count(const struct plan *plan);
struct plan_object *plan_object_at(struct plan *plan, uint32_t i);

/*
 * The messages in the order of their inodes: fills `ret_inos` (plan_count entries, ascending, with
 * repetitions) and, beside it, which message each belongs to in `ret_objects`. Borrowed until the
 * next call of plan_sort_*.
 */
int plan_sort_by_inode(struct plan *plan, const uint32_t **ret_inos,
		       const uint32_t **ret_objects) must_check;

/*
 * Says where a message lies and marks it as planned. Runs ascend by `logical`; those beyond its
 * size are cut off. -ENODATA: nothing of it is stored; -ERANGE: outside the device, runs that
 * overlap, or more of them than a plan has room for; -ENOMEM.
 */
int plan_place(struct plan *plan, struct plan_object *object, const struct plan_run *runs,
	       size_t nr) must_check;

/* Puts the planned messages in the order of the disk and begins with the first. */
int plan_sort_by_place(struct plan *plan) must_check;

/*
 * The planned message at this part of the way, 0 to `parts` - 1, after plan_sort_by_place; NULL
 * when nothing is planned.
 */
struct plan_object *plan_object_on_the_way(struct plan *plan, unsigned part, unsigned parts);

/* The next read. False: there is none. */
bool plan_next(struct plan *plan, struct plan_read *ret_read);

/* How far from the origin a message begins, bytes: what the plan is sorted by. */
uint64_t plan_distance(const struct plan *plan, uint64_t at);

/* Planned messages and their bytes. */
void plan_get_totals(const struct plan *plan, uint64_t *ret_messages, uint64_t *ret_bytes);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads of a device that are begun before they are asked for: a few slots of memory, filled by a ring in
 * the order of the hints. What was read so is as old as its hint. Belongs to one thread.
 */
#ifndef IO_AHEAD_H
#define IO_AHEAD_H

#include <stdint.h>

#include "base/compiler.h"

#define AHEAD_SLOT_LEN 131072u /* bytes: the longest read */
#define AHEAD_SLOTS 32u

struct ahead;

/* Without io_uring there is nothing to be had from it: -ENOTSUP. -ENOMEM. `fd` is borrowed. */
int ahead_new(int fd, uint64_t align, struct ahead **ret_ahead) must_check;
void ahead_free(struct ahead *ahead); /* NULL is allowed; waits for what is under way */

/* Begins to read [off, off + len), up to AHEAD_SLOT_LEN of it. The slot hinted longest ago is given up. */
void ahead_hint(struct ahead *ahead, uint64_t off, uint64_t len);

/*
 * The bytes from `off` on, as many as there are in the slot that has them; waits for it. 0: no slot has
 * them, or its read failed: that it did is no error of anybody's.
 */
uint64_t ahead_get(struct ahead *ahead, uint64_t off, const uint8_t **ret_bytes);

/* What was read does not count any more. */
void ahead_forget(struct ahead *ahead);

#endif

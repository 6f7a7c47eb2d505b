/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Narrow: which sectors of a range cannot be read. What fails is halved until it is one sector, so
 * that a bad sector costs a few reads for each halving and a good range one.
 */
#ifndef IO_NARROW_H
#define IO_NARROW_H

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"

/* Reads [off, off + len) alone. 0; an error of the medium (file_error_is_media): it is halved;
 * anything else ends the narrowing and is returned. */
typedef int (*narrow_read_fn)(uint64_t off, uint64_t len, void *ctx);

/* A sector that cannot be read: ascending. */
typedef void (*narrow_bad_fn)(uint64_t off, uint64_t len, int error, void *ctx);

/* `off` is a multiple of `sector`, `len` is not 0; the last sector may be cut short. */
int narrow(uint64_t off, uint64_t len, uint32_t sector, narrow_read_fn read, narrow_bad_fn bad,
	   void *ctx) must_check;

/* True for the errors of a device that is not there any more. */
bool narrow_is_gone(int error);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mapping: where the bytes of a file lie, as one number. Two looks at a file that went by different
 * roads saw the same bytes of the disk only if it lay at the same places both times.
 */
#ifndef VERIFY_MAPPING_H
#define VERIFY_MAPPING_H

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"

struct mapping {
	uint64_t size;			 /* of the file: what lies behind it does not count */
	uint64_t logical, physical, len; /* the run that grows */
	bool unwritten;
	uint64_t hash; /* of the runs before it */
};

/* A file of `size` bytes; then every extent, ascending by `logical`; then the number, never 0. */
void mapping_begin(struct mapping *mapping, uint64_t size);
void mapping_add(struct mapping *mapping, uint64_t logical, uint64_t physical, uint64_t len,
		 bool unwritten);
uint32_t mapping_end(struct mapping *mapping);

/* That of an open file, asked of the kernel; 0 where it is not known. */
uint32_t mapping_of_file(int fd, uint64_t size);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A span is a run of bytes that somebody else owns: a borrowed pointer with a length. Every
 * parser takes spans, and every access is checked here, so that no length read from a disk is
 * ever used unchecked. All functions are pure and may be called from any thread.
 */
#ifndef BASE_SPAN_H
#define BASE_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/compiler.h"

struct span {
	const uint8_t *data; /* borrowed; may be NULL when len is 0 */
	uint64_t len;	     /* bytes */
};

#define SPAN_NULL ((struct span){ NULL, 0 })

/* The bytes of a NUL-terminated string, without the NUL. Borrows. */
static inline struct span span_of_str(const char *str)
{
	return (struct span){ (const uint8_t *)str, str ? strlen(str) : 0 };
}

static inline struct span span_of(const void *data, uint64_t len)
{
	return (struct span){ data, len };
}

/* The part [off, off + len). -ERANGE if it does not lie inside; *ret_sub is then untouched. */
int span_sub(struct span s, uint64_t off, uint64_t len, struct span *ret_sub) must_check;

/* Big-endian integers at `off`. -ERANGE outside the span; *ret is then untouched. */
int span_be32(struct span s, uint64_t off, uint32_t *ret) must_check;
int span_be64(struct span s, uint64_t off, uint64_t *ret) must_check;

bool span_equals(struct span a, struct span b);
bool span_equals_str(struct span s, const char *str);
bool span_starts_with(struct span s, const char *prefix);

/* Offset of the first `byte`, or s.len when there is none. */
uint64_t span_find(struct span s, uint8_t byte);

/* Byte order of memcmp, the shorter first when one is a prefix of the other: <0, 0, >0. */
int span_compare(struct span a, struct span b);

/* A heap copy with a NUL behind it; the caller frees. NULL when memory is exhausted. */
char *span_dup(struct span s) must_check;

/* A decimal number that fills the whole span. -EBADMSG when it is none, -ERANGE above `max`. */
int span_parse_u64(struct span s, uint64_t max, uint64_t *ret) must_check;

#endif

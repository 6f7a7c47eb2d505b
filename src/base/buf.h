/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A buffer is a growable run of bytes that it owns. There is always a NUL behind the last byte,
 * so `data` is a C string wherever the content has no NUL of its own. Memory exhaustion is
 * remembered in `failed` and reported once by buf_error(), so that code which composes text can
 * append without a check at every step. Not thread-safe; one owner at a time.
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>

#include "base/compiler.h"
#include "base/span.h"

struct buf {
	char *data;   /* never NULL after the first append; NUL-terminated */
	size_t len;   /* bytes used, without the NUL */
	size_t cap;   /* bytes allocated */
	bool failed;  /* an append ran out of memory: content is incomplete */
};

#define BUF_NULL ((struct buf){ NULL, 0, 0, false })

/* Frees the content. May be called twice, and on BUF_NULL. */
void buf_fini(struct buf *b);

/* Forgets the content and keeps the memory. */
void buf_clear(struct buf *b);

/* Makes room for `more` bytes beyond len. -ENOMEM. */
int buf_reserve(struct buf *b, size_t more) must_check;

void buf_add(struct buf *b, const void *data, size_t len);
void buf_add_str(struct buf *b, const char *str);
void buf_add_span(struct buf *b, struct span s);
void buf_add_char(struct buf *b, char c);
void buf_addf(struct buf *b, const char *fmt, ...) printf_like(2, 3);

/* 0, or -ENOMEM when any append since buf_clear failed. */
int buf_error(const struct buf *b) must_check;

/* The content as a C string, "" when empty. Borrowed until the next change. */
static inline const char *buf_str(const struct buf *b)
{
	return b->data ? b->data : "";
}

static inline struct span buf_span(const struct buf *b)
{
	return span_of(b->data, b->len);
}

/* Hands the content to the caller, who frees it; the buffer is empty afterwards. NULL on failure. */
char *buf_take(struct buf *b) must_check;

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Growable bytes. Growth doubles, so n appends cost O(n); an overflow of size_t counts as
 * exhausted memory.
 */
#include "base/buf.h"

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

void buf_fini(struct buf *b)
{
	free(b->data);
	*b = BUF_NULL;
}

void buf_clear(struct buf *b)
{
	b->len = 0;
	b->failed = false;
	if (b->data)
		b->data[0] = '\0';
}

int buf_reserve(struct buf *b, size_t more)
{
	if (more > SIZE_MAX / 4 || b->len > SIZE_MAX / 4)
		goto fail;
	size_t need = b->len + more + 1;
	if (need > b->cap) {
		size_t cap = max_of(need, b->cap * 2);
		char *data = realloc(b->data, max_of(cap, (size_t)64));
		if (!data)
			goto fail;
		b->data = data;
		b->cap = max_of(cap, (size_t)64);
		b->data[b->len] = '\0';
	}
	return 0;
fail:
	b->failed = true;
	return -ENOMEM;
}

void buf_add(struct buf *b, const void *data, size_t len)
{
	if (buf_reserve(b, len))
		return;
	if (len)
		memcpy(b->data + b->len, data, len);
	b->len += len;
	b->data[b->len] = '\0';
}

void buf_add_str(struct buf *b, const char *str)
{
	buf_add(b, str, strlen(str));
}

void buf_add_span(struct buf *b, struct span s)
{
	buf_add(b, s.data, s.len);
}

void buf_add_char(struct buf *b, char c)
{
	buf_add(b, &c, 1);
}

void buf_addf(struct buf *b, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	int n = vsnprintf(NULL, 0, fmt, args);
	va_end(args);
	if (n < 0 || buf_reserve(b, (size_t)n)) {
		b->failed = true;
		return;
	}
	va_start(args, fmt);
	n = vsnprintf(b->data + b->len, (size_t)n + 1, fmt, args);
	va_end(args);
	b->len += (size_t)max_of(n, 0);
}

int buf_error(const struct buf *b)
{
	return b->failed ? -ENOMEM : 0;
}

char *buf_take(struct buf *b)
{
	if (b->failed || (!b->data && buf_reserve(b, 0))) {
		buf_fini(b);
		return NULL;
	}
	char *data = b->data;
	*b = BUF_NULL;
	return data;
}

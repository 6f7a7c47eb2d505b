/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checked access to borrowed bytes. The only place where an offset from a disk meets a pointer.
 */
#include "base/span.h"

#include <errno.h>
#include <stdlib.h>

int span_sub(struct span s, uint64_t off, uint64_t len, struct span *ret_sub)
{
	if (off > s.len || len > s.len - off)
		return -ERANGE;
	*ret_sub = span_of(len ? s.data + off : NULL, len);
	return 0;
}

int span_be32(struct span s, uint64_t off, uint32_t *ret)
{
	if (off > s.len || s.len - off < 4)
		return -ERANGE;
	const uint8_t *p = s.data + off;
	*ret = (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
	return 0;
}

int span_be64(struct span s, uint64_t off, uint64_t *ret)
{
	uint32_t high, low;
	if (off > s.len || s.len - off < 8)
		return -ERANGE;
	if (span_be32(s, off, &high) || span_be32(s, off + 4, &low))
		return -ERANGE;
	*ret = (uint64_t)high << 32 | low;
	return 0;
}

bool span_equals(struct span a, struct span b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

bool span_equals_str(struct span s, const char *str)
{
	return span_equals(s, span_of_str(str));
}

bool span_starts_with(struct span s, const char *prefix)
{
	size_t len = strlen(prefix);
	return s.len >= len && (len == 0 || memcmp(s.data, prefix, len) == 0);
}

uint64_t span_find(struct span s, uint8_t byte)
{
	const uint8_t *hit = s.len ? memchr(s.data, byte, s.len) : NULL;
	return hit ? (uint64_t)(hit - s.data) : s.len;
}

int span_compare(struct span a, struct span b)
{
	uint64_t len = min_of(a.len, b.len);
	int r = len ? memcmp(a.data, b.data, len) : 0;
	if (r)
		return r;
	return a.len < b.len ? -1 : a.len > b.len;
}

char *span_dup(struct span s)
{
	if (s.len == UINT64_MAX)
		return NULL;
	char *copy = malloc(s.len + 1);
	if (!copy)
		return NULL;
	if (s.len)
		memcpy(copy, s.data, s.len);
	copy[s.len] = '\0';
	return copy;
}

int span_parse_u64(struct span s, uint64_t max, uint64_t *ret)
{
	uint64_t value = 0;

	if (s.len == 0)
		return -EBADMSG;
	for (uint64_t i = 0; i < s.len; i++) {
		uint8_t digit = (uint8_t)(s.data[i] - '0');
		if (digit > 9)
			return -EBADMSG;
		if (value > (UINT64_MAX - digit) / 10)
			return -ERANGE;
		value = value * 10 + digit;
	}
	if (value > max)
		return -ERANGE;
	*ret = value;
	return 0;
}

// SPDX-License-Identifier: Apache-2.0
/*
 * twoskip files in memory: the real one, as it was and in the middle of a transaction, ready to be
 * damaged and to get right CRCs again; small ones made to measure; and a source whose bytes change
 * between reads.
 */
#ifndef TESTS_UNIT_FORMAT_TWOSKIP_IMAGE_H
#define TESTS_UNIT_FORMAT_TWOSKIP_IMAGE_H

#include <CUnit/CUnit.h>
#include <stdlib.h>

#include "base/buf.h"
#include "digest/digest.h"
#include "io/source.h"
#include "real_twoskip.h"

#define DUMMY_OFF 64
#define MAX_LEN 8192 /* bytes of the largest image here */

/* A database in memory that a test damages. */
struct image {
	uint8_t bytes[MAX_LEN];
	uint64_t len;
};

static inline uint64_t get_quad(const uint8_t *p)
{
	uint64_t quad = 0;

	for (int i = 0; i < 8; i++)
		quad = quad << 8 | p[i];
	return quad;
}

static inline void put_quad(uint8_t *p, uint64_t quad)
{
	for (int i = 7; i >= 0; i--, quad >>= 8)
		p[i] = (uint8_t)quad;
}

static inline void put_word(uint8_t *p, uint32_t word)
{
	for (int i = 3; i >= 0; i--, word >>= 8)
		p[i] = (uint8_t)word;
}

static inline void fix_header(struct image *image)
{
	put_word(image->bytes + 60, crc32_of(span_of(image->bytes, 60)));
}

/* Makes the head CRC of the record at `off` right again. No long lengths here. */
static inline void fix_head(struct image *image, uint64_t off)
{
	uint64_t len = 8 + 8 * (image->bytes[off + 1] + 1u);

	put_word(image->bytes + off + len, crc32_of(span_of(image->bytes + off, len)));
}

static inline uint64_t tail_off(const struct image *image, uint64_t off)
{
	return off + 8 + 8 * (image->bytes[off + 1] + 1u) + 8;
}

static inline void fix_tail(struct image *image, uint64_t off)
{
	const uint8_t *p = image->bytes + off;
	uint64_t len = ((uint64_t)(p[2] << 8 | p[3]) + (uint64_t)(p[6] << 8 | p[7]) + 7) & ~7ull;
	uint64_t tail = tail_off(image, off);

	put_word(image->bytes + tail - 4, crc32_of(span_of(image->bytes + tail, len)));
}

static inline struct image real_image(void)
{
	struct image image = { .len = sizeof(real_twoskip) };

	memcpy(image.bytes, real_twoskip, sizeof(real_twoskip));
	return image;
}

/* As a crash inside a transaction left it. */
static inline struct image dirty_image(void)
{
	struct image image = real_image();

	memcpy(image.bytes + 59, real_twoskip_dirty_at_59, sizeof(real_twoskip_dirty_at_59));
	memcpy(image.bytes + 78, real_twoskip_dirty_at_78, sizeof(real_twoskip_dirty_at_78));
	memcpy(image.bytes + 328, real_twoskip_dirty_at_328, sizeof(real_twoskip_dirty_at_328));
	memcpy(image.bytes + image.len, real_twoskip_dirty_tail, sizeof(real_twoskip_dirty_tail));
	image.len += sizeof(real_twoskip_dirty_tail);
	return image;
}

/* Where the record of a key stands in the list of `image`. */
static inline uint64_t off_of(const struct image *image, const char *key)
{
	uint64_t off = DUMMY_OFF;

	do {
		const uint8_t *next = image->bytes + off + 8;
		uint64_t a = get_quad(next);
		uint64_t b = image->bytes[off + 1] ? get_quad(next + 8) : 0;
		off = a >= sizeof(real_twoskip) ? b : b >= sizeof(real_twoskip) ? a : max_of(a, b);
		if (image->bytes[off] == '-')
			off = get_quad(image->bytes + off + 8);
		CU_ASSERT_FATAL(off > 0);
	} while (memcmp(image->bytes + tail_off(image, off), key, strlen(key)) != 0);
	return off;
}

struct pair {
	uint64_t key_len;
	uint64_t value_len;
	bool long_form; /* lengths in 8 bytes each although they would fit */
};

static inline void add_quad(struct buf *b, uint64_t quad)
{
	uint8_t bytes[8];

	put_quad(bytes, quad);
	buf_add(b, bytes, sizeof(bytes));
}

static inline void add_word(struct buf *b, uint32_t word)
{
	uint8_t bytes[4];

	put_word(bytes, word);
	buf_add(b, bytes, sizeof(bytes));
}

static inline uint64_t pair_head_len(const struct pair *p)
{
	return 8 + 16 + 8 + (p->long_form || p->key_len >= 0xffff ? 8 : 0) + (p->long_form ? 8 : 0);
}

static inline uint64_t pair_len(const struct pair *p)
{
	return pair_head_len(p) + ((p->key_len + p->value_len + 7) & ~7ull);
}

/* A record of level 1 whose key is all `fill` and whose value is all 'v'. */
static inline void add_pair(struct buf *b, const struct pair *p, char fill, uint64_t next)
{
	uint64_t off = b->len, tail_len = (p->key_len + p->value_len + 7) & ~7ull;
	bool long_key = p->long_form || p->key_len >= 0xffff;
	uint8_t *tail = calloc(1, tail_len + 1);

	CU_ASSERT_PTR_NOT_NULL_FATAL(tail);
	memset(tail, fill, p->key_len);
	memset(tail + p->key_len, 'v', p->value_len);
	buf_add_char(b, '+');
	buf_add_char(b, 1);
	buf_add_char(b, (char)(long_key ? 0xff : p->key_len >> 8));
	buf_add_char(b, (char)(long_key ? 0xff : p->key_len));
	add_word(b, p->long_form ? 0xffffffff : (uint32_t)p->value_len);
	if (long_key)
		add_quad(b, p->key_len);
	if (p->long_form)
		add_quad(b, p->value_len);
	add_quad(b, 0);
	add_quad(b, next);
	add_word(b, crc32_of(span_of(b->data + off, b->len - off)));
	add_word(b, crc32_of(span_of(tail, tail_len)));
	buf_add(b, tail, tail_len);
	free(tail);
}

/* A database of `nr` records with keys "aaa...", "bbb..." in this order. */
static inline void build(struct buf *b, const struct pair *pairs, size_t nr)
{
	uint64_t size = 336;

	for (size_t i = 0; i < nr; i++)
		size += pair_len(&pairs[i]);
	buf_add(b, real_twoskip, 24);
	add_quad(b, 1);
	add_quad(b, nr);
	add_quad(b, 336);
	add_quad(b, size);
	add_word(b, 0);
	add_word(b, crc32_of(span_of(b->data, 60)));
	buf_add(b, "=\037\0\0\0\0\0\0", 8);
	add_quad(b, 0);
	add_quad(b, nr ? 336 : 0);
	for (int i = 0; i < 30; i++)
		add_quad(b, nr ? 336 : 0);
	add_word(b, crc32_of(span_of(b->data + 64, 8 + 32 * 8)));
	add_word(b, 0);
	for (size_t i = 0; i < nr; i++)
		add_pair(b, &pairs[i], (char)('a' + i),
			 i + 1 < nr ? b->len + pair_len(&pairs[i]) : 0);
	CU_ASSERT_EQUAL_FATAL(b->len, size);
}

/* ---- Files that change ----------------------------------------------------------------------- */

#define MOVING_READ_LEN 96 /* bytes that one read gives at most */

/* A source that shows `before` for so many reads, `after` from then on. */
struct moving {
	struct source src; /* first, so that the functions below find the rest */
	const struct image *before;
	const struct image *after;
	unsigned reads_left; /* of `before` */
	unsigned after_left; /* reads of `after` until it is `before` again; 0: never */
	int fail_with;	     /* instead of the reads of `after` */
};

static inline int moving_read(struct source *src, uint64_t off, void *buf, uint64_t len,
			      uint64_t *ret_n)
{
	struct moving *m = (struct moving *)src;
	const struct image *image = m->before;

	if (m->reads_left > 0) {
		m->reads_left--;
	} else {
		if (m->fail_with)
			return m->fail_with;
		image = m->after;
		if (m->after_left > 0 && --m->after_left == 0)
			m->reads_left = UINT32_MAX;
	}
	uint64_t n = off < image->len ? min_of(len, image->len - off) : 0;
	n = min_of(n, (uint64_t)MOVING_READ_LEN); /* the rest comes with the next read */
	if (n)
		memcpy(buf, image->bytes + off, n);
	*ret_n = n;
	return 0;
}

static inline int moving_size(struct source *src, uint64_t *ret_size)
{
	const struct moving *m = (struct moving *)src;

	*ret_size = m->reads_left > 0 ? m->before->len : m->after->len;
	return 0;
}

static inline void moving_close(struct source *src)
{
	(void)src;
}

static const struct source_ops moving_ops = {
	.read = moving_read,
	.size = moving_size,
	.close = moving_close,
};

#endif

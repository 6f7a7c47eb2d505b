// SPDX-License-Identifier: Apache-2.0
/*
 * A line is looked for in the window, which grows until it holds one whole.
 */
#include "format/cyrus/flat.h"

#include <errno.h>

#include "format/cyrus/db_order.h"

#define READ_LEN 65536 /* bytes at once */
#define ESCAPE 0xff

int flat_begin(struct flat *db, struct source *src)
{
	db->src = src;
	db->next = db->nr_walked = db->used = 0;
	db->at_end = false;
	buf_clear(&db->window);
	buf_clear(&db->key);
	buf_clear(&db->value);
	buf_clear(&db->last);
	return 0;
}

/* Reads on behind the window, after dropping what was used of it. */
static int window_grow(struct flat *db)
{
	struct buf *window = &db->window;
	uint64_t n;

	if (db->used) {
		memmove(window->data, window->data + db->used, window->len - db->used);
		window->len -= db->used;
		db->used = 0;
	}
	int r = buf_reserve(window, READ_LEN);
	if (r)
		return r;
	r = source_read(db->src, db->next + window->len, window->data + window->len, READ_LEN, &n);
	if (r)
		return r;
	window->len += n;
	window->data[window->len] = '\0';
	db->at_end = n == 0;
	return 0;
}

static struct span window_rest(const struct flat *db)
{
	return span_of(db->window.len ? db->window.data + db->used : NULL,
		       db->window.len - db->used);
}

/* The next line without its LF. FLAT_END behind the last. */
static int line_read(struct flat *db, struct span *ret_line)
{
	uint64_t searched = 0;

	for (;;) {
		struct span rest = window_rest(db);
		searched += span_find(
			span_of(rest.len ? rest.data + searched : NULL, rest.len - searched), '\n');
		if (searched >= FLAT_LINE_MAX)
			return -EBADMSG;
		if (searched < rest.len) {
			*ret_line = span_of(rest.data, searched);
			return 0;
		}
		if (db->at_end)
			return rest.len ? -EBADMSG : FLAT_END;
		int r = window_grow(db);
		if (r)
			return r;
	}
}

/* The byte that stands escaped as FF `code`. -EBADMSG when there is none. */
static int unescape(uint8_t code, uint8_t *ret_byte)
{
	switch (code) {
	case 0x80:
	case 0x89:
	case 0x8a:
	case 0x8d:
		*ret_byte = code & 0x7f;
		return 0;
	case ESCAPE:
		*ret_byte = ESCAPE;
		return 0;
	default:
		return -EBADMSG;
	}
}

static int decode(struct buf *b, struct span text)
{
	buf_clear(b);
	for (uint64_t i = 0; i < text.len; i++) {
		uint8_t byte = text.data[i];
		if (byte == '\0' || byte == '\t' || byte == '\r')
			return -EBADMSG;
		if (byte == ESCAPE && (++i == text.len || unescape(text.data[i], &byte)))
			return -EBADMSG;
		buf_add_char(b, (char)byte);
	}
	return buf_error(b);
}

int flat_next(struct flat *db, struct span *ret_key, struct span *ret_value)
{
	struct span line;
	int r = line_read(db, &line);

	if (r)
		return r;
	uint64_t key_len = span_find(line, '\t');
	if (key_len == line.len || key_len == 0)
		return -EBADMSG;
	struct span key = span_of(line.data, key_len);
	if (db->nr_walked > 0 && db_order_compare(DB_ORDER_MAILBOX, buf_span(&db->last), key) >= 0)
		return -EBADMSG;
	r = decode(&db->key, key);
	if (r == 0)
		r = decode(&db->value, span_of(line.data + key_len + 1, line.len - key_len - 1));
	if (r)
		return r;
	buf_clear(&db->last);
	buf_add_span(&db->last, key);
	r = buf_error(&db->last);
	if (r)
		return r;
	db->used += line.len + 1;
	db->next += line.len + 1;
	db->nr_walked++;
	*ret_key = buf_span(&db->key);
	*ret_value = buf_span(&db->value);
	return 0;
}

void flat_fini(struct flat *db)
{
	buf_fini(&db->window);
	buf_fini(&db->key);
	buf_fini(&db->value);
	buf_fini(&db->last);
	*db = FLAT_NULL;
}

int flat_check(struct source *src, uint64_t *ret_off)
{
	struct flat db = FLAT_NULL;
	struct span key, value;
	int r = flat_begin(&db, src);

	while (r == 0)
		r = flat_next(&db, &key, &value);
	*ret_off = db.next;
	flat_fini(&db);
	return r == FLAT_END ? 0 : r;
}

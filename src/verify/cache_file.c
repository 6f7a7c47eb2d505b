/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The window begins at the record that was asked for and did not lie in it; so records in order
 * cost one read of WINDOW_LEN bytes for many of them, and records out of order one read each.
 */
#include "verify/cache_file.h"

#include <errno.h>

#include "digest/digest.h"
#include "io/file.h"

#define WINDOW_LEN (256u << 10) /* bytes */

int cache_file_open(struct cache_file *file, const struct dir *dir)
{
	uint8_t bytes[CACHE_FIRST_OFF];
	uint64_t n = 0;

	*file = CACHE_FILE_NULL;
	int r = dir_is_open(dir) ? dir_open_source(dir, "cyrus.cache", &file->source) : -ENOENT;
	if (r == 0) {
		file->is_host = dir->image == NULL;
		file->was_cached = file->is_host && file_is_cached(file->source.fd);
		r = source_size(&file->source, &file->size);
	}
	if (r == 0)
		r = source_read(&file->source, 0, bytes, sizeof(bytes), &n);
	if (r == 0)
		r = cache_parse_generation(span_of(bytes, n), &file->generation) ? -EBADMSG : 0;
	file->error = r;
	return r;
}

void cache_file_close(struct cache_file *file)
{
	if (file->source.ops && file->is_host && !file->was_cached)
		file_forget(file->source.fd);
	source_close(&file->source);
	buf_fini(&file->window);
	*file = CACHE_FILE_NULL;
}

static int window_load(struct cache_file *file, uint64_t off, uint64_t len)
{
	uint64_t n = 0;

	buf_clear(&file->window);
	int r = buf_reserve(&file->window, len);
	if (r == 0)
		r = source_read(&file->source, off, file->window.data, len, &n);
	if (r)
		return r;
	file->window.len = n;
	file->window_off = off;
	return 0;
}

static struct span window_from(const struct cache_file *file, uint64_t off)
{
	struct span window = buf_span(&file->window);

	if (off < file->window_off || off - file->window_off >= window.len)
		return SPAN_NULL;
	off -= file->window_off;
	return span_of(window.data + off, window.len - off);
}

int cache_file_read(struct cache_file *file, uint64_t off, struct cache_record *ret_record,
		    uint32_t *ret_crc)
{
	/* It may have grown since it was opened. */
	if (off >= file->size && source_size(&file->source, &file->size))
		return -ERANGE;
	if (off < CACHE_FIRST_OFF || off >= file->size)
		return -ERANGE;
	struct span bytes = window_from(file, off);
	uint64_t len = WINDOW_LEN;
	int r = cache_parse_record(bytes, ret_record);

	/* Each try knows more of how long the record is; ten items make it ten tries at most. */
	for (int tries = 0; r == -ERANGE && tries <= CACHE_ITEMS + 1; tries++) {
		uint64_t had = bytes.len;
		if (ret_record->len > file->size - off)
			return -ERANGE;
		len = max_of(len, ret_record->len);
		r = window_load(file, off, len);
		if (r)
			return r;
		bytes = window_from(file, off);
		r = cache_parse_record(bytes, ret_record);
		if (r == -ERANGE && tries > 0 && bytes.len <= had)
			return -ERANGE; /* the file has no more */
	}
	if (r)
		return r;
	*ret_crc = crc32_of(span_of(bytes.data, ret_record->len));
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One cyrus.cache, read record by record in the order of the index, which is mostly that of the
 * file. Bytes come through the page cache in large runs; what nobody else had wanted there is let
 * go again.
 *
 * A cache file belongs to one thread.
 */
#ifndef VERIFY_CACHE_FILE_H
#define VERIFY_CACHE_FILE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "format/cyrus/cache.h"
#include "io/source.h"
#include "verify/image.h"

struct cache_file {
	struct source source;
	bool is_host;	 /* not in an image */
	bool was_cached; /* before it was opened here */
	int error;	 /* of opening it; -ENOENT: there is none */
	uint32_t generation;
	uint64_t size; /* bytes, when it was opened */
	struct buf window;
	uint64_t window_off;
};

#define CACHE_FILE_NULL ((struct cache_file){ .source = SOURCE_NULL, .error = -ENOENT })

/*
 * Opens cyrus.cache in `dir`. What prevents it stands in file->error too: -EBADMSG: shorter than
 * its generation number. Release with cache_file_close, which may be called twice.
 */
int cache_file_open(struct cache_file *file, const struct dir *dir);
void cache_file_close(struct cache_file *file);

/*
 * Reads the record at `off`; its items are borrowed until the next call. 0 and the CRC-32 over all
 * of it; -ERANGE: it does not lie inside the file; -EBADMSG: no record; or the errno of a read.
 */
int cache_file_read(struct cache_file *file, uint64_t off, struct cache_record *ret_record,
		    uint32_t *ret_crc) must_check;

#endif

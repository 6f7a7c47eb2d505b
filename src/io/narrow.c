/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A stack of ranges, the first on top. Each halving leaves one range waiting, so 64 are enough for
 * any length.
 */
#include "io/narrow.h"

#include <errno.h>

#include "io/file.h"

bool narrow_is_gone(int error)
{
	return error == -ENODEV || error == -ENXIO || error == -ENOMEDIUM || error == -ESHUTDOWN;
}

int narrow(uint64_t off, uint64_t len, uint32_t sector, narrow_read_fn read, narrow_bad_fn bad,
	   void *ctx)
{
	struct {
		uint64_t off, len;
	} todo[65];
	unsigned n = 0;

	todo[n].off = off;
	todo[n++].len = len;
	while (n > 0) {
		n--;
		off = todo[n].off;
		len = todo[n].len;
		int r = read(off, len, ctx);
		if (r == 0)
			continue;
		if (!file_error_is_media(r) || narrow_is_gone(r))
			return r;
		if (len <= sector) {
			bad(off, len, r, ctx);
			continue;
		}
		uint64_t half = (len + sector - 1) / sector / 2 * sector;
		todo[n].off = off + half;
		todo[n++].len = len - half;
		todo[n].off = off;
		todo[n++].len = half;
	}
	return 0;
}

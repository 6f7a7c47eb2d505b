/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sectors: which parts of a file the device cannot give, and where on the disk they are. Asked for
 * once a file was unreadable twice. Internal to verify/.
 */
#ifndef VERIFY_SECTORS_H
#define VERIFY_SECTORS_H

#include <stdint.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "verify/image.h"

#define SECTORS_MAX 64 /* ranges that are kept; all are counted */

struct sector_range {
	uint64_t off, len; /* bytes of the file */
	uint64_t at;	   /* bytes from the start of the disk; SECTORS_NOWHERE: not known */
	int error;	   /* negative errno */
};

#define SECTORS_NOWHERE UINT64_MAX

struct sectors {
	char disk[256]; /* "" when it is not known */
	struct sector_range ranges[SECTORS_MAX];
	unsigned nr;
	uint64_t nr_all;    /* ranges */
	uint64_t bytes_all; /* of the file that cannot be read */
};

/*
 * Reads a regular file around the page cache, sector by sector where it fails. 0, and what was found; or
 * the errno of what prevented it (of open, or a device that has gone).
 */
int sectors_find(const struct dir *dir, const char *name, struct sectors *ret_sectors) must_check;

/* "bytes 512-1023 at LBA 8216 of /dev/sda (EIO); ...": appends a part for each range, up to `max`. */
void sectors_add_text(struct buf *b, const struct sectors *sectors, unsigned max);

/* For state: "OFF LEN LBA ERROR" a range, separated by semicolons; LBA is - where it is not known. The
 * first word is the disk, - where it is not known. */
void sectors_add_record(struct buf *b, const struct sectors *sectors);

#endif

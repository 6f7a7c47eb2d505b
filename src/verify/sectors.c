/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Good parts are read a mebibyte at a time, so that a long file with one bad sector costs little
 * more than itself. Neighbouring bad sectors with one error are one range.
 */
#include "verify/sectors.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/fiemap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/dev.h"
#include "io/file.h"
#include "io/narrow.h"

#define PIECE (1u << 20) /* bytes */
#define LBA_SECTOR 512	 /* bytes: what kernels count in */

struct finding_out {
	struct file file;     /* on this host */
	struct source source; /* in an image */
	uint64_t size;	      /* bytes */
	uint8_t *buf;
	struct sectors *sectors;
	uint64_t bad_end; /* of the last range, which may not be among those that are kept */
	int bad_error;
};

static int on_read(uint64_t off, uint64_t len, void *ctx)
{
	struct finding_out *out = ctx;
	uint64_t n = 0;

	if (out->file.fd >= 0)
		return file_read(&out->file, off, out->buf, len, &n);
	return source_read(&out->source, off, out->buf, len, &n);
}

static void on_bad(uint64_t off, uint64_t len, int error, void *ctx)
{
	struct finding_out *out = ctx;
	struct sectors *sectors = out->sectors;

	len = min_of(len, out->size - min_of(off, out->size));
	if (len == 0)
		return;
	bool goes_on = sectors->nr_all && off == out->bad_end && error == out->bad_error;
	out->bad_end = off + len;
	out->bad_error = error;
	sectors->bytes_all += len;
	if (goes_on) {
		if (sectors->nr == sectors->nr_all)
			sectors->ranges[sectors->nr - 1].len += len;
		return;
	}
	sectors->nr_all++;
	if (sectors->nr < SECTORS_MAX)
		sectors->ranges[sectors->nr++] =
			(struct sector_range){ off, len, SECTORS_NOWHERE, error };
}

struct placing {
	struct sectors *sectors;
	uint64_t start; /* of the filesystem on its disk, bytes */
};

/* Places the ranges that begin in an extent. One that goes on in another is told by its beginning. */
static int on_extent(uint64_t logical, uint64_t physical, uint64_t len, uint32_t flags, void *ctx)
{
	struct placing *placing = ctx;

	if (flags & (FIEMAP_EXTENT_UNKNOWN | FIEMAP_EXTENT_ENCODED | FIEMAP_EXTENT_DATA_INLINE))
		return 0;
	for (unsigned i = 0; i < placing->sectors->nr; i++) {
		struct sector_range *range = &placing->sectors->ranges[i];
		if (range->off >= logical && range->off - logical < len)
			range->at = placing->start + physical + (range->off - logical);
	}
	return 0;
}

static void place(const struct file *file, struct sectors *sectors)
{
	struct placing placing = { .sectors = sectors };

	if (dev_find_disk(file->identity.dev, sectors->disk, sizeof(sectors->disk),
			  &placing.start)) {
		*sectors->disk = '\0'; /* a filesystem of several devices: places mean nothing */
		return;
	}
	if (dev_map_file(file->fd, on_extent, &placing))
		for (unsigned i = 0; i < sectors->nr; i++)
			sectors->ranges[i].at = SECTORS_NOWHERE;
}

static int read_all(struct finding_out *out, uint32_t sector)
{
	int r = 0;

	out->buf = aligned_alloc(FILE_ALIGN, PIECE);
	if (!out->buf)
		return -ENOMEM;
	for (uint64_t off = 0; r == 0 && off < out->size; off += PIECE) {
		uint64_t left = out->size - off;
		uint64_t len = min_of((left + sector - 1) / sector * sector, (uint64_t)PIECE);
		r = narrow(off, len, sector, on_read, on_bad, out);
	}
	free(out->buf);
	return r;
}

static int find_on_host(int dirfd, const char *name, struct finding_out *out)
{
	uint32_t sector = FILE_ALIGN;
	int r = file_open(&out->file, dirfd, name);

	if (r)
		return r;
	out->size = out->file.identity.size;
	/* Through the page cache whole pages fail. */
	if (!out->file.direct || dev_sector_size(out->file.fd, &sector))
		sector = FILE_ALIGN;
	r = read_all(out, sector);
	if (r == 0 && out->sectors->nr)
		place(&out->file, out->sectors);
	file_close(&out->file);
	return r;
}

static int on_image_extents(const struct ext4_inode *inode, int error, void *ctx)
{
	for (size_t i = 0; error == 0 && i < inode->nr_extents; i++)
		(void)on_extent(inode->extents[i].logical, inode->extents[i].physical,
				inode->extents[i].len, 0, ctx);
	return 0;
}

static int find_in_image(const struct dir *dir, const char *name, struct finding_out *out)
{
	const struct volume *volume = dir->image->volume;
	struct placing placing = { .sectors = out->sectors };
	struct file_identity identity;
	int r = dir_identify(dir, name, &identity);

	if (r == 0)
		r = dir_open_source(dir, name, &out->source);
	if (r)
		return r;
	out->size = identity.size;
	/* Of a file that is an image the place in it is told. */
	if (strncmp(volume->device, "/dev/", 5) != 0 ||
	    dev_find_disk(volume->disk_dev, out->sectors->disk, sizeof(out->sectors->disk),
			  &placing.start))
		(void)snprintf(out->sectors->disk, sizeof(out->sectors->disk), "%s",
			       volume->device);
	r = read_all(out, volume->sector);
	if (r == 0 && out->sectors->nr)
		r = ext4_read_inode(volume->fs, (uint32_t)identity.ino, on_image_extents, &placing);
	source_close(&out->source);
	return r;
}

int sectors_find(const struct dir *dir, const char *name, struct sectors *ret_sectors)
{
	struct finding_out out = { .file = FILE_NULL,
				   .source = SOURCE_NULL,
				   .sectors = ret_sectors };

	*ret_sectors = (struct sectors){ .nr = 0 };
	return dir->image ? find_in_image(dir, name, &out) : find_on_host(dir->fd, name, &out);
}

static void add_error_name(struct buf *b, int error)
{
	const char *name = strerrorname_np(-error);

	if (name)
		buf_add_str(b, name);
	else
		buf_addf(b, "%d", -error);
}

void sectors_add_text(struct buf *b, const struct sectors *sectors, unsigned max)
{
	for (unsigned i = 0; i < sectors->nr && i < max; i++) {
		const struct sector_range *range = &sectors->ranges[i];
		buf_addf(b, "%sbytes %" PRIu64 "-%" PRIu64, i ? "; " : "", range->off,
			 range->off + range->len - 1);
		if (range->at != SECTORS_NOWHERE)
			buf_addf(b, " at LBA %" PRIu64 " of %s", range->at / LBA_SECTOR,
				 *sectors->disk ? sectors->disk : "its disk");
		buf_add_str(b, " (");
		add_error_name(b, range->error);
		buf_add_char(b, ')');
	}
	if (sectors->nr_all > max)
		buf_addf(b, "; and %" PRIu64 " more", sectors->nr_all - max);
}

void sectors_add_record(struct buf *b, const struct sectors *sectors)
{
	buf_add_str(b, *sectors->disk ? sectors->disk : "-");
	for (unsigned i = 0; i < sectors->nr; i++) {
		const struct sector_range *range = &sectors->ranges[i];
		buf_addf(b, ";%" PRIu64 " %" PRIu64 " ", range->off, range->len);
		if (range->at == SECTORS_NOWHERE)
			buf_add_str(b, "- ");
		else
			buf_addf(b, "%" PRIu64 " ", range->at / LBA_SECTOR);
		add_error_name(b, range->error);
	}
}

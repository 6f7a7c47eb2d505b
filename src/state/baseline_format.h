/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bytes of a baseline, for who writes and who reads them; see docs/STATE.md. Everything is
 * little-endian and unaligned. Parsers are pure: they take spans and may be called from any thread.
 *
 * A file is a tree of three branches: the header refers to a root table of each, a root to leaf
 * tables, a leaf to chunks, and each reference has the checksum of what it refers to.
 */
#ifndef STATE_BASELINE_FORMAT_H
#define STATE_BASELINE_FORMAT_H

#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "base/span.h"
#include "state/baseline.h"

#define BASELINE_MAGIC "assaybln"

enum {
	BASELINE_VERSION = 1,
	BASELINE_HEADER_LEN = 244,
	BASELINE_HEADER_MAX = 4096, /* of any version */
	BASELINE_REF_LEN = 44,
	BASELINE_FANOUT = 4096,	     /* references in a table */
	BASELINE_CHUNK_SUMS = 16384, /* in a chunk */
	BASELINE_CHUNK_PATCHES = 16384,
	BASELINE_SUM_LEN = 12,
	BASELINE_PATCH_LEN = 24,
	BASELINE_CHUNK_MAX = 512 << 10, /* bytes of a chunk or a table, packed or not */
	BASELINE_PART_EXTENTS = 4096,	/* of one record of an owner */
	BASELINE_RAW_FULL = 128 << 10,	/* bytes of records after which a chunk is written */
};

enum baseline_branch {
	BASELINE_SUMS,
	BASELINE_OWNERS,
	BASELINE_PATCHES, /* sums that were replaced */
	BASELINE_BRANCHES_,
};

/* A reference to a root, a leaf or a chunk. Of a branch without content all is 0. */
struct baseline_ref {
	uint64_t off;	      /* bytes */
	uint64_t first, last; /* the keys that it holds: block or ino */
	uint64_t xxh3;	      /* of its bytes */
	uint32_t len;	      /* bytes in the file */
	uint32_t raw_len;     /* bytes unpacked; len where nothing is packed */
	uint32_t nr;	      /* references in a table; sums, records or patches in a chunk */
};

struct baseline_header {
	struct baseline_info info;
	uint64_t size; /* bytes of the whole file */
	struct baseline_ref roots[BASELINE_BRANCHES_];
};

void baseline_header_format(const struct baseline_header *header, uint8_t out[BASELINE_HEADER_LEN]);

/* `bytes` are the first of the file, at most BASELINE_HEADER_MAX. -EBADMSG, -EPROTONOSUPPORT. */
int baseline_header_parse(struct span bytes, struct baseline_header *ret_header) must_check;

/* Appends one reference to a table. */
void baseline_ref_format(const struct baseline_ref *ref, struct buf *out);

/*
 * The references of a table, whose own is `parent`, into `refs`, which holds BASELINE_FANOUT. What
 * they refer to lies from `low` on, each behind the one before, and before the table itself: no
 * byte of a file is referred to twice, so that to read all of it ends. -EBADMSG: out of bounds or
 * of order, or not what the parent says.
 */
int baseline_table_parse(struct span bytes, enum baseline_branch branch,
			 const struct baseline_ref *parent, uint64_t low,
			 const struct baseline_header *header,
			 struct baseline_ref *refs) must_check;

/* True where block size and number of blocks are such as there can be. */
bool baseline_info_is_sane(const struct baseline_info *info);

/* ---- integers ---- */

static inline uint32_t baseline_le32(const uint8_t *at)
{
	uint32_t v;

	memcpy(&v, at, sizeof(v));
	return le32toh(v);
}

static inline uint64_t baseline_le64(const uint8_t *at)
{
	uint64_t v;

	memcpy(&v, at, sizeof(v));
	return le64toh(v);
}

void baseline_add_le32(struct buf *out, uint32_t v);
void baseline_add_le64(struct buf *out, uint64_t v);

/* Seven bits a byte, the lowest first, the highest bit of each byte says that there are more. */
void baseline_add_varint(struct buf *out, uint64_t v);
/* The same for a difference, which wraps around: 0, -1, 1, -2, 2... */
void baseline_add_signed(struct buf *out, uint64_t difference);

/* Bytes that are taken from the front. What is not there is 0, and remembered. */
struct baseline_in {
	struct span left;
	bool bad;
};

uint32_t baseline_in_le32(struct baseline_in *in);
uint64_t baseline_in_le64(struct baseline_in *in);
uint64_t baseline_in_varint(struct baseline_in *in);
uint64_t baseline_in_signed(struct baseline_in *in);
struct span baseline_in_bytes(struct baseline_in *in, uint64_t len);

/* ---- records of owners ---- */

/* What a record is told against: that before it in the same chunk. */
struct baseline_record_base {
	uint32_t ino;
	int64_t ctime_ns;
	uint64_t physical; /* behind the last extent */
};

#define BASELINE_RECORD_BASE(ino_) ((struct baseline_record_base){ .ino = (uint32_t)(ino_) })

enum {
	BASELINE_RECORD_MORE = 1, /* its extents go on in the next record */
	BASELINE_RECORD_REST = 2, /* it goes on with the one before: nothing but extents */
	BASELINE_RECORD_BITS = 3,
};

/* Appends a record with `nr` (at most BASELINE_PART_EXTENTS) of the extents of an owner. */
void baseline_record_format(struct buf *out, struct baseline_record_base *base, unsigned bits,
			    const struct baseline_owner *owner,
			    const struct baseline_extent *extents, size_t nr);

struct baseline_record {
	unsigned bits;
	struct baseline_owner owner; /* its ino alone, if it goes on with another; no extents */
	struct baseline_extent extents[BASELINE_PART_EXTENTS];
	size_t nr_extents;
};

/* The next record. -EBADMSG. */
int baseline_record_parse(struct baseline_in *in, struct baseline_record_base *base,
			  uint64_t nr_blocks, struct baseline_record *ret_record) must_check;

/* Whether an extent of it can be: not empty, and inside of a filesystem of `nr_blocks`. */
bool baseline_extent_is_sane(const struct baseline_extent *e, uint64_t nr_blocks);

/* ---- files ---- */

#define BASELINE_NAME_SIZE 40 /* bytes of the name of a generation, with its NUL */
void baseline_name_format(uint64_t number, char out[BASELINE_NAME_SIZE]);

/*
 * The directory of a volume, made with all above it if `make`. A descriptor, or a negative errno.
 */
int baseline_dir_open(const char *dir, const uint8_t uuid[BASELINE_UUID_LEN], bool make) must_check;

/* The generations in it, ascending; the caller frees. -EFBIG: more than can be. */
int baseline_dir_numbers(int dirfd, uint64_t **ret_numbers, size_t *ret_nr) must_check;

#endif

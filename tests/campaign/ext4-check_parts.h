/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of the campaign over filesystems share: the images, and what of them can be damaged,
 * which libext2fs knows without the code under test.
 */
#ifndef TESTS_CAMPAIGN_EXT4_CHECK_PARTS_H
#define TESTS_CAMPAIGN_EXT4_CHECK_PARTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"

enum part {
	PART_SUPER,
	PART_DESC,
	PART_BITMAP,
	PART_INODES, /* a block of an inode table that holds one in use */
	PART_MAP,    /* extents or pointers */
	PART_DIR,
	PART_ATTR,
	PART_COUNT_,
};

struct place {
	uint64_t off;
	uint32_t len; /* bytes */
};

struct image {
	char path[512];
	bool has_csum;			   /* metadata_csum: every fault is told at its own place */
	uint32_t block_size;		   /* bytes */
	struct place *places[PART_COUNT_]; /* owned */
	size_t nr_places[PART_COUNT_], cap_places[PART_COUNT_];
};

struct image_kind {
	const char *name;
	const char *options; /* of mke2fs */
	const char *size;
	const char *after; /* a command of the shell for the image, in $1; NULL: none */
};

extern const struct image_kind image_kinds[];
extern const unsigned nr_image_kinds;

/* A tree of files to put into the images: `dir`/tree. A negative errno; -ENOEXEC: a command failed. */
int tree_make(const char *dir) must_check;

/* Makes the image below `dir` and finds its places. Release with image_fini. The same errors. */
int image_make(struct image *image, const struct image_kind *kind, const char *dir) must_check;
void image_fini(struct image *image);

/* The exit status of a command of the shell, with the places of e2fsprogs in its PATH; what it says goes
 * to `dir`/said. -1: it was killed. */
int run_command(const char *dir, const char *command, const char *argument) must_check;

#endif

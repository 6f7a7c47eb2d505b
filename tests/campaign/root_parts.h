/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of the campaign of root filesystems share: images of them, one fault in one block, and
 * what the witnesses say that a scan must find. A round goes
 *
 *	fault_draw()	damages one block of a class, in one way
 *	oracle_ask()	which witness covers the bytes that are damaged, and what must be said of them
 *	a scan
 *	root_image_restore()	image and state as they were
 *
 * The oracle reads the image with libext2fs and the list of packages with its own few lines: nothing of
 * what is under test, and only images that e2fsck calls clean. Everything follows from the seed.
 * One thread.
 *
 * Results: 0 or a negative errno, said on stderr. An errno means that the campaign could not do its
 * own work; it never says anything about the scan.
 */
#ifndef TESTS_CAMPAIGN_ROOT_PARTS_H
#define TESTS_CAMPAIGN_ROOT_PARTS_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"

/* What stands in a block, and so who can know of it. */
enum block_class {
	CLASS_SUPER,
	CLASS_SUPER_BACKUP,
	CLASS_DESC,
	CLASS_DESC_BACKUP,
	CLASS_RESERVED, /* for more descriptors: of the resize inode */
	CLASS_BLOCK_BITMAP,
	CLASS_INODE_BITMAP,
	CLASS_INODE,	  /* in use */
	CLASS_INODE_FREE, /* in the same tables */
	CLASS_MAP,
	CLASS_DIR,
	CLASS_ATTR,
	CLASS_SPECIAL, /* quota files, orphan file, MMP block */
	CLASS_JOURNAL,
	CLASS_PACKAGE,	 /* data of a file that a package has a digest of */
	CLASS_FILE,	 /* data of any other file, or of a long link */
	CLASS_UNWRITTEN, /* allocated to a file and never written */
	CLASS_REST,	 /* allocated, and nobody's: the rest of a cluster */
	CLASS_FREE,
	CLASS_COUNT_,
};

const char *class_name(enum block_class class);

/* ---- images ---- */

/* What can be damaged: a part of a block. */
struct piece {
	enum block_class class;
	uint64_t block;
	uint32_t from, to; /* bytes of the block where faults begin */
	uint32_t ino;	   /* whose; 0: the filesystem's */
	uint64_t file_off; /* bytes */
	uint64_t size;	   /* of the file */
	bool is_older;	   /* the first baseline has another content */
};

struct inode_info {
	char **paths; /* owned, absolute; of a path with unprintable names only "" */
	unsigned nr_paths;
	bool in_use;
	bool is_package;
	bool is_root_only; /* inodes of the filesystem that nothing reads */
	bool is_dir;
	bool is_indexed; /* a directory with a hash tree */
};

struct root_image {
	const char *kind;
	char dir[PATH_MAX / 2]; /* of all its files */
	char path[PATH_MAX];	/* what is scanned */
	char state[PATH_MAX];	/* of the scans */
	const uint8_t *clean;	/* mapped */
	const uint8_t *older;	/* as the first baseline had it */
	uint64_t size;
	uint32_t unit;	    /* bytes of a block */
	bool has_csum;	    /* metadata_csum */
	bool has_desc_csum; /* of group descriptors at least */
	uint32_t inode_size, desc_size, nr_groups, inodes_per_group;
	uint64_t *tables;   /* first block of the inode table, a group each; owned */
	uint64_t *bitmaps;  /* likewise */
	uint64_t *ibitmaps; /* likewise */
	uint8_t *uninit;    /* bit 0: block bitmap, bit 1: inode bitmap was never written */
	uint32_t bitmap_len, ibitmap_len; /* bytes that have a meaning */
	struct inode_info *inodes;	  /* by number; owned */
	uint32_t nr_inodes, orphan_ino;
	struct piece *pieces; /* in the order of classes; owned */
	size_t nr_pieces, cap_pieces;
	size_t first[CLASS_COUNT_ + 1]; /* of a class */
};

/* The kinds of images there are. NULL behind the last. */
extern const char *const root_image_kinds[];

/*
 * Makes an image of a kind in `dir`/KIND, changed once, from the tree `dir`/tree. `scan` makes the
 * baselines, before and after the change. IMAGE_NONE: this machine cannot make it.
 */
enum { IMAGE_NONE = 1 };
int root_image_make(struct root_image *image, const char *dir, const char *kind,
		    int (*scan)(struct root_image *image, void *ctx), void *ctx) must_check;
void root_image_fini(struct root_image *image); /* may be called twice */

int root_image_write(const struct root_image *image, uint64_t block,
		     const uint8_t *bytes) must_check;
int root_image_restore(const struct root_image *image,
		       uint64_t block) must_check; /* state as well */
/* Does e2fsck say that it is damaged? */
bool root_image_is_doubted(const struct root_image *image);

/* The tree of all images. */
int tree_make(const char *dir) must_check;

/* Runs a command of the shell; -EIO when its status is not 0. */
int shell(const char *fmt, ...) printf_like(1, 2) must_check;

/* Finds everything in image->path: fills all from `unit` on but the contents. */
int oracle_open(struct root_image *image, const char *tree) must_check;
void oracle_fini(struct root_image *image);

/* ---- faults ---- */

enum fault_kind {
	FAULT_SINGLE_BIT,
	FAULT_LANE,
	FAULT_ZEROED,
	FAULT_REPEATED,
	FAULT_SHIFTED,
	FAULT_TORN_512,
	FAULT_TORN_4096,
	FAULT_MISDIRECTED,
	FAULT_LOST_WRITE,
	FAULT_RANDOM,
	FAULT_KIND_COUNT_,
};

const char *fault_name(enum fault_kind kind); /* as fingerprints are named */

struct fault_done {
	enum fault_kind kind;
	const struct piece *piece; /* borrowed */
	const uint8_t *before;	   /* borrowed */
	uint8_t *after;		   /* owned */
	uint32_t first, last;	   /* bytes that differ */
};

/* Damages a block of the class. -EAGAIN: it cannot be damaged so. */
int fault_draw(struct fault_done *fault, const struct root_image *image, enum block_class class,
	       enum fault_kind kind, uint64_t *random) must_check;
void fault_fini(struct fault_done *fault);

/* Does a byte of these of the block differ? */
bool fault_hits(const struct fault_done *fault, uint64_t from, uint64_t to);

/*
 * A bit for each kind that is true of the bytes, whatever was meant: what changed in a block can be
 * what two kinds of damage make. *ret_is_unsure: some eighth that changed has the same four bits
 * in the baseline, by chance, so that shapes are not all seen; or bytes were lost when it was shifted,
 * so that nothing can prove it.
 */
unsigned fault_kinds_true(const struct fault_done *fault, const struct root_image *image,
			  bool *ret_is_unsure);

/* ---- what must be found ---- */

enum { EXPECTED_MAX = 300 };

struct expected {
	const char *code;
	uint32_t ino;	/* 0: none */
	bool has_block; /* it must name the block */
	bool is_found;
};

struct oracle {
	struct expected expected[EXPECTED_MAX];
	unsigned nr;	     /* 0: no witness covers what is damaged */
	const char *why;     /* none does */
	bool may_be_refused; /* that it is not scanned is an answer */
	bool is_not_judged;  /* though e2fsck does: docs/ARCHITECTURE.md says so */
};

void oracle_ask(struct oracle *oracle, const struct root_image *image,
		const struct fault_done *fault);

/* Are bytes of this inode damaged? */
bool oracle_hits_inode(const struct root_image *image, const struct fault_done *fault,
		       uint32_t ino);

/* ---- legitimate changes ---- */

struct change {
	const char *name;
	const char *script; /* of sh, run in the root of the mounted filesystem; NULL: see `fn` */
	int (*fn)(void);    /* run there as well; 0, negative errno, or CHANGE_NONE: not possible */
	bool needs_extents;
};

enum { CHANGE_NONE = 1 };
extern const struct change changes[]; /* `name` is NULL behind the last */

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of a check share, and nobody else sees.
 */
#ifndef FORMAT_EXT4_EXT4_CHECK_PARTS_H
#define FORMAT_EXT4_EXT4_CHECK_PARTS_H

#include "format/ext4/ext4_check.h"
#include "format/ext4/ext4_fs.h"

struct check_dir_block {
	uint64_t block;
	uint32_t ino;
	uint32_t csum_seed;
	uint32_t logical; /* block of the directory */
	bool encrypted;	  /* names may be any bytes */
	bool is_inline;	  /* it stands in its inode, which lies in that block */
};

struct check_attr_block {
	uint64_t block;
	uint32_t ino; /* one that uses it */
	uint32_t nr;  /* how many use it */
};

struct check_dir {
	uint32_t ino;
	uint32_t named_by; /* the directory that has an entry for it; 0: none */
	uint32_t parent;   /* as its own `..` says; 0: not known */
	bool safe;	   /* it leads to the root */
};

struct check {
	struct ext4 *fs;
	const struct ext4_check_options *options;
	const struct ext4_check_events *events;
	struct ext4_check_stats *stats;
	uint32_t first_ino;	/* the first that is not reserved */
	uint32_t orphan_ino;	/* of the file of orphans; 0: there is none */
	uint32_t hidden_ino[3]; /* of quota files */
	uint8_t *block;		/* room for one */
	uint8_t *inode_bitmap;	/* of the group, where it is known to be right */
	bool has_inode_bitmap;

	uint32_t group;		  /* that is gone through */
	uint64_t table;		  /* bytes: its inode table */
	uint64_t bad_table_block; /* of which was told that it cannot be read */
	int result;		  /* of a callback that ended the check, or EXT4_CHECK_STOPPED */
	uint32_t told_ino;	  /* the last of whose map something was told */
	uint64_t nr_nodes;	  /* blocks of maps that were read, good or bad */
	uint64_t nr_blocks;	  /* that the inode under work has, map and attributes included */
	uint64_t end;		  /* blocks: behind the last one of its file that was written */

	struct check_dir_block *dir_blocks;
	size_t nr_dir_blocks, cap_dir_blocks;
	struct check_attr_block *attrs;
	size_t nr_attrs, cap_attrs;

	/* The books; NULL where they are not balanced. */
	uint8_t *used;	   /* a bit a block */
	uint64_t nr_taken; /* blocks, each as often as somebody has it */
	uint16_t *links; /* an inode: 3 bits of its type, 13 of links that no entry was seen for */
	struct check_dir *dirs;
	size_t nr_dirs, cap_dirs;
	uint32_t *group_dirs; /* directories in each group */
	uint64_t nr_free_clusters, nr_free_inodes;
};

/* Tells of a problem; the place is made from what is known of the object. */
int check_tell(struct check *check, enum ext4_object object, uint64_t off, uint32_t len,
	       uint32_t ino, int error, const char *what) must_check;
int check_tell_block(struct check *check, enum ext4_object object, uint64_t block, uint32_t ino,
		     int error, const char *what) must_check;

/* Of an inode that is not in use and should be; it must be one of the filesystem. */
int check_tell_lost(struct check *check, uint32_t ino, const char *what) must_check;

static inline bool check_is_stopped(const struct check *check)
{
	return check->options->stop && *check->options->stop;
}

/* Room for one more of an array, up to EXT4_CHECK_BLOCKS_MAX: -EFBIG. */
int check_grow(void *array_of_pointer, size_t nr, size_t *cap, size_t size) must_check;

/* ext4_check_super.c: superblocks, MMP. */
int check_supers(struct check *check) must_check;

/* ext4_check_resize.c: the room for more descriptors. */
int check_resize(struct check *check) must_check;

/* ext4_check_inode.c: all inodes of a group. */
int check_inodes(struct check *check, uint32_t group) must_check;
/* The filesystem's own, which no name leads to. */
bool check_is_hidden(const struct check *check, uint32_t ino);

/* ext4_check_dir.c */
int check_dir_blocks(struct check *check) must_check;

/* ext4_check_tree.c: needs the directories of the books. */
int check_trees(struct check *check) must_check;

/* ext4_check_attr.c: in the inode's tail, and in blocks of their own. */
int check_attrs_in_inode(struct check *check, struct ext4_work *work,
			 uint64_t inode_off) must_check;
int check_attr_blocks(struct check *check) must_check;

/* ext4_check_books.c */
enum { BOOKS_LINKS_MAX = 0x1fff, BOOKS_LINKS_ANY = BOOKS_LINKS_MAX, BOOKS_TYPE_SHIFT = 13 };
int books_begin(struct check *check) must_check;
/* Blocks that `ino` has (0: the filesystem). `shared`: it is no matter who else has them. */
int books_take(struct check *check, uint64_t block, uint64_t nr, uint32_t ino,
	       bool shared) must_check;
int books_add_inode(struct check *check, const struct ext4_work *work) must_check;
/* Inodes of which something was told: in use or not, of any type, with any number of links. */
void books_add_damaged(struct check *check, uint32_t first, uint32_t nr);
int books_add_entry(struct check *check, uint32_t dir, struct span name, uint32_t ino,
		    unsigned type, uint64_t block) must_check;
int books_end(struct check *check) must_check;
void books_fini(struct check *check);

#endif

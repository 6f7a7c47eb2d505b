/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The layout of a jbd2 journal, and what the files that read one share. All numbers on the disk are
 * big-endian. Sources: see ext4_journal.h.
 */
#ifndef FORMAT_EXT4_EXT4_JBD2_H
#define FORMAT_EXT4_EXT4_JBD2_H

#include "format/ext4/ext4_fs.h"
#include "format/ext4/ext4_journal.h"

/* Every block that is no data begins with magic, type and sequence. */
#define JBD2_MAGIC UINT32_C(0xc03b3998)
#define JBD2_HEAD_LEN 12
enum jbd2_type {
	JBD2_NONE,
	JBD2_DESCRIPTOR,
	JBD2_COMMIT,
	JBD2_SUPER_V1,
	JBD2_SUPER_V2,
	JBD2_REVOKE,
};

/* The superblock: bytes 0x0c to 0x23 in both versions, the rest in the second. */
#define JBD2_SUPER_LEN 1024
#define JBD2_SUPER_CHECKSUM 0xfc
#define JBD2_SUM_CRC32C 4 /* the only kind of checksum in use */

#define JBD2_INCOMPAT_64BIT 0x02u
#define JBD2_INCOMPAT_CSUM_V2 0x08u
#define JBD2_INCOMPAT_CSUM_V3 0x10u
#define JBD2_INCOMPAT_FAST_COMMIT 0x20u
#define JBD2_INCOMPAT_SUMS (JBD2_INCOMPAT_CSUM_V2 | JBD2_INCOMPAT_CSUM_V3)
#define JBD2_INCOMPAT_KNOWN 0x3fu /* and revocations 0x01, asynchronous commits 0x04 */

/* Flags of a tag. One that has not the UUID of the tag before it has its own behind it. */
#define JBD2_TAG_ESCAPED 1u
#define JBD2_TAG_SAME_UUID 2u
#define JBD2_TAG_LAST 8u
#define JBD2_UUID_LEN 16

#define JBD2_REVOKE_HEAD_LEN 16	  /* bytes: the head, and the bytes in use */
#define JBD2_COMMIT_CHECKSUM 0x10 /* in a commit block; in others it is the last word */
#define JBD2_COMMIT_SECONDS 0x30
#define JBD2_CHECKSUM_LEN 4

/*
 * The area of fast commits lies behind the log, which a kernel continues at its beginning where that
 * area begins (e2fsprogs 1.47.0 does not). Its tags are little-endian, unlike all else.
 */
#define JBD2_FAST_DEFAULT 256 /* blocks, where the superblock says 0 */
#define JBD2_LOG_MIN 1024     /* blocks that the log must keep for there to be such an area */
#define JBD2_FAST_HEAD 9 /* the tag of the first block: u16 tag, u16 len, u32 features, u32 tid */

struct jbd2_super {
	uint32_t maxlen;	  /* blocks */
	uint32_t first, last;	  /* the log lies in blocks [first, last) */
	uint32_t sequence, start; /* start 0: no log */
	uint32_t incompat;
	uint32_t seed;	 /* of the checksums */
	bool sums_wrong; /* its own */
};

/*
 * A block that was written, or revoked, by a transaction. `pos` counts blocks of the log from its
 * beginning, `nr` transactions; unlike numbers of blocks and sequences they do not wrap around.
 */
struct jbd2_entry {
	uint64_t fs_block;
	uint32_t pos;
	uint32_t nr;
	uint32_t sum; /* of the bytes as they stand in the journal */
	bool escaped;
};

/* Entries of committed transactions first, then those of the one that is being read. */
struct jbd2_list {
	struct jbd2_entry *entries; /* owned */
	size_t nr, nr_committed, cap;
};

#define JBD2_LIST_NULL ((struct jbd2_list){ NULL, 0, 0, 0 })

struct ext4_journal {
	struct ext4 *fs; /* borrowed */
	uint32_t block_size;
	uint64_t nr_source;	      /* blocks that the source has: an image may have grown */
	struct ext4_extent *extents;  /* owned: the journal, ascending in it, without a hole */
	struct ext4_extent *by_place; /* owned: the same, ascending in the filesystem */
	size_t nr_extents;
	uint64_t nr_mapped; /* blocks */
	struct jbd2_super super;
	struct jbd2_list newest;  /* ascending when the log has been read, one a block */
	struct jbd2_list revoked; /* empty then */
	struct ext4_journal_problem *problems; /* owned */
	size_t nr_problems, cap_problems;
	struct ext4_journal_info info;
	uint8_t *raw; /* owned: a block, for ext4_journal_read */
};

static inline uint16_t be16_at(const uint8_t *bytes)
{
	return (uint16_t)(bytes[0] << 8 | bytes[1]);
}

static inline uint32_t be32_at(const uint8_t *bytes)
{
	return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 |
	       (uint32_t)bytes[3];
}

static inline uint64_t be64_at(const uint8_t *bytes)
{
	return (uint64_t)be32_at(bytes) << 32 | be32_at(bytes + 4);
}

static inline void put_be32(uint8_t *bytes, uint32_t value)
{
	value = htobe32(value);
	memcpy(bytes, &value, sizeof(value));
}

static inline bool jbd2_has_sums(const struct ext4_journal *j)
{
	return j->super.incompat & JBD2_INCOMPAT_SUMS;
}

/* The block of the journal at `pos` of the log, which is below the length of the log. */
static inline uint32_t jbd2_block_at(const struct ext4_journal *j, uint32_t pos)
{
	uint32_t room = j->super.last - j->super.start;

	return pos < room ? j->super.start + pos : j->super.first + (pos - room);
}

/* ext4_journal_super.c */
/* Finds the journal, and fills extents and super. Errors as ext4_journal_open. */
int jbd2_locate(struct ext4_journal *j) must_check;
/* Reads super anew. */
int jbd2_super_read(struct ext4_journal *j, struct jbd2_super *ret_super) must_check;
/* Where a block of the journal lies, bytes; it is below nr_mapped. */
uint64_t jbd2_physical(const struct ext4_journal *j, uint32_t block);
int jbd2_read_block(struct ext4_journal *j, uint32_t block, uint8_t *buf) must_check;
/* A block of the filesystem is one of the journal. */
bool jbd2_is_own(const struct ext4_journal *j, uint64_t fs_block);

/* ext4_journal_log.c: reads the whole log into newest, revoked, problems and info. */
int jbd2_log_read(struct ext4_journal *j) must_check;

/* ext4_journal_sum.c */
uint32_t jbd2_data_sum(const struct ext4_journal *j, uint32_t sequence, const uint8_t *data);
/* `block` is changed and put back. True where the journal has no checksums. */
bool jbd2_block_sum_is_right(const struct ext4_journal *j, uint8_t *block, enum jbd2_type type);
/* What `block` would be with the right head for `sequence`, by its checksum. */
enum jbd2_type jbd2_guess_type(const struct ext4_journal *j, uint8_t *block, uint32_t sequence);

/* ext4_journal_list.c */
void jbd2_list_fini(struct jbd2_list *list);
/* -EFBIG beyond EXT4_JOURNAL_BLOCKS_MAX different blocks; -ENOMEM. */
int jbd2_list_add(struct jbd2_list *list, const struct jbd2_entry *entry) must_check;
void jbd2_list_commit(struct jbd2_list *list);
void jbd2_list_abort(struct jbd2_list *list);
/* Sorts what is committed by block and leaves the newest of each; drops transactions below `nr`. */
void jbd2_list_settle(struct jbd2_list *list, uint32_t nr);
/* Both settled: drops from `list` what is revoked, and tells how much that was. */
uint64_t jbd2_list_revoke(struct jbd2_list *list, const struct jbd2_list *revoked);
/* Of a settled list: the first entry at or behind the block; list->nr where there is none. */
size_t jbd2_list_find(const struct jbd2_list *list, uint64_t fs_block);

#endif

// SPDX-License-Identifier: Apache-2.0
/*
 * Where the journal lies, and its superblock. A journal is a file of the filesystem; the map of its
 * inode is kept a second time in the superblock of the filesystem, for when the inode is damaged. One
 * that has a hole, or is shorter than it says, is none.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "format/ext4/ext4_jbd2.h"

#define TREE_MAGIC 0xf30a
#define BACKUP_WORDS 15 /* of i_block; then the size, its upper half first */

uint64_t jbd2_physical(const struct ext4_journal *j, uint32_t block)
{
	uint64_t off = (uint64_t)block * j->block_size;
	size_t low = 0, high = j->nr_extents;

	while (high - low > 1) {
		size_t mid = low + (high - low) / 2;
		if (j->extents[mid].logical <= off)
			low = mid;
		else
			high = mid;
	}
	return j->extents[low].physical + (off - j->extents[low].logical);
}

int jbd2_read_block(struct ext4_journal *j, uint32_t block, uint8_t *buf)
{
	return ext4_read_block(j->fs, jbd2_physical(j, block) / j->block_size, buf);
}

bool jbd2_is_own(const struct ext4_journal *j, uint64_t fs_block)
{
	uint64_t off = fs_block * j->block_size;
	size_t low = 0, high = j->nr_extents;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		if (j->by_place[mid].physical + j->by_place[mid].len <= off)
			low = mid + 1;
		else
			high = mid;
	}
	return low < j->nr_extents && j->by_place[low].physical <= off;
}

/* ---- the superblock ---- */

static uint32_t super_sum(uint8_t *raw)
{
	uint32_t stored = be32_at(raw + JBD2_SUPER_CHECKSUM);

	put_be32(raw + JBD2_SUPER_CHECKSUM, 0);
	uint32_t sum = ext2fs_crc32c_le(UINT32_MAX, raw, JBD2_SUPER_LEN);
	put_be32(raw + JBD2_SUPER_CHECKSUM, stored);
	return sum;
}

/* One that has no checksum, but would be right with the flag of one: the flag was lost. */
static bool super_lost_its_flag(uint8_t *raw, uint32_t incompat)
{
	static const uint32_t flags[] = { JBD2_INCOMPAT_CSUM_V2, JBD2_INCOMPAT_CSUM_V3 };
	bool lost = false;

	for (size_t i = 0; i < array_size(flags) && !lost; i++) {
		put_be32(raw + 0x28, incompat | flags[i]);
		lost = super_sum(raw) == be32_at(raw + JBD2_SUPER_CHECKSUM);
	}
	put_be32(raw + 0x28, incompat);
	return lost;
}

static int super_parse_features(uint8_t *raw, struct jbd2_super *s)
{
	uint32_t stored = be32_at(raw + JBD2_SUPER_CHECKSUM);
	uint8_t checksum_type = raw[0x50];

	s->incompat = be32_at(raw + 0x28);
	s->seed = ext2fs_crc32c_le(UINT32_MAX, raw + 0x30, JBD2_UUID_LEN);
	uint32_t sums = s->incompat & JBD2_INCOMPAT_SUMS;
	if (sums)
		s->sums_wrong = super_sum(raw) != stored;
	else
		s->sums_wrong = stored && super_lost_its_flag(raw, s->incompat);
	if (s->sums_wrong)
		return 0;
	if (sums == JBD2_INCOMPAT_SUMS)
		return -EBADMSG;
	if (s->incompat & ~JBD2_INCOMPAT_KNOWN || be32_at(raw + 0x2c) != 0 ||
	    (sums && checksum_type != JBD2_SUM_CRC32C))
		return -EPROTONOSUPPORT;
	if (s->incompat & JBD2_INCOMPAT_FAST_COMMIT) {
		uint32_t nr = be32_at(raw + 0x54);
		nr = nr ? nr : JBD2_FAST_DEFAULT;
		if (nr < s->maxlen && s->maxlen - nr >= JBD2_LOG_MIN)
			s->last = s->maxlen - nr;
	}
	return 0;
}

static int super_parse(const struct ext4_journal *j, uint8_t *raw, struct jbd2_super *s)
{
	uint32_t type = be32_at(raw + 4);

	*s = (struct jbd2_super){
		.maxlen = be32_at(raw + 0x10),
		.first = be32_at(raw + 0x14),
		.sequence = be32_at(raw + 0x18),
		.start = be32_at(raw + 0x1c),
	};
	s->last = s->maxlen;
	if (be32_at(raw) != JBD2_MAGIC || (type != JBD2_SUPER_V1 && type != JBD2_SUPER_V2) ||
	    be32_at(raw + 0xc) != j->block_size)
		return -EBADMSG;
	int r = type == JBD2_SUPER_V2 ? super_parse_features(raw, s) : 0;
	if (r || s->sums_wrong)
		return r;
	return s->maxlen > j->nr_mapped || s->first == 0 || s->first >= s->last ||
			       (s->start && (s->start < s->first || s->start >= s->last))
		       ? -EBADMSG
		       : 0;
}

int jbd2_super_read(struct ext4_journal *j, struct jbd2_super *ret_super)
{
	int r = jbd2_read_block(j, 0, j->raw);

	return r ? r : super_parse(j, j->raw, ret_super);
}

/* ---- where it lies ---- */

static int compare_places(const void *left, const void *right)
{
	const struct ext4_extent *a = left, *b = right;

	return a->physical < b->physical ? -1 : a->physical > b->physical;
}

/* Takes the extents of the inode. -EBADMSG: they leave a hole, or lie in each other. */
static int take_extents(struct ext4_journal *j, struct ext4_work *work)
{
	uint64_t end = 0;

	free(take(j->extents));
	free(take(j->by_place));
	j->nr_extents = work->nr_extents;
	j->extents = take(work->extents);
	for (size_t i = 0; i < j->nr_extents; i++) {
		const struct ext4_extent *e = &j->extents[i];
		if (e->logical != end || e->unwritten)
			return -EBADMSG;
		end += e->len;
	}
	j->nr_mapped = end / j->block_size;
	if (j->nr_mapped == 0)
		return -EBADMSG;
	j->by_place = calloc(j->nr_extents, sizeof(*j->by_place));
	if (!j->by_place)
		return -ENOMEM;
	memcpy(j->by_place, j->extents, j->nr_extents * sizeof(*j->by_place));
	qsort(j->by_place, j->nr_extents, sizeof(*j->by_place), compare_places);
	for (size_t i = 1; i < j->nr_extents; i++)
		if (j->by_place[i].physical - j->by_place[i - 1].physical < j->by_place[i - 1].len)
			return -EBADMSG;
	return 0;
}

static int load_inode(struct ext4 *fs, struct ext4_work *work)
{
	int r = ext4_inode_load(fs, fs->lib->super->s_journal_inum, work);

	if (r == 0 && (!S_ISREG(work->inode.mode) || work->inode.content != EXT4_CONTENT_BLOCKS))
		r = -EBADMSG;
	return r == -ENOENT ? -EBADMSG : r;
}

/* Makes an inode of what the superblock keeps of it. */
static int load_backup(struct ext4 *fs, struct ext4_work *work)
{
	const struct ext2_super_block *super = fs->lib->super;

	if (super->s_jnl_backup_type != EXT3_JNL_BACKUP_BLOCKS)
		return -EBADMSG;
	work->owned_raw =
		calloc(1, max_of((size_t)fs->info.inode_size, sizeof(struct ext2_inode_large)));
	if (!work->owned_raw)
		return -ENOMEM;
	work->raw = work->owned_raw;
	for (size_t i = 0; i < BACKUP_WORDS; i++) {
		uint32_t word = htole32(super->s_jnl_blocks[i]);
		memcpy(work->raw + offsetof(struct ext2_inode, i_block) + i * sizeof(word), &word,
		       sizeof(word));
	}
	work->inode.ino = super->s_journal_inum;
	work->inode.size = (uint64_t)super->s_jnl_blocks[BACKUP_WORDS] << 32 |
			   super->s_jnl_blocks[BACKUP_WORDS + 1];
	if (work->inode.size > INT64_MAX)
		return -EBADMSG;
	if (le16_at(work->raw + offsetof(struct ext2_inode, i_block)) == TREE_MAGIC)
		work->flags = EXT4_EXTENTS_FL;
	work->csum_seed = ext4_inode_csum_seed(fs, work->inode.ino, 0);
	return ext4_map_read(fs, work);
}

static int locate_by(struct ext4_journal *j, int (*load)(struct ext4 *, struct ext4_work *))
{
	struct ext4_work work cleanup(ext4_work_fini) = EXT4_WORK_NULL;

	int r = load(j->fs, &work);
	if (r == 0)
		r = take_extents(j, &work);
	return r ? r : jbd2_super_read(j, &j->super);
}

int jbd2_locate(struct ext4_journal *j)
{
	if (!j->fs->info.has_journal)
		return -ENOENT;
	if (j->fs->info.external_journal)
		return -EOPNOTSUPP;
	int r = locate_by(j, load_inode);
	if (r == 0 || r == -ENOMEM || r == -EPROTONOSUPPORT)
		return r;
	int error = locate_by(j, load_backup);
	j->info.from_backup = error == 0;
	return error == 0 || error == -ENOMEM || error == -EPROTONOSUPPORT ? error : r;
}

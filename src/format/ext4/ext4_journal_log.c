// SPDX-License-Identifier: Apache-2.0
/*
 * One pass over the log: what a transaction writes and revokes is held back until its commit is
 * seen, and so is what is wrong with it. The pass takes no more steps than the log has blocks.
 *
 * Where the log ends a flipped bit may have ended it, or a block of a transaction that was
 * committed fails its checksum and cannot be followed. With checksums both can be told from a log
 * that merely ends: the block is right with another head; a commit of the same sequence stands
 * further on; the first block of the next transaction follows. Without them that is not tried: old
 * blocks may say anything.
 */
#include <errno.h>
#include <stdlib.h>

#include "format/ext4/ext4_jbd2.h"
#include "io/file.h"
#include "io/narrow.h"

/* How a step went, where it is no errno. */
enum {
	STEP_ON = 0,
	STEP_COMMITTED = 1,
	STEP_END = 2,	 /* the log ends here, as logs do */
	STEP_DAMAGE = 3, /* it ends here, and what is wrong with the transaction counts */
};

struct log {
	struct ext4_journal *j;
	uint8_t *block;	     /* a descriptor, revocation or commit */
	uint8_t *data;	     /* a block of data, or one that is only looked at */
	uint32_t len;	     /* blocks of the log */
	uint32_t pos;	     /* the next block */
	uint32_t nr;	     /* transactions so far */
	size_t nr_known;     /* problems of transactions before this one */
	uint64_t nr_counted; /* the same, those that were not kept too */
	bool verified;	     /* a block of this transaction has passed its checksum */
	uint64_t seconds;    /* when the transaction before was committed */
};

static uint32_t log_sequence(const struct log *log)
{
	return log->j->super.sequence + log->nr;
}

static int log_complain(struct log *log, enum ext4_journal_kind kind, uint32_t block,
			uint64_t fs_block)
{
	struct ext4_journal *j = log->j;

	j->info.nr_problems++;
	if (j->nr_problems == EXT4_JOURNAL_PROBLEMS_MAX)
		return 0;
	if (j->nr_problems == j->cap_problems) {
		size_t cap = max_of(j->cap_problems * 2, (size_t)16);
		struct ext4_journal_problem *problems =
			realloc(j->problems, cap * sizeof(*problems));
		if (!problems)
			return -ENOMEM;
		j->problems = problems;
		j->cap_problems = cap;
	}
	j->problems[j->nr_problems++] = (struct ext4_journal_problem){
		.kind = kind,
		.journal_block = block,
		.physical = jbd2_physical(j, block),
		.fs_block = fs_block,
		.sequence = block ? log_sequence(log) : 0,
	};
	return 0;
}

/* Complains, and says that the log ends by it. */
static int log_damage(struct log *log, enum ext4_journal_kind kind, uint32_t block)
{
	int r = log_complain(log, kind, block, 0);

	return r ? r : STEP_DAMAGE;
}

/* STEP_ON; STEP_DAMAGE: the disk refuses the block, of which it has been complained. */
static int log_read(struct log *log, uint32_t pos, uint8_t *buf, uint64_t fs_block)
{
	uint32_t block = jbd2_block_at(log->j, pos);
	int error = jbd2_read_block(log->j, block, buf);

	if (error == 0 || !file_error_is_media(error) || narrow_is_gone(error))
		return error;
	int r = log_complain(log, EXT4_JOURNAL_UNREADABLE, block, fs_block);
	return r ? r : STEP_DAMAGE;
}

static enum jbd2_type log_type(const uint8_t *block, uint32_t sequence)
{
	uint32_t type = be32_at(block + 4);

	if (be32_at(block) != JBD2_MAGIC || be32_at(block + 8) != sequence)
		return JBD2_NONE;
	return type == JBD2_DESCRIPTOR || type == JBD2_COMMIT || type == JBD2_REVOKE ? type
										     : JBD2_NONE;
}

static enum ext4_journal_kind kind_of(enum jbd2_type type)
{
	switch (type) {
	case JBD2_DESCRIPTOR:
		return EXT4_JOURNAL_DESCRIPTOR_CHECKSUM;
	case JBD2_REVOKE:
		return EXT4_JOURNAL_REVOKE_CHECKSUM;
	default:
		return EXT4_JOURNAL_COMMIT_CHECKSUM;
	}
}

/* ---- tags and data ---- */

struct tag {
	uint64_t fs_block;
	uint32_t flags;
	uint32_t sum;
	uint32_t sum_mask; /* its bits that are kept */
};

static uint32_t tag_len(const struct ext4_journal *j)
{
	if (j->super.incompat & JBD2_INCOMPAT_CSUM_V3)
		return 16;
	return 8 + (j->super.incompat & JBD2_INCOMPAT_64BIT ? 4u : 0u) +
	       (j->super.incompat & JBD2_INCOMPAT_CSUM_V2 ? 2u : 0u);
}

static struct tag tag_parse(const struct ext4_journal *j, const uint8_t *bytes)
{
	struct tag tag = { .fs_block = be32_at(bytes) };

	if (j->super.incompat & JBD2_INCOMPAT_CSUM_V3) {
		tag.flags = be32_at(bytes + 4);
		tag.sum = be32_at(bytes + 12);
		tag.sum_mask = UINT32_MAX;
	} else {
		tag.sum = be16_at(bytes + 4);
		tag.flags = be16_at(bytes + 6);
		tag.sum_mask = j->super.incompat & JBD2_INCOMPAT_CSUM_V2 ? UINT16_MAX : 0;
	}
	if (j->super.incompat & JBD2_INCOMPAT_64BIT)
		tag.fs_block |= (uint64_t)be32_at(bytes + 8) << 32;
	return tag;
}

/* The block of data at log->pos. */
static int log_data(struct log *log, const struct tag *tag)
{
	struct ext4_journal *j = log->j;
	uint32_t block = jbd2_block_at(j, log->pos);
	bool known = tag->fs_block >= j->fs->first_block && tag->fs_block < j->nr_source;

	if (!known || jbd2_is_own(j, tag->fs_block))
		return log_complain(log, EXT4_JOURNAL_STRUCTURE, block, tag->fs_block);
	int r = log_read(log, log->pos, log->data, tag->fs_block);
	if (r)
		return r == STEP_DAMAGE ? 0 : r;
	struct jbd2_entry entry = {
		.fs_block = tag->fs_block,
		.pos = log->pos,
		.nr = log->nr,
		.sum = jbd2_data_sum(j, log_sequence(log), log->data),
		.escaped = tag->flags & JBD2_TAG_ESCAPED,
	};
	if ((entry.sum ^ tag->sum) & tag->sum_mask)
		return log_complain(log, EXT4_JOURNAL_DATA_CHECKSUM, block, tag->fs_block);
	return jbd2_list_add(&j->newest, &entry);
}

/* The descriptor in log->block, at log->pos, and the data behind it. */
static int log_descriptor(struct log *log)
{
	uint32_t len = tag_len(log->j), at = JBD2_HEAD_LEN;
	uint32_t end = log->j->block_size - (jbd2_has_sums(log->j) ? JBD2_CHECKSUM_LEN : 0);

	log->pos++;
	while (at + len <= end) {
		struct tag tag = tag_parse(log->j, log->block + at);
		if (log->pos >= log->len)
			return STEP_END;
		int r = log_data(log, &tag);
		if (r)
			return r;
		log->pos++;
		at += len + (tag.flags & JBD2_TAG_SAME_UUID ? 0 : JBD2_UUID_LEN);
		if (tag.flags & JBD2_TAG_LAST)
			break;
	}
	return STEP_ON;
}

static int log_revocations(struct log *log)
{
	uint32_t len = log->j->super.incompat & JBD2_INCOMPAT_64BIT ? 8 : 4;
	uint32_t room = log->j->block_size - (jbd2_has_sums(log->j) ? JBD2_CHECKSUM_LEN : 0);
	uint32_t used = be32_at(log->block + JBD2_HEAD_LEN);
	struct jbd2_entry entry = { .pos = log->pos, .nr = log->nr };
	int r = 0;

	if (used < JBD2_REVOKE_HEAD_LEN || used > room)
		r = log_complain(log, EXT4_JOURNAL_STRUCTURE, jbd2_block_at(log->j, log->pos), 0);
	for (uint32_t at = JBD2_REVOKE_HEAD_LEN; at + len <= min_of(used, room) && r == 0;
	     at += len) {
		const uint8_t *bytes = log->block + at;
		entry.fs_block = len == 8 ? be64_at(bytes) : be32_at(bytes);
		r = jbd2_list_add(&log->j->revoked, &entry);
	}
	log->pos++;
	return r;
}

/* ---- the end of a transaction ---- */

/*
 * A block that was overwritten when the journal began a new life may have the right sequence, but
 * no right checksum, as a new journal has a new UUID; and it is older than the transaction before.
 */
static bool log_is_leftover(const struct log *log)
{
	return jbd2_has_sums(log->j) && !log->verified && log->nr > 0 &&
	       be64_at(log->block + JBD2_COMMIT_SECONDS) < log->seconds;
}

static int log_commit(struct log *log)
{
	struct ext4_journal *j = log->j;

	if (!jbd2_block_sum_is_right(j, log->block, JBD2_COMMIT)) {
		if (log_is_leftover(log))
			return STEP_END;
		return log_damage(log, EXT4_JOURNAL_COMMIT_CHECKSUM, jbd2_block_at(j, log->pos));
	}
	if (j->info.nr_problems > log->nr_counted)
		return STEP_DAMAGE;
	jbd2_list_commit(&j->newest);
	jbd2_list_commit(&j->revoked);
	log->seconds = be64_at(log->block + JBD2_COMMIT_SECONDS);
	log->pos++;
	log->nr++;
	return STEP_COMMITTED;
}

/* A block at log->pos cannot be trusted; it matters if its transaction was committed. */
static int log_seek_commit(struct log *log, enum jbd2_type type)
{
	uint32_t block = jbd2_block_at(log->j, log->pos);

	for (uint32_t pos = log->pos + 1; pos < log->len; pos++) {
		int r = jbd2_read_block(log->j, jbd2_block_at(log->j, pos), log->data);
		if (r && (!file_error_is_media(r) || narrow_is_gone(r)))
			return r;
		if (r == 0 && log_type(log->data, log_sequence(log)) == JBD2_COMMIT &&
		    jbd2_block_sum_is_right(log->j, log->data, JBD2_COMMIT))
			return log_damage(log, kind_of(type), block);
	}
	return STEP_END;
}

/*
 * The block at log->pos does not go on with the log: it is JBD2_NONE, or of a type whose checksum is
 * wrong.
 */
static int log_end(struct log *log, enum jbd2_type type)
{
	struct ext4_journal *j = log->j;
	uint32_t block = jbd2_block_at(j, log->pos);

	if (!jbd2_has_sums(j))
		return STEP_END;
	enum jbd2_type guess = jbd2_guess_type(j, log->block, log_sequence(log));
	if (guess == JBD2_COMMIT)
		return log_damage(log, EXT4_JOURNAL_COMMIT_CHECKSUM, block);
	if (guess != JBD2_NONE || type != JBD2_NONE)
		return log_seek_commit(log, guess != JBD2_NONE ? guess : type);
	if (log->pos + 1 >= log->len)
		return STEP_END;
	int r = jbd2_read_block(j, jbd2_block_at(j, log->pos + 1), log->data);
	if (r)
		return file_error_is_media(r) && !narrow_is_gone(r) ? STEP_END : r;
	type = log_type(log->data, log_sequence(log) + 1);
	if (type != JBD2_NONE && jbd2_block_sum_is_right(j, log->data, type))
		return log_damage(log, EXT4_JOURNAL_COMMIT_CHECKSUM, block);
	return STEP_END;
}

static int log_step(struct log *log)
{
	if (log->pos >= log->len)
		return STEP_END;
	int r = log_read(log, log->pos, log->block, 0);
	if (r)
		return r;
	enum jbd2_type type = log_type(log->block, log_sequence(log));
	if (type == JBD2_COMMIT)
		return log_commit(log);
	if (type == JBD2_NONE || !jbd2_block_sum_is_right(log->j, log->block, type))
		return log_end(log, type);
	log->verified = true;
	return type == JBD2_REVOKE ? log_revocations(log) : log_descriptor(log);
}

/* All transactions. 0, also where damage ends them. */
static int log_walk(struct log *log)
{
	struct ext4_journal *j = log->j;
	int r;

	do {
		log->verified = false;
		log->nr_known = j->nr_problems;
		log->nr_counted = j->info.nr_problems;
		do
			r = log_step(log);
		while (r == STEP_ON);
	} while (r == STEP_COMMITTED);
	if (r < 0)
		return r;
	if (r == STEP_END) {
		j->nr_problems = log->nr_known;
		j->info.nr_problems = log->nr_counted;
	}
	jbd2_list_abort(&j->newest);
	jbd2_list_abort(&j->revoked);
	return 0;
}

/* ---- behind the log ---- */

static int log_see_fast_commits(struct log *log)
{
	struct ext4_journal *j = log->j;

	/* The first block behind the log is not used. */
	if (j->super.last == j->super.maxlen || j->super.last + 1 >= j->super.maxlen)
		return 0;
	int r = jbd2_read_block(j, j->super.last + 1, log->data);
	if (r)
		return file_error_is_media(r) && !narrow_is_gone(r) ? 0 : r;
	j->info.has_fast_commits = le16_at(log->data) == JBD2_FAST_HEAD &&
				   le16_at(log->data + 2) == 8 &&
				   le32_at(log->data + 8) == log_sequence(log);
	return 0;
}

/*
 * Holds the beginning against what it is now. -EAGAIN: what was read may have been overwritten
 * meanwhile. Else *ret_nr is how many transactions have fallen behind it.
 */
static int log_recheck(struct log *log, uint32_t *ret_nr)
{
	struct ext4_journal *j = log->j;
	struct jbd2_super now;

	*ret_nr = 0;
	source_forget(j->fs->src);
	int r = jbd2_super_read(j, &now);
	if (r)
		return r == -EBADMSG || r == -EPROTONOSUPPORT ? -EAGAIN : r;
	if (now.sums_wrong)
		return -EAGAIN;
	if (now.start == j->super.start && now.sequence == j->super.sequence)
		return 0;
	uint32_t behind = now.sequence - j->super.sequence;
	if (now.start == 0 || behind > log->nr || j->info.nr_problems)
		return -EAGAIN;
	*ret_nr = behind;
	return 0;
}

int jbd2_log_read(struct ext4_journal *j)
{
	struct log log = { .j = j, .len = j->super.last - j->super.first };
	uint32_t nr;

	j->info.start_sequence = j->info.end_sequence = j->super.sequence;
	j->info.is_empty = j->super.start == 0 && !j->super.sums_wrong;
	j->info.has_checksums = jbd2_has_sums(j);
	j->info.nr_journal = j->super.maxlen;
	if (j->super.sums_wrong)
		return log_complain(&log, EXT4_JOURNAL_SUPER_CHECKSUM, 0, 0);
	if (j->super.start == 0)
		return 0;
	log.block = malloc((size_t)j->block_size * 2);
	if (!log.block)
		return -ENOMEM;
	log.data = log.block + j->block_size;
	int r = log_walk(&log);
	if (r == 0)
		r = log_see_fast_commits(&log);
	if (r == 0)
		r = log_recheck(&log, &nr);
	free(log.block);
	if (r)
		return r;
	jbd2_list_settle(&j->newest, nr);
	jbd2_list_settle(&j->revoked, nr);
	j->info.nr_revoked = jbd2_list_revoke(&j->newest, &j->revoked);
	j->info.nr_blocks = j->newest.nr;
	j->info.start_sequence += nr;
	j->info.end_sequence += log.nr;
	j->info.nr_transactions = log.nr - nr;
	jbd2_list_fini(&j->revoked);
	return 0;
}

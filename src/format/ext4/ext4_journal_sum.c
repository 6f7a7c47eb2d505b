// SPDX-License-Identifier: Apache-2.0
/*
 * Checksums of version 2 and 3: CRC-32C from a seed that is the CRC of the UUID of the journal. A
 * block holds its own, counted with that word zero; that of data counts the sequence first, and
 * stands in the tag.
 */
#include "format/ext4/ext4_jbd2.h"

uint32_t jbd2_data_sum(const struct ext4_journal *j, uint32_t sequence, const uint8_t *data)
{
	uint8_t word[4];

	put_be32(word, sequence);
	return ext2fs_crc32c_le(ext2fs_crc32c_le(j->super.seed, word, sizeof(word)), data,
				j->block_size);
}

bool jbd2_block_sum_is_right(const struct ext4_journal *j, uint8_t *block, enum jbd2_type type)
{
	uint8_t *word = block + (type == JBD2_COMMIT ? JBD2_COMMIT_CHECKSUM
						     : j->block_size - JBD2_CHECKSUM_LEN);
	uint32_t stored = be32_at(word);

	if (!jbd2_has_sums(j))
		return true;
	put_be32(word, 0);
	uint32_t sum = ext2fs_crc32c_le(j->super.seed, block, j->block_size);
	put_be32(word, stored);
	return sum == stored;
}

enum jbd2_type jbd2_guess_type(const struct ext4_journal *j, uint8_t *block, uint32_t sequence)
{
	static const enum jbd2_type types[] = { JBD2_DESCRIPTOR, JBD2_COMMIT, JBD2_REVOKE };
	uint8_t head[JBD2_HEAD_LEN];
	enum jbd2_type found = JBD2_NONE;

	if (!jbd2_has_sums(j))
		return JBD2_NONE;
	memcpy(head, block, sizeof(head));
	for (size_t i = 0; i < array_size(types) && found == JBD2_NONE; i++) {
		put_be32(block, JBD2_MAGIC);
		put_be32(block + 4, types[i]);
		put_be32(block + 8, sequence);
		if (jbd2_block_sum_is_right(j, block, types[i]))
			found = types[i];
	}
	memcpy(block, head, sizeof(head));
	return found;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Makes the checksums of an image of ext4 right, so that a fuzzer reaches what they guard: superblock,
 * descriptors of the first groups and the first inodes of group 0, of blocks of 1 KiB.
 */
#ifndef TESTS_FUZZ_EXT4_SUMS_H
#define TESTS_FUZZ_EXT4_SUMS_H

#include <ext2fs/ext2fs.h>
#include <stdint.h>
#include <string.h>

#define SUMS_INODES_MAX 256

static inline uint32_t crc(uint32_t seed, const void *bytes, size_t len)
{
	return ext2fs_crc32c_le(seed, bytes, len);
}

static inline void fix_descriptors(uint8_t *image, size_t size,
				   const struct ext2_super_block *super, uint32_t seed)
{
	size_t len = super->s_feature_incompat & EXT4_FEATURE_INCOMPAT_64BIT ? 64 : 32;
	static const uint16_t zero;

	for (uint32_t group = 0; group < 4 && 2048 + (group + 1) * len <= size; group++) {
		uint8_t *desc = image + 2048 + group * len;
		uint32_t sum = crc(seed, &group, sizeof(group));
		sum = crc(sum, desc, 30);
		sum = crc(sum, &zero, 2);
		sum = crc(sum, desc + 32, len - 32);
		desc[30] = (uint8_t)sum;
		desc[31] = (uint8_t)(sum >> 8);
	}
}

static inline void fix_inodes(uint8_t *image, size_t size, const struct ext2_super_block *super,
			      uint32_t seed)
{
	uint32_t table;
	uint64_t len = super->s_inode_size;

	memcpy(&table, image + 2048 + 8, sizeof(table));
	for (uint32_t ino = 1; ino <= SUMS_INODES_MAX; ino++) {
		uint64_t off = (uint64_t)table * 1024 + (ino - 1) * len;
		if (len < 128 || len > 1024 || len % 4 || off + len > size || off < 4096)
			return;
		struct ext2_inode_large *inode = (struct ext2_inode_large *)(image + off);
		if (inode->i_mode == 0)
			continue;
		bool has_high = len >= 160 && inode->i_extra_isize >= 4;
		inode->i_checksum_lo = 0;
		if (has_high)
			inode->i_checksum_hi = 0;
		uint32_t sum = crc(seed, &ino, sizeof(ino));
		sum = crc(sum, &inode->i_generation, sizeof(inode->i_generation));
		sum = crc(sum, inode, len);
		inode->i_checksum_lo = (uint16_t)sum;
		if (has_high)
			inode->i_checksum_hi = (uint16_t)(sum >> 16);
	}
}

static inline void fix_checksums(uint8_t *image, size_t size)
{
	struct ext2_super_block super;

	memcpy(&super, image + 1024, sizeof(super));
	super.s_magic = EXT2_SUPER_MAGIC;
	super.s_checksum = crc(UINT32_MAX, &super, offsetof(struct ext2_super_block, s_checksum));
	memcpy(image + 1024, &super, sizeof(super));
	uint32_t seed = super.s_feature_incompat & EXT4_FEATURE_INCOMPAT_CSUM_SEED
				? super.s_checksum_seed
				: crc(UINT32_MAX, super.s_uuid, sizeof(super.s_uuid));
	fix_descriptors(image, size, &super, seed);
	fix_inodes(image, size, &super, seed);
}

#endif

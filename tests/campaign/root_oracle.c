// SPDX-License-Identifier: Apache-2.0
/*
 * Which witness covers the bytes that a fault has changed. By the kernel's documentation of ext4: with
 * metadata_csum every structure has a CRC, over all of it but for the exceptions below. Data is known
 * by the baseline, of package files also by the package; so are directories that have no CRC.
 */
#include <string.h>

#include "campaign/root_parts.h"

static void expect(struct oracle *oracle, const char *code, uint32_t ino, bool has_block)
{
	if (oracle->nr < EXPECTED_MAX)
		oracle->expected[oracle->nr++] =
			(struct expected){ .code = code, .ino = ino, .has_block = has_block };
}

/* Does the piece hold what it held once, with the checksum that was right then? */
static bool is_once_right(const struct root_image *image, const struct fault_done *fault,
			  uint32_t from, uint32_t to)
{
	const uint8_t *older = image->older + fault->piece->block * image->unit;

	return memcmp(fault->after + from, older + from, to - from) == 0;
}

static const char once_right[] = "an older content with its own checksum";

static void not_covered(struct oracle *oracle, const char *why)
{
	oracle->why = why;
}

/* ---- one class each ---- */

/* In the first group that has one, where groups are as large as a bitmap can tell. */
static bool has_backup(const struct root_image *image)
{
	for (size_t i = image->first[CLASS_SUPER_BACKUP]; i < image->first[CLASS_SUPER_BACKUP + 1];
	     i++)
		if (image->pieces[i].block == image->unit * 8 + (image->unit == 1024))
			return true;
	return false;
}

static void ask_super(struct oracle *oracle, const struct root_image *image,
		      const struct fault_done *fault)
{
	const struct piece *piece = fault->piece;
	bool is_backup = piece->class == CLASS_SUPER_BACKUP;

	if (!image->has_csum)
		not_covered(oracle, "a superblock without a checksum");
	else if (is_once_right(image, fault, piece->from, piece->to))
		not_covered(oracle, once_right);
	else
		expect(oracle, is_backup ? "ext4.backup" : "ext4.metadata", 0, true);
	/* Without a backup where one is looked for, what cannot be understood is refused. */
	oracle->may_be_refused = !is_backup && !has_backup(image);
}

/* Each has a checksum of its own. */
static void ask_desc(struct oracle *oracle, const struct root_image *image,
		     const struct fault_done *fault)
{
	bool is_right = true;

	for (uint32_t off = 0; off < fault->piece->to; off += image->desc_size)
		is_right &= !fault_hits(fault, off, off + image->desc_size) ||
			    is_once_right(image, fault, off, off + image->desc_size);
	if (!image->has_desc_csum)
		not_covered(oracle, "descriptors without a checksum");
	else if (is_right)
		not_covered(oracle, once_right);
	else
		expect(oracle, "ext4.metadata", 0, true);
}

static void ask_bitmap(struct oracle *oracle, const struct root_image *image,
		       const struct fault_done *fault)
{
	bool is_inodes = fault->piece->class == CLASS_INODE_BITMAP;
	const uint64_t *places = is_inodes ? image->ibitmaps : image->bitmaps;
	uint32_t group = 0;

	while (places[group] != fault->piece->block)
		group++;
	if (!image->has_csum)
		not_covered(oracle, "a bitmap without a checksum");
	else if (image->uninit[group] & (is_inodes ? 2 : 1))
		not_covered(oracle, "of a group that was never used");
	else
		expect(oracle, "ext4.metadata", 0, true);
}

/* The number of the inode at a place of the table. */
static uint32_t inode_at(const struct root_image *image, uint64_t block, uint32_t off)
{
	for (uint32_t group = 0; group < image->nr_groups; group++) {
		uint64_t at = (block - image->tables[group]) * image->unit + off;
		if (block >= image->tables[group] &&
		    at < (uint64_t)image->inodes_per_group * image->inode_size)
			return group * image->inodes_per_group +
			       (uint32_t)(at / image->inode_size) + 1;
	}
	return 0;
}

bool oracle_hits_inode(const struct root_image *image, const struct fault_done *fault, uint32_t ino)
{
	if (fault->piece->class != CLASS_INODE && fault->piece->class != CLASS_INODE_FREE)
		return false;
	for (uint32_t off = 0; off < image->unit; off += image->inode_size)
		if (inode_at(image, fault->piece->block, off) == ino)
			return fault_hits(fault, off, off + image->inode_size);
	return false;
}

static void ask_inodes(struct oracle *oracle, const struct root_image *image,
		       const struct fault_done *fault)
{
	bool has_used = false, was_right = false;

	for (uint32_t off = 0; off < image->unit; off += image->inode_size) {
		uint32_t ino = inode_at(image, fault->piece->block, off);
		const struct inode_info *inode = &image->inodes[ino];
		if (!fault_hits(fault, off, off + image->inode_size) || !inode->in_use)
			continue;
		has_used |= !inode->is_root_only;
		bool is_right = is_once_right(image, fault, off, off + image->inode_size);
		was_right |= is_right && !inode->is_root_only;
		if (image->has_csum && !inode->is_root_only && !is_right)
			expect(oracle, "ext4.metadata", ino, true);
	}
	if (oracle->nr == 0)
		not_covered(oracle, image->has_csum && was_right ? once_right
				    : has_used			 ? "an inode without a checksum"
								 : "an inode that is not in use");
}

static uint16_t le16(const uint8_t *at)
{
	return (uint16_t)(at[0] | at[1] << 8);
}

/* A node of a hash tree has a CRC of its entries in use, and of nothing behind. */
static uint32_t covered_of_dir(const struct root_image *image, const struct fault_done *fault,
			       uint32_t *ret_tail)
{
	const uint8_t *before = fault->before;
	bool is_root = image->inodes[fault->piece->ino].is_indexed && fault->piece->file_off == 0;
	bool is_node = !is_root && image->inodes[fault->piece->ino].is_indexed &&
		       memcmp(before, "\0\0\0", 4) == 0 && le16(before + 4) == image->unit;
	uint32_t count_off = is_root ? 0x20 : 8;

	*ret_tail = 0;
	if (!is_root && !is_node)
		return image->unit;
	*ret_tail = count_off + le16(before + count_off) * 8u;
	return count_off + le16(before + count_off + 2) * 8u;
}

static void ask_dir(struct oracle *oracle, const struct root_image *image,
		    const struct fault_done *fault)
{
	uint32_t tail, covered = covered_of_dir(image, fault, &tail);

	if (!image->has_csum)
		expect(oracle, "block.digest", fault->piece->ino, true);
	else if (is_once_right(image, fault, 0, image->unit))
		not_covered(oracle, once_right);
	else if (fault_hits(fault, 0, covered) || (tail && fault_hits(fault, tail, tail + 8)))
		expect(oracle, "ext4.metadata", fault->piece->ino, true);
	else
		not_covered(oracle, "behind the entries of a hash tree");
}

static void ask_data(struct oracle *oracle, const struct fault_done *fault)
{
	const struct piece *piece = fault->piece;

	expect(oracle, "block.digest", piece->ino, true);
	if (piece->class == CLASS_PACKAGE && piece->file_off + fault->first < piece->size)
		expect(oracle, "package.digest", piece->ino, false);
}

void oracle_ask(struct oracle *oracle, const struct root_image *image,
		const struct fault_done *fault)
{
	*oracle = (struct oracle){ .nr = 0 };
	switch (fault->piece->class) {
	case CLASS_SUPER:
	case CLASS_SUPER_BACKUP:
		ask_super(oracle, image, fault);
		break;
	case CLASS_DESC:
		ask_desc(oracle, image, fault);
		break;
	case CLASS_BLOCK_BITMAP:
	case CLASS_INODE_BITMAP:
		ask_bitmap(oracle, image, fault);
		break;
	case CLASS_INODE:
	case CLASS_INODE_FREE:
		ask_inodes(oracle, image, fault);
		break;
	case CLASS_MAP:
	case CLASS_ATTR:
		if (image->has_csum && is_once_right(image, fault, 0, image->unit))
			not_covered(oracle, once_right);
		else if (image->has_csum)
			expect(oracle, "ext4.metadata", fault->piece->ino, true);
		else
			not_covered(oracle, fault->piece->class == CLASS_MAP
						    ? "a map without a checksum"
						    : "attributes without a checksum");
		break;
	case CLASS_DIR:
		ask_dir(oracle, image, fault);
		break;
	case CLASS_PACKAGE:
	case CLASS_FILE:
		ask_data(oracle, fault);
		break;
	case CLASS_DESC_BACKUP:
		not_covered(oracle, "a copy that only repairs read");
		break;
	case CLASS_RESERVED:
		not_covered(oracle, "room that is not used yet");
		break;
	case CLASS_SPECIAL:
		/* The MMP block has no owner; the file of orphans is judged. */
		oracle->is_not_judged = fault->piece->ino && fault->piece->ino != image->orphan_ino;
		not_covered(oracle, oracle->is_not_judged ? "quotas are not added up"
							  : "of the filesystem itself");
		break;
	case CLASS_JOURNAL:
		not_covered(oracle, "a journal with nothing to replay");
		break;
	case CLASS_UNWRITTEN:
	case CLASS_REST:
	case CLASS_FREE:
		oracle->why = "nobody's bytes: silence is right";
		break;
	case CLASS_COUNT_:
		break;
	}
}

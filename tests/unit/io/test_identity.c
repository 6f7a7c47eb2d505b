// SPDX-License-Identifier: Apache-2.0
/*
 * What a device or image is: filesystems by the programs that make them, where they are installed,
 * and signatures and partition tables written byte by byte.
 */
#include "suites.h"

#include <zlib.h>

#include "io/identity_room.h"
#include "support/disk.h"
#include "support/random.h"

/* ---- filesystems ---- */

static void tells_the_three_exts_with_uuid_and_label(void)
{
	static const char *const types[] = { "ext2", "ext3", "ext4" };
	struct room room;

	room_open(&room);
	for (size_t i = 0; i < array_size(types); i++) {
		char options[128], line[128];
		(void)snprintf(options, sizeof(options), "-q -F -t %s -U " UUID " -L 'a b'",
			       types[i]);
		if (!make_filesystem(&room, 8, "mke2fs", options))
			break;
		probe(&room);
		CU_ASSERT_EQUAL(room.identity.kind, IDENTITY_EXT);
		CU_ASSERT_STRING_EQUAL(room.identity.type, types[i]);
		CU_ASSERT_STRING_EQUAL(room.identity.uuid, UUID);
		CU_ASSERT_STRING_EQUAL(room.identity.label, "a b");
		CU_ASSERT_EQUAL(room.identity.size, 8 * MIB);
		CU_ASSERT_FALSE(room.identity.is_device);
		CU_ASSERT_FALSE(room.identity.bad_checksum);
		(void)snprintf(line, sizeof(line), "%s filesystem \"a b\", UUID " UUID ", 8.0 MiB",
			       types[i]);
		describes(&room.identity, line);
	}
	room_close(&room);
}

static void is_not_fooled_by_a_name_that_moves_the_cursor(void)
{
	struct room room;

	room_open(&room);
	if (make_filesystem(&room, 8, "mke2fs", "-q -F -t ext2 -U " UUID)) {
		put(&room, 1024 + 0x78, "\033[2J\xff", 6);
		probe(&room);
		CU_ASSERT_STRING_EQUAL(room.identity.label, "\033[2J\xff");
		describes(&room.identity,
			  "ext2 filesystem \"\\x1b[2J\\xff\", UUID " UUID ", 8.0 MiB");
	}
	room_close(&room);
}

static void tells_other_filesystems(void)
{
	static const struct {
		const char *program, *options, *type;
		unsigned mib;
	} rows[] = {
		{ "mkfs.xfs", "-q -f -m uuid=" UUID, "xfs", 320 },
		{ "mkfs.btrfs", "-q -f -U " UUID, "btrfs", 128 },
	};
	struct room room;

	room_open(&room);
	for (size_t i = 0; i < array_size(rows); i++) {
		if (!make_filesystem(&room, rows[i].mib, rows[i].program, rows[i].options))
			continue;
		probe(&room);
		CU_ASSERT_EQUAL(room.identity.kind, IDENTITY_FILESYSTEM);
		CU_ASSERT_STRING_EQUAL(room.identity.type, rows[i].type);
		CU_ASSERT_STRING_EQUAL(room.identity.uuid, UUID);
	}
	room_close(&room);
}

static void tells_swap_and_a_journal_from_filesystems(void)
{
	struct room room;

	room_open(&room);
	if (make_filesystem(&room, 1, "mkswap", "-q -U " UUID)) {
		probe(&room);
		CU_ASSERT_EQUAL(room.identity.kind, IDENTITY_OTHER);
		CU_ASSERT_STRING_EQUAL(room.identity.type, "swap");
		CU_ASSERT_STRING_EQUAL(room.identity.uuid, UUID);
		describes(&room.identity, "swap space: there are no files in it");
	}
	if (make_filesystem(&room, 8, "mke2fs", "-q -F -O journal_dev")) {
		probe(&room);
		CU_ASSERT_EQUAL(room.identity.kind, IDENTITY_OTHER);
		CU_ASSERT_STRING_EQUAL(room.identity.type, "jbd");
	}
	room_close(&room);
}

/* Whether that is noticed depends on the version of libblkid; that it is found does not. */
static void finds_an_ext_with_a_wrong_checksum(void)
{
	struct room room;

	room_open(&room);
	if (make_filesystem(&room, 8, "mke2fs", "-q -F -t ext4 -U " UUID)) {
		put(&room, 1024 + 0x78, "other", 5);
		probe(&room);
		CU_ASSERT_EQUAL(room.identity.kind, IDENTITY_EXT);
		CU_ASSERT_STRING_EQUAL(room.identity.uuid, UUID);
		CU_ASSERT_STRING_EQUAL(room.identity.label, "other");
	}
	room_close(&room);
}

/* ---- layers, byte by byte ---- */

static void put_luks(const struct room *room)
{
	put(room, 0, "LUKS\xba\xbe\0\1", 8);
	put(room, 168, UUID, sizeof(UUID));
}

/* The CRC of LVM: that of zlib with another start and nothing at the end. */
static uint32_t lvm_crc(const uint8_t *data, size_t len)
{
	uint32_t crc = 0xf597a6cf;

	for (size_t i = 0; i < len; i++) {
		crc ^= data[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
	}
	return crc;
}

static void put_lvm(const struct room *room)
{
	uint8_t label[512] = "LABELONE";

	label[8] = 1;	/* it stands in sector 1 */
	label[20] = 32; /* where the header of the volume begins */
	memcpy(label + 24, "LVM2 001", 8);
	memcpy(label + 32, "abcdefghijklmnopqrstuvwxyzABCDEF", 32);
	uint32_t crc = lvm_crc(label + 20, sizeof(label) - 20);
	memcpy(label + 16, &crc, 4);
	put(room, 512, label, sizeof(label));
}

/* Version 1.2: the superblock 4 KiB from the start. */
static void put_md(const struct room *room)
{
	uint8_t super[256] = { 0xfc, 0x4e, 0x2b, 0xa9, 1 };
	uint64_t sum = 0;

	memset(super + 16, 0x5a, 16); /* its UUID */
	super[144] = 8;		      /* where it stands, in sectors */
	for (size_t i = 0; i < sizeof(super); i += 4) {
		uint32_t word;
		memcpy(&word, super + i, 4);
		sum += word;
	}
	uint32_t folded = (uint32_t)((sum & UINT32_MAX) + (sum >> 32));
	memcpy(super + 216, &folded, 4);
	put(room, 4096, super, sizeof(super));
}

static void tells_layers_and_what_to_scan_instead(void)
{
	static const struct {
		void (*put)(const struct room *room);
		const char *type, *uuid, *line;
	} rows[] = {
		{ put_luks, "crypto_LUKS", UUID,
		  "LUKS container (crypto_LUKS): scan the device that appears when it is opened" },
		{ put_lvm, "LVM2_member", "abcdef-ghij-klmn-opqr-stuv-wxyz-ABCDEF",
		  "LVM physical volume (LVM2_member): scan the logical volumes in it" },
		{ put_md, "linux_raid_member", "5a5a5a5a-5a5a-5a5a-5a5a-5a5a5a5a5a5a",
		  "member of an md array (linux_raid_member): scan the array" },
	};
	struct room room;

	room_open(&room);
	for (size_t i = 0; i < array_size(rows); i++) {
		make_image(&room, 8 * MIB);
		rows[i].put(&room);
		probe(&room);
		CU_ASSERT_EQUAL(room.identity.kind, IDENTITY_LAYER);
		CU_ASSERT_STRING_EQUAL(room.identity.type, rows[i].type);
		CU_ASSERT_STRING_EQUAL(room.identity.uuid, rows[i].uuid);
		describes(&room.identity, rows[i].line);
	}
	room_close(&room);
}

static void says_that_the_checksum_of_a_superblock_is_wrong(void)
{
	struct room room;

	room_open(&room);
	make_image(&room, 8 * MIB);
	put_lvm(&room);
	probe(&room);
	CU_ASSERT_FALSE(room.identity.bad_checksum);
	put(&room, 512 + 40, "x", 1);
	probe(&room);
	CU_ASSERT_EQUAL(room.identity.kind, IDENTITY_LAYER);
	CU_ASSERT_TRUE(room.identity.bad_checksum);
	describes(&room.identity,
		  "LVM physical volume (LVM2_member): scan the logical volumes in it; the checksum "
		  "of its superblock is wrong");
	room_close(&room);
}

static void chooses_none_of_several_signatures(void)
{
	struct room room;
	uint8_t super[1024];

	room_open(&room);
	if (make_filesystem(&room, 8, "mke2fs", "-q -F -t ext4")) {
		get(&room, 1024, super, sizeof(super));
		if (make_filesystem(&room, 320, "mkfs.xfs", "-q -f")) {
			put(&room, 1024, super, sizeof(super));
			probe(&room);
			CU_ASSERT_EQUAL(room.identity.kind, IDENTITY_AMBIGUOUS);
			CU_ASSERT_STRING_EQUAL(room.identity.type, "");
			CU_ASSERT_STRING_EQUAL(room.identity.uuid, "");
			describes(&room.identity,
				  "several signatures (xfs, ext4): what it is cannot be told");
		}
	}
	room_close(&room);
}

/* ---- partition tables ---- */

static void lists_the_partitions_of_a_gpt(void)
{
	static const struct part parts[] = { { 2048, 4095, "EFI" },
					     { 4096, 8191, "root" },
					     { 8192, 8192, "\033[1m" } };
	struct room room;

	room_open(&room);
	make_image(&room, 8 * MIB);
	put_gpt(&room, 8 * MIB / 512, parts, 3);
	probe(&room);
	const struct identity *id = &room.identity;
	CU_ASSERT_EQUAL(id->kind, IDENTITY_PARTITIONED);
	CU_ASSERT_STRING_EQUAL(id->table, "gpt");
	CU_ASSERT_STRING_EQUAL(id->table_uuid, "22222222-2222-2222-2222-222222222222");
	CU_ASSERT_EQUAL_FATAL(id->nr_partitions, 3);
	CU_ASSERT_EQUAL(id->nr_named, 3);
	CU_ASSERT_EQUAL(id->partitions[1].number, 2);
	CU_ASSERT_EQUAL(id->partitions[1].start, 4096 * 512);
	CU_ASSERT_EQUAL(id->partitions[1].size, 4096 * 512);
	CU_ASSERT_TRUE(id->partitions[1].is_inside);
	CU_ASSERT_STRING_EQUAL(id->partitions[1].name, "root");
	CU_ASSERT_STRING_EQUAL(id->partitions[1].type, "11111111-1111-1111-1111-111111111111");
	CU_ASSERT_STRING_EQUAL(id->partitions[1].uuid, "02020202-0202-0202-0202-020202020202");
	describes(id, "a disk with a GPT of 3 partitions: name one of them (1 at byte 1048576 of "
		      "1.0 MiB \"EFI\", 2 at byte 2097152 of 2.0 MiB \"root\", 3 at byte 4194304 "
		      "of 512 B \"\\x1b[1m\")");
	room_close(&room);
}

static void shortens_the_line_of_many_partitions(void)
{
	struct part parts[128];
	struct room room;
	struct buf line = BUF_NULL;

	room_open(&room);
	make_image(&room, 8 * MIB);
	for (unsigned i = 0; i < 128; i++)
		parts[i] = (struct part){ 2048 + i * 8, 2048 + i * 8 + 7, "" };
	put_gpt(&room, 8 * MIB / 512, parts, 128);
	probe(&room);
	CU_ASSERT_EQUAL(room.identity.nr_partitions, 128);
	CU_ASSERT_EQUAL(room.identity.partitions[127].number, 128);
	identity_describe(&room.identity, &line);
	CU_ASSERT_PTR_NOT_NULL(strstr(buf_str(&line), "of 128 partitions: "));
	CU_ASSERT_PTR_NOT_NULL(strstr(buf_str(&line), " and 120 more)"));
	buf_fini(&line);
	room_close(&room);
}

static void lists_the_logical_partitions_of_a_dos_table(void)
{
	uint8_t sector[512] = { 0 };
	struct room room;

	room_open(&room);
	make_image(&room, 8 * MIB);
	sector[450] = 0x83;
	put_le(sector + 454, 2048, 4);
	put_le(sector + 458, 2048, 4);
	sector[466] = 0x05; /* extended */
	put_le(sector + 470, 4096, 4);
	put_le(sector + 474, 8192, 4);
	put_le(sector + 510, 0xaa55, 2);
	put(&room, 0, sector, sizeof(sector));
	memset(sector, 0, sizeof(sector));
	sector[450] = 0x83;
	put_le(sector + 454, 64, 4); /* from the start of this sector */
	put_le(sector + 458, 20000, 4);
	put_le(sector + 510, 0xaa55, 2);
	put(&room, 4096 * 512, sector, sizeof(sector));
	probe(&room);
	const struct identity *id = &room.identity;
	CU_ASSERT_EQUAL(id->kind, IDENTITY_PARTITIONED);
	CU_ASSERT_STRING_EQUAL(id->table, "dos");
	CU_ASSERT_EQUAL_FATAL(id->nr_partitions, 3);
	CU_ASSERT_STRING_EQUAL(id->partitions[0].type, "0x83");
	CU_ASSERT_TRUE(id->partitions[0].is_inside);
	CU_ASSERT_TRUE(id->partitions[1].is_extended);
	CU_ASSERT_EQUAL(id->partitions[2].number, 5);
	CU_ASSERT_EQUAL(id->partitions[2].start, (4096 + 64) * 512);
	CU_ASSERT_FALSE(id->partitions[2].is_inside);
	describes(id, "a disk with a dos partition table of 3 partitions: name one of them (1 at "
		      "byte 1048576 of 1.0 MiB, 5 at byte 2129920 of 9.8 MiB (not on this disk))");
	room_close(&room);
}

static void sees_a_filesystem_behind_the_boot_sector_of_a_loader(void)
{
	struct room room;

	room_open(&room);
	if (make_filesystem(&room, 8, "mke2fs", "-q -F -t ext4 -U " UUID)) {
		put(&room, 0, "\xeb\x63\x90", 3);
		put(&room, 510, "\x55\xaa", 2);
		probe(&room);
		CU_ASSERT_EQUAL(room.identity.kind, IDENTITY_EXT);
		CU_ASSERT_STRING_EQUAL(room.identity.uuid, UUID);
		CU_ASSERT_STRING_EQUAL(room.identity.table, "");
	}
	room_close(&room);
}

/* ---- nothing, and worse ---- */

static void says_when_there_is_nothing(void)
{
	struct room room;

	room_open(&room);
	make_image(&room, 0);
	probe(&room);
	CU_ASSERT_EQUAL(room.identity.kind, IDENTITY_NOTHING);
	describes(&room.identity, "empty: 0 bytes");
	make_image(&room, 3 * MIB);
	probe(&room);
	CU_ASSERT_EQUAL(room.identity.kind, IDENTITY_NOTHING);
	describes(&room.identity,
		  "nothing that is known: no filesystem and no partition table in 3.0 MiB");
	for (uint64_t size = 1; size < 1100; size += 7) {
		make_image(&room, size);
		probe(&room);
		CU_ASSERT_EQUAL(room.identity.kind, IDENTITY_NOTHING);
		CU_ASSERT_EQUAL(room.identity.size, size);
	}
	room_close(&room);
}

static void refuses_what_is_neither_device_nor_image(void)
{
	struct identity identity;
	struct room room;

	room_open(&room);
	CU_ASSERT_EQUAL(identity_probe(room.dir, &identity), -EINVAL);
	CU_ASSERT_EQUAL(identity_probe("/dev/null", &identity), -EINVAL);
	CU_ASSERT_EQUAL(identity_probe(room.image, &identity), -ENOENT);
	CU_ASSERT_EQUAL(mkfifo(room.image, 0600), 0);
	CU_ASSERT_EQUAL(identity_probe(room.image, &identity), -EINVAL);
	CU_ASSERT_EQUAL(identity_probe_fd(-1, &identity), -EBADF);
	room_close(&room);
}

/* Whatever is cut off, the answer is one of those that there are, and the same again. */
static void bears_every_truncation_of_an_image(void)
{
	struct room room;

	room_open(&room);
	if (make_filesystem(&room, 8, "mke2fs", "-q -F -t ext4 -U " UUID)) {
		static const uint64_t sizes[] = { 8 * MIB - 1, 4 * MIB, 65536, 4096, 2049,
						  2048,	       2047,	1080,  1024, 1 };
		for (size_t i = 0; i < array_size(sizes); i++) {
			CU_ASSERT_EQUAL_FATAL(truncate(room.image, (off_t)sizes[i]), 0);
			probe(&room);
			CU_ASSERT_EQUAL(room.identity.size, sizes[i]);
			if (sizes[i] >= 65536)
				CU_ASSERT_STRING_EQUAL(room.identity.uuid, UUID);
			if (sizes[i] <= 1024)
				CU_ASSERT_EQUAL(room.identity.kind, IDENTITY_NOTHING);
		}
	}
	room_close(&room);
}

/* A good table with random bytes in it: partitions anywhere, of any size. */
static void bears_damaged_tables(void)
{
	static const struct part parts[] = { { 2048, 4095, "a" }, { 4096, UINT64_MAX / 2, "b" } };
	uint64_t random = 7;
	struct room room;

	room_open(&room);
	for (unsigned i = 0; i < 200; i++) {
		make_image(&room, 2 * MIB);
		put_gpt(&room, 2 * MIB / 512, parts, 2);
		for (unsigned k = 0; k < 8; k++) {
			uint8_t byte = (uint8_t)random_below(&random, 256);
			put(&room, random_below(&random, 3 * 512), &byte, 1);
		}
		probe(&room);
		CU_ASSERT_TRUE(room.identity.nr_partitions <= room.identity.nr_named);
		for (unsigned p = 0; p < room.identity.nr_partitions; p++) {
			const struct identity_partition *part = &room.identity.partitions[p];
			CU_ASSERT_TRUE(!part->is_inside ||
				       part->start + part->size <= room.identity.size);
		}
	}
	room_close(&room);
}

static const struct test_case cases[] = {
	CASE(tells_the_three_exts_with_uuid_and_label),
	CASE(is_not_fooled_by_a_name_that_moves_the_cursor),
	CASE(tells_other_filesystems),
	CASE(tells_swap_and_a_journal_from_filesystems),
	CASE(finds_an_ext_with_a_wrong_checksum),
	CASE(tells_layers_and_what_to_scan_instead),
	CASE(says_that_the_checksum_of_a_superblock_is_wrong),
	CASE(chooses_none_of_several_signatures),
	CASE(lists_the_partitions_of_a_gpt),
	CASE(shortens_the_line_of_many_partitions),
	CASE(lists_the_logical_partitions_of_a_dos_table),
	CASE(sees_a_filesystem_behind_the_boot_sector_of_a_loader),
	CASE(says_when_there_is_nothing),
	CASE(refuses_what_is_neither_device_nor_image),
	CASE(bears_every_truncation_of_an_image),
	CASE(bears_damaged_tables),
};

const struct test_suite suite_io_identity = { "io/identity", cases, array_size(cases) };

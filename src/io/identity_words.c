// SPDX-License-Identifier: Apache-2.0
/*
 * The words for what a device is. Where it is no filesystem they say which device to name instead;
 * they never name a program that could write to it.
 */
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "io/identity.h"

#define SHOWN_MAX 8 /* partitions that are named in a line */

/* The types of libblkid 2.38 that hold other devices, and which device to look for. */
static const struct layer {
	const char *type;
	const char *name;
	const char *advice;
} layers[] = {
	{ "LVM2_member", "LVM physical volume", "scan the logical volumes in it" },
	{ "LVM1_member", "LVM physical volume", "scan the logical volumes in it" },
	{ "crypto_LUKS", "LUKS container", "scan the device that appears when it is opened" },
	{ "BitLocker", "BitLocker container", "scan the device that appears when it is opened" },
	{ "linux_raid_member", "member of an md array", "scan the array" },
	{ "bcache", "part of a bcache", "scan the bcache device" },
	{ "drbd", "backing device of DRBD", "scan the DRBD device" },
	{ "drbdproxy_datalog", "data log of DRBD", "scan the DRBD device" },
	{ "DM_verity_hash", "hash device of dm-verity", "scan the verified device" },
	{ "DM_snapshot_cow", "store of a snapshot", "scan the snapshot" },
	{ "DM_integrity", "dm-integrity device", "scan the device that appears when it is opened" },
	{ "zfs_member", "member of a ZFS pool", NULL },
	{ "stratis", "member of a Stratis pool", "scan the volumes of the pool" },
	{ "ubi", "UBI device", "scan the volumes in it" },
	{ "VMFS_volume_member", "member of a VMFS volume", NULL },
	{ "mpath_member", "path of a multipath device", "scan the multipath device" },
};

static const struct layer *find_layer(const char *type)
{
	for (size_t i = 0; i < array_size(layers); i++)
		if (strcmp(layers[i].type, type) == 0)
			return &layers[i];
	return NULL;
}

const char *identity_layer_name(const char *type)
{
	const struct layer *layer = find_layer(type);

	return layer ? layer->name : NULL;
}

static void add_name(struct buf *b, const char *name)
{
	buf_add_char(b, '"');
	text_add_printable(b, span_of_str(name));
	buf_add_char(b, '"');
}

static void describe_filesystem(const struct identity *identity, struct buf *b)
{
	char size[32];

	text_add_printable(b, span_of_str(identity->type));
	buf_add_str(b, " filesystem");
	if (*identity->label) {
		buf_add_char(b, ' ');
		add_name(b, identity->label);
	}
	if (*identity->uuid) {
		buf_add_str(b, ", UUID ");
		text_add_printable(b, span_of_str(identity->uuid));
	}
	buf_addf(b, ", %s", text_bytes(identity->size, size, sizeof(size)));
	if (identity->kind != IDENTITY_EXT)
		buf_add_str(b, ": its blocks cannot be scanned, only those of ext2, ext3 and ext4");
}

static void describe_layer(const struct identity *identity, struct buf *b)
{
	const struct layer *layer = find_layer(identity->type);

	buf_addf(b, "%s (", layer ? layer->name : "part of an array or of another device");
	text_add_printable(b, span_of_str(identity->type));
	buf_add_char(b, ')');
	if (!layer)
		buf_add_str(b, ": scan the device that it is a part of");
	else if (layer->advice)
		buf_addf(b, ": %s", layer->advice);
	else
		buf_add_str(b, ": it cannot be scanned");
}

static void describe_other(const struct identity *identity, struct buf *b)
{
	if (strcmp(identity->type, "swap") == 0)
		buf_add_str(b, "swap space");
	else if (strcmp(identity->type, "swsuspend") == 0)
		buf_add_str(b, "swap space with a suspended system");
	else if (strcmp(identity->type, "jbd") == 0)
		buf_add_str(b, "external journal of an ext filesystem");
	else
		text_add_printable(b, span_of_str(identity->type));
	buf_add_str(b, ": there are no files in it");
}

/* The node of a partition, or where it lies in an image. */
static void add_partition(const struct identity *identity, const struct identity_partition *part,
			  struct buf *b)
{
	size_t len = strlen(identity->device);
	char size[32];

	if (len) {
		char last = identity->device[len - 1];
		buf_addf(b, "%s%s%u", identity->device, last >= '0' && last <= '9' ? "p" : "",
			 part->number);
	} else {
		buf_addf(b, "%u at byte %llu", part->number, (unsigned long long)part->start);
	}
	buf_addf(b, " of %s", text_bytes(part->size, size, sizeof(size)));
	if (*part->name) {
		buf_add_char(b, ' ');
		add_name(b, part->name);
	}
	if (!part->is_inside)
		buf_add_str(b, " (not on this disk)");
}

/* Extended ones are not shown: they hold nothing but the logical ones. */
static void describe_table(const struct identity *identity, struct buf *b)
{
	bool gpt = strcmp(identity->table, "gpt") == 0;
	unsigned shown = 0, more = identity->nr_named - identity->nr_partitions;
	char count[32];

	buf_addf(b, "a disk with a %s", gpt ? "GPT" : "");
	if (!gpt) {
		text_add_printable(b, span_of_str(identity->table));
		buf_add_str(b, " partition table");
	}
	if (identity->nr_named == 0) {
		buf_add_str(b, gpt ? " of no partition" : " and no partition");
		return;
	}
	buf_addf(b, " of %s: name %s (",
		 text_counted(identity->nr_named, "partition", count, sizeof(count)),
		 identity->nr_named == 1 ? "it" : "one of them");
	for (unsigned i = 0; i < identity->nr_partitions; i++) {
		const struct identity_partition *part = &identity->partitions[i];
		if (part->is_extended)
			continue;
		if (shown == SHOWN_MAX) {
			more++;
			continue;
		}
		buf_add_str(b, shown++ ? ", " : "");
		add_partition(identity, part, b);
	}
	if (more)
		buf_addf(b, "%s%u more", shown ? " and " : "", more);
	buf_add_char(b, ')');
}

static void describe_nothing(const struct identity *identity, struct buf *b)
{
	char size[32];

	if (identity->size == 0)
		buf_add_str(b, "empty: 0 bytes");
	else
		buf_addf(b, "nothing that is known: no filesystem and no partition table in %s",
			 text_bytes(identity->size, size, sizeof(size)));
}

void identity_describe(const struct identity *identity, struct buf *b)
{
	switch (identity->kind) {
	case IDENTITY_EXT:
	case IDENTITY_FILESYSTEM:
		describe_filesystem(identity, b);
		break;
	case IDENTITY_LAYER:
		describe_layer(identity, b);
		break;
	case IDENTITY_OTHER:
		describe_other(identity, b);
		break;
	case IDENTITY_PARTITIONED:
		describe_table(identity, b);
		break;
	case IDENTITY_AMBIGUOUS:
		buf_add_str(b, "several signatures (");
		text_add_printable(b, span_of_str(identity->signatures));
		buf_add_str(b, "): what it is cannot be told");
		break;
	case IDENTITY_NOTHING:
		describe_nothing(identity, b);
		break;
	}
	if (identity->bad_checksum)
		buf_add_str(b, "; the checksum of its superblock is wrong");
	if (identity->is_unreadable)
		buf_add_str(b, "; parts of it cannot be read");
}

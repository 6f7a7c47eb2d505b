// SPDX-License-Identifier: Apache-2.0
/*
 * What libblkid says of the bytes, brought into one form. What it says of a device (sectors, which
 * partition of which disk) is asked of the kernel instead: libblkid would open other devices for
 * the one and, on old kernels, run programs for the other.
 */
#include "io/identity.h"

#include <blkid/blkid.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "io/file.h"

#define SECTOR 512	  /* bytes: the unit of libblkid's partitions */
#define SIGNATURES_MAX 16 /* different ones that are looked for in what is ambiguous */

/* libblkid's: what a safe probe found. */
enum { FOUND = 0, FOUND_NOTHING = 1, FOUND_SEVERAL = -2, FOUND_ERROR = -1 };

#define WANTED                                                                                     \
	(BLKID_SUBLKS_TYPE | BLKID_SUBLKS_UUID | BLKID_SUBLKS_LABEL | BLKID_SUBLKS_USAGE |         \
	 BLKID_SUBLKS_MAGIC)

static void probe_free(blkid_probe *probe)
{
	if (*probe)
		blkid_free_probe(*probe);
}

/* Copies a string that fits, else leaves the field as it was: half a UUID is another one. */
static void set_field(char *field, size_t size, const char *value)
{
	size_t len = value ? strlen(value) : 0;

	if (len < size && value)
		memcpy(field, value, len + 1);
}

#define SET(field, value) set_field(field, sizeof(field), value)

static const char *value_of(blkid_probe probe, const char *name)
{
	const char *value = NULL;

	return blkid_probe_lookup_value(probe, name, &value, NULL) ? NULL : value;
}

static bool is_ext(const char *type)
{
	return strcmp(type, "ext2") == 0 || strcmp(type, "ext3") == 0 ||
	       strcmp(type, "ext4") == 0 || strcmp(type, "ext4dev") == 0;
}

/* libblkid calls some things that hold devices "other", and a member of a pool a filesystem. */
static enum identity_kind kind_of(const char *type, const char *usage)
{
	if (is_ext(type))
		return IDENTITY_EXT;
	if (identity_layer_name(type))
		return IDENTITY_LAYER;
	if (!usage || strcmp(usage, "filesystem") == 0)
		return IDENTITY_FILESYSTEM;
	return strcmp(usage, "other") == 0 ? IDENTITY_OTHER : IDENTITY_LAYER;
}

/* ---- partitions ---- */

static void take_partition(struct identity *identity, blkid_partition partition)
{
	struct identity_partition *to = &identity->partitions[identity->nr_partitions];
	blkid_loff_t start = blkid_partition_get_start(partition);
	blkid_loff_t size = blkid_partition_get_size(partition);
	int number = blkid_partition_get_partno(partition);
	uint64_t end;

	*to = (struct identity_partition){ .number = (uint32_t)max_of(number, 0) };
	if (start < 0 || size < 0 || number <= 0 ||
	    __builtin_mul_overflow((uint64_t)start, SECTOR, &to->start) ||
	    __builtin_mul_overflow((uint64_t)size, SECTOR, &to->size) ||
	    __builtin_add_overflow(to->start, to->size, &end))
		return;
	to->is_inside = to->size > 0 && end <= identity->size;
	to->is_extended = blkid_partition_is_extended(partition);
	SET(to->type, blkid_partition_get_type_string(partition));
	if (!*to->type) {
		int type = blkid_partition_get_type(partition);
		(void)snprintf(to->type, sizeof(to->type), "0x%02x", (unsigned)type & 0xff);
	}
	SET(to->uuid, blkid_partition_get_uuid(partition));
	SET(to->name, blkid_partition_get_name(partition));
	identity->nr_partitions++;
}

/* Asked for only once a table was found: asking makes libblkid look again. */
static void take_table(struct identity *identity, blkid_probe probe)
{
	SET(identity->table, value_of(probe, "PTTYPE"));
	SET(identity->table_uuid, value_of(probe, "PTUUID"));
	blkid_partlist list = blkid_probe_get_partitions(probe);
	int nr = list ? blkid_partlist_numof_partitions(list) : 0;
	identity->nr_named = (uint32_t)max_of(nr, 0);
	for (int i = 0; i < nr && identity->nr_partitions < IDENTITY_PARTITIONS; i++) {
		blkid_partition partition = blkid_partlist_get_partition(list, i);
		if (partition)
			take_partition(identity, partition);
	}
}

static void forget_table(struct identity *identity)
{
	*identity->table = *identity->table_uuid = '\0';
	identity->nr_partitions = identity->nr_named = 0;
}

/* ---- signatures ---- */

/* Appends a type to the list of them, if it fits and is not the last one again: a GPT is met twice. */
static void add_signature(struct identity *identity, const char *type)
{
	size_t used = strlen(identity->signatures), room = sizeof(identity->signatures) - used;
	const char *last = strrchr(identity->signatures, ' ');

	if (strcmp(last ? last + 1 : identity->signatures, type) == 0)
		return;
	if (strlen(type) + sizeof(", ") <= room)
		(void)snprintf(identity->signatures + used, room, "%s%s", used ? ", " : "", type);
}

/* Which ones there are, where a safe probe has refused to choose. */
static void take_signatures(struct identity *identity, blkid_probe probe)
{
	identity->kind = IDENTITY_AMBIGUOUS;
	blkid_reset_probe(probe);
	for (unsigned i = 0; i < SIGNATURES_MAX && blkid_do_probe(probe) == 0; i++) {
		const char *type = value_of(probe, "TYPE");
		if (!type)
			type = value_of(probe, "PTTYPE");
		if (type)
			add_signature(identity, type);
	}
}

/* One look. A positive result is FOUND_NOTHING, an error is a negative errno. */
static int look(struct identity *identity, blkid_probe probe)
{
	blkid_reset_probe(probe);
	errno = 0;
	int r = blkid_do_safeprobe(probe);
	if (r == FOUND_SEVERAL) {
		take_signatures(identity, probe);
		return 0;
	}
	if (r == FOUND_ERROR)
		return errno ? -errno : -EIO;
	if (r)
		return r;
	const char *type = value_of(probe, "TYPE");
	SET(identity->type, type);
	SET(identity->uuid, value_of(probe, "UUID"));
	SET(identity->label, value_of(probe, "LABEL"));
	identity->bad_checksum = value_of(probe, "SBBADCSUM") != NULL;
	if (type)
		identity->kind = kind_of(type, value_of(probe, "USAGE"));
	if (!value_of(probe, "PTTYPE"))
		return type ? 0 : FOUND_NOTHING;
	take_table(identity, probe);
	if (!type) {
		identity->kind = IDENTITY_PARTITIONED;
	} else if (identity->nr_named) {
		add_signature(identity, type);
		add_signature(identity, identity->table);
		identity->kind = IDENTITY_AMBIGUOUS;
	} else { /* the boot sector of a loader in front of a filesystem */
		forget_table(identity);
	}
	return 0;
}

/* Only ext, whose superblock stands in one place: other signatures cannot be read everywhere. */
static int look_for_ext(struct identity *identity, blkid_probe probe)
{
	char *types[] = { "ext2", "ext3", "ext4", "ext4dev", NULL };

	if (blkid_probe_filter_superblocks_type(probe, BLKID_FLTR_ONLYIN, types) ||
	    blkid_probe_enable_partitions(probe, 0))
		return -ENOMEM;
	identity->is_unreadable = true;
	return look(identity, probe);
}

static int look_at_bytes(int fd, struct identity *identity)
{
	blkid_probe probe cleanup(probe_free) = blkid_new_probe();

	if (!probe)
		return -ENOMEM;
	errno = 0;
	if (blkid_probe_set_device(probe, fd, 0, 0))
		return errno ? -errno : -EIO;
	if (blkid_probe_enable_superblocks(probe, 1) || blkid_probe_enable_partitions(probe, 1) ||
	    blkid_probe_set_superblocks_flags(probe, WANTED))
		return -ENOMEM;
	int r = look(identity, probe);
	/* A superblock with a wrong checksum is better than none, but no match for another one. */
	if (r == FOUND_NOTHING) {
		if (blkid_probe_set_superblocks_flags(probe, WANTED | BLKID_SUBLKS_BADCSUM))
			return -ENOMEM;
		r = look(identity, probe);
	}
	if (r < 0 && file_error_is_media(r)) {
		int error = r;
		if (blkid_probe_set_superblocks_flags(probe, WANTED | BLKID_SUBLKS_BADCSUM))
			return -ENOMEM;
		r = look_for_ext(identity, probe);
		r = r == FOUND_NOTHING ? error : r;
	}
	return r == FOUND_NOTHING ? 0 : r;
}

/* ---- devices ---- */

static void look_at_device(struct identity *identity, dev_t rdev)
{
	identity->is_device = true;
	identity->dev = (uint64_t)major(rdev) << 32 | minor(rdev);
	if (dev_find(identity->dev, identity->device, sizeof(identity->device)))
		*identity->device = '\0';
	if (dev_find_partition(identity->dev, &identity->number))
		identity->number = 0;
	if (identity->number &&
	    dev_find_disk(identity->dev, identity->disk, sizeof(identity->disk), &identity->start))
		*identity->disk = '\0';
}

int identity_probe_fd(int fd, struct identity *ret_identity)
{
	struct stat st;

	*ret_identity = (struct identity){ .kind = IDENTITY_NOTHING };
	if (fstat(fd, &st))
		return -errno;
	int r = dev_size(fd, &ret_identity->size);
	if (r == 0)
		r = dev_get_limits(fd, &ret_identity->limits);
	if (r)
		return r;
	if (S_ISBLK(st.st_mode))
		look_at_device(ret_identity, st.st_rdev);
	return ret_identity->size ? look_at_bytes(fd, ret_identity) : 0;
}

int identity_probe(const char *path, struct identity *ret_identity)
{
	struct stat st;

	*ret_identity = (struct identity){ .kind = IDENTITY_NOTHING };
	/* Looked at before it is opened: opening some devices is no harmless thing. */
	if (stat(path, &st))
		return -errno;
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
		return -EINVAL;
	/* Not quietly as to the path: the operator's links are followed. */
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC | O_NOATIME);
	if (fd < 0 && errno == EPERM)
		fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	int r = identity_probe_fd(fd, ret_identity);
	(void)close(fd);
	return r;
}

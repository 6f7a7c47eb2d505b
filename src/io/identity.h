/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a block device, or an image of one, is: a filesystem, a layer that holds other devices, a
 * disk with partitions, nothing that is known. libblkid looks at the bytes (low-level probing: no
 * cache, no udev, nothing is run); the descriptor is opened here, O_RDONLY, and nothing is written.
 * And where on this host a volume is mounted, by libmount.
 *
 * A volume is known by its UUID: the same on the device, on an image of it and on every copy.
 *
 * Everything that these bytes say is hostile: names are as they stand on the disk, not printable,
 * and a partition need not lie where its disk ends. All functions may be called from any thread.
 */
#ifndef IO_IDENTITY_H
#define IO_IDENTITY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "io/dev.h"

#define IDENTITY_PARTITIONS 128 /* kept, at most: as many as a GPT has room for */

enum identity_kind {
	IDENTITY_NOTHING,     /* no signature that is known */
	IDENTITY_EXT,	      /* ext2, ext3 or ext4 */
	IDENTITY_FILESYSTEM,  /* another filesystem */
	IDENTITY_LAYER,	      /* LVM, LUKS, md...: holds other devices */
	IDENTITY_OTHER,	      /* swap, an external journal...: holds no files and no devices */
	IDENTITY_PARTITIONED, /* a partition table, with or without partitions */
	IDENTITY_AMBIGUOUS,   /* several signatures that exclude each other */
};

struct identity_partition {
	uint32_t number;
	uint64_t start, size; /* bytes on the disk */
	bool is_inside;	      /* it ends within the disk, and is not empty */
	bool is_extended;     /* it holds the logical ones of a DOS table and nothing else */
	char type[40];	      /* of a GPT a UUID, of DOS "0x83" */
	char uuid[40];
	char name[112]; /* of a GPT */
};

struct identity {
	enum identity_kind kind;
	char type[32]; /* "ext4", "xfs", "LVM2_member", "crypto_LUKS", "swap"...; "" : none */
	char uuid[64]; /* "" : none. Not always of the form of a UUID */
	char label[512];
	char signatures[128]; /* IDENTITY_AMBIGUOUS: the types, "ext4, xfs" */
	bool bad_checksum; /* of its superblock; not checked for every type. Not of ext by all libblkid */
	bool is_unreadable; /* reads failed where other signatures are; none but ext was sought */

	uint64_t size; /* bytes */
	struct dev_limits limits;

	bool is_device;	  /* a block device; else an image */
	uint64_t dev;	  /* is_device: as in struct file_identity */
	char device[256]; /* is_device: its node; "" : it has none */
	uint32_t number;  /* is_device: which partition it is; 0: none */
	char disk[256];	  /* number > 0: of which disk, its node */
	uint64_t start;	  /* number > 0: where on it, in bytes */

	char table[16]; /* IDENTITY_PARTITIONED: "gpt", "dos"... */
	char table_uuid[40];
	uint32_t nr_partitions; /* in `partitions`, as libblkid orders them */
	uint32_t nr_named;	/* that the table has; those that are not kept too */
	struct identity_partition partitions[IDENTITY_PARTITIONS];
};

/*
 * Identifies what `path` leads to; links are followed. -EINVAL for anything that is neither block
 * device nor regular file, without opening it; -ENOMEM; the errno of stat or open; -EIO and its
 * like where it cannot be read and no ext filesystem was found on what can be. A name longer than
 * its field is left out.
 */
int identity_probe(const char *path, struct identity *ret_identity) must_check;

/* The same of an open descriptor, borrowed. Its file offset is moved. */
int identity_probe_fd(int fd, struct identity *ret_identity) must_check;

/* "an md array", or NULL: what a kind of layer is called, by its type. */
const char *identity_layer_name(const char *type);

/*
 * Appends one line for people, printable and without a newline: what it is, and what to scan
 * instead where it is no filesystem. "LVM physical volume (LVM2_member): scan the logical volumes
 * in it".
 */
void identity_describe(const struct identity *identity, struct buf *b);

/* ---- where it is mounted ---- */

/* One place where a filesystem is mounted in the namespace of this process. All borrowed. */
struct identity_mount {
	const char *path;
	const char *root; /* which part of the filesystem is seen there: "/" is all */
	const char *type;
	bool is_read_only;    /* nobody writes through this mount */
	bool is_fs_read_only; /* nobody writes through any mount */
};

/* Non-zero stops and is returned. */
typedef int (*identity_mount_fn)(const struct identity_mount *mount, void *ctx);

/*
 * Every mount of the block device `dev` (as in struct file_identity), in the order in which they
 * were made. None is no error. -ENOMEM, the errno of reading mountinfo, or the result of `fn`. Mounts
 * of devices that lie on `dev` (partitions, logical volumes) are not among them.
 */
int identity_mounts(uint64_t dev, identity_mount_fn fn, void *ctx) must_check;

/*
 * Every mount of a loop device over the image `path`, or of a partition of one. A loop device is
 * known by the name of its file, so one whose file was renamed since is not seen. Errors as
 * identity_mounts, or the errno of stat.
 */
int identity_mounts_of_image(const char *path, identity_mount_fn fn, void *ctx) must_check;

/*
 * The block device of the filesystem that is mounted at `path`, on top if there are several: its
 * node and its number. -ENOENT: nothing is mounted there, the path may be a folder of another
 * filesystem; -ENODEV: what is mounted has no block device with a node (a network filesystem,
 * tmpfs); -ENAMETOOLONG: `size` is too small; -ENOMEM; or the errno of reading mountinfo.
 */
int identity_find_mounted(const char *path, char *device, size_t size,
			  uint64_t *ret_dev) must_check;

#endif

// SPDX-License-Identifier: Apache-2.0
/*
 * The same volume has the same UUID wherever it appears; partitions know their disk; where a volume is
 * mounted.
 */
#include "suites.h"

#include <sys/mount.h>
#include <sys/sysmacros.h>

#include "io/identity_room.h"
#include "support/disk.h"
#include "support/random.h"

/* Sets up a loop device on the image and writes its node. False: skipped. */
static bool loop_up(struct room *room, const char *options, char node[64])
{
	if (geteuid() != 0 || run(room, "losetup -f --show %s image", options) ||
	    strncmp(room->said, "/dev/loop", 9) != 0) {
		test_skip("no loop device");
		return false;
	}
	(void)snprintf(node, 64, "%.63s", room->said);
	return true;
}

static void knows_a_volume_wherever_it_appears(void)
{
	struct identity on_loop, of_copy;
	char node[64], copy[ROOM_DIR_SIZE + 8];
	struct room room;

	room_open(&room);
	(void)snprintf(copy, sizeof(copy), "%s/copy", room.dir);
	if (make_filesystem(&room, 8, "mke2fs", "-q -F -t ext4 -U " UUID) &&
	    loop_up(&room, "-r", node)) {
		probe(&room);
		CU_ASSERT_EQUAL(run(&room, "cp --sparse=always %s copy", node), 0);
		CU_ASSERT_EQUAL(identity_probe(node, &on_loop), 0);
		CU_ASSERT_EQUAL(run(&room, "losetup -d %s", node), 0);
		CU_ASSERT_EQUAL(identity_probe(copy, &of_copy), 0);
		CU_ASSERT_STRING_EQUAL(room.identity.uuid, UUID);
		CU_ASSERT_STRING_EQUAL(on_loop.uuid, UUID);
		CU_ASSERT_STRING_EQUAL(of_copy.uuid, UUID);
		CU_ASSERT_EQUAL(on_loop.size, 8 * MIB);
		CU_ASSERT_TRUE(on_loop.is_device);
		CU_ASSERT_STRING_EQUAL(on_loop.device, node);
		CU_ASSERT_EQUAL(on_loop.number, 0);
		CU_ASSERT_TRUE(on_loop.limits.read_only);
		CU_ASSERT_TRUE(on_loop.limits.logical_sector >= 512);
		CU_ASSERT_TRUE(on_loop.limits.physical_sector >= on_loop.limits.logical_sector);
		CU_ASSERT_FALSE(of_copy.is_device);
	}
	room_close(&room);
}

static void tells_which_partition_of_which_disk_a_device_is(void)
{
	static const struct part parts[] = { { 2048, 4095, "" }, { 4096, 16383, "" } };
	char node[64], part[72], line[256];
	struct identity identity;
	uint8_t super[2048];
	struct room room;

	room_open(&room);
	if (!make_filesystem(&room, 6, "mke2fs", "-q -F -t ext2 -U " UUID))
		goto out;
	get(&room, 0, super, sizeof(super));
	make_image(&room, 16 * MIB);
	put_gpt(&room, 16 * MIB / 512, parts, 2);
	put(&room, 4096 * 512 + 1024, super + 1024, 1024);
	if (!loop_up(&room, "", node))
		goto out;
	CU_ASSERT_EQUAL(identity_probe(node, &identity), 0);
	CU_ASSERT_FALSE(identity.limits.read_only);
	(void)snprintf(line, sizeof(line),
		       "a disk with a GPT of 2 partitions: name one of them (%sp1 of 1.0 MiB, "
		       "%sp2 of 6.0 MiB)",
		       node, node);
	describes(&identity, line);
	(void)snprintf(part, sizeof(part), "%sp2", node);
	if (run(&room, "addpart %s 2 4096 12288", node) || access(part, R_OK)) {
		test_skip("no partitions of loop devices");
	} else {
		CU_ASSERT_EQUAL(identity_probe(part, &identity), 0);
		CU_ASSERT_EQUAL(identity.kind, IDENTITY_EXT);
		CU_ASSERT_STRING_EQUAL(identity.uuid, UUID);
		CU_ASSERT_STRING_EQUAL(identity.device, part);
		CU_ASSERT_EQUAL(identity.number, 2);
		CU_ASSERT_STRING_EQUAL(identity.disk, node);
		CU_ASSERT_EQUAL(identity.start, 4096 * 512);
		CU_ASSERT_EQUAL(identity.size, 6 * MIB);
		CU_ASSERT_EQUAL(run(&room, "delpart %s 2", node), 0);
	}
	CU_ASSERT_EQUAL(run(&room, "losetup -d %s", node), 0);
out:
	room_close(&room);
}

/* The image behind "disk/image" in the room, where nothing can be read from 64 KiB on. */
static bool serve_with_bad_sectors(struct room *room)
{
	static const char tools[] = "command -v nbdkit && command -v nbdfuse && test -w /dev/fuse";
	static const char serve[] =
		"mkdir disk && touch disk/image && nbdkit -r -U $PWD/socket -P $PWD/server.pid eval "
		"get_size='stat -c %%s '$PWD/image pread=\"[ \\$4 -lt 65536 ] || { echo EIO >&2; exit "
		"1; }; dd if=$PWD/image iflag=skip_bytes,count_bytes skip=\\$4 count=\\$3\" && "
		"{ nbdfuse -r -P fuse.pid disk/image --unix $PWD/socket & } && "
		"for i in $(seq 100); do [ -s fuse.pid ] && exit 0; sleep 0.05; done; exit 1";

	return run(room, tools) == 0 && run(room, serve) == 0;
}

static void finds_an_ext_where_not_everything_can_be_read(void)
{
	char disk[ROOM_DIR_SIZE + 16];
	struct room room;

	room_open(&room);
	if (!make_filesystem(&room, 8, "mke2fs", "-q -F -t ext4 -U " UUID))
		goto out;
	(void)snprintf(disk, sizeof(disk), "%s/disk/image", room.dir);
	if (!serve_with_bad_sectors(&room)) {
		test_skip("nbdkit or nbdfuse cannot serve a disk");
	} else {
		struct identity *id = &room.identity;
		CU_ASSERT_EQUAL(identity_probe(disk, id), 0);
		CU_ASSERT_EQUAL(id->kind, IDENTITY_EXT);
		CU_ASSERT_STRING_EQUAL(id->uuid, UUID);
		CU_ASSERT_TRUE(id->is_unreadable);
		describes(id,
			  "ext4 filesystem, UUID " UUID ", 8.0 MiB; parts of it cannot be read");
		put(&room, 1024 + 0x38, "xx", 2); /* no ext any more */
		CU_ASSERT_EQUAL(identity_probe(disk, id), -EIO);
	}
	(void)run(&room, "fusermount3 -u disk/image; kill $(cat server.pid)");
out:
	room_close(&room);
}

/* ---- mounts ---- */

struct mounts {
	const char *path; /* looked for */
	unsigned nr, nr_there;
	bool is_read_only, is_fs_read_only;
	int stop;
};

static int on_mount(const struct identity_mount *mount, void *ctx)
{
	struct mounts *mounts = ctx;

	mounts->nr++;
	CU_ASSERT_STRING_EQUAL(mount->root, "/");
	CU_ASSERT_STRING_EQUAL(mount->type, "ext4");
	if (strcmp(mount->path, mounts->path) == 0) {
		mounts->nr_there++;
		mounts->is_read_only = mount->is_read_only;
		mounts->is_fs_read_only = mount->is_fs_read_only;
	}
	return mounts->stop;
}

static void finds_the_mounts_of_a_device_and_of_an_image(void)
{
	struct disk disk;
	struct room room;
	char node[256];
	struct stat st;
	uint64_t dev;

	room_open(&room);
	if (disk_make(&disk, room.dir, 8)) {
		test_skip("nothing can be mounted");
		goto out;
	}
	struct mounts by_image = { .path = disk.dir }, by_device = { .path = disk.dir };
	struct mounts stopped = { .path = disk.dir, .stop = 42 };
	CU_ASSERT_EQUAL_FATAL(stat(disk.dir, &st), 0);
	CU_ASSERT_EQUAL(identity_find_mounted(disk.dir, node, sizeof(node), &dev), 0);
	CU_ASSERT_EQUAL(dev, (uint64_t)major(st.st_dev) << 32 | minor(st.st_dev));
	CU_ASSERT_EQUAL(strncmp(node, "/dev/loop", 9), 0);
	CU_ASSERT_EQUAL(identity_find_mounted(disk.dir, node, 3, &dev), -ENAMETOOLONG);
	CU_ASSERT_EQUAL(identity_mounts(dev, on_mount, &by_device), 0);
	CU_ASSERT_EQUAL(by_device.nr, 1);
	CU_ASSERT_EQUAL(by_device.nr_there, 1);
	CU_ASSERT_FALSE(by_device.is_read_only || by_device.is_fs_read_only);
	CU_ASSERT_EQUAL(identity_mounts(dev, on_mount, &stopped), 42);
	CU_ASSERT_EQUAL(identity_mounts_of_image(disk.image, on_mount, &by_image), 0);
	CU_ASSERT_EQUAL(by_image.nr_there, 1);
	/* This mount alone, then the filesystem. */
	CU_ASSERT_EQUAL(run(&room, "mount -o remount,bind,ro %s", disk.dir), 0);
	CU_ASSERT_EQUAL(identity_mounts(dev, on_mount, &by_device), 0);
	CU_ASSERT_TRUE(by_device.is_read_only && !by_device.is_fs_read_only);
	CU_ASSERT_EQUAL(run(&room, "mount -o remount,ro %s", disk.dir), 0);
	CU_ASSERT_EQUAL(identity_mounts(dev, on_mount, &by_device), 0);
	CU_ASSERT_TRUE(by_device.is_read_only && by_device.is_fs_read_only);
	CU_ASSERT_EQUAL(disk_close(&disk), 0);
	by_image.nr = 0;
	CU_ASSERT_EQUAL(identity_mounts_of_image(disk.image, on_mount, &by_image), 0);
	CU_ASSERT_EQUAL(by_image.nr, 0);
	CU_ASSERT_EQUAL(identity_find_mounted(disk.dir, node, sizeof(node), &dev), -ENOENT);
out:
	room_close(&room);
}

static void finds_no_device_where_none_is_mounted(void)
{
	char node[256];
	struct room room;
	uint64_t dev;

	room_open(&room);
	CU_ASSERT_EQUAL(identity_find_mounted(room.dir, node, sizeof(node), &dev), -ENOENT);
	CU_ASSERT_EQUAL(identity_find_mounted("/no/such/place", node, sizeof(node), &dev), -ENOENT);
	CU_ASSERT_EQUAL(identity_find_mounted("/proc", node, sizeof(node), &dev), -ENODEV);
	CU_ASSERT_EQUAL(identity_find_mounted("/proc/", node, sizeof(node), &dev), -ENODEV);
	int r = identity_find_mounted("/", node, sizeof(node), &dev);
	CU_ASSERT_TRUE(r == 0 || r == -ENODEV); /* a container has none */
	CU_ASSERT_EQUAL(identity_mounts_of_image(room.image, on_mount, NULL), -ENOENT);
	room_close(&room);
}

static const struct test_case cases[] = {
	CASE(knows_a_volume_wherever_it_appears),
	CASE(tells_which_partition_of_which_disk_a_device_is),
	CASE(finds_an_ext_where_not_everything_can_be_read),
	CASE(finds_the_mounts_of_a_device_and_of_an_image),
	CASE(finds_no_device_where_none_is_mounted),
};

const struct test_suite suite_io_identity_devices = { "io/identity_devices", cases,
						      array_size(cases) };

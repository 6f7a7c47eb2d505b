// SPDX-License-Identifier: Apache-2.0
/*
 * What is done to a root filesystem by right: by package managers, loggers, editors, administrators and
 * the kernel. Each in the root of a mounted one, on top of those before it.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "campaign/root_parts.h"

/* As a database does: neither write() nor truncate(). */
static int write_by_map(void)
{
	struct stat st;
	int fd = open("var/log/syslog", O_RDWR | O_CLOEXEC);
	int r = fd < 0 || fstat(fd, &st) ? -errno : 0;

	if (r == 0 && st.st_size < 5000)
		r = -ENODATA;
	if (r == 0) {
		char *bytes =
			mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		if (bytes == MAP_FAILED) {
			r = -errno;
		} else {
			memcpy(bytes + 4500, "by mmap", 7);
			bytes[st.st_size - 2] ^= 1;
			if (msync(bytes, (size_t)st.st_size, MS_SYNC))
				r = -errno;
			(void)munmap(bytes, (size_t)st.st_size);
		}
	}
	if (fd >= 0)
		(void)close(fd);
	return r;
}

/* In the inode, in a block, replaced, removed; and an ACL as setfacl writes it. */
static int set_attributes(void)
{
	static const uint8_t
		acl[] = {
			2,    0,    0,	  0, /* version */
			1,    0,    6,	  0,	0xff, 0xff, 0xff, 0xff, 2,    0,    4,	  0,
			100,  0,    0,	  0, /* owner, user 100 */
			4,    0,    4,	  0,	0xff, 0xff, 0xff, 0xff, 0x10, 0,    4,	  0,
			0xff, 0xff, 0xff, 0xff, 0x20, 0,    4,	  0,	0xff, 0xff, 0xff, 0xff,
		};
	char value[800];

	memset(value, 'x', sizeof(value));
	if (setxattr("etc/fstab", "user.small", "a", 1, 0) ||
	    setxattr("etc/fstab", "user.large", value, sizeof(value), 0) ||
	    setxattr("etc/fstab", "user.small", "another", 7, 0) ||
	    setxattr("etc/passwd", "system.posix_acl_access", acl, sizeof(acl), 0) ||
	    setxattr("home/user", "user.of-a-folder", value, 600, 0) ||
	    removexattr("home/user", "user.of-a-folder"))
		return errno == EOPNOTSUPP ? CHANGE_NONE : -errno;
	return 0;
}

/* The kernel swaps to blocks of a file, on the device, and no inode knows. */
static int write_as_swap(void)
{
	union {
		struct fiemap map;
		char room[sizeof(struct fiemap) + 8 * sizeof(struct fiemap_extent)];
	} u = { .map = { .fm_length = UINT64_MAX,
			 .fm_extent_count = 8,
			 .fm_flags = FIEMAP_FLAG_SYNC } };
	char link[64], real[PATH_MAX], device[PATH_MAX + 8], page[4096];
	struct stat st;
	int r = 0, fd = open("swapfile", O_RDONLY | O_CLOEXEC), disk = -1;

	memset(page, 'S', sizeof(page));
	if (fd < 0 || fstat(fd, &st) || ioctl(fd, FS_IOC_FIEMAP, &u.map))
		r = -errno;
	if (r == 0 && u.map.fm_mapped_extents == 0)
		r = -ENODATA;
	(void)snprintf(link, sizeof(link), "/sys/dev/block/%u:%u", major(st.st_dev),
		       minor(st.st_dev));
	if (r == 0 && !realpath(link, real))
		r = -errno;
	if (r == 0)
		(void)snprintf(device, sizeof(device), "/dev%s", strrchr(real, '/'));
	if (r == 0 && (disk = open(device, O_WRONLY | O_CLOEXEC)) < 0)
		r = errno == EPERM || errno == EBUSY || errno == ENOENT ? CHANGE_NONE : -errno;
	for (unsigned i = 0; r == 0 && i < u.map.fm_mapped_extents; i++) {
		const struct fiemap_extent *e = &u.map.fm_extents[i];
		for (uint64_t at = i ? 0 : 65536; r == 0 && at + sizeof(page) <= e->fe_length;
		     at += 65536)
			if (pwrite(disk, page, sizeof(page), (off_t)(e->fe_physical + at)) < 0)
				r = -errno;
	}
	if (r == 0 && fsync(disk))
		r = -errno;
	if (disk >= 0)
		(void)close(disk);
	if (fd >= 0)
		(void)close(fd);
	return r;
}

const struct change changes[] = {
	{ .name = "a package is upgraded as dpkg does it",
	  .script =
		  "d=var/lib/dpkg\n"
		  "for f in usr/bin/grep usr/share/doc/grep/copyright; do\n"
		  "	[ -e $f ] || [ -e ${f#usr/} ] || continue\n"
		  "	[ -e $f ] || f=${f#usr/}\n"
		  "	{ cat $f; echo of the new version; } >$f.dpkg-new\n"
		  "	chmod --reference=$f $f.dpkg-new; touch -d 2025-01-01 $f.dpkg-new\n"
		  "	ln $f $f.dpkg-tmp; mv $f.dpkg-new $f; rm $f.dpkg-tmp\n"
		  "	s=$(md5sum <$f | cut -c1-32)\n"
		  "	sed \"s|^.*  \\(usr/\\)\\?${f#usr/}$|$s  $f|\" $d/info/grep.md5sums >$d/new\n"
		  "	mv $d/new $d/info/grep.md5sums\n"
		  "done\n"
		  "cp $d/info/grep.list $d/info/grep.list-new; mv $d/info/grep.list-new $d/info/grep.list\n"
		  "rm -f $d/status-old; ln $d/status $d/status-old\n"
		  "sed '/^Package: grep$/,/^$/s/^Version: .*/&+1/' $d/status >$d/status-new\n"
		  "mv $d/status-new $d/status" },
	{ .name = "a package is removed",
	  .script =
		  "d=var/lib/dpkg\n"
		  "sed 's|^/||' $d/info/hostname.list | while read -r f; do\n"
		  "	[ -d \"$f\" ] || rm -f \"$f\"; done\n"
		  "rm -f $d/info/hostname.*\n"
		  "awk 'BEGIN { RS = \"\"; ORS = \"\\n\\n\" } !/^Package: hostname\\n/' $d/status >$d/status-new\n"
		  "mv $d/status-new $d/status" },
	{ .name = "logs are rotated",
	  .script =
		  "mv var/log/syslog.1 var/log/syslog.2; mv var/log/syslog var/log/syslog.1\n"
		  "seq -f 'line %.0f of the next log' 1 15000 >var/log/syslog; gzip -n var/log/syslog.2 -f" },
	{ .name = "a log is copied and truncated",
	  .script =
		  "cp -p var/log/syslog var/log/copied; : >var/log/syslog; seq 1 9000 >>var/log/syslog" },
	{ .name = "edits in place",
	  .script = "printf EDIT | dd of=var/log/copied bs=1 seek=5000 conv=notrunc status=none\n"
		    "printf x | dd of=etc/fstab bs=1 seek=3 conv=notrunc status=none" },
	{ .name = "edits in place, the time of modification put back",
	  .script =
		  "touch -r var/log/copied ../touched 2>/dev/null || touch -r var/log/copied tmp/touched\n"
		  "t=tmp/touched; [ -e $t ] || t=../touched\n"
		  "printf AGAIN | dd of=var/log/copied bs=1 seek=9000 conv=notrunc status=none\n"
		  "touch -r $t var/log/copied; rm $t" },
	{ .name = "editors that write anew and rename",
	  .script = "sed -i s/testhost/newhost/ etc/hostname; sed -i s/bash/sh/ etc/passwd" },
	{ .name = "appends",
	  .script = "seq 1 4000 >>var/log/syslog; echo x >>home/user/empty2\n"
		    "for i in 1 2 3 4 5 6; do seq 1 40 >>home/user/grows; sync -f .; done" },
	{ .name = "truncation and growth",
	  .script = "truncate -s 5000 var/log/copied; truncate -s 100000 var/log/copied\n"
		    "truncate -s 12345 var/log/syslog.1" },
	{ .name = "renames",
	  .script =
		  "mv home/user home/other; mkdir -p srv/a/b; mv etc/fstab srv/a/b/; cp srv/a/b/fstab etc/\n"
		  "mv srv/a opt/; mv home/other home/user" },
	{ .name = "hard and symbolic links",
	  .script =
		  "ln var/log/syslog srv/another-name; ln -sfn elsewhere var/log/short-link\n"
		  "ln -s /$(printf 'long%.0s' $(seq 60)) srv/long-link; rm srv/another-name; mkfifo srv/fifo" },
	{ .name = "blocks are freed and used again",
	  .script =
		  "for n in 1 2 3 4; do\n"
		  "	for i in 1 2 3 4 5 6; do cp usr/bin/bash var/tmp/$n.$i 2>/dev/null || break; done\n"
		  "	sync -f .; rm var/tmp/$n.*; seq 1 90000 >var/tmp/kept$n; sync -f .\n"
		  "	rm -f var/tmp/kept$((n - 1)); done" },
	{ .name = "files are made fragmented",
	  .needs_extents = true,
	  .script = "rm -f srv/f1 srv/f2; for i in 1 2 3 4 5 6 7 8; do\n"
		    "	seq 1 8000 >>srv/f1; sync -f .; seq 1 9000 >>srv/f2; sync -f .; done" },
	{ .name = "defragmentation",
	  .needs_extents = true,
	  .script =
		  "command -v e4defrag >/dev/null; e4defrag srv/f1 >/dev/null 2>&1; e4defrag srv/f2 >/dev/null 2>&1\n"
		  "e4defrag var/log/syslog >/dev/null 2>&1 || true" },
	{ .name = "rights, owners, times",
	  .script =
		  "chmod 600 var/log/syslog; chown 1000:1000 home/user/grows; touch -d 2001-01-01 var/log/copied\n"
		  "touch -a etc/passwd; chmod 750 home/user" },
	{ .name = "attributes and ACLs", .fn = set_attributes },
	{ .name = "a folder grows",
	  .script = "mkdir srv/many; cd srv/many; i=0; while [ $i -lt 1500 ]; do\n"
		    "	: >a-name-that-takes-some-room-$i; i=$((i + 1)); done" },
	{ .name = "a folder shrinks",
	  .script =
		  "cd srv/many; rm -f *1* *2* *3*; mv a-name-that-takes-some-room-400 another; mkdir sub; rmdir sub" },
	{ .name = "a folder goes", .script = "rm -rf srv/many; rm -rf opt/a" },
	{ .name = "a file is written to by mmap", .fn = write_by_map },
	{ .name = "room is allocated, holes are punched",
	  .script =
		  "fallocate -l 200000 srv/room || exit 1; printf in | dd of=srv/room bs=1 seek=70000 conv=notrunc status=none\n"
		  "sync -f .; fallocate -p -o 65536 -l 65536 srv/f1; fallocate -n -l 300000 srv/room\n"
		  "fallocate -z -o 16384 -l 16384 srv/f2",
	  .needs_extents = true },
	{ .name = "holes are filled",
	  .script =
		  "printf filled | dd of=home/user/holes bs=1 seek=1500000 conv=notrunc status=none" },
	{ .name = "direct writes",
	  .script =
		  "dd if=usr/bin/bash of=srv/direct bs=65536 count=4 oflag=direct status=none; sync -f .\n"
		  "dd if=usr/bin/sed of=srv/direct bs=16384 count=1 seek=2 conv=notrunc oflag=direct status=none" },
	{ .name = "a folder is copied with its times",
	  .script =
		  "cp -a usr/share/doc srv/doc; cp -a etc srv/etc; rm -rf srv/etc/* ; cp -a etc/. srv/etc" },
	{ .name = "a swap file is made",
	  .script =
		  "dd if=/dev/zero of=swapfile bs=65536 count=16 status=none; chmod 600 swapfile; mkswap swapfile >/dev/null 2>&1" },
	{ .name = "the swap file is swapped to", .fn = write_as_swap },
	{ .name = "the swap file is made anew",
	  .script = "mkswap -L another swapfile >/dev/null 2>&1" },
	{ .name = "data is journalled",
	  .script =
		  "seq 1 3000 >srv/j; chattr +j srv/j 2>/dev/null; seq 2 3001 >srv/j; sync -f .; printf J | dd of=srv/j bs=1 seek=5000 conv=notrunc status=none" },
	{ .name = "files that cannot be changed",
	  .script =
		  "chattr +i srv/j; chattr +a var/log/copied; echo more >>var/log/copied; chattr -i srv/j; chattr -a var/log/copied" },
	{ .name = "the label is changed",
	  .script = "e2label \"$(findmnt -no SOURCE -T .)\" another" },
	{ .name = NULL },
};

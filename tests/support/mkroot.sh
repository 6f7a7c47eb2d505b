#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# mkroot.sh OUT KIND [UUID [SEED]] - an image of a small root filesystem, as a machine has it.
# mkroot.sh --tree DIR             - the tree alone; where $MKROOT_TREE names one it is used
# mkroot.sh --kinds                - the kinds, one a line
#
# The tree is some packages of this machine with what dpkg knows of them, and beside them what a
# root has of its own: links of every kind, holes, a device, a socket, names that are not text.
# KIND says what kind of filesystem it becomes; e2fsck finds nothing to complain about in any. UUID
# and SEED, the one that hashes of names begin with, are fixed where they are not given, and no time
# of this moment goes into it but where the kernel itself wrote (encrypt).
#
# Exit status: 0 done, 1 it could not be done, 2 usage, 77 this machine cannot make that kind.
# shellcheck disable=SC2317 # called by their names
set -u -o pipefail
export LC_ALL=C TZ=UTC PATH=$PATH:/usr/sbin:/sbin
umask 022

PACKAGES=(base-files bash dash dpkg libc-bin sed grep gzip hostname debianutils zlib1g libacl1)
KINDS=(1k 4k nocsum ext2 ext3 bigalloc inline_data 64bit flex_bg meta_bg casefold encrypt htree
	xattrs quota mmp orphan_file journal_v1)
TIME=1790000000 # of everything that has no time of its own: younger than all packages
WORK=''

die() {
	echo "mkroot.sh: $*" >&2
	exit 1
}

cannot() {
	echo "mkroot.sh: $kind: $*" >&2
	exit 77
}

cleanup() {
	[ -z "$WORK" ] || ! mountpoint -q "$WORK/mnt" || umount "$WORK/mnt"
	[ -z "$WORK" ] || rm -rf "$WORK"
}

# --------------------------------------------------------------------- the tree

# What of a list of absolute paths is there: not all of a package need be unpacked.
only_present() {
	local path
	while IFS= read -r path; do
		[ -e "$path" ] || [ -L "$path" ] && printf '%s\n' "$path"
	done
}

# Copies the files of the packages. A folder that is a link here is one there.
copy_packages() { # TREE
	local link
	for link in /bin /sbin /lib /lib64; do
		[ -L "$link" ] && mkdir -p "$1/$(readlink "$link")"
	done
	dpkg -L "${PACKAGES[@]}" | grep '^/' | sort -u | only_present | sed 's|^/*||; /^\.*$/d' >"$1.list"
	tar -C / --no-recursion --verbatim-files-from -T "$1.list" -cf - |
		tar -C "$1" -xpf - --keep-directory-symlink && rm "$1.list"
}

# What dpkg knows of them, and of nothing else. What is not there was never unpacked.
copy_database() { # TREE
	local admin=/var/lib/dpkg to=$1/var/lib/dpkg package file path
	mkdir -p "$to/info" "$to/updates" "$to/triggers" "$to/alternatives" || return
	for package in "${PACKAGES[@]}"; do
		for file in "$admin/info/$package".* "$admin/info/$package":*; do
			[ -e "$file" ] && { cp -p "$file" "$to/info/" || return; }
		done
	done
	for file in "$to"/info/*.md5sums; do
		while read -r sum path; do
			[ -e "/$path" ] && printf '%s  %s\n' "$sum" "$path"
		done <"$file" >"$file.new" && mv "$file.new" "$file" || return
	done
	for file in "$to"/info/*.list; do
		only_present <"$file" >"$file.new" && mv "$file.new" "$file" || return
	done
	awk -v names="${PACKAGES[*]}" 'BEGIN { RS = ""; ORS = "\n\n"; n = split(names, list, " ")
			for (i = 1; i <= n; i++) wanted[list[i]] = 1 }
		/^Package: / { split($0, line, "\n"); if (substr(line[1], 10) in wanted) print }' \
		"$admin/status" >"$to/status" || return
	: >"$to/available" && cp "$to/status" "$to/status-old" && dpkg --print-architecture >"$to/arch" &&
		: >"$to/lock" && : >"$to/diversions" && : >"$to/statoverride"
}

# What no package owns.
add_own() { # TREE
	local name t=$1
	mkdir -p "$t"/{boot,dev,etc,home/user,lost+found,media,mnt,opt,proc,run,srv,sys,tmp} \
		"$t"/var/{cache,log,tmp} "$t"/root && chmod 1777 "$t/tmp" "$t/var/tmp" &&
		chmod 700 "$t/root" "$t/lost+found" && rmdir "$t/lost+found" || return
	echo testhost >"$t/etc/hostname"
	echo 'UUID=0 / ext4 defaults 0 1' >"$t/etc/fstab"
	printf 'root:x:0:0:root:/root:/bin/bash\n' >"$t/etc/passwd"
	seq -f 'line %.0f of a log' 1 20000 >"$t/var/log/syslog"
	: >"$t/home/user/empty"
	ln "$t/var/log/syslog" "$t/var/log/syslog.1"
	ln -s syslog "$t/var/log/short-link"
	ln -s "/usr/share/$(printf 'long%.0s' {1..40})" "$t/home/user/long-link"
	ln -s "/$(printf 'deep/%.0s' {1..200})end" "$t/home/user/longer-link"
	mkfifo "$t/run/fifo"
	# Holes in front, between and behind.
	truncate -s 3M "$t/home/user/holes" &&
		printf begin | dd of="$t/home/user/holes" bs=1 seek=1000000 conv=notrunc status=none &&
		printf end | dd of="$t/home/user/holes" bs=1 seek=2000000 conv=notrunc status=none || return
	for name in $'new\nline' $'\xff\xfe' 'two  spaces' '-dash' 'Ümläut'; do
		printf '%s' "$name" >"$t/home/user/$name" || return
	done
	[ "$(id -u)" != 0 ] || mknod "$t/dev/null" c 1 3 || true # not allowed in every container
}

make_tree() { # DIR
	mkdir "$1" && copy_packages "$1" && copy_database "$1" && add_own "$1" &&
		find "$1" -newermt "@$TIME" -exec touch -h -d "@$TIME" {} +
}

# --------------------------------------------------------------------- kinds

# The image, from the tree, with the options of mke2fs.
format() { # OPTION...
	rm -f "$out" && truncate -s "$size" "$out" &&
		E2FSPROGS_FAKE_TIME=$TIME mke2fs -q -F -U "$uuid" -L root -N 8192 "$@" \
			-E "hash_seed=$seed,root_owner=0:0,lazy_itable_init=0${extended:+,$extended}" \
			-d "$tree" "$out" >"$WORK/said" 2>&1 && return
	grep -q 'Invalid filesystem option\|Invalid file-system option\|nknown' "$WORK/said" &&
		cannot "$(head -n 1 "$WORK/said")"
	cat "$WORK/said" >&2
	return 1
}

# Commands of debugfs on standard input, each of which must do what it says, in silence.
change() {
	E2FSPROGS_FAKE_TIME=$TIME debugfs -w -f - "$out" >/dev/null 2>"$WORK/said"
	grep -v '^debugfs [0-9]' "$WORK/said" >&2 && return 1
	return 0
}

# What e2fsck is asked to change: status 1 is that it did.
repair() { # OPTION...
	E2FSPROGS_FAKE_TIME=$TIME e2fsck "$@" "$out" >"$WORK/said" 2>&1
	[ $? -le 1 ] && return
	cat "$WORK/said" >&2
	return 1
}

# A tree of its own beside that of the packages: this one is not changed.
own_tree() {
	cp -a "$tree" "$WORK/own" && tree=$WORK/own
}

# Names in a folder, 25 to a file: a link is made far more quickly than a file.
many_names() { # DIR COUNT TAIL
	perl -e 'my ($dir, $count, $tail) = @ARGV;
	my $name = sub { sprintf "%s/file-%05d%s", $dir, shift, $tail };
	mkdir $dir or die;
	for my $i (0 .. $count - 1) {
		my $of = $i - $i % 25;
		if ($i != $of) { link $name->($of), $name->($i) or die; next }
		open my $file, ">", $name->($i) or die;
		print $file "the file of $i\n";
		close $file or die;
		utime $ARGV[3], $ARGV[3], $name->($i) or die;
	}
	utime $ARGV[3], $ARGV[3], $dir or die' "$1" "$2" "$3" "$TIME"
}

# A folder of 3,000 names, and one of names so long that its index has two levels.
kind_htree() {
	own_tree && many_names "$tree/srv/many" 3000 '' &&
		many_names "$tree/srv/long" 700 "$(printf -- '-long%.0s' {1..48})" &&
		touch -d "@$TIME" "$tree/srv" && format -t ext4 -b 1024 && repair -fyD
}

# In the inode, in a block, in an inode of its own; many of them; some with no value.
kind_xattrs() {
	local i
	format -t ext4 -b 4096 -O ea_inode || return
	head -c 3000 /dev/zero | tr '\0' b >"$WORK/block"
	head -c 20000 /dev/zero | tr '\0' i >"$WORK/inode"
	{
		echo "ea_set /etc/hostname user.small value"
		echo "ea_set /etc/hostname user.empty \"\""
		echo "ea_set -f $WORK/block /etc/fstab user.block"
		echo "ea_set -f $WORK/inode /etc/passwd user.inode"
		for ((i = 0; i < 60; i++)); do
			echo "ea_set /var/log/syslog user.many-$i value-$i"
		done
		echo "ea_set /home/user user.of-a-folder value"
	} | change && repair -fy # debugfs does not count the blocks of a value in an inode
}

# Names that are the same in either case, in a folder that is marked so.
kind_casefold() {
	extended=encoding=utf8
	format -t ext4 -b 4096 -O casefold || return
	{
		echo "mkdir /srv/folded"
		echo "set_inode_field /srv/folded flags 0x40080000"
		echo "write $tree/etc/hostname /srv/folded/HostName"
	} | change && repair -fy
}

# Of users, groups and projects. mke2fs counts before it copies, so e2fsck counts again.
kind_quota() {
	extended=quotatype=usrquota:grpquota:prjquota
	format -t ext4 -b 4096 -O quota,project && repair -fy
}

# The journal as ext3 had it first: only what stands in the first 0x24 bytes of its superblock.
kind_journal_v1() {
	local block
	format -t ext3 -b 4096 || return
	block=$(debugfs -R 'blocks <8>' "$out" 2>/dev/null | awk 'NF { print $1; exit }')
	[ -n "$block" ] && printf '\0\0\0\3' |
		dd of="$out" bs=1 seek=$((block * 4096 + 4)) conv=notrunc status=none &&
		head -c $((1024 - 0x24)) /dev/zero |
		dd of="$out" bs=1 seek=$((block * 4096 + 0x24)) conv=notrunc status=none
}

# A folder that only the kernel can fill, as root; its key is forgotten with the mount.
kind_encrypt() {
	format -t ext4 -b 4096 -O encrypt || return
	[ "$(id -u)" = 0 ] || cannot "only root may mount it"
	mkdir "$WORK/mnt" || return
	mount -o loop "$out" "$WORK/mnt" 2>/dev/null || cannot "it cannot be mounted here"
	mkdir "$WORK/mnt/srv/secret" || return
	encrypt_folder "$WORK/mnt/srv/secret" || cannot "the kernel encrypts no folder"
	mkdir "$WORK/mnt/srv/secret/folder" &&
		seq 1 20000 >"$WORK/mnt/srv/secret/numbers" &&
		echo small >"$WORK/mnt/srv/secret/folder/a name that is not seen without the key" &&
		ln -s numbers "$WORK/mnt/srv/secret/link" && umount "$WORK/mnt" && repair -fy
}

# By FS_IOC_ADD_ENCRYPTION_KEY and FS_IOC_SET_ENCRYPTION_POLICY, version 2: AES-256-XTS for contents,
# AES-256-CTS for names.
encrypt_folder() { # DIR
	perl -e '
	open my $dir, "<", $ARGV[0] or die;
	my $key = pack("V V x32 V V x32 a64", 2, 0, 64, 0, "k" x 64);
	ioctl($dir, 0xc0506617, $key) or die "key: $!\n";
	my $policy = pack("C4 x4 a16", 2, 1, 4, 3, substr($key, 8, 16));
	ioctl($dir, 0x800c6613, $policy) or die "policy: $!\n"' "$1" 2>/dev/null
}

make_kind() {
	case $kind in
	1k) format -t ext4 -b 1024 ;;
	4k) format -t ext4 -b 4096 ;;
	nocsum) format -t ext4 -b 4096 -O ^metadata_csum,^64bit ;;
	ext2) format -t ext2 -b 4096 ;;
	ext3) format -t ext3 -b 4096 ;;
	bigalloc) format -t ext4 -b 4096 -O bigalloc -C 16384 ;;
	inline_data) format -t ext4 -b 4096 -O inline_data ;;
	64bit) format -t ext4 -b 1024 -O 64bit,^metadata_csum,uninit_bg ;;
	flex_bg) format -t ext4 -b 1024 -g 2048 -G 16 ;;
	meta_bg) format -t ext4 -b 1024 -g 1024 -O meta_bg,^resize_inode,^flex_bg ;;
	mmp) format -t ext4 -b 4096 -O mmp ;;
	orphan_file) format -t ext4 -b 4096 -O orphan_file ;;
	casefold | encrypt | htree | quota | xattrs | journal_v1) "kind_$kind" ;;
	esac
}

# --------------------------------------------------------------------- main

case $*/$# in
--kinds/1)
	printf '%s\n' "${KINDS[@]}"
	exit
	;;
--tree\ */2)
	make_tree "$2" || die "cannot make a tree at $2"
	exit
	;;
esac
if [ $# -lt 2 ] || [ $# -gt 4 ] || [[ " ${KINDS[*]} " != *" $2 "* ]]; then
	echo "usage: mkroot.sh OUT KIND [UUID [SEED]] | --tree DIR | --kinds" >&2
	exit 2
fi
out=$(realpath -m -- "$1") kind=$2 size=48M extended=''
uuid=${3:-c0ffee00-1234-4321-8765-000000000001} seed=${4:-5eed5eed-5eed-4eed-8eed-5eed5eed5eed}
WORK=$(mktemp -d "${TMPDIR:-/tmp}/mkroot.XXXXXX") || exit 1
trap cleanup EXIT
trap 'exit 130' INT TERM HUP
for tool in mke2fs e2fsck debugfs dpkg; do
	command -v "$tool" >/dev/null || cannot "$tool is not installed"
done
tree=${MKROOT_TREE:-$WORK/tree}
[ -d "$tree" ] || make_tree "$tree" || die "cannot make the tree"
make_kind || die "cannot make $kind"
e2fsck -fn "$out" >"$WORK/said" 2>&1 && exit
cat "$WORK/said" >&2
die "$kind is not clean"

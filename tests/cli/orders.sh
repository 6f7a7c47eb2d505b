#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# orders.sh: whichever way the bytes come, the findings are the same.
#
# Stores with a fault of each kind are put into ext4 filesystems of several shapes. Each is scanned as
# an image file, as a device that is not mounted, and mounted; in the order of the disk and as files;
# with io_uring and without; with either SHA-1. What is found must be what was injected, and each road
# must say that it is the one that was asked for. Nothing of an image changes. Mounting needs root and
# loop devices; what needs them is skipped by name elsewhere.
#
#   ORDERS_SEED=1  which faults where
# shellcheck disable=SC2016 # the filters are jq's, not the shell's
# shellcheck disable=SC2317 # called by check
set -u -o pipefail
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

SEED=${ORDERS_SEED:-1}
INJECT=$ROOT/tests/cli/inject.pl
PATH=$PATH:/usr/sbin:/sbin
NR=0 AGED=0 MNT='' OTHER='' LOOP='' STORE='' IMAGE='' CAN_MOUNT=no

# --------------------------------------------------------------------- filesystems

unmount_all() {
	local dir
	for dir in "$OTHER" "$MNT"; do
		[ -z "$dir" ] || ! mountpoint -q "$dir" || umount "$dir"
	done
	[ -z "$LOOP" ] || losetup -d "$LOOP"
	LOOP=''
}

end() {
	unmount_all
	cleanup
}

# Whether a loop device can be mounted here.
can_mount() {
	[ "$(id -u)" = 0 ] && truncate -s 1M "$WORK/try" && mke2fs -q -F "$WORK/try" >&2 &&
		mount -o loop,ro "$WORK/try" "$MNT" && umount "$MNT"
} 2>>"$WORK/check.log"

# OPTIONS: mounts $IMAGE where its store belongs. A loop device that was given up may take a moment.
mount_image() {
	for _ in {1..50}; do
		mount -o "loop,$1" "$IMAGE" "$MNT" 2>>"$WORK/check.log" && return
		sleep 0.1
	done
	return 1
}

# What was changed less than a second ago is read as a file where it is mounted.
let_age() {
	local left=$((AGED - ${EPOCHREALTIME/./}))
	[ "$left" -le 0 ] || sleep "$(printf '%d.%06d' $((left / 1000000)) $((left % 1000000)))"
}

age_anew() { AGED=$((${EPOCHREALTIME/./} + 1300000)); }

# SIZE MKE2FS-OPTIONS...: $IMAGE, which holds what is below $STORE.
make_image() {
	local size=$1
	shift
	IMAGE=$WORK/image.$((++NR))
	age_anew
	mke2fs -q -F -m 0 "$@" -d "$STORE" "$IMAGE" "$size" >>"$WORK/check.log" 2>&1
}

# A filesystem that is nearly full, with all that is free in pieces of four blocks.
make_fragmented() {
	local free
	IMAGE=$WORK/image.$((++NR))
	mke2fs -q -F -t ext4 -m 0 -b 1024 -N 30000 "$IMAGE" 80M >&2 && mount_image rw || return 1
	mkdir "$MNT/filler" || return 1
	free=$(stat -f -c %a "$MNT")
	perl -e 'for my $i (1 .. $ARGV[1]) { open my $fh, ">", "$ARGV[0]/$i" or exit;
		syswrite $fh, "x" x 4096 or exit }' "$MNT/filler" $((free / 4))
	perl -e 'unlink grep { /[02468]$/ } glob "$ARGV[0]/*"' "$MNT/filler"
	cp -a "$STORE/." "$MNT/" && age_anew && umount "$MNT"
} 2>>"$WORK/check.log"

# --------------------------------------------------------------------- stores

# MESSAGES MAILBOXES SEED: a new store in $STORE; its imapd.conf says that it is at $MNT.
make_store() {
	STORE=$WORK/store.$((++NR))
	"$MKSPOOL" "$STORE" --messages "$1" --mailboxes "$2" --seed "$3" --size lognormal --edges \
		>/dev/null || return 1
	sed "s|$STORE|$MNT|g" "$STORE/imapd.conf" >"$WORK/imapd.conf" && rm "$STORE/imapd.conf"
	: >"$WORK/wanted"
}

# SEED: what must be found of it is in $WORK/wanted.
damage_store() {
	"$INJECT" damage "$STORE" "$MNT" "$1" >"$WORK/injected" && sort "$WORK/injected" >"$WORK/wanted"
}

# A file that no record knows. If it is old it is a finding; if it is young it may be on its way.
add_extras() {
	local dir path
	dir=$(find "$STORE/spool" -name cyrus.index -size +2 | sort | head -n 1)
	dir=${dir%/cyrus.index}
	path=${dir#"$STORE"}
	echo "old" >"$dir/9001." && echo "young" >"$dir/9002." || return 1
	printf 'finding\tmessage.extra\tmessage:9001\t9001\t%s\t\t\n' "$MNT$path/9001." |
		sort -o "$WORK/wanted" - "$WORK/wanted"
	EXTRA=$path/9001.
}

# The time of the change can be set in an image only.
age_extra() { debugfs -w -R "sif $EXTRA ctime 20230101000000" "$IMAGE" 2>>"$WORK/check.log"; }

# --------------------------------------------------------------------- scanning

# ARGS...: with a state of its own, so that nothing is known from before.
scan_anew() {
	rm -rf "$STATE"
	scan s1@h "$@"
}

# What was found, as inject.pl tells it.
found_lines() {
	jq -r 'if .type == "finding" then
			["finding", .code, .object, .uid // "", .path, .recorded // "", .observed // ""]
		elif .type == "gap" then ["gap", .path, .why] else empty end | @tsv' "$OUT" | sort
}

# The rest of what is said, but for what a road may see differently.
said_lines() {
	jq -r 'select(.type == "finding") | [.mailbox, .unique_id, .verdict, .code, .object, .advice,
		(.detail // "" | sub("inode.*"; ""))] | @tsv' "$OUT" | sort
}

# NAME ROADS-FILTER ARGS...: a scan finds what was injected, and no more; it went by that road.
finds_all() {
	local name=$1 filter=$2
	shift 2
	scan_anew "$@"
	found_lines | grep -v -E "${EXPLAINED:-^$}" >"$WORK/found"
	said_lines >"$WORK/said"
	if ! cmp -s "$WORK/wanted" "$WORK/found"; then
		not_ok "$name: finds what was injected" "exit $RC: $(diff "$WORK/wanted" "$WORK/found" |
			grep -c '^[<>]') lines differ: $(diff "$WORK/wanted" "$WORK/found" |
			grep '^[<>]' | head -n 3 | tr '\t\n' '  '; tail -n 1 "$ERR")"
		return
	fi
	[ -e "$WORK/said.first" ] || cp "$WORK/said" "$WORK/said.first"
	if cmp -s "$WORK/said.first" "$WORK/said"; then
		ok "$name: finds what was injected"
	else
		not_ok "$name: finds what was injected" "it says it otherwise: $(diff \
			"$WORK/said.first" "$WORK/said" | head -n 3 | tr '\t\n' '  ')"
	fi
	expect_json "$name: goes by its road" "summary | ($STATUS) and (.roads | $filter)"
}

# What of a scan must be so beside its findings.
STATUS='.status == "incomplete" and .in_flight == 1'
# Read in blocks, but for what is no plain file or not of its size: four of each of seven kinds.
BLOCK='length == 1 and all(.[]; .order == "block" and .messages > 100 and .as_files < 30)'
INLINE='length == 1 and all(.[]; .order == "block" and .messages > 100)'
AS_FILE='length == 1 and all(.[]; .order == "file" and .messages == 0)'
PREAD='and all(.[]; .engine == "pread")'

skip_mounted() { # NAME
	skip "$1, mounted" "no root or no loop devices"
	skip "$1, a device that is not mounted" "no root or no loop devices"
}

# Its bytes, and what else would tell that it was touched: also that it was read.
print_of() { # FILE
	touch -a -d 2020-01-01 "$1"
	sha256sum <"$1"
	touch -a -d 2020-01-01 "$1"
	stat -c '%s %x %y %z' "$1"
}

# NAME ROADS: as a file, and as a device.
unmounted_roads() {
	local name=$1 roads=$2 before touched
	before=$(print_of "$IMAGE")
	touched=$(stat -c '%x %z' "$IMAGE")
	finds_all "$name, image" "$roads" --image "$IMAGE=$MNT"
	# It depends on the reads, not on the filesystem.
	if [ "$name" = "4 KiB blocks" ] || [ "$name" = fragmented ]; then
		finds_all "$name, image, pread" "$roads $PREAD" --image "$IMAGE=$MNT" --engine pread
	fi
	finds_all "$name, image, as files" "$AS_FILE" --image "$IMAGE=$MNT" --order file
	check "$name: not even the access time of the image changes" "it was read otherwise" \
		test "$touched" = "$(stat -c '%x %z' "$IMAGE")"
	if [ "$CAN_MOUNT" = yes ] && LOOP=$(losetup -r -f --show "$IMAGE"); then
		finds_all "$name, device" "$roads" --image "$LOOP=$MNT"
		losetup -d "$LOOP"
		LOOP=''
	fi
	check "$name: nothing of the image changes" "sha256 or size differ" \
		test "${before%% *}" = "$(print_of "$IMAGE" | sed 's/ .*//;q')"
}

# NAME ROADS OPTIONS-OF-MOUNT
mounted_roads() {
	local name="$1, mounted $3" roads=$2
	let_age
	if ! mount_image "$3"; then
		not_ok "$name" "cannot be mounted"
		return
	fi
	finds_all "$name" "$roads"
	finds_all "$name, as files" "$AS_FILE" --order file
	umount "$MNT"
}

# All that there are.
every_mounted_road() {
	local name="$1, mounted" order sha1 roads
	let_age
	mount_image ro,noload || return 1
	for order in auto file; do
		[ "$order" = auto ] && roads=$BLOCK || roads=$AS_FILE
		finds_all "$name, $order, pread" "$roads $PREAD" --order "$order" --engine pread
		for sha1 in openssl ipsec-mb; do
			finds_all "$name, $order, $sha1" "$roads" --order "$order" --sha1 "$sha1"
		done
	done
	umount "$MNT"
}

# --------------------------------------------------------------------- tests

# NAME SIZE MKE2FS-OPTIONS...: damage of its own in such a filesystem.
test_shape() {
	local name=$1 roads=$BLOCK size=$2
	shift 2
	[ "$name" != inline_data ] || roads=$INLINE
	rm -f "$WORK/said.first"
	if ! { if [ "$size" = fragmented ]; then make_fragmented; else make_image "$size" "$@"; fi &&
		age_extra; }; then
		not_ok "$name" "no image: $(tail -n 1 "$WORK/check.log")"
		return
	fi
	unmounted_roads "$name" "$roads"
	if [ "$CAN_MOUNT" = no ]; then
		skip_mounted "$name"
		return
	fi
	mounted_roads "$name" "$roads" ro,noload
	mounted_roads "$name" "$roads" rw
}

next_store() {
	make_store 200 12 "$((SEED++))" && damage_store "$SEED" && add_extras
}

test_shapes() {
	next_store || return 1
	test_shape "4 KiB blocks" 40M -t ext4 -b 4096
	[ "$CAN_MOUNT" = no ] || every_mounted_road "4 KiB blocks"
	next_store && test_shape "1 KiB blocks, an odd size" 30003k -t ext4 -b 1024
	next_store && test_shape "inline_data" 40M -t ext4 -O inline_data -I 1024
	next_store && test_shape "bigalloc" 48M -t ext4 -O bigalloc -C 16384
	next_store && test_shape "maps of blocks" 40M -t ext3
	next_store && test_shape "no checksums, 32 bit" 40M -t ext4 -O '^metadata_csum,^64bit' -I 128
	if [ "$CAN_MOUNT" = yes ]; then
		next_store && test_shape "fragmented" fragmented
	else
		skip "fragmented" "no root or no loop devices"
	fi
}

# LINES...: more lines of imapd.conf.
configure() { printf '%s\n' "$@" >>"$WORK/imapd.conf"; }

# Nothing is on its way in what follows.
STILL='.status == "incomplete" and .in_flight == 0'

test_archive_beside() {
	make_store 200 12 "$((SEED++))" && mkdir "$STORE/archive" &&
		"$INJECT" archive "$STORE" "$STORE/archive" || return 1
	"$INJECT" damage "$STORE" "$MNT" "$SEED" "$STORE/archive" "$MNT/archive" >"$WORK/injected"
	sort "$WORK/injected" >"$WORK/wanted"
	configure "archive_enabled: yes" "archivepartition-default: $MNT/archive"
	rm -f "$WORK/said.first"
	make_image 40M -t ext4 || return 1
	unmounted_roads "archive beside the spool" "$BLOCK"
	if [ "$CAN_MOUNT" = yes ]; then
		mounted_roads "archive beside the spool" "$BLOCK" rw
	else
		skip_mounted "archive beside the spool"
	fi
}

# Two filesystems: both mounted; or the spool in an image and the archive mounted.
test_archive_elsewhere() {
	local name="archive on another filesystem" archive=$WORK/archive spool_image
	local both='length == 2 and all(.[]; .order == "block" and .messages > 20)'
	if [ "$CAN_MOUNT" = no ]; then
		skip "$name" "no root or no loop devices"
		return
	fi
	make_store 200 12 "$((SEED++))" && mkdir "$archive" &&
		"$INJECT" archive "$STORE" "$archive" || return 1
	"$INJECT" damage "$STORE" "$MNT" "$SEED" "$archive" "$OTHER" >"$WORK/injected"
	sort "$WORK/injected" >"$WORK/wanted"
	configure "archive_enabled: yes" "archivepartition-default: $OTHER"
	rm -f "$WORK/said.first"
	make_image 40M -t ext4 || return 1
	spool_image=$IMAGE
	STORE=$archive
	make_image 20M -t ext4 -b 1024 && mount -o loop,ro "$IMAGE" "$OTHER" || return 1
	IMAGE=$spool_image
	let_age
	finds_all "$name, the spool in an image" "$both" --image "$IMAGE=$MNT"
	finds_all "$name, the spool in an image, as files" \
		'length == 2 and all(.[]; .order == "file")' --image "$IMAGE=$MNT" --order file
	mount_image ro || return 1
	finds_all "$name" "$both"
	finds_all "$name, pread" "$both $PREAD" --engine pread
	finds_all "$name, as files" 'length == 2 and all(.[]; .order == "file")' --order file
	umount "$OTHER" "$MNT"
}

test_metapartition() {
	local dir there
	make_store 200 12 "$((SEED++))" && damage_store "$SEED" || return 1
	for dir in "$STORE"/spool/uuid/*/*/*; do
		there=$STORE/meta${dir#"$STORE/spool"}
		mkdir -p "$there" && mv "$dir"/cyrus.* "$there/"
	done
	sed -i "s|$MNT/spool/\\(.*/cyrus.index\\)|$MNT/meta/\\1|" "$WORK/wanted"
	sort -o "$WORK/wanted" "$WORK/wanted"
	configure "metapartition-default: $MNT/meta" "metapartition_files: header index cache"
	rm -f "$WORK/said.first"
	make_image 40M -t ext4 || return 1
	unmounted_roads "metapartition" "$BLOCK"
	if [ "$CAN_MOUNT" = yes ]; then
		mounted_roads "metapartition" "$BLOCK" rw
	else
		skip_mounted "metapartition"
	fi
}

# One file, two records: what is wrong with it is found twice.
test_links() {
	make_store 200 12 "$((SEED++))" && "$INJECT" link "$STORE" &&
		"$INJECT" linked "$STORE" "$MNT" | sort >"$WORK/wanted" || return 1
	rm -f "$WORK/said.first"
	STATUS='.status == "complete" and .in_flight == 0'
	# Records were given the size and digest of another message: their sums are what they were.
	EXPLAINED='index\.(counters|sync_crc)|message\.times'
	make_image 40M -t ext4 || return 1
	unmounted_roads "hard links" "$BLOCK"
	if [ "$CAN_MOUNT" = yes ]; then
		mounted_roads "hard links" "$BLOCK" rw
	else
		skip_mounted "hard links"
	fi
	STATUS=$STILL EXPLAINED=
}

# What lies elsewhere than in the image lies on this host.
test_partly() {
	local name="configdirectory on this host"
	make_store 200 12 "$((SEED++))" && damage_store "$SEED" || return 1
	mv "$STORE/conf" "$WORK/hostconf" && make_image 40M -t ext4 || return 1
	sed -i "s|^configdirectory:.*|configdirectory: $WORK/hostconf|" "$WORK/imapd.conf"
	rm -f "$WORK/said.first"
	finds_all "$name" "$BLOCK" --image "$IMAGE=$MNT"
	finds_all "$name, as files" "$AS_FILE" --image "$IMAGE=$MNT" --order file
	name="spool on this host"
	mkdir "$WORK/small" && mv "$WORK/hostconf" "$WORK/small/conf" || return 1
	sed -i "s|^configdirectory:.*|configdirectory: $MNT/conf|
		s|^partition-default:.*|partition-default: $STORE/spool|" "$WORK/imapd.conf"
	sed -i "s|$MNT/spool|$STORE/spool|" "$WORK/wanted"
	local store=$STORE
	STORE=$WORK/small
	make_image 8M -t ext4 || return 1
	finds_all "$name" 'length == 1' --image "$IMAGE=$MNT"
	finds_all "$name, as files" "$AS_FILE" --image "$IMAGE=$MNT" --order file
	STORE=$store
}

# Messages that were just written are read as files; their mailboxes are not kept open for that.
test_many_mailboxes() {
	local name="a list in an image, many mailboxes mounted" store=$WORK/many list=$WORK/list
	if [ "$CAN_MOUNT" = no ]; then
		skip "$name" "no root or no loop devices"
		return
	fi
	"$MKSPOOL" "$store" --messages 300 --mailboxes 150 --size fixed:2000 >/dev/null &&
		mkdir "$list" && mv "$store/conf" "$list/conf" || return 1
	sed "s|$store/conf|$MNT/conf|; s|$store/spool|$OTHER/spool|" "$store/imapd.conf" \
		>"$WORK/imapd.conf"
	STORE=$list && make_image 8M -t ext4 || return 1
	truncate -s 40M "$WORK/messages" && mke2fs -q -F -t ext4 "$WORK/messages" &&
		mount -o loop "$WORK/messages" "$OTHER" && cp -a "$store/spool" "$OTHER/" || return 1
	(
		ulimit -n 128
		scan_anew --image "$IMAGE=$MNT"
		exit "$RC"
	)
	RC=$?
	expect_exit "$name: exit 0" 0
	expect_json "$name: by the road of files" 'summary |
		.messages == 300 and (.roads | length == 1 and .[0].order == "block" and .[0].as_files == 300)'
}

# NAME WORDS ARGS...: exit 2, said on stderr, and nothing was found or called good.
refuses() {
	local name=$1 words=$2
	shift 2
	scan_anew "$@"
	expect_exit "$name: exit 2" 2
	expect_line "$name: says why" "$ERR" "$words"
	expect_json "$name: nothing is found" 'map(select(.type != "gap")) == []'
}

test_refused() {
	local image
	make_store 200 12 "$((SEED++))" && make_image 40M -t ext4 || return 1
	image=$IMAGE
	call scan --imapd-conf "$WORK/imapd.conf" --state "$STATE" --json --image "$image=$MNT"
	expect_exit "a good image: exit 0" 0
	expect_json "a good image, by its imapd.conf: goes by its road" \
		'summary | .status == "complete" and (.roads | length == 1 and .[0].order == "block")'
	scan_anew --image "$image=$MNT/"
	expect_exit "a slash behind the mount point: exit 0" 0
	refuses "another mount point" "is the store mounted" --image "$image=$WORK/elsewhere"
	refuses "a mount point above" "configdirectory .* is not in" --image "$image=$WORK"
	refuses "a mount point that begins alike" "is the store mounted" --image "$image=${MNT%t}"
	refuses "no such image" "No such file" --image "$WORK/none=$MNT"
	refuses "a folder" "cannot be opened" --image "$WORK=$MNT"
	head -c 3000000 /dev/urandom >"$WORK/noise"
	refuses "no ext4" "no ext4" --image "$WORK/noise=$MNT"
	head -c 1000000 "$image" >"$WORK/cut"
	refuses "half an image" "cannot be read" --image "$WORK/cut=$MNT"
	cp "$image" "$WORK/dirty" && debugfs -w -R "feature needs_recovery" "$WORK/dirty" \
		>>"$WORK/check.log" 2>&1
	refuses "an image that was not unmounted" "not unmounted cleanly" --image "$WORK/dirty=$MNT"
	if [ "$CAN_MOUNT" = no ]; then
		skip "an image that is mounted" "no root or no loop devices"
		return
	fi
	mount_image rw || return 1
	refuses "an image that is mounted" "is mounted" --image "$image=$MNT"
	refuses "a device that is mounted" "is mounted" \
		--image "$(findmnt -n -o SOURCE --target "$MNT")=$MNT"
	umount "$MNT"
	scan_anew --image "$image=$MNT"
	expect_exit "when it is unmounted again: exit 0" 0
}

# A script that cannot go on has failed.
run() {
	"$1" || not_ok "$1" "could not be prepared: $(tail -n 1 "$WORK/check.log")"
	unmount_all
}

main() {
	begin orders
	trap end EXIT
	MNT=$WORK/mnt OTHER=$WORK/other
	mkdir "$MNT" "$OTHER"
	need mke2fs debugfs sha256sum
	can_mount && CAN_MOUNT=yes
	cat >"$CONF" <<-END
		[policy]
		settle = 30ms
		readers = 2
		[store s1@h]
		imapd_conf = $WORK/imapd.conf
		role = master
	END
	run test_shapes
	STATUS=$STILL
	run test_archive_beside
	run test_archive_elsewhere
	run test_metapartition
	run test_links
	run test_partly
	run test_many_mailboxes
	run test_refused
	finish
}

main

#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# volume.sh: scans of whole filesystems. Images of small roots of every kind are clean, twice in a
# row; damage is found in the right block and file, says what it looks like, and stays known until it is
# repaired or accepted; what is no ext filesystem is named and refused; nothing is written. Then a
# filesystem that is mounted and worked in meanwhile.
# shellcheck disable=SC2016 # the filters are jq's, not the shell's
# shellcheck disable=SC2317 # called by check
set -u -o pipefail
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

MKROOT=$ROOT/tests/support/mkroot.sh
PATH=$PATH:/usr/sbin:/sbin
UNIT=4096 LOOP=''

volume() { # PATH [ARGS...]
	local path=$1
	shift
	call scan "$path" --config "$CONF" --state "$STATE" --json "$@"
}

JQ_DEFS+='
def volume: map(select(.type == "volume_summary")) | last;
def damage: volume.fingerprints | with_entries(select(.value > 0));
def codes: found | map(.code) | sort;
'

# The first block of a file in an image.
block_of() { # IMAGE PATH
	debugfs -R "blocks $2" "$1" 2>/dev/null | awk '{ print $1 }'
}

# Bytes of standard input to an offset, as a bad disk would write them.
put() { # IMAGE OFFSET
	dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}

# --------------------------------------------------------------------- clean

test_kind() { # KIND
	local kind=$1 sum
	if ! "$MKROOT" "$WORK/image" "$kind" >"$WORK/said" 2>&1; then
		skip "$kind" "$(head -n 1 "$WORK/said")"
		return
	fi
	sum=$(sha256sum <"$WORK/image")
	volume "$WORK/image"
	expect_json "$kind: clean" "volume.status == \"complete\" and (found | length) == 0 and
		volume.metadata.accounts_balanced and volume.package_files.ok > 200"
	volume "$WORK/image"
	expect_json "$kind: clean again, every block as it was" "volume.status == \"complete\" and
		(found | length) == 0 and volume.blocks.same == volume.blocks.read and
		volume.baseline.before == 1 and volume.baseline.after == 2"
	check "$kind: nothing was written" "it was" test "$sum" = "$(sha256sum <"$WORK/image")"
	rm -rf "$STATE"
}

# --------------------------------------------------------------------- damage

# NAME OFFSET CODES PATH FILTER: bytes of standard input are put there; what a scan says; and undone.
test_damage() {
	local name=$1 off=$2 codes=$3 path=$4 filter=$5
	cp "$WORK/clean" "$WORK/image"
	put "$WORK/image" "$off"
	volume "$WORK/image"
	expect_json "$name: is told" "codes == $codes"
	expect_json "$name: whose it is, and where" \
		"any(found[]; .path == \"$path\" and (.detail | test(\"block $((off / UNIT)) of\")))"
	expect_json "$name: what it looks like" "$filter"
	cp "$WORK/clean" "$WORK/image"
	volume "$WORK/image"
	expect_json "$name: repaired" "(found | length) == 0 and volume.status == \"complete\""
	call findings --config "$CONF" --state "$STATE" --json
	expect_json "$name: and closed" "length == 0"
}

byte_at() { # OFFSET XOR
	perl -e 'open my $f, "<:raw", $ARGV[0]; seek $f, $ARGV[1], 0; read $f, my $b, 1;
		print chr(ord($b) ^ $ARGV[2])' "$WORK/clean" "$1" "$2"
}

test_damages() {
	local bash sed log dir
	"$MKROOT" "$WORK/clean" 4k >/dev/null || return
	cp "$WORK/clean" "$WORK/image"
	volume "$WORK/image"
	bash=$(block_of "$WORK/clean" /usr/bin/bash) sed=$(block_of "$WORK/clean" /usr/bin/sed)
	log=$(block_of "$WORK/clean" /var/lib/dpkg/status) dir=$(block_of "$WORK/clean" /usr/bin)
	test_damage "one bit" $((bash * UNIT + 1234)) '["block.digest", "package.digest"]' \
		/usr/bin/bash 'damage == {"single_bit": 1} and any(found[]; .detail |
			test("bit 5 of byte 1234") and test("Cyrus or the gate depend"))' \
		< <(byte_at $((bash * UNIT + 1234)) 32)
	test_damage "a sector of zeros" $((sed * UNIT + 512)) '["block.digest", "package.digest"]' \
		/usr/bin/sed 'damage == {"zeroed": 1}' < <(head -c 512 /dev/zero)
	test_damage "another block" $((log * UNIT)) '["block.digest"]' /var/lib/dpkg/status \
		'damage == {"misdirected": 1}' \
		< <(dd if="$WORK/clean" bs=$UNIT skip="$bash" count=1 status=none)
	test_damage "a torn block" $((log * UNIT + 2048)) '["block.digest"]' /var/lib/dpkg/status \
		'damage == {"torn_512": 1}' < <(head -c 2048 /dev/urandom)
	test_damage "a directory" $((dir * UNIT + 100)) '["ext4.metadata"]' /usr/bin \
		'any(found[]; .detail | test("directory block"))' < <(head -c 40 /dev/urandom)
	test_damage "the superblock" $((1024 + 120)) '["ext4.metadata"]' "$WORK/image" \
		'any(found[]; .detail | test("^superblock"))' < <(printf '\1')
}

# A superblock that is gone is no reason to give up, where there are backups.
test_no_superblock() {
	"$MKROOT" "$WORK/image" 1k 66666666-2222-4333-8444-555555555555 >/dev/null || return
	head -c 4096 /dev/zero | put "$WORK/image" 0
	volume "$WORK/image"
	expect_json "no superblock: read by a backup" 'any(found[]; .code == "ext4.metadata" and
		(.detail | test("^superblock"))) and volume.package_files.ok > 200'
}

# Evidence is not overwritten by later baselines; a person may accept it.
test_evidence() {
	local block
	block=$(block_of "$WORK/clean" /var/lib/dpkg/status)
	cp "$WORK/clean" "$WORK/image"
	volume "$WORK/image"
	printf 'X' | put "$WORK/image" $((block * UNIT + 77))
	for round in 1 2 3; do
		volume "$WORK/image"
		expect_json "evidence: told by scan $round" 'codes == ["block.digest"]'
	done
	call baseline "$WORK/image" accept $((block + 1)) --config "$CONF" --state "$STATE"
	expect_exit "evidence: another block is nothing to accept" 2
	call baseline "$WORK/image" accept "$block" --config "$CONF" --state "$STATE" --json
	expect_json "evidence: accepted" '.[0].accepted == 1'
	call findings --config "$CONF" --state "$STATE" --json --all
	expect_json "evidence: the finding says so" 'any(.[]; .resolution == "accepted")'
	volume "$WORK/image"
	expect_json "evidence: accepted is right" '(found | length) == 0'
	call baseline "$WORK/image" --config "$CONF" --state "$STATE" --json
	expect_json "baselines: four generations, all whole" \
		'map(select(.type == "baseline")) | length == 4 and .[3].newest and .[3].contested == 0'
}

# --------------------------------------------------------------------- what is no ext filesystem

test_others() {
	: >"$WORK/empty"
	head -c 1048576 /dev/zero >"$WORK/zeros"
	head -c 3000000 "$WORK/clean" >"$WORK/short"
	mkswap -q "$WORK/zeros" 2>/dev/null
	for name in empty zeros short; do
		volume "$WORK/$name"
		expect_exit "$name: not checked" 2
		check "$name: says why" "it does not" test -s "$ERR"
	done
	volume "$WORK/nothing/here"
	expect_exit "no such path: usage" 3
	volume "$WORK"
	expect_exit "a folder: not checked" 2
	volume "$WORK/zeros" --raw
	expect_json "raw: all of it was read" 'volume.status == "complete" and volume.blocks.read == 256'
}

# A volume of the configuration is watched; what was scanned by hand is nobody's.
test_status() {
	local block
	cp "$WORK/clean" "$WORK/image" && "$MKROOT" "$WORK/other" 1k 55555555-2222-4333-8444-555555555555 >/dev/null
	printf '[host]\nname = imap21\n[volume img]\ndevice = %s\n[policy]\nsettle = 20ms\n' "$WORK/image" >"$WORK/status.conf"
	status_of() { call status --config "$WORK/status.conf" --state "$WORK/state.status" --json; }
	status_of
	expect_json "status: a volume that was never scanned is unknown" \
		'length == 1 and .[0].store == "img" and .[0].role == "volume" and .[0].verdict == "unknown"'
	for name in img "$WORK/other"; do
		call scan "$name" --config "$WORK/status.conf" --state "$WORK/state.status" --json
	done
	status_of
	expect_json "status: a volume is ok; an image scanned by hand is not told of" \
		'length == 1 and .[0].verdict == "ok" and .[0].verified_age_s < 60'
	block=$(block_of "$WORK/image" /usr/bin/grep)
	printf 'X' | put "$WORK/image" $((block * UNIT + 4000))
	call scan --config "$WORK/status.conf" --state "$WORK/state.status" --json
	expect_exit "status: a scan of all there is scans volumes" 1
	status_of
	expect_json "status: a volume with findings" '.[0].verdict == "findings"'
	for words in "img --quick" "img --user u" "img --raw" "$WORK/other --explain user.u"; do
		# shellcheck disable=SC2086 # words
		call scan $words --config "$WORK/status.conf" --state "$WORK/state.status"
		expect_exit "usage: scan ${words/$WORK\//}" 3
	done
	call scan --quick --config "$WORK/status.conf" --state "$WORK/state.status"
	expect_exit "a quick scan of volumes alone is no scan" 2
	call scan img --max-duration 1ms --config "$WORK/status.conf" --state "$WORK/state.status" --json
	expect_json "a volume is not scanned for longer than it may be" 'volume.status == "interrupted"'
	call check-config --config "$WORK/status.conf" --json
	expect_json "check-config: a volume is enough" '.[0].ok and .[0].volumes[0].ok'
	rm "$WORK/image"
	status_of
	expect_json "status: a volume that is gone cannot be reached" \
		'.[0].reasons | any(test("cannot be reached"))'
	call check-config --config "$WORK/status.conf" --json
	expect_exit "check-config: a volume that is gone" 3
}

# --------------------------------------------------------------------- mounted

churn() {
	local i
	for ((i = 0; i < 300; i++)); do
		echo "$i" >"$WORK/mnt/etc/new$i"
		cp "$WORK/mnt/usr/bin/sed" "$WORK/mnt/var/b$((i % 5))"
		rm -f "$WORK/mnt/etc/new$((i - 20))"
		mv "$WORK/mnt/var/b$((i % 5))" "$WORK/mnt/var/c$((i % 3))"
		echo more >>"$WORK/mnt/var/log.txt"
		[ $((i % 10)) = 0 ] && sync -f "$WORK/mnt"
	done
}

test_mounted() {
	local clean=1 block
	if [ "$(id -u)" != 0 ]; then
		skip "mounted" "only root can mount"
		return
	fi
	"$MKROOT" "$WORK/image" 4k 77777777-2222-4333-8444-555555555555 >/dev/null &&
		mkdir -p "$WORK/mnt" &&
		LOOP=$(losetup --find --show "$WORK/image") && mount -t ext4 "$LOOP" "$WORK/mnt" || return
	printf '[volume root]\nmount = %s\n[policy]\nsettle = 50ms\n' "$WORK/mnt" >"$CONF"
	churn &
	for ((i = 0; i < 8; i++)); do
		call scan root --config "$CONF" --state "$STATE" --json
		jq -es "$JQ_DEFS (found | length) == 0 and volume.status == \"complete\"" "$OUT" \
			>/dev/null || { clean=0 && cp "$OUT" "$WORK/first.wrong"; }
	done
	wait
	check "mounted: eight scans beside work are clean" "$(head -c 500 "$WORK/first.wrong" 2>/dev/null)" \
		test $clean = 1
	sync -f "$WORK/mnt"
	call scan root --config "$CONF" --state "$STATE" --json
	block=$(block_of "$WORK/image" /usr/bin/grep)
	printf 'X' | put "$WORK/image" $((block * UNIT + 4000))
	echo 3 >/proc/sys/vm/drop_caches
	call scan root --config "$CONF" --state "$STATE" --json
	expect_json "mounted: damage below is told" \
		'any(found[]; .code == "block.digest" and .path == "/usr/bin/grep")'
	umount "$WORK/mnt" && losetup --detach "$LOOP"
	LOOP=''
}

finish_mounted() {
	mountpoint -q "$WORK/mnt" 2>/dev/null && umount "$WORK/mnt"
	[ -z "$LOOP" ] || losetup --detach "$LOOP"
	cleanup
}

begin volume
trap finish_mounted EXIT
need mke2fs debugfs e2fsck dumpe2fs
printf '[policy]\nsettle = 20ms\n' >"$CONF"
export MKROOT_TREE=$WORK/tree
"$MKROOT" --tree "$MKROOT_TREE" >"$WORK/said" 2>&1 || { not_ok all "no tree: $(head -n 1 "$WORK/said")" && finish; }
while read -r kind; do
	test_kind "$kind"
done < <("$MKROOT" --kinds)
unset MKROOT_TREE # some kinds changed it, and what was changed is no proof of damage
test_damages
test_no_superblock
rm -rf "$STATE"
test_evidence
test_others
test_status
test_mounted
finish

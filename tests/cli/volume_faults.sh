#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# volume_faults.sh: a disk that fails below a root filesystem: bad sectors at exact places, of files of
# packages and others, of a directory, of an inode table, and in free space. A scan of the device must
# list exactly those that are in allocated blocks, with whose they are.
#
# What is expected follows from what debugfs and dumpe2fs print, and from nothing of assay.
# shellcheck disable=SC2016 # the filters are jq's, not the shell's
# shellcheck disable=SC2317 # called by check
set -u -o pipefail
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=device.sh
. "$(dirname "$0")/device.sh"

PATH=$PATH:/usr/sbin:/sbin
UNIT=4096

JQ_DEFS+='
def volume: map(select(.type == "volume_summary")) | last;
'

block_of() { # PATH N: its Nth block
	debugfs -R "blocks $1" "$WORK/fs.img" 2>/dev/null | awk -v n="$2" 'NF { print $n; exit }'
}

# $WORK/bad: offset, length, and path of each bad place, or "-" where nothing must be said.
choose_bad_sectors() {
	local table free
	table=$(dumpe2fs "$WORK/fs.img" 2>/dev/null |
		sed -n 's/^ *Inode table at \([0-9]*\)-.*/\1/p' | head -n 1)
	free=$(dumpe2fs "$WORK/fs.img" 2>/dev/null |
		sed -n '/^Group 0/,$s/^ *Free blocks: \([0-9]*\)-.*/\1/p' | head -n 1)
	{
		echo "$(($(block_of /usr/bin/bash 10) * UNIT + 1024)) 512 /usr/bin/bash"
		echo "$(($(block_of /usr/bin/bash 90) * UNIT + 3584)) 1024 /usr/bin/bash" # of two blocks
		echo "$(($(block_of /var/log/syslog 20) * UNIT)) 4096 /var/log/syslog"
		echo "$(($(block_of /var/log/syslog 40) * UNIT + 512)) 512 /var/log/syslog"
		echo "$(($(block_of /usr/share/doc 1) * UNIT + 512)) 512 /usr/share/doc"
		echo "$(((table + 20) * UNIT + 2048)) 512 $LOOPNAME"
		echo "$(((free + 10) * UNIT)) 512 -"
		echo "$(((free + 100) * UNIT + 1536)) 8192 -"
	} | sort -n >"$WORK/bad" && [ "$(awk '$1 > 0' "$WORK/bad" | wc -l)" = 8 ]
}

# Offset, length and path of each block.unreadable.
told() {
	jq -r 'select(.type == "finding" and .code == "block.unreadable") |
		(.detail | capture("^(?<len>[0-9]+) bytes at (?<off>[0-9]+) cannot be read")) as $at |
		[$at.off, $at.len, (if .path == $loop then "device" else .path end)] | join(" ")' \
		--arg loop "$LOOP" "$OUT" | sort -n
}

scan_device() { # ARGS...
	call scan "$LOOP" --config "$CONF" --state "$STATE" --json "$@"
}

test_sectors() { # NAME ARGS...
	local name=$1
	shift
	rm -rf "$STATE" && cp -a "$STATE.before" "$STATE"
	scan_device "$@"
	expect_exit "$name: exit 1" 1
	grep -v -e '-$' "$WORK/bad" >"$WORK/wanted"
	told >"$WORK/told"
	if cmp -s "$WORK/wanted" "$WORK/told"; then
		ok "$name: exactly the bad sectors of allocated blocks, and whose they are"
	else
		not_ok "$name: exactly the bad sectors of allocated blocks, and whose they are" \
			"$(diff "$WORK/wanted" "$WORK/told" | head -n 8 | tr '\n' ' ')"
	fi
	expect_json "$name: nothing is called corrupt" 'found | all(.verdict == "unreadable")'
	expect_json "$name: the file of the package, and the block of it" '[found[] |
		select(.code == "package.unreadable" and (.path | test("^(/usr)?/bin/bash$")))] |
		length == 1 and (.[0].detail | test("byte \($off) of inode"))' --arg off $((9 * UNIT))
	expect_json "$name: the metadata" '[found[] | select(.code == "ext4.unreadable") |
		.detail | capture("^(?<what>[a-z ]+) in group").what] | unique ==
		["directory block", "inode"]'
}

begin volume_faults
trap stop_and_cleanup EXIT
if [ -n "$(why_no_device)" ]; then
	skip "all" "$(why_no_device | head -n 1)"
	finish
fi
need nbdkit nbdfuse fusermount3 losetup mountpoint mke2fs debugfs dumpe2fs dpkg
mkdir "$WORK/mnt" "$WORK/nbd"
printf '[policy]\nsettle = 20ms\n' >"$CONF"
LOOPNAME=device
"$ROOT/tests/support/mkroot.sh" "$WORK/fs.img" 4k >"$WORK/said" 2>&1 ||
	{ skip all "$(head -n 1 "$WORK/said")" && finish; }
check "bad sectors for it" "a file is not as planned" choose_bad_sectors
cut -d ' ' -f 1,2 "$WORK/bad" | write_bad_map
check "a device without bad sectors" "$(tail -n 2 "$WORK/nbdkit.log" 2>/dev/null)" \
	start_device delay rdelay=0
scan_device
expect_json "it is clean" '(found | length) == 0 and volume.status == "complete"'
stop_device
cp -a "$STATE" "$STATE.before"
check "a device with them" "$(tail -n 2 "$WORK/nbdkit.log" 2>/dev/null)" \
	start_device ddrescue ddrescue-mapfile="$WORK/map"
test_sectors "io_uring"
test_sectors "pread" --engine pread
stop_device
finish

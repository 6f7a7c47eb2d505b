# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154 # variables of the other files
# SPDX-License-Identifier: Apache-2.0
#
# The bench root-blocks: how fast every allocated block of a filesystem is read and summed, beside
# sequential reads by fio. Sourced by run.sh behind lib.sh and disk.sh.
#
# What was read before comes faster (see disk.sh), so neither side reads anything twice. There are
# SETS (3) loop devices of ROOT_MIB (3072) for a filesystem and as much behind it for fio, with the
# same bytes; on the first one some more, to try depths on. In the filesystem there is a spool of
# ROOT_MESSAGES (ROOT_MIB times 16), of which each fifth message was deleted again: so there are
# gaps. One large file fills most of the rest. A round takes the next device. Bytes are those that
# come from the device: the allocated blocks, and the gaps that are read rather than left out.
#
#   ROOTBLOCKS  names the program

ROOT_MIB=${ROOT_MIB:-3072}
ROOT_MESSAGES=${ROOT_MESSAGES:-$((ROOT_MIB * 16))}
ROOTBLOCKS=${ROOTBLOCKS:-$(dirname "$MKSPOOL")/rootblocks}
ROOT_PROBE_MIB=256

root_image() { echo "$dir/root-$ROOT_MIB-$ROOT_MESSAGES-$1.img"; }

root_image_mib() { echo $((2 * ROOT_MIB + 3 * ROOT_PROBE_MIB)); }

# fill_root FOLDER SEED
fill_root()
{
	local large
	"$MKSPOOL" "$1/spool" --messages "$ROOT_MESSAGES" --mailboxes $((ROOT_MESSAGES / 285 + 1)) \
		--size lognormal --seed "$2" >/dev/null || die "mkspool failed"
	large=$(($(df --output=avail -m "$1" | tail -n 1) * 9 / 10))
	[ $large -gt 0 ] || die "ROOT_MESSAGES=$ROOT_MESSAGES do not fit into ROOT_MIB=$ROOT_MIB"
	while bytes_of_messages "$1/spool/spool"; do :; done | head -c ${large}M >"$1/large"
	find "$1/spool" -name '[0-9]*.' -print0 | sort -z | sed -zn '0~5p' | xargs -0 rm
}

# build_root NUMBER
build_root()
{
	local image
	image=$(root_image "$1")
	[ ! -e "$image.complete" ] || return 0
	rm -f "$image"
	echo "bench: building $image" >&2
	fallocate -l "$(root_image_mib)M" "$image" || die "cannot make $image"
	attach "$image"
	mkfs.ext4 -q -b 4096 -N $((ROOT_MESSAGES * 5 / 4 + 8192)) -J size=16 -m 0 \
		-E nodiscard,lazy_itable_init=0,lazy_journal_init=0 "$device" "${ROOT_MIB}M" ||
		die "mkfs.ext4 failed"
	mount_at "$dir/root"
	fill_root "$dir/root" "$1"
	unmount "$dir/root"
	mounted=()
	dd if="$device" of="$device" bs=1M count="$ROOT_MIB" seek="$ROOT_MIB" iflag=direct \
		oflag=direct conv=notrunc status=none || die "cannot write $image"
	dd if="$device" of="$device" bs=1M count=$((3 * ROOT_PROBE_MIB)) seek=$((2 * ROOT_MIB)) \
		iflag=direct oflag=direct conv=notrunc status=none || die "cannot write $image"
	close_disks
	sync
	touch "$image.complete"
}

# Bytes of the blocks that are in use, by the superblock.
root_used()
{
	dumpe2fs -h "$device" 2>/dev/null | awk '
		/^Block count:/ { n = $3 } /^Free blocks:/ { free = $3 } /^Block size:/ { size = $3 }
		END { printf "%.0f\n", (n - free) * size }'
}

root_fio_depth=''
find_root_fio_depth()
{
	local depth i=0 best=0
	attach "$(root_image 1)"
	for depth in 16 64 128; do
		drop_cache
		fio_reads "$device" $((2 * ROOT_MIB + i++ * ROOT_PROBE_MIB))M ${ROOT_PROBE_MIB}M $depth
		echo "bench: fio, depth $depth: $fio_mbs MB/s" >&2
		if awk -v a="$fio_mbs" -v b="$best" 'BEGIN { exit !(a > b) }'; then
			best=$fio_mbs root_fio_depth=$depth
		fi
	done
	close_disks
}

root_pass() { "$ROOTBLOCKS" "$device" >"$temp/rootblocks" || die "$ROOTBLOCKS failed"; }

our_root()
{
	measure root_pass
	read -r read_bytes _ told _ <"$temp/rootblocks"
	[ "$told" = "$bytes" ] || die "$told bytes were told, $bytes are in use"
	our_mbs=$(awk -v b="$read_bytes" -v us="$elapsed_us" 'BEGIN { printf "%.1f", b / us }')
}

fio_root()
{
	drop_cache && fio_reads "$device" "${ROOT_MIB}M" $((read_bytes / 1048576))M "$root_fio_depth"
}

# What begins a filesystem is free for a boot loader; a bit there must not go unnoticed.
check_that_root_pass_reads()
{
	local before byte i
	before=$(sed 's/.*XXH3//' "$temp/rootblocks")
	byte=$(od -An -tu1 -j100 -N1 "$device")
	for i in 4 0; do
		put_byte "$device" $((byte ^ i))
		root_pass
		[ $i = 0 ] || [ "$before" != "$(sed 's/.*XXH3//' "$temp/rootblocks")" ] ||
			die "a flipped bit in $device was not read"
	done
	[ "$before" = "$(sed 's/.*XXH3//' "$temp/rootblocks")" ] || die "another digest of the same"
}

# Why it cannot run, or nothing.
no_root_because()
{
	local why tool i missing=0
	why=$(no_disk_because 0)
	for tool in fio dumpe2fs; do
		command -v $tool >/dev/null || why="$tool is not installed"
	done
	for ((i = 1; i <= SETS; i++)); do
		[ -e "$(root_image $i).complete" ] || missing=$((missing + 1))
	done
	[ -n "$why" ] || [ $((missing * $(root_image_mib) + 2048)) -le \
		"$(df --output=avail -m "$dir" | tail -n 1)" ] ||
		why="no room for $missing times $(root_image_mib) MiB"
	echo "$why"
}

bench_root_blocks()
{
	local why round told=0 read_bytes
	why=$(no_root_because)
	if [ -n "$why" ]; then
		skip root-blocks "$why"
		return
	fi
	for ((round = 1; round <= SETS; round++)); do build_root $round; done
	find_root_fio_depth
	: >"$temp/rounds"
	cold=yes
	for ((round = 1; round <= SETS; round++)); do
		close_disks
		attach "$(root_image $round)"
		bytes=$(root_used)
		read_bytes=$bytes # where fio comes first: about what the pass reads
		in_turns $round our_root fio_root
		add_round "$our_mbs" "$fio_mbs" "o / t"
		echo "bench root-blocks: round $round: assay $our_mbs MB/s, fio $fio_mbs MB/s;" \
			"$(cat "$temp/rootblocks")" >&2
	done
	check_that_root_pass_reads
	close_disks
	tell root-blocks MB/s "fio-q$root_fio_depth" 0.90
}

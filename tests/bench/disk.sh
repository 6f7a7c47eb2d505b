# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154 # variables of the other files
# SPDX-License-Identifier: Apache-2.0
#
# The benches on an ext4 filesystem of their own, in a loop device that goes around the page cache.
# Sourced by run.sh behind lib.sh.
#
# Fresh data. Blocks that were read before come faster the next time, even with O_DIRECT, because
# the host of a virtual machine keeps them; so two sides that are compared by the bandwidth of the
# device must not read the same, nor one of them what was read a moment ago. There are SETS (3)
# images, each a filesystem with a spool and one large file of the bytes of the messages. A round of
# such a bench takes the next set: the scan reads the spool, fio the file beside it. So neither
# side reads anything twice in a bench, and what earlier benches and runs have read, they have read
# of both. allocated-vs-fio leaves the blocks of the large file to fio. Where the peers read the
# same files as the scan, one set is enough: there both sides find what the host has kept.
#
# A set of 200,000 messages is 13 GB, three are 39. They are built once and kept below build/bench,
# also when mkspool was made again. The images are allocated beforehand: a hole is no read at all.
#
#   MESSAGES (200000), MAILBOXES (one for 285 messages), SETS (3), POLITE_SECONDS (10)
#   PLAN, ALLOCATED  name the programs

MESSAGES=${MESSAGES:-200000}
MAILBOXES=${MAILBOXES:-$(((MESSAGES + 284) / 285))}
SETS=${SETS:-3}
DISK_BENCHES="block-vs-fio allocated-vs-fio block-vs-peers block-vs-sha1sum-P32 file-vs-P2 \
file-vs-P32 cpu memory page-cache polite"
POLITE_SECONDS=${POLITE_SECONDS:-10}
PLAN=${PLAN:-$(dirname "$MKSPOOL")/plan}
ALLOCATED=${ALLOCATED:-$(dirname "$MKSPOOL")/allocated}
mounted=()
attached=()

# ---- The filesystems ----------------------------------------------------------------------------

# A process that has ended keeps the files of its ring for a moment.
unmount() # FOLDER
{
	local i
	for ((i = 0; i < 50; i++)); do
		umount "$1" 2>"$temp/umount.err" && return
		sleep 0.1
	done
	echo "bench: $(cat "$temp/umount.err")" >&2
	umount --lazy "$1"
}

close_disks()
{
	local i
	for i in "${mounted[@]}"; do unmount "$i"; done
	for i in "${attached[@]}"; do losetup --detach "$i"; done
	mounted=() attached=()
	device=''
}

# 27 KB a message in the spool, 30 in the large file, 6 for fio to try its depths on, some room.
image_mib() { echo $((MESSAGES * 60 / 1000 + 512)); }

set_image() { echo "$dir/disk-$MESSAGES-$MAILBOXES-$1.img"; }

# What fio reads to try one depth.
probe_mib() { echo $((MESSAGES * 2 / 1024)); }

# attach IMAGE: sets $device.
attach()
{
	device=$(losetup --find --show --direct-io=on "$1") || die "no loop device for $1"
	attached+=("$device")
}

mount_at() # FOLDER
{
	mkdir -p "$1"
	mount -t ext4 -o noatime "$device" "$1" || die "cannot mount $device"
	mounted+=("$1")
}

# The bytes of the messages, twice.
bytes_of_messages()
{
	local i
	for i in 1 2; do
		find "$1" -name '[0-9]*.' -print0 | xargs -0 cat
	done 2>/dev/null
}

set_is_built() { [ -e "$(set_image "$1").complete" ]; } # NUMBER

# build_set NUMBER: the filesystem, a spool, a large file with the bytes of its messages, somewhat
# longer than what a scan of them reads, and for the first set another one to try depths on.
build_set()
{
	local image folder
	image=$(set_image "$1") folder=$dir/disk-$1
	! set_is_built "$1" || return 0
	rm -f "$image.complete" "$image"
	echo "bench: building $image" >&2
	fallocate -l "$(image_mib)M" "$image" || die "cannot make $image"
	attach "$image"
	# Few spare inodes and a small journal: nothing was ever written there, so they read too fast.
	mkfs.ext4 -q -b 4096 -N $((MESSAGES * 5 / 4 + 8192)) -J size=16 -m 0 \
		-E nodiscard,lazy_itable_init=0,lazy_journal_init=0 "$device" || die "mkfs.ext4 failed"
	mount_at "$folder"
	make_spool "$folder/spool" "$MESSAGES" "$MAILBOXES" lognormal "$1"
	bytes_of_messages "$folder/spool/spool" | head -c $((MESSAGES * 29))K >"$folder/large"
	[ "$(stat -c %s "$folder/large")" = $((MESSAGES * 29 * 1024)) ] || die "no room in $image"
	[ "$1" != 1 ] || head -c $((3 * $(probe_mib)))M "$folder/large" >"$folder/probe" ||
		die "cannot write $folder/probe"
	close_disks
	sync
	touch "$image.complete"
}

build_sets()
{
	local i
	for ((i = 1; i <= SETS; i++)); do build_set "$i"; done
}

# Why the benches of this file cannot run, or nothing.
no_disk_because() # SETS
{
	local tool i missing=0
	if [ "$(id -u)" != 0 ]; then
		echo "only root can mount"
		return
	fi
	for tool in losetup fallocate mkfs.ext4; do
		command -v $tool >/dev/null && continue
		echo "$tool is not installed"
		return
	done
	for ((i = 1; i <= $1; i++)); do set_is_built $i || missing=$((missing + 1)); done
	if ! losetup --find >/dev/null 2>&1; then
		echo "there is no loop device here"
	elif [ $((missing * $(image_mib) + 2048)) -gt "$(df --output=avail -m "$dir" | tail -n 1)" ]; then
		echo "no room for $missing times $(image_mib) MiB"
	fi
}

# use_set NUMBER: mounts it, unless it is, and works there.
use_set()
{
	local folder=$dir/disk-$1
	close_disks
	build_set "$1"
	attach "$(set_image "$1")"
	mount_at "$folder"
	large=$folder/large
	use_spool "$folder/spool"
	cold=yes
}

# ---- fio ----------------------------------------------------------------------------------------

# fio_reads FILE OFFSET BYTES DEPTH: sets $fio_mbs, as fio itself measures it, without its start.
fio_reads()
{
	local terse
	terse=$(fio --readonly --output-format=terse --terse-version=3 --name=peer --filename="$1" \
		--rw=read --bs=1M --offset="$2" --size="$3" --ioengine=io_uring --direct=1 \
		--fixedbufs=1 --registerfiles=1 --iodepth="$4" 2>"$temp/fio.err") ||
		die "fio failed: $(tail -n 1 "$temp/fio.err")"
	fio_mbs=$(awk -F';' '{ print $7 * 1024 / 1e6; exit }' <<<"$terse")
	[ "${fio_mbs%.*}" -gt 0 ] || die "fio read nothing: $terse"
}

# Which depth is best for fio is found once, on a file of its own: a third of it for each depth.
fio_depth=''
find_fio_depth()
{
	local depth i=0 best=0
	[ -z "$fio_depth" ] || return 0
	use_set 1
	for depth in 16 64 128; do
		drop_cache
		fio_reads "$dir/disk-1/probe" $((i++ * $(probe_mib)))M "$(probe_mib)M" $depth
		echo "bench: fio, depth $depth: $fio_mbs MB/s" >&2
		if awk -v a="$fio_mbs" -v b="$best" 'BEGIN { exit !(a > b) }'; then
			best=$fio_mbs fio_depth=$depth
		fi
	done
}

# ---- The benches --------------------------------------------------------------------------------

# with_fio NAME OURS: rounds of bandwidth; OURS is a function that sets $our_mbs and $read_bytes.
with_fio()
{
	local name=$1 ours=$2 target=$3 round most
	# shellcheck disable=SC2317 # called by in_turns
	run_fio() { drop_cache && fio_reads "$large" 0 $((read_bytes / 1048576))M "$fio_depth"; }
	build_sets
	find_fio_depth
	: >"$temp/rounds"
	for ((round = 1; round <= SETS; round++)); do
		use_set "$round"
		most=$(stat -c %s "$large")
		read_bytes=$((bytes * 104 / 100)) # where fio comes first: about what the scan reads
		[ $read_bytes -le "$most" ] || read_bytes=$most
		in_turns "$round" "$ours" run_fio
		add_round "$our_mbs" "$fio_mbs" "o / t"
		echo "bench $name: round $round: assay $our_mbs MB/s, fio $fio_mbs MB/s" >&2
	done
	[ "$name" = allocated-vs-fio ] || check_that_scan_reads
	tell "$name" MB/s "fio-q$fio_depth" "$target"
}

our_scan()
{
	measure scan_blocks
	read_bytes=$(said bytes_read)
	our_mbs=$(awk -v b="$read_bytes" -v us="$elapsed_us" 'BEGIN { printf "%.1f", b / us }')
}

our_allocated()
{
	measure "$ALLOCATED" "$device" large >"$temp/allocated"
	our_mbs=$(awk -v us="$elapsed_us" '{ printf "%.1f", $1 / us }' "$temp/allocated")
}

bench_block_vs_fio() { with_fio block-vs-fio our_scan 0.90; }

bench_allocated_vs_fio() { with_fio allocated-vs-fio our_allocated 0.95; }

# The fastest of the peers is found by one run each.
bench_block_vs_peers()
{
	local peer best='' best_us=0
	use_set 1
	for peer in sha1sum_P2 b3sum_P2 rclone_sha1 hashdeep_sha1; do
		if ! command -v "${peer%_*}" >/dev/null; then
			echo "bench block-vs-peers: ${peer%_*} is not installed" >&2
			continue
		fi
		measure $peer
		echo "bench block-vs-peers: $peer $((elapsed_us / 1000)) ms" >&2
		[ -n "$best" ] && [ "$elapsed_us" -ge "$best_us" ] || best=$peer best_us=$elapsed_us
	done
	compare block-vs-peers 7 scan_blocks "$best"
	check_that_scan_reads
}

bench_block_vs_sha1sum_P32()
{
	use_set 1
	compare block-vs-sha1sum-P32 4 scan_blocks sha1sum_P32
	check_that_scan_reads
}

bench_file_vs_P2()
{
	use_set 1
	compare file-vs-P2 2.5 scan_files sha1sum_P2
	check_that_scan_reads --order file
}

bench_file_vs_P32()
{
	use_set 1
	compare file-vs-P32 1.4 scan_files sha1sum_P32
	check_that_scan_reads --order file
}

# Seconds of both modes for a GiB of messages, without what the kernel does in threads of its own.
bench_cpu()
{
	local round
	use_set 1
	: >"$temp/rounds"
	for ((round = 1; round <= ROUNDS; round++)); do
		measure scan_blocks
		add_round "$(awk -v us="$cpu_us" -v b="$bytes" 'BEGIN { print us / 1e6 / (b / 1073741824) }')" \
			0.45 "t / o"
	done
	check_that_scan_reads
	tell cpu s/GiB limit 1.00
}

# The peak of a scan, and of a plan of two million messages, in MiB.
bench_memory()
{
	local peak
	use_set 1
	wrapper=("$RSS" "$temp/rss")
	scan_blocks
	wrapper=()
	peak=$(cat "$temp/rss")
	echo "bench memory: the scan of $files messages: peak $((peak / 1024)) MiB" >&2
	if [ -x "$PLAN" ]; then
		"$RSS" "$temp/rss" "$PLAN" >"$temp/plan.out" || die "$PLAN failed"
		echo "bench memory: $(tail -n 1 "$temp/plan.out"): peak $(($(cat "$temp/rss") / 1024)) MiB" >&2
		[ "$(cat "$temp/rss")" -le "$peak" ] || peak=$(cat "$temp/rss")
	fi
	[ "$peak" -gt 0 ] || die "no peak measured"
	: >"$temp/rounds"
	add_round "$(awk -v k="$peak" 'BEGIN { print k / 1024 }')" 256 "t / o"
	tell memory MiB limit 1.00
}

# Bytes in the page cache of every file of the filesystem and of its image. To look at them all is to
# read their inodes, so it may only be done behind the scan.
cached_files()
{
	{
		find "$(dirname "$large")" -xdev -type f -print0
		printf '%s\0' "$(set_image 1)"
	} | xargs -0 fincore --bytes --noheadings --output RES | awk '{ n += $1 } END { printf "%.0f\n", n }'
}

# The same of all block devices: inodes and directories of mounted filesystems.
cached_devices() { awk '$1 == "Buffers:" { printf "%.0f\n", $2 * 1024 }' /proc/meminfo; }

bench_page_cache()
{
	local round before grown
	use_set 1
	: >"$temp/rounds"
	for ((round = 1; round <= ROUNDS; round++)); do
		drop_cache
		before=$(cached_devices)
		scan_blocks
		grown=$(($(cached_devices) - before + $(cached_files)))
		echo "bench page-cache: round $round: $((grown / 1024)) KiB more" >&2
		[ $grown -ge 1024 ] || grown=1024
		add_round "$(awk -v b=$grown 'BEGIN { print b / 1048576 }')" 64 "t / o"
	done
	# Can this fail? The counting must notice a reader that goes through the cache.
	before=$(cached_files)
	head -c 64M "$large" >/dev/null
	[ $(($(cached_files) - before)) -ge 50000000 ] || die "64 MiB in the page cache were not seen"
	tell page-cache MiB limit 1.00
}

# foreground SEED: reads at random places of the large file, one at a time; sets $p99_us.
foreground()
{
	fio --readonly --output-format=json --name=foreground --filename="$large" --rw=randread \
		--bs=4k --ioengine=io_uring --direct=1 --iodepth=1 --randrepeat=0 --randseed="$1" \
		--time_based --runtime="$POLITE_SECONDS" --percentile_list=99 >"$temp/fio.json" \
		2>"$temp/fio.err" || die "fio failed: $(tail -n 1 "$temp/fio.err")"
	# The first of them are those of reads.
	p99_us=$(sed -n 's/.*"99.000000" : \([0-9]*\).*/\1/p' "$temp/fio.json" |
		awk '$1 > 0 { printf "%.1f\n", $1 / 1000; exit }')
	[ -n "$p99_us" ] || die "fio says no percentile"
}

# Scans that give way, one after the other until this is told to end.
scan_politely()
{
	local pid='' status
	trap '[ -z "$pid" ] || { kill -TERM $pid && wait $pid; }; exit 0' TERM
	while :; do
		rm -rf "$temp/polite"
		"$ASSAY" scan --imapd-conf "$conf" --state "$temp/polite" --json --polite \
			>"$temp/polite.out" 2>"$temp/polite.err" &
		pid=$!
		wait $pid
		status=$?
		[ $status = 0 ] || exit 1
	done
}

# The same beside such scans; sets $scan_mbs, which is not nothing.
foreground_beside_scan()
{
	local scans before
	before=$(read_kib)
	scan_politely &
	scans=$!
	foreground "$1"
	kill -TERM $scans
	wait $scans || die "the scan beside fio failed: $(tail -n 1 "$temp/polite.err")"
	scan_mbs=$(awk -v kib=$(($(read_kib) - before)) -v s="$POLITE_SECONDS" '
		/"io_bytes"/ { gsub(/[^0-9]/, ""); printf "%.1f", (kib * 1024 - $0) / 1e6 / s; exit }' \
		"$temp/fio.json")
	awk -v v="$scan_mbs" 'BEGIN { exit !(v > 0.1) }' || die "the polite scan read nothing"
}

# Each pair reads at other places, so that nothing was read before by either.
bench_polite()
{
	local round alone beside
	# shellcheck disable=SC2317 # called by in_turns
	run_alone() { drop_cache && foreground $((RANDOM * 2)) && alone=$p99_us; }
	# shellcheck disable=SC2317
	run_beside() { drop_cache && foreground_beside_scan $((RANDOM * 2 + 1)) && beside=$p99_us; }
	use_set 1
	: >"$temp/rounds"
	for ((round = 1; round <= ROUNDS; round++)); do
		in_turns "$round" run_alone run_beside
		add_round "$beside" "$alone" "o / t"
		echo "bench polite: round $round: p99 $alone us alone, $beside us beside a scan" \
			"of $scan_mbs MB/s" >&2
	done
	tell polite us-p99 fio-alone 1.25 most
}

# What each needs beside the programs of the tree.
needs_of()
{
	case $1 in
	block-vs-fio | allocated-vs-fio | polite) echo fio ;;
	page-cache) echo fincore ;;
	esac
}

# disk_bench NAME: false if there is none of that name.
disk_bench()
{
	local why tool sets=1
	case " $DISK_BENCHES " in
	*" $1 "*) ;;
	*) return 1 ;;
	esac
	case $1 in *-vs-fio) sets=$SETS ;; esac
	why=$(no_disk_because "$sets")
	for tool in $(needs_of "$1"); do
		command -v "$tool" >/dev/null || why="$tool is not installed"
	done
	if [ -n "$why" ]; then
		skip "$1" "$why"
		return
	fi
	"bench_${1//-/_}"
	close_disks
}

#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# The benches of `assay scan`, and of what it is made of. Usage: run.sh [NAME...], all of them without a name; by `make bench
# [NAME=n]` in the normal case.
#
#   scan-cold     files verified per second from the disk, beside sha1sum over the same files
#   scan-warm     the same from the page cache
#   scan-memory   peak memory, for 5,000 and for 50,000 messages
#   index-parse   records of cyrus.index parsed per second on one core, CRCs and all (index.c)
#   index-sums    the same with their sums, up to four sync CRCs each
#   twoskip-list  records per second of a walk over a mailbox list of 1,000,000, from the page cache
#
# On an ext4 filesystem of their own in a loop device (disk.sh), 200,000 messages, cold; only root
# can make it, so others skip them:
#
#   block-vs-fio      bytes per second of a scan in the order of the disk, beside sequential reads
#                     by fio
#   allocated-vs-fio  every allocated block, with XXH3 (allocated.c), beside the same
#   block-vs-peers    files per second, beside the fastest of sha1sum, b3sum, rclone and hashdeep
#   block-vs-sha1sum-P32, file-vs-P2, file-vs-P32
#                     in the order of the disk and as files, beside so many sha1sum at a time
#   cpu               seconds of processor time for a GiB
#   memory            peak of the scan, and of a plan of two million messages
#   page-cache        what a scan leaves in it
#   polite            the 99th percentile of small reads by fio, beside a scan and alone
#
# On others of their own (root.sh):
#
#   root-blocks       every allocated block with its sum, as a scan of a root filesystem reads them
#                     (rootblocks.c), beside sequential reads by fio
#
# Beside a real Cyrus (live.sh), which only root can start:
#
#   delivery-slowdown  time of a delivery to a store that is scanned meanwhile, beside the same
#                      with a copy of the store being scanned
#
# The two sides of a comparison take turns within one run, and each round goes the other way round,
# so that a disk whose speed drifts is unfair to neither; the ratio is the median of the ratios of
# the rounds. Each bench prints its line last:
#
#   bench NAME measured=V unit=U against=PEER peer=V ratio=R target=T ok|short
#
# Two things are checked that a stopwatch does not see. A run counts as cold only if the kernel
# read at least nine tenths of the spool from a block device meanwhile. And the program must find a
# bit that is flipped afterwards: one that reads nothing would be the fastest of all.
#
# Environment: ASSAY, MKSPOOL, RSS, INDEX, DBREAD name the programs; ROUNDS (5); for a quick try
# MESSAGES=20000,
# and what else disk.sh names. Spools are kept in build/bench.
# Exit status: 0 every bench ran and reached its target, 1 one was short or could not be measured,
# 3 unknown name, 77 none was short but one was skipped.

set -u -o pipefail
export LC_ALL=C

cd "$(dirname "$0")/../.." || exit 1
ASSAY=${ASSAY:-build/release/assay}
MKSPOOL=${MKSPOOL:-build/release/tests/mkspool}
RSS=${RSS:-$(dirname "$MKSPOOL")/rss}
INDEX=${INDEX:-$(dirname "$MKSPOOL")/index}
DBREAD=${DBREAD:-$(dirname "$MKSPOOL")/dbread}
ROUNDS=${ROUNDS:-5}
dir=$PWD/build/bench

# shellcheck source=lib.sh
. tests/bench/lib.sh
# shellcheck source=disk.sh
. tests/bench/disk.sh
# shellcheck source=root.sh
. tests/bench/root.sh
# shellcheck source=live.sh
. tests/bench/live.sh

for program in "$ASSAY" "$MKSPOOL" "$RSS" "$ALLOCATED" "$ROOTBLOCKS" "$INDEX" "$DBREAD"; do
	[ -x "$program" ] || die "no program at $program; use \`make bench\`"
done
mkdir -p "$dir" || exit 1
temp=$(mktemp -d "$dir/run.XXXXXX") || exit 1
trap 'close_disks; rm -rf "$temp"' EXIT
trap 'exit 130' INT TERM

# ---- The benches --------------------------------------------------------------------------------

bench_scan_cold()
{
	if ! drop_cache; then
		skip scan-cold "only root can drop the page cache"
		return
	fi
	build_spool 20000 100 lognormal
	cold=yes
	compare scan-cold 1.0 scan_clean sha1sum_P2
	check_that_scan_reads
}

bench_scan_warm()
{
	build_spool 20000 100 lognormal
	cold=no
	sha1sum_P2 # into the cache
	compare scan-warm 0.5 scan_clean sha1sum_P2
	check_that_scan_reads
}

# peak MESSAGES MAILBOXES: sets $peak_kib.
peak()
{
	build_spool "$1" "$2" fixed:2048
	wrapper=("$RSS" "$temp/rss")
	scan_clean
	wrapper=()
	peak_kib=$(cat "$temp/rss")
	[ "${peak_kib:-0}" -gt 0 ] || die "no peak measured"
	echo "bench scan-memory: $1 messages in $2 mailboxes: peak $peak_kib KiB" >&2
}

# Memory follows neither the number of messages nor the length of one index.
bench_scan_memory()
{
	local small many long
	peak 5000 50
	small=$peak_kib
	peak 50000 50
	many=$peak_kib
	peak 50000 1
	long=$peak_kib
	check_that_scan_reads
	awk -v small="$small" -v many="$many" -v long="$long" 'BEGIN {
		large = many > long ? many : long
		max = large > small ? large : small
		fits = max < 64 * 1024 && large < 1.25 * small
		printf "bench scan-memory measured=%.1f unit=MiB against=5000-messages peer=%.1f" \
			" ratio=%.2f target=64 %s\n", max / 1024, small / 1024, large / small, \
			fits ? "ok" : "short"
		exit !fits
	}' || short=$((short + 1))
}

# bench_index WHICH TARGET: records per second, beside their CRCs alone, which the target is not of.
bench_index()
{
	"$INDEX" >"$temp/index" || die "index failed"
	awk -F= -v which="$1" -v target="$2" '{ speed[$1] = $2 } END {
		fits = speed[which] >= target
		printf "bench index-%s measured=%.0f unit=records/s against=crc-alone peer=%.0f" \
			" ratio=%.2f target=%d %s\n", which, speed[which], speed["crc"],
			speed[which] / speed["crc"], target, fits ? "ok" : "short"
		exit !fits
	}' "$temp/index" || short=$((short + 1))
}

# A walk over a list as a repack leaves it; beside it the check of the whole file, which reads it twice.
bench_twoskip_list()
{
	local file=$temp/list nr seconds whole
	"$DBREAD" make "$file" 1000000 || die "$DBREAD cannot write a list"
	read -r _ nr _ seconds _ < <("$DBREAD" list "$file" "$ROUNDS")
	read -r _ _ _ whole _ < <("$DBREAD" check "$file" "$ROUNDS")
	rm -f "$file"
	[ "${nr:-0}" = 1000000 ] || die "${nr:-0} records were walked, not 1000000"
	awk -v seconds="$seconds" -v whole="$whole" 'BEGIN {
		walk = 1000000 / seconds; check = 1000000 / whole
		printf "bench twoskip-list measured=%.0f unit=records/s against=check peer=%.0f" \
			" ratio=%.2f target=1000000 %s\n", walk, check, walk / check,
			walk >= 1000000 ? "ok" : "short"
		exit walk < 1000000
	}' || short=$((short + 1))
}

# shellcheck disable=SC2086 # a list of names
[ $# -gt 0 ] || set -- scan-cold scan-warm scan-memory index-parse index-sums twoskip-list \
	$DISK_BENCHES root-blocks delivery-slowdown
for name in "$@"; do
	case $name in
	scan-cold) bench_scan_cold ;;
	scan-warm) bench_scan_warm ;;
	scan-memory) bench_scan_memory ;;
	index-parse) bench_index parse 5000000 ;;
	index-sums) bench_index sums 1500000 ;;
	twoskip-list) bench_twoskip_list ;;
	root-blocks) bench_root_blocks ;;
	delivery-slowdown) bench_delivery_slowdown ;;
	*)
		if ! disk_bench "$name"; then
			echo "bench: no bench named $name (scan-cold scan-warm scan-memory index-parse" \
				"index-sums twoskip-list $DISK_BENCHES root-blocks delivery-slowdown)" >&2
			exit 3
		fi
		;;
	esac
done

[ $short = 0 ] || exit 1
[ $skipped = 0 ] || exit 77

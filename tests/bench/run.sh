#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# The benches of `assay scan`. Usage: run.sh [NAME...], all of them without a name; by `make bench
# [NAME=n]` in the normal case.
#
#   scan-cold     files verified per second from the disk, beside sha1sum over the same files
#   scan-warm     the same from the page cache
#   scan-memory   peak memory, for 5,000 and for 50,000 messages
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
# Environment: ASSAY, MKSPOOL, RSS name the programs; ROUNDS (5). Spools are kept in build/bench.
# Exit status: 0 every bench ran and reached its target, 1 one was short or could not be measured,
# 3 unknown name, 77 none was short but one was skipped.

set -u -o pipefail
export LC_ALL=C

cd "$(dirname "$0")/../.." || exit 1
ASSAY=${ASSAY:-build/release/assay}
MKSPOOL=${MKSPOOL:-build/release/tests/mkspool}
RSS=${RSS:-$(dirname "$MKSPOOL")/rss}
ROUNDS=${ROUNDS:-5}
dir=$PWD/build/bench

short=0
skipped=0

die()
{
	echo "bench: $*" >&2
	exit 1
}

for program in "$ASSAY" "$MKSPOOL" "$RSS"; do
	[ -x "$program" ] || die "no program at $program; use \`make bench\`"
done
mkdir -p "$dir" || exit 1
temp=$(mktemp -d "$dir/run.XXXXXX") || exit 1
trap 'rm -rf "$temp"' EXIT
trap 'exit 130' INT TERM

# ---- Spools -------------------------------------------------------------------------------------

# build_spool MESSAGES MAILBOXES SIZE: sets $spool, $files and $bytes. A spool is built once, and
# again when the builder is newer or when it was left half-built or damaged (no mark).
build_spool()
{
	local totals
	spool=$dir/spool-$1-$2-${3/:/-}
	if [ ! -e "$spool/complete" ] || [ "$MKSPOOL" -nt "$spool/complete" ]; then
		rm -rf "$spool"
		"$MKSPOOL" "$spool" --messages "$1" --mailboxes "$2" --size "$3" --seed 1 \
			>"$temp/totals" || die "mkspool failed"
		mv "$temp/totals" "$spool/complete"
	fi
	read -r files _ bytes _ <"$spool/complete"
	totals=$(find "$spool/spool" -name '[0-9]*.' -printf x | wc -c)
	[ "$totals" = "$files" ] || die "$spool: $totals files, not $files"
}

# ---- The two sides ------------------------------------------------------------------------------

# scan [WRAPPER...]: one scan of the spool, with nothing remembered from another.
scan()
{
	local status
	rm -rf "$temp/state"
	"$@" "$ASSAY" scan --imapd-conf "$spool/imapd.conf" --state "$temp/state" \
		>"$temp/scan.out" 2>"$temp/scan.err"
	status=$?
	return $status
}

scan_clean()
{
	local status
	scan "$@"
	status=$?
	[ $status = 0 ] && return
	tail -n 20 "$temp/scan.out" "$temp/scan.err" >&2
	die "the scan of a clean spool exited $status"
}

sum()
{
	find "$spool/spool" -name '[0-9]*.' -print0 | xargs -0 -n500 -P2 sha1sum >/dev/null ||
		die "sha1sum failed"
}

# A scan that says all is well of a spool with a flipped bit measures nothing.
check_that_scan_reads()
{
	local file byte status
	file=$(find "$spool/spool" -name '[0-9]*.' | sort | sed -n "$((files / 2))p")
	mv "$spool/complete" "$temp/complete" || exit 1
	touch -r "$file" "$temp/times"
	byte=$(od -An -tu1 -j100 -N1 "$file")
	put_byte "$file" $((byte ^ 4))
	touch -r "$temp/times" "$file"
	scan
	status=$?
	put_byte "$file" $((byte))
	touch -r "$temp/times" "$file"
	mv "$temp/complete" "$spool/complete" || exit 1
	[ $status = 1 ] || die "a flipped bit in $file: the scan exited $status, not 1"
}

# put_byte FILE VALUE: the byte at offset 100.
put_byte()
{
	# shellcheck disable=SC2059 # the format is the byte
	printf "$(printf '\\%03o' "$2")" |
		dd of="$1" bs=1 seek=100 conv=notrunc status=none || die "cannot write $1"
}

# ---- Measuring ----------------------------------------------------------------------------------

# KiB read from block devices since boot.
read_kib()
{
	awk '$1 == "pgpgin" { print $2 }' /proc/vmstat
}

drop_cache()
{
	sync
	echo 3 2>/dev/null >/proc/sys/vm/drop_caches
}

# measure COMMAND: sets $elapsed_us; with $cold, starts from an empty cache and checks that it was.
measure()
{
	local start end before after
	if [ "$cold" = yes ]; then
		drop_cache || die "cannot drop the page cache"
	fi
	before=$(read_kib)
	start=${EPOCHREALTIME/./}
	"$@"
	end=${EPOCHREALTIME/./}
	after=$(read_kib)
	elapsed_us=$((end - start))
	if [ "$cold" = yes ] && [ $(((after - before) * 1024)) -lt $((bytes * 9 / 10)) ]; then
		die "$1: $((after - before)) KiB came from the disk, of $((bytes / 1024)): not cold"
	fi
}

# compare NAME TARGET: rounds of both sides, then the result lines.
compare()
{
	local name=$1 target=$2 round ours theirs
	: >"$temp/rounds"
	for ((round = 1; round <= ROUNDS; round++)); do
		if ((round % 2)); then
			measure scan_clean
			ours=$elapsed_us
			measure sum
			theirs=$elapsed_us
		else
			measure sum
			theirs=$elapsed_us
			measure scan_clean
			ours=$elapsed_us
		fi
		echo "$ours $theirs" >>"$temp/rounds"
		echo "bench $name: round $round: assay $((ours / 1000)) ms," \
			"sha1sum-P2 $((theirs / 1000)) ms" >&2
	done
	check_that_scan_reads
	awk -v name="$name" -v target="$target" -v files="$files" -v bytes="$bytes" '
		function median(a, n,    i, j, t) {
			for (i = 2; i <= n; i++)
				for (j = i; j > 1 && a[j - 1] > a[j]; j--) {
					t = a[j]; a[j] = a[j - 1]; a[j - 1] = t
				}
			return n % 2 ? a[(n + 1) / 2] : (a[n / 2] + a[n / 2 + 1]) / 2
		}
		{
			ours[NR] = files * 1e6 / $1
			theirs[NR] = files * 1e6 / $2
			ratio[NR] = $2 / $1
		}
		END {
			if (!NR)
				exit 2
			v = median(ours, NR); peer = median(theirs, NR); r = median(ratio, NR)
			mean = bytes / files / 1e6
			printf "bench %s: %d files, %.1f MB, %d rounds: assay %.1f MB/s," \
				" sha1sum-P2 %.1f MB/s\n", name, files, bytes / 1e6, NR, \
				v * mean, peer * mean
			printf "bench %s measured=%.0f unit=files/s against=sha1sum-P2 peer=%.0f" \
				" ratio=%.2f target=%s %s\n", name, v, peer, r, target, \
				r >= target ? "ok" : "short"
			exit !(r >= target)
		}' "$temp/rounds" || short=$((short + 1))
}

# ---- The benches --------------------------------------------------------------------------------

bench_scan_cold()
{
	if ! drop_cache; then
		echo "skip scan-cold: only root can drop the page cache" >&2
		skipped=$((skipped + 1))
		return
	fi
	build_spool 20000 100 lognormal
	cold=yes
	compare scan-cold 1.0
}

bench_scan_warm()
{
	build_spool 20000 100 lognormal
	cold=no
	sum # into the cache
	compare scan-warm 0.5
}

# peak MESSAGES MAILBOXES: sets $peak_kib.
peak()
{
	build_spool "$1" "$2" fixed:2048
	scan_clean "$RSS" "$temp/rss"
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

[ $# -gt 0 ] || set -- scan-cold scan-warm scan-memory
for name in "$@"; do
	case $name in
	scan-cold) bench_scan_cold ;;
	scan-warm) bench_scan_warm ;;
	scan-memory) bench_scan_memory ;;
	*)
		echo "bench: no bench named $name (scan-cold, scan-warm, scan-memory)" >&2
		exit 3
		;;
	esac
done

[ $short = 0 ] || exit 1
[ $skipped = 0 ] || exit 77

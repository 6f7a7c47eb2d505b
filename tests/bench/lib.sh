# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154 # variables of the other files
# SPDX-License-Identifier: Apache-2.0
#
# What the benches are written with: spools, running the two sides, measuring, telling. Sourced by
# run.sh, which sets $ASSAY, $MKSPOOL, $RSS, $ROUNDS, $dir and $temp.
#
# A bench sets where it works: $conf is an imapd.conf, $tree the folder with its messages, $files
# and $bytes how many they are; $device the block device below them, "" when that is the disk of
# build/; $cold whether each measurement begins with an empty cache.

short=0
skipped=0
conf='' tree='' files=0 bytes=0 device='' cold=no

die()
{
	echo "bench: $*" >&2
	exit 1
}

# skip NAME WHY
skip()
{
	echo "skip $1: $2" >&2
	skipped=$((skipped + 1))
}

# ---- Spools -------------------------------------------------------------------------------------

# use_spool FOLDER: one that mkspool has built, with its totals in FOLDER/complete.
use_spool()
{
	local found
	conf=$1/imapd.conf tree=$1/spool spool=$1
	read -r files _ bytes _ <"$1/complete"
	found=$(find "$tree" -name '[0-9]*.' -printf x | wc -c)
	[ "$found" = "$files" ] || die "$1: $found files, not $files"
}

# make_spool FOLDER MESSAGES MAILBOXES SIZE SEED: built once, and again when the builder is newer or
# when it was left half-built or damaged (no mark).
make_spool()
{
	[ ! -e "$1/complete" ] || [ "$MKSPOOL" -nt "$1/complete" ] || return 0
	rm -rf "$1"
	"$MKSPOOL" "$1" --messages "$2" --mailboxes "$3" --size "$4" --seed "$5" \
		>"$temp/totals" || die "mkspool failed"
	mv "$temp/totals" "$1/complete" || exit 1
}

# build_spool MESSAGES MAILBOXES SIZE: on the disk of build/.
build_spool()
{
	local folder=$dir/spool-$1-$2-${3/:/-}
	device=''
	make_spool "$folder" "$1" "$2" "$3" 1
	use_spool "$folder"
}

# ---- The two sides ------------------------------------------------------------------------------

# scan [OPTION...]: one scan of the spool, with nothing remembered from another. WRAPPER, an array,
# is what it runs under.
wrapper=()
scan()
{
	rm -rf "$temp/state"
	"${wrapper[@]}" "$ASSAY" scan --imapd-conf "$conf" --state "$temp/state" --json "$@" \
		>"$temp/scan.out" 2>"$temp/scan.err"
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

# said KEY: a number in the summary of the last scan.
said()
{
	sed -n "s/.*\"type\":\"summary\".*\"$1\":\\([0-9]*\\).*/\\1/p" "$temp/scan.out"
}

# The scan as `scan_clean`, which must have gone the way that is measured.
scan_blocks()
{
	scan_clean "$@"
	grep -q '"order":"block"' "$temp/scan.out" ||
		die "the scan did not read in the order of the disk: $(cat "$temp/scan.out")"
	[ "$(said as_files)" -le $((files / 100)) ] ||
		die "$(said as_files) of $files messages were read as files"
}

scan_files()
{
	scan_clean --order file "$@"
	grep -q '"order":"file"' "$temp/scan.out" || die "the scan did not read files"
}

# The peers. The names of the files are part of what they have to find out.
each_message()
{
	find "$tree" -name '[0-9]*.' -print0 | xargs -0 -n500 "$@" >/dev/null
}
sha1sum_P2() { each_message -P2 sha1sum || die "sha1sum failed"; }
sha1sum_P32() { each_message -P32 sha1sum || die "sha1sum failed"; }
b3sum_P2() { each_message -P2 b3sum --num-threads 1 || die "b3sum failed"; }
rclone_sha1()
{
	rclone --config /dev/null hashsum sha1 "$tree" --include '[0-9]*.' >/dev/null \
		2>"$temp/rclone.err" || die "rclone failed: $(tail -n 1 "$temp/rclone.err")"
}
hashdeep_sha1() { hashdeep -c sha1 -r "$tree" >/dev/null || die "hashdeep failed"; }

# A scan that says all is well of a spool with a flipped bit measures nothing. What was changed a
# moment ago is read as a file whatever the order is, so a moment passes.
check_that_scan_reads() # [OPTION...]
{
	local file byte status
	file=$(find "$tree" -name '[0-9]*.' | sort | sed -n "$((files / 2))p")
	mv "$spool/complete" "$temp/complete" || exit 1
	touch -r "$file" "$temp/times"
	byte=$(od -An -tu1 -j100 -N1 "$file")
	put_byte "$file" $((byte ^ 4))
	touch -r "$temp/times" "$file"
	[ -z "$device" ] || sleep 2
	scan "$@"
	status=$?
	put_byte "$file" $((byte))
	touch -r "$temp/times" "$file"
	mv "$temp/complete" "$spool/complete" || exit 1
	[ $status = 1 ] || die "a flipped bit in $file: the scan exited $status, not 1"
	[ -z "$device" ] || sleep 2
}

# put_byte FILE VALUE: the byte at offset 100.
put_byte()
{
	# shellcheck disable=SC2059 # the format is the byte
	printf "$(printf '\\%03o' "$2")" |
		dd of="$1" bs=1 seek=100 conv=notrunc status=none || die "cannot write $1"
	sync "$1"
}

# ---- Measuring ----------------------------------------------------------------------------------

# KiB read so far: of the device, which nobody else reads; or from all block devices since boot.
read_kib()
{
	if [ -n "$device" ]; then
		awk '{ print int($3 / 2) }' "/sys/block/${device#/dev/}/stat"
	else
		awk '$1 == "pgpgin" { print $2 }' /proc/vmstat
	fi
}

drop_cache()
{
	sync
	echo 3 2>/dev/null >/proc/sys/vm/drop_caches
}

# measure COMMAND...: sets $elapsed_us, $cpu_us and $kib; with $cold, starts from an empty cache and
# checks that it was.
measure()
{
	local start end before user system
	if [ "$cold" = yes ]; then
		drop_cache || die "cannot drop the page cache"
	fi
	before=$(read_kib)
	start=${EPOCHREALTIME/./}
	TIMEFORMAT='%3U %3S'
	{ time "$@" 2>&3; } 3>&2 2>"$temp/times.cpu" || exit 1
	end=${EPOCHREALTIME/./}
	kib=$(($(read_kib) - before))
	elapsed_us=$((end - start))
	read -r user system <"$temp/times.cpu"
	cpu_us=$((10#${user/./}000 + 10#${system/./}000))
	if [ "$cold" = yes ] && [ $((kib * 1024)) -lt $((bytes * 9 / 10)) ]; then
		die "$1: $kib KiB came from the disk, of $((bytes / 1024)): not cold"
	fi
}

# in_turns ROUND OURS THEIRS: runs both functions, each round the other way round.
in_turns()
{
	if (($1 % 2)); then
		"$2" && "$3"
	else
		"$3" && "$2"
	fi
}

# ---- Telling ------------------------------------------------------------------------------------

# tell NAME UNIT AGAINST TARGET [most]: the result line, from what was found in each round, a line
# each of $temp/rounds: ours, theirs, ratio. Medians of each. The ratio is to be at least the
# target, or, with `most`, at most.
tell()
{
	awk -v name="$1" -v unit="$2" -v against="$3" -v target="$4" -v most="${5:-}" '
		function median(a, n,    i, j, t) {
			for (i = 2; i <= n; i++)
				for (j = i; j > 1 && a[j - 1] > a[j]; j--) {
					t = a[j]; a[j] = a[j - 1]; a[j - 1] = t
				}
			return n % 2 ? a[(n + 1) / 2] : (a[n / 2] + a[n / 2 + 1]) / 2
		}
		function round_of(v) {
			return sprintf(v < 10 ? "%.3f" : v < 1000 ? "%.1f" : "%.0f", v)
		}
		{ ours[NR] = $1; theirs[NR] = $2; ratio[NR] = $3 }
		END {
			if (!NR)
				exit 2
			r = median(ratio, NR)
			fits = most ? r <= target : r >= target
			printf "bench %s measured=%s unit=%s against=%s peer=%s ratio=%.2f" \
				" target=%s %s\n", name, round_of(median(ours, NR)), unit, \
				against, round_of(median(theirs, NR)), r, target, fits ? "ok" : "short"
			exit !fits
		}' "$temp/rounds" || short=$((short + 1))
}

# add_round OURS THEIRS RATIO: of them the ratio is an awk expression of o and t.
add_round()
{
	awk -v o="$1" -v t="$2" "BEGIN { print o, t, $3 }" >>"$temp/rounds"
}

# compare NAME TARGET OURS PEER: files per second of both sides, in rounds.
compare()
{
	local name=$1 target=$2 ours=$3 peer=$4 our_us their_us round
	# shellcheck disable=SC2317 # called by in_turns
	run_ours() { measure "$ours" && our_us=$elapsed_us; }
	# shellcheck disable=SC2317
	run_theirs() { measure "$peer" && their_us=$elapsed_us; }
	: >"$temp/rounds"
	for ((round = 1; round <= ROUNDS; round++)); do
		in_turns "$round" run_ours run_theirs
		awk -v n="$files" -v a="$our_us" -v b="$their_us" \
			'BEGIN { print n * 1e6 / a, n * 1e6 / b, b / a }' >>"$temp/rounds"
		echo "bench $name: round $round: assay $((our_us / 1000)) ms," \
			"${peer//_/-} $((their_us / 1000)) ms" >&2
	done
	echo "bench $name: $files files, $((bytes / 1000000)) MB, $ROUNDS rounds" >&2
	tell "$name" files/s "${peer//_/-}" "$target"
}

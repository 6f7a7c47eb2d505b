#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# run-checks.sh [ITEM...]: runs the components of `make check` and counts every single test.
#
# A component is a make target or a script. It prints one line a test,
#
#   ok NAME        not ok NAME: why        skip NAME: why
#
# and is not believed beyond that: one that exits non-zero without a `not ok` line is a failure, so
# is one that prints no result at all, one whose own count differs from its lines, and one that is
# not done in time. First everything is built by both compilers, then components run beside each
# other; the output of each is shown in one piece when it ends. The last lines are the skipped tests
# and the counts; the exit status is 0 when something passed and nothing failed.
#
# ITEM is a component (see builds and components below), `cli` for all scripts of tests/cli, or the
# path of a script; without any, all run. `--layers` is the layer check itself.
set -u -o pipefail
cd "$(dirname "$0")/.." || exit 1

jobs=$(nproc)
[ "$jobs" -ge 2 ] || jobs=2
limit=${CHECK_TIMEOUT:-900} # seconds for one component

# What the make that called us was told is not meant for those we call.
unset MAKEFLAGS MFLAGS MAKEOVERRIDES MAKELEVEL VARIANT BUILDDIR NAME SEED COUNT MINUTES SUITE \
	FUZZ_SECONDS
export LC_ALL=C.UTF-8 TZ=UTC W="${W:-}"
export ASSAY="${ASSAY:-$PWD/build/dev/assay}" MKSPOOL="${MKSPOOL:-$PWD/build/dev/tests/mkspool}"
export LIVE_CHURN_SECONDS="${LIVE_CHURN_SECONDS:-20}"
umask 022

# Compilers first, one after the other: each uses all processors. Then the slow ones first.
builds=(build-dev build-clang build-asan build-release build-fuzz)
components=(live live-asan agree fuzz replay campaign demo unit unit-asan cli install layers headers symbols man docs
	scripts)

cli_scripts() {
	find tests/cli -name '*.sh' -type f -perm -u+x 2>/dev/null | sort
}

# ---- Components ---------------------------------------------------------------------------------

# Says ok for a command that says nothing itself: its exit status is the result.
by_status() {
	local name=$1 status
	shift
	"$@"
	status=$?
	if [ $status -eq 0 ]; then
		echo "ok $name"
	else
		echo "not ok $name: exit status $status"
	fi
	return $status
}

# Turns the result lines of `make fuzz` into ours.
fuzz_results() {
	sed -E -e 's/^fuzz ([^ ]+) runs=([1-9][0-9]*) crashes=0$/ok fuzz\/\1: \2 runs/' \
		-e 's/^fuzz ([^ ]+) (.*)$/not ok fuzz\/\1: \2/'
}

# Turns the result line of `make campaign` into ours; what a campaign complains of is on stderr.
campaign_results() { # VARIANT
	sed -n -E -e "s/^campaign ([^ ]+) (.* injected=[1-9][0-9]* .*) ok\$/ok campaign\/\1: \2 ($1)/p" \
		-e "s/^campaign ([^ ]+) (.*)\$/not ok campaign\/\1: \2 ($1)/p"
}

# The sanitizers make it slow, so it is shorter with them.
check_campaign() {
	local failed=0
	make -s check-campaign | campaign_results dev || failed=1
	make -s VARIANT=asan check-campaign COUNT=5 | campaign_results asan || failed=1
	return $failed
}

check_scripts() {
	local script said failed=0
	if ! command -v shellcheck >/dev/null; then
		echo "skip scripts: all: shellcheck is not installed"
		return
	fi
	while IFS= read -r script; do
		if said=$(shellcheck -x -P SCRIPTDIR "$script"); then
			echo "ok scripts: $script"
		else
			echo "$said"
			echo "not ok scripts: $script: shellcheck complains"
			failed=1
		fi
	done < <(find .ci tests -type f \( -name '*.sh' -o -path .ci/run \) | sort)
	return $failed
}

run_component() {
	case $1 in
	build-dev) by_status "$1: ${CC:-gcc}, no warning" make -s -j"$jobs" everything ;;
	build-clang) by_status "$1: clang, no warning" make -s -j"$jobs" VARIANT=clang everything ;;
	build-asan) by_status "$1" make -s -j"$jobs" VARIANT=asan everything ;;
	build-release) by_status "$1: -O2, no warning" make -s -j"$jobs" VARIANT=release all ;;
	build-fuzz) by_status "$1" make -s -j"$jobs" VARIANT=fuzz fuzz-targets ;;
	unit) make -s check-unit ;;
	unit-asan) make -s check-asan ;;
	replay) make -s check-replay ;;
	fuzz) make -s check-fuzz-short | fuzz_results ;;
	campaign) check_campaign ;;
	# All of it once more, with the sanitizers, on mailboxes in directories by name; and read in
	# blocks, where there are loop devices for the lab to lie on.
	live-asan)
		loop=0
		if losetup -f >/dev/null 2>&1; then
			loop=1
		else
			echo "skip live-asan: in the order of the disk: there is no loop device"
		fi
		LOOP=$loop LEGACY_DIRS=yes LIVE_CHURN_SECONDS=10 ASSAY=$PWD/build/asan/assay \
			bash tests/lab/test-live.sh
		;;
	demo) by_status "make demo" make -s demo ;;
	live | agree | layers | headers | symbols | install | man | docs) make -s "check-$1" ;;
	scripts) check_scripts ;;
	cli) echo "not ok cli: tests/cli holds no script that can be run" ;;
	*/*) "$1" ;;
	*) echo "not ok $1: there is no such component" ;;
	esac
}

# ---- The layer check, which first shows that it can fail ----------------------------------------

layers() {
	local awk_args=(-v layers="$LAYERS" -v root="$1")
	shift
	awk "${awk_args[@]}" -f tests/layers.awk "$@"
}

# plant NAME WORDS PATH COMMAND...: the check rejects a file PATH with what COMMAND prints, for the
# reason that WORDS are part of.
plant() {
	local name=$1 words=$2 path=$3 said
	shift 3
	mkdir -p "$planted/$(dirname "$path")"
	"$@" >"$planted/$path"
	if said=$(layers "$planted" "$planted/$path") || [[ $said != *"$words"* ]]; then
		echo "not ok layers: rejects $name: it says '$said'"
		return 1
	fi
	echo "ok layers: rejects $name"
}

function_of() { # a function that is as many lines long as given, braces included
	printf 'int f(void)\n{\n'
	yes $'\tcall();' | head -n $(($1 - 2))
	printf '}\n'
}

# What must not be found fault with, each at its limit.
plant_good() {
	mkdir -p "$planted/good/io" "$planted/good/format/cyrus" "$planted/good/state"
	printf '#include "io/ring.h"\n#include "base/buf.h"\n#include <liburing.h>\n' \
		>"$planted/good/io/ring.c"
	printf '#include <linux/fs.h>\n#include <sys/ioctl.h>\n' >"$planted/good/io/dev.c"
	printf '#include <assay.h>\n#include <sqlite3.h>\n' >"$planted/good/state/state.c"
	{
		printf '#include "format/assay/conf.h"\n#include "digest/digest.h"\n/* XXH3 */\n'
		function_of 80
		yes '' | head -n $((800 - 3 - 81))
	} >"$planted/good/format/cyrus/index.c"
	local said
	if said=$(layers "$planted/good" "$planted"/good/*/*.c "$planted"/good/*/*/*.c); then
		echo "ok layers: accepts what is allowed"
	else
		echo "not ok layers: accepts what is allowed: $(head -1 <<<"$said")"
		return 1
	fi
}

check_layers() {
	local planted failed=0 said
	mkdir -p build && planted=$(mktemp -d build/layers-check.XXXXXX) || return 1
	# shellcheck disable=SC2064 # the name of now
	trap "rm -rf '$planted'" EXIT

	plant "an include of a higher layer" 'base (rank 0) may not use io' base/up.c \
		echo '#include "io/source.h"' || failed=1
	plant "an include of another layer of the same rank" 'may not use digest' io/side.c \
		echo '#include "digest/digest.h"' || failed=1
	plant "an include past the folders" 'write it from' cli/dots.c \
		echo '#include "../base/buf.h"' || failed=1
	plant "liburing outside io/ring.c" 'only io/ring.c may' io/pump.c \
		echo '#include <liburing.h>' || failed=1
	plant "libblkid outside io/identity.c" 'only io/identity.c may' io/dev.c \
		echo '#include <blkid/blkid.h>' || failed=1
	plant "an ioctl outside io/dev.c" 'only io/dev.c may' io/file.c \
		echo '#include <sys/ioctl.h>' || failed=1
	plant "SQLite outside state/" 'only state/*.c and state/sql.h may' verify/scan.c \
		echo '#include <sqlite3.h>' || failed=1
	plant "a folder that is no layer" 'lies in no layer' misc/x.c echo 'int x;' || failed=1
	plant "a file of 801 lines" '801 lines' base/long.c seq 801 || failed=1
	plant "a function of 81 lines" 'f() has 81 lines' base/function.c function_of 81 || failed=1
	plant "a note that work is left" 'a note' base/note.c echo "/* TO""DO: later */" || failed=1
	plant_good || failed=1

	local files
	mapfile -t files < <(find src -name '*.[ch]' | sort)
	if [ ${#files[@]} -eq 0 ]; then
		echo "not ok layers: src: holds no source"
		return 1
	fi
	if said=$(layers src "${files[@]}"); then
		echo "ok layers: src, ${#files[@]} files"
	else
		echo "not ok layers: ${said//$'\n'/$'\n'not ok layers: }"
		failed=1
	fi
	return $failed
}

# ---- The aggregator -----------------------------------------------------------------------------

result_pattern='^(ok|not ok|skip) '
counts_pattern='^[0-9]+ passed, [0-9]+ failed, [0-9]+ skipped$'

count_of() { # WORD FILE
	grep -c "^$1 " "$2"
}

# Runs one component in the background, with a temporary folder that it must leave empty.
begin() {
	local name=$1
	local base=$out/${name//\//_}
	mkdir -p "$tmp/${name//\//_}"
	local folder=$tmp/${name//\//_}
	case $name in live | live-asan | agree | demo) folder=${TMPDIR:-/tmp} ;; esac # their servers run as other users
	(
		SECONDS=0
		TMPDIR=$folder timeout -k 10 "$limit" bash tests/run-checks.sh --component "$name" \
			</dev/null >"$base.out" 2>&1 &
		trap 'kill $!' TERM
		wait $!
		echo $? $SECONDS >"$base.status"
	) &
	running[$!]=$name
}

# Prints the failures that a component did not admit itself.
judge() {
	local name=$1 base=$2 status=$3 counts said
	local results failures
	results=$(grep -cE "$result_pattern" "$base.out")
	failures=$(count_of 'not ok' "$base.out")
	if [ "$status" -eq 124 ] || [ "$status" -eq 137 ]; then
		echo "not ok $name: not done after $limit s"
	elif [ "$results" -eq 0 ]; then
		echo "not ok $name: exit status $status, and not one result"
	elif [ "$status" -ne 0 ] && [ "$failures" -eq 0 ]; then
		echo "not ok $name: exit status $status, though no test failed"
	fi
	said=$(grep -E "$counts_pattern" "$base.out" | tail -n 1)
	counts="$(count_of ok "$base.out") passed, $failures failed,"
	counts+=" $(count_of skip "$base.out") skipped"
	if [ -n "$said" ] && [ "$said" != "$counts" ]; then
		echo "not ok $name: it counts $said; its lines say $counts"
	fi
	said=$(find "$tmp/${name//\//_}" -mindepth 1 -maxdepth 1 -printf '%f ')
	if [ -n "$said" ]; then
		echo "not ok $name: leaves temporary files behind: $said"
	fi
}

# Shows what a component said and keeps its results.
finish() {
	local name=$1
	local base=$out/${name//\//_}
	local status=1 seconds=0
	[ -s "$base.status" ] && read -r status seconds <"$base.status"
	judge "$name" "$base" "$status" >"$base.judged"
	echo "== $name ($seconds s)"
	grep -vE -e "$counts_pattern" -e '^make(\[[0-9]+\])?: \*\*\* ' "$base.out"
	cat "$base.judged"
	grep -hE "$result_pattern" "$base.out" "$base.judged" |
		sed "s|\$| [$name]|" >>"$out/results"
}

# run_all HOW-MANY-AT-ONCE ITEM...
run_all() {
	local at_once=$1 item pid
	shift
	for item in "$@" ''; do
		# The empty item, last, waits for all.
		while [ ${#running[@]} -ge "$([ -n "$item" ] && echo "$at_once" || echo 1)" ]; do
			wait -n -p pid "${!running[@]}"
			finish "${running[$pid]}"
			unset "running[$pid]"
		done
		[ -z "$item" ] || begin "$item"
	done
}

tree_files() {
	find . -path ./build -prune -o -path ./.git -prune -o -print | sort
}

# Nothing is ever written outside build/.
check_tree() {
	local new
	new=$(comm -13 "$out/tree" <(tree_files) | tr '\n' ' ')
	echo "== tree"
	if [ -z "$new" ]; then
		echo "ok tree: nothing was written outside build/"
	else
		echo "not ok tree: new outside build/: $new"
	fi | tee -a "$out/results"
}

stop() {
	trap '' INT TERM HUP
	[ ${#running[@]} -eq 0 ] || kill "${!running[@]}" 2>/dev/null
	wait
	rm -rf "$out" "$tmp"
	exit 130
}

main() {
	local items=() item passed failed skipped
	declare -gA running=()
	[ $# -gt 0 ] || set -- "${components[@]}"
	for item in "$@"; do
		if [ "$item" = cli ] && [ -n "$(cli_scripts)" ]; then
			mapfile -t -O ${#items[@]} items < <(cli_scripts)
		else
			items+=("$item")
		fi
	done
	mkdir -p build && out=$(mktemp -d build/check.XXXXXX) && tmp=$(mktemp -d) || exit 1
	trap 'rm -rf "$out" "$tmp"' EXIT
	trap stop INT TERM HUP
	: >"$out/results"
	if [ "$*" = "${components[*]}" ]; then
		tree_files >"$out/tree"
		run_all 1 "${builds[@]}"
		run_all "$jobs" "${items[@]}"
		check_tree
	else
		run_all "$jobs" "${items[@]}"
	fi
	passed=$(count_of ok "$out/results")
	failed=$(count_of 'not ok' "$out/results")
	skipped=$(count_of skip "$out/results")
	if [ "$failed" -gt 0 ]; then
		echo "== failed"
		grep '^not ok ' "$out/results"
	fi
	if [ "$skipped" -gt 0 ]; then
		echo "== skipped"
		grep '^skip ' "$out/results"
	fi
	echo "$passed passed, $failed failed, $skipped skipped"
	[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
}

case ${1:-} in
--component) run_component "$2" ;;
--layers) check_layers ;;
*) main "$@" ;;
esac

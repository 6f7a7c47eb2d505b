#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# soak.sh [NAME [MINUTES [SEED]]]: a live pair under load, scanned back to back. Runs the case
# churn of lab/test-live.sh for MINUTES (2), then one flip on each side of the same pair, because a
# scan that says nothing for hours may have gone blind. NAME is churn: messages are read as files
# or in blocks, as the disk of this machine allows; blocks: the pair lives on loop devices of
# its own, and most messages must be read in the order of the disk; or cyrus: more of Cyrus is
# switched on, more happens (the case cyrus), and flips in a cache, in annotations and in a
# cyrus.header must be found as well. Its lines come first; the last is
#
#   soak NAME minutes=M checks=C false=P missed=Q ok
#
#   checks   scans that ran beside the churn
#   false    findings that they, or the scan of either side afterwards, made
#   missed   of the flips: those that the scan did not name
#
# `ok` only if the test reported scans, every check of it passed and none was skipped; else `short`.
# What the test did not report counts against it: no line about a flip is a flip missed.
#
# The environment is that of lab/test-live.sh. Exit status: 0 ok, 1 short, 3 wrong usage.
set -u -o pipefail
export LC_ALL=C
cd "$(dirname "$0")/.." || exit 1

name=${1:-churn} minutes=${2:-2} seed=${3:-}
load=churn flips="damage-master-flip damage-replica-flip"
case $name in
churn) ;;
blocks) export LOOP=1 ;;
cyrus)
	export LIVE_CYRUS=yes
	load=cyrus flips="$flips cache-flip annotations-flip header-flip"
	;;
*)
	echo "soak: there is no soak '$name'; there are: churn blocks cyrus" >&2
	exit 3
	;;
esac
if ! [[ $minutes =~ ^[1-9][0-9]{0,4}$ ]]; then
	echo "soak: MINUTES must be a whole number from 1 to 99999, not '$minutes'" >&2
	exit 3
fi
[ -z "$seed" ] || export LIVE_SEED=$seed

work=$(mktemp -d) || exit 1
evidence=${LIVE_EVIDENCE:-$work/evidence}
test_pid=
# The test takes its lab down when it is told to stop, so it is waited for.
stop() {
	[ -z "$test_pid" ] || { kill "$test_pid" && wait "$test_pid"; } 2>/dev/null
	exit 130
}
trap 'rm -rf "$work"' EXIT
trap stop INT TERM HUP

# The output of the call behind the N-th failed check is the file N.out (see LIVE_EVIDENCE).
# Findings of failed scans that ran while nothing was damaged; of two checks of one scan, the
# second.
count_false() {
	local number found=0 n
	while read -r number; do
		n=$(grep -E '"type": *"finding"' "$evidence/$number.out" 2>/dev/null |
			grep -cvF '"mailboxes_db.orphan_id"') # true: see lab/lib-live.sh
		found=$((found + ${n:-0}))
	done < <(grep '^not ok ' "$work/out" |
		grep -nE "^not ok $load: (scan [0-9]+, of |afterwards: scan of .* no finding)" |
		cut -d: -f1)
	echo "$found"
}

count_missed() {
	local flip missed=0
	for flip in $flips; do
		grep -qxF "ok $flip: the one finding names it" "$work/out" ||
			missed=$((missed + 1))
	done
	echo "$missed"
}

# shellcheck disable=SC2086 # cases are words
LIVE_CHURN_SECONDS=$((60 * minutes)) LIVE_EVIDENCE=$evidence \
	bash tests/lab/test-live.sh $load $flips >"$work/out" </dev/null &
test_pid=$!
wait "$test_pid"
status=$?
test_pid=
cat "$work/out"

checks=$(sed -nE "s/^(not )?ok $load: ([0-9]+) scans of .*/\2/p" "$work/out" | head -n 1)
checks=${checks:-0}
false=$(count_false)
missed=$(count_missed)
verdict=short
if [ "$status" = 0 ] && [ "$checks" -gt 0 ] && [ "$false" = 0 ] && [ "$missed" = 0 ] &&
	! grep -qE '^(not ok|skip) ' "$work/out"; then
	verdict=ok
fi
echo "soak $name minutes=$minutes checks=$checks false=$false missed=$missed $verdict"
[ "$verdict" = ok ]

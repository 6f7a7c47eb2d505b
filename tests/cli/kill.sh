#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# kill.sh: a scan that is killed, stopped, asked, or doubled.
#
# Killed with SIGKILL at seeded random moments: the state stays sound, what was printed as found is
# there, and a later scan, which may go on with the killed one, finds exactly what was planted, with
# the first sightings kept. A scan that was stopped says so and is never clean; of two scans of one store the second gives way.
#
#   KILL_SEED=1     which moments
#   KILL_ROUNDS=20  how many
# shellcheck disable=SC2016 # the filters are jq's, not the shell's
# shellcheck disable=SC2317 # called by check
set -u -o pipefail
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

RANDOM=${KILL_SEED:-1}
ROUNDS=${KILL_ROUNDS:-20}
PLANTED=12
STATES=8
STORE='' PID=0

now_ms() { echo $((${EPOCHREALTIME/./} / 1000)); }

sleep_ms() { sleep "$(printf '%d.%03d' $(($1 / 1000)) $(($1 % 1000)))"; }

conf_settling() { # DURATION
	cat >"$CONF" <<-END
		[policy]
		settle = $1
		readers = 1
		[store s1@h]
		imapd_conf = $STORE/imapd.conf
		role = master
	END
}

# STATE-FOLDER: starts a scan; PID is its.
start_scan() {
	"$ASSAY" scan s1@h --config "$CONF" --state "$1" --json >"$OUT" 2>"$ERR" </dev/null &
	PID=$!
}

# Waits for the scan; RC is its status. What the shell says of a killed job is nobody's business.
wait_scan() {
	wait "$PID" 2>/dev/null
	RC=$?
}

build_spool() {
	STORE=$WORK/spool
	"$MKSPOOL" "$STORE" --messages 3000 --mailboxes 30 --seed 7 --size fixed:4096
}

# One flipped bit in each of so many messages, spread over the mailboxes.
plant() {
	find "$STORE/spool" -name '[0-9]*.' -type f | sort | awk 'NR % 250 == 125' >"$WORK/planted"
	local path
	while IFS= read -r path; do flip "$path" 2000 4; done <"$WORK/planted"
	[ "$(wc -l <"$WORK/planted")" = "$PLANTED" ]
}

# Only whole lines count as printed: the last one may have been cut by the kill.
printed() { perl -ne 'print if /\n\z/' "$OUT" | jq -rc 'select(.type == "finding") |
	"\(.id) \(.first_seen) \(.path)"'; }

kept() { # STATE-FOLDER
	"$ASSAY" findings --json --state "$1" 2>/dev/null |
		jq -r 'select(.type == "finding") | "\(.id) \(.first_seen) \(.path)"'
}

# ROUND MOMENT: both what was printed by now and what older rounds of this state printed.
judge_kill() {
	local state=$1 name=$2
	if [ -s "$state/state.db" ]; then
		check "$name: the state is sound" "integrity_check: $(sqlite3 "$state/state.db" \
			'PRAGMA integrity_check' 2>&1 | head -n 1)" \
			test "$(sqlite3 "$state/state.db" 'PRAGMA integrity_check')" = ok
	else
		check "$name: nothing was printed before there was a state" "$OUT" \
			test -z "$(printed)"
	fi
	printed >>"$state.printed"
	kept "$state" | sort >"$WORK/kept"
	sort -u "$state.printed" >"$WORK/said"
	if [ -z "$(comm -23 "$WORK/said" "$WORK/kept")" ]; then
		ok "$name: what was printed is kept, $(wc -l <"$WORK/said") findings"
	else
		not_ok "$name: what was printed is kept" \
			"lost: $(comm -23 "$WORK/said" "$WORK/kept" | head -n 2)"
	fi
}

# Eight states in turn, so that kills meet new states and old ones.
test_kills() {
	local round state moment began whole
	began=$(now_ms)
	call scan s1@h --config "$CONF" --state "$WORK/state.measure" --json
	whole=$(($(now_ms) - began))
	expect_json "the scan to be killed: finds what was planted" \
		'found | length == ($n | tonumber)' --arg n "$PLANTED"
	KILLED=0
	for ((round = 1; round <= ROUNDS; round++)); do
		state=$WORK/state.$((round % STATES))
		moment=$((RANDOM % (round % 2 ? whole : whole / 3 + 1)))
		start_scan "$state"
		sleep_ms $moment
		kill -KILL "$PID" 2>/dev/null
		wait_scan
		[ "$RC" != 137 ] || KILLED=$((KILLED + 1))
		judge_kill "$state" "kill $round at $moment ms of $whole"
	done
	check "most scans were killed in time" "$KILLED of $ROUNDS" test "$KILLED" -ge $((ROUNDS / 2))
}

# Afterwards one scan to the end sets everything right, whatever the kills left.
test_whole_scan() {
	local i state
	for ((i = 0; i < STATES; i++)); do
		state=$WORK/state.$i
		call scan s1@h --config "$CONF" --state "$state" --json
		expect_exit "whole scan after the kills, state $i: exit 1" 1
		jq -r 'select(.type == "finding") | .path' "$OUT" | sort >"$WORK/found"
		check "state $i: exactly what was planted is found" "$(wc -l <"$WORK/found") found" \
			cmp "$WORK/found" "$WORK/planted"
		expect_json "state $i: the run is complete" 'summary | .status == "complete" and
			.messages + .carried == 3000 and .gaps == 0'
		jq -r 'select(.type == "finding") | "\(.id) \(.first_seen) \(.path)"' "$OUT" |
			sort >"$WORK/kept"
		sort -u "$state.printed" >"$WORK/said"
		check "state $i: numbers and first sightings are those of before the kills" \
			"$(comm -23 "$WORK/said" "$WORK/kept" | head -n 1)" \
			test -z "$(comm -23 "$WORK/said" "$WORK/kept")"
	done
}

# A finding has to settle for three seconds here, so the scan is still at it when it is disturbed.
test_signals() {
	conf_settling 3s
	start_scan "$WORK/state.term"
	sleep 1
	kill -TERM "$PID"
	wait_scan
	expect_exit "SIGTERM: exit 2" 2
	expect_json "SIGTERM: the summary says interrupted" 'summary | .status == "interrupted"'
	"$ASSAY" scan s1@h --config "$CONF" --state "$WORK/state.term" >"$OUT" 2>"$ERR" </dev/null &
	PID=$!
	sleep 1
	kill -TERM "$PID"
	wait_scan
	expect_line "SIGTERM: so does the one for people" "$OUT" "^INTERRUPTED  s1@h"
	call findings --json --config "$CONF" --state "$WORK/state.term"
	check "SIGTERM: nothing unconfirmed was kept" "$(head -n 1 "$OUT")" test ! -s "$OUT"
	start_scan "$WORK/state.usr1"
	sleep 1
	kill -USR1 "$PID"
	wait_scan
	expect_exit "SIGUSR1: the scan goes on: exit 1" 1
	check "SIGUSR1: one line on stderr" "$(wc -l <"$ERR") lines" test "$(wc -l <"$ERR")" = 1
	check "SIGUSR1: it shows progress" "$(cat "$ERR")" jq -e '.type == "progress"' "$ERR"
	"$ASSAY" scan s1@h --config "$CONF" --state "$WORK/state.usr1" >"$OUT" 2>"$ERR" </dev/null &
	PID=$!
	sleep 1
	kill -USR1 "$PID"
	wait_scan
	expect_line "SIGUSR1: so does the one for people" "$ERR" \
		"^s1@h +[0-9]+ % .*messages.*/s.*ETA"
}

test_two_at_once() {
	start_scan "$WORK/state.two"
	sleep 1
	timeout 30 "$ASSAY" scan s1@h --config "$CONF" --state "$WORK/state.two" --json \
		>"$WORK/second" 2>"$WORK/second.err" </dev/null
	RC=$?
	expect_exit "two at once: the second is refused: exit 2" 2
	expect_line "two at once: it says why" "$WORK/second.err" "being scanned by another process"
	check "two at once: it says nothing of the store" "$(head -c 200 "$WORK/second")" \
		test ! -s "$WORK/second"
	wait_scan
	expect_exit "two at once: the first ends well: exit 1" 1
	expect_json "two at once: the first is complete" 'summary | .status == "complete"'
	call scan s1@h --config "$CONF" --state "$WORK/state.two"
	expect_exit "two at once: afterwards the store can be scanned: exit 1" 1
}

begin kill
need sqlite3
if [ ! -x "$MKSPOOL" ]; then
	skip "all" "no program at $MKSPOOL"
	finish
fi
check "a spool is built" "mkspool" build_spool
conf_settling 20ms
check "damage is planted" "not $PLANTED" plant
test_kills
test_whole_scan
test_signals
test_two_at_once
finish

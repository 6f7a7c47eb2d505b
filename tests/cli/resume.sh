#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# resume.sh: a scan that is stopped and the one that goes on with it, and what can be said to a scan
# while it runs: its limits and its time.
# shellcheck disable=SC2016 # the filters are jq's, not the shell's
# shellcheck disable=SC2317 # called by check
set -u -o pipefail
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

ALL=1200
STORE='' PID=0 MOUNTED=''

conf_with() { # LINES OF POLICY
	printf '[policy]\nreaders = 1\n%b\n[store s1@h]\nimapd_conf = %s\nrole = master\n' \
		"$1" "$STORE/imapd.conf" >"$CONF"
}

# STATE-FOLDER ARGS...: starts a scan; PID is its.
start_scan() {
	local state=$1
	shift
	"$ASSAY" scan s1@h --config "$CONF" --state "$state" "$@" >"$OUT" 2>"$ERR" </dev/null &
	PID=$!
}

wait_scan() {
	wait "$PID" 2>/dev/null
	# shellcheck disable=SC2034 # what lib.sh judges by
	RC=$?
}

scan_state() { # STATE-FOLDER ARGS...
	local state=$1
	shift
	call scan s1@h --config "$CONF" --state "$state" "$@"
}

build_store() {
	STORE=$WORK/spool
	"$MKSPOOL" "$STORE" --messages "$ALL" --mailboxes 20 --seed 5 --size fixed:4096 || return 1
	# What is wrong has to settle, and until then the scan is at it.
	flip "$(find "$STORE/spool" -name '[0-9]*.' -type f | sort | tail -n 1)" 2000
}

# --------------------------------------------------------------------- stopped and gone on with

expect_went_on() { # NAME ROUND
	expect_json "$1: it is complete, and each message was verified once" \
		'summary | .status == "complete" and .carried > 0 and .messages > 0 and
			.carried + .messages == ($all | tonumber)' --arg all "$ALL"
	expect_json "$1: its round is that of the run before" \
		'summary | .round == ($round | tonumber) and .run > .round' --arg round "$2"
}

test_max_duration() {
	local state=$WORK/state.max
	conf_with "settle = 20ms"
	scan_state "$WORK/state.once" --max-duration 1us
	expect_exit "stopped at once: exit 2" 2
	expect_line "stopped at once: it is interrupted" "$OUT" "^INTERRUPTED  s1@h"
	check "stopped at once: nothing is promised for which there is no ground" "it says so" \
		test "$(grep -c 'goes on from here' "$OUT")" = 0
	conf_with "settle = 20s"
	scan_state "$state" --max-duration 1500ms
	expect_exit "--max-duration: exit 2" 2
	expect_line "--max-duration: it is interrupted" "$OUT" "^INTERRUPTED  s1@h"
	expect_line "--max-duration: it says what comes next" "$OUT" "the next scan goes on from here"
	conf_with "settle = 20ms"
	scan_state "$state" --json
	expect_exit "the scan behind it: exit 1 for what is wrong" 1
	expect_went_on "the scan behind it" 1
	expect_json "the scan behind it: one finding" 'found | length == 1'
	scan_state "$state" --json
	expect_json "the one behind that begins anew" \
		'summary | .carried == 0 and .messages == ($all | tonumber) and .round == .run' \
		--arg all "$ALL"
}

test_sigterm() {
	local state=$WORK/state.term
	conf_with "settle = 20s"
	start_scan "$state"
	sleep 1.5
	kill -TERM "$PID"
	wait_scan
	expect_exit "SIGTERM: exit 2" 2
	expect_line "SIGTERM: it says what comes next" "$OUT" "the next scan goes on from here"
	cp -r "$state" "$state.copy"
	conf_with "settle = 20ms"
	scan_state "$state"
	expect_line "the scan behind it says what was verified before" "$OUT" \
		"^  [0-9]+ messages were verified before, by the run that this one goes on with \(run 1\)"
	scan_state "$state.copy" --restart --json
	expect_json "--restart: nothing is gone on with" \
		'summary | .carried == 0 and .messages == ($all | tonumber) and .round == .run' \
		--arg all "$ALL"
}

test_sigkill() {
	local state=$WORK/state.kill
	conf_with "settle = 20s"
	start_scan "$state" --json
	sleep 1.5
	kill -KILL "$PID"
	wait_scan
	conf_with "settle = 20ms"
	scan_state "$state" --json
	expect_went_on "the scan behind a SIGKILL" 1
	conf_with "settle = 20s\nmax_scan_age = 1s"
	start_scan "$state" --json
	sleep 1.5
	kill -TERM "$PID"
	wait_scan
	scan_state "$state" --json --max-duration 1500ms
	expect_json "what is older than max_scan_age is not gone on with" \
		'summary | .round == .run and .carried == 0'
}

# --------------------------------------------------------------------- asked and told

test_progress() {
	conf_with "settle = 2s"
	start_scan "$WORK/state.usr1" --json
	sleep 1
	kill -USR1 "$PID"
	wait_scan
	expect_exit "SIGUSR1: the scan goes on: exit 1" 1
	cp "$ERR" "$OUT"
	expect_json "SIGUSR1 with --json: one object on stderr" 'length == 1 and (.[0] |
		.type == "progress" and .store == "s1" and .mailboxes_total == 20 and
		.messages == ($all | tonumber) and .carried == 0 and .elapsed_s > 0)' --arg all "$ALL"
}

unmount() {
	[ -z "$MOUNTED" ] || umount "$MOUNTED" || umount -l "$MOUNTED"
	MOUNTED=''
}

# An ext4 filesystem of its own, which is read in blocks: only there is a ceiling.
mount_disk() {
	[ "$(id -u)" = 0 ] || return 1
	truncate -s 64M "$WORK/disk.img" && mkfs.ext4 -q "$WORK/disk.img" && mkdir "$WORK/disk" &&
		mount -o loop "$WORK/disk.img" "$WORK/disk" || return 1
	MOUNTED=$WORK/disk
}

# 12 MB at 2 MB/s would take six seconds.
test_limits() {
	local began took
	if ! mount_disk 2>>"$WORK/check.log"; then
		skip "SIGHUP" "no filesystem can be made and mounted here: not root, or no loop device"
		return
	fi
	STORE=$WORK/disk/spool
	"$MKSPOOL" "$STORE" --messages 600 --mailboxes 6 --seed 5 --size fixed:20000 >>"$WORK/check.log"
	sleep 1.2
	conf_with "settle = 20ms\nscan_bandwidth = 2M"
	began=${EPOCHREALTIME/./}
	start_scan "$WORK/state.hup" --json
	sleep 1.5
	kill -USR1 "$PID"
	sleep 0.2
	check "scan_bandwidth: after 1.5 s at most 4 MB are read" "$(cat "$ERR")" \
		jq -e '.bytes > 0 and .bytes < 4 * 1024 * 1024' "$ERR"
	conf_with "settle = 20ms\nscan_bandwidth = nonsense"
	kill -HUP "$PID"
	sleep 0.5
	check "SIGHUP: a configuration that is not understood stops nothing" "it has ended" \
		kill -0 "$PID"
	expect_line "SIGHUP: and it says so" "$ERR" "scan_bandwidth is not a number of bytes"
	conf_with "settle = 20ms"
	kill -HUP "$PID"
	wait_scan
	took=$(((${EPOCHREALTIME/./} - began) / 1000))
	expect_exit "SIGHUP: the scan ends well: exit 0" 0
	check "SIGHUP: the ceiling is gone" "it took $took ms" test "$took" -lt 4500
	expect_json "it was read in the order of the disk" \
		'summary | .roads | length == 1 and .[0].order == "block" and .[0].messages == 600'
	began=${EPOCHREALTIME/./}
	scan_state "$WORK/state.hup" --json --bandwidth 6M
	took=$(((${EPOCHREALTIME/./} - began) / 1000))
	check "--bandwidth 6M: 12 MB take two seconds" "it took $took ms" test "$took" -gt 1500
	scan_state "$WORK/state.hup" --json --order file --engine pread --sha1 openssl
	expect_json "--order file, --engine pread" \
		'summary | .roads[0] | .order == "file" and .engine == "pread" and .why != null'
	conf_with "settle = 20ms\nscan_bandwidth = 256K"
	began=${EPOCHREALTIME/./}
	start_scan "$WORK/state.low" --json
	sleep 1
	kill -TERM "$PID"
	wait_scan
	took=$(((${EPOCHREALTIME/./} - began) / 1000))
	expect_exit "SIGTERM under a low ceiling: exit 2" 2
	check "SIGTERM under a low ceiling: it stops at once" "it took $took ms" test "$took" -lt 4000
	unmount
}

test_usage() {
	local wrong
	for wrong in "--order disk" "--order" "--engine aio" "--sha1 md5" "--bandwidth fast" \
		"--bandwidth -1" "--bandwidth 1.5M" "--bandwidth 10MB" "--iops 1K" "--iops -1" "--iops" \
		"--polite=no" "--max-duration 0" "--max-duration soon" "--restart=yes"; do
		# shellcheck disable=SC2086 # words
		call scan s1@h --config "$CONF" --state "$WORK/state.usage" $wrong
		expect_exit "scan $wrong: exit 3" 3
	done
	check "wrong words make no state" "there is one" test ! -e "$WORK/state.usage"
}

begin resume
trap 'unmount; cleanup' EXIT
if [ ! -x "$MKSPOOL" ]; then
	skip "all" "no program at $MKSPOOL"
	finish
fi
check "a spool is built" "mkspool" build_store
test_max_duration
test_sigterm
test_sigkill
test_progress
test_usage
test_limits
finish

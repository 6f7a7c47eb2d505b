#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# usage.sh: what every command says to what it does not understand or cannot use.
#
# The table that matters: an exit status of 0 is never given away. Help is not a success, an empty
# scope is not a clean one, and a result that could not be written is no result.
set -u -o pipefail
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

# EXIT NAME ARGS...
status() {
	local wanted=$1 name=$2
	shift 2
	call "$@"
	expect_exit "$name: exit $wanted" "$wanted"
}

# EXIT NAME PATTERN ARGS...: that status, and stderr has a line that matches.
complains() {
	local wanted=$1 name=$2 pattern=$3
	shift 3
	call "$@"
	expect_exit "$name: exit $wanted" "$wanted"
	expect_line "$name: says so on stderr" "$ERR" "$pattern"
}

O=()
with_conf() { # TEXT: a configuration of its own
	printf '%b' "$1" >"$WORK/own.conf"
	O=(--config "$WORK/own.conf" --state "$STATE")
}

test_words() {
	complains 3 "no arguments" "usage|assay" 
	complains 3 "an unknown command" 'no command "scna"' scna
	status 0 "version" version
	expect_line "version: is a number" "$OUT" '^assay [0-9]+\.[0-9]+\.[0-9]+$'
	status 0 "--version" --version
	status 3 "version with a word behind it" version now
	local words
	for words in help --help -h "help gate" "help scan" "scan --help" "gate --help" \
		"findings --help" "status --help" "check-config --help" "gate s1 --to imap22 --help"; do
		# shellcheck disable=SC2086 # words
		call $words
		if [ "$RC" = 3 ] && [ -s "$OUT" ]; then
			ok "$words: prints help and does not exit 0"
		else
			not_ok "$words: prints help and does not exit 0" "exit $RC: $(last_words)"
		fi
	done
}

test_options() {
	O=(--config "$CONF" --state "$STATE")
	complains 3 "scan of an unknown store" "no store s9" scan s9 "${O[@]}"
	complains 3 "scan of a store on another host" "no store s1@imap9" scan s1@imap9 "${O[@]}"
	status 3 "scan with an unknown option" scan --fast "${O[@]}"
	status 3 "scan with an option that lacks its value" scan --config
	complains 3 "scan of names and --imapd-conf" "not both" scan s1 --imapd-conf /x "${O[@]}"
	complains 3 "gate without --to" "one store and --to" gate s1 "${O[@]}"
	complains 3 "gate without a store" "one store and --to" gate --to imap22 "${O[@]}"
	complains 3 "gate with a word too many" "one store and --to" gate s1 s2 --to imap22 "${O[@]}"
	complains 3 "gate to an unknown host" "no copy of s1 on imap9" gate s1 --to imap9 "${O[@]}"
	complains 3 "gate with -- and no command" "no command behind --" \
		gate s1 --to imap22 "${O[@]}" --
	status 3 "gate with an unknown option" gate s1 --to imap22 --force "${O[@]}"
	complains 3 "findings with an unknown verb" "neither list nor show" findings burn "${O[@]}"
	complains 3 "findings show without a number" "number of one finding" findings show "${O[@]}"
	complains 3 "findings show 0" "number of one finding" findings show 0 "${O[@]}"
	complains 3 "findings show x" "number of one finding" findings show x "${O[@]}"
	complains 2 "findings where nothing was scanned" "nothing was ever scanned" \
		findings --state "$WORK/never"
	# The scan of the unknown store has made an empty state: that is not "nothing was found".
	complains 2 "findings where no scan has ended" "no scan of a whole store has ended" findings --state "$STATE"
	complains 3 "status of an unknown store" "^assay status: s9 is not" status s9 "${O[@]}"
	status 3 "status with an unknown option" status --fast "${O[@]}"
	complains 3 "status with two forms of output" "not both" status --nagios --json "${O[@]}"
	complains 3 "check-config with a word" "not understood" check-config now "${O[@]}"
}

# Malformed in one way each: text, and what stderr names.
test_configuration() {
	local bad=(
		"nonsense\n" "own.conf:1: "
		"[host]\nname = imap21\nthis is no pair\n" "own.conf:3: "
		"[host]\nname = imap 21\n" "own.conf:2: .*host name"
		"[policy]\nmax_lagg = 5min\n" "own.conf:2: \[policy\] max_lagg is not known"
		"[policy]\nmax_lag = soon\n" "own.conf:2: .*not a duration"
		"[policy]\nreaders = 0\n" "own.conf:2: .*1 to 64"
		"[stores s1]\nrole = master\n" "own.conf:2: .*not known"
		"[store s1@h]\nimapd_conf = x.conf\n" "own.conf:2: .*absolute"
		"[store s1@h]\nrole = slave\n" "own.conf:2: .*neither master nor replica"
		"[store s1@h]\nrole = master\nrole = master\n" "own.conf:3: .*twice"
		"[store s1]\nimapd_conf = /x\nrole = master\n" "own.conf: .*\[host\] name"
		"[store s1@h]\nrole = master\n" "own.conf: .*no imapd_conf"
		"[store s1@h]\nimapd_conf = /x\n" "own.conf: .*no role"
	)
	local i command
	for ((i = 0; i < ${#bad[@]}; i += 2)); do
		with_conf "${bad[i]}"
		complains 3 "configuration ${bad[i]//\\n/ | }" "${bad[i + 1]}" scan "${O[@]}"
	done
	for command in scan "gate s1 --to imap22" status "status --nagios" check-config; do
		# shellcheck disable=SC2086 # words
		complains 3 "$command without a configuration" "none.conf: cannot read" \
			$command --config "$WORK/none.conf" --state "$STATE"
		with_conf "[policy]\nmax_lagg = 5min\n"
		# shellcheck disable=SC2086 # words
		complains 3 "$command with an unknown key" "own.conf:2: " $command "${O[@]}"
	done
	with_conf "[host]\nname = imap21\n"
	complains 2 "scan of a configuration without stores" "nothing to scan" scan "${O[@]}"
	status 3 "check-config without stores" check-config "${O[@]}"
}

# EXIT NAME PATTERN: what a scan of s1@h exits with, whose imapd.conf is $WORK/bad.conf, and what it
# says; check-config says the same, and that it is not usable.
imapd_conf() {
	with_conf "[store s1@h]\nimapd_conf = $WORK/bad.conf\nrole = master\n"
	complains "$1" "scan where $2" "$3" scan s1@h "${O[@]}"
	complains "$1" "scan --imapd-conf where $2" "$3" \
		scan --imapd-conf "$WORK/bad.conf" --state "$STATE"
	complains 3 "check-config where $2" "$3" check-config "${O[@]}"
}

test_imapd_conf() {
	imapd_conf 3 "imapd.conf is missing" "bad.conf: No such file"
	printf 'configdirectory: %s\nno colon here\n' "$WORK/master/conf" >"$WORK/bad.conf"
	imapd_conf 3 "imapd.conf is malformed" "bad.conf:2: "
	printf 'sync_log: yes\n' >"$WORK/bad.conf"
	imapd_conf 3 "imapd.conf has no configdirectory" "bad.conf: configdirectory is not set"
	printf 'configdirectory: %s/gone\n' "$WORK" >"$WORK/bad.conf"
	imapd_conf 2 "the configdirectory is not there" "gone: No such file.*mounted"
}

test_results_that_do_not_arrive() {
	local words
	O=(--config "$CONF" --state "$STATE")
	mkdir "$WORK/locked"
	chmod 555 "$WORK/locked"
	if can_be_plain; then
		call_plain scan --config "$CONF" --state "$WORK/locked"
		expect_exit "scan where the state cannot be written: exit 2" 2
		call_plain scan --config "$CONF" --state "$WORK/locked/new"
		expect_exit "scan where the state cannot be made: exit 2" 2
	else
		skip "scan where the state cannot be written" "rights cannot be dropped here"
	fi
	: >"$WORK/file"
	status 2 "scan where the state is a file" scan --config "$CONF" --state "$WORK/file"
	# shellcheck disable=SC2119 # no words
	scan
	expect_exit "scan: exit 0 where its result arrives" 0
	# shellcheck disable=SC2119
	gate
	expect_exit "gate: exit 0 where its result arrives" 0
	for words in "scan" "scan --json" "gate s1 --to imap22" "gate s1 --to imap22 --json" findings \
		status "status --json" "status --nagios" check-config; do
		# shellcheck disable=SC2086 # words
		timeout 60 "$ASSAY" $words "${O[@]}" >/dev/full 2>"$ERR"
		RC=$?
		check "$words: not 0 when the disk of its output is full" "exit $RC" test "$RC" -ne 0
		# shellcheck disable=SC2086 # words
		timeout 60 "$ASSAY" $words "${O[@]}" >&- 2>"$ERR"
		RC=$?
		check "$words: not 0 when stdout is closed" "exit $RC" test "$RC" -ne 0
	done
	timeout 60 "$ASSAY" version >/dev/full 2>"$ERR"
	check "version: not 0 when its output is lost" "exit $?" test $? -ne 0
	timeout 60 "$ASSAY" gate s1 --to imap22 "${O[@]}" -- touch "$WORK/ran" >/dev/full 2>"$ERR"
	RC=$?
	check "gate: runs no command when its verdict is lost" "it ran, exit $RC" \
		test ! -e "$WORK/ran" -a "$RC" -ne 0
}

begin usage
check "the fixture is unpacked" "tar" unpack_pair
test_words
test_options
test_configuration
test_imapd_conf
test_results_that_do_not_arrive
finish

# shellcheck shell=bash disable=SC2016 # the filters are jq's, not the shell's
# SPDX-License-Identifier: Apache-2.0
#
# What the cases of test-live.sh are written with: reporting, calling the program, expecting.
#
# Invariant: each check prints exactly one line and is counted once; a check that did not run is
# a skip with its reason, never an ok. The last call's exit status is in RC, its output in the
# files $OUT and $ERR. Sourced by test-live.sh, which sets WORK, ASSAY and HERE.

PASSED=0 FAILED=0 SKIPPED=0
RC=0

# --------------------------------------------------------------------- one line a check

ok() { # NAME
	echo "ok $1"
	PASSED=$((PASSED + 1))
}

# Also keeps the last call's output and the logs, when LIVE_EVIDENCE names a folder for it.
not_ok() { # NAME WHY
	echo "not ok $1: $2"
	FAILED=$((FAILED + 1))
	[ -n "${LIVE_EVIDENCE:-}" ] || return 0
	mkdir -p "$LIVE_EVIDENCE"
	cp "$OUT" "$LIVE_EVIDENCE/$FAILED.out" 2>/dev/null
	cp "$ERR" "$LIVE_EVIDENCE/$FAILED.err" 2>/dev/null
	cp "$WORK"/*.log "$LIVE_EVIDENCE/" 2>/dev/null
	return 0
}

skip() { # NAME WHY
	echo "skip $1: $2"
	SKIPPED=$((SKIPPED + 1))
}

# NAME WHY COMMAND...: ok if the command succeeds.
check() {
	local name=$1 why=$2
	shift 2
	if "$@" >>"$WORK/check.log" 2>&1; then ok "$name"; else not_ok "$name" "$why"; fi
}

# Whatever the last call said, in a line that fits on a screen.
last_words() {
	{ tail -n 2 "$ERR" && head -c 400 "$OUT"; } | tr '\n' ' ' | head -c 500
}

# --------------------------------------------------------------------- the lab

lab() { "$HERE/lab.sh" -b "$WORK/lab" "$@"; }

# As lab, with its chatter in a file; a failure is reported as such by the caller.
quiet_lab() { lab "$@" >>"$WORK/lab.log" 2>&1; }

host_of() { if [ "$1" = master ]; then echo imap21; else echo imap22; fi; }
target_of() { if [ "$1" = master ]; then echo s1; else echo s1@imap22; fi; }
side_dir() { echo "$WORK/lab/$(host_of "$1")/s1"; }
sync_dir() { echo "$WORK/lab/imap21/s1/conf/sync"; }

# HOST: "name directory" of each mailbox that is not deleted.
list_mailboxes() {
	lab cyr "$1" s1 ctl_mboxlist -d 2>>"$WORK/lab.log" |
		jq -r --arg spool "$WORK/lab/$1/s1/spool" '
			to_entries[] | select(.value.mbtype | test("d") | not) |
			select(.key | startswith("user.")) | .value.uniqueid as $id |
			(.key | split(".")) as $parts |
			if .value.mbtype | test("l")
			then "\(.key) \($spool)/\($parts[1][0:1])/\($parts | join("/"))"
			else "\(.key) \($spool)/uuid/\($id[0:1])/\($id[1:2])/\($id)"
			end'
}

# Replication works and has nothing left to do, whatever the case before did.
settle() {
	quiet_lab heal && quiet_lab sync 30
}

wait_for() { # PATH, at most ten seconds
	local tries
	for ((tries = 200; tries > 0; tries--)); do
		[ -e "$1" ] && return 0
		sleep 0.05
	done
	return 1
}

# --------------------------------------------------------------------- the program

# The lab's assay.conf with one more line of policy.
conf_with_policy() { # LINE
	sed "s/^name = .*/&\n\n[policy]\n$1/" "$WORK/lab/assay.conf" >"$WORK/policy.conf"
	echo "$WORK/policy.conf"
}

call() { # ARGS...
	timeout -k 5 120 "$ASSAY" "$@" >"$OUT" 2>"$ERR" </dev/null
	RC=$?
}

# CONF and STATE may be set in front of these two.
scan() { # TARGET
	call scan "$1" --config "${CONF:-$WORK/lab/assay.conf}" --state "${STATE:-$WORK/state}" --json
}

# shellcheck disable=SC2120 # arguments are rare: what runs on a permit
gate() { # [-- COMMAND...]
	call gate s1 --to imap22 --config "${CONF:-$WORK/lab/assay.conf}" \
		--state "${STATE:-$WORK/state}" --json "$@"
}

# --------------------------------------------------------------------- expecting

expect_exit() { # NAME WANTED
	if [ "$RC" = "$2" ]; then ok "$1"; else not_ok "$1" "exit $RC, not $2: $(last_words)"; fi
}

# NAME FILTER [JQ ARGS...]: true of the whole output. Streams arrive as one array.
expect_json() {
	local name=$1 filter=$2
	shift 2
	if jq -es "$@" "$JQ_DEFS $filter" "$OUT" >/dev/null 2>>"$WORK/check.log"; then
		ok "$name"
	else
		not_ok "$name" "$(last_words)"
	fi
}

# The words of the filters. A closed finding may be repeated, an open one may not.
#
# True of a healthy pair, and so passed over: mailboxes_db.orphan_id, a notice. When 3.6.1 purges a
# deleted mailbox it removes the record of its name and leaves that of its unique id.
JQ_DEFS='
def is_true: .severity == "notice" and .code == "mailboxes_db.orphan_id";
def open_findings: map(select(.type == "finding" and (.state // "open") != "closed"
	and (is_true | not)));
def summary: map(select(.type == "summary")) | last;
def messages: summary | [.. | objects | .messages? | numbers] | first // 0;
def rule($n): .[0].rules[] | select(.rule == $n);
def failing($n): rule($n) | select(.result == "fail");
'

# NAME TARGET: exit 0, not one finding, and a summary at the end.
expect_clean_scan() {
	scan "$2"
	expect_exit "$1: scan of $2 exits 0" 0
	expect_json "$1: scan of $2 has a summary and no finding" \
		'(last.type == "summary") and (open_findings | length == 0)'
}

# NAME EXIT DECISION
expect_gate() {
	expect_exit "$1: gate exits $2" "$2"
	expect_json "$1: gate says $3" \
		'length == 1 and .[0].type == "gate" and .[0].decision == $d' --arg d "$3"
}

expect_permit() { # NAME
	# shellcheck disable=SC2119 # without a command
	gate
	expect_gate "$1" 0 permit
}

# For what may be deny or undetermined: never 0, and never the usage error.
expect_no_permit() { # NAME
	if [ "$RC" = 1 ] || [ "$RC" = 2 ]; then
		ok "$1: gate does not permit"
	else
		not_ok "$1: gate does not permit" "exit $RC: $(last_words)"
	fi
}

#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# gate.sh: what the gate says, in which order, and when it runs a command.
#
# The promise: 0 is a permit and nothing else, and a command runs on a permit and only then.
# shellcheck disable=SC2016 # the filters are jq's, not the shell's
# shellcheck disable=SC2119 # commands without words
set -u -o pipefail
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

# NAME EXIT DECISION RULE CODE [ARGS...]: asks, and that rule says why.
expect_gate() {
	local name=$1 wanted=$2 decision=$3 rule=$4 code=$5
	shift 5
	gate "$@"
	expect_exit "$name: exit $wanted" "$wanted"
	expect_json "$name: says $decision because of $code" 'length == 1 and
		.[0].decision == $d and (rule($r) | .code == $c)' \
		--arg d "$decision" --arg r "$rule" --arg c "$code"
}

# NAME EXIT WORDS...: asks as people do.
ask() {
	local name=$1 wanted=$2
	shift 2
	call gate s1 --to imap22 --config "$CONF" --state "$STATE" "$@"
	expect_exit "$name: exit $wanted" "$wanted"
}

# NAME: the command that the gate was given left no trace.
expect_not_run() {
	check "$1: the command was not run" "it was" test ! -e "$WORK/ran"
	rm -f "$WORK/ran"
}

test_never_scanned() {
	expect_gate "never scanned" 2 undetermined intact intact.never_scanned -- touch "$WORK/ran"
	expect_not_run "never scanned"
	ask "never scanned, for people" 2
	expect_line "never scanned: the verdict comes first" "$OUT" "^UNDETERMINED  s1 -> imap22"
	expect_line "never scanned: and what it means" "$OUT" "treat this as a deny"
	scan s1
	expect_gate "only the master was scanned" 2 undetermined intact intact.never_scanned
}

test_permit() {
	scan s1@imap22
	expect_gate "healthy" 0 permit intact intact.verified
	expect_json "healthy: every rule passes, and has an age" '.[0] |
		(.rules | map(.rule)) == ["role", "fresh", "complete", "intact"] and
		all(.rules[]; .result == "pass" and .evidence_age_s >= 0 and .observed_at != null)'
	expect_json "healthy: store, target, time" '.[0] | .store == "s1" and .to == "imap22" and
		(.decided_at | test("^20..-..-..T..:..:..Z$")) and .took_ms > 0'
	ask "healthy, for people" 0
	check "healthy: the verdict is the first line" "$(head -n 1 "$OUT")" \
		grep -q "^PERMIT  s1 -> imap22    decided in " <(head -n 1 "$OUT")
	check "healthy: the rules follow" "$(sed -n 2p "$OUT")" \
		test "$(sed -n 2,5p "$OUT" | awk '{ printf "%s ", $1 $2 }')" = \
		"rolepass freshpass completepass intactpass "
	check "healthy: stderr is silent" "$(head -n 1 "$ERR")" test ! -s "$ERR"
}

test_command() {
	ask "command" 0 -- echo "the command speaks"
	check "command: the whole verdict stands before its output" "$(tail -n 1 "$OUT")" \
		test "$(head -c 6 "$OUT") $(tail -n 1 "$OUT")" = "PERMIT the command speaks"
	gate -- touch "$WORK/ran"
	expect_exit "command with --json: exit 0" 0
	check "command: it was run" "it was not" test -e "$WORK/ran"
	rm -f "$WORK/ran"
	ask "command that fails" 4 -- false
	expect_line "command that fails: says how" "$ERR" "permitted, but false exited with status 1"
	ask "command that exits 3" 4 -- sh -c 'exit 3'
	# shellcheck disable=SC2016 # its own shell expands it
	ask "command that is killed" 4 -- sh -c 'kill -9 $$'
	expect_line "command that is killed: says so" "$ERR" "ended by signal 9"
	ask "command that does not exist" 4 -- "$WORK/no-such-command"
	expect_line "command that does not exist: says so" "$ERR" "cannot run .*no-such-command"
	ask "command with options of its own" 0 -- echo --config --to -- x
	expect_line "command with options of its own: they arrive" "$OUT" '^--config --to -- x$'
	ask "help behind --" 0 -- echo --help
	# Bit 13 of SigIgn is SIGPIPE, which assay ignores for itself.
	ask "command, its signals" 0 -- sh -c 'grep SigIgn /proc/self/status'
	check "command: does not inherit that SIGPIPE is ignored" "$(tail -n 1 "$OUT")" \
		test $((0x$(tail -n 1 "$OUT" | awk '{ print $2 }') & 0x1000)) = 0
}

test_damage() {
	flip "$VICTIM" 100
	scan s1@imap22
	expect_gate "damaged replica" 1 deny intact intact.findings -- touch "$WORK/ran"
	expect_not_run "damaged replica"
	expect_json "damaged replica: the message is named" 'rule("intact") | .findings_total == 1 and
		(.findings | length == 1) and (.findings[0] | .path == $p and .host == "imap22" and
		.code == "message.digest" and .verdict == "corrupt")' --arg p "$VICTIM"
	ask "damaged replica, for people" 1
	expect_line "damaged replica: verdict first" "$OUT" "^DENY  s1 -> imap22"
	expect_line "damaged replica: the rule" "$OUT" "^  intact +FAIL .*\[intact.findings\]$"
	expect_line "damaged replica: the message" "$OUT" "corrupt: $VICTIM$"
	flip "$VICTIM" 100
	scan s1@imap22
	expect_gate "repaired replica" 0 permit intact intact.verified
	local bad=$WORK/master/${VICTIM#"$WORK/replica/"}
	flip "$bad" 100
	scan s1
	expect_gate "damaged master" 1 deny complete complete.master_damaged
	flip "$bad" 100
	scan s1
	expect_gate "repaired master" 0 permit complete complete.all_mailboxes
	mv "$(dirname "$VICTIM")/cyrus.index" "$WORK/aside"
	mkdir "$(dirname "$VICTIM")/cyrus.index"
	chmod 000 "$(dirname "$VICTIM")/cyrus.index"
	scan s1@imap22
	gate -- touch "$WORK/ran"
	check "replica not wholly read: no permit" "exit $RC" test "$RC" = 1 -o "$RC" = 2
	expect_not_run "replica not wholly read"
	rmdir "$(dirname "$VICTIM")/cyrus.index"
	mv "$WORK/aside" "$(dirname "$VICTIM")/cyrus.index"
	scan s1@imap22
	expect_gate "read again" 0 permit intact intact.verified
}

test_age() {
	write_conf "max_scan_age = 1s"
	sleep 1.1
	expect_gate "scanned too long ago" 1 deny intact intact.too_old
	write_conf "settle = 50ms"
	sqlite3 "$STATE/state.db" "UPDATE mailbox SET verified_ns = verified_ns + 3600 * 1000000000"
	expect_gate "scanned in the future" 2 undetermined intact intact.clock
	scan
	expect_gate "scanned now" 0 permit intact intact.verified
}

# Only the log is behind: both copies hold the same.
test_log() {
	local log=$WORK/master/conf/sync/log
	cp "$WORK/stale/master/conf/sync/log" "$log"
	expect_gate "events that are young" 2 undetermined fresh fresh.busy -- touch "$WORK/ran"
	expect_not_run "events that are young"
	touch -d '-76 hours' "$log"
	expect_gate "events that are old" 1 deny fresh fresh.stale -- touch "$WORK/ran"
	expect_not_run "events that are old"
	expect_json "events that are old: age, and who loses" 'rule("fresh") |
		.lag_s >= 273600 and .lag_s < 273660 and .lag_is_lower_bound and .events == 8 and
		.users == ["u002", "u003"] and .users_total == 2 and
		.mailboxes == ["user.u002", "user.u003"]'
	ask "events that are old, for people" 1
	expect_line "events that are old: what would be lost" "$OUT" \
		"^Failing over now would lose .*3 d 4 h.* of mail of 2 users\.$"
	write_conf "max_lag = 4d"
	expect_gate "events that are old, under a wide limit" 2 undetermined fresh fresh.busy
	write_conf "settle = 50ms"
	: >"$log"
	expect_gate "the log has drained" 0 permit fresh fresh.drained
	touch "$WORK/master/conf/sync/skipuser-u001"
	expect_gate "a user is skipped" 1 deny fresh fresh.skipped_users
	rm "$WORK/master/conf/sync/skipuser-u001"
	sed -i 's/^sync_log: yes/sync_log: no/' "$WORK/master/imapd.conf"
	expect_gate "replication is not logged" 2 undetermined fresh fresh.logging_off
	sed -i 's/^sync_log: no/sync_log: yes/' "$WORK/master/imapd.conf"
	mv "$WORK/master/conf/sync" "$WORK/aside" && touch "$WORK/master/conf/sync"
	expect_gate "the log cannot be read" 2 undetermined fresh fresh.log_unreadable
	rm "$WORK/master/conf/sync" && mv "$WORK/aside" "$WORK/master/conf/sync"
}

# The master as it was captured later, with mail that the replica never got.
test_stale() {
	mv "$WORK/master" "$WORK/drained-master" && mv "$WORK/stale/master" "$WORK/master"
	touch -d '-76 hours' "$WORK/master/conf/sync/log"
	expect_gate "the master went on" 1 deny fresh fresh.stale
	: >"$WORK/master/conf/sync/log"
	expect_gate "the master went on and its log is lost" 1 deny complete complete.messages_missing
	expect_json "the master went on and its log is lost: who loses" 'rule("complete") |
		.users == ["u002", "u003"] and .mailboxes == ["user.u002", "user.u003"]'
	rm -rf "$WORK/master" && mv "$WORK/drained-master" "$WORK/master"
	expect_gate "the drained master is back" 0 permit complete complete.all_mailboxes
}

# Patience for an event that stays is longer than the deadline: the rule does not answer in time.
test_deadline() {
	local began
	printf 'APPEND user.u002\n' >"$WORK/master/conf/sync/log"
	sed -i 's/^gate_patience = .*/gate_patience = 20s/' "$CONF"
	sed -i 's/^settle = .*/gate_deadline = 300ms/' "$CONF"
	began=$SECONDS
	expect_gate "deadline" 2 undetermined fresh gate.deadline -- touch "$WORK/ran"
	expect_not_run "deadline"
	check "deadline: the verdict does not wait" "took $((SECONDS - began)) s" \
		test $((SECONDS - began)) -le 3
	expect_json "deadline: the others have answered" 'rule("intact") | .code == "intact.verified"'
	: >"$WORK/master/conf/sync/log"
	write_conf "settle = 50ms"
}

test_role() {
	call gate s1 --to imap21 --config "$CONF" --state "$STATE" --json -- touch "$WORK/ran"
	expect_exit "to the master itself: exit 1" 1
	expect_json "to the master itself: role.is_master" 'rule("role") | .code == "role.is_master"'
	expect_not_run "to the master itself"
	sed -i 's/^peers = imap22/peers = imap23/' "$CONF"
	expect_gate "to one that is no peer" 1 deny role role.not_a_peer
	write_conf "settle = 50ms"
	sed -i "s|$WORK/master/imapd.conf|$WORK/replica/imapd.conf|" "$CONF"
	expect_gate "master and replica are one folder" 1 deny role role.same_copy
	write_conf "settle = 50ms"
	mv "$WORK/master" "$WORK/aside"
	expect_gate "the master cannot be reached" 2 undetermined fresh fresh.master_unreachable
	mv "$WORK/aside" "$WORK/master"
	expect_gate "the master is back" 0 permit fresh fresh.drained
}

begin gate
need sqlite3
check "the fixture is unpacked" "tar" unpack_pair
VICTIM=$(messages_of replica | head -n 1)
test_never_scanned
test_permit
test_command
test_damage
test_age
test_log
test_stale
test_deadline
test_role
finish

#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# test-live.sh [CASE...] - the program against a live pair of Cyrus servers (see lab.sh).
#
# Builds one lab, lets replication drain, and runs the cases (default: all, in the order of
# ALL_CASES). Prints "ok NAME", "not ok NAME: why" or "skip NAME: why" for each check and at the
# end "N passed, N failed, N skipped". Needs root, Debian's cyrus-imapd and cyrus-replication, jq.
#
#   ASSAY=build/dev/assay      the program
#   LIVE_CHURN_SECONDS=20      length of the case churn (120 for a full run)
#   LEGACY_DIRS=yes            mailboxes in directories by name, which renames move
#   LIVE_SEED=1                which messages the damage falls on, what churn does
#   LIVE_CYRUS=yes             the pair that the cases cyrus, cache-flip, annotations-flip and
#                              header-flip need, which are not among the default ones
#   LIVE_EVIDENCE=             a folder that keeps the output of failed calls
#
# Invariant: each case leaves the pair healthy and its damage undone, or says so by a failure.
#
# Exit status: 0 nothing failed, 1 something did, 77 everything was skipped.
# shellcheck disable=SC2317 # the cases are called by name
# shellcheck disable=SC2016 # the filters are jq's, not the shell's
set -u -o pipefail
export LC_ALL=C
HERE=$(dirname "$(readlink -f "$0")")
ROOT=$(readlink -f "$HERE/../..")
ASSAY=${ASSAY:-$ROOT/build/dev/assay}
CHURN_SECONDS=${LIVE_CHURN_SECONDS:-20}
SEED=${LIVE_SEED:-1}
WORK=

# shellcheck source=lib-live.sh
. "$HERE/lib-live.sh"
# shellcheck source=lib-churn.sh
. "$HERE/lib-churn.sh"
# shellcheck source=lib-cyrus.sh
. "$HERE/lib-cyrus.sh"

DAMAGES="flip truncate remove indexflip"
ALL_CASES="lab drained"
for side in master replica; do
	for how in $DAMAGES; do ALL_CASES="$ALL_CASES damage-$side-$how"; done
done
ALL_CASES="$ALL_CASES stale wedged-killed wedged-frozen wedged-looping master-only lost-event busy log-unreadable"
ALL_CASES="$ALL_CASES never-scanned scanned-too-long-ago command churn"
CYRUS_CASES="cyrus cache-flip annotations-flip header-flip"

# --------------------------------------------------------------------- the lab itself

# What all else stands on, judged without the program.
case_lab() {
	check "lab: both sides are equal after the drain" "see lab.sh verify" lab verify
	check "lab: sync_client is alive" "no pid" test -s "$WORK/lab/pid/s1.sync"
	check "lab: every message is what its index says" "reconstruct complains" lab_is_sound
	check "lab: a flipped bit is seen by Cyrus and undone" "reconstruct -n -G" lab_sees_flip
}

# reconstruct -n exits 0 whatever it finds: read the text.
reconstruct_complains() { # HOST
	lab cyr "$1" s1 reconstruct -n -G -r user/u001 user/u002 user/u003 2>&1 |
		grep -E 'mismatch|not found|corrupt|rediscover'
}

lab_is_sound() {
	! reconstruct_complains imap21 && ! reconstruct_complains imap22
}

lab_sees_flip() {
	local seen=1
	pick_victim replica 0 || return 1
	"$HERE/damage.pl" flip "$VICTIM_FILE" 1500 4
	reconstruct_complains imap22 | grep "uid $VICTIM_UID guid mismatch" || seen=0
	"$HERE/damage.pl" flip "$VICTIM_FILE" 1500 4
	[ "$seen" = 1 ] && ! reconstruct_complains imap22
}

# --------------------------------------------------------------------- a healthy pair

case_drained() {
	local side live
	settle || not_ok "drained: replication drains" "lab.sh sync"
	for side in master replica; do
		expect_clean_scan drained "$(target_of "$side")"
		# shellcheck disable=SC2046 # directories without blanks
		live=$("$HERE/damage.pl" count $(list_mailboxes "$(host_of "$side")" | cut -d' ' -f2))
		expect_json "drained: scan of $(target_of "$side") read all $live live messages" \
			'messages >= ($n | tonumber)' --arg n "$live"
	done
	expect_permit drained
}

# --------------------------------------------------------------------- damage at rest

# SIDE TURN: sets VICTIM_MAILBOX, _DIR, _RECORD, _UID, _OFFSET, _FILE. Another turn begins the
# search at another mailbox.
pick_victim() {
	local list count
	list=$(list_mailboxes "$(host_of "$1")")
	count=$(wc -l <<<"$list")
	list=$(printf '%s\n%s\n' "$list" "$list" | tail -n +$((($2 * 7 + SEED) % count + 1)))
	# shellcheck disable=SC2046 # directories without blanks
	read -r VICTIM_DIR VICTIM_RECORD VICTIM_UID VICTIM_OFFSET < <(
		"$HERE/damage.pl" pick $(cut -d' ' -f2 <<<"$list")) || return 1
	VICTIM_MAILBOX=$(grep -m1 -F -- " $VICTIM_DIR" <<<"$list" | cut -d' ' -f1)
	VICTIM_FILE=$VICTIM_DIR/$VICTIM_UID.
}

# What each damage is: the call that does it, the one that undoes it, and what must be said.
# A flip in a record hits the GUID on the master and the size on the replica: a record that
# fails its checksum is no witness, so the message must not be called damaged as well.
damage() { # do|undo SIDE HOW
	local size at
	case $1-$3 in
	*-flip)
		size=$(stat -c %s "$VICTIM_FILE")
		"$HERE/damage.pl" flip "$VICTIM_FILE" $((size * 2 / 3)) 0
		;;
	*-indexflip)
		at=65
		[ "$2" = replica ] && at=14
		"$HERE/damage.pl" flip "$VICTIM_DIR/cyrus.index" $((VICTIM_OFFSET + at)) 5
		;;
	do-truncate)
		cp -p "$VICTIM_FILE" "$WORK/saved"
		"$HERE/damage.pl" cut "$VICTIM_FILE" 10
		;;
	undo-truncate) cat "$WORK/saved" >"$VICTIM_FILE" && touch -r "$WORK/saved" "$VICTIM_FILE" ;;
	do-remove) mv "$VICTIM_FILE" "$WORK/lab/tmp/removed" ;;
	undo-remove) mv "$WORK/lab/tmp/removed" "$VICTIM_FILE" ;;
	esac
}

# HOW: sets WANT to the verdict, code and file name the finding must have.
expected_finding() {
	case $1 in
	flip) WANT=(corrupt message.digest "$VICTIM_FILE") ;;
	truncate) WANT=(corrupt message.size "$VICTIM_FILE") ;;
	remove) WANT=(missing message.missing "$VICTIM_FILE") ;;
	indexflip) WANT=(corrupt index.record_crc "$VICTIM_DIR/cyrus.index") ;;
	esac
}

# NAME SIDE HOW: the scan says this one thing.
expect_the_finding() {
	local filter='open_findings | length == 1 and (.[0] | .store == "s1" and .host == $host
		and .mailbox == $mailbox and .path == $path and .verdict == $verdict
		and .code == $code and '
	if [ "$3" = indexflip ]; then
		filter="$filter"'.record == ($record | tonumber))'
	else
		filter="$filter"'.uid == ($uid | tonumber))'
	fi
	expect_json "$1: the one finding names it" "$filter" --arg host "$(host_of "$2")" \
		--arg mailbox "$VICTIM_MAILBOX" --arg path "${WANT[2]}" --arg verdict "${WANT[0]}" \
		--arg code "${WANT[1]}" --arg record "$VICTIM_RECORD" --arg uid "$VICTIM_UID"
}

# NAME SIDE: the gate denies because of it: damage of the replica by the rule intact, damage of the
# master by the rule complete, since it cannot be told then what the replica must hold.
expect_gate_names_it() {
	local rule=intact
	[ "$2" = master ] && rule=complete
	gate
	expect_gate "$1" 1 deny
	expect_json "$1: the gate names it" \
		'any(failing($rule) | .findings[]?; .path == $path and .code == $code)' --arg rule $rule \
		--arg path "${WANT[2]}" --arg code "${WANT[1]}"
}

case_damage() { # SIDE HOW TURN
	local name=damage-$1-$2
	settle || not_ok "$name: replication drains" "lab.sh sync"
	pick_victim "$1" "$3" || {
		not_ok "$name: there is a message to damage" "see damage.pl pick"
		return
	}
	expected_finding "$2"
	damage "do" "$1" "$2" || not_ok "$name: the damage is done" "$VICTIM_FILE"
	scan "$(target_of "$1")"
	expect_exit "$name: scan exits 1" 1
	expect_the_finding "$name" "$1" "$2"
	expect_gate_names_it "$name" "$1"
	damage undo "$1" "$2" || not_ok "$name: the damage is undone" "$VICTIM_FILE"
	expect_clean_scan "$name: undone" "$(target_of "$1")"
	expect_permit "$name: undone"
}

# --------------------------------------------------------------------- a replica that is behind

# NAME: with a limit of two seconds the gate denies and says who would lose mail.
expect_stale() {
	CONF=$(conf_with_policy "max_lag = 2s") gate
	expect_gate "$1" 1 deny
	expect_json "$1: rule fresh fails with fresh.stale" \
		'failing("fresh") | .code == "fresh.stale"'
	expect_json "$1: the lag is at least 2 s" 'rule("fresh") | .lag_s >= 2'
	expect_json "$1: u002 is named" 'rule("fresh") | .users | index("u002") != null'
}

# NAME: once the client runs again and is done, the same limit permits.
expect_recovered() {
	check "$1: replication drains again" "lab.sh sync" settle
	CONF=$(conf_with_policy "max_lag = 2s") gate
	expect_gate "$1: drained again" 0 permit
}

case_stale() {
	settle
	quiet_lab crash-replication term-client
	quiet_lab mail 3 "$SEED" u002
	sleep 3
	expect_stale stale
	expect_recovered stale
}

# A batch is in flight when the replica's server freezes: log-run stays.
begin_batch() {
	settle
	quiet_lab crash-replication freeze-server
	quiet_lab mail 3 "$SEED" u002
	wait_for "$(sync_dir)/log-run"
}

case_wedged_killed() {
	check "wedged-killed: a batch is in flight" "no log-run" begin_batch
	quiet_lab crash-replication kill-client
	sleep 3
	check "wedged-killed: log-run is left" "no log-run" test -e "$(sync_dir)/log-run"
	expect_stale wedged-killed
	expect_recovered wedged-killed
}

case_wedged_frozen() {
	check "wedged-frozen: a batch is in flight" "no log-run" begin_batch
	quiet_lab crash-replication freeze-client
	sleep 3
	expect_stale wedged-frozen
	expect_recovered wedged-frozen
}

# Two folders change places in one batch: sync_client tries that for ever, looks busy, and
# everybody behind it waits.
case_wedged_looping() {
	settle
	quiet_lab crash-replication term-client
	quiet_lab swap u001 INBOX/Projects/Alpha INBOX/Projects/Beta
	quiet_lab mail 1 "$SEED" u002
	quiet_lab restart-client
	check "wedged-looping: a batch is in flight" "no log-run" wait_for "$(sync_dir)/log-run"
	sleep 3
	check "wedged-looping: log-run is left" "no log-run" test -e "$(sync_dir)/log-run"
	expect_stale wedged-looping
	quiet_lab crash-replication term-client
	check "wedged-looping: the swap is unpicked" "sync_client -u" unpick_swap
	expect_recovered wedged-looping
}

# The way out: one folder aside, replicate the user, and back.
unpick_swap() {
	lab rename u001 INBOX/Projects/Alpha INBOX/Projects/Aside &&
		lab cyr imap21 s1 sync_client -u u001 &&
		lab rename u001 INBOX/Projects/Aside INBOX/Projects/Alpha &&
		lab cyr imap21 s1 sync_client -u u001
}

# The log that would have told of the user is gone, so only a comparison can find it.
case_master_only() {
	settle
	quiet_lab crash-replication term-client
	quiet_lab imap imap21 s1 cyrus 'CREATE "user/u900"'
	quiet_lab mail 2 "$SEED" u900
	mv "$(sync_dir)/log" "$WORK/log.aside" || not_ok "master-only: there is a log" "none"
	gate
	expect_gate master-only 1 deny
	expect_json "master-only: rule complete fails with complete.missing_mailbox" \
		'failing("complete") | .code == "complete.missing_mailbox"'
	expect_json "master-only: u900 is named" 'rule("complete") |
		(.users | index("u900") != null) and (.mailboxes | index("user.u900") != null)'
	mv "$WORK/log.aside" "$(sync_dir)/log"
	expect_recovered master-only
}

# Mail whose event was lost: nothing is outstanding, every mailbox is there, and yet the replica
# lacks messages. Only the two indexes tell.
case_lost_event() {
	settle
	quiet_lab crash-replication term-client
	quiet_lab mail 2 "$SEED" u002
	mv "$(sync_dir)/log" "$WORK/log.aside" || not_ok "lost-event: there is a log" "none"
	gate
	expect_gate lost-event 1 deny
	expect_json "lost-event: rule complete fails with complete.messages_missing" \
		'failing("complete") | .code == "complete.messages_missing"'
	expect_json "lost-event: u002 is named" 'rule("complete") |
		(.users | index("u002") != null) and (.mailboxes | index("user.u002") != null)'
	mv "$WORK/log.aside" "$(sync_dir)/log"
	expect_recovered lost-event
}

# Mail that never stops, and replication that keeps up a second behind: the gate may not be sure that
# the channel drains, but it must not say that messages are missing.
case_busy() {
	local i permits=0 mailer
	settle
	expect_clean_scan busy s1@imap22
	DEADLINE=$((SECONDS + 12)) # of churn_going
	(i=0; while churn_going; do quiet_lab mail 2 "$((SEED + ++i))" u001 u002; done) &
	mailer=$!
	for ((i = 1; i <= 4; i++)); do
		gate
		[ "$RC" = 0 ] && permits=$((permits + 1))
		expect_json "busy: gate $i: complete passes" 'rule("complete") | .result == "pass"'
		check "busy: gate $i: is no deny" "exit $RC" test "$RC" != 1
	done
	wait "$mailer"
	echo "# busy: $permits of 4 gates were permits"
	expect_recovered busy
}

# What cannot be read is unknown, and unknown is not fresh. (Root may read any folder, so the
# folder has to be something else.)
case_log_unreadable() {
	local sync
	sync=$(sync_dir)
	settle
	quiet_lab crash-replication term-client
	mv "$sync" "$sync.aside" && touch "$sync" && chown cyrus:mail "$sync"
	gate
	expect_no_permit log-unreadable
	expect_json "log-unreadable: rule fresh is unknown" 'rule("fresh") | .result == "unknown"'
	rm -f "$sync" && mv "$sync.aside" "$sync"
	expect_recovered log-unreadable
}

# --------------------------------------------------------------------- no verification to show

case_never_scanned() {
	settle
	STATE=$WORK/state-never gate
	expect_no_permit never-scanned
	expect_json "never-scanned: rule intact does not pass" 'rule("intact") | .result != "pass"'
}

case_scanned_too_long_ago() {
	local conf
	settle
	conf=$(conf_with_policy "max_scan_age = 1s")
	CONF=$conf expect_clean_scan scanned-too-long-ago s1@imap22
	sleep 2
	CONF=$conf gate
	expect_no_permit scanned-too-long-ago
	expect_json "scanned-too-long-ago: rule intact does not pass" \
		'rule("intact") | .result != "pass"'
}

# --------------------------------------------------------------------- running the failover

case_command() {
	settle
	gate -- touch "$WORK/ran"
	expect_exit "command: gate exits 0 when it permits and the command succeeds" 0
	check "command: it runs on a permit" "the file is not there" test -e "$WORK/ran"
	STATE=$WORK/state-command gate -- touch "$WORK/ran-anyway"
	expect_no_permit command
	check "command: it does not run without" "the file is there" test ! -e "$WORK/ran-anyway"
}

# --------------------------------------------------------------------- main

# Why nothing can be tested here, if so.
missing_means() {
	[ "$(id -u)" = 0 ] || echo "not root"
	[ -x /usr/lib/cyrus/bin/sync_client ] || echo "cyrus-replication is not installed"
	[ -x /usr/lib/cyrus/bin/imapd ] || echo "cyrus-imapd is not installed"
	command -v jq >/dev/null || echo "jq is not installed"
}

cleanup() {
	[ -n "$WORK" ] || return
	churn_stop
	[ ! -e "$WORK/lab" ] || quiet_lab down
	rm -rf "$WORK"
}

build_lab() {
	WORK=$(mktemp -d "${TMPDIR:-/tmp}/live.XXXXXX") || exit 1
	OUT=$WORK/out ERR=$WORK/err
	: >"$OUT"
	: >"$ERR"
	trap cleanup EXIT
	trap 'exit 130' INT TERM
	chmod 755 "$WORK"
	if [ "${LIVE_CYRUS:-}" = yes ]; then
		EXTRA_IMAPD=$(cyrus_options)
		export EXTRA_IMAPD
	fi
	populate && return
	not_ok "lab: a drained pair" "$(tail -n 3 "$WORK/lab.log" | tr '\n' ' ')"
	finish
}

# Three users, small and large messages, and changes enough for every folder to have some.
populate() {
	quiet_lab up && quiet_lab deliver 60 3 "$SEED" small && quiet_lab deliver 6 3 "$SEED" &&
		quiet_lab churn 60 3 "$SEED" && quiet_lab sync 30
}

# The state that the cases start from: both sides scanned once.
first_scans() {
	scan s1
	scan s1@imap22
}

finish() {
	echo "$PASSED passed, $FAILED failed, $SKIPPED skipped"
	[ "$FAILED" = 0 ] || exit 1
	[ "$PASSED" != 0 ] || exit 77
	exit 0
}

run_case() { # NAME
	local name=$1 turn=0 known
	for known in $ALL_CASES; do
		[ "$known" = "$name" ] && break
		turn=$((turn + 1))
	done
	if [ "$name" != lab ] && [ ! -x "$ASSAY" ]; then
		skip "$name" "no program at $ASSAY"
		return
	fi
	case $name in
	damage-*) case_damage "$(cut -d- -f2 <<<"$name")" "$(cut -d- -f3 <<<"$name")" "$turn" ;;
	*) "case_${name//-/_}" ;;
	esac
}

cases=${*:-$ALL_CASES}
for name in $cases; do
	[[ " $ALL_CASES $CYRUS_CASES " = *" $name "* ]] || {
		echo "test-live: no case '$name'; there are: $ALL_CASES $CYRUS_CASES" >&2
		exit 1
	}
done
why=$(missing_means | paste -sd, -)
if [ -n "$why" ]; then
	for name in $cases; do skip "$name" "$why"; done
	finish
fi
build_lab
[ ! -x "$ASSAY" ] || first_scans
for name in $cases; do run_case "$name"; done
finish

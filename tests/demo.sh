#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# demo.sh: assay shown on a store that was captured from a real pair of Cyrus servers.
#
# Unpacks the pair, verifies it, damages one message of the replica by one bit, and later lets the
# replica be three days behind; each time the gate is asked whether failing over would be safe.
# Every command is shown as an operator would type it, with its real output and exit status.
#
#   ASSAY=build/dev/assay   the program
#
# Invariant: what the text between the commands claims is checked. The first thing that is not as
# told ends the demo with `not ok demo: why` and status 1; otherwise the last line is `ok demo`.
# Output of commands is indented, so that no line of theirs can be taken for that one. Needs no
# root and no network, and writes below build/demo only; what it made stays there to be looked at.
set -u -o pipefail
export LC_ALL=C.UTF-8 TZ=UTC
umask 077
cd "$(dirname "$0")/.." || exit 1
ASSAY=$(readlink -f "${ASSAY:-build/dev/assay}")
FIXTURE=$PWD/tests/fixtures/pair.tar.xz
DEMO=$PWD/build/demo
BOLD='' PLAIN=''
[ ! -t 1 ] || BOLD=$'\033[1m' PLAIN=$'\033[0m'

fail() {
	echo
	echo "not ok demo: $*"
	exit 1
}

title() { printf '\n%s%s%s\n' "$BOLD" "$*" "$PLAIN"; }

tell() { printf '%s\n' "$*" | fold -s -w 92 | sed 's/ $//'; }

# WORDS...: them as they would be typed.
typed() {
	local word line='$'
	for word; do
		case $word in *' '*) line="$line '$word'" ;; *) line="$line $word" ;; esac
	done
	printf '\n%s  %s%s\n' "$BOLD" "$line" "$PLAIN"
}

# EXIT WORDS...: runs assay with the words, shows it all, and insists on the exit status.
assay() {
	local wanted=$1 status
	shift
	typed assay "$@"
	"$ASSAY" "$@" >output 2>&1 </dev/null
	status=$?
	sed 's/^/    /' output
	printf '  (exit status %d)\n\n' "$status"
	[ "$status" = "$wanted" ] || fail "assay $1 ended with status $status instead of $wanted"
}

# The same for another command, which has to succeed.
run() {
	typed "$@"
	"$@" >output 2>&1 || fail "$1 failed: $(tail -n 1 output)"
	sed 's/^/    /' output
}

# PATTERN: the last output has a line that it matches.
says() { grep -qE -e "$1" output || fail "expected in the output: $1"; }
says_path() { grep -qF -e "$1" output || fail "expected in the output: $1"; }

# PATTERN: the first line does, because the verdict comes first.
begins() { head -n 1 output | grep -qE -e "^$1" || fail "the first line does not begin with $1"; }

# FILE OFFSET: flips the lowest bit of that byte and leaves the times as they are, as a bad disk
# would. A second call undoes it.
flip_bit() {
	local byte
	touch -r "$1" times || return 1
	byte=$(od -An -tu1 -j "$2" -N 1 "$1") || return 1
	# shellcheck disable=SC2059 # the format is the byte
	printf "\\$(printf %03o $((byte ^ 1)))" |
		dd of="$1" bs=1 seek="$2" conv=notrunc status=none && touch -r times "$1"
}

set_up() {
	rm -rf "$DEMO"
	mkdir -p "$DEMO" || fail "no folder $DEMO"
	cd "$DEMO" || fail "no folder $DEMO"
	[ -x "$ASSAY" ] || fail "there is no program: run make first"
	tar -xJf "$FIXTURE" --no-same-owner || fail "the fixture cannot be unpacked"
	local side
	mv drained/master imap21 || fail "the fixture is not whole"
	mv drained/replica imap22 || fail "the fixture is not whole"
	for side in imap21 imap22; do
		sed -i "s|@ROOT@|$DEMO/$side|g" $side/imapd.conf || fail "no imapd.conf"
	done
	sed -i "s|@ROOT@|$DEMO/imap21|g" stale/master/imapd.conf || fail "no imapd.conf"
	cat >assay.conf <<-END
		[host]
		name = imap21

		[policy]
		max_lag = 5min
		max_scan_age = 36h

		[store s1]
		imapd_conf = $DEMO/imap21/imapd.conf
		role = master
		peers = imap22

		[store s1@imap22]
		imapd_conf = $DEMO/imap22/imapd.conf
		role = replica
	END
	OPTIONS=(--config assay.conf --state state)
	# A message to damage, in a mailbox that has several: more than 1 KiB, and one name only.
	VICTIM=$(find imap22/spool/uuid -name '[3-9].' -type f -links 1 -size +1024c | sort | head -n 1)
	[ -n "$VICTIM" ] || fail "the fixture has no message to damage"
}

show_healthy() {
	title "1. A healthy pair"
	tell "Store s1 has its master on imap21 and a replica on imap22. This is all that assay is" \
		"told:"
	run cat assay.conf
	tell ""
	tell "A scan reads every message from the disk and compares it with the SHA-1 that its index" \
		"recorded when it was delivered:"
	assay 0 scan "${OPTIONS[@]}"
	[ "$(grep -c '^OK ' output)" = 2 ] || fail "the two copies are not both OK"
	tell "May s1 fail over to imap22?"
	assay 0 gate s1 --to imap22 "${OPTIONS[@]}"
	begins "PERMIT"
	says "intact +pass"
}

show_damage() {
	title "2. One bit flips on the replica's disk"
	tell "Neither Cyrus nor the filesystem notices: size, times and index stay as they were. Here" \
		"the demo flips the lowest bit of byte 700 of message $(basename "$VICTIM" .) in"
	tell "$(dirname "$VICTIM")"
	flip_bit "$VICTIM" 700 || fail "the message cannot be damaged"
	assay 1 scan s1@imap22 "${OPTIONS[@]}"
	begins "CORRUPT"
	says "message\.digest"
	says_path "$DEMO/$VICTIM"
	says "1 finding, 0 not checked"
	tell "The scan looked twice before it said so, and it names the message. The gate knows:"
	assay 1 gate s1 --to imap22 "${OPTIONS[@]}"
	begins "DENY"
	says "intact +FAIL"
	says_path "$DEMO/$VICTIM"
	tell "Put right, by copying the message back from the peer (here by flipping the bit again)," \
		"and verified again:"
	flip_bit "$VICTIM" 700 || fail "the message cannot be restored"
	assay 0 scan s1@imap22 "${OPTIONS[@]}"
	assay 0 findings list --all "${OPTIONS[@]}"
	says "closed +.*verified"
	tell "The finding is kept, closed. The way is free:"
	assay 0 gate s1 --to imap22 "${OPTIONS[@]}"
	begins "PERMIT"
}

show_stale() {
	title "3. Replication has stopped, and mail keeps coming"
	tell "The master's folder is replaced by one that was captured later, while sync_client was" \
		"down. Its replication log holds what the replica never got:"
	rm -rf imap21
	mv stale/master imap21 || fail "the later master cannot be put in place"
	run cat imap21/conf/sync/log
	tell ""
	tell "Unpacked just now, that log looks young. For the story of a replica that is three days" \
		"behind, the demo sets its time back, and so the age below is the demo's doing:"
	run touch -d "-76 hours" imap21/conf/sync/log
	tell ""
	tell "The size of that log, $(stat -c %s imap21/conf/sync/log) bytes, would alarm nobody. Its" \
		"age does:"
	assay 1 gate s1 --to imap22 "${OPTIONS[@]}" -- echo "failing over now"
	begins "DENY"
	says "fresh +FAIL +at least 3 d 4 h behind"
	says "users: u002 u003"
	says "complete +FAIL +mailboxes that lack messages of imap21: 2"
	says "Failing over now would lose .*3 d 4 h.* of mail of 2 users"
	! grep -q "failing over now" output || fail "the command ran in spite of the deny"
	tell "The rule complete compared the indexes of both copies, so a log that is lost would not" \
		"hide what is missing. The command behind -- was not run: it runs on a permit, and" \
		"only then."
}

main() {
	SECONDS=0
	set_up
	show_healthy
	show_damage
	show_stale
	printf '\nAll of it was done in %d s, below build/demo.\n' "$SECONDS"
	echo "ok demo"
}

main

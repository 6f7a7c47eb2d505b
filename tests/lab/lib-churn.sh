# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# The case churn: everything that changes a live store, all at once, while both sides are scanned
# again and again. A store that only changes is not damaged, so no scan may say anything.
#
# Four workers run beside the scans, each until the deadline: mail and flags, folders, users, and
# the nightly cleanup without any delay, on both hosts; others can be added (see lib-cyrus.sh). Their
# pids are in CHURN_PIDS.
# Sourced by test-live.sh.

CHURN_PIDS=()

churn_going() { [ "$SECONDS" -lt "$DEADLINE" ]; }

# Deliveries; flags, moves, copies, expunges.
churn_mail() {
	local i
	for ((i = 1; ; i++)); do
		churn_going || return 0
		lab deliver 6 3 "$((SEED + i))" mixed
		lab churn 12 3 "$((SEED + i))"
	done
}

# A folder to another place and back, a tree by another name and back, one made and deleted.
# Never two that change places: that would wedge replication, which is another case.
churn_folders() {
	local i
	for ((i = 1; ; i++)); do
		churn_going || return 0
		lab rename u001 INBOX/Projects/Alpha "INBOX/Archive/Alpha$i"
		lab rename u002 INBOX/Archive "INBOX/Old$i"
		lab imap imap21 s1 u003 "CREATE INBOX/New$i"
		sleep 0.5
		lab rename u001 "INBOX/Archive/Alpha$i" INBOX/Projects/Alpha
		lab rename u002 "INBOX/Old$i" INBOX/Archive
		lab imap imap21 s1 u003 "DELETE INBOX/New$i"
		sleep 0.3
	done
}

# A new user, with mail, under another name, gone.
churn_users() {
	local i old new
	for ((i = 100; ; i++)); do
		churn_going || return 0
		old=u8$i new=u9$i
		lab imap imap21 s1 cyrus "CREATE \"user/$old\"" "CREATE \"user/$old/Sent\""
		lab mail 3 "$i" "$old"
		sleep 0.4
		lab renameuser "$old" "$new"
		lab mail 2 "$i" "$new"
		sleep 0.4
		lab imap imap21 s1 cyrus "SETACL \"user/$new\" cyrus lrswipkxtecdan" \
			"DELETE \"user/$new\""
	done
}

# Unlinks expunged messages and deleted mailboxes, rewrites indexes, on both sides.
churn_purge() {
	lab cyr imap21 s1 cyr_expire -E 0 -X 0 -D 0
	lab cyr imap22 s1 cyr_expire -E 0 -X 0 -D 0
}

churn_expire() {
	while churn_going; do
		churn_purge
		sleep 0.6
	done
}

churn_start() { # WORKER...
	local worker
	DEADLINE=$((SECONDS + CHURN_SECONDS))
	for worker; do
		"$worker" >"$WORK/$worker.log" 2>&1 &
		CHURN_PIDS+=($!)
	done
}

# Lets them end by themselves.
churn_wait() {
	wait "${CHURN_PIDS[@]}"
	CHURN_PIDS=()
}

# For an early exit.
churn_stop() {
	local pid
	for pid in "${CHURN_PIDS[@]}"; do kill "$pid" 2>/dev/null; done
	[ ${#CHURN_PIDS[@]} = 0 ] || wait "${CHURN_PIDS[@]}" 2>/dev/null
	CHURN_PIDS=()
}

# Neither a finding nor a gap: both, but for notices, show in the exit status.
says_nothing() {
	[ "$RC" = 0 ] && jq -es "$JQ_DEFS open_findings == []" "$OUT" >/dev/null 2>>"$WORK/check.log"
}

# NAME: scans in turn until the deadline. Each that is not clean is a failed check of its own.
churn_scans() {
	local name=$1 target n=0 clean=0 messages=0 blocks=0
	while churn_going; do
		for target in s1 s1@imap22; do
			n=$((n + 1))
			scan "$target"
			messages=$((messages + $(jq -s "$JQ_DEFS messages" "$OUT" 2>/dev/null || echo 0)))
			blocks=$((blocks + $(jq -s '[.[] | select(.type == "summary").roads[].messages] | add // 0' \
				"$OUT" 2>/dev/null || echo 0)))
			if says_nothing; then
				clean=$((clean + 1))
			else
				not_ok "$name: scan $n, of $target" "exit $RC: $(first_complaint)"
			fi
		done
	done
	if [ "$clean" -gt 0 ] && [ "$clean" = "$n" ]; then
		ok "$name: $n scans of $messages messages in $CHURN_SECONDS s said nothing"
	else
		not_ok "$name: $n scans of $messages messages in $CHURN_SECONDS s said nothing" \
			"$((n - clean)) did"
	fi
	# On loop devices of its own the lab lets their blocks be read: then they must have been.
	[ "${LOOP:-0}" = 1 ] || return 0
	if [ "$blocks" -gt 0 ]; then
		ok "$name: $blocks of these messages were read in the order of the disk"
	else
		not_ok "$name: messages were read in the order of the disk" "none was"
	fi
}

# The first finding or gap of the last scan.
first_complaint() {
	jq -sc "$JQ_DEFS (open_findings + map(select(.type == \"gap\")))[0] // empty" "$OUT" |
		head -c 700
	[ -s "$OUT" ] || tail -n 1 "$ERR"
}

# The workers did what they are for: a churn that does nothing proves nothing.
churn_worked() {
	grep -q 'move=' "$WORK/churn_mail.log" &&
		[ "$(grep -c 'OK' "$WORK/churn_folders.log")" -ge 6 ] &&
		grep -q 'OK rename user/u8' "$WORK/churn_users.log" &&
		! grep -q 'labtool:.*closed' "$WORK"/churn_*.log
}

# A folder that is deleted and purged (cyr_expire -D 0) before the replica heard of either stays
# there for good: no event is left to tell. Replicating the whole user removes it. Expunged
# messages whose files one side has already unlinked are a difference too, until both have.
churn_catch_up() {
	local user
	for user in u001 u002 u003; do
		lab cyr imap21 s1 sync_client -u "$user" || return 1
	done
	churn_purge && lab sync 30 && lab verify
}

# NAME [WORKER...]: with these workers besides.
churn_case() {
	local name=$1
	settle
	churn_start churn_mail churn_folders churn_users churn_expire "${@:2}"
	churn_scans "$name"
	churn_wait
	check "$name: the workers worked" "see churn_*.log" churn_worked
	check "$name: replication drains afterwards" "lab.sh sync" settle
	check "$name: both sides are equal afterwards" "lab.sh verify" churn_catch_up
	expect_clean_scan "$name: afterwards" s1
	expect_clean_scan "$name: afterwards" s1@imap22
	expect_permit "$name: afterwards"
}

case_churn() { churn_case churn; }

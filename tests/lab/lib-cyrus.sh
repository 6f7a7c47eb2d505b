# shellcheck shell=bash
# shellcheck disable=SC2016 # the filters are jq's, not the shell's; the dollars those of IMAP's flags
# SPDX-License-Identifier: Apache-2.0
#
# The case cyrus: as churn, on a pair with more of Cyrus switched on, and with more that changes:
# annotations, rights, quota roots, subscriptions, a folder that users share, messages that go to the
# archive and come back, and `reconstruct` over all of it, on both hosts. Then one flip in each of
# the files that only this pair has something in.
#
# The pair has to be built with cyrus_options (LIVE_CYRUS=yes).
# Sourced by test-live.sh, after lib-churn.sh.

# Messages above 40 KB are archived when they arrive.
cyrus_options() {
	cat <<-'END'
		conversations: yes
		conversations_max_guidinfolder: 5000
		conversations_max_guidexists: 5000
		conversations_max_guidrecords: 9000
		archive_enabled: yes
		archivepartition-default: @DIR@/archive
		archive_maxsize: 40
		annotation_allow_undefined: yes
		metapartition-default: @DIR@/meta
		metapartition_files: header annotations
	END
}

# --------------------------------------------------------------------- what else happens

# USER COMMAND...: IMAP commands at the master. What is refused is in the log of the worker.
as() { lab imap imap21 s1 "$@"; }

cyrus_shared() {
	as cyrus 'CREATE shared' 'CREATE shared/News' 'SETACL shared anyone lrswipte' \
		'SETACL shared cyrus lrswipkxtecdan' 'SETACL shared/News anyone lrswi' \
		'SETQUOTA shared (STORAGE 500000 MESSAGE 50000)' &&
		lab append u001 shared 4 "$SEED" && lab append u002 shared/News 2 "$SEED"
}

# Annotations and flags of messages, copied with them; the 40 names of flags are used again.
churn_marks() {
	local i
	for ((i = 1; ; i++)); do
		churn_going || return 0
		as u001 'SELECT INBOX' \
			"STORE 1,3 ANNOTATION (/comment (value.shared \"s$i\" value.priv \"p$i\"))" \
			"STORE 2 ANNOTATION (/comment (value.shared \"$i\"))" \
			"STORE 1:2 +FLAGS (Lab$((i % 40)))" "STORE 2 -FLAGS (Lab$(((i + 7) % 40)))" \
			'COPY 1:2 INBOX/Archive/2024' 'STORE 2 ANNOTATION (/comment (value.shared NIL))'
		as u002 'SELECT INBOX/Sent' "STORE 1:* ANNOTATION (/vendor/lab/n (value.shared \"$i\"))" \
			'STORE 1:* +FLAGS (\Flagged)' 'STORE 1 +FLAGS (\Deleted)' EXPUNGE
		sleep 0.2
	done
}

# Rights, metadata of folders, quotas; a quota root that comes between, and goes with its folder.
churn_rights() {
	local i
	for ((i = 1; ; i++)); do
		churn_going || return 0
		as u002 'SETACL INBOX/Sent u001 lrs' 'SETACL INBOX/Drafts anyone l' \
			"SETMETADATA INBOX/Sent (/private/comment \"$i\" /shared/comment \"$i\")" \
			'DELETEACL INBOX/Sent u001' 'SETACL INBOX/Drafts u003 lrswi'
		as cyrus "SETQUOTA user/u001 (STORAGE $((900000 + i)) MESSAGE 90000)" \
			"CREATE \"user/u003/Q$i\"" "SETQUOTA \"user/u003/Q$i\" (STORAGE 9000 MESSAGE 900)"
		lab append u003 "INBOX/Q$i" 2 "$((SEED + i))"
		as u003 "SUBSCRIBE INBOX/Q$i" "SETACL INBOX/Q$i u001 lr" "RENAME INBOX/Q$i INBOX/R$i" \
			"SUBSCRIBE INBOX/R$i" "UNSUBSCRIBE INBOX/Q$i" "DELETE INBOX/R$i" "UNSUBSCRIBE INBOX/R$i"
		sleep 0.2
	done
}

# What several users do in one folder.
churn_shared() {
	local i
	for ((i = 1; ; i++)); do
		churn_going || return 0
		lab append u001 shared 1 "$((SEED + i))"
		as u002 'SELECT shared' 'STORE 1:* +FLAGS (\Seen)' \
			"STORE 1 ANNOTATION (/comment (value.priv \"u002 $i\"))" 'SELECT shared/News' \
			'STORE 1 +FLAGS (\Seen \Answered)'
		as u003 'SELECT shared' "STORE 2 +FLAGS (\\Seen Lab$((i % 9)))" 'SUBSCRIBE shared' \
			'STORE 1 -FLAGS (\Seen)' 'STATUS shared/News (MESSAGES UNSEEN)'
		as cyrus "SETACL shared/News u00$((i % 3 + 1)) lrswipte" \
			"SETACL shared anyone lrswipte$([ $((i % 2)) = 0 ] || echo k)"
		as u001 'SELECT shared' 'STORE 3 +FLAGS (\Deleted)' EXPUNGE
		sleep 0.3
	done
}

archived_on() { find "$WORK/lab/$1/s1/archive" -name '[0-9]*.' | wc -l; }

# All there is into the archive, and back, on both sides.
churn_archive() {
	local i host days
	for ((i = 1; ; i++)); do
		churn_going || return 0
		days=0
		[ $((i % 2)) = 1 ] || days=3650
		for host in imap21 imap22; do
			lab cyr "$host" s1 cyr_expire -E 1 -x -A "$days"
			echo "$host -A $days: $(archived_on "$host") archived"
		done
		sleep 0.7
	done
}

# Nothing is wrong, so nothing may be found; but each mailbox is gone through, with its locks.
churn_reconstruct() {
	while churn_going; do
		lab cyr imap21 s1 reconstruct
		lab cyr imap22 s1 reconstruct -r user/u001 shared
		lab cyr imap21 s1 reconstruct -r -G user/u002 user/u003
		lab cyr imap22 s1 reconstruct
		lab cyr imap21 s1 quota -f
		lab cyr imap21 s1 unexpunge -a user/u003/Trash
		sleep 0.7
	done
}

cyrus_worked() {
	grep -q 'user/u001' "$WORK/churn_reconstruct.log" &&
		[ "$(grep -c '^OK' "$WORK/churn_marks.log")" -ge 20 ] &&
		[ "$(grep -c '^OK' "$WORK/churn_rights.log")" -ge 20 ] &&
		[ "$(grep -c '^OK' "$WORK/churn_shared.log")" -ge 20 ] &&
		grep -qE '^imap21 -A 0: [1-9]' "$WORK/churn_archive.log" &&
		grep -qE '^imap22 -A 0: [1-9]' "$WORK/churn_archive.log" &&
		grep -q '^imap22 -A 3650' "$WORK/churn_archive.log"
}

# --------------------------------------------------------------------- one flip each

# NAME CODE SIDE FILE OFFSET BIT EXIT: the flip must be found by this code, of this file, and
# everything else that is found must be about the same mailbox.
flip_and_find() {
	local name=$1 code=$2 target file=$4
	target=$(target_of "$3")
	"$HERE/damage.pl" flip "$file" "$5" "$6" || {
		not_ok "$name: the damage is done" "$file"
		return
	}
	scan "$target"
	expect_exit "$name: scan exits $7" "$7"
	expect_json "$name: the one finding names it" '(open_findings | length > 0) and
		any(open_findings[]; .code == $code and .path == $path) and
		(open_findings | map(.mailbox) | unique == [$mailbox])' \
		--arg code "$code" --arg path "$file" --arg mailbox "$VICTIM_MAILBOX"
	"$HERE/damage.pl" flip "$file" "$5" "$6"
	expect_clean_scan "$name: undone" "$target"
}

# In a record of the cache that a live message points to.
case_cache_flip() {
	local at
	pick_victim master 1 || {
		not_ok "cache-flip: there is a message" "see damage.pl pick"
		return
	}
	at=$(od -An -tu4 --endian=big -j $((VICTIM_OFFSET + 24)) -N4 "$VICTIM_DIR/cyrus.index")
	flip_and_find cache-flip cache.record master "$VICTIM_DIR/cyrus.cache" $((at + 9)) 2 0
}

# FILE in the metapartition, for that in the spool.
meta_file() { echo "${VICTIM_DIR/\/spool\///meta/}/$1"; }

# In a value that was set a moment ago, so that no later record has replaced it.
case_annotations_flip() {
	local file at
	as u002 'SELECT INBOX' 'STORE 1 ANNOTATION (/comment (value.shared "a value to be flipped"))' \
		>>"$WORK/lab.log"
	settle
	VICTIM_MAILBOX=user.u002
	VICTIM_DIR=$(list_mailboxes imap22 | sed -n 's/^user\.u002 //p')
	file=$(meta_file cyrus.annotations)
	at=$(grep -obaF 'a value to be flipped' "$file" | tail -n 1 | cut -d: -f1)
	flip_and_find annotations-flip annotations.corrupt replica "$file" "${at:-0}" 1 1
}

# In the rights, which the list of mailboxes has as well.
case_header_flip() {
	local file at
	VICTIM_MAILBOX=user.u001
	VICTIM_DIR=$(list_mailboxes imap21 | sed -n 's/^user\.u001 //p')
	file=$(meta_file cyrus.header)
	at=$(grep -obaF 'lrswip' "$file" | head -n 1 | cut -d: -f1)
	flip_and_find header-flip header.crc master "$file" $((${at:-0} + 1)) 0 1
}

# --------------------------------------------------------------------- the case

case_cyrus() {
	check "cyrus: there is a shared folder" "see check.log" cyrus_shared
	churn_case cyrus churn_marks churn_rights churn_shared churn_archive churn_reconstruct
	check "cyrus: the other workers worked" "see churn_*.log" cyrus_worked
	# What is damaged afterwards is in the spool.
	quiet_lab deliver 30 3 "$((SEED + 1))" small
	check "cyrus: replication drains again" "lab.sh sync" settle
}

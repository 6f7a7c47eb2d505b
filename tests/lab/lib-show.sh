# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# Looking at a lab: status, the sync directory, and whether both sides are equal.
#
# `verify` is independent of the program under test: IMAP answers, ctl_mboxlist and sha1sum.
# Sourced by lab.sh.

# One file's or folder's place in time. The birth time of a log is its oldest event's.
show_stamps() { # PATH
	stat --printf '%n %F inode=%i size=%s mode=%a %U\n' "$1"
	stat --printf '   btime %w\n   mtime %y\n   ctime %z\n' "$1"
}

cmd_syncdir() { # [SLOT]
	local slot=${1:-s1} dir file
	load
	dir=$(dir_of "$(master_of "$slot")" "$slot")/conf/sync
	echo "now      $(date +%FT%T.%3N)"
	for file in "$dir" "$dir"/*; do
		[ -e "$file" ] || continue
		show_stamps "$file"
		[ -f "$file" ] || continue
		echo "   lines $(wc -l <"$file")"
		sed -n '1,12s/^/   | /p' "$file"
	done
}

show_instance() { # HOST SLOT
	local pid=dead pidfile=$BASE/pid/$1-$2.master
	alive "$pidfile" "$(conf_of "$1" "$2")" && pid=$(cat "$pidfile")
	echo "$1/$2 $(role_of "$1" "$2") master-pid=$pid imap=$(port_of "$1" "$2" imap)" \
		"lmtp=$(port_of "$1" "$2" lmtp) sync=$(port_of "$1" "$2" sync)"
}

# Lines in a log file, or none.
count_events() { if [ -e "$1" ]; then wc -l <"$1"; else echo none; fi; }

show_client() { # SLOT
	local conf sync pid state=
	conf=$(conf_of "$(master_of "$1")" "$1")
	sync=$(dir_of "$(master_of "$1")" "$1")/conf/sync
	pid=$(of_program sync_client "$conf" | head -1)
	[ -n "$pid" ] && state=$(awk '/^State/ { print $2 }' "/proc/$pid/status")
	echo "$1 sync_client=${pid:-dead} state=${state:--}" \
		"log=$(count_events "$sync/log") log-run=$(count_events "$sync/log-run")"
}

cmd_status() {
	local host slot
	load
	echo "BASE=$BASE STORES=$STORES PORTBASE=$PORTBASE LOOP=$LOOP SYNC_MODE=$SYNC_MODE"
	for slot in $(slots); do
		for host in $HOSTS; do show_instance "$host" "$slot"; done
		show_client "$slot"
	done
}

# --------------------------------------------------------------------- both sides compared

# Each of these prints one side's view of one thing, sorted.
view_imap() { labtool state "$(port_of "$1" "$2" imap)" | sort; }

# Live entries only, without the time of the change: tombstones differ legitimately.
view_mailboxes() {
	cyr "$1" "$2" ctl_mboxlist -d | grep '^"' | grep -vE '"mbtype": "[a-z]*d[a-z]*"' |
		sed -E 's/"mtime": "[0-9]+", //; s/,$//' | sort
}

# Wherever they lie: each side archives by itself.
view_spool() {
	(
		cd "$(dir_of "$1" "$2")" || return
		for root in spool archive; do
			[ ! -d "$root" ] || (cd "$root" && find . -type f -name '[0-9]*.' -printf '%P\n' |
				xargs -r -d '\n' sha1sum)
		done | sort -k 2
	)
}

# SLOT VIEW WHAT: both sides' views are the same.
compare_view() {
	local tmp=$BASE/tmp/$1.$2
	"$2" "$(master_of "$1")" "$1" >"$tmp.master"
	"$2" "$(replica_of "$1")" "$1" >"$tmp.replica"
	if diff "$tmp.master" "$tmp.replica" >"$tmp.diff"; then
		echo "$1 $3 equal ($(wc -l <"$tmp.master"))"
		return 0
	fi
	echo "$1 $3 DIFFER:"
	head -20 "$tmp.diff"
	return 1
}

cmd_verify() {
	local slot rc=0
	load
	for slot in $(slots); do
		compare_view "$slot" view_imap "IMAP states of mailboxes" || rc=1
		compare_view "$slot" view_mailboxes "mailbox list entries" || rc=1
		compare_view "$slot" view_spool "message files" || rc=1
	done
	return $rc
}

# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# Starting and stopping: the Cyrus masters, the rolling sync_client, single hosts.
#
# SYNC_MODE=manual (default) runs sync_client under our own eyes, its pid in BASE/pid/SLOT.sync;
# SYNC_MODE=daemon leaves it to Cyrus master, which starts it again whenever it ends.
# Sourced by lab.sh.

# --------------------------------------------------------------------- one process

start_master() { # HOST SLOT
	local conf pidfile
	conf=$(conf_of "$1" "$2")
	pidfile=$BASE/pid/$1-$2.master
	alive "$pidfile" "$conf" && return 0
	rm -f "$pidfile"
	set_lab_env "$1" "$2"
	env -i "${LAB_ENV[@]}" "$CYRUS_BIN/master" -C "$conf" -M "${conf%/*}/cyrus.conf" \
		-p "$pidfile" -d -L "$BASE/log/$1-$2.stderr" </dev/null ||
		die "the Cyrus master of $1/$2 did not start (see $(log_of "$1" "$2"))"
}

# A port that was taken shows only in the log.
check_bound() { # HOST SLOT
	wait_port "$(port_of "$1" "$2" imap)" || die "$1/$2 does not answer on its IMAP port"
	! grep -qE 'unable to (bind|create|listen)|Address already in use' "$(log_of "$1" "$2")" ||
		die "$1/$2 could not get a port (see $(log_of "$1" "$2"))"
}

# TERM first; what is left of its children half a second later, too; then KILL.
stop_master() { # HOST SLOT
	local conf pid i left
	conf=$(conf_of "$1" "$2")
	for pid in $(of_conf "$conf"); do
		kill -CONT "$pid" 2>/dev/null # a stopped child cannot take TERM
	done
	stop_pid "$BASE/pid/$1-$2.master" "$conf"
	for i in $(seq 1 60); do
		left=
		for pid in $(of_conf "$conf"); do
			[ "$(cat "/proc/$pid/comm" 2>/dev/null)" = sync_client ] && continue
			left=1
			[ "$i" = 10 ] && kill -TERM "$pid" 2>/dev/null
			[ "$i" -gt 40 ] && kill -KILL "$pid" 2>/dev/null
		done
		[ -z "$left" ] && break
		sleep 0.05
	done
}

# With CYRUS_ISDAEMON in its environment sync_client does not fork, so the pid is known.
start_sync() { # SLOT
	local host conf
	[ "$SYNC_MODE" = manual ] || return 0
	host=$(master_of "$1")
	conf=$(conf_of "$host" "$1")
	alive "$BASE/pid/$1.sync" "$conf" && return 0
	rm -f "$(dir_of "$host" "$1")/conf/sync/shutdown"
	set_lab_env "$host" "$1"
	env -i "${LAB_ENV[@]}" CYRUS_ISDAEMON=1 setsid "${AS_CYRUS[@]}" \
		"$CYRUS_BIN/sync_client" -C "$conf" -r -l >>"$BASE/log/$1.sync.out" 2>&1 </dev/null &
	echo $! >"$BASE/pid/$1.sync"
	disown
}

stop_sync() { # SLOT [SIGNAL]
	stop_pid "$BASE/pid/$1.loop" "$LAB_SELF" KILL # a supervisor would start it again
	stop_pid "$BASE/pid/$1.sync" "$(conf_of "$(master_of "$1")" "$1")" "${2:-TERM}"
}

# --------------------------------------------------------------------- all of it

# With NOSYNC set the sync clients stay down.
start_all() {
	local host slot
	mount_hosts
	for host in $HOSTS; do
		for slot in $(slots); do start_master "$host" "$slot"; done
	done
	for host in $HOSTS; do
		for slot in $(slots); do check_bound "$host" "$slot"; done
	done
	[ -z "${NOSYNC:-}" ] || return 0
	for slot in $(slots); do start_sync "$slot"; done
}

cmd_start() {
	load
	start_all
}

cmd_stop() {
	local host slot pid
	load
	if [ "$LOOP" = 1 ]; then # a frozen filesystem would hang everything below
		for host in $HOSTS; do
			mountpoint -q "$BASE/$host" && fsfreeze -u "$BASE/$host" 2>/dev/null
		done
	fi
	for slot in $(slots); do stop_sync "$slot"; done
	for host in $HOSTS; do
		for slot in $(slots); do stop_master "$host" "$slot"; done
	done
	for pid in $(ours); do kill -KILL "$pid" 2>/dev/null; done
	return 0
}

cmd_start_host() { # HOST
	local slot
	load
	for slot in $(slots); do start_master "$1" "$slot"; done
	for slot in $(slots); do wait_port "$(port_of "$1" "$slot" sync)"; done
}

cmd_stop_host() { # HOST
	local slot
	load
	for slot in $(slots); do stop_master "$1" "$slot"; done
}

cmd_restart_client() { # [SLOT]
	load
	stop_sync "${1:-s1}"
	start_sync "${1:-s1}"
}

# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# Replication: waiting for it, breaking it in the ways it breaks in life, and mending it.
#
# Invariant: every way of `crash-replication` is undone by `heal`, and none touches a file that
# belongs to a message or a mailbox.
# Sourced by lab.sh.

# SLOT: the events of the slot have all left its logs. In the order log, log-run: a batch that
# is picked up between the two looks is seen by the second one.
is_drained() {
	local sync
	sync=$(dir_of "$(master_of "$1")" "$1")/conf/sync
	[ ! -e "$sync/log" ] && [ ! -e "$sync/log-run" ]
}

# Waits until all slots are drained, twice in a row.
cmd_sync() { # [SECONDS]
	local limit=${1:-30} slot busy quiet=0 end
	load
	end=$((SECONDS + limit))
	while [ "$SECONDS" -le "$end" ]; do
		busy=
		for slot in $(slots); do is_drained "$slot" || busy="$busy $slot"; done
		if [ -z "$busy" ]; then quiet=$((quiet + 1)); else quiet=0; fi
		[ "$quiet" -ge 2 ] && return 0
		sleep 0.06
	done
	echo "lab: not drained after ${limit} s:$busy" >&2
	return 1
}

# --------------------------------------------------------------------- breaking it

signal_each() { # SIGNAL PID...
	local signal=$1 pid
	shift
	for pid in "$@"; do kill "-$signal" "$pid" 2>/dev/null; done
	return 0
}

sync_server_pids() { of_program sync_server "$(conf_of "$1" "$2")"; }

freeze_servers() { # HOST SLOT
	# shellcheck disable=SC2046 # a list of pids
	signal_each STOP $(sync_server_pids "$1" "$2")
}

# These three are about a filesystem of its own; on plain directories it would be everybody's.
need_loop() { [ "$LOOP" = 1 ] || die "$1 needs LOOP=1"; }

fill_disk() { # HOST
	need_loop full-replica
	dd if=/dev/zero of="$BASE/$1/ballast" bs=1M 2>/dev/null
	dd if=/dev/zero of="$BASE/$1/ballast2" bs=4k 2>/dev/null
	return 0
}

# The way real disks do it: an ext4 error with errors=remount-ro (a plain remount is EBUSY).
fail_disk() { # HOST
	need_loop ro-replica
	echo "assay lab" >"/sys/fs/ext4/$(basename "$(cat "$BASE/img/$1.loop")")/trigger_fs_error"
}

# Writes then block in state D.
freeze_disk() { # HOST
	need_loop hang-replica
	fsfreeze -f "$BASE/$1"
}

# A naive supervisor: starts sync_client again every SECONDS after it ended.
start_supervisor() { # SLOT SECONDS
	stop_sync "$1"
	ASSAY_LAB=$BASE setsid bash "$LAB_SELF" -b "$BASE" supervise "$1" "$2" \
		>>"$BASE/log/$1.supervisor" 2>&1 </dev/null &
	echo $! >"$BASE/pid/$1.loop"
	disown
}

cmd_supervise() { # SLOT SECONDS: what start_supervisor runs, until it is killed
	local pid
	load
	while :; do
		start_sync "$1"
		pid=$(cat "$BASE/pid/$1.sync")
		echo "$(date +%FT%T.%3N) started sync_client $pid"
		while running "$pid"; do sleep 0.1; done
		echo "$(date +%FT%T.%3N) sync_client $pid is gone"
		sleep "$2"
	done
}

cmd_crash_replication() { # HOW [SLOT] [SECONDS]
	local slot=${2:-s1} master replica
	load
	master=$(master_of "$slot")
	replica=$(replica_of "$slot")
	case ${1:-} in
	term-client) stop_sync "$slot" TERM ;;
	kill-client) stop_sync "$slot" KILL ;;
	freeze-client) signal_each STOP "$(cat "$BASE/pid/$slot.sync")" ;;
	kill-server) stop_master "$replica" "$slot" ;;
	freeze-server) freeze_servers "$replica" "$slot" ;;
	full-replica) fill_disk "$replica" ;;
	ro-replica) fail_disk "$replica" ;;
	hang-replica) freeze_disk "$replica" ;;
	loop-client) start_supervisor "$slot" "${3:-2}" ;;
	*) die "crash-replication: unknown way '${1:-}' (master is $master, replica is $replica)" ;;
	esac
}

# --------------------------------------------------------------------- mending it

# An ext4 that went read-only by an error needs umount and e2fsck.
mend_disk() { # HOST
	local dev slot
	fsfreeze -u "$BASE/$1" 2>/dev/null
	if findmnt -nro OPTIONS "$BASE/$1" | tr , '\n' | grep -qxE 'ro|emergency_ro'; then
		dev=$(cat "$BASE/img/$1.loop")
		cmd_stop_host "$1"
		umount "$BASE/$1" && e2fsck -fp "$dev"
		mount -o relatime,errors=remount-ro "$dev" "$BASE/$1"
		for slot in $(slots); do start_master "$1" "$slot"; done
	fi
	rm -f "$BASE/$1/ballast" "$BASE/$1/ballast2"
}

cmd_heal() { # [SLOT]
	local slot=${1:-s1} replica
	load
	replica=$(replica_of "$slot")
	[ -f "$BASE/pid/$slot.loop" ] && stop_sync "$slot"
	[ "$LOOP" = 1 ] && mend_disk "$replica"
	# shellcheck disable=SC2046 # lists of pids
	signal_each CONT $(sync_server_pids "$replica" "$slot") \
		$(cat "$BASE/pid/$slot.sync" 2>/dev/null)
	start_master "$replica" "$slot"
	wait_port "$(port_of "$replica" "$slot" sync)"
	start_sync "$slot"
}

# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# What every part of the lab needs: names and ports, running a Cyrus tool, finding our processes.
#
# Invariant: a process is signalled only if it carries ASSAY_LAB=BASE in its environment or its
# pid stands in BASE/pid and its command line names our configuration. Nothing goes by name.
# Sourced by lab.sh, which sets BASE; the settings (STORES, PORTBASE, ...) come from BASE/lab.env.

CYRUS_BIN=/usr/lib/cyrus/bin
# shellcheck disable=SC2034 # used by the other parts
HOSTS="imap21 imap22"

die() {
	echo "lab: $*" >&2
	exit 1
}

# Reads the settings that `up` wrote down.
load() {
	[ -f "$BASE/lab.env" ] || die "no lab in $BASE (up first)"
	# shellcheck source=/dev/null
	. "$BASE/lab.env"
}

# --------------------------------------------------------------------- names and ports

slots() {
	local k
	for k in $(seq 1 "$STORES"); do echo "s$k"; done
}

# The other host of the pair.
other() {
	if [ "$1" = imap21 ]; then echo imap22; else echo imap21; fi
}

# Masters are on imap21; with MIXED=1 those of even slots are on imap22.
master_of() {
	if [ "$MIXED" = 1 ] && [ $((${1#s} % 2)) = 0 ]; then echo imap22; else echo imap21; fi
}

replica_of() { other "$(master_of "$1")"; }
role_of() { if [ "$(master_of "$2")" = "$1" ]; then echo master; else echo replica; fi; }

dir_of() { echo "$BASE/$1/$2"; }
log_of() { echo "$BASE/log/$1-$2.log"; }

# The configuration lies outside BASE/<host>, so that it outlives a storage fault there.
conf_of() { echo "$BASE/etc/$1-$2/imapd.conf"; }

# HOST SLOT imap|lmtp|sync: imap21 has the ports PORTBASE + 10*slot + 1..3, imap22 those + 200.
port_of() {
	local first=$PORTBASE offset=1
	[ "$1" = imap22 ] && first=$((first + 200))
	case $3 in lmtp) offset=2 ;; sync) offset=3 ;; esac
	echo $((first + 10 * ${2#s} + offset))
}

# Users uNNN are dealt out to the slots in turn.
slot_of_user() {
	local n=${1//[^0-9]/}
	n=$((10#${n:-1}))
	echo "s$(((n - 1) % STORES + 1))"
}

# u001 ... uNNN
user_list() {
	local i
	for i in $(seq 1 "$1"); do printf 'u%03d\n' "$i"; done
}

# SLOT COUNT: those of u001 ... that live in the slot.
users_in_slot() {
	local user
	for user in $(user_list "$2"); do
		if [ "$(slot_of_user "$user")" = "$1" ]; then echo "$user"; fi
	done
}

# --------------------------------------------------------------------- running Cyrus programs

# HOST SLOT: fills LAB_ENV, for `env -i "${LAB_ENV[@]}" PROGRAM`. Nothing is inherited; the
# process is marked as ours and its syslog goes to the instance's log file.
set_lab_env() {
	LAB_ENV=(PATH="$PATH" LC_ALL=C ASSAY_LAB="$BASE" ASSAY_LAB_LOG="$(log_of "$1" "$2")"
		LD_PRELOAD="$BASE/bin/syslogshim.so")
}

# How to become the user cyrus, in front of a command.
AS_CYRUS=(setpriv --reuid=cyrus --regid=mail --init-groups --)

# HOST SLOT TOOL ARGS...: any Cyrus tool, as user cyrus, with that instance's configuration.
cyr() {
	local host=$1 slot=$2 tool=$3
	shift 3
	set_lab_env "$host" "$slot"
	env -i "${LAB_ENV[@]}" "${AS_CYRUS[@]}" \
		"$CYRUS_BIN/$tool" -C "$(conf_of "$host" "$slot")" "$@"
}

labtool() { perl "$LAB_DIR/labtool.pl" "$@"; }

# --------------------------------------------------------------------- processes

# A zombie counts as gone: process 1 of a container may reap orphans late or never.
running() {
	local stat
	{ read -r stat <"/proc/$1/stat"; } 2>/dev/null || return 1
	stat=${stat##*) }
	[ "${stat%% *}" != Z ]
}

# PIDFILE MARK: the pid in the file is running and its command line mentions MARK.
alive() {
	local pid
	pid=$(cat "$1" 2>/dev/null) && [ -n "$pid" ] && running "$pid" &&
		grep -qaF -- "$2" "/proc/$pid/cmdline" 2>/dev/null
}

# Every process that carries our mark (one grep, no fork per process).
ours() {
	grep -lzxF -- "ASSAY_LAB=$BASE" /proc/[0-9]*/environ 2>/dev/null |
		cut -d/ -f3 | grep -vxE "$$|$BASHPID"
}

# CONF: our running processes that were given this configuration.
of_conf() {
	local pid
	for pid in $(ours); do
		if running "$pid" && grep -qzxF -- "$1" "/proc/$pid/cmdline" 2>/dev/null; then
			echo "$pid"
		fi
	done
}

# NAME CONF: as of_conf, only processes of that program.
of_program() {
	local pid
	for pid in $(of_conf "$2"); do
		if [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = "$1" ]; then echo "$pid"; fi
	done
}

# PIDFILE MARK [SIGNAL]: ends that one process, with KILL after three seconds.
stop_pid() {
	local pid i
	if alive "$1" "$2"; then
		pid=$(cat "$1")
		kill -CONT "$pid" 2>/dev/null # a stopped process does not see TERM
		kill "-${3:-TERM}" "$pid" 2>/dev/null
		for i in $(seq 1 200); do
			running "$pid" || break
			[ "$i" = 150 ] && kill -KILL "$pid" 2>/dev/null
			sleep 0.02
		done
	fi
	rm -f "$1"
}

port_open() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

wait_port() {
	local i
	for i in $(seq 1 200); do
		port_open "$1" && return 0
		sleep 0.05
	done
	return 1
}

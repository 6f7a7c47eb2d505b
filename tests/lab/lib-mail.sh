# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# Users and their mail. All of it goes through IMAP and LMTP of the master, as in life.
#
# Invariant: the same arguments make the same choices; only dates and message ids differ.
# Sourced by lab.sh.

# SLOT [HOST]: the IMAP port of the slot's master.
master_imap_port() { port_of "$(master_of "$1")" "$1" imap; }

# SLOT N SEED SIZE USER...: by the unix socket, where no login is asked.
deliver_to() {
	local slot=$1
	shift
	labtool deliver "$(dir_of "$(master_of "$slot")" "$slot")/conf/socket/lmtp" "$@" ||
		die "delivery failed"
}

cmd_users() { # COUNT
	local slot
	load
	for slot in $(slots); do
		# shellcheck disable=SC2046 # a list of names
		labtool mkusers "$(master_imap_port "$slot")" \
			$(users_in_slot "$slot" "${1:-5}") || die "cannot create users"
	done
}

# N messages over the first COUNT users, the same number to each store.
cmd_deliver() { # N COUNT [SEED] [small|mixed]
	local n=${1:-20} count=${2:-5} seed=${3:-1} size=${4:-mixed} slot
	cmd_users "$count" >/dev/null
	for slot in $(slots); do
		# shellcheck disable=SC2046 # a list of names
		deliver_to "$slot" $(((n + STORES - 1) / STORES)) "$seed" "$size" \
			$(users_in_slot "$slot" "$count")
	done
}

# N small messages to each of the named users, who must exist.
cmd_mail() { # N SEED USER...
	local n=$1 seed=$2 user
	shift 2
	load
	for user in "$@"; do
		deliver_to "$(slot_of_user "$user")" "$n" "$seed" small "$user"
	done
}

# N random appends, flag changes, moves, copies and expunges in each store.
cmd_churn() { # N COUNT [SEED]
	local n=${1:-20} count=${2:-5} seed=${3:-1} slot
	load
	for slot in $(slots); do
		# shellcheck disable=SC2046 # a list of names
		labtool churn "$(master_imap_port "$slot")" "$n" "$seed" \
			$(users_in_slot "$slot" "$count") || die "churn failed"
	done
}

# N small messages by IMAP into one mailbox, as that user names it.
cmd_append() { # USER MAILBOX N SEED [OPTIONS]
	local user=$1
	shift
	load
	labtool append "$(master_imap_port "$(slot_of_user "$user")")" "$user" "$@"
}

# Raw IMAP commands, as any user, on either side.
cmd_imap() { # HOST SLOT USER COMMAND...
	local host=$1 slot=$2
	shift 2
	load
	labtool imap "$(port_of "$host" "$slot" imap)" "$@"
}

cmd_rename() { # USER FROM TO
	load
	labtool imap "$(master_imap_port "$(slot_of_user "$1")")" "$1" "RENAME \"$2\" \"$3\""
}

cmd_renameuser() { # OLD NEW
	load
	labtool imap "$(master_imap_port "$(slot_of_user "$1")")" cyrus \
		"RENAME \"user/$1\" \"user/$2\""
}

# Two folders change places, through a third name; in one batch this wedges replication.
cmd_swap() { # USER A B
	load
	labtool imap "$(master_imap_port "$(slot_of_user "$1")")" "$1" \
		"RENAME \"$2\" \"INBOX/.swap\"" "RENAME \"$3\" \"$2\"" "RENAME \"INBOX/.swap\" \"$3\""
}

cmd_cyr() { # HOST SLOT TOOL ARGS...
	load
	cyr "$@"
}

# The path of one message file; FOLDER is a suffix as Sent, or empty for the INBOX.
cmd_msgpath() { # HOST SLOT USER FOLDER UID
	local dir
	load
	dir=$(cyr "$1" "$2" mbpath "user/$3${4:+/$4}") || return 1
	echo "$dir/$5."
}

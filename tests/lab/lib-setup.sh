# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# Building a lab and taking it down: settings, folders, configuration, loop devices.
#
# Invariant: everything a lab makes lies under BASE (and, with LOOP=1, on loop devices whose
# backing file lies there), so `down` is a matter of stopping our processes and removing BASE.
# Sourced by lab.sh.

# --------------------------------------------------------------------- checks before anything

# Cyrus needs a unix socket in conf/socket, and the user cyrus must be able to walk there.
check_base() {
	local path=$BASE blocked=
	[ ${#BASE} -le 60 ] || die "BASE is too long for unix sockets (108 bytes): $BASE"
	chmod o+x "$BASE"
	while [ "$path" != / ]; do
		"${AS_CYRUS[@]}" test -x "$path" || blocked=$path
		path=$(dirname "$path")
	done
	[ -z "$blocked" ] || die "user cyrus cannot enter $blocked (chmod o+x it)"
}

# A Cyrus master whose port is taken logs that and runs without the service: look first.
block_is_free() {
	local host slot kind
	for host in $HOSTS; do
		for slot in $(slots); do
			for kind in imap lmtp sync; do
				port_open "$(port_of "$host" "$slot" "$kind")" && return 1
			done
		done
	done
	return 0
}

# Takes PORTBASE as given, or tries blocks of 400 ports below the ephemeral range, beginning
# somewhere else each time so that labs started together seldom look at the same one.
choose_ports() {
	local i first
	if [ -n "${PORTBASE:-}" ]; then
		block_is_free || die "a port of the block at $PORTBASE is in use"
		return
	fi
	first=$(($$ % 20))
	for i in $(seq 0 19); do
		PORTBASE=$((24100 + 400 * ((first + i) % 20)))
		block_is_free && return
	done
	die "no free block of ports between 24100 and 32100"
}

settings_defaults() {
	STORES=${STORES:-1} MIXED=${MIXED:-0} LOOP=${LOOP:-0} IMGSIZE=${IMGSIZE:-512M}
	SYNC_MODE=${SYNC_MODE:-manual} SYNC_TIMEOUT=${SYNC_TIMEOUT:-30m}
	SYNC_MAXWAIT=${SYNC_MAXWAIT:-20m} SYNC_TRY_IMAP=${SYNC_TRY_IMAP:-no}
	LEGACY_DIRS=${LEGACY_DIRS:-no}
	if [ "$STORES" -lt 1 ] || [ "$STORES" -gt 15 ]; then die "STORES must be 1 to 15"; fi
}

write_settings() {
	local name
	for name in STORES MIXED PORTBASE LOOP IMGSIZE SYNC_MODE SYNC_TIMEOUT SYNC_MAXWAIT \
		SYNC_TRY_IMAP LEGACY_DIRS; do
		printf '%s=%q\n' "$name" "${!name}"
	done >"$BASE/lab.env"
}

# --------------------------------------------------------------------- files of one instance

# Where no mkimap has run, the folders have to be there before master starts.
make_instance_dirs() { # HOST SLOT
	local dir name
	dir=$(dir_of "$1" "$2")
	for name in db socket log msg ptclient proc lock quota user sync; do
		mkdir -p "$dir/conf/$name"
	done
	mkdir -p "$dir/spool/stage." "$dir/spool/sync." "$dir/sieve" "$BASE/etc/$1-$2"
	# shellcheck disable=SC2013 # one word a line
	for name in $(grep -oE '@DIR@/[a-z0-9./]+' <<<"${EXTRA_IMAPD:-}"); do
		mkdir -p "$dir/${name#@DIR@/}"
	done
}

# CONF DIR: EXTRA_IMAPD at the end of the file. What it sets anew is taken out first, because
# Cyrus dies of an option given twice; @DIR@ in it is the folder of the instance.
add_extra_imapd() {
	local option
	[ -n "${EXTRA_IMAPD:-}" ] || return 0
	while IFS=: read -r option _; do
		sed -i "/^$option:/d" "$1"
	done <<<"$EXTRA_IMAPD"
	printf '%s\n' "${EXTRA_IMAPD//@DIR@/$2}" >>"$1"
}

# Any password is accepted (alwaystrue) and may come in clear (allowplaintext): loopback only.
# sync_authname has to be an admin of the replica. sync_try_imap would cost 10 s a connection.
write_imapd_conf() { # HOST SLOT
	local dir sync_log=no
	dir=$(dir_of "$1" "$2")
	[ "$(role_of "$1" "$2")" = master ] && sync_log=yes
	cat >"$(conf_of "$1" "$2")" <<-CONF
		configdirectory: $dir/conf
		defaultpartition: default
		partition-default: $dir/spool
		servername: $1-$2
		syslog_prefix: $1-$2
		admins: cyrus
		unixhierarchysep: yes
		altnamespace: no
		hashimapspool: yes
		umask: 077
		virtdomains: off
		allowplaintext: yes
		allowusermoves: yes
		sasl_pwcheck_method: alwaystrue
		sasl_mech_list: PLAIN
		sievedir: $dir/sieve
		sieveusehomedir: no
		lmtpsocket: $dir/conf/socket/lmtp
		idlesocket: $dir/conf/socket/idle
		notifysocket: $dir/conf/socket/notify
		delete_mode: delayed
		expunge_mode: delayed
		duplicatesuppression: yes
		failedloginpause: 0
		sync_log: $sync_log
		sync_host: 127.0.0.1
		sync_port: $(port_of "$(other "$1")" "$2" sync)
		sync_authname: cyrus
		sync_password: x
		sync_try_imap: $SYNC_TRY_IMAP
		sync_repeat_interval: 1
		sync_shutdown_file: $dir/conf/sync/shutdown
		sync_timeout: $SYNC_TIMEOUT
		sync_reconnect_maxwait: $SYNC_MAXWAIT
		mailbox_legacy_dirs: $LEGACY_DIRS
	CONF
	add_extra_imapd "$(conf_of "$1" "$2")" "$dir"
}

# One line of SERVICES. master hands its -C on to nobody, so each command has its own.
service_line() { # NAME COMMAND CONF LISTEN [MORE]
	printf '  %s cmd="%s -C %s" listen="%s"%s prefork=0\n' "$1" "$2" "$3" "$4" "${5:+ $5}"
}

write_cyrus_conf() { # HOST SLOT
	local conf at=127.0.0.1
	conf=$(conf_of "$1" "$2")
	{
		printf 'START {\n  recover cmd="ctl_cyrusdb -C %s -r"\n}\nSERVICES {\n' "$conf"
		service_line imap imapd "$conf" "$at:$(port_of "$1" "$2" imap)" proto=tcp4
		service_line lmtp "lmtpd -a" "$conf" "$at:$(port_of "$1" "$2" lmtp)" proto=tcp4
		service_line lmtpunix lmtpd "$conf" "$(dir_of "$1" "$2")/conf/socket/lmtp"
		service_line sync sync_server "$conf" "$at:$(port_of "$1" "$2" sync)" proto=tcp4
		printf '}\n'
		if [ "$SYNC_MODE" = daemon ] && [ "$(role_of "$1" "$2")" = master ]; then
			printf 'DAEMON {\n  syncclient cmd="sync_client -C %s -r -l"\n}\n' "$conf"
		fi
		printf 'EVENTS {\n  checkpoint cmd="ctl_cyrusdb -C %s -c" period=30\n}\n' "$conf"
	} >"${conf%/*}/cyrus.conf"
}

make_instance() { # HOST SLOT
	local dir
	dir=$(dir_of "$1" "$2")
	make_instance_dirs "$1" "$2"
	write_imapd_conf "$1" "$2"
	write_cyrus_conf "$1" "$2"
	chown -R cyrus:mail "$dir"
	chmod 755 "$dir"
	chmod 750 "$dir/conf" "$dir/spool"
}

# The program's own configuration, as imap21 would have it: its copy of each store, and the
# peer's copy, which is a path on this machine too.
write_assay_conf() {
	local slot
	{
		printf '[host]\nname = imap21\n'
		for slot in $(slots); do
			printf '\n[store %s]\nimapd_conf = %s\nrole = %s\npeers = imap22\n' \
				"$slot" "$(conf_of imap21 "$slot")" "$(role_of imap21 "$slot")"
			printf '\n[store %s@imap22]\nimapd_conf = %s\nrole = %s\n' \
				"$slot" "$(conf_of imap22 "$slot")" "$(role_of imap22 "$slot")"
		done
	} >"$BASE/assay.conf"
}

build_shim() {
	gcc -O1 -shared -fPIC -U_FORTIFY_SOURCE -o "$BASE/bin/syslogshim.so" \
		"$LAB_DIR/syslogshim.c" || die "cannot build the syslog shim"
}

# --------------------------------------------------------------------- loop devices (LOOP=1)

make_images() {
	local host
	for host in $HOSTS; do
		truncate -s "$IMGSIZE" "$BASE/img/$host.img"
		mkfs.ext4 -q -F -m 0 -L "$host" -E lazy_itable_init=1,lazy_journal_init=1 \
			"$BASE/img/$host.img" || die "mkfs.ext4 failed"
	done
}

mount_image() { # HOST
	local dev
	mountpoint -q "$BASE/$1" && return
	dev=$(losetup -j "$BASE/img/$1.img" | head -1 | cut -d: -f1)
	[ -n "$dev" ] || dev=$(losetup -f --show "$BASE/img/$1.img") || die "losetup failed"
	mount -o relatime,errors=remount-ro "$dev" "$BASE/$1" || {
		losetup -d "$dev"
		die "mount of $dev failed"
	}
	echo "$dev" >"$BASE/img/$1.loop"
}

mount_hosts() {
	local host
	for host in $HOSTS; do
		mkdir -p "$BASE/$host"
		[ "$LOOP" = 1 ] && mount_image "$host"
	done
	return 0
}

# Detaches the loop device only while it still backs our image.
unmount_image() { # HOST
	local dev i
	for i in 1 2 3 4 5; do
		mountpoint -q "$BASE/$1" || break
		umount "$BASE/$1" && break
		sleep "0.$i"
	done
	dev=$(cat "$BASE/img/$1.loop" 2>/dev/null)
	if [ -n "$dev" ] && [ "$(losetup -n -O BACK-FILE "$dev" 2>/dev/null)" = "$BASE/img/$1.img" ]; then
		losetup -d "$dev"
	fi
	rm -f "$BASE/img/$1.loop"
}

# --------------------------------------------------------------------- the commands

cmd_up() {
	local host slot
	[ "$(id -u)" = 0 ] || die "must be root"
	[ -e "$BASE/lab.env" ] && die "$BASE already holds a lab (down first)"
	settings_defaults
	choose_ports
	mkdir -p "$BASE"/{img,bin,log,pid,tmp} || die "cannot make $BASE"
	BASE=$(readlink -f "$BASE")
	check_base
	chmod 1777 "$BASE/log" "$BASE/tmp"
	chown cyrus "$BASE/pid"
	write_settings
	build_shim
	[ "$LOOP" = 1 ] && make_images
	mount_hosts
	for host in $HOSTS; do
		for slot in $(slots); do make_instance "$host" "$slot"; done
	done
	write_assay_conf
	[ "$LOOP" = 1 ] && sync -f "$BASE/imap21" "$BASE/imap22"
	start_all
}

# Stops everything and removes BASE; --keep leaves the files.
cmd_down() {
	local host
	[ -f "$BASE/lab.env" ] || {
		echo "lab: nothing in $BASE"
		return 0
	}
	cmd_stop
	if [ "$LOOP" = 1 ]; then
		for host in $HOSTS; do unmount_image "$host"; done
	fi
	[ "${1:-}" = --keep ] && return 0
	for host in $HOSTS; do
		mountpoint -q "$BASE/$host" && die "$BASE/$host is still mounted, not removed"
	done
	rm -rf --one-file-system "$BASE"
}

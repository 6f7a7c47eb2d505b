# shellcheck shell=bash
# shellcheck disable=SC2154 # variables of the other files
# SPDX-License-Identifier: Apache-2.0
#
# The bench delivery-slowdown: what scans of a live store cost those who deliver to it. Sourced by
# run.sh behind lib.sh.
#
# A scan also costs processor and disk, whatever it locks. So the time of DELIVERIES (2000) messages
# by LMTP to one mailbox, while that store is scanned again and again, is compared with the time
# while a copy of it is scanned: the same work, other locks. Scans of the live store take longer, as
# things change under them; so there is a rate for both (SCAN_EVERY_MS, 400), or the copy would be
# read more often. Whoever delivers has one processor, the scan has the other. The stores and the
# scan's state are in memory (LAB_ON, /dev/shm): a delivery then takes little more than a
# millisecond, so that any wait for a lock weighs the more, and no disk that others use as well
# blurs it. Each measurement begins with the same mailboxes, each round with a new copy. The settling
# time is one millisecond, so that scans of the live store do not wait where those of the copy have
# nothing to wait for. What it takes without any scan is told on stderr. There are three times
# ROUNDS rounds.

DELIVERIES=${DELIVERIES:-2000}
LAB_ON=${LAB_ON:-/dev/shm}
SCAN_EVERY_MS=${SCAN_EVERY_MS:-400}
LIVE_LAB=
scan_loop=

lab() { tests/lab/lab.sh -b "$LIVE_LAB" "$@" >>"$temp/lab.log" 2>&1; }

live_down()
{
	scans_stop
	[ -z "$LIVE_LAB" ] || {
		lab down
		rm -rf "$(dirname "$LIVE_LAB")"
	}
	LIVE_LAB=
}

# Three users with some mail; nothing runs but the master's Cyrus, on the first processor.
live_up()
{
	local folder
	folder=$(mktemp -d -p "$LAB_ON" bench.XXXXXX) || exit 1
	chmod 755 "$folder"
	LIVE_LAB=$folder/lab
	# shellcheck disable=SC2317 # called by the trap
	trap 'live_down; close_disks; rm -rf "$temp"' EXIT
	# deliver.db would grow from round to round.
	# shellcheck disable=SC2015 # whatever fails, there is no lab
	EXTRA_IMAPD='duplicatesuppression: no' \
		taskset -c 0 tests/lab/lab.sh -b "$LIVE_LAB" up >>"$temp/lab.log" 2>&1 &&
		lab deliver 200 3 1 small && lab sync 60 && lab crash-replication term-client &&
		lab stop-host imap22 || die "no lab: $(tail -n 3 "$temp/lab.log")"
	live=$LIVE_LAB/imap21/s1 conf=$LIVE_LAB/etc/imap21-s1/imapd.conf
}

# The mailbox that is delivered to is empty again, with nothing left of what was in it.
live_reset()
{
	lab imap imap21 s1 u001 'SELECT INBOX' 'STORE 1:* +FLAGS (\Deleted)' EXPUNGE
	lab cyr imap21 s1 cyr_expire -E 0 -X 0 -D 0 || die "cyr_expire failed"
	rm -f "$live/conf/sync/log"
}

# A store of its own, with the messages and all else of the live one.
live_copy()
{
	rm -rf "$LIVE_LAB/copy"
	mkdir "$LIVE_LAB/copy" || die "no copy"
	cp -a "$live/conf" "$live/spool" "$LIVE_LAB/copy/" || die "no copy"
	sed "s|$live|$LIVE_LAB/copy|" "$conf" >"$LIVE_LAB/copy/imapd.conf"
	sync # or the first to read it writes it, and whoever delivers waits
}

# scans_start IMAPD-CONF: one every SCAN_EVERY_MS, or one after the other when they take longer,
# until scans_stop. What they find is not what is measured.
scans_start()
{
	local state begin left
	{
		printf '[host]\nname = imap21\n[policy]\nsettle = 1ms\n'
		printf '[store s1]\nimapd_conf = %s\nrole = master\n' "$1"
	} >"$temp/scans.conf"
	rm -f "$temp/scans.stop" "$temp/scans.log"
	state=$(mktemp -d -p /dev/shm assay-bench.XXXXXX) || exit 1
	(
		while [ ! -e "$temp/scans.stop" ]; do
			begin=${EPOCHREALTIME/./}
			taskset -c 1 "$ASSAY" scan s1 --config "$temp/scans.conf" --json \
				--state "$state" >"$temp/scan.out" 2>"$temp/scan.err"
			echo $? >>"$temp/scans.log"
			left=$((SCAN_EVERY_MS - (${EPOCHREALTIME/./} - begin) / 1000))
			[ "$left" -lt 1 ] || sleep "$(printf '0.%03d' "$left")"
		done
		rm -rf "$state"
	) &
	scan_loop=$!
}

scans_stop()
{
	[ -n "$scan_loop" ] || return 0
	: >"$temp/scans.stop"
	wait "$scan_loop"
	scan_loop=
}

# deliver CONF: sets $us, and $scans to how many of CONF there were; "" scans nothing.
deliver()
{
	local start
	live_reset
	scans=0
	[ -z "$1" ] || scans_start "$1"
	sleep 0.5
	start=${EPOCHREALTIME/./}
	taskset -c 0 perl tests/lab/labtool.pl deliver "$live/conf/socket/lmtp" "$DELIVERIES" 1 \
		small u001 >>"$temp/lab.log" 2>&1 ||
		die "delivery failed: $(tail -n 1 "$temp/lab.log")"
	us=$((${EPOCHREALTIME/./} - start))
	scans_stop
	[ -z "$1" ] || {
		scans=$(grep -c '^[012]$' "$temp/scans.log")
		[ "$scans" -gt 1 ] || die "there were $scans scans: $(tail -n 3 "$temp/scan.err")"
	}
}

bench_delivery_slowdown()
{
	# shellcheck disable=SC2153 # run.sh sets ROUNDS
	local round rounds=$((3 * ROUNDS)) us scans live conf
	local live_us copy_us alone_us live_scans copy_scans
	# shellcheck disable=SC2317 # called by in_turns
	of_live() { deliver "$conf" && live_us=$us live_scans=$scans; }
	# shellcheck disable=SC2317
	of_copy() { deliver "$LIVE_LAB/copy/imapd.conf" && copy_us=$us copy_scans=$scans; }
	if [ "$(id -u)" != 0 ] || [ ! -x /usr/lib/cyrus/bin/lmtpd ] || [ "$(nproc)" -lt 2 ]; then
		skip delivery-slowdown "it needs root, cyrus-imapd, and two processors"
		return
	fi
	live_up
	: >"$temp/rounds"
	for ((round = 1; round <= rounds; round++)); do
		live_reset
		live_copy
		deliver ''
		alone_us=$us
		in_turns "$round" of_live of_copy
		awk -v n="$DELIVERIES" -v o="$live_us" -v t="$copy_us" -v a="$alone_us" \
			'BEGIN { print o / n / 1000, t / n / 1000, o / t, o / a }' >>"$temp/rounds"
		echo "bench delivery-slowdown: round $round: $((live_us / 1000)) ms beside" \
			"$live_scans scans, $((copy_us / 1000)) ms beside $copy_scans of the copy," \
			"$((alone_us / 1000)) ms alone" >&2
	done
	sort -g -k 4 "$temp/rounds" | awk '{ r[NR] = $4 } END {
		printf "bench delivery-slowdown: %.2f times as long as alone\n", r[int((NR + 1) / 2)]
	}' >&2
	tell delivery-slowdown ms/message scan-of-a-copy 1.05 most
	live_down
}

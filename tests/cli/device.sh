# shellcheck shell=bash
# shellcheck disable=SC2034 # read by those who source it
# SPDX-License-Identifier: Apache-2.0
#
# A block device that fails as it is told to: a loop device over a file that nbdkit serves, through
# FUSE. Sourced behind lib.sh; the image is $WORK/fs.img, and $WORK/nbd must be a folder. Each script
# calls stop_device at its end.
LOOP='' SERVER=0 FUSE=0

# Whether there can be one here; else why not, on stdout.
why_no_device() {
	[ "$(id -u)" = 0 ] || echo "only root can mount"
	[ -c /dev/fuse ] || echo "there is no FUSE here"
	losetup --find >/dev/null 2>&1 || echo "there is no loop device here"
}

wait_until() { # COMMAND..., for 10 seconds at most
	local i
	for ((i = 0; i < 200; i++)); do
		"$@" 2>/dev/null && return
		sleep 0.05
	done
	return 1
}

# The image behind a filter of nbdkit, as a block device.
start_device() { # FILTER PARAMETER..., or "" and the scripts of a server
	local served=(--filter="$1" file "$WORK/fs.img")
	[ -n "$1" ] || served=(eval)
	shift
	rm -f "$WORK/nbd.sock" "$WORK/fuse.pid"
	nbdkit --exit-with-parent --foreground --readonly --unix "$WORK/nbd.sock" \
		"${served[@]}" "$@" >>"$WORK/nbdkit.log" 2>&1 &
	SERVER=$!
	wait_until test -S "$WORK/nbd.sock" || return
	nbdfuse -r -P "$WORK/fuse.pid" "$WORK/nbd/disk" --unix "$WORK/nbd.sock" \
		>>"$WORK/nbdkit.log" 2>&1 &
	FUSE=$!
	wait_until test -s "$WORK/fuse.pid" || return
	LOOP=$(losetup --find --show --read-only --direct-io=on "$WORK/nbd/disk")
}

# A loop device is detached a moment after it was asked to be, and its file is free after that.
stop_device() {
	if mountpoint -q "$WORK/mnt"; then
		wait_until umount "$WORK/mnt" || umount --lazy "$WORK/mnt"
	fi
	[ -z "$LOOP" ] || losetup --detach "$LOOP"
	if [ "$FUSE" != 0 ]; then
		wait_until fusermount3 -u "$WORK/nbd" || fusermount3 -uz "$WORK/nbd"
	fi
	[ "$SERVER" = 0 ] || kill -TERM "$SERVER" 2>/dev/null
	[ "$FUSE" = 0 ] || wait "$FUSE" 2>/dev/null
	[ "$SERVER" = 0 ] || wait "$SERVER" 2>/dev/null
	LOOP='' SERVER=0 FUSE=0
}

stop_and_cleanup() {
	stop_device >/dev/null 2>&1
	cleanup
}

# A map for the filter ddrescue, $WORK/map, of "offset length" lines on standard input, in order.
write_bad_map() {
	perl -e '
		print "0x0 ? 1\n"; $end = 0; $size = shift;
		while (<STDIN>) {
			my ($off, $len) = split;
			printf "0x%x 0x%x +\n0x%x 0x%x -\n", $end, $off - $end, $off, $len;
			$end = $off + $len;
		}
		printf "0x%x 0x%x +\n", $end, $size - $end' \
		"$(stat -c %s "$WORK/fs.img")" >"$WORK/map"
}

# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# What a capture script is written with: a lab in a folder of its own, copies of its stopped
# instances, and the archive they become.
#
# Invariant: a capture fails rather than contain a path or the name of the machine it was made on.
# Everything lies below $WORK, which is removed at the end. Sourced by capture-*.sh, which set
# HERE; what is to be packed lies below $WORK/capture.

WORK=

die() {
	echo "${0##*/}: $*" >&2
	exit 1
}

lab() { "$HERE/lab.sh" -b "$WORK/lab" "$@"; }

capture_end() {
	[ -n "$WORK" ] || return
	lab down >/dev/null
	rm -rf "$WORK"
}

capture_begin() {
	WORK=$(mktemp -d "${TMPDIR:-/tmp}/fixture.XXXXXX") || die "mktemp failed"
	WORK=$(readlink -f "$WORK")
	trap capture_end EXIT
	chmod 755 "$WORK"
}

# HOST NAME PART...: copies these folders of one stopped instance to $WORK/capture/NAME. Left out
# is what lives only while a server runs or is of no use to a reader.
copy_instance() {
	local from=$WORK/lab/$1/s1 to=$WORK/capture/$2 conf=$WORK/lab/etc/$1-s1/imapd.conf
	shift 2
	mkdir -p "$to" || die "cannot make $to"
	(cd "$from" && cp -a "$@" "$to/") || die "cannot copy $from"
	sed "s|$from|@ROOT@|g" "$conf" >"$to/imapd.conf"
	rm -rf "$to"/conf/{lock,proc,socket,log,ptclient,msg,db.backup1,db.backup2} \
		"$to"/conf/{deliver.db,tls_sessions.db,statuscache.db}
}

# A fixture must not tell where it was made.
check_anonymous() {
	local word
	for word in "$WORK" " $(hostname) "; do
		! grep -raqF -- "$word" "$WORK/capture" || die "the capture contains '$word'"
	done
}

# OUTPUT BYTES: packs all of it, which may come to so much.
pack_capture() {
	local tar=$WORK/capture.tar
	(cd "$WORK/capture" && tar --sort=name --owner=0 --group=0 --numeric-owner --format=gnu \
		-cf "$tar" -- *) || die "tar failed"
	xz -9e -T1 <"$tar" >"$tar.xz" || die "xz failed"
	[ "$(stat -c %s "$tar.xz")" -lt "$2" ] || die "the capture exceeds $2 bytes"
	mkdir -p "$(dirname "$1")"
	cp "$tar.xz" "$1" || die "cannot write $1"
}

# OUTPUT: what the README says of it.
describe_capture() {
	echo "$(basename "$1"): $(stat -c %s "$1") bytes," \
		"cyrus-imapd $(dpkg-query -W -f '${Version}' cyrus-imapd), $(date -u +%F)"
}

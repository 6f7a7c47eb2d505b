#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# unpack-store.sh STORE DIR - one store of a fixture, ready to be read at DIR.
#
# STORE is a folder of tests/fixtures/stores.tar.xz (modern, legacy, plain, flat, versions; also
# databases, which is none), or one with a slash of pair.tar.xz (drained/master, drained/replica,
# stale/master). DIR must not exist, unless it is empty; then DIR/imapd.conf names DIR.
#
# Exit status: 0 done, 1 it could not be done, 2 usage.
set -u -o pipefail
export LC_ALL=C
FIXTURES=$(dirname "$(readlink -f "$0")")/../fixtures

die() {
	echo "unpack-store.sh: $*" >&2
	exit 1
}

[ $# = 2 ] || {
	echo "usage: unpack-store.sh STORE DIR" >&2
	exit 2
}
case $1 in
*/*) fixture=$FIXTURES/pair.tar.xz ;;
*) fixture=$FIXTURES/stores.tar.xz ;;
esac
dir=$(realpath -m -- "$2")
mkdir -p "${dir%/*}/" || die "cannot make ${dir%/*}"
# Beside DIR, because a store is renamed into place with its hard links.
tmp=$(mktemp -d "$dir.XXXXXX") || die "cannot write beside $dir"
trap 'rm -rf "$tmp"' EXIT
tar -xJf "$fixture" -C "$tmp" --no-same-owner -- "$1" || die "no $1 in $fixture"
mv -T "$tmp/$1" "$dir" || die "cannot move to $dir"
if [ -e "$dir/imapd.conf" ]; then
	sed -i "s|@ROOT@|$dir|g" "$dir/imapd.conf" || die "cannot edit imapd.conf"
fi

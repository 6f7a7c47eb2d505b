#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# setup.sh SET...: makes sure that the Debian packages of the named sets are installed.
#
#   build   what `make` needs beside gcc and make
#   demo    what `make demo` needs beside that
#   test    what `make check` needs beside that
#   bench   the peers of `make bench`; a bench whose peer is missing is skipped
#
# Does nothing, quickly, when all are there. As root it installs what is missing; otherwise it
# prints the one line that does, and exits 1. On a system without dpkg it trusts the packager.
# Installing never starts a service: Debian's cyrus-imapd would take the mail ports of this host.
set -u -o pipefail

declare -A sets=(
	[build]="gcc make libc6-dev pkg-config liburing-dev libext2fs-dev comerr-dev libblkid-dev
		libmount-dev libssl-dev libipsec-mb-dev zlib1g-dev libxxhash-dev libsqlite3-dev
		libjansson-dev libinih-dev libsmartcols-dev"
	[demo]="xz-utils"
	[test]="g++ libcunit1-dev clang-14 libclang-rt-14-dev strace jq xz-utils scdoc cyrus-imapd
		cyrus-replication perl python3-jsonschema shellcheck sqlite3 man-db groff-base e2fsprogs
		nbdkit libnbd-bin fuse3"
	[bench]="fio b3sum rclone hashdeep e2fsprogs"
)

policy=/usr/sbin/policy-rc.d

# Prints those of the packages that are not installed.
missing_of() {
	local status
	status=$(dpkg-query -W -f '${Package} ${db:Status-Status}\n' "$@" 2>/dev/null)
	local package
	for package in "$@"; do
		grep -qxF "$package installed" <<<"$status" || printf '%s\n' "$package"
	done
}

# Forbids invoke-rc.d to start anything until the script ends, unless the host has a policy.
forbid_services() {
	[ -e "$policy" ] && return
	trap 'rm -f "$policy"' EXIT
	trap 'exit 1' HUP INT TERM
	printf '#!/bin/sh\nexit 101\n' >"$policy" && chmod 755 "$policy"
}

install_packages() {
	export DEBIAN_FRONTEND=noninteractive
	forbid_services || return
	apt-get -q update && apt-get -q install -y --no-install-recommends "$@"
}

main() {
	local set wanted=() missing
	for set in "$@"; do
		if [ -z "${sets[$set]+known}" ]; then
			echo "setup.sh: no set $set; there are: ${!sets[*]}" >&2
			return 3
		fi
		# shellcheck disable=SC2206 # a list of package names, split on purpose
		wanted+=(${sets[$set]})
	done
	if [ ${#wanted[@]} -eq 0 ]; then
		echo "usage: setup.sh build|demo|test|bench..." >&2
		return 3
	fi
	if ! command -v dpkg-query >/dev/null; then
		echo "setup.sh: this is not Debian; please provide: ${wanted[*]}" >&2
		return 0
	fi
	mapfile -t missing < <(missing_of "${wanted[@]}")
	[ ${#missing[@]} -eq 0 ] && return 0
	if [ "$(id -u)" -ne 0 ]; then
		echo "Debian packages are missing. Install them with this line:" >&2
		echo "sudo apt-get install -y --no-install-recommends ${missing[*]}"
		return 1
	fi
	install_packages "${missing[@]}" >&2 || return 1
	mapfile -t missing < <(missing_of "${missing[@]}")
	[ ${#missing[@]} -eq 0 ] && return 0
	echo "setup.sh: still missing: ${missing[*]}" >&2
	return 1
}

main "$@"

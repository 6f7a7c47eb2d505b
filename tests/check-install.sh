#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# check-install.sh: installs the release build below build/, as a packager would, looks at what
# arrived, builds a program against it, uninstalls and finds no file left.
set -u -o pipefail
cd "$(dirname "$0")/.." || exit 1

dest=$PWD/build/install-check.$$
make=(make -s VARIANT=release W="${W:-}" DESTDIR="$dest" PREFIX=/usr UNITDIR=/lib/systemd/system
	RULESDIR=/lib/udev/rules.d)
failed=0
trap 'rm -rf "$dest"' EXIT

report() { # NAME STATUS WHY
	if [ "$2" -eq 0 ]; then
		echo "ok install: $1"
	else
		echo "not ok install: $1: $3"
		failed=1
	fi
}

files() { (cd "$dest" 2>/dev/null && find . ! -type d | sort); }

# check_mode MODE PATH: a file was installed there, with these permissions.
check_mode() {
	local mode
	mode=$(stat -c %a "$dest$2" 2>&1)
	report "$2 has mode $1" "$([ "$mode" = "$1" ]; echo $?)" "$mode"
}

# A program of three lines, built the way its author would: by pkg-config where there is one.
check_usable() {
	local flags said
	printf '#include <assay.h>\nint main(void)\n{\n\treturn assay_version() == 0;\n}\n' \
		>"$dest/user.c"
	flags="-I$dest/usr/include -L$dest/usr/lib -lassay"
	if command -v pkg-config >/dev/null; then
		flags=$(PKG_CONFIG_PATH=$dest/usr/lib/pkgconfig PKG_CONFIG_SYSROOT_DIR=$dest \
			PKG_CONFIG_ALLOW_SYSTEM_CFLAGS=1 PKG_CONFIG_ALLOW_SYSTEM_LIBS=1 \
			pkg-config --cflags --libs libassay)
	fi
	# shellcheck disable=SC2086 # flags are words
	said=$("${CC:-gcc}" -o "$dest/user" "$dest/user.c" $flags 2>&1 &&
		LD_LIBRARY_PATH=$dest/usr/lib "$dest/user" 2>&1)
	report "a program builds against it and runs" $? "$(head -1 <<<"$said")"
	rm -f "$dest/user" "$dest/user.c"
}

said=$("${make[@]}" install 2>&1)
status=$?
report "make install" "$status" "$(grep -m1 -i error <<<"$said")"
[ "$status" -eq 0 ] || exit 1
files | sed 's/^\./    /'

check_mode 644 /usr/lib/libassay.a
check_mode 644 /usr/lib/libassay.so.0
check_mode 644 /usr/lib/pkgconfig/libassay.pc
if [ -e include/assay.h ]; then
	check_mode 644 /usr/include/assay.h
	check_usable
fi
if [ -e src/cli/main.c ]; then
	check_mode 755 /usr/bin/assay
	said=$("$dest/usr/bin/assay" --version 2>&1)
	report "the installed program runs" $? "$said"
fi
# Where a build was made is nobody's business, and makes it differ from the next one.
said=$(files | while IFS= read -r f; do
	case $f in *.a | */assay | *.so | *.so.*) continue ;; esac
	grep -lF "$PWD" "$dest/$f" 2>/dev/null
done)
report "no installed text names the build folder" "$([ -z "$said" ]; echo $?)" "$said"

# A second install over the first one changes nothing.
before=$(files)
"${make[@]}" install >/dev/null 2>&1
report "installing twice is the same as once" "$([ "$(files)" = "$before" ]; echo $?)" "differs"

said=$("${make[@]}" uninstall 2>&1)
report "make uninstall" $? "$said"
left=$(files)
report "uninstall leaves no file" "$([ -z "$left" ]; echo $?)" "$(tr '\n' ' ' <<<"$left")"
exit $failed

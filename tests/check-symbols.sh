#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# check-symbols.sh LIBRARY: the shared library exports what include/assay.h declares, and nothing
# else; its name and the flags of its segments are as promised.
set -u -o pipefail
cd "$(dirname "$0")/.." || exit 1

library=${1:-build/dev/libassay.so.0}
failed=0

report() { # NAME WHAT-IS-WRONG
	if [ -z "$2" ]; then
		echo "ok symbols: $1"
	else
		echo "not ok symbols: $1: $(tr '\n' ' ' <<<"$2")"
		failed=1
	fi
}

# Names the library defines for others, without versions and version nodes.
exports() {
	nm -D --defined-only "$library" | awk '$2 != "A" { sub(/@.*/, "", $3); print $3 }' | sort
}

# Functions that the public header declares: what stands before a parenthesis, comments removed.
declared() {
	${CC:-gcc} -E -P -Iinclude include/assay.h | grep -oE '\bassay_[a-z0-9_]+ *\(' |
		tr -d ' (' | sort -u
}

if [ ! -e "$library" ]; then
	echo "not ok symbols: $library is missing"
	exit 1
fi
if ! exported=$(exports); then
	echo "not ok symbols: nm cannot read $library"
	exit 1
fi
if [ -z "$exported" ]; then
	report "something is exported" "nothing is"
else
	report "only assay_* is exported ($(wc -l <<<"$exported") names)" \
		"$(grep -v '^assay_' <<<"$exported")"
	report "every export is declared in assay.h" \
		"$(comm -23 <(echo "$exported") <(declared))"
	report "every function of assay.h is exported" \
		"$(comm -13 <(echo "$exported") <(declared))"
fi
dynamic=$(readelf -dW "$library")
report "its name is libassay.so.0" \
	"$(grep -q 'SONAME.*\[libassay\.so\.0\]' <<<"$dynamic" || echo 'another soname')"
report "it needs no relocation of its code" "$(grep TEXTREL <<<"$dynamic")"
report "its stack is not executable" \
	"$(readelf -lW "$library" | grep GNU_STACK | grep RWE)"
exit $failed

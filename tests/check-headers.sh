#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# check-headers.sh: each header compiles alone, twice in a row, and without a warning; the public
# one also in C++ and without any of our flags. Nothing is written: the compiler only looks.
#
# From the environment: CC, CLANG, DIALECT (language and include flags), WARNINGS.
set -u -o pipefail
cd "$(dirname "$0")/.." || exit 1

cc=${CC:-gcc}
clang=${CLANG:-clang-14}
dialect=${DIALECT:--std=gnu17 -D_GNU_SOURCE -Isrc -Iinclude}
warnings=${WARNINGS:--Wall -Wextra}
failed=0

# check NAME HEADER COMPILER...: COMPILER accepts a file that includes HEADER twice.
check() {
	local name=$1 header=$2 said
	shift 2
	if said=$(printf '#include "%s"\n#include "%s"\n' "$header" "$header" |
		"$@" -Werror -fsyntax-only - 2>&1); then
		echo "ok headers: $name"
	else
		echo "not ok headers: $name: $(grep -m1 -i error <<<"$said")"
		failed=1
	fi
}

# The internal headers, in one line when all are good.
check_internal() {
	local header count=0 bad=0 said
	while IFS= read -r header; do
		count=$((count + 1))
		# shellcheck disable=SC2086 # flags are words
		said=$(check "${header#src/}" "${header#src/}" "$cc" $dialect $warnings -x c)
		[[ $said == ok* ]] && continue
		echo "$said"
		bad=$((bad + 1))
	done < <(find src -name '*.h' | sort)
	if [ "$count" -eq 0 ]; then
		echo "not ok headers: there is none below src"
	elif [ "$bad" -eq 0 ]; then
		echo "ok headers: each of $count below src compiles alone"
	fi
	[ "$count" -gt 0 ] && [ "$bad" -eq 0 ] || failed=1
}

check_public() {
	local cxx
	if [ ! -e include/assay.h ]; then
		echo "not ok headers: include/assay.h is missing"
		failed=1
		return
	fi
	check "assay.h in C11, by $cc" assay.h "$cc" -std=c11 -pedantic -Wall -Wextra -Iinclude -x c
	for cxx in g++ "${clang/clang/clang++}"; do
		if command -v "$cxx" >/dev/null; then
			check "assay.h in C++11, by $cxx" assay.h \
				"$cxx" -std=c++11 -pedantic -Wall -Wextra -Iinclude -x c++
		else
			echo "skip headers: assay.h in C++11, by $cxx: not installed"
		fi
	done
	# Installed headers must not lean on headers that are not.
	if grep -n '#include "' include/*.h; then
		echo "not ok headers: assay.h includes a header that is not installed"
		failed=1
	else
		echo "ok headers: assay.h leans on no other header of ours"
	fi
}

check_internal
check_public
exit $failed

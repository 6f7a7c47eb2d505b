#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# check-man.sh: every page below docs/man is made by scdoc without complaint, is clean for groff and
# for man, has the sections that a page of a command must have, and every command has a page.
#
# From the environment: ASSAY, the program that lists its commands.
set -u -o pipefail
cd "$(dirname "$0")/.." || exit 1

failed=0
work=$(mktemp -d build/man-check.XXXXXX) || exit 1
trap 'rm -rf "$work"' EXIT

bad() { # NAME WHY
	echo "not ok man: $1: $(head -n 3 <<<"$2" | tr '\n' ' ')"
	failed=1
}

# Prints what is wrong with one page; nothing when it is good.
page_faults() {
	local source=$1 name=$2
	local page=$work/$name
	scdoc <"$source" >"$page" 2>"$work/err" || { cat "$work/err"; return; }
	groff -man -Tutf8 -ww -z "$page" 2>&1
	if command -v man >/dev/null; then
		{
			LC_ALL=C.UTF-8 MANROFFSEQ='' MANWIDTH=80 \
				man --warnings -E UTF-8 -l -Tutf8 -Z "$page" >/dev/null
		} 2>&1
	fi
	local section
	for section in NAME DESCRIPTION; do
		grep -q "^\.SH $section" "$page" || echo "no section $section"
	done
	case $name in
	*.[18])
		for section in SYNOPSIS 'EXIT STATUS' EXAMPLES; do
			grep -qE "^\.SH \"?$section" "$page" || echo "no section $section"
		done
		;;
	esac
	lexgrog "$page" >/dev/null 2>&1 || echo "its NAME line cannot be indexed"
}

check_pages() {
	local source name said
	for source in docs/man/*.scd; do
		name=$(basename "$source" .scd)
		said=$(page_faults "$source" "$name")
		if [ -z "$said" ]; then
			echo "ok man: $name"
		else
			bad "$name" "$said"
		fi
	done
}

# `assay help --names` prints one command a line.
check_commands() {
	local names='' name
	[ -z "${ASSAY:-}" ] || names=$("$ASSAY" help --names 2>/dev/null) || names=''
	if [ -z "$names" ]; then
		echo "skip man: each command has a page: the program does not list its commands"
		return
	fi
	for name in $names; do
		if compgen -G "docs/man/assay-$name.[18].scd" >/dev/null; then
			echo "ok man: the command $name has a page"
		else
			bad "the command $name" "docs/man/assay-$name.8.scd is missing"
		fi
	done
}

for tool in scdoc groff; do
	if ! command -v $tool >/dev/null; then
		echo "skip man: all pages: $tool is not installed"
		exit 0
	fi
done
if compgen -G 'docs/man/*.scd' >/dev/null; then
	check_pages
else
	echo "skip man: all pages: docs/man holds none"
fi
check_commands
exit $failed

#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# check-docs.sh: the documents name what the source has, and nothing that it has not: every finding
# code, every source file, every reason code of the gate, every table and column of state, every
# key of the configuration, every link. First each check shows that it can fail.
#
# Prints one line a check, "ok docs: NAME" or "not ok docs: NAME: why". Exit status: 0 all hold,
# 1 one does not.
# shellcheck disable=SC2016 # backquotes are those of the documents
set -u -o pipefail
export LC_ALL=C
cd "$(dirname "$0")/.." || exit 1

failed=0

report() { # NAME WHY: good when WHY is empty
	if [ -z "$2" ]; then
		echo "ok docs: $1"
	else
		echo "not ok docs: $1: $(tr '\n' ' ' <<<"$2")"
		failed=1
	fi
}

# ---- What the source has: one word a line -------------------------------------------------------

source_files() { (cd src && find . -name '*.c' -printf '%P\n' | sort); }

finding_codes() {
	sed -n 's/.*\[FINDING_[A-Z0-9_]*\] = { "\([a-z0-9_.]*\)".*/\1/p' src/verify/finding.c | sort
}

gate_codes() {
	grep -oEh '"(role|fresh|complete|intact|gate)\.[a-z_]+"' src/service/gate*.c | tr -d '"' |
		sort -u
}

# Tables, and the columns of each: the schema is C strings of SQL.
schema_words() {
	grep -E '^	"' src/state/schema.h | tr -d '\n\t"' | sed 's/;/\n/g' |
		sed -n 's/^CREATE TABLE \([a-z_]*\)(\(.*\)).*/\1,\2/p' | tr ',' '\n' |
		sed 's/^ *//; s/[ (].*//' | grep -E '^[a-z_]+$' | sort -u
}

config_keys() {
	{
		grep -oE 'strcmp\(key, "[a-z_]+"\)' src/format/assay/conf.c
		grep -oE '\{ "[a-z_]+", &policy' src/format/assay/conf.c
		grep -oE '"(peer|volume) ", "[a-z_]+"' src/format/assay/conf.c
	} | sed 's/", &policy//; s/.*"\([a-z_]*\)"*)*$/\1/' | sort -u
}

# ---- What the documents have --------------------------------------------------------------------

# In backquotes, at the start of a row of a table.
named_first() { sed -n 's/^| `\([^`]*\)` |.*/\1/p' "$1" | sort -u; }

# Words in backquotes, anywhere.
named() { grep -oE '`[^`]+`' "$1" | tr -d '`' | sort -u; }

words_of() { tr -cs 'A-Za-z0-9_.' '\n' <"$1" | sed 's/[.]*$//' | sort -u; }

# missing WANTED-LIST HAVING-LIST: what is in the first and not in the second.
missing() { comm -23 <(printf '%s\n' "$1" | sort -u) <(printf '%s\n' "$2" | sort -u); }

# both_ways NAME SOURCE-LIST DOCUMENT-LIST
both_ways() {
	local absent surplus
	[ -n "$2" ] || { report "$1" "the source yields nothing to compare with"; return; }
	absent=$(missing "$2" "$3")
	surplus=$(missing "$3" "$2")
	report "$1" "${absent:+not in the document: $absent }${surplus:+not in the source: $surplus}"
}

one_way() { # NAME SOURCE-LIST DOCUMENT-LIST
	[ -n "$2" ] || { report "$1" "the source yields nothing to compare with"; return; }
	report "$1" "$(missing "$2" "$3")"
}

broken_links() {
	local page link
	for page in README.md docs/*.md udev/*.md; do
		while IFS= read -r link; do
			link=${link%%#*}
			case $link in '' | *://*) continue ;; esac
			[ -e "$(dirname "$page")/$link" ] || echo "$page: $link"
		done < <(grep -oE '\]\([^)]+\)' "$page" | sed 's/^](//; s/)$//')
	done
}

# A path of the machine that something was written on helps no reader.
foreign_paths() {
	grep -nE '(^|[^A-Za-z0-9_.])/(work|home/[a-z]+|tmp/[a-z]+)/' README.md docs/*.md \
		docs/man/*.scd docs/examples/* systemd/* udev/*.md
}

# ---- The checks ---------------------------------------------------------------------------------

# Both comparisons must notice a word too few and a word too many.
check_itself() {
	local said
	said=$(both_ways x $'a\nb' $'b\nc')
	case $said in
	"not ok docs: x: not in the document: a not in the source: c"*) said= ;;
	esac
	report "a missing and a surplus word are noticed" "$said"
	said=$(one_way x '' 'a')
	case $said in "not ok docs: x: "*) said= ;; esac
	report "an empty list is no success" "$said"
}

check_itself
both_ways "FINDINGS.md names every finding code" "$(finding_codes)" \
	"$(named_first docs/FINDINGS.md)"
both_ways "ARCHITECTURE.md names every source file" "$(source_files)" \
	"$(named_first docs/ARCHITECTURE.md | grep '\.c$')"
both_ways "RUNBOOK.md names every code of the gate" "$(gate_codes)" \
	"$(named_first docs/RUNBOOK.md | grep -E '^[a-z]+\.[a-z_]+$')"
both_ways "assay-gate(8) names every code of the gate" "$(gate_codes)" \
	"$(words_of docs/man/assay-gate.8.scd | grep -E '^(role|fresh|complete|intact|gate)\.[a-z_]+$')"
one_way "STATE.md names every table and column" "$(schema_words | grep -v '^PRIMARY$')" \
	"$(named docs/STATE.md)"
one_way "assay.conf(5) names every key" "$(config_keys)" \
	"$(grep -oE '\*[a-z_]+\*' docs/man/assay.conf.5.scd | tr -d '*')"
report "every link leads somewhere" "$(broken_links)"
report "no path of a machine" "$(foreign_paths)"
exit $failed

#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# agree.sh - what Cyrus's own tools say of a damaged mailbox, assay says too.
#
# Damages one mailbox of a captured store (tests/fixtures, `modern`) in one way after the other. Each
# time `assay scan --mailbox` looks at it, and Cyrus's mbexamine -c and reconstruct -n -G at copies of
# their own, because what they open they may change: reconstruct -n wipes records and removes files. They end with 0
# whatever they see, so what they say is held against what they say of the mailbox as it was: output,
# errors and syslog. Where one of them says more and assay is silent, the test fails. Prints
# "ok NAME" or "not ok NAME: why" for each kind of damage, and all of them once more as a table.
# Needs root, Debian's cyrus-imapd, gcc and jq.
#
#   ASSAY=build/dev/assay   the program
#
# Exit status: 0 nothing failed, 1 something did, 77 everything was skipped.
# shellcheck disable=SC2016 # damage is a command that is evaluated in the store
set -u -o pipefail
export LC_ALL=C TZ=UTC
HERE=$(dirname "$(readlink -f "$0")")
ROOT=$(readlink -f "$HERE/../..")
ASSAY=$(readlink -f "${ASSAY:-$ROOT/build/dev/assay}")
TOOLS=/usr/lib/cyrus/bin
BOX=uuid/d/0/d0owa2mdabfciz32ormxukg9 # user.alice, in the spool and in the archive
WHO="assay mbexamine reconstruct"
PASSED=0 FAILED=0 BASE=''

ok() {
	echo "ok agree: $1"
	PASSED=$((PASSED + 1))
}

not_ok() { # NAME WHY
	echo "not ok agree: $1: $2"
	FAILED=$((FAILED + 1))
}

# Why it cannot run; nothing if it can.
reason_to_skip() {
	local tool
	[ "$(id -u)" = 0 ] || echo "not root"
	[ -x $TOOLS/reconstruct ] && id cyrus >/dev/null 2>&1 || echo "Cyrus is not installed"
	for tool in gcc jq perl setpriv; do
		command -v $tool >/dev/null || echo "$tool is not installed"
	done
}

# --------------------------------------------------------------------- stores

# A store for each of them, all as captured, and one that stays so.
prepare() {
	local who
	BASE=$(mktemp -d "${TMPDIR:-/tmp}/agree.XXXXXX") || return 1
	trap 'rm -rf "$BASE"' EXIT
	trap 'exit 130' INT TERM HUP
	chmod 755 "$BASE"
	gcc -shared -fPIC -U_FORTIFY_SOURCE -o "$BASE/shim.so" "$HERE/syslogshim.c" || return 1
	for who in kept $WHO; do
		"$ROOT/tests/support/unpack-store.sh" modern "$BASE/$who" || return 1
	done
	chown -R cyrus:mail "$BASE"
	cat >"$BASE/assay.conf" <<-END
		[policy]
		settle = 1ms
		[store s1@h]
		imapd_conf = $BASE/assay/imapd.conf
		role = master
	END
}

# FROM TO: the mailbox of one store becomes that of another.
copy_mailbox() {
	local root
	for root in spool archive; do
		rm -rf "${BASE:?}/$2/$root/$BOX"
		cp -a "$BASE/$1/$root/$BOX" "$BASE/$2/$root/${BOX%/*}/" || return 1
	done
}

# --------------------------------------------------------------------- asking

# WHO ARGS...: a tool of Cyrus on its store, as its user. All it says, but for places and times.
cyrus_says() {
	local who=$1 status
	shift
	rm -f "$BASE/log"
	install -o cyrus -g mail -m 600 /dev/null "$BASE/log"
	env -i PATH="$PATH" LC_ALL=C TZ=UTC LD_PRELOAD="$BASE/shim.so" ASSAY_LAB_LOG="$BASE/log" \
		setpriv --reuid=cyrus --regid=mail --init-groups -- \
		timeout 20 "$TOOLS/$who" -C "$BASE/$who/imapd.conf" "$@" >"$BASE/$who.out" 2>&1
	status=$?
	[ $status = 0 ] || echo "ends with status $status"
	cat "$BASE/$who.out"
	grep -E ' <(emerg|alert|crit|err|warning)> ' "$BASE/log" | sed 's/^[^<]*<[a-z]*> //'
}

ask_cyrus() { # FILE
	cyrus_says mbexamine -c user/alice | sed "s|$BASE/mbexamine|STORE|g" >"$BASE/mbexamine.$1"
	cyrus_says reconstruct -n -G user/alice | sed "s|$BASE/reconstruct|STORE|g" \
		>"$BASE/reconstruct.$1"
}

# WHO: the first of what it says now and did not say before, short.
new_words() {
	diff "$BASE/$1.before" "$BASE/$1.now" | sed -n 's/^> //p' | tr -s ' \t' ' ' | grep '[^ ]' |
		sed -e 's/^ //' -e 's/^Examining [^ ]*\.\.\.//' -e 's/user[./]alice:* *//' -e 's/mailbox=<> //' \
			-e 's/ [=-]> / to /g' -e 's/[<>]//g' -e 's/^UID: 0*/shows UID /' -e 's/ error=.*//' \
			-e 's/ filename=.*//' | head -n 1 | cut -c1-64
}

ask_assay() {
	"$ASSAY" scan --config "$BASE/assay.conf" --state "$BASE/state" --json --mailbox user.alice \
		s1@h >"$BASE/found" 2>"$BASE/found.err"
	jq -r 'select(.type == "finding") | .code +
		if .severity == "critical" then "" else " (" + .severity + ")" end' "$BASE/found" |
		sort -u | paste -sd ';' | sed 's/;/, /g'
}

# --------------------------------------------------------------------- one kind of damage
#
# The dates that Cyrus reads out of a message into its record are not judged: record and message have
# their checksums, and another version of Cyrus reads another date out of the same good message. Only a
# program could make such a record. That this is silent is expected by name, so that whoever changes it
# has to say so here.
JUDGED=yes

flip() { "$HERE/damage.pl" flip "$1" "$2" "${3:-0}"; }
for tool in text header record seal; do
	eval "$tool() { \"\$HERE/damage.pl\" $tool \"\$@\"; }"
done
shorten() { "$HERE/damage.pl" cut "$@"; }

# shellcheck disable=SC2034 # by these names damage is told where
A=spool/$BOX AA=archive/$BOX

kind() { # NAME COMMAND
	local who codes mbexamine reconstruct
	for who in $WHO; do copy_mailbox kept "$who" || return 1; done
	if ! (cd "$BASE/assay" && eval "$2") >>"$BASE/check.log" 2>&1; then
		not_ok "$1" "could not be made: $(tail -n 1 "$BASE/check.log")"
		return
	fi
	copy_mailbox assay mbexamine && copy_mailbox assay reconstruct || return 1
	codes=$(ask_assay)
	ask_cyrus now
	mbexamine=$(new_words mbexamine) reconstruct=$(new_words reconstruct)
	judge_kind "$1" "$codes" "$mbexamine" "$reconstruct"
	[ $JUDGED = yes ] || codes="- (not judged)"
	printf '| %s | %s | %s | %s |\n' "$1" "${mbexamine:--}" "${reconstruct:--}" "${codes:--}" \
		>>"$BASE/table"
}

judge_kind() { # NAME CODES MBEXAMINE RECONSTRUCT
	if [ $JUDGED = no ]; then
		[ -z "$2" ] && [ -n "$3$4" ] && ok "$1: not judged" && return
		not_ok "$1" "it is to be silent, and Cyrus not; it says $2"
	elif [ -n "$2" ]; then
		ok "$1: $2"
	elif [ -n "$3$4" ]; then
		not_ok "$1" "assay is silent; mbexamine: $3; reconstruct: $4"
	else
		not_ok "$1" "nobody says anything"
	fi
}

all_kinds() {
	kind "a flipped bit in a message" 'flip $A/8. 100'
	kind "a flipped bit in an archived message" 'flip $AA/3. 100'
	kind "a message cut short" 'shorten $A/8. 10'
	kind "an empty message" ': >$A/8.'
	kind "a message without a file" 'rm $A/8.'
	kind "an archived message without a file" 'rm $AA/3.'
	kind "a folder in the place of a message" 'rm $A/8. && mkdir $A/8.'
	kind "a file without a record" 'cp -p $A/8. $A/7.'
	kind "a message in the spool, recorded as archived" 'mv $AA/3. $A/'
	kind "a message in spool and archive" 'cp -p $AA/3. $A/'
	kind "another file time" 'touch -d 2020-01-01 $A/8.'
	kind "a flipped bit in a record" 'flip $A/cyrus.index 560'
	kind "two records of one UID" 'record $A/cyrus.index 10 0 4 9'
	kind "another size in a record" 'record $A/cyrus.index 8 12 4 4363'
	kind "no SHA-1 in a record" 'for at in 60 64 68 72 76; do record $A/cyrus.index 8 $at 4 0; done'
	kind "another modseq in a record" 'record $A/cyrus.index 8 80 8 999'
	kind "another length of its header in a record" 'record $A/cyrus.index 8 16 4 7'
	JUDGED=no
	kind "another Date in a record" 'record $A/cyrus.index 8 8 4 7'
	JUDGED=yes
	kind "a flipped bit in the header of the index" 'flip $A/cyrus.index 90'
	kind "an index cut short" 'shorten $A/cyrus.index 1'
	kind "no index" 'rm $A/cyrus.index'
	kind "a record behind the last" 'tail -c 112 $A/cyrus.index >x && cat x >>$A/cyrus.index'
	kind "another number of messages" 'header $A/cyrus.index 84 4 77'
	kind "another number of unseen messages" 'header $A/cyrus.index 124 4 77'
	kind "another sum of sizes" 'header $A/cyrus.index 32 8 77'
	kind "another sync CRC" 'header $A/cyrus.index 100 4 77'
	kind "another sync CRC of annotations" 'header $A/cyrus.index 120 4 77'
	kind "a lower last UID" 'header $A/cyrus.index 28 4 9'
	kind "another UIDVALIDITY" 'header $A/cyrus.index 44 4 77'
	kind "a flipped bit in the cache" 'flip $A/cyrus.cache 100'
	kind "a cache cut short" 'truncate -s 4 $A/cyrus.cache'
	kind "no cache" 'rm $A/cyrus.cache'
	kind "a flipped bit at the beginning of cyrus.header" 'flip $A/cyrus.header 20'
	kind "no cyrus.header" 'rm $A/cyrus.header'
	kind "another cyrus.header" 'text $A/cyrus.header "T e N user.alice" "N user.alice T e"'
	kind "another unique id in cyrus.header" \
		'text $A/cyrus.header d0owa2md d0owa2me && seal $A/cyrus.index $A/cyrus.header'
	kind "a flag without a name" \
		'text $A/cyrus.header " Work" "" && seal $A/cyrus.index $A/cyrus.header'
	kind "a flipped bit in the annotations" 'flip $A/cyrus.annotations 350'
	kind "an old cyrus.expunge" 'cp -p $A/cyrus.index $A/cyrus.expunge'
	kind "a file that Cyrus may not write" 'chmod 400 $A/cyrus.cache'
}

main() {
	local why codes
	why=$(reason_to_skip)
	if [ -n "$why" ]; then
		echo "skip agree: ${why//$'\n'/; }"
		echo "0 passed, 0 failed, 1 skipped"
		exit 77
	fi
	if ! prepare; then
		not_ok "all" "the stores cannot be prepared"
	else
		ask_cyrus before
		codes=$(ask_assay)
		if [ -z "$codes" ]; then
			ok "nothing is said of the mailbox as it was"
		else
			not_ok "nothing is said of the mailbox as it was" "$codes"
		fi
		all_kinds
		printf '| damage | mbexamine -c | reconstruct -n -G | assay |\n|---|---|---|---|\n'
		cat "$BASE/table"
	fi
	echo "$PASSED passed, $FAILED failed, 0 skipped"
	[ "$FAILED" = 0 ]
}

main

# shellcheck shell=bash
# shellcheck disable=SC2016 # the filters are jq's, not the shell's
# SPDX-License-Identifier: Apache-2.0
#
# What the scripts of this folder are written with: reporting, stores, calling the program,
# expecting.
#
#   ASSAY=build/dev/assay          the program
#   MKSPOOL=build/dev/tests/mkspool  builds stores of any size
#
# Invariant: each check prints exactly one line and is counted once, and what could not run is a
# skip with its reason, never an ok. All files lie below $WORK, a new folder that is removed at the
# end. The last call's exit status is in RC, its output in $OUT and $ERR. Sourced by the scripts,
# each of which says `begin NAME` first and `finish` last.
export LC_ALL=C.UTF-8 TZ=UTC
umask 022
ROOT=$(readlink -f "$(dirname "${BASH_SOURCE[0]}")/../..")
ASSAY=$(readlink -f "${ASSAY:-$ROOT/build/dev/assay}")
MKSPOOL=$(readlink -f "${MKSPOOL:-$ROOT/build/dev/tests/mkspool}")
PASSED=0 FAILED=0 SKIPPED=0
RC=0
WORK='' NAME='' CONF='' STATE='' OUT='' ERR=''

# --------------------------------------------------------------------- one line a check

ok() { # NAME
	echo "ok $NAME: $1"
	PASSED=$((PASSED + 1))
}

not_ok() { # NAME WHY
	echo "not ok $NAME: $1: $2"
	FAILED=$((FAILED + 1))
}

skip() { # NAME WHY
	echo "skip $NAME: $1: $2"
	SKIPPED=$((SKIPPED + 1))
}

# NAME WHY COMMAND...: ok if the command succeeds.
check() {
	local name=$1 why=$2
	shift 2
	if "$@" >>"$WORK/check.log" 2>&1; then ok "$name"; else not_ok "$name" "$why"; fi
}

# Ends the script when a tool is missing, by name.
need() { # COMMAND...
	local tool
	for tool; do
		command -v "$tool" >/dev/null && continue
		skip "all" "$tool is not installed"
		finish
	done
}

finish() {
	echo "$PASSED passed, $FAILED failed, $SKIPPED skipped"
	[ "$FAILED" = 0 ] || exit 1
	[ "$PASSED" != 0 ] || exit 77
	exit 0
}

cleanup() {
	local pids
	pids=$(jobs -p)
	# shellcheck disable=SC2086 # process ids
	[ -z "$pids" ] || kill -KILL $pids 2>/dev/null
	wait
	[ -z "$WORK" ] || chmod -R u+rwx "$WORK" 2>/dev/null
	[ -z "$WORK" ] || rm -rf "$WORK"
}

begin() { # NAME
	NAME=$1
	WORK=$(mktemp -d "${TMPDIR:-/tmp}/cli.XXXXXX") || exit 1
	trap cleanup EXIT
	trap 'exit 130' INT TERM HUP
	CONF=$WORK/assay.conf STATE=$WORK/state OUT=$WORK/out ERR=$WORK/err
	touch "$OUT" "$ERR"
	need jq perl
	[ -x "$ASSAY" ] && return
	not_ok "all" "no program at $ASSAY"
	finish
}

# --------------------------------------------------------------------- stores

# STORE DIR: one store of a fixture, to a folder below $WORK.
unpack() { "$ROOT/tests/support/unpack-store.sh" "$1" "$WORK/$2"; }

# The captured pair: $WORK/master and $WORK/replica, and an assay.conf that names them s1 on imap21
# and on imap22. The stale master is one to be moved to the place of the other. Times of checks are
# short, because nothing writes to these stores.
unpack_pair() {
	unpack drained/master master && unpack drained/replica replica &&
		unpack stale/master stale/master || return 1
	sed -i "s|$WORK/stale/|$WORK/|g" "$WORK/stale/master/imapd.conf" || return 1
	write_conf "settle = 50ms"
}

write_conf() { # LINE OF POLICY
	cat >"$CONF" <<-END
		[host]
		name = imap21
		[policy]
		gate_patience = 100ms
		$1
		[store s1]
		imapd_conf = $WORK/master/imapd.conf
		role = master
		peers = imap22
		[store s1@imap22]
		imapd_conf = $WORK/replica/imapd.conf
		role = replica
	END
}

# FILE OFFSET [BIT]: as a bad disk would, leaving the mtime; a second call undoes it.
flip() { "$ROOT/tests/lab/damage.pl" flip "$1" "$2" "${3:-0}"; }

# The live messages of a copy whose file has one name only, those of the fullest mailbox first. Reads
# the indexes (version 17: records of 112 bytes behind 160, flags at byte 32) by its own few lines.
messages_of() { # SIDE
	find "$WORK/$1/spool" -name cyrus.index | sort | perl -ne '
		chomp;
		(my $dir = $_) =~ s{/cyrus.index$}{};
		open my $fh, "<:raw", $_ or die "$_: $!";
		local $/;
		my @records = grep { length == 112 } unpack "x160 (a112)*", <$fh>;
		my @live = map { unpack "N" } grep { !(unpack("x32 N") & 0xc0000000) } @records;
		push @all, [map { "$dir/$_." } grep { (stat "$dir/$_.")[3] == 1 } @live];
		END { print map { "$_\n" } map { @$_ } sort { @$b <=> @$a } @all }'
}

# --------------------------------------------------------------------- the program

call() { # ARGS...
	timeout -k 5 60 "$ASSAY" "$@" >"$OUT" 2>"$ERR" </dev/null
	RC=$?
}

# As call, without the right to read what the modes forbid: root keeps all but that.
call_plain() {
	as_plain timeout -k 5 60 "$ASSAY" "$@" >"$OUT" 2>"$ERR" </dev/null
	RC=$?
}

as_plain() { # COMMAND...
	if [ "$(id -u)" = 0 ]; then
		setpriv --bounding-set=-dac_override,-dac_read_search "$@"
	else
		"$@"
	fi
}

# Whether call_plain is held back by the mode of a file.
can_be_plain() {
	touch "$WORK/secret" && chmod 000 "$WORK/secret" || return 1
	as_plain true 2>/dev/null && ! as_plain cat "$WORK/secret" 2>/dev/null
}

# shellcheck disable=SC2120 # words are optional
scan() { # ARGS...
	call scan --config "$CONF" --state "$STATE" --json "$@"
}

# shellcheck disable=SC2120
gate() { # ARGS..., perhaps with -- COMMAND
	call gate s1 --to imap22 --config "$CONF" --state "$STATE" --json "$@"
}

# shellcheck disable=SC2120
findings() { # ARGS...
	call findings --config "$CONF" --state "$STATE" "$@"
}

# --------------------------------------------------------------------- expecting

# Whatever the last call said, in a line that fits on a screen.
last_words() {
	{ tail -n 2 "$ERR" && head -c 300 "$OUT"; } | tr -c '[:print:]' ' ' | head -c 400
}

expect_exit() { # NAME WANTED
	if [ "$RC" = "$2" ]; then ok "$1"; else not_ok "$1" "exit $RC, not $2: $(last_words)"; fi
}

# NAME FILTER [JQ ARGS...]: true of the whole output, which arrives as one array.
expect_json() {
	local name=$1 filter=$2
	shift 2
	if jq -es "$@" "$JQ_DEFS $filter" "$OUT" >/dev/null 2>>"$WORK/check.log"; then
		ok "$name"
	else
		not_ok "$name" "$(last_words)"
	fi
}

# NAME FILE PATTERN: some line of it matches.
expect_line() {
	if grep -qE -e "$3" "$2"; then ok "$1"; else not_ok "$1" "no '$3': $(last_words)"; fi
}

# NAME: neither stdout nor stderr could move a terminal's cursor.
expect_printable() {
	if perl -e 'local $/; while (<>) { exit 1 if /[\x00-\x08\x0b-\x1f\x7f]/ or
			!utf8::decode($_) or /[\x{80}-\x{9f}]/ }' "$OUT" "$ERR"; then
		ok "$1"
	else
		not_ok "$1" "$(last_words)"
	fi
}

JQ_DEFS='
def found: map(select(.type == "finding"));
def gaps: map(select(.type == "gap"));
def summary: map(select(.type == "summary")) | last;
def rule($n): .[0].rules[] | select(.rule == $n);
'

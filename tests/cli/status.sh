#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# status.sh: what is known of each copy, in every state that it can be in, and that nothing unknown
# reads as good: never scanned, verified, aging, stale, with findings, with gaps, interrupted,
# killed, being scanned, out of reach, not configured, and a state that cannot be read.
# shellcheck disable=SC2016 # the filters are jq's, not the shell's
# shellcheck disable=SC2119 # commands without words
# shellcheck disable=SC2317 # called by check
set -u -o pipefail
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

# shellcheck disable=SC2120 # words are optional
status() { # ARGS...
	call status --config "$CONF" --state "$STATE" "$@"
}

# NAME EXIT NAGIOS-EXIT FILTER [ARGS...]: the exit statuses of the three forms, and that of JSON
# holds. Leaves the table in $WORK/table and the line of the plugin in $OUT.
expect_status() {
	local name=$1 wanted=$2 nagios=$3 filter=$4
	shift 4
	status "$@"
	expect_exit "$name: exit $wanted" "$wanted"
	cp "$OUT" "$WORK/table"
	status --json "$@"
	expect_exit "$name: --json exits $wanted, too" "$wanted"
	expect_json "$name: is what --json says" "$filter"
	status --nagios "$@"
	expect_exit "$name: --nagios exits $nagios" "$nagios"
	expect_plugin_line "$name"
}

expect_plugin_line() { # NAME
	local word
	word=$(cut -d ' ' -f 2 "$OUT")
	check "$1: the plugin says one line, its word is its status" "exit $RC: $(last_words)" \
		test "$(wc -l <"$OUT") $RC $word" = "1 $RC $(plugin_word "$RC")"
}

plugin_word() {
	case $1 in 0) echo OK: ;; 1) echo WARNING: ;; 2) echo CRITICAL: ;; *) echo UNKNOWN: ;; esac
}

# COPY PATTERN: its line of the table, and those below it that belong to it.
expect_row() { # NAME COPY PATTERN
	if grep -E -e "^[A-Z]+ +$2 " "$WORK/table" | grep -qE -e "$3"; then
		ok "$1"
	else
		not_ok "$1" "no '$3': $(tr '\n' ' ' <"$WORK/table")"
	fi
}

# SQL: what no command writes, as time or another assay would.
change_state() { sqlite3 "$STATE/state.db" "$1"; }

hours_ago() { echo "(CAST(strftime('%s', 'now') AS INTEGER) - $1 * 3600) * 1000000000"; }

test_never_scanned() {
	expect_status "never scanned" 2 3 'length == 2 and all(.[]; .verdict == "unknown" and
		.coverage == "unknown" and .verified_at == null and .verified_age_s == null and
		.bytes == null and .open_findings == null and .open_notices == null and .last_run == null and
		.last_complete_run == null and .scan == "none" and .reasons == ["never scanned"])'
	expect_row "never scanned: the table says unknown, and no 0" s1@imap22 \
		'^UNKNOWN +s1@imap22 +unknown +unknown +unknown +never +never scanned$'
	expect_line "never scanned: nor does the plugin give a number" "$OUT" \
		"\\| 's1@imap21 age'=U 's1@imap21 findings'=U 's1@imap21 bytes'=U "
	check "never scanned: no state is made" "$STATE" test ! -e "$STATE"
}

test_verified() {
	scan s1
	expect_status "one copy of two verified" 2 3 'map({(.host): .verdict}) | add ==
		{imap21: "ok", imap22: "unknown"}'
	expect_status "the verified copy alone" 0 0 'length == 1 and (.[0] | .host == "imap21" and
		.role == "master" and .coverage == "ok" and .bytes > 0 and .open_findings == 0 and
		.last_run == .last_complete_run and .last_run.status == "complete")' s1@imap21
	scan s1@imap22
	expect_status "both verified" 0 0 'length == 2 and all(.[]; .verdict == "ok" and
		.verified_age_s >= 0 and .verified_age_s < 60 and .last_run.age_s < 60)'
	expect_row "both verified: the table begins with the verdict" s1@imap22 \
		'^OK +s1@imap22 +[0-9]+ m?s +[0-9.]+ KiB +0 +complete [0-9]+ m?s ago +verified within'
	expect_line "both verified: the plugin gives ages and limits" "$OUT" \
		"\\| 's1@imap21 age'=[0-9]+s;116640;129600;0 's1@imap21 findings'=0;;0;0 .*bytes'=[0-9]+B"
}

# The oldest mailbox is what counts, not when the run ended.
test_ages() {
	cp -a "$STATE" "$WORK/state.young"
	change_state "UPDATE mailbox SET verified_ns = $(hours_ago 34) WHERE target = 2 AND key =
		(SELECT min(key) FROM mailbox WHERE target = 2)"
	expect_status "aging" 0 1 'map(select(.host == "imap22"))[0] | .verdict == "ok" and
		.verified_age_s > 34 * 3600 - 60 and .last_run.age_s < 600'
	expect_row "aging: says when it is stale" s1@imap22 'stale in (2 h|1 h 59 min)'
	change_state "UPDATE mailbox SET verified_ns = $(hours_ago 37) WHERE target = 2 AND key =
		(SELECT min(key) FROM mailbox WHERE target = 2)"
	expect_status "stale" 2 2 'map(select(.host == "imap22"))[0] | .verdict == "stale" and
		.coverage == "stale"'
	expect_row "stale: says by how much" s1@imap22 '^STALE .* 1 d 13 h .*more than 1 d 12 h'
	expect_line "stale: the plugin names the copy, and counts the good ones" "$OUT" \
		"^ASSAY CRITICAL: s1@imap22 stale: .*; 1 of 2 ok"
	expect_status "stale: the other copy alone is ok" 0 0 'length == 1' s1@imap21
	write_conf "max_scan_age = 40h"
	expect_status "max_scan_age decides" 0 1 'all(.[]; .verdict == "ok" and
		.max_scan_age_s == 144000)'
	write_conf "max_scan_age = 1ms"
	expect_status "max_scan_age decides, both ways" 2 2 'all(.[]; .verdict == "stale")'
	write_conf "settle = 50ms"
	change_state "UPDATE mailbox SET verified_ns = $(hours_ago -1) WHERE target = 2"
	expect_status "verified in the future" 2 3 'map(select(.host == "imap22"))[0] |
		.verdict == "unknown" and .coverage == "unknown" and .verified_age_s < 0'
	expect_line "verified in the future: the plugin gives no age" "$OUT" "'s1@imap22 age'=U"
	rm -r "$STATE" && mv "$WORK/state.young" "$STATE"
}

test_findings() {
	flip "$VICTIM" 100
	scan s1@imap22
	expect_status "findings" 1 2 'map(select(.host == "imap22"))[0] | .verdict == "findings" and
		.coverage == "ok" and .open_findings == 1'
	expect_row "findings: says how to see them" s1@imap22 \
		'^FINDINGS .* 1 finding open: assay findings list s1@imap22$'
	write_conf "max_scan_age = 1ms"
	expect_status "findings outweigh stale" 1 2 'map(.verdict) == ["stale", "findings"]'
	write_conf "settle = 50ms"
	flip "$VICTIM" 100
	scan s1@imap22
	expect_status "findings that were closed" 0 0 'all(.[]; .verdict == "ok" and
		.open_findings == 0)'
}

# They are told, and change no verdict.
test_notices() {
	flip "$VICTIM" 100
	scan s1@imap22
	cp -a "$STATE" "$WORK/state.found"
	change_state "UPDATE finding SET severity = 1 WHERE closed_ns = 0"
	expect_status "warnings" 1 2 'map(select(.host == "imap22"))[0] | .verdict == "findings" and
		.open_findings == 1 and .open_notices == 0'
	change_state "UPDATE finding SET severity = 2 WHERE closed_ns = 0"
	expect_status "notices" 0 0 'map(select(.host == "imap22"))[0] | .verdict == "ok" and
		.open_findings == 0 and .open_notices == 1'
	expect_row "notices: the table says so" s1@imap22 \
		'^OK .* 0 +complete .*verified within 1 d 12 h, nothing open but notices$'
	expect_line "notices: and how to see them" "$WORK/table" \
		'^ +1 notice, harmless: assay findings list s1@imap22$'
	rm -r "$STATE" && mv "$WORK/state.found" "$STATE"
	flip "$VICTIM" 100
	scan s1@imap22
}

# The last run made one of a part: what it says of the rest is what the run before it said.
test_part() {
	scan s1@imap22
	cp -a "$STATE" "$WORK/state.whole"
	status s1@imap22 --json
	jq -c 'del(.read_at, .verified_age_s, .last_run.age_s, .last_complete_run.age_s, .reasons)' \
		"$OUT" >"$WORK/before"
	change_state "INSERT INTO run(target, status, started_ns, ended_ns, gaps, scope)
		SELECT 2, 2, $(hours_ago 0), $(hours_ago 0), 9, 'quick'"
	expect_status "a part was scanned, with gaps" 0 0 'length == 1 and .[0].verdict == "ok"' \
		s1@imap22
	status s1@imap22 --json
	jq -c 'del(.read_at, .verified_age_s, .last_run.age_s, .last_complete_run.age_s, .reasons)' \
		"$OUT" >"$WORK/after"
	check "a part was scanned: all is said as before" "$(diff "$WORK/before" "$WORK/after")" \
		cmp "$WORK/before" "$WORK/after"
	gate
	expect_json "a part was scanned: the gate says what it said" 'rule("intact").result == "pass"'
	rm -r "$STATE" && mv "$WORK/state.whole" "$STATE"
}

# A later run with gaps: what was verified before it stays so, and yet nobody can tell.
test_gaps() {
	local dir
	dir=$(dirname "$VICTIM")
	cp -a "$STATE" "$WORK/state.whole"
	mv "$dir" "$WORK/moved" && ln -s "$WORK/moved" "$dir"
	scan s1@imap22
	expect_exit "gaps: the scan is not complete: exit 2" 2
	rm "$dir" && mv "$WORK/moved" "$dir"
	expect_status "gaps" 2 3 'map(select(.host == "imap22"))[0] | .verdict == "unknown" and
		.coverage == "ok" and .last_run.status == "incomplete" and
		.last_complete_run.run < .last_run.run'
	expect_row "gaps: the table has both runs" s1@imap22 \
		'^UNKNOWN .* incomplete [^,]* ago, complete .*last scan, .* ago, incomplete: 1 gap$'
	gate
	expect_json "gaps: the gate sees it in the same way" 'rule("intact").result == "unknown"'
	rm -r "$STATE" && mv "$WORK/state.whole" "$STATE"
}

# PATTERN: waits until the status of the replica matches.
await() {
	local i
	for ((i = 0; i < 100; i++)); do
		status s1@imap22 --json
		jq -e "$1" "$OUT" >/dev/null 2>&1 && return 0
		sleep 0.1
	done
	return 1
}

# What was found has to settle, so the scan is still at it when it is asked about or stopped.
test_under_way() {
	local pid
	flip "$VICTIM" 100
	write_conf "settle = 30s"
	"$ASSAY" scan s1@imap22 --config "$CONF" --state "$STATE" >"$WORK/scan.out" 2>&1 </dev/null &
	pid=$!
	check "under way: is seen" "$(last_words)" await '.scan == "running"'
	expect_status "under way" 0 0 'map(select(.host == "imap22"))[0] | .verdict == "ok" and
		.last_run.status == "running" and .last_run.ended_at == null and
		.last_run.age_s == null and .last_complete_run.status == "complete"'
	expect_row "under way: since when" s1@imap22 ' running, complete .*being scanned for [0-9]'
	kill -TERM $pid && wait $pid 2>/dev/null
	expect_status "interrupted" 0 0 'map(select(.host == "imap22"))[0] | .scan == "none" and
		.last_run.status == "interrupted" and .last_run.ended_at != null'
	expect_row "interrupted: says so" s1@imap22 'the scan begun .* ago was interrupted$'
	"$ASSAY" scan s1@imap22 --config "$CONF" --state "$STATE" >"$WORK/scan.out" 2>&1 </dev/null &
	pid=$!
	check "under way again: is seen" "$(last_words)" await '.scan == "running"'
	kill -KILL $pid && wait $pid 2>/dev/null
	expect_status "killed" 0 0 'map(select(.host == "imap22"))[0] | .scan == "none" and
		.last_run.status == "killed" and .last_run.ended_at == null'
	expect_row "killed: says so" s1@imap22 'the scan begun .* ago was killed$'
	write_conf "settle = 50ms"
	flip "$VICTIM" 100
}

# A scan that was only ever interrupted has verified nothing.
test_never_complete() {
	local state=$STATE
	STATE=$WORK/state.partly
	cp -a "$state" "$STATE"
	change_state "UPDATE run SET status = 3, ended_ns = started_ns + 1000000 WHERE target = 2"
	expect_status "never complete" 2 3 'map(select(.host == "imap22"))[0] |
		.verdict == "unknown" and .coverage == "unknown" and .bytes == null and
		.open_findings == null and .last_run.status == "interrupted" and
		.last_complete_run == null'
	expect_row "never complete: unknown, and no 0" s1@imap22 \
		'^UNKNOWN +s1@imap22 +unknown +unknown +unknown +interrupted '
	STATE=$state
}

# A monitor that asks all the time must not turn a scan away.
test_asking_turns_no_scan_away() {
	local i pid refused=0
	while :; do
		"$ASSAY" status --config "$CONF" --state "$STATE" >/dev/null 2>&1 </dev/null
	done &
	pid=$!
	for ((i = 0; i < 10; i++)); do
		scan
		[ "$RC" = 0 ] || refused=$((refused + 1))
	done
	kill $pid && wait $pid 2>/dev/null
	check "asking all the time turns no scan away" "$refused of 10: $(last_words)" \
		test $refused = 0
}

test_out_of_reach() {
	mv "$WORK/replica/conf" "$WORK/aside"
	expect_status "out of reach" 2 3 'map(select(.host == "imap22")) | length == 1 and (.[0] |
		.verdict == "unknown" and .coverage == "ok" and .last_run != null)'
	expect_row "out of reach: says so" s1@imap22 '^UNKNOWN .*cannot be reached now: '
	mv "$WORK/aside" "$WORK/replica/conf"
	# Another directory under the same name was never verified.
	cp -a "$WORK/replica/conf" "$WORK/conf2"
	sed -i "s|^configdirectory:.*|configdirectory: $WORK/conf2|" "$WORK/replica/imapd.conf"
	expect_status "another directory of the same name" 2 3 'map(select(.role == "replica")) |
		length == 1 and .[0].verdict == "unknown" and .[0].last_run == null'
	sed -i "s|^configdirectory:.*|configdirectory: $WORK/replica/conf|" \
		"$WORK/replica/imapd.conf"
}

test_names() {
	status s1 --json
	expect_json "a store means all its copies" 'map(.host) == ["imap21", "imap22"]'
	status s1@imap22 --json
	expect_json "a store on a host means one" 'map(.host) == ["imap22"]'
	status s1@imap22 s1 s1@imap22 --json
	expect_json "named twice is shown once" 'length == 2'
	expect_unknown_name s9
	expect_unknown_name s1@imap9
	expect_unknown_name s
	status s1 s9
	check "an unknown name beside a known one: nothing is shown" "$(last_words)" test ! -s "$OUT"
	expect_exit "an unknown name beside a known one: exit 3" 3
}

expect_unknown_name() { # NAME
	status "$1"
	expect_exit "the unknown name $1: exit 3" 3
	expect_line "the unknown name $1: says so" "$ERR" "$1 is not in the configuration"
	status --nagios "$1"
	expect_exit "the unknown name $1: --nagios exits 3" 3
	expect_plugin_line "the unknown name $1"
}

# A copy of strange name that was scanned and is not configured.
test_not_configured() {
	local strange=$WORK/$'odd|=\x1b\xff\'x'
	cp -a "$WORK/replica" "$strange"
	sed "s|$WORK/replica|$WORK/odd\|=\x1b\xff'x|" "$WORK/replica/imapd.conf" >"$strange/imapd.conf"
	call scan --imapd-conf "$strange/imapd.conf" --state "$STATE" --json
	expect_status "not configured" 0 0 'length == 3 and (map(select(.role == null)) |
		length == 1 and .[0].verdict == "ok" and (.[0].store_base64 | length > 0))'
	check "not configured: one bar divides text and figures" "$(last_words)" \
		test "$(tr -cd '|' <"$OUT" | wc -c)" = 1
	expect_printable "not configured: the plugin's line is printable"
	status
	expect_printable "not configured: so is the table"
	expect_line "not configured: says so" "$OUT" '^ +not in the configuration$'
	expect_status "--configured leaves it out" 0 0 'map(.role) == ["master", "replica"]' --configured
	status --configured "$strange/imapd.conf"
	expect_exit "--configured and its name: exit 3" 3
	status "$strange/imapd.conf" --json
	expect_json "its name alone is enough" 'length == 1 and .[0].role == null'
	change_state "UPDATE mailbox SET verified_ns = 1 WHERE target = 3"
	expect_status "not configured, stale" 2 2 'map(.verdict) | sort == ["ok", "ok", "stale"]'
	rm -r "$strange"
}

# A state that cannot be read is never that of a store which is fine.
test_state_unreadable() {
	local state=$STATE
	STATE=$WORK/state.bad
	cp -a "$state" "$STATE"
	rm -f "$STATE"/state.db-*
	perl -e 'print map { chr($_ * 7 % 251) } 1 .. 5000' >"$STATE/state.db"
	expect_status "state is no database" 2 3 'length == 2 and all(.[]; .verdict == "unknown" and
		.scan == "unknown" and (.reasons[0] | startswith("the state cannot be read")))'
	expect_row "state is no database: the table says unknown" s1@imap22 \
		'^UNKNOWN +s1@imap22 +unknown +unknown +unknown +unknown +the state cannot be read'
	status --nagios s9
	expect_exit "state is no database: nobody can tell what a name means: --nagios exits 3" 3
	status s9
	expect_exit "state is no database: nobody can tell what a name means: exit 2" 2
	cp "$state/state.db" "$STATE/" && change_state "PRAGMA user_version = 99"
	expect_status "state of a newer assay" 2 3 'all(.[]; .verdict == "unknown")'
	cp "$state/state.db" "$STATE/" && change_state "DROP TABLE finding"
	expect_status "state lacks the findings" 2 3 'all(.[]; .verdict == "unknown" and
		.open_findings == null)' --configured
	cp "$state/state.db" "$STATE/"
	chmod 000 "$STATE"
	if can_be_plain; then
		call_plain status --config "$CONF" --state "$STATE"
		expect_exit "state of somebody else: exit 2" 2
		call_plain status --config "$CONF" --state "$STATE" --nagios
		expect_exit "state of somebody else: --nagios exits 3" 3
	else
		skip "state of somebody else" "rights cannot be dropped here"
	fi
	chmod 700 "$STATE"
	STATE=$state
}

test_empty_scope() {
	local conf=$CONF state=$STATE
	CONF=$WORK/empty.conf STATE=$WORK/state.none
	printf '[host]\nname = x\n' >"$CONF"
	status
	expect_exit "nothing is configured, nothing was scanned: exit 2" 2
	expect_line "nothing is configured, nothing was scanned: says so" "$ERR" "nothing is known"
	status --nagios
	expect_exit "nothing is configured, nothing was scanned: --nagios exits 3" 3
	expect_plugin_line "nothing is configured, nothing was scanned"
	STATE=$state
	status --json
	expect_json "nothing is configured: what was scanned is shown" \
		'length == 3 and all(.[]; .role == null)'
	status --configured
	expect_exit "nothing is configured, --configured: exit 2" 2
	CONF=$WORK/none.conf
	status --nagios
	expect_exit "no configuration: --nagios exits 3" 3
	expect_plugin_line "no configuration"
	CONF=$conf
}

begin status
need sqlite3
check "the fixture is unpacked" "tar" unpack_pair
VICTIM=$(messages_of replica | head -n 1)
test_never_scanned
test_verified
test_ages
test_findings
test_notices
test_part
test_gaps
test_under_way
test_never_complete
test_asking_turns_no_scan_away
test_out_of_reach
test_names
test_not_configured
test_state_unreadable
test_empty_scope
finish

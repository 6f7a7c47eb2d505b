#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# findings.sh: the life of a finding, and how it is listed and shown.
#
# Found, seen again with its first sighting kept, closed once the damage is gone, and new with a
# number of its own when the damage is back. Only a scan that read the place closes anything.
# shellcheck disable=SC2016 # the filters are jq's, not the shell's
# shellcheck disable=SC2119 # commands without words
set -u -o pipefail
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

# Of the one finding that the last call printed.
field() { jq -r "select(.type == \"finding\") | .$1" "$OUT" | head -n 1; }

# NAME EXIT: scans the replica.
rescan() {
	scan s1@imap22
	expect_exit "$1: scan exits $2" "$2"
}

test_found() {
	flip "$VICTIM" 100
	rescan "found" 1
	expect_json "found: one finding" \
		'found | length == 1 and (.[0] | .path == $p and .code == "message.digest")' \
		--arg p "$VICTIM"
	ID=$(field id) FIRST=$(field first_seen)
	findings --json
	expect_exit "found: the list exits 1" 1
	expect_json "found: the list has it, open" 'length == 1 and (.[0] |
		.id == ($id | tonumber) and .state == "open" and .closed == null and
		.severity == "critical" and
		.resolution == null and .first_seen == $first and .last_seen == $first)' \
		--arg id "$ID" --arg first "$FIRST"
	findings
	expect_line "found: the list for people names the message" "$OUT" "  path +$VICTIM$"
	expect_line "found: and what to do" "$OUT" "  to do +[a-z]"
	expect_line "found: the verdict comes first" "$OUT" "^CORRUPT  s1@imap22  .*finding $ID\]"
	findings list s1@imap22 --json
	expect_json "found: listed by store and host" 'length == 1'
	findings list s1 --json
	expect_json "found: listed by store" 'length == 1'
	findings list s1@imap21 --json
	expect_exit "found: the other copy is clean: exit 0" 0
	expect_json "found: the other copy has none" 'length == 0'
	findings list s77
	expect_exit "found: a store that was never scanned is not clean: exit 2" 2
	findings show "$ID" --json
	expect_exit "found: show exits 1 while it is open" 1
	expect_json "found: show shows it" 'length == 1 and .[0].id == ($id | tonumber)' --arg id "$ID"
	findings show 4711
	expect_exit "found: show of another number exits 3" 3
}

test_seen_again() {
	sleep 1.1 # times are shown in seconds
	rescan "seen again" 1
	expect_json "seen again: same number, first sighting kept, last one newer" \
		'found | length == 1 and (.[0] | .id == ($id | tonumber) and .first_seen == $first and
			.last_seen > $first)' --arg id "$ID" --arg first "$FIRST"
	findings --all --json
	expect_json "seen again: is still one" 'length == 1'
}

# A run that could not read the mailbox says nothing about it.
test_not_looked_at() {
	local index
	index=$(dirname "$VICTIM")/cyrus.index
	mv "$index" "$index.aside"
	rescan "not looked at" 1
	mv "$index.aside" "$index"
	findings show "$ID" --json
	expect_json "not looked at: stays open" '.[0].state == "open"'
	scan s1
	expect_exit "the other copy is scanned: exit 0" 0
	findings show "$ID" --json
	expect_json "the other copy is scanned: stays open" '.[0].state == "open"'
}

test_repaired() {
	flip "$VICTIM" 100
	rescan "repaired" 0
	expect_json "repaired: nothing found" 'found | length == 0'
	findings --json
	expect_exit "repaired: the list exits 0" 0
	expect_json "repaired: the list is empty" 'length == 0'
	findings
	expect_line "repaired: says that there are none" "$OUT" "^no open findings$"
	findings --all --json
	expect_exit "repaired: --all exits 0, nothing is open" 0
	expect_json "repaired: --all has it, closed and verified" \
		'map(select(.id == ($id | tonumber))) | length == 1 and (.[0] | .state == "closed" and
			.resolution == "verified" and .closed >= .last_seen and
			.first_seen == $first)' \
		--arg id "$ID" --arg first "$FIRST"
	findings show "$ID"
	expect_exit "repaired: show of a closed one exits 0" 0
	expect_line "repaired: show says when it was closed" "$OUT" "  closed +20.*, verified$"
}

test_damaged_again() {
	flip "$VICTIM" 100
	rescan "damaged again" 1
	expect_json "damaged again: has a new number and a new first sighting" \
		'found | length == 1 and (.[0] | .id > ($id | tonumber) and .first_seen > $first)' \
		--arg id "$ID" --arg first "$FIRST"
	findings --all --json
	expect_json "damaged again: the old one stays closed" \
		'map(select(.path == $p)) | map(.state) | sort == ["closed", "open"]' --arg p "$VICTIM"
	flip "$VICTIM" 100
}

test_several() {
	local path n=0
	for path in $(messages_of replica | head -n 5); do flip "$path" 100 && n=$((n + 1)); done
	check "several: five messages are damaged" "$n" test "$n" = 5
	rescan "several" 1
	expect_json "several: counted, and no notices" '(summary | .notices == 0 and .scope == "")'
	expect_json "several: each is found once" \
		'(found | map(.path) | unique | length == 5) and (summary | .findings == 5)'
	findings --json
	expect_json "several: listed in the order of their numbers" \
		'length == 5 and (map(.id) == (map(.id) | sort))'
}

# SQL: what no command writes, as another code would.
change_state() { sqlite3 "$STATE/state.db" "$1"; }

# Makes that of so many of the open ones that are critical, the latest first.
set_severity() { # SEVERITY HOW-MANY
	change_state "UPDATE finding SET severity = $1 WHERE id IN (SELECT id FROM finding
		WHERE closed_ns = 0 AND severity = 0 ORDER BY id DESC LIMIT $2)"
}

# NAME WORDS COUNT EXIT: the list with these words, for programs and for people.
expect_listed() {
	# shellcheck disable=SC2086 # words
	findings $2 --json
	expect_exit "$1: --json exits $4" "$4"
	expect_json "$1: lists $3" 'length == ($n | tonumber)' --arg n "$3"
	# shellcheck disable=SC2086 # words
	findings $2
	expect_exit "$1: exits $4" "$4"
}

# Of the five open ones, which are critical, two become warnings and then one a notice.
test_severity() {
	need sqlite3
	set_severity 1 2
	set_severity 2 1
	expect_listed "severity, all" "" 5 1
	check "severity: a critical one is shown as ever" "$(last_words)" \
		test "$(grep -c '^CORRUPT  s1@imap22' "$OUT")" = 2
	check "severity: a warning says so behind the verdict" "$(last_words)" \
		test "$(grep -c '^CORRUPT (warning)  s1@imap22' "$OUT")" = 2
	check "severity: so does a notice" "$(last_words)" \
		test "$(grep -c '^CORRUPT (notice)  s1@imap22' "$OUT")" = 1
	expect_listed "severity, critical" "--severity critical" 2 1
	expect_listed "severity, warning" "--severity warning" 4 1
	expect_listed "severity, notice" "list s1 --severity notice" 5 1
	findings --severity harmless
	expect_exit "severity, another word: exit 3" 3
	expect_line "severity, another word: says which there are" "$ERR" "critical, warning or notice"
	gate
	expect_json "severity: the gate counts all but the notice" 'rule("intact") |
		.result == "fail" and .findings_total == 4 and
		(.findings | map(.severity) | sort == ["critical", "critical", "warning", "warning"])'
	set_severity 1 2
	expect_listed "warnings alone" "" 5 1
	expect_listed "warnings alone, critical" "--severity critical" 0 0
	expect_line "warnings alone, critical: says what there is not" "$OUT" \
		"^no open findings that are critical$"
	gate
	expect_json "warnings alone: the gate denies" 'rule("intact").result == "fail"'
	change_state "UPDATE finding SET severity = 2 WHERE closed_ns = 0"
	expect_listed "notices alone" "" 5 0
	expect_line "notices alone: says so at the end" "$OUT" "^nothing is open but 5 notices, harmless$"
	expect_listed "notices alone, warning" "--severity warning" 0 0
	expect_line "notices alone, warning: says what there is not" "$OUT" \
		"^no open findings that are warning or critical$"
	ID=$(change_state "SELECT min(id) FROM finding WHERE closed_ns = 0")
	expect_listed "notices alone, show" "show $ID --severity critical" 1 0
	expect_line "notices alone, show: shows it" "$OUT" "^CORRUPT \\(notice\\) "
	gate
	expect_json "notices alone: the gate passes and counts them" 'rule("intact") |
		.result == "pass" and (.summary | test("nothing found but 5 notices"))'
	# Worse at a later sight, it is worse.
	rescan "notices seen again as critical" 1
	expect_json "notices seen again as critical: are" \
		'(found | length == 5 and all(.[]; .severity == "critical")) and
			(summary | .findings == 5 and .notices == 0)'
}

# A scan that says nothing of the whole store does not make "no findings" mean anything.
test_no_whole_scan() {
	local state=$STATE
	STATE=$WORK/state.partial
	cp -a "$state" "$STATE"
	change_state "UPDATE run SET scope = 'quick'; UPDATE finding SET closed_ns = 1"
	findings
	expect_exit "no whole scan: exit 2" 2
	expect_line "no whole scan: says so" "$ERR" "no scan of a whole store has ended yet"
	STATE=$state
}

begin findings
check "the fixture is unpacked" "tar" unpack_pair
VICTIM=$(messages_of replica | head -n 1) ID='' FIRST=''
scan
expect_exit "nothing broken: exit 0" 0
findings
expect_exit "nothing broken: the list exits 0" 0
test_found
test_seen_again
test_not_looked_at
test_repaired
test_damaged_again
test_several
test_severity
test_no_whole_scan
finish

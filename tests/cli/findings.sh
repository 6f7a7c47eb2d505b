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
	expect_json "several: each is found once" \
		'(found | map(.path) | unique | length == 5) and (summary | .findings == 5)'
	findings --json
	expect_json "several: listed in the order of their numbers" \
		'length == 5 and (map(.id) == (map(.id) | sort))'
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
finish

#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# badinput.sh: a store that is broken in one way at a time.
#
# For each way: the right exit status, the one finding or gap with the right name, every other
# message still read, an answer within ten seconds, and nothing on the terminal that could move its
# cursor. Each case works on a new copy of the captured replica.
# shellcheck disable=SC2016 # the filters are jq's, not the shell's
set -u -o pipefail
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

WHOLE=0 # live messages of the store
DIR='' MESSAGE='' MINE=0

# The copy under test, whole again: whatever a case did, it did to the fullest mailbox, FULLEST, to
# the list, or to imapd.conf. DIR is that mailbox, of MINE messages, and MESSAGE one of them.
fresh_copy() {
	DIR=$WORK/replica/$FULLEST
	[ ! -d "$DIR" ] || chmod -R u+rwx "$DIR"
	rm -rf "$DIR" "$STATE" "$WORK/replica/conf/mailboxes.db"
	cp -a "$WORK/saved/$FULLEST" "$DIR"
	cp -a "$WORK/saved/conf/mailboxes.db" "$WORK/replica/conf/"
	cp -a "$WORK/saved/imapd.conf" "$WORK/replica/"
	MESSAGE=$(find "$DIR" -name '[3-9].' -links 1 | sort | head -n 1)
}

live_in() { "$ROOT/tests/lab/damage.pl" count "$@"; }

# How the scan is called; replaced where rights have to be dropped.
CALL=call

# NAME EXIT MESSAGES FILTER [JQ ARGS...]: scans twice, for programs and for people. MESSAGES is how
# many must have been read, or `some` where the list itself is cut.
expect_scan() {
	local name=$1 wanted=$2 messages=$3 filter=$4 began=$SECONDS
	shift 4
	$CALL scan s1@imap22 --config "$CONF" --state "$STATE" --json
	expect_exit "$name: exit $wanted" "$wanted"
	expect_json "$name: is said by name" "$filter" "$@"
	expect_json "$name: $messages other messages are read" \
		'summary | $n == "some" or .messages == ($n | tonumber)' --arg n "$messages"
	$CALL scan s1@imap22 --config "$CONF" --state "$STATE"
	expect_printable "$name: output is printable"
	check "$name: within 10 s" "took $((SECONDS - began)) s" test $((SECONDS - began)) -le 10
}

# One finding of that code about that path, and with it one gap where others cannot be checked.
ONE='(found | length == 1) and (found[0] | .code == $code and .path == $path)'
ONE_GAP='(found | length == 0) and (gaps | length == 1) and (gaps[0].why | test($why))'

make_socket() { # PATH; relative, because an address is at most 108 bytes long
	(cd "$(dirname "$1")" && perl -MSocket -e 'socket(S, AF_UNIX, SOCK_STREAM, 0) or die;
		bind(S, sockaddr_un($ARGV[0])) or die' "$(basename "$1")")
}

# INDEX OFFSET VALUE: a word of the header, and the CRC over it made right again.
patch_header() {
	perl -MCompress::Raw::Zlib -e '
		my ($path, $offset, $value) = @ARGV;
		open my $fh, "+<:raw", $path or die;
		read $fh, my $header, 160;
		substr $header, $offset, 4, pack "N", $value;
		substr $header, 156, 4, pack "N", crc32(substr $header, 0, 156);
		seek $fh, 0, 0;
		print $fh $header;' "$@"
}

# DB: the last name of the list gets bytes that are neither text nor UTF-8, with every CRC right.
# The order of keys stays, since the bytes stand at the end and the first is the highest.
patch_last_name() {
	perl -MCompress::Raw::Zlib -e '
	open my $fh, "+<:raw", $ARGV[0] or die;
	my ($db, $at, $last) = (do { local $/; <$fh> }, 336);
	while ($at < length $db) {
		my ($type, $level, $key, $value) = unpack "a C n N", substr $db, $at;
		my $head = 8 + 8 * ($level + 1) + 8;
		my $tail = $type eq "+" ? ($key + $value + 7) & ~7 : 0;
		if ($type eq "+" and substr($db, $at + $head, 1) eq "N") {
			my $name = substr $db, $at + $head, $key;
			$last = [$name, $at, $head, $key, $tail] if !$last || $name gt $last->[0];
		}
		$at += $head + $tail;
	}
	my ($name, $start, $head, $key, $tail) = @$last;
	substr $db, $start + $head + $key - 2, 2, "\xff\x1b";
	substr $db, $start + $head - 4, 4, pack "N", crc32(substr $db, $start + $head, $tail);
	seek $fh, 0, 0;
	print $fh $db;' "$1"
}

# ---------------------------------------------------------------- the index of one mailbox

index_case() { # NAME EXIT CODE
	expect_scan "$1" "$2" $((WHOLE - MINE)) "$ONE and (gaps | length == 1)" \
		--arg code "$3" --arg path "$DIR/cyrus.index"
}

test_indexes() {
	local size offset
	size=$(stat -c %s "$WORK/saved/$FULLEST/cyrus.index")
	fresh_copy
	truncate -s $((size - 50)) "$DIR/cyrus.index"
	index_case "index without its end" 1 index.truncated
	fresh_copy
	truncate -s 100 "$DIR/cyrus.index"
	index_case "index that ends in its header" 1 index.truncated
	fresh_copy
	truncate -s 0 "$DIR/cyrus.index"
	index_case "empty index" 1 index.truncated
	fresh_copy
	flip "$DIR/cyrus.index" 157 3
	index_case "header with a wrong CRC" 1 index.header
	fresh_copy
	patch_header "$DIR/cyrus.index" 20 1000000
	index_case "more records than the file has" 1 index.truncated
	fresh_copy
	patch_header "$DIR/cyrus.index" 20 4294967295
	index_case "as many records as can be" 1 index.truncated
	for offset in "12 4294967292" "12 0" "16 0" "16 4294967295" "16 1"; do
		fresh_copy
		# shellcheck disable=SC2086 # two words
		patch_header "$DIR/cyrus.index" $offset
		index_case "header word ${offset/ / is }" 1 index.header
	done
	fresh_copy
	patch_header "$DIR/cyrus.index" 8 21
	expect_scan "index of an unknown version" 2 $((WHOLE - MINE)) "$ONE_GAP" --arg why "version"
	fresh_copy
	rm "$DIR/cyrus.index"
	index_case "no index" 1 index.missing
	fresh_copy
	rm "$DIR/cyrus.index" && mkfifo "$DIR/cyrus.index"
	index_case "index that is a FIFO" 1 index.missing
	fresh_copy
	rm "$DIR/cyrus.index" && make_socket "$DIR/cyrus.index"
	index_case "index that is a socket" 1 index.missing
	fresh_copy
	mv "$DIR/cyrus.index" "$WORK/elsewhere" && ln -s "$WORK/elsewhere" "$DIR/cyrus.index"
	index_case "index that is a symbolic link" 1 index.missing
}

# ---------------------------------------------------------------- one message

message_case() { # NAME CODE [MESSAGES]
	expect_scan "$1" 1 "${3:-$((WHOLE - 1))}" "$ONE and (gaps | length == 0)" \
		--arg code "$2" --arg path "$MESSAGE"
}

test_messages() {
	fresh_copy
	rm "$MESSAGE"
	message_case "no message" message.missing
	fresh_copy
	rm "$MESSAGE" && mkdir "$MESSAGE"
	message_case "message that is a directory" message.not_regular
	fresh_copy
	rm "$MESSAGE" && mkfifo "$MESSAGE"
	message_case "message that is a FIFO" message.not_regular
	fresh_copy
	mv "$MESSAGE" "$WORK/elsewhere" && ln -s "$WORK/elsewhere" "$MESSAGE"
	message_case "message that is a link to itself elsewhere" message.not_regular
	fresh_copy
	rm "$MESSAGE"
	make_socket "$MESSAGE"
	message_case "message that is a socket" message.not_regular
	fresh_copy
	printf 'x' >>"$MESSAGE"
	message_case "message with a byte too many" message.size "$WHOLE"
	call findings list --state "$STATE" --json
	local both='[found[0] | .recorded, .observed | test("^[0-9a-f]{40}$")] | all'
	expect_json "message with a byte too many: both digests are named" "$both"
	expect_json "message with a byte too many: both sizes are named" \
		'found[0].detail | test("bytes recorded; inode .* bytes, read")'
	fresh_copy
	truncate -s 5G "$MESSAGE"
	message_case "message of 5 GiB of nothing" message.size
	fresh_copy
	truncate -s 0 "$MESSAGE"
	message_case "empty message" message.empty "$WHOLE"
	fresh_copy
	cp "$MESSAGE" "$DIR/4000000000."
	touch -d -1day "$DIR/4000000000."
	expect_scan "file above every UID" 0 "$WHOLE" 'found | length == 0'
}

# ---------------------------------------------------------------- directories

test_directories() {
	fresh_copy
	rm -r "$DIR"
	expect_scan "no directory" 1 $((WHOLE - MINE)) "$ONE and (gaps | length == 1)" \
		--arg code mailbox.missing --arg path "$DIR"
	fresh_copy
	mv "$DIR" "$WORK/moved" && ln -s "$WORK/moved" "$DIR"
	expect_scan "directory that is a link out of the spool" 2 $((WHOLE - MINE)) "$ONE_GAP" \
		--arg why "symbolic link"
	rm -rf "$WORK/moved"
	fresh_copy
	sed -i 's/^partition-default:.*/partition-other: \/nowhere/' "$WORK/replica/imapd.conf"
	expect_scan "partition that imapd.conf does not have" 2 0 \
		'(found | length == 0) and (gaps | length > 30) and
			all(gaps[]; .why | test("partition"))'
	if ! can_be_plain; then
		skip "directory that may not be read" "rights cannot be dropped here"
		return
	fi
	CALL=call_plain
	fresh_copy
	chmod 000 "$DIR"
	expect_scan "directory that may not be read" 2 $((WHOLE - MINE)) "$ONE_GAP" \
		--arg why "Permission denied"
	fresh_copy
	chmod 000 "$DIR/cyrus.index"
	expect_scan "index that may not be read" 2 $((WHOLE - MINE)) "$ONE_GAP" \
		--arg why "Permission denied"
	fresh_copy
	chmod 000 "$MESSAGE"
	expect_scan "message that may not be read" 2 $((WHOLE - 1)) "$ONE_GAP" \
		--arg why "Permission denied"
	CALL=call
}

# ---------------------------------------------------------------- the list of mailboxes

test_list() {
	local db=$WORK/replica/conf/mailboxes.db
	fresh_copy
	rm "$db"
	expect_scan "no mailboxes.db" 2 0 "$ONE_GAP" --arg why "No such file"
	fresh_copy
	truncate -s $(($(stat -c %s "$db") / 2 / 8 * 8)) "$db"
	expect_scan "half of mailboxes.db" 1 0 "$ONE and (gaps | length == 1)" \
		--arg code mailboxes_db.corrupt --arg path "$db"
	fresh_copy
	truncate -s 0 "$db"
	expect_scan "empty mailboxes.db" 1 0 "$ONE" --arg code mailboxes_db.corrupt --arg path "$db"
	fresh_copy
	flip "$db" 30 2
	expect_scan "mailboxes.db with a flipped bit in its header" 1 0 "$ONE" \
		--arg code mailboxes_db.corrupt --arg path "$db"
	fresh_copy
	flip "$db" $(($(stat -c %s "$db") - 300)) 2
	expect_scan "mailboxes.db with a flipped bit in a record" 1 some "$ONE" \
		--arg code mailboxes_db.corrupt --arg path "$db"
	fresh_copy
	printf 'SQLite format 3' >"$db" && truncate -s 4096 "$db"
	expect_scan "mailboxes.db of another engine" 2 0 "$ONE_GAP" --arg why "engine"
	fresh_copy
	rm "$db" && mkdir "$db"
	expect_scan "mailboxes.db that is a directory" 2 0 "$ONE_GAP" --arg why "."
}

# A name is bytes: shown escaped, whole as base64, and its mailbox is verified like any other.
test_names() {
	local db=$WORK/replica/conf/mailboxes.db uniqueid
	fresh_copy
	patch_last_name "$db" || not_ok "name of strange bytes" "mailboxes.db cannot be patched"
	# Something to say about it: its index goes. Its directory is found by what the scan listed.
	scan s1@imap22
	uniqueid=$(sqlite3 "$STATE/state.db" "SELECT key FROM mailbox WHERE hex(name) LIKE '%FF1B'")
	check "name of strange bytes: the mailbox is listed" "'$uniqueid'" test -n "$uniqueid"
	DIR=$WORK/replica/spool/uuid/${uniqueid:0:1}/${uniqueid:1:1}/$uniqueid
	MINE=$(live_in "$DIR")
	rm "$DIR/cyrus.index"
	# The record of the unique id has the old name, which is true to say, but not what this is about.
	expect_scan "name of strange bytes" 1 $((WHOLE - MINE)) \
		'[found[] | select(.code | test("^mailboxes_db.id$") | not)] | length == 1 and
			.[0].code == "index.missing"'
	scan s1@imap22
	expect_json "name of strange bytes: escaped, and whole as base64" \
		'[found[] | select(.code == "index.missing")][0] | .mailbox_base64 == $b and (.mailbox | test("[^ -~]") | not)' \
		--arg b "$(sqlite3 "$STATE/state.db" "SELECT hex(name) FROM mailbox
			WHERE hex(name) LIKE '%FF1B'" | perl -MMIME::Base64 -ne \
			'chomp; print encode_base64(pack("H*", $_), "")')"
	expect_printable "name of strange bytes: JSON is printable"
}

begin badinput
need sqlite3 mkfifo
check "the fixture is unpacked" "tar" unpack_pair
cp -a "$WORK/replica" "$WORK/saved"
FULLEST=$(cd "$WORK/saved" && find spool/uuid -name '[0-9]*.' -links 1 -printf '%h\n' | sort |
	uniq -c | sort -k1,1nr -k2,2 | awk 'NR == 1 { print $2 }')
MINE=$(live_in "$WORK/saved/$FULLEST")
# shellcheck disable=SC2046 # directories without blanks
WHOLE=$(live_in $(find "$WORK/saved/spool/uuid" -name cyrus.index -printf '%h\n'))
fresh_copy
expect_scan "nothing broken" 0 "$WHOLE" '(found + gaps) | length == 0'
test_indexes
test_messages
test_directories
test_list
test_names
finish

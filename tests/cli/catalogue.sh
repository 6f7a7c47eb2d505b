#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# catalogue.sh: everything that is known to go wrong in a Cyrus store, row by row, and what is said
# of it.
#
# The table below is the catalogue of failures F1 to F45. Each row that can be made on one side is made in
# a copy of a real store (tests/fixtures): a scan must name it by its code and severity at its
# mailbox, UID and path, and name nothing else; the exit status must follow; a quick scan must find
# the same, or what the row says of it; and when the damage is undone, a scan finds nothing more and
# has closed it. What takes two sides is listed with the reason, and not counted. At the end no
# finding code may be left that no row has made, but those of disks that refuse to read (faults.sh).
#
# Damage keeps the times of files. What must be older than some minutes is made in an image, because
# only there a time of change can be set.
# shellcheck disable=SC2016 # damage is a command that is evaluated in the store
# shellcheck disable=SC2034 # and names what it damages by these variables
# shellcheck disable=SC2317 # or by these functions
# shellcheck disable=SC2119 # commands without words
set -u -o pipefail
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

PATH=$PATH:/usr/sbin:/sbin
STORE='' IMAGE='' STATES='' WHY='' ROW_IN_IMAGE=no
ONLY=()

# --------------------------------------------------------------------- damage, in the folder of a store

flip() { "$ROOT/tests/lab/damage.pl" flip "$1" "$2" "${3:-0}"; }
shorten() { "$ROOT/tests/lab/damage.pl" cut "$@"; }
for tool in text header record seal keys; do
	eval "$tool() { \"\$ROOT/tests/lab/damage.pl\" $tool \"\$@\"; }"
done

# DIR FROM TO: text in cyrus.header, and the index has the CRC of it.
reword() { text "$1/cyrus.header" "$2" "$3" && seal "$1/cyrus.index" "$1/cyrus.header"; }

# FILE...: last changed long ago, once it is in an image.
age() { printf 'sif /%s ctime 20230101000000\n' "$@" >>"$WORK/aged"; }

# A file of a day that has been.
old_file() { mkdir -p "${1%/*}" && echo "$1" >"$1" && age "$1"; }

# --------------------------------------------------------------------- stores

# The folder of each store lies in $WORK/now, so that the paths in it are good, and its like in
# $WORK/kept. What changed since the last look is told by inodes and times of change.
list_now() { (cd "$WORK/now/$STORE" && find . -printf '%y %i %C@ %P\n' | sort) >"$WORK/$1"; }

# One path is as Cyrus left it again, its inode too if it is still there.
restore_path() { # PATH
	local now=$WORK/now/$STORE/$1 kept=$WORK/kept/$STORE/$1
	if [ ! -e "$kept" ]; then
		rm -rf "$now"
		return
	fi
	[ ! -d "$kept" ] || [ ! -d "$now" ] || return 0
	if [ -f "$now" ] && [ ! -L "$now" ]; then
		chmod u+w "$now" && cat "$kept" >"$now" || return 1
	elif [ -d "$kept" ]; then
		mkdir "$now" || return 1
	else
		rm -rf "$now" && cp -p "$kept" "$now" || return 1
	fi
	chmod --reference="$kept" "$now" && chown --reference="$kept" "$now" &&
		touch -r "$kept" "$now"
}

restore() {
	local path
	list_now after
	comm -3 "$WORK/before.$STORE" "$WORK/after" | sed 's/^\t*//' | cut -d' ' -f4- | sort -u \
		>"$WORK/changed"
	while IFS= read -r path; do
		restore_path "$path" || return 1
	done <"$WORK/changed"
	list_now "before.$STORE"
}

# STORE...: unpacked once.
keep() {
	local store
	mkdir -p "$WORK/kept"
	for store; do
		STORE=$store
		unpack "$store" "now/$store" && cp -a "$WORK/now/$store" "$WORK/kept/$store" &&
			list_now "before.$store" || return 1
		cat >"$WORK/$store.conf" <<-END
			[policy]
			settle = 1ms
			[store s1@h]
			imapd_conf = $WORK/now/$store/imapd.conf
			role = master
		END
	done
}

# --------------------------------------------------------------------- scanning

make_image() {
	IMAGE=$WORK/image
	rm -f "$IMAGE"
	mke2fs -q -F -t ext4 -m 0 -U 00000000-0000-4000-8000-000000000001 -d "$WORK/now/$STORE" "$IMAGE" 24M &&
		{ [ ! -s "$WORK/aged" ] || debugfs -w -f "$WORK/aged" "$IMAGE"; }
} >>"$WORK/check.log" 2>&1

# As files: in the order of the disk each scan would wait for all that others write to it. Which way
# a message is read is for orders.sh.
# shellcheck disable=SC2120 # words are optional
scan_store() { # ARGS...
	local image=()
	[ "$ROW_IN_IMAGE" = no ] || image=(--image "$IMAGE=$WORK/now/$STORE")
	call scan --config "$WORK/$STORE.conf" --state "$STATE" --json s1@h --order file \
		${image+"${image[@]}"} ${ONLY+"${ONLY[@]}"} "$@"
}

# OUTPUT...: what was found, a line each, in OUTPUT.said: SEVERITY CODE MAILBOX UID PATH, and gap
# MAILBOX PATH. One call for all of them.
read_said() {
	local file
	for file; do : >"$file.said"; done
	jq -r --arg root "$WORK/now/$STORE/" '
		def word: if . == null or . == "" then "-" else tostring end;
		input_filename + ".said\t" +
		if .type == "finding" then "\(.severity) \(.code) \(.mailbox | word) \(.uid | word) " +
			(.path | ltrimstr($root))
		elif .type == "gap" then "gap \(.mailbox | word) " + (.path | ltrimstr($root) | word)
		else empty end' "$@" | sort | awk -F '\t' '{ print $2 >$1 }'
}

# The exit status that such lines must have.
status_of() { # FILE
	if grep -qE '^(critical|warning) ' "$1"; then
		echo 1
	elif grep -q '^gap ' "$1"; then
		echo 2
	else
		echo 0
	fi
}

# WHAT STATUS WANTED: in the output of that name these lines were said and no other.
compare_said() {
	local wanted
	WHY="$1: < wanted, > said: $(diff "$3" "$WORK/$1.said" | grep '^[<>]' | tr '\n' ';') $(
		tail -n 1 "$ERR")"
	cmp -s "$3" "$WORK/$1.said" || return 1
	wanted=$(status_of "$3")
	WHY="$1: exit $2, not $wanted"
	[ "$2" = "$wanted" ]
}

damage_store() { # COMMANDS
	WHY="could not be made"
	: >"$WORK/aged"
	(cd "$WORK/now/$STORE" && eval "$1") >>"$WORK/check.log" 2>&1 &&
		{ [ "$ROW_IN_IMAGE" = no ] || make_image; }
}

undo_damage() {
	: >"$WORK/aged"
	restore && { [ "$ROW_IN_IMAGE" = no ] || make_image; }
}

# What a quick scan must say: all that a scan says (same), all but words that match, or its own.
quick_wanted() { # QUICK
	case $1 in
	same) cat "$WORK/wanted" ;;
	nothing) cat "$WORK/as_kept.$STORE" ;;
	*) grep -vE "$1" "$WORK/wanted" ;;
	esac >"$WORK/wanted.quick"
}

# FILE COMMAND...: what it says, in $WORK/FILE.
into() {
	OUT=$WORK/$1
	"${@:2}"
	OUT=$WORK/out
}

# QUICK COMMANDS: the row as a whole; WHY it is not so.
try_row() {
	local found quick undone open
	damage_store "$2" || return 1
	quick_wanted "$1"
	into found scan_store && found=$RC
	into quick scan_store --quick && quick=$RC
	undo_damage || return 1
	into undone scan_store && undone=$RC
	into open call findings --state "$STATE" --json && open=$RC
	# Where one mailbox was scanned nothing is known of the others.
	[ "${#ONLY[@]}" = 0 ] || [ "$open" != 2 ] || open=0
	read_said "$WORK"/{found,quick,undone,open}
	compare_said found "$found" "$WORK/wanted" &&
		compare_said quick "$quick" "$WORK/wanted.quick" &&
		compare_said undone "$undone" "$WORK/as_kept.$STORE" &&
		compare_said open "$open" "$WORK/as_kept.$STORE"
}

# F STORE QUICK WHAT COMMANDS LINES...: one row of the table. STORE may be image/STORE.
row() {
	local name="$1 $4" quick=$3 commands=$5
	STORE=${2#image/}
	ROW_IN_IMAGE=no
	[ "$STORE" = "$2" ] || ROW_IN_IMAGE=yes
	if [ "$ROW_IN_IMAGE" = yes ] && ! command -v debugfs >/dev/null; then
		skip "$name" "debugfs is not installed"
		return
	fi
	STATE=$STATES/state.${2//\//.}
	shift 5
	printf '%s\n' "$@" | cat - "$WORK/as_kept.$STORE" | grep . | sort >"$WORK/wanted"
	# Nothing else can be said then.
	[ "${*: -1}" != instead ] || printf '%s\n' "${@:1:$# - 1}" | sort >"$WORK/wanted"
	WHY=''
	if try_row "$quick" "$commands"; then
		ok "$name: $(cut -d' ' -f1,2 <<<"${1:-}" | sed 's/^$/nothing/'), quick: $quick"
	else
		not_ok "$name" "$WHY"
		undo_damage
	fi
	sed -n 's/^[a-z]* \([a-z_]*\.[a-z_]*\) .*/\1/p' "$WORK/wanted" >>"$WORK/made"
}

# F WHAT WHY: not made here. A line for the reader, and none that counts.
elsewhere() { echo "   $NAME: $1 $2: not made here, $3"; }

# --------------------------------------------------------------------- the table

# In `modern`: a mailbox with archived and expunged messages, its archive, one that shares files with it,
# others. In `flat`: two whose list is text.
A=spool/uuid/d/0/d0owa2mdabfciz32ormxukg9
AA=archive/uuid/d/0/d0owa2mdabfciz32ormxukg9
SUB=spool/uuid/m/e/mei8fkqx6lx2a68ze24ibae5
UPPER='spool/uuid/b/5/b5p6s7j6shagtn4n25ydn9qn'
EMPTY=spool/uuid/e/y/eyml89hq0zg7vx9dt6tfsrbz
USER=conf/user/uuid/d/0/d0owa2mdabfciz32ormxukg9
BOB=spool/uuid/9/w/9waiv1au7qi5kvgofjj0tvcs
BOB_ID=ssse3v4vp3z0lokbojgqb0r4
ALICE_ID=unqsdj4bh9ka0j5mc4lcwfbz
OLD=spool/uuid/p/z/pzquqsvaj053ntjjjqjt54ai
UNREAD="gap user.alice $A/cyrus.index"

messages() {
	local box=user.alice
	row F1 modern nothing "one flipped bit" 'flip $A/8. 100' \
		"critical message.digest $box 8 $A/8."
	row F1 modern nothing "one flipped bit in the archive" 'flip $AA/3. 0 7' \
		"critical message.digest $box 3 $AA/3."
	row F1 modern nothing "other content of the same size" \
		'printf x | dd of=$A/10. conv=notrunc bs=1 seek=1164' \
		"critical message.digest $box 10 $A/10."
	row F2 modern same "cut short" 'shorten $A/8. 1' "critical message.size $box 8 $A/8."
	row F2 modern same "longer" 'echo >>$A/8.' "critical message.size $box 8 $A/8."
	row F2 modern same "emptied" ': >$A/8.' "critical message.empty $box 8 $A/8."
	row F3 modern same "no file" 'rm $A/8.' "critical message.missing $box 8 $A/8."
	row F3 modern same "no file in the archive" 'rm $AA/3.' \
		"critical message.missing $box 3 $AA/3."
	row F3 modern same "a link in its place" 'mv $A/8. $A/x && ln -s x $A/8.' \
		"critical message.not_regular $box 8 $A/8."
	row F4 modern same "a file that no record knows" 'cp $A/8. $A/7.' \
		"warning message.extra $box 7 $A/7."
	row F4 modern same "the file of a removed record in the archive" 'cp $A/8. $AA/4.' \
		"warning message.extra $box 4 $AA/4."
	row F4 modern same "a young file above the last UID" 'cp $A/8. $A/11.'
	row F4 image/modern same "an old file above the last UID" 'cp $A/8. $A/11. && age $A/11.' \
		"warning message.extra $box 11 $A/11."
	row F5 modern same "in the spool, recorded as archived" 'mv $AA/3. $A/' \
		"critical message.misplaced $box 3 $A/3."
	row F5 modern same "in the archive, not recorded as archived" 'mv $A/8. $AA/' \
		"critical message.misplaced $box 8 $AA/8."
	row F6 modern same "in the spool and in the archive" 'cp -p $AA/3. $A/' \
		"warning message.duplicate $box 3 $A/3."
	row F40 modern nothing "another time than the record's" \
		'touch -d 2020-01-01 $A/8.' "notice message.times $box 8 $A/8."
	row F43 modern nothing "one file of two mailboxes" 'flip $A/5. 100' \
		"critical message.digest $box 5 $A/5." \
		"critical message.digest user.alice.Sub Folder 5 $SUB/5."
	expect_one_inode
}

# Of the row before: both findings name one inode.
expect_one_inode() {
	cp "$WORK/found" "$OUT"
	expect_json "F43 both name the same inode, and that it has two names" 'found |
		map(select(.code == "message.digest").detail | capture("inode (?<ino>[0-9]+), link count 2")) |
		length == 2 and (map(.ino) | unique | length == 1)'
}

records() {
	local box=user.alice index=$A/cyrus.index
	row F7 modern same "one flipped bit in a record" 'flip $A/cyrus.index 560' \
		"critical index.record_crc $box 5 $index" "$UNREAD"
	row F8 modern same "one flipped bit in the header" 'flip $A/cyrus.index 90' \
		"critical index.header $box - $index" "$UNREAD"
	row F8 modern same "sizes that no version has" 'header $A/cyrus.index 16 4 104' \
		"critical index.header $box - $index" "$UNREAD"
	row F9 modern same "cut short" 'shorten $A/cyrus.index 1' \
		"critical index.truncated $box - $index" "$UNREAD"
	row F9 modern same "empty" ': >$A/cyrus.index' \
		"critical index.truncated $box - $index" "$UNREAD"
	row F9 modern same "no index" 'rm $A/cyrus.index' \
		"critical index.missing $box - $index" "$UNREAD"
	row F10 modern same "a record that the header does not know" \
		'tail -c 112 $A/cyrus.index | sed b >x && cat x >>$A/cyrus.index && rm x' \
		"notice index.tail $box - $index"
	row F11 modern same "a UID below the one before" 'record $A/cyrus.index 9 0 4 6' \
		"critical index.order $box 6 $index" "$UNREAD" "warning message.extra $box 9 $A/9."
	row F11 modern same "a slot that reconstruct wiped" \
		'record $A/cyrus.index 9 32 4 3221225492 && record $A/cyrus.index 9 0 4 0 && rm $A/9.' \
		"notice index.wiped $box - $index"
	row F12 modern same "a modseq above the highest" 'header $A/cyrus.index 68 8 103' \
		"warning index.modseq $box - $index"
	row F12 modern same "created after its last change" 'record $A/cyrus.index 9 96 8 105' \
		"warning index.modseq $box 9 $index"
	row F13 modern same "a last UID below the highest" 'header $A/cyrus.index 28 4 9' \
		"warning index.last_uid $box - $index"
	row F14 modern '^notice quota' "five counters" \
		'for at in 84 52 56 48 124; do header $A/cyrus.index $at 4 77; done' \
		"warning index.counters $box - $index" "warning index.counters $box - $index" \
		"warning index.counters $box - $index" "warning index.counters $box - $index" \
		"warning index.counters $box - $index" \
		"notice quota.usage $box - conf/quota/a/user.alice"
	row F14 modern '^notice quota' "the sum of sizes" 'header $A/cyrus.index 32 8 77' \
		"warning index.counters $box - $index" \
		"notice quota.usage $box - conf/quota/a/user.alice"
	row F15 modern same "the sync CRC" 'header $A/cyrus.index 100 4 77' \
		"warning index.sync_crc $box - $index"
	row F15 modern same "the sync CRC of annotations" 'header $A/cyrus.index 120 4 77' \
		"warning index.sync_crc $box - $index"
	row "1.5" modern nothing "another length of its header" 'record $A/cyrus.index 9 16 4 7' \
		"warning index.header_size $box 9 $index"
	row F45 modern same "changed in a time to come" 'record $A/cyrus.index 9 28 4 4000000000' \
		"notice index.future $box 9 $index"
}

old_versions() {
	ONLY=(--mailbox user.v.v10)
	row F28 versions '^gap' "a record without a SHA-1 (version 10)" 'no_guid spool/v/user/v/v10' \
		"warning index.no_guid user.v.v10 2 spool/v/user/v/v10/cyrus.index" \
		"gap user.v.v10 cyrus.index"
	STORE=versions STATE=$STATES/state.versions ROW_IN_IMAGE=no
	scan_store
	expect_exit "F29 an index of version 10 is verified without a gap" 0
	expect_json "F29 an index of version 10: its messages are read" 'summary |
		.messages == 4 and .gaps == 0 and .findings == 0'
	call scan --config "$WORK/versions.conf" --state "$STATE" s1@h --explain user.v.v10
	expect_line "F29 an index of version 10 is explained as one" "$OUT" '^ +version +10$'
	ONLY=()
}

# DIR: five words of zeros for the digest of UID 2.
no_guid() {
	local at
	for at in 60 64 68 72 76; do record "$1/cyrus.index" 2 "$at" 4 0 || return 1; done
}

caches() {
	local box=user.alice cache=$A/cyrus.cache
	row F16 modern nothing "one flipped bit in the cache" 'flip $A/cyrus.cache 100' \
		"notice cache.record $box 5 $cache"
	row F16 modern nothing "the cache of the archive is cut short" 'shorten $AA/cyrus.cache 8' \
		"notice cache.record $box 3 $AA/cyrus.cache"
	row F16 modern nothing "a record beyond the cache" 'record $A/cyrus.index 9 24 4 999996' \
		"notice cache.record $box 9 $cache"
	row F16 modern nothing "another generation" 'flip $A/cyrus.cache 3 6' \
		"notice cache.generation $box - $cache"
	row F16 modern nothing "no cache" 'rm $A/cyrus.cache' "notice cache.missing $box - $cache"
	row F16 modern nothing "a cache of four bytes" 'truncate -s 4 $A/cyrus.cache' \
		"notice cache.record $box 5 $cache" "notice cache.record $box 6 $cache" \
		"notice cache.record $box 8 $cache" "notice cache.record $box 9 $cache" \
		"notice cache.record $box 10 $cache"
}

headers() {
	local box=user.alice header=$A/cyrus.header
	row F17 modern same "cyrus.header was replaced" \
		'text $A/cyrus.header "T e N user.alice" "N user.alice T e"' \
		"warning header.crc $box - $header"
	row F18 modern same "its beginning is damaged" 'flip $A/cyrus.header 20' \
		"critical header.corrupt $box - $header"
	row F18 modern same "it is empty" ': >$A/cyrus.header' "critical header.corrupt $box - $header"
	row F18 modern same "it is missing" 'rm $A/cyrus.header' \
		"critical header.missing $box - $header"
	row F19 modern same "another unique id than in the list" 'reword $A d0owa2md d0owa2me' \
		"warning header.unique_id $box - $header"
	row F41 modern same "a flag without a name" 'reword $UPPER " K40" ""' \
		"notice header.flags user.alice.Upper Still - $UPPER/cyrus.header" \
		"warning index.sync_crc user.alice.Upper Still - $UPPER/cyrus.index"
	row "5.5" modern same "another name than in the list" 'reword $A "N user.alice" "N user.alicf"' \
		"warning header.name $box - $header"
	row "5.5" modern same "other rights than in the list" 'reword $A lrswipkx lrswipkt' \
		"warning header.acl $box - $header"
	row "5.5" modern same "another UIDVALIDITY than in the list" 'header $A/cyrus.index 44 4 77' \
		"warning index.uidvalidity $box - $A/cyrus.index"
	row F42 modern same "a file that Cyrus may not write" 'chmod 400 $A/cyrus.header' \
		"warning mailbox.owner $box - $header"
	if [ "$(id -u)" = 0 ]; then
		row F42 modern same "a file of somebody else" 'chown 65534 $A/cyrus.cache' \
			"warning mailbox.owner $box - $A/cyrus.cache"
	else
		skip "F42 a file of somebody else" "only root may give a file away"
	fi
	row F44 modern same "an old cyrus.expunge" 'cp $A/cyrus.index $A/cyrus.expunge' \
		"warning mailbox.expunge $box - $A/cyrus.expunge"
	row "5.9" modern same "one flipped bit in the annotations" 'flip $A/cyrus.annotations 350' \
		"critical annotations.corrupt $box - $A/cyrus.annotations"
}

# FROM TO: in the list of `flat`, which is text in the order of its keys.
relist() { text conf/mailboxes.db "$1" "$2"; }

# KEY: its line goes.
unlist() { LC_ALL=C sed -i "/^$1\t/d" conf/mailboxes.db; }

# USER ID: the record of its id is a tombstone.
bury_id() { relist "%(T el N user\x1f$1 P" "%(T ed N user\x1f$1 P"; }

# In `plain`, by name, in skiplist: the same length each.
no_id() { relist "T el I $BOB_ID" "T el X $BOB_ID" && bury_id bob; }

# The folder of alice's copied to bob.
one_id() {
	relist "T el I $BOB_ID" "T el I $ALICE_ID" && bury_id bob &&
		reword spool/user/bob "$BOB_ID" "$ALICE_ID"
}

future_name() {
	LC_ALL=C sed -i 's/6B05A56B/EB05A56B/' conf/mailboxes.db &&
		reword "$OLD" 6B05A56B EB05A56B
}

lists() {
	local list=conf/mailboxes.db deleted=DELETED.user.alice.Old
	row F20 plain same "the list has no unique id" no_id \
		"warning mailboxes_db.no_id user.bob - spool/user/bob/cyrus.header"
	row F21 plain same "two mailboxes of one unique id" one_id \
		"critical mailboxes_db.duplicate_id user.alice - $list"
	row F22 flat same "a record of an id whose mailbox has gone" \
		'sed -i "s/^Ii6g8.*/&\nIo0rphan000000000000000000\t%(T e N DELETED\x1fuser\x1fx\x1f6B05A567 P default V 1)/" \
			conf/mailboxes.db' \
		"notice mailboxes_db.orphan_id DELETED.user.x.6B05A567 - $list"
	row "5.5" flat same "the record of an id has another name" 'relist "N user\x1fbob" "N user\x1fbog"' \
		"warning mailboxes_db.id user.bob - $list"
	row "5.5" flat same "a mailbox without the record of its id" 'unlist I9waiv1au7qi5kvgofjj0tvcs' \
		"warning mailboxes_db.id user.bob - $list"
	row F23 flat same "listed, and no directory" 'mv $BOB x && rm -r x' \
		"critical mailbox.missing user.bob - $BOB" "gap user.bob $BOB"
	row F23 flat same "a young directory that is not listed" \
		'unlist I9waiv1au7qi5kvgofjj0tvcs && unlist "Nuser\x1fbob"'
	row F23 image/flat same "a directory that is not listed" \
		'unlist I9waiv1au7qi5kvgofjj0tvcs && unlist "Nuser\x1fbob"' \
		"warning mailbox.unlisted - - $BOB"
	row F24 legacy same "a partition that is not configured" \
		'sed -i "/partition-two/d" imapd.conf' "gap user.carol -"
	row F45 flat same "deleted in a time to come" future_name \
		"notice mailbox.future $deleted.EB05A56B - $OLD"
	row F39 modern same "one flipped bit in the list" 'flip conf/mailboxes.db 5000' \
		"critical mailboxes_db.corrupt - - $list" "gap - $list" instead
	row F39 modern same "the list announces another number of keys" 'keys conf/mailboxes.db 7' \
		"critical mailboxes_db.corrupt - - $list" "gap - $list" instead
}

databases() {
	row F38 modern nothing "a transaction that was cut short" \
		'cp $WORK/kept/databases/twoskip-dirty $USER/seen.db' \
		"notice database.dirty - - $USER/seen.db"
	row F39 modern nothing "one flipped bit in seen state" 'flip $USER/seen.db 350' \
		"critical database.corrupt - - $USER/seen.db"
	row F39 modern nothing "counters with a wrong CRC" 'flip $USER/counters.db 20' \
		"critical database.corrupt - - $USER/counters.db"
	row F39 modern nothing "a database that Cyrus makes anew" 'echo >conf/deliver.db' \
		"notice database.disposable - - conf/deliver.db"
	row "4.4" modern nothing "a quota root that is no such" 'echo x >conf/quota/a/user.alice' \
		"warning quota.corrupt - - conf/quota/a/user.alice"
	row "4.4" modern nothing "a quota root that is not there" 'rm conf/quota/a/user.alice' \
		"warning quota.missing user.alice - conf/quota/a/user.alice"
	row "4.4" modern nothing "a quota root with another sum" 'text conf/quota/a/user.alice "S (" "S (9"' \
		"notice quota.usage user.alice - conf/quota/a/user.alice"
}

leftovers() {
	local box=user.alice
	row F36 image/modern same "what a repack left" \
		'old_file $A/cyrus.index.NEW && old_file $A/cyrus.cache.NEW' \
		"notice mailbox.leftover $box - $A/cyrus.index.NEW" \
		"notice mailbox.leftover $box - $A/cyrus.cache.NEW"
	row F36 image/modern nothing "what a checkpoint left" \
		'old_file conf/mailboxes.db.NEW && old_file $USER/counters.db.NEW' \
		"notice database.leftover - - conf/mailboxes.db.NEW" \
		"notice database.leftover - - $USER/counters.db.NEW"
	row F36 modern same "a repack that may be under way" 'echo x >$A/cyrus.index.NEW'
	row F37 image/modern same "what a delivery and a replication left" \
		'old_file spool/stage./1-2-3 && old_file spool/sync./7/bf0e2a7e' \
		"notice spool.leftover - - spool/stage." "notice spool.leftover - - spool/sync."
	row F37 modern same "a delivery that may be under way" \
		'mkdir -p spool/stage. && echo x >spool/stage./1-2-3'
}

two_sides() {
	local peer="it needs the peer"
	elsewhere F24 "a partition that only the replica has not" "$peer"
	elsewhere F25 "another SHA-1 of the same UID at the peer" "$peer"
	elsewhere F26 "modseq, last UID or UIDVALIDITY higher at the replica" "$peer"
	elsewhere F27 "expunged on one side, live on the other" "$peer"
	elsewhere F30 "a channel that is stuck" "$peer: the gate, tests/lab/test-live.sh"
	elsewhere F31 "events that were lost" "$peer: the gate, tests/lab/test-live.sh"
	elsewhere F32 "a log that an old client left" "it is part of a channel: the gate, tests/unit/replica/test_channel.c"
	elsewhere F33 "renames that do not settle" "$peer"
	elsewhere F34 "a new mailbox that the replica removes" "$peer"
	elsewhere F35 "files that the replica removes at once" "$peer"
}

# All codes that there are of stores (those of volumes are made by volume.sh), but those of a device
# that refuses to read or gives what it did not give.
every_code_is_made() {
	local left
	left=$(comm -23 <(sed -n 's/^\t\[FINDING_[A-Z_]*\] = { "\([a-z_.]*\)".*/\1/p' \
		"$ROOT/src/verify/finding.c" | grep -vE '\.unreadable$|^message\.flaky$|^(ext4|package|block)\.' | sort -u) \
		<(sort -u "$WORK/made") | tr '\n' ' ')
	check "every finding code but those of failing disks has a row" "no row: $left" test -z "$left"
}

end() {
	[ "$STATES" = "$WORK" ] || rm -rf "$STATES"
	cleanup
}

main() {
	local store
	begin catalogue
	trap end EXIT
	# Where nothing waits for a disk: there are some hundred scans.
	STATES=$(mktemp -d /dev/shm/cli.XXXXXX 2>>"$WORK/check.log") || STATES=$WORK
	need cmp
	keep modern flat plain legacy versions || not_ok "all" "no stores"
	unpack databases kept/databases || not_ok "all" "no databases"
	: >"$WORK/made"
	for store in modern flat plain legacy versions; do
		STORE=$store STATE=$STATES/state.$store
		[ "$store" != versions ] || ONLY=(--mailbox user.v.v10)
		into first scan_store && read_said "$WORK/first" &&
			mv "$WORK/first.said" "$WORK/as_kept.$store"
		expect_exit "$store, as Cyrus left it: exit 0" 0
		ONLY=()
	done
	check "F22 modern: Cyrus left records of ids without a mailbox, and that is all" \
		"$(tr '\n' ';' <"$WORK/as_kept.modern")" test "$(cut -d' ' -f1,2 "$WORK/as_kept.modern" |
		sort | uniq -c | tr -s ' ' ' ')" = " 1 notice mailboxes_db.orphan_id"
	check "nothing is found in the others" "something is" \
		test -z "$(cat "$WORK"/as_kept.{flat,plain,legacy,versions})"
	messages
	records
	old_versions
	caches
	headers
	lists
	databases
	leftovers
	two_sides
	every_code_is_made
	finish
}

main

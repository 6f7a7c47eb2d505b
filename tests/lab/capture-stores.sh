#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# capture-stores.sh [OUTPUT] - stores of every layout, as Cyrus left them on disk.
#
# Writes tests/fixtures/stores.tar.xz (or OUTPUT), for tests that must run without Cyrus. It holds
#
#   modern     by unique id, archive, conversations, a domain, annotations, odd names, quota
#   legacy     by name with fulldirhash, metapartition, archive, a second partition, a domain
#   plain      by name without any hash, dots between names, databases in skiplist
#   flat       mailboxes.db and others in flat, quotas in one twoskip, expunged at once
#   versions   user.v.vNN with its index in version NN, 6 to 17, as reconstruct -V made it
#   databases  databases of every engine as cyr_dbtool made them; NAME.expected is what it lists
#   MANIFEST   the mailboxes of each store
#
# A store has imapd.conf, conf/, spool/ and what further roots it names. In imapd.conf the token
# @ROOT@ stands for that store's own folder; tests/support/unpack-store.sh puts it in. Left out is
# what capture-fixture.sh leaves out.
#
# Invariant: all servers are stopped before a byte is copied, Cyrus's own tools have nothing to
# say of a store, and the capture fails rather than contain a path or the name of the machine it
# was made on. Modification times are kept (the seconds); birth times cannot be.
set -u -o pipefail
export LC_ALL=C
HERE=$(dirname "$(readlink -f "$0")")
OUTPUT=${1:-$HERE/../fixtures/stores.tar.xz}
# shellcheck source=lib-capture.sh
. "$HERE/lib-capture.sh"
# shellcheck source=lib-stores.sh
. "$HERE/lib-stores.sh"

# --------------------------------------------------------------------- a store

# Store, internal name, unique id, partition and type of each entry; a tombstone has no partition.
manifest() { # STORE
	lab cyr imap21 s1 ctl_mboxlist -d | perl -MJSON::PP -e '
		local $/;
		my $list = JSON::PP->new->decode(scalar <STDIN>);
		printf "%s\t%s\t%s\t%s\t%s\n", $ARGV[0], $_->{name}, $_->{uniqueid},
			$_->{partition} // "-", $_->{mbtype}
			for map { $list->{$_} } sort keys %$list' "$1" >>"$WORK/capture/MANIFEST" ||
		die "$1: no manifest"
}

# After the copy, because these tools open for writing. They end with 0 whatever they see. A line
# of reconstruct's is the name of a mailbox, or more when something is wrong with it. Below version
# 10 a record has no GUID, below 13 the index has no place for what is annotated; no matter.
check_healthy() { # STORE
	local said=$WORK/$1.reconstruct entries
	lab cyr imap21 s1 reconstruct -n -G >"$said" 2>&1 || die "$1: reconstruct failed"
	sed -i -E '/^user\.v\.v(0[6-9] uid [0-9]+ guid mismatch|10 uid [0-9]+ mismatch: gmtime)$/d
		/^user\.v\.v(0[6-9]|1[02]):? updating (sync_crc|sync_crc_annot|quota_annot_used):? 0 => /d' \
		"$said"
	entries=$(grep -P "^$1\t" "$WORK/capture/MANIFEST" | grep -cvP '\t-\t')
	[ "$(wc -l <"$said")" = "$entries" ] || die "$1: reconstruct says $(cat "$said")"
	lab cyr imap21 s1 mbexamine >"$WORK/$1.mbexamine" 2>&1 || die "$1: mbexamine failed"
	[ "$(grep -c '^Examining' "$WORK/$1.mbexamine")" = "$entries" ] ||
		die "$1: mbexamine did not see $entries mailboxes"
}

# NAME LEGACY-DIRS ROOT...
capture() {
	local store=$1 legacy=$2
	shift 2
	NOSYNC=1 LOOP=0 STORES=1 LEGACY_DIRS=$legacy EXTRA_IMAPD=$("options_$store") lab up ||
		die "no lab"
	"fill_$store"
	lab stop || die "the servers do not stop"
	copy_instance imap21 "$store" conf spool "$@"
	manifest "$store"
	check_healthy "$store"
	[ "$store" != "$LAST" ] || capture_databases
	lab down
}

# Conversions fail without a word in the exit status.
check_versions() {
	local v minor
	for v in $INDEX_VERSIONS; do
		minor=$(od -An -j8 -N4 --endian=big -tu4 \
			"$WORK/capture/versions/spool/v/user/v/v$v/cyrus.index")
		[ "$minor" -eq "$((10#$v))" ] || die "versions: v$v has version $minor"
	done
}

# --------------------------------------------------------------------- databases

# NAME ENGINE: makes a database from the commands on stdin, and the list of what is in it then.
database() {
	local file=$WORK/databases/$1
	dbtool "$2" "$file" batch >"$WORK/db.log" 2>&1
	[ ! -s "$WORK/db.log" ] || die "$1: batch failed: $(cat "$WORK/db.log")"
	dbtool "$2" "$file" show </dev/null >"$WORK/capture/databases/$1.expected" ||
		die "$1: show failed"
}

# ENGINE FILE ACTION...
dbtool() { lab cyr imap21 s1 cyr_dbtool -n "$2" "$1" "${@:3}"; }

# FROM TO: the one, whose names begin with their engines, written anew as the other.
convert_database() {
	lab cyr imap21 s1 cvt_cyrusdb "$WORK/databases/$1" "${1%-*}" \
		"$WORK/databases/$2" "${2%-*}" >/dev/null || die "no $2"
	cp "$WORK/capture/databases/$1.expected" "$WORK/capture/databases/$2.expected"
}

# NAME ENGINE: dies in the middle of a transaction, which is what it is asked to do.
damage_database() {
	dbtool "$2" "$WORK/databases/$1" damage zz "never committed" >/dev/null 2>&1
}

few_keys() {
	printf 'BEGIN\nSET alpha one\nSET beta two\nSET b.eta three\nCOMMIT\nSET gamma ""\nDELETE beta\n'
}

# Keys and values of many lengths and bytes, in transactions, some replaced and some deleted.
many_keys() {
	perl -e '
		srand 5;
		my @bytes = ("a" .. "z", "A" .. "Z", ".", "\xe9", "\xff", "\x1f", "\x1d");
		my $string = sub { join "", map { $bytes[rand @bytes] } 1 .. $_[0] };
		my @keys = map { "k" . $string->(1 + int rand 40) } 1 .. 300;
		for my $n (0 .. $#keys + 120) {
			print "BEGIN\n" if $n % 7 == 0;
			my $key = $keys[$n] // $keys[rand @keys];
			printf "SET %s \"%s\"\n", $key, $string->(int rand(rand() < 0.05 ? 900 : 80));
			printf "DELETE %s\n", $keys[rand $n] if $n % 5 == 4 && $n < @keys;
			print "COMMIT\n" if $n % 7 == 6 || $n == $#keys + 120;
		}'
}

capture_databases() {
	local engine
	mkdir -p "$WORK/databases" "$WORK/capture/databases"
	chown cyrus "$WORK/databases"
	for engine in twoskip skiplist flat; do
		database "$engine-empty" "$engine" </dev/null
		few_keys | database "$engine-few" "$engine"
		many_keys | database "$engine-many" "$engine"
	done
	many_keys | database twoskip-repacked twoskip
	dbtool twoskip "$WORK/databases/twoskip-repacked" repack || die "no repack"
	for engine in twoskip skiplist; do
		few_keys | database "$engine-dirty" "$engine"
		damage_database "$engine-dirty" "$engine"
	done
	convert_database twoskip-many skiplist-converted
	cp -p "$WORK"/databases/* "$WORK/capture/databases/" || die "no databases"
}

# --------------------------------------------------------------------- all of it

# The numbers a test may want to quote.
summary() {
	local store
	for store in modern legacy plain flat versions; do
		echo "$store: $(find "$WORK/capture/$store" -name cyrus.index | wc -l) mailboxes," \
			"$(find "$WORK/capture/$store" -name '[0-9]*.' -type f | wc -l) message files," \
			"$(du -sk "$WORK/capture/$store" | cut -f1) KB"
	done
	describe_capture "$OUTPUT"
}

LAST=versions
capture_begin
mkdir "$WORK/capture"
capture modern no archive
capture legacy yes archive meta two meta-two
capture plain yes
capture flat no
capture versions yes
check_versions
check_anonymous
pack_capture "$OUTPUT" 716800
summary

#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Does Debian's Cyrus accept what the store builder writes? Run by hand, as root, after a change of
# the builder. It builds stores with everything the builder can do, gives them to user cyrus, and
# asks Cyrus's own tools, none of which shares a line with this project:
#
#   cyr_dbtool consistent, show   the twoskip file: order, pointers, CRCs, count
#   ctl_mboxlist -d               the mailbox records (it leaves intermediate names out)
#   mbexamine                     headers and records
#   reconstruct -n -G             rehashes every file and recomputes counters, quota and both sync
#                                 CRCs; says nothing but names when all is well
#
# All of them exit 0 whatever they find, so their words are compared, and what they say to syslog
# too: all but the lines on the cyrus.cache and the skipstamp that a synthetic store has not. Last
# come the negative controls: damage by the builder's helpers must be noticed, each with its own
# word. They work on a copy of the mailbox, because even `reconstruct -n` wipes records it cannot
# read.
#
# Exit status 0 when all is well, 1 when something is not, 77 when it could not be tried.

set -u -o pipefail

cd "$(dirname "$0")/../.." || exit 1
tools=/usr/lib/cyrus/bin
export LC_ALL=C TZ=UTC

if [ "$(id -u)" != 0 ] || [ ! -x $tools/reconstruct ] || ! id cyrus >/dev/null 2>&1; then
	echo "skip check-with-cyrus: needs root and Debian's cyrus-imapd"
	exit 77
fi

# Not below a private directory: user cyrus must be able to walk down to it.
base=$(mktemp -d "${TMPDIR:-/var/tmp}/mkstore-check.XXXXXX") || exit 1
trap 'rm -rf "$base"' EXIT
chmod 755 "$base"

passed=0
failed=0

ok()
{
	echo "ok $1"
	passed=$((passed + 1))
}

not_ok()
{
	echo "not ok $1: $2"
	failed=$((failed + 1))
}

# expect NAME WANTED GOT
expect()
{
	if [ "$2" = "$3" ]; then
		ok "$1"
	else
		not_ok "$1" "differs (< wanted, > got)"
		diff <(echo "$2") <(echo "$3") | head -20
	fi
}

# cyr STORE TOOL [ARGUMENT...]: a tool of Cyrus on a store, as user cyrus; syslog goes to $base/log
cyr()
{
	local conf=$1/imapd.conf tool=$2
	shift 2
	setpriv --reuid=cyrus --regid=mail --init-groups \
		env LD_PRELOAD="$base/syslogshim.so" ASSAY_LAB_LOG="$base/log" \
		"$tools/$tool" -C "$conf" "$@" 2>&1
}

# What was said to syslog since the last call, routine aside.
said()
{
	sed -e 's/^[^<]*//' "$base/log" | grep -E '^<(emerg|alert|crit|err|warning)>' |
		grep -vE 'func=<(mailbox_cacherecord_internal|cache_getfile)>|/db/skipstamp>' |
		sort -u
	: >"$base/log"
}

cat >"$base/build.c" <<'END'
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/cyrus/index.h"
#include "support/mkstore.h"

static void must(int r, const char *what)
{
	if (!r)
		return;
	fprintf(stderr, "%s: %s\n", what, strerror(-r));
	exit(1);
}

static void add_mailbox(struct mkstore *store, const char *name, unsigned count, bool varied)
{
	static const uint32_t FLAGS[] = { 0, 0x10, 0x11, 0x02, INDEX_FLAG_EXPUNGED, 0x1c,
					  INDEX_FLAG_EXPUNGED | INDEX_FLAG_UNLINKED };
	static const uint64_t SIZES[] = { 1, 7, 8, 40, 200, 247, 300, 1000, 70000 };
	struct mkstore_mailbox *mailbox;

	must(mkstore_mailbox_begin(store, name, &mailbox), name);
	for (unsigned i = 0; i < count; i++) {
		uint64_t size = varied && i < 9 ? SIZES[i] : MKSTORE_SIZE_DRAWN;
		must(mkstore_message(mailbox, varied ? FLAGS[i % 7] : 0, size, NULL), "message");
		if (varied && i % 5 == 4)
			mkstore_skip_uids(mailbox, i);
	}
	must(mkstore_mailbox_end(mailbox), "end");
}

int main(int argc, char **argv)
{
	struct mkstore_options options = { .seed = 7, .size = MKSTORE_SIZE_LOGNORMAL,
					   .sync_log = true, .extra = "virtdomains: userid\n" };
	struct mkstore *store;

	if (argc == 4 && !strcmp(argv[1], "flip")) {
		must(mkstore_flip_bit(argv[2], strtoull(argv[3], NULL, 10), 3), argv[2]);
		return 0;
	}
	if (argc == 5 && !strcmp(argv[1], "record")) {
		must(mkstore_set_record(argv[2], 0, (uint32_t)atoi(argv[3]),
					(uint32_t)atoi(argv[4])),
		     argv[2]);
		return 0;
	}
	if (argc == 5 && !strcmp(argv[1], "header")) {
		must(mkstore_set_header(argv[2], (uint32_t)atoi(argv[3]), (uint32_t)atoi(argv[4])),
		     argv[2]);
		return 0;
	}
	options.legacy_dirs = argc == 4 && !strcmp(argv[3], "legacy");
	must(mkstore_new(argv[2], &options, &store), argv[2]);
	add_mailbox(store, "user.u001", 40, true);
	add_mailbox(store, "user.u001.Sent Folder^x", 5, false);
	add_mailbox(store, "user.7seven", 3, false);
	add_mailbox(store, "user.empty", 0, false);
	add_mailbox(store, "shared.news", 1200, false);
	add_mailbox(store, "example.com!user.zoe.Work", 3, true);
	must(mkstore_tombstone(store, "user.gone"), "tombstone");
	must(mkstore_intermediate(store, "shared"), "intermediate");
	must(mkstore_finish(store), "finish");
	char *path = mkstore_path(store, "user.7seven", "");
	must(path ? 0 : -ENOMEM, "path");
	puts(path);
	free(path);
	mkstore_free(store);
	return 0;
}
END

# shellcheck disable=SC2046 # a list of files without blanks
if ! gcc -std=gnu17 -D_GNU_SOURCE -O1 -Isrc -Iinclude -Itests -o "$base/build" "$base/build.c" \
	$(ls tests/support/*.c src/base/*.c src/digest/*.c) -lcrypto -lIPSec_MB -lz -lxxhash -lm ||
	! gcc -shared -fPIC -U_FORTIFY_SOURCE -o "$base/syslogshim.so" tests/lab/syslogshim.c; then
	echo "not ok build: does not compile"
	exit 1
fi
touch "$base/log"
chown cyrus:mail "$base/log"

names='shared/news
user/7seven
user/empty
user/u001
user/u001/Sent Folder.x
user/zoe/Work@example.com'

# reconstruct STORE OPTION...: what it says of all mailboxes
reconstruct()
{
	local store=$1 list
	shift
	mapfile -t list <<<"$names"
	cyr "$store" reconstruct "$@" "${list[@]}"
}

# control NAME STORE MAILBOX_DIR WORD ARGUMENT...: damage by `build ARGUMENT...`, of which the file
# is named relative to the mailbox, makes `reconstruct -n -G` say WORD. The mailbox is then
# restored.
control()
{
	local name=$1 store=$2 dir=$3 word=$4 got
	shift 4
	rm -rf "$base/aside"
	cp -a "$dir" "$base/aside"
	if ! (cd "$dir" && "$base/build" "$@"); then
		not_ok "$name" "no damage done"
		return
	fi
	got=$(reconstruct "$store" -n -G)
	case $got in
	*"$word"*) ok "$name" ;;
	*) not_ok "$name" "not noticed: $got" ;;
	esac
	rm -rf "$dir"
	cp -a "$base/aside" "$dir"
}

check_damage()
{
	local kind=$1 store=$2 dir=$3
	local sum again

	control "$kind: control: message bit" "$store" "$dir" "uid 2 guid mismatch" flip 2. 500
	control "$kind: control: record bit" "$store" "$dir" "uid 1 rediscovered" \
		flip cyrus.index 200
	control "$kind: control: header bit" "$store" "$dir" "format corruption" flip cyrus.index 30
	control "$kind: control: version 99" "$store" "$dir" "invalid format" \
		header cyrus.index 8 99
	control "$kind: control: 99 records" "$store" "$dir" "invalid format" \
		header cyrus.index 20 99
	control "$kind: control: exists" "$store" "$dir" "updating exists 5 => 3" \
		header cyrus.index 84 5
	control "$kind: control: sync CRC" "$store" "$dir" "updating sync_crc 5" \
		header cyrus.index 100 5
	control "$kind: control: annotation sync CRC" "$store" "$dir" "updating sync_crc_annot 5" \
		header cyrus.index 120 5
	control "$kind: control: size in record" "$store" "$dir" "uid 1 mismatch: size" \
		record cyrus.index 12 5
	control "$kind: control: UID order" "$store" "$dir" "uid 1 rediscovered" \
		record cyrus.index 0 3

	sum=$(sha1sum "$dir/2.")
	"$base/build" flip "$dir/2." 500 && "$base/build" flip "$dir/2." 500
	again=$(sha1sum "$dir/2.")
	expect "$kind: a bit flipped twice is as it was" "$sum" "$again"
	expect "$kind: reconstruct -n -G finds nothing after all" "$names" \
		"$(reconstruct "$store" -n -G)"
	: >"$base/log"
}

check_store()
{
	local kind=$1 store=$base/$1 mailbox got list

	if ! mailbox=$("$base/build" store "$store" "$kind"); then
		not_ok "$kind: build" "failed"
		return
	fi
	chown -R cyrus:mail "$store"

	got=$(cyr "$store" cyr_dbtool "$store/conf/mailboxes.db" twoskip consistent)
	expect "$kind: mailboxes.db is consistent" "Yes, consistent" "$got"
	got=$(cyr "$store" cyr_dbtool -n "$store/conf/mailboxes.db" twoskip show | wc -l)
	expect "$kind: mailboxes.db has 8 N and 7 I records" 15 "$got"
	got=$(cyr "$store" ctl_mboxlist -d | grep -o '^"[^"]*"' | tr -d '"')
	expect "$kind: ctl_mboxlist lists all names" \
		"$(printf '%s\n' 'example.com!user.zoe.Work' shared.news user.7seven user.empty \
			user.gone user.u001 'user.u001.Sent Folder^x')" "$got"

	mapfile -t list <<<"$names"
	got=$(cyr "$store" mbexamine "${list[@]}" | grep -c ' UID:')
	# 1251 records, of which 5 are unlinked: mbexamine leaves those out.
	expect "$kind: mbexamine reads every record that has a file" 1246 "$got"
	expect "$kind: reconstruct -n -G finds nothing" "$names" "$(reconstruct "$store" -n -G)"
	expect "$kind: nothing said to syslog" "" "$(said)"
	check_damage "$kind" "$store" "$mailbox"
}

check_store uuid
check_store legacy

echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" = 0 ]

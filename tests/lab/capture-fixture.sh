#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# capture-fixture.sh [OUTPUT] - one small replicated pair, as Cyrus left it on disk.
#
# Writes tests/fixtures/pair.tar.xz (or OUTPUT), for tests that must run without Cyrus. It holds
#
#   drained/master  drained/replica   both sides after replication had nothing left to do
#   stale/master                      the master after four more mails to u002 and u003 that
#                                     no sync_client took away (conf/sync/log names them)
#
# each with imapd.conf, conf/ and spool/. In imapd.conf the token @ROOT@ stands for that side's
# own folder. Left out is what lives only while a server runs or is of no use to a reader: lock,
# proc, socket, log, ptclient, msg, database backups, deliver.db, TLS sessions, status cache.
#
# Invariant: every server is stopped before a byte is copied, and the capture fails rather than
# contain a path or the name of the machine it was made on. Modification times are kept (the
# seconds); birth times cannot be.
set -u -o pipefail
export LC_ALL=C
HERE=$(dirname "$(readlink -f "$0")")
OUTPUT=${1:-$HERE/../fixtures/pair.tar.xz}
# shellcheck source=lib-capture.sh
. "$HERE/lib-capture.sh"

# Three users with a few folders each, about thirty small messages, and what users do to them.
populate() {
	lab users 3 || die "no users"
	lab deliver 30 3 11 small || die "no mail"
	lab sync 30 || die "replication did not drain"
	lab churn 25 3 12 || die "no churn"
	lab rename u001 INBOX/Projects/Beta INBOX/Projects/Gamma || die "no rename"
	lab imap imap21 s1 u003 'DELETE "INBOX/Archive/2023"' || die "no folder deleted"
}

# Nothing outstanding, no client, no server.
drain_and_stop() {
	lab sync 30 || die "replication did not drain"
	lab verify || die "the sides differ"
	lab crash-replication term-client || die "sync_client does not stop"
	lab sync 1 || die "something happened after the drain"
	lab stop || die "the servers do not stop"
}

# Two more mails to each of two users, whom no client replicates.
make_stale() {
	NOSYNC=1 lab start || die "the servers do not start again"
	lab mail 2 13 u002 u003 || die "no more mail"
	lab stop || die "the servers do not stop"
	[ -s "$WORK/lab/imap21/s1/conf/sync/log" ] || die "nothing is outstanding"
}

# The numbers a test may want to quote.
summary() {
	local side
	for side in drained/master drained/replica stale/master; do
		echo "$side: $(find "$WORK/capture/$side/spool" -name cyrus.index | wc -l) mailboxes," \
			"$(find "$WORK/capture/$side/spool" -name '[0-9]*.' | wc -l) message files," \
			"$(find "$WORK/capture/$side/conf/sync" -type f -exec cat {} + | wc -l) events"
	done
	describe_capture "$OUTPUT"
}

capture_begin
LOOP=0 STORES=1 SYNC_MODE=manual lab up || die "no lab"
populate
drain_and_stop
copy_instance imap21 drained/master conf spool
copy_instance imap22 drained/replica conf spool
make_stale
copy_instance imap21 stale/master conf spool
check_anonymous
pack_capture "$OUTPUT" 1048576
summary

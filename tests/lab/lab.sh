#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# lab.sh - real Cyrus IMAP servers with rolling replication, on this machine, for tests.
#
#   lab.sh [-b BASE] COMMAND ...
#
# Two hosts, imap21 and imap22, each with STORES stores s1 s2 ...; a store on a host is one whole
# Cyrus: configuration, spool, ports, master process. imap21 is the master of a store (with
# MIXED=1, imap22 of the even ones), the other host is its replica. Everything listens on the
# loopback only, carries ASSAY_LAB=BASE in its environment and is stopped by process id. Needs
# root, gcc, and Debian's cyrus-imapd and cyrus-replication; neither systemd nor a syslog daemon.
#
#   up                        build and start; settings by environment, kept in BASE/lab.env:
#                             STORES=1 MIXED=0 PORTBASE=(a free block) LOOP=0 IMGSIZE=512M
#                             SYNC_MODE=manual|daemon SYNC_TIMEOUT=30m SYNC_MAXWAIT=20m
#                             SYNC_TRY_IMAP=no LEGACY_DIRS=no EXTRA_IMAPD='option: value'
#                             (lines; @DIR@ in it is the instance's folder)
#   down [--keep]             stop and remove (or leave the files)
#   start | stop              all servers; NOSYNC=1 start leaves sync_client down
#   start-host HOST | stop-host HOST
#   status | syncdir [SLOT] | verify
#   users COUNT               u001 ... with folders
#   deliver N COUNT [SEED] [small|mixed]
#   mail N SEED USER...       N small messages to each
#   append USER MAILBOX N SEED [OPTIONS]    N small messages by IMAP
#   churn N COUNT [SEED]      random changes by IMAP
#   rename USER FROM TO | swap USER A B | renameuser OLD NEW
#   imap HOST SLOT USER COMMAND...
#   cyr HOST SLOT TOOL ARGS...    any Cyrus tool, as user cyrus
#   msgpath HOST SLOT USER FOLDER UID
#   sync [SECONDS]            wait until replication has drained
#   crash-replication HOW [SLOT] [SECONDS]
#                             term-client kill-client freeze-client kill-server freeze-server
#                             loop-client; with LOOP=1 also full-replica ro-replica hang-replica
#   heal [SLOT] | restart-client [SLOT]
#
# LOOP=0 keeps the hosts in plain directories; LOOP=1 gives each an ext4 on a loop device, which
# can be filled, frozen or made to fail. Under BASE:
#
#   <host>/<slot>/{conf,spool,sieve}    etc/<host>-<slot>/{imapd,cyrus}.conf
#   log/<host>-<slot>.log (its syslog)  assay.conf (for the program under test, on imap21)
#
# Exit status: 0 done, 1 it could not be done (or verify found a difference), 2 usage.
set -u -o pipefail
export LC_ALL=C
PATH=/usr/sbin:/usr/bin:/sbin:/bin
LAB_SELF=$(readlink -f "$0")
LAB_DIR=${LAB_SELF%/*}
BASE=${LAB_BASE:-${TMPDIR:-/tmp}/assay-lab}
if [ "${1:-}" = -b ]; then
	BASE=${2:?}
	shift 2
fi

# shellcheck source=lib-base.sh
. "$LAB_DIR/lib-base.sh"
# shellcheck source=lib-setup.sh
. "$LAB_DIR/lib-setup.sh"
# shellcheck source=lib-run.sh
. "$LAB_DIR/lib-run.sh"
# shellcheck source=lib-mail.sh
. "$LAB_DIR/lib-mail.sh"
# shellcheck source=lib-replication.sh
. "$LAB_DIR/lib-replication.sh"
# shellcheck source=lib-show.sh
. "$LAB_DIR/lib-show.sh"

usage() {
	sed -n '/^# lab.sh/,/^# LOOP=0/{/^# LOOP=0/!s/^# \{0,1\}//p}' "$LAB_SELF" >&2
	exit 2
}

[ $# -gt 0 ] || usage
command=cmd_${1//-/_}
shift
declare -F "$command" >/dev/null || usage
"$command" "$@"

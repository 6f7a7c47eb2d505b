# shellcheck shell=bash disable=SC2016 # the dollars are those of IMAP's flags
# SPDX-License-Identifier: Apache-2.0
#
# The stores of capture-stores.sh: for each its options (options_NAME) and what happens in it
# (fill_NAME), through imapd and Cyrus's own tools as in life.
#
# Two things are not here because 3.6.1 cannot: metadata on a folder that belongs to no user (an
# assertion ends imapd), and of the odd names those with "quotes", \, %, {, ; < > | ` or ^.
# Sourced by capture-stores.sh.

SEED=0
OLD='"01-Mar-2024 10:00:00 +0000"' # such messages are archived, the others stay

# --------------------------------------------------------------------- what happens

# USER COMMAND...: IMAP commands, none of which may be refused.
as() {
	lab imap imap21 s1 "$@" >>"$WORK/imap.log" ||
		die "refused: $*: $(grep -E '^(NO|BAD)' "$WORK/imap.log" | tail -n 1)"
}

# USER MAILBOX N [OPTIONS]: new messages, never the same ones.
letters() {
	SEED=$((SEED + 1))
	lab append "$1" "$2" "$3" "$SEED" "${@:4}" || die "no mail to $2 of $1"
}

tool() { lab cyr imap21 s1 "$@" >>"$WORK/tool.log" 2>&1 || die "$* failed"; }

# USER MAILBOX SET: expunged, not yet cleaned up.
expunge() { as "$1" "SELECT \"$2\"" "STORE $3 +FLAGS (\\Deleted)" EXPUNGE; }

# NAME...: mailboxes that the administrator deletes (delayed), whoever's they are.
drop() {
	local name
	for name; do as cyrus "SETACL \"$name\" cyrus lrswipkxtecdan" "DELETE \"$name\""; done
}

# FIRST LAST: as many flags, in one line.
flags() { seq -f 'K%02g' -s ' ' "$1" "$2"; }

# --------------------------------------------------------------------- modern

options_modern() {
	cat <<-'END'
		sync_log: no
		virtdomains: userid
		defaultdomain: example.net
		archive_enabled: yes
		archivepartition-default: @DIR@/archive
		conversations: yes
		annotation_allow_undefined: yes
	END
}

modern_folders() {
	local name
	for name in alice b.ob 7seven Upper early gone zoe@example.com left@example.com; do
		as cyrus "CREATE \"user/$name\""
	done
	for name in 'Sub Folder' 'dot.ted' '[x] (y)' 'Caf&AOk-' '&ZeVnLIqe-' "7th it's" UPPER \
		'st*r:#$@~' deep/er/est Empty Purged; do
		as alice "CREATE \"INBOX/$name\"" "SUBSCRIBE \"INBOX/$name\""
	done
	as b.ob 'CREATE "INBOX/a.b/c.d"'
	as zoe@example.com 'CREATE INBOX/Work' 'CREATE INBOX/Old' 'SUBSCRIBE INBOX/Work'
	as cyrus 'CREATE shared' 'CREATE shared/News' 'CREATE shared/Old' 'CREATE pub@example.com' \
		'CREATE pub/all@example.com'
}

modern_rights() {
	as alice 'SETACL INBOX/UPPER b.ob lrs' 'SETACL INBOX/UPPER -b.ob w' \
		'SETACL INBOX/UPPER anyone l' 'SETACL INBOX/UPPER group:staff lrsp'
	as cyrus 'SETACL shared alice lrswipkxtecdan' 'SETACL shared b.ob lrsw' \
		'SETACL shared -zoe@example.com lr' 'SETACL shared/News alice lrswipkxtecdan' \
		'SETACL shared/News anonymous lr' 'SETACL pub@example.com zoe@example.com lrswipte'
	as cyrus 'SETQUOTA user/alice (STORAGE 20000 MESSAGE 5000 X-NUM-FOLDERS 50)' \
		'SETQUOTA user/7seven (X-ANNOTATION-STORAGE 100)' 'SETQUOTA user/b.ob ()' \
		'SETQUOTA user/gone (STORAGE 5)' \
		'SETQUOTA user/early (STORAGE 900)' 'SETQUOTA shared (STORAGE 2000 MESSAGE 100)' \
		'SETQUOTA shared/News (MESSAGE 10)' 'SETQUOTA user/zoe@example.com (STORAGE 1000)' \
		'SETQUOTA pub@example.com (STORAGE 100)'
}

modern_mail() {
	letters alice INBOX 4 "$OLD"
	letters alice INBOX 6
	letters alice 'INBOX/Sub Folder' 3
	letters alice 'INBOX/Sub Folder' 1 "(\\Seen \\Draft) $OLD"
	letters alice INBOX/dot.ted 2
	letters alice 'INBOX/Caf&AOk-' 2 '($Forwarded \Answered)'
	letters alice INBOX/UPPER 3
	letters alice INBOX/Purged 4
	letters b.ob INBOX 3
	letters b.ob INBOX/a.b/c.d 1 "$OLD"
	letters zoe@example.com INBOX 3
	letters zoe@example.com INBOX/Work 2 "$OLD"
	letters zoe@example.com INBOX/Old 1
	letters 7seven INBOX 1
	letters early INBOX 2
	letters gone INBOX 2
	letters left@example.com INBOX 1
	letters alice shared 3
	letters alice shared/News 2 "$OLD"
	letters zoe@example.com pub 2
}

modern_marks() {
	as alice 'SELECT INBOX' 'STORE 1,3,5 +FLAGS (\Seen)' 'STORE 2 +FLAGS (\Flagged $Label1)' \
		'STORE 6 +FLAGS (\Answered Work)' 'STORE 7 +FLAGS (\Deleted)' \
		'STORE 5 ANNOTATION (/comment (value.priv "my own" value.shared "all of ours"))' \
		'STORE 1 ANNOTATION (/altsubject (value.shared "other words"))' \
		'STORE 6 ANNOTATION (/vendor/lab/x/y (value.priv "v"))' \
		'STORE 6 ANNOTATION (/vendor/lab/x/y (value.priv NIL))' \
		'COPY 5:6 "INBOX/Sub Folder"' 'COPY 9 INBOX/UPPER' 'COPY 1 INBOX/dot.ted'
	as alice 'SELECT INBOX/UPPER' "STORE 1 +FLAGS ($(flags 1 24))" \
		"STORE 2 +FLAGS ($(flags 20 40))" 'STORE 3 +FLAGS (Once)'
	as b.ob 'SELECT shared' 'STORE 1:2 +FLAGS (\Seen $Label1)' 'SUBSCRIBE shared' \
		'STORE 2 ANNOTATION (/comment (value.priv "of b.ob"))'
	as alice 'SELECT shared' 'STORE 3 +FLAGS (\Seen \Flagged)' \
		'STORE 2 ANNOTATION (/comment (value.shared "for all"))' 'SUBSCRIBE shared/News'
	as zoe@example.com 'SELECT INBOX' 'STORE 1 +FLAGS (\Seen)' \
		'STORE 1 ANNOTATION (/comment (value.priv "of zoe"))' 'SELECT pub' 'STORE 1 +FLAGS (\Seen)'
	as alice 'SETMETADATA "INBOX/Sub Folder" (/private/comment "mine" /shared/comment "ours")' \
		'SETMETADATA "INBOX/Caf&AOk-" (/private/specialuse "\\Sent")' \
		'SETMETADATA INBOX/dot.ted (/shared/vendor/cmu/cyrus-imapd/sharedseen "true")' \
		'SETMETADATA "" (/private/comment "of alice")'
	as cyrus 'SETMETADATA "" (/shared/comment "of the server")' \
		'SETMETADATA user/zoe@example.com (/shared/comment "in a domain" /private/comment "of cyrus")'
}

# Expunged and cleaned up, expunged only; a flag nobody has any more; renamed, deleted, purged.
modern_gone() {
	expunge alice INBOX/Purged 2:3
	expunge alice INBOX 4
	as alice 'SELECT INBOX/UPPER' 'STORE 3 -FLAGS (Once)' 'STORE 1 -FLAGS (K05 K06)' \
		'DELETE INBOX/deep/er/est'
	drop user/left@example.com
	tool cyr_expire -E 1 -c -t -X 0 -D 0
	tool cyr_expire -E 1 -c -A 30
	expunge alice INBOX 1,7
	expunge zoe@example.com INBOX 2
	as alice 'RENAME "INBOX/UPPER" "INBOX/Upper Still"' 'DELETE "INBOX/[x] (y)"'
	as cyrus 'RENAME user/early user/late'
	as zoe@example.com 'DELETE INBOX/Old'
	drop user/gone shared/Old
}

fill_modern() {
	modern_folders
	modern_rights
	modern_mail
	modern_marks
	modern_gone
}

# --------------------------------------------------------------------- legacy

options_legacy() {
	cat <<-'END'
		sync_log: no
		virtdomains: userid
		defaultdomain: example.net
		fulldirhash: yes
		metapartition_files: header index cache annotations
		metapartition-default: @DIR@/meta
		archive_enabled: yes
		archivepartition-default: @DIR@/archive
		partition-two: @DIR@/two
		metapartition-two: @DIR@/meta-two
		conversations: yes
		annotation_allow_undefined: yes
	END
}

legacy_folders() {
	local name
	for name in alice b.ob 7seven early gone zoe@example.com; do as cyrus "CREATE \"user/$name\""; done
	as cyrus 'CREATE user/carol two' 'CREATE shared' 'CREATE shared/news.old' 'CREATE news' \
		'CREATE pub@example.com'
	for name in 'Sub Folder' dot.ted/below '&ZeVnLIqe-' 'st*r' deep/er; do
		as alice "CREATE \"INBOX/$name\"" "SUBSCRIBE \"INBOX/$name\""
	done
	as zoe@example.com 'CREATE INBOX/Work' 'SUBSCRIBE INBOX/Work' 'CREATE INBOX/Old'
	as cyrus 'SETACL shared alice lrswipkxtecdan' 'SETACL shared b.ob lrsw' \
		'SETQUOTA user/alice (STORAGE 20000)' 'SETQUOTA user/b.ob (MESSAGE 50)' \
		'SETQUOTA user/early (STORAGE 900)' \
		'SETQUOTA user/zoe@example.com (STORAGE 1000)' 'SETQUOTA shared (STORAGE 2000)'
}

legacy_mail() {
	letters alice INBOX 2 "$OLD"
	letters alice INBOX 4
	letters alice 'INBOX/Sub Folder' 3
	letters alice INBOX/dot.ted/below 2 "(\\Seen) $OLD"
	letters b.ob INBOX 3
	letters zoe@example.com INBOX 2
	letters zoe@example.com INBOX/Work 2 "$OLD"
	letters carol INBOX 3
	letters early INBOX 1
	letters gone INBOX 1
	letters alice shared 2
	as alice 'SELECT INBOX' 'STORE 1:2 +FLAGS (\Seen $Label1)' 'STORE 4 +FLAGS (\Flagged Work)' \
		'STORE 3 ANNOTATION (/comment (value.priv "my own" value.shared "all of ours"))' \
		'COPY 3:4 "INBOX/Sub Folder"'
	as b.ob 'SELECT shared' 'STORE 1 +FLAGS (\Seen)' 'SUBSCRIBE shared'
	as zoe@example.com 'SELECT INBOX' 'STORE 1 +FLAGS (\Seen)'
	as alice 'SETMETADATA "INBOX/Sub Folder" (/private/comment "mine" /shared/comment "ours")'
}

fill_legacy() {
	legacy_folders
	legacy_mail
	expunge alice 'INBOX/Sub Folder' 1
	tool cyr_expire -E 1 -c -X 0
	tool cyr_expire -E 1 -c -A 30
	expunge alice INBOX 1,5
	as alice 'RENAME INBOX/deep INBOX/shallow' 'DELETE INBOX/st*r'
	as cyrus 'RENAME user/early user/late'
	as zoe@example.com 'DELETE INBOX/Old'
	drop user/gone
}

# --------------------------------------------------------------------- plain

options_plain() {
	cat <<-'END'
		sync_log: no
		hashimapspool: no
		fulldirhash: no
		unixhierarchysep: no
		conversations: no
		annotation_allow_undefined: yes
		mboxlist_db: skiplist
		annotation_db: skiplist
		seenstate_db: skiplist
	END
}

fill_plain() {
	local name
	for name in alice bob gone; do as cyrus "CREATE \"user.$name\""; done
	for name in Sent 'Sub Folder.&ZeVnLIqe-' Old; do
		as alice "CREATE \"INBOX.$name\"" "SUBSCRIBE \"INBOX.$name\""
	done
	as cyrus 'CREATE shared' 'CREATE shared.news' 'SETACL shared alice lrswipkxtecdan' \
		'SETQUOTA user.alice (STORAGE 20000 MESSAGE 500)' 'SETQUOTA shared (STORAGE 2000)'
	letters alice INBOX 5
	letters alice INBOX.Sent 2 '(\Seen)'
	letters alice INBOX.Old 1
	letters bob INBOX 3
	letters gone INBOX 1
	letters alice shared 3
	as alice 'SELECT INBOX' 'STORE 1:2 +FLAGS (\Seen $Label1)' 'STORE 4 +FLAGS (\Flagged Work)' \
		'STORE 3 ANNOTATION (/comment (value.priv "my own" value.shared "all of ours"))' \
		'COPY 3:4 INBOX.Sent' 'SETMETADATA INBOX.Sent (/private/comment "mine")'
	as bob 'SELECT shared' 'STORE 1 +FLAGS (\Seen)' 'SUBSCRIBE shared'
	expunge alice INBOX 1
	tool cyr_expire -E 1 -c -X 0
	expunge alice INBOX 4
	as alice 'RENAME INBOX.Sent INBOX.Posted' 'DELETE INBOX.Old'
	drop user.gone
}

# --------------------------------------------------------------------- flat

options_flat() {
	cat <<-'END'
		sync_log: no
		conversations: no
		annotation_allow_undefined: yes
		expunge_mode: immediate
		mboxlist_db: flat
		seenstate_db: flat
		subscription_db: twoskip
		quota_db: twoskip
	END
}

fill_flat() {
	as cyrus 'CREATE user/alice' 'CREATE user/bob' 'CREATE shared' \
		'SETACL shared alice lrswipkxtecdan' 'SETQUOTA user/alice (STORAGE 20000 MESSAGE 500)'
	as alice 'CREATE "INBOX/Sub Folder"' 'SUBSCRIBE "INBOX/Sub Folder"' 'CREATE INBOX/Old' \
		'SETMETADATA "INBOX/Sub Folder" (/private/comment "mine")'
	letters alice INBOX 3
	letters alice shared 2
	as alice 'SELECT INBOX' 'STORE 2 ANNOTATION (/comment (value.priv "my own"))' \
		'DELETE INBOX/Old'
	as bob 'SELECT shared' 'STORE 1 +FLAGS (\Seen)'
	expunge alice INBOX 1
}

# --------------------------------------------------------------------- versions

INDEX_VERSIONS="06 07 08 09 10 12 13 14 15 16 17"

options_versions() {
	cat <<-'END'
		sync_log: no
		conversations: no
		annotation_allow_undefined: yes
	END
}

# A mailbox that goes to its version when it has seen some use. What a version has no place for is
# left out of it, because Cyrus would write something no release has written: up to 10 there are no
# expunged records (2.3 kept them in a file of their own), up to 12 no annotations.
fill_versions() {
	local v
	as cyrus 'CREATE user/v'
	for v in $INDEX_VERSIONS; do
		as v "CREATE INBOX/v$v"
		letters v "INBOX/v$v" 5
		as v "SELECT INBOX/v$v" 'STORE 1 +FLAGS (\Seen)' \
			'STORE 2 +FLAGS (\Answered \Flagged Work)' "STORE 4 +FLAGS ($(flags 1 33))"
		[ "$v" -lt 13 ] ||
			as v "SELECT INBOX/v$v" 'STORE 2 ANNOTATION (/comment (value.priv "my own"))'
		expunge v "INBOX/v$v" 3
		[ "$v" -gt 10 ] || tool cyr_expire -E 1 -c -X 0
		[ "$v" != 10 ] || tool reconstruct -V 9 user/v/v10 # there is no direct way
		tool reconstruct -V "$((10#$v))" "user/v/v$v"
	done
}

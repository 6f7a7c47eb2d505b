#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# mkroot.sh: the images of roots that other tests are made with. Each kind can be made, is clean by
# e2fsck (mkroot.sh asks it), has the UUID and the seed that were asked for and the feature that it
# is there for; what dpkg knows of the tree is true of it; and the same image comes twice.
# shellcheck disable=SC2317 # called by check
set -u -o pipefail
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

MKROOT=$ROOT/tests/support/mkroot.sh
PATH=$PATH:/usr/sbin:/sbin

# What tells a kind from the others, a pattern for what dumpe2fs says of it.
declare -A has=(
	[1k]='^Block size: *1024' [4k]='features:.* metadata_csum' [nocsum]='features:.* extra_isize$'
	[ext2]='features:.* sparse_super large_file$' [ext3]='features: *has_journal'
	[bigalloc]='^Cluster size: *16384' [inline_data]='features:.* inline_data'
	[64bit]='features:.* uninit_bg' [flex_bg]='^Flex block group size: *16'
	[meta_bg]='features:.* meta_bg' [casefold]='features:.* casefold' [encrypt]='features:.* encrypt'
	[htree]='features:.* dir_index' [xattrs]='features:.* ea_inode' [quota]='^Project quota inode:'
	[mmp]='features:.* mmp' [orphan_file]='features:.* orphan_file'
	[journal_v1]='^Journal number of users: *0'
)

# The packages are whole, and some of what no package owns is there.
tree_is_true() (
	cd "$WORK/tree" || return
	cat var/lib/dpkg/info/*.md5sums >"$WORK/sums" && [ "$(wc -l <"$WORK/sums")" -gt 200 ] &&
		md5sum --quiet -c "$WORK/sums" && [ "$(grep -c '^Package: ' var/lib/dpkg/status)" -gt 5 ] &&
		[ -p run/fifo ] && [ -L bin/sh ] && [ var/log/syslog -ef var/log/syslog.1 ]
)

check_kind() { # KIND
	local uuid=11111111-2222-4333-8444-555555555555 seed=66666666-7777-4888-8999-aaaaaaaaaaaa rc
	"$MKROOT" "$WORK/image" "$1" $uuid $seed >"$OUT" 2>"$ERR"
	rc=$?
	if [ $rc = 77 ]; then
		skip "$1" "$(head -n 1 "$ERR")"
		return
	elif [ $rc != 0 ]; then
		not_ok "$1" "$(last_words)"
		return
	fi
	dumpe2fs -h "$WORK/image" >"$OUT" 2>/dev/null
	if grep -qE "^Filesystem UUID: *$uuid" "$OUT" && grep -qE "^Directory Hash Seed: *$seed" "$OUT" &&
		grep -qE -- "${has[$1]:-no such kind}" "$OUT"; then
		ok "$1"
	else
		not_ok "$1" "$(grep -E 'UUID|Seed|features' "$OUT" | tr '\n' ' ')"
	fi
}

has_two_levels() {
	"$MKROOT" "$WORK/image" htree &&
		debugfs -R 'htree /srv/long' "$WORK/image" | grep -q 'Indirect levels: 1'
}

comes_twice() {
	"$MKROOT" "$WORK/one" 4k && "$MKROOT" "$WORK/two" 4k && cmp "$WORK/one" "$WORK/two"
}

begin mkroot
need mke2fs e2fsck debugfs dumpe2fs dpkg
export MKROOT_TREE=$WORK/tree
check "the tree is one" "see check.log" "$MKROOT" --tree "$WORK/tree"
check "what dpkg knows of the tree is true of it" "$(tail -n 1 "$WORK/check.log")" tree_is_true
for kind in $("$MKROOT" --kinds); do
	check_kind "$kind"
done
check "the index of a folder has two levels" "it has not" has_two_levels
check "the same image comes twice" "they differ" comes_twice
"$MKROOT" "$WORK/image" 5k >"$OUT" 2>"$ERR"
RC=$? # of expect_exit
expect_exit "a kind that is not known is refused" 2
finish

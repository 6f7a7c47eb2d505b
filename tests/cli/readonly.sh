#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# readonly.sh: nothing that is examined is ever written to, not even its access times.
#
# Scan and gate run under strace, every call on a path or a descriptor is judged, and the store is
# compared with itself before and after. The judge itself is tried on commands that do write. What
# it allows: anything in the state directory, output to the standard descriptors, read locks, and
# a ring that the kernel was told to read with and nothing else. What goes through a ring is not
# traced, so scans are traced without one as well.
set -u -o pipefail
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

CALLS=%file,%desc,io_uring_setup,io_uring_enter,io_uring_register,mount,umount2,setns,bpf

# Reads traces of `strace -ff -y -o` and prints each call that could change something outside the
# folders given, or the files $OUT and $ERR; also any lock but a read lock, and any touch of the
# locks of Cyrus itself.
judge_traces() { # ALLOWED-FOLDER... -- TRACE...
	perl -e '
	my @allowed = ("/dev/null", $ENV{OUT}, $ENV{ERR});
	while (@ARGV and (my $word = shift) ne "--") { push @allowed, $word }
	sub allowed {
		my ($path) = @_;
		$path =~ s{/+}{/}g;
		return 1 if $path =~ /^(?:pipe|socket):|^anon_inode:\[io_uring\]$/;
		return scalar grep { $path eq $_ or index($path, "$_/") == 0 } @allowed;
	}
	# All paths a call names: of descriptors, and relative ones below their directory.
	sub paths {
		my ($args) = @_;
		my $relative = $args =~ /^AT_FDCWD/;
		my ($dir, @paths) = ("");
		while ($args =~ /(?:AT_FDCWD|\b\d+)<([^>]*)>|"((?:[^"\\]|\\.)*)"/g) {
			my ($of_fd, $name) = ($1, $2);
			if (defined $of_fd) { $dir = $of_fd; push @paths, $dir unless $relative }
			elsif (length $name) { push @paths, index($name, "/") ? "$dir/$name" : $name }
		}
		return @paths;
	}
	my $changes = qr/^(?:rename|unlink|rmdir|mkdir|link|symlink|mknod|chmod|fchmodat|l?chown|
		fchownat|utime|futimesat|truncate|l?setxattr|l?removexattr|mount|umount|chroot|swapon|
		setns|bpf|creat|acct|quotactl)/x;
	my $writes = qr/^(?:write|pwrite|ftruncate|fallocate|fchmod$|fchown$|fsetxattr|
		fremovexattr|copy_file_range|sendfile|splice|vmsplice|tee)/x;
	# What goes through a ring is not traced, so the kernel must have been told to refuse the rest.
	my $ring_ops = qr/^(?:READ|READ_FIXED|OPENAT|STATX|CLOSE|ASYNC_CANCEL)$/;
	my $ring_registers = qr/^IORING_(?:REGISTER_(?:PROBE|BUFFERS|RESTRICTIONS|ENABLE_RINGS)|
		UNREGISTER_BUFFERS)$/x;
	my %restricted;
	sub ring_call {
		my ($call, $args) = @_;
		return undef if $call eq "io_uring_enter";
		return $args =~ /IORING_SETUP_R_DISABLED/ ? undef : "makes a ring that may write"
			if $call eq "io_uring_setup";
		my ($fd, $what) = $args =~ /^(\d+)[^,]*, (\w+)/ or return "asks a ring for more";
		return "asks a ring for more" unless $what =~ $ring_registers;
		if ($what eq "IORING_REGISTER_RESTRICTIONS") {
			$restricted{$fd} = 1;
			grep { !/$ring_ops/ } $args =~ /IORING_OP_(\w+)/g and return "may write by a ring";
			return "may do unknown things by a ring" if $args =~ /\.\.\.|0x/;
		}
		return "enables a ring that may write"
			if $what eq "IORING_REGISTER_ENABLE_RINGS" and !delete $restricted{$fd};
		return undef;
	}
	my $seen = 0;
	while (my $line = <>) {
		my ($call, $args) = $line =~ /^(\w+)\((.*)$/ or next;
		$seen++;
		my ($result) = $args =~ /\) += (.*)$/;
		$args =~ s/\) += .*$//;
		my $why;
		if ($call =~ /^open/) {
			my ($path) = ($result // "") =~ /^\d+<([^>]*)>/;
			($path) = reverse paths($args) unless defined $path;
			$why = "opens to write" if $args =~ /O_(WRONLY|RDWR|CREAT|TRUNC|APPEND|TMPFILE)/
				and !allowed($path);
			$why = "opens a lock of Cyrus" if $path =~ m{/conf/lock(/|$)};
		} elsif ($call =~ $writes) {
			my ($path) = $args =~ /^\d+<([^>]*)>/;
			($path) = (paths($args))[1] if $call eq "copy_file_range";
			$why = "writes" unless allowed($path // "?");
		} elsif ($call =~ $changes) {
			my @paths = paths($args);
			# The directory that a relative path begins at is not itself changed.
			shift @paths if @paths > 1 and
				$call =~ /^(mkdir|unlink|fchmod|fchown|mknod|utimens)at/;
			$why = "changes" if !@paths or grep { !allowed($_) } @paths;
		} elsif ($call =~ /^io_uring/) {
			$why = ring_call($call, $args);
		} elsif ($call eq "fcntl") {
			my ($path) = $args =~ /^\d+<([^>]*)>/;
			$why = "locks to write" if $args =~ /SETLK/ and
				$args !~ /l_type=F_(RDLCK|UNLCK)/ and !allowed($path // "?");
		} elsif ($call eq "flock") {
			my ($path) = $args =~ /^\d+<([^>]*)>/;
			$why = "locks" unless allowed($path // "?");
		} elsif ($call eq "ioctl") {
			$why = "ioctl" unless $args =~ /, (TCGETS|TIOCGWINSZ|FS_IOC_FIEMAP|FS_IOC_GETVERSION|FIGETBSZ|BLKSSZGET|BLKGETSIZE64)\b/;
		} elsif ($call eq "mmap") {
			my ($path) = $args =~ /\d+<([^>]*)>/;
			$why = "maps to write" if $args =~ /PROT_WRITE/ and $args =~ /MAP_SHARED/
				and defined $path and !allowed($path);
		}
		print "$why: $line" if $why;
	}
	print "nothing was traced\n" unless $seen;' "$@"
}

# COMMAND...: runs it under strace; what the judge says is in $WORK/judged. $INJECT is for strace.
INJECT=()
traced() {
	rm -rf "$WORK/trace" && mkdir "$WORK/trace"
	timeout -k 5 120 strace -ff -y -s 4096 -e "trace=$CALLS" "${INJECT[@]}" \
		-o "$WORK/trace/t" "$@" >"$OUT" 2>"$ERR" </dev/null
	RC=$?
	OUT=$OUT ERR=$ERR judge_traces "$STATE" -- "$WORK"/trace/t.* >"$WORK/judged" 2>&1
}

# NAME EXIT ARGS...: that command of assay reads only.
reads_only() {
	local name=$1 wanted=$2
	shift 2
	traced "$ASSAY" "$@" --config "$CONF" --state "$STATE"
	expect_exit "$name: exit $wanted" "$wanted"
	check "$name: was traced to its end" "no exit in the trace" \
		grep -qs "+++ exited with $wanted" "$WORK"/trace/*
	if [ -s "$WORK/judged" ]; then
		not_ok "$name: writes, removes, locks nothing of the store" \
			"$(head -c 300 "$WORK/judged")"
	else
		ok "$name: writes, removes, locks nothing of the store"
	fi
}

# NAME WORDS COMMAND...: the judge objects to that command, with those words.
objects() {
	local name=$1 words=$2
	shift 2
	traced "$@"
	expect_line "the judge objects to $name" "$WORK/judged" "^$words"
}

# FILE: times, modes, sizes of all that is in the stores, to which imapd.conf does not belong. The
# names were listed before, because to list a folder is to read it; a new name shows in its times.
snapshot() {
	xargs -0 stat -c '%n %F %a %s %u %g %i %h %x %y %z' <"$WORK/names" >"$1" 2>&1
}

digests() { # FILE
	find "$WORK/master" "$WORK/replica" -type f -print0 | sort -z | xargs -0 sha1sum >"$1"
}

# Access times are made old, so that any reading that the kernel would note is noted.
test_nothing_changes() {
	digests "$WORK/digests.before"
	find "$WORK/master/"{conf,spool} "$WORK/replica/"{conf,spool} -print0 >"$WORK/names"
	xargs -0 touch -h -a -d '2020-01-01' <"$WORK/names"
	snapshot "$WORK/before"
	call scan --config "$CONF" --state "$STATE"
	expect_exit "scan of the damaged pair: exit 1" 1
	call gate s1 --to imap22 --config "$CONF" --state "$STATE"
	expect_exit "gate of the damaged pair: exit 1" 1
	call status --config "$CONF" --state "$STATE"
	expect_exit "status of the damaged pair: exit 1" 1
	snapshot "$WORK/after"
	if cmp -s "$WORK/before" "$WORK/after"; then
		ok "atime, mtime, ctime, mode and size are as before"
	else
		not_ok "atime, mtime, ctime, mode and size are as before" \
			"$(diff "$WORK/before" "$WORK/after" | grep -c '^>') differ, such as$(diff \
				"$WORK/before" "$WORK/after" | sed -n 's/^[<>]//p' | head -n 2)"
	fi
	# Can this fail? A plain reader leaves its trace, unless the mount keeps no access times.
	cat "$VICTIM" >/dev/null
	snapshot "$WORK/after"
	if ! cmp -s "$WORK/before" "$WORK/after"; then
		ok "the comparison notices a plain reader"
	elif findmnt -no OPTIONS --target "$WORK" | grep -qw noatime; then
		skip "the comparison notices a plain reader" "mounted noatime"
	else
		not_ok "the comparison notices a plain reader" "it does not"
	fi
	digests "$WORK/digests.after"
	check "contents are as before" "sha1sum differs" \
		cmp "$WORK/digests.before" "$WORK/digests.after"
}

test_judge() {
	local index
	index=$(dirname "$VICTIM")/cyrus.index
	objects "touch" "(changes|opens to write): " touch "$VICTIM"
	objects "a write" "writes: |opens to write: " \
		dd if=/dev/zero of="$VICTIM" bs=1 count=1 conv=notrunc
	objects "rm" "changes: " rm "$VICTIM"
	objects "rename" "changes: " mv "$index" "$index.new"
	objects "chmod" "changes: " chmod 600 "$index.new"
	objects "mkdir" "changes: " mkdir "$WORK/replica/new"
	objects "a relative path" "changes: " env -C "$WORK/replica" rmdir new
	objects "truncate" "(changes|writes|opens to write): " truncate -s 1 "$index.new"
	# shellcheck disable=SC2016 # this is Perl
	objects "a write lock" "locks to write: |opens to write: " perl -MFcntl -e \
		'open my $f, "+<", $ARGV[0] or die;
		fcntl $f, F_SETLK, pack "s s l! l! i", F_WRLCK, 0, 0, 0, 0' \
		"$index.new"
	mkdir -p "$WORK/replica/conf/lock" && touch "$WORK/replica/conf/lock/x"
	objects "a lock of Cyrus" "opens a lock" cat "$WORK/replica/conf/lock/x"
	# By number, of x86-64 and all others since: io_uring_setup, and a ring of all powers.
	# shellcheck disable=SC2016 # this is Perl
	objects "a ring without bounds" "makes a ring that may write: " \
		perl -e 'my $params = "\0" x 120; syscall 425, 4, $params'
	objects "a command that was not traced" "(nothing|Can't open)" /nonexistent
	traced cat "$index.new"
	check "the judge lets a reader pass" "$(head -c 200 "$WORK/judged")" test ! -s "$WORK/judged"
}

begin readonly
need strace findmnt
if ! strace -o /dev/null true 2>/dev/null; then
	skip "all" "strace may not trace here"
	finish
fi
check "the fixture is unpacked" "tar" unpack_pair
reads_only "scan" 0 scan
# What goes through a ring is not seen; without one, everything is.
INJECT=(-e "inject=io_uring_setup:error=EPERM")
reads_only "scan without io_uring" 0 scan
INJECT=()
reads_only "gate" 0 gate s1 --to imap22
reads_only "status" 0 status
reads_only "check-config" 0 check-config
VICTIM=$(messages_of replica | head -n 1)
flip "$VICTIM" 100
flip "$WORK/replica/conf/mailboxes.db" $(($(stat -c %s "$WORK/replica/conf/mailboxes.db") - 300))
reads_only "scan of a damaged store" 1 scan s1@imap22
INJECT=(-e "inject=io_uring_setup:error=EPERM")
reads_only "scan of a damaged store without io_uring" 1 scan s1@imap22
INJECT=()
reads_only "gate of a damaged store" 1 gate s1 --to imap22
reads_only "findings" 1 findings
flip "$WORK/replica/conf/mailboxes.db" $(($(stat -c %s "$WORK/replica/conf/mailboxes.db") - 300))
test_nothing_changes
test_judge
finish

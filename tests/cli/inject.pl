#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# Does damage to a store before it is put into a filesystem, and tells what must be found.
#
#   inject.pl damage  STORE MOUNT SEED [ARCHIVE ITS-MOUNT]
#                                        faults of each kind, at places that follow from SEED
#   inject.pl archive STORE ARCHIVE      every third message of a mailbox moves to the archive
#   inject.pl link    STORE              the messages of one mailbox become those of another, by links
#   inject.pl linked  STORE MOUNT        one message of them is flipped, and so is the other
#
# STORE is the folder of a store whose mailboxes are in folders by unique id and whose indexes are of
# version 17 (records of 112 bytes behind 160). MOUNT is where it will be found by the scan.
# `damage` prints a line for each finding, "finding CODE OBJECT UID PATH RECORDED OBSERVED", and for
# each gap, "gap PATH WHY", separated by tabs; what is not there is empty.
#
# Knows nothing of the program under test: it reads the indexes by its own few lines.
use strict;
use warnings;
use Compress::Raw::Zlib ();
use Digest::SHA ();
use File::Path ();

my ($HEADER, $RECORD) = (160, 112);
my ($ENOENT, $UNREAD) = ('No such file or directory', 'the messages of this mailbox cannot be verified');
my $UNKNOWN = 'the message of a damaged index record cannot be verified';
my $ARCHIVED = 0x20000000;

sub read_file {
	my ($path) = @_;
	open my $fh, '<:raw', $path or die "inject: $path: $!\n";
	local $/;
	return scalar <$fh> // '';
}

sub write_file {
	my ($path, $bytes) = @_;
	open my $fh, '>:raw', $path or die "inject: $path: $!\n";
	print $fh $bytes;
	close $fh or die "inject: $path: $!\n";
}

sub flip {
	my ($path, $off) = @_;
	my $bytes = read_file($path);
	substr($bytes, $off, 1) ^= "\x10";
	write_file($path, $bytes);
}

sub sha1 { return Digest::SHA::sha1_hex(read_file($_[0])) }

sub crc { return Compress::Raw::Zlib::crc32($_[0]) }

# The folders of all mailboxes, by name.
sub mailboxes {
	my ($store) = @_;
	return sort map { s{/cyrus.index$}{}r } glob "$store/spool/uuid/*/*/*/cyrus.index";
}

sub record { return substr $_[0], $HEADER + $_[1] * $RECORD, $RECORD }

# Changes a record, whose CRC is right afterwards.
sub patch_record {
	my ($index, $nr, $change) = @_;
	my $record = record($$index, $nr);
	$change->($record) for $record;
	substr($record, 108, 4) = pack 'N', crc(substr $record, 0, 108);
	substr($$index, $HEADER + $nr * $RECORD, $RECORD) = $record;
}

# ---------------------------------------------------------------------- damage

my %mounts; # where folders will be

sub told {
	my ($path) = @_;
	for (keys %mounts) { return $path if $path =~ s{^\Q$_\E/}{$mounts{$_}/} }
	die "inject: $path is nowhere\n";
}

sub found { print join("\t", 'finding', @_), "\n" }

sub gap { print join("\t", 'gap', @_), "\n" }

# What is done to a message file, and what is seen then.
my %to_message = (
	first => sub { flip($_[0], 0); 'digest' },
	middle => sub { flip($_[0], int((-s $_[0]) / 2)); 'digest' },
	last => sub { flip($_[0], (-s $_[0]) - 1); 'digest' },
	shorter => sub { truncate $_[0], (-s $_[0]) - 1; -s $_[0] ? 'size' : 'empty' },
	half => sub { truncate $_[0], int((-s $_[0]) / 2); -s $_[0] ? 'size' : 'empty' },
	longer => sub { write_file($_[0], read_file($_[0]) . 'x'); 'size' },
	much_longer => sub { write_file($_[0], read_file($_[0]) . 'x' x 300000); 'size' },
	emptied => sub { truncate $_[0], 0; 'empty' },
	zeroed => sub { my $len = -s $_[0]; truncate $_[0], 0; truncate $_[0], $len; 'digest' },
	removed => sub { unlink $_[0]; 'missing' },
	link => sub { unlink $_[0]; symlink '../cyrus.header', $_[0]; 'not_regular' },
	broken_link => sub { unlink $_[0]; symlink 'nowhere', $_[0]; 'not_regular' },
	fifo => sub { unlink $_[0]; system('mkfifo', $_[0]) == 0 or die; 'not_regular' },
	folder => sub { unlink $_[0]; mkdir $_[0]; 'not_regular' },
);

sub damage_message {
	my ($kind, $dir, $uid) = @_;
	my $path = "$dir/$uid.";
	my $recorded = sha1($path);
	my $code = $to_message{$kind}->($path);
	my $observed = -l $path ? 'a symbolic link' : -f $path ? sha1($path)
		: -e $path ? 'not a regular file' : 'no file';
	found("message.$code", "message:$uid", $uid, told($path), $recorded, $observed);
}

sub flip_record {
	my ($dir, $nr) = @_;
	my $path = "$dir/cyrus.index";
	flip($path, $HEADER + $nr * $RECORD + 40 + $nr % 16);
	my $record = record(read_file($path), $nr);
	found('index.record_crc', 'record:' . ($nr + 1), $nr + 1, told($path),
		sprintf('CRC %08x', unpack 'x108 N', $record),
		sprintf('CRC %08x', crc(substr $record, 0, 108)));
	gap(told($path), $UNKNOWN);
}

my %to_index = (
	'index.header' => sub { flip("$_[0]/cyrus.index", 90); '' },
	'index.truncated' => sub { truncate "$_[0]/cyrus.index", (-s "$_[0]/cyrus.index") - 1; '' },
	'index.missing' => sub { unlink "$_[0]/cyrus.index"; $ENOENT },
	'mailbox.missing' => sub { File::Path::remove_tree($_[0]); $ENOENT },
);

sub damage_index {
	my ($code, $dir) = @_;
	my $observed = $to_index{$code}->($dir);
	my ($object) = $code =~ /^(\w+)/;
	my $path = told($dir) . ($object eq 'index' ? '/cyrus.index' : '');
	found($code, $object, '', $path, '', $observed);
	gap($path, $UNREAD);
}

# A message whose record says that it is on the one partition, and which lies on the other.
sub misplace {
	my ($from, $to) = @_;
	my ($uid) = $from =~ m{(\d+)\.$};
	system('mv', $from, $to) == 0 or die "inject: mv\n";
	found('message.misplaced', "message:$uid", $uid, told($to), (sha1($to)) x 2);
}

sub run_damage {
	my ($root, $mount, $seed, $archive, $its_mount) = @_;
	%mounts = ($root => $mount, $archive ? ($archive => $its_mount) : ());
	srand $seed;
	my @dirs = mailboxes($root);
	@dirs >= 6 or die "inject: too few mailboxes\n";
	# One mailbox for each kind of damage that hides its messages; the fullest stays.
	@dirs = sort { -s "$b/cyrus.index" <=> -s "$a/cyrus.index" || $a cmp $b } @dirs;
	damage_index($_, pop @dirs) for sort keys %to_index;
	my @messages = map { my $dir = $_; map { [$dir, $_] } 1 .. (-s "$dir/cyrus.index") / $RECORD - 1 } @dirs;
	@messages = map {
		my ($dir, $uid) = @$_;
		my $there = $archive && $dir =~ s{^\Q$root\E/spool}{$archive}r;
		-s "$dir/$uid." ? [$dir, $uid] : $there && -s "$there/$uid." ? [$there, $uid] : ();
	} @messages;
	if ($archive) {
		my ($here) = grep { $_->[0] =~ /^\Q$root\E/ } @messages;
		my ($there) = grep { $_->[0] =~ /^\Q$archive\E/ and $_ != $here } @messages;
		@messages = grep { $_ != $here and $_ != $there } @messages;
		misplace("$here->[0]/$here->[1].", ("$here->[0]/$here->[1]." =~
			s{^\Q$root\E/spool}{$archive}r));
		misplace("$there->[0]/$there->[1].", ("$there->[0]/$there->[1]." =~
			s{^\Q$archive\E}{$root/spool}r));
	}
	for my $kind (sort(keys %to_message), sort keys %to_message) {
		my $victim = splice @messages, int rand @messages, 1;
		damage_message($kind, @$victim);
	}
	# Of the others: their records.
	for (1 .. 3) {
		my $victim = splice @messages, int rand @messages, 1;
		my $dir = $archive ? $victim->[0] =~ s{^\Q$archive\E}{$root/spool}r : $victim->[0];
		flip_record($dir, $victim->[1] - 1);
	}
}

# ---------------------------------------------------------------------- other shapes of stores

sub run_archive {
	my ($store, $archive) = @_;
	for my $dir (mailboxes($store)) {
		my $index = read_file("$dir/cyrus.index");
		my $there = $dir =~ s{^\Q$store\E/spool}{$archive}r;
		File::Path::make_path($there);
		for (my $nr = 0; $HEADER + $nr * $RECORD < length $index; $nr += 3) {
			my $uid = $nr + 1;
			patch_record(\$index, $nr, sub {
				substr($_[0], 32, 4) = pack 'N', unpack('x32 N', $_[0]) | $ARCHIVED;
			});
			system('mv', "$dir/$uid.", "$there/$uid.") == 0 or die "inject: mv\n";
		}
		write_file("$dir/cyrus.index", $index);
	}
}

sub run_link {
	my ($store) = @_;
	my ($from, $to) = mailboxes($store);
	my ($source, $index) = map { read_file("$_/cyrus.index") } $from, $to;
	my $count = (length($index) < length $source ? length $index : length $source) / $RECORD - 1;
	for my $nr (0 .. $count - 1) {
		my $uid = $nr + 1;
		patch_record(\$index, $nr, sub {
			substr($_[0], $_->[0], $_->[1]) = substr record($source, $nr), $_->[0], $_->[1]
				for [12, 4], [60, 20];
		});
		unlink "$to/$uid.";
		link "$from/$uid.", "$to/$uid." or die "inject: link: $!\n";
	}
	write_file("$to/cyrus.index", $index);
}

sub run_linked {
	my ($store, $mount) = @_;
	%mounts = ($store => $mount);
	my ($from, $to) = mailboxes($store);
	my ($path) = grep { (lstat)[3] == 2 } glob "$from/*.";
	my ($uid) = $path =~ m{(\d+)\.$};
	my $recorded = sha1($path);
	flip($path, 1);
	found('message.digest', "message:$uid", $uid, told("$_/$uid."), $recorded, sha1($path))
		for $from, $to;
}

my %runs = (
	damage => \&run_damage,
	archive => \&run_archive,
	link => \&run_link,
	linked => \&run_linked,
);
my $what = shift // '';
($runs{$what} // die "usage: inject.pl damage|archive|link|linked ...\n")->(@ARGV);

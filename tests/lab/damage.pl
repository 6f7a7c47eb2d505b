#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# Chooses and makes damage in a mail spool, the way a disk makes it: times stay as they were.
#
#   damage.pl count DIR...            number of live messages in these mailbox directories
#   damage.pl pick  DIR...            a victim: "DIR RECORD UID OFFSET" of the first one that fits
#   damage.pl flip  FILE OFFSET BIT   one bit; a second call undoes it
#   damage.pl cut   FILE BYTES        shorter by so many bytes
#   damage.pl text  FILE FROM TO      the last FROM in a file becomes TO; \xNN stands for a byte
#
# And the way a program with a fault makes it: what has a CRC is right again afterwards. OFFSET and
# LENGTH (4 or 8) are those of a number in the header of an index, or in the record of a UID;
# VALUE is the new number.
#
#   damage.pl header INDEX OFFSET LENGTH VALUE
#   damage.pl record INDEX UID OFFSET LENGTH VALUE
#   damage.pl seal   INDEX FILE       the index has the CRC of this cyrus.header
#   damage.pl keys   TWOSKIP VALUE    the header of a twoskip file announces so many keys
#
# A victim is a live message, not the first record of its index, whose file has one link only
# and whose mailbox has at least three live messages. RECORD counts from 1, OFFSET is where that
# record begins in cyrus.index. Reads indexes by its own few lines (version 10 to 19: flags at
# byte 32, big-endian), not by the program under test.
#
# Exit status: 0 done, else the message of die; `pick` dies when nothing fits.
use strict;
use warnings;
use Compress::Raw::Zlib ();

my $EXPUNGED = 0x80000000;

sub read_file {
	my ($path) = @_;
	open my $fh, '<:raw', $path or die "damage: $path: $!\n";
	local $/;
	my $bytes = <$fh>;
	return $bytes;
}

# The records of a mailbox that IMAP clients see.
sub live_records {
	my ($dir) = @_;
	my $index = read_file("$dir/cyrus.index");
	length $index >= 24 or die "damage: $dir/cyrus.index is too short\n";
	my (undef, undef, $version, $start, $size, $count) = unpack 'N6', $index;
	$version >= 10 && $version < 20 or die "damage: index version $version is not known\n";
	my @live;
	for my $record (1 .. $count) {
		my $offset = $start + ($record - 1) * $size;
		my ($uid, $flags) = unpack 'N x28 N', substr $index, $offset, $size;
		push @live, { dir => $dir, record => $record, uid => $uid, offset => $offset }
			unless $flags & $EXPUNGED;
	}
	return @live;
}

sub is_victim {
	my ($message) = @_;
	my @stat = stat "$message->{dir}/$message->{uid}." or return 0;
	return $message->{record} > 1 && $stat[3] == 1;
}

sub run_count {
	my $n = 0;
	$n += () = live_records($_) for @_;
	print "$n\n";
}

sub run_pick {
	for my $dir (@_) {
		my @live = live_records($dir);
		next if @live < 3;
		my ($victim) = grep { is_victim($_) } @live;
		next unless $victim;
		print join(' ', @$victim{qw(dir record uid offset)}), "\n";
		return;
	}
	die "damage: no mailbox has a message that fits\n";
}

# Changes a file in place and gives it its times back.
sub keep_times {
	my ($path, $change) = @_;
	my @stat = stat $path or die "damage: $path: $!\n";
	open my $fh, '+<:raw', $path or die "damage: $path: $!\n";
	$change->($fh, $stat[7]);
	close $fh or die "damage: $path: $!\n";
	utime $stat[8], $stat[9], $path or die "damage: $path: $!\n";
}

sub run_flip {
	my ($path, $offset, $bit) = @_;
	keep_times($path, sub {
		my ($fh, $size) = @_;
		$offset < $size or die "damage: $path ends before byte $offset\n";
		seek $fh, $offset, 0;
		read $fh, my $byte, 1;
		seek $fh, $offset, 0;
		print $fh chr(ord($byte) ^ (1 << $bit));
	});
}

sub run_cut {
	my ($path, $bytes) = @_;
	keep_times($path, sub {
		my ($fh, $size) = @_;
		$size > $bytes or die "damage: $path has only $size bytes\n";
		truncate $fh, $size - $bytes or die "damage: $path: $!\n";
	});
}

# Writes a file anew, into the same inode.
sub change_file {
	my ($path, $change) = @_;
	my $bytes = read_file($path);
	$change->($bytes) for $bytes;
	keep_times($path, sub {
		my ($fh) = @_;
		truncate $fh, 0 or die "damage: $path: $!\n";
		print $fh $bytes;
	});
}

sub run_text {
	my ($path, $from, $to) = @_;
	s/\\x([0-9a-f]{2})/chr hex $1/gie for $from, $to;
	change_file($path, sub {
		my $at = rindex $_[0], $from;
		$at >= 0 or die "damage: $path has no '$from'\n";
		substr $_[0], $at, length $from, $to;
	});
}

sub crc { return pack 'N', Compress::Raw::Zlib::crc32($_[0]) }

# A number into a block whose last four bytes are the CRC of those before, if it has one.
sub patch {
	my ($block, $offset, $length, $value, $has_crc) = @_;
	substr $block, $offset, $length, pack $length == 8 ? 'Q>' : 'N', $value;
	substr $block, -4, 4, crc(substr $block, 0, -4) if $has_crc;
	return $block;
}

sub run_header {
	my ($path, $offset, $length, $value) = @_;
	change_file($path, sub {
		my ($version, $start) = unpack 'x8 N2', $_[0];
		substr $_[0], 0, $start,
			patch(substr($_[0], 0, $start), $offset, $length, $value, $version >= 12);
	});
}

sub run_record {
	my ($path, $uid, $offset, $length, $value) = @_;
	change_file($path, sub {
		my ($version, $start, $size, $count) = unpack 'x8 N4', $_[0];
		for my $at (map { $start + $_ * $size } 0 .. $count - 1) {
			my $record = substr $_[0], $at, $size;
			next if $uid != unpack 'N', $record;
			substr $_[0], $at, $size, patch($record, $offset, $length, $value, $version >= 12);
			return;
		}
		die "damage: $path has no record of UID $uid\n";
	});
}

sub run_seal {
	my ($index, $header) = @_;
	run_header($index, 96, 4, unpack 'N', crc(read_file($header)));
}

sub run_keys {
	my ($path, $value) = @_;
	change_file($path, sub {
		substr $_[0], 0, 64, patch(substr($_[0], 0, 64), 32, 8, $value, 1);
	});
}

my %commands = (
	count => \&run_count,
	pick => \&run_pick,
	flip => \&run_flip,
	cut => \&run_cut,
	text => \&run_text,
	header => \&run_header,
	record => \&run_record,
	seal => \&run_seal,
	keys => \&run_keys,
);
my $name = shift @ARGV // '';
my $run = $commands{$name} or die "damage: unknown command '$name'\n";
$run->(@ARGV);

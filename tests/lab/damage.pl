#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# Chooses and makes damage in a mail spool, the way a disk makes it: times stay as they were.
#
#   damage.pl count DIR...            number of live messages in these mailbox directories
#   damage.pl pick  DIR...            a victim: "DIR RECORD UID OFFSET" of the first one that fits
#   damage.pl flip  FILE OFFSET BIT   one bit; a second call undoes it
#   damage.pl cut   FILE BYTES        shorter by so many bytes
#
# A victim is a live message, not the first record of its index, whose file has one link only
# and whose mailbox has at least three live messages. RECORD counts from 1, OFFSET is where that
# record begins in cyrus.index. Reads indexes by its own few lines (version 10 to 19: flags at
# byte 32, big-endian), not by the program under test.
#
# Exit status: 0 done, else the message of die; `pick` dies when nothing fits.
use strict;
use warnings;

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

my %commands = (count => \&run_count, pick => \&run_pick, flip => \&run_flip, cut => \&run_cut);
my $name = shift @ARGV // '';
my $run = $commands{$name} or die "damage: unknown command '$name'\n";
$run->(@ARGV);

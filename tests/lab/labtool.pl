#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# The lab's mail client: IMAP, LMTP and a generator of messages, core Perl only.
#
#   labtool.pl mkusers IMAP-PORT USER...                create users with folders
#   labtool.pl deliver LMTP-SOCKET N SEED SIZE USER...  deliver N messages by LMTP
#   labtool.pl churn   IMAP-PORT N SEED USER...         N random changes by IMAP
#   labtool.pl append  IMAP-PORT USER MAILBOX N SEED [OPTIONS]
#                                                       N small messages by IMAP; OPTIONS are
#                                                       those of APPEND, as (\\Seen) or a date
#   labtool.pl imap    IMAP-PORT USER COMMAND...        raw IMAP commands, answers printed
#   labtool.pl state   IMAP-PORT                        one STATUS line a mailbox, all users
#
# SIZE is "small" (text of a few KB) or "mixed" (with attachments, now and then 1 MB).
# SEED makes the choices repeatable; dates and message ids still follow the clock.
#
# The servers accept any password. An administrator has no read right on users' mailboxes,
# so whatever looks into a mailbox logs in as its user.
#
# Exit status: 0 done, 1 an IMAP command of `imap` was refused, else the message of die.
use strict;
use warnings;

# ------------------------------------------------------------------- an IMAP connection
package Imap;
use IO::Socket::INET;

# Connects to a port on the loopback and logs in.
sub new {
	my ($class, $port, $user) = @_;
	my $sock = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port, Timeout => 20)
		or die "labtool: connect to port $port: $!\n";
	my $self = bless { sock => $sock, count => 0 }, $class;
	$self->line;
	my ($status) = $self->cmd(qq(LOGIN "$user" "x"));
	$status eq 'OK' or die "labtool: login of $user: $status\n";
	return $self;
}

# One response line, literals included.
sub line {
	my ($self) = @_;
	my $line = readline($self->{sock});
	defined $line or die "labtool: the IMAP server closed the connection\n";
	my $all = $line;
	while ($line =~ /\{(\d+)\}\r?\n\z/) {
		my ($left, $literal) = ($1, '');
		while ($left > 0) {
			my $n = read($self->{sock}, $literal, $left, length $literal);
			$n or die "labtool: the IMAP server closed inside a literal\n";
			$left -= $n;
		}
		$line = readline($self->{sock});
		defined $line or die "labtool: the IMAP server closed after a literal\n";
		$all .= $literal . $line;
	}
	return $all;
}

# Sends one command, feeds its literals, returns (status, untagged lines, text).
sub cmd {
	my ($self, $command, @literals) = @_;
	my $tag = 't' . ++$self->{count};
	my $sock = $self->{sock};
	my @untagged;
	print $sock "$tag $command\r\n";
	while (1) {
		my $line = $self->line;
		if ($line =~ /^\+/) {
			print $sock shift(@literals), "\r\n";
		} elsif ($line =~ /^$tag (\S+) ?(.*?)\r?\n/s) {
			return ($1, \@untagged, $2);
		} else {
			push @untagged, $line;
		}
	}
}

sub bye {
	my ($self) = @_;
	eval { $self->cmd('LOGOUT') };
	close $self->{sock};
}

# ------------------------------------------------------------------- an LMTP connection
package Lmtp;
use IO::Socket::UNIX;

# Connects to lmtpd's unix socket, where every client is trusted.
sub new {
	my ($class, $path) = @_;
	my $sock = IO::Socket::UNIX->new(Peer => $path) or die "labtool: connect to $path: $!\n";
	my $self = bless { sock => $sock }, $class;
	$self->reply;
	$self->ask('LHLO lab');
	return $self;
}

# The last line of one (perhaps multi-line) reply.
sub reply {
	my ($self) = @_;
	my $line;
	do {
		$line = readline($self->{sock});
		defined $line or die "labtool: the LMTP server closed the connection\n";
	} while ($line =~ /^\d+-/);
	return $line;
}

sub ask {
	my ($self, $text) = @_;
	my $sock = $self->{sock};
	print $sock "$text\r\n";
	return $self->reply;
}

# Delivers one message to all recipients; complains about those that refuse it.
sub send {
	my ($self, $message, @to) = @_;
	my ($sock, $accepted) = ($self->{sock}, 0);
	my $line = $self->ask('MAIL FROM:<lab@example.org>');
	$line =~ /^250/ or die "labtool: MAIL: $line";
	for my $to (@to) {
		$line = $self->ask("RCPT TO:<$to>");
		if ($line =~ /^250/) { $accepted++ } else { warn "labtool: RCPT $to: $line" }
	}
	return unless $accepted;
	$line = $self->ask('DATA');
	$line =~ /^354/ or die "labtool: DATA: $line";
	$message =~ s/^\./../mg;
	print $sock $message, ".\r\n";
	for (1 .. $accepted) {
		$line = $self->reply;
		$line =~ /^250/ or warn "labtool: delivery: $line";
	}
}

# ------------------------------------------------------------------- made-up messages
package Message;
use MIME::Base64 ();
use POSIX ();

my @WORDS = qw(
	about after again all also always and another any are around back because before below
	between both bring by call came can carry change city close come could country cut day
	did different do does down each earth eat end enough even every example eye far father
	few find first follow food for found four from get give go good great group grow had hand
	hard has have head hear help here high home house how if important in into it just keep
	kind know land large last late learn leave left letter life light like line list little
	live long look made make many may mean might more most mother mountain move much must
	name near need never new next night now number of off often old on once one only open
	other our out over own page paper part people place plant point read right river road
	school sea second see sentence set she should side small some soon sound spell start
	state still stop story study such take talk tell than that the them then there they thing
	think this thought three through time together too took tree turn two under until up use
	very walk want watch water way we well went were what when where which while white who
	why will with without word work world would write year you young your);
my @SENDERS = ('Ana Kovac', 'Bram de Vries', 'Chloe Martin', 'Dmitri Ivanov', 'Eva Lindqvist',
	'Farid Haddad', 'Grace Okafor', 'Hiro Tanaka', 'Ines Silva', 'Jon Baker');
my $made = 0;

sub words {
	my ($n) = @_;
	return join ' ', map { $WORDS[rand @WORDS] } 1 .. $n;
}

# A paragraph of 20 to 99 words in lines of at most 70 bytes.
sub paragraph {
	my ($text, $line) = ('', '');
	for my $word (split / /, words(20 + int rand 80)) {
		if (length($line) + length($word) > 70) {
			$text .= "$line\r\n";
			$line = '';
		}
		$line .= ($line ? ' ' : '') . $word;
	}
	return "$text$line.\r\n\r\n";
}

# Base64 lines of n random bytes.
sub random_base64 {
	my ($n) = @_;
	my $bytes = pack 'N*', map { int rand 4294967295 } 1 .. $n / 4 + 1;
	return MIME::Base64::encode_base64(substr($bytes, 0, $n), "\r\n");
}

# Headers up to, but without, Content-Type.
sub header {
	my ($to, $seed) = @_;
	my $name = $SENDERS[rand @SENDERS];
	(my $address = lc $name) =~ s/\W+/./g;
	my $when = time - int rand 86400 * 30;
	my $date = POSIX::strftime('%a, %d %b %Y %H:%M:%S +0000', gmtime $when);
	my $subject = rand() < 0.1 ? "=?UTF-8?Q?R=C3=A9union_n=C2=B0$made?="
		: ucfirst words(3 + int rand 6);
	my $id = sprintf '%d.%d.%06d.%d@example.org', time, $$, $made, $seed;
	my $relay = '192.0.2.' . (1 + int rand 250);
	return join "\r\n",
		"Return-Path: <$address\@example.org>",
		"Received: from mx1.example.org (mx1.example.org [$relay])",
		"\tby mail.example.net (Postfix) with ESMTPS id " . sprintf('%010X', rand 2**39),
		"\tfor <$to\@example.net>; $date",
		"From: \"$name\" <$address\@example.org>",
		"To: $to\@example.net",
		"Subject: $subject",
		"Date: $date",
		"Message-ID: <$id>",
		'MIME-Version: 1.0',
		"X-Mailer: labtool\r\n";
}

sub plain_part {
	my ($text) = @_;
	return "Content-Type: text/plain; charset=us-ascii\r\n\r\n$text";
}

sub alternative_part {
	my ($text, $boundary) = @_;
	return join "\r\n",
		"Content-Type: multipart/alternative; boundary=\"$boundary\"", '',
		"--$boundary",
		'Content-Type: text/plain; charset=utf-8',
		'Content-Transfer-Encoding: quoted-printable', '',
		"Caf=C3=A9 - $text",
		"--$boundary",
		'Content-Type: text/html; charset=utf-8', '',
		"<html><body><p>$text</p></body></html>",
		"--$boundary--\r\n";
}

sub attachment_part {
	my ($bytes) = @_;
	return join "\r\n",
		"Content-Type: application/pdf; name=\"report-$made.pdf\"",
		"Content-Disposition: attachment; filename=\"report-$made.pdf\"",
		'Content-Transfer-Encoding: base64', '',
		random_base64($bytes);
}

# Bytes of the attachment: most messages have none, a few have nearly a megabyte.
sub attachment_size {
	my ($size) = @_;
	return 0 if $size eq 'small';
	my $r = rand();
	return $r < 0.60 ? 0 : $r < 0.85 ? 20_000 : $r < 0.97 ? 90_000 : 700_000;
}

# A whole message to one user.
sub make {
	my ($to, $seed, $size) = @_;
	$made++;
	my $header = header($to, $seed);
	my $text = join '', map { paragraph() } 1 .. 2 + int rand 5;
	my $bytes = attachment_size($size);
	return $header . plain_part($text) if !$bytes && rand() < 0.6;
	my $boundary = "=_b$made-$seed-" . int rand 1e9;
	my $body = alternative_part($text, "$boundary-a");
	return $header . $body unless $bytes;
	return join "\r\n",
		$header . "Content-Type: multipart/mixed; boundary=\"$boundary\"", '',
		"--$boundary",
		$body,
		"--$boundary",
		attachment_part(int($bytes * (0.5 + rand))),
		"--$boundary--\r\n";
}

# ------------------------------------------------------------------- the commands
package main;

my @FOLDERS = ('Sent', 'Drafts', 'Trash', 'Archive', 'Archive/2023', 'Archive/2024',
	'Projects', 'Projects/Alpha', 'Projects/Beta', 'Projects/Caf&AOk-');

# Creates each user that is not there yet, with a quota and the folders above, subscribed.
sub run_mkusers {
	my ($port, @users) = @_;
	@users or return 0;
	my $admin = Imap->new($port, 'cyrus');
	for my $user (@users) {
		my ($status, undef, $text) = $admin->cmd(qq(CREATE "user/$user"));
		next if $status eq 'NO' && $text =~ /exists/i;
		$status eq 'OK' or die "labtool: create $user: $status $text\n";
		$admin->cmd(qq(SETQUOTA "user/$user" (STORAGE 1000000)));
		my $imap = Imap->new($port, $user);
		for my $folder (@FOLDERS) {
			($status, undef, $text) = $imap->cmd(qq(CREATE "INBOX/$folder"));
			$status eq 'OK' or warn "labtool: create $user $folder: $status $text\n";
			$imap->cmd(qq(SUBSCRIBE "INBOX/$folder"));
		}
		$imap->bye;
		print "user $user\n";
	}
	$admin->bye;
	return 0;
}

# Delivers to random users of the list; one message in sixteen goes to two of them.
sub run_deliver {
	my ($socket, $n, $seed, $size, @users) = @_;
	@users or return 0;
	srand($seed);
	my $bytes = 0;
	my $lmtp = Lmtp->new($socket);
	for (1 .. $n) {
		my @to = ($users[rand @users]);
		push @to, grep { $_ ne $to[0] } $users[rand @users] if rand() < 0.06;
		my $message = Message::make($to[0], $seed, $size);
		$bytes += length $message;
		$lmtp->send($message, @to);
	}
	$lmtp->ask('QUIT');
	print "delivered $n messages, $bytes bytes\n";
	return 0;
}

# One random change in the INBOX of one user; returns what it did.
sub churn_once {
	my ($imap, $user, $seed) = @_;
	my (undef, $lines) = $imap->cmd('SELECT INBOX');
	my ($exists) = map { /^\* (\d+) EXISTS/ ? $1 : () } @$lines;
	my $folder = 'INBOX/' . $FOLDERS[rand @FOLDERS];
	my $r = rand;
	if (!$exists || $r < 0.25) {
		my $message = Message::make($user, $seed, 'small');
		my $length = length $message;
		$imap->cmd(qq(APPEND "$folder" (\\Seen) {$length}), $message);
		return 'append';
	}
	my $number = 1 + int rand $exists;
	if ($r < 0.6) {
		my $flag = ('\\Seen', '\\Flagged', '\\Answered', '$Forwarded')[rand 4];
		$imap->cmd("STORE $number +FLAGS ($flag)");
		return 'flag';
	}
	if ($r < 0.8) {
		$imap->cmd(qq(MOVE $number "$folder"));
		return 'move';
	}
	if ($r < 0.9) {
		$imap->cmd(qq(COPY $number "$folder"));
		return 'copy';
	}
	$imap->cmd("STORE $number +FLAGS (\\Deleted)");
	$imap->cmd('EXPUNGE');
	return 'expunge';
}

# Each change has its own connection, as phones do it.
sub run_churn {
	my ($port, $n, $seed, @users) = @_;
	@users or return 0;
	srand($seed);
	my %done;
	for (1 .. $n) {
		my $user = $users[rand @users];
		my $imap = Imap->new($port, $user);
		$done{ churn_once($imap, $user, $seed) }++;
		$imap->bye;
	}
	print 'churn: ', join(' ', map { "$_=$done{$_}" } sort keys %done), "\n";
	return 0;
}

sub run_append {
	my ($port, $user, $mailbox, $n, $seed, $options) = @_;
	srand($seed);
	$mailbox =~ s/(["\\])/\\$1/g;
	$options = defined $options ? "$options " : '';
	my $imap = Imap->new($port, $user);
	for (1 .. $n) {
		my $message = Message::make($user =~ s/@.*//r, $seed, 'small');
		my $length = length $message;
		my ($status, undef, $text) =
			$imap->cmd(qq(APPEND "$mailbox" $options\{$length}), $message);
		$status eq 'OK' or die "labtool: append to $mailbox: $status $text\n";
	}
	$imap->bye;
	return 0;
}

sub run_imap {
	my ($port, $user, @commands) = @_;
	my $refused = 0;
	my $imap = Imap->new($port, $user);
	for my $command (@commands) {
		my ($status, $lines, $text) = $imap->cmd($command);
		print @$lines, "$status $text\n";
		$refused = 1 if $status ne 'OK';
	}
	$imap->bye;
	return $refused;
}

# The names of all users, by the administrator's eyes.
sub list_users {
	my ($port) = @_;
	my $admin = Imap->new($port, 'cyrus');
	my (undef, $lines) = $admin->cmd('LIST "" "user/%"');
	$admin->bye;
	return map { m{^\* LIST \([^)]*\) "[^"]*" "?user/([^"\r\n/]+)"?\r?\n} ? $1 : () } @$lines;
}

# One line a mailbox: user and its STATUS. (MAILBOXID is left out: 3.6.1 returns garbage.)
sub run_state {
	my ($port) = @_;
	my $items = 'MESSAGES UIDNEXT UIDVALIDITY UNSEEN HIGHESTMODSEQ';
	for my $user (list_users($port)) {
		my $imap = Imap->new($port, $user);
		my (undef, $lines) = $imap->cmd('LIST "" "*"');
		my $seen = 0;
		for my $line (@$lines) {
			my ($flags, $name) = $line =~ /^\* LIST \(([^)]*)\) "[^"]*" (.*?)\r?\n/ or next;
			next if $flags =~ /noselect|nonexist/i;
			$seen++;
			my ($status, $answer, $text) = $imap->cmd("STATUS $name ($items)");
			my $shown = $status eq 'OK' ? $answer->[0] : "$name $status $text";
			$shown =~ s/\r?\n//;
			print "$user $shown\n";
		}
		$seen or print "$user has no visible mailbox\n";
		$imap->bye;
	}
	return 0;
}

my %commands = (
	mkusers => \&run_mkusers,
	deliver => \&run_deliver,
	churn => \&run_churn,
	append => \&run_append,
	imap => \&run_imap,
	state => \&run_state,
);
my $name = shift @ARGV // '';
my $run = $commands{$name} or die "labtool: unknown command '$name'\n";
exit $run->(@ARGV);

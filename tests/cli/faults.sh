#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# faults.sh: a disk that fails. An ext4 filesystem with a store lies on a real block device, a loop
# device over a file that nbdkit serves, whose bad sectors are known to the byte. A scan must find
# exactly the messages that have one, on both roads and with both engines, and say which sectors.
# Then a device that is slow, one that fails now and then, and one that vanishes.
#
# What is expected follows from the block maps that debugfs prints, and from nothing of assay.
# shellcheck disable=SC2016 # the filters are jq's, not the shell's
# shellcheck disable=SC2317 # called by check
set -u -o pipefail
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

# shellcheck source=device.sh
. "$(dirname "$0")/device.sh"

# --------------------------------------------------------------------- the device

# NAME FILTER PARAMETER...: such a device, or a failure that is counted.
with_device() {
	local name=$1
	shift
	stop_device
	start_device "$@" && mount -t ext4 -o ro,noload "$LOOP" "$WORK/mnt" && return
	not_ok "$name: there is such a device" "$(tail -n 2 "$WORK/nbdkit.log" | tr '\n' ' ')"
	return 1
}

# --------------------------------------------------------------------- the store on it

# $WORK/messages: path on the mounted filesystem, size, and the blocks that hold it, in the order of
# the disk.
build_image() {
	"$MKSPOOL" "$WORK/tree" --messages 300 --mailboxes 6 --seed 39 --size lognormal &&
		sed -i "s|$WORK/tree|$WORK/mnt|" "$WORK/tree/imapd.conf" &&
		mke2fs -q -t ext4 -b 4096 -O metadata_csum -d "$WORK/tree" "$WORK/fs.img" 32M &&
		find "$WORK/tree/spool" -name '[0-9]*.' -printf 'blocks /%P\n' |
		sed 's|^blocks /|&spool/|' >"$WORK/commands" || return
	find "$WORK/tree/spool" -name '[0-9]*.' -printf '/spool/%P %s\n' >"$WORK/sizes"
	debugfs -f "$WORK/commands" "$WORK/fs.img" 2>/dev/null | perl -ne '
		BEGIN { open my $f, "<", shift or die; %size = map { split } <$f>; $mnt = shift }
		if (/^debugfs: blocks (\S+)/) { $path = $1; next }
		my @blocks = split;
		die "$path" if @blocks != int(($size{$path} + 4095) / 4096);
		push @all, [$blocks[0], "$mnt$path $size{$path} @blocks\n"];
		END { print map { $_->[1] } sort { $a->[0] <=> $b->[0] } @all }' \
		"$WORK/sizes" "$WORK/mnt" >"$WORK/messages" || return
	[ "$(wc -l <"$WORK/messages")" = 300 ]
}

# Chooses the bad sectors: $WORK/bad has a word for the case, offset and length a line, in bytes of
# the device.
choose_bad_sectors() {
	perl -ne '
		my ($path, $size, @blocks) = split;
		push @m, { size => $size, blocks => \@blocks };
		$in_message{$_} = $. for @blocks;
		sub bad {
			my ($case, $message, $off, $len) = @_;
			my $block = $message->{blocks}[$off / 4096];
			print "$case ", $block * 4096 + $off % 4096, " $len\n";
			$seen{$case} = 1;
			$used{$message} = 1;
		}
		sub first_from { # the first one behind so many that will do
			my ($i, $will_do) = @_;
			for (; $i < @m; $i++) {
				return $m[$i] if !$used{$m[$i]} and $will_do->(%{$m[$i]});
			}
			die "no message is fit";
		}
		END {
			%m = ();
			bad("first", first_from(20, sub { 1 }), 0, 512);
			my $tail = first_from(50, sub { my %x = @_; $x{size} % 4096 });
			bad("last", $tail, int(($tail->{size} - 1) / 512) * 512, 512);
			my $long = first_from(80, sub { my %x = @_; $x{size} > 65536 });
			bad("middle", $long, int($long->{size} / 2 / 512) * 512, 512);
			my $longest = first_from(0, sub { my %x = @_; $x{size} > 1 << 20 });
			bad("two", $longest, 0x4b200, 1024);
			bad("two", $longest, 0x100600, 1536);
			my $slack = first_from(110, sub {
				my %x = @_; $x{size} % 4096 > 0 and $x{size} % 4096 <= 3072 });
			bad("slack", $slack, int($slack->{size} / 4096) * 4096 + 3584, 512);
			for my $i (140 .. $#m) { # 64 KiB that hold nothing but three messages or more
				my $block = $m[$i]{blocks}[0] + 1;
				my %here = map { ($in_message{$_} // 0) => 1 } $block .. $block + 15;
				next if $here{0} or keys %here < 3 or grep { $used{$m[$_ - 1]} } keys %here;
				print "many ", $block * 4096, " 65536\n";
				last;
			}
		}' "$WORK/messages" >"$WORK/bad" && [ "$(wc -l <"$WORK/bad")" = 7 ]
}

write_map() {
	sort -n -k2 "$WORK/bad" | cut -d ' ' -f 2- | write_bad_map
}

# $WORK/expected: a line for each message with a bad sector: its path, and the LBA of each range of
# them. $WORK/spared: paths of the messages whose blocks have bad sectors that are not theirs.
write_expected() {
	perl -e '
		open my $bad, "<", shift or die;
		while (<$bad>) {
			my ($case, $off, $len) = split;
			$is_bad{$_} = $case for $off / 512 .. ($off + $len) / 512 - 1;
		}
		open my $spared, ">", shift or die;
		while (<>) {
			my ($path, $size, @blocks) = split;
			my (@starts, $before, $slack);
			for my $i (0 .. @blocks * 8 - 1) {
				my $lba = $blocks[$i / 8] * 8 + $i % 8;
				next unless $is_bad{$lba};
				if ($i * 512 >= $size) { $slack = 1; next }
				push @starts, $lba unless defined $before and $before == $lba - 1;
				$before = $lba;
			}
			print "$path @starts\n" if @starts;
			print $spared "$path\n" if $slack and !@starts;
		}' "$WORK/bad" "$WORK/spared" "$WORK/messages" >"$WORK/expected" &&
		[ "$(wc -l <"$WORK/expected")" -ge 7 ] && [ "$(wc -l <"$WORK/spared")" -ge 1 ]
}

# --------------------------------------------------------------------- scans

# STATE ARGS...: a scan of the store on the device.
scan_device() {
	local state=$1
	shift
	call scan s1@h --config "$CONF" --state "$WORK/state.$state" --json "$@"
}

# The messages told, each with the LBAs in its detail, as in $WORK/expected.
told() {
	jq -r 'select(.type == "finding") | [.path, (.detail // "" |
		scan("LBA ([0-9]+) of \($loop)\\b")[0])] | join(" ")' --arg loop "$LOOP" "$OUT"
}

# NAME ORDER ARGS...: each message with a bad sector is unreadable, with its sectors, and no other.
finds_the_sectors() {
	local name=$1 order=$2
	shift 2
	scan_device "$name" "$@"
	expect_exit "$name: exit 1" 1
	expect_json "$name: nothing but message.unreadable is found" \
		'found | length > 0 and all(.code == "message.unreadable")'
	sort "$WORK/expected" >"$WORK/wanted"
	told | sort >"$WORK/told"
	if cmp -s "$WORK/wanted" "$WORK/told"; then
		ok "$name: each message with a bad sector, and the LBAs of all of them"
	else
		not_ok "$name: each message with a bad sector, and the LBAs of all of them" \
			"$(diff "$WORK/wanted" "$WORK/told" | head -n 4 | tr '\n' ' ')"
	fi
	expect_json "$name: the run is complete, without a gap" \
		'summary | .status == "complete" and .gaps == 0 and
			.messages + .findings == 300'
	expect_json "$name: it was read that way" 'summary.roads | length == 1 and
		.[0].order == $order and (.[0].engine == "pread" or ($args | test("pread") | not))' \
		--arg order "$order" --arg args "$*"
}

test_bad_sectors() {
	with_device "bad sectors" ddrescue ddrescue-mapfile="$WORK/map" || return
	check "a bad sector is one" "it can be read" test "$(dd if="$LOOP" of=/dev/null bs=512 \
		iflag=direct skip=$(($(awk '{ print $2; exit }' "$WORK/bad") / 512)) count=1 \
		2>&1 | grep -c 'Input/output error')" = 1
	finds_the_sectors "block order" block
	expect_json "block order: no message went the other way" \
		'summary.roads[0] | .as_files == 0 and .bad_sectors > 0'
	finds_the_sectors "block order, pread" block --engine pread
	finds_the_sectors "file order" file --order file
	finds_the_sectors "file order, pread" file --order file --engine pread
}

test_slow() {
	with_device "a slow device" delay rdelay=100ms || return
	scan_device slow
	expect_exit "a slow device: exit 0" 0
	expect_json "a slow device: the run is complete" \
		'summary | .status == "complete" and .messages == 300 and .gaps == 0'
}

# Serves the image; of the reads that touch one of some offsets the first fails, or the first two.
# $3 and $4 are length and offset.
PREAD='
	for off in $(cat "$WORK/passing"); do
		[ $4 -le $off ] && [ $off -lt $(($4 + $3)) ] || continue
		for i in $(seq $(cat "$WORK/times")); do
			if mkdir "$WORK/failed/$off.$i" 2>/dev/null; then
				echo "EIO this time" >&2
				exit 1
			fi
		done
	done
	dd if="$WORK/fs.img" iflag=skip_bytes,count_bytes skip=$4 count=$3 bs=1M status=none'

# Errors that pass: whatever they make a scan say, it is not that a message cannot be read.
test_passing() { # ORDER TIMES
	local name="errors that pass, $1 order, each $2"
	rm -rf "$WORK/failed" && mkdir "$WORK/failed"
	[ "$2" = once ] && echo 1 >"$WORK/times" || echo 2 >"$WORK/times"
	scan_device "passing.$1.$2" --order "${1/block/auto}"
	check "$name: there were some" "no read has failed" \
		test "$(find "$WORK/failed" -name '*.1' | wc -l)" -gt 10
	expect_json "$name: nothing but message.flaky is found" \
		'found | all(.code == "message.flaky")'
	expect_json "$name: of no more messages than there were errors" \
		'found | length <= ($n | tonumber)' --arg n "$(wc -l <"$WORK/passing")"
	expect_json "$name: the run is complete, without a gap" 'summary | .status == "complete" and
		.gaps == 0 and .messages + .findings == 300 and .roads[0].order == $order' \
		--arg order "$1"
	if [ "$1" = block ]; then
		expect_json "$name: they are counted" 'summary.roads[0] | .retried + .bad_sectors > 0'
	fi
}

test_all_passing() {
	awk 'NR % 25 == 20 { print $3 * 4096 }' "$WORK/messages" >"$WORK/passing"
	echo 0 >"$WORK/times"
	with_device "errors that pass" "" get_size="stat -c %s '$WORK/fs.img'" \
		pread="WORK='$WORK'; $PREAD" || return
	test_passing block once
	test_passing block twice
	test_passing file once
	test_passing file twice
}

kib_read() { awk '{ print int($3 / 2) }' "/sys/block/${LOOP#/dev/}/stat"; }

has_read() { [ "$(kib_read)" -ge "$1" ]; } # KIB

# The server of the device is killed when a scan has read the first part of it.
test_vanishing() { # ORDER
	local name="a device that vanishes, $1 order" began=$SECONDS pid
	with_device "$name" delay rdelay=1ms || return
	timeout -k 5 40 "$ASSAY" scan s1@h --config "$CONF" --state "$WORK/state.vanishing.$1" \
		--json --bandwidth 2M --order "${1/block/auto}" >"$OUT" 2>"$ERR" </dev/null &
	pid=$!
	wait_until has_read $(($(kib_read) + 2048))
	kill -KILL "$SERVER"
	wait "$SERVER"
	wait $pid
	RC=$?
	check "$name: the scan ends" "after $((SECONDS - began)) s" test $((SECONDS - began)) -lt 30
	check "$name: it is not clean" "exit $RC" test "$RC" = 1 -o "$RC" = 2
	expect_json "$name: it is said as a gap" 'gaps | length > 0'
	expect_json "$name: the run is not complete" \
		'summary | .status == "incomplete" and .gaps > 0 and .messages < 300'
	[ "$1" = block ] || return
	expect_exit "$name: exit 2" 2
	expect_json "$name: no message is blamed for it" 'found == []'
	expect_json "$name: it is said by name" 'gaps |
		any(.path == $loop and (.why | test("device has gone")))' --arg loop "$LOOP"
}

# --------------------------------------------------------------------- the script

write_store_conf() {
	cat >"$CONF" <<-END
		[policy]
		settle = 50ms
		[store s1@h]
		imapd_conf = $WORK/mnt/imapd.conf
		role = master
	END
}

begin faults
trap stop_and_cleanup EXIT
if [ "$(id -u)" != 0 ]; then
	skip "all" "only root can mount"
	finish
fi
need nbdkit nbdfuse fusermount3 losetup mountpoint mke2fs debugfs
if [ ! -c /dev/fuse ] || ! losetup --find >/dev/null 2>&1; then
	skip "all" "there is no FUSE or no loop device here"
	finish
fi
if [ ! -x "$MKSPOOL" ]; then
	skip "all" "no program at $MKSPOOL"
	finish
fi
mkdir "$WORK/mnt" "$WORK/nbd"
write_store_conf
check "a store in an ext4 image" "mkspool, mke2fs or debugfs" build_image
check "bad sectors for it" "no message is fit" choose_bad_sectors
check "what follows from them" "it is not as planned" write_expected
write_map
sleep 1.2 # what was changed a moment ago is not read in the order of the disk
test_bad_sectors
test_slow
test_all_passing
# The shell has its say about what was killed.
test_vanishing block 2>>"$WORK/shell.log"
test_vanishing file 2>>"$WORK/shell.log"
stop_device
finish

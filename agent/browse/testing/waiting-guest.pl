#!/usr/bin/perl
# In QEMU's place: a guest that waits, says what it resumed from, and can be saved.
use strict;
use IO::Handle;
use IO::Socket::UNIX;

my $args = "@ARGV";
# Longer than what a socket holds.
my $state = "state of a guest\n" x 100_000;
my $folder = $0 =~ s{/[^/]+$}{}r;
if ($args eq "--version") { print "QEMU emulator version ", -e "$folder/upgraded" ? "11.1.3" : "7.2.22", "\n"; exit }

sub faulty { return -e "$folder/$_[0]" }
sub noted { open(my $log, ">>", "$folder/log/starts") or die; print $log "$_[0]\n"; close $log }

open(my $port, "+<&=", 4) or die;
$port->autoflush;
sub say_it { my ($text) = @_; syswrite($port, pack("CN", 1, length $text) . $text) }
sub hear { sysread($port, my $head, 5) == 5 or exit; my (undef, $n) = unpack("CN", $head); sysread($port, my $text, $n); return $text }

# As QEMU 11, which takes no `fd:` of a file, and QEMU 7, which knows no `file:`.
my $way = faulty("upgraded") ? qr{-add-fd fd=(\d+),set=0 -incoming file:/dev/fdset/0} : qr{-incoming fd:(\d+)};
if ($args =~ /-incoming/) {
  noted("resumed");
  $args =~ $way or exit 5;
  sleep 600 if faulty("hangs");
  open(my $saved, "<&=", $1) or die;
  my $all = do { local $/; <$saved> };
  exit 3 if faulty("cannot-resume") || $all ne $state;
} else {
  noted($args =~ /chardev=monitor/ ? "saved" : "started");
  say_it('{"wake":"waiting"}');
}

if ($args =~ /socket,id=monitor,fd=(\d+)/) {
  open(my $monitor, "+<&=", $1) or die;
  $monitor->autoflush;
  print $monitor "{\"QMP\":{}}\n";
  while (my $line = <$monitor>) {
    my ($id) = $line =~ /"id":(\d+)/;
    my $return = "{}";
    $return = faulty("cannot-save") ? '{"status":"failed"}' : '{"status":"completed"}' if $line =~ /query-migrate/;
    my ($path) = $line =~ m{"uri":"unix:([^"]+)"};
    my $socket = $path && (IO::Socket::UNIX->new(Peer => $path) || die "$path: $!");
    print $monitor "{\"return\":$return,\"id\":$id}\n";
    next unless $socket;
    sleep 600 if faulty("hangs");
    print $socket $state;
    close $socket;
  }
  exit;
}
hear() =~ /"wake":"begin"/ or exit 4;
say_it('{"wake":"begun"}');
sleep 600;

# Plays systemd for one service: holds the listening socket, hears its notifications, starts it anew.
#
#   perl service_manager.pl SOCKET LOG COMMAND…
#
# SIGHUP: ends the service, waits, starts it again. SIGTERM: ends it and itself. LOG gets a line for
# each start ("started PID"), notification ("READY=1") and end ("ended STATUS"). No modules beyond
# Perl's core.
use strict;
use warnings;
use Errno;
use Fcntl;
use IO::Handle;
use POSIX ();
use Socket;

my ($path, $log_path, @command) = @ARGV;
open(my $log, '>>', $log_path) or die "$log_path: $!";
$log->autoflush(1);
$^F = 3;    # descriptors above are closed on exec

socket(my $listener, AF_UNIX, SOCK_STREAM, 0) or die "socket: $!";
bind($listener, pack_sockaddr_un($path)) or die "$path: $!";
listen($listener, 1024) or die "listen: $!";
socket(my $notices, AF_UNIX, SOCK_DGRAM, 0) or die "socket: $!";
bind($notices, pack_sockaddr_un("$path.notify")) or die "$path.notify: $!";

my ($again, $end) = (0, 0);
$SIG{HUP}  = sub { $again = 1 };
$SIG{TERM} = sub { $end   = 1 };

sub start {
    my $pid = fork();
    die "fork: $!" unless defined $pid;
    if ($pid == 0) {
        POSIX::dup2(fileno($listener), 3);
        fcntl($listener, F_SETFD, 0) if fileno($listener) == 3;
        $ENV{LISTEN_PID}     = $$;
        $ENV{LISTEN_FDS}     = 1;
        $ENV{LISTEN_FDNAMES} = 'apiversion-server.socket';
        $ENV{NOTIFY_SOCKET}  = "$path.notify";
        exec @command or POSIX::_exit(127);
    }
    print $log "started $pid\n";
    return $pid;
}

sub hear {    # SECONDS
    my $set = '';
    vec($set, fileno($notices), 1) = 1;
    while (select(my $ready = $set, undef, undef, $_[0]) > 0) {
        recv($notices, my $text, 256, 0);
        print $log "$text\n";
    }
}

my $pid = start();
my $give_up = time() + 300;
while (!$end && time() < $give_up) {
    hear(0.05);
    if ($again || waitpid($pid, POSIX::WNOHANG()) == $pid) {
        if ($again) {
            kill 'TERM', $pid;
            waitpid($pid, 0);
        }
        $again = 0;
        my $status = $?;
        hear(0);
        print $log "ended $status\n";
        $pid = start();
    }
}
kill 'TERM', $pid;
waitpid($pid, 0);
my $status = $?;
hear(0);
print $log "ended $status\n";
unlink $path, "$path.notify";

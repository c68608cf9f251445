#!/usr/bin/env bash
# The Debian package over its life, in a copy of this system that is thrown away (an overlay): installed, enabled, upgraded
# while the service runs and is asked without a pause, removed, purged. systemd is played by a program that holds the socket,
# as systemd does; what the package tells systemctl is written down.
#
#   tests/packaging/upgrade_test.sh OLD NEW SERVER     two directories with packages, and who asks (packages_test.sh calls it)
set -euo pipefail
cd "$(dirname "$0")/../.."
[ $# -eq 3 ] || { sed -n 6p "$0" >&2; exit 2; }
skip() {
    echo "SKIPPED - $1: no package was installed"
    exit 0
}
[ "$(id -u)" = 0 ] || skip 'not root'
for tool in dpkg dpkg-deb dpkg-shlibdeps deb-systemd-helper unshare chroot python3; do
    command -v "$tool" >/dev/null || skip "$tool is not here"
done
! dpkg -s apiversion-server >/dev/null 2>&1 || skip 'the package is installed here already'
dir=$(mktemp -d)
pids=
finish() {
    for pid in $pids; do kill "$pid" 2>/dev/null || true; done
    rm -rf --one-file-system "$dir"
}
trap finish EXIT
mkdir "$dir/upper" "$dir/work" "$dir/root"
if [ -z "${IN_OVERLAY:-}" ]; then
    unshare -m sh -c 'mount -t overlay overlay -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" "$1/root"' sh "$dir" 2>/dev/null || skip 'no overlay can be mounted'
    cp -r "$1" "$dir/deb1"
    cp -r "$2" "$dir/deb2"
    cp "$3" "$dir/client"
    rm -r "$dir/work" && mkdir "$dir/work"
    IN_OVERLAY=$dir unshare -m "$0" "$@"
    exit
fi

# --- in the overlay ---
rm -r --one-file-system "$dir"
dir=$IN_OVERLAY
trap 'for pid in $pids; do kill "$pid" 2>/dev/null && wait "$pid" || true; done' EXIT
mount -t overlay overlay -o "lowerdir=/,upperdir=$dir/upper,workdir=$dir/work" "$dir/root"
root=$dir/root
mount --bind /proc "$root/proc"
passed=0
yes() { # TEXT COMMAND…
    local text=$1
    shift
    "$@" || { echo "not ok - $text: $*"; cat "$dir/out" 2>/dev/null; exit 1; }
    passed=$((passed + 1))
    echo "ok - $text"
}
in_root() ( exec chroot "$root" /usr/bin/env LC_ALL=C DEBIAN_FRONTEND=noninteractive PATH=/usr/sbin:/usr/bin:/sbin:/bin "$@" )
package() { in_root dpkg --force-confold "$@" >"$dir/out" 2>&1; }
said() { cat "$root/said" 2>/dev/null; }
links() { find "$root/etc/systemd/system" -name 'apiversion-server*' | sort; }

cp "$dir"/deb1/apiversion-server_*.deb "$root/1.deb"
cp "$dir"/deb2/apiversion-server_*.deb "$root/2.deb"
cp "$dir"/deb1/libkongpdk-dev_*.deb "$root/dev.deb"
mkdir -p "$root/run/systemd/system" "$root/run/lock"
for tool in systemctl deb-systemd-invoke; do
    cat >"$root/usr/bin/$tool" <<EOT
#!/bin/sh
echo "$tool \$*" >>/said
[ "\$*" != 'try-restart apiversion-server.service' ] || { kill -USR1 \$(cat /manager.pid) && while [ ! -e /restarted ]; do sleep 0.02; done; }
EOT
    chmod 755 "$root/usr/bin/$tool"
done

yes 'it is installed' package -i /1.deb
yes 'and enabled by nobody' test -z "$(links)"
yes 'and nothing is started' test -z "$(said | grep -v 'daemon-reload')"
# as systemctl enable does it
for link in sockets.target.wants/apiversion-server.socket multi-user.target.wants/apiversion-server.service; do
    mkdir -p "$root/etc/systemd/system/${link%/*}"
    ln -s "/usr/lib/systemd/system/${link#*/}" "$root/etc/systemd/system/$link"
done
enabled=$(links)
yes 'an administrator enables it' test "$(wc -l <<<"$enabled")" -ge 2

# systemd's part: the socket is held over a restart of the service.
cat >"$root/manager.py" <<'EOT'
import os, signal, socket, subprocess, sys, time
parent = os.getppid()
listener = socket.socket(socket.AF_UNIX)
listener.bind("/run/apiversion-server.socket")
listener.listen(128)
fd = listener.detach()
if fd != 3:
    os.dup2(fd, 3)
os.set_inheritable(3, True)

def start():
    command = ["/bin/sh", "-c", "LISTEN_FDS=1 LISTEN_PID=$$ exec /usr/bin/apiversion-server"]
    process = subprocess.Popen(command, close_fds=False)
    with open("/service.pid", "w") as file:
        file.write(str(process.pid))
    return process

def restart(*_):
    global running
    running.terminate()
    running.wait()
    running = start()
    open("/restarted", "w").close()

def end(*_):
    running.terminate()
    running.wait()
    sys.exit(0)

running = start()
signal.signal(signal.SIGUSR1, restart)
signal.signal(signal.SIGTERM, end)
with open("/manager.pid", "w") as file:
    file.write(str(os.getpid()))
while os.getppid() == parent: # it ends with the test, however that ends
    time.sleep(0.2)
end()
EOT
# not by in_root: the pid must be the program's
chroot "$root" /usr/bin/python3 /manager.py </dev/null >"$dir/service.log" 2>&1 &
manager=$!
pids=$manager
for _ in $(seq 3000); do [ ! -s "$root/manager.pid" ] || break; sleep 0.02; done
served() { "$dir/client" --status --socket "$root/run/apiversion-server.socket" >/dev/null 2>&1; }
for _ in $(seq 3000); do ! served || break; sleep 0.02; done
# as Kong: over connections that stay, and by HTTP; PROTOCOL is what is asked of the server
requests() { # PROTOCOL
    mkdir "$dir/$1"
    tests/packaging/requests.sh "$root/run/apiversion-server.socket" "$dir/client" "$dir/$1" --protocol "$1" >"$dir/$1/out" 2>&1 &
    pids="$pids $!"
}
hundreds() { wc -l 2>/dev/null <"$dir/$1/sent" || echo 0; }
two_hundred_more() { # PROTOCOL
    local from
    from=$(hundreds "$1")
    for _ in $(seq 3000); do [ "$(hundreds "$1")" -lt $((from + 2)) ] || return 0; sleep 0.02; done
    cat "$dir/$1/out" && return 1
}
all_marked() { # PROTOCOL
    local sent
    sent=$(($(hundreds "$1") * 100))
    [ "$(grep -c '^HTTP/1.1 200' "$dir/$1/heads")" = $sent ] && [ "$(tr -d '\r' <"$dir/$1/heads" | grep -ic '^version: 0\.1$')" = $sent ] && echo "# $sent requests"
}
protocols='ProtoBuf:1 MsgPack:1'
if ! PATH=$PATH:/usr/sbin command -v nginx >/dev/null || ! command -v curl >/dev/null; then
    echo 'SKIPPED - no nginx or curl: nobody asked the server while it was upgraded'
    protocols=
fi
for protocol in $protocols; do requests $protocol; done
for protocol in $protocols; do yes "$protocol: requests are answered" two_hundred_more $protocol; done
yes 'it is upgraded while it serves' package -i /2.deb
for protocol in $protocols; do yes "$protocol: requests go on after the upgrade" two_hundred_more $protocol; done
for protocol in $protocols; do : >"$dir/$protocol/stop"; done
for pid in $pids; do [ "$pid" = "$manager" ] || wait "$pid" || true; done
pids=$manager
for protocol in $protocols; do yes "$protocol: no request is lost, all are marked" all_marked $protocol; done
yes 'the service was restarted, the socket was not' test "$(said | grep -c 'try-restart apiversion-server.service') $(said | grep -c 'start.*socket' || true)" = '1 0'
yes 'it is the new program that serves' test "$(readlink "/proc/$(cat "$root/service.pid")/exe")" = "$root/usr/bin/apiversion-server"
yes 'the new version is installed' grep -q '^Version: 0.1+git2.test$' <(in_root dpkg -s apiversion-server)
yes 'it is still enabled' test "$(links)" = "$enabled"

echo '# changed' >>"$root/etc/logrotate.d/apiversion-server"
yes 'it is removed' package -r apiversion-server
yes 'and is stopped before' grep -q 'stop apiversion-server.socket apiversion-server.service' <(said)
yes 'what an administrator changed stays' test -e "$root/etc/logrotate.d/apiversion-server"
yes 'it comes again as it was' package -i /2.deb
yes 'enabled, too' test "$(links)" = "$enabled"
mkdir -p "$root/var/log/private/apiversion-server" # as systemd makes it, for --log-file
ln -s private/apiversion-server "$root/var/log/apiversion-server"
: >"$root/var/log/apiversion-server/x.log"
yes 'it is purged' package -P apiversion-server
left=$(find "$root"/etc "$root"/usr "$root"/var/lib "$root"/var/log "$root"/lib -xdev -name '*apiversion-server*' 2>/dev/null || true)
yes "nothing of it is left${left:+: $left}" test -z "$left"

# --- The package for authors: a plugin, its test, the tools ---
mount --bind /dev "$root/dev"
missing=$(in_root dpkg -i /dev.deb 2>&1 | sed -n 's/^ libkongpdk-dev depends on \([^;]*\);.*/\1/p' | tr '\n' ' ')
if [ -n "$missing" ]; then
    echo "SKIPPED - libkongpdk-dev was not installed: its dependencies did not come as packages here: $missing"
    in_root dpkg -P --force-depends libkongpdk-dev >/dev/null 2>&1
else
    yes 'libkongpdk-dev is installed' grep -q '^Status: install ok installed$' <(in_root dpkg -s libkongpdk-dev)
    mkdir "$root/author"
    sed -e 's/@NAME@/hello/g' -e 's/@ID@/hello/g' server/template/plugin.c.in >"$root/author/hello.c"
    sed -e 's/@NAME@/hello/g' -e 's/@ID@/hello/g' server/template/test_plugin.c.in >"$root/author/test_hello.c"
    author() { in_root sh -ec "cd /author && $1" >"$dir/out" 2>&1; }
    yes 'a plugin is compiled against it' author 'cc hello.c $(pkg-config --cflags --libs kong-pdk) -o hello && ./hello --dump | grep "\"hello\"" >/dev/null'
    yes 'statically too' author 'cc hello.c $(pkg-config --cflags --libs kong-pdk-static) -o hello-static && ./hello-static --dump'
    if in_root pkg-config --exists cmocka; then
        yes 'its test passes' author 'cc test_hello.c $(pkg-config --cflags --libs kong-pdk-test cmocka) -o test_hello && ./test_hello'
    fi
    yes 'kong-pdk-load measures it' author 'kong-pdk-load --seconds 0.1 --warmup 0 ./hello && kong-pdk-load --help'
    if in_root which nginx curl >/dev/null; then
        yes 'kong-pdk-demo shows it' author 'kong-pdk-demo ./hello | grep -c "X-Greeting: hello, .*set by the plugin" | grep -x 2 >/dev/null'
    fi
    rm "$root"/author/* && rmdir "$root/author"
    yes 'libkongpdk-dev is purged' package -P libkongpdk-dev
    left=$(find "$root"/etc "$root"/usr "$root"/var/lib "$root"/lib -xdev \( -name '*kongpdk*' -o -name '*kong-pdk*' \) 2>/dev/null || true)
    yes "nothing of it is left${left:+: $left}" test -z "$left"
fi
echo "$passed passed, 0 failed"

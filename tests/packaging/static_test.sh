#!/usr/bin/env bash
# make STATIC=1: does the binary need nothing but the kernel? In an empty root it serves both protocols, and finds users
# and groups in the root's own files.
#
#   static_test.sh BINARY LOAD-TOOL
set -euo pipefail
cd "$(dirname "$0")/../.."
binary=$1
load=$2
root=$(mktemp -d)
server=
cleanup() {
    [ -z "$server" ] || kill -KILL "$server" 2>/dev/null || true
    rm -rf --one-file-system "$root"
}
trap cleanup EXIT
passed=0
check() { # TEXT COMMAND…
    local text=$1
    shift
    if "$@"; then
        passed=$((passed + 1))
        echo "ok - $text"
    else
        echo "not ok - $text ($*)"
        [ ! -s "$root/log" ] || sed 's/^/    /' "$root/log"
        exit 1
    fi
}
finish() {
    echo "$passed passed, 0 failed"
    exit 0
}

strip -o "$root/apiversion-server" "$binary"
interpreter() { readelf -W -l "$1" | grep INTERP >/dev/null; }
check 'it names no loader' eval '! interpreter "$binary"'
check 'it is position independent' eval 'readelf -h "$binary" | grep "Type: *DYN" >/dev/null'
check 'it is below 1.8 MB, stripped' test "$(stat -c %s "$root/apiversion-server")" -lt 1800000

# a root of one's own: as root, or in a user namespace
if [ "$(id -u)" = 0 ]; then
    into=(chroot)
elif unshare --user --map-root-user true 2>/dev/null; then
    into=(unshare --user --map-root-user chroot)
else
    echo 'SKIPPED: neither root nor user namespaces here: the binary was not run in an empty root'
    finish
fi
# what stands there but the binary: a place for the socket, and names that only this root has
mkdir "$root/run" "$root/etc"
echo 'root:x:0:0::/:/none' >"$root/etc/passwd"
{
    echo 'root:x:0:'
    echo 'a-group-of-this-root:x:0:nobody'
} >"$root/etc/group"
inside() { "${into[@]}" "$root" /apiversion-server "$@"; }

check 'the dump comes out of an empty root' eval 'inside --dump | grep "\"api-version\"" >/dev/null'
"${into[@]}" "$root" /apiversion-server --socket /run/s --socket-mode 0660 --socket-group a-group-of-this-root --supervise=no 2>"$root/log" &
server=$!
for ((i = 0; i < 3000; i++)); do
    [ ! -S "$root/run/s" ] || break
    sleep 0.02
done
check 'it listens, and knows the group' test -S "$root/run/s"
for protocol in protobuf msgpack; do
    check "it serves $protocol" "$load" --socket "$root/run/s" --protocol $protocol \
        --connections 4 --events 1000
done
check 'its status can be asked for' eval 'inside --status --socket /run/s | grep api-version >/dev/null'
kill -TERM "$server"
status=0
wait "$server" || status=$?
server=
check 'it ends in order' test "$status" = 0
check 'its socket is gone' test ! -e "$root/run/s"
refused() {
    local status=0
    inside --socket /run/s --socket-group no-such-group >"$root/said" 2>&1 || status=$?
    grep -q no-such-group "$root/said" && [ "$status" != 0 ] && [ "$(wc -l <"$root/said")" = 1 ]
}
check 'a group that the root does not have is one line' refused
finish

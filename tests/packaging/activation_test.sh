#!/usr/bin/env bash
# The server managed by systemd: its socket comes from outside. Through systemd-socket-activate where that is
# installed, and through a small manager (service_manager.pl) that starts the server anew under load; the requests are
# HTTP, by nginx with Lua in Kong's place. And the units, by systemd-analyze.
#
#   tests/packaging/activation_test.sh [BINARY]

. "$(dirname "${BASH_SOURCE[0]}")/../gateway/gateway.sh"

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
BINARY=${1:-$HERE/../../build/apiversion-server}
[ -x "$BINARY" ] || gw_fail "$BINARY: not there: build it first"
BINARY=$(realpath "$BINARY")
UNITS=$HERE/../../server/packaging/systemd

passed=0
failed=0
skipped=0

yes() { # TEXT COMMAND…
    local text=$1
    shift
    if "$@"; then
        passed=$((passed + 1))
        printf 'ok - %s\n' "$text"
    else
        failed=$((failed + 1))
        printf 'not ok - %s\n#   failed: %s\n' "$text" "$*"
    fi
}

is() { # TEXT EXPECTED ACTUAL
    yes "$1 (${3//$'\n'/ | })" test "$2" = "$3"
}

skip() {
    skipped=$((skipped + 1))
    printf 'SKIPPED - %s\n' "$1"
}

version_header() {
    curl -sS -m 20 -o /dev/null -D - "$GW_URL/hello" 2>&1 | tr -d '\r' | sed -n 's/^[Vv]ersion: //p'
}

child_of() {
    cut -d' ' -f1 "/proc/$1/task/$1/children" 2>/dev/null
}

another_child() { # OLD: the supervisor started another
    local now
    now=$(child_of "$GW_SERVER_PID")
    [ -n "$now" ] && [ "$now" != "$1" ]
}

# --- systemd-socket-activate ---------------------------------------------------------------------------

# It listens, and becomes the server when the first connection comes.
activate() { # OPTION-OF-SOCKET-ACTIVATE… -- ARG…
    local options=()
    while [ "$1" != -- ]; do
        options+=("$1")
        shift
    done
    shift
    systemd-socket-activate "${options[@]}" "$BINARY" "$@" >>"$GW_PREFIX/server.log" 2>&1 &
    GW_SERVER_PID=$!
    GW_SERVERS+=("$GW_SERVER_PID")
}

by_socket_activate() {
    local inode child
    activate -l "$GW_SOCKET" -- --socket /nowhere/at-all.socket
    gw_wait test -S "$GW_SOCKET"
    inode=$(gw_inode)
    gw_config '{}'
    gw_start 1 "$BINARY"
    is 'socket-activate: the first request starts the server and is marked' 0.1 "$(version_header)"
    is 'socket-activate: the second too' 0.1 "$(version_header)"
    is 'socket-activate: the file is the one that was there' "$inode" "$(gw_inode)"
    yes 'socket-activate: the log says so' grep -q "serves at $GW_SOCKET, passed by" "$GW_PREFIX/server.log"
    kill -TERM "$GW_SERVER_PID"
    wait "$GW_SERVER_PID"
    is 'socket-activate: SIGTERM, status 0' 0 $?
    is 'socket-activate: the file is left alone' "$inode" "$(gw_inode)"
    gw_end
    rm -f "$GW_SOCKET"

    activate -l "$GW_SOCKET" -- --supervise yes
    gw_wait test -S "$GW_SOCKET"
    gw_start 1 "$BINARY"
    is 'socket-activate, --supervise: marked' 0.1 "$(version_header)"
    child=$(child_of "$GW_SERVER_PID")
    yes 'socket-activate, --supervise: there is a child' kill -KILL "$child"
    gw_wait another_child "$child"
    is 'socket-activate, --supervise: the child was killed, the next request is marked' 0.1 "$(version_header)"
    yes 'socket-activate, --supervise: the socket is still there' test -S "$GW_SOCKET"
    gw_end
    rm -f "$GW_SOCKET"
}

refused() { # TEXT WORDS WHERE OPTION…: the server, once connected to, says so in one line and ends with 1
    local text=$1 words=$2 where=$3 status
    shift 3
    : >"$GW_PREFIX/server.log"
    activate "$@" --
    gw_wait knock "$where"
    wait "$GW_SERVER_PID"
    status=$?
    is "socket-activate, $text: status" 1 "$status"
    is "socket-activate, $text: one line" 1 "$(grep -c '^apiversion-server: the s' "$GW_PREFIX/server.log")"
    yes "socket-activate, $text: which says why" grep -q "$words" "$GW_PREFIX/server.log"
    rm -f "$GW_SOCKET" "$GW_SOCKET.2"
}

knock() { # once connected to, the server may end before anything is sent
    case $1 in
    */*) perl -MSocket -e 'socket(S, AF_UNIX, $ARGV[1] eq "dgram" ? SOCK_DGRAM : SOCK_STREAM, 0);
            connect(S, pack_sockaddr_un($ARGV[0])) or exit 1; send(S, "x", MSG_NOSIGNAL)' "${1%:*}" "${1##*:}" 2>/dev/null ;;
    *) gw_listens "$1" ;;
    esac
}

bad_sockets() {
    local port
    port=$(gw_free_port)
    refused 'a TCP socket' 'not a Unix socket' "$port" -l "127.0.0.1:$port"
    refused 'a datagram socket' 'not a stream socket' "$GW_SOCKET:dgram" --datagram -l "$GW_SOCKET"
    refused 'two sockets' 'passed 2 sockets (one:two), one can be served' "$GW_SOCKET:stream" \
        -l "$GW_SOCKET" -l "$GW_SOCKET.2" --fdname=one:two
}

# --- Started anew under load ---------------------------------------------------------------------------

manager_log() {
    grep -cs "$1" "$GW_PREFIX/manager.log" || true
}

said() { # PATTERN COUNT
    [ -e "$GW_PREFIX/manager.log" ] && [ "$(manager_log "$1")" -ge "$2" ]
}

load() { # DIR: requests, 10 at a time, until DIR/stop is there
    while [ ! -e "$1/stop" ]; do
        curl -sS -m 60 --no-progress-meter -Z --parallel-immediate --parallel-max 10 -D - -o /dev/null \
            "$GW_URL/load/[1-100]" >>"$1/heads" 2>>"$1/errors"
        echo 100 >>"$1/sent"
    done
}

has_sent() { # DIR COUNT
    [ -e "$1/sent" ] && [ $(($(wc -l <"$1/sent") * 100)) -ge "$2" ]
}

restarts() {
    local i sent loader dir=$GW_PREFIX/load
    : >"$GW_PREFIX/server.log"
    perl "$HERE/service_manager.pl" "$GW_SOCKET" "$GW_PREFIX/manager.log" "$BINARY" >>"$GW_PREFIX/server.log" 2>&1 &
    GW_SERVER_PID=$!
    GW_SERVERS+=("$GW_SERVER_PID")
    gw_wait said '^READY=1$' 1
    is 'READY=1 is sent' 1 "$(manager_log '^READY=1$')"
    gw_start 2 "$BINARY"
    mkdir "$dir"
    load "$dir" &
    loader=$!
    gw_wait test -s "$dir/heads"
    for i in 1 2 3; do
        kill -HUP "$GW_SERVER_PID"
        gw_wait said '^READY=1$' $((i + 1))
        gw_wait has_sent "$dir" $((i * 200)) # the next server has requests, too
    done
    : >"$dir/stop"
    wait "$loader"
    sent=$(wc -l <"$dir/sent")
    sent=$((sent * 100))
    is "started anew three times under load of $sent requests: all 200" "$sent" "$(grep -c '^HTTP/1.1 200' "$dir/heads")"
    is 'started anew three times under load: all marked' "$sent" \
        "$(tr -d '\r' <"$dir/heads" | grep -ic '^version: 0\.1$')"
    is 'each server said READY=1' 4 "$(manager_log '^READY=1$')"
    is 'each that ended said STOPPING=1' 3 "$(manager_log '^STOPPING=1$')"
    is 'and ended with status 0' 3 "$(manager_log '^ended 0$')"
    gw_end
    is 'the last one too' 4 "$(manager_log '^ended 0$')"
}

# --- The units -----------------------------------------------------------------------------------------

units() {
    local dir=$GW_PREFIX/units
    mkdir "$dir"
    cp "$UNITS/apiversion-server.socket" "$dir/"
    sed "s|@bindir@|$(dirname "$BINARY")|" "$UNITS/apiversion-server.service.in" >"$dir/apiversion-server.service"
    # the manual is not installed here
    if systemd-analyze verify --man=no "$dir/apiversion-server.service" "$dir/apiversion-server.socket" >"$dir/said" 2>&1 &&
        ! grep -q 'apiversion-server' "$dir/said"; then
        yes 'systemd-analyze verify: the units are in order' true
    else
        yes "systemd-analyze verify: $(<"$dir/said")" false
    fi
    if systemd-analyze security --offline=yes --threshold=25 "$dir/apiversion-server.service" >"$dir/said" 2>&1; then
        yes "systemd-analyze security: $(grep -o 'Overall exposure.*' "$dir/said" | tr -d '→' | cut -d: -f2 | cut -c1-5) of 10" true
    else
        yes "systemd-analyze security: $(tail -n 3 "$dir/said")" false
    fi
}

gw_open
gw_config '{}'
if command -v systemd-socket-activate >/dev/null; then
    by_socket_activate
    bad_sockets
else
    skip 'systemd-socket-activate is not installed: the server was not started by it (package systemd)'
fi
restarts
if command -v systemd-analyze >/dev/null; then
    units
else
    skip 'systemd-analyze is not installed: the units were not checked (package systemd)'
fi
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]

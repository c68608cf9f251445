#!/usr/bin/env bash
# The server process on another architecture: both protocols, asked by a client of this one.
#
#   tests/other/server_test.sh SERVER LOAD-TOOL [EMULATOR ARGUMENT…]
set -euo pipefail
server=$1 load=$2
shift 2
emulator=("$@")
dir=$(mktemp -d)
pid=
cleanup() {
    [ -z "$pid" ] || kill -KILL "$pid" 2>/dev/null || true
    rm -rf --one-file-system "$dir"
}
trap cleanup EXIT
passed=0

yes() { # TEXT COMMAND…
    local text=$1
    shift
    if ! "$@" >"$dir/out" 2>&1; then
        echo "not ok - $text: $*"
        cat "$dir/out" "$dir/log" 2>/dev/null
        exit 1
    fi
    passed=$((passed + 1))
    echo "ok - $text"
}

says() { # PATTERN ARGUMENT…
    local pattern=$1
    shift
    "${emulator[@]}" "$server" "$@" >"$dir/said" 2>&1
    grep -q -- "$pattern" "$dir/said"
}

starts() { # ARGUMENT…
    local i
    "${emulator[@]}" "$server" --socket "$dir/s" "$@" 2>"$dir/log" &
    pid=$!
    for ((i = 0; i < 3000; i++)); do
        [ ! -S "$dir/s" ] || return 0
        kill -0 "$pid" 2>/dev/null || return 1
        sleep 0.02
    done
    return 1
}

ends() {
    local status=0
    kill -TERM "$pid"
    wait "$pid" || status=$?
    pid=
    [ "$status" = 0 ] && [ ! -e "$dir/s" ]
}

yes 'the dump names the plugin' says '"api-version"' --dump
for options in --supervise=no --supervise=yes '--supervise=no --threads=2'; do
    # shellcheck disable=SC2086 # words
    yes "$options: it listens" starts $options
    for protocol in protobuf msgpack; do
        yes "$options: it serves $protocol" "$load" --socket "$dir/s" --protocol $protocol --connections 4 --events 500
    done
    yes "$options: its status can be asked for" says api-version --status --socket "$dir/s"
    yes "$options: it ends in order, its socket is gone" ends
done
echo "$passed passed, 0 failed"

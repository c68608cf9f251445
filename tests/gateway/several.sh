#!/usr/bin/env bash
# Three plugins in one process (tests/unit/common/three.h) behind nginx with Lua in Kong's place, over both protocols:
# each request goes through all of them, and a crash of one leaves the others served.
#
#   tests/gateway/several.sh THREE-SERVER KONG-PDK-LOAD
#
# One line a check; at the end "N passed, N failed". GW_KEEP=1 keeps the directory with nginx's and the server's logs.

. "$(dirname "${BASH_SOURCE[0]}")/gateway.sh"

BINARY=${1:?the plugin server three_server}
load=${2:?the tool kong-pdk-load}
[ -x "$BINARY" ] || gw_fail "$BINARY: not there: build it first"
BINARY=$(realpath "$BINARY")
GW_PLUGINS='three-rough three-open three-closed' # not in Kong's order

passed=0
failed=0
scene=

is() { # TEXT EXPECTED ACTUAL
    if [ "$2" = "$3" ]; then
        passed=$((passed + 1))
        printf 'ok - %s: %s\n' "$scene" "$1"
    else
        failed=$((failed + 1))
        printf 'not ok - %s: %s\n#   expected: %s\n#   got:      %s\n' "$scene" "$1" "$2" "$3"
        tail -n 5 "$GW_PREFIX/server.log" | sed 's/^/#   the server: /'
        tail -n 5 "$GW_PREFIX/error.log" | sed 's/^/#   the gateway: /'
    fi
}

# CURL-OPTION…: "STATUS FIRST SECOND THIRD": the answer, and the header of each plugin, "-" where it has set none
answer() {
    curl -sS -m 30 -D - -o /dev/null "$@" "$GW_URL/hello" 2>>"$GW_PREFIX/curl.err" | tr -d '\r' | awk '
        NR == 1 { status = $2 }
        { header[tolower($1)] = $2 }
        function of(name) { return name in header ? header[name] : "-" }
        END { print status, of("x-first:"), of("x-second:"), of("x-third:") }'
}

# PLUGIN: its events so far
started() {
    "$BINARY" --status --json --socket "$GW_SOCKET" | tr -d ' \n' |
        sed -E -n "s/.*\"$1\":\{[^{}]*\"EventsStarted\":([0-9]+).*/\1/p"
}

begin() { # PROTOCOL
    scene=$1
    : >"$GW_PREFIX/server.log"
    gw_config '{}'
    gw_server_start "$BINARY" --supervise yes
    gw_start 1 "$BINARY" --protocol "$1"
}

said() { # TEXT: how many lines of the server's log have it
    grep -c "$1" "$GW_PREFIX/server.log"
}

each_has_its_own() {
    local name
    is "a request goes through all of them" '200 first 1 first' "$(answer)"
    is "each keeps its own data" '200 first 2 first' "$(answer)"
    is "each has an instance of its own" 3 "$(grep -c 'started for configuration' "$GW_PREFIX/error.log")"
    is "one that fails closed ends the request in its turn" '500 first - -' "$(answer -H 'X-Fail: 1')"
    for name in three-open:3 three-closed:3 three-rough:2; do
        is "the figures of ${name%:*} are its own" "${name#*:}" "$(started "${name%:*}")"
    done
    gw_config '{"word": "other"}'
    is "a configuration changes for all" '200 other 3 other' "$(answer)"
    gw_config '{}'
}

# The request is sent again, which crashes the next process, too. Then the third one is left out of it, for it fails open.
a_crash() {
    is "a crash of the third: the others have marked the answer" '200 first 4 -' "$(answer -H 'X-Crash: 1')"
    is "a crash of the third: it has cost two processes" 2 "$(said 'was killed by signal')"
    is "a crash of the third: told of under its name" 2 "$(said 'while three-rough ran access')"
    is "a crash of the third: and no other's" 0 "$(said 'while three-\(open\|closed\) ran')"
    is "then all three are served, by a process that begins anew" '200 first 1 first' "$(answer)"
    is "and again" '200 first 2 first' "$(answer)"
}

command -v curl >/dev/null || gw_fail "curl is not installed: run tests/install-deps.sh demo"
gw_open
export THREE_PROTOCOL=any # of the third, which else needs MsgPack:1
for protocol in ProtoBuf:1 MsgPack:1; do
    begin "$protocol"
    each_has_its_own
    a_crash
    gw_end
done
scene='kong-pdk-demo'
for name in three-open:X-First three-rough:X-Third; do
    "$GW_HERE/kong-pdk-demo" --protocol MsgPack:1 --config '{"word": "shown"}' "$BINARY" -- --plugin "${name%:*}" >"$GW_PREFIX/demo" 2>&1
    is "shows ${name%:*}" "${name#*:}: shown" "$(sed -n "s/.*< \(${name#*:}: [a-z]*\).*/\1/p" "$GW_PREFIX/demo")"
done
scene='kong-pdk-load'
"$load" --seconds 0.1 --warmup 0 "$BINARY" -- --plugin three-closed >"$GW_PREFIX/load" 2>&1
is "measures three-closed" 'three-closed 1.1, phase access, configuration {}' "$(head -n 1 "$GW_PREFIX/load")"
"$load" --protocol ProtoBuf:1 -H 'X-Crash: 1' "$BINARY" -- --plugin three-rough >"$GW_PREFIX/load" 2>&1
is "says that the handler may have crashed, and where to look" \
    "kong-pdk-load: the first event failed: the server closed the connection, as when a handler crashes: kong-pdk-demo shows the server's log" \
    "$(tail -n 1 "$GW_PREFIX/load")"
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]

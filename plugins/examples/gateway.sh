# shellcheck shell=bash
# What the tests of the examples through nginx share; to be sourced. Their argument is the plugin's server.
#
#   needs COMMAND PACKAGE       ends the script, SKIPPED, where the command is not here
#   on_both SCENE               calls SCENE PROTOCOL for each protocol, in a gateway of its own
#   is TEXT EXPECTED ACTUAL     a check
#   request CURL-OPTION…        $status, and the response in $GW_PREFIX/head and body
#   header NAME                 a header's values in that response (NAME in lower case)
#   summary                     the last line; status 1 when a check has failed
#
# Beside what tests/gateway/gateway.sh says.

. "$(dirname "${BASH_SOURCE[0]}")/../../tests/gateway/gateway.sh"

BINARY=${1:?the server to test}
passed=0
failed=0
scene=

needs() {
    command -v "$1" >/dev/null && return
    echo "SKIPPED: $(basename "$BINARY"): no $1 here (Debian: $2)"
    exit 0
}

is() {
    if [ "$2" = "$3" ]; then
        passed=$((passed + 1))
        printf 'ok - %s: %s\n' "$scene" "$1"
    else
        failed=$((failed + 1))
        printf 'not ok - %s: %s\n#   expected: %s\n#   got:      %s\n' "$scene" "$1" "$2" "$3"
    fi
}

request() {
    : >"$GW_PREFIX/head"
    : >"$GW_PREFIX/body"
    status=$(curl -sS -m 30 -D "$GW_PREFIX/head" -o "$GW_PREFIX/body" -w '%{http_code}' "$@" 2>&1)
}

header() {
    tr -d '\r' <"$GW_PREFIX/head" |
        awk -v name="$1" '{ at = index($0, ":") }
            at > 0 && tolower(substr($0, 1, at - 1)) == name { print substr($0, at + 2) }'
}

on_both() {
    local protocol
    for protocol in ProtoBuf:1 MsgPack:1; do
        scene=$protocol
        : >"$GW_PREFIX/server.log"
        gw_config '{}'
        gw_server_start "$BINARY"
        gw_start 2 "$BINARY" --protocol "$protocol"
        "$1" "$protocol"
        gw_end
        is "no sanitizer complains" "" "$(grep -E 'Sanitizer|runtime error:' "$GW_PREFIX/server.log" | head -n 3)"
    done
}

summary() {
    printf '%d passed, %d failed\n' "$passed" "$failed"
    [ "$failed" -eq 0 ]
}

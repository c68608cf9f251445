#!/usr/bin/env bash
# Shows a plugin server at work on real HTTP: nginx with Lua plays Kong's part, in front of a small
# upstream; curl sends requests.
#
#   tests/gateway/demo.sh [--stay] [--server BINARY] [--config FILE] [--protocol P] [--port N]
#                         [-- OPTION…]
#
#   --server BINARY   the plugin server (default: build/apiversion-server)
#   --config FILE     its plugin's configuration, a JSON object (default: {}, the schema's defaults)
#   --protocol P      ProtoBuf:1 or MsgPack:1 (default: both, one after the other; with --stay what
#                     the server advertises)
#   --stay            leaves all running and says what to type
#   --port N          the gateway's port (default: a free one)
#   -- OPTION…        options for the server's dump, e.g. -- --phases access,response
#
# For api-version it also checks what it shows: status 1 when the header is not there.

. "$(dirname "${BASH_SOURCE[0]}")/gateway.sh"

BINARY=$GW_HERE/../../build/apiversion-server
config='{}'
protocol=
stay=
while [ $# -gt 0 ]; do
    case $1 in
    --stay) stay=1 ;;
    --server) BINARY=$2 && shift ;;
    --config) config=$(tr -d '\n' <"$2") && shift || exit 1 ;;
    --protocol) protocol=$2 && shift ;;
    --port) GW_WANT_PORT=$2 && shift ;;
    --) shift && break ;;
    *) sed -n '2,18s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" && exit 2 ;;
    esac
    shift
done
options=("$@")
[ -x "$BINARY" ] || gw_fail "$BINARY is not there: build it first (make)"
BINARY=$(realpath "$BINARY")

bold='' green='' plain=''
if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then
    bold=$'\e[1m' green=$'\e[1;32m' plain=$'\e[0m'
fi

# KEY: that value of the dump's first plugin, as it stands there
dumped() {
    "$BINARY" --dump "${options[@]}" 2>/dev/null | tr -d '\n' |
        sed -E -n "s/.*\"$1\" *: *(\"([^\"]*)\"|\[([^]]*)\]|([-0-9]+)).*/\2\3\4/p" | tr -d '" '
}

# One request with curl; the response's headers that the upstream alone does not send are marked.
show() {
    local direct=$GW_PREFIX/direct line name
    curl -sS -m 10 -o /dev/null -D "$direct" "http://127.0.0.1:$GW_UPSTREAM_PORT/hello"
    printf '%s%s, configuration %s%s\n\n' "$bold" "$1" "$2" "$plain"
    curl -sSv -m 10 "$GW_URL/hello" 2>&1 >"$GW_PREFIX/body" | tr -d '\r' | grep '^[<>] .' \
        >"$GW_PREFIX/head"
    while IFS= read -r line; do
        name=${line#< }
        name=${name%%:*}
        if [[ $line == '< '*:* ]] && ! grep -qi "^$name:" "$direct"; then
            printf '  %s%-46s%s <- set by the plugin\n' "$green" "$line" "$plain"
        else
            printf '  %s\n' "$line"
        fi
    done <"$GW_PREFIX/head"
}

wanted=0
found=0
expect() { # HEADER LINE
    wanted=$((wanted + 1))
    if grep -qix "< $1" "$GW_PREFIX/head"; then
        found=$((found + 1))
    else
        printf '  %sMISSING: %s%s\n' "$bold" "$1" "$plain"
    fi
}

start() { # PROTOCOL or nothing
    GW_SERVER_ARGS=("${options[@]}" ${1:+--protocol "$1"})
    gw_config "$config"
    gw_server_start "$BINARY"
    gw_start 1 "$BINARY" "${GW_SERVER_ARGS[@]}"
}

name=$(dumped Name)
gw_open
if [ -n "$stay" ]; then
    start "$protocol"
    trap 'echo; exit 0' INT
    cat <<EOT
${bold}The gateway runs at $GW_URL${plain} (nginx with Lua in Kong's place), with the plugin
$name ($(basename "$BINARY"), process $GW_SERVER_PID, ${protocol:-$(dumped Protocol)}). In another terminal:

  curl -i $GW_URL/hello

Change the plugin's configuration, and send it again:

  echo '{"response_header": "Plugin-Version"}' > $GW_PREFIX/config.json

Ask the plugin server how it is:

  $(realpath --relative-to="$PWD" "$BINARY") --status --socket $GW_SOCKET

Logs: $GW_PREFIX/error.log (gateway), server.log (plugin server). Ctrl-C ends all of it.
EOT
    while gw_alive "$GW_NGINX_PID" && gw_alive "$GW_SERVER_PID"; do
        sleep 1 &
        wait $!
    done
    gw_fail "ended: $(tail -n 3 "$GW_PREFIX/server.log" "$GW_PREFIX/error.log")"
fi

cat <<EOT
${bold}curl -> nginx with Lua, in Kong's place -> upstream${plain}, and beside it the plugin in a process of its own:
$name $(dumped Version), $(basename "$BINARY"), phases $(dumped Phases), priority $(dumped Priority)

EOT
for p in ${protocol:-ProtoBuf:1 MsgPack:1}; do
    start "$p"
    show "$p" "$config"
    if [ "$name" = api-version ] && [ "$config" = '{}' ]; then
        expect 'Version: 0.1'
        echo
        gw_config '{"response_header": "Plugin-Version"}'
        show "$p" '{"response_header": "Plugin-Version"}'
        expect 'Plugin-Version: 0.1'
    fi
    echo
    gw_end
done
[ "$wanted" -eq 0 ] || printf '%s%d of %d responses carry the header.%s\n' "$bold" "$found" "$wanted" "$plain"
[ "$found" -eq "$wanted" ]

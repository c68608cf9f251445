#!/usr/bin/env bash
# Shows a plugin at work in a real Kong: DB-less, with its own prefix in a temporary directory, on
# loopback ports; Kong starts and stops the plugin server itself. Kong's own nginx serves the upstream.
#
#   tests/gateway/demo-kong.sh [--config JSON|FILE] [SERVER]      (default: build/apiversion-server)
#
# Status 1 when no kong is on PATH, when a response is a 500, or when api-version's header is missing.

. "$(dirname "${BASH_SOURCE[0]}")/gateway.sh"

command -v kong >/dev/null || gw_fail "no kong on PATH: install Kong Gateway, or run 'make demo', which needs none"
config='{}'
if [ "${1:-}" = --config ]; then
    config=${2:?--config needs JSON or a file}
    shift 2
    if [[ ! $config =~ ^[[:space:]]*\{ ]]; then
        config=$(<"$config") || exit 2
    fi
fi
BINARY=${1:-$GW_HERE/../../build/apiversion-server}
[ -x "$BINARY" ] || gw_fail "$BINARY is not there: build it first (make)"
BINARY=$(realpath "$BINARY")
name=$("$BINARY" --dump | tr -d '\n' | sed -E -n 's/.*"Name" *: *"([^"]*)".*/\1/p')
[ -n "$name" ] || gw_fail "$BINARY --dump names no plugin"
setting=pluginserver_${name//-/_}

bold='' green='' plain=''
if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then
    bold=$'\e[1m' green=$'\e[1;32m' plain=$'\e[0m'
fi

prefix=
stop_kong() {
    [ -z "$prefix" ] || gw_kong_stop "$prefix/kong" >>"$prefix/kong.out" 2>&1
}
finish() {
    local status=$?
    trap - EXIT
    trap '' INT TERM HUP
    stop_kong
    [ -n "${GW_KEEP:-}" ] || rm -rf --one-file-system "$prefix"
    exit "$status"
}

# The settings of whoever calls this are not the demo's.
for variable in $(compgen -e | grep '^KONG_'); do
    unset "$variable"
done
prefix=$(mktemp -d /tmp/kong-demo.XXXXXX) || exit 1
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
proxy=$(gw_free_port)
admin=$(gw_free_port)
upstream=$(gw_free_port)

declare_config() { # JSON of the plugin's configuration
    cat >"$prefix/kong.yml" <<EOT
_format_version: "1.1"
services:
- name: upstream
  url: http://127.0.0.1:$upstream
  routes:
  - name: everything
    paths: ["/"]
plugins:
- name: $name
  config: $1
EOT
}

write_settings() { # PROTOCOL
    cat >"$prefix/upstream.conf" <<EOT
server {
    listen 127.0.0.1:$upstream;
    location / { return 200 "hello from the upstream\n"; }
}
EOT
    cat >"$prefix/kong.conf" <<EOT
prefix = $prefix/kong
database = off
declarative_config = $prefix/kong.yml
proxy_listen = 127.0.0.1:$proxy
admin_listen = 127.0.0.1:$admin
admin_gui_listen = off
status_listen = off
anonymous_reports = off
log_level = info
nginx_worker_processes = 1
nginx_http_include = $prefix/upstream.conf
plugins = bundled,$name
pluginserver_names = $name
${setting}_socket = $prefix/$name.socket
${setting}_start_cmd = $BINARY --socket $prefix/$name.socket
${setting}_query_cmd = $BINARY --dump --protocol $1
EOT
    [ "$(id -u)" != 0 ] || echo "nginx_user = $(id -un) $(id -gn)" >>"$prefix/kong.conf"
}

start_kong() { # PROTOCOL
    write_settings "$1"
    declare_config "$config"
    kong start -c "$prefix/kong.conf" >"$prefix/kong.out" 2>&1 ||
        gw_fail "kong did not start: $(tail -n 20 "$prefix/kong.out")"
    # Kong's first worker starts the plugin server; until it listens every answer is a 500
    gw_wait test -S "$prefix/$name.socket" ||
        gw_fail "the plugin server did not start: $(tail -n 5 "$prefix/kong/logs/error.log")"
}

wanted=0
found=0
failures=0
# TITLE [HEADER]: one request; headers that neither the upstream nor Kong itself sends are marked, and
# the one named must be there
show() {
    local direct=$prefix/direct line header
    curl -sS -m 10 -o /dev/null -D "$direct" "http://127.0.0.1:$upstream/hello"
    printf '%s%s%s\n\n' "$bold" "$1" "$plain"
    curl -sSv -m 10 "http://127.0.0.1:$proxy/hello" 2>&1 >/dev/null | tr -d '\r' |
        grep '^[<>] .' >"$prefix/head"
    while IFS= read -r line; do
        header=${line#< }
        header=${header%%:*}
        if [[ $line == '< '*:* && ! ${header,,} =~ ^(via|server|x-kong-.*|transfer-encoding)$ ]] &&
            ! grep -qi "^$header:" "$direct"; then
            printf '  %s%-46s%s <- set by the plugin\n' "$green" "$line" "$plain"
        else
            printf '  %s\n' "$line"
        fi
    done <"$prefix/head"
    if grep -q '^< HTTP/[0-9.]* 500' "$prefix/head"; then
        failures=$((failures + 1))
        grep -F "$name" "$prefix/kong/logs/error.log" | grep -F '[error]' | tail -n 3
    fi
    if [ -n "${2:-}" ]; then
        wanted=$((wanted + 1))
        if grep -qix "< $2" "$prefix/head"; then
            found=$((found + 1))
        else
            printf '  %sMISSING: %s%s\n' "$bold" "$2" "$plain"
        fi
    fi
    echo
}

change_config() { # JSON: by the Admin API
    declare_config "$1"
    curl -sS -f -m 10 -o "$prefix/admin.out" -F "config=@$prefix/kong.yml" \
        "http://127.0.0.1:$admin/config" ||
        gw_fail "the Admin API refused the configuration: $(cat "$prefix/admin.out")"
    gw_wait answers_with "$2"
}

answers_with() { # HEADER: Kong's workers load a configuration some moments later
    curl -sS -m 10 -o /dev/null -D - "http://127.0.0.1:$proxy/hello" 2>/dev/null |
        tr -d '\r' | grep -qix "$1"
}

echo "Kong $(kong version 2>/dev/null), DB-less, plugin server $(basename "$BINARY")"
echo
for protocol in ProtoBuf:1 MsgPack:1; do
    start_kong "$protocol"
    if [ "$name" = api-version ] && [ "$config" = '{}' ]; then
        show "$protocol, configuration {}" 'Version: 0.1'
        change_config '{"response_header": "Plugin-Version"}' 'Plugin-Version: 0.1'
        show "$protocol, configuration {\"response_header\": \"Plugin-Version\"}" 'Plugin-Version: 0.1'
    else
        show "$protocol, configuration $config"
    fi
    stop_kong
    rm -f "$prefix/$name.socket"
done
[ "$wanted" -eq 0 ] || printf '%s%d of %d responses carry the header.%s\n' "$bold" "$found" "$wanted" "$plain"
[ "$found" -eq "$wanted" ] && [ "$failures" -eq 0 ]

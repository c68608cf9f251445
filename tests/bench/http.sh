#!/usr/bin/env bash
# Real HTTP through nginx with Lua in Kong's place (tests/gateway), by wrk. For `run http`.
#
#   http.sh SERVER-BINARY ROUNDS SECONDS
#
# Each round: no plugin; the header set in Lua inside nginx; our server over each protocol. One
# worker of nginx, 16 connections. A line for each run:
#   CASE <tab> requests/s <tab> p50 µs <tab> p99 µs <tab> errors
# Ends with status 1 when a case does not answer as it should.

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/../gateway/gateway.sh"

binary=$1
rounds=$2
seconds=$3
header_in_lua=

# The gateway's configuration, with the header set by nginx itself where that is the case.
eval "$(declare -f gw_write_conf | sed '1s/gw_write_conf/gw_write_plain_conf/')"
gw_write_conf() {
    gw_write_plain_conf "$@"
    [ -n "$header_in_lua" ] || return 0
    sed -i 's/access_by_lua_block {/& ngx.header["Version"] = "0.1";/' "$GW_PREFIX/nginx.conf"
}

# wrk's figures as a line; its times come as 12.34us, 1.23ms or 1.23s.
figures() {
    awk -v name="$1" '
        function micros(text) {
            if (text ~ /us$/) return text + 0
            return text ~ /ms$/ ? text * 1000 : text * 1000000
        }
        $1 == "50%" { p50 = micros($2) }
        $1 == "99%" { p99 = micros($2) }
        /Non-2xx/ { errors += $NF }
        /Socket errors/ { gsub(/[^0-9 ]/, ""); for (i = 1; i <= NF; i++) errors += $i }
        $1 == "Requests/sec:" { rate = $2 }
        END { printf "%s\t%s\t%s\t%s\t%d\n", name, rate, p50, p99, errors }'
}

run_case() { # NAME WANTED-HEADER DUMP-COMMAND…
    local name=$1 wanted=$2 found
    shift 2
    gw_start 1 "$@"
    found=$(curl -sS -m 10 -o /dev/null -D - "$GW_URL/" | tr -d '\r' | grep -i '^version:')
    [ "$found" = "$wanted" ] || gw_fail "$name: '$found' in the answer instead of '$wanted'"
    wrk -t1 -c16 -d1s "$GW_URL/" >/dev/null # connections and instances are there
    wrk -t1 -c16 -d"${seconds}s" --latency "$GW_URL/" | figures "$name"
    gw_nginx_end
}

gw_open
gw_config '{}'
cat >"$GW_PREFIX/no-plugin" <<'DUMP'
#!/bin/sh
"$1" --dump | tr -d '\n' | sed 's/"Phases" *: *\[[^]]*\]/"Phases": []/'
DUMP
chmod +x "$GW_PREFIX/no-plugin"
gw_server_start "$binary" --log-level warn
for ((round = 0; round < rounds; round++)); do
    run_case "no plugin" "" "$GW_PREFIX/no-plugin" "$binary"
    header_in_lua=1
    run_case "Lua inside nginx" "Version: 0.1" "$GW_PREFIX/no-plugin" "$binary"
    header_in_lua=
    run_case "ours, ProtoBuf:1" "Version: 0.1" "$binary" --protocol ProtoBuf:1
    run_case "ours, MsgPack:1" "Version: 0.1" "$binary" --protocol MsgPack:1
done

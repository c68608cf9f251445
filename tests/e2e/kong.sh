#!/usr/bin/env bash
# The documented flow against a real Kong: the README's commands, what they answer, and what may go wrong.
#
#   tests/e2e/kong.sh [BINARY [THREE]]  (default: build/apiversion-server, build/tests/gateway/three_server)
#
#   KONG_ADMIN_URL, KONG_PROXY_URL   a Kong that runs, with the plugin. Without them one is started, by the `kong` on PATH,
#                                    with BINARY as its plugin server; the Admin API takes changes only with a database:
#                                    KONG_PG_HOST (and KONG_PG_USER, KONG_PG_PASSWORD, KONG_PG_DATABASE) name it
#   UPSTREAM_URL                     what Kong is to proxy, as Kong reaches it (default: its own http://127.0.0.1:8001/status,
#                                    or an upstream in the Kong that is started)
#   KONG_E2E_WAIT                    how many seconds a change may take to reach all of Kong's workers (default: 30)
#   KONG_RELOAD                      a command that reloads the Kong that runs
#
# JSON is read by jq or python3, whichever is there. Kong may have several workers: a change counts when all of many
# connections see it. Names of what it makes in Kong begin with e2e-; it removes them. Without any Kong it says SKIPPED, with status 0.
# tests/e2e/e2e_test.sh sees to it that the README's commands for Kong are the ones below.

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/../gateway/gateway.sh"

passed=0
failed=0
own_kong=
own_upstream=
connections=24

yes() { # TEXT COMMAND…
    local text=$1
    shift
    if "$@"; then
        passed=$((passed + 1))
        printf 'ok - %s\n' "$text"
    else
        failed=$((failed + 1))
        printf 'not ok - %s\n#   failed: %s\n#   last answer: %s\n' "$text" "$*" "$(tail -n 5 "$dir/answer" | tr '\n\r' '  ')"
    fi
}

skip_all() {
    echo "SKIPPED - $*"
    exit 0
}

# --- A Kong --------------------------------------------------------------------------------------------------

finish() {
    local status=$?
    trap - EXIT
    trap '' INT TERM HUP
    if [ -n "${service:-}" ]; then
        for object in "plugins/$id" "routes/$route" "services/$service"; do
            curl -sS -m 10 -o /dev/null -X DELETE "$admin/$object"
        done
    fi
    [ -z "$own_kong" ] || gw_kong_stop "$dir/kong" >>"$dir/kong.out" 2>&1
    [ -n "${GW_KEEP:-}" ] || rm -rf --one-file-system "$dir"
    exit "$status"
}

start_kong() { # BINARY: with a database that is there, on free ports
    local upstream
    admin=http://127.0.0.1:$(gw_free_port)
    proxy=http://127.0.0.1:$(gw_free_port)
    tls=https://127.0.0.1:$(gw_free_port)
    upstream=$(gw_free_port)
    UPSTREAM_URL=http://127.0.0.1:$upstream
    cat >"$dir/upstream.conf" <<EOT
server {
    listen 127.0.0.1:$upstream;
    location / { return 200 'hello from the upstream'; }
    location /own {
        add_header Version theirs;
        return 200 'hello from the upstream';
    }
    location /twice {
        add_header VERSION one;
        add_header version two;
        return 200 'hello from the upstream';
    }
    location /slow { # the first bytes now, the others when $dir/go is there
        content_by_lua_block {
            ngx.header["Version"] = "theirs"
            ngx.print(("x"):rep(1000))
            ngx.flush(true)
            for _ = 1, 1500 do
                local go = io.open("$dir/go")
                if go then
                    go:close()
                    break
                end
                ngx.sleep(0.01)
            end
            ngx.print(("x"):rep(39000))
        }
    }
}
EOT
    own_upstream=1
    cat >"$dir/kong.conf" <<EOT
prefix = $dir/kong
database = postgres
proxy_listen = ${proxy#http://} reuseport, ${tls#https://} http2 ssl reuseport
admin_listen = ${admin#http://}
admin_gui_listen = off
status_listen = off
anonymous_reports = off
log_level = info
nginx_http_include = $dir/upstream.conf
plugins = bundled,api-version${three:+,three-open,three-closed,three-rough}
pluginserver_names = apiversion-server${three:+,three-open,three-closed,three-rough}
pluginserver_apiversion_server_socket = $dir/apiversion-server.socket
pluginserver_apiversion_server_start_cmd = $1 --socket $dir/apiversion-server.socket
pluginserver_apiversion_server_query_cmd = $1 --dump
EOT
    "$1" --print-conf --replace-upstream-header | grep '^nginx_proxy' >>"$dir/kong.conf"
    [ -z "$three" ] || "$three" --print-conf --socket "$dir/three.socket" | grep '^pluginserver_three' >>"$dir/kong.conf"
    [ "$(id -u)" != 0 ] || echo "nginx_user = $(id -un) $(id -gn)" >>"$dir/kong.conf"
    own_kong=1
    for command in 'migrations bootstrap' start; do
        # shellcheck disable=SC2086 # two words
        kong $command -c "$dir/kong.conf" >>"$dir/kong.out" 2>&1 || gw_fail "kong $command: $(tail "$dir/kong.out")"
    done
    KONG_RELOAD="kong reload -c $dir/kong.conf"
}

# --- The README's commands --------------------------------------------------------------------------------------

# COMMAND: as the README has it, but for the addresses and names of this run. Its output is in $dir/answer.
type_in() {
    local command=$1
    command=${command//localhost:8001/"$admin"}
    command=${command//localhost:8000/"$proxy"}
    command=${command//http:\/\/localhost:9000/"$UPSTREAM_URL"}
    command=${command//my-service/"$service"}
    command=${command//my-route/"$route"}
    command=${command//<id>/"$id"}
    printf '$ %s\n' "$command"
    bash -c "$command" >"$dir/answer" 2>"$dir/errors"
}

answers() { # PATTERN
    grep -qE -- "$1" "$dir/answer"
}

# KEY[.KEY]…: that string of the answer, an object in JSON; nothing where it is not there
field() {
    if command -v jq >/dev/null; then
        jq -r ".$1 // empty | strings" "$dir/answer" 2>/dev/null
    else
        python3 - "$1" "$dir/answer" <<'EOT' 2>/dev/null
import json, sys
value = json.load(open(sys.argv[2], encoding="utf-8"))
for key in sys.argv[1].split("."):
    value = value[key]
print(value if isinstance(value, str) else "")
EOT
    fi
}

created() { # the answer is of an object; its id is in $id
    id=$(field id)
    [[ $id =~ ^[-0-9a-f]{36}$ ]] && answers '"created_at"'
}

# NAME [VALUE]: each of many answers, on a connection of its own, has that header once and with that value; without a VALUE
# none has such a header. Kong's workers take turns at connections, and each hears of a change at its own time.
marked() {
    curl -sS -m 10 --no-progress-meter -Z --parallel-immediate --parallel-max "$connections" -H 'Connection: close' \
        -D - -o /dev/null "$proxy/$route?[1-$connections]" 2>/dev/null | tr -d '\r' >"$dir/answer"
    [ "$(grep -cE '^HTTP/[0-9.]+ 200' "$dir/answer")" = "$connections" ] || return 1
    if [ $# -eq 2 ]; then
        [ "$(grep -ic "^$1:" "$dir/answer")" = "$connections" ] && [ "$(grep -icxF "$1: $2" "$dir/answer")" = "$connections" ]
    else
        ! grep -qi "^$1:" "$dir/answer"
    fi
}

soon() { # COMMAND…: succeeds at once or a little later
    local until=$((SECONDS + ${KONG_E2E_WAIT:-30}))
    until "$@"; do
        [ "$SECONDS" -lt "$until" ] || return 1
        sleep 0.1
    done
}

refused() { # OPTION-OF-CURL VALUE TEXT: the Admin API answers 400 with that text, and nothing changes
    local status
    status=$(curl -sS -m 10 -o "$dir/answer" -w '%{http_code}' -X PATCH "$admin/plugins/$id" "$1" "$2" "${@:4}" 2>"$dir/errors")
    [ "$status" = 400 ] && [[ $(field message) == *"schema violation"*"$3"* ]]
}

load() { # requests, 10 at a time, until $dir/stop is there
    while [ ! -e "$dir/stop" ]; do
        curl -sS -m 60 --no-progress-meter -Z --parallel-immediate --parallel-max 10 -D - -o /dev/null \
            "$proxy/$route?[1-100]" >>"$dir/heads" 2>>"$dir/load.errors"
        echo 100 >>"$dir/sent"
    done
}

# PATH CURL-OPTION…: one answer; "VERSION-OF-HTTP STATUS VALUES-OF-Version"
versions() {
    curl -sSk -m 20 -D "$dir/answer" -o /dev/null "${@:2}/$route$1" 2>/dev/null
    tr -d '\r' <"$dir/answer" | awk '/^HTTP\// { line = substr($1, 6) " " $2 } tolower($1) == "version:" { line = line " " $2 } END { print line }'
}

replaced() { # TEXT PATH: over HTTP/1.1 and HTTP/2 there is our header alone
    yes "replaced, HTTP/1.1: $1" test "$(versions "$2" --http1.1 "$proxy")" = '1.1 200 0.1'
    if curl -V | grep -qw HTTP2; then
        yes "replaced, HTTP/2: $1" test "$(versions "$2" --http2 "$tls")" = '2 200 0.1'
    else
        echo "SKIPPED - HTTP/2: curl has none"
    fi
}

# nginx_proxy_proxy_hide_header, as --print-conf --replace-upstream-header prints it
replacement() {
    replaced 'no header of the upstream' ''
    replaced "the upstream's own header" /own
    replaced 'twice, in other letters' /twice
    # It is not buffered: the first bytes are there while the upstream waits with the others.
    curl -sS -N -m 40 -o "$dir/slow" "$proxy/$route/slow" 2>/dev/null &
    yes 'replaced, a stream: the first bytes come before the upstream sends the others' gw_wait test -s "$dir/slow"
    yes 'replaced, a stream: no more of them' test "$(wc -c <"$dir/slow")" = 1000
    : >"$dir/go"
    wait $!
    yes 'replaced, a stream: all of it comes' test "$(wc -c <"$dir/slow")" = 40000
    replaced 'a stream' /slow
}

reload_under_load() {
    local loader sent
    load &
    loader=$!
    gw_wait test -s "$dir/sent"
    yes 'reload: Kong takes the command' bash -c "$KONG_RELOAD" >>"$dir/kong.out" 2>&1
    sleep 3
    : >"$dir/stop"
    wait "$loader"
    sent=$(($(wc -l <"$dir/sent") * 100))
    tr -d '\r' <"$dir/heads" >"$dir/answer"
    yes "reload under load: $sent requests, all 200" test "$(grep -cE '^HTTP/[0-9.]+ 200' "$dir/answer")" = "$sent"
    yes 'reload under load: all marked' test "$(grep -ixc 'Version: 0.1' "$dir/answer")" = "$sent"
}

# --- Several plugins in one process ----------------------------------------------------------------------------------

# HEADER PATTERN CURL-OPTION…: an answer, 200, whose header is that
answer_has() {
    curl -sS -m 10 -D - -o /dev/null "${@:3}" "$proxy/$route" 2>/dev/null | tr -d '\r' >"$dir/answer"
    answers '^HTTP/[0-9.]+ 200' && answers "^[Xx]-$1: $2\$"
}

three_processes() { # those that serve; each has a supervisor, which has the same command
    pgrep -f -- "$three --socket $dir/three.socket" | wc -l
}

several() {
    local name ids=()
    for name in three-open three-closed three-rough; do
        type_in "curl -X POST localhost:8001/services/my-service/plugins --data name=$name"
        yes "several: the plugin $name is enabled" created
        ids+=("$id")
    done
    yes 'several: the first one marks the answer' soon answer_has First first
    yes 'several: the second one does, with its own data' soon answer_has Second '[0-9]+'
    yes 'several: the third one does' soon answer_has Third first
    yes 'several: api-version, another process, still does' answer_has First first -H 'X-A: 1'
    yes 'several: Kong has started one process, with its supervisor' test "$(three_processes)" = 2
    "$three" --status --json --socket "$dir/three.socket" >"$dir/answer" 2>&1
    for name in three-open three-closed three-rough; do
        yes "several: the figures of $name are its own" test "$(started_events "$name")" -gt 0
    done
    "$three" --doctor --kong-conf "$dir/kong.conf" >"$dir/answer" 2>&1
    yes 'several: the doctor finds all well' answers '^all is well'
    curl -sS -m 20 -o /dev/null -H 'X-Crash: 1' "$proxy/$route" 2>/dev/null
    curl -sS -m 20 -o /dev/null -H 'X-Crash: 1' "$proxy/$route" 2>/dev/null
    yes 'several: after a crash of the third the first is served' soon answer_has First first
    yes 'several: and the second, which begins anew' soon answer_has Second '[0-9]+'
    yes 'several: and the third' soon answer_has Third first
    tail -n 2000 "$dir/kong/logs/error.log" >"$dir/answer"
    yes 'several: the crash is told of under its name' answers 'while three-rough ran access'
    for id in "${ids[@]}"; do
        curl -sS -m 10 -o /dev/null -X DELETE "$admin/plugins/$id"
    done
}

started_events() { # PLUGIN: of a status in $dir/answer
    python3 -c 'import json, sys
print(json.load(open(sys.argv[2]))["Plugins"][sys.argv[1]]["EventsStarted"])' "$1" "$dir/answer" 2>/dev/null || echo 0
}

# --- The flow ------------------------------------------------------------------------------------------------

binary=${1:-$here/../../build/apiversion-server}
three=$(realpath "${2:-$here/../../build/tests/gateway/three_server}" 2>/dev/null)
[ -x "$three" ] || three=
admin=${KONG_ADMIN_URL:-}
proxy=${KONG_PROXY_URL:-}
UPSTREAM_URL=${UPSTREAM_URL:-http://127.0.0.1:8001/status}
id=
if [ -z "$admin" ] || [ -z "$proxy" ]; then
    command -v kong >/dev/null || skip_all 'no Kong: neither KONG_ADMIN_URL and KONG_PROXY_URL, nor a kong on PATH'
    [ -n "${KONG_PG_HOST:-}" ] || skip_all 'the kong on PATH needs a database for the Admin API: set KONG_PG_HOST (without one: make demo-kong)'
    [ -x "$binary" ] || gw_fail "$binary is not there: build it first (make)"
fi
dir=$(mktemp -d /tmp/kong-e2e.XXXXXX) || exit 1
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
: >"$dir/answer"
[ -n "$admin" ] && [ -n "$proxy" ] || start_kong "$(realpath "$binary")"
admin=${admin%/}
proxy=${proxy%/}

yes "Kong's Admin API answers at $admin" curl -sS -f -m 10 -o "$dir/answer" "$admin/status"
command -v jq >/dev/null || command -v python3 >/dev/null || gw_fail 'neither jq nor python3 is here: one of them reads the JSON of the Admin API'
curl -sS -m 10 -o "$dir/answer" "$admin/plugins/enabled"
answers '"api-version"' || gw_fail 'this Kong has no plugin api-version: see "Tell Kong" in the README'
service=e2e-$$
route=e2e-route-$$

type_in "curl -X POST localhost:8001/services --data name=my-service --data url=http://localhost:9000"
yes 'a service' created
type_in "curl -X POST localhost:8001/services/my-service/routes --data name=my-route --data 'paths[]=/my-route'"
yes 'a route' created
yes 'without the plugin the answer is not marked' soon marked Version

type_in "curl -X POST localhost:8001/services/my-service/plugins --data name=api-version"
yes 'the plugin is enabled' created
yes 'with its defaults' test "$(field config.response_header) $(field config.version)" = 'Version 0.1'
yes 'the answer is marked' soon marked Version 0.1
type_in "curl -i localhost:8000/my-route"
yes "which the README's command shows" answers '^Version: 0\.1'

if [ -n "$own_upstream" ]; then
    replacement
else
    echo "SKIPPED - an upstream's own header: only in a Kong that this script starts"
fi

type_in "curl -X PATCH localhost:8001/plugins/<id> --data config.response_header=Plugin-Version --data config.version=2.3.1"
yes 'another name and another version' soon marked Plugin-Version 2.3.1
yes 'and not the old ones' marked Version

yes 'refused: a name that is none' refused --data 'config.response_header=has space' 'config.response_header: invalid value: has space'
yes 'refused: an empty name' refused --data '{"config": {"response_header": ""}}' 'config.response_header: length must be at least 1' -H 'Content-Type: application/json'
yes 'refused: a name that is a number' refused --data '{"config": {"response_header": 7}}' 'config.response_header: expected a string' -H 'Content-Type: application/json'
yes 'refused: a version that is no ASCII' refused --data 'config.version=é' 'config.version: invalid value: é'
yes 'refused: a field that is none' refused --data 'config.nope=1' 'config.nope: unknown field'
yes 'what was refused has changed nothing' marked Plugin-Version 2.3.1

type_in "curl -X DELETE localhost:8001/plugins/<id>"
yes 'deleted: the answer is not marked' soon marked Plugin-Version
type_in "curl -X POST localhost:8001/services/my-service/plugins --data name=api-version"
yes 'added again' created
yes 'added again: the answer is marked' soon marked Version 0.1

if [ -n "$own_kong" ] && [ -n "$three" ]; then
    kept=$id
    several
    id=$kept
else
    echo 'SKIPPED - several plugins in one process: only in a Kong that this script starts, with three_server, which make test-e2e builds'
fi

if [ -n "${KONG_RELOAD:-}" ]; then
    reload_under_load
else
    echo 'SKIPPED - reload under load: KONG_RELOAD names no command'
fi
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]

#!/usr/bin/env bash
# --print-conf, --doctor and --status as an operator uses them, with a kong.conf and a prefix made up in a new directory.
# usage: operator_test.sh SERVER
set -euo pipefail
server=$(realpath "$1")
dir=$(mktemp -d)
pid=
finish() {
    [ -z "$pid" ] || kill "$pid" 2>/dev/null || true
    rm -rf --one-file-system "$dir"
}
trap finish EXIT
for variable in $(env | sed -n 's/^\(KONG_[A-Z_]*\)=.*/\1/p'); do unset "$variable"; done

passed=0
failed=0
conf=$dir/kong.conf
prefix=$dir/prefix
name=$(basename "$server")
key=pluginserver_${name//-/_}
socket=$prefix/$name.socket
mkdir "$prefix" "$dir/bin"
chmod 755 "$dir" && chmod 777 "$prefix"
export PATH=$dir/bin:$PATH

fake_kong() { # VERSION
    printf '#!/bin/sh\necho %s\n' "$1" >"$dir/bin/kong"
    chmod 755 "$dir/bin/kong"
}

# The settings that --print-conf gives, and then what follows.
settings() {
    { echo "prefix = $prefix  # made up"; "$server" --print-conf --kong-prefix "$prefix"; printf '%s\n' "$@"; } >"$conf"
}

doctor() {
    status=0
    said=$("$server" --doctor --kong-conf "$conf" 2>&1) || status=$?
}

# TEXT STATUS PATTERN…: of --doctor, each pattern is the beginning of a line or stands in one
expect() {
    local text=$1 wanted=$2 pattern
    shift 2
    for pattern in "$@"; do
        if ! grep -qE -- "$pattern" <<<"$said"; then
            printf 'not ok - %s: no "%s" in:\n%s\n' "$text" "$pattern" "$said"
            failed=$((failed + 1))
            return
        fi
    done
    if [ "$status" != "$wanted" ]; then
        printf 'not ok - %s: status %s\n%s\n' "$text" "$status" "$said"
        failed=$((failed + 1))
        return
    fi
    passed=$((passed + 1))
    echo "ok - $text"
}

start() {
    "$server" --socket "$socket" "$@" 2>"$dir/log" &
    pid=$!
    for _ in $(seq 200); do
        [ -S "$socket" ] && return
        sleep 0.02
    done
    echo "the server does not start: $(cat "$dir/log")"
    exit 1
}
stop() {
    kill "$pid"
    wait "$pid" || true
    pid=
}

# ARGUMENT…: what the program says, and its status
run() {
    status=0
    said=$("$server" "$@" 2>&1) || status=$?
}
one_line() { [ "$(wc -l <<<"$said")" -eq 1 ] || { said="more than one line: $said" && status=99; }; }
refused() { # TEXT PATTERN ARGUMENT…: one line, status 2, nothing opened
    local text=$1 pattern=$2
    shift 2
    run "$@"
    one_line
    expect "$text" 2 "$pattern"
}

# --- what is wrong with the options ---
refused 'two things to do' '--dump and --status are two different' --dump --status
refused 'two other things to do' '--doctor and --print-conf are two different' --doctor --print-conf
refused 'two forms' '--env and --docker are two different' --print-conf --env --docker
refused 'an address that is none' '--metrics-listen 9542: not an address' --socket "$socket" --metrics-listen 9542 --record "$dir/rec"
refused 'an address for everybody' 'if that is meant: public:0.0.0.0:1' --socket "$socket" --metrics-listen 0.0.0.0:1 --record "$dir/rec"
refused 'a name that is none' "--name a.b: a plugin server's name has" --print-conf --name a.b
refused 'a socket that Kong would not find' 'Kong needs the whole path' --print-conf --socket here.socket
[ ! -e "$dir/rec" ] && [ ! -e "$socket" ] || { echo 'not ok - something was opened' && failed=$((failed + 1)); }


# --- a configuration ---
run --check-config - <<<'{"name": "api-version", "config": {"version": "1"}}'
expect 'the whole entity' 1 '^config\.config: unknown field$' 'hint: give what stands under "config" alone'
run --check-config - </dev/null
expect 'nothing' 1 '^config: nothing is there'

# --- what --print-conf prints, run as Kong runs it ---
odd="$dir/it's a \"prefix\" #1"
mkdir "$odd"
lines=$("$server" --print-conf --env --socket "$odd/s" --allow-uid "$(id -u),12345" --log-format json --metrics-listen "unix:$odd/m" --phases access)
( eval "$lines" && start=KONG_${key^^}_START_CMD && exec /bin/sh -c "exec ${!start}" ) 2>"$dir/log" &
pid=$!
for _ in $(seq 200); do [ -S "$odd/s" ] && [ -S "$odd/m" ] && break; sleep 0.02; done
run --status --socket "$odd/s"
expect 'the start command of --print-conf --env' 0 "^api-version 0\.1, process $pid"
said=$(cat "$dir/log") status=0
expect 'its options reach the server' 0 '^\{.*"message": *"metrics at unix:'
kill "$pid" && wait "$pid" || true
pid=
said=$(eval "$lines" && query=KONG_${key^^}_QUERY_CMD && /bin/sh -c "${!query}") && status=0 || status=$?
expect 'the query command of --print-conf --env' 0 '"Protocol": "ProtoBuf:1"'

fake_kong 3.9.1
settings
doctor
expect 'no server runs' 1 "^ok   settings: $conf" '^ok   Kong 3\.9\.1$' "^ok   query command: .*: speaks ProtoBuf:1, phases access$" \
    '^ok   start command: ' "^ok   prefix $prefix" "^FAIL socket $socket: No such file" '^     mend: kong start' '^see the lines'

start
doctor
expect 'all is well' 0 "^ok   socket $socket: owner [^ ]+, mode 0600" \
    '^ok   an event of access over ProtoBuf:1: answered, with 1 calls' '^ok   an event of access over MsgPack:1: answered, with 1 calls' \
    '^note log_level notice hides' '^all is well$'
settings 'log_level = info'
doctor
expect 'log_level info' 0 '^ok   log_level info'
settings 'plugins = bundled'
doctor
expect 'plugins does not name it' 1 '^FAIL plugins does not name api-version' '^     mend: plugins = bundled,api-version$'
said=$(KONG_PLUGINS=bundled,api-version "$server" --doctor --kong-conf "$conf") && status=0 || status=$?
expect 'the environment wins' 0 '^ok   plugins has api-version'
settings 'pluginserver_names = other'
doctor
expect 'the name is missing' 1 "^FAIL pluginserver_names does not have $name" "^     mend: pluginserver_names = other,$name " \
    "^FAIL the key ${key}_start_cmd belongs to no name"
settings "pluginserver_${name}_socket = /x"
[ "$name" = "${name//-/_}" ] || {
    doctor
    expect 'a - in a key' 1 "^FAIL the key pluginserver_${name}_socket belongs to no name" "^     mend: ${key}_"
}
settings "${key}_socket = $prefix/other.socket"
doctor
expect 'Kong connects elsewhere' 1 "^FAIL start command: it listens at $socket, Kong connects to $prefix/other.socket" \
    "^     mend: ${key}_start_cmd = $server --socket $prefix/other.socket$"
settings "${key}_socket = $prefix/$(printf 'x%.0s' {1..120})"
doctor
expect 'a path that is too long' 1 '^FAIL socket .*: a path of [0-9]+ bytes, at most 107'
settings "${key}_start_cmd = /nowhere/server"
doctor
expect 'a program that is not there' 1 "^FAIL start command: /nowhere/server: Kong's user [^ ]+ cannot run" '^     mend: chmod'
settings "${key}_start_cmd = $name"
doctor
expect 'a program without a path' 1 "^FAIL start command: $name: Kong starts it without PATH"

settings "${key}_query_cmd = echo hello"
doctor
expect 'no JSON' 1 '^FAIL query command: echo hello: no JSON: hello'
settings "${key}_query_cmd = true"
doctor
expect 'nothing printed' 1 '^FAIL query command: true: prints nothing'
settings "${key}_query_cmd = echo '{}'"
doctor
expect 'no plugin' 1 'not a plugin info table'
dump() { # SED SCRIPT: a dump that differs
    "$server" --dump | sed "$1" >"$dir/dump.json"
    settings "${key}_query_cmd = cat $dir/dump.json"
    doctor
}
dump 's/ProtoBuf:1/ProtoBuf:7/'
expect 'an unknown protocol' 1 'neither ProtoBuf:1 nor MsgPack:1'
dump 's/"0\.1"/"one"/'
expect 'a bad version' 1 'Version is not like'
dump 's/"access"/"acess"/'
expect 'no phase' 1 'Phases names none that Kong knows'
dump 's/"Name": *"api-version"/"Name":"other"/'
expect 'another plugin' 1 "Name is another plugin's"
settings "${key}_query_cmd = $server --dump --protocol MsgPack:1 --phases access,response"
doctor
expect 'other options of the query command' 0 'speaks MsgPack:1, phases access, response$' '^ok   an event of response over MsgPack:1'
settings "${key}_query_cmd = $server --dump --kong-version 3"
fake_kong 2.8.5
doctor
expect 'descriptions for Kong 2' 1 'descriptions, which Kong 2 refuses'
rm "$dir/bin/kong"

settings "prefix = $dir/none" "${key}_socket = $socket"
doctor
expect 'no prefix' 1 "^FAIL prefix $dir/none: No such file"
conf=$dir/none.conf
doctor
expect 'no kong.conf' 1 "^FAIL $dir/none.conf: No such file"
conf=$dir/kong.conf

run --socket "$socket"
one_line
expect 'a second server by hand' 2 "a server \\(process $pid\\) already listens at $socket"
run --status --socket "$socket"
expect '--status' 0 '^api-version 0\.1, process [0-9]+' '^access +[0-9]+ '
stop
settings
: >"$socket"
doctor
expect 'a file in the place of the socket' 1 '^FAIL socket .*: is not a socket' '^     mend: rm '
rm "$socket"
said=$("$server" --status --socket "$socket" 2>&1) && status=0 || status=$?
expect '--status without a server' 1 'no server is running there'

# --- who is not let in ---
start --allow-uid 54321,54322
run --status --socket "$socket"
one_line
expect '--status, left out by --allow-uid' 1 "user id $(id -u) is refused by the server's --allow-uid 54321,54322: run this as such a user, or"
stop
if [ "$(id -u)" = 0 ] && command -v setpriv >/dev/null; then
    start
    cp "$server" "$dir/bin/$name" && chmod 755 "$dir/bin/$name"
    status=0
    said=$(setpriv --reuid 65534 --regid 65534 --clear-groups "$dir/bin/$name" --status --socket "$socket" 2>&1) || status=$?
    one_line
    expect '--status, left out by the mode' 1 'Permission denied: run this as the user of the server, or let this one in by its --socket-mode'
    rm "$dir/bin/$name"
    stop
else
    echo 'SKIPPED: not root, or no setpriv: --status of another user'
fi

# The child of a supervisor serves the figures, the next one as well.
start --supervise yes --metrics-listen "unix:$dir/metrics"
metrics() { said=$(curl -s --unix-socket "$dir/metrics" http://localhost/metrics) && status=0 || status=$?; }
if command -v curl >/dev/null; then
    for _ in $(seq 100); do [ -S "$dir/metrics" ] && break; sleep 0.05; done
    metrics
    expect 'metrics of a supervised server' 0 '^kong_plugin_server_restarts_total\{plugin="api-version"\} 0$'
    kill -SEGV "$(cat "/proc/$pid/task/$pid/children")"
    for _ in $(seq 100); do
        metrics
        grep -q 'restarts_total.* 1$' <<<"$said" && break
        sleep 0.05
    done
    expect 'metrics after a crash' 0 '^kong_plugin_server_restarts_total\{plugin="api-version"\} 1$'
else
    echo 'SKIPPED: curl is not installed: metrics of a supervised server'
fi
stop

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]

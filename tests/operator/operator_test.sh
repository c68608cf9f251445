#!/usr/bin/env bash
# --print-conf, --doctor and --status as an operator uses them, with a kong.conf and a prefix made up in a new directory.
# usage: operator_test.sh SERVER   (the example plugins' servers are in tests/plugins beside it, that of three
# plugins in tests/gateway)
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
    for _ in $(seq 3000); do
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

silent() { # TEXT STATUS ARGUMENT…: not a word, on either output
    local text=$1 wanted=$2
    shift 2
    run "$@"
    [ -z "$said" ] || status=99
    expect "$text" "$wanted"
}

# --- what is wrong with the options ---
refused 'two things to do' '--dump and --status are two different' --dump --status
refused 'two other things to do' '--doctor and --print-conf are two different' --doctor --print-conf
refused 'nothing, as JSON' '--quiet prints nothing: leave out --json' --status --quiet --json
refused 'nothing, again and again' '--quiet prints nothing: leave out --watch' --status --watch --quiet
refused 'quiet about what' '--quiet goes with --status: give both, or leave it out' --quiet
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
for _ in $(seq 3000); do [ -S "$odd/s" ] && [ -S "$odd/m" ] && break; sleep 0.02; done
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
    '^ok   start command: ' "^ok   prefix $prefix" "^FAIL socket $socket: No such file" '^     mend: kong start' '^see the lines that begin with FAIL: [0-9]+ ok, [0-9]+ to note, 1 FAIL$'

start
doctor
expect 'all is well' 0 "^ok   socket $socket: owner [^ ]+, mode 0600" \
    '^ok   an event of access over ProtoBuf:1: answered, with 1 call to Kong$' '^ok   an event of access over MsgPack:1: answered, with 1 call to Kong$' \
    '^note log_level notice: error.log has the plugin.s failures, but not' '^all is well: [0-9]+ ok, [0-9]+ to note, 0 FAIL$'
settings 'log_level = info'
doctor
expect 'log_level info' 0 '^ok   log_level info'
{ echo "prefix = $prefix"; "$server" --print-conf --kong-prefix "$prefix" --log-file "$dir/own.log"; } >"$conf"
doctor
expect 'a log of its own' 0 "^ok   the server's own lines are in $dir/own\.log \(--log-file\)$"
settings 'plugins = bundled'
doctor
expect 'plugins does not name it' 1 '^FAIL plugins does not name api-version' '^     mend: plugins = bundled,api-version$'
settings 'plugins = bundled,api-verson, key-auth'
doctor
expect 'a misspelt plugin' 1 '^FAIL plugins does not name api-version' '^     mend: plugins = bundled,api-version,key-auth$'
said=$(KONG_PLUGINS=bundled "$server" --doctor --kong-conf "$conf") && status=0 || status=$?
expect 'a variable hides what the file says' 1 '^     mend: KONG_PLUGINS=bundled,api-version, in the environment, which wins over kong.conf$'
settings "pluginserver_names = ${name%r}"
doctor
expect 'a misspelt name' 1 "^FAIL pluginserver_names does not have $name" "^     mend: pluginserver_names = $name "
settings "pluginserver_names = ${name%r}" "${key%r}_start_cmd = /x"
doctor
expect 'a name that may be meant' 1 "^     mend: --doctor --name ${name%r}, if"
settings "${key}_startcmd = /x" "${key%r}_socket = /y"
doctor
expect 'misspelt keys' 1 "^FAIL the key ${key}_startcmd belongs to no name" "^     mend: ${key}_start_cmd = /x$" "^     mend: ${key}_socket = /y$"
settings
said=$(env "KONG_${key^^}_SOKET=/z" "$server" --doctor --kong-conf "$conf") && status=0 || status=$?
expect 'a misspelt variable' 1 "^FAIL the variable KONG_${key^^}_SOKET belongs to no name" "^     mend: the variable KONG_${key^^}_SOCKET$"
said=$(env "KONG_${key^^}_START_CMD=/nowhere" "$server" --doctor --kong-conf "$conf") && status=0 || status=$?
expect 'a wrong command in a variable' 1 "^     mend: KONG_${key^^}_START_CMD='$server --socket $socket', in the environment"
settings 'plugins = bundled'
said=$(KONG_PLUGINS=bundled,api-version "$server" --doctor --kong-conf "$conf") && status=0 || status=$?
expect 'the environment wins' 0 '^ok   plugins has api-version'
settings 'pluginserver_names = other'
doctor
expect 'the name is missing' 1 "^FAIL pluginserver_names does not have $name" "^     mend: pluginserver_names = other,$name " \
    "^FAIL the key ${key}_start_cmd belongs to no name"
settings "pluginserver_${name}_socket = /x"
[ "$name" = "${name//-/_}" ] || {
    doctor
    expect 'a - in a key is a _, as Kong reads it' 1 "^FAIL start command: it listens at $socket, Kong connects to /x$"
    ! grep 'belongs to no name' <<<"$said" || failed=$((failed + 1))
}
settings "${key}_socket = $prefix/other.socket"
doctor
expect 'Kong connects elsewhere' 1 "^FAIL start command: it listens at $socket, Kong connects to $prefix/other.socket" \
    "^     mend: ${key}_start_cmd = $server --socket $prefix/other.socket$"
settings "${key}_socket = $prefix/$(printf 'x%.0s' {1..120})"
doctor
expect 'a path that is too long' 1 '^FAIL socket .*: a path of [0-9]+ bytes, at most 107'
settings "${key}_socket = here.socket"
doctor
expect 'a relative path' 1 '^FAIL socket here.socket: Kong needs the whole path' "^     mend: ${key}_socket = $prefix/here.socket, and the same behind --socket$"
settings "${key}_start_cmd = /nowhere/server"
doctor
expect 'a program that is not there' 1 '^FAIL start command: /nowhere/server: there is no program' "^     mend: ${key}_start_cmd = $server --socket $socket$"
settings "${key}_start_cmd = $name"
doctor
expect 'a program without a path' 1 "^FAIL start command: $name: Kong starts it without PATH" "^     mend: ${key}_start_cmd = $server --socket $socket$"
settings "${key}_start_cmd = $server --sockt $prefix/x.socket --log-format=json --allow-uid 54321 --drain-timout 3"
doctor
expect 'misspelt options' 1 '^FAIL start command: .*: unknown option --sockt: --help-all lists the options' \
    "^     mend: ${key}_start_cmd = $server --socket $socket --log-format json --allow-uid 54321 --drain-timeout 3$"
settings "${key}_start_cmd = $server --socket $socket --frobnicate"
doctor
expect 'an option that is none' 1 "^     mend: ${key}_start_cmd = $server --socket $socket$"
settings "${key}_start_cmd = $server --socket $socket --log-level warn --allow-uid 54321"
doctor
expect "Kong's user left out by the start command" 1 "^FAIL start command: its --allow-uid leaves out Kong's user [^ ]+, id [0-9]+$" \
    "^     mend: ${key}_start_cmd = $server --socket $socket --log-level warn --allow-uid 54321,[0-9]+$"
settings "${key}_start_cmd = $server --dump --phases access"
doctor
expect 'a start command that does not serve' 1 '^FAIL start command: .*: that is not to serve' "^     mend: ${key}_start_cmd = $server --socket $socket$"
settings "${key}_start_cmd = /bin/sh -c 'exec $server' \$X"
doctor
expect 'a start command that only a shell understands' 0 '^note start command: .*: only a shell can tell'

settings "${key}_query_cmd = echo hello"
doctor
expect 'no JSON' 1 '^FAIL query command: echo hello: .* no JSON: hello' "^     mend: ${key}_query_cmd = $server --dump$"
settings "${key}_query_cmd = $server --dump --fases access --protocol msgpack:1"
doctor
expect 'what the query command complains of' 1 '^FAIL query command: .*: prints nothing; exit status 2; on standard error: .*unknown option --fases: --help-all lists the options' \
    "^     mend: ${key}_query_cmd = $server --dump --phases access --protocol msgpack:1$"
settings "${key}_query_cmd = kill -9 \$\$"
doctor
expect 'a query command that is killed' 1 'prints nothing; killed by signal 9'
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

# --- another name, quotes, and others with the same plugin ---
{ echo "prefix = $prefix"; "$server" --print-conf --name my-Version --socket "$socket"; } >"$conf"
doctor
expect 'its own program under another name' 0 '^note this program is the plugin server my-version of pluginserver_names$' \
    '^ok   pluginserver_names has my-version$' "^ok   start command: $server --socket $socket$" '^ok   an event of access over ProtoBuf:1'
ln -s "$server" "$dir/bin/second"
{ echo "prefix = $prefix"; second --print-conf --socket "$socket"; } >"$conf"
said=$(cat "$conf") status=0
expect '--print-conf through a link keeps it' 0 '^pluginserver_names = second$' "^pluginserver_second_start_cmd = $dir/bin/second --socket $socket$" \
    "^pluginserver_second_query_cmd = $dir/bin/second --dump$"
sed -i 's/--dump/--dump --phases acces/' "$conf"
said=$(second --doctor --kong-conf "$conf") && status=0 || status=$?
expect '--doctor mends with the link, too' 1 "^     mend: pluginserver_second_query_cmd = $dir/bin/second --dump"
rm "$dir/bin/second"
settings
said=$(env KONG_PLUGINS='"bundled,api-version"' "KONG_${key^^}_QUERY_CMD='$server --dump'" "$server" --doctor --kong-conf "$conf") && status=0 || status=$?
expect 'literal quotes in variables' 1 '^FAIL KONG_PLUGINS: there are quotes around the value' '^     mend: KONG_PLUGINS=bundled,api-version, in the environment' \
    "^FAIL KONG_${key^^}_QUERY_CMD: there are quotes" '^ok   plugins has api-version' '^ok   query command: '
settings "log_level = 'info'"
doctor
expect 'literal quotes in the file' 1 '^FAIL log_level: there are quotes around the value, which Kong takes as part of it$' '^     mend: log_level = info$'
ln -s "$server" "$dir/bin/a b"
settings "${key}_query_cmd = '$dir/bin/a b'"
doctor
expect 'quotes that the shell needs' 1 '^FAIL query command: '
! grep -q 'there are quotes' <<<"$said" || { echo "not ok - quotes that the shell needs: $said" && failed=$((failed + 1)); }
rm "$dir/bin/a b"
settings "pluginserver_names = $name,second" "pluginserver_second_query_cmd = $server --dump"
doctor
expect 'a second server with the plugin, behind' 1 "^FAIL the plugin server second has api-version too and stands behind $name: Kong takes the last one" \
    "^     mend: pluginserver_names = $name$"
settings "pluginserver_names = second,$name" "pluginserver_second_query_cmd = $server --dump"
doctor
expect 'a second server with the plugin, before' 0 "^note the plugin server second has api-version too; Kong takes the last one, $name$"
settings "pluginserver_names = $name,second" "pluginserver_second_query_cmd = echo '{}'"
doctor
expect 'a second server with another plugin' 0 '^all is well'

settings "pluginserver_names = third,$name,second-one" "pluginserver_third_query_cmd = echo '{}'"
doctor
expect 'a second server without a query command' 1 '^FAIL the plugin server second-one has no query command: Kong refuses to start: query_command undefined for pluginserver second-one$' \
    "^     mend: pluginserver_names = third,$name \\("
! grep -q 'server third has no' <<<"$said" || { echo "not ok - a third server with a query command: $said" && failed=$((failed + 1)); }

# --- an upstream's header, and the sides of a hybrid Kong ---
settings "${key}_socket = $socket"
doctor
expect "the upstream's header is not hidden" 0 '^note header Version: where an upstream sends one too, clients get both; nginx_proxy_proxy_hide_header = Version drops'
{ echo "prefix = $prefix"; "$server" --print-conf --socket "$socket" --replace-upstream-header; } >"$conf"
doctor
expect "the upstream's header is hidden" 0 '^ok   header Version: one that an upstream sends is dropped$'
cat >"$dir/kong.yml" <<EOT
services:
- name: s
  plugins:
  - name: api-version
    config:
      response_header: X-Own
plugins:
- name: api-version
EOT
settings "declarative_config = $dir/kong.yml" 'nginx_proxy_proxy_hide_header = Other; proxy_hide_header x-own'
doctor
expect 'headers of a declarative file' 0 '^ok   header X-Own: ' '^note header Version: where an upstream .*; nginx_proxy_proxy_hide_header = Other; proxy_hide_header x-own; proxy_hide_header Version drops the upstream.s$'
settings "declarative_config = $dir/kong.yml"
doctor
expect 'two headers, one line hides both' 0 '^note header X-Own: .*; nginx_proxy_proxy_hide_header = (X-Own; proxy_hide_header Version|Version; proxy_hide_header X-Own) drops'
printf 'services:\n- name: s\n  plugins:\n  - name: api-version\n    config:\n      response_header: X-Own\n' >"$dir/one.yml"
settings "declarative_config = $dir/one.yml"
doctor
expect 'another header than the usual one' 0 '^note header X-Own: .* = X-Own drops the upstream.s \(--print-conf --replace-upstream-header=X-Own\)$'
settings "declarative_config = $dir/none.yml"
doctor
expect 'a declarative file that is not there' 1 "^FAIL declarative_config $dir/none.yml: No such file"
if command -v curl >/dev/null && command -v python3 >/dev/null; then
    mkdir "$dir/admin"
    echo '{"data": [{"name": "api-version", "config": {"response_header": "X-Admin"}}, {"name": "key-auth", "config": {}}], "next": null}' >"$dir/admin/plugins"
    timeout 60 python3 -u -c 'import http.server as h, sys
s = h.ThreadingHTTPServer(("127.0.0.1", 0), lambda *a: h.SimpleHTTPRequestHandler(*a, directory=sys.argv[1]))
print(s.server_port, flush=True)
s.serve_forever()' "$dir/admin" >"$dir/admin.port" 2>/dev/null &
    admin_pid=$!
    for _ in $(seq 3000); do [ -s "$dir/admin.port" ] && break; sleep 0.05; done
    settings
    run --doctor --kong-conf "$conf" --admin-url "http://127.0.0.1:$(cat "$dir/admin.port")"
    expect 'headers of the Admin API' 0 '^note header X-Admin: where an upstream'
    kill "$admin_pid"
    wait "$admin_pid" 2>/dev/null || true
    run --doctor --kong-conf "$conf" --admin-url "http://127.0.0.1:$(cat "$dir/admin.port")"
    expect 'an Admin API that is not there' 1 '^FAIL Admin API http://127.0.0.1:[0-9]+: curl: ' '^     mend: --admin-url URL'
else
    echo 'SKIPPED: no curl or no python3: headers of the Admin API'
fi
refused 'an address with a quote in it' "--admin-url http://x'y: not an address" --doctor --admin-url "http://x'y"
refused 'a header that is none' '--replace-upstream-header a;b: not names of headers' --print-conf '--replace-upstream-header=a;b'
settings "${key}_query_cmd = $server --dump --phases access,response"
doctor
! grep -q '^[a-zA-Z]* *header ' <<<"$said" || { echo "not ok - access,response replaces by itself: $said" && failed=$((failed + 1)); }
{ echo "prefix = $prefix"; "$server" --print-conf --role control_plane; } >"$conf"
doctor
expect 'the control plane' 0 '^ok   role control_plane: it proxies nothing' '^ok   query command: ' '^all is well'
! grep -q 'start command\|an event of' <<<"$said" || { echo "not ok - the control plane: $said" && failed=$((failed + 1)); }
{ echo "prefix = $prefix"; "$server" --print-conf --role data_plane --socket "$socket"; } >"$conf"
doctor
expect 'the data plane' 0 '^ok   role data_plane: the control plane needs the names' '^ok   an event of access over ProtoBuf:1'
settings 'role = control-plane'
doctor
expect 'a role that is none' 1 '^FAIL role control-plane: Kong does not know it$' '^     mend: role = traditional, control_plane or data_plane$'

if unshare -rm true 2>/dev/null; then
    settings "${key}_socket = $socket"
    said=$(unshare -rm sh -c 'mount -t tmpfs -o ro none "$2/bin" && "$0" --doctor --kong-conf "$1" -p "$2/bin"' "$server" "$conf" "$dir") && status=0 || status=$?
    expect 'a prefix on a read-only file system' 1 "^FAIL prefix $dir/bin .*: its file system is read-only$" '^     mend: mount something writable there'
else
    echo 'SKIPPED: no unshare -rm: a prefix on a read-only file system'
fi

settings "prefix = $dir/none" "${key}_socket = $socket"
doctor
expect 'no prefix' 1 "^FAIL prefix $dir/none \\(kong.conf\\): No such file"
settings "${key}_socket = $socket"
run --doctor --kong-conf "$conf" -p "$dir/bin"
expect '-p wins' 0 "^ok   prefix $dir/bin \\(-p wins, as with kong start -p\\)" "^note the settings have prefix $prefix: start Kong with -p $dir/bin"
said=$(KONG_PREFIX=$dir "$server" --doctor --kong-conf "$conf") && status=0 || status=$?
expect 'the prefix of the environment' 0 "^ok   prefix $dir \\(KONG_PREFIX\\)"
conf=$dir/none.conf
doctor
expect 'no kong.conf' 1 "^FAIL $dir/none.conf: No such file"
conf=$dir/kong.conf

run --socket "$socket"
one_line
expect 'a second server by hand' 2 "a server \\(process $pid\\) already listens at $socket"
run --status --socket "$socket"
expect '--status' 0 '^api-version 0\.1, process [0-9]+' '^access +[0-9]+ '
silent '--status --quiet' 0 --status --quiet --socket "$socket"
stop
settings
: >"$socket"
doctor
expect 'a file in the place of the socket' 1 '^FAIL socket .*: is not a socket' '^     mend: rm '
rm "$socket"
said=$("$server" --status --socket "$socket" 2>&1) && status=0 || status=$?
expect '--status without a server' 1 'no server is running there'
silent '--status --quiet without a server' 1 --quiet --status --socket "$socket"

# --- a file that a killed server left ---
start
kill -KILL "$pid" && wait "$pid" 2>/dev/null || true
pid=
settings
doctor
expect 'a stale socket' 1 "^FAIL socket $socket: nobody listens: the file is left over" '^     mend: kong restart'
rm "$socket"

# --- who is not let in ---
start --allow-uid 54321,54322
settings
doctor
expect '--doctor, left out by --allow-uid' 1 "^FAIL an event of access over ProtoBuf:1: user id [0-9]+ is refused by the server's --allow-uid 54321,54322" '^     mend: end that server'
run --status --socket "$socket"
one_line
expect '--status, left out by --allow-uid' 1 "user id $(id -u) is refused by the server's --allow-uid 54321,54322: run this as such a user, or"
stop
if [ "$(id -u)" = 0 ] && command -v setpriv >/dev/null; then
    start --allow-uid 65534 --socket-mode 0666
    settings 'nginx_user = nobody'
    doctor
    expect "--doctor as root tries what Kong's user may" 0 '^ok   an event of access over ProtoBuf:1: answered'
    stop
    start
    doctor
    expect "--doctor as root: Kong's user is left out by the mode" 1 "^FAIL socket .*: Kong's user nobody cannot connect" "^     mend: end the server that was started by another, kill $pid; then kong restart"
    cp "$server" "$dir/bin/$name" && chmod 755 "$dir/bin/$name"
    status=0
    # a build for coverage writes its counts, which are root's elsewhere, where that user may
    said=$(GCOV_PREFIX=$prefix setpriv --reuid 65534 --regid 65534 --clear-groups "$dir/bin/$name" --status --socket "$socket" 2>&1) || status=$?
    one_line
    expect '--status, left out by the mode' 1 'Permission denied: run this as the user of the server, or let this one in by its --socket-mode'
    settings 'nginx_user = root'
    status=0
    said=$(GCOV_PREFIX=$prefix setpriv --reuid 65534 --regid 65534 --clear-groups "$dir/bin/$name" --doctor --kong-conf "$conf" 2>&1) || status=$?
    expect '--doctor as a user who may not connect' 1 "^FAIL socket .*: this user may not connect: no event was tried$" "^     mend: run --doctor as root or as Kong's user root$"
    chmod 700 "$prefix"
    status=0
    said=$(GCOV_PREFIX=$dir setpriv --reuid 65534 --regid 65534 --clear-groups "$dir/bin/$name" --doctor --kong-conf "$conf" 2>&1) || status=$?
    expect '--doctor as a user who may not even look' 1 "^FAIL socket .*: this user may not look at it$" "^     mend: run --doctor as root or as Kong's user root$"
    chmod 777 "$prefix"
    rm "$dir/bin/$name"
    stop
else
    echo 'SKIPPED: not root, or no setpriv: --status and --doctor of another user'
fi

# --- handlers that end the request, and that never run ---
of_example() { # PLUGIN: its server, --doctor on that, and what --status then says of its instances
    local of=$dir/$1.socket example
    example=$(dirname "$server")/tests/plugins/$1
    "$example" --socket "$of" 2>"$dir/log" &
    pid=$!
    for _ in $(seq 3000); do [ -S "$of" ] && break || sleep 0.02; done
    { echo "prefix = $prefix"; "$example" --print-conf --socket "$of"; } >"$conf"
    status=0
    said=$("$example" --doctor --kong-conf "$conf" 2>&1) || status=$?
    said+=$'\n'$("$example" --status --socket "$of" 2>&1)
    stop
}
if [ -x "$(dirname "$server")/tests/plugins/key_check" ] && [ -x "$(dirname "$server")/tests/plugins/every_call" ]; then
    of_example key_check
    expect '--doctor with a handler that ends the request leaves no instance' 0 '^ok   an event of access over ProtoBuf:1: answered, with 3 calls' \
        '^ok   an event of access over MsgPack:1: answered, with 3 calls' '^instances: +0 live, 2 started, 0 of them .* 2 closed by Kong'
    of_example every_call
    expect '--doctor where {} is refused' 0 '^note an event of access over ProtoBuf:1: .*its handler was not tried: the plugin does not take the configuration \{\}' \
        '^note an event of access over MsgPack:1: .*not tried' '^instances: +0 live, 2 started, 2 of them .* 2 closed by Kong'
else
    echo 'SKIPPED: the example plugins are not built (make examples): --doctor with a handler that ends the request'
fi

# --- several plugins in one process ---
three=$(dirname "$server")/tests/gateway/three_server
shared=$prefix/three_server.socket
of_three() { # SED-SCRIPT…: --doctor with the lines that --print-conf prints for three plugins, changed like that
    { echo "prefix = $prefix"; "$three" --print-conf --kong-prefix "$prefix"; } >"$conf"
    [ $# -eq 0 ] || sed -i -E "$@" "$conf"
    status=0
    said=$("$three" --doctor --kong-conf "$conf" 2>&1) || status=$?
}
if [ -x "$three" ]; then
    "$three" --socket "$shared" 2>"$dir/log" &
    pid=$!
    for _ in $(seq 3000); do [ -S "$shared" ] && break; sleep 0.02; done
    of_three
    expect 'three plugins: all is well' 0 '^three-closed \(plugin server three-closed\):$' '^all is well: [0-9]+ ok, [0-9]+ to note, 0 FAIL$'
    of_three "s|^(pluginserver_three_)open(_start_cmd.*)|&\n\1rough\2|"
    expect 'three plugins: a second start command' 1 '^FAIL start command: Kong starts this program once more for three-rough, and the two take' \
        '^     mend: take pluginserver_three_rough_start_cmd away: one start command is enough$' ', 1 FAIL$'
    of_three '/_start_cmd/d'
    expect 'three plugins: no start command' 0 '^note no start command at any of the plugins' ', 0 FAIL$'
    of_three "s|^(pluginserver_three_closed_socket = ).*|\1$prefix/other.socket|"
    expect 'three plugins: another socket' 1 "^FAIL socket $prefix/other.socket: the process that serves three-closed is at $shared, as the others are$" \
        "^     mend: pluginserver_three_closed_socket = $shared$" "^FAIL socket $prefix/other.socket: No such file"
    of_three 's/--plugin three-closed/& | sed s-MsgPack-ProtoBuf-/'
    expect 'three plugins: another protocol' 1 '^FAIL three-closed is to speak ProtoBuf:1, others here MsgPack:1: Kong keeps the connections of one socket' \
        "^     mend: pluginserver_three_closed_query_cmd = .*three_server --dump --plugin three-closed --protocol MsgPack:1$" ', 1 FAIL$'
    # the first one is wrong, for the last one needs MsgPack:1
    of_three 's/--plugin three-open/& | sed s-MsgPack-ProtoBuf-/'
    expect 'three plugins: another protocol of the first one' 1 '^FAIL three-open is to speak ProtoBuf:1, others here MsgPack:1' ', 1 FAIL$'
    of_three 's/--plugin three-rough/& | sed s-MsgPack-ProtoBuf-/'
    expect 'a plugin that needs MsgPack:1' 1 '^FAIL what the query command prints: Protocol is ProtoBuf:1: this plugin calls functions that Kong has over MsgPack:1 only$' \
        '^     mend: pluginserver_three_rough_query_cmd = .*three_server --dump --plugin three-rough$' ', 1 FAIL$'
    stop
else
    echo "SKIPPED: $three is not built: --doctor with several plugins in one process"
fi

# --- a log in a file, supervisor and child, and logrotate ---
mkdir "$dir/logs"
ln -s logs "$dir/linked" # as systemd has a service's
log=$dir/logs/x.log
start --supervise yes --log-file "$log"
sed "s|/var/log/apiversion-server/|$dir/linked/|" "$(dirname "$0")/../../server/packaging/logrotate" >"$dir/logrotate.conf"
rotate() { # as logrotate does it, which is run where it is installed
    if command -v logrotate >/dev/null; then
        chmod 644 "$dir/logrotate.conf"
        logrotate -f -s "$dir/logrotate.state" "$dir/logrotate.conf"
    else
        echo 'SKIPPED: logrotate is not installed: its script alone was run'
        mv "$log" "$log.1"
        sh -c "$(sed -n '/postrotate/,/endscript/p' "$dir/logrotate.conf" | sed '1d;$d')" sh "$dir/linked/x.log"
    fi
}
opened() { # TEXT PID…: each of these has opened the file again
    local process text=$1
    shift
    for process in "$@"; do
        for _ in $(seq 3000); do
            grep -q "\[$process\]: opened .* again$" "$log" 2>/dev/null && continue 2
            sleep 0.02
        done
        echo "not ok - $text: process $process has not opened $log: $(cat "$log")"
        failed=$((failed + 1))
    done
}
child() { cat "/proc/$pid/task/$pid/children" | tr -d ' '; }
for _ in $(seq 3000); do grep -q 'serves at' "$log" && break; sleep 0.02; done
said=$(cat "$log") status=0
expect '--log-file: the lines are there' 0 'api-version 0\.1 serves at'
said=$(cat "$dir/log"; echo end)
expect '--log-file: and not on standard error' 0 '^end$'
! grep -q 'serves' "$dir/log" || failed=$((failed + 1))
rotate
opened 'logrotate' "$pid" "$(child)"
said=$(cat "$log"; ls "$dir/logs")
expect 'logrotate: both processes open a new file' 0 'opened .* again$' '^x\.log\.1$'
kill -SEGV "$(child)"
for _ in $(seq 3000); do grep -q 'serves at' "$log" && break; sleep 0.02; done
said=$(cat "$log")
expect 'what the supervisor says of a death is in the new file, and the next child' 0 'signal 11' 'serves at'
kill -HUP "$pid"
opened 'SIGHUP to the supervisor reaches its child' "$(child)"
run --socket "$socket" --log-file "$dir/logs/second.log"
one_line
expect 'a server that cannot start says so where it was started, too' 2 "a server .* already listens at $socket"
said=$(cat "$dir/logs/second.log")
expect '… and in its file' 2 "error api-version.*already listens at $socket"
stop
run --socket "$socket" --log-file "$dir/none/x.log"
one_line
expect 'a log file that cannot be' 1 "--log-file $dir/none/x.log: No such file or directory: name a file that this user may write to"
refused 'a relative log file, for Kong' '--log-file: Kong needs the whole path' --print-conf --log-file x.log

# --- levels for the journal ---
status=0
said=$(exec 2>"$dir/journal"; JOURNAL_STREAM=$(stat -Lc '%d:%i' "$dir/journal") "$server" --socket "$dir/none/s") || status=$?
said=$(cat "$dir/journal")
expect "the journal gets an error's level" 1 "^<3>$name: .*"

# The child of a supervisor serves the figures, the next one as well.
start --supervise yes --metrics-listen "unix:$dir/metrics"
metrics() { said=$(curl -s --unix-socket "$dir/metrics" http://localhost/metrics) && status=0 || status=$?; }
if command -v curl >/dev/null; then
    for _ in $(seq 3000); do [ -S "$dir/metrics" ] && break; sleep 0.05; done
    metrics
    expect 'metrics of a supervised server' 0 '^kong_plugin_server_restarts_total\{plugin="api-version"\} 0$'
    kill -SEGV "$(cat "/proc/$pid/task/$pid/children")"
    for _ in $(seq 3000); do
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

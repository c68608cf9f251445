#!/usr/bin/env bash
# Real HTTP through nginx with Lua in Kong's place and the plugin server at work, over both protocols.
#
#   tests/gateway/http_test.sh [BINARY]
#
# One line a check, "ok - …" or "not ok - …"; at the end "N passed, N failed". GW_KEEP=1 keeps the
# directory with nginx's and the server's logs.

. "$(dirname "${BASH_SOURCE[0]}")/gateway.sh"

BINARY=${1:-$GW_HERE/../../build/apiversion-server}
[ -x "$BINARY" ] || gw_fail "$BINARY: not there: build it first"
BINARY=$(realpath "$BINARY")

passed=0
failed=0
scene=

ok() { # TEXT
    passed=$((passed + 1))
    printf 'ok - %s: %s\n' "$scene" "$1"
}

not_ok() { # TEXT DIAGNOSIS…
    failed=$((failed + 1))
    printf 'not ok - %s: %s\n' "$scene" "$1"
    shift
    printf '#   %s\n' "$@"
    errors | sed 's/^/#   in the gateway log: /'
}

is() { # TEXT EXPECTED ACTUAL
    if [ "$2" = "$3" ]; then
        ok "$1"
    else
        not_ok "$1" "expected: ${2//$'\n'/ | }" "got:      ${3//$'\n'/ | }"
    fi
}

yes() { # TEXT COMMAND…
    local text=$1
    shift
    if "$@"; then
        ok "$text"
    else
        not_ok "$text" "failed: $*"
    fi
}

no() { # TEXT COMMAND…
    local text=$1
    shift
    if "$@"; then
        not_ok "$text" "succeeded: $*"
    else
        ok "$text"
    fi
}

# --- HTTP --------------------------------------------------------------------------------------------

# Sends one request with curl's options. Then $status, and $GW_PREFIX/head and body.
request() {
    : >"$GW_PREFIX/head"
    : >"$GW_PREFIX/body"
    status=$(curl -sS -m 30 -D "$GW_PREFIX/head" -o "$GW_PREFIX/body" -w '%{http_code}' "$@" \
        2>"$GW_PREFIX/curl.err") || status="curl $?: $(<"$GW_PREFIX/curl.err")"
}

# NAME, in lower case: that header's values in the last response, one a line
header() {
    tr -d '\r' <"$GW_PREFIX/head" |
        awk -v name="$1" '{ at = index($0, ":") }
            at > 0 && tolower(substr($0, 1, at - 1)) == name { print substr($0, at + 2) }'
}

# NAME, in lower case: that header's values in the last request as the upstream got it
upstream_got() {
    tr -d '\r' <"$GW_PREFIX/body" |
        awk -v name="$1" '/^$/ { exit } { at = index($0, ":") }
            at > 0 && tolower(substr($0, 1, at - 1)) == name { print substr($0, at + 2) }'
}

# FILE…: of these responses (headers and body, one a file) how many are 200 and carry Version: 0.1,
# once
count_marked() {
    awk '{ sub(/\r$/, "") }
        FNR == 1 { ok = /^HTTP\/1.1 200 /; versions = 0; ours = 0; head = 1 }
        head && tolower($0) ~ /^version:/ { versions++ }
        head && tolower($0) == "version: 0.1" { ours++ }
        head && /^$/ { head = 0; if (ok && versions == 1 && ours == 1) marked++ }
        END { print marked + 0 }' "$@" </dev/null
}

# DIR COUNT AT-ONCE: that many requests, at most so many at the same time; responses in DIR/1 …
parallel_requests() {
    mkdir -p "$1"
    curl -sS -m 60 --no-progress-meter -Z --parallel-immediate --parallel-max "$3" -i \
        -o "$1/#1" "$GW_URL/parallel/[1-$2]" 2>>"$GW_PREFIX/curl.err"
}

# --- The log ------------------------------------------------------------------------------------------

# Ids of the instances that were started, closed since the gateway's start: one a line
started() {
    sed -n 's/.*instance \(-\{0,1\}[0-9]*\) started for configuration.*/\1/p' "$GW_PREFIX/error.log"
}

# Workers that started an instance: a pid for each start
starters() {
    sed -n 's/.*\] \([0-9]*\)#.*instance -\{0,1\}[0-9]* started for configuration.*/\1/p' \
        "$GW_PREFIX/error.log"
}

closed() {
    sed -n 's/.*instance \(-\{0,1\}[0-9]*\) closed.*/\1/p' "$GW_PREFIX/error.log"
}

# nginx's own complaint about /no-answer is no error
errors() {
    grep -E '\[(error|crit|alert|emerg)\]' "$GW_PREFIX/error.log" |
        grep -v 'upstream prematurely closed connection' | head -n 3
}

# What the plugin servers had to say that they should not: after their end, so that a sanitizer's
# report of leaks is among it
server_complaints() {
    grep -E 'Sanitizer|runtime error:' "$GW_PREFIX/server.log" | head -n 3
}

# --- Scenes -------------------------------------------------------------------------------------------

# Server and gateway, with the default configuration. The server is told nothing: what the dump says
# decides about phases and protocol.
begin() { # TEXT WORKERS DUMP-OPTION…
    scene=$1
    : >"$GW_PREFIX/server.log"
    gw_config '{}'
    gw_server_start "$BINARY"
    gw_start "$2" "$BINARY" "${@:3}"
}

end() {
    gw_end
    is "no sanitizer complains of the server" "" "$(server_complaints)"
}

end_quietly() {
    is "no error in the gateway's log" "" "$(errors)"
    end
}

basics() {
    local large=$GW_PREFIX/large
    request "$GW_URL/hello"
    is "GET: 200, marked" "200 0.1" "$status $(header version)"
    is "GET: the upstream's body" "GET /hello HTTP/1.1" "$(head -n 1 "$GW_PREFIX/body" | tr -d '\r')"

    request -I "$GW_URL/hello"
    is "HEAD: 200, marked" "200 0.1" "$status $(header version)"
    yes "HEAD: the upstream's Content-Length" test "$(header content-length)" -gt 50

    request -d 'a=1&b=2' "$GW_URL/form"
    is "POST: 200, marked" "200 0.1" "$status $(header version)"
    is "POST: the body reaches the upstream" 'a=1&b=2' "$(tail -n 1 "$GW_PREFIX/body")"

    head -c 100000 /dev/zero | tr '\0' x >"$large"
    request --data-binary "@$large" "$GW_URL/form"
    is "POST of 100,000 bytes: 200, marked" "200 0.1" "$status $(header version)"
    yes "POST of 100,000 bytes: they reach the upstream" \
        cmp -s "$large" <(tail -c 100000 "$GW_PREFIX/body")

    request "$GW_URL/status/404"
    is "404 from upstream: marked" "404 0.1" "$status $(header version)"
    request "$GW_URL/status/500"
    is "500 from upstream: marked" "500 0.1" "$status $(header version)"
}

upstream_stream() { # go or sent, ID: fails before the upstream has sent its first chunk
    curl -sS -f -m 10 -o /dev/null "http://127.0.0.1:$GW_UPSTREAM_PORT/stream/$1?id=$2" \
        2>>"$GW_PREFIX/curl.err"
}

# How a slow stream comes through: "early", the client has the first chunk while the upstream still
# waits for the word to send the second; or "late", buffered.
stream() { # early or late
    local id=$RANDOM$RANDOM client
    : >"$GW_PREFIX/head"
    rm -f "$GW_PREFIX/stream"
    curl -sS -N -m 30 -o "$GW_PREFIX/stream" -D "$GW_PREFIX/head" "$GW_URL/stream?id=$id${GW_HIDE:+&own=1}" &
    client=$!
    if [ "$1" = early ]; then
        gw_wait test -s "$GW_PREFIX/stream"
        is "stream: the first chunk arrives before the upstream was told to send the second" first \
            "$(cat "$GW_PREFIX/stream")"
        is "stream: its headers are marked" 0.1 "$(header version)"
    else
        gw_wait upstream_stream sent "$id"
        no "stream: nothing arrives before the upstream has sent it all" test -s "$GW_PREFIX/stream"
    fi
    gw_wait upstream_stream go "$id"
    wait "$client"
    is "stream: all of it arrives" "first second third" \
        "$(tr '\n' ' ' <"$GW_PREFIX/stream" | sed 's/ $//')"
    is "stream: marked, once" 0.1 "$(header version)"
}

parallel_200() {
    local dir=$GW_PREFIX/parallel.$RANDOM
    parallel_requests "$dir" 200 50
    is "200 requests, 50 at a time: all 200, all marked" 200 "$(count_marked "$dir"/*)"
    rm -rf --one-file-system "$dir"
}

request_header() {
    gw_config '{"request_header": "X-Api-Version"}'
    request "$GW_URL/hello"
    is "request_header: the upstream gets it" 0.1 "$(upstream_got x-api-version)"
    is "request_header: the response is marked as before" 0.1 "$(header version)"
    request -H 'X-Api-Version: forged' "$GW_URL/hello"
    is "request_header: a client's own is replaced" 0.1 "$(upstream_got x-api-version)"
}

config_change() {
    local before
    before=$(started | tail -n 1)
    gw_config '{"response_header": "Plugin-Version", "version": "2.0 (new)"}'
    request "$GW_URL/hello"
    is "configuration changed: the next response has the new header" "200 2.0 (new)" \
        "$status $(header plugin-version)"
    is "configuration changed: and not the old one" "" "$(header version)"
    is "configuration changed: the old instance was closed" "$before" "$(closed | tail -n 1)"
    no "configuration changed: by an instance of its own" test "$before" = "$(started | tail -n 1)"
    request "$GW_URL/hello"
    is "configuration unchanged: no instance more" 2 "$(started | wc -l)"
    gw_config '{}'
    request "$GW_URL/hello"
    is "configuration back: the default header again" "200 0.1 " \
        "$status $(header version) $(header plugin-version)"
}

wrong_config() {
    gw_config '{"response_header": "not a header name"}'
    request "$GW_URL/hello"
    is "a configuration that the schema refuses: 200, unmarked" "200 " "$status $(header version)"
    no "a configuration that the schema refuses: no header of its name" \
        grep -qi '^not a header name' "$GW_PREFIX/head"
    yes "a configuration that the schema refuses: Kong's log says why" \
        grep -q 'config\.response_header: invalid value: not a header name' "$GW_PREFIX/error.log"
    gw_config '{}'
    request "$GW_URL/hello"
    is "then a good one: marked again" "200 0.1" "$status $(header version)"
}

# What Kong does while nobody listens is the gateway's part; that the first request afterwards is
# served and marked is the server's.
killed() { # STATUS while it is down
    local first=$GW_SERVER_PID
    gw_server_end KILL
    request "$GW_URL/hello"
    is "server killed: as Kong answers then" "$1 " "$status $(header version)"
    gw_server_start "$BINARY"
    request "$GW_URL/hello"
    is "server started again: the first request is marked" "200 0.1" "$status $(header version)"
    no "server started again: by another process" test "$first" = "$GW_SERVER_PID"
    is "server started again: an instance id is never used twice" "$(started | sort)" \
        "$(started | sort -u)"
    parallel_200
}

# --- The child of a supervisor is killed under load ----------------------------------------------------------

child_of() {
    cat "/proc/$1/task/$1/children" 2>/dev/null | tr -d ' '
}

has_another_child() { # PID OLD
    local child
    child=$(child_of "$1")
    [ -n "$child" ] && [ "$child" != "$2" ]
}

count_200() { # FILE…
    awk 'FNR == 1 && /^HTTP\/1.1 200 / { count++ } END { print count + 0 }' "$@" </dev/null
}

# 25 requests are under way at a time: no more are hit. Over ProtoBuf:1 Kong sends those again whose
# connection closed while it waited for an answer, and answers 500 to one that it was writing
# ("broken pipe"); over MsgPack:1 the request goes on, unmarked.
killed_children() { # WHICH are 200: some or all
    local dir=$GW_PREFIX/load.$RANDOM loader child kill sent marked begun=$EPOCHREALTIME ended
    mkdir "$dir"
    load "$dir" 250 &
    loader=$!
    for kill in 1 2 3 4; do
        more_batches "$dir" 1
        child=$(child_of "$GW_SERVER_PID")
        kill -KILL "$child"
        yes "child $kill killed under load: another serves" \
            gw_wait has_another_child "$GW_SERVER_PID" "$child"
    done
    more_batches "$dir" 4
    touch "$dir/stop"
    wait "$loader"
    ended=$EPOCHREALTIME
    sent=$(($(batches "$dir") * 250))
    marked=$(count_marked "$dir"/[0-9]*/*)
    printf '# %s: %d requests, about %d/s, child killed 4 times: %d not marked\n' "$scene" "$sent" \
        $((sent * 1000000 / (${ended/./} - ${begun/./}))) $((sent - marked))
    yes "child killed under load: at most the 25 under way are not marked" \
        test $((sent - marked)) -le 100
    [ "$1" = some ] ||
        is "child killed under load: every response is 200" "$sent" "$(count_200 "$dir"/[0-9]*/*)"
    is "child killed under load: the supervisor says so" 4 \
        "$(grep -c 'was killed by signal 9' "$GW_PREFIX/server.log")"
    rm -rf --one-file-system "$dir"
}

ends_well() {
    local pid=$GW_SERVER_PID status
    kill -TERM "$pid"
    wait "$pid"
    status=$?
    is "SIGTERM: the server ends with status 0" 0 "$status"
    no "SIGTERM: its socket's file is gone" test -e "$GW_SOCKET"
}

# --- Reload: two servers alive, under load ------------------------------------------------------------------

load() { # DIR [BATCH]: requests, 25 at a time, until DIR/stop is there
    local batch=0
    while [ ! -e "$1/stop" ]; do
        batch=$((batch + 1))
        parallel_requests "$1/$batch" "${2:-25}" 25
        : >"$1/$batch.done"
    done
}

batches() {
    set -- "$1"/*.done
    [ -e "$1" ] && echo $# || echo 0
}

more_batches() { # DIR MORE: waits until so many more are done
    local goal=$(($(batches "$1") + $2))
    gw_wait batches_reach "$1" "$goal"
}

batches_reach() {
    [ "$(batches "$1")" -ge "$2" ]
}

reload() { # TEXT COMMAND…: what the gateway does between the second server's start and the first's end
    local text=$1 dir=$GW_PREFIX/load.$RANDOM loader first=$GW_SERVER_PID first_status sent
    shift
    mkdir "$dir"
    load "$dir" &
    loader=$!
    more_batches "$dir" 6
    gw_server_start "$BINARY" --take-over # its parent is not called nginx
    more_batches "$dir" 6
    "$@"
    kill -TERM "$first"
    wait "$first"
    first_status=$?
    more_batches "$dir" 6
    touch "$dir/stop"
    wait "$loader"
    sent=$(($(batches "$dir") * 25))
    yes "$text: the load ran before, between and after" test "$sent" -ge 450
    is "$text: every response is 200 and marked" "$sent" "$(count_marked "$dir"/[0-9]*/*)"
    is "$text: the first server ended with status 0" 0 "$first_status"
    yes "$text: the second one's socket is in place" test -S "$GW_SOCKET"
    rm -rf --one-file-system "$dir"
}

# --- What is told by the dump ------------------------------------------------------------------------------

dumped_phases() {
    "$BINARY" --dump 2>/dev/null | tr -d ' \n' | sed -n 's/.*"Phases":\[\([^]]*\)\].*/\1/p'
}

header_filter() {
    scene="header_filter"
    is "not among the phases of the dump" '"access"' "$(dumped_phases)"
    begin "header_filter, advertised all the same" 1 --phases header_filter
    request "$GW_URL/hello"
    is "destroys the response, as in every Kong" "curl 52" "${status%%:*}"
    end
}

for tool in curl awk; do
    command -v "$tool" >/dev/null || gw_fail "$tool is not installed: run tests/install-deps.sh demo"
done
gw_open

for protocol in ProtoBuf:1 MsgPack:1; do
    begin "$protocol, access" 1 --protocol "$protocol"
    basics
    request "$GW_URL/own-version"
    is "an upstream's own header: both values, ours first" $'0.1\nupstream' "$(header version)"
    request "$GW_URL/no-answer"
    is "an upstream that does not answer: 502, marked" "502 0.1" "$status $(header version)"
    stream early
    parallel_200
    config_change
    request_header
    is "one instance a configuration" 4 "$(started | wc -l)"
    end_quietly

    # the way that --print-conf --replace-upstream-header prints for Kong
    GW_HIDE=Version
    begin "$protocol, access, upstream's header hidden" 1 --protocol "$protocol"
    for url in "$GW_URL" "$GW_H2_URL"; do
        version=1.1 curl_option=--http1.1
        [ "$url" = "$GW_URL" ] || version=2 curl_option=--http2-prior-knowledge
        if [ "$version" = 2 ] && ! curl -V | grep -qw HTTP2; then
            echo "SKIPPED: curl has no HTTP/2: $scene"
            continue
        fi
        request "$curl_option" "$url/own-version"
        is "HTTP/$version: an upstream's own header: replaced by ours" "$version 200 0.1" \
            "$(sed -n '1s|HTTP/\([0-9.]*\).*|\1|p' "$GW_PREFIX/head") $status $(header version)"
        request "$curl_option" "$url/own-versions"
        is "HTTP/$version: twice, in other letters: replaced by ours" "200 0.1" "$status $(header version)"
    done
    request "$GW_URL/no-answer"
    is "an upstream that does not answer: 502, marked" "502 0.1" "$status $(header version)"
    stream early
    end_quietly
    GW_HIDE=

    begin "$protocol, access,response" 1 --protocol "$protocol" --phases access,response
    basics
    request "$GW_URL/own-version"
    is "an upstream's own header: replaced by ours" 0.1 "$(header version)"
    stream late
    parallel_200
    request_header
    end_quietly

    begin "$protocol, response" 1 --protocol "$protocol" --phases response
    request "$GW_URL/own-version"
    is "an upstream's own header: replaced by ours" 0.1 "$(header version)"
    request "$GW_URL/no-answer"
    is "an upstream that does not answer: 502, no response phase" "502 " "$status $(header version)"
    end_quietly

    begin "$protocol, rewrite" 1 --protocol "$protocol" --phases rewrite
    request "$GW_URL/hello"
    is "GET: 200, marked" "200 0.1" "$status $(header version)"
    end_quietly

    begin "$protocol, two workers" 2 --protocol "$protocol"
    parallel_200
    is "one instance a worker that has served" "$(starters | sort -u)" "$(starters | sort)"
    reload "reload as Kong does it, new workers" gw_reload
    is "no error in the gateway's log" "" "$(errors)"
    reload "second server, same workers" true
    ends_well
    end

    scene="$protocol, supervised, two threads"
    : >"$GW_PREFIX/server.log"
    gw_config '{}'
    gw_server_start "$BINARY" --supervise yes --threads 2
    gw_start 1 "$BINARY" --protocol "$protocol"
    parallel_200
    killed_children "$([ "$protocol" = ProtoBuf:1 ] && echo some || echo all)"
    ends_well
    end

    begin "$protocol, faults" 1 --protocol "$protocol"
    parallel_200
    killed "$([ "$protocol" = ProtoBuf:1 ] && echo 500 || echo 200)"
    wrong_config
    end
done
header_filter

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]

#!/usr/bin/env bash
# A poisoned route beside a healthy one: requests whose handler crashes the supervised server, through
# nginx with Lua in Kong's place, which sends them again without end.
#
#   tests/gateway/poison.sh POISON-SERVER             checks counts and outcomes, one line each
#   tests/gateway/poison.sh POISON-SERVER --measure   prints how long healthy requests take meanwhile
#
# GW_KEEP=1 keeps the directory with nginx's and the server's logs.

. "$(dirname "${BASH_SOURCE[0]}")/gateway.sh"

BINARY=${1:?the plugin server poison_server}
[ -x "$BINARY" ] || gw_fail "$BINARY: not there: build it first"
BINARY=$(realpath "$BINARY")
HEALTHY_AT_ONCE=4

passed=0
failed=0
scene=

is() { # TEXT COMMAND…
    local text=$1
    shift
    if "$@"; then
        passed=$((passed + 1))
        printf 'ok - %s: %s\n' "$scene" "$text"
    else
        failed=$((failed + 1))
        printf 'not ok - %s: %s\n#   failed: %s\n' "$scene" "$text" "$*"
        tail -n 5 "$GW_PREFIX/server.log" | sed 's/^/#   the server: /'
    fi
}

begin() { # TEXT PROTOCOL OPTION…
    scene=$1
    : >"$GW_PREFIX/server.log"
    gw_config '{}'
    gw_config '{}' healthy
    gw_config '{"crash": true}' poisoned
    gw_server_start "$BINARY" --supervise yes "${@:3}"
    gw_start 1 "$BINARY" --protocol "$2"
}

crashes() {
    grep -c 'was killed by signal\|exited with status' "$GW_PREFIX/server.log"
}

# --- Requests: files with a line "STATUS SECONDS MARK" each ------------------------------------------------

LINE='%{http_code} %{time_total} [%header{version}]\n'

# FILE PATH CURL-OPTION…: requests to all that PATH stands for, [1-100]
send() {
    curl -sS -m 60 --no-progress-meter -Z --parallel-immediate -o /dev/null -w "$LINE" "${@:3}" \
        "$GW_URL$2" >"$1" 2>>"$GW_PREFIX/curl.err"
}

# FILE: healthy requests until FILE.stop is there
send_healthy() {
    while [ ! -e "$1.stop" ]; do
        curl -sS -m 60 --no-progress-meter -Z --parallel-max "$HEALTHY_AT_ONCE" -o /dev/null \
            -w "$LINE" "$GW_URL/route/healthy/[1-50]" >>"$1" 2>>"$GW_PREFIX/curl.err"
    done
}

lines() { # FILE PATTERN: how many match
    grep -c "$2" "$1"
}

healthy_begin() {
    HEALTHY=$GW_PREFIX/healthy.$RANDOM
    : >"$HEALTHY"
    send_healthy "$HEALTHY" &
    HEALTHY_PID=$!
    gw_wait healthy_reach 100
}

healthy_reach() {
    [ "$(wc -l <"$HEALTHY")" -ge "$1" ]
}

healthy_end() {
    local more=$(($(wc -l <"$HEALTHY") + 100))
    gw_wait healthy_reach "$more"
    : >"$HEALTHY.stop"
    wait "$HEALTHY_PID"
}

# --- Checks -------------------------------------------------------------------------------------------------

# But for those that were on their way at a crash: their instance was being started, or they were
# written to a server that was gone. Kong answers such a one 500.
healthy_are_served() {
    local lost=$(($(wc -l <"$HEALTHY") - $(lines "$HEALTHY" '^200 .*\[0.1\]')))
    printf '# %s: %d healthy requests, %d of them hit by %d crashes\n' "$scene" \
        "$(wc -l <"$HEALTHY")" "$lost" "$(crashes)"
    [ "$lost" -le $(($(crashes) * HEALTHY_AT_ONCE)) ]
}

# Nobody else is there: no idle connection of Kong's is in the way.
one_request() { # STATUS that it ends with
    send "$GW_PREFIX/poison" /route/healthy -H 'X-Crash: yes'
    is "the request ends with $1" test "$(lines "$GW_PREFIX/poison" "^$1 .*\[\]")" = 1
    is "it has crashed the server twice" test "$(crashes)" = 2
    is "Kong's log says why" grep -q 'this request has crashed the server process' \
        "$GW_PREFIX/error.log"
    send "$GW_PREFIX/healthy" '/route/healthy/[1-20]'
    is "the next ones are served" test "$(lines "$GW_PREFIX/healthy" '^200 .*\[0.1\]')" = 20
}

some_requests() {
    healthy_begin
    send "$GW_PREFIX/poison" '/route/healthy/[1-3]' -H 'X-Crash: yes'
    healthy_end
    is "3 requests at once: all end with 500" test "$(lines "$GW_PREFIX/poison" '^500 ')" = 3
    is "3 requests at once: at most 4 crashes" test "$(crashes)" -le 4
    is "3 requests at once: the others are served" healthy_are_served
}

whole_route() { # REQUESTS that end with 500
    healthy_begin
    send "$GW_PREFIX/poison" '/route/poisoned/[1-200]' --parallel-max 16
    healthy_end
    is "200 requests, 16 at a time: $1 or more end with 500" \
        test "$(lines "$GW_PREFIX/poison" '^500 ')" -ge "$1"
    is "200 requests: at most 10 crashes" test "$(crashes)" -le 10
    is "200 requests: the healthy route is served" healthy_are_served
    is "200 requests: no start of the server was delayed" \
        test "$(grep -c 'starting another in 0 ms' "$GW_PREFIX/server.log")" = "$(crashes)"
}

check_all() {
    local threads
    for threads in 1 3; do
        begin "ProtoBuf:1, $threads threads, one poisoned request" ProtoBuf:1 --threads $threads
        one_request 500
        gw_end
        begin "ProtoBuf:1, $threads threads, some poisoned requests" ProtoBuf:1 --threads $threads
        some_requests
        gw_end
        begin "ProtoBuf:1, $threads threads, a poisoned route" ProtoBuf:1 --threads $threads
        whole_route 200
        gw_end
    done
    export POISON_ON_ERROR=open
    begin "ProtoBuf:1, failing open, one poisoned request" ProtoBuf:1
    one_request 200
    gw_end
    unset POISON_ON_ERROR
    # Kong takes the end of a connection for the end of the event: the supervisor answers.
    begin "MsgPack:1, one poisoned request" MsgPack:1
    one_request 500
    gw_end
    begin "MsgPack:1, a poisoned route" MsgPack:1
    whole_route 200
    gw_end
    echo "$passed passed, $failed failed"
    [ "$failed" -eq 0 ]
}

# --- Measurement ----------------------------------------------------------------------------------------------

figures() { # TEXT
    awk -v text="$1" -v crashes="$(crashes)" '
        { times[NR] = $2; if ($1 != 200) lost++; if ($2 > most) most = $2 }
        END {
            n = asort_times()
            printf "%-44s %8d %8d %9.1f %9.1f %9.1f %8d\n", text, crashes, NR, times[int(n / 2) + 1] * 1e3,
                times[int(n * 0.99) + 1] * 1e3, most * 1e3, lost
        }
        function asort_times(   i, j, gap, t) {
            for (gap = int(NR / 2); gap > 0; gap = int(gap / 2))
                for (i = gap + 1; i <= NR; i++) {
                    t = times[i]
                    for (j = i; j > gap && times[j - gap] > t; j -= gap) times[j] = times[j - gap]
                    times[j] = t
                }
            return NR
        }' "$HEALTHY"
}

measure() { # TEXT PROTOCOL URL CURL-OPTION…
    begin "$1" "$2"
    healthy_begin
    : >"$HEALTHY" # what came before is not counted
    for _ in 1 2 3 4 5; do
        [ -z "$3" ] || send "$GW_PREFIX/poison" "$3" "${@:4}"
        gw_wait healthy_reach $(($(wc -l <"$HEALTHY") + 500))
    done
    healthy_end
    figures "$1"
    gw_end
}

measure_all() {
    printf 'Healthy requests beside poisoned ones, %d at once through nginx. Times in ms.\n' \
        "$HEALTHY_AT_ONCE"
    printf '%-44s %8s %8s %9s %9s %9s %8s\n' '' crashes requests p50 p99 slowest 'not 200'
    local protocol
    for protocol in ProtoBuf:1 MsgPack:1; do
        measure "$protocol, no crash" "$protocol" ''
        measure "$protocol, 5 times one poisoned request" "$protocol" /route/healthy -H 'X-Crash: yes'
        measure "$protocol, a poisoned route under load" "$protocol" '/route/poisoned/[1-400]' \
            --parallel-max 16
    done
}

gw_open
case ${2:-} in
--measure) measure_all ;;
*) check_all ;;
esac

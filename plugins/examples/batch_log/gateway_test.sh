#!/usr/bin/env bash
# batch-log through nginx in Kong's place, with an HTTP server that refuses, is killed, and a SIGTERM.
#
#   gateway_test.sh SERVER

. "$(dirname "${BASH_SOURCE[0]}")/../gateway.sh"
needs python3 python3

# the log phases of all may wait at the same time: nginx has 256 timers at work at most
LOAD=200

start_receiver() { # [EVERY]
    python3 "$(dirname "${BASH_SOURCE[0]}")/receiver.py" "$port" "$GW_PREFIX/arrived" "$@" >>"$GW_PREFIX/receiver.log" 2>&1 &
    receiver=$!
    GW_SERVERS+=("$receiver")
    gw_wait gw_listens "$port" || gw_fail "the receiver did not start: $(tail -n 3 "$GW_PREFIX/receiver.log")"
}

load() { # FROM TO
    curl -sS -m 60 --no-progress-meter -Z --parallel-immediate --parallel-max 16 -o /dev/null "$GW_URL/[$1-$2]" 2>&1
}

logged() { # COUNT: so many requests have had their log phase, and have nothing under way
    "$BINARY" --status --json --socket "$GW_SOCKET" | grep -q "\"EventsStarted\":$1,\"EventsRunning\":0"
}

arrived() { # how many requests, however often each
    sort -u "$GW_PREFIX/arrived" | grep -c '^/[0-9]*$'
}

all_arrived() { # COUNT
    [ "$(arrived)" -ge "$1" ]
}

eventually() { # COMMAND…: within a minute
    local i
    for i in 1 2 3 4 5 6; do
        gw_wait "$@" && echo yes && return
    done
}

checks() {
    local loading
    port=$(gw_free_port)
    : >"$GW_PREFIX/arrived"
    start_receiver 4
    gw_config '{"url": "http://127.0.0.1:'"$port"'/", "batch": 10, "timeout": 2000}'

    load 1 "$LOAD"
    is "every fourth batch is refused: all entries arrive" yes "$(eventually all_arrived "$LOAD")"
    is "each once" "$LOAD" "$(wc -l <"$GW_PREFIX/arrived")"

    load $((LOAD + 1)) $((2 * LOAD)) &
    loading=$!
    gw_server_end KILL "$receiver"
    wait "$loading"
    start_receiver
    is "the server was away: all entries arrive" yes "$(eventually all_arrived $((2 * LOAD)))"

    load $((2 * LOAD + 1)) $((3 * LOAD))
    is "all are logged" yes "$(eventually logged $((3 * LOAD)))"
    gw_server_end TERM
    is "SIGTERM: nothing is lost" $((3 * LOAD)) "$(arrived)"
    gw_server_end KILL "$receiver"
}

gw_open
on_both checks
summary

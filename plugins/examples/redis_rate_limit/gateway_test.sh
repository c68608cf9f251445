#!/usr/bin/env bash
# redis-rate-limit through nginx in Kong's place, with a real redis-server that is killed under load.
#
#   gateway_test.sh SERVER

. "$(dirname "${BASH_SOURCE[0]}")/../gateway.sh"
needs redis-server redis-server

LOAD=3000

start_redis() {
    redis-server --port 0 --unixsocket "$GW_PREFIX/redis" --dir "$GW_PREFIX" --save '' >>"$GW_PREFIX/redis.log" 2>&1 &
    redis=$!
    GW_SERVERS+=("$redis")
    gw_wait redis_answers || gw_fail "redis-server did not start: $(tail -n 3 "$GW_PREFIX/redis.log")"
}

redis_answers() {
    [ "$(redis-cli -s "$GW_PREFIX/redis" ping 2>/dev/null)" = PONG ]
}

configure() { # LIMIT
    gw_config '{"limit": '"$1"', "window": 31536000, "redis": {"socket": "'"$GW_PREFIX"'/redis", "timeout": 5000}}'
}

limited() { # a request is counted
    request "$GW_URL/"
    [ -n "$(header ratelimit-remaining)" ]
}

so_many_and_no_more() {
    local statuses=() i
    for i in 1 2 3 4 5; do
        request "$GW_URL/$i"
        statuses+=("$status")
    done
    is "three requests, and no more" "200 200 200 429 429" "${statuses[*]}"
    is "the answer says why" '{"message":"API rate limit exceeded"}' "$(<"$GW_PREFIX/body")"
    is "how many are left" 0 "$(header ratelimit-remaining)"
    is "when to come again" "$(header ratelimit-reset)" "$(header retry-after)"
}

killed_under_load() {
    local load kills=0
    curl -sS -m 60 --no-progress-meter -Z --parallel-immediate --parallel-max 16 -o /dev/null -w '%{http_code}\n' \
        "$GW_URL/[1-$LOAD]" >"$GW_PREFIX/statuses" 2>&1 &
    load=$!
    gw_wait test -s "$GW_PREFIX/statuses"
    while [ "$kills" -eq 0 ] || gw_alive "$load"; do
        gw_server_end KILL "$redis"
        kills=$((kills + 1))
        start_redis
    done
    wait "$load"
    is "$LOAD requests, Redis killed meanwhile: all are answered" "$LOAD 200" \
        "$(sort "$GW_PREFIX/statuses" | uniq -c | sed 's/^ *//')"
    is "then it counts again" yes "$(gw_wait limited && echo yes)"
    echo "#   Redis was killed $kills times"
}

checks() {
    start_redis
    configure 3
    so_many_and_no_more
    configure 1000000
    killed_under_load
}

gw_open
on_both checks
summary

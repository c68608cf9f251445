#!/usr/bin/env bash
# The dashboard for Grafana and the alerts for Prometheus, against what a server really gives at --metrics-listen, with
# HTTP by nginx with Lua in Kong's place. Where Prometheus is installed it answers each panel's query out of that.
#
#   tests/packaging/figures_test.sh BINARY     a server whose plugin asks Kong for something in access: json-guard

. "$(dirname "${BASH_SOURCE[0]}")/../gateway/gateway.sh"

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
BINARY=${1:-$HERE/../../build/tests/plugins/json_guard}
[ -x "$BINARY" ] || gw_fail "$BINARY: not there: build it first"
BINARY=$(realpath "$BINARY")
DASHBOARD=$HERE/../../server/packaging/grafana/kong-plugin-server.json
RULES=$HERE/../../server/packaging/prometheus/kong-plugin-server.rules.yml

passed=0
failed=0
skipped=0

yes() { # TEXT COMMAND…
    local text=$1
    shift
    if "$@" >"$GW_PREFIX/said" 2>&1; then
        passed=$((passed + 1))
        printf 'ok - %s\n' "$text"
    else
        failed=$((failed + 1))
        printf 'not ok - %s\n' "$text"
        sed 's/^/#   /' "$GW_PREFIX/said"
    fi
}

skip() {
    skipped=$((skipped + 1))
    printf 'SKIPPED - %s\n' "$1"
}

finds() { # WORDS SED-SCRIPT: that fault in the dashboard
    sed -E "$2" "$DASHBOARD" >"$GW_PREFIX/faulty.json"
    ! cmp -s "$DASHBOARD" "$GW_PREFIX/faulty.json" &&
        ! python3 "$HERE/dashboard.py" check "$GW_PREFIX/faulty.json" "$GW_PREFIX/metrics" >"$GW_PREFIX/found" &&
        grep -q "$1" "$GW_PREFIX/found"
}

load() { # until the file is gone
    while [ -e "$GW_PREFIX/load" ]; do
        curl -sS -m 10 -o /dev/null "$GW_URL/hello/[1-20]"
        sleep 0.1
    done
}

prometheus_is_up() {
    curl -sf -m 2 "$1/api/v1/query?query=count_over_time(up%5B1m%5D)" | grep -q '"[3-9]"\|"[1-9][0-9]"'
}

# Each panel's query, answered by a Prometheus that scrapes the server.
by_prometheus() {
    local port url pid loader
    port=$(gw_free_port)
    url=http://127.0.0.1:$port
    printf 'global: {scrape_interval: 1s}\nscrape_configs: [{job_name: t, static_configs: [{targets: ["%s"]}]}]\n' \
        "$METRICS" >"$GW_PREFIX/prometheus.yml"
    : >"$GW_PREFIX/load"
    load &
    loader=$!
    timeout 60 prometheus --config.file="$GW_PREFIX/prometheus.yml" --storage.tsdb.path="$GW_PREFIX/tsdb" \
        --web.listen-address="127.0.0.1:$port" >"$GW_PREFIX/prometheus.log" 2>&1 &
    pid=$!
    gw_wait prometheus_is_up "$url"
    yes 'Prometheus: each query of the dashboard has an answer' python3 "$HERE/dashboard.py" ask "$DASHBOARD" "$url"
    kill "$pid"
    wait "$pid" 2>/dev/null
    rm "$GW_PREFIX/load"
    wait "$loader"
}

command -v python3 >/dev/null || {
    echo 'SKIPPED - python3 is not installed: dashboard and alerts were not compared with the figures'
    exit 0
}
gw_open
gw_config '{}'
METRICS=127.0.0.1:$(gw_free_port)
gw_server_start "$BINARY" --metrics-listen "$METRICS"
gw_start 1 "$BINARY"
curl -sS -m 10 -o /dev/null "$GW_URL/hello/[1-5]"
curl -sSf -m 10 "http://$METRICS/metrics" >"$GW_PREFIX/metrics"
yes 'the server gives its figures' grep -q '^kong_plugin_server_events_started_total{plugin="json-guard",phase="access"} [5-9]' "$GW_PREFIX/metrics"
yes 'the dashboard is in order, and names all that is served and nothing else' python3 "$HERE/dashboard.py" check "$DASHBOARD" "$GW_PREFIX/metrics"
yes 'a figure that is not served would be found' finds 'kong_plugin_server_conections is not served' 's/kong_plugin_server_connections\{/kong_plugin_server_conections{/'
yes 'one that is not shown would be found' finds 'kong_plugin_server_restarts_total is not shown' 's/kong_plugin_server_restarts_total/kong_plugin_server_connections/'
yes 'a label that is not there would be found' finds 'no label fase' 's/sum by \(phase\)/sum by (fase)/'
yes 'a panel number given twice would be found' finds 'panel 3 ' 's/"id": 4,/"id": 3,/'
yes 'the alerts name only what is served' python3 "$HERE/dashboard.py" names "$RULES" "$GW_PREFIX/metrics"
if command -v promtool >/dev/null; then
    yes 'promtool: the rules of the alerts' promtool check rules "$RULES"
    cp "$RULES" "$HERE/alerts_test.yml" "$GW_PREFIX/"
    yes 'promtool: they fire when they should, and not before' promtool test rules "$GW_PREFIX/alerts_test.yml"
else
    skip 'promtool is not installed: the alerts were not tried (package prometheus)'
fi
if command -v prometheus >/dev/null; then
    by_prometheus
else
    skip "prometheus is not installed: the dashboard's queries were not asked (package prometheus)"
fi
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]

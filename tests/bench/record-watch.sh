#!/usr/bin/env bash
# Records apiversion-server --status --watch, beside a load.
#
#   tests/bench/record-watch.sh BUILD FILE.cast
set -euo pipefail
here=$(dirname "$(realpath "$0")")
build=$(realpath "$1") cast=$(realpath "$2")
dir=$(mktemp -d)
end() {
    wait "${load:-}" || :
    kill "$server"
    wait "$server" || :
    rm -r -- "$dir"
}
trap end EXIT
cd "$dir"
PATH=$build:$build/bench:$PATH
apiversion-server --socket kong.socket --log-level warn &
server=$!
for _ in $(seq 100); do
    [ ! -S kong.socket ] || break
    sleep 0.1
done
load --socket kong.socket --connections 16 --rate 1500 --seconds 15 --warmup 0 >/dev/null &
load=$!
sleep 1
"$here/terminal.py" record "$cast" --columns 100 --rows 24 --seconds 13 \
    --shown 'apiversion-server --status --watch' -- apiversion-server --status --watch --socket kong.socket

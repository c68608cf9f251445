#!/usr/bin/env bash
# Requests by HTTP, 10 at a time, through nginx with Lua in Kong's place, to a server that is on SOCKET, until the file DIRECTORY/stop
# is there. DIRECTORY/sent gets a line for each hundred that has ended, DIRECTORY/heads the heads of the answers.
#
#   tests/packaging/requests.sh SOCKET SERVER DIRECTORY [OPTION-OF-DUMP…]
. "$(dirname "${BASH_SOURCE[0]}")/../gateway/gateway.sh"
socket=$1 server=$2 dir=$3
shift 3
gw_open
GW_SOCKET=$socket
gw_config '{}'
gw_start 2 "$server" "$@"
while [ ! -e "$dir/stop" ]; do
    curl -sS -m 60 --no-progress-meter -Z --parallel-immediate --parallel-max 10 -D - -o /dev/null "$GW_URL/load/[1-100]" \
        >>"$dir/heads" 2>>"$dir/errors"
    echo 100 >>"$dir/sent"
done

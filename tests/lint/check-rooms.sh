#!/usr/bin/env bash
# A forbidden include does not compile: for each room, a file with one include of each room that it may not see is
# given to the compiler with the room's own options, and must fail; with the rooms that it may see it must not.
#
#   check-rooms.sh COMPILER-OPTION… <ROOMS     the options that all rooms share; a line for each room: "ROOM ITS-OPTIONS"
set -euo pipefail
cd "$(dirname "$0")/../.."
bad=0 tried=0

# a header of each room, by a name that no other room has
declare -A header=(
    [proto]=arena.h [proto/msgpack]=msgpack_codec.h [proto/protobuf]=protobuf_wire.h [server/include]=kong.h
    [server/base]=log.h [server/schema]=schema.h [server/runtime]=fiber.h [server/pdk]=pdk_call.h [server/rpc]=rpc.h
    [server/process]=supervisor.h [server/loop]=conn.h [server/cli]=options.h
)

compiles() { # SEES… <source
    "${CC:-cc}" -std=gnu11 -D_GNU_SOURCE -fsyntax-only "${shared[@]}" "$@" -x c - 2>/dev/null
}

shared=("$@")
rooms=$(cat)
while read -r room sees; do
    [[ -n ${header[$room]:-} || $room == plugins ]] || { echo "rooms: $room is not in the table of this test" >&2; exit 1; }
    for other in "${!header[@]}"; do
        [[ $other != "$room" ]] || continue
        tried=$((tried + 1))
        # shellcheck disable=SC2086 # a list of options
        if printf '#include "%s"\n' "${header[$other]}" | compiles $sees; then compiled=yes; else compiled=no; fi
        if [[ " $sees " == *" -I$other "* ]]; then allowed=yes; else allowed=no; fi
        [[ $compiled == "$allowed" ]] || { echo "rooms: $room includes ${header[$other]} of $other: allowed $allowed, compiles $compiled"; bad=1; }
    done
done <<<"$rooms"
[[ $(wc -l <<<"$rooms") -ge 13 ]] || { echo "rooms: only $(wc -l <<<"$rooms") seen"; bad=1; }
[[ $bad -eq 0 ]] && echo "rooms: $tried includes from one room of another tried, none compiles but the allowed ones"
exit $bad

#!/usr/bin/env bash
# bash completion: every option of --help is offered, and every value that is offered is taken by the program.
#
#   tests/packaging/completion_test.sh BINARY
set -euo pipefail
binary=$(realpath "${1:-build/apiversion-server}")
. "$(dirname "$0")/../../server/packaging/bash-completion"
passed=0

yes() { # TEXT COMMAND…
    local text=$1
    shift
    "$@" || { echo "not ok - $text: $*"; exit 1; }
    passed=$((passed + 1))
    echo "ok - $text"
}

offered() { # CURRENT PREVIOUS: what is offered, one a line, as bash calls it
    COMPREPLY=()
    _apiversion_server "$binary" "$1" "$2"
    [ ${#COMPREPLY[@]} -eq 0 ] || printf '%s\n' "${COMPREPLY[@]}"
}

taken() { # OPTION VALUE
    "$binary" "$1" "$2" --dump >/dev/null 2>&1
}

yes 'it is registered for the program' grep -q 'apiversion-server' <(complete -p apiversion-server)
yes 'all options of --help are offered' diff <("$binary" --help | grep -oE -- '^ +(-[a-zA-Z], )?--[a-z-]+' | grep -oE -- '--[a-z-]+' | sort) <(offered -- '' | sort)
yes 'there are many' test "$(offered -- '' | wc -l)" -gt 15
yes 'those that begin so' diff <(printf -- '--socket\n--socket-group\n--socket-mode\n') <(offered --so '' | sort)
for option in --log-level --log-format --protocol --watch-parent --supervise --phases; do
    yes "$option has values to offer" test "$(offered '' "$option" | wc -l)" -ge 2
    while read -r value; do
        yes "$option $value is taken" taken "$option" "$value"
    done < <(offered '' "$option")
done
yes 'a value is completed' test "$(offered not --log-level)" = notice
yes 'a file name is completed' grep -q "completion_test.sh$" <(offered "$(dirname "$0")/comp" --check-config)
echo "$passed passed, 0 failed"

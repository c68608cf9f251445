#!/usr/bin/env bash
# Completion in bash, zsh and fish: every option of --help-all is offered, and every value that is offered is taken by the
# program.
#
#   tests/packaging/completion_test.sh BINARY
set -euo pipefail
binary=$(realpath "${1:-build/apiversion-server}")
packaging=$(realpath "$(dirname "$0")/../../server/packaging")
. "$packaging/bash-completion"
passed=0
dir=$(mktemp -d)
trap 'rm -rf --one-file-system "$dir"' EXIT

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
    case $1 in
    --role) "$binary" "$1" "$2" --print-conf >/dev/null 2>&1 ;;
    *) "$binary" "$1" "$2" --dump >/dev/null 2>&1 ;;
    esac
}

yes 'it is registered for the program' grep -q 'apiversion-server' <(complete -p apiversion-server)
"$binary" --help-all | grep -oE -- '^ +(-[a-zA-Z], )?--[a-z-]+' | grep -oE -- '--[a-z-]+' | sort >"$dir/options"
yes 'all options of --help-all are offered' diff "$dir/options" <(offered -- '' | sort)
yes 'there are many' test "$(offered -- '' | wc -l)" -gt 15
yes 'those that begin so' diff <(printf -- '--socket\n--socket-group\n--socket-mode\n') <(offered --so '' | sort)
for option in --log-level --log-format --protocol --watch-parent --supervise --role --phases; do
    yes "$option has values to offer" test "$(offered '' "$option" | wc -l)" -ge 2
    while read -r value; do
        yes "$option $value is taken" taken "$option" "$value"
    done < <(offered '' "$option")
done
yes 'a value is completed' test "$(offered not --log-level)" = notice
yes 'a file name is completed' grep -q "completion_test.sh$" <(offered "$(dirname "$0")/comp" --check-config)

# --- zsh, fish ---
mkdir "$dir/bin"
ln -s "$binary" "$dir/bin/apiversion-server"
PATH=$dir/bin:$PATH
in_zsh() { # PREVIOUS CURRENT: what is offered there; zsh's own helpers print what they get
    zsh -f -c '
        compadd() { [ "$1" != -a ] || set -- ${(P)2}; printf "%s\n" "$@"; }
        _describe() { printf "%s\n" ${(P)3%%:*}; }
        _files() { echo a file; }
        words=(apiversion-server "$2" "$3") CURRENT=3
        . "$1"' zsh "$packaging/zsh-completion" "$@"
}
in_fish() { # PREVIOUS CURRENT
    HOME=$dir fish -N -c "source $packaging/fish-completion; complete -C 'apiversion-server $1 $2'" | cut -f 1
}
for shell in zsh fish; do
    if ! command -v "$shell" >/dev/null; then
        echo "SKIPPED - $shell is not installed: its completion was not tried"
        continue
    fi
    yes "$shell: all options of --help-all are offered" diff "$dir/options" <("in_$shell" --watch -- | grep '^--' | sort)
    for option in --log-level --log-format --protocol --watch-parent --supervise --role --phases; do
        yes "$shell: $option has the values that bash has" diff <(offered '' "$option" | sort) <("in_$shell" "$option" '' | sort)
    done
done
echo "$passed passed, 0 failed"

#!/usr/bin/env bash
# The documented flow, against a real Kong where there is one (kong.sh); the script itself against a fake one, also one
# that does wrong; and whether the README's commands for Kong are those of the script.
#
#   tests/e2e/e2e_test.sh BINARY [THREE]   (THREE: a server of three plugins, which kong.sh tries, too)
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
binary=$(realpath "${1:-$here/../../build/apiversion-server}")
readme=$here/../../README.md
passed=0
dir=$(mktemp -d)
fake=
finish() {
    [ -z "$fake" ] || kill "$fake" 2>/dev/null || true
    rm -rf --one-file-system "$dir"
}
trap finish EXIT

yes() { # TEXT COMMAND…
    local text=$1
    shift
    "$@" || { echo "not ok - $text: $*"; [ ! -e "$dir/out" ] || cat "$dir/out"; exit 1; }
    passed=$((passed + 1))
    echo "ok - $text"
}

# --- The README -----------------------------------------------------------------------------------------------
# Commands of its sh blocks that go to Kong, without the comment behind them.
sed -n '/^```sh$/,/^```$/p' "$readme" | grep -E 'localhost:800[01]' | sed 's/  *#.*//' >"$dir/commands"
yes "the README has commands for Kong" test "$(wc -l <"$dir/commands")" -ge 6
while IFS= read -r command; do
    yes "in kong.sh: $command" grep -qF "type_in \"$command\"" "$here/kong.sh"
done <"$dir/commands"

# --- The script, against a fake -------------------------------------------------------------------------------
run_against_fake() { # FAULT: kong.sh's status is the result
    local admin proxy status=0
    rm -f "$dir/addresses"
    FAKE_KONG_FAULT=$1 python3 "$here/fake_kong.py" "$binary" "$dir/addresses" &
    fake=$!
    for _ in {1..3000}; do
        [ ! -e "$dir/addresses" ] || break
        sleep 0.02
    done
    read -r admin proxy <"$dir/addresses"
    # it gives up early where it has to find a fault
    KONG_E2E_WAIT=${1:+1} KONG_ADMIN_URL=$admin KONG_PROXY_URL=$proxy KONG_RELOAD=true "$here/kong.sh" >"$dir/out" 2>&1 || status=$?
    kill "$fake" 2>/dev/null || true
    wait "$fake" 2>/dev/null || true
    fake=
    return "$status"
}

fails_by() { # FAULT TEXT: kong.sh finds it
    ! run_against_fake "$1" && grep -qF "not ok - $2" "$dir/out"
}

if command -v python3 >/dev/null; then
    yes 'kong.sh passes where all is right (a fake Kong)' run_against_fake ''
    yes 'kong.sh: nothing in it was skipped' eval '! grep SKIPPED "$dir/out" | grep -v "only in a Kong that this script starts"'
    yes 'kong.sh finds a Kong that uses an old configuration' fails_by stale 'another name and another version'
    yes 'kong.sh finds a Kong that refuses nothing' fails_by lax 'refused: a name that is none'
else
    echo 'SKIPPED - python3 is not installed: kong.sh was not tried against a fake Kong'
fi

# --- A real Kong ------------------------------------------------------------------------------------------------
"$here/kong.sh" "$binary" "${2:-$(dirname "$binary")/tests/gateway/three_server}"
echo "$passed passed, 0 failed"

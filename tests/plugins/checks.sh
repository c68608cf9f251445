# shellcheck shell=bash
# What the scripts of this directory share: a directory that goes when they end, and checks that are counted. The first
# that fails ends the script. To be sourced by bash, with `set -euo pipefail`.
#
#   check TITLE COMMAND…    shows what the command prints only if it fails
#   checks_passed           the last line
#
# $SCRATCH is the directory.

SCRATCH=$(mktemp -d)
checks_end() {
    local status=$?
    trap - EXIT
    rm -rf --one-file-system "$SCRATCH"
    exit "$status"
}
trap checks_end EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

passed=0
check() {
    local title=$1
    shift
    if "$@" >"$SCRATCH/said" 2>&1; then
        passed=$((passed + 1))
        echo "ok - $title"
    else
        cat "$SCRATCH/said"
        echo "not ok - $title"
        exit 1
    fi
}

checks_passed() {
    echo "$passed passed, 0 failed"
}

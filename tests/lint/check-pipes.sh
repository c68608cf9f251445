#!/usr/bin/env bash
# Under pipefail no reader of a pipe leaves early (head, grep -q, grep -m): the writer may then die of SIGPIPE, and
# the pipe fails though all is well, or a "not in there" holds though it is. sed -n 1,5p and grep >/dev/null read on.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit
mapfile -t files < <(git grep -lE '^set -.*pipefail' 2>/dev/null || grep -rlE --exclude-dir=build --exclude-dir=.git '^set -.*pipefail' .)
[[ ${#files[@]} -gt 20 ]] || { echo "check-pipes saw ${#files[@]} scripts only" >&2; exit 1; }
if grep -nE '(^|[^|])\| *(head|grep( -[a-zA-Z]+)* -[a-zA-Z]*[qm])( |$)' "${files[@]}"; then
    echo 'the writer of such a pipe may die of SIGPIPE: sed -n 1,Np for head, grep >/dev/null for grep -q' >&2
    exit 1
fi
echo "pipes: ${#files[@]} scripts, no reader leaves early"

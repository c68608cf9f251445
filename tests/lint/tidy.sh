#!/bin/sh
# clang-tidy on some files, which it names when it is through. usage: tidy.sh COMPILER-OPTION… -- FILE…
set -eu
options=
while [ "$1" != -- ]; do
    options="$options $1"
    shift
done
shift
# shellcheck disable=SC2086 # a list of words
found=$(clang-tidy --quiet "$@" -- $options 2>&1) || {
    echo "$found" | grep -v 'warnings\{0,1\} generated'
    exit 1
}
printf '  TIDY  %s\n' "$*"

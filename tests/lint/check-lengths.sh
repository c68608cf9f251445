#!/bin/sh
# No .c file of the product over 450 lines, no function over 60: longer ones hold more than one thing. Reads code as
# clang-format leaves it: a function ends at the first } at the beginning of a line.
#
#   check-lengths.sh FILE.c…
set -eu
cd "$(dirname "$0")/../.."
[ $# -ge 20 ] || { echo "lengths: only $# files given"; exit 1; }
# the signature counts, comments above it do not
awk -v most_file=450 -v most_function=60 '
    function file_ends() { if (lines > most_file) { printf "lengths: %s has %d lines, the most is %d\n", file, lines, most_file; bad = 1 } }
    FNR == 1 { file_ends(); file = FILENAME; start = 0; in_body = 0 }
    { lines = FNR }
    /^[a-z_].*[(]/ && !in_body && !start { start = FNR; name = $0; sub(/[(].*/, "", name); sub(/.*[ *]/, "", name) }
    start && !in_body && /[;]$/ { start = 0 }
    start && !in_body && /[{]$/ { in_body = 1 }
    in_body && /^}/ {
        functions++
        if (FNR - start + 1 > most_function) { printf "lengths: %s:%d: %s has %d lines, the most is %d\n", FILENAME, start, name, FNR - start + 1, most_function; bad = 1 }
        start = in_body = 0
    }
    END {
        file_ends()
        if (functions < 200) { printf "lengths: only %d functions seen\n", functions; bad = 1 }
        if (!bad) { printf "lengths: %d functions in %d files, none too long\n", functions, ARGC - 1 }
        exit bad
    }' "$@"

#!/usr/bin/env bash
# The reference that `make docs` writes: every function of the headers is in it, with what its comment says.
# usage: docs_test.sh BUILD, after `make docs`
set -euo pipefail
cd "$(dirname "$0")/../.."
docs=${1:-build}/docs
out=$(mktemp -d)
trap 'rm -rf --one-file-system "$out"' EXIT
passed=0
check() { # TITLE COMMAND…
    local title=$1
    shift
    if "$@" >"$out/said" 2>&1; then
        passed=$((passed + 1))
        echo "ok - $title"
    else
        cat "$out/said"
        echo "not ok - $title"
        exit 1
    fi
}

# What the compiler sees declared, and what is defined in the headers.
printf '#include "kong.h"\n#include "kong_test.h"\n' >"$out/all.c"
gcc -aux-info "$out/declared" -fsyntax-only -Iserver -Iproto -Itests/kong "$out/all.c"
sed -n 's/.*[ *]\(kong_[a-z0-9_]*\) (.*/\1/p' "$out/declared" | sort -u >"$out/functions"
enough() { [ "$(wc -l <"$out/functions")" -gt 150 ]; }
check 'the headers have functions' enough

awk '/^```c$/ { code = 1; next } /^```$/ { code = 0; next } code' "$docs/kong-pdk.md" >"$out/code"
grep -o 'kong_[a-z0-9_]*(' "$out/code" | tr -d '(' | sort -u >"$out/md"
check 'each is in the Markdown' bash -c "! comm -23 '$out/functions' '$out/md' | grep ."
grep -o 'kong_[a-z0-9_]*(' "$docs/kong-pdk.3" | tr -d '(' | sort -u >"$out/man"
check 'each is in the man page' bash -c "! comm -23 '$out/functions' '$out/man' | grep ."

# A function of the PDK, and the lines behind its code: the Lua name, the phases.
grep -oE '^(int|bool|void|struct kong_[a-z]+|const char \*)[ *]*kong_[a-z0-9_]+\(struct kong \*kong' "$out/code" |
    grep -oE 'kong_[a-z0-9_]+\(' | grep -vE '^kong_(error_text|phase|alloc|printf|headers_to_map|instance_state|process_data|call|sleep|run_blocking)\(' |
    sort -u >"$out/pdk"
has_phases() { # each function of the file, alone in its block, has a line of phases below
    local name bad=0
    while read -r name; do
        awk -v name="$name" '
            /^```c$/ { code = 1; here = 0; next }
            /^```$/ { code = 0; next }
            code && index($0, name) { here = 1 }
            !code && here && /^Phases: / { found = 1 }
            END { exit !found }' "$docs/kong-pdk.md" || { echo "$name" && bad=1; }
    done <"$out/pdk"
    [ $bad -eq 0 ] && [ "$(wc -l <"$out/pdk")" -gt 85 ]
}
check 'each function of the PDK says its phases' has_phases
balanced() { [ $(($(grep -c '^```' "$docs/kong-pdk.md") % 2)) -eq 0 ] && ! grep -vE '^ ' "$out/code" | grep -E '^ ?\*'; }
check 'code is closed, comments have no marks left' balanced
check "nothing of the headers' inside" bash -c "! grep -n 'KONG_FIELD_(\|Not for use\|_H\$' '$docs/kong-pdk.md'"
if command -v mandoc >/dev/null; then
    check 'mandoc finds nothing' mandoc -Tlint -W warning "$docs/kong-pdk.3"
fi
echo "$passed passed, 0 failed"

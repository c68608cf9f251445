#!/usr/bin/env bash
# The reference that `make docs` writes: every function of the headers is in it, with what its comment says.
# usage: docs_test.sh BUILD, after `make docs`
set -euo pipefail
cd "$(dirname "$0")/../.."
docs=${1:-build}/docs
. tests/plugins/checks.sh

# What the compiler sees declared, and what is defined in the headers.
printf '#include "kong.h"\n#include "kong_test.h"\n' >"$SCRATCH/all.c"
gcc -aux-info "$SCRATCH/declared" -fsyntax-only -Iserver/include -Iproto -Itests/kong "$SCRATCH/all.c"
sed -n 's/.*[ *]\(kong_[a-z0-9_]*\) (.*/\1/p' "$SCRATCH/declared" | sort -u >"$SCRATCH/functions"
enough() { [ "$(wc -l <"$SCRATCH/functions")" -gt 150 ]; }
check 'the headers have functions' enough

awk '/^```c$/ { code = 1; next } /^```$/ { code = 0; next } code' "$docs/kong-pdk.md" >"$SCRATCH/code"
grep -o 'kong_[a-z0-9_]*(' "$SCRATCH/code" | tr -d '(' | sort -u >"$SCRATCH/md"
check 'each is in the Markdown' bash -c "! comm -23 '$SCRATCH/functions' '$SCRATCH/md' | grep ."
grep -o 'kong_[a-z0-9_]*(' "$docs/kong-pdk.3" | tr -d '(' | sort -u >"$SCRATCH/man"
check 'each is in the man page' bash -c "! comm -23 '$SCRATCH/functions' '$SCRATCH/man' | grep ."

# A function of the PDK, and the lines behind its code: the Lua name, the phases.
grep -oE '^(int|bool|void|struct kong_[a-z]+|const char \*)[ *]*kong_[a-z0-9_]+\(struct kong \*kong' "$SCRATCH/code" |
    grep -oE 'kong_[a-z0-9_]+\(' | grep -vE '^kong_(error_text|get_phase|alloc|printf|headers_to_map|instance_state|process_data|call|call_flags|sleep|wait_fd|waiter_open|waiter_wait|run_blocking|build_list|build_map|fail|json|json_parse)\(' |
    sort -u >"$SCRATCH/pdk"
has_phases() { # each function of the file, alone in its block, has a line of phases below
    local name bad=0
    while read -r name; do
        awk -v name="$name" '
            /^```c$/ { code = 1; here = 0; next }
            /^```$/ { code = 0; next }
            code && index($0, name) { here = 1 }
            !code && here && /^Phases: / { found = 1 }
            END { exit !found }' "$docs/kong-pdk.md" || { echo "$name" && bad=1; }
    done <"$SCRATCH/pdk"
    [ $bad -eq 0 ] && [ "$(wc -l <"$SCRATCH/pdk")" -gt 85 ]
}
check 'each function of the PDK says its phases' has_phases
balanced() { [ $(($(grep -c '^```' "$docs/kong-pdk.md") % 2)) -eq 0 ] && ! grep -vE '^ ' "$SCRATCH/code" | grep -E '^ ?\*'; }
check 'code is closed, comments have no marks left' balanced
check "nothing of the headers' inside" bash -c "! grep -n 'KONG_FIELD_(\|Not for use\|_H\$' '$docs/kong-pdk.md'"
if command -v mandoc >/dev/null; then
    check 'mandoc finds nothing' mandoc -Tlint -W warning "$docs/kong-pdk.3"
fi
checks_passed

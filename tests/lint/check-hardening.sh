#!/bin/sh
# What the compiler and the linker were asked for, looked up in the binary. usage: check-hardening.sh BINARY
set -eu
export LC_ALL=C
binary=$1
bad=0
headers=$(readelf -W -h -l -d "$binary")
symbols=$(readelf -W --dyn-syms "$binary")

has() { # WHAT PATTERN TEXT
    if printf '%s\n' "$3" | grep -qE "$2"; then
        echo "ok - $1"
    else
        echo "not ok - $1"
        bad=1
    fi
}

has 'position independent' 'Type: +DYN' "$headers"
has 'relocations are read-only' 'GNU_RELRO' "$headers"
has 'all symbols are bound at the start' 'BIND_NOW|FLAGS_1.*NOW' "$headers"
has 'no executable stack' 'GNU_STACK.* RW ' "$headers"
has 'stack protector' '__stack_chk_fail' "$symbols"
has '_FORTIFY_SOURCE' '__(vsnprintf|snprintf|fprintf|memcpy|printf)_chk' "$symbols"
if printf '%s\n' "$headers" | grep -E 'LOAD' | grep -q 'RWE'; then
    echo 'not ok - no segment is both writable and executable'
    bad=1
else
    echo 'ok - no segment is both writable and executable'
fi
exit $bad

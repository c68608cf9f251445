#!/bin/bash
# usage: check-nonnull.sh   (from the top; CC, CXX). A NULL where kong.h wants a place for a result
# must be a warning, in C and in C++; a call in order must be none.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -r -- "$work"' EXIT
cat >"$work/bad.c" <<'C'
#include <kong.h>
int handle(struct kong *kong);
int handle(struct kong *kong) {
    return kong_request_get_path(kong, NULL);
}
C
cat >"$work/good.c" <<'C'
#include <kong.h>
int handle(struct kong *kong);
int handle(struct kong *kong) {
    struct kong_str path;
    struct kong_value value;
    int error = kong_request_get_path(kong, &path);
    error = error != 0 ? error : kong_json_parse(kong, path, 100, &value);
    return error != 0 ? error : kong_call(kong, "kong.node.get_id", NULL, 0, NULL);
}
C
cp "$work/bad.c" "$work/bad.cc"
cp "$work/good.c" "$work/good.cc"
flags=(-fsyntax-only -Wall -Wextra -Werror -Iserver/include -Iproto)
check() { # COMPILER SUFFIX
    "$@" "${flags[@]}" "$work/good$suffix" || { echo "$1: warnings where there is no fault"; exit 1; }
    if "$@" "${flags[@]}" "$work/bad$suffix" 2>"$work/said"; then
        echo "$1: no warning of a NULL result"
        exit 1
    fi
    grep -qi 'nonnull\|null' "$work/said" || { cat "$work/said"; exit 1; }
}
suffix=.c check "${CC:-cc}"
if command -v "${CXX:-c++}" >/dev/null; then
    suffix=.cc check "${CXX:-c++}" -std=c++17
fi

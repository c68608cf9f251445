#!/bin/sh
# What an author of plugins does with the package libkongpdk-dev, as root on a system without it: installs it, and makes a plugin.
#
#   tests/packaging/author.sh DEB
set -eu
top=$(cd "$(dirname "$0")/../.." && pwd)
deb=$(realpath "$1")
apt-get update -q
DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends gcc libc6-dev pkg-config "$deb"
dir=$(mktemp -d)
trap 'rm -r "$dir"' EXIT
sed -e 's/@NAME@/hello/g' -e 's/@ID@/hello/g' "$top/server/template/plugin.c.in" >"$dir/hello.c"
for library in kong-pdk kong-pdk-static; do
    # shellcheck disable=SC2046 # words
    gcc "$dir/hello.c" $(pkg-config --cflags --libs "$library") -o "$dir/hello"
    "$dir/hello" --dump | grep -q '"hello"'
    kong-pdk-load --seconds 0.1 --warmup 0 "$dir/hello"
    echo "ok - a plugin with $library"
done

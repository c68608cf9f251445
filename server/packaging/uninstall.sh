#!/usr/bin/env bash
# Removes what `make install` has put there: the same files, whatever has become of them, and directories that are empty then.
#
#   server/packaging/uninstall.sh MAKE PREFIX LIBDIR DESTDIR
set -euo pipefail
make=$1 prefix=$2 libdir=$3 destdir=$4
scratch=$(mktemp -d)
trap 'rm -rf --one-file-system "$scratch"' EXIT
"$make" --no-print-directory install DESTDIR="$scratch" PREFIX="$prefix" LIBDIR="$libdir" >/dev/null
cd "$scratch"
find . ! -type d -print0 | while IFS= read -r -d '' file; do
    target=$destdir/${file#./}
    if [ -e "$target" ] || [ -L "$target" ]; then
        rm -f -- "$target" && echo "removed $target"
    fi
done
# ours alone: bin, lib and the like may be empty for other reasons
find . -depth -type d \( -name 'apiversion-server' -o -path '*/apiversion-server/*' -o -name kong-pdk -o -path '*/kong-pdk/*' \) -print0 |
    while IFS= read -r -d '' directory; do
        rmdir -- "$destdir/${directory#./}" 2>/dev/null || true
    done
if [ -z "$destdir" ] && [ "$(id -u)" = 0 ]; then
    ldconfig
fi

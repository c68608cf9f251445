#!/usr/bin/env bash
# make dist: for amd64 and arm64 a tarball with the static server and two Debian packages, the server and the library for
# authors; an SBOM of them all, and SHA256SUMS. Both architectures are built here, one of them by a cross compiler, with
# Debian's libraries. The same commit, compiler and libraries give the same bytes.
#
#   server/packaging/dist.sh MAKE BUILD DIRECTORY [ARCHITECTURE…]       (default: amd64 arm64)
set -euo pipefail
cd "$(dirname "$0")/../.."
make=$1 build=$2
mkdir -p "$3"
out=$(realpath "$3")
shift 3
[ $# -gt 0 ] || set -- amd64 arm64
export LC_ALL=C TZ=UTC
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
export SOURCE_DATE_EPOCH
here=$(dpkg --print-architecture)
work=$(mktemp -d)
trap 'rm -rf --one-file-system "$work"' EXIT

for_arch() { # ARCHITECTURE BUILD MAKE-ARGUMENT…
    local arch=$1 dir=$2
    shift 2
    if [ "$arch" = "$here" ]; then
        "$make" --no-print-directory BUILD="$dir" "$@"
    else
        tests/other/cross "$arch" "$build/$arch" "$make" BUILD="$dir" "$@"
    fi
}

package() { # KIND ARCHITECTURE BUILD TARGET [MAKE-ARGUMENT…]
    local kind=$1 arch=$2 dir=$3 target=$4 file archives
    shift 4
    for_arch "$arch" "$dir" "$@" "$target" >&2
    archives=$(for_arch "$arch" "$dir" -s "$@" print-linked | tr '\n' ' ')
    file=$(MAKE=$make ARCHIVES=$archives server/packaging/package.sh "$kind" "$dir/apiversion-server" "$out" "$build/apiversion-server")
    basename "$file" >>"$work/files"
    echo "file $file" >>"$work/contents"
    # shellcheck disable=SC2086 # words
    printf 'library %s\n' $archives >>"$work/contents"
}

"$make" --no-print-directory BUILD="$build" all "$build/kong-pdk-load" # they say the version, and write the manuals
version=$("$build/apiversion-server" --version | sed -n 's/^server \([^ ]*\) .*/\1/p')
for arch; do
    [ "$arch" = "$here" ] && base=$build || base=$build/$arch/dist
    [ "$arch" = "$here" ] || tests/other/cross "$arch" "$build/$arch" || exit 1
    package deb "$arch" "$base" all
    package dev "$arch" "$base" installable-library PREFIX=/usr LIBDIR="/usr/lib/$(dpkg-architecture -a"$arch" -qDEB_HOST_MULTIARCH 2>/dev/null)" \
        TOOLS_HERE="$build/kong-pdk-load tests/gateway/kong-pdk-demo"
    package tarball "$arch" "$base/static" all STATIC=1
done
sbom=apiversion-server-$version.spdx.json
python3 server/packaging/sbom.py "$version" "$SOURCE_DATE_EPOCH" <"$work/contents" >"$out/$sbom.new"
mv "$out/$sbom.new" "$out/$sbom"
(cd "$out" && { cat "$work/files" && echo "$sbom"; } | sort | xargs sha256sum >SHA256SUMS)
sed "s|^[^ ]*  |$out/|" "$out/SHA256SUMS"
echo "$out/SHA256SUMS"

#!/usr/bin/env bash
# make dist: are all the files there, do they fit their checksums and the SBOM, does the server for the other architecture
# serve, can a plugin be made with the library for it, and does a copy of the sources in another directory give the same bytes? Not a step of `make test`: it builds
# eight servers. LTO=no makes it shorter.
#
#   tests/packaging/dist_test.sh MAKE BUILD LOAD-TOOL
set -euo pipefail
cd "$(dirname "$0")/../.."
make=$1 build=$2 load=$3
dir=$(mktemp -d)
trap 'rm -rf --one-file-system "$dir"' EXIT
passed=0

yes() { # TEXT COMMAND…
    local text=$1
    shift
    "$@" >"$dir/out" 2>&1 || {
        echo "not ok - $text: $*"
        tail -n 30 "$dir/out"
        exit 1
    }
    passed=$((passed + 1))
    echo "ok - $text"
}

machine() { # MACHINE BINARY
    readelf -h "$2" | grep "Machine: .*$1" >/dev/null
}

emulated() { # ARCHITECTURE: the words before a command
    [ "$1" = "$(dpkg --print-architecture)" ] && return
    [ "$1" = arm64 ] && echo "qemu-aarch64 -L /usr/aarch64-linux-gnu" || echo "qemu-x86_64 -L /usr/x86_64-linux-gnu"
}

plugin() { # ARCHITECTURE RUN…: hello.c with the unpacked package for authors, in one program
    local tree=$dir/$1/dev triplet cc=gcc root= flags
    triplet=$(dpkg-architecture -a"$1" -qDEB_HOST_MULTIARCH 2>/dev/null)
    if [ "$1" != "$(dpkg --print-architecture)" ]; then
        cc=$triplet-gcc
        root=$build/$1/sysroot # where its libraries are, here
    fi
    shift
    flags=$(PKG_CONFIG_LIBDIR=$tree/usr/lib/$triplet/pkgconfig pkg-config --define-variable=prefix="$tree/usr" \
        --define-variable=libdir="$tree/usr/lib/$triplet" --cflags --libs kong-pdk-static | sed "s| /usr/| $root/usr/|g") || return 1
    sed -e 's/@NAME@/hello/g' -e 's/@ID@/hello/g' server/template/plugin.c.in >"$dir/hello.c"
    # shellcheck disable=SC2086 # words
    "$cc" "$dir/hello.c" $flags -o "$dir/hello" && "$@" "$dir/hello" --dump | grep '"hello"'
}

needed() { # DEB: the names of the packages that it needs
    dpkg-deb -f "$1" Depends | tr ',' '\n' | sed 's/^ *//; s/ (.*//' | sort
}

yes 'make dist' "$make" --no-print-directory DIST="$dir/first" dist
version=$("$build/apiversion-server" --version | sed -n 's/^server \([^ ]*\) .*/\1/p')
yes 'these files' diff - <(cd "$dir/first" && LC_ALL=C ls) <<EOT
SHA256SUMS
apiversion-server-$version-linux-aarch64.tar.gz
apiversion-server-$version-linux-x86_64.tar.gz
apiversion-server-$version.spdx.json
apiversion-server_${version}_amd64.deb
apiversion-server_${version}_arm64.deb
libkongpdk-dev_${version}_amd64.deb
libkongpdk-dev_${version}_arm64.deb
EOT
cd "$dir/first"
yes 'SHA256SUMS holds for all others' sh -c 'sha256sum --quiet -c SHA256SUMS && [ "$(wc -l <SHA256SUMS)" = 7 ]'
cd "$OLDPWD"
for arch in amd64 arm64; do
    mkdir -p "$dir/$arch/deb" "$dir/$arch/tar" "$dir/$arch/dev"
    [ $arch = amd64 ] && name=x86_64 said=X86-64 || { name=aarch64 said=AArch64; }
    dpkg-deb -x "$dir/first/apiversion-server_${version}_$arch.deb" "$dir/$arch/deb"
    yes "$arch: the package says so" test "$(dpkg-deb -f "$dir/first/apiversion-server_${version}_$arch.deb" Architecture)" = $arch
    dpkg-deb -x "$dir/first/libkongpdk-dev_${version}_$arch.deb" "$dir/$arch/dev"
    yes "$arch: the package for authors says so" test "$(dpkg-deb -f "$dir/first/libkongpdk-dev_${version}_$arch.deb" Architecture)" = $arch
    yes "$arch: its shared library and its tool are of it" sh -c '[ "$(readelf -h "$1"/usr/lib/*/libkongpdk.so "$1/usr/bin/kong-pdk-load" | grep -c "Machine: .*$2")" = 2 ]' sh "$dir/$arch/dev" $said
    yes "$arch: its files for pkg-config name no directory of this build" sh -c '! grep -F -e "$2" -e sysroot "$1"/usr/lib/*/pkgconfig/*' sh "$dir/$arch/dev" "$PWD"
    tar -C "$dir/$arch/tar" --strip-components=1 -xzf "$dir/first/apiversion-server-$version-linux-$name.tar.gz"
    yes "$arch: the package's program is of it" machine $said "$dir/$arch/deb/usr/bin/apiversion-server"
    yes "$arch: the tarball's program is of it" machine $said "$dir/$arch/tar/bin/apiversion-server"
    run=$(emulated $arch)
    if [ -n "$run" ] && ! command -v "${run%% *}" >/dev/null; then
        echo "SKIPPED - no ${run%% *}: the programs for $arch were not run (tests/install-deps.sh other)"
        continue
    fi
    # shellcheck disable=SC2086 # words
    yes "$arch: the package's program serves" tests/other/server_test.sh "$dir/$arch/deb/usr/bin/apiversion-server" "$load" $run
    # shellcheck disable=SC2086
    yes "$arch: the tarball's program serves" tests/other/server_test.sh "$dir/$arch/tar/bin/apiversion-server" "$load" $run
    # shellcheck disable=SC2086
    yes "$arch: a plugin is made with the package for authors" plugin $arch $run
done
yes 'the packages for authors need the same ones on both' diff <(needed "$dir/first/libkongpdk-dev_${version}_amd64.deb") <(needed "$dir/first/libkongpdk-dev_${version}_arm64.deb")
yes 'the SBOM' python3 tests/packaging/sbom_test.py "$dir/first/apiversion-server-$version.spdx.json" "$dir/first"

mkdir "$dir/copy"
git ls-files -z | xargs -0 cp --parents -t "$dir/copy"
BUILD_VERSION=$version BUILD_COMMIT=$("$build/apiversion-server" --version | sed -n 's/.*(commit \(.*\))$/\1/p')
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
export BUILD_VERSION BUILD_COMMIT SOURCE_DATE_EPOCH
yes 'make dist in a copy of the sources' "$make" -C "$dir/copy" --no-print-directory dist
yes 'it gives the same bytes' diff -r "$dir/first" "$dir/copy/build/dist"
echo "$passed passed, 0 failed"

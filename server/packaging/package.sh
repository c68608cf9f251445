#!/usr/bin/env bash
# Makes a package of what is built: server/packaging/package.sh deb|dev|tarball BINARY DIRECTORY [SAME]
#
# deb      DIRECTORY/apiversion-server_VERSION_ARCHITECTURE.deb, by dpkg-deb
# dev      DIRECTORY/libkongpdk-dev_VERSION_ARCHITECTURE.deb: what `$MAKE install-library` installs out of BINARY's
#          directory, for authors of plugins. $ARCHIVES are the libraries that kong-pdk-static.pc names; of another
#          architecture they are in a directory of tests/other/sysroot
# tarball  DIRECTORY/apiversion-server-VERSION-linux-MACHINE.tar.gz, to be unpacked in /usr/local, as in Kong's image
#
# SAME is a server of the same sources that runs here, if BINARY is one for another architecture.
#
# The same binary gives the same bytes: times are SOURCE_DATE_EPOCH, or that of the last commit. DEBFULLNAME and DEBEMAIL
# are the maintainer of the Debian package, if set.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
kind=$1
binary=$(realpath "$2")
mkdir -p "$3"
out=$(realpath "$3")
runs=$(realpath "${4:-$2}")
name=apiversion-server
umask 022
export LC_ALL=C TZ=UTC

fail() {
    echo "package: $*" >&2
    exit 1
}

scratch=$(mktemp -d)
trap 'rm -rf --one-file-system "$scratch"' EXIT
work=$scratch/tree # with the umask's mode, which dpkg gives to the directory it unpacks in
mkdir "$work"
version=$("$runs" --version | sed -n 's/^server \([^ ]*\) .*/\1/p')
[ -n "$version" ] && grep -aqF "server $version (commit " "$binary" || fail "$binary is no server of this tree${4:+, or not of the version of $4}"
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git -C "$root" log -1 --format=%ct 2>/dev/null ||
    date -d "$(sed -n 's/^ -- .*>  //p' "$here/debian/changelog" | sed -n 1p)" +%s)}
export SOURCE_DATE_EPOCH

maintainer="${DEBFULLNAME:-apiversion-server maintainers} <${DEBEMAIL:-maintainers@example.org}>"

tools=
case $(readelf -h "$binary" | sed -n 's/^ *Machine: *//p') in
*X86-64) machine=x86_64 architecture=amd64 ;;
AArch64) machine=aarch64 architecture=arm64 ;;
*) machine=$(uname -m) architecture=$(dpkg --print-architecture 2>/dev/null || true) ;;
esac
[ "$machine" = "$(uname -m)" ] || tools=$machine-linux-gnu-

others=$(readelf -d "$binary" | sed -n 's/.*(NEEDED).*\[\(.*\)\].*/\1/p' | grep -vE '^(lib(c|m|dl|rt|pthread)|ld-linux.*)\.so\.' || true)
[ -z "$others" ] || fail "the binary needs more than the C library, install the static libraries and build again: $others"

put() { # MODE FILE DIRECTORY
    mkdir -p "$work/$3"
    install -m "$1" "$2" "$work/$3/"
}

# What both hold.
common() { # PREFIX-IN-THE-PACKAGE PREFIX-WHERE-IT-IS-INSTALLED DOCUMENTS
    local zsh=site-functions
    [ "$1" != usr ] || zsh=vendor-completions # Debian's packages
    put 755 "$binary" "$1/bin"
    "${tools}strip" --strip-unneeded --remove-section=.comment "$work/$1/bin/$name"
    mkdir -p "$work/$1/share/man/man1" "$work/$1/share/doc/$name"
    "$runs" --man | gzip -9n >"$work/$1/share/man/man1/$name.1.gz"
    "$here/documents.sh" "$3" "$work/$1/share/doc/$name"
    put 644 "$here/copyright" "$1/share/doc/$name"
    mkdir -p "$work/$1/share/bash-completion/completions"
    install -m 644 "$here/bash-completion" "$work/$1/share/bash-completion/completions/$name"
    mkdir -p "$work/$1/share/zsh/$zsh" "$work/$1/share/fish/vendor_completions.d"
    install -m 644 "$here/zsh-completion" "$work/$1/share/zsh/$zsh/_$name"
    install -m 644 "$here/fish-completion" "$work/$1/share/fish/vendor_completions.d/$name.fish"
    put 644 "$here/grafana/kong-plugin-server.json" "$1/share/$name/grafana"
    put 644 "$here/prometheus/kong-plugin-server.rules.yml" "$1/share/$name/prometheus"
    put 644 "$here/systemd/$name.socket" "$1/lib/systemd/system"
    sed "s|@bindir@|$2/bin|" "$here/systemd/$name.service.in" >"$work/$1/lib/systemd/system/$name.service"
    chmod 644 "$work/$1/lib/systemd/system/$name.service"
}

# Of a version between two releases, in Debian's form.
snapshot_entry() {
    case $version in
    *+git*)
        printf '%s (%s) unstable; urgency=medium\n\n  * Built from the sources at commit %s.\n\n -- %s  %s\n\n' "$name" "$version" \
            "${version##*.}" "$maintainer" "$(date -u -d "@$SOURCE_DATE_EPOCH" '+%a, %d %b %Y %H:%M:%S +0000')"
        ;;
    esac
}

settle() { # all times the same
    find "$work" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
}

deb() {
    local glibc
    command -v dpkg-deb >/dev/null || fail 'dpkg-deb is needed: package dpkg'
    case $(sed -n '1s/^[^(]*(\([^)]*\)).*/\1/p' "$here/debian/changelog") in
    "$version" | "${version%%+*}") ;;
    *) fail "debian/changelog does not begin with version ${version%%+*}" ;;
    esac
    common usr /usr debian
    put 644 "$here/debian/README.Debian" "usr/share/doc/$name"
    put 644 "$here/CHANGELOG.md" "usr/share/doc/$name"
    gzip -9n "$work/usr/share/doc/$name/CHANGELOG.md"
    { snapshot_entry && cat "$here/debian/changelog"; } | gzip -9n >"$work/usr/share/doc/$name/changelog.gz"
    mkdir -p "$work/etc/logrotate.d"
    install -m 644 "$here/logrotate" "$work/etc/logrotate.d/$name"
    # the newest version of the C library that a symbol is asked of; it needs no other package (see `others`)
    glibc=$(readelf -W -V "$binary" | grep -oE 'GLIBC_[0-9.]+' | sort -uV | tail -n 1)
    [ -n "$glibc" ] || fail "$binary asks the C library for nothing"
    control control.in "libc6 (>= ${glibc#GLIBC_})"
    echo "/etc/logrotate.d/$name" >"$work/DEBIAN/conffiles"
    install -m 755 "$here/debian/postinst" "$here/debian/prerm" "$here/debian/postrm" "$work/DEBIAN/"
    build_deb "$name"
}

# The packages of the shared libraries that these need. dpkg-shlibdeps wants a source package around it.
needs() { # PACKAGE FILE…
    local package=$1 depends file files=() where=()
    shift
    for file; do
        files+=("-e$file")
    done
    if [ -n "$sysroot" ]; then # dpkg is to find what lies there
        cp -r "$sysroot/dpkg" "$scratch/"
        sed -i "s|^|$sysroot|" "$scratch"/dpkg/info/*.list
        where=(--admindir="$scratch/dpkg" -l"$sysroot/usr/lib/$triplet" -l"$sysroot/lib/$triplet" -l"$sysroot/lib")
    fi
    mkdir -p "$work/debian"
    printf 'Source: %s\n\nPackage: %s\nArchitecture: any\n' "$package" "$package" >"$work/debian/control"
    depends=$(cd "$work" && dpkg-architecture -a"$architecture" -f -c dpkg-shlibdeps -O --ignore-missing-info "${where[@]}" "${files[@]}" 2>"$scratch/said" |
        sed -n 's/^shlibs:Depends=//p') || true
    rm -r --one-file-system "$work/debian"
    [ -n "$depends" ] || fail "dpkg-shlibdeps finds no dependencies: $(tail -n 1 "$scratch/said")"
    echo "$depends"
}

# The package of a library that is linked statically: that of its headers.
owner() { # ARCHIVE
    if [ -n "$sysroot" ]; then
        awk -v "path=${1#"$sysroot/"}" '$1 == path { print $2 }' "$sysroot/packages"
    else
        dpkg -S "$(realpath "$1")" "$1" 2>/dev/null | sed -n '1s/[:,].*//p'
    fi
}

control() { # TEMPLATE DEPENDS: $work/DEBIAN, with the checksums of all files
    local size
    size=$(du -k -s --apparent-size "$work/usr" | cut -f1)
    mkdir "$work/DEBIAN"
    (cd "$work" && find . -path ./DEBIAN -prune -o -type f -printf '%P\0' | sort -z | xargs -0 md5sum) >"$work/DEBIAN/md5sums"
    sed -e "s|@version@|$version|" -e "s|@architecture@|$architecture|" -e "s|@maintainer@|$maintainer|" \
        -e "s|@size@|$size|" -e "s|@depends@|$2|" "$here/debian/$1" >"$work/DEBIAN/control"
}

build_deb() { # PACKAGE
    local file
    file=$out/${1}_${version}_$architecture.deb
    settle
    dpkg-deb --root-owner-group -Zxz --build "$work" "$file" >/dev/null
    echo "$file"
}

dev() {
    local package=libkongpdk-dev triplet sysroot= lib doc file depends archives=
    command -v dpkg-deb >/dev/null && command -v dpkg-shlibdeps >/dev/null || fail 'dpkg-deb and dpkg-shlibdeps are needed: package dpkg-dev'
    triplet=$(dpkg-architecture -a"$architecture" -qDEB_HOST_MULTIARCH 2>/dev/null)
    lib=usr/lib/$triplet
    doc=usr/share/doc/$package
    "${MAKE:-make}" -C "$root" --no-print-directory install-library BUILD="$(dirname "$binary")" DESTDIR="$work" PREFIX=/usr LIBDIR="/$lib" >/dev/null
    "$here/documents.sh" authors "$work/$doc"
    mv "$work/usr/share/doc/$name/kong-pdk.md" "$work/$doc/"
    rmdir "$work/usr/share/doc/$name"
    gzip -9n "$work/$doc/kong-pdk.md" "$work"/usr/share/man/man[13]/*
    put 644 "$here/copyright" "$doc"
    { snapshot_entry && cat "$here/debian/changelog"; } | sed "s/^$name /$package /" | gzip -9n >"$work/$doc/changelog.gz"
    "${tools}strip" --strip-unneeded --remove-section=.comment "$work/usr/bin/kong-pdk-load" "$work/$lib"/libkongpdk.so.*.*
    "${tools}strip" --strip-debug --enable-deterministic-archives "$work/$lib"/*.a
    # those that are linked statically come with the packages of their headers
    for file in $ARCHIVES; do
        case $file in
        */sysroot/*) sysroot=${file%%/sysroot/*}/sysroot ;;&
        /*) archives+=" $(owner "$file")" ;;
        esac
    done
    depends=$(needs "$package" usr/bin/kong-pdk-load "$(cd "$work" && echo "$lib"/libkongpdk.so.*.*)")
    for file in $(printf '%s\n' $archives | sort -u); do
        depends+=", $file"
    done
    chmod 644 "$work/$lib"/libkongpdk.so.*.*
    mkdir -p "$work/usr/share/lintian/overrides"
    cat >"$work/usr/share/lintian/overrides/$package" <<EOT
# One package: the shared library is for programs on the machine where they are made. Those that go elsewhere are linked
# with kong-pdk-static.
$package: package-name-doesnt-match-sonames libkongpdk0
$package: link-to-shared-library-in-wrong-package *
EOT
    control dev.control.in "$depends"
    echo "libkongpdk 0 $package (>= ${version%%+*})" >"$work/DEBIAN/shlibs"
    echo 'activate-noawait ldconfig' >"$work/DEBIAN/triggers"
    build_deb "$package"
}

tarball() {
    local file top
    top=$name-$version-linux-$machine
    common "$top" /usr/local all
    mkdir -p "$work/$top/share/$name/logrotate"
    install -m 644 "$here/logrotate" "$work/$top/share/$name/logrotate/$name"
    settle
    file=$out/$top.tar.gz
    tar -C "$work" --sort=name --owner=0 --group=0 --numeric-owner --format=ustar -cf - "$top" | gzip -9n >"$file"
    echo "$file"
}

case $kind in
deb | dev | tarball) "$kind" ;;
*) fail "deb, dev or tarball, not $kind" ;;
esac

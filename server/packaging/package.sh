#!/usr/bin/env bash
# Makes a package of a server that is built: server/packaging/package.sh deb|tarball BINARY DIRECTORY
#
# deb      DIRECTORY/apiversion-server_VERSION_ARCHITECTURE.deb, by dpkg-deb
# tarball  DIRECTORY/apiversion-server-VERSION-linux-MACHINE.tar.gz, to be unpacked in /usr/local, as in Kong's image
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
version=$("$binary" --version | sed -n 's/^server \([^ ]*\) .*/\1/p')
[ -n "$version" ] || fail "$binary is no server of this tree: --version names none"
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git -C "$root" log -1 --format=%ct 2>/dev/null ||
    date -d "$(sed -n 's/^ -- .*>  //p' "$here/debian/changelog" | head -n 1)" +%s)}
export SOURCE_DATE_EPOCH

maintainer="${DEBFULLNAME:-apiversion-server maintainers} <${DEBEMAIL:-maintainers@example.org}>"

others=$(ldd "$binary" | awk '{ print $1 }' | grep -vE '^(statically|linux-vdso|libc\.so|/lib.*/ld-linux|ld-linux|libpthread|libdl|librt|libm\.so)' || true)
[ -z "$others" ] || fail "the binary needs more than the C library, install the static libraries and build again: $others"

put() { # MODE FILE DIRECTORY
    mkdir -p "$work/$3"
    install -m "$1" "$2" "$work/$3/"
}

# What both hold.
common() { # PREFIX-IN-THE-PACKAGE PREFIX-WHERE-IT-IS-INSTALLED
    local zsh=site-functions
    [ "$1" != usr ] || zsh=vendor-completions # Debian's packages
    put 755 "$binary" "$1/bin"
    strip --strip-unneeded --remove-section=.comment "$work/$1/bin/$name"
    mkdir -p "$work/$1/share/man/man1" "$work/$1/share/doc/$name"
    "$binary" --man | gzip -9n >"$work/$1/share/man/man1/$name.1.gz"
    put 644 "$root/kong.conf.example" "$1/share/doc/$name"
    put 644 "$here/copyright" "$1/share/doc/$name"
    put 644 "$here/CHANGELOG.md" "$1/share/doc/$name"
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
    local architecture depends size
    command -v dpkg-deb >/dev/null && command -v dpkg-shlibdeps >/dev/null || fail 'dpkg-deb and dpkg-shlibdeps are needed: package dpkg-dev'
    case $(sed -n '1s/^[^(]*(\([^)]*\)).*/\1/p' "$here/debian/changelog") in
    "$version" | "${version%%+*}") ;;
    *) fail "debian/changelog does not begin with version ${version%%+*}" ;;
    esac
    architecture=$(dpkg --print-architecture)
    common usr /usr
    put 644 "$here/debian/README.Debian" "usr/share/doc/$name"
    gzip -9n "$work/usr/share/doc/$name/CHANGELOG.md"
    { snapshot_entry && cat "$here/debian/changelog"; } | gzip -9n >"$work/usr/share/doc/$name/changelog.gz"
    mkdir -p "$work/etc/logrotate.d"
    install -m 644 "$here/logrotate" "$work/etc/logrotate.d/$name"
    (cd "$work" && find etc usr -type f -print0 | sort -z | xargs -0 md5sum) >"$work/md5sums"

    # dpkg-shlibdeps wants a source package around it
    mkdir -p "$work/debian"
    printf 'Source: %s\n\nPackage: %s\nArchitecture: any\n' "$name" "$name" >"$work/debian/control"
    depends=$(cd "$work" && dpkg-shlibdeps -O -e"usr/bin/$name" 2>/dev/null | sed -n 's/^shlibs:Depends=//p')
    rm -r --one-file-system "$work/debian"
    [ -n "$depends" ] || fail 'dpkg-shlibdeps finds no dependencies'

    size=$(du -k -s --apparent-size "$work/usr" | cut -f1)
    mkdir "$work/DEBIAN"
    mv "$work/md5sums" "$work/DEBIAN/"
    echo "/etc/logrotate.d/$name" >"$work/DEBIAN/conffiles"
    sed -e "s|@version@|$version|" -e "s|@architecture@|$architecture|" -e "s|@maintainer@|$maintainer|" \
        -e "s|@size@|$size|" -e "s|@depends@|$depends|" "$here/debian/control.in" >"$work/DEBIAN/control"
    install -m 755 "$here/debian/postinst" "$here/debian/prerm" "$here/debian/postrm" "$work/DEBIAN/"
    settle
    dpkg-deb --root-owner-group -Zxz --build "$work" "$out/${name}_${version}_$architecture.deb" >/dev/null
    echo "$out/${name}_${version}_$architecture.deb"
}

tarball() {
    local file top
    top=$name-$version-linux-$(uname -m)
    common "$top" /usr/local
    put 644 "$root/LICENSE" "$top/share/doc/$name"
    mkdir -p "$work/$top/share/$name/logrotate"
    install -m 644 "$here/logrotate" "$work/$top/share/$name/logrotate/$name"
    settle
    file=$out/$top.tar.gz
    tar -C "$work" --sort=name --owner=0 --group=0 --numeric-owner --format=ustar -cf - "$top" | gzip -9n >"$file"
    echo "$file"
}

case $kind in
deb | tarball) "$kind" ;;
*) fail "deb or tarball, not $kind" ;;
esac

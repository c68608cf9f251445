#!/usr/bin/env bash
# make new-plugin, as a new user would: in a copy of the tree. usage: new_plugin_test.sh MAKE BUILD, after `make all`
set -euo pipefail
cd "$(dirname "$0")/../.."
make=${1:-make}
build=${2:-build}
. tests/plugins/checks.sh

# What was built is copied along, so that only the plugin is compiled.
mkdir "$SCRATCH/tree" "$SCRATCH/tree/build"
cp -a Makefile README.md LICENSE kong.conf.example .clang-format proto server plugins tests "$SCRATCH/tree"
for built in gen proto server libkongpdk.a libkongtest.a plugins tests/kong apiversion-server; do
    mkdir -p "$SCRATCH/tree/build/$(dirname "$built")"
    [ ! -e "$build/$built" ] || cp -a "$build/$built" "$SCRATCH/tree/build/$built"
done
# with its version, or its servers would be linked again: the copy has no .git
read -r BUILD_VERSION BUILD_COMMIT < <(server/packaging/version.sh)
export BUILD_VERSION BUILD_COMMIT
cd "$SCRATCH/tree"
# The variables of the make that called this are not this tree's.
unset MAKEFLAGS MFLAGS MAKELEVEL MAKEOVERRIDES

refused() { # NAME TEXT
    local status=0
    NAME=$1 server/template/new-plugin.sh >"$SCRATCH/out" 2>"$SCRATCH/err" || status=$?
    if [ "$status" -ne 2 ] || [ -s "$SCRATCH/out" ] || [ "$(wc -l <"$SCRATCH/err")" -ne 1 ] ||
        ! grep -qF -- "$2" "$SCRATCH/err"; then
        echo "name \"$1\": status $status: $(cat "$SCRATCH/err")"
        return 1
    fi
}
all_refused() {
    refused '' 'a name is missing' &&
    refused 'Rate-Card' 'lower case letters, digits and hyphens only' &&
    refused 'rate_card' 'lower case letters, digits and hyphens only' &&
    refused 'rate card' 'lower case letters, digits and hyphens only' &&
    refused '../x' 'lower case letters, digits and hyphens only' &&
    refused "it's" 'lower case letters, digits and hyphens only' &&
    refused '7up' 'must begin with a letter' &&
    refused '-x' 'must begin with a letter' &&
    refused 'x-' 'single hyphens' &&
    refused 'x--y' 'single hyphens' &&
    refused 'off' "Kong's setting" &&
    refused 'key-auth' 'Kong comes with a plugin key-auth' &&
    refused 'zipkin' 'Kong comes with a plugin zipkin' &&
    refused 'acl' 'Kong comes with a plugin acl' &&
    refused 'api-version' 'plugins/api_version exists already' &&
    refused 'apiversion' 'apiversion-server is the server of api-version already' &&
    refused 'abcdefghijklmnopqrstuvwxyz-abcdefghijklmn' 'the name has 41 characters' &&
    [ "$(cd plugins && echo *)" = "$plugins" ]
}
plugins=$(cd plugins && echo *)
check 'names that Kong would not take are refused with the reason' all_refused
status=0
"$make" new-plugin NAME="it's" >/dev/null 2>"$SCRATCH/err" || status=$?
check 'make ends with status 2 then' test "$status" -eq 2

LONG=abcdefghijklmnopqrstuvwxyz-abcdefghijklm
check 'make new-plugin' "$make" new-plugin NAME=rate-card
check 'again: refused' refused rate-card 'plugins/rate_card exists already'
check 'it builds without a warning' "$make" all
# Whole-program optimisation takes more time than all else here: once is enough.
export MAKEFLAGS=LTO_LINK=-fno-lto
check 'make new-plugin with the longest name' "$make" new-plugin NAME=$LONG
check 'that one builds, too' "$make" all
formatted() { tests/lint/with-tool.sh clang-format build/lint-tools clang-format --dry-run --Werror plugins/*/*.c; }
check 'it is formatted' formatted
check 'it keeps the dependency rules' tests/lint/check-includes.sh

for name in rate-card $LONG; do
    id=${name//-/_}
    server=build/$name-server
    check "$name: its server tells its name and version" \
        test "$("$server" --version | sed -n 1p)" = "$name 0.1.0"
    "$server" -dump >"$SCRATCH/dump"
    check "$name: it dumps" grep -q "\"Name\": \"$name\"" "$SCRATCH/dump"
    check "$name: its socket is named after the server" \
        grep -q "\"/usr/local/kong/$name-server.socket\"" "$SCRATCH/dump"
    "$server" --describe >"$SCRATCH/table"
    check "$name: its README has the table of the fields" \
        test "$(grep '^|' "plugins/$id/README.md")" = "$(cat "$SCRATCH/table")"
    check "$name: its test builds" "$make" "build/plugins/$id/test_$id"
    check "$name: its test passes" "build/plugins/$id/test_$id"
done
check 'make unit runs its test' bash -c "'$make' -n unit | grep 'build/plugins/rate_card/test_rate_card' >/dev/null"
sed -i 's/"%s, %s"/"%s: %s"/' plugins/rate_card/rate_card.c
"$make" build/plugins/rate_card/test_rate_card >/dev/null
check 'its test fails when the plugin does something else' \
    env TMPDIR="$SCRATCH" bash -c '! build/plugins/rate_card/test_rate_card' # which then leaves its directory
sed -i 's/"%s: %s"/"%s, %s"/' plugins/rate_card/rate_card.c
"$make" demo PLUGIN=rate-card >"$SCRATCH/demo" 2>&1 || { cat "$SCRATCH/demo" && exit 1; }
shows() { [ "$(grep -c 'X-Greeting: hello, 127.0.0.1 .*set by the plugin' "$SCRATCH/demo")" -eq 2 ] || { cat "$SCRATCH/demo" && false; }; }
check 'make demo shows it at work over both protocols' shows
check 'make demo with a configuration as JSON' bash -c "'$make' demo PLUGIN=rate-card CONFIG='{\"greeting\": \"it'\\''s\"}' | grep \"X-Greeting: it's, 127\""
check 'make dev does the same in a build of its own' bash -c "'$make' -n dev PLUGIN=rate-card | grep 'BUILD=build/dev LTO=no'"
for target in demo run dev load demo-kong; do
    check "make $target of a plugin that is not there says so" bash -c "! '$make' $target PLUGIN=none >none.out 2>&1 && grep -q '^no plugin \"none\" in plugins/' none.out && ! grep -q 'No rule' none.out"
done

# Libraries of a plugin's own, by pkg-config: in its server and in its test.
mkdir "$SCRATCH/fortune"
echo 'const char *fortune(void); const char *fortune(void) { return FORTUNE; }' >"$SCRATCH/fortune/fortune.c"
"${CC:-cc}" -shared -fPIC -DFORTUNE='"luck"' "$SCRATCH/fortune/fortune.c" -o "$SCRATCH/fortune/libfortune.so"
printf 'Name: fortune\nDescription: luck\nVersion: 1\nCflags: -DKIND=fortune\nLibs: -L%s -Wl,-rpath,%s -lfortune\n' "$SCRATCH/fortune" "$SCRATCH/fortune" >"$SCRATCH/fortune/fortune.pc"
echo 'LIBRARIES := fortune' >plugins/rate_card/plugin.mk
sed -i 's/^#include <kong.h>$/#define _GNU_SOURCE 1\n#include <kong.h>\nconst char *KIND(void);/; s/"%s, %s", config->greeting/"%s, %s", KIND()/' plugins/rate_card/rate_card.c
status=0
"$make" build/rate-card-server >/dev/null 2>"$SCRATCH/err" || status=$?
names_it() { [ "$status" -ne 0 ] && grep -q '^plugins/rate_card/plugin.mk names the library fortune, and pkg-config finds no fortune.pc' "$SCRATCH/err"; }
check 'a library that is not here is named' names_it
export PKG_CONFIG_PATH=$SCRATCH/fortune${PKG_CONFIG_PATH:+:$PKG_CONFIG_PATH}
check 'with it the server is built' "$make" build/rate-card-server build/plugins/rate_card/test_rate_card
needs_it() { ldd "$1" | grep "libfortune.so => $SCRATCH/fortune"; } # without -q, which may end ldd by SIGPIPE
check 'and needs it' needs_it build/rate-card-server
check 'so does the test' needs_it build/plugins/rate_card/test_rate_card
static_line() { ! STATIC=1 CC="${CC:-cc}" PKG_CONFIG=pkg-config tests/plugins/libraries.sh plugins/rate_card/plugin.mk "$SCRATCH/stamp" fortune 2>"$SCRATCH/err" && grep -q 'of which there is no libfortune.a here: a static server cannot have this plugin' "$SCRATCH/err"; }
check 'a static server cannot have it, and says so' static_line
checks_passed

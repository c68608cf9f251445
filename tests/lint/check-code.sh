#!/bin/sh
# Compiles each block of C in a document. A block that begins with an #include of its own is a whole file; another one stands behind
# #include <kong.h>. The first whole plugin (KONG_MAIN) can be included as "limit.c", as the test below it does.
#
#   tests/lint/check-code.sh CC DOCUMENT COMPILER-OPTION…
set -eu
cc=$1 document=$2
shift 2
dir=$(mktemp -d)
trap 'rm -r -- "$dir"' EXIT
awk -v dir="$dir" '
    /^```c$/ { code = 1; name = sprintf("%s/%02d.c", dir, ++count); fresh = 1; next }
    /^```/ { code = 0 }
    code {
        if (fresh && !/^#include/) { print "#include <kong.h>\n#include <stdlib.h>\n#include <time.h>" >name }
        if (fresh) { printf "#line %d \"%s\"\n", NR, FILENAME >name; fresh = 0 }
        print >name
    }' "$document"
# the one that a test includes
grep -l KONG_MAIN "$dir"/*.c | head -n 1 | xargs -I{} cp {} "$dir/limit.c"
for file in "$dir"/[0-9]*.c; do
    # shellcheck disable=SC2086 # a command and its options
    $cc -fsyntax-only -std=gnu11 -Wall -Wextra -Wno-unused-function -Wno-unused-variable -Wno-unused-const-variable -Werror "$@" "$file"
done
echo "code: $(find "$dir" -name '[0-9]*.c' | wc -l) programs of $document compile"

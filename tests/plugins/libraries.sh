#!/bin/sh
# Are the libraries here that a plugin names? usage: libraries.sh PLUGIN.MK STAMP LIBRARY…
#
# CC, PKG_CONFIG and STATIC are the build's. STAMP is what the compiler is told of them; it is written
# only when that is something new. Status 1, and a line, when one is missing.
set -eu
file=$1 stamp=$2
shift 2
for library; do
    "$PKG_CONFIG" --exists "$library" 2>/dev/null || {
        echo "$file names the library $library, and pkg-config finds no $library.pc: install its development package, or set PKG_CONFIG_PATH" >&2
        exit 1
    }
    [ -n "$STATIC" ] || continue
    for flag in $("$PKG_CONFIG" --static --libs-only-l "$library"); do
        case $("$CC" -print-file-name="lib${flag#-l}.a") in
        /*) ;;
        *)
            echo "$file names the library $library, of which there is no lib${flag#-l}.a here: a static server cannot have this plugin (build without STATIC=1)" >&2
            exit 1
            ;;
        esac
    done
done
said=$("$PKG_CONFIG" ${STATIC:+--static} --cflags --libs "$@")
printf '%s\n' "$said" | cmp -s - "$stamp" || printf '%s\n' "$said" >"$stamp"

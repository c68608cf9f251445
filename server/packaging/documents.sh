#!/usr/bin/env bash
# The documents for users into one directory, with links that hold there: server/packaging/documents.sh all|debian|authors DIRECTORY
#
# all      of an installation
# debian   without LICENSE and CHANGELOG.md, which Debian's packages have in other files
# authors  for authors of plugins, beside kong-pdk.md
#
# A link to a document that is not there becomes plain text.
set -euo pipefail
kind=$1 out=$2
cd "$(dirname "$0")/../.."
case $kind in
all) files=(README.md SECURITY.md LICENSE kong.conf.example server/packaging/CHANGELOG.md server/docs/*.md server/docs/*.svg) ;;
debian) files=(README.md SECURITY.md kong.conf.example server/docs/*.md server/docs/*.svg) ;;
authors) files=(server/docs/{authors,protocol}.md) ;;
*) sed -n 2p "$0" >&2 && exit 2 ;;
esac
[ "$kind" = authors ] || files+=(plugins/api_version/README.md)

name_of() { # FILE: here, no two have the same
    case $1 in
    plugins/*) echo api-version.md ;;
    *) basename "$1" ;;
    esac
}

names=
for file in "${files[@]}"; do
    names+=" $(name_of "$file")"
done
install -d "$out"
for file in "${files[@]}"; do
    target=$out/$(name_of "$file")
    install -m 644 "$file" "$target"
    case $file in *.md) ;; *) continue ;; esac
    awk -v "names=$names" '
    BEGIN { split(names, list, " "); for (i in list) here[list[i]] = 1 }
    function linked(text, target,   name, part) {
        if (target ~ /^(https?:|#)/)
            return "[" text "](" target ")"
        part = match(target, /#/) ? substr(target, RSTART) : ""
        name = part == "" ? target : substr(target, 1, RSTART - 1)
        sub(/^(\.\.\/)+/, "", name)
        sub(/^plugins\/api_version\/README\.md$/, "api-version.md", name)
        sub(/^(server\/)?(docs|packaging)\//, "", name)
        return name in here ? "[" text "](" name part ")" : text
    }
    {
        line = $0
        done = ""
        while (match(line, /\[[^][]*\]\([^() ]+\)/)) {
            link = substr(line, RSTART + 1, RLENGTH - 2)
            before = substr(line, 1, RSTART - 1)
            line = substr(line, RSTART + RLENGTH)
            middle = index(link, "](")
            done = done before linked(substr(link, 1, middle - 1), substr(link, middle + 2))
        }
        print done line
    }' "$file" >"$target"
done

#!/usr/bin/env bash
# Are the documents in this directory whole: is the target of each link there? usage: links.sh DIRECTORY
set -euo pipefail
cd "$1"
bad=0
for file in *.md; do
    while IFS= read -r target; do
        [ -e "${target%%#*}" ] || { echo "$1/$file links to $target, which is not there" && bad=1; }
    done < <(grep -oE '\]\([^() ]+\)' "$file" | sed 's/^](//; s/)$//' | grep -vE '^(https?:|#)' || true)
done
[ $bad = 0 ] && [ -e "$file" ]

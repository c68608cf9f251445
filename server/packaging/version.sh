#!/bin/sh
# The version of what is built here, and its commit: "0.1+git20261126162233.1a2b3c4d5e6f 1a2b3c4d5e6f", from git, so that a package
# of newer sources is newer for apt. A commit with the tag vVERSION is VERSION. Changes that are not committed count with
# their time, and end it with "+". Without git it is the version of debian/changelog, and the commit is "unknown".
# BUILD_VERSION and BUILD_COMMIT in the environment win: for a copy of the sources without its .git.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$here/../..
base=$(sed -n '1s/^[^(]*(\([^)]*\)).*/\1/p' "$here/debian/changelog")
commit=unknown
version=$base
if [ -e "$root/.git" ] && git -C "$root" rev-parse -q --verify HEAD >/dev/null 2>&1; then
    commit=$(git -C "$root" rev-parse --short=12 HEAD)
    date=$(TZ=UTC git -C "$root" log -1 --format=%cd --date=format-local:%Y%m%d%H%M%S)
    changed=$(git -C "$root" status --porcelain -uno | cut -c4- | sed 's/.* -> //')
    if [ -n "$changed" ]; then
        newest=$(cd "$root" && echo "$changed" | while read -r file; do [ ! -e "$file" ] || stat -c %Y "$file"; done | sort -n | tail -n 1)
        date=$(date -u -d "@${newest:-$(date +%s)}" +%Y%m%d%H%M%S)
        version=$base+git$date.$commit+
        commit=$commit+
    elif ! git -C "$root" tag --points-at HEAD | grep -qx "v$base"; then
        version=$base+git$date.$commit
    fi
fi
echo "${BUILD_VERSION:-$version} ${BUILD_COMMIT:-$commit}"

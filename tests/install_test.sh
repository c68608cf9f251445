#!/usr/bin/env bash
# make install into an empty directory: what is there, and does it work from there? usage: install_test.sh MAKE
set -euo pipefail
cd "$(dirname "$0")/.."
make=${1:-make}
root=$(mktemp -d)
trap 'rm -rf --one-file-system "$root"' EXIT
passed=0
check() {
    if eval "$2"; then
        passed=$((passed + 1))
        echo "ok - $1"
    else
        echo "not ok - $1 ($2)"
        exit 1
    fi
}
"$make" --no-print-directory install DESTDIR="$root" PREFIX=/opt/kong >/dev/null
bin=$root/opt/kong/bin/apiversion-server
check 'the binary is there and runs' '"$bin" --version | grep "^api-version 0\\.1$" >/dev/null'
names_all_options() {
    local option
    for option in $("$bin" --help-all | grep -oE -- '--[a-z]+(-[a-z]+)*' | sort -u); do
        grep -qF -- "${option//-/\\-}" "$1" || { echo "$option is missing in $1"; return 1; }
    done
}
check 'the man page is there and names each option' 'names_all_options "$root/opt/kong/share/man/man1/apiversion-server.1"'
check 'kong.conf.example is there' 'grep -q "^pluginserver_names = apiversion-server$" "$root/opt/kong/share/doc/apiversion-server/kong.conf.example"'
check 'the documents are there, and link to each other' 'test -s "$root/opt/kong/share/doc/apiversion-server/operating.md" && tests/packaging/links.sh "$root/opt/kong/share/doc/apiversion-server"'
check 'zsh completion is there' 'test -s "$root/opt/kong/share/zsh/site-functions/_apiversion-server"'
check 'fish completion is there' 'test -s "$root/opt/kong/share/fish/vendor_completions.d/apiversion-server.fish"'
check 'bash completion is there' 'test -s "$root/opt/kong/share/bash-completion/completions/apiversion-server"'
check 'the units are there, and start that binary' 'test -s "$root/opt/kong/lib/systemd/system/apiversion-server.socket" && grep -qx "ExecStart=/opt/kong/bin/apiversion-server --supervise yes" "$root/opt/kong/lib/systemd/system/apiversion-server.service"'
check 'the dashboard and the alerts are there' 'test -s "$root/opt/kong/share/apiversion-server/grafana/kong-plugin-server.json" && test -s "$root/opt/kong/share/apiversion-server/prometheus/kong-plugin-server.rules.yml"'
check 'the dump is JSON and nothing else' '"$bin" -dump | python3 -c "import json, sys; json.load(sys.stdin)" 2>/dev/null || ! command -v python3 >/dev/null'
check 'the socket is named after the binary, in the prefix' '"$bin" -dump -p /some/prefix | grep "\"/some/prefix/apiversion-server.socket\"" >/dev/null'
check 'the binary is hardened' 'tests/lint/check-hardening.sh "$bin"'
if ls "$(pkg-config --variable=libdir libuv)"/libuv*.a >/dev/null 2>&1; then
    others=$(ldd "$bin" | awk '{print $1}' | grep -vE '^(linux-vdso|libc\.so|/lib.*/ld-linux|ld-linux|libpthread|libdl|librt|libm\.so)' || true)
    check 'it needs the C library only' 'test -z "$others"'
fi
check '--version: the plugin, the server and its commit' '[ "$("$bin" --version | wc -l)" = 2 ] && "$bin" --version | grep -E "^server 0\.1[^ ]* \(commit [^ ]+\)$" >/dev/null'
"$make" --no-print-directory uninstall DESTDIR="$root" PREFIX=/opt/kong >/dev/null
check 'uninstall removes all files' '[ -z "$(find "$root" ! -type d)" ]'
check 'and the directories that are ours alone' '[ -z "$(find "$root" -name "apiversion-server" -o -path "*/kong-pdk*")" ]'
if [ "$(id -u)" = 0 ] && command -v setpriv >/dev/null; then
    # what is built on the way is the owner's: `sudo make install` leaves nothing of root's in the tree
    mkdir "$root/tree" && chown 65534:65534 "$root/tree" && chmod 755 "$root"
    helper=$PWD/server/packaging/as-owner.sh
    [ -r "$helper" ] && cp "$helper" "$root/as-owner.sh" && chmod 755 "$root/as-owner.sh"
    check 'root builds as the owner of the tree' '[ "$(cd "$root/tree" && "$root/as-owner.sh" sh -c "touch built && stat -c %u built")" = 65534 ]'
else
    echo 'SKIPPED - not root, or no setpriv: who builds when root installs'
fi
echo "$passed passed, 0 failed"

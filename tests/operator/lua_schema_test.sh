#!/usr/bin/env bash
# --dump --lua is the schema of --dump: each server's, loaded by a plain Lua 5.1 with Kong's typedefs stubbed, is the same
# table as the JSON.
#
#   tests/operator/lua_schema_test.sh SERVER…
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
lua=$(command -v lua5.1 || command -v luajit) || { echo 'SKIPPED - neither lua5.1 nor luajit is installed: --dump --lua was not loaded'; exit 0; }
command -v python3 >/dev/null || { echo 'SKIPPED - python3 is not installed: --dump --lua was not compared'; exit 0; }
dir=$(mktemp -d)
trap 'rm -rf --one-file-system "$dir"' EXIT
passed=0
for server in "$@"; do
    server=$(realpath "$server")
    "$server" --dump --lua >"$dir/schema.lua"
    "$lua" "$here/schema_to_json.lua" "$dir/schema.lua" >"$dir/lua.json"
    "$server" --dump --kong-version 3 >"$dir/dump.json" 2>/dev/null
    python3 - "$dir/lua.json" "$dir/dump.json" <<'EOT' || { echo "not ok - $server: --dump --lua is another schema"; exit 1; }
import json, sys

def plain(value):
    """An empty table of Lua is a list or an object; whole numbers are one type."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()} or []
    if isinstance(value, list):
        return [plain(item) for item in value]
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value

lua, dump = (json.load(open(path, encoding="utf-8")) for path in sys.argv[1:3])
lua, dump = plain(lua), plain(dump["Plugins"][0]["Schema"])
if lua != dump:
    print(json.dumps(lua), json.dumps(dump), sep="\n")
    sys.exit(1)
EOT
    passed=$((passed + 1))
    echo "ok - ${server##*/}: --dump --lua is the schema of --dump"
done
echo "$passed passed, 0 failed"

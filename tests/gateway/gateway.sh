# shellcheck shell=bash disable=SC2034
# What kong-pdk-demo, http_test.sh and others share: starts and ends the plugin server and nginx, which plays Kong's
# part (nginx.conf.in, lua/). To be sourced by bash.
#
#   gw_open                      makes $GW_PREFIX, where everything is; all ends when the script does
#   gw_server_start BINARY ARG…  a plugin server on $GW_SOCKET; its pid is in $GW_SERVER_PID
#   gw_server_end SIGNAL [PID]   ends it and waits
#   gw_config JSON [NAME]        writes the plugin's configuration, as one step; with NAME, that of
#                                requests to /route/NAME
#   gw_start WORKERS BINARY ARG… nginx; reads the dump of BINARY; its address is in $GW_URL, on port
#                                $GW_WANT_PORT if that is set. $GW_PLUGINS names the plugins where the program has several.
#                                and, by HTTP/2 without TLS, in $GW_H2_URL; $GW_HIDE names headers that nginx drops from
#                                the upstream's answer, as Kong's nginx_proxy_proxy_hide_header has it
#   gw_reload                    new workers for nginx; returns when the old ones have ended
#   gw_end                       ends nginx and all servers
#
# ARGs are options of the plugin server: --protocol, --phases … Output of the servers is in
# $GW_PREFIX/server.log, of nginx in $GW_PREFIX/error.log. GW_KEEP=1 keeps $GW_PREFIX.

GW_HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
GW_PREFIX=
GW_NGINX_PID=
GW_SERVER_PID=
GW_SERVERS=()

gw_fail() {
    printf '%s\n' "$*" >&2
    exit 1
}

gw_open() {
    local base=${TMPDIR:-/tmp}
    [ ${#base} -le 60 ] || base=/tmp # a socket's path has 107 bytes at most
    GW_PREFIX=$(mktemp -d "$base/gateway.XXXXXX") || exit 1
    GW_SOCKET=$GW_PREFIX/plugin.socket
    trap gw_close EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP
    trap 'exit 141' PIPE # kong-pdk-demo … | head
    GW_NGINX=${NGINX:-$(command -v nginx || PATH=/usr/sbin:/usr/local/sbin command -v nginx)}
    command -v "${GW_NGINX:-nginx}" >/dev/null ||
        gw_fail "nginx is not installed${NGINX:+ as $NGINX}: on Debian the packages nginx, libnginx-mod-http-lua and lua-cjson (in the source tree: tests/install-deps.sh demo)"
}

gw_close() {
    local status=$?
    trap - EXIT
    trap '' INT TERM HUP
    gw_end
    if [ -n "${GW_KEEP:-}" ]; then
        echo "kept: $GW_PREFIX" >&2
    else
        rm -rf --one-file-system "$GW_PREFIX"
    fi
    exit "$status"
}

# Waits for a command to succeed, up to GW_PATIENCE seconds (60).
gw_wait() {
    local i
    for ((i = 0; i < 50 * ${GW_PATIENCE:-60}; i++)); do
        "$@" && return 0
        sleep 0.02
    done
    echo "gateway: waited in vain for: $*" >&2
    return 1
}

gw_alive() {
    kill -0 "$1" 2>/dev/null
}

gw_gone() {
    ! gw_alive "$1"
}

gw_kong_stop() { # PREFIX: the command comes back while nginx still writes there
    local pid
    pid=$(cat "$1/pids/nginx.pid" 2>/dev/null)
    kong stop -p "$1"
    [ -z "$pid" ] || gw_wait gw_gone "$pid"
}

gw_inode() {
    stat -c %i "$GW_SOCKET" 2>/dev/null
}

gw_served_anew() { # OLD-INODE PID: the socket's file is another, or the server is gone
    { [ -S "$GW_SOCKET" ] && [ "$(gw_inode)" != "$1" ]; } || ! gw_alive "$2"
}

gw_server_start() {
    local binary=$1 old
    shift
    # A socket file that a killed server left must not pass for the new one's: a file system may
    # give the freed inode again, so it is kept in use.
    rm -f "$GW_PREFIX/old.socket"
    ln "$GW_SOCKET" "$GW_PREFIX/old.socket" 2>/dev/null
    old=$(gw_inode)
    "$binary" --socket "$GW_SOCKET" "$@" >>"$GW_PREFIX/server.log" 2>&1 &
    GW_SERVER_PID=$!
    GW_SERVERS+=("$GW_SERVER_PID")
    gw_wait gw_served_anew "$old" "$GW_SERVER_PID"
    if ! gw_alive "$GW_SERVER_PID" || [ "$(gw_inode)" = "$old" ]; then
        gw_fail "$binary did not start: $(tail -n 3 "$GW_PREFIX/server.log")"
    fi
}

gw_server_end() {
    local pid=${2:-$GW_SERVER_PID} other rest=()
    kill "-$1" "$pid" 2>/dev/null
    wait "$pid" 2>/dev/null
    for other in "${GW_SERVERS[@]}"; do
        [ "$other" = "$pid" ] || rest+=("$other")
    done
    GW_SERVERS=("${rest[@]}")
}

gw_config() {
    local file=$GW_PREFIX/config${2:+.$2}.json
    printf '%s\n' "$1" >"$file.new" && mv "$file.new" "$file"
}

gw_listens() {
    (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null
}

# Below the range from which outgoing connections get their ports.
gw_free_port() {
    local port
    for _ in {1..100}; do
        port=$((20000 + RANDOM % 12000))
        gw_listens "$port" || { echo "$port" && return; }
    done
}

gw_modules() {
    local dir module
    dir=$("$GW_NGINX" -V 2>&1 | sed -n 's/.*--modules-path=\([^ ]*\).*/\1/p')
    for module in ndk_http_module ngx_http_lua_module; do
        [ ! -f "$dir/$module.so" ] || printf 'load_module "%s/%s.so";\n' "$dir" "$module"
    done
}

# WORKERS QUERY-COMMAND: nginx.conf out of its template
gw_write_conf() {
    local text user=
    text=$(<"$GW_HERE/nginx.conf.in")
    [ "$(id -u)" != 0 ] || user="user $(id -un) $(id -gn);"
    text=${text//@MODULES@/"$(gw_modules)"}
    text=${text//@USER@/"$user"}
    text=${text//@WORKERS@/"$1"}
    text=${text//@QUERY_CMD@/"$2"}
    text=${text//@PREFIX@/"$GW_PREFIX"}
    text=${text//@LUA@/"$GW_HERE/lua"}
    text=${text//@SOCKET@/"$GW_SOCKET"}
    text=${text//@CONFIG@/"$GW_PREFIX/config.json"}
    text=${text//@UPSTREAM_PORT@/"$GW_UPSTREAM_PORT"}
    text=${text//@PORT@/"$GW_PORT"}
    text=${text//@HTTP2@/"$(gw_http2)"}
    text=${text//@HIDE@/"${GW_HIDE:+proxy_hide_header $GW_HIDE;}"}
    printf '%s\n' "$text" >"$GW_PREFIX/nginx.conf"
}

# Since nginx 1.25.1 HTTP/2 is a directive of its own, and the word behind listen is warned of.
gw_http2() {
    local version
    version=$("$GW_NGINX" -v 2>&1 | sed -n 's|.*nginx/\([0-9]*\)\.\([0-9]*\)\.\([0-9]*\).*|\1 \2 \3|p')
    # shellcheck disable=SC2086 # three words
    if [ "$(printf '%d%03d%03d' $version)" -ge 1025001 ]; then
        echo "listen 127.0.0.1:$GW_H2_PORT; http2 on;"
    else
        echo "listen 127.0.0.1:$GW_H2_PORT http2;"
    fi
}

gw_nginx_up_or_gone() {
    { [ -s "$GW_PREFIX/nginx.pid" ] && gw_listens "$GW_PORT"; } || ! gw_alive "$GW_NGINX_PID"
}

gw_start() {
    local workers=$1 command='' try plugin
    shift
    for plugin in ${GW_PLUGINS:-''}; do
        command+=$(printf '%q ' "$@" --dump ${plugin:+--plugin "$plugin"})$'\n'
    done
    : >"$GW_PREFIX/error.log"
    for try in {1..10}; do
        GW_PORT=${GW_WANT_PORT:-$(gw_free_port)}
        GW_UPSTREAM_PORT=$GW_PORT
        while [ "$GW_UPSTREAM_PORT" = "$GW_PORT" ]; do
            GW_UPSTREAM_PORT=$(gw_free_port)
        done
        GW_H2_PORT=$GW_PORT
        while [ "$GW_H2_PORT" = "$GW_PORT" ] || [ "$GW_H2_PORT" = "$GW_UPSTREAM_PORT" ]; do
            GW_H2_PORT=$(gw_free_port)
        done
        GW_URL=http://127.0.0.1:$GW_PORT
        GW_H2_URL=http://127.0.0.1:$GW_H2_PORT
        gw_write_conf "$workers" "$command"
        "$GW_NGINX" -p "$GW_PREFIX" -c "$GW_PREFIX/nginx.conf" -e "$GW_PREFIX/error.log" \
            >>"$GW_PREFIX/nginx.out" 2>&1 &
        GW_NGINX_PID=$!
        gw_wait gw_nginx_up_or_gone
        gw_alive "$GW_NGINX_PID" && return 0
        wait "$GW_NGINX_PID" 2>/dev/null
        GW_NGINX_PID=
        # somebody else was quicker with a port
        tail -n 5 "$GW_PREFIX/error.log" | grep -q 'Address already in use' || break
    done
    if grep -q 'unknown directive "lua_' "$GW_PREFIX/error.log"; then
        gw_fail "nginx has no Lua module: on Debian the package libnginx-mod-http-lua"
    elif grep -q "module 'cjson' not found" "$GW_PREFIX/error.log"; then
        gw_fail "nginx finds no Lua module cjson: on Debian the package lua-cjson"
    fi
    gw_fail "nginx did not start (try $try): $(tail -n 5 "$GW_PREFIX/error.log" "$GW_PREFIX/nginx.out")"
}

gw_workers() {
    awk -v parent="$GW_NGINX_PID" '$4 == parent { print $1 }' /proc/[0-9]*/stat 2>/dev/null
}

gw_none_alive() {
    local pid
    for pid in "$@"; do
        ! gw_alive "$pid" || return 1
    done
}

gw_reload() {
    local old
    read -r -d '' -a old < <(gw_workers)
    kill -HUP "$GW_NGINX_PID"
    gw_wait gw_none_alive "${old[@]}"
}

gw_nginx_end() {
    [ -n "$GW_NGINX_PID" ] || return 0
    kill -TERM "$GW_NGINX_PID" 2>/dev/null
    wait "$GW_NGINX_PID" 2>/dev/null
    GW_NGINX_PID=
}

gw_end() {
    local pid
    gw_nginx_end
    for pid in "${GW_SERVERS[@]}"; do
        kill -TERM "$pid" 2>/dev/null
    done
    for pid in "${GW_SERVERS[@]}"; do
        GW_PATIENCE=10 gw_wait gw_none_alive "$pid" || kill -KILL "$pid" 2>/dev/null
        wait "$pid" 2>/dev/null
    done
    GW_SERVERS=()
}

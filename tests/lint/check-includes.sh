#!/bin/sh
# The dependency rules, checked on the #include lines: plugins -> kong.h; main -> server -> conn -> rpc -> event ->
# {fiber, registry}; pdk -> event, proto; server/ -> proto/; proto/ -> nothing of ours; <uv.h> only where something waits.
set -eu
cd "$(dirname "$0")/../.."
bad=0
complain() { echo "include rule: $1"; bad=1; }

# includes_of FILE: the names that it includes, one a line
includes_of() { sed -n 's/^[[:space:]]*#[[:space:]]*include[[:space:]]*["<]\([^">]*\)[">].*/\1/p' "$1"; }
is_of() { [ -e "$1/$2" ]; }

count=0
for file in proto/*.[ch] proto/*.def server/*.[ch] plugins/*/*.[ch] tests/plugins/*.c; do
    [ -e "$file" ] || continue
    count=$((count + 1))
    base=$(basename "$file"); base=${base%.*}
    for name in $(includes_of "$file"); do
        case $file in
        proto/*)
            if is_of server "$name"; then complain "$file includes server/$name: proto/ is pure"; fi
            case $name in uv.h | jansson.h | sys/socket.h | unistd.h) complain "$file includes <$name>: proto/ does no I/O" ;; esac ;;
        plugins/*/test_* | tests/plugins/test_*) ;;
        plugins/* | tests/plugins/*)
            if [ "$name" != kong.h ] && { is_of server "$name" || is_of proto "$name"; }; then
                complain "$file includes $name: a plugin sees only <kong.h>"
            fi
            case $name in uv.h | msgpack.h | msgpack/* | protobuf-c/*) complain "$file includes <$name>" ;; esac ;;
        server/*)
            # What a module may not look up to.
            case $base in
            stats | scope | notices | fiber* | registry | log | socket_file | service_manager | schema* | lua_pattern | kong*) above='event.h rpc.h conn.h server.h dump.h options.h' ;;
            event | event_report | status | metrics_text) above='rpc.h conn.h server.h dump.h options.h' ;;
            pdk*) above='rpc.h conn.h server.h dump.h options.h' ;;
            rpc* | relay) above='conn.h server.h options.h' ;;
            conn | worker) above='server.h options.h' ;;
            server | server_*) above='options.h' ;;
            *) above='' ;;
            esac
            for higher in $above; do
                if [ "$name" = "$higher" ] && [ "$base" != "${higher%.h}" ]; then
                    complain "$file includes $name, which stands above it"
                fi
            done
            if [ "$name" = uv.h ]; then
                case $base in acceptor | conn | server | relay | wait | worker | supervisor | metrics) ;; *) complain "$file includes <uv.h>: nothing waits there" ;; esac
            fi
            case $name in msgpack.h | msgpack/* | protobuf-c/*) complain "$file includes <$name>: codecs live in proto/" ;; esac ;;
        esac
    done
done
if [ "$count" -lt 20 ]; then complain "only $count files seen: run in the wrong place?"; fi
[ $bad -eq 0 ] && echo "include rules: $count files, all in order"
exit $bad

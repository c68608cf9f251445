#!/bin/sh
# What the compiler cannot refuse, because it is a system header: <uv.h> only where something waits, codecs' libraries
# only in proto/, no I/O in proto/. A plugin includes <kong.h> and none of our other headers. Which room sees which is
# in the Makefile: see check-rooms.sh.
set -eu
cd "$(dirname "$0")/../.."
bad=0
complain() { echo "include rule: $1"; bad=1; }

# includes_of FILE: the names that it includes, one a line
includes_of() { sed -n 's/^[[:space:]]*#[[:space:]]*include[[:space:]]*["<]\([^">]*\)[">].*/\1/p' "$1"; }
ours=" $(find proto server -name '*.h' | sed 's|.*/||' | tr '\n' ' ')"

count=0
for file in $(find proto server plugins tests/plugins -name '*.[ch]' -o -name '*.def'); do
    count=$((count + 1))
    for name in $(includes_of "$file"); do
        case $file in
        proto/*)
            case $name in uv.h | jansson.h | sys/socket.h | unistd.h) complain "$file includes <$name>: proto/ does no I/O" ;; esac ;;
        plugins/*/test_* | tests/plugins/test_*) ;;
        plugins/* | tests/plugins/*)
            case $ours in
            *" $name "*) [ "$name" = kong.h ] || complain "$file includes $name: a plugin sees only <kong.h>" ;;
            esac
            case $name in uv.h | msgpack.h | msgpack/* | protobuf-c/*) complain "$file includes <$name>" ;; esac ;;
        server/*)
            if [ "$name" = uv.h ]; then
                case $(basename "$file" .c) in
                acceptor* | busy_poll* | conn* | jobs* | server* | process_forward* | wait* | worker* | supervisor* | metrics* | thread_forward*) ;;
                *) complain "$file includes <uv.h>: nothing waits there" ;;
                esac
            fi
            case $name in msgpack.h | msgpack/* | protobuf-c/*) complain "$file includes <$name>: codecs live in proto/" ;; esac ;;
        esac
    done
done
[ "$count" -ge 100 ] || complain "only $count files seen: run in the wrong place?"
for file in server/*.[ch]; do
    [ ! -e "$file" ] || complain "$file lies outside of the rooms"
done
[ $bad -eq 0 ] && echo "include rules: $count files, all in order"
exit $bad

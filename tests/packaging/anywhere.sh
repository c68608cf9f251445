#!/bin/sh
# The static server in whatever image this runs in: it needs a shell there, and nothing else.
#
#   tests/packaging/anywhere.sh SERVER
server=$1
socket=/tmp/anywhere-$$.socket
fail() {
    echo "not ok - $*"
    exit 1
}
"$server" --version || fail '--version'
"$server" --dump | grep -q '"api-version"' || fail '--dump'
"$server" --status --quiet --socket "$socket" && fail '--status --quiet, where nobody serves'
"$server" --socket "$socket" 2>/dev/null &
pid=$!
tries=60
until "$server" --status --quiet --socket "$socket"; do
    tries=$((tries - 1))
    [ $tries -gt 0 ] && kill -0 $pid 2>/dev/null || { kill $pid 2>/dev/null; fail 'it does not serve'; }
    sleep 1
done
"$server" --status --socket "$socket" | grep -q '^api-version ' || { kill $pid; fail '--status'; }
kill -TERM $pid
wait $pid || fail "status $? at its end"
[ ! -e "$socket" ] || fail 'the socket is left'
echo 'ok - it serves here'

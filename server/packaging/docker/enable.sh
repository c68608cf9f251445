#!/bin/sh
# Enables api-version by Kong's Admin API for a service "example" with a route /example. Once more changes nothing.
#
#   KONG_ADMIN_URL, UPSTREAM_URL   Kong's Admin API, and what the service stands for
set -eu
admin=${KONG_ADMIN_URL:-http://localhost:8001}
curl -fsS -o /dev/null -X PUT "$admin/services/example" --data "url=${UPSTREAM_URL:-http://upstream:80}"
curl -fsS -o /dev/null -X PUT "$admin/services/example/routes/example" --data 'paths[]=/example'
answer=$(curl -sS -w '\n%{http_code}' -X POST "$admin/services/example/plugins" --data name=api-version)
case ${answer##*
} in
201) echo 'api-version is enabled: curl -i http://localhost:8000/example' ;;
409) echo 'api-version was enabled already' ;;
*)
    echo "Kong's Admin API answered: $answer" >&2
    exit 1
    ;;
esac

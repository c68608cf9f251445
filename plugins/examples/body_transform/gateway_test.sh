#!/usr/bin/env bash
# body-transform through nginx in Kong's place; the upstream sends back what it got.
#
#   gateway_test.sh SERVER

. "$(dirname "${BASH_SOURCE[0]}")/../gateway.sh"

post() { # BODY [CURL-OPTION…]
    request "$GW_URL/users" -H 'Content-Type: application/json' --data-binary "$@"
}

sent() { # the body as the upstream got it
    tr -d '\r' <"$GW_PREFIX/body" | sed '1,/^$/d'
}

checks() {
    gw_config '{"remove": ["password"], "set": {"source": "gateway"}, "max_bytes": 600000}'
    post '{"name":"Ada","password":"x"}'
    is "members go and come" '{"name":"Ada","source":"gateway"}' "$(sent)"
    is "Content-Length is that of the new body" 33 "$(grep -i '^content-length:' "$GW_PREFIX/body" | tr -dc 0-9)"

    printf '%040d' 0 | sed 's/0/{"a":/g' >"$GW_PREFIX/deep"
    post "@$GW_PREFIX/deep"
    is "deep nesting is refused" "400 application/json; charset=utf-8" "$status $(header content-type)"
    post '{"name":'
    is "so is what is no JSON" 400 "$status"

    # more than nginx keeps in memory
    { printf '{"password":1,"a":"' && head -c 500000 /dev/zero | tr '\0' x && printf '"}'; } >"$GW_PREFIX/large"
    post "@$GW_PREFIX/large"
    is "a body of 500 KB" "200 500027" "$status $(sent | tr -d '\n' | wc -c)"
    head -c 700000 /dev/zero >"$GW_PREFIX/large"
    post "@$GW_PREFIX/large"
    is "one over the limit" 413 "$status"
}

gw_open
on_both checks
summary

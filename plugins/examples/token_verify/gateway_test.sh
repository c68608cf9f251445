#!/usr/bin/env bash
# token-verify through nginx in Kong's place, with keys and tokens made by openssl's command.
#
#   gateway_test.sh SERVER

. "$(dirname "${BASH_SOURCE[0]}")/../gateway.sh"
needs openssl openssl

base64url() {
    openssl base64 -A | tr '+/' '-_' | tr -d =
}

make_key() { # ID
    openssl genrsa -out "$GW_PREFIX/$1.pem" 2048 2>/dev/null
}

publish() { # ID: the only key of the file from here on
    local modulus
    modulus=$(openssl rsa -in "$GW_PREFIX/$1.pem" -noout -modulus | sed 's/^Modulus=//; s/../\\x&/g')
    # shellcheck disable=SC2059 # the bytes
    printf '{"keys":[{"kty":"RSA","kid":"%s","n":"%s","e":"AQAB"}]}\n' "$1" "$(printf "$modulus" | base64url)" \
        >"$GW_PREFIX/jwks.new"
    mv "$GW_PREFIX/jwks.new" "$GW_PREFIX/jwks.json"
}

token() { # ID SECONDS: signed with this key, valid for so long
    local text
    text=$(printf '{"alg":"RS256","kid":"%s"}' "$1" | base64url)
    text+=.$(printf '{"sub":"ada","exp":%d}' $(($(date +%s) + $2)) | base64url)
    printf '%s.%s' "$text" "$(printf %s "$text" | openssl dgst -sha256 -sign "$GW_PREFIX/$1.pem" -binary | base64url)"
}

ask() { # TOKEN
    request "$GW_URL/" -H "Authorization: Bearer $1" -H 'X-User: root'
}

let_in() {
    ask "$1"
    [ "$status" = 200 ]
}

checks() {
    local good
    gw_config '{"jwks": "'"$GW_PREFIX"'/jwks.json", "headers": {"sub": "X-User"}}'
    publish one
    good=$(token one 3600)
    ask "$good"
    is "a good token" "200 ada" "$status $(tr -d '\r' <"$GW_PREFIX/body" | sed -n 's/^X-User: //Ip')"
    request "$GW_URL/"
    is "no token" '401 Bearer realm="api"' "$status $(header www-authenticate)"
    ask "$(token one -3600)"
    is "an old token" '401 {"message":"the token has expired"}' "$status $(<"$GW_PREFIX/body")"
    ask "${good}x"
    is "a changed token" 401 "$status"
    publish two
    is "a new key is found when a token names it" yes "$(gw_wait let_in "$(token two 3600)" && echo yes)"
    ask "$good"
    is "the old one is gone" '401 {"message":"the token'"'"'s key is not known"}' "$status $(<"$GW_PREFIX/body")"
}

gw_open
make_key one
make_key two
on_both checks
summary

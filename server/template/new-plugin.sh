#!/bin/sh
# Makes a plugin of the template: plugins/rate_card/ for the name rate-card. usage: NAME=rate-card new-plugin.sh
# Status 2, with the reason, for a name that Kong or this tree would not take; nothing is written then.
set -eu
cd "$(dirname "$0")/../.."
template=server/template
name=${NAME-}

refuse() {
    echo "new-plugin: $1" >&2
    exit 2
}

# What comes with Kong (kong/constants.lua, 2.8 to 3.9): `plugins = bundled` would load that one.
BUNDLED="acl acme ai-prompt-decorator ai-prompt-guard ai-prompt-template ai-proxy ai-request-transformer
ai-response-transformer aws-lambda azure-functions basic-auth bot-detection correlation-id cors datadog file-log
grpc-gateway grpc-web hmac-auth http-log ip-restriction jwt key-auth ldap-auth loggly oauth2 opentelemetry
post-function pre-function prometheus proxy-cache rate-limiting redirect request-size-limiting
request-termination request-transformer response-ratelimiting response-transformer session standard-webhooks
statsd syslog tcp-log udp-log zipkin"

case $name in
'') refuse 'a name is missing: make new-plugin NAME=rate-card' ;;
*[!a-z0-9-]*) refuse "the name \"$name\" may have lower case letters, digits and hyphens only: Kong reads names in its settings in lower case, and takes - and _ for the same there" ;;
[!a-z]*) refuse "the name \"$name\" must begin with a letter" ;;
*- | *--*) refuse "the name \"$name\" may have single hyphens between letters and digits only" ;;
bundled | off) refuse "\"$name\" has a meaning of its own in Kong's setting \`plugins\`" ;;
apiversion) refuse 'apiversion-server is the server of api-version already' ;;
esac
[ ${#name} -le 40 ] || refuse "the name has ${#name} characters; 40 are allowed, for the path of the socket has its limit"
for bundled in $BUNDLED; do
    [ "$name" != "$bundled" ] || refuse "Kong comes with a plugin $name, and would load that one"
done
id=$(printf %s "$name" | tr - _)
directory=plugins/$id
[ ! -e "$directory" ] || refuse "$directory exists already"

fill() { # TEMPLATE FILE
    sed -e "s/@NAME@/$name/g" -e "s/@ID@/$id/g" "$template/$1" >"$directory/$2"
}
mkdir "$directory"
fill plugin.c.in "$id.c"
fill test_plugin.c.in "test_$id.c"
fill README.md.in README.md

cat <<EOT
$directory/ is there: $id.c, test_$id.c, README.md. Next:

  make                                   builds build/$name-server
  make build/plugins/$id/test_$id && build/plugins/$id/test_$id
                                         runs its test; make unit runs it with all others
$(printf '  %-38s shows it' "make dev PLUGIN=$name") at work, and again after each edit
EOT

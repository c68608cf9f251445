/* kong.client.*, kong.router.*, kong.ip.* */
#include <ctype.h>
#include <strings.h>

#include "sim_pdk_call.h"
#include "value.h"

PDK_FUNCTION(CLIENT_GET_IP) {
    return call_string(call, call->pdk->request.client_ip);
}

PDK_FUNCTION(CLIENT_GET_FORWARDED_IP) {
    return call_string(call, call->pdk->request.forwarded_ip);
}

PDK_FUNCTION(CLIENT_GET_PORT) {
    return call_integer(call, call->pdk->request.client_port);
}

PDK_FUNCTION(CLIENT_GET_FORWARDED_PORT) {
    return call_integer(call, call->pdk->request.forwarded_port);
}

PDK_FUNCTION(CLIENT_GET_CREDENTIAL) {
    return call_value(call, call->pdk->credential);
}

PDK_FUNCTION(CLIENT_GET_CONSUMER) {
    return call_value(call, call->pdk->consumer);
}

static bool is_uuid(struct kong_str text) {
    if (text.len != 36) {
        return false;
    }
    for (size_t i = 0; i < text.len; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        if (dash ? text.data[i] != '-' : !isxdigit((unsigned char)text.data[i])) {
            return false;
        }
    }
    return true;
}

static const struct kong_value *find_consumer(const struct sim_pdk *pdk, const char *field,
                                              struct kong_str text) {
    const struct kong_value *all = &pdk->consumers;
    for (size_t i = 0; all->type == KONG_LIST && i < all->list.count; i++) {
        const struct kong_value *value = value_get(&all->list.items[i], field);
        if (value != NULL && is_string(value) && kong_str_equal(value->string, text)) {
            return &all->list.items[i];
        }
    }
    return NULL;
}

PDK_FUNCTION(CLIENT_LOAD_CONSUMER) {
    const struct kong_value *id = call_arg(call, 0);
    const struct kong_value *by_username = call_arg(call, 1);
    bool search = by_username->type != KONG_NIL &&
                  (by_username->type != KONG_BOOLEAN || by_username->boolean);
    const struct kong_value *found = NULL;
    if (!is_string(id)) {
        return call_raise(call, "consumer_id must be a string");
    }
    if (!is_uuid(id->string) && !search) {
        return call_raise(call, "cannot load a consumer with an id that is not a uuid");
    }
    if (is_uuid(id->string)) {
        found = find_consumer(call->pdk, "id", id->string);
    }
    if (found == NULL && search) {
        found = find_consumer(call->pdk, "username", id->string);
    }
    return found == NULL ? call_nil(call) : call_value(call, *found);
}

PDK_FUNCTION(CLIENT_AUTHENTICATE) {
    struct sim_pdk *pdk = call->pdk;
    const struct kong_value *consumer = call_arg(call, 0);
    const struct kong_value *credential = call_arg(call, 1);
    if (consumer->type != KONG_NIL && !is_table(consumer)) {
        return call_raise(call, "consumer must be a table or nil");
    }
    if (credential->type != KONG_NIL && !is_table(credential)) {
        return call_raise(call, "credential must be a table or nil");
    }
    if (consumer->type == KONG_NIL && credential->type == KONG_NIL) {
        return call_raise(call, "either credential or consumer must be provided");
    }
    return value_copy(&pdk->memory, consumer, &pdk->consumer) &&
                   value_copy(&pdk->memory, credential, &pdk->credential)
               ? call_nil(call)
               : call_nomem(call);
}

PDK_FUNCTION(CLIENT_GET_PROTOCOL) {
    struct sim_pdk *pdk = call->pdk;
    const struct kong_value *allow = call_arg(call, 0);
    const struct kong_value *protocols = value_get(&pdk->route, "protocols");
    if (pdk->route.type != KONG_MAP) {
        return call_fail(call, "No active route found");
    }
    if (protocols != NULL && protocols->type == KONG_LIST && protocols->list.count == 1) {
        return call_value(call, protocols->list.items[0]);
    }
    bool https = kong_str_equal(pdk->request.scheme, kong_str("https"));
    const struct field *proto = headers_find(&pdk->request.headers, kong_str("X-Forwarded-Proto"));
    if (!https && allow->type == KONG_BOOLEAN && allow->boolean && proto != NULL &&
        ip_trusted(pdk, pdk->request.client_ip)) {
        if (memchr(proto->value.data, ',', proto->value.len) != NULL) {
            return call_fail(call, "Only one X-Forwarded-Proto header allowed");
        }
        https = strcasecmp(proto->value.data, "https") == 0;
    }
    return call_string(call, kong_str(https ? "https" : "http"));
}

PDK_FUNCTION(CLIENT_TLS_REQUEST_CLIENT_CERTIFICATE) {
    struct kong_value yes = kong_boolean(true);
    return sim_map_set(&call->pdk->memory, &call->pdk->client_tls,
                       kong_str("request_client_certificate"), &yes)
               ? call_value(call, yes)
               : call_nomem(call);
}

PDK_FUNCTION(CLIENT_TLS_DISABLE_SESSION_REUSE) {
    struct kong_value yes = kong_boolean(true);
    return sim_map_set(&call->pdk->memory, &call->pdk->client_tls,
                       kong_str("disable_session_reuse"), &yes)
               ? call_value(call, yes)
               : call_nomem(call);
}

/* client_hello only: the phase check refuses it first. */
PDK_FUNCTION(CLIENT_TLS_DISABLE_HTTP2_ALPN) {
    return call_value(call, kong_boolean(true));
}

PDK_FUNCTION(CLIENT_TLS_GET_FULL_CLIENT_CERTIFICATE_CHAIN) {
    const struct kong_value *chain = value_get(&call->pdk->client_tls, "full_chain");
    return chain == NULL ? call_nil(call) : call_value(call, *chain);
}

PDK_FUNCTION(CLIENT_TLS_SET_CLIENT_VERIFY) {
    const struct kong_value *verify = call_arg(call, 0);
    if (!is_string(verify)) {
        return call_raise(call, "assertion failed!");
    }
    if (!kong_str_equal(verify->string, kong_str("SUCCESS")) &&
        !kong_str_equal(verify->string, kong_str("NONE")) &&
        strncmp(verify->string.data, "FAILED:", 7) != 0) {
        return call_raise(call,
                          "unknown client verify value: %s accepted values are: \"SUCCESS\", "
                          "\"NONE\" or \"FAILED:<reason>\"",
                          verify->string.data);
    }
    return sim_map_set(&call->pdk->memory, &call->pdk->client_tls, kong_str("client_verify"),
                       verify)
               ? call_nil(call)
               : call_nomem(call);
}

PDK_FUNCTION(ROUTER_GET_ROUTE) {
    return call_value(call, call->pdk->route);
}

PDK_FUNCTION(ROUTER_GET_SERVICE) {
    return call_value(call, call->pdk->service_entity);
}

PDK_FUNCTION(IP_IS_TRUSTED) {
    const struct kong_value *ip = call_arg(call, 0);
    return call_value(call, kong_boolean(is_string(ip) && ip_trusted(call->pdk, ip->string)));
}

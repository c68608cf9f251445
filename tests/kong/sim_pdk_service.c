/* kong.service.* and kong.service.request.* (set_body is in sim_pdk_body.c) */
#include <math.h>
#include <stdlib.h>

#include "sim_pdk_call.h"
#include "value.h"

/* Copies into the state; call_nil, or call_nomem. */
static int keep(struct call *call, struct kong_str *field, struct kong_str text) {
    struct kong_str own = state_copy(call->pdk, text);
    if (own.data == NULL) {
        return call_nomem(call);
    }
    *field = own;
    return call_nil(call);
}

PDK_FUNCTION(SERVICE_REQUEST_ENABLE_BUFFERING) {
    call->pdk->upstream.buffered = true;
    return call_nil(call);
}

PDK_FUNCTION(SERVICE_REQUEST_DISABLE_TLS) {
    call->pdk->upstream.tls_disabled = true;
    return call_value(call, kong_boolean(true));
}

PDK_FUNCTION(SERVICE_REQUEST_SET_SCHEME) {
    const struct kong_value *scheme = call_arg(call, 0);
    if (!is_string(scheme)) {
        return call_raise(call, "scheme must be a string");
    }
    if (!kong_str_equal(scheme->string, kong_str("http")) &&
        !kong_str_equal(scheme->string, kong_str("https"))) {
        return call_raise(call, "invalid scheme: %s", scheme->string.data);
    }
    return keep(call, &call->pdk->upstream.scheme, scheme->string);
}

PDK_FUNCTION(SERVICE_REQUEST_SET_PATH) {
    const struct kong_value *path = call_arg(call, 0);
    if (!is_string(path)) {
        return call_raise(call, "path must be a string");
    }
    if (path->string.len == 0 || path->string.data[0] != '/') {
        return call_raise(call, "path must start with /");
    }
    struct kong_str escaped = path_escape(call->arena, path->string);
    return escaped.data == NULL ? call_nomem(call) : keep(call, &call->pdk->upstream.path, escaped);
}

PDK_FUNCTION(SERVICE_REQUEST_SET_RAW_QUERY) {
    const struct kong_value *query = call_arg(call, 0);
    if (!is_string(query)) {
        return call_raise(call, "query must be a string");
    }
    struct kong_str safe = query_escape(call->arena, query->string);
    return safe.data == NULL ? call_nomem(call) : keep(call, &call->pdk->request.args, safe);
}

PDK_FUNCTION(SERVICE_REQUEST_SET_QUERY) {
    const struct kong_value *args = call_arg(call, 0);
    struct kong_str text = {NULL, 0};
    struct kong_str key = {NULL, 0};
    const char *bad = "";
    if (!is_table(args)) {
        return call_raise(call, "args must be a table");
    }
    if (args->type == KONG_LIST && args->list.count > 0) {
        return call_raise(call, "arg keys must be strings");
    }
    int result = query_encode(args, call->arena, &text, &key, &bad);
    if (result != 0) {
        return result < 0 ? call_nomem(call)
                          : call_raise(call, "attempt to use %s as query arg value", bad);
    }
    return keep(call, &call->pdk->request.args, text);
}

/* Kong takes the whole query apart and writes it anew: "flag" becomes "flag=". */
PDK_FUNCTION(SERVICE_REQUEST_CLEAR_QUERY_ARG) {
    const struct kong_value *name = call_arg(call, 0);
    struct kong_str args = call->pdk->request.args;
    struct fields all;
    struct fields kept;
    struct kong_str text;
    if (!is_string(name)) {
        return call_raise(call, "query argument name must be a string");
    }
    if (args.len == 0) {
        return call_nil(call);
    }
    fields_init(&all, call->arena);
    fields_init(&kept, call->arena);
    bool ok = query_parse_all(&all, args);
    for (size_t i = 0; ok && i < all.count; i++) {
        ok = kong_str_equal(all.items[i].name, name->string) ||
             fields_add(&kept, all.items[i].name, all.items[i].value, false);
    }
    text = ok ? query_write(&kept, call->arena) : (struct kong_str){NULL, 0};
    return text.data == NULL ? call_nomem(call) : keep(call, &call->pdk->request.args, text);
}

/* The methods that nginx' Lua has numbers for. */
static bool is_known_method(struct kong_str method) {
    static const char *const methods[] = {"GET",       "HEAD",  "PUT",    "POST",  "DELETE",
                                          "OPTIONS",   "MKCOL", "COPY",   "MOVE",  "PROPFIND",
                                          "PROPPATCH", "LOCK",  "UNLOCK", "PATCH", "TRACE"};
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
        if (kong_str_equal(method, kong_str(methods[i]))) {
            return true;
        }
    }
    return false;
}

struct kong_str sim_pdk_sent_method(const struct sim_pdk *pdk) {
    return pdk->upstream.buffered && !is_known_method(pdk->request.method) ? kong_str("GET")
                                                                           : pdk->request.method;
}

PDK_FUNCTION(SERVICE_REQUEST_SET_METHOD) {
    const struct kong_value *method = call_arg(call, 0);
    if (!is_string(method)) {
        return call_raise(call, "method must be a string");
    }
    return is_known_method(method->string)
               ? keep(call, &call->pdk->request.method, method->string)
               : call_raise(call, "invalid method: %s", method->string.data);
}

/* Host: $host becomes it, and Kong takes the value for $upstream_host: a list as Lua writes it.
 * nginx has one Host only: the last of a list. */
static int write_host(struct call *call, struct kong_str name, const struct kong_value *value) {
    struct sim_pdk *pdk = call->pdk;
    struct kong_value last = *value;
    if (value->type == KONG_LIST && value->list.count > 0) {
        last = value->list.items[value->list.count - 1];
    }
    struct kong_str sent =
        is_table(value) ? kong_str(SIM_TABLE_TEXT) : lua_tostring(call->arena, value);
    struct kong_str host = is_table(&last) ? sent : lua_tostring(call->arena, &last);
    if (sent.data == NULL || host.data == NULL || !sim_pdk_set_host(pdk, host.data) ||
        !header_write(&pdk->request.headers, call->arena, name, &last, true)) {
        return call_nomem(call);
    }
    return keep(call, &pdk->upstream.host_header, sent);
}

/* nginx reads no more of a body than Content-Length says when it reads it. */
static void cut_body(struct sim_pdk *pdk) {
    const struct field *length = headers_find(&pdk->request.headers, kong_str("Content-Length"));
    size_t most = length == NULL ? 0 : strtoul(length->value.data, NULL, 10);
    if (!pdk->request.body_read && most < pdk->request.body.len) {
        pdk->request.body.len = most;
        ((char *)(uintptr_t)pdk->request.body.data)[most] = '\0';
    }
}

static int write_header(struct call *call, struct kong_str name, const struct kong_value *value) {
    struct sim_pdk *pdk = call->pdk;
    if (kong_str_equal(name, kong_str(":authority"))) {
        return call_fail(call, "cannot set :authority pseudo-header on non-grpc requests");
    }
    if (header_name_equal(name, kong_str("host"))) {
        return write_host(call, name, value);
    }
    if (!header_write(&pdk->request.headers, call->arena, name, value, true)) {
        return call_nomem(call);
    }
    if (header_name_equal(name, kong_str("content-length"))) {
        cut_body(pdk);
    }
    return call_nil(call);
}

/* What is there and the new value; a list becomes one value, as Lua writes a table. */
static int append_header(struct call *call, struct kong_str name, const struct kong_value *value) {
    struct fields *headers = &call->pdk->request.headers;
    struct kong_value text = is_table(value) ? kong_string(SIM_TABLE_TEXT) : *value;
    if (header_name_equal(name, kong_str("host"))) {
        return write_host(call, name, &text);
    }
    return header_write(headers, call->arena, name, &text, false) ? call_nil(call)
                                                                  : call_nomem(call);
}

PDK_FUNCTION(SERVICE_REQUEST_SET_HEADER) {
    int outcome = check_header(call, call_arg(call, 0), call_arg(call, 1));
    return outcome == SIM_RESULT ? write_header(call, call_arg(call, 0)->string, call_arg(call, 1))
                                 : outcome;
}

PDK_FUNCTION(SERVICE_REQUEST_ADD_HEADER) {
    int outcome = check_header(call, call_arg(call, 0), call_arg(call, 1));
    return outcome == SIM_RESULT ? append_header(call, call_arg(call, 0)->string, call_arg(call, 1))
                                 : outcome;
}

PDK_FUNCTION(SERVICE_REQUEST_CLEAR_HEADER) {
    const struct kong_value *name = call_arg(call, 0);
    if (!is_string(name)) {
        return call_raise(call, "header must be a string");
    }
    headers_clear(&call->pdk->request.headers, name->string);
    if (header_name_equal(name->string, kong_str("content-length"))) {
        cut_body(call->pdk);
    }
    return call_nil(call);
}

PDK_FUNCTION(SERVICE_REQUEST_SET_HEADERS) {
    const struct kong_value *map = call_arg(call, 0);
    int outcome = check_headers(call, map);
    for (size_t i = 0; outcome == SIM_RESULT && map->type == KONG_MAP && i < map->map.count; i++) {
        const struct kong_pair *pair = &map->map.pairs[i];
        if (pair->value.type != KONG_NIL) {
            outcome = write_header(call, pair->key, &pair->value);
        }
    }
    return outcome == SIM_RESULT ? call_nil(call) : outcome;
}

PDK_FUNCTION(SERVICE_REQUEST_SET_RAW_BODY) {
    const struct kong_value *body = call_arg(call, 0);
    if (!is_string(body)) {
        return call_raise(call, "body must be a string");
    }
    return replace_body(call->pdk, call->arena, body->string) ? call_nil(call) : call_nomem(call);
}

PDK_FUNCTION(SERVICE_SET_UPSTREAM) {
    const struct kong_value *host = call_arg(call, 0);
    const struct kong_value *known = &call->pdk->upstreams;
    if (!is_string(host)) {
        return call_raise(call, "host must be a string");
    }
    for (size_t i = 0; known->type == KONG_LIST && i < known->list.count; i++) {
        if (is_string(&known->list.items[i]) &&
            kong_str_equal(known->list.items[i].string, host->string)) {
            int outcome = keep(call, &call->pdk->upstream.host, host->string);
            call->pdk->upstream.target_set = true;
            return outcome == SIM_RESULT ? call_value(call, kong_boolean(true)) : outcome;
        }
    }
    return call_fail(call, "could not find an Upstream named '%s'", host->string.data);
}

/* A whole number between low and high. SIM_RESULT, or SIM_RAISED with Kong's text. */
static int check_integer(struct call *call, const char *what, const struct kong_value *value,
                         int64_t low, int64_t high) {
    if (!is_number(value) || floor(to_number(value)) != to_number(value)) {
        return call_raise(call, "%s must be an integer", what);
    }
    if (to_number(value) < (double)low || to_number(value) > (double)high) {
        return call_raise(call, "%s must be an integer between %lld and %lld: given %.14g", what,
                          (long long)low, (long long)high, to_number(value));
    }
    return SIM_RESULT;
}

PDK_FUNCTION(SERVICE_SET_TARGET) {
    struct sim_upstream *upstream = &call->pdk->upstream;
    const struct kong_value *host = call_arg(call, 0);
    if (!is_string(host)) {
        return call_raise(call, "host must be a string");
    }
    int outcome = check_integer(call, "port", call_arg(call, 1), 0, 65535);
    if (outcome != SIM_RESULT) {
        return outcome;
    }
    upstream->port = (int)to_number(call_arg(call, 1));
    upstream->target_set = true;
    outcome = keep(call, &upstream->host_header, host->string);
    return outcome == SIM_RESULT ? keep(call, &upstream->host, host->string) : outcome;
}

PDK_FUNCTION(SERVICE_SET_RETRIES) {
    int outcome = check_integer(call, "retries", call_arg(call, 0), 0, 32767);
    if (outcome == SIM_RESULT) {
        call->pdk->upstream.retries = (int64_t)to_number(call_arg(call, 0));
        call_nil(call);
    }
    return outcome;
}

PDK_FUNCTION(SERVICE_SET_TIMEOUTS) {
    static const char *const names[] = {"connect_timeout", "write_timeout", "read_timeout"};
    for (size_t i = 0; i < 3; i++) {
        int outcome = check_integer(call, names[i], call_arg(call, i), 1, 2147483646);
        if (outcome != SIM_RESULT) {
            return outcome;
        }
    }
    call->pdk->upstream.connect_timeout = (int64_t)to_number(call_arg(call, 0));
    call->pdk->upstream.write_timeout = (int64_t)to_number(call_arg(call, 1));
    call->pdk->upstream.read_timeout = (int64_t)to_number(call_arg(call, 2));
    return call_nil(call);
}

PDK_FUNCTION(SERVICE_SET_TLS_VERIFY) {
    const struct kong_value *on = call_arg(call, 0);
    if (on->type != KONG_BOOLEAN) {
        return call_raise(call, "argument must be a boolean");
    }
    call->pdk->upstream.tls_verify = on->boolean;
    return call_value(call, kong_boolean(true));
}

PDK_FUNCTION(SERVICE_SET_TLS_VERIFY_DEPTH) {
    const struct kong_value *depth = call_arg(call, 0);
    if (!is_number(depth)) {
        return call_raise(call, "argument must be a number");
    }
    if (to_number(depth) < 0) {
        return call_raise(call, "error while calling ffi: depth must not be negative");
    }
    call->pdk->upstream.tls_verify_depth = (int64_t)to_number(depth);
    return call_value(call, kong_boolean(true));
}

/* kong.service.* and kong.service.request.* (set_body is in sim_pdk_body.c) */
#include <math.h>

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
    return keep(call, &call->pdk->request.args, query->string);
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

/* Leaves the other arguments as they are written, but for '+', which becomes "%20". */
PDK_FUNCTION(SERVICE_REQUEST_CLEAR_QUERY_ARG) {
    const struct kong_value *name = call_arg(call, 0);
    struct kong_str args = call->pdk->request.args;
    if (!is_string(name)) {
        return call_raise(call, "query argument name must be a string");
    }
    char *out = arena_array(call->arena, args.len + 1, 3);
    size_t n = 0;
    if (out == NULL) {
        return call_nomem(call);
    }
    for (size_t start = 0; start < args.len;) {
        const char *from = args.data + start;
        const char *amp = memchr(from, '&', args.len - start);
        size_t len = amp == NULL ? args.len - start : (size_t)(amp - from);
        struct fields one;
        fields_init(&one, call->arena);
        if (!query_parse(&one, (struct kong_str){from, len})) {
            return call_nomem(call);
        }
        start += len + 1;
        if (one.count > 0 && kong_str_equal(one.items[0].name, name->string)) {
            continue;
        }
        if (n > 0) {
            out[n++] = '&';
        }
        for (size_t i = 0; i < len; i++) {
            if (from[i] == '+') {
                memcpy(out + n, "%20", 3);
                n += 3;
            } else {
                out[n++] = from[i];
            }
        }
    }
    return keep(call, &call->pdk->request.args, (struct kong_str){out, n});
}

PDK_FUNCTION(SERVICE_REQUEST_SET_METHOD) {
    static const char *const methods[] = {
        "GET",  "HEAD",     "PUT",       "POST", "DELETE", "OPTIONS", "MKCOL", "COPY",
        "MOVE", "PROPFIND", "PROPPATCH", "LOCK", "UNLOCK", "PATCH",   "TRACE", NULL};
    const struct kong_value *method = call_arg(call, 0);
    if (!is_string(method)) {
        return call_raise(call, "method must be a string");
    }
    for (size_t i = 0; methods[i] != NULL; i++) {
        if (kong_str_equal(method->string, kong_str(methods[i]))) {
            return keep(call, &call->pdk->request.method, method->string);
        }
    }
    return call_raise(call, "invalid method: %s", method->string.data);
}

/* The first value of a string or a list. */
static struct kong_str first_text(struct arena *arena, const struct kong_value *value) {
    if (value->type == KONG_LIST) {
        return value->list.count == 0 ? kong_str("") : lua_tostring(arena, &value->list.items[0]);
    }
    return lua_tostring(arena, value);
}

static int write_header(struct call *call, struct kong_str name, const struct kong_value *value,
                        bool replace) {
    struct sim_pdk *pdk = call->pdk;
    if (header_name_equal(name, kong_str("host"))) {
        struct kong_str host = first_text(call->arena, value);
        if (host.data == NULL || keep(call, &pdk->upstream.host_header, host) != SIM_RESULT) {
            return call_nomem(call);
        }
    }
    if (header_name_equal(name, kong_str(":authority"))) {
        return call_fail(call, "cannot set :authority pseudo-header on non-grpc requests");
    }
    return header_write(&pdk->request.headers, call->arena, name, value, replace)
               ? call_nil(call)
               : call_nomem(call);
}

PDK_FUNCTION(SERVICE_REQUEST_SET_HEADER) {
    int outcome = check_header(call, call_arg(call, 0), call_arg(call, 1));
    return outcome == SIM_RESULT
               ? write_header(call, call_arg(call, 0)->string, call_arg(call, 1), true)
               : outcome;
}

PDK_FUNCTION(SERVICE_REQUEST_ADD_HEADER) {
    int outcome = check_header(call, call_arg(call, 0), call_arg(call, 1));
    return outcome == SIM_RESULT
               ? write_header(call, call_arg(call, 0)->string, call_arg(call, 1), false)
               : outcome;
}

PDK_FUNCTION(SERVICE_REQUEST_CLEAR_HEADER) {
    const struct kong_value *name = call_arg(call, 0);
    if (!is_string(name)) {
        return call_raise(call, "header must be a string");
    }
    headers_clear(&call->pdk->request.headers, name->string);
    return call_nil(call);
}

PDK_FUNCTION(SERVICE_REQUEST_SET_HEADERS) {
    const struct kong_value *map = call_arg(call, 0);
    int outcome = check_headers(call, map);
    for (size_t i = 0; outcome == SIM_RESULT && map->type == KONG_MAP && i < map->map.count; i++) {
        const struct kong_pair *pair = &map->map.pairs[i];
        if (pair->value.type != KONG_NIL) {
            outcome = write_header(call, pair->key, &pair->value, true);
        }
    }
    return outcome == SIM_RESULT ? call_nil(call) : outcome;
}

PDK_FUNCTION(SERVICE_REQUEST_SET_RAW_BODY) {
    const struct kong_value *body = call_arg(call, 0);
    if (!is_string(body)) {
        return call_raise(call, "body must be a string");
    }
    return sim_pdk_set_request_body(call->pdk, body->string.data, body->string.len)
               ? call_nil(call)
               : call_nomem(call);
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
    call->pdk->upstream.tls_verify_depth = (int64_t)to_number(depth);
    return call_value(call, kong_boolean(true));
}

/* kong.request.* */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "sim_pdk_call.h"

static const struct field *header(struct call *call, const char *name) {
    return headers_find(&call->pdk->request.headers, kong_str(name));
}

/* A header that a trusted proxy has set; NULL otherwise. */
static const struct field *forwarded(struct call *call, const char *name) {
    return ip_trusted(call->pdk, call->pdk->request.client_ip) ? header(call, name) : NULL;
}

static struct kong_str lower(struct arena *arena, struct kong_str text) {
    char *out = arena_alloc(arena, text.len + 1);
    if (out == NULL) {
        return (struct kong_str){NULL, 0};
    }
    for (size_t i = 0; i < text.len; i++) {
        char c = text.data[i];
        out[i] = c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
    }
    out[text.len] = '\0';
    return (struct kong_str){out, text.len};
}

/* Behind the "user@" that a forwarded host may carry. */
static struct kong_str without_user(struct kong_str host) {
    const char *at = memchr(host.data, '@', host.len);
    if (at == NULL) {
        return host;
    }
    size_t skip = (size_t)(at - host.data) + 1;
    return (struct kong_str){host.data + skip, host.len - skip};
}

static int64_t parse_port(const char *text) {
    char *end = NULL;
    long port = strtol(text, &end, 10);
    return end == text || *end != '\0' || port < 1 || port > 65535 ? 0 : port;
}

PDK_FUNCTION(REQUEST_GET_SCHEME) {
    return call_string(call, call->pdk->request.scheme);
}

PDK_FUNCTION(REQUEST_GET_HOST) {
    return call_string(call, call->pdk->request.host);
}

PDK_FUNCTION(REQUEST_GET_PORT) {
    return call_integer(call, sim_server_port(call->pdk));
}

PDK_FUNCTION(REQUEST_GET_FORWARDED_SCHEME) {
    const struct field *proto = forwarded(call, "X-Forwarded-Proto");
    if (proto != NULL) {
        struct kong_str scheme = lower(call->arena, proto->value);
        return scheme.data == NULL ? call_nomem(call) : call_string(call, scheme);
    }
    return call_string(call, call->pdk->request.scheme);
}

PDK_FUNCTION(REQUEST_GET_FORWARDED_HOST) {
    const struct field *field = forwarded(call, "X-Forwarded-Host");
    if (field == NULL) {
        return call_string(call, call->pdk->request.host);
    }
    struct kong_str host = without_user(field->value);
    const char *colon = memchr(host.data, ':', host.len);
    if (colon != NULL) {
        host.len = (size_t)(colon - host.data);
    }
    host = lower(call->arena, host);
    return host.data == NULL ? call_nomem(call) : call_string(call, host);
}

PDK_FUNCTION(REQUEST_GET_FORWARDED_PORT) {
    const struct field *field = forwarded(call, "X-Forwarded-Port");
    int64_t port = field == NULL ? 0 : parse_port(field->value.data);
    if (port == 0 && (field = forwarded(call, "X-Forwarded-Host")) != NULL) {
        const char *colon = strchr(without_user(field->value).data, ':');
        port = colon == NULL ? 0 : parse_port(colon + 1);
    }
    return call_integer(call, port == 0 ? call->pdk->request.port : port);
}

PDK_FUNCTION(REQUEST_GET_FORWARDED_PATH) {
    const struct field *field = forwarded(call, "X-Forwarded-Path");
    return field == NULL ? sim_pdk_REQUEST_GET_PATH(call) : call_string(call, field->value);
}

/* The start of the path that strip_path takes away: "" before the router has run, nil when nothing
 * was. */
PDK_FUNCTION(REQUEST_GET_FORWARDED_PREFIX) {
    const struct sim_pdk *pdk = call->pdk;
    const struct field *field = forwarded(call, "X-Forwarded-Prefix");
    if (field != NULL) {
        return call_string(call, field->value);
    }
    return call_string(call, pdk->upstream.routed ? pdk->upstream.forwarded[SIM_FORWARDED_PREFIX]
                                                  : kong_str(""));
}

PDK_FUNCTION(REQUEST_GET_HTTP_VERSION) {
    return call_value(call, kong_number(call->pdk->request.http_version));
}

PDK_FUNCTION(REQUEST_GET_METHOD) {
    return call_string(call, call->pdk->request.method);
}

PDK_FUNCTION(REQUEST_GET_PATH) {
    struct kong_str path = path_normalize(call->arena, raw_path(call->pdk->request.request_uri));
    return path.data == NULL ? call_nomem(call) : call_string(call, path);
}

PDK_FUNCTION(REQUEST_GET_RAW_PATH) {
    return call_string(call, raw_path(call->pdk->request.request_uri));
}

PDK_FUNCTION(REQUEST_GET_PATH_WITH_QUERY) {
    return call_string(call, call->pdk->request.request_uri);
}

PDK_FUNCTION(REQUEST_GET_RAW_QUERY) {
    return call_string(call, call->pdk->request.args);
}

PDK_FUNCTION(REQUEST_GET_START_TIME) {
    return call_value(call, kong_number(call->pdk->start_time * 1000));
}

/* The query's arguments, at most max of them. */
static int query(struct call *call, size_t max, struct kong_value *map) {
    struct fields args;
    fields_init(&args, call->arena);
    if (!query_parse(&args, call->pdk->request.args) ||
        !query_to_map(&args, max, call->arena, map)) {
        return call_nomem(call);
    }
    return SIM_RESULT;
}

PDK_FUNCTION(REQUEST_GET_QUERY) {
    size_t max = 0;
    int outcome = call_max(call, "max_args", &max);
    return outcome == SIM_RESULT ? query(call, max, call->result) : outcome;
}

PDK_FUNCTION(REQUEST_GET_QUERY_ARG) {
    const struct kong_value *name = call_arg(call, 0);
    struct kong_value map;
    if (!is_string(name)) {
        return call_raise(call, "query argument name must be a string");
    }
    int outcome = query(call, 100, &map);
    if (outcome != SIM_RESULT) {
        return outcome;
    }
    const struct kong_value *value = sim_map_get(&map, name->string);
    if (value != NULL && value->type == KONG_LIST) {
        value = &value->list.items[0];
    }
    return value == NULL ? call_nil(call) : call_value(call, *value);
}

/* The variable $http_NAME; where it may be several values joined, the first of the table. */
PDK_FUNCTION(REQUEST_GET_HEADER) {
    struct sim_pdk *pdk = call->pdk;
    const struct kong_value *name = call_arg(call, 0);
    struct kong_value map = pdk->saved.request_headers;
    struct kong_str value;
    if (!is_string(name)) {
        return call_raise(call, "header name must be a string");
    }
    if (pdk->phase != KONG_PHASE_LOG) {
        if (!header_variable(&pdk->request.headers, name->string, call->arena, &value)) {
            return call_nomem(call);
        }
        if (value.data == NULL || strstr(value.data, ", ") == NULL) {
            return call_string(call, value);
        }
        if (!headers_to_map(&pdk->request.headers, 100, NULL, call->arena, &map)) {
            return call_nomem(call);
        }
    }
    return call_string(call, table_header(&map, name->string, call->arena));
}

PDK_FUNCTION(REQUEST_GET_HEADERS) {
    size_t max = 0;
    if (call->pdk->phase == KONG_PHASE_LOG) {
        return call_value(call, call->pdk->saved.request_headers);
    }
    int outcome = call_max(call, "max_headers", &max);
    if (outcome != SIM_RESULT) {
        return outcome;
    }
    bool ok = headers_to_map(&call->pdk->request.headers, max, NULL, call->arena, call->result);
    return ok ? SIM_RESULT : call_nomem(call);
}

/* Writes the body to the file where nginx would have put it. */
static bool spool(struct sim_pdk *pdk) {
    size_t done = 0;
    if (pdk->body_directory[0] != '\0') {
        return true;
    }
    if (!scratch_make(pdk->body_directory)) {
        return false;
    }
    snprintf(pdk->body_file, sizeof pdk->body_file, "%s/" SCRATCH_BODY, pdk->body_directory);
    int fd = open(pdk->body_file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    while (fd >= 0 && done < pdk->request.body.len) {
        ssize_t n = write(fd, pdk->request.body.data + done, pdk->request.body.len - done);
        if (n <= 0) {
            break;
        }
        done += (size_t)n;
    }
    if (fd >= 0) {
        close(fd);
    }
    if (done < pdk->request.body.len) {
        scratch_remove(pdk->body_directory);
        pdk->body_directory[0] = '\0';
    }
    return done == pdk->request.body.len;
}

static int no_buffer(struct call *call) {
    return call_fail(call, "request body did not fit into client body buffer, consider raising "
                           "'client_body_buffer_size'");
}

/* A body larger than nginx's buffer is in a file: {body_filepath = ...}, which ProtoBuf:1 hands on
 * and MsgPack:1 cannot; with max_allowed_file_size, which Kong 2.8 does not have, it is read from
 * there. */
PDK_FUNCTION(REQUEST_GET_RAW_BODY) {
    struct sim_pdk *pdk = call->pdk;
    const struct kong_value *max = call_arg(call, 0);
    pdk->request.body_read = true;
    if (pdk->request.body.len <= pdk->body_buffer_size) {
        return call_string(call, pdk->request.body.data == NULL ? kong_str("") : pdk->request.body);
    }
    if (pdk->kong_2_8 && !pdk->protobuf) {
        return no_buffer(call);
    }
    if (is_number(max) && to_number(max) >= 0) {
        if (to_number(max) > 0 && (double)pdk->request.body.len > to_number(max)) {
            return call_fail(call, "request body file too big: %zu > %.0f", pdk->request.body.len,
                             to_number(max));
        }
        return call_string(call, pdk->request.body);
    }
    struct kong_pair *pair = arena_alloc(call->arena, sizeof *pair);
    if (pair == NULL || !spool(pdk)) {
        return call_nomem(call);
    }
    *pair = kong_pair("body_filepath", kong_string(pdk->body_file));
    return call_value(call, kong_map(pair, 1));
}

PDK_FUNCTION(REQUEST_GET_BODY) {
    const struct kong_value *type = call_arg(call, 0);
    const struct field *field = header(call, "Content-Type");
    struct kong_str content_type = field == NULL ? (struct kong_str){NULL, 0} : field->value;
    if (is_string(type)) {
        content_type = type->string;
    }
    if (content_type.data == NULL) {
        return call_fail(call, "missing content type");
    }
    call->pdk->request.body_read = true;
    if (call->pdk->request.body.len > call->pdk->body_buffer_size &&
        !is_number(call_arg(call, 2))) {
        return no_buffer(call);
    }
    return body_decode(call, call->pdk->request.body, content_type, call_arg(call, 1));
}

PDK_FUNCTION(REQUEST_GET_URI_CAPTURES) {
    const struct kong_value *captures = &call->pdk->uri_captures;
    /* the router has not matched before access */
    if (captures->type == KONG_MAP && call->pdk->phase != KONG_PHASE_REWRITE) {
        return call_value(call, *captures);
    }
    struct kong_pair *pairs = arena_array(call->arena, 2, sizeof *pairs);
    if (pairs == NULL) {
        return call_nomem(call);
    }
    pairs[0] = kong_pair("unnamed", kong_list(NULL, 0));
    pairs[1] = kong_pair("named", kong_map(NULL, 0));
    return call_value(call, kong_map(pairs, 2));
}

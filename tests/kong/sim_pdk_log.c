/* kong.log.* */
#include <stdlib.h>

#include "sim_json.h"
#include "sim_pdk_call.h"
#include "value.h"

PDK_FUNCTION(LOG) {
    return log_append(call, "notice");
}

PDK_FUNCTION(LOG_ALERT) {
    return log_append(call, "alert");
}

PDK_FUNCTION(LOG_CRIT) {
    return log_append(call, "crit");
}

PDK_FUNCTION(LOG_ERR) {
    return log_append(call, "err");
}

PDK_FUNCTION(LOG_WARN) {
    return log_append(call, "warn");
}

PDK_FUNCTION(LOG_NOTICE) {
    return log_append(call, "notice");
}

PDK_FUNCTION(LOG_INFO) {
    return log_append(call, "info");
}

PDK_FUNCTION(LOG_DEBUG) {
    return log_append(call, "debug");
}

PDK_FUNCTION(LOG_DEPRECATION) {
    return log_append(call, "warn");
}

PDK_FUNCTION(LOG_SET_SERIALIZE_VALUE) {
    struct sim_pdk *pdk = call->pdk;
    const struct kong_value *key = call_arg(call, 0);
    struct kong_value *list = &pdk->serialize_values;
    if (!is_string(key)) {
        return call_raise(call, "key must be a string");
    }
    size_t count = list->type == KONG_LIST ? list->list.count : 0;
    struct kong_value *items = arena_array(&pdk->memory, count + 1, sizeof *items);
    struct kong_pair *pairs = arena_array(&pdk->memory, 2, sizeof *pairs);
    if (items == NULL || pairs == NULL) {
        return call_nomem(call);
    }
    if (count > 0) {
        memcpy(items, list->list.items, count * sizeof *items);
    }
    pairs[0].key = kong_str("key");
    pairs[1].key = kong_str("value");
    if (!value_copy(&pdk->memory, key, &pairs[0].value) ||
        !value_copy(&pdk->memory, call_arg(call, 1), &pairs[1].value)) {
        return call_nomem(call);
    }
    items[count] = kong_map(pairs, 2);
    *list = kong_list(items, count + 1);
    return call_nil(call);
}

/* Puts a value at "a.b.c" of a map, making what is missing on the way; "\." is a dot inside a name.
 * 0; 1 when something on the way is no table, -1 when out of memory. */
static int set_path(struct arena *arena, struct kong_value *map, struct kong_str path,
                    const struct kong_value *value, unsigned depth) {
    char *name = arena_alloc(arena, path.len + 1);
    size_t n = 0;
    size_t at = 0;
    if (name == NULL || depth > 30) {
        return -1;
    }
    while (at < path.len && path.data[at] != '.') {
        if (path.data[at] == '\\' && at + 1 < path.len && path.data[at + 1] == '.') {
            at++;
        }
        name[n++] = path.data[at++];
    }
    name[n] = '\0';
    struct kong_str key = {name, n};
    if (at == path.len) {
        return sim_map_set(arena, map, key, value) ? 0 : -1;
    }
    const struct kong_value *inner = sim_map_get(map, key);
    struct kong_value table = inner == NULL ? kong_map(NULL, 0) : *inner;
    if (!is_table(&table)) {
        return 1;
    }
    int result = set_path(arena, &table, (struct kong_str){path.data + at + 1, path.len - at - 1},
                          value, depth + 1);
    if (result != 0) {
        return result;
    }
    return sim_map_set(arena, map, key, &table) ? 0 : -1;
}

struct writer {
    struct arena *arena;
    struct kong_value root;
    bool failed;
};

static void put(struct writer *writer, const char *path, struct kong_value value) {
    if (!writer->failed && value.type != KONG_NIL) {
        writer->failed = set_path(writer->arena, &writer->root, kong_str(path), &value, 0) != 0;
    }
}

static void put_text(struct writer *writer, const char *path, struct kong_str text) {
    put(writer, path, text.data == NULL ? kong_nil() : kong_bytes(text.data, text.len));
}

static void put_headers(struct writer *writer, const char *path, const struct fields *headers) {
    struct kong_value map = kong_nil();
    struct kong_value redacted = kong_string("REDACTED");
    static const char *const secrets[] = {"authorization", "proxy-authorization"};
    bool ok = headers_to_map(headers, 100, NULL, writer->arena, &map);
    for (size_t i = 0; i < 2 && ok; i++) {
        if (sim_map_get(&map, kong_str(secrets[i])) != NULL) {
            ok = sim_map_set(writer->arena, &map, kong_str(secrets[i]), &redacted);
        }
    }
    writer->failed = writer->failed || !ok;
    put(writer, path, map);
}

static void put_request(struct writer *writer, const struct sim_pdk *pdk) {
    const struct sim_request *request = &pdk->request;
    struct fields args;
    struct kong_value query = kong_nil();
    fields_init(&args, writer->arena);
    if (!query_parse(&args, request->args) || !query_to_map(&args, 100, writer->arena, &query)) {
        writer->failed = true;
    }
    put_text(writer, "request.uri", request->request_uri);
    put_text(writer, "request.url",
             arena_printf(writer->arena, "%s://%s:%d%s", request->scheme.data, request->host.data,
                          request->port, request->request_uri.data));
    put(writer, "request.querystring", query);
    put_text(writer, "request.method", request->method);
    put_headers(writer, "request.headers", &request->headers);
    put(writer, "request.size", kong_integer((int64_t)request->body.len));
    put_text(writer, "request.tls.version", pdk->tls_version);
}

static void put_response(struct writer *writer, const struct sim_pdk *pdk) {
    static const char *const sources[] = {
        [SIM_SOURCE_SERVICE] = "upstream", [SIM_SOURCE_EXIT] = "kong", [SIM_SOURCE_ERROR] = "kong"};
    static const char *const latencies[] = {"latencies.kong", "latencies.proxy",
                                            "latencies.request", "latencies.receive"};
    put(writer, "response.status", kong_integer(pdk->client.status));
    put_headers(writer, "response.headers", &pdk->client.headers);
    put(writer, "response.size", kong_integer((int64_t)pdk->client.body.len));
    put_text(writer, "upstream_uri", pdk->upstream.path);
    put_text(writer, "upstream_status",
             pdk->service.status == 0 ? kong_str("")
                                      : arena_printf(writer->arena, "%d", pdk->service.status));
    for (size_t i = 0; i < 4; i++) {
        put(writer, latencies[i], kong_integer(pdk->service.status == 0 && i == 1 ? -1 : 0));
    }
    put(writer, "source", kong_string(sources[pdk->source]));
}

struct kong_str sim_serialize(struct sim_pdk *pdk, struct arena *arena, struct kong_str *error) {
    struct writer writer = {.arena = arena, .root = kong_map(NULL, 0)};
    *error = (struct kong_str){NULL, 0};
    put_request(&writer, pdk);
    put_response(&writer, pdk);
    put(&writer, "authenticated_entity", pdk->credential);
    put(&writer, "route", pdk->route);
    put(&writer, "service", pdk->service_entity);
    put(&writer, "consumer", pdk->consumer);
    put_text(&writer, "client_ip", pdk->request.forwarded_ip);
    put(&writer, "started_at", kong_number(pdk->start_time * 1000));
    put(&writer, "workspace_name", kong_string("default"));
    const struct kong_value *values = &pdk->serialize_values;
    for (size_t i = 0; values->type == KONG_LIST && i < values->list.count; i++) {
        const struct kong_value *key = value_get(&values->list.items[i], "key");
        const struct kong_value *value = value_get(&values->list.items[i], "value");
        int result = set_path(arena, &writer.root, key->string, value, 0);
        if (result > 0) {
            *error = arena_printf(arena, "The key '%s' could not be used as a serialize value.",
                                  key->string.data);
            return (struct kong_str){NULL, 0};
        }
        writer.failed = writer.failed || result < 0;
    }
    return writer.failed ? (struct kong_str){NULL, 0} : json_from_value(arena, &writer.root);
}

PDK_FUNCTION(LOG_SERIALIZE) {
    struct kong_str error;
    if (call->pdk->serialized.data != NULL) {
        return call_string(call, call->pdk->serialized);
    }
    struct kong_str text = sim_serialize(call->pdk, call->arena, &error);
    if (error.data != NULL) {
        return call_raise(call, "%s", error.data);
    }
    return text.data == NULL ? call_nomem(call) : call_string(call, text);
}

/* kong.log.* */
#include <math.h>

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

/* Puts a value at "a.b.c" of a map, making what is missing on the way; a name has at least one
 * byte. 0; 1 when something on the way is no table, -1 when out of memory. */
static int set_path(struct arena *arena, struct kong_value *map, struct kong_str path,
                    const struct kong_value *value, unsigned depth) {
    size_t skip = depth == 0 ? 1 : 0;
    const char *dot = path.len > skip ? memchr(path.data + skip, '.', path.len - skip) : NULL;
    struct kong_str key = {path.data, dot == NULL ? path.len : (size_t)(dot - path.data)};
    if (depth > 30) {
        return -1;
    }
    if (dot == NULL) {
        return sim_map_set(arena, map, key, value) ? 0 : -1;
    }
    const struct kong_value *inner = sim_map_get(map, key);
    struct kong_value table = inner == NULL ? kong_map(NULL, 0) : *inner;
    if (!is_table(&table)) {
        return 1;
    }
    int result = set_path(arena, &table, (struct kong_str){dot + 1, path.len - key.len - 1}, value,
                          depth + 1);
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

static void put_tls(struct writer *writer, const struct sim_pdk *pdk, const char *where) {
    const struct kong_value *verify = value_get(&pdk->client_tls, "client_verify");
    struct kong_value tls = kong_map(NULL, 0);
    struct kong_str version = sim_tls_version(pdk);
    const struct {
        const char *name;
        struct kong_str text;
    } texts[] = {{"version", version},
                 {"cipher", pdk->tls_cipher},
                 {"client_verify", verify == NULL ? kong_str("NONE") : verify->string}};
    if (version.data == NULL) {
        return;
    }
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct kong_value text = kong_bytes(texts[i].text.data, texts[i].text.len);
        writer->failed =
            writer->failed || !sim_map_set(writer->arena, &tls, kong_str(texts[i].name), &text);
    }
    put(writer, where, tls);
}

static void put_request(struct writer *writer, const struct sim_pdk *pdk) {
    const struct sim_request *request = &pdk->request;
    struct fields args;
    struct kong_value query = kong_nil();
    fields_init(&args, writer->arena);
    if (!query_parse(&args, request->args) || !query_to_map(&args, 100, writer->arena, &query)) {
        writer->failed = true;
    }
    put_text(writer, "request.id", pdk->request_id);
    put_text(writer, "request.uri", request->request_uri);
    put_text(writer, "request.url",
             arena_printf(writer->arena, "%s://%s:%d%s", request->scheme.data, request->host.data,
                          request->port, request->request_uri.data));
    put(writer, "request.querystring", query);
    put_text(writer, "request.method", request->method);
    put_headers(writer, "request.headers", &request->headers);
    put(writer, "request.size", kong_integer((int64_t)request->body.len));
    put_tls(writer, pdk, "request.tls");
}

/* With the query, as it went to the upstream. */
static struct kong_str upstream_uri(struct writer *writer, const struct sim_pdk *pdk) {
    struct kong_str path = pdk->upstream.path;
    struct kong_str uri = pdk->request.request_uri;
    bool mark = pdk->request.args.len > 0 || (uri.len > 0 && uri.data[uri.len - 1] == '?');
    if (path.len == 0 || !mark) {
        return path.data == NULL ? kong_str("") : path;
    }
    return arena_printf(writer->arena, "%s?%s", path.data, pdk->request.args.data);
}

static void put_response(struct writer *writer, const struct sim_pdk *pdk) {
    static const char *const sources[] = {
        [SIM_SOURCE_SERVICE] = "upstream", [SIM_SOURCE_EXIT] = "kong", [SIM_SOURCE_ERROR] = "kong"};
    static const char *const latencies[] = {"latencies.kong", "latencies.proxy",
                                            "latencies.request", "latencies.receive"};
    int status = pdk->service.status;
    bool asked = pdk->source == SIM_SOURCE_SERVICE || pdk->upstream.query_joined;
    put(writer, "response.status", kong_integer(pdk->client.status));
    put(writer, "response.headers", pdk->saved.response_headers);
    put(writer, "response.size", kong_integer((int64_t)pdk->client.body.len));
    put_text(writer, "upstream_uri", upstream_uri(writer, pdk));
    if (!asked || status == 0) {
        put_text(writer, "upstream_status", kong_str(""));
    } else if (pdk->upstream.buffered) {
        put(writer, "upstream_status", kong_integer(status));
    } else {
        put_text(writer, "upstream_status", arena_printf(writer->arena, "%d", status));
    }
    for (size_t i = 0; i < 4; i++) {
        bool waits = i == 1 || i == 2;
        put(writer, latencies[i], kong_integer(!asked && i == 1 ? -1 : waits ? pdk->waited_ms : 0));
    }
    put(writer, "source", kong_string(sources[pdk->source]));
}

static void put_stream(struct writer *writer, const struct sim_pdk *pdk) {
    put_tls(writer, pdk, "session.tls");
    put(writer, "session.received", kong_integer(0));
    put(writer, "session.sent", kong_integer(0));
    put(writer, "session.status", kong_integer(pdk->client.status == 0 ? 200 : pdk->client.status));
    put(writer, "session.server_port", kong_integer(sim_server_port(pdk)));
    put(writer, "upstream.received", kong_integer(0));
    put(writer, "upstream.sent", kong_integer(0));
    put(writer, "latencies.kong", kong_integer(0));
    put(writer, "latencies.session", kong_integer(0));
}

/* Of a credential Kong tells who it is only. */
static void put_credential(struct writer *writer, const struct sim_pdk *pdk) {
    static const char *const names[] = {"id", "consumer_id"};
    struct kong_value entity = kong_map(NULL, 0);
    if (pdk->credential.type != KONG_MAP) {
        return;
    }
    for (size_t i = 0; i < 2; i++) {
        const struct kong_value *value = value_get(&pdk->credential, names[i]);
        if (value != NULL) {
            writer->failed =
                writer->failed || !sim_map_set(writer->arena, &entity, kong_str(names[i]), value);
        }
    }
    put(writer, "authenticated_entity", entity);
}

struct kong_str sim_serialize(struct sim_pdk *pdk, struct arena *arena, struct kong_str *error) {
    struct writer writer = {.arena = arena, .root = kong_map(NULL, 0)};
    *error = (struct kong_str){NULL, 0};
    if (sim_pdk_is_stream(pdk)) {
        put_stream(&writer, pdk);
    } else {
        put_request(&writer, pdk);
        put_response(&writer, pdk);
    }
    put_credential(&writer, pdk);
    put(&writer, "route", pdk->route);
    put(&writer, "service", pdk->service_entity);
    put(&writer, "consumer", pdk->consumer);
    put_text(&writer, "client_ip", pdk->request.forwarded_ip);
    put(&writer, "started_at", lua_number(floor(pdk->start_time * 1000)));
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
    if (call->pdk->saved.serialized.data != NULL) {
        return call_string(call, call->pdk->saved.serialized);
    }
    struct kong_str text = sim_serialize(call->pdk, call->arena, &error);
    if (error.data != NULL) {
        return call_raise(call, "%s", error.data);
    }
    return text.data == NULL ? call_nomem(call) : call_string(call, text);
}

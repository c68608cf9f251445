/* From the request to the upstream and back: what Kong itself does between the plugins' phases. */
#include <stdlib.h>

#include "sim_pdk_call.h"
#include "value.h"

const struct kong_value *sim_map_get(const struct kong_value *map, struct kong_str key) {
    for (size_t i = 0; map->type == KONG_MAP && i < map->map.count; i++) {
        if (kong_str_equal(map->map.pairs[i].key, key)) {
            return &map->map.pairs[i].value;
        }
    }
    return NULL;
}

bool sim_map_set(struct arena *arena, struct kong_value *map, struct kong_str key,
                 const struct kong_value *value) {
    size_t count = map->type == KONG_MAP ? map->map.count : 0;
    struct kong_pair *pairs = arena_array(arena, count + 1, sizeof *pairs);
    size_t at = 0;
    size_t kept = 0;
    if (pairs == NULL) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        if (!kong_str_equal(map->map.pairs[i].key, key)) {
            pairs[kept++] = map->map.pairs[i];
        } else if (value->type != KONG_NIL) {
            pairs[kept++] = map->map.pairs[i];
            at = kept;
        }
    }
    if (value->type != KONG_NIL) {
        if (at == 0) {
            pairs[kept].key = arena_copy(arena, key.data, key.len);
            at = ++kept;
        }
        if (pairs[at - 1].key.data == NULL || !value_copy(arena, value, &pairs[at - 1].value)) {
            return false;
        }
    }
    *map = kong_map(pairs, kept);
    return true;
}

static struct kong_str text_of(const struct kong_value *map, const char *key) {
    const struct kong_value *value = value_get(map, key);
    return value != NULL && is_string(value) ? value->string : (struct kong_str){NULL, 0};
}

struct kong_str sim_route_prefix(const struct sim_pdk *pdk) {
    const struct kong_value *paths = value_get(&pdk->route, "paths");
    struct kong_str path = raw_path(pdk->request.request_uri);
    struct kong_str best = {NULL, 0};
    for (size_t i = 0; paths != NULL && paths->type == KONG_LIST && i < paths->list.count; i++) {
        const struct kong_value *item = &paths->list.items[i];
        if (is_string(item) && item->string.len <= path.len &&
            memcmp(item->string.data, path.data, item->string.len) == 0 &&
            (best.data == NULL || item->string.len > best.len)) {
            best = item->string;
        }
    }
    return best;
}

/* The service's path and what strip_path leaves of the request's, one slash between them. */
static struct kong_str upstream_path(struct sim_pdk *pdk) {
    struct kong_str base = text_of(&pdk->service_entity, "path");
    struct kong_str path = path_normalize(&pdk->memory, raw_path(pdk->request.request_uri));
    const struct kong_value *strip = value_get(&pdk->route, "strip_path");
    if (path.data == NULL) {
        return path;
    }
    if (pdk->route.type == KONG_MAP &&
        (strip == NULL || strip->type != KONG_BOOLEAN || strip->boolean)) {
        size_t prefix = sim_route_prefix(pdk).len;
        prefix = prefix > path.len ? path.len : prefix;
        path = (struct kong_str){path.data + prefix, path.len - prefix};
    }
    while (path.len > 0 && path.data[0] == '/') {
        path = (struct kong_str){path.data + 1, path.len - 1};
    }
    while (base.len > 0 && base.data[base.len - 1] == '/') {
        base.len--;
    }
    if (path.len == 0 && base.len > 0) {
        return state_copy(pdk, text_of(&pdk->service_entity, "path"));
    }
    return arena_printf(&pdk->memory, "%.*s/%.*s", (int)base.len,
                        base.data == NULL ? "" : base.data, (int)path.len, path.data);
}

bool sim_pdk_route(struct sim_pdk *pdk) {
    struct sim_upstream *upstream = &pdk->upstream;
    const struct kong_value *port = value_get(&pdk->service_entity, "port");
    const struct kong_value *preserve = value_get(&pdk->route, "preserve_host");
    int64_t number = 0;
    if (upstream->scheme.data == NULL) {
        struct kong_str protocol = text_of(&pdk->service_entity, "protocol");
        upstream->scheme = protocol.data == NULL ? kong_str("http") : protocol;
    }
    if (upstream->host.data == NULL) {
        upstream->host = text_of(&pdk->service_entity, "host");
    }
    if (upstream->port == 0 && port != NULL && value_to_integer(port, &number)) {
        upstream->port = (int)number;
    }
    if (upstream->host_header.data == NULL) {
        bool keep = preserve != NULL && preserve->type == KONG_BOOLEAN && preserve->boolean;
        const struct field *host = headers_find(&pdk->request.headers, kong_str("Host"));
        upstream->host_header = keep && host != NULL ? host->value : upstream->host;
    }
    if (upstream->path.data == NULL) {
        upstream->path = upstream_path(pdk);
    }
    return upstream->path.data != NULL;
}

bool sim_pdk_upstream_answered(struct sim_pdk *pdk, bool buffered) {
    struct fields *ours = &pdk->client.headers;
    const struct fields *theirs = &pdk->service.headers;
    for (size_t i = 0; buffered && i < theirs->count; i++) {
        headers_clear(ours, theirs->items[i].name);
    }
    for (size_t i = 0; i < theirs->count; i++) {
        if (!fields_add(ours, theirs->items[i].name, theirs->items[i].value, false)) {
            return false;
        }
    }
    pdk->upstream.buffered = pdk->upstream.buffered || buffered;
    pdk->client.status = pdk->service.status;
    pdk->client.body = pdk->service.body;
    pdk->source = SIM_SOURCE_SERVICE;
    return true;
}

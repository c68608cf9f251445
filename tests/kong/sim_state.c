/* The state of a request: made, filled, forgotten. */
#include <stdlib.h>

#include "limit.h"
#include "sim_json.h"
#include "sim_pdk_call.h"
#include "value.h"

/* As recorded from Kong 3.9.1, whose dictionaries come in another order in a stream. */
#define DICT(name, slabs, capacity)                                                                \
    "\"" name "\":{\"allocated_slabs\":" #slabs ",\"capacity\":" #capacity "}"
static const char memory_stats[] =
    "{\"lua_shared_dicts\":{" DICT("kong_db_cache_miss", 81920, 12582912) "," DICT("kong_secrets", 40960, 5242880) "," DICT("prometheus_metrics", 40960, 5242880) "," DICT(
        "kong", 40960,
        5242880) "," DICT("kong_locks", 61440,
                          8388608) "," DICT("kong_healthchecks", 40960,
                                            5242880) "," DICT("kong_cluster_events", 40960,
                                                              5242880) "," DICT("kong_rate_"
                                                                                "limiting_counters",
                                                                                81920,
                                                                                12582912) "," DICT("kong_core_db_cache",
                                                                                                   794624,
                                                                                                   134217728) "," DICT("kong_core_db_cache_miss",
                                                                                                                       81920,
                                                                                                                       12582912) "," DICT("kong_db_cache",
                                                                                                                                          794624,
                                                                                                                                          134217728) "},\"workers_lua_vms\":[{\"http_allocated_gc\":54226945,\"pid\":21389}]}";
static const char stream_memory_stats[] =
    "{\"lua_shared_dicts\":{" DICT("kong_locks", 61440, 8388608) "," DICT("kong", 40960, 5242880) "," DICT("kong_db_cache_miss", 81920, 12582912) "," DICT(
        "kong_cluster_events", 40960,
        5242880) "," DICT("prometheus_metrics", 40960,
                          5242880) "," DICT("kong_rate_limiting_counters", 81920,
                                            12582912) "," DICT("kong_secrets", 40960,
                                                               5242880) "," DICT("kong_core_db_"
                                                                                 "cache",
                                                                                 794624,
                                                                                 134217728) "," DICT("kong_db_cache",
                                                                                                     794624,
                                                                                                     134217728) "," DICT("kong_core_db_cache_miss",
                                                                                                                         81920,
                                                                                                                         12582912) "," DICT("kong_healthchecks",
                                                                                                                                            40960,
                                                                                                                                            5242880) "},\"workers_lua_vms\":[{\"http_allocated_gc\":54226945,\"pid\":21389}]}";
#undef DICT

static void forget_body_file(struct sim_pdk *pdk) {
    if (pdk->body_directory[0] != '\0') {
        scratch_remove(pdk->body_directory);
        pdk->body_directory[0] = '\0';
    }
}

bool sim_pdk_reset(struct sim_pdk *pdk) {
    struct arena memory = pdk->memory;
    forget_body_file(pdk);
    arena_reset(&memory);
    *pdk = (struct sim_pdk){
        .memory = memory,
        .kong_2_8 = pdk->kong_2_8,
        .protobuf = pdk->protobuf,
        .phase = KONG_PHASE_ACCESS,
        .request = {.method = kong_str("GET"),
                    .scheme = kong_str("http"),
                    .host = kong_str("localhost"),
                    .port = 8000,
                    .http_version = 1.1,
                    .request_uri = kong_str("/"),
                    .args = kong_str(""),
                    .body = kong_str(""),
                    .client_ip = kong_str("127.0.0.1"),
                    .client_port = 40000,
                    .forwarded_ip = kong_str("127.0.0.1"),
                    .forwarded_port = 40000},
        .upstream = {.retries = -1,
                     .connect_timeout = -1,
                     .write_timeout = -1,
                     .read_timeout = -1,
                     .tls_verify = -1,
                     .tls_verify_depth = -1},
        .source = SIM_SOURCE_ERROR,
        .node_id = kong_str("b1f722a9-4f78-4566-b8e6-b865dd02244d"),
        .plugin_id = kong_str("e84f8ed7-6393-575d-93ab-f4a56253f1a8"),
        .hostname = kong_str("kong"),
        .request_id = kong_str("5d4f1a0c9b8e4736a1c2d3e4f5061728"),
        .tls_cipher = kong_str("TLS_AES_256_GCM_SHA384"),
        .start_time = 1795374239.123,
        .body_buffer_size = 8192,
    };
    fields_init(&pdk->request.headers, &pdk->memory);
    fields_init(&pdk->service.headers, &pdk->memory);
    fields_init(&pdk->client.headers, &pdk->memory);
    return sim_pdk_set_json(pdk, &pdk->memory_stats, memory_stats) &&
           sim_pdk_set_json(pdk, &pdk->stream_memory_stats, stream_memory_stats) &&
           sim_pdk_add_request_header(pdk, "Host", "localhost:8000");
}

struct sim_pdk *sim_pdk_create(void) {
    struct sim_pdk *pdk = calloc(1, sizeof *pdk);
    if (pdk == NULL) {
        return NULL;
    }
    arena_init(&pdk->memory, LIMIT_EVENT_MEMORY);
    if (!sim_pdk_reset(pdk)) {
        sim_pdk_destroy(pdk);
        return NULL;
    }
    return pdk;
}

void sim_pdk_destroy(struct sim_pdk *pdk) {
    if (pdk == NULL) {
        return;
    }
    forget_body_file(pdk);
    arena_free(&pdk->memory);
    free(pdk);
}

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

struct kong_str state_copy(struct sim_pdk *pdk, struct kong_str text) {
    return arena_copy(&pdk->memory, text.data == NULL ? "" : text.data, text.len);
}

bool sim_pdk_set_json(struct sim_pdk *pdk, struct kong_value *field, const char *json) {
    return json_to_value(&pdk->memory, kong_str(json), field);
}

bool sim_pdk_set_request_body(struct sim_pdk *pdk, const void *data, size_t len) {
    struct kong_str body = state_copy(pdk, (struct kong_str){data, len});
    if (body.data == NULL) {
        return false;
    }
    forget_body_file(pdk);
    pdk->request.body = body;
    return true;
}

/* The host without its port, in lower case, as nginx's $host. */
bool sim_pdk_set_host(struct sim_pdk *pdk, const char *text) {
    size_t len = strlen(text);
    const char *colon = strrchr(text, ':');
    if (colon != NULL && strchr(colon, ']') == NULL) {
        len = (size_t)(colon - text);
    }
    char *host = arena_alloc(&pdk->memory, len + 1);
    if (host == NULL) {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        host[i] = text[i] >= 'A' && text[i] <= 'Z' ? (char)(text[i] - 'A' + 'a') : text[i];
    }
    host[len] = '\0';
    pdk->request.host = (struct kong_str){host, len};
    return true;
}

bool sim_pdk_add_request_header(struct sim_pdk *pdk, const char *name, const char *value) {
    struct fields *headers = &pdk->request.headers;
    if (header_name_equal(kong_str(name), kong_str("host"))) {
        pdk->request.sent_host = state_copy(pdk, kong_str(value));
        return pdk->request.sent_host.data != NULL && sim_pdk_set_host(pdk, value) &&
               headers_set(headers, kong_str(name), kong_str(value));
    }
    return fields_add(headers, kong_str(name), kong_str(value), false);
}

/* "https://host:port" before the path; what is behind it, or NULL. */
static const char *set_origin(struct sim_pdk *pdk, const char *url) {
    const char *start = strstr(url, "://");
    size_t scheme = start == NULL ? 0 : (size_t)(start - url);
    if (start == NULL) {
        return NULL;
    }
    start += 3;
    size_t len = strcspn(start, "/?");
    struct kong_str origin = arena_copy(&pdk->memory, start, len);
    pdk->request.scheme = arena_copy(&pdk->memory, url, scheme);
    if (len == 0 || origin.data == NULL || pdk->request.scheme.data == NULL) {
        return NULL;
    }
    bool tls = kong_str_equal(pdk->request.scheme, kong_str("https"));
    const char *colon = strrchr(origin.data, ':');
    pdk->request.port = tls ? 443 : 80;
    if (colon != NULL && strchr(colon, ']') == NULL) {
        pdk->request.port = (int)strtol(colon + 1, NULL, 10);
    }
    if (tls && pdk->tls_version.data == NULL) {
        pdk->tls_version = kong_str("TLSv1.3");
    }
    return sim_pdk_add_request_header(pdk, "Host", origin.data) ? start + len : NULL;
}

bool sim_pdk_set_request(struct sim_pdk *pdk, const char *method, const char *url) {
    const char *path = url;
    if (*url != '/') {
        path = set_origin(pdk, url);
    }
    if (path == NULL) {
        return false;
    }
    const char *query = strchr(path, '?');
    pdk->request.method = state_copy(pdk, kong_str(method));
    pdk->request.by_head = strcmp(method, "HEAD") == 0;
    pdk->request.request_uri = state_copy(pdk, kong_str(*path == '\0' ? "/" : path));
    pdk->request.args = state_copy(pdk, kong_str(query == NULL ? "" : query + 1));
    return pdk->request.method.data != NULL && pdk->request.request_uri.data != NULL &&
           pdk->request.args.data != NULL;
}

bool replace_body(struct sim_pdk *pdk, struct arena *scratch, struct kong_str body) {
    struct kong_str length = arena_printf(scratch, "%zu", body.len);
    pdk->request.body_read = true;
    return length.data != NULL && sim_pdk_set_request_body(pdk, body.data, body.len) &&
           headers_set(&pdk->request.headers, kong_str("Content-Length"), length);
}

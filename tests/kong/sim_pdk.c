#include "sim_pdk.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "limit.h"
#include "sim_json.h"
#include "sim_pdk_call.h"
#include "value.h"

/* As recorded from Kong 3.9.1 (tests/traces/). */
static const char recorded_memory_stats[] =
    "{\"lua_shared_dicts\":{\"kong\":{\"allocated_slabs\":40960,\"capacity\":5242880},"
    "\"kong_db_cache\":{\"allocated_slabs\":794624,\"capacity\":134217728}},"
    "\"workers_lua_vms\":[{\"http_allocated_gc\":54226945,\"pid\":21389}]}";

static void forget_body_file(struct sim_pdk *pdk) {
    if (pdk->body_file != NULL) {
        unlink(pdk->body_file);
        free(pdk->body_file);
        pdk->body_file = NULL;
    }
}

bool sim_pdk_reset(struct sim_pdk *pdk) {
    struct arena memory = pdk->memory;
    forget_body_file(pdk);
    arena_reset(&memory);
    *pdk = (struct sim_pdk){
        .memory = memory,
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
        .cluster_id = kong_str("f6d07d2c-1b8b-4a6c-8a0d-0d1b0a0f5a11"),
        .plugin_id = kong_str("e84f8ed7-6393-575d-93ab-f4a56253f1a8"),
        .hostname = kong_str("kong"),
        .start_time = 1795374239.123,
        .body_buffer_size = 8192,
    };
    fields_init(&pdk->request.headers, &pdk->memory);
    fields_init(&pdk->service.headers, &pdk->memory);
    fields_init(&pdk->client.headers, &pdk->memory);
    return sim_pdk_set_json(pdk, &pdk->memory_stats, recorded_memory_stats) &&
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

typedef int pdk_function(struct call *call);

static pdk_function *const functions[PDK_COUNT] = {
#define PDK(id, name, args, result, flags, phases, not_2_8) [PDK_##id] = sim_pdk_##id,
#include "pdk_methods.def"
#undef PDK
};

static int refuse_phase(struct call *call) {
    char names[256] = "";
    size_t used = 0;
    const char *now = kong_phase_name(call->pdk->phase);
    for (unsigned i = 0; i < KONG_PHASE_COUNT; i++) {
        if ((call->method->phases & (1u << i)) != 0) {
            int len = snprintf(names + used, sizeof names - used, "%s%s", used == 0 ? "" : ", ",
                               kong_phase_name((enum kong_phase)i));
            used += len < 0 ? 0 : (size_t)len;
        }
    }
    return call_raise(call, "function cannot be called in %s phase (only in: %s)",
                      now == NULL ? "unknown" : now, names);
}

int sim_pdk_call(void *ctx, const struct pdk_method *method, struct kong_str name,
                 const struct kong_value *args, size_t count, struct arena *arena,
                 struct kong_value *result) {
    struct sim_pdk *pdk = ctx;
    struct call call = {.pdk = pdk, .method = method, .arena = arena, .result = result};
    *result = kong_nil();
    if (call.method == NULL) {
        call.method = pdk_method_find(name);
    }
    if (call.method == NULL) {
        return SIM_UNKNOWN;
    }
    /* Functions count on the NUL behind each string that a copy gives. */
    struct kong_value *own = arena_array(arena, count, sizeof *own);
    if (own == NULL) {
        return call_nomem(&call);
    }
    for (size_t i = 0; i < count; i++) {
        if (!value_copy(arena, &args[i], &own[i])) {
            return call_nomem(&call);
        }
    }
    call.args = own;
    call.count = count;
    pdk->calls++;
    pdk->called[call.method - pdk_methods]++;
    if ((call.method->phases & (1u << pdk->phase)) == 0) {
        return refuse_phase(&call);
    }
    bool unbuffered = !pdk->upstream.buffered || pdk->service.status == 0;
    if (pdk->phase == KONG_PHASE_LOG && (call.method->flags & PDK_LOG_IF_BUFFERED) != 0 &&
        unbuffered) {
        return call_raise(&call, "API disabled in the context of ngx.timer");
    }
    return functions[call.method - pdk_methods](&call);
}

bool sim_pdk_set_phase(struct sim_pdk *pdk, enum kong_phase phase) {
    struct kong_str error;
    pdk->phase = phase;
    pdk->serialized = (struct kong_str){NULL, 0};
    if (phase == KONG_PHASE_LOG) {
        pdk->serialized = sim_serialize(pdk, &pdk->memory, &error);
        return pdk->serialized.data != NULL;
    }
    return true;
}

bool sim_pdk_fail(struct sim_pdk *pdk, int status) {
    struct kong_value nil = kong_nil();
    struct kong_value result;
    struct call call = {.pdk = pdk, .arena = &pdk->memory, .result = &result};
    return sim_error_answer(&call, status, (struct kong_str){NULL, 0}, &nil) == SIM_EXITED;
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
static bool set_host(struct sim_pdk *pdk, const char *text) {
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
        return set_host(pdk, value) && headers_set(headers, kong_str(name), kong_str(value));
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
    pdk->request.request_uri = state_copy(pdk, kong_str(*path == '\0' ? "/" : path));
    pdk->request.args = state_copy(pdk, kong_str(query == NULL ? "" : query + 1));
    return pdk->request.method.data != NULL && pdk->request.request_uri.data != NULL &&
           pdk->request.args.data != NULL;
}

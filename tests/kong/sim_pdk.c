#include "sim_pdk.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <unistd.h>

#include "limit.h"
#include "sim_json.h"
#include "sim_pdk_call.h"
#include "value.h"

typedef int pdk_function(struct call *call);

static pdk_function *const functions[PDK_COUNT] = {
#define PDK(id, name, args, result, flags, phases, not_2_8, reads, changes)                        \
    [PDK_##id] = sim_pdk_##id,
#include "pdk_methods.def"
#undef PDK
};

/* The arguments as Lua has them: numbers are doubles, and functions here count on the NUL behind
 * each string that a copy gives. */
static void to_doubles(struct kong_value *value) {
    if (value->type == KONG_INTEGER || value->type == KONG_NUMBER) {
        *value = lua_number(to_number(value));
    }
    for (size_t i = 0; value->type == KONG_LIST && i < value->list.count; i++) {
        to_doubles((struct kong_value *)(uintptr_t)&value->list.items[i]);
    }
    for (size_t i = 0; value->type == KONG_MAP && i < value->map.count; i++) {
        to_doubles((struct kong_value *)(uintptr_t)&value->map.pairs[i].value);
    }
}

/* Functions of Kong's that want functions or certificates of Lua's, which no plugin server can
 * give: they are found, and raise. */
static bool wants_lua(struct kong_str name) {
    static const char *const names[] = {"kong.vault.try",
                                        "kong.service.set_target_retry_callback",
                                        "kong.service.set_tls_cert_key",
                                        "kong.service.set_tls_verify_store",
                                        "kong.log.set_format",
                                        "kong.vault.update"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (kong_str_equal(name, kong_str(names[i]))) {
            return true;
        }
    }
    return false;
}

static int not_found(struct call *call, struct kong_str name) {
    struct kong_str line =
        arena_printf(call->arena, "could not find pdk method: %.*s", (int)name.len, name.data);
    struct kong_value text = kong_bytes(line.data, line.len);
    struct call log = *call;
    log.args = &text;
    log.count = 1;
    if (line.data == NULL || log_append(&log, "err") != SIM_RESULT) {
        return call_nomem(call);
    }
    return SIM_UNKNOWN;
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
        return wants_lua(name) ? call_raise(&call, "bad argument to %.*s", (int)name.len, name.data)
                               : not_found(&call, name);
    }
    struct kong_value *own = arena_array(arena, count, sizeof *own);
    if (own == NULL) {
        return call_nomem(&call);
    }
    for (size_t i = 0; i < count; i++) {
        if (!value_copy(arena, &args[i], &own[i])) {
            return call_nomem(&call);
        }
        to_doubles(&own[i]);
    }
    call.args = own;
    call.count = count;
    pdk->calls++;
    pdk->called[call.method - pdk_methods]++;
    switch (sim_phase_check(pdk, call.method)) {
    case SIM_FORBIDDEN:
        return sim_phase_refuse(&call);
    case SIM_NOT_PRESENT:
        return not_found(&call, name);
    case SIM_ALLOWED:
        break;
    }
    return functions[call.method - pdk_methods](&call);
}

/* nginx takes the client's address from X-Real-IP where a trusted proxy sends it, perhaps with a
 * port. False when out of memory. */
static bool find_client(struct sim_pdk *pdk) {
    struct sim_request *request = &pdk->request;
    const struct field *real = headers_find(&request->headers, kong_str("X-Real-IP"));
    unsigned char address[16];
    if (real == NULL || !ip_trusted(pdk, request->client_ip)) {
        return true;
    }
    const char *text = real->value.data;
    const char *colon = strrchr(text, ':');
    bool six = colon != NULL && strchr(text, ':') != colon;
    size_t len = colon == NULL || six ? strlen(text) : (size_t)(colon - text);
    struct kong_str ip = arena_copy(&pdk->memory, text, len);
    if (ip.data == NULL) {
        return false;
    }
    if (inet_pton(six ? AF_INET6 : AF_INET, ip.data, address) == 1) {
        request->forwarded_ip = ip;
        request->forwarded_port = colon == NULL || six ? 0 : (int)strtol(colon + 1, NULL, 10);
    }
    return true;
}

/* What a plugin server's log phase will see. */
static bool save(struct sim_pdk *pdk) {
    struct sim_saved *saved = &pdk->saved;
    struct kong_str error;
    if (!sim_pdk_sent(pdk) || !response_table(pdk, &pdk->memory, 100, &saved->response_headers) ||
        !headers_to_map(&pdk->request.headers, 100, NULL, &pdk->memory, &saved->request_headers)) {
        return false;
    }
    saved->serialized = sim_serialize(pdk, &pdk->memory, &error);
    return saved->serialized.data != NULL;
}

bool sim_pdk_set_phase(struct sim_pdk *pdk, enum kong_phase phase) {
    bool first = !pdk->client_found;
    pdk->phase = phase;
    pdk->saved = (struct sim_saved){.serialized = {NULL, 0}};
    pdk->stream = pdk->stream || phase == KONG_PHASE_PREREAD;
    if (first && phase != KONG_PHASE_CERTIFICATE) {
        pdk->client_found = true;
        if (!find_client(pdk)) {
            return false;
        }
    }
    if (phase == KONG_PHASE_ACCESS && !sim_pdk_route(pdk)) {
        return false;
    }
    if (phase == KONG_PHASE_LOG && pdk->stream && pdk->client.status == 0) {
        pdk->client.status = 200; /* a stream that came to its end */
        pdk->source = SIM_SOURCE_SERVICE;
    }
    return phase != KONG_PHASE_LOG || save(pdk);
}

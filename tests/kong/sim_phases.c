/* In which phases Kong 3.9.1 lets a plugin server call a function, as recorded from a running one
 * (tests/recordings/): the gateway's own table, so that the library's is tested against it.
 *
 * In log a plugin server is called from a timer, when the request is over: what Kong has saved, and
 * what lives in ngx.ctx, works there; what reads ngx.var or ngx.req raises, although the PDK's own
 * check lists the phase. */
#include <stdio.h>

#include "sim_pdk_call.h"
#include "value.h"

enum {
    NOWHERE = 0,
    CERTIFICATE = 1 << KONG_PHASE_CERTIFICATE,
    ACCESS = 1 << KONG_PHASE_ACCESS,
    RESPONSE = 1 << KONG_PHASE_RESPONSE,
    PREREAD = 1 << KONG_PHASE_PREREAD,
    LOG = 1 << KONG_PHASE_LOG,
    UPSTREAM = 1 << KONG_PHASE_REWRITE | ACCESS,
    ANSWERED = RESPONSE | 1 << KONG_PHASE_HEADER_FILTER,
    REQUEST = UPSTREAM | ANSWERED,
    AUTHENTICATED = ACCESS | ANSWERED | LOG,
    EVERYWHERE = (1 << KONG_PHASE_COUNT) - 1,
};

static const unsigned phases[PDK_COUNT] = {
    [PDK_CLIENT_AUTHENTICATE] = ACCESS,
    [PDK_CLIENT_GET_CONSUMER] = AUTHENTICATED,
    [PDK_CLIENT_GET_CREDENTIAL] = AUTHENTICATED,
    [PDK_CLIENT_GET_FORWARDED_IP] = REQUEST | PREREAD,
    [PDK_CLIENT_GET_FORWARDED_PORT] = REQUEST | PREREAD,
    [PDK_CLIENT_GET_IP] = REQUEST | PREREAD,
    [PDK_CLIENT_GET_PORT] = REQUEST | PREREAD,
    [PDK_CLIENT_GET_PROTOCOL] = ACCESS | ANSWERED,
    [PDK_CLIENT_LOAD_CONSUMER] = AUTHENTICATED,
    [PDK_CLIENT_TLS_DISABLE_HTTP2_ALPN] = NOWHERE,
    [PDK_CLIENT_TLS_DISABLE_SESSION_REUSE] = CERTIFICATE,
    [PDK_CLIENT_TLS_GET_FULL_CLIENT_CERTIFICATE_CHAIN] = UPSTREAM | RESPONSE,
    [PDK_CLIENT_TLS_REQUEST_CLIENT_CERTIFICATE] = CERTIFICATE,
    [PDK_CLIENT_TLS_SET_CLIENT_VERIFY] = UPSTREAM | RESPONSE,
    [PDK_CLUSTER_GET_ID] = EVERYWHERE,
    [PDK_CTX_SHARED_GET] = EVERYWHERE,
    [PDK_CTX_SHARED_SET] = EVERYWHERE,
    [PDK_IP_IS_TRUSTED] = EVERYWHERE,
    [PDK_LOG] = EVERYWHERE,
    [PDK_LOG_ALERT] = EVERYWHERE,
    [PDK_LOG_CRIT] = EVERYWHERE,
    [PDK_LOG_DEBUG] = EVERYWHERE,
    [PDK_LOG_DEPRECATION] = EVERYWHERE,
    [PDK_LOG_ERR] = EVERYWHERE,
    [PDK_LOG_INFO] = EVERYWHERE,
    [PDK_LOG_NOTICE] = EVERYWHERE,
    [PDK_LOG_SERIALIZE] = LOG,
    [PDK_LOG_SET_SERIALIZE_VALUE] = REQUEST | LOG,
    [PDK_LOG_WARN] = EVERYWHERE,
    [PDK_NGINX_GET_CTX] = EVERYWHERE,
    [PDK_NGINX_GET_STATISTICS] = EVERYWHERE,
    [PDK_NGINX_GET_SUBSYSTEM] = EVERYWHERE,
    [PDK_NGINX_GET_TLS1_VERSION_STR] = EVERYWHERE,
    [PDK_NGINX_GET_VAR] = REQUEST | PREREAD,
    [PDK_NGINX_REQ_START_TIME] = EVERYWHERE,
    [PDK_NGINX_SET_CTX] = EVERYWHERE,
    [PDK_NODE_GET_HOSTNAME] = EVERYWHERE,
    [PDK_NODE_GET_ID] = EVERYWHERE,
    [PDK_NODE_GET_MEMORY_STATS] = EVERYWHERE,
    [PDK_PLUGIN_GET_ID] = EVERYWHERE,
    [PDK_REQUEST_GET_BODY] = UPSTREAM | RESPONSE,
    [PDK_REQUEST_GET_FORWARDED_HOST] = REQUEST,
    [PDK_REQUEST_GET_FORWARDED_PATH] = REQUEST,
    [PDK_REQUEST_GET_FORWARDED_PORT] = REQUEST,
    [PDK_REQUEST_GET_FORWARDED_PREFIX] = REQUEST,
    [PDK_REQUEST_GET_FORWARDED_SCHEME] = REQUEST,
    [PDK_REQUEST_GET_HEADER] = REQUEST | LOG,
    [PDK_REQUEST_GET_HEADERS] = REQUEST | LOG,
    [PDK_REQUEST_GET_HOST] = REQUEST,
    [PDK_REQUEST_GET_HTTP_VERSION] = REQUEST,
    [PDK_REQUEST_GET_METHOD] = REQUEST,
    [PDK_REQUEST_GET_PATH] = REQUEST,
    [PDK_REQUEST_GET_PATH_WITH_QUERY] = REQUEST,
    [PDK_REQUEST_GET_PORT] = REQUEST | PREREAD,
    [PDK_REQUEST_GET_QUERY] = REQUEST,
    [PDK_REQUEST_GET_QUERY_ARG] = REQUEST,
    [PDK_REQUEST_GET_RAW_BODY] = UPSTREAM | RESPONSE,
    [PDK_REQUEST_GET_RAW_PATH] = REQUEST,
    [PDK_REQUEST_GET_RAW_QUERY] = REQUEST,
    [PDK_REQUEST_GET_SCHEME] = REQUEST,
    [PDK_REQUEST_GET_START_TIME] = REQUEST | LOG,
    [PDK_REQUEST_GET_URI_CAPTURES] = REQUEST | LOG,
    [PDK_RESPONSE_ADD_HEADER] = REQUEST,
    [PDK_RESPONSE_CLEAR_HEADER] = REQUEST,
    [PDK_RESPONSE_ERROR] = REQUEST,
    [PDK_RESPONSE_EXIT] = REQUEST | PREREAD,
    [PDK_RESPONSE_GET_HEADER] = ANSWERED | LOG,
    [PDK_RESPONSE_GET_HEADERS] = ANSWERED | LOG,
    [PDK_RESPONSE_GET_RAW_BODY] = NOWHERE,
    [PDK_RESPONSE_GET_SOURCE] = ANSWERED | LOG,
    [PDK_RESPONSE_GET_STATUS] = ANSWERED | LOG,
    [PDK_RESPONSE_SET_HEADER] = REQUEST,
    [PDK_RESPONSE_SET_HEADERS] = REQUEST,
    [PDK_RESPONSE_SET_RAW_BODY] = NOWHERE,
    [PDK_RESPONSE_SET_STATUS] = REQUEST,
    [PDK_ROUTER_GET_ROUTE] = AUTHENTICATED,
    [PDK_ROUTER_GET_SERVICE] = AUTHENTICATED,
    [PDK_SERVICE_REQUEST_ADD_HEADER] = UPSTREAM,
    [PDK_SERVICE_REQUEST_CLEAR_HEADER] = UPSTREAM,
    [PDK_SERVICE_REQUEST_CLEAR_QUERY_ARG] = UPSTREAM,
    [PDK_SERVICE_REQUEST_DISABLE_TLS] = PREREAD,
    [PDK_SERVICE_REQUEST_ENABLE_BUFFERING] = UPSTREAM,
    [PDK_SERVICE_REQUEST_SET_BODY] = UPSTREAM,
    [PDK_SERVICE_REQUEST_SET_HEADER] = UPSTREAM,
    [PDK_SERVICE_REQUEST_SET_HEADERS] = UPSTREAM,
    [PDK_SERVICE_REQUEST_SET_METHOD] = UPSTREAM,
    [PDK_SERVICE_REQUEST_SET_PATH] = UPSTREAM,
    [PDK_SERVICE_REQUEST_SET_QUERY] = UPSTREAM,
    [PDK_SERVICE_REQUEST_SET_RAW_BODY] = UPSTREAM,
    [PDK_SERVICE_REQUEST_SET_RAW_QUERY] = UPSTREAM,
    [PDK_SERVICE_REQUEST_SET_SCHEME] = UPSTREAM,
    [PDK_SERVICE_RESPONSE_GET_BODY] = ANSWERED | LOG,
    [PDK_SERVICE_RESPONSE_GET_HEADER] = ANSWERED | LOG,
    [PDK_SERVICE_RESPONSE_GET_HEADERS] = ANSWERED | LOG,
    [PDK_SERVICE_RESPONSE_GET_RAW_BODY] = ANSWERED | LOG,
    [PDK_SERVICE_RESPONSE_GET_STATUS] = ANSWERED | LOG,
    [PDK_SERVICE_SET_RETRIES] = ACCESS,
    /* in rewrite its own check passes, and then there is no balancer_data */
    [PDK_SERVICE_SET_TARGET] = ACCESS | PREREAD,
    [PDK_SERVICE_SET_TIMEOUTS] = ACCESS,
    [PDK_SERVICE_SET_TLS_VERIFY] = UPSTREAM | PREREAD,
    [PDK_SERVICE_SET_TLS_VERIFY_DEPTH] = UPSTREAM | PREREAD,
    [PDK_SERVICE_SET_UPSTREAM] = ACCESS,
    [PDK_TELEMETRY_LOG] = EVERYWHERE,
    [PDK_VAULT_GET] = EVERYWHERE,
    [PDK_VAULT_IS_REFERENCE] = EVERYWHERE,
    [PDK_VAULT_PARSE_REFERENCE] = EVERYWHERE,
};

bool sim_pdk_is_stream(const struct sim_pdk *pdk) {
    static const char *const streams[] = {"tcp", "tls", "udp", "tls_passthrough"};
    const struct kong_value *protocols = value_get(&pdk->route, "protocols");
    if (pdk->stream || pdk->phase == KONG_PHASE_PREREAD) {
        return true;
    }
    if (protocols == NULL || protocols->type != KONG_LIST || protocols->list.count == 0 ||
        !is_string(&protocols->list.items[0])) {
        return false;
    }
    /* a route's protocols are either all of them streams, or none */
    for (size_t i = 0; i < sizeof streams / sizeof *streams; i++) {
        if (kong_str_equal(protocols->list.items[0].string, kong_str(streams[i]))) {
            return true;
        }
    }
    return false;
}

static bool starts_with(struct kong_str text, const char *prefix) {
    size_t len = strlen(prefix);
    return text.len >= len && memcmp(text.data, prefix, len) == 0;
}

/* In the log phase of a stream nothing was saved of headers, and the functions themselves raise. */
static bool needs_http(size_t id) {
    return id == PDK_REQUEST_GET_HEADER || id == PDK_REQUEST_GET_HEADERS ||
           id == PDK_RESPONSE_GET_HEADERS;
}

/* What Kong 2.8 lacks, or raises on, though 3.9 does not. */
static enum sim_allowed check_2_8(const struct sim_pdk *pdk, const struct pdk_method *method) {
    unsigned lost = method->not_2_8;
    if ((method->flags & PDK_2_8_PROTOBUF) != 0 && !pdk->protobuf) {
        lost = 0;
    }
    if (lost == EVERYWHERE) {
        return SIM_NOT_PRESENT;
    }
    return (lost & (1u << pdk->phase)) != 0 ? SIM_FORBIDDEN : SIM_ALLOWED;
}

enum sim_allowed sim_phase_check(const struct sim_pdk *pdk, const struct pdk_method *method) {
    size_t id = (size_t)(method - pdk_methods);
    bool stream = sim_pdk_is_stream(pdk);
    if (stream ? starts_with(method->name, "kong.client.tls.")
               : id == PDK_SERVICE_REQUEST_DISABLE_TLS) {
        return SIM_NOT_PRESENT;
    }
    if ((phases[id] & (1u << pdk->phase)) == 0) {
        return SIM_FORBIDDEN;
    }
    bool buffered = pdk->upstream.buffered && pdk->service.status != 0;
    if (pdk->phase == KONG_PHASE_LOG &&
        ((stream && needs_http(id)) ||
         (!buffered && starts_with(method->name, "kong.service.response.")))) {
        return SIM_FORBIDDEN;
    }
    return pdk->kong_2_8 ? check_2_8(pdk, method) : SIM_ALLOWED;
}

int sim_phase_refuse(struct call *call) {
    char names[256] = "";
    size_t used = 0;
    size_t id = (size_t)(call->method - pdk_methods);
    const char *now = kong_phase_name(call->pdk->phase);
    for (unsigned i = 0; i < KONG_PHASE_COUNT; i++) {
        if ((phases[id] & (1u << i)) != 0) {
            int len = snprintf(names + used, sizeof names - used, "%s%s", used == 0 ? "" : ", ",
                               kong_phase_name((enum kong_phase)i));
            used += len < 0 ? 0 : (size_t)len;
        }
    }
    if ((phases[id] & (1u << call->pdk->phase)) != 0) {
        return call_raise(call, "API disabled in the context of ngx.timer");
    }
    return call_raise(call, "function cannot be called in %s phase (only in: %s)",
                      now == NULL ? "unknown" : now, names);
}

/* kong.ctx.*, kong.nginx.*, kong.node.*, kong.cluster.*, kong.plugin.*, kong.vault.*,
 * kong.telemetry.* */
#include <stdlib.h>
#include <strings.h>

#include "sim_pdk_call.h"
#include "value.h"

static int map_write(struct call *call, struct kong_value *map) {
    const struct kong_value *key = call_arg(call, 0);
    struct kong_str name = lua_tostring(call->arena, key);
    if (name.data == NULL) {
        return call_raise(call, "table index is %s", lua_type(key));
    }
    return sim_map_set(&call->pdk->memory, map, name, call_arg(call, 1)) ? call_nil(call)
                                                                         : call_nomem(call);
}

static int map_read(struct call *call, const struct kong_value *map) {
    struct kong_str name = lua_tostring(call->arena, call_arg(call, 0));
    const struct kong_value *value = name.data == NULL ? NULL : sim_map_get(map, name);
    return value == NULL ? call_nil(call) : call_value(call, *value);
}

PDK_FUNCTION(CTX_SHARED_SET) {
    return map_write(call, &call->pdk->shared);
}

PDK_FUNCTION(CTX_SHARED_GET) {
    return map_read(call, &call->pdk->shared);
}

PDK_FUNCTION(NGINX_SET_CTX) {
    return map_write(call, &call->pdk->ngx_ctx);
}

/* What Kong itself notes there of a response that it buffered. */
static bool buffered_note(struct call *call, struct kong_value *value) {
    const struct sim_pdk *pdk = call->pdk;
    bool named = call->count > 0 && call->args[0].type == KONG_STRING;
    struct kong_str key = named ? call->args[0].string : kong_str(NULL);
    if (!pdk->upstream.buffered || pdk->service.status == 0) {
        return false;
    }
    *value = kong_str_equal(key, kong_str("buffered_status")) ? kong_integer(pdk->service.status)
                                                              : kong_boolean(true);
    return kong_str_equal(key, kong_str("buffered_status")) ||
           kong_str_equal(key, kong_str("buffered_proxying"));
}

PDK_FUNCTION(NGINX_GET_CTX) {
    struct kong_value value;
    if (buffered_note(call, &value)) {
        return call_value(call, value);
    }
    return map_read(call, &call->pdk->ngx_ctx);
}

static int port_text(struct call *call, int port) {
    struct kong_str text = arena_printf(call->arena, "%d", port);
    return text.data == NULL ? call_nomem(call) : call_string(call, text);
}

/* Variables of a fixed name. False when there is none of that name. */
static bool plain_variable(struct call *call, struct kong_str name, int *outcome) {
    const struct sim_pdk *pdk = call->pdk;
    const struct {
        const char *name;
        struct kong_str value;
    } texts[] = {
        {"request_uri", pdk->request.request_uri},
        {"uri", raw_path(pdk->request.request_uri)},
        {"args", pdk->request.args},
        {"query_string", pdk->request.args},
        {"request_method", pdk->request.method},
        {"scheme", pdk->request.scheme},
        {"host", pdk->request.host},
        {"remote_addr", pdk->request.forwarded_ip},
        {"realip_remote_addr", pdk->request.client_ip},
        {"is_args", kong_str(pdk->request.args.len > 0 ? "?" : "")},
        {"server_protocol", kong_str(pdk->request.http_version == 1.0   ? "HTTP/1.0"
                                     : pdk->request.http_version == 2.0 ? "HTTP/2.0"
                                                                        : "HTTP/1.1")},
        {"upstream_scheme", pdk->upstream.scheme},
        {"upstream_uri", pdk->upstream.path},
        {"upstream_host", pdk->upstream.host_header},
        {"ssl_protocol", pdk->tls_version},
    };
    const struct {
        const char *name;
        int value;
    } numbers[] = {{"server_port", pdk->request.port},
                   {"remote_port", pdk->request.forwarded_port},
                   {"realip_remote_port", pdk->request.client_port},
                   {"status", pdk->client.status}};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        if (kong_str_equal(name, kong_str(texts[i].name))) {
            *outcome = call_string(call, texts[i].value);
            return true;
        }
    }
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        if (kong_str_equal(name, kong_str(numbers[i].name))) {
            *outcome = port_text(call, numbers[i].value);
            return true;
        }
    }
    return false;
}

/* $http_NAME: all values of the header, joined by ", ". */
static int header_variable(struct call *call, const struct fields *headers, struct kong_str name) {
    struct kong_str text = {NULL, 0};
    for (size_t i = 0; i < headers->count; i++) {
        if (!header_name_equal(headers->items[i].name, name)) {
            continue;
        }
        text = text.data == NULL
                   ? headers->items[i].value
                   : arena_printf(call->arena, "%s, %s", text.data, headers->items[i].value.data);
        if (text.data == NULL) {
            return call_nomem(call);
        }
    }
    return call_string(call, text);
}

PDK_FUNCTION(NGINX_GET_VAR) {
    const struct sim_pdk *pdk = call->pdk;
    const struct kong_value *arg = call_arg(call, 0);
    int outcome = SIM_RESULT;
    if (!is_string(arg)) {
        return call_raise(call, "bad variable name");
    }
    struct kong_str name = arg->string;
    const struct kong_value *own = sim_map_get(&pdk->ngx_vars, name);
    if (own != NULL) {
        return call_value(call, *own);
    }
    if (plain_variable(call, name, &outcome)) {
        return outcome;
    }
    if (name.len > 5 && strncmp(name.data, "http_", 5) == 0) {
        return header_variable(call, &pdk->request.headers,
                               (struct kong_str){name.data + 5, name.len - 5});
    }
    if (kong_str_equal(name, kong_str("content_type"))) {
        return header_variable(call, &pdk->request.headers, kong_str("content-type"));
    }
    if (name.len > 14 && strncmp(name.data, "upstream_http_", 14) == 0) {
        return header_variable(call, &pdk->service.headers,
                               (struct kong_str){name.data + 14, name.len - 14});
    }
    if (name.len > 4 && strncmp(name.data, "arg_", 4) == 0) {
        struct kong_value query = kong_bytes(name.data + 4, name.len - 4);
        struct call argument = *call;
        argument.args = &query;
        argument.count = 1;
        return sim_pdk_REQUEST_GET_QUERY_ARG(&argument);
    }
    return call_nil(call);
}

PDK_FUNCTION(NGINX_GET_SUBSYSTEM) {
    return call_string(call, kong_str(call->pdk->phase == KONG_PHASE_PREREAD ? "stream" : "http"));
}

PDK_FUNCTION(NGINX_GET_TLS1_VERSION_STR) {
    return call_string(call, call->pdk->tls_version);
}

PDK_FUNCTION(NGINX_REQ_START_TIME) {
    return call_value(call, kong_number(call->pdk->start_time));
}

PDK_FUNCTION(NGINX_GET_STATISTICS) {
    static const char *const names[] = {
        "connections_active",   "connections_reading", "connections_writing", "connections_waiting",
        "connections_accepted", "connections_handled", "total_requests"};
    size_t count = sizeof names / sizeof *names;
    struct kong_pair *pairs = arena_array(call->arena, count, sizeof *pairs);
    if (pairs == NULL) {
        return call_nomem(call);
    }
    for (size_t i = 0; i < count; i++) {
        pairs[i] = kong_pair(names[i], kong_integer(i == 1 || i == 3 ? 0 : 1));
    }
    return call_value(call, kong_map(pairs, count));
}

PDK_FUNCTION(NODE_GET_ID) {
    return call_string(call, call->pdk->node_id);
}

PDK_FUNCTION(NODE_GET_HOSTNAME) {
    return call_string(call, call->pdk->hostname);
}

PDK_FUNCTION(NODE_GET_MEMORY_STATS) {
    return call_value(call, call->pdk->memory_stats);
}

PDK_FUNCTION(CLUSTER_GET_ID) {
    return call_string(call, call->pdk->cluster_id);
}

PDK_FUNCTION(PLUGIN_GET_ID) {
    return call_string(call, call->pdk->plugin_id);
}

static bool is_reference(const struct kong_value *value) {
    return is_string(value) && value->string.len > 10 &&
           strncmp(value->string.data, "{vault://", 9) == 0 &&
           value->string.data[value->string.len - 1] == '}';
}

PDK_FUNCTION(VAULT_IS_REFERENCE) {
    return call_value(call, kong_boolean(is_reference(call_arg(call, 0))));
}

/* "{vault://env/cert/key?prefix=SSL_#1}": name, resource, and where they are there key, config and
 * version. */
PDK_FUNCTION(VAULT_PARSE_REFERENCE) {
    const struct kong_value *reference = call_arg(call, 0);
    if (!is_reference(reference)) {
        struct kong_str text = lua_tostring(call->arena, reference);
        return call_fail(call, "not a reference [%s]", text.data == NULL ? "nil" : text.data);
    }
    struct kong_str text =
        arena_copy(call->arena, reference->string.data + 9, reference->string.len - 10);
    struct kong_pair *pairs = arena_array(call->arena, 5, sizeof *pairs);
    struct fields config;
    size_t count = 0;
    fields_init(&config, call->arena);
    if (text.data == NULL || pairs == NULL) {
        return call_nomem(call);
    }
    char *rest = (char *)(uintptr_t)text.data;
    char *version = strchr(rest, '#');
    if (version != NULL) {
        *version++ = '\0';
        int64_t number = strtol(version, NULL, 10);
        pairs[count++] = kong_pair("version", kong_integer(number));
    }
    char *query = strchr(rest, '?');
    if (query != NULL) {
        *query++ = '\0';
        pairs[count].key = kong_str("config");
        if (!query_parse(&config, kong_str(query)) ||
            !query_to_map(&config, 0, call->arena, &pairs[count++].value)) {
            return call_nomem(call);
        }
    }
    char *resource = strchr(rest, '/');
    if (resource == NULL || resource[1] == '\0') {
        return call_fail(call, "reference url is missing path [%s]", reference->string.data);
    }
    *resource++ = '\0';
    char *key = strchr(resource, '/');
    if (key != NULL) {
        *key++ = '\0';
        pairs[count++] = kong_pair("key", kong_string(key));
    }
    pairs[count++] = kong_pair("name", kong_string(rest));
    pairs[count++] = kong_pair("resource", kong_string(resource));
    return call_value(call, kong_map(pairs, count));
}

PDK_FUNCTION(VAULT_GET) {
    const struct kong_value *reference = call_arg(call, 0);
    if (!is_reference(reference)) {
        struct kong_str text = lua_tostring(call->arena, reference);
        return call_fail(call, "not a reference [%s]", text.data == NULL ? "nil" : text.data);
    }
    const struct kong_value *secret = sim_map_get(&call->pdk->vault, reference->string);
    return secret == NULL ? call_fail(call, "could not get value from external vault")
                          : call_value(call, *secret);
}

PDK_FUNCTION(TELEMETRY_LOG) {
    const struct kong_value *message = call_arg(call, 3);
    if (!is_string(call_arg(call, 0))) {
        return call_fail(call, "plugin_name must be a string");
    }
    if (!is_table(call_arg(call, 1))) {
        return call_fail(call, "plugin_config must be a table");
    }
    if (!is_string(call_arg(call, 2))) {
        return call_fail(call, "message_type must be a string");
    }
    if (message->type != KONG_NIL && !is_string(message)) {
        return call_fail(call, "message must be a string");
    }
    struct call entry = *call;
    entry.args = message;
    entry.count = message->type == KONG_NIL ? 0 : 1;
    int outcome = log_append(&entry, "telemetry");
    return outcome == SIM_RESULT ? call_value(call, kong_boolean(true)) : outcome;
}

/* kong.ctx.*, kong.nginx.*, kong.node.*, kong.cluster.*, kong.plugin.*,
 * kong.telemetry.* (the variables are in sim_vars.c) */
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

/* Kong's own variables in ngx.ctx: where it keeps who was authenticated. */
static struct kong_value *identity(struct call *call) {
    const struct kong_value *key = call_arg(call, 0);
    if (is_string(key) && kong_str_equal(key->string, kong_str("authenticated_consumer"))) {
        return &call->pdk->consumer;
    }
    return is_string(key) && kong_str_equal(key->string, kong_str("authenticated_credential"))
               ? &call->pdk->credential
               : NULL;
}

PDK_FUNCTION(NGINX_SET_CTX) {
    struct kong_value *own = identity(call);
    if (own == NULL) {
        return map_write(call, &call->pdk->ngx_ctx);
    }
    return value_copy(&call->pdk->memory, call_arg(call, 1), own) ? call_nil(call)
                                                                  : call_nomem(call);
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
    const struct kong_value *own = identity(call);
    if (own != NULL) {
        return call_value(call, *own);
    }
    if (buffered_note(call, &value)) {
        return call_value(call, value);
    }
    return map_read(call, &call->pdk->ngx_ctx);
}

PDK_FUNCTION(NGINX_GET_VAR) {
    const struct kong_value *name = call_arg(call, 0);
    return is_string(name) ? sim_variable(call, name->string)
                           : call_raise(call, "bad variable name");
}

PDK_FUNCTION(NGINX_GET_SUBSYSTEM) {
    return call_string(call, kong_str(sim_pdk_is_stream(call->pdk) ? "stream" : "http"));
}

/* In log there is no connection any more. */
PDK_FUNCTION(NGINX_GET_TLS1_VERSION_STR) {
    return call->pdk->phase == KONG_PHASE_LOG ? call_nil(call)
                                              : call_string(call, sim_tls_version(call->pdk));
}

/* Before there is a request, and in streams, where nginx has no start time: nil, which arrives as
 * 0. */
PDK_FUNCTION(NGINX_REQ_START_TIME) {
    const struct sim_pdk *pdk = call->pdk;
    bool request = pdk->phase != KONG_PHASE_CERTIFICATE && !sim_pdk_is_stream(pdk);
    return request ? call_value(call, kong_number(pdk->start_time)) : call_nil(call);
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
    return call_value(call, sim_pdk_is_stream(call->pdk) ? call->pdk->stream_memory_stats
                                                         : call->pdk->memory_stats);
}

PDK_FUNCTION(CLUSTER_GET_ID) {
    return call_string(call, call->pdk->cluster_id);
}

PDK_FUNCTION(PLUGIN_GET_ID) {
    return call_string(call, call->pdk->plugin_id);
}

/* There is no OpenTelemetry plugin here. */
PDK_FUNCTION(TELEMETRY_LOG) {
    const struct kong_value *message = call_arg(call, 3);
    const struct kong_value *attributes = call_arg(call, 4);
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
    if (attributes->type != KONG_NIL && !is_table(attributes)) {
        return call_fail(call, "attributes must be a table");
    }
    return call_fail(call, "Telemetry logging is disabled: log entry will not be recorded. Ensure "
                           "the OpenTelemetry plugin is correctly configured to report logs in "
                           "order to use this feature.");
}

#include "rpc_conversation.h"

static void reply_error(struct rpc *rpc, struct rpc_reply *reply, const char *text,
                        struct kong_str what) {
    int shown = what.len > 64 ? 64 : (int)what.len;
    struct kong_str detail = arena_printf(rpc->env->scratch, "%s%s%.*s", text,
                                          shown > 0 ? ": " : "", shown, shown > 0 ? what.data : "");
    reply->kind = RPC_REPLY_ERROR;
    reply->error = kong_str(rpc_error_text(rpc, "", detail.data != NULL ? detail.data : text));
}

static void describe(const struct instance *instance, struct rpc_reply *reply) {
    reply->kind = RPC_REPLY_INSTANCE;
    reply->instance = (struct rpc_instance){.name = kong_str(instance->plugin->what->name),
                                            .id = instance->id,
                                            .started_at = instance->started_at};
}

static void complain_of_name(struct rpc *rpc, struct kong_str name) {
    const struct plugins *plugins = rpc->env->plugins;
    struct kong_str names = {"", 0};
    for (size_t i = 0; i < plugins->count && names.data != NULL; i++) {
        names = arena_printf(rpc->env->scratch, "%s%s'%s'", names.data, i > 0 ? ", " : "",
                             plugins->list[i].what->name);
    }
    rpc_complain(rpc->env, LOG_LEVEL_ERROR,
                 "Kong asks for the plugin '%.*s', this server has %s: check "
                 "pluginserver_*_query_cmd and _start_cmd",
                 name.len > 64 ? 64 : (int)name.len, name.data != NULL ? name.data : "",
                 names.data != NULL ? names.data : plugins->name);
}

/* Once in a process: the functions that are missing fail one by one, and do not say why. */
static void check_protocol(const struct rpc *rpc, struct plugin *plugin) {
    static const char text[] =
        "Kong speaks ProtoBuf:1 to %s, which needs MsgPack:1: some of its functions fail. Have the "
        "query commands of all plugins at this socket print Protocol MsgPack:1 (--doctor finds "
        "those that do not), and restart Kong";
    const char *name = plugin->what->name;
    if (rpc->protocol != PROTOCOL_PROTOBUF || plugin->what->protocol != KONG_PROTOCOL_MSGPACK ||
        __atomic_exchange_n(&plugin->told, true, __ATOMIC_RELAXED)) {
        return;
    }
    log_write_for(rpc->env->log, name, LOG_LEVEL_ERROR, NULL, text, name);
    notices_add(events_notices(rpc->env->events), text, name);
}

static void start_instance(struct rpc *rpc, const struct rpc_call *call, struct rpc_reply *reply) {
    struct plugin *plugin = plugins_find(rpc->env->plugins, call->name);
    if (plugin == NULL) {
        complain_of_name(rpc, call->name);
        reply_error(rpc, reply, "unknown plugin", call->name);
        return;
    }
    check_protocol(rpc, plugin);
    char error[160];
    struct instance *instance;
    struct instance_refusal refusal;
    events_enter_configure(rpc->env->events, plugin, call->config, &refusal);
    int rc = registry_start(rpc->env->registry, plugin, call->config, &refusal,
                            rpc->env->now_ms(rpc->env->clock), &instance, error, sizeof error);
    events_leave_configure(rpc->env->events);
    if (rc != 0) {
        rpc_complain(rpc->env, LOG_LEVEL_ERROR, "%s", error);
        reply_error(rpc, reply, error, (struct kong_str){NULL, 0});
        return;
    }
    struct stats_plugin *stats = events_plugin_stats(rpc->env->events, plugin);
    stats_count(&stats->instances_started, 1);
    if (instance->failure != NULL) {
        stats_count(&stats->instances_refused, 1);
        rpc_complain(rpc->env, LOG_LEVEL_ERROR, "%s: instance %d: %s", plugin->what->name,
                     instance->id, instance->failure);
    } else {
        log_write_for(rpc->env->log, plugin->what->name, LOG_LEVEL_DEBUG, NULL,
                      "instance %d started", instance->id);
    }
    describe(instance, reply);
    registry_release(rpc->env->registry, instance);
}

/* Closing one that is gone (forgotten while idle) is no error: Kong would log one that nobody can
 * do anything about. */
static void close_instance(struct rpc *rpc, const struct rpc_call *call, struct rpc_reply *reply) {
    struct instance *instance = registry_ref(rpc->env->registry, call->instance_id);
    if (instance != NULL) {
        const struct plugin *plugin = instance->plugin;
        describe(instance, reply);
        bool closed = registry_close(rpc->env->registry, call->instance_id);
        registry_release(rpc->env->registry, instance);
        stats_count(&events_plugin_stats(rpc->env->events, plugin)->instances_closed, closed);
        log_write_for(rpc->env->log, plugin->what->name, LOG_LEVEL_DEBUG, NULL,
                      "instance %lld closed", (long long)call->instance_id);
        return;
    }
    reply->kind = RPC_REPLY_INSTANCE;
    reply->instance = (struct rpc_instance){.name = kong_str(rpc->env->plugins->name)};
    if (call->instance_id >= INT32_MIN && call->instance_id <= INT32_MAX) {
        reply->instance.id = (int32_t)call->instance_id;
    }
}

struct status_source rpc_status_source(const struct rpc_env *env) {
    struct status_source source = {.plugins = env->plugins,
                                   .stats = events_stats(env->events),
                                   .plugin_stats = events_options(env->events)->plugin_stats,
                                   .registry = env->registry,
                                   .log = env->log,
                                   .threads = 1,
                                   .max_connections = env->max_connections,
                                   .pid = env->pid,
                                   .started_at = env->started_at,
                                   .now = clock_epoch(),
                                   .now_ms = env->now_ms(env->clock)};
    blocking_pool_stats(events_options(env->events)->blocking, &source.blocking);
    if (env->running != NULL) {
        source.restarts = atomic_load_explicit(&env->running->restarts, memory_order_relaxed);
    }
    if (env->gather != NULL) {
        env->gather(env, &source);
    }
    return source;
}

static void get_status(struct rpc *rpc, struct rpc_reply *reply) {
    struct status_source source = rpc_status_source(rpc->env);
    reply->kind = RPC_REPLY_STATUS;
    if (!status_build(&source, rpc->env->scratch, &reply->status)) {
        reply_error(rpc, reply, "no memory", (struct kong_str){NULL, 0});
    }
}

static void get_names(struct rpc *rpc, struct rpc_reply *reply) {
    size_t count = rpc->env->plugins->count;
    struct kong_str *names = arena_array(rpc->env->scratch, count, sizeof *names);
    if (names == NULL) {
        reply_error(rpc, reply, "no memory", (struct kong_str){NULL, 0});
        return;
    }
    for (size_t i = 0; i < count; i++) {
        names[i] = rpc->env->info[i].name;
    }
    reply->kind = RPC_REPLY_NAMES;
    reply->names = names;
    reply->name_count = count;
}

static void get_info(struct rpc *rpc, const struct rpc_call *call, struct rpc_reply *reply) {
    const struct plugin *plugin = plugins_find(rpc->env->plugins, call->name);
    if (plugin == NULL) {
        reply_error(rpc, reply, "unknown plugin", call->name);
        return;
    }
    reply->kind = RPC_REPLY_INFO;
    reply->info = rpc->env->info[plugin->index];
}

void rpc_command(struct rpc *rpc, const struct rpc_call *call, struct rpc_reply *reply) {
    memset(reply, 0, sizeof *reply);
    reply->sequence = call->sequence;
    struct instance *instance;
    switch (call->command) {
    case RPC_PLUGIN_NAMES:
        get_names(rpc, reply);
        break;
    case RPC_PLUGIN_INFO:
        get_info(rpc, call, reply);
        break;
    case RPC_START_INSTANCE:
        start_instance(rpc, call, reply);
        break;
    case RPC_INSTANCE_STATUS:
        instance = registry_ref(rpc->env->registry, call->instance_id);
        if (instance == NULL) {
            reply_error(rpc, reply, "this instance is not running", (struct kong_str){NULL, 0});
            break;
        }
        describe(instance, reply);
        registry_release(rpc->env->registry, instance);
        break;
    case RPC_CLOSE_INSTANCE:
        close_instance(rpc, call, reply);
        break;
    case RPC_GET_STATUS:
        get_status(rpc, reply);
        break;
    default:
        reply_error(rpc, reply, "unknown command", call->method);
        break;
    }
}

#include "rpc_conversation.h"

#include <sys/time.h>

#include "identity.h"

static void reply_error(struct rpc *rpc, struct rpc_reply *reply, const char *text,
                        struct kong_str what) {
    int shown = what.len > 64 ? 64 : (int)what.len;
    struct kong_str detail = arena_printf(rpc->env->scratch, "%s%s%.*s", text,
                                          shown > 0 ? ": " : "", shown, shown > 0 ? what.data : "");
    reply->kind = RPC_REPLY_ERROR;
    reply->error = kong_str(rpc_error_text(rpc, "", detail.data != NULL ? detail.data : text));
}

static void describe(const struct rpc *rpc, const struct instance *instance,
                     struct rpc_reply *reply) {
    reply->kind = RPC_REPLY_INSTANCE;
    reply->instance = (struct rpc_instance){.name = kong_str(rpc->env->plugin->name),
                                            .id = instance->id,
                                            .started_at = instance->started_at};
}

static void start_instance(struct rpc *rpc, const struct rpc_call *call, struct rpc_reply *reply) {
    if (!kong_str_equal(call->name, kong_str(rpc->env->plugin->name))) {
        rpc_complain(rpc->env, LOG_LEVEL_ERROR,
                     "Kong asks for the plugin '%.*s', this server has '%s': check "
                     "pluginserver_*_query_cmd and _start_cmd",
                     call->name.len > 64 ? 64 : (int)call->name.len,
                     call->name.data != NULL ? call->name.data : "", rpc->env->plugin->name);
        reply_error(rpc, reply, "unknown plugin", call->name);
        return;
    }
    char error[160];
    struct instance *instance;
    struct instance_refusal refusal;
    events_enter_configure(rpc->env->events, config_identity(call->config), &refusal);
    int rc = registry_start(rpc->env->registry, call->config, &refusal,
                            rpc->env->now_ms(rpc->env->clock), &instance, error, sizeof error);
    events_leave_configure(rpc->env->events);
    if (rc != 0) {
        rpc_complain(rpc->env, LOG_LEVEL_ERROR, "%s", error);
        reply_error(rpc, reply, error, (struct kong_str){NULL, 0});
        return;
    }
    struct stats *stats = events_stats(rpc->env->events);
    stats_count(&stats->instances_started, 1);
    if (instance->failure != NULL) {
        stats_count(&stats->instances_refused, 1);
        rpc_complain(rpc->env, LOG_LEVEL_ERROR, "instance %d: %s", instance->id, instance->failure);
    } else {
        log_write(rpc->env->log, LOG_LEVEL_DEBUG, "instance %d started", instance->id);
    }
    describe(rpc, instance, reply);
    registry_release(rpc->env->registry, instance);
}

/* Closing one that is gone (forgotten while idle) is no error: Kong would log one that nobody can
 * do anything about. */
static void close_instance(struct rpc *rpc, const struct rpc_call *call, struct rpc_reply *reply) {
    struct instance *instance = registry_ref(rpc->env->registry, call->instance_id);
    if (instance != NULL) {
        describe(rpc, instance, reply);
        bool closed = registry_close(rpc->env->registry, call->instance_id);
        registry_release(rpc->env->registry, instance);
        stats_count(&events_stats(rpc->env->events)->instances_closed, closed);
        log_write(rpc->env->log, LOG_LEVEL_DEBUG, "instance %lld closed",
                  (long long)call->instance_id);
        return;
    }
    reply->kind = RPC_REPLY_INSTANCE;
    reply->instance = (struct rpc_instance){.name = kong_str(rpc->env->plugin->name)};
    if (call->instance_id >= INT32_MIN && call->instance_id <= INT32_MAX) {
        reply->instance.id = (int32_t)call->instance_id;
    }
}

struct status_source rpc_status_source(const struct rpc_env *env) {
    struct timeval now;
    gettimeofday(&now, NULL);
    struct status_source source = {.plugin = env->plugin,
                                   .stats = events_stats(env->events),
                                   .events_alive = events_alive_all(env->events),
                                   .registry = env->registry,
                                   .log = env->log,
                                   .threads = 1,
                                   .max_connections = env->max_connections,
                                   .pid = env->pid,
                                   .started_at = env->started_at,
                                   .now = (double)now.tv_sec + (double)now.tv_usec / 1e6,
                                   .now_ms = env->now_ms(env->clock)};
    source.jobs = events_options(env->events)->shared->jobs;
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

void rpc_command(struct rpc *rpc, const struct rpc_call *call, struct rpc_reply *reply) {
    memset(reply, 0, sizeof *reply);
    reply->sequence = call->sequence;
    struct instance *instance;
    switch (call->command) {
    case RPC_PLUGIN_NAMES:
        reply->kind = RPC_REPLY_NAMES;
        reply->names = &rpc->env->info->name;
        reply->name_count = 1;
        break;
    case RPC_PLUGIN_INFO:
        if (!kong_str_equal(call->name, rpc->env->info->name)) {
            reply_error(rpc, reply, "unknown plugin", call->name);
            break;
        }
        reply->kind = RPC_REPLY_INFO;
        reply->info = *rpc->env->info;
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
        describe(rpc, instance, reply);
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

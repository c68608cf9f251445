#include "rpc.h"

#include <stdarg.h>
#include <stdio.h>
#include <sys/time.h>

#include "limit.h"
#include "msgpack_fast.h"
#include "msgpack_rpc.h"
#include "phase.h"

/* Bytes are added to a half message in pieces of this size, so that what follows it costs no more.
 */
#define PIECE            ((size_t)64 << 10)
#define TEXT_NO_INSTANCE "no plugin instance"

void rpc_init(struct rpc *rpc, const struct rpc_env *env, void (*wake)(struct rpc *)) {
    memset(rpc, 0, sizeof *rpc);
    rpc->env = env;
    rpc->wake = wake;
    buffer_init(&rpc->in, env->max_frame + sizeof(uint32_t) + PIECE);
    buffer_init(&rpc->out, LIMIT_OUT);
}

int rpc_fail(struct rpc *rpc, const char *format, ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(rpc->reason, sizeof rpc->reason, format, args);
    va_end(args);
    rpc->broken = true;
    return -1;
}

void rpc_wake(struct rpc *rpc) {
    if (!rpc->feeding) {
        rpc->wake(rpc);
    }
}

int rpc_kong_error(int codec_error) {
    switch (codec_error) {
    case CODEC_OK:
        return KONG_OK;
    case CODEC_E_NOMEM:
        return KONG_E_NOMEM;
    default:
        return KONG_E_INVALID;
    }
}

/* MsgPack's requests of each event, which need not be cut out before they are decoded. 1: it was
 * one, and is done; 0: it is something else; -1. */
static int take_hot(struct rpc *rpc, const uint8_t *data, size_t len, size_t *total) {
    struct rpc_call call;
    if (rpc->protocol != PROTOCOL_MSGPACK || rpc->ending || !frame_reader_at_start(&rpc->reader)) {
        return 0;
    }
    *total = msgpack_fast_call(data, len, rpc->reader.limit, &call);
    if (*total == 0) {
        return 0;
    }
    struct frame frame = {data, *total, *total};
    rpc->reader.limit = rpc->env->max_frame;
    arena_reset(rpc->env->scratch);
    return rpc_msgpack_call(rpc, &frame, &call) == 0 ? 1 : -1;
}

static int take_frame(struct rpc *rpc, const uint8_t *data, size_t len, size_t *total) {
    struct codec_reason reason;
    struct frame frame;
    size_t missing;
    int rc = 1;
    if (frame_protobuf_whole(&rpc->reader, data, len, &frame)) {
        rpc->reader.limit = rpc->env->max_frame;
    } else {
        rc = frame_next(&rpc->reader, data, len, rpc->env->max_frame, &frame, &missing, &reason);
    }
    if (rc == 0) {
        return 0;
    }
    if (rc < 0) {
        return rpc_fail(rpc, "%s", reason.text);
    }
    *total = frame.total;
    arena_reset(rpc->env->scratch);
    rc = rpc->protocol == PROTOCOL_PROTOBUF ? rpc_protobuf_message(rpc, &frame)
                                            : rpc_msgpack_message(rpc, &frame);
    return rc == 0 ? 1 : -1;
}

/* Whole messages out of data; *used says how far it came. */
static int take_messages(struct rpc *rpc, const uint8_t *data, size_t len, size_t *used) {
    *used = 0;
    while (*used < len) {
        size_t total = 0;
        int rc = take_hot(rpc, data + *used, len - *used, &total);
        if (rc == 0) {
            rc = take_frame(rpc, data + *used, len - *used, &total);
        }
        if (rc <= 0) {
            return rc;
        }
        *used += total;
    }
    return 0;
}

static bool detect(struct rpc *rpc, const uint8_t *data, size_t len) {
    rpc->protocol = frame_detect(data, len);
    if (rpc->protocol == PROTOCOL_UNKNOWN) {
        return false;
    }
    size_t first =
        rpc->env->max_frame < LIMIT_FIRST_FRAME ? rpc->env->max_frame : LIMIT_FIRST_FRAME;
    frame_reader_init(&rpc->reader, rpc->protocol, first);
    return true;
}

/* Messages are read in place where nothing came before them; else bytes are added to what did. */
static int feed(struct rpc *rpc, const uint8_t *data, size_t len) {
    size_t used;
    if (rpc->in.len == 0 && rpc->protocol != PROTOCOL_UNKNOWN) {
        if (take_messages(rpc, data, len, &used) != 0) {
            return -1;
        }
        data += used;
        len -= used;
    }
    while (len > 0) {
        size_t piece = len < PIECE ? len : PIECE;
        buffer_append(&rpc->in, data, piece);
        if (rpc->in.failed) {
            return rpc_fail(rpc, "no memory for a message of more than %zu bytes", rpc->in.len);
        }
        data += piece;
        len -= piece;
        if (rpc->protocol == PROTOCOL_UNKNOWN && !detect(rpc, rpc->in.data, rpc->in.len)) {
            continue;
        }
        if (take_messages(rpc, rpc->in.data, rpc->in.len, &used) != 0) {
            return -1;
        }
        buffer_consume(&rpc->in, used);
    }
    if (rpc->in.len == 0) {
        buffer_clear(&rpc->in, 0);
    }
    return rpc->broken ? -1 : 0;
}

int rpc_feed(struct rpc *rpc, const uint8_t *data, size_t len) {
    if (rpc->broken) {
        return -1;
    }
    rpc->feeding = true;
    rpc->nudged = false;
    int rc = feed(rpc, data, len);
    rpc->feeding = false;
    return rc;
}

void rpc_close(struct rpc *rpc) {
    rpc->broken = true;
    rpc->feeding = true; /* nobody is there to be woken for */
    if (rpc->protocol == PROTOCOL_PROTOBUF) {
        rpc_protobuf_close(rpc);
    } else if (rpc->protocol == PROTOCOL_MSGPACK) {
        rpc_msgpack_close(rpc);
    }
    buffer_free(&rpc->in);
    buffer_free(&rpc->out);
}

static bool is_quiet(const struct rpc *rpc) {
    return rpc->event == NULL && rpc->requests == NULL && rpc->process_forwards == NULL &&
           rpc->thread_forwards == NULL && rpc->in.len == 0 && rpc->out.len == 0;
}

bool rpc_idle(const struct rpc *rpc) {
    if (!is_quiet(rpc)) {
        return false;
    }
    if (rpc->protocol == PROTOCOL_MSGPACK) { /* the Step of any may come over this connection */
        return events_alive_all(rpc->env->events) == 0;
    }
    return rpc->results_due == 0 ||
           rpc->exited; /* Kong fails a request whose answer it can't write */
}

bool rpc_answered(const struct rpc *rpc) {
    return rpc->protocol == PROTOCOL_PROTOBUF && is_quiet(rpc);
}

bool rpc_nudgeable(const struct rpc *rpc) {
    return rpc->protocol == PROTOCOL_MSGPACK && !rpc->nudged && is_quiet(rpc);
}

bool rpc_nudge(struct rpc *rpc) {
    if (!rpc_nudgeable(rpc)) {
        return false;
    }
    rpc->nudged = true;
    return msgpack_encode_server_pid(&rpc->out, rpc->env->pid) == CODEC_OK;
}

/* --- commands --- */

const char *rpc_error_text(struct rpc *rpc, const char *name, const char *text) {
    struct kong_str whole =
        arena_printf(rpc->env->scratch, "%s%s%s", name, name[0] != '\0' ? ": " : "", text);
    if (whole.data == NULL) {
        return "no memory";
    }
    char *writable = (char *)(uintptr_t)whole.data;
    char *found;
    while ((found = strcasestr(writable, TEXT_NO_INSTANCE)) != NULL) {
        found[strlen("no")] = '_';
    }
    return whole.data;
}

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
        log_write(rpc->env->log, LOG_LEVEL_ERROR,
                  "Kong asks for the plugin '%.*s', this server has '%s': check "
                  "pluginserver_*_query_cmd and _start_cmd",
                  call->name.len > 64 ? 64 : (int)call->name.len,
                  call->name.data != NULL ? call->name.data : "", rpc->env->plugin->name);
        reply_error(rpc, reply, "unknown plugin", call->name);
        return;
    }
    char error[160];
    struct instance *instance;
    if (registry_start(rpc->env->registry, call->config, rpc->env->now_ms(rpc->env->clock),
                       &instance, error, sizeof error) != 0) {
        log_write(rpc->env->log, LOG_LEVEL_ERROR, "%s", error);
        reply_error(rpc, reply, error, (struct kong_str){NULL, 0});
        return;
    }
    struct stats *stats = events_stats(rpc->env->events);
    stats_count(&stats->instances_started, 1);
    if (instance->failure != NULL) {
        stats_count(&stats->instances_refused, 1);
        log_write(rpc->env->log, LOG_LEVEL_ERROR, "instance %d: %s", instance->id,
                  instance->failure);
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
                                   .connections = env->connections == NULL ? 0 : *env->connections,
                                   .max_connections = env->max_connections,
                                   .pid = env->pid,
                                   .started_at = env->started_at,
                                   .now = (double)now.tv_sec + (double)now.tv_usec / 1e6,
                                   .now_ms = env->now_ms(env->clock)};
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

struct instance *rpc_find_instance(struct rpc *rpc, const struct rpc_call *call,
                                   enum kong_phase *phase, const char **error) {
    int found = phase_by_name(call->event);
    if (found < 0) {
        *error = "unknown event";
        return NULL;
    }
    *phase = (enum kong_phase)found;
    struct instance *instance =
        registry_use(rpc->env->registry, call->instance_id, rpc->env->now_ms(rpc->env->clock));
    if (instance == NULL) {
        stats_count(&events_stats(rpc->env->events)->unknown_instances, 1);
        *error = TEXT_NO_INSTANCE;
    }
    return instance;
}

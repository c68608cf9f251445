#include "rpc_msgpack_answer.h"

#include "event_report.h"
#include "msgpack_rpc.h"
#include "rpc_conversation.h"

int rpc_msgpack_announce(struct rpc *rpc) {
    int rc = rpc->announced ? CODEC_OK : msgpack_encode_server_pid(&rpc->out, rpc->env->pid);
    rpc->announced = rc == CODEC_OK;
    return rc;
}

int rpc_msgpack_try_to_send(struct rpc *rpc, const struct rpc_reply *reply) {
    int rc = rpc->announced ? CODEC_OK : rpc_msgpack_announce(rpc);
    if (rc == CODEC_OK) {
        rc = msgpack_encode_reply(&rpc->out, reply);
    }
    if (rc == CODEC_OK) {
        rpc_wake(rpc);
    }
    return rc;
}

/* Memory that is always there, for an end or an error: a connection that closes in mid-event lets
 * the request pass the plugin. */
static bool say_without_memory(struct rpc *rpc, const struct rpc_reply *reply) {
    uint8_t room[512];
    struct buffer bytes = {.data = room, .capacity = sizeof room, .limit = sizeof room};
    if (rpc->say_at_once == NULL ||
        (!rpc->announced && msgpack_encode_server_pid(&bytes, rpc->env->pid) != CODEC_OK) ||
        msgpack_encode_reply(&bytes, reply) != CODEC_OK ||
        !rpc->say_at_once(rpc, bytes.data, bytes.len)) {
        return false;
    }
    rpc->announced = true;
    return true;
}

/* What rpc_msgpack_try_to_send could not write. */
static __attribute__((noinline)) void send_unwritten(struct rpc *rpc, const struct rpc_reply *reply,
                                                     int codec_error) {
    if (say_without_memory(rpc, reply)) {
        return;
    }
    struct rpc_reply error = {.kind = RPC_REPLY_ERROR,
                              .sequence = reply->sequence,
                              .error = kong_str(codec_strerror(codec_error))};
    if (msgpack_encode_reply(&rpc->out, &error) != 0 && !say_without_memory(rpc, &error)) {
        rpc_fail(rpc, "no memory for an answer");
    }
    rpc_wake(rpc);
}

void rpc_msgpack_send(struct rpc *rpc, const struct rpc_reply *reply) {
    int rc = rpc_msgpack_try_to_send(rpc, reply);
    if (rc != CODEC_OK) {
        send_unwritten(rpc, reply, rc);
    }
}

void rpc_msgpack_send_error(struct rpc *rpc, int64_t msgid, const char *text) {
    struct rpc_reply reply = {.kind = RPC_REPLY_ERROR, .sequence = msgid, .error = kong_str(text)};
    rpc_msgpack_send(rpc, &reply);
}

void rpc_msgpack_send_exit(struct rpc *rpc, int64_t msgid, const char *plugin, const char *line,
                           const char *why) {
    struct rpc_reply reply = {.kind = RPC_REPLY_PDK_CALL,
                              .sequence = msgid,
                              .method = pdk_methods[PDK_RESPONSE_EXIT].name,
                              .args = event_exit_args,
                              .arg_count = EVENT_EXIT_ARGS};
    if (line != NULL) {
        notices_add(events_notices(rpc->env->events), "%s: %s: %s", plugin, line, why);
    }
    rpc_msgpack_send(rpc, &reply);
}

void rpc_msgpack_refuse(struct rpc *rpc, int64_t msgid, const struct kong_plugin *plugin,
                        enum kong_phase phase, const char *why) {
    bool due = events_refusal_due(rpc->env->events);
    if (due) {
        log_write_for(rpc->env->log, plugin->name, LOG_LEVEL_ERROR, NULL, "event refused: %s", why);
    }
    if (event_fails_closed(plugin, phase)) {
        rpc_msgpack_send_exit(rpc, msgid, plugin->name, due ? "event refused" : NULL, why);
        return;
    }
    if (!due) {
        rpc_msgpack_send(rpc, &(struct rpc_reply){.kind = RPC_REPLY_RETURN, .sequence = msgid});
        return;
    }
    rpc_msgpack_send_error(rpc, msgid, rpc_error_text(rpc, plugin->name, why));
}

bool rpc_one_fails_closed(const struct plugins *plugins) {
    for (size_t i = 0; i < plugins->count; i++) {
        const struct plugin *plugin = &plugins->list[i];
        for (unsigned phase = 0; phase < KONG_PHASE_COUNT; phase++) {
            if (plugin->handlers[phase] != NULL &&
                event_fails_closed(plugin->what, (enum kong_phase)phase)) {
                return true;
            }
        }
    }
    return false;
}

/* Kong sends no Step behind an end, so one that finds nothing is in the middle of a request. */
void rpc_msgpack_lost(struct rpc *rpc, int64_t msgid, bool closed, const char *why) {
    if (!closed) {
        rpc_msgpack_send_error(rpc, msgid, why);
        return;
    }
    bool due = events_refusal_due(rpc->env->events);
    if (due) {
        log_write(rpc->env->log, LOG_LEVEL_ERROR, "event lost, its request ended: %s", why);
    }
    rpc_msgpack_send_exit(rpc, msgid, rpc->env->plugins->name,
                          due ? "event lost, its request ended" : NULL, why);
}

void rpc_msgpack_gone(struct rpc *rpc, int64_t msgid) {
    rpc_msgpack_send_error(rpc, msgid, RPC_NO_INSTANCE ": the server that had the event is gone");
}

void rpc_msgpack_forwarded(struct rpc *rpc, int64_t msgid, bool closed, const uint8_t *data,
                           size_t len) {
    bool announced = rpc_msgpack_announce(rpc) == CODEC_OK;
    size_t before = rpc->out.len;
    buffer_append(&rpc->out, data, len);
    if (rpc->out.failed || !announced) {
        buffer_truncate(&rpc->out, before);
        rpc_msgpack_lost(rpc, msgid, closed,
                         "no memory for the answer of the server that has the event");
    }
    rpc_wake(rpc);
}

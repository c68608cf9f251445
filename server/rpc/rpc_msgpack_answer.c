#include "rpc_msgpack_answer.h"

#include "msgpack_rpc.h"
#include "rpc_conversation.h"

void rpc_msgpack_announce(struct rpc *rpc) {
    if (!rpc->announced) {
        rpc->announced = true;
        if (msgpack_encode_server_pid(&rpc->out, rpc->env->pid) != 0) {
            rpc_fail(rpc, "no memory for an answer");
        }
    }
}

int rpc_msgpack_try_to_send(struct rpc *rpc, const struct rpc_reply *reply) {
    rpc_msgpack_announce(rpc);
    int rc = rpc->state >= RPC_BROKEN ? CODEC_OK : msgpack_encode_reply(&rpc->out, reply);
    if (rc == CODEC_OK && rpc->state < RPC_BROKEN) {
        rpc_wake(rpc);
    }
    return rc;
}

void rpc_msgpack_send(struct rpc *rpc, const struct rpc_reply *reply) {
    int rc = rpc_msgpack_try_to_send(rpc, reply);
    if (rc == CODEC_OK) {
        return;
    }
    struct rpc_reply error = {.kind = RPC_REPLY_ERROR,
                              .sequence = reply->sequence,
                              .error = kong_str(codec_strerror(rc))};
    if (msgpack_encode_reply(&rpc->out, &error) != 0) {
        rpc_fail(rpc, "no memory for an answer");
    }
    rpc_wake(rpc);
}

void rpc_msgpack_send_error(struct rpc *rpc, int64_t msgid, const char *text) {
    struct rpc_reply reply = {.kind = RPC_REPLY_ERROR, .sequence = msgid, .error = kong_str(text)};
    rpc_msgpack_send(rpc, &reply);
}

bool rpc_msgpack_fails_closed(const struct kong_plugin *plugin, unsigned phases) {
    return plugin->on_error == KONG_FAIL_CLOSED &&
           (pdk_methods[PDK_RESPONSE_EXIT].phases & phases) != 0;
}

void rpc_msgpack_send_exit(struct rpc *rpc, int64_t msgid, const char *plugin, const char *line,
                           const char *why) {
    struct kong_value args[] = {kong_integer(500), kong_string(EVENT_FAILED_BODY)};
    struct rpc_reply reply = {.kind = RPC_REPLY_PDK_CALL,
                              .sequence = msgid,
                              .method = pdk_methods[PDK_RESPONSE_EXIT].name,
                              .args = args,
                              .arg_count = 2};
    if (line != NULL) {
        notices_add(events_notices(rpc->env->events), "%s: %s: %s", plugin, line, why);
    }
    rpc_msgpack_send(rpc, &reply);
}

#include "forward.h"

#include "rpc_conversation.h"
#include "rpc_msgpack_answer.h"

void forward_link(struct forward *forward, struct rpc *rpc, const struct rpc_call *step,
                  size_t len) {
    forward->msgid = step->sequence;
    forward->closed = event_id_fails_closed(step->event_id);
    forward->len = len;
    forward->rpc = rpc;
    LIST_INSERT_HEAD(&rpc->forwards, forward, link);
    rpc->forwarded_bytes += forward->len;
}

void forward_answer(struct forward *forward, const uint8_t *data, size_t len) {
    struct rpc *rpc = forward_unlink(forward);
    if (rpc != NULL) {
        rpc_msgpack_forwarded(rpc, forward->msgid, forward->closed, data, len);
    }
}

void forward_fail(struct forward *forward, const char *why) {
    struct rpc *rpc = forward_unlink(forward);
    if (rpc != NULL) {
        rpc_msgpack_lost(rpc, forward->msgid, forward->closed, why);
    }
}

void forward_gone(struct forward *forward) {
    struct rpc *rpc = forward_unlink(forward);
    if (rpc != NULL) {
        rpc_msgpack_gone(rpc, forward->msgid);
    }
}

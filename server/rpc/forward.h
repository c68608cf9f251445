/* Steps of MsgPack:1 on their way to where their event lives: another thread (thread_forward.h), or
 * the server of another generation (process_forward.h). */
#ifndef SERVER_FORWARD_H
#define SERVER_FORWARD_H

#include "rpc.h"

/* One Step. Embedded in its carrier's own struct, which the carrier owns. */
struct forward {
    struct rpc *rpc; /* that waits for the answer; NULL: none does any more */
    LIST_ENTRY(forward) link;
    /* The rpc is going: drop the Step. The forward is unlinked already. */
    void (*recall)(struct forward *forward);
    int64_t msgid;
    bool closed; /* its request ends where its event is lost */
    size_t len;  /* of the message */
};

/* The carrier has set recall. `len`: of the Step's message. */
void forward_link(struct forward *forward, struct rpc *rpc, const struct rpc_call *step,
                  size_t len);

/* The rpc that waited for the answer; NULL: none did any more. */
static inline struct rpc *forward_unlink(struct forward *forward) {
    struct rpc *rpc = forward->rpc;
    if (rpc != NULL) {
        LIST_REMOVE(forward, link);
        rpc->forwarded_bytes -= forward->len;
        forward->rpc = NULL;
    }
    return rpc;
}

/* The Step is over: unlinks it and hands the rpc the answer (a whole message), or tells it that
 * there will be none, and why (static). Nothing happens when no rpc waits. */
void forward_answer(struct forward *forward, const uint8_t *data, size_t len);
void forward_fail(struct forward *forward, const char *why);
/* … or that the event is gone with the server that had it. */
void forward_gone(struct forward *forward);

#endif

#include "thread_forward.h"

#include <stdlib.h>

#include "rpc_conversation.h"

/* One Step on its way. Owned by the waiting_rpc's worker, which frees it when all of its messages
 * have come back: `step` comes with the answer, unless `recall` was there first; `recall` always
 * does. Messages between two workers do not overtake each other. */
struct thread_forward {
    struct message step, recall;
    struct worker *from, *to;
    /* Touched on the waiting_rpc's thread only. */
    struct rpc *waiting_rpc; /* NULL: gone */
    struct thread_forward *prev, *next;
    bool recalled;
    /* Touched on the event's thread, until `step` is on its way back. */
    struct rpc rpc; /* what the event talks to */
    bool over;      /* answered, or recalled */
    size_t len;
    uint8_t message[];
};

/* --- the waiting_rpc's side --- */

static void unlink_forward(struct thread_forward *forward) {
    struct rpc *rpc = forward->waiting_rpc;
    *(forward->prev != NULL ? &forward->prev->next : &rpc->thread_forwards) = forward->next;
    if (forward->next != NULL) {
        forward->next->prev = forward->prev;
    }
    forward->waiting_rpc = NULL;
    rpc->forwarded_bytes -= forward->len;
}

static void thread_forward_free(struct thread_forward *forward) {
    forward->from->forwards_sent--;
    buffer_free(&forward->rpc.out);
    free(forward);
}

static void on_answer(struct message *message, struct worker *worker) {
    struct thread_forward *forward = (struct thread_forward *)message;
    struct rpc *rpc = forward->waiting_rpc;
    (void)worker;
    if (forward->recalled) {
        return; /* `recall` is on its way back, too */
    }
    unlink_forward(forward);
    if (forward->rpc.broken) {
        rpc_fail(rpc, "no memory for an answer");
        rpc_wake(rpc);
    } else {
        rpc_msgpack_forwarded(rpc, forward->rpc.out.data, forward->rpc.out.len);
    }
    thread_forward_free(forward);
}

static void on_recalled(struct message *message, struct worker *worker) {
    struct thread_forward *forward =
        (struct thread_forward *)((char *)message - offsetof(struct thread_forward, recall));
    (void)worker;
    thread_forward_free(forward);
}

/* --- the event's side --- */

static void go_back(struct thread_forward *forward) {
    forward->over = true;
    forward->step.deliver = on_answer;
    worker_post(forward->from, &forward->step);
}

/* What answers a Step is the last that is said to it. */
static void on_wake(struct rpc *rpc) {
    go_back((struct thread_forward *)((char *)rpc - offsetof(struct thread_forward, rpc)));
}

static void on_step(struct message *message, struct worker *worker) {
    struct thread_forward *forward = (struct thread_forward *)message;
    struct rpc *rpc = &forward->rpc;
    struct frame frame = {forward->message, forward->len, forward->len};
    rpc_init(rpc, &worker->conns.rpc, on_wake);
    rpc->protocol = PROTOCOL_MSGPACK;
    rpc->announced = true; /* by the waiting_rpc */
    rpc->feeding = true;
    arena_reset(&worker->scratch);
    rpc_msgpack_message(rpc, &frame);
    rpc->feeding = false;
    if (rpc->out.len > 0 || rpc->broken) {
        go_back(forward);
    }
}

static void on_recall(struct message *message, struct worker *worker) {
    struct thread_forward *forward =
        (struct thread_forward *)((char *)message - offsetof(struct thread_forward, recall));
    (void)worker;
    if (!forward->over) {
        forward->over = true;
        rpc_close(&forward->rpc);
    }
    forward->recall.deliver = on_recalled;
    worker_post(forward->from, &forward->recall);
}

/* --- both --- */

bool thread_forward_start(struct rpc *rpc, uint32_t worker_index, int64_t msgid,
                          const uint8_t *data, size_t len) {
    struct worker *from =
        (struct worker *)((char *)(uintptr_t)rpc->env - offsetof(struct worker, conns.rpc));
    struct thread_forward *forward =
        worker_index < from->options.count ? calloc(1, sizeof *forward + len) : NULL;
    (void)msgid; /* it is in the message, and in the answer */
    if (forward == NULL) {
        return false;
    }
    forward->step.deliver = on_step;
    forward->recall.deliver = on_recall;
    forward->from = from;
    forward->to = &from->options.all[worker_index];
    forward->len = len;
    memcpy(forward->message, data, len);
    forward->waiting_rpc = rpc;
    forward->next = rpc->thread_forwards;
    if (rpc->thread_forwards != NULL) {
        rpc->thread_forwards->prev = forward;
    }
    rpc->thread_forwards = forward;
    rpc->forwarded_bytes += len;
    from->forwards_sent++;
    worker_post(forward->to, &forward->step);
    return true;
}

void thread_forward_forget(struct rpc *rpc) {
    while (rpc->thread_forwards != NULL) {
        struct thread_forward *forward = rpc->thread_forwards;
        unlink_forward(forward);
        forward->recalled = true;
        worker_post(forward->to, &forward->recall);
    }
}

#include "thread_forward.h"

#include <stdlib.h>

#include "forward.h"
#include "rpc_conversation.h"

/* One Step on its way. The worker that sends it owns it, and frees it when all of its messages have
 * come back: `step` comes with the answer, unless `recall` was there first; `recall` always does.
 * Messages between two workers do not overtake each other. */
struct thread_forward {
    struct message step, recall;
    struct worker *from, *to;
    /* Touched on the sender's thread only. */
    struct forward forward;
    bool recalled;
    /* Touched on the event's thread, until `step` is on its way back. */
    struct rpc rpc; /* what the event talks to */
    bool over;      /* answered, or recalled */
    size_t len;
    uint8_t data[];
};

static struct thread_forward *of_recall(struct message *message) {
    return (struct thread_forward *)((char *)message - offsetof(struct thread_forward, recall));
}

/* --- the sender's side --- */

static void forward_free(struct thread_forward *forward) {
    forward->from->forwards_sent--;
    budget_give(&forward->from->budget, forward->len);
    buffer_free(&forward->rpc.out);
    free(forward);
}

static void on_answer(struct message *message, struct worker *worker) {
    struct thread_forward *forward = (struct thread_forward *)message;
    (void)worker;
    if (forward->recalled) {
        return; /* `recall` is on its way back, too */
    }
    if (forward->rpc.state >= RPC_BROKEN) {
        forward_fail(&forward->forward, "no memory for an answer");
    } else {
        forward_answer(&forward->forward, forward->rpc.out.data, forward->rpc.out.len);
    }
    forward_free(forward);
}

static void on_recalled(struct message *message, struct worker *worker) {
    (void)worker;
    forward_free(of_recall(message));
}

static void recall(struct forward *base) {
    struct thread_forward *forward =
        (struct thread_forward *)((char *)base - offsetof(struct thread_forward, forward));
    forward->recalled = true;
    worker_post(forward->to, &forward->recall);
}

/* --- the event's side --- */

static void go_back(struct thread_forward *forward) {
    forward->over = true;
    forward->step.deliver = on_answer;
    worker_post(forward->from, &forward->step);
}

/* A Step has one answer: nothing more is said to it. */
static void on_wake(struct rpc *rpc) {
    go_back((struct thread_forward *)((char *)rpc - offsetof(struct thread_forward, rpc)));
}

static void on_step(struct message *message, struct worker *worker) {
    struct thread_forward *forward = (struct thread_forward *)message;
    struct rpc *rpc = &forward->rpc;
    rpc_init(rpc, &worker->conns.rpc, on_wake);
    rpc->protocol = PROTOCOL_MSGPACK;
    rpc->announced = true; /* by the sender */
    rpc->feeding = true;
    arena_reset(&worker->scratch);
    rpc_msgpack_message(rpc, forward->data, forward->len);
    rpc->feeding = false;
    if (rpc->out.len > 0 || rpc->state >= RPC_BROKEN) {
        go_back(forward);
    }
}

static void on_recall(struct message *message, struct worker *worker) {
    struct thread_forward *forward = of_recall(message);
    (void)worker;
    if (!forward->over) {
        forward->over = true;
        rpc_close(&forward->rpc);
    }
    forward->recall.deliver = on_recalled;
    worker_post(forward->from, &forward->recall);
}

/* --- both --- */

bool thread_forward_start(struct rpc *rpc, uint32_t worker_index, const struct rpc_call *step,
                          const uint8_t *data, size_t len) {
    struct worker *from =
        (struct worker *)((char *)(uintptr_t)rpc->env - offsetof(struct worker, conns.rpc));
    if (worker_index >= from->options.count || !budget_take(rpc->env->budget, len)) {
        return false;
    }
    struct thread_forward *forward = calloc(1, sizeof *forward + len);
    if (forward == NULL) {
        budget_give(rpc->env->budget, len);
        return false;
    }
    forward->step.deliver = on_step;
    forward->recall.deliver = on_recall;
    forward->from = from;
    forward->to = &from->options.all[worker_index];
    forward->len = len;
    memcpy(forward->data, data, len);
    forward->forward = (struct forward){.recall = recall};
    forward_link(&forward->forward, rpc, step, len);
    from->forwards_sent++;
    worker_post(forward->to, &forward->step);
    return true;
}

#include "passage.h"

#include <stdlib.h>

/* One Step on its way. Owned by the asker's worker, which frees it when all of its letters have
 * come back: `step` comes with the answer, unless `recall` was there first; `recall` always does.
 * Letters between two workers do not overtake each other. */
struct passage {
    struct letter step, recall;
    struct worker *from, *to;
    /* Touched on the asker's thread only. */
    struct rpc *asker; /* NULL: gone */
    struct passage *prev, *next;
    bool recalled;
    /* Touched on the event's thread, until `step` is on its way back. */
    struct rpc rpc; /* what the event talks to */
    bool over;      /* answered, or recalled */
    size_t len;
    uint8_t message[];
};

/* --- the asker's side --- */

static void unlink_passage(struct passage *passage) {
    struct rpc *rpc = passage->asker;
    *(passage->prev != NULL ? &passage->prev->next : &rpc->passages) = passage->next;
    if (passage->next != NULL) {
        passage->next->prev = passage->prev;
    }
    passage->asker = NULL;
    rpc->passing -= passage->len;
}

static void passage_free(struct passage *passage) {
    passage->from->passages--;
    buffer_free(&passage->rpc.out);
    free(passage);
}

static void on_answer(struct letter *letter, struct worker *worker) {
    struct passage *passage = (struct passage *)letter;
    struct rpc *rpc = passage->asker;
    (void)worker;
    if (passage->recalled) {
        return; /* `recall` is on its way back, too */
    }
    unlink_passage(passage);
    if (passage->rpc.broken) {
        rpc_fail(rpc, "no memory for an answer");
        rpc_wake(rpc);
    } else {
        rpc_msgpack_relayed(rpc, passage->rpc.out.data, passage->rpc.out.len);
    }
    passage_free(passage);
}

static void on_recalled(struct letter *letter, struct worker *worker) {
    struct passage *passage = (struct passage *)((char *)letter - offsetof(struct passage, recall));
    (void)worker;
    passage_free(passage);
}

/* --- the event's side --- */

static void go_back(struct passage *passage) {
    passage->over = true;
    passage->step.deliver = on_answer;
    worker_post(passage->from, &passage->step);
}

/* What answers a Step is the last that is said to it. */
static void on_wake(struct rpc *rpc) {
    go_back((struct passage *)((char *)rpc - offsetof(struct passage, rpc)));
}

static void on_step(struct letter *letter, struct worker *worker) {
    struct passage *passage = (struct passage *)letter;
    struct rpc *rpc = &passage->rpc;
    struct frame frame = {passage->message, passage->len, passage->len};
    rpc_init(rpc, &worker->conns.rpc, on_wake);
    rpc->protocol = PROTOCOL_MSGPACK;
    rpc->announced = true; /* by the asker */
    rpc->feeding = true;
    arena_reset(&worker->scratch);
    rpc_msgpack_message(rpc, &frame);
    rpc->feeding = false;
    if (rpc->out.len > 0 || rpc->broken) {
        go_back(passage);
    }
}

static void on_recall(struct letter *letter, struct worker *worker) {
    struct passage *passage = (struct passage *)((char *)letter - offsetof(struct passage, recall));
    (void)worker;
    if (!passage->over) {
        passage->over = true;
        rpc_close(&passage->rpc);
    }
    passage->recall.deliver = on_recalled;
    worker_post(passage->from, &passage->recall);
}

/* --- both --- */

bool passage_start(struct rpc *rpc, uint32_t lane, int64_t msgid, const uint8_t *data, size_t len) {
    struct worker *from =
        (struct worker *)((char *)(uintptr_t)rpc->env - offsetof(struct worker, conns.rpc));
    struct passage *passage = lane < from->options.count ? calloc(1, sizeof *passage + len) : NULL;
    (void)msgid; /* it is in the message, and in the answer */
    if (passage == NULL) {
        return false;
    }
    passage->step.deliver = on_step;
    passage->recall.deliver = on_recall;
    passage->from = from;
    passage->to = &from->options.all[lane];
    passage->len = len;
    memcpy(passage->message, data, len);
    passage->asker = rpc;
    passage->next = rpc->passages;
    if (rpc->passages != NULL) {
        rpc->passages->prev = passage;
    }
    rpc->passages = passage;
    rpc->passing += len;
    from->passages++;
    worker_post(passage->to, &passage->step);
    return true;
}

void passage_forget(struct rpc *rpc) {
    while (rpc->passages != NULL) {
        struct passage *passage = rpc->passages;
        unlink_passage(passage);
        passage->recalled = true;
        worker_post(passage->to, &passage->recall);
    }
}

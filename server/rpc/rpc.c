#include "rpc.h"

#include <stdio.h>

#include "forward.h"
#include "limit.h"
#include "msgpack_rpc.h"
#include "rpc_conversation.h"

/* A message grows in pieces of this size, so that the bytes behind it are not copied, too. */
#define PIECE ((size_t)64 << 10)

void rpc_init(struct rpc *rpc, const struct rpc_env *env, void (*wake)(struct rpc *)) {
    memset(rpc, 0, sizeof *rpc);
    rpc->env = env;
    rpc->wake = wake;
    buffer_init(&rpc->in, env->max_frame + sizeof(uint32_t) + PIECE);
    buffer_init(&rpc->out, LIMIT_OUT);
    buffer_set_budget(&rpc->in, env->budget);
    buffer_set_budget(&rpc->out, env->budget);
}

void rpc_expect_results(struct rpc *rpc, size_t results_due) {
    rpc->protocol = PROTOCOL_PROTOBUF;
    rpc->results_due = results_due;
    frame_reader_init(&rpc->reader, rpc->protocol, rpc->env->max_frame);
}

/* --- what is over a limit --- */

/* Passes over the message at the start of data. False: it is not one that can be passed over. */
static bool start_skip(struct rpc *rpc, const uint8_t *data, const char *why) {
    snprintf(rpc->reason, sizeof rpc->reason, "%s", why);
    if (rpc->protocol != PROTOCOL_MSGPACK && rpc->results_due == 0) {
        rpc_enter(rpc, RPC_BROKEN);
        return false;
    }
    rpc->skipping = true;
    rpc->skip = (struct msgpack_skip){0};
    rpc->skip_left =
        rpc->protocol == PROTOCOL_PROTOBUF ? 4 + (uint64_t)frame_protobuf_length(data) : 0;
    return true;
}

static int skip_protobuf(struct rpc *rpc, size_t len, size_t *used) {
    *used = rpc->skip_left < len ? (size_t)rpc->skip_left : len;
    rpc->skip_left -= *used;
    return rpc->skip_left == 0;
}

/* 1: the message has come to its end; 0: more is to come; -1: it is none that may be so long. */
static int take_skipped(struct rpc *rpc, const uint8_t *data, size_t len, size_t *used) {
    int rc = rpc->protocol == PROTOCOL_PROTOBUF ? skip_protobuf(rpc, len, used)
                                                : msgpack_skip_take(&rpc->skip, data, len, used);
    if (rc < 0) {
        rpc_enter(rpc, RPC_BROKEN); /* `reason` is there */
        return -1;
    }
    if (rc == 0) {
        return 0;
    }
    rpc->skipping = false;
    rpc->half_ms = 0;
    frame_reader_init(&rpc->reader, rpc->protocol, rpc->env->max_frame);
    arena_reset(rpc->env->scratch);
    rc = rpc->protocol == PROTOCOL_PROTOBUF ? rpc_protobuf_too_big(rpc) : rpc_msgpack_too_big(rpc);
    return rc == 0 ? 1 : -1;
}

/* --- what is not --- */

/* Handles a message that is incomplete, or not of ProtoBuf:1, or over a limit. As take_message; 1:
 * *frame is filled, unless the message is passed over from now on. */
static __attribute__((noinline)) int cut_frame(struct rpc *rpc, const uint8_t *data, size_t len,
                                               struct frame *frame) {
    struct codec_reason reason;
    size_t missing;
    int rc = frame_next(&rpc->reader, data, len, rpc->env->max_frame, frame, &missing, &reason);
    if (rc == CODEC_E_LIMIT && start_skip(rpc, data, reason.text)) {
        return 1;
    }
    return rc < 0 ? rpc_fail(rpc, "%s", reason.text) : rc;
}

static inline int take_frame(struct rpc *rpc, const uint8_t *data, size_t len, size_t *total) {
    struct frame frame; /* stays in registers, as nobody else fills it */
    if (frame_protobuf_whole(&rpc->reader, data, len, &frame)) {
        rpc->reader.limit = rpc->env->max_frame;
    } else {
        struct frame cut;
        int rc = cut_frame(rpc, data, len, &cut);
        if (rc <= 0 || rpc->skipping) {
            return rc; /* nothing is used yet */
        }
        frame = cut;
    }
    *total = frame.total;
    arena_reset(rpc->env->scratch);
    int rc = rpc->protocol == PROTOCOL_PROTOBUF ? rpc_protobuf_message(rpc, frame.data, frame.len)
                                                : rpc_msgpack_message(rpc, frame.data, frame.len);
    return rc == 0 ? 1 : -1;
}

/* What is at the start of data: 1 with its length in *total, which is 0 when it has to be looked at
 * once more; 0: more bytes are needed, or it is held; -1 with rpc->reason. */
static inline int take_message(struct rpc *rpc, const uint8_t *data, size_t len, size_t *total) {
    int rc = 0;
    if (rpc->skipping) {
        return take_skipped(rpc, data, len, total);
    }
    if (rpc_is_paused(rpc) && rpc->state != RPC_ENDING) {
        rpc->held = true;
        return 0;
    }
    if (rpc->protocol == PROTOCOL_MSGPACK) {
        rc = rpc_msgpack_fast(rpc, data, len, total);
    }
    return rc == 0 ? take_frame(rpc, data, len, total) : rc;
}

/* Whole messages out of data. How far it came, or -1. */
static ssize_t take_messages(struct rpc *rpc, const uint8_t *data, size_t len) {
    size_t used = 0;
    rpc->held = false;
    while (used < len) {
        size_t total = 0;
        int rc = take_message(rpc, data + used, len - used, &total);
        used += total;
        if (rc <= 0) {
            return rc < 0 ? -1 : (ssize_t)used;
        }
    }
    return (ssize_t)used;
}

static bool detect(struct rpc *rpc, const uint8_t *data, size_t len) {
    rpc->protocol = frame_detect(data, len);
    if (rpc->protocol == PROTOCOL_UNKNOWN) {
        return false;
    }
    size_t first = rpc->env->max_frame;
    if (rpc->protocol == PROTOCOL_PROTOBUF && first > LIMIT_FIRST_FRAME) {
        first = LIMIT_FIRST_FRAME;
    }
    frame_reader_init(&rpc->reader, rpc->protocol, first);
    return true;
}

/* What has come, as far as it is whole. */
static int take_in(struct rpc *rpc) {
    ssize_t used = take_messages(rpc, rpc->in.data, rpc->in.len);
    if (used < 0) {
        return -1;
    }
    buffer_consume(&rpc->in, (size_t)used);
    return 0;
}

/* The first four bytes of the message under way, of which `data` is what was not added. False: they
 * have not come. */
static bool message_head(const struct rpc *rpc, const uint8_t *data, size_t len, uint8_t head[4]) {
    size_t before = rpc->in.len;
    for (size_t i = 0; i < 4; i++) {
        if (i >= before && i - before >= len) {
            return false;
        }
        head[i] = i < before ? rpc->in.data[i] : data[i - before];
    }
    return true;
}

/* Adds bytes to those that have come. Where there is no memory for them, the message under way is
 * passed over as one that is over a limit: 1, and `data` is for whoever passes over it. */
static int add_in(struct rpc *rpc, const uint8_t *data, size_t len) {
    size_t before = rpc->in.len;
    uint8_t head[4];
    char why[sizeof rpc->reason];
    buffer_append(&rpc->in, data, len);
    if (!rpc->in.failed) {
        return 0;
    }
    buffer_truncate(&rpc->in, before);
    snprintf(why, sizeof why, "no memory for a message that comes in pieces, after %zu bytes",
             before);
    if (rpc->held || !message_head(rpc, data, len, head)) {
        return rpc_fail(rpc, "%s", why);
    }
    if (!start_skip(rpc, head, why) || take_in(rpc) != 0) {
        return -1;
    }
    buffer_clear(&rpc->in, 0);
    return 1;
}

/* Notes since when a message is incomplete. `whole`: one before it was completed just now. */
static void note_half(struct rpc *rpc, bool whole) {
    if (rpc->in.len == 0 && !rpc->skipping) {
        rpc->half_ms = 0;
    } else if (whole || rpc->half_ms == 0) {
        rpc->half_ms = rpc->env->now_ms(rpc->env->clock);
    }
    if (rpc->half_ms != 0) {
        rpc_note_half(rpc);
    }
}

/* The bytes that are still to be taken. */
struct bytes {
    const uint8_t *data;
    size_t len;
    bool whole; /* a message came to its end in those before them */
};

static void take_off(struct bytes *rest, size_t len) {
    rest->data += len;
    rest->len -= len;
}

/* Nothing came before them: messages are read in place. */
static inline int feed_in_place(struct rpc *rpc, struct bytes *rest) {
    bool skipped = rpc->skipping; /* what is used belongs to one that goes on, perhaps */
    ssize_t used = take_messages(rpc, rest->data, rest->len);
    if (used < 0) {
        return -1;
    }
    rest->whole = rest->whole || (used > 0 && !skipped);
    take_off(rest, (size_t)used);
    return 0;
}

/* Adds some of them to what came before. Of a connection's first bytes no more than tell the
 * protocol: a message can only be passed over when that is known. */
static int feed_piece(struct rpc *rpc, struct bytes *rest) {
    size_t most = rpc->protocol == PROTOCOL_UNKNOWN ? 1 : PIECE;
    size_t piece = rest->len < most ? rest->len : most;
    int rc = add_in(rpc, rest->data, piece);
    if (rc != 0) {
        return rc < 0 ? -1 : 0;
    }
    take_off(rest, piece);
    if (rpc->protocol == PROTOCOL_UNKNOWN && !detect(rpc, rpc->in.data, rpc->in.len)) {
        return 0;
    }
    size_t before = rpc->in.len;
    if (take_in(rpc) != 0) {
        return -1;
    }
    rest->whole = rest->whole || (rpc->in.len < before && !rpc->skipping);
    return 0;
}

/* Bytes that are not just whole messages. */
static __attribute__((noinline)) int feed_rest(struct rpc *rpc, struct bytes rest) {
    if (rpc->held && take_in(rpc) != 0) {
        return -1;
    }
    if (rpc->protocol == PROTOCOL_UNKNOWN && rpc->in.len == 0) {
        detect(rpc, rest.data, rest.len);
    }
    while (rest.len > 0) {
        if (rpc->in.len == 0 && rpc->protocol != PROTOCOL_UNKNOWN) {
            if (feed_in_place(rpc, &rest) != 0) {
                return -1;
            }
        }
        if (rest.len > 0 && feed_piece(rpc, &rest) != 0) {
            return -1;
        }
    }
    if (rpc->in.len == 0) {
        buffer_clear(&rpc->in, 0);
    }
    note_half(rpc, rest.whole);
    return rpc->state >= RPC_BROKEN ? -1 : 0;
}

static inline int feed(struct rpc *rpc, const uint8_t *data, size_t len) {
    bool usual = !rpc->held && !rpc->skipping && rpc->in.capacity == 0;
    if (!usual || rpc->protocol == PROTOCOL_UNKNOWN || len == 0) {
        return feed_rest(rpc, (struct bytes){data, len, false});
    }
    ssize_t used = take_messages(rpc, data, len);
    if (used < 0) {
        return -1;
    }
    size_t left = len - (size_t)used;
    if (left == 0 && !rpc->skipping) { /* as mostly */
        rpc->half_ms = 0;
        return rpc->state >= RPC_BROKEN ? -1 : 0;
    }
    return feed_rest(rpc, (struct bytes){data + used, left, used > 0});
}

static __attribute__((noinline)) int end_feed(struct rpc *rpc, int rc) {
    if (rpc->ready && rc == 0) {
        rc = rpc_protobuf_deliver(rpc);
    }
    if (rpc->env->scratch->used > ARENA_USUAL) {
        arena_reset(rpc->env->scratch);
    }
    return rc;
}

int rpc_feed(struct rpc *rpc, const uint8_t *data, size_t len) {
    if (rpc->state >= RPC_BROKEN) {
        return -1;
    }
    rpc->feeding = true;
    rpc->nudged = false;
    int rc = feed(rpc, data, len);
    if (__builtin_expect(rpc->ready || rpc->env->scratch->used > ARENA_USUAL, 0)) {
        rc = end_feed(rpc, rc);
    }
    rpc->feeding = false;
    return rc;
}

bool rpc_resumable(const struct rpc *rpc) {
    return rpc->held && rpc->state < RPC_BROKEN && !rpc_is_paused(rpc);
}

int rpc_resume(struct rpc *rpc) {
    return rpc_feed(rpc, NULL, 0);
}

void rpc_end(struct rpc *rpc) {
    rpc_enter(rpc, RPC_ENDING);
}

void rpc_give_up(struct rpc *rpc) {
    while (!LIST_EMPTY(&rpc->forwards)) {
        struct forward *forward = LIST_FIRST(&rpc->forwards);
        forward_fail(forward, "the server ends");
        forward->recall(forward);
    }
    while (!LIST_EMPTY(&rpc->requests)) {
        event_cancel(LIST_FIRST(&rpc->requests), KONG_E_TIMEOUT); /* takes it off the list */
    }
}

void rpc_close(struct rpc *rpc) {
    rpc_enter(rpc, RPC_CLOSED);
    rpc->feeding = true; /* the peer is gone: nothing needs to be written */
    if (rpc->protocol == PROTOCOL_PROTOBUF) {
        rpc_protobuf_close(rpc);
    } else if (rpc->protocol == PROTOCOL_MSGPACK) {
        rpc_msgpack_close(rpc);
    }
    buffer_free(&rpc->in);
    buffer_free(&rpc->out);
}

static bool nothing_at_work(const struct rpc *rpc) {
    return rpc->event == NULL && LIST_EMPTY(&rpc->requests) && LIST_EMPTY(&rpc->forwards) &&
           rpc->out.len == 0 && !rpc->held;
}

bool rpc_quiet(const struct rpc *rpc) {
    return nothing_at_work(rpc) && rpc->in.len == 0 && !rpc->skipping;
}

bool rpc_idle(const struct rpc *rpc) {
    if (!nothing_at_work(rpc)) {
        return false;
    }
    if (rpc->protocol == PROTOCOL_MSGPACK) { /* the Step of any may come over this connection */
        return events_alive_all(rpc->env->events) == 0;
    }
    /* Kong fails a request whose answer it can't write, but not behind a terminal call. */
    return rpc->results_due == 0 || rpc->state >= RPC_EXITED;
}

bool rpc_answered(const struct rpc *rpc) {
    return rpc->protocol == PROTOCOL_PROTOBUF && rpc_quiet(rpc);
}

bool rpc_nudgeable(const struct rpc *rpc) {
    return rpc->protocol == PROTOCOL_MSGPACK && !rpc->nudged && rpc_quiet(rpc);
}

bool rpc_nudge(struct rpc *rpc) {
    if (!rpc_nudgeable(rpc)) {
        return false;
    }
    rpc->nudged = true;
    return msgpack_encode_server_pid(&rpc->out, rpc->env->pid) == CODEC_OK;
}

/* MsgPack:1. Each PDK call is the answer to Kong's last request about the event, and Kong's Step
 * brings its result and is the next request; any of them may come over any connection. Calls
 * without a result are queued while the handler goes on, and leave one a Step; neighbouring header
 * calls that mean the same as one set_headers leave as one. */
#include "forward.h"
#include <stdio.h>

#include "event_report.h"
#include "limit.h"
#include "msgpack_fast.h"
#include "msgpack_rpc.h"
#include "rpc_conversation.h"
#include "rpc_msgpack_answer.h"
#include "rpc_queue.h"
#include "value.h"

/* An event is not bound to a connection: its peer is Kong as a whole, which never goes away while
 * the server runs. Only a request that waits for its answer is bound to the connection that brought
 * it. */
static void unlink_request(struct event *event) {
    LIST_REMOVE(event, by_asker);
    event->waiting_rpc = NULL;
}

static void link_request(struct rpc *rpc, struct event *event, int64_t msgid) {
    event->waiting_rpc = rpc;
    event->request = msgid;
    LIST_INSERT_HEAD(&rpc->requests, event, by_asker);
}

/* --- the conversation --- */

/* What is rare, or needs much of the stack, is not inlined: the usual way has no part in it. */

static bool is_terminal(const struct pdk_method *method) {
    return method != NULL && (method->flags & PDK_TERMINAL) != 0;
}

static void note_event(struct rpc *rpc, int64_t msgid, bool closed) {
    rpc_note_request(rpc, msgid, closed ? IN_FLIGHT_MSGPACK_EVENT : IN_FLIGHT_MSGPACK_EVENT_OPEN);
}

/* The handler meant to end the request: nothing is queued behind an end. */
static bool end_is_queued(const struct event *event) {
    return event->queue_tail != NULL && is_terminal(event->queue_tail->method);
}

/* A call that cannot be written, for want of memory: no Step comes. Kong would log an error and go
 * on with a request that the handler meant to end, or that its plugin ends where it fails. */
static __attribute__((noinline)) void end_unsent(struct event *event, struct rpc *rpc,
                                                 bool terminal, int codec_error) {
    const char *why = codec_strerror(codec_error);
    rpc_complain(rpc->env, LOG_LEVEL_ERROR, "a call could not be sent to Kong: %s", why);
    if (terminal || end_is_queued(event) || event_id_fails_closed(event->id)) {
        rpc_msgpack_send_exit(rpc, event->request, event->plugin->what->name,
                              "a call could not be sent, its request ended", why);
    } else {
        rpc_msgpack_send_error(rpc, event->request, why);
    }
    event->awaits_step = false;
    if (!terminal) {
        event_cancel(event, rpc_kong_error(codec_error));
    }
}

/* Answers Kong's request with a call. After a terminal one no Step follows: the event is over. */
static void answer_with_call(struct event *event, const struct pdk_method *method,
                             struct kong_str name, const struct kong_value *args, size_t count) {
    struct rpc *rpc = event->waiting_rpc;
    struct rpc_reply reply; /* filled as far as its kind has fields: most of it are others' */
    reply.kind = RPC_REPLY_PDK_CALL;
    reply.sequence = event->request;
    reply.event_id = event->id;
    reply.method = name;
    reply.args = args;
    reply.arg_count = count;
    unlink_request(event);
    event->awaits_step = true;
    bool terminal = is_terminal(method);
    int rc = rpc_msgpack_try_to_send(rpc, &reply);
    if (rc != CODEC_OK) {
        end_unsent(event, rpc, terminal, rc);
    }
    if (terminal) {
        event_release(event);
    }
}

static void answer_with_queued(struct event *event, const struct queued_call *call) {
    answer_with_call(event, call->method, call->name, call->args, call->count);
}

/* The exit of a plugin that fails closed, for which there was no place in the queue. */
static void exit_unqueued(struct event *event, struct rpc *rpc) {
    unlink_request(event);
    rpc_msgpack_send_exit(rpc, event->request, event->plugin->what->name, NULL, NULL);
    event_release(event);
}

static __attribute__((noinline)) void answer_with_return(struct event *event, struct rpc *rpc) {
    struct rpc_reply reply; /* as above */
    reply.kind = RPC_REPLY_RETURN;
    reply.sequence = event->request;
    reply.event_id = event->id;
    unlink_request(event);
    rpc_msgpack_send(rpc, &reply);
    event_release(event);
}

/* Answers Kong's request, when there is one, with what there is to say: the next call, or that the
 * event is over. A handler that is still busy answers when it has something. */
static void answer(struct event *event) {
    struct rpc *rpc = event->waiting_rpc;
    if (rpc == NULL) {
        return;
    }
    struct queued_call *call = rpc_queue_take(event);
    if (call != NULL) {
        answer_with_queued(event, call);
    } else if (event->finished && event->ended) {
        exit_unqueued(event, rpc);
    } else if (event->finished) {
        answer_with_return(event, rpc);
    }
}

static void started(struct event *event) {
    struct rpc *rpc = event->peer;
    link_request(rpc, event, rpc->sequence);
    event->peer = (void *)(uintptr_t)rpc->env;
}

/* No list or map, whose depth is looked at when it is copied; no string without bytes, which
 * becomes an empty one then. */
static inline bool is_simple(const struct kong_value *args, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (args[i].type == KONG_LIST || args[i].type == KONG_MAP ||
            (args[i].type == KONG_STRING && args[i].string.data == NULL)) {
            return false;
        }
    }
    return true;
}

/* Whether the call can be sent at once, without a copy: Kong waits for one, and none is queued
 * before it. */
static inline bool leaves_now(const struct event *event, const struct pdk_method *method) {
    return method != NULL && event->waiting_rpc != NULL && event->queue_head == NULL &&
           !event->finished;
}

/* Posted calls leave when the handler waits or is done, so that neighbours can be merged. What is
 * called while the event is being finished leaves by `conversation_end`. */
static __attribute__((noinline)) int queue_call(struct event *event,
                                                const struct pdk_method *method,
                                                struct kong_str name, const struct kong_value *args,
                                                size_t count, bool waits) {
    if (method != NULL && rpc_queue_merge(event, method, args, count)) {
        return KONG_OK;
    }
    int rc = KONG_E_NOMEM;
    if (event->queued < LIMIT_POSTED) {
        rc = rpc_queue_add(event, method, name, args, count);
    } else {
        stats_count(&events_stats(event->events)->limits[STATS_LIMIT_POSTED], 1);
    }
    if (rc != KONG_OK && method == &pdk_methods[PDK_RESPONSE_EXIT] && event->reporting) {
        return KONG_OK; /* exit_unqueued */
    }
    if (rc == KONG_OK && !event->finished && (waits || is_terminal(method))) {
        answer(event);
    }
    return rc;
}

static int make_call(struct event *event, const struct pdk_method *method,
                     const struct kong_str *name, const struct kong_value *args, size_t count,
                     bool waits) {
    if (waits && leaves_now(event, method) && is_simple(args, count)) {
        answer_with_call(event, method, *name, args, count);
        return KONG_OK;
    }
    return queue_call(event, method, *name, args, count, waits);
}

/* Nobody knows whether Kong still steps an event that was cancelled, so it gets one answer, if it
 * waits for one: the exit of a plugin that fails closed, or an error, which Kong logs before it
 * lets the request go on. */
static __attribute__((noinline)) void finish_cancelled(struct event *event) {
    struct rpc *rpc = event->waiting_rpc;
    if (rpc == NULL) {
        event_release(event);
    } else if (event->ended && end_is_queued(event)) {
        answer_with_queued(event, event->queue_tail);
    } else if (event->ended) {
        exit_unqueued(event, rpc);
    } else {
        unlink_request(event);
        rpc_msgpack_send_error(rpc, event->request, kong_strerror(event->cancelled));
        event_release(event);
    }
}

static void conversation_end(struct event *event) {
    if (event->cancelled != 0) {
        finish_cancelled(event);
    } else {
        answer(event);
    }
}

static const struct event_ops msgpack_events = {
    .protocol = PROTOCOL_MSGPACK,
    .started = started,
    .call = make_call,
    .conversation_end = conversation_end,
};

static __attribute__((noinline)) void handle_event(struct rpc *rpc, const struct rpc_call *call) {
    enum kong_phase phase;
    const char *error;
    uint64_t now_ms = rpc->env->now_ms(rpc->env->clock);
    struct instance *instance = rpc_find_instance(rpc, call, now_ms, &phase, &error);
    if (instance == NULL) {
        rpc_msgpack_send_error(rpc, call->sequence, error);
        return;
    }
    note_event(rpc, call->sequence, event_fails_closed(instance->plugin->what, phase));
    rpc->sequence = call->sequence;
    const char *refusal =
        event_start(rpc->env->events, instance, phase, &msgpack_events, rpc, now_ms);
    if (refusal != NULL) {
        rpc_msgpack_refuse(rpc, call->sequence, instance->plugin->what, phase, refusal);
        registry_release(rpc->env->registry, instance);
    }
}

/* A whole message, to the thread, or the server of another generation, that the event lives in.
 * False: it can only live here. */
static bool send_on(struct rpc *rpc, const struct rpc_call *call, const uint8_t *data, size_t len) {
    const struct rpc_env *env = rpc->env;
    const struct events_options *events = events_options(env->events);
    uint32_t tag = event_tag(call->event_id);
    uint32_t worker_index = event_worker(call->event_id, events->worker_bits);
    forward_start *start = NULL;
    uint32_t to = tag;
    if (tag != env->tag) {
        start = rpc->steps_only ? NULL : env->to_process;
    } else if (worker_index != events->worker_index) {
        start = env->to_thread;
        to = worker_index;
    }
    return start != NULL && start(rpc, to, call, data, len);
}

/* The same for a Step that was over a limit, and is gone: one that says so goes in its place. A
 * server that does not know our key takes it for an error of Kong's. */
static bool send_on_too_big(struct rpc *rpc, const struct rpc_call *call) {
    struct rpc_call small = *call;
    struct buffer out;
    small.method = kong_str("plugin.StepError");
    small.error = kong_str(rpc->reason);
    buffer_init(&out, LIMIT_OUT);
    bool sent =
        msgpack_encode_call(&out, &small) == CODEC_OK && send_on(rpc, &small, out.data, out.len);
    buffer_free(&out);
    return sent;
}

/* Hands the result in a Step to the handler. */
static void deliver(struct rpc *rpc, struct event *event, const struct rpc_call *call) {
    const struct kong_str none = {NULL, 0};
    struct kong_value data;
    if (call->data_error != CODEC_OK) {
        rpc_deliver_refused(rpc, event, call->data_error);
    } else if (call->error.data != NULL) {
        event_deliver(event, KONG_E_KONG, kong_nil(),
                      arena_copy(&event->arena, call->error.data, call->error.len));
    } else if (!value_copy(&event->arena, &call->data, &data)) {
        event_deliver(event, KONG_E_NOMEM, kong_nil(), none);
    } else {
        event_deliver(event, KONG_OK, data, none);
    }
}

/* A Step that finds no event: it was given up, or it was another server's, which is gone. */
static void lose(struct rpc *rpc, const struct rpc_call *call) {
    if (event_tag(call->event_id) != rpc->env->tag && rpc->env->to_process != NULL &&
        !rpc->steps_only) {
        rpc_msgpack_gone(rpc, call->sequence);
    } else {
        rpc_msgpack_lost(rpc, call->sequence, event_id_fails_closed(call->event_id),
                         "no such event");
    }
}

/* The result of the call that went out last: for the handler when it waits for it, for nobody when
 * it was posted. Either way Kong now waits for the next call. */
static void take_result(struct rpc *rpc, struct event *event, const struct rpc_call *call) {
    if (event == NULL || event->released) {
        lose(rpc, call);
        return;
    }
    if (event->ops != &msgpack_events || !event->awaits_step) {
        rpc_msgpack_lost(rpc, call->sequence, event_id_fails_closed(call->event_id),
                         "the event awaits no Step");
        return;
    }
    event->awaits_step = false;
    link_request(rpc, event, call->sequence);
    if (event->state != EVENT_WAITING || event->queue_head != NULL) {
        answer(event);
        return;
    }
    deliver(rpc, event, call);
}

/* Where memory is too short to pass on a large Step, a small one takes its place. */
#define FEW_WORDS ((size_t)4 << 10)

/* A Step whose event is not here. False: it is nowhere else. */
static __attribute__((noinline)) bool send_step_on(struct rpc *rpc, const struct rpc_call *call,
                                                   const uint8_t *data, size_t len) {
    if (send_on(rpc, call, data, len)) {
        return true;
    }
    if (len <= FEW_WORDS) {
        return false;
    }
    struct rpc_call small = {.command = RPC_STEP,
                             .sequence = call->sequence,
                             .event_id = call->event_id,
                             .data_error = CODEC_E_LIMIT};
    snprintf(rpc->reason, sizeof rpc->reason, "no memory to pass on %zu bytes", len);
    return send_on_too_big(rpc, &small);
}

static void step(struct rpc *rpc, const struct rpc_call *call, const uint8_t *data, size_t len) {
    note_event(rpc, call->sequence, event_id_fails_closed(call->event_id));
    struct event *event = events_find(rpc->env->events, call->event_id);
    if (event != NULL || !send_step_on(rpc, call, data, len)) {
        take_result(rpc, event, call);
    }
}

/* The stream is in order, this message is not, or there is no memory for it. Of an event nothing
 * but an error would follow, behind which Kong goes on with the request: as in rpc_msgpack_lost.
 * event_id: 0 where it has not been found. */
static int refuse_call(struct rpc *rpc, const struct rpc_call *call, int codec_error) {
    const char *why =
        codec_error == CODEC_E_NOMEM ? "no memory" : "arguments that this method does not take";
    bool of_event = call->command == RPC_HANDLE_EVENT || call->command == RPC_STEP;
    if (call->sequence >= 0 && of_event) {
        bool closed = call->event_id != 0 ? event_id_fails_closed(call->event_id)
                                          : rpc_one_fails_closed(rpc->env->plugins);
        rpc_msgpack_lost(rpc, call->sequence, closed, why);
    } else if (call->sequence >= 0) {
        rpc_msgpack_send_error(rpc, call->sequence, why);
    }
    return rpc->state >= RPC_BROKEN ? -1 : 0;
}

int rpc_msgpack_too_big(struct rpc *rpc) {
    struct rpc_call call = {.command = RPC_STEP,
                            .sequence = rpc->skip.sequence,
                            .event_id = rpc->skip.event_id,
                            .data_error = CODEC_E_LIMIT};
    if (rpc->state == RPC_ENDING || call.sequence < 0) {
        return 0;
    }
    if (!rpc->skip.has_event_id) {
        return refuse_call(rpc, &call, CODEC_E_SHAPE);
    }
    note_event(rpc, call.sequence, event_id_fails_closed(call.event_id));
    struct event *event = events_find(rpc->env->events, call.event_id);
    if (event != NULL || !send_on_too_big(rpc, &call)) {
        take_result(rpc, event, &call);
    }
    return rpc->state >= RPC_BROKEN ? -1 : 0;
}

static __attribute__((noinline)) void other_command(struct rpc *rpc, const struct rpc_call *call) {
    struct rpc_reply reply;
    rpc_note_request(rpc, call->sequence,
                     call->command == RPC_START_INSTANCE ? IN_FLIGHT_MSGPACK_START
                                                         : IN_FLIGHT_OTHER);
    rpc_command(rpc, call, &reply);
    rpc_msgpack_send(rpc, &reply);
}

/* `data`: the whole message. */
static int take_call(struct rpc *rpc, const struct rpc_call *call, const uint8_t *data,
                     size_t len) {
    if (call->notification) {
        return 0;
    }
    if (call->command == RPC_STEP) {
        step(rpc, call, data, len);
    } else if (rpc->steps_only) {
        return rpc_fail(rpc, RPC_NO_STEP);
    } else if (call->command == RPC_HANDLE_EVENT) {
        handle_event(rpc, call);
    } else {
        other_command(rpc, call);
    }
    return rpc->state >= RPC_BROKEN ? -1 : 0;
}

int rpc_msgpack_message(struct rpc *rpc, const uint8_t *data, size_t len) {
    struct rpc_call call;
    if (rpc->state == RPC_ENDING) {
        return 0;
    }
    int rc = msgpack_decode_call(rpc->env->scratch, data, len, &call);
    if (rc == CODEC_E_NOMEM || (rc == CODEC_E_SHAPE && call.sequence >= 0)) {
        return refuse_call(rpc, &call, rc);
    }
    if (rc != 0) {
        return rpc_fail(rpc, "message of %zu bytes: %s", len, codec_strerror(rc));
    }
    return take_call(rpc, &call, data, len);
}

int rpc_msgpack_fast(struct rpc *rpc, const uint8_t *data, size_t len, size_t *total) {
    struct rpc_call call;
    if (rpc->state == RPC_ENDING || !frame_reader_at_start(&rpc->reader)) {
        return 0;
    }
    *total = msgpack_fast_call(data, len, rpc->reader.limit, &call);
    if (*total == 0) {
        return 0;
    }
    rpc->reader.limit = rpc->env->max_frame;
    arena_reset(rpc->env->scratch);
    return take_call(rpc, &call, data, *total) == 0 ? 1 : -1;
}

void rpc_msgpack_close(struct rpc *rpc) {
    while (!LIST_EMPTY(&rpc->forwards)) {
        struct forward *forward = LIST_FIRST(&rpc->forwards);
        forward_unlink(forward);
        forward->recall(forward);
    }
    while (!LIST_EMPTY(&rpc->requests)) {
        struct event *event = LIST_FIRST(&rpc->requests);
        unlink_request(event);
        event_cancel(event, KONG_E_GONE);
    }
}

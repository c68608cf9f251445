/* ProtoBuf:1. The whole of an event stays on its connection. What a handler posts is appended to
 * `out` and leaves with the next call that waits, or with the end: method and argument frames of
 * all calls, the empty frame and RpcReturn in one write. Kong carries the calls out in order and
 * answers each; answers to posted ones are dropped as they come, before or together with the next
 * RpcCall (seen on 3.9.1 and 2.8.5). Neighbouring set_header calls leave as one set_headers: Kong
 * answers each call with two writes of its own. */
#include <assert.h>

#include "event_report.h"
#include "limit.h"
#include "prefetch.h"
#include "protobuf_rpc.h"
#include "rpc_conversation.h"

/* Adds a posted call to the one before it, where that means the same. */
static inline bool merge(struct event *event, const struct pdk_method *method,
                         const struct kong_value *args, size_t count) {
    struct rpc *rpc = event->peer;
    const struct pdk_method *many = pdk_merged(method);
    return many != NULL && count == 2 && args[0].type == KONG_STRING &&
           args[1].type == KONG_STRING &&
           protobuf_merge_header(&rpc->out, event->posted_at, &event->posted_names, method, many,
                                 args[0].string, args[1].string);
}

/* Room for the end of an event, behind all limits. */
#define LAST_WORDS ((size_t)1 << 10)

static inline int send_one(struct event *event, const struct pdk_method *method,
                           const struct kong_value *args, size_t count, bool waits) {
    struct rpc *rpc = event->peer;
    if (method == NULL || (method->flags & PDK_MSGPACK_ONLY) != 0) {
        return KONG_E_UNSUPPORTED;
    }
    if (event->posted == method && merge(event, method, args, count)) {
        return KONG_OK;
    }
    bool ends_failed = event->reporting && (method->flags & PDK_TERMINAL) != 0;
    if (rpc->results_due >= LIMIT_POSTED && !ends_failed) {
        stats_count(&events_stats(rpc->env->events)->limits[STATS_LIMIT_POSTED], 1);
        return KONG_E_NOMEM;
    }
    size_t begin = rpc->out.len;
    int rc = protobuf_encode_pdk_call(&rpc->out, method, args, count);
    if (rc != 0 && ends_failed) { /* else the request goes on: it needs no more memory than that */
        buffer_overdraw(&rpc->out, LAST_WORDS);
        rc = protobuf_encode_pdk_call(&rpc->out, method, args, count);
    }
    if (rc != 0) {
        return rpc_kong_error(rc);
    }
    event->posted = method;
    event->posted_at = begin;
    event->posted_names = 0;
    rpc->results_due++;
    event->awaited = rpc->calls_sent++;
    if ((method->flags & PDK_TERMINAL) != 0) {
        rpc_enter(rpc, RPC_EXITED);
    }
    if (rpc->state != RPC_OPEN) {
        event->posted = NULL; /* it leaves now */
        rpc_wake(rpc);
    } else if (waits) {
        rpc_wake(rpc);
    }
    return KONG_OK;
}

static __attribute__((noinline)) int send_getter(struct event *event,
                                                 const struct pdk_method *method,
                                                 const struct kong_value *args, size_t count) {
    struct rpc *rpc = event->peer;
    if (prefetch_learned(rpc->env->prefetch, rpc, event, method, args, count)) {
        rpc_wake(rpc);
        return KONG_OK;
    }
    return send_one(event, method, args, count, true);
}

static int send_call(struct event *event, const struct pdk_method *method,
                     const struct kong_str *name, const struct kong_value *args, size_t count,
                     bool waits) {
    const struct rpc *rpc = event->peer;
    (void)name;
    return waits && rpc->env->prefetch != NULL ? send_getter(event, method, args, count)
                                               : send_one(event, method, args, count, waits);
}

static void started(struct event *event) {
    struct rpc *rpc = event->peer;
    rpc->event = event;
    rpc->calls_sent = 0;
    if (rpc->env->declares && event->instance->failure == NULL) {
        prefetch_declared(rpc->env->prefetch, rpc, event);
    }
}

/* The empty frame and RpcReturn. Where the connection closes instead, Kong 3.9 sends the event
 * again, without end, and Kong 2.8 goes on without the plugin. */
static void send_return(struct rpc *rpc, int64_t sequence) {
    int rc = protobuf_encode_end(&rpc->out, sequence);
    if (rc != 0) {
        buffer_overdraw(&rpc->out, LAST_WORDS);
        rc = protobuf_encode_end(&rpc->out, sequence);
    }
    if (rc != 0) {
        rpc_fail(rpc, "no memory for an answer");
    }
    rpc_wake(rpc);
}

static void conversation_end(struct event *event) {
    struct rpc *rpc = event->peer;
    rpc->event = NULL;
    if (event->answers.count > 0 && rpc->env->prefetch != NULL) {
        prefetch_learn(rpc->env->prefetch, event);
    }
    if (event->ended) {
        event_release(event);
        return;
    }
    if (event->rc != 0 && event_fails_closed(event->plugin->what, event->phase)) {
        rpc_fail(rpc, "no memory for the end of a request");
        rpc_wake(rpc);
    } else {
        send_return(rpc, rpc->sequence);
    }
    event_release(event);
}

static const struct event_ops protobuf_events = {
    .protocol = PROTOCOL_PROTOBUF,
    .started = started,
    .call = send_call,
    .conversation_end = conversation_end,
};

/* Kong logs the text at error level, answers the client 500 and drops the connection; "no plugin
 * instance" makes it start the instance anew and retry at once. */
static __attribute__((cold)) void send_method_error(struct rpc *rpc, const char *text) {
    buffer_overdraw(&rpc->out, LAST_WORDS);
    if (protobuf_encode_method_error(&rpc->out, kong_str(text)) != 0) {
        rpc_fail(rpc, "no memory for an answer");
    }
    rpc_enter(rpc, RPC_EXITED);
}

/* An event that cannot run is answered at once, with a line in Kong's log: failing open it goes on,
 * failing closed the client gets 500 where the phase allows an answer. */
static __attribute__((cold)) void refuse(struct rpc *rpc, const struct kong_plugin *plugin,
                                         enum kong_phase phase, const char *why) {
    if (events_refusal_due(rpc->env->events)) {
        log_write_for(rpc->env->log, plugin->name, LOG_LEVEL_ERROR, NULL, "event refused: %s", why);
        struct kong_value line = kong_string(rpc_error_text(rpc, plugin->name, why));
        if (protobuf_encode_pdk_call(&rpc->out, &pdk_methods[PDK_LOG_ERR], &line, 1) == 0) {
            rpc->results_due++;
        }
    }
    if (!event_fails_closed(plugin, phase)) {
        send_return(rpc, rpc->sequence);
        return;
    }
    buffer_overdraw(&rpc->out, LAST_WORDS);
    if (protobuf_encode_pdk_call(&rpc->out, &pdk_methods[PDK_RESPONSE_EXIT], event_exit_args,
                                 EVENT_EXIT_ARGS) != 0) {
        rpc_fail(rpc, "no memory for an answer");
    }
    rpc->results_due++;
    rpc_enter(rpc, RPC_EXITED);
}

/* Inlined, so that what was read at a glance stays in registers. */
static inline __attribute__((always_inline)) void handle_event(struct rpc *rpc,
                                                               const struct rpc_call *call) {
    enum kong_phase phase;
    const char *error;
    rpc->sequence = call->sequence;
    uint64_t now_ms = rpc->env->now_ms(rpc->env->clock);
    struct instance *instance = rpc_find_instance(rpc, call, now_ms, &phase, &error);
    if (instance == NULL) {
        send_method_error(rpc, error);
        return;
    }
    rpc_note_request(rpc, call->sequence,
                     event_fails_closed(instance->plugin->what, phase)
                         ? IN_FLIGHT_PROTOBUF_EVENT
                         : IN_FLIGHT_PROTOBUF_EVENT_OPEN);
    const char *refusal =
        event_start(rpc->env->events, instance, phase, &protobuf_events, rpc, now_ms);
    if (refusal != NULL) {
        refuse(rpc, instance->plugin->what, phase, refusal);
        registry_release(rpc->env->registry, instance);
    }
}

/* Which of Kong's answers to the event has come, from 0. */
static uint32_t take_index(struct rpc *rpc) {
    return rpc->calls_sent - (uint32_t)rpc->results_due--;
}

static inline bool waits_for(const struct event *event, uint32_t index) {
    return event->state == EVENT_WAITING && event->awaited == index;
}

/* An answer that the handler has not asked for yet. One that is no good is forgotten: the handler
 * asks for itself, and is told what is wrong. */
static void keep_answer(struct event *event, uint32_t index, const uint8_t *data, size_t len) {
    struct answer *answer = answers_due(&event->answers, index);
    if (answer != NULL) {
        int rc =
            protobuf_decode_pdk_result(&event->arena, answer->method, data, len, &answer->value);
        answer->state = rc == CODEC_OK ? ANSWER_HERE : ANSWER_STALE;
    }
}

int rpc_protobuf_deliver(struct rpc *rpc) {
    struct event *event = rpc->event;
    assert(event != NULL);
    rpc->ready = false;
    event_deliver(event, KONG_OK, event->answer, (struct kong_str){NULL, 0});
    return rpc->state >= RPC_BROKEN ? -1 : 0;
}

/* After one of the answers that are due was taken. Those that were asked for ahead come together
 * mostly: the handler goes on once, and finds all of them. */
static inline int after_answer(struct rpc *rpc) {
    return rpc->ready && rpc->results_due == 0 ? rpc_protobuf_deliver(rpc)
           : rpc->state >= RPC_BROKEN          ? -1
                                               : 0;
}

/* For the handler that waits for it, or for one that will ask; those to posted calls are for
 * nobody. */
static int take_answer(struct rpc *rpc, const uint8_t *data, size_t len) {
    struct event *event = rpc->event;
    uint32_t index = take_index(rpc);
    if (event == NULL) {
        return 0;
    }
    if (!waits_for(event, index)) {
        keep_answer(event, index, data, len);
        return after_answer(rpc);
    }
    int rc = protobuf_decode_pdk_result(&event->arena, event->waits_for, data, len, &event->answer);
    if (rc == CODEC_OK) {
        rpc->ready = true;
    } else {
        rpc->reason[0] = '\0';
        rpc_deliver_refused(rpc, event, rc);
    }
    return after_answer(rpc);
}

int rpc_protobuf_too_big(struct rpc *rpc) {
    struct event *event = rpc->event;
    uint32_t index = take_index(rpc);
    if (event != NULL && waits_for(event, index)) {
        rpc_deliver_refused(rpc, event, CODEC_E_LIMIT);
    } else if (event != NULL) {
        struct answer *answer = answers_due(&event->answers, index);
        if (answer != NULL) {
            answer->state = ANSWER_STALE;
        }
    }
    return after_answer(rpc);
}

static inline __attribute__((always_inline)) int take_event(struct rpc *rpc,
                                                            const struct rpc_call *call) {
    handle_event(rpc, call);
    return rpc->state >= RPC_BROKEN ? -1 : 0;
}

/* Any RpcCall. */
static __attribute__((noinline)) int take_call(struct rpc *rpc, const uint8_t *data, size_t len) {
    struct rpc_call call;
    struct rpc_reply reply;
    int rc = protobuf_decode_call(rpc->env->scratch, data, len, &call);
    if (rc != 0) {
        return rpc_fail(rpc, "RpcCall of %zu bytes: %s", len, codec_strerror(rc));
    }
    if (call.command == RPC_HANDLE_EVENT) {
        return take_event(rpc, &call);
    }
    rpc_note_request(rpc, call.sequence,
                     call.command == RPC_START_INSTANCE ? IN_FLIGHT_PROTOBUF_START
                                                        : IN_FLIGHT_OTHER);
    rpc_command(rpc, &call, &reply);
    if (reply.kind == RPC_REPLY_ERROR) {
        /* RpcReturn has no field for an error: without content it makes Kong fail the call, and log
         * it. */
        rpc_complain(rpc->env, LOG_LEVEL_ERROR, "%s", reply.error.data);
        reply.kind = RPC_REPLY_RETURN;
    }
    rc = protobuf_encode_reply(&rpc->out, &reply);
    return rc == 0 ? 0 : rpc_fail(rpc, "answer: %s", codec_strerror(rc));
}

int rpc_protobuf_message(struct rpc *rpc, const uint8_t *data, size_t len) {
    if (rpc->results_due > 0) {
        return take_answer(rpc, data, len);
    }
    if (rpc->steps_only) {
        return rpc_fail(rpc, RPC_NO_STEP);
    }
    if (rpc->state == RPC_ENDING) {
        return 0;
    }
    if (rpc->event != NULL) {
        return rpc_fail(rpc, "a frame while an event is at work and no answer is due");
    }
    struct rpc_call call;
    return protobuf_decode_event(data, len, &call) ? take_event(rpc, &call)
                                                   : take_call(rpc, data, len);
}

void rpc_protobuf_close(struct rpc *rpc) {
    struct event *event = rpc->event;
    rpc->event = NULL;
    rpc->ready = false;
    if (event != NULL) {
        event_cancel(event, KONG_E_GONE);
    }
}

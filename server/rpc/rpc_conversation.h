/* The two protocols as rpc.c calls them, and what both of them call. They do not call rpc.c: it
 * stands above them. Private to rpc*.c, and to those who forward Steps. */
#ifndef SERVER_RPC_CONVERSATION_H
#define SERVER_RPC_CONVERSATION_H

#include "phase.h"
#include "rpc.h"

/* An error with these words makes Kong forget its instances, start a new one, and send the event
 * again. */
#define RPC_NO_INSTANCE "no plugin instance"

#define RPC_NO_STEP "other than a Step at the address for Steps of other generations"

/* A request is taken up: what is to be known of it if this process dies. */
static inline void rpc_note_request(struct rpc *rpc, int64_t sequence, uint8_t what) {
    if (rpc->in_flight != NULL) {
        in_flight_set_request(rpc->in_flight, sequence, what);
    }
}

/* A part of a message is there. */
void rpc_note_half(struct rpc *rpc);

/* One message. 0, or -1 with rpc->reason. */
int rpc_protobuf_message(struct rpc *rpc, const uint8_t *data, size_t len);
int rpc_msgpack_message(struct rpc *rpc, const uint8_t *data, size_t len);

/* ProtoBuf:1, rpc->ready: all that has come is read. 0, or -1 as above. */
int rpc_protobuf_deliver(struct rpc *rpc);

/* One message that was over a limit, which rpc->reason names: it was passed over, and is not kept.
 * MsgPack: rpc->skip says what was found in it. */
int rpc_protobuf_too_big(struct rpc *rpc);
int rpc_msgpack_too_big(struct rpc *rpc);

/* The same as rpc_msgpack_message for a message at the start of data that is known at a glance,
 * before it is cut out. 1 with its length in *total; 0: it needs to be cut out; -1 with
 * rpc->reason. */
int rpc_msgpack_fast(struct rpc *rpc, const uint8_t *data, size_t len, size_t *total);

/* The peer is gone: what is under way for it is cancelled. */
void rpc_protobuf_close(struct rpc *rpc);
void rpc_msgpack_close(struct rpc *rpc);

/* Carries out a command that is no event: fills the reply (kind RPC_REPLY_ERROR with a text in the
 * scratch arena when it can't). */
void rpc_command(struct rpc *rpc, const struct rpc_call *call, struct rpc_reply *reply);

/* Looks up what a HANDLE_EVENT names: the instance (referenced) and the phase. NULL: *error is the
 * text for Kong. */
static inline __attribute__((always_inline)) struct instance *
rpc_find_instance(struct rpc *rpc, const struct rpc_call *call, uint64_t now_ms,
                  enum kong_phase *phase, const char **error) {
    int found = phase_by_name(call->event);
    if (found < 0) {
        *error = "unknown event";
        return NULL;
    }
    *phase = (enum kong_phase)found;
    struct instance *instance = registry_use(rpc->env->registry, call->instance_id, now_ms);
    if (instance == NULL) {
        stats_count(&events_stats(rpc->env->events)->unknown_instances, 1);
        *error = RPC_NO_INSTANCE;
    }
    return instance;
}

/* What became of a forwarded Step: the answer, a whole message. closed: its request ends where that
 * cannot be passed on. */
void rpc_msgpack_forwarded(struct rpc *rpc, int64_t msgid, bool closed, const uint8_t *data,
                           size_t len);

/* A copy (scratch arena) of "NAME: TEXT", or of the text where name is "", that Kong does not take
 * for its sign of a lost instance: "no plugin instance" anywhere in an error makes it forget all
 * instances and try again, without limit. */
const char *rpc_error_text(struct rpc *rpc, const char *name, const char *text);

/* Does nothing where the conversation has come further already. */
void rpc_enter(struct rpc *rpc, enum rpc_state state);

/* -1, with the text in rpc->reason: the connection cannot go on. */
int rpc_fail(struct rpc *rpc, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Something was put into rpc->out. */
void rpc_wake(struct rpc *rpc);

/* Kong's answer cannot be given to the handler that waits for it. The handler gets KONG_E_TOO_BIG
 * for CODEC_E_LIMIT, with rpc->reason unless that is empty; or KONG_E_NOMEM or KONG_E_TYPE. */
void rpc_deliver_refused(struct rpc *rpc, struct event *event, int codec_error);

/* KONG_E_* for a codec_error of an encoder. */
int rpc_kong_error(int codec_error);

#endif
